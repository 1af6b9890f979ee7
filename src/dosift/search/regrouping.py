"""Which components share a change, and of which kind it is.

Two targets may change one variable in the same way, or in two ways that the search took for one;
and what looks like a shift may be a value that was set. With the posterior of the rows held, other
changes for the same components are fitted in closed form, and what they bring is a lower bound of
what the likelihood rises (the bound of EM); so a better grouping needs no trial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import Change, Changes, Mechanism
from dosift.model.mechanism_network import MechanismNetwork

#: Components that share a change.
Group = tuple[int, ...]

#: Steps by which a change is fitted to given rows; most need one.
_STEPS = 4
#: Least rise of the score, in nats.
_LEAST_RISE = 0.1


@dataclass(frozen=True)
class _Use:
    """A change and the components that make it."""

    change: Change
    group: Group
    value: float


class _Variable:
    """The changes of one variable, with the posterior of components held."""

    def __init__(
        self,
        mechanism: Mechanism,
        library: Changes,
        values: Floats,
        posterior: Floats,
    ) -> None:
        self._mechanism, self._library = mechanism, library
        self._values = values
        self._posterior = posterior
        self._known: dict[Group, _Use | None] = {}
        self._half_log = 0.5 * np.log(max(float(posterior.sum()), 2.0))

    def value(self, change: Change, group: Group) -> float:
        """Sum what a change gives the rows of some components, in nats less its own cost."""
        weights = self._posterior[:, list(group)].sum(axis=1)
        used = weights > 0
        log = change.applied(self._mechanism).log_density(self._values[used])
        value = float(weights[used] @ np.maximum(log, -1e6))
        return float(value - self._half_log * change.n_free)

    def best(self, group: Group) -> _Use | None:
        """Fit the best change of any kind to the rows of some components."""
        if group not in self._known:
            found = [_Use(change, group, self.value(change, group)) for change in self._fits(group)]
            self._known[group] = max(found, key=lambda use: use.value, default=None)
        return self._known[group]

    def _fits(self, group: Group) -> Iterator[Change]:
        weights = self._posterior[:, list(group)].sum(axis=1)
        for kind in sorted(self._library.kinds):
            change = self._library.neutral(self._mechanism, kind)
            if change is None:
                continue
            for _ in range(_STEPS):
                statistics = change.applied(self._mechanism).statistics(self._values, weights)
                change = change.fitted(self._mechanism, statistics)
            yield change


def best_change(
    mechanism: Mechanism, library: Changes, values: Floats, weights: Floats
) -> Change | None:
    """Fit the change of a variable that some rows ask for, of any kind that it may undergo.

    Parameters
    ----------
    mechanism : Mechanism
        The unchanged one.
    library : Changes
    values : ndarray, shape (n_rows, n_variables)
        Rows in which the variable was changed.
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    Change or None
        None if there is nothing to begin from.
    """
    found = _Variable(mechanism, library, values, weights[:, None]).best((0,))
    return None if found is None else found.change


def regrouped(
    network: MechanismNetwork,
    values: Floats,
    targets: Ints,
    posterior: Floats,
) -> tuple[MechanismNetwork, Ints] | None:
    """Give components other changes of the same variables, where that is sure to pay.

    Parameters
    ----------
    network : MechanismNetwork
    values : ndarray, shape (n_rows, n_variables)
    targets : ndarray of int, shape (n_targets, n_variables)
    posterior : ndarray, shape (n_rows, n_targets)
        Weight of each row times the posterior of its targets.

    Returns
    -------
    network : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)
        Some may have become equal.
    None
        If nothing is better.
    """
    libraries, new, found = list(network.libraries), targets.copy(), False
    for i, library in enumerate(libraries):
        changed = np.flatnonzero(targets[:, i] >= 0)
        if not isinstance(library, Changes) or not changed.size:
            continue
        of = _Variable(network.mechanisms[i], library, values, posterior)
        uses = [
            _Use(library[int(k)], group, of.value(library[int(k)], group))
            for k in np.unique(targets[changed, i])
            for group in [tuple(np.flatnonzero(targets[:, i] == k).tolist())]
        ]
        better = _improved(of, uses)
        if better is None:
            continue
        found = True
        libraries[i] = replace(library, changes=tuple(use.change for use in better))
        for k, use in enumerate(better):
            new[list(use.group), i] = k
    return (replace(network, libraries=tuple(libraries)), new) if found else None


def divided(network: MechanismNetwork, targets: Ints) -> Iterator[tuple[MechanismNetwork, Ints]]:
    """Give one of the components that share a change a change of its own.

    Where components overlap, the bound says too little, and only a fit tells.

    Parameters
    ----------
    network : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)

    Yields
    ------
    network : MechanismNetwork
        With one change twice.
    targets : ndarray of int, shape (n_targets, n_variables)
    """
    for i, library in enumerate(network.libraries):
        if not isinstance(library, Changes):
            continue
        for k in map(int, np.unique(targets[:, i])):
            makers = np.flatnonzero(targets[:, i] == k)
            if k < 0 or makers.size < 2 or not library[k].n_free:
                continue
            twice = replace(library, changes=(*library[:], library[k]))
            libraries = (*network.libraries[:i], twice, *network.libraries[i + 1 :])
            for own in makers if makers.size > 2 else makers[:1]:
                new = targets.copy()
                new[own, i] = len(library)
                yield replace(network, libraries=libraries), new


def _improved(of: _Variable, uses: list[_Use]) -> list[_Use] | None:
    """Refit, split and merge uses of changes while that pays."""
    start = uses
    while True:
        step = max(_steps(of, uses), key=lambda step: step[0], default=None)
        if step is None or step[0] <= _LEAST_RISE:
            return None if uses is start else uses
        uses = step[1]


def _steps(of: _Variable, uses: list[_Use]) -> Iterator[tuple[float, list[_Use]]]:
    for k, use in enumerate(uses):
        rest = uses[:k] + uses[k + 1 :]
        for parts in _splits(use.group):
            found = [of.best(part) for part in parts]
            fitted = [one for one in found if one is not None]
            if len(fitted) == len(parts):
                yield sum(one.value for one in fitted) - use.value, rest + fitted
    for k, one in enumerate(uses):
        for m in range(k):
            other = uses[m]
            both = of.best(tuple(sorted(one.group + other.group)))
            if both is not None:
                rest = [use for use in uses if use is not one and use is not other]
                yield both.value - one.value - other.value, [*rest, both]


def _splits(group: Group) -> Iterator[tuple[Group, ...]]:
    """Ways to divide the components: not at all, one from the others, or each alone."""
    yield (group,)
    if len(group) < 2:
        return
    for k in range(len(group) if len(group) > 2 else 1):
        yield (group[k : k + 1], group[:k] + group[k + 1 :])
    if len(group) > 2:
        yield tuple((one,) for one in group)
