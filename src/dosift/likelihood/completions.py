"""Rows with missing values as sums over complete ones.

Pure array code. The probability of a row with missing values is the sum of the probabilities of
its completions. A missing value that no observed one depends on sums to one by itself and stays
open (-1, NaN): only the others are filled in, states with every one of them, numbers with weighted
points (:mod:`dosift.likelihood.missing_numbers`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.likelihood.missing_numbers import points_of
from dosift.model.arrays import Bools, Floats, Values
from dosift.model.covariate import CovariateMechanism
from dosift.model.mechanism import System, missing

#: Codes (completions times variables) that completions may hold: half a gigabyte; numbers.
_MOST_CODES, _MOST_NUMBERS = 2**28, 2**25
#: Values that stand for those of a column that is only conditioned on, and points that a missing
#: number takes, about.
_HELD, _POINTS = 16, 64


@dataclass(frozen=True)
class Completions:
    """Completions of rows with missing values.

    Attributes
    ----------
    codes : ndarray, shape (n_completions, n_variables)
        State codes or numbers; -1 or NaN where a value stays open.
    first : ndarray of int64, shape (n_rows,)
        The first completion of each row; those of a row follow each other.
    log_weight : ndarray, shape (n_completions,), or None
        Logarithm of what each counts in the sum; None for 0 throughout.
    """

    codes: Values
    first: NDArray[np.int64]
    log_weight: Floats | None = None

    @property
    def row(self) -> NDArray[np.int64]:
        """The row that each completion belongs to."""
        numbers = np.diff(np.append(self.first, len(self.codes)))
        return np.repeat(np.arange(self.first.size), numbers)


def complete(network: System, codes: Values) -> Completions:
    """Fill in the missing values that observed ones depend on.

    Parameters
    ----------
    network : System
    codes : ndarray, shape (n_rows, n_variables)
        State codes, -1 for missing; or numbers on the working scales, NaN for missing.

    Returns
    -------
    Completions

    Raises
    ------
    InputError
        If there are too many completions to hold.

    Examples
    --------
    >>> from dosift.model import Network
    >>> network = Network.from_tables(
    ...     {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": np.eye(2)}
    ... )
    >>> complete(network, np.array([[-1, 1], [0, -1]])).codes.tolist()
    [[0, 1], [1, 1], [0, -1]]
    """
    to_fill = _missing_and_needed(network, codes)
    listed = [_values_of(network, i) for i in range(network.n_variables)]
    sizes = np.array([_POINTS if own is None else own.size for own in listed], dtype=np.float64)
    is_number = np.array([own is None for own in listed])
    _check_size(network, to_fill, sizes, is_number)
    row, log_weight = np.arange(len(codes)), np.zeros(len(codes))
    codes = np.ascontiguousarray(codes)
    for i in np.flatnonzero(to_fill.any(axis=0) & ~is_number):
        own = listed[i]
        assert own is not None
        here = to_fill[row, i]
        times = np.where(here, own.size, 1)
        first = np.cumsum(times) - times
        again = np.repeat(np.arange(row.size), times)
        codes, row, log_weight = codes[again], row[again], log_weight[again]
        place = np.arange(row.size) - first[again]
        codes[:, i] = np.where(here[again], own[place], codes[:, i])
        if isinstance(network.mechanisms[i], CovariateMechanism):
            log_weight -= np.where(here[again], np.log(own.size), 0.0)
    if (to_fill & is_number).any():
        found = points_of(network, codes, (to_fill & is_number)[row])
        codes, row = found.values, row[found.row]
        log_weight = log_weight[found.row] + found.log_weight
    first = np.flatnonzero(np.diff(row, prepend=-1))
    return Completions(np.asfortranarray(codes), first, log_weight if log_weight.any() else None)


def _values_of(network: System, i: int) -> NDArray[np.generic] | None:
    """All values of a variable, or some that stand for them; None where they are numbers."""
    mechanism = network.mechanisms[i]
    if isinstance(mechanism, CovariateMechanism):
        inner = (np.arange(_HELD) + 0.5) / _HELD
        return np.quantile(np.asarray(mechanism.held, dtype=np.float64), inner)
    n_states = int(network.cardinalities[i])
    return np.arange(n_states) if n_states else None


def _missing_and_needed(network: System, codes: Values) -> Bools:
    """Missing values from which a directed path leads to an observed one."""
    lacks = missing(codes)
    needed = np.zeros_like(lacks)
    for i in network.order[::-1]:
        is_used = ~lacks[:, i] | needed[:, i]
        for p in network.parents[i]:
            needed[:, p] |= is_used
    return lacks & needed


def _check_size(network: System, to_fill: Bools, sizes: Floats, is_number: Bools) -> None:
    """Refuse more completions than fit in memory."""
    with np.errstate(over="ignore"):
        numbers = np.where(to_fill & ~is_number, sizes, 1.0).prod(axis=1)
        numbers *= np.where((to_fill & is_number).any(axis=1), _POINTS, 1.0)
    most = _MOST_NUMBERS if is_number.any() else _MOST_CODES
    if numbers.sum() * network.n_variables > most:
        _refuse(network, to_fill, numbers)


def _refuse(network: System, to_fill: Bools, numbers: Floats) -> None:
    worst = int(numbers.argmax())
    often = int(to_fill.sum(axis=0).argmax())
    name = getattr(network, "names", tuple(f"x{i}" for i in range(network.n_variables)))[often]
    raise InputError(
        f"the missing values have {numbers.sum():.1e} completions over {network.n_variables} "
        f"variables, more than fit in memory; leave out the rows with the most missing values (one "
        f"has {int(to_fill[worst].sum())}), or the variable that lacks most, "
        f"{name!r}, if nothing sets it"
    )
