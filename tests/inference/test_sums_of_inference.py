"""What the inference sums over rows, against derivatives taken numerically; and batches apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dosift.data.blocks import Block
from dosift.inference.network_error import information_from_sums, table_sums
from dosift.inference.p_values import log_likelihood_losses
from dosift.inference.posterior import (
    Losses,
    posterior_from_sums,
    posterior_of_fit,
    posteriors_of_batches,
)
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.likelihood.solve import solve
from dosift.model.network import ControlCounts, Network
from dosift.search.undecided import Undecided
from plain_sums import TARGETS, PlainRows, toy_network, toy_rows, toy_weights


def block_of(rows: PlainRows) -> RowLikelihoods:
    return RowLikelihoods(rows.network, Block(rows.codes, rows.counts, rows.batch), False)


def scaled_slopes(rows: PlainRows, weights: np.ndarray, i: int, place: tuple[int, int]) -> tuple:  # type: ignore[type-arg]
    """Derivatives by the logarithm of an entry: of each weight's slope, and twice of the value."""

    def at(step: float) -> tuple[np.ndarray, np.ndarray]:
        tables = [t.copy() for t in rows.network.tables]
        tables[i][place] += step * tables[i][place]
        columns = rows.likelihoods(TARGETS, tables)
        mixture = rows.mixture(TARGETS, weights, tables)
        slopes = np.array(
            [
                (rows.counts[at] / mixture[at]) @ columns[at]
                for at in map(rows.of_batch, range(rows.n_batches))
            ]
        )
        return slopes, rows.log_likelihood(TARGETS, weights, tables)

    h = 1e-4
    up, now, down = at(h), at(0.0), at(-h)
    return -(up[0] - down[0]) / (2 * h), -(up[1] - 2 * now[1] + down[1]) / h**2


@pytest.mark.parametrize("kind", [{}, {"batches": True}, {"missing": True}])
def test_sums_of_the_tables_are_second_derivatives(kind: dict[str, bool]) -> None:
    rows = toy_rows(1, n_rows=30, **kind)
    weights = toy_weights(rows.n_batches)
    found = table_sums(block_of(rows), TARGETS, weights, True)
    plain = table_sums(block_of(rows), TARGETS, weights, False)
    for i, table in enumerate(rows.network.tables):
        assert not plain[i][:, -1].any()
        np.testing.assert_array_equal(plain[i][:, :-1], found[i][:, :-1])
        cross, own = np.zeros_like(found[i][:, :-1]), np.zeros_like(found[i][:, -1])
        for place in np.ndindex(table.shape):
            cell = place[0] * table.shape[1] + place[1]
            cross[:, :, cell], own[:, cell] = scaled_slopes(rows, weights, i, place)  # type: ignore[arg-type]
        if not kind.get("missing"):
            np.testing.assert_allclose(found[i][:, :-1], cross, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found[i][:, -1], own, rtol=1e-3, atol=1e-3)
            continue
        # A value that stays open moves all entries of a row alike, and these sum to one.
        off = (found[i][:, :-1] - cross).reshape(*cross.shape[:2], *table.shape) / table
        np.testing.assert_allclose(off, np.repeat(off[..., :1], table.shape[1], -1), atol=1e-4)
        assert (found[i][:, -1] >= 0).all()


def test_known_tables_take_nothing_and_endless_control_rows_neither() -> None:
    rows = toy_rows(2)
    weights = toy_weights(1)
    known = rows.evidence(True).weigh(rows.network, TARGETS, weights).information[0]
    counts = tuple(np.full(t.shape, 1e13) * t for t in rows.network.tables)
    endless = Network(
        rows.network.variables,
        rows.network.parents,
        rows.network.tables,
        ControlCounts(counts, 0.5, 1e13),
    )
    few = Network(
        endless.variables,
        endless.parents,
        endless.tables,
        ControlCounts(tuple(200.0 * t for t in endless.tables), 0.5, 200),
    )
    for refined in (True, False):
        sums = [part[0] for part in table_sums(block_of(rows), TARGETS, weights, refined)]
        left = information_from_sums(endless, known, sums, refined)
        np.testing.assert_allclose(left, known, rtol=1e-4, atol=1e-6)
        less = information_from_sums(few, known, sums, refined)
        # Never more than is known if the tables are, and never nothing.
        assert np.linalg.eigvalsh(known - less).min() > -1e-6 * np.abs(known).max()
        assert np.linalg.eigvalsh(less).min() > 0
        assert np.trace(less) < np.trace(known)


def test_errors_of_tables_from_control_rows_add_to_the_weights_own() -> None:
    """One table, not refined: the delta method, entry by entry of the multinomial covariance."""
    rows = toy_rows(3)
    weights = toy_weights(1)
    known = rows.evidence(True).weigh(rows.network, TARGETS, weights).information[0]
    sums = [part[0].copy() for part in table_sums(block_of(rows), TARGETS, weights, False)]
    n = 300.0
    counts = tuple(n * t for t in rows.network.tables)
    network = Network(
        rows.network.variables,
        rows.network.parents,
        rows.network.tables,
        ControlCounts(counts, 0.0, n),
    )
    found = information_from_sums(network, known, sums, False)
    lost = np.zeros_like(known)
    for table, part in zip(network.tables, sums, strict=True):
        cross = part[:-1].reshape(len(TARGETS), *table.shape) / table
        for row in range(len(table)):
            p = table[row]
            covariance = (np.diag(p) - np.outer(p, p)) / n
            lost += cross[:, row] @ covariance @ cross[:, row].T
    inverse = np.linalg.inv(known)
    expected = np.linalg.inv(inverse + inverse @ lost @ inverse)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("learned", [False, True])
def test_each_batch_is_believed_as_if_it_were_alone(learned: bool) -> None:
    rows = toy_rows(4, batches=True, n_rows=240)
    network = rows.network
    if learned:
        network = Network(
            network.variables,
            network.parents,
            network.tables,
            ControlCounts(tuple(500.0 * t for t in network.tables), 0.5, 500),
        )
    start = np.full((3, 5), 0.2)
    found = solve(rows.evidence(True), network, TARGETS, start, 1e-11)
    odds = np.random.default_rng(0).normal(size=(3, 5))
    for held in (True, False):
        each = posteriors_of_batches(
            rows.evidence(held), network, TARGETS, found.weights, odds, learned
        )
        assert len(each) == 3
        for b, (own, posterior) in enumerate(each):
            weights = found.weights[b]
            assert set(own.tolist()) == set(np.flatnonzero(weights > 0).tolist())
            assert (np.diff(weights[own]) <= 0).all()
            assert posterior is not None
            at = rows.of_batch(b)
            alone = PlainRows(network, rows.codes[at], rows.counts[at])
            others = np.setdiff1d(np.arange(5), own)
            beside = Undecided(TARGETS[others], odds[b, others], odds[b, own])
            expected = posterior_of_fit(
                alone.evidence(held),
                network,
                TARGETS[own],
                weights[own],
                beside,
                learned,
                np.random.default_rng(0),
            )
            assert expected is not None
            np.testing.assert_allclose(
                posterior.of_weights.absent, expected.of_weights.absent, atol=1e-7
            )
            np.testing.assert_allclose(posterior.p_values, expected.p_values, rtol=1e-6, atol=1e-9)
            assert np.array_equal(posterior.undecided, TARGETS[others])


def test_batches_with_impossible_rows_have_no_posterior_and_the_others_have() -> None:
    rows = toy_rows(5, batches=True)
    some = TARGETS[[1, 0]]
    weights = np.array([[0.3, 0.7], [1.0, 0.0], [0.2, 0.8]])
    each = posteriors_of_batches(
        rows.evidence(True), rows.network, some, weights, np.zeros((3, 2)), False
    )
    assert [own.tolist() for own, _ in each] == [[1, 0], [0], [1, 0]]
    assert [posterior is None for _, posterior in each] == [False, True, False]
    assert (
        posterior_of_fit(
            PlainRows(rows.network, rows.codes, rows.counts).evidence(True),
            rows.network,
            some[:1],
            np.ones(1),
            None,
            False,
            np.random.default_rng(0),
        )
        is None
    )


def test_given_targets_have_errors_of_the_curvature_on_the_simplex() -> None:
    """Against the inverse of the bordered information, and known weights have none."""
    information = np.array([[900.0, 200.0, 50.0], [200.0, 1200.0, 300.0], [50.0, 300.0, 700.0]])
    weights = np.array([0.5, 0.3, 0.2])
    rng = np.random.default_rng(0)
    targets = np.array([[-1, -1], [0, -1], [-1, 1]])
    nobody = np.zeros(3, dtype=bool)
    posterior = posterior_from_sums(
        information, np.zeros(3), 1000.0, targets, weights, None, rng, nobody
    )
    assert not posterior.selected
    assert posterior.n_components == 3
    bordered = np.block([[information, np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    errors = np.sqrt(np.diag(np.linalg.inv(bordered))[:3])
    assert (posterior.of_weights.z > 0).all()
    np.testing.assert_allclose(weights / posterior.of_weights.z, errors, rtol=0.02)


def test_shares_of_false_ones_among_those_more_certain() -> None:
    rows = toy_rows(6, n_rows=300)
    found = solve(rows.evidence(True), rows.network, TARGETS, np.full((1, 5), 0.2), 1e-11)
    kept = found.weights[0] > 0
    beside = Undecided(TARGETS[~kept], np.full((~kept).sum(), -2.0), np.full(kept.sum(), -2.0))
    posterior = posterior_of_fit(
        rows.evidence(True),
        rows.network,
        TARGETS[kept],
        found.weights[0, kept],
        beside,
        False,
        np.random.default_rng(0),
    )
    assert posterior is not None
    absent = posterior.of_weights.absent[: posterior.n_components]
    for k, q in enumerate(posterior.q_values):
        surer = absent[absent <= absent[k]]
        assert q == pytest.approx(surer.mean())


def test_a_component_that_some_rows_need_is_there_whatever_the_expansion_says() -> None:
    """Two targets that differ in a few rows only, and a network whose errors hide these."""
    columns = np.array([[1.0, 1.05], [1.0, 0.0]])
    counts = np.array([950.0, 50.0])
    exact = columns.T @ (counts[:, None] * columns)
    hidden = np.full((2, 2), 1000.0) + np.diag([3.0, 3.0])
    targets = np.array([[0, -1], [0, 1]])
    odds = Undecided(targets[1:], np.array([-3.7]), np.array([-3.4]))
    arguments = (hidden, np.array([0.0, 0.0]), 1000.0, targets, np.ones(1), odds)
    nobody = np.zeros(1, dtype=bool)

    def lost(z: Any) -> Any:
        return log_likelihood_losses(columns, counts, np.ones(1), z)

    blind = posterior_from_sums(*arguments, np.random.default_rng(0), nobody)
    seeing = posterior_from_sums(*arguments, np.random.default_rng(0), nobody, Losses(exact, lost))
    assert blind.of_weights.absent[0] > 0.01
    assert seeing.of_weights.absent[0] < 1e-9
    assert seeing.p_values[0] == 0.0


@pytest.mark.parametrize("refined", [False, True])
def test_a_block_without_rows_adds_nothing(refined: bool) -> None:
    network = toy_network(1)
    codes = np.empty((0, 4), dtype=np.int16)
    block = Block(codes, np.empty(0))
    rows = RowLikelihoods(network, block, is_plain(network, TARGETS, block))
    found = table_sums(rows, TARGETS, np.full((1, 5), 0.2), refined)
    assert [part.shape for part in found] == [(1, 6, table.size) for table in network.tables]
    assert not any(part.any() for part in found)
