"""Hidden common causes: one that is there is named, and none where the graph is right."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dosift
from dosift.data.configurations import collapse
from dosift.graphs.common_causes import common_causes
from dosift.graphs.dag import EdgeConstraints, Parents
from dosift.graphs.families import TableFamilies
from dosift.graphs.family import nearest
from known_graphs import NOTHING, parents_of, problem


def families(control: Any) -> TableFamilies:
    learned = dosift.learn_network([], control)
    nothing = collapse(np.zeros((0, learned.n_variables), np.int16), learned.cardinalities)
    return TableFamilies(learned, nothing)


def hidden(seed: int, n_rows: int = 5_000) -> Any:
    """Rows of a -> b -> d, c, where b and c have a hidden cause."""
    rng = np.random.default_rng(seed)
    names = ("a", "b", "c", "d", "hidden")
    parents = {"b": ["a", "hidden"], "c": ["hidden"], "d": ["b"]}
    tables = {
        name: rng.dirichlet(np.ones(3), size=3 ** len(parents.get(name, ()))).tolist()
        for name in names
    }
    network = dosift.Network.from_tables({n: ["0", "1", "2"] for n in names}, parents, tables)
    return dosift.simulate(network, NOTHING, n_rows, seed).drop("hidden")


# Over a, b, c, d.
WITHOUT: Parents = ((), (0,), (), (1,))


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5, 6])  # of 2, the tables hardly depend on it
def test_a_hidden_common_cause_is_named(seed: int) -> None:
    found = common_causes(families(hidden(seed)), WITHOUT, EdgeConstraints.none(4))
    assert (1, 2) in [(i, j) for i, j, _ in found]
    p_values = [p for _, _, p in found]
    assert p_values == sorted(p_values)
    assert all(i < j and 0 <= p < 1e-3 for i, j, p in found)
    # d depends on c through b alone.
    assert (2, 3) not in [(i, j) for i, j, _ in found]


def test_the_order_of_variables_does_not_matter() -> None:
    """Given its cause, b shows the hidden one far better than c does."""
    rows = hidden(4)
    one = common_causes(families(rows), WITHOUT, EdgeConstraints.none(4))
    other = common_causes(
        families(rows.select("d", "c", "b", "a")), ((2,), (), (3,), ()), EdgeConstraints.none(4)
    )
    back = sorted((min(3 - i, 3 - j), max(3 - i, 3 - j), p) for i, j, p in other)
    assert [p[:2] for p in back] == [p[:2] for p in sorted(one)] == [(1, 2)]
    assert back[0][2] == pytest.approx(one[0][2])


def test_pairs_that_may_have_no_edge_are_not_looked_at() -> None:
    allowed = ~np.eye(4, dtype=bool)
    allowed[1, 2] = allowed[2, 1] = False
    edges = EdgeConstraints(allowed, np.zeros((4, 4), dtype=bool))
    found = common_causes(families(hidden(0)), WITHOUT, edges)
    assert (1, 2) not in [(i, j) for i, j, _ in found]
    # One direction is enough.
    allowed[1, 2] = True
    found = common_causes(families(hidden(0)), WITHOUT, edges)
    assert (1, 2) in [(i, j) for i, j, _ in found]


def test_an_edge_explains_a_pair() -> None:
    found = common_causes(families(hidden(0)), ((), (0, 2), (), (1,)), EdgeConstraints.none(4))
    assert (1, 2) not in [(i, j) for i, j, _ in found]


def test_none_is_named_where_the_graph_is_right() -> None:
    for seed in range(20):
        made = problem(seed, n=6, n_rows=5_000)
        found = common_causes(
            families(made.control), parents_of(made.network), EdgeConstraints.none(6)
        )
        assert found == ()


@pytest.mark.slow
def test_few_are_named_where_the_graph_is_right() -> None:
    named = 0
    for seed in range(20, 420):
        made = problem(seed, n=8, n_rows=1_000)
        found = common_causes(
            families(made.control), parents_of(made.network), EdgeConstraints.none(8)
        )
        named += bool(found)
    assert named <= 4  # one in a thousand is expected


def test_no_more_are_named_than_can_be_read() -> None:
    rng = np.random.default_rng(0)
    same = rng.integers(2, size=2_000)
    control = {f"x{k}": np.where(rng.random(2_000) < 0.8, same, 1 - same) for k in range(9)}
    found = common_causes(families(control), ((),) * 9, EdgeConstraints.none(9))
    assert len(found) == 20


@pytest.mark.parametrize(("p_value", "is_named"), [(3e-4, True), (4e-4, False)])
def test_a_pair_is_named_below_one_in_a_thousand_over_all_pairs(
    p_value: float, is_named: bool
) -> None:
    """Three pairs are looked at, and their p-values count three times."""

    class Told:
        def dependence(self, i: int, j: int, given: tuple[int, ...]) -> float:
            return p_value if (i, j) == (2, 0) else 1.0

    found = common_causes(Told(), ((), (), ()), EdgeConstraints.none(3))  # type: ignore[arg-type]
    assert found == (((0, 2, pytest.approx(3 * p_value)),) if is_named else ())


def stub(p_values: dict[Any, float], scores: dict[Any, float] | None = None) -> Any:
    def dependence(i: int, j: int, parents: tuple[int, ...]) -> float:
        return p_values[i, j, parents]

    def control_score(i: int, parents: tuple[int, ...]) -> float:
        assert scores is not None
        return scores[i, parents]

    return SimpleNamespace(dependence=dependence, control_score=control_score)


def test_pairs_are_tested_given_the_parents_of_both_and_corrected_for_their_number() -> None:
    graph = ((), (0,), (0,), ())
    p_values = {
        (2, 1, (0,)): 0.0001,
        (3, 0, ()): 0.9,
        (3, 1, (0,)): 0.00005,
        (3, 2, (0,)): 0.0003,
    }
    found = common_causes(stub(p_values), graph, EdgeConstraints.none(4))
    # Four pairs that no edge links; below a thousandth, the least first.
    assert found == ((1, 3, pytest.approx(0.0002)), (1, 2, pytest.approx(0.0004)))
    # One that may have no edge in either direction is not looked at.
    edges = EdgeConstraints.none(4)
    edges.allowed[1, 3] = False
    assert len(common_causes(stub(p_values), graph, edges)) == 2
    edges.allowed[3, 1] = False
    # Of three pairs then: 3 * .0003 is below, too.
    assert [one[:2] for one in common_causes(stub(p_values), graph, edges)] == [(1, 2), (2, 3)]


def test_what_a_repair_took_apart_is_tested_given_the_parents_of_both_graphs() -> None:
    edges = EdgeConstraints.none(3)
    edges.allowed[0, :] = edges.allowed[:, 0] = False
    repaired, given = ((), (0,), ()), ((), (), ())
    for other, named in ((0.5, False), (0.0002, True)):
        families = stub({(2, 1, (0,)): 0.0001, (2, 1, ()): other})
        found = common_causes(families, repaired, edges, given)
        assert found == (((1, 2, other),) if named else ())
    # An edge that was given, and is gone as control rows do not pay for it, is no common cause.
    given = ((), (), (0, 1))
    for with_edge, named in ((-10.0, True), (-12.0, False)):
        families = stub({(2, 1, (0,)): 0.0001}, {(2, (0, 1)): with_edge, (2, (0,)): -11.0})
        found = common_causes(families, repaired, edges, given)
        assert found == (((1, 2, 0.0001),) if named else ())


def test_partners_are_the_strongest_of_each() -> None:
    strength = np.array(
        [[9.0, 0.5, 0.2, 0.1], [0.5, 9.0, 0.3, 0.2], [0.2, 0.3, 9.0, 0.4], [0.1, 0.2, 0.4, 9.0]]
    )
    found = nearest(strength.copy(), 1)
    assert found.astype(int).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    more = nearest(strength.copy(), 2)
    assert (more == more.T).all()
    assert more[0].tolist() == [False, True, True, False]
