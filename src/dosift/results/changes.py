"""Totals for each variable and change of a network with numbers, in the units of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.checks.densities import Density
from dosift.inference import Posterior
from dosift.inference.change_error import ChangeError
from dosift.inference.rate_tests import RateWithTest
from dosift.model import Target
from dosift.model.altered import NUMBERS, Altered
from dosift.model.categorical import States
from dosift.model.described import described, scale_of
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import OTHER, OTHER_TEXT, interventions
from dosift.model.target import Entry, state_text
from dosift.pipeline import Fitted
from dosift.results.tables import RateLine, one_pass, rate_table, with_undecided

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Columns of what a change does.
_NUMBERS = ("estimate", "estimate_std_error", "estimate_ci_low", "estimate_ci_high")
#: Columns of what it is.
_TEXTS = ("kind", "what")


def change_table(
    network: MechanismNetwork,
    targets: Ints,
    weights: Floats,
    posterior: Posterior | None,
    errors: Sequence[ChangeError] = (),
    rates: Sequence[RateWithTest] = (),
    level: float = 0.95,
) -> pl.DataFrame:
    """Totals of weight for each variable and change, by descending rate.

    Parameters
    ----------
    network : MechanismNetwork
        That the mixture refers to.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    posterior : Posterior or None
        What the rows say about the weights; None where nothing is known of their errors.
    errors : sequence of ChangeError, optional
        Of the numbers of changes.
    rates : sequence of RateWithTest, optional
        One-pass rates of all variables, if there are any.
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    polars.DataFrame
        The columns of ``variables.csv``: a line with an empty value for each variable, one for each
        state of a discrete one, and one for each change that components make, its text the value.
        ``kind`` is that of the change; ``what`` names its first number (mean, by, factor), and
        ``estimate``, with error and interval, is that number in the units of the column.
    """
    every = interventions(with_undecided(targets, posterior))
    known = {(one.variable, one.position): one for one in errors}
    lines: list[RateLine] = []
    found: list[dict[str, Any]] = []
    for i, name in enumerate(network.names):
        if i in network.covariates:
            continue
        rate = rates[i] if rates else None
        lines.append(((name, ""), every[:, i] >= 0, one_pass(rate)))
        found.append({})
        library = network.libraries[i]
        is_discrete = isinstance(library, States)
        used = [int(k) for k in np.unique(every[:, i]) if k >= 0]
        for k in range(len(library)) if is_discrete else used:
            entry = described(network, i, k)
            screen = one_pass(rate if is_discrete else None, k)
            lines.append(((name, _value(name, entry)), every[:, i] == k, screen))
            kind = entry.kind if isinstance(entry, Altered) else "do"
            found.append({"kind": kind, **_numbers(entry, known.get((i, k)), level)})
    texts = {key: pl.Series([line.get(key) for line in found], dtype=pl.String) for key in _TEXTS}
    numbers = {key: [line.get(key, np.nan) for line in found] for key in _NUMBERS}
    return rate_table(lines, weights, posterior, level, {**texts, **numbers})


def _value(name: str, entry: Entry) -> str:
    return str(Target({name: entry})) if isinstance(entry, Altered) else state_text(entry)


def _numbers(entry: Entry, error: ChangeError | None, level: float) -> dict[str, Any]:
    """Return what is known of a change's first number."""
    if not isinstance(entry, Altered) or entry.kind == "free":
        return {}
    found = {"what": next(iter(NUMBERS[entry.kind])), "estimate": entry.numbers[0]}
    if error is not None:
        low, high = error.interval(level)
        more = (error.std_error[0], low[0], high[0])
        found |= dict(zip(_NUMBERS[1:], map(float, more), strict=True))
    return found


def numbers_content(fitted: Fitted, level: float = 0.95) -> dict[str, Any]:
    """Return what there is to say of numbers; nothing of a network of tables.

    Parameters
    ----------
    fitted : Fitted
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    dict
        ``columns``, ``changes`` and ``densities``, ready for JSON.
    """
    network = fitted.network
    if not isinstance(network, MechanismNetwork):
        return {}
    return {
        "columns": _columns_content(network),
        "changes": _changes_content(network, fitted.change_errors, level),
        "densities": _densities_content(network, fitted.densities),
    }


def _changes_content(
    network: MechanismNetwork, errors: Sequence[ChangeError], level: float = 0.95
) -> list[dict[str, Any]]:
    """Return all numbers of the changes with their errors, null where rows say nothing."""
    lines = []
    for one in errors:
        name = network.names[one.variable]
        low, high = one.interval(level)
        columns = zip(one.names, one.estimate, one.std_error, low, high, strict=True)
        keys = ("estimate", "std_error", "ci_low", "ci_high")
        numbers = [
            {"what": what, **dict(zip(keys, map(_known, own), strict=True))}
            for what, *own in columns
        ]
        text = _value(name, described(network, one.variable, one.position))
        lines.append({"variable": name, "change": text, "numbers": numbers})
    return lines


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _columns_content(network: MechanismNetwork) -> list[dict[str, Any]]:
    """Say of each variable what kind it is, and on what scale it was modelled."""
    return [
        {
            "name": variable.name,
            "kind": variable.kind,
            "scale": "states" if variable.kind == "discrete" else scale_of(network, i).form,
        }
        for i, variable in enumerate(network.variables)
        if i not in network.covariates
    ]


def _densities_content(network: MechanismNetwork, found: Sequence[Density]) -> list[dict[str, Any]]:
    """Return histograms of the numbers that components touch, in the units of their columns."""
    lines = []
    for one in found:
        name = network.names[one.variable]
        curves = [("pool", one.pool)]
        if one.control is not None:
            curves.insert(0, ("control", one.control))
        for position, shares in one.changes.items():
            curves.append((curve_text(network, one.variable, position), shares))
        lines.append(
            {
                "variable": name,
                "scale": scale_of(network, one.variable).form,
                "edges": one.edges.tolist(),
                "curves": [{"of": of, "shares": shares.tolist()} for of, shares in curves],
            }
        )
    return lines


def curve_text(network: Network | MechanismNetwork, i: int, position: int) -> str:
    """Text of a change of one variable, or of rows from elsewhere.

    Parameters
    ----------
    network : Network or MechanismNetwork
    i : int
        Position of the variable.
    position : int
        Of the change.

    Returns
    -------
    str
    """
    if position == OTHER:
        return OTHER_TEXT
    return str(Target({network.names[i]: described(network, i, position)}))
