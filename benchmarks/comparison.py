"""dosift beside what people otherwise use, on the same rows: the tables of docs/comparison.md.

    python -m venv compare && . compare/bin/activate
    pip install . scikit-learn stepmix dowhy pomegranate
    python benchmarks/comparison.py --save comparison.json

Every setting draws one problem a seed: a random network with three states, at most three parents,
interventions of random size with Dirichlet(2) weights, and as many control rows as rows. Tools
that are not installed are left out, and said so. DoWhy's test is slow and gets three problems.

Columns (means over the seeds): recall and precision of exact targets; tv, the total variation
between true and found weights of exact targets; matched tv, the same when components are first
matched to the true ones by their rows (Hungarian algorithm), whatever their names; ari, the
adjusted Rand index of the rows' components; the recall and precision of the variables that any
intervention changes; seconds. A dash: the tool gives no such answer, or there is none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from comparison_tools import TOOLS, Answer, Problem

from dosift.model.evaluation import compare_codes
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes


@dataclass(frozen=True)
class Setting:
    """What problems are drawn."""

    words: str
    n_variables: int
    n_targets: int
    max_size: int
    n_rows: int
    soft: bool = False
    edges_each: float = 1.5


SETTINGS = {
    "small": Setting("6 variables, 4 interventions on 1-2 of them", 6, 4, 2, 10_000),
    "few-rows": Setting("the same with few rows", 6, 4, 2, 500),
    "large": Setting("12 variables, 8 interventions on 1-3 of them", 12, 8, 3, 10_000),
    "soft": Setting(
        "as the first, but an intervention draws the state instead of fixing it",
        6, 4, 2, 10_000, soft=True,
    ),
    "independent": Setting(
        "as the first, but no variable depends on another", 6, 4, 2, 10_000, edges_each=0
    ),
}  # fmt: skip


def draw(setting: Setting, seed: int) -> Problem:
    """Draw the problem of a seed."""
    seeds = np.random.SeedSequence(seed, spawn_key=tuple(setting.words.encode())).spawn(3)
    rng, of_control, of_rows = map(np.random.default_rng, seeds)
    network = random_network(
        setting.n_variables,
        max_parents=3,
        n_edges=int(setting.edges_each * setting.n_variables),
        random_state=rng,
    )
    mixture = random_mixture(
        network, setting.n_targets, max_size=setting.max_size, random_state=rng
    )
    targets, weights = mixture.to_codes(network)
    components = [intervened(network, target, setting.soft, rng) for target in targets]
    nothing = np.full((1, network.n_variables), -1)
    control, _ = sample_codes(network, nothing, np.ones(1), setting.n_rows, of_control)
    labels = of_rows.choice(len(weights), size=setting.n_rows, p=weights)
    rows = np.empty((setting.n_rows, network.n_variables), dtype=np.int64)
    for k, component in enumerate(components):
        is_here = labels == k
        if is_here.any():
            rows[is_here] = sample_codes(
                component, nothing, np.ones(1), int(is_here.sum()), of_rows
            )[0]
    return Problem(
        network,
        components,
        None if setting.soft else targets,
        weights,
        np.asarray(control, dtype=np.int64),
        rows,
        labels,
        (targets >= 0).any(axis=0),
    )


def intervened(
    network: Network, target: np.ndarray, soft: bool, rng: np.random.Generator
) -> Network:
    """Cut variables off from their parents and give them a fixed or (soft) a random state."""
    tables = list(network.tables)
    for i in np.flatnonzero(target >= 0):
        k = tables[i].shape[1]
        row = rng.dirichlet(np.ones(k)) if soft else np.eye(k)[target[i]]
        tables[i] = np.tile(row, (tables[i].shape[0], 1))
    return network.with_tables(tables)


def measure(problem: Problem, answer: Answer, seconds: float) -> dict[str, float]:
    """Compare an answer with the truth; NaN where there is none."""
    figures = dict.fromkeys(COLUMNS, np.nan)
    figures["seconds"] = seconds
    if answer.targets is not None and problem.targets is not None:
        scores = compare_codes(problem.targets, problem.weights, answer.targets, answer.weights)
        figures |= {"recall": scores.recall, "precision": scores.precision, "tv": scores.tv}
    if answer.labels is not None:
        from sklearn.metrics import adjusted_rand_score

        figures["ari"] = float(adjusted_rand_score(problem.labels, answer.labels))
        figures["matched tv"] = matched_tv(problem, answer)
    if answer.changed is not None:
        both = (problem.changed & answer.changed).sum()
        figures["variables: recall"] = both / problem.changed.sum()
        if answer.changed.any():
            figures["variables: precision"] = both / answer.changed.sum()
    return figures


def matched_tv(problem: Problem, answer: Answer) -> float:
    """Total variation of the weights after matching components by the rows that they share."""
    from scipy.optimize import linear_sum_assignment

    shared = np.zeros((len(problem.weights), len(answer.weights)))
    np.add.at(shared, (problem.labels, answer.labels), 1)
    true, found = linear_sum_assignment(shared, maximize=True)
    matched = np.minimum(problem.weights[true], answer.weights[found]).sum()
    return float(max(1 - matched, 0.0))


COLUMNS = (
    "recall",
    "precision",
    "tv",
    "matched tv",
    "ari",
    "variables: recall",
    "variables: precision",
    "seconds",
)


def run(
    tools: dict[str, Callable[[Problem, int], Answer]], setting: Setting, seeds: Sequence[int]
) -> dict[str, list[dict[str, float]]]:
    """Run every tool on every problem."""
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in tools}
    for seed in seeds:
        problem = draw(setting, seed)
        for name, solve in tools.items():
            if seed >= FEWER.get(name, seed + 1):
                continue
            begin = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = solve(problem, seed)
            figures[name].append(measure(problem, answer, time.perf_counter() - begin))
    return figures


#: Tools so slow that only this many of the problems are given to them.
FEWER = {"DoWhy": 3}


def mean(values: list[float]) -> float:
    """Mean of the values that there are."""
    there = [v for v in values if not np.isnan(v)]
    return float(np.mean(there)) if there else np.nan


def print_table(words: str, figures: dict[str, list[dict[str, float]]]) -> None:
    print(f"\n{words}\n\n| tool | problems | {' | '.join(COLUMNS)} |")
    print(f"|{'---|' * (len(COLUMNS) + 2)}")
    for name, outcomes in figures.items():
        cells = [mean([o[column] for o in outcomes]) for column in COLUMNS]
        texts = ["-" if np.isnan(x) else f"{x:.2f}" for x in cells]
        print(f"| {name} | {len(outcomes)} | {' | '.join(texts)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--tools", nargs="+", choices=list(TOOLS), default=list(TOOLS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--save", type=Path, help="write settings and every figure as JSON")
    arguments = parser.parse_args()
    chosen = {}
    for name in arguments.tools:
        library, solve = TOOLS[name]
        if library is not None and importlib.util.find_spec(library) is None:
            print(f"{name} is left out: {library} is not installed")
        else:
            chosen[name] = solve
    saved: dict[str, Any] = {}
    for name in arguments.settings:
        setting = SETTINGS[name]
        figures = run(chosen, setting, range(arguments.seeds))
        print_table(f"{name}: {setting.words}; {setting.n_rows:,} rows", figures)
        saved[name] = {"setting": asdict(setting), "figures": figures}
        if arguments.save:
            arguments.save.write_text(json.dumps(saved, indent=1) + "\n")


if __name__ == "__main__":
    main()
