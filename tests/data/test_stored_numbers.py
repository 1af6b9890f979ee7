"""Rows of numbers kept in a temporary file: the same numbers as of a table in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dosift.data import read
from dosift.data.load import load
from dosift.data.numbers import Numbers, read_numbers
from dosift.data.sample import hash_rows
from dosift.data.stored import StoredBlocks
from dosift.data.stored_numbers import is_many, store_numbers
from dosift.data.stream import needs, store_rows
from dosift.errors import InputError
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable

VARIABLES = (
    Variable("load", kind="continuous"),
    Variable("mode", ("off", "on")),
    Variable("latency", kind="continuous"),
)


def table(n: int = 300, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    load_ = rng.normal(50.0, 5.0, size=n)
    columns = {
        "load": load_,
        "mode": np.array(["on", "off"])[rng.integers(0, 2, size=n)],
        "latency": np.exp(0.1 * load_ + rng.normal(size=n)),
        "day": np.array(["b", "a"])[np.arange(n) % 2],
        "told": np.where(np.arange(n) % 5 == 0, "load", None),
    }
    frame = pl.DataFrame(columns)
    lost = pl.Series(rng.random(n) < 0.1)
    return frame.with_columns(pl.when(~lost).then("load").alias("load"))


def network(seed: int = 1) -> MechanismNetwork:
    rows = read_numbers(table(2000, seed).drop("day", "told").drop_nulls(), VARIABLES)
    return learn_mechanisms(rows.variables, rows.values, [[], [], [0, 1]])


def as_duckdb(frame: pl.DataFrame) -> Any:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    connection.register("told", frame.to_arrow())
    return connection.table("told")


def whole(rows: StoredBlocks) -> dict[str, Any]:
    blocks = list(rows)
    batch = [b.batch for b in blocks if b.batch is not None]
    label = [b.label for b in blocks if b.label is not None]
    return {
        "values": np.concatenate([b.values for b in blocks]),
        "batch": np.concatenate(batch) if batch else None,
        "label": np.concatenate(label) if label else None,
    }


@pytest.mark.parametrize("kind", ["polars", "duckdb", "rows.parquet", "rows.csv"])
def test_parts_of_tables_are_those_of_a_table_in_memory(kind: str, tmp_path: Path) -> None:
    frame = table()
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_csv(tmp_path / "rows.csv")
    expected = read_numbers(frame, VARIABLES, beside=("day", "told"))
    source: Any = tmp_path / kind
    if kind in {"polars", "duckdb"}:
        source = frame.lazy() if kind == "polars" else as_duckdb(frame)
    found = store_numbers(source, VARIABLES, batch="day", labels="told")
    rows = whole(found.rows)
    np.testing.assert_allclose(rows["values"], expected.values, rtol=1e-15)
    assert found.rows.beside.batches == ("a", "b")
    assert found.rows.beside.labels == ("load",)
    np.testing.assert_array_equal(rows["batch"], expected.beside["day"].index)
    np.testing.assert_array_equal(rows["label"], expected.beside["told"].index)
    np.testing.assert_allclose(found.lowest, expected.lowest)
    np.testing.assert_allclose(found.highest, expected.highest)
    held = found.held()
    assert isinstance(held, Numbers)
    np.testing.assert_array_equal(held.values, rows["values"])
    assert held.beside["day"].texts == ("a", "b")
    np.testing.assert_array_equal(held.beside["told"].index, rows["label"])


def test_values_are_brought_to_working_scales_in_the_file() -> None:
    frame, system = table(), network()
    assert system.scales[2].form == "log"
    expected = system.working(read_numbers(frame.drop("day", "told"), VARIABLES).values)
    rows = store_numbers(frame.drop("day", "told").lazy(), VARIABLES).to_working(system)
    np.testing.assert_allclose(whole(rows)["values"], expected, rtol=1e-15)


def test_states_are_coded_anew_in_the_file() -> None:
    frame = pl.DataFrame({"load": [1.0, 2.0, 3.0], "mode": ["on", None, "off"]})
    found = store_numbers(frame.lazy(), [VARIABLES[0], Variable("mode", ("on", "off"))])
    other = found.recoded([VARIABLES[0], Variable("mode", ("idle", "off", "on"))])
    values = whole(other.rows)["values"]
    np.testing.assert_array_equal(values[:, 1], [2.0, np.nan, 1.0])
    np.testing.assert_array_equal(values[:, 0], [1.0, 2.0, 3.0])


def test_a_value_without_place_is_named_with_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = table().with_columns(
        pl.when(pl.int_range(pl.len()) == 250).then(-1.0).otherwise("latency").alias("latency")
    )
    monkeypatch.setattr("dosift.data.stored.block_rows", lambda n: 100)
    rows = store_numbers(frame.drop("day", "told").lazy(), VARIABLES)
    with pytest.raises(InputError, match=r"'latency' holds -1 in data row 251 .*logarithms"):
        rows.to_working(network())


def test_texts_among_numbers_are_named_with_their_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("load,mode,latency\n1,on,2\n1,on,fast\n")
    with pytest.raises(InputError, match=r"'latency' holds 'fast'.* in data row 2") as caught:
        store_numbers(path, VARIABLES)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="'nobody'"):
        store_numbers(path, VARIABLES, batch="nobody")
    path.write_text("load,mode,latency\n")
    with pytest.raises(InputError, match="no rows"):
        store_numbers(path, VARIABLES)


@pytest.mark.parametrize("engine", ["polars", "duckdb", "dask"])
def test_a_known_network_takes_engines(engine: str) -> None:
    frame, system = table(), network()
    source: Any = {"polars": frame.lazy, "duckdb": lambda: as_duckdb(frame)}.get(engine)
    if source is None:
        dd = pytest.importorskip("dask.dataframe")
        rows: Any = dd.from_pandas(frame.to_pandas(), npartitions=3)
    else:
        rows = source()
    loaded = load(rows, system, batch="day", labels="told")
    expected = load(frame, system, batch="day", labels="told")
    assert loaded.rows.n_rows == 300
    assert loaded.rows.beside == expected.rows.beside

    def sums(block: Any) -> tuple[Any, ...]:
        values = np.nan_to_num(block.values)
        return values.T @ values, block.counts @ (block.batch == 1), block.counts @ block.label

    for one, two in zip(loaded.rows.sum(sums), expected.rows.sum(sums), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-12)
    loaded.close()


def test_large_files_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, system = table().drop("day", "told"), network()
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path)
    assert not is_many(path)
    monkeypatch.setattr(read, "_MANY_ROWS", 100)
    assert is_many(path)
    loaded = load(path, system)
    assert isinstance(loaded.rows, StoredBlocks)
    np.testing.assert_array_equal(
        whole(loaded.rows)["values"], whole(store_rows(path, system))["values"]
    )
    assert "0.02 GiB in the temporary folder" in needs(1_000_000, system, 2)
    with pytest.raises(InputError, match="units are held"):
        store_rows(path, system, unit="load")


def test_hashes_of_numbers_know_equal_rows() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, 3))
    values[0] = [0.0, np.nan, 1.0]
    values[1] = [-0.0, -np.nan, 1.0]
    hashes = hash_rows(values, 3)
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == 4999
    # Also of numbers that are close to each other.
    near = hash_rows(1.0 + 1e-15 * np.arange(2000)[:, None], 0)
    assert len(set(near.tolist())) == len(set((1.0 + 1e-15 * np.arange(2000)).tolist()))
