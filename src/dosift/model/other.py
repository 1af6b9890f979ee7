"""Rows of another origin: the one change that replaces every mechanism at once.

A row that comes from elsewhere follows none of the network's mechanisms. As a target it changes
all variables: each is drawn from shares of its states that the network remembers
(:attr:`~dosift.model.network.Network.other`), of numbers from
:class:`~dosift.model.other_numbers.OtherNumbers`, whatever its parents are. So it has a column of
likelihoods as any other target has, and a line in every table, where it is called ``other``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.other_numbers import OtherNumbers

#: Position, in every library of states, of "drawn from the shares of rows from elsewhere". The
#: search never proposes it.
OTHER: Final = int(np.iinfo(np.int16).max)
#: What it is called in tables and files.
OTHER_TEXT: Final = "other"


def other_target(n_variables: int) -> NDArray[np.int16]:
    """Return the target of rows from elsewhere.

    Parameters
    ----------
    n_variables : int

    Returns
    -------
    ndarray of int, shape (n_variables,)
    """
    return np.full(n_variables, OTHER, dtype=np.int16)


def is_other(targets: Ints) -> Bools:
    """Tell which targets are that of rows from elsewhere.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables) or (n_variables,)

    Returns
    -------
    ndarray of bool, shape (n_targets,) or ()

    Examples
    --------
    >>> is_other(np.array([[-1, 0], [32767, 32767]])).tolist()
    [False, True]
    """
    return np.asarray(targets[..., 0] == OTHER, dtype=np.bool_)


def interventions(targets: Ints) -> Ints:
    """Return targets as what was done: rows from elsewhere are no intervention on any variable.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    ndarray of int, shape (n_targets, n_variables)
        The same where there are none.
    """
    other = is_other(targets)
    if not other.any():
        return targets
    out: Ints = np.where(other[:, None], np.int16(-1), targets)
    return out


def log_other(shares: Sequence[Floats] | OtherNumbers, values: NDArray[Any]) -> Floats:
    """Log-probability of rows from elsewhere.

    Parameters
    ----------
    shares : sequence of ndarray, or OtherNumbers
        For each variable, the share of each of its states; or what a network of numbers knows.
    values : ndarray, shape (n_rows, n_variables)
        State codes or numbers; -1 or NaN for a missing value, which is summed out.

    Returns
    -------
    ndarray, shape (n_rows,)

    Examples
    --------
    >>> np.exp(log_other([np.array([0.25, 0.75])], np.array([[1], [-1]]))).round(2).tolist()
    [0.75, 1.0]
    """
    if isinstance(shares, OtherNumbers):
        return shares.log_density(values)
    out = np.zeros(len(values))
    for i, own in enumerate(shares):
        # Position -1, a missing value, picks the last entry.
        out += np.append(np.log(own), 0.0)[values[:, i]]
    return out
