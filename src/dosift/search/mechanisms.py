"""Mechanisms that changed in a way that is no do-intervention.

A mechanism that changed for some or all rows, and still depends on the parents, is no mixture of
do's: a search for do's then invents components. Here the table of a variable may be freed: it is
learned from the mixture rows alone, and pays for its entries. A variable without parents is never
freed, since a change of its mechanism *is* a mixture of do's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import gammaincc, gammainccinv

from dosift.data.configurations import collapse, systematic_sample
from dosift.likelihood.evidence import Evidence
from dosift.model.arrays import Bools, Floats, Ints, distinct
from dosift.model.network import ControlCounts, Network
from dosift.search.cheap_steps import MORE_STEPS, ROUGHLY, is_out_of_reach
from dosift.search.constraints import Constraints
from dosift.search.joint import JointFit, JointFitter
from dosift.search.result import SearchResult, ranked

Search = Callable[[Network, bool], SearchResult]

#: Pseudo-count of a freed table's entries in a network that was not learned.
_PRIOR = 0.5
#: Control rows, as a multiple of the rows, that stand for a table that is known.
_KNOWN = 1e5
#: P-value, corrected, below which a freed table speaks against a fit with do-interventions only,
#: and the components that must set a variable for its table to be looked at.
_LEVEL, _LEAST_SETTING = 0.01, 2
#: Steps of EM that mix a table with do's.
_EM_STEPS = 200
#: Distinct rows from which a quick look takes a sample of as many rows.
_MOST_CONFIGURATIONS = 2**14
#: Variables whose table is freed on trial in each round, and variables freed in all.
_TRIALS, _MOST = 6, 4


@dataclass(frozen=True)
class ChangedMechanism:
    """A mechanism that changed.

    Attributes
    ----------
    variable : int
    gain : float
        Rise of the penalised log-likelihood (nats) when its table was freed.
    before, after : ndarray, shape (n_parent_configurations, n_states)
        The table that was given, and the one that the rows show.
    weight : ndarray, shape (n_parent_configurations,)
        Rows with each parent configuration in which no component sets the variable.
    p_value : float or None
        Of the likelihood ratio, where that was tested.
    """

    variable: int
    gain: float
    before: Floats
    after: Floats
    weight: Floats
    p_value: float | None = None

    @property
    def distance(self) -> float:
        """Total variation between the tables, averaged over the rows."""
        difference = 0.5 * np.abs(self.after - self.before).sum(axis=1)
        return float(np.average(difference, weights=self.weight))

    @property
    def least_share(self) -> float:
        """Least share of the rows in which another mechanism must have been at work.

        If a mixture ``(1 - s) before + s other`` made the table, s is at least one minus the
        smallest ratio of after to before. Parent configurations with few rows are left out.
        """
        enough = self.weight >= 0.01 * self.weight.sum()
        before, after = self.before[enough], self.after[enough]
        ratio = np.divide(after, before, out=np.full_like(after, np.inf), where=before > 0)
        return float(max(0.0, 1.0 - ratio.min(initial=1.0)))


def find_changed_mechanisms(
    network: Network,
    evidence: Evidence,
    result: SearchResult,
    search: Search,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> tuple[SearchResult, tuple[ChangedMechanism, ...]]:
    """Free tables as long as that pays.

    Parameters
    ----------
    network : Network
        As it was given.
    evidence : Evidence
        The mixture rows.
    result : SearchResult
        With do-interventions only.
    search : callable
        Searches for targets with a network, refining it or not.
    progress : callable, optional
        Called with a stage's name, the trials done and the trials of this round.

    Returns
    -------
    result : SearchResult
        The best, maybe the one given.
    changed : tuple of ChangedMechanism
    """
    best = _objective(network, result, ())
    freed: tuple[int, ...] = ()
    gains: list[float] = []
    while len(freed) < _MOST:
        trials = []
        suspects = _suspects(network, evidence, freed)
        for k, i in enumerate(suspects):
            if progress is not None:
                progress("freeing tables on trial", k, len(suspects))
            now = (*freed, i)
            found = search(with_free_tables(network, evidence, now), True)
            cost = _cost(network, evidence, now)
            trials.append((_objective(network, found, now) - cost, i, found))
        if not trials:
            break
        value, i, found = max(trials, key=lambda trial: (trial[0], -trial[1]))
        if value <= best:
            break
        gains.append(value - best)
        best, result, freed = value, found, (*freed, i)
    changed = tuple(
        changed_mechanism(network, evidence, result, i, gain)
        for i, gain in zip(freed, gains, strict=True)
    )
    return result, changed


def suspect_mechanism(
    network: Network, evidence: Evidence, result: SearchResult, also: Sequence[int] = ()
) -> ChangedMechanism | None:
    """Test whether a freed table explains the rows better than several components do.

    A quick look, without another search: it begins with the targets found and with the same
    without the variable, weighs and teaches them together, and drops what does not pay. Twice the
    gain is compared with chi-square, one degree of freedom for each free entry of the table; the
    p-value is multiplied by the number of tables. A table that do's on its variable could have made
    is none that changed. With few rows a freed table may now and then
    save a component by chance: what one component costs is taken from the gain.

    Parameters
    ----------
    network : Network
        As it was given; without control counts its tables are taken as known.
    evidence : Evidence
        The mixture rows, or a sample of them, held.
    result : SearchResult
        With do-interventions only.
    also : sequence of int
        Variables whose mechanisms may have changed, though hardly any component sets them.

    Returns
    -------
    ChangedMechanism or None
        The one of least p-value, if that is below .01. Its `gain` is what the freed table gains
        before paying for its entries, after saving components.
    """
    if not np.isfinite(result.log_likelihood):
        return None
    n_setting = (result.targets >= 0).sum(axis=0)
    n_tests = sum(len(parents) > 0 for parents in network.parents)
    found: list[ChangedMechanism] = []
    parts: dict[frozenset[int], _Part] = {}
    among = n_setting >= _LEAST_SETTING
    among[list(also)] = True
    for variable in _suspects(network, evidence, (), among):
        is_set = frozenset({*np.flatnonzero(n_setting).tolist(), variable})
        if is_set not in parts:
            parts[is_set] = _around(network, evidence, result, is_set)
        part = parts[is_set]
        i = part.kept.index(variable)
        n_entries = _entries(part.network, part.evidence, i)
        # The quantile of chi-square that the gain must reach, and what a component costs.
        needed = float(gammainccinv(n_entries / 2, min(_LEVEL / n_tests, 1.0)))
        freed = _freed(part, i, needed + _one_component(part))
        if freed is None:
            continue
        trial, gain = freed
        beyond_chance = max(gain - _one_component(part), 0.0)
        p_value = min(float(gammaincc(n_entries / 2, beyond_chance)) * n_tests, 1.0)
        if p_value < _LEVEL and _is_no_mixture_of_dos(part, i, trial, n_entries):
            changed = changed_mechanism(part.network, part.evidence, trial, i, gain)
            found.append(replace(changed, variable=variable, p_value=p_value))
    return min(found, key=lambda one: (one.p_value, -one.gain, one.variable), default=None)


def with_freed_table(
    network: Network,
    evidence: Evidence,
    result: SearchResult,
    variable: int,
    search: Callable[[Network], SearchResult],
) -> tuple[SearchResult, float]:
    """Free one table, and search again.

    Parameters
    ----------
    network : Network
        As it was given.
    evidence : Evidence
        The mixture rows.
    result : SearchResult
        With do-interventions only.
    variable : int
    search : callable
        Searches for targets with a network, which rows teach.

    Returns
    -------
    result : SearchResult
    gain : float
        Rise of the penalised log-likelihood, in nats.
    """
    found = search(with_free_tables(network, evidence, (variable,)))
    value = _objective(network, found, (variable,)) - _cost(network, evidence, (variable,))
    return found, value - _objective(network, result, ())


@dataclass(frozen=True)
class _Part:
    """The part of a problem that a variable's table and the targets depend on."""

    network: Network
    evidence: Evidence
    targets: Ints
    weights: Floats
    kept: tuple[int, ...]

    @cached_property
    def before(self) -> float:
        """Objective with all tables as they are, or taught as a freed one would be."""
        network, targets, weights = self.network, self.targets, self.weights
        if network.control is not None:
            joint = JointFitter(network, self.evidence).fit(network, targets, weights)
            network, targets, weights = joint.network, joint.targets, joint.weights[0]
        found = ranked(self.evidence, network, targets, weights)
        return _objective(self.network, found, ())


def _around(
    network: Network, evidence: Evidence, result: SearchResult, is_set: frozenset[int]
) -> _Part:
    """Keep variables that may be set and their parents, and not too many rows; of units all.

    A parent that is there only to be looked up has a likelihood that no target changes; it gets a
    table of its own that says nothing.
    """
    if evidence.has_units:
        every = tuple(range(network.n_variables))
        return _Part(network, evidence, result.targets, result.weights, every)
    configurations = evidence.configurations
    kept = sorted(is_set.union(*(network.parents[j] for j in is_set)))
    place = {j: k for k, j in enumerate(kept)}
    if len(kept) == network.n_variables:
        part = network
    else:
        parents = [tuple(place[p] for p in network.parents[j]) if j in is_set else () for j in kept]
        sizes = network.cardinalities[kept]
        blank = [np.full((1, k), 1 / k) for k in sizes]
        tables = [network.tables[j] if j in is_set else blank[place[j]] for j in kept]
        control = network.control
        if control is not None:
            counts = [
                control.counts[j] if j in is_set else control.n_rows * blank[place[j]] for j in kept
            ]
            control = ControlCounts(tuple(counts), control.prior, control.n_rows)
        part = Network([network.variables[j] for j in kept], parents, tables, control)
    rows = collapse(configurations.codes[:, kept], part.cardinalities, configurations.counts)
    if rows.counts.size > _MOST_CONFIGURATIONS:
        rows = systematic_sample(rows, _MOST_CONFIGURATIONS)
    evidence = Evidence.of_configurations(part, rows)
    return _Part(part, evidence, result.targets[:, kept], result.weights, tuple(kept))


def _is_no_mixture_of_dos(part: _Part, i: int, trial: SearchResult, n_entries: int) -> bool:
    """Test whether a freed table is other than the old one mixed with do's on its variable.

    Do's on several values may cost more than a table that says the same.
    """
    (family,) = part.evidence.teach(trial.network, trial.targets, trial.weights, (i,))
    mixed = _mixed_with_dos(part.network.tables[i], family)
    used = family > 0
    after = family / np.maximum(family.sum(axis=1, keepdims=True), 1e-300)
    gain = float(family[used] @ np.log(after[used] / np.maximum(mixed[used], 1e-300)))
    freedom = max(n_entries - family.shape[1], 1)
    return bool(gammaincc(freedom / 2, max(gain, 0.0)) < _LEVEL)


def _mixed_with_dos(table: Floats, family: Floats) -> Floats:
    """Return the likeliest table ``(1 - sum(r)) * table + r`` for counts, by EM."""
    weights = np.full(family.shape[1] + 1, 0.5 / family.shape[1])
    weights[0] = 0.5
    for _ in range(_EM_STEPS):
        mixed = weights[0] * table + weights[1:]
        ratio = family / np.maximum(mixed, 1e-300)
        own = weights[0] * float((ratio * table).sum())
        weights = np.append(own, weights[1:] * ratio.sum(axis=0)) / max(family.sum(), 1e-300)
    return np.asarray(weights[0] * table + weights[1:], dtype=np.float64)


def _one_component(part: _Part) -> float:
    """Cost of the dearest component, in nats."""
    known = Constraints.none(part.network.cardinalities)
    score = known.score(part.evidence.total, part.network.libraries)
    return float(score.costs(part.targets).max())


def _freed(part: _Part, i: int, needed: float) -> tuple[SearchResult, float] | None:
    """Fit a part anew with a variable's table freed; return also the gain.

    None where the gain falls short of what is needed, whatever is dropped: then the long work of
    dropping components is left undone.
    """
    rows, before = part.evidence, part.before
    # The tables of a learned network are all taught, with this one as without it.
    is_learned = part.network.control is not None
    free = with_free_tables(part.network, rows, (i,))
    fitter = JointFitter(free, rows, learners=None if is_learned else (i,))
    start = _with_and_without(part.targets, part.weights, i)

    def value(joint: JointFit) -> float:
        return _objective(part.network, _as_it_is(part, fitter, joint), (i,))

    if is_out_of_reach(fitter, free, start, part.targets, before + needed, value):
        return None
    joint = fitter.fit(free, *start, rise=ROUGHLY)
    most = value(joint) + _most_saved(fitter, joint, i)
    if most + MORE_STEPS * ROUGHLY - before < needed:
        return None
    joint = fitter.fit(joint.network, joint.targets, joint.weights)
    joint = fitter.simplify(joint)
    trial = ranked(rows, joint.network, joint.targets, joint.weights[0])
    return trial, _objective(part.network, trial, (i,)) - before


def _as_it_is(part: _Part, fitter: JointFitter, joint: JointFit) -> SearchResult:
    """Evaluate a joint fit by the sums that it came with."""
    log_likelihood = joint.sums.log_likelihood(part.evidence.reference(joint.network))
    score = log_likelihood - fitter.cost_of(joint.targets)
    network, targets, weights = joint.network, joint.targets, joint.weights[0]
    return SearchResult(network, targets, weights, log_likelihood, score, 0.0, False)


def _most_saved(fitter: JointFitter, joint: JointFit, i: int) -> float:
    """Bound what dropping components may save, in nats.

    Each one what the quadratic model says, but those that set the freed variable, which may all
    stand in for its table, all of their cost.
    """
    margins = fitter.margins(joint)
    saved = np.maximum(-margins[np.isfinite(margins)], 0.0).sum()
    of_variable = fitter.costs(joint)[joint.targets[:, i] >= 0].sum()
    return float(saved + of_variable)


def _with_and_without(targets: Ints, weights: Floats, i: int) -> tuple[Ints, Floats]:
    """Return targets and, next to those that set a variable, the same with it left alone."""
    setting = targets[:, i] >= 0
    without = targets[setting].copy()
    without[:, i] = -1
    halved = np.where(setting, weights / 2, weights)
    together = np.concatenate([targets, without]), np.concatenate([halved, halved[setting]])
    return distinct(*together)


def _suspects(
    network: Network,
    evidence: Evidence,
    freed: tuple[int, ...],
    among: Bools | None = None,
) -> list[int]:
    """Variables whose pooled conditional distribution departs most from their table."""
    gains = []
    for i, table in enumerate(network.tables):
        if i in freed or not network.parents[i] or not (among is None or among[i]):
            continue
        family = evidence.families[i]
        totals = np.maximum(family.sum(axis=1, keepdims=True), 1e-300)
        used = family > 0
        with np.errstate(divide="ignore"):
            ratio = np.log((family / totals)[used]) - np.log(table[used])
        gain = float(family[used] @ ratio) - _cost(network, evidence, (i,))
        if gain > 0:
            gains.append((gain, -i))
    return [-i for _, i in sorted(gains, reverse=True)[:_TRIALS]]


def with_free_tables(network: Network, evidence: Evidence, freed: tuple[int, ...]) -> Network:
    """Return a network whose freed tables only the mixture rows teach.

    Parameters
    ----------
    network : Network
        As it was given.
    evidence : Evidence
        The mixture rows.
    freed : tuple of int
        Variables.

    Returns
    -------
    Network
    """
    control = network.control
    if control is None:
        counts = [table * (_KNOWN * evidence.total) for table in network.tables]
        prior, n_rows = 0.0, _KNOWN * evidence.total
    else:
        counts, prior, n_rows = list(control.counts), control.prior, control.n_rows
    tables = list(network.tables)
    for i in freed:
        family = evidence.families[i]
        counts[i] = np.full_like(family, _PRIOR if control is None else 0.0)
        pseudo = max(_PRIOR, prior)
        tables[i] = (family + pseudo) / (family + pseudo).sum(axis=1, keepdims=True)
    dependence = None if control is None else control.dependence
    remembered = ControlCounts(tuple(counts), prior, n_rows, dependence=dependence)
    return Network(network.variables, network.parents, tables, remembered)


def _cost(network: Network, evidence: Evidence, freed: tuple[int, ...]) -> float:
    """Compute the description length of freed tables: BIC for each free entry, and names."""
    entries = sum(_entries(network, evidence, i) for i in freed)
    names = len(freed) * np.log(network.n_variables)
    return 0.5 * entries * float(np.log(max(evidence.total, 2.0))) + float(names)


def _entries(network: Network, evidence: Evidence, i: int) -> int:
    """Count the free entries of a table that the rows tell about."""
    family = evidence.families[i]
    return int((family.sum(axis=1) > 0).sum()) * int(family.shape[1] - 1)


def _objective(network: Network, result: SearchResult, freed: tuple[int, ...]) -> float:
    """Penalised log-likelihood of mixture rows, plus that of control rows if there were any."""
    value = result.penalised_score
    if network.control is None:
        return value
    for i, counts in enumerate(network.control.counts):
        weight = counts + network.control.prior
        table = result.network.tables[i]
        if i in freed:
            table = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
        used = weight > 0
        with np.errstate(divide="ignore"):
            value += float(weight[used] @ np.log(table[used]))
    return value


def changed_mechanism(
    network: Network, evidence: Evidence, result: SearchResult, i: int, gain: float
) -> ChangedMechanism:
    """Hold a freed table against the one that was given.

    Parameters
    ----------
    network : Network
        As it was given.
    evidence : Evidence
        The mixture rows.
    result : SearchResult
        With the table freed.
    i : int
        Its variable.
    gain : float
        In nats.

    Returns
    -------
    ChangedMechanism
    """
    alone = float(result.weights[result.targets[:, i] < 0].sum())
    family = evidence.families[i]
    return ChangedMechanism(
        i, gain, network.tables[i], result.network.tables[i], family.sum(axis=1) * alone
    )
