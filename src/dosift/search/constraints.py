"""What is known about targets before any row is seen, as arrays.

The search asks three questions: may this target be in the mixture (:meth:`Constraints.permits`),
may one that extends it be (:meth:`Constraints.reaches`), and may it be dropped
(:meth:`Constraints.protects`). Known weights turn into a change of the likelihood columns, so that
nothing else in the search needs to know of them: with the known part of the density
``F = sum_known w_t L_t`` and the weight ``S`` that is left, the free weights are ``S u`` with u on
the simplex, and the density is ``sum_t u_t (F + S L_t)``, the same convex problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import MISSING as FREE
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism import Library
from dosift.search.score import Score

#: Weight that known weights must leave for anything to be left to estimate.
NOTHING_LEFT = 1e-9


@dataclass(frozen=True)
class Constraints:
    """Which targets may be in a mixture, which must be, and which weights are known.

    All targets are in one order of variables, -1 where a variable is left alone.

    Attributes
    ----------
    allowed : ndarray of bool, shape (n_variables, n_states)
        Whether a target may set the variable to the state; states beyond a variable's own are
        True.
    excluded : ndarray of int, shape (n_excluded, n_variables)
        No target may contain any of these.
    forbidden : ndarray of int, shape (n_forbidden, n_variables)
        No target may be one of these.
    required : ndarray of int, shape (n_required, n_variables)
        Targets that are never dropped, even if their weight is zero.
    known : ndarray of int, shape (n_known, n_variables)
        Targets whose weight is known. They are no candidates of the search.
    known_weights : ndarray, shape (n_known,)
    candidates : ndarray of int, shape (n_candidates, n_variables), or None
        If given, no other targets may be in the mixture but these, `required` and `known`.

    Examples
    --------
    Two variables with two states, of which the second cannot be set to 1:

    >>> from dataclasses import replace
    >>> free = Constraints.none(np.array([2, 2]))
    >>> one = replace(free, allowed=np.array([[True, True], [True, False]]))
    >>> one.permits(np.array([[-1, -1], [0, 0], [0, 1]]))
    array([ True,  True, False])
    """

    allowed: Bools
    excluded: Ints
    forbidden: Ints
    required: Ints
    known: Ints
    known_weights: Floats
    candidates: Ints | None = None

    @classmethod
    def none(cls, cardinalities: Ints) -> Constraints:
        """Return the constraints that permit everything.

        Parameters
        ----------
        cardinalities : ndarray of int, shape (n_variables,)
        """
        n = len(cardinalities)
        nothing: Ints = np.empty((0, n), dtype=np.int16)
        allowed = np.ones((n, int(np.max(cardinalities, initial=1))), dtype=bool)
        return cls(allowed, nothing, nothing, nothing, nothing, np.empty(0))

    @cached_property
    def is_free(self) -> bool:
        """Whether every target is permitted and none is special."""
        lists = (self.excluded, self.forbidden, self.required, self.known)
        return bool(
            self.candidates is None
            and self.allowed.all()
            and not any(len(targets) for targets in lists)
        )

    @cached_property
    def manipulable(self) -> Bools:
        """Whether each variable may be set to any state at all, shape (n_variables,)."""
        return np.asarray(self.allowed.any(axis=1))

    @cached_property
    def rest(self) -> float:
        """Weight that is left for targets whose weight is not known."""
        return 1.0 - float(self.known_weights.sum())

    def reaches(self, targets: Ints) -> Bools:
        """Whether each target, or some target that extends it, may be permitted.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray of bool, shape (n_targets,)
        """
        out = np.ones(len(targets), dtype=bool)
        if not self.allowed.all():
            for j in np.flatnonzero(~self.allowed.all(axis=1)):
                states = targets[:, j].astype(np.int64)
                out &= (states < 0) | self.allowed[j, states]
        for part in self.excluded:
            is_set = part >= 0
            out &= (targets[:, is_set] != part[is_set]).any(axis=1)
        return out

    def permits(self, targets: Ints) -> Bools:
        """Whether the search may bring each target into the mixture.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray of bool, shape (n_targets,)
            False for targets whose weight is known, too: they are in it already.
        """
        if self.is_free:
            return np.ones(len(targets), dtype=bool)
        out = self.reaches(targets) & ~is_among(targets, self._not_for_the_search)
        if self.candidates is not None:
            out &= is_among(targets, self._listed)
        return out

    def protects(self, targets: Ints) -> Bools:
        """Whether each target must not be dropped.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray of bool, shape (n_targets,)
        """
        return is_among(targets, self._never_dropped)

    def fixed(self, targets: Ints) -> Floats:
        """Known weight of each target, NaN where it is not known.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray, shape (n_targets,)
        """
        weights = {
            t.tobytes(): w for t, w in zip(_rows(self.known), self.known_weights, strict=True)
        }
        return np.array([weights.get(t.tobytes(), np.nan) for t in _rows(targets)])

    @cached_property
    def _not_for_the_search(self) -> frozenset[bytes]:
        return keys_of(self.forbidden) | keys_of(self.known)

    @cached_property
    def _never_dropped(self) -> frozenset[bytes]:
        return keys_of(self.required) | keys_of(self.known)

    @cached_property
    def _listed(self) -> frozenset[bytes]:
        listed = self.required if self.candidates is None else self.candidates
        return keys_of(listed) | keys_of(self.required)

    def score(
        self,
        n_rows: float,
        libraries: Sequence[Library],
        variables: NDArray[np.int64] | None = None,
    ) -> Score:
        """Return the score of targets over some variables: what is known makes names shorter.

        Parameters
        ----------
        n_rows : float
        libraries : sequence of Library
            Of all variables.
        variables : ndarray of int, optional
            Positions of those that targets may set; all by default.
        """
        variables = np.arange(len(libraries)) if variables is None else variables
        n_changes = np.array([len(library) for library in libraries], dtype=np.int64)
        listed = None if self.candidates is None else len(self._listed)
        choices = None
        if not self.allowed.all():
            exists = np.arange(self.allowed.shape[1]) < n_changes[:, None]
            choices = (self.allowed & exists).sum(axis=1)[variables]
        # Required targets may set what others may not.
        n_settable = max(int(self.manipulable.sum()), len(self.variables()), 1)
        score = Score(n_rows, n_changes[variables], n_settable, choices, listed)
        return score.of_changes([libraries[i] for i in variables])

    def restricted(self, variables: NDArray[np.int64]) -> Constraints:
        """Return the constraints on the targets that set some variables only, in their order.

        Parameters
        ----------
        variables : ndarray of int
            Positions, among them all that a required or known target sets.
        """

        def inside(targets: Ints) -> Ints:
            others = np.delete(targets, variables, axis=1)
            return np.ascontiguousarray(targets[(others < 0).all(axis=1)][:, variables])

        return Constraints(
            self.allowed[variables],
            inside(self.excluded),
            inside(self.forbidden),
            inside(self.required),
            inside(self.known),
            self.known_weights,
            None if self.candidates is None else inside(self.candidates),
        )

    def prefix(self, n_variables: int) -> Constraints:
        """Return what holds for the first variables while targets are still growing.

        Parameters
        ----------
        n_variables : int
            How many variables, in the causal order.

        Returns
        -------
        Constraints
            With what no later variable can undo, and the known targets cut off.
        """
        n = n_variables
        complete = (self.excluded[:, n:] < 0).all(axis=1)
        nothing: Ints = np.empty((0, n), dtype=np.int16)
        return Constraints(
            self.allowed[:n],
            self.excluded[complete, :n],
            nothing,
            nothing,
            self.known[:, :n],
            self.known_weights,
        )

    def variables(self) -> tuple[int, ...]:
        """Positions of the variables that required or known targets set."""
        special = np.concatenate([self.required, self.known])
        return tuple(int(i) for i in np.flatnonzero((special >= 0).any(axis=0)))

    def neighbours(self, target: Ints, max_size: int | None) -> Ints:
        """List the permitted targets that differ from a given one in a single variable.

        Parameters
        ----------
        target : ndarray of int, shape (n_variables,)
        max_size : int, optional
            Largest number of variables that a target sets.

        Returns
        -------
        ndarray of int, shape (n_neighbours, n_variables)
        """
        found = []
        for j, states in enumerate(self.allowed):
            for a in [FREE, *np.flatnonzero(states)]:
                if a != target[j]:
                    other = target.copy()
                    other[j] = a
                    found.append(other)
        listed: Ints = np.array(found, dtype=np.int16).reshape(-1, target.size)
        if max_size is not None:
            listed = listed[(listed >= 0).sum(axis=1) <= max_size]
        return listed[self.permits(listed)]


def left_to_exclude(allowed: Bools, excluded: Ints, n_changes: Ints) -> Ints:
    """Forbid changes that are excluded by themselves, in place, and return what else is."""
    single = (excluded >= 0).sum(axis=1) == 1
    for part in excluded[single]:
        j = int(np.argmax(part >= 0))
        allowed[j, part[j]] = False
        if not allowed[j, : n_changes[j]].any():
            allowed[j] = False
    return np.asarray(excluded[~single])


def keys_of(targets: Ints) -> frozenset[bytes]:
    """Return hashable forms of targets, whatever their integer type."""
    return frozenset(t.tobytes() for t in _rows(targets))


def is_among(targets: Ints, keys: frozenset[bytes]) -> Bools:
    """Whether each target is one of those with the given keys (:func:`keys_of`)."""
    if not keys:
        return np.zeros(len(targets), dtype=bool)
    return np.array([t.tobytes() in keys for t in _rows(targets)], dtype=bool)


def _rows(targets: Ints) -> NDArray[np.int16]:
    return np.ascontiguousarray(targets, dtype=np.int16)
