"""Mixed problems, telemetry, and the light tunnel, for ``continuous.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from continuous_problems import (
    Floats,
    Ints,
    Line,
    Measure,
    Part,
    Problem,
    assembled,
    distinct_sets,
    random_graph,
    weights_of,
)

N_STATES = 3


@dataclass(frozen=True)
class States:
    """States of a discrete variable: logits by the states of discrete parents, lines in others.

    ``logits[c]`` are those of configuration c of the discrete parents; ``slopes`` has one row for
    each continuous parent, which is divided by its deviation in control rows.
    """

    discrete: tuple[int, ...]
    continuous: tuple[int, ...]
    logits: Floats
    slopes: Floats
    centre: Floats
    scale: Floats

    def log_probabilities(self, values: Floats) -> Floats:
        logits = self.logits[configuration(values, self.discrete)]
        at = (values[:, list(self.continuous)] - self.centre) / self.scale
        logits = logits + at @ self.slopes
        return logits - np.logaddexp.reduce(logits, axis=1)[:, None]

    def draw(self, values: Floats, rng: np.random.Generator) -> Floats:
        cumulative = np.exp(self.log_probabilities(values)).cumsum(axis=1)
        below = cumulative[:, :-1] < rng.random(len(values))[:, None]
        return below.sum(axis=1).astype(float)

    def log_density(self, values: Floats, own: Floats) -> Floats:
        rows = np.arange(len(values))
        return self.log_probabilities(values)[rows, own.astype(np.int64)]


@dataclass(frozen=True)
class Chosen:
    """A line of its own for each configuration of the discrete parents."""

    discrete: tuple[int, ...]
    continuous: tuple[int, ...]
    intercepts: Floats
    slopes: Floats
    sds: Floats

    def draw(self, values: Floats, rng: np.random.Generator) -> Floats:
        mean, sd = self._moments(values)
        return mean + sd * rng.standard_normal(len(values))

    def log_density(self, values: Floats, own: Floats) -> Floats:
        mean, sd = self._moments(values)
        return -0.5 * ((own - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)

    def _moments(self, values: Floats) -> tuple[Floats, Floats]:
        code = configuration(values, self.discrete)
        line = np.einsum("ij,ij->i", values[:, list(self.continuous)], self.slopes[code])
        return self.intercepts[code] + line, self.sds[code]


@dataclass(frozen=True)
class Fixed:
    """One state: do(variable = state)."""

    state: int

    def draw(self, values: Floats, rng: np.random.Generator) -> Floats:
        return np.full(len(values), float(self.state))

    def log_density(self, values: Floats, own: Floats) -> Floats:
        return np.where(own == self.state, 0.0, -np.inf)


def configuration(values: Floats, discrete: Sequence[int]) -> Ints:
    """Number the configuration of discrete parents, the last one fastest."""
    code = np.zeros(len(values), dtype=np.int64)
    for i in discrete:
        code = code * N_STATES + values[:, i].astype(np.int64)
    return code


def texts(values: Floats) -> pl.Series:
    """States as they are measured."""
    return pl.Series([f"s{int(v)}" for v in values], dtype=pl.String)


def mixed(seed: int, kinds: str = "mixed", n: int = 10, n_rows: int = 5000) -> Problem:
    """Draw a problem with discrete and continuous variables; ``kinds`` may ask for one of them.

    Three states, whose last is never set; logits of deviation 1.2 and slopes of either sign
    between .5 and 1.5 for each deviation of a continuous parent. A continuous variable has a line
    of its own for each configuration of its discrete parents. Interventions set a state, or a
    continuous variable 1.5 to 3 deviations away, give or take .3.
    """
    rng = np.random.default_rng([22, n, seed])
    parents = random_graph(n, n, rng)
    half = rng.permutation(np.arange(n) < n // 2)
    is_discrete = {"mixed": half, "discrete": np.ones(n, bool), "continuous": np.zeros(n, bool)}
    discrete = is_discrete[kinds]
    order = _order(parents)
    values = np.zeros((20_000, n))
    parts: list[Part] = [Line(0.0, 1.0)] * n
    for i in order:
        given = tuple(p for p in parents[i] if discrete[p])
        lines = tuple(p for p in parents[i] if not discrete[p])
        make = _states if discrete[i] else _chosen
        parts[i] = make(given, lines, values, rng)
        values[:, i] = parts[i].draw(values, rng)
    sets = distinct_sets(n, 6, rng)
    changed: list[dict[int, Part]] = [{}]
    for one in sets:
        changed.append({i: _set(bool(discrete[i]), values[:, i], rng) for i in one})
    weights = weights_of(len(sets), rng)
    component = rng.choice(len(weights), n_rows, p=weights)
    measures: dict[int, Measure] = {i: texts for i in range(n) if discrete[i]}
    names = [f"{'d' if discrete[i] else 'x'}{i}" for i in range(n)]
    return assembled(
        names, parents, parts, changed, weights, order, n_rows, component, rng, measures
    )


def _set(discrete: bool, control: Floats, rng: np.random.Generator) -> Part:
    if discrete:
        return Fixed(int(rng.integers(N_STATES - 1)))
    away = rng.uniform(1.5, 3.0) * rng.choice([-1, 1])
    return Line(float(control.mean() + away * control.std()), float(0.3 * control.std()))


def _signed(shape: tuple[int, ...], least: float, most: float, rng: np.random.Generator) -> Floats:
    return rng.uniform(least, most, shape) * rng.choice([-1, 1], shape)


def _states(
    given: tuple[int, ...], lines: tuple[int, ...], values: Floats, rng: np.random.Generator
) -> States:
    columns = values[:, list(lines)]
    return States(
        given,
        lines,
        rng.normal(0, 1.2, (N_STATES ** len(given), N_STATES)),
        _signed((len(lines), N_STATES), 0.5, 1.5, rng),
        columns.mean(axis=0),
        columns.std(axis=0),
    )


def _chosen(
    given: tuple[int, ...], lines: tuple[int, ...], values: Floats, rng: np.random.Generator
) -> Chosen:
    n_lines = N_STATES ** len(given)
    return Chosen(
        given,
        lines,
        rng.normal(0, 1.0, n_lines),
        _signed((n_lines, len(lines)), 0.5, 1.1, rng),
        rng.uniform(0.7, 1.3, n_lines),
    )


def _order(parents: Sequence[Sequence[int]]) -> tuple[int, ...]:
    from dosift.model.mechanism import topological_order

    return topological_order(parents)


def telemetry(seed: int, n_rows: int = 5000) -> Problem:
    """Draw latencies, error rates and traffic of 15 to 20 services, and 3 to 6 hidden faults.

    Traffic of one or two entrances is log-normal. Each service is called by one or two others or
    an entrance; the logarithm of its latency is linear in those of the services it calls and of
    the traffic, and the logit of its error rate (every third has one) linear in the logarithm of
    its latency. A fault sets or multiplies a latency (1.7 to 6 times its median, give or take 5
    to 25 %) or an error rate (to .05 to .5, or its odds by 4 to 20), of one or two services.
    """
    rng = np.random.default_rng([23, seed])
    n_services, n_entrances = int(rng.integers(15, 21)), int(rng.integers(1, 3))
    names: list[str] = [f"traffic_{k}" for k in range(n_entrances)]
    parts: list[Part] = [
        Line(float(rng.uniform(4, 7)), float(rng.uniform(0.2, 0.5))) for _ in names
    ]
    parents: list[list[int]] = [[] for _ in names]
    latencies: list[int] = []
    for k in range(n_services):
        calls = rng.choice(latencies, min(len(latencies), int(rng.integers(0, 3))), replace=False)
        row = sorted([*map(int, calls), int(rng.integers(n_entrances))])
        slopes = [float(rng.uniform(0.2, 0.6)) for _ in row]
        latencies.append(len(names))
        names.append(f"latency_{k}")
        parts.append(
            Line(float(rng.uniform(0, 2)), float(rng.uniform(0.1, 0.4)), tuple(row), tuple(slopes))
        )
        parents.append(row)
        if k % 3 == 2:
            slope = float(rng.uniform(0.3, 1.0))
            typical = _median(parts, parents, len(names) - 1)
            rate = float(rng.uniform(-6, -3.5))
            sd = float(rng.uniform(0.2, 0.5))
            parts.append(Line(rate - slope * typical, sd, (latencies[-1],), (slope,)))
            parents.append([latencies[-1]])
            names.append(f"errors_{k}")
    faulty = [i for i, name in enumerate(names) if not name.startswith("traffic")]
    n_faults = int(rng.integers(3, 7))
    changed: list[dict[int, Part]] = [{}]
    for one in distinct_sets(len(faulty), n_faults, rng):
        changed.append({faulty[i]: _fault(faulty[i], names, parts, parents, rng) for i in one})
    weights = weights_of(n_faults, rng)
    component = rng.choice(len(weights), n_rows, p=weights)
    measures: dict[int, Measure] = {
        i: _share if name.startswith("errors") else _exponential for i, name in enumerate(names)
    }
    order = range(len(names))
    shares = [i for i, name in enumerate(names) if name.startswith("errors")]

    def log_jacobian(values: Floats) -> float:
        # d log x = dx / x, and d logit x = dx / (x (1 - x)).
        odds = values[:, shares]
        return float(-values.sum() + (odds + 2 * np.logaddexp(0, -odds) + odds).sum())

    return assembled(
        names,
        parents,
        parts,
        changed,
        weights,
        order,
        n_rows,
        component,
        rng,
        measures,
        log_jacobian,
    )


def _exponential(values: Floats) -> pl.Series:
    return pl.Series(np.exp(values))


def _share(values: Floats) -> pl.Series:
    return pl.Series(1 / (1 + np.exp(-values)))


def _median(parts: Sequence[Part], parents: Sequence[Sequence[int]], i: int) -> float:
    """Mean of a variable on the problem's scale: parts in topological order are lines."""
    means: list[float] = []
    for part, row in zip(parts[: i + 1], parents, strict=False):
        assert isinstance(part, Line)
        means.append(
            part.intercept + sum(b * means[p] for p, b in zip(row, part.coefficients, strict=True))
        )
    return means[i]


def _fault(
    i: int,
    names: Sequence[str],
    parts: Sequence[Part],
    parents: Sequence[Sequence[int]],
    rng: np.random.Generator,
) -> Part:
    part = parts[i]
    assert isinstance(part, Line)
    errors = names[i].startswith("errors")
    by = np.log(rng.uniform(4, 20) if errors else rng.uniform(1.7, 6))
    if rng.random() < 0.5:
        return Line(part.intercept + float(by), part.sd, part.parents, part.coefficients)
    if errors:
        rate = rng.uniform(0.05, 0.5)
        return Line(float(np.log(rate / (1 - rate))), float(rng.uniform(0.1, 0.4)))
    return Line(_median(parts, parents, i) + float(by), float(rng.uniform(0.05, 0.25)))


ACTUATORS = [
    *("red", "green", "blue", "pol_1", "pol_2"),
    *(f"l_{k}{j}" for k in (1, 2, 3) for j in (1, 2)),
]
#: Sensors of the light tunnel, and the knob that hides behind each.
KNOBS = {
    **{f"ir_{k}": f"t_ir_{k}" for k in (1, 2, 3)},
    **{f"vis_{k}": f"t_vis_{k}" for k in (1, 2, 3)},
    **{f"angle_{k}": f"v_angle_{k}" for k in (1, 2)},
    "current": "v_c",
}
SENSORS = {
    "ir": ["ir_1", "ir_2", "ir_3", "current"],
    "vis": ["ir_1", "ir_2", "ir_3", "current", "vis_1", "vis_2", "vis_3"],
    "angle": ["ir_1", "ir_2", "ir_3", "current", "angle_1", "angle_2"],
}
#: Malus' law: the light behind both polarisers, whose angles are in degrees. Each colour is dimmed
#: on its own.
_DIMMED = [f"{colour} * cos((pol_1 - pol_2) / 57.29578)**2" for colour in ("red", "green", "blue")]
FEATURES = {"ir_3": _DIMMED, "vis_3": _DIMMED}


def chamber(
    folder: Path, sensors: str = "ir", seed: int = 0, n_control: int = 5000, n_others: int = 1500
) -> Problem:
    """Pool reference rows and 250 of each experiment of the light tunnel; labels are hidden.

    There is no oracle here: ``parts`` and ``changed`` are empty but for the sets.
    """
    rng = np.random.default_rng([24, seed])
    names = [*ACTUATORS, *SENSORS[sensors]]
    behind = {KNOBS[name]: name for name in SENSORS[sensors]}
    reference = pl.read_csv(folder / "reference.csv.gz", infer_schema_length=None)
    hit = pl.read_csv(folder / "interventions.csv.gz", infer_schema_length=None)
    others = reference[n_control : n_control + n_others]
    pooled, sets, sizes = [others.select(names)], [frozenset[str]()], [len(others)]
    for experiment in hit["experiment"].unique(maintain_order=True).to_list():
        variable = experiment.rsplit("_", 1)[0]
        variable = behind.get(variable, variable)
        if variable in names:
            rows = hit.filter(pl.col("experiment") == experiment).select(names)
            pooled.append(rows[rng.choice(len(rows), 250, replace=False).tolist()])
            sets.append(frozenset([variable]))
            sizes.append(250)
    place = rng.permutation(sum(sizes))
    pool = pl.concat([one.cast(pl.Float64) for one in pooled])[place.tolist()]
    component = np.repeat(np.arange(len(sets)), sizes)[place]
    control = reference[:n_control].select(names).cast(pl.Float64)
    at = {name: i for i, name in enumerate(names)}
    parents: list[list[int]] = [[] for _ in names]
    for parent, child in pl.read_csv(folder / "graph.csv").rows():
        if parent in at and child in at:
            parents[at[child]].append(at[parent])
    return Problem(
        tuple(names),
        tuple(map(tuple, parents)),
        (),
        tuple({at[name]: Line(0.0, 1.0) for name in one} for one in sets),
        np.array(sizes) / sum(sizes),
        control,
        pool,
        control.to_numpy(),
        pool.to_numpy(),
        component,
    )
