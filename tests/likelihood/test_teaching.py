"""Rows in blocks teach, and are judged, as rows in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dosift.checks.densities import densities
from dosift.data import blocks
from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.inference.change_error import change_errors
from dosift.inference.posterior import posterior_of_fit
from dosift.likelihood.evidence import Evidence
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.other import other_target
from dosift.model.other_numbers import Marginal, OtherNumbers, Part
from dosift.search.joint import JointFitter
from fitted_numbers import TARGETS, WEIGHTS, learned, true_network

#: Sums over rows in another order.
SAME = 1e-9


def problem(kind: str) -> tuple[MechanismNetwork, Evidence, Evidence, Block]:
    rng = np.random.default_rng(5)
    true = true_network()
    network = learned(true, 800, rng)
    n_rows = 1100
    values, _ = true.draw(TARGETS, WEIGHTS, n_rows, rng)
    counts = rng.integers(1, 4, size=n_rows).astype(np.float64)
    batch = first = None
    beside = Beside()
    if kind == "missing":
        values[rng.random(values.shape) < 0.05] = np.nan
    if kind == "batches":
        batch, beside = rng.integers(0, 2, size=n_rows), Beside(("a", "b"))
    if kind == "units":
        first = np.arange(0, n_rows, 2)
        counts = counts[: first.size]
    block = Block(np.asfortranarray(values), counts, batch, None, first)
    rows = MemoryBlocks.of_block(block, beside)
    system: Any = network
    return network, Evidence.held_rows(system, rows), Evidence.of_rows(system, rows), block


@pytest.fixture(autouse=True)
def _in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_CHUNK_ROWS", 130)
    monkeypatch.setattr(blocks, "block_rows", lambda n: 400)


def with_elsewhere(network: MechanismNetwork) -> MechanismNetwork:
    """Let some rows come from elsewhere: two origins, of every shape that a marginal has."""
    shapes = [
        Marginal("states", (0.5, 0.5)),
        Marginal("normal", (1.0, 2.0)),
        Marginal("even", (-6.0, 6.0)),
        Marginal("normal", (0.0, 3.0)),
        Marginal("normal", (3.0, 1.0), of_counts=True),
    ]
    moved = [replace(one, numbers=tuple(0.9 * x for x in one.numbers)) for one in shapes]
    moved[0] = Marginal("states", (0.8, 0.2))
    parts = (Part(0.6, tuple(shapes)), Part(0.4, tuple(moved)))
    return network.with_other(OtherNumbers(parts))


def test_blocks_teach_what_rows_from_elsewhere_look_like() -> None:
    network, held, apart, _ = problem("plain")
    one = two = with_elsewhere(network)
    targets = np.concatenate([TARGETS, other_target(5)[None]])
    weights = np.append(0.8 * WEIGHTS, 0.2)[None]
    for _ in range(3):
        one = held.taught(one, targets, weights, range(5))
        two = apart.taught(two, targets, weights, range(5))
    assert one.other is not None
    assert two.other is not None
    for a, b in zip(one.other.parts, two.other.parts, strict=True):
        assert a.share == pytest.approx(b.share, rel=1e-9)
        for c, d in zip(a.marginals, b.marginals, strict=True):
            np.testing.assert_allclose(c.numbers, d.numbers, rtol=1e-8)
    assert one.other.parts[0].marginals[1].numbers[0] != pytest.approx(1.0, abs=1e-3)
    for a, b in zip(parameters(one), parameters(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=SAME)


def parameters(network: MechanismNetwork) -> list[Any]:
    """All numbers of mechanisms and changes."""
    out = []
    for mechanism, library in zip(network.mechanisms, network.libraries, strict=True):
        for one in (mechanism, *library[:]):
            for name, value in sorted(vars(one).items()):
                if name == "noise":
                    out += [value.shares, value.means, value.sds]
                elif isinstance(value, float | np.ndarray) or name == "coefficients":
                    out.append(np.asarray(value, dtype=float))
    return out


@pytest.mark.parametrize("kind", ["plain", "missing", "batches", "units"])
def test_blocks_teach_as_rows_in_memory_do(kind: str) -> None:
    network, held, apart, _ = problem(kind)
    weights = np.atleast_2d(WEIGHTS)
    if kind == "batches":
        weights = np.stack([WEIGHTS, WEIGHTS[::-1]])
    assert apart.held is None
    one = two = network
    for _ in range(3):
        one = held.taught(one, TARGETS, weights, range(5))
        two = apart.taught(two, TARGETS, weights, range(5))
        if kind == "missing":  # points are laid anew in blocks, and kept where rows are held
            held.forget()
        for a, b in zip(parameters(one), parameters(two), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=SAME)
    moved = zip(parameters(network), parameters(two), strict=True)
    assert any(not np.allclose(a, b, atol=1e-3) for a, b in moved)


def test_a_known_network_is_taught_changes_only() -> None:
    network, held, apart, _ = problem("plain")
    known = MechanismNetwork(network.mechanisms, network.libraries)
    one = held.taught(known, TARGETS, WEIGHTS[None], range(5))
    two = apart.taught(known, TARGETS, WEIGHTS[None], range(5))
    assert all(a is b for a, b in zip(two.mechanisms, known.mechanisms, strict=True))
    for a, b in zip(parameters(one), parameters(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=SAME)


def test_fits_errors_and_densities_are_the_same() -> None:
    network, held, apart, block = problem("plain")
    system: Any = network
    fits = [JointFitter(system, e).fit(system, TARGETS, WEIGHTS) for e in (held, apart)]
    assert fits[0].score == pytest.approx(fits[1].score, abs=0.05)
    weights, targets = fits[0].weights[0], fits[0].targets
    taught: Any = fits[0].network
    rng = np.random.default_rng
    for refined in (True, False):
        one, two = (
            posterior_of_fit(e, taught, targets, weights, None, refined, rng(0))
            for e in (held, apart)
        )
        assert one is not None
        assert two is not None
        np.testing.assert_allclose(
            one.of_weights.weights().std_error, two.of_weights.weights().std_error, rtol=1e-8
        )
    errors = [change_errors(e, taught, targets, weights) for e in (held, apart)]
    assert len(errors[0]) == len(errors[1]) >= 4
    for a, b in zip(*errors, strict=True):
        assert (a.variable, a.position, a.names) == (b.variable, b.position, b.names)
        np.testing.assert_allclose(a.std_error, b.std_error, rtol=1e-7)
    told = (
        densities(held, taught, targets, weights),
        densities(apart, taught, targets, weights, block),
    )
    for c, d in zip(*told, strict=True):
        np.testing.assert_allclose(c.pool, d.pool, atol=SAME)
        assert c.pool.sum() == pytest.approx(1.0)
        for k, shares in c.changes.items():
            np.testing.assert_allclose(shares, d.changes[k], atol=SAME)


def test_a_batch_is_told_by_its_own_rows() -> None:
    """What the rows of a batch say of its weights does not grow with the rows of others."""
    from dosift.inference.mechanism_error import SumScores

    network, held, apart, block = problem("batches")
    system: Any = network
    work = SumScores(TARGETS, WEIGHTS, True, 1)
    own = block.part(block.batch == 1)
    alone = Evidence.held_rows(system, MemoryBlocks(own.values, own.counts))
    expected = alone.sum(system, TARGETS, SumScores(TARGETS, WEIGHTS, True))
    for evidence in (held, apart):
        for a, b in zip(evidence.sum(system, TARGETS, work), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-6)
