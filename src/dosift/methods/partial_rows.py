"""Maximum likelihood from rows with missing values.

The likelihood of a row with missing values sums over its completions, which is exact and cheap for
given targets, but the search needs complete rows. So it gets them, filled in as the mixture found
so far would (structural EM; Friedman, 1998), until it finds nothing new; what it found on the way
is then weighed, and dropped where it does not pay, under the exact likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import Configurations, collapse, thin
from dosift.likelihood.assignment import assign
from dosift.likelihood.completions import complete
from dosift.model.network import Network
from dosift.search.constraints import Constraints, solve_constrained
from dosift.search.engine import SearchResult
from dosift.search.moves import merges
from dosift.search.score import Score
from dosift.search.undecided import LEAST_LOG_ODDS, Candidates, log_odds

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Search = Callable[[Network, Configurations], SearchResult]
Progress = Callable[[str, int, "int | None"], None]

#: Rounds of filling in and searching.
_ROUNDS = 3
#: The search begins with the complete rows if these are at least such a share of all.
_ENOUGH_COMPLETE = 0.2
#: Posterior probability below which a completion is not filled in.
_LEAST_SHARE = 1e-3
#: Filled-in rows, as a multiple of the distinct rows, from which a sample is taken.
_MOST_FILLED = 3
#: How far above its cost the estimated loss of a component may be for it to be dropped on trial,
#: and trials without success after which that ends.
_SLACK, _TRIALS = 3.0, 3
#: Rise of the score (nats) that counts as one.
_LEAST_RISE = 1e-4
#: Relative ridge that keeps the curvature of coinciding columns invertible.
_RIDGE = 1e-9
#: Completions are drawn with this seed: what is found depends on nothing but the rows.
_SEED = 20211


def estimate_partial(
    network: Network,
    configurations: Configurations,
    constraints: Constraints,
    gap: float,
    search: Search,
    tell: Progress,
) -> SearchResult:
    """Find targets, weights (and tables) where values are missing at random.

    Parameters
    ----------
    network : Network
    configurations : Configurations
        The mixture rows, -1 for missing values.
    constraints : Constraints
    gap : float
        Optimality gap of the weights, in nats a row.
    search : callable
        Finds a mixture from complete rows.
    tell : callable
        Called with a stage's name.

    Returns
    -------
    SearchResult
        Without a certificate and rivals.

    Raises
    ------
    InputError
        If there are too many completions.
    """
    rows = configurations
    n = network.n_variables
    is_complete = (rows.codes >= 0).all(axis=1)
    nothing: Ints = np.full((1, n), -1, dtype=np.int16)
    if rows.counts[is_complete].sum() >= _ENOUGH_COMPLETE * rows.total:
        start = collapse(rows.codes[is_complete], network.cardinalities, rows.counts[is_complete])
    else:
        start = filled_in(network, nothing, np.ones(1), rows)
    found = search(network, start)
    pool = [found.targets, nothing[constraints.permits(nothing)]]
    seen: set[frozenset[bytes]] = set()
    for k in range(_ROUNDS):
        tell("filling in missing values", k, _ROUNDS)
        found = search(network, filled_in(found.network, found.targets, found.weights, rows))
        pool.append(found.targets)
        key = frozenset(t.tobytes() for t in found.targets)
        if key in seen:
            break
        seen.add(key)
    tell("weighing targets", 0, None)
    targets = np.unique(np.concatenate(pool), axis=0)
    common = [move.added for move in merges(targets) if constraints.permits(move.added).all()]
    targets = np.unique(np.concatenate([targets, *common]), axis=0)
    return _select(found.network, rows, targets, constraints, gap)


def filled_in(
    network: Network, targets: Ints, weights: Floats, rows: Configurations
) -> Configurations:
    """Fill missing values in as a mixture would, with fractional counts.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    rows : Configurations

    Returns
    -------
    Configurations
        Complete rows. Values that others depend on are filled in with all their states, each
        with its posterior probability; the rest are drawn from their mechanisms.
    """
    found = complete(network, rows.codes)
    under = assign(network, targets, weights, found.codes)
    joint = under.columns * weights
    scale = under.log_reference - np.maximum.reduceat(under.log_reference, found.first)[found.row]
    joint *= np.exp(scale)[:, None]
    total = np.add.reduceat(joint.sum(axis=1), found.first)[found.row]
    share = np.divide(joint, total[:, None], out=np.zeros_like(joint), where=total[:, None] > 0)
    share[total <= 0, 0] = 1.0  # nothing explains the row: fill it in somehow
    share[share < _LEAST_SHARE] = 0.0
    which, component = np.nonzero(share)
    counts = rows.counts[found.row[which]] * share[which, component]
    # What was cut off goes to the others of the row.
    kept = np.bincount(found.row[which], counts, minlength=rows.counts.size)
    lost = np.divide(rows.counts, kept, out=np.zeros_like(kept), where=kept > 0)
    codes = _drawn(network, targets[component], found.codes[which])
    filled = collapse(codes, network.cardinalities, counts * lost[found.row[which]])
    if filled.counts.size > _MOST_FILLED * rows.counts.size:
        # So many fractions tell the search little more than as many whole rows as there were.
        return thin(filled, max(int(rows.total) - 1, 1))
    return filled


def _drawn(network: Network, targets: Ints, codes: Ints) -> Ints:
    """Draw what is still open, causes before effects."""
    rng = np.random.default_rng(_SEED)
    codes = codes.copy()
    for i in network.order:
        open_ = np.flatnonzero(codes[:, i] < 0)
        if open_.size == 0:
            continue
        table = network.tables[i][network.parent_rows(int(i), codes[open_])]
        below = rng.random(open_.size)[:, None] > np.cumsum(table, axis=1)[:, :-1]
        set_to = targets[open_, i]
        codes[open_, i] = np.where(set_to >= 0, set_to, below.sum(axis=1))
    return codes


def _select(
    network: Network, rows: Configurations, targets: Ints, constraints: Constraints, gap: float
) -> SearchResult:
    """Weigh targets under the exact likelihood, and drop those that do not pay."""
    under = assign(network, targets, np.ones(len(targets)), rows.codes)
    score = constraints.score(rows.total, network.cardinalities, np.arange(network.n_variables))
    selection = _Selection(under.columns, rows.counts, targets, score, constraints, gap)
    kept, weights = selection.run()
    solution = solve_constrained(
        under.columns[:, kept], rows.counts, constraints.fixed(targets[kept]), weights, gap
    )
    value = solution.log_likelihood + float(rows.counts @ under.log_reference)
    rank = np.lexsort([*targets[kept].T[::-1], -solution.weights])
    chosen, weights = targets[kept][rank], solution.weights[rank]
    candidates = None
    if not constraints.known_weights.size and np.isfinite(value):
        candidates = _candidates(network, rows, chosen, weights, targets, score, constraints)
    return SearchResult(
        network=network,
        targets=np.asarray(chosen, dtype=np.int16),
        weights=weights,
        log_likelihood=value,
        penalised_score=value - float(score.costs(chosen).sum()),
        gap=solution.gap,
        converged=solution.converged,
        candidates=candidates,
    )


class _Selection:
    """Chooses among fixed columns: backward elimination, merges, and second chances."""

    def __init__(
        self,
        columns: Floats,
        counts: Floats,
        targets: Ints,
        score: Score,
        constraints: Constraints,
        gap: float,
    ) -> None:
        self.columns, self.counts, self.gap = columns, counts, gap
        self.targets = np.asarray(targets, dtype=np.int16)
        self.place = {t.tobytes(): k for k, t in enumerate(self.targets)}
        self.costs = score.costs(targets)
        self.fixed = constraints.fixed(targets)
        self.protected = constraints.protects(targets)

    def run(self) -> tuple[NDArray[np.int64], Floats]:
        """Return the columns that stay, and their weights."""
        every = np.arange(self.costs.size)
        kept, weights, value = self._prune(every, *self._solve(every, np.ones(every.size)))
        better = True
        while better:
            better = False
            for some in self._others(kept):
                trial, start = some, np.ones(some.size)
                trial, after, score = self._prune(trial, *self._solve(trial, start))
                if score > value + _LEAST_RISE:
                    kept, weights, value, better = trial, after, score, True
                    break
        return kept, weights

    def _others(self, kept: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Propose other sets: components replaced by what they have in common, or one more."""
        for move in merges(self.targets[kept]):
            rest = np.delete(kept, list(move.dropped))
            lost = np.setdiff1d(kept[self.protected[kept]], rest)
            added = [self.place[t.tobytes()] for t in move.added if t.tobytes() in self.place]
            if len(added) == len(move.added):
                yield np.unique(np.concatenate([rest, lost, added])).astype(np.int64)
        for k in np.setdiff1d(np.arange(self.costs.size), kept):
            yield np.append(kept, k)

    def _prune(
        self, kept: NDArray[np.int64], weights: Floats, value: float
    ) -> tuple[NDArray[np.int64], Floats, float]:
        """Drop columns one by one as long as that raises the score."""
        while kept.size > 1:
            for worst in self._droppable(kept, weights):
                rest = np.delete(kept, worst)
                trial, after = self._solve(rest, np.delete(weights, worst))
                if after > value:
                    kept, weights, value = rest, trial, after
                    break
            else:
                break
        return kept, weights, value

    def _solve(self, kept: NDArray[np.int64], start: Floats) -> tuple[Floats, float]:
        start = np.maximum(start, 1e-6)
        found = solve_constrained(
            self.columns[:, kept], self.counts, self.fixed[kept], start / start.sum(), self.gap
        )
        return found.weights, found.log_likelihood - float(self.costs[kept].sum())

    def _droppable(self, kept: NDArray[np.int64], weights: Floats) -> NDArray[np.int64]:
        mixture = self.columns[:, kept] @ weights
        possible = mixture > 0
        scale = np.sqrt(self.counts[possible]) / mixture[possible]
        scaled = self.columns[possible][:, kept] * scale[:, None]
        inverse = _inverse(scaled.T @ scaled)
        net = weights**2 / (2 * np.maximum(np.diag(inverse), 1e-300)) - self.costs[kept]
        net[self.protected[kept]] = np.inf
        order = np.argsort(net, kind="stable")[:_TRIALS]
        return np.asarray(order[net[order] <= _SLACK], dtype=np.int64)


def _candidates(
    network: Network,
    rows: Configurations,
    chosen: Ints,
    weights: Floats,
    pool: Ints,
    score: Score,
    constraints: Constraints,
) -> Candidates:
    """Return the targets beside the mixture whose odds are not negligible."""
    m = len(chosen)
    own = np.log(m) - score.names(chosen)
    own[constraints.protects(chosen)] = np.inf
    near = np.unique(np.concatenate([pool, *_neighbours(network, chosen)]), axis=0)
    present = {t.tobytes() for t in np.asarray(chosen, dtype=np.int16)}
    near = np.asarray(near, dtype=np.int16)
    beside = np.array([t.tobytes() not in present for t in near], dtype=bool)
    near = near[beside & constraints.permits(near)]
    if len(near) == 0:
        return Candidates(near, np.empty(0), own)
    prior = np.log(m) - score.names(near)
    inside = assign(network, chosen, weights, rows.codes)
    outside = assign(network, near, np.zeros(len(near)), rows.codes)
    possible = (outside.columns > 0).any(axis=0)
    near, prior = near[possible], prior[possible]
    relative = inside.columns / inside.mixture[:, None]
    added = outside.columns[:, possible] / inside.mixture[:, None]
    information = (relative * rows.counts[:, None]).T @ relative
    inverse = _inverse(information)
    odds = log_odds(rows.counts, relative, added, inverse, prior)
    order = np.argsort(-odds, kind="stable")
    order = order[odds[order] > LEAST_LOG_ODDS]
    return Candidates(near[order], prior[order], own)


def _inverse(information: Floats) -> Floats:
    """Invert; a direction without curvature gets a huge error, not none as in a pseudo-inverse."""
    ridge = _RIDGE * np.maximum(np.diag(information), np.trace(information) * _RIDGE + 1e-300)
    return np.asarray(np.linalg.inv(information + np.diag(ridge)), dtype=np.float64)


def _neighbours(network: Network, targets: Ints) -> list[Ints]:
    """Return targets that differ from a component in one variable."""
    out: list[Ints] = []
    for i, k in enumerate(network.cardinalities):
        for state in range(-1, int(k)):
            changed = np.array(targets, dtype=np.int16)
            changed[:, i] = state
            out.append(changed)
    return out
