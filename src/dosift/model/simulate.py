"""Rows drawn from a mixture of interventions."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.model import Mixture
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import with_other_of
from dosift.model.network import Network, Variable
from dosift.model.other import interventions, is_other
from dosift.model.working_changes import with_changes

if TYPE_CHECKING:
    import polars as pl

#: What a public function accepts as `random_state`.
RandomState = int | np.random.Generator | np.random.SeedSequence | None

#: About how many uniform numbers are held at once; small enough for the processor's cache.
_BLOCK_SIZE = 1 << 18


def as_generator(random_state: RandomState) -> np.random.Generator:
    """Return a generator for a seed, or the generator given.

    Parameters
    ----------
    random_state : int, Generator, SeedSequence or None
        A non-negative seed, a generator (used, and so advanced), or None for a fresh seed from
        the system.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    InputError
        If it is something else.
    """
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise InputError(
            f"random_state is {random_state!r}; give a non-negative integer, a numpy Generator "
            "or None"
        ) from None


def _cumulative(table: Floats) -> Floats:
    """Cumulative probabilities along the last axis; exactly 1 once the rest is zero."""
    sums = np.cumsum(table, axis=-1)
    return np.asarray(sums / sums[..., -1:], dtype=np.float64)


def sample_codes(
    network: Network,
    targets: Ints,
    weights: Floats,
    n_rows: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Draw independent rows from the truncated factorisation of a mixture.

    Each row uses up ``1 + n_variables`` uniform numbers of the generator, whatever its target:
    one for its component and one for each variable. So drawing 300 rows and then 700 gives the
    same rows as drawing 1,000 at once.

    Parameters
    ----------
    network : Network
        The network.
    targets : ndarray of int, shape (n_targets, n_variables)
        State codes that each target sets, -1 where a variable is left alone; one of them may be
        that of rows from elsewhere, if the network says what these look like.
    weights : ndarray of float64, shape (n_targets,)
        Non-negative; rescaled to sum to one.
    n_rows : int
        Number of rows.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    codes : ndarray of int32, shape (n_rows, n_variables)
        State codes, stored column by column.
    component : ndarray of int64, shape (n_rows,)
        The position of the target that each row was drawn from.
    """
    n = network.n_variables
    shares = _cumulative(np.asarray(weights, dtype=np.float64))
    elsewhere = is_other(targets)
    others = [_cumulative(own[None]).T[:-1] for own in network.other or ()]
    forced = interventions(targets).T.astype(np.int64)
    edges = [_edges(table, own) for table, own in zip(network.tables, forced, strict=True)]
    columns = np.empty((n, n_rows), dtype=np.int32)
    component = np.empty(n_rows, dtype=np.int64)
    block = max(1, _BLOCK_SIZE // (n + 1))
    for start in range(0, n_rows, block):
        part = slice(start, min(start + block, n_rows))
        # One variable after the other in memory, as they are used.
        uniforms = np.ascontiguousarray(rng.random((part.stop - part.start, n + 1)).T)
        component[part] = np.searchsorted(shares, uniforms[0], side="right")
        codes = columns[:, part].T
        for i in network.order:
            place = network.parent_rows(i, codes)
            if edges[i].shape[1] > len(network.tables[i]):
                place += np.take(len(network.tables[i]) * (forced[i] + 1), component[part])
            codes[:, i] = _draw(edges[i], place, uniforms[i + 1])
            if others and elsewhere.any():
                own = np.flatnonzero(elsewhere[component[part]])
                first = np.zeros(own.size, dtype=np.int64)
                codes[own, i] = _draw(others[i], first, uniforms[i + 1, own])
    return columns.T, component


def _edges(table: Floats, forced: Ints) -> Floats:
    """Numbers from which on each further state is drawn, shape (n_states - 1, n_rows).

    If a target forces a state, rows that give one state each, whatever is drawn, follow those of
    the table: as many for the first state as the table has, then for the second, and so on.
    """
    of_table = _cumulative(table).T[:-1]
    if not (forced >= 0).any():
        return np.ascontiguousarray(of_table)
    states = np.arange(table.shape[1])
    of_states = np.where(states[:-1, None] < states, 0.0, np.inf)
    return np.hstack([of_table, np.repeat(of_states, len(table), axis=1)])


def _draw(edges: Floats, rows: NDArray[np.int64], uniforms: Floats) -> NDArray[np.int32]:
    """Draw a state from row ``rows[r]`` for each ``uniforms[r]``."""
    codes = np.zeros(rows.shape[0], dtype=np.int32)
    for own in edges:
        codes += uniforms >= np.take(own, rows)
    return codes


@overload
def simulate(
    network: Network | MechanismNetwork,
    mixture: Mixture,
    n_rows: int,
    random_state: RandomState = None,
    return_targets: Literal[False] = False,
) -> pl.DataFrame: ...


@overload
def simulate(
    network: Network | MechanismNetwork,
    mixture: Mixture,
    n_rows: int,
    random_state: RandomState = None,
    *,
    return_targets: Literal[True],
) -> tuple[pl.DataFrame, pl.Series]: ...


@overload
def simulate(
    network: Network | MechanismNetwork,
    mixture: Mixture,
    n_rows: int,
    random_state: RandomState = None,
    return_targets: bool = False,
) -> pl.DataFrame | tuple[pl.DataFrame, pl.Series]: ...


def simulate(
    network: Network | MechanismNetwork,
    mixture: Mixture,
    n_rows: int,
    random_state: RandomState = None,
    return_targets: bool = False,
) -> pl.DataFrame | tuple[pl.DataFrame, pl.Series]:
    """Draw rows from a mixture of interventions on a network.

    Every row first draws its target by weight, and then its variables in topological order:
    a variable that the target sets has that state, any other follows its conditional
    probability table, or its mechanism as the target changes it.

    Parameters
    ----------
    network : Network or MechanismNetwork
        The network.
    mixture : Mixture
        Targets and weights.
    n_rows : int
        Number of rows, at least 1.
    random_state : int, numpy.random.Generator or None, default=None
        Seed or generator; the same seed gives the same rows.
    return_targets : bool, default=False
        Whether to return the target of each row as well.

    Returns
    -------
    rows : polars.DataFrame
        One column for each variable, in the network's order: state names, or numbers in the
        units of the column.
    targets : polars.Series
        The text of each row's target, such as ``do(smoke=yes)``; only with `return_targets`.

    Raises
    ------
    InputError
        If the mixture names what the network does not have, or an argument is of the wrong
        type or out of range.

    Examples
    --------
    >>> from dosift.model import do
    >>> network = Network.from_tables(
    ...     {"smoke": ["no", "yes"], "lung": ["no", "yes"]},
    ...     {"lung": ["smoke"]},
    ...     {"smoke": [[0.5, 0.5]], "lung": [[0.9, 0.1], [0.6, 0.4]]},
    ... )
    >>> rows = simulate(network, Mixture({do(smoke="yes"): 1.0}), 5, random_state=0)
    >>> rows.columns, rows["smoke"].to_list()
    (['smoke', 'lung'], ['yes', 'yes', 'yes', 'yes', 'yes'])
    """
    import polars as pl

    if isinstance(n_rows, bool) or not isinstance(n_rows, Integral) or n_rows < 1:
        raise InputError(f"n_rows is {n_rows!r}; give a positive integer")
    if not isinstance(network, Network | MechanismNetwork) or not isinstance(mixture, Mixture):
        raise InputError(
            "rows are drawn from a Network and a Mixture, not from "
            f"{type(network).__name__} and {type(mixture).__name__}"
        )
    rng = as_generator(random_state)
    values: NDArray[Any]
    if isinstance(network, MechanismNetwork):
        changed, targets = changed_by(with_other_of(network, mixture), mixture)
        values, component = changed.draw(targets, mixture.weights, int(n_rows), rng)
        values = changed.user(values)
    else:
        network = with_other_of(network, mixture)
        targets, weights = mixture.to_codes(network)
        values, component = sample_codes(network, targets, weights, int(n_rows), rng)
    rows = pl.DataFrame([_column(v, values[:, i]) for i, v in enumerate(network.variables)])
    if not return_targets:
        return rows
    texts = pl.Series("target", [str(t) for t in mixture.targets], dtype=pl.String)
    return rows, texts.gather(component)


def changed_by(
    network: MechanismNetwork, mixture: Mixture
) -> tuple[MechanismNetwork, NDArray[np.int64]]:
    """Return a network whose libraries hold the changes of a mixture, and its targets in them.

    Parameters
    ----------
    network : MechanismNetwork
    mixture : Mixture

    Returns
    -------
    network : MechanismNetwork
    targets : ndarray of int64, shape (n_targets, n_variables)

    Raises
    ------
    InputError
        If the network lacks a variable, or its mechanism cannot be changed so.
    """
    try:
        return network, mixture.to_codes(network)[0]  # as after a fit, free changes among them
    except InputError:
        changed, targets = with_changes(network, mixture)
        return changed, targets.astype(np.int64)


def _column(variable: Variable, values: NDArray[Any]) -> pl.Series:
    """Return a column of states or numbers."""
    import polars as pl

    if variable.kind == "discrete":
        states = pl.Series(variable.name, variable.states, dtype=pl.String)
        return states.gather(values.astype(np.int64))
    kind = np.int64 if variable.kind == "count" else np.float64
    return pl.Series(variable.name, values.astype(kind))
