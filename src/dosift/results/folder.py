"""The result folder: written whole or not at all, and read back."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift._version import __version__
from dosift.checks.assignment_confidence import SURE
from dosift.checks.verdict import FALLS, STANDS
from dosift.errors import DosiftWarning, InputError
from dosift.identifiability import units_identified, verdict
from dosift.io import read_network, write_network
from dosift.io.mechanism_file import format_mechanism_network, read_mechanism_network
from dosift.model import Mixture, Network
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import with_other_of, without_other
from dosift.results.changes import numbers_content
from dosift.results.graph_layout import parents_shown
from dosift.results.graphs import graph_findings_content
from dosift.results.merged import Merged
from dosift.results.rows import RowParts, presence
from dosift.results.timeline import timeline_content
from dosift.results.verdict_words import verdict_content
from dosift.utils.atomic_write import check_absent, whole_folder

if TYPE_CHECKING:
    import polars as pl

    from dosift.results.fitted_model import FittedModel

__all__ = [
    "Result",
    "check_absent",
    "distrust",
    "escape_formulas",
    "read_result",
    "result_content",
    "versions",
    "write_result",
]

#: Files of a result folder that reading it back needs.
_NETWORK, _MIXTURE, _RESULT = "network.bif", "mixture.json", "result.json"
#: What two rows of the same intervention tell.
_PAIRS = (
    "Rows that follow each other mostly have the same intervention, and two such rows tell every "
    "mixture of do's from every other, whether or not it satisfies exclusion."
)
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


def result_content(
    model: FittedModel,
    *,
    settings: Mapping[str, Any],
    inputs: Sequence[Path],
    timings: Mapping[str, float],
) -> dict[str, Any]:
    """Gather everything that is a number or says where it came from.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    settings : mapping
        What the user asked for.
    inputs : sequence of Path
        The files that were read; their checksums are recorded.
    timings : mapping of str to float
        Seconds by stage.

    Returns
    -------
    dict
        The content of ``result.json``.
    """
    verdict_now = finite(verdict_content(model.fitted_))
    reasons = distrust(model)
    is_of_numbers = isinstance(model.network_, MechanismNetwork)
    return {
        "trusted": verdict_now["value"] != FALLS,
        "reasons": reasons,
        "verdict": verdict_now,
        "level": model.level,
        "components": components_content(model),
        "variables": [finite(row) for row in model.variables_.to_dicts()],
        "pairs": model.pairs_.to_dicts(),
        "families": model.families_.to_dicts(),
        "interventions": finite(model.interventions_.to_dicts()),
        "mechanisms": finite(model.mechanisms_.to_dicts()),
        "undecided": model.undecided_.to_dicts(),
        **(
            {}
            if model.batches_ is None
            else {"batches": [finite(row) for row in model.batches_.to_dicts()]}
        ),
        **missing_content(model),
        **_in_time(model),
        "graph": graph_content(model.network_),
        **graph_findings_content(model.fitted_),
        "certainty": finite(certainty_content(model)),
        "diagnostics": finite(model.diagnostics()),
        **numbers_content(model.fitted_, model.level),
        # Of tables alone it is known which other mixtures have the same distribution.
        "identifiability": {} if is_of_numbers else _identifiability(model),
        "settings": dict(settings),
        "seed": settings.get("seed"),
        "inputs": [{"path": _as_given(path), **checksum(path)} for path in inputs],
        "versions": versions(),
        "timings": {stage: round(seconds, 3) for stage, seconds in timings.items()},
    }


def _identifiability(model: FittedModel) -> dict[str, Any]:
    """Return the verdict on the mixture; rows that lend each other evidence tell more than one."""
    mixture = without_other(model.mixture_)
    found = verdict(model.network_, mixture)
    in_time = model.fitted_.in_time
    if in_time is None or found["status"] == "unique" or in_time.switching(model.level).high >= 1:
        return found
    of_pairs = units_identified(model.network_, mixture)
    if of_pairs.status != "unique":
        return found
    return {**found, "status": "unique", "meaning": _PAIRS, "reasons": []}


def _in_time(model: FittedModel) -> dict[str, Any]:
    """Return what is known of targets in time; nothing where rows came in no order."""
    in_time, table = model.fitted_.in_time, model.timeline_
    if in_time is None or table is None:
        return {}
    return timeline_content(in_time, table, model.level)


def components_content(model: FittedModel) -> list[dict[str, Any]]:
    """Return the lines of the table of components, each with what could stand in its place.

    Returns
    -------
    list of dict
        The columns of ``components.csv``, and `confusable`: a list of ``target`` and ``loss``; with
        `of_rows` where posteriors of rows are worth less than they say: by what they are
        multiplied.
    """
    lines = [finite(row) for row in model.components_.to_dicts()]
    fitted = model.fitted_
    together = Merged.of(model.network_, fitted.result.targets, fitted.result.weights)
    for line, share in zip(lines, presence(fitted, together), strict=False):
        line["of_rows"] = share
    for line in lines:
        if "also" in line and line["also"] is None:
            del line["also"]
        others = model.confusable_.filter(model.confusable_["component"] == line["target"])
        line["confusable"] = others.drop("component").to_dicts()
    return lines


def missing_content(model: FittedModel) -> dict[str, Any]:
    """Return which values were missing, by name; nothing if none were.

    Returns
    -------
    dict
        `missing_values`: the rows that lack any value, and for each variable that does the share
        of the rows, the variable on which it depends most clearly whether it is missing (or
        None), and the p-value of that.
    """
    found = model.missing_values_
    if not found.n_rows:
        return {}
    clearest: dict[int, tuple[int, float]] = {}
    for i, j, p in found.dependent:
        clearest.setdefault(i, (j, p))
    names = model.network_.names
    variables = []
    for i, share in enumerate(found.share.tolist()):
        if share > 0:
            other, p_value = clearest.get(i, (None, None))
            variables.append(
                {
                    "variable": names[i],
                    "share": share,
                    "depends_on": None if other is None else names[other],
                    "p_value": p_value,
                }
            )
    return {"missing_values": {"rows": found.n_rows, "variables": variables}}


def _as_given(path: Path) -> str:
    """Return a path as the user gave it; data of the package by name, wherever it is installed."""
    package = Path(__file__).parents[1]
    return f"dosift: {path.name}" if path.is_relative_to(package) else str(path)


def graph_content(network: Network) -> dict[str, list[str]]:
    """Name the parents of each variable, in the network's order of variables.

    Returns
    -------
    dict of str to list of str
    """
    return {
        network.names[i]: [network.names[p] for p in parents]
        for i, parents in parents_shown(network).items()
    }


def certainty_content(model: FittedModel) -> dict[str, Any]:
    """Return how sure the rows are, with the names of targets.

    Returns
    -------
    dict
        The attributes of :class:`~dosift.checks.assignment_confidence.Certainty`; `targets` holds
        for each target the rows of which it is the most probable and their mean probability of it.
    """
    found = model.certainty_
    return {
        "edges": found.edges.tolist(),
        "counts": found.counts.tolist(),
        "sure_above": SURE,
        "share_sure": found.share_sure,
        "impossible": found.impossible,
        "targets": [
            {"target": str(target), "rows": rows, "mean_probability": probability}
            for target, rows, probability in zip(
                model.targets_, found.rows.tolist(), found.mean_probability.tolist(), strict=True
            )
        ],
    }


def distrust(model: FittedModel) -> list[str]:
    """Say why a fit does not stand, or in part only.

    Returns
    -------
    list of str
        Sentences; empty where it stands.
    """
    content = verdict_content(model.fitted_)
    reasons: list[str] = content["reasons"]
    return [] if content["value"] == STANDS else reasons


def versions() -> dict[str, str]:
    """Versions of dosift, Python and the libraries that numbers depend on."""
    libraries = {name: metadata.version(name) for name in ("numpy", "scipy", "polars", "narwhals")}
    return {"dosift": __version__, "python": platform.python_version(), **libraries}


def write_result(
    folder: str | Path,
    model: FittedModel,
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
        The table of units, from :func:`~dosift.results.units.unit_table`.
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
    from dosift.results.report import render_report

    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    page = render_report(dict(content))
    folder = Path(folder)
    aside = _kept_aside(folder)
    with whole_folder(folder, replace=force, aside=aside) as draft:
        model.mixture_.write(draft / _MIXTURE)
        _write_network(model.network_, draft)
        escape_formulas(model.components_).write_csv(draft / "components.csv")
        escape_formulas(model.variables_).write_csv(draft / "variables.csv")
        escape_formulas(model.pairs_).write_csv(draft / "pairs.csv")
        if model.graph_ is not None:
            escape_formulas(model.graph_).write_csv(draft / "graph.csv")
        if model.batches_ is not None:
            escape_formulas(model.batches_).write_csv(draft / "batches.csv")
        if model.timeline_ is not None:
            escape_formulas(model.timeline_).write_csv(draft / "timeline.csv")
        for name, table in (extra or {}).items():
            escape_formulas(table).write_csv(draft / f"{name}.csv")
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
    import polars as pl

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


def checksum(path: Path) -> dict[str, Any]:
    """Return the SHA-256 of a file; of a folder, that of the names and sums of its files.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        ``sha256``, and for a folder also ``files``, their number.
    """
    if not path.is_dir():
        return {"sha256": _sha256(path)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = "".join(f"{_sha256(file)}  {file.relative_to(path)}\n" for file in files)
    return {"sha256": hashlib.sha256(lines.encode()).hexdigest(), "files": len(files)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def finite(value: Any) -> Any:
    """Replace what JSON cannot hold (NaN, infinities) by null, all the way down.

    Parameters
    ----------
    value : object
        Of dictionaries, lists, numbers and texts.

    Returns
    -------
    object
        The same with None for each number that is not finite.

    Examples
    --------
    >>> finite({"a": [1.0, float("nan")]})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
