"""The mechanism of a discrete variable, a table, and its changes: do's on the states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Ints, Values
from dosift.model.mechanism import Mechanism, has_missing, missing
from dosift.model.target import do


@runtime_checkable
class HasStates(Protocol):
    """The mechanism of a discrete variable, whatever it is given."""

    @property
    def n_states(self) -> int:
        """Number of states of the variable."""


@dataclass(frozen=True, eq=False)
class CategoricalMechanism:
    """A conditional probability table.

    Attributes
    ----------
    variable : int
        Position of the variable.
    parents : tuple of int
        Positions of its parents, in the order that the table uses.
    sizes : tuple of int
        Number of states of each parent.
    table : ndarray, shape (n_parent_configurations, n_states)
        Rows sum to one; the last parent runs fastest.
    prior : float
        Dirichlet pseudo-count that :meth:`fitted` adds to every cell.

    Examples
    --------
    >>> mechanism = CategoricalMechanism(1, (0,), (2,), np.array([[0.5, 0.5], [0.0, 1.0]]))
    >>> mechanism.log_density(np.array([[0, 0], [1, 0], [1, -1]])).round(3)
    array([-0.693,   -inf,  0.   ])
    >>> mechanism.fitted(mechanism.statistics(np.array([[0, 1], [1, 1]]), np.ones(2))).table
    array([[0., 1.],
           [0., 1.]])
    """

    variable: int
    parents: tuple[int, ...]
    sizes: tuple[int, ...]
    table: Floats
    prior: float = 0.0

    @property
    def n_states(self) -> int:
        """Number of states of the variable."""
        return int(self.table.shape[1])

    @property
    def n_free(self) -> int:
        """Number of free entries of the table."""
        return int(len(self.table) * (self.table.shape[1] - 1))

    @property
    def is_positive(self) -> bool:
        """Whether no entry of the table is zero."""
        return bool(self.table.min() > 0.0)

    def parent_rows(self, values: Values) -> NDArray[np.int64]:
        """Row of the table that each row of codes selects.

        Parameters
        ----------
        values : ndarray of int, shape (n_rows, n_variables)
            State codes; those of the parents not missing.

        Returns
        -------
        ndarray of int64, shape (n_rows,)
        """
        rows = np.zeros(values.shape[0], dtype=np.int64)
        for p, size in zip(self.parents, self.sizes, strict=True):
            rows *= size
            rows += self._codes(values, p)
        return rows

    def cells(self, values: Values) -> NDArray[np.int64]:
        """Position in the flattened table of each row of codes; without missing values."""
        cells = self.parent_rows(values)
        cells *= self.table.shape[1]
        cells += self._codes(values, self.variable)
        return cells

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the probability of each row's state given those of its parents."""
        cells = self.cells(values)
        own = values[:, self.variable]
        is_open = missing(own) if has_missing(own) else None
        if is_open is not None:
            cells[is_open] = 0
        with np.errstate(divide="ignore"):
            out: Floats = np.take(np.log(self.table.ravel()), cells)
        if is_open is not None:
            out[is_open] = 0.0
        return out

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw states given the codes of the parents."""
        sums = np.cumsum(self.table, axis=1)[self.parent_rows(values)]
        uniforms = rng.random((len(values), 1)) * sums[:, -1:]
        out: NDArray[np.int64] = (uniforms >= sums[:, :-1]).sum(axis=1)
        return out

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Count states given the configurations of the parents, in the rows that lack neither.

        Returns
        -------
        ndarray, shape of the table
        """
        family = values[:, [self.variable, *self.parents]]
        if has_missing(family):
            seen = ~missing(family).any(axis=1)
            values, weights = values[seen], weights[seen]
        counts = np.bincount(self.cells(values), weights=weights, minlength=self.table.size)
        return counts.astype(np.float64).reshape(self.table.shape)

    def fitted(self, statistics: Floats) -> CategoricalMechanism:
        """Return the posterior mean of the table; a row that nobody saw keeps what it had."""
        smoothed = statistics + self.prior
        with np.errstate(invalid="ignore"):
            table = smoothed / smoothed.sum(axis=1, keepdims=True)
        return replace(self, table=np.where(np.isnan(table), self.table, table))

    def log_prior(self) -> float:
        """Logarithm of the prior that :meth:`fitted` maximises with the likelihood."""
        return self.prior * float(np.log(self.table).sum()) if self.prior else 0.0

    def scores(self, values: Values) -> Floats:
        """Return derivatives by the entries of the table; the last of each row makes up the sum.

        0 where the state or a parent is missing.
        """
        family = values[:, [self.variable, *self.parents]]
        if has_missing(family):
            seen = ~missing(family).any(axis=1)
            some = np.zeros((len(values), self.n_free))
            some[seen] = self.scores(values[seen])
            return some
        n_rows, k = self.table.shape
        cells = self.cells(values)
        row, state = cells // k, cells % k
        out = np.zeros((len(values), n_rows, k - 1))
        is_last = state == k - 1
        with np.errstate(divide="ignore"):
            inverse = 1.0 / self.table.ravel()[cells]
        first = np.flatnonzero(~is_last)
        out[first, row[first], state[first]] = inverse[first]
        last = np.flatnonzero(is_last)
        out[last, row[last]] = -inverse[last, None]
        return out.reshape(len(values), -1)

    def _codes(self, values: Values, i: int) -> Ints:
        """Codes of a variable, also where a table of numbers holds them."""
        column = values[:, i]
        if np.issubdtype(column.dtype, np.floating):
            return np.asarray(np.nan_to_num(column, nan=-1.0), dtype=np.int64)
        return np.asarray(column)


@dataclass(frozen=True)
class SetState:
    """The intervention that sets a discrete variable to one of its states.

    Attributes
    ----------
    position : int
        Position of the state.
    state : str
        Its name.

    Examples
    --------
    >>> SetState(1, "yes").text("smoke")
    'smoke=yes'
    """

    position: int
    state: str
    kind: ClassVar[str] = "do"
    n_free = 0
    keeps_mechanism = False

    def applied(self, mechanism: Mechanism) -> CategoricalMechanism:
        """Return a table without parents that has the state for certain."""
        if not isinstance(mechanism, HasStates):
            raise ValueError("only the mechanism of a discrete variable can be set to a state")
        table = np.zeros((1, mechanism.n_states))
        table[0, self.position] = 1.0
        return CategoricalMechanism(mechanism.variable, (), (), table)

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> SetState:
        """Return the same: nothing is free."""
        return self

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return no derivatives: nothing is free."""
        return np.zeros((len(values), 0))

    def text(self, variable: str) -> str:
        """Write the change of a variable as a target does."""
        return str(do({variable: self.state}))[len("do(") : -1]


@dataclass(frozen=True)
class States:
    """The library of a discrete variable: do's on its states, in their order.

    Attributes
    ----------
    states : tuple of str
        Names of the states.

    Examples
    --------
    >>> [change.text("smoke") for change in States(("no", "yes"))]
    ['smoke=no', 'smoke=yes']
    """

    states: tuple[str, ...]
    is_exclusive = True

    def __len__(self) -> int:
        return len(self.states)

    def __iter__(self) -> Iterator[SetState]:
        return (self[position] for position in range(len(self)))

    @overload
    def __getitem__(self, index: int, /) -> SetState: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[SetState]: ...
    def __getitem__(self, index: int | slice, /) -> SetState | Sequence[SetState]:
        if isinstance(index, slice):
            return [self[position] for position in range(len(self))[index]]
        return SetState(range(len(self))[index], self.states[index])

    def only(self, column: NDArray[Any]) -> Ints:
        """Position of the do that each value can come from: its code."""
        if np.issubdtype(column.dtype, np.floating):
            return np.asarray(np.nan_to_num(column, nan=-1.0), dtype=np.int64)
        return column
