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


def test_fewer_rows_choose_what_is_worth_a_look_if_they_support_every_component() -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [0.5, 0.5], "b": [[0.6, 0.4], [0.45, 0.55]]},
    )
    weights, targets = np.array([[0.8, 0.2]]), np.array([[-1, -1], [1, 1]], dtype=np.int16)
    cells = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    share = 0.8 * np.array([0.3, 0.2, 0.225, 0.275]) + [0.0, 0.0, 0.0, 0.2]

    def evidence(counts: np.ndarray) -> Evidence:
        return Evidence.of_configurations(network, collapse(cells, network.cardinalities, counts))

    whole = evidence(200.0 * share)
    selection = Selection(whole, network, Constraints.none(network.cardinalities), (0, 1))
    every = find_near_equivalent(selection, targets, weights)
    assert {one.component for one in every} == {1}

    def found(sample: Evidence) -> list[tuple[int, tuple[int, ...]]]:
        some = find_near_equivalent(selection, targets, weights, sample)
        losses = {(e.component, *e.target.tolist()): e.loss for e in every}
        for one in some:  # in the end all rows are looked at
            assert one.loss == pytest.approx(losses[one.component, *one.target.tolist()])
        return [(one.component, tuple(one.target.tolist())) for one in some]

    expected = [(one.component, tuple(one.target.tolist())) for one in every]
    assert found(evidence(50.0 * share)) == expected
    # Rows in which the second component is not are no help.
    without = 50.0 * np.array([0.3, 0.2, 0.225, 0.275])
    assert found(evidence(without)) == expected
    # Others that support both leave out what they speak against.
    turned = 200.0 * (0.3 * np.array([0.3, 0.2, 0.225, 0.275]) + [0.0, 0.0, 0.0, 0.7])
    assert len(found(evidence(turned))) < len(expected)
