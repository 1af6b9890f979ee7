"""``dosift evaluate``: compare a found mixture with the true one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dosift.cli.options import Json, print_json


def evaluate(
    true: Annotated[Path, typer.Argument(help="The true mixture.json.")],
    found: Annotated[Path, typer.Argument(help="The mixture.json that was found.")],
    json: Json = False,
) -> int:
    """Compare a found mixture with the true one: recall, precision, error of the weights.

    Example:  dosift evaluate rows.mixture.json result/mixture.json
    """
    from dosift.model import Mixture, evaluation

    scores = evaluation.evaluate(Mixture.read(true), Mixture.read(found)).to_dict()
    if json:
        print_json(scores)
        return 0
    for name, value in scores.items():
        typer.echo(f"{name:>14}  {_shown(value)}")
    return 0


def _shown(value: object) -> str:
    if value is None:
        return "- (there are none)"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
