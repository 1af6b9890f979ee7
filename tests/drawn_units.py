"""Rows in units that were hit by the same intervention, drawn for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

import dosift
from dosift.model.random_problems import random_mixture, random_network

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnitProblem:
    """A mixture, and rows of its units in random order.

    `rows` has the variables, and the column "unit"; `component` is the position of each row's
    target in the mixture, which is its unit's.
    """

    network: dosift.Network
    mixture: dosift.Mixture
    rows: pl.DataFrame
    component: NDArray[np.int64]

    @property
    def unit(self) -> NDArray[np.int64]:
        return self.rows["unit"].str.strip_prefix("u").cast(pl.Int64).to_numpy()


def in_units(
    network: dosift.Network, mixture: dosift.Mixture, sizes: Sequence[int], seed: int
) -> UnitProblem:
    """Draw units of some sizes, whose rows are independent but for their target."""
    rng = np.random.default_rng([18, seed])
    weights = np.array(list(mixture.weights))
    of_unit = rng.choice(len(weights), len(sizes), p=weights / weights.sum())
    unit = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    component = of_unit[unit]
    parts = []
    for t in np.unique(component).tolist():
        alone = dosift.Mixture({mixture.targets[t]: 1.0})
        parts.append(dosift.simulate(network, alone, int((component == t).sum()), rng))
    order = np.argsort(np.argsort(component, kind="stable"), kind="stable")
    rows = pl.concat(parts)[order.tolist()]
    names = pl.Series("unit", [f"u{k}" for k in unit])
    return UnitProblem(network, mixture, rows.with_columns(names), component)


def unit_problem(
    seed: int,
    *,
    n_variables: int = 4,
    n_targets: int = 5,
    n_units: int = 1_000,
    size: int = 2,
    max_size: int = 2,
    exclusion: bool = False,
) -> UnitProblem:
    """Draw a network, a mixture and its units; by default exclusion does not hold."""
    rng = np.random.default_rng([17, seed])
    network = random_network(n_variables, random_state=rng)
    mixture = random_mixture(
        network, n_targets, max_size=max_size, exclusion=exclusion, random_state=rng
    )
    return in_units(network, mixture, [size] * n_units, seed)
