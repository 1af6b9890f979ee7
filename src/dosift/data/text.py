"""Tables of text (CSV, TSV), read a block of lines at a time.

Blocks end at the end of a record, and each is parsed with the header put before it, so that the
memory needed depends on the size of a block and not on that of the file. Compressed files are
decompressed as they are read.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from dosift.data.compressed import open_bytes
from dosift.errors import InputError

#: Bytes of text that are read at a time, and the most that one record may take.
BLOCK_BYTES, _LONGEST_RECORD = 2**23, 2**28
#: Rows of quoted text that are held as Python texts at a time.
_BATCH = 50_000


def read_text(path: Path, separator: str) -> Iterator[pl.DataFrame]:
    """Read a table of text, every value as text.

    Parameters
    ----------
    path : Path
        Maybe compressed (.gz, .zst).
    separator : str
        One character.

    Yields
    ------
    polars.DataFrame
        The rows of one block after the other, maybe none; all with the same columns.

    Raises
    ------
    InputError
        If the file cannot be read or is no well-formed table; with the line.
    """
    header: bytes | None = None
    line = 1
    for block in _blocks(path, separator):
        _check_encoding(block, line, path)
        if header is None:
            if not block.strip():
                line += _n_lines(block)
                continue
            header = _header(block, separator, line, path)
            yield _parse(block, separator, path, line - 1)
        elif block.strip(b"\r\n"):
            # The header stands before each block again.
            yield _parse(header + block, separator, path, line - 1 - _n_lines(header))
        line += _n_lines(block)
    if header is None:
        raise InputError("the file is empty", path=path)


def _parse(data: bytes, separator: str, path: Path, before: int) -> pl.DataFrame:
    """Parse a header and the records after it, which begin after so many lines of the file."""
    # An empty field is the empty text, which may be a state; if not it counts as missing.
    if not data.endswith((b"\n", b"\r")):
        data += b"\n"  # without it polars overlooks a last field too many
    if b'"' in data:
        return _parse_quoted(data, separator, path, before)
    return _parse_plain(data, separator, path, before)


def _header(block: bytes, separator: str, line: int, path: Path) -> bytes:
    """Return the first record as text that can be put before other blocks."""
    if b'"' not in block:
        plain = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n").lstrip(b"\n")
        return plain.partition(b"\n")[0] + b"\n"
    names = _Records(block, separator, path, line - 1).header
    return separator.join(f'"{name.replace(chr(34), chr(34) * 2)}"' for name in names).encode() + (
        b"\n"
    )


def _blocks(path: Path, separator: str) -> Iterator[bytes]:
    """Read a file in blocks that end at the end of a record, without a byte order mark."""
    pending = b""
    is_first = True
    with open_bytes(path) as file:
        while chunk := file.read(BLOCK_BYTES):
            if is_first:
                if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise InputError("is UTF-16 text; save it as UTF-8", path=path)
                chunk = chunk.removeprefix(codecs.BOM_UTF8)
                is_first = False
            pending += chunk
            end = _last_end(pending, separator)
            if end:
                yield pending[:end]
                pending = pending[end:]
            elif len(pending) > _LONGEST_RECORD:
                raise InputError(
                    f"{_LONGEST_RECORD // 2**20} MiB without a line end that is surely one; "
                    "check the quotes: each should open or close a whole field",
                    path=path,
                )
    if pending:
        yield pending


def _last_end(data: bytes, separator: str) -> int:
    """Position after the last line end outside quotes; 0 if that cannot be told."""
    mark = b"\n" if b"\n" in data else b"\r"
    # A return at the very end may be half of a line end.
    end = data.rfind(mark, 0, len(data) if mark == b"\n" else len(data) - 1) + 1
    if b'"' not in data:
        return end
    raw = np.frombuffer(data, dtype=np.uint8)
    n_quotes = np.cumsum(raw == ord('"'), dtype=np.int32)
    ends = np.flatnonzero(raw[:end] == ord(mark))
    outside = ends[n_quotes[ends] % 2 == 0]
    end = int(outside[-1]) + 1 if outside.size else 0
    return end if _is_cleanly_quoted(data[:end], separator) else 0


def _n_lines(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _check_encoding(data: bytes, line: int, path: Path) -> None:
    if b"\0" in data:
        raise InputError("is a binary file, not a table of text", path=path)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        raise InputError("is not UTF-8 text; save it as UTF-8", path=path, line=line) from None


def _parse_plain(data: bytes, separator: str, path: Path, before: int) -> pl.DataFrame:
    """Parse text without quotes, where every line end ends a row."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    # polars makes rows of blank lines.
    filled = data.lstrip(b"\n")
    if b"\n\n" in filled:
        filled = re.sub(rb"\n{2,}", b"\n", filled)
    line = len(data) - len(data.lstrip(b"\n")) + 1
    header = filled.partition(b"\n")[0].decode().split(separator)
    _check_header(header, before + line, path)
    try:
        frame = pl.read_csv(filled, separator=separator, quote_char=None, infer_schema=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        _check_width(data, separator, len(header), path, before)
        raise InputError(f"is not a well-formed table: {first_line(error)}", path=path) from None
    if frame[:, -1].has_nulls():
        # polars fills up short lines.
        _check_width(data, separator, len(header), path, before)
    frame.columns = header
    return frame.fill_null("")


def _parse_quoted(data: bytes, separator: str, path: Path, before: int) -> pl.DataFrame:
    """Parse text with quoted fields, which may hold separators and line ends."""
    records = _Records(data, separator, path, before)
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
    columns: Iterable[Sequence[str]] = zip(*rows, strict=True) if rows else [()] * len(header)
    return pl.DataFrame(
        [pl.Series(name, c, dtype=pl.String) for name, c in zip(header, columns, strict=True)]
    )


class _Records:
    """Iterate over the records of quoted text after the header; errors name the line."""

    def __init__(self, data: bytes, separator: str, path: Path, before: int) -> None:
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        self._reader = csv.reader(text, delimiter=separator, strict=True)
        self._path = path
        self._before = before
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
            line = self._before + self._reader.line_num + 1
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


def _check_width(data: bytes, separator: str, width: int, path: Path, before: int) -> None:
    """Raise an error that names the first line with too few or too many fields."""
    raw = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(raw == ord("\n"))
    n_separators = np.searchsorted(np.flatnonzero(raw == ord(separator)), ends)
    n_fields = np.diff(n_separators, prepend=0) + 1
    is_blank = np.diff(ends, prepend=-1) == 1
    is_ragged = (n_fields != width) & ~is_blank
    if is_ragged.any():
        line = int(is_ragged.argmax())
        raise _ragged(int(n_fields[line]), width, before + line + 1, path)


def _ragged(found: int, width: int, line: int, path: Path) -> InputError:
    return InputError(
        f"has {found} field(s) where the header has {width}; every line needs the same",
        path=path,
        line=line,
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its name where there is none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
