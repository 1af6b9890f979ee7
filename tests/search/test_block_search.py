"""Sums over blocks are what they stand for; the search over them ends where the whole one does."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.data import collapse
from dosift.data.blocks import MemoryBlocks
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.likelihood.weight_sums import WeightSums
from dosift.likelihood.weights import solve_weights
from dosift.methods.likelihood import estimate_likelihood
from dosift.methods.options import Options
from dosift.model.simulate import sample_codes
from dosift.pipeline import gather
from dosift.search.choice import choose
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.neighbour_prices import price_neighbours
from dosift.search.prepared import prepare
from dosift.search.pricing import NeighbourPricer
from dosift.search.result import SearchResult
from dosift.utils.progress import silent

Problem = tuple[dosift.Network, np.ndarray, np.ndarray, np.ndarray]


def problem(seed: int, n_variables: int = 8, n_rows: int = 20_000, k: int = 6) -> Problem:
    """A network, targets, weights, and rows from them."""
    rng = np.random.default_rng(seed)
    network = dosift.random_network(n_variables, max_parents=2, random_state=rng)
    mixture = dosift.random_mixture(network, k, max_size=2, random_state=rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, n_rows, rng)
    return network, targets.astype(np.int16), weights, np.asfortranarray(codes.astype(np.int8))


def with_zeros(network: dosift.Network) -> dosift.Network:
    """Make the first entry of the last variable's every other row a structural zero."""
    tables = [table.copy() for table in network.tables]
    tables[-1][::2, 0] = 0.0
    tables[-1] /= tables[-1].sum(axis=1, keepdims=True)
    return network.with_tables(tables)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 3_000)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 3_000)
    monkeypatch.setattr("dosift.data.blocks._CHUNK_ROWS", 1_000)


@pytest.mark.parametrize("zeros", [False, True])
def test_sums_are_those_of_the_problem_in_memory(zeros: bool) -> None:
    network, targets, weights, codes = problem(1)
    if zeros:
        network = with_zeros(network)
    rows = collapse(codes, network.cardinalities)
    prepared = prepare(network, rows)
    columns = prepared.problem.columns(prepared.from_network(targets))
    mixture = columns @ weights
    possible = mixture > 0
    relative = columns[possible] / mixture[possible, None]
    counts = prepared.problem.counts[possible]
    for blocks in (MemoryBlocks(codes, threads=2), MemoryBlocks(rows.codes, rows.counts)):
        evidence = Evidence.of_rows(network, blocks)
        found = evidence.weigh(network, targets, weights)
        np.testing.assert_allclose(found.gradient[0], counts @ relative, rtol=1e-10)
        information = (relative * counts[:, None]).T @ relative
        np.testing.assert_allclose(found.information[0], information, rtol=1e-10)
        scale = prepared.problem.factors.log_scale[possible]
        assert found.log_density[0] == pytest.approx(
            counts @ (np.log(mixture[possible]) + scale), rel=1e-10
        )
        assert found.n_impossible[0] == pytest.approx(len(codes) - counts.sum())


def test_weights_are_those_of_the_solver_in_memory() -> None:
    network, targets, weights, codes = problem(2)
    rows = collapse(codes, network.cardinalities)
    prepared = prepare(network, rows)
    columns = prepared.problem.columns(prepared.from_network(targets))
    direct = solve_weights(columns, prepared.problem.counts, None, 1e-11)
    start = np.full((1, len(weights)), 1.0 / len(weights))
    evidence = Evidence.of_rows(network, MemoryBlocks(codes))
    found = solve(evidence, network, targets, start, 1e-10)
    assert found.converged.all()
    assert found.sums.gap[0] <= 1e-10
    np.testing.assert_allclose(found.weights[0], direct.weights, rtol=0, atol=1e-7)


@pytest.mark.parametrize("zeros", [False, True])
def test_prices_are_those_of_the_problem_in_memory(zeros: bool) -> None:
    network, targets, weights, codes = problem(3)
    if zeros:
        network = with_zeros(network)
        codes = codes[codes[:, -1] > 0]  # every row possible
    rows = collapse(codes, network.cardinalities)
    prepared = prepare(network, rows)
    fit = prepared.problem.fit(prepared.from_network(targets), weights, gap=1e-9)
    now = prepared.to_network(fit.targets, network.n_variables)
    variables = tuple(range(network.n_variables))
    evidence = Evidence.of_rows(network, MemoryBlocks(codes))
    free = Constraints.none(network.cardinalities)
    (found,) = price_neighbours(evidence, network, now, fit.weights, variables, free, None)
    direct = NeighbourPricer(prepared.problem).near(fit)
    names = [t.tobytes() for t in prepared.to_network(direct.targets, network.n_variables)]
    at = {target.tobytes(): k for k, target in enumerate(found.targets)}
    assert set(names) == set(at)
    order = [at[name] for name in names]
    np.testing.assert_allclose(found.gradient[order], direct.gradient, rtol=1e-9)
    np.testing.assert_allclose(found.curvature[order], direct.curvature, rtol=1e-9)


def test_a_target_that_explains_more_takes_the_place_of_a_component() -> None:
    # The second target's rows are the first's and more, so that the first is superfluous.
    gradient = np.array([1000.0, 1400.0])
    information = np.array([[1000.0, 1400.0], [1400.0, 2000.0]])
    sums = WeightSums(
        gradient[None], information[None], np.zeros(1), np.array([1000.0]), np.zeros(1)
    )
    chosen, weights = choose(sums, np.array([1.0]), np.array([5.0, 5.0]))
    assert chosen.tolist() == [1]
    assert weights.tolist() == [1.0]


def search(
    network: dosift.Network, codes: np.ndarray, most: int, max_size: int | None = None
) -> SearchResult:
    blocks = MemoryBlocks(codes, threads=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", most)
        gathered = gather(network, blocks, None, 0)
    assert gathered.evidence.held is None
    assert gathered.sample is not None
    assert len(gathered.sample) <= most
    options = Options(max_size=max_size, gap=1e-8)
    return estimate_likelihood(network, gathered.evidence, gathered.sample, options, silent)


def names(targets: np.ndarray) -> set[bytes]:
    return {target.astype(np.int16).tobytes() for target in targets}


def test_the_search_ends_where_the_one_over_all_rows_does_once() -> None:
    assert ends_alike(range(1)) == 1


@pytest.mark.slow
def test_the_search_ends_where_the_one_over_all_rows_does() -> None:
    assert ends_alike(range(10)) >= 9


def ends_alike(seeds: range) -> int:
    alike = 0
    for seed in seeds:
        network, _, _, codes = problem(100 + seed, n_rows=40_000)
        ours = search(network, codes, 2_000)
        whole = find_targets(network, collapse(codes, network.cardinalities))
        alike += names(ours.targets) == names(whole.targets)
        assert ours.penalised_score > whole.penalised_score - 30.0
        assert ours.converged
        if names(ours.targets) == names(whole.targets):
            assert ours.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-2)
            np.testing.assert_allclose(ours.weights, whole.weights, rtol=0, atol=1e-6)
    return alike


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2))])
def test_a_learned_network_is_refined_by_all_rows(seed: int) -> None:
    network, _, _, codes = problem(200 + seed, n_rows=30_000)
    rng = np.random.default_rng(seed)
    nothing = np.full((1, network.n_variables), -1)
    control, _ = sample_codes(network, nothing, np.ones(1), 30_000, rng)
    learned = learn_from_codes(network.variables, network.parents, control, 1.0)
    ours = search(learned, codes, 2_000)
    whole = find_targets(learned, collapse(codes, network.cardinalities))
    if names(ours.targets) == names(whole.targets):
        for one, other in zip(ours.network.tables, whole.network.tables, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=5e-3)
        np.testing.assert_allclose(ours.weights, whole.weights, rtol=0, atol=5e-3)
    # Closer to the truth than before the rows of the mixture taught it.
    before, after = (
        sum(np.abs(a - b).sum() for a, b in zip(tables, network.tables, strict=True))
        for tables in (learned.tables, ours.network.tables)
    )
    assert after < before


@pytest.mark.long
def test_a_component_that_the_sample_cannot_show_is_found() -> None:
    network, targets, _, _ = problem(5)
    rare = targets[0].copy()
    rare[:] = -1
    rare[int(np.argmin([t.shape[1] for t in network.tables]))] = 0
    mixture = np.concatenate([np.full((1, network.n_variables), -1), rare[None, :]])
    rng = np.random.default_rng(0)
    codes, _ = sample_codes(network, mixture, np.array([0.99, 0.01]), 120_000, rng)
    codes = np.asfortranarray(codes.astype(np.int8))
    found = search(network, codes, 1_000)
    assert names(found.targets) == names(mixture)


@pytest.mark.long
def test_rows_that_the_sample_does_not_explain_join_it() -> None:
    network, _, _, _ = problem(6)
    network = with_zeros(network)
    n = network.n_variables
    targets = np.full((2, n), -1)
    targets[1, n - 1] = 0  # rows that are impossible otherwise, a few among many
    rng = np.random.default_rng(0)
    codes, _ = sample_codes(network, targets, np.array([0.9995, 0.0005]), 60_000, rng)
    found = search(network, np.asfortranarray(codes.astype(np.int8)), 500)
    assert names(found.targets) == names(targets)
    assert np.isfinite(found.log_likelihood)
