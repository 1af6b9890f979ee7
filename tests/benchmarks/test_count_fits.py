"""How targets of counts are counted, and that they come back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def fits() -> Any:
    if not (_FOLDER / "count_fits.py").is_file():
        pytest.skip("benchmarks/ is not there")
    sys.path.insert(0, str(_FOLDER))
    try:
        import count_fits
    finally:
        sys.path.remove(str(_FOLDER))
    return count_fits


def test_outcomes_are_counted_by_sets(fits: Any) -> None:
    problem = fits.screen(np.random.default_rng(0), n_control=200, n_pool=400)
    shares = np.bincount(problem.component, minlength=7) / 400
    pairs = list(zip(problem.targets, shares, strict=True))
    perfect = fits.outcome(problem, fits.sets_of(pairs), 1.0)
    assert (perfect.right, perfect.found, perfect.true, perfect.components) == (6, 6, 6, 7)
    assert perfect.largest_error == pytest.approx(0.0, abs=1e-12)
    gene = next(iter(problem.targets[1]))
    worse = fits.outcome(problem, {frozenset(): 0.9, frozenset({gene, "no gene"}): 0.1}, 1.0)
    assert (worse.right, worse.found) == (0, 1)
    assert worse.largest_error > 0.0


def test_components_are_named_by_what_falls(fits: Any) -> None:
    problem = fits.screen(np.random.default_rng(0), n_control=200, n_pool=400)
    names = list(problem.control)
    fall = np.zeros((3, len(names)))
    fall[1, 2], fall[2, 2], fall[2, 4] = 0.7, 0.5, 0.15
    found = fits.named(problem, fall, np.array([0.5, 0.3, 0.2]), 0.2)
    assert found == {frozenset(): 0.5, frozenset({names[2]}): 0.5}
    assert frozenset({names[2], names[4]}) in fits.named(problem, fall, np.ones(3) / 3, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "size"), [("counts", "total"), ("screens", "total")])
def test_targets_come_back(fits: Any, kind: str, size: str) -> None:
    right = found = true = 0
    for seed in range(900, 906):
        problem = fits.MAKERS[kind](np.random.default_rng(seed))
        one = fits.outcome(problem, *fits.fitted(problem, size))
        right, found, true = right + one.right, found + one.found, true + one.true
        assert one.mean_error < 0.01
    assert right / true >= 0.9
    assert right / found >= 0.9
