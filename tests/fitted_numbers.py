"""A fit of a network with every kind of variable, put together as the pipeline does it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from dosift.checks.assignment_confidence import certainty_of_sums, certainty_sums
from dosift.checks.densities import densities
from dosift.checks.fit_check import FitCheck
from dosift.checks.missing import MissingValues
from dosift.checks.model_check import ModelCheck
from dosift.checks.surprisal import SurprisalScale
from dosift.data import collapse
from dosift.inference.change_error import change_errors
from dosift.inference.posterior import posterior_of_fit
from dosift.likelihood.assignment import assign
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options
from dosift.model import Mixture
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.pipeline import Fitted
from dosift.pipeline.recipe import Recipe
from dosift.results.summary import Tables, diagnostics_of
from dosift.search.engine import find_targets
from dosift.search.result import SearchResult
from mixed_network import mixed_network

#: Nothing; two that touch the same variable; a do and a shift; a fold; two numbers at once.
TARGETS = np.array(
    [
        [-1, -1, -1, -1, -1],
        [-1, 0, -1, -1, -1],
        [-1, 1, -1, -1, -1],
        [1, -1, 1, -1, -1],
        [-1, -1, -1, -1, 0],
        [-1, -1, -1, 1, 1],
    ]
)
WEIGHTS = np.array([0.35, 0.15, 0.12, 0.14, 0.14, 0.1])


def true_network() -> MechanismNetwork:
    """The network with two changes of ir_1 that set it."""
    network = mixed_network()
    libraries = [*network.libraries]
    libraries[1] = Changes((SetNormal(3.0, 0.3), SetNormal(-4.0, 0.2)))
    return replace(network, libraries=tuple(libraries))


def learned(true: MechanismNetwork, n_rows: int, rng: np.random.Generator) -> MechanismNetwork:
    """Mechanisms fitted to control rows."""
    control, _ = true.draw(np.full((1, 5), -1), np.ones(1), n_rows, rng)
    mechanisms = []
    for old in true.mechanisms:
        now = old
        if isinstance(old, LinearMechanism):
            now = LinearMechanism.untaught(old.variable, old.parents, old.features)
        for _ in range(10):
            now = now.fitted(now.statistics(control, np.ones(n_rows)))
        mechanisms.append(now)
    rows = ControlRows(control, np.ones(n_rows))
    return replace(true, mechanisms=tuple(mechanisms), control=rows)


@cache
def fitted_numbers(seed: int = 0, n_rows: int = 3000) -> tuple[Fitted, np.ndarray]:
    """Fit rows of the mixture; return the fit, and the rows on the working scales."""
    rng = np.random.default_rng(seed)
    true = true_network()
    given = learned(true, 1500, rng)
    values, _ = true.draw(TARGETS, WEIGHTS, n_rows, rng)
    rows = collapse(values, true.cardinalities)
    result = find_targets(given, rows, max_size=2)
    return assembled(given, rows, result), values


def assembled(given: Any, rows: Any, result: SearchResult) -> Fitted:
    """Work out all that a fit says."""
    network = result.network
    evidence = Evidence.of_configurations(network, rows)
    posterior = posterior_of_fit(
        evidence, network, result.targets, result.weights, result.undecided, True,
        np.random.default_rng(0),
    )  # fmt: skip
    found = assign(network, result.targets, result.weights, rows.codes)
    drawn, _ = network.draw(result.targets, result.weights, 2000, np.random.default_rng(1))
    log = assign(network, result.targets, result.weights, drawn).log_probability
    scale = SurprisalScale.of_sample(log, np.ones(len(log)))
    certainty = certainty_of_sums(certainty_sums(found, rows.counts))
    check = ModelCheck(FitCheck(0.5, 0, 0, (), ()), certainty, scale, -1.0, 0.0)
    n = network.n_variables
    return Fitted(
        recipe=Recipe(),
        given=given,
        network=network,
        result=result,
        options=Options(),
        library="polars",
        n_units=None,
        n_rows=float(rows.counts.sum()),
        n_configurations=len(rows.counts),
        batches=(),
        batch_rows=np.zeros(0),
        labels=None,
        changed=(),
        is_known=np.zeros(len(result.targets), dtype=bool),
        posterior=posterior,
        batch_posteriors=(),
        rates=[],
        pairs=[],
        pair_p_values=[],
        missing=MissingValues(np.zeros(n), 0.0, ()),
        check=check,
        change_errors=change_errors(evidence, network, result.targets, result.weights),
        densities=densities(evidence, network, result.targets, result.weights),
    )


class Model:
    """What the estimator shows of a fit."""

    level = 0.95
    method = "likelihood"

    def __init__(self, fitted: Fitted) -> None:
        result, tables = fitted.result, Tables.of_fit(fitted, self.level)
        self.fitted_, self.network_ = fitted, fitted.network
        self.mixture_ = Mixture.from_codes(fitted.network, result.targets, result.weights)
        self.weights_, self.optimality_gap_ = result.weights, result.gap
        self.converged_, self.n_rows_ = result.converged, fitted.n_rows
        self.certainty_ = fitted.check.certainty
        self.impossible_rows_ = fitted.check.certainty.impossible
        self.fit_check_, self.surprise_scale_ = fitted.check.fit, fitted.pooled_scale
        self.missing_values_ = fitted.missing
        for name, table in vars(tables).items():
            setattr(self, f"{name}_", table)

    def diagnostics(self) -> dict[str, Any]:
        return diagnostics_of(self.fitted_)
