"""The penalised score that every move of the search is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import Library
from dosift.model.other import OTHER


@dataclass(frozen=True)
class Score:
    """Description length of a set of targets, in nats, to be subtracted from the log-likelihood.

    Every component costs half the logarithm of the number of rows for its weight (as in BIC) and
    the logarithm of the number of targets of its size, or of a smaller one if there are more of
    those, for its name. The second part keeps wide networks from buying chance findings.

    Attributes
    ----------
    n_rows : float
        Number of rows (or total sample weight).
    cardinalities : ndarray of int, shape (n_variables,)
        Number of changes (states) of the variables that targets may set.
    n_variables : int
        Number of variables among which targets were looked for; more than the length of
        `cardinalities` when variables were screened out.
    choices : ndarray of int, shape (n_variables,), optional
        Number of states that each variable may be set to, where that is known to be fewer.
    n_candidates : int, optional
        If targets come from a list, its length.
    spare : ndarray of int, shape (n_variables,), optional
        Number of changes of each variable that no mixture needs; by default one state of each, as
        do's on all states together imitate "left alone".
    parameters : tuple of ndarray, optional
        For each variable the number of free parameters of each of its changes; by default none has
        any.
    """

    n_rows: float
    cardinalities: NDArray[np.int64]
    n_variables: int
    choices: NDArray[np.int64] | None = None
    n_candidates: int | None = None
    spare: NDArray[np.int64] | None = None
    parameters: tuple[NDArray[np.int64], ...] | None = None

    def of_changes(self, libraries: Sequence[Library]) -> Score:
        """Return the score of targets whose changes stand in libraries.

        Parameters
        ----------
        libraries : sequence of Library
            Of the variables, in the same order.
        """
        if all(library.is_exclusive for library in libraries):
            return self
        spare = np.array([int(library.is_exclusive) for library in libraries], dtype=np.int64)
        parameters = tuple(
            np.array([change.n_free for change in library[:]], dtype=np.int64)
            for library in libraries
        )
        used = parameters if any(free.any() for free in parameters) else None
        return replace(self, spare=spare, parameters=used)

    def prefix(self, n_kept: int) -> Score:
        """Return the score of the first variables, while targets are still growing."""
        choices = None if self.choices is None else self.choices[:n_kept]
        spare = None if self.spare is None else self.spare[:n_kept]
        parameters = None if self.parameters is None else self.parameters[:n_kept]
        return Score(
            self.n_rows,
            self.cardinalities[:n_kept],
            self.n_variables,
            choices,
            spare=spare,
            parameters=parameters,
        )

    @cached_property
    def _size_cost(self) -> Floats:
        sizes = np.arange(self.n_variables + 1)
        n = self.n_variables
        choose: Floats = gammaln(n + 1) - gammaln(sizes + 1) - gammaln(n - sizes + 1)
        # There are few targets that set nearly everything; but setting one variable more is never
        # cheaper, or of two targets with the same distribution the larger would win.
        by_states = sizes * float(np.mean(self._log_states)) if self._log_states.size else 0.0
        names = np.maximum.accumulate(choose + by_states) - by_states
        return np.asarray(names + 0.5 * np.log(max(self.n_rows, 2.0)))

    @cached_property
    def _log_states(self) -> Floats:
        # An excluded value of each variable is never set.
        values = self.cardinalities - (1.0 if self.spare is None else self.spare)
        if self.choices is not None:
            values = np.minimum(values, self.choices)
        return np.asarray(np.log(np.maximum(values, 1.0)))

    def names(self, targets: Ints) -> Floats:
        """Logarithm of the number of targets among which each one is told apart.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray, shape (n_targets,)
            In nats: the logarithm of the number of sizes, plus that of the number of targets of
            the same size (or of a smaller one if there are more of those).
        """
        weight = 0.5 * np.log(max(self.n_rows, 2.0))
        out: Floats = self.costs(targets) - weight + np.log(self.n_variables + 1.0)
        return out

    def costs(self, targets: Ints) -> Floats:
        """Cost of each target.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray, shape (n_targets,)
            In nats.
        """
        if self.n_candidates is not None:
            each = np.log(self.n_candidates) + 0.5 * np.log(max(self.n_rows, 2.0))
            return np.full(len(targets), float(each))
        is_set = targets >= 0
        costs: Floats = self._size_cost[is_set.sum(axis=1)] + is_set @ self._log_states
        return costs

    def total(self, targets: Ints) -> float:
        """Cost of a mixture's targets and of the changes that they make.

        A change with free parameters costs half the logarithm of the number of rows for each, once
        however many targets make it.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        float
            In nats.
        """
        total = float(self.costs(targets).sum())
        for j, free in enumerate(self.parameters or ()):
            used = np.unique(targets[:, j])
            used = used[(used >= 0) & (used < OTHER)]
            total += self._parameter_cost * float(free[used].sum())
        return total

    def savings(self, targets: Ints) -> Floats:
        """Cost that each target of a mixture saves if it alone is dropped.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray, shape (n_targets,)
            In nats: its own, and that of the changes that no other target makes.
        """
        costs = self.costs(targets)
        for j, free in enumerate(self.parameters or ()):
            column = targets[:, j]
            changed = (column >= 0) & (column < OTHER)
            makers = np.bincount(column[changed], minlength=free.size)
            own = self._parameter_cost * free * (makers == 1)
            costs[changed] += own[column[changed]]
        return costs

    def additions(self, targets: Ints, present: Ints) -> Floats:
        """Cost of bringing each of some targets into a mixture.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        present : ndarray of int, shape (n_present, n_variables)
            Targets of the mixture.

        Returns
        -------
        ndarray, shape (n_targets,)
            In nats: its own, and that of the changes that no present target makes.
        """
        costs = self.costs(targets)
        for j, free in enumerate(self.parameters or ()):
            column = targets[:, j]
            new = self._parameter_cost * free * ~np.isin(np.arange(free.size), present[:, j])
            changed = (column >= 0) & (column < OTHER)
            costs[changed] += new[column[changed]]
        return costs

    @property
    def _parameter_cost(self) -> float:
        return 0.5 * float(np.log(max(self.n_rows, 2.0)))
