"""Tables of numbers and states as arrays, whatever holds them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dosift.data.numbers import MOST_NEW, Numbers, read_numbers
from dosift.errors import ExtraColumnsWarning, InputError
from dosift.model.network import Variable

LATENCY = Variable("latency", kind="continuous")
ERRORS = Variable("errors", kind="count")
STATE = Variable("state", ("off", "on"))
VARIABLES = (LATENCY, STATE, ERRORS)
NAN = float("nan")
ROWS = {"latency": [1.5, -2e-3, NAN], "state": ["on", "off", None], "errors": [0, 12, None]}
EXPECTED = [[1.5, 1.0, 0.0], [-0.002, 0.0, 12.0], [NAN, NAN, NAN]]


def file_of(tmp_path: Path, kind: str) -> Path:
    frame = pl.DataFrame(ROWS).with_columns(pl.col("latency").fill_nan(None))
    path = tmp_path / f"rows.{kind}"
    if kind in ("csv", "csv.gz"):
        text = frame.write_csv()
        path.write_bytes(gzip.compress(text.encode()) if kind == "csv.gz" else text.encode())
    elif kind == "ndjson":
        frame.write_ndjson(path)
    elif kind == "parquet":
        frame.write_parquet(path)
    elif kind == "arrow":
        frame.write_ipc(path)
    elif kind == "folder":
        path.mkdir()
        frame[:1].write_parquet(path / "0.parquet")
        frame[1:].write_parquet(path / "1.parquet")
    elif kind == "h5ad":
        import anndata as ad

        obs = pd.DataFrame({"state": pd.Categorical(ROWS["state"])}, index=list("abc"))
        matrix = np.array([[1.5, 0.0], [-2e-3, 12.0], [NAN, NAN]])
        ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=["latency", "errors"])).write_h5ad(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "ndjson", "parquet", "arrow", "folder", "h5ad"])
def test_files(kind: str, tmp_path: Path) -> None:
    found = read_numbers(file_of(tmp_path, kind), VARIABLES)
    np.testing.assert_array_equal(found.values, EXPECTED)
    assert found.values.flags.f_contiguous
    assert found.values.dtype == np.float64
    assert found.path is not None


@pytest.mark.parametrize("library", ["mapping", "pandas", "polars", "pyarrow", "lazy"])
def test_tables(library: str) -> None:
    frame = pl.DataFrame(ROWS)
    table: Any = {
        "mapping": ROWS,
        "pandas": pd.DataFrame(ROWS),
        "polars": frame,
        "pyarrow": frame.to_arrow(),
        "lazy": frame.lazy(),
    }[library]
    found = read_numbers(table, VARIABLES)
    np.testing.assert_array_equal(found.values, EXPECTED)
    assert found.library == {"mapping": "polars", "lazy": "polars"}.get(library, library)


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "uint64", "Int64", "bool"])
def test_types_of_numbers(kind: str) -> None:
    frame = pd.DataFrame({"latency": pd.array([1, 0, 1], dtype=kind)})
    if kind == "bool":
        with pytest.raises(InputError, match="holds 'True', which is no number"):
            read_numbers(frame, [LATENCY])
    else:
        assert read_numbers(frame, [LATENCY]).values.ravel().tolist() == [1.0, 0.0, 1.0]


def test_arrays_have_columns_by_position() -> None:
    found = read_numbers(np.array([[1.5, 3.0], [NAN, 0.0]]), (LATENCY, ERRORS))
    np.testing.assert_array_equal(found.values, [[1.5, 3.0], [NAN, 0.0]])
    assert found.library == "numpy"
    assert read_numbers([[1.5, 3]], (LATENCY, ERRORS)).values.tolist() == [[1.5, 3.0]]
    with pytest.raises(InputError, match="no names of states, and variable 'state' is discrete"):
        read_numbers(np.zeros((2, 3)), VARIABLES)
    with pytest.raises(InputError, match=r"must have shape \(n_rows, 2\)"):
        read_numbers(np.zeros((2, 3)), (LATENCY, ERRORS))


BAD_VALUES: list[tuple[str, list[Any], str]] = [
    (
        "latency",
        ["1.5", "fast", "2"],
        "'latency' holds 'fast', which is no number, in data row 2, and is continuous",
    ),
    (
        "latency",
        ["1", "2", "1,5"],
        "holds '1,5'.* in data row 3.*write a point before the decimals",
    ),
    (
        "latency",
        ["NA", "2", "NA"],
        r"holds 'NA'.* in data row 1 \(2 such rows\).*leave the cell empty",
    ),
    ("latency", ["1", "inf", "2"], "holds infinity in data row 2"),
    ("latency", ["1", "2", "-1e400"], "holds infinity in data row 3"),
    ("latency", ["1", "2", "0x1F"], "holds '0x1F', which is no number"),
    ("latency", ["1", "2", "1_000"], "holds '1_000', which is no number"),
    ("latency", ["1", "2", "١"], "holds '١', which is no number"),
    ("errors", ["1", "-2", "3"], "'errors' holds -2 in data row 2, and is counts.*not negative"),
    ("errors", ["1", "2", "2.5"], "holds 2.5 in data row 3, and is counts.*whole numbers"),
    (
        "errors",
        ["1", "many", "3"],
        "holds 'many', which is no number, in data row 2, and is counts",
    ),
    (
        "state",
        ["on", "off", "ON"],
        "'state' has the value 'ON' in data row 3.*its states are: 'off', 'on'",
    ),
    ("state", ["on", "0.5", "off"], "'state' has the value '0.5' in data row 2"),
]


@pytest.mark.parametrize(("name", "values", "words"), BAD_VALUES)
@pytest.mark.parametrize("form", ["csv", "parquet", "mapping"])
def test_bad_values(name: str, values: list[Any], words: str, form: str, tmp_path: Path) -> None:
    good = {"latency": ["1", "2", "3"], "state": ["on", "off", "on"], "errors": ["1", "2", "3"]}
    frame = pl.DataFrame(good | {name: values})
    source: Any = frame.to_dict(as_series=False)
    if form == "csv":
        source = tmp_path / "rows.csv"
        frame.write_csv(source)
    elif form == "parquet":
        source = tmp_path / "rows.parquet"
        frame.write_parquet(source)
    with pytest.raises(InputError, match=words) as caught:
        read_numbers(source, VARIABLES)
    assert caught.value.path == (None if form == "mapping" else str(source))


def test_rows_are_counted_through_all_parts(tmp_path: Path, monkeypatch: Any) -> None:
    from dosift.data import text

    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    path = tmp_path / "rows.csv"
    path.write_text("latency\n" + "1.25\n" * 99 + "slow\n" + "2.5\n" * 30)
    with pytest.raises(InputError, match="holds 'slow', which is no number, in data row 100"):
        read_numbers(path, [LATENCY])
    path.write_text("latency\n" + "".join(f"{k / 4}\n" for k in range(200)))
    assert read_numbers(path, [LATENCY]).values[:, 0].tolist() == [k / 4 for k in range(200)]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"latency": [1.0], "state": ["on"]}, "column 'errors' is missing"),
        ({"latency": [], "state": [], "errors": []}, "the table has no rows"),
        ({"Latency": [1.0], "state": ["on"], "errors": [1]}, "Did you mean 'Latency'"),
        ({"latency": [[1.0]], "state": ["on"], "errors": [1]}, "is no number"),
        ({"latency": [1.0], "state": [["on"]], "errors": [1]}, "no names of states"),
        ({"latency": [1j], "state": ["on"], "errors": [1]}, "is no number"),
        ({"latency": [b"1"], "state": ["on"], "errors": [1]}, "is no number"),
        ({"latency": 1.0, "state": "on", "errors": 1}, "single value"),
        (7, "give a dataframe"),
        (None, "give a dataframe"),
    ],
)
def test_bad_tables(table: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_numbers(table, VARIABLES)


def test_a_header_alone_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("latency,state,errors\n")
    with pytest.raises(InputError, match="no rows"):
        read_numbers(path, VARIABLES)
    path.write_text("latency,state\n")
    with pytest.raises(InputError, match="'errors' is missing"):
        read_numbers(path, VARIABLES)


@pytest.mark.parametrize("name", ["latency", "errors", "state"])
def test_control_rows_are_complete(name: str) -> None:
    table = {"latency": ["1", "2"], "state": ["on", "off"], "errors": ["1", "2"]}
    table[name] = [table[name][0], ""]
    with pytest.raises(InputError, match=f"{name!r} has a missing value in data row 2; control"):
        read_numbers(table, VARIABLES, is_control=True)


def test_other_columns_are_ignored_with_a_notice(tmp_path: Path) -> None:
    table = {"latency": [1.0], "id": ["a"], "day": ["x"]}
    path = tmp_path / "rows.parquet"
    pl.DataFrame(table).write_parquet(path)
    for source in (table, path, pl.DataFrame(table).lazy()):
        with pytest.warns(ExtraColumnsWarning, match="1 column is .* 'id'"):
            read_numbers(source, [LATENCY], ignore=["day"])
        with pytest.warns(ExtraColumnsWarning, match="1 column is .* 'id'"):
            found = read_numbers(source, [LATENCY], beside=["day"])
        assert found.beside["day"].texts == ("x",)
    with pytest.raises(InputError, match="no column 'batch'"):
        read_numbers(table, [LATENCY], beside=["batch"])


def test_columns_beside_are_put_together(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    folder.mkdir()
    for k, days in enumerate((["tue", "mon"], ["wed", None])):
        pl.DataFrame({"latency": [1.0, 2.0], "day": days}).write_parquet(folder / f"{k}.parquet")
    day = read_numbers(folder, [LATENCY], beside=["day"]).beside["day"]
    assert day.texts == ("mon", "tue", "wed")
    assert day.index.tolist() == [1, 0, 2, -1]


# -- states of a learned network ------------------------------------------------------------------


def states(table: Any, known: tuple[str, ...] = (), **settings: Any) -> Numbers:
    return read_numbers({"x": table}, [Variable("x", known)], grows=["x"], **settings)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", "b"], ("b", "a")),
        ([2, 1, 2], ("2", "1")),
        ([2.0, 1.0], ("2", "1")),
        (["2.0", "1", "2"], ("2", "1")),
        ([True, False], ("True", "False")),
        (["01", "1"], ("01", "1")),
        (["none", "NA"], ("none", "NA")),
        ([0.5, 1.0], ("0.5", "1")),
    ],
)
def test_states_that_control_rows_show(values: list[Any], expected: tuple[str, ...]) -> None:
    found = states(values, is_control=True)
    assert found.variables[0].states == expected
    assert found.values[0, 0] == 0.0


def test_rows_add_states() -> None:
    found = states([1.0, 3.0, None, 2.0], ("1", "2"))
    assert found.variables[0].states == ("1", "2", "3")
    np.testing.assert_array_equal(found.values[:, 0], [0, 2, NAN, 1])
    moved = found.recoded([Variable("x", ("3", "2", "1"))])
    np.testing.assert_array_equal(moved.values[:, 0], [2, 0, NAN, 1])
    np.testing.assert_array_equal(found.values[:, 0], [0, 2, NAN, 1])


@pytest.mark.parametrize("known", [("low", "high"), ("1", "2")])
def test_states_in_one_table_and_measurements_in_the_other(known: tuple[str, ...]) -> None:
    with pytest.raises(
        InputError, match=r"'x' holds '0.25' in data row 2, and states in the control"
    ):
        states([known[0], "0.25"], known)
    assert states([known[0], "0.25"], known, free=["x"]).variables[0].states == (*known, "0.25")
    assert states(["0.25"], ("0.5", "1")).variables[0].states == ("0.5", "1", "0.25")


def test_marks_of_missing_values_and_very_many_values_are_no_new_states() -> None:
    with pytest.raises(InputError, match=r"'NA' in data row 1.*leave the cell empty"):
        states(["NA"], ("a", "b"))
    with pytest.raises(InputError, match="looks like a measurement"):
        states([f"g{k}" for k in range(MOST_NEW + 1)], ("a", "b"))
    with pytest.raises(InputError, match="'x' has more than 1,000 distinct values"):
        states([f"g{k}" for k in range(1001)], is_control=True)


def test_states_that_are_given_are_all_there_are() -> None:
    with pytest.raises(InputError, match="its states are: 'a', 'b'"):
        read_numbers({"x": ["a", "c"]}, [Variable("x", ("a", "b"))], is_control=True)
