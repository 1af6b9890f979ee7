"""Evidence against sums written out: batches, missing values, labels, zeros; held or in blocks."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dosift.data import collapse
from dosift.data.blocks import Block
from dosift.likelihood.cells import family_cells
from dosift.likelihood.columns import RowLikelihoods, TargetColumns, is_plain
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weight_sums import SumWeights
from dosift.model.network import Network
from plain_sums import OTHERS, TARGETS, PlainRows, cell_probability, toy_rows, toy_weights

KINDS = [
    dict(zip(("zeros", "batches", "missing", "labels"), kind, strict=True))
    for kind in itertools.product([False, True], repeat=4)
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 25)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 25)
    monkeypatch.setattr("dosift.data.blocks._CHUNK_ROWS", 10)
    monkeypatch.setattr("dosift.likelihood.weight_sums._AT_A_TIME", 2)


@pytest.fixture(params=KINDS, ids=lambda kind: "+".join(k for k, v in kind.items() if v) or "plain")
def rows(request: pytest.FixtureRequest) -> PlainRows:
    return toy_rows(4, **request.param)


@pytest.mark.parametrize("held", [True, False])
def test_what_is_counted(rows: PlainRows, held: bool) -> None:
    evidence = rows.evidence(held)
    n_rows = [rows.counts[rows.of_batch(b)].sum() for b in range(rows.n_batches)]
    np.testing.assert_allclose(evidence.n_rows, n_rows)
    assert evidence.n_batches == rows.n_batches
    assert evidence.total == pytest.approx(rows.counts.sum())
    assert evidence.without_batch == 0
    lacking = (rows.codes < 0).any(axis=1)
    assert evidence.incomplete == pytest.approx(rows.counts[lacking].sum())
    for i, family in enumerate(evidence.families):
        expected = np.zeros_like(family)
        for row, count in zip(rows.codes, rows.counts, strict=True):
            if row[[i, *rows.network.parents[i]]].min() >= 0:
                expected[rows.network.parent_rows(i, row[None])[0], row[i]] += count
        np.testing.assert_allclose(family, expected)
    plain = held and not lacking.any() and rows.batch is None and rows.label is None
    assert evidence.is_plain is plain


@pytest.mark.parametrize("held", [True, False])
def test_weighing(rows: PlainRows, held: bool) -> None:
    weights = toy_weights(rows.n_batches)
    evidence = rows.evidence(held)
    for others in (None, OTHERS):
        every = TARGETS if others is None else np.concatenate([TARGETS, others])
        found = evidence.weigh(rows.network, TARGETS, weights, others)
        columns, mixture = rows.likelihoods(every), rows.mixture(TARGETS, weights)
        for b in range(rows.n_batches):
            at = rows.of_batch(b) & (mixture > 0)
            relative = columns[at] / mixture[at, None]
            counts = rows.counts[at]
            np.testing.assert_allclose(found.gradient[b], counts @ relative, rtol=1e-10)
            np.testing.assert_allclose(
                found.information[b], (relative * counts[:, None]).T @ relative, rtol=1e-10
            )
            assert found.n_possible[b] == pytest.approx(counts.sum())
            impossible = rows.counts[rows.of_batch(b) & (mixture <= 0)].sum()
            assert found.n_impossible[b] == pytest.approx(impossible)
            largest = (counts @ relative).max() / counts.sum()
            assert found.gap[b] == pytest.approx(max(largest - 1.0, 0.0))
        if not found.n_impossible.any():
            whole = found.log_density.sum() + evidence.reference(rows.network)
            expected = rows.log_likelihood(TARGETS, weights)
            assert whole == pytest.approx(expected.sum(), rel=1e-11)
            if rows.codes.min() < 0:  # densities are probabilities
                np.testing.assert_allclose(found.log_density, expected, rtol=1e-11)
        some = found.some(np.array([2, 0]))
        assert np.array_equal(some.gradient, found.gradient[:, [2, 0]])
        assert np.array_equal(some.information[:, 0, 1], found.information[:, 2, 0])
        assert np.array_equal(some.log_density, found.log_density)


def test_a_mixture_that_cannot_produce_some_rows(rows: PlainRows) -> None:
    """The others are summed over, and those are counted."""
    some = TARGETS[[1, 2]]
    weights = np.full((rows.n_batches, 2), 0.5)
    mixture = rows.mixture(some, weights)
    for held in (True, False):
        found = rows.evidence(held).weigh(rows.network, some, weights)
        for b in range(rows.n_batches):
            at = rows.of_batch(b)
            lost = rows.counts[at & (mixture <= 0)].sum()
            assert found.n_impossible[b] == pytest.approx(lost)
            assert found.n_possible[b] == pytest.approx(rows.counts[at].sum() - lost)
            assert lost > 0
            possible = at & (mixture > 0)
            relative = rows.likelihoods(some)[possible] / mixture[possible, None]
            np.testing.assert_allclose(found.gradient[b], rows.counts[possible] @ relative)


@pytest.mark.parametrize("held", [True, False])
def test_comparing(rows: PlainRows, held: bool) -> None:
    weights = toy_weights(rows.n_batches, 1)
    found = rows.evidence(held).compare(rows.network, TARGETS, weights, OTHERS)
    mixture = rows.mixture(TARGETS, weights)
    ratio = np.where(mixture > 0, 1.0 / np.where(mixture > 0, mixture, 1.0), 0.0)[:, None]
    own, others = rows.likelihoods(TARGETS) * ratio, rows.likelihoods(OTHERS) * ratio
    for b in range(rows.n_batches):
        at = rows.of_batch(b)
        counts = rows.counts[at]
        np.testing.assert_allclose(found.own[b], counts @ own[at], rtol=1e-10)
        weighted = own[at] * counts[:, None]
        np.testing.assert_allclose(found.own_information[b], weighted.T @ own[at], rtol=1e-10)
        np.testing.assert_allclose(found.gradient[b], counts @ others[at], rtol=1e-10)
        np.testing.assert_allclose(found.curvature[b], counts @ others[at] ** 2, rtol=1e-10)
        np.testing.assert_allclose(found.cross[b], others[at].T @ weighted, rtol=1e-10)
    some = found.some(np.array([2]))
    assert np.array_equal(some.gradient, found.gradient[:, [2]])
    assert np.array_equal(some.curvature, found.curvature[:, [2]])
    assert np.array_equal(some.cross, found.cross[:, [2]])
    assert np.array_equal(some.own, found.own)


def says_something(rows: PlainRows, r: int, i: int) -> bool:
    """Whether a variable or one that descends from it was seen, so that its family is filled in."""
    below = {i}
    for j in rows.network.order:
        if any(p in below for p in rows.network.parents[j]):
            below.add(int(j))
    return any(rows.codes[r, j] >= 0 for j in below)


@pytest.mark.parametrize("held", [True, False])
def test_teaching(rows: PlainRows, held: bool) -> None:
    """Each row counts for a family as far as it was left alone, labelled rows not at all."""
    network, weights = rows.network, toy_weights(rows.n_batches, 2)
    learners = (0, 2, 3)
    families = rows.evidence(held).teach(network, TARGETS, weights, learners)
    mixture = rows.mixture(TARGETS, weights)
    assert len(families) == len(learners)
    for i, family in zip(learners, families, strict=True):
        expected = np.zeros_like(family)
        for r in range(len(rows.codes)):
            labelled = rows.label is not None and rows.label[r] >= 0
            if labelled or mixture[r] <= 0 or not says_something(rows, r, i):
                continue
            own = weights[0 if rows.batch is None else rows.batch[r]]
            for cell in map(np.array, rows.completions(r)):
                place = network.parent_rows(i, cell[None])[0], cell[i]
                for target, weight in zip(TARGETS, own, strict=True):
                    if target[i] < 0:
                        p = cell_probability(network, list(network.tables), target, cell)
                        expected[place] += rows.counts[r] * weight * p / mixture[r]
        np.testing.assert_allclose(family, expected, rtol=1e-9, atol=1e-12)


def test_pooled_rows_have_lost_their_batches_and_nothing_else() -> None:
    for missing, labels in itertools.product([False, True], repeat=2):
        rows = toy_rows(5, batches=True, missing=missing, labels=labels)
        one = replace(rows, batch=None)
        weights = toy_weights(1)
        for held in (True, False):
            pooled = rows.evidence(held).pooled
            expected = one.evidence(held)
            assert pooled.n_batches == 1
            assert pooled.total == pytest.approx(expected.total)
            assert pooled.incomplete == expected.incomplete
            assert pooled.pooled is pooled
            for a, b in zip(pooled.families, expected.families, strict=True):
                np.testing.assert_allclose(a, b)
            for name in ("gradient", "information", "log_density", "n_possible"):
                a, b = (
                    getattr(e.weigh(rows.network, TARGETS, weights), name)
                    for e in (pooled, expected)
                )
                np.testing.assert_allclose(a, b, rtol=1e-10)


def test_distinct_rows_and_repeated_ones_are_the_same_evidence() -> None:
    rows = toy_rows(6, n_rows=200)
    found = collapse(rows.codes, rows.network.cardinalities, rows.counts)
    evidence = Evidence.of_configurations(rows.network, found)
    assert evidence.held is not None
    assert len(evidence.held) == len(found.codes) < 200
    assert np.array_equal(evidence.configurations.codes, found.codes)
    assert np.array_equal(evidence.configurations.counts, found.counts)
    one = evidence.weigh(rows.network, TARGETS, toy_weights(1))
    other = rows.evidence(False).weigh(rows.network, TARGETS, toy_weights(1))
    np.testing.assert_allclose(one.information, other.information, rtol=1e-10)


def test_remembered_columns_follow_the_tables() -> None:
    """Rows that are held under one network, then under others, give what fresh ones give."""
    for missing, labels in itertools.product([False, True], repeat=2):
        rows = toy_rows(7, missing=missing, labels=labels, batches=True)
        evidence = rows.evidence(True)
        weights = toy_weights(3)
        network = rows.network
        tables = list(network.tables)
        tables[2] = tables[2][:, ::-1]
        other = network.with_tables(tables)
        zeros = [t.copy() for t in tables]
        zeros[3][0], zeros[1][1] = [0.0, 1.0], [0.0, 0.5, 0.5]
        for now in (network, other, network.with_tables(zeros), network, other):
            found = evidence.weigh(now, TARGETS, weights)
            fresh = replace(rows, network=now)
            again = fresh.evidence(False).weigh(now, TARGETS, weights)
            np.testing.assert_allclose(found.gradient, again.gradient, rtol=1e-10)
            np.testing.assert_allclose(found.information, again.information, rtol=1e-10)
            np.testing.assert_allclose(found.n_impossible, again.n_impossible)
            a = found.log_density.sum() + evidence.reference(now)
            b = again.log_density.sum() + fresh.evidence(False).reference(now)
            if not found.n_impossible.any():
                assert a == pytest.approx(b, rel=1e-11)


def test_columns_are_remembered_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = toy_rows(8)
    asked: list[bytes] = []
    compute = RowLikelihoods._compute

    def counted(self: RowLikelihoods, target: np.ndarray) -> Any:
        asked.append(target.tobytes())
        return compute(self, target)

    monkeypatch.setattr(RowLikelihoods, "_compute", counted)
    block = Block(rows.codes, rows.counts)
    remembered = RowLikelihoods(rows.network, block, True, remember=True)
    first = remembered.columns(TARGETS)
    np.testing.assert_array_equal(remembered.columns(TARGETS[::-1]), first[:, ::-1])
    assert len(asked) == len(TARGETS)
    remembered._most = len(TARGETS)
    remembered.columns(OTHERS[:1])
    remembered.columns(TARGETS[1:])
    assert len(asked) == len(TARGETS) + 1
    remembered.columns(TARGETS[:1])
    assert len(asked) == len(TARGETS) + 2
    forgetful = RowLikelihoods(rows.network, block, True)
    forgetful.columns(TARGETS)
    np.testing.assert_array_equal(forgetful.columns(TARGETS), first)
    # What was computed last is at hand; nothing else is.
    assert len(asked) == 2 * len(TARGETS) + 2
    forgetful.columns(TARGETS[:1])
    np.testing.assert_array_equal(forgetful.columns(TARGETS), first)
    assert len(asked) == 3 * len(TARGETS) + 3


def test_columns_times_their_reference_are_probabilities(rows: PlainRows) -> None:
    block = rows.evidence(True).held
    assert block is not None
    plain = is_plain(rows.network, TARGETS, block)
    for absolute in (False, True):
        found = RowLikelihoods(rows.network, block, plain, rows.label_targets, absolute)
        each = found.columns(TARGETS) * np.exp(found.log_reference)[:, None]
        np.testing.assert_allclose(each, rows.likelihoods(TARGETS), rtol=1e-10, atol=1e-300)
        if absolute:
            np.testing.assert_allclose(found.log_scale, found.log_reference)


def test_completions_add_up_to_their_rows(rows: PlainRows) -> None:
    block = rows.evidence(True).held
    assert block is not None
    found = RowLikelihoods(
        rows.network, block, is_plain(rows.network, TARGETS, block), rows.label_targets
    )
    expanded = found.expanded(TARGETS)
    if expanded.row is None:
        assert rows.codes.min() >= 0
        np.testing.assert_array_equal(expanded.columns, found.columns(TARGETS))
        assert expanded.of_rows(rows.counts) is rows.counts
        return
    summed = np.zeros((len(rows.codes), len(TARGETS)))
    np.add.at(summed, expanded.row, expanded.columns)
    np.testing.assert_allclose(summed, found.columns(TARGETS), rtol=1e-12)
    np.testing.assert_array_equal(expanded.of_rows(rows.counts), rows.counts[expanded.row])


def test_the_bound_of_plain_columns() -> None:
    tiny = 1e-200
    network = Network.from_tables(
        {name: ["0", "1"] for name in "abc"},
        {},
        {name: [tiny, 1 - tiny] for name in "abc"},
    )
    block = Block(np.zeros((1, 3), dtype=int), np.ones(1))
    assert is_plain(network, np.array([[0, -1, -1]]), block)
    assert not is_plain(network, np.array([[0, -1, -1], [-1, 0, -1]]), block)
    assert not is_plain(
        Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.0, 1.0]}), np.array([[-1]]), block
    )


def test_cells_of_families_are_small_integers_that_do_not_overflow() -> None:
    names = [f"p{k}" for k in range(3)]
    sizes = {**dict.fromkeys(names, 30), "x": 3}
    states = {name: [str(a) for a in range(k)] for name, k in sizes.items()}
    tables = {name: np.full((1, 30), 1 / 30) for name in names}
    tables["x"] = np.full((27_000, 3), 1 / 3)
    network = Network.from_tables(states, {"x": names}, tables)
    rng = np.random.default_rng(0)
    codes = np.stack([rng.integers(sizes[n], size=50) for n in network.names], axis=1)
    x = network.positions["x"]
    cells = family_cells(network, x, codes.astype(np.int8))
    rows = network.parent_rows(x, codes)
    assert np.array_equal(cells, rows * 3 + codes[:, x])
    assert family_cells(network, network.positions["p0"], codes).dtype == np.int8


def test_tasks_can_be_sent_to_others() -> None:
    rows = toy_rows(9, labels=True, batches=True)
    columns = TargetColumns(rows.network, TARGETS, rows.label_targets)
    again = pickle.loads(pickle.dumps((columns, SumWeights(TARGETS, toy_weights(3)))))
    block = rows.evidence(True).held
    assert block is not None
    for one, other in zip(
        SumWeights(TARGETS, toy_weights(3))(columns(block)), again[1](again[0](block)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
