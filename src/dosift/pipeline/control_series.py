"""Control rows as a series in two stretches: one teaches the network, the other is played."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block, MemoryBlocks
from dosift.data.load import Loaded
from dosift.likelihood.evidence import Evidence
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.pipeline.control_halves import (
    Half,
    left_alone,
    taught_numbers,
    taught_states,
    with_labelled,
)
from dosift.pipeline.series import Series

#: Rows without times are brought into an order with this seed.
_SEED = 1919


def halves_in_time(network: Network, most: float, control: Loaded | None) -> Iterator[Half]:
    """Let each half of the control rows teach while the other is to be explained as a series.

    Parameters
    ----------
    network : Network
        Learned; it remembers its control rows
        (:func:`~dosift.pipeline.control_halves.can_be_split`).
    most : float
        Rows to be explained at most.
    control : Loaded or None
        Control rows in order of time, whose halves are the earlier rows and the later ones. Without
        it they are brought into an order that says nothing: under no intervention all orders are
        alike, but for what rows that follow each other have in common.

    Yields
    ------
    Half
        Two of them.
    """
    series = _series(network) if control is None else Series.of(control)
    n = series.index.size
    for played, taught in ((slice(n // 2), slice(n // 2, n)), (slice(n // 2, n), slice(n // 2))):
        half = _taught(network, series, series.index[taught])
        start = played.start or 0
        own = series.part(slice(start, min(played.stop, start + int(most))))
        seen, index = np.unique(own.index, return_inverse=True)
        counts = np.bincount(index.ravel()).astype(np.float64)
        rows = MemoryBlocks(np.asfortranarray(own.block.values[seen]), counts)
        yield Half(half, Evidence.held_rows(half, rows), own)


def _series(network: Network) -> Series:
    """Bring the control rows that a network remembers into some order."""
    control = network.control
    assert control is not None
    if isinstance(network, MechanismNetwork):
        return Series.shuffled(Block(control.values, control.weights), _SEED)
    assert control.rows is not None
    own = left_alone(control.rows)
    block = Block(control.rows.values[own], control.rows.counts[own])
    return Series.shuffled(block, _SEED)


def _taught(network: Network, series: Series, index: NDArray[np.int64]) -> Network:
    values = series.block.values
    if isinstance(network, MechanismNetwork):
        return taught_numbers(network, values[index])
    seen, counts = np.unique(index, return_counts=True)
    return taught_states(network, with_labelled(network, values[seen], counts.astype(np.float64)))
