"""The mechanism of a discrete variable with continuous parents: a multinomial logistic regression.

The first state is the one that others are held against: the logarithms of their odds are linear in
features of the parents. Fitted by Newton's method, from gradient and information at the present
parameters, which add up over rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from dosift.model.arrays import Floats, Values
from dosift.model.features import Feature, design

#: Prior precision of coefficients: on the working scales, logarithms of odds that change by more
#: than three or so with one standard deviation need rows that say so.
_RIDGE = 0.1
#: Prior precision of intercepts, so that they have one without pseudo-counts.
_INTERCEPT_RIDGE = 1e-6
#: Logarithms of odds may move in some rows by so many times their root mean square in one step.
_REACH = 3.0


@dataclass(frozen=True, eq=False)
class LogisticMechanism:
    """A multinomial logistic regression on features of the parents.

    Attributes
    ----------
    variable : int
        Position of the variable.
    parents : tuple of int
        Positions of its parents.
    features : tuple of Feature
        What the logarithms of the odds are linear in, beside the intercept.
    coefficients : ndarray, shape (n_states - 1, 1 + n_features)
        Of each state but the first, intercept first.
    prior : float
        Pseudo-count of each state where all features are 0.

    Examples
    --------
    >>> from dosift.model.features import Plain
    >>> rng = np.random.default_rng(0)
    >>> truth = LogisticMechanism(1, (0,), (Plain(0),), np.array([[-1.0, 2.0]]))
    >>> values = np.stack([rng.normal(size=5000), np.zeros(5000)], axis=1)
    >>> values[:, 1] = truth.draw(values, rng)
    >>> found = LogisticMechanism.untaught(1, (0,), (Plain(0),), n_states=2)
    >>> for _ in range(10):
    ...     found = found.fitted(found.statistics(values, np.ones(5000)))
    >>> found.coefficients.round(1)
    array([[-1.,  2.]])
    """

    variable: int
    parents: tuple[int, ...]
    features: tuple[Feature, ...]
    coefficients: Floats
    prior: float = 0.5
    is_positive: bool = field(default=True, init=False)

    @classmethod
    def untaught(
        cls,
        variable: int,
        parents: tuple[int, ...],
        features: tuple[Feature, ...],
        n_states: int,
        prior: float = 0.5,
    ) -> LogisticMechanism:
        """Return a regression under which all states are equally likely."""
        zeros = np.zeros((n_states - 1, 1 + len(features)))
        return cls(variable, parents, features, zeros, prior)

    @property
    def n_states(self) -> int:
        """Number of states of the variable."""
        return len(self.coefficients) + 1

    @property
    def n_free(self) -> int:
        """Number of coefficients."""
        return int(self.coefficients.size)

    def _log_probabilities(self, x: Floats) -> Floats:
        """Logarithms of the states' probabilities, shape (n_rows, n_states)."""
        odds = np.zeros((len(x), self.n_states))
        odds[:, 1:] = x @ self.coefficients.T
        return np.asarray(log_softmax(odds, axis=1))

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the probability of each row's state given its parents; 0 if missing."""
        codes = _codes(values, self.variable)
        log = self._log_probabilities(design(self.features, values))
        own = np.take_along_axis(log, np.maximum(codes, 0)[:, None], axis=1)[:, 0]
        return np.asarray(np.where(codes < 0, 0.0, own))

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw states given the parents."""
        sums = np.exp(self._log_probabilities(design(self.features, values))).cumsum(axis=1)
        uniforms = rng.random((len(values), 1)) * sums[:, -1:]
        out: NDArray[np.int64] = (uniforms >= sums[:, :-1]).sum(axis=1)
        return out

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum gradient and information at the present coefficients, and squares of the features.

        Returns
        -------
        ndarray, shape (n_free + n_free ** 2 + n_coefficients ** 2 + 1,)
            Gradient, information, products of intercept and features, and the rows' weight.
        """
        codes, x = _codes(values, self.variable), design(self.features, values)
        seen = (codes >= 0) & np.isfinite(x).all(axis=1) & (weights > 0)
        if not seen.all():
            codes, x, weights = codes[seen], x[seen], weights[seen]
        share = np.exp(self._log_probabilities(x))[:, 1:]
        k, free = x.shape[1], self.n_states - 1
        away = weights[:, None] * ((codes[:, None] == np.arange(1, self.n_states)) - share)
        information = np.empty((free, k, free, k))
        for s in range(free):
            for t in range(s + 1):
                bend = weights * share[:, s] * ((s == t) - share[:, t])
                information[s, :, t] = x.T @ (x * bend[:, None])
                information[t, :, s] = information[s, :, t].T
        squares = x.T @ (x * weights[:, None])
        return np.concatenate(
            [(away.T @ x).ravel(), information.ravel(), squares.ravel(), [weights.sum()]]
        )

    def fitted(self, statistics: Floats) -> LogisticMechanism:
        """Return the regression after a step of Newton's method, shortened where it is large."""
        size, (free, k) = self.n_free, self.coefficients.shape
        gradient, rest = statistics[:size].copy(), statistics[size:]
        information = rest[: size**2].reshape(size, size).copy()
        squares, number = rest[size**2 : -1].reshape(k, k), max(float(rest[-1]), 1.0)
        ridge = np.full((free, k), _RIDGE)
        ridge[:, 0] = _INTERCEPT_RIDGE
        gradient -= ridge.ravel() * self.coefficients.ravel()
        information += np.diag(ridge.ravel())
        # Pseudo-rows where all features are 0, one of each state.
        share = np.exp(self._log_at_zero())[1:]
        intercepts = np.arange(free) * k
        gradient[intercepts] += self.prior * (1.0 - self.n_states * share)
        bend = self.prior * self.n_states * (np.diag(share) - np.outer(share, share))
        information[np.ix_(intercepts, intercepts)] += bend
        step = np.linalg.solve(information, gradient).reshape(free, k)
        moved = _REACH * np.sqrt(max(np.einsum("si,ij,sj->s", step, squares, step).max(), 0.0))
        moved /= np.sqrt(number)
        # A step as long as this raises the likelihood (F. Bach, "Self-concordant analysis for
        # logistic regression", Electronic Journal of Statistics 4, 2010).
        length = np.log1p(moved) / moved if moved > 0 else 1.0
        return replace(self, coefficients=self.coefficients + length * step)

    def _log_at_zero(self) -> Floats:
        """Logarithms of the states' probabilities where all features are 0."""
        return np.asarray(log_softmax(np.append(0.0, self.coefficients[:, 0])))

    def log_prior(self) -> float:
        """Logarithm of the prior that :meth:`fitted` maximises with the likelihood."""
        squares = np.square(self.coefficients)
        out = -0.5 * float(_INTERCEPT_RIDGE * squares[:, 0].sum() + _RIDGE * squares[:, 1:].sum())
        return out + self.prior * float(self._log_at_zero().sum())

    def scores(self, values: Values) -> Floats:
        """Return derivatives by the coefficients, state by state."""
        codes, x = _codes(values, self.variable), design(self.features, values)
        share = np.exp(self._log_probabilities(x))[:, 1:]
        away = (codes[:, None] == np.arange(1, self.n_states)) - share
        away[codes < 0] = 0.0
        return np.asarray((away[:, :, None] * x[:, None, :]).reshape(len(x), -1))


def _codes(values: Values, i: int) -> NDArray[np.int64]:
    """State codes of a variable, -1 where missing."""
    column: NDArray[Any] = values[:, i]
    if np.issubdtype(column.dtype, np.floating):
        column = np.nan_to_num(column, nan=-1.0)
    return np.asarray(column, dtype=np.int64)
