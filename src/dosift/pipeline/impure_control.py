"""Control rows in which something was done: the pool's interventions, in a few of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.graphs.common_causes import common_causes
from dosift.graphs.dag import EdgeConstraints, edges_of
from dosift.graphs.families import relearned
from dosift.graphs.findings import GraphFindings
from dosift.graphs.number_families import families_of_control
from dosift.likelihood.assignment import assign
from dosift.model.network import ControlRows, Network
from dosift.search.result import SearchResult

Floats = NDArray[np.float64]

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
        Learned, of tables.
    result : SearchResult
        The mixture of the pool.

    Returns
    -------
    ImpureControl or None
        None where control rows are not at hand, or are what they should be.
    """
    control = network.control
    if control is None or control.rows is None or control.rows.targets is not None:
        return None
    done = (result.targets >= 0).any(axis=1)
    if not done.any():
        return None
    rows, weights = control.rows, result.weights[done] / result.weights[done].sum()
    now, share, before, value = network, 0.02, 0.0, -np.inf
    for k in range(_ROUNDS):
        found = assign(now, result.targets, result.weights, rows.values)
        ratio = found.columns[:, done] @ weights
        for _ in range(_STEPS):
            posterior = share * ratio / (1.0 - share + share * ratio)
            share = float(rows.counts @ posterior / rows.counts.sum())
        if k == 0:
            before = float(rows.counts @ found.log_reference)
        value = float(rows.counts @ (found.log_reference + np.log1p(share * (ratio - 1.0))))
        if share < _LEAST_SHARE:
            return None
        posterior = share * ratio / (1.0 - share + share * ratio)
        now = _taught_by(network, rows.counts * (1.0 - posterior))
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


def _taught_by(network: Network, counts: Floats) -> Network:
    control = network.control
    assert control is not None
    assert control.rows is not None
    kept = counts > 0
    rows = ControlRows(control.rows.values[kept], counts[kept], None)
    own = replace(control, rows=rows, n_rows=float(counts.sum()))
    like = Network(network.variables, network.parents, network.tables, own)
    return relearned(like, network.parents)
