"""A picture of one number: in control rows, in the pool, and in the rows under each change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError, nearest
from dosift.model.described import scale_of
from dosift.model.scale import Scale
from dosift.results.changes import curve_text
from dosift.results.plot import axes_of, checked_fitted, literal, without_frame
from dosift.results.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours that differ in lightness too, after Okabe and Ito, with styles of lines.
_CURVES = (
    ("#d55e00", "-"), ("#0072b2", "--"), ("#009e73", "-."), ("#cc79a7", "-"), ("#e69f00", "--"),
    ("#56b4e9", "-."),
)  # fmt: skip
#: Height of the picture in inches.
_HEIGHT = 2.6


def densities(model: Predictions, variable: str, *, ax: Axes | None = None) -> Axes:
    """Draw what a number looks like, and what was done to it.

    Parameters
    ----------
    model : InterventionMixture
        Fitted, of variables that are numbers.
    variable : str
        One that some component changes.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Shares of control rows (dotted), of mixture rows (grey), and of the rows under each change,
        in bins that are evenly spread on the variable's working scale. A row counts for a change by
        the probability that it came from there.

    Raises
    ------
    InputError
        If no component changes the variable, or it is none of the network's numbers.
    NotFittedError
        If the model is not fitted.
    MissingDependencyError
        Without matplotlib.
    """
    fitted = checked_fitted(model).fitted_
    network = fitted.network
    drawn = {network.names[one.variable]: one for one in fitted.densities}
    if variable not in drawn:
        near = nearest(variable, [*drawn])
        known = f"did you mean {near!r}?" if near else f"there are {', '.join(drawn) or 'none'}"
        raise InputError(f"{variable!r} is no number that a component changes; {known}")
    one = drawn[variable]
    ax = axes_of(ax, _HEIGHT)
    ax.stairs(one.pool, one.edges, fill=True, color="#d0d0d0", label="mixture rows")
    if one.control is not None:
        ax.stairs(one.control, one.edges, color="black", ls=":", label="control rows")
    for k, (position, shares) in enumerate(one.changes.items()):
        colour, style = _CURVES[k % len(_CURVES)]
        text = curve_text(network, one.variable, position)
        ax.stairs(shares, one.edges, color=colour, ls=style, lw=1.4, label=literal(text))
    _bend(ax, scale_of(network, one.variable), float(one.edges[0]))
    ax.set_xlim(float(one.edges[0]), float(one.edges[-1]))
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(literal(variable))
    ax.set_ylabel("share of rows")
    ax.legend(frameon=False, fontsize="small")
    without_frame(ax)
    return ax


def _bend(ax: Axes, scale: Scale, least: float) -> None:
    """Give the horizontal axis a working scale; what lies below `least` is not drawn."""
    if scale.form == "raw":
        return

    def forward(values: NDArray[np.float64]) -> NDArray[np.float64]:
        above = np.maximum(values, least)
        return np.asarray(np.log1p(above) if scale.form == "count" else scale.working(above))

    backward = np.expm1 if scale.form == "count" else scale.user
    ax.set_xscale("function", functions=(forward, backward))
