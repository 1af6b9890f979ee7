"""Recovery of random problems: what is found, and whether misses are the search's or the data's.

Problems are drawn as in the study of Kumar and Sinha (2021): random networks with three states,
tables with Dirichlet(2) rows, targets of uniform size that respect exclusion, weights
Dirichlet(2). Each line of the grid is one setting; figures are means over problems.

    python benchmarks/recovery.py 4,16384,60 8,262144,6          # variables,rows,problems
    python benchmarks/recovery.py 40,5000,10,sparse              # <= 3 parents, targets of <= 3
    python benchmarks/recovery.py 6,4096,30,learned              # tables from as many control rows
    python benchmarks/recovery.py 6,65536,30,control=4096        # tables from 4,096 control rows
    python benchmarks/recovery.py alarm,16384,10                 # a network that pgmpy brings along

Columns: recall and precision of exact targets; tv, the total variation between true and found
weights, and its ratio to the oracle's (maximum likelihood with the true targets given); kept, the
recall of the true targets that selection keeps when it starts from them; failed, the share of
problems where the truth scores more than 5 nats above the answer (the search failed; elsewhere
the data do not identify the truth under the score); CPU seconds, of one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dosift.data import collapse
from dosift.learning.learn import DEFAULT_PRIOR
from dosift.learning.tables import learn_from_codes
from dosift.model import Mixture, Network
from dosift.model.evaluation import compare_codes
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.engine import SearchResult, find_targets
from dosift.search.prepared import prepare
from dosift.search.prune import prune
from dosift.study.problems import draw_problem, named_network


@dataclass(frozen=True)
class Setting:
    """One line of the grid."""

    n_variables: int
    n_rows: int
    n_problems: int
    sparse: bool = False
    n_control: int = 0
    network: str | None = None

    @classmethod
    def parse(cls, text: str) -> Setting:
        first, n_rows, n_problems, *words = text.split(",")
        sizes = [word.removeprefix("control=") for word in words if word.startswith("control=")]
        sizes += [n_rows] * words.count("learned")
        if len(sizes) + words.count("sparse") < len(words) or not all(map(str.isdigit, sizes)):
            raise SystemExit(f"unknown words in {text!r}")
        name = None if first.isdigit() else first
        n = int(first) if name is None else named_network(name).n_variables
        n_control = int(sizes[0]) if sizes else 0
        return cls(n, int(n_rows), int(n_problems), "sparse" in words, n_control, name)


@dataclass(frozen=True)
class Outcome:
    """What happened on one problem."""

    recall: float
    precision: float
    tv: float
    oracle_tv: float
    kept: float
    deficit: float
    seconds: float


def draw(setting: Setting, seed: int, rng: np.random.Generator) -> tuple[Network, Mixture]:
    if setting.network is not None:  # the problems of 'dosift study --preset real'
        drawn = draw_problem(0, setting.network, 0, seed, 3)
        return drawn.network, drawn.mixture
    network = random_network(
        setting.n_variables,
        graph=("erdos-renyi", "scale-free")[seed % 2] if not setting.sparse else "erdos-renyi",
        max_parents=3 if setting.sparse else None,
        random_state=rng,
    )
    n_targets = 10 if setting.n_variables > 12 or setting.sparse else (4, 8, 16)[seed % 3]
    return network, random_mixture(
        network, n_targets, max_size=3 if setting.sparse else None, random_state=rng
    )


def solve(setting: Setting, seed: int) -> Outcome:
    rng = np.random.default_rng([setting.n_variables, setting.n_rows, seed])
    network, mixture = draw(setting, seed, rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, setting.n_rows, rng)
    known = network
    if setting.n_control:
        nothing = np.full((1, setting.n_variables), -1)
        control, _ = sample_codes(network, nothing, np.ones(1), setting.n_control, rng)
        network = learn_from_codes(network.variables, network.parents, control, DEFAULT_PRIOR)
    begin = time.process_time()
    configurations = collapse(codes, network.cardinalities)
    found = find_targets(network, configurations)
    seconds = time.process_time() - begin
    scores = compare_codes(targets, weights, found.targets, found.weights)

    is_set = tuple(int(i) for i in np.flatnonzero((targets >= 0).any(axis=0)))
    variables = is_set if setting.n_variables > 24 else None
    oracle = prepare(known, configurations, variables)
    fit = oracle.problem.fit(oracle.from_network(targets))
    true_tv = compare_codes(
        targets, weights, oracle.to_network(fit.targets, setting.n_variables), fit.weights
    ).tv
    # Under a learned network the answer's own tables are refined: both are scored with those.
    network = found.network
    started = prepare(network, configurations, variables)
    truth = started.problem.fit(started.from_network(targets))
    kept = prune(started.problem, truth)
    still_there = {t.tobytes() for t in started.from_network(targets)} & kept.keys
    answer = prepare(network, configurations, None if variables is None else _joined(found, is_set))
    # Ratios are relative to the undisturbed network, so scores over other variables compare.
    reached = answer.problem.fit(answer.from_network(found.targets))
    return Outcome(
        recall=scores.recall,
        precision=scores.precision,
        tv=scores.tv,
        oracle_tv=true_tv,
        kept=len(still_there) / len(targets),
        deficit=max(truth.score, kept.score) - reached.score,
        seconds=seconds,
    )


def _joined(found: SearchResult, is_set: tuple[int, ...]) -> tuple[int, ...]:
    also = np.flatnonzero((found.targets >= 0).any(axis=0))
    return tuple(sorted({*is_set, *map(int, also)}))


def report(setting: Setting, outcomes: Sequence[Outcome]) -> dict[str, float]:
    mean = {
        name: float(np.mean([getattr(o, name) for o in outcomes]))
        for name in ("recall", "precision", "tv", "oracle_tv", "kept", "seconds")
    }
    return {
        **mean,
        "tv_ratio": mean["tv"] / mean["oracle_tv"],
        "failed": float(np.mean([o.deficit > 5 for o in outcomes])),
        "slowest": max(o.seconds for o in outcomes),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "settings", nargs="+", help="variables,rows,problems[,sparse][,learned][,control=N]"
    )
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--save", type=Path, help="write figures and outcomes as JSON")
    arguments = parser.parse_args()
    saved = []
    for setting in map(Setting.parse, arguments.settings):
        seeds = range(arguments.first_seed, arguments.first_seed + setting.n_problems)
        with ProcessPoolExecutor(arguments.processes) as pool:
            outcomes = list(pool.map(solve, [setting] * len(seeds), seeds))
        figures = report(setting, outcomes)
        saved.append({**asdict(setting), **figures, "outcomes": [asdict(o) for o in outcomes]})
        kind = " sparse" if setting.sparse else ""
        kind = f" control={setting.n_control}" if setting.n_control else kind
        what = setting.network or f"n={setting.n_variables}"
        print(
            f"{what}{kind} rows={setting.n_rows} problems={setting.n_problems}: "
            f"recall {figures['recall']:.3f} precision {figures['precision']:.3f} "
            f"tv {figures['tv']:.4f} ({figures['tv_ratio']:.2f} x oracle) "
            f"kept {figures['kept']:.3f} failed {figures['failed']:.3f} "
            f"CPU seconds {figures['seconds']:.2f} (slowest {figures['slowest']:.2f})",
            flush=True,
        )
    if arguments.save:
        arguments.save.write_text(json.dumps(saved, indent=1) + "\n")


if __name__ == "__main__":
    main()
