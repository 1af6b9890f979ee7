"""What a chain of targets says of rows in order of time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dosift.chain.errors import ChainErrors, Interval, chain_errors, rate_interval
from dosift.chain.fit import ChainFit
from dosift.chain.path import most_probable_path
from dosift.chain.rows import ChainRows
from dosift.chain.segments import Segments, segments_of
from dosift.chain.select import losses
from dosift.chain.smooth import Smoothed, smooth
from dosift.checks.assignment_confidence import Certainty, certainty
from dosift.data.order import RowOrder
from dosift.inference import Posterior
from dosift.inference.weight_posterior import WeightPosterior
from dosift.likelihood.assignment import Assignment
from dosift.model.arrays import Bools, Floats
from dosift.pipeline.series import Series
from dosift.search.result import SearchResult

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
    labelled : ndarray of bool, shape (n_rows,)
        Rows in order whose target was given.
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
    labelled: Bools
    power: float = 1.0

    @classmethod
    def of(cls, series: Series, chain: ChainRows, fit: ChainFit, power: float = 1.0) -> InTime:
        """Work out what a fitted chain says of its rows."""
        smoothed = smooth(chain, fit.weights, fit.rate)
        path = most_probable_path(chain, fit.weights, fit.rate)
        errors = chain_errors(chain, fit, power)
        label = series.block.label
        labelled = np.zeros(path.size, dtype=np.bool_)
        if label is not None:
            labelled = label[series.index] >= 0
        shares = series.shares
        return cls(series.order, chain, fit, errors, smoothed, path, shares, labelled, power)

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

    def posterior_rows(self, batch: int, some: Bools | None = None) -> Floats:
        """Return the expected number of rows of each target in a batch.

        Parameters
        ----------
        batch : int
        some : ndarray of bool, shape (n_rows,), optional
            Rows in order that are counted; by default all.

        Returns
        -------
        ndarray, shape (n_targets,)
        """
        own = ~self.chain.impossible
        if some is not None:
            own &= some
        if self.order.batch is not None:
            own &= self.order.batch == batch
        return np.asarray(self.smoothed.posterior[own].sum(axis=0))

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
    def breaks(self) -> Bools:
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

    def with_shares(self, result: SearchResult) -> SearchResult:
        """Take shares of rows without a label for weights, to hold these against mechanisms.

        Given the targets of all rows, rows are independent, whatever the weights that these were
        drawn by.

        Parameters
        ----------
        result : SearchResult

        Returns
        -------
        SearchResult
        """
        every = range(self.shares.size)
        rows = np.array([self.posterior_rows(b, ~self.labelled) for b in every])
        weights = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-300)
        pooled = np.asarray(rows.sum(axis=0) / rows.sum())
        batch_weights = None if self.order.batch is None else weights
        return replace(result, weights=pooled, batch_weights=batch_weights)

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
            odds = result.undecided.component_log_prior_odds
            absent = self._absent(self.chain, self.fit, odds)
        return _with_draws(posterior, self.weights[:m], drawn, error, absent, rng)

    def posterior_of_batch(
        self,
        b: int,
        own: Positions,
        posterior: Posterior | None,
        odds: Floats,
        rng: np.random.Generator,
    ) -> Posterior | None:
        """Take the weights of a batch, and their errors, into what is known of its targets.

        Parameters
        ----------
        b : int
        own : ndarray of int64
            The targets of the batch.
        posterior : Posterior or None
            Of these, with the stretches as units.
        odds : ndarray, shape (n_targets,)
            Log-odds of each target being in the batch, before its rows are seen.
        rng : numpy.random.Generator

        Returns
        -------
        Posterior or None
        """
        if posterior is None:
            return None
        weights = self.fit.weights
        is_there = weights[b] > 0
        rows = self.chain.of_batch(b).only(is_there)
        absent = np.ones(is_there.size)
        absent[is_there] = self._absent(rows, self.fit.of_batch(rows, b), odds[is_there])
        errors = self.errors.of_weights(weights)[b, own]
        drawn = self._drawn(rng)[b][:, own]
        return _with_draws(posterior, weights[b, own], drawn, errors, absent[own], rng)

    def _absent(self, rows: ChainRows, fit: ChainFit, odds: Floats) -> Floats:
        """Probability that targets do not occur, by what the likelihood loses without them."""
        n_drawn = max(self.power * fit.n_drawn, 1.0)
        gain = self.power * losses(rows, fit)
        return np.asarray(expit(0.5 * np.log(n_drawn) - odds - gain))

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
