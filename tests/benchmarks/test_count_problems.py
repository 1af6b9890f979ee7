"""The simulated screens are what they are said to be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dosift.learning.count_mechanisms import learn_counts

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "benchmarks"
_TAPSEQ = _ROOT.parent / "shared" / "data" / "tapseq"


@pytest.fixture(scope="module")
def problems() -> Any:
    if not (_FOLDER / "count_problems.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(_FOLDER))
    try:
        import count_problems
    finally:
        sys.path.remove(str(_FOLDER))
    return count_problems


@pytest.mark.parametrize("kind", ["count_problem", "screen"])
def test_problems_are_what_is_said(problems: Any, kind: str) -> None:
    for seed in range(5):
        problem = getattr(problems, kind)(np.random.default_rng(seed))
        n_rows = 5000 if kind == "count_problem" else 8000
        assert problem.control.shape == problem.pool.shape == (n_rows, 20)
        assert (problem.pool.dtypes == np.int64).all()
        assert len(problem.edges) == 15
        assert problem.targets[0] == {}
        assert {len(target) for target in problem.targets[1:]} <= {1, 2}
        assert len({frozenset(target) for target in problem.targets}) == 7
        assert problem.weights.sum() == pytest.approx(1.0)
        share = np.bincount(problem.component, minlength=7) / n_rows
        assert share == pytest.approx(problem.weights, abs=0.025)
        escaped = problem.component != problem.meant
        assert (problem.component[escaped] == 0).all()
        assert escaped.any() == (kind == "screen")
        assert len(problem.labels) == n_rows
        assert problem.labels.count("do()") == (problem.component == 0).sum()
        again = getattr(problems, kind)(np.random.default_rng(seed))
        assert again.pool.equals(problem.pool)


@pytest.mark.parametrize("per_depth", [False, True])
def test_control_rows_follow_the_mechanisms_and_folds_lower(problems: Any, per_depth: bool) -> None:
    problem = problems.count_problem(np.random.default_rng(1), per_depth=per_depth)
    names = list(problem.control)
    rows = np.column_stack([problem.control, np.log(problem.control_total)])
    child, mothers = "", []
    for child in names:
        mothers = [parent for parent, other in problem.edges if other == child]
        if mothers:
            break
    i, columns = names.index(child), [names.index(parent) for parent in mothers]
    found = learn_counts(rows, np.ones(len(rows)), i, columns, 20)
    assert (found.features[0].feature.size == 20) == per_depth
    slopes = [found.coefficients[k + 1] / found.features[k].spread for k in range(len(columns))]
    assert all(0.1 < abs(slope) < 0.75 for slope in slopes)
    for k, target in enumerate(problem.targets):
        for name, factor in target.items():
            if any(other == name for _, other in problem.edges):
                continue
            hit = problem.component == k
            seen = problem.pool[name][hit].sum() / problem.pool_total[hit].sum()
            usual = problem.control[name].sum() / problem.control_total.sum()
            assert seen / usual == pytest.approx(factor, rel=0.3)


def test_depths_vary_threefold(problems: Any) -> None:
    problem = problems.count_problem(np.random.default_rng(0))
    low, high = np.quantile(problem.pool_total, [0.01, 0.99])
    assert high / low == pytest.approx(3.0, rel=0.15)


def test_a_screen_is_like_real_cells(problems: Any) -> None:
    if not _TAPSEQ.is_dir():
        pytest.skip(f"the counts of TAP-seq are not at {_TAPSEQ}")
    table = problems.beside_tapseq(_TAPSEQ)
    ratio = table["screen"] / table["TAP-seq"]
    for what in ("mean, 50%", "mean, 90%", "depth, 5%", "depth, 95%"):
        assert 0.4 < ratio[f"{what} of {'genes' if what[0] == 'm' else 'cells'}"] < 2.5
    assert 0.7 < ratio["dispersion, 50% of genes"] < 1.4
    assert abs(table.diff(axis=1)["screen"]["zeros, 50% of genes"]) < 0.1


def test_targets_of_a_small_problem_are_recovered(problems: Any) -> None:
    problem = problems.count_problem(
        np.random.default_rng(0), n=6, n_control=2000, n_pool=2000, n_targets=3
    )
    right, found, true, seconds = problems.recovered(problem, (0.1, 0.4))
    assert (right, found, true) == (3, 3, 3)
    assert seconds > 0.0
