"""States of a learned network that no control row shows, but rows to be explained do.

An intervention drives variables to levels that control rows never reach. The states of a learned
network are therefore those of control rows and of the rows that it is fitted to together: the new
ones have no control count, and the prior covers them. Rows are first encoded against the states
that are known; only where that fails is there a look at the distinct values of all rows.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dosift.data.anndata import MOST_LEVELS, Cells, holds_levels, names_numbers, read_cells
from dosift.data.encode import Encoded, as_frame, is_missing_mark, unknown_values, whole_number
from dosift.data.engines import engine_of
from dosift.data.factorise import UnusableColumnError, factorise
from dosift.data.number_columns import is_decimal
from dosift.errors import InputError, NewStatesWarning
from dosift.learning.learn import sorted_states, state_name
from dosift.learning.tables import check_sizes, learn_from_counts
from dosift.model.arrays import Floats
from dosift.model.network import ControlRows, Network, Variable

Found = dict[str, set[str]]
Rows = TypeVar("Rows")

#: A column with more new values than this is taken for a continuous measurement.
MOST_NEW = 100
#: Rows that an engine hands over at a time.
_BATCH_ROWS = 2**17
#: Variables, and states of each, that the notice lists.
_LISTED_VARIABLES, _LISTED_STATES = 20, 10


def open_variables(network: Network) -> tuple[Variable, ...]:
    """Return the variables of a learned network whose states were not given.

    Parameters
    ----------
    network : Network

    Returns
    -------
    tuple of Variable
        None of a network that was read from a file.

    Examples
    --------
    >>> from dosift.learning.learn import learn_network
    >>> control = {"a": [0, 1], "b": [0, 1]}
    >>> network = learn_network([("a", "b")], control, states={"a": [0, 1, 2]})
    >>> [variable.name for variable in open_variables(network)]
    ['b']
    """
    if network.control is None:
        return ()
    fixed = network.control.fixed_states
    return tuple(variable for variable in network.variables if variable.name not in fixed)


def with_new_states(
    network: Network,
    rows: Any,
    encode: Callable[[Network], Rows],
    *,
    layer: str | None = None,
) -> tuple[Network, Rows]:
    """Encode rows; where a learned network lacks states of theirs, add these and encode again.

    Parameters
    ----------
    network : Network
    rows : object
        What :func:`with_states_of` takes; looked at only where encoding fails.
    encode : callable
        Takes a network and returns the rows, or raises InputError.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states.

    Returns
    -------
    network : Network
        The same one if nothing had to be added.
    rows : object
        What `encode` returned for it.

    Raises
    ------
    InputError
        What `encode` raised, if that is not about states that can be added.
    """
    try:
        return network, encode(network)
    except InputError as error:
        if not isinstance(network, Network) or not open_variables(network):
            raise
        try:
            found = _all_new(network, rows, layer)
            new = _few_new(network, found)
            extended = _extended(network, new) if new else network
        except InputError:
            raise error from None  # what is wrong with the rows was said there
        _check_kinds(network, found, error)
        if not new:
            raise
    encoded = encode(extended)
    warnings.warn(_notice(network, new), NewStatesWarning, stacklevel=3)
    return extended, encoded


def with_states_of(network: Network, rows: Any, *, layer: str | None = None) -> Network:
    """Add the states that rows show, and no control row does, to a learned network.

    Parameters
    ----------
    network : Network
        One that was read from a file, and variables whose states were given, stay as they are.
    rows : dataframe, mapping, path, DuckDB, Dask or Spark table, lazy frame, or Cells
        The rows to be explained. An array of codes shows no new states.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states; ``X`` if left out.

    Returns
    -------
    Network
        With zero control counts for the new states, and tables learned again from counts and
        prior. States are sorted as in :func:`~dosift.learn_network`. The same network if there is
        nothing to add. Texts such as ``NA``, by which programs mark missing values, and columns
        with more than `MOST_NEW` new values are left for encoding to refuse.

    Raises
    ------
    InputError
        If the rows cannot be read, or a table would become too large.

    Warns
    -----
    NewStatesWarning
        Which variables got which states.

    Examples
    --------
    >>> import warnings
    >>> from dosift.learning.learn import learn_network
    >>> network = learn_network([], {"a": [1, 3, 3]})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     network = with_states_of(network, {"a": [2, 3]})
    >>> network.variables[0].states, network.control.counts[0]
    (('1', '2', '3'), array([[1., 0., 2.]]))
    """
    new = _few_new(network, _all_new(network, rows, layer))
    if not new:
        return network
    extended = _extended(network, new)
    warnings.warn(_notice(network, new), NewStatesWarning, stacklevel=3)
    return extended


# -- what rows show -------------------------------------------------------------------------------


def new_states(values: Sequence[Any], states: Sequence[str]) -> set[str]:
    """Name the values that are no states, as states.

    Parameters
    ----------
    values : sequence
        Distinct values of a column; missing ones and marks of missing ones are passed over.
    states : sequence of str
        The known states.

    Returns
    -------
    set of str
        Whole numbers are named without decimals, unless those of the known states have them.

    Examples
    --------
    >>> sorted(new_states(["2.0", "1.0", "", "NA", "x"], ["1"]))
    ['2', 'x']
    """
    names = {state_name(value) for value in unknown_values(values, states)}
    if not any(whole_number(state) not in {None, state} for state in states):
        names = {whole_number(name) or name for name in names}
    return {name for name in names if not is_missing_mark(name)}


def new_in_table(table: Any, variables: Sequence[Variable]) -> Found:
    """Find the new states that a table in memory shows.

    Parameters
    ----------
    table : dataframe or mapping of columns
    variables : sequence of Variable

    Returns
    -------
    dict of str to set of str
        New states by variable. Columns that are not there, or hold no states, are passed over.
    """
    frame, _ = as_frame(table, None)
    columns = {str(name): name for name in frame.columns}
    found: Found = {}
    for variable in variables:
        if variable.name not in columns:
            continue
        try:
            _, values = factorise(frame.get_column(columns[variable.name]))
        except UnusableColumnError:
            continue
        found[variable.name] = new_states(values, variable.states)
    return found


def _all_new(network: Network, rows: Any, layer: str | None) -> Found:
    """Find the states of rows that a network lacks; nothing for one that was not learned."""
    variables = open_variables(network)
    return _new_in(rows, variables, layer) if variables else {}


def _few_new(network: Network, found: Found) -> Found:
    """Leave out what is too much to be states."""
    return {
        variable.name: found[variable.name]
        for variable in network.variables
        if 0 < len(found.get(variable.name, ())) <= MOST_NEW
    }


def _check_kinds(network: Network, found: Found, error: InputError) -> None:
    """Refuse measurements where control rows hold states."""
    for name, new in found.items():
        known = network.variables[network.positions[name]].states
        decimals = [state for state in new if is_decimal(state)]
        if len(decimals) > MOST_LEVELS and not any(map(is_decimal, known)):
            where = error.message
            if repr(name) not in where:
                where = f"column {name!r} holds measurements such as {min(decimals)!r}"
            raise InputError(
                f"{where}. The control rows hold states there, and both tables must hold the same "
                "kind: correct one of them, or say which it is (--continuous, --counts, "
                "--discrete, kinds=)",
                path=error.path,
            ) from None


def _new_in(rows: Any, variables: Sequence[Variable], layer: str | None) -> Found:
    if isinstance(rows, np.ndarray | Encoded):
        return {}
    if isinstance(rows, Cells):
        return new_in_cells(rows, variables)
    if isinstance(rows, str | Path):
        return _merged(_new_in_parts(rows, variables, layer))
    engine = engine_of(rows)
    return new_in_table(rows, variables) if engine is None else _LOOKS[engine](rows, variables)


def _merged(parts: Iterable[Found]) -> Found:
    """Bring what parts show together; of what is too much to be states, no more than needed."""
    together: Found = defaultdict(set)
    for part in parts:
        for name, states in part.items():
            if len(together[name]) <= MOST_NEW:
                together[name] |= states
    return together


def _new_in_parts(
    path: str | Path, variables: Sequence[Variable], layer: str | None
) -> Iterator[Found]:
    """Look at files, a part of the rows at a time."""
    from dosift.data.read import RowFiles

    files = RowFiles.at(path)
    names = [variable.name for variable in variables]
    if files.kind == "h5ad":
        yield new_in_cells(read_cells(path, names, layer), variables)
        return
    for file in files.files:
        columns = files.columns(file)
        wanted = None if columns is None else [name for name in columns if name in set(names)]
        for frame in files.frames_of(file, wanted):
            yield new_in_table(frame, variables)


def new_in_cells(cells: Cells, variables: Sequence[Variable]) -> Found:
    """Find the new states that an annotated matrix shows.

    Parameters
    ----------
    cells : Cells
    variables : sequence of Variable

    Returns
    -------
    dict of str to set of str
        Numbers of the matrix are states where the known states are numbers; else they are codes.
    """
    usable = [
        variable
        for variable in variables
        if variable.name in cells.labels
        or (names_numbers(variable) and holds_levels(cells.numbers[variable.name]))
    ]
    return new_in_table(cells.frame(), usable)


def _new_in_polars(rows: Any, variables: Sequence[Variable]) -> Found:
    names = [variable.name for variable in variables]
    batches = rows.select(names).collect_batches(chunk_size=_BATCH_ROWS)
    return _merged(new_in_table(batch, variables) for batch in batches)


def _new_in_duckdb(rows: Any, variables: Sequence[Variable]) -> Found:
    """Ask the engine for the distinct values of each column."""
    import narwhals as nw

    frame: Any = nw.from_native(rows)
    found: Found = {}
    for variable in variables:
        most = len(variable.states) + MOST_NEW + 2  # a missing value may be among them
        distinct = frame.select(variable.name).unique().head(most).collect()
        found |= new_in_table(distinct.to_native(), [variable])
    return found


def _new_in_dask(rows: Any, variables: Sequence[Variable]) -> Found:
    import dask

    look = dask.delayed(new_in_table, pure=True)
    parts = rows[[variable.name for variable in variables]].to_delayed()
    return _merged(dask.compute(*(look(part, variables) for part in parts)))


def _new_in_spark(rows: Any, variables: Sequence[Variable]) -> Found:
    from functools import partial

    narrow = rows.select(*(f"`{v.name.replace('`', '``')}`" for v in variables))
    shown = narrow.mapInArrow(partial(_new_in_arrow, variables), "variable string, state string")
    found: Found = defaultdict(set)
    for row in shown.distinct().limit(len(variables) * (MOST_NEW + 1)).collect():
        found[row.variable].add(row.state)
    return found


def _new_in_arrow(variables: Sequence[Variable], batches: Iterator[Any]) -> Iterator[Any]:
    """Look at the record batches of a Spark partition; one row for each new state."""
    import pyarrow as pa

    found = _merged(new_in_table(pa.Table.from_batches([batch]), variables) for batch in batches)
    pairs = [(name, state) for name, states in found.items() for state in sorted(states)]
    columns = [pa.array([pair[k] for pair in pairs], pa.string()) for k in range(2)]
    yield pa.RecordBatch.from_arrays(columns, ["variable", "state"])


#: How to look at a table that an engine holds.
_LOOKS: dict[str, Callable[[Any, Sequence[Variable]], Found]] = {
    "dask": _new_in_dask,
    "duckdb": _new_in_duckdb,
    "polars": _new_in_polars,
    "pyspark": _new_in_spark,
}


# -- a network with more states -------------------------------------------------------------------


def _extended(network: Network, new: Mapping[str, set[str]]) -> Network:
    """Give variables more states, which no control row shows."""
    control = network.control
    assert control is not None
    variables = [
        Variable(v.name, _ordered(v.states, new.get(v.name, set()))) for v in network.variables
    ]
    check_sizes(variables, network.parents)
    places = [
        np.array([after.states.index(state) for state in before.states], dtype=np.int64)
        for before, after in zip(network.variables, variables, strict=True)
    ]
    counts = tuple(
        _moved(control.counts[i], [*family, i], places, variables)
        for i, family in enumerate(network.parents)
    )
    rows = None if control.rows is None else _moved_rows(control.rows, places)
    moved = replace(control, counts=counts, rows=rows)
    return learn_from_counts(variables, network.parents, moved)


def _ordered(states: tuple[str, ...], new: set[str]) -> tuple[str, ...]:
    if states == sorted_states(states):
        return sorted_states({*states, *new})
    return (*states, *sorted_states(new))


def _moved(
    counts: Floats,
    family: Sequence[int],
    places: Sequence[NDArray[np.int64]],
    variables: Sequence[Variable],
) -> Floats:
    """Put the counts of parents and variable where their states are now, and zeros elsewhere."""
    sizes = [len(variables[j].states) for j in family]
    out = np.zeros(sizes)
    out[np.ix_(*(places[j] for j in family))] = counts.reshape([places[j].size for j in family])
    return out.reshape(math.prod(sizes[:-1]), sizes[-1])


def _moved_rows(rows: ControlRows, places: Sequence[NDArray[np.int64]]) -> ControlRows:
    """Give the states of remembered rows the positions that they have now."""
    values, targets = rows.values.copy(order="F"), rows.targets
    if targets is not None:
        targets = targets.copy(order="F")
    for j, place in enumerate(places):
        values[:, j] = place[values[:, j]]
        if targets is not None:
            # Position -1, a variable that was left alone, picks the last entry.
            targets[:, j] = np.append(place, -1)[targets[:, j]]
    return replace(rows, values=values, targets=targets)


def _notice(network: Network, new: Mapping[str, set[str]]) -> str:
    known = {name: network.variables[network.positions[name]].states for name in new}
    return new_states_in_words(known, new)


def new_states_in_words(known: Mapping[str, Sequence[str]], new: Mapping[str, set[str]]) -> str:
    """Say which variables got states that no control row shows.

    Parameters
    ----------
    known, new : mapping of str to states
        By variable.
    """
    listed = [
        f"{name}: {_shown(states, known[name])}"
        for name, states in list(new.items())[:_LISTED_VARIABLES]
    ]
    if len(new) > _LISTED_VARIABLES:
        listed.append(f"and {len(new) - _LISTED_VARIABLES} more variables")
    return (
        f"{len(new)} variable(s) show states in the rows that no control row shows, and these were "
        f"added to the learned network, with no control counts: {'; '.join(listed)}. If they are "
        "typing errors, correct them; --states FILE or states= fixes the states"
    )


def _shown(new: set[str], known: Sequence[str]) -> str:
    folded = {state.strip().casefold(): state for state in known}
    ordered = sorted_states(new)
    texts = []
    for state in ordered[:_LISTED_STATES]:
        near = folded.get(state.strip().casefold())
        texts.append(repr(state) + (f" (control rows: {near!r})" if near is not None else ""))
    more = f", ... ({len(ordered)} in all)" if len(ordered) > _LISTED_STATES else ""
    return ", ".join(texts) + more
