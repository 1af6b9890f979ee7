"""What BIF and XMLBIF share: numbers checked in bulk, and the network put together."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError, nearest
from dosift.model.network import Network, Variable
from dosift.model.tables import ROW_SUM_TOLERANCE, normalise_rows

#: Most table entries that a network file may ask for, over all variables together.
MAX_ENTRIES = 20_000_000

#: However few digits are printed, a row may be this far from one and no further.
MAX_ROUNDING = 1e-3

_DECIMAL = re.compile(r"[0-9.eE+\-]*")
_SLACK = 1e-12


@dataclass(frozen=True)
class Conditional:
    """The conditional probability table of one variable, as a file states it.

    Attributes
    ----------
    parents : tuple of str
        Names of the parents, in the file's order.
    table : ndarray, shape (n_parent_configurations, n_states)
        Rows that sum to one; the last parent runs fastest.
    """

    parents: tuple[str, ...]
    table: NDArray[np.float64]


def table_size(
    name: str, states: Mapping[str, Sequence[str]], parents: Sequence[str], taken: int
) -> tuple[int, str | None]:
    """Count the rows that a table needs, and say if it is too large to be stored.

    Parameters
    ----------
    name : str
        The variable.
    states : mapping of str to sequence of str
        The states of every variable.
    parents : sequence of str
        The parents of the variable.
    taken : int
        Entries of the tables read so far.

    Returns
    -------
    n_rows : int
        Number of parent configurations.
    complaint : str or None
        What to tell the user if the table is too large.
    """
    n_rows = math.prod(len(states[parent]) for parent in parents)
    n_entries = n_rows * len(states[name])
    if n_entries + taken <= MAX_ENTRIES:
        return n_rows, None
    return n_rows, (
        f"the table of {name!r} needs {n_entries:,} entries ({n_rows:,} parent configurations "
        f"times {len(states[name])} states); dosift stores at most {MAX_ENTRIES:,} in a network. "
        "Use fewer parents or states"
    )


def checked_rows(
    numbers: Sequence[str], n_states: int, name: str, error: Callable[[str, int], InputError]
) -> NDArray[np.float64]:
    """Turn the printed rows of a table into probabilities.

    A row whose sum is off by no more than the rounding of its printed digits (half a unit of the
    last decimal for each entry; at least 1e-6, at most 1e-3) is divided by its sum. Any other
    sum is an error.

    Parameters
    ----------
    numbers : sequence of str
        The numbers as printed, row after row; a multiple of `n_states`.
    n_states : int
        Length of a row.
    name : str
        The variable, named in errors.
    error : callable
        Takes a message and the position of a number; returns the error to raise.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_states)

    Raises
    ------
    InputError
        For text that is no number, a negative number, one above 1, or a wrong sum.
    """
    if not _DECIMAL.fullmatch("".join(numbers)):
        raise error(*_first_non_number(numbers, name))
    try:
        values = np.array(list(map(float, numbers)), dtype=np.float64)
    except ValueError:
        raise error(*_first_non_number(numbers, name)) from None
    for wrong, what in ((values < 0, "is negative"), (values > 1 + MAX_ROUNDING, "is above 1")):
        if wrong.any():
            i = int(wrong.argmax())
            raise error(
                f"{numbers[i]} {what}; a probability in the table of {name!r} is between 0 and 1",
                i,
            )
    rows = values.reshape(-1, n_states)
    off = np.abs(rows.sum(axis=1) - 1)
    for i in np.flatnonzero(off > ROW_SUM_TOLERANCE).tolist():
        printed = numbers[i * n_states : (i + 1) * n_states]
        if off[i] > _rounding(printed) + _SLACK:
            raise error(
                f"a row of the table of {name!r} sums to {rows[i].sum():.9g}, not 1, and rounding "
                "does not explain it; correct the numbers",
                i * n_states,
            )
    return normalise_rows(rows)


def _first_non_number(numbers: Sequence[str], name: str) -> tuple[str, int]:
    for i, number in enumerate(numbers):
        try:
            valid = _DECIMAL.fullmatch(number) is not None
            float(number)
        except ValueError:
            valid = False
        if not valid:
            return f"expected a number in the table of {name!r}, found {shown(number)}", i
    raise AssertionError("every number is valid")  # pragma: no cover


def _rounding(printed: Sequence[str]) -> float:
    """Return the largest error of a row's sum that rounding to the printed digits can make."""
    unit = 0.0
    for number in printed:
        mantissa, _, exponent = number.lower().partition("e")
        decimals = len(mantissa.partition(".")[2])
        unit = max(unit, 10.0 ** min(int(exponent or 0) - decimals, 0)) if decimals else unit
    return min(0.5 * unit * len(printed), MAX_ROUNDING)


def unknown_variable(name: str, known: Iterable[str]) -> str:
    """Say that a name is no variable of a file, and which one may be meant."""
    near = nearest(name, known)
    meant = f"; did you mean {shown(near)}?" if near is not None else ""
    return f"{shown(name)} is not a variable of this file{meant}"


def repeated_position(names: Sequence[str]) -> int:
    """Return the position of the first name that stood there before; names do repeat."""
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            return i
        seen.add(name)
    raise AssertionError("no name repeats")  # pragma: no cover


def shown(text: str, limit: int = 40) -> str:
    """Quote a piece of a file for a message, shortened."""
    return repr(text if len(text) <= limit else text[: limit - 3] + "...")


def assemble(
    states: Mapping[str, tuple[str, ...]],
    conditionals: Mapping[str, Conditional],
    declared: Callable[[str, str], InputError],
    defined: Callable[[str, str], InputError],
) -> Network:
    """Put the parts of a file together.

    Parameters
    ----------
    states : mapping of str to tuple of str
        The declared variables, in order.
    conditionals : mapping of str to Conditional
        The tables.
    declared, defined : callable
        Take a message and a variable; return an error that points at the variable's declaration
        and at its table.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If a variable has no table or the graph has a cycle.
    """
    for name in states:
        if name not in conditionals:
            raise declared(f"variable {name!r} has no probability table; add one", name)
    graph = {name: conditional.parents for name, conditional in conditionals.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        path = cycle.args[1]
        listed = " -> ".join(path if len(path) <= 12 else [*path[:11], "...", path[-1]])
        raise defined(
            f"the parents form a cycle: {listed}; a causal graph has none", path[-1]
        ) from None
    position = {name: i for i, name in enumerate(states)}
    return Network(
        [Variable(name, values) for name, values in states.items()],
        [[position[p] for p in conditionals[name].parents] for name in states],
        [conditionals[name].table for name in states],
    )
