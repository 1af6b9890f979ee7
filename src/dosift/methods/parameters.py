"""The estimator's arguments, checked in one place, and the network that a fit begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from dosift.errors import InputError
from dosift.learning.edge_knowledge import EdgeKnowledge
from dosift.learning.tables import as_if_learned
from dosift.methods import METHODS
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import MOST_CONTROL_VALUES, ControlCounts, Network
from dosift.refusals import refuse

AnyNetwork = TypeVar("AnyNetwork", Network, MechanismNetwork)


def checked_network(network: object) -> Network | MechanismNetwork:
    """Return the network.

    Raises
    ------
    InputError
        If it is none.
    """
    if not isinstance(network, Network | MechanismNetwork):
        raise InputError(
            f"network is {type(network).__name__}, not a dosift Network; read one with "
            "dosift.read_network(path), learn one with dosift.learn_network(graph, control), or "
            "leave it out and give control rows to fit(rows, control=...)"
        )
    return network


#: Kinds of change of measurements and counts.
CHANGES = ("do", "set", "shift", "gain", "fold", "free")
#: What rows may do to the graph.
EDGES = ("fixed", "repair", "learn")
#: Control rows below which no graph is learned or repaired.
LEAST_CONTROL_ROWS = 10


def edges_asked(own: str, edges: str | None, has_control: bool, has_graph: bool) -> str:
    """Settle what rows may do to the graph.

    Parameters
    ----------
    own : str
        What the constructor was told.
    edges : str or None
        What `fit` was told, which goes before it.
    has_control, has_graph : bool
        Whether `fit` was given control rows and a graph.

    Returns
    -------
    {"fixed", "repair", "learn"}

    Raises
    ------
    InputError
        If that cannot be done with what was given.
    """
    for value in (own, edges):
        if value is not None and value not in EDGES:
            raise InputError(f"edges is {value!r}; choose one of {', '.join(EDGES)}")
    if has_graph and not has_control:
        raise InputError(
            "a graph is given without control rows, which teach its tables; give control= too"
        )
    if has_control and not has_graph:
        if edges == "fixed":
            raise InputError(
                "edges='fixed' keeps a graph, and none is given; give graph= (an empty list for no "
                "edges), or leave edges out, and the graph is learned"
            )
        return "learn"
    wanted = own if edges is None else edges
    if has_graph and wanted == "learn":
        raise InputError(
            "edges='learn' is for a graph that is not known, and one is given; leave graph= out, "
            "or give edges='repair', which begins with it"
        )
    return wanted


def starting_network(
    network: AnyNetwork, edges: str, knowledge: EdgeKnowledge, control_rows: float | None
) -> AnyNetwork:
    """Return the network that a fit begins with, with control rows where its graph may change.

    Parameters
    ----------
    network : Network or MechanismNetwork
    edges : {"fixed", "repair", "learn"}
        What rows may do to its graph.
    knowledge : EdgeKnowledge
        What is known of its edges.
    control_rows : float or None
        How many control rows a known network is worth.

    Returns
    -------
    Network or MechanismNetwork

    Raises
    ------
    InputError
        If there are no control rows, or too few, for what rows may do, or the graph contradicts
        what is known.
    """
    if control_rows is not None:
        if network.control is not None:
            raise InputError(
                "control_rows says how many control rows a known network is worth, and this one "
                "was learned from control rows; leave control_rows out"
            )
        if isinstance(network, MechanismNetwork):
            raise InputError(
                "control_rows is for networks of states: tables have a number of rows that they "
                "are worth, and this network has measurements or counts; leave control_rows out"
            )
        network = as_if_learned(network, control_rows)
    if edges == "learn":
        knowledge.matrices(network.names)  # refuses names that are no variables
    else:
        knowledge.check(network.parents, network.names)
    if edges != "fixed":
        check_control_rows(network, edges)
    return network


def check_control_rows(network: Network | MechanismNetwork, edges: str) -> None:
    """Refuse to repair or learn a graph without enough control rows."""
    control = network.control
    if control is None:
        raise InputError(
            f"edges={edges!r} holds the graph against control rows, and this network is known "
            "without any; give control rows, or say how many the network is worth (control_rows)"
        )
    n_rows = control.n_rows
    if n_rows < LEAST_CONTROL_ROWS:
        raise InputError(
            f"{n_rows:g} control rows are too few to tell a graph; give at least "
            f"{LEAST_CONTROL_ROWS}, or give the graph and keep its edges fixed"
        )
    if isinstance(control, ControlCounts) and control.rows is None:
        raise InputError(
            f"the network does not remember its control rows, against which edges={edges!r} holds "
            f"the graph (more than {MOST_CONTROL_VALUES:,} values, or none were given); give a "
            "sample of the control rows, or keep the edges fixed"
        )


def _number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _size(value: Any) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return value is None or (whole and value >= 1)


def _changes(value: Any) -> bool:
    if value is None:
        return True
    listed = not isinstance(value, str) and isinstance(value, Sequence) and len(value) > 0
    return listed and all(isinstance(one, str) and one in CHANGES for one in value)


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
    "control_rows": (
        "give a positive number, or None",
        lambda v: v is None or (_number(v) and 0 < v < np.inf),
    ),
    "changes": (f"give a list of some of {', '.join(CHANGES)}, or None", _changes),
    "knockouts": ("give True or False", lambda v: isinstance(v, bool | np.bool_)),
    "moved_mechanism": ("give True or False", lambda v: isinstance(v, bool | np.bool_)),
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
    if parameters.get("edges", "fixed") != "fixed":
        changed = {"changed mechanisms"} if parameters.get("interventions") == "any" else set()
        refuse({str(method), "repaired graph", *changed})


def _check_prior_knowledge(given: PriorKnowledge | None, method: object) -> None:
    if not given:
        return
    named = {"prior knowledge"}
    if given.required:
        named.add("required")
    if given.known_weights:
        named.add("known weights")
    refuse({str(method), *named})
