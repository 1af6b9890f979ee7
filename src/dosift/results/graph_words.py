"""What ``result.json`` says of the graph, in sentences; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]

#: Edges and edits that a sentence names of each kind.
_NAMED = 4
#: Statuses in the order in which they are told, with what is said of the edges named.
_KINDS = {"kept": "", "added": "", "reversed": "now ", "removed": "", "open": ""}
#: Probability below which an edge is called unsure.
SURE_EDGE = 0.95


def graph_in_words(found: Line) -> str:
    """Say what became of the edges of a graph.

    Parameters
    ----------
    found : mapping
        ``graph_found`` of ``result.json``.

    Returns
    -------
    str
        One sentence, without a full stop.

    Examples
    --------
    >>> edges = [
    ...     {"parent": "a", "child": "b", "probability": 1.0, "status": "kept"},
    ...     {"parent": "b", "child": "c", "probability": 0.9, "status": "reversed"},
    ...     {"parent": "c", "child": "d", "probability": 0.5, "status": "open"},
    ... ]
    >>> graph_in_words({"edges": edges})
    'Graph: 1 edge kept, 1 reversed (now b -> c), 1 open (c - d); 1 of them less than 95 % probable'
    >>> graph_in_words({"edges": edges[:1], "fixed": True})
    'Graph: 1 edge, as given'
    """
    edges = list(found.get("edges") or ())
    if found.get("fixed"):
        return f"Graph: {_edges(len(edges))}, as given"
    groups = {kind: [e for e in edges if e.get("status") == kind] for kind in _KINDS}
    if found.get("learned"):
        known, unclear = groups["added"], groups["open"]
        words = f"Graph, learned: {_edges(len(known) + len(unclear))}"
        if unclear:
            words += f", of which {len(unclear)} open ({_names('open', unclear)})"
    else:
        parts: list[str] = []
        for kind, own in groups.items():
            if own:
                number = f"{len(own)}" if parts else _edges(len(own))
                named = "" if kind == "kept" else f" ({_names(kind, own)})"
                parts.append(f"{number} {kind}{named}")
        words = f"Graph: {', '.join(parts) or 'no edges'}"
    unsure = sum(is_unsure(edge) for edge in edges)
    return words + (f"; {unsure} of them less than 95 % probable" if unsure else "")


def is_unsure(edge: Line) -> bool:
    """Whether an edge is in the graph, in a settled direction, and yet not quite sure."""
    probability = edge.get("probability")
    settled = edge.get("status") not in {"open", "removed"}
    return settled and isinstance(probability, int | float) and probability < SURE_EDGE


def edge_in_words(edge: Line) -> str:
    """Write an edge; one that is open has no head.

    Examples
    --------
    >>> edge_in_words({"parent": "a", "child": "b", "status": "open"})
    'a - b'
    """
    arrow = "-" if edge.get("status") == "open" else "->"
    return f"{edge['parent']} {arrow} {edge['child']}"


def asked_in_words(found: Line) -> str | None:
    """Say which edits the rows ask for, by how much, and what would change.

    Parameters
    ----------
    found : mapping
        ``graph_found`` of ``result.json``.

    Returns
    -------
    str or None
        Two sentences; None if nothing is asked for.

    Examples
    --------
    >>> asked = [{"kind": "add", "parent": "a", "child": "b", "gain": 12.3}]
    >>> asked_in_words({"asked": asked, "change": 0.3})
    'The rows ask for another graph: add a -> b (worth 12 nats). With that, 30 % of the rows are explained otherwise.'
    """  # noqa: E501
    asked = list(found.get("asked") or ())
    if not asked:
        return None
    listed = "; ".join(_edit(one) for one in asked[:_NAMED])
    more = f"; and {len(asked) - _NAMED} more" if len(asked) > _NAMED else ""
    change = 100 * (found.get("change") or 0.0)
    return (
        f"The rows ask for another graph: {listed}{more}. With that, {change:.0f} % of the rows "
        "are explained otherwise."
    )


def _edit(edit: Line) -> str:
    gain = edit.get("gain")
    worth = "" if gain is None else f" (worth {gain:,.0f} nats)"
    return f"{edit['kind']} {edit['parent']} -> {edit['child']}{worth}"


def _edges(number: int) -> str:
    return f"{number} edge" if number == 1 else f"{number} edges"


def _names(kind: str, edges: Sequence[Line]) -> str:
    listed = ", ".join(edge_in_words(edge) for edge in edges[:_NAMED])
    more = f" and {len(edges) - _NAMED} more" if len(edges) > _NAMED else ""
    return f"{_KINDS[kind]}{listed}{more}"
