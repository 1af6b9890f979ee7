"""Choosing among targets that a search proposed, on all the evidence.

A search works on complete rows in memory: a sample of many rows, rows with their missing values
filled in, one batch at a time. What it proposes is weighed here under the exact likelihood of all
rows, whatever they are; targets that do not earn their cost are dropped, and targets around the
mixture come in as long as that raises the penalised score:

    sum over batches of (log-likelihood - half the logarithm of the rows for every weight)
      - the name of every target, once - a price for the pattern of the batches that it occurs in.

In one batch that is the score of every other search (:mod:`dosift.search.score`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtri

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import Solution, solve
from dosift.likelihood.weight_sums import WeightSums
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network
from dosift.search.choice import choose
from dosift.search.constraints import Constraints
from dosift.search.elimination import drop_losses, eliminate, inverse_of, survivors
from dosift.search.moves import Move, merges
from dosift.search.neighbour_prices import price_neighbours, price_targets
from dosift.search.pricing import Priced
from dosift.search.undecided import likeliest

#: Rounds of pricing, and targets that are weighed with the components in each.
_MAX_ROUNDS, _WEIGHED = 12, 24
#: The same in each of several batches, and the weight that they begin with.
_WEIGHED_BY_BATCH, _SHARE_OF_NEW = 6, 0.05
#: Targets that are extended where no neighbour pays: their expected number by chance, and most.
_FALSE_STEEP, _MOST_STEEP = 0.5, 8
#: Smallest rise of the score (nats) that counts as one.
_LEAST_RISE = 1e-3
#: Margin (nats) up to which dropping a weight, or a target from all batches, is tried; drops that
#: are tried in a row without success.
_SLACK, _SLACK_OF_TARGET, _TRIALS = 3.0, 10.0, 3
#: Share of the description length of a target's pattern that is charged, by experiment: at full
#: price batches lose targets that they share with others, for nothing targets are invented.
_PATTERN = 0.5
#: Rounds in which weights in single batches are judged again, with what the others teach.
_ROUNDS = 3
#: Nats that a row costs which nothing explains: more than any row that is explained.
_IMPOSSIBLE = 1e4
#: Log-likelihood (nats, all rows) to which weights are solved while targets are compared.
_ACCURACY = 1e-3


@dataclass(frozen=True)
class Mixture:
    """Targets, and the weights that each batch gives them.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
        In the network's order of variables.
    solution : Solution
        Weights of shape (n_batches, n_targets), zero where a target does not occur.
    allowed : ndarray of bool, shape (n_batches, n_targets)
        Which targets each batch may have.
    score : float
        Penalised log-likelihood, in nats.
    """

    targets: Ints
    solution: Solution
    allowed: Bools
    score: float

    @property
    def weights(self) -> Floats:
        """Of shape (n_batches, n_targets)."""
        return self.solution.weights

    @property
    def sums(self) -> WeightSums:
        """At these weights."""
        return self.solution.sums


class Selection:
    """Chooses targets on all the evidence.

    Parameters
    ----------
    evidence : Evidence
    network : Network
        With the tables as they are to be used.
    constraints : Constraints
    variables : tuple of int
        Variables that targets around the mixture may set.
    max_size : int, optional
        Largest number of variables that a target sets.
    """

    def __init__(
        self,
        evidence: Evidence,
        network: Network,
        constraints: Constraints,
        variables: tuple[int, ...],
        max_size: int | None = None,
    ) -> None:
        self.evidence, self.network, self.constraints = evidence, network, constraints
        self.variables, self.max_size = variables, max_size
        self.score = constraints.score(evidence.total, network.libraries)
        self._per_weight = 0.5 * np.log(np.maximum(evidence.n_rows, 2.0))

    def run(self, pool: Ints, start: Floats | None = None) -> Mixture:
        """Choose among a pool of targets, and what lies around them.

        Parameters
        ----------
        pool : ndarray of int, shape (n_targets, n_variables)
            Distinct. Required targets, and those of known weight, join it.
        start : ndarray, shape (n_batches, n_targets), optional
            Weights to start from.

        Returns
        -------
        Mixture
        """
        pool = np.asarray(pool, dtype=np.int16)
        special = np.concatenate([self.constraints.required, self.constraints.known])
        present = {t.tobytes() for t in pool}
        more = [t for t in np.asarray(special, np.int16) if t.tobytes() not in present]
        together = np.array([*pool, *more], dtype=np.int16)
        weights = np.full((self.evidence.n_batches, len(together)), 1.0 / len(together))
        if start is not None:
            weights[:, : len(pool)] = np.maximum(start, 0.1 / len(together))
        now = self._simplified(self.solved(together, weights))
        if self.evidence.n_batches > 1:
            # Every batch was searched by itself; where it was a sample, it may have missed some.
            return now if self.evidence.held is not None else self._enlarged_by_batch(now)
        return self._enlarged(now)

    def solved(
        self,
        targets: Ints,
        start: Floats,
        allowed: Bools | None = None,
        gap: float | None = None,
    ) -> Mixture:
        """Solve the weights of given targets; those that end at zero everywhere are left out.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        start : ndarray, shape (n_batches, n_targets)
        allowed : ndarray of bool, shape (n_batches, n_targets), optional
        gap : float, optional
            In nats a row; loose enough for comparisons by default.
        """
        may = np.ones(start.shape, dtype=bool) if allowed is None else allowed
        may = may | self.constraints.protects(targets)
        return self._kept(targets, self._weighed(targets, start, may, gap))

    def _weighed(
        self, targets: Ints, start: Floats, allowed: Bools, gap: float | None = None
    ) -> Solution:
        """Solve weights, loosely enough for comparisons by default."""
        wanted = _ACCURACY / self.evidence.total if gap is None else gap
        fixed = self.constraints.fixed(targets)
        return solve(
            self.evidence, self.network, targets, start, wanted, allowed=allowed, fixed=fixed
        )

    def _value(self, targets: Ints, found: Solution) -> float:
        present = found.weights > 0
        present |= self.constraints.protects(targets)
        weights = float((present.sum(axis=1) * self._per_weight).sum())
        named = self._names(targets) + self._pattern(present.sum(axis=0))
        # Rows that no permitted target explains cost the same whatever else there is.
        impossible = _IMPOSSIBLE * float(found.sums.n_impossible.sum())
        value = float(found.sums.log_density.sum()) - weights - float(named.sum())
        return value - impossible

    def _names(self, targets: Ints) -> Floats:
        """Cost of each target's name alone: weights are paid for in each batch."""
        total = 0.5 * np.log(max(self.evidence.total, 2.0))
        return np.asarray(self.score.costs(targets) - total)

    def _pattern(self, n_present: NDArray[np.int64]) -> Floats:
        """Cost of naming the batches that a target occurs in."""
        n = self.evidence.n_batches
        if n == 1:
            return np.zeros(n_present.size)
        choose = gammaln(n + 1) - gammaln(n_present + 1) - gammaln(n - n_present + 1)
        return np.asarray(_PATTERN * (choose + np.log(n + 1)))

    def costs(self, now: Mixture) -> Floats:
        """Say what each weight of each batch must earn, shape (n_batches, n_targets)."""
        n = self.evidence.n_batches
        if n == 1:
            return self.score.costs(now.targets)[None]
        n_present = np.maximum((now.weights > 0).sum(axis=0), 1)
        pattern = _PATTERN * np.maximum(np.log((n - n_present + 1) / n_present), 0.0)
        return np.asarray(self._per_weight[:, None] + pattern)

    # Dropping.

    def _simplified(self, now: Mixture) -> Mixture:
        """Drop weights in single batches, and whole targets, while that raises the score."""
        now = self._settled(now)
        if self.evidence.n_batches > 1:
            for _ in range(_ROUNDS):
                before = now.score
                now = self._settled(self._without_targets(now))
                if now.score <= before + _LEAST_RISE:
                    break
        return now

    def _settled(self, now: Mixture) -> Mixture:
        """Drop weights batch by batch, all batches side by side."""
        now = self._without_all_that_seem_idle(now)
        return eliminate(_Droppable(self, now), slack=_SLACK, trials=_TRIALS).now

    def margins(self, now: Mixture) -> Floats:
        """Estimated net loss of dropping each weight, shape (n_batches, n_targets)."""
        net = drop_losses(now.sums.information, now.weights) - self.costs(now)
        net[:, self.constraints.protects(now.targets)] = np.inf
        net[now.weights <= 0] = np.inf
        net[now.allowed.sum(axis=1) <= 1] = np.inf
        return np.asarray(net)

    def trial(self, now: Mixture, allowed: Bools) -> Mixture:
        """Solve with fewer weights allowed; targets stay in their places."""
        found = self._weighed(now.targets, now.weights, allowed)
        return Mixture(now.targets, found, allowed, self._value(now.targets, found))

    def kept(self, now: Mixture) -> Mixture:
        """Leave out targets that no batch has any more."""
        return self._kept(now.targets, now.solution)

    def _kept(self, targets: Ints, found: Solution) -> Mixture:
        protects = self.constraints.protects(targets)
        kept = np.flatnonzero((found.weights > 0).any(axis=0) | protects)
        if kept.size < len(targets):
            found = Solution(
                found.weights[:, kept], found.sums.some(kept), found.gap, found.converged
            )
        targets = targets[kept]
        # A weight that ended at zero costs nothing, and comes back only where it is tried.
        allowed = (found.weights > 0) | protects[kept]
        return Mixture(targets, found, allowed, self._value(targets, found))

    def _without_all_that_seem_idle(self, now: Mixture) -> Mixture:
        """Drop at once what the quadratic model says is idle, if it is right."""
        costs, protected = self.costs(now), self.constraints.protects(now.targets)
        allowed = np.zeros_like(now.allowed)
        for b, own in enumerate(now.weights):
            is_in = np.flatnonzero(own > 0)
            inverse = inverse_of(now.sums.information[b][np.ix_(is_in, is_in)])
            stay = survivors(own[is_in], inverse, costs[b, is_in], protected[is_in])
            allowed[b, is_in[stay]] = True
        allowed |= protected
        if (allowed == now.allowed).all():
            return now
        trial = self.trial(now, allowed)
        return self.kept(trial) if trial.score >= now.score else now

    def _without_targets(self, now: Mixture) -> Mixture:
        """Drop whole targets while that raises the score."""
        tried: set[bytes] = set()
        while len(now.targets) > 1:
            present = now.weights > 0
            saved = (present * self._per_weight[:, None]).sum(axis=0) + self._names(now.targets)
            saved += self._pattern(present.sum(axis=0))
            net = drop_losses(now.sums.information, now.weights).sum(axis=0) - saved
            net[self.constraints.protects(now.targets)] = np.inf
            net[[t.tobytes() in tried for t in now.targets]] = np.inf
            worst = int(net.argmin())
            if net[worst] >= _SLACK_OF_TARGET:
                break
            # Where it was, the other targets may take its place.
            allowed = now.allowed | present[:, [worst]]
            allowed[:, worst] = False
            trial = self._settled(self.kept(self.trial(now, allowed)))
            if trial.score > now.score + _LEAST_RISE:
                now = trial
            else:
                tried.add(now.targets[worst].tobytes())
        return now

    # Adding.

    def _enlarged(self, now: Mixture) -> Mixture:
        """Let targets around the mixture come in, until none pays."""
        bases: Ints | None = None
        for _ in range(_MAX_ROUNDS):
            better = self._merged(now)
            if better is not None:
                now = better
                continue
            (priced,) = self.priced(now, bases)
            trial = self._with_some_of(now, priced)
            if trial.score > now.score + _LEAST_RISE:
                now, bases = trial, None
                continue
            bases = _steep(priced, self.evidence.total) if bases is None else None
            if bases is None or not len(bases):
                break
        return now

    def _enlarged_by_batch(self, now: Mixture) -> Mixture:
        """Let the targets that single batches want most come in, until none pays."""
        for _ in range(_MAX_ROUNDS):
            wanted = []
            for b, priced in enumerate(self.priced(now)):
                n_rows = float(self.evidence.n_rows[b])
                some = likeliest(now.targets, priced, self.score, n_rows, _WEIGHED_BY_BATCH)
                wanted.append(priced.targets[some[priced.gradient[some] > 1.0]])
            others = np.unique(np.concatenate(wanted), axis=0)
            if not len(others):
                break
            share = np.full((self.evidence.n_batches, len(others)), _SHARE_OF_NEW / len(others))
            start = np.hstack([(1.0 - _SHARE_OF_NEW) * now.weights, share])
            allowed = np.hstack([now.allowed, np.ones_like(share, dtype=bool)])
            together = np.concatenate([now.targets, others])
            trial = self._simplified(self.solved(together, start, allowed))
            if trial.score <= now.score + _LEAST_RISE:
                break
            now = trial
        return now

    def priced(self, now: Mixture, more: Ints | None = None) -> list[Priced]:
        """Price the targets around a mixture, or those of the list of candidates.

        Parameters
        ----------
        now : Mixture
        more : ndarray of int, shape (n_more, n_variables), optional
            Targets that are not in the mixture, and whose extensions are priced too.

        Returns
        -------
        list of Priced
            One for each batch.
        """
        listed = self.constraints.candidates
        if listed is not None:
            others = np.asarray(listed, dtype=np.int16)[self.constraints.permits(listed)]
            if self.max_size is not None:
                others = others[(others >= 0).sum(axis=1) <= self.max_size]
            return price_targets(self.evidence, self.network, now.targets, now.weights, others)
        return price_neighbours(
            self.evidence,
            self.network,
            now.targets,
            now.weights,
            self.variables,
            self.constraints,
            self.max_size,
            more,
        )

    def priced_in_the_rest(self, now: Mixture) -> list[Priced]:
        """Price as :meth:`priced` does, in the weight that known ones leave.

        A target that is brought in takes the place of the others whose weights are not known.

        Parameters
        ----------
        now : Mixture

        Returns
        -------
        list of Priced
            One for each batch, with gradients that are 1 for components of free weight.
        """
        found = self.priced(now)
        known = self.constraints.fixed(now.targets)
        if np.isnan(known).all():
            return found
        gradient = now.sums.gradient / np.maximum(now.sums.n_possible, 1e-300)[:, None]
        of_known = gradient @ np.nan_to_num(known)
        rest = self.constraints.rest
        return [
            replace(one, gradient=rest * one.gradient + part)
            for one, part in zip(found, of_known, strict=True)
        ]

    def _with_some_of(self, now: Mixture, priced: Priced) -> Mixture:
        """Weigh the likeliest others with the components, and keep those that pay."""
        kept = likeliest(now.targets, priced, self.score, self.evidence.total, _WEIGHED)
        if not kept.size:
            return now
        others = priced.targets[kept]
        sums = self.evidence.weigh(self.network, now.targets, now.weights, others)
        together = np.concatenate([now.targets, others])
        chosen, start = choose(
            sums,
            now.weights[0],
            self.score.costs(together),
            self.constraints.protects(together),
            self.constraints.fixed(together),
        )
        if np.array_equal(chosen, np.arange(len(now.targets))):
            return now
        trial = self.solved(together[chosen], start[None])
        if trial.sums.n_impossible.sum() > now.sums.n_impossible.sum():
            # Some rows had one component for their only cause, which the expansion does not see.
            both = np.union1d(np.arange(len(now.targets)), chosen)
            weights = np.zeros(len(together))
            weights[: len(now.targets)] = now.weights[0]
            weights[chosen] += start
            trial = self.solved(together[both], 0.5 * weights[both][None])
        return self._settled(trial)

    def _merged(self, now: Mixture) -> Mixture | None:
        """Replace components by what they have in common, where rows are held."""
        if self.evidence.held is None:
            return None  # a pass over all rows for each is too much; `choose` merges, too
        protected = self.constraints.protects(now.targets)
        for move in merges(now.targets):
            keep = np.ones(len(now.targets), dtype=bool)
            keep[list(move.dropped)] = False
            keep |= protected
            if keep.all() or not self._permits(move):
                continue
            targets = np.concatenate([now.targets[keep], move.added])
            lost = now.weights[:, ~keep].sum(axis=1, keepdims=True)
            start = np.hstack([now.weights[:, keep], np.repeat(lost, len(move.added), axis=1)])
            if not np.isnan(self.constraints.fixed(targets)).any():
                continue
            trial = self._settled(self.solved(targets, start))
            if trial.score > now.score + _LEAST_RISE:
                return trial
        return None

    def _permits(self, move: Move) -> bool:
        return bool(self.constraints.permits(move.added).all())


@dataclass(frozen=True)
class _Droppable:
    """A mixture that weights can be dropped from, batch by batch."""

    selection: Selection
    now: Mixture

    def margins(self) -> Floats:
        return self.selection.margins(self.now)

    def _allowed(self, tried: Ints, some: Bools) -> Bools:
        allowed = self.now.allowed.copy()
        at = np.flatnonzero((tried >= 0) & some)
        allowed[at, tried[at]] = False
        return allowed

    def without(self, tried: Ints) -> _Droppable:
        allowed = self._allowed(tried, np.ones(tried.size, dtype=bool))
        return _Droppable(self.selection, self.selection.trial(self.now, allowed))

    def gains(self, trial: _Droppable, tried: Ints) -> Bools:
        now, then = self.now.sums, trial.now.sums
        costs = self.selection.costs(self.now)
        saved = np.where(tried >= 0, costs[np.arange(tried.size), tried], 0.0)
        impossible = then.n_impossible > now.n_impossible
        return np.asarray(~impossible & (now.log_density - then.log_density < saved))

    def taking(self, trial: _Droppable, tried: Ints, better: Bools) -> _Droppable:
        then = trial.now
        if not (better | (tried < 0)).all():
            then = self.selection.trial(self.now, self._allowed(tried, better))
        return _Droppable(self.selection, self.selection.kept(then))


def _steep(priced: Priced, n_rows: float) -> Ints:
    """Targets whose gradient chance does not explain: something that extends them may pay."""
    z = priced.z_scores(n_rows)
    bar = -float(ndtri(min(_FALSE_STEEP / max(z.size, 1), 0.3)))
    order = np.argsort(-z, kind="stable")[:_MOST_STEEP]
    return np.asarray(priced.targets[order[z[order] > bar]])
