"""What a regression takes from parents that are counts, and features brought to a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Bools, Floats, Values
from dosift.model.features import Feature
from dosift.model.mechanism import missing

#: Spread of a feature, relative to its centre, below which it counts as constant.
_CONSTANT = 1e-9


@dataclass(frozen=True)
class LogRate:
    """The logarithm of one and a count, or a count for its size.

    Attributes
    ----------
    column : int
        Position of the count.
    size : int, optional
        Column of the logarithm of the size (depth, exposure) that the count is divided by.
    size_centre : float
        Logarithm of the typical size: the count is divided by the size relative to that.

    Examples
    --------
    >>> values = np.array([[3.0, 7.0], [3.0, 8.0]])
    >>> LogRate(0)(values).round(3).tolist()
    [1.386, 1.386]
    >>> LogRate(0, size=1, size_centre=7.0)(values).round(3).tolist()
    [1.386, 0.744]
    """

    column: int
    size: int | None = None
    size_centre: float = 0.0

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the count, and of the size if there is one."""
        return (self.column,) if self.size is None else (self.column, self.size)

    def __call__(self, values: Values) -> Floats:
        """Return the logarithm."""
        counts = np.asarray(values[:, self.column], dtype=np.float64)
        if self.size is not None:
            counts = counts * np.exp(self.size_centre - values[:, self.size])
        return np.asarray(np.log1p(counts))


@dataclass(frozen=True)
class Scaled:
    """A feature less its centre, divided by its spread.

    Attributes
    ----------
    feature : Feature
    centre, spread : float
    """

    feature: Feature
    centre: float
    spread: float

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the variables."""
        return self.feature.columns

    def __call__(self, values: Values) -> Floats:
        """Evaluate the feature."""
        return np.asarray((self.feature(values) - self.centre) / self.spread)


def standardised(feature: Feature, values: Values, weights: Floats) -> Scaled:
    """Give a feature the mean 0 and the standard deviation 1 in some rows.

    One that is constant there keeps its scale.

    Examples
    --------
    >>> from dosift.model.features import Plain
    >>> found = standardised(Plain(0), np.array([[1.0], [5.0]]), np.ones(2))
    >>> found.centre, found.spread
    (3.0, 2.0)
    """
    total = float(weights.sum())
    if total <= 0.0:
        return Scaled(feature, 0.0, 1.0)
    column = feature(values)
    centre = float(weights @ column) / total
    spread = float(np.sqrt(weights @ np.square(column - centre) / total))
    is_constant = spread <= _CONSTANT * max(1.0, abs(centre))
    return Scaled(feature, centre, 1.0 if is_constant else spread)


def is_complete(values: Values, columns: Sequence[int]) -> Bools:
    """Tell which rows lack none of some columns.

    Returns
    -------
    ndarray of bool, shape (n_rows,)
    """
    out = np.ones(len(values), dtype=np.bool_)
    for column in columns:
        out &= ~missing(values[:, column])
    return out
