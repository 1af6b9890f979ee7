"""Labels of rows of numbers: what they may say, what they teach, and what they leave open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")

GRAPH = [("gene", "a"), ("a", "b")]
N_ROWS, N_KNOWN = 1500, 80


def drawn(n_rows: int, rng: np.random.Generator, *, moved: float = 0.0, on: bool = False) -> Any:
    gene = np.ones(n_rows, dtype=int) if on else (rng.random(n_rows) < 0.3).astype(int)
    a = 0.8 * gene + 0.6 * rng.normal(size=n_rows) + moved
    b = 0.7 * a + 0.5 * rng.normal(size=n_rows)
    return pl.DataFrame({"gene": np.array(["off", "on"])[gene], "a": 10 + 2 * a, "b": b})


def problem(seed: int, moved: float, share: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Control rows; and rows of which some have `a` moved, with labelled ones of these at the end.

    `a` is moved by `moved` times its noise.
    """
    rng = np.random.default_rng(seed)
    n, by = round(share * N_ROWS), 0.6 * moved
    rows = pl.concat([drawn(N_ROWS - n, rng), drawn(n, rng, moved=by)])
    known = drawn(N_KNOWN, rng, moved=by).with_columns(known=pl.lit("a"))
    together = pl.concat([rows.with_columns(known=pl.lit("")), known])
    return drawn(1500, rng), together


def fitted(control: pl.DataFrame, rows: pl.DataFrame, **beside: Any) -> Any:
    model = dosift.InterventionMixture(random_state=0)
    return model.fit(rows, control=control, graph=GRAPH, **{"labels": "known", **beside})


def line_of_a(model: Any) -> dict[str, Any]:
    at = [str(t) for t in model.targets_ if set(t) == {"a"}]
    assert at
    named = model.components_.filter(pl.col("target").is_in(at))
    assert named.height == 1
    return dict(named.row(0, named=True))


def test_a_change_that_is_weak_and_rare_is_found_by_its_labels() -> None:
    control, rows = problem(1, moved=1.5, share=0.03)
    without = fitted(control, rows.filter(pl.col("known") == "").drop("known"), labels=None)
    assert not any(set(t) == {"a"} for t in without.targets_)
    model = fitted(control, rows)
    line = line_of_a(model)
    assert line["ci_low"] <= 0.03 <= line["ci_high"] < 0.08
    changed = model.variables_.filter(pl.col("what") == "by").row(0, named=True)
    assert changed["estimate"] == pytest.approx(1.8, abs=3 * changed["estimate_std_error"])
    assert changed["estimate_std_error"] < 0.25


def test_a_label_stays_though_no_other_row_is_of_it() -> None:
    control, rows = problem(2, moved=3.0, share=0.0)
    line = line_of_a(fitted(control, rows))
    assert line["weight"] < 0.01


@pytest.mark.slow
def test_intervals_hold_the_truth_beside_labels() -> None:
    weights = shifts = 0
    n_seeds, share = 60, 0.1
    for seed in range(n_seeds):
        control, rows = problem(seed, moved=2.0, share=share)
        model = fitted(control, rows)
        line = line_of_a(model)
        weights += line["ci_low"] <= share <= line["ci_high"]
        own = model.variables_.filter(pl.col("variable") == "a", pl.col("what") == "by")
        ends = own.select("estimate_ci_low", "estimate_ci_high").row(0)
        shifts += ends[0] <= 2.4 <= ends[1]
    assert weights >= 0.88 * n_seeds
    assert shifts >= 0.88 * n_seeds


TEXTS = ["a", "free(a)", "shift(a+3)", "set(a~12+-1)", "do(a=12)", ' "a" ']


@pytest.mark.parametrize("texts", [TEXTS[1:4:2], pytest.param(TEXTS, marks=pytest.mark.long)])
def test_all_ways_to_write_a_label_say_the_same(texts: list[str]) -> None:
    control, rows = problem(3, moved=4.0, share=0.2)
    rows = rows.head(700).vstack(rows.tail(120))
    found = []
    for text in texts:
        told = rows.with_columns(
            known=pl.when(pl.col("known") == "a").then(pl.lit(text)).otherwise(pl.lit(""))
        )
        model = fitted(control, told)
        assert [str(t) for t in model.labels_.targets] == ["free(a)"]
        found.append(model.weights_)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("zz", "known.* in data row 11.*no variable 'zz'"),
        ("free(genes)", "did you mean 'gene'"),
        ("do(gene=up)", "data row 11.*up"),
        ("do(gene=off)", r"sets 'gene' to 'off', but the row has 'on'"),
        ("do(a=low)", "'a' is a number"),
        ("shift(a", "data row 11"),
    ],
)
def test_labels_that_cannot_be_say_where(text: str, message: str) -> None:
    control, _ = problem(4, moved=3.0, share=0.1)
    rng = np.random.default_rng(9)
    rows = pl.concat([drawn(10, rng), drawn(300, rng, on=True)])
    rows = rows.with_columns(known=pl.Series([""] * 10 + [text] + [""] * 299))
    with pytest.raises(InputError, match=message):
        fitted(control, rows)


def test_labels_and_what_is_known_must_agree() -> None:
    control, rows = problem(5, moved=3.0, share=0.1)
    known = dosift.PriorKnowledge(non_manipulable=["a"])
    model = dosift.InterventionMixture(prior_knowledge=known)
    with pytest.raises(InputError, match=r"rows are labelled free\(a\), but it sets 'a'"):
        model.fit(rows, control=control, graph=GRAPH, labels="known")
    every = rows.with_columns(known=pl.lit("a"))
    with pytest.raises(InputError, match="labels every row"):
        fitted(control, every)


def test_labelled_rows_may_lack_values() -> None:
    control, rows = problem(6, moved=4.0, share=0.1)
    rng = np.random.default_rng(1)
    lost = pl.Series(rng.random(rows.height) < 0.1)
    rows = rows.with_columns(b=pl.when(~lost).then(pl.col("b")))
    for random in (False, True):
        line = line_of_a(fitted(control, rows, random_labels=random))
        n = rows.height if random else N_ROWS
        wanted = (0.1 * N_ROWS + random * N_KNOWN) / n
        assert line["weight"] == pytest.approx(wanted, abs=0.025)


def test_labels_of_states_and_of_no_change() -> None:
    control, rows = problem(7, moved=4.0, share=0.2)
    rng = np.random.default_rng(3)
    more = [
        drawn(300, rng, on=True).with_columns(known=pl.lit("")),
        drawn(50, rng, on=True).with_columns(known=pl.lit("do(gene=on)")),
        drawn(50, rng).with_columns(known=pl.lit("do()")),
        drawn(50, rng, moved=2.4, on=True).with_columns(known=pl.lit("do(gene=on), free(a)")),
    ]
    model = fitted(control, pl.concat([rows, *more]))
    sets = {frozenset(t) for t in model.targets_}
    assert sets >= {frozenset(), frozenset({"a"}), frozenset({"gene"}), frozenset({"a", "gene"})}


def test_the_rows_table_shows_labels_by_the_components_texts(tmp_path: Path) -> None:
    control, rows = problem(8, moved=4.0, share=0.2)
    control.write_csv(tmp_path / "control.csv")
    rows.write_csv(tmp_path / "rows.csv")
    (tmp_path / "edges.csv").write_text("parent,child\ngene,a\na,b\n")
    arguments = ["fit", tmp_path / "rows.csv", "--control", tmp_path / "control.csv"]
    arguments += ["--graph", tmp_path / "edges.csv", "--labels", "known", "-o", tmp_path / "out"]
    status = CliRunner().invoke(app, [*map(str, arguments), "--quiet"])
    assert status.exit_code == 0, status.output
    told = pl.read_parquet(tmp_path / "out" / "rows.parquet").filter(pl.col("labelled"))
    assert told.height == N_KNOWN
    shown = pl.read_csv(tmp_path / "out" / "components.csv")["target"].to_list()
    assert set(told["target"]) == {text for text in shown if text.startswith("shift(a")}
    assert (told["probability"] == 1.0).all()


@pytest.mark.long
@pytest.mark.parametrize("edges", ["repair", "learn"])
def test_labels_go_with_graphs_that_rows_may_change(edges: str) -> None:
    control, rows = problem(11, moved=4.0, share=0.2)
    model = dosift.InterventionMixture(edges=edges, random_state=0)
    graph = None if edges == "learn" else [("gene", "a"), ("gene", "b")]
    model.fit(rows, control=control, graph=graph, labels="known")
    assert line_of_a(model)["weight"] == pytest.approx(0.2, abs=0.03)
    assert ("a", "b") in model.network_.edges
