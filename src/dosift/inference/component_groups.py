"""Groups of components that share do's. Pure array code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Floats, Ints
from dosift.model.other import interventions


@dataclass(frozen=True)
class ComponentGroup:
    """Components that share do's.

    Attributes
    ----------
    common : ndarray of int, shape (n_variables,)
        The do's that all members share.
    members : tuple of int
        Positions of the components.
    """

    common: Ints
    members: tuple[int, ...]


def component_groups(targets: Ints, weights: Floats) -> list[ComponentGroup]:
    """Group components by what they share.

    The heaviest set of shared do's comes first, then the heaviest among the components that are
    left; a component belongs to one group at most.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    list of ComponentGroup
        Each of two members at least.

    Examples
    --------
    >>> targets = np.array([[-1, -1], [0, -1], [0, 1], [-1, 1]])
    >>> [group.members for group in component_groups(targets, np.array([0.4, 0.3, 0.2, 0.1]))]
    [(1, 2)]
    """
    left = np.ones(len(targets), dtype=bool)
    targets = interventions(targets)
    found: list[ComponentGroup] = []
    while True:
        best: tuple[float, int, bytes] | None = None
        chosen: ComponentGroup | None = None
        index = np.flatnonzero(left)
        for position, s in enumerate(index):
            for t in index[position + 1 :]:
                common = np.where(targets[s] == targets[t], targets[s], -1)
                is_set = common >= 0
                if not is_set.any():
                    continue
                members = left & (targets[:, is_set] == common[is_set]).all(axis=1)
                rank = (float(weights[members].sum()), int(is_set.sum()), common.tobytes())
                if best is None or rank > best:
                    best = rank
                    chosen = ComponentGroup(common, tuple(int(k) for k in np.flatnonzero(members)))
        if chosen is None:
            return found
        found.append(chosen)
        left[list(chosen.members)] = False
