"""``dosift assign``: which intervention hit each new row."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dosift.cli.inputs import Format, Inputs
from dosift.cli.options import (
    Force,
    Json,
    Layer,
    Output,
    Quiet,
    Threads,
    check_table_name,
    column_option,
    print_json,
    set_up,
    write_table,
)
from dosift.utils.progress import ProgressReporter

if TYPE_CHECKING:
    import polars as pl

    from dosift.data.load import Loaded
    from dosift.model.mechanism_network import MechanismNetwork
    from dosift.model.network import Network
    from dosift.results.folder import Result
    from dosift.results.rows import RowJudge


def assign(
    result: Annotated[Path, typer.Argument(help="The folder that 'fit' wrote.")],
    rows: Annotated[Path, typer.Argument(help="New rows; - is standard input.")],
    output: Output,
    all_probabilities: Annotated[
        bool, typer.Option("--all-probabilities", help="One column of probabilities a component.")
    ] = False,
    batch: Annotated[
        str | None,
        column_option(
            help="Column that holds each row's batch: judge it by the weights of that batch."
        ),
    ] = None,
    unit: Annotated[
        str | None,
        column_option(
            help="Column that holds each row's unit: the rows of a unit share one intervention; "
            "with --time, they are a series.",
        ),
    ] = None,
    time: Annotated[
        str | None,
        column_option(
            help="Column that says when each row was seen: neighbours in time are judged together, "
            "by the rate of switching of a fit with --time.",
        ),
    ] = None,
    format: Format = None,
    layer: Layer = None,
    threads: Threads = 2,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the most probable intervention of each new row, with a fitted result.

    Example:  dosift assign result new_rows.csv -o assigned.csv
    """
    set_up(quiet, threads)
    check_table_name(output, force)
    with Inputs(format) as pipes:
        counts = _assign(
            result,
            pipes.rows(rows),
            output,
            all_probabilities=all_probabilities,
            batch=batch,
            unit=unit,
            time=time,
            layer=layer,
            threads=threads,
            force=force,
            quiet=quiet or json,
        )
    n_rows = sum(n for _, n in counts)
    if json:
        most = [{"target": text, "len": n} for text, n in counts if n]
        print_json({"rows": n_rows, "most_probable": most, "output": str(output)})
    elif not quiet:
        typer.echo(f"{n_rows} rows: {output}")
    return 0


def _assign(
    result: Path,
    rows: Path,
    output: Path,
    *,
    all_probabilities: bool,
    batch: str | None,
    unit: str | None,
    time: str | None,
    layer: str | None,
    threads: int,
    force: bool,
    quiet: bool,
) -> list[tuple[str | None, int]]:
    """Write the table; return each target with its number of rows, most frequent first."""
    from dosift.checks.model_check import surprisal_scale
    from dosift.results.folder import read_result
    from dosift.results.rows import RowJudge, RowParts
    from dosift.results.units import tables_of

    fitted = read_result(result)
    network = fitted.network
    targets, pooled = fitted.mixture.to_codes(network)
    weights = pooled
    texts = tuple(str(target) for target in fitted.mixture.targets)
    # The seed of the fit: the same rows get the same p-values.
    scale = surprisal_scale(network, targets, weights, fitted.content.get("seed") or 0)
    names: tuple[str, ...] | None = None
    if batch is not None:
        names, weights = fitted.batches()
    if time is not None:
        fitted.switching()  # said before rows are read
    judge = RowJudge(network, targets, weights, texts, scale, all_probabilities=all_probabilities)
    judge = judge.merged(pooled)
    texts = judge.texts
    judge = replace(judge, there=fitted.presence(texts))
    named = {"batch": batch, "unit": unit, "time": time}
    with ProgressReporter(quiet) as tell:
        if time is None and fitted.content.get("timeline"):
            tell.say("The fit knew the time of each row; without --time each is judged by itself.")
        loaded = _loaded(rows, network, named, names, layer, threads, tell)
        tell("assigning", 0, None)
        table, _ = tables_of(judge, loaded)
        if loaded.order is not None:
            assert not isinstance(table, RowParts)
            table = _in_time(table, judge, fitted, loaded)
        written = write_table(table, output, force)
    if isinstance(table, RowParts):
        numbers = written.tolist()
    else:
        best = table["target"].to_list()
        numbers = [best.count(text) for text in (*texts, None)]
    return sorted(zip((*texts, None), numbers, strict=True), key=lambda one: -one[1])


def _loaded(
    rows: Path,
    network: Network | MechanismNetwork,
    named: Mapping[str, str | None],
    batches: tuple[str, ...] | None,
    layer: str | None,
    threads: int,
    tell: ProgressReporter,
) -> Loaded:
    """Read the rows; in parts where they are many."""
    from dosift.data.load import Loaded, load, together
    from dosift.data.read import RowFiles
    from dosift.data.stream import needs, store_rows
    from dosift.model.network import Network

    files = RowFiles.at(rows)
    is_held = not isinstance(network, Network) and named["unit"] is not None
    if not files.is_large or is_held or named["time"] is not None:
        return load(
            rows,
            network,
            batch=named["batch"],
            unit=named["unit"],
            time=named["time"],
            batches=batches,
            layer=layer,
        )
    tell.say(f"{needs(files.n_rows(), network, threads)}.")
    own = {"batch": named["batch"], "unit": named["unit"]}
    stored = store_rows(files, network, threads=threads, progress=tell, **own)
    if named["unit"] is not None:
        assert isinstance(network, Network)
        with closing(stored):
            return together(stored, network, own, batches)
    if batches is not None:
        stored.match(batches)
    return Loaded(stored, None, stored.library)


def _in_time(table: pl.DataFrame, judge: RowJudge, fitted: Result, loaded: Loaded) -> pl.DataFrame:
    """Judge rows by all rows of their series."""
    from dosift.pipeline.series import smoothed_rows
    from dosift.results.timeline import rows_in_time

    rate, in_seconds = fitted.switching()
    assert loaded.order is not None
    loaded.order.check_like(in_seconds)
    own = smoothed_rows(judge.network, judge.targets, judge.weights, rate, loaded)
    return rows_in_time(table, judge, own, loaded.order)
