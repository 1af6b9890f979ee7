"""Pictures of a fitted mixture for papers and notebooks, with matplotlib.

Every function takes ``ax``, draws into a new figure if it is None, and returns the axes. Nothing
is computed here: what is drawn stands in the fitted model's tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dosift.checks.assignment_confidence import SURE
from dosift.errors import InputError, MissingDependencyError, NotFittedError
from dosift.model import Altered, Target
from dosift.model.target import Entry, state_text
from dosift.results.graph_words import SURE_EDGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dosift.model.network import Network
    from dosift.results.fitted_model import FittedModel
    from dosift.results.graph_layout import GraphLayout

#: Colours that differ in lightness too, after Okabe and Ito.
_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#8a8a8a"
_GREEN, _PURPLE = "#1a7f37", "#7a3fb0"
#: Of bars of what does not stand.
_HATCH = "////"
#: Colour, width, style and name in the legend of edges that are not as they were given.
_EDGES: dict[str, tuple[str, float, str, str]] = {
    "added": (_GREEN, 2.0, "-", "added"),
    "reversed": (_PURPLE, 1.7, "-.", "reversed"),
    "removed": (_GREY, 0.9, ":", "removed"),
    "open": ("black", 0.9, "-", "direction open"),
}
#: Height of a line of a chart, and width of a chart, in inches.
_LINE, _WIDTH = 0.28, 6.4
#: Distance of the variables of one layer of the graph, in inches, and letters that fit there.
_COLUMN, _LETTERS = 0.95, 14


def components(model: FittedModel, *, top: int = 30, ax: Axes | None = None) -> Axes:
    """Draw the weights of the components with their intervals.

    Components that do not stand are grey and hatched.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    top : int, default=30
        Components drawn, the largest first; how many are left out is said below the axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    lines = checked_fitted(model).components_.to_dicts()
    labels = [line["target"] for line in lines[:top]]
    ax = _lines(labels, ax, "weight")
    place = np.arange(len(labels))
    weight = np.array([line["weight"] for line in lines[:top]])
    _bars(ax, place, weight, lines[:top], 0.62)
    _intervals(ax, place, weight, lines[:top], "ci_low", "ci_high", "black")
    _left_out(ax, len(lines) - len(labels), "components")
    return ax


def rates(model: FittedModel, *, top: int = 30, ax: Axes | None = None) -> Axes:
    """Draw how often each variable is set to each value.

    Bars are the totals over the components found, rings the one-pass estimates that need no
    search (there are none of numbers); where the two differ by much, one of them is wrong. Totals
    that do not stand are grey and hatched.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    top : int, default=30
        Lines drawn, the largest first.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    every = [line for line in checked_fitted(model).variables_.to_dicts() if line["value"]]
    lines = [line for line in every if line["rate"] > 0] or every
    labels = [_named(line) for line in lines[:top]]
    ax = _lines(labels, ax, "share of rows set so")
    place = np.arange(len(labels))
    rate = np.array([line["rate"] for line in lines[:top]])
    _bars(ax, place - 0.14, rate, lines[:top], 0.44, "total of components")
    _intervals(ax, place - 0.14, rate, lines[:top], "ci_low", "ci_high", "black")
    screen = np.array([_number(line["screen_rate"]) for line in lines[:top]])
    _intervals(ax, place + 0.26, screen, lines[:top], "screen_ci_low", "screen_ci_high", _ORANGE)
    if np.isfinite(screen).any():
        ax.plot(screen, place + 0.26, "o", mfc="white", mec=_ORANGE, ms=5, label="one pass")
        ax.legend(loc="lower right", frameon=False)
    _left_out(ax, len(lines) - len(labels), "lines")
    return ax


def screen(
    network: Network, rows: Any, *, top: int = 30, level: float = 0.95, ax: Axes | None = None
) -> Axes:
    """Draw intervention rates straight from rows, before any fit: the first thing to look at.

    Parameters
    ----------
    network : Network
    rows : dataframe, path or ndarray of int
        As for :meth:`dosift.InterventionMixture.fit`.
    top : int, default=30
        Variables drawn, by descending rate.
    level : float, default=0.95
        Level of the intervals, in (0, 1).
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The rate of a variable is the total weight of the targets that set it at all.

    Raises
    ------
    InputError
        If the rows are not what the network needs, or the level is out of range.
    MissingDependencyError
        Without matplotlib.
    """
    from dosift.data import collapse, load_rows
    from dosift.inference.intervals import normal_interval
    from dosift.likelihood.rates import intervention_rates

    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; give a number in (0, 1)")
    counted = collapse(load_rows(rows, network).codes, network.cardinalities)
    found = intervention_rates(network, counted.codes, counted.counts)
    rate = np.array([r.rate for r in found])
    low, high = normal_interval(rate, np.array([r.std_error for r in found]), level)
    order = np.argsort(-rate, kind="stable")[:top]
    ax = _lines([network.names[i] for i in order], ax, "share of rows in which it is set")
    place = np.arange(order.size)
    ax.hlines(place, low[order], high[order], color=_ORANGE, lw=1.2)
    ax.plot(rate[order], place, "o", mfc="white", mec=_ORANGE, ms=5)
    ax.axvline(0, color=_GREY, lw=0.8)
    ax.set_xlim(left=min(0.0, float(np.nanmin(low[order], initial=0.0))))
    _left_out(ax, len(found) - order.size, "variables")
    return ax


def certainty(model: FittedModel, *, ax: Axes | None = None) -> Axes:
    """Draw how sure the rows are of their most probable target.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    sure = checked_fitted(model).certainty_
    ax = axes_of(ax, 2.6)
    colours = [_BLUE if edge >= SURE - 1e-9 else _GREY for edge in sure.edges[:-1]]
    widths = np.diff(sure.edges)
    ax.bar(sure.edges[:-1], sure.counts, widths * 0.92, align="edge", color=colours, alpha=0.6)
    ax.set_xlim(0, 1)
    ax.set_xlabel("probability of the most probable target")
    ax.set_ylabel("rows")
    ax.set_title(f"{100 * sure.share_sure:.1f} % of the rows above {SURE:g}", loc="left")
    without_frame(ax)
    return ax


def graph(
    model: FittedModel, target: Target | None = None, *, most: int = 40,
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
    from dosift.results.graph_layout import (
        induced,
        layered_layout,
        parents_shown,
        vicinity,
        with_pairs,
    )

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
    ax = axes_of(ax, 0.9 + 0.85 * layout.n_layers, max(_WIDTH, _COLUMN * (layout.width + 1.4)))
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
                "edgecolor": _ORANGE if name in chosen else _GREY,
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
        colour, width, dashes, label = _EDGES.get(status, (_GREY, 0.9, "-", ""))
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


def _edges_found(model: FittedModel, nodes: list[int]) -> dict[tuple[int, int], tuple[str, float]]:
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


def fit_check(model: FittedModel, *, ax: Axes | None = None) -> Axes:
    """Draw which pairs of variables the mixture does not describe.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        For each pair, and each mechanism, that deviates minus the decimal logarithm of its
        corrected p-value; empty, with a title that says so, where nothing speaks against the
        mixture.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    check = checked_fitted(model).fit_check_
    names = model.network_.names
    deviations = sorted((*check.mechanisms, *check.worst), key=lambda d: d.p_value)
    labels = [_deviating([names[i] for i in d.variables]) for d in deviations]
    ax = _lines(labels, ax, "-log10(p), corrected")
    strength = [-np.log10(max(d.p_value, 1e-300)) for d in deviations]
    ax.barh(np.arange(len(strength)), strength, height=0.62, color=_ORANGE, alpha=0.7)
    if not strength:
        ax.set_axis_off()
    words = "the model fits" if check.fits else "the model does not fit; the worst first"
    if check.changed is not None:
        words = f"the mechanism of {literal(names[check.changed.variable])} changed"
    tests = f"{check.n_pairs + check.n_mechanisms} tests, smallest p = {check.p_value:.2g}"
    ax.set_title(f"{words}\n({tests})", loc="left", fontsize="medium")
    return ax


def _named(line: dict[str, Any]) -> str:
    """Name a variable with its value, or the change of it, which names it itself."""
    if line.get("kind") not in {None, "do"}:
        return str(line["value"])
    return f"{line['variable']} = {line['value']}"


def _deviating(names: list[str]) -> str:
    return f"{names[-1]} given parents" if len(names) > 2 else ", ".join(dict.fromkeys(names))


def checked_fitted(model: FittedModel) -> FittedModel:
    """Return the model, or raise if it is not fitted.

    Parameters
    ----------
    model : InterventionMixture

    Returns
    -------
    InterventionMixture
    """
    if not hasattr(model, "mixture_"):
        raise NotFittedError("this InterventionMixture is not fitted yet; call fit(rows) first")
    return model


def axes_of(ax: Axes | None, height: float, width: float = _WIDTH) -> Axes:
    """Return the axes given, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
    height, width : float
        Of a new figure, in inches.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    MissingDependencyError
        Without matplotlib.
    """
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingDependencyError("matplotlib", "plot", "drawing plots") from None
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _lines(labels: list[str], ax: Axes | None, what: str) -> Axes:
    """Prepare axes with one named line for each label, the first on top."""
    ax = axes_of(ax, 0.9 + _LINE * max(len(labels), 1))
    ax.set_yticks(np.arange(len(labels)), [literal(label) for label in labels])
    ax.set_ylim(max(len(labels), 1) - 0.4, -0.6)
    ax.set_xlabel(what)
    without_frame(ax)
    return ax


def literal(text: str) -> str:
    """Keep a dollar sign from beginning a formula.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return text.replace("$", r"\$")


def _what(name: str, entry: Entry) -> str:
    """Text of what is done to a variable, to stand below its name."""
    if isinstance(entry, Altered):
        return str(Target({name: entry}))
    return f"= {state_text(entry)}"


def _short(text: str) -> str:
    """Cut a name in the middle so that it fits into the graph."""
    half = _LETTERS // 2
    return literal(text if len(text) <= _LETTERS else f"{text[:half]}…{text[1 - half :]}")


def without_frame(ax: Axes) -> None:
    """Leave out the upper and the right side of the frame.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    """
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _intervals(
    ax: Axes, place: Any, at: Any, lines: list[dict[str, Any]], low: str, high: str, colour: str
) -> None:
    """Draw the intervals that are known."""
    lows = np.array([_number(line[low]) for line in lines])
    highs = np.array([_number(line[high]) for line in lines])
    known = np.isfinite(lows) & np.isfinite(highs) & np.isfinite(at)
    ax.hlines(place[known], lows[known], highs[known], color=colour, lw=1.2)


def _bars(
    ax: Axes, place: Any, length: Any, lines: list[dict[str, Any]], height: float, label: str = ""
) -> None:
    """Draw bars; those of what does not stand are grey and hatched."""
    stands = np.array([line.get("stands") is not False for line in lines], dtype=bool)
    ax.barh(
        place[stands], length[stands], height=height, color=_BLUE, alpha=0.55, label=label or None
    )
    if not stands.all():
        ax.barh(
            place[~stands],
            length[~stands],
            height=height,
            color="white",
            edgecolor=_GREY,
            hatch=_HATCH,
            label="does not stand",
        )
        ax.legend(loc="lower right", frameon=False)


def _left_out(ax: Axes, number: int, what: str) -> None:
    if number > 0:
        ax.set_xlabel(f"{ax.get_xlabel()}\n({number} more {what} not drawn)")


def _mixed(share: float) -> tuple[float, float, float]:
    """Mix white with blue."""
    blue = np.array([0.0, 0x72 / 255, 0xB2 / 255])
    r, g, b = 1.0 - share * (1.0 - blue)
    return float(r), float(g), float(b)
