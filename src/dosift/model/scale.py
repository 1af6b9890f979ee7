"""Working scales: what regressions see of a column of numbers, and the way back.

A column is taken as it is, or as its logarithm, or (shares between 0 and 1) as its log odds, and
then centred and scaled; so the units in which it came do not matter, and one is a large step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Floats

#: The least and largest share whose log odds are taken, from 0 and 1.
LEAST_SHARE = 1e-6
#: Points of Gauss-Hermite quadrature.
_POINTS = 40


@dataclass(frozen=True)
class Scale:
    """A working scale.

    Attributes
    ----------
    form : {"raw", "log", "logit", "count"}
        What is taken of the value; a count is left alone, neither centred nor scaled.
    centre, spread : float
        Subtracted then, and divided by.
    added : float
        Before a logarithm, in the units of the column.

    Examples
    --------
    >>> scale = Scale("log", centre=1.0, spread=2.0)
    >>> scale.user(scale.working(np.array([3.0, 20.0]))).round(9).tolist()
    [3.0, 20.0]
    """

    form: str = "raw"
    centre: float = 0.0
    spread: float = 1.0
    added: float = 0.0

    def bent(self, values: Floats) -> Floats:
        """Take the logarithm, or log odds, if the scale has it."""
        if self.form == "log":
            return np.asarray(np.log(values + self.added))
        if self.form == "logit":
            inside = np.clip(values, LEAST_SHARE, 1.0 - LEAST_SHARE)
            return np.asarray(np.log(inside) - np.log1p(-inside))
        return np.asarray(values, dtype=np.float64)

    def working(self, values: Floats) -> Floats:
        """Return values of the column on the working scale."""
        return np.asarray((self.bent(values) - self.centre) / self.spread)

    def user(self, values: Floats) -> Floats:
        """Return values of the working scale in the units of the column."""
        bent = np.asarray(values) * self.spread + self.centre
        if self.form == "log":
            return np.asarray(np.exp(bent) - self.added)
        if self.form == "logit":
            return np.asarray(1.0 / (1.0 + np.exp(-bent)))
        return np.asarray(bent)

    def log_slope(self, values: Floats) -> Floats:
        """Logarithm of the slope of the working scale at values of the column.

        Densities on the working scale times the slope are densities in the column's own units.

        Parameters
        ----------
        values : ndarray
            In the units of the column.

        Returns
        -------
        ndarray
        """
        values = np.asarray(values, dtype=np.float64)
        out = np.full(values.shape, -np.log(self.spread))
        if self.form == "log":
            out -= np.log(values + self.added)
        if self.form == "logit":
            inside = np.clip(values, LEAST_SHARE, 1.0 - LEAST_SHARE)
            out -= np.log(inside) + np.log1p(-inside)
        return out

    def moments(self, mean: float, sd: float) -> tuple[float, float]:
        """Mean and standard deviation, in the column's units, of a normal on the working scale.

        Parameters
        ----------
        mean, sd : float
            On the working scale.

        Returns
        -------
        mean, sd : float
            By Gauss-Hermite quadrature where the scale is not a line.
        """
        if self.form in {"raw", "count"}:
            return float(self.user(np.array(mean))), sd * self.spread
        points, weights = np.polynomial.hermite_e.hermegauss(_POINTS)
        values = self.user(mean + sd * points)
        weights = weights / weights.sum()
        own = float(weights @ values)
        return own, float(np.sqrt(max(weights @ np.square(values - own), 0.0)))
