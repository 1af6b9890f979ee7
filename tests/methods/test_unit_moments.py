"""The moments method for units finds mixtures without exclusion; errors fall as they should."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.errors import InputError
from dosift.methods.unit_moments import unit_moment_estimate, weights_of_targets
from dosift.model.evaluation import compare_codes
from dosift.model.network import Network
from dosift.model.simulate import sample_codes

#: As if a law were known: so many units that errors of the estimate are those of the computer.
MANY = 1e30


def violating(
    n: int, k: int, seed: int, n_targets: int = 7, size: int | None = None
) -> tuple[Network, np.ndarray, np.ndarray, np.random.Generator]:
    """A random network and a mixture that sets some variable to all of its states."""
    rng = np.random.default_rng([n, k, seed])
    network = dosift.random_network(
        n, n_states=k, shuffle=seed % 2 == 0, random_state=rng, max_parents=4
    )
    while True:
        mixture = dosift.random_mixture(
            network, n_targets, max_size=size, exclusion=False, random_state=rng
        )
        if dosift.identifiability.exclusion(network, mixture).violated:
            break
    return network, *mixture.to_codes(network), rng


def laws(network: Network, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All configurations, and their probabilities under each target, from the definition."""
    shape = tuple(map(int, network.cardinalities))
    cells = np.indices(shape).reshape(len(shape), -1).T
    out = np.ones((len(cells), len(targets)))
    for i in range(network.n_variables):
        own = network.tables[i][network.parent_rows(i, cells), cells[:, i]]
        for t, target in enumerate(targets):
            out[:, t] *= own if target[i] < 0 else cells[:, i] == target[i]
    return cells, out


def exact_units(
    network: Network, targets: np.ndarray, weights: np.ndarray, n_rows: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every unit of so many rows with its probability: codes, first rows, counts."""
    cells, law = laws(network, targets)
    joint = law
    places = np.arange(len(cells))[:, None]
    for _ in range(n_rows - 1):
        joint = (joint[:, None, :] * law[None]).reshape(-1, len(targets))
        places = np.concatenate(
            [
                np.repeat(places, len(cells), axis=0),
                np.tile(np.arange(len(cells)), len(places))[:, None],
            ],
            axis=1,
        )
    codes = cells[places.ravel()]
    return codes, np.arange(len(places)) * n_rows, joint @ weights * MANY


def drawn_units(
    network: Network,
    targets: np.ndarray,
    weights: np.ndarray,
    sizes: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Units of given sizes, drawn from a mixture."""
    target = rng.choice(len(weights), len(sizes), p=weights)
    codes = np.empty((sizes.sum(), network.n_variables), dtype=np.int32)
    of_row = np.repeat(target, sizes)
    for t in range(len(weights)):
        rows = np.flatnonzero(of_row == t)
        codes[rows] = sample_codes(network, targets[[t]], np.ones(1), len(rows), rng)[0]
    return codes, np.r_[0, np.cumsum(sizes)[:-1]]


@pytest.mark.parametrize("seed", range(30))
def test_the_law_of_two_rows_has_all_weights(seed: int) -> None:
    n, k = 2 + seed % 2, 2 + seed // 2 % 2
    network, targets, weights, _ = violating(n, k, seed, 6)
    units = exact_units(network, targets, weights)
    found = unit_moment_estimate(network, *units, epsilon=1e-9)
    scores = compare_codes(targets, weights, found.targets, found.weights)
    assert len(found.weights) == len(weights)
    assert scores.tv < 1e-10


def test_every_target_has_weight_at_once() -> None:
    """No exclusion at all: 64 targets, each with weight."""
    network = dosift.random_network(3, random_state=4)
    targets = np.indices((4, 4, 4)).reshape(3, -1).T - 1
    weights = np.random.default_rng(0).dirichlet(np.full(64, 2.0))
    found = unit_moment_estimate(network, *exact_units(network, targets, weights), epsilon=1e-9)
    assert compare_codes(targets, weights, found.targets, found.weights).tv < 1e-9


@pytest.mark.parametrize("n_rows", [2, 3])
def test_given_targets_by_themselves(n_rows: int) -> None:
    """The weight of any target is a mean, and that of one which is not there is zero."""
    network, targets, weights, _ = violating(3, 2, 5, 5)
    every = np.indices((3, 3, 3)).reshape(3, -1).T - 1
    codes, first, counts = exact_units(network, targets, weights, n_rows)
    means, _ = weights_of_targets(network, codes, first, every, counts)
    wanted = {tuple(t): w for t, w in zip(targets.tolist(), weights, strict=True)}
    np.testing.assert_allclose(
        means, [wanted.get(tuple(t), 0.0) for t in every.tolist()], atol=1e-12
    )


def test_the_paper_cannot_do_that() -> None:
    """From the law of one row its oracle gives another mixture."""
    coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    truth = dosift.Mixture({dosift.do(V=0): 0.6, dosift.do(V=1): 0.4})
    assert dosift.recover_mixture(coin, truth) != truth
    targets, weights = truth.to_codes(coin)
    found = unit_moment_estimate(coin, *exact_units(coin, targets, weights))
    assert compare_codes(targets, weights, found.targets, found.weights).tv < 1e-12


def test_units_of_one_row_are_not_used() -> None:
    network, targets, weights, rng = violating(4, 3, 0, 4)
    sizes = np.full(600, 2)
    codes, first = drawn_units(network, targets, weights, sizes, rng)
    alone = unit_moment_estimate(network, codes, first)
    mixed = np.concatenate([codes[:1], codes[:600], codes[5:8], codes[600:]])
    starts = np.r_[0, first[:300] + 1, [601, 602, 603], first[300:] + 4]
    both = unit_moment_estimate(network, mixed, starts)
    assert both.n_units == 600
    np.testing.assert_array_equal(alone.targets, both.targets)
    np.testing.assert_allclose(alone.weights, both.weights, rtol=1e-12)


def test_counts_are_units_that_are_repeated() -> None:
    network, targets, weights, rng = violating(3, 3, 1, 4)
    codes, first = drawn_units(network, targets, weights, np.full(400, 3), rng)
    twice = unit_moment_estimate(
        network, np.concatenate([codes, codes]), np.r_[first, first + len(codes)]
    )
    counted = unit_moment_estimate(network, codes, first, np.full(400, 2.0))
    np.testing.assert_array_equal(twice.targets, counted.targets)
    np.testing.assert_allclose(twice.weights, counted.weights, rtol=1e-10)
    np.testing.assert_allclose(twice.std_errors, counted.std_errors, rtol=1e-8)


def test_long_units_do_not_underflow() -> None:
    network, targets, weights, rng = violating(5, 3, 2, 4)
    codes, first = drawn_units(network, targets, weights, np.full(60, 2_000), rng)
    found = unit_moment_estimate(network, codes, first)
    assert np.isfinite(found.weights).all()
    assert {*map(tuple, found.targets.tolist())} <= {*map(tuple, targets.tolist())}


def test_no_unit_of_two_rows() -> None:
    coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    with pytest.raises(InputError, match="every unit has one row"):
        unit_moment_estimate(coin, np.array([[0], [1]]), np.array([0, 1]))


def test_a_variable_that_follows_from_its_parents_is_named() -> None:
    network = Network.from_tables(
        {"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[0.3, 0.7], [0.0, 1.0]]}
    )
    codes = np.array([[1, 1], [1, 1], [0, 0], [0, 1]])
    with pytest.raises(InputError, match="b=1 given a=1 is certain"):
        unit_moment_estimate(network, codes, np.array([0, 2]), np.array([1e3, 1e3]))
    # Zeros alone do no harm, nor does the certain row beside one that is not.
    found = weights_of_targets(network, codes[1:3], np.array([0]), np.array([[-1, -1]]))[0]
    assert found[0] == pytest.approx(1 / 0.5 / 0.3)


def test_too_few_units_for_anything() -> None:
    network = dosift.random_network(2, n_states=2, random_state=0)
    codes = np.array([[1, 1], [1, 1], [0, 0], [0, 1]])
    with pytest.raises(InputError, match="too few"):
        unit_moment_estimate(network, codes, np.array([0, 2]))


def total_variation(seed: int, n_units: int, n: int = 4) -> float:
    network, targets, weights, rng = violating(n, 3, seed, 7, 3)
    rng = np.random.default_rng([seed, n_units])
    sizes = rng.integers(2, 5, n_units)
    codes, first = drawn_units(network, targets, weights, sizes, rng)
    found = unit_moment_estimate(network, codes, first)
    return compare_codes(targets, weights, found.targets, found.weights).tv


def slope(sizes: list[int], seeds: int, n: int) -> float:
    """Of log total variation on log units, over problems."""
    means = [np.mean([total_variation(s, size, n) for s in range(seeds)]) for size in sizes]
    return float(np.polyfit(np.log(sizes), np.log(means), 1)[0])


def test_total_variation_falls_as_one_over_the_root_of_units() -> None:
    assert -0.65 < slope([4_000, 32_000], 10, 4) < -0.35


@pytest.mark.slow
def test_total_variation_falls_as_one_over_the_root_of_units_over_many() -> None:
    found = slope([4_000, 16_000, 64_000], 20, 6)
    assert -0.6 < found < -0.4


@pytest.mark.slow
def test_standard_errors_are_right() -> None:
    """Of the weights that are found, over problems: errors divided by their standard errors."""
    scaled = []
    for seed in range(60):
        network, targets, weights, rng = violating(5, 3, seed, 5, 3)
        codes, first = drawn_units(network, targets, weights, np.full(4_000, 3), rng)
        found = unit_moment_estimate(network, codes, first)
        truth = {tuple(t): w for t, w in zip(targets.tolist(), weights, strict=True)}
        for target, weight, error in zip(
            found.targets.tolist(), found.weights, found.std_errors, strict=True
        ):
            if truth.get(tuple(target), 0.0) > 0.05:
                scaled.append((weight - truth[tuple(target)]) / error)
    assert len(scaled) > 200
    assert 0.85 < np.std(scaled) < 1.15
    assert 0.92 < np.mean(np.abs(scaled) < 1.96) < 0.98
