"""Pictures of a fitted mixture for papers and notebooks, with matplotlib.

Every function takes ``ax``, draws into a new figure if it is None, and returns the axes. Nothing
is computed here: what is drawn stands in the fitted model's tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dosift.checks.assignment_confidence import SURE
from dosift.data import collapse, load_rows
from dosift.errors import InputError, MissingDependencyError, NotFittedError
from dosift.inference.intervals import normal_interval
from dosift.likelihood.rates import intervention_rates
from dosift.model.network import Network
from dosift.results.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that differ in lightness too, after Okabe and Ito.
_BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#8a8a8a"
#: Of bars of what does not stand.
_HATCH = "////"
#: Height of a line of a chart, and width of a chart, in inches.
_LINE, WIDTH = 0.28, 6.4


def components(model: Predictions, *, top: int = 30, ax: Axes | None = None) -> Axes:
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


def rates(model: Predictions, *, top: int = 30, ax: Axes | None = None) -> Axes:
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
    _intervals(ax, place + 0.26, screen, lines[:top], "screen_ci_low", "screen_ci_high", ORANGE)
    if np.isfinite(screen).any():
        ax.plot(screen, place + 0.26, "o", mfc="white", mec=ORANGE, ms=5, label="one pass")
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
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; give a number in (0, 1)")
    counted = collapse(load_rows(rows, network).codes, network.cardinalities)
    found = intervention_rates(network, counted.codes, counted.counts)
    rate = np.array([r.rate for r in found])
    low, high = normal_interval(rate, np.array([r.std_error for r in found]), level)
    order = np.argsort(-rate, kind="stable")[:top]
    ax = _lines([network.names[i] for i in order], ax, "share of rows in which it is set")
    place = np.arange(order.size)
    ax.hlines(place, low[order], high[order], color=ORANGE, lw=1.2)
    ax.plot(rate[order], place, "o", mfc="white", mec=ORANGE, ms=5)
    ax.axvline(0, color=GREY, lw=0.8)
    ax.set_xlim(left=min(0.0, float(np.nanmin(low[order], initial=0.0))))
    _left_out(ax, len(found) - order.size, "variables")
    return ax


def certainty(model: Predictions, *, ax: Axes | None = None) -> Axes:
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
    colours = [_BLUE if edge >= SURE - 1e-9 else GREY for edge in sure.edges[:-1]]
    widths = np.diff(sure.edges)
    ax.bar(sure.edges[:-1], sure.counts, widths * 0.92, align="edge", color=colours, alpha=0.6)
    ax.set_xlim(0, 1)
    ax.set_xlabel("probability of the most probable target")
    ax.set_ylabel("rows")
    ax.set_title(f"{100 * sure.share_sure:.1f} % of the rows above {SURE:g}", loc="left")
    without_frame(ax)
    return ax


def fit_check(model: Predictions, *, ax: Axes | None = None) -> Axes:
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
    ax.barh(np.arange(len(strength)), strength, height=0.62, color=ORANGE, alpha=0.7)
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


def checked_fitted(model: Predictions) -> Predictions:
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


def axes_of(ax: Axes | None, height: float, width: float = WIDTH) -> Axes:
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
            edgecolor=GREY,
            hatch=_HATCH,
            label="does not stand",
        )
        ax.legend(loc="lower right", frameon=False)


def _left_out(ax: Axes, number: int, what: str) -> None:
    if number > 0:
        ax.set_xlabel(f"{ax.get_xlabel()}\n({number} more {what} not drawn)")
