"""Prior knowledge where variables are numbers: which may be changed, not by what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from dosift.errors import InputError, nearest
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model.altered import Altered
from dosift.model.arrays import Ints
from dosift.model.known_rows import ALONE, ANY
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import Mixture
from dosift.model.network import Variable
from dosift.model.target import Entry, Target
from dosift.search.patterns import Patterns

#: What stands for any change of a number.
ANY_CHANGE = Altered("free", (1.0,))


def patterns_of(
    known: PriorKnowledge, network: MechanismNetwork, max_size: int | None = None
) -> Patterns:
    """Return prior knowledge as patterns.

    Parameters
    ----------
    known : PriorKnowledge
        A number that is changed stands there as ``free(latency)``, whatever the change is.
    network : MechanismNetwork
    max_size : int, optional
        Largest number of variables that a target touches.

    Returns
    -------
    Patterns

    Raises
    ------
    InputError
        If the network lacks a variable or state, or something is said of a change of a number that
        only the rows can tell.
    """
    weights = dict(known.known_weights)
    known.check_sizes(max_size, "touches")
    changeable = np.ones(network.n_variables, dtype=bool)
    for name in known.non_manipulable:
        changeable[_position(name, network)] = False
    required = [target for target in known.required if target not in weights]
    return Patterns(
        changeable=changeable,
        excluded=as_patterns(known.excluded, network, "excluded"),
        forbidden=as_patterns(known.forbidden_interventions, network, "forbidden"),
        required=as_patterns(required, network, "required"),
        known=as_patterns(weights, network, "of known weight"),
        known_weights=np.array(list(weights.values()), dtype=np.float64),
        candidates=None
        if known.candidates is None
        else as_patterns(known.candidates, network, "a candidate"),
    )


def _position(name: str, network: MechanismNetwork) -> int:
    position = network.positions.get(name)
    if position is None:
        near = nearest(name, network.names)
        hint = f"; did you mean {near!r}?" if near is not None else ""
        raise InputError(f"the network has no variable {name!r}{hint}")
    return position


def target_of(pattern: Ints, names: Sequence[str], variables: Sequence[Variable]) -> Target:
    """Return a pattern as a target.

    Parameters
    ----------
    pattern : ndarray of int, shape (n_variables,)
    names : sequence of str
    variables : sequence of Variable

    Returns
    -------
    Target
        With ``free(latency)`` for any change.
    """
    items: dict[str, Entry] = {}
    for i, entry in enumerate(pattern.tolist()):
        if entry != ALONE:
            items[names[i]] = ANY_CHANGE if entry == ANY else variables[i].states[entry]
    return Target(items)


def as_patterns(targets: Iterable[Target], network: MechanismNetwork, what: str) -> Ints:
    """Return targets as patterns.

    Parameters
    ----------
    targets : iterable of Target
        A number that is changed stands there as ``free(latency)``, whatever the change is.
    network : MechanismNetwork
    what : str
        What they are, for messages.

    Returns
    -------
    ndarray of int, shape (n_targets, n_variables)
        Entries as in :class:`~dosift.search.patterns.Patterns`.

    Raises
    ------
    InputError
        If the network lacks a variable or state, or something is said of a change of a number that
        only the rows can tell.
    """
    listed = list(targets)
    out: Ints = np.full((len(listed), network.n_variables), ALONE, dtype=np.int16)
    for row, target in zip(out, listed, strict=True):
        states: dict[str, object] = {}
        for name, entry in target.items():
            i = _position(name, network)
            if isinstance(entry, Altered) and entry == ANY_CHANGE:
                row[i] = ANY
            elif network.cardinalities[i]:
                states[name] = entry
            else:
                raise InputError(
                    f"{target} is {what}, but by what the number {name!r} is changed is found from "
                    f"the rows; say free({name}) for any change of it"
                )
        if states:
            own = Mixture({Target(states): 1.0}).to_codes(network)[0][0]
            row[own >= 0] = own[own >= 0]
    return out
