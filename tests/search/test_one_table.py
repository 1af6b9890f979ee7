"""One table taught with the weights agrees with the fitter of all tables and the test of it."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.data import collapse
from dosift.model.network import ControlCounts, Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search import mechanisms
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.joint import JointFitter
from dosift.search.one_table import OneTableFitter


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_the_fitter_of_all_tables(seed: int) -> None:
    rng = np.random.default_rng([41, seed])
    network = random_network(4, n_edges=5, random_state=rng)
    targets, weights = random_mixture(network, 4, random_state=rng).to_codes(network)
    codes, _ = sample_codes(network, targets, weights, 2000, rng)
    rows = collapse(codes, network.cardinalities)
    i = max(range(4), key=lambda j: len(network.parents[j]))
    counts = [np.zeros_like(table) for table in network.tables]
    learned = Network(
        network.variables, network.parents, network.tables, ControlCounts(tuple(counts), 0.5, 0.0)
    )
    score = Constraints.none(network.cardinalities).score(
        rows.total, network.cardinalities, np.arange(4)
    )
    wide = JointFitter(learned, rows, learners=(i,)).fit(learned, targets, weights)
    one = OneTableFitter(network, rows, i, score, 0.5).fit(targets, weights, network.tables[i])
    assert one.table == pytest.approx(wide.network.tables[i], abs=2e-3)
    assert one.weights == pytest.approx(wide.weights, abs=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_given_up_early_would_not_have_been_enough(seed: int) -> None:
    rng = np.random.default_rng([42, seed])
    network = random_network(4, random_state=rng)
    i = max(range(4), key=lambda j: len(network.parents[j]))
    tables = list(network.tables)
    if seed % 2:  # another mechanism altogether
        tables[i] = rng.dirichlet(np.ones(3), size=len(tables[i]))
    mixture = random_mixture(network, (4, 8)[seed % 2], random_state=rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network.with_tables(tables), targets, weights, 3000, rng)
    rows = collapse(codes, network.cardinalities)
    found = find_targets(network, rows, look_around=False)
    for variable in mechanisms._suspects(network, rows, ()):
        part = mechanisms._around(network, rows, found, variable)
        _, gain, _ = mechanisms._freed(part)
        for needed in (gain - 5.0, gain + 30.0):
            quick = mechanisms._freed_quickly(part, needed)
            assert quick is not None or gain <= needed
            assert quick is None or quick[1] == pytest.approx(gain, abs=5.0)


def test_a_component_without_which_rows_are_impossible_stays() -> None:
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[0.5, 0.5]] * 2}
    )
    rows = collapse(np.array([[0, 0]] * 5 + [[1, 1]] * 5), network.cardinalities)
    score = Constraints.none(network.cardinalities).score(10.0, network.cardinalities, np.arange(2))
    fitter = OneTableFitter(network, rows, 1, score, 0.5)
    only = fitter.fit(np.array([[0, -1], [1, -1]]), np.array([0.5, 0.5]), network.tables[1])
    impossible = fitter.fit(only.targets[:1], np.ones(1), only.table)
    assert np.isneginf(impossible.score)
    assert len(fitter.simplify(only).targets) in (1, 2)
    assert np.isfinite(fitter.simplify(only).score)
