"""Pricing of every target that the rows at hand support, where there are few rows.

A component of a dozen rows that sets many variables has a gradient hardly above chance among
millions of targets, and no neighbour that leads to it. What tells it apart is what it gains: its
few rows are far more probable under it. So all targets that at least two rows can come from are
listed once, with the rows of each, and ranked by the rise of the likelihood along the line to each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints
from dosift.search.pricing import Priced, z_scores
from dosift.search.problem import Fit, SearchProblem

#: Pairs of a configuration and a set of variables that may be listed.
_MOST_ENTRIES = 2**22
#: Rows that must be able to come from a target for it to be listed.
_LEAST_ROWS = 2.0
#: Targets that are put forward by what they gain, and by their gradient.
_BY_GAIN, _BY_GRADIENT = 70, 30
#: Cells up to which the rows of each target are counted without sorting.
_DENSE = 2**25
#: Weights tried for a target, as shares of the rows that can come from it.
_SHARES = (0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True)
class _Support:
    """Targets with the configurations that can come from each, one target after the other."""

    #: Of each target, ascending; digit j, of variable j, is 0 or one more than the state.
    keys: NDArray[np.int64]
    #: Position of the first configuration of each target.
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    #: Likelihood of each configuration relative to the undisturbed network.
    values: Floats
    #: Of each target in the score.
    costs: Floats


class SupportedPricer:
    """Prices all targets that at least two rows can come from.

    Parameters
    ----------
    problem : SearchProblem
        With few enough rows and variables, see :meth:`can_price`.
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(self, problem: SearchProblem, max_size: int | None = None) -> None:
        self.problem = problem
        self._radix = tuple(int(k) + 1 for k in problem.cardinalities)
        self._support = _list_support(problem, self._radix, max_size)
        n_entries = self._support.rows.size
        self._lengths = np.diff(np.append(self._support.starts, n_entries))
        self._n_rows_of = _sums(problem.counts[self._support.rows], self._support.starts)

    @staticmethod
    def can_price(problem: SearchProblem) -> bool:
        """Tell whether a problem is small enough, and has neither zeros nor known weights.

        A row must fit one change of each variable at most, as of values that are set.
        """
        factors = problem.factors
        n_entries = factors.n_configurations * 2.0 ** len(problem.cardinalities)
        n_targets = float(np.prod(problem.cardinalities + 1.0))
        plain = not (factors.n_zeros.any() or factors.log_scale.any() or problem.has_known)
        small = n_entries <= _MOST_ENTRIES and n_targets < 2.0**62
        differ = (factors.codes >= problem.cardinalities).any()
        return small and plain and factors.is_exclusive and not differ

    def near(self, fit: Fit) -> Priced:
        """Price the targets that differ from one of a mixture in a single variable."""
        return self.around(fit, fit.targets)

    def around(self, fit: Fit, targets: Ints) -> Priced:
        """Price the targets that differ from given ones in a single variable."""
        blocks = []
        for j, k in enumerate(self._radix):
            block = np.repeat(targets, k, axis=0)
            block[:, j] = np.tile(np.arange(-1, k - 1), len(targets))
            blocks.append(self._keys(block))
        keys, listed = np.unique(np.concatenate(blocks)), self._support.keys
        place = np.searchsorted(listed, keys)
        place, keys = place[place < listed.size], keys[place < listed.size]
        return self._priced(fit, place[listed[place] == keys])

    def far(self, fit: Fit) -> Priced:
        """Price the targets that gain most, next to the mixture as it is, and the steepest."""
        found, n_rows = self._support, self.problem.n_rows
        relative = (1.0 / fit.mixture)[found.rows] * found.values
        weighted = relative * self.problem.counts[found.rows]
        gradient = _sums(weighted, found.starts) / n_rows
        index = np.flatnonzero(gradient > 1.0)
        curvature = _sums(weighted * relative, found.starts)[index]
        z = z_scores(gradient[index], curvature, n_rows)
        gain = self._gains(relative, index) - found.costs[index]
        chosen = np.union1d(_largest(gain, _BY_GAIN), _largest(z, _BY_GRADIENT))
        return self._priced(fit, index[chosen])

    def _priced(self, fit: Fit, index: NDArray[np.int64]) -> Priced:
        """Price some of the targets that are listed, less those of the mixture."""
        found = self._support
        index = index[~np.isin(found.keys[index], self._keys(fit.targets))]
        codes = np.unravel_index(found.keys[index], self._radix)
        targets = (np.stack(codes, axis=1) - 1).astype(fit.targets.dtype)
        permitted = self.problem.constraints.permits(targets)
        targets, index = targets[permitted], index[permitted]
        entries, starts = self._entries(index)
        rows = found.rows[entries]
        relative = found.values[entries] / fit.mixture[rows]
        weighted = self.problem.counts[rows] * relative
        gradient = _sums(weighted, starts) / self.problem.n_rows
        return Priced(targets, gradient, _sums(weighted * relative, starts))

    def _gains(self, relative: Floats, index: NDArray[np.int64]) -> Floats:
        """Rise of the log-likelihood along the line from the mixture to each target."""
        entries, starts = self._entries(index)
        excess = relative[entries] - 1.0
        counts = self.problem.counts[self._support.rows[entries]]
        n_rows, own = self.problem.n_rows, self._n_rows_of[index]
        best = np.zeros(index.size)
        for share in _SHARES:
            weight = share * own / n_rows
            inside = counts * np.log1p(np.repeat(weight, self._lengths[index]) * excess)
            outside = (n_rows - own) * np.log1p(-weight)
            np.maximum(best, _sums(inside, starts) + outside, out=best)
        return best

    def _entries(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Entries of some targets, one target after the other, and where each begins."""
        lengths = self._lengths[index]
        starts = np.cumsum(lengths) - lengths
        entries = np.arange(lengths.sum()) + np.repeat(
            self._support.starts[index] - starts, lengths
        )
        return entries, starts

    def _keys(self, targets: Ints) -> NDArray[np.int64]:
        digits = tuple(targets.T.astype(np.int64) + 1)
        return np.asarray(np.ravel_multi_index(digits, self._radix), dtype=np.int64)


def _sums(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """Sum over the entries of each target."""
    if not starts.size:
        return np.empty(0)
    return np.asarray(np.add.reduceat(values, starts), dtype=np.float64)


def _largest(values: Floats, most: int) -> NDArray[np.int64]:
    """Positions of the largest values."""
    if values.size <= most:
        return np.arange(values.size)
    return np.asarray(np.argpartition(-values, most - 1)[:most])


def _list_support(problem: SearchProblem, radix: tuple[int, ...], max_size: int | None) -> _Support:
    """List the targets that enough rows can come from."""
    factors = problem.factors
    every = np.arange(factors.n_configurations)
    keys = np.zeros((every.size, 1), dtype=np.int64)
    values = np.ones((every.size, 1))
    sets: Ints = np.full((1, len(radix)), -1, dtype=np.int16)
    for j, k in enumerate(radix):
        keys = keys * k
        if not problem.constraints.manipulable[j]:
            continue
        # Each set of variables so far, and the same with one more.
        digit = factors.codes[:, j].astype(np.int64)[:, None] + 1
        keys = np.concatenate([keys, keys + digit], axis=1)
        values = np.concatenate([values, values * factors.inverse(every, j)[:, None]], axis=1)
        more = sets.copy()
        more[:, j] = 0
        sets = np.concatenate([sets, more])
        if max_size is not None:
            fitting = (sets >= 0).sum(axis=1) <= max_size
            keys, values, sets = keys[:, fitting], values[:, fitting], sets[fitting]
    which = np.tile(np.arange(len(sets)), every.size)
    rows = np.repeat(every, len(sets)).astype(np.int32)
    flat = keys.ravel()
    if float(np.prod(np.array(radix, dtype=float))) <= _DENSE:
        total = np.bincount(flat, weights=problem.counts[rows])
        kept = np.flatnonzero(total[flat] >= _LEAST_ROWS)
        kept = kept[np.argsort(flat[kept], kind="stable")]
    else:
        order = np.argsort(flat, kind="stable")
        starts = _first_of_each(flat[order])
        enough = _sums(problem.counts[rows[order]], starts) >= _LEAST_ROWS
        kept = order[np.repeat(enough, np.diff(np.append(starts, flat.size)))]
    flat = flat[kept]
    starts = _first_of_each(flat)
    # What a target costs depends on the variables that it sets alone.
    costs = problem.score.costs(sets)[which[kept[starts]]]
    return _Support(flat[starts], starts, rows[kept], values.ravel()[kept], costs)


def _first_of_each(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions where sorted keys change."""
    return np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: keys.size])
