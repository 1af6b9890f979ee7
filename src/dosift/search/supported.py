"""Pricing of every target that the rows at hand support, where there are few rows.

A component of a dozen rows that sets many variables has a gradient hardly above chance among
millions of targets, and no neighbour that leads to it. What tells it apart is what it gains: its few
rows are far more probable under it. So all targets that at least two rows can come from are listed
once, with the rows of each, and ranked by the rise of the likelihood along the line to each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.search.pricing import Priced, z_scores
from dosift.search.problem import Fit, SearchProblem

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Pairs of a configuration and a set of variables that may be listed.
_MOST_ENTRIES = 2**22
#: Rows that must be able to come from a target for it to be listed.
_LEAST_ROWS = 2.0
#: Targets that are put forward by what they gain, and by their gradient.
_BY_GAIN, _BY_GRADIENT = 70, 30
#: Weights tried for a target, as shares of the rows that can come from it.
_SHARES = (0.1, 0.3, 0.6, 0.9)


@dataclass(frozen=True)
class _Support:
    """Targets with the configurations that can come from each, one target after the other.

    Attributes
    ----------
    keys : ndarray of int64, shape (n_targets,)
        Ascending; digit j, of variable j, is 0 or one more than the state.
    starts : ndarray of int64, shape (n_targets,)
        Position of the first configuration of each target.
    rows : ndarray of int, shape (n_entries,)
    values : ndarray, shape (n_entries,)
        Likelihood of the configuration relative to the undisturbed network.
    """

    keys: NDArray[np.int64]
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    values: Floats


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
        targets = self._targets(np.arange(self._support.keys.size))
        permitted = problem.constraints.permits(targets)
        self._permitted = None if permitted.all() else permitted
        self._costs = problem.score.costs(targets)
        self._n_rows_of = self._sum(problem.counts[self._support.rows])
        self._priced_for: Fit | None = None
        self._gradient, self._curvature = np.empty(0), np.empty(0)

    @staticmethod
    def can_price(problem: SearchProblem) -> bool:
        """Tell whether a problem is small enough, and has neither zeros nor known weights."""
        factors = problem.factors
        n_entries = factors.n_configurations * 2.0 ** len(problem.cardinalities)
        n_targets = float(np.prod(problem.cardinalities + 1.0))
        plain = not (factors.n_zeros.any() or factors.log_scale.any() or problem.has_known)
        return n_entries <= _MOST_ENTRIES and n_targets < 2.0**62 and plain

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
        wanted = np.unique(np.concatenate(blocks))
        place = np.minimum(np.searchsorted(self._support.keys, wanted), self._support.keys.size - 1)
        return self._take(fit, place[self._support.keys[place] == wanted])

    def far(self, fit: Fit) -> Priced:
        """Price the targets that gain most, next to the mixture as it is, and the steepest."""
        self._price(fit)
        n_rows = self.problem.n_rows
        steep = self._gradient > 1.0
        if self._permitted is not None:
            steep &= self._permitted
        index = np.flatnonzero(steep)
        z = z_scores(self._gradient[index], self._curvature[index], n_rows)
        gain = self._gains(fit, index) - self._costs[index]
        chosen = np.union1d(_largest(gain, _BY_GAIN), _largest(z, _BY_GRADIENT))
        return self._take(fit, index[chosen])

    def _take(self, fit: Fit, index: NDArray[np.int64]) -> Priced:
        self._price(fit)
        if self._permitted is not None:
            index = index[self._permitted[index]]
        index = index[~np.isin(self._support.keys[index], self._keys(fit.targets))]
        return Priced(
            self._targets(index).astype(fit.targets.dtype),
            self._gradient[index],
            self._curvature[index],
        )

    def _price(self, fit: Fit) -> None:
        if self._priced_for is fit:
            return
        rows, values = self._support.rows, self._support.values
        relative = (1.0 / fit.mixture)[rows] * values
        weighted = relative * self.problem.counts[rows]
        self._gradient = self._sum(weighted) / self.problem.n_rows
        self._curvature = self._sum(weighted * relative)
        self._priced_for = fit

    def _gains(self, fit: Fit, index: NDArray[np.int64]) -> Floats:
        """Rise of the log-likelihood along the line from the mixture to each target."""
        ends = np.append(self._support.starts[1:], self._support.rows.size)
        length = ends[index] - self._support.starts[index]
        first = np.cumsum(length) - length
        entry = np.arange(length.sum()) + np.repeat(self._support.starts[index] - first, length)
        rows = self._support.rows[entry]
        excess = self._support.values[entry] / fit.mixture[rows] - 1.0
        counts = self.problem.counts[rows]
        n_rows, own = self.problem.n_rows, self._n_rows_of[index]
        best = np.zeros(index.size)
        for share in _SHARES:
            weight = share * own / n_rows
            # The target that all rows can come from would lose those of the others otherwise.
            inside = counts * np.log1p(np.repeat(weight, length) * excess)
            gain = np.add.reduceat(inside, first) if index.size else best
            outside = (n_rows - own) * np.log1p(-weight)
            np.maximum(best, gain + outside, out=best)
        return best

    def _sum(self, values: Floats) -> Floats:
        """Sum over the configurations of each target."""
        if not self._support.starts.size:
            return np.empty(0)
        return np.asarray(np.add.reduceat(values, self._support.starts))

    def _keys(self, targets: Ints) -> NDArray[np.int64]:
        digits = tuple(targets.T.astype(np.int64) + 1)
        return np.asarray(np.ravel_multi_index(digits, self._radix), dtype=np.int64)

    def _targets(self, index: NDArray[np.int64]) -> Ints:
        keys = self._support.keys[index]
        return np.stack(np.unravel_index(keys, self._radix), axis=1).astype(np.int16) - 1


def _largest(values: Floats, most: int) -> NDArray[np.int64]:
    """Positions of the largest values."""
    if values.size <= most:
        return np.arange(values.size)
    return np.argpartition(-values, most - 1)[:most]


def _list_support(
    problem: SearchProblem, radix: tuple[int, ...], max_size: int | None
) -> _Support:
    """List the targets that enough rows can come from."""
    factors = problem.factors
    every = np.arange(factors.n_configurations)
    keys = np.zeros((every.size, 1), dtype=np.int64)
    values = np.ones((every.size, 1))
    sizes = np.zeros(1, dtype=np.int16)
    for j, k in enumerate(radix):
        # Each set of variables so far, and the same with one more.
        keys = keys * k
        digit = factors.codes[:, j].astype(np.int64)[:, None] + 1
        keys = np.concatenate([keys, keys + digit], axis=1)
        values = np.concatenate([values, values * factors.inverse(every, j)[:, None]], axis=1)
        sizes = np.concatenate([sizes, sizes + 1])
        if max_size is not None:
            fitting = sizes <= max_size
            keys, values, sizes = keys[:, fitting], values[:, fitting], sizes[fitting]
    rows = np.repeat(every, keys.shape[1]).astype(np.int32)
    order = np.argsort(keys, axis=None, kind="stable")
    keys, rows, values = keys.ravel()[order], rows[order], values.ravel()[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    enough = np.add.reduceat(problem.counts[rows], first) >= _LEAST_ROWS
    kept = np.repeat(enough, np.diff(np.append(first, keys.size)))
    keys, rows, values = keys[kept], rows[kept], values[kept]
    starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])[: keys.size])
    return _Support(keys[starts], starts, rows, values)
