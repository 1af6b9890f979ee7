"""What is said of each unit, and which of its rows speak against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import dosift
from dosift.checks.model_check import surprisal_scale
from dosift.data.load import load
from dosift.results.rows import RowJudge
from dosift.results.units import largest_evidence, tables_of
from drawn_units import UnitProblem, in_units, unit_problem


@pytest.fixture(scope="module")
def problem() -> UnitProblem:
    """Units of 1 to 4 rows."""
    drawn = unit_problem(3, n_targets=4)
    return in_units(drawn.network, drawn.mixture, [1, 2, 3, 4] * 100, 3)


@pytest.fixture(scope="module")
def model(problem: UnitProblem) -> Any:
    return dosift.InterventionMixture(problem.network).fit(problem.rows, unit="unit")


def tables(model: Any, rows: pl.DataFrame, **beside: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    loaded = load(rows, model.network_, **beside)
    texts = tuple(str(target) for target in model.targets_)
    judge = RowJudge.of_fit(model.fitted_, texts, by_batch=True, own_rows=True)
    of_rows, of_units = tables_of(judge, loaded)
    assert isinstance(of_rows, pl.DataFrame)
    assert of_units is not None
    return of_rows, of_units


def test_rows_have_the_target_of_their_unit(problem: UnitProblem, model: Any) -> None:
    of_rows, _ = tables(model, problem.rows, unit="unit")
    names = ["unit", "target", "probability", "surprise", "surprise_p_value", "unexplained"]
    assert of_rows.columns == [*names, "disagrees"]
    assert of_rows["unit"].to_list() == problem.rows["unit"].to_list()
    together = model.predict_proba(problem.rows.drop("unit"), unit=problem.rows["unit"])
    assert of_rows["target"].to_list() == [
        str(model.targets_[k]) for k in together.argmax(axis=1).tolist()
    ]
    np.testing.assert_allclose(of_rows["probability"], together.max(axis=1))
    rows = problem.rows.drop("unit")
    np.testing.assert_allclose(of_rows["surprise"], model.surprise(rows))
    np.testing.assert_allclose(of_rows["surprise_p_value"], model.surprise_p_value(rows))


def test_one_line_for_each_unit(problem: UnitProblem, model: Any) -> None:
    of_rows, of_units = tables(model, problem.rows, unit="unit")
    named = of_rows.group_by("unit", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n_rows"),
        pl.col("target").first(),
        pl.col("probability").first(),
        pl.col("disagrees").sum().cast(pl.Int64).alias("disagreeing"),
    )
    assert of_units.select(named.columns).equals(named)
    posterior = model.predict_proba(problem.rows.drop("unit"), unit=problem.rows["unit"])
    _, first = np.unique(problem.unit, return_index=True)
    first = np.sort(first)
    ordered = np.sort(posterior[first], axis=1)
    np.testing.assert_allclose(
        of_units["second_probability"].fill_null(0.0), ordered[:, -2], atol=1e-12
    )
    texts = [str(target) for target in model.targets_]
    for p, second, target in zip(
        posterior[first], of_units["second"], of_units["target"], strict=True
    ):
        assert (second is None) == (np.sort(p)[-2] == 0)
        assert second is None or (second != target and p[texts.index(second)] == np.sort(p)[-2])


def test_rows_without_a_unit_and_of_no_weight(problem: UnitProblem, model: Any) -> None:
    rows = problem.rows.with_columns(
        pl.when(pl.col("unit") == "u0").then(None).otherwise("unit").alias("unit")
    )
    alone, n_alone = rows["unit"].is_null(), problem.rows["unit"].eq("u0").sum()
    of_rows, of_units = tables(model, rows, unit="unit")
    assert of_rows["unit"].is_null().to_list() == alone.to_list()
    own = of_units.filter(pl.col("unit").is_null())
    assert own["n_rows"].to_list() == [1] * n_alone
    weight = np.where(problem.rows["unit"] == "u1", 0.0, 1.0)
    of_rows, of_units = tables(model, problem.rows, unit="unit", sample_weight=weight)
    line = of_units.filter(pl.col("unit") == "u1")
    assert line["n_rows"].item() == 2
    assert not of_rows.filter(pl.col("unit") != "u1")["target"].is_null().any()


def test_labelled_units_have_their_label(problem: UnitProblem) -> None:
    """With probability one, and then nothing comes second."""
    texts = np.array([str(t) for t in problem.mixture.targets])
    told = problem.unit % 5 == 0
    labels = np.where(told, texts[problem.component], "")
    model = dosift.InterventionMixture(problem.network).fit(
        problem.rows, unit="unit", labels=labels
    )
    assert model.n_units_ == 400 - len(set(problem.unit[told].tolist()))
    of_rows, of_units = tables(model, problem.rows, unit="unit", labels=labels)
    own = of_rows.filter(pl.Series(told))
    assert own["target"].to_list() == labels[told].tolist()
    assert (own["probability"] == 1).all()
    lines = of_units.filter(pl.col("unit").is_in(own["unit"].unique().to_list()))
    assert (lines["probability"] == 1).all()
    assert lines["second"].is_null().all()
    assert lines["second_probability"].is_null().all()


# Rows that go with another target than their unit's.


def with_strays(
    seed: int, n_strays: int, n_units: int = 60, size: int = 20
) -> tuple[UnitProblem, NDArray[np.bool_]]:
    """Exchange one row in some units for a row of another target."""
    drawn = unit_problem(seed, n_variables=8, n_targets=4, n_units=n_units, size=size, max_size=3)
    rng = np.random.default_rng([5, seed])
    strays = np.zeros(len(drawn.rows), dtype=bool)
    _, first = np.unique(drawn.unit, return_index=True)
    strays[rng.choice(first, n_strays, replace=False)] = True
    m = len(drawn.mixture.targets)
    values = drawn.rows.drop("unit")
    other = (drawn.component + rng.integers(1, m, len(values))) % m
    rows = []
    for r in np.flatnonzero(strays).tolist():
        alone = dosift.Mixture({drawn.mixture.targets[int(other[r])]: 1.0})
        rows.append(dosift.simulate(drawn.network, alone, 1, rng))
    place = np.arange(len(values))
    place[strays] = len(values) + np.arange(n_strays)
    mixed = pl.concat([values, *rows])[place.tolist()].with_columns(drawn.rows["unit"])
    return replace(drawn, rows=mixed), strays


def disagreeing(problem: UnitProblem) -> NDArray[np.bool_]:
    targets, weights = problem.mixture.to_codes(problem.network)
    texts = tuple(str(target) for target in problem.mixture.targets)
    scale = surprisal_scale(problem.network, targets, weights, 0)
    judge = RowJudge(problem.network, targets, weights, texts, scale)
    of_rows, of_units = tables_of(judge, load(problem.rows, problem.network, unit="unit"))
    assert isinstance(of_rows, pl.DataFrame)
    assert of_units is not None
    assert of_units["disagreeing"].sum() == of_rows["disagrees"].sum()
    return of_rows["disagrees"].to_numpy()


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 80), marks=pytest.mark.slow)])
def test_rows_that_disagree_are_named_and_few_others(seeds: range) -> None:
    shares, powers = [], []
    for seed in seeds:
        problem, strays = with_strays(seed, 20)
        named = disagreeing(problem)
        shares.append((named & ~strays).sum() / max(named.sum(), 1))
        powers.append((named & strays).sum() / strays.sum())
    assert np.mean(shares) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / (20 * len(seeds)))
    # What remains looks as if it were of its unit's target.
    assert np.mean(powers) > 0.3


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 80), marks=pytest.mark.slow)])
def test_where_all_rows_agree_hardly_any_is_named(seeds: range) -> None:
    some = [disagreeing(with_strays(seed, 0)[0]).any() for seed in seeds]
    assert np.mean(some) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(seeds))


def plain_choice(evidence: NDArray[np.float64], false_share: float) -> set[int]:
    """As Wang and Ramdas (2022) write it."""
    n = len(evidence)
    order = sorted(range(n), key=lambda k: -evidence[k])
    best = 0
    for k in range(1, n + 1):
        if k * evidence[order[k - 1]] / n >= 1 / false_share:
            best = k
    return set(order[:best])


@pytest.mark.parametrize("seed", range(20))
def test_largest_evidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = np.exp(rng.normal(0, 3, size=50))
    evidence[rng.random(50) < 0.2] = 0.0
    evidence[rng.random(50) < 0.05] = np.inf
    for share in (0.01, 0.05, 0.5):
        named = set(np.flatnonzero(largest_evidence(evidence, share)).tolist())
        assert named == plain_choice(evidence, share)


def test_no_evidence() -> None:
    assert not largest_evidence(np.ones(7)).any()
    assert largest_evidence(np.empty(0)).shape == (0,)
    assert largest_evidence(np.full(3, 20.0)).all()  # ties go together


def test_false_evidence_is_rarely_named() -> None:
    """Likelihood ratios of nothing: e-values whose mean is one."""
    rng = np.random.default_rng(0)
    hit = 0.0
    for _ in range(400):
        x = rng.normal(size=40)
        evidence = np.exp(2 * x - 2)
        evidence[:4] = np.exp(2 * (x[:4] + 4) - 2)
        named = largest_evidence(evidence)
        hit += named[4:].sum() / max(named.sum(), 1)
    assert hit / 400 < 0.05
