"""Targets of numbers under other graphs, by the changes of one network.

Under each graph changes are found anew, so that the same target stands at other positions of other
libraries, with slightly other numbers. Targets are taken for the same if they touch the same
variables, and set the same states; of several such ones the heaviest for the heaviest.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dosift.model.arrays import Ints
from dosift.model.linear_changes import Shift
from dosift.model.mechanism import Change, Changes, Library
from dosift.model.mechanism_network import MechanismNetwork, merged_targets


def renamed(
    network: MechanismNetwork, known: Ints, other: MechanismNetwork, targets: Ints
) -> tuple[MechanismNetwork, Ints]:
    """Write targets of another graph by the changes of a network.

    Parameters
    ----------
    network : MechanismNetwork
    known : ndarray of int, shape (n_known, n_variables)
        Targets of it, which those of the other graph may be, by descending weight.
    other : MechanismNetwork
        Of the other graph.
    targets : ndarray of int, shape (n_targets, n_variables)
        Under that graph, by descending weight, each once.

    Returns
    -------
    network : MechanismNetwork
        The same, with the changes of other targets at the end of its libraries, as far as it has
        none of these variables.
    targets : ndarray of int, shape (n_targets, n_variables)
        By positions in its libraries, each once.
    """
    keys = [key.tobytes() for key in merged_targets(network, known).astype(np.int16)]
    free: dict[bytes, list[Ints]] = {}
    for key, target in zip(keys, known, strict=True):
        free.setdefault(key, []).append(target)
    libraries = list(network.libraries)
    out = np.empty(targets.shape, dtype=np.int16)
    for t, key in enumerate(merged_targets(other, targets).astype(np.int16)):
        same = free.get(key.tobytes(), [])
        if same:
            out[t] = same.pop(0)
        else:
            out[t] = _new(network, libraries, other, targets[t], [*known, *out[:t]])
    return replace(network, libraries=tuple(libraries)), out


def _new(
    network: MechanismNetwork,
    libraries: list[Library],
    other: MechanismNetwork,
    target: Ints,
    taken: list[Ints],
) -> Ints:
    """Write a target that the network does not have; libraries grow by what they lack."""
    found = target.copy()
    numbers = [int(i) for i in np.flatnonzero(target >= 0) if isinstance(libraries[i], Changes)]
    for i in numbers:
        if len(libraries[i]):
            found[i] = 0
        else:
            found[i] = _added(network, libraries, i, other.libraries[i][int(target[i])])
    if numbers and any((found == one).all() for one in taken):
        i = numbers[0]
        found[i] = _added(network, libraries, i, other.libraries[i][int(target[i])])
    return np.asarray(found)


def _added(network: MechanismNetwork, libraries: list[Library], i: int, change: Change) -> int:
    library = libraries[i]
    assert isinstance(library, Changes)
    if change.kind == "free":
        # Another regression on the parents of the other graph is none on those of this one.
        change = library.neutral(network.mechanisms[i], "free") or Shift(0.0)
    libraries[i] = replace(library, changes=(*library[:], change))
    return len(library)
