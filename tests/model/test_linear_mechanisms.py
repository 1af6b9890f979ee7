"""Derivatives of regressions and of their changes, and steps of EM that lead up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from dosift.model.categorical import States
from dosift.model.features import InUnits, LogCount, Plain, Product, features_of
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism, Noise
from dosift.model.linear_changes import FreeRegression, Gain, SetNormal, SetPoint, Shift
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Change, Changes, Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.scale import Scale

Floats = NDArray[np.float64]

_STEP = 1e-5
_NOISES = {
    "normal": Noise.normal(0.8),
    "heavy tails": Noise(np.array([0.7, 0.3]), np.zeros(2), np.array([0.4, 1.5])),
    "three widths": Noise(np.array([0.5, 0.3, 0.2]), np.zeros(3), np.array([0.4, 1.0, 2.0])),
    "two states": Noise(
        np.array([0.6, 0.4]), np.array([0.0, 2.0]), np.array([0.3, 0.5]), has_means=True
    ),
}
_CHANGES: dict[str, Change] = {
    "set": SetNormal(1.0, 0.4),
    "shift": Shift(-1.2),
    "shift and factor": Shift(0.7, 1.4, has_factor=True),
    "gain": Gain(0.4, 0.7, 1.5),
    "free": FreeRegression(np.array([1.0, -0.3, 0.2]), 0.7),
}


def regression(noise: Noise, has_slope: bool = False, has_errors: bool = False) -> LinearMechanism:
    return LinearMechanism(
        2,
        (0, 1),
        (Plain(0), Plain(1)),
        np.array([0.3, 0.8, -0.5]),
        noise,
        axis=np.array([0.0, 0.8, -0.6]) if has_slope else None,
        slope=0.4 if has_slope else 0.0,
        covariance=np.diag([0.01, 0.02, 0.03]) if has_errors else None,
    )


def rows_of(mechanism: Mechanism, n: int = 200, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3))
    rows[:, 2] = mechanism.draw(rows, rng)
    return rows


def with_parameters(mechanism: LinearMechanism, moved: Floats) -> LinearMechanism:
    """Move a mechanism's free parameters, in the order of its scores."""
    noise, k = mechanism.noise, mechanism.coefficients.size
    coefficients, rest = mechanism.coefficients + moved[:k], moved[k:]
    shares, means = noise.shares, noise.means
    extra = noise.n_parts - 1
    if extra:
        odds = np.log(shares) + np.append(0.0, rest[:extra])
        shares, rest = np.exp(odds - logsumexp(odds)), rest[extra:]
        if noise.has_means:
            means, rest = means + np.append(0.0, rest[:extra]), rest[extra:]
    sds, rest = noise.sds + rest[: noise.n_parts], rest[noise.n_parts :]
    return replace(
        mechanism,
        coefficients=coefficients,
        noise=replace(noise, shares=shares, means=means, sds=sds),
        slope=mechanism.slope + (rest[0] if rest.size else 0.0),
    )


def derivatives(log_density: Callable[[Floats], Floats], n_free: int) -> Floats:
    columns = []
    for step in _STEP * np.eye(n_free):
        columns.append((log_density(step) - log_density(-step)) / (2.0 * _STEP))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("kind", _NOISES)
@pytest.mark.parametrize("has_slope", [False, True])
@pytest.mark.parametrize("has_errors", [False, True])
def test_scores_are_derivatives(kind: str, has_slope: bool, has_errors: bool) -> None:
    mechanism = replace(regression(_NOISES[kind], has_slope, has_errors), offset=0.4, factor=1.3)
    rows = rows_of(mechanism)
    numeric = derivatives(
        lambda moved: with_parameters(mechanism, moved).log_density(rows), mechanism.n_free
    )
    assert mechanism.scores(rows) == pytest.approx(numeric, abs=1e-5)


@pytest.mark.parametrize("kind", _NOISES)
@pytest.mark.parametrize("name", _CHANGES)
def test_scores_of_changes_are_derivatives(kind: str, name: str) -> None:
    mechanism, change = regression(_NOISES[kind], has_slope=True), _CHANGES[name]
    rows = rows_of(change.applied(mechanism))

    def moved_log(moved: Floats) -> Floats:
        return moved_change(change, moved).applied(mechanism).log_density(rows)

    numeric = derivatives(moved_log, change.n_free)
    assert change.scores(mechanism, rows) == pytest.approx(numeric, abs=1e-5)


def moved_change(change: Change, moved: Floats) -> Change:
    if isinstance(change, SetNormal):
        return SetNormal(change.mean + moved[0], change.sd + moved[1])
    if isinstance(change, Shift):
        factor = change.factor + (moved[1] if change.has_factor else 0.0)
        return replace(change, by=change.by + moved[0], factor=factor)
    if isinstance(change, Gain):
        return Gain(change.gain + moved[0], change.offset + moved[1], change.factor + moved[2])
    assert isinstance(change, FreeRegression)
    return FreeRegression(change.coefficients + moved[:-1], change.sd + moved[-1])


@pytest.mark.parametrize("kind", _NOISES)
@pytest.mark.parametrize("has_slope", [False, True])
@pytest.mark.parametrize("change", [None, Shift(1.5, 2.0, has_factor=True)])
def test_every_step_of_em_raises_likelihood_and_prior(
    kind: str, has_slope: bool, change: Change | None
) -> None:
    """Also where some rows are under a change of offset and factor that keeps the mechanism."""
    truth = regression(_NOISES[kind], has_slope)
    plain = rows_of(truth, 400, 1)
    moved = rows_of(change.applied(truth), 400, 2) if change else plain[:0]
    far = np.array([0.9, -0.5, 0.3] + [0.2] * (truth.n_free - 3))
    mechanism = with_parameters(truth, far)

    def objective(one: LinearMechanism) -> float:
        bare = replace(one, covariance=None)
        under = change.applied(bare) if change else bare
        return float(
            bare.log_density(plain).sum() + under.log_density(moved).sum() + one.log_prior()
        )

    before = objective(mechanism)
    for _ in range(40):
        mechanism = replace(mechanism, covariance=None)
        statistics = mechanism.statistics(plain, np.ones(len(plain)))
        if change is not None:
            under = change.applied(mechanism)
            statistics = statistics + under.statistics(moved, np.ones(len(moved)))
        mechanism = mechanism.fitted(statistics)
        now = objective(mechanism)
        assert now >= before - 1e-6
        before = now
    assert before >= objective(truth) - 1e-6


@pytest.mark.parametrize("kind", _NOISES)
@pytest.mark.parametrize("name", _CHANGES)
def test_a_change_is_recovered_from_the_rows_under_it(kind: str, name: str) -> None:
    mechanism, change = regression(_NOISES[kind], has_slope=True), _CHANGES[name]
    rows = rows_of(change.applied(mechanism), 6000, 3)
    found = moved_change(change, np.full(change.n_free, 0.1))
    for _ in range(200):
        statistics = found.applied(mechanism).statistics(rows, np.ones(len(rows)))
        found = found.fitted(mechanism, statistics)
    scores = found.scores(mechanism, rows)
    left = scores.sum(axis=0) @ np.linalg.pinv(scores.T @ scores) @ scores.sum(axis=0)
    assert left < 0.05
    gained = found.applied(mechanism).log_density(rows).sum()
    gained -= change.applied(mechanism).log_density(rows).sum()
    assert -0.05 < gained < 3.0 * change.n_free + 6.0


def test_a_network_of_all_kinds_is_taught_uphill() -> None:
    rng = np.random.default_rng(0)
    truth = MechanismNetwork(
        (
            LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0)),
            LinearMechanism(1, (0,), (Plain(0),), np.array([0.2, 0.7]), _NOISES["two states"]),
            LogisticMechanism(2, (1,), (Plain(1),), np.array([[-0.5, 1.0]])),
            LinearMechanism(
                3,
                (1, 2),
                features_of((1, 2), np.array([0, 0, 2, 0])),
                np.array([0.0, 0.5, 1.0, -0.5]),
                _NOISES["heavy tails"],
            ),
        ),
        (
            Changes((SetNormal(3.0, 0.3), SetPoint(2.0, 0.01))),
            Changes((Shift(-2.0), Shift(1.0, 2.0, has_factor=True))),
            States(("no", "yes")),
            Changes((Gain(-1.0, 0.5, 0.7), FreeRegression(np.zeros(4), 1.0))),
        ),
    )
    targets = np.full((8, 4), -1)
    for row, (i, position) in enumerate(
        [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (3, 0), (3, 1)], start=1
    ):
        targets[row, i] = position
    weights = np.full(8, 1 / 8)
    values, _ = truth.draw(targets, weights, 4000, rng)
    control, _ = truth.draw(targets[:1], np.ones(1), 2000, rng)
    network = replace(truth, control=ControlRows(control, np.ones(2000)))
    before = -np.inf
    for _ in range(15):
        logs = np.stack([_log_density(network, values, one) for one in targets], axis=1)
        logs += np.log(weights)
        value = float(logsumexp(logs, axis=1).sum()) + network.log_prior()
        # What the coefficients' own error and the weak priors of changes give and take.
        assert value > before - 0.5
        before = value
        posterior = np.exp(logs - logsumexp(logs, axis=1, keepdims=True))
        network = network.taught(values, targets, posterior, range(4))
    found, old = network.libraries[1][1], truth.libraries[1][1]
    assert isinstance(found, Shift)
    assert isinstance(old, Shift)
    assert found.by == pytest.approx(old.by, abs=0.2)
    assert found.factor == pytest.approx(old.factor, abs=0.3)


def _log_density(network: MechanismNetwork, values: Floats, target: NDArray[np.int64]) -> Floats:
    out = np.zeros(len(values))
    for i, position in enumerate(target):
        mechanism = network.mechanisms[i]
        if position >= 0:
            mechanism = network.libraries[i][int(position)].applied(mechanism)
        out += mechanism.log_density(values)
    return out


def test_features_on_other_scales() -> None:
    values = np.array([[0.0, 7.0], [2.0, 0.0]])
    squared = InUnits(Product((Plain(0), Plain(0))), (Scale("log", 1.0, 0.5),), 1.0, 2.0)
    assert squared(values) == pytest.approx((np.exp([2.0, 4.0]) - 1.0) / 2.0)
    assert squared.columns == (0,)
    count = LogCount(1, 1.0, 2.0)
    assert count(values) == pytest.approx((np.log([8.0, 1.0]) - 1.0) / 2.0)
    assert features_of((1,), np.array([0, 0]), special={1: count}) == (count,)


def test_a_value_is_as_narrow_as_many_rows_say_and_no_narrower_than_few_can() -> None:
    mechanism = LinearMechanism.untaught(0, (), ())
    rng = np.random.default_rng(0)
    sds = {}
    for n in (8, 50, 400, 4_000):
        for sd in (1e-5, 0.3):
            rows = 0.7 + sd * rng.normal(size=(n, 1))
            applied = SetNormal(0.7, 0.1).applied(mechanism)
            statistics = applied.statistics(rows, np.ones(n))
            sds[n, sd] = SetNormal(0.7, 0.1).fitted(mechanism, statistics).sd
    # Eight rows may be as close by chance, of thousands.
    assert sds[8, 1e-5] > 1e-3
    assert 1e-4 < sds[50, 1e-5] < sds[8, 1e-5]
    assert sds[400, 1e-5] < 2e-5
    assert sds[4_000, 1e-5] == pytest.approx(1e-5, rel=0.1)
    for n in (50, 400, 4_000):
        assert sds[n, 0.3] == pytest.approx(0.3, rel=0.25)
