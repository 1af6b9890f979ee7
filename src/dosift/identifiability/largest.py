"""The largest weight of a target in a wide network, from the few variables on which it depends.

Among all mixtures it is ``min_v Q(v) / P_t(v)``, Q being the distribution of the mixture. Of the
mixture's targets s, those that set a variable of t to another state vanish where t can be. Any
other vanishes where some variable that s sets and t does not is in a state that no target sets it
to; that costs nothing unless the variable is a parent of one that still counts. So only the parents
of t's variables, and of the targets that these leave over, need be enumerated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.identifiability.excluded import set_states
from dosift.identifiability.support import possible_states
from dosift.identifiability.system import Codes, Scope, mixture_cells, on_scope, target_entries
from dosift.model.arrays import Bools, Floats
from dosift.model.network import Network

#: Most entries that are enumerated for one target.
MAX_CELLS = 2**18


def largest_weight(
    network: Network, codes: Codes, weights: Floats, target: NDArray[np.int64]
) -> float | None:
    """Largest weight that a target can have among all mixtures with the same distribution.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_targets, n_variables)
        The mixture's targets.
    weights : ndarray, shape (n_targets,)
    target : ndarray of int, shape (n_variables,)

    Returns
    -------
    float or None
        None if there are too many cells, or where zeros or a violation of exclusion do not allow
        the shortcut.

    Examples
    --------
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> mixture = np.array([[0], [-1]]), np.array([0.2, 0.8])
    >>> round(largest_weight(coin, *mixture, np.array([0])), 9)
    0.6
    """
    is_set = set_states(network, codes)
    own = {int(i) for i in np.flatnonzero(target >= 0)}
    agrees = ((codes < 0) | (target < 0) | (codes == target)).all(axis=1)
    codes, weights = codes[agrees], weights[agrees]
    counting, enumerated = _counting(network, codes, own)
    left_over = {i: ~states for i, states in is_set.items() if i not in own | enumerated}
    codes, weights = codes[counting], weights[counting]
    settable = own | {int(i) for i in np.flatnonzero((codes >= 0).any(axis=0))}
    scope = Scope(
        tuple(i for i in network.order if i in settable),
        tuple(i for i in network.order if i in own | enumerated),
        "set",
    )
    n_cells = np.prod([float(network.cardinalities[i]) for i in scope.cells])
    if n_cells * (len(codes) + 1) > MAX_CELLS:
        return None
    occurs = _occurring(network, scope, target, left_over)
    if occurs is None:
        return None
    cells = mixture_cells(network, scope, on_scope(scope, codes), weights)
    entries = target_entries(network, scope, on_scope(scope, target[None, :]))
    room = np.where(occurs[entries.cell], cells[entries.cell] / entries.value, np.inf)
    return float(room.min())


def _occurring(
    network: Network,
    scope: Scope,
    target: NDArray[np.int64],
    left_over: dict[int, Bools],
) -> Bools | None:
    """Cells that a target can produce; None unless others can be left over in each of them."""
    fixed = {int(i): int(target[i]) for i in np.flatnonzero(target >= 0)}
    keep = [i for i in scope.cells if i not in fixed]
    occurs = possible_states(network, keep, fixed=fixed)
    leaving = possible_states(network, keep, fixed=fixed, allowed=left_over)
    if occurs is None or leaving is None or not np.array_equal(occurs, leaving):
        return None
    shape = [int(network.cardinalities[i]) for i in scope.cells]
    out = np.zeros(shape, dtype=bool)
    out[tuple(fixed.get(i, slice(None)) for i in scope.cells)] = occurs
    return out.ravel()


def _counting(network: Network, codes: Codes, own: set[int]) -> tuple[Bools, set[int]]:
    """Targets that cannot be made to vanish for nothing, and the variables to enumerate."""
    beyond = [{int(i) for i in np.flatnonzero(row >= 0)} - own for row in codes]
    enumerated: set[int] = set().union(*(network.parents[i] for i in own)) - own
    while True:
        counting = np.array([extra <= enumerated for extra in beyond], dtype=np.bool_)
        grown = enumerated.union(
            *(
                network.parents[i]
                for extra, counts in zip(beyond, counting, strict=True)
                if counts
                for i in extra
            )
        )
        if grown - own == enumerated:
            return counting, enumerated
        enumerated = grown - own
