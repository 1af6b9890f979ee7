"""Comparison of a found mixture with the true one."""

import json
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dosift.errors import InputError
from dosift.model import Mixture, change, do
from dosift.model.evaluation import compare_codes, evaluate
from dosift.model.random_problems import random_mixture, random_network


def test_known_numbers():
    true = Mixture({do(): 0.5, do(x=1): 0.3, do(x=1, y=0): 0.2})
    found = Mixture({do(): 0.4, do(x=1): 0.4, do(x=2): 0.15, do(y=0): 0.05})
    result = evaluate(true, found)
    assert (result.n_true, result.n_found, result.n_matched) == (3, 4, 2)
    assert result.recall == pytest.approx(2 / 3)
    assert result.precision == pytest.approx(1 / 2)
    assert result.jaccard == pytest.approx(2 / 5)
    assert result.tv == pytest.approx((0.1 + 0.1 + 0.2 + 0.15 + 0.05) / 2)
    assert result.rmse == pytest.approx(np.sqrt((0.1**2 + 0.1**2 + 0.2**2 + 0.15**2 + 0.05**2) / 5))
    assert result.rmse_missed == pytest.approx(0.2)
    assert result.rmse_spurious == pytest.approx(np.sqrt((0.15**2 + 0.05**2) / 2))
    assert result.missed == (do(x=1, y=0),)
    assert result.spurious == (do(x=2), do(y=0))


def test_a_perfect_answer():
    mixture = Mixture({do(): 0.5, do(x=1): 0.5})
    result = evaluate(mixture, mixture)
    assert (result.recall, result.precision, result.jaccard, result.tv) == (1, 1, 1, 0)
    assert result.rmse_spurious is None
    assert result.rmse_missed is None
    assert result.missed == result.spurious == ()


def test_nothing_in_common():
    result = evaluate(Mixture({do(): 1.0}), Mixture({do(x=1): 1.0}))
    assert (result.recall, result.precision, result.jaccard, result.tv) == (0, 0, 0, 1)


def test_targets_of_weight_zero_do_not_count():
    true = Mixture({do(): 1.0, do(x=1): 0.0})
    found = Mixture({do(): 1.0, do(x=2): 0.0})
    result = evaluate(true, found)
    assert (result.recall, result.precision, result.n_true, result.n_found) == (1, 1, 1, 1)
    assert result.missed == result.spurious == ()


def test_only_mixtures_are_compared():
    with pytest.raises(InputError, match="not dict"):
        evaluate(Mixture({do(): 1.0}), {do(): 1.0})


def test_values_matter_and_not_only_variables():
    result = evaluate(Mixture({do(x=1): 1.0}), Mixture({do(x=2): 1.0}))
    assert result.n_matched == 0


def test_result_is_frozen_and_goes_into_json():
    result = evaluate(Mixture({do(): 1.0}), Mixture({do(x="a b"): 1.0}))
    with pytest.raises(FrozenInstanceError):
        result.recall = 1.0
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert content["missed"] == ["do()"]
    assert content["spurious"] == ['do(x="a b")']
    assert content["rmse_missed"] == 1.0


@given(st.integers(0, 10_000))
def test_arrays_and_names_agree(seed):
    rng = np.random.default_rng(seed)
    network = random_network(3, random_state=rng)
    true, found = (random_mixture(network, 12, max_size=2, random_state=rng) for _ in range(2))
    scores = compare_codes(*true.to_codes(network), *found.to_codes(network))
    by_name = asdict(evaluate(true, found))
    for name, value in asdict(scores).items():
        assert value == pytest.approx(by_name[name], abs=1e-12)


def test_equal_rows_are_added_up():
    scores = compare_codes([[0, -1]], [1.0], [[0, -1], [0, -1]], [0.5, 0.5])
    assert (scores.n_found, scores.tv) == (1, 0)


@pytest.mark.parametrize(
    ("found", "weights", "message"),
    [
        ([[0]], [1.0], "true targets have 2 variables, found ones 1"),
        ([[0, 1]], [0.5, 0.5], "weights of shape"),
        ([0, 1], [0.5, 0.5], "targets of shape"),
        ([[0, 1]], [0.0], "no weight is positive"),
    ],
)
def test_malformed_arrays_are_refused(found, weights, message):
    with pytest.raises(InputError, match=message):
        compare_codes([[0, 1]], [1.0], found, weights)


def test_numbers_agree_if_they_are_touched():
    true = Mixture(
        {
            do(): 0.4,
            change(shift={"x": 1.0}): 0.2,
            change(do={"g": "on"}, fold={"y": 0.2}): 0.2,
            change(fold={"y": 0.2}, shift={"z": 1}): 0.2,
        }
    )
    found = Mixture(
        {
            do(): 0.4,
            change(set={"x": (1.0, 0.1)}): 0.1,
            do(x=3.5): 0.08,
            change(do={"g": "off"}, fold={"y": 0.2}): 0.22,
            change(fold={"y": 0.3}): 0.2,
        }
    )
    result = evaluate(true, found)
    assert result.numbers == ("x", "y", "z")
    assert (result.recall, result.precision) == (0.5, 0.5)
    assert result.jaccard == pytest.approx(2 / 6)
    assert result.tv == pytest.approx((0.02 + 0.2 + 0.2 + 0.22 + 0.2) / 2)
    assert set(result.missed) == {
        change(fold={"y": 0.2}, shift={"z": 1}),
        change(do={"g": "on"}, fold={"y": 0.2}),
    }
    assert result.spurious == (
        change(do={"g": "off"}, fold={"y": 0.2}),
        change(fold={"y": 0.3}),
    )
    # x and g, y are found; of y, z one of two.
    assert result.overlap == pytest.approx((1.0 + 1.0 + 0.5) / 3)
    assert result.to_dict()["numbers"] == ["x", "y", "z"]
    assert evaluate(true, true).overlap == evaluate(true, true).recall == 1.0


def test_whole_numbers_in_one_mixture_are_those_of_the_other():
    """A do on 820 in a file written by hand is a number where the other mixture changes it."""
    true, found = Mixture({do(x=820): 1.0}), Mixture({do(x=820.0): 1.0})
    assert evaluate(true, found).recall == 1.0
    assert evaluate(true, Mixture({change(set={"x": (820, 3)}): 1.0})).recall == 1.0
    assert evaluate(true, Mixture({do(x=821): 1.0})).recall == 0.0


def test_states_are_compared_as_ever():
    true = Mixture({do(): 0.5, do(x="a"): 0.5})
    assert "numbers" not in evaluate(true, true).to_dict()
    assert "overlap" not in evaluate(true, true).to_dict()
