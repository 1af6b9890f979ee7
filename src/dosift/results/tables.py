"""The tables of results: components, totals, pairs, families, and what is undecided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.inference import FALSE_SHARE, LEAST_PROBABILITY, Posterior
from dosift.inference.component_groups import component_groups
from dosift.inference.intervals import normal_interval
from dosift.inference.rate_tests import Pair, RateWithTest
from dosift.model import Target
from dosift.model.described import named_targets
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import interventions
from dosift.search.near_equivalent import NearEquivalent

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def component_table(
    targets: Sequence[Target],
    weights: Floats,
    n_rows: float,
    posterior: Posterior | None,
    level: float = 0.95,
    is_known: NDArray[np.bool_] | None = None,
) -> pl.DataFrame:
    """Table of components, by descending weight.

    Parameters
    ----------
    targets : sequence of Target
    weights : ndarray, shape (n_targets,)
    n_rows : float
        Number of rows, or total sample weight.
    posterior : Posterior or None
        What the rows say about the weights; None where nothing is known of their errors.
    level : float, default=0.95
        Of the intervals.
    is_known : ndarray of bool, shape (n_targets,), optional
        Whose weights were given: these have no error, interval or p-value.

    Returns
    -------
    polars.DataFrame
        The columns of ``components.csv``. An interval holds for a target that is in the mixture;
        ``probability`` says how likely that is, and ``q_value`` what share of the components that
        are at least as likely is expected to be false. ``status`` is "found" where that is at
        most 5 %, else "undecided". ``p_value`` belongs to a target named before the rows were
        seen.
    """
    n = len(targets)
    unknown = np.full(n, np.nan)
    std_error = low = high = p_value = probability = q_value = unknown
    if posterior is not None:
        found = posterior.of_weights.weights(level)
        std_error, low, high = found.std_error[:n], found.low[:n], found.high[:n]
        p_value = posterior.p_values
        if posterior.selected:
            probability, q_value = 1.0 - posterior.of_weights.absent[:n], posterior.q_values
        if is_known is not None:
            std_error, low, high, p_value = (
                np.where(is_known, np.nan, column) for column in (std_error, low, high, p_value)
            )
    status = [None if np.isnan(q) else status_of(q) for q in q_value]
    return pl.DataFrame(
        {
            "target": [str(t) for t in targets],
            "size": np.array([t.size for t in targets], dtype=np.int64),
            "weight": weights,
            "std_error": std_error,
            "ci_low": low,
            "ci_high": high,
            "p_value": p_value,
            "q_value": q_value,
            "rows": weights * n_rows,
            "probability": probability,
            "status": pl.Series(status, dtype=pl.String),
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def status_of(q_value: float) -> str:
    """Say whether a component is found, by the share of false ones among such.

    Parameters
    ----------
    q_value : float

    Returns
    -------
    str
    """
    return "found" if q_value <= FALSE_SHARE else "undecided"


def variable_table(
    network: Network,
    targets: Ints,
    weights: Floats,
    posterior: Posterior | None,
    rates: Sequence[RateWithTest],
    level: float = 0.95,
) -> pl.DataFrame:
    """Totals of weight for each variable and value, by descending rate.

    Parameters
    ----------
    network : Network
        As it was before any mixture row taught it.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    posterior : Posterior or None
        What the rows say about the weights; None where nothing is known of their errors.
    rates : sequence of RateWithTest
        One-pass rates of all variables.
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    polars.DataFrame
        The columns of ``variables.csv``: a line with an empty value for each variable, and one
        for each of its values. ``p_value`` is that of the one-pass rate, which involves no
        search: "no component sets this".
    """
    lines: list[tuple[str, str, float, float, float]] = []
    undecided = targets[:0] if posterior is None else posterior.undecided
    every = interventions(np.concatenate([targets, undecided]))
    members = []
    for i, variable in enumerate(network.variables):
        own = rates[i]
        members.append(every[:, i] >= 0)
        lines.append((variable.name, "", own.rate, own.std_error, own.p_value))
        for a, state in enumerate(variable.states):
            members.append(every[:, i] == a)
            of_value = (own.value_rates[a], own.value_std_errors[a], own.value_p_values[a])
            lines.append((variable.name, state, *of_value))
    screen_rate = np.array([line[2] for line in lines])
    screen_error = np.array([line[3] for line in lines])
    screen_low, screen_high = normal_interval(screen_rate, screen_error, level)
    frame: dict[str, Any] = {
        "variable": [line[0] for line in lines],
        "value": [line[1] for line in lines],
        **totals(np.array(members), weights, posterior, level),
        "p_value": np.array([line[4] for line in lines]),
        "screen_rate": screen_rate,
        "screen_std_error": screen_error,
        "screen_ci_low": screen_low,
        "screen_ci_high": screen_high,
    }
    table = pl.DataFrame(frame).sort("rate", descending=True, maintain_order=True)
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def pair_table(
    network: Network,
    targets: Ints,
    weights: Floats,
    posterior: Posterior | None,
    pairs: Sequence[Pair],
    p_values: Sequence[float],
    level: float = 0.95,
) -> pl.DataFrame:
    """Totals of weight for each pair of do's that some component holds, by descending rate.

    Parameters
    ----------
    network, targets, weights, posterior, level
        As for :func:`variable_table`.
    pairs : sequence of two pairs of int
        The pairs, from :func:`dosift.inference.rate_tests.pairs_of`.
    p_values : sequence of float
        Of each, from one pass over the rows.

    Returns
    -------
    polars.DataFrame
        Columns ``target`` (the pair), ``rate``, ``std_error``, ``ci_low``, ``ci_high``,
        ``probability``, and ``p_value``, from one pass that involves no search: "no component
        sets both". At most 200 pairs, those of largest rate.
    """
    some = np.full((max(len(pairs), 1), targets.shape[1]), -1, dtype=np.int16)
    for k, pair in enumerate(pairs):
        for i, state in pair:
            some[k, i] = state
    undecided = targets[:0] if posterior is None else posterior.undecided
    members = np.array([contain(np.concatenate([targets, undecided]), pair) for pair in some])
    frame: dict[str, Any] = {
        "target": [name_of(network, pair) for pair in some],
        **totals(members, weights, posterior, level),
    }
    values = pl.Series("p_value", list(p_values), dtype=pl.Float64)
    table = pl.DataFrame(frame).head(len(pairs)).with_columns(values)
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


def undecided_table(
    network: Network, posterior: Posterior | None, level: float = 0.95
) -> pl.DataFrame:
    """Targets that were left out of the mixture and may be in it, the most probable first.

    Parameters
    ----------
    network : Network
    posterior : Posterior or None
    level : float, default=0.95

    Returns
    -------
    polars.DataFrame
        Columns ``target``, ``probability`` (of being in the mixture; at least 0.1), and the
        weight's interval if it is: ``ci_low``, ``ci_high``.
    """
    columns: dict[str, Any] = {"target": [], "probability": [], "ci_low": [], "ci_high": []}
    if posterior is not None and posterior.selected and len(posterior.undecided):
        m = posterior.n_components
        probability = 1.0 - posterior.of_weights.absent[m:]
        kept = np.argsort(-probability, kind="stable")
        kept = kept[probability[kept] >= LEAST_PROBABILITY]
        found = posterior.of_weights.weights(level)
        columns = {
            "target": [name_of(network, posterior.undecided[k]) for k in kept],
            "probability": probability[kept],
            "ci_low": found.low[m:][kept],
            "ci_high": found.high[m:][kept],
        }
    types = {"target": pl.String, **dict.fromkeys(list(columns)[1:], pl.Float64)}
    return pl.DataFrame(columns, schema=types)


def family_table(
    network: Network,
    targets: Ints,
    weights: Floats,
    posterior: Posterior | None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Components that share do's, grouped (see :mod:`dosift.inference.component_groups`).

    Parameters
    ----------
    network, targets, weights, posterior, level
        As for :func:`variable_table`.

    Returns
    -------
    polars.DataFrame
        Columns ``target`` (what the members share), ``weight`` (of all members together),
        ``ci_low``, ``ci_high``, ``components`` (a list of texts).
    """
    groups = component_groups(targets, weights)
    n_others = 0 if posterior is None else len(posterior.undecided)
    members = np.zeros((len(groups), len(targets) + n_others), dtype=bool)
    for k, group in enumerate(groups):
        members[k, list(group.members)] = True
    found = totals(members, weights, posterior, level)
    texts = [name_of(network, target) for target in targets]
    frame = {
        "target": [name_of(network, group.common) for group in groups],
        "weight": found["rate"],
        "ci_low": found["ci_low"],
        "ci_high": found["ci_high"],
        "components": [[texts[k] for k in group.members] for group in groups],
    }
    types = pl.Schema(
        {
            "target": pl.String(),
            **dict.fromkeys(("weight", "ci_low", "ci_high"), pl.Float64()),
            "components": pl.List(pl.String()),
        }
    )
    return pl.DataFrame(frame, schema=types).with_columns(pl.col(pl.Float64).fill_nan(None))


def near_equivalent_table(
    network: Network,
    targets: Ints,
    near: Sequence[NearEquivalent],
    texts: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Targets that could stand in the place of a component.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    near : sequence of NearEquivalent
    texts : sequence of str, optional
        Names of the components, if these are not their own.

    Returns
    -------
    polars.DataFrame
        Columns ``component``, ``target`` (what could stand in its place), ``loss`` (log-likelihood
        lost, in nats).
    """
    frame = {
        "component": [
            texts[one.component] if texts else name_of(network, targets[one.component])
            for one in near
        ],
        "target": [name_of(network, one.target) for one in near],
        "loss": [one.loss for one in near],
    }
    types = {"component": pl.String, "target": pl.String, "loss": pl.Float64}
    return pl.DataFrame(frame, schema=types)


def totals(
    members: NDArray[np.bool_], weights: Floats, posterior: Posterior | None, level: float
) -> dict[str, Floats]:
    """Sum weights; with errors, and the probability that any member is present.

    Parameters
    ----------
    members : ndarray of bool, shape (n_sums, n_targets)
        Of components, then the undecided ones.
    weights : ndarray, shape (n_components,)
    posterior : Posterior or None
    level : float

    Returns
    -------
    dict of str to ndarray, shape (n_sums,)
        ``rate``, ``std_error``, ``ci_low``, ``ci_high``, ``probability``.
    """
    rate = members[:, : weights.size] @ weights
    if posterior is None:
        unknown = np.full(rate.size, np.nan)
        return {
            "rate": rate,
            **dict.fromkeys(("std_error", "ci_low", "ci_high", "probability"), unknown),
        }
    found = posterior.of_weights.sums(members, level)
    probability = np.full(rate.size, np.nan)
    if posterior.selected:
        probability = posterior.of_weights.any_present(members)
    return {
        "rate": rate,
        "std_error": found.std_error,
        "ci_low": found.low,
        "ci_high": found.high,
        "probability": probability,
    }


def contain(targets: Ints, part: Ints) -> NDArray[np.bool_]:
    """Whether each target contains all the do's of another.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    part : ndarray of int, shape (n_variables,)

    Returns
    -------
    ndarray of bool, shape (n_targets,)
    """
    is_set = part >= 0
    out: NDArray[np.bool_] = (targets[:, is_set] == part[is_set]).all(axis=1)
    return out


def name_of(network: Network | MechanismNetwork, target: Ints) -> str:
    """Text of a target, such as ``do(lung=no)``.

    Parameters
    ----------
    network : Network or MechanismNetwork
    target : ndarray of int, shape (n_variables,)

    Returns
    -------
    str
    """
    return str(named_targets(network, target[None])[0])
