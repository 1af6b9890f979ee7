"""The search over graphs: edges are added, removed and reversed while the score rises.

Structural EM (Friedman 1998) ranks all edits of one edge by a quick gain; the best few are fitted
from the mixture at hand. Where none of them helps, the graph is fitted from scratch once, then
reversals and equivalent graphs are tried, which flip several edges at once. In the end the best
few graphs are fitted in full, by the same search as any other network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dosift.graphs.dag import EdgeConstraints, Edit, Parents, edits, equivalent, together
from dosift.graphs.family import Families
from dosift.graphs.fits import GraphFitter
from dosift.graphs.gains import HOPELESS, QUICK_STEPS
from dosift.graphs.graph_fit import GraphFit
from dosift.model.arrays import Floats
from dosift.search.result import SearchResult
from dosift.utils.progress import Progress

#: Families that an edit changes: of which variable, with which parents before and after.
_Families = tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]

#: Rise of the score (nats) that counts as one.
_LEAST_RISE = 0.1
#: Edits that are fitted in each round, and reversals and equivalent graphs where none of those
#: helps.
_FITTED, _REVERSALS, _EQUIVALENT = 4, 10, 24
#: Quick gain (nats) from which those are.
_HOPELESS = -60.0
#: Reversals after which another edit is tried, and how many.
_FOLLOWED, _FOLLOWING = 3, 2
#: Equivalent graphs that are fitted from scratch in the end, and steps downhill before the climb
#: ends: so many likelihoods (distinct rows times components) in all, within bounds.
_SPLIT_WORK, _SPLIT = 2**19, (4, 24)
_PATIENT_WORK, _PATIENCE = 2**17, (1, 4)
#: Rise of the score (nats) after which the climb is patient anew.
_HIGHER = 1.0
#: Graphs among which a start is chosen where none is given: so many likelihoods in all, within
#: bounds; and starts.
_START_WORK, _STARTS, _BEGUN = 2**21, (8, 60), 2
#: Edits from which the ranking begins with few steps of EM; those that are ranked thoroughly.
_MANY_EDITS, _FEW_STEPS, _RANKED = 300, 3, 60
#: Quick gain (nats) below which an edit that was ranked is not ranked again for another graph in
#: which the families that it changes are the same, where a climb is in a hurry.
_LOSES = -3.0
#: Rise of the score (nats) of a step below which such a climb ends.
_CLEAR_STEP = 8.0
#: Edits of which the quick gain promises this much (nats) are also tried all together.
_CLEAR = 10.0
#: Graphs within so many nats of the best that are fitted in full: so many likelihoods in all, but
#: at least and at most so many graphs.
_NEAR, _FULL_WORK, _IN_FULL = 25.0, 2**17, (1, 3)
#: Quick gain (nats) from which a neighbour of the best of them is fitted from its mixture, how many
#: in each round, and rounds.
_LEAST_PROMISE, _PROMISING, _ROUNDS = -15.0, 3, 3


@dataclass(frozen=True)
class GraphScore:
    """A graph, and what it is worth.

    Attributes
    ----------
    graph : Parents
    score : float
        Joint penalised log-likelihood, in nats.
    """

    graph: Parents
    score: float


class GraphClimber:
    """Looks for the graph with the highest score.

    Parameters
    ----------
    fitter : GraphFitter
    constraints : EdgeConstraints
    tell : callable
        Called with a stage's name, the steps done and the steps in all.
    steps : int, optional
        Of EM, for quick gains.
    in_hurry : bool
        Whether only what is clear is of interest: edits that lose under one graph are taken to lose
        by as much under others that differ elsewhere, and a quick climb ends where steps are small.
    """

    def __init__(
        self,
        fitter: GraphFitter,
        constraints: EdgeConstraints,
        tell: Progress,
        steps: int = QUICK_STEPS,
        in_hurry: bool = False,
    ) -> None:
        self.fitter = fitter
        self.constraints = constraints
        self._tell = tell
        self._steps = steps
        self._in_hurry = in_hurry
        self._losing: dict[_Families, float] = {}
        self._ranked: tuple[GraphFit, list[tuple[Edit, float]]] | None = None
        self._alike: tuple[GraphFit, list[tuple[Parents, float]]] | None = None
        self._best: dict[Parents, GraphFit] = {}
        self._cold: set[Parents] = set()
        self._warm: dict[tuple[Parents, Parents], float] = {}
        self._full: dict[Parents, SearchResult] = {}

    @property
    def visited(self) -> list[GraphScore]:
        """All graphs that were fitted, the best first."""
        found = [GraphScore(graph, fit.score) for graph, fit in self._best.items()]
        return sorted(found, key=lambda one: (-one.score, one.graph))

    def fit_of(self, graph: Parents) -> GraphFit:
        """Return the best fit of a graph that was visited."""
        return self._best[graph]

    def starts(self, graph: Parents) -> list[Parents]:
        """Choose where to begin among the graphs that control rows cannot tell from a guessed one.

        Several edges may have to turn together, which climbs seldom find; but one splitting of the
        mixture rows under each graph tells which directions they like.

        Parameters
        ----------
        graph : Parents

        Returns
        -------
        list of Parents
            The most promising first.
        """
        most = self.fitter.times(_START_WORK, self.by_splitting(graph), _STARTS)
        some = [graph, *equivalent(graph, self.constraints, most)]
        fits = sorted(map(self.by_splitting, some), key=lambda fit: -fit.score)
        return [fit.graph for fit in fits[:_BEGUN]]

    def climb(self, start: Parents, quickly: bool = False) -> GraphFit:
        """Raise the score from a graph until nothing that is tried raises it.

        Parameters
        ----------
        start : Parents
        quickly : bool
            Whether it is near the top already: edits of one edge alone are tried, and no valleys
            are passed through.

        Returns
        -------
        GraphFit
        """
        now = best = self.by_splitting(start)
        been, waited, height = {start}, 0, best.score
        while waited < self.fitter.times(_PATIENT_WORK, best, _PATIENCE):
            self._tell("repairing the graph", len(self._best), None)
            better = self._step(now, quickly)
            if quickly and (better is None or self._is_small(now, better)):
                break
            if better is None:
                # Through a valley, in the hope of a higher hill behind it.
                better = self._least_loss(now, been)
                waited += 1
                if better is None:
                    break
            now = better
            been.add(now.graph)
            best = max(best, now, key=lambda fit: fit.score)
            if best.score > height + _HIGHER:
                waited, height = 0, best.score
        return best

    def _is_small(self, now: GraphFit, better: GraphFit) -> bool:
        """Whether a step brings so little that a climb in a hurry ends there."""
        return self._in_hurry and better.score < now.score + _CLEAR_STEP

    def _least_loss(self, now: GraphFit, been: set[Parents]) -> GraphFit | None:
        """Make the best edit that leads to a graph where the climb has not been."""
        new = [edit.graph for edit, _ in self.ranked(now) if edit.graph not in been]
        trials = [self.from_neighbour(graph, now) for graph in new[:_FITTED]]
        return max(trials, key=lambda fit: fit.score) if trials else None

    def _step(self, now: GraphFit, quickly: bool) -> GraphFit | None:
        # What a better mixture alone would gain is no merit of an edit.
        grown = self.from_neighbour(now.graph, now)
        better = self._edited(grown, quickly)
        if better is None and grown.score > now.score + _LEAST_RISE:
            return grown
        return better

    def _edited(self, now: GraphFit, quickly: bool) -> GraphFit | None:
        ranked = self.ranked(now)
        some = [edit.graph for edit, _ in ranked]
        clear = [edit for edit, gain in ranked if gain > _CLEAR]
        reversals = [
            edit.graph
            for edit, gain in ranked[_FITTED:]
            if edit.kind == "reverse" and gain > _HOPELESS
        ]

        def warm(graph: Parents) -> GraphFit:
            return self.from_neighbour(graph, now)

        better = self._better(now, self._first(now, clear), warm) or self._better(
            now, some[:_FITTED], warm
        )
        if quickly:
            return better
        better = (
            better
            or self._better(now, [now.graph], self.by_splitting)
            or self._better(now, reversals[:_REVERSALS], warm)
            or self._behind(now, reversals[:_REVERSALS])
        )
        if better is not None:
            return better
        alike = self.ranked_equivalents(now)
        near = [graph for graph, gain in alike if gain > _HOPELESS]
        anew = [graph for graph, _ in alike[: self.fitter.times(_SPLIT_WORK, now, _SPLIT)]]
        return (
            self._better(now, near, warm)
            or self._better(now, some[:2], self.by_splitting)
            or self._better(now, anew, self.by_splitting)
        )

    def _behind(self, now: GraphFit, reversals: list[Parents]) -> GraphFit | None:
        """Let one more edit follow the best reversals: an edge may have stood in for two."""
        fits = [self.from_neighbour(graph, now) for graph in reversals]
        fits = sorted((f for f in fits if f.score > now.score + _HOPELESS), key=lambda f: -f.score)
        found = now
        for fit in fits[:_FOLLOWED]:
            for edit, _ in self.ranked(fit)[:_FOLLOWING]:
                trial = self.from_neighbour(edit.graph, fit)
                found = trial if trial.score > found.score else found
        return found if found.score > now.score + _LEAST_RISE else None

    def _first(self, now: GraphFit, clear: list[Edit]) -> list[Parents]:
        """Make several clear edits at once, where families do not meet."""
        graph = together(now.graph, clear)
        differing = sum(a != b for a, b in zip(graph, now.graph, strict=True))
        return [graph] if differing > 2 else []

    def ranked(self, fit: GraphFit) -> list[tuple[Edit, float]]:
        """All edits with their quick gains, the most promising first."""
        if self._ranked is None or self._ranked[0] is not fit:
            self._ranked = fit, self._ranked_anew(fit)
        return self._ranked[1]

    def _ranked_anew(self, fit: GraphFit) -> list[tuple[Edit, float]]:
        every = edits(fit.graph, self.constraints)
        known = {edit: self._losing.get(_families_of(fit.graph, edit)) for edit in every}
        some = [edit for edit, gain in known.items() if gain is None]
        out = [(edit, gain) for edit, gain in known.items() if gain is not None]
        if len(some) > _MANY_EDITS:
            rough = self.fitter.gains.quick_gains(fit, some, _FEW_STEPS)
            self._remember(fit.graph, some, rough)
            some = [some[k] for k in np.argsort(-rough, kind="stable")[:_RANKED]]
        gains = self.fitter.gains.quick_gains(fit, some, self._steps, HOPELESS)
        self._remember(fit.graph, some, gains)
        out += [(edit, float(gain)) for edit, gain in zip(some, gains, strict=True)]
        return sorted(out, key=lambda one: -one[1])

    def _remember(self, graph: Parents, some: Sequence[Edit], gains: Floats) -> None:
        """Keep in mind which edits lose, where there is no time to look again."""
        if self._in_hurry:
            for edit, gain in zip(some, gains.tolist(), strict=True):
                if gain < _LOSES:
                    self._losing[_families_of(graph, edit)] = gain

    def ranked_equivalents(self, fit: GraphFit) -> list[tuple[Parents, float]]:
        """Graphs that control rows cannot tell from a fit's, with their quick gains, best first."""
        if self._alike is None or self._alike[0] is not fit:
            self._alike = fit, self._alike_anew(fit)
        return self._alike[1]

    def _alike_anew(self, fit: GraphFit) -> list[tuple[Parents, float]]:
        some = equivalent(fit.graph, self.constraints, _EQUIVALENT)
        gains = np.zeros(len(some))
        for k, graph in enumerate(some):
            changed = [i for i, own in enumerate(graph) if own != fit.graph[i]]
            gains[k] = self.fitter.gains.quick_gain(fit, graph, changed, self._steps, HOPELESS)
        return [(some[k], float(gains[k])) for k in np.argsort(-gains, kind="stable")]

    def _better(
        self, now: GraphFit, graphs: Iterable[Parents], how: Callable[[Parents], GraphFit]
    ) -> GraphFit | None:
        best = now
        for graph in graphs:
            trial = how(graph)
            if trial.score > best.score:
                best = trial
        return best if best.score > now.score + _LEAST_RISE else None

    def by_splitting(self, graph: Parents) -> GraphFit:
        """Fit a graph from one splitting of the rows, once."""
        if graph not in self._cold:
            self._cold.add(graph)
            self.keep(self.fitter.cold(graph))
        return self._best[graph]

    def from_neighbour(self, graph: Parents, near: GraphFit) -> GraphFit:
        """Fit a graph from another's mixture, unless that was done from one as good."""
        key = (graph, near.graph)
        if self._warm.get(key, -np.inf) < near.score:
            self._warm[key] = near.score
            self.keep(self.fitter.warm(graph, near))
        return self._best[graph]

    def keep(self, fit: GraphFit) -> None:
        """Remember a fit if it is the best of its graph."""
        known = self._best.get(fit.graph)
        if known is None or fit.score > known.score:
            self._best[fit.graph] = fit

    # In full.

    def in_full(self, graph: Parents) -> GraphFit:
        """Fit a graph in full, once; return its best fit of all."""
        self.searched(graph)
        return self._best[graph]

    def searched(self, graph: Parents) -> SearchResult:
        """Search for the targets under a graph as in any other network, once."""
        if graph not in self._full:
            fitter = self.fitter
            network = fitter.families.network(graph)
            found = fitter.families.search(
                network, fitter.constraints, fitter.max_size, fitter.patterns
            )
            self._full[graph] = found
            self.keep(fitter.of_result(graph, found))
        return self._full[graph]

    def finished(self) -> GraphFit:
        """Fit the best few graphs in full, and their most promising neighbours; return the best."""
        for done in range(_ROUNDS):
            self._tell("fitting the best graphs", done, _ROUNDS)
            leading = self.visited
            most = self.fitter.times(_FULL_WORK, self._best[leading[0].graph], _IN_FULL)
            near = [g.graph for g in leading if g.score > leading[0].score - _NEAR][:most]
            best = max((self.in_full(graph) for graph in near), key=lambda fit: fit.score)
            # A full fit may have found what makes a neighbour better still.
            tried = [
                self.from_neighbour(edit.graph, best)
                for edit, gain in self.ranked(best)[:_PROMISING]
                if gain > _LEAST_PROMISE
            ]
            if all(fit.score <= best.score + _LEAST_RISE for fit in tried):
                break
        return max((self._best[graph] for graph in self._full), key=lambda fit: fit.score)


def _families_of(graph: Parents, edit: Edit) -> _Families:
    """Return the families that an edit changes, before and after."""
    return tuple((i, graph[i], edit.graph[i]) for i in edit.changed)


def from_control_rows(
    families: Families, constraints: EdgeConstraints, start: Parents, patience: int = 40
) -> Parents:
    """Guess a graph from control rows alone: hill climbing by BIC that passes through valleys.

    Parameters
    ----------
    families : Families
    constraints : EdgeConstraints
    start : Parents
        Where to begin, such as the edges that are required.
    patience : int
        Steps without a new best graph after which it ends.

    Returns
    -------
    Parents
    """
    known: dict[tuple[int, tuple[int, ...]], float] = {}

    def worth(i: int, own: tuple[int, ...]) -> float:
        if (i, own) not in known:
            known[i, own] = families.control_score(i, own)
        return known[i, own]

    now = best = start
    value = highest = 0.0
    seen, waited = {start}, 0
    while waited < patience:
        found = []
        for edit in edits(now, constraints):
            if edit.graph not in seen:
                rise = sum(worth(i, edit.graph[i]) - worth(i, now[i]) for i in edit.changed)
                found.append((rise, edit.graph))
        if not found:
            break
        rise, now = max(found)
        value += rise
        seen.add(now)
        waited += 1
        if value > highest + 1e-9:
            best, highest, waited = now, value, 0
    return best
