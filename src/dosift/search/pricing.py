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
