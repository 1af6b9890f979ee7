"""Encode tables of state names against a network's states."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import ExtraColumnsWarning, InputError
from dosift.network.model import Network, Variable
from dosift.rows.configurations import MISSING


@dataclass(frozen=True)
class Encoded:
    """Rows as state codes, in the input's order.

    Attributes
    ----------
    codes : ndarray of int, shape (n_rows, n_variables)
        State positions in the network's order of variables and states; -1 is missing.
    extra_columns : tuple of str
        Columns of the input that the network does not know.
    library : str
        The library of the table that the rows came in: ``"pandas"``, ``"polars"``,
        ``"pyarrow"``, or ``"numpy"`` for an array of codes.
    """

    codes: NDArray[np.integer]
    extra_columns: tuple[str, ...] = ()
    library: str = "polars"


def encode(
    data: Any,
    network: Network,
    *,
    allow_missing: bool = False,
    path: str | Path | None = None,
) -> Encoded:
    """Encode rows as codes.

    Parameters
    ----------
    data : dataframe, mapping of str to sequence, or ndarray of int
        Any dataframe that narwhals takes, one column for each variable, holding state names;
        or state codes of shape (n_rows, n_variables). Integers, integer-valued floats and
        booleans match the state of the same text (``1``, ``1.0`` match ``1``; ``True`` matches
        ``True`` or ``true``).
    network : Network
        Gives variables and states.
    allow_missing : bool, default=False
        Whether missing values become -1 instead of an error.
    path : str or Path, optional
        Where the data came from, for messages.

    Returns
    -------
    Encoded

    Raises
    ------
    InputError
        If a column is missing or repeated, there are no rows, a value is not a state, or a value
        is missing.

    Warns
    -----
    ExtraColumnsWarning
        If there are columns that the network does not know; they are ignored.

    Examples
    --------
    >>> network = Network.from_tables({"a": ["no", "yes"]}, {}, {"a": [0.5, 0.5]})
    >>> encode({"a": ["yes", "no"]}, network).codes.tolist()
    [[1], [0]]
    """
    if isinstance(data, np.ndarray):
        return Encoded(_checked_codes(data, network, allow_missing, path), (), "numpy")
    frame, library = _as_frame(data, path)
    columns = list(frame.columns)
    repeated = {name for name in columns if columns.count(name) > 1}
    for name in repeated:
        raise InputError(f"column {name!r} stands there twice; keep one of them", path=path)
    for name in network.names:
        if name not in columns:
            raise InputError(
                f"column {name!r} is missing; the network's variables must all be there"
                f"{_hint(name, columns)}",
                path=path,
            )
    extra = tuple(name for name in columns if name not in network.positions)
    if extra:
        shown = ", ".join(extra[:5]) + (", ..." if len(extra) > 5 else "")
        warnings.warn(
            f"{len(extra)} column(s) are not in the network and were ignored: {shown}",
            ExtraColumnsWarning,
            stacklevel=2,
        )
    n_rows = len(frame)
    if n_rows == 0:
        raise InputError("the table has no rows", path=path)
    codes = np.empty((n_rows, network.n_variables), dtype=_dtype(network), order="F")
    for i, variable in enumerate(network.variables):
        codes[:, i] = _encode_column(frame[variable.name], variable, allow_missing, path)
    return Encoded(codes, extra, library)


def to_native(table: Any, library: str) -> Any:
    """Hand a polars table out in another library.

    Parameters
    ----------
    table : polars.DataFrame
    library : str
        As in :class:`Encoded`; what is not pandas or pyarrow stays polars.

    Returns
    -------
    dataframe
    """
    if library == "pandas":
        import pandas as pd

        return pd.DataFrame(table.to_dict(as_series=False))
    if library == "pyarrow":
        return table.to_arrow()
    return table


def _dtype(network: Network) -> type[np.signedinteger[Any]]:
    largest = int(network.cardinalities.max(initial=1))
    return np.int8 if largest < 2**7 else np.int16 if largest < 2**15 else np.int32


def _as_frame(data: Any, path: str | Path | None) -> tuple[Any, str]:
    import narwhals as nw

    if isinstance(data, Mapping):
        import polars as pl

        try:
            data = pl.DataFrame(dict(data), strict=False)
        except Exception as error:
            raise InputError(f"the columns do not make a table: {error}", path=path) from None
    try:
        frame = nw.from_native(data)
    except TypeError:
        raise InputError(
            f"rows are {type(data).__name__}; give a dataframe (pandas, polars, pyarrow, ...), a "
            "mapping of columns, or an integer array of state codes",
            path=path,
        ) from None
    except nw.exceptions.DuplicateError as error:
        raise InputError(f"a column name stands there twice: {error}", path=path) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, nw.DataFrame):
        raise InputError("rows are a single column; give a table", path=path)
    return frame, str(frame.implementation)


def _checked_codes(
    data: NDArray[Any], network: Network, allow_missing: bool, path: str | Path | None
) -> NDArray[np.integer]:
    n = network.n_variables
    if data.ndim != 2 or data.shape[1] != n:
        raise InputError(
            f"an array of codes must have shape (n_rows, {n}), one column for each variable; "
            f"this one has shape {data.shape}",
            path=path,
        )
    if data.shape[0] == 0:
        raise InputError("the table has no rows", path=path)
    if data.dtype.kind not in "iu":
        raise InputError(
            f"an array of rows must hold integer state codes, not {data.dtype}; give a dataframe "
            "for state names",
            path=path,
        )
    lowest = MISSING if allow_missing else 0
    bad = (data < lowest) | (data >= network.cardinalities)
    if bad.any():
        row, i = (int(x) for x in np.argwhere(bad)[0])
        raise InputError(
            f"code {data[row, i]} of variable {network.names[i]!r} in row {row + 1} is out of "
            f"range; it has states 0 to {network.cardinalities[i] - 1}",
            path=path,
        )
    return data.astype(_dtype(network), order="F")


def _encode_column(
    column: Any, variable: Variable, allow_missing: bool, path: str | Path | None
) -> NDArray[np.integer]:
    """Encode one column by its distinct values."""
    index, values = _factorise(column)
    code_of = {state: a for a, state in enumerate(variable.states)}
    table = np.empty(len(values), dtype=np.int64)
    for v, value in enumerate(values):
        code = _state_code(value, code_of)
        if code is None:
            raise _unknown_state(value, index == v, variable, path)
        if code == MISSING and not allow_missing:
            missing = index == v
            raise InputError(
                f"column {variable.name!r} has {int(missing.sum())} missing value(s), the first "
                f"in data row {int(missing.argmax()) + 1}; this version needs complete rows",
                path=path,
            )
        table[v] = code
    return table[index]


def _factorise(column: Any) -> tuple[NDArray[np.int64], Sequence[Any]]:
    """Positions of each row's value among the distinct values of a narwhals series."""
    import polars as pl

    native = column.to_native()
    if isinstance(native, pl.Series):
        series = native
    else:
        values = column.to_list()
        is_null = column.is_null().to_numpy()
        if is_null.any():
            # NaN among texts would become the text "NaN".
            values = [None if null else v for v, null in zip(values, is_null, strict=True)]
        series = pl.Series(values, strict=False)
    if series.dtype in {pl.Categorical, pl.Enum}:
        series = series.cast(pl.String)
    distinct = series.unique(maintain_order=True)
    numbers = pl.Series(range(len(distinct)), dtype=pl.Int64)
    index = series.replace_strict(distinct, numbers, return_dtype=pl.Int64)
    return index.to_numpy(), distinct.to_list()


def _state_code(value: Any, code_of: Mapping[str, int]) -> int | None:
    """Code of a value; MISSING for a missing one, None if it is no state."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return MISSING
    for text in _texts(value):
        if text in code_of:
            return code_of[text]
    return MISSING if value == "" else None


def _texts(value: Any) -> list[str]:
    """Texts that stand for a value, most literal first: ``1.0`` also means ``1``."""
    text = str(value)
    if isinstance(value, bool | np.bool_):
        return [text, text.lower()]
    head, point, tail = text.partition(".")
    is_whole = point and not tail.strip("0") and head.removeprefix("-").isdigit()
    return [text, head] if is_whole else [text]


def _unknown_state(
    value: Any, rows: NDArray[np.bool_], variable: Variable, path: str | Path | None
) -> InputError:
    states = variable.states
    shown = ", ".join(states[:12]) + (f", ... ({len(states)} in all)" if len(states) > 12 else "")
    return InputError(
        f"column {variable.name!r} has the value {str(value)!r} (first in data row "
        f"{int(rows.argmax()) + 1}, {int(rows.sum())} time(s)), which is not a state "
        f"of the variable; its states are: {shown}"
        f"{_hint(str(value), states)}",
        path=path,
    )


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f". Did you mean {close[0]!r}?" if close else ""
