"""The command from outside: exit statuses, messages, and what is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import dosift
from command import run
from dosift.model import Mixture

NETWORK = """network unknown {
}
variable a {
  type discrete [ 2 ] { no, yes };
}
variable b {
  type discrete [ 2 ] { no, yes };
}
probability ( a ) {
  table 0.6, 0.4;
}
probability ( b | a ) {
  (no) 0.8, 0.2;
  (yes) 0.3, 0.7;
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.bif").write_text(NETWORK)
    (tmp_path / "rows.csv").write_text("a,b\n" + "yes,yes\nno,no\nno,yes\nyes,no\n" * 50)
    return tmp_path


BAD_ROWS = {
    "empty": (b"", "empty"),
    "header_only": (b"a,b\n", "no rows"),
    "missing_column": (b"a\nyes\n", "'b' is missing"),
    "duplicate_column": (b"a,b,a\nyes,no,no\n", "twice"),
    "unknown_state": (b"a,b\nyes,no\nyes,maybe\n", "'maybe'"),
    "ragged_long": (b"a,b\nyes,no\nyes,no,no\n", "line 3"),
    "ragged_short": (b"a,b\nyes,no\nyes\n", "line 3"),
    "binary": (bytes(range(256)) * 4, "binary"),
    "not_utf8": (b"a,b\nyes,\xff\xfe\n", "UTF-8"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows_are_met_with_one_message_and_nothing_written(case: str, folder: Path) -> None:
    content, words = BAD_ROWS[case]
    (folder / "bad.csv").write_bytes(content)
    before = sorted(folder.iterdir())
    done = run("fit", "net.bif", "bad.csv", "-o", "out", "--quiet", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: bad.csv")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(folder.iterdir()) == before


BAD_NETWORKS = {
    "truncated": NETWORK[:-30],
    "empty": "",
    "cyclic": NETWORK.replace(
        "( a ) {\n  table 0.6, 0.4;", "( a | b ) {\n  (no) .6, .4; (yes) .5, .5;"
    ),
    "negative": NETWORK.replace("0.6, 0.4", "-0.6, 1.6"),
    "row_sum": NETWORK.replace("0.3, 0.7", "0.3, 0.8"),
}


@pytest.mark.parametrize("case", BAD_NETWORKS)
def test_bad_networks_are_met_with_one_message_and_nothing_written(case: str, folder: Path) -> None:
    assert BAD_NETWORKS[case] != NETWORK
    (folder / "bad.bif").write_text(BAD_NETWORKS[case])
    before = sorted(folder.iterdir())
    done = run("fit", "bad.bif", "rows.csv", "-o", "out", "--quiet", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: bad.bif")
    assert done.stderr.count("\n") == 1
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "net.bif", "nowhere.csv", "-o", "out"), "no such file"),
        (("fit", "net.bif", ".", "-o", "out"), "folder"),
        (("fit", ".", "rows.csv", "-o", "out"), "folder"),
        (("fit", "net.bif", "rows.xlsx", "-o", "out"), "rows.xlsx"),
        (("fit", "rows.csv", "-o", "out"), "NETWORK ROWS"),
        (("fit", "rows.csv", "--graph", "g.csv", "-o", "out"), "together"),
        (("fit", "net.bif", "rows.csv", "-o", "out", "--method", "magic"), "magic"),
        (("fit", "net.bif", "rows.csv", "-o", "out", "--max-size", "x"), "max-size"),
        (("fit", "net.bif", "rows.csv"), "output"),
        (("fit", "net.bif", "rows.csv", "-o", "net.bif"), "exists"),
        (("nonsense",), "nonsense"),
        (("assign", "net.bif", "rows.csv", "-o", "x.csv"), "folder"),
        (("evaluate", "net.bif", "net.bif"), "net.bif"),
        (("simulate", "net.bif", "-n", "10", "-o", "x.csv"), "--mixture"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], words: str, folder: Path) -> None:
    done = run(*arguments, cwd=folder)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_the_main_job_end_to_end(folder: Path) -> None:
    network = dosift.random_network(6, random_state=11)
    dosift.write_network(network, folder / "six.bif")
    done = run(
        "simulate", "six.bif", "-n", 20_000, "--targets", 5, "--seed", 3, "-o", "s.csv", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    done = run("fit", "six.bif", "s.csv", "-o", "out", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["diagnostics"]["converged"]
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {
        "mixture.json",
        "components.csv",
        "variables.csv",
        "pairs.csv",
        "rows.parquet",
        "result.json",
        "report.html",
        "network.bif",
    }
    truth, found = (
        Mixture.read(folder / "s.mixture.json"),
        Mixture.read(folder / "out/mixture.json"),
    )
    scores = dosift.evaluate(truth, found)
    assert scores.recall == 1.0
    assert scores.precision == 1.0
    assert scores.tv < 0.05
    components = pl.read_csv(folder / "out/components.csv")
    assert components["weight"].to_list() == sorted(components["weight"], reverse=True)
    assert components["rows"].sum() == pytest.approx(20_000)
    done = run("assign", "out", "s.csv", "-o", "again.parquet", cwd=folder)
    assert done.returncode == 0, done.stderr
    again, rows = (
        pl.read_parquet(folder / "again.parquet"),
        pl.read_parquet(folder / "out/rows.parquet"),
    )
    assert again.equals(rows)
    assert rows.height == 20_000
    done = run("evaluate", "s.mixture.json", "out/mixture.json", "--json", cwd=folder)
    assert json.loads(done.stdout)["recall"] == 1.0
    done = run("report", "out", "-o", "page.html", cwd=folder)
    assert (folder / "page.html").read_text() == (folder / "out/report.html").read_text()


def test_an_existing_folder_is_kept_unless_forced(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "precious.txt").write_text("mine")
    done = run("fit", "net.bif", "rows.csv", "-o", "out", cwd=folder)
    assert done.returncode == 2
    assert (folder / "out" / "precious.txt").read_text() == "mine"
    done = run("fit", "net.bif", "rows.csv", "-o", "out", "--force", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "out" / "result.json").exists()
    assert (folder / "out.old1" / "precious.txt").read_text() == "mine"  # it was no result
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []


def test_quiet_says_nothing_and_redirected_progress_is_plain_lines(folder: Path) -> None:
    done = run("fit", "net.bif", "rows.csv", "-o", "one", "--quiet", cwd=folder)
    assert (done.stdout, done.stderr) == ("", "")
    done = run("fit", "net.bif", "rows.csv", "-o", "two", cwd=folder)
    assert "reading ...\n" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_misfit_is_exit_status_3_with_the_result_written(folder: Path) -> None:
    # b is never what a is: no mixture of single do's on this network makes that.
    (folder / "odd.csv").write_text("a,b\n" + "yes,no\nno,yes\n" * 1000)
    done = run("fit", "net.bif", "odd.csv", "-o", "out", "--max-size", 1, cwd=folder)
    assert done.returncode == 3
    assert done.stdout.startswith("Do not trust this fit.")
    assert "mechanism of b" in done.stdout
    result = json.loads((folder / "out/result.json").read_text())
    assert not result["trusted"]
    assert "Do not trust this fit" in (folder / "out/report.html").read_text()


def test_learned_network_end_to_end(folder: Path) -> None:
    (folder / "edges.csv").write_text("parent,child\na,b\n")
    done = run(
        "fit", "rows.csv", "--graph", "edges.csv", "--control", "rows.csv", "-o", "out", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    mixture = Mixture.read(folder / "out/mixture.json")
    assert [str(target) for target in mixture.targets] == ["do()"]


def test_demo(tmp_path: Path) -> None:
    for story in ("screen", "incident"):
        done = run("demo", story, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "0 invented" in done.stdout
    assert (tmp_path / "dosift-demo" / "report.html").exists()


def test_help_names_every_command_and_needs_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, dosift.cli.app; "
        "heavy = {'polars', 'scipy', 'pandas', 'networkx', 'matplotlib'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    done = run("--help", cwd=tmp_path)
    for command in ("demo", "fit", "simulate", "assign", "evaluate", "report"):
        assert command in done.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(folder: Path) -> None:
    folder.chmod(0o500)
    done = run("fit", "net.bif", "rows.csv", "-o", "out", cwd=folder)
    folder.chmod(0o700)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("fit nope.csv --graph g.csv --control c.csv -o x", "nope.csv: there is no such file"),
        ("fit a b -o x --metod em", "See 'dosift fit --help'"),
        ("ft", "See 'dosift --help'"),
        ("study -o x --problems 0", "See 'dosift study --help'"),
    ],
)
def test_messages_point_at_the_first_mistake_and_the_right_help(
    arguments: str, said: str, tmp_path: Path
) -> None:
    done = run(*arguments.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
