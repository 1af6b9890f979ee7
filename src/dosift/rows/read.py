"""Read tables of rows from files."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dosift.errors import InputError
from dosift.network.model import Network
from dosift.rows.encode import Encoded, encode

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_ARROW = (".arrow", ".feather", ".ipc")
_SUPPORTED = (
    ".csv, .tsv, .txt (tab separated), each also with .gz; .parquet; .arrow, .feather, .ipc"
)


def read_rows(path: str | Path) -> pl.DataFrame:
    r"""Read a table from a file.

    Parameters
    ----------
    path : str or Path
        CSV or TSV (optionally gzipped; every value is kept as text), Parquet, or Arrow/Feather.

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    InputError
        If there is no such file, or it is not a well-formed table with at least one row.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows.csv"
    >>> _ = path.write_text("smoke,lung\nyes,no\n")
    >>> read_rows(path).rows()
    [('yes', 'no')]
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("this is a folder; give a file of rows", path=path)
    if not path.exists():
        raise InputError("there is no such file", path=path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compressed = bool(suffixes) and suffixes[-1] == ".gz"
    kind = (suffixes[-2:-1] if compressed else suffixes[-1:]) or [""]
    if kind[0] in _SEPARATORS:
        frame = _read_text(path, _SEPARATORS[kind[0]], compressed)
    elif kind[0] == ".parquet" and not compressed:
        frame = _read_binary(path, "parquet")
    elif kind[0] in _ARROW and not compressed:
        frame = _read_binary(path, "arrow")
    elif kind[0] == ".h5ad":
        raise InputError(
            "this version does not read .h5ad; export the table of states to Parquet", path=path
        )
    else:
        raise InputError(f"unknown kind of file; dosift reads {_SUPPORTED}", path=path)
    if frame.height == 0:
        raise InputError("the table has a header but no rows", path=path)
    return frame


def load_rows(source: Any, network: Network, *, allow_missing: bool = False) -> Encoded:
    """Read (where a path is given) and encode rows.

    Parameters
    ----------
    source : str, Path, dataframe, mapping or ndarray
        A file for :func:`read_rows`, or data for :func:`~dosift.rows.encode.encode`.
    network : Network
    allow_missing : bool, default=False
        Whether missing values become -1 instead of an error.

    Returns
    -------
    Encoded

    Raises
    ------
    InputError
        As those two say.
    """
    if isinstance(source, str | Path):
        frame = read_rows(source)
        return encode(frame, network, allow_missing=allow_missing, path=source)
    return encode(source, network, allow_missing=allow_missing)


def _read_binary(path: Path, kind: str) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path) if kind == "parquet" else pl.read_ipc(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"is not a readable {kind} file: {reason}", path=path) from None


def _read_text(path: Path, separator: str, compressed: bool) -> pl.DataFrame:
    import polars as pl

    data = _decode(path, compressed)
    if not data.strip():
        raise InputError("the file is empty", path=path)
    header = _check_header(data, separator, path)
    _check_width(data, separator, len(header), path)
    try:
        frame = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"is not a well-formed table: {reason}", path=path) from None
    frame.columns = header
    # An empty field is the empty text, which may be a state; if not it counts as missing.
    return frame.fill_null("")


def _decode(path: Path, compressed: bool) -> bytes:
    """Return a file's UTF-8 text as bytes, without a byte order mark."""
    try:
        data = path.read_bytes()
        if compressed:
            data = gzip.decompress(data)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"is not a complete gzip file: {error}", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    if b"\0" in data:
        raise InputError("is a binary file, not a table of text", path=path)
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text; save it as UTF-8", path=path, line=line) from None
    return data


def _check_header(data: bytes, separator: str, path: Path) -> list[str]:
    """Return the names of the columns; refuse repeated ones, which polars would rename."""
    try:
        header = next(
            csv.reader(io.TextIOWrapper(io.BytesIO(data), newline=""), delimiter=separator)
        )
    except csv.Error as error:
        raise InputError(f"has an unreadable header: {error}", path=path, line=1) from None
    seen: set[str] = set()
    for column, name in enumerate(header, start=1):
        if name in seen:
            raise InputError(
                f"column name {name!r} stands there twice; keep one of them",
                path=path,
                line=1,
                column=column,
            )
        seen.add(name)
    return header


def _check_width(data: bytes, separator: str, width: int, path: Path) -> None:
    """Refuse ragged lines, the short ones of which polars would fill up."""
    if b'"' in data:
        # Quoted fields may hold separators and line ends, so they must be parsed.
        lines = csv.reader(io.TextIOWrapper(io.BytesIO(data), newline=""), delimiter=separator)
        try:
            for fields in lines:
                if fields and len(fields) != width:
                    raise _ragged(len(fields), width, lines.line_num, path)
        except csv.Error as error:
            raise InputError(
                f"is not a well-formed table: {error}", path=path, line=lines.line_num
            ) from None
        return
    raw = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    separators = np.cumsum(raw == ord(separator))[ends]
    fields_of = np.diff(separators, prepend=0) + 1
    lengths = np.diff(ends, prepend=-1) - 1
    is_blank = (lengths == 0) | ((lengths == 1) & (raw[ends - 1] == ord("\r")))
    ragged = (fields_of != width) & ~is_blank
    if ragged.any():
        line = int(ragged.argmax())
        raise _ragged(int(fields_of[line]), width, line + 1, path)


def _ragged(found: int, width: int, line: int, path: Path) -> InputError:
    return InputError(
        f"has {found} field(s) where the header has {width}; every line needs the same",
        path=path,
        line=line,
    )
