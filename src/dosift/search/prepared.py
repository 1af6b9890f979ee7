"""Rows, collapsed to what matters for some variables, as a search problem."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import MISSING as FREE
from dosift.data.configurations import Configurations
from dosift.likelihood.factors import MechanismFactors
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.problem import SearchProblem


@dataclass(frozen=True)
class PreparedSearch:
    """A search problem in topological order, and the way back to the network's variables.

    Attributes
    ----------
    problem : SearchProblem
    variables : ndarray of int
        Network positions of the problem's variables, in topological order.
    closure : ndarray of int
        Network positions of these and of their parents, in topological order: all that the
        likelihood ratios depend on.
    first_difference : ndarray of int, shape (n_configurations,)
        First column of the closure in which a configuration differs from the one before.
    """

    problem: SearchProblem
    variables: NDArray[np.int64]
    closure: NDArray[np.int64]
    first_difference: NDArray[np.int64]

    def to_network(self, targets: Ints, n_variables: int) -> NDArray[np.int16]:
        """Return targets in the network's order of variables."""
        out = np.full((len(targets), n_variables), FREE, dtype=np.int16)
        out[:, self.variables] = targets
        return out

    def from_network(self, targets: Ints) -> NDArray[np.int16]:
        """Return targets over the problem's variables."""
        return np.ascontiguousarray(targets[:, self.variables], dtype=np.int16)


def prepare(
    network: Network,
    configurations: Configurations,
    variables: tuple[int, ...] | None = None,
    constraints: Constraints | None = None,
) -> PreparedSearch:
    """Collapse rows to what matters for some variables, in topological order.

    Parameters
    ----------
    network : Network
    configurations : Configurations
        Without missing values.
    variables : tuple of int, optional
        Variables that targets may set; all by default.
    constraints : Constraints, optional
        What is known about targets, in the network's order of variables.

    Returns
    -------
    PreparedSearch
    """
    known = constraints or Constraints.none(network.n_changes)
    allowed = set(range(network.n_variables) if variables is None else variables)
    needed = allowed.union(*(network.parents[i] for i in allowed))
    searched = np.array([i for i in network.order if i in allowed], dtype=np.int64)
    closure = np.array([i for i in network.order if i in needed], dtype=np.int64)
    projected = replace(configurations, codes=configurations.codes[:, closure]).collapsed(
        network.cardinalities[closure]
    )
    ordered = projected.codes
    # Units have no prefixes in common.
    first_difference = np.full(projected.counts.size, -1, dtype=np.int64)
    if ordered.size and projected.first is None:
        first_difference[1:] = (ordered[1:] != ordered[:-1]).argmax(axis=1)
    codes = np.zeros((len(ordered), network.n_variables), dtype=ordered.dtype, order="F")
    codes[:, closure] = ordered
    factors = MechanismFactors(
        network, codes, tuple(int(i) for i in searched), first=projected.first
    )
    score = known.score(projected.total, network.libraries, searched)
    dense = None
    is_closed = searched.size == network.n_variables and factors.is_exclusive
    if is_closed and projected.first is None:
        dense = partial(_inverse_mechanisms, network, searched)
    problem = SearchProblem(factors, projected.counts, score, dense, known.restricted(searched))
    return PreparedSearch(problem, searched, closure, first_difference)


def _inverse_mechanisms(network: Network, order: NDArray[np.int64]) -> list[Floats]:
    """Tabulate ``1 / p_j`` over all cells of the first j + 1 variables of a topological order."""
    sizes = [int(network.cardinalities[i]) for i in order]
    out = []
    for j, i in enumerate(order):
        cells = np.indices(sizes[: j + 1]).reshape(j + 1, -1)
        codes = np.zeros((cells.shape[1], network.n_variables), dtype=np.int64)
        codes[:, order[: j + 1]] = cells.T
        # No row lies in a cell of probability zero where this is used, so 0 stands for 1 / 0.
        mechanism = network.mechanisms[i]
        cell = mechanism.table.ravel()[mechanism.cells(codes)]
        out.append(np.divide(1.0, cell, out=np.zeros_like(cell), where=cell > 0))
    return out
