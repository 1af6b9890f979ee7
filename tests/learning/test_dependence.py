"""What rows of one unit have in common beside their target, and what it costs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data.blocks import Block
from dosift.errors import UnitsWarning
from dosift.learning.dependence import with_dependence, within_units
from dosift.likelihood.columns import RowLikelihoods
from dosift.model.network import Network

STATES = {"a": ["0", "1"], "b": ["0", "1", "2"]}
N_UNITS, SIZE = 1500, 3


def network() -> Network:
    tables = {"a": [0.4, 0.6], "b": [[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]}
    return Network.from_tables(STATES, {"b": ["a"]}, tables)


def rows(correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which a part takes the chance of its unit, for variable a alone."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(N_UNITS), SIZE)
    shared = rng.random(unit.size) < np.sqrt(correlation)
    chance = np.where(shared, rng.random(N_UNITS)[unit], rng.random(unit.size))
    a = (chance > 0.4).astype(np.int64)
    table = np.cumsum(network().tables[1], axis=1)
    b = (rng.random(unit.size)[:, None] > table[a][:, :-1]).sum(axis=1)
    return np.column_stack([a, b]), unit


def frame(codes: np.ndarray, unit: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"a": codes[:, 0].astype(str), "b": codes[:, 1].astype(str), "clone": unit})


@pytest.mark.parametrize("seed", range(4))
def test_the_correlation_is_found_where_it_is(seed: int) -> None:
    for correlation in (0.0, 0.2):
        codes, unit = rows(correlation, seed)
        first = np.flatnonzero(np.diff(unit, prepend=-1))
        found, z = within_units(network(), Block(codes, np.ones(N_UNITS), first=first))
        assert found[0] == pytest.approx(correlation, abs=0.05)
        assert (z[0] > 3.5) == (correlation > 0)
        assert abs(z[1]) < 3.5


def test_control_rows_with_units_are_remembered_and_said() -> None:
    codes, unit = rows(0.2, 0)
    control = frame(codes, unit)
    model = dosift.InterventionMixture()
    with pytest.warns(UnitsWarning, match=r"control rows of one clone .* not 0 in a \(0\.\d+\)\."):
        model.fit(frame(*rows(0.2, 1)), control=control, graph=[("a", "b")], unit="clone")
    dependence = model.network_.control.dependence
    assert dependence[0] == pytest.approx(0.2, abs=0.05)
    assert dependence[1] == 0.0
    clean = dosift.learn_network([("a", "b")], frame(*rows(0.0, 2)), ignore=("clone",))
    assert with_dependence(clean, frame(*rows(0.0, 3)), "clone") is clean


@pytest.mark.parametrize("plain", [True, False])
def test_each_row_of_a_unit_counts_for_less(plain: bool) -> None:
    codes, unit = rows(0.2, 0)
    with pytest.warns(UnitsWarning):
        known = with_dependence(
            dosift.learn_network([("a", "b")], frame(codes, unit), ignore=("clone",)),
            frame(codes, unit),
            "clone",
        )
    r = float(known.control.dependence[0])
    same = np.array([[1, 0], [1, 2], [1, 1]])
    block = Block(same, np.ones(1), first=np.array([0]))
    column = RowLikelihoods(known, block, plain).columns(np.array([[1, -1], [-1, 2]]))
    p = float(known.tables[0][0, 1])
    assert np.log(column[0, 0]) == pytest.approx(-SIZE * np.log(p) / (1 + (SIZE - 1) * r))
    assert column[0, 1] == 0.0
