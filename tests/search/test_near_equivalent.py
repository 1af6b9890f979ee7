"""What replacing a component loses, against the quadratic model maximised outright."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.data import collapse
from dosift.likelihood.evidence import Evidence
from dosift.search.constraints import Constraints
from dosift.search.near_equivalent import find_near_equivalent, replacement_losses
from dosift.search.selection import Selection


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


def test_what_replaces_a_required_target_of_no_weight_may_have_some() -> None:
    """Then nothing is lost: the likelihood rises, by what the other explains."""
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[0.9, 0.1]] * 2}
    )
    codes = np.repeat([[0, 0], [1, 0], [0, 1], [1, 1]], [45, 45, 40, 40], axis=0)
    evidence = Evidence.of_configurations(network, collapse(codes, network.cardinalities))
    targets = np.array([[-1, -1], [-1, 0]], dtype=np.int16)
    known = Constraints.none(network.cardinalities)
    weights = np.array([[1.0, 0.0]])
    selection = Selection(evidence, network, known, (0, 1))
    found = find_near_equivalent(selection, targets, weights)
    (b1,) = [one for one in found if one.component == 1 and one.target.tolist() == [-1, 1]]
    # b is 1 in 80 of 170 rows, of which do() explains a tenth.
    share = (80 / 170 - 0.1) / 0.9
    gain = 90 * np.log(1 - share) + 80 * np.log((0.1 * (1 - share) + share) / 0.1)
    assert b1.loss == pytest.approx(-gain, abs=1e-6)
