"""Numbers without parents that are uniform on a range are taken for such, and others are not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.learning.mechanism_words import words_of_mechanisms
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.network import Variable
from dosift.model.uniform import UniformMechanism

LOAD = [Variable("load", kind="continuous")]


def learned(column: np.ndarray) -> object:
    return learn_mechanisms(LOAD, column[:, None], [[]]).mechanisms[0]


@pytest.mark.parametrize("n_rows", [400, 2000])
def test_a_range_is_found(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    for _ in range(10):
        found = learned(rng.uniform(10.0, 30.0, size=n_rows))
        assert isinstance(found, UniformMechanism)
        assert found.width == pytest.approx(np.sqrt(12.0), rel=4 / n_rows + 0.1)


def test_whole_numbers_fill_their_range() -> None:
    rows = np.random.default_rng(0).integers(0, 86, size=(5000, 1)).astype(float)
    network = learn_mechanisms(LOAD, rows, [[]])
    assert "'load' is uniform between -0.5 and 85.5" in words_of_mechanisms(network)


@pytest.mark.parametrize("n_rows", [3, 8, 20, 100, 5000])
def test_normal_values_are_not_taken_for_uniform(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    found = [learned(rng.normal(5.0, 2.0, size=n_rows)) for _ in range(40)]
    assert not any(isinstance(one, UniformMechanism) for one in found)


@pytest.mark.filterwarnings("ignore::dosift.errors.KindsWarning")
def test_nothing_is_invented_of_knobs_and_a_change_is_found() -> None:
    """Two normal distributions in place of a range leave edges that read as changes."""
    rng = np.random.default_rng(0)

    def rows(n: int, changed: float) -> pl.DataFrame:
        a, b = rng.integers(0, 171, size=(2, n)).astype(float)
        is_set = rng.random(n) < changed
        a[is_set] = rng.normal(260.0, 20.0, size=int(is_set.sum()))
        return pl.DataFrame({"a": a, "b": b, "y": a + 2 * b + 10 * rng.normal(size=n)})

    fit = dosift.InterventionMixture().fit
    graph = [("a", "y"), ("b", "y")]
    for changed, expected in ((0.0, [set()]), (0.3, [set(), {"a"}])):
        model = fit(rows(3000, changed), control=rows(3000, 0.0), graph=graph)
        assert sorted((set(t) for t in model.targets_), key=len) == expected
