"""Changes of two numbers at once that neither number shows by itself.

What was done to few rows may not pay for its parameters in the density of any one variable, and so
no change is suggested; but in the rows where both variables are where they hardly ever are the two
together speak clearly. So rough changes that gain something, if not enough, are priced in pairs, as
do's on states are (:mod:`dosift.search.mining`): the gradient of a pair is one entry of a product
of matrices, and of the steepest what they gain is looked at.

Two variables with noise in common, which the graph does not show, are far off together though
nothing was done. So what a pair gains is what it gains beyond noise that control rows show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints, Values
from dosift.model.mechanism import Change, Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.pricing import z_scores
from dosift.search.shared_noise import log_copula, shared_noise

Singles = NDArray[np.float32]

#: Shares of the rows at which gains are looked at.
_SHARES = (0.005, 0.02, 0.1)
#: Nats that a rough change must gain by itself, and how many of each variable are paired.
_LEAST_GAIN, _EACH = 3.0, 3
#: Largest ratio that is told apart: of more, few rows would drown what the others say.
_LARGEST_RATIO = 300.0
#: Entries of the matrix of changes; with more, those that gain least are left out.
_MOST_ENTRIES = 20_000_000
#: Standard errors from which the gain of a pair is looked at, and of how many.
_LEAST_Z, _JUDGED = 3.0, 60
#: Share of its cost that a pair of rough changes must gain.
_LEAST_PROMISE = 0.6


@dataclass(frozen=True)
class ChangePair:
    """Two changes that together explain some rows.

    Attributes
    ----------
    variables : tuple of int
        Two.
    changes : tuple of Change
        Rough ones, one of each.
    share : float
        Of the rows, roughly.
    gain : float
        Nats, at that share.
    """

    variables: tuple[int, int]
    changes: tuple[Change, Change]
    share: float
    gain: float


@dataclass(frozen=True)
class _Item:
    """A change that may be one of a pair, and what it does to the likelihood of each row."""

    variable: int
    change: Change
    ratio: Singles
    gain: float


def change_pairs(
    network: MechanismNetwork,
    values: Values,
    counts: Floats,
    relative: Floats,
    target: Ints,
    log_choices: float,
) -> list[ChangePair]:
    """Look for pairs of changes that a target should make, too, in some rows.

    Parameters
    ----------
    network : MechanismNetwork
    values : ndarray, shape (n_rows, n_variables)
    counts : ndarray, shape (n_rows,)
        Of the rows.
    relative : ndarray, shape (n_rows,)
        Likelihood of the target over that of the mixture.
    target : ndarray of int, shape (n_variables,)
    log_choices : float
        Logarithm of the number of things that each change is one of.

    Returns
    -------
    list of ChangePair
        Those that promise to pay, of which no two change the same variable, the best first.
    """
    items: list[_Item] = []
    for i in np.flatnonzero(target < 0).tolist():
        items += _items(network, i, values, counts, relative)
    if len(items) < 2:
        return []
    room = max(_MOST_ENTRIES // max(len(values), 1), 2)
    items = sorted(items, key=lambda one: -one.gain)[:room]
    half_log = 0.5 * float(np.log(max(counts.sum(), 2.0)))
    found = []
    for a, b in _steepest(items, counts, relative):
        one, two = items[a], items[b]
        ratio = relative * (one.ratio.astype(np.float64) * two.ratio) - 1.0
        gain, share = _gain(ratio, counts)
        cost = half_log * (1 + one.change.n_free + two.change.n_free) + 2.0 * log_choices
        least = _LEAST_PROMISE * cost
        together = _together(network, one, two, values) if gain > least else None
        if together is not None:
            # What comes after takes noise for independent, and would not stop a pair.
            gain, share, least = *_gain((ratio + 1.0) / together - 1.0, counts), cost
        if gain > least:
            variables = (one.variable, two.variable)
            found.append(ChangePair(variables, (one.change, two.change), share, gain))
    return _apart(found)


def _items(
    network: MechanismNetwork, i: int, values: Values, counts: Floats, relative: Floats
) -> list[_Item]:
    """Rough changes of one variable that gain something, the best few of each kind."""
    library, mechanism = network.libraries[i], network.mechanisms[i]
    if not isinstance(library, Changes) or not library.kinds:
        return []
    suggested = [*library[:], *library.suggested(mechanism, values, counts * relative)]
    if not suggested:
        return []
    logs = library.log_densities(mechanism, suggested, values)
    logs -= mechanism.log_density(values)[:, None]
    with np.errstate(invalid="ignore"):
        ratios = np.exp(np.minimum(logs, np.log(_LARGEST_RATIO))).astype(np.float32)
    ratios[np.isnan(ratios)] = 0.0
    weight = relative.astype(np.float32)[:, None]
    change = weight * ratios - np.float32(1.0)
    few = counts.astype(np.float32)
    # No gain is more than what the slope at none promises.
    some = max(_SHARES) * (few @ change) > _LEAST_GAIN
    gains = np.zeros(len(suggested), dtype=np.float32)
    if some.any():
        change = change[:, some]
        gains[some] = np.max([few @ np.log1p(np.float32(s) * change) for s in _SHARES], axis=0)
    out: list[_Item] = []
    for kind in sorted({one.kind for one in suggested}):
        of = [k for k, one in enumerate(suggested) if one.kind == kind and gains[k] > _LEAST_GAIN]
        for k in sorted(of, key=lambda k: -gains[k])[:_EACH]:
            out.append(_Item(i, suggested[k], ratios[:, k], float(gains[k])))
    return out


def _steepest(items: Sequence[_Item], counts: Floats, relative: Floats) -> list[tuple[int, int]]:
    """Pairs whose gradient is clearly above one, the steepest first."""
    matrix = np.stack([one.ratio for one in items], axis=1)
    variable = np.array([one.variable for one in items])
    first = (counts * relative).astype(np.float32)
    second = (counts * np.square(relative)).astype(np.float32)
    total = float(counts.sum())
    gradient = (matrix.T * first) @ matrix / np.float32(total)
    squared = np.square(matrix)
    curvature = (squared.T * second) @ squared
    a, b = np.triu_indices(len(items), 1)
    apart = variable[a] != variable[b]
    a, b = a[apart], b[apart]
    z = z_scores(gradient[a, b].astype(np.float64), curvature[a, b].astype(np.float64), total)
    order = np.argsort(-z, kind="stable")[:_JUDGED]
    return [(int(a[k]), int(b[k])) for k in order if z[k] > _LEAST_Z]


def _gain(ratio: Floats, counts: Floats) -> tuple[float, float]:
    """Return the largest rise of the log-likelihood at some shares, and which share that is."""
    gains = [float(counts @ np.log1p(share * ratio)) for share in _SHARES]
    best = int(np.argmax(gains))
    return gains[best], _SHARES[best]


def _together(network: MechanismNetwork, one: _Item, two: _Item, values: Values) -> Floats | None:
    """Say how much likelier rows are by noise that two variables share in control rows.

    The density of a normal copula of the residuals, 1 at least: what is far off in both together is
    no evidence of a pair of changes as far as noise makes it so. None where control rows show no
    such noise.
    """
    i, j = one.variable, two.variable
    shared = shared_noise(network, i, j)
    if not shared:
        return None
    return np.asarray(np.exp(np.maximum(log_copula(network, i, j, shared, values), 0.0)))


def _apart(found: Sequence[ChangePair]) -> list[ChangePair]:
    """Keep the best pairs of which no two change the same variable."""
    out: list[ChangePair] = []
    taken: set[int] = set()
    for one in sorted(found, key=lambda one: -one.gain):
        if not taken & set(one.variables):
            out.append(one)
            taken |= set(one.variables)
    return out
