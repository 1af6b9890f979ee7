"""``dosift discretize`` from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.cli import main


class Done(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Done]


def measurements(n: int, hit: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    a = np.where(rng.random(n) < hit, rng.normal(60, 4, n), rng.lognormal(1, 0.4, n))
    return pl.DataFrame(
        {
            "unit": [f"u{i}" for i in range(n)],
            "a": a,
            "level": rng.integers(1, 4, n),
            "b": 0.5 * a + rng.lognormal(0, 0.5, n),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    measurements(600, 0.3, 0).write_csv(tmp_path / "rows.csv")
    measurements(900, 0.0, 1).write_parquet(tmp_path / "control.parquet")
    measurements(50, 0.5, 2).write_csv(tmp_path / "new.tsv", separator="\t")
    return tmp_path


@pytest.fixture
def run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """The command in this process: starting a new one for each case takes too long."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    handler = signal.getsignal(signal.SIGTERM)

    def run_here(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["dosift", "discretize", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            main()
        return Done(int(exit_.value.code or 0), *capsys.readouterr())

    yield run_here
    signal.signal(signal.SIGTERM, handler)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_learned_cuts_are_those_of_python_and_new_rows_are_cut_the_same_way(
    run: Run, folder: Path
) -> None:
    before = names(folder)
    done = run("rows.csv", "--control", "control.parquet", "-o", "s.csv", "--json")
    assert (done.status, done.err) == (0, "")
    content = json.loads(done.out)
    assert content["kept"] == ["unit", "level"]
    assert content["n_rows"] == 600
    assert names(folder) - before == {"s.csv", "s.control.csv", "s.cuts.json"}
    assert {content["rows"], content["control"], content["cuts"]} == names(folder) - before
    rows, control = measurements(600, 0.3, 0), measurements(900, 0.0, 1)
    expected, expected_control, cut = dosift.discretize(
        rows.select("a", "b"), control.select("a", "b")
    )
    states = pl.read_csv(folder / "s.csv")
    assert states.columns == rows.columns
    assert states.select("a", "b").equals(expected)
    assert states.select("unit", "level").equals(rows.select("unit", "level"))
    control_states = pl.read_csv(folder / "s.control.csv")
    assert control_states.select("a", "b").equals(expected_control)
    done = run("new.tsv", "--cuts", "s.cuts.json", "-o", "new.parquet", "-q")
    assert done == (0, "", "")
    new = pl.read_parquet(folder / "new.parquet")
    assert new.select("a", "b").equals(cut.transform(measurements(50, 0.5, 2).select("a", "b")))
    assert "new.cuts.json" not in names(folder)


def test_options_reach_the_discretizer(run: Run, folder: Path) -> None:
    options = ["--method", "quantile", "-k", "4", "--labels", "numbers", "--columns", "b, level"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the level, which has three values
        done = run("rows.csv", "-o", "s.parquet", *options, "--zero-state", "--log")
    assert done.status == 0
    assert "left as they are: unit, a" in done.out
    states = pl.read_parquet(folder / "s.parquet")
    assert set(states["b"]) == {"0", "1", "2", "3"}
    assert states["b"].value_counts()["count"].to_list() == [150] * 4
    assert set(states["level"]) <= {"0", "1", "2"}
    parameters = json.loads((folder / "s.cuts.json").read_text())["parameters"]
    assert parameters == {
        "n_states": 4,
        "method": "quantile",
        "log": True,
        "zero_state": True,
        "labels": "numbers",
    }


def test_missing_values_stay_missing(run: Run, folder: Path) -> None:
    (folder / "gaps.csv").write_text("a,b\n0.5,\nNaN,2.5\n1.5,3.5\n2.5,9.5\n")
    assert run("gaps.csv", "-k", "2", "-o", "s.csv").status == 0
    states = pl.read_csv(folder / "s.csv")
    assert states["a"].is_null().to_list() == [False, True, False, False]
    assert states["b"].is_null().to_list() == [True, False, False, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.csv"], "gone.csv: there is no such file"),
        (["rows.csv", "--control", "gone.csv"], "gone.csv: there is no such file"),
        (["rows.csv", "--cuts", "gone.json"], "gone.json: cannot be read"),
        (["rows.csv", "--cuts", "rows.csv"], "rows.csv: is not JSON"),
        (["rows.csv", "--cuts", "x.json", "-k", "2"], "--n-states is for new thresholds"),
        (["rows.csv", "--method", "median"], "method is 'median'"),
        (["rows.csv", "--labels", "letters"], "labels is 'letters'"),
        (["rows.csv", "--n-states", "1"], "n-states"),
        (["rows.csv", "--columns", "c"], "rows.csv: there is no column 'c' to cut"),
        (["rows.csv", "--columns", "unit"], "rows.csv: column 'unit' does not hold numbers"),
        (["texts.csv"], "texts.csv: no column holds measurements"),
        (["infinite.csv"], "infinite.csv: column 'a' holds infinity in row 2"),
        (["rows.csv", "--layer", "counts"], "layer"),
    ],
)
def test_mistakes_are_met_with_one_message_and_nothing_written(
    arguments: list[str], words: str, run: Run, folder: Path
) -> None:
    (folder / "texts.csv").write_text("a,b\nx,1\ny,2\n")
    (folder / "infinite.csv").write_text("a\n0.5\ninf\n1.5\n")
    before = names(folder)
    done = run(*arguments, "-o", "s.csv")
    assert done.status == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert names(folder) == before


def test_files_that_exist_are_kept(run: Run, folder: Path) -> None:
    (folder / "s.control.csv").write_text("mine")
    done = run("rows.csv", "--control", "control.parquet", "-o", "s.csv")
    assert done.status == 2
    assert "s.control.csv: exists" in done.err
    assert not (folder / "s.csv").exists()
    done = run("rows.csv", "--control", "control.parquet", "-o", "s.csv", "--force")
    assert done.status == 0
    assert (folder / "s.control.csv").read_text() != "mine"
    assert run("rows.csv", "-o", "s.xlsx").status == 2


def test_new_rows_that_lack_a_column_are_refused(run: Run, folder: Path) -> None:
    assert run("rows.csv", "-o", "s.csv").status == 0
    (folder / "less.csv").write_text("a\n0.5\n")
    done = run("less.csv", "--cuts", "s.cuts.json", "-o", "less.out.csv")
    assert done.status == 2
    assert "less.csv: column 'b', which is to be cut, is missing" in done.err


def test_help_does_not_load_what_cutting_needs() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['dosift', 'discretize', '--help']\n"
        "from dosift.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.exit(', '.join({'numpy', 'scipy', 'polars', 'narwhals'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--cuts" in done.stdout
