"""What replacing a component loses, against the quadratic model maximised outright."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.search.near_equivalent import replacement_losses


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_is_that_of_the_quadratic_model(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.uniform(size=(4, 40))
    information = root @ root.T  # of three components and the target
    weights, slope = np.array([0.5, 0.3, 0.2]), rng.uniform(-0.5, 0.5)
    own, cross, curvature = information[:3, :3], information[3:, :3], information[3:, 3]
    k = seed % 3
    found = replacement_losses(
        k, weights, np.linalg.inv(own), np.zeros(3), cross, np.array([slope]), curvature
    )
    # The component's weight goes to zero; the others and the target's are free.
    free = [i for i in range(4) if i != k]
    linear = np.array([0.0, 0.0, 0.0, slope])
    pull = linear[free] + information[free, k] * weights[k]
    step = np.linalg.solve(information[np.ix_(free, free)], pull)
    whole = np.zeros(4)
    whole[free], whole[k] = step, -weights[k]
    change = linear @ whole - 0.5 * whole @ information @ whole
    expected = -change if whole[3] > 0 else np.inf
    np.testing.assert_allclose(found, [expected], rtol=1e-9)


def test_a_target_that_no_row_can_come_from_takes_nothing_over() -> None:
    found = replacement_losses(
        0, np.ones(1), np.eye(1), np.zeros(1), np.zeros((1, 1)), np.array([-1e6]), np.zeros(1)
    )
    assert np.isposinf(found).all()
