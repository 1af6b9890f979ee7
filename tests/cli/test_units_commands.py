"""The command on rows that come in units, as a user types it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

import command
import dosift
from dosift.errors import InputError
from dosift.results.folder import read_result
from drawn_units import UnitProblem, in_units, unit_problem


def run(*arguments: object) -> int:
    from dosift.cli.app import app

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return int(status or 0)


@pytest.fixture(scope="module")
def problem() -> UnitProblem:
    drawn = unit_problem(3, n_targets=4)
    return in_units(drawn.network, drawn.mixture, [1, 2, 3] * 150, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, problem: UnitProblem) -> Path:
    """Rows in order of time, their unit in the first column; one row has none."""
    out = tmp_path_factory.mktemp("units")
    dosift.write_network(problem.network, out / "net.bif")
    rows = problem.rows.select("unit", pl.exclude("unit"))
    rows = rows.with_columns(
        pl.when(pl.col("unit") == "u0").then(None).otherwise("unit").alias("unit")
    )
    rows.write_csv(out / "rows.csv")
    return out


@pytest.fixture(scope="module")
def result(folder: Path) -> Path:
    status = run("fit", folder / "net.bif", folder / "rows.csv", "--unit", "unit", "-q",
                 "-o", folder / "out")  # fmt: skip
    assert status == 0
    return folder / "out"


def test_the_fit_is_that_of_the_estimator(folder: Path, result: Path, problem: UnitProblem) -> None:
    rows = pl.read_csv(folder / "rows.csv", infer_schema=False)
    model = dosift.InterventionMixture(problem.network).fit(rows, unit="unit")
    found = read_result(result)
    assert found.mixture.targets == model.mixture_.targets
    np.testing.assert_allclose(list(found.mixture.weights), model.weights_, atol=1e-12)
    assert dosift.evaluate(problem.mixture, found.mixture).recall == 1.0
    diagnostics = found.content["diagnostics"]
    assert (diagnostics["n_rows"], diagnostics["n_units"]) == (900, 450)
    assert found.content["settings"]["unit"] == "unit"
    assert "units" in (result / "report.html").read_text(encoding="utf-8")


def test_what_is_written_of_rows_and_units(folder: Path, result: Path, capsys: Any) -> None:
    rows = pl.read_csv(folder / "rows.csv", infer_schema=False)
    of_rows = pl.read_parquet(result / "rows.parquet")
    of_units = pl.read_parquet(result / "units.parquet")
    assert of_rows["unit"].equals(rows["unit"])
    order = rows["unit"].drop_nulls().unique(maintain_order=True).to_list()
    assert of_units["unit"].drop_nulls().to_list() == order
    assert of_units["n_rows"].sum() == 900
    assert of_units["unit"].null_count() == rows["unit"].null_count() == 1
    joined = of_rows.drop_nulls("unit").join(of_units, on="unit")
    assert (joined["target"] == joined["target_right"]).all()
    args = (folder / "net.bif", folder / "rows.csv", "--unit", "unit", "-o", folder / "told")
    assert run("fit", *args) == 0
    shown = capsys.readouterr().out
    assert "450 units of 900 rows" in shown
    assert "units.parquet" in shown


def test_new_rows_are_assigned_by_unit(folder: Path, result: Path) -> None:
    new = folder / "new.csv"
    assert run("assign", result, folder / "rows.csv", "--unit", "unit", "-o", new, "-q") == 0
    own = pl.read_parquet(result / "rows.parquet")
    found = pl.read_csv(new, schema=own.schema)
    assert found.select("unit", "target").equals(own.select("unit", "target"))
    np.testing.assert_allclose(found["probability"], own["probability"], atol=1e-9)
    alone = folder / "alone.csv"
    rows = pl.read_csv(folder / "rows.csv", infer_schema=False)
    rows.drop("unit").write_csv(folder / "without.csv")
    assert run("assign", result, folder / "without.csv", "-o", alone, "-q") == 0
    single = pl.read_csv(alone)
    assert "unit" not in single.columns
    assert single["probability"].mean() < found["probability"].mean()


def test_many_rows_are_read_in_parts(
    folder: Path, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_MANY_ROWS", "_MANY_BYTES"):
        monkeypatch.setattr(f"dosift.data.read.{name}", 10)
    for name in ("_LEAST_ROWS", "_MOST_ROWS"):
        monkeypatch.setattr(f"dosift.data.blocks.{name}", 100)
    args = (folder / "net.bif", folder / "rows.csv", "--unit", "unit", "-q")
    assert run("fit", *args, "-o", folder / "parts") == 0
    for name in ("rows.parquet", "units.parquet"):
        found, own = (pl.read_parquet(out / name) for out in (folder / "parts", result))
        assert_frame_equal(found, own, abs_tol=1e-9)
    new = folder / "parts.csv"
    assert run("assign", result, folder / "rows.csv", "--unit", "unit", "-o", new, "-q") == 0
    own = pl.read_parquet(result / "rows.parquet")
    assert pl.read_csv(new)["target"].equals(own["target"])


def test_rows_from_standard_input(folder: Path, result: Path) -> None:
    asked = ["fit", "net.bif", "-", "--unit", "unit", "-o", "piped", "--json"]
    done = command.run(*asked, cwd=folder, stdin=(folder / "rows.csv").read_bytes())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["diagnostics"]["n_units"] == 450
    of_units = pl.read_parquet(folder / "piped" / "units.parquet")
    assert of_units.equals(pl.read_parquet(result / "units.parquet"))


def write(folder: Path, **columns: list[str]) -> Path:
    """Write some rows with further columns beside them."""
    rows = pl.read_csv(folder / "rows.csv", infer_schema=False).drop("unit").head(6)
    path = folder / "some.csv"
    rows.with_columns(**{name: pl.Series(values) for name, values in columns.items()}).write_csv(
        path
    )
    return path


CLONES = list("xyxzyy")


def test_a_column_that_is_not_there(folder: Path, result: Path) -> None:
    for asked in (("fit", folder / "net.bif"), ("assign", result)):
        with pytest.raises(InputError, match="no column 'clon'") as caught:
            run(*asked, write(folder, clone=CLONES), "--unit", "clon", "-o", folder / "x.csv")
        assert "some.csv" in str(caught.value)
        assert "clone" in str(caught.value)


@pytest.mark.parametrize("many", [False, True])
def test_a_unit_is_of_one_batch_and_has_one_label(
    folder: Path, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:
        for name in ("_MANY_ROWS", "_MANY_BYTES"):
            monkeypatch.setattr(f"dosift.data.read.{name}", 2)
    path = write(folder, clone=CLONES, day=list("aaabbb"))
    args = ("fit", folder / "net.bif", path, "--unit", "clone", "-q", "-o", folder / "x")
    with pytest.raises(InputError, match="'y' is in batch 'a' in data row 2 and in 'b' in data"):
        run(*args, "--batch", "day")
    first = pl.read_csv(folder / "rows.csv", infer_schema=False).columns[1]
    states = dosift.read_network(folder / "net.bif").variables[0].states
    told = [f"do({first}={state})" for state in states[:2]]
    write(folder, clone=CLONES, told=["", told[0], "", "", "", told[1]])
    message = r"'y' has the label .* in data row 2 and .* in data row 6"
    with pytest.raises(InputError, match=message):
        run(*args, "--labels", "told")
    assert not (folder / "x").exists()


# Numbers.


def measured(hit: NDArray[np.int64], size: int, rng: np.random.Generator) -> pl.DataFrame:
    """A chain of three measurements; in units hit by 1 or 2 an end of it is moved by little."""
    unit = np.repeat(np.arange(len(hit)), size)
    of_row, noise = hit[unit], rng.normal(size=(len(unit), 3))
    a = noise[:, 0] + 1.2 * (of_row == 1)
    b = 0.8 * a + 0.6 * noise[:, 1]
    c = -0.7 * b + 0.7 * noise[:, 2] + 1.0 * (of_row == 2)
    order = rng.permutation(len(unit))
    table = pl.DataFrame({"a": a, "b": b, "c": c, "clone": [f"c{k}" for k in unit]})
    return table[order.tolist()]


def test_measurements_in_units(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    control = measured(np.zeros(2000, dtype=int), 1, rng)
    control.drop("clone").write_csv(tmp_path / "control.csv")
    hit = rng.choice(3, 250, p=[0.5, 0.3, 0.2])
    measured(hit, 8, rng).write_csv(tmp_path / "rows.csv")
    (tmp_path / "edges.csv").write_text("parent,child\na,b\nb,c\n")
    args = ("fit", tmp_path / "rows.csv", "--control", tmp_path / "control.csv", "--graph",
            tmp_path / "edges.csv", "--unit", "clone", "-q")  # fmt: skip
    assert run(*args, "-o", tmp_path / "out") == 0
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    assert content["diagnostics"]["n_units"] == 250
    of_units = pl.read_parquet(tmp_path / "out" / "units.parquet")
    own = of_units.with_columns(
        pl.col("unit").str.strip_prefix("c").cast(pl.Int64).alias("k")
    ).sort("k")
    told = own["target"].to_list()
    assert len(set(told)) == 3
    # Eight rows tell what one row could not.
    truth = {text: hit[np.array([t == text for t in told])] for text in set(told)}
    right = sum(int(np.bincount(own).max()) for own in truth.values())
    assert right / 250 > 0.9
    shares = sorted(len(own) / 250 for own in truth.values())
    np.testing.assert_allclose(shares, [0.2, 0.3, 0.5], atol=0.1)
    weights = pl.read_csv(tmp_path / "out" / "components.csv")
    np.testing.assert_allclose(sorted(weights["weight"]), sorted(np.bincount(hit) / 250), atol=0.05)
    new = tmp_path / "new.csv"
    status = run("assign", tmp_path / "out", tmp_path / "rows.csv", "--unit", "clone", "-o", new,
                 "-q")  # fmt: skip
    assert status == 0
    of_rows = pl.read_parquet(tmp_path / "out" / "rows.parquet")
    assert pl.read_csv(new)["target"].equals(of_rows["target"])
