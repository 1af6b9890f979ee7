"""Options that several commands share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dosift.errors import InputError

Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no notices.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what exists.")]
Threads = Annotated[int, typer.Option(help="Threads for reading files.", min=1)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write.")]


def set_up(quiet: bool, threads: int | None = None) -> None:
    """Apply the options that concern the whole process."""
    if quiet:
        import warnings

        warnings.showwarning = _ignore
    if threads is not None and "polars" not in sys.modules:
        os.environ.setdefault("POLARS_MAX_THREADS", str(threads))


def _ignore(*_: Any, **__: Any) -> None:
    return


def print_json(content: Any) -> None:
    """Print JSON, and nothing else, on stdout."""
    import json

    typer.echo(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))


def write_table(table: Any, path: Path, force: bool) -> None:
    """Write a polars table by its file's kind, whole or not at all.

    Raises
    ------
    InputError
        If the kind is unknown, the file exists, or it cannot be written.
    """
    from dosift.result import check_absent

    if path.suffix not in {".csv", ".parquet"}:
        raise InputError(
            "unknown kind of file; give a name that ends in .csv or .parquet", path=path
        )
    check_absent(path, force)
    if path.is_dir():
        raise InputError("is a folder; give the name of a file", path=path)
    staging = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".csv":
            table.write_csv(staging)
        else:
            table.write_parquet(staging)
        staging.replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror or error}", path=path) from None
    finally:
        staging.unlink(missing_ok=True)
