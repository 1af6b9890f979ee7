"""The command with measurements that are too many to hold: files in, parts through, folder out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dosift.cli.app import app
from dosift.data import read
from dosift.data import sample as sampling

pytestmark = pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")


def table(n: int, shift: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng([6, seed])
    load = rng.normal(size=n)
    latency = np.exp(0.5 * load + shift + 0.4 * rng.normal(size=n))
    return pl.DataFrame({"load": load, "latency": latency})


def run(*arguments: object) -> int:
    status: int = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return status


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rows = pl.concat([table(1500, 0.0, 1), table(500, 2.0, 2)])
    batch = np.where(np.arange(2000) % 3 == 0, "night", "day")
    rows.with_columns(pl.Series("shift", batch)).write_parquet(tmp_path / "rows.parquet")
    rows.with_columns(pl.Series("shift", batch)).write_csv(tmp_path / "rows.csv")
    table(3000, 0.0, 0).write_parquet(tmp_path / "control.parquet")
    (tmp_path / "edges.csv").write_text("parent,child\nload,latency\n")
    return tmp_path


def fit(files: Path, name: str, *more: object, rows: str = "rows.parquet") -> pl.DataFrame:
    given = ["--control", files / "control.parquet", "--graph", files / "edges.csv"]
    given += ["-o", files / name, "-q", *more]
    assert run("fit", files / rows, *given) == 0
    return pl.read_csv(files / name / "components.csv")


@pytest.mark.long
@pytest.mark.parametrize("rows", ["rows.parquet", "rows.csv"])
def test_large_files_are_fitted_and_judged_in_parts(
    files: Path, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = fit(files, "plain", "--batch", "shift", rows=rows)
    monkeypatch.setattr(read, "_MANY_ROWS", 100)
    monkeypatch.setattr(read, "_MANY_BYTES", 100)
    monkeypatch.setattr(sampling, "MOST_CONFIGURATIONS", 700)
    found = fit(files, "parts", "--batch", "shift", rows=rows)
    sets = [target.partition("(")[0] for target in found["target"]]
    assert sets == [target.partition("(")[0] for target in plain["target"]]
    np.testing.assert_allclose(found["weight"], plain["weight"], atol=0.004)
    for name in ("plain", "parts"):
        status = run("assign", files / name, files / rows, "-o", files / f"{name}.parquet", "-q")
        assert status == 0
    one, two = (pl.read_parquet(files / f"{name}.parquet") for name in ("plain", "parts"))
    assert two.height == 2000
    kinds = [[text.partition("(")[0] for text in own["target"]] for own in (one, two)]
    assert np.mean(np.array(kinds[0]) == np.array(kinds[1])) > 0.99
    # Rows of the folder are judged by the weights of their batch; order is the file's.
    judged = pl.read_parquet(files / "parts" / "rows.parquet")
    assert judged.height == 2000
    np.testing.assert_allclose(judged["surprise"], two["surprise"], atol=0.5)


def test_a_text_in_a_large_file_is_named(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_MANY_BYTES", 100)
    rows = files / "bad.csv"
    rows.write_text("load,latency\n" + "1,2\n" * 200 + "1,slow\n")
    given = ["--control", files / "control.parquet", "--graph", files / "edges.csv"]
    with pytest.raises(Exception, match=r"'latency' holds 'slow'.*data row 201"):
        run("fit", rows, *given, "-o", files / "out", "-q")
