"""How the choice of states affects the answer, on measurements with known interventions.

Measurements come from a random linear model with a graph of 6 variables: each variable is a
weighted sum of its parents plus Gaussian noise, scaled to variance 1. An intervention sets a
variable 2 standard deviations below or above its control mean (give or take 0.2). "counts" are
Poisson counts with mean exp(1 + value), and a quarter of all values lost to zero. Control rows
teach thresholds and tables; the true graph is given. The true targets are read as the states that
most of the values set fall into.

    python benchmarks/discretisation.py                      # about ten minutes
    python benchmarks/discretisation.py --problems 2 --rows 4000

Columns: recall and precision of exact targets; tv, the total variation between true and found
weights; invented, the total weight of components that are no true target; do recall and do
precision, the same of single do's (a variable and its state, whatever else is set with it); rate
error, the mean error of the total weight of a single do, over all that are true or found; fits,
the share of problems whose fit check passes; s, seconds a fit. Means over problems.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import dosift
from dosift.errors import DosiftWarning
from dosift.io.graph import Graph

Floats = NDArray[np.float64]

N_VARIABLES, N_TARGETS = 6, 5
CUTS: dict[str, list[dict[str, object]]] = {
    "normal": [
        {"n_states": k, "method": m} for m in ("quantile", "kmeans", "uniform") for k in (2, 3, 5)
    ],
    "counts": [
        {"n_states": k, "method": m, "log": True, "zero_state": z}
        for m, z in (("quantile", False), ("kmeans", False), ("quantile", True), ("kmeans", True))
        for k in (2, 3, 5)
    ],
}


@dataclass(frozen=True)
class Problem:
    """Measurements with known interventions."""

    graph: Graph
    control: Floats
    rows: Floats
    targets: list[dict[int, float]]
    weights: Floats


def draw(kind: str, n_rows: int, seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    parents = [
        sorted(rng.choice(i, size=min(i, int(rng.integers(0, 3))), replace=False))
        for i in range(N_VARIABLES)
    ]
    strengths = [rng.uniform(0.5, 0.9, len(p)) * rng.choice([-1, 1], len(p)) for p in parents]
    targets: list[dict[int, float]] = [{}]
    while len(targets) < N_TARGETS:
        chosen = rng.choice(N_VARIABLES, size=int(rng.integers(1, 3)), replace=False)
        # One direction for each variable, so that the other states are never set.
        target = {int(i): 2.0 * (-1) ** int(i) for i in chosen}
        if target not in targets:
            targets.append(target)
    weights = rng.dirichlet(np.full(N_TARGETS, 5.0))
    scales = np.ones(N_VARIABLES)

    def sample(component: NDArray[np.int64]) -> Floats:
        values = np.empty((component.size, N_VARIABLES))
        for i in range(N_VARIABLES):
            noise = rng.normal(size=component.size)
            values[:, i] = scales[i] * (values[:, parents[i]] @ strengths[i] + noise)
            for t, target in enumerate(targets):
                if i in target:
                    hit = component == t
                    values[hit, i] = rng.normal(target[i], 0.2, hit.sum())
        return values

    for i in range(N_VARIABLES):  # each variable gets variance 1, given the scales before it
        scales[i] = 1 / sample(np.zeros(20_000, dtype=np.int64))[:, i].std()
    control = sample(np.zeros(n_rows, dtype=np.int64))
    rows = sample(rng.choice(N_TARGETS, size=n_rows, p=weights))
    if kind == "counts":
        control, rows = (
            rng.poisson(np.exp(1 + x)) * (rng.random(x.shape) < 0.75) for x in (control, rows)
        )
    names = tuple(f"g{i}" for i in range(N_VARIABLES))
    edges = tuple((names[p], names[i]) for i in range(N_VARIABLES) for p in parents[i])
    return Problem(Graph(names, edges), control, rows, targets, weights)


def true_mixture(problem: Problem, cut: dosift.Discretizer, kind: str) -> dosift.Mixture:
    """Each target as the states that its values fall into; targets that coincide are joined."""
    weights: dict[dosift.Target, float] = {}
    for target, weight in zip(problem.targets, problem.weights, strict=True):
        set_to = {}
        for i, value in target.items():
            seen = np.exp(1 + value) if kind == "counts" else value
            name = f"g{i}"
            at = int(np.searchsorted(cut.thresholds_[name], seen, side="right"))
            set_to[name] = cut.states_[name][at]
        named = dosift.do(set_to)
        weights[named] = weights.get(named, 0.0) + float(weight)
    return dosift.Mixture(weights)


def measure(kind: str, options: dict[str, object], n_rows: int, seed: int) -> list[float]:
    problem = draw(kind, n_rows, seed)
    frames = [
        {name: values[:, i] for i, name in enumerate(problem.graph.nodes)}
        for values in (problem.rows, problem.control)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        rows, control, cut = dosift.discretize(*frames, **options)
        network = dosift.learn_network(problem.graph, control, states=cut.states_)
        begin = time.perf_counter()
        model = dosift.InterventionMixture(network).fit(rows)
    seconds = time.perf_counter() - begin
    truth = true_mixture(problem, cut, kind)
    scores = dosift.evaluate(truth, model.mixture_)
    true_rates, found_rates = single_dos(truth), single_dos(model.mixture_)
    both = true_rates.keys() & found_rates.keys()
    either = true_rates.keys() | found_rates.keys()
    error = [abs(true_rates.get(d, 0) - found_rates.get(d, 0)) for d in either]
    invented = sum(w for t, w in model.mixture_.items() if t not in truth)
    return [
        scores.recall,
        scores.precision,
        scores.tv,
        invented,
        len(both) / len(true_rates),
        len(both) / max(len(found_rates), 1),
        float(np.mean(error)),
        float(model.fit_check_.fits),
        seconds,
    ]


def single_dos(mixture: dosift.Mixture) -> dict[tuple[str, str], float]:
    """Total weight of the targets that set a variable to a state."""
    rates: dict[tuple[str, str], float] = {}
    for target, weight in mixture.items():
        for item in target.items():
            rates[item] = rates.get(item, 0.0) + weight
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--rows", type=int, default=10_000, help="rows, and as many control rows")
    parser.add_argument("--kinds", nargs="+", choices=CUTS, default=list(CUTS))
    arguments = parser.parse_args()
    names = "data, cut, states, recall, precision, tv, invented, do recall, do precision, "
    columns = (names + "rate error, fits, s").split(", ")
    print(f"| {' | '.join(columns)} |")
    print("|" + "---|" * len(columns))
    for kind in arguments.kinds:
        for options in CUTS[kind]:
            results = [
                measure(kind, options, arguments.rows, seed) for seed in range(arguments.problems)
            ]
            figures = " | ".join(f"{x:.2f}" for x in np.mean(results, axis=0))
            zero = ", zero apart" if options.get("zero_state") else ""
            print(
                f"| {kind} | {options['method']}{zero} | {options['n_states']} | {figures} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
