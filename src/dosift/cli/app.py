"""The typer application: commands by name."""

from __future__ import annotations

from typing import Annotated

import typer

from dosift._version import __version__
from dosift.cli.assign import assign
from dosift.cli.check import check
from dosift.cli.demo import demo
from dosift.cli.discretize import discretize
from dosift.cli.evaluate import evaluate
from dosift.cli.fit import fit
from dosift.cli.report import report
from dosift.cli.simulate import simulate
from dosift.cli.study import study

app = typer.Typer(
    name="dosift",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Find which unknown interventions hit which rows, and how much of each there was.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dosift {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find which unknown interventions hit which rows, and how much of each there was."""


for command in (demo, fit, discretize, simulate, assign, check, evaluate, report, study):
    app.command()(command)
