"""Which changes of one variable rows may hold: the library that a search for targets begins with.

A variable's values in the rows of the pool are a mixture of its mechanism and of changes of it,
each row with its own parents. Changes are brought in one after the other: whichever of a grid of
rough ones gains most is refitted by EM together with those that are there, and stays if the
likelihood pays for its parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Floats, Values
from dosift.model.mechanism import Change, Changes, Mechanism

#: Shares at which what a rough change gains is looked at.
SHARES = (0.02, 0.1, 0.4)
#: Steps of EM after a change was brought in, and the rise in nats at which they end.
_EM_STEPS, _EM_RISE = 25, 0.05
#: Rough changes of each kind that are refitted, and changes that a variable may get.
_TRIED, _MOST_CHANGES = 2, 8
#: A change of fewer expected rows is not kept.
_LEAST_ROWS = 8.0
#: Share of its cost that a rough change must gain to be refitted.
LEAST_PROMISE = 0.25
#: About so many rows tell which rough changes are worth it.
_FEW_ROWS = 1500
#: Nats by which the likeliest of the mechanisms may be ahead, as in the search for targets.
MOST_EVIDENCE = 50.0


@dataclass(frozen=True)
class ChangeMixture:
    """One variable's mechanism and changes of it, mixed.

    Attributes
    ----------
    changes : tuple of Change
    shares : ndarray, shape (1 + n_changes,)
        That of the mechanism first; they sum to one.
    logs : ndarray, shape (n_rows, 1 + n_changes)
        Log-densities.
    log_likelihood : float
        In nats, over the weights of the rows.
    """

    changes: tuple[Change, ...]
    shares: Floats
    logs: Floats
    log_likelihood: float

    @property
    def log_density(self) -> Floats:
        """Log-density of the mixture at each row, shape (n_rows,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp.reduce(self.logs + np.log(self.shares), axis=1))


@dataclass(frozen=True)
class _Rough:
    """Rough changes, and the log-densities of some rows under them."""

    changes: tuple[Change, ...]
    logs: Floats


class ChangeFinder:
    """Looks for changes of one variable.

    Parameters
    ----------
    mechanism : Mechanism
    library : Changes
        Suggests changes, of the kinds that it may grow by.
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)
        Of the rows, such as the posterior of a component.
    log_choices : float
        Logarithm of the number of things that each change is one of, which it has to pay for.
    """

    def __init__(
        self,
        mechanism: Mechanism,
        library: Changes,
        values: Values,
        weights: Floats,
        log_choices: float = 0.0,
    ) -> None:
        self._mechanism, self._library = mechanism, library
        used = (weights > 1e-4) & ~np.isnan(values[:, mechanism.variable])
        self._values, self._weights = values[used], weights[used]
        self._total = float(self._weights.sum())
        self._log_choices = log_choices
        self._own = mechanism.log_density(self._values)
        step = max(len(self._values) // _FEW_ROWS, 1)
        self._some = np.arange(0, len(self._values), step)

    def found(self, present: Sequence[Change] = (), fixed: bool = False) -> list[Change]:
        """Look for changes beside some that are there.

        Parameters
        ----------
        present : sequence of Change
        fixed : bool
            Whether these keep their parameters.

        Returns
        -------
        list of Change
            New ones alone if `fixed`; otherwise all.
        """
        if self._total < 2 * _LEAST_ROWS:
            return [] if fixed else list(present)
        held = len(present) if fixed else 0
        logs = np.stack([self._own, *map(self._log_density, present)], axis=1)
        shares = np.append(1.0, np.full(len(present), 0.25 / max(len(present), 1)))
        now = self._refitted(tuple(present), shares / shares.sum(), logs, held)
        rough = self._rough()
        while len(now.changes) < _MOST_CHANGES + held and rough.changes:
            better = self._extended(now, rough, held)
            if better is None:
                break
            now = better
        return list(now.changes[held:])

    def _rough(self) -> _Rough:
        """Make a grid of changes, with the log-density under them of some of the rows."""
        suggested = self._library.suggested(self._mechanism, self._values, self._weights)
        some = self._values[self._some]
        if not suggested:
            return _Rough((), np.empty((len(some), 0)))
        logs = self._library.log_densities(self._mechanism, suggested, some)
        return _Rough(tuple(suggested), logs)

    def _log_density(self, change: Change) -> Floats:
        return change.applied(self._mechanism).log_density(self._values)

    def _extended(self, now: ChangeMixture, rough: _Rough, held: int) -> ChangeMixture | None:
        """Bring in the change that gains most, if it pays."""
        base = now.log_density[self._some]
        ratio = np.minimum(rough.logs - base[:, None], MOST_EVIDENCE)
        np.exp(ratio, out=ratio)
        ratio -= 1.0
        weights = self._weights[self._some]
        weights = weights * (self._total / weights.sum())
        half_log = 0.5 * np.log(self._total)
        free = np.array([1.0 + change.n_free for change in rough.changes])
        # No gain is more than what the slope at none promises.
        some = max(SHARES) * (weights @ ratio) > LEAST_PROMISE * (half_log * free)
        gains = np.full((len(free), len(SHARES)), -np.inf)
        if some.any():
            ratio = ratio[:, some]
            gains[some] = np.stack([weights @ np.log1p(share * ratio) for share in SHARES], axis=1)
        best: ChangeMixture | None = None
        best_net = 0.0
        kinds = np.array([change.kind for change in rough.changes])
        for kind in sorted(set(kinds)):
            of_kind = np.flatnonzero(kinds == kind)
            order = of_kind[np.argsort(-gains[of_kind].max(axis=1), kind="stable")][:_TRIED]
            for k in order:
                change = rough.changes[k]
                cost = half_log * (1 + change.n_free) + self._log_choices
                if gains[k].max() <= LEAST_PROMISE * cost:
                    continue  # far from paying, however it is refitted
                share = SHARES[int(gains[k].argmax())]
                trial = self._refitted(
                    (*now.changes, change),
                    np.append(now.shares * (1.0 - share), share),
                    np.column_stack([now.logs, self._log_density(change)]),
                    held,
                )
                net = trial.log_likelihood - now.log_likelihood - cost
                if net > best_net and trial.shares[-1] * self._total >= _LEAST_ROWS:
                    best, best_net = trial, net
        return best

    def _refitted(
        self, changes: tuple[Change, ...], shares: Floats, logs: Floats, held: int
    ) -> ChangeMixture:
        """Raise the likelihood by EM; the first changes are held."""
        value = -np.inf
        logs = logs.copy()
        for _ in range(_EM_STEPS):
            with np.errstate(divide="ignore"):
                joint = logs + np.log(shares)
            highest = joint.max(axis=1)
            np.exp(joint - highest[:, None], out=joint)
            density = joint.sum(axis=1)
            new = float(self._weights @ (np.log(density) + highest))
            if new - value < _EM_RISE:
                break
            value = new
            joint *= (self._weights / density)[:, None]
            shares = joint.sum(axis=0) / self._total
            refitted = list(changes)
            for k in range(held, len(changes)):
                applied = changes[k].applied(self._mechanism)
                statistics = applied.statistics(self._values, joint[:, k + 1])
                refitted[k] = changes[k].fitted(self._mechanism, statistics)
                logs[:, k + 1] = self._log_density(refitted[k])
            changes = tuple(refitted)
        return ChangeMixture(changes, shares, logs, value)
