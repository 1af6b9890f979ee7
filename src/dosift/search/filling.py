"""Missing values filled in as a mixture would, so that a search can work on complete rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.data.configurations import Configurations, collapse, systematic_sample
from dosift.likelihood.assignment import assign
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.completions import complete
from dosift.model.arrays import Floats, Ints, Values
from dosift.model.mechanism import missing
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

#: Posterior probability below which a completion is not filled in.
_LEAST_SHARE = 1e-3
#: Filled-in rows, as a multiple of the distinct rows, from which a sample is taken.
_MOST_FILLED = 3
#: Completions are drawn with this seed: what is found depends on nothing but the rows.
_SEED = 20211


def filled_in(
    network: Network, targets: Ints, weights: Floats, rows: Configurations
) -> Configurations:
    """Fill missing values in as a mixture would, with fractional counts.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    rows : Configurations

    Returns
    -------
    Configurations
        Complete rows. Values that others depend on are filled in with all their states, each
        with its posterior probability; the rest are drawn from their mechanisms. Where variables
        are numbers, each row is filled in once.
    """
    if rows.first is not None:
        return _filled_units(network, targets, weights, rows)
    found = complete(network, rows.codes)
    under = assign(network, targets, weights, found.codes)
    joint = under.columns * weights
    reference = under.log_reference
    if found.log_weight is not None:
        reference = reference + found.log_weight
    scale = reference - np.maximum.reduceat(reference, found.first)[found.row]
    joint *= np.exp(scale)[:, None]
    total = np.add.reduceat(joint.sum(axis=1), found.first)[found.row]
    share = np.divide(joint, total[:, None], out=np.zeros_like(joint), where=total[:, None] > 0)
    share[total <= 0, 0] = 1.0  # nothing explains the row: fill it in somehow
    if not isinstance(network, MechanismNetwork):
        share[share < _LEAST_SHARE] = 0.0
    which, component = np.nonzero(share)
    if isinstance(network, MechanismNetwork):
        picked = _picked(share[which, component], found.row[which], rows.counts.size)
        which, component = which[picked], component[picked]
        codes = _drawn(network, targets[component], found.codes[which])
        return collapse(codes, network.cardinalities, rows.counts)
    counts = rows.counts[found.row[which]] * share[which, component]
    # What was cut off goes to the others of the row.
    kept = np.bincount(found.row[which], counts, minlength=rows.counts.size)
    lost = np.divide(rows.counts, kept, out=np.zeros_like(kept), where=kept > 0)
    codes = _drawn(network, targets[component], found.codes[which])
    filled = collapse(codes, network.cardinalities, counts * lost[found.row[which]])
    if filled.counts.size > _MOST_FILLED * rows.counts.size:
        # So many fractions tell the search little more than as many whole rows as there were.
        return systematic_sample(filled, max(int(rows.total) - 1, 1))
    return filled


def _filled_units(
    network: Network, targets: Ints, weights: Floats, rows: Configurations
) -> Configurations:
    """Fill in each unit once: draw its target, and then what its rows lack."""
    rng = np.random.default_rng(_SEED)
    block = Block(rows.codes, np.ones(rows.counts.size), first=rows.first)
    likelihoods = RowLikelihoods(network, block, False, absolute=True)
    joint = likelihoods.columns(targets) * weights
    joint[joint.sum(axis=1) <= 0, 0] = 1.0  # nothing explains the unit: fill it in somehow
    up_to = np.cumsum(joint, axis=1)
    drawn = rng.random(len(block)) * up_to[:, -1]
    component = np.minimum((drawn[:, None] >= up_to).sum(axis=1), len(targets) - 1)
    found = complete(network, rows.codes)
    own = component[block.unit]
    under = assign(network, targets, weights, found.codes)
    share = under.columns[np.arange(found.row.size), own[found.row]]
    reference = under.log_reference
    if found.log_weight is not None:
        reference = reference + found.log_weight
    share *= np.exp(reference - np.maximum.reduceat(reference, found.first)[found.row])
    none = np.add.reduceat(share, found.first) <= 0
    share[none[found.row]] = 1.0
    picked = _picked(share, found.row, len(rows.codes))
    codes = _drawn(network, targets[own], found.codes[picked])
    return replace(rows, codes=codes).collapsed(network.cardinalities)


def _picked(share: Floats, row: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Pick one of the completions of each row, by their shares.

    Parts of a row would have its numbers in common, and exact values show as such ties.
    """
    rng = np.random.default_rng(_SEED)
    total = np.bincount(row, share, n_rows)
    up_to = np.cumsum(share / total[row])
    place = np.searchsorted(up_to, np.arange(n_rows) + rng.random(n_rows))
    first = np.searchsorted(row, np.arange(n_rows))
    last = np.append(first[1:], row.size) - 1
    return np.asarray(np.clip(place, first, last))


def _drawn(network: Network, targets: Ints, codes: Values) -> Values:
    """Draw what is still open, causes before effects."""
    rng = np.random.default_rng(_SEED)
    codes = codes.copy()
    if isinstance(network, MechanismNetwork):
        for i in network.order:
            is_open = missing(codes[:, i])
            for position in np.unique(targets[is_open, i]):
                rows = np.flatnonzero(is_open & (targets[:, i] == position))
                mechanism = network.mechanisms[i]
                if position >= 0:
                    mechanism = network.libraries[i][int(position)].applied(mechanism)
                codes[rows, i] = mechanism.draw(codes[rows], rng)
        return codes
    for i in network.order:
        open_ = np.flatnonzero(codes[:, i] < 0)
        if open_.size == 0:
            continue
        table = network.tables[i][network.parent_rows(int(i), codes[open_])]
        below = rng.random(open_.size)[:, None] > np.cumsum(table, axis=1)[:, :-1]
        set_to = targets[open_, i]
        codes[open_, i] = np.where(set_to >= 0, set_to, below.sum(axis=1))
    return codes
