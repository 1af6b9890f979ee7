"""Graphs that are wrong or unknown: what control and mixture rows make of them.

Problems and scores are those of graph_problems.py. Each line is one kind of start; shares have
Wilson's 95 % intervals; problems that failed are listed by their seeds.

    python benchmarks/graphs.py repair --n 6 --rows 5000 --problems 50
    python benchmarks/graphs.py repair --n 12 --rows 10000 --problems 20 --wrong 3
    python benchmarks/graphs.py repair --n 40 --rows 20000 --problems 5 --starts mixed --wrong 0.05
    python benchmarks/graphs.py fixed --n 6 --rows 5000 --problems 100
    python benchmarks/graphs.py coverage --n 6 --rows 2000 --problems 50
    python benchmarks/graphs.py few --n 6 --rows 500 --problems 50
    python benchmarks/graphs.py compare --n 6 --rows 5000 --problems 20
    python benchmarks/graphs.py published --networks sachs,alarm --rows 10000 --problems 5

`--wrong` is the number of wrong edges that a start has, or below 1 their share. Seconds are CPU
seconds of one fit, all of it. A search failed where the true graph scores more than 5 nats above
the answer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from graph_problems import (
    STARTS,
    Problem,
    draw,
    fitted,
    scores_of_graph,
    scores_of_targets,
    share,
    start_of,
    with_rows,
    wrong_pairs,
)
from threadpoolctl import threadpool_limits

from dosift.data import collapse, encode
from dosift.graphs.climb import GraphClimber
from dosift.graphs.dag import EdgeConstraints, Parents, edges_of, graph_of
from dosift.graphs.families import TableFamilies
from dosift.graphs.findings import AskedEdit
from dosift.graphs.fits import GraphFitter
from dosift.results.graphs import objects_to_the_graph
from dosift.search.constraints import Constraints
from dosift.study.problems import named_network

Record = dict[str, Any]

#: Variables up to which failures of the search are told from those of the score, nats that make
#: one, and edges a variable where there are more variables.
FULL, FAILED, SPARSE = 12, 5.0, 1.0
BINS = ((0.0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01))
SURE = 0.95


@dataclass(frozen=True)
class Setting:
    """What problems are drawn and how they are fitted."""

    command: str
    n: int
    rows: int
    starts: tuple[str, ...] = ()
    wrong: float = 2
    network: str | None = None

    def draw(self, seed: int) -> Problem:
        if self.network is not None:
            rng = np.random.default_rng([18, self.rows, seed, *self.network.encode()])
            return with_rows(named_network(self.network), self.rows, rng)
        return draw(self.n, self.rows, seed, *([] if self.n <= FULL else [SPARSE]))

    def n_wrong(self, problem: Problem) -> int:
        n_edges = len(problem.network.edges)
        return max(round(self.wrong * n_edges), 1) if self.wrong < 1 else int(self.wrong)


def timed(problem: Problem, graph: Parents | None, edges: str) -> tuple[Any, float]:
    begin = time.process_time()
    model = fitted(problem, graph, edges)
    return model, time.process_time() - begin


def prefixed(name: str, figures: Record) -> Record:
    return {f"{name} {key}": value for key, value in figures.items()}


# repair, published


def repaired(setting: Setting, seed: int) -> list[Record]:
    """Repair a graph from several starts."""
    problem = setting.draw(seed)
    known = scores_of_targets(problem, fitted(problem, problem.graph, "fixed"))
    out = []
    for start in setting.starts:
        given = start_of(problem, start, setting.n_wrong(problem), seed)
        model, seconds = timed(problem, given, "repair")
        found = problem.graph_of(model.network_)
        record = {"kind": start, "seed": seed, "seconds": seconds}
        record |= scores_of_graph(problem, found) | scores_of_targets(problem, model)
        record |= prefixed("true", known) | put_right(problem, given, found)
        if problem.network.n_variables <= FULL:
            record["deficit"] = deficit(problem, model, found)
        out.append(record)
    return out


def put_right(problem: Problem, given: Parents | None, found: Parents) -> Record:
    """Count the wrong pairs of variables that became right, and the right edges that did not stay.

    A pair is wrong where a graph links it otherwise than the true one, in a way that the rows can
    tell.
    """
    if given is None:
        return {}
    before, after = wrong_pairs(problem, given), wrong_pairs(problem, found)
    right = {frozenset(edge) for edge in edges_of(problem.graph)} - before
    return {
        "wrong pairs": len(before),
        "put right": len(before - after),
        "right": len(right),
        "harmed": len(right & after),
        "invented": len(after - before - right),
    }


def deficit(problem: Problem, model: Any, found: Parents) -> float:
    """By how many nats the true graph scores above the answer, both fitted in full."""
    network = model.fitted_.network
    place = [problem.network.names.index(name) for name in network.names]

    def there(graph: Parents) -> Parents:
        return graph_of([place.index(p) for p in graph[i]] for i in place)

    codes = encode(problem.rows, network).codes
    rows = collapse(codes, network.cardinalities)
    families = TableFamilies(network, rows)
    fitter = GraphFitter(families, Constraints.none(network.n_changes))
    climber = GraphClimber(
        fitter, EdgeConstraints.none(network.n_variables), lambda stage, done, total: None
    )
    targets, weights = problem.mixture.to_codes(network)
    climber.keep(fitter.between(there(problem.graph), targets.astype(np.int16), weights))
    own, own_weights = model.mixture_.to_codes(network)
    climber.keep(fitter.between(there(found), own.astype(np.int16), own_weights))
    true, answer = (climber.in_full(there(graph)) for graph in (problem.graph, found))
    return true.score - answer.score


def report_repaired(kind: str, records: Sequence[Record]) -> str:
    parts = [
        f"start {kind}: exact {share(each(records, 'exact'))}",
        f"same interventional class {share(each(records, 'class'))}",
        f"shd {mean(records, 'shd'):.2f}",
        f"recall {mean(records, 'recall'):.3f} (true graph {mean(records, 'true recall'):.3f})",
        f"precision {mean(records, 'precision'):.3f} ({mean(records, 'true precision'):.3f})",
        f"tv {mean(records, 'tv'):.3f} ({mean(records, 'true tv'):.3f})",
    ]
    if "deficit" in records[0]:
        failed = [float(x > FAILED) for x in each(records, "deficit")]
        parts.append(f"search failed {share(failed)}")
    if "put right" in records[0]:
        right, wrong = total(records, "put right"), total(records, "wrong pairs")
        harmed, all_right = total(records, "harmed"), total(records, "right")
        parts.append(f"put right {right}/{wrong} = {right / max(wrong, 1):.3f}")
        parts.append(f"harmed {harmed}/{all_right} = {harmed / max(all_right, 1):.4f}")
        parts.append(f"invented {total(records, 'invented')}")
    parts.append(seconds_of(records))
    bad = [r for r in records if not r["class"]]
    if bad:
        listed = (f"{r['seed']} (shd {r['shd']:.0f}{_nats(r)})" for r in bad)
        parts.append(f"wrong class: seeds {', '.join(listed)}")
    return " | ".join(parts)


def _nats(record: Record) -> str:
    return f", {record['deficit']:+.1f} nats" if "deficit" in record else ""


# fixed


def checked(setting: Setting, seed: int) -> list[Record]:
    """Check graphs that have to stay: wrong ones, and the right one."""
    problem = setting.draw(seed)
    out = []
    for start in setting.starts:
        given = start_of(problem, start, setting.n_wrong(problem), seed)
        model, seconds = timed(problem, given, "fixed")
        helps = [is_right(problem, model, one) for one in model.fitted_.graph.asked]
        record = {"kind": start, "seed": seed, "seconds": seconds, "asked": float(bool(helps))}
        record["objected"] = float(objects_to_the_graph(model.fitted_))
        record["named"] = float(any(helps))
        record["first named"] = float(bool(helps) and helps[0])
        out.append(record | scores_of_targets(problem, model))
    return out


def is_right(problem: Problem, model: Any, edit: AskedEdit) -> bool:
    """Whether an edit leads to what the true graph says of the two variables."""
    place, own = problem.network.names.index, model.fitted_.network.names
    edge = place(own[edit.parent]), place(own[edit.child])
    true = edges_of(problem.graph)
    if edit.kind == "remove":
        return edge not in true and edge[::-1] not in true
    return (edge if edit.kind == "add" else edge[::-1]) in true


def report_checked(kind: str, records: Sequence[Record]) -> str:
    parts = [f"given {kind}: asked {share(each(records, 'asked'))}"]
    parts.append(f"objected {share(each(records, 'objected'))}")
    if kind != "true":
        parts.append(f"a right edit named {share(each(records, 'named'))}")
        parts.append(f"named first {share(each(records, 'first named'))}")
    parts.append(f"recall {mean(records, 'recall'):.3f} precision {mean(records, 'precision'):.3f}")
    parts.append(seconds_of(records))
    is_good = kind == "true"
    bad = [str(r["seed"]) for r in records if bool(r["objected"]) == is_good]
    if bad:
        parts.append(f"{'objected' if is_good else 'silent'}: seeds {', '.join(bad)}")
    return " | ".join(parts)


# coverage


def covered(setting: Setting, seed: int) -> list[Record]:
    """Look at intervals and probabilities of a fit, beside those of the fit with the true graph."""
    problem = setting.draw(seed)
    out = []
    for start in setting.starts:
        given = start_of(problem, start, setting.n_wrong(problem), seed)
        edges = "fixed" if start == "true" else "repair"
        model, seconds = timed(problem, given, edges)
        record = {"kind": start, "seed": seed, "seconds": seconds}
        record |= scores_of_graph(problem, problem.graph_of(model.network_))
        out.append(record | scores_of_targets(problem, model) | intervals(problem, model))
    return out


def intervals(problem: Problem, model: Any) -> Record:
    """Which intervals hold the truth, and how probable components and candidates are said to be."""
    network, posterior = model.network_, model.posterior_
    targets, weights = problem.mixture.to_codes(network)
    truth = {tuple(t): float(w) for t, w in zip(targets.tolist(), weights, strict=True)}
    found = model.mixture_.to_codes(network)[0]
    every = np.concatenate([found, posterior.undecided])
    summary = posterior.of_weights.weights()
    hits = []
    for k, target in enumerate(map(tuple, found.tolist())):
        if target in truth:
            hits.append(bool(summary.low[k] <= truth[target] <= summary.high[k]))
    members, totals = [], []
    for i, size in enumerate(network.cardinalities.tolist()):
        for a in range(size):
            sum_of = float(weights[targets[:, i] == a].sum())
            if sum_of > 0:
                members.append(every[:, i] == a)
                totals.append(sum_of)
    sums = posterior.of_weights.sums(np.array(members))
    probability = 1.0 - np.asarray(posterior.of_weights.absent)
    return {
        "intervals": hits,
        "totals": ((sums.low <= totals) & (totals <= sums.high)).tolist(),
        "probabilities": probability.tolist(),
        "true": [tuple(t) in truth for t in every.tolist()],
        "components": len(found),
    }


def report_covered(kind: str, records: Sequence[Record]) -> str:
    probability, true = pooled(records, "probabilities"), pooled(records, "true")
    inside = [t for r in records for t in r["true"][: r["components"]]]
    sure = [t for p, t in zip(probability, true, strict=True) if p >= SURE]
    parts = [
        f"graph {kind}: exact {share(each(records, 'exact'))}",
        f"recall {mean(records, 'recall'):.3f} precision {mean(records, 'precision'):.3f}",
        f"intervals of weights {share(pooled(records, 'intervals'))}",
        f"totals {share(pooled(records, 'totals'))}",
        f"components true {share(inside)}",
        f"at least {SURE} probable, true {share(sure)}",
        f"probabilities {calibration(probability, true)}",
        seconds_of(records),
    ]
    return " | ".join(parts)


def calibration(probability: Sequence[float], true: Sequence[bool]) -> str:
    """In bins: how many, their mean probability, and the share that is true."""
    p, t = np.array(probability), np.array(true)
    parts = []
    for low, high in BINS:
        at = (p >= low) & (p < high)
        if at.any():
            parts.append(
                f"[{low}, {min(high, 1):g}) {at.sum()}: {p[at].mean():.2f} / {t[at].mean():.2f}"
            )
    return "; ".join(parts)


# few


def with_few_rows(setting: Setting, seed: int) -> list[Record]:
    """Repair with few rows, beside the given graph as it is."""
    problem = setting.draw(seed)
    out = []
    for start in setting.starts:
        given = start_of(problem, start, setting.n_wrong(problem), seed)
        model, seconds = timed(problem, given, "repair")
        record = {"kind": start, "seed": seed, "seconds": seconds}
        record |= scores_of_graph(problem, problem.graph_of(model.network_))
        record |= scores_of_targets(problem, model)
        if given is not None:
            kept = scores_of_targets(problem, fitted(problem, given, "fixed"))
            record |= prefixed("given", kept)
        edges = set(problem.network.edges)
        lines = [row for row in model.graph_.rows(named=True) if row["status"] != "removed"]
        record["open"] = sum(row["status"] == "open" for row in lines)
        record["probabilities"] = [row["probability"] for row in lines]
        record["true"] = [(row["parent"], row["child"]) in edges for row in lines]
        out.append(record)
    return out


def report_few(kind: str, records: Sequence[Record]) -> str:
    parts = [f"start {kind}: exact {share(each(records, 'exact'))}"]
    parts.append(f"shd {mean(records, 'shd'):.2f}")
    for name in ("recall", "precision", "tv"):
        given = f"given {name}"
        text = f"{name} {mean(records, name):.3f}"
        if given in records[0]:
            difference = np.array(each(records, name)) - np.array(each(records, given))
            error = difference.std(ddof=1) / np.sqrt(len(records)) if len(records) > 1 else np.nan
            text += f" (given graph {mean(records, given):.3f}; "
            text += f"{difference.mean():+.3f} +- {error:.3f})"
        parts.append(text)
    probability, true = pooled(records, "probabilities"), pooled(records, "true")
    parts.append(f"edges {calibration(probability, true)}")
    parts.append(f"open {total(records, 'open')} of {len(true)}")
    parts.append(seconds_of(records))
    return " | ".join(parts)


# compare


def compared(setting: Setting, seed: int) -> list[Record]:
    """Learn the graph by each tool, then find the targets with that graph fixed."""
    from graph_tools import TOOLS, is_here

    problem = setting.draw(seed)
    out = []
    for name in setting.starts:
        tool = TOOLS[name]
        if not is_here(tool):
            continue
        begin = time.process_time()
        graph, model = tool.learn(problem, seed)
        seconds = time.process_time() - begin
        record = {"kind": name, "seed": seed, "seconds": seconds}
        if model is None:
            model = fitted(problem, graph, "fixed")
        out.append(record | scores_of_graph(problem, graph) | scores_of_targets(problem, model))
    return out


def report_compared(kind: str, records: Sequence[Record]) -> str:
    return " | ".join(
        [
            f"{kind}: exact {share(each(records, 'exact'))}",
            f"same interventional class {share(each(records, 'class'))}",
            f"shd {mean(records, 'shd'):.2f}",
            f"of the essential graph {mean(records, 'essential shd'):.2f}",
            f"recall {mean(records, 'recall'):.3f} precision {mean(records, 'precision'):.3f}",
            f"tv {mean(records, 'tv'):.3f}",
            seconds_of(records),
        ]
    )


# All of them.


def each(records: Sequence[Record], name: str) -> list[float]:
    return [float(record[name]) for record in records]


def mean(records: Sequence[Record], name: str) -> float:
    return float(np.mean(each(records, name)))


def total(records: Sequence[Record], name: str) -> int:
    return int(sum(each(records, name)))


def pooled(records: Sequence[Record], name: str) -> list[Any]:
    return [value for record in records for value in record[name]]


def seconds_of(records: Sequence[Record]) -> str:
    seconds = each(records, "seconds")
    middle, late = np.quantile(seconds, [0.5, 0.9])
    return f"CPU seconds {middle:.1f} (90 % within {late:.1f})"


@dataclass(frozen=True)
class Command:
    """What a subcommand does with a problem, says of a kind, and assumes."""

    measure: Callable[[Setting, int], list[Record]]
    report: Callable[[str, Sequence[Record]], str]
    starts: tuple[str, ...]
    n: int
    rows: int
    wrong: float = 2


COMMANDS = {
    "repair": Command(repaired, report_repaired, STARTS, 6, 5000),
    "fixed": Command(checked, report_checked, ("true", "reversed", "dropped", "mixed"), 6, 5000),
    "coverage": Command(covered, report_covered, ("none", "true"), 6, 2000),
    "few": Command(with_few_rows, report_few, ("true", "mixed", "none"), 6, 500, 1),
    "compare": Command(compared, report_compared, (), 6, 5000),
    "published": Command(repaired, report_repaired, ("mixed",), 0, 10_000, 3),
}


def measured(task: tuple[Setting, int]) -> list[Record]:
    setting, seed = task
    with threadpool_limits(1):
        return COMMANDS[setting.command].measure(setting, seed)


def run(
    setting: Setting,
    seeds: Sequence[int],
    processes: int = 1,
    after: Callable[[list[Record]], None] = lambda records: None,
) -> dict[str, list[Record]]:
    """Measure every problem; the records by kind. What comes of each is told as it comes."""
    tasks = [(setting, seed) for seed in seeds]
    kinds: dict[str, list[Record]] = {}
    with ExitStack() as stack:
        found = map(measured, tasks)
        if processes > 1:
            found = stack.enter_context(ProcessPoolExecutor(processes)).map(measured, tasks)
        for records in found:
            after(records)
            for record in records:
                kinds.setdefault(record["kind"], []).append(record)
    return kinds


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=(command.measure.__doc__ or "").split("\n")[0])
        if name == "published":
            one.add_argument("--networks", default="sachs,alarm", help="names, with commas")
        else:
            one.add_argument("--n", type=int, default=command.n, help="variables")
        one.add_argument("--rows", type=int, default=command.rows, help="of either kind")
        one.add_argument("--problems", type=int, default=10)
        one.add_argument("--first-seed", type=int, default=0)
        one.add_argument("--starts", default=",".join(command.starts), help="with commas")
        one.add_argument("--wrong", type=float, default=command.wrong, help="wrong edges, or share")
        one.add_argument("--processes", type=int, default=1)
        one.add_argument("--save", type=Path, help="append records to a file of JSON lines")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    starts = tuple(filter(None, options.starts.split(",")))
    if options.command == "compare" and not starts:
        from graph_tools import TOOLS, is_here

        starts = tuple(TOOLS)
        missing = [name for name in starts if not is_here(TOOLS[name])]
        if missing:
            print(f"left out, because they are not installed: {', '.join(missing)}")
    networks = options.networks.split(",") if options.command == "published" else [None]
    seeds = range(options.first_seed, options.first_seed + options.problems)
    for network in networks:
        n = options.n if network is None else named_network(network).n_variables
        setting = Setting(options.command, n, options.rows, starts, options.wrong, network)

        def save(records: list[Record], setting: Setting = setting) -> None:
            if options.save:
                with options.save.open("a") as file:
                    file.writelines(json.dumps(asdict(setting) | r) + "\n" for r in records)

        for kind, records in run(setting, seeds, options.processes, save).items():
            line = COMMANDS[options.command].report(kind, records)
            print(f"{network or f'n={n}'} rows={options.rows:,} {line}", flush=True)


if __name__ == "__main__":
    main()
