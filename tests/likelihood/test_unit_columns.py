"""A unit's likelihood is the product over its rows, whatever these are, and however many."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_evidence import says_something

from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.likelihood.assignment import assign
from dosift.likelihood.columns import RowLikelihoods, TargetColumns, is_plain
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.factors import MechanismFactors
from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from plain_sums import OTHERS, TARGETS, PlainRows, cell_probability, toy_rows, toy_weights
from poisson_counts import chain, random_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

KINDS = [
    dict(zip(("zeros", "batches", "missing", "labels"), kind, strict=True))
    for kind in itertools.product([False, True], repeat=4)
]


def name_of(kind: dict[str, bool]) -> str:
    return "+".join(k for k, v in kind.items() if v) or "plain"


def in_units(rows: PlainRows, seed: int) -> tuple[PlainRows, NDArray[np.int64]]:
    """Put rows of the same batch and label beside each other, in units of 1 to 4."""
    none = np.zeros(len(rows.codes), dtype=int)
    batch = none if rows.batch is None else rows.batch
    label = none if rows.label is None else rows.label
    order = np.lexsort((batch, label))
    group = np.column_stack([batch, label])[order]
    sizes = np.random.default_rng(seed).integers(1, 5, len(order))
    starts = np.isin(np.arange(len(order)), np.append(0, np.cumsum(sizes)))
    starts[1:] |= (np.diff(group, axis=0) != 0).any(axis=1)
    first = np.flatnonzero(starts)
    taken = {
        name: None if getattr(rows, name) is None else getattr(rows, name)[order]
        for name in ("codes", "batch", "label")
    }
    return replace(rows, counts=rows.counts[: len(first)], **taken), first


def blocks(rows: PlainRows, first: NDArray[np.int64]) -> MemoryBlocks:
    """Hold rows in units; their counts are those of units."""
    columns = [rows.codes, *(c[:, None] for c in (rows.batch, rows.label) if c is not None)]
    beside = Beside(
        () if rows.batch is None else tuple(f"b{k}" for k in range(rows.n_batches)),
        () if rows.label_targets is None else tuple(f"l{k}" for k in range(3)),
    )
    return MemoryBlocks(np.hstack(columns), rows.counts, beside=beside, first=first)


def products(rows: PlainRows, first: NDArray[np.int64], targets: Ints) -> Floats:
    return np.asarray(np.multiply.reduceat(rows.likelihoods(targets), first, axis=0))


@pytest.fixture(params=KINDS, ids=name_of)
def units(request: pytest.FixtureRequest) -> tuple[PlainRows, NDArray[np.int64]]:
    return in_units(toy_rows(4, **request.param), 5)


def likelihoods_of(rows: PlainRows, block: Block, **more: Any) -> RowLikelihoods:
    plain = is_plain(rows.network, TARGETS, block)
    return RowLikelihoods(rows.network, block, plain, rows.label_targets, **more)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("remember", [False, True])
def test_columns_are_products(
    units: tuple[PlainRows, NDArray[np.int64]], absolute: bool, remember: bool
) -> None:
    rows, first = units
    expected = products(rows, first, TARGETS)
    found = likelihoods_of(rows, blocks(rows, first).whole, absolute=absolute, remember=remember)
    each = found.columns(TARGETS) * np.exp(found.log_reference)[:, None]
    np.testing.assert_allclose(each, expected, rtol=1e-10, atol=1e-300)


def test_columns_are_the_same_whether_plain_or_not() -> None:
    rows, first = in_units(toy_rows(4), 5)
    block = blocks(rows, first).whole
    assert is_plain(rows.network, TARGETS, block)
    other = RowLikelihoods(rows.network, block, False).columns(TARGETS)
    np.testing.assert_allclose(likelihoods_of(rows, block).columns(TARGETS), other, rtol=1e-12)
    made = TargetColumns(rows.network, TARGETS)(block)
    assert made.plain
    np.testing.assert_allclose(made.columns(TARGETS), other, rtol=1e-12)


def test_completions_of_each_row_add_up_to_its_unit(
    units: tuple[PlainRows, NDArray[np.int64]],
) -> None:
    rows, first = units
    block = blocks(rows, first).whole
    found = likelihoods_of(rows, block)
    expanded = found.expanded(TARGETS)
    assert expanded.row is not None
    columns = found.columns(TARGETS)
    sizes = np.bincount(block.unit)
    summed = np.zeros_like(columns)
    np.add.at(summed, expanded.row, expanded.columns)
    np.testing.assert_allclose(summed, columns * sizes[:, None], rtol=1e-10)


def learnt(rows: PlainRows, first: NDArray[np.int64], weights: Floats, i: int) -> Floats:
    """Expected counts of a variable with its parents where it was left alone, by enumeration."""
    network = rows.network
    out = np.zeros_like(network.tables[i])
    of_units = products(rows, first, TARGETS)
    unit = np.repeat(np.arange(first.size), np.diff(first, append=len(rows.codes)))
    batch = np.zeros(len(rows.codes), dtype=int) if rows.batch is None else rows.batch
    for r, u in enumerate(unit.tolist()):
        joint = of_units[u] * weights[batch[r]]
        labelled = rows.label is not None and rows.label[r] >= 0  # has taught already
        if labelled or joint.sum() <= 0 or not says_something(rows, r, i):
            continue
        for t, target in enumerate(TARGETS):
            if target[i] >= 0 or joint[t] <= 0:
                continue
            cells = [np.array(cell) for cell in rows.completions(r)]
            p = np.array(
                [cell_probability(network, list(network.tables), target, c) for c in cells]
            )
            for cell, share in zip(cells, p / p.sum(), strict=True):
                at = network.parent_rows(i, cell[None])[0], cell[i]
                out[at] += rows.counts[u] * joint[t] / joint.sum() * share
    return out


@pytest.mark.parametrize("held", [True, False])
def test_sums_over_units(
    units: tuple[PlainRows, NDArray[np.int64]], held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 25)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 25)
    monkeypatch.setattr("dosift.data.blocks._CHUNK_ROWS", 10)
    rows, first = units
    make = Evidence.held_rows if held else Evidence.of_rows
    labels = {"labels": rows.label_targets}
    evidence = make(rows.network, blocks(rows, first), **labels)
    weights = toy_weights(rows.n_batches)
    batch = np.zeros(first.size, dtype=int) if rows.batch is None else rows.batch[first]
    every = np.concatenate([TARGETS, OTHERS])
    columns = products(rows, first, every)
    mixture = (columns[:, : len(TARGETS)] * weights[batch]).sum(axis=1)
    found = evidence.weigh(rows.network, TARGETS, weights, OTHERS)
    assert evidence.has_units
    for b in range(rows.n_batches):
        at = (batch == b) & (mixture > 0)
        relative, counts = columns[at] / mixture[at, None], rows.counts[at]
        np.testing.assert_allclose(found.gradient[b], counts @ relative, rtol=1e-9)
        information = (relative * counts[:, None]).T @ relative
        np.testing.assert_allclose(found.information[b], information, rtol=1e-9)
        assert evidence.n_rows[b] == pytest.approx(rows.counts[batch == b].sum())
        impossible = rows.counts[(batch == b) & (mixture <= 0)].sum()
        assert found.n_impossible[b] == pytest.approx(impossible)
    taught = evidence.teach(rows.network, TARGETS, weights, (1, 2))
    for i, table in zip((1, 2), taught, strict=True):
        np.testing.assert_allclose(table, learnt(rows, first, weights, i), rtol=1e-8, atol=1e-12)


def test_rows_of_units_apart_and_shared() -> None:
    rows, first = in_units(toy_rows(4, batches=True, labels=True), 5)
    evidence = Evidence.held_rows(rows.network, blocks(rows, first), rows.label_targets)
    sizes = np.diff(first, append=len(rows.codes))
    apart, shared = evidence.apart(rows.network), evidence.shared(rows.network)
    assert not apart.has_units
    assert not shared.has_units
    assert apart.total == pytest.approx(rows.counts @ sizes)
    assert shared.total == pytest.approx(rows.counts.sum())
    assert evidence.total == pytest.approx(rows.counts.sum())
    of_row = np.repeat(rows.counts, sizes)
    np.testing.assert_allclose(apart.families[0].sum(), of_row.sum())
    for i, (one, other) in enumerate(zip(apart.families, shared.families, strict=True)):
        at = rows.network.parent_rows(i, rows.codes), rows.codes[:, i]
        expected, part = np.zeros_like(one), np.zeros_like(one)
        np.add.at(expected, at, of_row)
        np.add.at(part, at, of_row / np.repeat(sizes, sizes))
        np.testing.assert_allclose(one, expected)
        np.testing.assert_allclose(other, part)


# Long units, whose likelihoods are out of range.


def linear_network(rng: np.random.Generator) -> MechanismNetwork:
    """Three measurements in a chain, each of which may be set or moved."""
    mechanisms, libraries = [], []
    for i in range(3):
        parents = (i - 1,) if i else ()
        coefficients = np.append(rng.normal(), rng.uniform(0.5, 0.9, len(parents)))
        noise = Noise.normal(float(rng.uniform(0.3, 0.8)))
        features = tuple(Plain(p) for p in parents)
        mechanisms.append(LinearMechanism(i, parents, features, coefficients, noise))
        changes = (SetNormal(float(rng.normal(0, 3)), 0.3), Shift(float(rng.normal(0, 2))))
        libraries.append(Changes(changes))
    return MechanismNetwork(tuple(mechanisms), tuple(libraries))


Problem = tuple[Any, Ints, Callable[[int, int], Any]]


def states(rng: np.random.Generator, zeros: bool) -> Problem:
    network = random_network(4, random_state=rng)
    if zeros:
        tables = [np.where(t == t.min(axis=1, keepdims=True), 0.0, t) for t in network.tables]
        tables = [t / t.sum(axis=1, keepdims=True) for t in tables]
        network = type(network)(network.variables, network.parents, tables)
    targets, _ = random_mixture(network, 5, max_size=2, random_state=rng).to_codes(network)

    def draw(t: int, n: int) -> Any:
        return sample_codes(network, targets[t : t + 1], np.ones(1), n, rng)[0]

    return network, targets, draw


def numbers(rng: np.random.Generator, counts: bool) -> Problem:
    if counts:
        network: Any = chain(3, rng, level=(5.0, 15.0))
        targets = random_targets(network, 5, 2, rng)[0]
    else:
        network = linear_network(rng)
        targets = np.array([[-1, -1, -1], [0, -1, -1], [-1, 1, -1], [1, -1, 0], [-1, 0, 1]])

    def draw(t: int, n: int) -> Any:
        return network.draw(targets[t : t + 1], np.ones(1), n, rng)[0]

    return network, targets, draw


PROBLEMS: dict[str, Callable[[np.random.Generator], Problem]] = {
    "states": lambda rng: states(rng, False),
    "zeros": lambda rng: states(rng, True),
    "measurements": lambda rng: numbers(rng, False),
    "counts": lambda rng: numbers(rng, True),
}


def logs(network: Any, targets: Ints, values: Any, first: Any = None) -> Floats:
    """Log-likelihood of each row, or unit, under each target."""
    found = assign(network, targets, np.full(len(targets), 1 / len(targets)), values, first)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(found.columns) + found.log_reference[:, None])


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", PROBLEMS)
def test_long_units_stay_in_range(kind: str, missing: bool) -> None:
    """Of 200 rows each: posterior and log-likelihood are those of sums of logarithms."""
    if missing and kind == "counts":
        pytest.skip("these counts, of the tests alone, cannot be missing")
    for seed in range(3):
        rng = np.random.default_rng([seed, list(PROBLEMS).index(kind)])
        network, targets, draw = PROBLEMS[kind](rng)
        values = np.concatenate([draw(t, 200) for t in range(len(targets))])
        if missing:
            gap = np.nan if np.issubdtype(values.dtype, np.floating) else -1
            values = np.where(rng.random(values.shape) < 0.2, gap, values)
        first = np.arange(len(targets)) * 200
        exact = np.add.reduceat(logs(network, targets, values), first, axis=0)
        found = logs(network, targets, values, first)
        assert not np.isnan(found).any()
        largest = exact.max(axis=1, keepdims=True)
        assert np.isfinite(largest).all()
        assert np.isfinite(found.max(axis=1)).all()
        # What is hopeless stays so, and what is not is exact.
        hopeless = exact < largest - 100
        assert hopeless.any()
        assert (found < largest - 45)[hopeless].all()
        np.testing.assert_allclose(found[~hopeless], exact[~hopeless], rtol=1e-9)


def test_factors_of_units_are_products() -> None:
    rng = np.random.default_rng(3)
    network, targets, draw = states(rng, True)
    values = np.concatenate([draw(t, 6) for t in range(len(targets))])
    first = np.arange(0, len(values), 3)
    rows, units = MechanismFactors(network, values), MechanismFactors(network, values, first=first)
    np.testing.assert_allclose(units.log_factor, np.add.reduceat(rows.log_factor, first))
    assert np.array_equal(units.zeros, np.logical_or.reduceat(rows.zeros, first))
    of_rows = np.log(np.maximum(rows.columns(targets), 1e-300)) + rows.log_base()[:, None]
    positive = np.logical_and.reduceat(rows.columns(targets) > 0, first)
    found = units.columns(targets)
    assert np.array_equal(found > 0, positive)
    together = np.add.reduceat(of_rows, first) - units.log_base()[:, None]
    np.testing.assert_allclose(np.log(found[positive]), together[positive], atol=1e-9)
    some = units.restricted(np.array([3, 1]), 2)
    assert np.array_equal(some.codes, units.codes[[3, 1], :2])
    assert some.n_configurations == 2
