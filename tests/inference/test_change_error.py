"""Errors of what changes do: right for sure rows, and covering the truth over seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.data import collapse
from dosift.inference.change_error import ChangeError, change_errors
from dosift.likelihood.assignment import assign
from dosift.likelihood.evidence import Evidence
from dosift.model.altered import Altered
from dosift.model.counts import Fold
from dosift.model.described import described
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Gain, SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from mixed_network import mixed_network

#: Nothing; two changes at once; and one of each kind that has numbers.
TARGETS = np.array(
    [
        [-1, -1, -1, -1, -1],
        [-1, 1, -1, -1, 0],
        [-1, -1, 0, -1, -1],
        [-1, -1, 1, -1, -1],
        [-1, -1, -1, 1, -1],
        [-1, 2, -1, -1, -1],
    ]
)
WEIGHTS = np.array([0.3, 0.2, 0.15, 0.15, 0.1, 0.1])


def fitted(
    seed: int, n_rows: int = 3000, n_steps: int = 120
) -> tuple[MechanismNetwork, MechanismNetwork, np.ndarray, Evidence]:
    """Refit mechanisms, changes and weights to rows, with the true targets."""
    rng = np.random.default_rng(seed)
    true = mixed_network()
    nothing = np.full((1, 5), -1)
    control, _ = true.draw(nothing, np.ones(1), 1000, rng)
    mechanisms = []
    for old in true.mechanisms:
        start = old
        if isinstance(old, LinearMechanism):
            start = LinearMechanism.untaught(old.variable, old.parents, old.features)
        for _ in range(20):
            start = start.fitted(start.statistics(control, np.ones(1000)))
        mechanisms.append(start)
    network = replace(
        true, mechanisms=tuple(mechanisms), control=ControlRows(control, np.ones(1000))
    )
    values, _ = true.draw(TARGETS, WEIGHTS, n_rows, rng)
    rows = collapse(values, true.cardinalities)
    weights = WEIGHTS
    for _ in range(n_steps):
        found = assign(network, TARGETS, weights, rows.codes)
        posterior = found.posterior * rows.counts[:, None]
        weights = posterior.sum(axis=0) / posterior.sum()
        network = network.taught(rows.codes, TARGETS, posterior, range(5))
    return true, network, weights, Evidence.of_configurations(network, rows)


def truth_of(true: MechanismNetwork, one: ChangeError) -> np.ndarray:
    entry = described(true, one.variable, one.position)
    assert isinstance(entry, Altered)
    return np.array(entry.numbers)


def test_each_change_that_components_make_has_errors() -> None:
    _, network, weights, evidence = fitted(0)
    found = change_errors(evidence, network, TARGETS, weights)
    assert [(one.variable, one.position, one.names) for one in found] == [
        (1, 1, ("by",)),
        (1, 2, ("factor", "offset")),
        (2, 0, ("mean", "sd")),
        (2, 1, ("factor", "offset")),
        (3, 1, ("by",)),
        (4, 0, ("factor",)),
    ]
    for one in found:
        entry = described(network, one.variable, one.position)
        assert isinstance(entry, Altered)
        assert one.estimate == pytest.approx(entry.numbers)
        low, high = one.interval()
        assert (low < one.estimate).all()
        assert (high > one.estimate).all()
        assert np.isfinite(one.std_error).all()
        tighter = one.interval(0.5)
        assert (tighter[0] > low).all()


def test_rows_that_are_sure_give_the_error_of_a_mean() -> None:
    """Far from all others, a mean is known to sd / sqrt(n)."""
    rng = np.random.default_rng(3)
    network = mixed_network()
    libraries = [*network.libraries]
    libraries[1] = Changes((SetNormal(40.0, 0.5), Shift(-60.0)))
    network = replace(network, libraries=tuple(libraries))
    targets = np.full((3, 5), -1)
    targets[1:, 1] = [0, 1]
    weights = np.array([0.5, 0.25, 0.25])
    values, component = network.draw(targets, weights, 4000, rng)
    rows = collapse(values, network.cardinalities)
    evidence = Evidence.of_configurations(network, rows)
    mean, shift = change_errors(evidence, network, targets, weights)
    n = np.bincount(component)
    assert mean.std_error[0] == pytest.approx(20.0 * 0.5 / np.sqrt(n[1]), rel=0.05)
    assert mean.std_error[1] == pytest.approx(20.0 * 0.5 / np.sqrt(2 * n[1]), rel=0.1)
    assert shift.std_error[0] == pytest.approx(20.0 * 0.8 / np.sqrt(n[2]), rel=0.05)


def test_what_rows_say_nothing_of_has_no_error() -> None:
    network = mixed_network()
    libraries = [*network.libraries]
    libraries[4] = Changes((Fold(0.2), Fold(1e6)))
    network = replace(network, libraries=tuple(libraries))
    targets = np.full((3, 5), -1)
    targets[1:, 4] = [0, 1]
    weights = np.array([0.5, 0.5, 0.0])
    values, _ = network.draw(targets[:2], weights[:2], 500, np.random.default_rng(0))
    evidence = Evidence.of_configurations(network, collapse(values, network.cardinalities))
    known, nothing = change_errors(evidence, network, targets, weights)
    assert np.isfinite(known.std_error).all()
    assert np.isnan(nothing.std_error).all()


def test_intervals_respect_the_range_of_numbers() -> None:
    one = ChangeError(
        0, 0, ("mean", "sd", "by"), np.array([0.9, 0.1, 1.0]), np.array([0.2, 0.2, 2.0]),
        ("logit", "log", "line"),
    )  # fmt: skip
    low, high = one.interval(0.95)
    assert 0 < low[0] < 0.9 < high[0] < 1
    assert 0 < low[1] < 0.1 < high[1]
    assert (low[2], high[2]) == pytest.approx((1 - 3.92, 1 + 3.92), abs=1e-3)


def test_a_gain_of_a_line_may_be_negative() -> None:
    network = mixed_network()
    libraries = [*network.libraries]
    libraries[1] = Changes((Gain(-0.5, 9.0, 0.5),))
    network = replace(network, libraries=tuple(libraries))
    targets = np.array([[-1] * 5, [-1, 0, -1, -1, -1]])
    weights = np.array([0.5, 0.5])
    values, _ = network.draw(targets, weights, 2000, np.random.default_rng(0))
    evidence = Evidence.of_configurations(network, collapse(values, network.cardinalities))
    (one,) = change_errors(evidence, network, targets, weights)
    assert one.forms == ("line", "line")
    assert one.interval()[0][0] < -0.5 < one.interval()[1][0] < 0


@pytest.mark.slow
def test_intervals_cover_the_truth_over_seeds() -> None:
    inside: dict[tuple[int, int, str], list[bool]] = {}
    for seed in range(60):
        true, network, weights, evidence = fitted(seed)
        for one in change_errors(evidence, network, TARGETS, weights):
            low, high = one.interval(0.95)
            for k, value in enumerate(truth_of(true, one)):
                covered = bool(low[k] <= value <= high[k])
                inside.setdefault((one.variable, one.position, one.names[k]), []).append(covered)
    every = np.concatenate([*map(np.array, inside.values())])
    assert len(every) == 60 * 9
    assert 0.92 <= every.mean() <= 0.98
    # Of sixty intervals, one in a thousand times fewer than 51 cover the truth if 95 % should.
    assert min(np.mean(own) for own in inside.values()) >= 0.85
