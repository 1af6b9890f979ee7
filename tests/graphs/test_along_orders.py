"""The best graph along orders, and what rows show by themselves of causes and effects."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data.configurations import collapse
from dosift.graphs.along_orders import best_along_orders
from dosift.graphs.dag import EdgeConstraints, Parents, edges_of, is_acyclic
from dosift.graphs.number_families import MechanismFamilies
from dosift.graphs.orders import (
    Claim,
    claims,
    differ_in_bins,
    left_alone,
    order_by_claims,
    order_of,
)
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.network import Variable

Floats = NDArray[np.float64]
FREE = EdgeConstraints.none(4)


def gaussian_worth(seed: int, n: int = 4, n_rows: int = 400) -> object:
    """BIC of regressions on rows of a dense system whose variables were set in some rows."""
    rng = np.random.default_rng(seed)
    slopes = np.tril(rng.uniform(0.5, 1.0, (n, n)) * rng.choice([-1.0, 1.0], (n, n)), -1)
    which = rng.integers(-1, n, n_rows)
    rows = np.zeros((n_rows, n))
    for i in range(n):
        own = rows @ slopes[i] + rng.normal(size=n_rows)
        rows[:, i] = np.where(which == i, 1.0, own)

    def worth(i: int, parents: tuple[int, ...]) -> float:
        x, used = rows[:, list(parents)], which != i
        x = np.column_stack([np.ones(used.sum()), x[used]])
        left = rows[used, i] - x @ np.linalg.lstsq(x, rows[used, i], rcond=None)[0]
        bic = 0.5 * np.log(n_rows) * (2 + len(parents))
        return float(-used.sum() * np.log(left.std()) - bic)

    return worth


def best_of_all(worth: object, n: int) -> float:
    """Try all parents along all orders."""
    best = -np.inf
    for order in permutations(range(n)):
        total = 0.0
        for k, i in enumerate(order):
            some = [c for size in range(k + 1) for c in combinations(sorted(order[:k]), size)]
            total += max(worth(i, parents) for parents in some)  # type: ignore[operator]
        best = max(best, total)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_all_graphs_is_found_from_a_wrong_order(seed: int) -> None:
    worth = gaussian_worth(seed)
    known = best_of_all(worth, 4)
    for order in ((3, 2, 1, 0), (2, 3, 0, 1)):
        graph, value = best_along_orders(worth, FREE, order, from_all=True)  # type: ignore[arg-type]
        total = sum(worth(i, row) for i, row in enumerate(graph))  # type: ignore[operator]
        assert value == pytest.approx(total)
        assert value == pytest.approx(known)
        assert graph == tuple(tuple(range(i)) for i in range(4))


@pytest.mark.parametrize("from_all", [True, False])
def test_what_is_known_of_edges_holds(from_all: bool) -> None:
    allowed, required = ~np.eye(4, dtype=bool), np.zeros((4, 4), dtype=bool)
    allowed[0, 3] = False
    required[3, 2] = True
    allowed[2, 3] = False
    known = EdgeConstraints(allowed, required, (None, 1, 2, 1))
    worth = gaussian_worth(0)
    graph, _ = best_along_orders(worth, known, (0, 1, 3, 2), from_all=from_all)  # type: ignore[arg-type]
    assert is_acyclic(graph)
    assert (0, 3) not in edges_of(graph)
    assert [len(row) <= most for row, most in zip(graph[1:], (1, 2, 1), strict=True)] == [True] * 3


@pytest.mark.parametrize("seed", range(20))
def test_effects_without_a_cycle_are_all_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 7
    place = rng.permutation(n)
    effects = np.where(rng.random((n, n)) < 0.4, rng.uniform(5.0, 30.0, (n, n)), 0.0)
    effects *= place[:, None] < place
    order = order_of(effects)
    at = {i: k for k, i in enumerate(order)}
    assert sorted(order) == list(range(n))
    assert all(at[i] < at[j] for i, j in zip(*np.nonzero(effects), strict=True))


def test_one_small_contradiction_gives_way() -> None:
    effects = np.array([[0.0, 20.0, 20.0], [0.0, 0.0, 20.0], [5.0, 0.0, 0.0]])
    assert order_of(effects) == (0, 1, 2)


def pool_of(seed: int, n: int, max_rows: int = 2_000) -> tuple[Parents, MechanismFamilies]:
    """Exact values of every variable of a dense system, in equal shares."""
    rng = np.random.default_rng(seed)
    slopes = np.tril(rng.uniform(0.5, 1.0, (n, n)) * rng.choice([-1.0, 1.0], (n, n)), -1)
    slopes *= np.tril(rng.random((n, n)) < 0.8, -1)
    drawn = []
    for which in (np.full(400, -1), rng.integers(-1, n, max_rows)):
        rows = np.zeros((which.size, n))
        for i in range(n):
            own = rows @ slopes[i] + rng.normal(size=which.size)
            rows[:, i] = np.where(which == i, 1.0 + 3e-5 * rng.normal(size=which.size), own)
        drawn.append(rows)
    variables = [Variable(f"x{i}", kind="continuous") for i in range(n)]
    network = learn_mechanisms(variables, drawn[0], [()] * n)
    rows = collapse(network.working(drawn[1]), network.cardinalities)
    graph = tuple(tuple(np.flatnonzero(row).tolist()) for row in slopes)
    return graph, MechanismFamilies(network, rows)


@pytest.mark.parametrize("seed", range(4))
def test_exact_values_of_all_variables_show_a_dense_graph(seed: int) -> None:
    """Without any search for targets; the last variable may have six parents."""
    graph, families = pool_of(seed, 7)
    order = families.order()
    assert order is not None
    found, _ = best_along_orders(families.score, EdgeConstraints.none(7), order, from_all=True)
    differ = edges_of(graph) ^ edges_of(found)
    assert len(differ) <= 1  # by chance BIC may keep or lose one weak edge


def test_a_score_is_that_of_the_family_taught_by_the_rows_left_alone() -> None:
    _, families = pool_of(0, 3)
    alone = families._alone
    half_log = 0.5 * np.log(families.n_rows)
    for i, parents in ((0, ()), (2, (0, 1)), (0, (1, 2))):
        family = families.learned(i, parents, alone[i])
        total = alone[i] @ family.log_density + family.control - half_log * family.n_free
        assert families.score(i, parents) == pytest.approx(total, rel=1e-9)
    shares = alone.sum(axis=1) / families.rows.total
    np.testing.assert_allclose(shares, 0.75, atol=0.04)


def test_clear_changes_alone_claim_rows_where_there_are_any() -> None:
    _, families = pool_of(1, 3)
    mechanism, control = families.mechanism(0, ()), families.control.values
    values, numbers = np.unique(families.rows.codes[:, 0].round(3), return_counts=True)
    spike = float(values[numbers.argmax()])
    clear, vague = SetNormal(spike, 2e-3), SetNormal(0.2, 0.9)
    kept = Shift(1.0)
    found = claims(mechanism, [clear, vague, kept], families.rows, control)
    assert [one.is_clear for one in found] == [True]
    assert found[0].weight.mean() == pytest.approx(0.25, abs=0.05)
    only = claims(mechanism, [vague, kept], families.rows, control)
    assert [one.is_clear for one in only] == [False]
    left = left_alone(found, families.rows.counts, 3)
    np.testing.assert_allclose(left[0], 1.0 - found[0].weight)
    np.testing.assert_array_equal(left[1:], 1.0)


def test_a_claim_that_is_spread_over_all_rows_is_not_clear() -> None:
    assert Claim(0, np.array([1.0, 0.0, 0.99]), np.zeros(2)).is_clear
    assert not Claim(0, np.full(10, 0.3), np.zeros(2)).is_clear


def test_bins_differ_by_chance_in_few_samples() -> None:
    rng = np.random.default_rng(3)
    weights = rng.random(1_000)
    null = [differ_in_bins(*rng.normal(size=(2, 1_000)), weights) for _ in range(300)]
    assert np.mean(null) < 0.02
    # Rows that share a value whose density is an average one.
    seen = []
    for _ in range(20):
        own, drawn = rng.normal(size=(2, 1_000))
        own[:120] = 1.0
        seen.append(differ_in_bins(own, drawn, weights))
    assert np.mean(seen) > 0.9


def test_an_order_is_told_by_what_differs_in_the_rows_of_changes_and_by_nothing_else() -> None:
    """a -> b -> c; a was set in the first rows, b in the next."""
    rng = np.random.default_rng(3)

    def chain(a: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
        b = a + rng.normal(size=a.size) if b is None else b
        return np.column_stack([a, b, b + rng.normal(size=a.size)])

    control = chain(rng.normal(size=2000))
    of_a, of_b = chain(np.full(500, 5.0)), chain(rng.normal(size=500), np.full(500, 7.0))
    rest, nothing = chain(rng.normal(size=1000)), np.zeros(2000)
    pool = np.concatenate([of_a, of_b, rest])
    found = [Claim(i, np.repeat([i == 0, i == 1, False], [500, 500, 1000]) * 1.0, nothing)
             for i in (1, 0)]  # fmt: skip
    assert order_by_claims(found, pool, control) == (0, 1, 2)
    # Where no row is claimed, nothing tells.
    none = Claim(2, np.zeros(2000), nothing)
    assert order_by_claims([none], pool, control) is None
    assert order_by_claims([], pool, control) is None
