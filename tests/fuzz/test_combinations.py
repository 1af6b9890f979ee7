"""Whatever is asked for together: it is fitted, with its promises kept, or refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.errors import DosiftError

pytestmark = pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")

EDGES = [("a", "b"), ("b", "k"), ("s", "a")]
#: Columns and settings that a fit may have beside the rows.
BESIDE = ("batch", "labels", "unit", "wide unit", "time", "weights")
#: What may be wrong with rows, or odd.
ODD = ("missing", "twice", "constant", "few", "few control", "elsewhere")
#: What may be asked for.
ASKED = ("repair", "any", "stochastic", "listed", "once", "plain states", "counts", "sized")


def _table(rng: np.random.Generator, n: int, hit: str = "") -> pl.DataFrame:
    """Rows of a chain of a number, one that is multiplied, a count, and a state; one is changed."""
    depth = rng.integers(500, 1500, n)
    state = np.where(rng.random(n) < (0.9 if hit == "s" else 0.4), "x", "y")
    a = rng.normal(size=n) + 0.8 * (state == "x") + (3.0 if hit == "a" else 0.0)
    b = np.exp(0.5 * a + 0.3 * rng.normal(size=n)) * (4.0 if hit == "b" else 1.0)
    mean = (4 + np.clip(b, 0, 20)) * depth / 1000 * (0.1 if hit == "k" else 1.0)
    return pl.DataFrame({"a": a, "b": b, "k": rng.poisson(mean), "s": state, "depth": depth})


def _elsewhere(rng: np.random.Generator, n: int) -> pl.DataFrame:
    shown = _table(rng, n)
    return shown.select(pl.Series(name, rng.permutation(shown[name])) for name in shown.columns)


def _states(table: pl.DataFrame) -> pl.DataFrame:
    numbers = (pl.col("a") > 0, pl.col("b") > 1.5, pl.col("k") > 5, pl.col("depth") > 1000)
    return table.with_columns(
        pl.when(one).then(pl.lit("high")).otherwise(pl.lit("low")).alias(one.meta.root_names()[0])
        for one in numbers
    )


def problem(seed: int) -> tuple[pl.DataFrame, dict[str, Any], dict[str, Any], set[str]]:
    """Draw rows, what goes to ``fit``, settings, and the names of what was chosen."""
    rng = np.random.default_rng([20, seed])
    chosen = {str(name) for name in rng.choice(BESIDE, rng.integers(0, 3), replace=False)}
    chosen |= {str(name) for name in rng.choice(ODD, rng.integers(0, 3), replace=False)}
    chosen |= {str(name) for name in rng.choice(ASKED, rng.integers(0, 3), replace=False)}
    size = 6 if "few" in chosen else 100
    control = _table(rng, 12 if "few control" in chosen else 250)
    hits = rng.choice(["a", "b", "k", "s"], rng.integers(1, 4), replace=False)
    parts = [_table(rng, 2 * size), *(_table(rng, size, str(hit)) for hit in hits)]
    parts += [_elsewhere(rng, size)] if "elsewhere" in chosen else []
    pool = pl.concat(parts)
    pool = pool[rng.permutation(len(pool)).tolist()]
    if "constant" in chosen:
        pool = pool.with_columns(pl.lit(0.5).alias("a"))
    if "twice" in chosen:
        pool = pl.concat([pool, pool])
    fit: dict[str, Any] = {"graph": EDGES[: rng.integers(0, 4)]}
    if "plain states" in chosen:
        pool, control = _states(pool), _states(control)
    elif chosen & {"counts", "sized"}:
        fit["kinds"] = {"k": "counts"}
    if "sized" in chosen and "kinds" in fit:
        fit["size"] = "depth"
    else:
        pool, control = pool.drop("depth"), control.drop("depth")
    if "missing" in chosen:
        gone = pl.Series(rng.random(len(pool)) < 0.1)
        pool = pool.with_columns(pl.when(gone).then(None).otherwise(pl.col("b")).alias("b"))
    settings = _settings(chosen)
    return pool, {**fit, "control": control, **_beside(chosen, len(pool), rng)}, settings, chosen


def _beside(chosen: set[str], n: int, rng: np.random.Generator) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if "batch" in chosen:
        out["batch"] = [f"batch {k // 3 % 2}" for k in range(n)]
    if "labels" in chosen:
        out["labels"] = [None if hidden else "do()" for hidden in rng.random(n) < 0.8]
    if chosen & {"unit", "wide unit"}:
        width = 3 if "wide unit" in chosen else 1
        out["unit"] = [f"unit {k // width}" for k in range(n)]
    if "time" in chosen:
        out["time"] = list(range(n))
    if "weights" in chosen:
        out["sample_weight"] = rng.uniform(0.5, 2.0, n)
    return out


def _settings(chosen: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if "repair" in chosen:
        out["edges"] = "repair"
    for name in ("any", "stochastic"):
        if {name, "plain states"} <= chosen:
            out["interventions"] = name
    if "listed" in chosen:
        out["prior_knowledge"] = dosift.PriorKnowledge(non_manipulable=["b"])
    if "once" in chosen:
        out["max_size"] = 1
    return out


def _keeps_its_promises(seed: int) -> None:
    rows, fit, settings, chosen = problem(seed)
    try:
        model = dosift.InterventionMixture(**settings).fit(rows, **fit)
    except DosiftError as error:
        assert "\n" not in str(error), chosen  # noqa: PT017
        return
    asked = {name: fit[name] for name in ("unit", "time", "batch") if name in fit}
    posterior = model.predict_proba(rows, **asked)
    assert posterior.shape[0] == len(rows), chosen
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, atol=1e-8, err_msg=str(chosen))
    table = model.components_
    assert table["weight"].sum() == pytest.approx(1.0, abs=1e-8), chosen
    inside = table.drop_nulls("ci_low").select(
        (pl.col("ci_low") <= pl.col("weight") + 1e-9)
        & (pl.col("weight") <= pl.col("ci_high") + 1e-9)
    )
    assert inside.to_series().all(), chosen
    unlikely = table.filter(pl.col("stands") & (pl.col("probability") < 0.5))
    assert unlikely.is_empty(), chosen


@pytest.mark.parametrize("seed", range(1, 6))
def test_what_is_asked_for_together_is_fitted_or_refused(seed: int) -> None:
    _keeps_its_promises(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1_000, 1_200))
def test_many_combinations_are_fitted_or_refused(seed: int) -> None:
    _keeps_its_promises(seed)
