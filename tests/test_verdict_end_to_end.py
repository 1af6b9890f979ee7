"""The verdict of fits: control rows played as a pool, and what rows ask for."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.data import collapse
from dosift.data.load import load
from dosift.errors import DosiftWarning, MisfitWarning
from dosift.learning.tables import as_if_learned
from dosift.likelihood.evidence import Evidence
from dosift.pipeline.control_halves import can_be_split, control_halves
from dosift.pipeline.negative_control import LEAST_CONTROL_ROWS, power_for
from dosift.results.folder import distrust
from dosift.results.rows import RowJudge, row_table

NOTHING = dosift.Mixture({dosift.do(): 1.0})
TRUTH = dosift.Mixture({dosift.do(): 0.6, dosift.do(b=0): 0.25, dosift.do(c=1, d=0): 0.15})
EDGES = [("a", "b"), ("b", "c"), ("a", "d")]
N_ROWS = 3000


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    states = {name: ["0", "1", "2"] for name in "abcd"}
    strong = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    return dosift.Network.from_tables(
        states,
        {"b": ["a"], "c": ["b"], "d": ["a"]},
        {"a": [0.4, 0.3, 0.3], "b": strong, "c": strong, "d": strong},
    )


@pytest.fixture(scope="module")
def control(network: dosift.Network) -> pl.DataFrame:
    return dosift.simulate(network, NOTHING, N_ROWS, random_state=1)


@pytest.fixture(scope="module")
def rows(network: dosift.Network) -> pl.DataFrame:
    return dosift.simulate(network, TRUTH, N_ROWS, random_state=2)


def fit(rows: Any, control: Any, edges: Any = EDGES, **named: Any) -> dosift.InterventionMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture(**named).fit(rows, control=control, graph=edges)


@pytest.fixture(scope="module")
def clean(rows: pl.DataFrame, control: pl.DataFrame) -> dosift.InterventionMixture:
    return fit(rows, control)


def test_a_clean_fit_stands_and_nothing_is_invented(clean: dosift.InterventionMixture) -> None:
    assert clean.verdict_.value == clean.verdict_["value"] == "stands"
    assert clean.negative_control_ is not None
    assert clean.negative_control_.weight == 0.0
    assert clean.verdict_.power == 1.0
    assert clean.components_["stands"].all()
    assert clean.variables_["stands"].all()
    assert (clean.variables_["net_rate"] == clean.variables_["rate"]).all()
    assert distrust(clean) == []
    json.dumps(clean.verdict_)


def test_without_negative_control_a_clean_answer_is_the_same(
    clean: dosift.InterventionMixture, rows: pl.DataFrame, control: pl.DataFrame
) -> None:
    other = fit(rows, control, negative_control=False)
    assert other.negative_control_ is None
    assert other.targets_ == clean.targets_
    assert np.array_equal(other.weights_, clean.weights_)
    assert other.variables_["control_rate"].null_count() == other.variables_.height


def test_an_edge_that_is_missing_is_invented_away_in_control_rows_and_named(
    rows: pl.DataFrame, control: pl.DataFrame
) -> None:
    model = fit(rows, control, EDGES[1:])
    found = model.negative_control_
    assert found is not None
    assert found.weight_in_full > 0.1
    assert found.weight <= 0.01
    assert 0.0 < model.verdict_.power < 1.0
    first = model.verdict_.repairs[0]
    assert first["edge"]["kind"] == "add"
    assert {first["edge"]["parent"], first["edge"]["child"]} == {"a", "b"}
    assert first["gain"] > 50.0
    true = {str(target) for target in TRUTH.targets}
    table = model.components_
    assert set(table.filter("stands")["target"].to_list()) <= true
    false = table.filter(~pl.col("target").is_in(list(true)))
    assert (false["probability"] < 0.99).all()
    # All rows are there, whatever they count for.
    assert model.n_rows_ == N_ROWS
    assert table["rows"].sum() == pytest.approx(N_ROWS)


def moved(network: dosift.Network, n_rows: int) -> pl.DataFrame:
    """Draw a pool in which d depends on a otherwise than in control rows."""
    tables = dict(zip(network.names, network.tables, strict=True))
    tables["d"] = np.array([[0.5, 0.4, 0.1], [0.2, 0.5, 0.3], [0.3, 0.1, 0.6]])
    states = {name: ["0", "1", "2"] for name in "abcd"}
    other = dosift.Network.from_tables(states, {"b": ["a"], "c": ["b"], "d": ["a"]}, tables)
    return dosift.simulate(other, TRUTH, n_rows, random_state=2)


def test_a_mechanism_that_moved_is_learned_from_the_pool_and_the_answer_is_right(
    network: dosift.Network, control: pl.DataFrame
) -> None:
    model = fit(moved(network, N_ROWS), control)
    assert model.verdict_.value == "stands"
    assert model.verdict_.repairs[0]["mechanism"] == "d"
    assert set(model.targets_) == set(TRUTH.targets)
    assert model.components_["stands"].all()
    for target, weight in zip(model.targets_, model.weights_, strict=True):
        assert weight == pytest.approx(TRUTH[target], abs=0.04)
    assert model.mechanisms_["variable"].to_list() == ["d"]
    assert model.mechanisms_["distance"][0] > 0.15
    assert any("learned from the pool alone" in one for one in model.verdict_.reasons)
    # It is no row from elsewhere: to forbid those leaves it as it is.
    known = dosift.PriorKnowledge(forbidden=["other"])
    same = fit(moved(network, N_ROWS), control, prior_knowledge=known)
    assert same.components_.equals(model.components_)
    assert same.mechanisms_.equals(model.mechanisms_)


def test_a_mechanism_that_moved_is_only_named_where_it_is_not_to_be_learned(
    network: dosift.Network, control: pl.DataFrame, tmp_path: Path
) -> None:
    rows = moved(network, N_ROWS)
    # What is done then is the same as before the search was made again.
    model = fit(rows, control, moved_mechanism=False)
    assert model.verdict_.value != "stands"
    assert model.verdict_.repairs[0]["mechanism"] == "d"
    assert model.mechanisms_.height == 0
    rows.write_csv(tmp_path / "rows.csv")
    control.write_csv(tmp_path / "control.csv")
    lines = "".join(f"{parent},{child}\n" for parent, child in EDGES)
    (tmp_path / "edges.csv").write_text(f"parent,child\n{lines}")
    files = ["rows.csv", "--graph", "edges.csv", "--control", "control.csv", "-o", "out"]
    paths = [one if one.startswith("-") else str(tmp_path / one) for one in files]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        run = CliRunner().invoke(app, ["fit", *paths, "--no-moved-mechanism", "--quiet"])
    status = 3 if model.verdict_.value == "does not stand" else 0
    assert run.exit_code == status, run.output
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    assert content["settings"]["moved_mechanism"] is False
    assert [one["target"] for one in content["components"]] == list(model.components_["target"])


def test_rows_from_elsewhere_are_named(rows: pl.DataFrame, control: pl.DataFrame) -> None:
    rng = np.random.default_rng(3)
    foreign = pl.DataFrame({name: rng.integers(3, size=300).astype(str) for name in "abcd"})
    model = fit(pl.concat([rows, foreign]), control)
    first = model.verdict_.repairs[0]
    assert first["rows"] == "foreign"
    assert first["share"] == pytest.approx(300 / 3300, abs=0.04)
    true = {str(target) for target in TRUTH.targets}
    found = model.components_.filter("stands")["target"].to_list()
    assert set(found) <= {*true, "other"}
    assert true <= set(model.components_["target"].to_list())
    texts = tuple(map(str, model.targets_))
    judge = RowJudge.of_fit(model.fitted_, texts, by_batch=True, own_rows=True)
    table = row_table(judge, load(pl.concat([rows, foreign]), model.network_))
    elsewhere = table["from_elsewhere"].to_numpy()
    assert elsewhere.sum() == pytest.approx(300, abs=140)
    assert elsewhere[N_ROWS:].mean() > 3 * elsewhere[:N_ROWS].mean()


def test_control_rows_in_which_something_was_done_are_named(
    network: dosift.Network, rows: pl.DataFrame, control: pl.DataFrame
) -> None:
    mixed = dosift.simulate(network, TRUTH, 600, random_state=4)
    model = fit(rows, pl.concat([control, mixed]))
    repairs = [one for one in model.verdict_.repairs if one.get("rows") == "control"]
    assert repairs
    assert repairs[0]["share"] == pytest.approx(600 * 0.4 / 3600, abs=0.03)


def test_a_verdict_that_is_not_good_is_warned_of(rows: pl.DataFrame, control: pl.DataFrame) -> None:
    rng = np.random.default_rng(3)
    foreign = pl.DataFrame({name: rng.integers(3, size=600).astype(str) for name in "abcd"})
    known = dosift.PriorKnowledge(forbidden=["other"])
    with pytest.warns(MisfitWarning):
        model = dosift.InterventionMixture(prior_knowledge=known).fit(
            pl.concat([rows, foreign]), control=control, graph=EDGES
        )
    assert model.verdict_.value != "stands"


def test_halves_share_out_all_control_rows(network: dosift.Network, control: pl.DataFrame) -> None:
    learned = dosift.learn_network(EDGES, control)
    halves = list(control_halves(learned, 10_000))
    assert sum(half.evidence.total for half in halves) == N_ROWS
    for half in halves:
        assert half.network.control is not None
        assert half.network.control.n_rows + half.evidence.total == N_ROWS
        assert half.network.control.counts[1].sum() == half.network.control.n_rows
        assert half.network.parents == learned.parents
    few = next(iter(control_halves(learned, 200)))
    assert few.evidence.total == 200


def test_a_network_worth_so_many_rows_has_no_rows_to_play(network: dosift.Network) -> None:
    assert not can_be_split(network)
    assert not can_be_split(as_if_learned(network, 1000.5))


def test_few_control_rows_say_nothing(rows: pl.DataFrame, control: pl.DataFrame) -> None:
    model = fit(rows, control.head(LEAST_CONTROL_ROWS - 10))
    assert model.negative_control_ is None


def test_evidence_is_bounded_whatever_the_number_of_rows() -> None:
    assert power_for(1.0, 1000, 10**9) == 1.0
    counted = [n * power_for(0.3, 1000, n) for n in (10**3, 10**5, 10**7)]
    assert counted[0] == pytest.approx(300.0)
    assert counted[1] < counted[2] < 1000 * 0.3 / 0.7 + 1


def test_rows_that_count_for_less_make_all_sums_smaller(
    network: dosift.Network, rows: pl.DataFrame
) -> None:
    codes = dosift.data.encode(rows, network).codes
    whole = Evidence.of_configurations(network, collapse(codes, network.cardinalities))
    less = whole.weighed(0.25)
    targets, weights = TRUTH.to_codes(network)
    one, two = (e.weigh(network, targets, weights) for e in (whole, less))
    assert less.total == 0.25 * whole.total
    assert np.allclose(two.gradient, 0.25 * one.gradient)
    assert np.allclose(two.log_density, 0.25 * one.log_density)
    assert less.reference(network) == pytest.approx(0.25 * whole.reference(network))
    visited = Evidence.of_rows(network, whole.rows.weighed(0.25))
    assert np.allclose(visited.weigh(network, targets, weights).gradient, two.gradient)
    assert whole.total == N_ROWS  # which itself is as it was


def test_what_must_be_in_the_pool_need_not_be_in_control_rows(
    rows: pl.DataFrame, control: pl.DataFrame
) -> None:
    known = dosift.PriorKnowledge(required=[dosift.do(d=1)])
    model = fit(rows, control, prior_knowledge=known)
    assert model.negative_control_ is not None
    assert model.negative_control_.weight_in_full == 0.0


def test_the_verdict_survives_a_copy_of_the_fit(clean: dosift.InterventionMixture) -> None:
    assert replace(clean.fitted_).verdict is clean.fitted_.verdict


@pytest.mark.long
def test_rows_of_what_does_not_stand_are_not_sure_of_it(
    rows: pl.DataFrame, control: pl.DataFrame
) -> None:
    rng = np.random.default_rng(3)
    foreign = pl.DataFrame({name: rng.integers(3, size=600).astype(str) for name in "abcd"})
    rows = pl.concat([rows, foreign])
    known = dosift.PriorKnowledge(forbidden=["other"])
    model = fit(rows, control, prior_knowledge=known)
    fallen = np.flatnonzero(~model.components_["stands"].to_numpy())
    assert fallen.size
    plain = model.predict_proba(rows)
    standing = model.predict_proba(rows, standing=True)
    most = model.components_["probability"].to_numpy()
    np.testing.assert_allclose(plain.sum(axis=1), 1.0)
    np.testing.assert_allclose(standing[:, fallen], plain[:, fallen] * most[fallen])
    kept = np.delete(np.arange(plain.shape[1]), fallen)
    np.testing.assert_array_equal(standing[:, kept], plain[:, kept])
    lazy = dosift.annotate(model, rows.lazy()).collect()
    best = plain.argmax(axis=1)
    own = standing[np.arange(len(best)), best]
    np.testing.assert_allclose(lazy["probability"].to_numpy(), own, atol=1e-9)
