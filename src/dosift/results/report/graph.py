"""The causal graph as SVG: variables in layers, with how often each is set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dosift.results.graph_layout import induced, layered_layout, vicinity, with_pairs
from dosift.results.report.content import Content
from dosift.results.report.edges import (
    Point,
    beside_the_graph,
    drawn_edge,
    edge_svg,
    edges_table,
    legend,
    words_of_the_graph,
)
from dosift.results.report.words import clipped, counted, known, percent, share, shown

#: Size of a node, and distances of nodes, in pixels.
_WIDTH, _HEIGHT, _COLUMN, _LAYER = 104, 42, 118, 84
_MARGIN = 8
#: Drawings wider than this, in pixels, do not stand beside the table of interventions.
_BESIDE = 680
#: Drawings shrink to this much to fit; below, letters would be too small, so they scroll.
_LEAST_SCALE = 0.8
#: Characters of a name or state that fit into a node.
_LETTERS = 13
#: Variables drawn at first; the rest on demand.
_DRAWN = 60
#: Most variables in one layer, in the graph drawn at first and in that of all variables.
_WIDE, _WIDEST = 6, 12
#: Tints of nodes, from rarely to often set.
_TINTS = 5

_DRAWN_WORDS = {
    "all": "All variables are drawn.",
    "neighbours": "Drawn are the variables that interventions set, with their parents and "
    "children.",
    "parents": "Drawn are the variables that interventions set, with their parents.",
    "chosen": "Drawn are the variables that interventions set, the most frequent ones; their many "
    "neighbours are left out.",
}


def graph_section(content: Content) -> str:
    """Return the graph with its explanation and the choice of a component; HTML."""
    parents = content.parents
    if parents is None:
        return "<p class='soft'>This result holds no graph.</p>"
    changed = _ends_of_changes(content)
    nodes, kind = vicinity(parents, [*content.set_variables, *changed], _DRAWN)
    drawn = _graph_svg(content, nodes, _WIDE, "graph") if nodes else ""
    rest = ""
    if kind != "all":
        everything = _graph_svg(content, range(len(parents)), _WIDEST, "everything")
        rest = (
            "<details class='screen-only'><summary>Draw all "
            f"{counted(len(parents), 'variable', 'variables')}</summary>{everything}</details>"
        )
    words = _DRAWN_WORDS[kind] if nodes else "No intervention was found, so nothing is drawn here."
    if changed and kind != "all":
        words = words.replace("set,", "set, and the ends of edges that changed,", 1)
    edges = [(p, i) for i in nodes for p in parents[i] if p in set(nodes)]
    every = [drawn_edge(content, *edge) for edge in (*edges, *beside_the_graph(content, nodes))]
    return (
        f"{words_of_the_graph(content)}"
        f"{_choice(content)}<p id='note' class='note' aria-live='polite'></p>{drawn}"
        f"{legend(content, every)}"
        f"<p class='soft'>Causes stand above effects. The number in a variable, and its tint, say "
        f"how often it is set. {words}</p>{rest}{edges_table(content)}"
    )


def _ends_of_changes(content: Content) -> list[int]:
    """Variables at whose edges something changed, or would."""
    changed = {"added", "reversed", "removed", "open"} - (
        {"added"} if content.graph_found.get("learned") else set()
    )
    ends = [edge for edge, e in content.found_edges.items() if e.get("status") in changed]
    some = dict.fromkeys(i for edge in (*ends, *content.asked_edges) for i in edge)
    return [i for i in some if i not in set(content.set_variables)]


def _choice(content: Content) -> str:
    """Return a list to choose a component from; it works with the script only."""
    if not content.hits:
        return ""
    options = "".join(
        f'<option value="{k}">{shown(clipped(c["target"], 60))}</option>'
        for k, c in enumerate(content.components)
        if c["size"] > 0
    )
    return (
        "<p class='needs-script'><label>Show what an intervention sets: <select id='choice'>"
        f"<option value=''>(none)</option>{options}</select></label></p>"
    )


def _graph_svg(content: Content, nodes: Sequence[int], widest: int, name: str) -> str:
    """Draw some variables, at most `widest` in a layer, and the edges between them.

    Elements carry positions of variables, never names, as identifiers.
    """
    inside = induced(content.parents or [], nodes)
    place = {node: k for k, node in enumerate(nodes)}
    beside = {
        frozenset((place[p], place[i])): (place[p], place[i])
        for p, i in beside_the_graph(content, nodes)
    }
    layout = layered_layout(with_pairs(inside, list(beside.values())), widest)
    width = round(layout.width * _COLUMN) + _WIDTH + 2 * _MARGIN
    height = max(layout.n_layers - 1, 0) * _LAYER + _HEIGHT + 2 * _MARGIN
    edges = "\n".join(
        _edge(content, nodes, beside.get(frozenset(ends), ends), ends, route)
        for ends, route in layout.routes.items()
    )
    places = zip(layout.columns.tolist(), layout.layers.tolist(), strict=True)
    largest = max((known(line.get("rate")) or 0.0 for line in content.totals.values()), default=0.0)
    alarms = _alarms(content)
    boxes = "\n".join(
        _node(content, node, _centre(x, y), largest, content.names[node] in alarms)
        for node, (x, y) in zip(nodes, places, strict=True)
    )
    wide = " data-wide='1'" if width > _BESIDE else ""
    return (
        f'<div class="scroll"><svg class="{name}"{wide} '
        f'viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="group" aria-label="Causal graph" '
        f'style="min-width:{round(_LEAST_SCALE * width)}px">'
        f'<g class="edges">\n{edges}\n</g><g class="nodes">\n{boxes}\n</g></svg></div>'
    )


def _centre(column: float, layer: float) -> tuple[float, float]:
    x = _MARGIN + _WIDTH / 2 + column * _COLUMN
    return round(x, 1), round(_MARGIN + _HEIGHT / 2 + layer * _LAYER, 1)


def _edge(
    content: Content,
    nodes: Sequence[int],
    edge: tuple[int, int],
    ends: tuple[int, int],
    route: NDArray[np.float64],
) -> str:
    """Draw an edge along its route, from the foot of the upper box to the head of the lower."""
    points: list[Point] = [_centre(x, y) for x, y in route.tolist()]
    first, last = points[0], points[-1]
    points[0] = (first[0], first[1] + _HEIGHT / 2)
    points[-1] = (last[0], last[1] - _HEIGHT / 2)
    parent, child = nodes[edge[0]], nodes[edge[1]]
    drawn = drawn_edge(content, parent, child)
    return edge_svg(drawn, points, f"{parent} {child}", edge != ends)


def _alarms(content: Content) -> set[str]:
    """Variables at which the fit check fails."""
    check = content.fit_check
    names = {str(v) for pair in check.get("worst") or () for v in pair["variables"]}
    names |= {str(line["variables"][-1]) for line in check.get("mechanisms") or ()}
    changed = check.get("changed")
    return names | ({str(changed["variable"])} if changed else set())


def _node(
    content: Content, node: int, centre: tuple[float, float], largest: float, alarm: bool
) -> str:
    name, total = content.names[node], content.totals.get(content.names[node], {})
    rate = known(total.get("rate"))
    is_set = node in content.set_variables
    tint = min(1 + int(_TINTS * (rate or 0.0) / largest), _TINTS) if is_set and largest else 0
    parents = (content.parents or [])[node]
    often = f"set in {share(total, 'rate')} of the {content.of}" if is_set else "not set"
    label = f"{name}: {often}"
    label += "; the fit check fails here" if alarm else ""
    above = ", ".join(clipped(content.names[p], 30) for p in parents[:6])
    label += f"; parents: {above}{' …' * (len(parents) > 6)}" if parents else "; no parents"
    x, y = centre
    bare = not (is_set or alarm)
    second = percent(rate) if is_set else ""
    return (
        f'<g class="node t{tint}" data-v="{node}" transform="translate({x:g} {y:g})" role="button" '
        f'tabindex="{-1 if bare else 0}" aria-label="{shown(label)}"><title>{shown(label)}</title>'
        f'<rect x="{-_WIDTH // 2}" y="{-_HEIGHT // 2}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>'
        f'<text y="{-4 if is_set else 4}">{shown(clipped(name, _LETTERS))}</text>'
        f'<text class="rate" y="13">{second}</text><text class="value" y="13"></text>'
        + (f'<text class="alarm" x="{_WIDTH // 2 - 9}" y="-8">!</text>' if alarm else "")
        + "</g>"
    )
