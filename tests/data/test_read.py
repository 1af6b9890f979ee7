"""Reading files of rows: what is accepted, and one clear message for what is not."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dosift.data import load_rows, read_rows
from dosift.errors import InputError

ROWS = [("01", "no"), ("2", "yes")]


def zipped(data: bytes) -> bytes:
    """Without a time, which would give the tests other names in each process of pytest-xdist."""
    return gzip.compress(data, mtime=0)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(data: bytes, name: str = "rows.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rows.csv", b"a,b\n01,no\n2,yes\n"),
        ("rows.CSV", b"a,b\n01,no\n2,yes"),
        ("my.rows.csv", b"a,b\r\n01,no\r\n2,yes\r\n"),
        ("rows.csv", b"\xef\xbb\xbfa,b\n01,no\n2,yes\n"),
        ("rows.csv", b'\xef\xbb\xbf"a","b"\n"01","no"\n"2","yes"\n'),
        ("rows.csv", b"a,b\r01,no\r2,yes\r"),
        ("rows.csv", b"\n\na,b\n\n01,no\n\n\n2,yes\n\n"),
        ("rows.csv", b"\r\na,b\r\n\r\n01,no\r\n2,yes\r\n\r\n"),
        ("rows.csv", b'\n"a",b\n\n01,no\n\r\n"2",yes\n\n'),
        ("rows.csv", b'"a",b\r"01",no\r2,yes\r'),
        ("rows.tsv", b"a\tb\n01\tno\n2\tyes\n"),
        ("rows.txt", b"a\tb\n01\tno\n2\tyes\n"),
        ("rows.csv.gz", zipped(b"a,b\n01,no\n") + zipped(b"2,yes\n")),
        ("rows.tsv.gz", zipped(b"a\tb\n01\tno\n2\tyes\n")),
    ],
)
def test_text(name: str, data: bytes, write: Write) -> None:
    frame = read_rows(write(data, name))
    assert frame.columns == ["a", "b"]
    assert frame.rows() == ROWS
    assert set(frame.dtypes) == {pl.String}


@pytest.mark.parametrize(
    ("suffix", "save"),
    [
        (".parquet", pl.DataFrame.write_parquet),
        (".arrow", pl.DataFrame.write_ipc),
        (".ipc", pl.DataFrame.write_ipc),
        (".feather", lambda frame, path: frame.write_ipc(path, compression="zstd")),
        (".arrow", pl.DataFrame.write_ipc_stream),
    ],
)
def test_binary(suffix: str, save: Callable[..., Any], tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "b": ["no", "yes"]})
    save(frame, tmp_path / f"rows{suffix}")
    assert read_rows(tmp_path / f"rows{suffix}").equals(frame)


@pytest.mark.parametrize("quoted", [b"a,b\n,x\ny,\n,\n", b'"a","b"\n,"x"\n"y",""\n"",\n'])
def test_empty_fields_are_empty_texts(quoted: bytes, write: Write) -> None:
    assert read_rows(write(quoted)).rows() == [("", "x"), ("y", ""), ("", "")]


def test_quoted_fields(write: Write) -> None:
    data = b'a,b\n"x,\n\ny","say ""hi"""\n5" tube,plain\n'
    expected = [("x,\n\ny", 'say "hi"'), ('5" tube', "plain")]
    assert read_rows(write(data)).rows() == expected
    assert read_rows(write(data.replace(b"\n", b"\r\n"))).rows() == [
        ("x,\r\n\r\ny", 'say "hi"'),
        expected[1],
    ]


hostile = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        st.sampled_from("\"',;\t\r\n é#"),
    ),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 3).flatmap(
        lambda k: st.lists(st.lists(hostile, min_size=k, max_size=k), min_size=2, max_size=6)
    ),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    ending=st.sampled_from(["\n", "\r\n"]),
    block=st.sampled_from([4, 9, 2**25]),
)
def test_what_was_written_is_read(
    rows: list[list[str]], quoting: Any, ending: str, block: int, write: Write
) -> None:
    # Python 3.11 writes a lone carriage return without quotes, and then it ends a line.
    assume(quoting == csv.QUOTE_ALL or not any("\r" in field for row in rows for field in row))
    header = [f"{name}{i}" for i, name in enumerate(rows[0])]
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=ending).writerows([header, *rows[1:]])
    data = text.getvalue().encode()
    if data.startswith(b"\xef\xbb\xbf"):  # would be taken for the mark of the encoding
        return
    with mock.patch("dosift.data.text.BLOCK_BYTES", block):
        frame = read_rows(write(data))
    assert frame.columns == header
    assert [list(row) for row in frame.rows()] == rows[1:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    data=st.text(st.sampled_from('ab,"\n\r '), max_size=24).map(str.encode),
    quoted=st.booleans(),
    block=st.sampled_from([4, 9, 2**25]),
)
def test_any_text_is_read_as_the_strict_parser_does_or_refused(
    data: bytes, quoted: bool, block: int, write: Write
) -> None:
    data = (b'"p",q\n' if quoted else b"p,q\n") + data
    lines = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    try:
        _, *expected = [tuple(fields) for fields in lines if fields]
    except csv.Error:
        expected = []
    path = write(data)
    with mock.patch("dosift.data.text.BLOCK_BYTES", block):
        if expected and all(len(fields) == 2 for fields in expected):
            assert read_rows(path).rows() == expected
        else:
            with pytest.raises(InputError):
                read_rows(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60), st.sampled_from([".csv", ".tsv.gz", ".parquet", ".arrow"]))
def test_junk_is_refused_or_a_table(write: Write, data: bytes, suffix: str) -> None:
    path = write(data, f"junk{suffix}")
    try:
        frame = read_rows(path)
    except InputError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert frame.height > 0


PARQUET = io.BytesIO()
pl.DataFrame({"a": ["x"] * 99}).write_parquet(PARQUET)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("rows.csv", b"", "the file is empty"),
        ("rows.csv", b"\n \n", "the file is empty"),
        ("rows.csv", b"\xef\xbb\xbf", "the file is empty"),
        ("rows.csv.gz", zipped(b""), "the file is empty"),
        ("rows.csv", b"a,b", "a header but no rows"),
        ("rows.csv", b"a,b\n\n", "a header but no rows"),
        ("rows.csv", b'"a","b"\n', "a header but no rows"),
        ("rows.csv", b"a,b\n1,2\n1\n", "line 3: has 1 field(s) where the header has 2"),
        ("rows.csv", b"a,b\n\n1,2\n1,2,3\n", "line 4: has 3 field(s) where the header has 2"),
        ("rows.csv", b"a,b\n1,2,\n", "line 2: has 3 field(s)"),
        ("rows.csv", b"a,b\n1,2,", "line 2: has 3 field(s)"),
        ("rows.csv", b"a,b\r\n1,2\r\n\r\n1\r\n", "line 4: has 1 field(s)"),
        ("rows.csv", b"a\n1\n1,2\n", "line 3: has 2 field(s) where the header has 1"),
        ("rows.csv", b'a,b\n"1\n1",2\n\n"1"\n', "line 5: has 1 field(s)"),
        ("rows.csv", b'a,b\n"1","2"\n"1","2","3"\n', "line 3: has 3 field(s)"),
        ("rows.csv", b'a,b\n1,2\n1,"2\n1,2\n', "line 3: is not a well-formed table"),
        ("rows.csv", b'a,b\n1,2\n"1"x,2\n', "line 3: is not a well-formed table"),
        ("rows.csv", b'a,"b\n1,2\n', "line 1: is not a well-formed table"),
        ("rows.csv", b"a,b,a\n1,2,3\n", "line 1, column 3: column name 'a' stands there twice"),
        ("rows.csv", b'\n"a",b,a\n1,2,3\n', "line 2, column 3: column name 'a' stands"),
        ("rows.csv", b"a,,\n1,2,3\n", "column 3: column name '' stands there twice"),
        ("rows.csv", b"a,b\n1,\x00\n", "is a binary file"),
        ("rows.csv", "a,b\n1,2\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("rows.csv", "a,b\n1,2\nä,2\n".encode("latin-1"), "line 3: is not UTF-8 text"),
        ("rows.csv.gz", b"a,b\n1,2\n", "is not a complete gzip file"),
        ("rows.csv.gz", zipped(b"a,b\n1,2\n" * 99)[:-9], "is not a complete gzip file"),
        ("rows.csv", zipped(b"a,b\n1,2\n"), "is a binary file"),
        ("rows.parquet", b"", "is not a readable parquet file"),
        ("rows.parquet", b"PAR1 nonsense PAR1", "is not a readable parquet file"),
        ("rows.parquet", PARQUET.getvalue()[:-20], "is not a readable parquet file"),
        ("rows.arrow", b"", "is not a readable arrow file"),
        ("rows.feather", b"ARROW1 nonsense", "is not a readable arrow file"),
        ("rows.h5ad", b"\x89HDF", "is not a readable .h5ad file"),
        ("rows.xlsx", b"PK", "unknown kind of file; dosift reads .csv"),
        ("rows", b"a,b\n1,2\n", "unknown kind of file; dosift reads .csv"),
        ("rows.parquet.gz", b"", "unknown kind of file"),
        (".csv", b"a,b\n1,2\n", "unknown kind of file"),
    ],
)
@pytest.mark.parametrize("block", [3, 2**25])
def test_refused(name: str, data: bytes, message: str, block: int, write: Write) -> None:
    path = write(data, name)
    with (
        mock.patch("dosift.data.text.BLOCK_BYTES", block),
        pytest.raises(InputError, match=re.escape(message)) as caught,
    ):
        read_rows(path)
    assert caught.value.path == str(path)
    assert "\n" not in str(caught.value)


def test_refused_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there are no rows in this folder"):
        read_rows(tmp_path)
    with pytest.raises(InputError, match="there is no such file"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path / ("x" * 999 + ".csv"))


def test_empty_parquet(tmp_path: Path) -> None:
    pl.DataFrame({"a": []}).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="a header but no rows"):
        read_rows(tmp_path / "rows.parquet")


def test_load_rows_names_the_file(write: Write, make_network: Callable[..., Any]) -> None:
    network = make_network(a=["01", "2"], b=["no", "yes"])
    path = write(b"b,a\nno,01\nyes,2\n")
    assert load_rows(path, network).codes.tolist() == [[0, 0], [1, 1]]
    assert load_rows(str(path), network).library == "polars"
    with pytest.raises(InputError, match=r"rows.csv: column 'a' has the value '1' in data row 2"):
        load_rows(write(b"a,b\n01,no\n1,yes\n"), network)
    with pytest.raises(InputError, match=r"rows.csv: column 'b' has 2 missing value"):
        load_rows(write(b"a,b\n01,\n2,\n"), network)


def test_many_rows_with_quotes_need_several_batches(write: Write) -> None:
    data = b'a,b\nx"y,1\n' + b'"x",1\n\n"y",2\n' * 60_000
    frame = read_rows(write(data))
    assert frame.height == 120_001
    assert frame["a"][0] == 'x"y'
    assert frame["b"].value_counts().sort("b")["count"].to_list() == [60_001, 60_000]
