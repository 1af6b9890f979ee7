"""What a hidden cause makes look shifted along with what it depends on does not stand."""

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.checks.verdict import Answer, Repair
from dosift.io.graph import Graph
from dosift.pipeline.hidden_cause import without_undone_edges

EDGES = [("a", "b")]


def drawn(n: int, seed: int, hidden: float, both: bool, pool: bool) -> pl.DataFrame:
    """A chain a -> b and a third variable c; maybe something moves all three.

    In 30 % of a pool a is shifted, and maybe b as well.
    """
    rng = np.random.default_rng(seed)
    cause = hidden * rng.normal(size=n)
    hit = (rng.random(n) < 0.3) & pool
    a = cause + rng.normal(size=n) + 5.0 * hit
    b = 0.4 * a + cause + rng.normal(size=n) + 4.0 * (hit & both)
    return pl.DataFrame({"a": a, "b": b, "c": cause + rng.normal(size=n)})


def fitted(seed: int, hidden: float, both: bool) -> dosift.InterventionMixture:
    """Fit to 1,500 rows with as many of control, the graph given."""
    control = drawn(1500, 2 * seed, hidden, both, pool=False)
    rows = drawn(1500, 2 * seed + 1, hidden, both, pool=True)
    graph = Graph(("a", "b", "c"), tuple(EDGES))
    model = dosift.InterventionMixture(random_state=0)
    return model.fit(rows, control=control, graph=graph)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.long) for k in (1, 2))])
def test_what_seems_shifted_along_does_not_stand(seed: int) -> None:
    model = fitted(seed, hidden=1.0, both=False)
    lines = {
        frozenset(t): s for t, s in zip(model.targets_, model.components_["stands"], strict=True)
    }
    assert lines.get(frozenset({"a", "b"})) in (None, False)
    assert frozenset({"b"}) not in lines
    if frozenset({"a", "b"}) in lines:
        assert any("hidden cause may be behind a and b" in one for one in model.verdict_.reasons)
        edges = [one.get("edge") for one in model.verdict_.repairs]
        assert {"kind": "common cause", "parent": "a", "child": "b"} in edges


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_shifted_stands_where_nothing_is_hidden(seed: int) -> None:
    model = fitted(seed, hidden=0.0, both=True)
    assert {frozenset(t) for t in model.targets_} == {frozenset(), frozenset({"a", "b"})}
    assert model.components_["stands"].all()


def test_what_an_added_edge_only_undoes_is_left_alone() -> None:
    edges = tuple(Repair("edge", "add", pair, 50.0) for pair in ((0, 1), (1, 2)))
    now = np.array([[-1, -1, -1, -1], [0, -1, -1, -1], [-1, 0, -1, 0], [0, -1, -1, 0]])
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    # The edges move 1 with 0 and 2 with 1, so that these are changed back.
    found = np.array([[-1, -1, -1, -1], [0, 0, 0, -1], [-1, 0, 0, 0], [-1, -1, 0, 0]])
    answer = Answer(edges, 50.0, found, np.array([0.4, 0.29, 0.21, 0.1]))
    back = without_undone_edges(answer, now, weights)
    assert back.targets[0].tolist() == [-1, -1, -1, -1]
    # Of 0 both are changed, of which 2 is only a child of a child that is changed back.
    assert back.targets[1].tolist() == [0, -1, -1, -1]
    assert back.targets[2].tolist() == [-1, 0, -1, 0]
    # Nothing that 2 would follow is changed there: an intervention of its own.
    assert back.targets[3].tolist() == [-1, -1, 0, 0]
    # With another weight it is another answer.
    other = Answer(edges, 50.0, found, np.array([0.4, 0.1, 0.4, 0.1]))
    assert without_undone_edges(other, now, weights).targets.tolist() == found.tolist()
    # Edges that go are none to be undone.
    fewer = Answer(
        tuple(Repair("edge", "remove", e.variables, 50.0) for e in edges),
        50.0,
        *map(np.array, (found, answer.weights)),
    )
    assert without_undone_edges(fewer, now, weights).targets.tolist() == found.tolist()
