"""The benchmark of continuous data: problems are what is said, the oracle is Bayes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "benchmarks"
_CHAMBER = _ROOT.parent / "shared" / "data" / "chamber"


@pytest.fixture(scope="module")
def bench() -> Any:
    if not (_FOLDER / "continuous.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(_FOLDER))
    try:
        import continuous
        import continuous_baselines
        import continuous_mixed
        import continuous_problems
    finally:
        sys.path.remove(str(_FOLDER))
    return SimpleNamespace(
        command=continuous,
        baselines=continuous_baselines,
        mixed=continuous_mixed,
        problems=continuous_problems,
    )


def normal_log_density(rows: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    from scipy.stats import multivariate_normal

    return multivariate_normal(mean, covariance).logpdf(rows)


def test_the_oracle_is_bayes_with_the_joint_normals(bench: Any) -> None:
    """Components of lines are normal: their joint densities give the same posterior."""
    for problem in (
        bench.problems.table("hard-far", 1),
        bench.problems.table("shift-near", 2),
        bench.problems.successor(5, 600, 3, "half", "soft"),
    ):
        means, covariances = bench.baselines.true_moments(problem)
        joint = np.log(problem.weights) + np.column_stack(
            [
                normal_log_density(problem.values, m, c)
                for m, c in zip(means, covariances, strict=True)
            ]
        )
        total = np.logaddexp.reduce(joint, axis=1)
        np.testing.assert_allclose(
            problem.oracle_posterior(), np.exp(joint - total[:, None]), atol=1e-9
        )
        assert problem.log_likelihood() == pytest.approx(total.sum())


def test_rows_of_each_component_have_its_moments(bench: Any) -> None:
    problem = bench.problems.table("hard-far", 0)
    means, covariances = bench.baselines.true_moments(problem)
    for k in range(len(problem.weights)):
        rows = problem.values[problem.component == k]
        sd = np.sqrt(np.diag(covariances[k]))
        assert np.abs((rows.mean(axis=0) - means[k]) / sd).max() < 5 / np.sqrt(len(rows))
    sd = np.sqrt(np.diag(covariances[0]))
    away = np.abs(problem.control_values.mean(axis=0) - means[0]) / sd
    assert away.max() < 5 / np.sqrt(5000)


def test_the_lines_of_the_table(bench: Any) -> None:
    for line, kind in bench.problems.LINES.items():
        problem = bench.problems.table(line, 5)
        assert len(problem.edges) == len(problem.names) == 10
        assert problem.sets[0] == frozenset()
        assert len(set(problem.sets)) == 7
        assert {len(one) for one in problem.sets[1:]} <= {1, 2}
        assert problem.pool.shape == (kind.n_rows, 10)
        assert problem.control.shape == (kind.n_control, 10)
        assert problem.weights.sum() == pytest.approx(1)
        sd = np.sqrt(np.diag(bench.baselines.true_moments(problem)[1][0]))
        for change in problem.changed:
            for i, part in change.items():
                away = abs(part.intercept - problem.parts[i].intercept) / sd[i]
                assert kind.least <= away <= kind.most
                assert part.sd == pytest.approx(kind.sd * sd[i] if kind.kind == "hard" else 1.0)
    assert bench.problems.table("null", 0).component.max() == 0


def test_a_seed_gives_the_same_problem_and_another_seed_another(bench: Any) -> None:
    for make in (
        lambda seed: bench.problems.table("hard-far", seed),
        bench.mixed.mixed,
        bench.mixed.telemetry,
        lambda seed: bench.problems.successor(6, 512, seed, "half"),
    ):
        one, again, other = make(0), make(0), make(1)
        assert one.pool.equals(again.pool)
        assert one.control.equals(again.control)
        assert not one.pool.equals(other.pool)


def test_the_successors_problems_are_as_published(bench: Any) -> None:
    for nodes, n_components in (("all", 9), ("half", 5)):
        problem = bench.problems.successor(8, 2**10, 0, nodes)
        counts = np.bincount(problem.component)
        assert counts.tolist() == [2**10 // n_components] * n_components
        assert len(problem.control) == 2**10 // n_components
        for part, given in zip(problem.parts, problem.parents, strict=True):
            assert all(p < 8 for p in given)
            assert all(0.5 <= abs(b) <= 1 for b in part.coefficients)
        rows = problem.values[problem.component == 1]
        hit = next(iter(problem.changed[1]))
        np.testing.assert_allclose(rows[:, hit], 1.0, atol=1e-3)


def test_mixed_problems_hold_texts_and_numbers(bench: Any) -> None:
    for kinds, n_discrete in (("mixed", 5), ("discrete", 10), ("continuous", 0)):
        problem = bench.mixed.mixed(3, kinds, n_rows=500)
        texts = [name for name in problem.names if not problem.pool[name].dtype.is_numeric()]
        assert len(texts) == n_discrete
        assert all(name.startswith("d") for name in texts)
        for change in problem.changed:
            for part in change.values():
                # The last state is never set, so that targets are identified.
                assert getattr(part, "state", 0) < bench.mixed.N_STATES - 1


def test_states_follow_their_probabilities(bench: Any) -> None:
    problem = bench.mixed.mixed(4, "mixed", n_rows=20_000)
    for i, part in enumerate(problem.parts):
        if isinstance(part, bench.mixed.States):
            probabilities = np.exp(part.log_probabilities(problem.control_values))
            np.testing.assert_allclose(probabilities.sum(axis=1), 1)
            seen = np.bincount(problem.control_values[:, i].astype(int), minlength=3) / 20_000
            assert np.abs(seen - probabilities.mean(axis=0)).max() < 5 * 0.5 / np.sqrt(20_000)


def test_telemetry_is_measured_in_its_own_units_and_the_likelihood_follows(bench: Any) -> None:
    problem = bench.mixed.telemetry(2, n_rows=400)
    latencies = [name for name in problem.names if name.startswith("latency")]
    assert 15 <= len(latencies) <= 20
    assert 3 <= len(problem.sets) - 1 <= 6
    errors = [name for name in problem.names if name.startswith("errors")]
    assert problem.pool.select(errors).to_numpy().min() > 0
    assert problem.pool.select(errors).to_numpy().max() < 1
    assert problem.pool.select(latencies).to_numpy().min() > 0
    own = 0.0
    for i, name in enumerate(problem.names):
        x = problem.pool[name].to_numpy()
        own -= np.log(x * (1 - x) if name in errors else x).sum()
        back = np.log(x / (1 - x)) if name in errors else np.log(x)
        np.testing.assert_allclose(back, problem.values[:, i], atol=1e-6)
    assert problem.log_jacobian == pytest.approx(own)


def test_known_networks(bench: Any) -> None:
    path = bench.command.pgmpy_folder() / "ecoli70.json"
    if not path.is_file():
        pytest.skip("no pgmpy with its networks")
    problem = bench.problems.known(path, 0, 500)
    assert (len(problem.names), len(problem.edges), len(problem.sets)) == (46, 70, 9)


def test_the_light_tunnel_has_the_sets_of_its_readme(bench: Any) -> None:
    if not _CHAMBER.is_dir():
        pytest.skip("the shared data are not there")
    for sensors, n_sets in (("ir", 16), ("vis", 19), ("angle", 18)):
        problem = bench.mixed.chamber(_CHAMBER, sensors)
        assert len(problem.sets) == n_sets
        assert len(problem.control) == 5000
        assert np.bincount(problem.component).tolist() == [1500, *[250] * (n_sets - 1)]
        assert frozenset(["current"]) in problem.sets


def _answer(bench: Any, problem: Any, sets: list[frozenset[str]], into: list[int]) -> Any:
    posterior = np.eye(len(sets))[np.array(into)[problem.component]]
    return bench.baselines.Answer(sets, posterior.mean(axis=0), posterior)


def test_scores_of_right_and_wrong_answers(bench: Any) -> None:
    problem = bench.problems.table("hard-far", 0)
    right = _answer(bench, problem, problem.sets, list(range(7)))
    perfect = bench.baselines.scores(problem, right)
    assert [perfect[key] for key in ("recall", "precision", "jaccard", "ari")] == [1, 1, 1, 1]
    assert perfect["tv"] < 0.05
    # One target is read as another set that shares one of two or more variables with it.
    k = next(k for k, one in enumerate(problem.sets) if len(one) == 2)
    kept = sorted(problem.sets[k])[:1]
    other = frozenset([*kept, "stranger"])
    sets = [*problem.sets[:k], other, *problem.sets[k + 1 :]]
    wrong = bench.baselines.scores(problem, _answer(bench, problem, sets, list(range(7))))
    assert wrong["recall"] == pytest.approx(5 / 6)
    assert wrong["precision"] == pytest.approx(5 / 6)
    assert wrong["jaccard"] == pytest.approx((5 + 1 / 3) / 6)
    assert wrong["ari"] == 1
    # Two components of one set are one; a target that is missing counts 0.
    sets = [frozenset(), frozenset(), *problem.sets[2:]]
    missed = bench.baselines.scores(problem, _answer(bench, problem, sets, list(range(7))))
    assert missed["components"] == 6
    assert missed["jaccard"] == pytest.approx(5 / 6)
    assert missed["tv"] == pytest.approx(problem.weights[1], abs=0.03)
    # Nothing found.
    none = _answer(bench, problem, [frozenset()], [0] * 7)
    nothing = bench.baselines.scores(problem, none)
    assert (nothing["recall"], nothing["jaccard"], nothing["ari"]) == (0, 0, 0)
    assert np.isnan(nothing["precision"])


def test_published_measures_count_matched_components_only(bench: Any) -> None:
    problem = bench.problems.successor(4, 1000, 0, "half")
    means, covariances = bench.baselines.true_moments(problem)
    keep = [2, 0]
    answer = bench.baselines.Answer(
        [problem.sets[k] for k in keep],
        np.full(2, 0.5),
        np.full((len(problem.values), 2), 0.5),
        moments=(means[keep] + 0.01, covariances[keep]),
        edges={tuple(reversed(problem.edges[0])), *problem.edges[1:]},
    )
    found = bench.baselines.published_scores(problem, answer)
    assert found["matched jaccard"] == 1
    assert found["parameter error"] == pytest.approx(2 * 4 * 0.01)
    assert found["shd"] == 1


def test_components_are_named_by_what_differs_from_control_rows(bench: Any) -> None:
    problem = bench.problems.table("hard-far", 3)
    posterior = np.eye(7)[problem.component]
    gains = bench.baselines.gains_of(
        problem.parents, problem.values, problem.control_values, posterior
    )
    named = [
        frozenset(name for name, gain in zip(problem.names, row, strict=True) if gain > 0.05)
        for row in gains
    ]
    assert named == problem.sets


@pytest.mark.parametrize("how", ["bic", "true", "bayes", "cutoff"])
def test_mixtures_find_what_is_plain(bench: Any, how: str) -> None:
    pytest.importorskip("sklearn")
    problem = bench.problems.successor(4, 2**11, 0)
    answer = bench.baselines.gaussian_mixture(problem, how)(0.1)
    np.testing.assert_allclose(answer.posterior.sum(axis=1), 1)
    assert bench.baselines.scores(problem, answer)["recall"] == 1


def test_the_command_prints_a_line_for_each_method(
    bench: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    bench.command.main(
        [
            *("successor", "--problems", "2", "--nodes", "4", "--methods", "oracle", "cutoff"),
            *("--json", str(tmp_path / "out.json")),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| problems | method | number | matched jaccard | parameter error")
    assert [line.split(" | ")[1] for line in lines[2:]] == ["oracle", "cutoff", "published"]
    assert len({line.count("|") for line in lines}) == 1
    assert (tmp_path / "out.json").is_file()


def test_means_and_medians(bench: Any) -> None:
    assert bench.command.cell([0.5, 0.5]) == "0.500"
    assert bench.command.cell([0.0, 0.0, 1.0]) == "0.333 / 0.000"
    assert bench.command.cell([float("nan")]) == "-"
