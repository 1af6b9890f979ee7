"""Measurements that an engine holds: the answer is that of the table."""

from __future__ import annotations

from functools import cache
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


@cache
def of_the_table() -> dosift.InterventionMixture:
    return fitted(ROWS, CONTROL)


@cache
def of_a_known_network(most: int) -> dosift.InterventionMixture:
    """Whatever is held: the limit is in force while this is called."""
    network = of_the_table().network_
    return dosift.InterventionMixture(network, negative_control=False).fit(ROWS)


def lazy(frame: pl.DataFrame) -> Any:
    return frame.lazy()


def relation(frame: pl.DataFrame) -> Any:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().from_arrow(frame.to_arrow())


def dataset(frame: pl.DataFrame) -> Any:
    arrow = pytest.importorskip("pyarrow.dataset")
    return arrow.dataset(frame.to_arrow())


def partitions(frame: pl.DataFrame) -> Any:
    dask = pytest.importorskip("dask.dataframe")
    return dask.from_pandas(frame.to_pandas(), npartitions=3)


@pytest.mark.parametrize("held", [lazy, relation, dataset, partitions])
def test_the_answer_is_that_of_the_table(held: Any) -> None:
    plain = of_the_table()
    assert [set(target) for target in plain.targets_] == [set(), {"b"}]
    there = fitted(held(ROWS), held(CONTROL))
    assert [str(target) for target in there.targets_] == [str(target) for target in plain.targets_]
    np.testing.assert_allclose(there.weights_, plain.weights_, atol=1e-9)
    assert (there.predict(held(ROWS)) == plain.predict(ROWS)).all()


@pytest.mark.parametrize("held", [lazy, relation, dataset, partitions])
@pytest.mark.parametrize("most", [131_072, pytest.param(150, marks=pytest.mark.long)])
def test_a_known_network_is_fitted_where_rows_are(
    held: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where rows are too many to be held: a sample is searched, the same everywhere."""
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", most)
    plain, network = of_a_known_network(most), of_the_table().network_
    there = dosift.InterventionMixture(network, negative_control=False).fit(held(ROWS))
    assert [str(target) for target in there.targets_] == [str(target) for target in plain.targets_]
    np.testing.assert_allclose(there.weights_, plain.weights_, atol=1e-9)
    assert there.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-6)
    shown, expected = there.components_, plain.components_
    np.testing.assert_allclose(shown["ci_low"], expected["ci_low"], atol=1e-7)


@pytest.mark.parametrize("held", [lazy, partitions])
def test_annotate_judges_rows_where_they_are(held: Any) -> None:
    model = of_the_table()
    found: Any = dosift.annotate(model, held(ROWS))
    found = pl.from_pandas(found.compute()) if held is partitions else found.collect()
    assert (found["target"].to_numpy() == model.predict(ROWS)).all()
    np.testing.assert_allclose(found["surprise"], model.surprise(ROWS), atol=1e-9)
