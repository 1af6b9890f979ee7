"""Rough changes of a regression that rows suggest: where the search for changes begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Floats, Values
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import (
    COARSE_SPREAD,
    LEAST_SPREAD,
    FreeRegression,
    Gain,
    SetNormal,
    SetPoint,
    Shift,
)
from dosift.model.mechanism import Change, Changes, Mechanism
from dosift.model.uniform import UniformMechanism

#: Means that are tried for a variable that is set, and their standard deviations.
_MEANS, _SDS = 20, (0.1, 0.35, 1.0)
#: Shifts that are tried.
_SHIFTS = 20
#: Share of distinct values above which nothing repeats, and share of the values that are most.
_REPEATS, _MOST_VALUES = 0.95, 0.9
#: Gains that are tried.
_GAINS = (0.25, 0.5, 0.7, 1.4, 2.0, 4.0)
#: Rows that must share an exact value to make it a tie, and their share.
_TIES, _TIE_SHARE = 8.0, 0.005
#: By how much they must outnumber the rows of the values next to it, and how many of these.
_STANDS_OUT, _NEAR = 10.0, 10


@dataclass(frozen=True)
class RegressionChanges(Changes):
    """Changes of a continuous variable; it can suggest more.

    Attributes
    ----------
    changes : tuple of Change
    kinds : frozenset of str
        Among "do", "set", "shift", "gain", "free".
    least : float
        Standard deviation, at least, of what the variable is set to: :func:`finest_spread`.
    """

    changes: tuple[Change, ...] = ()
    kinds: frozenset[str] = frozenset({"do", "set", "shift"})
    least: float = LEAST_SPREAD

    def suggested(self, mechanism: Mechanism, values: Values, weights: Floats) -> list[Change]:
        """Suggest values that the variable was set to, shifts, gains, and other regressions.

        Parameters
        ----------
        mechanism : LinearMechanism or UniformMechanism
            What is uniform has no mean that depends on anything: it is set, or left alone.
        values : ndarray, shape (n_rows, n_variables)
            Those of the variable not missing.
        weights : ndarray, shape (n_rows,)

        Returns
        -------
        list of Change
        """
        own, kinds, least = values[:, mechanism.variable], self.kinds, self.least
        out: list[Change] = []
        if "do" in kinds:
            out += ties(own, weights, least)
        if "set" in kinds:
            out += [SetNormal(float(m), sd, least) for sd in _SDS for m in _grid(own, _MEANS)]
        if isinstance(mechanism, UniformMechanism):
            return out
        assert isinstance(mechanism, LinearMechanism)
        mean = mechanism.mean(values) + mechanism.noise.mean
        if "shift" in kinds:
            out += [Shift(float(by)) for by in _grid(own - mean, _SHIFTS)]
        if "gain" in kinds and mechanism.features:
            centre = float(weights @ mean / weights.sum())
            out += [Gain(g, (1.0 - g) * centre) for g in _GAINS]
        if "free" in kinds and mechanism.features:
            for factor in (-1.0, 0.0, 2.0):
                moved = mechanism.coefficients * factor
                moved[0] = mechanism.coefficients[0]
                out.append(FreeRegression(moved, mechanism.noise.sd))
        return out

    def log_densities(
        self, mechanism: Mechanism, changes: Sequence[Change], values: Values
    ) -> Floats:
        """Logarithms of the densities of rows under many changes; values and shifts at once.

        Parameters
        ----------
        mechanism : LinearMechanism or UniformMechanism
        changes : sequence of Change
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows, n_changes)
        """
        out = np.empty((len(values), len(changes)), order="F")
        own = np.asarray(values[:, mechanism.variable], dtype=np.float64)
        is_normal, residual, sd = False, own, 1.0
        if isinstance(mechanism, LinearMechanism):
            is_normal = mechanism.noise.n_parts == 1 and mechanism.axis is None
            residual, sd = own - mechanism.mean(values), mechanism.noise.sd * mechanism.factor
        for k, change in enumerate(changes):
            if isinstance(change, SetNormal):
                out[:, k] = _log_normal(own - change.mean, change.sd)
            elif isinstance(change, Shift) and is_normal and not change.has_factor:
                # The coefficients' own error is left out: what is suggested is rough.
                out[:, k] = _log_normal(residual - change.by, sd)
            else:
                out[:, k] = change.applied(mechanism).log_density(values)
        return out

    def neutral(self, mechanism: Mechanism, kind: str) -> Change | None:
        """Return a change of a kind from which rows may be fitted.

        Parameters
        ----------
        mechanism : LinearMechanism or UniformMechanism
        kind : str

        Returns
        -------
        Change or None
            None for exact values, which are no matter of fitting, and for gains and other
            regressions of a variable without parents.
        """
        if isinstance(mechanism, UniformMechanism):
            middle, width = mechanism.middle, mechanism.width
            return SetNormal(middle, width, self.least) if kind == "set" else None
        assert isinstance(mechanism, LinearMechanism)
        if kind == "set":
            return SetNormal(float(mechanism.coefficients[0]), 1.0, self.least)
        if kind == "shift":
            return Shift(0.0)
        if kind == "gain" and mechanism.features:
            return Gain(1.0, 0.0)
        if kind == "free" and mechanism.features:
            return FreeRegression(mechanism.coefficients, mechanism.noise.sd)
        return None


def finest_spread(column: Floats) -> float:
    """Return the standard deviation that a measurement can tell from an exact value.

    Parameters
    ----------
    column : ndarray, shape (n_rows,)
        Values of control rows, on the working scale.

    Returns
    -------
    float
        Twice the distance of most values from the next, where values repeat; else a small number.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = rng.normal(size=2000)
    >>> finest_spread(values), round(finest_spread(values.round(1)), 3)
    (1e-06, 0.2)
    """
    distinct, numbers = np.unique(column[np.isfinite(column)], return_counts=True)
    if distinct.size < 3:
        return COARSE_SPREAD
    if distinct.size > _REPEATS * numbers.sum():
        return LEAST_SPREAD
    gaps = np.diff(distinct)
    order = np.argsort(gaps, kind="stable")
    below = np.cumsum(numbers[1:][order]) / numbers[1:].sum()
    usual = gaps[order][int(np.searchsorted(below, _MOST_VALUES))]
    return max(LEAST_SPREAD, 2.0 * float(usual))


def _log_normal(away: Floats, sd: float) -> Floats:
    out = np.square(away)
    out *= -0.5 / sd**2
    out -= np.log(sd) + 0.5 * np.log(2.0 * np.pi)
    return np.asarray(out)


def _grid(values: Floats, n: int) -> Floats:
    """Evenly spaced values over the range of most, and of all."""
    low, high = np.quantile(values, [0.002, 0.998])
    even = np.linspace(low, high, n)
    ends = np.array([values.min(), values.max()])
    return np.unique(np.concatenate([even, ends]))


def ties(own: Floats, weights: Floats, least: float = LEAST_SPREAD) -> list[SetPoint]:
    """Exact values that many rows share.

    Parameters
    ----------
    own : ndarray, shape (n_rows,)
    weights : ndarray, shape (n_rows,)
    least : float
        Standard deviation, at least, of what the variable is set to: nothing is known to be
        resolved less finely, and no such distribution is to be likelier than the exact value.

    Returns
    -------
    list of SetPoint
    """
    distinct, inverse = np.unique(own, return_inverse=True)
    numbers = np.bincount(inverse, weights)
    if distinct.size < 2:
        # How finely it was measured, nobody can tell.
        return [SetPoint(float(one), COARSE_SPREAD) for one in distinct[numbers >= _TIES]]
    out, enough = [], max(_TIES, _TIE_SHARE * float(weights.sum()))
    for k in np.flatnonzero(numbers >= enough).tolist():
        # Measurements that are coarse tie everywhere; only what stands out is an exact value.
        near = np.arange(max(k - _NEAR, 0), min(k + _NEAR + 1, distinct.size))
        if numbers[k] >= _STANDS_OUT * float(np.median(numbers[near[near != k]])):
            resolution = min(float(np.median(np.diff(distinct[near]))), least)
            out.append(SetPoint(float(distinct[k]), resolution))
    return out
