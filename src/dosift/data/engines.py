"""Rows that stay where they are: in DuckDB, on the workers of a Dask cluster, or in Spark.

Each partition is encoded once, by the engine, to a byte for each value, and kept by the engine; a
pass applies a task to every partition where it is, and the results are merged there, a few at a
time. What comes back has the size of one result. An engine that loses a worker does its partitions
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import RowBlocks, StoredBlocks, Task, available_threads, block_rows
from dosift.data.encode import check_columns, codes_dtype, encode
from dosift.errors import InputError
from dosift.model.network import Network

Ints = NDArray[np.integer]
Part = TypeVar("Part")

#: Rows that DuckDB and polars hand over at a time.
_BATCH_ROWS = 2**17
#: Results that one task of a cluster merges.
_MERGED = 8


def engine_of(rows: Any) -> str | None:
    """Name the engine that holds a table, if it is one that rows can stay in.

    Parameters
    ----------
    rows : object

    Returns
    -------
    {"dask", "pyspark", "duckdb", "polars"} or None
        ``"polars"`` for a lazy frame; None for anything else, such as a table in memory.

    Examples
    --------
    >>> import polars as pl
    >>> engine_of(pl.LazyFrame({"a": [1]})), engine_of(pl.DataFrame({"a": [1]}))
    ('polars', None)
    """
    import narwhals as nw

    if _is_dask(rows):
        return "dask"
    frame = nw.from_native(rows, pass_through=True)
    if not isinstance(frame, nw.LazyFrame):
        return None
    name = str(frame.implementation)
    name = {"pyspark[connect]": "pyspark"}.get(name, name)
    return name if name in _OPENERS else None


def engine_blocks(rows: Any, network: Network) -> RowBlocks:
    """Take a table that an engine holds for rows in blocks.

    Parameters
    ----------
    rows : Dask or Spark dataframe, DuckDB relation, or polars lazy frame
        One column for each variable, holding state names.
    network : Network

    Returns
    -------
    RowBlocks

    Raises
    ------
    InputError
        If a column is missing, or a value is no state; then with the partition it is in.
    """
    import narwhals as nw

    engine = engine_of(rows)
    if engine is None:
        raise InputError(f"{type(rows).__name__} is no table that an engine holds")
    place, names = f"the {engine} table", list(network.names)
    if engine == "dask":
        check_columns(list(map(str, rows.columns)), network, place)
        return DaskBlocks(rows[names], network)
    frame: Any = nw.from_native(rows)
    check_columns(list(frame.collect_schema().names()), network, place)
    return _OPENERS[engine](frame.select(*names), network)


def _is_dask(rows: Any) -> bool:
    """Tell a Dask dataframe, without narwhals: its support of Dask moves to another package."""
    module = type(rows).__module__.partition(".")[0]
    return module in {"dask", "dask_expr"} and hasattr(rows, "map_partitions")


# -- what happens to a partition ------------------------------------------------------------------


@dataclass(frozen=True)
class _Wrong:
    """What is wrong with the rows of a partition, in words, in place of what a task returns."""

    message: str


@dataclass(frozen=True)
class _Codes:
    """State codes of a partition, as the engine keeps them."""

    blocks: tuple[Ints, ...]


def encode_partition(table: Any, network: Network, place: str) -> _Codes | _Wrong:
    """Encode a partition's table.

    Parameters
    ----------
    table : dataframe
        In memory.
    network : Network
    place : str
        What the partition is called in messages.
    """
    if len(table) == 0:
        return _Codes(())
    try:
        codes = encode(table, network, allow_missing=True, path=place).codes
    except InputError as error:
        return _Wrong(str(error))
    step = block_rows(network.n_variables)
    return _Codes(tuple(codes[start : start + step] for start in range(0, len(codes), step)))


def apply_task(
    codes: _Codes | _Wrong, task: Task[Part], merge: Callable[[Part, Part], Part]
) -> Any:
    """Apply a task to the blocks of a partition; None if it has no rows."""
    if isinstance(codes, _Wrong):
        return codes
    results = (task(block, np.ones(len(block))) for block in codes.blocks)
    return reduce(merge, results) if codes.blocks else None


def merge_results(one: Any, other: Any, merge: Callable[[Part, Part], Part]) -> Any:
    """Merge the results of two partitions, either of which may be empty or wrong."""
    if one is None or (isinstance(other, _Wrong) and not isinstance(one, _Wrong)):
        return other
    if other is None or isinstance(one, _Wrong):
        return one
    return merge(one, other)


def _unwrapped(result: Any) -> Any:
    if isinstance(result, _Wrong):
        raise InputError(result.message)
    if result is None:
        raise InputError("the table has no rows")
    return result


def _count(codes: Ints, counts: NDArray[np.float64]) -> float:
    return float(len(codes))


def _plus(one: float, other: float) -> float:
    return one + other


# -- Dask -----------------------------------------------------------------------------------------


class DaskBlocks(RowBlocks):
    """Rows on the workers of a Dask cluster, or of Dask's local schedulers.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
        With the network's columns alone.
    network : Network
    """

    library = "pandas"

    def __init__(self, frame: Any, network: Network) -> None:
        import dask

        self.n_variables = network.n_variables
        encoded = dask.delayed(encode_partition, pure=True)
        parts = frame.to_delayed()
        self._codes = dask.persist(
            *(encoded(part, network, f"partition {k}") for k, part in enumerate(parts))
        )
        self.n_rows = self.reduce(_count, _plus)

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each partition, and merge what comes of them in a tree."""
        import dask

        apply = dask.delayed(apply_task, pure=False)
        join = dask.delayed(_join, pure=False)
        shared = dask.delayed((task, merge), traverse=False)
        level = [apply(codes, shared[0], shared[1]) for codes in self._codes]
        while len(level) > 1:
            level = [
                join(level[start : start + _MERGED], shared[1])
                for start in range(0, len(level), _MERGED)
            ]
        (result,) = dask.compute(level[0])
        found: Part = _unwrapped(result)
        return found


def _join(results: list[Any], merge: Callable[[Part, Part], Part]) -> Any:
    return reduce(partial(merge_results, merge=merge), results)


# -- Spark ----------------------------------------------------------------------------------------


class SparkBlocks(RowBlocks):
    """Rows in Spark.

    Parameters
    ----------
    frame : narwhals.LazyFrame
        Over a Spark dataframe, with the network's columns alone.
    network : Network
    """

    library = "pandas"

    def __init__(self, frame: Any, network: Network) -> None:
        from pyspark import StorageLevel

        self.n_variables = network.n_variables
        encoded = frame.to_native().mapInArrow(
            partial(_encode_arrow, network), "codes binary, wrong string"
        )
        self._kind = codes_dtype(network).str
        # Kept in memory as far as there is room, and then on Spark's own disks.
        self._codes = encoded.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            self.n_rows = self.reduce(_count, _plus)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let Spark forget the codes."""
        self._codes.unpersist()

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each partition, and merge what comes of them in a tree."""
        apply = partial(_apply_stored, self._kind, self.n_variables, task, merge)
        results = self._codes.rdd.map(apply)
        if results.isEmpty():
            raise InputError("the table has no rows")
        found: Part = _unwrapped(results.treeReduce(partial(merge_results, merge=merge), depth=2))
        return found


def _encode_arrow(network: Network, batches: Iterator[Any]) -> Iterator[Any]:
    """Encode the record batches of a Spark partition; one row of bytes for each block."""
    import pyarrow as pa
    from pyspark import TaskContext

    context = TaskContext.get()
    place = f"partition {context.partitionId() if context else 0}"
    for batch in batches:
        found = encode_partition(pa.Table.from_batches([batch]), network, place)
        wrong = found.message if isinstance(found, _Wrong) else None
        blocks = () if isinstance(found, _Wrong) else found.blocks
        data = [b""] if wrong else [np.ascontiguousarray(block.T).tobytes() for block in blocks]
        columns = [pa.array(data, pa.binary()), pa.array([wrong] * len(data), pa.string())]
        yield pa.RecordBatch.from_arrays(columns, ["codes", "wrong"])


def _apply_stored(
    kind: str, n_variables: int, task: Task[Part], merge: Callable[[Part, Part], Part], row: Any
) -> Any:
    """Apply a task to a block that Spark kept."""
    if row.wrong is not None:
        return _Wrong(row.wrong)
    block = np.frombuffer(row.codes, np.dtype(kind)).reshape(n_variables, -1).T
    return apply_task(_Codes((block,)), task, merge)


# -- engines in this process ----------------------------------------------------------------------


def _duckdb_blocks(frame: Any, network: Network) -> RowBlocks:
    """Let DuckDB count the distinct rows, which may be more than memory holds, and store these."""
    import narwhals as nw

    grouped = frame.group_by(*network.names, drop_null_keys=False).agg(nw.len().alias(_COUNT))
    relation = grouped.to_native()
    # The first is the newer name of the second.
    read = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    # Closed at once where a value is no state: the connection takes no other query before.
    with closing(read(_BATCH_ROWS)) as reader:
        return _stored(reader, network, "the duckdb table")


def _polars_blocks(frame: Any, network: Network) -> RowBlocks:
    """Store the rows that polars' streaming engine hands over."""
    batches = frame.to_native().collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True)
    return _stored(batches, network, "the lazy table")


def _stored(batches: Any, network: Network, place: str) -> StoredBlocks:
    import polars as pl

    blocks = StoredBlocks(network.n_variables, codes_dtype(network), available_threads())
    first = 1
    for batch in batches:
        table = batch if isinstance(batch, pl.DataFrame) else pl.DataFrame(pl.from_arrow(batch))
        if not table.height:
            continue
        counts = table[_COUNT].to_numpy() if _COUNT in table.columns else None
        names = list(network.names)
        codes = encode(
            table.select(names), network, allow_missing=True, path=place, first_row=first
        ).codes
        blocks.append(codes, counts)
        first += table.height
    blocks.finish()
    if not blocks.n_rows:
        raise InputError("the table has no rows", path=place)
    return blocks


#: Column of counts.
_COUNT = "number of rows (dosift)"

_OPENERS: dict[str, Callable[[Any, Network], RowBlocks]] = {
    "pyspark": SparkBlocks,
    "duckdb": _duckdb_blocks,
    "polars": _polars_blocks,
}
