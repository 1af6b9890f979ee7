"""``dosift fit`` with measurements and counts: what reaches the pipeline, and what is refused."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from command import run
from dosift.cli.app import app
from dosift.cli.kinds import changes_of, kinds_of
from dosift.data.load import Loaded
from dosift.errors import InputError, KindsWarning
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.pipeline import Recipe


def table(n_rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    load = rng.normal(100.0, 10.0, n_rows)
    latency = np.exp(0.02 * load + 0.1 * rng.normal(size=n_rows))
    day = np.where(np.arange(n_rows) % 2 == 0, "mon", "tue")
    columns = {"load": load, "latency": latency, "errors": rng.poisson(latency), "day": day}
    return pl.DataFrame(columns)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files, and the folder that the command is called in."""
    control, rows = table(300, 0), table(200, 1)
    control.write_csv(tmp_path / "control.csv")
    rows.write_csv(tmp_path / "rows.csv")
    rows.write_parquet(tmp_path / "rows.parquet")
    rows.write_ndjson(tmp_path / "rows.ndjson")
    whole = control.with_columns(pl.col("load", "latency").round(0) > 100)
    whole.drop("errors").write_csv(tmp_path / "states.csv")
    lines = control.write_csv().splitlines()
    lines[7] = lines[7].replace(lines[7].split(",")[1], "slow")
    (tmp_path / "slow.csv").write_text("\n".join(lines))
    (tmp_path / "edges.csv").write_text("parent,child\nload,latency\nlatency,errors\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Reached(Exception):  # noqa: N818
    """The pipeline was reached."""


def call(line: str, **more: Any) -> Any:
    arguments = ["fit", *shlex.split(line), "-o", "out"]
    return CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=False, **more)


def ask(monkeypatch: pytest.MonkeyPatch, line: str) -> tuple[Recipe, Any, Loaded]:
    """Return what the pipeline is given."""
    found: list[Any] = []

    def reached(*arguments: Any) -> None:
        found.extend(arguments)
        raise Reached

    monkeypatch.setattr("dosift.estimator.fit", reached)
    with pytest.raises(Reached):
        call(line)
    return found[0], found[1], found[2]


LEARN = "--control control.csv --graph edges.csv"


def kinds(network: MechanismNetwork) -> list[str]:
    return [one.kind for one in network.variables]


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("rows", ["rows.csv", "rows.parquet", "rows.ndjson"])
def test_kinds_reach_the_network(rows: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, network, loaded = ask(monkeypatch, f"{rows} {LEARN}")
    assert kinds(network)[:2] == ["continuous", "continuous"]
    assert recipe.changes is None
    assert not recipe.knockouts
    assert loaded.rows.n_rows == 200
    more = "--counts errors --continuous load --changes set,shift --knockouts"
    recipe, network, loaded = ask(monkeypatch, f"{rows} {LEARN} {more}")
    assert kinds(network) == ["continuous", "continuous", "count"]
    assert recipe.changes == ("set", "shift")
    assert recipe.knockouts


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_batches_and_features_reach_the_network(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"rows.csv {LEARN} --batch day --features 'latency: (load-100)**2'"
    _, network, loaded = ask(monkeypatch, line)
    assert loaded.rows.beside.batches == ("mon", "tue")
    plain = ask(monkeypatch, f"rows.csv {LEARN}")[1]
    assert network.mechanisms[1].n_free == plain.mechanisms[1].n_free + 1


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_without_a_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, network, _ = ask(monkeypatch, "rows.csv --control control.csv --batch day")
    assert recipe.edges == "learn"
    assert network.names == ("load", "latency", "errors")


def test_states_go_the_old_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, network, _ = ask(monkeypatch, "states.csv --control states.csv")
    assert isinstance(network, Network)
    assert network.names == ("load", "latency", "day")


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_what_was_chosen_is_printed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = r"2 are continuous \('load', 'latency'\) and 1 is a count"
    with pytest.warns(KindsWarning, match=words):
        ask(monkeypatch, f"rows.csv {LEARN} --counts errors")


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"slow.csv {LEARN}", "slow.csv: column 'latency' holds 'slow'.* in data row 7,"),
        ("rows.csv --graph edges.csv --control slow.csv", "slow.csv: .*text 'slow' in data row 7"),
        (f"rows.csv {LEARN} --counts load", "control.csv: column 'load' holds .* and is counts"),
        (f"rows.csv {LEARN} --counts Errors", "'Errors', which is no variable; did you mean"),
        (
            f"rows.csv {LEARN} --counts errors --continuous errors",
            "in --continuous and in --counts",
        ),
        (f"rows.csv {LEARN} --counts errors,", "--counts 'errors,' has an empty name"),
        (f"rows.csv {LEARN} --changes set,up", "--changes 'set,up' holds 'up'; choose some of"),
        (f"rows.csv {LEARN} --features load**2", "write 'child: expression'"),
        (f"rows.csv {LEARN} --features 'latency: load^2'", "at character 5: write"),
        (f"rows.csv {LEARN} --features 'load: latency'", "'latency', which is no parent of it"),
        (
            f"rows.csv {LEARN} --labels day",
            "label 'mon' in data row 1: the network has no",
        ),
        (f"rows.csv {LEARN} --method em", "em and measurements and counts cannot be combined"),
        ("net.bif rows.csv --counts errors", "go with --control"),
        ("net.bif rows.csv --features 'a: b'", "--features go with --control"),
    ],
)
def test_what_does_not_go_is_said(line: str, words: str, folder: Path) -> None:
    with pytest.raises(InputError, match=words):
        call(line)
    assert not (folder / "out").exists()


def test_no_traceback_for_a_text_in_a_column_of_numbers(folder: Path) -> None:
    found = run("fit", "slow.csv", *LEARN.split(), "-o", "out")
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert "column 'latency' holds 'slow', which is no number, in data row 7" in found.stderr
    assert "note: of 3 variables 2 are continuous" in found.stderr


def test_rows_from_standard_input(folder: Path) -> None:
    text = (folder / "slow.csv").read_bytes()
    found = run("fit", "-", *LEARN.split(), "-o", "out", "-q", stdin=text)
    assert found.returncode == 2
    assert found.stderr.startswith("error: standard input: column 'latency' holds 'slow'")


def test_lists_of_names() -> None:
    assert kinds_of(None, None, None, has_control=True) is None
    found = kinds_of('a, "b ""x""" ', None, "c", has_control=True)
    assert found == {"a": "continuous", 'b "x"': "continuous", "c": "discrete"}
    with pytest.raises(InputError, match="a quote in the wrong place"):
        kinds_of('a"b', None, None, has_control=True)
    with pytest.raises(InputError, match="empty name"):
        kinds_of("", None, None, has_control=True)
    assert changes_of(" set , shift") == ["set", "shift"]
