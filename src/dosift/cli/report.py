"""``dosift report``: the report page of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dosift.cli.options import Force, Quiet
from dosift.utils.atomic_write import write_bytes


def report(
    result: Annotated[Path, typer.Argument(help="The folder that 'fit' wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page; in the folder by default.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> int:
    """Write the report page of a result again.

    Example:  dosift report result -o report.html
    """
    from dosift.results.folder import read_result
    from dosift.results.report import render_report

    content = read_result(result).content
    path = result / "report.html" if output is None else output
    page = render_report(content).encode("utf-8")
    write_bytes(path, page, replace=force or output is None)
    if not quiet:
        typer.echo(f"report: {path}")
    return 0
