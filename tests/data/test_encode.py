"""Encoding: every library, every kind of value, and messages that say where."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosift.data import encode, load_rows, to_native
from dosift.errors import ExtraColumnsWarning, InputError
from dosift.model.network import Network

Make = Callable[..., Network]

TEXTS = {"x": ["b", "a", "b", "c"], "y": ["no", "yes", "yes", "no"]}
CODES = [[1, 0], [0, 1], [1, 1], [2, 0]]


@pytest.fixture
def network(make_network: Make) -> Network:
    return make_network(x=["a", "b", "c"], y=["no", "yes"])


@pytest.mark.parametrize(
    ("build", "library"),
    [
        (lambda d: d, "polars"),
        (pl.DataFrame, "polars"),
        (pl.LazyFrame, "polars"),
        (lambda d: pl.DataFrame(d).cast(pl.Categorical), "polars"),
        (lambda d: pl.DataFrame(d).cast({"x": pl.Enum(["c", "b", "a"])}), "polars"),
        (
            lambda d: pl.DataFrame({k: pl.Series(v, dtype=pl.Object) for k, v in d.items()}),
            "polars",
        ),
        (pd.DataFrame, "pandas"),
        (lambda d: pd.DataFrame(d, dtype=object), "pandas"),
        (lambda d: pd.DataFrame(d).astype("category"), "pandas"),
        (lambda d: pd.DataFrame(d).astype("string"), "pandas"),
        (lambda d: pd.DataFrame(d, index=[7, 7, 1, 0]), "pandas"),
        (pa.table, "pyarrow"),
        (lambda d: pa.table({k: pa.array(v).dictionary_encode() for k, v in d.items()}), "pyarrow"),
        (lambda d: pa.concat_tables([pa.table(d).slice(0, 1), pa.table(d).slice(1)]), "pyarrow"),
    ],
)
def test_every_library(build: Callable[[Any], Any], library: str, network: Network) -> None:
    data = build(TEXTS)
    encoded = encode(data, network)
    assert encoded.codes.tolist() == CODES
    assert encoded.codes.dtype == np.int8
    assert encoded.library == library
    assert load_rows(data, network).codes.tolist() == CODES


def test_order_of_columns_does_not_matter(network: Network) -> None:
    assert encode(pl.DataFrame(TEXTS).select("y", "x"), network).codes.tolist() == CODES


@pytest.mark.parametrize(
    ("states", "values", "expected"),
    [
        (["1", "2", "3"], [3, 1, 2], [2, 0, 1]),
        (["1", "2"], [2.0, 1.0], [1, 0]),
        (["1", "2"], ["2.0", "1"], [1, 0]),
        (["1", "2"], [decimal.Decimal("2.00"), decimal.Decimal("1.00")], [1, 0]),
        (["0.0", "1.0"], [1, 0], [1, 0]),
        (["0", "-1"], [-1.0, -0.0], [1, 0]),
        (["1", "1.0"], ["1.0", "1"], [1, 0]),
        (["01", "1"], ["1", "01"], [1, 0]),
        (["0.5", "1.5"], [1.5, 0.5], [1, 0]),
        (["10000000000000000"], [1e16], [0]),
        (["False", "True"], [True, False], [1, 0]),
        (["true", "false"], [True, False], [0, 1]),
        (["FALSE", "TRUE"], [True, False], [1, 0]),
        (["0", "1"], [True, False], [1, 0]),
        (["", "a"], ["a", ""], [1, 0]),
        (["nan", "NA"], ["NA", "nan"], [1, 0]),
        (["1", "a", "True"], [1, "a", True], [0, 1, 2]),
        (["1", "2", "x"], [1, 2.0, "x"], [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("build", [dict, pd.DataFrame])
def test_kinds_of_values(
    states: list[str],
    values: list[Any],
    expected: list[int],
    build: Callable[[Any], Any],
    make_network: Make,
) -> None:
    encoded = encode(build({"x": values}), make_network(x=states))
    assert encoded.codes[:, 0].tolist() == expected


def test_numpy_columns_and_generators(make_network: Make) -> None:
    network = make_network(x=["1", "2"], y=["a", "b"], z=["False", "True"], w=["a", "b"])
    data = {
        "x": np.array([1, 2], dtype=np.uint8),
        "y": pd.Categorical(["b", "a"]),
        "z": (value for value in (True, False)),
        "w": np.array(["b", None], dtype=object),
    }
    codes = encode(data, network, allow_missing=True).codes
    assert codes.tolist() == [[0, 1, 1, 1], [1, 0, 0, -1]]


@pytest.mark.parametrize("bad", ["01", " 1", "1 ", "1.5", "1e0", "+1", "１", "0x1", "1.0.0", "-1"])
def test_near_numbers_are_no_numbers(bad: str, make_network: Make) -> None:
    with pytest.raises(InputError, match="not a state"):
        encode({"x": ["1", bad]}, make_network(x=["1", "2"]))


@pytest.mark.parametrize("value", [0, 1, 2, 1.0])
def test_ambiguous_numbers_need_their_exact_text(value: Any, make_network: Make) -> None:
    with pytest.raises(InputError, match="not a state"):
        encode({"x": [value]}, make_network(x=["1.", "1.00"]))


#: States, and what the values that match them look like as texts.
NAMES = {
    "0": {"0", "0.0", "-0.0", "False"},
    "1": {"1", "1.0", "True"},
    "a": {"a"},
    "": {""},
}

hostile = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("'\"\\,;\t\r\n 01.-é\0")),
    max_size=6,
)


def test_texts_that_differ_after_a_zero_character(make_network: Make) -> None:
    network = make_network(x=["2", "", "\0", "a", "a\0b"])
    for build in (pl.DataFrame, pd.DataFrame, pa.table):
        table = build({"x": ["", "\0", "a\0b", "a"]})
        assert encode(table, network).codes[:, 0].tolist() == [1, 2, 4, 3]


@given(data=st.data())
def test_any_state_names_survive(data: st.DataObject, make_network: Make) -> None:
    states = data.draw(st.lists(hostile, min_size=1, max_size=6, unique=True))
    name = data.draw(hostile)
    codes = data.draw(st.lists(st.integers(0, len(states) - 1), min_size=1, max_size=12))
    network = make_network(**{name: states})
    texts = [states[a] for a in codes]
    tables = [
        {name: texts},
        pl.DataFrame({name: texts}, schema={name: pl.String}),
        pd.DataFrame({name: texts}),
        pa.table([texts], names=[name]),
    ]
    # pandas makes one category of texts that differ after a zero character only.
    if not any("\0" in text for text in texts):
        tables.append(pd.DataFrame({name: pd.Categorical(texts)}))
    for table in tables:
        assert encode(table, network).codes[:, 0].tolist() == codes


@given(states=st.lists(hostile, min_size=1, max_size=4, unique=True), value=hostile)
def test_a_value_is_matched_or_refused(states: list[str], value: str, make_network: Make) -> None:
    network = make_network(x=states)
    data = {"x": [value]}
    if value in states:
        assert states[encode(data, network).codes[0, 0]] == value
    elif value == "":
        assert encode(data, network, allow_missing=True).codes.tolist() == [[-1]]
    elif not re.fullmatch(r"-?[0-9]+(\.0*)?", value):
        with refused(f"has the value {value!r} in data row 1"):
            encode(data, network)


@given(
    values=st.lists(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3),
            st.dates(), st.binary(max_size=2), st.lists(st.integers(), max_size=2),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_any_values_are_encoded_or_refused(values: list[Any], make_network: Make) -> None:
    network = make_network(x=list(NAMES))
    for build in (dict, pd.DataFrame):
        with contextlib.suppress(InputError):
            codes = encode(build({"x": values}), network).codes[:, 0]
            assert all(
                str(v) in list(NAMES.values())[a] for v, a in zip(values, codes, strict=True)
            )


def refused(message: str) -> Any:
    return pytest.raises(InputError, match=re.escape(message))


def test_unknown_state_says_where_and_what(network: Network) -> None:
    data = pl.DataFrame({"x": ["a", "a", "B", "d"], "y": ["no"] * 4})
    with refused(
        "rows.csv: column 'x' has the value 'B' in data row 3 (2 row(s) hold 2 such value(s)), "
        "which is not a state of the variable; its states are: 'a', 'b', 'c'. Did you mean 'b'?"
    ):
        encode(data, network, path="rows.csv")


def test_unknown_state_gives_the_likely_cause(make_network: Make) -> None:
    network = make_network(x=["low", "high"])
    with refused("give them as an integer numpy array"):
        encode({"x": [0, 1]}, network)
    with refused("If it marks a missing value, leave the cell empty"):
        encode({"x": ["low", "NA"]}, network)
    with refused("looks like a measurement"):
        encode({"x": np.linspace(0, 1, 500)}, network)
    with refused("its states are: 's0', 's1'") as caught:
        encode({"x": ["q"]}, make_network(x=[f"s{i}" for i in range(99)]))
    assert len(str(caught.value)) < 300


def test_missing_column_suggests(network: Network) -> None:
    with refused("column 'x' is missing; every variable") as caught:
        encode({"X ": ["a"], "y": ["no"]}, network)
    assert "The columns are: 'X ', 'y'. Did you mean 'X '?" in str(caught.value)
    with refused("column 'x' is missing (and 1 more)"):
        encode({"q": ["a"]}, network)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame([["a", "a", "no"]], columns=["x", "x", "y"]),
        pa.table([["a"], ["a"], ["no"]], names=["x", "x", "y"]),
        pd.DataFrame([["a", "a", "no"]], columns=["1", 1, "y"]),
    ],
)
def test_repeated_column(data: Any, network: Network) -> None:
    with pytest.raises(InputError, match="twice"):
        encode(data, network)


def test_extra_columns_are_named(network: Network) -> None:
    with pytest.warns(ExtraColumnsWarning, match="1 column is .*'id'"):
        encoded = encode(TEXTS | {"id": [1, 2, 3, 4]}, network)
    assert encoded.extra_columns == ("id",)
    assert encoded.codes.tolist() == CODES


def test_names_of_columns_that_are_numbers(make_network: Make) -> None:
    frame = pd.DataFrame(np.array([["a", "b"]]))
    network = make_network(**{"1": ["a", "b"], "0": ["a", "b"]})
    assert encode(frame, network).codes.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["a", None, None]),
        pl.Series(["a", "", None]),
        pl.Series(["a", None, ""], dtype=pl.Categorical),
        pd.Series(["a", np.nan, None]),
        pd.Series(["a", pd.NA, ""], dtype="string"),
        pd.Series(pd.Categorical(["a", None, None])),
    ],
)
def test_missing_text(column: Any, make_network: Make) -> None:
    network = make_network(x=["a", "b"])
    data = column.to_frame("x")
    with refused("column 'x' has 2 missing value(s), the first in data row 2"):
        encode(data, network)
    assert encode(data, network, allow_missing=True).codes[:, 0].tolist() == [0, -1, -1]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([1.0, float("nan"), None]),
        pd.Series([1, np.nan, np.nan]),
        pd.Series([1, None, pd.NA], dtype="Int64"),
        pd.Series([1, None, "a"], dtype=object).where(lambda s: s != "a"),
    ],
)
def test_missing_numbers(column: Any, make_network: Make) -> None:
    network = make_network(x=["1", "2"])
    data = column.to_frame("x")
    with refused("2 missing value(s), the first in data row 2"):
        encode(data, network)
    assert encode(data, network, allow_missing=True).codes[:, 0].tolist() == [0, -1, -1]


def test_a_column_of_nothing(make_network: Make) -> None:
    network = make_network(x=["1"])
    for data in (pl.DataFrame({"x": [None]}), pa.table({"x": [None]}), {"x": [None]}):
        assert encode(data, network, allow_missing=True).codes.tolist() == [[-1]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "column 'x' is missing"),
        (pl.DataFrame(), "column 'x' is missing"),
        ({"x": [], "y": []}, "no rows"),
        (pd.DataFrame({"x": [], "y": []}), "no rows"),
        ({"x": ["a", "b"], "y": ["no"]}, "column 'y' has 1 value(s) and column 'x' has 2"),
        ({"x": "a", "y": "no"}, "single value 'a'"),
        ({"x": 3, "y": ["no"]}, "single value 3"),
        ({"x": ["\ud800"], "y": ["no"]}, "'\\\\ud800' in data row 1"),
        ({"x": ["a"], "y": ["no"], "\ud800": [1]}, "a column name is not valid Unicode"),
        ({"x": ["z" * 999], "y": ["no"]}, "'" + "z" * 60 + "'... in data row 1"),
        ({"x": np.array([["a", "b"]]), "y": ["no"]}, "holds values of type Array"),
        ({"x": [b"a"], "y": ["no"]}, "holds values of type Binary"),
        ([["a", "no"]], "rows are list"),
        (None, "rows are NoneType"),
        (pl.Series(["a"]), "rows are Series"),
        (pl.DataFrame({"x": [["a"]], "y": ["no"]}), "column 'x' holds values of type List"),
        (pa.table({"x": [{"k": 1}], "y": ["no"]}), "column 'x' holds values of type Struct"),
        (pl.DataFrame({"x": [datetime.date(2020, 1, 1)], "y": ["no"]}), "'2020-01-01'"),
        (np.zeros((2, 3), dtype=int), "must have shape (n_rows, 2)"),
        (np.zeros(2, dtype=int), "must have shape (n_rows, 2)"),
        (np.zeros((0, 2), dtype=int), "no rows"),
        (np.zeros((2, 2)), "not float64"),
        (np.zeros((2, 2), dtype=bool), "not bool"),
        (np.array([["a", "no"]]), "must hold integer state codes"),
        (np.array([[0, 0], [3, 0]]), "code 3 of variable 'x' in row 2"),
        (np.array([[0, -2]]), "code -2 of variable 'y' in row 1"),
        (np.array([[0, -1]]), "1 code(s) are -1, a missing value, the first for variable 'y'"),
        (np.array([[0, 255]], dtype=np.uint8), "code 255"),
    ],
)
def test_what_is_no_table_of_rows(data: Any, message: str, network: Network) -> None:
    with refused(message):
        encode(data, network)


def test_a_lazy_table_that_cannot_be_collected(network: Network) -> None:
    with refused("cannot be collected"):
        encode(pl.scan_csv("there-is-no-such-file.csv"), network)
    with refused("cannot be collected"):
        encode(pl.LazyFrame(TEXTS).select("z"), network)


def test_arrays_of_codes(network: Network) -> None:
    codes = np.array(CODES, dtype=np.uint64)
    encoded = encode(codes, network)
    assert encoded.codes.tolist() == CODES
    assert encoded.library == "numpy"
    assert not np.shares_memory(encoded.codes, codes)
    missing = np.array([[0, -1]])
    assert encode(missing, network, allow_missing=True).codes.tolist() == [[0, -1]]


def test_the_codes_are_as_small_as_they_can_be(make_network: Make) -> None:
    for n_states, dtype in ((127, np.int8), (128, np.int16), (40_000, np.int32)):
        network = make_network(x=[str(i) for i in range(n_states)])
        codes = encode({"x": [0, n_states - 1]}, network).codes
        assert codes.dtype == dtype
        assert codes[:, 0].tolist() == [0, n_states - 1]


def test_tables_go_back_in_their_library() -> None:
    table = pl.DataFrame({"a": [1, 2], "b": [None, "x"]})
    assert isinstance(to_native(table, "pandas"), pd.DataFrame)
    assert to_native(table, "pyarrow").to_pydict() == table.to_dict(as_series=False)
    assert to_native(table, "numpy") is table


def test_a_million_values_take_no_loop(network: Network) -> None:
    frame = pl.read_csv(io.StringIO("x,y\n" + "a,no\nc,yes\n" * 250_000))
    codes = encode(frame, network).codes
    assert codes.sum(axis=0).tolist() == [500_000, 250_000]


def test_columns_that_another_character_separates(network: Network, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x;y\na;no\n")
    with pytest.raises(InputError, match="seem to be separated by ';'"):
        load_rows(path, network)
