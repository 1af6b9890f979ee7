"""Cells with raw counts, of which two genes are knocked out in some, for tests."""

from __future__ import annotations

from typing import NamedTuple

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Cells(NamedTuple):
    """Control and pool cells, the depth of each (unknown to a fit), and the graph of the genes."""

    control: pd.DataFrame
    pool: pd.DataFrame
    control_depth: NDArray[np.float64]
    pool_depth: NDArray[np.float64]
    graph: nx.DiGraph
    shares: dict[str, float]


def cells(seed: int = 0, n_genes: int = 12, n_cells: int = 1500) -> Cells:
    """Draw cells: g00 drives g01; g02 and g05 are knocked out in a quarter and a fifth of a pool.

    The last gene is as large as all others together, and varies on its own.
    """
    rng = np.random.default_rng(seed)
    names = [f"g{k:02d}" for k in range(n_genes)]
    means = np.append(rng.uniform(6.0, 14.0, n_genes - 1), 10.0 * n_genes)
    tables, depths = [], []
    component = rng.choice(3, n_cells, p=[0.55, 0.25, 0.2])
    for is_pool in (False, True):
        depth = np.exp(rng.normal(0.0, 0.5, n_cells))
        counts = np.zeros((n_cells, n_genes), dtype=np.int64)
        for i in range(n_genes):
            mean = means[i] * depth
            if i == 1:
                mean = mean * ((1.0 + counts[:, 0] / depth) / (1.0 + means[0])) ** 0.5
            if is_pool and i in (2, 5):
                mean = np.where(component == (1 if i == 2 else 2), 0.05, 1.0) * mean
            spread = 0.8 if i == n_genes - 1 else 0.15
            counts[:, i] = rng.poisson(rng.gamma(1.0 / spread, spread * mean))
        tables.append(pd.DataFrame(counts, columns=names))
        depths.append(depth)
    graph = nx.DiGraph([("g00", "g01")])
    graph.add_nodes_from(names)
    shares = {"g02": float((component == 1).mean()), "g05": float((component == 2).mean())}
    return Cells(tables[0], tables[1], depths[0], depths[1], graph, shares)
