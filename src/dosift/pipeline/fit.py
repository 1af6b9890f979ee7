"""A fit from its beginning to its end: the graph, the targets, what is known of them, checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.checks.densities import densities
from dosift.checks.missing import look_at_missing
from dosift.checks.model_check import with_surprises
from dosift.checks.neighbours import like_units, neighbours_agree, rows_to_see
from dosift.data.blocks import MemoryBlocks
from dosift.data.load import Loaded
from dosift.inference import Posterior
from dosift.inference.change_error import change_errors
from dosift.inference.posterior import posterior_of_fit, posteriors_of_batches
from dosift.inference.rate_tests import (
    pair_p_values,
    pairs_of,
    rates_of_families,
)
from dosift.likelihood.evidence import Evidence
from dosift.methods import OPTIMISING
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import interventions
from dosift.model.simulate import as_generator
from dosift.pipeline.asked import Asking, judged_in_full
from dosift.pipeline.find import find
from dosift.pipeline.find_in_time import find_in_time
from dosift.pipeline.fitted import Fitted
from dosift.pipeline.gather import prepare, unlabelled
from dosift.pipeline.graph import averaged_over_graphs, with_graph
from dosift.pipeline.in_time import InTime
from dosift.pipeline.negative_control import Played, negative_control
from dosift.pipeline.recipe import Recipe
from dosift.pipeline.row_reliability import row_reliability
from dosift.pipeline.series import Series
from dosift.pipeline.setup import Gathered, Setup
from dosift.pipeline.verdict import verdict_of
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.result import SearchResult
from dosift.search.score import Score
from dosift.utils.progress import Progress
from dosift.utils.threads import one_blas_thread


def fit(
    recipe: Recipe, network: Network, loaded: Loaded, progress: Progress | None = None
) -> Fitted:
    """Fit a mixture to rows, and work out everything that is known about it.

    Parameters
    ----------
    recipe : Recipe
    network : Network
        The undisturbed system.
    loaded : Loaded
        The mixture rows.
    progress : callable, optional
        Called with a stage's name, the steps done and the steps in all.

    Returns
    -------
    Fitted

    Raises
    ------
    InputError
        If the rows are not what the network needs, or things cannot be combined.
    """
    with one_blas_thread():
        return _fit(recipe, network, loaded, progress)


def _fit(recipe: Recipe, network: Network, loaded: Loaded, progress: Progress | None) -> Fitted:
    setup, labels = prepare(recipe, network, loaded, progress)
    series = None if loaded.order is None else Series.of(loaded, labels)
    if series is not None:
        setup = replace(setup, gathered=series.in_windows(setup.network))
    setup, graph = with_graph(setup)
    n_rows = setup.gathered.evidence.total if series is None else loaded.rows.n_rows
    control = negative_control(setup, n_rows, Played(loaded.control, series is not None))
    power = 1.0 if control is None else control.power
    again = None if series is None else partial(_found_in_time, setup, series)
    whole, in_time = setup.gathered, None
    changed: tuple[ChangedMechanism, ...] = ()
    if series is None:
        setup = setup.counting_for(power)
        result, changed = find(setup)
    else:
        setup, result, in_time = find_in_time(setup, series, power)
        whole, setup = setup.gathered, setup.counting_for(power)
    given, in_full, evidence = setup.network, whole.evidence, setup.gathered.evidence
    missing = look_at_missing(given, in_full, whole.sample)
    setup.tell("checking the fit", 0, None)
    asking = Asking(setup, whole, power, changed, graph, missing.suspicious, again)
    if in_time is None:
        asked = asking.about(result)
    else:
        asked = asking.about(result, (_apart(given, loaded), in_time.with_shares(result)))
    result = asked.result
    setup.tell("working out errors", 0, None)
    known = setup.options.constraints_on(result.network, result.targets, result.weights)
    is_known = ~np.isnan(known.fixed(result.targets))
    posterior = _posterior(recipe, evidence, result, is_known)
    of_graphs = in_time is None and asked.elsewhere is None
    if posterior is not None and graph is not None and of_graphs:
        result, posterior = averaged_over_graphs(setup, graph, result, posterior)
    of_tables = isinstance(given, Network)
    # Tests that take rows for independent.
    shared = evidence.shared(given)
    rates = rates_of_families(given, shared.families) if of_tables else []
    pairs = pairs_of(interventions(result.targets), result.weights) if of_tables else []
    p_values = pair_p_values(shared, given, rates, pairs)
    # Of rows in time the weights are those of the chain, in each batch as in all.
    own = result if in_time is None else in_time.with_weights(result)
    in_batches = tuple(_batch_posteriors(evidence, own, _refined(recipe)))
    result = judged_in_full(result, in_full, power)
    check, graph = asked.check, asked.graph
    verdict = verdict_of(recipe, result, posterior, asked.answers, control, check, graph)
    of_rows = None if in_time is not None else row_reliability(whole, result, verdict.others)
    taught, apart, moved = result.network, in_full.apart(given), asked.moved
    if moved is not None:
        changed = moved.changed
    fitted = Fitted(
        recipe=recipe,
        given=given if moved is None else moved.network,
        network=_final(taught, given if changed else taught),
        result=result,
        options=setup.options,
        library=loaded.library,
        n_rows=apart.total,
        n_units=in_full.total if in_full.has_units else None,
        n_configurations=None if in_full.held is None else len(in_full.held),
        batches=in_full.rows.beside.batches,
        batch_rows=apart.n_rows,
        labels=labels,
        changed=changed,
        is_known=is_known,
        posterior=posterior,
        batch_posteriors=in_batches,
        rates=rates,
        pairs=pairs,
        pair_p_values=p_values,
        missing=missing,
        check=check,
        graph=graph,
        control=control,
        verdict=replace(verdict, of_rows=of_rows),
        elsewhere=asked.elsewhere,
        moved=None if moved is None else moved.answer,
        **_look_for_units(given, loaded),
        **_of_numbers(setup.gathered, result),
    )
    return fitted if in_time is None else _with_time(fitted, in_time, loaded)


def _refined(recipe: Recipe) -> bool:
    return recipe.refine and recipe.method == "likelihood"


def _posterior(
    recipe: Recipe, evidence: Evidence, result: SearchResult, is_known: Bools
) -> Posterior | None:
    """Say what rows tell of the weights, where the method maximises the likelihood."""
    if recipe.method not in OPTIMISING or is_known.all():
        return None
    return posterior_of_fit(
        evidence.pooled,
        result.network,
        result.targets,
        result.weights,
        result.undecided,
        _refined(recipe),
        as_generator(recipe.random_state),
        is_known,
    )


def _found_in_time(setup: Setup, series: Series, network: Network) -> SearchResult:
    """Find targets in time once more, under another network."""
    return find_in_time(replace(setup, network=network, progress=None), series)[1]


def _apart(network: Network, loaded: Loaded) -> Gathered:
    """Take rows in time one by one, without those that are labelled."""
    rows = unlabelled(loaded.rows) if loaded.rows.beside.labels else loaded.rows
    assert isinstance(rows, MemoryBlocks)
    return Gathered(Evidence.held_rows(network, rows))


def _final(taught: Network, learned: Network) -> Network:
    """Return the network that a mixture refers to.

    Freed tables come with control counts that only say how they were learned.
    """
    if not isinstance(taught, Network):
        return taught
    out = Network(taught.variables, taught.parents, taught.tables, learned.control)
    return out.with_other(taught.other)


def _with_time(fitted: Fitted, in_time: InTime, loaded: Loaded) -> Fitted:
    """Let weights be shares of time, which until here were those of stretches."""
    posterior, rng = fitted.posterior, as_generator(fitted.recipe.random_state)
    if posterior is not None:
        posterior = in_time.posterior_of_weights(posterior, fitted.result, rng)
    assert isinstance(loaded.rows, MemoryBlocks)
    result, recipe = in_time.with_weights(fitted.result), fitted.recipe
    apart = _apart(fitted.given, loaded).evidence
    check = with_surprises(fitted.check, apart, result, recipe.random_state)
    odds = _log_prior_odds(fitted.network, fitted.result.targets, in_time.fit.weights > 0)
    in_batches = tuple(
        (own, in_time.posterior_of_batch(b, own, found, odds[b], rng))
        for b, (own, found) in enumerate(fitted.batch_posteriors)
    )
    batch_rows = fitted.batch_rows
    if in_time.order.batch is not None:
        batch_rows = np.bincount(in_time.order.batch, minlength=len(fitted.batches)).astype(float)
    return replace(
        fitted,
        result=result,
        posterior=posterior,
        batch_posteriors=in_batches,
        batch_rows=batch_rows,
        check=replace(check, certainty=in_time.certainty),
        n_rows=loaded.rows.n_rows,
        n_units=None,
        n_configurations=len(loaded.rows.whole),
        in_time=in_time,
    )


def _look_for_units(network: Network, loaded: Loaded) -> dict[str, Any]:
    """Say whether rows that follow each other, or share a value of a column, go together."""
    beside = loaded.rows.beside
    if loaded.unit is not None or loaded.order is not None or beside.batches or beside.labels:
        return {}
    values = loaded.first_values(rows_to_see(network.n_variables))
    if values is None:
        return {}
    sizes = network.cardinalities.tolist()
    # Rows of weight zero are left out, so that columns do not stand beside their rows any more.
    whole = loaded.inverse is None or bool((loaded.inverse >= 0).all())
    return {
        "neighbours": neighbours_agree(values, sizes),
        "like_units": like_units(values, sizes, loaded.further if whole else ()),
    }


def _of_numbers(gathered: Gathered, result: SearchResult) -> dict[str, Any]:
    """Say how sure the numbers of changes are, and what columns look like under them."""
    network, pooled = result.network, gathered.evidence.pooled
    if not isinstance(network, MechanismNetwork):
        return {}
    targets, weights = result.targets, result.weights
    return {
        "change_errors": change_errors(pooled, network, targets, weights),
        "densities": densities(pooled, network, targets, weights, gathered.sample),
    }


def _batch_posteriors(
    evidence: Evidence, result: SearchResult, refined: bool
) -> Iterator[tuple[NDArray[np.int64], Posterior | None]]:
    if result.batch_weights is None:
        return
    odds = _log_prior_odds(result.network, result.targets, result.batch_weights > 0)
    yield from posteriors_of_batches(
        evidence, result.network, result.targets, result.batch_weights, odds, refined
    )


def _log_prior_odds(network: Network, targets: Ints, present: Bools) -> Floats:
    """Odds of each target being in each batch, judged by the other batches.

    For a target that no other batch has, those of a target picked among all. Axes are those of
    `present`: batches and targets.
    """
    others = present.sum(axis=0) - present
    odds = np.log(others + 0.5) - np.log(len(present) - 1 - others + 0.5)
    score = Score(1.0, network.cardinalities, network.n_variables)
    alone = np.log(present.sum(axis=1))[:, None] - score.names(targets)
    return np.asarray(np.where(others > 0, odds, alone), dtype=np.float64)
