"""``dosift demo``: the whole main job on data shipped in the package."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dosift.cli.fit import EXIT_UNTRUSTED
from dosift.cli.options import Json, Quiet, Seed, print_json, set_up
from dosift.cli.summary import print_summary
from dosift.errors import InputError


class Story(StrEnum):
    """Data sets that the package ships."""

    screen = "screen"
    incident = "incident"


def demo(
    story: Annotated[
        Story, typer.Argument(help="A knockout screen, or an incident in a fleet of services.")
    ] = Story.screen,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Result folder; replaced if it is there.")
    ] = Path("dosift-demo"),
    seed: Seed = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run the main job on shipped data and compare the answer with the truth.

    Example:  dosift demo incident
    """
    from dosift.cli.fit_files import fit_files
    from dosift.datasets import load_incident, load_screen
    from dosift.model import evaluation

    set_up(quiet)
    data = load_screen() if story is Story.screen else load_incident()
    if output.exists() and not (output / "result.json").is_file():
        raise InputError("exists and is no result folder; choose another with -o", path=output)
    if not quiet and not json:
        typer.echo(f"{data.story}\n")
    paths = data.paths
    settings = {"method": "likelihood", "max_size": None, "refine": True, "seed": seed}
    inputs = [Path(paths["network"]), Path(paths["rows"])]
    content, model = fit_files(
        inputs, None, None, output, settings, inputs, False, True, quiet or json
    )
    scores = evaluation.evaluate(data.truth, model.mixture_)
    if json:
        print_json({**content, "evaluation": scores.to_dict()})
    elif not quiet:
        print_summary(content, output)
        typer.echo(
            f"Compared with the truth: {scores.n_matched} of {scores.n_true} interventions found, "
            f"{scores.n_found - scores.n_matched} invented; the weights are off by "
            f"{100 * scores.tv:.1f} % in all (total variation).\n\n"
            "Next, with your own files:  dosift fit NETWORK.bif ROWS.csv -o RESULT"
        )
    return 0 if content["trusted"] else EXIT_UNTRUSTED
