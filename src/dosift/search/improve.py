"""Joint improvement on the full rows: moves are ranked by a model and tried exactly."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dosift.search.enumeration import EnumeratedPricer
from dosift.search.moves import Move, extensions, merges, rank_moves, splits
from dosift.search.pricing import CandidatePricer, NeighbourPricer, Priced, shortlist
from dosift.search.problem import Fit, SearchProblem
from dosift.search.prune import drop_losses, prune
from dosift.search.supported import SupportedPricer

#: Moves tried exactly in each round, and promised rise (nats) below which a move is not tried:
#: first only what the model recommends, in the end whatever it does not rule out.
_EAGER = (3, -0.5)
_THOROUGH = (10, -4.0)
#: Numbers of rows up to which everything that is not ruled out is tried, and up to which
#: components are dropped to see what the likelihood wants in their place.
_THOROUGH_ROWS, _REPAIR_ROWS = 2**13, 2**15
#: Components that are dropped in turn to see what the likelihood wants in their place.
_REPAIRS = 8
_REPAIR_TRIALS = 3
#: Splits of a component that are tried, and the least promise (nats) of one: the model lets no
#: other weight move, and so promises too little.
_SPLITS, _LEAST_SPLIT = 12, -15.0
#: The same for extensions, whose promise is nearly exact.
_EXTENSIONS, _LEAST_EXTENSION = 5, -2.0
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
    n_rows : float, optional
        Number of rows that decides the effort, where the problem holds a sample of them.

    Notes
    -----
    With many rows the likelihood says clearly what it wants; with few it takes more trials to
    find the best of many explanations that are nearly as good. The effort depends on the number
    of rows (docs/decisions/0006-effort-of-the-search.md has the experiment).
    """

    def __init__(
        self, problem: SearchProblem, max_size: int | None = None, n_rows: float | None = None
    ) -> None:
        self.problem = problem
        self.max_size = max_size
        n_rows = problem.n_rows if n_rows is None else n_rows
        self.repairs = n_rows <= _REPAIR_ROWS
        self.thorough = n_rows <= _THOROUGH_ROWS
        self.pricer: CandidatePricer | EnumeratedPricer | NeighbourPricer | SupportedPricer
        if problem.constraints.candidates is not None:
            self.pricer = CandidatePricer(problem, max_size)
        elif self.thorough and SupportedPricer.can_price(problem):
            self.pricer = problem.remembered(
                ("supported", max_size), lambda: SupportedPricer(problem, max_size)
            )
        elif EnumeratedPricer.can_price(problem):
            self.pricer = EnumeratedPricer(problem, max_size)
        else:
            self.pricer = NeighbourPricer(problem, max_size)

    def run(self, fit: Fit, quickly: bool = False, rounds: int = _MAX_ROUNDS) -> Fit:
        """Improve a mixture.

        Parameters
        ----------
        fit : Fit
            Where to start.
        quickly : bool
            Whether to do only what the likelihood clearly asks for, whatever the number of rows.
        rounds : int
            Moves that are made at most.

        Returns
        -------
        Fit
        """
        fit = prune(self.problem, fit)
        for _ in range(rounds):
            better = self._near(fit, _EAGER) or self._far(fit, _EAGER) or self._merge(fit)
            if better is None and not quickly:
                better = self._extend(fit)
            if better is None and self.repairs and not quickly:
                better = self._repair(fit)
            if better is None and self.thorough and not quickly:
                better = self._split(fit) or self._near(fit, _THOROUGH) or self._far(fit, _THOROUGH)
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
        permits = self.problem.constraints.permits
        moves = (move for move in merges(fit.targets) if permits(move.added).all())
        return self._first(fit, fit, moves, -np.inf)

    def _repair(self, fit: Fit) -> Fit | None:
        """Drop one component first, then add what the likelihood wants in its place."""
        if fit.weights.size < 2:
            return None
        for worst in self._weakest(fit)[:_REPAIRS]:
            without = self._without(fit, worst)
            if without is None:
                continue
            effort = (_REPAIR_TRIALS, _EAGER[1])
            candidates = self.pricer.around(without, fit.targets).without(fit.keys)
            better = self._try(fit, without, candidates, effort)
            if better is None and isinstance(self.pricer, SupportedPricer):
                candidates = self.pricer.far(without).without(fit.keys)
                better = self._try(fit, without, candidates, effort)
            if better is not None:
                return better
        return None

    def _weakest(self, fit: Fit) -> NDArray[np.int64]:
        """Components by what dropping them would cost the score."""
        margin = drop_losses(fit) - self.problem.score.savings(fit.targets)
        order = np.argsort(margin, kind="stable")
        return order[~self.problem.constraints.protects(fit.targets[order])]

    def _without(self, fit: Fit, component: int) -> Fit | None:
        """Drop a component; None if some rows only it can produce."""
        keep = np.arange(fit.weights.size) != component
        without = self.problem.fit(fit.targets[keep], fit.weights[keep])
        return None if np.isneginf(without.log_likelihood) else without

    def _ranked(self, fit: Fit, candidates: Priced) -> list[Move]:
        return rank_moves(self.problem, fit, shortlist(self.problem, candidates))

    def _split(self, fit: Fit) -> Fit | None:
        """Replace a component by extensions that together explain its rows better."""
        moves = splits(self.problem, fit, self.max_size)[:_SPLITS]
        return self._first(fit, fit, moves, _LEAST_SPLIT)

    def _extend(self, fit: Fit) -> Fit | None:
        """Let a component set one variable more."""
        if self.problem.constraints.candidates is not None:
            return None
        moves = extensions(self.problem, fit, self.max_size)[:_EXTENSIONS]
        return self._first(fit, fit, moves, _LEAST_EXTENSION)

    def _try(
        self, reference: Fit, start: Fit, candidates: Priced, effort: tuple[int, float]
    ) -> Fit | None:
        """Make the most promising moves exactly; return the first that beats the reference."""
        trials, least_promise = effort
        deficit = reference.score - start.score
        moves = self._ranked(start, candidates)[:trials]
        return self._first(reference, start, moves, deficit + least_promise)

    def _first(
        self, reference: Fit, start: Fit, moves: Iterable[Move], least_promise: float
    ) -> Fit | None:
        """Make moves exactly until one beats the reference, or promises too little."""
        needed = reference.score + _LEAST_RISE
        for move in moves:
            if move.promise < least_promise:
                return None
            trial = self._apply(start, move, needed)
            if trial.score > needed:
                return trial
        return None

    def _apply(self, fit: Fit, move: Move, needed: float) -> Fit:
        """Make a move exactly, as far as that may reach the score needed."""
        keep = np.ones(fit.weights.size, dtype=bool)
        keep[list(move.dropped)] = False
        keep |= self.problem.constraints.protects(fit.targets)
        targets = np.concatenate([fit.targets[keep], move.added])
        freed = max(float(fit.weights[~keep].sum()), 0.02)
        start = np.append(
            fit.weights[keep], np.full(len(move.added), freed / max(len(move.added), 1))
        )
        return prune(self.problem, self.problem.fit(targets, start), needed=needed)
