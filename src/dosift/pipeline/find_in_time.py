"""Targets that hold and switch, found by rows in order of time, which lend each other evidence.

Short windows of rows serve as units first. What is found with these cuts the rows into stretches
with the same target, which are units in their turn, until the targets stay the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dosift.chain.fit import LEAST_WEIGHT, START_RATE, fit_chain, on_simplex
from dosift.chain.path import most_probable_path
from dosift.chain.select import earning
from dosift.chain.smooth import sum_chain
from dosift.methods import Options
from dosift.model.arrays import Floats
from dosift.pipeline.find import find
from dosift.pipeline.in_time import InTime
from dosift.pipeline.series import MOST_WINDOWS, WINDOW, Series, stretches
from dosift.pipeline.setup import Setup
from dosift.search.constraints import NOTHING_LEFT, keys_of
from dosift.search.result import SearchResult, reordered, without_targets

#: Stretches that are searched at most, evenly over the rows.
_MOST_STRETCHES = 100_000
#: Bound on the searches, and cycles of the fits of a chain before the last one.
_MOST_SEARCHES, _ROUGH = 6, 8


def find_in_time(
    setup: Setup, series: Series, power: float = 1.0
) -> tuple[Setup, SearchResult, InTime]:
    """Find targets that hold and switch.

    Parameters
    ----------
    setup : Setup
        Its rows are those of the series, in whatever units.
    series : Series
    power : float, default=1
        What each row counts for.

    Returns
    -------
    setup : Setup
        The rows, those of a stretch taken for a unit; they count in full.
    result : SearchResult
        By descending weight in the chain; its own weights are those of stretches.
    in_time : InTime
    """
    options = setup.options
    order, free = series.order, _weights_open(options)
    unit, rate = order.windows(WINDOW), START_RATE
    before: frozenset[bytes] | None = None
    for n_searches in range(1, _MOST_SEARCHES + 1):
        most = MOST_WINDOWS if n_searches == 1 else _MOST_STRETCHES
        setup = replace(setup, gathered=series.in_units(setup.network, unit, most))
        result, _ = find(replace(setup, options=free).counting_for(power))
        setup.tell("following targets in time", 0, None)
        chain = series.chain(result.network, result.targets)
        weights, known = _beginning(options, series, result)
        fit = fit_chain(chain, weights, rate, n_cycles=_ROUGH, known=known)
        kept = np.ones(len(result.targets), dtype=np.bool_)
        if n_searches > 1:
            # Draws tell weights; of targets that hardly last there are more than stretches.
            n_draws = max(float(unit[-1]) + 1.0, fit.n_drawn)
            costs = _costs(options, result, power * n_draws) / power
            kept = earning(chain, fit, costs)
            chain, (weights, known) = chain.only(kept), fit.only(kept)
            fit = fit_chain(chain, weights, fit.rate, n_cycles=_ROUGH, known=known)
        now, rate = result.targets[kept], fit.rate
        path = most_probable_path(chain, fit.weights, fit.rate)
        own = series.pieces(result.network, now, stretches(path, order.begins))
        is_same = np.array_equal(own, unit) or before == keys_of(now)
        if is_same and kept.all() and n_searches > 1:
            break
        before, unit = keys_of(now), own
    weighed = setup.gathered.weighed(power).evidence
    result = without_targets(weighed, result, kept, options.gap)
    fit = fit_chain(chain, fit.weights, fit.rate, known=fit.known)
    rank = np.lexsort([*result.targets.T[::-1], -(series.shares @ fit.weights)])
    result = reordered(result, rank)
    if options.constraints_on(result.network, result.targets, result.weights).known_weights.size:
        result = replace(result, undecided=None)
    chain = series.chain(result.network, result.targets)
    weights, known = fit.weights[:, rank], fit.known[:, rank]
    fit = replace(fit, weights=weights, known=known, sums=sum_chain(chain, weights, fit.rate))
    return setup, result, InTime.of(series, chain, fit, power)


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
    """Say what each target must gain, by the score of the search with draws as units."""
    known = options.constraints_on(result.network, result.targets, result.weights)
    savings = known.score(n_units, result.network.libraries).savings(result.targets)
    return np.where(known.protects(result.targets), -np.inf, savings)
