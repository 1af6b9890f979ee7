"""What very many rows say about the weights of a mixture: sums over blocks of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import RowBlocks
from dosift.inference.network_error import (
    information_from_sums,
    posterior_left_alone,
    table_sums,
)
from dosift.inference.posterior import Belief, believe_sums
from dosift.likelihood.columns import TargetColumns
from dosift.likelihood.weight_sums import weight_sums_of
from dosift.model.network import Network
from dosift.search.undecided import Candidates

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class _InformationTask:
    """Sums over a block: gradient and information of weights, and what tables take from it."""

    columns: TargetColumns
    weights: Floats
    refined: bool

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        network, targets = self.columns.network, self.columns.targets
        columns, log_scale = self.columns(codes)
        sums = weight_sums_of(columns, log_scale, self.weights, counts)
        if network.control is None:
            return sums
        m = self.weights.size
        relative = columns / (columns[:, :m] @ self.weights)[:, None]
        left_alone = posterior_left_alone(targets[:m], self.weights, relative)
        return *sums, *table_sums(
            network, codes, counts, targets, relative, left_alone, self.refined
        )


def believe_blocks(
    blocks: RowBlocks,
    network: Network,
    targets: Ints,
    weights: Floats,
    candidates: Candidates | None,
    refined: bool,
    rng: np.random.Generator,
) -> Belief | None:
    """Work out what the rows say about the weights.

    Parameters
    ----------
    blocks : RowBlocks
        Without missing values.
    network : Network
        That the mixture refers to.
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_components,)
        Maximum-likelihood weights.
    candidates : Candidates or None
    refined : bool
        Whether mixture rows taught the network too.
    rng : numpy.random.Generator

    Returns
    -------
    Belief or None
        As of :func:`~dosift.inference.posterior.believe`, but p-values come from the quadratic
        expansion; None where some rows are impossible under the mixture.
    """
    others = targets[:0] if candidates is None else candidates.targets
    every = np.concatenate([targets, others])
    task = _InformationTask(TargetColumns(network, every), weights, refined)
    gradient, information, numbers, *tables = blocks.sum(task)
    if numbers[2] > 0:
        return None
    if network.control is not None:
        information = information_from_sums(network, information, tables, refined)
    return believe_sums(
        information,
        gradient - numbers[1],
        float(numbers[1]),
        every,
        weights,
        candidates,
        rng,
        np.zeros(weights.size, dtype=bool),
    )
