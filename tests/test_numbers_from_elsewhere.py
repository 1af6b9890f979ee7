"""Rows from elsewhere where variables are measurements, counts or both: a line of their own."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.errors import DosiftWarning, InputError
from dosift.results.folder import read_result

N_ROWS, N_CONTROL, FOREIGN = 1500, 1500, 0.1
EDGES = [("a", "b"), ("b", "c"), ("a", "d")]
#: What components touch.
TRUTH = {frozenset(): 0.55, frozenset("a"): 0.3, frozenset("c"): 0.15}


def drawn(rng: np.random.Generator, n_rows: int, done: bool, which: Any = None) -> pl.DataFrame:
    """Draw a -> b -> c and a -> d, where d is a count: in some rows a or c is set."""
    u = (rng.random(n_rows) if which is None else which) + (0.0 if done else 1.0)
    a = np.where(u < 0.3, rng.normal(3.0, 0.3, n_rows), rng.normal(size=n_rows))
    b = a + 0.6 * rng.normal(size=n_rows)
    c = b + 0.6 * rng.normal(size=n_rows)
    c = np.where((u >= 0.3) & (u < 0.45), rng.normal(-4.0, 0.3, n_rows), c)
    d = rng.poisson(rng.gamma(8.0, np.exp(2.0 + 0.3 * a) / 8.0))
    return pl.DataFrame({"a": a, "b": b, "c": c, "d": d})


def with_foreign(
    rng: np.random.Generator, rows: pl.DataFrame, foreign: Any = None
) -> tuple[pl.DataFrame, Any]:
    """Put rows of two clusters, without any cause and effect, among the others."""
    foreign = rng.random(len(rows)) < FOREIGN if foreign is None else foreign
    where = np.where(rng.random((len(rows), 1)) < 0.5, [[-4.0, 4.0, 3.0]], [[4.0, -4.0, -3.0]])
    columns = {name: where[:, k] + rng.normal(size=len(rows)) for k, name in enumerate("abc")}
    columns["d"] = rng.poisson(60.0, len(rows))
    mixed = {name: np.where(foreign, columns[name], rows[name].to_numpy()) for name in "abcd"}
    return pl.DataFrame(mixed), foreign


def fit(rows: Any, control: Any, **named: Any) -> dosift.InterventionMixture:
    beside = {k: named.pop(k) for k in ("unit", "labels", "random_labels") if k in named}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture(negative_control=False, **named).fit(
            rows, control=control, graph=EDGES, kinds={"d": "counts"}, **beside
        )


def command(arguments: list[Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return CliRunner().invoke(app, [str(one) for one in arguments])


def touched(model: dosift.InterventionMixture) -> dict[Any, float]:
    """Weight of each set of variables; of rows from elsewhere by their text."""
    out: dict[Any, float] = {}
    for target, weight in zip(model.targets_, model.weights_.tolist(), strict=True):
        key = str(target) if target.is_other else frozenset(target)
        out[key] = out.get(key, 0.0) + weight
    return out


@pytest.fixture(scope="module")
def tables() -> tuple[pl.DataFrame, pl.DataFrame, Any]:
    rng = np.random.default_rng(11)
    control = drawn(rng, N_CONTROL, False)
    return *with_foreign(rng, drawn(rng, N_ROWS, True)), control


@pytest.fixture(scope="module")
def model(tables: tuple[pl.DataFrame, Any, pl.DataFrame]) -> dosift.InterventionMixture:
    return fit(tables[0], tables[2])


def test_components_are_the_true_ones_and_other(
    model: dosift.InterventionMixture, tables: tuple[pl.DataFrame, Any, pl.DataFrame]
) -> None:
    found, share = touched(model), float(tables[1].mean())
    assert set(found) == {*TRUTH, "other"}
    assert found["other"] == pytest.approx(share, abs=0.01)
    for key, weight in TRUTH.items():
        assert found[key] == pytest.approx((1 - share) * weight, abs=0.04)
    assert model.components_["stands"].all()
    assert model.verdict_.value == "stands"
    (line,) = model.components_.filter(pl.col("target") == "other").iter_rows(named=True)
    assert line["ci_low"] < share < line["ci_high"]
    assert "line of their own" in " ".join(model.verdict_.reasons)


def test_totals_are_those_of_interventions(model: dosift.InterventionMixture) -> None:
    for line in model.variables_.filter(pl.col("value") == "").iter_rows(named=True):
        expected = sum(w for key, w in touched(model).items() if line["variable"] in key)
        expected -= touched(model)["other"] * (line["variable"] in "other")
        assert line["rate"] == pytest.approx(expected, abs=1e-6)
    (own,) = model.interventions_.filter(pl.col("kind") == "other").iter_rows(named=True)
    assert own["variables"] == []


def test_rows_are_told_apart_and_drawn(
    model: dosift.InterventionMixture, tables: tuple[pl.DataFrame, Any, pl.DataFrame]
) -> None:
    best = model.predict(tables[0])
    assert ((best == "other") == tables[1]).mean() > 0.97
    rows = model.sample(4000, random_state=2)
    # Far from everything else, on both sides.
    corner = rows.filter((pl.col("a") < -2.5) & (pl.col("b") > 2.0))
    assert len(corner) / 4000 == pytest.approx(0.05, abs=0.02)
    assert np.isfinite(model.score(rows))


def test_none_are_found_where_there_are_none() -> None:
    rng = np.random.default_rng(12)
    control = drawn(rng, N_CONTROL, False)
    assert set(touched(fit(drawn(rng, N_ROWS, True), control))) == set(TRUTH)


@pytest.mark.long
def test_forbidden_they_have_no_line(
    tables: tuple[pl.DataFrame, Any, pl.DataFrame],
) -> None:
    found = fit(tables[0], tables[2], prior_knowledge=dosift.PriorKnowledge(forbidden=["other"]))
    assert "other" not in touched(found)
    assert found.verdict_.value != "stands"
    assert found.verdict_.repairs[0]["rows"] == "foreign"


@pytest.mark.long
def test_the_command_writes_and_reads_the_same(
    tmp_path: Path,
    model: dosift.InterventionMixture,
    tables: tuple[pl.DataFrame, Any, pl.DataFrame],
) -> None:
    paths = {name: tmp_path / f"{name}.csv" for name in ("rows", "control", "graph", "assigned")}
    tables[0].write_csv(paths["rows"])
    tables[2].write_csv(paths["control"])
    lines = [f"{parent},{child}" for parent, child in EDGES]
    paths["graph"].write_text("\n".join(["parent,child", *lines]) + "\n")
    out = tmp_path / "out"
    arguments = ["fit", paths["rows"], "--graph", paths["graph"], "--control", paths["control"]]
    arguments += ["--counts", "d", "--no-negative-control", "-o", out]
    run = command(arguments)
    assert run.exit_code == 0, run.output
    assert "line of their own" in run.output
    back = read_result(out)
    assert back.mixture.targets == model.mixture_.targets
    # Numbers are written in the units of the columns.
    again, own = back.network.other, model.network_.other
    assert again is not None
    assert own is not None
    values = model.network_.working(tables[0].to_numpy())
    assert np.allclose(again.log_density(values), own.log_density(values), atol=1e-9)
    of_rows = pl.read_parquet(out / "rows.parquet")
    share = touched(model)["other"]
    assert of_rows["from_elsewhere"].sum() == pytest.approx(share * N_ROWS, rel=1e-3)
    arguments = ["assign", out, paths["rows"], "-o", paths["assigned"]]
    run = command(arguments)
    assert run.exit_code == 0, run.output
    assert pl.read_csv(paths["assigned"])["target"].to_list() == of_rows["target"].to_list()
    run = command(["check", out / "network.json", "--mixture", out / "mixture.json"])
    assert run.exit_code == 0, run.output
    content = json.loads((out / "result.json").read_text())
    curves = {curve["of"] for one in content["densities"] for curve in one["curves"]}
    assert "other" in curves
    assert "rows from elsewhere" in (out / "report.html").read_text()


def test_resamples_have_them_too(
    model: dosift.InterventionMixture, tables: tuple[pl.DataFrame, Any, pl.DataFrame]
) -> None:
    found = dosift.bootstrap(model, tables[0], n_resamples=3, search=False)
    (line,) = found.summary().filter(pl.col("target") == "other").iter_rows(named=True)
    assert line["share_found"] == 1.0
    assert 0 < line["std_error"] < 0.05


@pytest.mark.long
def test_all_rows_of_a_unit_come_from_elsewhere_or_none() -> None:
    rng = np.random.default_rng(14)
    control = drawn(rng, N_CONTROL, False)
    which, foreign = rng.random(700), rng.random(700) < FOREIGN
    pairs = [drawn(rng, 700, True, which) for _ in range(2)]
    pairs = [with_foreign(rng, own, foreign=foreign)[0] for own in pairs]
    unit = np.tile(np.arange(700), 2)
    model = fit(pl.concat(pairs), control, unit=unit)
    assert touched(model)["other"] == pytest.approx(foreign.mean(), abs=0.015)


@pytest.mark.long
def test_a_row_with_a_label_does_not_come_from_elsewhere() -> None:
    rng = np.random.default_rng(16)
    control = drawn(rng, N_CONTROL, False)
    rows, foreign = with_foreign(rng, drawn(rng, N_ROWS, True))
    is_a = ((rows["a"] - 3.0).abs() < 0.5).to_numpy() & ~foreign & (rng.random(N_ROWS) < 0.2)
    labels = np.where(is_a, "free(a)", None).tolist()
    model = fit(rows, control, labels=labels, random_labels=False)
    assert touched(model)["other"] == pytest.approx(foreign[~is_a].mean(), abs=0.02)
    assert set(touched(model)) == {*TRUTH, "other"}


@pytest.mark.long
def test_missing_values_are_summed_out() -> None:
    rng = np.random.default_rng(13)
    control = drawn(rng, N_CONTROL, False)
    rows, foreign = with_foreign(rng, drawn(rng, N_ROWS, True))
    holes = rows.with_columns(
        pl.when(pl.Series(rng.random(N_ROWS) > 0.1)).then(pl.col("b")).alias("b")
    )
    assert touched(fit(holes, control))["other"] == pytest.approx(foreign.mean(), abs=0.02)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"mean": 1.0}, "a number needs"),
        ({"mean": 1.0, "sd": -1.0}, "a number needs"),
        ({"low": 2.0, "high": 1.0}, "a number needs"),
    ],
)
def test_malformed_files_are_refused(
    model: dosift.InterventionMixture, numbers: dict[str, float], message: str
) -> None:
    content = model.mixture_.to_dict()
    (other,) = [one for one in content["components"] if "other" in one]
    looks = other["other"]
    looks = looks[0]["of"] if isinstance(looks, list) else looks
    looks["a"] = numbers
    with pytest.raises(InputError, match=message):
        dosift.simulate(model.network_, dosift.Mixture.from_dict(content), 10)
