"""Mechanisms learned from control rows that are too many to hold.

Scales, features and kinds of noise are chosen by a sample, as those of many rows in memory are.
All rows then teach the parameters, in passes that sum statistics of fixed size. The network
remembers the sample, and what all rows say beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.data import sample as sampling
from dosift.data.blocks import NOTHING, Block, RowBlocks
from dosift.data.configurations import systematic_sample
from dosift.data.sample import Sampler, bucket_loads, hash_rows
from dosift.data.stored_numbers import StoredNumbers
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.arrays import Floats
from dosift.model.features import Feature
from dosift.model.known_rows import BeyondSample, ControlRows
from dosift.model.mechanism import Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.uniform import UniformMechanism

#: Steps by which all rows teach the mechanisms that a sample began.
_STEPS = 2
#: Of the hash that draws the sample.
_SEED = 0


@dataclass(frozen=True)
class _Loads:
    """Counts the rows of each bucket; a task for blocks."""

    def __call__(self, block: Block) -> Floats:
        return bucket_loads(hash_rows(block.values, _SEED), block.counts)


@dataclass(frozen=True)
class _Statistics:
    """Sums statistics of mechanisms, and how likely they make the rows; a task for blocks."""

    mechanisms: tuple[Mechanism, ...]

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        logs = [block.counts @ one.log_density(block.values) for one in self.mechanisms]
        own = (one.statistics(block.values, block.counts) for one in self.mechanisms)
        return np.array(logs), *own


def sampled_rows(
    rows: RowBlocks, cardinalities: NDArray[np.int64], most: int | None = None
) -> Floats:
    """Draw a sample of rows that depends neither on their order nor on blocks.

    Parameters
    ----------
    rows : RowBlocks
    cardinalities : ndarray of int, shape (n_variables,)
        Number of states of each variable, 0 of numbers.
    most : int, optional
        Rows that are kept, at most; :data:`dosift.data.sample.MOST_CONFIGURATIONS` by default.

    Returns
    -------
    ndarray, shape (n_kept, n_variables)
        In lexicographic order.
    """
    most = sampling.MOST_CONFIGURATIONS if most is None else most
    sampler = replace(Sampler.of(cardinalities, NOTHING, _SEED), most=most)
    loads = rows.reduce(_Loads(), lambda one, other: one + other)
    informed = replace(sampler, loads=loads)
    informed = replace(informed, level=informed.starting_level())
    found = informed.configurations(rows.reduce(informed, informed.merge), rows.n_rows)
    few = systematic_sample(found, min(most, int(found.total)))
    return np.asfortranarray(np.repeat(few.codes, np.rint(few.counts).astype(np.int64), axis=0))


def learn_from_blocks(
    control: StoredNumbers,
    variables: Sequence[Variable],
    parents: Sequence[Sequence[int]],
    *,
    features: Mapping[int, Sequence[Feature]] | None = None,
    lowest: Floats,
    highest: Floats,
    is_rough: bool = False,
) -> MechanismNetwork:
    """Learn mechanisms as :func:`~dosift.learning.mechanisms.learn_mechanisms` does.

    Parameters
    ----------
    control : StoredNumbers
        Complete control rows in the users' units; afterwards they are on the working scales.
    variables, parents, features, is_rough
        As there.
    lowest, highest : ndarray, shape (n_variables,)
        Smallest and largest value of each variable in the other rows.

    Returns
    -------
    MechanismNetwork
        It remembers a sample of the control rows, and what all say beyond it.
    """
    sizes = np.array([len(one.states) for one in variables], dtype=np.int64)
    sample = sampled_rows(control.rows, sizes)
    network = learn_mechanisms(
        variables,
        sample,
        parents,
        features=features,
        lowest=np.fmin(lowest, control.lowest),
        highest=np.fmax(highest, control.highest),
        is_rough=is_rough,
    )
    rows = control.to_working(network)
    mechanisms = [
        _spanning(one, network, control.lowest, control.highest) for one in network.mechanisms
    ]
    for _ in range(_STEPS):
        _, *sums = rows.sum(_Statistics(tuple(mechanisms)))
        mechanisms = [one.fitted(own) for one, own in zip(mechanisms, sums, strict=True)]
    logs, *sums = rows.sum(_Statistics(tuple(mechanisms)))
    known = network.control
    assert known is not None
    plain = ControlRows(known.values, known.weights)
    factor = rows.n_rows / float(known.weights.sum())
    beyond = BeyondSample(
        factor,
        tuple(mechanisms),
        tuple(
            own - factor * plain.statistics(one) for one, own in zip(mechanisms, sums, strict=True)
        ),
        np.array(
            [
                log - factor * plain.log_likelihood(one)
                for one, log in zip(mechanisms, logs.tolist(), strict=True)
            ]
        ),
    )
    return replace(
        network,
        mechanisms=tuple(mechanisms),
        control=ControlRows(known.values, known.weights, beyond=beyond),
    )


def _spanning(
    mechanism: Mechanism, network: MechanismNetwork, lowest: Floats, highest: Floats
) -> Mechanism:
    """Let a range be that of all rows."""
    if not isinstance(mechanism, UniformMechanism):
        return mechanism
    i = mechanism.variable
    low, high = network.scales[i].working(np.array([lowest[i], highest[i]]))
    return replace(mechanism, low=min(mechanism.low, low), high=max(mechanism.high, high))
