"""The benchmark of graphs: it draws, runs and scores what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def modules() -> Any:
    if not (_FOLDER / "graphs.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(_FOLDER))
    try:
        import graph_problems
        import graph_tools

        import graphs
    finally:
        sys.path.remove(str(_FOLDER))
    return graphs, graph_problems, graph_tools


def test_problems_are_what_is_said(modules: Any) -> None:
    _, problems, _ = modules
    for seed in range(20):
        problem = problems.draw(6, 50, seed)
        targets, weights = problem.mixture.to_codes(problem.network)
        sizes = (targets >= 0).sum(axis=1)
        assert 5 <= len(targets) <= 8
        assert (sizes == 0).sum() == 1
        assert sizes.max() <= 3
        assert weights.min() >= problems.LEAST_WEIGHT
        assert targets.max() < 2  # the last state is never set
        assert max(map(len, problem.graph)) <= 2
    again = problems.draw(6, 50, 19)
    assert again.rows.equals(problem.rows)
    assert again.labels == problem.labels


@pytest.mark.parametrize("start", ["reversed", "dropped", "added", "mixed"])
def test_a_start_has_as_many_wrong_edges_as_asked(modules: Any, start: str) -> None:
    graphs, problems, _ = modules
    for seed in range(10):
        problem = problems.draw(6, 10, seed)
        wrong = problems.wrong_graph(problem.graph, start, 2, seed)
        assert wrong == problems.wrong_graph(problem.graph, start, 2, seed)
        assert problems.distance(wrong, problem.graph) == 2
        more = len([p for row in wrong for p in row]) - len(problem.network.edges)
        assert {"reversed": more == 0, "dropped": more == -2, "added": more == 2}.get(start, True)
        n_wrong = len(problems.wrong_pairs(problem, wrong))
        assert n_wrong == 2 or (start in {"reversed", "mixed"} and n_wrong < 2)
        figures = graphs.put_right(problem, wrong, problem.graph)
        assert (figures["put right"], figures["harmed"], figures["invented"]) == (n_wrong, 0, 0)
        nothing = graphs.put_right(problem, wrong, wrong)
        assert (nothing["put right"], nothing["harmed"], nothing["invented"]) == (0, 0, 0)


def test_distances_count_pairs(modules: Any) -> None:
    _, problems, _ = modules
    chain, turned, fork = ((), (0,), (1,)), ((1,), (2,), ()), ((1,), (), (1,))
    assert problems.distance(chain, turned) == 2
    assert problems.essential_distance(chain, turned, []) == 0
    assert problems.essential_distance(chain, fork, [[0]]) == 2
    assert problems.wilson(10, 10)[0] == pytest.approx(0.722, abs=0.001)


def test_partly_directed_graphs_are_extended_without_new_colliders(modules: Any) -> None:
    _, _, tools = modules
    arrows = np.zeros((4, 4), dtype=bool)
    for i, j in [(0, 1), (1, 0), (1, 2), (2, 1), (3, 2)]:
        arrows[i, j] = True
    arrows[3, 2] = False
    chain = tools.extended(arrows)
    assert sum(map(len, chain)) == 2
    assert chain[1] != (0, 2)  # no collider
    arrows[0, 1] = arrows[2, 1] = True
    arrows[1, 0] = arrows[1, 2] = False
    assert tools.extended(arrows)[1] == (0, 2)


def test_labels_settle_a_graph(modules: Any) -> None:
    pytest.importorskip("gies")
    _, problems, tools = modules
    found = [
        tools.with_gies(problem, 0)[0] == problem.graph
        for problem in (problems.draw(5, 5000, seed) for seed in range(6))
    ]
    assert sum(found) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("command", ["repair", "fixed", "coverage", "few", "compare"])
def test_every_command_prints_a_line_a_kind(
    modules: Any, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs, _, _ = modules
    starts = {"compare": ["dosift", "true-graph"]}.get(command, ["true", "reversed"])
    small = ["--n", "4", "--rows", "500", "--problems", "2", "--starts", ",".join(starts)]
    graphs.main([command, *small])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("CPU seconds" in line for line in lines)
