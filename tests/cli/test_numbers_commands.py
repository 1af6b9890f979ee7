"""Fit, assign, evaluate and report of numbers, by the command, agree with each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command import run
from dosift import Mixture, change, do, evaluate, parse_target


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sensor and what it drives; a third of the rows have the sensor at one of two places."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(0)

    def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
        sensor = rng.normal(20.0, 2.0, n)
        return sensor, 5.0 + 0.8 * sensor + rng.normal(0.0, 1.0, n)

    control = pl.DataFrame(dict(zip(("sensor", "output"), rows(600), strict=True)))
    sensor, noise = rows(900)[0], rng.normal(0.0, 1.0, 900)
    sensor[:150], sensor[150:300] = rng.normal(35.0, 0.5, 150), rng.normal(5.0, 0.5, 150)
    output = 5.0 + 0.8 * sensor + noise
    output[300:420] += 9.0
    pool = pl.DataFrame({"sensor": sensor, "output": output})
    control.write_csv(folder / "control.csv")
    pool.write_csv(folder / "pool.csv")
    (folder / "edges.csv").write_text("parent,child\nsensor,output\n")
    Mixture(
        {do(): 480 / 900, change(set={"sensor": (35, 0.5)}): 150 / 900,
         change(set={"sensor": (5, 0.5)}): 150 / 900, change(shift={"output": 9.0}): 120 / 900}
    ).write(folder / "truth.json")  # fmt: skip
    done = run(
        "fit", "pool.csv", "--graph", "edges.csv", "--control", "control.csv", "-o", "out",
        "--all-probabilities", cwd=folder,
    )  # fmt: skip
    assert done.returncode in (0, 3), done.stderr
    return folder


def test_tables_rows_and_mixture_agree(folder: Path) -> None:
    components = pl.read_csv(folder / "out/components.csv")
    lines = components["target"].to_list()
    rows = pl.read_parquet(folder / "out/rows.parquet")
    assert set(rows["target"]) <= set(lines)
    assert rows.columns[-len(lines) :] == lines
    mixture = Mixture.read(folder / "out/mixture.json")
    assert sum(mixture.weights) == pytest.approx(1.0)
    sets = [frozenset(parse_target(text)) for text in lines]
    assert len(set(sets)) == len(sets)
    for own, weight in zip(sets, components["weight"], strict=True):
        weights = [w for t, w in mixture.items() if set(t) == own]
        assert sum(weights) == pytest.approx(weight)
    totals = pl.read_csv(folder / "out/variables.csv")
    sensor = totals.filter(
        (pl.col("variable") == "sensor") & (pl.col("value").fill_null("") == "")
    )["rate"]
    assert sensor.item() == pytest.approx(300 / 900, abs=0.03)
    shift = totals.filter(pl.col("kind") == "shift").row(0, named=True)
    assert shift["estimate_ci_low"] < 9.0 < shift["estimate_ci_high"]


def test_new_rows_are_judged_as_those_of_the_fit(folder: Path) -> None:
    done = run("assign", "out", "pool.csv", "-o", "again.parquet", "--force", cwd=folder)
    assert done.returncode == 0, done.stderr
    first = pl.read_parquet(folder / "out/rows.parquet")
    again = pl.read_parquet(folder / "again.parquet")
    assert again["target"].to_list() == first["target"].to_list()
    assert again["probability"].to_numpy() == pytest.approx(first["probability"].to_numpy())
    assert again["surprise"].to_numpy() == pytest.approx(first["surprise"].to_numpy())


def test_the_truth_is_found(folder: Path) -> None:
    done = run("evaluate", "truth.json", "out/mixture.json", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert scores["numbers"] == ["output", "sensor"]
    assert scores["recall"] == scores["precision"] == scores["overlap"] == 1.0
    assert scores["tv"] < 0.05
    truth, found = (Mixture.read(folder / p) for p in ("truth.json", "out/mixture.json"))
    assert evaluate(truth, found).to_dict() == scores


def test_the_report_is_the_one_of_the_fit(folder: Path) -> None:
    done = run("report", "out", "-o", "page.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page == (folder / "out/report.html").read_text(encoding="utf-8")
    assert page.count("<figure class='histogram density'>") == 2
