"""Encode tables of state names against a network's states."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.configurations import MISSING
from dosift.data.factorise import (
    UnusableColumnError,
    factorise,
    is_missing,
    text_of,
    text_series,
)
from dosift.data.further import further_columns
from dosift.data.messages import check_columns, hint, listed, notice_of_extra, shortened
from dosift.data.side_columns import SideColumn
from dosift.errors import ExtraColumnsWarning, InputError
from dosift.model.network import Network, Variable

#: Stands for a value that is no state while a column is encoded.
UNKNOWN = -2
_WHOLE = re.compile(r"(-?[0-9]+)(?:\.0*)?")
#: Texts by which other programs mark a missing value.
_MISSING_MARKS = frozenset({"na", "n/a", "nan", "null", "none", "<na>", "?"})
#: A column with more unknown values than this is taken for a continuous measurement.
_MEASUREMENT = 100


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
    further : tuple of SideColumn
        What the first rows hold in further columns
        (:func:`~dosift.data.further.further_columns`).
    """

    codes: NDArray[np.integer]
    extra_columns: tuple[str, ...] = ()
    library: str = "polars"
    further: tuple[SideColumn, ...] = ()


def encode(
    data: Any,
    network: Network,
    *,
    allow_missing: bool = False,
    path: str | Path | None = None,
    first_row: int = 1,
) -> Encoded:
    """Encode rows as codes.

    Parameters
    ----------
    data : dataframe, mapping of str to sequence, or ndarray of int
        Any dataframe that narwhals takes, one column for each variable, holding state names;
        or state codes of shape (n_rows, n_variables). A value matches the state of the same text.
        Failing that, whole numbers match by value (``1``, ``1.0`` and the text ``"1.0"`` all match
        the state ``1``; ``"01"`` does not), and booleans match ``True``, ``true``, ``TRUE`` or
        ``1`` (``False``, ``false``, ``FALSE`` or ``0``), the first of them that is a state. An
        empty text is missing unless it is a state.
    network : Network
        Gives variables and states.
    allow_missing : bool, default=False
        Whether missing values become -1 instead of an error.
    path : str or Path, optional
        Where the data came from, for messages.
    first_row : int, default=1
        Number of the first row, for messages, where the data are a part of a table.

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
    frame, library = as_frame(data, path)
    columns = {str(name): name for name in frame.columns}
    if len(columns) < len(frame.columns):
        names = [str(name) for name in frame.columns]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError(f"column {repeated!r} stands there twice; keep one of them", path=path)
    check_columns(list(columns), network, path)
    n_rows = len(frame)
    if n_rows == 0:
        raise InputError("the table has no rows", path=path)
    codes = np.empty((n_rows, network.n_variables), dtype=codes_dtype(network), order="F")
    for i, variable in enumerate(network.variables):
        column = frame.get_column(columns[variable.name])
        codes[:, i] = _encode_column(column, variable, allow_missing, path, first_row)
    extra = tuple(name for name in columns if name not in network.positions)
    if extra:
        warnings.warn(notice_of_extra(extra, path), ExtraColumnsWarning, stacklevel=2)
    further = further_columns({name: frame.get_column(columns[name]) for name in extra})
    return Encoded(codes, extra, library, further)


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


def codes_dtype(network: Network) -> np.dtype[np.signedinteger[Any]]:
    """Choose the smallest type that holds every state's position, and -1."""
    largest = int(network.cardinalities.max(initial=1))
    return np.dtype(np.int8 if largest < 2**7 else np.int16 if largest < 2**15 else np.int32)


def as_frame(data: Any, path: str | Path | None) -> tuple[Any, str]:
    """Return an eager narwhals dataframe and the name of the library it came in."""
    if isinstance(data, Mapping):
        data = _frame_of_columns(data, path)
    try:
        frame = nw.from_native(data)
    except TypeError:
        raise InputError(
            f"rows are {type(data).__name__}; give a dataframe (pandas, polars, pyarrow, ...), a "
            "mapping of columns, or an integer array of state codes",
            path=path,
        ) from None
    except nw.exceptions.DuplicateError as error:
        repeated = " ".join(str(error).split())
        raise InputError(f"a column name stands there twice: {repeated}", path=path) from None
    if isinstance(frame, nw.LazyFrame):
        try:
            frame = frame.collect()
        except Exception as error:  # each library and engine has its own
            reason = " ".join(str(error).split())
            raise InputError(f"the lazy table cannot be collected: {reason}", path=path) from error
    return frame, str(frame.implementation)


def _frame_of_columns(data: Mapping[Any, Any], path: str | Path | None) -> pl.DataFrame:
    columns: dict[str, pl.Series] = {}
    for key, values in data.items():
        name = str(key)
        if name in columns:
            raise InputError(f"column {name!r} stands there twice; keep one of them", path=path)
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise InputError(
                f"column {name!r} holds the single value {values!r}; give one value for each row",
                path=path,
            )
        listed = values if isinstance(values, pl.Series | np.ndarray) else list(values)
        try:
            columns[name] = pl.Series(listed)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
            columns[name] = text_series(listed)  # values of several types
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        longest, *_, shortest = sorted(lengths, key=lengths.__getitem__, reverse=True)
        raise InputError(
            f"column {shortest!r} has {lengths[shortest]} value(s) and column {longest!r} has "
            f"{lengths[longest]}; all columns need the same number",
            path=path,
        )
    try:
        return pl.DataFrame(columns)
    except UnicodeEncodeError as error:
        raise InputError(
            f"a column name is not valid Unicode: {error.object!r}", path=path
        ) from None


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
    if not allow_missing and (absent := data == MISSING).any():
        row, i = (int(x) for x in np.argwhere(absent)[0])
        raise InputError(
            f"{int(absent.sum())} code(s) are -1, a missing value, the first for variable "
            f"{network.names[i]!r} in row {row + 1}; complete rows are needed here",
            path=path,
        )
    lowest = MISSING if allow_missing else 0
    if data.min() < lowest or (data.max(axis=0) >= network.cardinalities).any():
        bad = (data < lowest) | (data >= network.cardinalities)
        row, i = (int(x) for x in np.argwhere(bad)[0])
        raise InputError(
            f"code {data[row, i]} of variable {network.names[i]!r} in row {row + 1} is out of "
            f"range; it has states 0 to {network.cardinalities[i] - 1}",
            path=path,
        )
    return data.astype(codes_dtype(network), order="F")


def _encode_column(
    column: Any, variable: Variable, allow_missing: bool, path: str | Path | None, first_row: int
) -> NDArray[np.int64]:
    """Encode one column by its distinct values."""
    try:
        index, values = factorise(column)
    except UnusableColumnError as error:
        raise InputError(
            f"column {variable.name!r} holds {error}, which are no names of states", path=path
        ) from None
    # The last entry is what index -1, a missing value, picks.
    table = np.array([*codes_of(values, variable.states), MISSING], dtype=np.int64)
    codes = table[index]
    if (table == UNKNOWN).any():
        raise unknown_state(codes == UNKNOWN, index, values, variable, path, first_row)
    if not allow_missing and (table[:-1].min(initial=0) < 0 or index.min() < 0):
        missing = codes == MISSING
        if missing.any():
            raise InputError(
                f"column {variable.name!r} has {int(missing.sum())} missing value(s), the first "
                f"in data row {int(missing.argmax()) + first_row}; complete rows are needed here: "
                "drop those rows or fill them in",
                path=path,
            )
    return codes


def codes_of(values: Sequence[Any], states: Sequence[str]) -> list[int]:
    """Return the code of each value; MISSING for a missing one, UNKNOWN if it is no state."""
    exact = {state: a for a, state in enumerate(states)}
    whole: dict[str, int] = {}
    for a, state in enumerate(states):
        number = whole_number(state)
        if number is not None:
            # Two states with the same number (1 and 1.0) are matched by their exact text only.
            whole[number] = UNKNOWN if number in whole else a

    def code(value: Any) -> int:
        if is_missing(value):
            return MISSING
        texts = _texts(value)
        for text in texts:
            if text in exact:
                return exact[text]
        if value == "":
            return MISSING
        number = whole_number(texts[-1])
        return UNKNOWN if number is None else whole.get(number, UNKNOWN)

    return [code(value) for value in values]


def _texts(value: Any) -> list[str]:
    """Texts that stand for a value, most literal first."""
    if isinstance(value, bool | np.bool_):
        return [str(value), str(value).lower(), str(value).upper(), str(int(value))]
    if isinstance(value, float | np.floating) and np.isfinite(value) and value == int(value):
        return [str(value), str(int(value))]
    return [text_of(value)]


def unknown_values(values: Sequence[Any], states: Sequence[str]) -> list[Any]:
    """Return those of some distinct values that are neither a state nor missing."""
    codes = codes_of(values, states)
    return [value for value, code in zip(values, codes, strict=True) if code == UNKNOWN]


def is_missing_mark(text: str) -> bool:
    """Whether other programs mark a missing value by this text."""
    return text.strip().lower() in _MISSING_MARKS


def whole_number(text: str) -> str | None:
    """Return a whole number without its empty decimals (``"1.0"`` gives ``"1"``), else None."""
    match = _WHOLE.fullmatch(text)
    return None if match is None else "0" if match[1] == "-0" else match[1]


def unknown_state(
    is_unknown: NDArray[np.bool_],
    index: NDArray[np.int64],
    values: Sequence[Any],
    variable: Variable,
    path: str | Path | None,
    first_row: int,
) -> InputError:
    """Say which value is no state, and where it stands first."""
    row = int(is_unknown.argmax())
    value = text_of(values[index[row]])
    n_rows = int(is_unknown.sum())
    n_values = np.unique(index[is_unknown]).size
    count = f"{n_rows} row(s) hold {n_values} such value(s)" if n_rows > 1 else "the only such row"
    return InputError(
        f"column {variable.name!r} has the value {shortened(value)} in data row "
        f"{row + first_row} "
        f"({count}), which is not a state of the variable; its states are: "
        f"{listed(variable.states, 12)}"
        f"{_advice(value, n_values, variable.states)}",
        path=path,
    )


def _advice(value: str, n_values: int, states: Sequence[str]) -> str:
    if is_missing_mark(value):
        return ". If it marks a missing value, leave the cell empty"
    if n_values > _MEASUREMENT:
        return ". The column looks like a measurement: cut it into the states first"
    if value.isdecimal() and int(value) < len(states):
        return ". If these are state codes, give them as an integer numpy array"
    return hint(value, states)
