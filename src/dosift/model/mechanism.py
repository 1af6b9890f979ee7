"""What a mechanism, a change and a library of changes must offer.

A *mechanism* is the conditional distribution of one variable given its parents. A *change*
replaces it by another. The changes that one variable may undergo stand in its *library*, and a
target names one of them: ``targets[t, i]`` is a position in the library of variable i, -1 where
the variable is left alone. For a discrete variable the library is do(first state), do(second
state), ... (:mod:`dosift.model.categorical`), so that positions and state codes are the same.

Nothing here knows a distribution. ``docs/adding/mechanism.md`` says how to add one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Protocol, Self, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints, Values


def missing(values: Values) -> Bools:
    """Tell which values are missing.

    Parameters
    ----------
    values : ndarray
        Of integers, where a negative one is missing, or of floats, where NaN is.

    Returns
    -------
    ndarray of bool, of the same shape

    Examples
    --------
    >>> missing(np.array([1, -1])).tolist(), missing(np.array([-2.5, np.nan])).tolist()
    ([False, True], [False, True])
    """
    out: Bools = np.isnan(values) if values.dtype.kind == "f" else values < 0
    return out


def has_missing(values: Values) -> bool:
    """Tell whether any value is missing (:func:`missing`)."""
    if values.dtype.kind == "f":
        return bool(np.isnan(values).any())
    return bool(values.size and values.min() < 0)


class Mechanism(Protocol):
    """The conditional distribution of one variable given its parents.

    Immutable. ``tests/model/test_mechanism_contract.py`` tests every promise made here.
    """

    @property
    def variable(self) -> int:
        """Position of the variable, the column of its values."""

    @property
    def parents(self) -> tuple[int, ...]:
        """Positions of its parents."""

    @property
    def n_free(self) -> int:
        """Number of free parameters."""

    @property
    def is_positive(self) -> bool:
        """Whether every value has a positive density, whatever the parents."""

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the density of the variable's values given those of its parents.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
            Minus infinity where a value cannot occur; 0 where the variable's own value is
            missing, as it is summed out.
        """

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the variable given the values of its parents; its own column is not read.

        Returns
        -------
        ndarray, shape (n_rows,)
        """

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum over rows all that :meth:`fitted` needs to know of them.

        Returns
        -------
        ndarray
            Of a shape that does not depend on the rows. The statistics of two sets of rows add up
            to those of both together. They may depend on the mechanism's present parameters.
        """

    def fitted(self, statistics: Floats) -> Self:
        """Return the mechanism that such rows ask for, with its prior if it has one.

        One call either maximises the likelihood of the rows (and the prior), or takes a step
        towards the maximum, as Newton's does; statistics and step by turns come to rest there.
        """

    def scores(self, values: Values) -> Floats:
        """Return derivatives of the log-density by the free parameters.

        Returns
        -------
        ndarray, shape (n_rows, n_free)
        """


@runtime_checkable
class HasPrior(Protocol):
    """A mechanism that is fitted with a prior says what it is, so that fits can be compared."""

    def log_prior(self) -> float:
        """Logarithm of the prior at the mechanism's parameters, up to a constant."""


def log_prior(mechanism: Mechanism) -> float:
    """Logarithm of the prior that a mechanism is fitted with; 0 if it has none.

    Parameters
    ----------
    mechanism : Mechanism

    Returns
    -------
    float
    """
    return mechanism.log_prior() if isinstance(mechanism, HasPrior) else 0.0


class Change(Protocol):
    """A change of a mechanism: do, shift, fold, ..."""

    @property
    def kind(self) -> str:
        """Kind of change: "do", "set", "shift", "gain", "fold" or "free"."""

    @property
    def n_free(self) -> int:
        """Number of free parameters; 0 for a do on a state."""

    @property
    def keeps_mechanism(self) -> bool:
        """Whether the mechanism's parameters are still at work, so that changed rows teach them.

        If so, :meth:`applied` returns a mechanism whose statistics and scores are those of the old
        one's parameters.
        """

    def applied(self, mechanism: Mechanism) -> Mechanism:
        """Return the mechanism that takes the place of the old one."""

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Self:
        """Return the change that rows ask for.

        Parameters
        ----------
        mechanism : Mechanism
            The unchanged one.
        statistics : ndarray
            Of the rows that the change produced, by the statistics of ``applied(mechanism)``.
        """

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives of the log-density under the change by its free parameters.

        Returns
        -------
        ndarray, shape (n_rows, n_free)
        """

    def text(self, variable: str) -> str:
        """Write the change of a variable, such as ``smoke=yes``."""


class Library(Protocol):
    """The changes that one variable may undergo, in order."""

    @property
    def is_exclusive(self) -> bool:
        """Whether each value can come from one of the changes only, as that of a do can.

        Then a row fits one of them at most; one of them is redundant, as all together imitate
        "left alone"; and :meth:`only` says which fits.
        """

    def __len__(self) -> int: ...

    @overload
    def __getitem__(self, index: int, /) -> Change: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Change]: ...

    def only(self, column: NDArray[Any]) -> Ints:
        """Position of the only change that each value can come from; where it is exclusive.

        Parameters
        ----------
        column : ndarray, shape (n_rows,)
            Values of the variable.

        Returns
        -------
        ndarray of int, shape (n_rows,)
            -1 for a missing value, which agrees with all.
        """


@dataclass(frozen=True)
class Changes:
    """A library of changes of which several may produce the same value.

    Attributes
    ----------
    changes : tuple of Change
    kinds : frozenset of str
        Kinds of change that the library may grow by, if it can suggest any.
    """

    changes: tuple[Change, ...]
    kinds: frozenset[str] = frozenset()
    is_exclusive = False

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    @overload
    def __getitem__(self, index: int, /) -> Change: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Change]: ...
    def __getitem__(self, index: int | slice, /) -> Change | Sequence[Change]:
        return self.changes[index]

    def only(self, column: NDArray[Any]) -> Ints:
        """Raise: a value says nothing certain about the change."""
        raise ValueError("several changes may produce the same value")

    def suggested(self, mechanism: Mechanism, values: Values, weights: Floats) -> list[Change]:
        """Suggest rough changes that rows may hold, for the search for changes to begin with.

        Parameters
        ----------
        mechanism : Mechanism
            The unchanged one.
        values : ndarray, shape (n_rows, n_variables)
            Those of the variable not missing.
        weights : ndarray, shape (n_rows,)

        Returns
        -------
        list of Change
            None here: what is in the library is all there is.
        """
        return []

    def log_densities(
        self, mechanism: Mechanism, changes: Sequence[Change], values: Values
    ) -> Floats:
        """Logarithms of the densities of rows under many changes.

        Parameters
        ----------
        mechanism : Mechanism
            The unchanged one.
        changes : sequence of Change
            At least one.
        values : ndarray, shape (n_rows, n_variables)
            Those of the variable not missing.

        Returns
        -------
        ndarray, shape (n_rows, n_changes)
        """
        return np.stack([one.applied(mechanism).log_density(values) for one in changes], axis=1)

    def neutral(self, mechanism: Mechanism, kind: str) -> Change | None:
        """Return a change of a kind from which rows may be fitted; None if there is none.

        Parameters
        ----------
        mechanism : Mechanism
            The unchanged one.
        kind : str
        """
        return None

    def with_change(self, position: int, change: Change) -> Changes:
        """Return the same library with another change at a position."""
        listed = [*self.changes]
        listed[position] = change
        return replace(self, changes=tuple(listed))


class System(Protocol):
    """What the search, the likelihood and inference need to know of a causal network.

    :class:`~dosift.model.network.Network` is the one over discrete variables,
    :class:`~dosift.model.mechanism_network.MechanismNetwork` one of any mechanisms.
    """

    @property
    def n_variables(self) -> int:
        """Number of variables."""

    @property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the parents of each variable."""

    @property
    def order(self) -> tuple[int, ...]:
        """Positions of the variables in a topological order."""

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each variable; 0 where its values are numbers."""

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """The mechanism of each variable."""

    @property
    def libraries(self) -> tuple[Library, ...]:
        """The changes that each variable may undergo."""

    @property
    def n_changes(self) -> NDArray[np.int64]:
        """Length of each library, shape (n_variables,)."""

    @property
    def changeable(self) -> tuple[int, ...]:
        """Positions of the variables of which a change can be seen."""

    @property
    def is_positive(self) -> bool:
        """Whether every row has a positive density."""

    @property
    def learns(self) -> bool:
        """Whether mixture rows may teach its mechanisms or changes."""

    def log_prior(self) -> float:
        """Log-likelihood of the control rows and the prior, up to a constant."""


def topological_order(parents: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Positions of variables in a topological order, earliest position first.

    Parameters
    ----------
    parents : sequence of sequence of int
        Positions of the parents of each variable.

    Returns
    -------
    tuple of int

    Raises
    ------
    graphlib.CycleError
        If there is none.

    Examples
    --------
    >>> topological_order([[2], [], [1]])
    (1, 2, 0)
    """
    sorter = TopologicalSorter(dict(enumerate(parents)))
    sorter.prepare()
    order: list[int] = []
    ready: list[int] = []
    while sorter.is_active():
        for i in sorter.get_ready():
            heappush(ready, i)
        order.append(heappop(ready))
        sorter.done(order[-1])
    return tuple(order)
