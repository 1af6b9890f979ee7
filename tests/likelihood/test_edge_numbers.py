"""Numbers at the edge: tiny probabilities, many variables, extreme weights, one of anything."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
import pytest

import dosift
from dosift import InterventionMixture, Mixture, Network, do
from dosift.data import collapse
from dosift.errors import DosiftWarning, NegligibleProbabilityWarning
from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.weights import solve_weights
from dosift.model.network import Variable
from dosift.model.simulate import sample_codes


def chain(n: int, p: float = 0.3, seed: int = 0) -> Network:
    """A chain of binary variables."""
    rng = np.random.default_rng(seed)
    one = rng.uniform(p, 1 - p, size=(n, 2))
    variables = [Variable(f"v{i}", ("0", "1")) for i in range(n)]
    tables = [[[1 - one[i, r], one[i, r]] for r in range(1 if i == 0 else 2)] for i in range(n)]
    return Network(variables, [[] if i == 0 else [i - 1] for i in range(n)], tables)


def drawn(network: Network, mixture: Mixture, n: int, seed: int = 0) -> np.ndarray:
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, n, np.random.default_rng(seed))
    return codes


def fitted(network: Network, rows: object, **options: object) -> InterventionMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = InterventionMixture(network).fit(rows, **options)  # type: ignore[arg-type]
    assert_sound(model)
    return model


def assert_sound(model: InterventionMixture) -> None:
    """What must hold of every fit: weights that are a distribution, and no strange number."""
    assert model.weights_.sum() == pytest.approx(1, abs=1e-9)
    assert (model.weights_ > 0).all()
    assert model.optimality_gap_ >= 0
    for name in ("weight", "rows"):
        assert np.isfinite(model.components_[name].to_numpy()).all()
    rates = model.variables_["rate"].to_numpy()
    assert np.isfinite(rates).all()
    assert rates.min() >= 0
    assert rates.max() <= 1 + 1e-9
    for table in (model.components_, model.variables_):
        for name in ("std_error", "ci_low", "ci_high"):
            values = table[name].to_numpy()
            assert not np.isinf(values).any()


def test_table_entries_of_1e_300() -> None:
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [[1.0, 1e-300]], "b": [[1.0, 1e-300], [0.5, 0.5]]},
    )
    truth = Mixture({do(): 0.7, do(a="1"): 0.2, do(b="1"): 0.1})
    model = fitted(network, drawn(network, truth, 5000))
    rates = {(v["variable"], v["value"]): v["rate"] for v in model.variables_.to_dicts()}
    # do(b=1) and do(a=0, b=1) are the same, since a is 0 anyway.
    assert rates["a", "1"] == pytest.approx(0.2, abs=0.03)
    assert rates["b", "1"] == pytest.approx(0.1, abs=0.03)
    assert model.converged_
    assert np.isfinite(model.log_likelihood_)


def test_negligible_probabilities_are_taken_for_zero_and_said() -> None:
    tables = {"a": [[1.0, 1e-300]], "b": [[1.0, 1e-300], [0.5, 0.5]]}
    exact = {"a": [[1.0, 0.0]], "b": [[1.0, 0.0], [0.5, 0.5]]}
    states = {"a": ["0", "1"], "b": ["0", "1"]}
    tiny, zero = (Network.from_tables(states, {"b": ["a"]}, t) for t in (tables, exact))
    rows = drawn(tiny, Mixture({do(): 0.7, do(a="1"): 0.2, do(b="1"): 0.1}), 5000)
    with pytest.warns(NegligibleProbabilityWarning, match="2 probabilities .* table of 'a'"):
        model = InterventionMixture(tiny).fit(rows)
    assert model.mixture_ == InterventionMixture(zero).fit(rows).mixture_
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # neither ours nor numpy's
        fine = Network.from_tables(states, {}, {"a": [[1.0, 1e-49]], "b": [[0.5, 0.5]]})
        InterventionMixture(fine).fit(rows)


def test_a_row_whose_every_factor_is_1e_300() -> None:
    n = 40
    network = Network(
        [Variable(f"v{i}", ("0", "1")) for i in range(n)],
        [[]] * n,
        [[[1.0, 1e-300]]] * n,
    )
    rows = np.zeros((100, n), dtype=np.int8)
    rows[:30] = 1  # of probability 1e-12000 without intervention
    factors = MechanismFactors(network, rows[[0, 99]])
    targets = np.full((3, n), -1)
    targets[1] = 1
    targets[2, 0] = 1
    columns = factors.columns(targets)
    assert np.isfinite(columns).all()
    assert columns[0].argmax() == 1
    assert columns[0, 1] > 0
    logs = factors.log_base()[0] + np.log(columns[0, 1])
    assert logs == pytest.approx(0, abs=1e-6)  # setting all makes the row certain
    model = fitted(network, rows)
    whole = do({f"v{i}": "1" for i in range(n)})
    assert model.mixture_[whole] == pytest.approx(0.3, abs=1e-6)


def test_a_thousand_variables() -> None:
    network = chain(1000)
    truth = Mixture({do(): 0.6, do(v500="1", v20="0"): 0.4})
    rows = drawn(network, truth, 2000)
    factors = MechanismFactors(network, rows)
    assert (factors.log_base() < -500).all()
    targets, weights = truth.to_codes(network)
    solution = solve_weights(factors.columns(targets), np.ones(2000))
    assert solution.converged
    assert np.isfinite(solution.log_likelihood)
    assert solution.weights == pytest.approx(weights, abs=0.05)
    found = dosift.likelihood.assignment.assign(network, targets, weights, rows)
    assert np.isfinite(found.log_probability).all()
    assert found.posterior.sum(axis=1) == pytest.approx(np.ones(2000))
    all_set = np.ones((1, 1000), dtype=np.int64)
    assert np.isfinite(factors.columns(all_set)).all()


@pytest.mark.slow
def test_a_thousand_variables_searched() -> None:
    network = chain(1000)
    truth = Mixture({do(): 0.6, do(v500="1"): 0.4})
    model = fitted(network, drawn(network, truth, 2000))
    assert model.mixture_.get(do(v500="1"), 0) == pytest.approx(0.4, abs=0.1)


def test_true_weights_of_1e_9_are_no_trouble() -> None:
    network = chain(3)
    truth = Mixture({do(): 1 - 2e-9, do(v1="1"): 1e-9, do(v2="0"): 1e-9})
    model = fitted(network, drawn(network, truth, 3000))
    assert model.mixture_[do()] > 0.9
    factors = MechanismFactors(network, np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0]]))
    targets, weights = truth.to_codes(network)
    columns = factors.columns(targets)
    counts = (columns @ weights) * np.exp(factors.log_base()) * 1e12
    solution = solve_weights(columns, counts, start=weights)
    assert solution.converged
    text = Mixture(dict(zip(truth.targets, weights.tolist(), strict=True)))
    assert Mixture.from_dict(text.to_dict()) == truth


@pytest.mark.parametrize("scale", [1e-9, 1.0, 2.0**31, 1e15])
def test_the_scale_of_sample_weights_leaves_the_weights_alone(scale: float) -> None:
    network = chain(4)
    truth = Mixture({do(): 0.5, do(v2="1"): 0.5})
    rows = drawn(network, truth, 4000)
    weight = np.full(4000, scale)
    factors = MechanismFactors(network, rows)
    targets, _ = truth.to_codes(network)
    configurations = collapse(rows, network.cardinalities, weight)
    assert configurations.total == pytest.approx(4000 * scale)
    columns = MechanismFactors(network, configurations.codes).columns(targets)
    scaled = solve_weights(columns, configurations.counts)
    plain = solve_weights(factors.columns(targets), np.ones(4000))
    assert scaled.converged
    assert scaled.weights == pytest.approx(plain.weights, abs=1e-6)


@pytest.mark.parametrize("n", [2**31 + 5, 1e15])
def test_two_to_the_31_rows_as_counts(n: float) -> None:
    network = chain(2)
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    truth = Mixture({do(): 0.75, do(v1="1"): 0.25})
    targets, weights = truth.to_codes(network)
    factors = MechanismFactors(network, codes)
    shares = np.exp(factors.log_base()) * (factors.columns(targets) @ weights)
    assert shares.sum() == pytest.approx(1)
    model = fitted(network, codes, sample_weight=shares * n)
    assert model.n_rows_ == pytest.approx(n)
    assert model.mixture_[do(v1="1")] == pytest.approx(0.25, abs=1e-6)
    assert (model.components_["std_error"].to_numpy() < 1e-4).all()


@pytest.mark.parametrize("row", [[0, 0, 0], [1, 0, 1]])
def test_one_row(row: Sequence[int]) -> None:
    network = chain(3)
    model = fitted(network, np.array([row]))
    assert model.n_rows_ == 1
    assert len(model.predict(np.array([row]))) == 1


def test_a_million_identical_rows() -> None:
    network = chain(5)
    rows = np.ones((1_000_000, 5), dtype=np.int8)
    begin = time.process_time()
    model = fitted(network, rows)
    assert time.process_time() - begin < 10
    assert model.n_configurations_ == 1
    everything = do({f"v{i}": "1" for i in range(5)})
    assert model.mixture_[everything] == pytest.approx(1, abs=1e-6)
    assert model.score(rows) == pytest.approx(0, abs=1e-6)


def test_a_variable_with_a_hundred_states() -> None:
    rng = np.random.default_rng(0)
    states = [str(i) for i in range(100)]
    network = Network.from_tables(
        {"a": states, "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": rng.dirichlet(np.ones(100), 1), "b": rng.dirichlet([2, 2], 100)},
    )
    truth = Mixture({do(): 0.6, do(a="37"): 0.3, do(b="1"): 0.1})
    model = fitted(network, drawn(network, truth, 20_000))
    assert model.mixture_[do(a="37")] == pytest.approx(0.3, abs=0.03)
    assert model.variables_.height == 101 + 3


def test_a_variable_with_one_state() -> None:
    network = Network.from_tables(
        {"only": ["x"], "b": ["0", "1"]},
        {"b": ["only"]},
        {"only": [[1.0]], "b": [[0.8, 0.2]]},
    )
    truth = Mixture({do(): 0.6, do(b="1"): 0.4})
    model = fitted(network, drawn(network, truth, 4000))
    assert model.mixture_[do(b="1")] == pytest.approx(0.4, abs=0.03)
    # Setting a variable to its only state does nothing and must not be invented.
    assert all("only" not in target for target in model.targets_)


def test_nothing_but_variables_with_one_state() -> None:
    network = Network.from_tables(
        {"a": ["x"], "b": ["y"]}, {"b": ["a"]}, {"a": [[1.0]], "b": [[1.0]]}
    )
    model = fitted(network, np.zeros((10, 2), dtype=np.int8))
    assert model.targets_ == [do()]


def test_a_network_without_edges() -> None:
    network = Network.from_tables(
        {f"v{i}": ["0", "1", "2"] for i in range(6)},
        {},
        {f"v{i}": [[0.5, 0.3, 0.2]] for i in range(6)},
    )
    truth = Mixture({do(): 0.5, do(v0="2", v3="1"): 0.3, do(v5="2"): 0.2})
    model = fitted(network, drawn(network, truth, 20_000))
    for target, weight in truth.items():
        assert model.mixture_.get(target, 0) == pytest.approx(weight, abs=0.03)


def test_a_network_of_one_variable() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [[0.5, 0.5]]})
    model = fitted(network, np.array([[1]] * 70 + [[0]] * 30))
    assert model.mixture_[do(a="1")] == pytest.approx(0.4, abs=1e-6)
