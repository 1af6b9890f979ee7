"""Changes that users name, brought to the working scales of a network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from scipy.optimize import fsolve

from dosift.errors import InputError
from dosift.model.altered import Altered, checked_number
from dosift.model.arrays import Floats, Ints
from dosift.model.categorical import States
from dosift.model.counts import Fold, NegativeBinomialMechanism, SetCount
from dosift.model.covariate import CovariateMechanism
from dosift.model.described import position_of, scale_of, state_position
from dosift.model.linear_changes import Gain, SetNormal, SetPoint, Shift
from dosift.model.mechanism import Change, Changes, Library
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.scale import Scale
from dosift.model.target import Target, state_text
from dosift.model.uniform import UniformMechanism

#: Relative difference within which an offset is the one that a scale asks for.
_SAME = 1e-9
#: Resolution, on the working scale, of an exact value that no rows showed.
_RESOLUTION = 1e-9


def with_changes(
    network: MechanismNetwork, targets: Iterable[Target]
) -> tuple[MechanismNetwork, Ints]:
    """Give a network the changes that targets make, so that rows can be drawn from them.

    Parameters
    ----------
    network : MechanismNetwork
        With names.
    targets : iterable of Target

    Returns
    -------
    network : MechanismNetwork
        The libraries of its numbers hold the changes of the targets and no others; those of its
        states are as they were.
    codes : ndarray of int64, shape (n_targets, n_variables)
        Positions in them.

    Raises
    ------
    InputError
        If the network lacks a variable, or its mechanism cannot be changed so.

    Examples
    --------
    >>> from dosift.model.linear import LinearMechanism
    >>> from dosift.model.network import Variable
    >>> from dosift.model.target import change, do
    >>> network = MechanismNetwork(
    ...     (LinearMechanism.untaught(0, (), ()),), (Changes(()),),
    ...     variables=(Variable("x", kind="continuous"),), scales=(Scale("raw", 100.0, 10.0),),
    ... )
    >>> found, codes = with_changes(network, [do(), change(shift={"x": 5.0})])
    >>> found.libraries[0][0], codes.tolist()
    (Shift(by=0.5, factor=1.0, has_factor=False), [[-1], [0]])
    """
    listed = list(targets)
    codes = np.full((len(listed), network.n_variables), -1, dtype=np.int64)
    found: list[dict[str | Altered, Change]] = [{} for _ in network.libraries]
    for row, target in zip(codes, listed, strict=True):
        for name, entry in target.items():
            i = position_of(network, target, name)
            if isinstance(network.libraries[i], States):
                row[i] = state_position(network, i, target)
                continue
            change = _change(network, i, target)
            key = entry if isinstance(entry, Altered) else state_text(entry)
            found[i].setdefault(key, change)
            row[i] = list(found[i]).index(key)
    libraries: list[Library] = [
        library if isinstance(library, States) else Changes(tuple(own.values()))
        for library, own in zip(network.libraries, found, strict=True)
    ]
    return replace(network, libraries=tuple(libraries)), codes


def _change(network: MechanismNetwork, i: int, target: Target) -> Change:
    """Bring what a target does to a number to its working scale."""
    name = network.names[i]
    entry, scale = target[name], scale_of(network, i)
    mechanism = network.mechanisms[i]
    is_count = isinstance(mechanism, NegativeBinomialMechanism)
    try:
        if isinstance(mechanism, CovariateMechanism):
            raise InputError("it is only conditioned on")
        if not isinstance(entry, Altered):
            return SetPoint(float(scale.working(np.array(_number(entry)))), _RESOLUTION)
        if entry.kind == "free":
            raise InputError("a free change does not say what the other mechanism is")
        if is_count:
            return _of_count(entry)
        if entry.kind == "set":
            return SetNormal(*_normal_of(scale, entry["mean"], entry["sd"]))
        if isinstance(mechanism, UniformMechanism):
            raise InputError("it is uniform on a range; give what it is set to")
        if entry.kind == "shift":
            return _shift_of(entry, scale)
        if entry.kind == "gain":
            return _gain_of(entry, scale)
        raise InputError("a fold is of a count; give a gain")
    except InputError as error:
        raise InputError(f"{target} cannot be done to {name!r}: {error.message}") from None


def _number(entry: str | float) -> float:
    try:
        return checked_number(float(entry), "it")
    except ValueError:
        raise InputError(f"{entry!r} is no number") from None


def _normal_of(scale: Scale, mean: float, sd: float) -> tuple[float, float]:
    """Mean and standard deviation, on the working scale, of what has these moments."""
    if scale.form == "raw":
        return (mean - scale.centre) / scale.spread, sd / scale.spread
    if scale.form == "log":
        if mean + scale.added <= 0:
            raise InputError(f"its mean {mean:g} must be above {-scale.added:g}")
        variance = math.log1p((sd / (mean + scale.added)) ** 2)
        middle = math.log(mean + scale.added) - 0.5 * variance
        return (middle - scale.centre) / scale.spread, math.sqrt(variance) / scale.spread
    if not 0.0 < mean < 1.0 or sd**2 >= mean * (1.0 - mean):
        raise InputError(f"a share cannot have mean {mean:g} and standard deviation {sd:g}")
    start = float(scale.working(np.array(mean)))
    width = sd / (mean * (1.0 - mean)) / scale.spread

    def away(at: Floats) -> list[float]:
        found = scale.moments(float(at[0]), float(np.exp(at[1])))
        return [(found[0] - mean) / sd, math.log(found[1] / sd)]

    found, _, status, _ = fsolve(away, [start, math.log(width)], full_output=True)
    if status != 1:
        raise InputError(f"no spread of log odds gives mean {mean:g} and deviation {sd:g}")
    return float(found[0]), float(np.exp(found[1]))


def _shift_of(entry: Altered, scale: Scale) -> Change:
    wanted = "logit" if scale.form == "logit" else ""
    if scale.form == "log":
        raise InputError("its logarithm is modelled, which a gain moves; give a gain")
    if entry.on != wanted:
        raise InputError(f"it is modelled as {_form(scale)}; give a shift of that")
    has_factor = entry.noise != 1.0
    return Shift(entry["by"] / scale.spread, entry.noise, has_factor)


def _gain_of(entry: Altered, scale: Scale) -> Change:
    factor, offset = entry.numbers
    if scale.form == "log" and not entry.on:
        if factor <= 0:
            raise InputError("its logarithm is modelled, and the factor must be above 0")
        asked = (factor - 1.0) * scale.added
        if abs(offset - asked) > _SAME * max(abs(asked), abs(scale.added), 1.0):
            raise InputError(
                f"it is modelled as {_form(scale)}, where a factor of {factor:g} comes with the "
                f"offset {asked:.6g}; give that"
            )
        return Shift(math.log(factor) / scale.spread, entry.noise, entry.noise != 1.0)
    if entry.on != ("" if scale.form == "raw" else scale.form):
        raise InputError(f"it is modelled as {_form(scale)}; give a gain of that")
    own = (offset - scale.centre * (1.0 - factor)) / scale.spread
    return Gain(factor, own, entry.noise)


def _of_count(entry: Altered) -> Change:
    if entry.kind not in ("fold", "set"):
        raise InputError("it is a count; give a fold, or what it is set to")
    if entry.kind == "fold":
        if entry["factor"] == 0:
            raise InputError("a fold of 0 leaves nothing; give do(name=0)")
        return Fold(entry["factor"])
    mean, sd = entry.numbers
    if mean <= 0 or sd**2 <= mean:
        raise InputError(
            f"a count of mean {mean:g} has a standard deviation above {max(mean, 0) ** 0.5:g}"
        )
    return SetCount(mean, (sd**2 - mean) / mean**2)


def _form(scale: Scale) -> str:
    if scale.form == "log":
        return f"log(value + {scale.added:g})" if scale.added else "log(value)"
    return "log odds" if scale.form == "logit" else "it is"
