"""Compressed files as streams of bytes: gzip by Python's own module, zstd by polars."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from dosift.errors import InputError

#: Endings of compressed files, and the first bytes of what they hold.
MAGIC = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
#: Lines that polars hands over at a time.
_BATCH_LINES = 2**17


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressed if its name says that it is compressed.

    Parameters
    ----------
    path : Path

    Yields
    ------
    binary file
        Of a zstd file every line ends in a line feed alone.

    Raises
    ------
    InputError
        If it cannot be read, or is not compressed as its name says, or is cut short.
    """
    ending = path.suffix.lower()
    try:
        if ending == ".gz":
            with gzip.open(path, "rb") as packed:
                yield cast(BinaryIO, packed)
        elif ending == ".zst":
            yield cast(BinaryIO, io.BufferedReader(_ZstdLines(path)))
        else:
            with path.open("rb") as plain:
                yield plain
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"is not a complete gzip file: {error}", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None


class _ZstdLines(io.RawIOBase):
    """Text in a zstd file, which polars decompresses line by line."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            begin = file.read(len(MAGIC[".zst"]))
        if begin and begin != MAGIC[".zst"]:
            raise InputError(
                "the name ends in .zst but the content is not zstd; rename or recompress the file",
                path=path,
            )
        self._parts = _decompressed(path) if begin else iter(())
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        n_bytes = min(len(buffer), len(self._rest))
        buffer[:n_bytes] = self._rest[:n_bytes]
        self._rest = self._rest[n_bytes:]
        return n_bytes


def _decompressed(path: Path) -> Iterator[bytes]:
    if not hasattr(pl, "scan_lines"):
        raise InputError(
            "zstd files need a newer polars: python -m pip install -U polars; or decompress the "
            "file first",
            path=path,
        )
    try:
        lines = pl.scan_lines(path, glob=False)
        for batch in lines.collect_batches(chunk_size=_BATCH_LINES, maintain_order=True):
            text = batch.to_series().str.join("\n").item()
            yield text.encode() + b"\n"
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if "utf8" in reason.lower():
            raise InputError("is not UTF-8 text; save it as UTF-8", path=path) from None
        raise InputError(f"is not a complete zstd file: {reason}", path=path) from None
