"""Control rows in which something was done: the pool's interventions, in a few of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dosift.graphs.common_causes import common_causes
from dosift.graphs.dag import EdgeConstraints, edges_of
from dosift.graphs.families import relearned
from dosift.graphs.findings import GraphFindings
from dosift.graphs.number_families import families_of_control
from dosift.likelihood.assignment import assign
from dosift.model import known_rows as numbers
from dosift.model.arrays import Floats, Values
from dosift.model.known_rows import refitted
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import ControlRows, Network
from dosift.search.result import SearchResult

#: Steps by which mechanisms of numbers are learned anew.
_LEARNING = 3
#: Rise of the log-likelihood of control rows (nats) from which they are said to be impure, and the
#: least share of them.
_LEAST_GAIN, _LEAST_SHARE = 4.0, 0.005
#: Rounds of telling control rows apart and learning from the others, and steps for the share.
_ROUNDS, _STEPS = 6, 30


@dataclass(frozen=True)
class ImpureControl:
    """Control rows in some of which something seems to have been done.

    Attributes
    ----------
    share : float
        Of the control rows.
    gain : float
        Rise of their log-likelihood, in nats.
    network : Network
        Learned from control rows as far as nothing was done to them.
    """

    share: float
    gain: float
    network: Network


def find_impure_control(network: Network, result: SearchResult) -> ImpureControl | None:
    """Look for the pool's interventions in control rows.

    One number is found, the share of control rows that come from the mixture of the pool's
    interventions; the network is learned from the others.

    Parameters
    ----------
    network : Network
        Learned. Of numbers, with the changes that targets make.
    result : SearchResult
        The mixture of the pool.

    Returns
    -------
    ImpureControl or None
        None where control rows are not at hand, or are what they should be.
    """
    known = _control_rows(network)
    done = (result.targets >= 0).any(axis=1)
    if known is None or not done.any():
        return None
    values, counts = known
    # Nothing comes first, whether it is in the mixture or not.
    nothing = np.full((1, result.targets.shape[1]), -1, dtype=result.targets.dtype)
    targets = np.concatenate([nothing, result.targets[done]])
    weights = np.append(0.0, result.weights[done] / result.weights[done].sum())
    now, share, before, value = network, 0.02, 0.0, -np.inf
    for k in range(_ROUNDS):
        found = assign(now, targets, weights, values)
        alone = np.maximum(found.columns[:, 0], 1e-300)
        ratio, log_alone = found.mixture / alone, found.log_reference + np.log(alone)
        for _ in range(_STEPS):
            posterior = share * ratio / (1.0 - share + share * ratio)
            share = float(counts @ posterior / counts.sum())
        if k == 0:
            before = float(counts @ log_alone)
        value = float(counts @ (log_alone + np.log1p(share * (ratio - 1.0))))
        if share < _LEAST_SHARE:
            return None
        posterior = share * ratio / (1.0 - share + share * ratio)
        now = _taught_by(network, counts * (1.0 - posterior))
    if not value - before > _LEAST_GAIN:
        return None
    return ImpureControl(share, value - before, now)


def not_by_impure_control(
    graph: GraphFindings, network: Network, result: SearchResult
) -> GraphFindings:
    """Leave out hidden causes that interventions in a few control rows explain.

    What is done to two variables at once makes them depend on each other in control rows.

    Parameters
    ----------
    graph : GraphFindings
    network : Network
        Learned, of tables.
    result : SearchResult
        The mixture of the pool.

    Returns
    -------
    GraphFindings
        The same where control rows are what they should be.
    """
    impure = find_impure_control(network, result) if graph.common_causes else None
    if impure is None:
        return graph
    families, own = families_of_control(impure.network), graph.graph
    left = common_causes(families, own, EdgeConstraints.none(len(own)))
    pairs = {frozenset((i, j)) for i, j, _ in left}
    linked = {frozenset(edge) for edge in edges_of(own)}
    kept = [one for one in graph.common_causes if frozenset(one[:2]) in pairs | linked]
    return replace(graph, common_causes=tuple(kept))


def _control_rows(network: Network | MechanismNetwork) -> tuple[Values, Floats] | None:
    """Return control rows and their counts, where nothing is known that was done to them."""
    if isinstance(network, MechanismNetwork):
        own = network.control
        return None if own is None else (own.values, own.weights)
    control = network.control
    if control is None or control.rows is None or control.rows.targets is not None:
        return None
    return control.rows.values, control.rows.counts


def _taught_by(network: Network | MechanismNetwork, counts: Floats) -> Network:
    if isinstance(network, MechanismNetwork):
        return _learned_anew(network, counts)
    control = network.control
    assert control is not None
    assert control.rows is not None
    kept = counts > 0
    rows = ControlRows(control.rows.values[kept], counts[kept], None)
    own = replace(control, rows=rows, n_rows=float(counts.sum()))
    like = Network(network.variables, network.parents, network.tables, own)
    return relearned(like, network.parents)


def _learned_anew(network: MechanismNetwork, counts: Floats) -> Network:
    assert network.control is not None
    values, mechanisms = network.control.values, list(network.mechanisms)
    for _ in range(_LEARNING):
        mechanisms = [refitted(one, one.statistics(values, counts)) for one in mechanisms]
    known = network.control
    own = numbers.ControlRows(values, counts, known.dependence, known.silent)
    return as_network(replace(network, mechanisms=tuple(mechanisms), control=own))
