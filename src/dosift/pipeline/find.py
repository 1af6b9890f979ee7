"""Targets and weights by the method that was asked for."""

from __future__ import annotations

from dataclasses import replace

from dosift.methods import estimate
from dosift.methods.soft import soften
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.pipeline.recipe import features_of
from dosift.pipeline.setup import Setup
from dosift.refusals import refuse
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.result import SearchResult


def find(setup: Setup) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
    """Find targets and weights, and mechanisms that changed if that is wanted.

    Parameters
    ----------
    setup : Setup

    Returns
    -------
    result : SearchResult
    changed : tuple of ChangedMechanism
    """
    recipe, network, options, progress = setup.recipe, setup.network, setup.options, setup.progress
    evidence, sample = setup.gathered.evidence, setup.gathered.sample
    named = features_of(recipe, evidence.rows)
    if evidence.incomplete:
        named.add("missing values")
    if evidence.held is None:
        named.add("rows in blocks")
    refuse(named)
    result = estimate(recipe.method, network, evidence, options, progress, sample)
    if evidence.labels is not None and isinstance(result.network, MechanismNetwork):
        # These rows are evidence; nothing after this is to count them twice.
        result = replace(result, network=as_network(replace(result.network, labelled=())))
    result, changed = soften(
        recipe.interventions, network, evidence, result, options, progress, sample
    )
    if evidence.rows.beside.batches and result.batch_weights is None:
        result = replace(result, batch_weights=result.weights[None])
    return result, changed
