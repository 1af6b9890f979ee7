"""Missing numbers as weighted points: integrals over what was not measured.

The density of what a row shows is an integral over the missing numbers on which observed values
depend. Points are laid by a mixture of normal distributions, and weighted by one over its density
(multiple importance sampling with the balance heuristic; Veach and Guibas 1995, Owen and Zhou
2000): one around the mode under the undisturbed network given what the row shows (Laplace's
approximation, exact where all is linear and normal), one under each change that makes a difference,
and a broad one. So the same points serve every target. They are no random numbers but fixed: a row
always gets the same ones, whatever others there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from dosift.errors import InputError
from dosift.model.arrays import Bools, Floats
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import PointMechanism
from dosift.model.mechanism import Mechanism, System

Rows = NDArray[np.int64]

#: Points around the mode without changes, around that under each change, and of the broad one.
_POINTS, _MORE_POINTS, _BROAD_POINTS = 16, 12, 16
#: Standard deviations of the broad one, in those of the first.
_BROAD = 3.0
#: Steps towards a mode at most; the step at which it is reached, in a number and in a count.
_STEPS, _REACHED, _REACHED_COUNT = 15, 1e-5, 0.25
#: Step of numerical derivatives in a number, and its relative size in a count.
_STEP, _COUNT_STEP = 0.02, 0.3
#: Largest standard deviation of a missing number, on its working scale.
_LARGEST_SD = 5.0
#: Part of a step that is tried where the whole one leads down.
_SHORTER = 0.3
#: Values that are worked on at a time.
_AT_A_TIME = 2**22
#: Draws by which the middle of a mechanism of another kind is found.
_DRAWS = 64
_LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Points:
    """Rows whose missing numbers are filled in by points.

    Attributes
    ----------
    values : ndarray, shape (n_points, n_variables)
    row : ndarray of int64, shape (n_points,)
        The row that each belongs to, ascending.
    log_weight : ndarray, shape (n_points,)
        Logarithm of what the density at each counts: the sum of both over the points of a row is
        the density of what the row shows.
    """

    values: Floats
    row: Rows
    log_weight: Floats


def points_of(network: System, values: Floats, fill: Bools) -> Points:
    """Fill in missing numbers by points.

    Parameters
    ----------
    network : System
        The points serve every target of its libraries.
    values : ndarray, shape (n_rows, n_variables)
        On the working scales; NaN where missing.
    fill : ndarray of bool, shape (n_rows, n_variables)
        The numbers to fill in: those that observed values depend on.

    Returns
    -------
    Points
        A row without numbers to fill in is its own only point, of weight one.
    """
    sizes = fill.sum(axis=1)
    found = []
    for d in map(int, np.unique(sizes)):
        rows = np.flatnonzero(sizes == d)
        if d == 0:
            found.append((values[rows], rows, np.zeros(rows.size)))
            continue
        n_evaluations = 1 + 2 * d + d * (d - 1) // 2
        step = max(_AT_A_TIME // (n_evaluations * network.n_variables), 1)
        for start in range(0, rows.size, step):
            part = rows[start : start + step]
            own = _Filled(network, values[part], np.nonzero(fill[part])[1].reshape(-1, d))
            filled, row, log_weight = own.points()
            found.append((filled, part[row], log_weight))
    together = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(together[1], kind="stable")
    return Points(np.asfortranarray(together[0][order]), together[1][order], together[2][order])


@dataclass(frozen=True)
class _Normal:
    """Normal distributions by which points of some rows are laid."""

    rows: Rows
    #: Shape (n_some, d).
    mean: Floats
    #: Cholesky factors of the covariances, shape (n_some, d, d).
    root: Floats
    n_points: int
    #: Which of the numbers of a row has one exact value; -1 for none.
    pinned: Rows
    #: To which it is exact.
    resolution: float = 1.0

    def points(self) -> Floats:
        """Lay the points, shape (n_some, n_points, d)."""
        layout = _layout(self.mean.shape[1], self.n_points)
        away = np.repeat(layout[None], len(self.rows), axis=0)
        held = np.flatnonzero(self.pinned >= 0)
        away[held, :, self.pinned[held]] = 0.0
        return np.asarray(self.mean[:, None] + np.einsum("rij,rkj->rki", self.root, away))

    def log_density(self, some: Rows, at: Floats) -> Floats:
        """Density at points of some of the rows, times the number of points."""
        away = np.linalg.solve(self.root[some], (at - self.mean[some])[:, :, None])[:, :, 0]
        parts = -0.5 * (np.square(away) + _LOG_2PI)
        held = np.flatnonzero(self.pinned[some] >= 0)
        place = self.pinned[some][held]
        near = np.abs(away[held, place]) <= 0.5 * self.resolution
        parts[held, place] = np.where(near, -np.log(self.resolution), -np.inf)
        scale = np.log(np.diagonal(self.root[some], axis1=1, axis2=2)).sum(axis=1)
        return np.asarray(parts.sum(axis=1) - scale + np.log(self.n_points))


class _Filled:
    """Rows that lack the same number of numbers."""

    def __init__(self, network: System, values: Floats, columns: Rows) -> None:
        self.network, self.values, self.columns = network, values, columns
        self.n_rows, self.d = columns.shape
        self._every = np.arange(self.n_rows)
        self.fill = np.zeros(values.shape, dtype=bool)
        self.fill[self._every[:, None], columns] = True
        #: What was seen and has a parent that was not.
        self.shows = np.zeros_like(self.fill)
        for i, parents in enumerate(network.parents):
            if parents:
                self.shows[:, i] = self.fill[:, list(parents)].any(axis=1)
        self.shows &= ~self.fill & ~np.isnan(values)
        counts = np.array([_is_count(network, i) for i in range(network.n_variables)])
        self.is_count = counts[columns]
        self.matters = np.flatnonzero((self.fill | self.shows).any(axis=0)).tolist()

    def points(self) -> tuple[Floats, Rows, Floats]:
        """Lay and weight the points of all rows."""
        normals = list(self._normals())
        row = np.concatenate([np.repeat(one.rows, one.n_points) for one in normals])
        at = np.concatenate([one.points().reshape(-1, self.d) for one in normals])
        log_density = np.full(row.size, -np.inf)
        for one in normals:
            place = np.full(self.n_rows, -1)
            place[one.rows] = np.arange(one.rows.size)
            here = np.flatnonzero(place[row] >= 0)
            own = one.log_density(place[row[here]], at[here])
            log_density[here] = np.logaddexp(log_density[here], own)
        values, log_slope = self._with(at, row)
        log_weight = log_slope - log_density
        base = self._log_joint(self.network.mechanisms, values)
        kept = ~np.isnan(base) & ~np.isneginf(log_weight)
        self._check(np.bincount(row[kept], minlength=self.n_rows))
        return values[kept], row[kept], log_weight[kept]

    def _check(self, numbers: NDArray[np.int64]) -> None:
        if not numbers.all():
            names = getattr(self.network, "names", ())
            lacking = self.columns[int(numbers.argmin())]
            listed = ", ".join(repr(names[int(i)]) if names else str(i) for i in lacking)
            raise InputError(
                f"a function of {listed} has no value where that is likely to be, though missing "
                "in some row; leave out the rows where it is missing"
            )

    def _with(self, at: Floats, row: Rows) -> tuple[Floats, Floats]:
        """Rows with the numbers at points, and the logarithm of how fast they change there."""
        values = self.values[row]
        is_count = self.is_count[row]
        values[np.arange(row.size)[:, None], self.columns[row]] = np.where(
            is_count, np.floor(np.square(at)), at
        )
        # A count is a step function of the square of a positive number.
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(at > 0.0, np.log(2.0 * at), -np.inf)
        return values, np.where(is_count, slope, 0.0).sum(axis=1)

    def _normals(self) -> Iterator[_Normal]:
        first = self._around(self.network.mechanisms, self._every, None, _POINTS)
        assert first is not None
        yield first
        yield _Normal(first.rows, first.mean, _BROAD * first.root, _BROAD_POINTS, first.pinned)
        for i in self.matters:
            for changed, rows in self._changed(i):
                mechanisms: list[Mechanism | None] = list(self.network.mechanisms)
                mechanisms[i] = changed
                found = self._around(mechanisms, rows, i, _MORE_POINTS)
                if found is not None:
                    yield found

    def _changed(self, i: int) -> Iterator[tuple[Mechanism | None, Rows]]:
        """Mechanisms that a variable may have instead, and the rows where that matters."""
        mechanism, library = self.network.mechanisms[i], self.network.libraries[i]
        fill, shows = np.flatnonzero(self.fill[:, i]), np.flatnonzero(self.shows[:, i])
        cuts = library.is_exclusive and len(library) > 0
        for change in () if library.is_exclusive else library[:]:
            applied = change.applied(mechanism)
            if applied.parents:
                yield applied, np.union1d(fill, shows)
            else:
                # What is seen then says nothing of the parents.
                cuts = True
                yield applied, fill
        if cuts:
            yield None, shows

    def _around(
        self, mechanisms: Sequence[Mechanism | None], rows: Rows, i: int | None, n_points: int
    ) -> _Normal | None:
        """Lay out points around the mode of some rows."""
        if not rows.size:
            return None
        pinned, resolution = np.full(rows.size, -1), 1.0
        own = None if i is None else mechanisms[i]
        if isinstance(own, PointMechanism):
            places = self.columns[rows] == i
            pinned = np.where(places.any(axis=1), places.argmax(axis=1), -1)
            resolution = own.resolution
        climb = _Climb(self, mechanisms, rows, pinned)
        mean, root, possible = climb.top()
        if not possible.any():
            return None
        return _Normal(
            rows[possible], mean[possible], root[possible], n_points, pinned[possible], resolution
        )

    def _log_joint(self, mechanisms: Sequence[Mechanism | None], values: Floats) -> Floats:
        """Sum the log-densities of what matters."""
        out = np.zeros(len(values))
        for i in self.matters:
            mechanism = mechanisms[i]
            if mechanism is not None:
                out += mechanism.log_density(values)
        return out

    def begun(self, mechanisms: Sequence[Mechanism | None], rows: Rows) -> Floats:
        """Middle of the missing numbers given what causes them, roots of counts."""
        values = self.values[rows].copy()
        for i in self.network.order:
            some = np.flatnonzero(self.fill[rows, i])
            mechanism = mechanisms[i]
            if some.size and mechanism is not None:
                values[some, i] = _middle(mechanism, values[some])
        at = np.take_along_axis(values, self.columns[rows], axis=1)
        return np.where(self.is_count[rows], np.sqrt(np.maximum(at, 0.0) + 0.5), at)


class _Climb:
    """Newton's method to the mode of the missing numbers, row by row."""

    def __init__(
        self, filled: _Filled, mechanisms: Sequence[Mechanism | None], rows: Rows, pinned: Rows
    ) -> None:
        self._filled, self._mechanisms, self._rows = filled, mechanisms, rows
        self._pinned, self._d = pinned, filled.d
        self._is_count = filled.is_count[rows]

    def top(self) -> tuple[Floats, Floats, Bools]:
        """Find mode and Cholesky factor of the covariance, and which rows are possible."""
        n, d = self._rows.size, self._d
        trial = self._filled.begun(self._mechanisms, self._rows)
        best, height = trial.copy(), np.full(n, -np.inf)
        step, covariance = np.zeros((n, d)), np.repeat(np.eye(d)[None], n, axis=0)
        active = np.arange(n)
        for _ in range(_STEPS):
            at, value, gradient, curvature = self._derivatives(trial[active], active)
            better = value >= height[active] - 1e-9 * np.abs(value)
            up, down = active[better], active[~better]
            best[up], height[up] = at[better], value[better]
            step[up], covariance[up] = self._newton(
                up, at[better], gradient[better], curvature[better]
            )
            step[down] *= _SHORTER
            trial = best + step
            reached = np.where(self._is_count[active], _REACHED_COUNT, _REACHED)
            active = active[(np.abs(step[active]) > reached).any(axis=1)]
            if not active.size:
                break
        return trial, np.asarray(np.linalg.cholesky(covariance)), ~np.isneginf(height)

    def _newton(
        self, some: Rows, at: Floats, gradient: Floats, curvature: Floats
    ) -> tuple[Floats, Floats]:
        """Step to the top, and the covariance there; no direction wider than is sensible."""
        widest = np.where(self._is_count[some], np.sqrt(4.0 + np.square(at)), _LARGEST_SD)
        scaled = -curvature * widest[:, :, None] * widest[:, None, :]
        values, vectors = np.linalg.eigh(np.where(np.isfinite(scaled), scaled, 0.0))
        vectors = vectors * widest[:, :, None]
        inverse = 1.0 / np.maximum(values, 1.0)
        covariance = np.einsum("rij,rj,rkj->rik", vectors, inverse, vectors)
        step = np.einsum("rij,rj->ri", covariance, np.where(np.isfinite(gradient), gradient, 0.0))
        held = np.flatnonzero(self._pinned[some] >= 0)
        place = self._pinned[some][held]
        step[held, place] = 0.0
        covariance[held, place, :] = 0.0
        covariance[held, :, place] = 0.0
        covariance[held, place, place] = 1.0
        return np.clip(step, -widest, widest), covariance

    def _derivatives(self, at: Floats, some: Rows) -> tuple[Floats, Floats, Floats, Floats]:
        """Log-density and its derivatives by differences, at points close to those given."""
        n, d = at.shape
        low, at, high = self._steps(at, some)
        held = np.flatnonzero(self._pinned[some] >= 0)
        pairs = [(j, k) for j in range(d) for k in range(j)]
        trials = [at]
        for j in range(d):
            for moved in (low, high):
                trials.append(at.copy())
                trials[-1][:, j] = moved[:, j]
        for j, k in pairs:
            trials.append(at.copy())
            trials[-1][:, [j, k]] = high[:, [j, k]]
        row = np.tile(self._rows[some], len(trials))
        values, log_slope = self._filled._with(np.concatenate(trials), row)
        logs = (self._filled._log_joint(self._mechanisms, values) + log_slope).reshape(-1, n)
        logs = np.where(np.isnan(logs), -np.inf, logs)
        below, above = at - low, high - at
        gradient, curvature = np.zeros((n, d)), np.zeros((n, d, d))
        with np.errstate(invalid="ignore"):
            for j in range(d):
                left = (logs[0] - logs[1 + 2 * j]) / below[:, j]
                right = (logs[2 + 2 * j] - logs[0]) / above[:, j]
                width = below[:, j] + above[:, j]
                gradient[:, j] = (left * above[:, j] + right * below[:, j]) / width
                curvature[:, j, j] = 2.0 * (right - left) / width
            for at_pair, (j, k) in enumerate(pairs):
                both = logs[1 + 2 * d + at_pair] - logs[2 + 2 * j] - logs[2 + 2 * k] + logs[0]
                curvature[:, j, k] = curvature[:, k, j] = both / (above[:, j] * above[:, k])
        place = self._pinned[some][held]
        curvature[held, place, :] = 0.0
        curvature[held, :, place] = 0.0
        return at, logs[0], gradient, curvature

    def _steps(self, at: Floats, some: Rows) -> tuple[Floats, Floats, Floats]:
        """Where to look for derivatives: counts move by whole numbers."""
        is_count = self._is_count[some]
        if not is_count.any():
            return at - _STEP, at, at + _STEP
        count = np.maximum(np.rint(np.square(at) - 0.5), 1.0)
        by = np.maximum(np.rint(_COUNT_STEP * count), 1.0)
        low, middle, high = (np.sqrt(count + k * by + 0.5) for k in (-1, 0, 1))
        return (
            np.where(is_count, low, at - _STEP),
            np.where(is_count, middle, at),
            np.where(is_count, high, at + _STEP),
        )


def _is_count(network: System, i: int) -> bool:
    variables = getattr(network, "variables", ())
    if variables:
        return bool(variables[i].kind == "count")
    return isinstance(network.mechanisms[i], NegativeBinomialMechanism)


def _middle(mechanism: Mechanism, values: Floats) -> Floats:
    """Middle of a variable given its parents."""
    if isinstance(mechanism, LinearMechanism):
        return mechanism.mean(values)
    if isinstance(mechanism, NegativeBinomialMechanism):
        return mechanism.means(values)
    if isinstance(mechanism, PointMechanism):
        return np.full(len(values), mechanism.value)
    rng = np.random.default_rng(0)
    drawn = [np.asarray(mechanism.draw(values, rng), dtype=np.float64) for _ in range(_DRAWS)]
    return np.asarray(np.median(drawn, axis=0))


@cache
def _layout(d: int, n: int) -> Floats:
    """Points that stand for a normal distribution, in pairs around 0, shape (n, d)."""
    if d == 1:
        half = ndtri((np.arange(n // 2, n) + 0.5) / n)[:, None]
    else:
        index = np.arange(1, n // 2 + 1)[:, None]
        half = ndtri((index * _irrational(d) + 0.5) % 1.0)
    if 1 < d <= n // 2:  # with the very covariance
        root = np.linalg.cholesky(np.linalg.inv(half.T @ half / len(half)))
        half = half @ root
    out = np.concatenate([half, -half])
    out.setflags(write=False)
    return np.asarray(out)


def _irrational(d: int) -> Floats:
    """Return the steps of a sequence that fills the cube evenly (Roberts 2018)."""
    root = 2.0
    for _ in range(60):
        root = (1.0 + root) ** (1.0 / (d + 1))
    return np.asarray(root ** -np.arange(1.0, d + 1.0))
