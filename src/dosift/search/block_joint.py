"""A learned network and a mixture taught together, from sums over rows that are not held.

The same joint objective as in :mod:`dosift.search.joint`. Each pass over the rows gives the sums
for one step of EM of every table, and for one quadratic step of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import RowBlocks
from dosift.learning.tables import tables_of
from dosift.likelihood.columns import TargetColumns, family_cells
from dosift.likelihood.rates import reference_log_likelihood
from dosift.likelihood.weight_sums import WeightSums, quadratic_step, weight_sums_of
from dosift.model.network import ControlCounts, Network
from dosift.search.joint import log_prior

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Rise of the joint objective (nats, all rows) at which the tables are left, and most passes.
_EM_RISE, _MAX_PASSES = 0.02, 60


@dataclass(frozen=True)
class _TeachTask:
    """Sums over a block for weights and tables.

    Attributes
    ----------
    columns : TargetColumns
    weights : ndarray, shape (n_targets,)
    """

    columns: TargetColumns
    weights: Floats

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        network, targets = self.columns.network, self.columns.targets
        columns, log_scale = self.columns(codes)
        mixture = columns @ self.weights
        share = np.divide(counts, mixture, out=np.zeros_like(mixture), where=mixture > 0)
        families: list[Floats] = []
        every = share * mixture
        for i, table in enumerate(network.tables):
            sets = targets[:, i] >= 0
            # A row counts as much as the posterior of the targets that leave the variable alone.
            left_alone = every
            if sets.any():
                left_alone = every - share * (columns[:, sets] @ self.weights[sets])
                left_alone = np.maximum(left_alone, 0.0)
            cells = family_cells(network, i, codes)
            flat = np.bincount(cells, weights=left_alone, minlength=table.size)
            families.append(flat.astype(np.float64).reshape(table.shape))
        sums = weight_sums_of(columns, log_scale, self.weights, counts)
        return *sums, *families


def refine_over_blocks(
    blocks: RowBlocks,
    seen: Sequence[Floats],
    control: ControlCounts,
    network: Network,
    targets: Ints,
    weights: Floats,
) -> tuple[Network, Floats]:
    """Raise the joint objective of all rows and the control rows until a pass hardly helps.

    Parameters
    ----------
    blocks : RowBlocks
        Without missing values.
    seen : sequence of ndarray
        Counts of each variable with its parents, in all rows.
    control : ControlCounts
        The same of the control rows, with the prior.
    network : Network
        Tables to start from.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    network : Network
    weights : ndarray, shape (n_targets,)
    """

    def at(network: Network, weights: Floats) -> tuple[float, WeightSums, list[Floats]]:
        """One pass: the joint objective, and what the next steps need."""
        task = _TeachTask(TargetColumns(network, targets), weights)
        gradient, information, numbers, *families = blocks.sum(task)
        sums = WeightSums(gradient, information, *(float(x) for x in numbers))
        # Densities are relative to the undisturbed network's, which changes with its tables.
        value = sums.log_density + reference_log_likelihood(network, seen)
        return value + log_prior(network, control), sums, families

    value, sums, families = at(network, weights)
    for _ in range(_MAX_PASSES):
        taught = _taught(network, families, control)
        moved = np.maximum(weights + quadratic_step(sums, weights), 0.0)
        moved /= moved.sum()
        found = at(taught, moved)
        if found[0] < value:
            # Both steps at once went too far; a step of EM alone never loses.
            moved = weights * sums.gradient
            moved /= moved.sum()
            found = at(taught, moved)
        rise = found[0] - value
        network, weights, (value, sums, families) = taught, moved, found
        if rise < _EM_RISE:
            break
    return network, weights


def _taught(network: Network, families: Sequence[Floats], control: ControlCounts) -> Network:
    counted = [own + new for own, new in zip(control.counts, families, strict=True)]
    new_tables = tables_of(counted, control.prior)
    # Without a prior, a parent configuration that nobody saw keeps what it had.
    tables = [
        np.where(np.isnan(new), old, new)
        for old, new in zip(network.tables, new_tables, strict=True)
    ]
    return network.with_tables(tables)
