"""What a graph guessed from control rows costs, and what the stability check shows of it.

Random networks of n variables with 3 states, 1.3 n edges and at most 3 parents; five targets of
one or two variables. The same rows are fitted under the true graph, under the graph guessed from
the control rows, and by dosift.structure.stability.

    python benchmarks/learned_graphs.py                     # about ten minutes
    python benchmarks/learned_graphs.py --methods tabu hill-climbing --no-fit --problems 20

Columns: skeleton, the F1 of edges without direction; told, the share of those edges found in
the right direction that control rows can tell (see open_edges); class, the share of problems with
every independence right; all, the share with every direction right too. Then recall and precision
of exact targets, and tv, the total variation of the weights, under the true and under the guessed
graph; stable, the precision (and its recall) of the targets found under at least 80 % of the
plausible graphs.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np

import dosift
from dosift.errors import DosiftWarning
from dosift.io.graph import Graph
from dosift.structure import learn_graph, open_edges, stability

N_GRAPHS, OFTEN = 20, 0.8


def agreement(found: Graph, network: dosift.Network) -> list[float]:
    true, edges = set(network.edges), set(found.edges)
    told = true - set(open_edges(Graph(network.names, tuple(network.edges))))
    skeletons = [{frozenset(edge) for edge in graph} for graph in (true, edges)]
    f1 = 2 * len(skeletons[0] & skeletons[1]) / (len(true) + len(edges))
    same = skeletons[0] == skeletons[1] and told == edges - set(open_edges(found))
    return [f1, len(told & edges) / len(told) if told else np.nan, same, edges == true]


def measure(n: int, n_rows: int, seed: int, method: str, with_fit: bool) -> list[float]:
    rng = np.random.default_rng([n, n_rows, seed])
    network = dosift.random_network(
        n,
        n_edges=int(1.3 * n),
        max_parents=3,
        concentration=0.7,
        shuffle=True,
        random_state=rng,
    )
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), n_rows, rng)
    control = control.select(rng.permutation(control.columns).tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        graph = learn_graph(control, method=method)
        figures = agreement(graph, network)
        if not with_fit:
            return figures
        truth = dosift.random_mixture(network, 5, max_size=2, random_state=rng)
        rows = dosift.simulate(network, truth, n_rows, rng)
        for known in (Graph(network.names, tuple(network.edges)), graph):
            learned = dosift.learn_network(known, control)
            found = dosift.InterventionMixture(learned, max_size=3).fit(rows).mixture_
            scores = dosift.evaluate(truth, found)
            figures += [scores.recall, scores.precision, scores.tv]
        table = stability(control, rows, n_graphs=N_GRAPHS, method=method, max_size=3)
    named = {str(target) for target in truth}
    often = {text for kind, text, share, *_ in table.rows() if kind == "target" and share >= OFTEN}
    right = len(often & named)
    return [*figures, right / len(often) if often else np.nan, right / len(named)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="+", default=["5,5000", "8,5000", "8,20000"])
    parser.add_argument("--problems", type=int, default=6)
    parser.add_argument("--methods", nargs="+", default=["tabu"])
    parser.add_argument("--no-fit", action="store_true", help="compare graphs only")
    arguments = parser.parse_args()
    columns = ["variables", "rows", "method", "skeleton", "told", "class", "all"]
    if not arguments.no_fit:
        columns += ["true: recall", "precision", "tv", "guessed: recall", "precision", "tv"]
        columns += ["stable: precision", "recall"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for setting in arguments.settings:
        n, n_rows = map(int, setting.split(","))
        for method in arguments.methods:
            results = [
                measure(n, n_rows, seed, method, not arguments.no_fit)
                for seed in range(arguments.problems)
            ]
            figures = " | ".join(f"{x:.2f}" for x in np.nanmean(results, axis=0))
            print(f"| {n} | {n_rows} | {method} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
