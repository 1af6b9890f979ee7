"""Options that several commands share."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from dosift.errors import InputError
from dosift.utils.atomic_write import check_absent, whole_file

#: How many names, changes or pairs the screen lists; --json has more.
LISTED = 6


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Return what completes an option that takes one of some values, in the shell.

    Examples
    --------
    >>> one_of("hard", "stochastic", "any")("s")
    ['stochastic']
    """

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notices.")]
Level = Annotated[float, typer.Option(help="Confidence level of the intervals, in (0, 1).")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what exists.")]
Threads = Annotated[int, typer.Option(help="Threads for reading files.", min=1)]
Layer = Annotated[
    str | None, typer.Option(help="Layer of .h5ad files that holds states; X by default.")
]
column_option = partial(typer.Option, metavar="COLUMN")
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]


def set_up(quiet: bool, threads: int | None = None) -> None:
    """Apply the options that concern the whole process."""
    if quiet:
        warnings.showwarning = _ignore
    if threads is not None and "polars" not in sys.modules:
        os.environ.setdefault("POLARS_MAX_THREADS", str(threads))


def _ignore(*_: Any, **__: Any) -> None:
    return


def printable(text: str) -> str:
    """Show control characters, which names in a stranger's file may hold, as their escapes."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def some(names: Sequence[str]) -> str:
    """List names for the screen, a few of them if they are many."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def print_json(content: Any) -> None:
    """Print JSON, and nothing else, on stdout."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))


def check_table_name(path: Path, force: bool) -> None:
    """Refuse a file that a table cannot be written to, before any work.

    Raises
    ------
    InputError
        If the kind is unknown, or the file exists.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise InputError(
            "unknown kind of file; give a name that ends in .csv or .parquet", path=path
        )
    check_absent(path, force)


def write_table(table: Any, path: Path, force: bool) -> Any:
    """Write a table by its file's kind, whole or not at all.

    Parameters
    ----------
    table : polars.DataFrame or RowParts
    path : Path
    force : bool
        Whether the file may exist.

    Returns
    -------
    object
        What writing a :class:`~dosift.results.rows.RowParts` returns, else None.

    Raises
    ------
    InputError
        If the kind is unknown, the file exists, or it cannot be written.
    """
    from dosift.results.rows import RowParts

    check_table_name(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, replace=force) as draft:
        if isinstance(table, RowParts):
            return table.write(draft, path.suffix[1:])
        if path.suffix == ".csv":
            table.write_csv(draft)
        else:
            table.write_parquet(draft)
    return None


def names_of(option: str, text: str, separators: str, form: str, quoted: str) -> list[list[str]]:
    """Read names with commas between them, in groups with slashes between where these separate.

    In messages, `form` says how it is written, and `quoted` which names need quotes.
    """
    pattern = re.compile(rf'\s*(?:"((?:[^"]|"")*)"|([^{separators}"]*))\s*([{separators}]|$)')
    groups: list[list[str]] = [[]]
    at = 0
    while True:
        match = pattern.match(text, at)
        if match is None:
            raise InputError(
                f"{option} {text!r} has a quote in the wrong place (character {at + 1}); write "
                f"{form}, and names with {quoted} in double quotes"
            )
        inside, plain, end = match.groups()
        name = plain.strip() if inside is None else inside.replace('""', '"')
        if not name:
            raise InputError(
                f"{option} {text!r} has an empty name (character {at + 1}); write {form}"
            )
        groups[-1].append(name)
        if not end:
            return groups
        if end == "/":
            groups.append([])
        at = match.end()
