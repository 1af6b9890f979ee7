"""What ``result.json`` holds: all numbers of a fit, and where they came from."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from dosift._version import __version__
from dosift.checks.assignment_confidence import SURE
from dosift.checks.verdict import FALLS, STANDS
from dosift.identifiability import units_identified, verdict
from dosift.model import Network
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import without_other
from dosift.results.changes import numbers_content
from dosift.results.graph_layout import parents_shown
from dosift.results.graphs import graph_findings_content
from dosift.results.merged import Merged
from dosift.results.predictions import Predictions
from dosift.results.rows import presence
from dosift.results.timeline import timeline_content
from dosift.results.verdict_words import verdict_content

#: Tables of a fit whose lines are held as they are, as far as there are any.
_TABLES = ("variables", "pairs", "families", "interventions", "mechanisms", "undecided", "batches")
#: What two rows of the same intervention tell.
_PAIRS = (
    "Rows that follow each other mostly have the same intervention, and two such rows tell every "
    "mixture of do's from every other, whether or not it satisfies exclusion."
)


def result_content(
    model: Predictions,
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
    tables = {name: getattr(model, f"{name}_") for name in _TABLES}
    return {
        "trusted": verdict_now["value"] != FALLS,
        "reasons": reasons,
        "verdict": verdict_now,
        "level": model.level,
        "components": _components_content(model),
        **{name: finite(table.to_dicts()) for name, table in tables.items() if table is not None},
        **_missing_content(model),
        **_in_time(model),
        "graph": graph_content(model.network_),
        **graph_findings_content(model.fitted_),
        "certainty": finite(_certainty_content(model)),
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


def _identifiability(model: Predictions) -> dict[str, Any]:
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


def _in_time(model: Predictions) -> dict[str, Any]:
    """Return what is known of targets in time; nothing where rows came in no order."""
    in_time, table = model.fitted_.in_time, model.timeline_
    if in_time is None or table is None:
        return {}
    return timeline_content(in_time, table, model.level)


def _components_content(model: Predictions) -> list[dict[str, Any]]:
    """Return the lines of the table of components, each with what could stand in its place.

    They have `of_rows` where posteriors of rows are worth less than they say, by what these are
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


def _missing_content(model: Predictions) -> dict[str, Any]:
    """Return which values were missing, by name; nothing if none were.

    Of each variable that lacks some, `depends_on` is that on which it depends most clearly whether
    it is missing, with the p-value of that.
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


def _certainty_content(model: Predictions) -> dict[str, Any]:
    """Return how sure the rows are, with the names of targets."""
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


def distrust(model: Predictions) -> list[str]:
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
