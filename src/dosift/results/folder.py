"""The result folder: written whole or not at all, and read back."""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.errors import DosiftWarning, InputError
from dosift.io import read_network, write_network
from dosift.io.mechanism_file import format_mechanism_network, read_mechanism_network
from dosift.model import Mixture, Network
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import with_other_of
from dosift.results.content import distrust, finite, graph_content, result_content, versions
from dosift.results.predictions import Predictions
from dosift.results.report import render_report
from dosift.results.rows import RowParts
from dosift.utils.atomic_write import check_absent, whole_folder

__all__ = [
    "Result",
    "check_absent",
    "distrust",
    "escape_formulas",
    "finite",
    "graph_content",
    "read_result",
    "result_content",
    "versions",
    "write_result",
]

#: Files of a result folder that reading it back needs.
_NETWORK, _MIXTURE, _RESULT = "network.bif", "mixture.json", "result.json"
#: In the place of the first, where variables are numbers.
_MECHANISMS = "network.json"


@dataclass(frozen=True)
class Result:
    """A result folder, read back.

    Attributes
    ----------
    network : Network
        The network that the mixture refers to; a MechanismNetwork where variables are numbers.
    mixture : Mixture
    content : dict
        What ``result.json`` holds.
    """

    network: Network
    mixture: Mixture
    content: dict[str, Any]

    def presence(self, texts: Sequence[str]) -> tuple[float, ...]:
        """Return what posteriors of rows are multiplied by for each component; nothing if by 1.

        Parameters
        ----------
        texts : sequence of str
            Of the components.
        """
        lines = {line["target"]: line for line in self.content.get("components") or ()}
        if any("of_rows" in line for line in lines.values()):
            return tuple(float(lines.get(text, {}).get("of_rows", 1.0)) for text in texts)
        fallen = [text for text in texts if lines.get(text, {}).get("stands") is False]
        if not fallen:
            return ()
        known = {text: lines[text].get("probability") for text in fallen}
        return tuple(1.0 if known.get(text) is None else float(known[text]) for text in texts)

    def batches(self) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Return the batches of the fit, and the weights in each.

        Returns
        -------
        names : tuple of str
        weights : ndarray, shape (n_batches, n_components)
            In the order of the mixture's targets.

        Raises
        ------
        InputError
            If it was fitted without batches.
        """
        lines = self.content.get("batches")
        if not lines:
            raise InputError("the mixture was fitted without batches; leave --batch out")
        names = tuple(sorted({str(line["batch"]) for line in lines}))
        place = {str(target): k for k, target in enumerate(self.mixture.targets)}
        weights = np.zeros((len(names), len(place)))
        for line in lines:
            weights[names.index(str(line["batch"])), place[line["target"]]] = line["weight"]
        return names, weights

    def switching(self) -> tuple[float, bool]:
        """Return the rate of switching, and whether times were timestamps.

        Raises
        ------
        InputError
            If it was fitted without time.
        """
        found = self.content.get("timeline")
        if not found:
            raise InputError("the mixture was fitted without time; leave --time out")
        return float(found["rate"]), bool(found["in_seconds"])


def write_result(
    folder: str | Path,
    model: Predictions,
    rows: pl.DataFrame | RowParts,
    content: Mapping[str, Any],
    *,
    extra: Mapping[str, pl.DataFrame] | None = None,
    units: pl.DataFrame | None = None,
    force: bool = False,
) -> None:
    """Write a result folder, whole or not at all.

    Parameters
    ----------
    folder : str or Path
        Must not exist yet, unless `force`.
    model : InterventionMixture
        Fitted.
    rows : polars.DataFrame or RowParts
        The table of rows, from :func:`~dosift.results.rows.row_table`, or what makes and writes it.
    content : mapping
        From :func:`result_content`.
    extra : mapping of str to polars.DataFrame, optional
        Further tables by name, each a CSV file of that name.
    units : polars.DataFrame, optional
        The table of units, from :func:`~dosift.results.units.tables_of`.
    force : bool, default=False
        Whether to replace an existing folder, which stays until the new one is complete.

    Raises
    ------
    InputError
        If the folder exists (and `force` is not set), or cannot be written.

    Warns
    -----
    DosiftWarning
        If what is replaced is no result folder: it is kept under another name.
    """
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    page = render_report(dict(content))
    folder = Path(folder)
    aside = _kept_aside(folder)
    with whole_folder(folder, replace=force, aside=aside) as draft:
        model.mixture_.write(draft / _MIXTURE)
        _write_network(model.network_, draft)
        for name in ("components", "variables", "pairs", "graph", "batches", "timeline"):
            _write_table(getattr(model, f"{name}_"), draft / f"{name}.csv")
        for name, table in (extra or {}).items():
            _write_table(table, draft / f"{name}.csv")
        if isinstance(rows, RowParts):
            rows.write(draft / "rows.parquet")
        else:
            rows.write_parquet(draft / "rows.parquet")
        if units is not None:
            units.write_parquet(draft / "units.parquet")
        (draft / _RESULT).write_text(text + "\n", encoding="utf-8")
        (draft / "report.html").write_text(page, encoding="utf-8")
    if aside is not None:
        warnings.warn(
            f"{folder} was there and no result of dosift; it is kept as {aside}",
            DosiftWarning,
            stacklevel=2,
        )


def _write_table(table: pl.DataFrame | None, path: Path) -> None:
    if table is not None:
        escape_formulas(table).write_csv(path)


def _write_network(network: Network | MechanismNetwork, draft: Path) -> None:
    if isinstance(network, MechanismNetwork):
        text = format_mechanism_network(network)
        (draft / _MECHANISMS).write_text(text + "\n", encoding="utf-8")
    else:
        write_network(network, draft / _NETWORK)


def _kept_aside(folder: Path) -> Path | None:
    """Return a name for what is replaced, if it is anything but a result or empty."""
    if not os.path.lexists(folder) or (folder / _RESULT).is_file():
        return None
    if folder.is_dir() and not any(folder.iterdir()):
        return None
    names = (folder.with_name(f"{folder.name}.old{k}") for k in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))


def escape_formulas(table: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would take for a formula.

    Parameters
    ----------
    table : polars.DataFrame

    Returns
    -------
    polars.DataFrame
        Texts that begin with ``=``, ``@``, a tab or a line end, or with a sign and are no number,
        begin with an apostrophe; all else is as it was.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"value": ["=cmd()", "-1", "-1+cmd()", "a=b"]})
    >>> escape_formulas(table)["value"].to_list()
    ["'=cmd()", '-1', "'-1+cmd()", 'a=b']
    """
    text = pl.col(pl.String)
    is_number = text.str.contains(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    is_formula = text.str.contains(r"^[=+\-@\t\r\n]") & ~is_number
    return table.with_columns(pl.when(is_formula).then("'" + text).otherwise(text).name.keep())


def read_result(folder: str | Path) -> Result:
    """Read a result folder.

    Parameters
    ----------
    folder : str or Path
        Written by ``dosift fit``.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If it is no result folder, or one of its files cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("is not a result folder; give the folder that 'fit' wrote", path=folder)
    of_mechanisms = (folder / _MECHANISMS).is_file()
    for name in (_MECHANISMS if of_mechanisms else _NETWORK, _MIXTURE, _RESULT):
        if not (folder / name).is_file():
            raise InputError(f"has no {name}; give the folder that 'fit' wrote", path=folder)
    try:
        content = json.loads((folder / _RESULT).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"cannot be read: {error}", path=folder / _RESULT) from None
    if not isinstance(content, dict):
        raise InputError("does not hold a result", path=folder / _RESULT)
    seed = content.get("seed") or 0
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"seed {seed!r} is not a whole number", path=folder / _RESULT)
    network: Any
    if of_mechanisms:
        network = read_mechanism_network(folder / _MECHANISMS)
    else:
        network = read_network(folder / _NETWORK)
    mixture = Mixture.read(folder / _MIXTURE)
    return Result(with_other_of(network, mixture), mixture, content)
