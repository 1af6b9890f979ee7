"""Targets and weights for rows that are too many, or too different, to be held and searched.

The search proper runs on a sample (:mod:`dosift.data.sample`). All rows then have the last word, in
passes that each return sums of fixed size: weights are solved to the gap that was asked for;
targets around the mixture are priced, the steepest are weighed together with the components under
the likelihood's quadratic expansion, and whatever raises the penalised score of all rows stays;
until nothing does. A component far too small to be seen in the sample is found this way, if it
differs in one variable from one that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

from dosift.data.blocks import RowBlocks
from dosift.data.configurations import Configurations, collapse, thin
from dosift.data.sample import hash_rows
from dosift.likelihood.columns import TargetColumns
from dosift.likelihood.rates import reference_log_likelihood
from dosift.likelihood.weight_sums import BlockSolution, WeightSums, solve_over_blocks, weight_sums
from dosift.likelihood.weights import nonnegative_quadratic
from dosift.model.network import Network
from dosift.search.block_joint import refine_over_blocks
from dosift.search.block_pricing import price_over_blocks
from dosift.search.certificate import Certificate
from dosift.search.constraints import Constraints
from dosift.search.engine import SearchResult, find_targets, prepare
from dosift.search.near_equivalent import LARGEST_LOSS, Rival, likely_rivals, replacement_losses
from dosift.search.neighbourhood import Surroundings
from dosift.search.pricing import Priced
from dosift.search.score import Score
from dosift.search.screening import SCREEN_FROM, screen_families
from dosift.search.undecided import candidates_from_sums, likeliest

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]

#: Rounds of pricing, and targets that are weighed with the components in each.
_MAX_ROUNDS, _WEIGHED = 12, 24
#: Targets that are extended where no neighbour pays: their expected number by chance, and most.
_FALSE_STEEP, _MOST_STEEP = 0.5, 8
#: Rows of the sample by which targets that may replace a component are looked for.
_RIVAL_ROWS = 2**13
#: Smallest rise of the penalised score (nats) that counts as one.
_LEAST_RISE = 1e-2
#: Configurations without any explanation that join the sample, and how often it is searched again.
_MOST_IMPOSSIBLE, _MAX_SEARCHES = 256, 3


@dataclass(frozen=True)
class BlockSearch:
    """What is needed to search rows that are visited in blocks.

    Attributes
    ----------
    network : Network
        The undisturbed system.
    blocks : RowBlocks
        All rows, without missing values.
    sample : Configurations
        A sample of them that is searched first.
    families : tuple of ndarray
        Counts of each variable with its parents, in all rows.
    max_size : int or None
        Largest number of variables that a target sets.
    refine : bool
        Whether the mixture rows teach a network that was learned.
    gap : float
        Optimality gap of the final weights, in nats a row.
    tell : callable
        Called with a stage's name, the steps done and the steps in all.
    """

    network: Network
    blocks: RowBlocks
    sample: Configurations
    families: tuple[Floats, ...]
    max_size: int | None
    refine: bool
    gap: float
    tell: Progress


def find_targets_over_blocks(search: BlockSearch) -> SearchResult:
    """Find the mixture of do-interventions that explains very many rows best.

    Parameters
    ----------
    search : BlockSearch

    Returns
    -------
    SearchResult
        As of :func:`~dosift.search.engine.find_targets`, for all rows.
    """
    with threadpool_limits(1):
        start = _explain_all(search)
        network, targets, weights = start.network, start.targets, start.weights
        if search.refine and network.control is not None:
            search.tell("refining the network", 0, None)
            network, weights = refine_over_blocks(
                search.blocks, search.families, network.control, network, targets, weights
            )
        return _improve(search, network, targets, weights)


def _explain_all(search: BlockSearch) -> SearchResult:
    """Search the sample; rows that the answer makes impossible join it."""
    sample = search.sample
    for _ in range(_MAX_SEARCHES):
        found = find_targets(
            search.network,
            sample,
            max_size=search.max_size,
            refine=search.refine,
            progress=search.tell,
            look_around=False,
        )
        if found.network.is_positive:
            break
        task = ImpossibleRows(found.network, found.targets)
        left_out = search.blocks.reduce(task, task.merge)
        if not len(left_out):
            break
        sample = _joined(sample, left_out, search.network.cardinalities)
    return found


def _improve(search: BlockSearch, network: Network, targets: Ints, weights: Floats) -> SearchResult:
    """Let all rows choose among the components and the targets around them, until nothing pays."""
    score = Constraints.none(network.cardinalities).score(
        search.blocks.n_rows, network.cardinalities, np.arange(network.n_variables)
    )
    variables = _variables(search, network, targets)
    search.tell("weighing on all rows", 0, None)
    now = _Mixture.solved(search, network, targets, weights, score)
    bases: Ints | None = None
    for _ in range(_MAX_ROUNDS):
        search.tell("pricing targets on all rows", 0, None)
        priced = price_over_blocks(
            search.blocks, network, now.targets, now.weights, variables, search.max_size, bases
        )
        kept = likeliest(now.targets, priced, score, search.blocks.n_rows, _WEIGHED)
        others = priced.targets[kept]
        search.tell("weighing on all rows", 0, None)
        sums = weight_sums(search.blocks, network, now.targets, now.weights, others)
        together = np.concatenate([now.targets, others])
        chosen, start = choose(sums, now.weights, score.costs(together))
        trial = now
        if not np.array_equal(chosen, np.arange(len(now.targets))):
            trial = _Mixture.solved(search, network, together[chosen], start, score)
        if trial.score > now.score + _LEAST_RISE:
            now, bases = trial, None
            continue
        bases = _steep(priced, search.blocks.n_rows) if bases is None else None
        if bases is None or not len(bases):
            break
    surroundings = Surroundings(
        _certificate(priced, len(variables)),
        candidates_from_sums(
            now.targets, others, score, (sums.gradient, sums.information), search.blocks.n_rows
        ),
        _rivals(search, network, now),
    )
    return _result(search, network, now, surroundings)


@dataclass(frozen=True)
class _Mixture:
    """Targets with weights that all rows have solved."""

    targets: Ints
    solution: BlockSolution
    score: float

    @property
    def weights(self) -> Floats:
        return self.solution.weights

    @classmethod
    def solved(
        cls, search: BlockSearch, network: Network, targets: Ints, start: Floats, score: Score
    ) -> _Mixture:
        solution = solve_over_blocks(search.blocks, network, targets, start, search.gap)
        kept = np.flatnonzero(solution.weights > 0)
        if kept.size < len(targets):
            targets = targets[kept]
            solution = replace(
                solution,
                weights=solution.weights[kept],
                sums=replace(
                    solution.sums,
                    gradient=solution.sums.gradient[kept],
                    information=solution.sums.information[np.ix_(kept, kept)],
                ),
            )
        value = -np.inf if solution.sums.n_impossible else solution.sums.log_density
        return cls(targets, solution, value - float(score.costs(targets).sum()))


@dataclass(frozen=True)
class ImpossibleRows:
    """Collects configurations that none of some targets can produce, a few of them.

    A task for :meth:`~dosift.data.blocks.RowBlocks.reduce`. Which ones does not depend on the order
    of the rows.

    Attributes
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    """

    network: Network
    targets: Ints

    def __call__(self, codes: Ints, counts: Floats) -> Ints:
        """Collect those of one block, in lexicographic order."""
        columns, _ = TargetColumns(self.network, self.targets)(codes)
        return self._first(codes[~(columns > 0).any(axis=1)])

    def merge(self, one: Ints, other: Ints) -> Ints:
        """Bring those of two blocks together."""
        return self._first(np.concatenate([one, other]))

    def _first(self, codes: Ints) -> Ints:
        rows = collapse(codes, self.network.cardinalities).codes
        # Evenly over all of them, by a hash; the first in the alphabet would be much alike.
        order = np.argsort(hash_rows(rows, 0), kind="stable")[:_MOST_IMPOSSIBLE]
        return np.asarray(rows[np.sort(order)])


def _joined(
    sample: Configurations, codes: Ints, cardinalities: NDArray[np.int64]
) -> Configurations:
    """Add configurations to a sample, as one row each."""
    return collapse(
        np.concatenate([sample.codes, codes]),
        cardinalities,
        np.append(sample.counts, np.ones(len(codes))),
    )


def choose(sums: WeightSums, weights: Floats, costs: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Choose among components and other targets, by the quadratic expansion of the likelihood.

    All of them are weighed together, and then dropped one after the other, the one that is missed
    least first, as long as the log-likelihood less the costs of those that are left rises.

    Parameters
    ----------
    sums : WeightSums
        At `weights`, for the components and the others after them.
    weights : ndarray, shape (n_components,)
    costs : ndarray, shape (n_targets,)
        Description length of each target, in nats.

    Returns
    -------
    chosen : ndarray of int64
        Positions of those that stay, ascending.
    weights : ndarray
        Theirs, to start from.

    Examples
    --------
    >>> sums = WeightSums(np.array([100.0, 130.0]), np.diag([100.0, 100.0]), 0.0, 100.0, 0.0)
    >>> chosen, start = choose(sums, np.array([1.0]), np.array([2.0, 2.0]))
    >>> chosen.tolist(), start.round(2).tolist()
    ([0, 1], [0.77, 0.23])
    """
    n = costs.size
    now = np.zeros(n)
    now[: weights.size] = weights
    # The slope at w of l(w) + N (1 - sum(w)), whose free maximum sums to one.
    linear = sums.gradient - sums.n_possible + sums.information @ now
    alive = np.ones(n, dtype=bool)
    value, best = _value(sums.information, linear, alive, now, costs)
    alive = best > 0
    value -= float(costs[alive].sum())
    while alive.sum() > 1:
        trials = []
        for k in np.flatnonzero(alive):
            fewer = alive.copy()
            fewer[k] = False
            trial, weighed = _value(sums.information, linear, fewer, best, costs)
            trials.append((trial - float(costs[weighed > 0].sum()), -k, weighed))
        highest = max(trials, key=lambda trial: trial[:2])
        if highest[0] <= value:
            break
        value, _, best = highest
        alive = best > 0
    chosen = np.flatnonzero(alive)
    return chosen, best[chosen] / best[chosen].sum()


def _value(
    information: Floats, linear: Floats, alive: NDArray[np.bool_], start: Floats, costs: Floats
) -> tuple[float, Floats]:
    """Maximise ``linear w - w' information w / 2`` over non-negative weights of some targets."""
    some = np.flatnonzero(alive)
    part = information[np.ix_(some, some)]
    scale = 1.0 / np.sqrt(np.maximum(np.diag(part), 1e-300))
    solved = nonnegative_quadratic(
        part * scale * scale[:, None], linear[some] * scale, start[some] / scale
    )
    out = np.zeros_like(linear)
    out[some] = solved * scale
    return float(linear @ out - 0.5 * out @ information @ out), out


def _steep(priced: Priced, n_rows: float) -> Ints:
    """Targets whose gradient chance does not explain: something that extends them may pay."""
    z = priced.z_scores(n_rows)
    bar = -float(ndtri(min(_FALSE_STEEP / max(z.size, 1), 0.3)))
    order = np.argsort(-z, kind="stable")[:_MOST_STEEP]
    return np.asarray(priced.targets[order[z[order] > bar]])


def _variables(search: BlockSearch, network: Network, targets: Ints) -> tuple[int, ...]:
    """Variables that the targets set, and those that the counts of their families point to."""
    is_set = set(np.flatnonzero((targets >= 0).any(axis=0)).tolist())
    if network.n_variables <= SCREEN_FROM:
        return tuple(np.flatnonzero(network.cardinalities > 1).tolist()) or (0,)
    return tuple(sorted(is_set | set(screen_families(network, search.families)))) or (0,)


def _result(
    search: BlockSearch, network: Network, now: _Mixture, found: Surroundings
) -> SearchResult:
    sums = now.solution.sums
    rank = np.lexsort([*now.targets.T[::-1], -now.weights])
    n = network.n_variables
    found = found.placed(np.arange(n), n, rank)
    constant = reference_log_likelihood(network, search.families)
    return SearchResult(
        network=network,
        targets=np.asarray(now.targets[rank], dtype=np.int16),
        weights=now.weights[rank],
        log_likelihood=-np.inf if sums.n_impossible else sums.log_density + constant,
        penalised_score=now.score + constant,
        gap=sums.gap,
        converged=now.solution.converged,
        certificate=found.certificate,
        candidates=found.candidates,
        rivals=found.rivals,
    )


def _certificate(priced: Priced, n_variables: int) -> Certificate:
    largest = float(priced.gradient.max(initial=1.0))
    target = priced.targets[int(priced.gradient.argmax())] if largest > 1.0 else None
    return Certificate("neighbours", n_variables, len(priced.targets), largest, target)


def _rivals(search: BlockSearch, network: Network, now: _Mixture) -> tuple[Rival, ...]:
    """Find targets that could replace a component, first on some rows and then on all."""
    n_rows, weights, m = search.blocks.n_rows, now.weights, len(now.targets)
    prepared = prepare(network, thin(search.sample, _RIVAL_ROWS))
    fit = prepared.problem.fit(prepared.from_network(now.targets), weights)
    if len(fit.targets) < m or not np.isfinite(fit.log_likelihood):
        return ()
    likely = likely_rivals(prepared.problem, fit, search.max_size)
    if not likely:
        return ()
    others = prepared.to_network(np.array([target for _, target in likely]), network.n_variables)
    sums = weight_sums(search.blocks, network, now.targets, weights, others)
    inverse = np.asarray(np.linalg.pinv(sums.information[:m, :m], hermitian=True), np.float64)
    found = []
    for j, (k, _) in enumerate(likely):
        at = slice(m + j, m + j + 1)
        loss = replacement_losses(
            k,
            weights,
            inverse,
            sums.gradient[:m] - n_rows,
            sums.information[at, :m],
            sums.gradient[at] - n_rows,
            np.diag(sums.information)[at],
        )
        if loss[0] < LARGEST_LOSS:
            found.append(Rival(k, others[j], float(loss[0])))
    return tuple(found)
