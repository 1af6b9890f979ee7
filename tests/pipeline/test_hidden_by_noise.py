"""Counts that are measured with noise: what control rows hide, by rows that are written down."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.model.burst_counts import BurstMechanism
from dosift.model.count_features import LogRate
from dosift.model.counts import CountChanges, Fold, NegativeBinomialMechanism
from dosift.model.known_rows import ControlRows
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.pipeline.noisy_parents import _clear, _hidden, _is_hidden, by_noisy_parents

Floats = NDArray[np.float64]

#: A count, of which some are measured eight times as large, and one that depends on the true one.
PARENT = NegativeBinomialMechanism(0, (), (), (float(np.log(20.0)),), dispersion=0.05)
CHILD = NegativeBinomialMechanism(1, (0,), (LogRate(0),), (0.5, 1.0), dispersion=0.05)
BURSTS = BurstMechanism(0, (), (), (float(np.log(20.0)),), dispersion=0.05, share=0.2, factor=8.0)


def drawn(n: int, seed: int, fold: float = 1.0) -> Floats:
    rng = np.random.default_rng(seed)
    true = rng.negative_binomial(20.0, 20.0 / (20.0 + 20.0 * fold), n).astype(float)
    child = rng.poisson(np.exp(0.5) * (true + 1.0)).astype(float)
    seen = true * np.where(rng.random(n) < 0.2, 8.0, 1.0)
    return np.stack([seen, child], axis=1)


def test_rows_are_clear_where_no_count_is_a_burst() -> None:
    values = np.array([[20.0, 3.0], [160.0, 3.0], [60.0, 3.0]])
    burst = BURSTS.posterior(values)
    assert burst[0] < 0.05
    assert burst[1] > 0.9
    np.testing.assert_allclose(_clear([BURSTS], values), 1.0 - burst)
    np.testing.assert_allclose(_clear([BURSTS, BURSTS], values), (1.0 - burst) ** 2)


def network_of(control: Floats, fold: float, along: float) -> MechanismNetwork:
    libraries = (CountChanges((Fold(fold),)), CountChanges((Fold(along), Fold(1.0 / along))))
    taught = CHILD
    for _ in range(8):
        taught = taught.fitted(taught.statistics(control, np.ones(len(control))))
    return MechanismNetwork(
        (PARENT, taught), libraries, control=ControlRows(control, np.ones(len(control)))
    )


def test_what_is_hidden_is_by_how_much_steeper_the_clear_rows_are() -> None:
    control, pool = drawn(800, 0), drawn(400, 1, fold=0.25)
    network = network_of(control, 0.25, 0.6)
    mechanism = network.mechanisms[1]
    assert isinstance(mechanism, NegativeBinomialMechanism)
    found = _hidden(mechanism, [BURSTS], network, pool, np.ones((400, 1)))
    # The slope of the plain rows is far below one: a fourth of the parent does more than it says.
    assert found[0] < -0.2
    slope = mechanism.coefficients[1]
    assert slope < 0.8
    clear, here = _clear([BURSTS], pool), _clear([BURSTS], control)
    steep = CHILD
    for _ in range(8):
        steep = steep.fitted(steep.statistics(control, here))
    plain = mechanism
    for _ in range(8):
        plain = plain.fitted(plain.statistics(control, np.ones(800)))
    expected = np.average(steep.log_means(pool) - plain.log_means(pool), weights=clear)
    expected -= np.average(steep.log_means(control) - plain.log_means(control), weights=here)
    assert found[0] == pytest.approx(expected, abs=0.02)
    # Rows as in the control rows hide nothing.
    same = _hidden(mechanism, [BURSTS], network, control, np.ones((800, 1)))
    assert abs(same[0]) < 1e-9


def test_a_change_up_to_twice_what_is_hidden_is_that() -> None:
    for change, hidden, expected in (
        (-0.8, -0.4, True),
        (-0.81, -0.4, False),
        (0.3, 0.4, True),
        (0.04, 0.04, False),
        (-0.3, 0.4, False),
        (0.0, 0.4, False),
    ):
        assert _is_hidden(change, hidden) == expected


def test_what_moves_along_with_a_noisy_count_is_left_alone() -> None:
    control = drawn(800, 0)
    pool = np.concatenate([drawn(300, 1), drawn(300, 2, fold=0.25)])
    weights = np.array([0.5, 0.5])
    rows = Block(np.asfortranarray(pool), np.ones(600))
    network = network_of(control, 0.25, 0.6)
    for entry, repaired in ((0, True), (1, False)):
        # One that goes the other way is an intervention of its own.
        targets = np.array([[-1, -1], [0, entry]], dtype=np.int16)
        found = by_noisy_parents({0: BURSTS}, 33.0, network, targets, weights, rows)
        assert (found is not None) == repaired
        if found is not None:
            assert [(one.kind, one.what, one.variables) for one in found.repairs] == [
                ("noise", "parents", (0, 1))
            ]
            assert found.gain == 33.0
            assert sorted((found.targets >= 0).tolist()) == [[False, False], [True, False]]
    apart = np.array([[-1, -1], [-1, 0]], dtype=np.int16)
    assert by_noisy_parents({0: BURSTS}, 33.0, network, apart, weights, rows) is None
    assert by_noisy_parents({}, 33.0, network, targets, weights, rows) is None
    assert isinstance(network.libraries[0], Changes)
