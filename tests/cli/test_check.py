"""``dosift check`` from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dosift.cli import main

NETWORK = """network unknown {{
}}
variable smoke {{
  type discrete [ 2 ] {{ no, yes }};
}}
variable lung {{
  type discrete [ 2 ] {{ no, yes }};
}}
probability ( smoke ) {{
  table 0.6, 0.4;
}}
probability ( lung | smoke ) {{
  (no) {row};
  (yes) 0.3, 0.7;
}}
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Done]]:
    """The command in this process: starting a new one for each case takes too long."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    handler = signal.getsignal(signal.SIGTERM)

    def run_here(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["dosift", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return Done(int(exit_.value.code or 0), *capsys.readouterr())

    yield run_here
    signal.signal(signal.SIGTERM, handler)


Run = Callable[..., Done]


def write_mixture(path: Path, *components: tuple[dict[str, str], float]) -> None:
    path.write_text(json.dumps({"components": [{"do": d, "weight": w} for d, w in components]}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.bif").write_text(NETWORK.format(row="0.8, 0.2"))
    (tmp_path / "zero.bif").write_text(NETWORK.format(row="1.0, 0.0"))
    (tmp_path / "rows.csv").write_text("smoke,lung\n" + "no,yes\n" * 30 + "yes,yes\nno,no\n" * 35)
    write_mixture(tmp_path / "good.json", ({}, 0.6), ({"smoke": "yes"}, 0.4))
    write_mixture(tmp_path / "bad.json", ({"smoke": "no"}, 0.6), ({"smoke": "yes"}, 0.4))
    write_mixture(tmp_path / "hidden.json", ({"smoke": "no", "lung": "no"}, 0.5), ({}, 0.5))
    write_mixture(tmp_path / "name.json", ({"smoek": "yes"}, 1.0))
    write_mixture(tmp_path / "state.json", ({"smoke": "yess"}, 1.0))
    return tmp_path


def checked(run: Run, *arguments: object) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = json.loads(done.stdout)
    assert isinstance(content, dict)
    assert list(content) == [
        "network",
        "positivity",
        "exclusion",
        "verdict",
        "identification",
        "units",
        "rows",
    ]
    return content


def test_network_alone(run: Run) -> None:
    content = checked(run, "zero.bif")
    assert content["positivity"]["n_zeros"] == 1
    assert content["positivity"]["first"][0]["parents"] == {"smoke": "no"}
    assert content["verdict"] is None
    done = run("zero.bif")
    assert "1 of 6 table entries are zero" in done.stdout
    assert "holds" in run("net.bif").stdout


def test_mixture_that_is_identified(run: Run) -> None:
    content = checked(run, "net.bif", "--mixture", "good.json")
    assert content["verdict"]["status"] == content["identification"]["status"] == "identified"
    assert content["identification"]["by"] == "theorem"
    for found in content["identification"]["ranges"]:
        assert found["parsimonious"] == [found["weight"]] * 2
        assert found["any"][0] == 0
    assert content["identification"]["witness"]["error"] < 1e-9
    screen = run("net.bif", "--mixture", "good.json").stdout
    assert "Exclusion   holds" in screen
    assert "Identified  yes (by theorem)" in screen
    assert "Another mixture with the same distribution" in screen


def test_mixture_that_is_not_identified_is_no_failure(run: Run) -> None:
    content = checked(run, "net.bif", "--mixture", "bad.json")
    assert content["exclusion"]["violated"] == ["smoke"]
    assert content["identification"]["status"] == "not identified"
    found = {
        str(c["do"]): c["weight"] for c in content["identification"]["parsimonious"]["components"]
    }
    assert found == pytest.approx({"{}": 1.0})
    done = run("net.bif", "--mixture", "bad.json")
    assert done.returncode == 0
    assert "Identified  no (by linear program)" in done.stdout
    assert "smoke is set to every one of its states" in done.stdout


def test_zero_that_matters(run: Run) -> None:
    content = checked(run, "zero.bif", "--mixture", "hidden.json")
    assert content["verdict"]["critical_rows"]["first"] == [
        {"variable": "lung", "parents": {"smoke": "no"}, "possible": ["no"]}
    ]
    assert content["identification"]["status"] == "not identified"
    content = checked(run, "net.bif", "--mixture", "hidden.json")
    assert content["identification"]["status"] == "identified"


def test_limit_on_sizes(run: Run) -> None:
    content = checked(run, "net.bif", "--mixture", "good.json", "--max-size", "1")
    assert content["identification"]["max_size"] == 1
    lows = [found["any"][0] for found in content["identification"]["ranges"]]
    assert max(lows) > 0
    assert "sizes up to 1" in run("net.bif", "--mixture", "good.json", "--max-size", "1").stdout


def test_rows(run: Run) -> None:
    content = checked(run, "zero.bif", "rows.csv", "--mixture", "good.json")
    rows = content["rows"]
    assert rows["n_rows"] == 100
    assert rows["n_impossible_rows"] == 30
    assert rows["impossible"] == [
        {"variable": "lung", "state": "yes", "parents": {"smoke": "no"}, "rows": 30}
    ]
    assert rows["n_unexplained_rows"] == 30
    smoke = next(v for v in rows["variables"] if v["variable"] == "smoke")
    assert smoke["rate"] == pytest.approx(1 - 0.35 / 0.4)
    assert smoke["left_over"] == "yes"
    assert smoke["detectable"] == pytest.approx(2 * ((1 / 0.4 - 1) / 100) ** 0.5)
    assert smoke["rows_needed"] == 15_000
    screen = run("zero.bif", "rows.csv").stdout
    assert "30 that the undisturbed network cannot produce" in screen
    assert "lung=yes given smoke=no" in screen


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["net.bif", "--mixture", "name.json"],
            "name.json: do(smoek=yes) sets the variable 'smoek'",
        ),
        (["net.bif", "--mixture", "name.json"], "did you mean 'smoke'"),
        (["net.bif", "--mixture", "state.json"], "did you mean 'yes'"),
        (["net.bif", "--mixture", "gone.json"], "gone.json"),
        (["net.bif", "--mixture", "rows.csv"], "is not JSON"),
        (["gone.bif"], "gone.bif"),
        (["good.json"], "good.json"),
        (["net.bif", "gone.csv"], "gone.csv"),
        (["net.bif", "good.json"], "good.json"),
        (["net.bif", "--max-size", "2"], "--max-size goes with --mixture"),
        (["net.bif", "--mixture", "hidden.json", "--max-size", "1"], "sets 2 variables"),
        (["net.bif", "--mixture", "good.json", "--max-size", "0"], "max-size"),
        ([], "network"),
    ],
)
def test_bad_input(run: Run, arguments: list[str], words: str) -> None:
    done = run(*arguments, "--quiet")
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_quiet_keeps_stderr_empty(run: Run) -> None:
    done = run("net.bif", "--quiet", "--seed", "1", "--threads", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_whole_command(folder: Path) -> None:
    command = [sys.executable, "-m", "dosift", "check", "net.bif", "rows.csv"]
    done = subprocess.run(
        [*command, "--mixture", "good.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr.startswith("reading")
    assert "How often each variable is set" in done.stdout


def test_units_say_what_one_row_says_and_what_two_do(run: Run) -> None:
    content = checked(run, "net.bif", "--mixture", "bad.json", "--units")
    assert content["identification"]["status"] == "not identified"
    assert content["units"]["one_row"] == "not guaranteed"
    assert content["units"]["status"] == "unique"
    assert content["units"]["ranks"] == {"n_targets": 9, "one": 4, "several": 9}
    screen = run("net.bif", "--mixture", "bad.json", "--units").stdout
    assert "Two rows    a unit identify this mixture: yes." in screen
    assert "span 4 dimensions with one row a unit, 9 with two" in screen
    assert "every mixture: yes." in run("net.bif", "--units").stdout
    assert checked(run, "net.bif")["units"] is None


def test_units_where_a_variable_has_no_choice(run: Run) -> None:
    screen = run("zero.bif", "--mixture", "bad.json", "--units").stdout
    assert "this mixture: no." in screen
    assert "do(smoke=no) and do(lung=no, smoke=no) have the same distribution" in screen
    assert "lung=no given smoke=no" in screen


def test_units_of_numbers_are_refused(run: Run) -> None:
    done = run("network.json", "--units")
    assert done.returncode == 2
    assert "--units goes with networks of states" in done.stderr


def test_rows_in_units(run: Run, folder: Path) -> None:
    lines = ["smoke,lung,clone", *(f"no,yes,a{k}\nno,yes,a{k}" for k in range(30)), "yes,yes,b"]
    (folder / "units.csv").write_text("\n".join(lines) + "\n")
    content = checked(run, "net.bif", "units.csv", "--unit", "clone")
    given = content["units"]["given"]
    assert given == {"column": "clone", "n_units": 31.0, "n_several": 30.0, "n_rows": 61.0}
    assert content["rows"]["n_rows"] == pytest.approx(31.0)
    screen = run("net.bif", "units.csv", "--unit", "clone").stdout
    assert "31 of 61 rows; 30 (97%) have two rows or more" in screen
    assert "every mixture: yes." in screen


def test_a_column_of_units_needs_rows(run: Run) -> None:
    done = run("net.bif", "--unit", "clone")
    assert done.returncode == 2
    assert "--unit is a column of the rows" in done.stderr
