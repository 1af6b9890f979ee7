"""The checks of the page on identifiability of numbers say what the page says, on few problems."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
import number_theory  # noqa: E402


def test_targets_are_read_from_moments() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "number_theory.py", "reading", "--problems", "5"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "targets read wrongly: 0;" in done.stdout
    assert "160 targets" in done.stdout


def test_a_copy_of_a_component_is_dependent_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    lines = number_theory.random_lines(3, rng)
    one = number_theory.moments(lines)
    two = number_theory.moments([number_theory.changed(lines[0], rng), *lines[1:]])
    assert number_theory.least_independence([one, two]) > 1e-6
    assert number_theory.least_independence([one, two, one]) == pytest.approx(0.0, abs=1e-12)


def test_rows_that_teach_a_line_save_its_child() -> None:
    rng = np.random.default_rng(0)
    found = np.mean([number_theory.false_changes(30, 8.0, 200, rng) for _ in range(50)], axis=0)
    assert found[0] > 0.5
    assert found[2] < 0.1


def test_the_formula_for_kinds_is_the_divergence() -> None:
    rng = np.random.default_rng(0)
    mean, noise = 2.0 * rng.standard_normal(100_000), rng.standard_normal(100_000)
    lost = number_theory.log_likelihood(noise) - number_theory.log_likelihood(mean + noise)
    assert lost == pytest.approx(0.5 * np.log1p(4.0), abs=0.01)
