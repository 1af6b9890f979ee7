"""Tables that are written in parts, so that they are never held as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl


def write_parts(
    parts: Iterable[pl.DataFrame], schema: pl.Schema, path: Path, kind: str = "parquet"
) -> int:
    """Write a table, part by part.

    Parameters
    ----------
    parts : iterable of polars.DataFrame
        Of the schema.
    schema : polars.Schema
    path : Path
        Overwritten.
    kind : {"parquet", "csv"}, default="parquet"

    Returns
    -------
    int
        Rows written.

    Examples
    --------
    >>> import tempfile, polars as pl
    >>> part = pl.DataFrame({"a": [1, 2]})
    >>> path = Path(tempfile.mkdtemp()) / "a.parquet"
    >>> write_parts([part, part], part.schema, path)
    4
    >>> pl.read_parquet(path)["a"].to_list()
    [1, 2, 1, 2]
    """
    from polars.io.plugins import register_io_source

    n_rows = 0
    failed: list[BaseException] = []

    def source(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        limit: int | None,
        batch_size: int | None,
    ) -> Iterator[pl.DataFrame]:
        nonlocal n_rows
        try:
            for part in parts:
                n_rows += part.height
                yield part if with_columns is None else part.select(with_columns)
        except BaseException as error:
            failed.append(error)
            raise

    scan = register_io_source(source, schema=schema)
    try:
        if kind == "csv":
            scan.sink_csv(path)
        else:
            scan.sink_parquet(path)
    except Exception:
        if failed:  # polars wraps it into an error of its own
            raise failed[0] from None
        raise
    return n_rows
