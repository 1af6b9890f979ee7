"""Names of variables and states that are HTML, formulas, paths or control characters."""

from __future__ import annotations

import csv
import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command import run
from dosift.io import read_network, write_network
from dosift.model import Mixture, Network
from dosift.model.target_text import parse_target

NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "-1+1|cmd",
    "../../etc/passwd",
    "\x1b]0;owned\x07\x1b[31mred",
    "\x9b2J",
    "[bold red]markup[/]",
    "a\tb\nc",
    "\u202eright to left",
    "</style></svg><svg onload=alert(1)>",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit of rows whose every name is hostile, by the real command."""
    place = tmp_path_factory.mktemp("hostile")
    n = len(NAMES)
    states = {name: [NAMES[(i + 1) % n], NAMES[(i + 2) % n]] for i, name in enumerate(NAMES)}
    network = Network.from_tables(states, {}, {name: [[0.7, 0.3]] for name in NAMES})
    write_network(network, place / "net.bif")
    rng = np.random.default_rng(0)
    codes = (rng.random((4000, n)) < 0.3).astype(int)
    codes[:1500, 2] = 1
    codes[1000:2500, 0] = 1
    # Two variables that go together, as no intervention on one variable makes them: the fit must
    # not be trusted, and the reason names them.
    codes[:, 6] = codes[:, 7]
    columns = {
        name: pl.Series([states[name][c] for c in codes[:, i].tolist()])
        for i, name in enumerate(NAMES)
    }
    pl.DataFrame(columns).write_csv(place / "rows.csv")
    return place


@pytest.fixture(scope="module")
def fit(folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = "--all-probabilities", "--max-size", "1"
    done = run("fit", "net.bif", "rows.csv", "-o", "out", *arguments, cwd=folder)
    assert done.returncode == 3, done.stderr
    return done


def is_harmless_on_a_terminal(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


def test_names_come_back_exactly(folder: Path, fit: object) -> None:
    network = read_network(folder / "out/network.bif")
    assert list(network.names) == NAMES
    mixture = Mixture.read(folder / "out/mixture.json")
    mixture.to_codes(network)
    content = json.loads((folder / "out/result.json").read_text())
    assert {line["variable"] for line in content["variables"]} == set(NAMES)
    assert all(parse_target(c["target"]) in mixture for c in content["components"])


def test_the_terminal_gets_no_control_characters(
    folder: Path, fit: subprocess.CompletedProcess[str]
) -> None:
    assert fit.stdout
    assert is_harmless_on_a_terminal(fit.stdout)
    assert is_harmless_on_a_terminal(fit.stderr)


@pytest.mark.parametrize("name", ["\x1b[31mred", "\x9b2J", "a\tb\nc\r"])
def test_errors_show_no_control_characters(name: str, folder: Path) -> None:
    pl.DataFrame({n: [name] for n in NAMES}).write_csv(folder / "bad.csv")
    done = run("fit", "net.bif", "bad.csv", "-o", "bad", cwd=folder)
    assert done.returncode == 2
    assert is_harmless_on_a_terminal(done.stderr)
    assert not (folder / "bad").exists()


@pytest.mark.parametrize("table", ["components.csv", "pairs.csv", "variables.csv"])
def test_tables_hold_no_formulas(table: str, folder: Path, fit: object) -> None:
    with open(folder / "out" / table, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    for cell in (cell for row in rows for cell in row):
        starts_a_formula = cell[:1] in {"=", "@", "\t", "\r", "\n"}
        assert not starts_a_formula
        if cell[:1] in {"+", "-"}:
            float(cell)


def test_files_stay_in_their_folder(folder: Path, fit: object) -> None:
    assert {path.name for path in (folder / "out").iterdir()} == {
        "components.csv",
        "mixture.json",
        "network.bif",
        "pairs.csv",
        "report.html",
        "result.json",
        "rows.parquet",
        "variables.csv",
    }


class _Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_shows_names_as_text(folder: Path, fit: object) -> None:
    page = _Page()
    page.feed((folder / "out/report.html").read_text(encoding="utf-8"))
    assert not page.tags & {"img", "iframe", "object", "embed", "base", "form"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "alert(1)" in page.text
    assert "<script>alert(1)</script>" not in (folder / "out/report.html").read_text()
    assert "</style></svg><svg onload" not in (folder / "out/report.html").read_text()
