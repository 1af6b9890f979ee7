"""The quadratic model of a move: drops and steps against minima that are found outright."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from dosift.data import collapse
from dosift.likelihood.factors import MechanismFactors
from dosift.model.simulate import sample_codes
from dosift.search.problem import Fit, SearchProblem
from dosift.search.quadratic import Augmented, QuadraticModel, _line_search, drop_greedily
from dosift.search.score import Score
from plain_sums import toy_network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

M = 4


def hessians(n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, M + 1, M + 3))
    return np.asarray(root @ root.transpose(0, 2, 1) + 0.2 * np.eye(M + 1))


def at_zero(hessian: Floats, weights: Floats, gone: list[int]) -> tuple[Floats, float]:
    """Weights of the lowest loss with some of them zero, and that loss."""
    left = [k for k in range(M + 1) if k not in gone]
    moved = np.zeros(M + 1)
    shift = hessian[np.ix_(left, gone)] @ weights[gone]
    moved[left] = weights[left] + np.linalg.solve(hessian[np.ix_(left, left)], shift)
    return moved, 0.5 * float((moved - weights) @ hessian @ (moved - weights))


def problem_with(savings: list[float], additions: list[float]) -> Any:
    score = SimpleNamespace(
        savings=lambda targets: np.array(savings),
        additions=lambda targets, present: np.array(additions),
    )
    return SimpleNamespace(score=score)


@pytest.mark.parametrize("seed", range(4))
def test_drops_are_those_of_the_least_loss_one_after_the_other(seed: int) -> None:
    n, costs = 5, np.array([0.3, 1.0, 0.1, 0.6])
    rng = np.random.default_rng([1, seed])
    h = hessians(n, seed)
    weights = rng.uniform(0.05, 1.0, size=(n, M + 1))
    needed = np.zeros((n, M), dtype=bool)
    needed[0, 1] = needed[3, 2] = True
    state = Augmented(np.arange(n) + 7, weights, np.linalg.inv(h), rng.uniform(0, 9, n), needed)
    added = rng.uniform(0, 2, n)
    fit: Any = SimpleNamespace(weights=np.ones(M), targets=None)
    found = drop_greedily(state, fit, problem_with(costs.tolist(), added.tolist()), np.empty(0))
    assert found.of.tolist() == state.of.tolist()
    assert found.values.shape == (M + 1, n)
    for k in range(n):
        gone: list[int] = []
        for stage in range(M + 1):
            own, loss = at_zero(h[k], weights[k], gone)
            if len(gone) < stage:
                assert found.values[stage, k] == -np.inf  # only needed ones are left
                continue
            np.testing.assert_allclose(found.weights[stage, k], own, atol=1e-9)
            value = state.gain[k] - added[k] - loss + costs[gone].sum()
            expected = value if own[M] > 0 else -np.inf
            assert found.values[stage, k] == pytest.approx(expected)
            left = [s for s in range(M) if s not in gone and not needed[k, s]]
            if left and stage < M:
                net = [at_zero(h[k], weights[k], [*gone, s])[1] - costs[s] for s in left]
                gone.append(left[int(np.argmin(net))])
                assert found.dropped[k, stage] == gone[-1]


def test_a_candidate_without_weight_is_no_move() -> None:
    h = np.broadcast_to(np.eye(M + 1), (2, M + 1, M + 1))
    weights = np.array([[0.5, 0.5, 0.5, 0.5, 0.2], [0.5, 0.5, 0.5, 0.5, 0.0]])
    state = Augmented(np.arange(2), weights, h.copy(), np.array([3.0, 3.0]), np.zeros((2, M), bool))
    fit: Any = SimpleNamespace(weights=np.ones(M), targets=None)
    found = drop_greedily(state, fit, problem_with([1.0] * M, [0.5, 0.5]), np.empty(0))
    # Each drop loses .5 ** 2 / 2 and saves 1.
    np.testing.assert_allclose(found.values[:, 0], 2.5 + 0.875 * np.arange(M + 1))
    assert (found.values[:, 1] == -np.inf).all()
    assert found.dropped[0].tolist() == [0, 1, 2, 3]


def test_a_line_is_searched_to_its_maximum() -> None:
    rng = np.random.default_rng(3)
    counts = rng.uniform(1.0, 20.0, 30)
    change = rng.uniform(-0.9, 3.0, size=(30, 6))
    cost = rng.uniform(-20.0, 60.0, 6)
    change[:, 5], cost[5] = 1.0 - rng.uniform(0, 1e-3, 30), -5.0  # to the bound of one
    step, gain, curvature = _line_search(change, counts, cost)
    for k in range(6):

        def loss(d: float, k: int = k) -> float:
            return -float(counts @ np.log(1.0 + d * change[:, k]) - cost[k] * d)

        bounds = (max(-1.0, -1.0 / change[:, k].max() + 1e-9), 1.0)
        best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-9})
        assert gain[k] == pytest.approx(-loss(step[k]), abs=1e-8)
        assert -best.fun - 0.02 < gain[k] <= -best.fun + 1e-4
        second = counts @ np.square(change[:, k] / (1.0 + step[k] * change[:, k]))
        assert curvature[k] == pytest.approx(second)
    assert step[5] == pytest.approx(1.0)


#: What sets b = 2 and d = 0 at once, that which sets one of the two, and one that is not there.
BOTH, OTHER = np.array([[-1, 2, -1, 0]], np.int16), np.array([[1, -1, -1, -1]], np.int16)
APART = np.array([[-1, -1, -1, -1], [-1, 2, -1, -1], [-1, -1, -1, 0]], np.int16)


@pytest.fixture(scope="module")
def problem() -> SearchProblem:
    network = toy_network(1)
    rng = np.random.default_rng(0)
    targets, weights = np.concatenate([APART[:1], BOTH]), np.array([0.95, 0.05])
    rows = collapse(sample_codes(network, targets, weights, 4_000, rng)[0], network.cardinalities)
    factors = MechanismFactors(network, rows.codes)
    score = Score(4_000.0, network.cardinalities, network.n_variables)
    return SearchProblem(factors, rows.counts, score)


def solved(problem: SearchProblem, targets: Ints) -> Fit:
    return problem.fit(targets, np.full(len(targets), 1.0 / len(targets)), gap=1e-12)


@pytest.fixture(scope="module")
def fitted(problem: SearchProblem) -> Fit:
    found = solved(problem, APART)
    assert found.targets.tolist() == APART.tolist()
    return found


def curvature(problem: SearchProblem, fit: Fit, candidate: Floats) -> tuple[Floats, Floats]:
    """Gradient and negative Hessian by the weights of a fit's targets and of a candidate."""
    columns = np.column_stack([fit.columns, candidate]) / fit.mixture[:, None]
    gradient = problem.counts @ columns - problem.n_rows
    return gradient, (columns * problem.counts[:, None]).T @ columns


def test_the_models_minimum_is_that_of_gradient_and_hessian(
    problem: SearchProblem, fitted: Fit
) -> None:
    candidates = np.concatenate([BOTH, OTHER])
    found = QuadraticModel(problem, fitted, candidates).at_the_minimum()
    columns = problem.columns(candidates)
    for k in range(2):
        gradient, hessian = curvature(problem, fitted, columns[:, k])
        step = np.linalg.solve(hessian, gradient)
        np.testing.assert_allclose(found.weights[k, :3], fitted.weights + step[:3], atol=1e-4)
        assert found.weights[k, 3] == pytest.approx(step[3], abs=1e-4)
        assert found.gain[k] == pytest.approx(0.5 * gradient @ step, rel=1e-2, abs=1e-3)
        np.testing.assert_allclose(found.inverse[k], np.linalg.inv(hessian), rtol=1e-5, atol=1e-10)
    assert found.of.tolist() == [0, 1]


def test_what_a_move_brings_is_that_of_the_exact_optimum(
    problem: SearchProblem, fitted: Fit
) -> None:
    candidates = np.concatenate([OTHER, BOTH])
    model = QuadraticModel(problem, fitted, candidates)
    drops = drop_greedily(model.along_the_line(np.array([1])), fitted, problem, BOTH)
    assert drops.of.tolist() == [1]
    assert set(drops.dropped[0, :2].tolist()) == {1, 2}
    costs = problem.score.savings(APART)
    for stage in range(3):
        left = [k for k in range(3) if k not in drops.dropped[0, :stage].tolist()]
        best = solved(problem, np.concatenate([APART[left], BOTH]))
        gain = best.log_likelihood - fitted.log_likelihood
        gain += costs[drops.dropped[0, :stage]].sum()
        found = model.value_after(np.array([0]), drops, np.array([stage]))[0]
        assert gain - 0.5 < found <= gain + 1e-6
        added = problem.score.additions(BOTH, APART)[0]
        assert drops.values[stage, 0] == pytest.approx(found - added, abs=6.0)


def test_what_alone_explains_a_row_is_needed(problem: SearchProblem, fitted: Fit) -> None:
    every = np.array([[1, -1, -1, -1], [-1, -1, -1, -1]], np.int16)
    alone = solved(problem, APART[:1])
    found = QuadraticModel(problem, alone, every).at_the_minimum().needed
    # Rows with a = 0 need it, unless the candidate makes all rows as well.
    assert found.tolist() == [[True], [False]]
    # Rows with b = 2, or with d = 0, come from do() as well as from what sets these.
    found = QuadraticModel(problem, fitted, BOTH).at_the_minimum().needed
    assert found.tolist() == [[True, False, False]]
