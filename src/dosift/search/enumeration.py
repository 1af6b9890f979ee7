"""Pricing of every target at once, where they can be enumerated."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints
from dosift.search.pricing import SHORTLIST, Priced, z_scores
from dosift.search.problem import Fit, SearchProblem

#: Number of targets up to which all of them are priced at once.
ENUMERABLE = 2**18


class EnumeratedPricer:
    """Prices all targets by one multilinear transform of the relative residual.

    Variables are taken in reverse topological order; each is either summed out (left alone) or
    picked at a state and divided by its mechanism (set), as no factor that is still to come
    depends on it. With k states a variable that is n (k + 1)^n operations for (k + 1)^n targets.
    The curvature is the same transform of the squares.

    Parameters
    ----------
    problem : SearchProblem
        With few enough targets, see :meth:`can_price`.
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(self, problem: SearchProblem, max_size: int | None = None) -> None:
        self.problem = problem
        self._shape = tuple(int(k) + 1 for k in problem.cardinalities)
        self._forbidden: Bools | None = None
        if max_size is not None:
            self._forbidden = (self._targets >= 0).sum(axis=1) > max_size
        if not problem.constraints.is_free:
            refused = ~problem.constraints.permits(self._targets)
            self._forbidden = refused if self._forbidden is None else self._forbidden | refused
        self._priced_for: Fit | None = None
        self._gradient, self._curvature = np.empty(0), np.empty(0)

    @cached_property
    def _targets(self) -> Ints:
        """All targets in the order of their prices, shape (n_targets, n_variables)."""
        listed: Ints = np.indices(self._shape, dtype=np.int16).reshape(len(self._shape), -1).T - 1
        return np.ascontiguousarray(listed, dtype=np.int16)

    @cached_property
    def _strides(self) -> NDArray[np.int64]:
        """How far the next change of each variable is in this order."""
        return np.cumprod((1, *self._shape[:0:-1]), dtype=np.int64)[::-1]

    @staticmethod
    def can_price(problem: SearchProblem) -> bool:
        """Tell whether a problem is small enough.

        Structural zeros, changes of which several fit a row, and variables outside the problem on
        which its factors depend are left to
        :class:`~dosift.search.pricing.NeighbourPricer`.
        """
        n_targets = float(np.prod(problem.cardinalities + 1.0))
        has_zeros = bool(problem.factors.n_zeros.any())
        return n_targets <= ENUMERABLE and problem.is_closed and not has_zeros

    def near(self, fit: Fit) -> Priced:
        """Price the targets that differ from one of a mixture in a single variable."""
        return self.around(fit, fit.targets)

    def around(self, fit: Fit, targets: Ints) -> Priced:
        """Price the targets that differ from given ones in a single variable."""
        self._price(fit)
        without = self._index(targets)[:, None] - (targets + 1) * self._strides
        near = np.zeros(self._gradient.size, dtype=bool)
        for j, k in enumerate(self._shape):
            near[without[:, j, None] + np.arange(k) * self._strides[j]] = True
        return self._take(fit, near.nonzero()[0])

    def far(self, fit: Fit) -> Priced:
        """Price the steepest of all targets."""
        self._price(fit)
        n_rows = self.problem.n_rows
        z = z_scores(*self._scaled(fit, np.arange(self._gradient.size)), n_rows)
        if self._forbidden is not None:
            z[self._forbidden] = -np.inf
        length = min(4 * SHORTLIST, z.size)
        return self._take(fit, np.sort(np.argpartition(-z, length - 1)[:length]))

    def every(self, fit: Fit) -> Priced:
        """Price all targets but those of the mixture; those of gradient zero are left out."""
        self._price(fit)
        return self._take(fit, np.arange(self._gradient.size))

    def _take(self, fit: Fit, index: NDArray[np.int64]) -> Priced:
        index = index[self._gradient[index] > 0]
        if self._forbidden is not None:
            index = index[~self._forbidden[index]]
        own = np.zeros(self._gradient.size, dtype=bool)
        own[self._index(fit.targets)] = True
        index = index[~own[index]]
        targets = self._targets[index].astype(fit.targets.dtype, copy=False)
        return Priced(targets, *self._scaled(fit, index))

    def _scaled(self, fit: Fit, index: NDArray[np.int64]) -> tuple[Floats, Floats]:
        gradient = self._gradient[index] / self.problem.n_rows
        return self.problem.adjusted(gradient, self._curvature[index], fit.mixture)

    def _index(self, targets: Ints) -> NDArray[np.int64]:
        return np.asarray((targets + np.int64(1)) @ self._strides, dtype=np.int64)

    def _price(self, fit: Fit) -> None:
        if self._priced_for is fit:
            return
        shape = tuple(k - 1 for k in self._shape)
        cells, inverse_tables = self.problem.dense_cells
        first, second = np.zeros(shape), np.zeros(shape)
        first.ravel()[cells] = self.problem.counts / fit.mixture
        second.ravel()[cells] = self.problem.counts / fit.mixture**2
        for j in reversed(range(len(shape))):
            inverse = inverse_tables[j].reshape(shape[: j + 1] + (1,) * (len(shape) - j - 1))
            first = np.concatenate([first.sum(axis=j, keepdims=True), first * inverse], axis=j)
            inverse = inverse * inverse
            second = np.concatenate([second.sum(axis=j, keepdims=True), second * inverse], axis=j)
        self._gradient, self._curvature = first.ravel(), second.ravel()
        self._priced_for = fit
