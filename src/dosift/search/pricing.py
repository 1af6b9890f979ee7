"""Pricing: the likelihood's gradient and curvature at targets that are not in the mixture.

For a mixture density f = L w, the gradient of a target t is ``D_t = sum_r c_r R_t(r) / f(r) / N``
(``D_t <= 1`` for all t at the optimum) and its curvature ``H_t = sum_r c_r (R_t(r) / f(r))^2``.
Both are sums of products of per-variable factors, so that all targets one step away from a given
one are priced together, variable by variable, from the configurations that it can produce.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.search.problem import Fit, SearchProblem

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Candidates, by gradient in standard errors, that are judged by the quadratic model.
SHORTLIST = 100
#: Number of targets up to which all of them are priced at once.
ENUMERABLE = 2**18
#: Lowest gradient, in standard errors, at which a candidate may still be of use.
_LOWEST_Z = -4.0


@dataclass(frozen=True)
class Priced:
    """Targets with their gradient and curvature under a mixture.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
        Distinct, none of them in the mixture.
    gradient : ndarray, shape (n_targets,)
        ``D_t``.
    curvature : ndarray, shape (n_targets,)
        ``H_t`` (a sum over all rows).
    """

    targets: Ints
    gradient: Floats
    curvature: Floats

    def __getitem__(self, index: NDArray[np.integer]) -> Priced:
        return Priced(self.targets[index], self.gradient[index], self.curvature[index])

    def without(self, keys: frozenset[bytes]) -> Priced:
        """Return the priced targets less some."""
        kept = [k for k, target in enumerate(self.targets) if target.tobytes() not in keys]
        return self[np.array(kept, dtype=np.int64)]

    def join(self, other: Priced, exclude: frozenset[bytes]) -> Priced:
        """Join with others, without repeats and without those of a mixture."""
        return merge_priced([self, other], exclude, self.targets.shape[1])

    def z_scores(self, n_rows: float) -> Floats:
        """Gradient in standard errors: positive where the likelihood wants the target."""
        variance = np.maximum(self.curvature - n_rows * self.gradient**2, 1e-12 * self.curvature)
        out: Floats = n_rows * (self.gradient - 1.0) / np.sqrt(np.maximum(variance, 1e-300))
        return out


def merge_priced(parts: list[Priced], exclude: frozenset[bytes], n_variables: int) -> Priced:
    """Join lists of priced targets, without repeats and without those of a mixture."""
    if not parts:
        return Priced(np.empty((0, n_variables), dtype=np.int16), np.empty(0), np.empty(0))
    targets = np.concatenate([p.targets for p in parts])
    gradient = np.concatenate([p.gradient for p in parts])
    curvature = np.concatenate([p.curvature for p in parts])
    seen = set(exclude)
    kept = []
    for k, target in enumerate(targets):
        key = target.tobytes()
        if key not in seen:
            seen.add(key)
            kept.append(k)
    return Priced(targets[kept], gradient[kept], curvature[kept])


def shortlist(priced: Priced, n_rows: float, length: int = SHORTLIST) -> Priced:
    """Keep the steepest candidates.

    Parameters
    ----------
    priced : Priced
    n_rows : float
    length : int
        How many to keep.

    Returns
    -------
    Priced
        By descending z-score. Candidates with a somewhat negative gradient stay: bringing one in
        can pay when it lets several components go.
    """
    z = priced.z_scores(n_rows)
    order = np.argsort(-z, kind="stable")
    return priced[order[z[order] > _LOWEST_Z][:length]]


def price_all(problem: SearchProblem, fit: Fit, max_size: int | None = None) -> Priced | None:
    """Price every target at once, where they can be enumerated.

    The gradient of all targets is one multilinear transform of the relative residual: variables
    are taken in reverse topological order, and each is either summed out (left alone) or picked
    at a state and divided by its mechanism (set), as no factor that is still to come depends on
    it. The curvature is the same transform of the squares.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        The mixture.
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    Priced or None
        Targets with positive gradient that are not in the mixture; None if there are too many
        targets, or structural zeros, or configurations over more variables than targets.
    """
    sizes = problem.cardinalities + 1
    if float(np.prod(sizes, dtype=np.float64)) > ENUMERABLE or problem.factors.n_zeros.any():
        return None
    if not problem.is_closed:
        return None
    gradient, curvature = _transform(problem, fit)
    flat = np.flatnonzero(gradient > 0)
    codes = np.stack(np.unravel_index(flat, gradient.shape), axis=1).astype(np.int16) - 1
    if max_size is not None:
        small = (codes >= 0).sum(axis=1) <= max_size
        codes, flat = codes[small], flat[small]
    priced = Priced(codes, gradient.ravel()[flat] / problem.n_rows, curvature.ravel()[flat])
    z = priced.z_scores(problem.n_rows)
    steep = np.argsort(-z, kind="stable")[: 4 * SHORTLIST]
    return priced[steep].without(fit.keys)


class NeighbourPricer:
    """Prices the targets that differ from given ones in a single variable."""

    def __init__(self, problem: SearchProblem, max_size: int | None = None) -> None:
        self.problem = problem
        self.max_size = max_size

    def price(self, fit: Fit, around: Ints | None = None) -> Priced:
        """Price every target one element away from those of a mixture.

        Parameters
        ----------
        fit : Fit
            The mixture.
        around : ndarray of int, shape (n_targets, n_variables), optional
            The targets whose neighbours are wanted; those of the mixture by default.

        Returns
        -------
        Priced
        """
        ratio = 1.0 / fit.mixture
        parts = []
        opened_before: set[bytes] = set()
        for target in fit.targets if around is None else around:
            size = int((target >= 0).sum())
            # Opening nothing gives the extensions; opening a variable gives its removal and
            # its changes of state.
            free = target < 0
            if self.max_size is None or size < self.max_size:
                key = target.tobytes()
                if key not in opened_before:
                    opened_before.add(key)
                    parts.append(self._extensions(target, np.flatnonzero(free), ratio))
            for j in np.flatnonzero(~free):
                base = target.copy()
                base[j] = -1
                key = base.tobytes()
                if key not in opened_before:
                    opened_before.add(key)
                    parts.append(self._extensions(base, np.flatnonzero(base < 0), ratio))
        return merge_priced(parts, fit.keys, fit.targets.shape[1])

    def _extensions(self, base: Ints, free: NDArray[np.int64], ratio: Floats) -> Priced:
        """Price a target and all its extensions by one variable."""
        factors = self.problem.factors
        if factors.n_zeros.any():
            return self._extensions_with_zeros(base, free, ratio)
        counts, n_rows = self.problem.counts, self.problem.n_rows
        rows = factors.matching(base)
        relative = self.problem.column(base)[rows] * ratio[rows]
        weighted = counts[rows] * relative
        squared = weighted * relative
        targets = [base]
        gradient = [weighted.sum() / n_rows]
        curvature = [squared.sum()]
        for j in free:
            k = int(self.problem.cardinalities[j])
            inverse = np.exp(-factors.log_factor[rows, j])
            codes = factors.codes[rows, j]
            first = np.bincount(codes, weights=weighted * inverse, minlength=k) / n_rows
            second = np.bincount(codes, weights=squared * inverse * inverse, minlength=k)
            for a in np.flatnonzero(first > 0):
                extended = base.copy()
                extended[j] = a
                targets.append(extended)
                gradient.append(first[a])
                curvature.append(second[a])
        return Priced(np.array(targets), np.array(gradient), np.array(curvature))

    def _extensions_with_zeros(self, base: Ints, free: NDArray[np.int64], ratio: Floats) -> Priced:
        """Do the same where structural zeros make a row possible only with more variables set."""
        targets = [base]
        for j in free:
            for a in np.unique(self.problem.factors.codes[:, j]):
                extended = base.copy()
                extended[j] = a
                targets.append(extended)
        stacked = np.array(targets)
        gradient = np.empty(len(stacked))
        curvature = np.empty(len(stacked))
        for k, target in enumerate(stacked):
            relative = self.problem.factors.column(target) * ratio
            weighted = self.problem.counts * relative
            gradient[k] = weighted.sum() / self.problem.n_rows
            curvature[k] = weighted @ relative
        possible = gradient > 0
        return Priced(stacked[possible], gradient[possible], curvature[possible])


def _transform(problem: SearchProblem, fit: Fit) -> tuple[Floats, Floats]:
    """Gradient (times the number of rows) and curvature of all targets.

    Returns
    -------
    ndarray, shape (k_1 + 1, ..., k_n + 1), twice
        Index 0 leaves a variable alone, index a + 1 sets it to state a.
    """
    shape = tuple(int(k) for k in problem.cardinalities)
    cells, logs = problem.dense_cells
    first = np.zeros(shape)
    first.ravel()[cells] = problem.counts / fit.mixture
    second = np.zeros(shape)
    second.ravel()[cells] = problem.counts / fit.mixture**2
    for j in reversed(range(len(shape))):
        inverse = logs[j].reshape(shape[: j + 1] + (1,) * (len(shape) - j - 1))
        first = np.concatenate([first.sum(axis=j, keepdims=True), first * inverse], axis=j)
        inverse = inverse * inverse
        second = np.concatenate([second.sum(axis=j, keepdims=True), second * inverse], axis=j)
    return first, second
