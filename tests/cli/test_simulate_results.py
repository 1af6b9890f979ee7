"""``dosift simulate`` of a folder that ``dosift fit`` wrote: rows as those of the fit."""

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


def run(*arguments: object) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments)], standalone_mode=False)
    if isinstance(done.exception, Exception):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A latency, an error rate, counts and a region; a quarter of the rows were slowed down."""
    folder = tmp_path_factory.mktemp("simulated")
    rng = np.random.default_rng(4)

    def rows(n: int, slower: float) -> pl.DataFrame:
        region = rng.integers(2, size=n)
        latency = slower * np.exp(4.0 + 0.3 * region + 0.3 * rng.normal(size=n))
        rate = 1 / (1 + np.exp(4.0 - 0.02 * latency + 0.2 * rng.normal(size=n)))
        calls = rng.poisson(np.exp(3.0 + 0.2 * np.log(latency)))
        names = np.array(["eu", "us"])[region]
        return pl.DataFrame({"region": names, "latency": latency, "rate": rate, "calls": calls})

    rows(1500, 1.0).write_csv(folder / "control.csv")
    pl.concat([rows(900, 1.0), rows(300, 2.5)]).write_csv(folder / "rows.csv")
    (folder / "edges.csv").write_text("parent,child\nregion,latency\nlatency,rate\nlatency,calls\n")
    run(
        "fit", folder / "rows.csv", "--control", folder / "control.csv", "--graph",
        folder / "edges.csv", "--counts", "calls", "-o", folder / "out", "--quiet",
    )  # fmt: skip
    return folder


def test_rows_are_as_those_of_the_fit(folder: Path) -> None:
    run("simulate", folder / "out", "-n", 6000, "--seed", 1, "-o", folder / "new.csv", "-q")
    drawn, rows = pl.read_csv(folder / "new.csv"), pl.read_csv(folder / "rows.csv")
    assert drawn.columns == rows.columns
    assert drawn.schema == rows.schema
    for name in ("latency", "rate", "calls"):
        for at in (0.1, 0.5, 0.9):
            quantiles = [np.quantile(table[name], at) for table in (drawn, rows)]
            spread = rows[name].std()
            assert isinstance(spread, float)
            assert abs(quantiles[0] - quantiles[1]) < 0.12 * spread, (name, at)
    shares = [float((table["region"] == "eu").mean()) for table in (drawn, rows)]  # type: ignore[arg-type]
    assert shares[0] == pytest.approx(shares[1], abs=0.05)
    truth = dosift.Mixture.read(folder / "new.mixture.json")
    assert truth.to_dict() == dosift.Mixture.read(folder / "out" / "mixture.json").to_dict()


def test_a_fit_to_them_finds_the_same(folder: Path) -> None:
    run("simulate", folder / "out", "-n", 1500, "--seed", 2, "-o", folder / "more.csv", "-q")
    model = dosift.InterventionMixture().fit(
        folder / "more.csv",
        control=folder / "control.csv",
        graph=[("region", "latency"), ("latency", "rate"), ("latency", "calls")],
        kinds={"calls": "counts"},
    )
    found = dict(model.components_.select("target", "weight").iter_rows())
    slowed = [weight for text, weight in found.items() if text.startswith("gain(latency*2.")]
    assert slowed == [pytest.approx(0.25, abs=0.04)]


def test_other_mixtures_go_with_its_network(folder: Path) -> None:
    run(
        "simulate", folder / "out", "-n", 50, "--targets", 2, "-o", folder / "random.csv", "-q",
    )  # fmt: skip
    assert pl.read_csv(folder / "random.csv").height == 50
    with pytest.raises(InputError, match="give either --mixture FILE or --targets"):
        run(
            "simulate", folder / "out", "-n", 5, "--targets", 2, "--mixture",
            folder / "out" / "mixture.json", "-o", folder / "no.csv",
        )  # fmt: skip
    with pytest.raises(InputError, match="has no"):
        run("simulate", folder, "-n", 5, "-o", folder / "no.csv")
