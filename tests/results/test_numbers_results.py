"""Tables, files and pages of a fit of numbers, held against the mixture that made the rows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dosift import Mixture, parse_target
from dosift.data.blocks import Block
from dosift.inference.posterior import Posterior, false_shares
from dosift.likelihood.assignment import assign
from dosift.model.described import named_targets
from dosift.results.folder import read_result, result_content, write_result
from dosift.results.merged import Merged, merged_table
from dosift.results.report import render_report
from dosift.results.rows import RowJudge
from dosift.results.tables import component_table
from fitted_numbers import TARGETS, WEIGHTS, Model, fitted_numbers, true_network


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(fitted_numbers()[0])


@pytest.fixture(scope="module")
def content(model: Model) -> dict[str, Any]:
    return result_content(model, settings={"seed": 0}, inputs=[], timings={"fit": 0.1})


def test_the_fit_is_the_mixture_that_made_the_rows(model: Model) -> None:
    found = {tuple(t) for t in model.fitted_.result.targets.tolist()}
    assert found == {tuple(t) for t in TARGETS.tolist()}


def test_components_that_touch_the_same_variables_are_one_line(model: Model) -> None:
    table = model.components_
    assert table["weight"].is_sorted(descending=True)
    touched = [frozenset(parse_target(text)) for text in table["target"]]
    assert len(set(touched)) == len(touched) == 5
    assert table["weight"].sum() == pytest.approx(1.0)
    by_target = {frozenset(one): line for one, line in zip(touched, table.to_dicts(), strict=True)}
    line = by_target[frozenset({"ir_1"})]
    own = [t for t in model.mixture_ if set(t) == {"ir_1"}]
    assert line["weight"] == pytest.approx(sum(model.mixture_[t] for t in own))
    assert line["target"] == str(own[0])
    assert all(str(t) in line["also"] for t in own)
    assert line["rows"] == pytest.approx(3000 * line["weight"])
    assert line["ci_low"] < WEIGHTS[1] + WEIGHTS[2] < line["ci_high"]
    members = np.array([[set(t) == {"ir_1"} for t in model.targets_]])
    every = np.pad(members, ((0, 0), (0, len(model.fitted_.posterior.undecided))))
    summed = model.fitted_.posterior.of_weights.sums(every)
    assert line["std_error"] == pytest.approx(summed.std_error[0])
    assert [by_target[frozenset(t)]["also"] for t in model.mixture_ if set(t) != {"ir_1"}] == [
        None
    ] * 4


def test_states_are_never_merged() -> None:
    network = true_network()
    targets = np.array([[0, -1, 0, -1, -1], [1, -1, 1, -1, -1], [1, -1, 2, -1, -1], [-1] * 5])
    merged = Merged.of(network, targets, np.array([0.2, 0.1, 0.3, 0.4]))
    assert merged.groups in (((3,), (2, 1), (0,)), ((2, 1), (3,), (0,)))
    assert merged.place[1] == merged.place[2] != merged.place[0]


class _Weights:
    """Three targets of which the last two may be absent, exclusively."""

    absent = np.array([0.0, 0.5, 0.5])
    estimate = np.array([0.6, 0.2, 0.2])

    def any_present(self, members: np.ndarray) -> np.ndarray:
        return np.where(members[:, 1] & members[:, 2], 1.0, 1.0 - self.absent[members.argmax(1)])

    def sums(self, members: np.ndarray, level: float) -> Any:
        class Found:
            std_error = np.full(len(members), 0.01)
            low = members @ self.estimate - 0.02
            high = members @ self.estimate + 0.02

        return Found

    def weights(self, level: float) -> Any:
        return self.sums(np.eye(3, dtype=bool), level)


def test_what_is_surely_one_of_two_is_found() -> None:
    of_weights: Any = _Weights()
    p_values = np.array([1e-9, 0.01, 0.02])
    posterior = Posterior(of_weights, np.zeros((0, 5), dtype=int), p_values, True)
    network, weights = true_network(), of_weights.estimate
    codes = np.array([[-1] * 5, [-1, 0, -1, -1, -1], [-1, 1, -1, -1, -1]])
    targets = named_targets(network, codes)
    fine = component_table(targets, weights, 100.0, posterior)
    assert fine["status"].to_list() == ["found", "undecided", "undecided"]
    merged = Merged.of(network, codes, weights)
    table = merged_table(merged, targets, weights, 100.0, posterior)
    assert table["status"].to_list() == ["found", "found"]
    assert table["probability"].to_list() == [1.0, 1.0]
    assert table["weight"].to_list() == pytest.approx([0.6, 0.4])
    assert table["p_value"].to_list() == pytest.approx([1e-9, 0.02])
    assert false_shares(np.array([0.2, 0.0])).tolist() == [0.1, 0.0]


def test_variables_have_lines_for_each_change_and_as_a_whole(model: Model) -> None:
    table = model.variables_
    wholes = table.filter(pl.col("value") == "")
    assert set(wholes["variable"]) == set(model.network_.names)
    for line in table.filter(pl.col("kind").is_in(["set", "gain", "shift", "fold"])).to_dicts():
        target = parse_target(line["value"])
        assert [*target] == [line["variable"]]
        own = [t for t in model.mixture_ if str(t.get(line["variable"])) and line["variable"] in t]
        assert line["rate"] <= sum(model.mixture_[t] for t in own) + 1e-12
        assert line["estimate_ci_low"] < line["estimate"] < line["estimate_ci_high"]
        assert line["estimate_std_error"] > 0
    for name, rate in wholes.select("variable", "rate").rows():
        parts = table.filter((pl.col("variable") == name) & (pl.col("value") != ""))["rate"]
        assert parts.sum() == pytest.approx(rate)
    truth = {"fold(RIPK2": 0.17, "shift(logit(rate": 1.4, "gain(latency": np.exp(2.5 * 0.5)}
    for start, value in truth.items():
        (line, *_) = table.filter(pl.col("value").str.starts_with(start)).to_dicts()
        assert abs(line["estimate"] - value) < 4 * line["estimate_std_error"]
    states = table.filter((pl.col("variable") == "gene") & (pl.col("value") != ""))
    assert {*states["value"]} == {"off", "on"}
    assert {*states["kind"]} == {"do"}


def test_interventions_say_their_kind(model: Model) -> None:
    kinds = {tuple(line["variables"]): line["kind"] for line in model.interventions_.to_dicts()}
    assert kinds[()] == "none"
    assert kinds["ir_1",] == "set"
    assert kinds["RIPK2",] == "fold"
    assert kinds["gene", "latency"] == kinds["rate", "RIPK2"] == "mixed"


def test_rows_are_judged_by_lines_of_the_table(model: Model) -> None:
    fitted, values = fitted_numbers()
    texts = tuple(map(str, model.targets_))
    judge = RowJudge.of_fit(fitted, texts, by_batch=True, own_rows=True, all_probabilities=True)
    table = judge.table(Block(values, np.ones(len(values))))
    lines = model.components_["target"].to_list()
    assert table.columns[5:] == lines
    assert set(table["target"]) <= set(lines)
    every = table.select(lines).to_numpy()
    assert every.sum(axis=1) == pytest.approx(1.0)
    assert table["probability"].to_numpy() == pytest.approx(every.max(axis=1))
    fine = assign(fitted.network, fitted.result.targets, fitted.result.weights, values).posterior
    own = [k for k, t in enumerate(model.targets_) if set(t) == {"ir_1"}]
    head = next(text for text in lines if set(parse_target(text)) == {"ir_1"})
    assert table[head].to_numpy() == pytest.approx(fine[:, own].sum(axis=1))
    shares = table["target"].value_counts(normalize=True)
    assert dict(shares.rows())[head] == pytest.approx(WEIGHTS[1] + WEIGHTS[2], abs=0.03)


def test_the_folder_is_written_and_read_back(
    model: Model, content: dict[str, Any], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    write_result(folder, model, pl.DataFrame({"target": ["do()"]}), content)
    found = read_result(folder)
    assert found.mixture == model.mixture_
    assert found.content == json.loads(json.dumps(content))
    assert found.network.names == model.network_.names
    codes, weights = found.mixture.to_codes(found.network)
    own, _ = model.mixture_.to_codes(model.network_)
    assert (codes == own).all()
    values = fitted_numbers()[1]
    first = assign(found.network, codes, weights, values).log_probability
    assert first == pytest.approx(assign(model.network_, codes, weights, values).log_probability)
    lines = pl.read_csv(folder / "components.csv")
    assert lines["target"].to_list() == model.components_["target"].to_list()
    assert pl.read_csv(folder / "variables.csv").columns == model.variables_.columns
    assert Mixture.read(folder / "mixture.json") == model.mixture_


def test_the_content_names_columns_changes_and_histograms(content: dict[str, Any]) -> None:
    assert content["columns"][:3] == [
        {"name": "gene", "kind": "discrete", "scale": "states"},
        {"name": "ir_1", "kind": "continuous", "scale": "raw"},
        {"name": "latency", "kind": "continuous", "scale": "log"},
    ]
    names = {tuple(n["what"] for n in one["numbers"]) for one in content["changes"]}
    assert names == {("mean", "sd"), ("factor", "offset"), ("by",), ("factor",)}
    drawn = {one["variable"]: one for one in content["densities"]}
    assert set(drawn) == {"ir_1", "latency", "rate", "RIPK2"}
    for one in drawn.values():
        for curve in one["curves"]:
            assert sum(curve["shares"]) == pytest.approx(1.0)
            assert len(curve["shares"]) == len(one["edges"]) - 1
        assert np.all(np.diff(one["edges"]) > 0)
    curves = {curve["of"]: curve["shares"] for curve in drawn["ir_1"]["curves"]}
    middles = np.convolve(drawn["ir_1"]["edges"], [0.5, 0.5], "valid")
    means = {of: float(np.dot(shares, middles)) for of, shares in curves.items()}
    low, high = sorted(set(means) - {"control", "pool"}, key=lambda of: means[of])
    assert parse_target(low)["ir_1"]["mean"] == pytest.approx(means[low], abs=4.0)
    assert parse_target(high)["ir_1"]["mean"] == pytest.approx(means[high], abs=4.0)
    assert all(np.isfinite(e) for one in drawn.values() for e in one["edges"])


def test_the_page_says_what_was_done_to_numbers(content: dict[str, Any]) -> None:
    html = render_report(content)
    assert html.count("<figure class='histogram density'>") == 4
    assert 'class="of-control"' in html
    assert "together: set(ir_1~" in html
    assert "one pass" not in html
    assert "nan" not in html.lower().replace("inherit", "")
    assert "None" not in html
    assert 'data-states="[&quot;~' in html


def test_without_errors_and_rows_in_memory_the_rest_is_said() -> None:
    fitted, _ = fitted_numbers()
    bare = replace(fitted, posterior=None, change_errors=(), densities=())
    model = Model(bare)
    assert model.components_["std_error"].null_count() == 5
    assert model.variables_.filter(pl.col("what").is_not_null())["estimate"].null_count() == 0
    assert model.variables_["estimate_std_error"].null_count() == len(model.variables_)
    html = render_report(result_content(model, settings={}, inputs=[], timings={}))
    assert "class='histogram density'" not in html


def test_pictures_of_numbers(model: Model) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    import dosift

    for name in ("ir_1", "latency", "rate", "RIPK2"):
        ax = dosift.plot.densities(model, name)
        texts = [text.get_text() for text in ax.get_legend().get_texts()]
        assert texts[:2] == ["mixture rows", "control rows"]
        assert all(name in text for text in texts[2:])
        assert ax.get_xlabel() == name
        ax.figure.canvas.draw()
    ax = dosift.plot.rates(model)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert any(label.startswith("fold(RIPK2*") for label in labels)
    assert ax.get_legend() is None
    target = next(t for t in model.targets_ if "latency" in t)
    texts = [text.get_text() for text in dosift.plot.graph(model, target=target).texts]
    assert any("= on" in text for text in texts)
    assert any("gain(" in text for text in texts)
    dosift.plot.components(model)
    with pytest.raises(dosift.InputError, match=r"'latenzy' is no number.*did you mean 'latency'"):
        dosift.plot.densities(model, "latenzy")
    plt.close("all")
