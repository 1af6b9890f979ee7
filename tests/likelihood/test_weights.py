"""The weight solver against an independent conic solver, and its certificate."""

from __future__ import annotations

import clarabel
import numpy as np
import pytest
from scipy import sparse

from dosift.likelihood.weights import information_of, nonnegative_quadratic, solve_weights


def conic_optimum(likelihoods: np.ndarray, counts: np.ndarray) -> float:
    """Optimal mean log-likelihood by Clarabel: maximise c't with (t_r, 1, (Lw)_r) exponential."""
    n_rows, n_targets = likelihoods.shape
    scale = likelihoods.max(axis=1)
    matrix = likelihoods / scale[:, None]
    shares = counts / counts.sum()
    cost = np.concatenate([np.zeros(n_targets), -shares])
    blocks = [
        sparse.hstack([sparse.csc_matrix(np.ones((1, n_targets))), sparse.csc_matrix((1, n_rows))]),
        sparse.hstack([-sparse.eye(n_targets), sparse.csc_matrix((n_targets, n_rows))]),
    ]
    offsets = [np.ones(1), np.zeros(n_targets)]
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(n_targets)]
    rows = sparse.lil_matrix((3 * n_rows, n_targets + n_rows))
    for r in range(n_rows):
        rows[3 * r, n_targets + r] = -1.0
        rows[3 * r + 2, :n_targets] = -matrix[r]
    blocks.append(rows.tocsc())
    offsets.append(np.tile([0.0, 1.0, 0.0], n_rows))
    cones += [clarabel.ExponentialConeT()] * n_rows
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    size = n_targets + n_rows
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix((size, size)),
        cost,
        sparse.vstack(blocks).tocsc(),
        np.concatenate(offsets),
        cones,
        settings,
    )
    solution = solver.solve()
    assert "Solved" in str(solution.status)
    return -float(solution.obj_val) + float(shares @ np.log(scale))


def random_problem(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n_rows, n_targets = int(rng.integers(1, 40)), int(rng.integers(1, 20))
    density = rng.choice([0.2, 0.5, 1.0])
    likelihoods = rng.exponential(size=(n_rows, n_targets)) * (
        rng.random((n_rows, n_targets)) < density
    )
    likelihoods[:, 0] = rng.choice([1.0, 1e-3])
    if rng.random() < 0.3:
        likelihoods *= np.exp(rng.normal(size=(n_rows, 1)) * 10)
    if n_targets > 3:
        likelihoods[:, 1] = likelihoods[:, 2]
        likelihoods[:, 3] = 0.0
    return likelihoods, rng.integers(1, 1000, size=n_rows).astype(float)


@pytest.mark.parametrize("block", range(10))
def test_objective_agrees_with_clarabel_on_random_and_degenerate_problems(block: int) -> None:
    for seed in range(25 * block, 25 * block + 25):
        likelihoods, counts = random_problem(seed)
        solution = solve_weights(likelihoods, counts)
        assert solution.converged
        assert solution.gap <= 1e-8
        assert solution.weights.min() >= 0
        assert solution.weights.sum() == pytest.approx(1, abs=1e-12)
        optimum = conic_optimum(likelihoods, counts)
        assert solution.log_likelihood / counts.sum() == pytest.approx(optimum, abs=1e-6)


def test_gap_bounds_what_is_left_to_gain() -> None:
    for seed in range(30):
        likelihoods, counts = random_problem(seed)
        best = solve_weights(likelihoods, counts, gap=1e-12).log_likelihood
        for steps in (0, 1, 2):
            early = solve_weights(likelihoods, counts, gap=1e-12, max_iterations=steps)
            missing = (best - early.log_likelihood) / counts.sum()
            assert -1e-12 <= missing <= early.gap + 1e-12


def test_a_sparse_ill_scaled_problem_converges_in_few_steps() -> None:
    # One column explains two rows alone: its curvature is 1e10 times that of the others.
    rng = np.random.default_rng(0)
    likelihoods = np.exp(rng.normal(size=(500, 12)))
    likelihoods[:, 11] = 0.0
    likelihoods[:2, 11] = 1e5
    solution = solve_weights(likelihoods, np.ones(500), gap=1e-12)
    assert solution.converged
    assert solution.iterations < 30


def test_one_row_and_one_target() -> None:
    assert solve_weights(np.array([[2.0]]), np.array([5.0])).weights.tolist() == [1.0]
    found = solve_weights(np.array([[1.0, 3.0]]), np.array([5.0]))
    assert found.weights == pytest.approx([0.0, 1.0], abs=1e-9)


def test_an_impossible_row_makes_the_likelihood_minus_infinity() -> None:
    found = solve_weights(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), np.array([3.0, 1.0, 1.0]))
    assert np.isneginf(found.log_likelihood)
    assert found.weights == pytest.approx([0.75, 0.25])


def test_warm_start_gives_the_same_optimum() -> None:
    likelihoods, counts = random_problem(4)
    cold = solve_weights(likelihoods, counts, gap=1e-12)
    warm = solve_weights(likelihoods, counts, start=np.eye(likelihoods.shape[1])[0], gap=1e-12)
    assert warm.log_likelihood == pytest.approx(cold.log_likelihood, abs=1e-6)


def test_nonnegative_quadratic_meets_its_optimality_conditions() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        factor = rng.normal(size=(30, 8))
        hessian, linear = factor.T @ factor, rng.normal(size=8) * 10
        found = nonnegative_quadratic(hessian, linear, np.zeros(8))
        slope = hessian @ found - linear
        assert found.min() >= 0
        assert slope[found > 0] == pytest.approx(0, abs=1e-6)
        assert slope.min() >= -1e-6


def test_the_scale_of_a_row_does_not_matter() -> None:
    for seed in range(10):
        likelihoods, counts = random_problem(seed)
        logs = np.random.default_rng(seed).uniform(-20, 20, size=len(counts))
        plain = solve_weights(likelihoods, counts, gap=1e-11)
        scaled = solve_weights(likelihoods * np.exp(logs)[:, None], counts, gap=1e-11)
        assert scaled.converged
        expected = plain.log_likelihood + counts @ logs
        assert (scaled.log_likelihood - expected) / counts.sum() == pytest.approx(0, abs=1e-9)


def test_more_iterations_never_lose() -> None:
    for seed in range(40):
        likelihoods, counts = random_problem(seed)
        values = [
            solve_weights(likelihoods, counts, gap=1e-12, max_iterations=k).log_likelihood
            for k in range(12)
        ]
        assert np.diff(values).min() / counts.sum() >= -1e-10


def test_the_same_input_gives_the_same_bits() -> None:
    for seed in range(10):
        likelihoods, counts = random_problem(seed)
        first, second = (solve_weights(likelihoods.copy(), counts.copy()) for _ in range(2))
        assert first.weights.tobytes() == second.weights.tobytes()
        assert first.log_likelihood == second.log_likelihood


def test_weights_on_the_boundary_and_worthless_columns() -> None:
    # Column 1 is beaten everywhere, column 2 is impossible, column 3 is column 0 again.
    rng = np.random.default_rng(0)
    best = rng.uniform(1, 2, size=30)
    likelihoods = np.stack([best, best / 2, np.zeros(30), best], axis=1)
    found = solve_weights(likelihoods, np.ones(30))
    assert found.converged
    assert found.weights[1] == pytest.approx(0, abs=1e-7)
    assert found.weights[2] == pytest.approx(0, abs=1e-7)
    assert found.log_likelihood == pytest.approx(np.log(best).sum(), abs=1e-6)


@pytest.mark.parametrize(
    "start",
    [
        np.array([0.0, 0.0]),
        np.array([-1.0, -2.0]),
        np.array([-3.0, 5.0]),
        np.array([1.0, 0.0]),  # makes the second row impossible
        np.array([0.0, 1.0]),  # makes the third row impossible
    ],
)
def test_a_start_that_is_no_solution_is_repaired(start: np.ndarray) -> None:
    likelihoods = np.array([[1.0, 1.0], [0.0, 2.0], [3.0, 0.0]])
    found = solve_weights(likelihoods, np.array([5.0, 1.0, 3.0]), start=start)
    assert found.converged
    assert found.weights == pytest.approx([0.75, 0.25], abs=1e-4)


def test_nothing_but_impossible_rows_and_no_rows() -> None:
    impossible = solve_weights(np.zeros((3, 2)), np.ones(3))
    assert np.isneginf(impossible.log_likelihood)
    assert impossible.weights.sum() == pytest.approx(1.0)
    assert impossible.mixture.tolist() == [0.0, 0.0, 0.0]
    none = solve_weights(np.zeros((0, 3)), np.zeros(0))
    assert none.converged
    assert none.log_likelihood == 0.0
    assert none.weights.sum() == pytest.approx(1.0)


def test_giving_up_is_admitted() -> None:
    likelihoods, counts = random_problem(4)
    found = solve_weights(likelihoods, counts, gap=1e-14, max_iterations=0)
    assert not found.converged
    assert found.gap > 1e-14
    assert found.iterations == 0


@pytest.mark.parametrize("scale", [1.0, 1e-250, 1e250])
@pytest.mark.parametrize("n_targets", [3, 50])
def test_information_does_not_depend_on_the_scale_of_rows(scale: float, n_targets: int) -> None:
    rng = np.random.default_rng(n_targets)
    likelihoods = rng.random((200, n_targets))
    likelihoods[::3, 1] = 0.0
    counts = rng.integers(1, 9, 200).astype(float)
    mixture = likelihoods.mean(axis=1)
    relative = likelihoods / mixture[:, None]
    expected = np.einsum("r,rs,rt->st", counts, relative, relative)
    rows = np.where(np.arange(200) % 2, scale, 1.0)
    found = information_of(likelihoods * rows[:, None], counts, mixture * rows)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert (found == found.T).all()
