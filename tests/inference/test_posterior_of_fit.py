"""What a fit says of its own certainty, on simulated problems."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import dosift
from dosift.data import collapse
from dosift.data.blocks import Block
from dosift.inference.component_groups import component_groups
from dosift.inference.network_error import information_from_sums, table_sums
from dosift.inference.rate_tests import pair_p_values, rate_with_test, rates_of_families
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.rates import variable_rate
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from plain_sums import toy_rows

Ints = NDArray[np.integer]


def problem(
    n_variables: int, n_rows: int, seed: int, n_targets: int = 5
) -> tuple[dosift.Network, Ints, NDArray[np.float64], Ints]:
    rng = np.random.default_rng([n_variables, n_rows, seed])
    network = random_network(n_variables, random_state=rng)
    mixture = random_mixture(network, n_targets, random_state=rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, n_rows, rng)
    return network, targets, weights, codes


def test_the_tables_belong_together() -> None:
    network, _, _, codes = problem(5, 1500, 3, n_targets=8)
    model = dosift.InterventionMixture(network).fit(codes)
    table = model.components_
    assert table["target"].to_list() == [str(t) for t in model.targets_]
    q, probability = table["q_value"].to_numpy(), table["probability"].to_numpy()
    order = np.argsort(-probability, kind="stable")
    assert np.all(np.diff(q[order]) >= -1e-15)
    assert q.max() == pytest.approx((1 - probability).mean())
    for q_value, status in zip(q, table["status"], strict=True):
        assert status == ("found" if q_value <= 0.05 else "undecided")
    for name in ("components_", "variables_", "pairs_", "undecided_"):
        part = getattr(model, name)
        if "weight" in part.columns or "rate" in part.columns:
            value = part["weight" if "weight" in part.columns else "rate"].to_numpy()
            assert np.all(part["ci_low"].to_numpy() <= value + 1e-12), name
            assert np.all(value <= part["ci_high"].to_numpy() + 1e-12), name
    found = set(table["target"])
    assert not found & set(model.undecided_["target"])
    assert np.all(model.undecided_["probability"].to_numpy() >= 0.1)
    # The total of a do is at least as likely to occur as each component that holds it.
    totals = {
        (row["variable"], row["value"]): row["probability"] for row in model.variables_.to_dicts()
    }
    for target, p in zip(model.targets_, probability, strict=True):
        for variable, value in target.items():
            assert totals[variable, value] >= p - 0.05
            assert totals[variable, ""] >= totals[variable, value] - 1e-12


def test_row_order_and_repetition_of_the_fit_leave_no_trace() -> None:
    network, _, _, codes = problem(4, 900, 1)
    first = dosift.InterventionMixture(network).fit(codes)
    again = dosift.InterventionMixture(network).fit(codes[::-1])
    for name in ("components_", "variables_", "pairs_", "undecided_", "families_", "confusable_"):
        assert getattr(first, name).equals(getattr(again, name)), name


@pytest.mark.parametrize(("seeds", "least"), [(3, 3), pytest.param(6, 5, marks=pytest.mark.slow)])
def test_the_loss_of_a_rival_is_what_replacing_the_component_loses(seeds: int, least: int) -> None:
    seen = 0
    for seed in range(seeds):
        network, _, _, codes = problem(4, 400, seed)
        model = dosift.InterventionMixture(network).fit(codes)
        for line in model.confusable_.to_dicts()[:2]:
            targets = [t for t in model.targets_ if str(t) != line["component"]]
            targets.append(dosift.parse_target(line["target"]))
            known = dosift.PriorKnowledge(candidates=targets, required=targets)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                other = dosift.InterventionMixture(network, prior_knowledge=known).fit(codes)
            loss = model.log_likelihood_ - other.log_likelihood_
            assert line["loss"] == pytest.approx(loss, abs=0.01)
            assert line["loss"] < 10
            seen += 1
    assert seen >= least


@pytest.mark.parametrize("method", ["moments", "brute-force", "em"])
def test_other_methods_claim_no_more_than_they_know(method: str) -> None:
    network, _, _, codes = problem(3, 2000, 2, n_targets=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture(network, method=method).fit(codes)
    table = model.components_
    assert table["q_value"].null_count() == len(table)
    assert table["status"].null_count() == len(table)
    assert (table["std_error"].null_count() == 0) == (method == "em")


def test_levels_are_checked_and_kept() -> None:
    network, _, _, codes = problem(3, 1000, 0, n_targets=3)
    with pytest.raises(dosift.InputError, match="level is 95; give a number in"):
        dosift.InterventionMixture(network, level=95).fit(codes)
    wide = dosift.InterventionMixture(network, level=0.99).fit(codes).components_
    narrow = dosift.InterventionMixture(network, level=0.5).fit(codes).components_
    width = [(t["ci_high"] - t["ci_low"]).to_numpy() for t in (wide, narrow)]
    assert np.all(width[0] > width[1])


def test_families_share_what_they_say() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        targets = rng.integers(-1, 2, size=(8, 5)).astype(np.int16)
        found = component_groups(targets, rng.dirichlet(np.ones(8)))
        members = [k for family in found for k in family.members]
        assert len(members) == len(set(members))
        for family in found:
            assert len(family.members) >= 2
            is_set = family.common >= 0
            assert is_set.any()
            assert np.all(targets[list(family.members)][:, is_set] == family.common[is_set])


def test_learned_tables_take_information_as_a_numerical_hessian_says() -> None:
    """One learned table, the other known: all second derivatives are in the formula."""
    rng = np.random.default_rng(4)
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [[0.6, 0.4]], "b": [[0.7, 0.3], [0.2, 0.8]]},
    )
    control_codes, _ = sample_codes(network, np.full((1, 2), -1), np.ones(1), 300, rng)
    learned = learn_from_codes(network.variables, network.parents, control_codes, 0.5)
    targets = np.array([[-1, -1], [-1, 1]], dtype=np.int16)
    codes, _ = sample_codes(network, targets, np.array([0.7, 0.3]), 500, rng)
    rows = collapse(codes, network.cardinalities)
    assert learned.control is not None
    prior, control = 0.5, learned.control.counts[1]
    p_a = learned.tables[0][0]

    def joint(free: NDArray[np.float64]) -> float:
        w, theta = free[0], free[1:]
        table = np.stack([1 - theta, theta], axis=1)
        a, b = rows.codes[:, 0], rows.codes[:, 1]
        density = p_a[a] * ((1 - w) * table[a, b] + w * (b == 1))
        return float(rows.counts @ np.log(density) + ((control + prior) * np.log(table)).sum())

    from scipy.optimize import minimize

    best = minimize(
        lambda x: -joint(x), [0.3, 0.3, 0.8], method="Nelder-Mead", options={"xatol": 1e-10}
    ).x
    step = 1e-4
    hessian = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            e, f = np.eye(3)[i] * step, np.eye(3)[j] * step
            hessian[i, j] = -(
                joint(best + e + f)
                - joint(best + e - f)
                - joint(best - e + f)
                + joint(best - e - f)
            ) / (4 * step**2)
    expected = np.sqrt(np.linalg.inv(hessian)[0, 0])
    table = np.stack([1 - best[1:], best[1:]], axis=1)
    # Endless control rows for the other table, so that its error vanishes.
    endless = type(learned.control)((learned.control.counts[0] * 1e9, control), prior, 300)
    refined = dosift.Network(network.variables, network.parents, [p_a[None, :], table], endless)
    weights = np.array([1 - best[0], best[0]])
    density = np.stack([table[rows.codes[:, 0], rows.codes[:, 1]], rows.codes[:, 1] == 1], axis=1)
    relative = density / (density @ weights)[:, None]
    known = (relative * rows.counts[:, None]).T @ relative
    block = RowLikelihoods(refined, Block(rows.codes, rows.counts), True)
    sums = table_sums(block, targets, weights[None], True)
    information = information_from_sums(refined, known, [part[0] for part in sums], True)
    change = np.array([-1.0, 1.0])
    assert 1 / np.sqrt(change @ information @ change) == pytest.approx(expected, rel=1e-3)


def test_rates_of_states_that_rows_hardly_have_keep_a_wide_error() -> None:
    table = np.array([[0.5, 0.499, 0.001]])
    family = np.array([[2501.0, 2498.0, 1.0]])  # five rows are expected where one is
    rare = rate_with_test(table, family)
    assert rare.excluded == 2
    assert rare.std_error > 2 * variable_rate(table, family).std_error
    assert rare.p_value > 0.05
    assert rate_with_test(np.array([[1.0]]), np.array([[10.0]])).rate == 0.0


@pytest.mark.slow
def test_rates_have_calibrated_p_values() -> None:
    """Share of p-values at most .05 where nothing is set: of variables, values and pairs."""
    variables, values, pairs = [], [], []
    for seed in range(150):
        network, targets, weights, _ = problem(6, 1000, seed, n_targets=6)
        targets[:, 3:] = -1
        rng = np.random.default_rng(seed)
        codes, _ = sample_codes(network, targets, weights, 1000, rng)
        rows = collapse(codes, network.cardinalities)
        evidence = Evidence.of_configurations(network, rows)
        rates = rates_of_families(network, evidence.families)
        for i in range(6):
            if not (targets[:, i] >= 0).any():
                variables.append(rates[i].p_value)
            values += [
                float(rates[i].value_p_values[a])
                for a in range(3)
                if not (targets[:, i] == a).any()
            ]
        for i, j in ((0, 3), (1, 4), (3, 5)):
            a, b = (int(x) for x in rng.integers(3, size=2))
            (p,) = pair_p_values(evidence, network, rates, [((i, a), (j, b))])
            if not np.isnan(p):
                pairs.append(p)
    for p_values in (variables, values, pairs):
        share = float(np.mean(np.array(p_values) <= 0.05))
        # A true share of .065 passes this with four standard errors to spare.
        assert share <= 0.065 + 4 * np.sqrt(0.065 * 0.935 / len(p_values))


@pytest.mark.parametrize(("table", "family"), [([[0.5, 0.5]], [[0.0, 0.0]]), ([[1.0]], [[5.0]])])
def test_nothing_is_said_of_a_variable_without_rows_or_with_one_state(
    table: list[list[float]], family: list[list[float]]
) -> None:
    found = rate_with_test(np.array(table), np.array(family))
    assert np.isnan([found.p_value, found.std_error]).all()
    assert np.isnan(found.value_p_values).all()
    assert found.n_plausible == 1


def test_pairs_are_judged_by_the_rows_that_have_their_families() -> None:
    """Rows in which a value of either family is missing say nothing, and change nothing."""
    rows = toy_rows(7, missing=True, n_rows=600)
    network, judged = rows.network, 0
    rates = rates_of_families(network, rows.evidence(True).families)
    for i, j in itertools.combinations(range(4), 2):
        needed = sorted({i, j, *network.parents[i], *network.parents[j]})
        kept = (rows.codes[:, needed] >= 0).all(axis=1)
        assert 0 < kept.sum() < len(kept)
        some = replace(rows, codes=rows.codes[kept], counts=rows.counts[kept])
        pairs = [((i, a), (j, b)) for a in range(2) for b in range(2)]
        of_all, of_some = (
            pair_p_values(r.evidence(True), network, rates, pairs) for r in (rows, some)
        )
        assert of_all == pytest.approx(of_some, nan_ok=True)
        judged += int(np.isfinite(of_all).sum())
    assert judged > 5


@pytest.mark.slow
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(("n_variables", "n_rows"), [(4, 1000), (4, 5000), (6, 3000)])
def test_intervals_cover_and_few_of_the_found_are_false(
    n_variables: int, n_rows: int, learned: bool
) -> None:
    hits, probabilities, truths, found_true = [], [], [], []
    for seed in range(40):
        network, targets, weights, codes = problem(
            n_variables, n_rows, 100 + seed, n_targets=(4, 8, 14)[seed % 3]
        )
        given = network
        if learned:
            rng = np.random.default_rng(seed)
            control, _ = sample_codes(network, targets[:1] * 0 - 1, np.ones(1), n_rows, rng)
            given = learn_from_codes(network.variables, network.parents, control, 0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dosift.InterventionMixture(given).fit(codes)
        truth = dict(dosift.Mixture.from_codes(network, targets, weights).items())
        for target, line in zip(model.targets_, model.components_.to_dicts(), strict=True):
            true = target in truth
            probabilities.append(line["probability"])
            truths.append(true)
            if true:
                hits.append(line["ci_low"] <= truth[target] <= line["ci_high"])
            if line["status"] == "found":
                found_true.append(true)
    coverage, n = float(np.mean(hits)), len(hits)
    # Components of one problem are not independent: errors twice those of a binomial.
    margin = 4 * 2 * np.sqrt(0.95 * 0.05 / n)
    assert 0.94 - margin <= coverage <= 0.97 + margin
    assert np.mean(found_true) >= 0.98 - 4 * 2 * np.sqrt(0.02 / len(found_true))
    assert np.mean(truths) >= np.mean(probabilities) - 0.05
