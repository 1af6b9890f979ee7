"""Interventions that are no do's: stochastic ones, and mechanisms that changed otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.data import Configurations
from dosift.errors import InputError
from dosift.methods import Options, estimate
from dosift.model.network import Network
from dosift.results.tables import name_of
from dosift.search.constraints import Constraints
from dosift.search.engine import SearchResult
from dosift.search.mechanisms import ChangedMechanism, find_changed_mechanisms
from dosift.search.stochastic import complete_values, stochastic_interventions

if TYPE_CHECKING:
    import polars as pl

    from dosift.inference import Belief

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]

#: What `interventions` may be, the default first.
KINDS = ("hard", "stochastic", "any")


def check_kind(kind: str, method: str, others: bool) -> None:
    """Refuse what soft interventions cannot be combined with.

    Parameters
    ----------
    kind : str
        What `interventions` is.
    method : str
    others : bool
        Whether there are batches or labels.

    Raises
    ------
    InputError
    """
    if kind == "hard":
        return
    if method != "likelihood":
        raise InputError(f"interventions={kind!r} needs method 'likelihood', not {method!r}")
    if others:
        raise InputError(f"interventions={kind!r} cannot be combined with batches or labels")


def soften(
    kind: str,
    network: Network,
    configurations: Configurations,
    result: SearchResult,
    options: Options,
    progress: Progress | None,
) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
    """Allow more than do's, where that explains the rows better.

    Parameters
    ----------
    kind : {"hard", "stochastic", "any"}
    network : Network
        As it was given.
    configurations : Configurations
    result : SearchResult
        With do's only.
    options : Options
    progress : callable, optional

    Returns
    -------
    result : SearchResult
    changed : tuple of ChangedMechanism
    """
    changed: tuple[ChangedMechanism, ...] = ()
    if kind == "any":

        def free(other: Network, refine: bool) -> SearchResult:
            own = replace(options, refine=refine)
            return estimate("likelihood", other, configurations, own, progress)

        result, changed = find_changed_mechanisms(network, configurations, result, free, progress)
    known = options.constraints or Constraints.none(network.cardinalities)
    if kind != "hard" and known.is_free:

        def from_list(listed: Ints) -> SearchResult:
            own = replace(options, refine=False, constraints=replace(known, candidates=listed))
            return estimate("likelihood", result.network, configurations, own, progress)

        result = complete_values(result, network.cardinalities, from_list)
    return result, changed


def intervention_table(
    network: Network, targets: Ints, weights: Floats, belief: Belief | None, level: float = 0.95
) -> pl.DataFrame:
    """Table of interventions, where do's on the same variables are one.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    belief : Belief or None
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    polars.DataFrame
        Columns ``variables`` (a list of names), ``kind`` ("none", "hard", "stochastic"),
        ``weight``, ``std_error``, ``ci_low``, ``ci_high``, and ``values``: a list of ``target``
        and ``share`` of the intervention's weight.
    """
    import polars as pl

    groups = stochastic_interventions(targets, weights)
    n_others = 0 if belief is None else len(belief.candidates)
    members = np.zeros((len(groups), len(targets) + n_others), dtype=bool)
    for k, group in enumerate(groups):
        members[k, list(group.members)] = True
    found = None if belief is None else belief.posterior.sums(members, level)
    lines: list[dict[str, Any]] = []
    for k, group in enumerate(groups):
        index = list(group.members)
        weight = float(weights[index].sum())
        kind = "none" if not group.variables else "hard" if len(index) == 1 else "stochastic"
        errors = dict.fromkeys(("std_error", "ci_low", "ci_high"))
        if found is not None:
            errors = {
                "std_error": float(found.std_error[k]),
                "ci_low": float(found.low[k]),
                "ci_high": float(found.high[k]),
            }
        # A label's target may have no weight that could be shared.
        values = [
            {
                "target": name_of(network, targets[m]),
                "share": float(weights[m]) / weight if weight > 0 else None,
            }
            for m in index
        ]
        names = [network.names[i] for i in group.variables]
        line = {"variables": names, "kind": kind, "weight": weight, **errors, "values": values}
        lines.append(line)
    number = pl.Float64()
    types = pl.Schema(
        {
            "variables": pl.List(pl.String()),
            "kind": pl.String(),
            "weight": number,
            "std_error": number,
            "ci_low": number,
            "ci_high": number,
            "values": pl.List(pl.Struct({"target": pl.String(), "share": number})),
        }
    )
    return pl.DataFrame(lines, schema=types)


def mechanism_table(network: Network, changed: tuple[ChangedMechanism, ...]) -> pl.DataFrame:
    """Table of the mechanisms that changed.

    Parameters
    ----------
    network : Network
    changed : tuple of ChangedMechanism

    Returns
    -------
    polars.DataFrame
        Columns ``variable``; ``gain``, the rise of the penalised log-likelihood in nats when its
        table was learned from these rows; ``distance``, the total variation between the given and
        the new table, averaged over the rows; ``least_share``, the least share of the rows in which
        another mechanism must have been at work (an estimate without error).
    """
    import polars as pl

    types = {
        "variable": pl.String,
        **dict.fromkeys(("gain", "distance", "least_share"), pl.Float64),
    }
    columns = {
        "variable": [network.names[one.variable] for one in changed],
        "gain": [one.gain for one in changed],
        "distance": [one.distance for one in changed],
        "least_share": [one.least_share for one in changed],
    }
    return pl.DataFrame(columns, schema=types)
