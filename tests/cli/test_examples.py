"""The examples in the help of every command run, word for word."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dosift
from command import run
from dosift.model.random_problems import random_mixture, random_network

COMMANDS = (
    "assign",
    "check",
    "demo",
    "discretize",
    "evaluate",
    "fit",
    "report",
    "simulate",
    "study",
)


def examples(command: str) -> list[str]:
    """Take the examples from the text that the help wraps."""
    module = importlib.import_module(f"dosift.cli.{command}")
    text = inspect.getdoc(getattr(module, command)) or ""
    return [line.strip() for line in re.findall(rf"dosift {command} [^\n]*", text)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the files that the examples name, once."""
    tmp_path = tmp_path_factory.mktemp("made")
    network = random_network(4, random_state=0)
    mixture = random_mixture(network, 2, random_state=0)
    dosift.write_network(network, tmp_path / "network.bif")
    for name, seed in (("rows", 0), ("new_rows", 1)):
        rows = dosift.simulate(network, mixture, 1000, random_state=seed)
        rows.write_csv(tmp_path / f"{name}.csv")
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 1500, random_state=2)
    control.write_csv(tmp_path / "control.csv")
    values = np.random.default_rng(3).lognormal(size=(3, 200, 2))
    for name, table in zip(("measurements", "new_measurements", "normal"), values, strict=True):
        pl.DataFrame(table, schema=["a", "b"]).write_csv(tmp_path / f"{name}.csv")
    mixture.write(tmp_path / "rows.mixture.json")
    edges = [f"{cause},{effect}" for cause, effect in network.edges]
    (tmp_path / "edges.csv").write_text("\n".join(["parent,child", *edges]) + "\n")
    model = ["fit", "network.bif", "rows.csv", "-o", "result", "-q"]
    assert run(*model, cwd=tmp_path).returncode == 0
    return tmp_path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Copy them, for one command to work among."""
    return Path(shutil.copytree(made, tmp_path / "folder"))


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=pytest.mark.long) if c == "study" else c for c in COMMANDS],
)
def test_examples_run(command: str, folder: Path) -> None:
    lines = examples(command)
    assert lines, f"the help of {command} has no example"
    for line in lines:
        arguments = shlex.split(line)[1:]
        if command == "study":
            # The same study, made small: a full one takes minutes.
            arguments += ["--variables", "3", "--rows", "40", "--problems", "1"]
            if "paper" in arguments:
                arguments += ["--processes", "2"]
            if "real" in arguments:
                arguments += ["--networks", "cancer,survey"]
        if command in {"fit", "simulate"}:  # the files of the example are there already
            arguments += ["--force"]
        done = run(*arguments, cwd=folder)
        assert done.returncode == 0, (line, done.stderr)
