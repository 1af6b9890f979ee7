"""Components merged for reading: those that touch the same variables are one line.

A distribution that a variable is set to may come out as two or three normals, and a shift of one
sensor as two that differ by little. What was found stays as it is in ``mixture.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.inference import Posterior
from dosift.inference.posterior import false_shares
from dosift.model import Network, Target
from dosift.model.mechanism_network import MechanismNetwork, merged_targets
from dosift.results.tables import component_table, members_of, status_of

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Merged:
    """Components, grouped by what they touch.

    Attributes
    ----------
    groups : tuple of tuple of int
        Positions of components, by descending weight, the heaviest of each group first.
    """

    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, network: Network | MechanismNetwork, targets: Ints, weights: Floats) -> Merged:
        """Group components.

        Parameters
        ----------
        network : Network or MechanismNetwork
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)

        Returns
        -------
        Merged
            Components that touch the same variables, and set those of them that are discrete to the
            same states, are together. In a network of tables each one is alone, in its place.
        """
        if not isinstance(network, MechanismNetwork):
            return cls(tuple((k,) for k in range(len(targets))))
        keys = merged_targets(network, targets)
        found: dict[bytes, list[int]] = {}
        for k in np.argsort(-weights, kind="stable"):
            found.setdefault(keys[k].tobytes(), []).append(int(k))
        groups = sorted(found.values(), key=lambda own: -float(weights[own].sum()))
        return cls(tuple(map(tuple, groups)))

    @property
    def place(self) -> NDArray[np.int64]:
        """Group of each component."""
        out = np.empty(sum(map(len, self.groups)), dtype=np.int64)
        for k, own in enumerate(self.groups):
            out[list(own)] = k
        return out

    def members(self, n_targets: int) -> NDArray[np.bool_]:
        """Which targets each group is made of.

        Parameters
        ----------
        n_targets : int
            Of components, and the undecided ones behind them.

        Returns
        -------
        ndarray of bool, shape (n_groups, n_targets)
        """
        return members_of(self.groups, n_targets)

    def summed(self, posterior: Floats) -> Floats:
        """Add up what components have.

        Parameters
        ----------
        posterior : ndarray, shape (n_rows, n_components)

        Returns
        -------
        ndarray, shape (n_rows, n_groups)
        """
        return np.stack([posterior[:, list(own)].sum(axis=1) for own in self.groups], axis=1)

    def best(self, best: Ints, posterior: Floats) -> NDArray[np.int64]:
        """Most probable group of each row.

        Parameters
        ----------
        best : ndarray of int, shape (n_rows,)
            Most probable component; -1 where none can produce the row.
        posterior : ndarray, shape (n_rows, n_components)

        Returns
        -------
        ndarray of int64, shape (n_rows,)
            -1 where none can produce the row.
        """
        found = np.append(self.place, -1)[best]
        if len(self.groups) < len(self.place):
            found = np.where(best < 0, -1, self.summed(posterior).argmax(axis=1))
        return np.asarray(found, dtype=np.int64)

    def texts(self, targets: Sequence[Target]) -> tuple[str, ...]:
        """Text of each group: that of its heaviest component.

        Parameters
        ----------
        targets : sequence of Target
            Of all components.

        Returns
        -------
        tuple of str
        """
        return tuple(str(targets[own[0]]) for own in self.groups)


def merged_table(
    merged: Merged,
    targets: Sequence[Target],
    weights: Floats,
    n_rows: float,
    posterior: Posterior | None,
    level: float = 0.95,
    is_known: NDArray[np.bool_] | None = None,
) -> pl.DataFrame:
    """Table of components, one line for each set of variables, by descending weight.

    Parameters
    ----------
    merged : Merged
    targets, weights, n_rows, posterior, level, is_known
        As for :func:`~dosift.results.tables.component_table`.

    Returns
    -------
    polars.DataFrame
        The columns of that table, of groups; ``also`` names, with their weights, the components
        that the heaviest one stands for. The error of a sum of weights is that of their joint
        posterior; the p-value is of "none of them is there" (Bonferroni).
    """
    fine = component_table(targets, weights, n_rows, posterior, level, is_known)
    lines = fine.to_dicts()
    heads = [dict(lines[own[0]], also=None) for own in merged.groups]
    several = [k for k, own in enumerate(merged.groups) if len(own) > 1]
    for k in several:
        own = merged.groups[k]
        heads[k]["weight"] = float(weights[list(own)].sum())
        heads[k]["rows"] = heads[k]["weight"] * n_rows
        heads[k]["also"] = "; ".join(f"{lines[m]['target']} {lines[m]['weight']:.3g}" for m in own)
        p_values = [lines[m]["p_value"] for m in own if lines[m]["p_value"] is not None]
        heads[k]["p_value"] = min(1.0, min(p_values) * len(own)) if p_values else None
    if posterior is not None and several:
        _sums(heads, several, merged.members(posterior.of_weights.estimate.size), posterior, level)
    types = dict(fine.schema) | {"also": pl.String()}
    return pl.DataFrame(heads, schema=types)


def _sums(
    heads: list[dict[str, object]],
    several: Sequence[int],
    members: NDArray[np.bool_],
    posterior: Posterior,
    level: float,
) -> None:
    """Fill in what the joint posterior says of sums of weights."""
    found = posterior.of_weights.sums(members[list(several)], level)
    for j, k in enumerate(several):
        heads[k]["std_error"] = float(found.std_error[j])
        heads[k]["ci_low"], heads[k]["ci_high"] = float(found.low[j]), float(found.high[j])
    if not posterior.selected:
        return
    present = posterior.of_weights.any_present(members)
    single = np.array([own.sum() == 1 for own in members])
    absent = np.where(single, posterior.of_weights.absent[members.argmax(axis=1)], 1.0 - present)
    for head, missing, share in zip(heads, absent, false_shares(absent), strict=True):
        head["probability"], head["q_value"] = 1.0 - float(missing), float(share)
        head["status"] = status_of(float(share))
