"""What rows of measurements ask for where they have labels, missing values, units or batches."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.errors import DosiftWarning

N_ROWS, N_UNITS, SIZE = 1500, 600, 3
EDGES = [("a", "b"), ("b", "c"), ("a", "d")]
#: How d depends on a: slope and deviation, in control rows and in a pool where it moved.
BEFORE, MOVED = (1.0, 0.6), (0.4, 0.8)


def drawn(
    rng: np.random.Generator, which: Any, mechanism: tuple[float, float] = BEFORE
) -> pl.DataFrame:
    """Draw a -> b -> c and a -> d; a is set in rows of kind 1, c in those of kind 2."""
    n, (slope, sd) = len(which), mechanism
    a = np.where(which == 1, rng.normal(3.0, 0.3, n), rng.normal(size=n))
    b = a + 0.6 * rng.normal(size=n)
    c = np.where(which == 2, rng.normal(-4.0, 0.3, n), b + 0.6 * rng.normal(size=n))
    return pl.DataFrame({"a": a, "b": b, "c": c, "d": slope * a + sd * rng.normal(size=n)})


def pool(beside: str, seed: int, mechanism: tuple[float, float]) -> tuple[Any, dict[str, Any]]:
    """Draw rows, and what stands beside them."""
    rng = np.random.default_rng([1923, seed])
    if beside == "units":
        which = np.repeat(rng.choice(3, N_UNITS, p=[0.55, 0.3, 0.15]), SIZE)
        return drawn(rng, which, mechanism), {"unit": np.repeat(np.arange(N_UNITS), SIZE)}
    which = rng.choice(3, N_ROWS, p=[0.55, 0.3, 0.15])
    rows = drawn(rng, which, mechanism)
    if beside == "missing":
        values = rows.to_numpy().copy()
        values[rng.random(values.shape) < 0.05] = np.nan
        return pl.DataFrame(values, schema=list("abcd")).with_columns(pl.all().fill_nan(None)), {}
    texts = np.array(["do()", "free(a)", "free(c)"], dtype=object)[which]
    if beside == "random labels":
        texts[150:] = None
        return rows, {"labels": texts.tolist(), "random_labels": True}
    texts[(which != 1) | (np.arange(N_ROWS) >= 200)] = None
    return rows, {"labels": texts.tolist()}


def fit(beside: str, seed: int, mechanism: tuple[float, float]) -> dosift.InterventionMixture:
    rng = np.random.default_rng([1924, seed])
    control = drawn(rng, np.zeros(N_ROWS))
    rows, more = pool(beside, seed, mechanism)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture().fit(rows, control=control, graph=EDGES, **more)


def check_moved(beside: str, seed: int) -> None:
    model = fit(beside, seed, MOVED)
    assert model.verdict_.repairs[0]["mechanism"] == "d"
    assert {frozenset(target) for target in model.targets_} == {frozenset(), *map(frozenset, "ac")}
    assert model.components_["stands"].all()
    found = {"".join(t): w for t, w in zip(model.targets_, model.weights_, strict=True)}
    # Labelled rows that are no random sample are left out, most of which were set.
    left_out = 0.04 if beside == "labels" else 0.0
    assert found["a"] == pytest.approx(0.3 - left_out, abs=0.06)


@pytest.mark.long
def test_a_mechanism_that_moved_is_found_in_units() -> None:
    check_moved("units", 0)


@pytest.mark.slow
@pytest.mark.parametrize("beside", ["missing", "labels", "random labels", "units"])
@pytest.mark.parametrize("seed", range(1, 5))
def test_a_mechanism_that_moved_is_found_whatever_stands_beside_the_rows(
    beside: str, seed: int
) -> None:
    check_moved(beside, seed)


@pytest.mark.slow
@pytest.mark.parametrize("beside", ["missing", "labels", "random labels", "units"])
@pytest.mark.parametrize("seed", range(1, 5))
def test_clean_rows_ask_for_nothing_whatever_stands_beside_them(beside: str, seed: int) -> None:
    model = fit(beside, seed, BEFORE)
    assert model.verdict_.value == "stands"
    assert model.verdict_.repairs == []
