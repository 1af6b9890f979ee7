"""Learning a network from control rows in a table or file."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.errors import EmptyGraphWarning, ExtraColumnsWarning, InputError
from dosift.io.graph import HEADERS, Graph, read_graph
from dosift.io.states import read_states
from dosift.learning.tables import learn_from_codes
from dosift.model.network import Network, Variable

#: Pseudo-count of each cell: Jeffreys' prior. Over eight bnlearn networks with 500 and 5,000
#: control rows (one draw each), the relative entropy from the true to the learned network was
#: usually near that of the best of 1/k, 0.5, 1 and 2, and at worst about a third above it.
DEFAULT_PRIOR = 0.5

#: A column with more distinct values than this is taken for a continuous measurement.
MAX_STATES = 1000


def learn_network(
    graph: Any,
    control: Any,
    *,
    states: Mapping[str, Sequence[Any]] | str | Path | None = None,
    prior: float = DEFAULT_PRIOR,
    sample_weight: ArrayLike | None = None,
    layer: str | None = None,
    ignore: Iterable[str] = (),
) -> Network:
    """Learn a network's tables from control rows, given its graph.

    Each row of a table is the posterior mean ``(count + prior) / (total + prior * n_states)``
    under a symmetric Dirichlet prior. The default, half a pseudo-count in each cell, is Jeffreys'
    prior. It keeps states that control rows rarely show away from zero (a probability that is far
    too small makes ordinary rows look like interventions) without blurring tables that are nearly
    certain.

    Parameters
    ----------
    graph : str, Path, networkx.DiGraph, dataframe or iterable of (str, str)
        The causal graph; see `dosift.io.graph.read_graph`. One without any variable stands for
        no edges among all columns of the control rows.
    control : dataframe, str or Path
        Rows from units without any intervention: any dataframe that narwhals takes, or a file
        for `dosift.read_rows`. One column for each variable.
    states : mapping of str to sequence, str or Path, optional
        States of variables, in order, or a file of them (`dosift.io.states.read_states`): they
        are fixed, and any other value is an error. Those of other variables are the values found,
        sorted (by size if all of them are numbers); when a mixture is fitted, states that only
        its rows show are added (``dosift.learning.states.with_states_of``).
    prior : float, default 0.5
        Dirichlet pseudo-count added to every cell, at least 0.
    sample_weight : array-like of shape (n_rows,), optional
        Non-negative weight of each control row; 1 if left out.
    layer : str, optional
        Of control rows in a .h5ad file, the layer that holds the states; ``X`` if left out.
    ignore : iterable of str, optional
        Columns of the control rows that are no variables, such as their batch, where the graph
        does not name them.

    Returns
    -------
    Network
        Variables in the graph's order; its `control` holds the counts, the prior and the rows.

    Raises
    ------
    InputError
        If the graph or table cannot be read, a column is missing or repeated, there are no rows,
        a value is missing or not among the given states, or a table would be too large.

    Warns
    -----
    ExtraColumnsWarning
        If the table has columns that are not in the graph.
    EmptyGraphWarning
        If a file names no variable at all.

    Examples
    --------
    >>> import polars as pl
    >>> control = pl.DataFrame({"smoke": ["no", "no", "yes"], "lung": ["ok", "ok", "ill"]})
    >>> network = learn_network([("smoke", "lung")], control)
    >>> network.variables[1].states
    ('ill', 'ok')
    >>> network.tables[1]
    array([[0.16666667, 0.83333333],
           [0.75      , 0.25      ]])
    >>> network.control.counts[1]
    array([[0., 2.],
           [1., 0.]])
    """
    nodes, edges = read_graph(graph)
    if isinstance(prior, bool) or not isinstance(prior, numbers.Real):
        raise InputError(f"the prior is {prior!r}; give a number of at least 0")
    path = control if isinstance(control, (str, Path)) else None
    frame = _frame(control, nodes, layer)
    frame = frame.drop([name for name in ignore if name not in nodes], strict=False)
    if not nodes:
        nodes = _all_columns(frame, graph, path)
    if isinstance(states, (str, Path)):
        states = read_states(states)
    given = given_states(states or {}, nodes)
    _check_columns(frame.columns, nodes, path)
    if len(frame) == 0:
        raise InputError("there are no control rows", path=path)
    codes = np.empty((len(frame), len(nodes)), dtype=np.int64)
    variables = []
    for j, name in enumerate(nodes):
        labels, codes[:, j] = _encoded(frame[name], name, given.get(name), path)
        variables.append(Variable(name, labels))
    parents = Graph(nodes, edges).parents
    return learn_from_codes(variables, parents, codes, float(prior), sample_weight, given)


def _frame(control: Any, nodes: Sequence[str], layer: str | None) -> Any:
    """Return the control rows as an eager narwhals dataframe."""
    import narwhals as nw

    if isinstance(control, (str, Path)):
        from dosift.data import read_rows

        control = read_rows(control, columns=nodes or None, layer=layer)
    elif isinstance(control, Mapping):
        from dosift.data.encode import as_frame

        return as_frame(control, None)[0]
    try:
        frame = nw.from_native(control)
    except TypeError:
        raise InputError(
            f"control rows cannot be read from {type(control).__name__}; give a dataframe "
            "(pandas, polars, pyarrow, ...) or the path of a file"
        ) from None
    except ValueError as error:  # repeated column names, say
        raise InputError(f"the control table cannot be used: {error}") from None
    return frame.collect() if isinstance(frame, nw.LazyFrame) else frame


def _all_columns(frame: Any, graph: Any, path: str | Path | None) -> tuple[str, ...]:
    """Take every column for a variable, since the graph names none."""
    names = tuple(frame.columns)
    if not names:
        raise InputError("the graph has no variables, and the control rows no columns", path=path)
    warn_of_no_graph(graph, len(names), 4)
    return names


def warn_of_no_graph(graph: Any, n_columns: int, stacklevel: int) -> None:
    """Say that a graph without any variable came from a file."""
    if isinstance(graph, str | Path):
        warnings.warn(
            "the graph file names no variable: the network has no edges, and all "
            f"{n_columns} columns of the control rows are its variables",
            EmptyGraphWarning,
            stacklevel=stacklevel,
        )


def given_states(
    states: Mapping[str, Sequence[Any]], nodes: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Check the states that a user gives, and name them.

    Parameters
    ----------
    states : mapping of str to sequence
    nodes : iterable of str
        The variables.

    Returns
    -------
    dict of str to tuple of str

    Raises
    ------
    InputError
        If they are of no variable, none, repeat, or one is empty.

    Examples
    --------
    >>> given_states({"a": [1, 2.0]}, ["a", "b"])
    {'a': ('1', '2')}
    """
    given = {}
    known = set(nodes)
    for name, values in states.items():
        if name not in known:
            raise InputError(f"states are given for {name!r}, which is not in the graph")
        if isinstance(values, str):
            raise InputError(f"the states of {name!r} are one text; give a list of states")
        labels = tuple("" if _is_missing(v) else state_name(v) for v in values)
        if "" in labels or len(set(labels)) != len(labels) or not labels:
            raise InputError(f"the states of {name!r} are none, repeat, or one is empty")
        given[name] = labels
    return given


def _check_columns(columns: Sequence[str], nodes: Sequence[str], path: str | Path | None) -> None:
    if len(set(columns)) != len(columns):
        repeated = next(c for c in columns if list(columns).count(c) > 1)
        raise InputError(f"the control rows have the column {repeated!r} twice", path=path)
    for name in nodes:
        if name not in columns:
            raise InputError(
                f"the control rows have no column {name!r}, which is a variable of the graph"
                + _no_header(name, nodes),
                path=path,
            )
    extra = sorted(map(str, set(columns) - set(nodes)))
    if extra:
        listed = ", ".join(map(repr, extra[:10])) + (", ..." if len(extra) > 10 else "")
        warnings.warn(
            f"columns of the control rows that are not in the graph are ignored: {listed}",
            ExtraColumnsWarning,
            stacklevel=3,
        )


def _no_header(name: str, nodes: Sequence[str]) -> str:
    """Say what may have happened where the first line of an edge list is not in the rows."""
    if name not in nodes[:2]:
        return ""
    known = " or ".join(",".join(pair) for pair in HEADERS)
    return f" (if it is the header of an edge list: that is {known}, or left out)"


def _encoded(
    column: Any, name: str, given: tuple[str, ...] | None, path: str | Path | None
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the states of a column, found or given, and each row's position among them."""
    import narwhals as nw

    if column.dtype in (nw.Categorical, nw.Enum):
        column = column.cast(nw.String)
    values = column.unique(maintain_order=True).to_list()
    present = [value for value in values if not _is_missing(value)]
    found = [state_name(value) for value in present]
    if len(present) < len(values):
        row = _first_row(column, _is_missing)
        raise InputError(
            f"column {name!r} has a missing value in row {row} (the first row is 1); control rows "
            "must be complete: drop the rows with missing values or fill them in",
            path=path,
        )
    if given is None and len(found) > MAX_STATES:
        raise InputError(
            f"column {name!r} has {len(found):,} distinct values, which looks like a measurement, "
            "and this network is of states: fit(rows, control=...) takes numbers as they are "
            "(kinds=, --continuous, --counts); or cut it into a few levels first "
            "(dosift.discretize), give its states, or leave it out",
            path=path,
        )
    labels = sorted_states(set(found)) if given is None else given
    position = {label: i for i, label in enumerate(labels)}
    for label in found:
        if label not in position:
            row = _first_row(column, lambda value, label=label: state_name(value) == label)
            allowed = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
            raise InputError(
                f"column {name!r} has the value {label!r} in row {row} (the first row is 1), which "
                f"is not among the given states {allowed}",
                path=path,
            )
    return labels, _positions(column, dict(zip(present, (position[f] for f in found), strict=True)))


def _positions(column: Any, code_of: dict[Any, int]) -> NDArray[np.int64]:
    """Return the code of each value of a column, without a loop over rows."""
    import narwhals as nw

    if column.dtype == nw.Object:
        return np.array(list(map(code_of.__getitem__, column.to_list())), dtype=np.int64)
    coded = column.replace_strict(list(code_of), list(code_of.values()), return_dtype=nw.Int64)
    return np.asarray(coded.to_numpy(), dtype=np.int64)


def _first_row(column: Any, is_wanted: Any) -> int:
    return next(i for i, value in enumerate(column.to_list(), start=1) if is_wanted(value))


def _is_missing(value: Any) -> bool:
    """Whether a value is null, NaN or an empty text."""
    if value is None or (isinstance(value, str) and not value):
        return True
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def state_name(value: Any) -> str:
    """Return the name of the state that a value of a table stands for.

    Parameters
    ----------
    value : object
        A value of a table that is not missing.

    Returns
    -------
    str
        Texts as they are; whole numbers without a decimal point.

    Examples
    --------
    >>> state_name("yes"), state_name(1), state_name(1.0), state_name(0.5)
    ('yes', '1', '1', '0.5')
    """
    is_number = isinstance(value, (float, np.floating)) and math.isfinite(value)
    return str(int(value)) if is_number and value == int(value) else str(value)


def sorted_states(names: Iterable[str]) -> tuple[str, ...]:
    """Sort the names of states: by size if all of them are numbers, else as text.

    Parameters
    ----------
    names : iterable of str
        Names of states.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> sorted_states({"10", "9", "1"})
    ('1', '9', '10')
    >>> sorted_states({"low", "10", "9"})
    ('10', '9', 'low')
    """
    listed = sorted(names)
    try:
        sizes = {name: float(name) for name in listed}
    except ValueError:
        return tuple(listed)
    if any(math.isnan(size) for size in sizes.values()):
        return tuple(listed)
    return tuple(sorted(listed, key=lambda name: sizes[name]))
