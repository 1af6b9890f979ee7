"""Edges of the causal graph: how they are drawn, by what the rows say of them, and their table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dosift.results.graph_words import (
    asked_in_words,
    edge_in_words,
    graph_in_words,
    is_unsure,
)
from dosift.results.report.content import Content, Line
from dosift.results.report.marks import Column, folded, table_of
from dosift.results.report.words import SPACE, clipped, known, percent, shown

Point = tuple[float, float]

#: Sizes of an arrow's head, in pixels.
_HEAD, _HALF = 6, 4
#: What each way of drawing an edge means, in the order of the legend.
_LEGEND = {
    "added": "added",
    "reversed": "reversed",
    "removed": "removed; no longer in the graph",
    "open": "direction open",
    "asked": "not in the graph, and the rows ask for it",
    "doubted": "in the graph, and the rows ask to reverse or remove it",
    "unsure": "less than 95 % probable",
}
_MEANINGS = (
    "<p class='soft'>The probability is that of the edge in this direction, over all graphs that "
    "control rows and rows leave possible. Given: the graph had to stay. Kept, added, reversed, "
    "removed: what became of the graph that was given. Open: there is an edge, and the rows leave "
    "its direction open.</p>"
)


@dataclass(frozen=True)
class DrawnEdge:
    """How an edge is drawn.

    Attributes
    ----------
    kinds : tuple of str
        Classes; none for an edge that needs no remark.
    heads : {"child", "both"}
    label : str
        Text in its middle; not yet escaped.
    title : str
        What is said of it; not yet escaped. Empty if nothing is known.
    in_graph : bool
    """

    kinds: tuple[str, ...] = ()
    heads: str = "child"
    label: str = ""
    title: str = ""
    in_graph: bool = True


def drawn_edge(content: Content, parent: int, child: int) -> DrawnEdge:
    """Say how an edge is drawn."""
    names = content.names
    line = content.found_edges.get((parent, child))
    asked = content.asked_edges.get((parent, child))
    if line is None:
        if asked is None:
            return DrawnEdge()
        edge = edge_in_words({"parent": names[parent], "child": names[child]})
        title = f"{edge}: not in the graph, and the rows ask for it"
        return DrawnEdge(("asked",), "child", "+", title, in_graph=False)
    status, probability = str(line.get("status")), known(line.get("probability"))
    kinds = []
    if status in {"added", "reversed", "removed", "open"} and not (
        status == "added" and content.graph_found.get("learned")
    ):
        kinds.append(status)
    unsure = is_unsure(line)
    if asked is not None or unsure:
        kinds.append("unsure" if asked is None else "doubted")
    label = "?" if status == "open" else _rounded(probability or 0.0) if unsure else ""
    title = f"{edge_in_words(line)}: {_status_in_words(content, status)}"
    if probability is not None:
        arrow = edge_in_words({**line, "status": ""})
        title += f"; {arrow} with probability {percent(probability)}"
    if asked is not None:
        title += f"; the rows ask to {asked} it"
    heads = "both" if status == "open" else "child"
    return DrawnEdge(tuple(kinds), heads, label, title, in_graph=status != "removed")


def _rounded(probability: float) -> str:
    return f"{100 * probability:.0f}{SPACE}%"


def _status_in_words(content: Content, status: str) -> str:
    if status == "added" and content.graph_found.get("learned"):
        return "learned"
    return {"open": "direction open"}.get(status, status)


def beside_the_graph(content: Content, nodes: Sequence[int]) -> list[tuple[int, int]]:
    """List edges between some variables that are drawn though they are not in the graph."""
    inside = set(nodes)
    some = [edge for edge, e in content.found_edges.items() if e.get("status") == "removed"]
    some += [edge for edge, kind in content.asked_edges.items() if kind == "add"]
    return [edge for edge in some if inside.issuperset(edge)]


def edge_svg(drawn: DrawnEdge, points: Sequence[Point], ends: str, child_first: bool) -> str:
    """Draw an edge through points from above to below.

    Parameters
    ----------
    drawn : DrawnEdge
    points : sequence of (float, float)
        From the foot of the upper box to the head of the lower one.
    ends : str
        Positions of parent and child, by which the script finds the edge.
    child_first : bool
        Whether the child is the upper one, which happens for edges that are not in the graph.

    Returns
    -------
    str
        SVG.
    """
    up, down = child_first, not child_first
    if drawn.heads == "both":
        up = down = True
    points = list(points)
    points[0] = (points[0][0], points[0][1] + _HEAD * up)
    points[-1] = (points[-1][0], points[-1][1] - _HEAD * down)
    x0, y0 = points[0]
    parts = [f"M{x0:g} {y0:g}"]
    for (a, b), (c, d) in itertools.pairwise(points):
        middle = (b + d) / 2
        parts.append(f"C{a:g} {middle:g} {c:g} {middle:g} {c:g} {d:g}")
    if down:
        parts.append(f"m-{_HALF} 0l{_HALF} {_HEAD} {_HALF}-{_HEAD}")
    if up:
        parts.append(f"M{x0 - _HALF:g} {y0:g}l{_HALF}-{_HEAD} {_HALF} {_HEAD}")
    # Edges that are not in the graph are cut by no intervention: the script passes them by.
    found_by = f' data-e="{ends}"' if drawn.in_graph else ""
    kinds = f' class="{" ".join(drawn.kinds)}"' if drawn.kinds else ""
    path = f'{kinds}{found_by} d="{"".join(parts)}"'
    if not drawn.title:
        return f"<path{path}/>"
    title = shown(clipped(drawn.title, 160))
    path = f'<path{path} role="img" aria-label="{title}"><title>{title}</title></path>'
    if not drawn.label:
        return path
    k = (len(points) - 1) // 2
    x, y = ((p + q) / 2 for p, q in zip(points[k], points[k + 1], strict=True))
    label = f'<text aria-hidden="true" x="{x:g}" y="{y + 4:g}">{shown(drawn.label)}</text>'
    return path + label


def legend(content: Content, drawn: Iterable[DrawnEdge]) -> str:
    """Explain the edges that occur and are not plain; HTML."""
    there = {kind for edge in drawn for kind in edge.kinds}
    some = [kind for kind in _LEGEND if kind in there]
    if not some:
        return ""
    plain = "as given" if content.graph_found.get("fixed") else "kept"
    entries = [("", "learned" if content.graph_found.get("learned") else plain)]
    entries += [(kind, _LEGEND[kind]) for kind in some]
    keys = " ".join(
        f"<span class='key-edge'><svg class='edges' width='34' height='12' aria-hidden='true'>"
        f'<path class="{kind}" d="M{6 if kind == "open" else 1} 6h{20 if kind == "open" else 25}'
        f'm0-4l6 4-6 4{"M6 2l-6 4 6 4" if kind == "open" else ""}"/></svg> {words}</span>'
        for kind, words in entries
    )
    return f"<p class='legend'>Edges: {keys}</p>"


def words_of_the_graph(content: Content) -> str:
    """Say what the rows say of the graph; HTML."""
    found = content.graph_found
    if not found:
        return ""
    parts = [f"<p>{shown(graph_in_words(found))}.</p>"]
    asked = asked_in_words(found)
    if asked:
        parts.append(f"<p><b>{shown(asked)}</b></p>")
    parts += [f"<p>{shown(notice)}</p>" for notice in found.get("notices") or ()]
    graphs = known(found.get("graphs")) or 1
    if graphs > 1:
        parts.append(
            "<p class='soft'>Probabilities and intervals of interventions are averaged over "
            f"{graphs:.0f} graphs; the most probable is drawn.</p>"
        )
    return "".join(parts)


def edges_table(content: Content) -> str:
    """Return the table of edges, folded; nothing without control rows."""
    lines: Sequence[Line] = content.graph_found.get("edges") or ()
    if not lines:
        return ""
    columns: tuple[Column, ...] = (
        ("name", "parent", lambda line: shown(line["parent"])),
        ("name", "child", lambda line: shown(line["child"])),
        ("number", "probability", lambda line: percent(line.get("probability"))),
        ("", "status", lambda line: shown(line.get("status") or "")),
    )
    made = table_of("Edges of the causal graph", columns, lines, "narrow")
    return folded("How sure each edge is", _MEANINGS + made)
