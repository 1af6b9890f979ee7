"""Control rows played as a pool: halves, what is invented in them, and the power that allows it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dosift
from dosift.model.known_rows import ControlRows as NumberRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import ControlRows, Network, Variable
from dosift.pipeline.control_halves import (
    _drawn,
    can_be_split,
    control_halves,
    left_alone,
    with_labelled,
)
from dosift.pipeline.negative_control import (
    _POWERS,
    TOLERATED,
    _joined,
    _largest,
    _n_invented,
    _not_required,
    _totals,
    _touched,
    invented,
    power_for,
)
from dosift.pipeline.verdict import _distances
from dosift.search.constraints import Constraints


def found_with(targets: list[list[int]], weights: list[float]) -> Any:
    return SimpleNamespace(targets=np.array(targets, dtype=np.int16), weights=np.array(weights))


ONE = found_with([[-1, -1], [1, -1], [1, 0]], [0.9, 0.06, 0.04])
TWO = found_with([[-1, -1], [1, -1]], [0.98, 0.02])


def test_what_is_invented_is_all_but_do() -> None:
    assert invented([ONE]) == pytest.approx(0.1)
    assert invented([ONE, TWO]) == pytest.approx(0.06)
    assert (_n_invented(ONE), _n_invented(TWO)) == (2, 1)


def network_of_states() -> Network:
    tables = {"a": [0.4, 0.6], "b": [0.7, 0.3]}
    return Network.from_tables({"a": ["0", "1"], "b": ["0", "1"]}, {}, tables)


def network_of_numbers(weights: list[float]) -> MechanismNetwork:
    own = tuple(LinearMechanism.untaught(i, (), ()) for i in range(2))
    values = np.random.default_rng(0).normal(size=(len(weights), 2))
    rows = NumberRows(values, np.array(weights))
    return MechanismNetwork(
        own,
        (Changes((Shift(1.0), Shift(2.0))),) * 2,
        control=rows,
        variables=(Variable("x", kind="continuous"), Variable("y", kind="continuous")),
    )


def test_both_halves_are_joined_with_half_of_their_weights() -> None:
    targets, weights = _joined(network_of_states(), [ONE, TWO])
    found = {tuple(t): w for t, w in zip(targets.tolist(), weights.tolist(), strict=True)}
    assert found == pytest.approx({(1, -1): 0.04, (1, 0): 0.02})
    # Changes of numbers differ from half to half: only what is touched counts.
    numbers, weights = _joined(network_of_numbers([1.0]), [ONE, TWO])  # type: ignore[arg-type]
    found = {tuple(t): w for t, w in zip(numbers.tolist(), weights.tolist(), strict=True)}
    assert found == pytest.approx({(0, -1): 0.04, (0, 0): 0.02})
    np.testing.assert_allclose(_touched(targets, np.array([0.04, 0.02])), [0.06, 0.02])
    totals = _totals(network_of_states(), ONE.targets, ONE.weights)
    assert totals is not None
    np.testing.assert_allclose(totals, [[0.0, 0.1], [0.04, 0.0]])
    assert _totals(network_of_numbers([1.0]), ONE.targets, ONE.weights) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("first", range(1, len(_POWERS)))
def test_the_largest_power_at_which_little_is_invented_is_found(first: int) -> None:
    assert list(_POWERS) == sorted(_POWERS, reverse=True)
    tried = []

    def found(power: float) -> Any:
        tried.append(power)
        much = _POWERS.index(power) < first
        weight = TOLERATED + (0.001 if much else -0.001)
        return found_with([[-1], [0]], [1.0 - weight, weight])

    power, result = _largest(found)
    assert power == _POWERS[first]
    assert invented([result]) == pytest.approx(TOLERATED - 0.001)
    assert len(tried) == len(set(tried)) <= np.ceil(np.log2(len(_POWERS))) + 1


def test_without_such_a_power_the_least_is_taken() -> None:
    power, _ = _largest(lambda power: found_with([[-1], [0]], [0.5, 0.5]))
    assert power == _POWERS[-1]


def test_the_power_of_more_rows_bounds_their_evidence() -> None:
    assert power_for(1.0, 10.0, 1e9) == 1.0
    # 100 rows count for a fifth: 25 rows' worth of evidence at most.
    for n_rows in (100.0, 400.0):
        assert power_for(0.2, 100.0, n_rows) == pytest.approx(1.0 / (1.0 + n_rows / 25.0))


def test_what_the_pool_must_hold_is_not_asked_of_control_rows() -> None:
    some = np.array([[1, -1]], dtype=np.int16)
    known = replace(
        Constraints.none(np.array([2, 2])),
        required=some,
        known=some,
        known_weights=np.array([0.3]),
        forbidden=np.array([[-1, -1], [0, 1]], dtype=np.int16),
        excluded=np.array([[1, 1]], dtype=np.int16),
        candidates=some,
    )
    found = _not_required(known)
    assert found is not None
    assert len(found.required) == len(found.known) == found.known_weights.size == 0
    # That nothing is done is no more forbidden, and is a candidate.
    assert found.forbidden.tolist() == [[0, 1]]
    assert found.candidates is not None
    assert found.candidates.tolist() == [[-1, -1], [1, -1]]
    assert found.excluded.tolist() == [[1, 1]]
    assert _not_required(None) is None


def test_rows_are_drawn_without_replacement() -> None:
    counts = np.array([5.0, 0.0, 3.0, 2.0])
    rng = np.random.default_rng(0)
    for _ in range(20):
        some = _drawn(counts, 6.0, rng)
        assert some.sum() == 6.0
        assert ((some >= 0) & (some <= counts)).all()
    assert _drawn(counts, 10.0, rng) is counts


def learned() -> Network:
    rng = np.random.default_rng(1)
    a = rng.integers(2, size=101)
    b = np.where(rng.random(101) < 0.8, a, 1 - a)
    return dosift.learn_network([("a", "b")], {"a": a.tolist(), "b": b.tolist()})


def test_each_half_of_rows_of_states_teaches_while_the_other_is_explained() -> None:
    network = learned()
    assert network.control is not None
    rows = network.control.rows
    assert rows is not None
    halves = list(control_halves(network, 1e9))
    assert [half.n_rows for half in halves] == [51.0, 50.0]
    whole = {tuple(v): c for v, c in zip(rows.values.tolist(), rows.counts.tolist(), strict=True)}
    together: dict[tuple[int, ...], float] = {}
    for half in halves:
        held = half.evidence.held
        assert held is not None
        control = half.network.control
        assert control is not None
        assert control.n_rows == 101.0 - half.n_rows
        family = np.zeros((2, 2))
        for value, count in zip(held.values.tolist(), held.counts.tolist(), strict=True):
            together[tuple(value)] = together.get(tuple(value), 0.0) + count
            family[tuple(value)] += count
        # What is not explained taught.
        every = np.zeros((2, 2))
        for value, count in whole.items():
            every[value] += count
        np.testing.assert_allclose(control.counts[1], every - family)
    assert together == whole
    few = list(control_halves(network, 20.0))
    assert [half.n_rows for half in few] == [20.0, 20.0]


def test_each_half_of_rows_of_numbers_teaches_while_the_other_is_explained() -> None:
    network: Any = network_of_numbers([1.0] * 41)
    assert can_be_split(network)
    assert not can_be_split(network_of_numbers([1.0, 0.5]))  # type: ignore[arg-type]
    assert not can_be_split(network_of_states())
    halves = list(control_halves(network, 1e9))
    assert sorted(half.n_rows for half in halves) == [20.0, 21.0]
    values = []
    for half in halves:
        held, own = half.evidence.held, half.network
        assert held is not None
        assert isinstance(own, MechanismNetwork)
        assert own.control is not None
        values.append(held.values)
        both = np.concatenate([held.values, own.control.values])
        assert {tuple(v) for v in both.tolist()} == {
            tuple(v) for v in network.control.values.tolist()
        }
        assert len(both) == 41
    assert len(np.unique(np.concatenate(values), axis=0)) == 41
    assert [half.n_rows for half in control_halves(network, 7.0)] == [7.0, 7.0]


def test_labelled_control_rows_only_teach() -> None:
    values = np.array([[0, 0], [1, 0], [1, 1]], dtype=np.int16)
    targets = np.array([[-1, -1], [1, -1], [-1, -1]], dtype=np.int16)
    rows = ControlRows(values, np.array([5.0, 3.0, 2.0]), targets)
    assert left_alone(rows).tolist() == [True, False, True]
    assert left_alone(ControlRows(values, np.ones(3))).all()
    network = learned()
    assert network.control is not None
    own = Network(
        network.variables, network.parents, network.tables, replace(network.control, rows=rows)
    )
    found = with_labelled(own, np.array([[0, 1]]), np.array([7.0]))
    assert found.values.tolist() == [[0, 1], [1, 0]]
    assert found.counts.tolist() == [7.0, 3.0]
    assert found.targets is not None
    assert found.targets.tolist() == [[-1, -1], [1, -1]]
    plain = with_labelled(network, np.array([[0, 1]]), np.array([7.0]))
    assert plain.targets is None


def test_distances_of_variables_are_beyond_what_noise_makes() -> None:
    def one(variables: tuple[int, ...], distance: float) -> Any:
        return SimpleNamespace(variables=variables, distance=distance)

    check: Any = SimpleNamespace(
        fit=SimpleNamespace(
            worst=(one((0, 1), 0.2), one((1, 2), 0.3)), mechanisms=(one((2,), 0.5),)
        ),
        certainty=SimpleNamespace(counts=np.array([40.0, 60.0])),
    )
    result: Any = SimpleNamespace(
        network=SimpleNamespace(cardinalities=np.array([2, 3, 4, 2])), targets=np.empty((0, 4))
    )
    # Of 6, 12 and 4 cells and a hundred rows.
    noise = [0.4 * np.sqrt(n / 100.0) for n in (6, 12, 4)]
    expected = [0.2 - noise[0], max(0.2 - noise[0], 0.3 - noise[1]), 0.5 - noise[2], 0.0]
    np.testing.assert_allclose(_distances(check, result, frozenset()), expected)
    # What a repair explains is left out, with all that is compared with it.
    alone = [0.2 - noise[0], 0.2 - noise[0], 0.0, 0.0]
    np.testing.assert_allclose(_distances(check, result, frozenset({2})), alone)
