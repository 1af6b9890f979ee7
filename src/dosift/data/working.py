"""Rows of numbers on the working scales of a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.data.numbers import Numbers
from dosift.errors import InputError
from dosift.model.features import Feature, Indicator, Plain, Product
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.scale import Scale

Floats = NDArray[np.float64]

#: Spreads of the control rows that a value may be away from them: squares of it are summed.
_FARTHEST = 1e100
#: Why a scale cannot hold a value.
_WHY = {
    "log": "logarithms are taken of this column, as its control rows are all positive",
    "logit": "log odds are taken of this column, as its control rows lie between 0 and 1",
}


def to_working(rows: Numbers, network: MechanismNetwork) -> Floats:
    """Bring rows to the working scales of a network.

    Parameters
    ----------
    rows : Numbers
        Of the network's variables.
    network : MechanismNetwork

    Returns
    -------
    ndarray of float64, shape (n_rows, n_variables), column-major
        NaN where a value is missing, and nowhere else.

    Raises
    ------
    InputError
        If a value has no place on its scale, or a function that the user named has no value there.
    """
    with np.errstate(all="ignore"):
        values = network.working(rows.values)
        for i, scale in enumerate(network.scales):
            _check_scale(rows, i, scale, values[:, i])
        for mechanism in network.mechanisms:
            for feature in getattr(mechanism, "features", ()):
                if not isinstance(feature, Plain | Indicator | Product):
                    _check_function(rows, feature, values)
    return values


def _check_scale(rows: Numbers, i: int, scale: Scale, working: Floats) -> None:
    own = rows.values[:, i]
    # Comparisons with NaN are false.
    lost = np.isfinite(own) & ~(np.abs(working) <= _FARTHEST)
    if lost.any():
        row = int(lost.argmax())
        why = "it is too large for the scale of this column"
        if not np.isfinite(working[row]):
            why = _WHY.get(scale.form, why)
        raise InputError(
            f"column {rows.variables[i].name!r} holds {own[row]:.12g} in data row {row + 1} "
            f"({int(lost.sum())} such row(s)), and {why}; correct it, or give control rows with "
            "such values",
            path=rows.path,
        )


def _check_function(rows: Numbers, feature: Feature, values: Floats) -> None:
    """Refuse rows where a function that a user named has no value."""
    arguments = list(feature.columns)
    known = ~np.isnan(rows.values[:, arguments]).any(axis=1)
    lost = known & ~np.isfinite(feature(values))
    if lost.any():
        row = int(lost.argmax())
        # A function may be wrapped, to take values on working scales.
        text = getattr(getattr(feature, "feature", feature), "text", repr(feature))
        given = ", ".join(
            f"{rows.variables[j].name} = {rows.values[row, j]:.12g}" for j in arguments
        )
        raise InputError(
            f"the feature {text!r} has no value in data row {row + 1} ({given}; "
            f"{int(lost.sum())} such row(s)); leave these rows out, or write it so that it has",
            path=rows.path,
        )
