"""Constraints on targets: no search and no method ever returns what is not permitted."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dosift
from dosift.data import collapse, load_rows
from dosift.likelihood.evidence import Evidence
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.search.constraints import Constraints
from dosift.search.engine import TargetSearch, find_targets
from dosift.search.enumeration import EnumeratedPricer
from dosift.search.pricing import NeighbourPricer
from dosift.search.result import ranked


def problem(
    seed: int, n: int = 4, n_targets: int = 4, n_rows: int = 600
) -> tuple[dosift.Network, dosift.Mixture, object]:
    network = dosift.random_network(n, random_state=seed)
    truth = dosift.random_mixture(network, n_targets, random_state=seed)
    return network, truth, dosift.simulate(network, truth, n_rows, random_state=seed)


@st.composite
def knowledge(draw: st.DrawFn) -> tuple[int, PriorKnowledge, int | None]:
    """A problem's seed and something said about its targets, true or not."""
    seed = draw(st.integers(0, 5))
    network, truth, _ = problem(seed)
    singles = [dosift.Target({v.name: state}) for v in network.variables for state in v.states]
    pairs = [dosift.Target({**a, **b}) for a in singles for b in singles if list(a) < list(b)]
    everything = [*truth, *singles, *pairs]
    some = st.lists(st.sampled_from(everything), max_size=4, unique=True)
    forbidden = draw(some)
    excluded = [t for t in draw(some) if t]
    names = draw(st.lists(st.sampled_from(network.names), max_size=2, unique=True))
    said = PriorKnowledge(forbidden=forbidden, excluded=excluded, non_manipulable=names)
    open_to = [t for t in everything if said.permits(t)]
    required = draw(st.lists(st.sampled_from(open_to), max_size=2, unique=True)) if open_to else []
    weighed = draw(st.lists(st.sampled_from(open_to), max_size=2, unique=True)) if open_to else []
    max_size = draw(st.sampled_from([None, 4, 2]))
    limit = 4 if max_size is None else max_size
    said = said.and_also(
        PriorKnowledge(
            required=[t for t in required if t.size <= limit],
            known_weights={t: 0.2 for t in weighed if t.size <= limit},
        )
    )
    return seed, said, max_size


def varied(network: dosift.Network, kind: str) -> dosift.Network:
    """The same network with a zero in each table, or learned from a few control rows."""
    if kind == "zeros":
        tables = [table.copy() for table in network.tables]
        for table in tables:
            table[0, 0] = 0.0
            table[0] /= table[0].sum()
        return network.with_tables(tables)
    if kind == "learned":
        alone = dosift.Mixture({dosift.do(): 1.0})
        control = dosift.simulate(network, alone, 150, random_state=1)
        return dosift.learn_network(network.edges, control)
    return network


@pytest.mark.parametrize("examples", [10, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_no_forbidden_target_ever_appears(examples: int) -> None:
    drawn = given(knowledge(), st.sampled_from(["plain", "neighbours", "zeros", "learned"]))
    checked = {"suppress_health_check": list(HealthCheck), "derandomize": True}
    settings(max_examples=examples, deadline=None, **checked)(drawn(nothing_forbidden))()


def nothing_forbidden(case: tuple[int, PriorKnowledge, int | None], kind: str) -> None:
    seed, said, max_size = case
    network, _, rows = problem(seed)
    network = varied(network, kind)
    configurations = collapse(load_rows(rows, network).codes, network.cardinalities)
    try:
        known = said.constraints(network, max_size)
        with (
            patch("dosift.search.enumeration.ENUMERABLE", 0 if kind == "neighbours" else 2**18),
            patch("dosift.search.engine.ENUMERABLE", 0 if kind == "neighbours" else 2**18),
        ):
            found = find_targets(network, configurations, max_size=max_size, constraints=known)
    except dosift.InputError as error:
        if "permitted" not in str(error):
            raise
        return
    mixture = dosift.Mixture.from_codes(network, found.targets, found.weights)
    assert all(said.permits(target) for target in mixture)
    assert max_size is None or max(target.size for target in mixture) <= max_size
    assert set(said.required) <= set(mixture)
    for target, weight in said.known_weights:
        assert mixture[target] == pytest.approx(weight, abs=1e-12)


@pytest.mark.parametrize("method", ["em", "brute-force"])
def test_enumerating_methods_heed_what_may_not_occur(method: str) -> None:
    network, _, rows = problem(3, n=3)
    first = network.variables[0]
    said = PriorKnowledge(
        excluded=[f"{first.name}={first.states[0]}"],
        forbidden=["do()"],
        non_manipulable=[network.names[1]],
    )
    model = dosift.InterventionMixture(network, method=method, prior_knowledge=said, epsilon=0.0)
    with pytest.warns(dosift.errors.MisfitWarning):
        model.fit(rows)
    assert model.targets_
    assert all(said.permits(target) for target in model.targets_)


def test_free_constraints_change_nothing() -> None:
    network, _, rows = problem(1)
    configurations = collapse(load_rows(rows, network).codes, network.cardinalities)
    plain = find_targets(network, configurations)
    free = find_targets(
        network, configurations, constraints=Constraints.none(network.cardinalities)
    )
    assert np.array_equal(plain.targets, free.targets)
    assert np.array_equal(plain.weights, free.weights)


def test_gradients_at_changed_columns_are_exact() -> None:
    """With known weights, both pricers give the gradient of the changed columns."""
    from dosift.search.prepared import prepare

    network, truth, rows = problem(2)
    configurations = collapse(load_rows(rows, network).codes, network.cardinalities)
    target, weight = next(iter(truth.items()))
    known = PriorKnowledge(known_weights={target: weight}).constraints(network)
    prepared = prepare(network, configurations, None, known)
    whole = prepared.problem
    nothing = np.full((1, 4), -1, dtype=np.int16)
    fit = whole.fit(nothing)
    for pricer in (EnumeratedPricer(whole), NeighbourPricer(whole)):
        priced = pricer.near(fit)
        columns = whole.columns(priced.targets)
        expected = (whole.counts / fit.mixture) @ columns / whole.n_rows
        assert priced.gradient == pytest.approx(expected)


def test_rows_that_are_impossible_so_far_leave_the_gradients_finite() -> None:
    """The known targets' share is summed over the rows that have a density."""
    from dosift.search.prepared import prepare

    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [[1.0, 0.0]], "b": [[0.5, 0.5]]}
    )
    configurations = collapse(np.array([[0, 0], [0, 1], [0, 0], [1, 1]]), network.cardinalities)
    said = PriorKnowledge(known_weights={dosift.do(b="0"): 0.2})
    whole = prepare(network, configurations, None, said.constraints(network)).problem
    mixture = whole.columns(np.full((1, 2), -1, dtype=np.int16))[:, 0]
    assert (mixture == 0).any()
    gradient, curvature = whole.adjusted(np.array([0.5]), np.array([2.0]), mixture)
    # By hand: the two rows (0, 0) of four have .2 / .5 from the known target, of .8 + .2 / .5.
    assert gradient == pytest.approx([2 / 4 * 0.4 / 1.2 + 0.8 * 0.5])
    assert curvature == pytest.approx([0.64 * (2.0 - 4 * 0.25) + 4 * gradient[0] ** 2])


def test_what_may_not_be_set_makes_the_names_of_targets_shorter() -> None:
    """The score of a mixture charges for telling a target from the others that may occur."""
    network, _, rows = problem(1, n=5)
    codes = load_rows(rows, network).codes
    evidence = Evidence.of_configurations(network, collapse(codes, network.cardinalities))
    targets = np.array([[-1, -1, -1, -1, -1], [0, -1, -1, -1, -1], [0, 1, -1, -1, -1]])

    def cost(known: Constraints | None) -> float:
        found = ranked(evidence, network, targets, np.array([0.5, 0.3, 0.2]), constraints=known)
        return found.log_likelihood - found.penalised_score

    said = PriorKnowledge(non_manipulable=network.names[2:]).constraints(network)
    assert cost(None) == pytest.approx(cost(Constraints.none(network.n_changes)))
    assert cost(said) < cost(None) - 1.0


def test_rows_that_nothing_permitted_explains_speak_for_no_target() -> None:
    """The others are weighed as ever, and the likelihood of all is zero."""
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [[1.0, 0.0]], "b": [[0.5, 0.5]]}
    )
    codes = np.repeat([[0, 0], [0, 1], [1, 1]], [80, 20, 3], axis=0)
    said = PriorKnowledge(non_manipulable=["a"]).constraints(network)
    found, rest = (
        find_targets(network, collapse(some, network.cardinalities), constraints=said)
        for some in (codes, codes[:100])
    )
    assert found.log_likelihood == found.penalised_score == -np.inf
    assert np.isfinite(rest.log_likelihood)
    assert np.array_equal(found.targets, rest.targets)
    assert found.weights == pytest.approx(rest.weights)


def test_a_list_of_candidates_is_searched_over_the_variables_that_it_sets() -> None:
    network, _, rows = problem(2)
    configurations = collapse(load_rows(rows, network).codes, network.cardinalities)
    names = (network.names[0], network.names[3])
    pairs = [dosift.Target({names[0]: a, names[1]: b}) for a in "012" for b in "012"]
    listed = [dosift.do(), *pairs]
    known = PriorKnowledge(candidates=listed).constraints(network)
    search = TargetSearch(network, configurations, None, lambda *_: None, known)
    prepared, _ = search.from_scratch()
    assert set(np.asarray(prepared.variables).tolist()) == {0, 3}
    found = find_targets(network, configurations, constraints=known)
    assert set(dosift.Mixture.from_codes(network, found.targets, found.weights)) <= set(listed)
