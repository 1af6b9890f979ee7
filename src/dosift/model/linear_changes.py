"""Changes of a continuous variable's mechanism: set, shifted, multiplied, or free."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dosift.model.linear import LEAST_SD, LinearMechanism, Noise
from dosift.model.mechanism import Floats, Mechanism, Values

#: Least standard deviation of what a change sets a variable to: narrower is an exact value, and
#: a normal distribution whose variance goes to zero would explain any single row.
LEAST_SPREAD = 0.03
#: A standard deviation is expected to be near this, by so many rows' worth.
_PRIOR_SD, _PRIOR_ROWS = 0.5, 1.0
#: Range of the factor by which a change may multiply noise.
_LEAST_FACTOR, _MOST_FACTOR = 0.1, 10.0


def _linear(mechanism: Mechanism) -> LinearMechanism:
    if not isinstance(mechanism, LinearMechanism):
        raise ValueError("a change of a continuous variable needs a regression")
    return mechanism


def _bounded_sd(square_sum: float, number: float, least: float) -> float:
    total = max(square_sum, 0.0) + _PRIOR_ROWS * _PRIOR_SD**2
    return float(max(np.sqrt(total / (number + _PRIOR_ROWS)), least))


@dataclass(frozen=True)
class SetNormal:
    """Draws the variable from a normal distribution, whatever its parents are.

    Attributes
    ----------
    mean, sd : float
        On the working scale.
    """

    mean: float
    sd: float
    kind: ClassVar[str] = "set"
    keeps_mechanism: ClassVar[bool] = False

    @property
    def n_free(self) -> int:
        """Mean and standard deviation."""
        return 2

    def applied(self, mechanism: Mechanism) -> LinearMechanism:
        """Return a regression on nothing."""
        return LinearMechanism(
            _linear(mechanism).variable, (), (), np.array([self.mean]), Noise.normal(self.sd)
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> SetNormal:
        """Return mean and standard deviation of the rows."""
        ((one, first), (_, second), (number, _)) = statistics[0]
        if one <= 0:
            return self
        mean = first / one
        return SetNormal(
            float(mean), _bounded_sd(second - one * mean**2, float(number), LEAST_SPREAD)
        )

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by mean and standard deviation."""
        z = (values[:, _linear(mechanism).variable] - self.mean) / self.sd
        out = np.stack([z / self.sd, (z * z - 1.0) / self.sd], axis=1)
        return np.asarray(np.where(np.isnan(z)[:, None], 0.0, out))

    def text(self, variable: str) -> str:
        """Write the change."""
        return f"{variable}~{self.mean:.3g}±{self.sd:.2g}"


@dataclass(frozen=True)
class Shift:
    """Adds to the variable, whatever its parents do to it.

    Attributes
    ----------
    by : float
        On the working scale.
    factor : float
        By which the noise is multiplied.
    has_factor : bool
        Whether the factor is free; otherwise it is kept.
    """

    by: float
    factor: float = 1.0
    has_factor: bool = False
    kind: ClassVar[str] = "shift"
    keeps_mechanism: ClassVar[bool] = True

    @property
    def n_free(self) -> int:
        """What is added, and the factor if it is free."""
        return 1 + self.has_factor

    def applied(self, mechanism: Mechanism) -> LinearMechanism:
        """Return the regression, moved."""
        old = _linear(mechanism)
        return replace(old, offset=old.offset + self.by, factor=old.factor * self.factor)

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Shift:
        """Return the shift of the rows' residuals."""
        old = _linear(mechanism)
        products, numbers = statistics[:, :-1], statistics[:, -1, 0]
        k, precision = old.coefficients.size, 1.0 / np.square(old.noise.sds)
        ones = products[:, 0, 0]
        away = products[:, 0, k] - products[:, 0, :k] @ old.coefficients
        means = old.noise.means * self.factor
        if precision @ ones <= 0:
            return self
        more = float(precision @ (away - means * ones) / (precision @ ones))
        found = replace(self, by=self.by + more)
        if not self.has_factor:
            return found
        b = np.append(-old.coefficients, 1.0)
        squares = np.einsum("i,kij,j->k", b, products, b)
        squares += np.square(more + means) * ones - 2.0 * (more + means) * away
        total = float(precision @ squares) + _PRIOR_ROWS
        ratio = np.sqrt(max(total, 0.0) / (numbers.sum() + _PRIOR_ROWS)) * self.factor
        return replace(found, factor=float(np.clip(ratio, _LEAST_FACTOR, _MOST_FACTOR)))

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by what is added, and by the factor if it is free."""
        changed = self.applied(mechanism)
        own = changed.scores(values)
        parts = [own[:, :1]]  # as by the intercept
        if self.has_factor:
            n = changed.noise.n_parts
            parts.append(own[:, -n:] @ changed.noise.sds[:, None] / self.factor)
        return np.concatenate(parts, axis=1)

    def text(self, variable: str) -> str:
        """Write the change."""
        spread = f", noise*{self.factor:.3g}" if self.has_factor else ""
        return f"{variable}{self.by:+.3g}{spread}"


@dataclass(frozen=True)
class Gain:
    """Multiplies the mean given the parents, and adds to it: a sensor whose exposure changed.

    Attributes
    ----------
    gain : float
        By which the mean is multiplied.
    offset : float
        Added to that, on the working scale.
    factor : float
        By which the noise is multiplied.
    """

    gain: float
    offset: float
    factor: float = 1.0
    kind: ClassVar[str] = "gain"
    keeps_mechanism: ClassVar[bool] = False

    @property
    def n_free(self) -> int:
        """Gain, offset and factor."""
        return 3

    def applied(self, mechanism: Mechanism) -> LinearMechanism:
        """Return the regression with its mean multiplied."""
        old = _linear(mechanism)
        coefficients = old.coefficients * self.gain
        coefficients[0] += self.offset
        covariance = old.covariance
        if covariance is not None:
            covariance = covariance * (self.gain / self.factor) ** 2
        return replace(
            old,
            coefficients=coefficients,
            covariance=covariance,
            noise=old.noise.scaled(self.factor),
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Gain:
        """Return the regression of the rows on the old mean."""
        old = _linear(mechanism)
        precision = 1.0 / np.square(old.noise.sds * self.factor)
        k, b = old.coefficients.size, old.coefficients
        sums = np.tensordot(precision, statistics[:, :-1], 1)
        inner = np.array([[sums[0, 0], sums[0, :k] @ b], [sums[:k, 0] @ b, b @ sums[:k, :k] @ b]])
        noise = np.tensordot(precision * old.noise.means * self.factor, statistics[:, :-1], 1)
        outer = np.array([sums[0, k] - noise[0, 0], b @ sums[:k, k] - b @ noise[:k, 0]])
        number = float(statistics[:, -1, 0].sum())
        if number <= 0 or sums[0, 0] <= 0:
            return self
        # A gain near one is expected, by a row's worth.
        prior = np.diag([0.0, 1.0]) * sums[0, 0] / number
        found = np.linalg.solve(inner + prior, outer + prior @ np.array([0.0, 1.0]))
        offset, gain = float(found[0]), float(found[1])
        means = old.noise.means * self.factor
        total = 0.0
        for weight, mean, own in zip(precision, means, statistics[:, :-1], strict=True):
            c = np.append(-gain * b, 1.0)
            c[0] -= offset + mean
            total += weight * float(c @ own @ c)
        ratio = np.sqrt((max(total, 0.0) + _PRIOR_ROWS) / (number + _PRIOR_ROWS)) * self.factor
        return Gain(gain, offset, float(np.clip(ratio, _LEAST_FACTOR, _MOST_FACTOR)))

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by gain, offset and factor."""
        old = _linear(mechanism)
        changed = self.applied(mechanism)
        own = changed.scores(values)
        by_coefficient = own[:, : old.coefficients.size]
        n = changed.noise.n_parts
        by_factor = own[:, -n:] @ changed.noise.sds[:, None] / self.factor
        return np.concatenate(
            [by_coefficient @ old.coefficients[:, None], by_coefficient[:, :1], by_factor], axis=1
        )

    def text(self, variable: str) -> str:
        """Write the change."""
        return f"{variable}*{self.gain:.3g}{self.offset:+.3g}"


@dataclass(frozen=True, eq=False)
class FreeRegression:
    """Another regression on the same parents.

    Attributes
    ----------
    coefficients : ndarray, shape (1 + n_features,)
    sd : float
    """

    coefficients: Floats
    sd: float
    kind: ClassVar[str] = "free"
    keeps_mechanism: ClassVar[bool] = False

    @property
    def n_free(self) -> int:
        """Coefficients and standard deviation."""
        return int(self.coefficients.size) + 1

    def applied(self, mechanism: Mechanism) -> LinearMechanism:
        """Return the other regression."""
        return replace(
            _linear(mechanism),
            coefficients=self.coefficients,
            noise=Noise.normal(self.sd),
            covariance=None,
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> FreeRegression:
        """Return the regression that the rows ask for, drawn a little to the old one."""
        old, number = _linear(mechanism), float(statistics[0, -1, 0])
        if number <= 0:
            return self
        k = self.coefficients.size
        own = statistics[0, :-1]
        ridge = np.eye(k)
        aim = own[:k, k] + ridge @ old.coefficients
        found = np.asarray(np.linalg.solve(own[:k, :k] + ridge, aim), dtype=np.float64)
        c = np.append(-found, 1.0)
        return FreeRegression(found, _bounded_sd(float(c @ own @ c), number, LEAST_SPREAD))

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by coefficients and standard deviation."""
        return self.applied(mechanism).scores(values)

    def text(self, variable: str) -> str:
        """Write the change."""
        return f"{variable}: another regression"


@dataclass(frozen=True)
class SetPoint:
    """Sets the variable to one exact value.

    Attributes
    ----------
    value : float
        On the working scale.
    resolution : float
        Of the measurement: values at most half of it away are the same.
    """

    value: float
    resolution: float
    kind: ClassVar[str] = "do"
    keeps_mechanism: ClassVar[bool] = False
    #: The value is read from ties, not fitted.
    n_free: ClassVar[int] = 0

    def applied(self, mechanism: Mechanism) -> PointMechanism:
        """Return the mechanism that makes this value only."""
        return PointMechanism(mechanism.variable, self.value, self.resolution)

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> SetPoint:
        """Return the same."""
        return self

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return nothing, as nothing is free."""
        return np.empty((len(values), 0))

    def text(self, variable: str) -> str:
        """Write the change."""
        return f"{variable}={self.value:.6g}"


@dataclass(frozen=True)
class PointMechanism:
    """Makes one exact value, spread evenly over the resolution of the measurement."""

    variable: int
    value: float
    resolution: float
    parents: tuple[int, ...] = field(default=(), init=False)
    n_free: ClassVar[int] = 0
    is_positive: ClassVar[bool] = False

    def log_density(self, values: Values) -> Floats:
        """Return the same for all values within the resolution; 0 where it is missing."""
        own = values[:, self.variable]
        near = np.abs(own - self.value) <= 0.5 * self.resolution
        log = np.where(near, -np.log(max(self.resolution, LEAST_SD**2)), -np.inf)
        return np.asarray(np.where(np.isnan(own), 0.0, log))

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Return the value."""
        return np.full(len(values), self.value)

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Return the number of rows."""
        return np.array([weights.sum()])

    def fitted(self, statistics: Floats) -> PointMechanism:
        """Return the same."""
        return self

    def scores(self, values: Values) -> Floats:
        """Return nothing, as nothing is free."""
        return np.empty((len(values), 0))
