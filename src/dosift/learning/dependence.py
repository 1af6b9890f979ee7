"""Do control rows of one unit have more in common than chance? If so, each says less.

Rows of a unit share their intervention; here it is asked whether they share anything else (a donor,
a bad day, a slow metric), by what control rows differ from their mechanisms by: given nothing, that
should not go together within a unit.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from dosift.data.blocks import Block, MemoryBlocks
from dosift.data.load import load
from dosift.errors import UnitsWarning
from dosift.model.arrays import Floats
from dosift.model.mechanism import missing
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

#: Standard errors from which a correlation counts as one, and the least that is paid for.
_LEAST_Z, _LEAST = 3.5, 0.005
#: Variables that a notice names.
_NAMED = 5


def within_units(network: Network | MechanismNetwork, block: Block) -> tuple[Floats, Floats]:
    """Correlate what rows of a unit differ from their mechanisms by.

    Parameters
    ----------
    network : Network or MechanismNetwork
        Learned from these rows, or from others like them.
    block : Block
        Control rows, in units.

    Returns
    -------
    correlation : ndarray, shape (n_variables,)
        Intraclass correlation of each variable's residuals, 0 where nothing can be said.
    z : ndarray, shape (n_variables,)
        In standard errors (of independent units).

    Examples
    --------
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> alike = np.repeat(np.arange(200) % 2, 2)[:, None]
    >>> rows = Block(alike, np.ones(200), first=np.arange(0, 400, 2))
    >>> [float(x[0].round(2)) for x in within_units(network, rows)]
    [1.0, 14.14]
    """
    n = network.n_variables
    correlation, z = np.zeros(n), np.zeros(n)
    if block.first is None:
        return correlation, z
    for i in range(n):
        residuals = _residuals(network, i, block)
        square = np.add.reduceat(np.square(residuals).sum(axis=1), block.first)
        whole = np.add.reduceat(residuals, block.first, axis=0)
        pairs = 0.5 * (np.square(whole).sum(axis=1) - square)
        seen = (residuals != 0).any(axis=1).astype(np.float64)
        size = np.add.reduceat(seen, block.first)
        n_pairs = 0.5 * size * (size - 1.0)
        spread = float(block.counts @ np.square(pairs))
        total = float(block.counts @ square)
        if spread <= 0 or total <= 0:
            continue
        mean_square = total / float(block.counts @ size)
        correlation[i] = float(block.counts @ pairs) / (mean_square * (block.counts @ n_pairs))
        z[i] = float(block.counts @ pairs) / np.sqrt(spread)
    return correlation, z


def _residuals(network: Network | MechanismNetwork, i: int, block: Block) -> Floats:
    """Return what each row differs from its mechanism by, zero where that is not known."""
    family = [i, *network.parents[i]]
    complete = np.logical_not(missing(block.values[:, family]).any(axis=1))
    if isinstance(network, Network):
        table = network.tables[i]
        out = np.zeros((len(block.values), table.shape[1]))
        codes = block.values[complete]
        expected = table[network.parent_rows(i, codes)]
        own = -expected
        own[np.arange(len(codes)), codes[:, i].astype(np.int64)] += 1.0
        out[complete] = own / np.sqrt(np.maximum(expected, 1e-12))
        return out
    scores = np.nan_to_num(network.mechanisms[i].scores(block.values)[:, :1])
    return np.where(complete[:, None], scores, 0.0)


def with_dependence(
    network: Network | MechanismNetwork, control: Any, unit: str, layer: str | None = None
) -> Network | MechanismNetwork:
    """Let a network remember how far control rows of a unit go together.

    Parameters
    ----------
    network : Network or MechanismNetwork
        Learned from the control rows.
    control : dataframe, mapping of columns, str or Path
    unit : str
        The column that holds the unit of each control row.
    layer : str, optional
        As for :func:`~dosift.data.load.load`.

    Returns
    -------
    Network or MechanismNetwork
        Rows of a unit of m count for 1 / (1 + (m - 1) r) each in what is said of a variable with
        the correlation r (the design effect of Kish, 1965).

    Warns
    -----
    UnitsWarning
        If some variables go together within units.
    """
    remembered: Any = network.control
    if remembered is None:
        return network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said when the network was learned
        rows = load(control, network, unit=unit, layer=layer).rows
    assert isinstance(rows, MemoryBlocks)
    correlation, z = within_units(network, rows.whole)
    found = np.where((z > _LEAST_Z) & (correlation > _LEAST), np.minimum(correlation, 1.0), 0.0)
    if not found.any():
        return network
    names = network.names
    order = np.argsort(-found, kind="stable")[: int((found > 0).sum())]
    shown = ", ".join(f"{names[i]} ({found[i]:.2f})" for i in order[:_NAMED])
    more = f" and {order.size - _NAMED} more" if order.size > _NAMED else ""
    warnings.warn(
        f"control rows of one {unit} have more in common than chance: the correlation within units "
        f"is not 0 in {shown}{more}. Rows of a unit count for less there (1 / (1 + (m - 1) r) for "
        "each of m rows)",
        UnitsWarning,
        stacklevel=4,
    )
    control_again = replace(remembered, dependence=found)
    if isinstance(network, MechanismNetwork):
        return replace(network, control=control_again)
    return Network(network.variables, network.parents, network.tables, control_again)
