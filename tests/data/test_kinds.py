"""Which columns hold states, measurements or counts."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from dosift.data.kinds import Kinds, checked_kinds, find_kinds
from dosift.data.parts import Parts
from dosift.errors import InputError

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=50)
MANY, FEW = np.arange(50), np.arange(50) % 20
COLUMNS: dict[str, tuple[Any, str]] = {
    "floats": (FLOATS, "continuous"),
    "halves": (np.arange(50) % 3 / 2, "continuous"),
    "whole floats, few": (FEW.astype(float), "discrete"),
    "whole floats, many": (MANY.astype(float), "continuous"),
    "integers, 20 distinct": (FEW, "discrete"),
    "integers, 21 distinct": (np.arange(50) % 21, "continuous"),
    "booleans": (np.arange(50) % 2 == 0, "discrete"),
    "texts": (["low", "high"] * 25, "discrete"),
    "names with numbers": ([f"g{k}" for k in range(50)], "discrete"),
    "texts of few integers": ([str(k) for k in FEW], "discrete"),
    "texts of many integers": ([str(k) for k in MANY], "continuous"),
    "texts of floats": ([f"{x:.3f}" for x in FLOATS], "continuous"),
    "exponents and spaces": ([f" {x:.3e} " for x in FLOATS], "continuous"),
    "codes with zeros before": ([f"{k:03d}" for k in MANY], "discrete"),
    "chromosomes": ([*map(str, range(1, 23)), "X", "Y"] * 2 + ["1", "2"], "discrete"),
    "dates": (
        [datetime.date(2024, 1, 1) + datetime.timedelta(days=k) for k in range(50)],
        "discrete",
    ),
    "nothing": ([None] * 50, "discrete"),
}
#: Only polars keeps these as they are.
MIXED = {"texts of few integers", "dates", "nothing"}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("library", ["mapping", "polars", "pandas", "pyarrow", "csv", "lazy"])
def test_kind_by_content(name: str, library: str, tmp_path: Path) -> None:
    values, kind = COLUMNS[name]
    frame = pl.DataFrame({"x": pl.Series(values)})
    table: Any = {
        "mapping": lambda: {"x": values},
        "polars": lambda: frame,
        "pandas": lambda: pd.DataFrame({"x": values}),
        "pyarrow": frame.to_arrow,
        "lazy": frame.lazy,
        "csv": lambda: tmp_path / "t.csv",
    }[library]()
    if library == "csv":
        frame.write_csv(table)
    assert find_kinds(Parts(table)).of == {"x": kind}


@pytest.mark.parametrize(
    "column",
    [
        pd.array([*MANY.tolist(), None], dtype="Int64"),
        pd.array([*FLOATS.tolist(), None], dtype="Float64"),
        pd.Series([*FLOATS.tolist(), None]),
        pd.Series([*FLOATS.tolist(), None], dtype=object),
        pd.Series([*(f"{x}" for x in FLOATS), np.nan], dtype=object),
    ],
    ids=["Int64", "Float64", "NaN", "object", "text"],
)
def test_missing_values_do_not_change_the_kind(column: Any) -> None:
    assert find_kinds(Parts(pd.DataFrame({"x": column}))).of == {"x": "continuous"}


def test_decimals_of_arrow_and_polars_are_numbers() -> None:
    column = pa.array(FLOATS.tolist()).cast(pa.float32())
    assert find_kinds(Parts(pa.table({"x": column}))).of == {"x": "continuous"}
    decimals = pl.DataFrame({"x": FLOATS}).select(pl.col("x").cast(pl.Decimal(10, 2)))
    assert find_kinds(Parts(decimals)).of == {"x": "continuous"}


def test_what_users_say_overrules() -> None:
    table = Parts({"a": FLOATS, "b": FEW, "c": MANY, "d": FLOATS})
    kinds = checked_kinds({"a": "discrete", "b": "counts", "c": "continuous"})
    found = find_kinds(table, kinds=kinds, discrete=["d"])
    assert found.of == {"a": "discrete", "b": "count", "c": "continuous", "d": "discrete"}
    assert found.named == {"a", "b", "c"}
    assert find_kinds(table, ["b", "a"], ignore=["a"]).of == {"b": "discrete", "a": "continuous"}
    assert list(find_kinds(table, ignore=["a", "d"]).of) == ["b", "c"]


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["a"], "give a mapping such as"),
        ("a", "give a mapping such as"),
        (
            {"a": "gaussian"},
            "the kind of 'a' is 'gaussian'; choose one of continuous, counts, discrete",
        ),
        ({"a": None}, "choose one of"),
        ({"a": ["counts"]}, "choose one of"),
    ],
)
def test_kinds_that_are_none(kinds: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        checked_kinds(kinds)


def test_a_kind_of_no_variable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'A', which is no variable; did you mean 'a'"):
        find_kinds(Parts({"a": FLOATS}), kinds={"A": "count"})
    with pytest.raises(InputError, match="has given states, and is said to be count"):
        find_kinds(Parts({"a": FEW}), kinds={"a": "count"}, discrete=["a"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            [*map(str, FLOATS), "NA"],
            "'x' holds numbers, but for 'NA' in data row 51 .*leave the cell empty",
        ),
        ([*map(str, MANY), "?", "NULL"], r"but for '\?' in data row 51 \(2 such value"),
        (["bad", *map(str, FLOATS)], "but for the text 'bad' in data row 1 "),
        ([*map(str, FLOATS), "1,5"], "but for the text '1,5' in data row 51"),
    ],
)
def test_numbers_with_a_few_texts(values: list[str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x;y\n".replace(";", "\t") + "".join(f"{v}\t1\n" for v in values))
    path = path.rename(tmp_path / "t.tsv")
    with pytest.raises(InputError, match=words) as caught:
        find_kinds(Parts(path))
    assert caught.value.path == str(path)
    assert find_kinds(Parts(path), kinds={"x": "discrete"}).of["x"] == "discrete"


def test_states_with_decimals_beside_words_stay_states() -> None:
    levels = ["0.5", "1.5", "high"] * 20
    assert find_kinds(Parts({"x": levels})).of == {"x": "discrete"}


def test_rows_in_parts_are_seen_together(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for k in range(3):
        frame = pl.DataFrame({"x": np.arange(10) + 10 * k, "y": [1, 2] * 5})
        frame.write_parquet(folder / f"{k}.parquet")
    assert find_kinds(Parts(folder)).of == {"x": "continuous", "y": "discrete"}


def test_the_notice_names_few_columns_of_many() -> None:
    kinds = Kinds({f"x{k}": "continuous" for k in range(200)} | {"n": "count", "d": "discrete"})
    notice = kinds.notice()
    assert notice.startswith("of 202 variables 200 are continuous ('x0', ")
    assert "(200 in all)" in notice
    assert "1 is a count ('n') and 1 is discrete ('d')" in notice
    assert len(notice) < 400
