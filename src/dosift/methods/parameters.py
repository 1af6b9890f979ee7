"""The estimator's constructor arguments, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dosift.errors import InputError
from dosift.methods import METHODS
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model.network import Network
from dosift.refusals import refuse


def checked_network(network: object) -> Network:
    """Return the network.

    Raises
    ------
    InputError
        If it is none.
    """
    if not isinstance(network, Network):
        raise InputError(
            f"network is {type(network).__name__}, not a dosift Network; read one with "
            "dosift.read_network(path) or learn one with dosift.learn_network(graph, control)"
        )
    return network


def _number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _size(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return value is None or (whole and value >= 1)


_KINDS = ("hard", "stochastic", "any")

#: For each parameter what it must be, in words and as a test.
_RULES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "method": (f"choose one of {', '.join(METHODS)}", lambda v: v in METHODS),
    "max_size": ("give a positive integer or None", _size),
    "refine": ("give True or False", lambda v: isinstance(v, bool | np.bool_)),
    "interventions": ("choose one of hard, stochastic, any", lambda v: v in _KINDS),
    "level": ("give a number in (0, 1), such as 0.95", lambda v: _number(v) and 0 < v < 1),
    "gap_tolerance": ("give a number in (0, 1)", lambda v: _number(v) and 0 < v < 1),
    "epsilon": ("give a number in [0, 1)", lambda v: _number(v) and 0 <= v < 1),
    "prior_knowledge": (
        "give a dosift.PriorKnowledge or None",
        lambda v: v is None or isinstance(v, PriorKnowledge),
    ),
    "delta": (
        "give a number that is not negative, or None",
        lambda v: v is None or (_number(v) and 0 <= v < np.inf),
    ),
}


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check constructor arguments.

    Parameters
    ----------
    parameters : mapping of str to object
        By name; those without a rule are left to where they are used.

    Raises
    ------
    InputError
        For the first that is out of range, or that the method would not heed, with what to give
        instead.
    """
    for name, (wanted, holds) in _RULES.items():
        if name in parameters and not holds(parameters[name]):
            raise InputError(f"{name} is {parameters[name]!r}; {wanted}")
    method = parameters.get("method")
    if method == "moments" and parameters.get("max_size") is not None:
        raise InputError("method 'moments' knows no max_size; leave it out, or use another method")
    if method != "moments" and parameters.get("delta") is not None:
        raise InputError(f"delta belongs to method 'moments', not to {method!r}; leave it out")
    _check_prior_knowledge(parameters.get("prior_knowledge"), method)


def _check_prior_knowledge(given: PriorKnowledge | None, method: object) -> None:
    if not given:
        return
    named = {"prior knowledge"}
    if given.required:
        named.add("required")
    if given.known_weights:
        named.add("known weights")
    refuse({str(method), *named})
