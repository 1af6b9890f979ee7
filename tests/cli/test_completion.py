"""Completion in shells: of commands, options, and options' values."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dosift.data.discretizer import METHODS as CUTS
from dosift.methods import METHODS
from dosift.methods.parameters import EDGES
from dosift.methods.soft import KINDS as INTERVENTIONS
from dosift.resampling.bootstrap import KINDS as RESAMPLES
from dosift.study import PRESETS


def completed(shell: str, line: str) -> list[str]:
    """Ask as the shell does what may follow a line."""
    words = line.split(" ")
    given = {"_DOSIFT_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        given |= {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    else:
        given |= {"_TYPER_COMPLETE_ARGS": line}
    code = "from dosift.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_options_and_values() -> None:
    assert completed("bash", "dosift f") == ["fit"]
    assert completed("bash", "dosift fit --boots") == ["--bootstrap"]
    assert completed("bash", "dosift fit --method m") == ["moments"]


def test_zsh_completes_commands_and_values() -> None:
    assert '"fit":' in " ".join(completed("zsh", "dosift f"))
    assert "stochastic" in " ".join(completed("zsh", "dosift fit --interventions st"))


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("fit --method", METHODS),
        ("fit --interventions", INTERVENTIONS),
        ("fit --bootstrap", RESAMPLES),
        ("fit --edges", tuple(name for name in EDGES if name != "learn")),
        ("study --preset", tuple(PRESETS)),
        ("discretize --method", CUTS),
        ("discretize --labels", ("words", "numbers")),
    ],
)
def test_what_is_completed_is_what_may_be_given(option: str, values: tuple[str, ...]) -> None:
    assert completed("bash", f"dosift {option} ") == list(values)
