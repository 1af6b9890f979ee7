"""What rows from elsewhere look like, in the units of columns, and back.

For a state, the share of each; for a number that is normal, mean and standard deviation; for one
that is even, the least and the largest value. Where the column was modelled on another scale, the
names say so: ``log_mean``, ``log_sd`` of its logarithm (plus what the scale adds), ``logit_mean``
of its log odds, ``count_mean`` of the logarithm of a count and one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from dosift.errors import InputError
from dosift.model.categorical import States
from dosift.model.other_numbers import Marginal, OtherNumbers, Part
from dosift.model.scale import Scale

if TYPE_CHECKING:
    from dosift.model.mechanism_network import MechanismNetwork
    from dosift.model.target import OtherPart

_NAMES: Final = {"normal": ("mean", "sd"), "even": ("low", "high")}
#: By how much shares may miss one.
_TOLERANCE: Final = 1e-6


def parts_of_other(network: MechanismNetwork) -> tuple[OtherPart, ...]:
    """Say what a network knows of rows from elsewhere.

    Parameters
    ----------
    network : MechanismNetwork

    Returns
    -------
    tuple of (float, dict)
        The share of each part, and what each variable looks like in it. Empty if nothing is known.
    """
    if network.other is None:
        return ()
    return tuple(
        (
            one.share,
            {
                network.names[i]: _text(network, i, marginal)
                for i, marginal in enumerate(one.marginals)
                if marginal.shape != "given"
            },
        )
        for one in network.other.parts
    )


def other_of_parts(
    network: MechanismNetwork, parts: Iterable[tuple[float, Mapping[str, Mapping[str, float]]]]
) -> OtherNumbers:
    """Read what rows from elsewhere look like under a network.

    Parameters
    ----------
    network : MechanismNetwork
    parts : iterable of (float, mapping)
        As :func:`parts_of_other` returns them.

    Returns
    -------
    OtherNumbers

    Raises
    ------
    InputError
        If a variable is missing, or its numbers are none.
    """
    listed = list(parts)
    shares = [share for share, _ in listed]
    if not listed or any(not share >= 0 for share in shares) or not _is_one(shares):
        raise InputError("the shares of the parts of 'other' do not sum to 1")
    return OtherNumbers(
        tuple(
            Part(
                share / math.fsum(shares),
                tuple(_marginal(network, i, own) for i in range(network.n_variables)),
            )
            for share, own in listed
        )
    )


def _is_one(shares: Iterable[float]) -> bool:
    return abs(math.fsum(shares) - 1.0) <= _TOLERANCE


def _scale(network: MechanismNetwork, i: int) -> Scale:
    return network.scales[i] if network.scales else Scale()


def _prefix(network: MechanismNetwork, i: int) -> str:
    form = _scale(network, i).form
    return "" if form == "raw" else f"{form}_"


def _text(network: MechanismNetwork, i: int, one: Marginal) -> dict[str, float]:
    library = network.libraries[i]
    if one.shape == "states":
        assert isinstance(library, States)
        return dict(zip(library.states, one.numbers, strict=True))
    scale, numbers = _scale(network, i), one.numbers
    if not one.of_counts:
        first, second = numbers
        centre = scale.centre
        by = scale.spread
        end = second * by if one.shape == "normal" else second * by + centre
        numbers = (first * by + centre, end)
    elif one.shape == "even":
        return dict(zip(_NAMES["even"], numbers, strict=True))
    prefix = _prefix(network, i)
    return {prefix + name: n for name, n in zip(_NAMES[one.shape], numbers, strict=True)}


def _marginal(
    network: MechanismNetwork, i: int, own: Mapping[str, Mapping[str, float]]
) -> Marginal:
    name, library = network.names[i], network.libraries[i]
    if i in network.covariates:
        return Marginal("given")
    given = dict(own.get(name, {}))
    if isinstance(library, States):
        shares = [given.pop(state, 0.0) for state in library.states]
        if given or any(not share >= 0 for share in shares) or not _is_one(shares):
            raise InputError(
                f"'other' of {name!r} has states that the network lacks, or shares that do not sum "
                f"to 1; its states are {', '.join(library.states)}"
            )
        return Marginal("states", tuple(shares))
    scale, prefix = _scale(network, i), _prefix(network, i)
    of_counts = scale.form == "count"
    for shape, names in _NAMES.items():
        keys = names if of_counts and shape == "even" else tuple(prefix + key for key in names)
        if set(given) != set(keys):
            continue
        first, second = (given[key] for key in keys)
        is_range = shape == "even"
        if not (math.isfinite(first) and math.isfinite(second)) or second <= first * is_range:
            break
        if not of_counts:
            first = (first - scale.centre) / scale.spread
            second = (second - scale.centre * is_range) / scale.spread
        return Marginal(shape, (first, second), of_counts)
    wanted = " or ".join(f"{prefix}{a} and {prefix}{b}" for a, b in _NAMES.values())
    raise InputError(
        f"'other' of {name!r} says {', '.join(given) or 'nothing'}; a number needs {wanted}"
    )
