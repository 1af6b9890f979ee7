"""Protein signalling in single cells (Sachs et al. 2005), downloaded from a public source."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dosift.errors import DosiftError, InputError

if TYPE_CHECKING:
    import polars as pl

_URL = (
    "https://raw.githubusercontent.com/cmu-phil/example-causal-datasets/main/real/sachs/data/{name}"
)
_TIMEOUT_SECONDS = 30
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
    one of nine. The discrete file has 5,400 cells in levels ``1`` to ``3``; the continuous one
    7,466 cells on the raw scale. Source: the collection example-causal-datasets (CC0). The file
    is downloaded once (about 0.1 and 0.6 MB), checked against its SHA-256, and kept.

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
    In the discrete file the target's own column was overwritten in the inhibited conditions. Read
    the case study before you draw conclusions.
    """
    import io

    import polars as pl

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
    path = folder / name
    if not path.is_file():
        raise InputError(f"does not hold {name}", path=folder)
    return _checked(path.read_bytes(), name, path)


def _cached(name: str) -> bytes:
    folder = _cache_folder()
    path = folder / name
    if path.is_file():
        return _checked(path.read_bytes(), name, path)
    data = _checked(_download(name), name, _URL.format(name=name))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
    except OSError:
        pass  # A cache that cannot be written only means another download.
    return data


def _cache_folder() -> Path:
    chosen = os.environ.get("DOSIFT_DATA")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "dosift"


def _download(name: str) -> bytes:
    from urllib.request import urlopen

    url = _URL.format(name=name)
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            content: bytes = response.read()
    except (OSError, ValueError) as error:
        raise DosiftError(
            f"the Sachs data could not be downloaded ({error}). Fetch {url} by other means, put "
            f"it as {name} into a folder, and call load_sachs(folder), or put it into "
            f"{_cache_folder()}"
        ) from None
    return content


def _checked(data: bytes, name: str, where: object) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != _SHA256[name]:
        raise InputError(
            f"is not the file expected: its SHA-256 is {found}, not {_SHA256[name]}; delete it and "
            "fetch it again",
            path=str(where),
        )
    return data
