"""Joint improvement on the full rows: moves are ranked by a model and tried exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.search.enumeration import EnumeratedPricer
from dosift.search.moves import Move, merges, rank_moves
from dosift.search.pricing import NeighbourPricer, Priced, shortlist
from dosift.search.problem import Fit, SearchProblem
from dosift.search.prune import drop_losses, prune

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Moves tried exactly in each round, and promised rise (nats) below which a move is not tried:
#: first only what the model recommends, in the end whatever it does not rule out.
_EAGER = (6, -2.0)
_THOROUGH = (25, -12.0)
#: Components that are dropped in turn to see what the likelihood wants in their place.
_REPAIRS = 8
_REPAIR_TRIALS = 3
#: Rise of the score (nats) that counts as one.
_LEAST_RISE = 1e-4
#: Bound on rounds, far above what problems need.
_MAX_ROUNDS = 200


class Improver:
    """Raises the score of a mixture by moves until none of those tried helps.

    Parameters
    ----------
    problem : SearchProblem
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(self, problem: SearchProblem, max_size: int | None = None) -> None:
        self.problem = problem
        pricer = EnumeratedPricer if EnumeratedPricer.can_price(problem) else NeighbourPricer
        self.pricer = pricer(problem, max_size)

    def run(self, fit: Fit) -> Fit:
        """Improve a mixture.

        Parameters
        ----------
        fit : Fit
            Where to start.

        Returns
        -------
        Fit
        """
        fit = prune(self.problem, fit)
        for _ in range(_MAX_ROUNDS):
            better = (
                self._near(fit, _EAGER)
                or self._far(fit, _EAGER)
                or self._merge(fit)
                or self._repair(fit)
                or self._near(fit, _THOROUGH)
                or self._far(fit, _THOROUGH)
            )
            if better is None:
                return fit
            fit = better
        return fit

    def _near(self, fit: Fit, effort: tuple[int, float]) -> Fit | None:
        """Bring in a neighbour of a component."""
        return self._try(fit, fit, self.pricer.near(fit), effort)

    def _far(self, fit: Fit, effort: tuple[int, float]) -> Fit | None:
        """Bring in any target."""
        return self._try(fit, fit, self.pricer.far(fit), effort)

    def _merge(self, fit: Fit) -> Fit | None:
        """Replace components by what they have in common."""
        for move in merges(fit):
            trial = self._apply(fit, move)
            if trial.score > fit.score + _LEAST_RISE:
                return trial
        return None

    def _repair(self, fit: Fit) -> Fit | None:
        """Drop one component first, then add what the likelihood wants in its place."""
        if fit.weights.size < 2:
            return None
        margin = drop_losses(fit) - self.problem.score.costs(fit.targets)
        for worst in np.argsort(margin, kind="stable")[:_REPAIRS]:
            keep = np.arange(fit.weights.size) != worst
            without = self.problem.fit(fit.targets[keep], fit.weights[keep])
            if np.isneginf(without.log_likelihood):
                continue  # some rows only this component can produce
            candidates = self.pricer.around(without, fit.targets).without(fit.keys)
            better = self._try(fit, without, candidates, (_REPAIR_TRIALS, _EAGER[1]))
            if better is not None:
                return better
        return None

    def _try(
        self, reference: Fit, start: Fit, candidates: Priced, effort: tuple[int, float]
    ) -> Fit | None:
        """Make the most promising moves exactly; return the first that beats the reference."""
        trials, least_promise = effort
        deficit = reference.score - start.score
        candidates = shortlist(self.problem, candidates)
        for move in rank_moves(self.problem, start, candidates)[:trials]:
            if move.promise < deficit + least_promise:
                return None
            # The model may drop too much: leaving the drops to exact pruning is the safe variant.
            for variant in (Move(move.added, (), move.promise), move)[: 1 + bool(move.dropped)]:
                trial = self._apply(start, variant)
                if trial.score > reference.score + _LEAST_RISE:
                    return trial
        return None

    def _apply(self, fit: Fit, move: Move) -> Fit:
        keep = np.ones(fit.weights.size, dtype=bool)
        keep[list(move.dropped)] = False
        targets = np.concatenate([fit.targets[keep], move.added])
        freed = max(float(fit.weights[~keep].sum()), 0.02)
        start = np.append(fit.weights[keep], np.full(len(move.added), freed / len(move.added)))
        return prune(self.problem, self.problem.fit(targets, start))
