"""The tables of interventions by the variables they touch, and of mechanisms that changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.checks.verdict import Answer
from dosift.inference import Posterior
from dosift.model.altered import Altered
from dosift.model.described import described
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import OTHER_TEXT, is_other
from dosift.results.tables import members_of, name_of, with_undecided
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.stochastic import stochastic_interventions

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def intervention_table(
    network: Network | MechanismNetwork,
    targets: Ints,
    weights: Floats,
    posterior: Posterior | None,
    level: float = 0.95,
) -> pl.DataFrame:
    """Table of interventions, where do's on the same variables are one.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    posterior : Posterior or None
    level : float, default=0.95
        Of the intervals.

    Returns
    -------
    polars.DataFrame
        Columns ``variables`` (a list of names), ``kind`` ("none", "hard", "stochastic"; "set",
        "shift", "gain", "fold", "free" where all changes of numbers are so, else "mixed"; "other"
        for rows from elsewhere),
        ``weight``, ``std_error``, ``ci_low``, ``ci_high``, and ``values``: a list of ``target``
        and ``share`` of the intervention's weight.
    """
    groups = stochastic_interventions(targets, weights)
    members = members_of(
        [group.members for group in groups], len(with_undecided(targets, posterior))
    )
    found = None if posterior is None else posterior.of_weights.sums(members, level)
    lines: list[dict[str, Any]] = []
    for k, group in enumerate(groups):
        index = list(group.members)
        weight = float(weights[index].sum())
        kind = _kind(network, targets[index])
        errors = dict.fromkeys(("std_error", "ci_low", "ci_high"))
        if found is not None:
            numbers = (found.std_error, found.low, found.high)
            errors = {name: float(own[k]) for name, own in zip(errors, numbers, strict=True)}
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
            **dict.fromkeys(("weight", "std_error", "ci_low", "ci_high"), number),
            "values": pl.List(pl.Struct({"target": pl.String(), "share": number})),
        }
    )
    return pl.DataFrame(lines, schema=types)


def _kind(network: Network | MechanismNetwork, targets: Ints) -> str:
    """Name what targets on the same variables do."""
    if is_other(targets).any():
        return OTHER_TEXT
    made = {(int(i), int(target[i])) for target in targets for i in np.flatnonzero(target >= 0)}
    entries = [described(network, i, position) for i, position in made]
    kinds = {entry.kind if isinstance(entry, Altered) else "do" for entry in entries}
    if kinds <= {"do"}:
        return "none" if not kinds else "hard" if len(targets) == 1 else "stochastic"
    return kinds.pop() if len(kinds) == 1 else "mixed"


def mechanism_table(
    network: Network, changed: tuple[ChangedMechanism, ...], moved: Answer | None = None
) -> pl.DataFrame:
    """Table of the mechanisms that changed.

    Parameters
    ----------
    network : Network
    changed : tuple of ChangedMechanism
    moved : Answer, optional
        Where the mechanism of a number or count was learned from these rows alone.

    Returns
    -------
    polars.DataFrame
        Columns ``variable``; ``gain``, the rise of the penalised log-likelihood in nats when its
        mechanism was learned from these rows; ``distance``, the total variation between the given
        and the new table, averaged over the rows; ``least_share``, the least share of the rows in
        which another mechanism must have been at work (an estimate without error). Null where a
        mechanism is no table.
    """
    types = {
        "variable": pl.String,
        **dict.fromkeys(("gain", "distance", "least_share"), pl.Float64),
    }
    lines: list[tuple[str, float, float | None, float | None]] = [
        (network.names[one.variable], one.gain, one.distance, one.least_share) for one in changed
    ]
    if moved is not None and not changed:
        lines += [(network.names[moved.repairs[0].variables[0]], moved.gain, None, None)]
    return pl.DataFrame(lines, schema=types, orient="row")
