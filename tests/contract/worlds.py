"""Kinds of rows, one line each in `FEATURES`: every promise is tested in each, and in all pairs.

A world is a small random problem, drawn by the enumeration of `oracle.py` and a seed, that has
some features: missing values, batches, labels... A feature changes the problem before rows are
drawn (`before`), or the rows afterwards (`after`). Everything is kept as codes; names come in when
the estimator is called, so that a world can be given other names, orders and storage.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from oracle import ELSEWHERE, Key, density, is_elsewhere, likelihoods

import dosift
from dosift.data.stored import StoredBlocks
from dosift.errors import DosiftWarning, InputError
from dosift.graphs.families import relearned
from dosift.model.network import Network, Variable
from dosift.model.target_text import parse_target
from dosift.refusals import REFUSALS

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

N_ROWS = 3_000
N_CONTROL = 12_000
#: Distinct rows (of at most 81) from which rows in blocks count as many.
FEW = 64
#: Rows of a block.
BLOCK = 700
#: Rows for which a target holds on average, where rows come in order of time.
LASTS = 15
#: Share of rows from elsewhere, where there are some.
FOREIGN = 0.1


@dataclass(frozen=True)
class World:
    """A problem, its rows, and how to fit it.

    `given` is the network of the estimator, `real` the one that made the rows; `start` is given in
    its place where rows have to find the graph. Weights have one
    line for each batch, 1 if there are none. `label` is a position in `targets`, -1 for none.
    `unit` numbers the units from 0, where rows come in units; without it every row is one.
    `time` is that of each row, where rows come in an order; each batch is a series then.
    """

    features: tuple[str, ...]
    seed: int
    given: Network
    real: Network
    targets: tuple[Key, ...]
    weights: Floats
    codes: Ints = field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    component: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    weight: Floats | None = None
    batch: Ints | None = None
    label: Ints | None = None
    unit: Ints | None = None
    time: Ints | None = None
    random_labels: bool = False
    required: tuple[Key, ...] = ()
    known: tuple[tuple[Key, float], ...] = ()
    candidates: tuple[Key, ...] | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    storage: str = "memory"
    control: pl.DataFrame | None = None
    start: Network | None = None
    threads: int = 2

    def __str__(self) -> str:
        return "+".join(self.features) or "memory"

    def has(self, *names: str) -> bool:
        return any(name in self.features for name in names)

    @property
    def method(self) -> str:
        return str(dict(self.settings).get("method", "likelihood"))

    def some(self, rows: Any) -> World:
        """Take some rows, any of them as often as wanted; a unit only as a whole."""
        names = ("weight", "batch", "label", "unit", "time")
        beside = {name: getattr(self, name) for name in names}
        taken = {name: None if one is None else one[rows] for name, one in beside.items()}
        if self.unit is not None:
            taken["unit"] = np.unique(taken["unit"], return_inverse=True)[1]
        return replace(self, codes=self.codes[rows], component=self.component[rows], **taken)

    @property
    def units(self) -> World:
        """What is said of units, of which weights are shares: their first rows stand for them."""
        if self.unit is None:
            return self
        return replace(self.some(np.unique(self.unit, return_index=True)[1]), unit=None)

    @property
    def place(self) -> Ints:
        """Position of each row's unit among the units."""
        return np.arange(len(self.codes)) if self.unit is None else self.unit

    @property
    def sizes(self) -> Ints:
        """Number of rows of each unit."""
        return np.bincount(self.place)

    def likelihoods(self, network: Network, targets: list[Key]) -> Floats:
        """Probability of each unit under each target: the product over its rows."""
        of_rows = likelihoods(network, targets, self.codes)
        out = np.ones((len(self.sizes), len(targets)))
        np.multiply.at(out, self.place, of_rows)
        return out

    @property
    def multiplicity(self) -> Floats:
        """Weight of each row."""
        return np.ones(len(self.codes)) if self.weight is None else self.weight

    @property
    def counts(self) -> Floats:
        """What each row counts for the mixture's weights: nothing if it is labelled.

        In a series a labelled row is there as all others.
        """
        if self.label is None or self.random_labels or self.time is not None:
            return self.multiplicity
        return np.where(self.label >= 0, 0.0, self.multiplicity)

    @property
    def true_weights(self) -> Floats:
        """Of the rows that the weights are those of, batches pooled."""
        if self.batch is None:
            return self.weights[0]
        units = self.units
        shares = np.bincount(units.batch, weights=units.counts, minlength=len(self.weights))
        return shares / shares.sum() @ self.weights

    def text(self, target: Key) -> str:
        """Name a target as a user would."""
        return str(self.target(target))

    def target(self, target: Key) -> dosift.Target:
        if is_elsewhere(target):
            return dosift.Target.other()
        variables = self.given.variables
        return dosift.Target(
            {v.name: v.states[a] for v, a in zip(variables, target, strict=True) if a >= 0}
        )

    def key(self, text: str) -> Key:
        """Read the name of a target back."""
        if text == "other":
            return (ELSEWHERE,) * self.given.n_variables
        target = parse_target(text)
        return tuple(
            v.states.index(target[v.name]) if v.name in target else -1 for v in self.given.variables
        )

    def permits(self, target: Key) -> bool:
        """Whether a fit may bring a target in."""
        known = [key for key, _ in self.known]
        if self.candidates is not None:
            return target in (*self.candidates, *self.required) and target not in known
        return target not in known

    @property
    def frame(self) -> pl.DataFrame:
        """Rows as a table of names."""
        columns = {}
        for i, variable in enumerate(self.given.variables):
            names = np.array([*variable.states, None], dtype=object)
            columns[variable.name] = pl.Series(names[self.codes[:, i]].tolist(), dtype=pl.String)
        return pl.DataFrame(columns)

    @property
    def beside(self) -> dict[str, Any]:
        """What is said of each row beside its variables."""
        out: dict[str, Any] = {}
        if self.batch is not None:
            out["batch"] = np.array(["night", "day", "noon"], dtype=object)[self.batch]
        if self.label is not None:
            texts = np.array([*(self.text(t) for t in self.targets), ""], dtype=object)
            out["labels"] = texts[self.label]
        if self.unit is not None:
            names = np.array([f"unit {k}" for k in range(len(self.sizes))], dtype=object)
            names[(self.sizes == 1) & (np.arange(len(names)) % 2 == 0)] = ""  # alone, and unnamed
            out["unit"] = names[self.unit]
        if self.time is not None:
            out["time"] = np.array([str(t) for t in self.time.tolist()], dtype=object)
        return out

    @property
    def prior_knowledge(self) -> dosift.PriorKnowledge | None:
        if not (self.required or self.known or self.candidates):
            return None
        listed = self.candidates
        return dosift.PriorKnowledge(
            candidates=None if listed is None else [self.target(t) for t in listed],
            required=[self.target(t) for t in self.required],
            known_weights=[(self.target(t), w) for t, w in self.known],
        )

    def estimator(self) -> dosift.InterventionMixture:
        return dosift.InterventionMixture(
            self.start or self.given, prior_knowledge=self.prior_knowledge, **dict(self.settings)
        )

    def fit(self) -> dosift.InterventionMixture:
        """Fit, with the rows where they are."""
        with self.opened() as (rows, beside):
            return self.estimator().fit(rows, **beside, random_labels=self.random_labels)

    @contextlib.contextmanager
    def opened(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Give the rows to whatever keeps them; while it is open, few rows count as many."""
        with warnings.catch_warnings(), STORAGES[self.storage](self) as opened:
            warnings.simplefilter("ignore", DosiftWarning)
            yield opened


# Where rows are kept.


@contextlib.contextmanager
def few_are_many() -> Iterator[None]:
    """Lower every threshold from which rows are dealt with in blocks."""
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("dosift") and hasattr(module, "MOST_CONFIGURATIONS"):
                patch.setattr(module, "MOST_CONFIGURATIONS", FEW)
        for name in ("_MANY_ROWS", "_MANY_BYTES", "_MANY_COMPRESSED"):
            patch.setattr(f"dosift.data.read.{name}", 10)
        for name in ("_LEAST_ROWS", "_MOST_ROWS"):
            patch.setattr(f"dosift.data.blocks.{name}", BLOCK)
        yield


@contextlib.contextmanager
def in_memory(world: World) -> Iterator[tuple[Any, dict[str, Any]]]:
    yield world.frame, {**world.beside, "sample_weight": world.weight}


@contextlib.contextmanager
def in_a_file(world: World) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Codes in a temporary file, as the command keeps those of a large table."""
    from dosift.data.load import together
    from dosift.data.side_columns import TextCodes, side_column
    from dosift.data.stream import store_rows

    names = {name: f"its {name}" for name in world.beside}
    world = world if world.unit is None else repeated(world)
    with tempfile.TemporaryDirectory() as folder, few_are_many(), contextlib.ExitStack() as stack:
        if world.weight is None:
            path = Path(folder) / "rows.parquet"
            with_beside(world).write_parquet(path, row_group_size=BLOCK)
            if world.time is not None:  # a series is held, whatever its length
                yield path, names
                return
            blocks = store_rows(path, world.given, threads=world.threads, **names)
        else:  # a file has no weights
            blocks = StoredBlocks(
                world.given.n_variables, np.dtype(np.int16), world.threads, None, len(names)
            )
            codes, texts = [world.codes], []
            for name in ("batch", "labels"):
                found = TextCodes()
                if name in world.beside:
                    values = side_column(world.beside[name], len(world.codes), name)
                    codes.append(found.add(values)[:, None])
                texts.append(found.texts)
            blocks.append(np.hstack(codes).astype(np.int16), world.weight)
            blocks.finish(texts)
        stack.enter_context(contextlib.closing(blocks))
        yield blocks if world.unit is None else together(blocks, world.given, names), {}


def with_beside(world: World) -> pl.DataFrame:
    """Rows as a table of names, with batches and labels in columns of it."""
    return world.frame.with_columns(
        pl.Series(f"its {name}", list(values), dtype=pl.String)
        for name, values in world.beside.items()
    )


def repeated(world: World) -> World:
    """Take rows as often as they weigh, the units that they make under another name each time."""
    if world.weight is None:
        return world
    times = world.weight.astype(int)
    rows = np.repeat(np.arange(len(times)), times)
    out = replace(world.some(rows), weight=None)
    if world.unit is None:
        return out
    copy = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    own = np.column_stack([copy, world.unit[rows]])
    return replace(out, unit=np.unique(own, axis=0, return_inverse=True)[1].ravel())


@contextlib.contextmanager
def in_duckdb(world: World) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A relation, which has no weights: rows are repeated."""
    duckdb = pytest.importorskip("duckdb")
    table = with_beside(repeated(world))
    with contextlib.closing(duckdb.connect()) as connection, few_are_many():
        relation = connection.from_arrow(table.to_arrow())
        yield relation, {name: f"its {name}" for name in world.beside}


STORAGES = {"memory": in_memory, "blocks": in_a_file, "relation": in_duckdb}


# The problem that all worlds start from, and its rows.

PARENTS = ((), (0,), (0, 1), (2,))
N_STATES = 3


def random_world(seed: int, features: tuple[str, ...]) -> World:
    """Draw a network and targets that leave one state of each variable unused."""
    rng = np.random.default_rng([seed, zlib.crc32("+".join(features).encode())])
    variables = [Variable(f"V{i}", ("low", "mid", "high")) for i in range(len(PARENTS))]
    tables = [random_table(rng, len(parents)) for parents in PARENTS]
    network = Network(variables, PARENTS, tables)
    unused = rng.integers(N_STATES, size=len(PARENTS))
    a = [int((unused[i] + 1 + rng.integers(N_STATES - 1)) % N_STATES) for i in range(len(PARENTS))]
    targets = ((-1, -1, -1, -1), (-1, a[1], -1, -1), (a[0], -1, a[2], -1), (-1, -1, -1, a[3]))
    weights = 0.6 * np.array([0.4, 0.2, 0.2, 0.2]) + 0.4 * rng.dirichlet(np.full(4, 5.0))
    return World(features, seed, network, network, targets, weights[None, :])


def random_table(rng: np.random.Generator, n_parents: int) -> Floats:
    return 0.8 * rng.dirichlet(np.ones(N_STATES), size=N_STATES**n_parents) + 0.2 / N_STATES


def telling_table(rng: np.random.Generator, n_parents: int) -> Floats:
    """Draw a table in which each state of a parent favours another state."""
    table, shift = random_table(rng, n_parents), rng.integers(N_STATES)
    if not n_parents:
        return table
    places = np.array([sum(own) for own in itertools.product(range(N_STATES), repeat=n_parents)])
    return 0.6 * np.eye(N_STATES)[(places + shift) % N_STATES] + 0.4 * table


def draw(network: Network, target: Key, n_rows: int, rng: np.random.Generator) -> Ints:
    joint = density(network, target)
    cells = rng.choice(joint.size, size=n_rows, p=joint.ravel() / joint.sum())
    return np.column_stack(np.unravel_index(cells, joint.shape))


def with_rows(world: World, rng: np.random.Generator) -> World:
    """Draw the rows, the batches alike in number, in random order."""
    n_batches = len(world.weights)
    batch = np.arange(N_ROWS) % n_batches
    component = np.empty(N_ROWS, dtype=np.int64)
    codes = np.empty((N_ROWS, len(PARENTS)), dtype=np.int64)
    for b, weights in enumerate(world.weights):
        at = batch == b
        component[at] = rng.choice(len(weights), size=at.sum(), p=weights / weights.sum())
    for t, target in enumerate(world.targets):
        at = component == t
        codes[at] = draw(world.real, target, int(at.sum()), rng)
    return replace(world, codes=codes, component=component, batch=batch if n_batches > 1 else None)


# What features do.

Change = Callable[[World, np.random.Generator], World]


def nothing(world: World, rng: np.random.Generator) -> World:
    return world


def stored(where: str) -> Change:
    return lambda world, rng: replace(world, storage=where)


def setting(**settings: Any) -> Change:
    return lambda world, rng: replace(world, settings=(*world.settings, *settings.items()))


def several_batches(world: World, rng: np.random.Generator) -> World:
    """Two batches with the same targets, one of which the second lacks."""
    first = world.weights[0]
    second = 0.7 * np.roll(first, 1) + 0.3 * first
    second[-1] = 0.0
    return replace(world, weights=np.stack([first, second / second.sum()]))


def spread_values(world: World, rng: np.random.Generator) -> World:
    """Split a do into two values: a stochastic intervention."""
    target = list(world.targets[1])
    other = (*target[:1], (target[1] + 1) % N_STATES, *target[2:])
    share = 0.4 * world.weights[:, 1]
    weights = np.column_stack([world.weights, share])
    weights[:, 1] -= share
    return replace(
        world,
        targets=(*world.targets, other),
        weights=weights,
        settings=(*world.settings, ("interventions", "stochastic")),
    )


def some_from_elsewhere(world: World, rng: np.random.Generator) -> World:
    """A tenth of the rows whose variables are independent, and mechanisms that show it."""
    network = world.given.with_tables([telling_table(rng, len(parents)) for parents in PARENTS])
    even = [np.full(N_STATES, 1.0 / N_STATES)] * len(PARENTS)
    return replace(
        world,
        given=network,
        real=network.with_other(even),
        targets=(*world.targets, (ELSEWHERE,) * len(PARENTS)),
        weights=np.column_stack([(1 - FOREIGN) * world.weights, [FOREIGN] * len(world.weights)]),
    )


def change_mechanism(world: World, rng: np.random.Generator) -> World:
    """Change a mechanism, and let tables be freed."""
    return setting(interventions="any")(with_another_table(world), rng)


def move_mechanism(world: World, rng: np.random.Generator) -> World:
    """Change a mechanism, and learn the network from control rows, which have it as it was."""
    return learn(with_another_table(world), rng)


def with_another_table(world: World) -> World:
    """Another table for the last variable, in all rows: no do, and it depends on the parent.

    No target sets that variable: a do on it is a part of the changed table.
    """
    tables = list(world.real.tables)
    tables[3] = np.roll(tables[3], 1, axis=1)
    targets = list(world.targets)
    targets[3] = (targets[2][0], targets[1][1], -1, -1)
    return replace(world, targets=tuple(targets), real=world.real.with_tables(tables))


def learn(world: World, rng: np.random.Generator) -> World:
    """Learn the network from control rows."""
    control = draw(world.given, (-1,) * len(PARENTS), N_CONTROL, rng)
    rows = replace(world, codes=control).frame
    states = {v.name: v.states for v in world.given.variables}
    learned = dosift.learn_network(world.given.edges, rows)
    found = {v.name: v.states for v in learned.variables}
    assert {k: set(s) for k, s in found.items()} == {k: set(s) for k, s in states.items()}
    return replace(reordered(world, learned), control=rows)


def lose_an_edge(world: World, rng: np.random.Generator) -> World:
    """Learn the network from control rows, with a graph that lacks an edge."""
    world = learn(world, rng)
    target = world.given.positions["V2"]
    source = world.given.positions["V0"]
    start = tuple(
        tuple(sorted(p for p in row if (p, i) != (source, target)))
        for i, row in enumerate(world.given.parents)
    )
    return replace(
        world,
        start=relearned(world.given, start),
        settings=(*world.settings, ("edges", "repair")),
    )


def lose_all_edges(world: World, rng: np.random.Generator) -> World:
    """Learn the network from control rows, and leave its graph to the rows."""
    world = learn(world, rng)
    nothing = relearned(world.given, ((),) * len(PARENTS))
    return replace(world, start=nothing, settings=(*world.settings, ("edges", "learn")))


def reordered(world: World, learned: Network) -> World:
    """Return the problem in the order of a learned network's variables and states."""
    old, new = world.given, learned
    order = [old.positions[name] for name in new.names]
    states = [
        [old.variables[i].states.index(s) for s in variable.states]
        for i, variable in zip(order, new.variables, strict=True)
    ]
    at = {i: k for k, i in enumerate(order)}
    real = permuted(
        world.real, new.variables, [[at[p] for p in old.parents[i]] for i in order], order, states
    )
    real = _with_parents_of(real, learned)
    targets = tuple(permuted_target(t, order, states) for t in world.targets)
    return replace(world, given=learned, real=real, targets=targets)


def permuted_target(target: Key, order: list[int], states: list[list[int]]) -> Key:
    """Put a target's variables and states into another order, as `permuted` does."""
    if is_elsewhere(target):
        return target
    kept = zip(order, states, strict=True)
    return tuple(-1 if target[i] < 0 else own.index(target[i]) for i, own in kept)


def permuted(
    network: Network,
    variables: Any,
    parents: Any,
    order: list[int],
    states: list[list[int]],
) -> Network:
    """Put variables and states into another order; `order`, `states` hold old positions."""
    kept = dict(zip(order, states, strict=True))
    tables = []
    for i in order:
        axes = [*network.parents[i], i]
        table = network.tables[i].reshape([len(network.variables[a].states) for a in axes])
        tables.append(table[np.ix_(*(kept[a] for a in axes))].reshape(-1, len(kept[i])))
    other = network.other
    shares = None if other is None else [other[i][kept[i]] for i in order]
    return Network(variables, parents, tables).with_other(shares)


def _with_parents_of(network: Network, like: Network) -> Network:
    """Put the parents of each variable into the order of another network."""
    tables = []
    for i, (own, wanted) in enumerate(zip(network.parents, like.parents, strict=True)):
        sizes = [len(network.variables[p].states) for p in own]
        table = network.tables[i].reshape([*sizes, -1])
        axes = [own.index(p) for p in wanted]
        tables.append(table.transpose([*axes, len(own)]).reshape(-1, table.shape[-1]))
    return Network(network.variables, like.parents, tables).with_other(network.other)


def blank(world: World, rng: np.random.Generator) -> World:
    """Lose values completely at random."""
    holes = rng.random(world.codes.shape) < 0.15
    return replace(world, codes=np.where(holes, -1, world.codes))


def label_some(world: World, rng: np.random.Generator) -> World:
    """Add rows of two targets, picked by hand and so no sample: 200 of each, all labelled."""
    extra = [draw(world.real, world.targets[t], 200, rng) for t in (1, 2)]
    label = np.concatenate([np.full(len(world.codes), -1), np.repeat([1, 2], 200)])
    batch = world.batch
    if batch is not None:
        batch = np.concatenate([batch, rng.integers(2, size=400)])
    return replace(
        world,
        codes=np.concatenate([world.codes, *extra]),
        component=np.concatenate([world.component, np.repeat([1, 2], 200)]),
        label=label,
        batch=batch,
    )


def label_at_random(world: World, rng: np.random.Generator) -> World:
    """Tell the target of every fifth row, but for rows from elsewhere, which have no label."""
    told = rng.random(len(world.codes)) < 0.2
    told &= ~np.array([is_elsewhere(target) for target in world.targets])[world.component]
    return replace(world, label=np.where(told, world.component, -1), random_labels=True)


def group_in_units(world: World, rng: np.random.Generator) -> World:
    """Bring 1 to 4 rows together that were hit alike, in the same batch, with the same label."""
    alike = np.column_stack(
        [part for part in (world.component, world.batch, world.label) if part is not None]
    )
    group = np.unique(alike, axis=0, return_inverse=True)[1].ravel()
    order = rng.permutation(len(group))
    order = order[np.argsort(group[order], kind="stable")]
    # A size is drawn whatever was done, but for the last unit of each group.
    starts = np.isin(np.arange(len(order)), np.cumsum(rng.integers(1, 5, size=len(order))))
    starts[0] = True
    starts[1:] |= np.diff(group[order]) != 0
    unit = np.empty(len(order), dtype=np.int64)
    unit[order] = rng.permutation(starts.sum())[np.cumsum(starts) - 1]
    return replace(world, unit=unit)


def order_in_time(world: World, rng: np.random.Generator) -> World:
    """Bring rows into series, one for each batch, in which targets hold for LASTS rows or so.

    The rows stay where they are, in an order that says nothing. The truth about weights is how many
    rows of each target there are then.
    """
    n, n_batches = len(world.codes), len(world.weights)
    time = np.empty(n, dtype=np.int64)
    batch = np.zeros(n, dtype=np.int64) if world.batch is None else world.batch
    weights = np.zeros_like(world.weights)
    for b in range(n_batches):
        stretches = []
        for t in range(len(world.targets)):
            own = rng.permutation(np.flatnonzero((batch == b) & (world.component == t)))
            weights[b, t] = own.size / (batch == b).sum()
            cuts = np.flatnonzero(rng.random(max(own.size - 1, 0)) < 1.0 / LASTS) + 1
            stretches += np.split(own, cuts)
        order = np.concatenate([stretches[k] for k in rng.permutation(len(stretches))])
        # Uneven times, with gaps.
        time[order] = np.cumsum(1 + rng.poisson(0.3, size=order.size))
    return replace(world, time=time, weights=weights)


def weigh(world: World, rng: np.random.Generator) -> World:
    """Keep equal rows once, with their number for a weight; and rows of no weight."""
    if world.unit is not None:
        return weigh_units(world, rng)
    none = np.zeros(len(world.codes), dtype=np.int64)
    batch = none if world.batch is None else world.batch
    label = none if world.label is None else world.label
    together, counts = np.unique(
        np.column_stack([world.codes, batch, label]), axis=0, return_counts=True
    )
    together = np.concatenate([together, together[:5]])
    counts = np.append(counts, np.zeros(5))
    order = rng.permutation(len(together))
    together, counts = together[order], counts[order]
    return replace(
        world,
        codes=together[:, :-2],
        component=np.full(len(together), -1),
        weight=counts.astype(np.float64),
        batch=None if world.batch is None else together[:, -2],
        label=None if world.label is None else together[:, -1],
    )


def weigh_units(world: World, rng: np.random.Generator) -> World:
    """Keep equal units once, with their number for a weight; and units of no weight."""
    beside = [one for one in (world.batch, world.label) if one is not None]
    together = np.column_stack([world.codes, *beside])
    rows: dict[int, list[list[int]]] = {}
    for unit, row in zip(world.place.tolist(), together.tolist(), strict=True):
        rows.setdefault(unit, []).append(row)
    alike: dict[str, list[int]] = {}
    for unit, own in rows.items():
        alike.setdefault(str(sorted(own)), []).append(unit)
    weight = np.zeros(len(world.sizes))
    kept = np.array([units[0] for units in alike.values()])
    weight[kept] = [len(units) for units in alike.values()]
    nothing = np.flatnonzero(weight == 0)[:5]
    own = np.flatnonzero(np.isin(world.place, np.append(kept, nothing)))
    return replace(world, weight=weight[world.place]).some(rng.permutation(own))


def require(world: World, rng: np.random.Generator) -> World:
    """Require a true target, and one that is not there."""
    absent = (*world.targets[2][:3], (world.targets[3][3] + 1) % N_STATES)
    return replace(world, required=(world.targets[1], absent))


def know_a_weight(world: World, rng: np.random.Generator) -> World:
    return replace(world, known=((world.targets[0], float(world.weights[:, 0].mean())),))


def list_candidates(world: World, rng: np.random.Generator) -> World:
    """The true targets, and some others."""
    others = {tuple(t) for t in rng.integers(-1, N_STATES, size=(6, len(PARENTS))).tolist()}
    true = tuple(target for target in world.targets if not is_elsewhere(target))
    return replace(world, candidates=(*true, *(others - set(true))))


@dataclass(frozen=True)
class Feature:
    """A kind of rows. Of one `group` a world has one feature at most.

    It is looked for by itself, but not `without` these others: so docs/how-to/believe.md has it.
    """

    name: str
    group: str
    before: Change = nothing
    after: Change = nothing
    also: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


#: Kinds of fits in which nothing is looked for beside do's; and what is known, or binds the search.
_NO_LOOK = ("any", "time", "moments", "em", "brute-force")
_BINDS = ("labels", "random labels", "required", "known weights", "candidates")


#: Add a line, and every promise is tested with it, alone and with every other feature.
FEATURES = (
    Feature("stochastic", "kind", before=spread_values, also=("stochastic interventions",)),
    Feature("any", "kind", before=change_mechanism, also=("changed mechanisms",)),
    Feature("batches", "batches", before=several_batches),
    Feature(
        "rows from elsewhere",
        "elsewhere",
        before=some_from_elsewhere,
        without=(*_NO_LOOK, "moved mechanism", "known weights"),
    ),
    Feature("learned network", "network", before=learn),
    Feature("moved mechanism", "network", before=move_mechanism, without=(*_NO_LOOK, *_BINDS)),
    Feature("repaired graph", "network", before=lose_an_edge),
    Feature("learned graph", "network", before=lose_all_edges, also=("repaired graph",)),
    Feature("labels", "labels", after=label_some),
    Feature("random labels", "labels", after=label_at_random, also=("labels",)),
    Feature("missing values", "values", after=blank),
    Feature("units", "units", after=group_in_units),
    Feature("time", "units", after=order_in_time, also=("rows in time",)),
    Feature("sample weights", "weights", after=weigh),
    Feature("required", "prior", after=require, also=("prior knowledge",)),
    Feature("known weights", "prior", after=know_a_weight, also=("prior knowledge",)),
    Feature("candidates", "prior", after=list_candidates, also=("prior knowledge",)),
    Feature("moments", "method", after=setting(method="moments")),
    Feature("em", "method", after=setting(method="em")),
    Feature("brute-force", "method", after=setting(method="brute-force")),
    Feature("blocks", "storage", after=stored("blocks"), also=("rows in blocks",)),
    Feature("DuckDB relation", "storage", after=stored("relation"), also=("rows in blocks",)),
)


def make(chosen: tuple[Feature, ...], seed: int) -> World:
    """Make a world that has some features."""
    names = tuple(f.name for f in chosen)
    # Where rows are kept is no part of the problem: the same rows in memory and in blocks.
    drawn = tuple(f.name for f in chosen if f.group != "storage")
    rng = np.random.default_rng([seed, 1, zlib.crc32("+".join(drawn).encode())])
    world = random_world(seed, drawn)
    for feature in chosen:
        world = feature.before(world, rng)
    world = with_rows(world, rng)
    for feature in chosen:
        world = feature.after(world, rng)
    return replace(world, features=names)


def combinations() -> list[tuple[Feature, ...]]:
    """No feature, each one, and all pairs that can be."""
    pairs = itertools.combinations(FEATURES, 2)
    return [(), *((f,) for f in FEATURES), *(p for p in pairs if can_be(*p))]


def can_be(one: Feature, other: Feature) -> bool:
    """Whether a world may have both features.

    Of rows in blocks, the search for a graph and that for rows from elsewhere see a sample, of 64
    rows here: control rows tell no directions in this problem, and the sample tells too little.
    """
    of_sample = one.name in ("learned graph", "rows from elsewhere")
    unsure = of_sample and other.group == "storage"
    unsought = other.name in one.without or one.name in other.without
    return one.group != other.group and not unsure and not unsought


def names_of(world: World, *more: str) -> set[str]:
    """What the table of refusals may call a world."""
    by_name = {f.name: f for f in FEATURES}
    also = {a for name in world.features for a in by_name[name].also}
    return {*world.features, *also, *more}


def check_refusal(error: InputError, world: World, *more: str) -> None:
    """Fail unless the one table of refusals says so, for two features that this world has."""
    named = names_of(world, *more)
    for row in REFUSALS:
        if {row.one, row.other} <= named and row.why in str(error):
            return
    pytest.fail(f"refused, but not by the table of refusals: {error}", pytrace=False)
