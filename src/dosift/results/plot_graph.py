"""A picture of the causal graph, with how often each variable is set and what rows say of edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dosift.errors import InputError
from dosift.model import Altered, Target
from dosift.model.target import Entry, state_text
from dosift.results.graph_layout import (
    GraphLayout,
    induced,
    layered_layout,
    parents_shown,
    vicinity,
    with_pairs,
)
from dosift.results.graph_words import SURE_EDGE
from dosift.results.plot import GREY, ORANGE, WIDTH, axes_of, checked_fitted, literal
from dosift.results.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GREEN, _PURPLE = "#1a7f37", "#7a3fb0"
#: Colour, width, style and name in the legend of edges that are not as they were given.
_EDGES: dict[str, tuple[str, float, str, str]] = {
    "added": (_GREEN, 2.0, "-", "added"),
    "reversed": (_PURPLE, 1.7, "-.", "reversed"),
    "removed": (GREY, 0.9, ":", "removed"),
    "open": ("black", 0.9, "-", "direction open"),
}
#: Distance of the variables of one layer of the graph, in inches, and letters that fit there.
_COLUMN, _LETTERS = 0.95, 14


def graph(
    model: Predictions, target: Target | None = None, *, most: int = 40,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw the causal graph in layers, with how often each variable is set.

    Where control and mixture rows say something of the graph, edges that were added, reversed or
    removed, or whose direction is open, are drawn so; an edge that is less than 95 % probable
    carries its probability.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    target : Target, optional
        One whose variables are outlined, with the value that it sets.
    most : int, default=40
        Variables drawn; in larger networks those that are set, and their neighbours.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the target names variables that the network does not have.
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    network = checked_fitted(model).network_
    chosen = dict(target.items()) if target is not None else {}
    unknown = sorted(set(chosen) - set(network.names))
    if unknown:
        raise InputError(f"the network has no variable {unknown[0]!r}, which {target} sets")
    totals = {
        line["variable"]: line["rate"] for line in model.variables_.to_dicts() if not line["value"]
    }
    parents = parents_shown(network)
    names = {i: network.names[i] for i in parents}
    is_set = [i for i, name in names.items() if totals[name] > 0 or name in chosen]
    own = [parents.get(i, ()) for i in range(network.n_variables)]
    nodes = [i for i in vicinity(own, is_set, most)[0] if i in parents]
    found = _edges_found(model, nodes)
    pairs = [edge for edge, (status, _) in found.items() if status == "removed"]
    layout = layered_layout(with_pairs(induced(own, nodes), pairs))
    ax = axes_of(ax, 0.9 + 0.85 * layout.n_layers, max(WIDTH, _COLUMN * (layout.width + 1.4)))
    boxes: list[Any] = []
    for k, i in enumerate(nodes):
        name = network.names[i]
        text = _short(name)
        if name in chosen:
            text += f"\n{_short(_what(name, chosen[name]))}"
        elif totals[name] > 0:
            text += f"\n{100 * totals[name]:.1f} %"
        shade = 0.08 + 0.7 * totals[name] if totals[name] > 0 else 0.0
        drawn = ax.text(
            layout.columns[k], -layout.layers[k], text, ha="center", va="center", fontsize=8,
            zorder=2,
            bbox={
                "boxstyle": "round,pad=0.35",
                "facecolor": _mixed(shade),
                "edgecolor": ORANGE if name in chosen else GREY,
                "linewidth": 2.0 if name in chosen else 0.8,
            },
        )  # fmt: skip
        boxes.append(drawn.get_bbox_patch())
    _draw_edges(ax, layout, boxes, found)
    ax.set_xlim(-0.7, layout.width + 0.7)
    ax.set_ylim(-layout.n_layers + 0.4, 0.6)
    ax.set_axis_off()
    return ax


def _draw_edges(
    ax: Axes,
    layout: GraphLayout,
    boxes: list[Any],
    found: dict[tuple[int, int], tuple[str, float]],
) -> None:
    """Draw edges, and explain in a legend those that are not as they were given."""
    keys: dict[str, Any] = {}
    for (upper, lower), route in layout.routes.items():
        points, (parent, child) = route * (1, -1), (upper, lower)
        if (lower, upper) in found and (upper, lower) not in found:  # removed, from an effect
            points, (parent, child) = points[::-1], (lower, upper)
        status, probability = found.get((parent, child), ("", 1.0))
        colour, width, dashes, label = _EDGES.get(status, (GREY, 0.9, "-", ""))
        look: dict[str, Any] = {"color": colour, "lw": width, "ls": dashes}
        (line,) = ax.plot(points[:-1, 0], points[:-1, 1], zorder=1, **look)
        keys |= {label: line} if label else {}
        # The head ends at the box of the child, which has its size when it is drawn: before.
        look |= {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 1}
        ends = [(points, boxes[parent], boxes[child])]
        ends += [(points[::-1], boxes[child], boxes[parent])] if status == "open" else []
        for way, begin, end in ends:
            style = look | {"patchB": end, "patchA": begin if len(points) == 2 else None}
            ax.annotate("", xy=way[-1], xytext=way[-2], arrowprops=style, zorder=3)
        if status == "open" or (status != "removed" and probability < SURE_EDGE):
            k = (len(points) - 1) // 2
            x, y = points[k : k + 2].mean(axis=0).tolist()
            words = "?" if status == "open" else f"{100 * probability:.0f} %"
            ax.text(
                x, y, words, ha="center", va="center", fontsize=7, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
    if keys:
        lines = list(keys.values())
        ax.legend(lines, list(keys), title="edges", title_fontsize=7, fontsize=7, frameon=False)


def _edges_found(model: Predictions, nodes: list[int]) -> dict[tuple[int, int], tuple[str, float]]:
    """Status and probability of the edges between some nodes, by their places in the list.

    Of a graph that was learned, all edges are new, so that nothing is said of them.
    """
    table, found = model.graph_, model.fitted_.graph
    if table is None or found is None:
        return {}
    place = {model.network_.names[i]: k for k, i in enumerate(nodes)}
    learned = {"added"} if found.given is None else set()
    return {
        (place[line["parent"]], place[line["child"]]): (
            "" if line["status"] in learned else line["status"],
            line["probability"],
        )
        for line in table.to_dicts()
        if line["parent"] in place and line["child"] in place
    }


def _what(name: str, entry: Entry) -> str:
    """Text of what is done to a variable, to stand below its name."""
    if isinstance(entry, Altered):
        return str(Target({name: entry}))
    return f"= {state_text(entry)}"


def _short(text: str) -> str:
    """Cut a name in the middle so that it fits into the graph."""
    half = _LETTERS // 2
    return literal(text if len(text) <= _LETTERS else f"{text[:half]}…{text[1 - half :]}")


def _mixed(share: float) -> tuple[float, float, float]:
    """Mix white with blue."""
    blue = np.array([0.0, 0x72 / 255, 0xB2 / 255])
    r, g, b = 1.0 - share * (1.0 - blue)
    return float(r), float(g), float(b)
