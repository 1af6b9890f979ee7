"""A number that follows a knob is uniform if the edge is taken away: it is shifted all the same."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.model.linear_changes import Shift
from dosift.model.uniform import UniformMechanism


def test_a_shifted_range_is_a_range() -> None:
    knob, change = UniformMechanism(0, -1.0, 1.0, outside=0.01), Shift(0.5, 2.0, has_factor=True)
    moved = change.applied(knob)
    assert isinstance(moved, UniformMechanism)
    assert (moved.low, moved.high) == (-1.5, 2.5)
    values = np.array([[0.0], [2.0], [np.nan]])
    inside = moved.log_density(values)
    assert inside[0] == pytest.approx(inside[1], abs=0.01)
    assert inside[2] == 0.0
    ones = np.ones(3)
    assert change.fitted(knob, moved.statistics(values, ones)) == change
    assert change.scores(knob, values).shape == (3, change.n_free)


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_the_graph_is_checked_where_a_child_of_a_knob_is_shifted() -> None:
    rng = np.random.default_rng(0)

    def table(n: int, shift: float) -> pl.DataFrame:
        knob = rng.uniform(0.0, 10.0, n)
        return pl.DataFrame({"knob": knob, "angle": knob + shift + 0.05 * rng.normal(size=n)})

    control, rows = table(600, 0.0), pl.concat([table(400, 0.0), table(150, 0.4)])
    model = dosift.InterventionMixture(negative_control=False)
    model.fit(rows, control=control, graph=[("knob", "angle")])
    assert {"angle"} in [set(target) for target in model.targets_]
    assert model.network_.edges == [("knob", "angle")]
