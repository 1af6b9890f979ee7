"""Chains of targets: passes, paths and sums against enumeration of all sequences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.chain.errors import chain_errors, rate_interval
from dosift.chain.fit import fit_chain, on_simplex
from dosift.chain.path import most_probable_path
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import smooth, sum_chain

Floats = NDArray[np.float64]

N_ROWS, N_TARGETS = 8, 3
#: Two chains: six rows at uneven times, then two.
SECOND = 6


class Tiny:
    """A chain that is small enough for all its sequences to be listed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.columns = rng.random((N_ROWS, N_TARGETS)) * (rng.random((N_ROWS, N_TARGETS)) > 0.3)
        self.columns[:, seed % N_TARGETS] += 0.05
        self.exposure = 2.0 * rng.exponential(size=N_ROWS)
        self.exposure[[0, SECOND]] = np.inf
        self.weights = rng.dirichlet(np.ones(N_TARGETS))
        self.rate = 0.3
        switch = 1.0 - np.exp(-self.rate * self.exposure)
        self.paths = np.array(list(itertools.product(range(N_TARGETS), repeat=N_ROWS)))
        held = np.ones_like(self.paths)
        held[:, 1:] = self.paths[:, 1:] == self.paths[:, :-1]
        step = switch * self.weights[self.paths] + (1.0 - switch) * held
        seen = self.columns[np.arange(N_ROWS), self.paths]
        self.probability = (step * seen).prod(axis=1)

    def rows(self, n_parts: int | None = None) -> ChainRows:
        return ChainRows.of(self.columns, np.arange(N_ROWS), self.exposure, n_parts=n_parts)

    def given(self, event: NDArray[np.bool_]) -> float:
        return float(self.probability[event].sum() / self.probability.sum())


@pytest.fixture(params=range(6))
def tiny(request: pytest.FixtureRequest) -> Tiny:
    return Tiny(request.param)


@pytest.mark.parametrize("n_parts", [1, 2, 3, 4, 8])
def test_likelihood_and_posterior_are_those_of_all_sequences(tiny: Tiny, n_parts: int) -> None:
    found = smooth(tiny.rows(n_parts), tiny.weights, tiny.rate)
    assert found.sums.log_likelihood == pytest.approx(np.log(tiny.probability.sum()))
    for t, j in itertools.product(range(N_ROWS), range(N_TARGETS)):
        expected = tiny.given(tiny.paths[:, t] == j)
        assert found.posterior[t, j] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n_parts", [1, 3])
def test_holding_is_that_of_all_sequences(tiny: Tiny, n_parts: int) -> None:
    found = smooth(tiny.rows(n_parts), tiny.weights, tiny.rate)
    for t, j in itertools.product(range(1, N_ROWS), range(N_TARGETS)):
        both = tiny.given((tiny.paths[:, t - 1] == j) & (tiny.paths[:, t] == j))
        if t == SECOND:
            both = 0.0
        now, then = found.posterior[t, j], found.posterior[t - 1, j]
        assert found.held_before[t, j] * now == pytest.approx(both, abs=1e-12)
        assert found.held_after[t - 1, j] * then == pytest.approx(both, abs=1e-12)


@pytest.mark.parametrize("n_parts", [1, 2, 4])
def test_path_is_the_most_probable_of_all(tiny: Tiny, n_parts: int) -> None:
    best = tiny.paths[tiny.probability.argmax()]
    found = most_probable_path(tiny.rows(n_parts), tiny.weights, tiny.rate)
    assert found.tolist() == best.tolist()


def test_expected_draws_are_the_derivatives(tiny: Tiny) -> None:
    rows, step = tiny.rows(), 1e-6
    found = sum_chain(rows, tiny.weights, tiny.rate)
    for j in range(N_TARGETS):
        toward = (1.0 - step) * tiny.weights
        toward[j] += step
        gain = sum_chain(rows, toward, tiny.rate).log_likelihood - found.log_likelihood
        expected = found.entries[j] - tiny.weights @ found.entries
        assert gain / step == pytest.approx(expected, rel=1e-3, abs=1e-4)
    inside = np.isfinite(rows.exposure) & (rows.exposure > 0)
    u, switched = tiny.rate * rows.exposure[inside], found.switched[inside]
    slope = switched @ (u / np.expm1(u)) - (1.0 - switched) @ u
    more = sum_chain(rows, tiny.weights, tiny.rate * (1.0 + step)).log_likelihood
    assert (more - found.log_likelihood) / step == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_rows_that_no_target_produces_are_passed_over() -> None:
    tiny = Tiny(0)
    tiny.columns[3] = 0.0
    rows = tiny.rows()
    assert np.flatnonzero(rows.impossible).tolist() == [3]
    open_row = tiny.columns.copy()
    open_row[3] = 1.0
    other = ChainRows.of(open_row, np.arange(N_ROWS), tiny.exposure)
    one, two = (smooth(given, tiny.weights, tiny.rate) for given in (rows, other))
    np.testing.assert_allclose(one.posterior, two.posterior)
    assert one.sums.log_likelihood == pytest.approx(two.sums.log_likelihood)


def test_scales_of_rows_come_back_in_the_likelihood() -> None:
    tiny = Tiny(1)
    base = np.linspace(-900.0, 900.0, N_ROWS)
    plain = sum_chain(tiny.rows(), tiny.weights, tiny.rate).log_likelihood
    scaled = ChainRows.of(tiny.columns * 1e-30, np.arange(N_ROWS), tiny.exposure, base)
    found = sum_chain(scaled, tiny.weights, tiny.rate).log_likelihood
    assert found == pytest.approx(plain + base.sum() - 30.0 * np.log(10.0) * N_ROWS)


def test_a_rate_without_bound_is_the_plain_mixture() -> None:
    """Every row drawn anew: weights and likelihood are those of independent rows."""
    rng = np.random.default_rng(3)
    columns = rng.random((500, 3))
    exposure = np.full(500, np.inf)
    rows = ChainRows.of(columns, np.arange(500), exposure)
    found = fit_chain(rows, np.full(3, 1 / 3))
    mixture = columns @ found.weights
    assert found.log_likelihood == pytest.approx(np.log(mixture).sum())
    gradient = (columns / mixture[:, None]).mean(axis=0)
    assert gradient.max() <= 1.0 + 1e-3
    np.testing.assert_allclose(gradient[found.weights > 1e-3], 1.0, atol=1e-3)


def made(
    seed: int, n_rows: int, rate: float, clear: float, uneven: bool = False
) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Columns, targets, exposures and weights of a chain that is drawn."""
    rng = np.random.default_rng(seed)
    m, n_symbols = 5, 30
    table = rng.dirichlet(np.full(n_symbols, clear), size=m)
    weights = rng.dirichlet(np.full(m, 4.0))
    exposure = rng.exponential(size=n_rows) + 0.01 if uneven else np.ones(n_rows)
    exposure[0] = np.inf
    anew = rng.random(n_rows) < -np.expm1(-rate * exposure)
    drawn = rng.choice(m, size=n_rows, p=weights)
    target = drawn[np.maximum.accumulate(np.where(anew, np.arange(n_rows), 0))]
    seen = (rng.random(n_rows)[:, None] > np.cumsum(table, axis=1)[target]).sum(axis=1)
    return table.T[np.minimum(seen, n_symbols - 1)], target, exposure, weights


@pytest.mark.long
@pytest.mark.parametrize("uneven", [pytest.param(False, marks=pytest.mark.slow), True])
def test_fit_is_a_maximum_and_finds_weights_and_rate(uneven: bool) -> None:
    """Within the errors it gives itself, which shrink as they should, over many chains."""
    hits, of_weights, sizes = 0, [], []
    n_chains, rate = 40, 0.03
    for seed in range(n_chains):
        columns, _, exposure, weights = made(seed, 3000, rate, 0.5, uneven)
        rows = ChainRows.of(columns, np.arange(3000), exposure)
        found = fit_chain(rows, np.full(5, 0.2))
        assert found.converged
        errors = chain_errors(rows, found)
        between = rate_interval(rows, found, errors, 0.95)
        hits += between.low <= rate <= between.high
        of_weights.append(
            np.abs(found.weights - weights) <= 1.96 * errors.of_weights(found.weights)
        )
        sizes.append(abs(np.log(found.rate / rate)))
        truth = sum_chain(rows, weights, rate).log_likelihood
        assert found.log_likelihood >= truth
    assert hits >= 0.85 * n_chains
    assert 0.88 <= np.mean(of_weights) <= 0.99
    # 90 switches: one part in nine or ten.
    assert np.mean(sizes) < 0.12


def test_a_target_that_never_switches_has_a_rate_bounded_above() -> None:
    seen = np.repeat([0, 1], 200)
    exposure = np.ones(400)
    exposure[[0, 200]] = np.inf
    rows = ChainRows.of(np.array([[0.99, 0.01], [0.01, 0.99]]), seen, exposure)
    found = fit_chain(rows, np.array([0.5, 0.5]))
    between = rate_interval(rows, found, chain_errors(rows, found), 0.95)
    assert between.value == between.low == 0.0
    assert between.high == pytest.approx(-np.log(0.025) / 398)


def test_rows_without_order_have_a_rate_bounded_below_only() -> None:
    rng = np.random.default_rng(0)
    seen = rng.integers(2, size=4000)
    table = np.array([[0.99, 0.01], [0.01, 0.99]])
    rows = ChainRows.of(table, seen, np.r_[np.inf, np.ones(3999)])
    found = fit_chain(rows, np.array([0.5, 0.5]))
    assert found.switching > 0.9
    between = rate_interval(rows, found, chain_errors(rows, found), 0.95)
    assert between.low > 2.0
    assert between.high == np.inf


def test_many_chains_are_as_good_as_apart() -> None:
    """The likelihood of two chains in one is the sum of theirs, wherever parts are cut."""
    columns, _, exposure, weights = made(5, 700, 0.05, 0.5)
    exposure[300] = np.inf
    index = np.arange(700)
    both = ChainRows.of(columns, index, exposure)
    parts = [
        sum_chain(ChainRows.of(columns, index[own], exposure[own]), weights, 0.05)
        for own in (slice(300), slice(300, 700))
    ]
    found = sum_chain(both, weights, 0.05)
    assert found.log_likelihood == pytest.approx(sum(part.log_likelihood for part in parts))
    np.testing.assert_allclose(found.entries, sum(part.entries for part in parts))


def test_shares_are_divided_by_their_sizes_however_small() -> None:
    known = np.full(2, np.nan)
    np.testing.assert_allclose(on_simplex(np.array([1e-20, 3e-20]), known), [0.25, 0.75])
    np.testing.assert_allclose(on_simplex(np.zeros(2), known), [0.5, 0.5])
    np.testing.assert_allclose(
        on_simplex(np.array([1e20, 3e20, 7.0]), np.append(known, 0.2)), [0.2, 0.6, 0.2]
    )
