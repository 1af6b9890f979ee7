"""The tables of results: components, totals, pairs, families, and what is undecided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
#: A line of :func:`rate_table`.
RateLine = tuple[tuple[str, str], NDArray[np.bool_], tuple[float, float, float]]


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
    frame = pl.DataFrame(
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
    )
    return without_nan(frame)


def without_nan(table: pl.DataFrame) -> pl.DataFrame:
    """Let numbers that are unknown be null."""
    return table.with_columns(pl.col(pl.Float64).fill_nan(None))


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
    every = interventions(with_undecided(targets, posterior))
    lines: list[RateLine] = []
    for i, (variable, rate) in enumerate(zip(network.variables, rates, strict=True)):
        lines.append(((variable.name, ""), every[:, i] >= 0, one_pass(rate)))
        for a, state in enumerate(variable.states):
            lines.append(((variable.name, state), every[:, i] == a, one_pass(rate, a)))
    return rate_table(lines, weights, posterior, level)


def one_pass(rate: RateWithTest | None, state: int | None = None) -> tuple[float, float, float]:
    """Return p-value, rate and its error of a variable or a state from one pass; NaN if unknown."""
    if rate is None:
        return np.nan, np.nan, np.nan
    if state is None:
        return rate.p_value, rate.rate, rate.std_error
    found = (rate.value_p_values[state], rate.value_rates[state], rate.value_std_errors[state])
    return float(found[0]), float(found[1]), float(found[2])


def rate_table(
    lines: Sequence[RateLine],
    weights: Floats,
    posterior: Posterior | None,
    level: float,
    further: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Table of totals of weight, by descending rate; other columns may follow.

    Parameters
    ----------
    lines : sequence of RateLine
        Variable and value, which components (and undecided targets behind them) have it, and
        :func:`one_pass`.
    weights, posterior, level
        As for :func:`variable_table`.
    further : mapping of str to sequence, optional

    Returns
    -------
    polars.DataFrame
    """
    names, members, screens = zip(*lines, strict=True)
    p_value, rate, error = np.array(screens).T
    low, high = normal_interval(rate, error, level)
    frame: dict[str, Any] = {
        "variable": [variable for variable, _ in names],
        "value": [value for _, value in names],
        **totals(np.array(members), weights, posterior, level),
        "p_value": p_value,
        "screen_rate": rate,
        "screen_std_error": error,
        "screen_ci_low": low,
        "screen_ci_high": high,
        **(further or {}),
    }
    return without_nan(pl.DataFrame(frame).sort("rate", descending=True, maintain_order=True))


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
    every = with_undecided(targets, posterior)
    members = np.array([_contain(every, pair) for pair in some])
    frame: dict[str, Any] = {
        "target": names_of(network, some),
        **totals(members, weights, posterior, level),
    }
    values = pl.Series("p_value", list(p_values), dtype=pl.Float64)
    return without_nan(pl.DataFrame(frame).head(len(pairs)).with_columns(values))


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
            "target": names_of(network, posterior.undecided[kept]),
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
    n_targets = len(with_undecided(targets, posterior))
    members = members_of([group.members for group in groups], n_targets)
    found = totals(members, weights, posterior, level)
    texts = names_of(network, targets)
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
    return without_nan(pl.DataFrame(frame, schema=types))


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


def _contain(targets: Ints, part: Ints) -> NDArray[np.bool_]:
    """Whether each target contains all the do's of another."""
    is_set = part >= 0
    return np.asarray((targets[:, is_set] == part[is_set]).all(axis=1))


def with_undecided(targets: Ints, posterior: Posterior | None) -> Ints:
    """Return the components, and behind them the targets that were left out and may be there."""
    return targets if posterior is None else np.concatenate([targets, posterior.undecided])


def members_of(groups: Sequence[Sequence[int]], n_targets: int) -> NDArray[np.bool_]:
    """Which targets each group is made of, shape (n_groups, n_targets)."""
    out = np.zeros((len(groups), n_targets), dtype=bool)
    for k, own in enumerate(groups):
        out[k, list(own)] = True
    return out


def names_of(network: Network | MechanismNetwork, targets: Ints) -> list[str]:
    """Texts of targets, such as ``do(lung=no)``.

    Parameters
    ----------
    network : Network or MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    list of str
    """
    return list(map(str, named_targets(network, targets)))


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
    return names_of(network, target[None])[0]
