"""``dosift discretize``: measurements cut into states."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    set_up,
    write_table,
)
from dosift.errors import InputError

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
        typer.Option("--n-states", "-k", help="States of a column; 5 by contrast, else 3.", min=2),
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
    from dosift.data.columns_to_cut import columns_to_cut, cut_columns, numbers_of
    from dosift.data.cuts_file import read_cuts, write_cuts
    from dosift.data.discretizer import Discretizer
    from dosift.data.read import read_rows
    from dosift.utils.atomic_write import check_absent

    set_up(quiet, threads)
    learning = {
        "--control": control,
        "--columns": columns,
        "--method": method,
        "--n-states": n_states,
        "--log": log or None,
        "--zero-state": zero_state or None,
        "--labels": labels,
    }
    given = [name for name, value in learning.items() if value is not None]
    if cuts is not None and given:
        raise InputError(f"{given[0]} is for new thresholds; with --cuts those of the file hold")
    if layer is not None and rows.suffix.lower() != ".h5ad":
        raise InputError(f"a layer, {layer!r}, can be chosen for .h5ad files only", path=rows)
    check_table_name(output, force)
    control_path, cuts_path = (
        output.with_name(f"{output.stem}.control{output.suffix}"),
        output.with_name(f"{output.stem}.cuts.json"),
    )
    written = {"rows": str(output)}
    tables = [(read_rows(rows, layer=layer), rows, output)]
    if cuts is not None:
        discretizer = read_cuts(cuts)
    else:
        written["cuts"] = str(cuts_path)
        check_absent(cuts_path, force)
        if control is not None:
            written["control"] = str(control_path)
            check_absent(control_path, force)
            tables.append((read_rows(control, layer=layer), control, control_path))
        named = None if columns is None else [name.strip() for name in columns.split(",")]
        names = columns_to_cut([(frame, path) for frame, path, _ in tables], named)
        options: dict[str, Any] = {
            "method": method or METHOD_NAMES[0],
            "log": True if log else None,
            "zero_state": zero_state,
            "labels": labels or "words",
        }
        learned = [numbers_of(frame, names, path) for frame, path, _ in tables]
        discretizer = Discretizer(n_states, **options).fit(
            learned[-1], rows=learned[0] if len(learned) > 1 else None
        )
    cut = [(cut_columns(frame, discretizer, path), to) for frame, path, to in tables]
    for frame, to in cut:
        write_table(frame, to, force)
    if cuts is None:
        write_cuts(discretizer, cuts_path, replace=force)
    if json:
        kept = [name for name in cut[0][0].columns if name not in discretizer.states_]
        states = {name: list(states) for name, states in discretizer.states_.items()}
        print_json({**written, "n_rows": cut[0][0].height, "states": states, "kept": kept})
    elif not quiet:
        _print(discretizer, cut[0][0], written)
    return 0


def _print(discretizer: Any, frame: Any, written: dict[str, str]) -> None:
    for name, thresholds in discretizer.thresholds_.items():
        parts = [discretizer.states_[name][0]]
        for threshold, state in zip(thresholds, discretizer.states_[name][1:], strict=True):
            parts += [f"{threshold:.6g}", state]
        typer.echo(f"{name}: {' | '.join(parts)}")
    kept = [name for name in frame.columns if name not in discretizer.states_]
    if kept:
        typer.echo(f"left as they are: {', '.join(kept)}")
    for what, path in written.items():
        typer.echo(f"{what}: {path}")
