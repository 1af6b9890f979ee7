"""A search problem: factors and counts, with the columns of targets remembered."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dosift.errors import InputError
from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.weights import information_of, solve_weights
from dosift.model.arrays import Floats, Ints
from dosift.search.constraints import Constraints
from dosift.search.score import Score

Made = TypeVar("Made")

#: Memory that remembered columns may take, in bytes.
_CACHE_BYTES = 256 * 2**20
#: Log-likelihood (nats, all rows) that an intermediate solution may still leave to be gained.
_SEARCH_ACCURACY = 1e-3
#: Ridge on the Hessian scaled to a unit diagonal.
_RIDGE = 1e-10


def key_of(target: Ints) -> bytes:
    """Return a hashable form of one target."""
    return target.tobytes()


@dataclass(frozen=True)
class Fit:
    """Targets with their maximum-likelihood weights.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
        Positive, but for required targets.
    columns : ndarray, shape (n_configurations, n_targets)
    mixture : ndarray, shape (n_configurations,)
    log_likelihood : float
        Relative to the reference measure, in nats.
    score : float
        Log-likelihood less the description length.
    gap : float
        Optimality gap over these targets, in nats a row.
    converged : bool
    counts : ndarray, shape (n_configurations,)
    """

    targets: Ints
    weights: Floats
    columns: Floats
    mixture: Floats
    log_likelihood: float
    score: float
    gap: float
    converged: bool
    counts: Floats

    @cached_property
    def keys(self) -> frozenset[bytes]:
        """Hashable forms of the targets."""
        return frozenset(key_of(t) for t in self.targets)

    @cached_property
    def hessian(self) -> Floats:
        """Curvature of the negative log-likelihood in the weights, shape (m, m)."""
        return information_of(self.columns, self.counts, self.mixture)

    @cached_property
    def inverse_hessian(self) -> Floats:
        """Inverse of :attr:`hessian`, with a small ridge where it is singular."""
        # A required target may be one that no row at hand can come from.
        diagonal = np.diag(self.hessian)
        scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        scaled = self.hessian * scale * scale[:, None]
        out: Floats = np.linalg.inv(scaled + _RIDGE * np.eye(scale.size)) * scale * scale[:, None]
        return out


class SearchProblem:
    """Find a penalised-likelihood mixture for given configurations.

    Parameters
    ----------
    factors : MechanismFactors
        Factors of the variables that targets may set, in topological order.
    counts : ndarray, shape (n_configurations,)
        Multiplicities.
    score : Score
        What components cost.
    dense_tables : callable, optional
        Makes the inverse mechanisms as tables over all cells of the first 1, 2, .. variables;
        only where every variable is in the problem.
    constraints : Constraints, optional
        What is known about targets, in the order of the factors' variables. Where weights are
        known, all columns and weights here are those of the free targets, changed as
        :mod:`dosift.search.constraints` says.
    """

    def __init__(
        self,
        factors: MechanismFactors,
        counts: Floats,
        score: Score,
        dense_tables: Callable[[], list[Floats]] | None = None,
        constraints: Constraints | None = None,
    ) -> None:
        self.constraints = constraints or Constraints.none(score.cardinalities)
        self._dense_tables = dense_tables
        self.factors = factors
        self.counts = counts
        self.score = score
        self.n_rows = float(counts.sum())
        self._cache: dict[bytes, Floats] = {}
        self._sparse: dict[bytes, tuple[NDArray[np.int64], Floats]] = {}
        self._remembered: dict[Hashable, object] = {}
        self._capacity = max(64, _CACHE_BYTES // (8 * max(factors.n_configurations, 1)))

    def reweighted(self, counts: Floats) -> SearchProblem:
        """Return the same problem with other multiplicities, sharing the columns."""
        other = SearchProblem(
            self.factors, counts, self.score, self._dense_tables, self.constraints
        )
        other._cache, other._sparse = self._cache, self._sparse
        return other

    def remembered(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what was made for this problem before, or make it.

        Parameters
        ----------
        key : hashable
            Says what it is.
        make : callable
        """
        if key not in self._remembered:
            self._remembered[key] = make()
        return cast(Made, self._remembered[key])

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of changes (states) of each variable."""
        return self.score.cardinalities

    @property
    def is_closed(self) -> bool:
        """Whether configurations are told apart by the problem's own variables alone."""
        return self._dense_tables is not None

    @cached_property
    def dense_cells(self) -> tuple[NDArray[np.int64], list[Floats]]:
        """Cell of each configuration in the full table, and the inverse mechanisms as tables.

        Returns
        -------
        cells : ndarray of int64, shape (n_configurations,)
            Position in C order over all variables.
        inverse : list of ndarray
            For variable j, ``1 / p_j`` over the cells of the first j + 1 variables, in C order.
        """
        if self._dense_tables is None:
            raise ValueError("configurations depend on variables outside the problem")
        cells = np.zeros(self.factors.n_configurations, dtype=np.int64)
        for j, k in enumerate(self.cardinalities):
            cells = cells * int(k) + self.factors.codes[:, j]
        return cells, self._dense_tables()

    def column(self, target: Ints) -> Floats:
        """Likelihood column of a target, remembered."""
        key = key_of(target)
        column = self._cache.get(key)
        if column is None:
            if len(self._cache) >= self._capacity:
                self._cache.pop(next(iter(self._cache)))
            column = self.factors.column(target)
            if self.has_known:
                column = self.constraints.rest * column + self._known_density
            self._cache[key] = column
        return column

    def sparse_column(self, target: Ints) -> tuple[NDArray[np.int64], Floats]:
        """Plain likelihood of a target where it is positive, remembered."""
        key = key_of(target)
        found = self._sparse.get(key)
        if found is None:
            if len(self._sparse) >= self._capacity:
                self._sparse.pop(next(iter(self._sparse)))
            found = self._sparse[key] = self.factors.sparse_column(target)
        return found

    @property
    def has_known(self) -> bool:
        """Whether the weights of some targets are known."""
        return bool(self.constraints.known_weights.size)

    @cached_property
    def _known_density(self) -> Floats:
        known = self.constraints.known
        out: Floats = self.factors.columns(known) @ self.constraints.known_weights
        return out

    def adjusted(
        self, gradient: Floats, curvature: Floats, mixture: Floats
    ) -> tuple[Floats, Floats]:
        """Gradient and curvature at changed columns from those at plain ones.

        The curvature leaves out how the target's column goes with the known density; it serves
        to rank candidates only.

        Parameters
        ----------
        gradient, curvature : ndarray, shape (n_targets,)
        mixture : ndarray, shape (n_configurations,)

        Returns
        -------
        gradient, curvature : ndarray, shape (n_targets,)
        """
        if not self.has_known:
            return gradient, curvature
        # A row that is impossible so far is impossible under the known targets, too.
        possible = mixture > 0
        ratio = self._known_density[possible] / mixture[possible]
        share = float(self.counts[possible] @ ratio) / self.n_rows
        rest = self.constraints.rest
        changed = share + rest * gradient
        with np.errstate(invalid="ignore"):  # the gradient may be infinite there
            variance = rest**2 * (curvature - self.n_rows * gradient**2)
        return changed, variance + self.n_rows * changed**2

    def begin(self, targets: Ints, weights: Floats, max_size: int | None = None) -> Fit:
        """Weights of the permitted ones of given targets, for a start of the search.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)
        max_size : int, optional
            Largest number of variables that a target sets.

        Returns
        -------
        Fit
            Required targets join; for a target that is not permitted its neighbours do, which
            together produce the same rows.
        """
        known = self.constraints
        permitted = known.permits(targets)
        if permitted.all() and not len(known.required):
            return self.fit(targets, weights)
        others = targets[~permitted & np.isnan(known.fixed(targets))]
        if not permitted.any():
            others = targets
        joining = [known.required, *(known.neighbours(t, max_size) for t in others)]
        together = np.concatenate([targets[permitted], *joining]).astype(np.int16)
        _, first = np.unique(together, axis=0, return_index=True)
        together = together[np.sort(first)]
        if not len(together):
            raise InputError(
                "no target is permitted that could explain the rows; allow more, such as do()"
            )
        n_new = len(together) - int(permitted.sum())
        lost = max(float(weights[~permitted].sum()), 0.02)
        start = np.append(weights[permitted], np.full(n_new, lost / max(n_new, 1)))
        return self.fit(together, start)

    def whole(self, fit: Fit) -> tuple[Ints, Floats]:
        """Targets and weights of the whole mixture, the known ones last."""
        known = self.constraints
        return (
            np.concatenate([fit.targets, known.known]),
            np.append(known.rest * fit.weights, known.known_weights),
        )

    def columns(self, targets: Ints) -> Floats:
        """Likelihood columns of several targets, column-major."""
        out = np.zeros((self.factors.n_configurations, len(targets)), order="F")
        for column, target in zip(out.T, targets, strict=True):
            if self.has_known:
                column[:] = self.column(target)
            else:
                rows, values = self.sparse_column(target)
                column[rows] = values
        return out

    def lines(self, targets: Ints) -> csr_array:
        """Likelihood columns of several targets, one line for each, where they are not zero."""
        if self.has_known:
            return csr_array(np.array([self.column(target) for target in targets]))
        found = [self.sparse_column(target) for target in targets]
        ends = np.cumsum([0, *(rows.size for rows, _ in found)])
        rows = np.concatenate([rows for rows, _ in found])
        values = np.concatenate([values for _, values in found])
        return csr_array((values, rows, ends), shape=(len(found), self.factors.n_configurations))

    def price(self, targets: Ints, mixture: Floats) -> tuple[Floats, Floats]:
        """Gradient and curvature of the log-likelihood at targets, under a mixture density.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        mixture : ndarray, shape (n_configurations,)

        Returns
        -------
        gradient : ndarray, shape (n_targets,)
            ``D_t``, per row.
        curvature : ndarray, shape (n_targets,)
            Sum over all rows.
        """
        with np.errstate(divide="ignore"):
            ratio = 1.0 / mixture
        weighted = self.counts * ratio
        gradient, curvature = np.empty(len(targets)), np.empty(len(targets))
        for k, target in enumerate(targets):
            rows, values = self.sparse_column(target)
            terms = weighted[rows] * values
            gradient[k] = terms.sum() / self.n_rows
            curvature[k] = (terms * values) @ ratio[rows]
        return self.adjusted(gradient, curvature, mixture)

    def sparsest(self, targets: Ints, start: Floats, extra: Floats) -> tuple[Floats, Floats]:
        """Weights under a small linear cost, which leaves few of them alive.

        Where several sets of targets give the same distribution the cost chooses among them: with
        a cost that grows with the number of variables set, the mixture that satisfies exclusion.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        start : ndarray, shape (n_targets,)
            Weights to start from.
        extra : ndarray, shape (n_targets,)
            Relative cost of a unit of weight, 0 or a little more.

        Returns
        -------
        weights : ndarray, shape (n_targets,)
        mixture : ndarray, shape (n_configurations,)
            The density at the optimum, scaled so that gradients compare with ``1 + extra``.
        """
        # minimise -l(w) + sum (1 + extra) w: the plain problem in (1 + extra) w.
        columns = self.columns(targets) / (1.0 + extra)
        solution = solve_weights(columns, self.counts, start, _SEARCH_ACCURACY / self.n_rows)
        return solution.weights / (1.0 + extra), solution.mixture

    def fit(self, targets: Ints, start: Floats | None = None, gap: float | None = None) -> Fit:
        """Weights of given targets; those that end at zero are left out unless required.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        start : ndarray, shape (n_targets,), optional
            Weights to start from.
        gap : float, optional
            Optimality gap in nats a row; by default loose enough for comparisons.

        Returns
        -------
        Fit
        """
        wanted = _SEARCH_ACCURACY / self.n_rows if gap is None else gap
        columns = self.columns(targets)
        solution = solve_weights(columns, self.counts, start, wanted)
        kept = np.flatnonzero((solution.weights > 0) | self.constraints.protects(targets))
        targets = targets[kept]
        cost = self.score.total(targets)
        return Fit(
            targets=targets,
            weights=solution.weights[kept],
            columns=np.asfortranarray(columns[:, kept]),
            mixture=solution.mixture,
            log_likelihood=solution.log_likelihood,
            score=solution.log_likelihood - cost,
            gap=solution.gap,
            converged=solution.converged,
            counts=self.counts,
        )
