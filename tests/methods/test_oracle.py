"""The oracle algorithm gives back every mixture that satisfies exclusion."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.errors import InputError
from dosift.likelihood.factors import MechanismFactors
from dosift.model.evaluation import compare_codes

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


@pytest.fixture
def with_a_zero() -> dosift.Network:
    """Example B.1: P(V2=1 | V1=1) = 0."""
    return dosift.Network.from_tables(
        {"V1": BINARY, "V2": BINARY},
        {"V2": ["V1"]},
        {"V1": [[0.5, 0.5]], "V2": [[0.5, 0.5], [1, 0]]},
    )


def test_example_b1_is_solved_without_positivity(with_a_zero: dosift.Network) -> None:
    truth = dosift.Mixture({dosift.do(V1="0"): 0.5, dosift.do(V1="0", V2="0"): 0.5})
    assert dosift.recover_mixture(with_a_zero, dense(with_a_zero, truth)) == truth


def test_an_excluded_value_is_chosen_that_avoids_zeros(with_a_zero: dosift.Network) -> None:
    """Nothing sets V1; at V1 = 1 the do of V2 would be invisible, at V1 = 0 it is not."""
    truth = dosift.Mixture({dosift.do(): 0.75, dosift.do(V2="0"): 0.25})
    assert dosift.recover_mixture(with_a_zero, truth) == truth


def test_a_zero_probability_that_matters_is_named(with_a_zero: dosift.Network) -> None:
    mixture = dosift.Mixture({dosift.do(): 0.5, dosift.do(V1="1"): 0.5})
    with pytest.raises(InputError, match=r"V2=1 given V1=1 is zero and is needed: positivity"):
        dosift.recover_mixture(with_a_zero, mixture)


def test_where_do_equals_nothing_the_mixture_is_refused() -> None:
    """One variable with P(V = 1) = 0: do(V=0) is the same as nothing."""
    network = dosift.Network.from_tables({"V": BINARY}, {}, {"V": [[1.0, 0.0]]})
    with pytest.raises(InputError, match="probability of V=1 is zero"):
        dosift.recover_mixture(network, [1.0, 0.0])


def test_example_c1() -> None:
    network = dosift.Network.from_tables(
        {"V1": BINARY, "V2": BINARY}, {"V2": ["V1"]}, {"V1": [[0.5, 0.5]], "V2": [[0.5, 0.5]] * 2}
    )
    truth = dosift.Mixture({dosift.do(V1="0"): 0.5, dosift.do(V1="0", V2="0"): 0.5})
    assert dosift.recover_mixture(network, [[0.75, 0.25], [0.0, 0.0]]) == truth


@pytest.mark.parametrize("seed", range(60))
def test_without_exclusion_the_answer_has_the_same_distribution_or_is_refused(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = dosift.random_network(int(rng.integers(1, 4)), n_states=2, random_state=rng)
    mixture = dosift.random_mixture(
        network, min(3, 2 * network.n_variables), exclusion=False, random_state=rng
    )
    try:
        found = dosift.recover_mixture(network, mixture)
    except InputError as error:
        assert "satisfies exclusion" in str(error)  # noqa: PT017
        return
    assert np.abs(dense(network, mixture) - dense(network, found)).sum() < 1e-9
    codes, _ = found.to_codes(network)
    for i, k in enumerate(network.cardinalities):
        assert set(range(k)) - set(codes[:, i].tolist())


def test_wide_networks_take_a_mixture_or_a_callable() -> None:
    network = dosift.random_network(40, max_parents=3, random_state=3)
    truth = dosift.random_mixture(network, 12, max_size=6, random_state=3)
    found = dosift.recover_mixture(network, truth)
    assert set(found) == set(truth)
    assert max(abs(found[t] - truth[t]) for t in truth) < 1e-12


def test_a_deviation_that_the_systems_do_not_see_is_refused() -> None:
    """They look at V2 given one value of V1 only; the other one is compared afterwards."""
    network = dosift.Network.from_tables(
        {"V1": BINARY, "V2": BINARY}, {"V2": ["V1"]}, {"V1": [[0.5, 0.5]], "V2": [[0.5, 0.5]] * 2}
    )
    with pytest.raises(InputError, match=r"satisfies exclusion.*0\.02 away"):
        dosift.recover_mixture(network, [[0.26, 0.24], [0.24, 0.26]])


@pytest.mark.parametrize("tolerance", [-1, 1, "x", None, True, float("nan")])
def test_tolerance_is_checked(tolerance: object) -> None:
    network = dosift.Network.from_tables({"V": BINARY}, {}, {"V": [[0.5, 0.5]]})
    with pytest.raises(InputError, match="tolerance is"):
        dosift.recover_mixture(network, [0.5, 0.5], tolerance=tolerance)  # type: ignore[arg-type]


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
