"""What the rows say about the graph: as a table, as data, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dosift.graphs.findings import AskedEdit, GraphFindings
from dosift.model.network import Network
from dosift.pipeline import Fitted

if TYPE_CHECKING:
    import polars as pl

#: Share of the rows (total variation) that must be explained otherwise before a graph that the rows
#: object to makes a fit unfit to be trusted.
CHANGES = 0.02
#: Edits that a sentence names.
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
    import polars as pl

    if findings is None:
        return None
    names = network.names
    lines = [
        (names[edge.parent], names[edge.child], edge.probability, edge.status)
        for edge in findings.edges
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
        `graph_found`: ``edges`` (the lines of ``graph.csv``), ``fixed``, ``asked`` (what the rows
        would change in a fixed graph: ``kind``, ``parent``, ``child``, ``gain`` in nats),
        ``change`` (share of the rows that would then be explained otherwise), ``graphs`` (number
        of graphs averaged over), ``common_causes`` (pairs of variables that a hidden cause seems
        to have in common).
    """
    found, names = fitted.graph, fitted.network.names
    table = graph_table(fitted.network, found)
    if found is None or table is None:
        return {}
    return {
        "graph_found": {
            "edges": table.to_dicts(),
            "fixed": found.fixed,
            "asked": [
                {
                    "kind": one.kind,
                    "parent": names[one.parent],
                    "child": names[one.child],
                    "gain": None if np.isnan(one.gain) else one.gain,
                }
                for one in found.asked
            ],
            "change": found.change(fitted.result.targets, fitted.result.weights),
            "graphs": len(found.members),
            "common_causes": [
                {"variables": [names[i], names[j]], "p_value": p} for i, j, p in found.common_causes
            ],
        }
    }


def objects_to_the_graph(fitted: Fitted) -> bool:
    """Whether the rows ask for another graph, and the answer would be another with it."""
    found = fitted.graph
    if found is None or not found.asked:
        return False
    return found.change(fitted.result.targets, fitted.result.weights) > CHANGES


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
    found, names = fitted.graph, fitted.network.names
    assert found is not None
    listed = "; ".join(_edit_in_words(one, names) for one in found.asked[:_NAMED])
    more = f"; and {len(found.asked) - _NAMED} more" if len(found.asked) > _NAMED else ""
    change = found.change(fitted.result.targets, fitted.result.weights)
    return (
        f"The rows ask for another graph: {listed}{more}. With that, {100 * change:.0f} % of the "
        "rows are explained otherwise. Let the rows repair it (--edges repair, edges='repair'), or "
        "correct it."
    )


def common_causes_in_words(fitted: Fitted) -> str | None:
    """Name the pairs of variables that a hidden cause seems to have in common; None if none."""
    found, names = fitted.graph, fitted.network.names
    if found is None or not found.common_causes:
        return None
    pairs = "; ".join(f"{names[i]} and {names[j]}" for i, j, _ in found.common_causes[:_NAMED])
    return (
        f"A hidden common cause seems to be behind {pairs}: they depend on each other in the "
        "control rows, and no edge explains it. It is not repaired; components that set one of "
        "them may be inventions."
    )


def _edit_in_words(edit: AskedEdit, names: tuple[str, ...]) -> str:
    arrow = f"{names[edit.parent]} -> {names[edit.child]}"
    verb = {"add": "add", "remove": "remove", "reverse": "reverse"}[edit.kind]
    worth = "" if np.isnan(edit.gain) else f" (worth {edit.gain:,.0f} nats)"
    return f"{verb} {arrow}{worth}"
