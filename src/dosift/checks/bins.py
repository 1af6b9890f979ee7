"""Numbers cut into bins, so that rows and simulated rows can be compared cell by cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints, Values
from dosift.model.mechanism import System
from dosift.model.network import Network

#: Bins of a number.
_BINS = 6


@dataclass(frozen=True)
class Bins:
    """State codes of rows, numbers by their bins.

    Attributes
    ----------
    cuts : tuple of (ndarray or None)
        For each variable, ascending values at which a bin ends; None for a discrete one.
    cardinalities : ndarray of int, shape (n_variables,)
        Number of bins or states.
    parents : tuple of tuple of int
        Of each variable.

    Examples
    --------
    >>> bins = Bins((np.array([0.0]), None), np.array([2, 3]), ((), ()))
    >>> bins(np.array([[-1.0, 2.0], [0.5, 0.0]])).tolist()
    [[0, 2], [1, 0]]
    """

    cuts: tuple[Floats | None, ...]
    cardinalities: NDArray[np.int64]
    parents: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, system: System, drawn: Values) -> Bins:
        """Choose bins that hold about as many simulated rows each.

        Parameters
        ----------
        system : System
        drawn : ndarray, shape (n_rows, n_variables)
            Rows, such as those simulated from the fitted mixture. Not read for a network of tables.

        Returns
        -------
        Bins
            Of a network of tables, the states as they are.
        """
        sizes = np.array(system.cardinalities, dtype=np.int64)
        cuts: list[Floats | None] = [None] * sizes.size
        if not isinstance(system, Network):
            inner = np.linspace(0.0, 1.0, _BINS + 1)[1:-1]
            for i in np.flatnonzero(sizes == 0):
                own = drawn[:, i]
                seen = own[~np.isnan(own)]
                found = np.unique(np.quantile(seen, inner, method="lower") if seen.size else [])
                cuts[i], sizes[i] = found, found.size + 1
        # What is only conditioned on is no part of the model.
        hidden: frozenset[int] = getattr(system, "covariates", frozenset())
        parents = tuple(tuple(p for p in own if p not in hidden) for own in system.parents)
        return cls(tuple(cuts), sizes, parents)

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return int(self.cardinalities.size)

    def __call__(self, values: Values) -> Ints:
        """Return the state code or bin of each value, -1 where it is missing."""
        if all(cut is None for cut in self.cuts):
            return np.nan_to_num(values, nan=-1).astype(np.int64) if _floats(values) else values
        out = np.empty(values.shape, dtype=np.int64, order="F")
        for i, cut in enumerate(self.cuts):
            own = values[:, i]
            codes = own if cut is None else np.searchsorted(cut, own, side="left")
            out[:, i] = np.where(np.isnan(own), -1, codes)
        return out


def _floats(values: Values) -> bool:
    return np.issubdtype(values.dtype, np.floating)
