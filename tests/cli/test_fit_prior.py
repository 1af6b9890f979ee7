"""``dosift fit`` with prior knowledge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.errors import InputError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("prior")
    network = dosift.random_network(4, random_state=1)
    truth = dosift.Mixture({dosift.do(): 0.5, dosift.do(V1="1"): 0.3, dosift.do(V2="0"): 0.2})
    dosift.write_network(network, folder / "net.bif")
    dosift.simulate(network, truth, 2000, random_state=1).write_csv(folder / "rows.csv")
    return str(folder / "net.bif"), str(folder / "rows.csv")


def run(files: tuple[str, str], out: Path, *options: str) -> dict[str, object]:
    arguments = ["fit", *files, "-o", str(out), "--json", "--quiet", *options]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=False)
    return dict(json.loads(result.stdout))


def test_options_and_file_are_joined(files: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text('{"non_manipulable": ["V3"], "known_weights": {"do()": 0.5}}')
    content = run(
        files, tmp_path / "out", "--prior-knowledge", str(path), "--require", "V2=0",
        "--known-weight", "do(V1=1)=0.3", "--exclude", "V4=0", "--forbid", "do(V4=1)",
    )  # fmt: skip
    found = {c["target"]: c["weight"] for c in content["components"]}  # type: ignore[attr-defined]
    assert found == pytest.approx({"do()": 0.5, "do(V1=1)": 0.3, "do(V2=0)": 0.2})
    assert content["settings"]["prior_knowledge"] == {  # type: ignore[index]
        "forbidden": ["do(V4=1)"],
        "excluded": ["do(V4=0)"],
        "non_manipulable": ["V3"],
        "required": ["do(V2=0)"],
        "known_weights": {"do()": 0.5, "do(V1=1)": 0.3},
    }
    assert str(path) in [entry["path"] for entry in content["inputs"]]  # type: ignore[attr-defined]
    assert (tmp_path / "out" / "report.html").is_file()


def test_candidates(files: tuple[str, str], tmp_path: Path) -> None:
    listed = ["do()", "do(V1=1)", "do(V2=0)", "do(V3=1)"]
    options = [word for target in listed for word in ("--candidate", target)]
    content = run(files, tmp_path / "out", *options)
    found = {c["target"] for c in content["components"]}  # type: ignore[attr-defined]
    assert found == {"do()", "do(V1=1)", "do(V2=0)"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--known-weight", "do(V1=1)"], "does not end in a number"),
        (["--known-weight", "do(V1=1)=2"], "between 0 and 1"),
        (["--forbid", "do(V1"], "expected '='"),
        (["--non-manipulable", "age"], "no such variable"),
        (["--require", "V1=9"], "not one of its states"),
        (["--candidate", "V1=1", "--method", "moments"], "knows no prior knowledge"),
    ],
)
def test_mistakes_write_nothing(
    files: tuple[str, str], tmp_path: Path, options: list[str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        run(files, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()
