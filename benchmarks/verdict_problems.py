"""Problems by which a verdict is judged: clean ones, and each way in which a model can be off.

Discrete problems are those of graph_problems.py, counts those of count_problems.py. Everything
follows from a kind, the numbers of variables and rows, and a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from count_problems import count_problem, screen
from graph_problems import Problem, draw, with_rows, wrong_graph
from numpy.typing import NDArray
from trust import moved, with_parents
from verdict_numbers import NUMBER_KINDS

import dosift
from dosift.graphs.dag import Parents, edges_of
from dosift.io.graph import Graph

#: Total variation by which a mechanism moves.
MOVED = 0.2
FOREIGN, CONTAMINATED = 0.1, 0.05
WRONG_EDGES = 2


@dataclass(frozen=True)
class Trial:
    """What a fit is given, and the truth.

    Attributes
    ----------
    truth : dict
        Weight of each true target, by its text, or by the set of genes that it lowers.
    labels : list of str
        The true target of each row; "other" for a row that comes from elsewhere.
    cause : tuple of (str, object)
        What is wrong: its kind, and where.
    """

    rows: Any
    control: Any
    graph: list[tuple[str, str]] | None
    truth: dict[str, float]
    labels: list[str]
    cause: tuple[str, Any]
    fit: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    is_of_counts: bool = False


def _trial(problem: Problem, graph: Parents, cause: tuple[str, Any], **fit: Any) -> Trial:
    named = problem.named(graph)
    pairs = zip(problem.mixture.targets, problem.mixture.weights, strict=True)
    truth = {str(target): float(weight) for target, weight in pairs}
    given = {"graph": named, "states": problem.states, **fit}
    return Trial(problem.rows, problem.control, None, truth, problem.labels, cause, fit=given)


def _clean(n: int, rows: int, seed: int) -> Trial:
    problem = draw(n, rows, seed)
    return _trial(problem, problem.graph, ("none", None))


def _edges(n: int, rows: int, seed: int) -> Trial:
    problem = draw(n, rows, seed)
    given = wrong_graph(problem.graph, "mixed", WRONG_EDGES, seed)
    names = problem.network.names
    wrong = {frozenset((names[p], names[i])) for p, i in edges_of(given) ^ edges_of(problem.graph)}
    return _trial(problem, given, ("edge", wrong))


def _moved_rows(problem: Problem, rng: np.random.Generator, n_rows: int) -> tuple[Any, Any, str]:
    i = with_parents(problem.network, rng)
    other = moved(problem.network, i, MOVED, rng)
    rows, labels = dosift.simulate(other, problem.mixture, n_rows, rng, return_targets=True)
    return rows, labels.to_list(), problem.network.names[i]


def _moved(n: int, rows: int, seed: int) -> Trial:
    problem = draw(n, rows, seed)
    rng = np.random.default_rng([191, seed])
    there, labels, name = _moved_rows(problem, rng, rows)
    problem = replace(problem, rows=there, labels=labels)
    return _trial(problem, problem.graph, ("mechanism", {name}))


def _drift(n: int, rows: int, seed: int) -> Trial:
    problem = draw(n, rows, seed)
    rng = np.random.default_rng([192, seed])
    half = rows // 2
    there, labels, name = _moved_rows(problem, rng, rows - half)
    both = pl.concat([problem.rows.head(half), there])
    problem = replace(problem, rows=both, labels=[*problem.labels[:half], *labels])
    batch = ["first"] * half + ["second"] * (rows - half)
    return _trial(problem, problem.graph, ("mechanism", {name}), batch=np.array(batch))


def _cause(n: int, rows: int, seed: int) -> Trial:
    """Hide a variable with two children or more, which nothing sets."""
    for attempt in range(1000):
        rng = np.random.default_rng([193, n, rows, seed, attempt])
        network = dosift.random_network(
            n + 1,
            n_edges=round(1.3 * (n + 1)),
            max_parents=2,
            concentration=1.0,
            shuffle=True,
            random_state=rng,
        )
        children = [sum(i in own for own in network.parents) for i in range(n + 1)]
        hidden = next((i for i, k in enumerate(children) if k > 1), None)
        if hidden is None:
            continue
        name = network.names[hidden]
        problem = with_rows(network, rows, rng)
        if any(name in target for target in problem.mixture.targets):
            continue
        left = [v for v in network.names if v != name]
        edges = tuple((p, i) for p, i in network.edges if name not in (p, i))
        # Without it, what it depends on also seems to act on its children.
        linked = {i for p, i in network.edges if p == name}
        linked |= {p for p, i in network.edges if i == name}
        trial = _trial(problem, problem.graph, ("cause", linked))
        states = {v: problem.states[v] for v in left}
        given = {**trial.fit, "graph": Graph(tuple(left), edges), "states": states}
        return replace(
            trial, rows=trial.rows.drop(name), control=trial.control.drop(name), fit=given
        )
    raise AssertionError("no network with a hidden cause was drawn")


def _foreign(n: int, rows: int, seed: int) -> Trial:
    """Put rows of uniform states among the others."""
    problem = draw(n, rows, seed)
    rng = np.random.default_rng([194, seed])
    foreign = rng.random(rows) < FOREIGN
    columns = {}
    for name in problem.rows.columns:
        states = np.array(problem.states[name], dtype=object)
        drawn = states[rng.integers(len(states), size=rows)]
        columns[name] = np.where(foreign, drawn, problem.rows[name].to_numpy()).tolist()
    labels = ["other" if f else t for f, t in zip(foreign, problem.labels, strict=True)]
    problem = replace(problem, rows=pl.DataFrame(columns), labels=labels)
    trial = _trial(problem, problem.graph, ("foreign", None))
    truth = {target: weight * (1.0 - FOREIGN) for target, weight in trial.truth.items()}
    return replace(trial, truth={**truth, "other": FOREIGN})


def _contaminated(n: int, rows: int, seed: int) -> Trial:
    """Draw some control rows from the mixture."""
    problem = draw(n, rows, seed)
    rng = np.random.default_rng([195, seed])
    k = round(CONTAMINATED * rows)
    mixed = dosift.simulate(problem.network, problem.mixture, k, rng)
    control = pl.concat([problem.control.head(rows - k), mixed])
    return _trial(replace(problem, control=control), problem.graph, ("control", None))


def _counts(
    n: int, rows: int, seed: int, overdispersed: bool, draw_counts: Any = count_problem
) -> Trial:
    """Draw counts; of overdispersed ones a tenth is three times as large, each by itself."""
    rng = np.random.default_rng([196, n, rows, seed])
    made = draw_counts(rng, n=n, n_control=rows, n_pool=rows, n_targets=4)
    control, pool = made.control, made.pool
    if overdispersed:
        control, pool = (_noisier(table, rng) for table in (control, pool))
    truth: dict[str, float] = {}
    for target, weight in zip(made.targets, made.weights, strict=True):
        key = "+".join(sorted(target))
        truth[key] = truth.get(key, 0.0) + float(weight)
    texts = ["+".join(sorted(target)) for target in made.targets]
    labels = [texts[k] for k in made.component]
    control = control.assign(depth=made.control_total)
    pool = pool.assign(depth=made.pool_total)
    fit = {
        "graph": Graph(tuple(made.pool.columns), tuple(made.edges)),
        "size": "depth",
        "kinds": dict.fromkeys(made.pool.columns, "counts"),
    }
    cause = ("noise", None) if overdispersed else ("none", None)
    return Trial(pool, control, made.edges, truth, labels, cause, fit, {"knockouts": True}, True)


def _noisier(table: Any, rng: np.random.Generator) -> Any:
    """Let a share of the cells have a few times as many of each gene."""
    factor = np.where(rng.random(table.shape) < 0.1, 3.0, 1.0)
    return table.mul(0).add(rng.poisson(table.to_numpy() * factor))


KINDS: dict[str, Callable[[int, int, int], Trial]] = {
    "clean": _clean,
    "edges": _edges,
    "moved": _moved,
    "cause": _cause,
    "foreign": _foreign,
    "drift": _drift,
    "control": _contaminated,
    "counts": lambda n, rows, seed: _counts(n, rows, seed, False),
    "dispersed": lambda n, rows, seed: _counts(n, rows, seed, True),
    "screen": lambda n, rows, seed: _counts(n, rows, seed, False, screen),
}


def _of_numbers(draw: Callable[[int, int, int], dict[str, Any]]) -> Callable[..., Trial]:
    return lambda n, rows, seed: Trial(**draw(n, rows, seed))


#: Those of measurements and counts are left out where nothing is said of kinds.
EVERY = {**KINDS, **{name: _of_numbers(draw) for name, draw in NUMBER_KINDS.items()}}


def text_of(target: NDArray[Any] | Any, is_of_counts: bool) -> str:
    """Write a found target as the truth is written."""
    if target.is_other:
        return str(target)
    return "+".join(sorted(target)) if is_of_counts else str(target)
