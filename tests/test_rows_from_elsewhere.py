"""Rows that come from elsewhere have a line of their own, the same one everywhere."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.errors import DosiftWarning

TRUTH = dosift.Mixture({dosift.do(): 0.6, dosift.do(b=0): 0.25, dosift.do(c=1, d=0): 0.15})
EDGES = [("a", "b"), ("b", "c"), ("a", "d")]
N_ROWS, N_FOREIGN = 2700, 300


@pytest.fixture(scope="module")
def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows, the last of them uniform, and control rows."""
    strong = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]
    network = dosift.Network.from_tables(
        {name: ["0", "1", "2"] for name in "abcd"},
        {"b": ["a"], "c": ["b"], "d": ["a"]},
        {"a": [0.4, 0.3, 0.3], "b": strong, "c": strong, "d": strong},
    )
    rows = dosift.simulate(network, TRUTH, N_ROWS, random_state=2)
    rng = np.random.default_rng(3)
    foreign = {name: rng.integers(3, size=N_FOREIGN).astype(str) for name in "abcd"}
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 3000, random_state=1)
    return pl.concat([rows, pl.DataFrame(foreign)]), control


def fit(rows: pl.DataFrame, control: pl.DataFrame, **named: object) -> dosift.InterventionMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture(**named).fit(rows, control=control, graph=EDGES)


@pytest.fixture(scope="module")
def model(tables: tuple[pl.DataFrame, pl.DataFrame]) -> dosift.InterventionMixture:
    return fit(*tables)


def test_components_are_the_true_ones_and_other(model: dosift.InterventionMixture) -> None:
    table = model.components_
    assert set(table["target"]) == {*map(str, TRUTH.targets), "other"}
    assert table["stands"].all()
    line = table.row(table["target"].to_list().index("other"), named=True)
    assert line["ci_low"] < N_FOREIGN / (N_ROWS + N_FOREIGN) < line["ci_high"]
    assert model.weights_.sum() == pytest.approx(1.0)
    assert model.verdict_.value == "stands"
    first = model.verdict_.repairs[0]
    assert (first["rows"], first["change"]) == ("foreign", 0.0)
    assert "line of their own" in " ".join(model.verdict_.reasons)


def test_totals_are_those_of_interventions(model: dosift.InterventionMixture) -> None:
    for line in model.variables_.filter(pl.col("value") == "").iter_rows(named=True):
        true = sum(w for t, w in TRUTH.items() if line["variable"] in t)
        assert line["rate"] == pytest.approx(true * 0.9, abs=0.03)
    (own,) = model.interventions_.filter(pl.col("kind") == "other").iter_rows(named=True)
    assert own["variables"] == []


def test_rows_are_told_apart(
    model: dosift.InterventionMixture, tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    place = [str(target) for target in model.targets_].index("other")
    posterior = model.predict_proba(tables[0])[:, place]
    assert posterior.sum() == pytest.approx(model.weights_[place] * len(posterior), rel=1e-3)
    assert posterior[N_ROWS:].mean() > 3 * posterior[:N_ROWS].mean()
    assert (model.predict(tables[0]) == "other")[N_ROWS:].mean() > 0.2


def test_drawn_rows_have_them_too(model: dosift.InterventionMixture) -> None:
    drawn = model.sample(20_000, random_state=5)
    counts = [pl.concat([drawn]).group_by("a", "b", "c", "d").len().height]
    assert counts[0] == 81  # strong mechanisms leave no cell empty only with rows from elsewhere
    assert np.isfinite(model.score(drawn))


def test_none_are_found_where_there_are_none(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    found = fit(tables[0].head(N_ROWS), tables[1])
    assert "other" not in found.components_["target"].to_list()
    assert found.fitted_.elsewhere is None


def test_forbidden_they_have_no_line(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    known = dosift.PriorKnowledge(forbidden=["other"])
    found = fit(*tables, prior_knowledge=known)
    assert "other" not in found.components_["target"].to_list()
    assert found.verdict_.value != "stands"
    assert found.verdict_.repairs[0]["rows"] == "foreign"


def test_missing_values_and_weights(tables: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    rng = np.random.default_rng(7)
    holes = tables[0].with_columns(
        pl.when(pl.Series(rng.random(N_ROWS + N_FOREIGN) < 0.05))
        .then(None)
        .otherwise("d")
        .alias("d")
    )
    found = fit(holes, tables[1]).components_
    assert set(found["target"]) >= {*map(str, TRUTH.targets), "other"}


def test_the_command_writes_and_reads_the_same(
    tmp_path: Path, model: dosift.InterventionMixture, tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    rows, control = (tmp_path / f"{name}.csv" for name in ("rows", "control"))
    tables[0].write_csv(rows)
    tables[1].write_csv(control)
    edges = tmp_path / "edges.csv"
    edges.write_text("parent,child\n" + "\n".join(f"{p},{c}" for p, c in EDGES) + "\n")
    out, assigned = tmp_path / "out", tmp_path / "assigned.csv"
    run = CliRunner().invoke(
        app,
        ["fit", str(rows), "--graph", str(edges), "--control", str(control), "-o", str(out)],
    )
    assert run.exit_code == 0, run.output
    assert "line of their own" in run.output
    components = {line["target"]: line for line in pl.read_csv(out / "components.csv").to_dicts()}
    assert components["other"]["stands"]
    listed = json.loads((out / "mixture.json").read_text())["components"]
    (other,) = [one for one in listed if "other" in one]
    assert set(other["other"]) == set("abcd")
    assert sum(one["weight"] for one in listed) == pytest.approx(1.0)
    assert "rows from elsewhere" in (out / "report.html").read_text()
    of_rows = pl.read_parquet(out / "rows.parquet")
    assert (of_rows["target"] == "other").sum() > 60
    assert of_rows["from_elsewhere"].sum() == pytest.approx(other["weight"] * 3000, rel=1e-3)
    run = CliRunner().invoke(app, ["assign", str(out), str(rows), "-o", str(assigned)])
    assert run.exit_code == 0, run.output
    again = pl.read_csv(assigned)
    assert again["target"].to_list() == of_rows["target"].to_list()
    assert np.allclose(again["probability"], of_rows["probability"], atol=1e-6)


@pytest.mark.long
def test_resamples_and_held_out_rows_have_them_too(
    model: dosift.InterventionMixture, tables: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    for search in (True, False):
        found = dosift.bootstrap(model, tables[0], n_resamples=3, search=search)
        line = found.summary().filter(pl.col("target") == "other").row(0, named=True)
        assert line["share_found"] == 1.0
        assert 0 < line["std_error"] < 0.05
    nothing = dosift.InterventionMixture(prior_knowledge=dosift.PriorKnowledge(forbidden=["other"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        nothing.fit(tables[0], control=tables[1], graph=EDGES)
    with_them, without = (dosift.held_out(one, tables[0], folds=2) for one in (model, nothing))
    assert with_them.gain > without.gain
