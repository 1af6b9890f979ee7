"""Errors of a fitted chain, against the curvature of its likelihood taken numerically."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.chain.errors import ChainErrors, _falls, chain_errors, rate_interval
from dosift.chain.fit import ChainFit, fit_chain
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import sum_chain

Floats = NDArray[np.float64]

NAN = np.nan


def drawn(n: int = 900) -> ChainRows:
    rng = np.random.default_rng(6)
    anew = rng.random(n) < 0.15
    draws = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    anew[0] = True
    target = draws[np.maximum.accumulate(np.where(anew, np.arange(n), 0))]
    table = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.2], [0.1, 0.1, 0.7]])
    seen = np.array([rng.choice(3, p=table[:, t]) for t in target])
    return ChainRows.of(table, seen, np.append(np.inf, np.ones(n - 1)))


@pytest.fixture(scope="module")
def fitted() -> tuple[ChainRows, ChainFit]:
    rows = drawn()
    return rows, fit_chain(rows, np.full(3, 1 / 3))


def weights_of(logs: Floats) -> Floats:
    """By logarithms of ratios to the first."""
    out = np.exp(np.append(0.0, logs))
    return np.asarray(out / out.sum())


def covariance(rows: ChainRows, fit: ChainFit) -> Floats:
    """Inverse of the negative Hessian by two log-ratios and the logarithm of the rate."""
    at = np.append(np.log(fit.weights[1:] / fit.weights[0]), np.log(fit.rate))

    def value(x: Floats) -> float:
        return sum_chain(rows, weights_of(x[:2]), float(np.exp(x[2]))).log_likelihood

    h, steps = 1e-3, 1e-3 * np.eye(3)
    hessian = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
            four = [a * b * value(at + a * steps[i] + b * steps[j]) for a, b in signs]
            hessian[i, j] = sum(four) / (4 * h * h)
    return np.asarray(np.linalg.inv(-hessian))


def test_errors_are_those_of_the_curvature(fitted: tuple[ChainRows, ChainFit]) -> None:
    rows, fit = fitted
    found = chain_errors(rows, fit)
    expected = covariance(rows, fit)
    assert fit.weights.argmax() == 0
    np.testing.assert_allclose(found.log_ratios[0][1:, 1:], expected[:2, :2], rtol=0.02)
    assert not found.log_ratios[0][0].any()
    assert found.log_rate == pytest.approx(np.sqrt(expected[2, 2]), rel=0.02)
    # By how much the weights' errors widen that of the rate.
    information = np.linalg.inv(expected)[2, 2]
    assert found.widening == pytest.approx(expected[2, 2] * information, rel=0.02)
    weights = fit.weights
    turn = (np.diag(weights) - np.outer(weights, weights))[:, 1:]
    errors = np.sqrt(np.diag(turn @ expected[:2, :2] @ turn.T))
    np.testing.assert_allclose(found.of_weights(weights), errors, rtol=0.02)
    draws = found.draw(weights, 20_000, np.random.default_rng(0))[0]
    np.testing.assert_allclose(draws.sum(axis=1), 1.0)
    np.testing.assert_allclose(draws.std(axis=0), errors, rtol=0.05)
    np.testing.assert_allclose(draws.mean(axis=0), weights, atol=0.01)


def test_rows_that_count_for_a_half_have_twice_the_variance(
    fitted: tuple[ChainRows, ChainFit],
) -> None:
    rows, fit = fitted
    whole, half = chain_errors(rows, fit), chain_errors(rows, fit, 0.5)
    np.testing.assert_allclose(half.log_ratios, 2.0 * whole.log_ratios)
    assert half.log_rate == pytest.approx(np.sqrt(2.0) * whole.log_rate)
    assert half.widening == pytest.approx(2.0 * whole.widening)


def test_the_interval_of_the_rate_is_where_the_likelihood_fell(
    fitted: tuple[ChainRows, ChainFit],
) -> None:
    rows, fit = fitted
    errors = chain_errors(rows, fit)
    found = rate_interval(rows, fit, errors, 0.9)
    fall = 0.5 * 1.6448536**2 * errors.widening
    for end in (found.low, found.high):
        value = sum_chain(rows, fit.weights, end).log_likelihood
        assert fit.log_likelihood - value == pytest.approx(fall, rel=0.01)
    assert found.low < found.value == fit.rate < found.high


def test_weights_at_zero_fall_off_exponentially() -> None:
    weights, entries = np.array([[0.6, 0.4, 1e-9]]), np.array([[50.0, 60.0, 20.0]])
    free = np.full((1, 3), NAN)
    fall = _falls(weights, entries, free)
    # Of the draws at the weights, less those that the last would have.
    assert fall[0, :2].tolist() == [0.0, 0.0]
    assert fall[0, 2] == pytest.approx(0.6 * 50.0 + 0.4 * 60.0 - 20.0)
    assert not _falls(weights, np.array([[50.0, 60.0, 90.0]]), free).any()
    known = np.array([[NAN, NAN, 0.0]])
    assert not _falls(weights, entries, known).any()
    errors = ChainErrors(np.zeros((1, 3, 3)), np.inf, 1.0, fall, free)
    assert errors.of_weights(weights[0]).tolist() == pytest.approx([0.0, 0.0, 1.0 / fall[0, 2]])
    draws = errors.draw(weights[0], 20_000, np.random.default_rng(1))[0]
    assert draws[:, 2].mean() == pytest.approx(1.0 / fall[0, 2], rel=0.05)
    np.testing.assert_allclose(draws[:, 0] / draws[:, 1], 1.5)


def test_known_weights_have_no_error() -> None:
    rows = drawn(200)
    known = np.array([NAN, NAN, 0.2])
    fit = fit_chain(rows, np.array([0.5, 0.3, 0.2]), known=known)
    errors = chain_errors(rows, fit)
    found = errors.of_weights(fit.weights)
    assert found[2] == 0.0
    assert found[0] == pytest.approx(found[1])
    assert found[0] > 0.0
    draws = errors.draw(fit.weights, 100, np.random.default_rng(0))[0]
    np.testing.assert_allclose(draws[:, 2], 0.2)
