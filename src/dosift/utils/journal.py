"""Files of records that survive a kill: each line is on the disk before the next is begun."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from dosift.errors import InputError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: two runs on one file go unnoticed
    fcntl = None  # type: ignore[assignment]

Record = dict[str, Any]


@contextmanager
def open_journal(path: Path, busy: str) -> Iterator[tuple[list[Record], Callable[[Record], None]]]:
    """Open a file of records, one JSON object a line, for this run alone.

    A last line that a killed run left unfinished is cut off.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    busy : str
        What to say if another run has it open.

    Yields
    ------
    records : list of dict
        What the file holds.
    keep : callable
        Adds a record, for good.

    Raises
    ------
    InputError
        If the file cannot be written, is in use, or holds something else.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from None
    try:
        _lock(descriptor, path, busy)
        yield _read(path, descriptor), partial(_append, descriptor, path)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, busy: str) -> None:
    if fcntl is None:  # pragma: no cover - Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(busy, path=path) from None
    except OSError:  # a file system without locks
        return


def _read(path: Path, descriptor: int) -> list[Record]:
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.ftruncate(descriptor, len(whole))
    records = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise InputError(
                "is not a record; remove the line to have its work done again",
                path=path,
                line=number,
            )
        records.append(record)
    return records


def _append(descriptor: int, path: Path, record: Record) -> None:
    """Add a line and wait until it is on the disk."""
    line = json.dumps(record, allow_nan=False).encode() + b"\n"
    try:
        if os.write(descriptor, line) < len(line):
            raise OSError(0, "the disk is full")
        os.fsync(descriptor)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from None
