"""Every claim of docs/identifiability-of-graphs.md, on exact distributions."""

from __future__ import annotations

import doctest
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from dosift.identifiability.essential import same_essential

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "identifiability-of-graphs.md"
FORWARD, BACKWARD = ((), (0,)), ((1,), ())


@pytest.fixture(scope="module")
def theory() -> Any:
    if not (ROOT / "benchmarks" / "graph_theory.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import graph_theory as module
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return module


def pair(theory: Any, targets: list[list[int]], weights: list[float], seed: int = 0) -> Any:
    """X -> Y with random tables; X and Y have as many states as targets need, and one more."""
    k = int(np.max(targets)) + 2
    joint = np.random.default_rng(seed).dirichlet(np.full(k * k, 2.0)).reshape(k, k)
    return theory.Problem(FORWARD, joint, np.array(targets), np.array(weights))


def test_the_page_runs() -> None:
    if not PAGE.is_file():
        pytest.skip("docs/ is not there")
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize(("n", "k", "n_targets"), [(3, 2, 1), (3, 3, 2), (4, 2, 2), (4, 3, 1)])
def test_members_of_a_class_give_the_same_distributions(
    theory: Any, n: int, k: int, n_targets: int
) -> None:
    n_members = 0
    for seed in range(40):
        problem = theory.draw(n, k, n_targets, n, seed)
        true = theory.columns(problem.joint, problem.parents, problem.targets)
        for other in theory.equivalents(problem.parents):
            own = theory.columns(problem.joint, other, problem.targets)
            same = same_essential(problem.parents, other, problem.sets)
            assert (np.abs(own - true).max() < 1e-12) == same
            n_members += same and other != problem.parents
    assert n_members >= 10


def smallest(theory: Any, problem: Any, other: Any) -> tuple[int | None, int | None]:
    """Fewest components up to the true number, of all targets, and of those that obey exclusion."""
    targets = theory.all_targets(problem.joint)
    every = theory.columns(problem.joint, other, targets)
    q = theory.mixture_distribution(problem)
    shape, any_fewest = problem.joint.shape, None
    for size in range(1, len(problem.targets) + 1):
        for chosen in combinations(range(len(targets)), size):
            if nnls(every[:, chosen], q)[1] < 1e-9:
                any_fewest = any_fewest or size
                used = targets[list(chosen)]
                if all(len(set(c) - {-1}) < k for k, c in zip(shape, used.T, strict=True)):
                    return any_fewest, size
    return any_fewest, None


@pytest.mark.parametrize(("n", "k", "n_targets"), [(2, 3, 2), (3, 2, 2)])
def test_all_sets_of_targets_agree_with_the_spans(
    theory: Any, n: int, k: int, n_targets: int
) -> None:
    n_told = 0
    for seed in range(6 if n == 3 else 12):
        problem = theory.draw(n, k, n_targets, 2, seed)
        m = len(problem.targets)
        for other in theory.equivalents(problem.parents):
            found = theory.as_small(problem, other)
            any_fewest, fewest = smallest(theory, problem, other)
            assert any_fewest == (m if found.fits else None)
            assert fewest == (m if found.exclusion_fits else None)
            if same_essential(problem.parents, other, problem.sets):
                assert fewest == m
            elif theory.is_told(problem, other):
                assert fewest is None
                n_told += 1
    assert n_told >= 5


@pytest.mark.parametrize(("n", "k", "n_targets"), [(3, 2, 4), (4, 2, 6), (4, 3, 6)])
def test_graphs_outside_the_class_need_more_components(
    theory: Any, n: int, k: int, n_targets: int
) -> None:
    n_told = 0
    for seed in range(1000, 1020):
        problem = theory.draw(n, k, n_targets, n, seed)
        for other in theory.equivalents(problem.parents):
            if not same_essential(problem.parents, other, problem.sets) and theory.is_told(
                problem, other
            ):
                found = theory.as_small(problem, other)
                assert not found.exclusion_span
                assert theory.has_full_fibre(problem) or not found.span
                n_told += 1
    assert n_told > 20


def test_full_fibres_alone_settle_nothing(theory: Any) -> None:
    """Where all crossing fibres are full, a graph may have the same span or not, and fit or not."""
    seen = set()
    for seed in range(60):
        problem = theory.draw(3, 2, 4, 3, seed)
        for other in theory.equivalents(problem.parents):
            same = same_essential(problem.parents, other, problem.sets)
            if not same and not theory.is_told(problem, other):
                found = theory.as_small(problem, other)
                seen.add((found.exclusion_span, found.exclusion_fits))
    assert seen == {(False, False), (True, False), (True, True)}


def test_targets_on_one_variable_tell_all_that_labels_would(theory: Any) -> None:
    for seed in range(20):
        problem = theory.draw(4, 2, 4, 1, seed)
        for other in theory.equivalents(problem.parents):
            same = same_essential(problem.parents, other, problem.sets)
            assert theory.is_told(problem, other) == (not same)


def test_of_two_variables_the_condition_is_necessary_too(theory: Any) -> None:
    assert theory.two_variables(2) == (12, 6, 6)
    sets, missed, equal = theory.two_variables(3)
    assert sets > missed == equal > 0


def test_exclusion_alone_does_not_tell_an_edge(theory: Any) -> None:
    """do(X=a) is a mixture of do(X=a) and do(X=a, Y=b) if the edge is turned round."""
    problem = pair(theory, [[-1, -1], [1, -1]], [0.6, 0.4])
    p_y, given = problem.joint.sum(axis=0), problem.joint[1] / problem.joint[1].sum()
    share = (given / p_y).min()
    left = int(np.argmin(given / p_y))
    others = [b for b in range(3) if b != left]
    targets = np.array([[-1, -1], [1, -1], *([1, b] for b in others)])
    weights = [0.6, 0.4 * share, *(0.4 * (given[b] - share * p_y[b]) for b in others)]
    assert min(weights) > 0
    q = theory.columns(problem.joint, BACKWARD, targets) @ weights
    np.testing.assert_allclose(q, theory.mixture_distribution(problem), atol=1e-14)
    assert not theory.as_small(problem, BACKWARD).fits


@pytest.mark.parametrize("seed", range(10))
def test_a_full_fibre_leaves_an_edge_open_for_a_range_of_weights(theory: Any, seed: int) -> None:
    """All binary: nothing, do(X=0), do(X=0, Y=0)."""
    targets = [[-1, -1], [0, -1], [0, 0]]
    for share in (0.1, 0.5, 0.9):
        problem = pair(theory, targets, [0.3, 0.7 * share, 0.7 * (1 - share)], seed)
        found = theory.as_small(problem, BACKWARD)
        assert found.exclusion_span
        assert not theory.is_told(problem, BACKWARD)
        p1, given1 = problem.joint.sum(axis=0)[1], problem.joint[0, 1] / problem.joint[0].sum()
        # The same targets do if the weight of do(X=0), w given1 / p1, is no more than there is.
        if share * given1 / p1 <= 1:
            weights = [0.3, 0.7 * share * given1 / p1, 0.7 * (1 - share * given1 / p1)]
            own = theory.columns(problem.joint, BACKWARD, problem.targets) @ weights
            np.testing.assert_allclose(own, theory.mixture_distribution(problem), atol=1e-14)
            assert found.exclusion_fits


def test_the_theorem_needs_exclusion(theory: Any) -> None:
    """A chain of binary variables: its reverse does with as many, but sets X to both states."""
    problem = theory.draw(3, 2, 4, 3, 75)
    assert problem.parents == ((), (2,), (0,))
    other = ((2,), (), (1,))
    assert theory.is_told(problem, other)
    assert theory.has_full_fibre(problem)
    found = theory.as_small(problem, other)
    assert found.fits
    assert not found.exclusion_span
    targets = np.array([[-1, -1, -1], [0, -1, -1], [1, -1, -1], [1, -1, 0], [1, 0, 0]])
    assert len(targets) == len(problem.targets)
    every = theory.columns(problem.joint, other, targets)
    weights, residual = nnls(every, theory.mixture_distribution(problem))
    assert residual < 1e-12
    assert weights.min() > 0.05


def test_a_hidden_common_cause_looks_like_an_edge_until_both_ends_are_set(theory: Any) -> None:
    joint = np.random.default_rng(0).dirichlet(np.full(9, 2.0)).reshape(3, 3)
    set_x = np.outer([1, 0, 0], joint.sum(axis=0)).ravel()
    set_y = np.outer(joint.sum(axis=1), [1, 0, 0]).ravel()
    x, y = np.array([[0, -1]]), np.array([[-1, 0]])
    np.testing.assert_allclose(theory.columns(joint, BACKWARD, x)[:, 0], set_x, atol=1e-14)
    np.testing.assert_allclose(theory.columns(joint, FORWARD, y)[:, 0], set_y, atol=1e-14)
    q = 0.4 * joint.ravel() + 0.3 * set_x + 0.3 * set_y
    for parents in (FORWARD, BACKWARD):
        targets = theory.all_targets(joint)
        every = theory.columns(joint, parents, targets)
        fits = [c for c in combinations(range(len(targets)), 3) if nnls(every[:, c], q)[1] < 1e-9]
        assert fits == []
