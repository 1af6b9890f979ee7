"""Linear-Gaussian networks of other libraries: from pgmpy and pyAgrum, and to pgmpy."""

from __future__ import annotations

from typing import Any

from dosift.errors import InputError, MissingDependencyError
from dosift.model.gaussian_network import GaussianNetwork, gaussian_network


def gaussian_from_pgmpy(model: Any) -> GaussianNetwork:
    """Convert a pgmpy ``LinearGaussianBayesianNetwork``.

    Parameters
    ----------
    model : pgmpy.models.LinearGaussianBayesianNetwork
        With a conditional probability distribution (CPD) for every node.

    Returns
    -------
    GaussianNetwork
        Variables in the order of the model's nodes, named by their texts.

    Raises
    ------
    InputError
        If it is no such model, a node has no linear-Gaussian CPD, the parents of a CPD are not the
        graph's, or the numbers make no network.
    """
    if not hasattr(model, "get_cpds") or not hasattr(model, "nodes"):
        raise InputError(
            f"expected a pgmpy LinearGaussianBayesianNetwork, got {type(model).__name__}; "
            "use read_gaussian_json for a file"
        )
    cpds = {cpd.variable: cpd for cpd in model.get_cpds()}
    names, lines, intercepts, sds = [], {}, {}, {}
    for node in model.nodes():
        cpd, name = cpds.get(node), str(node)
        if cpd is None or not hasattr(cpd, "beta"):
            raise InputError(f"the node {node!r} has no LinearGaussianCPD; add one to the model")
        given = list(cpd.evidence)
        if len(set(given)) != len(given) or set(given) != set(model.get_parents(node)):
            raise InputError(f"the CPD of {node!r} has other parents than the graph")
        beta = [_number(b, name, "beta") for b in cpd.beta]
        if len(beta) != len(given) + 1:
            raise InputError(
                f"the CPD of {node!r} has {len(beta)} numbers in beta; {len(given)} parents and "
                f"the intercept need {len(given) + 1}"
            )
        names.append(name)
        intercepts[name], sds[name] = beta[0], _number(cpd.std, name, "std")
        lines[name] = {str(p): b for p, b in zip(given, beta[1:], strict=True)}
    return gaussian_network(names, lines, intercepts, sds)


def gaussian_to_pgmpy(network: GaussianNetwork) -> Any:
    """Convert to a pgmpy ``LinearGaussianBayesianNetwork``.

    Parameters
    ----------
    network : GaussianNetwork

    Returns
    -------
    pgmpy.models.LinearGaussianBayesianNetwork

    Raises
    ------
    MissingDependencyError
        If pgmpy is not installed.
    """
    try:
        from pgmpy.factors.continuous import LinearGaussianCPD
        from pgmpy.models import LinearGaussianBayesianNetwork
    except ImportError:
        raise MissingDependencyError("pgmpy", "pgmpy", "Converting to pgmpy") from None
    model = LinearGaussianBayesianNetwork()
    model.add_nodes_from(network.names)
    model.add_edges_from(network.edges)
    for i, name in enumerate(network.names):
        beta = [network.intercepts[i], *network.coefficients[i]]
        given = [network.names[p] for p in network.parents[i]]
        model.add_cpds(LinearGaussianCPD(name, beta, network.sds[i], given))
    return model


def gaussian_from_pyagrum(clg: Any) -> GaussianNetwork:
    """Convert a pyAgrum ``CLG``.

    Parameters
    ----------
    clg : pyagrum.clg.CLG
        A linear-Gaussian network; the mu of a variable is its intercept.

    Returns
    -------
    GaussianNetwork
        Variables, and the parents of each, in the order of pyAgrum's node ids.

    Raises
    ------
    InputError
        If it is no such network or its numbers make none: pyAgrum allows a sigma of 0.
    """
    if not hasattr(clg, "coefArc") or not hasattr(clg, "variable"):
        raise InputError(
            f"expected a pyAgrum CLG, got {type(clg).__name__}; use read_gaussian_json for a file"
        )
    ids = sorted(clg.nodes())
    own = {i: clg.variable(i) for i in ids}
    names = {i: str(own[i].name()) for i in ids}
    return gaussian_network(
        list(names.values()),
        {
            names[i]: {
                names[p]: _number(clg.coefArc(p, i), names[i], "coefficient")
                for p in sorted(clg.parents(i))
            }
            for i in ids
        },
        {names[i]: _number(own[i].mu(), names[i], "mu") for i in ids},
        {names[i]: _number(own[i].sigma(), names[i], "sigma") for i in ids},
    )


def _number(value: Any, name: str, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"the {what} of {name!r} is {value!r}; give a number") from None
