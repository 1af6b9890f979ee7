"""Weights over blocks, batch by batch, against plain expectation maximisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.likelihood import solve as solving
from dosift.likelihood.solve import Solution, solve
from dosift.likelihood.weight_sums import WeightSums
from dosift.likelihood.weights import solve_weights
from plain_sums import TARGETS, PlainRows, toy_rows, toy_weights

Floats = NDArray[np.float64]
KINDS = [
    {"batches": True},
    {"missing": True},
    {"labels": True, "batches": True},
    {"zeros": True, "batches": True, "missing": True, "labels": True},
]
NAN = np.nan


def by_em(
    rows: PlainRows,
    allowed: NDArray[np.bool_] | None = None,
    fixed: Floats | None = None,
    steps: int = 4000,
) -> Floats:
    """Weights of each batch by EM, slow and sure; known ones stay as they are."""
    columns = rows.likelihoods(TARGETS)
    known = np.full(len(TARGETS), NAN) if fixed is None else fixed
    is_known = ~np.isnan(known)
    out = np.zeros((rows.n_batches, len(TARGETS)))
    for b in range(rows.n_batches):
        free = ~is_known if allowed is None else ~is_known & allowed[b]
        rest = 1.0 - known[is_known].sum()
        weights = np.where(is_known, np.nan_to_num(known), 0.0)
        weights[free] = rest / free.sum()
        at = rows.of_batch(b)
        at &= columns @ weights > 0
        for _ in range(steps):
            share = columns[at] * weights
            taken = rows.counts[at] @ (share / share.sum(axis=1, keepdims=True))
            weights[free] = rest * taken[free] / taken[free].sum()
        out[b] = weights
    return out


def check(rows: PlainRows, found: Solution, expected: Floats, loose: float = 1e-6) -> None:
    assert found.converged.all()
    assert (found.weights >= 0).all()
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        rows.log_likelihood(TARGETS, found.weights).sum(),
        rows.log_likelihood(TARGETS, expected).sum(),
        rtol=0,
        atol=loose,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("held", [True, False])
def test_the_weights_are_those_of_em(kind: dict[str, bool], held: bool) -> None:
    rows = toy_rows(1, **kind)
    start = np.full((rows.n_batches, len(TARGETS)), 1.0 / len(TARGETS))
    found = solve(rows.evidence(held), rows.network, TARGETS, start, 1e-10)
    check(rows, found, by_em(rows))
    assert (found.gap <= 1e-10).all()
    again = rows.evidence(held).weigh(rows.network, TARGETS, found.weights)
    np.testing.assert_allclose(found.sums.gradient, again.gradient, rtol=1e-10)
    np.testing.assert_allclose(found.sums.log_density, again.log_density, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_batch_may_not_have_it_has_not(kind: dict[str, bool]) -> None:
    rows = toy_rows(2, **{**kind, "labels": False})
    allowed = np.ones((rows.n_batches, len(TARGETS)), dtype=bool)
    for b in range(rows.n_batches):
        allowed[b, 1 + (b % 2)] = False
    start = toy_weights(rows.n_batches)
    found = solve(rows.evidence(True), rows.network, TARGETS, start, 1e-10, allowed=allowed)
    assert not found.weights[~allowed].any()
    check(rows, found, by_em(rows, allowed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fixed", [[0.3, NAN, NAN, NAN, NAN], [NAN, 0.2, NAN, 0.15, NAN]])
def test_known_weights_stay_and_the_others_are_the_best(
    kind: dict[str, bool], fixed: list[float]
) -> None:
    rows = toy_rows(3, **kind)
    known = np.array(fixed)
    start = np.full((rows.n_batches, len(TARGETS)), 0.2)
    for held in (True, False):
        found = solve(rows.evidence(held), rows.network, TARGETS, start, 1e-10, fixed=known)
        is_known = ~np.isnan(known)
        np.testing.assert_allclose(
            found.weights[:, is_known],
            np.repeat(known[is_known][None], rows.n_batches, axis=0),
            rtol=0,
            atol=1e-12,
        )
        check(rows, found, by_em(rows, None, known))


def test_known_weights_and_what_batches_may_have() -> None:
    rows = toy_rows(4, batches=True)
    known = np.array([NAN, 0.25, NAN, NAN, NAN])
    allowed = np.ones((3, 5), dtype=bool)
    allowed[0, 0] = allowed[1, 2] = allowed[2, [3, 4]] = False
    allowed[1, 1] = False  # its weight is known all the same
    start = np.full((3, 5), 0.2)
    found = solve(
        rows.evidence(True), rows.network, TARGETS, start, 1e-10, allowed=allowed, fixed=known
    )
    np.testing.assert_allclose(found.weights[:, 1], 0.25, atol=1e-12)
    allowed[1, 1] = True
    assert not found.weights[~allowed].any()
    check(rows, found, by_em(rows, allowed, known))


def test_the_gap_bounds_what_better_weights_gain() -> None:
    for seed, kind in enumerate(KINDS):
        rows = toy_rows(10 + seed, **kind)
        start = toy_weights(rows.n_batches, seed)
        loose = solve(rows.evidence(True), rows.network, TARGETS, start, 1e-12, max_passes=2)
        best = rows.log_likelihood(TARGETS, by_em(rows))
        now = rows.log_likelihood(TARGETS, loose.weights)
        n = loose.sums.n_possible
        if not loose.sums.n_impossible.any():
            assert (best - now <= n * loose.gap + 1e-9).all()
        gap = loose.sums.gradient.max(axis=1) / n - 1.0
        np.testing.assert_allclose(loose.gap, np.maximum(gap, 0.0), atol=1e-12)


def test_nothing_is_moved_where_nothing_can_be() -> None:
    """One target, all weights known, or a batch that may have a single one."""
    rows = toy_rows(5, batches=True)
    one = solve(rows.evidence(True), rows.network, TARGETS[:1], np.ones((3, 1)), 1e-9)
    assert one.weights.tolist() == [[1.0]] * 3
    assert one.gap.tolist() == [0.0] * 3
    known = np.array([0.4, 0.1, 0.1, 0.2, 0.2])
    all_known = solve(rows.evidence(True), rows.network, TARGETS, toy_weights(3), 1e-9, fixed=known)
    np.testing.assert_allclose(all_known.weights, np.repeat(known[None], 3, axis=0))
    assert all_known.converged.all()
    allowed = np.zeros((3, 5), dtype=bool)
    allowed[:, 0] = allowed[1] = True
    found = solve(
        rows.evidence(True), rows.network, TARGETS, toy_weights(3), 1e-10, allowed=allowed
    )
    assert found.weights[[0, 2]].tolist() == [[1.0, 0, 0, 0, 0]] * 2
    check(rows, found, by_em(rows, allowed))


def test_zeros_grow_and_few_passes_are_said_not_to_be_enough() -> None:
    rows = toy_rows(6)
    start = np.array([[1.0, 0, 0, 0, 0]])
    found = solve(rows.evidence(False), rows.network, TARGETS, start, 1e-10)
    check(rows, found, by_em(rows))
    once = solve(rows.evidence(False), rows.network, TARGETS, start, 1e-10, max_passes=1)
    assert not once.converged.any()
    np.testing.assert_allclose(once.weights, start, atol=1e-4)


def test_batches_do_not_wait_for_each_other() -> None:
    """The answer for a batch is the one that it gets alone, whatever the others need."""
    rows = toy_rows(7, batches=True, missing=True)
    start = toy_weights(3)
    together = solve(rows.evidence(True), rows.network, TARGETS, start, 1e-9)
    for b in range(3):
        at = rows.of_batch(b)
        alone = PlainRows(rows.network, rows.codes[at], rows.counts[at])
        found = solve(alone.evidence(True), rows.network, TARGETS, start[b : b + 1], 1e-9)
        np.testing.assert_allclose(found.weights[0], together.weights[b], atol=1e-5)
        np.testing.assert_allclose(found.sums.gradient[0], together.sums.gradient[b], rtol=1e-4)


def test_passes_are_few() -> None:
    """One pass serves all batches; a Newton step needs about ten."""
    seen = itertools.count()
    rows = toy_rows(8, batches=True)
    evidence = rows.evidence(True)
    weigh = evidence.weigh

    def counted(*arguments: object) -> object:
        next(seen)
        return weigh(*arguments)  # type: ignore[arg-type]

    evidence.weigh = counted  # type: ignore[method-assign, assignment]
    found = solve(evidence, rows.network, TARGETS, toy_weights(3), 1e-10)
    assert found.converged.all()
    assert next(seen) <= 20 < solving._MAX_PASSES


@pytest.mark.parametrize("seed", range(3))
def test_known_weights_solve_the_constrained_problem(seed: int) -> None:
    import clarabel
    from scipy import sparse

    rows = toy_rows(seed)
    evidence = rows.evidence(True)
    assert evidence.held is not None
    columns, counts = evidence.under(rows.network, TARGETS).columns(TARGETS), evidence.held.counts
    fixed = np.array([0.3, NAN, NAN, 0.2, NAN])
    start = np.full((1, 5), 0.2)
    (weights,) = solve(evidence, rows.network, TARGETS, start, 1e-10, fixed=fixed).weights
    assert weights[[0, 3]].tolist() == [0.3, 0.2]
    assert weights.sum() == pytest.approx(1)
    # An exponential cone for each row: maximise sum c z with (z, 1, density) in the cone.
    n, m = columns.shape
    free = np.isnan(fixed)
    constant = columns[:, ~free] @ fixed[~free]
    k = int(free.sum())
    equality = np.concatenate([np.ones(k), np.zeros(n)])[None, :]
    positive = np.hstack([-np.eye(k), np.zeros((k, n))])
    cones = np.zeros((3 * n, k + n))
    right = np.zeros(3 * n)
    for r in range(n):
        cones[3 * r, k + r] = -1
        right[3 * r + 1] = 1
        cones[3 * r + 2, :k] = -columns[r, free]
        right[3 * r + 2] = constant[r]
    options = clarabel.DefaultSettings()
    options.verbose = False
    reference = clarabel.DefaultSolver(
        sparse.csc_matrix((k + n, k + n)),
        np.concatenate([np.zeros(k), -counts]),
        sparse.csc_matrix(np.vstack([equality, positive, cones])),
        np.concatenate([[0.5], np.zeros(k), right]),
        [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(k)] + [clarabel.ExponentialConeT()] * n,
        options,
    ).solve()
    assert weights[free] == pytest.approx(np.array(reference.x[:k]), abs=1e-4)
    assert m == 5


def test_without_known_weights_it_is_the_plain_problem() -> None:
    rows = toy_rows(1)
    evidence, start = rows.evidence(True), np.full((1, 5), 0.2)
    plain = solve(evidence, rows.network, TARGETS, start, 1e-9)
    none_known = solve(evidence, rows.network, TARGETS, start, 1e-9, fixed=np.full(5, NAN))
    assert np.array_equal(plain.weights, none_known.weights)
    assert evidence.held is not None
    columns = evidence.under(rows.network, TARGETS).columns(TARGETS)
    by_columns = solve_weights(columns, evidence.held.counts, start[0], 1e-9)
    np.testing.assert_allclose(plain.weights[0], by_columns.weights, atol=1e-4)


@pytest.mark.parametrize(
    ("first", "rise", "impossible", "is_better"),
    [
        (0.95, 0.0, 0.0, True),  # a little beyond the best point of the line
        (0.80, 0.0, 0.0, False),  # as steep as before, the other way
        (0.80, 1.0, 0.0, True),
        (0.95, 1.0, 1.0, False),
    ],
)
def test_a_step_may_go_a_little_beyond_the_best_point(
    first: float, rise: float, impossible: float, is_better: bool
) -> None:
    """The slope decides, where the log-likelihoods differ by rounding alone."""
    n_rows = 1e6

    def sums(gradient: float, log_density: float, n_impossible: float) -> WeightSums:
        return WeightSums(
            n_rows * np.array([[gradient, 2.0 - gradient]]),
            np.zeros((1, 2, 2)),
            np.array([log_density]),
            np.array([n_rows]),
            np.array([n_impossible]),
        )

    free = solving._Free(np.eye(2), np.arange(2), np.full(2, NAN))
    old, new = sums(1.2, -5.0, 0.0), sums(first, -5.0 + rise, impossible)
    assert solving._is_better(free, new, old, np.array([0.1, -0.1]), 0) is is_better
