"""A causal network of any mechanisms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dosift.model.categorical import HasStates
from dosift.model.covariate import CovariateMechanism, joint_covariates
from dosift.model.mechanism import (
    Changes,
    Floats,
    Ints,
    Library,
    Mechanism,
    System,
    Values,
    log_prior,
    topological_order,
)
from dosift.model.network import Network, Variable
from dosift.model.scale import Scale


def _error_of(mechanism: Mechanism) -> bytes:
    """Return what tells how sure the coefficients of a mechanism are."""
    covariance = getattr(mechanism, "covariance", None)
    return b"" if covariance is None else covariance.tobytes()


@dataclass(frozen=True, eq=False)
class ControlRows:
    """Control rows that a network remembers, since they teach it together with mixture rows.

    Attributes
    ----------
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)
    dependence : ndarray, shape (n_variables,), or None
        Correlation of the variables' residuals in rows of one unit; None for none.
    """

    values: Values
    weights: Floats
    dependence: Floats | None = None
    _remembered: dict[tuple[int, bytes], Floats] = field(default_factory=dict, repr=False)
    _of_all: dict[int, tuple[Values, bytes, Mechanism]] = field(default_factory=dict, repr=False)

    def statistics(self, mechanism: Mechanism) -> Floats:
        """Sum the statistics of a mechanism; those that its parameters do not change only once."""
        if not getattr(mechanism, "has_fixed_statistics", False):
            return mechanism.statistics(self.values, self.weights)
        key = (mechanism.variable, _error_of(mechanism))
        if key not in self._remembered:
            self._remembered[key] = mechanism.statistics(self.values, self.weights)
        return self._remembered[key]

    def taught_by_all(self, old: Mechanism, values: Values, posterior: Floats) -> Mechanism:
        """Fit a mechanism that no target touches: to these and to all mixture rows, once."""
        error = _error_of(old)
        known = self._of_all.get(old.variable)
        if known is None or known[0] is not values or known[1] != error:
            statistics = self.statistics(old) + old.statistics(values, posterior.sum(axis=1))
            known = (values, error, _fitted(old, statistics))
            self._of_all[old.variable] = known
        return known[2]

    def log_likelihood(self, mechanism: Mechanism) -> float:
        """Log-likelihood of a mechanism, in nats."""
        if getattr(mechanism, "has_fixed_statistics", False):
            return float(mechanism.log_likelihood(self.statistics(mechanism)))  # type: ignore[attr-defined]
        return float(self.weights @ mechanism.log_density(self.values))


@dataclass(frozen=True, eq=False)
class MechanismNetwork:
    """A causal network that is made of mechanisms and libraries of changes.

    Attributes
    ----------
    mechanisms : tuple of Mechanism
        One for each variable, in the order of the columns of values.
    libraries : tuple of Library
        The changes that each variable may undergo.
    control : ControlRows, optional
        The control rows that its mechanisms were learned from, if mixture rows are to teach them
        too.
    variables : tuple of Variable, optional
        Names and kinds.
    scales : tuple of Scale, optional
        The working scale of each variable; the identity for states and counts.
    """

    mechanisms: tuple[Mechanism, ...]
    libraries: tuple[Library, ...]
    control: ControlRows | None = None
    variables: tuple[Variable, ...] = ()
    scales: tuple[Scale, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables; x0, x1, ... where none were given."""
        if self.variables:
            return tuple(variable.name for variable in self.variables)
        return tuple(f"x{i}" for i in range(self.n_variables))

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position of each variable by its name."""
        return {name: i for i, name in enumerate(self.names)}

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Edges as (parent, child) names, child by child; none of what is only conditioned on."""
        names, hidden = self.names, self.covariates
        return [
            (names[p], names[i])
            for i, parents in enumerate(self.parents)
            for p in parents
            if p not in hidden
        ]

    @cached_property
    def covariates(self) -> frozenset[int]:
        """Positions of the columns that are only conditioned on, such as the depth of a cell."""
        is_covariate = [isinstance(one, CovariateMechanism) for one in self.mechanisms]
        return frozenset(int(i) for i in np.flatnonzero(is_covariate))

    def with_covariates_of(self, values: Values, weights: Floats) -> MechanismNetwork:
        """Let what is only conditioned on be drawn as it is in some rows.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
        weights : ndarray, shape (n_rows,)

        Returns
        -------
        MechanismNetwork
        """
        if not self.covariates:
            return self
        mechanisms = list(self.mechanisms)
        for one in joint_covariates(sorted(self.covariates), values, weights):
            mechanisms[one.variable] = one
        return replace(self, mechanisms=tuple(mechanisms))

    def working(self, values: Values) -> Floats:
        """Bring values in the users' units to the working scales.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
            State codes as numbers where a variable is discrete; NaN where missing.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_variables), column-major
        """
        out = np.array(values, dtype=np.float64, order="F")
        for i, scale in enumerate(self.scales):
            out[:, i] = scale.working(out[:, i])
        return out

    def user(self, values: Values) -> Floats:
        """Bring values on the working scales back to the users' units.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray of float64, shape (n_rows, n_variables), column-major
        """
        out = np.array(values, dtype=np.float64, order="F")
        for i, scale in enumerate(self.scales):
            out[:, i] = scale.user(out[:, i])
        return out

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.mechanisms)

    @property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the parents of each variable."""
        return tuple(mechanism.parents for mechanism in self.mechanisms)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions of the variables in a topological order."""
        return topological_order(self.parents)

    @cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each variable; 0 where its values are numbers."""
        sizes = [one.n_states if isinstance(one, HasStates) else 0 for one in self.mechanisms]
        return np.array(sizes, dtype=np.int64)

    @cached_property
    def n_changes(self) -> NDArray[np.int64]:
        """Length of each library."""
        return np.array([len(library) for library in self.libraries], dtype=np.int64)

    @cached_property
    def changeable(self) -> tuple[int, ...]:
        """Positions of the variables of which a change can be seen."""
        return tuple(i for i, one in enumerate(self.libraries) if len(one) > one.is_exclusive)

    @property
    def is_positive(self) -> bool:
        """Whether every row has a positive density."""
        return all(mechanism.is_positive for mechanism in self.mechanisms)

    @property
    def learns(self) -> bool:
        """Whether mixture rows may teach its mechanisms or changes."""
        free = any(change.n_free for library in self.libraries for change in library[:])
        return free or self.control is not None

    def log_prior(self) -> float:
        """Log-likelihood of the control rows, and the logarithm of the mechanisms' priors."""
        if self.control is None:
            return 0.0
        return sum(
            self.control.log_likelihood(mechanism) + log_prior(mechanism)
            for mechanism in self.mechanisms
        )

    def taught(
        self, values: Values, targets: Ints, posterior: Floats, learners: Iterable[int]
    ) -> MechanismNetwork:
        """Take one step of EM for mechanisms and changes.

        Control rows teach a mechanism, rows that leave it alone, and rows under changes that keep
        its parameters; without control rows it is taken as known. Rows under a change teach that.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
        targets : ndarray of int, shape (n_targets, n_variables)
        posterior : ndarray, shape (n_rows, n_targets)
            Weight of each row times the posterior of its targets.
        learners : iterable of int
            Variables whose mechanisms are taught.

        Returns
        -------
        MechanismNetwork
        """
        mechanisms, libraries = list(self.mechanisms), list(self.libraries)
        for i in learners:
            if self.control is not None:
                mechanisms[i] = self._taught_mechanism(i, values, targets, posterior, self.control)
            libraries[i] = taught_library(
                mechanisms[i], libraries[i], values, targets[:, i], posterior
            )
        return replace(self, mechanisms=tuple(mechanisms), libraries=tuple(libraries))

    def _taught_mechanism(
        self, i: int, values: Values, targets: Ints, posterior: Floats, control: ControlRows
    ) -> Mechanism:
        old = self.mechanisms[i]
        if (targets[:, i] < 0).all() and getattr(old, "has_fixed_statistics", False):
            return control.taught_by_all(old, values, posterior)
        statistics = control.statistics(old)
        statistics = statistics + old.statistics(values, posterior @ (targets[:, i] < 0))
        for position in _used(targets[:, i]):
            change = self.libraries[i][position]
            if change.keeps_mechanism:
                weights = posterior @ (targets[:, i] == position)
                statistics = statistics + change.applied(old).statistics(values, weights)
        return _fitted(old, statistics)

    def draw(
        self, targets: Ints, weights: Floats, n_rows: int, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Draw independent rows from a mixture.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,)
            Summing to one.
        n_rows : int
        rng : numpy.random.Generator

        Returns
        -------
        values : ndarray of float64, shape (n_rows, n_variables)
        component : ndarray of int64, shape (n_rows,)
            The position of the target that each row was drawn from.
        """
        component = rng.choice(len(weights), size=n_rows, p=weights)
        values = np.zeros((n_rows, self.n_variables), order="F")
        for i in self.order:
            change = targets[component, i]
            for position in np.unique(change):
                rows = np.flatnonzero(change == position)
                mechanism = self.mechanisms[i]
                if position >= 0:
                    mechanism = self.libraries[i][int(position)].applied(mechanism)
                values[rows, i] = mechanism.draw(values[rows], rng)
        return values, component.astype(np.int64)


if TYPE_CHECKING:
    _: type[System] = MechanismNetwork


def _fitted(old: Mechanism, statistics: Floats) -> Mechanism:
    taught = old.fitted(statistics)
    keep = getattr(taught, "with_error_of", None)
    return taught if keep is None else cast(Mechanism, keep(old))


def taught_library(
    mechanism: Mechanism, library: Library, values: Values, column: Ints, posterior: Floats
) -> Library:
    """Fit the changes of a variable that have free parameters to the rows under them.

    Parameters
    ----------
    mechanism : Mechanism
        Of the variable, without a change.
    library : Library
    values : ndarray, shape (n_rows, n_variables)
    column : ndarray of int, shape (n_targets,)
        The change that each target makes, -1 for none.
    posterior : ndarray, shape (n_rows, n_targets)
        Weight of each row times the posterior of its targets.

    Returns
    -------
    Library
    """
    for position in _used(column):
        change = library[position]
        if change.n_free == 0 or not isinstance(library, Changes):
            continue
        weights = posterior @ (column == position)
        statistics = change.applied(mechanism).statistics(values, weights)
        library = library.with_change(position, change.fitted(mechanism, statistics))
    return library


def _used(column: Ints) -> list[int]:
    """Positions of the changes of a variable that targets make."""
    return [int(position) for position in np.unique(column) if position >= 0]


def as_network(network: MechanismNetwork) -> Network:
    """Pass a network of mechanisms on to what says that it takes tables, and takes any system."""
    return cast(Network, network)
