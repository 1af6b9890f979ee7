"""A mechanism of a number or count that is another in the pool than in the control rows.

For all rows or nearly all: the search then finds a change of that variable in most of them, or
several that stand in for it together. So the mechanism is freed: rows of the pool alone teach it,
and it pays for its parameters. What is compared is the joint score, of both, where control rows
have a mechanism of their own for that variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.evidence import Evidence
from dosift.model.arrays import Floats, Ints, Values, distinct
from dosift.model.known_rows import refitted
from dosift.model.mechanism import Change, Changes, Library, Mechanism
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.joint import JointFit, JointFitter
from dosift.search.library import of

#: Steps by which a mechanism is fitted to rows.
_STEPS = 8
#: Freed mechanisms that are fitted together with the mixture.
_TRIALS = 4
#: Rise (nats) in a step of EM at which these fits end.
_ROUGHLY = 0.5
#: Share of the rows from which a change under several targets rather is a mechanism that moved, if
#: the rows say neither clearly: what is done seldom comes along with nearly all else that is.
_MOST_ROWS = 0.5


@dataclass(frozen=True)
class MovedMechanism:
    """A mechanism that is another in the pool.

    Attributes
    ----------
    variable : int
    gain : float
        Rise of the joint score when it is freed, in nats.
    fit : JointFit
        Of the mixture, then.
    least : float
        Nats that it is to gain: none, or, where changes in most rows stood in for it, less than
        none by what its parameters cost.
    """

    variable: int
    gain: float
    fit: JointFit
    least: float


def moved_mechanism(
    base: JointFit, evidence: Evidence, known: Constraints, max_size: int | None = None
) -> MovedMechanism | None:
    """Look for a mechanism that is another in the pool.

    It is to gain something; where changes stand in for it in most rows, under several targets, it
    is enough that it describes the rows as well as these: a small move has parameters to learn as a
    large one has, and a change has only one.

    Parameters
    ----------
    base : JointFit
        Of the mixture and its mechanisms, to the same rows.
    evidence : Evidence
        Rows that are held and complete.
    known : Constraints
        What is known about targets.
    max_size : int, optional
        Largest number of variables that a target touches.

    Returns
    -------
    MovedMechanism or None
        None where there is none.
    """
    starts = sorted(_starts(base, evidence), key=lambda one: one.least - one.gain)
    most = base.targets.shape[1] if max_size is None else max_size
    found = [
        _freed(_permitted(one, known, most), base, evidence, known)
        for one in starts[:_TRIALS]
        if one.gain > one.least
    ]
    enough = (one for one in found if one.gain > one.least)
    return max(enough, key=lambda one: one.gain - one.least, default=None)


@dataclass(frozen=True)
class _Start:
    """A freed mechanism, and the targets without the change that stood in for it."""

    variable: int
    gain: float
    mechanism: Mechanism
    library: Library
    targets: Ints
    weights: Floats
    #: Nats that it is to gain.
    least: float


def _starts(base: JointFit, evidence: Evidence) -> Iterator[_Start]:
    """Fit each mechanism, and the changes of its variable beside it, to the rows of the pool.

    Only the variable given its parents is looked at, which is quick: a mixture of the mechanism,
    taught by all rows to begin with, and of changes, of which one after the other is left out.
    """
    network, targets, weights = of(base.network), base.targets, base.weights[0]
    held = evidence.held
    assert held is not None
    values, counts = np.asarray(held.values), held.row_counts
    assert network.control is not None
    cost = JointFitter(base.network, evidence).cost_of
    for i, old in enumerate(network.mechanisms):
        is_root = not set(old.parents) - network.covariates
        is_freed = i in network.control.silent
        if is_root or is_freed or i in network.covariates or network.libraries[i].is_exclusive:
            continue  # a root that moved cannot be told from one that was shifted in every row
        column = targets[:, i]
        used = [int(k) for k in np.unique(column) if k >= 0]
        changes = [network.libraries[i][k] for k in used]
        share = np.array([weights[column == k].sum() for k in (-1, *used)])
        now = _Alone(old, tuple(changes), share)
        before = now.log_likelihood(values, counts)
        start = replace(now, mechanism=_fitted(old, values, counts), share=_even(len(used)))
        found = start.raised(values, counts)
        kept = list(used)
        while True:
            # What stood in for the moved mechanism is taken out of all targets.
            gone = [k for k in used if k not in kept]
            merged, place = _without(targets, i, gone)
            after = found.log_likelihood(values, counts)
            gain = after - before + cost(targets) - cost(merged)
            parameters = 0.5 * old.n_free * float(np.log(evidence.total))
            gain -= parameters
            own = np.bincount(place, weights, len(merged)).astype(np.float64)
            begun = _with_each(merged, own, i, kept, found.share)
            had = np.isin(column, gone) & (weights > 0)
            # What is done to units by one target alone is an intervention, in however many.
            stood_in = had.sum() > 1 and weights[had].sum() > _MOST_ROWS
            least = -parameters if stood_in else 0.0
            library = found.library(network, i, kept)
            yield _Start(i, float(gain), found.mechanism, library, *begun, least)
            if not kept:
                break
            trials = [found.without(k).raised(values, counts) for k in range(len(kept))]
            likeliest = [one.log_likelihood(values, counts) for one in trials]
            saved = [_saved(cost, targets, i, used, kept, k) for k in kept]
            best = int(np.argmax(np.add(likeliest, saved)))
            found = trials[best]
            kept.pop(best)


def _saved(
    cost: Callable[[Ints], float], targets: Ints, i: int, used: list[int], kept: list[int], k: int
) -> float:
    """Cost that is saved where one more change is taken out of all targets."""
    now = _without(targets, i, [one for one in used if one not in kept])[0]
    return cost(now) - cost(_without(now, i, [k])[0])


def _without(targets: Ints, i: int, changes: list[int]) -> tuple[Ints, NDArray[np.int64]]:
    """Take changes of a variable out of all targets; and where each of these is then."""
    left = targets.copy()
    left[np.isin(left[:, i], changes), i] = -1
    every, place = np.unique(left, axis=0, return_inverse=True)
    return every, place.ravel()


def _with_each(
    targets: Ints, weights: Floats, i: int, changes: list[int], share: Floats
) -> tuple[Ints, Floats]:
    """Let each target that leaves a variable alone make each of some changes of it, too.

    What stood in for the moved mechanism was in the place of them.
    """
    alone = targets[:, i] < 0
    parts, own = [targets], [np.where(alone, share[0] * weights, weights)]
    for k, part in zip(changes, share[1:], strict=True):
        more = targets[alone].copy()
        more[:, i] = k
        parts.append(more)
        own.append(part * weights[alone])
    return distinct(np.concatenate(parts), np.concatenate(own))


def _even(n_changes: int) -> Floats:
    """Shares to begin with: half of the rows are left alone."""
    if not n_changes:
        return np.ones(1)
    return np.append(0.5, np.full(n_changes, 0.5 / n_changes))


@dataclass(frozen=True)
class _Alone:
    """A variable given its parents: a mixture of its mechanism and of changes."""

    mechanism: Mechanism
    changes: tuple[Change, ...]
    #: Of the rows that are left alone, and under each change.
    share: Floats

    def _joint(self, values: Values) -> Floats:
        every = [self.mechanism, *(one.applied(self.mechanism) for one in self.changes)]
        logs = np.stack([one.log_density(values) for one in every], axis=1)
        out: Floats = logs + np.log(np.maximum(self.share, 1e-300))
        return out

    def log_likelihood(self, values: Values, counts: Floats) -> float:
        """Log-likelihood of rows, in nats."""
        return float(counts @ np.logaddexp.reduce(self._joint(values), axis=1))

    def raised(self, values: Values, counts: Floats) -> _Alone:
        """Take steps of EM."""
        now = self
        for _ in range(_STEPS):
            joint = now._joint(values)
            posterior = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
            posterior *= counts[:, None]
            mechanism = refitted(now.mechanism, now.mechanism.statistics(values, posterior[:, 0]))
            changes = [
                one.fitted(mechanism, one.applied(mechanism).statistics(values, rows))
                for one, rows in zip(now.changes, posterior.T[1:], strict=True)
            ]
            now = _Alone(mechanism, tuple(changes), posterior.sum(axis=0) / posterior.sum())
        return now

    def library(self, network: MechanismNetwork, i: int, positions: list[int]) -> Library:
        """Return the library of the variable with the changes as they are now."""
        library = network.libraries[i]
        assert isinstance(library, Changes)
        for k, change in zip(positions, self.changes, strict=True):
            library = library.with_change(k, change)
        return library

    def without(self, k: int) -> _Alone:
        """Drop a change."""
        share = np.delete(self.share, k + 1)
        changes = self.changes[:k] + self.changes[k + 1 :]
        return replace(self, changes=changes, share=share / max(float(share.sum()), 1e-300))


def _fitted(mechanism: Mechanism, values: Values, weights: Floats) -> Mechanism:
    for _ in range(_STEPS):
        mechanism = refitted(mechanism, mechanism.statistics(values, weights))
    return mechanism


def _permitted(start: _Start, known: Constraints, most: int) -> _Start:
    """Leave out targets that there may not be."""
    kept = known.permits(start.targets) & ((start.targets >= 0).sum(axis=1) <= most)
    weights = np.where(kept, start.weights, 0.0)
    if kept.all() or not weights.any():
        return start
    return replace(start, targets=start.targets[kept], weights=weights[kept] / float(weights.sum()))


def _freed(start: _Start, base: JointFit, evidence: Evidence, known: Constraints) -> MovedMechanism:
    """Fit mixture and mechanisms, one of which control rows do not teach."""
    network, i = of(base.network), start.variable
    libraries = list(network.libraries)
    libraries[i] = start.library
    free = with_freed(replace(network, libraries=tuple(libraries)), i, start.mechanism)
    fitter = JointFitter(free, evidence, known)
    fit = fitter.fit(free, start.targets, start.weights[None], rise=_ROUGHLY)
    fit = fitter.simplify(fit)
    rest = told_by_control(network, i, evidence.total)
    return MovedMechanism(i, fit.score + rest - base.score, fit, start.least)


def told_by_control(network: MechanismNetwork, i: int, n_rows: float) -> float:
    """Log-likelihood of control rows where they have a mechanism of their own for a variable.

    Parameters
    ----------
    network : MechanismNetwork
        It remembers its control rows.
    i : int
        The variable.
    n_rows : float
        Of the pool, by which a parameter's cost is judged.

    Returns
    -------
    float
        Less what the parameters of that mechanism cost, in nats.
    """
    control = network.control
    assert control is not None
    alone = _fitted(network.mechanisms[i], control.values, control.weights)
    return float(control.log_likelihood(alone) - 0.5 * alone.n_free * np.log(n_rows))


def with_freed(network: MechanismNetwork, i: int, mechanism: Mechanism) -> Network:
    """Return a network, one of whose mechanisms control rows say nothing of.

    Parameters
    ----------
    network : MechanismNetwork
        It remembers its control rows.
    i : int
        The variable.
    mechanism : Mechanism
        To begin with.

    Returns
    -------
    Network
    """
    control = network.control
    assert control is not None
    mechanisms = list(network.mechanisms)
    mechanisms[i] = mechanism
    own = replace(control.anew(), silent=control.silent | {i})
    return as_network(replace(network, mechanisms=tuple(mechanisms), control=own))
