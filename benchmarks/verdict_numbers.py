"""Problems of measurements and of counts by which a verdict is judged, as verdict_problems.py has
those of states: clean ones, and each way in which a model can be off.

A *family* says how rows come about: lines with normal noise, or negative binomial counts; what is
done to them, and what can be wrong with them, is the same for both. Everything follows from a kind,
the numbers of variables and rows, and a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from continuous_problems import LINES, distinct_sets, random_graph, random_network
from graph_problems import wrong_graph
from numpy.typing import NDArray

from dosift.graphs.dag import edges_of, graph_of
from dosift.io.graph import Graph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_TARGETS, UNTOUCHED = 4, 0.4
FOREIGN, CONTAMINATED, WRONG_EDGES = 0.1, 0.05, 2
#: Least weight of an intervention.
LEAST_WEIGHT = 0.05


class System(Protocol):
    """How rows of a family come about."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Parents of each."""

    def draw(
        self, n_rows: int, changes: Sequence[Mapping[int, Any]], which: Ints, rng: Any
    ) -> Floats:
        """Draw rows, each under one of some changes."""

    def moved(self, i: int, rng: np.random.Generator) -> System:
        """Return another, in which one mechanism is not what it was."""

    def foreign(self, pool: Floats, n_rows: int, rng: np.random.Generator) -> Floats:
        """Draw rows that come from elsewhere."""

    def change(self, i: int, rng: np.random.Generator) -> Any:
        """Draw what an intervention does to a variable."""


@dataclass(frozen=True)
class Lines:
    """Normal noise around lines; hard interventions 1.5 to 3 deviations away, or shifts."""

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    slopes: tuple[Floats, ...]
    intercepts: Floats
    sds: Floats
    order: tuple[int, ...]
    mean: Floats
    deviation: Floats

    @classmethod
    def random(cls, n: int, rng: np.random.Generator) -> Lines:
        made = random_network(n, rng, 1.2)
        return cls(
            made.names,
            made.parents,
            tuple(np.array(line) for line in made.coefficients),
            np.array(made.intercepts),
            np.array(made.sds),
            tuple(made.order),
            np.array(made.mean),
            np.sqrt(np.diag(made.covariance)),
        )

    def draw(
        self, n_rows: int, changes: Sequence[Mapping[int, Any]], which: Ints, rng: Any
    ) -> Floats:
        out = np.zeros((n_rows, len(self.names)))
        for i in self.order:
            noise = self.sds[i] * rng.standard_normal(n_rows)
            line = self.intercepts[i] + out[:, list(self.parents[i])] @ self.slopes[i]
            for k, change in enumerate(changes):
                if i in change:
                    kind, by, sd = change[i]
                    rows = which == k
                    if kind == "shift":
                        line[rows] += by
                    else:
                        line[rows], noise[rows] = by, noise[rows] * sd / self.sds[i]
            out[:, i] = line + noise
        return out

    def moved(self, i: int, rng: np.random.Generator) -> Lines:
        slopes, sds, intercepts = list(self.slopes), self.sds.copy(), self.intercepts.copy()
        slopes[i] = slopes[i] * rng.uniform(0.3, 0.7, len(slopes[i]))
        sds[i] *= rng.uniform(1.1, 1.4)
        intercepts[i] += rng.uniform(-0.5, 0.5)
        return replace(self, slopes=tuple(slopes), sds=sds, intercepts=intercepts)

    def foreign(self, pool: Floats, n_rows: int, rng: np.random.Generator) -> Floats:
        low, high = np.quantile(pool, [0.002, 0.998], axis=0)
        return np.asarray(rng.uniform(low, high, (n_rows, pool.shape[1])))

    def change(self, i: int, rng: np.random.Generator) -> Any:
        line = LINES["shift-far" if rng.random() < 0.5 else "hard-far"]
        away = rng.uniform(line.least, line.most) * rng.choice([-1, 1]) * self.deviation[i]
        if line.kind == "shift":
            return "shift", away, None
        return "hard", self.mean[i] + away, line.sd * self.deviation[i]


@dataclass(frozen=True)
class Cells:
    """Negative binomial counts of cells of some depth; knock-downs to .05 to .4 of the mean."""

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    slopes: tuple[Floats, ...]
    means: Floats
    dispersions: Floats
    order: tuple[int, ...]

    @classmethod
    def random(cls, n: int, rng: np.random.Generator) -> Cells:
        parents = random_graph(n, round(0.8 * n), rng)
        slopes = [
            rng.uniform(0.2, 0.6, len(own)) * rng.choice([-1, 1], len(own)) for own in parents
        ]
        order = _order(parents)
        return cls(
            tuple(f"g{k:02d}" for k in range(n)),
            tuple(map(tuple, parents)),
            tuple(slopes),
            np.clip(np.exp(rng.normal(np.log(15.0), 0.6, n)), 4.0, 150.0),
            np.exp(rng.normal(np.log(0.25), 0.35, n)),
            order,
        )

    def draw(
        self, n_rows: int, changes: Sequence[Mapping[int, Any]], which: Ints, rng: Any
    ) -> Floats:
        """Counts, and as the last column the depth."""
        n = len(self.names)
        out = np.zeros((n_rows, n + 1))
        depth = np.exp(rng.uniform(-0.5, 0.5, n_rows) * np.log(3.0))
        for i in self.order:
            log_mean = np.log(self.means[i] * depth)
            for p, slope in zip(self.parents[i], self.slopes[i], strict=True):
                log_mean += slope * (np.log1p(out[:, p]) - np.log1p(self.means[p]))
            for k, change in enumerate(changes):
                if i in change:
                    log_mean[which == k] += np.log(change[i])
            a = self.dispersions[i]
            out[:, i] = rng.poisson(rng.gamma(1.0 / a, a * np.exp(np.minimum(log_mean, 12.0))))
        out[:, n] = np.round(3000.0 * depth)
        return out

    def moved(self, i: int, rng: np.random.Generator) -> Cells:
        slopes, means = list(self.slopes), self.means.copy()
        slopes[i] = slopes[i] * rng.uniform(-0.5, 0.3, len(slopes[i]))
        means[i] *= np.exp(rng.choice([-1, 1]) * rng.uniform(0.2, 0.5))
        return replace(self, slopes=tuple(slopes), means=means)

    def foreign(self, pool: Floats, n_rows: int, rng: np.random.Generator) -> Floats:
        low, high = np.quantile(np.log1p(pool[:, :-1]), [0.002, 0.998], axis=0)
        counts = np.round(np.expm1(rng.uniform(low, high, (n_rows, len(low)))))
        return np.column_stack([counts, rng.choice(pool[:, -1], n_rows)])

    def change(self, i: int, rng: np.random.Generator) -> Any:
        return float(np.exp(rng.uniform(np.log(0.05), np.log(0.4))))


def _order(parents: Sequence[Sequence[int]]) -> tuple[int, ...]:
    order: list[int] = []
    while len(order) < len(parents):
        order += [
            i for i in range(len(parents)) if i not in order and set(parents[i]) <= set(order)
        ]
    return tuple(order)


@dataclass(frozen=True)
class Drawn:
    """A problem before anything is wrong with it."""

    system: Any
    changes: list[dict[int, Any]]
    weights: Floats
    control: Floats
    pool: Floats
    which: Ints
    n_rows: int

    def text(self, k: int) -> str:
        """Write a component as the set of variables that it touches."""
        return "+".join(sorted(self.system.names[i] for i in self.changes[k]))


def drawn(family: Any, n: int, rows: int, rng: np.random.Generator, keep: Sequence[int]) -> Drawn:
    """Draw a system and interventions on some of its variables."""
    system = family.random(n, rng)
    allowed = np.setdiff1d(np.arange(n), keep)
    sets = [tuple(int(allowed[i]) for i in one) for one in _sets(len(allowed), rng)]
    changed = {i: system.change(i, rng) for one in sets for i in one}
    changes = [{}, *({i: changed[i] for i in one} for one in sets)]
    rest = 1.0 - UNTOUCHED - LEAST_WEIGHT * len(sets)
    share = LEAST_WEIGHT + rest * rng.dirichlet(np.full(len(sets), 3.0))
    weights = np.r_[UNTOUCHED, share]
    nothing = np.zeros(rows, dtype=np.int64)
    which = rng.choice(len(weights), rows, p=weights)
    control = system.draw(rows, changes[:1], nothing, rng)
    return Drawn(
        system, changes, weights, control, system.draw(rows, changes, which, rng), which, rows
    )


def _sets(n: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    return distinct_sets(n, N_TARGETS, rng, 2)


def trial(
    problem: Drawn,
    cause: tuple[str, Any],
    graph: Sequence[tuple[int, int]] | None = None,
    hidden: int | None = None,
    **fit: Any,
) -> dict[str, Any]:
    """Return what a fit is given, and the truth, as verdict_problems.Trial takes it."""
    system, names = problem.system, problem.system.names
    is_of_counts = isinstance(system, Cells)
    columns = [*names, "depth"] if is_of_counts else list(names)
    control, pool = (pd.DataFrame(t, columns=columns) for t in (problem.control, problem.pool))
    edges = sorted(edges_of(graph_of(system.parents)) if graph is None else graph)
    named = [(names[p], names[i]) for p, i in edges if hidden not in (p, i)]
    left = [name for i, name in enumerate(names) if i != hidden]
    if hidden is not None:
        control, pool = control.drop(columns=names[hidden]), pool.drop(columns=names[hidden])
    given: dict[str, Any] = {"graph": Graph(tuple(left), tuple(named)), **fit}
    settings: dict[str, Any] = {}
    if is_of_counts:
        given |= {"size": "depth", "kinds": dict.fromkeys(left, "counts")}
        settings = {"knockouts": True}
    truth = {problem.text(k): float(w) for k, w in enumerate(problem.weights)}
    labels = [problem.text(k) if k >= 0 else "other" for k in problem.which]
    return {
        "rows": pool,
        "control": control,
        "graph": None,
        "truth": truth,
        "labels": labels,
        "cause": cause,
        "fit": given,
        "settings": settings,
        "is_of_counts": True,
    }


def _with_parents(system: Any, rng: np.random.Generator) -> int:
    return int(rng.choice([i for i, own in enumerate(system.parents) if own]))


def clean(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """Nothing is wrong."""
    return trial(drawn(family, n, rows, rng, ()), ("none", None))


def edges(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """Two edges of the graph are wrong."""
    problem = drawn(family, n, rows, rng, ())
    true = graph_of(problem.system.parents)
    given = wrong_graph(true, "mixed", WRONG_EDGES, seed)
    names = problem.system.names
    wrong = {frozenset((names[p], names[i])) for p, i in edges_of(given) ^ edges_of(true)}
    return trial(problem, ("edge", wrong), tuple(edges_of(given)))


def moved(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """A mechanism is another in the pool."""
    problem = drawn(family, n, rows, rng, ())
    i = _with_parents(problem.system, rng)
    pool = problem.system.moved(i, rng).draw(rows, problem.changes, problem.which, rng)
    return trial(replace(problem, pool=pool), ("mechanism", {problem.system.names[i]}))


def drift(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """A mechanism is another in the second of two batches."""
    problem = drawn(family, n, rows, rng, ())
    i, half = _with_parents(problem.system, rng), rows // 2
    there = problem.system.moved(i, rng).draw(rows, problem.changes, problem.which, rng)
    pool = np.concatenate([problem.pool[:half], there[half:]])
    batch = np.array(["first"] * half + ["second"] * (rows - half))
    cause = ("mechanism", {problem.system.names[i]})
    return trial(replace(problem, pool=pool), cause, batch=batch)


def cause(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """A variable that two or more depend on is not measured, and nothing is done to it."""
    while True:
        state = rng.bit_generator.state
        parents = family.random(n + 1, rng).parents
        children = [sum(i in own for own in parents) for i in range(n + 1)]
        if max(children) > 1:
            break
    hidden = int(np.argmax(children))
    rng.bit_generator.state = state
    problem = drawn(family, n + 1, rows, rng, (hidden,))
    names = problem.system.names
    pair = {names[i] for i, own in enumerate(problem.system.parents) if hidden in own}
    return trial(problem, ("cause", pair), hidden=hidden)


def foreign(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """A tenth of the rows comes from elsewhere."""
    problem = drawn(family, n, rows, rng, ())
    other = rng.random(rows) < FOREIGN
    pool = problem.pool.copy()
    pool[other] = problem.system.foreign(problem.pool, int(other.sum()), rng)
    which = np.where(other, -1, problem.which)
    weights = problem.weights * (1.0 - FOREIGN)
    found = trial(replace(problem, pool=pool, which=which, weights=weights), ("foreign", None))
    return {**found, "truth": {**found["truth"], "other": FOREIGN}}


def control(family: Any, n: int, rows: int, rng: np.random.Generator, seed: int) -> dict[str, Any]:
    """Something was done in a twentieth of the control rows."""
    problem = drawn(family, n, rows, rng, ())
    k = round(CONTAMINATED * rows)
    which = rng.choice(len(problem.weights), k, p=problem.weights)
    mixed = problem.system.draw(k, problem.changes, which, rng)
    both = np.concatenate([problem.control[: rows - k], mixed])
    return trial(replace(problem, control=both), ("control", None))


def dispersed(
    family: Any, n: int, rows: int, rng: np.random.Generator, seed: int
) -> dict[str, Any]:
    """A tenth of all counts is three times as large, each by itself."""
    problem = drawn(family, n, rows, rng, ())

    def noisier(table: Floats) -> Floats:
        factor = np.where(rng.random(table.shape) < 0.1, 3.0, 1.0)
        out = rng.poisson(table * factor).astype(np.float64)
        out[:, -1] = table[:, -1]
        return out

    both = noisier(problem.control), noisier(problem.pool)
    return trial(replace(problem, control=both[0], pool=both[1]), ("noise", None))


Draw = Callable[[int, int, int], dict[str, Any]]


def _kind(name: str, number: int, family: Any, make: Any) -> Draw:
    def draw(n: int, rows: int, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng([1900 + number, n, rows, seed])
        found: dict[str, Any] = make(family, n, rows, rng, seed)
        return found

    return draw


_MAKERS = (clean, edges, moved, cause, foreign, drift, control)
#: Problems of measurements and of counts, by name.
NUMBER_KINDS: dict[str, Draw] = {
    f"{prefix}-{make.__name__}": _kind(make.__name__, 20 * f + k, family, make)
    for f, (prefix, family) in enumerate((("lines", Lines), ("counts", Cells)))
    for k, make in enumerate((*_MAKERS, dispersed) if f else _MAKERS)
}
