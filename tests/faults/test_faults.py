"""Faults done for real to the real command: kills, interrupts, full disks, races."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from command import run as run_command
from dosift.datasets import load_incident
from dosift.model import Mixture
from dosift.results.folder import read_result

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of Unix")

FILES = {
    "components.csv",
    "mixture.json",
    "network.bif",
    "report.html",
    "result.json",
    "rows.parquet",
    "pairs.csv",
    "variables.csv",
}


@pytest.fixture
def inputs() -> list[str]:
    paths = load_incident().paths
    return [str(paths["network"]), str(paths["rows"])]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "dosift", *map(str, arguments)]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    if not options:
        return run_command(*arguments)
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def assert_whole(folder: Path) -> None:
    """Every file is there and holds what belongs together."""
    assert {path.name for path in folder.iterdir()} == FILES
    result = read_result(folder)
    assert pl.read_parquet(folder / "rows.parquet").height == 5000
    listed = pl.read_csv(folder / "components.csv")["target"].to_list()
    assert listed == [row["target"] for row in result.content["components"]]
    assert len(result.mixture) == len(listed)
    assert (folder / "report.html").read_text().endswith("</html>\n")


def drafts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.long
@pytest.mark.parametrize("n_kills", [4, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_result_is_whole_or_absent(
    n_kills: int, inputs: list[str], tmp_path: Path
) -> None:
    rng = random.Random(0)
    begin = time.monotonic()
    with start("fit", *inputs, "-o", tmp_path / "first", "-q") as whole:
        assert whole.wait() == 0
    duration = time.monotonic() - begin
    n_absent = 0
    for attempt in range(n_kills):
        out = tmp_path / f"out{attempt}"
        process = start("fit", *inputs, "-o", out, "-q")
        # Half of the kills aim at the end, where files are written.
        share = rng.random() if attempt % 2 else 1 - 0.3 * rng.random()
        time.sleep(share * duration)
        process.kill()
        process.communicate()
        if out.exists():
            assert_whole(out)
        n_absent += not out.exists()
    assert n_absent > 0
    # What killed runs leave is theirs alone, and hidden.
    assert all(path.name.startswith(".dosift-") for path in drafts(tmp_path))


SLOW_WRITING = """
import sys, time
import polars as pl
import dosift.cli
write = pl.DataFrame.write_parquet
def slow(self, *args, **kwargs):
    write(self, *args, **kwargs)
    print("now", file=sys.stderr, flush=True)
    time.sleep(30)
pl.DataFrame.write_parquet = slow
sys.argv = ["dosift", *sys.argv[1:]]
dosift.cli.main()
"""


@pytest.fixture
def writing() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that stand in the middle of writing their results."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start_and_stop_in_the_middle(*arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_WRITING, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any(line == "now\n" for line in process.stderr)
    return process


@pytest.mark.long
@pytest.mark.parametrize("force", [False, True])
def test_killed_while_writing_the_old_stays_and_the_next_run_cleans_up(
    force: bool, inputs: list[str], tmp_path: Path, writing: list[subprocess.Popen[str]]
) -> None:
    out = tmp_path / "out"
    if force:
        assert run("fit", *inputs, "-o", out, "-q", "--seed", 7).returncode == 0
    writing.append(start_and_stop_in_the_middle("fit", *inputs, "-o", out, "-q", "--force"))
    assert len(drafts(tmp_path)) == 1
    writing[0].kill()
    writing[0].wait()
    assert len(drafts(tmp_path)) == 1
    assert out.exists() == force
    if force:
        assert_whole(out)
        assert read_result(out).content["seed"] == 7
    assert run("fit", *inputs, "-o", out, "-q", "--force").returncode == 0
    assert_whole(out)
    assert read_result(out).content["seed"] == 0
    assert drafts(tmp_path) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_interrupted_while_writing_nothing_is_left(
    number: int,
    status: int,
    inputs: list[str],
    tmp_path: Path,
    writing: list[subprocess.Popen[str]],
) -> None:
    out = tmp_path / "out"
    writing.append(start_and_stop_in_the_middle("fit", *inputs, "-o", out))
    writing[0].send_signal(number)
    _, err = writing[0].communicate(timeout=60)
    assert writing[0].returncode == status
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


#: Ctrl-C as the shell sees it; polars lets the signal itself end the process at some instants.
INTERRUPTED = {130, -signal.SIGINT}


@pytest.mark.long
def test_interrupted_at_random_moments_it_is_130_or_done(inputs: list[str], tmp_path: Path) -> None:
    rng = random.Random(1)
    statuses = []
    for attempt in range(3):
        out = tmp_path / f"out{attempt}"
        process = start("fit", *inputs, "-o", out)
        assert process.stderr is not None
        process.stderr.readline()  # from here on it is at work
        time.sleep(0.4 * rng.random() * attempt / 2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        statuses.append(process.returncode)
        # polars may tell of its own interrupted threads; Python must not.
        assert "Traceback" not in err.partition("panicked")[0]
        if out.exists():
            assert_whole(out)
        else:
            assert process.returncode in INTERRUPTED
    assert INTERRUPTED & set(statuses)


@pytest.mark.long
def test_two_runs_at_once_do_not_spoil_each_other(inputs: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    races = [start("fit", *inputs, "-o", out, "-q", "--seed", seed) for seed in (1, 2)]
    messages = [process.communicate(timeout=120)[1] for process in races]
    assert sorted(process.returncode for process in races) == [0, 2]
    winner = 1 + [process.returncode for process in races].index(0)
    assert "exists already" in messages[2 - winner]
    assert_whole(out)
    assert read_result(out).content["seed"] == winner
    races = [start("fit", *inputs, "-o", out, "-q", "--force", "--seed", s) for s in (3, 4)]
    assert [process.wait(timeout=120) for process in races] == [0, 0]
    assert_whole(out)
    assert read_result(out).content["seed"] in {3, 4}
    assert drafts(tmp_path) == []


def test_a_run_leaves_the_draft_of_a_living_run_alone(
    inputs: list[str], tmp_path: Path, writing: list[subprocess.Popen[str]]
) -> None:
    out = tmp_path / "out"
    writing.append(start_and_stop_in_the_middle("fit", *inputs, "-o", out, "-q"))
    (draft,) = drafts(tmp_path)
    assert run("fit", *inputs, "-o", out, "-q").returncode == 0
    assert_whole(out)
    assert drafts(tmp_path) == [draft]
    assert (draft / "rows.parquet").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with little room, where mounting is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24k", "none", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def full_disk_cases(inputs: list[str], fitted: Path, place: Path) -> Iterator[list[object]]:
    yield ["fit", *inputs, "-o", place / "out", "-q"]
    yield ["simulate", inputs[0], "-n", 20_000, "--targets", 2, "-o", place / "new.csv", "-q"]
    yield ["simulate", inputs[0], "-n", 200_000, "--targets", 2, "-o", place / "new.parquet", "-q"]
    yield ["assign", fitted, inputs[1], "-o", place / "assigned.csv", "-q"]


def test_a_full_disk_is_one_message_and_nothing_is_left(
    inputs: list[str], tmp_path: Path, small_disk: Path
) -> None:
    fitted = tmp_path / "fitted"
    assert run("fit", *inputs, "-o", fitted, "-q").returncode == 0
    for arguments in full_disk_cases(inputs, fitted, small_disk):
        done = run(*arguments)
        assert done.returncode == 2
        assert "the disk is full" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert list(small_disk.iterdir()) == []


def test_an_old_result_outlives_a_full_disk(
    inputs: list[str], tmp_path: Path, small_disk: Path
) -> None:
    old = small_disk / "out"
    old.mkdir()
    kept = {name: f"old {name}" for name in ("result.json", "mixture.json")}
    for name, text in kept.items():
        (old / name).write_text(text)
    done = run("fit", *inputs, "-o", old, "-q", "--force")
    assert done.returncode == 2
    assert {path.name: path.read_text() for path in old.iterdir()} == kept
    assert drafts(small_disk) == []


def test_a_limit_on_the_size_of_files_is_one_message(inputs: list[str], tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))

    done = run("fit", *inputs, "-o", tmp_path / "out", "-q", preexec_fn=limit)
    assert done.returncode == 2
    assert "File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_printed_is_said(inputs: list[str], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("fit", *inputs, "-o", tmp_path / "out", "--json", "-q"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert_whole(tmp_path / "out")


def test_existing_files_are_kept_without_force(inputs: list[str], tmp_path: Path) -> None:
    old = tmp_path / "new.csv"
    old.write_text("mine")
    arguments = ["simulate", inputs[0], "-n", 10, "--targets", 1, "-o", old, "-q"]
    done = run(*arguments)
    assert (done.returncode, old.read_text()) == (2, "mine")
    assert run(*arguments, "--force").returncode == 0
    assert old.read_text() != "mine"
    assert len(Mixture.read(tmp_path / "new.mixture.json")) == 2
    assert sorted(os.listdir(tmp_path)) == ["new.csv", "new.mixture.json"]
