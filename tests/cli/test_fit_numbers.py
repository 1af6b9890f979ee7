"""The command on tables of measurements, counts and states, as a user types it."""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import command

GRAPH = "parent,child\nregion,traffic\ntraffic,db\ntraffic,cache\ndb,api\ncache,api\napi,errors\n"
SETS = [set(), {"db"}, {"cache", "errors"}, {"api"}]


def telemetry(n_rows: int, fault: set[str], rng: np.random.Generator) -> pl.DataFrame:
    """Latencies, an error rate, traffic and a region, with a fault."""
    region = rng.integers(3, size=n_rows)
    traffic = np.exp(rng.normal(5.0, 0.3, n_rows) + 0.2 * region)
    db = np.exp(0.5 + 0.3 * np.log(traffic) + 0.2 * rng.normal(size=n_rows))
    db *= 2.5 if "db" in fault else 1.0
    cache = np.exp(0.2 * np.log(traffic) + 0.25 * rng.normal(size=n_rows))
    if "cache" in fault:
        cache = np.exp(3.0 + 0.1 * rng.normal(size=n_rows))
    api = np.exp(0.4 * np.log(db) + 0.4 * np.log(cache) + 0.15 * rng.normal(size=n_rows))
    api *= 2.5 if "api" in fault else 1.0
    odds = -5.0 + 0.8 * np.log(api) + 0.3 * rng.normal(size=n_rows)
    if "errors" in fault:
        odds = -1.0 + 0.3 * rng.normal(size=n_rows)
    columns: dict[str, Any] = {"region": np.array(["eu", "us", "asia"])[region]}
    columns |= {"traffic": traffic, "db": db, "cache": cache, "api": api}
    return pl.DataFrame({**columns, "errors": 1 / (1 + np.exp(-odds))})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("telemetry")
    rng = np.random.default_rng(5)
    telemetry(1500, set(), rng).write_csv(out / "control.csv")
    parts = [telemetry(n, s, rng) for n, s in zip((600, 240, 180, 180), SETS, strict=True)]
    rows = pl.concat(parts)[rng.permutation(1200).tolist()]
    rows.write_csv(out / "rows.csv")
    rows.write_parquet(out / "rows.parquet")
    (out / "edges.csv").write_text(GRAPH)
    return out


def told_by(*arguments: object) -> tuple[int, str]:
    """Run the command; its status, and what its notices say."""
    from dosift.cli.app import app

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        status = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return int(status or 0), " ".join(str(one.message) for one in caught)


def run(*arguments: object) -> int:
    return told_by(*arguments)[0]


def inputs(folder: Path, rows: str = "rows.csv") -> list[object]:
    out: list[object] = [folder / rows if rows != "-" else rows]
    return [*out, "--graph", folder / "edges.csv", "--control", folder / "control.csv"]


@pytest.fixture(scope="module")
def result(folder: Path) -> Iterator[Path]:
    status = run("fit", *inputs(folder), "-o", folder / "out")
    assert status == 0
    return folder / "out"


def sets_of(result: Path) -> list[set[str]]:
    told = json.loads((result / "mixture.json").read_text())["components"]
    return [{name for kind, own in one.items() if kind != "weight" for name in own} for one in told]


def test_the_tables_name_faults_in_the_users_units(result: Path) -> None:
    assert sorted(map(sorted, sets_of(result))) == sorted(map(sorted, SETS))
    lines = pl.read_csv(result / "variables.csv").filter(pl.col("what").is_not_null())
    told = {
        (variable, what): (low, high)
        for variable, what, low, high in lines.select(
            "variable", "what", "estimate_ci_low", "estimate_ci_high"
        ).iter_rows()
    }
    low, high = told["db", "factor"]
    assert low < 2.5 < high
    low, high = told["cache", "mean"]
    assert low < np.exp(3.0 + 0.1**2 / 2) < high
    low, high = told["errors", "mean"]
    assert 0.25 < low < high < 0.3


def test_the_page_shows_them(result: Path) -> None:
    page = re.sub("<[^>]*>", " ", (result / "report.html").read_text(encoding="utf-8"))
    page = re.sub(r"\s+", " ", page)
    components = pl.read_csv(result / "components.csv")["target"].to_list()
    assert all(text in page for text in components)
    for words in ("What was done to numbers", "on a logarithmic scale", "factor 2.", "mean 20."):
        assert words in page
    assert " nan" not in page.lower()


def test_rows_are_named_by_the_lines_of_the_table(result: Path, folder: Path) -> None:
    rows = pl.read_parquet(result / "rows.parquet")
    assert set(rows["target"]) <= set(pl.read_csv(result / "components.csv")["target"])
    assert run("assign", result, folder / "rows.csv", "-o", folder / "new.csv", "-q") == 0
    assert pl.read_csv(folder / "new.csv")["target"].to_list() == rows["target"].to_list()


def test_the_mixture_is_evaluated_and_reported(result: Path, folder: Path, capsys: Any) -> None:
    assert run("evaluate", result / "mixture.json", result / "mixture.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["recall"] == 1.0
    assert run("report", result, "-o", folder / "page.html") == 0
    assert (folder / "page.html").stat().st_size > 10_000


@pytest.mark.long
@pytest.mark.parametrize("rows", ["rows.parquet", "-"])
def test_other_ways_in(
    rows: str, folder: Path, result: Path, monkeypatch: Any, capsys: Any
) -> None:
    """Of which ``--json`` prints all that is printed."""
    if rows == "-":
        raw = io.BytesIO((folder / "rows.csv").read_bytes())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    out = folder / f"out of {rows}"
    assert run("fit", *inputs(folder, rows), "-o", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["size"] for one in told["components"]} == {0, 1, 2}
    same = [pl.read_csv(one / "components.csv")["weight"] for one in (out, result)]
    np.testing.assert_allclose(*same, atol=1e-6)


@pytest.mark.long
def test_kinds_of_change_are_chosen(folder: Path) -> None:
    out = folder / "out of set"
    assert run("fit", *inputs(folder), "--changes", "set", "-o", out) in (0, 3)
    told = json.loads((out / "mixture.json").read_text())["components"]
    assert {kind for one in told for kind in one} <= {"do", "set", "weight"}
    assert any("set" in one for one in told)


# Bad input: one clear error, or a stated fallback.


def table(n_rows: int, rng: np.random.Generator) -> pl.DataFrame:
    a = rng.normal(10.0, 2.0, n_rows)
    b = 2 * a + rng.normal(size=n_rows)
    return pl.DataFrame(
        {"a": a, "b": b, "c": b + rng.normal(size=n_rows), "k": rng.poisson(5.0, n_rows)}
    )


def bad(frame: pl.DataFrame, column: str, value: str, row: int = 7) -> pl.DataFrame:
    texts = [str(v) for v in frame[column]]
    texts[row] = value
    return frame.with_columns(pl.Series(column, texts))


CONTROL, ROWS = table(300, np.random.default_rng(0)), table(200, np.random.default_rng(1))
TEXTS = pl.Series("b", ["low", "high"] * 100)

#: What is wrong: control rows, rows, and what the message says.
BAD = {
    "text in control": (bad(CONTROL, "b", "high"), ROWS, ("control.csv", "'b'", "'high'", "row 8")),
    "text in rows": (CONTROL, bad(ROWS, "b", "high"), ("rows.csv", "'b'", "'high'", "row 8")),
    "infinite in control": (bad(CONTROL, "b", "inf"), ROWS, ("control.csv", "'b'", "row 8")),
    "infinite in rows": (CONTROL, bad(ROWS, "b", "-inf"), ("rows.csv", "'b'", "row 8")),
    "too large": (CONTROL, bad(ROWS, "b", "1e400"), ("rows.csv", "'b'", "row 8")),
    "too far away": (CONTROL, bad(ROWS, "b", "1e200"), ("rows.csv", "'b'", "row 8", "too large")),
    "missing in control": (bad(CONTROL, "b", ""), ROWS, ("control.csv", "'b'", "row 8")),
    "marked as missing": (CONTROL, bad(ROWS, "b", "NA"), ("rows.csv", "'NA'", "leave the cell")),
    "negative count": (CONTROL, bad(ROWS, "k", "-3"), ("rows.csv", "'k'", "-3", "row 8")),
    "half a count": (bad(CONTROL, "k", "2.5"), ROWS, ("control.csv", "'k'", "2.5", "row 8")),
    "texts in rows alone": (CONTROL, ROWS.with_columns(TEXTS), ("rows.csv", "'b'", "'low'")),
    "texts in control alone": (
        CONTROL[:200].with_columns(TEXTS),
        ROWS,
        ("rows.csv", "'b'", "states in the control rows"),
    ),
    "no control rows": (CONTROL[:0], ROWS, ("control.csv", "no rows")),
}


def written(folder: Path, control: pl.DataFrame, rows: pl.DataFrame) -> list[object]:
    control.write_csv(folder / "control.csv")
    rows.write_csv(folder / "rows.csv")
    (folder / "edges.csv").write_text("parent,child\na,b\nb,c\na,k\n")
    return [*inputs(folder), "--counts", "k"]


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_refused(name: str, tmp_path: Path) -> None:
    from dosift.errors import InputError

    control, rows, words = BAD[name]
    with pytest.raises(InputError) as caught:
        run("fit", *written(tmp_path, control, rows), "-o", tmp_path / "out")
    told = str(caught.value)
    assert all(word in told for word in words), told
    assert not (tmp_path / "out").exists()


def test_a_refusal_is_one_line_and_status_2(tmp_path: Path) -> None:
    arguments = written(tmp_path, *BAD["text in rows"][:2])
    done = command.run("fit", *arguments, "-o", tmp_path / "out", "-q")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


CONSTANT = pl.lit(3.5).alias("b")
TWICE = (2.0 * pl.col("a")).alias("b")

#: What has a stated fallback: control rows, rows, and what a notice says (or nothing).
WEAK: dict[str, tuple[Any, ...]] = {
    "constant in control": (CONTROL.with_columns(CONSTANT), ROWS, "same value in all control rows"),
    "constant in rows": (CONTROL, ROWS.with_columns(CONSTANT), ""),
    "constant in both": (
        CONTROL.with_columns(CONSTANT),
        ROWS.with_columns(CONSTANT),
        "same value in all control rows",
    ),
    "no noise": (
        CONTROL.with_columns(TWICE),
        ROWS.with_columns(TWICE),
        "follows from its parents exactly",
    ),
    "three control rows": (CONTROL[:3], ROWS, "control rows are few"),
    "one row": (CONTROL, ROWS[:1], ""),
    "large numbers": (*(one.with_columns(pl.col("b") * 1e300) for one in (CONTROL, ROWS)), ""),
    "small numbers": (*(one.with_columns(pl.col("b") * 1e-300) for one in (CONTROL, ROWS)), ""),
    "far from zero": (*(one.with_columns(pl.col("b") + 1e12) for one in (CONTROL, ROWS)), ""),
    "missing in rows": (CONTROL, bad(ROWS, "b", ""), ""),
}


@pytest.mark.long
@pytest.mark.parametrize("name", WEAK)
def test_weak_tables_have_a_stated_fallback(name: str, tmp_path: Path) -> None:
    control, rows, words = WEAK[name]
    out = tmp_path / "out"
    status, told = told_by("fit", *written(tmp_path, control, rows), "-o", out)
    assert status in (0, 3)
    assert words in told
    for path in out.iterdir():
        if path.suffix in (".csv", ".json"):
            text = path.read_text(encoding="utf-8")
            assert "NaN" not in text
            assert "Infinity" not in text
            assert ",inf" not in text


def test_collinear_parents_are_told(tmp_path: Path) -> None:
    both = [one.with_columns((2.0 * pl.col("a") + 1.0).alias("d")) for one in (CONTROL, ROWS)]
    arguments = written(tmp_path, *both)
    (tmp_path / "edges.csv").write_text("parent,child\na,d\na,b\nd,b\nb,c\na,k\n")
    status, told = told_by("fit", *arguments, "-o", tmp_path / "out")
    assert status == 0
    assert "do not vary apart" in told
    assert sets_of(tmp_path / "out") == [set()]
