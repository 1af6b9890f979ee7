"""Parts of a repair of a graph: edges that are narrowed down, permitted ones, what is named."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dosift.graphs import repair
from dosift.graphs.dag import EdgeConstraints
from dosift.graphs.repair import (
    _differences,
    _is_clear,
    _narrowed,
    _permitted,
    _required,
    _with_few_control_rows,
)
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork


def constraints(n: int, required: Any = (), forbidden: Any = ()) -> EdgeConstraints:
    free = EdgeConstraints.none(n)
    for p, i in required:
        free.required[p, i] = True
    for p, i in forbidden:
        free.allowed[p, i] = False
    return free


def families(n: int, constant: Any = (), conditioned: Any = (), near: Any = ()) -> Any:
    is_constant, given, dependent = (
        np.zeros(n, bool),
        np.zeros((n, n), bool),
        np.zeros((n, n), bool),
    )
    is_constant[list(constant)] = True
    for p, i in conditioned:
        given[p, i] = True
    for p, i in near:
        dependent[p, i] = dependent[i, p] = True
    return SimpleNamespace(
        constant=is_constant, conditioned=given, dependent_pairs=lambda most: dependent.copy()
    )


def edges(matrix: np.ndarray) -> set[tuple[int, int]]:
    return {(int(p), int(i)) for p, i in zip(*np.nonzero(matrix), strict=True)}


def test_required_edges_make_a_graph() -> None:
    assert _required(constraints(3, required=[(2, 0), (1, 0), (2, 1)])) == ((1, 2), (2,), ())


def test_a_given_graph_gets_what_is_required_and_loses_what_is_forbidden() -> None:
    given = ((), (0,), (0, 1))
    assert _permitted(given, constraints(3)) == given
    assert _permitted(given, constraints(3, forbidden=[(0, 2)])) == ((), (0,), (1,))
    assert _permitted(((), (), ()), constraints(3, required=[(2, 1)])) == ((), (2,), ())
    # An edge that would close a cycle with a required one goes, too.
    assert _permitted(given, constraints(3, required=[(1, 0)])) == ((1,), (), (0, 1))
    assert _permitted(given, constraints(3, required=[(2, 0)])) == ((2,), (0,), ())


def test_edges_of_constant_variables_are_left_out_unless_given() -> None:
    network: Any = SimpleNamespace(n_variables=3)
    found = _narrowed(network, families(3, constant=[1]), ((), (0,), ()), constraints(3))
    pairs = {(p, i) for p in range(3) for i in range(3)}
    assert edges(found.allowed) == {(p, i) for p, i in pairs if 1 not in (p, i)} | {(0, 1)}
    assert edges(found.required) == {(0, 1)}
    # One that is forbidden is not kept, one that is required and not given is.
    known = constraints(3, required=[(1, 2)], forbidden=[(0, 1)])
    found = _narrowed(network, families(3, constant=[1]), ((), (0,), ()), known)
    assert edges(found.allowed) == {(p, i) for p, i in pairs if 1 not in (p, i)} | {(1, 2)}
    assert edges(found.required) == {(1, 2)}
    # What varies may have any edge, and what is given need not stay.
    found = _narrowed(network, families(3), ((), (0,), ()), constraints(3))
    assert edges(found.allowed) == pairs
    assert not found.required.any()
    # The constraints that were passed are as they were.
    assert edges(known.allowed) == pairs - {(0, 1)}


def test_what_is_conditioned_on_has_its_own_edges_and_no_others() -> None:
    network: Any = SimpleNamespace(n_variables=3)
    found = _narrowed(network, families(3, conditioned=[(0, 1), (0, 2)]), ((),) * 3, constraints(3))
    assert edges(found.allowed) - {(1, 1), (2, 2)} == {(0, 1), (0, 2), (1, 2), (2, 1)}
    assert edges(found.required) == {(0, 1), (0, 2)}


def test_among_many_variables_only_dependent_ones_may_be_linked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = families(4, near=[(0, 1)])
    known, graph = constraints(4, required=[(3, 0)]), ((), (), (1,), ())
    network: Any = SimpleNamespace(n_variables=4)
    monkeypatch.setattr(repair, "_WIDE", 4)
    assert len(edges(_narrowed(network, own, graph, known).allowed)) == 16
    monkeypatch.setattr(repair, "_WIDE", 3)
    found = _narrowed(network, own, graph, known)
    # Dependent ones, what was given in either direction, and what is required.
    assert edges(found.allowed) == {(0, 1), (1, 0), (1, 2), (2, 1), (3, 0)}


def test_what_a_repair_did_is_named_with_what_undoing_it_would_lose() -> None:
    before = ((), (0,), (1,), (2,), ())
    after = ((1,), (), (1, 3), (), (2,))
    losses = {("reverse", 1, 0): -5.0, ("remove", 2, 4): -7.0, ("remove", 3, 2): -6.0}

    def quick_gains(fit: Any, some: Any) -> list[float]:
        return [losses[one.kind, one.parent, one.child] for one in some]

    # Turning 3 -> 2 back is no removal: the gain is that of the reversal.
    losses["reverse", 3, 2] = -3.0
    climber: Any = SimpleNamespace(
        fitter=SimpleNamespace(gains=SimpleNamespace(quick_gains=quick_gains))
    )
    fit: Any = SimpleNamespace(graph=after)
    found = _differences(climber, before, fit)
    assert [(one.kind, one.parent, one.child, one.gain) for one in found] == [
        ("add", 2, 4, 7.0),
        ("reverse", 0, 1, 5.0),
        ("reverse", 2, 3, 3.0),
    ]
    # An edge that is gone could be put back.
    losses = {("add", 0, 1): 4.0}
    (gone,) = _differences(climber, ((), (0,)), SimpleNamespace(graph=((), ())))  # type: ignore[arg-type]
    assert (gone.kind, gone.parent, gone.child, gone.gain) == ("remove", 0, 1, -4.0)


def test_what_cannot_be_undone_alone_is_named_last() -> None:
    # 0 -> 1 was turned, and a way from 1 to 0 was laid beside: turning it back makes a cycle.
    before, after = ((), (0,), ()), ((1, 2), (), (1,))
    climber: Any = SimpleNamespace(
        fitter=SimpleNamespace(
            gains=SimpleNamespace(
                quick_gains=lambda fit, some: [-1.0 - k for k in range(len(some))]
            )
        )
    )
    found = _differences(climber, before, SimpleNamespace(graph=after))  # type: ignore[arg-type]
    assert [(one.kind, one.parent, one.child) for one in found[:2]] == [
        ("add", 1, 2),
        ("add", 2, 0),
    ]
    assert [one.gain for one in found[:2]] == [2.0, 1.0]
    assert (found[2].kind, found[2].parent, found[2].child) == ("reverse", 0, 1)
    assert np.isnan(found[2].gain)


def test_of_many_control_rows_every_so_many_th_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "_CHECKED_ROWS", 4)
    rows = ControlRows(np.arange(10.0)[:, None], np.arange(10.0), np.array([0.3]), frozenset({0}))
    network = MechanismNetwork((LinearMechanism.untaught(0, (), ()),), (Changes(()),), control=rows)
    found = _with_few_control_rows(network)
    assert isinstance(found, MechanismNetwork)
    assert found.control is not None
    assert found.control.values[:, 0].tolist() == [0.0, 3.0, 6.0, 9.0]
    assert found.control.weights.tolist() == [0.0, 3.0, 6.0, 9.0]
    assert found.control.dependence is rows.dependence
    assert found.control.silent == {0}
    bare = MechanismNetwork(network.mechanisms, network.libraries)
    assert _with_few_control_rows(bare) is bare


def climber_with(scores: dict[Any, float], equivalents: list[tuple[Any, float]]) -> Any:
    def from_neighbour(graph: Any, now: Any) -> Any:
        return SimpleNamespace(score=scores[graph])

    return SimpleNamespace(
        from_neighbour=from_neighbour, ranked_equivalents=lambda now: equivalents
    )


@pytest.mark.parametrize(
    ("score", "clear"),
    [(-100.0 + 8.0 + np.log(4.0) + 0.01, True), (-100.0 + 8.0 + np.log(4.0) - 0.01, False)],
)
@pytest.mark.parametrize("where", ["edit", "equivalent"])
def test_a_graph_is_asked_for_if_it_gains_more_than_the_best_of_many(
    score: float, clear: bool, where: str
) -> None:
    """Eight nats and the logarithm of the number of edits."""
    now: Any = SimpleNamespace(score=-100.0)
    names = ["one", "two", "three", "four"]
    ranked: Any = [(SimpleNamespace(graph=name), 5.0 - k) for k, name in enumerate(names)]
    scores = dict.fromkeys([*names, "same"], -100.0)
    scores["two" if where == "edit" else "same"] = score
    assert _is_clear(climber_with(scores, [("same", 0.0)]), now, ranked) is clear
    # What promises nothing is not tried, nor what comes after the first three.
    scores = dict.fromkeys([*names, "same"], -100.0) | {"four": 0.0}
    assert not _is_clear(climber_with(scores, []), now, ranked)
    scores = {"hopeless": 0.0}
    far: Any = [(SimpleNamespace(graph="hopeless"), -15.1)]
    assert not _is_clear(climber_with(scores, [("hopeless", -15.1)]), now, far)
    near: Any = [(SimpleNamespace(graph="hopeless"), -14.9)]
    assert _is_clear(climber_with(scores, []), now, near)
    assert _is_clear(climber_with(scores, [("hopeless", -14.9)]), now, [])
