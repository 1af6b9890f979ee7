"""The study of measurements: its problems, its measures by hand, its command."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import command
from dosift.errors import InputError
from dosift.study.continuous import (
    CONTINUOUS,
    NOTE,
    ContinuousAnswer,
    ContinuousProblem,
    ContinuousSettings,
    ContinuousTask,
    draw_continuous,
    scores_of,
    solve_continuous,
)
from dosift.study.published import SUCCESSOR

TASK = ContinuousTask(4, 2000, "all", "do", "given", 0)


def oracle(problem: ContinuousProblem) -> ContinuousAnswer:
    return ContinuousAnswer(problem.sets, np.eye(len(problem.sets))[problem.component])


def test_problems_are_as_in_the_paper() -> None:
    for k in range(30):
        problem = draw_continuous(0, replace(TASK, n_variables=6, problem=k))
        assert len(problem.hits) == 6
        assert len(problem.control) == 2000 // 7
        assert np.bincount(problem.component).tolist() == [2000 // 7] * 7
        sizes = [abs(b) for row in problem.network.coefficients for b in row]
        assert all(0.5 <= size <= 1.0 for size in sizes)
        assert all(p < i for i, row in enumerate(problem.network.parents) for p in row)
        assert set(problem.network.sds) == {1.0}
    shares = [
        len(draw_continuous(0, replace(TASK, n_variables=6, problem=k)).network.edges) / 15
        for k in range(60)
    ]
    assert np.mean(shares) == pytest.approx(0.8, abs=0.04)
    half = draw_continuous(0, replace(TASK, n_variables=6, nodes="half"))
    assert len(half.hits) == 3


@pytest.mark.parametrize("change", ["do", "hard", "soft"])
def test_rows_have_the_moments_that_are_said(change: str) -> None:
    problem = draw_continuous(3, replace(TASK, n_rows=100_000, change=change))
    means, covariances = problem.moments()
    for k, (mean, covariance) in enumerate(zip(means, covariances, strict=True)):
        rows = problem.rows[problem.component == k]
        np.testing.assert_allclose(rows.mean(axis=0), mean, atol=0.1)
        np.testing.assert_allclose(np.cov(rows.T), covariance, atol=0.25)
    node = problem.hits[2].node
    assert means[3, node] == pytest.approx(1.0) or change == "soft"
    assert (covariances[3, node, node] == pytest.approx(1e-9)) == (change == "do")


def test_a_problem_is_the_same_with_and_without_its_graph() -> None:
    one, other = (draw_continuous(0, replace(TASK, graph=graph)) for graph in ("given", "learned"))
    np.testing.assert_array_equal(one.rows, other.rows)
    assert not np.array_equal(one.rows, draw_continuous(1, TASK).rows)


def test_measures_by_hand() -> None:
    problem = draw_continuous(0, TASK)
    found = scores_of(problem, oracle(problem))
    assert found["jaccard"] == found["recall"] == found["precision"] == 1.0
    assert found["shd"] is None
    assert 0 < float(found["parameter_error"] or 0) < 40
    exact = scores_of(problem, replace(oracle(problem), moments=problem.moments()))
    assert exact["parameter_error"] == 0.0
    # One set is named wrongly, one holds a node too many; an edge is missing, one turned round.
    answer = oracle(problem)
    names = problem.network.names
    answer.sets[1], answer.sets[2] = frozenset(), answer.sets[2] | {names[0]}
    first, second, *rest = problem.network.edges
    answer = replace(answer, edges={*rest, second[::-1]})
    found = scores_of(problem, answer)
    assert found["jaccard"] == pytest.approx((1 + 0 + 0.5 + 1 + 1) / 5)
    assert found["shd"] == 2.0
    assert found["recall"] == pytest.approx(3 / 5)
    assert found["precision"] == pytest.approx(3 / 4)
    assert first not in (answer.edges or set())


def test_a_refusal_is_a_record() -> None:
    def refuses(problem: ContinuousProblem, edges: object) -> ContinuousAnswer:
        raise InputError("no")

    record = solve_continuous(refuses, 0, TASK)
    assert record["refused"] == "no"
    (line,) = CONTINUOUS.lines([record])
    assert (line["problems"], line["refused"], line["jaccard"]) == (0, 1, None)


def test_published_figures_stand_beside_lines_and_what_is_like_for_like_is_said() -> None:
    records = [
        solve_continuous(lambda problem, edges: oracle(problem), 0, task)
        for task in ContinuousSettings(variables=(4,), rows=(4096,), problems=2).tasks()
    ]
    lines = CONTINUOUS.lines(records)
    assert [line["like_for_like"] for line in lines] == [False, True]
    assert all(line["published_jaccard"] == SUCCESSOR[4, 4096]["jaccard"] for line in lines)
    text = CONTINUOUS.markdown(lines, CONTINUOUS.seconds(records))
    assert "| 4 | 4,096 | all | do | given | 2 | 1.000 | 0.867 |" in text
    assert text.endswith(NOTE)


def test_settings_that_make_no_study_are_refused() -> None:
    for changed, says in [
        ({"variables": ()}, "variables is empty"),
        ({"rows": (20,)}, "rows: 20 is out of range"),
        ({"changes": ("set",)}, "changes: 'set' is unknown"),
        ({"graphs": ("given", "given")}, "names something twice"),
        ({"seed": -1}, "seed is -1"),
    ]:
        with pytest.raises(InputError, match=says):
            ContinuousSettings(**changed)  # type: ignore[arg-type]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return command.run("study", "-o", "out", *arguments, cwd=cwd)


def test_the_command_solves_writes_and_goes_on(tmp_path: Path) -> None:
    asked = ["--continuous", "--variables", "3", "--rows", "1024", "--graph", "given"]
    first = run(*asked, "--problems", "1", "--json", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (line,) = json.loads(first.stdout)["results"]
    assert line["jaccard"] == 1.0
    assert (tmp_path / "out" / "results.csv").is_file()
    before = (tmp_path / "out" / "problems.jsonl").read_bytes()
    again = run(*asked, "--problems", "1", cwd=tmp_path)
    assert "not like for like" in again.stdout
    assert (tmp_path / "out" / "problems.jsonl").read_bytes() == before
    other = run(*asked, "--problems", "2", cwd=tmp_path)
    assert other.returncode == 2
    assert "has problems 1, not 2" in other.stderr


def test_options_of_the_other_study_are_refused(tmp_path: Path) -> None:
    wrong = run("--continuous", "--methods", "moments", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "--methods does not go with --continuous" in wrong.stderr
    wrong = run("--nodes", "half", cwd=tmp_path)
    assert "--nodes goes with --continuous" in wrong.stderr
