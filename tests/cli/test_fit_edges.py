"""``dosift fit`` with a graph that is given, repaired or learned: what reaches the pipeline."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.cli.edges import tiers_of
from dosift.errors import InputError
from dosift.learning.edge_knowledge import EdgeKnowledge
from dosift.pipeline import Recipe

TRUTH = dosift.random_network(4, n_edges=3, random_state=1)
NOTHING = dosift.Mixture({dosift.do(): 1.0})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files, and the folder that the command is called in."""
    control = dosift.simulate(TRUTH, NOTHING, 300, random_state=2)
    mixture = dosift.Mixture({dosift.do(): 0.6, dosift.do(V1="1"): 0.4})
    rows = dosift.simulate(TRUTH, mixture, 200, random_state=3)
    control.write_csv(tmp_path / "control.csv")
    control.head(9).write_csv(tmp_path / "few.csv")
    control.with_columns(X=pl.lit("x")).write_csv(tmp_path / "wide.csv")
    rows.write_csv(tmp_path / "rows.csv")
    side = {"guide": pl.Series(["g", "h"] * 100)}
    rows.with_columns(**side).write_csv(tmp_path / "guided.csv")
    control.with_columns(guide=pl.lit("g")).write_csv(tmp_path / "guided_control.csv")
    dosift.write_network(TRUTH, tmp_path / "net.bif")
    lines = [f"{parent},{child}" for parent, child in TRUTH.edges]
    (tmp_path / "edges.csv").write_text("\n".join(["parent,child", *lines]) + "\n")
    parent, child = TRUTH.edges[0]
    (tmp_path / "one.csv").write_text(f"{parent},{child}\n")
    (tmp_path / "both.csv").write_text("V1,V4\nV4,V1\n")
    (tmp_path / "cycle.csv").write_text("V1,V2\nV2,V3\nV3,V1\n")
    (tmp_path / "foreign.csv").write_text("V1,V9\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Reached(Exception):  # noqa: N818
    """The pipeline was reached."""


def ask(monkeypatch: pytest.MonkeyPatch, line: str) -> tuple[Recipe, dosift.Network, Any]:
    """Return what the pipeline is given."""
    found: list[Any] = []

    def reached(*arguments: Any) -> None:
        found.extend(arguments)
        raise Reached

    monkeypatch.setattr("dosift.estimator.fit", reached)
    with pytest.raises(Reached):
        call(line)
    return found[0], found[1], found[2]


def call(line: str) -> Any:
    arguments = ["fit", *line.split(), "-o", "out", "--quiet"]
    return CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=False)


GIVEN = "rows.csv --graph edges.csv --control control.csv"


@pytest.mark.parametrize(
    ("line", "edges"),
    [
        ("net.bif rows.csv", "fixed"),
        ("net.bif rows.csv --edges fixed", "fixed"),
        (GIVEN, "fixed"),
        (f"{GIVEN} --edges fixed", "fixed"),
        (f"{GIVEN} --edges repair", "repair"),
        ("rows.csv --control control.csv", "learn"),
        ("rows.csv --control control.csv --edges repair", "learn"),
        ("net.bif rows.csv --control-rows 500", "fixed"),
        ("net.bif rows.csv --control-rows 500 --edges repair", "repair"),
    ],
)
def test_what_rows_may_do_reaches_the_pipeline(
    line: str, edges: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, network, loaded = ask(monkeypatch, line)
    assert recipe.edges == edges
    assert recipe.edge_knowledge == EdgeKnowledge()
    assert set(network.edges) == (set() if edges == "learn" else set(TRUTH.edges))
    assert sorted(network.names) == sorted(TRUTH.names)
    assert loaded.rows.n_rows == 200
    if "--control" in line:
        assert network.control is not None
        assert network.control.rows is not None
        n_control = 500 if "--control-rows" in line else 300
        assert network.control.rows.counts.sum() == pytest.approx(n_control)
    else:
        assert network.control is None


def test_what_is_known_of_edges_reaches_the_pipeline(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (
        "rows.csv --control control.csv --required one.csv --forbidden both.csv --max-parents 2 "
        f"--tiers {TRUTH.edges[0][0]}/{TRUTH.edges[0][1]}"
    )
    known = ask(monkeypatch, line)[0].edge_knowledge
    assert known == EdgeKnowledge(
        (TRUTH.edges[0],),
        (("V1", "V4"), ("V4", "V1")),
        ((TRUTH.edges[0][0],), (TRUTH.edges[0][1],)),
        2,
    )


def test_columns_beside_are_no_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "guided.csv --control guided_control.csv --batch guide"
    _, network, loaded = ask(monkeypatch, line)
    assert network.names == TRUTH.names
    assert loaded.rows.beside.batches == ("g", "h")


@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")  # 200 rows are few
def test_a_result_records_what_was_asked(folder: Path) -> None:
    line = f"{GIVEN} --forbidden both.csv --tiers V2/V9 --max-parents 3"
    with pytest.raises(InputError, match="a tier names 'V9'"):
        call(line)
    assert not (folder / "out").exists()
    call(line.replace("V2/V9", f"{TRUTH.edges[0][0]}/{TRUTH.edges[0][1]}"))
    content = json.loads((folder / "out" / "result.json").read_text())
    settings = content["settings"]
    assert settings["edges"] == "fixed"
    assert settings["required"] is None
    assert settings["forbidden"] == "both.csv"
    assert settings["tiers"] == [[TRUTH.edges[0][0]], [TRUTH.edges[0][1]]]
    assert settings["max_parents"] == 3
    assert settings["control_rows"] is None
    assert "both.csv" in [entry["path"] for entry in content["inputs"]]
    assert "both.csv" in (folder / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{GIVEN} --edges learn", "--edges is 'learn'; choose one of fixed, repair"),
        ("net.bif rows.csv --edges repair", "--control-rows"),
        ("rows.csv --control control.csv --edges fixed", "--edges fixed keeps a graph"),
        (f"{GIVEN} --control-rows 9", "leave one of them out"),
        ("net.bif rows.csv --control-rows 9 --edges repair", "9 control rows are too few"),
        ("rows.csv --graph edges.csv", "--graph and --control belong together"),
        ("net.bif rows.csv --control control.csv", "one file only"),
        ("rows.csv", "ROWS with --control"),
        ("rows.csv --control few.csv", "9 control rows are too few"),
        ("rows.csv --control wide.csv", r"rows.csv: column 'X' is missing.*drop it there"),
        ("rows.csv --control control.csv --graph cycle.csv", r"cycle.csv: .*V1 -> V2"),
        ("rows.csv --control control.csv --graph foreign.csv", r"control.csv: .*no column 'V9'"),
        ("rows.csv --control control.csv --required foreign.csv", "required edge names 'V9'"),
        ("rows.csv --control control.csv --required cycle.csv", "required edges have a cycle"),
        ("rows.csv --control control.csv --required both.csv", "required edges have a cycle"),
        ("rows.csv --control control.csv --forbidden nowhere.csv", "nowhere.csv: there is no"),
        ("rows.csv --control control.csv --tiers V1,V2/V1", "'V1' is in tiers 1 and 2"),
        ("rows.csv --control control.csv --tiers V1//V2", "empty name"),
        (f"{GIVEN} --forbidden one.csv", "which is forbidden"),
        ("rows.csv --control control.csv --method moments", "'moments' takes the graph as given"),
        (f"{GIVEN} --edges repair --interventions any", "explain the same rows"),
    ],
)
def test_what_does_not_go_is_refused_and_nothing_written(
    line: str, words: str, folder: Path
) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(InputError) as caught:
        call(line)
    assert re.search(words, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_edges_and_control_rows_come_through_pipes(folder: Path) -> None:
    line = (
        f"{sys.executable} -m dosift fit rows.csv --control - --graph <(cat edges.csv) "
        "--forbidden <(cat both.csv) -o out -q < control.csv"
    )
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 3}, done.stderr
    content = json.loads((folder / "out" / "result.json").read_text())
    paths = [entry["path"] for entry in content["inputs"]]
    assert paths[0] == "rows.csv"
    assert "-" in paths
    assert sum(path.startswith("/dev/fd/") for path in paths) == 2
    assert content["settings"]["forbidden"].startswith("/dev/fd/")


@pytest.mark.parametrize(
    ("text", "tiers"),
    [
        ("a", [["a"]]),
        (" a , b /c d", [["a", "b"], ["c d"]]),
        ('"a/b","c,d" / "e""f"', [["a/b", "c,d"], ['e"f']]),
        (None, None),
    ],
)
def test_tiers_are_read(text: str | None, tiers: list[list[str]] | None) -> None:
    assert tiers_of(text) == tiers


@pytest.mark.parametrize("text", ["", "a,", "/a", "a//b", "a,,b", 'a"b', '"a', '"a"b', '""'])
def test_tiers_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InputError, match="--tiers"):
        tiers_of(text)
