"""NDJSON, zstd, and pipes: read as files of the kinds that were there before."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import polars as pl
import pytest

from dosift.data import load_rows, read_rows
from dosift.data import ndjson as ndjson_module
from dosift.data import text as text_module
from dosift.data.read import RowFiles
from dosift.data.spool import is_stream, readable
from dosift.data.stream import store_rows
from dosift.errors import InputError
from dosift.model import Network

ROWS = [("01", "no"), ("2", "yes")]
LINES = b'{"a":"01","b":"no"}\n\n{"b":"yes","a":"2"}'
#: A small CSV file (a,b / 01,no / 2,yes), made by the zstd program.
ZSTD = bytes.fromhex("28b52ffd0058810000612c620a30312c6e6f0a322c7965730a")


def zstd(data: bytes) -> bytes:
    """Compress with whatever is there."""
    pyarrow = pytest.importorskip("pyarrow")
    return bytes(pyarrow.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("rows.ndjson", bytes),
        ("rows.JSONL", bytes),
        ("rows.ndjson.gz", lambda data: gzip.compress(data, mtime=0)),
        ("rows.jsonl.zst", zstd),
    ],
)
def test_ndjson(name: str, pack: Any, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(pack(LINES))
    frame = read_rows(path)
    assert frame.columns == ["a", "b"]
    assert frame.rows() == ROWS


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n01,no\n2,yes\n",
        "a,b\r\n01,no\r\n\r\n2,yes",
        '"a",b\n"01",no\n2,"yes"\n',
    ],
)
@pytest.mark.parametrize("block", [4, 2**20])
def test_zstd(text: str, block: int, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(zstd(text.encode()))
    with mock.patch.object(text_module, "BLOCK_BYTES", block):
        assert read_rows(path).rows() == ROWS


def test_several_zstd_streams_are_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv.zst"
    path.write_bytes(zstd(b"a\tb\n01\tno\n") + zstd(b"2\tyes\n"))
    assert read_rows(path).rows() == ROWS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\n1,2\n", "not zstd"),
        (b"", "empty"),
        (b"\x28\xb5\x2f\xfdjunk junk junk", "zstd"),
    ],
)
def test_what_is_no_zstd_file(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        read_rows(path)
    assert caught.value.path == str(path)


def test_a_zstd_file_that_is_cut_short_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.zst"
    data = zstd(b"a,b\n" + b"".join(b"%d,%d\n" % (k, k * k) for k in range(5000)))
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="zstd"):
        read_rows(path)


@pytest.mark.parametrize("block", [8, 2**20])
def test_ndjson_of_several_types_and_keys(block: int, tmp_path: Path) -> None:
    network = Network.from_tables(
        {"a": ["1", "x"], "b": ["true", "false"]}, {}, {"a": [0.5, 0.5], "b": [0.5, 0.5]}
    )
    path = tmp_path / "rows.ndjson"
    path.write_text(
        '{"a":1,"b":true}\n{"a":"x","b":"false"}\n{"a":1.0,"b":null}\n{"b":true,"more":3}\n'
    )
    with mock.patch.object(ndjson_module, "BLOCK_BYTES", block):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("warnings.warn", lambda *_, **__: None)  # extra columns
            blocks = store_rows(path, network)
        codes = next(iter(blocks)).values.tolist()
    assert codes == [[0, 0], [1, 1], [0, -1], [-1, 0]]


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", None, "empty"),
        (b"\n\n", None, "empty"),
        (b"a,b\n1,2\n", 1, "not JSON"),
        (b'{"a":1}\n{"a":\n', 2, "not JSON"),
        (b'{"a":1}\n\n[1]\n', 3, "no JSON object"),
        (b'{"a":1}\n3\n', 2, "no JSON object"),
        (b'{\n"a":1}\n', 1, "not JSON"),
        (bytes(range(256)), 1, "not JSON"),
    ],
)
def test_what_is_no_ndjson_file(data: bytes, line: int | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(data)
    with pytest.raises(InputError, match=words) as caught:
        read_rows(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)


def test_a_line_far_into_an_ndjson_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_bytes(b'{"a":1}\n' * 50 + b"oops\n" + b'{"a":1}\n' * 50)
    with (
        mock.patch.object(ndjson_module, "BLOCK_BYTES", 64),
        pytest.raises(InputError) as caught,
    ):
        read_rows(path)
    assert caught.value.line == 51


# -- pipes ----------------------------------------------------------------------------------------


@contextmanager
def pipe_of(data: bytes, tmp_path: Path) -> Iterator[Path]:
    """Make a named pipe through which bytes come once."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def feed() -> None:
        with open(path, "wb") as target:
            target.write(data)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield path
    thread.join(10)
    assert not thread.is_alive()


def arrow(frame: pl.DataFrame, stream: bool) -> bytes:
    import io

    file = io.BytesIO()
    frame.write_ipc_stream(file) if stream else frame.write_ipc(file)
    return file.getvalue()


def parquet(frame: pl.DataFrame) -> bytes:
    import io

    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


FRAME = pl.DataFrame(ROWS, schema=["a", "b"], orient="row")


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (b"a,b\n01,no\n2,yes\n", None),
        (b"a,b\n01,no\n2,yes\n", "csv"),
        (gzip.compress(b"a,b\n01,no\n2,yes\n", mtime=0), None),
        (ZSTD, None),
        (b"a\tb\n01\tno\n2\tyes\n", "tsv"),
        (gzip.compress(b"a\tb\n01\tno\n2\tyes\n", mtime=0), "tsv"),
        (LINES, "ndjson"),
        (parquet(FRAME), None),
        (parquet(FRAME), "parquet"),
        (arrow(FRAME, False), None),
        (arrow(FRAME, True), None),
        (arrow(FRAME, True), "arrow"),
    ],
)
def test_pipes(data: bytes, format: str | None, tmp_path: Path) -> None:
    with pipe_of(data, tmp_path) as path:
        assert is_stream(path)
        assert read_rows(path, format=format).rows() == ROWS


def test_what_came_is_kept_byte_for_byte_and_removed(tmp_path: Path) -> None:
    data = b"a,b\r\n" + b"01,no\r\n" * 500_000  # more than a pipe holds
    with pipe_of(data, tmp_path) as path, readable(path) as file:
        assert file.suffix == ".csv"
        assert file.read_bytes() == data
    assert not file.exists()


@pytest.mark.parametrize(
    ("data", "format", "words"),
    [
        (b"", None, "empty"),
        (b" \n ", "csv", "empty"),
        (b"\x00\x01" * 100, None, "binary file of an unknown kind"),
        (b"\x00\x01" * 100, "csv", "binary"),
        (b'{"a": 1}\n', None, "--format ndjson"),
        (b"a,b\n1\n", None, "line 2"),
        (b"a,b\n", "parquet", "parquet"),
        (b"a,b\n", "xls", "unknown"),
        (b"a,b\n", None, "no rows"),
    ],
)
def test_errors_about_pipes_name_the_pipe(
    data: bytes, format: str | None, words: str, tmp_path: Path
) -> None:
    if format == "xls":
        with pytest.raises(InputError, match=words):
            read_rows(tmp_path / "nothing", format=format)
        return
    path = tmp_path / "pipe"
    with pytest.raises(InputError, match=words) as caught:  # noqa: SIM117
        with pipe_of(data, tmp_path):
            read_rows(path, format=format)
    assert caught.value.path == str(path)
    assert "/dosift-" not in str(caught.value)


def test_a_format_for_a_file_whose_name_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.dat"
    path.write_bytes(b"a,b\n01,no\n2,yes\n")
    with pytest.raises(InputError, match="--format"):
        read_rows(path)
    assert read_rows(path, format="csv").rows() == ROWS
    path.write_bytes(b"a,b\n01\n")
    with pytest.raises(InputError, match="line 2") as caught:
        read_rows(path, format="csv")
    assert caught.value.path == str(path)


def test_a_full_temporary_folder_is_said_in_plain_words(tmp_path: Path) -> None:
    full = OSError(28, "No space left on device")
    with (
        pipe_of(b"a,b\n01,no\n", tmp_path) as path,
        mock.patch("dosift.data.spool.tempfile.mkstemp", side_effect=full),
        pytest.raises(InputError, match=r"the disk is full.*TMPDIR"),
    ):
        read_rows(path)


def test_a_large_pipe_is_as_large_as_its_file(tmp_path: Path) -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    data = b"a\n" + b"0\n1\n" * 200_000
    with pipe_of(data, tmp_path) as path, readable(path) as file:
        with mock.patch("dosift.data.read._MANY_BYTES", len(data) - 1):
            assert RowFiles.at(file).is_large
        assert store_rows(file, network).n_rows == 400_000
        assert load_rows(file, network).codes.shape == (400_000, 1)
