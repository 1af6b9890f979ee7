"""Tables that are not in memory, brought here a part at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import narwhals as nw
import polars as pl

from dosift.errors import InputError

#: Rows that DuckDB and polars hand over at a time.
BATCH_ROWS = 2**17


def is_dask(rows: Any) -> bool:
    """Tell a Dask dataframe, without narwhals: its support of Dask moves to another package.

    Parameters
    ----------
    rows : object
    """
    module = type(rows).__module__.partition(".")[0]
    return module in {"dask", "dask_expr"} and hasattr(rows, "map_partitions")


def as_lazy(rows: Any) -> Any:
    """Take a pyarrow dataset for a lazy frame of polars; anything else stays what it is.

    Parameters
    ----------
    rows : object

    Examples
    --------
    >>> as_lazy({"a": [1]})
    {'a': [1]}
    """
    is_pyarrow = type(rows).__module__.partition(".")[0] == "pyarrow"
    if not (is_pyarrow and hasattr(rows, "scanner")):
        return rows
    return pl.scan_pyarrow_dataset(rows)


def is_lazy(rows: Any) -> bool:
    """Tell a table that is not in memory.

    Parameters
    ----------
    rows : object

    Examples
    --------
    >>> import polars as pl
    >>> is_lazy(pl.LazyFrame({"a": [1]})), is_lazy(pl.DataFrame({"a": [1]}))
    (True, False)
    """
    return is_dask(rows) or isinstance(nw.from_native(rows, pass_through=True), nw.LazyFrame)


def tables_of(rows: Any) -> Iterator[Any]:
    """Take a table apart, if it is one that need not be collected.

    Parameters
    ----------
    rows : object
        polars' lazy frames, DuckDB relations and Dask dataframes come here in parts, in their
        order; anything else is yielded as it is.

    Yields
    ------
    object
        A table; at least one.

    Raises
    ------
    InputError
        If the engine cannot hand its rows over.

    Examples
    --------
    >>> import polars as pl
    >>> [len(part) for part in tables_of(pl.LazyFrame({"a": [1, 2]}))]
    [2]
    """
    parts = _parts_of(rows)
    if parts is None:
        yield rows
        return
    some = False
    try:
        for part in parts:
            if len(part):
                some = True
                yield part
    except InputError:
        raise
    except Exception as error:  # each library and engine has its own
        reason = " ".join(str(error).split())
        raise InputError(f"the lazy table cannot be collected: {reason}") from error
    if not some:
        yield rows  # whose columns are looked at


def _parts_of(rows: Any) -> Iterator[Any] | None:
    if is_dask(rows):
        return (part.compute() for part in rows.partitions)
    frame = nw.from_native(rows, pass_through=True)
    if not isinstance(frame, nw.LazyFrame):
        return None
    if frame.implementation.is_polars():
        batches: Iterator[Any] = frame.to_native().collect_batches(
            chunk_size=BATCH_ROWS, maintain_order=True
        )
        return batches
    if frame.implementation.is_duckdb():
        return duckdb_tables(frame.to_native())
    return None


def duckdb_tables(relation: Any) -> Generator[Any]:
    """Let DuckDB hand its rows over.

    Parameters
    ----------
    relation : duckdb.DuckDBPyRelation

    Yields
    ------
    pyarrow.Table
    """
    import pyarrow as pa

    # The first is the newer name of the second.
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    # Closed at once where a value cannot be read: the connection takes no other query before.
    with closing(read(BATCH_ROWS)) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
