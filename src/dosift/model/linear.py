"""The mechanism of a continuous variable: a linear regression on its parents.

Values are on a working scale (:mod:`dosift.model.scale`), centred and scaled by the control rows,
so that one is a large step and a hundredth a small one. The noise is a normal distribution, or a
mixture of a few that control rows ask for: heavy tails, or two states. Its width may change along
a line in the features (what is large is often also noisy).

The density is that of a row that is still to come, given the rows that taught the regression:
where parents are far outside the range of those rows the coefficients' own error widens it, and a
child that must extrapolate gives little evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Values
from dosift.model.features import Feature, design
from dosift.model.noise import LEAST_SD, Noise

__all__ = ["COEFFICIENT_SD", "LEAST_SD", "MOST_AXIS", "LinearMechanism", "Noise"]

#: Prior precision of coefficients, and of the intercept. On the working scales a coefficient is
#: not expected to be above ten before rows say so; with collinear parents none is.
_RIDGE, _INTERCEPT_RIDGE = 1e-2, 1e-4
#: Standard deviation that coefficients are expected to have.
COEFFICIENT_SD = _RIDGE**-0.5
#: Least share of the ridge in the largest sum of squares, so that the inverse is one.
_LEAST_RIDGE = 1e-13
#: Positions along the axis of the noise, in standard deviations, beyond which its width stays.
MOST_AXIS = 3.0
#: Prior precision of the slope of the noise's width, and the largest change in one step.
_SLOPE_RIDGE, _MOST_STEP = 1.0, 0.3
_LOG_2PI = float(np.log(2.0 * np.pi))
#: Rows that are looked at together: what is worked out of many does not take many times their room.
_AT_ONCE = 2**17


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows as a regression sees them."""

    #: Intercept and features, shape (n_rows, 1 + n_features).
    x: Floats
    #: By which the noise of each row is multiplied.
    width: Floats
    #: Factor by which the coefficients' error widens the variance of each row.
    wide: Floats
    #: Of each row, less the mean, in units of the width.
    residual: Floats


@dataclass(frozen=True, eq=False)
class LinearMechanism:
    """A linear regression on features of the parents.

    Attributes
    ----------
    variable : int
        Position of the variable.
    parents : tuple of int
        Positions of its parents.
    features : tuple of Feature
        What the mean is linear in, beside the intercept.
    coefficients : ndarray, shape (1 + n_features,)
        Intercept first.
    noise : Noise
    covariance : ndarray, shape (1 + n_features, 1 + n_features), optional
        Covariance of the coefficients, in units of the noise's variance; None where they are
        known.
    offset : float
        Added to the mean by a change.
    factor : float
        By which a change multiplies the noise.
    axis : ndarray, shape (1 + n_features,), optional
        What the logarithm of the noise's width is linear in, in terms of intercept and features;
        of mean 0 in the control rows, and of standard deviation 1, or 1 at most where the width
        depends on states of the parents. None if the width is the same everywhere.
    slope : float
        Of the logarithm of the width along that axis.

    Examples
    --------
    >>> from dosift.model.features import Plain
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> values = np.stack([x, 2.0 * x + 0.5 * rng.normal(size=2000)], axis=1)
    >>> start = LinearMechanism.untaught(1, (0,), (Plain(0),))
    >>> found = start.fitted(start.statistics(values, np.ones(2000)))
    >>> found.coefficients[1:].round(1), round(found.noise.sd, 2)
    (array([2.]), 0.5)
    """

    variable: int
    parents: tuple[int, ...]
    features: tuple[Feature, ...]
    coefficients: Floats
    noise: Noise
    covariance: Floats | None = None
    offset: float = 0.0
    factor: float = 1.0
    axis: Floats | None = None
    slope: float = 0.0
    is_positive: bool = field(default=True, init=False)

    @classmethod
    def untaught(
        cls, variable: int, parents: tuple[int, ...], features: tuple[Feature, ...]
    ) -> LinearMechanism:
        """Return a regression that knows nothing yet."""
        zeros = np.zeros(1 + len(features))
        return cls(variable, parents, features, zeros, Noise.normal(1.0))

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return int(self.coefficients.size) + self.noise.n_free + (self.axis is not None)

    @property
    def is_learned(self) -> bool:
        """Whether the coefficients have an error of their own."""
        return self.covariance is not None

    def mean(self, values: Values) -> Floats:
        """Mean of the regression, without the noise's.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        out: Floats = design(self.features, values) @ self.coefficients
        return out + self.offset

    def residuals(self, values: Values) -> Floats:
        """Values less the mean of the regression, in units of the noise's width.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        x = design(self.features, values)
        own = np.asarray(values[:, self.variable], dtype=np.float64)
        return np.asarray((own - x @ self.coefficients - self.offset) / self._width(x))

    def _widening(self, x: Floats) -> Floats:
        """Factor by which the coefficients' error widens the variance of each row."""
        if self.covariance is None:
            return np.ones(len(x))
        return np.asarray(1.0 + np.einsum("ij,ij->i", x @ self.covariance, x))

    def _along(self, x: Floats) -> Floats:
        """Position of each row along the axis of the noise."""
        if self.axis is None:
            return np.zeros(len(x))
        return np.clip(x @ self.axis, -MOST_AXIS, MOST_AXIS)

    def _width(self, x: Floats) -> Floats:
        """By which the noise of each row is multiplied."""
        if self.axis is None:
            return np.full(len(x), self.factor)
        return np.asarray(self.factor * np.exp(self.slope * self._along(x)))

    def _rows(self, x: Floats, own: Floats) -> _Rows:
        """See rows, the own value not missing."""
        width, wide = self._width(x), self._widening(x)
        residual = (own - x @ self.coefficients - self.offset) / width
        return _Rows(x, width, wide, residual)

    def _log_parts(self, rows: _Rows) -> Floats:
        """Log-density of each part of the noise, shape (n_rows, n_parts)."""
        constant = -np.log(rows.width) - 0.5 * np.log(rows.wide) - 0.5 * _LOG_2PI
        out = np.empty((rows.residual.size, self.noise.n_parts))
        for k in range(self.noise.n_parts):
            sd = self.noise.sds[k]
            z = np.square((rows.residual - self.noise.means[k]) / sd)
            out[:, k] = constant - 0.5 * z / rows.wide + np.log(self.noise.shares[k] / sd)
        return out

    def _posterior(self, rows: _Rows) -> Floats:
        """Probability of each part of the noise, shape (n_rows, n_parts)."""
        if self.noise.n_parts == 1:
            return np.ones((rows.residual.size, 1))
        log = self._log_parts(rows)
        return np.exp(log - np.logaddexp.reduce(log, axis=1, keepdims=True))

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the density, 0 where the own value is missing."""
        if len(values) > _AT_ONCE:
            return np.concatenate([self.log_density(part) for part in _in_parts(values)])
        own, is_open = self._own(values)
        parts = self._log_parts(self._rows(design(self.features, values), own))
        log = parts[:, 0] if parts.shape[1] == 1 else np.logaddexp.reduce(parts, axis=1)
        return np.asarray(np.where(is_open, 0.0, log))

    def _own(self, values: Values) -> tuple[Floats, Bools]:
        """Return values of the variable, 0 where missing, and where they are."""
        own = np.asarray(values[:, self.variable], dtype=np.float64)
        is_open = np.isnan(own)
        return np.where(is_open, 0.0, own), is_open

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the variable given its parents."""
        x = design(self.features, values)
        part = rng.choice(self.noise.n_parts, size=len(values), p=self.noise.shares)
        noise = self.noise.sds[part] * np.sqrt(self._widening(x)) * rng.normal(size=len(values))
        noise += self.noise.means[part]
        return np.asarray(x @ self.coefficients + self.offset + self._width(x) * noise)

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum, for each part of the noise, products of intercept, features, own value and one.

        Rows that lack the own value or a parent's say nothing.

        Returns
        -------
        ndarray, shape (n_parts, 4 + n_features, 3 + n_features)
            The products, all but the one in units of the noise's width, of rows weighted by the
            part's posterior over the widening. In the last line the expected number of rows and,
            where the width has a slope, the gradient by it and the curvature; otherwise the sum of
            the logarithms of the widening.
        """
        if len(values) > _AT_ONCE:
            several = zip(_in_parts(values), _in_parts(weights), strict=True)
            total: Floats = np.sum([self.statistics(*part) for part in several], axis=0)
            return total
        own = np.asarray(values[:, self.variable], dtype=np.float64)
        x = design(self.features, values)
        seen = np.isfinite(own) & np.isfinite(x).all(axis=1) & (weights > 0)
        if not seen.all():
            own, weights, x = own[seen], weights[seen], x[seen]
        rows = self._rows(x, own)
        size = x.shape[1] + 2
        together = np.empty((own.size, size), order="F")
        together[:, :-2] = x / rows.width[:, None]
        together[:, -2] = (own - self.offset) / rows.width
        together[:, -1] = 1.0
        out = np.zeros((self.noise.n_parts, size + 1, size))
        parts, along = self._posterior(rows), self._along(x)
        for k in range(self.noise.n_parts):
            shared = weights * parts[:, k]
            out[k, :-1] = together.T @ (together * (shared / rows.wide)[:, None])
            out[k, -1, 0] = shared.sum()
            if self.axis is None:
                out[k, -1, 1] = shared @ np.log(rows.wide)
            else:
                whole = rows.residual / self.noise.sds[k]
                z = whole - self.noise.means[k] / self.noise.sds[k]
                cross = shared * z * whole / rows.wide
                bend = shared * (np.square(z) + np.square(whole)) / rows.wide
                out[k, -1, 1:4] = (cross - shared) @ along, cross @ along, bend @ np.square(along)
        return out

    @property
    def has_fixed_statistics(self) -> bool:
        """Whether the statistics of rows do not depend on coefficients and noise."""
        return self.noise.n_parts == 1 and self.axis is None

    def log_likelihood(self, statistics: Floats) -> float:
        """Log-likelihood of rows by their statistics, where these are fixed.

        Parameters
        ----------
        statistics : ndarray
            From :meth:`statistics`.

        Returns
        -------
        float
            In nats.
        """
        number, log_wide = statistics[0, -1, :2]
        sd = float(self.noise.sds[0])
        squares = float(_of_residuals(statistics[:, :-1], self.coefficients)[0, 0, 0])
        constant = _LOG_2PI + 2.0 * np.log(sd * self.factor)
        return -0.5 * float(number * constant + log_wide + max(squares, 0.0) / sd**2)

    def with_error_of(self, other: LinearMechanism) -> LinearMechanism:
        """Return the same, its coefficients as uncertain as those of another.

        How sure coefficients are stays as it is while rows and mechanism are fitted by turns; what
        an uncertain regression widens would otherwise change under its own feet.
        """
        return replace(self, covariance=other.covariance)

    def fitted(self, statistics: Floats) -> LinearMechanism:
        """Return the regression that the rows ask for: one step of EM over the noise's parts."""
        k = self.coefficients.size
        precision = 1.0 / np.square(self.noise.sds)
        products, last = statistics[:, :-1], statistics[:, -1]
        sums = np.tensordot(precision, products[:, :k], 1)
        xy = sums[:, k] - np.tensordot(precision * self.noise.means, products[:, :k, k + 1], 1)
        prior = np.full(k, _RIDGE)
        prior[0] = _INTERCEPT_RIDGE
        ridge = np.maximum(prior, _LEAST_RIDGE * np.abs(sums[:, :k]).max())
        inverse = np.linalg.inv(sums[:, :k] + np.diag(ridge))
        coefficients = inverse @ xy
        noise = self.noise.fitted(_of_residuals(products, coefficients), last[:, 0])
        covariance = inverse / float(self.noise.shares @ np.square(self.noise.sds))
        slope = self.slope
        if self.axis is not None:
            step, shrink = self._slope_step(products, last)
            slope, noise = slope + step, replace(noise, sds=noise.sds * shrink)
        return replace(
            self,
            coefficients=coefficients,
            noise=noise,
            covariance=0.5 * (covariance + covariance.T),
            slope=slope,
        )

    def _slope_step(self, products: Floats, last: Floats) -> tuple[float, Floats]:
        """Newton's step of the slope, and by what the parts' widths then change."""
        residuals = _of_residuals(products, self.coefficients)
        means = self.noise.means
        squares = residuals[:, 0, 0] - 2.0 * means * residuals[:, 0, 1]
        squares += np.square(means) * residuals[:, 1, 1]
        squares = np.maximum(squares / np.square(self.noise.sds), 1e-9)
        number, gradient, cross, curvature = last[:, :4].T
        ratio = cross / squares
        pull = float(gradient.sum() - ratio @ (squares - number)) - _SLOPE_RIDGE * self.slope
        bend = float(curvature.sum() - 2.0 * ratio @ cross) + _SLOPE_RIDGE
        step = float(np.clip(pull / max(bend, _SLOPE_RIDGE), -_MOST_STEP, _MOST_STEP))
        return step, np.exp(-ratio * step)

    def log_prior(self) -> float:
        """Logarithm of the prior that :meth:`fitted` maximises with the likelihood."""
        squares = np.square(self.coefficients)
        out = -0.5 * float(_INTERCEPT_RIDGE * squares[0] + _RIDGE * squares[1:].sum())
        return out + self.noise.log_prior() - 0.5 * _SLOPE_RIDGE * self.slope**2

    def scores(self, values: Values) -> Floats:
        """Return derivatives by coefficients; the noise's shares, means, deviations; the slope."""
        x = design(self.features, values)
        own, is_open = self._own(values)
        rows = self._rows(x, own)
        parts = self._posterior(rows)
        pull, width, stretch = self._pulls(rows, parts)
        out = [x * (pull.sum(axis=1) / rows.width)[:, None]]
        if parts.shape[1] > 1:
            # By the logarithms of the odds against the first part.
            out.append(parts[:, 1:] - self.noise.shares[1:])
            if self.noise.has_means:
                out.append(pull[:, 1:])
        out.append(width)
        if self.axis is not None:
            out.append((stretch * self._along(x))[:, None])
        found = np.concatenate(out, axis=1)
        found[is_open] = 0.0
        return found

    def scores_of_change(self, values: Values) -> tuple[Floats, Floats]:
        """Return derivatives by the offset, and by the logarithm of the factor.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        tuple of ndarray, each of shape (n_rows,)
        """
        own, is_open = self._own(values)
        rows = self._rows(design(self.features, values), own)
        pull, _, stretch = self._pulls(rows, self._posterior(rows))
        by_offset = np.where(is_open, 0.0, pull.sum(axis=1) / rows.width)
        return by_offset, np.where(is_open, 0.0, stretch)

    def _pulls(self, rows: _Rows, parts: Floats) -> tuple[Floats, Floats, Floats]:
        """Return derivatives by each part's mean and deviation, and by the width's logarithm."""
        away = rows.residual[:, None] - self.noise.means
        pull = parts * away / (np.square(self.noise.sds) * rows.wide[:, None])
        width = (pull * away - parts) / self.noise.sds
        return pull, width, pull.sum(axis=1) * rows.residual - 1.0


def _in_parts(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Go through rows a part at a time; views."""
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))


def _of_residuals(products: Floats, coefficients: Floats) -> Floats:
    """Products of residual and one from those of all, shape (n_parts, 2, 2)."""
    k = coefficients.size
    turn = np.zeros((2, k + 2))
    turn[0, :k], turn[0, k], turn[1, k + 1] = -coefficients, 1.0, 1.0
    return np.asarray(turn @ products @ turn.T)
