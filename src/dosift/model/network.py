"""The model of a discrete causal Bayesian network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.errors import InputError, NegligibleProbabilityWarning
from dosift.model.arrays import Floats, Ints
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.mechanism import topological_order
from dosift.model.tables import ROW_SUM_TOLERANCE, normalise_rows

#: What the network remembers that does not depend on its tables.
_OF_THE_GRAPH = ("order", "names", "positions", "cardinalities")


#: Probabilities below this are taken for zero in a fit: no number of rows could ever show them, and
#: the squares of their likelihood ratios are out of the range of double precision.
NEGLIGIBLE = 1e-50

#: Distinct control rows times variables up to which a learned network remembers the rows; 256 MiB.
MOST_CONTROL_VALUES = 2**27


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: its name, and the names of its states in order if it is discrete.

    Attributes
    ----------
    name : str
    states : tuple of str
        Empty where its values are numbers.
    kind : {"discrete", "continuous", "count", "size", "factor"}
        The last two are only conditioned on: "size", what counts are relative to, such as the depth
        of a cell; "factor", a weighted sum of logarithms of counts for their size.
    total_of : tuple of str
        Of a factor, and of a size that is no column of its own, the columns that it is a sum of.
    shares : tuple of float
        What each of these is multiplied by.
    relative_to : Variable, optional
        Of a factor, the size.
    typical : float
        Of a factor, the size that counts are brought to.
    """

    name: str
    states: tuple[str, ...] = ()
    kind: str = "discrete"
    total_of: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    relative_to: Variable | None = None
    typical: float = 1.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that its values are read from."""
        own = self.total_of or (self.name,)
        return own if self.relative_to is None else (*own, *self.relative_to.columns)


@dataclass(frozen=True)
class ControlRows:
    """The distinct control rows of a learned network, from which any family can be counted.

    Attributes
    ----------
    values : ndarray of int16 or int32, shape (n_distinct, n_variables)
        State codes in the network's order of variables.
    counts : ndarray of float64, shape (n_distinct,)
        How often each row occurs, or its total weight; all positive.
    targets : ndarray of int16, shape (n_distinct, n_variables), or None
        What was done to each row: the position of the state that a variable was set to, -1 where it
        was left alone. None where all variables of all rows were left alone.
    """

    values: Ints
    counts: Floats
    targets: NDArray[np.int16] | None = None


@dataclass(frozen=True)
class ControlCounts:
    """What a learned network remembers of the control rows it was learned from.

    Attributes
    ----------
    counts : tuple of ndarray
        For each variable, the number of control rows for each configuration of the parents
        (rows) and state (columns); the shape of the conditional probability table.
    prior : float
        Dirichlet pseudo-count added to every cell.
    n_rows : float
        The number (or total weight) of control rows.
    fixed_states : frozenset of str
        Variables whose states were given; of the others, rows to be explained may show states
        that no control row shows.
    rows : ControlRows or None
        The rows themselves, for families that the graph does not have. None where they have more
        than ``MOST_CONTROL_VALUES`` values, or are not known.
    dependence : ndarray, shape (n_variables,), or None
        Correlation of the variables' residuals in control rows of one unit; None for none.
    """

    counts: tuple[Floats, ...]
    prior: float
    n_rows: float
    fixed_states: frozenset[str] = frozenset()
    rows: ControlRows | None = None
    dependence: Floats | None = None


class Network:
    """A causal Bayesian network over discrete variables.

    Parameters
    ----------
    variables : sequence of Variable
        The variables, in the order in which columns of codes are kept.
    parents : sequence of sequence of int
        For each variable, the positions of its parents, in the order that its table uses.
    tables : sequence of array-like
        Conditional probability tables: for each variable an array of shape
        ``(n_parent_configurations, n_states)`` whose rows sum to one. Parent configurations
        are counted in mixed radix, the last parent running fastest. A sum that is off by less
        than ``ROW_SUM_TOLERANCE`` is taken for rounding and divided out.
    control : ControlCounts, optional
        The control counts and prior from which the tables were learned.

    Raises
    ------
    InputError
        If names repeat, a parent does not exist, the graph has a cycle, or a table has the
        wrong shape, an entry outside [0, 1], or a row that does not sum to one.

    Examples
    --------
    >>> network = Network.from_tables(
    ...     {"smoke": ["no", "yes"], "lung": ["no", "yes"]},
    ...     {"lung": ["smoke"]},
    ...     {"smoke": [[0.5, 0.5]], "lung": [[0.9, 0.1], [0.6, 0.4]]},
    ... )
    >>> network.names
    ('smoke', 'lung')
    >>> network.tables[1][1]
    array([0.6, 0.4])
    """

    variables: tuple[Variable, ...]
    parents: tuple[tuple[int, ...], ...]
    tables: tuple[Floats, ...]
    control: ControlCounts | None
    #: For each variable, shares of its states in rows from elsewhere (``dosift.model.other``);
    #: None where none are known.
    other: tuple[Floats, ...] | None = None

    def __init__(
        self,
        variables: Sequence[Variable],
        parents: Sequence[Sequence[int]],
        tables: Sequence[ArrayLike],
        control: ControlCounts | None = None,
    ) -> None:
        self.variables = tuple(variables)
        self.parents = tuple(tuple(int(p) for p in row) for row in parents)
        self.control = control
        self._check_structure()
        self.tables = tuple(
            self._checked_table(i, np.array(table, dtype=np.float64))
            for i, table in enumerate(tables)
        )
        if len(self.tables) != len(self.variables):
            raise InputError(
                f"{len(self.variables)} variables but {len(self.tables)} conditional "
                "probability tables; give exactly one for each variable"
            )

    @classmethod
    def from_tables(
        cls,
        states: Mapping[str, Sequence[str]],
        parents: Mapping[str, Sequence[str]],
        tables: Mapping[str, ArrayLike],
    ) -> Network:
        """Build a network from names.

        Parameters
        ----------
        states : mapping of str to sequence of str
            The states of each variable, in order.
        parents : mapping of str to sequence of str
            The parents of each variable; a variable that is left out has none.
        tables : mapping of str to array-like
            For each variable an array whose last axis is the variable's states and whose other
            axes, flattened in C order, are the parent configurations.

        Returns
        -------
        Network
        """
        index = {name: i for i, name in enumerate(states)}
        variables = [
            Variable(name, tuple(str(s) for s in values)) for name, values in states.items()
        ]
        for name in [*parents, *tables]:
            if name not in index:
                raise InputError(f"{name!r} has parents or a table but no states")
        for name in states:
            if name not in tables:
                raise InputError(f"variable {name!r} has no conditional probability table")
            for parent in parents.get(name, ()):
                if parent not in index:
                    raise InputError(f"variable {name!r} has an unknown parent {parent!r}")
        return cls(
            variables,
            [[index[p] for p in parents.get(name, ())] for name in states],
            [
                np.asarray(tables[v.name], dtype=np.float64).reshape(-1, len(v.states))
                for v in variables
            ],
        )

    def _check_structure(self) -> None:
        seen: set[str] = set()
        for variable in self.variables:
            if variable.name in seen:
                raise InputError(f"variable {variable.name!r} is declared twice")
            seen.add(variable.name)
            if not variable.states:
                raise InputError(f"variable {variable.name!r} has no states")
            if len(set(variable.states)) != len(variable.states):
                raise InputError(f"variable {variable.name!r} has a state name twice")
        if len(self.parents) != len(self.variables):
            raise InputError("give a (possibly empty) list of parents for each variable")
        for i, row in enumerate(self.parents):
            if len(set(row)) != len(row) or any(not 0 <= p < len(self.variables) for p in row):
                raise InputError(
                    f"variable {self.variables[i].name!r} has a repeated or unknown parent"
                )
        _ = self.order

    def _checked_table(self, i: int, table: Floats) -> Floats:
        name = self.variables[i].name
        n_rows = math.prod(len(self.variables[p].states) for p in self.parents[i])
        shape = (n_rows, len(self.variables[i].states))
        if table.shape != shape:
            raise InputError(
                f"the table of {name!r} has shape {table.shape}; its states and parents "
                f"need {shape}"
            )
        if not np.all(np.isfinite(table)) or table.min() < 0 or table.max() > 1 + ROW_SUM_TOLERANCE:
            raise InputError(f"the table of {name!r} has an entry that is not a probability")
        sums = table.sum(axis=1)
        if np.abs(sums - 1).max() > ROW_SUM_TOLERANCE:
            worst = int(np.abs(sums - 1).argmax())
            raise InputError(
                f"row {worst + 1} of the table of {name!r} sums to {sums[worst]:.9g}, not 1"
            )
        table = normalise_rows(table)
        table.setflags(write=False)
        return table

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions of the variables in a topological order (earliest position first)."""
        try:
            return topological_order(self.parents)
        except CycleError as error:
            names = " -> ".join(self.variables[i].name for i in error.args[1])
            raise InputError(f"the graph has a cycle: {names}; a causal graph has none") from None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(v.name for v in self.variables)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position of each variable by name."""
        return {v.name: i for i, v in enumerate(self.variables)}

    @cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each variable, shape (n_variables,)."""
        return np.array([len(v.states) for v in self.variables], dtype=np.int64)

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.variables)

    @cached_property
    def mechanisms(self) -> tuple[CategoricalMechanism, ...]:
        """The mechanism of each variable: its table, and the prior that it was learned with."""
        prior = 0.0 if self.control is None else self.control.prior
        return tuple(
            CategoricalMechanism(
                i, row, tuple(len(self.variables[p].states) for p in row), t, prior
            )
            for i, (row, t) in enumerate(zip(self.parents, self.tables, strict=True))
        )

    @cached_property
    def libraries(self) -> tuple[States, ...]:
        """The changes that each variable may undergo: do's on its states."""
        return tuple(States(variable.states) for variable in self.variables)

    @property
    def n_changes(self) -> NDArray[np.int64]:
        """Number of changes that each variable may undergo, shape (n_variables,)."""
        return self.cardinalities

    @property
    def changeable(self) -> tuple[int, ...]:
        """Positions of the variables of which a change can be seen: those with two states."""
        return tuple(np.flatnonzero(self.cardinalities > 1).tolist())

    @property
    def learns(self) -> bool:
        """Whether mixture rows may teach the tables: they were learned from control rows."""
        return self.control is not None

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Directed edges as (parent, child) names."""
        return [(self.names[p], self.names[i]) for i, row in enumerate(self.parents) for p in row]

    @cached_property
    def is_positive(self) -> bool:
        """Whether every table entry is positive (the paper's positivity)."""
        return bool((self._least > 0).all())

    @cached_property
    def _least(self) -> Floats:
        """Smallest entry of each table."""
        return np.array([table.min(initial=1.0) for table in self.tables])

    @cached_property
    def largest_log_ratios(self) -> Floats:
        """Largest logarithm of the likelihood ratio of a do, for each variable."""
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(self._least))

    def parent_rows(self, i: int, codes: Ints) -> NDArray[np.int64]:
        """Row of variable `i`'s table that each row of codes selects.

        Parameters
        ----------
        i : int
            Position of the variable.
        codes : ndarray of int, shape (n_rows, n_variables)
            State codes without missing values.

        Returns
        -------
        ndarray of int64, shape (n_rows,)
        """
        if not self.parents[i]:
            return np.zeros(codes.shape[0], dtype=np.int64)
        first, *others = self.parents[i]
        rows = codes[:, first].astype(np.int64)
        for p in others:
            rows *= self.cardinalities[p]
            rows += codes[:, p]
        return rows

    def log_prior(self) -> float:
        """Log-likelihood of the control rows plus the logarithm of the prior, up to a constant.

        Returns
        -------
        float
            In nats; 0 for a network that was not learned.
        """
        return 0.0 if self.control is None else log_prior_of_tables(self.tables, self.control)

    def with_tables(self, tables: Sequence[ArrayLike]) -> Network:
        """Return the same variables and graph (and control counts) with other tables."""
        return Network(self.variables, self.parents, tables, self.control).with_other(self.other)

    def with_other(self, other: Sequence[Floats] | None) -> Network:
        """Return the same, which says what rows from elsewhere look like.

        Parameters
        ----------
        other : sequence of ndarray, or None
            For each variable, the share of each of its states.
        """
        out = self.with_own_tables(self.tables)
        out.other = None if other is None else tuple(other)
        return out

    def with_own_tables(self, tables: Iterable[Floats]) -> Network:
        """Return the same with other tables that its own mechanisms made: nothing is checked."""
        out = Network.__new__(Network)
        for name in ("variables", "parents", "control", "other", *_OF_THE_GRAPH):
            setattr(out, name, getattr(self, name))
        out.tables = tuple(tables)
        for table in out.tables:
            table.setflags(write=False)
        return out

    def __repr__(self) -> str:
        return f"Network({self.n_variables} variables, {len(self.edges)} edges)"


def log_prior_of_tables(tables: Sequence[Floats], control: ControlCounts) -> float:
    """Log-likelihood of the control rows plus the logarithm of the prior, up to a constant.

    Parameters
    ----------
    tables : sequence of ndarray
    control : ControlCounts

    Returns
    -------
    float
        In nats.
    """
    total = 0.0
    for table, counts in zip(tables, control.counts, strict=True):
        weight = counts + control.prior
        with np.errstate(divide="ignore"):
            logs = np.log(table, out=np.zeros_like(table), where=weight > 0)
        total += float(np.vdot(weight, logs))
    return total


def without_negligible(network: Network) -> Network:
    """Take probabilities below ``NEGLIGIBLE`` for zero.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Network
        The same one if it has no such probability.

    Warns
    -----
    NegligibleProbabilityWarning
        If there are some.

    Examples
    --------
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [[0.5, 0.5]]})
    >>> without_negligible(network) is network
    True
    """
    tables = [np.where(table < NEGLIGIBLE, 0.0, table) for table in network.tables]
    pairs = list(zip(network.tables, tables, strict=True))
    changed = [
        name for name, (old, new) in zip(network.names, pairs, strict=True) if (old != new).any()
    ]
    if not changed:
        return network
    n_entries = sum(int((old != new).sum()) for old, new in pairs)
    warnings.warn(
        f"{n_entries} probabilities of the network are below {NEGLIGIBLE:g} and are taken for "
        f"zero; the first are in the table of {changed[0]!r}",
        NegligibleProbabilityWarning,
        stacklevel=3,
    )
    return network.with_tables(tables)
