"""What one graph makes of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dosift.graphs.dag import Parents
from dosift.graphs.family import Family
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import Library

#: Least density of a row.
TINY = 1e-300


@dataclass(frozen=True)
class GraphFit:
    """What one graph makes of the rows.

    Attributes
    ----------
    graph : Parents
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    families : tuple of Family
    libraries : tuple of Library
        The changes that targets are made of.
    log_density : tuple of ndarray, shape (n_rows,)
        Of each variable without a change.
    least : tuple of ndarray or None
        What these are not below (:meth:`~dosift.graphs.family.Families.ratios`).
    ratios : ndarray, shape (n_rows, n_targets)
        Likelihoods of the targets, relative to the undisturbed network.
    density : ndarray, shape (n_rows,)
        Of the mixture, likewise.
    score : float
        The joint penalised log-likelihood, in nats.
    """

    graph: Parents
    targets: Ints
    weights: Floats
    families: tuple[Family, ...]
    libraries: tuple[Library, ...]
    log_density: tuple[Floats, ...]
    least: tuple[Floats | None, ...]
    ratios: Floats
    density: Floats
    score: float


def used(column: Ints) -> list[int]:
    """Positions of the changes of a variable that targets make."""
    return [int(position) for position in np.unique(column) if position >= 0]
