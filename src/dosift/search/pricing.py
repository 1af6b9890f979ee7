"""Pricing: the likelihood's gradient and curvature at targets that are not in the mixture.

For a mixture density f = L w, the gradient of a target t is ``D_t = sum_r c_r R_t(r) / f(r) / N``
(``D_t <= 1`` for all t at the optimum) and its curvature ``H_t = sum_r c_r (R_t(r) / f(r))^2``.
Both are sums of products of per-variable factors, so that all targets one step away from a given
one are priced together, variable by variable, from the configurations that it can produce.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.other import is_other
from dosift.search.problem import Fit, SearchProblem

#: Candidates, by gradient in standard errors, that are judged by the quadratic model.
SHORTLIST = 100
#: Entries (configurations times candidates) up to which the shortlist has its full length.
_SHORTLIST_ENTRIES = 600_000
_SHORTEST = 12
#: Lowest gradient, in standard errors, at which a candidate may still be of use.
_LOWEST_Z = -4.0
#: Steepest candidates whose own neighbours are priced when nothing nearby helps, and how often.
_BEAM_WIDTH = 12
_BEAM_DEPTH = 3


def z_scores(gradient: Floats, curvature: Floats, n_rows: float) -> Floats:
    """Gradients in standard errors.

    Parameters
    ----------
    gradient : ndarray, shape (n_targets,)
        ``D_t``, per row.
    curvature : ndarray, shape (n_targets,)
        ``H_t``, summed over the rows.
    n_rows : float

    Returns
    -------
    ndarray, shape (n_targets,)
        Positive where the likelihood wants the target.
    """
    variance = np.maximum(curvature - n_rows * gradient**2, 1e-12 * curvature)
    out: Floats = n_rows * (gradient - 1.0) / np.sqrt(np.maximum(variance, 1e-300))
    return out


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

    def __getitem__(self, index: Ints | Bools | slice) -> Priced:
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
        return z_scores(self.gradient, self.curvature, n_rows)


def merge_priced(parts: list[Priced], exclude: frozenset[bytes], n_variables: int) -> Priced:
    """Join lists of priced targets, without repeats and without those of a mixture."""
    if not parts:
        return Priced(np.empty((0, n_variables), dtype=np.int16), np.empty(0), np.empty(0))
    targets = np.concatenate([p.targets for p in parts])
    gradient = np.concatenate([p.gradient for p in parts])
    curvature = np.concatenate([p.curvature for p in parts])
    raw, width = targets.tobytes(), targets.itemsize * n_variables
    keys = [raw[at : at + width] for at in range(0, len(raw), width)]
    # Of equal ones the first stays: it is the last to be written here.
    first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
    kept = sorted(place for key, place in first.items() if key not in exclude)
    return Priced(targets[kept], gradient[kept], curvature[kept])


def shortlist(problem: SearchProblem, priced: Priced, length: int | None = None) -> Priced:
    """Keep the steepest candidates.

    Parameters
    ----------
    problem : SearchProblem
    priced : Priced
    length : int, optional
        How many to keep; by default what the number of configurations lets one judge quickly.

    Returns
    -------
    Priced
        By descending z-score. Candidates with a somewhat negative gradient stay: bringing one in
        can pay when it lets several components go.
    """
    if length is None:
        affordable = _SHORTLIST_ENTRIES // max(problem.factors.n_configurations, 1)
        length = min(SHORTLIST, max(_SHORTEST, affordable))
    z = priced.z_scores(problem.n_rows)
    order = np.argsort(-z, kind="stable")
    return priced[order[z[order] > _LOWEST_Z][:length]]


class NeighbourPricer:
    """Prices the targets that differ from given ones in a single variable.

    Parameters
    ----------
    problem : SearchProblem
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(self, problem: SearchProblem, max_size: int | None = None) -> None:
        self.problem = problem
        self.max_size = max_size
        self._priced_for: Fit | None = None
        self._near: Priced | None = None
        self._far: Priced | None = None
        self._extended_for: Fit | None = None
        self._extended: dict[bytes, Priced] = {}

    def near(self, fit: Fit) -> Priced:
        """Price the neighbours of a mixture's targets."""
        self._remember(fit)
        if self._near is None:
            self._near = self.around(fit, fit.targets)
        return self._near

    def far(self, fit: Fit) -> Priced:
        """Price the targets reached by following the gradient from the empty target."""
        self._remember(fit)
        if self._far is None:
            self._far = self._follow_gradient(fit)
        return self._far

    def _remember(self, fit: Fit) -> None:
        if self._priced_for is not fit:
            self._priced_for, self._near, self._far = fit, None, None

    def _follow_gradient(self, fit: Fit) -> Priced:
        start: Ints = np.full((1, fit.targets.shape[1]), -1, dtype=fit.targets.dtype)
        found = self._all_around(fit, start)
        for _ in range(_BEAM_DEPTH):
            steepest = shortlist(self.problem, found, _BEAM_WIDTH).targets
            found = found.join(self._all_around(fit, steepest), fit.keys)
        return self._permitted(found)

    def _permitted(self, priced: Priced) -> Priced:
        return priced[self.problem.constraints.permits(priced.targets)]

    def around(self, fit: Fit, targets: Ints) -> Priced:
        """Price every target one element away from given ones.

        Parameters
        ----------
        fit : Fit
            The mixture.
        targets : ndarray of int, shape (n_targets, n_variables)
            The targets whose neighbours are wanted.

        Returns
        -------
        Priced
            The permitted ones.
        """
        return self._permitted(self._all_around(fit, targets))

    def _all_around(self, fit: Fit, targets: Ints) -> Priced:
        """Price neighbours, also those that are not permitted but on the way to others."""
        bases = self._bases(targets)
        known = self._extended_of(fit)
        new = [key for key in bases if key not in known]
        if new:
            opened = np.array([bases[key] for key in new])
            known.update(zip(new, self._extensions(opened, 1.0 / fit.mixture), strict=True))
        found = merge_priced([known[key] for key in bases], fit.keys, fit.targets.shape[1])
        # A target that no row at hand can come from says nothing.
        some = (found.gradient > 0) & self.problem.constraints.reaches(found.targets)
        found = found[some]
        gradient, curvature = self.problem.adjusted(found.gradient, found.curvature, fit.mixture)
        return Priced(found.targets, gradient, curvature)

    def _extended_of(self, fit: Fit) -> dict[bytes, Priced]:
        """Prices of targets with their extensions, which remain while the mixture does."""
        if self._extended_for is not fit:
            self._extended_for, self._extended = fit, {}
        return self._extended

    def _bases(self, targets: Ints) -> dict[bytes, Ints]:
        """Find the targets of which all neighbours of some are extensions by one variable."""
        bases: dict[bytes, Ints] = {}
        for target in targets:
            is_set = (target >= 0).nonzero()[0]
            # Opening nothing gives the extensions; opening a variable gives its removal and
            # its changes of state.
            if self.max_size is None or is_set.size < self.max_size:
                bases.setdefault(target.tobytes(), target)
            for j in is_set:
                base = target.copy()
                base[j] = -1
                bases.setdefault(base.tobytes(), base)
        return bases

    def _extensions(self, bases: Ints, ratio: Floats) -> list[Priced]:
        """Price targets, each together with all its extensions by one variable."""
        factors = self.problem.factors
        if factors.n_zeros.any():
            return [self._extensions_with_zeros(base, ratio) for base in bases]
        counts, n_rows = self.problem.counts, self.problem.n_rows
        found = [self.problem.sparse_column(base) for base in bases]
        rows = np.concatenate([at for at, _ in found])
        relative = np.concatenate([values for _, values in found])
        relative *= ratio[rows]
        weighted = counts[rows] * relative
        squared = weighted * relative
        sizes = np.array([at.size for at, _ in found])
        of_base = np.repeat(np.arange(sizes.size), sizes)
        ends = np.append(0, np.cumsum(sizes))
        first, second = factors.sums(rows, ends, weighted, squared)
        gradient: Floats = np.column_stack([np.bincount(of_base, weighted, sizes.size), first])
        curvature: Floats = np.column_stack([np.bincount(of_base, squared, sizes.size), second])
        gradient /= n_rows
        variable, change = factors.changes
        wanted = gradient > 0
        wanted[:, 0] = True
        wanted[:, 1:] &= bases[:, variable] < 0
        base, added = wanted.nonzero()
        targets = bases[base]
        more = added.nonzero()[0]
        targets[more, variable[added[more] - 1]] = change[added[more] - 1]
        every = Priced(targets, gradient[base, added], curvature[base, added])
        begins = np.append(0, np.cumsum(wanted.sum(axis=1))).tolist()
        return [every[start:end] for start, end in pairwise(begins)]

    def _extensions_with_zeros(self, base: Ints, ratio: Floats) -> Priced:
        """Do the same where structural zeros make a row possible only with more variables set."""
        targets = [base]
        for j in np.flatnonzero(base < 0):
            for a in self.problem.factors.ratios[j].reachable():
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


class CandidatePricer:
    """Prices the targets of a list, wherever it is asked to look.

    Parameters
    ----------
    problem : SearchProblem
        Its constraints hold the list.
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(self, problem: SearchProblem, max_size: int | None = None) -> None:
        self.problem = problem
        listed = problem.constraints.candidates
        assert listed is not None
        # Rows from elsewhere are in the mixture already, where they may be.
        self._listed = listed[problem.constraints.permits(listed) & ~is_other(listed)]
        if max_size is not None:
            self._listed = self._listed[(self._listed >= 0).sum(axis=1) <= max_size]
        self._listed = self._listed[self._possible()]

    def near(self, fit: Fit) -> Priced:
        """Price the whole list."""
        return self.around(fit, fit.targets)

    def far(self, fit: Fit) -> Priced:
        """Price the whole list."""
        return self.around(fit, fit.targets)

    def around(self, fit: Fit, targets: Ints) -> Priced:
        """Price the whole list, less what is in the mixture."""
        gradient, curvature = self.problem.price(self._listed, fit.mixture)
        return Priced(self._listed, gradient, curvature).without(fit.keys)

    def _possible(self) -> Bools:
        """Whether any row at hand can come from each candidate; others say nothing."""
        matching = self.problem.factors.matching
        return np.array([matching(target).size > 0 for target in self._listed], dtype=bool)
