"""The checks of the page on units say what the page says, on few problems."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
import unit_theory  # noqa: E402
import violating_units  # noqa: E402

import dosift  # noqa: E402


@pytest.mark.parametrize("seed", range(4))
def test_mixtures_are_read_from_the_exact_law(seed: int) -> None:
    problem = violating_units.draw_problem(2 + seed % 2, 2 + seed // 2, seed, 5, 3)
    mixture = dosift.Mixture.from_codes(problem.network, problem.targets, problem.weights)
    assert dosift.identifiability.exclusion(problem.network, mixture).violated
    error, same = unit_theory.read(problem)
    assert same
    assert error < 1e-10


def test_one_row_leaves_weights_open_that_two_determine() -> None:
    every, given = unit_theory.best_possible(0, 0.0)
    assert np.isinf(every)
    assert np.isfinite(given)
    shares = [unit_theory.best_possible(0, part)[0] for part in (0.04, 0.16, 0.64)]
    # The standard error falls as one over the root of the share.
    assert np.polyfit(np.log([0.04, 0.16, 0.64]), np.log(shares), 1)[0] == pytest.approx(
        -0.5, abs=0.06
    )


def test_ranks_of_interventions_that_draw_values(capsys: pytest.CaptureFixture[str]) -> None:
    unit_theory.soft()
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines()[1:]]
    found = {(int(a), int(b)): (c.strip(), d.strip()) for a, b, c, d in lines}
    assert found[2, 2][0] == "3 of 4"
    assert found[2, 3][0] == "4 of 4"
    assert (found[2, 3][1], found[2, 4][1]) == ("4 of 5", "5 of 5")
    assert found[3, 2][0] == "5 of 5"
    assert found[3, 3][1] == "7 of 7"


def test_the_moments_method_is_right_where_the_paper_is_not() -> None:
    problem = violating_units.draw_problem(5, 3, 1)
    assert unit_theory.by_moments(2, 4)(problem, 4_000)[0] < 0.1
    assert unit_theory.as_the_paper(problem, 4_000)[0] > 0.3
