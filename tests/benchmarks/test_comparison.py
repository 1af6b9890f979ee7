"""The comparison with other tools: it draws, runs and scores what it says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def comparison() -> Any:
    if not (_FOLDER / "comparison.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(_FOLDER))
    try:
        import comparison as module
    finally:
        sys.path.remove(str(_FOLDER))
    return module


@pytest.mark.long
def test_every_tool_that_is_here_answers_what_it_can(comparison: Any) -> None:
    here = ("(the true mixture)", "dosift", "scikit-learn, Gaussian", "chi-square given parents")
    tools = {name: comparison.TOOLS[name][1] for name in here}
    setting = replace(comparison.SETTINGS["small"], n_rows=2000)
    figures = comparison.run(tools, setting, range(2))
    mean = {
        name: {c: comparison.mean([o[c] for o in outcomes]) for c in comparison.COLUMNS}
        for name, outcomes in figures.items()
    }
    truth, ours = mean["(the true mixture)"], mean["dosift"]
    assert truth["recall"] == truth["precision"] == 1.0
    assert truth["tv"] == pytest.approx(0.0)
    assert ours["recall"] > mean["scikit-learn, Gaussian"]["recall"]
    assert ours["ari"] == pytest.approx(truth["ari"], abs=0.1)
    tests = mean["chi-square given parents"]
    assert np.isnan(tests["recall"])
    assert 0 < tests["variables: recall"] <= 1


def test_matched_weights_ignore_names_and_order(comparison: Any) -> None:
    tool = comparison.TOOLS["(the true mixture)"][1]
    problem = comparison.draw(comparison.SETTINGS["few-rows"], 0)
    answer = tool(problem, 0)
    order = np.random.default_rng(0).permutation(problem.weights.size)
    renamed = replace(
        answer, weights=answer.weights[order], labels=np.argsort(order)[answer.labels]
    )
    assert comparison.matched_tv(problem, renamed) == pytest.approx(0.0)
    assert comparison.matched_tv(problem, replace(answer, weights=answer.weights / 2)) > 0.4
