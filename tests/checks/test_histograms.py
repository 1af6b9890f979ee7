"""Histograms of numbers: bins, and rows that count by their posterior."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.checks.densities import _counts, _edges, _positions, densities
from dosift.data.blocks import Block, MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Variable
from dosift.model.noise import Noise
from dosift.model.other import OTHER
from dosift.model.scale import Scale


def network_with(scale: Scale, kind: str = "continuous") -> MechanismNetwork:
    own = tuple(LinearMechanism(i, (), (), np.zeros(1), Noise.normal(1.0)) for i in range(2))
    control = ControlRows(np.array([[-1.0, 0.0], [0.5, 0.0], [np.nan, 0.0]]), np.ones(3))
    return MechanismNetwork(
        own,
        (Changes((Shift(3.0),)), Changes(())),
        control=control,
        variables=(Variable("x", kind=kind), Variable("y", kind="continuous")),  # type: ignore[arg-type]
        scales=(scale, Scale()),
    )


def test_what_lies_beyond_the_ends_is_in_the_outer_bins() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    values = np.array([-5.0, 0.0, 0.5, 1.0, 2.0, 9.0, np.nan])
    weights = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])
    assert _counts(values, weights, edges).tolist() == [7.0, 56.0]
    assert _positions(np.array([-1, 2, 0, 2, OTHER])) == [0, 2, OTHER]


def test_bins_hold_all_but_a_few_rows_of_pool_and_control() -> None:
    network = network_with(Scale())
    values = np.stack([np.linspace(0.0, 10.0, 1001), np.zeros(1001)], axis=1)
    edges = _edges(network, 0, Block(values, np.ones(1001)))
    both = np.append(values[:, 0], [-1.0, 0.5])
    assert edges.size == 41
    np.testing.assert_allclose(edges[[0, -1]], np.quantile(both, [0.002, 0.998]))
    np.testing.assert_allclose(np.diff(edges), (edges[-1] - edges[0]) / 40)
    alone = replace(network, control=None)
    same = _edges(alone, 0, Block(np.full((3, 2), 7.0), np.ones(3)))
    assert (same[0], same[-1]) == (6.5, 7.5)
    nothing = _edges(alone, 0, Block(np.full((3, 2), np.nan), np.ones(3)))
    assert (nothing[0], nothing[-1]) == (0.0, 1.0)


def test_bins_of_counts_end_between_whole_numbers() -> None:
    network = replace(network_with(Scale("count"), "count"), control=None)
    few = np.repeat(np.arange(5.0), 200)[:, None] * np.ones((1, 2))
    edges = _edges(network, 0, Block(few, np.ones(1000)))
    assert edges.tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]
    many = np.arange(3000.0)[:, None] * np.ones((1, 2))
    edges = _edges(network, 0, Block(many, np.ones(3000)))
    assert edges.size <= 42
    assert (edges % 1.0 == 0.5).all()
    # Evenly spread on the logarithm of one more, the large ones wider.
    assert edges[-2] - edges[-3] > 100.0


def test_rows_count_by_their_posterior_under_each_change() -> None:
    network = network_with(Scale("raw", 10.0, 2.0))
    rng = np.random.default_rng(0)
    values = np.asfortranarray(rng.normal(size=(200, 2)))
    values[:60, 0] += 3.0
    counts = rng.uniform(0.5, 2.0, 200)
    targets, weights = np.array([[-1, -1], [0, -1]]), np.array([0.7, 0.3])
    own = as_network(network)
    evidence = Evidence.held_rows(own, MemoryBlocks(values, counts))
    (found,) = densities(evidence, network, targets, weights)
    assert found.variable == 0
    edges = (found.edges - 10.0) / 2.0  # in the units of the column
    bins = np.clip(np.searchsorted(edges, values[:, 0], side="right") - 1, 0, 39)
    ratio = np.exp(3.0 * values[:, 0] - 4.5)
    posterior = 0.3 * ratio / (0.7 + 0.3 * ratio)
    pool = np.bincount(bins, counts, 40)
    under = np.bincount(bins, counts * posterior, 40)
    np.testing.assert_allclose(found.pool, pool / pool.sum(), atol=1e-12)
    assert list(found.changes) == [0]
    np.testing.assert_allclose(found.changes[0], under / under.sum(), atol=1e-9)
    assert found.control is not None
    assert found.control.sum() == pytest.approx(1.0)
    assert sorted(found.control[found.control > 0].tolist()) == [0.5, 0.5]
    # Where nothing is touched there is nothing to show.
    assert densities(evidence, network, targets[:1], np.ones(1)) == ()
