"""Bytes of network files: read with a limit, gunzipped, decoded; written whole or not at all."""

from __future__ import annotations

import codecs
import gzip
import zlib
from pathlib import Path
from typing import BinaryIO, cast

from dosift.errors import InputError
from dosift.utils.atomic_write import write_bytes

#: Largest network file that is read, in bytes after decompression. The tokens of a file take up to
#: about 25 times its size, so this bounds memory at some 3 GiB, whatever the file holds.
MAX_FILE_BYTES = 128 * 1024 * 1024

#: Bytes that are read at a time.
_PIECE = 2**20
_GZIP_MAGIC = b"\x1f\x8b"


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Read a file, decompressing gzip (known by its first bytes, not by its name).

    Parameters
    ----------
    path : str or Path
        The file.
    most : int, optional
        Bytes that the content may have; ``MAX_FILE_BYTES`` if left out.

    Returns
    -------
    bytes
        The content, decompressed.

    Raises
    ------
    InputError
        If there is no such file, it is a folder, it cannot be read, its gzip stream is damaged
        or cut short, or the content is larger than allowed.
    """
    most = MAX_FILE_BYTES if most is None else most
    try:
        with open(path, "rb") as file:
            data = read_limited(file, most + 1)
        if data.startswith(_GZIP_MAGIC):
            with gzip.open(path, "rb") as packed:
                data = read_limited(cast(BinaryIO, packed), most + 1)
        elif str(path).lower().endswith(".gz"):
            raise InputError(
                "the name ends in .gz but the content is not gzip; rename or recompress the file",
                path=path,
            )
    except FileNotFoundError:
        raise InputError("there is no such file; check the name", path=path) from None
    except IsADirectoryError:
        raise InputError("is a folder; give a file", path=path) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"the gzip stream is damaged or cut short ({error}); compress or download it again",
            path=path,
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"the file cannot be read: {error}", path=path) from None
    if len(data) > most:
        raise InputError(
            f"the content is larger than {most // 2**20} MiB, the limit for such files",
            path=path,
        )
    return data


def read_limited(file: BinaryIO, most: int) -> bytes:
    """Read up to `most` bytes, taking memory for what is there only.

    Parameters
    ----------
    file : binary file
    most : int
        Bytes to read at most.

    Returns
    -------
    bytes
    """
    # file.read(most) would take all of that memory at once, also for a small file.
    pieces: list[bytes] = []
    while most > 0 and (piece := file.read(min(most, _PIECE))):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def decode(data: bytes, path: str | Path | None = None) -> str:
    r"""Decode UTF-8 text (with or without byte order mark); every line end becomes ``\n``.

    Parameters
    ----------
    data : bytes
        The content of a file.
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If the content is binary or not UTF-8, with line and column of the first bad byte.
    """
    data = data.removeprefix(codecs.BOM_UTF8)
    bad = data.find(b"\0")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        bad = error.start if bad < 0 else min(bad, error.start)
    if bad >= 0:
        before = data[:bad].decode("utf-8", errors="replace")
        raise InputError(
            "the file is not UTF-8 text; is it a network file? Save it as plain text in UTF-8",
            path=path,
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_text(text: str, path: str | Path) -> None:
    """Write text as UTF-8, gzipped if the name ends in ``.gz``; whole or not at all.

    Parameters
    ----------
    text : str
        The content.
    path : str or Path
        The file; an existing one is replaced.

    Raises
    ------
    InputError
        If the file cannot be written there.
    """
    data = text.encode("utf-8")
    if Path(path).name.lower().endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    write_bytes(path, data)
