"""The whole search: which targets, and their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from dosift.data.configurations import MISSING as FREE
from dosift.data.configurations import Configurations, systematic_sample
from dosift.errors import InputError
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.search.certificate import price_others, scope_of
from dosift.search.constraints import NOTHING_LEFT, Constraints, keys_of
from dosift.search.enumeration import ENUMERABLE
from dosift.search.improve import Improver
from dosift.search.joint import JointFit, JointFitter
from dosift.search.mining import mined_variables
from dosift.search.neighbourhood import survey
from dosift.search.prepared import PreparedSearch, prepare
from dosift.search.pricing import Priced
from dosift.search.problem import Fit
from dosift.search.result import SearchResult, ranked
from dosift.search.screening import screen_variables, wanted_variables
from dosift.search.selection import Selection
from dosift.search.splitting import split
from dosift.utils.progress import Progress, silent
from dosift.utils.threads import one_blas_thread

#: Bound on how often variables are screened again.
_MAX_SCREENS = 10
#: Memory that the likelihoods of listed candidates may take, in bytes.
_MOST_BYTES = 2**30
#: With more distinct rows than the first, the search begins on as many rows as the second.
_THIN_FROM, _THIN_ROWS = 3000, 2**12
#: Up to this many rows the search also begins from "no intervention"; up to the second number,
#: from that many splittings of reweighted rows too. The best few ends are followed up.
_MANY_STARTS_ROWS = 2**13
_RESAMPLED_ROWS, _RESAMPLED_STARTS = 2**10, 4
_FOLLOWED = 2
#: Bound on how often a refined network is searched again, and the least rise of the joint score
#: (nats) that is worth another round.
_MAX_REFINEMENTS = 6
#: Rise (nats) of the joint score up to which a round that leads to the same targets is the last.
_HARDLY = 1.0
_LEAST_RISE = 1e-2


class TargetSearch:
    """Searches for targets with the network's tables as they are.

    Parameters
    ----------
    network : Network
        The undisturbed system.
    configurations : Configurations
        The mixture rows, without missing values.
    max_size : int, optional
        Largest number of variables that a target sets.
    tell : callable
        Called with a stage's name, the steps done and the steps in all.
    constraints : Constraints, optional
        What is known about targets, in the network's order of variables.
    """

    def __init__(
        self,
        network: Network,
        configurations: Configurations,
        max_size: int | None,
        tell: Progress,
        constraints: Constraints | None = None,
    ) -> None:
        self.constraints = constraints or Constraints.none(network.n_changes)
        self.network = network
        self.configurations = configurations
        self.max_size = max_size
        self.tell = tell

    def under(self, network: Network) -> TargetSearch:
        """Return the same search under another network."""
        return TargetSearch(
            network, self.configurations, self.max_size, self.tell, self.constraints
        )

    def from_scratch(self) -> tuple[PreparedSearch, Fit]:
        """Screen, split, improve; with a list of candidates, weigh and drop."""
        if self.constraints.candidates is not None:
            return self._from_candidates(self.constraints.candidates)
        self.tell("screening variables", 0, None)
        prepared = self._prepare(self._screened())
        start = self._sampled(prepared) or self._split(prepared)
        hopeless = np.isneginf(start.log_likelihood) and not self.constraints.is_free
        if hopeless or prepared.problem.n_rows > _MANY_STARTS_ROWS:
            return self._improve(prepared, start)
        improver = Improver(prepared.problem, self.max_size)
        nothing: Ints = np.full((1, prepared.variables.size), FREE, dtype=np.int16)
        starts = [start, prepared.problem.begin(nothing, np.ones(1), self.max_size)]
        if prepared.problem.n_rows <= _RESAMPLED_ROWS:
            starts += [self._resampled(prepared, seed) for seed in range(_RESAMPLED_STARTS)]
        reached: dict[frozenset[bytes], Fit] = {}
        for start in starts:
            if np.isneginf(start.log_likelihood) and start is not starts[0]:
                continue  # some rows are impossible there
            fit = improver.run(start, quickly=True)
            reached.setdefault(fit.keys, fit)
        best = sorted(reached.values(), key=lambda fit: -fit.score)[:_FOLLOWED]
        return max((self._improve(prepared, fit) for fit in best), key=lambda end: end[1].score)

    def begun(self) -> tuple[PreparedSearch, Fit]:
        """Screen and split only, on a sample where rows are many: a rough mixture to begin with."""
        prepared = self._prepare(self._screened())
        if prepared.problem.factors.n_configurations > _THIN_FROM:
            few = systematic_sample(self.configurations, _THIN_ROWS)
            variables = tuple(int(i) for i in prepared.variables)
            prepared = prepare(self.network, few, variables, self.constraints)
        return prepared, self._split(prepared)

    def improved(self, targets: Ints, weights: Floats, rounds: int) -> tuple[PreparedSearch, Fit]:
        """Bring into a mixture what the likelihood clearly asks for, in a few rounds."""
        free = np.isnan(self.constraints.fixed(targets))
        prepared = self.around(targets)
        fit = prepared.problem.fit(prepared.from_network(targets[free]), weights[free])
        improver = Improver(prepared.problem, self.max_size)
        return prepared, improver.run(fit, quickly=True, rounds=rounds)

    def _resampled(self, prepared: PreparedSearch, seed: int) -> Fit:
        """Split on rows with random weights (the Bayesian bootstrap), for another start."""
        counts = prepared.problem.counts
        weights = np.random.default_rng(seed).exponential(size=counts.size)
        problem = prepared.problem.reweighted(counts * weights)
        found = self._split(replace(prepared, problem=problem))
        nothing: Ints = np.full((1, found.targets.shape[1]), FREE, dtype=np.int16)
        rest = () if nothing.tobytes() in found.keys else (nothing,)
        targets = np.concatenate([found.targets, *rest])
        equal = np.full(len(targets), 1 / len(targets))
        return prepared.problem.begin(targets, equal, self.max_size)

    def _from_candidates(self, listed: Ints) -> tuple[PreparedSearch, Fit]:
        is_set = np.flatnonzero((listed >= 0).any(axis=0))
        prepared = self._prepare(tuple(int(i) for i in is_set))
        problem = prepared.problem
        targets = prepared.from_network(listed)
        fitting = problem.constraints.permits(targets)
        if self.max_size is not None:
            fitting &= (targets >= 0).sum(axis=1) <= self.max_size
        n_bytes = 8 * int(fitting.sum()) * problem.factors.n_configurations
        if n_bytes > _MOST_BYTES:
            raise InputError(
                f"{int(fitting.sum()):,} candidates over {problem.factors.n_configurations:,} "
                f"distinct rows take {n_bytes / 2**30:.1f} GiB of memory, more than "
                f"{_MOST_BYTES / 2**30:.0f} GiB; give fewer candidates"
            )
        self.tell("weighing candidates", 0, None)
        equal = np.full(int(fitting.sum()), 1 / max(int(fitting.sum()), 1))
        fit = problem.begin(targets[fitting], equal, self.max_size)
        if np.isneginf(fit.log_likelihood):
            return prepared, fit
        return prepared, Improver(problem, self.max_size).run(fit)

    def _screened(self) -> tuple[int, ...]:
        """Variables that the rows show to be set, or that cannot be judged."""
        chosen = screen_variables(self.network, self.configurations)
        # Where all targets can be priced at once, variables that cannot be set stay, because the
        # rows then have no cause outside the problem.
        if float(np.prod(self.network.n_changes + 1.0)) > ENUMERABLE:
            chosen = self._manipulable(chosen)
        return chosen

    def _manipulable(self, variables: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(i for i in variables if self.constraints.manipulable[i])

    def _sampled(self, prepared: PreparedSearch) -> Fit | None:
        """Search on a sample of the rows first, where all of them would take long."""
        problem = prepared.problem
        if problem.factors.n_configurations <= _THIN_FROM or problem.n_rows < 4 * _THIN_ROWS:
            return None
        few = systematic_sample(self.configurations, _THIN_ROWS)
        variables = tuple(int(i) for i in prepared.variables)
        sample = prepare(self.network, few, variables, self.constraints)
        start = self._split(sample)
        if np.isneginf(start.log_likelihood) and not self.constraints.is_free:
            return None
        found = Improver(sample.problem, self.max_size, problem.n_rows).run(start)
        return problem.fit(found.targets, found.weights)

    def _split(self, prepared: PreparedSearch) -> Fit:
        return split(
            prepared.problem,
            prepared.first_difference,
            np.flatnonzero(np.isin(prepared.closure, prepared.variables)),
            self.max_size,
            lambda done, total: self.tell("splitting targets", done, total),
        )

    def from_targets(
        self, targets: Ints, weights: Floats, quickly: bool = False
    ) -> tuple[PreparedSearch, Fit]:
        """Improve a mixture that is there already, maybe only where the likelihood is clear."""
        free = np.isnan(self.constraints.fixed(targets))
        targets, weights = targets[free], weights[free]
        prepared = self.around(targets)
        fit = prepared.problem.fit(prepared.from_network(targets), weights)
        if self.constraints.candidates is not None:
            return prepared, Improver(prepared.problem, self.max_size).run(fit)
        return self._improve(prepared, fit, quickly)

    def around(self, targets: Ints) -> PreparedSearch:
        """Prepare for the variables that targets set and those that the screen asks for."""
        is_set = np.flatnonzero((targets >= 0).any(axis=0))
        listed = self.constraints.candidates
        if listed is not None:
            return self._prepare(tuple(int(i) for i in np.flatnonzero((listed >= 0).any(0))))
        return self._prepare(tuple(sorted({*self._screened(), *(int(i) for i in is_set)})))

    def _prepare(self, variables: tuple[int, ...]) -> PreparedSearch:
        needed = tuple(sorted({*variables, *self.constraints.variables()})) or (0,)
        return prepare(self.network, self.configurations, needed, self.constraints)

    def _improve(
        self, prepared: PreparedSearch, fit: Fit, quickly: bool = False
    ) -> tuple[PreparedSearch, Fit]:
        """Improve, and let variables that the likelihood asks for join the search."""
        rows, n = self.configurations, self.network.n_variables
        mined: set[int] = set()
        if np.isneginf(fit.log_likelihood) and not self.constraints.is_free:
            return prepared, fit  # no permitted target explains some rows: nothing to go by
        for _ in range(_MAX_SCREENS):
            self.tell("improving", 0, None)
            fit = Improver(prepared.problem, self.max_size).run(fit, quickly)
            variables = tuple(sorted(int(i) for i in prepared.variables))
            if len(variables) == n:
                break
            whole, weights = prepared.problem.whole(fit)
            targets = prepared.to_network(whole, n)
            factors = MechanismFactors(self.network, rows.codes, variables, first=rows.first)
            columns = factors.columns(targets[:, list(variables)])
            ratios = columns / (columns @ weights)[:, None]
            more = wanted_variables(self.network, rows, ratios, weights, variables)
            more = self._manipulable(more)
            if not more:
                nothing: Ints = np.full(len(variables), FREE, dtype=np.int16)
                relative = factors.column(nothing) / (columns @ weights)
                more = mined_variables(self.network, rows, relative, variables)
                more = tuple(i for i in self._manipulable(more) if i not in mined)
                mined.update(more)
            if not more:
                break
            self.tell("screening variables again", 0, None)
            prepared = self._prepare(tuple(sorted({*variables, *more})))
            found = prepared.from_network(targets)[: fit.weights.size]
            fit = prepared.problem.fit(found, fit.weights)
        return prepared, fit


# Rows that nothing can produce yet divide zero by zero; no move is chosen for what comes of that.
@np.errstate(divide="ignore", invalid="ignore")
def find_targets(
    network: Network,
    configurations: Configurations,
    *,
    max_size: int | None = None,
    refine: bool = True,
    gap: float = DEFAULT_GAP,
    progress: Progress | None = None,
    constraints: Constraints | None = None,
    look_around: bool = True,
    start: SearchResult | None = None,
    is_settled: bool = False,
) -> SearchResult:
    """Find the mixture of do-interventions that explains complete rows in memory best.

    Parameters
    ----------
    network : Network
        The undisturbed system.
    configurations : Configurations
        The mixture rows, without missing values.
    max_size : int, optional
        Largest number of variables that a target sets.
    refine : bool
        Whether the mixture rows teach a network that was learned from control rows. A network
        without control counts is taken as known.
    gap : float
        Optimality gap of the final weights, in nats a row.
    progress : callable, optional
        Called with a stage's name, the steps done and the steps in all.
    constraints : Constraints, optional
        What is known about targets, in the network's order of variables.
    look_around : bool
        Whether to survey what lies around the mixture: certificate, undecided and near-equivalent
        targets.
    start : SearchResult, optional
        A mixture to begin with, instead of from scratch: what was found for nearly the same rows.
        Then only what the likelihood clearly asks for is brought in.
    is_settled : bool
        Whether `start` was found by the same search with the same tables and changes, or more
        changes: what it can do without was tried then.

    Returns
    -------
    SearchResult
    """
    tell = progress or silent
    known = constraints or Constraints.none(network.n_changes)
    evidence = Evidence.of_configurations(network, configurations)
    if known.rest <= NOTHING_LEFT:
        # No other weights are possible.
        return ranked(
            evidence, network, known.known, known.known_weights, constraints=known, gap=0.0
        )
    with one_blas_thread():
        search = TargetSearch(network, configurations, max_size, tell, known)
        if start is None:
            prepared, fit = search.from_scratch()
        else:
            prepared, fit = search.from_targets(start.targets, start.weights, quickly=True)
        if not known.is_free and np.isneginf(fit.log_likelihood):
            targets = prepared.to_network(*prepared.problem.whole(fit)[:1], network.n_variables)
            again = partial(
                find_targets,
                network,
                max_size=max_size,
                refine=refine,
                gap=gap,
                progress=progress,
                constraints=known,
            )
            return _of_possible_rows(network, configurations, targets, again)
        if refine and network.learns:
            whole, weights = prepared.problem.whole(fit)
            targets = prepared.to_network(whole, network.n_variables)
            tried = start.targets if start is not None and is_settled else targets[:0]
            joint = _refine(evidence, targets, weights, search, tried)
            network = joint.network
            search = search.under(network)
            prepared = search.around(joint.targets)
            free = np.isnan(known.fixed(joint.targets))
            fit = prepared.problem.fit(
                prepared.from_network(joint.targets[free]), joint.weights[0, free]
            )
        fit = prepared.problem.fit(fit.targets, fit.weights, gap=gap)
        return _finished(search, evidence, prepared, fit, look_around)


def _finished(
    search: TargetSearch, evidence: Evidence, prepared: PreparedSearch, fit: Fit, look: bool
) -> SearchResult:
    """Look around the final mixture, and put it into the network's order of variables."""
    network, known, n = search.network, search.constraints, search.network.n_variables
    whole, weights = prepared.problem.whole(fit)
    targets = prepared.to_network(whole, n)
    found = None
    if look and (known.is_free or np.isfinite(fit.log_likelihood)):
        search.tell("looking around", 0, None)
        priced = price_others(prepared.problem, fit, search.max_size)
        placed = Priced(prepared.to_network(priced.targets, n), priced.gradient, priced.curvature)
        variables = tuple(sorted(int(i) for i in prepared.variables))
        selection = Selection(evidence, network, known, variables, search.max_size)
        scope = scope_of(prepared.problem, n)
        sample = _sample(network, search.configurations, known)
        found = survey(selection, targets, weights, [placed], scope, sample)
    return ranked(
        evidence,
        network,
        targets,
        weights,
        constraints=known,
        gap=fit.gap,
        converged=fit.converged,
        cost=prepared.problem.score.total(fit.targets),
        neighbourhood=found,
    )


def _of_possible_rows(
    network: Network,
    configurations: Configurations,
    targets: Ints,
    again: Callable[[Configurations], SearchResult],
) -> SearchResult:
    """Find targets for the rows that permitted ones can produce; the others speak for none."""
    factors = MechanismFactors(network, configurations.codes, first=configurations.first)
    columns = factors.columns(targets)
    possible = (columns > 0).any(axis=1)
    if not possible.any() or possible.all():
        raise InputError(
            "no row can come from the targets that are permitted; allow more, such as do()"
        )
    found = again(configurations.some(np.flatnonzero(possible)))
    return replace(found, log_likelihood=-np.inf, penalised_score=-np.inf)


def _refine(
    evidence: Evidence, targets: Ints, weights: Floats, begun: TargetSearch, tried: Ints
) -> JointFit:
    """Fit tables and mixture by turns until the joint score rises no more.

    Of the targets `tried` it is known that none can be spared.
    """
    network = begun.network
    begun.tell("refining the network", 0, None)
    fitter = JointFitter(network, evidence, begun.constraints)
    joint = fitter.fit(network, targets, weights)
    if keys_of(joint.targets) != keys_of(tried):
        joint = fitter.simplify(joint)
    for _ in range(_MAX_REFINEMENTS):
        search = begun.under(joint.network)
        prepared, fit = search.from_targets(joint.targets, joint.weights[0])
        whole, weights = prepared.problem.whole(fit)
        targets = prepared.to_network(whole, network.n_variables)
        if keys_of(targets) == keys_of(joint.targets):
            break  # whatever could be spared was tried
        begun.tell("refining the network", 0, None)
        again = fitter.fit(joint.network, targets, weights)
        is_same = keys_of(again.targets) == keys_of(joint.targets)
        if is_same and again.score <= joint.score + _HARDLY:
            # Only mechanisms still crawl, and of the same targets none was to be dropped.
            return max(joint, again, key=lambda one: one.score)
        better = fitter.simplify(again)
        if better.score <= joint.score + _LEAST_RISE:
            break
        joint = better
    return joint


def _sample(
    network: Network, configurations: Configurations, constraints: Constraints
) -> Evidence | None:
    """Take fewer rows where there are many distinct ones."""
    if configurations.counts.size <= _THIN_FROM or not constraints.is_free:
        return None
    return Evidence.of_configurations(network, systematic_sample(configurations, _THIN_ROWS))
