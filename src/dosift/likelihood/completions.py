"""Rows with missing values as sums over complete ones.

Pure array code. The probability of a row with missing values is the sum of the probabilities of
its completions. A missing value that no observed one depends on sums to one by itself and stays
open (-1): only the others are filled in with every state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.model.network import Network

Ints = NDArray[np.integer]

#: Codes (completions times variables) that completions may hold: half a gigabyte.
_MOST_CODES = 2**28


@dataclass(frozen=True)
class Completions:
    """Completions of rows with missing values.

    Attributes
    ----------
    codes : ndarray of int, shape (n_completions, n_variables)
        State codes; -1 where a value stays open.
    first : ndarray of int64, shape (n_rows,)
        The first completion of each row; those of a row follow each other.
    """

    codes: Ints
    first: NDArray[np.int64]

    @property
    def row(self) -> NDArray[np.int64]:
        """The row that each completion belongs to."""
        numbers = np.diff(np.append(self.first, len(self.codes)))
        return np.repeat(np.arange(self.first.size), numbers)


def complete(network: Network, codes: Ints) -> Completions:
    """Fill in the missing values that observed ones depend on with every state.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_rows, n_variables)
        State codes, -1 for missing.

    Returns
    -------
    Completions

    Raises
    ------
    InputError
        If there are too many completions to hold.

    Examples
    --------
    >>> network = Network.from_tables(
    ...     {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": np.eye(2)}
    ... )
    >>> complete(network, np.array([[-1, 1], [0, -1]])).codes.tolist()
    [[0, 1], [1, 1], [0, -1]]
    """
    to_fill = _missing_and_needed(network, codes)
    sizes = network.cardinalities
    with np.errstate(over="ignore"):
        numbers = np.where(to_fill, sizes.astype(np.float64), 1.0).prod(axis=1)
    if numbers.sum() * network.n_variables > _MOST_CODES:
        _refuse(network, to_fill, numbers)
    row = np.arange(len(codes))
    codes = np.ascontiguousarray(codes)
    for i in np.flatnonzero(to_fill.any(axis=0)):
        here = to_fill[row, i]
        times = np.where(here, sizes[i], 1)
        first = np.cumsum(times) - times
        again = np.repeat(np.arange(row.size), times)
        codes, row = codes[again], row[again]
        state = np.arange(row.size) - first[again]
        codes[:, i] = np.where(here[again], state, codes[:, i])
    return Completions(np.asfortranarray(codes), np.flatnonzero(np.diff(row, prepend=-1)))


def _missing_and_needed(network: Network, codes: Ints) -> NDArray[np.bool_]:
    """Missing values from which a directed path leads to an observed one."""
    missing = np.asarray(codes < 0)
    needed = np.zeros_like(missing)
    for i in network.order[::-1]:
        is_used = ~missing[:, i] | needed[:, i]
        for p in network.parents[i]:
            needed[:, p] |= is_used
    return missing & needed


def _refuse(network: Network, to_fill: NDArray[np.bool_], numbers: NDArray[np.float64]) -> None:
    worst = int(numbers.argmax())
    often = int(to_fill.sum(axis=0).argmax())
    raise InputError(
        f"the missing values have {numbers.sum():.1e} completions over {network.n_variables} "
        f"variables, more than fit in memory; leave out the rows with the most missing values (one "
        f"has {int(to_fill[worst].sum())}), or the variable that lacks most, "
        f"{network.names[often]!r}, if nothing sets it"
    )
