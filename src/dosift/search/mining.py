"""Mining for sets of do's on variables that single do's do not point to.

A small component that sets several variables hardly shows in the rate of any one of them, but the
gradient of the pair or the three together rises above chance. All pairs of do's are priced by one
matrix product, since the gradient of a target is a sum of products of per-variable factors; the
steepest pairs are then extended by a third.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dosift.data.configurations import Configurations
from dosift.likelihood.change_ratios import ChangeRatios
from dosift.likelihood.factors import MechanismFactors
from dosift.model.arrays import Bools, Floats
from dosift.model.network import Network
from dosift.search.pricing import z_scores

#: Entries of the matrix of do's (single precision); with more, only the likeliest do's are paired.
_MOST_ENTRIES = 20_000_000
#: Largest ratio of a number's change that is told apart here: threes of them, squared, stay within
#: single precision.
_LARGEST_RATIO = 1e5
#: Pairs that are extended.
_EXTENDED = 100
#: Expected number of chance findings among all pairs, and all sets of three; and most sets taken.
_FALSE_PAIRS, _FALSE_TRIPLES, _MOST_SETS = 2.0, 2.0, 12


def mined_variables(
    network: Network, rows: Configurations, relative: Floats, known: tuple[int, ...]
) -> tuple[int, ...]:
    """Select variables that pairs or threes of do's ask for, given a mixture.

    Parameters
    ----------
    network : Network
    rows : Configurations
    relative : ndarray, shape (n_configurations,)
        Undisturbed probability of each row over that of the mixture.
    known : tuple of int
        Variables already in the search.

    Returns
    -------
    tuple of int
        Positions of further variables.
    """
    counts = rows.counts
    variables, items = _items(network, rows, relative)
    if variables.size < 2:
        return ()
    n_rows = float(counts.sum())
    weight = (counts * relative).astype(np.float32)
    square = (counts * relative**2).astype(np.float32)
    gradient = (items.T * weight) @ items / np.float32(n_rows)
    squared = np.square(items)
    curvature = (squared.T * square) @ squared
    first, second = np.triu_indices(variables.size, 1)
    proper = variables[first] != variables[second]
    first, second = first[proper], second[proper]
    z = z_scores(
        gradient[first, second].astype(float), curvature[first, second].astype(float), n_rows
    )
    is_known = np.isin(variables, known)
    news = ~(is_known[first] & is_known[second])
    if not z.size:
        return ()
    found: set[int] = set()
    bar = float(-ndtri(min(_FALSE_PAIRS / z.size, 0.3)))
    order = np.argsort(-z, kind="stable")
    for pair in [p for p in order[: 4 * _MOST_SETS] if z[p] > bar and news[p]][:_MOST_SETS]:
        found |= {int(variables[first[pair]]), int(variables[second[pair]])}
    bar = float(-ndtri(_FALSE_TRIPLES / max(z.size * variables.size / 3, 10)))
    threes: list[tuple[float, int, int, int]] = []
    for pair in order[:_EXTENDED]:
        i, j = first[pair], second[pair]
        both = np.flatnonzero((items[:, i] > 0) & (items[:, j] > 0))
        factor = items[both, i] * items[both, j]
        block = items[both]
        steepness = (weight[both] * factor) @ block / n_rows
        spread = (square[both] * factor * factor) @ squared[both]
        third = z_scores(steepness.astype(float), spread.astype(float), n_rows)
        third[np.isin(variables, variables[[i, j]])] = -np.inf
        if is_known[i] and is_known[j]:
            third[is_known] = -np.inf
        best = int(third.argmax())
        if third[best] > bar:
            threes.append((-float(third[best]), int(i), int(j), best))
    for _, *members in sorted(threes)[:_MOST_SETS]:
        found |= {int(variables[member]) for member in members}
    return tuple(sorted(found - set(known)))


def _items(
    network: Network, configurations: Configurations, relative: Floats
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Variables and factors of the do's that are paired, the likeliest if not all fit."""
    counts = configurations.counts
    n_rows = float(counts.sum())
    weighted = counts * relative
    every = np.arange(counts.size)
    z: list[Floats] = []
    variables: list[NDArray[np.int64]] = []
    changes: list[NDArray[np.int64]] = []
    ratios: list[tuple[ChangeRatios, Bools]] = []
    for i in range(network.n_variables):
        factors = MechanismFactors(network, configurations.codes, (i,), first=configurations.first)
        # A row that is impossible undisturbed has no ratio.
        possible_rows = ~factors.zeros[:, 0]
        first, second = factors.ratios[0].sums(
            every, weighted * possible_rows, weighted * relative * possible_rows
        )
        possible = np.flatnonzero(first > 0)
        gradient: Floats = first[possible] / n_rows
        z.append(z_scores(gradient, second[possible].astype(np.float64), n_rows))
        variables.append(np.full(possible.size, i))
        changes.append(possible)
        ratios.append((factors.ratios[0], possible_rows))
    all_z, variable, change = np.concatenate(z), np.concatenate(variables), np.concatenate(changes)
    room = max(_MOST_ENTRIES // max(counts.size, 1), 2)
    kept = np.sort(np.argsort(-all_z, kind="stable")[:room])
    items = np.zeros((counts.size, kept.size), dtype=np.float32, order="F")
    for column, k in enumerate(kept):
        (own, possible_rows), position = ratios[variable[k]], int(change[k])
        rows = np.flatnonzero(own.fits(position) & possible_rows)
        ratio = own.ratio(position, rows)
        is_state = own.is_exclusive and configurations.first is None
        items[rows, column] = ratio if is_state else np.minimum(ratio, _LARGEST_RATIO)
    return variable[kept], items
