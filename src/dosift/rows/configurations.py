"""Distinct rows of state codes with their multiplicities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Code of a missing value, and of a variable that a target leaves alone.
MISSING = -1


@dataclass(frozen=True)
class Configurations:
    """Rows collapsed to distinct configurations with counts.

    Attributes
    ----------
    codes : ndarray of int, shape (n_configurations, n_variables)
        Distinct rows of state codes in lexicographic order, so that the order of the input
        rows leaves no trace. ``MISSING`` (-1) stands for a missing value.
    counts : ndarray of float64, shape (n_configurations,)
        How often (or with what total sample weight) each one occurs; all positive.
    inverse : ndarray of int64, shape (n_rows,)
        For each input row, the position of its configuration.
    """

    codes: NDArray[np.integer]
    counts: NDArray[np.float64]
    inverse: NDArray[np.int64]

    @property
    def total(self) -> float:
        """Number of rows (or total sample weight)."""
        return float(self.counts.sum())
