"""The linear system of a mixture: one column for each target, one row for each cell.

Which mixtures generate a distribution is the question which ``w >= 0`` solve ``K w = m``. Row u of
K is a *cell*, a joint state of the variables that matter; column t holds the factors of the
truncated factorisation that targets can change,

    K[u, t] = 1[u agrees with t] * prod over settable i not in t of p_i(u_i | u_pa(i)).

Rows are divided by m and columns by the largest weight that they can have, ``bound[t] = min_u
m[u] / K[u, t]``. Then all entries lie in [0, 1], the right-hand side is one everywhere, and
unknowns in [0, 1]: cells of tiny probability count as much as large ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dosift.identifiability.support import MAX_ENTRIES, ancestors, possible_states
from dosift.model.arrays import Bools, Floats
from dosift.model.network import Network

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Codes = NDArray[np.int64]

#: Most entries of a system that is built.
MAX_NONZEROS = 2_000_000
#: Most entries of a system that a linear program is solved on.
MAX_PROGRAM = 100_000
#: Most entries of a system on which one linear program for each end of each interval is solved.
MAX_INTERVAL_PROGRAM = 20_000
#: Targets that can have no more weight than this are left out of a system: zero, but for numbers
#: too small to be divided by.
SMALLEST_BOUND = 1e-300


@dataclass(frozen=True)
class Scope:
    """Variables that competing targets may set, and those whose states tell them apart.

    Attributes
    ----------
    settable : tuple of int
        Variables that targets may set, in topological order.
    cells : tuple of int
        These and their parents, in topological order.
    kind : {"all", "ancestors", "set"}
        Whether targets may set all variables; only those that the mixture sets and their
        ancestors; or only those that it sets.
    max_size : int or None
        Largest number of variables that a target sets.
    """

    settable: tuple[int, ...]
    cells: tuple[int, ...]
    kind: str
    max_size: int | None = None

    def n_targets(self, network: Network) -> float:
        """Count the targets."""
        return _count(network, self, per_cell=False)

    def n_nonzeros(self, network: Network) -> float:
        """Count the entries of the system, zeros of tables not deducted."""
        return _count(network, self, per_cell=True)


def _count(network: Network, scope: Scope, *, per_cell: bool) -> float:
    """Sum over targets of one or of their cells, by a polynomial in the number of variables set."""
    most = len(scope.settable) if scope.max_size is None else scope.max_size
    by_size = np.zeros(most + 1)
    by_size[0] = 1.0
    fixed = set(scope.cells).difference(scope.settable)
    with np.errstate(over="ignore"):  # wide networks have more targets than floats reach
        for i in scope.settable:
            k = float(network.cardinalities[i])
            shifted = np.concatenate([[0.0], by_size[:-1]])
            by_size = by_size * (k if per_cell else 1.0) + shifted * k
        others = np.prod([float(network.cardinalities[i]) for i in fixed]) if per_cell else 1.0
        return float(by_size.sum() * others)


def possible_scopes(network: Network, codes: Codes, max_size: int | None = None) -> list[Scope]:
    """Scopes for a mixture, from the widest to the narrowest.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_targets, n_variables)
        The mixture's targets.
    max_size : int, optional

    Returns
    -------
    list of Scope
    """
    is_set = {int(i) for i in np.flatnonzero((codes >= 0).any(axis=0))}
    choices = {
        "all": set(range(network.n_variables)),
        "ancestors": ancestors(network, is_set),
        "set": is_set,
    }
    scopes: list[Scope] = []
    for kind, chosen in choices.items():
        cells = chosen.union(*(network.parents[i] for i in chosen))
        scope = Scope(
            tuple(i for i in network.order if i in chosen),
            tuple(i for i in network.order if i in cells),
            kind,
            max_size,
        )
        if not scopes or scope.settable != scopes[-1].settable:
            scopes.append(scope)
    return scopes


def enumerate_targets(network: Network, scope: Scope) -> Codes:
    """All targets of a scope.

    Returns
    -------
    ndarray of int, shape (n_targets, n_settable)
        State positions, -1 where a variable is left alone; the empty target first.

    Examples
    --------
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> enumerate_targets(coin, Scope((0,), (0,), "all")).tolist()
    [[-1], [0], [1]]
    """
    targets = np.zeros((1, 0), dtype=np.int64)
    for i in scope.settable:
        k = int(network.cardinalities[i])
        column = np.tile(np.arange(-1, k), targets.shape[0])
        targets = np.column_stack([np.repeat(targets, k + 1, axis=0), column])
        if scope.max_size is not None:
            targets = targets[(targets >= 0).sum(axis=1) <= scope.max_size]
    return targets


@dataclass(frozen=True)
class Entries:
    """Entries of the columns of some targets, before scaling.

    Attributes
    ----------
    cell, target : ndarray of int64, shape (n_entries,)
        Mixed-radix number of the cell (last variable of the scope fastest), position of the
        target.
    value : ndarray, shape (n_entries,)
        Positive.
    """

    cell: Codes
    target: Codes
    value: Floats


def target_entries(network: Network, scope: Scope, targets: Codes) -> Entries:
    """Compute the entries of the columns of some targets.

    Parameters
    ----------
    network : Network
    scope : Scope
    targets : ndarray of int, shape (n_targets, n_settable)

    Returns
    -------
    Entries
    """
    place = {i: j for j, i in enumerate(scope.settable)}
    row_of = {i: j for j, i in enumerate(scope.cells)}
    column = np.arange(targets.shape[0], dtype=np.int64)
    cell = np.zeros(targets.shape[0], dtype=np.int64)
    value = np.ones(targets.shape[0])
    states = np.zeros((0, targets.shape[0]), dtype=np.int16)
    for i in scope.cells:
        k = int(network.cardinalities[i])
        is_settable = i in place
        forced = targets[column, place[i]] if is_settable else np.full(column.size, -1)
        copies = np.where(forced < 0, k, 1)
        index = np.repeat(np.arange(column.size), copies)
        within = np.arange(index.size) - np.repeat(np.cumsum(copies) - copies, copies)
        forced = forced[index]
        state = np.where(forced < 0, within, forced)
        value = value[index]
        states = np.concatenate([states[:, index], state[None, :].astype(np.int16)])
        if is_settable:
            table_row = np.zeros(index.size, dtype=np.int64)
            for p in network.parents[i]:
                table_row = table_row * network.cardinalities[p] + states[row_of[p]]
            value = np.where(forced < 0, value * network.tables[i][table_row, state], value)
        kept = value > 0
        column, value, states = column[index][kept], value[kept], states[:, kept]
        cell = (cell[index] * k + state)[kept]
    return Entries(cell, column, value)


def mixture_cells(network: Network, scope: Scope, targets: Codes, weights: Floats) -> Floats:
    """Sum of the columns of a mixture's targets, unscaled.

    Returns
    -------
    ndarray, shape (n_cells,)
        Where the scope has all variables, the distribution that the mixture generates.
    """
    entries = target_entries(network, scope, targets)
    return np.asarray(
        np.bincount(
            entries.cell,
            entries.value * weights[entries.target],
            minlength=n_cells(network, scope),
        ),
        dtype=np.float64,
    )


def n_cells(network: Network, scope: Scope) -> int:
    """Count the joint states of a scope's variables."""
    count = 1
    for i in scope.cells:
        count *= int(network.cardinalities[i])
    return count


@dataclass(frozen=True)
class TargetSystem:
    """All targets that a mixture's distribution leaves room for.

    Attributes
    ----------
    scope : Scope
    targets : ndarray of int, shape (n_targets, n_settable)
        Targets that could have weight.
    bound : ndarray, shape (n_targets,)
        The largest weight that each could have if targets of every size could make up the rest.
    matrix : csc_array, shape (n_occurring_cells, n_targets)
        Scaled: a scaled solution x solves ``matrix @ x = 1``, and the weights are ``x * bound``.
    probability : ndarray, shape (n_occurring_cells,)
        What the unscaled columns add up to.
    probability_sum : float
        What the weights add up to.
    exact : bool
        False if cells that cannot occur may stand among the rows (their support was too large
        to compute): then solutions are right, and there may be more.
    """

    scope: Scope
    targets: Codes
    bound: Floats
    matrix: csc_array
    probability: Floats
    probability_sum: float
    exact: bool

    @property
    def sizes(self) -> Codes:
        """Number of variables that each target sets."""
        out: Codes = (self.targets >= 0).sum(axis=1)
        return out

    def positions(self, targets: Codes) -> Codes:
        """Positions of some targets among the system's, -1 for those that it does not have."""
        rows = np.ascontiguousarray(targets, dtype=np.int64)
        return np.array([self._known.get(row.tobytes(), -1) for row in rows], dtype=np.int64)

    @cached_property
    def _known(self) -> dict[bytes, int]:
        rows = np.ascontiguousarray(self.targets, dtype=np.int64)
        return {row.tobytes(): j for j, row in enumerate(rows)}

    def full_codes(self, network: Network, columns: Codes) -> Codes:
        """Targets over all variables of the network, for some columns."""
        out = np.full((len(columns), network.n_variables), -1, dtype=np.int64)
        out[:, list(self.scope.settable)] = self.targets[columns]
        return out


def build_system(network: Network, scope: Scope, cells: Floats) -> TargetSystem:
    """Build the system of all targets of a scope.

    Parameters
    ----------
    network : Network
    scope : Scope
        Small enough for :func:`fits`.
    cells : ndarray, shape (n_cells,)
        What the columns are to add up to.

    Returns
    -------
    TargetSystem
    """
    from scipy.sparse import csc_array

    targets = enumerate_targets(network, scope)
    entries = target_entries(network, scope, targets)
    occurs, exact = occurring_cells(network, scope)
    if occurs is not None:
        kept = occurs[entries.cell]
        entries = Entries(entries.cell[kept], entries.target[kept], entries.value[kept])
    # Every target adds its weight once for each state of the variables that cannot be set.
    outside = n_cells(network, scope) / np.prod(
        [float(network.cardinalities[i]) for i in scope.settable]
    )
    total = float(cells.sum() / outside)
    room = cells[entries.cell] / entries.value
    bound = np.full(targets.shape[0], np.inf)
    np.minimum.at(bound, entries.target, room)
    chosen = (bound > SMALLEST_BOUND) & np.isfinite(bound)
    new_column = np.cumsum(chosen) - 1
    positive = cells > 0 if occurs is None else (cells > 0) & occurs
    new_row = np.cumsum(positive) - 1
    kept = chosen[entries.target]
    matrix = csc_array(
        (
            bound[entries.target[kept]] / room[kept],
            (new_row[entries.cell[kept]], new_column[entries.target[kept]]),
        ),
        shape=(int(positive.sum()), int(chosen.sum())),
    )
    return TargetSystem(
        scope, targets[chosen], bound[chosen], matrix, cells[positive], total, exact
    )


def occurring_cells(network: Network, scope: Scope) -> tuple[Bools | None, bool]:
    """Cells that occur under some intervention on the settable variables.

    Returns
    -------
    occurs : ndarray of bool, shape (n_cells,), or None
        None where all do, or where it is not known.
    exact : bool
        Whether it is known.
    """
    if len(scope.cells) == len(scope.settable):
        return None, True
    table = possible_states(
        network, scope.cells, free=scope.settable, max_entries=max(MAX_ENTRIES, MAX_NONZEROS)
    )
    return (None, False) if table is None else (table.ravel(), True)


def fits(network: Network, scope: Scope, limit: float) -> bool:
    """Whether a scope's system has at most so many entries."""
    return scope.n_nonzeros(network) <= limit


def on_scope(scope: Scope, codes: Codes) -> Codes:
    """Targets over all variables, cut down to those of a scope that are settable."""
    columns: Sequence[int] = list(scope.settable)
    return codes[:, columns]
