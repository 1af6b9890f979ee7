"""Changes of a continuous variable's mechanism: set, shifted, multiplied, or free."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Values
from dosift.model.features import design
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Mechanism
from dosift.model.noise import LEAST_SD, Noise
from dosift.model.uniform import UniformMechanism

#: Least standard deviation of what a change sets a variable to, in units of the working scale:
#: narrower is an exact value. A measurement that is coarser than that has its own bound.
LEAST_SPREAD = 1e-6
#: The same where nobody knows how finely was measured, and of another regression.
COARSE_SPREAD = 2e-3
#: A standard deviation is expected to be near this, by so many rows' worth.
_PRIOR_SD, _PRIOR_ROWS = 0.1, 0.2
#: Range of the factor by which a change may multiply noise.
_LEAST_FACTOR, _MOST_FACTOR = 0.1, 10.0


def _linear(mechanism: Mechanism) -> LinearMechanism:
    """Return a regression; what is uniform has the normal one of the same mean and spread."""
    if isinstance(mechanism, UniformMechanism):
        middle, noise = np.array([mechanism.middle]), Noise.normal(mechanism.width / 12.0**0.5)
        return LinearMechanism(mechanism.variable, (), (), middle, noise)
    if not isinstance(mechanism, LinearMechanism):
        raise ValueError("a change of a continuous variable needs a regression")
    return mechanism


def _bounded_sd(square_sum: float, number: float, least: float, expected: float) -> float:
    total = max(square_sum, 0.0) + _PRIOR_ROWS * expected**2
    return float(max(np.sqrt(total / (number + _PRIOR_ROWS)), least))


def _refitted_factor(factor: float, number: float, cross: float, square: float) -> float:
    """Factor of the noise of a number of rows, from residuals in units of the present one.

    `cross` and `square` are sums, over rows and parts of the noise and relative to its variances,
    of residual times mean, and of the squared residual. It is the maximum of the likelihood, drawn
    towards one as by a row's worth.
    """
    # Of -n log g - square / (2 g^2) + cross / g, g the new factor over the present one.
    number, square = number + _PRIOR_ROWS, square + _PRIOR_ROWS / factor**2
    root = np.sqrt(cross**2 + 4.0 * number * max(square, 0.0))
    return float(np.clip(factor * (root - cross) / (2.0 * number), _LEAST_FACTOR, _MOST_FACTOR))


@dataclass(frozen=True)
class SetNormal:
    """Draws the variable from a normal distribution, whatever its parents are.

    Attributes
    ----------
    mean, sd : float
        On the working scale.
    least : float
        Standard deviation that it has at least, as the measurement tells no less apart.
    """

    mean: float
    sd: float
    least: float = LEAST_SPREAD
    kind: ClassVar[str] = "set"
    keeps_mechanism: ClassVar[bool] = False
    n_free: ClassVar[int] = 2

    def applied(self, mechanism: Mechanism) -> LinearMechanism:
        """Return a regression on nothing."""
        return LinearMechanism(
            mechanism.variable, (), (), np.array([self.mean]), Noise.normal(self.sd)
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> SetNormal:
        """Return mean and standard deviation of the rows."""
        (one, first), (_, second) = statistics[0, :2, :2]
        number = statistics[0, -1, 0]
        if one <= 0:
            return self
        mean = first / one
        # A few rows are close to each other by chance, many are not: what is expected falls with
        # their number, so that exact values come out as narrow as the rows say.
        expected = _PRIOR_SD / max(float(number), 1.0)
        sd = _bounded_sd(second - one * mean**2, float(number), self.least, expected)
        return replace(self, mean=float(mean), sd=sd)

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by mean and standard deviation."""
        z = (values[:, mechanism.variable] - self.mean) / self.sd
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

    def applied(self, mechanism: Mechanism) -> LinearMechanism | UniformMechanism:
        """Return the regression, or the range, moved."""
        if isinstance(mechanism, UniformMechanism):
            half, middle = 0.5 * mechanism.width * self.factor, mechanism.middle + self.by
            return replace(mechanism, low=middle - half, high=middle + half)
        old, covariance = _linear(mechanism), _linear(mechanism).covariance
        if covariance is not None:
            # The error of the coefficients is not multiplied.
            covariance = covariance / self.factor**2
        return replace(
            old,
            offset=old.offset + self.by,
            factor=old.factor * self.factor,
            covariance=covariance,
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Shift:
        """Return the shift of the rows' residuals; the same of a range, which rows do not teach."""
        if isinstance(mechanism, UniformMechanism):
            return self
        old = _linear(mechanism)
        products, numbers = statistics[:, :-1], statistics[:, -1, 0]
        k, precision = old.coefficients.size, 1.0 / np.square(old.noise.sds)
        turn = np.zeros((3, k + 2))
        turn[0, 0], turn[1, :k], turn[1, k], turn[2, k + 1] = 1.0, -old.coefficients, 1.0, 1.0
        # Products of the intercept, the residual and one.
        own = np.asarray(turn @ products @ turn.T)
        weight = float(precision @ own[:, 0, 0])
        if weight <= 0:
            return self
        means = old.noise.means
        more = float(precision @ (own[:, 0, 1] - means * own[:, 0, 2])) / weight
        found = replace(self, by=self.by + more)
        if not self.has_factor:
            return found
        square = own[:, 1, 1] - 2.0 * more * own[:, 0, 1] + more**2 * own[:, 0, 0]
        cross = own[:, 1, 2] - more * own[:, 0, 2]
        factor = _refitted_factor(
            self.factor,
            float(numbers.sum()),
            float((precision * means) @ cross),
            float(precision @ square),
        )
        return replace(found, factor=factor)

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by what is added, and by the factor if it is free; of a range 0."""
        moved = self.applied(mechanism)
        if isinstance(moved, UniformMechanism):
            return np.zeros((len(values), self.n_free))
        by, factor = moved.scores_of_change(values)
        return np.stack([by, factor / self.factor][: self.n_free], axis=1)

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
    n_free: ClassVar[int] = 3

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
            factor=old.factor * self.factor,
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Gain:
        """Return the regression of the rows on the old mean."""
        old = _linear(mechanism)
        products, number = statistics[:, :-1], float(statistics[:, -1, 0].sum())
        k, precision = old.coefficients.size, 1.0 / np.square(old.noise.sds)
        turn = np.zeros((4, k + 2))
        turn[0, 0], turn[1, :k], turn[2, k], turn[3, k + 1] = 1.0, old.coefficients, 1.0, 1.0
        # Products of the intercept, the old mean, the own value and one.
        own = np.asarray(turn @ products @ turn.T)
        sums = np.tensordot(precision, own, 1)
        aim = sums[:2, 2] - np.tensordot(precision * old.noise.means, own[:, :2, 3], 1)
        if number <= 0 or sums[0, 0] <= 0:
            return self
        # A gain near one is expected, as by part of a row in which the mean is one.
        prior = _PRIOR_ROWS * sums[0, 0] / number
        inner = sums[:2, :2] + np.diag([1e-12 * sums[0, 0], prior])
        offset, gain = np.linalg.solve(inner, aim + np.array([0.0, prior]))
        c = np.array([-offset, -gain, 1.0])
        square = float(c @ sums[:3, :3] @ c)
        cross = float(np.tensordot(precision * old.noise.means, own[:, :3, 3], 1) @ c)
        factor = _refitted_factor(self.factor, number, cross, square)
        return Gain(float(gain), float(offset), factor)

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by gain, offset and factor."""
        old = _linear(mechanism)
        by_offset, factor = self.applied(mechanism).scores_of_change(values)
        mean = design(old.features, values) @ old.coefficients
        return np.stack([by_offset * mean, by_offset, factor / self.factor], axis=1)

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
            axis=None,
            slope=0.0,
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> FreeRegression:
        """Return the regression that the rows ask for, drawn a little to the old one."""
        old, number = _linear(mechanism), float(statistics[0, -1, 0])
        if number <= 0:
            return self
        k = self.coefficients.size
        own = statistics[0, : k + 1, : k + 1]
        # Drawn to the old ones, as by part of a row along each.
        ridge = _PRIOR_ROWS * np.eye(k)
        aim = own[:k, k] + ridge @ old.coefficients
        found = np.asarray(np.linalg.solve(own[:k, :k] + ridge, aim), dtype=np.float64)
        c = np.append(-found, 1.0)
        least = min(COARSE_SPREAD, _LEAST_FACTOR * old.noise.sd)
        return FreeRegression(
            found, _bounded_sd(float(c @ own @ c), number, least, expected=old.noise.sd)
        )

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
