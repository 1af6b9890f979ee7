"""The picture of interventions in time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.results.plot import axes_of, checked_fitted, literal, without_frame
from dosift.results.predictions import Predictions
from dosift.results.timeline import colours_of, drawn_stretches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

#: Height of a unit's line, in inches.
_LINE = 0.45


def timeline(model: Predictions, *, units: int = 30, ax: Axes | None = None) -> Axes:
    """Draw when which intervention held.

    Parameters
    ----------
    model : InterventionMixture
        Fitted to rows in order of time.
    units : int, default=30
        Units drawn, one line each.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        A colour stands for an intervention, paler where it is less probable; "no intervention" is
        blank. Lines below a stretch are the intervals of onset and end.

    Raises
    ------
    InputError
        If the rows came in no order.
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    table = checked_fitted(model).timeline_
    if table is None:
        raise InputError("the mixture was fitted without time; give fit(rows, time=...)")
    lines = table.to_dicts()
    of_unit, start, end = drawn_stretches(lines)
    names = list(dict.fromkeys(of_unit))
    place = {name: k for k, name in enumerate(names[:units])}
    ax = axes_of(ax, 1.2 + _LINE * len(place))
    colours = colours_of(model.components_.to_dicts())
    low_high = [_bounds(lines, name) for name in ("start", "end")]
    goes_on = np.append([a == b for a, b in itertools.pairwise(of_unit)], False)
    until = np.where(goes_on, np.append(start[1:], 0.0), end)
    named: set[str] = set()
    for k, line in enumerate(lines):
        target = line["target"]
        if of_unit[k] not in place or target not in colours:
            continue
        y = place[of_unit[k]]
        label = literal(target) if target not in named else None
        named.add(target)
        alpha = 0.25 + 0.65 * line["probability"]
        width = until[k] - start[k]
        ax.barh(y, width, 0.6, left=start[k], color=colours[target], alpha=alpha, label=label)
        for low, high in low_high:
            ax.hlines(y + 0.36, low[k], high[k], color="black", lw=1.2)
    ax.set_yticks(range(len(place)), [literal(name) for name in place])
    ax.set_ylim(max(len(place), 1) - 0.4, -0.6)
    ax.set_xlim(float(start.min()), float(end.max()))
    if not isinstance(lines[0]["start"], int | float):
        _with_dates(ax)
    left = len(names) - len(place)
    ax.set_xlabel("time" if left <= 0 else f"time\n({left} more units not drawn)")
    if named:
        ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.3), frameon=False, ncols=2)
    without_frame(ax)
    return ax


def _bounds(lines: list[dict[str, Any]], name: str) -> tuple[Floats, Floats]:
    """Return the ends of the intervals of onset or end, as numbers."""
    ends = [
        {"unit": None, "start": line[f"{name}_low"], "end": line[f"{name}_high"]} for line in lines
    ]
    _, low, high = drawn_stretches(ends)
    return low, high


def _with_dates(ax: Axes) -> None:
    """Write seconds since 1970 as dates."""
    low, high = ax.get_xlim()
    at = np.linspace(low, high, 4)
    form = "%Y-%m-%d" if high - low > 4 * 86400 else "%m-%d %H:%M"
    ax.set_xticks(at, [datetime.fromtimestamp(float(x), UTC).strftime(form) for x in at])
