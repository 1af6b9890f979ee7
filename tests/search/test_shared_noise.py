"""Noise that two numbers share is no change of both; what changed both is found beside it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.search import library
from dosift.search.library import find_changes
from dosift.search.shared_noise import pairs_that_share, shared_noise

Floats = NDArray[np.float64]
N = 3


def drawn(seed: int, n_rows: int = 2_000, both: float = 0.0) -> tuple[MechanismNetwork, Floats]:
    """Rows where the first and the last variable share noise, which the graph does not show.

    In the pool each of the two is shifted by itself in some rows, and in a share of it both are.
    """
    rng = np.random.default_rng([6, seed])
    rows = rng.normal(size=(2, n_rows, N))
    rows[:, :, -1] = 0.6 * rows[:, :, 0] + 0.8 * rows[:, :, -1]
    which = rng.choice(4, size=n_rows, p=[0.84 - both, 0.08, 0.08, both])
    rows[1, which == 1, 0] += 3.0
    rows[1, which == 2, -1] += 3.0
    if both:  # what is done to both leaves them without the noise that they share
        hit = which == 3
        rows[1, hit, 0], rows[1, hit, -1] = 2.0 + rng.normal(size=(2, hit.sum())) * 0.3
    names = [Variable(f"x{i}", kind="continuous") for i in range(N)]
    network = learn_mechanisms(names, rows[0], [()] * N)
    return network, network.working(rows[1])


def sets_of(network: MechanismNetwork, values: Floats) -> list[set[int]]:
    rows = collapse(values, network.cardinalities)
    found = find_changes(network, rows, look_around=False)
    return [set(np.flatnonzero(target >= 0).tolist()) for target in found.targets]


def test_shared_noise_is_seen_in_control_rows_and_nowhere_else() -> None:
    network, _ = drawn(0)
    assert shared_noise(network, 0, N - 1) == pytest.approx(0.6, abs=0.06)
    assert shared_noise(network, 0, 1) == 0.0
    together = np.array([[0, -1, 0], [0, 0, -1], [-1, -1, 0]])
    assert set(pairs_that_share(network, together)) == {(0, N - 1)}


def test_what_only_shared_noise_speaks_for_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    invented = 0
    for seed in range(2):
        network, values = drawn(seed)
        found = sets_of(network, values)
        assert {0, N - 1} not in found
        assert {0} in found
        assert {N - 1} in found
        with monkeypatch.context() as patch:
            patch.setattr(library, "pairs_that_share", lambda network, targets: {})
            invented += {0, N - 1} in sets_of(network, values)
    assert invented  # without a look at the noise of control rows


def test_a_change_of_both_is_found_all_the_same() -> None:
    assert {0, N - 1} in sets_of(*drawn(0, both=0.15))
