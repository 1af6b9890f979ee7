"""Rows drawn from mixtures follow the truncated factorisation."""

import itertools
from time import process_time

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2

from dosift.errors import InputError
from dosift.model import Mixture, do, parse_target
from dosift.model import simulate as simulate_module
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import as_generator, sample_codes, simulate


@pytest.fixture
def network():
    return Network.from_tables(
        {"lung": ["none", "mild", "severe"], "smoke": ["no", "yes"]},
        {"lung": ["smoke"]},
        {"smoke": [[0.5, 0.5]], "lung": [[0.8, 0.1, 0.1], [0.4, 0.3, 0.3]]},
    )


def exact_probabilities(network, target):
    """Probability of every configuration under do(target), by the definition, one by one."""
    probabilities = {}
    for codes in itertools.product(*(range(k) for k in network.cardinalities)):
        p = 1.0
        for i, code in enumerate(codes):
            if target[i] >= 0:
                p *= float(code == target[i])
                continue
            row = 0
            for parent in network.parents[i]:
                row = row * network.cardinalities[parent] + codes[parent]
            p *= network.tables[i][row, code]
        probabilities[codes] = p
    return probabilities


def chi_square_p_value(observed, expected):
    """P-value for counts; cells that are expected less than 5 times are pooled."""
    possible = expected > 0
    assert not observed[~possible].any(), "an impossible configuration was drawn"
    rare = possible & (expected < 5)
    seen = np.append(observed[possible & ~rare], observed[rare].sum())
    mean = np.append(expected[possible & ~rare], expected[rare].sum())
    seen, mean = seen[mean > 0], mean[mean > 0]
    return chi2.sf(((seen - mean) ** 2 / mean).sum(), max(len(mean) - 1, 1))


@pytest.mark.parametrize("seed", range(8))
def test_frequencies_are_those_of_the_truncated_factorisation(seed):
    # Sixteen tests in all; each fails by chance with probability 5e-6, together below 1e-4.
    rng = np.random.default_rng(seed)
    network = random_network(
        4,
        graph=["erdos-renyi", "scale-free"][seed % 2],
        n_states=2 + seed % 3,
        concentration=0.5,
        shuffle=True,
        random_state=rng,
    )
    targets, weights = random_mixture(network, 6, random_state=rng).to_codes(network)
    n_rows = 40_000
    codes, component = sample_codes(network, targets, weights, n_rows, rng)
    shape = (len(weights), *network.cardinalities)
    cells = np.ravel_multi_index((component, *codes.T), shape)
    observed = np.bincount(cells, minlength=np.prod(shape)).reshape(len(weights), -1)
    exact = np.array([list(exact_probabilities(network, t).values()) for t in targets])
    assert exact.sum(axis=1) == pytest.approx(1)
    joint = weights[:, None] * exact
    assert chi_square_p_value(observed.ravel(), n_rows * joint.ravel()) > 5e-6
    assert chi_square_p_value(observed.sum(0), n_rows * joint.sum(0)) > 5e-6


def test_successive_rows_are_independent():
    network = random_network(3, random_state=0)
    mixture = random_mixture(network, 4, random_state=0)
    codes, _ = sample_codes(network, *mixture.to_codes(network), 60_000, np.random.default_rng(1))
    cells = np.ravel_multi_index(tuple(codes.T), tuple(network.cardinalities))
    pairs = np.bincount(27 * cells[0::2] + cells[1::2], minlength=27 * 27).reshape(27, 27)
    expected = np.outer(pairs.sum(1), pairs.sum(0)) / pairs.sum()
    common = np.ix_(pairs.sum(1) > 600, pairs.sum(0) > 600)
    statistic = ((pairs - expected)[common] ** 2 / expected[common]).sum()
    assert chi2.sf(statistic, pairs[common].size) > 1e-5


def test_impossible_states_are_never_drawn():
    tables = {"x": [[0.0, 0.1, 0.2, 0.7 - 1e-7, 0.0]], "y": [[0.0, 1.0]] * 5}
    states = {"x": list("abcde"), "y": list("ab")}
    network = Network.from_tables(states, {"y": ["x"]}, tables)

    class Extreme:
        def random(self, shape):
            edges = np.array([0.0, np.nextafter(1, 0), 0.15, 1 - 1e-9])
            return np.resize(np.repeat(edges, shape[1]), shape)

    codes, _ = sample_codes(network, np.array([[-1, -1]]), np.ones(1), 4, Extreme())
    assert codes[:, 0].tolist() == [1, 3, 2, 3]
    assert (codes[:, 1] == 1).all()


def test_a_component_of_weight_zero_is_never_drawn():
    network = random_network(2, random_state=0)
    targets = np.array([[0, -1], [1, -1], [2, -1]])
    weights = np.array([0.0, 1.0, 0.0])
    codes, component = sample_codes(network, targets, weights, 1000, np.random.default_rng(0))
    assert (component == 1).all()
    assert (codes[:, 0] == 1).all()


def test_forced_states_may_have_probability_zero(network):
    tables = [[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[1.0, 0.0]]]
    certain = network.with_tables(tables)
    rows = simulate(certain, Mixture({do(lung="severe"): 1.0}), 10, random_state=0)
    assert rows["lung"].to_list() == ["severe"] * 10
    assert rows["smoke"].to_list() == ["no"] * 10


@pytest.mark.parametrize("block", [1, 7, 100, 10**6])
def test_rows_do_not_depend_on_the_block_size(monkeypatch, block):
    network = random_network(5, random_state=0)
    mixture = random_mixture(network, 5, random_state=0).to_codes(network)
    codes, component = sample_codes(network, *mixture, 500, np.random.default_rng(3))
    monkeypatch.setattr(simulate_module, "_BLOCK_SIZE", block)
    again, component_again = sample_codes(network, *mixture, 500, np.random.default_rng(3))
    assert (codes == again).all()
    assert (component == component_again).all()


def test_every_row_is_the_truncated_factorisation_of_its_own_uniform_numbers():
    network = random_network(6, max_parents=3, random_state=4)
    targets, weights = random_mixture(network, 8, random_state=4).to_codes(network)
    codes, component = sample_codes(network, targets.astype(np.int8), weights, 300, as_generator(9))
    uniforms = as_generator(9).random((300, 7))
    for row, own, drawn in zip(codes, component, uniforms, strict=True):
        assert own == np.searchsorted(np.cumsum(weights) / weights.sum(), drawn[0], side="right")
        for i in network.order:
            table = network.tables[i][network.parent_rows(i, row[None])[0]]
            free = np.searchsorted(np.cumsum(table)[:-1], drawn[i + 1], side="right")
            assert row[i] == (free if targets[own, i] < 0 else targets[own, i])


def test_rows_drawn_in_parts_are_the_rows_drawn_at_once():
    network = random_network(5, random_state=0)
    mixture = random_mixture(network, 5, random_state=0).to_codes(network)
    whole, _ = sample_codes(network, *mixture, 1000, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    parts = [sample_codes(network, *mixture, n, rng)[0] for n in (300, 0, 700)]
    assert (np.concatenate(parts) == whole).all()


def test_dataframe_has_state_names_in_the_network_order(network):
    mixture = Mixture({do(smoke="yes"): 0.5, do(): 0.5})
    rows, targets = simulate(network, mixture, 2000, random_state=1, return_targets=True)
    assert rows.columns == ["lung", "smoke"]
    assert rows.dtypes == [pl.String, pl.String]
    assert set(rows["lung"]) == {"none", "mild", "severe"}
    assert targets.name == "target"
    assert {parse_target(text) for text in targets} == set(mixture)
    assert set(rows.filter(targets == "do(smoke=yes)")["smoke"]) == {"yes"}
    assert set(rows.filter(targets == "do()")["smoke"]) == {"no", "yes"}
    assert rows.equals(simulate(network, mixture, 2000, random_state=1))
    assert not rows.equals(simulate(network, mixture, 2000, random_state=2))


def test_global_random_state_is_left_alone(network):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    simulate(network, Mixture({do(): 1.0}), 10)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize("n_rows", [0, -1, 1.5, True, "10", None])
def test_number_of_rows_is_checked(network, n_rows):
    with pytest.raises(InputError, match="n_rows is"):
        simulate(network, Mixture({do(): 1.0}), n_rows)


def test_a_mixture_is_needed(network):
    with pytest.raises(InputError, match="not from Network and dict"):
        simulate(network, {do(): 1.0}, 10)


def test_unknown_names_are_refused(network):
    with pytest.raises(InputError, match="did you mean 'smoke'"):
        simulate(network, Mixture({do(smokes="yes"): 1.0}), 10)


@pytest.mark.parametrize("random_state", ["0", -1, 1.5])
def test_seed_is_checked(random_state):
    with pytest.raises(InputError, match="random_state is"):
        as_generator(random_state)


def test_a_million_rows_take_seconds():
    network = random_network(20, max_parents=4, random_state=0)
    mixture = random_mixture(network, 10, random_state=0).to_codes(network)
    start = process_time()
    sample_codes(network, *mixture, 1_000_000, np.random.default_rng(0))
    assert process_time() - start < 10
