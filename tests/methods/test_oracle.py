"""The oracle algorithm gives back every mixture that satisfies exclusion."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.errors import InputError
from dosift.evaluation import compare_codes
from dosift.likelihood import MechanismFactors

BINARY = ["0", "1"]


def largest_error(n: int, seed: int) -> float:
    rng = np.random.default_rng([n, seed])
    network = dosift.random_network(
        n, graph=("erdos-renyi", "scale-free")[seed % 2], shuffle=seed % 3 == 0, random_state=rng
    )
    truth = dosift.random_mixture(network, (4, 8, 16)[seed % 3], random_state=rng)
    found = dosift.recover_mixture(network, truth)
    assert set(found) == set(truth)
    return compare_codes(*truth.to_codes(network), *found.to_codes(network)).tv


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_random_mixtures_come_back(n: int) -> None:
    assert max(largest_error(n, seed) for seed in range(8)) < 1e-12


@pytest.mark.slow
def test_hundreds_of_random_mixtures_come_back() -> None:
    errors = [largest_error(n, seed) for n in range(2, 13) for seed in range(40)]
    assert len(errors) == 440
    assert max(errors) < 1e-12


def dense(network: dosift.Network, mixture: dosift.Mixture) -> np.ndarray:
    targets, weights = mixture.to_codes(network)
    shape = tuple(int(k) for k in network.cardinalities)
    cells = np.indices(shape).reshape(len(shape), -1).T
    factors = MechanismFactors(network, cells)
    return np.reshape(factors.columns(targets) @ weights * np.exp(factors.log_base()), shape)


def test_a_table_and_a_callable_say_the_same_as_the_mixture() -> None:
    rng = np.random.default_rng(5)
    network = dosift.random_network(5, shuffle=True, random_state=rng)
    truth = dosift.random_mixture(network, 6, random_state=rng)
    table = dense(network, truth)

    def marginal(points: np.ndarray) -> list[float]:
        index = [tuple(slice(None) if c < 0 else int(c) for c in point) for point in points]
        return [float(table[i].sum()) for i in index]

    for p_mix in (table, table.tolist(), marginal):
        found = dosift.recover_mixture(network, p_mix)
        assert set(found) == set(truth)
        assert all(abs(found[t] - truth[t]) < 1e-12 for t in truth)


def test_example_c2_depends_on_the_order_of_prefixes() -> None:
    half = [0.5, 0.5]
    network = dosift.Network.from_tables(
        dict.fromkeys(("V1", "V2", "V3"), BINARY),
        {"V2": ["V1"], "V3": ["V1", "V2"]},
        {"V1": [half], "V2": [half] * 2, "V3": [half] * 4},
    )
    third = 1 / 3
    truth = dosift.Mixture(
        {
            dosift.do(V1="0"): third,
            dosift.do(V1="0", V2="0"): third,
            dosift.do(V1="0", V2="0", V3="0"): third,
        }
    )
    found = dosift.recover_mixture(network, dense(network, truth))
    assert set(found) == set(truth)
    assert all(abs(found[t] - third) < 1e-14 for t in truth)


def test_the_exclusion_mixture_is_preferred_where_others_exist() -> None:
    """Example 3.1: (0.2, 0, 0.8) and (0.6, 0.4, 0) generate the same data."""
    network = dosift.Network.from_tables({"V": BINARY}, {}, {"V": [[0.5, 0.5]]})
    found = dosift.recover_mixture(network, [0.6, 0.4])
    assert found[dosift.do(V="0")] == pytest.approx(0.2, abs=1e-15)
    assert found[dosift.do()] == pytest.approx(0.8, abs=1e-15)


def test_a_zero_probability_is_named() -> None:
    network = dosift.Network.from_tables(
        {"a": BINARY, "b": BINARY}, {"b": ["a"]}, {"a": [[0.5, 0.5]], "b": [[0.5, 0.5], [1, 0]]}
    )
    with pytest.raises(InputError, match=r"b=1 is zero .* positivity"):
        dosift.recover_mixture(network, [[0.25, 0.25], [0.5, 0.0]])


@pytest.mark.parametrize(
    ("p_mix", "message"),
    [
        ([0.5, 0.5], "has shape"),
        ([[0.5, 0.5], [0.5, 0.5]], "sums to 2"),
        ([[1.5, -0.5], [0.0, 0.0]], "negative"),
        ([["x", "y"], ["z", "w"]], "neither a Mixture"),
        (lambda points: [0.1], "one probability for each"),
    ],
)
def test_what_is_no_distribution_is_refused(p_mix: object, message: str) -> None:
    network = dosift.Network.from_tables(
        {"a": BINARY, "b": BINARY}, {}, {"a": [[0.5, 0.5]], "b": [[0.5, 0.5]]}
    )
    with pytest.raises(InputError, match=message):
        dosift.recover_mixture(network, p_mix)


def test_a_mixture_without_an_excluded_value_is_refused() -> None:
    network = dosift.Network.from_tables(
        {"a": BINARY, "b": BINARY}, {"b": ["a"]}, {"a": [[0.5, 0.5]], "b": [[0.9, 0.1], [0.2, 0.8]]}
    )
    mixture = dosift.Mixture(
        {dosift.do(a="0", b="0"): 0.5, dosift.do(a="1", b="1"): 0.3, dosift.do(): 0.2}
    )
    with pytest.raises(InputError, match="satisfies exclusion"):
        dosift.recover_mixture(network, mixture)
