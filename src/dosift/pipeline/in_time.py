"""Targets that hold and switch: found by rows in order of time, which lend each other evidence.

Short windows of rows serve as units first. What is found with these cuts the rows into stretches
with the same target, which are units in their turn, until the targets stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dosift.chain.errors import ChainErrors, Interval, chain_errors, rate_interval
from dosift.chain.fit import LEAST_WEIGHT, START_RATE, ChainFit, fit_chain, on_simplex
from dosift.chain.path import most_probable_path
from dosift.chain.rows import ChainRows
from dosift.chain.segments import Segments, segments_of
from dosift.chain.select import earning, losses
from dosift.chain.smooth import Smoothed, smooth, sum_chain
from dosift.checks.assignment_confidence import Certainty, certainty
from dosift.data.load import Loaded
from dosift.data.order import RowOrder
from dosift.inference import Posterior
from dosift.inference.weight_posterior import WeightPosterior
from dosift.likelihood.assignment import Assignment
from dosift.methods import Options, Progress
from dosift.methods.labels import Labels
from dosift.methods.options import silent
from dosift.model.network import Network
from dosift.pipeline.find import find
from dosift.pipeline.gather import Gathered, counting_for
from dosift.pipeline.recipe import Recipe
from dosift.pipeline.series import MOST_WINDOWS, WINDOW, Series, stretches
from dosift.search.constraints import NOTHING_LEFT
from dosift.search.result import SearchResult, reordered, without_targets

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

#: Stretches that are searched at most, evenly over the rows.
_MOST_STRETCHES = 100_000
#: A gap is longer than this, in typical steps.
_GAP = 1.5
#: Draws that stand for the posterior of the weights.
_DRAWS = 5000
#: Bound on the searches, and cycles of the fits of a chain before the last one.
_MOST_SEARCHES, _ROUGH = 6, 8


@dataclass(frozen=True)
class InTime:
    """A chain of targets over rows in order of time.

    Attributes
    ----------
    order : RowOrder
    chain : ChainRows
        Likelihoods of the result's targets.
    fit : ChainFit
    errors : ChainErrors
    smoothed : Smoothed
        Rows in order of time.
    path : ndarray of int64, shape (n_rows,)
        The most probable sequence of targets, in order of time.
    shares : ndarray, shape (n_batches,)
        Share of the rows that each batch has.
    power : float
        What each row counts for.
    """

    order: RowOrder
    chain: ChainRows
    fit: ChainFit
    errors: ChainErrors
    smoothed: Smoothed
    path: Positions
    shares: Floats
    power: float = 1.0

    @classmethod
    def of(cls, series: Series, chain: ChainRows, fit: ChainFit, power: float = 1.0) -> InTime:
        """Work out what a fitted chain says of its rows."""
        smoothed = smooth(chain, fit.weights, fit.rate)
        path = most_probable_path(chain, fit.weights, fit.rate)
        errors = chain_errors(chain, fit, power)
        return cls(series.order, chain, fit, errors, smoothed, path, series.shares, power)

    @property
    def weights(self) -> Floats:
        """Weights of all batches together, shape (n_targets,)."""
        return np.asarray(self.shares @ self.fit.weights)

    @property
    def rate(self) -> float:
        """Rate of switching in the unit of the times."""
        return self.fit.rate / self.order.step

    @cached_property
    def posterior(self) -> Floats:
        """Posterior of each row's target, shape (n_rows, n_targets), in the input's order.

        Zero for rows that no target can produce.
        """
        possible = ~self.chain.impossible[:, None]
        return self.order.in_input_order(self.smoothed.posterior * possible)

    @property
    def certainty(self) -> Certainty:
        """How sure the rows are of their most probable target, given all rows."""
        posterior = self.posterior
        possible = (~self.order.in_input_order(self.chain.impossible)).astype(np.float64)
        n_rows, m = posterior.shape
        found = Assignment(posterior, possible, np.ones(m), np.zeros(n_rows))
        return certainty(found, np.ones(n_rows))

    def segments(self, level: float) -> Segments:
        """Return the stretches of the path; positions are in order of time.

        Parameters
        ----------
        level : float
            Of the intervals of onset and end.
        """
        return segments_of(self.path, self.breaks, self.smoothed, level)

    @property
    def breaks(self) -> NDArray[np.bool_]:
        """Rows before which a stretch ends in any case.

        These are the first rows of units, and those after a gap over which the target has more
        likely been drawn anew than not.
        """
        exposure = self.order.exposure
        gap = (exposure > _GAP) & (exposure * self.fit.rate > np.log(2.0))
        return np.asarray(self.order.begins | gap)

    def switching(self, level: float) -> Interval:
        """Probability that the target is drawn anew in a typical step, with an interval."""
        rate = self._rate(level)
        return Interval(*(float(-np.expm1(-r)) for r in (rate.value, rate.low, rate.high)))

    def lasts(self, level: float) -> Interval:
        """Mean time for which a target holds, in the unit of the times, with an interval.

        Infinite where no switch is seen.
        """
        rate = self._rate(level)
        # A target that is drawn again goes on.
        other = 1.0 - float(self.shares @ np.square(self.fit.weights).sum(axis=1))
        rates = (r * other / self.order.step for r in (rate.value, rate.high, rate.low))
        return Interval(*(1.0 / r if r > 0 else np.inf for r in rates))

    @cached_property
    def _rates(self) -> dict[float, Interval]:
        return {}

    def _rate(self, level: float) -> Interval:
        if self.chain.n_targets == 1:
            return Interval(0.0, 0.0, 0.0)
        if level not in self._rates:
            self._rates[level] = rate_interval(self.chain, self.fit, self.errors, level)
        return self._rates[level]

    def with_weights(self, result: SearchResult) -> SearchResult:
        """Take weights and likelihood of the chain into what a search found.

        Parameters
        ----------
        result : SearchResult
            With the stretches as units.

        Returns
        -------
        SearchResult
        """
        cost = result.log_likelihood - result.penalised_score
        return replace(
            result,
            weights=self.weights,
            batch_weights=None if self.order.batch is None else self.fit.weights,
            log_likelihood=self.fit.log_likelihood,
            penalised_score=self.fit.log_likelihood - cost,
            converged=result.converged and self.fit.converged,
        )

    def posterior_of_weights(
        self, posterior: Posterior, result: SearchResult, rng: np.random.Generator
    ) -> Posterior:
        """Take the weights of the chain, and their errors, into what is known of targets.

        Parameters
        ----------
        posterior : Posterior
            With the stretches as units.
        result : SearchResult
            Likewise.
        rng : numpy.random.Generator

        Returns
        -------
        Posterior
            Weights are drawn by the chain's errors. Whether a target occurs is told by what the
            likelihood of the chain loses without it: few stretches, each of them beyond doubt,
            say little of a weight and all of its presence.
        """
        m = posterior.n_components
        drawn = np.einsum("b,bij->ij", self.shares, self._drawn(rng))
        errors = self.errors.of_weights(self.fit.weights)
        error = np.sqrt(np.square(self.shares) @ np.square(errors))
        absent = None
        if result.undecided is not None:
            gain = self.power * losses(self.chain, self.fit)
            n_drawn = max(self.power * self.fit.n_drawn, 1.0)
            odds = result.undecided.component_log_prior_odds + gain
            absent = expit(0.5 * np.log(n_drawn) - odds)
        return _with_draws(posterior, self.weights[:m], drawn, error, absent, rng)

    def posterior_of_batch(
        self, b: int, own: Positions, posterior: Posterior | None, rng: np.random.Generator
    ) -> Posterior | None:
        """Take the weights of a batch, and their errors, into what is known of its targets.

        Parameters
        ----------
        b : int
        own : ndarray of int64
            The targets of the batch.
        posterior : Posterior or None
            Of these, with the stretches as units.
        rng : numpy.random.Generator

        Returns
        -------
        Posterior or None
        """
        if posterior is None:
            return None
        errors = self.errors.of_weights(self.fit.weights)[b, own]
        drawn = self._drawn(rng)[b][:, own]
        return _with_draws(posterior, self.fit.weights[b, own], drawn, errors, None, rng)

    def _drawn(self, rng: np.random.Generator) -> Floats:
        return self.errors.draw(self.fit.weights, _DRAWS, rng)


def _with_draws(
    posterior: Posterior,
    weights: Floats,
    drawn: Floats,
    errors: Floats,
    absent: Floats | None,
    rng: np.random.Generator,
) -> Posterior:
    """Let draws stand for the posterior of the components' weights."""
    own, m = posterior.of_weights, weights.size
    if not isinstance(own, WeightPosterior):
        return posterior
    n_others = own.estimate.size - m
    # Those of undecided targets are as the stretches say.
    place = np.searchsorted(own.unsure, np.arange(m, m + n_others))
    others = own.draws[rng.integers(len(own.draws), size=len(drawn))][:, place]
    every = own.absent.copy()
    if absent is not None:
        every[:m] = absent
    of_weights = WeightPosterior(
        np.append(weights, np.zeros(n_others)),
        every,
        np.arange(0),
        np.arange(m + n_others),
        np.column_stack([drawn, others]),
        np.zeros(0),
        np.zeros((0, m + n_others)),
        np.zeros((0, 0)),
        np.append(weights / np.maximum(errors, 1e-300), np.zeros(n_others)),
    )
    return replace(posterior, of_weights=of_weights)


def find_in_time(
    recipe: Recipe,
    network: Network,
    loaded: Loaded,
    options: Options,
    progress: Progress | None = None,
    labels: Labels | None = None,
    power: float = 1.0,
) -> tuple[Gathered, SearchResult, InTime]:
    """Find targets that hold and switch.

    Parameters
    ----------
    recipe : Recipe
    network : Network
    loaded : Loaded
        Rows that are held, with their order.
    options : Options
    progress : callable, optional
    labels : Labels, optional
        Of rows whose target is known.
    power : float, default=1
        What each row counts for.

    Returns
    -------
    gathered : Gathered
        The rows, those of a stretch taken for a unit; they count in full.
    result : SearchResult
        By descending weight in the chain; its own weights are those of stretches.
    in_time : InTime
    """
    series = Series.of(loaded, labels)
    order, free = series.order, _weights_open(options)
    unit, before, rate = order.windows(WINDOW), None, START_RATE
    tell = progress or silent
    for n_searches in range(1, _MOST_SEARCHES + 1):
        most = MOST_WINDOWS if n_searches == 1 else _MOST_STRETCHES
        gathered = series.in_units(network, unit, most)
        result, _ = find(recipe, *counting_for(network, gathered, power), free, progress)
        tell("following targets in time", 0, None)
        chain = series.chain(result.network, result.targets)
        weights, known = _beginning(options, series, result)
        fit = fit_chain(chain, weights, rate, n_cycles=_ROUGH, known=known)
        kept = np.ones(len(result.targets), dtype=np.bool_)
        if n_searches > 1:
            costs = _costs(options, result, power * (int(unit[-1]) + 1)) / power
            kept = earning(chain, fit, costs)
            chain, (weights, known) = chain.only(kept), fit.only(kept)
            fit = fit_chain(chain, weights, fit.rate, n_cycles=_ROUGH, known=known)
        now, rate = result.targets[kept], fit.rate
        path = most_probable_path(chain, fit.weights, fit.rate)
        own = series.pieces(result.network, now, stretches(path, order.begins))
        is_same = np.array_equal(own, unit) or (before is not None and _same(before, now))
        if is_same and kept.all() and n_searches > 1:
            break
        before, unit = now, own
    weighed = gathered.weighed(power)
    result = without_targets(weighed.evidence, result, kept, options.gap)
    fit = fit_chain(chain, fit.weights, fit.rate, known=fit.known)
    rank = np.lexsort([*result.targets.T[::-1], -(series.shares @ fit.weights)])
    result = reordered(result, rank)
    if options.constraints_on(result.network, result.targets, result.weights).known_weights.size:
        result = replace(result, undecided=None)
    chain = series.chain(result.network, result.targets)
    weights, known = fit.weights[:, rank], fit.known[:, rank]
    fit = replace(fit, weights=weights, known=known, sums=sum_chain(chain, weights, fit.rate))
    return gathered, result, InTime.of(series, chain, fit, power)


def _weights_open(options: Options) -> Options:
    """Let known weights be open in searches, where shares are those of stretches, not of time."""
    known, patterns = options.constraints, options.patterns
    if known is not None and len(known.known):
        is_whole = known.rest <= NOTHING_LEFT
        known = replace(
            known,
            required=np.concatenate([known.required, known.known]),
            known=known.known[:0],
            known_weights=known.known_weights[:0],
            candidates=known.required if is_whole else known.candidates,
        )
    if patterns is not None and len(patterns.known):
        is_whole, there = patterns.is_whole, patterns.known_weights > 0
        patterns = replace(
            patterns,
            required=np.concatenate([patterns.required, patterns.known[there]]),
            forbidden=np.concatenate([patterns.forbidden, patterns.known[~there]]),
            known=patterns.known[:0],
            known_weights=patterns.known_weights[:0],
            candidates=patterns.required if is_whole else patterns.candidates,
        )
    return replace(options, constraints=known, patterns=patterns)


def _beginning(options: Options, series: Series, result: SearchResult) -> tuple[Floats, Floats]:
    """Weights that a chain begins with, and those that are known; zero where a target is not."""
    targets = result.targets
    weights = result.weights[None] if result.batch_weights is None else result.batch_weights
    is_there = weights > 0
    if len(weights) == 1:
        is_there[:] = True
    known = np.where(is_there | series.labelled(targets), np.nan, 0.0)
    given = options.constraints_on(result.network, targets, result.weights)
    fixed = given.fixed(targets)
    # Of a number whose weight is known, one change has it, and no other is there.
    known[:, ~given.permits(targets) & ~given.protects(targets)] = 0.0
    known = np.where(np.isnan(fixed), known, fixed)
    is_full = np.nansum(known, axis=1, keepdims=True) >= 1.0 - NOTHING_LEFT
    known = np.where(np.isnan(known) & is_full, 0.0, known)
    return on_simplex(np.maximum(weights, LEAST_WEIGHT), known), known


def _costs(options: Options, result: SearchResult, n_units: float) -> Floats:
    """Say what each target must gain, by the score of the search with stretches as units."""
    network = result.network
    known = options.constraints_on(network, result.targets, result.weights)
    score = known.score(n_units, network.n_changes, np.arange(network.n_variables))
    savings = score.of_changes(network.libraries).savings(result.targets)
    return np.where(known.protects(result.targets), -np.inf, savings)


def _same(one: NDArray[np.integer], other: NDArray[np.integer]) -> bool:
    return {t.tobytes() for t in one} == {t.tobytes() for t in other}
