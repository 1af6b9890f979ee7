"""Rows in order of time: pieces, units of every so many-th, and what a fitted chain says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.chain.errors import Interval
from dosift.chain.fit import fit_chain
from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.data.order import RowOrder
from dosift.inference.weight_posterior import WeightPosterior
from dosift.model.network import Network
from dosift.pipeline.in_time import InTime, _with_draws
from dosift.pipeline.series import Series, _cut, smoothed_rows, stretches

NETWORK = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.8, 0.2]})
TARGETS = np.array([[-1], [1]], dtype=np.int16)
DISTINCT = np.array([[0], [1]])


def series_of(seen: list[int], batch: list[int] | None = None) -> Series:
    order = RowOrder.even(len(seen))
    block, beside = Block(DISTINCT, np.ones(2)), Beside()
    if batch is not None:
        # Rows of two batches, side by side: their codes are the same.
        begins = np.append(True, np.diff(batch) != 0)
        exposure = np.where(begins, np.inf, 1.0)
        order = replace(order, begins=begins, exposure=exposure, batch=np.array(batch))
        beside = Beside(("first", "second"))
        block = Block(np.repeat(DISTINCT, 2, axis=0), np.ones(4), np.array([0, 1, 0, 1]))
        index = 2 * np.array(seen) + np.array(batch)
        return Series(block, index, order, beside)
    return Series(block, np.array(seen), order, beside)


def test_stretches_are_cut_where_they_say_too_much() -> None:
    stretch = np.array([0, 0, 0, 0, 1, 1, 1])
    cost = np.array([100.0, 60.0, 100.0, 60.0, 10.0, 10.0, 200.0])
    # A piece of 150 nats at most begins anew with each stretch.
    assert _cut(stretch, cost).tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert _cut(stretch, np.zeros(7)).tolist() == stretch.tolist()
    begins = np.array([True, False, False, True, False])
    assert stretches(np.array([1, 1, 0, 0, 0]), begins).tolist() == [0, 0, 1, 2, 2]


def test_units_are_every_so_many_th() -> None:
    series = series_of([0, 1, 1, 0, 0, 0, 1, 1])
    unit = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    whole = series.in_units(NETWORK, unit, 10).evidence
    assert whole.total == 4.0
    assert whole.has_units
    held = whole.held
    assert held is not None
    rows = [tuple(own.ravel()) for own in np.split(held.values, held.first[1:])]  # type: ignore[index]
    found = dict(zip(rows, held.counts.tolist(), strict=True))
    assert sum(found.values()) == 4.0
    assert {tuple(sorted(one)) for one in found} == {(0, 1), (0, 0), (1, 1)}
    # Of four units two at most: every third, from the first on.
    few = series.in_units(NETWORK, unit, 1).evidence
    assert few.total == 2.0
    kept = series.in_units(NETWORK, unit, 3).evidence
    assert kept.total == 4.0


def test_each_batch_keeps_its_first_unit() -> None:
    series = series_of([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1])
    found = series.in_units(NETWORK, np.array([0, 1, 2, 3, 4, 5]), 2).evidence
    assert found.held is not None
    assert found.held.batch is not None
    # Numbers 0 to 5: every second, 0 and 2 of the first, 4 of the second.
    counts = np.bincount(found.held.batch, found.held.counts)
    assert counts.tolist() == [2.0, 1.0]
    np.testing.assert_allclose(series.shares, [4 / 6, 2 / 6])
    assert series_of([0, 1]).shares.tolist() == [1.0]


def test_rows_with_a_label_have_taught_already() -> None:
    plain = series_of([0, 1, 1, 0])
    block = replace(plain.block, label=np.array([-1, 0]))
    series = replace(plain, block=block, labels=np.array([[1]]))
    found = series.in_units(NETWORK, np.arange(4), 10).evidence
    assert found.total == 2.0
    assert series.labelled(TARGETS).tolist() == [[False, True]]
    assert plain.labelled(TARGETS).tolist() == [[False, False]]


def test_rows_without_times_are_in_an_order_that_says_nothing() -> None:
    block = Block(DISTINCT, np.array([30.0, 10.0]))
    found = Series.shuffled(block, 3)
    assert np.bincount(found.index).tolist() == [30, 10]
    assert found.index.tolist() != sorted(found.index.tolist())
    assert found.index.tolist() == Series.shuffled(block, 3).index.tolist()
    assert found.order.begins.tolist() == [True] + [False] * 39


def test_a_part_begins_anew() -> None:
    series = series_of([0, 1, 1, 0, 1], [0, 0, 0, 1, 1])
    found = series.part(slice(1, 4))
    assert found.index.tolist() == series.index[1:4].tolist()
    assert found.order.begins.tolist() == [True, False, True]
    assert found.order.exposure.tolist() == [np.inf, 1.0, np.inf]
    assert found.order.batch is not None
    assert found.order.batch.tolist() == [0, 0, 1]
    assert series.order.begins.tolist() == [True, False, False, True, False]


@pytest.fixture(scope="module")
def fitted() -> InTime:
    """Two batches, in which a = 1 is set in a long stretch or not."""
    seen = [0, 0, 1, 0, 0] * 6 + [1] * 20 + [0] * 10 + [0, 0, 1, 0, 0] * 4
    series = series_of(seen, [0] * 60 + [1] * 20)
    chain = series.chain(NETWORK, TARGETS)
    fit = fit_chain(chain, np.array([[0.6, 0.4], [1.0, 0.0]]))
    return InTime.of(series, chain, fit)


def test_weights_of_all_are_those_of_batches_by_their_rows(fitted: InTime) -> None:
    np.testing.assert_allclose(fitted.weights, 0.75 * fitted.fit.weights[0] + [0.25, 0.0])
    assert fitted.rate == fitted.fit.rate
    slow = replace(fitted, order=replace(fitted.order, step=2.0))
    assert slow.rate == pytest.approx(0.5 * fitted.fit.rate)


def test_rows_are_counted_by_their_posterior(fitted: InTime) -> None:
    posterior = fitted.posterior
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    np.testing.assert_allclose(fitted.posterior_rows(0), posterior[:60].sum(axis=0))
    np.testing.assert_allclose(fitted.posterior_rows(1), [20.0, 0.0], atol=1e-9)
    some = np.zeros(80, dtype=bool)
    some[:10] = True
    np.testing.assert_allclose(fitted.posterior_rows(0, some), posterior[:10].sum(axis=0))
    best, sure = posterior.argmax(axis=1), posterior.max(axis=1)
    assert fitted.certainty.rows.tolist() == np.bincount(best).tolist()
    means = [sure[best == k].mean() for k in range(2)]
    np.testing.assert_allclose(fitted.certainty.mean_probability, means)
    result: Any = fitted.with_shares(_result())
    np.testing.assert_allclose(result.weights, posterior.mean(axis=0))
    np.testing.assert_allclose(result.batch_weights[0], posterior[:60].mean(axis=0))


def _result() -> Any:
    from dosift.search.result import SearchResult

    return SearchResult(NETWORK, TARGETS, np.array([0.7, 0.3]), -90.0, -100.0, 0.0, True)


def test_the_chain_says_weights_and_likelihood(fitted: InTime) -> None:
    found = fitted.with_weights(_result())
    assert found.log_likelihood == fitted.fit.log_likelihood
    assert found.penalised_score == pytest.approx(fitted.fit.log_likelihood - 10.0)
    np.testing.assert_allclose(found.weights, fitted.weights)
    assert found.batch_weights is fitted.fit.weights
    assert found.converged
    off = replace(fitted, fit=replace(fitted.fit, converged=False))
    assert not off.with_weights(_result()).converged


def test_a_gap_over_which_a_switch_is_likelier_than_not_ends_a_stretch(fitted: InTime) -> None:
    exposure = fitted.order.exposure.copy()
    exposure[5] = np.log(2.0) / fitted.fit.rate * 1.01
    exposure[9] = np.log(2.0) / fitted.fit.rate * 0.99
    gap = replace(fitted, order=replace(fitted.order, exposure=exposure))
    assert exposure[9] > 1.5
    assert np.flatnonzero(gap.breaks).tolist() == [0, 5, 60]
    # A step that is nearly typical is no gap, however fast targets switch.
    fast = replace(gap, fit=replace(fitted.fit, rate=3.0))
    assert np.flatnonzero(fast.breaks).tolist() == [0, 5, 9, 60]


def test_targets_last_by_the_rate_at_which_others_come(fitted: InTime) -> None:
    level = 0.9
    fitted._rates[level] = Interval(0.1, 0.05, 0.4)
    found = fitted.switching(level)
    assert (found.value, found.low, found.high) == pytest.approx(
        tuple(1.0 - np.exp(-r) for r in (0.1, 0.05, 0.4))
    )
    weights = fitted.fit.weights
    other = 1.0 - (0.75 * (weights[0] ** 2).sum() + 0.25 * (weights[1] ** 2).sum())
    lasts = fitted.lasts(level)
    assert (lasts.value, lasts.low, lasts.high) == pytest.approx(
        (1.0 / (0.1 * other), 1.0 / (0.4 * other), 1.0 / (0.05 * other))
    )
    slow = replace(fitted, order=replace(fitted.order, step=2.0))
    slow._rates[level] = Interval(0.1, 0.0, 0.4)
    assert slow.lasts(level).value == pytest.approx(2.0 / (0.1 * other))
    assert slow.lasts(level).high == np.inf


def test_absence_is_told_by_what_the_likelihood_loses(
    fitted: InTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dosift.pipeline import in_time

    monkeypatch.setattr(in_time, "losses", lambda rows, fit: np.array([np.inf, 3.0]))
    fit: Any = SimpleNamespace(n_drawn=40.0)
    found = fitted._absent(fitted.chain, fit, np.array([0.0, 0.5]))
    # Odds of half the logarithm of the draws, less the prior's and the gain.
    assert found[0] == 0.0
    assert found[1] == pytest.approx(1.0 / (1.0 + np.exp(3.0 + 0.5) / np.sqrt(40.0)))
    half = replace(fitted, power=0.5)._absent(fitted.chain, fit, np.array([0.0, 0.5]))
    assert half[1] == pytest.approx(1.0 / (1.0 + np.exp(1.5 + 0.5) / np.sqrt(20.0)))


@dataclass(frozen=True)
class Holder:
    """What has a posterior of weights."""

    of_weights: Any


def test_draws_of_the_chain_stand_beside_those_of_undecided_targets() -> None:
    """Of two components, and two targets that are undecided, one of which was never in doubt."""
    draws = np.array([[0.1, 0.2, 0.0], [0.1, 0.0, 0.3]])
    own = WeightPosterior(
        np.array([0.7, 0.3, 0.0, 0.0]),
        np.array([0.0, 0.1, 0.6, 0.7]),
        np.array([0]),
        np.array([1, 2, 3]),
        draws,
        np.zeros(1),
        np.zeros((1, 3)),
        np.eye(1),
        np.zeros(4),
    )
    drawn = np.random.default_rng(0).dirichlet([7.0, 3.0], 50)
    weights, errors = np.array([0.65, 0.35]), np.array([0.05, 0.0])
    absent = np.array([0.01, 0.2])
    holder: Any = Holder(own)
    found = _with_draws(holder, weights, drawn, errors, absent, np.random.default_rng(1)).of_weights
    assert isinstance(found, WeightPosterior)
    assert found.estimate.tolist() == [0.65, 0.35, 0.0, 0.0]
    assert found.absent.tolist() == [0.01, 0.2, 0.6, 0.7]
    assert (found.sure.tolist(), found.unsure.tolist()) == ([], [0, 1, 2, 3])
    np.testing.assert_array_equal(found.draws[:, :2], drawn)
    assert {tuple(one) for one in found.draws[:, 2:].tolist()} == {(0.2, 0.0), (0.0, 0.3)}
    assert found.z[0] == pytest.approx(13.0)
    assert found.z[1] > 1e200
    assert found.z[2:].tolist() == [0.0, 0.0]
    same = _with_draws(holder, weights, drawn, errors, None, np.random.default_rng(1)).of_weights
    assert same.absent.tolist() == own.absent.tolist()
    other: Any = Holder("nothing")
    assert _with_draws(other, weights, drawn, errors, None, np.random.default_rng(1)) is other


def test_pieces_say_as_much_for_their_target_as_rows_do() -> None:
    """A row with a = 1 speaks log 5 for what sets it, one with a = 0 nothing beside do()."""
    series = series_of([0] * 10 + [1] * 200)
    stretch = np.repeat([0, 1], [10, 200])
    found = series.pieces(NETWORK, TARGETS, stretch)
    so_far = np.log(5.0) * np.arange(200)
    expected = np.append(np.zeros(10), 1 + so_far // 150.0)
    assert found.tolist() == expected.astype(int).tolist()


def test_posteriors_of_known_weights_are_in_the_order_of_the_input() -> None:
    shown = [0, 1, 1, 1, 0, 1]
    place = np.array([3, 0, 5, 1, 4, 2])
    order = replace(RowOrder.even(6), place=place, step=2.0)
    rows = MemoryBlocks(DISTINCT, np.ones(2))
    inverse = np.empty(6, dtype=int)
    inverse[place] = shown
    loaded: Any = SimpleNamespace(order=order, rows=rows, inverse=inverse)
    weights = np.array([0.7, 0.3])
    found = smoothed_rows(NETWORK, TARGETS, weights, 0.2, loaded)
    # By all sequences; a step is of two units of time.
    stay = np.exp(-0.4)
    paths = np.array(list(product([0, 1], repeat=6)))
    columns = np.array([[0.8, 0.0], [0.2, 1.0]])[shown]
    probability = np.ones(len(paths))
    for t in range(6):
        own = weights[paths[:, t]]
        if t:
            own = (1.0 - stay) * own + stay * (paths[:, t] == paths[:, t - 1])
        probability *= own * columns[t, paths[:, t]]
    for t in range(6):
        expected = probability[paths[:, t] == 1].sum() / probability.sum()
        assert found[place[t], 1] == pytest.approx(expected)
    # Weights of one batch each.
    order = replace(order, batch=np.zeros(6, dtype=int))
    batched: Any = SimpleNamespace(order=order, rows=rows, inverse=inverse)
    np.testing.assert_allclose(smoothed_rows(NETWORK, TARGETS, weights[None], 0.2, batched), found)
