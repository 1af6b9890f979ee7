"""What is chosen on all the evidence: scores and costs by hand, and the best of all subsets."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dosift.likelihood.solve import solve
from dosift.likelihood.weight_sums import WeightSums
from dosift.model.network import Network
from dosift.model.simulate import sample_codes
from dosift.search.choice import choose
from dosift.search.constraints import Constraints
from dosift.search.selection import Mixture, Selection
from plain_sums import TARGETS, PlainRows, toy_network, toy_rows

PATTERN = 0.5
EVERY = (0, 1, 2, 3)


def drawn(
    network: Network, weights: np.ndarray, n_rows: int, seed: int, missing: float = 0.0
) -> PlainRows:
    """Rows of the toy targets, one batch for each line of weights, collapsed."""
    rng = np.random.default_rng(seed)
    codes, batch = [], []
    for b, own in enumerate(np.atleast_2d(weights)):
        codes.append(sample_codes(network, TARGETS, own, n_rows, rng)[0])
        batch.append(np.full(n_rows, b))
    values, of = np.concatenate(codes), np.concatenate(batch)
    values = np.where(rng.random(values.shape) < missing, -1, values)
    wide, counts = np.unique(np.column_stack([values, of]), axis=0, return_counts=True)
    several = np.ndim(weights) == 2
    return PlainRows(network, wide[:, :-1], counts.astype(float), wide[:, -1] if several else None)


def selection(rows: PlainRows, held: bool = True, known: Constraints | None = None) -> Selection:
    constraints = known or Constraints.none(rows.network.cardinalities)
    return Selection(rows.evidence(held), rows.network, constraints, EVERY)


def name_cost(target: np.ndarray, sizes: tuple[int, ...] = (2, 3, 2, 2)) -> float:
    """Logarithm of the number of targets among which one is told apart, by its description."""
    by_size = []
    mean = float(np.mean([math.log(k - 1) for k in sizes]))
    for size in range(len(sizes) + 1):
        by_size.append(math.log(math.comb(len(sizes), size)) + size * mean)
    running = list(itertools.accumulate(by_size, max))
    size = int((target >= 0).sum())
    own = sum(math.log(sizes[i] - 1) for i in np.flatnonzero(target >= 0))
    return running[size] - size * mean + own


def pattern_cost(n_present: int, n: int) -> float:
    return PATTERN * (math.log(math.comb(n, n_present)) + math.log(n + 1)) if n > 1 else 0.0


def score_of(rows: PlainRows, targets: np.ndarray, weights: np.ndarray) -> float:
    """The penalised log-likelihood as the module states it, term by term."""
    n_rows = [rows.counts[rows.of_batch(b)].sum() for b in range(rows.n_batches)]
    total = float(rows.log_likelihood(targets, weights).sum())
    for b in range(rows.n_batches):
        total -= 0.5 * math.log(n_rows[b]) * int((weights[b] > 0).sum())
    for t, target in enumerate(targets):
        total -= name_cost(target)
        total -= pattern_cost(int((weights[:, t] > 0).sum()), rows.n_batches)
    return total


@pytest.mark.parametrize(
    "kind", [{}, {"batches": True}, {"missing": True}, {"missing": True, "batches": True}]
)
def test_the_score_is_what_it_says(kind: dict[str, bool]) -> None:
    rows = toy_rows(1, **kind)
    chooser = selection(rows)
    may = np.ones((rows.n_batches, 5), dtype=bool)
    if rows.n_batches > 1:
        may[0, 1] = may[2, [2, 3]] = False
    found = chooser.solved(TARGETS, np.full((rows.n_batches, 5), 0.2), may, 1e-10)
    assert not found.allowed[found.weights <= 0].any()
    expected = score_of(rows, found.targets, found.weights)
    own = found.score + chooser.evidence.reference(rows.network)
    assert own == pytest.approx(expected, rel=1e-10)


def test_a_weight_costs_its_digits_and_the_change_of_the_pattern() -> None:
    rows = toy_rows(2, batches=True)
    chooser = selection(rows)
    now = chooser.solved(TARGETS, np.full((3, 5), 0.2))
    costs = chooser.costs(now)
    n_rows = [rows.counts[rows.of_batch(b)].sum() for b in range(3)]
    for b, t in itertools.product(range(3), range(len(now.targets))):
        k = max(int((now.weights[:, t] > 0).sum()), 1)
        # Saved by naming one batch less, as far as that is positive: C(3, k) / C(3, k - 1).
        change = math.log(math.comb(3, k) / math.comb(3, k - 1))
        expected = 0.5 * math.log(n_rows[b]) + PATTERN * max(change, 0.0)
        assert costs[b, t] == pytest.approx(expected)
    one = toy_rows(2)
    alone = selection(one)
    now = alone.solved(TARGETS, np.full((1, 5), 0.2))
    expected = [name_cost(t) + 0.5 * math.log(one.counts.sum()) for t in now.targets]
    np.testing.assert_allclose(alone.costs(now), [expected])


def test_margins_compare_estimated_losses_with_costs() -> None:
    from dosift.search.elimination import drop_losses

    rows = toy_rows(3, batches=True)
    known = Constraints.none(rows.network.cardinalities)
    known = type(known)(**{**vars(known), "required": TARGETS[1:2]})
    chooser = selection(rows, known=known)
    allowed = np.ones((3, 5), dtype=bool)
    allowed[1, 2] = False
    allowed[2, 1:] = False
    now = chooser.trial(chooser.solved(TARGETS, np.full((3, 5), 0.2)), allowed)
    net = chooser.margins(now)
    plain = drop_losses(now.sums.information, now.weights) - chooser.costs(now)
    free = (now.weights > 0) & (np.arange(5) != 1)
    free[2] = allowed[2].sum() > 1 and free[2]
    assert np.isinf(net[~free]).all()
    np.testing.assert_allclose(net[free], plain[free])


def test_targets_that_nobody_has_are_left_out_but_for_those_that_must_stay() -> None:
    rows = toy_rows(4, batches=True)
    free = Constraints.none(rows.network.cardinalities)
    known = type(free)(**{**vars(free), "required": TARGETS[4:]})
    for constraints, left in ((free, 3), (known, 4)):
        chooser = selection(rows, known=constraints)
        allowed = np.ones((3, 5), dtype=bool)
        allowed[:, [1, 4]] = False
        now = chooser.solved(TARGETS, np.full((3, 5), 0.2), allowed)
        assert len(now.targets) <= left
        tried = chooser.kept(chooser.trial(now, now.weights > 0))
        assert np.array_equal(tried.targets, now.targets)
        keys = {t.tobytes() for t in now.targets}
        assert (TARGETS[4].tobytes() in keys) == (constraints is known)


def best_subset(rows: PlainRows, pool: np.ndarray) -> float:
    """Highest score of all subsets of a pool, in one batch."""
    best = -np.inf
    evidence = rows.evidence(True)
    for size in range(1, len(pool) + 1):
        for some in itertools.combinations(range(len(pool)), size):
            targets = pool[list(some)]
            start = np.full((1, size), 1.0 / size)
            found = solve(evidence, rows.network, targets, start, 1e-9)
            kept = found.weights[0] > 0
            if not found.sums.n_impossible.any():
                value = score_of(rows, targets[kept], found.weights[:, kept])
                best = max(best, value)
    return best


@pytest.mark.parametrize("missing", [0.0, pytest.param(0.15, marks=pytest.mark.long)])
def test_no_subset_of_the_pool_scores_higher(missing: float) -> None:
    right = 0
    for seed in range(6):
        network = toy_network(seed)
        rows = drawn(network, np.array([0.4, 0.3, 0.1, 0.15, 0.05]), 800, seed, missing)
        pool = np.concatenate([TARGETS, [[-1, -1, -1, 0], [-1, 2, -1, -1]]]).astype(np.int16)
        chooser = selection(rows)
        found = chooser.run(pool)
        own = found.score + chooser.evidence.reference(network)
        best = best_subset(rows, pool)
        right += own >= best - 1e-2
        # Dropped one by one, at most what a single drop may lose before it is not even tried.
        assert own >= best - 3.0
        assert own == pytest.approx(score_of(rows, found.targets, found.weights), abs=1e-6)
        # Held or in blocks, in any order of the pool: the same.
        again = selection(rows, held=False).run(pool[::-1])
        assert again.score >= found.score - 1e-2
    assert right >= (6 if missing == 0 else 5)


def test_batches_keep_what_they_have_and_drop_what_they_have_not() -> None:
    weights = np.array(
        [[0.5, 0.3, 0.2, 0.0, 0.0], [0.5, 0.0, 0.2, 0.3, 0.0], [0.6, 0.4, 0.0, 0.0, 0.0]]
    )
    right = 0
    for seed in range(4):
        network = toy_network(20 + seed)
        rows = drawn(network, weights, 3000, seed)
        for held in (True, False):
            found = selection(rows, held).run(TARGETS)
            present = np.zeros((3, 5), dtype=bool)
            for t, target in enumerate(found.targets):
                place = int(np.flatnonzero((target == TARGETS).all(axis=1))[0])
                present[:, place] = found.weights[:, t] > 0
            right += int((present == (weights > 0)).sum())
            for b in range(3):
                assert found.weights[b].sum() == pytest.approx(1.0)
    # 120 weights that are there or not; by hand, 115 were decided rightly and more.
    assert right >= 108


def test_what_lies_around_the_pool_comes_in_where_it_pays() -> None:
    network = toy_network(30)
    rows = drawn(network, np.array([0.5, 0.25, 0.25, 0.0, 0.0]), 4000, 0)
    for held in (True, False):
        found = selection(rows, held).run(TARGETS[:1])
        keys = {t.tobytes() for t in found.targets}
        assert keys == {t.astype(np.int16).tobytes() for t in TARGETS[:3]}


def test_required_targets_join_the_pool_and_known_weights_stay() -> None:
    network = toy_network(31)
    rows = drawn(network, np.array([0.5, 0.3, 0.2, 0.0, 0.0]), 2000, 1)
    free = Constraints.none(network.cardinalities)
    known = type(free)(
        **{
            **vars(free),
            "required": TARGETS[3:4],
            "known": TARGETS[1:2],
            "known_weights": np.array([0.25]),
        }
    )
    found = selection(rows, known=known).run(TARGETS[:1])
    weights = {t.tobytes(): w for t, w in zip(found.targets, found.weights[0], strict=True)}
    assert weights[TARGETS[1].tobytes()] == pytest.approx(0.25)
    assert TARGETS[3].tobytes() in weights
    assert sum(weights.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("max_size", "places"), [(None, 4), (3, 4), (2, 3), (1, 2)])
def test_listed_candidates_are_priced_up_to_the_largest_size(
    max_size: int | None, places: int
) -> None:
    """A variable that is set to its first state counts as any other."""
    network = toy_network(30)
    evidence = drawn(network, np.eye(5)[0], 500, 0).evidence(True)
    free = Constraints.none(network.cardinalities)
    known = type(free)(**{**vars(free), "candidates": TARGETS})
    chooses = Selection(evidence, network, known, EVERY, max_size)
    now = chooses.solved(TARGETS[:1], np.ones((1, 1)), np.ones((1, 1), dtype=bool))
    (priced,) = chooses.priced(now)
    sizes = (priced.targets >= 0).sum(axis=1)
    assert sizes.size == places
    assert max_size is None or sizes.max() <= max_size


def quadratic(
    seed: int, n_components: int
) -> tuple[WeightSums, np.ndarray, np.ndarray, np.ndarray]:
    """Sums over random positive columns at some weights, with costs."""
    rng = np.random.default_rng(seed)
    columns = rng.gamma(0.3, size=(400, 6)) + 0.02
    weights = rng.dirichlet(np.ones(n_components))
    relative = columns / (columns[:, :n_components] @ weights)[:, None]
    sums = WeightSums(
        relative.sum(axis=0)[None],
        (relative.T @ relative)[None],
        np.zeros(1),
        np.array([400.0]),
        np.zeros(1),
    )
    return sums, relative, weights, rng.uniform(1.0, 6.0, 6)


def value_of(sums: WeightSums, start: np.ndarray, some: list[int]) -> float:
    """Maximum over the weights of some targets of the quadratic model, by a fine descent."""
    from scipy.optimize import minimize

    information, n = sums.information[0], sums.n_possible[0]
    linear = sums.gradient[0] - n + information @ start
    part, own = information[np.ix_(some, some)], linear[some]
    found = minimize(
        lambda w: 0.5 * w @ part @ w - own @ w,
        start[some] + 1e-3,
        jac=lambda w: part @ w - own,
        bounds=[(0, None)] * len(some),
        method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9},
    )
    return -float(found.fun)


@pytest.mark.parametrize("seed", range(6))
def test_choosing_never_does_worse_than_dropping_nothing_or_any_one(seed: int) -> None:
    sums, _, weights, costs = quadratic(seed, 3)
    start = np.concatenate([weights, np.zeros(3)])
    chosen, best = choose(sums, weights, costs)
    assert best.sum() == pytest.approx(1.0)
    assert (best >= 0).all()
    own = value_of(sums, start, chosen.tolist()) - costs[chosen].sum()
    everything = value_of(sums, start, list(range(6))) - costs.sum()
    assert own >= everything - 1e-5
    for k in chosen.tolist():
        rest = [t for t in chosen.tolist() if t != k]
        if rest:
            assert own >= value_of(sums, start, rest) - costs[rest].sum() - 1e-5


def test_choosing_keeps_what_is_protected_and_what_is_known() -> None:
    sums, _, weights, costs = quadratic(9, 3)
    costs = costs + 1000.0
    protected = np.array([False, True, False, False, False, False])
    chosen, best = choose(sums, weights, costs, protected)
    assert 1 in chosen.tolist()
    assert chosen.size <= 2
    fixed = np.full(6, np.nan)
    fixed[2] = weights[2]
    chosen, best = choose(sums, weights, costs, None, fixed)
    assert 2 in chosen.tolist()
    assert best[chosen.tolist().index(2)] > 0


def test_a_mixture_knows_its_weights_and_sums() -> None:
    rows = toy_rows(5)
    now = selection(rows).solved(TARGETS, np.full((1, 5), 0.2))
    assert isinstance(now, Mixture)
    assert now.weights is now.solution.weights
    assert now.sums is now.solution.sums


def agreeing_rows() -> PlainRows:
    """Rows of do() and of what sets the last variable, whatever the others are."""
    network = toy_network(4)
    rng = np.random.default_rng(5)
    targets = np.array([[-1, -1, -1, -1], [-1, -1, -1, 1]])
    codes = sample_codes(network, targets, np.array([0.6, 0.4]), 3_000, rng)[0]
    cells, counts = np.unique(codes, axis=0, return_counts=True)
    return PlainRows(network, cells, counts.astype(float))


def test_components_are_merged_into_what_they_have_in_common() -> None:
    rows = agreeing_rows()
    apart = np.array([[-1] * 4, [0, -1, -1, 1], [1, -1, -1, 1]], dtype=np.int16)
    start = np.array([[0.6, 0.2, 0.2]])

    def merged(**known: Any) -> list[list[int]] | None:
        constraints = replace(Constraints.none(rows.network.cardinalities), **known)
        chooser = selection(rows, known=constraints)
        now = chooser.solved(apart, start)
        assert len(now.targets) == 3
        found = chooser._merged(now)
        if found is None:
            return None
        assert found.score > now.score + 1.0
        return sorted(found.targets.tolist())

    common = np.array([[-1, -1, -1, 1]], dtype=np.int16)
    assert merged() == [[-1] * 4, common[0].tolist()]
    # Not where that is forbidden, or what it would replace must stay.
    assert merged(forbidden=common) is None
    assert merged(required=apart[1:]) is None
    # Without rows at hand it would take a pass over all for each.
    chooser = selection(rows, held=False)
    assert chooser._merged(chooser.solved(apart, start)) is None
