"""Counts of which a share is a few times as large."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.learning.count_mechanisms import learn_counts
from dosift.model.burst_counts import BurstMechanism, with_bursts
from dosift.model.counts import Fold, NegativeBinomialMechanism, SetCount

PLAIN = NegativeBinomialMechanism(0, (), (), (2.5,), dispersion=0.3)
BURST = BurstMechanism(0, (), (), (2.5,), dispersion=0.3, share=0.1, factor=3.0)


def drawn(mechanism: NegativeBinomialMechanism, n_rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return mechanism.draw(np.zeros((n_rows, 1)), rng)[:, None]


def test_probabilities_sum_to_one_under_every_change() -> None:
    every = np.arange(4000.0)[:, None]
    for mechanism in (BURST, Fold(0.2).applied(BURST), SetCount(30.0, 0.5).applied(BURST)):
        assert isinstance(mechanism, BurstMechanism)
        assert np.exp(mechanism.log_density(every)).sum() == pytest.approx(1.0, abs=1e-6)


def test_without_a_share_it_is_the_count_without_bursts() -> None:
    none = replace(BURST, share=0.0)
    values = drawn(PLAIN, 50, 0)
    with np.errstate(all="raise"):
        assert none.log_density(values) == pytest.approx(PLAIN.log_density(values))
        assert not none.posterior(values).any()
    assert none.plain == PLAIN


def test_a_missing_count_says_nothing() -> None:
    assert BURST.log_density(np.array([[np.nan]])).tolist() == [0.0]


def test_bursts_are_found_where_there_are_some() -> None:
    values = drawn(BURST, 5000, 1)
    found, gain = with_bursts(learn_counts(values, np.ones(5000), 0), values, np.ones(5000))
    assert gain > 50.0
    assert found.share == pytest.approx(0.1, abs=0.04)
    assert found.factor == pytest.approx(3.0, rel=0.15)
    assert found.dispersion == pytest.approx(0.3, rel=0.15)


@pytest.mark.parametrize("seed", range(10))
def test_bursts_gain_nothing_where_there_are_none(seed: int) -> None:
    values = drawn(PLAIN, 3000, 100 + seed)
    _, gain = with_bursts(learn_counts(values, np.ones(3000), 0), values, np.ones(3000))
    assert gain < 8.0
