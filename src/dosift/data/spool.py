"""Rows that come once, through a pipe: kept in a temporary file, with a name that says what it is.

Everything that reads rows then reads a file, more than once if it needs to, in parts if it is
large, and with a checksum of the bytes that came.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dosift.data.compressed import MAGIC
from dosift.errors import InputError
from dosift.utils.atomic_write import reason_of
from dosift.utils.storage import read_limited

#: Endings of the names of files, by what they hold.
FORMATS = {
    "csv": ".csv",
    "tsv": ".tsv",
    "ndjson": ".ndjson",
    "parquet": ".parquet",
    "arrow": ".arrow",
}
#: First bytes of binary files, which tell what they are.
_BINARY = {
    b"PAR1": ".parquet",
    b"ARROW1": ".arrow",
    b"\xff\xff\xff\xff": ".arrow",
    b"\x89HDF": ".h5ad",
}
_TEXTS = ("csv", "tsv", "ndjson")
#: Bytes that are copied at a time.
_PIECE = 2**20
#: What standard input is called on the command line, and in messages.
STANDARD_INPUT, _ITS_NAME = "-", "standard input"


def is_stream(path: str | Path) -> bool:
    """Whether a path is a pipe or a device, which can be read once, rather than a file or folder.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    bool
        False for what is not there.

    Examples
    --------
    >>> is_stream("/dev/null"), is_stream("/"), is_stream("/nothing/here")
    (True, False, False)
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    in_devices = str(path).startswith(("/dev/", "/proc/"))  # /dev/stdin of a file, say
    return not stat.S_ISDIR(mode) and (in_devices or not stat.S_ISREG(mode))


@contextmanager
def readable(
    path: str | Path, format: str | None = None, *, ending: str | None = None
) -> Iterator[Path]:
    """Give rows that come through a pipe, or whose name does not say what they are, as a file.

    Parameters
    ----------
    path : str or Path
        A pipe, a device or a file; ``"-"`` is not understood here.
    format : {"csv", "tsv", "ndjson", "parquet", "arrow"}, optional
        What it holds. Of a pipe that does not say, the first bytes tell; text is CSV.
    ending : str, optional
        For a pipe that holds no rows: ending of the name of the file.

    Yields
    ------
    Path
        A temporary file with the bytes as they came, or another name of the file; removed
        at the end of the block. Errors about it name `path`.

    Raises
    ------
    InputError
        If the format is unknown, nothing can be read, or the temporary folder has no room.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    if is_stream(path):
        shown = str(path)
        with _opened(path, shown) as source, _spooled(source, shown, format, ending) as file:
            yield file
    elif format is None or not os.path.isfile(path):
        yield Path(path)
    else:
        with Path(path).open("rb") as source:
            known = _ending_of(source.read(8), format, None, str(path))
        with _renamed(path, known) as file:
            yield file


@contextmanager
def standard_input(format: str | None = None, *, ending: str | None = None) -> Iterator[Path]:
    """Give what comes through standard input as a file, as :func:`readable` does.

    Parameters
    ----------
    format, ending
        As for :func:`readable`.

    Yields
    ------
    Path

    Raises
    ------
    InputError
        As for :func:`readable`, or if standard input is closed.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"the format {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    if sys.stdin is None:
        raise InputError("is closed; pipe the rows in, or give a file", path=_ITS_NAME)
    with _spooled(sys.stdin.buffer, _ITS_NAME, format, ending) as file:
        yield file


@contextmanager
def _opened(path: str | Path, shown: str) -> Iterator[BinaryIO]:
    try:
        source = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=shown) from None
    with source:
        yield source


@contextmanager
def _spooled(
    source: BinaryIO, shown: str, format: str | None, ending: str | None
) -> Iterator[Path]:
    """Copy a stream into a temporary file that has a fitting name."""
    first = _read(source, shown)
    suffix = _ending_of(first, format, ending, shown)
    if ending is None and len(first) < _PIECE and not first.strip():
        raise InputError("is empty: nothing came", path=shown)
    file = _temporary(suffix)
    try:
        _copy(first, source, file, shown)
        with _errors_about(file, shown):
            yield file
    finally:
        with suppress(OSError):
            file.unlink()


@contextmanager
def _renamed(path: str | Path, suffix: str) -> Iterator[Path]:
    """Give a file another name, that says what it holds."""
    with tempfile.TemporaryDirectory(prefix="dosift-") as folder:
        file = Path(folder) / f"rows{suffix}"
        try:
            file.symlink_to(Path(path).resolve())
        except OSError:  # pragma: no cover - Windows asks for a privilege
            with _opened(path, str(path)) as source:
                file.touch()
                _copy(b"", source, file, str(path))
        with _errors_about(file, str(path)):
            yield file


def _ending_of(first: bytes, format: str | None, ending: str | None, shown: str) -> str:
    """Tell by the first bytes how a file should be called."""
    packed = next((suffix for suffix, magic in MAGIC.items() if first.startswith(magic)), "")
    if ending is not None:
        return ending + packed
    if format in _TEXTS or (packed and format is None):
        if not packed and b"\0" in first:
            raise InputError("is a binary file, not a table of text", path=shown)
        return FORMATS[format or "csv"] + packed
    if format is not None:
        return FORMATS[format]
    for magic, suffix in _BINARY.items():
        if first.startswith(magic):
            return suffix
    if b"\0" in first:
        raise InputError(
            f"is a binary file of an unknown kind; --format says what it holds: "
            f"{', '.join(FORMATS)}",
            path=shown,
        )
    if first.lstrip().startswith(b"{"):
        raise InputError(
            "seems to hold JSON objects, and is read as CSV where nothing else is said; add "
            "--format ndjson",
            path=shown,
        )
    return FORMATS["csv"]


def _read(source: BinaryIO, shown: str) -> bytes:
    try:
        return read_limited(source, _PIECE)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read: {reason}", path=shown) from None


def _temporary(suffix: str) -> Path:
    try:
        descriptor, name = tempfile.mkstemp(suffix=suffix, prefix="dosift-")
    except OSError as error:
        raise _no_room(error) from None
    os.close(descriptor)
    return Path(name)


def _copy(first: bytes, source: BinaryIO, file: Path, shown: str) -> None:
    """Write everything that comes; what is wrong with the disk is told from what is not."""
    piece = first or _read(source, shown)
    try:
        with file.open("wb") as target:
            while piece:
                target.write(piece)
                piece = _read(source, shown)
    except OSError as error:
        raise _no_room(error) from None


def _no_room(error: OSError) -> InputError:
    return InputError(
        "what comes through a pipe is kept in a temporary file, and that cannot be written: "
        f"{reason_of(error)}. The environment variable TMPDIR may point to a folder with room",
        path=tempfile.tempdir,
    )


@contextmanager
def _errors_about(file: Path, shown: str) -> Iterator[None]:
    """Name what the user gave in errors about a temporary file."""
    try:
        yield
    except InputError as error:
        if error.path != str(file):
            raise
        raise InputError(
            error.message.replace(str(file), shown),
            path=shown,
            line=error.line,
            column=error.column,
        ) from None
