"""The seam: another kind of variable goes through the same search, posterior and intervals.

Poisson counts, and changes that multiply their mean (tests/poisson_counts.py): no line of search,
likelihood, inference or checks knows them.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import poisson

import dosift
from dosift.data import collapse
from dosift.data.blocks import Block
from dosift.data.configurations import Configurations
from dosift.inference import Posterior
from dosift.inference.mechanism_error import SumScores, information_of_scores
from dosift.inference.network_error import information_from_sums, table_sums
from dosift.inference.posterior import posterior_of_fit
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.assignment import Assignment, assign
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.factors import MechanismFactors
from dosift.model.known_rows import ControlRows
from dosift.model.mechanism import Changes, System
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.engine import find_targets
from dosift.search.prepared import prepare
from dosift.search.pricing import NeighbourPricer
from dosift.search.problem import SearchProblem
from dosift.search.result import SearchResult, ranked
from dosift.search.undecided import log_evidence
from poisson_counts import Fold, PoissonMechanism, chain, random_targets

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Optimality gap, in nats a row, that a fit must reach.
_GAP = 1e-7
_LEVELS = {"few": (5.0, 15.0), "many": (500.0, 1500.0)}


def problem(
    seed: int, level: str = "few", n_rows: int = 4000
) -> tuple[MechanismNetwork, Ints, Floats, Configurations]:
    rng = np.random.default_rng(seed)
    network = chain(4 + seed % 2, rng, level=_LEVELS[level])
    targets, weights = random_targets(network, 4 + seed % 3, 2, rng)
    values, _ = network.draw(targets, weights, n_rows, rng)
    return network, targets, weights, collapse(values, network.cardinalities)


def judged(
    network: System, rows: Configurations, result: SearchResult, refined: bool = True
) -> tuple[Assignment, Posterior]:
    """Go the estimator's way from a result to what may be believed of it."""
    found = assign(network, result.targets, result.weights, rows.codes)
    evidence = Evidence.of_configurations(network, rows)
    posterior = posterior_of_fit(
        evidence, network, result.targets, result.weights, result.undecided, refined,
        np.random.default_rng(0),
    )  # fmt: skip
    assert posterior is not None
    return found, posterior


def valued(network: System, rows: Configurations, targets: Ints, weights: Floats) -> SearchResult:
    """Evaluate a mixture."""
    evidence = Evidence.of_configurations(network, rows)
    return ranked(evidence, network, targets, weights)


def information_with_tables(
    network: dosift.Network, codes: Ints, targets: Ints, weights: Floats, refined: bool
) -> Floats:
    """The information on the weights, less what learned tables take."""
    rows = RowLikelihoods(network, Block(codes, np.ones(len(codes))), True)
    columns = rows.columns(targets)
    relative = columns / (columns[:, : weights.size] @ weights)[:, None]
    sums = table_sums(rows, targets, weights[None], refined)
    known = relative.T @ relative
    return information_from_sums(network, known, [part[0] for part in sums], refined)


def as_pairs(targets: Ints, weights: Floats) -> dict[tuple[int, ...], float]:
    return {tuple(map(int, t)): float(w) for t, w in zip(targets, weights, strict=True)}


def likelihood(network: MechanismNetwork, target: Ints, values: Floats) -> Floats:
    """The likelihood written out, by scipy's Poisson distribution."""
    out = np.ones(len(values))
    for i, mechanism in enumerate(network.mechanisms):
        b = mechanism.coefficients
        logs = b[0] + sum(
            slope * np.log1p(values[:, p])
            for slope, p in zip(b[1:], mechanism.parents, strict=True)
        )
        factor = 1.0 if target[i] < 0 else network.libraries[i][int(target[i])].factor
        out *= poisson.pmf(values[:, i], np.exp(logs) * factor)
    return out


def every_target(network: MechanismNetwork, max_size: int) -> Ints:
    n = network.n_variables
    out = []
    for size in range(max_size + 1):
        for variables in combinations(range(n), size):
            for changes in product(*(range(network.n_changes[i]) for i in variables)):
                target = np.full(n, -1, dtype=np.int16)
                target[list(variables)] = changes
                out.append(target)
    return np.array(out)


def gain_of_adding(problem: SearchProblem, mixture: Floats, columns: Floats) -> Floats:
    """Most that each target gains, in nats over all rows, at whatever weight."""
    ratio = columns / mixture[:, None] - 1.0
    low, high = np.zeros(ratio.shape[1]), np.full(ratio.shape[1], 1.0 - 1e-9)
    for _ in range(60):  # the gain is concave in the weight
        middle = 0.5 * (low + high)
        slope = problem.counts @ (ratio / (1.0 + middle * ratio))
        low, high = np.where(slope > 0, middle, low), np.where(slope > 0, high, middle)
    return np.asarray(problem.counts @ np.log1p(low * ratio))


@pytest.mark.parametrize("level", ["few", "many"])
def test_columns_are_the_likelihood_written_out(level: str) -> None:
    network, _, _, rows = problem(0, level)
    values = rows.codes[:200]
    every = every_target(network, 2)
    factors = MechanismFactors(network, values)
    with np.errstate(divide="ignore"):
        logs = np.log(factors.columns(every)) + factors.log_base()[:, None]
        expected = np.stack([np.log(likelihood(network, t, values)) for t in every], axis=1)
    # What is hopeless for a row may be less so here; what counts is exact.
    near = expected > expected.max(axis=1, keepdims=True) - 40.0
    assert logs[near] == pytest.approx(expected[near], abs=1e-9)
    assert (
        logs[~near] < expected.max(axis=1, keepdims=True).repeat(len(every), 1)[~near] - 39
    ).all()


@pytest.mark.parametrize("level", ["few", "many"])
@pytest.mark.parametrize("seed", range(6))
def test_the_right_targets_with_certificate_posterior_and_intervals(seed: int, level: str) -> None:
    network, targets, weights, rows = problem(seed, level)
    result = find_targets(network, rows, max_size=2, gap=_GAP)
    found, truth = as_pairs(result.targets, result.weights), as_pairs(targets, weights)
    assert set(found) == set(truth)
    assert result.converged
    assert result.gap <= _GAP
    assignment, posterior = judged(network, rows, result)
    summary = posterior.of_weights.weights()
    own = np.array([truth[tuple(map(int, t))] for t in result.targets])
    m = len(own)
    assert (np.abs(result.weights - own) < 4.5 * summary.std_error[:m]).all()
    assert (summary.low[:m] <= result.weights).all()
    assert (result.weights <= summary.high[:m]).all()
    assert (posterior.q_values < 0.01).all()
    assert assignment.posterior.sum(axis=1) == pytest.approx(np.ones(len(rows.counts)), abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_target_would_raise_the_score(seed: int) -> None:
    network, _, _, rows = problem(seed)
    result = find_targets(network, rows, max_size=2, gap=_GAP)
    prepared = prepare(network, rows)
    problem_ = prepared.problem
    mixture = problem_.columns(prepared.from_network(result.targets)) @ result.weights
    every = prepared.from_network(every_target(network, 2))
    columns = problem_.columns(every)
    gains = gain_of_adding(problem_, mixture, columns)
    assert (gains <= problem_.score.costs(every) + 0.01).all()
    # The certificate's gradient, from all rows by its definition.
    gradient = problem_.counts @ (columns / mixture[:, None]) / problem_.n_rows
    assert result.certificate is not None
    present = np.array([t.tobytes() in {c.tobytes() for c in result.targets} for t in every])
    assert gradient[present] == pytest.approx(np.ones(present.sum()), abs=10 * _GAP)
    if result.certificate.target is not None:
        where = (every == prepared.from_network(result.certificate.target[None, :])).all(axis=1)
        assert gradient[where] == pytest.approx(result.certificate.largest_gradient, rel=1e-9)
    near = np.array(
        [(t != result.targets).sum(axis=1).min() == 1 for t in every_target(network, 2)]
    )
    largest = result.certificate.largest_gradient
    assert max(gradient[near].max(), 1.0) <= largest * (1 + 1e-9)
    assert largest <= max(gradient.max(), 1.0) * (1 + 1e-9)


def test_log_likelihood_and_score_are_those_of_the_rows() -> None:
    network, targets, weights, rows = problem(1)
    result = valued(network, rows, targets, weights)
    density = np.stack([likelihood(network, t, rows.codes) for t in targets], axis=1) @ weights
    assert result.log_likelihood == pytest.approx(float(rows.counts @ np.log(density)), rel=1e-12)
    cost = result.log_likelihood - result.penalised_score
    by_hand = prepare(network, rows).problem.score.costs(targets).sum()
    assert cost == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.slow
def test_intervals_cover_over_seeds() -> None:
    inside = []
    for seed in range(60):
        network, targets, weights, rows = problem(seed, n_rows=2500)
        result = find_targets(network, rows, max_size=2)
        truth = as_pairs(targets, weights)
        _, posterior = judged(network, rows, result)
        summary = posterior.of_weights.weights()
        for k, target in enumerate(result.targets):
            own = truth.get(tuple(map(int, target)), 0.0)
            inside.append(summary.low[k] <= own <= summary.high[k])
    assert len(inside) > 250
    assert 0.915 <= np.mean(inside) <= 0.985


def learned(network: MechanismNetwork, n_rows: int, rng: np.random.Generator) -> MechanismNetwork:
    """Fit the mechanisms to control rows; the changes are off, and free."""
    nothing = np.full((1, network.n_variables), -1, dtype=np.int16)
    values, _ = network.draw(nothing, np.ones(1), n_rows, rng)
    control = ControlRows(values, np.ones(n_rows))
    mechanisms = []
    for mechanism in network.mechanisms:
        for _ in range(20):
            mechanism = mechanism.fitted(mechanism.statistics(values, control.weights))  # noqa: PLW2901
        mechanisms.append(mechanism)
    library = Changes(tuple(Fold(factor, is_free=True) for factor in (0.2, 0.5, 2.0, 5.0)))
    return MechanismNetwork(tuple(mechanisms), (library,) * network.n_variables, control)


def free_problem(
    seed: int, n_control: int, level: tuple[float, float]
) -> tuple[MechanismNetwork, MechanismNetwork, Ints, Floats, Configurations]:
    rng = np.random.default_rng(seed)
    network = chain(4 + seed % 2, rng, folds=(0.15, 0.6, 1.6, 4.0), level=level)
    targets, weights = random_targets(network, 4 + seed % 3, 2, rng)
    values, _ = network.draw(targets, weights, 4000, rng)
    rows = collapse(values, network.cardinalities)
    return network, learned(network, n_control, rng), targets, weights, rows


@pytest.mark.parametrize("seed", range(5))
def test_the_joint_step_refits_mechanisms_and_changes(seed: int) -> None:
    network, given, targets, weights, rows = free_problem(seed, 1000, (20.0, 60.0))
    result = find_targets(given, rows, max_size=2)
    assert set(as_pairs(result.targets, result.weights)) == set(as_pairs(targets, weights))
    refined = result.network
    for i in range(network.n_variables):
        for k in {int(k) for k in targets[:, i]} - {-1}:
            was, true = given.libraries[i][k].factor, network.libraries[i][k].factor
            now = refined.libraries[i][k].factor
            assert abs(np.log(now / true)) < 0.06 < abs(np.log(was / true))
    # Joint log-likelihood of pool and control rows: no better before than after.
    before = valued(given, rows, result.targets, result.weights).log_likelihood
    after = valued(refined, rows, result.targets, result.weights).log_likelihood
    assert after + refined.log_prior() > before + given.log_prior()
    as_given = find_targets(given, rows, max_size=2, refine=False)
    assert as_given.network is given


def test_each_step_of_em_raises_the_joint_likelihood() -> None:
    for seed in range(4):
        _, network, targets, weights, rows = free_problem(seed, 500, (5.0, 15.0))
        last = -np.inf
        for _ in range(8):
            found = assign(network, targets, weights, rows.codes)
            value = float(rows.counts @ found.log_probability) + network.log_prior()
            assert value >= last - 1e-6
            last = value
            posterior = found.posterior * rows.counts[:, None]
            weights = posterior.sum(axis=0) / posterior.sum()
            every = range(network.n_variables)
            network = network.taught(rows.codes, targets, posterior, every)


def test_a_free_change_is_paid_for_once() -> None:
    network = chain(3, np.random.default_rng(0), free=True)
    values, _ = network.draw(np.full((1, 3), -1), np.ones(1), 100, np.random.default_rng(0))
    rows = collapse(values, network.cardinalities)
    score = prepare(network, rows).problem.score
    known = replace(score, parameters=None)
    targets = np.array([[-1, -1, -1], [2, -1, -1], [2, 0, -1], [-1, 3, 1]])
    each = 0.5 * np.log(100)
    # Used: 2 of the first variable (twice), 0 and 3 of the second, 1 of the third.
    assert score.total(targets) - known.total(targets) == pytest.approx(4 * each)
    assert score.savings(targets) - known.costs(targets) == pytest.approx(
        np.array([0, 0, each, 2 * each])
    )
    added = np.array([[2, -1, -1], [1, -1, 0], [-1, 3, -1]])
    assert score.additions(added, targets) - known.costs(added) == pytest.approx(
        np.array([0, 2 * each, 0])
    )


@pytest.mark.slow
def test_intervals_allow_for_learned_mechanisms_and_changes() -> None:
    inside, ignored = [], []
    for seed in range(0, 80, 2):
        network, given, targets, weights, rows = free_problem(seed, 500, (8.0, 20.0))
        result = find_targets(given, rows, max_size=2)
        truth = as_pairs(targets, weights)
        if set(truth) != set(as_pairs(result.targets, result.weights)):
            continue
        known = replace(result.network, control=None, libraries=network.libraries)
        for system, kept in ((result.network, inside), (known, ignored)):
            summary = judged(system, rows, result)[1].of_weights.weights()
            for k, target in enumerate(result.targets):
                own = truth[tuple(map(int, target))]
                kept.append(summary.low[k] <= own <= summary.high[k])
    assert len(inside) > 150
    assert np.mean(inside) >= 0.91
    assert np.mean(inside) > np.mean(ignored)


def discrete_problem(seed: int) -> tuple[dosift.Network, Configurations]:
    rng = np.random.default_rng(seed)
    network = random_network(4, random_state=rng)
    targets, weights = random_mixture(network, 4, random_state=rng).to_codes(network)
    codes, _ = sample_codes(network, targets, weights, 4000, rng)
    return network, collapse(codes, network.cardinalities)


@pytest.mark.parametrize("seed", range(4))
def test_tables_are_a_network_of_mechanisms(seed: int) -> None:
    network, rows = discrete_problem(seed)
    same = MechanismNetwork(network.mechanisms, network.libraries)
    first, second = find_targets(network, rows), find_targets(same, rows)
    assert (first.targets == second.targets).all()
    assert first.weights == pytest.approx(second.weights, abs=1e-12)
    assert first.log_likelihood == pytest.approx(second.log_likelihood, abs=1e-9)
    assert first.certificate is not None
    assert second.certificate is not None
    assert first.certificate.scope == second.certificate.scope == "all"
    gradient = second.certificate.largest_gradient
    assert first.certificate.largest_gradient == pytest.approx(gradient, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_dos_may_stand_among_other_changes(seed: int) -> None:
    """As members of any library, do's have one ratio for each row and state: the same columns."""
    network, rows = discrete_problem(seed)
    libraries = tuple(Changes(tuple(library)) for library in network.libraries)
    general = MechanismNetwork(network.mechanisms, libraries)
    targets = np.random.default_rng(0).integers(-1, 3, size=(20, 4)).astype(np.int16)
    sparse, dense = MechanismFactors(network, rows.codes), MechanismFactors(general, rows.codes)
    assert dense.columns(targets) == pytest.approx(sparse.columns(targets), rel=1e-12)
    for target in targets:
        assert (dense.matching(target) == sparse.matching(target)).all()
    first = valued(network, rows, targets[:1] * 0 - 1, np.ones(1))
    second = valued(general, rows, targets[:1] * 0 - 1, np.ones(1))
    assert first.log_likelihood == pytest.approx(second.log_likelihood, rel=1e-12)
    result, found = find_targets(general, rows), find_targets(network, rows)
    assert result.log_likelihood - found.log_likelihood == pytest.approx(0.0, abs=25.0)


def test_structural_zeros_are_those_of_tables() -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        network = random_network(3, random_state=seed)
        tables = [np.where(rng.random(t.shape) < 0.3, 0.0, t) + 1e-300 for t in network.tables]
        tables = [np.where(t < 1e-200, 0.0, t) / t.sum(axis=1, keepdims=True) for t in tables]
        tables = [np.where(t.sum(axis=1, keepdims=True) > 0, t, 1 / 3) for t in tables]
        network = network.with_tables(tables)
        general = MechanismNetwork(
            network.mechanisms, tuple(Changes(tuple(library)) for library in network.libraries)
        )
        every = np.stack([a.ravel() for a in np.indices((3, 3, 3))], axis=1)
        targets = np.stack([a.ravel() for a in np.indices((4, 4, 4))], axis=1) - 1
        sparse, dense = MechanismFactors(network, every), MechanismFactors(general, every)
        assert (dense.zeros == sparse.zeros).all()
        assert dense.columns(targets) == pytest.approx(sparse.columns(targets), rel=1e-12)


def test_changes_that_may_all_be_true_are_told_apart_by_more_names() -> None:
    network = chain(3, np.random.default_rng(0))
    rows = collapse(np.zeros((100, 3)), network.cardinalities)
    score = prepare(network, rows).problem.score
    sizes = score.costs(np.array([[-1, -1, -1], [0, -1, -1], [0, 0, -1]]))
    # Four changes of each of three variables, none of them redundant as one of all do's is.
    assert sizes[1] - sizes[0] == pytest.approx(np.log(3 * 4))
    assert sizes[2] - sizes[1] == pytest.approx(np.log(4))


def test_neighbours_are_priced_by_definition() -> None:
    network, targets, weights, rows = problem(0)
    problem_ = prepare(network, rows).problem
    fit = problem_.fit(targets, weights)
    priced = NeighbourPricer(problem_, 2).near(fit)
    relative = problem_.columns(priced.targets) / fit.mixture[:, None]
    assert priced.gradient == pytest.approx(fit.counts @ relative / problem_.n_rows, rel=1e-9)
    assert priced.curvature == pytest.approx(fit.counts @ relative**2, rel=1e-9)


def test_rows_out_of_range_are_scaled() -> None:
    n = 20
    mechanisms = tuple(PoissonMechanism(i, (), (3.0,)) for i in range(n))
    network = MechanismNetwork(mechanisms, (Changes((Fold(0.2), Fold(5.0))),) * n)
    values = np.concatenate([np.full((1, n), 100.0), np.full((1, n), 20.0)])
    factors = MechanismFactors(network, values)
    assert factors.log_scale[0] > 0
    targets = np.array([np.full(n, 1), np.append(np.full(n - 1, 1), -1), np.full(n, -1)])
    log = np.log(factors.columns(targets[:2])[0]) + factors.log_base()[0]
    expected = [np.log(likelihood(network, t, values)[0]) for t in targets[:2]]
    assert log[0] == pytest.approx(expected[0], abs=1e-6)
    assert expected[1] <= log[1] == pytest.approx(log[0] - 50.0)  # one variable is hopeless
    assert factors.column(targets[2]) == pytest.approx([0.0, 1.0], abs=1e-100)


def test_em_comes_to_rest_where_the_joint_likelihood_is_largest() -> None:
    _, network, targets, weights, rows = free_problem(1, 500, (8.0, 20.0))
    every = range(network.n_variables)

    def value(system: MechanismNetwork) -> float:
        found = assign(system, targets, weights, rows.codes)
        return float(rows.counts @ found.log_probability) + system.log_prior()

    for _ in range(150):
        found = assign(network, targets, weights, rows.codes)
        posterior = found.posterior * rows.counts[:, None]
        network = network.taught(rows.codes, targets, posterior, every)
    for i, mechanism in enumerate(network.mechanisms):
        for j in range(mechanism.n_free):
            around = []
            for step in (-1e-3, 0.0, 1e-3):
                moved = np.array(mechanism.coefficients)
                moved[j] += step
                other = [*network.mechanisms]
                other[i] = replace(mechanism, coefficients=tuple(moved.tolist()))
                around.append(value(replace(network, mechanisms=tuple(other))))
            slope = (around[2] - around[0]) / 2e-3
            curvature = (2 * around[1] - around[0] - around[2]) / 1e-6
            assert abs(slope) < 0.02 * np.sqrt(curvature)  # in standard errors


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("refined", [True, False])
def test_scores_of_tables_take_as_much_information_as_tables_do(refined: bool, alone: bool) -> None:
    rng = np.random.default_rng(5)
    true = random_network(3, random_state=rng)
    targets, weights = random_mixture(true, 4, random_state=rng).to_codes(true)
    if alone:  # no variable is changed in two ways
        targets, weights = np.array([[-1, -1, -1], [-1, 1, -1]]), np.array([0.6, 0.4])
    nothing = np.full((1, 3), -1)
    control, _ = sample_codes(true, nothing, np.ones(1), 3000, rng)
    codes, _ = sample_codes(true, targets, weights, 800, rng)
    learned_network = learn_from_codes(true.variables, true.parents, control, 0.0)
    general = MechanismNetwork(
        learned_network.mechanisms, learned_network.libraries, ControlRows(control, np.ones(3000))
    )
    assert learned_network.is_positive
    found = assign(learned_network, targets, weights, codes)
    relative = found.columns / found.mixture[:, None]
    first = information_with_tables(learned_network, codes, targets, weights, refined)
    block = Block(codes, np.ones(800))
    sums = SumScores(targets, weights, refined)(RowLikelihoods(as_network(general), block, False))
    second = information_of_scores(general, sums, targets, weights.size, refined)
    known = relative.T @ relative
    assert second == pytest.approx(first, rel=1e-6, abs=1e-6 * np.abs(first).max())
    assert np.abs(first - known).max() > 1e-3 * np.abs(known).max()


def test_the_evidence_for_a_target_that_no_row_asks_for() -> None:
    slope, curvature = np.array([-4000.0, -4000.0, -50.0]), np.array([1e-250, 0.0, 2.0])
    grid = np.linspace(0.0, 1.0, 2_000_001)
    exact = np.log(np.trapezoid(np.exp(-50.0 * grid - grid**2), grid))
    expected = [-np.log(4000.0), -np.log(4000.0), exact]
    assert log_evidence(slope, curvature) == pytest.approx(expected, abs=1e-5)
