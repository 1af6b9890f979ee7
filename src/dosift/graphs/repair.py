"""Graphs repaired, learned or checked by control and mixture rows together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from dosift.data.configurations import Configurations, systematic_sample
from dosift.graphs.along_orders import best_along_orders
from dosift.graphs.climb import GraphClimber, GraphScore, from_control_rows
from dosift.graphs.common_causes import common_causes
from dosift.graphs.dag import EdgeConstraints, Edit, Parents, edges_of, edits, graph_of, is_acyclic
from dosift.graphs.family import Families
from dosift.graphs.findings import (
    AskedEdit,
    GraphFindings,
    averaged_over,
    edge_probabilities,
    found_edges,
    nearest_of_the_best,
    probabilities,
    with_neighbours,
)
from dosift.graphs.fits import GraphFitter
from dosift.graphs.graph_fit import GraphFit
from dosift.graphs.number_families import families_of, families_of_control
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import System
from dosift.model.mechanism_network import MechanismNetwork, compared_targets
from dosift.search.constraints import Constraints
from dosift.search.patterns import Patterns
from dosift.search.result import SearchResult
from dosift.utils.progress import Progress, silent

#: Values of mixture rows that the search over graphs looks at, and least and most rows; rows of
#: numbers, which are all distinct.
_MOST_VALUES, _MOST_ROWS, _MOST_NUMBERS = 2**21, (2**12, 2**15), 2**13
#: Variables from which only the most dependent pairs are tried as new edges, and partners of each.
_WIDE, _PARTNERS = 30, 8
#: Rise of the score (nats) beyond chance from which an edit of a fixed graph is asked for, edits
#: that are fitted for it, and the quick gain from which they are.
_ASKED, _TRIED, _LEAST_PROMISE = 8.0, 3, -15.0
#: Nats below the best start from which no climb begins, but of so many starts.
_FAR_BELOW, _LEAST_STARTS = 60.0, 2
#: With at least so many rows of numbers the search begins with so many of them, and that many of
#: the best graphs are followed up with all.
_THIN_FROM, _THIN_ROWS, _FOLLOWED = 3 * 2**10, 2**10, 2
#: Rows of numbers by which a graph that is fixed is checked.
_CHECKED_ROWS = 2**11
#: Variables up to which such a graph is repaired as thoroughly as where that is wanted.
_THOROUGH_UP_TO = 10
#: Steps of EM for quick gains there, where each takes several of Newton's.
_CHECKED_STEPS = 5


@dataclass(frozen=True)
class GraphSearch:
    """What a search over graphs is made with.

    Attributes
    ----------
    network : System
        Learned; it remembers its control rows.
    rows : Configurations
        Mixture rows, complete.
    targets : Constraints
        What is known about targets.
    edges : EdgeConstraints
        What is known about edges.
    max_size : int or None
        Largest number of variables that a target sets.
    patterns : Patterns or None
        What is known about targets where changes are found only as rows are looked at.
    tell : callable
        Called with a stage's name, the steps done and the steps in all.
    """

    network: System
    rows: Configurations
    targets: Constraints
    edges: EdgeConstraints
    max_size: int | None = None
    patterns: Patterns | None = None
    tell: Progress = silent

    def climber(self, graph: Parents, most: int | None = None) -> GraphClimber:
        """Make ready to climb, from a graph that was given or from none.

        Parameters
        ----------
        graph : Parents
        most : int, optional
            Rows of numbers that are looked at, at most.
        """
        network = self.network
        few = int(np.clip(_MOST_VALUES // network.n_variables, *_MOST_ROWS))
        if (network.cardinalities == 0).any():
            few = min(few, _MOST_NUMBERS if most is None else most)
        families = families_of(network, systematic_sample(self.rows, few))
        edges = _narrowed(network, families, graph, self.edges)
        fitter = GraphFitter(families, self.targets, self.max_size, self.patterns)
        return GraphClimber(fitter, edges, self.tell)


def repair(search: GraphSearch, *, given: bool) -> tuple[System, GraphFindings]:
    """Find the graph that control and mixture rows ask for.

    Parameters
    ----------
    search : GraphSearch
    given : bool
        Whether its graph is a rough one to begin with; otherwise it is not looked at.

    Returns
    -------
    network : System
        With the graph found, learned from control rows.
    findings : GraphFindings
    """
    network, rows = search.network, search.rows
    before = graph_of(network.parents) if given else None
    search.tell("repairing the graph" if given else "learning the graph", 0, None)

    few = None
    if (network.cardinalities == 0).any() and rows.total >= _THIN_FROM:
        # Rows of numbers are all distinct: the long way is gone with fewer of them.
        few = search.climber(before or (), _THIN_ROWS)
        _climbed(few, before)
    climber = search.climber(before or ())
    fitter = climber.fitter
    if few is None:
        _climbed(climber, before)
    else:
        for one in few.visited[:_FOLLOWED]:
            climber.climb(one.graph, quickly=True)
    climber.finished()
    graph = nearest_of_the_best(climber.visited, before)
    fit = climber.in_full(graph)
    shares = _shares(climber, fit)
    probability = edge_probabilities(shares, network.n_variables)
    findings = GraphFindings(
        graph,
        before,
        False,
        found_edges(graph, before, False, probability),
        averaged_over(shares, graph),
        common_causes=common_causes(fitter.families, graph, climber.constraints),
    )
    return fitter.families.network(graph), findings


def _climbed(climber: GraphClimber, before: Parents | None) -> None:
    """Climb from the graph that was given, or from those that control rows make plausible."""
    constraints = climber.constraints
    guess = from_control_rows(climber.fitter.families, constraints, _required(constraints))
    given = None if before is None else [_permitted(before, constraints), guess]
    starts = list(dict.fromkeys(_by_order(climber) + (given or climber.starts(guess))))
    if climber.fitter.families.order() is not None:
        # From far below a climb is long, and seldom ends higher.
        starts.sort(key=lambda start: -climber.by_splitting(start).score)
        least = climber.fit_of(starts[0]).score - _FAR_BELOW
        # But one alone may be a dead end.
        starts = [
            start
            for k, start in enumerate(starts)
            if k < _LEAST_STARTS or climber.fit_of(start).score > least
        ]
    for start in starts:
        climber.climb(start)


def _by_order(climber: GraphClimber) -> list[Parents]:
    """Guess a graph along the order that the mixture rows show, or one that suits them better."""
    families, known = climber.fitter.families, climber.constraints
    order = families.order()
    if order is None:
        return []
    # All parents that there may be at once would part the rows into too many cells of states.
    has_states = any(one.is_exclusive for one in families.libraries)
    graph, _ = best_along_orders(families.score, known, order, from_all=not has_states)
    return [_permitted(graph, known)]


def check(search: GraphSearch, result: SearchResult) -> GraphFindings:
    """Say what the rows would change in a graph that has to stay.

    Parameters
    ----------
    search : GraphSearch
    result : SearchResult
        The mixture under this graph.

    Returns
    -------
    GraphFindings
    """
    network = search.network
    graph = graph_of(network.parents)
    # A repair of numbers takes far longer than their fit; what is clear shows in fewer rows too.
    of_numbers = bool((network.cardinalities == 0).any())
    most = _CHECKED_ROWS if of_numbers else None
    is_slow = of_numbers and not all(isinstance(m, LinearMechanism) for m in network.mechanisms)
    if is_slow:
        search = replace(search, network=_with_few_control_rows(network))
    climber = search.climber(graph, most)
    if is_slow:
        fitter, known = climber.fitter, climber.constraints
        climber = GraphClimber(fitter, known, search.tell, _CHECKED_STEPS, in_hurry=True)
    fitter = climber.fitter
    now = before = fitter.of_result(graph, result)
    climber.keep(now)
    search.tell("checking the graph", 0, None)
    ranked = climber.ranked(now)
    shares = _shares(climber, now)
    if _is_clear(climber, now, ranked):
        # One edit may only be a detour for others: what is named is what a whole repair would do.
        if of_numbers and not is_slow and network.n_variables <= _THOROUGH_UP_TO:
            # A quick climb from a wrong graph ends on a detour of edges that are wrong, too.
            _climbed(climber, graph)
            climber.finished()
            now = climber.in_full(nearest_of_the_best(climber.visited, graph))
        else:
            now = climber.climb(graph, quickly=of_numbers)
    # Two mixtures are compared that the same search found: rough fits differ by themselves.
    found = climber.searched(now.graph) if now.graph != graph else None
    asked = _differences(climber, graph, now)
    probability = edge_probabilities(shares, network.n_variables)
    for one in asked:
        if one.kind != "add" and not np.isnan(one.gain):
            # The rows say so after all components were fitted anew.
            highest = float(expit(-one.gain))
            probability[one.parent, one.child] = min(probability[one.parent, one.child], highest)
    return GraphFindings(
        graph,
        graph,
        True,
        found_edges(graph, graph, True, probability),
        ((graph, 1.0),),
        tuple(asked),
        None if found is None else compared_targets(found.network, found.targets),
        None if found is None else found.weights,
        common_causes(fitter.families, now.graph, climber.constraints, graph),
        max(now.score - before.score, 0.0),
        found,
    )


def _with_few_control_rows(network: System) -> System:
    """Keep every so many-th control row, so that a check of steps by Newton's takes no longer."""
    if not isinstance(network, MechanismNetwork) or network.control is None:
        return network
    step = -(-len(network.control.values) // _CHECKED_ROWS)
    some, every = slice(None, None, step), network.control
    own = every.values[some], every.weights[some]
    control = ControlRows(*own, every.dependence, every.silent)
    return replace(network, control=control)


def guessed(network: System, edges: EdgeConstraints) -> System:
    """Return a learned network with the graph that its control rows alone make most plausible.

    Parameters
    ----------
    network : System
        Learned; it remembers its control rows.
    edges : EdgeConstraints

    Returns
    -------
    System
    """
    families = families_of_control(network)
    edges = _narrowed(network, families, (), edges)
    return families.network(from_control_rows(families, edges, _required(edges)))


def _is_clear(climber: GraphClimber, now: GraphFit, ranked: list[tuple[Edit, float]]) -> bool:
    """Whether some other graph gains more than the best of many does by chance.

    Those that differ by one edge are tried, and those that control rows cannot tell from the given
    one: two edges that are reversed together may each be as good alone.
    """
    needed = _ASKED + np.log(max(len(ranked), 1))
    near = [edit.graph for edit, gain in ranked[:_TRIED] if gain > _LEAST_PROMISE]
    near += [
        graph for graph, gain in climber.ranked_equivalents(now)[:_TRIED] if gain > _LEAST_PROMISE
    ]
    return any(
        climber.from_neighbour(graph, now).score - now.score > needed
        for graph in dict.fromkeys(near)
    )


def _differences(climber: GraphClimber, before: Parents, fit: GraphFit) -> list[AskedEdit]:
    """List what a repair did, with what the score would lose if each was undone."""
    old, new = edges_of(before), edges_of(fit.graph)
    undo: dict[tuple[str, int, int], AskedEdit] = {}
    for p, i in new - old:
        if (i, p) in old:
            undo["reverse", p, i] = AskedEdit("reverse", i, p, np.nan)
        else:
            undo["remove", p, i] = AskedEdit("add", p, i, np.nan)
    for p, i in old - new:
        if (i, p) not in new:
            undo["add", p, i] = AskedEdit("remove", p, i, np.nan)
    some = [
        edit
        for edit in edits(fit.graph, EdgeConstraints.none(len(before)))
        if (edit.kind, edit.parent, edit.child) in undo
    ]
    for edit, gain in zip(some, climber.fitter.gains.quick_gains(fit, some), strict=True):
        key = (edit.kind, edit.parent, edit.child)
        undo[key] = replace(undo[key], gain=-float(gain))
    known = sorted(
        undo.values(),
        key=lambda one: (-np.nan_to_num(one.gain, nan=-np.inf), one.parent, one.child),
    )
    return known


def _narrowed(
    network: System, families: Families, graph: Parents, edges: EdgeConstraints
) -> EdgeConstraints:
    """Leave out edges of which rows say nothing, or hardly anything where there are many.

    A variable with one value depends on nothing, and its edges cost nothing: with or without them
    a graph is worth the same. Those that were given stay.
    """
    allowed, required = edges.allowed.copy(), edges.required.copy()
    known = edges_of(graph)
    constant = families.constant
    for p, i in known:
        required[p, i] |= allowed[p, i] and (constant[p] or constant[i])
    allowed &= required | ~(constant[:, None] | constant)
    given = families.conditioned
    sizes = np.flatnonzero(given.any(axis=1))
    for matrix in (allowed, required):
        matrix[sizes] = matrix[:, sizes] = False
    allowed, required = allowed | given, required | given
    if network.n_variables > _WIDE:
        near = families.dependent_pairs(_PARTNERS)
        for p, i in known:
            near[p, i] = near[i, p] = True
        allowed &= near | required
    return EdgeConstraints(allowed, required, edges.max_parents)


def _required(edges: EdgeConstraints) -> Parents:
    return graph_of(np.flatnonzero(column) for column in edges.required.T)


def _permitted(graph: Parents, edges: EdgeConstraints) -> Parents:
    """Add the edges that are required to a given graph, and take away those that are forbidden."""
    now = _required(edges)
    for i, own in enumerate(graph):
        for p in own:
            added = graph_of([*now[:i], {*now[i], p}, *now[i + 1 :]])
            if edges.allowed[p, i] and is_acyclic(added):
                now = added
    return now


def _shares(climber: GraphClimber, fit: GraphFit) -> list[tuple[Parents, float]]:
    best = GraphScore(fit.graph, fit.score)
    near = [(edit.graph, gain) for edit, gain in climber.ranked(fit)]
    near += climber.ranked_equivalents(fit)
    return probabilities(with_neighbours(climber.visited, best, near))
