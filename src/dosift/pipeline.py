"""The one way through the house: what was asked, and the rows, go in; what came of it comes out.

The estimator, the command, the bootstrap, held-out rows, stability and the report take a
:class:`Recipe` and a :class:`Fitted`, never each other's privates. What goes with what is
said in one table (:data:`~dosift.refusals.REFUSALS`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.checks.missing import MissingValues, look_at_missing
from dosift.checks.model_check import ModelCheck, check_model, surprisal_scale
from dosift.checks.surprisal import SurprisalScale
from dosift.data import sample as sampling
from dosift.data.blocks import Block, MemoryBlocks, RowBlocks, UnlabelledBlocks
from dosift.data.configurations import collapse
from dosift.data.load import Loaded, load
from dosift.data.sample import Sampler
from dosift.errors import InputError
from dosift.inference import Posterior
from dosift.inference.posterior import posterior_of_fit, posteriors_of_batches
from dosift.inference.rate_tests import (
    Pair,
    RateWithTest,
    pair_p_values,
    pairs_of,
    rates_of_families,
)
from dosift.learning.edge_knowledge import EdgeKnowledge
from dosift.likelihood.assignment import Assignment, judge
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.first_pass import CountFamilies, FirstPass, sampler_after
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods import DEFAULT_EPSILON, OPTIMISING, Options, Progress, estimate
from dosift.methods.labels import Labels, read_labels, taught, with_labels
from dosift.methods.options import silent
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.methods.soft import soften
from dosift.model.network import Network, without_negligible
from dosift.model.simulate import RandomState, as_generator
from dosift.refusals import refuse
from dosift.search.constraints import Constraints
from dosift.search.filling import filled_in
from dosift.search.mechanisms import ChangedMechanism
from dosift.search.result import SearchResult
from dosift.search.score import Score

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Recipe:
    """What was asked for.

    Attributes
    ----------
    method : {"likelihood", "moments", "em", "brute-force"}
    max_size : int or None
    refine : bool
    gap : float
    epsilon : float
    delta : float or None
    prior_knowledge : PriorKnowledge or None
    interventions : {"hard", "stochastic", "any"}
    random_labels : bool
        Whether labelled rows are a random sample of all rows, and so tell about the weights.
    random_state : int, Generator or None
        Seed of the draws behind intervals, probabilities and checks.
    edges : {"fixed", "repair", "learn"}
        What rows may do to the graph of the network: nothing; add, remove and reverse edges; or
        make it, where it is not known.
    edge_knowledge : EdgeKnowledge or None
        What is known of edges, which holds whatever rows may do.

    Notes
    -----
    What the others mean, :class:`~dosift.estimator.InterventionMixture` says.
    """

    method: str = "likelihood"
    max_size: int | None = None
    refine: bool = True
    gap: float = DEFAULT_GAP
    epsilon: float = DEFAULT_EPSILON
    delta: float | None = None
    prior_knowledge: PriorKnowledge | None = None
    interventions: str = "hard"
    random_labels: bool = False
    random_state: RandomState = 0
    edges: str = "fixed"
    edge_knowledge: EdgeKnowledge | None = None

    def options(self, network: Network, known: PriorKnowledge | None) -> Options:
        """Return what the method is told."""
        constraints = (known or PriorKnowledge()).constraints(network, self.max_size)
        return Options(self.max_size, self.refine, self.gap, self.epsilon, self.delta, constraints)


_KINDS = {"stochastic": "stochastic interventions", "any": "changed mechanisms"}


def features_of(recipe: Recipe, rows: RowBlocks) -> set[str]:
    """Name what a recipe and rows ask for, as far as it is known before the rows are visited."""
    named = {recipe.method}
    if recipe.interventions in _KINDS:
        named.add(_KINDS[recipe.interventions])
    if rows.beside.batches:
        named.add("batches")
    if rows.beside.labels:
        named.add("labels")
    return named


@dataclass(frozen=True)
class Gathered:
    """Rows made ready for estimation.

    Attributes
    ----------
    evidence : Evidence
        All rows that count.
    sample : Block or None
        Some of them, where they are not held.
    """

    evidence: Evidence
    sample: Block | None

    @property
    def held(self) -> Evidence | None:
        """The rows without batches, or a sample of them, held."""
        return self.evidence.pooled if self.evidence.held is not None else None


def gather(
    network: Network, rows: RowBlocks, labels: Ints | None, seed: int, tell: Progress = silent
) -> Gathered:
    """Hold rows if they are few enough; otherwise count families and draw a sample.

    Parameters
    ----------
    network : Network
    rows : RowBlocks
    labels : ndarray of int, shape (n_texts, n_variables), or None
        The targets of labelled rows, where these count.
    seed : int
        Of the sample.
    tell : callable
        Called with a stage's name.

    Returns
    -------
    Gathered
    """
    most = sampling.MOST_CONFIGURATIONS
    if isinstance(rows, MemoryBlocks) and len(rows.whole) <= most:
        return Gathered(Evidence.held_rows(network, rows, labels), None)
    tell("counting rows", 0, None)
    sampler = Sampler.of(network.cardinalities, rows.beside, seed)
    first = FirstPass(sampler, CountFamilies(network, len(rows.beside.batches) or 1))
    found = rows.reduce(first, first.merge)
    if found.whole is not None:
        whole = sampler.configurations(found.whole, rows.n_rows)
        held = MemoryBlocks(whole.codes, whole.counts, beside=rows.beside)
        return Gathered(Evidence.held_rows(network, held, labels), None)
    tell("drawing a sample", 0, None)
    informed = sampler_after(sampler, found)
    some = informed.configurations(rows.reduce(informed, informed.merge), rows.n_rows)
    evidence = Evidence.of_rows(network, rows, found.counted, labels)
    return Gathered(evidence, rows.beside.block(some.codes, some.counts))


@dataclass(frozen=True)
class Fitted:
    """What came of a fit.

    Attributes
    ----------
    recipe : Recipe
    given : Network
        As it was before any mixture row taught it, with what labelled rows taught.
    network : Network
        That the mixture refers to.
    result : SearchResult
    options : Options
        What the method was told, with the constraints that labels make.
    library : str
        The library of the table that the rows came in.
    n_rows : float
    n_configurations : int or None
        None where they are too many to be held.
    batches : tuple of str
        Their names; empty where rows have none.
    batch_rows : ndarray, shape (n_batches,)
        Rows of each.
    labels : Labels or None
    changed : tuple of ChangedMechanism
    is_known : ndarray of bool, shape (n_targets,)
        Components whose weight was given.
    posterior : Posterior or None
        What the rows say about the weights; None for methods that do not maximise the likelihood,
        and where some rows are impossible.
    batch_posteriors : tuple of (ndarray of int64, Posterior or None)
        For each batch, its components by descending weight, and what its rows say about them.
    rates : sequence of RateWithTest
        One-pass rates of all variables.
    pairs : sequence of Pair
        Pairs of do's that some component holds.
    pair_p_values : sequence of float
    missing : MissingValues
    check : ModelCheck
    """

    recipe: Recipe
    given: Network
    network: Network
    result: SearchResult
    options: Options
    library: str
    n_rows: float
    n_configurations: int | None
    batches: tuple[str, ...]
    batch_rows: Floats
    labels: Labels | None
    changed: tuple[ChangedMechanism, ...]
    is_known: NDArray[np.bool_]
    posterior: Posterior | None
    batch_posteriors: tuple[tuple[NDArray[np.int64], Posterior | None], ...]
    rates: list[RateWithTest]
    pairs: list[Pair]
    pair_p_values: list[float]
    missing: MissingValues
    check: ModelCheck

    @cached_property
    def pooled_scale(self) -> SurprisalScale:
        """Scale for surprises of rows that are judged by the weights of the pool."""
        result = self.result
        if result.batch_weights is None:
            return self.check.scale
        with threadpool_limits(1):
            return surprisal_scale(
                self.network, result.targets, result.weights, self.recipe.random_state
            )

    def judge(self, block: Block) -> Assignment:
        """Likelihoods and posteriors of rows.

        Parameters
        ----------
        block : Block
            Rows with a batch are judged by its weights, others by those of the pool.

        Returns
        -------
        Assignment
        """
        targets = self.result.targets
        weights = self.result.weights
        if block.batch is not None and self.result.batch_weights is not None:
            weights = self.result.batch_weights
        rows = RowLikelihoods(
            self.network, replace(block, label=None), is_plain(self.network, targets)
        )
        with threadpool_limits(1):
            return judge(rows, targets, weights)


def find(
    recipe: Recipe,
    network: Network,
    gathered: Gathered,
    options: Options,
    progress: Progress | None = None,
) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
    """Find targets and weights, and mechanisms that changed if that is wanted.

    Parameters
    ----------
    recipe : Recipe
    network : Network
    gathered : Gathered
    options : Options
    progress : callable, optional

    Returns
    -------
    result : SearchResult
    changed : tuple of ChangedMechanism
    """
    evidence, sample = gathered.evidence, gathered.sample
    named = features_of(recipe, evidence.rows)
    if evidence.incomplete:
        named.add("missing values")
    if evidence.held is None:
        named.add("rows in blocks")
    refuse(named)
    result = estimate(recipe.method, network, evidence, options, progress, sample)
    result, changed = soften(
        recipe.interventions, network, evidence, result, options, progress, sample
    )
    if evidence.rows.beside.batches and result.batch_weights is None:
        result = replace(result, batch_weights=result.weights[None])
    return result, changed


def prepare(
    recipe: Recipe, network: Network, loaded: Loaded, progress: Progress | None = None
) -> tuple[Network, Gathered, Options, Labels | None]:
    """Read labels, let them teach, and gather the rows that count.

    Parameters
    ----------
    recipe : Recipe
    network : Network
    loaded : Loaded
    progress : callable, optional

    Returns
    -------
    network : Network
        With what labelled rows taught.
    gathered : Gathered
    options : Options
    labels : Labels or None
    """
    rows, labels, known = loaded.rows, None, recipe.prior_knowledge
    refuse(features_of(recipe, rows))
    if recipe.random_labels and loaded.labels is None and not rows.beside.labels:
        raise InputError("random_labels says how rows were labelled, and no labels are given")
    network = without_negligible(network)
    if rows.beside.labels or loaded.labels is not None:
        labels = _no_labels(loaded)
        if rows.beside.labels:
            labels = read_labels(loaded, network)
            known = with_labels(known, labels, recipe.max_size)
            network = taught(network, labels, loaded)
            if not recipe.random_labels:
                rows = _unlabelled(rows)
    seed = recipe.random_state if isinstance(recipe.random_state, int) else 0
    by_text = labels.by_text if labels is not None and recipe.random_labels else None
    gathered = gather(network, rows, by_text, seed, progress or silent)
    _check_batches(gathered.evidence, loaded)
    return network, gathered, recipe.options(network, known), labels


def _no_labels(loaded: Loaded) -> Labels:
    nothing = np.empty(0, dtype=np.int64)
    n_rows = 0 if loaded.labels is None else loaded.labels.index.size
    index = np.full(n_rows, -1, dtype=np.int64)
    n_variables = loaded.rows.n_variables
    return Labels((), np.empty((0, n_variables), np.int64), index, np.append(nothing, -1))


def _unlabelled(rows: RowBlocks) -> RowBlocks:
    """Leave labelled rows out."""
    if not isinstance(rows, MemoryBlocks):
        return UnlabelledBlocks(rows)
    block = rows.whole
    assert block.label is not None
    rest = replace(block.part(block.label < 0), label=None)
    beside = replace(rows.beside, labels=())
    out = MemoryBlocks(beside.wide(rest), rest.counts, beside=beside)
    out.library = rows.library
    return out


def _check_batches(evidence: Evidence, loaded: Loaded) -> None:
    """Refuse batches without rows, and rows without a batch."""
    names = evidence.rows.beside.batches
    if not names:
        return
    column = loaded.batch
    name, path = ("batch", None) if column is None else (column.name, column.path)
    if evidence.without_batch:
        raise InputError(
            f"{name} is empty in {evidence.without_batch:g} row(s); every row needs its batch",
            path=path,
        )
    empty = [batch for batch, n in zip(names, evidence.n_rows, strict=True) if n <= 0]
    if empty:
        raise InputError(
            f"{name}: all rows of batch {empty[0]!r} are labelled or of weight zero, so that there "
            "is nothing to estimate; leave these rows out",
            path=path,
        )


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
    # The matrices are small, and many threads on small matrices cost far more than they bring; one
    # thread also makes sums, and so results, independent of the machine.
    with threadpool_limits(1):
        return _fit(recipe, network, loaded, progress)


def _fit(recipe: Recipe, network: Network, loaded: Loaded, progress: Progress | None) -> Fitted:
    given, gathered, options, labels = prepare(recipe, network, loaded, progress)
    evidence = gathered.evidence
    missing = look_at_missing(given, evidence)
    result, changed = find(recipe, given, gathered, options, progress)
    tell = progress or silent
    tell("working out errors", 0, None)
    refined = recipe.refine and recipe.method == "likelihood"
    known = options.constraints or Constraints.none(given.cardinalities)
    is_known = ~np.isnan(known.fixed(result.targets))
    posterior = None
    if recipe.method in OPTIMISING and not is_known.all():
        posterior = posterior_of_fit(
            evidence.pooled,
            result.network,
            result.targets,
            result.weights,
            result.undecided,
            refined,
            as_generator(recipe.random_state),
            is_known,
        )
    rates = rates_of_families(given, evidence.families)
    pairs = pairs_of(result.targets, result.weights)
    p_values = pair_p_values(evidence, given, rates, pairs)
    in_batches = tuple(_batch_posteriors(evidence, result, refined))
    tell("checking the fit", 0, None)
    # Where targets or labels bind the search, components cannot stand in for a change.
    bound = not known.is_free or changed or recipe.method != "likelihood"
    plain = given if recipe.refine else Network(given.variables, given.parents, given.tables)
    sample = None if bound else _few(given, gathered, result)
    check = check_model(plain, evidence, result, recipe.random_state, sample, missing.suspicious)
    own = result.network
    # Freed tables come with control counts that only say how they were learned.
    final = Network(own.variables, own.parents, own.tables, (given if changed else own).control)
    return Fitted(
        recipe=recipe,
        given=given,
        network=final,
        result=result,
        options=options,
        library=loaded.library,
        n_rows=evidence.total,
        n_configurations=None if evidence.held is None else len(evidence.held),
        batches=evidence.rows.beside.batches,
        batch_rows=evidence.n_rows,
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
    )


@dataclass(frozen=True)
class RowsAgain:
    """The rows of a fit, held, for fits to some of them.

    Attributes
    ----------
    rows : MemoryBlocks
        Those that count.
    labels : ndarray of int, shape (n_texts, n_variables), or None
        The targets of labelled rows, where these count.
    """

    rows: MemoryBlocks
    labels: Ints | None


def rows_again(fitted: Fitted, source: Any, beside: dict[str, Any], purpose: str) -> RowsAgain:
    """Take the rows of a fit once more, to fit to some of them.

    Parameters
    ----------
    fitted : Fitted
    source : as in :func:`~dosift.data.load.load`
    beside : dict
        Batch, labels and sample_weight, as in the fit.
    purpose : str
        What for, as in :data:`~dosift.refusals.REFUSALS`.

    Returns
    -------
    RowsAgain

    Raises
    ------
    InputError
        If the rows are too many to be held, or other columns stand beside them than in the fit.
    """
    network = fitted.given
    with closing(load(source, network, **beside)) as loaded:
        for name, was, given in (
            ("batch", fitted.batches, loaded.rows.beside.batches),
            ("labels", fitted.labels, loaded.rows.beside.labels or loaded.labels),
        ):
            if bool(was) != bool(given):
                raise InputError(
                    f"the mixture was fitted {'with' if was else 'without'} {name}; give the rows "
                    f"{'with' if was else 'without'} {name}, as they were fitted"
                )
        if loaded.rows.beside.batches != fitted.batches:
            raise InputError(
                "the rows have other batches than those that the mixture was fitted to"
            )
        rows, by_text = loaded.rows, None
        if loaded.rows.beside.labels:
            if fitted.recipe.random_labels:
                by_text = read_labels(loaded, network).by_text
            else:
                rows = _unlabelled(rows)
        gathered = gather(network, rows, by_text, 0)
        named = features_of(fitted.recipe, rows) | {purpose}
        if gathered.evidence.held is None:
            named.add("rows in blocks")
        refuse(named)
        held = gathered.evidence.rows
        assert isinstance(held, MemoryBlocks)
        return RowsAgain(held, by_text)


def fitted_batches(fitted: Fitted) -> tuple[str, ...]:
    """Names of the batches of a fit.

    Raises
    ------
    InputError
        If it has none.
    """
    if not fitted.batches:
        raise InputError("the mixture was fitted without batches; leave batch out")
    return fitted.batches


def _few(network: Network, gathered: Gathered, result: SearchResult) -> Evidence:
    """Return the rows, or a sample of them, held, complete and without batches.

    Missing values are filled in as the mixture would, which makes a look for changes err on the
    side of seeing none.
    """
    held = gathered.held
    if held is not None and not held.incomplete:
        return held
    block = gathered.evidence.held if gathered.sample is None else gathered.sample
    assert block is not None
    rows = collapse(block.values, network.cardinalities, block.counts)
    if block.has_missing:
        rows = filled_in(result.network, result.targets, result.weights, rows)
    return Evidence.of_configurations(network, rows)


def _batch_posteriors(
    evidence: Evidence, result: SearchResult, refined: bool
) -> Iterator[tuple[NDArray[np.int64], Posterior | None]]:
    if result.batch_weights is None:
        return
    odds = _log_prior_odds(result.network, result.targets, result.batch_weights > 0)
    yield from posteriors_of_batches(
        evidence, result.network, result.targets, result.batch_weights, odds, refined
    )


def _log_prior_odds(network: Network, targets: Ints, present: NDArray[np.bool_]) -> Floats:
    """Odds of each target being in each batch, judged by the other batches.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    present : ndarray of bool, shape (n_batches, n_targets)

    Returns
    -------
    ndarray, shape (n_batches, n_targets)
        For a target that no other batch has, those of a target picked among all.
    """
    others = present.sum(axis=0) - present
    odds = np.log(others + 0.5) - np.log(len(present) - 1 - others + 0.5)
    score = Score(1.0, network.cardinalities, network.n_variables)
    alone = np.log(present.sum(axis=1))[:, None] - score.names(targets)
    return np.asarray(np.where(others > 0, odds, alone), dtype=np.float64)
