"""How parents of any kind enter the linear predictor of a regression."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dosift.model.mechanism import Bools, Floats, Values, missing

Kind = Literal["count", "number", "states"]


@dataclass(frozen=True)
class Regressor:
    """One parent of a regression: a count by its logarithm, a number as it is, a state by name.

    Attributes
    ----------
    column : int
        Position of the parent.
    kind : {"count", "number", "states"}
        A count x enters as ``log(1 + x)``; a number as it is; a discrete variable as one indicator
        for each state but the first.
    n_states : int
        Number of states of a discrete variable.
    size : int, optional
        Column of the logarithm of the size (depth, exposure) that a count is divided by first.
    size_centre : float
        Logarithm of the typical size: it is divided by the size relative to that.
    centre, scale : float
        Subtracted from the feature of a count or number, and what it is divided by then.

    Examples
    --------
    >>> values = np.array([[0.0, 2.0], [3.0, 1.0]])
    >>> Regressor(0, "count").features(values).round(3).tolist()
    [[0.0], [1.386]]
    >>> Regressor(1, "states", n_states=3).features(values).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """

    column: int
    kind: Kind = "count"
    n_states: int = 0
    size: int | None = None
    size_centre: float = 0.0
    centre: float = 0.0
    scale: float = 1.0

    @property
    def n_features(self) -> int:
        """Number of columns that it has in the design matrix."""
        return self.n_states - 1 if self.kind == "states" else 1

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the columns that are read."""
        return (self.column,) if self.size is None else (self.column, self.size)

    def features(self, values: Values) -> Floats:
        """Return its columns of the design matrix.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
            Not missing where the feature matters; a missing one gives 0, the feature's centre.

        Returns
        -------
        ndarray, shape (n_rows, n_features)
        """
        own = values[:, self.column]
        if self.kind == "states":
            return np.asarray(own[:, None] == np.arange(1, self.n_states), dtype=np.float64)
        raw = np.asarray(own, dtype=np.float64)
        if self.kind == "count":
            if self.size is not None:
                raw = raw * np.exp(self.size_centre - values[:, self.size])
            with np.errstate(divide="ignore", invalid="ignore"):  # -1 stands for a missing count
                raw = np.log1p(raw)
        feature = (raw - self.centre) / self.scale
        return np.where(np.isfinite(feature), feature, 0.0)[:, None]

    def standardised(self, values: Values, weights: Floats) -> Regressor:
        """Return the same with the centre and the scale that the feature has in some rows.

        A feature that is constant there keeps the scale 1.
        """
        if self.kind == "states":
            return self
        plain = Regressor(self.column, self.kind, 0, self.size, self.size_centre)
        feature = plain.features(values)[:, 0]
        total = float(weights.sum())
        if total <= 0.0:
            return plain
        centre = float(weights @ feature) / total
        spread = float(np.sqrt(weights @ np.square(feature - centre) / total))
        scale = spread if spread > 1e-9 * max(1.0, abs(centre)) else 1.0
        return Regressor(self.column, self.kind, 0, self.size, self.size_centre, centre, scale)


def design(regressors: Iterable[Regressor], values: Values) -> Floats:
    """Return the design matrix: a column of ones, then those of each parent.

    Returns
    -------
    ndarray, shape (n_rows, n_features), one feature after the other in memory
    """
    parts = [one.features(values) for one in regressors]
    out = np.empty((len(values), 1 + sum(part.shape[1] for part in parts)), order="F")
    out[:, 0] = 1.0
    at = 1
    for part in parts:
        out[:, at : at + part.shape[1]] = part
        at += part.shape[1]
    return out


def columns_of(regressors: Iterable[Regressor], *others: int | None) -> tuple[int, ...]:
    """Return positions of all columns that are read, each once, in order of appearance."""
    read = [column for one in regressors for column in one.columns]
    return tuple(dict.fromkeys([*read, *(column for column in others if column is not None)]))


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
