"""Cells of tables: where a row lies in that of a variable, and what it says there."""

from __future__ import annotations

import numpy as np

from dosift.model.arrays import Floats, Ints
from dosift.model.categorical import CategoricalMechanism
from dosift.model.network import Network


def family_cells(network: Network, i: int, codes: Ints) -> Ints:
    """Position of each row in a variable's table, as a small integer.

    Parameters
    ----------
    network : Network
    i : int
        Position of the variable.
    codes : ndarray of int, shape (n_rows, n_variables)
        Without missing values.

    Returns
    -------
    ndarray of int, shape (n_rows,)

    Examples
    --------
    >>> network = Network.from_tables(
    ...     {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]},
    ...     {"a": [0.5, 0.5], "b": [[0.5, 0.5], [0.5, 0.5]]},
    ... )
    >>> family_cells(network, 1, np.array([[0, 1], [1, 0]])).tolist()
    [1, 2]
    """
    return _cells(network.mechanisms[i], codes)


def _cells(mechanism: CategoricalMechanism, codes: Ints) -> Ints:
    size = mechanism.table.size
    kind = np.dtype(np.int8 if size < 2**7 else np.int16 if size < 2**15 else np.int64)
    cells: Ints = np.zeros(len(codes), dtype=kind)
    family = (*mechanism.parents, mechanism.variable)
    for j, n_states in zip(family, (*mechanism.sizes, mechanism.table.shape[1]), strict=True):
        # Scalars of the same small type, or the product would be widened.
        cells *= kind.type(n_states)
        cells += codes[:, j].astype(kind, copy=False)
    return cells


def inverse_table(table: Floats) -> Floats:
    """Return ``1 / p`` for each entry of a table, 0 where that is not finite."""
    return np.divide(1.0, table, out=np.zeros_like(table), where=table > 0)
