"""Changes of working scales in the users' units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError, nearest
from dosift.model.altered import Altered
from dosift.model.arrays import Ints
from dosift.model.categorical import SetState, States
from dosift.model.counts import Fold, SetCount
from dosift.model.linear_changes import Gain, SetNormal, SetPoint, Shift
from dosift.model.mechanism import Change
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import OTHER, is_other
from dosift.model.other_text import parts_of_other
from dosift.model.scale import Scale
from dosift.model.target import Entry, Target, state_text

#: Digits of a number that survive the way to the working scale and back.
_DIGITS = 12
#: How many names an error message lists at most.
_LISTED = 12


def scale_of(network: Network | MechanismNetwork, i: int) -> Scale:
    """Working scale of a variable; the identity where the network has none.

    Parameters
    ----------
    network : Network or MechanismNetwork
    i : int

    Returns
    -------
    Scale
    """
    if isinstance(network, MechanismNetwork) and network.scales:
        return network.scales[i]
    return Scale()


def described(network: Network | MechanismNetwork, i: int, position: int) -> Entry:
    """Say what a change of a variable does, in the units of its column.

    Parameters
    ----------
    network : Network or MechanismNetwork
    i : int
        Position of the variable.
    position : int
        Of the change in its library.

    Returns
    -------
    str, float or Altered
        A state, an exact number, or a change, with as many digits in its text as tell it from the
        others of the library. A shift of a logarithm is a gain, one of log odds
        stays a shift of them; what a logarithm is set to has the moments of a log-normal
        distribution.

    Raises
    ------
    ValueError
        If the change is of no known kind.

    Examples
    --------
    >>> from dosift.model.features import Plain
    >>> from dosift.model.linear import LinearMechanism
    >>> from dosift.model.mechanism import Changes
    >>> network = MechanismNetwork(
    ...     (LinearMechanism.untaught(0, (), ()),),
    ...     (Changes((SetNormal(1.0, 0.1), Shift(0.5))),),
    ...     scales=(Scale("raw", centre=100.0, spread=10.0),),
    ... )
    >>> [described(network, 0, k).text("x") for k in range(2)]
    ['x~110±1', 'x+5']
    """
    own = _described(network, i, position)
    if not isinstance(own, Altered):
        return own
    name = network.names[i]
    for other in range(len(network.libraries[i])):
        entry = own if other == position else _described(network, i, other)
        if entry != own and isinstance(entry, Altered) and entry.text(name) == own.text(name):
            return own.exact()
    return own


def _described(network: Network | MechanismNetwork, i: int, position: int) -> Entry:
    library = network.libraries[i]
    change = library[position]
    if isinstance(change, SetState):
        return change.state
    kind = getattr(change, "kind", None)
    if kind == "free":
        kinds = [getattr(one, "kind", None) for one in library[:position]]
        return Altered("free", (1 + kinds.count("free"),))
    found = in_units(change, scale_of(network, i))
    if found is None:
        raise ValueError(f"a change of kind {kind!r} cannot be described")
    if isinstance(found, float):
        return _rounded(found)
    return replace(found, numbers=tuple(map(_rounded, found.numbers)), noise=_rounded(found.noise))


def in_units(change: Change, scale: Scale) -> float | Altered | None:
    """Bring a change of a number from a working scale to the units of the column.

    Parameters
    ----------
    change : Change
        Neither of a state nor free.
    scale : Scale

    Returns
    -------
    float, Altered or None
        None where the change is of no known kind.
    """
    if isinstance(change, SetPoint):
        return float(scale.user(np.array(change.value)))
    if isinstance(change, Shift):
        return _shift(change, scale)
    if isinstance(change, Gain):
        # With y = a + b x: g y + o = g a + o b + ..., in the units of y.
        offset = change.offset * scale.spread + scale.centre * (1.0 - change.gain)
        on = "" if scale.form == "raw" else scale.form
        return Altered("gain", (change.gain, offset), on, change.factor)
    if isinstance(change, SetNormal | SetCount):
        return Altered("set", _moments(change, scale))
    return Altered("fold", (change.factor,)) if isinstance(change, Fold) else None


def _moments(change: SetNormal | SetCount, scale: Scale) -> tuple[float, float]:
    if isinstance(change, SetNormal):
        return scale.moments(change.mean, change.sd)
    return change.mean, math.sqrt(change.mean + change.dispersion * change.mean**2)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _shift(change: Shift, scale: Scale) -> Altered:
    by = change.by * scale.spread
    if scale.form == "log":
        factor = math.exp(by)
        return Altered("gain", (factor, (factor - 1.0) * scale.added), noise=change.factor)
    on = "logit" if scale.form == "logit" else ""
    return Altered("shift", (by,), on, change.factor)


def named_targets(network: Network | MechanismNetwork, targets: Ints) -> list[Target]:
    """Describe targets that are given by positions in libraries.

    Parameters
    ----------
    network : Network or MechanismNetwork
        targets : ndarray of int, shape (n_targets, n_variables)
        -1 where a variable is left alone.

    Returns
    -------
    list of Target
    """
    names, elsewhere = network.names, is_other(targets)
    entries = {
        (i, int(position)): described(network, i, int(position))
        for i in range(targets.shape[1])
        for position in np.unique(targets[~elsewhere, i])
        if position >= 0
    }
    return [
        _other(network)
        if other
        else Target({names[i]: entries[int(i), int(row[i])] for i in np.flatnonzero(row >= 0)})
        for row, other in zip(targets, elsewhere, strict=True)
    ]


def _other(network: Network | MechanismNetwork) -> Target:
    """Return the target of rows from elsewhere, with what the network says of them."""
    if isinstance(network, MechanismNetwork):
        return Target.other(parts=parts_of_other(network))
    shares = network.other
    return Target.other(
        {
            variable.name: dict(zip(variable.states, map(float, own), strict=True))
            for variable, own in zip(network.variables, shares or (), strict=False)
        }
    )


def codes_of(network: Network | MechanismNetwork, targets: Iterable[Target]) -> NDArray[np.int64]:
    """Find targets in the libraries of a network.

    Parameters
    ----------
    network : Network or MechanismNetwork
    targets : iterable of Target

    Returns
    -------
    ndarray of int64, shape (n_targets, n_variables)
        Positions of the changes, states of discrete variables; -1 where a variable is left alone.
        Rows from elsewhere have the target of :mod:`dosift.model.other`.

    Raises
    ------
    InputError
        If the network lacks a variable, state or change.
    """
    listed = list(targets)
    codes = np.full((len(listed), network.n_variables), -1, dtype=np.int64)
    for row, target in zip(codes, listed, strict=True):
        if target.is_other:
            row[:] = OTHER
        for name in target:
            i = position_of(network, target, name)
            is_discrete = isinstance(network.libraries[i], States)
            row[i] = (state_position if is_discrete else _listed_change)(network, i, target)
    return codes


def position_of(network: Network | MechanismNetwork, target: Target, name: str) -> int:
    """Position of a variable that a target names, or an error that says what there is.

    Parameters
    ----------
    network : Network or MechanismNetwork
    target : Target
    name : str

    Returns
    -------
    int

    Raises
    ------
    InputError
    """
    if name not in network.positions:
        raise InputError(
            f"{target} sets the variable {name!r}, which the network does not have; "
            + _hint(name, network.names, "its variables are")
        )
    return network.positions[name]


def state_position(network: Network | MechanismNetwork, i: int, target: Target) -> int:
    """Position of the state that a target sets a discrete variable to.

    Parameters
    ----------
    network : Network or MechanismNetwork
    i : int
        Position of the variable.
    target : Target

    Returns
    -------
    int

    Raises
    ------
    InputError
    """
    name, library = network.names[i], network.libraries[i]
    entry = target[name]
    assert isinstance(library, States)
    if isinstance(entry, Altered):
        raise InputError(
            f"{target} changes {name!r}, which has states; they can be set only, as in "
            f"do({name}={library.states[0]})"
        )
    if state_text(entry) not in library.states:
        raise InputError(
            f"{target} sets {name!r} to {state_text(entry)!r}, which is not one of its states; "
            + _hint(state_text(entry), library.states, "they are")
        )
    return library.states.index(state_text(entry))


def _listed_change(network: Network | MechanismNetwork, i: int, target: Target) -> int:
    """Position of the change that does to a variable what a target does."""
    name, library = network.names[i], network.libraries[i]
    only = Target({name: target[name]})
    for position in range(len(library)):
        if Target({name: described(network, i, position)}) == only:
            return position
    raise InputError(
        f"{target} holds {only.exact()}, which is none of the {len(library)} changes of {name!r} "
        "in the network"
    )


def _hint(name: str, known: Sequence[str], introduction: str) -> str:
    """Suggest the nearest known name, or list the first ones."""
    near = nearest(name, known)
    if near is not None:
        return f"did you mean {near!r}?"
    listed = ", ".join(repr(k) for k in known[:_LISTED])
    return f"{introduction} {listed}{', ...' if len(known) > _LISTED else ''}"
