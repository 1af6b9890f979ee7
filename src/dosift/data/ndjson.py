"""Rows as JSON objects, one a line (NDJSON), read a block of lines at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dosift.data.compressed import open_bytes
from dosift.errors import InputError

#: Bytes that are read at a time, and the most that one line may take.
BLOCK_BYTES, _LONGEST_LINE = 2**23, 2**28


def read_ndjson(path: Path) -> Iterator[pl.DataFrame]:
    """Read a table of JSON objects.

    Parameters
    ----------
    path : Path
        Maybe compressed (.gz, .zst).

    Yields
    ------
    polars.DataFrame
        The rows of one block after the other, all with the columns of the first; a key that an
        object lacks is a missing value. Types are those of the block.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is no JSON object; with the line.
    """
    columns: list[str] | None = None
    line = 1
    for block in _blocks(path):
        if block.strip():
            frame = _parsed(block, path, line)
            if columns is None:
                columns = frame.columns
            elif frame.columns != columns:
                present = set(frame.columns)
                frame = frame.select(
                    pl.col(name) if name in present else pl.lit(None).alias(name)
                    for name in columns
                )
            yield frame
        line += block.count(b"\n")
    if columns is None:
        raise InputError("the file is empty", path=path)


def _blocks(path: Path) -> Iterator[bytes]:
    """Read a file in blocks that end at the end of a line."""
    pending = b""
    with open_bytes(path) as file:
        while chunk := file.read(BLOCK_BYTES):
            pending += chunk
            end = pending.rfind(b"\n") + 1
            if end:
                yield pending[:end]
                pending = pending[end:]
            elif len(pending) > _LONGEST_LINE:
                raise InputError(
                    f"{_LONGEST_LINE // 2**20} MiB without a line end; NDJSON has one object a "
                    "line",
                    path=path,
                )
    if pending:
        yield pending


def _parsed(block: bytes, path: Path, line: int) -> pl.DataFrame:
    try:
        return pl.read_ndjson(io.BytesIO(block), infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    # Slow, but it finds the line, and takes what polars does not: values of several types.
    objects = list(_objects(block, path, line))
    names = list(dict.fromkeys(name for one in objects for name in one))
    try:
        return pl.DataFrame(
            [pl.Series(name, [_text(one.get(name)) for one in objects]) for name in names]
        )
    except (pl.exceptions.PolarsError, TypeError, ValueError):
        raise InputError(f"is not a table of JSON objects: {reason}", path=path) from None


def _objects(block: bytes, path: Path, line: int) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(block.split(b"\n"), start=line):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or str(error)
            raise InputError(
                f"is not JSON ({reason}); NDJSON has one object a line", path=path, line=number
            ) from None
        if not isinstance(value, dict):
            raise InputError(
                'is no JSON object such as {"smoke": "yes"}; NDJSON has one a line',
                path=path,
                line=number,
            )
        for name, held in value.items():
            if isinstance(held, list | dict):
                raise InputError(
                    f"the value of {name!r} is a list or an object, which is no state",
                    path=path,
                    line=number,
                )
        yield value


def _text(value: Any) -> str | None:
    """Text of a JSON value."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
