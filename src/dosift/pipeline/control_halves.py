"""Control rows in two halves: one teaches the network, the other is played as a pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from dosift.data.blocks import NOTHING, Block, MemoryBlocks
from dosift.data.load import Loaded
from dosift.graphs.number_families import families_of_control
from dosift.likelihood.evidence import Evidence
from dosift.model import known_rows as numbers
from dosift.model.arrays import Bools, Floats, Values
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import ControlRows, Network
from dosift.pipeline.series import Series

#: Halves are drawn with this seed: what is found depends on nothing but the rows.
_SEED = 1919


@dataclass(frozen=True)
class Half:
    """A network that some control rows taught, and others to be explained with it.

    Attributes
    ----------
    network : Network
        With the graph, and all else that is not learned, of the network that was split.
    evidence : Evidence
        The rows that it did not learn from.
    series : Series or None
        The same in order of time.
    """

    network: Network
    evidence: Evidence
    series: Series | None = None

    @property
    def n_rows(self) -> float:
        """Rows to be explained."""
        return self.evidence.total if self.series is None else float(self.series.index.size)


def control_halves(network: Network, most: float) -> Iterator[Half]:
    """Split control rows in two, and let each half teach while the other is to be explained.

    Parameters
    ----------
    network : Network
        Learned; it remembers its control rows (:func:`can_be_split`).
    most : float
        Rows to be explained at most.

    Yields
    ------
    Half
        Two of them.
    """
    if isinstance(network, MechanismNetwork):
        yield from _of_numbers(network, most)
    else:
        yield from _of_states(network, most)


def can_be_split(network: Network) -> bool:
    """Whether a network remembers control rows, and these are rows rather than shares of some."""
    if isinstance(network, MechanismNetwork):
        return network.control is not None and bool((network.control.weights == 1.0).all())
    control = network.control
    if control is None or control.rows is None:
        return False
    counts = control.rows.counts
    return bool((counts == np.rint(counts)).all())


def _of_numbers(network: MechanismNetwork, most: float) -> Iterator[Half]:
    control = network.control
    assert control is not None
    order = np.random.default_rng(_SEED).permutation(len(control.values))
    parts = np.array_split(order, 2)
    for taught, played in (parts, parts[::-1]):
        system = taught_numbers(network, control.values[taught])
        some = np.sort(played[: int(most)])
        rows = MemoryBlocks(np.asfortranarray(control.values[some]), np.ones(some.size))
        yield Half(system, Evidence.held_rows(system, rows))


def _of_states(network: Network, most: float) -> Iterator[Half]:
    control = network.control
    assert control is not None
    assert control.rows is not None
    rng = np.random.default_rng(_SEED)
    rows = control.rows
    every = np.where(left_alone(rows), rows.counts, 0.0)
    first = _drawn(every, every.sum() // 2, rng)
    for played in (every - first, first):
        rest = rows.counts - played
        targets = None if rows.targets is None else rows.targets[rest > 0]
        own = ControlRows(rows.values[rest > 0], rest[rest > 0], targets)
        half = taught_states(network, own)
        some = _drawn(played, min(most, played.sum()), rng)
        seen = some > 0
        blocks = MemoryBlocks(np.asfortranarray(rows.values[seen]), some[seen])
        yield Half(half, Evidence.held_rows(half, blocks))


def halves_in_units(network: Network, most: float, control: Loaded) -> Iterator[Half]:
    """Split control rows by units: what the rows of one have in common is in one half alone.

    Parameters
    ----------
    network : Network
        Learned; it remembers its control rows (:func:`can_be_split`).
    most : float
        Units to be explained at most.
    control : Loaded
        The same rows, in units.

    Yields
    ------
    Half
        Two of them.
    """
    assert isinstance(control.rows, MemoryBlocks)
    units, rng = control.rows.whole, np.random.default_rng(_SEED)
    first = _drawn(units.counts, units.counts.sum() // 2, rng)
    for played in (units.counts - first, first):
        half = _taught_by_units(network, units, units.counts - played)
        some = _drawn(played, min(most, played.sum()), rng)
        seen = np.flatnonzero(some)
        own = replace(units.part(seen), counts=some[seen])
        yield Half(half, Evidence.held_rows(half, MemoryBlocks.of_block(own, NOTHING)))


def _taught_by_units(network: Network, units: Block, counts: Floats) -> Network:
    """Learn from the rows of so many of each unit."""
    of_row = counts[units.unit]
    if isinstance(network, MechanismNetwork):
        return taught_numbers(network, np.repeat(units.values, of_row.astype(np.int64), axis=0))
    values, place = np.unique(units.values[of_row > 0], axis=0, return_inverse=True)
    counts = np.bincount(place.ravel(), of_row[of_row > 0]).astype(np.float64)
    return taught_states(network, with_labelled(network, values, counts))


def left_alone(rows: ControlRows) -> Bools:
    """Whether nothing was done to control rows; labelled rows, of which more is known, only teach.

    Parameters
    ----------
    rows : ControlRows
    """
    if rows.targets is None:
        return np.ones(len(rows.counts), dtype=bool)
    return np.asarray((rows.targets < 0).all(axis=1))


def with_labelled(network: Network, values: Values, counts: Floats) -> ControlRows:
    """Put control rows of which more is known, and which only teach, to some of the others.

    Parameters
    ----------
    network : Network
    values : ndarray of int, shape (n_distinct, n_variables)
    counts : ndarray, shape (n_distinct,)
    """
    assert network.control is not None
    known = network.control.rows
    assert known is not None
    values = values.astype(known.values.dtype)
    rest = ~left_alone(known)
    if known.targets is None or not rest.any():
        return ControlRows(values, counts)
    nothing = np.full(values.shape, -1, dtype=known.targets.dtype)
    return ControlRows(
        np.concatenate([values, known.values[rest]]),
        np.concatenate([counts, known.counts[rest]]),
        np.concatenate([nothing, known.targets[rest]]),
    )


def taught_states(network: Network, rows: ControlRows) -> Network:
    """Learn the tables of a network from some of its control rows.

    Parameters
    ----------
    network : Network
    rows : ControlRows

    Returns
    -------
    Network
    """
    control = network.control
    assert control is not None
    assert control.rows is not None
    fewer = control.n_rows - float(control.rows.counts.sum() - rows.counts.sum())
    like = Network(
        network.variables,
        network.parents,
        network.tables,
        replace(control, n_rows=fewer, rows=rows),
    )
    return cast(Network, families_of_control(like).network(network.parents))


def taught_numbers(network: MechanismNetwork, values: Floats) -> Network:
    """Learn the mechanisms of a network from some control rows.

    Parameters
    ----------
    network : MechanismNetwork
    values : ndarray, shape (n_rows, n_variables)
    """
    known = None if network.control is None else network.control.dependence
    own = numbers.ControlRows(np.asfortranarray(values), np.ones(len(values)), known)
    found = families_of_control(replace(network, control=own)).network(network.parents)
    return cast(Network, found)


def _drawn(counts: Floats, n_rows: float, rng: np.random.Generator) -> Floats:
    """Draw so many rows without replacement from some that are counted."""
    whole = counts.astype(np.int64)
    n_rows = int(n_rows)
    if n_rows >= whole.sum():
        return counts
    some = rng.multivariate_hypergeometric(whole, n_rows, method="marginals")
    return some.astype(np.float64)
