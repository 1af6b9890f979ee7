"""Small problems whose graph is known, for the tests of the search over graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import polars as pl

import dosift
from dosift.data.configurations import collapse
from dosift.graphs.dag import Parents
from dosift.graphs.families import TableFamilies
from dosift.identifiability.essential import same_essential
from dosift.io.graph import Graph

Edge = tuple[str, str]
NOTHING = dosift.Mixture({dosift.do(): 1.0})


@dataclass(frozen=True)
class Problem:
    """A network and a mixture, with control rows and mixture rows of them."""

    network: dosift.Network
    mixture: dosift.Mixture
    control: pl.DataFrame
    rows: pl.DataFrame

    @property
    def edges(self) -> list[Edge]:
        return list(self.network.edges)

    @property
    def parents(self) -> Parents:
        return parents_of(self.network)

    def few(self, n_rows: int) -> Problem:
        """The same with fewer rows of both kinds."""
        return replace(self, control=self.control.head(n_rows), rows=self.rows.head(n_rows))

    def graph(self, edges: Iterable[Edge]) -> Graph:
        """A graph over all variables, also those without edges."""
        return Graph(self.network.names, tuple(edges))

    def reversed(self, n: int = 1) -> list[Edge]:
        """The edges with some turned round, so that no cycle comes of it."""
        out, turned = self.edges, 0
        for k, (a, b) in enumerate(self.edges):
            trial = [*out[:k], (b, a), *out[k + 1 :]]
            if turned < n and is_acyclic_by_name(trial):
                out, turned = trial, turned + 1
        return out

    def dropped(self, n: int = 1) -> list[Edge]:
        """The edges without the last ones."""
        return self.edges[:-n]

    def added(self, n: int = 1) -> list[Edge]:
        """The edges with some more."""
        out = self.edges
        for a, b in combinations(self.network.names, 2):
            linked = {frozenset(e) for e in out}
            for edge in ((a, b), (b, a)):
                more = len(out) < len(self.edges) + n and frozenset(edge) not in linked
                if more and is_acyclic_by_name([*out, edge]):
                    out = [*out, edge]
                    break
        return out

    def is_found(self, network: dosift.Network, targets: Iterable[Any]) -> bool:
        """Whether a network has the true graph, as far as control rows and targets can tell."""
        at = self.network.positions
        sets = [[at[name] for name in dict(target)] for target in targets]
        own = [[at[network.names[p]] for p in row] for row in network.parents]
        back = {name: own[i] for i, name in enumerate(network.names)}
        return same_essential(self.network.parents, [back[n] for n in self.network.names], sets)


def problem(
    seed: int,
    n: int = 5,
    n_rows: int = 3_000,
    n_edges: int | None = None,
    n_targets: int = 5,
    max_size: int = 2,
) -> Problem:
    """Draw a problem of three states, at most two parents, and edges that control rows show."""
    rng = np.random.default_rng([seed, n, 5])
    while True:
        network = dosift.random_network(
            n,
            n_edges=n + 1 if n_edges is None else n_edges,
            max_parents=2,
            shuffle=True,
            concentration=0.8,
            random_state=rng,
        )
        control = dosift.simulate(network, NOTHING, n_rows, rng)
        if shows_its_edges(network, control):
            break
    mixture = dosift.random_mixture(network, n_targets, max_size=max_size, random_state=rng)
    return Problem(network, mixture, control, dosift.simulate(network, mixture, n_rows, rng))


def shows_its_edges(network: dosift.Network, control: pl.DataFrame) -> bool:
    """Whether each edge pays, so that a search that leaves one out is wrong."""
    states = {v.name: v.states for v in network.variables}
    learned = dosift.learn_network(Graph(network.names, ()), control, states=states)
    nothing = collapse(np.zeros((0, len(network.names)), np.int16), learned.cardinalities)
    families = TableFamilies(learned, nothing)
    return all(
        families.control_score(i, row)
        > families.control_score(i, tuple(q for q in row if q != p)) + 20.0
        for i, row in enumerate(parents_of(network))
        for p in row
    )


def parents_of(network: dosift.Network) -> Parents:
    return tuple(tuple(sorted(row)) for row in network.parents)


def is_acyclic_by_name(edges: Sequence[Edge]) -> bool:
    """By taking off variables that nothing leads to."""
    left, nodes = set(edges), {v for edge in edges for v in edge}
    while nodes:
        free = nodes - {b for _, b in left}
        if not free:
            return False
        nodes -= free
        left = {(a, b) for a, b in left if a in nodes}
    return True


@cache
def all_graphs(n: int) -> tuple[Parents, ...]:
    """All graphs without cycles."""
    pairs = list(combinations(range(n), 2))
    found = []
    for ways in product((None, False, True), repeat=len(pairs)):
        edges = [
            (pair if way else pair[::-1])
            for pair, way in zip(pairs, ways, strict=True)
            if way is not None
        ]
        if is_acyclic_by_name([(str(a), str(b)) for a, b in edges]):
            found.append(tuple(tuple(sorted(a for a, b in edges if b == i)) for i in range(n)))
    return tuple(found)
