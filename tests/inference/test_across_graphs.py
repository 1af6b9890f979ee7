"""Posteriors of numbers, averaged over the graphs that the rows leave possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.inference.across_graphs import renamed
from dosift.inference.averaged import AveragedWeights
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import FreeRegression, SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, merged_targets

pytestmark = pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")


def network(*libraries: tuple[Any, ...]) -> MechanismNetwork:
    mechanisms = tuple(LinearMechanism.untaught(i, (), ()) for i in range(len(libraries)))
    return MechanismNetwork(mechanisms, tuple(map(Changes, libraries)))


OWN = network((Shift(1.0), SetNormal(2.0, 0.1)), (Shift(-1.0),), ())
OTHER = network((Shift(1.1),), (Shift(-1.2), Shift(4.0)), (SetNormal(0.0, 1.0),))
KNOWN = np.array([[-1, -1, -1], [0, -1, -1], [1, -1, -1], [-1, 0, -1]])


def test_targets_that_touch_the_same_are_the_same() -> None:
    theirs = np.array([[0, -1, -1], [-1, 1, -1], [-1, -1, -1]])
    grown, found = renamed(OWN, KNOWN, OTHER, theirs)
    assert found.tolist() == [[0, -1, -1], [-1, 0, -1], [-1, -1, -1]]
    assert [len(one) for one in grown.libraries] == [2, 1, 0]


def test_further_targets_get_places_of_their_own() -> None:
    theirs = np.array([[-1, 0, -1], [-1, 1, -1], [-1, -1, 0], [0, 0, 0]])
    grown, found = renamed(OWN, KNOWN, OTHER, theirs)
    assert len(np.unique(np.concatenate([KNOWN, found]), axis=0)) == len(KNOWN) + 3
    np.testing.assert_array_equal(merged_targets(grown, found), merged_targets(OTHER, theirs))
    assert grown.libraries[1][1] == Shift(4.0)
    assert grown.libraries[2][0] == SetNormal(0.0, 1.0)
    assert grown.libraries[0] == OWN.libraries[0]


def test_a_regression_on_other_parents_is_not_taken_over() -> None:
    other = network((), (), (FreeRegression(np.array([1.0, 2.0, 3.0]), 1.0),))
    grown, found = renamed(OWN, KNOWN, other, np.array([[-1, -1, 0]]))
    rows = np.zeros((2, 3))
    change = grown.libraries[2][int(found[0, 2])]
    assert np.isfinite(change.applied(grown.mechanisms[2]).log_density(rows)).all()


def rows(n: int, rng: np.random.Generator, moved: float = 0.0, at: float | None = None) -> Any:
    a = rng.normal(size=n)
    b = 0.8 * a + rng.normal(size=n)
    c = 0.9 * b + rng.normal(size=n) + moved
    if at is not None:
        c = at + 0.2 * rng.normal(size=n)
    return pl.DataFrame({"a": a, "b": b, "c": c})


def fitted(edges: str) -> Any:
    """Of a - b nothing shows the direction: only c is changed."""
    rng = np.random.default_rng(3)
    control = rows(1200, rng)
    pool = pl.concat([rows(500, rng), rows(200, rng, moved=4.0), rows(100, rng, at=-4.0)])
    graph = None if edges == "learn" else [("a", "b"), ("b", "c")]
    return dosift.InterventionMixture(edges=edges).fit(pool, control=control, graph=graph)


@pytest.mark.long
def test_a_fit_averages_over_directions_that_are_open() -> None:
    model = fitted("learn")
    assert "open" in set(model.graph_["status"])
    weights = model.posterior_.of_weights
    assert isinstance(weights, AveragedWeights)
    assert len(weights.shares) > 1
    assert sum(weights.shares) == pytest.approx(1.0)
    alone = fitted("fixed")
    told = dict(model.components_.select("target", "weight").iter_rows())
    known = dict(alone.components_.select("target", "weight").iter_rows())
    assert len(told) == len(known)
    # Both directions have the same distribution, and so nothing is less sure.
    for one, other in zip(
        model.components_.sort("weight").iter_rows(named=True),
        alone.components_.sort("weight").iter_rows(named=True),
        strict=True,
    ):
        assert one["weight"] == pytest.approx(other["weight"], abs=0.01)
        assert one["std_error"] == pytest.approx(other["std_error"], rel=0.1)
        assert one["ci_low"] <= one["weight"] <= one["ci_high"]
    totals = model.variables_.filter(pl.col("value") == "", pl.col("variable") == "c")
    assert totals["rate"][0] == pytest.approx(300 / 800, abs=0.03)
