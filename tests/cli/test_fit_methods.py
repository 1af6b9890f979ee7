"""The methods of estimation on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dosift
from command import run


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods")
    network = dosift.random_network(3, n_edges=2, random_state=1)
    truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(V1="0"): 0.4})
    dosift.write_network(network, folder / "network.bif")
    dosift.simulate(network, truth, 3_000, random_state=0).write_csv(folder / "rows.csv")
    wide = dosift.random_network(25, n_edges=20, random_state=2)
    dosift.write_network(wide, folder / "wide.bif")
    nothing = dosift.Mixture({dosift.do(): 1.0})
    dosift.simulate(wide, nothing, 50, random_state=0).write_csv(folder / "wide.csv")
    return folder


@pytest.mark.parametrize("method", ["moments", "em", "brute-force"])
def test_every_method_writes_a_whole_result(method: str, files: Path, tmp_path: Path) -> None:
    done = run(
        "fit", files / "network.bif", files / "rows.csv", "-o", tmp_path / "out",
        "--method", method, "--epsilon", "0.05", "--quiet",
    )  # fmt: skip
    assert done.returncode in {0, 3}, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["settings"]["method"] == method
    assert result["diagnostics"]["certificate"] is None
    assert result["identifiability"]["status"]
    assert all(c["weight"] >= 0.05 for c in result["components"])
    for name in ("components.csv", "variables.csv", "rows.parquet", "report.html"):
        assert (tmp_path / "out" / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "em"), "GiB"),
        (("--method", "brute-force"), "GiB"),
        (("--method", "magic"), "choose one of likelihood, moments, em, brute-force"),
        (("--epsilon", "2"), "epsilon is 2.0"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    options: tuple[str, ...], message: str, files: Path, tmp_path: Path
) -> None:
    done = run("fit", files / "wide.bif", files / "wide.csv", "-o", tmp_path / "out", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
