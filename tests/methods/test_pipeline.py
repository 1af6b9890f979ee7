"""Every method goes the whole way: command, result folder, report, rows; and the page runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest

import dosift
from dosift.cli.fit import EXIT_UNTRUSTED, fit
from dosift.io import write_network
from dosift.methods import METHODS
from dosift.results.folder import read_result

PAGE = Path(__file__).parents[2] / "docs" / "methods.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small problem: known network, graph and control rows, mixture rows."""
    path = tmp_path_factory.mktemp("methods")
    network = dosift.random_network(3, n_edges=2, random_state=1)
    nothing = dosift.Mixture({dosift.do(): 1.0})
    mixture = dosift.Mixture({dosift.do(): 0.6, dosift.do(V1="0"): 0.4})
    write_network(network, path / "network.bif")
    edges = "".join(f"{parent},{child}\n" for parent, child in network.edges)
    (path / "edges.csv").write_text("parent,child\n" + edges)
    dosift.simulate(network, nothing, 20_000, random_state=2).write_csv(path / "control.csv")
    dosift.simulate(network, mixture, 20_000, random_state=3).write_csv(path / "rows.csv")
    return path


@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_command_writes_a_result(method: str, learned: bool, folder: Path, tmp_path: Path) -> None:
    rows = folder / "rows.csv"
    source: dict[str, object] = {"inputs": [folder / "network.bif", rows]}
    if learned:
        source = {
            "inputs": [rows],
            "graph": folder / "edges.csv",
            "control": folder / "control.csv",
        }
    status = fit(**source, output=tmp_path / "out", method=method, quiet=True)  # type: ignore[arg-type]
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    assert status == (0 if content["trusted"] else EXIT_UNTRUSTED)
    assert content["diagnostics"]["converged"]
    assert not any("converge" in reason for reason in content["reasons"])
    assert content["settings"]["method"] == method
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000
    assigned = pl.read_parquet(tmp_path / "out" / "rows.parquet")
    assert assigned.height == 20_000
    result = read_result(tmp_path / "out")
    assert sum(result.mixture.weights) == pytest.approx(1)
    if method != "em":
        assert abs(result.mixture[dosift.do(V1="0")] - 0.4) < 0.1


def test_code_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), {})
        printed = capsys.readouterr().out.splitlines()
        assert printed == [line[2:] for line in block.splitlines() if line.startswith("# ")]
