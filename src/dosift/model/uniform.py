"""The mechanism of a number that is drawn evenly from a range: a knob that somebody turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Values

_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class UniformMechanism:
    """A number without parents that is uniform on a range, but for a few values.

    Nothing is fitted to rows: where the range ends is what control rows showed, and a mixture row
    beyond it is what a change looks like. The few values outside, around the range and as wide, are
    those that control rows of a finite number may have missed.

    Attributes
    ----------
    variable : int
        Position of the variable.
    low, high : float
        The range, on the working scale.
    outside : float
        Probability of a value that is drawn from the normal distribution instead.

    Examples
    --------
    >>> knob = UniformMechanism(0, -1.0, 1.0, outside=0.01)
    >>> np.exp(knob.log_density(np.array([[0.5], [3.0]]))).round(4)
    array([0.4969, 0.0006])
    """

    variable: int
    low: float
    high: float
    outside: float
    parents: ClassVar[tuple[int, ...]] = ()
    n_free: ClassVar[int] = 0
    is_positive: ClassVar[bool] = True
    #: Rows change nothing.
    has_fixed_statistics: ClassVar[bool] = False

    @property
    def middle(self) -> float:
        """Middle of the range."""
        return 0.5 * (self.low + self.high)

    @property
    def width(self) -> float:
        """Width of the range."""
        return self.high - self.low

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the density; 0 where the value is missing."""
        own = np.asarray(values[:, self.variable], dtype=np.float64)
        away = (own - self.middle) / self.width
        log = np.log(self.outside / self.width) - 0.5 * (_LOG_2PI + np.square(away))
        inside = (own >= self.low) & (own <= self.high)
        log[inside] = np.logaddexp(log[inside], np.log((1.0 - self.outside) / self.width))
        return np.asarray(np.where(np.isnan(own), 0.0, log))

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the variable."""
        out = rng.uniform(self.low, self.high, size=len(values))
        far = rng.random(len(values)) < self.outside
        out[far] = self.middle + self.width * rng.normal(size=int(far.sum()))
        return out

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Return the number of rows."""
        return np.array([weights.sum()])

    def fitted(self, statistics: Floats) -> UniformMechanism:
        """Return the same."""
        return self

    def scores(self, values: Values) -> Floats:
        """Return nothing, as nothing is free."""
        return np.empty((len(values), 0))
