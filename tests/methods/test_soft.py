"""Interventions that are no do's: recognised where they are allowed, invented nowhere."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import dosift
from dosift.learning.tables import learn_from_codes
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.results.folder import result_content
from dosift.results.report import render_report

Ints = NDArray[np.integer]


def quietly(
    model: dosift.InterventionMixture, codes: Ints, **beside: Any
) -> dosift.InterventionMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dosift.errors.DosiftWarning)
        return model.fit(codes, **beside)


def shifted(seed: int, share: float) -> tuple[dosift.Network, dosift.Mixture, Ints, str]:
    """Draw a problem of which one mechanism is mixed with another that depends on the parents."""
    rng = np.random.default_rng([31, seed])
    network = random_network(5, max_parents=2, random_state=rng)
    mixture = random_mixture(network, 3, random_state=rng)
    i = int(rng.choice([j for j in range(5) if network.parents[j]]))
    tables = list(network.tables)
    other = rng.dirichlet(np.ones(3), size=len(tables[i]))
    tables[i] = (1 - share) * tables[i] + share * other
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network.with_tables(tables), targets, weights, 8000, rng)
    return network, mixture, codes, network.names[i]


def test_a_stochastic_intervention_is_one_with_its_distribution() -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["x", "y", "z"], "c": ["0", "1"]},
        {"b": ["a"], "c": ["b"]},
        {
            "a": [[0.5, 0.5]],
            "b": [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]],
            "c": [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]],
        },
    )
    # All three values occur, so no value is excluded.
    truth = dosift.Mixture(
        {
            dosift.do(): 0.5,
            dosift.do(b="x"): 0.1,
            dosift.do(b="y"): 0.15,
            dosift.do(b="z"): 0.15,
            dosift.do(c="1"): 0.1,
        }
    )
    rows = dosift.simulate(network, truth, 40_000, random_state=1)
    model = dosift.InterventionMixture(network, interventions="stochastic").fit(rows)
    table = {tuple(line["variables"]): line for line in model.interventions_.to_dicts()}
    assert set(table) == {(), ("b",), ("c",)}
    assert table["b",]["kind"] == "stochastic"
    assert table["c",]["kind"] == "hard"
    assert table[()]["kind"] == "none"
    assert table["b",]["weight"] == pytest.approx(0.4, abs=0.04)
    assert table["b",]["ci_low"] <= 0.4 <= table["b",]["ci_high"]
    shares = {value["target"]: value["share"] for value in table["b",]["values"]}
    assert shares == pytest.approx({"do(b=x)": 0.25, "do(b=y)": 0.375, "do(b=z)": 0.375}, abs=0.06)
    assert len(model.mechanisms_) == 0
    html = render_report(result_content(model, settings={}, inputs=[], timings={}))
    assert "Stochastic interventions" in html
    assert "Mechanisms that changed" not in html


@pytest.mark.long
@pytest.mark.parametrize("learned", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_shifted_mechanism_is_named_and_no_do_is_invented_for_it(learned: bool) -> None:
    network, mixture, codes, name = shifted(3, 0.6)
    given = network
    if learned:
        nothing = np.full((1, 5), -1)
        control, _ = sample_codes(network, nothing, np.ones(1), 8000, np.random.default_rng(0))
        given = learn_from_codes(network.variables, network.parents, control, 0.5)
    hard = quietly(dosift.InterventionMixture(given), codes)
    model = quietly(dosift.InterventionMixture(given, interventions="any"), codes)
    assert model.mechanisms_["variable"].to_list() == [name]
    (line,) = model.mechanisms_.to_dicts()
    assert line["gain"] > 5
    assert 0.05 < line["distance"] < 0.6
    assert 0.2 < line["least_share"] <= 0.65
    assert set(model.targets_) == set(mixture)
    assert len(hard.targets_) > len(mixture)
    assert model.fit_check_.fits
    assert (model.network_.control is not None) == learned
    content = result_content(model, settings={}, inputs=[], timings={})
    assert content["mechanisms"][0]["variable"] == name
    html = render_report(content)
    assert "Mechanisms that changed" in html
    assert "Stochastic interventions" not in html


@pytest.mark.parametrize("seeds", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_without_a_shift_nothing_changes(seeds: int) -> None:
    for seed in range(seeds):
        network, _mixture, codes, _ = shifted(seed, 0.0)
        hard = dosift.InterventionMixture(network).fit(codes)
        model = dosift.InterventionMixture(network, interventions="any").fit(codes)
        assert len(model.mechanisms_) == 0
        assert {str(t) for t in model.targets_} == {str(t) for t in hard.targets_}


def test_what_it_cannot_be_combined_with_is_refused() -> None:
    network, _, codes, _ = shifted(0, 0.0)
    with pytest.raises(dosift.InputError, match="interventions is 'soft'; choose one of hard"):
        dosift.InterventionMixture(network, interventions="soft").fit(codes)
    with pytest.raises(
        dosift.InputError,
        match="moments and changed mechanisms cannot be combined: method 'moments' knows",
    ):
        dosift.InterventionMixture(network, interventions="any", method="moments").fit(codes)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["stochastic", "any"])
def test_soft_interventions_go_with_batches_labels_and_missing_values(kind: str) -> None:
    """Two batches of a toy: a do is drawn over two values, or a table changes in all rows."""
    tables = {
        "a": [0.6, 0.4],
        "b": [[0.8, 0.1, 0.1], [0.1, 0.3, 0.6]],
        "c": [[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]],
    }
    states = {"a": ["0", "1"], "b": ["0", "1", "2"], "c": ["0", "1"]}
    graph = {"b": ["a"], "c": ["b"]}
    network = dosift.Network.from_tables(states, graph, tables)
    truth = network
    if kind == "any":
        changed = {**tables, "c": [[0.3, 0.7], [0.9, 0.1], [0.6, 0.4]]}
        truth = dosift.Network.from_tables(states, graph, changed)
    targets = np.array([[-1, -1, -1], [-1, 0, -1], [-1, 2, -1], [1, -1, -1]])
    weights = np.array([[0.5, 0.2, 0.1, 0.2], [0.6, 0.3, 0.1, 0.0]])
    rng = np.random.default_rng(3)
    drawn = [sample_codes(truth, targets, own, 3000, rng) for own in weights]
    codes = np.concatenate([one for one, _ in drawn])
    origin = np.concatenate([one for _, one in drawn])
    names = np.array(["do()", "b=0", "b=2", "a=1"], dtype=object)
    labels = np.where(np.arange(6000) % 10 == 0, names[origin], "")
    codes = np.where(rng.random(codes.shape) < 0.05, -1, codes)
    model = dosift.InterventionMixture(network, interventions=kind)
    model = quietly(
        model, codes, batch=np.repeat(["p", "q"], 3000), labels=labels, random_labels=True
    )
    assert model.batches_ is not None
    found = {(r["batch"], r["target"]): r["weight"] for r in model.batches_.to_dicts()}
    for name, own in zip("pq", weights, strict=True):
        assert found.get((name, "do(b=0)"), 0.0) == pytest.approx(own[1], abs=0.08)
        assert found.get((name, "do(a=1)"), 0.0) == pytest.approx(own[3], abs=0.08)
    if kind == "any":
        assert model.mechanisms_["variable"].to_list() == ["c"]
        assert model.network_.tables[2] == pytest.approx(truth.tables[2], abs=0.08)
    else:
        assert {"do(b=0)", "do(b=2)"} <= {str(t) for t in model.targets_}


@pytest.mark.slow
def test_shifts_are_told_from_dos_over_many_problems() -> None:
    named, falsely, precise = 0, 0, []
    for seed in range(8):
        network, mixture, codes, name = shifted(100 + seed, 0.6)
        model = quietly(dosift.InterventionMixture(network, interventions="any"), codes)
        found = model.mechanisms_["variable"].to_list()
        named += found == [name]
        falsely += bool(set(found) - {name})
        precise.append(len(set(model.targets_) & set(mixture)) / len(model.targets_))
    assert named >= 3  # about 7 of 8 in other draws
    assert falsely <= 3
    assert np.mean(precise) > 0.7
