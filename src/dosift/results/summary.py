"""Everything that a fit says, as tables and numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from dosift.model import Target
from dosift.model.described import named_targets
from dosift.model.mechanism_network import MechanismNetwork
from dosift.pipeline import Fitted
from dosift.results.changes import change_table
from dosift.results.graphs import graph_table
from dosift.results.interventions import intervention_table, mechanism_table
from dosift.results.merged import Merged, merged_table
from dosift.results.standing import totals_with_standing, with_standing
from dosift.results.tables import (
    component_table,
    family_table,
    name_of,
    near_equivalent_table,
    pair_table,
    undecided_table,
    variable_table,
)
from dosift.results.timeline import timeline_table
from dosift.results.words import fit_check_content


@dataclass(frozen=True)
class Tables:
    """The tables of a fit.

    Attributes
    ----------
    targets : list of Target
        By descending weight.
    components, variables, pairs, families, confusable, undecided : polars.DataFrame
    interventions, mechanisms : polars.DataFrame
    batches, graph, timeline : polars.DataFrame or None
        What they hold, :class:`~dosift.estimator.InterventionMixture` says.
    """

    targets: list[Target]
    components: pl.DataFrame
    variables: pl.DataFrame
    pairs: pl.DataFrame
    families: pl.DataFrame
    confusable: pl.DataFrame
    undecided: pl.DataFrame
    interventions: pl.DataFrame
    mechanisms: pl.DataFrame
    batches: pl.DataFrame | None
    graph: pl.DataFrame | None
    timeline: pl.DataFrame | None

    @classmethod
    def of_fit(cls, fitted: Fitted, level: float) -> Tables:
        """Make the tables.

        Parameters
        ----------
        fitted : Fitted
        level : float
            Of the intervals.

        Returns
        -------
        Tables
        """
        result, posterior = fitted.result, fitted.posterior
        codes, weights, network = result.targets, result.weights, fitted.network
        targets = named_targets(network, codes)
        return cls(
            targets,
            _components(fitted, targets, level),
            _variables(fitted, level),
            pair_table(
                network, codes, weights, posterior, fitted.pairs, fitted.pair_p_values, level
            ),
            family_table(network, codes, weights, posterior, level),
            near_equivalent_table(network, codes, result.near_equivalent, _names(fitted, targets)),
            undecided_table(network, posterior, level),
            intervention_table(network, codes, weights, posterior, level),
            mechanism_table(network, fitted.changed, fitted.moved),
            _batch_table(fitted, targets, level),
            graph_table(network, fitted.graph),
            _timeline(fitted, targets, level),
        )


def _timeline(fitted: Fitted, targets: list[Target], level: float) -> pl.DataFrame | None:
    if fitted.in_time is None:
        return None
    return timeline_table(fitted.in_time, _names(fitted, targets), level, fitted.batches)


def _components(fitted: Fitted, targets: list[Target], level: float) -> pl.DataFrame:
    result, posterior = fitted.result, fitted.posterior
    common = (targets, result.weights, fitted.n_rows, posterior, level, fitted.is_known)
    merged = Merged.of(fitted.network, result.targets, result.weights)
    if isinstance(fitted.network, MechanismNetwork):
        table = merged_table(merged, *common)
    else:
        table = component_table(*common)
    table = with_standing(table, fitted, merged.groups)
    if fitted.in_time is None:
        return table
    # Weights are shares in the long run; how many rows there were is another number.
    expected = dict.fromkeys(table["target"], 0.0)
    for text, n_rows in zip(
        _names(fitted, targets), fitted.in_time.posterior.sum(axis=0).tolist(), strict=True
    ):
        expected[text] += n_rows
    return table.with_columns(pl.Series("rows", list(expected.values())))


def _names(fitted: Fitted, targets: list[Target]) -> list[str]:
    """Text of the line in which each component stands."""
    merged = Merged.of(fitted.network, fitted.result.targets, fitted.result.weights)
    texts = merged.texts(targets)
    return [texts[k] for k in merged.place]


def _variables(fitted: Fitted, level: float) -> pl.DataFrame:
    codes, weights, posterior = fitted.result.targets, fitted.result.weights, fitted.posterior
    if isinstance(fitted.network, MechanismNetwork):
        network, errors, rates = fitted.network, fitted.change_errors, fitted.rates
        table = change_table(network, codes, weights, posterior, errors, rates, level)
    else:
        table = variable_table(fitted.given, codes, weights, posterior, fitted.rates, level)
    return totals_with_standing(table, fitted)


def _batch_table(fitted: Fitted, targets: list[Target], level: float) -> pl.DataFrame | None:
    """Table of the components of each batch, by batch and descending weight.

    Each of the targets that batches have in common may be in a batch or not: errors and intervals
    are averaged over that, with the share of the other batches that hold a target for its
    probability beforehand.
    """
    weights = fitted.result.batch_weights
    if not fitted.batches or weights is None:
        return None
    parts = []
    for b, (name, (own, posterior)) in enumerate(
        zip(fitted.batches, fitted.batch_posteriors, strict=True)
    ):
        names = [targets[int(k)] for k in own]
        table = component_table(
            names, weights[b, own], float(fitted.batch_rows[b]), posterior, level
        )
        if fitted.in_time is not None:
            expected = fitted.in_time.posterior_rows(b)[own]
            table = table.with_columns(pl.Series("rows", expected))
        parts.append(table.select(pl.lit(name).alias("batch"), pl.all()))
    return pl.concat(parts)


def diagnostics_of(fitted: Fitted) -> dict[str, Any]:
    """Return the numbers that tell how far a fit can be trusted.

    Parameters
    ----------
    fitted : Fitted

    Returns
    -------
    dict
        Ready for JSON: log-likelihood and score are None where a row is impossible.
    """
    result, check = fitted.result, fitted.check
    return {
        "n_rows": fitted.n_rows,
        **({} if fitted.n_units is None else {"n_units": fitted.n_units}),
        "n_configurations": fitted.n_configurations,
        "n_components": len(result.targets),
        "log_likelihood": _finite(result.log_likelihood),
        "penalised_score": _finite(result.penalised_score),
        "optimality_gap": result.gap,
        "converged": result.converged,
        "certificate": _certificate(fitted),
        "impossible_rows": check.certainty.impossible,
        "unexplained_rows": check.n_unexplained,
        "rows_with_missing_values": fitted.missing.n_rows,
        "fit_check": fit_check_content(check.fit, fitted.network),
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _certificate(fitted: Fitted) -> dict[str, Any] | None:
    found = fitted.result.certificate
    if found is None:
        return None
    target = None if found.target is None else name_of(fitted.network, found.target)
    return {**asdict(found), "target": target}
