"""Positivity: which entries of the conditional probability tables are zero, and which matter.

A zero of a variable can matter only to a mixture that sets the variable. It matters where the
parents take a configuration under which *every* possible state of the variable is one that some
target sets it to: there, being set and being left alone cannot be told apart by a state that only
the undisturbed mechanism gives. :func:`critical_rows` finds these places for a mixture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.identifiability.excluded import set_states
from dosift.identifiability.support import MAX_ENTRIES, possible_states
from dosift.model import Mixture
from dosift.model.arrays import Bools, Ints
from dosift.model.network import Network

#: How many places a report in words or JSON lists.
SHOWN = 5


@dataclass(frozen=True)
class VariableZeros:
    """The zeros in one variable's conditional probability table.

    Attributes
    ----------
    variable : str
    n_zeros : int
        Entries that are zero.
    n_rows : int
        Parent configurations in the table.
    n_rows_with_zeros : int
        Parent configurations under which some state is impossible.
    n_deterministic : int
        Parent configurations under which a single state is possible: setting the variable to it
        there is the same as doing nothing.
    always_possible : tuple of str
        States that are possible under every parent configuration. As long as some of them is
        never set by a target, the zeros of this variable do no harm.
    """

    variable: str
    n_zeros: int
    n_rows: int
    n_rows_with_zeros: int
    n_deterministic: int
    always_possible: tuple[str, ...]


@dataclass(frozen=True)
class TableRow:
    """A parent configuration of a variable.

    Attributes
    ----------
    variable : str
    parents : dict of str to str
        States of the parents.
    possible : tuple of str
        States of the variable that have positive probability there.
    """

    variable: str
    parents: dict[str, str]
    possible: tuple[str, ...]

    def __str__(self) -> str:
        given = ", ".join(f"{name}={state}" for name, state in self.parents.items())
        states = ", ".join(self.possible)
        return f"{self.variable} given {given or 'no parents'} (possible: {states})"


@dataclass(frozen=True)
class Positivity:
    """Zeros of a network's tables.

    Attributes
    ----------
    n_entries, n_zeros : int
        Entries of all tables, and how many of them are zero.
    smallest : float
        Least positive entry. Weights are divided by entries: the smaller, the more rows needed.
    variables : tuple of VariableZeros
        The variables with zeros, most zeros first.
    first : tuple of TableRow
        The first few parent configurations under which some state is impossible.
    """

    n_entries: int
    n_zeros: int
    smallest: float
    variables: tuple[VariableZeros, ...]
    first: tuple[TableRow, ...]

    @property
    def holds(self) -> bool:
        """Whether no entry is zero."""
        return self.n_zeros == 0

    def to_dict(self, shown: int = SHOWN) -> dict[str, Any]:
        """Return a compact form for JSON.

        Parameters
        ----------
        shown : int
            How many variables and table rows to list.

        Returns
        -------
        dict
            ``holds``, ``n_entries``, ``n_zeros``, ``smallest``, ``n_variables`` (with zeros),
            ``n_deterministic``, ``variables`` and ``first`` (lists of at most `shown`).
        """
        return {
            "holds": self.holds,
            "n_entries": self.n_entries,
            "n_zeros": self.n_zeros,
            "smallest": self.smallest,
            "n_variables": len(self.variables),
            "n_deterministic": sum(v.n_deterministic for v in self.variables),
            "variables": [
                {**vars(v), "always_possible": list(v.always_possible)}
                for v in self.variables[:shown]
            ],
            "first": [
                {"variable": r.variable, "parents": r.parents, "possible": list(r.possible)}
                for r in self.first[:shown]
            ],
        }


def positivity(network: Network) -> Positivity:
    """Find the zeros of a network's conditional probability tables.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Positivity

    Notes
    -----
    Positivity is an assumption of Kumar and Sinha (UAI 2021). It is stronger than needed: which
    zeros matter depends on the mixture, see :func:`critical_rows`.

    Examples
    --------
    >>> either = Network.from_tables(
    ...     {"lung": ["no", "yes"], "either": ["no", "yes"]},
    ...     {"either": ["lung"]},
    ...     {"lung": [[0.9, 0.1]], "either": [[0.8, 0.2], [0, 1]]},
    ... )
    >>> found = positivity(either)
    >>> found.n_zeros, found.variables[0].always_possible
    (1, ('yes',))
    >>> print(found.first[0])
    either given lung=yes (possible: yes)
    """
    check_network(network)
    counts: list[VariableZeros] = []
    first: list[TableRow] = []
    for i, table in enumerate(network.tables):
        if table.min() > 0:
            continue
        possible = table > 0
        n_possible = possible.sum(axis=1)
        rows = np.flatnonzero(n_possible < table.shape[1])
        states = network.variables[i].states
        counts.append(
            VariableZeros(
                network.names[i],
                int(table.size - n_possible.sum()),
                table.shape[0],
                int(rows.size),
                int((n_possible == 1).sum()),
                tuple(states[a] for a in np.flatnonzero(possible.all(axis=0))),
            )
        )
        first.extend(table_row(network, i, int(c)) for c in rows[: max(SHOWN - len(first), 0)])
    counts.sort(key=lambda v: -v.n_zeros)
    return Positivity(
        sum(t.size for t in network.tables),
        sum(v.n_zeros for v in counts),
        min(float(t[t > 0].min()) for t in network.tables),
        tuple(counts),
        tuple(first),
    )


def check_network(network: Network) -> None:
    """Refuse what is not a network.

    Raises
    ------
    InputError
    """
    if not isinstance(network, Network):
        raise InputError(
            f"a Network is needed, not {type(network).__name__}; read one with "
            "dosift.read_network(path)"
        )


def table_row(network: Network, i: int, c: int) -> TableRow:
    """Name a row of a variable's table.

    Parameters
    ----------
    network : Network
    i : int
        The variable.
    c : int
        Row of its table.

    Returns
    -------
    TableRow
    """
    codes = parent_states(network, i, np.array([c]))[0]
    states = network.variables[i].states
    return TableRow(
        network.names[i],
        {
            network.names[p]: network.variables[p].states[a]
            for p, a in zip(network.parents[i], codes, strict=True)
        },
        tuple(states[a] for a in np.flatnonzero(network.tables[i][c] > 0)),
    )


def parent_states(network: Network, i: int, rows: Ints) -> NDArray[np.int64]:
    """States of the parents that rows of a variable's table stand for.

    Returns
    -------
    ndarray of int64, shape (n_rows, n_parents)
    """
    shape = [int(network.cardinalities[p]) for p in network.parents[i]]
    if not shape:
        return np.zeros((len(rows), 0), dtype=np.int64)
    return np.stack(np.unravel_index(rows, shape), axis=1).astype(np.int64)


@dataclass(frozen=True)
class CriticalRows:
    """Where zeros hide whether a variable was set.

    Attributes
    ----------
    rows : tuple of (int, int)
        Variable and row of its table: parent configurations that occur under the mixture, under
        which all possible states of the variable are states that some target sets it to.
    undecided : tuple of (int, int)
        The same, where it could not be found out within bounds whether the mixture makes the
        configuration occur.
    margin : float
        The least probability, over parent configurations of variables that are set, of a state
        that no target sets; among those where it is positive. Weights are divided by it. 1 where
        nothing is set.
    """

    rows: tuple[tuple[int, int], ...]
    undecided: tuple[tuple[int, int], ...]
    margin: float


def critical_rows(
    network: Network, mixture: Mixture, *, max_entries: int = MAX_ENTRIES
) -> CriticalRows:
    """Find the zeros that matter to a mixture.

    A row of variable i's table is critical if its parent configuration occurs under the mixture,
    and no state that is left over (set by no target) has positive probability there. Without
    critical rows the mixture is identified (docs/identifiability.md). Under positivity, rows are
    critical only for variables that violate exclusion: these are not listed here but by
    :func:`~dosift.identifiability.exclusion`.

    Parameters
    ----------
    network : Network
    mixture : Mixture
    max_entries : int
        Largest Boolean table built to find out which parent configurations occur.

    Returns
    -------
    CriticalRows

    Examples
    --------
    >>> from dosift.model import do
    >>> network = Network.from_tables(
    ...     {"V1": "01", "V2": "01"}, {"V2": ["V1"]}, {"V1": [0.5, 0.5], "V2": [[0.5, 0.5], [1, 0]]}
    ... )
    >>> critical_rows(network, Mixture({do(): 0.5, do(V2=0): 0.5})).rows
    ((1, 1),)
    >>> critical_rows(network, Mixture({do(V1=0): 0.5, do(V1=0, V2=0): 0.5})).rows
    ()
    """
    check_network(network)
    codes, weights = mixture.to_codes(network)
    codes = codes[weights > 0]
    is_set = set_states(network, codes)
    rows: list[tuple[int, int]] = []
    undecided: list[tuple[int, int]] = []
    margin = 1.0
    for i, states in is_set.items():
        if states.all():
            continue
        left_over = network.tables[i][:, ~states].sum(axis=1)
        margin = min(margin, float(left_over[left_over > 0].min(initial=1.0)))
        wanted = np.flatnonzero(left_over == 0)
        if wanted.size:
            occurs, known = occurring_rows(network, i, wanted, codes, max_entries)
            rows.extend((i, int(c)) for c in wanted[occurs])
            undecided.extend((i, int(c)) for c in wanted[~known & ~occurs])
    return CriticalRows(tuple(rows), tuple(undecided), margin)


def occurring_rows(
    network: Network,
    i: int,
    rows: NDArray[np.int64],
    codes: NDArray[np.int64],
    max_entries: int,
) -> tuple[Bools, Bools]:
    """Find which parent configurations some target makes occur.

    Parameters
    ----------
    network : Network
    i : int
        The variable.
    rows : ndarray of int64, shape (n_rows,)
        Rows of its table.
    codes : ndarray of int64, shape (n_targets, n_variables)
        Targets.
    max_entries : int
        Largest Boolean table built.

    Returns
    -------
    occurs, known : ndarray of bool, shape (n_rows,)
        Where it is not known, `occurs` is False unless another target makes it occur.
    """
    parents = np.array(network.parents[i], dtype=np.int64)
    states = parent_states(network, i, rows)
    occurs = np.zeros(rows.size, dtype=bool)
    known = np.ones(rows.size, dtype=bool)
    for target in codes:
        forced = target[parents] >= 0
        agrees = (states[:, forced] == target[parents[forced]]).all(axis=1) & ~occurs
        if not agrees.any():
            continue
        keep = [int(p) for p in parents[~forced]]
        fixed = {int(j): int(target[j]) for j in np.flatnonzero(target >= 0)}
        table = possible_states(network, keep, fixed=fixed, max_entries=max_entries)
        if table is None:
            known &= ~agrees
        else:
            occurs |= agrees & table[tuple(states[:, ~forced].T)]
    return occurs, known


def named_rows(
    network: Network, rows: tuple[tuple[int, int], ...], shown: int = SHOWN
) -> list[Mapping[str, Any]]:
    """Name the first of some table rows, for JSON.

    Returns
    -------
    list of dict
        ``variable``, ``parents``, ``possible``.
    """
    named = [table_row(network, i, c) for i, c in rows[:shown]]
    return [
        {"variable": r.variable, "parents": r.parents, "possible": list(r.possible)} for r in named
    ]
