"""Continuous data: dosift beside the oracle, Gaussian mixtures and the successor's pipeline.

    python benchmarks/continuous.py table --problems 15
    python benchmarks/continuous.py successor --nodes 4 6 8 --rows 4096 --no-graph
    python benchmarks/continuous.py known --networks ecoli70 magic-irri arth150
    python benchmarks/continuous.py mixed
    python benchmarks/continuous.py telemetry
    python benchmarks/continuous.py wide --variables 50 --rows 20000
    python benchmarks/continuous.py wide --variables 20 --rows 1000000 --control 20000
    python benchmarks/continuous.py chamber --data ../shared/data/chamber --sensors ir vis angle

Each prints one line for each kind of problem and method: mean over problems, and after a slash the
median where it differs. Measures are explained in ``continuous_baselines.scores``; ``fails`` is the
share of fits whose penalised log-likelihood of the pool is below that of the truth, ``crashed`` the
share that raised an error (the other measures are of the rest). Seconds are of
the processor, for the fit alone. With ``--journal FILE`` a run that was stopped goes on where it
was. ``cutoff`` is the mixture of the successor's pipeline, named
generously as all mixtures are; ``dosift-known`` is given the true network and no control rows;
``utigsp`` the pipeline as published, where causaldag is installed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from math import isnan, nan
from pathlib import Path
from typing import Any

import continuous_successor
import numpy as np
from continuous_baselines import (
    THRESHOLDS,
    Answer,
    dosift_fit,
    gaussian_mixture,
    oracle,
    penalty,
    published_scores,
    scores,
)
from continuous_mixed import FEATURES, SENSORS, chamber, mixed, telemetry
from continuous_problems import LINES, Problem, known, successor, table, wide

from dosift.study.published import SUCCESSOR
from dosift.utils.journal import open_journal

MIXTURES = ("bic", "true", "bayes", "cutoff")
METHODS = ("oracle", "dosift", "dosift-known", *MIXTURES, "utigsp")
#: Beside dosift, which is given control rows and graph: with the true network, and nothing else.
KNOWN = "dosift-known"
MEASURES = (
    *("recall", "precision", "jaccard", "ari", "tv", "components", "invented", "fails"),
    *("crashed", "seconds", "mib"),
)
PUBLISHED_MEASURES = ("matched jaccard", "parameter error", "shd")
#: Fits of which a log-likelihood below the truth's is due to rounding.
_SLACK = 1e-6

#: A kind of problem: its label, and the problem of a seed.
Case = tuple[str, Callable[..., Problem]]
Record = dict[str, float]


def _table(chosen: argparse.Namespace) -> Iterator[Case]:
    for line in chosen.lines:
        yield line, partial(table, line)


def _successor(chosen: argparse.Namespace) -> Iterator[Case]:
    for n, rows in product(chosen.nodes, chosen.rows):
        label = f"n={n} M={rows} {chosen.targets} {chosen.kind}"
        yield label, partial(successor, n, rows, nodes=chosen.targets, kind=chosen.kind)


def _known(chosen: argparse.Namespace) -> Iterator[Case]:
    for name in chosen.networks:
        yield name, partial(known, chosen.folder / f"{name}.json", n_rows=chosen.rows)


def _mixed(chosen: argparse.Namespace) -> Iterator[Case]:
    for kinds in chosen.kinds:
        yield kinds, partial(mixed, kinds=kinds)


def _telemetry(chosen: argparse.Namespace) -> Iterator[Case]:
    yield "telemetry", telemetry


def _wide(chosen: argparse.Namespace) -> Iterator[Case]:
    n, rows, control = chosen.variables, chosen.rows, chosen.control
    make = partial(wide, n=n, n_rows=rows, n_control=control, n_targets=chosen.targets)
    yield f"{n} variables, {rows} rows", make


def _chamber(chosen: argparse.Namespace) -> Iterator[Case]:
    for sensors in chosen.sensors:
        yield sensors, partial(chamber, chosen.data, sensors)


#: The kinds of problems that each command asks for; all take the seed as an argument.
CASES = {
    "table": _table,
    "successor": _successor,
    "known": _known,
    "mixed": _mixed,
    "telemetry": _telemetry,
    "wide": _wide,
    "chamber": _chamber,
}


def judged(problem: Problem, answer: Answer) -> Record:
    """All measures of an answer."""
    found = {**published_scores(problem, answer), **scores(problem, answer)}
    if answer.score is not None and problem.parts:
        ours = answer.score - penalty(problem, answer.merged().sets)
        truth = problem.log_likelihood() - penalty(problem, problem.sets)
        found["fails"] = float(ours < truth - _SLACK * abs(truth))
    return found


def run(
    case: Case, methods: Sequence[str], chosen: argparse.Namespace, done: Done | None = None
) -> dict[str, list[Record]]:
    """Records of each method on the problems of a kind."""
    label, make = case
    done = done or Done()
    records: dict[str, list[Record]] = {}
    at_thresholds: dict[str, list[list[Record]]] = {}
    for seed in range(chosen.seed, chosen.seed + chosen.problems):
        problem = cache(partial(make, seed=seed))
        for method in methods:
            some = done.once(
                {"label": label, "seed": seed, "method": method},
                lambda method=method, problem=problem, seed=seed: tried(
                    problem(), method, seed, chosen
                ),
            )
            if method in MIXTURES:
                at_thresholds.setdefault(method, []).append(some)
            elif some:
                records.setdefault(method, []).extend(some)
                if method != "oracle":
                    what = f"{label}, seed {seed}, {method}"
                    print(f"# {what}: {_brief(some[0])}", file=sys.stderr, flush=True)
    for method, some in at_thresholds.items():
        by_threshold = list(zip(*some, strict=True))
        best = max(by_threshold, key=lambda one: _mean([r["jaccard"] for r in one]))
        records[method] = list(best)
    return {method: records[method] for method in methods if method in records}


def tried(problem: Problem, method: str, seed: int, chosen: argparse.Namespace) -> list[Record]:
    """Records of a method on a problem: of a mixture for each threshold, else one or none."""
    if method == "oracle":
        return [judged(problem, oracle(problem))] if problem.parts else []
    if method in MIXTURES:
        named = gaussian_mixture(problem, method, seed)
        return [judged(problem, named(threshold)) for threshold in THRESHOLDS]
    if method == "utigsp":
        if not continuous_successor.is_installed():
            return []
        return [judged(problem, continuous_successor.pipeline(problem, seed))]
    graph = method != "dosift without graph"
    before = _peak()
    try:
        told = _features(problem, chosen)
        answer = dosift_fit(problem, graph, told, is_known=method == KNOWN)
    except Exception:
        # One fit that breaks must not hide the others; it is counted, and shown.
        traceback.print_exc()
        return [{"crashed": 1.0}]
    return [{**judged(problem, answer), "mib": _peak() - before, "crashed": 0.0}]


@dataclass(frozen=True)
class Done:
    """What an interrupted run has on the disk, and where what is new goes."""

    records: Sequence[dict[str, Any]] = ()
    keep: Callable[[dict[str, Any]], None] = lambda record: None

    def once(self, key: dict[str, Any], work: Callable[[], list[Record]]) -> list[Record]:
        """Return the records of a piece of work, which is done if the file has none."""
        for one in self.records:
            if all(one[name] == value for name, value in key.items()):
                return [
                    {name: nan if value is None else value for name, value in record.items()}
                    for record in one["records"]
                ]
        records = work()
        self.keep({**key, "records": [_storable(record) for record in records]})
        return records


def _storable(record: Record) -> dict[str, float | None]:
    """JSON has no NaN."""
    return {name: None if isnan(value) else float(value) for name, value in record.items()}


def _features(problem: Problem, chosen: argparse.Namespace) -> dict[str, list[str]]:
    told = chosen.command == "chamber" and not chosen.no_features
    return {name: FEATURES[name] for name in problem.names if told and name in FEATURES}


def _peak() -> float:
    """Largest memory of the process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _brief(record: Record) -> str:
    shown = ("recall", "precision", "ari", "seconds")
    return ", ".join(f"{key} {record.get(key, np.nan):.3g}" for key in shown)


def _mean(values: Sequence[float]) -> float:
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")


def cell(values: Sequence[float]) -> str:
    """Mean, and after a slash the median where it differs."""
    kept = [value for value in values if not np.isnan(value)]
    if not kept:
        return "-"
    mean, median = _number(float(np.mean(kept))), _number(float(np.median(kept)))
    return mean if mean == median else f"{mean} / {median}"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1.5 else f"{value:.3g}"


def report(label: str, records: dict[str, list[Record]], measures: Sequence[str]) -> None:
    """Print a line for each method."""
    for method, some in records.items():
        cells = [cell([r[key] for r in some if key in r]) for key in measures]
        print(f"| {label} | {method} | {len(some)} | {' | '.join(cells)} |", flush=True)


def pgmpy_folder() -> Path:
    """Find the networks that the pgmpy wheel carries."""
    from importlib.util import find_spec

    found = find_spec("pgmpy")
    origin = found.origin if found and found.origin else "pgmpy/__init__.py"
    return Path(origin).parent / "utils" / "example_models"


def parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    top = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, problems: int, methods: Sequence[str]) -> argparse.ArgumentParser:
        one = commands.add_parser(name)
        one.add_argument("--problems", type=int, default=problems)
        one.add_argument("--seed", type=int, default=0, help="of the first problem")
        one.add_argument("--methods", nargs="+", default=list(methods), choices=METHODS)
        one.add_argument("--json", type=Path, help="where to write all records")
        one.add_argument(
            "--journal", type=Path, help="file from which the same command goes on after a stop"
        )
        return one

    table_ = command("table", 15, ("oracle", "dosift", *MIXTURES))
    lines = [*LINES, "null"]
    table_.add_argument("--lines", nargs="+", choices=lines, default=list(LINES))
    one = command("successor", 10, ("oracle", "dosift", "cutoff", "utigsp"))
    one.add_argument("--nodes", type=int, nargs="+", default=[4, 6, 8])
    one.add_argument("--rows", type=int, nargs="+", default=[2**12])
    one.add_argument("--targets", choices=["all", "half"], default="all")
    one.add_argument("--kind", choices=["do", "hard", "soft"], default="do")
    one.add_argument("--no-graph", action="store_true", help="fit dosift without a graph, too")
    one = command("known", 3, ("oracle", "dosift", KNOWN, "bic"))
    one.add_argument("--networks", nargs="+", default=["ecoli70", "magic-irri", "arth150"])
    one.add_argument("--folder", type=Path, default=pgmpy_folder())
    one.add_argument("--rows", type=int, default=10_000)
    one = command("mixed", 15, ("oracle", "dosift"))
    kinds = ["mixed", "discrete", "continuous"]
    one.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    command("telemetry", 15, ("oracle", "dosift", "bic", "true"))
    one = command("wide", 1, ("oracle", "dosift"))
    one.add_argument("--variables", type=int, default=50)
    one.add_argument("--rows", type=int, default=20_000)
    one.add_argument("--control", type=int, default=20_000)
    one.add_argument("--targets", type=int, default=12)
    one = command("chamber", 1, ("dosift", "bic", "true"))
    one.add_argument("--data", type=Path, default=Path("../shared/data/chamber"))
    one.add_argument("--sensors", nargs="+", choices=list(SENSORS), default=["ir"])
    one.add_argument("--no-features", action="store_true", help="do not tell dosift Malus' law")
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    chosen = parser().parse_args(arguments)
    methods, measures = list(chosen.methods), list(MEASURES)
    if chosen.command == "successor":
        measures = [*PUBLISHED_MEASURES, *MEASURES]
        if chosen.no_graph:
            methods.insert(methods.index("dosift") + 1, "dosift without graph")
    print(f"| problems | method | number | {' | '.join(measures)} |")
    print("|" + "---|" * (len(measures) + 3))
    everything = {}
    with ExitStack() as open_files:
        done = Done()
        if chosen.journal:
            busy = "another run is writing to it"
            done = Done(*open_files.enter_context(open_journal(chosen.journal, busy)))
        for case in CASES[chosen.command](chosen):
            records = run(case, methods, chosen, done)
            report(case[0], records, measures)
            everything[case[0]] = records
            if chosen.command == "successor":
                _print_published(case[0])
    if chosen.json:
        chosen.json.write_text(json.dumps(everything, indent=1), encoding="utf-8")


def _print_published(label: str) -> None:
    for (n, rows), figures in SUCCESSOR.items():
        if label == f"n={n} M={rows} all do":
            shown = [figures[name] for name in ("jaccard", "parameter_error", "shd")]
            empty = " | -" * len(MEASURES)
            print(f"| {label} | published | 10 | {' | '.join(map(str, shown))}{empty} |")


if __name__ == "__main__":
    main()
