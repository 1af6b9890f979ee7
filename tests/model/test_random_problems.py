"""Random networks and mixtures follow the published recipe."""

from collections import Counter
from itertools import permutations
from time import process_time

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from dosift.errors import InputError
from dosift.model import do
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network


@pytest.mark.parametrize("graph", ["erdos-renyi", "scale-free"])
def test_names_states_and_tables(graph):
    network = random_network(6, graph=graph, random_state=0)
    assert network.names == ("V1", "V2", "V3", "V4", "V5", "V6")
    assert {v.states for v in network.variables} == {("0", "1", "2")}
    assert network.order == tuple(range(6))
    assert network.is_positive


@pytest.mark.parametrize(("n", "low", "high"), [(4, 4, 6), (6, 6, 15), (8, 8, 28), (12, 12, 60)])
def test_number_of_edges_covers_the_published_range(n, low, high):
    rng = np.random.default_rng(0)
    draws = [
        len(random_network(n, n_states=2, random_state=rng, max_parents=None).edges)
        for _ in range(150 if n < 12 else 20)
    ]
    assert min(draws) >= low
    assert max(draws) < high
    if n < 8:
        assert set(draws) == set(range(low, high))


@pytest.mark.parametrize(("n", "edges"), [(1, 0), (2, 1), (3, 3)])
def test_tiny_networks_have_all_edges(n, edges):
    assert len(random_network(n, random_state=0).edges) == edges


def test_erdos_renyi_graphs_are_uniform():
    rng = np.random.default_rng(1)
    n_draws = 3000
    counts = Counter(
        random_network(4, n_edges=2, n_states=2, random_state=rng).parents for _ in range(n_draws)
    )
    assert len(counts) == 15  # two of six possible edges
    for count in counts.values():
        assert binomtest(count, n_draws, 1 / 15).pvalue > 1e-4 / 15


def test_edges_are_passed_over_when_a_variable_is_full():
    # By hand: all orders of the six edges among four variables, the first two that fit.
    edges = [(p, c) for c in range(4) for p in range(c)]
    expected = Counter()
    for order in permutations(edges):
        taken = {}
        for parent, child in order:
            if len(taken) < 2:
                taken.setdefault(child, parent)
        expected[tuple((taken[c],) if c in taken else () for c in range(4))] += 1 / 720
    rng = np.random.default_rng(2)
    n_draws = 3000
    drawn = Counter(
        random_network(4, n_edges=2, max_parents=1, n_states=2, random_state=rng).parents
        for _ in range(n_draws)
    )
    assert set(drawn) == set(expected)
    for parents, share in expected.items():
        assert binomtest(drawn[parents], n_draws, share).pvalue > 1e-5


@pytest.mark.parametrize(("n_edges", "m"), [(4, 1), (10, 1), (12, 1), (20, 2), (33, 3), (0, 0)])
def test_scale_free_graphs_have_m_parents_a_node(n_edges, m):
    network = random_network(10, graph="scale-free", n_edges=n_edges, random_state=0)
    assert [len(row) for row in network.parents] == [0] * m + [m] * (10 - m)


def test_scale_free_graphs_have_hubs():
    degrees = []
    for graph in ("scale-free", "erdos-renyi"):
        network = random_network(400, graph=graph, n_edges=400, random_state=0, max_parents=6)
        degrees.append(np.bincount(np.ravel([p for row in network.parents for p in row])).max())
    assert degrees[0] > 2 * degrees[1]


def test_rows_of_tables_are_dirichlet():
    network = random_network(300, max_parents=3, concentration=2.0, random_state=0)
    entries = np.concatenate([table[:, 1] for table in network.tables])
    assert kstest(entries, "beta", args=(2.0, 4.0)).pvalue > 1e-5


def test_shuffled_variables_keep_the_graph_and_lose_the_order():
    network = random_network(12, max_parents=3, shuffle=True, random_state=0)
    assert network.order != tuple(range(12))
    assert network.names == tuple(f"V{i}" for i in range(1, 13))
    assert all(list(row) == sorted(row) for row in network.parents)


def test_the_same_seed_gives_the_same_problem():
    first, again = (random_network(5, random_state=7) for _ in range(2))
    assert first.parents == again.parents
    assert all((a == b).all() for a, b in zip(first.tables, again.tables, strict=True))
    mixtures = {random_mixture(first, 5, random_state=7) for _ in range(2)}
    assert len(mixtures) == 1


@pytest.mark.parametrize("graph", ["erdos-renyi", "scale-free"])
def test_wide_networks_are_made_quickly(graph):
    start = process_time()
    network = random_network(1000, graph=graph, max_parents=3, random_state=0)
    mixture = random_mixture(network, 20, max_size=3, random_state=0)
    assert process_time() - start < 3
    assert max(len(row) for row in network.parents) == 3
    assert max(target.size for target in mixture) <= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_variables": 0}, "n_variables is 0"),
        ({"n_variables": 2.0}, "n_variables is 2.0"),
        ({"n_variables": 4, "n_states": 1}, "n_states is 1"),
        ({"n_variables": 4, "n_edges": 7}, "have room for 6"),
        ({"n_variables": 4, "n_edges": -1}, "n_edges is -1"),
        ({"n_variables": 4, "n_edges": 4, "max_parents": 1}, "at most 1 parents have room for 3"),
        ({"n_variables": 4, "concentration": 0}, "concentration is 0"),
        ({"n_variables": 4, "concentration": float("nan")}, "concentration is nan"),
        ({"n_variables": 4, "graph": "ring"}, "graph is 'ring'"),
        ({"n_variables": 60, "n_edges": 1500}, "limit the parents"),
    ],
)
def test_arguments_of_networks_are_checked(arguments, message):
    with pytest.raises(InputError, match=message):
        random_network(**arguments, random_state=0)


@pytest.mark.parametrize("seed", range(5))
def test_mixtures_respect_exclusion_and_hold_the_empty_target(seed):
    rng = np.random.default_rng(seed)
    network = random_network(5, random_state=rng)
    mixture = random_mixture(network, 60, random_state=rng)
    targets, weights = mixture.to_codes(network)
    assert do() in mixture
    assert weights.sum() == pytest.approx(1)
    for column in targets.T:
        assert len(set(column[column >= 0])) == 2  # of three states
    assert {target.size for target in mixture} == {0, 1, 2, 3, 4, 5}


def test_without_exclusion_every_state_is_set():
    network = random_network(2, random_state=0)
    mixture = random_mixture(network, 300, exclusion=False, include_empty=False, random_state=0)
    assert len(mixture) == 15  # all (3 + 1)^2 - 1 targets
    assert do() not in mixture


def test_sizes_and_variables_are_uniform():
    rng = np.random.default_rng(0)
    network = random_network(5, random_state=0)
    draws = [
        next(t for t in random_mixture(network, 1, random_state=rng) if t.size) for _ in range(2000)
    ]
    for size in range(1, 6):
        count = sum(target.size == size for target in draws)
        assert binomtest(count, 2000, 1 / 5).pvalue > 1e-6
    singles = [target for target in draws if target.size == 1]
    for name in network.names:
        count = sum(name in target for target in singles)
        assert binomtest(count, len(singles), 1 / 5).pvalue > 1e-6
    for state in "012":
        count = sum(target.get("V1") == state for target in draws)
        assert binomtest(count, sum("V1" in target for target in draws), 1 / 3).pvalue > 1e-6


def test_duplicates_are_dropped_after_three_redraws():
    network = random_network(1, n_states=2, random_state=0)
    mixture = random_mixture(network, 50, random_state=0)
    assert len(mixture) == 2  # the empty target, and the one value that is not excluded
    # With two possible targets, two draws give only one of them with probability 1/2 to the 4th.
    network = random_network(1, n_states=3, random_state=0)
    rng = np.random.default_rng(0)
    short = sum(len(random_mixture(network, 2, random_state=rng)) == 2 for _ in range(3000))
    assert binomtest(short, 3000, 1 / 16).pvalue > 1e-5


def test_weights_are_dirichlet():
    network = random_network(4, random_state=0)
    rng = np.random.default_rng(0)
    weights = [random_mixture(network, 1, random_state=rng)[do()] for _ in range(1000)]
    assert kstest(weights, "beta", args=(2.0, 2.0)).pvalue > 1e-5


def test_variables_with_one_state_are_never_set_under_exclusion():
    network = Network.from_tables(
        {"a": ["only"], "b": ["0", "1"]}, {}, {"a": [[1.0]], "b": [[0.5, 0.5]]}
    )
    assert all("a" not in target for target in random_mixture(network, 5, random_state=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_targets": -1}, "n_targets is -1"),
        ({"n_targets": 0, "include_empty": False}, "n_targets is 0"),
        ({"n_targets": 3, "max_size": 5}, "max_size is 5, but targets may set 4"),
        ({"n_targets": 3, "max_size": 0}, "max_size is 0"),
        ({"n_targets": 3, "weight_concentration": -1}, "weight_concentration is -1"),
        ({"n_targets": 3, "random_state": "x"}, "random_state is 'x'"),
    ],
)
def test_arguments_of_mixtures_are_checked(arguments, message):
    network = random_network(4, random_state=0)
    with pytest.raises(InputError, match=message):
        random_mixture(network, **arguments)


def test_the_empty_target_alone_is_a_mixture():
    assert dict(random_mixture(random_network(3, random_state=0), 0, random_state=0)) == {do(): 1}
