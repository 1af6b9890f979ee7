"""A column that is conditioned on, such as the depth of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Values
from dosift.model.mechanism import Mechanism, missing

#: Rows that are held where columns go together.
_HELD = 2000


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
    along : tuple of float
        Where columns go together, ascending values of the column that is its parent, each beside
        the held value of the same row; the drawn value is then that of a row with the parent's
        value.

    Examples
    --------
    >>> depth = CovariateMechanism.of_column(1, np.array([2.0, 3.0]), n_held=3)
    >>> depth.held, depth.log_density(np.array([[5.0, 2.5]])).tolist()
    ((2.0, 2.5, 3.0), [0.0])
    """

    variable: int
    held: tuple[float, ...] = (0.0,)
    parents: tuple[int, ...] = ()
    along: tuple[float, ...] = ()
    n_free = 0
    is_positive = True

    @classmethod
    def of_column(cls, variable: int, column: Floats, n_held: int = 1001) -> CovariateMechanism:
        """Hold evenly spaced quantiles of a column; missing values are left out."""
        seen = column[~missing(column)]
        if not seen.size:
            return cls(variable)
        return cls(variable, tuple(np.quantile(seen, np.linspace(0.0, 1.0, n_held)).tolist()))

    def log_density(self, values: Values) -> Floats:
        """Return zeros: the column is not explained."""
        return np.zeros(len(values))

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Draw from the values that it holds."""
        if self.parents:
            given = values[:, self.parents[0]]
            first, last = (np.searchsorted(self.along, given, side) for side in ("left", "right"))
            place = first + np.floor(rng.random(len(values)) * (last - first)).astype(np.int64)
            return np.array(self.held)[np.minimum(place, len(self.held) - 1)]
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


def joint_covariates(
    columns: Sequence[int], values: Values, weights: Floats
) -> list[CovariateMechanism]:
    """Hold columns of some rows, so that they are drawn as they occur together.

    Parameters
    ----------
    columns : sequence of int
        The first one is drawn, and the others with it.
    values : ndarray, shape (n_rows, n_variables)
        None missing.
    weights : ndarray, shape (n_rows,)
        Some positive.

    Returns
    -------
    list of CovariateMechanism

    Examples
    --------
    >>> rows = np.array([[3.0, -3.0], [1.0, -1.0], [2.0, -2.0]])
    >>> size, other = joint_covariates([0, 1], rows, np.ones(3))
    >>> drawn = size.draw(rows, np.random.default_rng(0))
    >>> (other.draw(drawn[:, None], np.random.default_rng(1)) == -drawn).all()
    np.True_
    """
    if not columns:
        return []
    first, *others = columns
    order = np.argsort(values[:, first], kind="stable")
    reached = np.cumsum(weights[order])
    # Rows at even steps of weight: quantiles of the first column.
    wanted = (np.arange(_HELD) + 0.5) / _HELD * reached[-1]
    chosen = order[np.minimum(np.searchsorted(reached, wanted), len(order) - 1)]
    held = [tuple(values[chosen, i].tolist()) for i in columns]
    return [
        CovariateMechanism(first, held[0]),
        *(
            CovariateMechanism(i, own, (first,), held[0])
            for i, own in zip(others, held[1:], strict=True)
        ),
    ]


if TYPE_CHECKING:
    _: type[Mechanism] = CovariateMechanism
