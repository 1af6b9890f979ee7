"""Backward elimination in the search: what does not earn its cost on complete rows is dropped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints
from dosift.search.elimination import eliminate, survivors
from dosift.search.problem import Fit, SearchProblem

#: How far above its cost the estimated loss of a component may be for the exact loss to be tried.
_SLACK = 3.0
#: Exact trials of single drops without success after which pruning stops.
_TRIALS = 3


def drop_losses(fit: Fit) -> Floats:
    """Estimated loss of log-likelihood when one component is dropped and the rest re-fitted.

    Returns
    -------
    ndarray, shape (n_targets,)
        ``w^2 / (2 * inverse Hessian diagonal)``, in nats.
    """
    diagonal = np.maximum(np.diag(fit.inverse_hessian), 1e-300)
    out: Floats = fit.weights**2 / (2 * diagonal)
    return out


@dataclass(frozen=True)
class _Priced:
    """A fit with what its components cost."""

    problem: SearchProblem
    fit: Fit
    price: dict[bytes, float] | None

    @property
    def costs(self) -> Floats:
        if self.price is None:
            return self.problem.score.savings(self.fit.targets)
        return np.array([self.price[t.tobytes()] for t in self.fit.targets])

    @property
    def score(self) -> float:
        if self.price is None:
            return self.fit.log_likelihood - self.problem.score.total(self.fit.targets)
        return self.fit.log_likelihood - float(self.costs.sum())

    def keeping(self, kept: NDArray[np.int64] | Bools) -> _Priced:
        return replace(self, fit=self.problem.fit(self.fit.targets[kept], self.fit.weights[kept]))

    def margins(self) -> Floats:
        net = drop_losses(self.fit) - self.costs
        net[self.problem.constraints.protects(self.fit.targets)] = np.inf
        return net[None]

    def without(self, tried: Ints) -> _Priced:
        return self.keeping(np.arange(self.fit.weights.size) != tried[0])

    def gains(self, trial: _Priced, tried: Ints) -> Bools:
        return np.array([trial.score > self.score])

    def taking(self, trial: _Priced, tried: Ints, better: Bools) -> _Priced:
        return trial


def prune(
    problem: SearchProblem, fit: Fit, costs: Floats | None = None, needed: float = -np.inf
) -> Fit:
    """Drop components while that raises the score.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        Where to start.
    costs : ndarray, shape (n_targets,), optional
        What each component must earn, in nats; by default its cost in the score.
    needed : float
        Score below which the fit is of no use: it is left as it is where that is out of reach.

    Returns
    -------
    Fit
        No single drop raises the score any more (as far as exact trials of the most promising
        drops tell).
    """
    if np.isneginf(fit.log_likelihood):
        return fit  # some rows are impossible: there is no curvature to go by
    price = None
    if costs is not None:
        price = dict(zip((t.tobytes() for t in fit.targets), map(float, costs), strict=True))
    now = _Priced(problem, fit, price)
    if now.score < needed:
        # A drop brings no more than it would if its loss were less than estimated by the slack.
        most = np.maximum(_SLACK - now.margins(), 0.0).sum()
        if now.score + most < needed:
            return fit
    protected = problem.constraints.protects(fit.targets)
    kept = survivors(fit.weights, fit.inverse_hessian, now.costs, protected)
    if kept.size < fit.weights.size:
        trial = now.keeping(kept)
        if trial.score >= now.score:
            now = trial
    return eliminate(now, slack=_SLACK, trials=_TRIALS).fit
