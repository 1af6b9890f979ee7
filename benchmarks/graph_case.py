"""A worked case: a published network with three wrong edges, fixed, repaired and learned.

    python benchmarks/graph_case.py sachs
    python benchmarks/graph_case.py alarm --ways fixed repair

Rows are simulated from the published network; needs pgmpy, whose files hold it. Prints the three
wrong edges, and for each way of fitting the edges that differ from the published graph, how many
components are right, and the seconds of CPU.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

import dosift
from dosift.graphs.dag import graph_of, is_acyclic
from dosift.io.graph import Graph
from dosift.study.problems import named_network

WAYS = ("fixed", "repair", "none")
SETTINGS = {"fixed": "a graph with three wrong edges, fixed", "repair": "the same, repaired"}


def with_wrong_edges(network: dosift.Network, rng: np.random.Generator) -> Graph:
    """Drop one edge, reverse one, and add one."""
    edges = list(network.edges)
    n = network.n_variables
    while True:
        order = rng.permutation(len(edges))
        dropped, turned = edges[order[0]], edges[order[1]]
        pair = rng.choice(n, size=2, replace=False)
        added = (network.names[pair[0]], network.names[pair[1]])
        if added in edges or added[::-1] in edges:
            continue
        wrong = [e for e in edges if e not in (dropped, turned)] + [turned[::-1], added]
        parents: list[list[int]] = [[] for _ in range(n)]
        for parent, child in wrong:
            parents[network.positions[child]].append(network.positions[parent])
        if is_acyclic(graph_of(parents)):
            print("dropped", *dropped, "| reversed", *turned, "| added", *added)
            return Graph(network.names, tuple(wrong))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    network = named_network(asked.network)
    truth = dosift.random_mixture(network, 6, max_size=2, random_state=rng)
    nothing = dosift.Mixture({dosift.do(): 1.0})
    control = dosift.simulate(network, nothing, asked.rows, rng)
    rows = dosift.simulate(network, truth, asked.rows, rng)
    states = {variable.name: variable.states for variable in network.variables}
    wrong = with_wrong_edges(network, rng)
    for way in asked.ways:
        beside = {} if way == "none" else {"graph": wrong, "edges": way}
        begin = time.process_time()
        with warnings.catch_warnings(record=True) as notices:
            warnings.simplefilter("always")
            model = dosift.InterventionMixture().fit(rows, control=control, states=states, **beside)
        right = len({str(t) for t in model.targets_} & {str(t) for t in truth.targets})
        found, published = set(model.network_.edges), set(network.edges)
        print(f"\n{SETTINGS.get(way, 'no graph')}: {time.process_time() - begin:.0f} s")
        print(f"{right} of {len(truth.targets)} components, {len(model.targets_)} in all")
        print(
            "missing edges:", *sorted(published - found), "| too many:", *sorted(found - published)
        )
        for notice in notices:
            if issubclass(notice.category, dosift.errors.GraphWarning):
                print(notice.message)


if __name__ == "__main__":
    main()
