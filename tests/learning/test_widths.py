"""Noise that has a width of its own under each state of discrete parents."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.learning.regressions import learn_regression
from dosift.learning.widths import is_of_states, widths_of_states
from dosift.model.features import Indicator, Plain, Product, features_of

Floats = np.ndarray


def _states(rng: np.random.Generator, n: int) -> Floats:
    return rng.choice(3, size=n, p=[0.5, 0.4, 0.1]).astype(float)


def test_widths_of_states_are_found() -> None:
    sds = np.array([0.7, 1.0, 1.6])
    for seed in range(10):
        rng = np.random.default_rng(seed)
        state, x = _states(rng, 5000), rng.normal(size=5000)
        y = x * (state - 1) + sds[state.astype(int)] * rng.normal(size=5000)
        values = np.stack([state, x, y], axis=1)
        features = features_of([0, 1], np.array([3, 0, 0]))
        found = learn_regression(values, np.ones(5000), 2, (0, 1), features)
        assert found.axis is not None
        ones = np.array([[k, 0.0, 0.0] for k in range(3)])
        widths = np.sqrt(np.exp(2 * found.slope * (design_of(features, ones) @ found.axis)))
        np.testing.assert_allclose(found.noise.sd * widths, sds, rtol=0.12)


def design_of(features: tuple, values: Floats) -> Floats:
    return np.column_stack([np.ones(len(values)), *(one(values) for one in features)])


@pytest.mark.parametrize("tails", [False, True])
def test_equal_widths_stay_one(tails: bool) -> None:
    """Neither by chance nor because of heavy tails do the same noises get different widths."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        state = _states(rng, 3000)
        noise = rng.standard_t(3, size=3000) if tails else rng.normal(size=3000)
        values = np.stack([state, state + noise], axis=1)
        features = features_of([0], np.array([3, 0]))
        found = learn_regression(values, np.ones(3000), 1, (0,), features)
        assert found.axis is None


def test_only_features_of_states_count() -> None:
    assert is_of_states(Product((Indicator(0, 1), Indicator(1, 2))))
    assert not is_of_states(Product((Indicator(0, 1), Plain(2))))
    rows = np.zeros((50, 1))
    assert widths_of_states((Plain(0),), np.ones(50), rows, np.ones(50)) is None
    # One state in all rows.
    assert widths_of_states((Indicator(0, 1),), np.ones(50), rows, np.ones(50)) is None


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.KindsWarning")
def test_wide_states_are_no_interventions() -> None:
    """Rows of a state in which noise is wide were read as rows in which something was done."""

    def rows(n: int, rng: np.random.Generator, shifted: bool = False) -> dict[str, Floats]:
        state = _states(rng, n).astype(int)
        y = np.array([0.8, 1.0, 1.5])[state] * rng.normal(size=n) + 0.4 * state
        z = 0.7 * y + rng.normal(size=n) + 4.0 * shifted
        return {"d": np.array(["a", "b", "c"])[state], "y": y, "z": z}

    for seed in range(3):
        rng = np.random.default_rng(seed)
        parts = rows(1600, rng), rows(400, rng, shifted=True)
        pool = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        model = dosift.InterventionMixture()
        model.fit(pool, control=rows(3000, rng), graph=[("d", "y"), ("y", "z")])
        assert {tuple(target) for target in model.targets_} == {(), ("z",)}


def test_states_of_parents_with_many_states_are_not_mixed_up() -> None:
    """More combinations than a sum of powers of two tells apart in double precision."""
    rng = np.random.default_rng(3)
    values = np.stack([rng.integers(2, size=6000), rng.integers(90, size=6000)], axis=1).astype(
        float
    )
    sd = np.where(values[:, 0] == 1, 3.0, 1.0)
    features = features_of([0, 1], np.array([2, 90]))
    found = widths_of_states(features, sd * rng.normal(size=6000), values, np.ones(6000))
    assert found is not None
    assert found.n_groups == len(np.unique(values, axis=0))
