"""Families by control rows alone: regressions in closed form, and tests of independence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

from dosift.graphs.control_fits import ControlFits, columns_of, line_of, with_intercept, with_own
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.noise import LEAST_SD


def residual_variance(values: np.ndarray, i: int, parents: tuple[int, ...]) -> float:
    x = np.column_stack([np.ones(len(values)), values[:, list(parents)]])
    line = np.linalg.lstsq(x, values[:, i], rcond=None)[0]
    return float(np.mean((values[:, i] - x @ line) ** 2))


@pytest.fixture(scope="module")
def learned() -> MechanismNetwork:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(300, 3))
    rows[:, 1] += 0.5 * rows[:, 0]
    rows[:, 2] += 0.3 * rows[:, 1]
    names = [Variable(name, kind="continuous") for name in "abc"]
    return learn_mechanisms(names, rows, [(), (0,), (1,)])


def test_a_line_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(50, 3)), rng.uniform(0.5, 2.0, 50)
    own = with_intercept(values)
    assert own[:, 0].tolist() == [1.0] * 50
    products = own.T @ (own * weights[:, None])
    mechanism = LinearMechanism.untaught(2, (0, 1), (Plain(0), Plain(1)))
    columns = columns_of(mechanism, mechanism.features)
    assert columns == [0, 1, 2, 3]
    assert columns_of(LinearMechanism.untaught(0, (2,), (Plain(2),)), (Plain(2),)) == [0, 3, 1]
    np.testing.assert_array_equal(with_own(mechanism.features, values, 2), own)
    line, sd = line_of(products, weights.sum())
    x, root = own[:, :3], np.sqrt(weights)
    best = np.linalg.lstsq(x * root[:, None], values[:, 2] * root, rcond=None)[0]
    np.testing.assert_allclose(line, [*-best, 1.0], atol=1e-8)
    residual = values[:, 2] - x @ best
    assert sd == pytest.approx(np.sqrt(weights @ residual**2 / weights.sum()))
    # What is exact keeps a least width.
    exact = np.column_stack([x[:, :2], x[:, 1]])
    assert line_of(exact.T @ exact, 50.0)[1] == LEAST_SD


def test_a_score_is_the_likelihood_less_half_a_logarithm_for_each_parameter(
    learned: MechanismNetwork,
) -> None:
    fits = ControlFits(learned)
    assert learned.control is not None
    values = learned.control.values
    for i, parents in ((1, (0,)), (2, ()), (2, (0, 1))):
        variance = residual_variance(values, i, parents)
        log = 300.0 * (norm.logpdf(0.0) - 0.5 * np.log(variance) - 0.5)
        n_free = 2 + len(parents)
        assert fits.n_free(i, parents) == n_free
        assert fits._of_control(i, parents) == pytest.approx(log, abs=1e-3)
        score = log - 0.5 * n_free * np.log(300.0)
        assert fits.control_score(i, parents) == pytest.approx(score, abs=1e-3)


def test_independence_is_tested_by_the_likelihood_ratio(learned: MechanismNetwork) -> None:
    fits = ControlFits(learned)
    assert learned.control is not None
    values = learned.control.values
    for i, j, parents in ((1, 0, ()), (2, 0, ()), (2, 0, (1,)), (0, 2, (1,))):
        less = residual_variance(values, i, parents)
        more = residual_variance(values, i, (*parents, j))
        # Bartlett: half of the coefficients of both, and of one more, are taken off.
        number = 300.0 - 0.5 * (2 * len(parents) + 2)
        expected = chi2.sf(number * np.log(less / more), 1)
        assert fits.dependence(i, j, parents) == pytest.approx(expected, rel=1e-3)
    # A variable says nothing beyond itself.
    assert fits.dependence(2, 1, (1,)) == 1.0


def test_partners_are_those_of_the_largest_correlation(learned: MechanismNetwork) -> None:
    fits = ControlFits(learned)
    assert learned.control is not None
    found = fits.dependent_pairs(1)
    correlation = np.abs(np.corrcoef(learned.control.values.T)) - np.eye(3)
    expected = np.zeros((3, 3), dtype=bool)
    for i in range(3):
        j = int(correlation[i].argmax())
        expected[i, j] = expected[j, i] = True
    off = ~np.eye(3, dtype=bool)
    assert found[off].tolist() == expected[off].tolist()
