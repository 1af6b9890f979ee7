"""Control and mixture rows teach a learned network together.

With tables estimated from control rows alone, their errors are read as extra components. Here the
tables are parameters too: the joint objective is the log-likelihood of the mixture rows, plus that
of the control rows, plus the logarithm of the Dirichlet prior. It is raised by turns: weights by
the convex solver, tables by a step of EM, in which a row counts towards the mechanism of variable i
in proportion to the posterior of the targets that leave i alone. Components are dropped under the
joint objective, where the tables may take over what a component explained.

The same for rows that are held and for rows in blocks, where a step of EM shares its pass with one
step of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.likelihood.weight_sums import WeightSums
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.elimination import drop_losses, eliminate
from dosift.search.moves import merges

#: Rise of the joint objective (nats, all rows) in one step of EM at which the tables are left.
EM_RISE = 0.02
_EM_STEPS = 60
#: Smallest rise of the joint score that counts as one.
_LEAST_RISE = 1e-3
#: Estimated loss beyond its cost (nats) up to which dropping a component is tried. The estimate
#: holds the tables; with many rows those can take over far more than that lets expect.
DROP_SLACK = 100.0
#: The same for taking a change out of targets: rows have taught the mechanism already, so that a
#: change that stands for its error does little.
_SPARE_SLACK = 10.0
#: The same where variables have states; with rows that would be impossible then, it is infinite.
_SPARE_SLACK_OF_TABLES = 50.0
#: How many times what a step of EM is sure to bring all steps from there on may bring: a trial that
#: would need more is given up.
_MORE_STEPS = 25
#: Nats by which the drop of a component must have fallen short not to be tried again while others
#: are dropped: without these, it is missed all the more.
_FAR_SHORT = 20.0
#: Passes over the rows for the weights in one step of EM: where columns are remembered these cost
#: little.
_HELD_PASSES, _PASSES = 50, 2
#: The same where steps are to be cheap.
_FEW_PASSES = 3


@dataclass(frozen=True)
class JointFit:
    """Targets, weights and tables that were fitted together.

    Attributes
    ----------
    network : Network
        With the refined tables.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_batches, n_targets)
        Positive somewhere, but for required targets.
    score : float
        Joint objective less the description length of the targets, in nats.
    sums : WeightSums
        At these weights.
    """

    network: Network
    targets: Ints
    weights: Floats
    score: float
    sums: WeightSums


class JointFitter:
    """Fits weights and tables together for given targets.

    Parameters
    ----------
    network : Network
        Learned: it remembers its control counts and prior.
    evidence : Evidence
        The mixture rows.
    constraints : Constraints, optional
        What is known about targets, in the network's order of variables.
    learners : sequence of int, optional
        Variables whose tables are taught; all by default.
    """

    def __init__(
        self,
        network: Network,
        evidence: Evidence,
        constraints: Constraints | None = None,
        learners: Sequence[int] | None = None,
    ) -> None:
        self._constraints = constraints or Constraints.none(network.n_changes)
        if not network.learns:
            raise ValueError("the network does not remember control counts")
        self._evidence = evidence
        self._learners = range(network.n_variables) if learners is None else learners
        self._score = self._constraints.score(evidence.total, network.libraries)

    def fit(
        self,
        network: Network,
        targets: Ints,
        weights: Floats,
        rise: float = EM_RISE,
        needed: float = -np.inf,
        begun: _State | None = None,
    ) -> JointFit:
        """Raise the joint objective from a start until a step of EM hardly helps.

        Parameters
        ----------
        network : Network
            Tables to start from.
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_batches, n_targets) or (n_targets,)
        rise : float
            Rise (nats, all rows) in one step of EM at which it ends.
        needed : float
            Score below which the fit is of no use: it ends where that looks out of reach.
        begun : optional
            The best weights at the tables to start from, where they are known.

        Returns
        -------
        JointFit
        """
        weights = np.atleast_2d(weights)
        is_trial = needed > -np.inf
        now = self._at(network, targets, weights, is_trial) if begun is None else begun
        last = np.inf
        for _ in range(_EM_STEPS):
            if is_trial and np.isneginf(now.value):
                break  # rows that are impossible stay so
            before, taught = now.value, self._taught(now, targets)
            if is_trial:
                most = before + _MORE_STEPS * self._sure_rise(now, taught)
                if most - self._cost(now, targets) < needed:
                    break
            now = self._at(taught, targets, now.weights)
            if now.value - before < rise:
                break
            if is_trial and now.families is None:
                most = now.value + to_come(now.value - before, last)
                if most - self._cost(now, targets) < needed:
                    break
            last = now.value - before
        return self._fit_of(now, targets)

    def steps(
        self, network: Network, targets: Ints, weights: Floats, rise: float
    ) -> Iterator[JointFit]:
        """Raise the joint objective from a start, step by step and without an end.

        Weights take few steps of their own in each, so that steps are cheap; the gap of the sums
        says how far they are from the best at these tables.

        Parameters
        ----------
        network : Network
            Tables to start from.
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_batches, n_targets) or (n_targets,)
        rise : float
            Rise (nats, all rows) that is not worth another step of the weights.

        Yields
        ------
        JointFit
        """
        now = self._at(network, targets, np.atleast_2d(weights), rise=rise, passes=_FEW_PASSES)
        while True:
            yield self._fit_of(now, targets)
            taught = self._taught(now, targets)
            now = self._at(taught, targets, now.weights, rise=rise, passes=_FEW_PASSES)

    def _fit_of(self, now: _State, targets: Ints) -> JointFit:
        kept = self._kept(now, targets)
        score = now.value - self._cost(now, targets)
        sums = now.sums.some(np.flatnonzero(kept))
        return JointFit(now.network, targets[kept], now.weights[:, kept], score, sums)

    def _kept(self, now: _State, targets: Ints) -> Bools:
        return (now.weights > 0).any(axis=0) | self._constraints.protects(targets)

    def _cost(self, now: _State, targets: Ints) -> float:
        return self._score.total(targets[self._kept(now, targets)])

    def _at(
        self,
        network: Network,
        targets: Ints,
        start: Floats,
        is_trial: bool = False,
        least: float = -np.inf,
        rise: float = EM_RISE,
        passes: int | None = None,
    ) -> _State:
        """Best weights at given tables, the joint objective there, and expected families.

        They are not the best where no weights can bring the objective to the least of use.
        """
        reference, log_prior = self._evidence.reference(network), network.log_prior()
        fixed = self._constraints.fixed(targets)
        accuracy = rise / 10 / self._evidence.total
        is_quick = self._evidence.held is not None or isinstance(network, MechanismNetwork)
        most = _HELD_PASSES if is_quick else _PASSES
        found = solve(
            self._evidence,
            network,
            targets,
            start,
            accuracy,
            fixed=fixed,
            max_passes=most if passes is None else passes,
            all_possible=is_trial,
            least=least - reference - log_prior,
        )
        sums, families = found.sums, None
        if isinstance(network, Network) and not (is_trial and sums.n_impossible.any()):
            families = self._evidence.teach(network, targets, found.weights, self._learners)
        value = sums.log_likelihood(reference) + log_prior
        return _State(network, found.weights, value, sums, families)

    def _taught(self, now: _State, targets: Ints) -> Network:
        """Do the M step: mechanisms from control rows and what mixture rows are expected to say."""
        network = now.network
        if now.families is None:
            assert isinstance(network, MechanismNetwork)
            return as_network(self._evidence.taught(network, targets, now.weights, self._learners))
        assert network.control is not None
        tables = list(network.tables)
        for i, family in zip(self._learners, now.families, strict=True):
            counted = network.control.counts[i] + family
            tables[i] = network.mechanisms[i].fitted(counted).table
        return network.with_own_tables(tables)

    def _sure_rise(self, now: _State, taught: Network) -> float:
        """Rise of the joint objective that the M step alone brings, in nats."""
        if now.families is None:
            return np.inf
        rise = taught.log_prior() - now.network.log_prior()
        for i, family in zip(self._learners, now.families, strict=True):
            used = family > 0
            ratio = taught.tables[i][used] / now.network.tables[i][used]
            rise += float(family[used] @ np.log(ratio))
        return rise

    def simplify(self, fit: JointFit) -> JointFit:
        """Drop and merge components while that raises the joint score.

        Where control rows hardly show a parent configuration that a target makes frequent, the
        extensions of the target by the states of the child stand in for the unknown table; no
        single drop leads back, since only all of them together explain those rows.
        """
        while True:
            fit = self.prune(fit)
            better = self._merged(fit) or self._spared(fit)
            if better is None:
                return fit
            fit = better

    def _merged(self, fit: JointFit) -> JointFit | None:
        for move in merges(fit.targets):
            keep = np.ones(len(fit.targets), dtype=bool)
            keep[list(move.dropped)] = False
            keep |= self._constraints.protects(fit.targets)
            allowed = self._constraints.permits(move.added).all()
            if keep.all() or not allowed or not (len(move.added) or self._free(fit)[keep].any()):
                continue
            lost = fit.weights[:, ~keep].sum(axis=1, keepdims=True)
            trial = self.fit(
                fit.network,
                np.concatenate([fit.targets[keep], move.added]),
                np.hstack([fit.weights[:, keep], np.repeat(lost, len(move.added), axis=1)]),
                needed=fit.score + _LEAST_RISE,
            )
            if trial.score > fit.score + _LEAST_RISE:
                return trial
        return None

    def _spared(self, fit: JointFit) -> JointFit | None:
        """Take a change out of targets that it is a part of, if that is better.

        What a change does to a variable shows its children values that control rows did not have,
        and the error of their mechanisms there reads as a change of theirs. Once rows have taught
        the mechanism, that change does next to nothing; but no row says so as long as it is there.
        """
        for j, held in _parts(fit):
            if self._constraints.protects(fit.targets[held]).any():
                continue
            targets, weights = _without_change(fit, j, held)
            if not self._constraints.permits(targets).all():
                continue
            parents = list(fit.network.parents[j])
            # What is done to parents may have driven them beyond control rows.
            is_beyond = (fit.targets[held][:, parents] >= 0).any(axis=1).all()
            is_table = fit.network.libraries[j].is_exclusive
            slack = _SPARE_SLACK_OF_TABLES if is_table else np.inf if is_beyond else _SPARE_SLACK
            least = fit.score - slack
            near = self._at(fit.network, targets, weights, least=least)
            if np.isneginf(near.value) or near.value - self._cost(near, targets) < least:
                continue
            needed = fit.score + _LEAST_RISE
            trial = self.fit(fit.network, targets, weights, needed=needed, begun=near)
            if trial.score > fit.score + _LEAST_RISE:
                return trial
        return None

    def prune(self, fit: JointFit) -> JointFit:
        """Drop components while that raises the joint score."""
        return eliminate(_Droppable(self, fit), slack=DROP_SLACK).fit

    def without(self, fit: JointFit, component: int) -> JointFit:
        """Fit again without one component, as far as that may raise the score."""
        keep = np.arange(len(fit.targets)) != component
        needed = fit.score + _LEAST_RISE
        return self.fit(fit.network, fit.targets[keep], fit.weights[:, keep], needed=needed)

    def cost_of(self, targets: Ints) -> float:
        """Return the description length of some targets, in nats."""
        return self._score.total(targets)

    def costs(self, fit: JointFit) -> Floats:
        """Cost that each component saves if it alone is dropped, in nats."""
        return self._score.savings(fit.targets)

    def margins(self, fit: JointFit) -> Floats:
        """Estimated net loss of dropping each component at fixed tables."""
        net = drop_losses(fit.sums.information, fit.weights).sum(axis=0)
        net -= self._score.savings(fit.targets)
        net[self._constraints.protects(fit.targets)] = np.inf
        if self._free(fit).sum() <= 1:
            net[:] = np.inf  # what known weights leave must go somewhere
        return np.asarray(net)

    def _free(self, fit: JointFit) -> Bools:
        """Whether the weight of each target is estimated."""
        return np.isnan(self._constraints.fixed(fit.targets))


def _parts(fit: JointFit) -> Iterator[tuple[int, Bools]]:
    """Variables, and targets that change more than them in the same way.

    States are set in one target at a time, and only where it sets parents of the variable, too:
    what follows from other values of these, control rows know.
    """
    several = (fit.targets >= 0).sum(axis=1) > 1
    for j, library in enumerate(fit.network.libraries):
        if library.is_exclusive:
            parents = list(fit.network.parents[j])
            driven = (fit.targets[:, parents] >= 0).any(axis=1)
            for t in np.flatnonzero((fit.targets[:, j] >= 0) & driven):
                yield j, np.arange(len(fit.targets)) == t
            continue
        for k in np.unique(fit.targets[fit.targets[:, j] >= 0, j]):
            held = fit.targets[:, j] == k
            if several[held].all():
                yield j, held
            if held.sum() > 1:
                for t in np.flatnonzero(held & several):
                    yield j, np.arange(len(held)) == t


def _without_change(fit: JointFit, j: int, held: Bools) -> tuple[Ints, Floats]:
    """Leave variable j alone in some targets; those that this makes the same are taken together."""
    targets = fit.targets.copy()
    targets[held, j] = -1
    distinct, place = np.unique(targets, axis=0, return_inverse=True)
    weights = np.zeros((len(fit.weights), len(distinct)))
    np.add.at(weights.T, place.ravel(), fit.weights.T)
    return distinct, weights


def to_come(rise: float, last: float) -> float:
    """Estimate generously what further steps of EM bring, as each brings a share of the last."""
    if not np.isfinite(last) or last <= 0:
        return _MORE_STEPS * rise
    share = min(max(rise / last, 0.0), _MORE_STEPS / (_MORE_STEPS + 1.0))
    return 2.0 * rise * share / (1.0 - share)


@dataclass(frozen=True)
class _Droppable:
    """A joint fit that components can be dropped from."""

    fitter: JointFitter
    fit: JointFit
    #: Targets that others before and this one missed far too much.
    missed: frozenset[bytes] = frozenset()
    also_missed: set[bytes] = field(default_factory=set)

    def margins(self) -> Floats:
        net = self.fitter.margins(self.fit)
        net[[target.tobytes() in self.missed for target in self.fit.targets]] = np.inf
        return net[None]

    def without(self, tried: Ints) -> _Droppable:
        component = int(tried[0])
        trial = self.fitter.without(self.fit, component)
        if trial.score < self.fit.score - _FAR_SHORT:
            self.also_missed.add(self.fit.targets[component].tobytes())
        return _Droppable(self.fitter, trial, self.missed | self.also_missed)

    def gains(self, trial: _Droppable, tried: Ints) -> Bools:
        return np.array([trial.fit.score > self.fit.score + _LEAST_RISE])

    def taking(self, trial: _Droppable, tried: Ints, better: Bools) -> _Droppable:
        return trial


@dataclass(frozen=True)
class _State:
    """Where the joint fit stands."""

    network: Network
    weights: Floats
    value: float
    sums: WeightSums
    families: list[Floats] | None
