"""Problems whose graph is wrong or unknown, and how a repaired graph is scored.

Random networks of three states, at most two parents, tables with Dirichlet(1) rows; four to seven
targets on at most three variables and the empty one, weights of at least .04. The last state of a
variable is never set (exclusion). Everything follows from a seed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dosift
from dosift.errors import DosiftWarning
from dosift.graphs.dag import Parents, edges_of, graph_of, is_acyclic
from dosift.identifiability.essential import essential_graph, same_essential
from dosift.io.graph import Graph

Ints = NDArray[np.integer]

LEAST_WEIGHT, LARGEST_TARGET = 0.04, 3
#: Starts that a repair is tried from.
STARTS = ("none", "reversed", "dropped", "added", "mixed")


@dataclass(frozen=True)
class Problem:
    """A network, a mixture, and rows of both; positions are those of the network.

    Labels are the texts of the rows' true targets.
    """

    network: dosift.Network
    mixture: dosift.Mixture
    control: Any
    rows: Any
    labels: list[str]

    @property
    def graph(self) -> Parents:
        return graph_of(self.network.parents)

    @property
    def states(self) -> dict[str, tuple[str, ...]]:
        return {variable.name: variable.states for variable in self.network.variables}

    @property
    def sets(self) -> list[list[int]]:
        """Sets of variables that the true targets set."""
        targets, _ = self.mixture.to_codes(self.network)
        return [np.flatnonzero(target >= 0).tolist() for target in targets]

    def named(self, graph: Parents) -> Graph:
        """Return a graph with names, also those of variables without edges."""
        names = self.network.names
        return Graph(names, tuple((names[p], names[i]) for p, i in sorted(edges_of(graph))))

    def graph_of(self, network: dosift.Network) -> Parents:
        """Return the graph of another network of these variables, whatever their order."""
        place = {name: i for i, name in enumerate(self.network.names)}
        parents: list[list[int]] = [[] for _ in place]
        for parent, child in network.edges:
            parents[place[child]].append(place[parent])
        return graph_of(parents)


def draw(n: int, n_rows: int, seed: int, edges_each: float = 1.3) -> Problem:
    """Draw the problem of a seed."""
    rng = np.random.default_rng([16, n, n_rows, seed])
    network = dosift.random_network(
        n,
        n_edges=round(edges_each * n),
        max_parents=2,
        concentration=1.0,
        shuffle=True,
        random_state=rng,
    )
    return with_rows(network, n_rows, rng)


def with_rows(network: dosift.Network, n_rows: int, rng: np.random.Generator) -> Problem:
    """Draw a mixture of interventions on a network, control rows and rows."""
    n = network.n_variables
    n_targets = int(rng.integers(4, 8))
    targets = [np.full(n, -1)]
    while len(targets) < n_targets + 1:
        target = np.full(n, -1)
        size = rng.integers(1, min(LARGEST_TARGET, n) + 1)
        for i in rng.choice(n, size, replace=False):
            target[i] = rng.integers(network.cardinalities[i] - 1)
        if not any((target == other).all() for other in targets):
            targets.append(target)
    free = 1.0 - LEAST_WEIGHT * len(targets)
    weights = LEAST_WEIGHT + free * rng.dirichlet(np.full(len(targets), 2.0))
    mixture = dosift.Mixture.from_codes(network, np.array(targets), weights)
    nothing = dosift.Mixture({dosift.do(): 1.0})
    control = dosift.simulate(network, nothing, n_rows, rng)
    rows, labels = dosift.simulate(network, mixture, n_rows, rng, return_targets=True)
    return Problem(network, mixture, control, rows, labels.to_list())


def wrong_graph(graph: Parents, start: str, n_wrong: int, seed: int) -> Parents:
    """Change so many edges of a graph: reversed, dropped, added, or some of each (mixed)."""
    rng = np.random.default_rng([17, len(graph), seed, *start.encode()])
    while True:
        changed = _changed(graph, start, n_wrong, rng)
        if is_acyclic(changed):
            return changed


def _changed(graph: Parents, start: str, n_wrong: int, rng: np.random.Generator) -> Parents:
    kinds = [start] * n_wrong
    if start == "mixed":
        kinds = rng.choice(["reversed", "dropped", "added"], n_wrong).tolist()
    there = sorted(edges_of(graph))
    linked = {frozenset(edge) for edge in there}
    pairs = ((p, i) for p in range(len(graph)) for i in range(len(graph)) if p != i)
    absent = [pair for pair in pairs if frozenset(pair) not in linked]
    parents = [set(row) for row in graph]
    n_added = kinds.count("added")
    new: set[frozenset[int]] = set()
    for k in rng.permutation(len(absent)):
        if len(new) == n_added:
            break
        p, i = absent[int(k)]
        if frozenset((p, i)) not in new:
            new.add(frozenset((p, i)))
            parents[i].add(p)
    old = [kind for kind in kinds if kind != "added"]
    some = rng.choice(len(there), min(len(old), len(there)), replace=False)
    for kind, k in zip(old, some, strict=False):
        p, i = there[int(k)]
        parents[i].discard(p)
        if kind == "reversed":
            parents[p].add(i)
    return graph_of(parents)


def start_of(problem: Problem, start: str, n_wrong: int, seed: int) -> Parents | None:
    """Return the graph that a fit is given; None for none."""
    if start == "none":
        return None
    if start == "true":
        return problem.graph
    return wrong_graph(problem.graph, start, n_wrong, seed)


def fitted(problem: Problem, graph: Parents | None, edges: str) -> dosift.InterventionMixture:
    """Fit with a graph that is given, "fixed" or to "repair", or with none."""
    given = {} if graph is None else {"graph": problem.named(graph), "edges": edges}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture().fit(
            problem.rows, control=problem.control, states=problem.states, **given
        )


# Scores.


def distance(a: Parents, b: Parents) -> int:
    """Structural Hamming distance: pairs of variables that are linked otherwise."""
    return len({frozenset(edge) for edge in edges_of(a) ^ edges_of(b)})


def wrong_pairs(problem: Problem, graph: Parents) -> set[frozenset[int]]:
    """Pairs of variables that a graph links otherwise than the true one, as far as rows can tell.

    The direction of an edge that the true interventional essential graph leaves open is not wrong.
    """
    differing = edges_of(graph) ^ edges_of(problem.graph)
    _, undirected = essential_graph(problem.graph, problem.sets)
    linked = {frozenset(edge) for edge in edges_of(graph)}
    open_pairs = {frozenset(edge) for edge in undirected} & linked
    return {frozenset(edge) for edge in differing} - open_pairs


def essential_distance(a: Parents, b: Parents, sets: Iterable[Sequence[int]]) -> int:
    """Structural Hamming distance of the interventional essential graphs."""
    sets = list(sets)
    marks: list[dict[frozenset[int], tuple[int, ...]]] = []
    for graph in (a, b):
        directed, undirected = essential_graph(graph, sets)
        marks.append(
            {frozenset(e): tuple(e) for e in directed} | {frozenset(e): () for e in undirected}
        )
    pairs = set(marks[0]) | set(marks[1])
    return sum(marks[0].get(pair) != marks[1].get(pair) for pair in pairs)


def scores_of_graph(problem: Problem, found: Parents) -> dict[str, float]:
    """Compare a graph with the true one."""
    return {
        "exact": float(found == problem.graph),
        "class": float(same_essential(found, problem.graph, problem.sets)),
        "shd": float(distance(found, problem.graph)),
        "essential shd": float(essential_distance(found, problem.graph, problem.sets)),
    }


def scores_of_targets(problem: Problem, model: dosift.InterventionMixture) -> dict[str, float]:
    """Compare the targets found with the true ones."""
    scores = dosift.evaluate(problem.mixture, model.mixture_)
    return {"recall": scores.recall, "precision": scores.precision, "tv": scores.tv}


def wilson(hits: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if n == 0:
        return 0.0, 1.0
    share, width = hits / n, z * z / n
    middle = (share + width / 2) / (1 + width)
    half = z * np.sqrt(share * (1 - share) / n + width / (4 * n)) / (1 + width)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def share(values: Iterable[float]) -> str:
    """Write how many of some yes and no are yes, with Wilson's interval."""
    some = [value for value in values if not np.isnan(value)]
    if not some:
        return "-"
    hits = int(sum(some))
    low, high = wilson(hits, len(some))
    return f"{hits}/{len(some)} = {hits / len(some):.3f} [{low:.2f}, {high:.2f}]"
