"""Where to draw the variables of a causal graph: layers from causes to effects.

Pure code on positions, shared by the report page and the plots, and deterministic. The steps are
those of Sugiyama, Tagawa and Toda (1981): put each variable in a layer below its parents, give
edges that pass a layer a place in it, order the layers by the means of their neighbours so that
few edges cross, and set the variables as near to their neighbours as the distances allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

Floats = NDArray[np.float64]
Parents = Sequence[Sequence[int]]

#: Width of the place that an edge takes in a layer it passes, in columns.
_PASSING_WIDTH = 0.24
#: How much more than that of a node a passing edge's wish counts, so that it runs straight.
_PASSING_WEIGHT = 4.0
#: With more passing edges than this, edges are drawn straight and take no place.
_MOST_PASSING = 2500
#: Sweeps that order the layers, and that set the columns.
_ORDER_SWEEPS, _COLUMN_SWEEPS = 14, 14


@dataclass(frozen=True)
class GraphLayout:
    """Places of the nodes of a graph.

    Attributes
    ----------
    columns : ndarray, shape (n_nodes,)
        Horizontal place of each node; nodes of one layer are at least 1 apart; the least is 0.
    layers : ndarray of int, shape (n_nodes,)
        Layer of each node, counted from 0; parents are in layers above their children.
    routes : dict of (int, int) to ndarray, shape (n_points, 2)
        For each edge (parent, child) the points that it passes, as column and layer, from the
        parent to the child.
    """

    columns: Floats
    layers: NDArray[np.int64]
    routes: dict[tuple[int, int], Floats]

    @property
    def width(self) -> float:
        """Columns from the first to the last thing drawn."""
        points = [route[:, 0].max() for route in self.routes.values()]
        return float(max([*self.columns, *points], default=0.0))

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return int(self.layers.max()) + 1 if self.layers.size else 0


def parents_shown(network: Network | MechanismNetwork) -> dict[int, tuple[int, ...]]:
    """Positions of the parents of each variable, without what is only conditioned on.

    Parameters
    ----------
    network : Network or MechanismNetwork

    Returns
    -------
    dict of int to tuple of int
    """
    hidden = network.covariates if isinstance(network, MechanismNetwork) else frozenset()
    return {
        i: tuple(p for p in parents if p not in hidden)
        for i, parents in enumerate(network.parents)
        if i not in hidden
    }


def vicinity(parents: Parents, chosen: Sequence[int], most: int = 40) -> tuple[list[int], str]:
    """Select the nodes worth drawing: the chosen ones and what surrounds them.

    Parameters
    ----------
    parents : sequence of sequence of int
        The parents of each node.
    chosen : sequence of int
        Nodes of interest, the most important first.
    most : int, default=40
        About how many nodes can be drawn legibly.

    Returns
    -------
    nodes : list of int
        Ascending.
    kind : {"all", "neighbours", "parents", "chosen"}
        Which ones they are: all nodes; the chosen with parents and children; the chosen with
        parents; or the chosen alone (then at most `most` of them).

    Examples
    --------
    >>> chain = [[], [0], [1], [2], [3]]
    >>> vicinity(chain, [1], most=3)
    ([0, 1, 2], 'neighbours')
    >>> vicinity(chain, [1], most=2)
    ([0, 1], 'parents')
    """
    n = len(parents)
    if n <= most:
        return list(range(n)), "all"
    own = set(chosen)
    above = own | {p for i in own for p in parents[i]}
    around = above | {i for i in range(n) if own.intersection(parents[i])}
    for nodes, kind in ((around, "neighbours"), (above, "parents")):
        if len(nodes) <= most:
            return sorted(nodes), kind
    return sorted(chosen[:most]), "chosen"


def induced(parents: Parents, nodes: Sequence[int]) -> list[list[int]]:
    """Keep some nodes of a graph and the edges between them.

    Parameters
    ----------
    parents : sequence of sequence of int
        The parents of each node.
    nodes : sequence of int
        The nodes kept.

    Returns
    -------
    list of list of int
        The parents of each kept node, as positions in `nodes`.
    """
    place = {node: k for k, node in enumerate(nodes)}
    return [[place[p] for p in parents[node] if p in place] for node in nodes]


def with_pairs(parents: Parents, pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Add edges that are drawn though the graph has them not, or has them the other way round.

    Parameters
    ----------
    parents : sequence of sequence of int
        The parents of each node; no cycles.
    pairs : sequence of (int, int)
        Ends of the edges, in either order.

    Returns
    -------
    list of list of int
        The parents with these edges, each from the node that comes first among causes and effects
        to the other, so that there are still no cycles.

    Examples
    --------
    >>> with_pairs([[], [0], []], [(1, 0), (2, 1)])
    [[], [0, 2], []]
    """
    place = {node: k for k, node in enumerate(_topological(parents))}
    out = [list(row) for row in parents]
    for a, b in pairs:
        first, last = sorted((a, b), key=lambda node: place[node])
        if first not in out[last]:
            out[last].append(first)
    return out


def layered_layout(parents: Parents, max_width: int = 7) -> GraphLayout:
    """Lay out an acyclic graph in layers.

    Parameters
    ----------
    parents : sequence of sequence of int
        The parents of each node; no cycles.
    max_width : int, default=7
        Most nodes in one layer.

    Returns
    -------
    GraphLayout

    Examples
    --------
    >>> layout = layered_layout([[], [], [0, 1]])
    >>> layout.layers.tolist(), layout.columns.tolist()
    ([0, 0, 1], [0.0, 1.0, 0.5])
    """
    n = len(parents)
    layers = _layers(parents, max_width)
    chains, place, members = _with_passing(parents, layers)
    if not n:
        return GraphLayout(np.zeros(0), layers, {})
    links = [(a, b) for chain in chains.values() for a, b in pairwise(chain)]
    above: list[list[int]] = [[] for _ in place]
    below: list[list[int]] = [[] for _ in place]
    for a, b in links:
        above[b].append(a)
        below[a].append(b)
    members = _ordered(members, above, below)
    columns = _columns(members, above, below, n)
    columns -= columns.min()
    layer = np.array(place, dtype=np.float64)
    routes = {
        edge: np.column_stack([columns[chain], layer[chain]]) for edge, chain in chains.items()
    }
    return GraphLayout(columns[:n], layers, routes)


def _topological(parents: Parents) -> list[int]:
    """Order nodes so that parents come first, by depth, then position."""
    depth = [-1] * len(parents)
    children: list[list[int]] = [[] for _ in parents]
    waiting = [len(row) for row in parents]
    for i, row in enumerate(parents):
        for p in row:
            children[p].append(i)
    ready = [i for i, count in enumerate(waiting) if not count]
    for i in ready:
        depth[i] = max((depth[p] + 1 for p in parents[i]), default=0)
        for child in children[i]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    if len(ready) < len(parents):
        raise ValueError("the graph has a cycle")
    return sorted(ready, key=lambda i: (depth[i], i))


def _layers(parents: Parents, max_width: int) -> NDArray[np.int64]:
    """Put each node in the first layer below its parents that has room."""
    order = _topological(parents)
    layer = np.zeros(len(parents), dtype=np.int64)
    filled: list[int] = []
    for i in order:
        at = max((int(layer[p]) + 1 for p in parents[i]), default=0)
        while at < len(filled) and filled[at] >= max_width:
            at += 1
        filled.extend([0] * (at + 1 - len(filled)))
        filled[at] += 1
        layer[i] = at
    return _nearer_to_children(parents, order, layer, filled, max_width)


def _nearer_to_children(
    parents: Parents,
    order: Sequence[int],
    layer: NDArray[np.int64],
    filled: list[int],
    max_width: int,
) -> NDArray[np.int64]:
    """Move nodes that have only children down to just above the first of them, where room is."""
    first_child = np.full(len(parents), -1, dtype=np.int64)
    for i in reversed(order):
        lowest = first_child[i] - 1
        if not parents[i] and lowest > layer[i] and filled[lowest] < max_width:
            filled[layer[i]] -= 1
            filled[lowest] += 1
            layer[i] = lowest
        for p in parents[i]:
            if first_child[p] < 0 or layer[i] < first_child[p]:
                first_child[p] = layer[i]
    # Layers that were emptied are closed up.
    _, closed = np.unique(layer, return_inverse=True)
    return np.asarray(closed, dtype=np.int64)


def _with_passing(
    parents: Parents, layers: NDArray[np.int64]
) -> tuple[dict[tuple[int, int], list[int]], list[int], list[list[int]]]:
    """Give edges a place in the layers that they pass.

    Returns the places that each edge goes through, the layer of each place (nodes first), and
    the places in each layer.
    """
    edges = [(p, i) for i, row in enumerate(parents) for p in row]
    passing = sum(int(layers[i] - layers[p]) - 1 for p, i in edges)
    place = layers.tolist()
    chains: dict[tuple[int, int], list[int]] = {}
    for p, i in edges:
        between: list[int] = []
        if passing <= _MOST_PASSING:
            between = list(range(len(place), len(place) + int(layers[i] - layers[p]) - 1))
            place.extend(range(int(layers[p]) + 1, int(layers[i])))
        chains[p, i] = [p, *between, i]
    members: list[list[int]] = [[] for _ in range(int(layers.max()) + 1 if layers.size else 0)]
    for k, at in enumerate(place):
        members[at].append(k)
    return chains, place, members


def _ordered(
    members: list[list[int]], above: list[list[int]], below: list[list[int]]
) -> list[list[int]]:
    """Order each layer by the mean place of its neighbours; keep what crosses least."""
    rank = np.zeros(len(above))
    for layer in members:
        rank[layer] = np.arange(len(layer))
    best, fewest = [list(layer) for layer in members], _crossings(members, above, rank)
    current = [list(layer) for layer in members]
    for sweep in range(_ORDER_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for layer in current if down else reversed(current):
            towards = above if down else below
            means = {k: rank[towards[k]].mean() if towards[k] else rank[k] for k in layer}
            layer.sort(key=lambda k: (means[k], rank[k]))
            rank[layer] = np.arange(len(layer))
        crossings = _crossings(current, above, rank)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in current], crossings
    return best


def _crossings(members: list[list[int]], above: list[list[int]], rank: Floats) -> int:
    """Count the pairs of edges between neighbouring layers that cross."""
    crossings = 0
    for layer in members:
        upper: list[float] = []
        for k in layer:
            upper.extend(sorted(rank[above[k]]))
        ranks = np.array(upper)
        # Edges in the order of their lower ends: each one that ends above left of an earlier one.
        crossings += int(np.count_nonzero(np.triu(ranks[:, None] > ranks[None, :], 1)))
    return crossings


def _columns(
    members: list[list[int]], above: list[list[int]], below: list[list[int]], n_nodes: int
) -> Floats:
    """Set places near the mean of their neighbours, in order and far enough apart."""
    columns = np.zeros(len(above))
    offsets, weights = [], []
    for layer in members:
        widths = np.where(np.array(layer) < n_nodes, 1.0, _PASSING_WIDTH)
        centres = np.cumsum(widths) - widths / 2
        offsets.append(centres - centres[0])
        weights.append(np.where(widths < 1.0, _PASSING_WEIGHT, 1.0))
        columns[layer] = centres - centres[-1] / 2
    for sweep in range(_COLUMN_SWEEPS):
        down = sweep % 2 == 0
        for at in range(len(members)) if down else reversed(range(len(members))):
            layer = members[at]
            wanted = np.empty(len(layer))
            for j, k in enumerate(layer):
                # The last sweeps look both ways, which keeps long edges straight.
                near = above[k] if down else below[k]
                near = [*above[k], *below[k]] if sweep >= _COLUMN_SWEEPS - 2 else near
                wanted[j] = columns[near].mean() if near else columns[k]
            columns[layer] = _increasing(wanted - offsets[at], weights[at]) + offsets[at]
    return columns


def _increasing(values: Floats, weights: Floats) -> Floats:
    """Find the nearest non-decreasing sequence by pooling neighbours that are out of order."""
    means: list[float] = []
    totals: list[float] = []
    sizes: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        means.append(value)
        totals.append(weight)
        sizes.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            total = totals[-2] + totals[-1]
            means[-2:] = [(means[-2] * totals[-2] + means[-1] * totals[-1]) / total]
            totals[-2:] = [total]
            sizes[-2:] = [sizes[-2] + sizes[-1]]
    return np.repeat(np.array(means), sizes)
