"""The two invented stories that dosift ships."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import polars as pl

from dosift.data import read_rows
from dosift.errors import InputError
from dosift.io import read_network
from dosift.model import Mixture, Network

_SCREEN = (
    "A knockout screen (invented). The guide was meant to silence KINB. Each of 5,000 cells was\n"
    "measured for eight genes; nobody knows which cells were hit, and what else was hit in them."
)
_INCIDENT = (
    "An incident in a web shop (invented). 5,000 samples of eight signals, taken while several\n"
    "faults were present at once; nobody knows which faults, and which samples each one touched."
)


@dataclass(frozen=True)
class Demo:
    """A shipped data set.

    Attributes
    ----------
    name : str
    story : str
        What the rows are, in two lines.
    network : Network
        The undisturbed system.
    control : polars.DataFrame
        2,000 rows without any intervention.
    rows : polars.DataFrame
        5,000 rows from the mixture, unlabelled.
    truth : Mixture
        The mixture that the rows were drawn from.
    paths : dict of str to Path
        The files: ``network``, ``control``, ``rows``, ``truth``.
    """

    name: str
    story: str
    network: Network
    control: pl.DataFrame
    rows: pl.DataFrame
    truth: Mixture
    paths: dict[str, Path]


def load_screen() -> Demo:
    """Load the invented knockout screen with off-targets.

    Eight genes of a stress pathway (``STRA``, ``KINB``, ``KINC``, ``TFD``, ``TFE``, ``RIBF``,
    ``APOG``, ``CYCH``), each ``low``, ``normal`` or ``high``: 2,000 control cells and 5,000 cells
    of the screen. The guide silences KINB; off-targets silence CYCH, RIBF or TFE in some cells.
    Made by ``benchmarks/make_demo_data.py``; no real data.

    Returns
    -------
    Demo

    Examples
    --------
    >>> load_screen().rows.shape
    (5000, 8)
    """
    return _load("screen", _SCREEN)


def load_incident() -> Demo:
    """Load the invented incident with several faults.

    Eight signals of a web shop (``traffic``, ``cache``, ``database``, ``queue``, ``search``,
    ``checkout``, ``api``, ``errors``) with two or three states each: 2,000 quiet samples and 5,000
    taken during the incident. Faults: the cache misses, the database is stuck, the queue and the
    search are slow together. Made by ``benchmarks/make_demo_data.py``; no real data.

    Returns
    -------
    Demo

    Examples
    --------
    >>> load_incident().network.n_variables
    8
    """
    return _load("incident", _INCIDENT)


#: The files of a demo and how their names end.
_FILES = {
    "network": ".bif",
    "control": "_control.csv.gz",
    "rows": "_rows.csv.gz",
    "truth": "_truth.json",
}
_NAMES = ("screen", "incident")


def demo_path(name: str) -> dict[str, Path]:
    """Return where the files of a shipped data set are, without reading them.

    Parameters
    ----------
    name : {"screen", "incident"}
        Which one.

    Returns
    -------
    dict of str to Path
        ``network`` (BIF), ``control`` and ``rows`` (CSV, gzip), ``truth`` (JSON).

    Raises
    ------
    InputError
        If there is no data set of that name.

    Examples
    --------
    >>> demo_path("incident")["network"].name
    'incident.bif'
    """
    if name not in _NAMES:
        raise InputError(f"there is no demo {name!r}; choose one of {', '.join(_NAMES)}")
    # dosift is installed as plain files (never run from an archive), so the resource is a path.
    folder = Path(str(files("dosift.datasets"))) / "data"
    return {part: folder / f"{name}{ending}" for part, ending in _FILES.items()}


def _load(name: str, story: str) -> Demo:
    paths = demo_path(name)
    return Demo(
        name=name,
        story=story,
        network=read_network(paths["network"]),
        control=read_rows(paths["control"]),
        rows=read_rows(paths["rows"]),
        truth=Mixture.read(paths["truth"]),
        paths=paths,
    )
