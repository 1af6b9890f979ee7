"""Conditional probability tables from counts, and the control rows that they were counted from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data.configurations import collapse
from dosift.errors import InputError
from dosift.io.assemble import table_size
from dosift.model.arrays import Floats, Ints
from dosift.model.network import (
    MOST_CONTROL_VALUES,
    ControlCounts,
    ControlRows,
    Network,
    Variable,
)
from dosift.model.simulate import RandomState, as_generator, sample_codes

#: Joint configurations up to which a known network is enumerated where it stands for control rows.
MOST_CELLS = 2**18
#: Rows drawn from a network that has more, unless so many could not be remembered.
SIMULATED_ROWS = 200_000
#: Prior of a known network that stands for control rows: Jeffreys', as for rows that were seen.
KNOWN_PRIOR = 0.5


def counts_of(
    cardinalities: Sequence[int] | Ints,
    parents: Sequence[Sequence[int]],
    codes: Ints,
    weights: Floats | None = None,
) -> tuple[Floats, ...]:
    """Count states given the configurations of the parents.

    Parameters
    ----------
    cardinalities : sequence of int, shape (n_variables,)
        Number of states of each variable.
    parents : sequence of sequence of int
        Positions of the parents of each variable.
    codes : ndarray of int, shape (n_rows, n_variables)
        State codes without missing values.
    weights : ndarray of float64, shape (n_rows,), optional
        Weight of each row; 1 if left out.

    Returns
    -------
    tuple of ndarray
        For each variable an array of shape (n_parent_configurations, n_states), the last parent
        fastest.

    Examples
    --------
    >>> counts_of([2, 2], [[], [0]], np.array([[0, 0], [0, 1], [1, 1]]))[1]
    array([[1., 1.],
           [0., 1.]])
    """
    counts = []
    for i, family in enumerate(parents):
        cells = np.zeros(codes.shape[0], dtype=np.int64)
        for j in (*family, i):
            cells = cells * int(cardinalities[j]) + codes[:, j]
        n_states = int(cardinalities[i])
        size = n_states * math.prod(int(cardinalities[p]) for p in family)
        filled = np.bincount(cells, weights=weights, minlength=size)
        counts.append(filled.astype(np.float64).reshape(-1, n_states))
    return tuple(counts)


def tables_of(counts: Sequence[Floats], prior: float) -> tuple[Floats, ...]:
    """Return the posterior mean of each table under a symmetric Dirichlet prior.

    Parameters
    ----------
    counts : sequence of ndarray, each of shape (n_parent_configurations, n_states)
        Counts; see `counts_of`.
    prior : float
        Pseudo-count added to every cell.

    Returns
    -------
    tuple of ndarray
        ``(counts + prior) / (row total + prior * n_states)``. Rows without any count and prior
        are nan.

    Examples
    --------
    >>> tables_of([np.array([[3.0, 0.0]])], prior=0.5)[0]
    array([[0.875, 0.125]])
    """
    with np.errstate(invalid="ignore"):
        smoothed = [table + prior for table in counts]
        return tuple(table / table.sum(axis=1, keepdims=True) for table in smoothed)


def remembered_rows(
    codes: Ints,
    cardinalities: Sequence[int] | Ints,
    weights: Floats | None = None,
    targets: Ints | None = None,
) -> ControlRows | None:
    """Collapse control rows to the distinct ones, as far as there are not too many.

    Parameters
    ----------
    codes : ndarray of int, shape (n_rows, n_variables)
        State codes without missing values.
    cardinalities : sequence of int, shape (n_variables,)
    weights : ndarray of float64, shape (n_rows,), optional
        Weight of each row; 1 if left out. Rows of weight zero are dropped.
    targets : ndarray of int, shape (n_rows, n_variables), optional
        What each row's variables were set to, -1 where they were left alone.

    Returns
    -------
    ControlRows or None
        None if they have more than ``MOST_CONTROL_VALUES`` values.

    Examples
    --------
    >>> rows = remembered_rows(np.array([[0, 1], [0, 0], [0, 1]]), [2, 2])
    >>> rows.values.tolist(), rows.counts.tolist(), rows.targets
    ([[0, 0], [0, 1]], [1.0, 2.0], None)
    """
    sizes = np.asarray(cardinalities, dtype=np.int64)
    if targets is not None and not (targets >= 0).any():
        targets = None
    wide = codes if targets is None else np.hstack([codes, targets])
    found = collapse(wide, sizes if targets is None else np.tile(sizes, 2), weights)
    n = codes.shape[1]
    if found.counts.size * n > MOST_CONTROL_VALUES:
        return None
    narrow = np.int16 if sizes.max(initial=1) <= np.iinfo(np.int16).max else np.int32
    values: Ints = found.codes[:, :n].astype(narrow)
    done = None if targets is None else found.codes[:, n:].astype(np.int16)
    return ControlRows(values, found.counts, done)


def learn_from_codes(
    variables: Sequence[Variable],
    parents: Sequence[Sequence[int]],
    codes: Ints,
    prior: float,
    sample_weight: ArrayLike | None = None,
    fixed_states: Iterable[str] = (),
) -> Network:
    """Learn the tables of a network from state codes.

    Parameters
    ----------
    variables : sequence of Variable
        Names and states.
    parents : sequence of sequence of int
        The graph.
    codes : ndarray of int, shape (n_rows, n_variables)
        Control rows as state positions, without missing values.
    prior : float
        Dirichlet pseudo-count added to every cell, at least 0.
    sample_weight : array-like of shape (n_rows,), optional
        Non-negative weight of each row; 1 if left out.
    fixed_states : iterable of str, optional
        Variables whose states no rows may add to.

    Returns
    -------
    Network
        With its `control` counts, and the distinct rows if these are not too many.

    Raises
    ------
    InputError
        If the prior or the weights are not as said, there are no rows, a table is too large, or
        the prior is 0 and a configuration of parents never occurs.
    """
    if not (math.isfinite(prior) and prior >= 0):
        raise InputError(f"the prior is {prior}; give a finite pseudo-count of at least 0")
    if codes.shape[0] == 0:
        raise InputError("there are no control rows; the tables cannot be learned")
    weights = None if sample_weight is None else checked_weights(sample_weight, codes.shape[0])
    check_sizes(variables, parents)
    cardinalities = [len(variable.states) for variable in variables]
    counts = counts_of(cardinalities, parents, codes, weights)
    n_rows = float(codes.shape[0]) if weights is None else float(weights.sum())
    rows = remembered_rows(codes, cardinalities, weights)
    control = ControlCounts(counts, float(prior), n_rows, frozenset(fixed_states), rows)
    return learn_from_counts(variables, parents, control)


def learn_from_counts(
    variables: Sequence[Variable], parents: Sequence[Sequence[int]], control: ControlCounts
) -> Network:
    """Learn the tables of a network from counts.

    Parameters
    ----------
    variables : sequence of Variable
        Names and states.
    parents : sequence of sequence of int
        The graph.
    control : ControlCounts
        Counts of the shape that states and graph need.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the prior is 0 and a configuration of parents never occurs.
    """
    if control.prior == 0:
        for variable, table in zip(variables, control.counts, strict=True):
            if not table.sum(axis=1).all():
                raise InputError(
                    f"some configurations of the parents of {variable.name!r} never occur in the "
                    "control rows, and the prior is 0; give a positive prior"
                )
    for table in control.counts:
        table.setflags(write=False)
    return Network(variables, parents, tables_of(control.counts, control.prior), control)


def as_if_learned(network: Network, n_rows: float, random_state: RandomState = 0) -> Network:
    """Return a known network as if it had been learned from so many control rows.

    Rows to be explained may then teach its tables, and its graph can be held against them.

    Parameters
    ----------
    network : Network
        A known one.
    n_rows : float
        How many control rows its tables are worth: the equivalent sample size.
    random_state : int, Generator or None, default=0
        Seed of the rows that are drawn where the joint distribution has more than ``MOST_CELLS``
        configurations.

    Returns
    -------
    Network
        Its control counts are those that `n_rows` rows have on average: what the parents are is
        taken from all joint configurations, or from ``SIMULATED_ROWS`` rows that are drawn, and
        the share of each state from the tables. Its tables are those of the network, drawn towards
        even by ``KNOWN_PRIOR``, half a pseudo-count in each cell. Its states are fixed.

    Raises
    ------
    InputError
        If `n_rows` is no positive number.

    Examples
    --------
    >>> network = Network.from_tables(
    ...     {"a": ["0", "1"], "b": ["0", "1"]},
    ...     {"b": ["a"]},
    ...     {"a": [[0.5, 0.5]], "b": [[0.9, 0.1], [0.2, 0.8]]},
    ... )
    >>> known = as_if_learned(network, 100)
    >>> known.control.counts[1]
    array([[45.,  5.],
           [10., 40.]])
    >>> known.control.rows.counts
    array([45.,  5., 10., 40.])
    """
    if not (math.isfinite(n_rows) and n_rows > 0):
        raise InputError(f"a network cannot be worth {n_rows} control rows; give a positive number")
    sizes = network.cardinalities
    codes: Ints
    if math.prod(sizes.tolist()) <= MOST_CELLS:
        codes, share = _joint(network)
    else:
        nothing = np.full((1, network.n_variables), -1)
        rng = as_generator(random_state)
        n_drawn = min(SIMULATED_ROWS, MOST_CONTROL_VALUES // network.n_variables)
        codes, _ = sample_codes(network, nothing, np.ones(1), n_drawn, rng)
        share = np.full(n_drawn, 1 / n_drawn)
    weights = share * n_rows
    counts = []
    for i, table in enumerate(network.tables):
        parents = np.bincount(network.parent_rows(i, codes), weights, minlength=table.shape[0])
        counts.append(parents[:, None] * table)
    rows = remembered_rows(codes, sizes, weights)
    fixed = frozenset(network.names)
    control = ControlCounts(tuple(counts), KNOWN_PRIOR, float(n_rows), fixed, rows)
    return learn_from_counts(network.variables, network.parents, control)


def _joint(network: Network) -> tuple[NDArray[np.int64], Floats]:
    """All configurations that can occur, and their probabilities."""
    shape = network.cardinalities.tolist()
    codes = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1)
    probability = np.ones(codes.shape[0])
    for i, table in enumerate(network.tables):
        probability *= table[network.parent_rows(i, codes), codes[:, i]]
    return codes, probability


def checked_weights(sample_weight: ArrayLike, n_rows: int) -> Floats:
    """Return weights of rows as numbers.

    Parameters
    ----------
    sample_weight : array-like, shape (n_rows,)
    n_rows : int

    Returns
    -------
    ndarray of float64, shape (n_rows,)

    Raises
    ------
    InputError
        If one is no finite number or negative, or all are 0, or there are not as many as rows.
    """
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("sample_weight holds something that is no number") from None
    if weights.shape != (n_rows,):
        raise InputError(f"sample_weight has shape {weights.shape}; {n_rows} rows need ({n_rows},)")
    if not np.all(np.isfinite(weights)) or weights.min() < 0 or not weights.sum() > 0:
        raise InputError("sample_weight must be finite and not negative, with a positive sum")
    return weights


def check_sizes(variables: Sequence[Variable], parents: Sequence[Sequence[int]]) -> None:
    """Refuse tables that would be too large.

    Parameters
    ----------
    variables : sequence of Variable
    parents : sequence of sequence of int

    Raises
    ------
    InputError
        With the variable whose table it is.
    """
    states = {variable.name: variable.states for variable in variables}
    taken = 0
    for variable, family in zip(variables, parents, strict=True):
        names = [variables[p].name for p in family]
        n_rows, complaint = table_size(variable.name, states, names, taken)
        if complaint is not None:
            raise InputError(complaint)
        taken += n_rows * len(variable.states)
