"""Problems of a study: what they depend on, and how they are scored."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict

import numpy as np
import pytest

from dosift.errors import InputError, MissingDependencyError
from dosift.model.evaluation import Scores
from dosift.study import problems
from dosift.study.problems import draw_problem, named_network, solve
from dosift.study.settings import Task

TASK = Task("scale-free", 4, "learned", 500, "likelihood", 0)


def test_a_problem_depends_on_its_own_place_only() -> None:
    first, again = (draw_problem(0, "scale-free", 5, 3) for _ in range(2))
    assert dict(first.mixture) == dict(again.mixture)
    for a, b in zip(first.network.tables, again.network.tables, strict=True):
        np.testing.assert_array_equal(a, b)
    others = [
        draw_problem(1, "scale-free", 5, 3),
        draw_problem(0, "erdos-renyi", 5, 3),
        draw_problem(0, "scale-free", 5, 4),
    ]
    assert all(dict(other.mixture) != dict(first.mixture) for other in others)


def test_fewer_rows_are_the_first_of_more_and_control_rows_are_others() -> None:
    problem = draw_problem(0, "erdos-renyi", 6, 0)
    np.testing.assert_array_equal(problem.rows(100), problem.rows(3000)[:100])
    learned = problem.learned_network(3000)
    assert learned.control is not None
    assert learned.control.n_rows == 3000
    assert learned.parents == problem.network.parents


def test_mixtures_are_as_in_the_paper() -> None:
    sizes, numbers = set(), set()
    for i in range(40):
        problem = draw_problem(0, "scale-free", 8, i)
        numbers.add(len(problem.mixture) - 1)  # but for the empty target
        sizes |= {target.size for target in problem.mixture}
        codes, _ = problem.mixture.to_codes(problem.network)
        assert all(len(set(column[column >= 0].tolist())) <= 2 for column in codes.T)
    assert sizes == set(range(9))
    assert min(numbers) >= 3  # of four targets, one may have been dropped as a duplicate
    assert max(numbers) <= 15


def test_largest_size_of_targets() -> None:
    problem = draw_problem(0, "scale-free", 8, 0, max_size=2)
    assert max(target.size for target in problem.mixture) <= 2
    assert draw_problem(0, "scale-free", 4, 0, max_size=9).network.n_variables == 4


def test_many_variables_do_not_make_tables_too_large() -> None:
    network = draw_problem(0, "erdos-renyi", 32, 0).network
    assert max(map(len, network.parents)) <= 10


def test_records_are_scores_of_the_answer() -> None:
    record = solve(0, None, TASK)
    assert record.pop("seconds") > 0
    assert record["refused"] is None
    assert {**asdict(TASK), **record} == record
    assert set(Scores.__dataclass_fields__) <= set(record)
    assert 0 < record["recall"] <= 1
    again = solve(0, None, TASK)
    assert {k: again[k] for k in record} == record
    other_rows = solve(0, None, Task("scale-free", 4, "learned", 100, "likelihood", 0))
    assert other_rows["n_true"] == record["n_true"]


@pytest.mark.parametrize(
    ("error", "words"), [(InputError("it is too large"), "too large"), (MemoryError(), "memory")]
)
def test_refusals_are_kept(error: Exception, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(problems, "estimate", refuse)
    record = solve(0, None, TASK)
    assert words in record["refused"]
    assert "recall" not in record


def test_named_networks() -> None:
    pytest.importorskip("pgmpy.utils.example_models", reason="pgmpy's networks are not installed")
    assert named_network("cancer").n_variables == 5
    record = solve(0, 3, Task("cancer", 0, "known", 2000, "likelihood", 0))
    assert record["recall"] > 0
    with pytest.raises(InputError, match="no network 'nowhere'"):
        named_network("nowhere")


def test_named_networks_without_pgmpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dosift\[pgmpy\]'"):
        named_network("cancer")
