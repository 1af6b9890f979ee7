"""Fits of numbers with missing values: found, unbiased, the same again for new rows."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import dosift
from dosift.errors import KindsWarning
from dosift.estimator import InterventionMixture

NAMES = ("a", "b", "c", "d")
GRAPH = [("a", "b"), ("b", "c"), ("a", "d")]
WEIGHTS = np.array([0.5, 0.3, 0.2])
TARGETS = [set[str](), {"b"}, {"c"}]


def drawn(n_rows: int, component: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rows of a target: nothing, b set to 3, c moved by 2.5."""
    a = rng.normal(size=n_rows)
    b = 0.8 * a + 0.5 * rng.normal(size=n_rows)
    if component == 1:
        b = 3.0 + 0.3 * rng.normal(size=n_rows)
    c = -0.7 * b + 0.5 * rng.normal(size=n_rows)
    if component == 2:
        c += 2.5
    d = 0.9 * a + 0.4 * rng.normal(size=n_rows)
    return np.stack([a, b, c, d], axis=1)


def frame(values: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame({name: values[:, i] for i, name in enumerate(NAMES)}, nan_to_null=True)


def problem(seed: int, share: float, n_rows: int = 800) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with missing values, and control rows."""
    rng = np.random.default_rng(seed)
    component = rng.choice(3, p=WEIGHTS, size=n_rows)
    values = np.empty((n_rows, 4))
    for k in range(3):
        values[component == k] = drawn(int((component == k).sum()), k, rng)
    values[rng.random(values.shape) < share] = np.nan
    return frame(values), frame(drawn(1000, 0, rng))


@cache
def fitted(seed: int, share: float = 0.2) -> Any:
    rows, control = problem(seed, share)
    with pytest.warns(KindsWarning):
        return InterventionMixture(random_state=0).fit(rows, control=control, graph=GRAPH)


def shares(model: Any) -> dict[frozenset[str], float]:
    """Weights by the variables that components touch."""
    found: dict[frozenset[str], float] = {}
    for target, weight in zip(model.mixture_.targets, model.mixture_.weights, strict=True):
        found[frozenset(target)] = found.get(frozenset(target), 0.0) + weight
    return found


def test_what_was_done_is_found_although_values_are_missing() -> None:
    model = fitted(0)
    found = shares(model)
    for variables, weight in zip(TARGETS, WEIGHTS, strict=True):
        assert abs(found[frozenset(variables)] - weight) < 0.06
    assert model.optimality_gap_ < 1e-3
    share = model.missing_values_.share
    assert np.all((share > 0.1) & (share < 0.3))
    assert not model.missing_values_.dependent


def test_the_log_likelihood_is_that_of_its_rows_judged_again() -> None:
    model, (rows, _) = fitted(0), problem(0, 0.2)
    total = model.score(rows) * rows.height
    assert total == pytest.approx(model.fitted_.result.log_likelihood, abs=1e-4)
    probability = model.predict_proba(rows)
    values = np.asarray(probability.to_numpy() if hasattr(probability, "to_numpy") else probability)
    assert np.isfinite(values).all()
    few = model.predict(rows[:50])
    np.testing.assert_array_equal(np.asarray(few), np.asarray(model.predict(rows))[:50])
    assert np.isfinite(np.asarray(model.surprise(rows[:50]))).all()


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "search"),
    [
        ("nonparametric", True),
        ("parametric", False),
        pytest.param("nonparametric", False, marks=pytest.mark.long),
        pytest.param("parametric", True, marks=pytest.mark.long),
    ],
)
def test_rows_that_lack_values_can_be_bootstrapped(kind: Any, search: bool) -> None:
    model, (rows, _) = fitted(0), problem(0, 0.2)
    again = dosift.bootstrap(model, rows, kind=kind, n_resamples=3, search=search)
    assert set(again.summary()["target"]) >= {str(target) for target in model.mixture_.targets}
    np.testing.assert_allclose(again.weights.sum(axis=1), 1.0, atol=1e-6)
    mean = again.weights[:, again.estimate > 0].mean(axis=0)
    assert np.abs(mean - again.estimate[again.estimate > 0]).max() < 0.08


def test_rows_that_lack_values_can_be_held_out() -> None:
    model, (rows, _) = fitted(0), problem(0, 0.2)
    found = dosift.held_out(model, rows, folds=2)
    assert found.gain > 0.3
    assert found.impossible == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")
def test_weights_are_unbiased() -> None:
    """Over many sets of rows the mean weight is the true one, within three standard errors."""
    found = []
    for seed in range(40):
        by_variables = shares(fitted(seed, 0.25))
        found.append([by_variables.get(frozenset(v), 0.0) for v in TARGETS])
    mean, sd = np.mean(found, axis=0), np.std(found, axis=0)
    assert (np.abs(mean - WEIGHTS) < 3.0 * sd / np.sqrt(40)).all(), (mean, sd)


def test_batches_and_weights_of_rows_go_with_missing_values() -> None:
    rows, control = problem(1, 0.15, 900)
    batch = np.where(np.arange(900) < 450, "night", "day")
    weight = np.where(np.arange(900) % 9 == 0, 0.0, 1.0)
    with pytest.warns(KindsWarning):
        model = InterventionMixture(random_state=0).fit(
            rows, control=control, graph=GRAPH, batch=batch, sample_weight=weight
        )
    found = shares(model)
    for variables, share in zip(TARGETS, WEIGHTS, strict=True):
        assert abs(found[frozenset(variables)] - share) < 0.07
    table = model.batches_
    assert set(table["batch"]) == {"day", "night"}
    sums = table.group_by("batch").agg(pl.col("weight").sum())["weight"].to_list()
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)
    assert len(model.predict(rows, batch=batch)) == 900
