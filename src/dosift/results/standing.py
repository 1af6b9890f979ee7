"""Tables in the light of a verdict: what stands, probabilities and intervals over repairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.checks.verdict import FALLS, Answer, tolerance, weights_in
from dosift.inference.posterior import false_shares
from dosift.model.mechanism_network import compared_targets
from dosift.model.network import Network
from dosift.model.other import interventions
from dosift.pipeline import Fitted
from dosift.results.tables import status_of

Floats = NDArray[np.float64]

#: Share of the weight of a line's components that must stand for the line to stand.
_MOST = 0.5


def with_standing(
    table: pl.DataFrame, fitted: Fitted, groups: Sequence[Sequence[int]]
) -> pl.DataFrame:
    """Say of each component whether it stands, and what repairs make of it.

    Parameters
    ----------
    table : polars.DataFrame
        Of components.
    fitted : Fitted
    groups : sequence of sequence of int
        The components that each line is made of.

    Returns
    -------
    polars.DataFrame
        With a column `stands`. Probabilities are no larger than what repairs leave of them (and no
        less than what counts with noise of another kind give them), and intervals hold the weights
        that repairs would give.
    """
    verdict, weights = fitted.judged, fitted.result.weights
    share = [float(weights[list(own)][verdict.stands[list(own)]].sum()) for own in groups]
    whole = [float(weights[list(own)].sum()) for own in groups]
    stands = np.array([a > _MOST * b for a, b in zip(share, whole, strict=True)])
    most = np.array([verdict.probability[list(own)].max() for own in groups])
    columns = [pl.Series("stands", stands, dtype=pl.Boolean)]
    known = table["probability"].null_count() == 0
    least = np.zeros(len(groups))
    if verdict.presence is not None:
        least = np.array([verdict.presence[list(own)].max() for own in groups])
    if known and ((most < 1.0).any() or (least > table["probability"].to_numpy()).any()):
        # A posterior takes the noise of the model for true; a repair of that knows better.
        probability = np.minimum(np.maximum(table["probability"].to_numpy(), least), most)
        q_value = false_shares(1.0 - probability)
        status = [status_of(q) for q in q_value]
        columns += [
            pl.Series("probability", probability),
            pl.Series("q_value", q_value),
            pl.Series("status", status, dtype=pl.String),
        ]
    if verdict.others and table["ci_low"].null_count() == 0:
        others = [_of_lines(fitted, groups, one) for one in verdict.others]
        columns += _widened(table, "weight", others)
    return table.with_columns(columns)


def _of_lines(fitted: Fitted, groups: Sequence[Sequence[int]], answer: Answer) -> Floats:
    """Weight of each line in another answer."""
    compared = compared_targets(fitted.network, fitted.result.targets)
    return weights_in(answer, compared[[own[0] for own in groups]])


def _widened(table: pl.DataFrame, of: str, others: Sequence[Floats]) -> list[pl.Series]:
    """Stretch intervals, so that those around the values that repairs would give are in them."""
    value, low, high = (table[name].to_numpy().copy() for name in (of, "ci_low", "ci_high"))
    below, above = value - low, high - value
    for other in others:
        there = other > 0
        low = np.where(there, np.minimum(low, other - below), low)
        high = np.where(there, np.maximum(high, other + above), high)
    return [
        pl.Series("ci_low", np.clip(low, 0.0, 1.0)),
        pl.Series("ci_high", np.clip(high, 0.0, 1.0)),
    ]


def totals_with_standing(table: pl.DataFrame, fitted: Fitted) -> pl.DataFrame:
    """Say of each total whether it stands, and what control rows yield.

    Parameters
    ----------
    table : polars.DataFrame
        The columns of ``variables.csv``.
    fitted : Fitted

    Returns
    -------
    polars.DataFrame
        With columns `control_rate` (what control rows played as a pool yield; null where it is not
        known), `net_rate` (the rate less that) and `stands`.
    """
    verdict, network = fitted.judged, fitted.network
    lines = list(zip(table["variable"].to_list(), table["value"].to_list(), strict=True))
    rate = table["rate"].to_numpy()
    error = table["std_error"].fill_null(np.nan).to_numpy()
    stands = np.full(rate.size, verdict.value != FALLS or not verdict.failed)
    stands &= [network.positions[name] not in verdict.doubtful for name, _ in lines]
    others = []
    for answer in verdict.others:
        other = np.array([_total(network, answer.targets, answer.weights, one) for one in lines])
        close = np.abs(other - rate) <= tolerance(rate, error)
        stands &= close | np.isnan(other)
        others.append(np.nan_to_num(other))
    control = np.full(rate.size, np.nan)
    if fitted.control is not None:
        found = fitted.control
        for k, one in enumerate(lines):
            control[k] = _invented(network, found.left_touched, found.totals, one)
        invented = np.nan_to_num(control)
        stands &= invented <= tolerance(rate, np.zeros(rate.size))
    columns = [
        pl.Series("control_rate", control).fill_nan(None),
        pl.Series("net_rate", np.maximum(rate - control, 0.0)).fill_nan(None),
        pl.Series("stands", stands, dtype=pl.Boolean),
    ]
    if others and table["ci_low"].null_count() == 0:
        columns += _widened(table, "rate", others)
    return table.with_columns(columns)


def _place(network: Network, line: tuple[str, str]) -> tuple[int, int | None] | None:
    """Position of a variable and its state; None where a line is of a change of numbers."""
    name, value = line
    i = network.positions[name]
    if not value:
        return i, None
    states = network.variables[i].states
    return (i, states.index(value)) if value in states else None


def _total(
    network: Network, targets: NDArray[np.integer], weights: Floats, line: tuple[str, str]
) -> float:
    place = _place(network, line)
    if place is None:
        return np.nan
    column = interventions(targets)[:, place[0]]
    member = column >= 0 if place[1] is None else column == place[1]
    return float(weights[member].sum())


def _invented(
    network: Network, touched: Floats, totals: Floats | None, line: tuple[str, str]
) -> float:
    place = _place(network, line)
    if place is None:
        return np.nan
    if place[1] is None:
        return float(touched[place[0]])
    return np.nan if totals is None else float(totals[place])
