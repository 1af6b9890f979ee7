"""A column that is conditioned on, such as the depth of a cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.model.mechanism import Floats, Mechanism, Values, missing


@dataclass(frozen=True)
class CovariateMechanism:
    """A column that is only conditioned on, such as the logarithm of the depth of a cell.

    Its density counts as 1 everywhere, and nothing changes it.

    Attributes
    ----------
    variable : int
        Position of the column.
    held : tuple of float
        Values that :meth:`draw` draws from, all alike.

    Examples
    --------
    >>> depth = CovariateMechanism.of_column(1, np.array([2.0, 3.0]), n_held=3)
    >>> depth.held, depth.log_density(np.array([[5.0, 2.5]])).tolist()
    ((2.0, 2.5, 3.0), [0.0])
    """

    variable: int
    held: tuple[float, ...] = (0.0,)
    parents: tuple[int, ...] = ()
    n_free = 0
    is_positive = True

    @classmethod
    def of_column(
        cls, variable: int, column: Floats, weights: Floats | None = None, *, n_held: int = 1001
    ) -> CovariateMechanism:
        """Hold evenly spaced quantiles of a column; missing values are left out."""
        seen = ~missing(column)
        if weights is not None:
            seen &= weights > 0.0
        if not seen.any():
            return cls(variable)
        levels = np.linspace(0.0, 1.0, n_held)
        if weights is None:
            return cls(variable, tuple(np.quantile(column[seen], levels).tolist()))
        own = np.quantile(column[seen], levels, weights=weights[seen], method="inverted_cdf")
        return cls(variable, tuple(own.tolist()))

    def log_density(self, values: Values) -> Floats:
        """Return zeros: the column is not explained."""
        return np.zeros(len(values))

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Draw from the values that it holds."""
        return rng.choice(np.array(self.held), size=len(values))

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Return nothing."""
        return np.zeros(0)

    def fitted(self, statistics: Floats) -> CovariateMechanism:
        """Return the same."""
        return self

    def scores(self, values: Values) -> Floats:
        """Return no derivatives: nothing is free."""
        return np.zeros((len(values), 0))


if TYPE_CHECKING:
    _: type[Mechanism] = CovariateMechanism
