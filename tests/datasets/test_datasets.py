"""Shipped and downloaded data."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from urllib.error import URLError

import pytest

import dosift
from dosift.datasets import demo_path, load_incident, load_sachs, load_screen, sachs, sachs_graph
from dosift.errors import DosiftError, InputError

SHARED = Path(__file__).parents[3] / "shared" / "data" / "sachs"
needs_sachs = pytest.mark.skipif(not SHARED.is_dir(), reason="the Sachs files are not here")


@pytest.mark.parametrize("load", [load_screen, load_incident])
def test_the_shipped_mixtures_are_recovered(load: object) -> None:
    data = load()  # type: ignore[operator]
    assert data.rows.shape == (5000, 8)
    model = dosift.InterventionMixture(data.network).fit(data.rows)
    scores = dosift.evaluate(data.truth, model.mixture_)
    assert scores.recall == scores.precision == 1.0
    assert model.fit_check_.fits


def test_the_shipped_data_is_small() -> None:
    folder = load_screen().paths["network"].parent
    assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000


@pytest.mark.parametrize("name", ["screen", "incident"])
def test_the_shipped_files_are_there(name: str) -> None:
    paths = demo_path(name)
    assert list(paths) == ["network", "control", "rows", "truth"]
    assert all(path.is_file() for path in paths.values())
    network = dosift.read_network(paths["network"])
    assert network.is_positive
    assert tuple(dosift.read_rows(paths["control"]).columns) == network.names


def test_an_unknown_demo_is_refused() -> None:
    with pytest.raises(InputError, match=r"no demo '\.\./x'; choose one of screen, incident"):
        demo_path("../x")


@needs_sachs
def test_sachs_from_a_folder() -> None:
    rows = load_sachs(SHARED)
    assert rows.shape == (5400, 12)
    assert (rows.filter(rows["condition"] == "akt_inhibitor")["akt"] == "1").all()
    assert load_sachs(SHARED, discrete=False).shape == (7466, 12)
    with (SHARED / "graph_bnlearn.csv").open() as file:
        edges = [tuple(row) for row in list(csv.reader(file))[1:]]
    assert sorted(sachs_graph()) == sorted(edges)


@needs_sachs
def test_sachs_is_downloaded_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (SHARED / "sachs.2005.discrete.txt").read_bytes()
    calls = []

    def download(url: str, timeout: float) -> io.BytesIO:
        calls.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr("urllib.request.urlopen", download)
    monkeypatch.setenv("DOSIFT_DATA", str(tmp_path / "cache"))
    assert load_sachs().height == 5400
    assert load_sachs().height == 5400
    assert len(calls) == 1


def test_a_wrong_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sachs.2005.discrete.txt").write_text("not the data")
    with pytest.raises(InputError, match="SHA-256"):
        load_sachs(tmp_path)
    with pytest.raises(InputError, match="does not hold"):
        load_sachs(tmp_path / "nowhere")
    monkeypatch.setenv("DOSIFT_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"a login page"))
    with pytest.raises(InputError, match="SHA-256"):
        load_sachs()
    assert not (tmp_path / "cache").exists()


def test_without_a_network_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    monkeypatch.setenv("DOSIFT_DATA", str(tmp_path))
    with pytest.raises(DosiftError, match=r"load_sachs\(folder\)") as caught:
        load_sachs()
    assert sachs._URL.format(name="sachs.2005.discrete.txt") in str(caught.value)
