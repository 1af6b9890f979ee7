"""The two tables of results: components, and totals for each variable and value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.inference import logit_interval, normal_interval, weight_covariance
from dosift.interventions import Target
from dosift.network.model import Network
from dosift.rates import intervention_rates

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def component_table(
    targets: Sequence[Target],
    weights: Floats,
    columns: Floats,
    mixture: Floats,
    counts: Floats,
    maximal: bool = True,
) -> pl.DataFrame:
    """Table of components, by descending weight.

    Parameters
    ----------
    targets : sequence of Target
    weights : ndarray, shape (n_targets,)
    columns : ndarray, shape (n_configurations, n_targets)
    mixture, counts : ndarray, shape (n_configurations,)
    maximal : bool
        Whether the weights maximise the likelihood; only then are errors known.

    Returns
    -------
    polars.DataFrame
        The columns of ``components.csv``. ``p_value`` and ``q_value`` are empty: the targets were
        chosen with the same rows, and this version does not correct for that.
    """
    import polars as pl

    std_error = _std_errors(columns, mixture, counts, np.eye(weights.size), maximal)
    low, high = logit_interval(weights, std_error)
    return pl.DataFrame(
        {
            "target": [str(t) for t in targets],
            "size": np.array([t.size for t in targets], dtype=np.int64),
            "weight": weights,
            "std_error": std_error,
            "ci_low": low,
            "ci_high": high,
            "p_value": pl.Series([None] * weights.size, dtype=pl.Float64),
            "q_value": pl.Series([None] * weights.size, dtype=pl.Float64),
            "rows": weights * counts.sum(),
        }
    )


def variable_table(
    network: Network,
    targets: Ints,
    weights: Floats,
    columns: Floats,
    mixture: Floats,
    codes: Ints,
    counts: Floats,
    maximal: bool = True,
) -> pl.DataFrame:
    """Totals of weight for each variable and value, by descending rate.

    `maximal` says whether the weights maximise the likelihood; only then are errors known.

    Returns
    -------
    polars.DataFrame
        The columns of ``variables.csv``: a line with an empty value for each variable, and one
        for each of its values.
    """
    import polars as pl

    screened = intervention_rates(network, codes, counts)
    lines: list[tuple[str, str, float, float]] = []
    members = []
    for i, variable in enumerate(network.variables):
        own = screened[i]
        members.append(targets[:, i] >= 0)
        lines.append((variable.name, "", own.rate, own.std_error))
        for a, state in enumerate(variable.states):
            members.append(targets[:, i] == a)
            lines.append((variable.name, state, own.value_rates[a], own.value_std_errors[a]))
    indicator = np.array(members, dtype=np.float64)
    rate = indicator @ weights
    std_error = _std_errors(columns, mixture, counts, indicator, maximal)
    low, high = logit_interval(rate, std_error)
    screen_rate = np.array([line[2] for line in lines])
    screen_error = np.array([line[3] for line in lines])
    screen_low, screen_high = normal_interval(screen_rate, screen_error)
    frame: dict[str, Any] = {
        "variable": [line[0] for line in lines],
        "value": [line[1] for line in lines],
        "rate": rate,
        "std_error": std_error,
        "ci_low": low,
        "ci_high": high,
        "p_value": pl.Series([None] * len(lines), dtype=pl.Float64),
        "screen_rate": screen_rate,
        "screen_std_error": screen_error,
        "screen_ci_low": screen_low,
        "screen_ci_high": screen_high,
    }
    return pl.DataFrame(frame).sort("rate", descending=True, maintain_order=True)


def _std_errors(
    columns: Floats, mixture: Floats, counts: Floats, indicator: Floats, maximal: bool
) -> Floats:
    """Compute standard errors of sums of weights; NaN where rows fall outside the mixture."""
    if not maximal or mixture.min() <= 0:
        return np.full(indicator.shape[0], np.nan)
    covariance = weight_covariance(columns, mixture, counts)
    variance = np.einsum("km,mn,kn->k", indicator, covariance, indicator, optimize=True)
    out: Floats = np.sqrt(np.maximum(variance, 0.0))
    return out
