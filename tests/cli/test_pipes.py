"""Rows through standard input and pipes, states of learned networks, full disks: from outside."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import dosift
from command import run

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
ROWS = b"a,b\n" + b"no,no\n" * 48 + b"no,yes\n" * 12 + b"yes,yes\n" * 28 + b"yes,no\n" * 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.bif").write_text(NETWORK)
    (tmp_path / "rows.csv").write_bytes(ROWS)
    return tmp_path


def inputs(result: Path) -> dict[str, str]:
    content = json.loads((result / "result.json").read_text())
    return {line["path"]: line["sha256"] for line in content["inputs"]}


def test_a_pipe_gives_what_its_file_gives(folder: Path) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch)}
    named = run("fit", "net.bif", "rows.csv", "-o", "named", "--quiet", cwd=folder)
    assert named.returncode == 0, named.stderr
    piped = subprocess.run(
        [sys.executable, "-m", "dosift", "fit", "net.bif", "-", "-o", "piped", "-q"],
        cwd=folder, input=ROWS, env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert piped.returncode == 0, piped.stderr
    for name in ("mixture.json", "components.csv", "rows.parquet"):
        assert (folder / "named" / name).read_bytes() == (folder / "piped" / name).read_bytes()
    assert inputs(folder / "piped")["-"] == hashlib.sha256(ROWS).hexdigest()
    assert list(scratch.iterdir()) == []
    objects = pl.read_csv(ROWS).write_ndjson().encode()
    told = run(
        "assign", "named", "-", "-o", "a.csv", "--format", "ndjson", cwd=folder, stdin=objects
    )
    assert told.returncode == 0, told.stderr
    assert run("assign", "named", "rows.csv", "-o", "b.csv", cwd=folder).returncode == 0
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()
    checked = run("check", "net.bif", "-", "--json", cwd=folder, stdin=ROWS)
    assert json.loads(checked.stdout)["rows"]["n_rows"] == 100


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="the system has no /dev/fd")
def test_process_substitution(folder: Path) -> None:
    (folder / "edges.csv").write_text("from,to\na,b\n")
    line = (
        f"{sys.executable} -m dosift fit <(cat rows.csv) --graph <(cat edges.csv) "
        "--control <(cat rows.csv) -o out -q"
    )
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    sums = sorted(inputs(folder / "out").values())
    edges = hashlib.sha256((folder / "edges.csv").read_bytes()).hexdigest()
    rows = hashlib.sha256(ROWS).hexdigest()
    assert set(sums) == {edges, rows}
    assert all(path.startswith("/dev/fd/") for path in inputs(folder / "out"))


@pytest.mark.parametrize(
    ("stdin", "options", "words"),
    [
        (b"", [], "standard input: is empty"),
        (os.urandom(10) + b"\x00" * 2000, [], "standard input: is a binary file"),
        (b'{"a":"no","b":"no"}\n', [], "standard input: seems to hold JSON"),
        (b"a,b\nno,no\nno\n", [], "standard input, line 3"),
        (b"a,b\nno,maybe\n", [], "standard input: column 'b'"),
        (b"a\nno\n", [], "standard input: column 'b' is missing"),
        (b"\x1f\x8b\x08\x00junk", [], "standard input: is not a complete gzip"),
        (ROWS, ["--format", "parquet"], "standard input: is not a readable parquet"),
        (ROWS, ["--format", "excel"], "--format is 'excel'"),
        (ROWS, ["--format", "ndjson"], "standard input, line 1: is not JSON"),
    ],
)
def test_hostile_input(stdin: bytes, options: list[str], words: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = run("fit", "net.bif", "-", "-o", "out", "-q", *options, cwd=folder, stdin=stdin)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert tempfile.gettempdir() + "/dosift-" not in done.stderr
    assert sorted(folder.iterdir()) == before


def test_a_pipe_is_read_once(folder: Path) -> None:
    done = run("fit", "-", "-", "-o", "out", "-q", cwd=folder, stdin=ROWS)
    assert done.returncode == 2
    assert "a pipe can be read once" in done.stderr


def test_closed_standard_input_is_said(folder: Path) -> None:
    line = f"{sys.executable} -m dosift fit net.bif - -o out -q <&-"
    done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"standard input: is closed" in done.stderr


@pytest.mark.long
def test_nobody_reading_progress_stops_no_fit(folder: Path) -> None:
    line = f"{sys.executable} -m dosift fit net.bif rows.csv -o out 2>&1 >/dev/null | head -c 1"
    subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, check=False)
    assert (folder / "out" / "result.json").is_file()


# -- full disks -----------------------------------------------------------------------------------


@pytest.fixture
def full(folder: Path) -> Any:
    """Refuse every byte beyond a few, as a full disk does; the error differs, so it is renamed."""
    code = (
        "import errno, os, sys\n"
        "import dosift.utils.atomic_write as module\n"
        "def sync(path, was=module._sync):\n"
        "    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
        "module._sync = sync\n"
        "sys.argv = ['dosift', *sys.argv[1:]]\n"
        "from dosift.cli import main\n"
        "main()\n"
    )

    def run_full(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run_full


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ("fit", "net.bif", "rows.csv", "-o", "out", "-q"),
        ("simulate", "net.bif", "-n", 10, "--targets", 1, "-o", "drawn.csv", "-q"),
        ("report", "old", "-o", "page.html"),
        ("assign", "old", "rows.csv", "-o", "assigned.csv", "-q"),
    ],
)
def test_a_full_disk_is_said_and_leaves_nothing(
    arguments: tuple[object, ...], folder: Path, full: Any
) -> None:
    if "old" in arguments:
        assert run("fit", "net.bif", "rows.csv", "-o", "old", "-q", cwd=folder).returncode == 0
    before = sorted(folder.rglob("*"))
    done = full(*arguments)
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_under_standard_output(folder: Path) -> None:
    with open("/dev/full", "wb") as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "dosift", "check", "net.bif", "-q"],
            cwd=folder,
            stdout=nowhere,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        b"error: the output: the disk is full; free some room, or write to another disk\n"
    )


# -- states of a learned network ------------------------------------------------------------------


@pytest.fixture
def learned(folder: Path) -> Path:
    """Control rows that never show ``b=high``, and rows of which a third do."""
    (folder / "edges.csv").write_text("a,b\n")
    (folder / "control.csv").write_bytes(ROWS)
    (folder / "rows.csv").write_bytes(ROWS + b"no,high\n" * 30 + b"yes,high\n" * 20)
    return folder


def fit_learned(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return run(
        "fit", "rows.csv", "--graph", "edges.csv", "--control", "control.csv", "-o", "out",
        *options, cwd=folder,
    )  # fmt: skip


@pytest.mark.parametrize("large", [False, True])
def test_a_fit_takes_the_states_of_both_and_says_so(large: bool, learned: Path) -> None:
    if large:
        (learned / "rows.csv").unlink()
        columns = {"a": ["no"] * 1000 + ["yes"] * 1000, "b": ["no", "yes", "yes", "high"] * 500}
        frame = pl.DataFrame(columns)
        (learned / "rows.csv").mkdir()
        for part in range(2):
            frame.write_parquet(learned / "rows.csv" / f"part{part}.parquet")
        code = (
            "import sys, dosift.data.read as module\n"
            "module._MANY_ROWS = 100\n"
            "from dosift.cli import main\n"
            "main()\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "fit", "rows.csv", "--graph", "edges.csv", "--control",
             "control.csv", "-o", "out"],
            cwd=learned, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "are read in parts" in done.stderr
    else:
        done = fit_learned(learned)
    assert done.returncode in {0, 3}, done.stderr
    assert done.stderr.count("note: 1 variable(s) show states in the rows") == 1
    assert "b: 'high'" in done.stderr
    network = dosift.read_network(learned / "out" / "network.bif")
    assert network.variables[1].states == ("high", "no", "yes")
    (learned / "new.csv").write_text("a,b\nno,high\n")
    assert run("assign", "out", "new.csv", "-o", "new.parquet", cwd=learned).returncode == 0
    (learned / "new.csv").write_text("a,b\nno,low\n")
    refused = run("assign", "out", "new.csv", "-o", "x.parquet", cwd=learned)
    assert refused.returncode == 2
    assert "'low'" in refused.stderr


def test_states_in_a_file_are_fixed(learned: Path) -> None:
    (learned / "states.csv").write_text("variable,state\nb,no\nb,yes\n")
    done = fit_learned(learned, "--states", "states.csv")
    assert done.returncode == 2
    assert "rows.csv: column 'b' has the value 'high' in data row 101" in done.stderr
    assert not (learned / "out").exists()
    (learned / "states.json").write_text('{"b": ["no", "yes", "high"]}')
    done = fit_learned(learned, "--states", "states.json")
    assert done.returncode in {0, 3}, done.stderr
    assert "no control row shows" not in done.stderr
    network = dosift.read_network(learned / "out" / "network.bif")
    assert network.variables[1].states == ("no", "yes", "high")
    content = json.loads((learned / "out" / "result.json").read_text())
    assert content["settings"]["states"] == "states.json"
    assert "states.json" in inputs(learned / "out")


def test_states_need_a_network_to_learn(learned: Path) -> None:
    (learned / "states.csv").write_text("variable,state\nb,no\nb,yes\n")
    done = run(
        "fit", "net.bif", "rows.csv", "--states", "states.csv", "-o", "out", "-q", cwd=learned
    )
    assert done.returncode == 2
    assert "--states goes with --control" in done.stderr


def test_the_sachs_rows_run(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / ".." / "shared" / "data" / "sachs"
    path = folder / "sachs.2005.discrete.txt"
    if not path.is_file():
        pytest.skip("shared/data/sachs is not beside the repository")
    table = pl.read_csv(path, separator="\t", infer_schema=False)
    # Blocks of 600: cd3cd28 is the second, g06976 the fourth.
    table[600:1200].write_csv(tmp_path / "control.csv")
    table[1800:2400].write_csv(tmp_path / "rows.csv")
    done = run(
        "fit", "rows.csv", "--graph", (folder / "graph_bnlearn.csv").resolve(), "--control",
        "control.csv", "--max-size", 1, "-o", "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode in {0, 3}, done.stderr
    assert "no control row shows" in done.stderr
