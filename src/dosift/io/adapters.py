"""Networks of other libraries, to and from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError, MissingDependencyError
from dosift.io.gaussian_adapters import (
    gaussian_from_pgmpy,
    gaussian_from_pyagrum,
    gaussian_to_pgmpy,
)
from dosift.model.known_mechanisms import gaussian_of, known_mechanisms
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network, Variable
from dosift.model.tables import normalise_rows

#: Other libraries keep single precision, or let sums be off by more than dosift's files may.
_SUM_TOLERANCE = 1e-4


def from_pgmpy(model: Any) -> Network:
    """Convert a pgmpy ``DiscreteBayesianNetwork`` or ``LinearGaussianBayesianNetwork``.

    Parameters
    ----------
    model : pgmpy.models.DiscreteBayesianNetwork or pgmpy.models.LinearGaussianBayesianNetwork
        With a conditional probability distribution (CPD) for every node.

    Returns
    -------
    Network
        Variables in the order of the model's nodes; names of states as text. Of a linear-Gaussian
        one a :class:`~dosift.model.mechanism_network.MechanismNetwork`, whose mechanisms are known.

    Raises
    ------
    InputError
        If it is no such model, a node has no CPD, or the parents of a CPD are not the graph's.
    """
    if not hasattr(model, "get_cpds") or not hasattr(model, "nodes"):
        raise InputError(
            f"expected a pgmpy DiscreteBayesianNetwork, got {type(model).__name__}; "
            "use read_network for a file"
        )
    if any(hasattr(cpd, "beta") for cpd in model.get_cpds()):
        return as_network(known_mechanisms(gaussian_from_pgmpy(model)))
    nodes = list(model.nodes())
    position = {node: i for i, node in enumerate(nodes)}
    variables, parents, tables = [], [], []
    for node in nodes:
        cpd = model.get_cpds(node)
        if cpd is None or not hasattr(cpd, "get_values"):
            raise InputError(f"the node {node!r} has no table; add a TabularCPD to the model")
        given = list(cpd.variables[1:])
        if set(given) != set(model.get_parents(node)):
            raise InputError(f"the CPD of {node!r} has other parents than the graph")
        variables.append(Variable(str(node), tuple(map(str, cpd.state_names[node]))))
        parents.append([position[parent] for parent in given])
        tables.append(_rows(np.asarray(cpd.get_values()).T, str(node)))
        for parent in given:
            own = model.get_cpds(parent)
            if own is not None and cpd.state_names[parent] != own.state_names[parent]:
                raise InputError(
                    f"the CPD of {node!r} orders the states of {parent!r} otherwise than "
                    f"the CPD of {parent!r}; use one order"
                )
    return Network(variables, parents, tables)


def from_pyagrum(bn: Any) -> Network:
    """Convert a pyAgrum ``BayesNet`` or ``CLG``.

    Parameters
    ----------
    bn : pyagrum.BayesNet or pyagrum.clg.CLG
        The network. pyAgrum keeps probabilities that it read from a file in single precision;
        their rows are divided by their sums.

    Returns
    -------
    Network
        Variables in the order of pyAgrum's node ids. Of a ``CLG`` a
        :class:`~dosift.model.mechanism_network.MechanismNetwork`, whose mechanisms are known.

    Raises
    ------
    InputError
        If it is no such network or a table is not normalised.
    """
    if hasattr(bn, "coefArc"):
        return as_network(known_mechanisms(gaussian_from_pyagrum(bn)))
    if not hasattr(bn, "cpt") or not hasattr(bn, "topologicalOrder"):
        raise InputError(
            f"expected a pyAgrum BayesNet, got {type(bn).__name__}; use read_network for a file"
        )
    ids = sorted(bn.nodes())
    names = [bn.variable(i).name() for i in ids]
    position = {name: i for i, name in enumerate(names)}
    variables, parents, tables = [], [], []
    for i, name in zip(ids, names, strict=True):
        cpt = bn.cpt(i)
        labels = tuple(map(str, bn.variable(i).labels()))
        variables.append(Variable(name, labels))
        # pyAgrum lists the variable first and stores axes in the reverse order of the list.
        parents.append([position[parent] for parent in reversed(list(cpt.names)[1:])])
        tables.append(_rows(np.asarray(cpt.toarray()).reshape(-1, len(labels)), name))
    return Network(variables, parents, tables)


def to_pgmpy(network: Network | MechanismNetwork) -> Any:
    """Convert to a pgmpy ``DiscreteBayesianNetwork`` or ``LinearGaussianBayesianNetwork``.

    Parameters
    ----------
    network : Network or MechanismNetwork
        The network.

    Returns
    -------
    pgmpy.models.DiscreteBayesianNetwork or pgmpy.models.LinearGaussianBayesianNetwork

    Raises
    ------
    InputError
        If it is of numbers and not linear-Gaussian.
    MissingDependencyError
        If pgmpy is not installed.
    """
    if isinstance(network, MechanismNetwork):
        return gaussian_to_pgmpy(gaussian_of(network))
    try:
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.models import DiscreteBayesianNetwork
    except ImportError:
        raise MissingDependencyError("pgmpy", "pgmpy", "Converting to pgmpy") from None
    model = DiscreteBayesianNetwork()
    model.add_nodes_from(network.names)
    model.add_edges_from(network.edges)
    for i, variable in enumerate(network.variables):
        family = [variable, *(network.variables[p] for p in network.parents[i])]
        cpd = TabularCPD(
            variable.name,
            len(variable.states),
            network.tables[i].T.tolist(),
            evidence=[v.name for v in family[1:]] or None,
            evidence_card=[len(v.states) for v in family[1:]] or None,
            state_names={v.name: list(v.states) for v in family},
        )
        model.add_cpds(cpd)
    return model


def _rows(table: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    table = np.asarray(table, dtype=np.float64)
    sums = table.sum(axis=1)
    if not np.all(np.abs(sums - 1) <= _SUM_TOLERANCE):
        worst = int(np.abs(sums - 1).argmax())
        raise InputError(
            f"row {worst + 1} of the table of {name!r} sums to {sums[worst]:.9g}, not 1"
        )
    return normalise_rows(table)
