"""Rows of which it is known what was done to them: control rows, and rows with a label.

A label says which variables were changed, not by what. So a labelled row is like a control row for
the variables that its label leaves alone; and those of one label, in which a variable was changed,
are a mixture of the changes of its library, whose shares are found from these rows alone. What a
change does is found from labelled and mixture rows together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from dosift.model.arrays import Bools, Floats, Ints, Values
from dosift.model.mechanism import Changes, Library, Mechanism
from dosift.model.other import OTHER

#: Entries of labels and of other patterns: left alone, and changed in any way; others are positions
#: of states.
ALONE, ANY = -1, -2
#: Steps of EM for the shares of changes in the rows of a label, and the rise (nats) that ends them.
_SHARE_STEPS, _SHARE_RISE = 50, 1e-4
#: Rows whose scores are held at a time.
_AT_ONCE = 2**16
#: Log-density of a row that a change cannot explain, so that sums stay finite.
_LEAST_LOG = -1e6


def matches(patterns: Ints, targets: Ints) -> Bools:
    """Tell which patterns match which targets.

    Parameters
    ----------
    patterns : ndarray of int, shape (n_patterns, n_variables)
        Targets, in which ``ANY`` stands for every change of a variable.
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    ndarray of bool, shape (n_patterns, n_targets)

    Examples
    --------
    >>> matches(np.array([[ANY, ALONE], [0, ALONE]]), np.array([[0, -1], [2, -1], [2, 1]])).tolist()
    [[True, True, False], [True, False, False]]
    """
    wanted, found = np.asarray(patterns)[:, None, :], np.asarray(targets)[None, :, :]
    changed = (found >= 0) & (found < OTHER)  # rows from elsewhere have no label
    return np.asarray(((wanted == found) | ((wanted == ANY) & changed)).all(axis=2))


def _error_of(mechanism: Mechanism) -> bytes:
    """Return what tells how sure the coefficients of a mechanism are."""
    covariance = getattr(mechanism, "covariance", None)
    return b"" if covariance is None else covariance.tobytes()


def refitted(old: Mechanism, statistics: Floats) -> Mechanism:
    """Return the mechanism that statistics ask for, as sure of its coefficients as the old one.

    Parameters
    ----------
    old : Mechanism
    statistics : ndarray

    Returns
    -------
    Mechanism
    """
    taught = old.fitted(statistics)
    keep = getattr(taught, "with_error_of", None)
    return taught if keep is None else cast(Mechanism, keep(old))


@dataclass(frozen=True, eq=False)
class BeyondSample:
    """What control rows say beyond a sample of them, where they are too many to hold.

    Statistics of all rows at any parameters are close to those of the sample, times how many rows
    each of it stands for, and what was missing at the parameters that all rows learned: as
    parameters hardly move from there, little of the sample's error is left.

    Attributes
    ----------
    factor : float
        Rows that each of the sample stands for.
    mechanisms : tuple of Mechanism
        As all rows taught them.
    statistics : tuple of ndarray
        Of each, what all rows say less `factor` times what the sample says.
    log_likelihood : ndarray, shape (n_variables,)
        The same of how likely the rows are.
    """

    factor: float
    mechanisms: tuple[Mechanism, ...]
    statistics: tuple[Floats, ...]
    log_likelihood: Floats

    def fits(self, mechanism: Mechanism) -> bool:
        """Whether a mechanism differs from that of all rows in parameters only."""
        own = self.mechanisms[mechanism.variable]
        is_like = type(own) is type(mechanism) and own.parents == mechanism.parents
        features = getattr(own, "features", ()) == getattr(mechanism, "features", ())
        return is_like and features and own.n_free == mechanism.n_free


@dataclass(frozen=True, eq=False)
class ControlRows:
    """Control rows that a network remembers, since they teach it together with mixture rows.

    Attributes
    ----------
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)
    dependence : ndarray, shape (n_variables,), or None
        Correlation of the variables' residuals in rows of one unit; None for none.
    silent : frozenset of int
        Variables whose mechanism was another in these rows, which say nothing of it.
    beyond : BeyondSample or None
        What all rows say, where these are a sample of them.
    """

    values: Values
    weights: Floats
    dependence: Floats | None = None
    silent: frozenset[int] = frozenset()
    beyond: BeyondSample | None = None
    _remembered: dict[tuple[int, bytes], Floats] = field(default_factory=dict, repr=False)
    _of_all: dict[int, tuple[Values, bytes, Mechanism]] = field(default_factory=dict, repr=False)

    @property
    def n_rows(self) -> float:
        """Number of rows, or of those that they are a sample of."""
        return float(self.weights.sum()) * (1.0 if self.beyond is None else self.beyond.factor)

    def anew(self) -> ControlRows:
        """Return the same rows, without what fits to mixture rows remembered."""
        return replace(self, _remembered={}, _of_all={})

    def statistics(self, mechanism: Mechanism) -> Floats:
        """Sum the statistics of a mechanism; those that its parameters do not change only once."""
        if mechanism.variable in self.silent:
            return mechanism.statistics(self.values[:0], self.weights[:0])
        if not getattr(mechanism, "has_fixed_statistics", False):
            return self._of_every(mechanism)
        key = (mechanism.variable, _error_of(mechanism))
        if key not in self._remembered:
            self._remembered[key] = self._of_every(mechanism)
        return self._remembered[key]

    def _of_every(self, mechanism: Mechanism) -> Floats:
        own, beyond = mechanism.statistics(self.values, self.weights), self.beyond
        if beyond is None:
            return own
        own = beyond.factor * own
        return own + beyond.statistics[mechanism.variable] if beyond.fits(mechanism) else own

    def taught_by_all(
        self, old: Mechanism, values: Values, posterior: Floats, more: Floats | float = 0.0
    ) -> Mechanism:
        """Fit a mechanism that no target touches: to these and to all mixture rows, once.

        Parameters
        ----------
        old : Mechanism
            With statistics that its parameters do not change.
        values : ndarray, shape (n_rows, n_variables)
        posterior : ndarray, shape (n_rows, n_targets)
        more : ndarray or float
            Statistics of labelled rows, always the same.
        """
        error = _error_of(old)
        known = self._of_all.get(old.variable)
        if known is None or known[0] is not values or known[1] != error:
            statistics = self.statistics(old) + old.statistics(values, posterior.sum(axis=1))
            known = (values, error, refitted(old, statistics + more))
            self._of_all[old.variable] = known
        return known[2]

    def log_likelihood(self, mechanism: Mechanism) -> float:
        """Log-likelihood of a mechanism, in nats."""
        if mechanism.variable in self.silent:
            return 0.0
        if getattr(mechanism, "has_fixed_statistics", False):
            return float(mechanism.log_likelihood(self.statistics(mechanism)))  # type: ignore[attr-defined]
        own, beyond = float(self.weights @ mechanism.log_density(self.values)), self.beyond
        if beyond is None:
            return own
        more = beyond.log_likelihood[mechanism.variable] if beyond.fits(mechanism) else 0.0
        return float(beyond.factor * own + more)

    def information(self, mechanism: Mechanism) -> Floats:
        """Sum products of a mechanism's scores, shape (n_free, n_free)."""
        out = np.zeros((mechanism.n_free, mechanism.n_free))
        for start in range(0, len(self.values), _AT_ONCE):
            at = slice(start, start + _AT_ONCE)
            scores = mechanism.scores(self.values[at])
            out += (scores * self.weights[at, None]).T @ scores
        return out if self.beyond is None else self.beyond.factor * out


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Rows with one label.

    Attributes
    ----------
    rows : ControlRows
        Without missing values.
    entries : ndarray of int, shape (n_variables,)
        What the label says of each variable: ``ALONE``, ``ANY``, or the position of a state.

    Examples
    --------
    >>> from dosift.model.linear import LinearMechanism
    >>> from dosift.model.linear_changes import Shift
    >>> rows = ControlRows(np.array([[2.0], [2.2]]), np.ones(2))
    >>> known = LabelledRows(rows, np.array([ANY]))
    >>> library = Changes((Shift(-1.0), Shift(2.0)))
    >>> known.likeliest(LinearMechanism.untaught(0, (), ()), library)
    1
    """

    rows: ControlRows
    entries: Ints
    _judged: dict[int, tuple[Mechanism, Library, Floats, float]] = field(
        default_factory=dict, repr=False
    )

    def anew(self) -> LabelledRows:
        """Return the same rows, for mechanisms with other parents."""
        return LabelledRows(ControlRows(self.rows.values, self.rows.weights), self.entries)

    def leaves(self, i: int) -> bool:
        """Whether variable i was left alone."""
        return bool(self.entries[i] == ALONE)

    def changes(self, i: int, library: Library) -> bool:
        """Whether variable i was changed in a way that rows tell."""
        is_open = isinstance(library, Changes) and len(library) > 0
        return bool(self.entries[i] == ANY) and is_open

    def totals(self, mechanism: Mechanism, library: Library) -> Floats:
        """Log-likelihood of all rows under each change of a variable, shape (n_changes,)."""
        logs = _logs(mechanism, library, self.rows.values)
        return np.asarray(self.rows.weights @ np.maximum(logs, _LEAST_LOG))

    def likeliest(self, mechanism: Mechanism, library: Library) -> int:
        """Position of the change that explains all rows best, if it is the same in all of them."""
        return int(self.totals(mechanism, library).argmax())

    def under(self, mechanism: Mechanism, library: Library) -> tuple[Floats, float]:
        """Judge which change of a variable each row is under.

        Parameters
        ----------
        mechanism : Mechanism
            Of the variable, unchanged.
        library : Library
            Of at least one change.

        Returns
        -------
        weights : ndarray, shape (n_rows, n_changes)
            Weight of each row times the posterior of the changes.
        log_likelihood : float
            In nats.
        """
        known = self._judged.get(mechanism.variable)
        if known is None or known[0] is not mechanism or known[1] is not library:
            found = _shared(_logs(mechanism, library, self.rows.values), self.rows.weights)
            known = (mechanism, library, *found)
            self._judged[mechanism.variable] = known
        return known[2], known[3]

    def log_likelihood(
        self, mechanisms: Sequence[Mechanism], libraries: Sequence[Library], taught: bool
    ) -> float:
        """Log-likelihood of changes, and of mechanisms if these are taught, in nats."""
        total = 0.0
        for i, (mechanism, library) in enumerate(zip(mechanisms, libraries, strict=True)):
            if taught and self.leaves(i):
                total += self.rows.log_likelihood(mechanism)
            elif self.changes(i, library):
                total += self.under(mechanism, library)[1]
        return total

    def statistics(self, mechanism: Mechanism, library: Library) -> Floats | float:
        """Sum the statistics of a mechanism, where its parameters are at work; 0 for nothing."""
        i = mechanism.variable
        if self.leaves(i):
            return self.rows.statistics(mechanism)
        if not self.changes(i, library):
            return 0.0
        weights, _ = self.under(mechanism, library)
        parts = [
            change.applied(mechanism).statistics(self.rows.values, weights[:, k])
            for k, change in enumerate(library[:])
            if change.keeps_mechanism
        ]
        return np.asarray(sum(parts[1:], start=parts[0])) if parts else 0.0


def _logs(mechanism: Mechanism, library: Library, values: Values) -> Floats:
    assert isinstance(library, Changes)
    return library.log_densities(mechanism, library[:], values)


def _shared(logs: Floats, weights: Floats) -> tuple[Floats, float]:
    """Find the shares of changes by EM, from log-densities of shape (n_rows, n_changes).

    Returns the weight of each row times its posterior under them, and the log-likelihood.
    """
    highest = np.maximum(logs.max(axis=1), _LEAST_LOG)
    densities = np.exp(logs - highest[:, None])
    # A row that no change explains is as likely under each.
    densities[~densities.any(axis=1)] = 1.0
    shares = np.full(logs.shape[1], 1.0 / logs.shape[1])
    posterior, value = np.empty_like(densities), -np.inf
    for _ in range(_SHARE_STEPS):
        joint = densities * shares
        mixture = joint.sum(axis=1)
        posterior = joint * (weights / mixture)[:, None]
        before, value = value, float(weights @ (np.log(mixture) + highest))
        if value - before < _SHARE_RISE:
            break
        shares = posterior.sum(axis=0) / posterior.sum()
    return posterior, value
