"""``dosift discretize``: measurements cut into states."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dosift.cli.options import (
    Force,
    Json,
    Layer,
    Output,
    Quiet,
    Threads,
    check_table_name,
    one_of,
    print_json,
    printable,
    set_up,
    write_table,
)
from dosift.errors import InputError
from dosift.utils.atomic_write import check_absent

if TYPE_CHECKING:
    import polars as pl

    from dosift.data.discretizer import Discretizer

#: Names of the methods, written out so that completion in a shell need not load them.
METHOD_NAMES = ("contrast", "quantile", "kmeans", "uniform")


def discretize(
    rows: Annotated[Path, typer.Argument(help="Rows of measurements.")],
    output: Output,
    control: Annotated[
        Path | None,
        typer.Option(help="Control rows; cut with the same thresholds and written beside."),
    ] = None,
    cuts: Annotated[
        Path | None,
        typer.Option(help="Thresholds of an earlier run (OUT.cuts.json) instead of new ones."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="Columns to cut; by default those of numbers that are not discrete already.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="contrast (the default), quantile, kmeans, or uniform.",
            autocompletion=one_of(*METHOD_NAMES),
        ),
    ] = None,
    n_states: Annotated[
        int | None,
        typer.Option(
            "--n-states", "-k", help="States of a column; at most 5 by contrast, else 3.", min=2
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Place thresholds on log(1 + value), for counts.")
    ] = False,
    zero_state: Annotated[
        bool, typer.Option("--zero-state", help="Make zero a state of its own.")
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Names of states: words (the default) or numbers.",
            autocompletion=one_of("words", "numbers"),
        ),
    ] = None,
    layer: Layer = None,
    threads: Threads = 2,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Cut measurements into states; the thresholds go beside them, to cut new rows the same way.

    Learned:   dosift discretize measurements.csv --control normal.csv -o states.csv

    Applied:   dosift discretize new_measurements.csv --cuts states.cuts.json -o new_states.csv
    """
    from dosift.data.columns_to_cut import cut_columns
    from dosift.data.cuts_file import read_cuts, write_cuts
    from dosift.data.read import read_rows

    set_up(quiet, threads)
    new = {
        "--control": control,
        "--columns": columns,
        "--method": method,
        "--n-states": n_states,
        "--log": log or None,
        "--zero-state": zero_state or None,
        "--labels": labels,
    }
    given = [name for name, value in new.items() if value is not None]
    if cuts is not None and given:
        raise InputError(f"{given[0]} is for new thresholds; with --cuts those of the file hold")
    if layer is not None and rows.suffix.lower() != ".h5ad":
        raise InputError(f"a layer, {layer!r}, can be chosen for .h5ad files only", path=rows)
    check_table_name(output, force)
    written = {"rows": output}
    if cuts is None:
        written["cuts"] = output.with_name(f"{output.stem}.cuts.json")
    if control is not None:
        written["control"] = output.with_name(f"{output.stem}.control{output.suffix}")
    for path in written.values():
        check_absent(path, force)
    sources = {"rows": rows} if control is None else {"rows": rows, "control": control}
    tables = {what: (read_rows(path, layer=layer), path) for what, path in sources.items()}
    if cuts is not None:
        discretizer = read_cuts(cuts)
    else:
        named = None if columns is None else [name.strip() for name in columns.split(",")]
        options = {
            "n_states": n_states,
            "method": method or METHOD_NAMES[0],
            "log": log or None,
            "zero_state": zero_state,
            "labels": labels or "words",
        }
        discretizer = _learned(tables, named, options)
    states = {what: cut_columns(frame, discretizer, path) for what, (frame, path) in tables.items()}
    for what, frame in states.items():
        write_table(frame, written[what], force)
    if cuts is None:
        write_cuts(discretizer, written["cuts"], replace=force)
    kept = [name for name in states["rows"].columns if name not in discretizer.states_]
    paths = {what: str(path) for what, path in written.items()}
    if json:
        names = {name: list(of_column) for name, of_column in discretizer.states_.items()}
        print_json({**paths, "n_rows": states["rows"].height, "states": names, "kept": kept})
    elif not quiet:
        _print(discretizer, kept, paths)
    return 0


def _learned(
    tables: dict[str, tuple[pl.DataFrame, Path]],
    named: list[str] | None,
    options: dict[str, Any],
) -> Discretizer:
    """Learn thresholds from control rows and rows, or from rows alone."""
    from dosift.data.columns_to_cut import columns_to_cut, numbers_of
    from dosift.data.discretizer import Discretizer

    names = columns_to_cut(list(tables.values()), named)
    numbers = {what: numbers_of(frame, names, path) for what, (frame, path) in tables.items()}
    discretizer = Discretizer(**options)
    if "control" in numbers:
        return discretizer.fit(numbers["control"], rows=numbers["rows"])
    return discretizer.fit(numbers["rows"])


def _print(discretizer: Discretizer, kept: list[str], paths: dict[str, str]) -> None:
    for name, thresholds in discretizer.thresholds_.items():
        first, *others = discretizer.states_[name]
        steps = [f"{cut:.6g} | {state}" for cut, state in zip(thresholds, others, strict=True)]
        typer.echo(printable(f"{name}: {' | '.join([first, *steps])}"))
    if kept:
        typer.echo(printable(f"left as they are: {', '.join(kept)}"))
    for what, path in paths.items():
        typer.echo(f"{what}: {path}")
