"""``dosift study`` from outside: what it writes and says, killed, interrupted, wrongly asked."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import command

study_module = importlib.import_module("dosift.cli.study")

COMMAND = [sys.executable, "-m", "dosift", "study", "-o", "out"]
TINY = ["--variables", "3", "--rows", "40,80", "--problems", "3", "--methods", "moments"]
#: Long enough to be hit while it runs.
LONG = ["--variables", "3,4", "--rows", "40,80", "--problems", "40", "--methods", "moments"]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return command.run(*COMMAND[3:], *arguments, cwd=cwd, timeout=300)


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """Begin a study and return when it has solved something."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    path = cwd / "out" / "problems.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (path.exists() and path.read_bytes().count(b"\n") > 4):
        time.sleep(0.005)
    return process


def test_tables_figures_and_words(tmp_path: Path) -> None:
    done = run(*TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "solving problems ...\n"
    assert done.stdout.startswith("| network | tables | rows | method |")
    assert "| scale-free 3 | learned | 80 | moments | 3 |" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"study.json", "problems.jsonl", "results.csv", "seconds.csv"}
    results = (tmp_path / "out" / "results.csv").read_bytes()
    again = run(*TINY, "--json", cwd=tmp_path)
    assert again.stderr == ""
    content = json.loads(again.stdout)
    assert content["settings"]["rows"] == [40, 80]
    assert [line["n_rows"] for line in content["results"]] == [40, 80]
    assert (tmp_path / "out" / "results.csv").read_bytes() == results


def test_refusals_are_told(tmp_path: Path) -> None:
    done = run(
        "--variables",
        "9",
        "--rows",
        "50",
        "--problems",
        "1",
        "--methods",
        "brute-force",
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "note: brute-force refused 1 problem, first: method 'brute-force'" in done.stderr
    assert "| 0 (1 refused) |" in done.stdout


def test_other_settings_in_the_folder_are_refused(tmp_path: Path) -> None:
    assert run(*TINY, "--quiet", cwd=tmp_path).returncode == 0
    done = run(*TINY, "--seed", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "has seed 0, not 1; give another folder, or the old settings" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "huge"), "'huge' is unknown; choose of small, paper, supplement, real"),
        (("--variables", "4,x"), "--variables is '4,x'; give whole numbers"),
        (("--rows", ""), "rows is empty"),
        (("--methods", "magic"), "'magic' is unknown"),
        (("--graphs", "none"), "give random graphs"),
        (("--networks", "asia"), "'asia' is unknown"),
        (("--processes", "0"), "--processes"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_named_networks_alone_bring_no_random_graphs(tmp_path: Path) -> None:
    pytest.importorskip("pgmpy.utils.example_models", reason="pgmpy's networks are not installed")
    options = ("--networks", "cancer", "--rows", "100", "--problems", "1", "--methods", "moments")
    done = run(*options, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line["source"] for line in json.loads(done.stdout)["results"]] == ["cancer"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.long
@pytest.mark.parametrize("processes", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_a_killed_study_ends_with_the_same_table(processes: str, tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    options = [*LONG, "--processes", processes]
    process = started(*options, cwd=tmp_path / "killed")
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    records = tmp_path / "killed" / "out" / "problems.jsonl"
    kept = records.read_bytes()
    kept = kept[: kept.rfind(b"\n") + 1]
    assert kept.count(b"\n") < 160
    goes_on = run(*options, cwd=tmp_path / "killed")
    assert goes_on.returncode == 0, goes_on.stderr
    assert records.read_bytes().startswith(kept)
    assert f"{kept.count(b'{')} of 160 problems were solved before" in goes_on.stderr
    assert run(*LONG, cwd=tmp_path / "whole").returncode == 0
    tables = [tmp_path / name / "out" / "results.csv" for name in ("whole", "killed")]
    assert tables[0].read_bytes() == tables[1].read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.slow
def test_an_early_interrupt_brings_no_traceback_of_a_worker(tmp_path: Path) -> None:
    for wait in (0.5, 0.8, 1.1, 1.4, 1.7):
        # A folder of its own, and more problems than any machine solves in that time.
        folder = tmp_path / str(wait)
        folder.mkdir()
        process = subprocess.Popen(
            [*COMMAND, *LONG, "--problems", "4000", "--processes", "2"],
            cwd=folder,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode in {130, -signal.SIGINT}
        assert "Process Spawn" not in errors


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("number", "status", "processes"),
    [
        (signal.SIGINT, 130, "2"),
        (signal.SIGTERM, 143, "1"),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in ((signal.SIGINT, 130, "1"), (signal.SIGTERM, 143, "2"))
        ),
    ],
)
def test_an_interrupt_keeps_what_is_solved(
    number: signal.Signals, status: int, processes: str, tmp_path: Path
) -> None:
    process = started(*LONG, "--processes", processes, cwd=tmp_path)
    os.killpg(process.pid, number)  # as a terminal does
    output, errors = process.communicate(timeout=60)  # waits for the workers too
    assert process.returncode == status, errors
    assert output == ""
    assert "Traceback" not in errors
    kept = (tmp_path / "out" / "problems.jsonl").read_bytes()
    assert 4 < kept.count(b"\n") < 160
    assert kept.endswith(b"\n")
    if status == 130:
        assert f"{kept.count(b'{')} of 160 problems are solved and kept in out" in errors
    assert not (tmp_path / "out" / "results.csv").exists()


def test_lines_with_an_estimate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(study_module.time, "monotonic", lambda: now[0])
    with study_module._Progress(quiet=False, round_size=50) as tell:
        for seconds, done in ((0, 10), (5, 20), (45, 30)):
            now[0] = seconds
            tell("solving problems", done, 100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "solving problems ...",
        "10 of 100 problems were solved before",
        "note: 70 more problems, after 20 in 40 seconds: at least 3 minutes; Ctrl-C stops, and "
        "the same command goes on from there",
        "30 of 100 problems, about 3 minutes left",
    ]
