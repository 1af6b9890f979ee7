"""Likelihood ratios of targets on the rows of a block.

Rows of a block hardly repeat, so nothing is collapsed here; what makes it fast is that codes and
cells of tables are small integers, and that a column of likelihoods costs one product for each
variable that its target sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.factors import MechanismFactors
from dosift.model.categorical import CategoricalMechanism
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Largest logarithm of a likelihood ratio up to which rows need no scale of their own.
_LARGEST_LOG = 600.0


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


@dataclass(frozen=True)
class TargetColumns:
    """Computes likelihoods of targets, relative to the reference measure.

    Attributes
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    """

    network: Network
    targets: Ints

    @cached_property
    def is_plain(self) -> bool:
        """Whether tables say all, and no row is impossible or out of double precision's range."""
        if not self.network.is_positive:
            return False
        largest = 0.0
        for i in self._set_variables:
            mechanism = self.network.mechanisms[i]
            if not isinstance(mechanism, CategoricalMechanism):
                return False
            largest -= float(np.log(mechanism.table.min()))
        return largest < _LARGEST_LOG

    @cached_property
    def _set_variables(self) -> NDArray[np.int64]:
        return np.flatnonzero((self.targets >= 0).any(axis=0))

    def __call__(self, codes: Ints) -> tuple[Floats, Floats | float]:
        """Compute the likelihoods of a block.

        Parameters
        ----------
        codes : ndarray of int, shape (n_rows, n_variables)
            Without missing values.

        Returns
        -------
        columns : ndarray, shape (n_rows, n_targets), column-major
        log_scale : ndarray, shape (n_rows,), or 0.0
            Logarithm by which a row's likelihoods were divided.
        """
        if not self.is_plain:
            factors = MechanismFactors(self.network, codes)
            return factors.columns(self.targets), factors.log_scale
        inverse = {int(i): self._inverse(int(i), codes) for i in self._set_variables}
        columns = np.empty((len(codes), len(self.targets)), order="F")
        for t, target in enumerate(self.targets):
            column = columns[:, t]
            is_set = np.flatnonzero(target >= 0)
            if not is_set.size:
                column[:] = 1.0
                continue
            matches = codes[:, is_set[0]] == target[is_set[0]]
            for i in is_set[1:]:
                matches &= codes[:, i] == target[i]
            np.multiply(inverse[int(is_set[0])], matches, out=column)
            for i in is_set[1:]:
                column *= inverse[int(i)]
        return columns, 0.0

    def _inverse(self, i: int, codes: Ints) -> Floats:
        """Compute ``1 / p`` of a variable on each row."""
        mechanism = self.network.mechanisms[i]
        assert isinstance(mechanism, CategoricalMechanism)  # or the columns were not plain
        out: Floats = np.take(inverse_table(mechanism.table).ravel(), _cells(mechanism, codes))
        return out
