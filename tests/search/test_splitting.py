"""Splitting along the causal order, and structural zeros in the whole search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.data import collapse
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model import Network
from dosift.model.evaluation import compare_codes
from dosift.model.linear_changes import SetNormal
from dosift.model.mechanism_network import as_network
from dosift.model.network import Variable
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.engine import find_targets
from dosift.search.prepared import PreparedSearch, prepare
from dosift.search.problem import Fit
from dosift.search.splitting import split


def run_split(search: PreparedSearch, max_size: int | None = None) -> Fit:
    positions = np.flatnonzero(np.isin(search.closure, search.variables))
    return split(search.problem, search.first_difference, positions, max_size)


def sampled(
    network: Network, targets: np.ndarray, weights: np.ndarray, n_rows: int, seed: int = 0
) -> PreparedSearch:
    codes, _ = sample_codes(network, targets, weights, n_rows, np.random.default_rng(seed))
    return prepare(network, collapse(codes, network.cardinalities))


@pytest.fixture(scope="module")
def chain() -> Network:
    names = ["a", "b", "c"]
    table = [[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]]
    return Network.from_tables(
        {name: ["0", "1", "2"] for name in names},
        {"b": ["a"], "c": ["b"]},
        {"a": [0.5, 0.3, 0.2], "b": table, "c": table},
    )


@pytest.mark.parametrize(
    "targets",
    [
        [[-1, -1, -1]],
        [[-1, -1, -1], [0, -1, -1]],
        [[-1, -1, -1], [-1, 1, -1]],
        [[-1, -1, -1], [-1, -1, 2]],
        [[-1, -1, -1], [1, -1, 0], [-1, 2, -1]],
        [[0, 1, -1], [-1, 2, 0]],
        [[1, 1, 1]],
    ],
)
def test_splitting_finds_simple_mixtures(chain: Network, targets: list[list[int]]) -> None:
    truth = np.array(targets)
    weights = np.full(len(truth), 1 / len(truth))
    search = sampled(chain, truth, weights, 20_000)
    found = run_split(search)
    in_order = search.to_network(found.targets, 3).tolist()
    # Splitting may carry along what the search drops later, but it must not miss anything.
    for target in targets:
        assert target in in_order
        assert found.weights[in_order.index(target)] > 0.6 / len(truth)
    final = find_targets(
        chain, collapse(network_codes(search, 3), chain.cardinalities, search.problem.counts)
    )
    assert sorted(final.targets.tolist()) == sorted(targets)
    assert final.weights == pytest.approx(1 / len(truth), abs=0.03)


def network_codes(search: PreparedSearch, n_variables: int) -> np.ndarray:
    return search.to_network(search.problem.factors.codes, n_variables)


def test_splitting_goes_by_the_graph_and_not_by_the_columns(chain: Network) -> None:
    # The same chain with its columns in reverse: parents stand to the right of their children.
    backwards = Network(chain.variables[::-1], [[1], [2], []], chain.tables[::-1])
    targets, weights = np.array([[-1, -1, -1], [-1, 2, 0], [1, -1, -1]]), np.array([0.5, 0.3, 0.2])
    search = sampled(backwards, targets, weights, 20_000)
    assert search.variables.tolist() == [2, 1, 0]
    found = search.to_network(run_split(search).targets, 3).tolist()
    assert all(target in found for target in targets.tolist())


def test_splitting_respects_the_largest_size() -> None:
    network = random_network(5, random_state=2)
    targets, weights = random_mixture(network, 8, random_state=3).to_codes(network)
    assert (targets >= 0).sum(axis=1).max() > 2
    for size in (1, 2):
        search = sampled(network, targets, weights, 5000)
        assert (run_split(search, size).targets >= 0).sum(axis=1).max() <= size


def test_progress_counts_the_variables(chain: Network) -> None:
    search = sampled(chain, np.full((1, 3), -1), np.ones(1), 500)
    told: list[tuple[int, int]] = []
    split(
        search.problem,
        search.first_difference,
        np.arange(3),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def with_zeros(network: Network, rng: np.random.Generator) -> Network:
    """Set about a third of the entries of every table to zero."""
    tables = []
    for table in network.tables:
        kept = rng.random(table.shape) < 0.67
        kept[np.arange(len(table)), rng.integers(0, table.shape[1], size=len(table))] = True
        zeroed = table * kept
        tables.append(zeroed / zeroed.sum(axis=1, keepdims=True))
    return network.with_tables(tables)


Problem = tuple[Network, np.ndarray, np.ndarray, np.ndarray]


def problem_with_zeros(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    network = with_zeros(random_network(4, random_state=rng), rng)
    targets, weights = random_mixture(network, 4, random_state=rng).to_codes(network)
    codes, _ = sample_codes(network, targets, weights, 2**14, rng)
    return network, targets, weights, codes


def test_mixtures_on_networks_with_structural_zeros_are_found() -> None:
    scores = []
    for seed in range(24):
        network, targets, weights, codes = problem_with_zeros(seed)
        found = find_targets(network, collapse(codes, network.cardinalities))
        assert np.isfinite(found.log_likelihood), seed
        assert found.converged
        scores.append(compare_codes(targets, weights, found.targets, found.weights))
    # With zeros some mixtures have the same distribution, so that not every target can be told.
    assert np.mean([s.recall for s in scores]) >= 0.85
    assert np.mean([s.precision for s in scores]) >= 0.85


@pytest.mark.parametrize("seed", [11, 15, 20])
def test_no_row_that_the_truth_can_make_is_left_impossible(seed: int) -> None:
    # The next variable makes all rows of a target impossible, until it is set too.
    network, _, _, codes = problem_with_zeros(seed)
    found = find_targets(network, collapse(codes, network.cardinalities))
    assert np.isfinite(found.log_likelihood)


def test_a_certain_network_with_rows_that_only_interventions_make() -> None:
    # Undisturbed, the network makes the row 000 alone.
    network = Network.from_tables(
        {name: ["0", "1"] for name in "abc"},
        {"b": ["a"], "c": ["b"]},
        {"a": [1.0, 0.0], "b": [[1.0, 0.0], [0.0, 1.0]], "c": [[1.0, 0.0], [0.0, 1.0]]},
    )
    codes = np.repeat([[0, 0, 0], [1, 1, 1], [0, 1, 1], [0, 0, 1]], [700, 100, 120, 80], axis=0)
    found = find_targets(network, collapse(codes, network.cardinalities))
    assert np.isfinite(found.log_likelihood)
    # do(a=1) and do(a=1, b=1, c=1) make the same row here: only the distribution can be told.
    assert len(found.weights) == 4
    assert np.sort(found.weights) == pytest.approx([0.08, 0.1, 0.12, 0.7], abs=1e-6)
    shares = np.array([0.7, 0.1, 0.12, 0.08])
    assert found.log_likelihood == pytest.approx(1000 * shares @ np.log(shares), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_nothing_else_explains_do_not_hide_a_change_of_a_number(seed: int) -> None:
    """Of few rows with vast ratios the gradient's standard error is as large as the gradient."""
    rng = np.random.default_rng(seed)
    control, pool = rng.normal(size=(2, 1_500, 3))
    pool[:300, 1] = 0.6 + 1e-4 * rng.normal(size=300)
    for rows in (control, pool):
        # Its usual values follow their parent closely: set to one, some are far from that.
        rows[:, 2] = rows[:, 0] + 0.35 * rng.normal(size=1_500)
    pool[300:600, 2] = 0.5 + 1e-4 * rng.normal(size=300)
    names = [Variable(f"x{i}", kind="continuous") for i in range(3)]
    learned = learn_mechanisms(names, control, [(), (), (0,)])
    libraries = list(learned.libraries)
    for i in (1, 2):
        at = float(learned.working(np.full((1, 3), 0.6 if i == 1 else 0.5))[0, i])
        libraries[i] = replace(libraries[i], changes=(SetNormal(at, 3e-3),))
    learned = replace(learned, libraries=tuple(libraries))
    rows = collapse(learned.working(pool), learned.cardinalities)
    search = prepare(as_network(learned), rows)
    found = search.to_network(run_split(search).targets, 3).tolist()
    assert [-1, 0, -1] in found
    assert [-1, -1, 0] in found
    assert [-1, 0, 0] not in found
