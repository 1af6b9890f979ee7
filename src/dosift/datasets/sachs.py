"""Protein signalling in single cells (Sachs et al. 2005), downloaded from a public source."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import polars as pl

from dosift.errors import DosiftError, InputError

_REPOSITORY = "https://raw.githubusercontent.com/cmu-phil/example-causal-datasets"
_URL = _REPOSITORY + "/main/real/sachs/data/{name}"
#: The state of the collection that the checksums were taken from; tried first.
_PINNED_URL = _REPOSITORY + "/a23adc34/real/sachs/data/{name}"
_TIMEOUT_SECONDS = 30
#: Nothing longer than this can be one of the files.
_LARGEST_BYTES = 10_000_000
_DISCRETE = "sachs.2005.discrete.txt"
_CONTINUOUS = "sachs.2005.continuous.txt"
_SHA256 = {
    _DISCRETE: "e742e380fe4b824eec3b614c1ef5ed26ceaf2ae38d0f7a479ebd7e0fcf59f486",
    _CONTINUOUS: "a488589b0f021b2a261ff2c696a908c6823051b0d98693e0fa0e78bb12097063",
}
#: Conditions in the order of the files' blocks of rows, and the blocks' lengths.
_BLOCKS = {
    _DISCRETE: [
        ("b2camp", 600),
        ("cd3cd28", 600),
        ("akt_inhibitor", 600),
        ("g06976", 600),
        ("psitectorigenin", 600),
        ("u0126", 600),
        ("cd3cd28_icam2", 600),
        ("pma", 600),
        ("ly294002", 600),
    ],
    _CONTINUOUS: [
        ("cd3cd28", 853),
        ("cd3cd28_icam2", 902),
        ("akt_inhibitor", 911),
        ("g06976", 723),
        ("psitectorigenin", 810),
        ("u0126", 799),
        ("ly294002", 848),
        ("pma", 913),
        ("b2camp", 707),
    ],
}
_EDGES = (
    "plc>pip3 plc>pip2 pip3>pip2 pkc>pka pkc>raf pkc>mek pkc>jnk pkc>p38 pka>raf pka>mek pka>erk "
    "pka>akt pka>jnk pka>p38 raf>mek mek>erk erk>akt"
)


def load_sachs(folder: str | Path | None = None, *, discrete: bool = True) -> pl.DataFrame:
    """Load the flow-cytometry rows of Sachs et al. (2005).

    Eleven proteins and phospholipids (``raf``, ``mek``, ``plc``, ``pip2``, ``pip3``, ``erk``,
    ``akt``, ``pka``, ``pkc``, ``p38``, ``jnk``) and the ``condition`` that each cell was under,
    one of nine in contiguous blocks. The discrete file has 5,400 cells in levels ``1`` to ``3``;
    the continuous one 7,466 cells on the raw scale. Source: the collection
    cmu-phil/example-causal-datasets (CC0). The file is downloaded once (about 0.1 and 0.6 MB),
    checked against its SHA-256, and kept.

    Parameters
    ----------
    folder : str or Path, optional
        A folder that holds the file; nothing is downloaded then. Otherwise the folder named by
        the environment variable ``DOSIFT_DATA``, or the user's cache folder, keeps it.
    discrete : bool, default=True
        Which of the two files.

    Returns
    -------
    polars.DataFrame
        Texts (discrete) or numbers, and ``condition``.

    Raises
    ------
    InputError
        If the folder given does not hold the file, or the file is not the one expected.
    DosiftError
        If nothing can be downloaded; the message says what to do.

    Notes
    -----
    The conditions and what each one nominally acts on:

    ==================== ================================================
    ``cd3cd28``          general stimulation; the control
    ``cd3cd28_icam2``    general stimulation
    ``akt_inhibitor``    inhibits akt
    ``g06976``           inhibits pkc
    ``psitectorigenin``  inhibits pip2
    ``u0126``            inhibits mek
    ``ly294002``         inhibits PI3K, which was not measured
    ``pma``              activates pkc; given without stimulation
    ``b2camp``           activates pka; given without stimulation
    ==================== ================================================

    In the discrete file the target's own column was overwritten in the inhibited conditions. Read
    the case study before you draw conclusions.

    References
    ----------
    Sachs, Perez, Pe'er, Lauffenburger, Nolan (2005). Causal protein-signaling networks derived
    from multiparameter single-cell data. Science 308, 523-529.
    """
    name = _DISCRETE if discrete else _CONTINUOUS
    data = _given(Path(folder), name) if folder is not None else _cached(name)
    table = pl.read_csv(io.BytesIO(data), separator="\t", infer_schema=not discrete)
    conditions = [condition for condition, length in _BLOCKS[name] for _ in range(length)]
    return table.with_columns(condition=pl.Series(conditions))


def sachs_graph() -> list[tuple[str, str]]:
    """Return the 17-edge consensus graph of the Sachs proteins.

    Returns
    -------
    list of (str, str)
        Parent and child.

    Examples
    --------
    >>> len(sachs_graph())
    17
    """
    edges = []
    for edge in _EDGES.split():
        parent, child = edge.split(">")
        edges.append((parent, child))
    return edges


def _given(folder: Path, name: str) -> bytes:
    path = folder.expanduser() / name
    if not path.is_file():
        raise InputError(
            f"does not hold {name}; fetch it from {_URL.format(name=name)} and put it there",
            path=folder,
        )
    return _checked(_read(path), name, path)


def _cached(name: str) -> bytes:
    folder = _cache_folder()
    path = folder / name
    if path.is_file():
        return _checked(_read(path), name, path)
    data = _checked(*_download(name, folder))
    with contextlib.suppress(OSError):  # a cache that cannot be written means another download
        _keep(data, path)
    return data


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None


def _keep(data: bytes, path: Path) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _cache_folder() -> Path:
    chosen = os.environ.get("DOSIFT_DATA")
    if chosen:
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "dosift"


def _download(name: str, folder: Path) -> tuple[bytes, str, str]:
    """Return the file's bytes, its name, and the address that it came from."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    for url in (_PINNED_URL.format(name=name), _URL.format(name=name)):
        try:
            with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
                return response.read(_LARGEST_BYTES), name, url
        except HTTPError as error:
            reason: Exception = error  # the server answers; it may still have the other one
        except (OSError, ValueError, HTTPException) as error:
            reason = error
            break
    raise DosiftError(
        f"the Sachs data could not be downloaded ({reason!s}). Fetch {_URL.format(name=name)} by "
        f"other means, put it as {name} into a folder, and call load_sachs(folder), or put it into "
        f"{folder}"
    )


def _checked(data: bytes, name: str, where: Path | str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found == _SHA256[name]:
        return data
    advice = (
        "delete it and fetch it again"
        if isinstance(where, Path)
        else "nothing was kept. A login page may have answered, or the file was cut short"
    )
    raise InputError(
        f"is not the file expected: its SHA-256 is {found}, not {_SHA256[name]}; {advice}",
        path=where,
    )
