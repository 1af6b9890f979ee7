"""Steps of the search for pairs of changes, on rows and changes that are written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.search import change_pairs as module
from dosift.search.change_pairs import ChangePair, _apart, _gain, _Item, _steepest, change_pairs

Floats = NDArray[np.float64]


def item(variable: int, ratio: Floats, gain: float = 5.0) -> _Item:
    return _Item(variable, Shift(1.0), ratio.astype(np.float32), gain)


def test_the_gain_is_the_largest_over_shares() -> None:
    counts = np.array([990.0, 10.0])
    for ratio, share in (([-1.0, 2000.0], 0.005), ([-0.5, 400.0], 0.02), ([0.0, 2.0], 0.1)):
        gains = [
            990 * np.log(1 + s * ratio[0]) + 10 * np.log(1 + s * ratio[1])
            for s in (0.005, 0.02, 0.1)
        ]
        best, found = _gain(np.array(ratio), counts)
        assert (best, found) == pytest.approx((max(gains), share))


def test_the_steepest_pairs_are_those_of_the_gradient_in_standard_errors() -> None:
    rng = np.random.default_rng(2)
    n = 2_000
    ratios = [rng.choice([0.2, 2.0], n, p=[5 / 9, 4 / 9]) for _ in range(4)]
    ratios[2][:150] = ratios[0][:150] = 2.0
    ratios[3][:400] = ratios[1][:400] = 2.0
    counts, relative = rng.integers(1, 4, n).astype(float), rng.uniform(0.8, 1.2, n)
    items = [item(v, r) for v, r in zip((0, 1, 2, 2), ratios, strict=True)]
    expected = {}
    for a in range(4):
        for b in range(a + 1, 4):
            if items[a].variable == items[b].variable:
                continue
            both = relative * ratios[a] * ratios[b]
            total = counts.sum()
            mean = counts @ both / total
            error = np.sqrt(counts @ both**2 - total * mean**2)
            expected[a, b] = total * (mean - 1.0) / error
    wanted = sorted((p for p in expected if expected[p] > 3.0), key=lambda p: -expected[p])
    assert len(wanted) >= 2
    assert _steepest(items, counts, relative) == wanted


def test_no_two_pairs_change_the_same_variable() -> None:
    pairs = [
        ChangePair(variables, (Shift(1.0), Shift(1.0)), 0.02, gain)
        for variables, gain in (((0, 1), 5.0), ((1, 2), 9.0), ((3, 4), 7.0), ((4, 5), 6.0))
    ]
    assert [one.variables for one in _apart(pairs)] == [(1, 2), (3, 4)]


def numbers(n: int) -> MechanismNetwork:
    own = tuple(LinearMechanism(i, (), (), np.zeros(1), Noise.normal(1.0)) for i in range(n))
    library = Changes((Shift(2.5), SetNormal(2.5, 0.3), Shift(-2.5)), kinds=("shift", "set"))
    return MechanismNetwork(own, (library,) * n)


def rows_with(shares: dict[tuple[int, ...], int], n: int, n_rows: int = 3_000) -> Floats:
    """Normal scores, of which some rows have several variables around 2.5."""
    rng = np.random.default_rng(8)
    values, at = rng.normal(size=(n_rows, n)), 0
    for some, number in shares.items():
        values[at : at + number, list(some)] = 2.5 + 0.3 * rng.normal(size=(number, len(some)))
        at += number
    return values


def test_a_pair_is_found_with_its_share_and_gain() -> None:
    values = rows_with({(0, 2): 60}, 4)
    ones, nothing = np.ones(len(values)), np.full(4, -1)
    network = numbers(4)
    (found,) = change_pairs(network, values, ones, ones, nothing, np.log(4.0))
    assert found.variables == (0, 2)
    assert found.changes == (SetNormal(2.5, 0.3),) * 2
    ratio = np.ones(len(values))
    for i in found.variables:
        own = network.mechanisms[i]
        log = SetNormal(2.5, 0.3).applied(own).log_density(values) - own.log_density(values)
        ratio *= np.minimum(np.exp(log), 300.0)
    assert found.share == 0.02
    assert found.gain == pytest.approx(float(np.log(0.98 + 0.02 * ratio).sum()), rel=1e-4)
    # Each row twice is as good as a weight of two.
    (twice,) = change_pairs(network, values, 2.0 * ones, ones, nothing, np.log(4.0))
    assert twice.gain == pytest.approx(2.0 * found.gain, rel=1e-6)


def test_a_pair_must_promise_a_share_of_its_cost() -> None:
    values = rows_with({(0, 2): 60}, 4)
    ones, nothing = np.ones(len(values)), np.full(4, -1)
    (found,) = change_pairs(numbers(4), values, ones, ones, nothing, 0.0)
    # Of one weight and two changes of two numbers each, and of two names.
    of_numbers = 0.5 * np.log(3_000.0) * 5.0
    limit = (found.gain / 0.6 - of_numbers) / 2.0
    for log_choices, n in ((limit - 0.1, 1), (limit + 0.1, 0)):
        assert len(change_pairs(numbers(4), values, ones, ones, nothing, log_choices)) == n


def test_where_memory_is_short_the_changes_that_gain_most_are_paired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = rows_with({(0, 2): 120, (1, 3): 60}, 4)
    ones, nothing = np.ones(len(values)), np.full(4, -1)
    found = change_pairs(numbers(4), values, ones, ones, nothing, np.log(4.0))
    assert [set(one.variables) for one in found] == [{0, 2}, {1, 3}]
    monkeypatch.setattr(module, "_MOST_ENTRIES", 4 * len(values))
    found = change_pairs(numbers(4), values, ones, ones, nothing, np.log(4.0))
    assert [set(one.variables) for one in found] == [{0, 2}]


def test_libraries_that_are_closed_or_of_states_take_no_part() -> None:
    network: Any = SimpleNamespace(libraries=(Changes(()),), mechanisms=(None,))
    assert module._items(network, 0, np.zeros((2, 1)), np.ones(2), np.ones(2)) == []
