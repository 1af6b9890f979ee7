"""The tables of results where some weights were given rather than estimated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dosift.interventions import Target
from dosift.network.model import Network
from dosift.tables import component_table, variable_table

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

_ERRORS = ("std_error", "ci_low", "ci_high", "p_value", "q_value")


def tables_given_weights(
    network: Network,
    names: Sequence[Target],
    targets: Ints,
    weights: Floats,
    is_known: NDArray[np.bool_],
    columns: Floats,
    codes: Ints,
    counts: Floats,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tables of components and of totals, with the errors of the weights that were estimated.

    The free weights are ``S u`` with u on the simplex, where ``S`` is what the known weights
    leave, and the likelihood of u is that of a mixture of the columns ``F + S L_t``, where ``F``
    is the known part of the density. So the errors of u are those of any mixture, and those of
    the free weights are S times as large.

    Parameters
    ----------
    network : Network
    names : sequence of Target
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    is_known : ndarray of bool, shape (n_targets,)
        Whose weights were given; at least one.
    columns : ndarray, shape (n_configurations, n_targets)
    codes : ndarray of int, shape (n_configurations, n_variables)
    counts : ndarray, shape (n_configurations,)

    Returns
    -------
    components, variables : polars.DataFrame
        As :func:`~dosift.tables.component_table` and :func:`~dosift.tables.variable_table` return
        them. A known weight has no error, interval or p-value.
    """
    import polars as pl

    free = ~is_known
    mixture = columns @ weights
    rest = float(weights[free].sum())
    unknown = [pl.lit(None, dtype=pl.Float64).alias(name) for name in _ERRORS]
    if not free.any() or rest <= 0:
        parts = component_table(names, weights, columns, mixture, counts, False)
        totals = variable_table(network, targets, weights, columns, mixture, codes, counts, False)
        return parts.with_columns(unknown), totals
    shares = weights[free] / rest
    changed = rest * columns[:, free] + (columns[:, is_known] @ weights[is_known])[:, None]
    some = [name for name, one in zip(names, free, strict=True) if one]
    others = [name for name, one in zip(names, free, strict=True) if not one]
    scaled = ("weight", "std_error", "ci_low", "ci_high", "rows")
    found = component_table(some, shares, changed, mixture, counts).with_columns(
        *(pl.col(name) * rest for name in scaled)
    )
    given = component_table(
        others, weights[is_known], columns[:, is_known], mixture, counts, False
    ).with_columns(unknown)
    components = pl.concat([found, given.select(found.columns)]).sort(
        "weight", descending=True, maintain_order=True
    )
    totals = variable_table(network, targets[free], shares, changed, mixture, codes, counts)
    known = variable_table(
        network,
        targets[is_known],
        weights[is_known],
        columns[:, is_known],
        mixture,
        codes,
        counts,
        False,
    ).select("variable", "value", pl.col("rate").alias("_known"))
    shifted = ("rate", "ci_low", "ci_high")
    variables = (
        totals.join(known, on=["variable", "value"], how="left", maintain_order="left")
        .with_columns(
            *(pl.col(name) * rest + pl.col("_known") for name in shifted),
            pl.col("std_error") * rest,
        )
        .drop("_known")
        .sort("rate", descending=True, maintain_order=True)
    )
    return components, variables
