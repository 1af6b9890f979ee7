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
    check_table_name,
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
    from dosift.checks.model_check import surprise_scale
    from dosift.data import collapse, load_rows
    from dosift.data.read import RowFiles
    from dosift.data.stream import needs, store_rows
    from dosift.likelihood import assignment
    from dosift.results.folder import read_result
    from dosift.results.rows import RowParts, row_table
    from dosift.utils.progress import ProgressReporter

    set_up(quiet, threads)
    check_table_name(output, force)
    fitted = read_result(result)
    network = fitted.network
    targets, weights = fitted.mixture.to_codes(network)
    texts = [str(target) for target in fitted.mixture.targets]
    # The seed of the fit: the same rows get the same p-values.
    scale = surprise_scale(network, targets, weights, fitted.content.get("seed") or 0)
    files = RowFiles.at(rows)
    if files.is_large:
        with ProgressReporter(quiet or json) as tell:
            tell.say(f"{needs(files.n_rows(), network, threads)}.")
            blocks = store_rows(files, network, threads=threads, progress=tell)
            tell("assigning", 0, None)
            parts = RowParts(blocks, network, targets, weights, texts, scale, all_probabilities)
            numbers = write_table(parts, output, force).tolist()
        n_rows = int(blocks.n_rows)
    else:
        encoded = load_rows(rows, network, allow_missing=True, layer=layer)
        configurations = collapse(encoded.codes, network.cardinalities)
        found = assignment.assign(network, targets, weights, configurations.codes)
        table = row_table(found, configurations.inverse, texts, all_probabilities, scale)
        write_table(table, output, force)
        best = table["target"].to_list()
        numbers = [best.count(text) for text in (*texts, None)]
        n_rows = table.height
    counts = sorted(zip((*texts, None), numbers, strict=True), key=lambda one: -one[1])
    if json:
        most = [{"target": text, "len": n} for text, n in counts if n]
        print_json({"rows": n_rows, "most_probable": most, "output": str(output)})
    elif not quiet:
        typer.echo(f"{n_rows} rows: {output}")
    return 0
