"""Measurements that an engine holds: read whole, and the answer is that of the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift

pytestmark = pytest.mark.filterwarnings("ignore::dosift.errors.KindsWarning")

EDGES = [("a", "b")]


def table(n: int, shift: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng([5, seed])
    a = rng.normal(size=n)
    return pl.DataFrame({"a": a, "b": 0.8 * a + shift + rng.normal(size=n)})


CONTROL = table(400, 0.0, 0)
ROWS = pl.concat([table(300, 0.0, 1), table(120, 4.0, 2)])


def fitted(rows: Any, control: Any) -> dosift.InterventionMixture:
    model = dosift.InterventionMixture(negative_control=False)
    return model.fit(rows, control=control, graph=EDGES)


def lazy(frame: pl.DataFrame) -> Any:
    return frame.lazy()


def relation(frame: pl.DataFrame) -> Any:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().from_arrow(frame.to_arrow())


def partitions(frame: pl.DataFrame) -> Any:
    dask = pytest.importorskip("dask.dataframe")
    return dask.from_pandas(frame.to_pandas(), npartitions=3)


@pytest.mark.parametrize("held", [lazy, relation, partitions])
def test_the_answer_is_that_of_the_table(held: Any) -> None:
    plain = fitted(ROWS, CONTROL)
    assert [set(target) for target in plain.targets_] == [set(), {"b"}]
    there = fitted(held(ROWS), held(CONTROL))
    assert [str(target) for target in there.targets_] == [str(target) for target in plain.targets_]
    np.testing.assert_allclose(there.weights_, plain.weights_, atol=1e-9)
    assert (there.predict(held(ROWS)) == plain.predict(ROWS)).all()


@pytest.mark.parametrize("held", [lazy, partitions])
def test_annotate_says_that_numbers_are_judged_in_memory(held: Any) -> None:
    model = fitted(ROWS, CONTROL)
    with pytest.raises(dosift.InputError, match=r"judged in memory.*predict_proba"):
        dosift.annotate(model, held(ROWS))
