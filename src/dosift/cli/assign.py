"""``dosift assign``: which intervention hit each new row."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dosift.cli.options import (
    Force,
    Json,
    Layer,
    Output,
    Quiet,
    Threads,
    print_json,
    set_up,
    write_table,
)


def assign(
    result: Annotated[Path, typer.Argument(help="The folder that 'fit' wrote.")],
    rows: Annotated[Path, typer.Argument(help="New rows.")],
    output: Output,
    all_probabilities: Annotated[
        bool, typer.Option("--all-probabilities", help="One column of probabilities a component.")
    ] = False,
    layer: Layer = None,
    threads: Threads = 2,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the most probable intervention of each new row, with a fitted result.

    Example:  dosift assign result new_rows.csv -o assigned.csv
    """
    from dosift import assignment
    from dosift.model_check import surprise_scale
    from dosift.result import read_result, row_table
    from dosift.rows import collapse, load_rows

    set_up(quiet, threads)
    fitted = read_result(result)
    encoded = load_rows(rows, fitted.network, allow_missing=True, layer=layer)
    targets, weights = fitted.mixture.to_codes(fitted.network)
    configurations = collapse(encoded.codes, fitted.network.cardinalities)
    found = assignment.assign(fitted.network, targets, weights, configurations.codes)
    texts = [str(target) for target in fitted.mixture.targets]
    # The seed of the fit: the same rows get the same p-values.
    scale = surprise_scale(fitted.network, targets, weights, fitted.content.get("seed") or 0)
    table = row_table(found, configurations.inverse, texts, all_probabilities, scale)
    write_table(table, output, force)
    counts = table.group_by("target").len().sort("len", descending=True).to_dicts()
    if json:
        print_json({"rows": table.height, "most_probable": counts, "output": str(output)})
    elif not quiet:
        typer.echo(f"{table.height} rows: {output}")
    return 0
