"""What the rows say about the graph: as a table, as data, and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from dosift.graphs.findings import GraphFindings
from dosift.model.mechanism_network import compared_targets
from dosift.model.network import Network
from dosift.pipeline import Fitted
from dosift.results.graph_layout import parents_shown
from dosift.results.graph_words import asked_in_words

#: Share of the rows (total variation) that must be explained otherwise before a graph that the rows
#: object to makes a fit unfit to be trusted.
CHANGES = 0.02
#: Pairs of variables that a sentence names.
_NAMED = 4


def graph_table(network: Network, findings: GraphFindings | None) -> pl.DataFrame | None:
    """Table of the edges of the graph, and of those that were removed from the given one.

    Parameters
    ----------
    network : Network
    findings : GraphFindings or None

    Returns
    -------
    polars.DataFrame or None
        The columns of ``graph.csv``: ``parent``, ``child``, ``probability`` (over graphs, of this
        edge in this direction), ``status``: ``given`` (the graph was fixed), ``kept``, ``added``,
        ``reversed``, ``removed``, or ``open`` (the rows leave the direction open). None without
        control rows.

    Examples
    --------
    >>> from dosift.graphs.findings import FoundEdge
    >>> network = Network.from_tables(
    ...     {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [0.5, 0.5], "b": [0.5, 0.5]}
    ... )
    >>> edges = (FoundEdge(0, 1, 0.98, "added"),)
    >>> graph_table(network, GraphFindings(((), (0,)), None, False, edges, ())).rows()
    [('a', 'b', 0.98, 'added')]
    """
    if findings is None:
        return None
    names, shown = network.names, parents_shown(network)
    lines = [
        (names[edge.parent], names[edge.child], edge.probability, edge.status)
        for edge in findings.edges
        if edge.parent in shown and edge.child in shown
    ]
    types = {
        "parent": pl.String,
        "child": pl.String,
        "probability": pl.Float64,
        "status": pl.String,
    }
    return pl.DataFrame(lines, schema=types, orient="row")


def graph_findings_content(fitted: Fitted) -> dict[str, Any]:
    """Return what ``result.json`` says of the graph beside its edges; nothing without control rows.

    Parameters
    ----------
    fitted : Fitted

    Returns
    -------
    dict
        `graph_found`: ``edges`` (the lines of ``graph.csv``), ``fixed``, ``learned`` (whether no
        graph was given), ``asked`` (what the rows would change in a fixed graph: ``kind``,
        ``parent``, ``child``, ``gain`` in nats), ``change`` (share of the rows that would then be
        explained otherwise), ``objects`` (whether that is enough for the fit not to be trusted),
        ``graphs`` (number of graphs averaged over), ``common_causes`` (pairs of variables that a
        hidden cause seems to have in common), and ``notices`` (sentences on what is no reason
        against the fit).
    """
    found, names = fitted.graph, fitted.network.names
    table = graph_table(fitted.network, found)
    if found is None or table is None:
        return {}
    return {
        "graph_found": {
            "edges": table.to_dicts(),
            "fixed": found.fixed,
            "learned": found.given is None,
            "asked": [
                {
                    "kind": one.kind,
                    "parent": names[one.parent],
                    "child": names[one.child],
                    "gain": None if np.isnan(one.gain) else one.gain,
                }
                for one in found.asked
            ],
            "change": changed_share(fitted),
            "objects": objects_to_the_graph(fitted),
            "graphs": len(found.members),
            "common_causes": [
                {"variables": [names[i], names[j]], "p_value": p} for i, j, p in found.common_causes
            ],
            "notices": [words for words in (common_causes_in_words(fitted),) if words],
        }
    }


def changed_share(fitted: Fitted) -> float:
    """Share of the rows that would be explained otherwise after the edits that are asked for."""
    found, result, verdict = fitted.graph, fitted.result, fitted.judged
    if found is None:
        return 0.0
    for answer, change in zip(verdict.answers, verdict.changes, strict=True):
        if answer.repairs[0].kind == "edge":
            return float(change)  # by what both are shares of, which need not be rows
    return found.change(compared_targets(fitted.network, result.targets), result.weights)


def objects_to_the_graph(fitted: Fitted) -> bool:
    """Whether the rows ask for another graph, and the answer would be another with it."""
    found = fitted.graph
    if found is None or not found.asked:
        return False
    return changed_share(fitted) > CHANGES


def objection_in_words(fitted: Fitted) -> str:
    """Say which edges the rows ask for, by how much, and what would change.

    Parameters
    ----------
    fitted : Fitted
        Whose rows ask for another graph.

    Returns
    -------
    str
    """
    words = asked_in_words(graph_findings_content(fitted)["graph_found"])
    return f"{words} Let the rows repair it (--edges repair, edges='repair'), or correct it."


def common_causes_in_words(fitted: Fitted) -> str | None:
    """Name the pairs of variables that a hidden cause seems to have in common; None if none."""
    found, names = fitted.graph, fitted.network.names
    if found is None or not found.common_causes:
        return None
    pairs = "; ".join(f"{names[i]} and {names[j]}" for i, j, _ in found.common_causes[:_NAMED])
    more = len(found.common_causes) - _NAMED
    if more > 0:
        pairs += f" (and {more} more pairs)"
    return (
        f"A hidden common cause seems to be behind {pairs}: they depend on each other in the "
        "control rows, and no edge explains it. It is not repaired; components that set one of "
        "them may be inventions."
    )
