"""Encode tables of numbers and states: what a network of any mechanisms is fitted to."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.encode import UNKNOWN, codes_of, is_missing_mark, unknown_state, whole_number
from dosift.data.factorise import UnusableColumnError, factorise, text_of
from dosift.data.further import further_columns
from dosift.data.messages import check_names, listed, notice_of_extra, shortened
from dosift.data.parts import Part, Parts, parse
from dosift.data.side_columns import SideColumn, TextCodes, check_named, side_column
from dosift.errors import ExtraColumnsWarning, InputError
from dosift.model.network import Variable

Floats = NDArray[np.float64]

#: States up to which a discrete column is believed: in control rows, and further ones in others.
MOST_STATES, MOST_NEW = 1000, 100
#: Names that a message lists.
_LISTED = 12
#: Sizes below this one count as it.
_LEAST_SIZE = 1e-12


@dataclass(frozen=True)
class Numbers:
    """Rows as numbers in the users' units, in the input's order.

    Attributes
    ----------
    variables : tuple of Variable
        A discrete one with the states that were given or found, in the order of their codes.
    values : ndarray of float64, shape (n_rows, n_variables)
        Column-major; codes of states where a variable is discrete; NaN where a value is missing.
    beside : dict of str to SideColumn
        The columns that were asked for beside the variables.
    library : str
        The library of the table, as in :class:`~dosift.data.Encoded`.
    path : str or Path, optional
        The file, for messages.
    further : tuple of SideColumn
        What the first rows hold in further columns
        (:func:`~dosift.data.further.further_columns`).
    """

    variables: tuple[Variable, ...]
    values: Floats
    beside: Mapping[str, SideColumn] = field(default_factory=dict)
    library: str = "polars"
    path: str | Path | None = None
    further: tuple[SideColumn, ...] = ()

    def recoded(self, variables: Sequence[Variable]) -> Numbers:
        """Return the same rows with codes of other lists of states.

        Parameters
        ----------
        variables : sequence of Variable
            The same, with at least the same states, in whatever order.

        Returns
        -------
        Numbers
        """
        if all(a.states == b.states for a, b in zip(self.variables, variables, strict=True)):
            return replace(self, variables=tuple(variables))
        values = self.values.copy(order="F")
        for i, (old, new) in enumerate(zip(self.variables, variables, strict=True)):
            if old.states != new.states:
                # The last entry is what position -1, a missing value, picks.
                table = np.array([*(new.states.index(s) for s in old.states), np.nan])
                values[:, i] = table[np.nan_to_num(values[:, i], nan=-1).astype(np.int64)]
        return replace(self, variables=tuple(variables), values=values)


def read_numbers(
    source: Any,
    variables: Sequence[Variable],
    *,
    is_control: bool = False,
    grows: Iterable[str] = (),
    free: Iterable[str] = (),
    beside: Iterable[str] = (),
    ignore: Iterable[str] = (),
    layer: str | None = None,
) -> Numbers:
    """Read (where a path is given) and encode a table of any kinds of columns.

    Parameters
    ----------
    source : dataframe, mapping of columns, ndarray, str or Path
        Any table that narwhals takes, or a file or folder for :func:`~dosift.read_rows`, which is
        read a part at a time. An array only where no variable is discrete, in their order.
    variables : sequence of Variable
        Names and kinds; a discrete one with the states that are known.
    is_control : bool, default=False
        Whether these are control rows: values must not be missing, and all states of discrete
        columns in `grows` are taken for such.
    grows : iterable of str
        Discrete variables that get the states that only this table shows.
    free : iterable of str
        Those of them whose new states may be decimal numbers though no known one is.
    beside : iterable of str
        Columns that are no variables, of which the texts are taken.
    ignore : iterable of str
        Columns that are no variables, about which there is no notice.
    layer : str, optional
        Of a .h5ad file, the layer to read.

    Returns
    -------
    Numbers

    Raises
    ------
    InputError
        If the table cannot be read, has no rows, lacks a column, or holds a value that its
        column's kind has not; with file, column, row and value.

    Warns
    -----
    ExtraColumnsWarning
        If there are columns that were not asked for; they are ignored.

    Examples
    --------
    >>> variables = (Variable("a", kind="continuous"), Variable("b", ("no", "yes")))
    >>> read_numbers({"a": ["1.5", ""], "b": ["yes", "no"]}, variables).values.tolist()
    [[1.5, 1.0], [nan, 0.0]]
    """
    names = [name for variable in variables for name in variable.columns]
    names, named = list(dict.fromkeys(names)), list(dict.fromkeys(beside))
    may, freely = frozenset(grows), frozenset(free)
    readers = [_reader(v, is_control, v.name in may, v.name in freely) for v in variables]
    parts = Parts(_table(source, variables), tuple(dict.fromkeys([*names, *named])), layer)
    texts = {name: TextCodes() for name in named}
    found: list[list[Floats]] = [[] for _ in variables]
    codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in named}
    extra: dict[str, None] = {}
    further: tuple[SideColumn, ...] = ()
    library, n_rows = "polars", 0
    for part in parts:
        columns = [*part.columns, *part.others]
        check_names(columns, names, part.path)
        check_named(columns, named, part.path)
        extra |= dict.fromkeys(part.others)
        further = further or further_columns(part.beside)
        library = part.library
        n_rows += part.n_rows
        if not part.n_rows:
            continue
        for reader, column in zip(readers, found, strict=True):
            column.append(reader.read(part))
        for name in named:
            own = side_column(part.columns[name], part.n_rows, f"column {name!r}", part.path)
            codes[name].append(texts[name].add(own))
    if not n_rows:
        raise InputError("the table has no rows", path=parts.path)
    _tell_extra([name for name in extra if name not in set(ignore)], parts.path)
    values = np.empty((n_rows, len(readers)), order="F")
    for i, column in enumerate(found):
        np.concatenate(column, out=values[:, i])
        column.clear()
    return Numbers(
        tuple(reader.variable for reader in readers),
        values,
        {name: _side(name, texts[name].texts, codes[name], parts.path) for name in named},
        "numpy" if isinstance(source, np.ndarray) else library,
        parts.path,
        further,
    )


def _tell_extra(extra: Sequence[str], path: str | Path | None) -> None:
    if extra:
        warnings.warn(notice_of_extra(extra, path), ExtraColumnsWarning, stacklevel=3)


def _side(
    name: str,
    texts: Sequence[str],
    codes: Sequence[NDArray[np.int32]],
    path: str | Path | None,
) -> SideColumn:
    """Put the parts of a column of texts together."""
    ordered = sorted(texts)
    rank = {text: k for k, text in enumerate(ordered)}
    place = np.array([*(rank[text] for text in texts), -1], dtype=np.int64)
    where = None if path is None else str(path)
    return SideColumn(tuple(ordered), place[np.concatenate(codes)], f"column {name!r}", where)


def _table(source: Any, variables: Sequence[Variable]) -> Any:
    """Give the columns of an array their names."""
    if isinstance(source, list):
        source = np.asarray(source)
    if not isinstance(source, np.ndarray):
        return source
    variables = [one for one in variables if not one.total_of]
    n = len(variables)
    if source.ndim != 2 or source.shape[1] != n:
        raise InputError(
            f"an array of rows must have shape (n_rows, {n}), one column for each variable; this "
            f"one has shape {source.shape}"
        )
    named = next((one.name for one in variables if one.kind == "discrete"), None)
    if named is not None:
        raise InputError(
            f"an array has no names of states, and variable {named!r} is discrete; give a dataframe"
        )
    return {one.name: source[:, i] for i, one in enumerate(variables)}


# -- one column -----------------------------------------------------------------------------------


@dataclass
class _States:
    """Reads a discrete column; states that may be added are, in the order of their appearance."""

    variable: Variable
    is_control: bool
    grows: bool
    free: bool

    def __post_init__(self) -> None:
        self._known = self.variable.states

    def read(self, part: Part) -> Floats:
        """Return codes of states."""
        name = self.variable.name
        try:
            index, distinct = factorise(part.columns[name])
        except UnusableColumnError as error:
            raise InputError(
                f"column {name!r} holds {error}, which are no names of states", path=part.path
            ) from None
        found = codes_of(distinct, self.variable.states)
        if self.grows and UNKNOWN in found:
            self._grow([v for v, code in zip(distinct, found, strict=True) if code == UNKNOWN])
            found = codes_of(distinct, self.variable.states)
        # The last entry is what index -1, a missing value, picks.
        table = np.array([*found, -1], dtype=np.int64)
        codes = table[index]
        where = part.path, part.first_row
        if UNKNOWN in found:
            own = replace(self.variable, states=self._known)
            self._check_kind(distinct, codes == UNKNOWN, index, part)
            raise unknown_state(codes == UNKNOWN, index, distinct, own, *where)
        values = codes.astype(np.float64)
        values[codes < 0] = np.nan
        _check_complete(values, name, self.is_control, part)
        return values

    def _grow(self, unknown: Sequence[Any]) -> None:
        names = dict.fromkeys(_name_of(value, self._known) for value in unknown)
        if not self.is_control:
            names = dict.fromkeys(
                name for name in names if not is_missing_mark(name) and self._is_alike(name)
            )
        states = (*self.variable.states, *names)
        most = MOST_STATES if self.is_control else len(self._known) + MOST_NEW
        if len(states) <= most:
            self.variable = replace(self.variable, states=states)
        elif self.is_control:
            raise InputError(
                f"column {self.variable.name!r} has more than {MOST_STATES:,} distinct values, "
                "which are too many for states; leave the column out, or group them first"
            )

    def _is_alike(self, name: str) -> bool:
        """Whether a new state is no measurement beside states that are none."""
        return self.free or not is_decimal(name) or any(map(is_decimal, self._known))

    def _check_kind(
        self,
        distinct: Sequence[Any],
        unknown: NDArray[np.bool_],
        index: NDArray[np.int64],
        part: Part,
    ) -> None:
        """Refuse measurements in a column that holds states in the control rows."""
        row = int(unknown.argmax())
        value = text_of(distinct[index[row]])
        if self.grows and not self._is_alike(value):
            raise InputError(
                f"column {self.variable.name!r} holds {shortened(value)} in data row "
                f"{row + part.first_row}, and states in the control rows: "
                f"{listed(self._known, _LISTED)}. Both tables must hold the same kind: correct "
                "one of them, or say which it is (--continuous, --counts, --discrete, kinds=)",
                path=part.path,
            )


@dataclass
class _Measurements:
    """Reads a column of measurements or counts."""

    variable: Variable
    is_control: bool

    def read(self, part: Part) -> Floats:
        """Return numbers."""
        name = self.variable.name
        parsed = parse(part.columns[name])
        if parsed.others.size:
            first = int(parsed.others[0])
            raise self._error(
                f"{shortened(parsed.text(first))}, which is no number,",
                first,
                parsed.others.size,
                part,
                _advice(parsed.text(first)),
            )
        values = parsed.values
        infinite = np.isinf(values)
        if infinite.any():
            raise self._first("infinity", infinite, part, "leave the cell empty if it is missing")
        if self.variable.kind == "count":
            self._check_counts(values, part)
        _check_complete(values, name, self.is_control, part)
        return values

    def _check_counts(self, values: Floats, part: Part) -> None:
        known = np.nan_to_num(values, nan=0.0)
        advice = (
            "counts are whole numbers that are not negative; correct it, or say that the column "
            "is continuous (--continuous, kinds=)"
        )
        for bad in (known < 0, known != np.floor(known)):
            if bad.any():
                raise self._first(f"{values[bad.argmax()]:.12g}", bad, part, advice)

    def _first(self, what: str, bad: NDArray[np.bool_], part: Part, advice: str) -> InputError:
        return self._error(what, int(bad.argmax()), int(bad.sum()), part, advice)

    def _error(self, what: str, row: int, n_rows: int, part: Part, advice: str) -> InputError:
        others = f" ({n_rows} such rows)" if n_rows > 1 else ""
        kind = "counts" if self.variable.kind == "count" else "continuous"
        control = "" if self.is_control else " in the control rows"
        return InputError(
            f"column {self.variable.name!r} holds {what} in data row {row + part.first_row}"
            f"{others}, and is {kind}{control}: {advice}",
            path=part.path,
        )


@dataclass
class _Sizes:
    """Reads what counts are relative to: a column, or the total of several."""

    variable: Variable
    is_control: bool

    def read(self, part: Part) -> Floats:
        """Return sizes."""
        if self.variable.total_of:
            counts = [Variable(name, kind="count") for name in self.variable.total_of]
            columns = (_Measurements(one, self.is_control).read(part) for one in counts)
            shares = self.variable.shares or (1.0,) * len(counts)
            out = np.zeros(part.n_rows)
            for name, share, column in zip(self.variable.total_of, shares, columns, strict=True):
                _check_complete(column, name, True, part, "the total of a row needs all counts")
                out += share * column
            return out
        reader = _Measurements(replace(self.variable, kind="continuous"), self.is_control)
        values = reader.read(part)
        # Where it is missing there is nothing to relate counts to.
        _check_complete(values, self.variable.name, True, part, "every row needs its size")
        small = values <= 0.0
        if small.any():
            row = int(small.argmax())
            raise InputError(
                f"column {self.variable.name!r} holds {values[row]:.12g} in data row "
                f"{row + part.first_row} ({int(small.sum())} such row(s)), and is the size that "
                "counts are relative to, which is positive: leave these rows out",
                path=part.path,
            )
        return values


@dataclass
class _Factors:
    """Reads weighted sums of logarithms of counts for their size."""

    variable: Variable
    is_control: bool

    def read(self, part: Part) -> Floats:
        """Return factors."""
        size = self.variable.relative_to
        assert size is not None
        sizes = _Sizes(size, self.is_control).read(part)
        out = np.zeros(part.n_rows)
        for name, share in zip(self.variable.total_of, self.variable.shares, strict=True):
            counts = _Measurements(Variable(name, kind="count"), self.is_control).read(part)
            out += share * log_rates(counts, sizes, self.variable)
        return out


def log_rates(counts: Floats, sizes: Floats, factor: Variable) -> Floats:
    """Return the logarithm of one and what counts would be in a row of typical size.

    Parameters
    ----------
    counts, sizes : ndarray, shape (n_rows,)
    factor : Variable
        Says which size is typical.

    Returns
    -------
    ndarray, shape (n_rows,)

    Examples
    --------
    >>> factor = Variable("f", typical=10.0)
    >>> log_rates(np.array([3.0, 3.0]), np.array([10.0, 20.0]), factor).round(3)
    array([1.386, 0.916])
    """
    # A total of counts may be 0; then so are all counts.
    return np.asarray(np.log1p(counts * (factor.typical / np.maximum(sizes, _LEAST_SIZE))))


def _reader(
    variable: Variable, is_control: bool, grows: bool, free: bool
) -> _States | _Measurements | _Sizes | _Factors:
    if variable.kind == "discrete":
        return _States(variable, is_control, grows, free)
    if variable.kind == "size":
        return _Sizes(variable, is_control)
    if variable.kind == "factor":
        return _Factors(variable, is_control)
    return _Measurements(variable, is_control)


def _check_complete(
    values: Floats,
    name: str,
    is_needed: bool,
    part: Part,
    why: str = "control rows must be complete",
) -> None:
    missing = np.isnan(values)
    if is_needed and missing.any():
        raise InputError(
            f"column {name!r} has a missing value in data row "
            f"{int(missing.argmax()) + part.first_row}; {why}: drop the rows with missing values "
            "or fill them in",
            path=part.path,
        )


def _name_of(value: Any, known: Sequence[str]) -> str:
    """Name a new state; a whole number without decimals, unless the known ones have them."""
    text = text_of(value)
    if any(whole_number(state) not in {None, state} for state in known):
        return text
    return whole_number(text) or text


def is_decimal(text: str) -> bool:
    """Tell whether a text is a number that is not whole.

    Examples
    --------
    >>> is_decimal("0.5"), is_decimal("1.0"), is_decimal("low")
    (True, False, False)
    """
    try:
        number = float(text)
    except ValueError:
        return False
    return bool(np.isfinite(number) and number != np.floor(number))


def _advice(text: str) -> str:
    """Say what to do about a text among numbers."""
    if is_missing_mark(text):
        return "if it marks a missing value, leave the cell empty"
    if "," in text and _is_number(text.replace(",", ".")):
        return "write a point before the decimals"
    return (
        "correct it, leave the cell empty if it is missing, or say that the column is discrete "
        "(--discrete, kinds=)"
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
