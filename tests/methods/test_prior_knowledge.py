"""Prior knowledge: what is said in names, what the estimator makes of it, and its errors."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import dosift
from dosift.errors import InputError
from dosift.methods.prior_knowledge import PriorKnowledge


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    return dosift.random_network(5, random_state=1)


@pytest.fixture(scope="module")
def truth(network: dosift.Network) -> dosift.Mixture:
    return dosift.random_mixture(network, 5, random_state=2)


@pytest.fixture(scope="module")
def rows(network: dosift.Network, truth: dosift.Mixture) -> pl.DataFrame:
    return dosift.simulate(network, truth, 4000, random_state=3)


def fitted(
    network: dosift.Network, rows: pl.DataFrame, said: PriorKnowledge, **arguments: object
) -> dosift.InterventionMixture:
    model = dosift.InterventionMixture(network, prior_knowledge=said, **arguments)
    return model.fit(rows)


def test_true_candidates_are_kept_and_false_ones_dropped(
    network: dosift.Network, truth: dosift.Mixture, rows: pl.DataFrame
) -> None:
    others = [f"{v.name}={s}" for v in network.variables for s in v.states]
    model = fitted(network, rows, PriorKnowledge(candidates=[*others, *truth]))
    assert set(model.targets_) == set(truth)
    assert model.certificate_ is not None
    assert model.certificate_.scope == "candidates"
    scores = dosift.evaluate(truth, model.mixture_)
    assert scores.tv < 0.05


def test_a_required_target_stays_though_it_is_absent(
    network: dosift.Network, truth: dosift.Mixture, rows: pl.DataFrame
) -> None:
    absent = dosift.do({network.names[0]: network.variables[0].states[1]})
    assert absent not in truth
    model = fitted(network, rows, PriorKnowledge(required=[absent]))
    assert model.mixture_[absent] < 0.02
    assert set(truth) < set(model.targets_)


def test_known_weights_are_kept_and_have_no_errors(
    network: dosift.Network, truth: dosift.Mixture, rows: pl.DataFrame
) -> None:
    given = dict(list(truth.items())[:2])
    model = fitted(network, rows, PriorKnowledge(known_weights=given))
    plain = dosift.InterventionMixture(network).fit(rows)
    table = {row["target"]: row for row in model.components_.to_dicts()}
    free = {row["target"]: row for row in plain.components_.to_dicts()}
    for target in truth:
        row = table[str(target)]
        if target in given:
            assert row["weight"] == pytest.approx(given[target], abs=1e-12)
            assert row["std_error"] is None
        else:
            assert 0 < row["std_error"] < free[str(target)]["std_error"]
            assert row["ci_low"] < row["weight"] < row["ci_high"]
    assert model.weights_.sum() == pytest.approx(1)
    assert model.components_["weight"].to_list() == pytest.approx(model.weights_.tolist())
    totals = {(r["variable"], r["value"]): r for r in model.variables_.to_dicts()}
    for name in network.names:
        expected = sum(w for t, w in model.mixture_.items() if name in t)
        assert totals[name, ""]["rate"] == pytest.approx(expected)
        assert totals[name, ""]["ci_low"] <= expected <= totals[name, ""]["ci_high"]


# No mixture with that known weight has these shares: the fit check may well object.
@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")
def test_errors_of_free_weights_are_those_of_the_constrained_problem() -> None:
    """One free share beside a known one: its variance by hand, from the observed information."""
    network = dosift.Network.from_tables({"a": ["0", "1", "2"]}, {}, {"a": [0.4, 0.3, 0.3]})
    rows = {"a": ["0"] * 300 + ["1"] * 450 + ["2"] * 250}
    model = fitted(
        network,
        rows,  # type: ignore[arg-type]
        PriorKnowledge(candidates=["do()", "a=1"], known_weights={"a=0": 0.05}),
    )
    density = dict.fromkeys("012", 0.0)
    for target, weight in model.mixture_.items():
        for v, p in zip("012", (0.4, 0.3, 0.3), strict=True):
            density[v] += weight * (float(target["a"] == v) if target else p)
    information = (
        300 * (0.4 / density["0"]) ** 2
        + 450 * ((1 - 0.3) / density["1"]) ** 2
        + 250 * (0.3 / density["2"]) ** 2
    )
    row = {r["target"]: r for r in model.components_.to_dicts()}["do(a=1)"]
    assert row["std_error"] == pytest.approx(information**-0.5, rel=1e-3)


def test_all_weights_known_leaves_nothing_to_fit(
    network: dosift.Network, truth: dosift.Mixture, rows: pl.DataFrame
) -> None:
    model = fitted(network, rows, PriorKnowledge(known_weights=dict(truth)))
    assert set(model.targets_) == set(truth)
    assert model.optimality_gap_ == 0.0
    assert model.components_["std_error"].null_count() == len(truth)


def test_a_learned_network_is_refined_under_the_same_constraints(
    network: dosift.Network, truth: dosift.Mixture, rows: pl.DataFrame
) -> None:
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 2000, random_state=5)
    learned = dosift.learn_network(network.edges, control)
    target, weight = next(iter(truth.items()))
    v = learned.variables[learned.positions[network.names[0]]]
    said = PriorKnowledge(
        known_weights={target: weight},
        excluded=[f"{v.name}={v.states[-1]}"],
        required=["do()"],
    )
    model = dosift.InterventionMixture(learned, prior_knowledge=said).fit(rows)
    assert model.mixture_[target] == pytest.approx(weight, abs=1e-12)
    assert all(said.permits(t) for t in model.targets_)
    assert dosift.do() in model.targets_
    listed = PriorKnowledge(candidates=[*truth, f"{v.name}={v.states[0]}"])
    again = dosift.InterventionMixture(learned, prior_knowledge=listed).fit(rows)
    assert set(again.targets_) <= set(listed.candidates or ())


def test_wide_networks_search_manipulable_variables_only() -> None:
    network = dosift.random_network(30, random_state=4, max_parents=2)
    names = network.names
    truth = dosift.Mixture({dosift.do(): 0.6, dosift.do({names[3]: "1"}): 0.4})
    rows = dosift.simulate(network, truth, 3000, random_state=1)
    said = PriorKnowledge(non_manipulable=[n for n in names if n != names[3]])
    model = fitted(network, rows, said)
    assert set(model.targets_) == set(truth)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"excluded": ["do()"]}, "every target contains"),
        ({"forbidden": "do()"}, "give a list of targets"),
        ({"forbidden": [3]}, "forbidden holds 3"),
        ({"required": ["a=1,"]}, "required: expected the name"),
        ({"non_manipulable": "a"}, "list of names"),
        ({"non_manipulable": [1]}, "no name of a variable"),
        ({"known_weights": {"a=1": 1.5}}, "weights lie between 0 and 1"),
        ({"known_weights": {"a=1": float("nan")}}, "weights lie between 0 and 1"),
        ({"known_weights": {"a=1": True}}, "weights lie between 0 and 1"),
        ({"known_weights": {"a=1": 0.6, "a=0": 0.6}}, "sum to 1.2"),
        ({"known_weights": [("a=1", 0.1), ("do(a=1)", 0.2)]}, "given twice"),
        ({"required": ["a=1"], "forbidden": ["a=1"]}, "it is forbidden; take one of them back"),
        ({"candidates": ["a=1,b=0"], "excluded": ["b=0"]}, r"contains do\(b=0\)"),
        ({"known_weights": {"a=1": 0.1}, "non_manipulable": ["a"]}, "not manipulable"),
        ({"candidates": []}, "list of candidates is empty"),
    ],
)
def test_contradictions_and_malformed_input_are_refused(
    arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        PriorKnowledge(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (PriorKnowledge(forbidden=["nobody=1"]), "network does not have"),
        (PriorKnowledge(excluded=["V1=99"]), "not one of its states"),
        (PriorKnowledge(non_manipulable=["V"]), "did you mean"),
        (PriorKnowledge(required=["V1=0, V2=0, V3=0"]), "max_size is 2"),
        ({"forbidden": []}, "give a dosift.PriorKnowledge"),
    ],
)
def test_the_estimator_says_what_does_not_fit_the_network(
    network: dosift.Network, rows: pl.DataFrame, said: PriorKnowledge, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        fitted(network, rows, said, max_size=2)


@pytest.mark.parametrize(
    ("method", "said", "words"),
    [
        ("moments", PriorKnowledge(forbidden=["do()"]), "knows no prior knowledge"),
        ("em", PriorKnowledge(required=["do()"]), "does not heed required"),
        ("brute-force", PriorKnowledge(known_weights={"do()": 0.1}), "not heed known weights"),
    ],
)
def test_methods_refuse_what_they_would_not_heed(
    network: dosift.Network, rows: pl.DataFrame, method: str, said: PriorKnowledge, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        fitted(network, rows, said, method=method)


def test_nothing_permitted_is_an_error_and_impossible_rows_are_counted(
    network: dosift.Network, rows: pl.DataFrame
) -> None:
    everything = PriorKnowledge(non_manipulable=network.names, forbidden=["do()"])
    with pytest.raises(InputError, match="no target is permitted"):
        fitted(network, rows, everything)
    one = PriorKnowledge(candidates=[f"{network.names[0]}={network.variables[0].states[0]}"])
    with pytest.warns(dosift.errors.MisfitWarning):
        model = fitted(network, rows, one)
    other = (rows[network.names[0]] != network.variables[0].states[0]).sum()
    assert model.impossible_rows_ == other


def test_it_is_stored_compared_and_written() -> None:
    said = PriorKnowledge(
        forbidden=[{"a": "1"}], excluded=["b=0"], known_weights={dosift.do(): np.float64(0.5)}
    )
    assert PriorKnowledge.from_dict(json.loads(json.dumps(said.to_dict()))) == said
    assert copy.deepcopy(said) == said == pickle.loads(pickle.dumps(said))
    assert said
    assert not PriorKnowledge()
    model = dosift.InterventionMixture(prior_knowledge=said)
    assert clone(model, safe=False).prior_knowledge == said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "JSON object"),
        ('{"forbid": []}', "unknown key 'forbid'"),
        ('{"forbidden": "do()"}', "'forbidden' must be a list"),
        ('{"known_weights": ["do()"]}', "must be an object"),
        ('{"known_weights": {"do()": 0.1, "do()": 0.2}}', "twice"),
        ('{"forbidden": [], "forbidden": []}', "twice"),
        ('{"forbidden": [["a"]]}', "forbidden holds"),
        ("{", "is not JSON"),
    ],
)
def test_a_malformed_file_names_itself(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "known.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        PriorKnowledge.read(path)
    assert str(path) in str(caught.value)


def test_the_rest_is_found_beside_a_known_share_of_undisturbed_units(
    network: dosift.Network,
) -> None:
    names = network.names
    truth = dosift.Mixture(
        {dosift.do(): 0.8, dosift.do({names[1]: 1}): 0.15, dosift.do({names[4]: 0}): 0.05}
    )
    rows = dosift.simulate(network, truth, 3000, random_state=3)
    model = fitted(network, rows, PriorKnowledge(known_weights={"do()": 0.8}))
    assert set(model.targets_) == set(truth)
    assert model.converged_
    assert model.optimality_gap_ <= 1e-8


def test_rows_that_no_candidate_explains_do_not_spoil_the_rest(
    network: dosift.Network, truth: dosift.Mixture, rows: pl.DataFrame
) -> None:
    """What is left is fitted, refined and pruned as if the other rows were not there."""
    first = network.variables[0]
    # All rows that are left may come from elsewhere as well; here they do not.
    listed = [f"{first.name}={s}" for s in first.states[:2]]
    others = PriorKnowledge(candidates=listed, forbidden=["other"])
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 500, random_state=5)
    for one in (network, dosift.learn_network(network.edges, control)):
        with pytest.warns(dosift.errors.MisfitWarning):
            model = fitted(one, rows, others)
        explained = rows.filter(pl.col(first.name) != first.states[2])
        assert model.impossible_rows_ == len(rows) - len(explained)
        assert np.isneginf(model.log_likelihood_)
        with pytest.warns(dosift.errors.MisfitWarning):
            again = fitted(one, explained, others)
        assert model.mixture_ == again.mixture_


def test_known_weights_may_sum_to_a_billionth_more_than_one() -> None:
    assert PriorKnowledge(known_weights={"do()": 0.5, "do(a=1)": 0.5 + 0.9e-9})
    with pytest.raises(InputError, match="more than 1"):
        PriorKnowledge(known_weights={"do()": 0.5, "do(a=1)": 0.5 + 1.1e-9})
    # Nothing else may occur, and these explain all rows but for a billionth.
    whole = {"do()": 0.5, "do(a=1)": 0.5 - 0.9e-9}
    assert PriorKnowledge(known_weights=whole, candidates=[])
    with pytest.raises(InputError, match="empty"):
        PriorKnowledge(known_weights={"do()": 0.5, "do(a=1)": 0.5 - 1.1e-9}, candidates=[])
