"""Read tables of rows from files."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
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
    ".csv, .tsv, .txt (tab separated), each also with .gz; .parquet; .arrow, .feather, .ipc; .h5ad"
)

#: Rows of quoted text that are held as Python texts at a time.
_BATCH = 50_000


def read_rows(
    path: str | Path, *, columns: Sequence[str] | None = None, layer: str | None = None
) -> pl.DataFrame:
    r"""Read a table from a file.

    Parameters
    ----------
    path : str or Path
        CSV or TSV (optionally gzipped; every value is kept as text), Parquet, Arrow/Feather, or
        .h5ad (needs anndata).
    columns : sequence of str, optional
        Of a .h5ad file, the variables to read, from its matrix or ``obs``; all of the matrix if
        left out. Other files are read whole.
    layer : str, optional
        Of a .h5ad file, the layer to read; ``X`` if left out.

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
    try:
        if not path.exists():
            raise InputError("there is no such file", path=path)
        is_folder = path.is_dir()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    if is_folder:
        raise InputError("this is a folder; give a file of rows", path=path)
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
        from dosift.rows.cells import read_cells

        frame = read_cells(path, columns, layer).frame()
    else:
        raise InputError(f"unknown kind of file; dosift reads {_SUPPORTED}", path=path)
    if frame.height == 0:
        raise InputError("the table has a header but no rows", path=path)
    return frame


def load_rows(
    source: Any, network: Network, *, allow_missing: bool = False, layer: str | None = None
) -> Encoded:
    """Read (where a path is given) and encode rows.

    Parameters
    ----------
    source : str, Path, dataframe, mapping or ndarray
        A file for :func:`read_rows`, or data for :func:`~dosift.rows.encode.encode`.
    network : Network
    allow_missing : bool, default=False
        Whether missing values become -1 instead of an error.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states; ``X`` if left out.

    Returns
    -------
    Encoded

    Raises
    ------
    InputError
        As those two say.
    """
    is_h5ad = isinstance(source, str | Path) and str(source).lower().endswith(".h5ad")
    if layer is not None and not is_h5ad:
        raise InputError(f"a layer, {layer!r}, can be chosen for .h5ad files only")
    if is_h5ad:
        from dosift.rows.cells import name_states, read_cells

        frame = name_states(read_cells(source, network.names, layer), network)
        return encode(frame, network, allow_missing=allow_missing, path=source)
    if isinstance(source, str | Path):
        frame = read_rows(source)
        return encode(frame, network, allow_missing=allow_missing, path=source)
    return encode(source, network, allow_missing=allow_missing)


def _read_binary(path: Path, kind: str) -> pl.DataFrame:
    import polars as pl

    try:
        if kind == "parquet":
            return pl.read_parquet(path)
        data = path.read_bytes()
        if data.startswith(b"ARROW1"):
            return pl.read_ipc(data)
        return pl.read_ipc_stream(data)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        reason = getattr(error, "strerror", None) or _first_line(error)
        raise InputError(f"is not a readable {kind} file: {reason}", path=path) from None


def _read_text(path: Path, separator: str, compressed: bool) -> pl.DataFrame:
    data = _decode(path, compressed)
    if not data.strip():
        raise InputError("the file is empty", path=path)
    # An empty field is the empty text, which may be a state; if not it counts as missing.
    if not data.endswith((b"\n", b"\r")):
        data += b"\n"  # without it polars overlooks a last field too many
    if b'"' in data:
        return _parse_quoted(data, separator, path)
    return _parse_plain(data, separator, path)


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
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError("is UTF-16 text; save it as UTF-8", path=path)
    if b"\0" in data:
        raise InputError("is a binary file, not a table of text", path=path)
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text; save it as UTF-8", path=path, line=line) from None
    return data


def _parse_plain(data: bytes, separator: str, path: Path) -> pl.DataFrame:
    """Parse text without quotes, where every line end ends a row."""
    import polars as pl

    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # polars makes rows of blank lines.
    filled = data.lstrip(b"\n")
    if b"\n\n" in filled:
        filled = re.sub(rb"\n{2,}", b"\n", filled)
    line = len(data) - len(data.lstrip(b"\n")) + 1
    header = filled.partition(b"\n")[0].decode().split(separator)
    _check_header(header, line, path)
    try:
        frame = pl.read_csv(filled, separator=separator, quote_char=None, infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _check_width(data, separator, len(header), path)
        raise InputError(f"is not a well-formed table: {_first_line(error)}", path=path) from None
    if frame[:, -1].has_nulls():
        # polars fills up short lines.
        _check_width(data, separator, len(header), path)
    frame.columns = header
    return frame.fill_null("")


def _parse_quoted(data: bytes, separator: str, path: Path) -> pl.DataFrame:
    """Parse text with quoted fields, which may hold separators and line ends."""
    import polars as pl

    records = _Records(data, separator, path)
    header = records.header
    if _is_cleanly_quoted(data, separator):
        # polars is much faster, but leaves irregular quotes, blank and short lines to guesswork.
        try:
            frame = pl.read_csv(io.BytesIO(data), separator=separator, infer_schema=False)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            pass  # the slow way finds the line
        else:
            if frame.width == len(header) and not frame[:, -1].has_nulls():
                frame.columns = header
                return frame.fill_null("")
    parts = [_text_frame(header, [])]
    while batch := list(itertools.islice(records, _BATCH)):
        parts.append(_text_frame(header, batch))
    return pl.concat(parts)


def _text_frame(header: Sequence[str], rows: Sequence[Sequence[str]]) -> pl.DataFrame:
    import polars as pl

    columns: Iterable[Sequence[str]] = zip(*rows, strict=True) if rows else [()] * len(header)
    return pl.DataFrame(
        [pl.Series(name, c, dtype=pl.String) for name, c in zip(header, columns, strict=True)]
    )


class _Records:
    """Iterate over the records of quoted text after the header; errors name the line."""

    def __init__(self, data: bytes, separator: str, path: Path) -> None:
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        self._reader = csv.reader(text, delimiter=separator, strict=True)
        self._path = path
        self.header, line = self._next_filled()
        _check_header(self.header, line, path)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        fields, line = self._next_filled()
        if len(fields) != len(self.header):
            raise _ragged(len(fields), len(self.header), line, self._path)
        return fields

    def _next_filled(self) -> tuple[list[str], int]:
        """Return the next record that is no blank line, and the line on which it starts."""
        while True:
            line = self._reader.line_num + 1
            try:
                fields = next(self._reader)
            except csv.Error as error:
                raise InputError(
                    f"is not a well-formed table: {error}; check the quotes",
                    path=self._path,
                    line=line,
                ) from None
            if fields:
                return fields, line


def _is_cleanly_quoted(data: bytes, separator: str) -> bool:
    """Whether every quote opens or closes a whole field, and line ends are regular."""
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return False
    raw = np.frombuffer(b"\n" + data, dtype=np.uint8)
    quotes = np.flatnonzero(raw == ord('"'))
    if quotes.size % 2:
        return False
    boundaries = np.array([ord(separator), ord("\n"), ord("\r")], dtype=np.uint8)
    before, after = raw[quotes[::2] - 1], raw[quotes[1::2] + 1]
    return bool(np.isin(before, boundaries).all() and np.isin(after, boundaries).all())


def _check_header(header: Sequence[str], line: int, path: Path) -> None:
    seen: set[str] = set()
    for column, name in enumerate(header, start=1):
        if name in seen:
            raise InputError(
                f"column name {name!r} stands there twice; keep one of them",
                path=path,
                line=line,
                column=column,
            )
        seen.add(name)


def _check_width(data: bytes, separator: str, width: int, path: Path) -> None:
    """Raise an error that names the first line with too few or too many fields."""
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    before = np.searchsorted(np.flatnonzero(raw == ord(separator)), ends)
    n_fields = np.diff(before, prepend=0) + 1
    is_blank = np.diff(ends, prepend=-1) == 1
    is_ragged = (n_fields != width) & ~is_blank
    if is_ragged.any():
        line = int(is_ragged.argmax())
        raise _ragged(int(n_fields[line]), width, line + 1, path)


def _ragged(found: int, width: int, line: int, path: Path) -> InputError:
    return InputError(
        f"has {found} field(s) where the header has {width}; every line needs the same",
        path=path,
        line=line,
    )


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
