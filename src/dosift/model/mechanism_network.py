"""A causal network of any mechanisms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints, Values
from dosift.model.categorical import HasStates
from dosift.model.covariate import CovariateMechanism, joint_covariates
from dosift.model.known_rows import ControlRows, LabelledRows, refitted
from dosift.model.mechanism import Changes, Library, Mechanism, System, log_prior, topological_order
from dosift.model.network import Network, Variable
from dosift.model.other import OTHER, is_other
from dosift.model.other_numbers import OtherNumbers
from dosift.model.scale import Scale


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
    labelled : tuple of LabelledRows, optional
        Rows of which it is known which variables were changed, if they are to teach mechanisms and
        changes too.
    other : OtherNumbers, optional
        What rows from elsewhere look like (``dosift.model.other``), if some are.
    """

    mechanisms: tuple[Mechanism, ...]
    libraries: tuple[Library, ...]
    control: ControlRows | None = None
    variables: tuple[Variable, ...] = ()
    scales: tuple[Scale, ...] = ()
    labelled: tuple[LabelledRows, ...] = ()
    other: OtherNumbers | None = None

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
        """Log-likelihood of control and labelled rows, and the logarithm of mechanisms' priors."""
        teaches = self.control is not None
        labelled = sum(
            rows.log_likelihood(self.mechanisms, self.libraries, teaches) for rows in self.labelled
        )
        if self.control is None:
            return labelled
        return labelled + sum(
            self.control.log_likelihood(mechanism) + log_prior(mechanism)
            for mechanism in self.mechanisms
        )

    def taught(
        self, values: Values, targets: Ints, posterior: Floats, learners: Iterable[int]
    ) -> MechanismNetwork:
        """Take one step of EM for mechanisms and changes.

        Control rows teach a mechanism, rows that leave it alone, and rows under changes that keep
        its parameters; without control rows it is taken as known. Rows under a change teach that.
        Labelled rows do the same as far as their label says.

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
                mechanisms[i], libraries[i], values, targets[:, i], posterior, self.labelled
            )
        other, elsewhere = self.other, is_other(targets)
        if other is not None and elsewhere.any():
            other = other.fitted(values, posterior[:, elsewhere].sum(axis=1))
        return replace(self, mechanisms=tuple(mechanisms), libraries=tuple(libraries), other=other)

    def with_other(self, other: OtherNumbers | None) -> MechanismNetwork:
        """Return the same, which says what rows from elsewhere look like.

        Parameters
        ----------
        other : OtherNumbers or None
        """
        return replace(self, other=other)

    def _taught_mechanism(
        self, i: int, values: Values, targets: Ints, posterior: Floats, control: ControlRows
    ) -> Mechanism:
        old, library = self.mechanisms[i], self.libraries[i]
        known = sum(rows.statistics(old, library) for rows in self.labelled)
        is_fixed = getattr(old, "has_fixed_statistics", False)
        if is_fixed and not self.is_touched(i, targets):
            return control.taught_by_all(old, values, posterior, known)
        statistics = control.statistics(old) + known
        statistics = statistics + old.statistics(values, posterior @ (targets[:, i] < 0))
        for position in used_changes(targets[:, i]):
            change = library[position]
            if change.keeps_mechanism:
                weights = posterior @ (targets[:, i] == position)
                statistics = statistics + change.applied(old).statistics(values, weights)
        return refitted(old, statistics)

    def is_touched(self, i: int, targets: Ints) -> bool:
        """Whether targets, or labels, change a variable.

        Parameters
        ----------
        i : int
            Position of the variable.
        targets : ndarray of int, shape (n_targets, n_variables)
        """
        library = self.libraries[i]
        is_set = bool((targets[:, i] >= 0).any())
        return is_set or any(rows.changes(i, library) for rows in self.labelled)

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
                if 0 <= position < OTHER:
                    mechanism = self.libraries[i][int(position)].applied(mechanism)
                values[rows, i] = mechanism.draw(values[rows], rng)
        elsewhere = np.flatnonzero(is_other(targets)[component])
        if elsewhere.size and self.other is not None:
            values[elsewhere] = self.other.draw(values[elsewhere], rng)
        return values, component.astype(np.int64)


if TYPE_CHECKING:
    _: type[System] = MechanismNetwork


def taught_library(
    mechanism: Mechanism,
    library: Library,
    values: Values,
    column: Ints,
    posterior: Floats,
    labelled: tuple[LabelledRows, ...] = (),
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
    labelled : tuple of LabelledRows, optional
        Rows of which some are under changes of the variable, too.

    Returns
    -------
    Library
    """
    found = {
        position: library[position]
        .applied(mechanism)
        .statistics(values, posterior @ (column == position))
        for position in used_changes(column)
        if library[position].n_free
    }
    return library_by_statistics(mechanism, library, found, labelled)


def library_by_statistics(
    mechanism: Mechanism,
    library: Library,
    statistics: Mapping[int, Floats],
    labelled: tuple[LabelledRows, ...] = (),
) -> Library:
    """Fit the changes of a variable to statistics of the rows under them.

    Parameters
    ----------
    mechanism : Mechanism
        Of the variable, without a change.
    library : Library
    statistics : mapping of int to ndarray
        By position of the change, those of the mechanism under it.
    labelled : tuple of LabelledRows, optional
        Rows of which some are under changes of the variable, too.

    Returns
    -------
    Library
    """
    if not isinstance(library, Changes):
        return library
    also = [
        (rows.rows.values, rows.under(mechanism, library)[0])
        for rows in labelled
        if rows.changes(mechanism.variable, library)
    ]
    for position, own in statistics.items():
        change = library[position]
        applied = change.applied(mechanism)
        for known, under in also:
            own = own + applied.statistics(known, under[:, position])  # noqa: PLW2901
        library = library.with_change(position, change.fitted(mechanism, own))
    return library


def used_changes(column: Ints) -> list[int]:
    """Positions of the changes of a variable that targets make.

    Parameters
    ----------
    column : ndarray of int, shape (n_targets,)
        The change that each target makes, -1 for none; that of rows from elsewhere is none.

    Examples
    --------
    >>> used_changes(np.array([1, -1, 0, 1]))
    [0, 1]
    """
    return [int(position) for position in np.unique(column) if 0 <= position < OTHER]


def merged_targets(network: MechanismNetwork, targets: Ints) -> Ints:
    """Return what targets touch: 0 for any change of a number, states as they are set.

    The target of rows from elsewhere stays as it is.

    Parameters
    ----------
    network : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    ndarray of int, shape (n_targets, n_variables)
    """
    exact = np.array([library.is_exclusive for library in network.libraries])
    kept = exact | (targets < 0) | is_other(targets)[..., None]
    return np.asarray(np.where(kept, targets, 0))


def compared_targets(network: System, targets: Ints) -> Ints:
    """Return targets so that those of two fits can be compared, whatever their libraries hold.

    Parameters
    ----------
    network : System
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    ndarray of int, shape (n_targets, n_variables)
        Of numbers, by what they touch: :func:`merged_targets`.
    """
    if isinstance(network, MechanismNetwork):
        return merged_targets(network, targets)
    return targets


def as_network(network: MechanismNetwork) -> Network:
    """Pass a network of mechanisms on to what says that it takes tables, and takes any system."""
    return cast(Network, network)
