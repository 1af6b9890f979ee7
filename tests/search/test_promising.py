"""The cheap look passes over nothing that the thorough one finds, and over most that is empty."""

from __future__ import annotations

import numpy as np

from dosift.model.features import Plain
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal
from dosift.model.noise import Noise
from dosift.model.suggested import RegressionChanges
from dosift.search.changes import ChangeFinder
from dosift.search.promising import promising

#: x1 is normal around a line in x0.
MECHANISM = LinearMechanism(1, (0,), (Plain(0),), np.array([0.0, 0.8]), Noise.normal(0.6))
LOG_CHOICES = float(np.log(50))


def rows(rng: np.random.Generator, n: int) -> np.ndarray:
    x = rng.normal(size=n)
    return np.stack([x, 0.8 * x + 0.6 * rng.normal(size=n)], axis=1)


def changed(rng: np.random.Generator, n: int, n_changed: int) -> np.ndarray:
    """Rows of which some were set or shifted, near or far."""
    values = rows(rng, n)
    if rng.random() < 0.5:
        sd = rng.uniform(0.05, 1.0)
        values[:n_changed, 1] = rng.normal(rng.uniform(-2, 2), sd, n_changed)
    else:
        values[:n_changed, 1] += rng.uniform(-2, 2)
    return values


def test_whatever_is_found_was_promised() -> None:
    n_found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = changed(rng, 600, int(rng.integers(10, 200)))
        weights = np.ones((1, 600))
        library = RegressionChanges()
        found = ChangeFinder(MECHANISM, library, values, weights[0], LOG_CHOICES).found()
        promised = promising(MECHANISM, library, (None,), values, weights, LOG_CHOICES)
        assert promised[0] or not found, seed
        n_found += bool(found)
    assert n_found > 20


def test_most_of_what_is_empty_is_passed_over() -> None:
    passed = 0
    for seed in range(60):
        values = rows(np.random.default_rng([1, seed]), 500)
        passed += int(
            promising(
                MECHANISM, RegressionChanges(), (None,), values, np.ones((1, 500)), LOG_CHOICES
            )[0]
        )
    assert passed < 30


def test_components_are_held_against_what_they_do_already() -> None:
    rng = np.random.default_rng(0)
    values = rows(rng, 800)
    values[:400, 1] = rng.normal(3.0, 0.3, 400)
    weights = np.repeat(np.eye(2), 400, axis=1)
    library = RegressionChanges((SetNormal(3.0, 0.3),))
    first = library[0]
    assert promising(MECHANISM, library, (None, None), values, weights, LOG_CHOICES)[0]
    assert not promising(MECHANISM, library, (first, None), values, weights, LOG_CHOICES)[0]


def test_ties_and_columns_without_values_are_looked_at_as_they_must() -> None:
    values = rows(np.random.default_rng(0), 400)
    values[:10, 1] = 1.25
    weights = np.ones((2, 400))
    library = RegressionChanges()
    present = (None, None)
    assert promising(MECHANISM, library, present, values, weights, LOG_CHOICES).all()
    values[:, 1] = np.nan
    empty = promising(MECHANISM, RegressionChanges(kinds=frozenset({"set"})), present, values,
                      weights, LOG_CHOICES)  # fmt: skip
    assert not empty.any()
