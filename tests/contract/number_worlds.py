"""Worlds of numbers, one line each in `FAMILIES`, beside the worlds of states in `worlds.py`.

Four variables, V0 -> V1, both -> V2 -> V3, of whatever kinds a family says; a small simulator of
its own draws control rows and a pool, by a seed. A feature (batches, weights of rows) is one line
of `FEATURES`, and every promise of `test_number_promises.py` is tested in each world.
"""

from __future__ import annotations

import itertools
import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

import dosift
from dosift.data import sample as sampling
from dosift.errors import DosiftWarning

Floats = NDArray[np.float64]
#: What a target does: by variable, what is added to its predictor, or what that is set to.
Deeds = Mapping[str, tuple[str, float]]

N_ROWS, N_CONTROL = 1_200, 3_000
NAMES = ("V0", "V1", "V2", "V3")
#: Of each variable, how the predictor of its value depends on its parents' signals.
SLOPES: Mapping[str, Mapping[str, float]] = {
    "V0": {},
    "V1": {"V0": 0.8},
    "V2": {"V0": -0.5, "V1": 0.7},
    "V3": {"V2": 0.9},
}
EDGES = [(parent, child) for child, row in SLOPES.items() for parent in row]
#: The same in a pool in which the mechanism of V3 is another.
MOVED = {**SLOPES, "V3": {"V2": -0.3}}
STATES = ("low", "mid", "high")
#: Share of rows from elsewhere, where there are some, and what these have for a set of variables.
FOREIGN, ELSEWHERE = 0.1, frozenset({"other"})


@dataclass(frozen=True)
class Kind:
    """How a value is made of its predictor, and what signal its children see.

    `made` takes the predictor, without noise, and a generator; `sd` is that of the noise.
    """

    name: str
    made: Callable[[Floats, np.random.Generator], Any]
    signal: Callable[[Any], Floats]
    sd: float


def _state(predictor: Floats, rng: np.random.Generator) -> Any:
    odds = predictor[:, None] * np.array([-1.0, 0.0, 1.0])
    noisy = odds + rng.gumbel(size=odds.shape)
    return np.array(STATES)[noisy.argmax(axis=1)]


NORMAL = Kind("continuous", lambda x, rng: 20.0 + 3.0 * x, lambda v: (v - 20.0) / 3.0, 0.5)
LOGNORMAL = Kind("continuous", lambda x, rng: np.exp(0.5 * x), lambda v: 2.0 * np.log(v), 0.5)
SHARE = Kind(
    "continuous", lambda x, rng: 1 / (1 + np.exp(3 - x)), lambda v: np.log(v / (1 - v)) + 3, 0.5
)
COUNT = Kind(
    "counts", lambda x, rng: rng.poisson(np.exp(2.5 + 0.6 * x)), lambda v: np.log1p(v) - 2.5, 0.3
)
STATE = Kind("discrete", _state, lambda v: np.searchsorted(sorted(STATES), v) - 1.0, 0.0)


@dataclass(frozen=True)
class Family:
    """Kinds of the four variables, and what was done in the pool."""

    name: str
    kinds: tuple[Kind, ...]
    deeds: tuple[Deeds, ...]


_SHIFTS: tuple[Deeds, ...] = (
    {},
    {"V1": ("add", 3.0)},
    {"V0": ("set", 3.5), "V2": ("add", -3.0)},
    {"V3": ("set", -4.0)},
)
_MIXED: tuple[Deeds, ...] = (
    {},
    {"V1": ("add", 3.0)},
    {"V0": ("state", 2.0), "V1": ("set", -4.0)},
    {"V3": ("add", 3.0)},
)
#: Add a line, and every promise is tested with it.
FAMILIES = (
    Family("linear-Gaussian", (NORMAL,) * 4, _SHIFTS),
    Family("telemetry", (LOGNORMAL, LOGNORMAL, SHARE, LOGNORMAL), _SHIFTS),
    Family("mixed", (STATE, NORMAL, STATE, NORMAL), _MIXED),
    Family("counts", (NORMAL, COUNT, COUNT, COUNT), _SHIFTS),
)


@dataclass(frozen=True)
class NumberWorld:
    """A problem and its rows.

    `sets` are the variables that each target touches; `weights` has one line for each batch;
    `label` is a position in `sets`, -1 for none; `unit` numbers the units, where rows come in units
    of several; `called` gives variables other names; `most` is how many rows may be held; `slopes`
    are those of the pool.
    """

    family: Family
    seed: int
    sets: tuple[frozenset[str], ...]
    weights: Floats
    control: pl.DataFrame
    pool: pl.DataFrame
    component: NDArray[np.int64]
    edges: tuple[tuple[str, str], ...] = tuple(EDGES)
    weight: Floats | None = None
    batch: NDArray[np.int64] | None = None
    label: NDArray[np.int64] | None = None
    unit: NDArray[np.int64] | None = None
    random_labels: bool = False
    called: tuple[tuple[str, str], ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    features: tuple[str, ...] = ()
    most: int | None = None
    slopes: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: SLOPES)

    def __str__(self) -> str:
        return "+".join((self.family.name, *self.features))

    @property
    def kinds(self) -> dict[str, str]:
        """Only of counts: what other columns hold shows."""
        return {
            name: kind.name
            for name, kind in zip(NAMES, self.family.kinds, strict=True)
            if kind is COUNT
        }

    @property
    def multiplicity(self) -> Floats:
        return np.ones(len(self.pool)) if self.weight is None else self.weight

    @property
    def counts(self) -> Floats:
        """What each row counts for the mixture's weights: nothing if it is labelled by hand."""
        if self.label is None or self.random_labels:
            return self.multiplicity
        return np.where(self.label >= 0, 0.0, self.multiplicity)

    @property
    def place(self) -> NDArray[np.int64]:
        """Position of each row's unit."""
        return np.arange(len(self.pool)) if self.unit is None else self.unit

    @property
    def first(self) -> NDArray[np.int64]:
        """One row of each unit, which says what is said of all of it."""
        return np.unique(self.place, return_index=True)[1]

    def text(self, t: int) -> str:
        """Write what a label says of a target: states that were set, and numbers that changed."""
        parts, names = [], dict(self.called)
        for name, (what, by) in self.family.deeds[t].items():
            own = json.dumps(names.get(name, name))
            parts.append(f"do({own}={STATES[int(by)]})" if what == "state" else f"free({own})")
        return ", ".join(parts) or "do()"

    @property
    def beside(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if self.batch is not None:
            out["batch"] = np.array(["night", "day"], dtype=object)[self.batch]
        if self.weight is not None:
            out["sample_weight"] = self.weight
        if self.label is not None:
            texts = np.array([*map(self.text, range(len(self.sets))), ""], dtype=object)
            out["labels"] = texts[self.label]
        if self.unit is not None:
            out["unit"] = np.array([f"u{k}" for k in self.unit], dtype=object)
        return out

    @property
    def true_weights(self) -> Floats:
        """Of the pool, batches together."""
        if self.batch is None:
            return self.weights[0]
        shares = np.bincount(self.batch[self.first], weights=self.counts[self.first])
        return np.asarray(shares / shares.sum() @ self.weights)

    def fit(self, kinds: Mapping[str, str] | None = None) -> Any:
        """Fit, the kinds of counts being told."""
        with warnings.catch_warnings(), holding(self.most):
            warnings.simplefilter("ignore", DosiftWarning)
            return dosift.InterventionMixture(**dict(self.settings)).fit(
                self.pool,
                control=self.control,
                graph=list(self.edges),
                kinds=self.kinds if kinds is None else kinds,
                random_labels=self.random_labels,
                **self.beside,
            )


@contextmanager
def holding(most: int | None) -> Iterator[None]:
    """Let no more distinct rows be held: a sample of others is searched, all judge in blocks."""
    before = sampling.MOST_CONFIGURATIONS
    sampling.MOST_CONFIGURATIONS = before if most is None else most
    try:
        yield
    finally:
        sampling.MOST_CONFIGURATIONS = before


def draw(
    family: Family,
    deeds: Deeds,
    n_rows: int,
    rng: np.random.Generator,
    slopes: Mapping[str, Mapping[str, float]] = SLOPES,
) -> pl.DataFrame:
    """Draw rows under a target."""
    columns: dict[str, Any] = {}
    signals: dict[str, Floats] = {}
    for name, kind in zip(NAMES, family.kinds, strict=True):
        sd = kind.sd if slopes[name] else max(kind.sd, 1.0)
        predictor = sum(
            (slope * signals[parent] for parent, slope in slopes[name].items()),
            start=np.zeros(n_rows),
        )
        predictor = predictor + sd * rng.normal(size=n_rows)
        what, by = deeds.get(name, ("add", 0.0))
        if what == "set":
            predictor = by + 0.3 * rng.normal(size=n_rows)
        value = kind.made(predictor + by * (what == "add"), rng)
        if what == "state":
            value = np.full(n_rows, STATES[int(by)])
        columns[name], signals[name] = value, kind.signal(value)
    return pl.DataFrame(columns)


def made(family: Family, features: tuple[Feature, ...], seed: int) -> NumberWorld:
    """Make a world."""
    names = tuple(f.name for f in features)
    rng = np.random.default_rng([seed, zlib.crc32("+".join((family.name, *names)).encode())])
    control = draw(family, {}, N_CONTROL, rng)
    first = 0.6 * np.array([0.4, 0.2, 0.2, 0.2]) + 0.4 * rng.dirichlet(np.full(4, 8.0))
    sets = tuple(frozenset(deeds) for deeds in family.deeds)
    nothing = np.empty(0, dtype=np.int64)
    world = NumberWorld(family, seed, sets, first[None], control, control[:0], nothing)
    for feature in features:
        world = feature.before(world, rng)
    world = with_rows(world, rng)
    for feature in features:
        world = feature.after(world, rng)
    return replace(world, features=names)


def with_rows(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    n_batches = len(world.weights)
    batch = np.arange(N_ROWS) % n_batches
    component = np.empty(N_ROWS, dtype=np.int64)
    for b, weights in enumerate(world.weights):
        at = batch == b
        component[at] = rng.choice(len(weights), size=int(at.sum()), p=weights)
    order = np.argsort(component, kind="stable")
    parts = [
        draw(world.family, deeds, int((component == t).sum()), rng, world.slopes)
        for t, deeds in enumerate(world.family.deeds)
    ]
    pool = pl.concat(parts)[np.argsort(order).tolist()]
    return replace(world, pool=pool, component=component, batch=batch if n_batches > 1 else None)


# What features do.

Change = Callable[[NumberWorld, np.random.Generator], NumberWorld]


def nothing(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    return world


def two_batches(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """Two batches with the same targets, one of which the second lacks."""
    first = world.weights[0]
    second = 0.7 * np.roll(first, 1) + 0.3 * first
    second[-1] = 0.0
    return replace(world, weights=np.stack([first, second / second.sum()]))


def move_mechanism(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """V3 depends on V2 otherwise in the pool than in control rows, and nothing is done to it."""
    *deeds, _ = world.family.deeds
    deeds.append({"V0": deeds[2]["V0"]})
    family = replace(world.family, deeds=tuple(deeds))
    return replace(world, family=family, sets=tuple(map(frozenset, deeds)), slopes=MOVED)


def weigh(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """Half of the rows, of weight 1, 2 or 3; and rows of no weight, whatever they hold."""
    weight = rng.choice([0.0, 1.0, 2.0, 3.0], size=N_ROWS, p=[0.02, 0.38, 0.3, 0.3])
    return replace(world, weight=weight)


def label_some(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """Add rows of two targets, picked by hand and so no sample: 150 of each, all labelled."""
    deeds = world.family.deeds
    added = [draw(world.family, deeds[t], 150, rng, world.slopes) for t in (1, 2)]
    picked = np.repeat([1, 2], 150)
    return replace(
        world,
        pool=pl.concat([world.pool, *added]),
        component=np.append(world.component, picked),
        label=np.append(np.full(len(world.pool), -1), picked),
    )


def label_at_random(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    told = rng.random(len(world.pool)) < 0.2
    return replace(world, label=np.where(told, world.component, -1), random_labels=True)


def lose_some(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """A quarter of the rows lack one of the first three variables, and a tenth the last."""
    which = rng.choice(4, size=len(world.pool), p=[0.75, 0.25 / 3, 0.25 / 3, 0.25 / 3]) - 1
    lost = {name: which == i for i, name in enumerate(NAMES[:3])}
    lost[NAMES[3]] = rng.random(len(world.pool)) < 0.1
    columns = [
        pl.when(~pl.Series(own)).then(pl.col(name)).alias(name) for name, own in lost.items()
    ]
    return replace(world, pool=world.pool.with_columns(columns))


def group_in_threes(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """Bring three rows together that were hit alike, and what remains of each kind."""
    order = rng.permutation(len(world.pool))
    order = order[np.argsort(world.component[order], kind="stable")]
    starts = np.concatenate([np.arange(n) % 3 == 0 for n in np.bincount(world.component)])
    unit = np.empty(len(order), dtype=np.int64)
    unit[order] = np.cumsum(starts) - 1
    return replace(world, unit=unit)


def too_many(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """Fewer rows may be held than there are."""
    return replace(world, most=700)


def some_from_elsewhere(world: NumberWorld, rng: np.random.Generator) -> NumberWorld:
    """In a tenth of the rows each variable is drawn by itself, evenly over what others show."""
    foreign = rng.random(len(world.pool)) < FOREIGN
    columns = []
    for name, kind in zip(NAMES, world.family.kinds, strict=True):
        column = world.pool[name]
        if kind is STATE:
            drawn = np.array(STATES)[rng.integers(3, size=len(column))]
        else:
            bent = np.log1p(column) if kind is COUNT else kind.signal(column.to_numpy())
            drawn = rng.uniform(*np.quantile(bent, [0.002, 0.998]), len(column))
            drawn = np.rint(np.expm1(drawn)) if kind is COUNT else kind.made(drawn, rng)
        own = np.where(foreign, drawn, column.to_numpy())
        columns.append(pl.Series(name, own.tolist()).cast(column.dtype))
    return replace(
        world,
        pool=pl.DataFrame(columns),
        component=np.where(foreign, -1, world.component),
        weights=np.column_stack([(1 - FOREIGN) * world.weights, [FOREIGN] * len(world.weights)]),
        sets=(*world.sets, ELSEWHERE),
    )


@dataclass(frozen=True)
class Feature:
    """Something beside the kinds of variables."""

    name: str
    before: Change = nothing
    after: Change = nothing


#: Add a line, and every promise is tested with it, in every family.
FEATURES = (
    Feature("batches", before=two_batches),
    Feature("sample weights", after=weigh),
    Feature("labels", after=label_some),
    Feature("random labels", after=label_at_random),
    Feature("missing values", after=lose_some),
    Feature("units", after=group_in_threes),
    Feature("blocks", after=too_many),
    Feature("rows from elsewhere", after=some_from_elsewhere),
    Feature("moved mechanism", before=move_mechanism),
)
#: What goes with rows in blocks, in one family.
_IN_BLOCKS = (
    *("batches", "labels", "random labels"),
    *("missing values", "units", "rows from elsewhere", "moved mechanism"),
)
#: What goes with a mechanism that moved, in one family.
_BESIDE_MOVED = (
    *("batches", "sample weights", "labels", "random labels"),
    *("missing values", "units"),
)


def combinations() -> list[tuple[Family, tuple[Feature, ...]]]:
    """Every family, alone and with every feature; and in one, some pairs of features."""
    of = {feature.name: feature for feature in FEATURES}
    pairs = [(FAMILIES[0], (of[name], of["blocks"])) for name in _IN_BLOCKS]
    pairs += [(FAMILIES[0], (of[name], of["moved mechanism"])) for name in _BESIDE_MOVED]
    return [*itertools.product(FAMILIES, [(), *((f,) for f in FEATURES)]), *pairs]
