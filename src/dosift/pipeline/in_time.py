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
from dosift.chain.fit import LEAST_WEIGHT, START_RATE, ChainFit, fit_chain
from dosift.chain.path import most_probable_path
from dosift.chain.rows import ChainRows
from dosift.chain.segments import Segments, segments_of
from dosift.chain.select import earning, losses
from dosift.chain.smooth import Smoothed, smooth, sum_chain
from dosift.checks.assignment_confidence import Certainty, certainty
from dosift.data.blocks import Block, MemoryBlocks
from dosift.data.configurations import collapse_units
from dosift.data.load import Loaded
from dosift.data.order import RowOrder
from dosift.inference import Posterior
from dosift.inference.weight_posterior import WeightPosterior
from dosift.likelihood.assignment import Assignment
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options, Progress
from dosift.methods.options import silent
from dosift.model.network import Network
from dosift.pipeline.find import find
from dosift.pipeline.gather import Gathered
from dosift.pipeline.recipe import Recipe
from dosift.search.result import SearchResult, reordered, without_targets

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

#: Rows of a window, and windows and stretches that are searched at most, evenly over the rows.
_WINDOW, _MOST_WINDOWS, _MOST_STRETCHES = 4, 20_000, 100_000
#: A gap is longer than this, in typical steps.
_GAP = 1.5
#: Draws that stand for the posterior of the weights.
_DRAWS = 5000
#: Nats by which a piece of a stretch may speak for its target.
_LARGEST_LOG = 150.0
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
    """

    order: RowOrder
    chain: ChainRows
    fit: ChainFit
    errors: ChainErrors
    smoothed: Smoothed
    path: Positions

    @classmethod
    def of(cls, order: RowOrder, chain: ChainRows, fit: ChainFit) -> InTime:
        """Work out what a fitted chain says of its rows."""
        smoothed = smooth(chain, fit.weights, fit.rate)
        path = most_probable_path(chain, fit.weights, fit.rate)
        return cls(order, chain, fit, chain_errors(chain, fit), smoothed, path)

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
        other = 1.0 - float(self.fit.weights @ self.fit.weights)
        rates = (r * other / self.order.step for r in (rate.value, rate.high, rate.low))
        return Interval(*(1.0 / r if r > 0 else np.inf for r in rates))

    @cached_property
    def _rates(self) -> dict[float, Interval]:
        return {}

    def _rate(self, level: float) -> Interval:
        if self.fit.weights.size == 1:
            return Interval(0.0, 0.0, 0.0)
        if level not in self._rates:
            self._rates[level] = rate_interval(self.chain, self.fit, self.errors, level)
        return self._rates[level]

    def judged(self, network: Network, targets: NDArray[np.integer], loaded: Loaded) -> Floats:
        """Posterior of other rows' targets, by the weights and the rate of this chain.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_targets, n_variables)
        loaded : Loaded
            Rows with their order, whose times are in the unit of this one's.

        Returns
        -------
        ndarray, shape (n_rows, n_targets)
            In the input's order; NaN for rows that no target can produce.
        """
        series = _Series.of(loaded)
        chain = series.chain(network, targets)
        rate = self.fit.rate * series.order.step / self.order.step
        posterior = smooth(chain, self.fit.weights, rate).posterior
        posterior[chain.impossible] = np.nan
        return series.order.in_input_order(posterior)

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
            weights=self.fit.weights,
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
        own, m = posterior.of_weights, posterior.n_components
        if not isinstance(own, WeightPosterior):
            return posterior
        n_others = own.estimate.size - m
        drawn = self.errors.draw(self.fit.weights, _DRAWS, rng)
        # Those of undecided targets are as the stretches say.
        place = np.searchsorted(own.unsure, np.arange(m, m + n_others))
        others = own.draws[rng.integers(len(own.draws), size=_DRAWS)][:, place]
        absent = own.absent.copy()
        if result.undecided is not None:
            odds = result.undecided.component_log_prior_odds + losses(self.chain, self.fit)
            absent[:m] = expit(0.5 * np.log(max(self.fit.n_drawn, 1.0)) - odds)
        errors = np.maximum(self.errors.of_weights(self.fit.weights), 1e-300)
        of_weights = WeightPosterior(
            np.append(self.fit.weights, np.zeros(n_others)),
            absent,
            np.arange(0),
            np.arange(m + n_others),
            np.column_stack([drawn, others]),
            np.zeros(0),
            np.zeros((0, m + n_others)),
            np.zeros((0, 0)),
            np.append(self.fit.weights / errors, np.zeros(n_others)),
        )
        return replace(posterior, of_weights=of_weights)


@dataclass(frozen=True)
class _Series:
    """Rows in order of time, and the distinct row that each of them is."""

    block: Block
    index: Positions
    order: RowOrder

    @classmethod
    def of(cls, loaded: Loaded) -> _Series:
        """Take rows that are held, with their order."""
        order, rows = loaded.order, loaded.rows
        assert order is not None
        assert loaded.inverse is not None
        assert isinstance(rows, MemoryBlocks)
        return cls(rows.whole, loaded.inverse[order.place], order)

    def in_units(self, network: Network, unit: Positions, most: int) -> Gathered:
        """Take rows of the same unit together, of every so many-th unit if there are too many."""
        every = max(int(unit[-1]) // most, 1)
        some = np.flatnonzero(unit % every == 0)
        values = self.block.values[self.index[some]]
        found = collapse_units(values, unit[some] // every, network.cardinalities)
        rows = MemoryBlocks(found.codes, found.counts, first=found.first)
        return Gathered(Evidence.held_rows(network, rows), None)

    def pieces(self, network: Network, chain: ChainRows, stretch: Positions) -> Positions:
        """Cut long stretches, whose likelihoods would be out of the range of numbers."""
        nothing = np.full((1, network.n_variables), -1, dtype=np.int16)
        ratio = chain.log_largest(self.chain(network, nothing))
        return _cut(stretch, np.clip(ratio, 0.0, _LARGEST_LOG))

    def chain(self, network: Network, targets: NDArray[np.integer]) -> ChainRows:
        """Lay out the likelihoods of some targets."""
        rows = RowLikelihoods(
            network, self.block, is_plain(network, targets, self.block), absolute=True
        )
        columns, scale = rows.columns(targets), rows.log_scale
        return ChainRows.of(columns, self.index, self.order.exposure, scale)


def in_windows(network: Network, loaded: Loaded) -> Gathered:
    """Take short windows of rows in order of time for units.

    Parameters
    ----------
    network : Network
    loaded : Loaded
        Rows that are held, with their order.

    Returns
    -------
    Gathered
    """
    series = _Series.of(loaded)
    return series.in_units(network, series.order.windows(_WINDOW), _MOST_WINDOWS)


def find_in_time(
    recipe: Recipe,
    network: Network,
    loaded: Loaded,
    options: Options,
    progress: Progress | None = None,
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

    Returns
    -------
    gathered : Gathered
        The rows, those of a stretch taken for a unit.
    result : SearchResult
        By descending weight in the chain; its own weights are those of stretches.
    in_time : InTime
    """
    series, order = _Series.of(loaded), loaded.order
    assert order is not None
    unit, before, rate = order.windows(_WINDOW), None, START_RATE
    tell = progress or silent
    for n_searches in range(1, _MOST_SEARCHES + 1):
        most = _MOST_WINDOWS if n_searches == 1 else _MOST_STRETCHES
        gathered = series.in_units(network, unit, most)
        result, _ = find(recipe, network, gathered, options, progress)
        tell("following targets in time", 0, None)
        chain = series.chain(result.network, result.targets)
        fit = fit_chain(chain, _positive(result.weights), rate, n_cycles=_ROUGH)
        kept = np.ones(len(result.targets), dtype=np.bool_)
        if n_searches > 1:
            kept = earning(chain, fit, _costs(options, result, int(unit[-1]) + 1))
            chain = chain.only(kept)
            weights = fit.weights[kept]
            fit = fit_chain(chain, weights / weights.sum(), fit.rate, n_cycles=_ROUGH)
        now, rate = result.targets[kept], fit.rate
        path = most_probable_path(chain, fit.weights, fit.rate)
        own = series.pieces(result.network, chain, _stretches(path, order.begins))
        is_same = np.array_equal(own, unit) or (before is not None and _same(before, now))
        if is_same and kept.all() and n_searches > 1:
            break
        before, unit = now, own
    result = without_targets(gathered.evidence, result, kept, options.gap)
    fit = fit_chain(chain, fit.weights, fit.rate)
    rank = np.lexsort([*result.targets.T[::-1], -fit.weights])
    result = reordered(result, rank)
    chain = series.chain(result.network, result.targets)
    sums = sum_chain(chain, fit.weights[rank], fit.rate)
    fit = replace(fit, weights=fit.weights[rank], sums=sums)
    return gathered, result, InTime.of(order, chain, fit)


def _positive(weights: Floats) -> Floats:
    weights = np.maximum(weights, LEAST_WEIGHT)
    return np.asarray(weights / weights.sum())


def _costs(options: Options, result: SearchResult, n_units: int) -> Floats:
    """Say what each target must gain, by the score of the search with stretches as units."""
    network = result.network
    known = options.constraints_on(network)
    score = known.score(n_units, network.n_changes, np.arange(network.n_variables))
    return score.of_changes(network.libraries).savings(result.targets)


def _same(one: NDArray[np.integer], other: NDArray[np.integer]) -> bool:
    return {t.tobytes() for t in one} == {t.tobytes() for t in other}


def _stretches(path: Positions, begins: NDArray[np.bool_]) -> Positions:
    """Give each stretch of a path a number."""
    return np.cumsum(begins | np.append(False, path[1:] != path[:-1])) - 1


def _cut(stretch: Positions, cost: Floats) -> Positions:
    """Cut stretches into pieces over which a cost comes up to a limit, and number these."""
    begins = np.append(True, np.diff(stretch) != 0)
    so_far = np.cumsum(cost) - cost
    place = np.flatnonzero(begins)[np.cumsum(begins) - 1]
    number = ((so_far - so_far[place]) // _LARGEST_LOG).astype(np.int64)
    return np.cumsum(begins | np.append(False, np.diff(number) != 0)) - 1
