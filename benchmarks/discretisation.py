"""How the choice of states affects the answer, on measurements with known interventions.

Problems are random and of the kinds that ``discretisation_problems.py`` describes; ways to place
thresholds are dosift's and those of ``discretisation_cuts.py``. The true graph is given, tables
are learned from control rows.

    python benchmarks/discretisation.py                     # all ways, about ten minutes
    python benchmarks/discretisation.py --cuts contrast-5 quantile-3 --kinds telemetry
    python benchmarks/discretisation.py --no-control        # thresholds learned from rows alone
    python benchmarks/discretisation.py --real ../shared/data --no-fit   # chamber and sachs

Columns, means over problems: ari, the adjusted Rand index between the rows' true targets and the
variables that the most probable target of each row sets; recall and precision of sets of variables
with a weight of at least .01; tv, the total variation between the weights of sets of variables;
column ari, the adjusted Rand index between a column's states and whether the variable was set (for
genes: is on); apart, the share of the values set in the state of most of them, less the share of
the control rows in it (both 1 if no variable was set); states; s, seconds a fit. ``all`` is the
mean over kinds but ``null``.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import discretisation_cuts as others
import numpy as np
import polars as pl
from discretisation_problems import KINDS, Problem, draw
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

import dosift
from dosift.data.discretizer import METHODS
from dosift.data.thresholds import codes_of, place
from dosift.errors import DosiftWarning
from dosift.io.graph import Graph

Floats = NDArray[np.float64]
Cut = Callable[[Floats, Floats | None], Floats]
MEASURES = ("ari", "recall", "precision", "tv", "column ari", "apart", "states", "s")
#: Sets of variables of less weight are not counted as found.
LEAST_WEIGHT = 0.01


def own(method: str, k: int, log: bool | None = None) -> Cut:
    return lambda control, rows: place(
        control, k, method, log, rows if method == "contrast" else None
    )


CUTS: dict[str, Cut] = {f"{m}-{k}": own(m, k) for m in METHODS for k in (3, 5)} | {
    "contrast-4": own("contrast", 4),
    "deviations-1.5": others.deviations(-1.5, 1.5),
    "pooled-kmeans-5": others.pooled_kmeans(5),
    "divergence-5": others.divergence_only(5),
    "blocks-5": others.two_sample_blocks(5),
    "gaussian-mixture-5": others.gaussian_mixture(5),
    "valleys-5": others.valleys(5),
}


def measure(problem: Problem, cut: Cut, with_control: bool, fit: bool = True) -> list[float]:
    columns = range(len(problem.names))
    thresholds = [
        cut(problem.control[:, i], problem.rows[:, i])
        if with_control
        else cut(problem.rows[:, i], None)
        for i in columns
    ]
    control, rows = (
        pl.DataFrame(
            {
                name: codes_of(values[:, i], thresholds[i]).astype(str)
                for i, name in enumerate(problem.names)
            }
        )
        for values in (problem.control, problem.rows)
    )
    states = {
        name: [str(s) for s in range(thresholds[i].size + 1)]
        for i, name in enumerate(problem.names)
    }
    column = [
        adjusted_rand_score(problem.classes[:, i], rows[:, i])
        for i in columns
        if np.ptp(problem.classes[:, i])
    ]
    apart = [_apart(problem, thresholds[i], i) for i in columns if np.ptp(problem.classes[:, i])]
    told = [
        float(np.mean(column)) if column else 1.0,
        float(np.mean(apart)) if apart else 1.0,
        float(np.mean([len(s) for s in states.values()])),
    ]
    if not fit:
        return [np.nan] * 4 + [*told, np.nan]
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        graph = Graph(problem.names, problem.edges)
        network = dosift.learn_network(graph, control, states=states)
        model = dosift.InterventionMixture(network, max_size=2).fit(rows)
        assigned = [str(target) for target in model.predict(rows)]
    seconds = time.perf_counter() - begin
    set_of = {str(target): frozenset(n for n, _ in target.items()) for target in model.mixture_}
    names = {text: str(sorted(found)) for text, found in set_of.items()}
    weights: dict[frozenset[str], float] = {}
    for target, weight in model.mixture_.items():
        weights[set_of[str(target)]] = weights.get(set_of[str(target)], 0.0) + weight
    found = {variables for variables, weight in weights.items() if weight >= LEAST_WEIGHT}
    true = dict(zip(problem.targets, problem.weights, strict=True))
    shared = len(found & true.keys())
    off = [abs(true.get(t, 0.0) - weights.get(t, 0.0)) for t in true.keys() | weights.keys()]
    return [
        adjusted_rand_score(problem.component, [names.get(text, "") for text in assigned]),
        shared / len(true),
        shared / max(len(found), 1),
        sum(off) / 2,
        *told,
        seconds,
    ]


def _apart(problem: Problem, cuts: Floats, i: int) -> float:
    """Share of the values set in the state of most of them, less that of the control rows."""
    is_set = problem.classes[:, i] == 1
    shares = [
        np.bincount(codes_of(values, cuts), minlength=cuts.size + 1) / values.size
        for values in (problem.rows[is_set, i], problem.control[:, i])
    ]
    most = shares[0].argmax()
    return float(shares[0][most] - shares[1][most])


def real(kind: str, folder: Path, seed: int) -> Problem:
    """Rows whose intervention is known, shuffled; the graph as published."""
    return (_chamber if kind == "chamber" else _sachs)(folder / kind, np.random.default_rng(seed))


def _chamber(folder: Path, rng: np.random.Generator) -> Problem:
    names = ["red", "green", "blue", "l_11", "l_12", "l_21", "l_22", "ir_1", "ir_2", "current"]
    reference = pl.read_csv(folder / "reference.csv.gz").select(names).to_numpy()
    hit = pl.read_csv(folder / "interventions.csv.gz", infer_schema_length=None)
    # Only experiments on variables that are kept, and which no sensor's gain is part of.
    of = hit["experiment"].str.replace("_(strong|mid|weak)$", "")
    order = rng.permutation(len(reference))
    parts, targets = [reference[order[5000:6500]]], [frozenset[str]()]
    for experiment in of.unique(maintain_order=True):
        if experiment in names:
            rows = hit.filter(of == experiment).select(names).to_numpy()
            parts.append(rng.permutation(rows)[:250])
            targets.append(frozenset([experiment]))
    return _assembled(folder, "graph.csv", names, reference[order[:5000]], parts, targets)


def _sachs(folder: Path, rng: np.random.Generator) -> Problem:
    sizes = [853, 902, 911, 723, 810, 799, 848, 913, 707]
    hit = ["", "", "akt", "pkc", "pip2", "mek", "pip3", "pkc", "pka"]
    frame = pl.read_csv(folder / "sachs.2005.continuous.txt", separator="\t")
    blocks = np.split(frame.to_numpy(), np.cumsum(sizes)[:-1])
    control, left = np.split(rng.permutation(np.vstack(blocks[:2])), [1000])
    targets = [frozenset(filter(None, [name])) for name in hit]
    parts = [left, *blocks[2:]]
    return _assembled(
        folder, "graph_bnlearn.csv", frame.columns, control, parts, [targets[0], *targets[2:]]
    )


def _assembled(
    folder: Path,
    graph: str,
    names: list[str],
    control: Floats,
    parts: list[Floats],
    targets: list[frozenset[str]],
) -> Problem:
    edges = pl.read_csv(folder / graph).rows()
    sizes = [len(part) for part in parts]
    distinct = list(dict.fromkeys(targets))
    at = [distinct.index(target) for target in targets]
    weights = np.bincount(at, weights=sizes) / sum(sizes)
    is_set = np.array([[name in target for name in names] for target in targets])
    return Problem(
        tuple(names),
        tuple((a, b) for a, b in edges if a in names and b in names),
        control.astype(float),
        np.vstack(parts).astype(float),
        np.repeat(at, sizes),
        np.repeat(is_set.astype(np.int64), sizes, axis=0),
        distinct,
        weights,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--rows", type=int, default=2000, help="rows, and as many control rows")
    parser.add_argument("--seed", type=int, default=0, help="of the first problem")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--cuts", nargs="+", choices=CUTS, default=list(CUTS))
    parser.add_argument("--no-control", action="store_true")
    parser.add_argument("--no-fit", action="store_true", help="only the columns' measures")
    parser.add_argument("--real", type=Path, help="a folder that holds chamber and sachs")
    chosen = parser.parse_args()
    print(f"| data | cut | {' | '.join(MEASURES)} |")
    print("|" + "---|" * (len(MEASURES) + 2))
    kinds = ["chamber", "sachs"] if chosen.real else chosen.kinds
    seeds = range(chosen.seed, chosen.seed + chosen.problems)
    means: dict[str, list[Floats]] = {name: [] for name in chosen.cuts}
    for kind in kinds:
        problems = [
            real(kind, chosen.real, seed) if chosen.real else draw(kind, chosen.rows, seed)
            for seed in seeds
        ]
        for name in chosen.cuts:
            results = [
                measure(p, CUTS[name], not chosen.no_control, not chosen.no_fit) for p in problems
            ]
            mean = np.mean(results, axis=0)
            _print(kind, name, mean)
            if kind != "null":
                means[name].append(mean)
    for name in chosen.cuts:
        if means[name]:
            _print("all", name, np.mean(means[name], axis=0))


def _print(kind: str, name: str, values: Floats) -> None:
    print(f"| {kind} | {name} | {' | '.join(f'{x:.2f}' for x in values)} |", flush=True)


if __name__ == "__main__":
    main()
