"""The trial without a network solves an easy problem, and its parts are right."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
import units_without_network as trial  # noqa: E402
import violating_units  # noqa: E402


def test_an_easy_problem() -> None:
    problem = violating_units.draw_problem(3, 3, 2, 4, 2)
    found = trial.tried(problem, 2_000, 5)
    assert found.final_recall == 1.0
    assert found.final_tv < 0.1
    assert found.rand > 0.8
    assert found.edges_recall > 0.6


def test_rand_index() -> None:
    one = np.array([0, 0, 1, 1, 2])
    assert trial.rand_index(one, np.array([1, 1, 0, 0, 2])) == pytest.approx(1.0)
    many = np.random.default_rng(0).integers(3, size=(2, 5_000))
    assert abs(trial.rand_index(many[0], many[1])) < 0.01


def test_the_graph_is_learned_from_rows_that_leave_variables_alone() -> None:
    problem = violating_units.draw_problem(4, 3, 0, 5, 2)
    codes, _, target = problem.units(np.ones(30_000, dtype=np.int64))
    weights = (target[:, None] == np.arange(5)).astype(np.float64)
    network = trial.learned(problem, codes, weights, problem.targets)
    true, found = set(problem.network.edges), set(network.edges)
    assert len(true & found) >= len(true) - 1
