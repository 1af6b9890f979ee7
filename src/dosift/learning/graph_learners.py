"""Structure learners of other libraries, given codes and what is known of the graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError, MissingDependencyError
from dosift.io.graph import Graph, read_graph
from dosift.learning.equivalence import random_equivalent

#: Ways to learn a graph: the first two are pyAgrum's, the third pgmpy's hill climbing.
METHODS = ("tabu", "hill-climbing", "pgmpy")

Codes = NDArray[np.integer]
Edge = tuple[str, str]


class GraphLearner:
    """A structure learner of another library, with what is known of the graph.

    Parameters
    ----------
    names : tuple of str
        The variables.
    method : {"tabu", "hill-climbing", "pgmpy"}
    max_parents : int or None
    tiers : sequence of sequence of str, optional
    required, forbidden : iterable of (str, str)
        As in :func:`dosift.structure.learn_graph`.

    Raises
    ------
    InputError
        If they contradict each other or name what is not there.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        method: str,
        max_parents: int | None,
        tiers: Sequence[Sequence[str]] | None,
        required: Iterable[Edge],
        forbidden: Iterable[Edge],
    ) -> None:
        if method not in METHODS:
            raise InputError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
        if max_parents is not None and (
            isinstance(max_parents, bool)
            or not isinstance(max_parents, int | np.integer)
            or max_parents < 1
        ):
            raise InputError(f"max_parents is {max_parents!r}; give a positive integer or None")
        self.names = names
        self.method = method
        self.max_parents = max_parents
        self.required = _checked_edges(required, names, "required")
        self.forbidden = _checked_edges(forbidden, names, "forbidden")
        if tiers is not None:
            self.forbidden += _against(_checked_tiers(tiers, names))
        read_graph(Graph(names, tuple(dict.fromkeys(self.required))))  # refuses cycles
        both = set(self.required) & set(self.forbidden)
        if both:
            parent, child = sorted(both)[0]
            raise InputError(
                f"the edge {parent!r} -> {child!r} is required and forbidden (or against tiers)"
            )

    def learn(self, codes: Codes, rng: np.random.Generator | None = None) -> Graph:
        """Learn a graph.

        Parameters
        ----------
        codes : ndarray of int, shape (n_rows, n_variables)
            State codes, without missing values.
        rng : Generator, optional
            Draws the order in which the columns are handed over, and the directions that codes
            leave open.

        Returns
        -------
        Graph
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingDependencyError("pandas", "structure", "Learning a graph") from None

        order = range(len(self.names)) if rng is None else rng.permutation(len(self.names))
        # Plain names and texts, so that no library reads anything into them.
        short = [f"v{j}" for j in range(len(self.names))]
        texts = np.array([f"s{a}" for a in range(int(codes.max()) + 1)], dtype=object)
        frame = pd.DataFrame({short[j]: texts[codes[:, j]] for j in order})
        # A column of one state tells nothing, and learners stumble over it.
        frame = frame.loc[:, frame.nunique() > 1]
        plain = dict(zip(self.names, short, strict=True))
        required = [(plain[a], plain[b]) for a, b in self.required]
        forbidden = [(plain[a], plain[b]) for a, b in self.forbidden]
        learner = _pgmpy if self.method == "pgmpy" else _pyagrum
        found = learner(frame, self.method, self.max_parents, required, forbidden)
        at = {name: j for j, name in enumerate(short)}
        edges = sorted(
            {*((at[a], at[b]) for a, b in found), *((at[a], at[b]) for a, b in required)}
        )
        graph = Graph(self.names, tuple((self.names[a], self.names[b]) for a, b in edges))
        if rng is None:
            return graph
        fixed = {*self.required, *((b, a) for a, b in self.forbidden)}
        return random_equivalent(graph, rng, fixed)


def _pyagrum(
    frame: Any, method: str, max_parents: int | None, required: list[Edge], forbidden: list[Edge]
) -> list[Edge]:
    try:
        import pyagrum
    except ImportError:
        raise MissingDependencyError("pyAgrum", "structure", "Learning a graph") from None
    known = set(frame.columns)
    required = [edge for edge in required if known.issuperset(edge)]
    forbidden = [edge for edge in forbidden if known.issuperset(edge)]
    learner = _bn_learner(pyagrum, frame, required, forbidden)
    learner.useScoreBIC()
    learner.useNoPrior()
    if max_parents is not None:
        learner.setMaxIndegree(int(max_parents))
    if method == "tabu":
        # Local search from nothing stays at a wrong direction of a collider, which takes two more
        # edges to mend; from the directions that independences give it hardly ever does.
        learner.useLocalSearchWithTabuList()
        miic = _bn_learner(pyagrum, frame, required, forbidden)
        miic.useMIIC()
        begin = _arcs(miic)
        learner.setInitialDAG(
            _allowed(pyagrum, learner.names(), begin, max_parents, required, forbidden)
        )
    else:
        learner.useGreedyHillClimbing()
    return _arcs(learner)


def _bn_learner(pyagrum: Any, frame: Any, required: list[Edge], forbidden: list[Edge]) -> Any:
    learner = pyagrum.BNLearner(frame)
    learner.setNumberOfThreads(1)
    for edge in forbidden:
        learner.addForbiddenArc(*edge)
    for edge in required:
        learner.addMandatoryArc(*edge)
    return learner


def _arcs(learner: Any) -> list[Edge]:
    names = learner.names()
    return sorted((names[a], names[b]) for a, b in learner.learnDAG().arcs())


def _allowed(
    pyagrum: Any,
    names: Sequence[str],
    edges: list[Edge],
    max_parents: int | None,
    required: list[Edge],
    forbidden: list[Edge],
) -> Any:
    """Those edges that what is known allows, as a graph of pyAgrum's."""
    dag = pyagrum.DAG()
    at = {name: node for node, name in enumerate(names)}
    dag.addNodes(len(names))
    for edge in dict.fromkeys([*required, *edges]):
        parent, child = at[edge[0]], at[edge[1]]
        if edge in forbidden or len(dag.parents(child)) == max_parents:
            continue
        try:
            dag.addArc(parent, child)
        except pyagrum.InvalidDirectedCycle:
            continue
    return dag


def _pgmpy(
    frame: Any, method: str, max_parents: int | None, required: list[Edge], forbidden: list[Edge]
) -> list[Edge]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modules that pgmpy is about to move
        try:
            from pgmpy.estimators import ExpertKnowledge, HillClimbSearch
        except ImportError:
            raise MissingDependencyError("pgmpy", "pgmpy", "Learning a graph") from None
        known = set(frame.columns)
        knowledge = ExpertKnowledge(
            required_edges=[edge for edge in required if set(edge) <= known],
            forbidden_edges=[edge for edge in forbidden if set(edge) <= known],
        )
        graph = HillClimbSearch(frame).estimate(
            scoring_method="bic-d",
            max_indegree=None if max_parents is None else int(max_parents),
            expert_knowledge=knowledge,
            show_progress=False,
        )
    return list(graph.edges())


def _checked_edges(edges: Iterable[Edge], names: Sequence[str], what: str) -> list[Edge]:
    out = []
    for edge in edges:
        if isinstance(edge, str) or len(tuple(edge)) != 2:
            raise InputError(f"{what} holds {edge!r}; give pairs (parent, child)")
        parent, child = edge
        for name in (parent, child):
            if name not in names:
                raise InputError(f"{what} names {name!r}, which is no column of the control rows")
        out.append((parent, child))
    return out


def _checked_tiers(tiers: Sequence[Sequence[str]], names: Sequence[str]) -> list[list[str]]:
    if isinstance(tiers, str) or any(isinstance(tier, str) for tier in tiers):
        raise InputError("tiers is made of texts; give lists of names, causes first")
    listed = [name for tier in tiers for name in tier]
    if sorted(listed) != sorted(names):
        odd = sorted(set(names) ^ set(listed)) or sorted({n for n in listed if listed.count(n) > 1})
        raise InputError(
            "tiers must hold every column of the control rows once and nothing else; see "
            f"{odd[0]!r}"
        )
    return [list(tier) for tier in tiers]


def _against(tiers: list[list[str]]) -> list[Edge]:
    """Edges from a later tier to an earlier one."""
    return [
        (late, early)
        for before, after in combinations(tiers, 2)
        for early in before
        for late in after
    ]
