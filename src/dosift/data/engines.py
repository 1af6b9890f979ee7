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

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.blocks import (
    NOTHING,
    Beside,
    RowBlocks,
    Task,
    block_rows,
    total,
)
from dosift.data.encode import codes_dtype, encode
from dosift.data.lazy import BATCH_ROWS, duckdb_tables, is_dask
from dosift.data.messages import check_columns, check_names
from dosift.data.numbers import read_numbers
from dosift.data.side_columns import check_named, side_column
from dosift.data.stored import StoredBlocks
from dosift.data.working import to_working
from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.utils.threads import available_threads

Ints = NDArray[np.integer]
Part = TypeVar("Part")

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
    if is_dask(rows):
        return "dask"
    frame = nw.from_native(rows, pass_through=True)
    if not isinstance(frame, nw.LazyFrame):
        return None
    name = str(frame.implementation)
    name = {"pyspark[connect]": "pyspark"}.get(name, name)
    return name if name in _OPENERS else None


@dataclass(frozen=True)
class Named:
    """Columns beside the variables, and their texts, for those who encode a partition.

    Attributes
    ----------
    network : Network or MechanismNetwork
    columns : tuple of str
        Names of the columns of the batch and of the label, as far as they were asked for.
    texts : tuple of tuple of str
        Their distinct texts, sorted.
    beside : Beside
    """

    network: Network | MechanismNetwork
    columns: tuple[str, ...] = ()
    texts: tuple[tuple[str, ...], ...] = ()
    beside: Beside = NOTHING

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        return list(dict.fromkeys([*_columns_of(self.network), *self.columns]))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the codes, with those of the columns beside the variables."""
        if isinstance(self.network, MechanismNetwork):
            return np.dtype(np.float64)
        return np.dtype(np.int32) if self.columns else codes_dtype(self.network)

    def encode(self, table: Any, place: str, first_row: int = 1) -> Any:
        """Encode a table in memory: the variables, then the columns beside them.

        Numbers are brought to the working scales of their network.
        """
        frame = nw.from_native(table, eager_only=True)
        own = frame.select(*_columns_of(self.network)).to_native()
        codes: Any
        if isinstance(self.network, MechanismNetwork):
            rows = read_numbers(own, self.network.variables, place=place, first_row=first_row)
            codes = to_working(rows, self.network, first_row)
        else:
            codes = encode(
                own, self.network, allow_missing=True, path=place, first_row=first_row
            ).codes
        if not self.columns:
            return codes
        whole = [codes]
        for name, texts in zip(self.columns, self.texts, strict=True):
            values = frame.get_column(name)
            found = side_column(values, len(codes), f"column {name!r}", place)
            whole.append(found.positions(texts).astype(np.int32))
        return np.asfortranarray(np.column_stack(whole))


def _columns_of(network: Network | MechanismNetwork) -> list[str]:
    """Columns that variables are read from: of a size, those that it is the total of."""
    if not isinstance(network, MechanismNetwork):
        return list(network.names)
    return list(dict.fromkeys(name for one in network.variables for name in one.columns))


def _check_variables(have: list[str], network: Network | MechanismNetwork, place: str) -> None:
    if isinstance(network, MechanismNetwork):
        check_names(have, _columns_of(network), place)
    else:
        check_columns(have, network, place)


def named_columns(
    rows: Any,
    network: Network | MechanismNetwork,
    batch: str | None = None,
    labels: str | None = None,
) -> Named:
    """Find the columns of a table that an engine holds, and the texts of those beside the rest.

    Parameters
    ----------
    rows : Dask or Spark dataframe, DuckDB relation, or polars lazy frame
    network : Network or MechanismNetwork
    batch, labels : str, optional
        Columns that hold the batch and the label of each row.

    Returns
    -------
    Named

    Raises
    ------
    InputError
        If a column is missing, or there is no batch at all.
    """
    engine, frame, have = _opened(rows)
    place = f"the {engine} table"
    _check_variables(have, network, place)
    columns = [name for name in (batch, labels) if name is not None]
    check_named(have, columns, place)
    texts = {name: _distinct(frame, engine, name) for name in columns}
    if batch is not None and not texts[batch]:
        raise InputError(f"column {batch!r} is empty; every row needs its batch", path=place)
    # A column of labels that is empty says nothing.
    columns = [name for name in columns if texts[name]]
    beside = Beside(texts.get(batch or "", ()), texts.get(labels or "", ()))
    return Named(network, tuple(columns), tuple(texts[name] for name in columns), beside)


def engine_blocks(rows: Any, named: Named) -> RowBlocks:
    """Take a table that an engine holds for rows in blocks.

    Parameters
    ----------
    rows : Dask or Spark dataframe, DuckDB relation, or polars lazy frame
        One column for each variable, holding state names, and those beside them.
    named : Named

    Returns
    -------
    RowBlocks

    Raises
    ------
    InputError
        If a column is missing, or a value is no state; then with the partition it is in.
    """
    engine, frame, have = _opened(rows)
    _check_variables(have, named.network, f"the {engine} table")
    check_named(have, named.columns, f"the {engine} table")
    if engine == "dask":
        return _DaskBlocks(rows[named.names], named)
    return _OPENERS[engine](frame.select(*named.names), named)


def _opened(rows: Any) -> tuple[str, Any, list[str]]:
    """Return the engine of a table, the table as it is worked on, and its columns."""
    engine = engine_of(rows)
    if engine is None:
        raise InputError(f"{type(rows).__name__} is no table that an engine holds")
    frame: Any = rows if engine == "dask" else nw.from_native(rows)
    have = rows.columns if engine == "dask" else frame.collect_schema().names()
    return engine, frame, list(map(str, have))


def _distinct(frame: Any, engine: str, name: str) -> tuple[str, ...]:
    """Let the engine find the distinct texts of a column."""
    if engine == "dask":
        values = frame[name].drop_duplicates().compute()
    else:
        values = frame.select(name).unique().collect().get_column(name)
    return side_column(values, len(values), f"column {name!r}").texts


# -- what happens to a partition ------------------------------------------------------------------


@dataclass(frozen=True)
class _Wrong:
    """What is wrong with the rows of a partition, in words, in place of what a task returns."""

    message: str


@dataclass(frozen=True)
class _Codes:
    """Codes of a partition, as the engine keeps them, and what their last columns are."""

    blocks: tuple[Ints, ...]
    beside: Beside


def _encode_partition(table: Any, named: Named, place: str) -> _Codes | _Wrong:
    """Encode a partition, a table in memory."""
    if len(table) == 0:
        return _Codes((), named.beside)
    try:
        codes = named.encode(table, place)
    except InputError as error:
        return _Wrong(str(error))
    step = block_rows(named.network.n_variables)
    parts = tuple(codes[start : start + step] for start in range(0, len(codes), step))
    return _Codes(parts, named.beside)


def apply_task(
    codes: _Codes | _Wrong, task: Task[Part], merge: Callable[[Part, Part], Part]
) -> Any:
    """Apply a task to the blocks of a partition; None if it has no rows."""
    if isinstance(codes, _Wrong):
        return codes
    results = (task(codes.beside.block(part, np.ones(len(part)))) for part in codes.blocks)
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


# -- Dask -----------------------------------------------------------------------------------------


class _DaskBlocks(RowBlocks):
    """Rows on the workers of a Dask cluster, or of Dask's local schedulers."""

    library = "pandas"

    def __init__(self, frame: Any, named: Named) -> None:
        import dask

        self.n_variables, self.beside = named.network.n_variables, named.beside
        encoded = dask.delayed(_encode_partition, pure=True)
        parts = frame.to_delayed()
        self._codes = dask.persist(
            *(encoded(part, named, f"partition {k}") for k, part in enumerate(parts))
        )
        self.n_rows = float(self.sum(total)[0])

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


class _SparkBlocks(RowBlocks):
    """Rows in Spark."""

    library = "pandas"

    def __init__(self, frame: Any, named: Named) -> None:
        from pyspark import StorageLevel

        self.n_variables, self.beside = named.network.n_variables, named.beside
        encoded = frame.to_native().mapInArrow(
            partial(_encode_arrow, named), "codes binary, wrong string"
        )
        self._kind = named.dtype.str
        # Kept in memory as far as there is room, and then on Spark's own disks.
        self._codes = encoded.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            self.n_rows = float(self.sum(total)[0])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let Spark forget the codes."""
        self._codes.unpersist()

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each partition, and merge what comes of them in a tree."""
        apply = partial(_apply_stored, self._kind, self.n_variables, self.beside, task, merge)
        results = self._codes.rdd.map(apply)
        if results.isEmpty():
            raise InputError("the table has no rows")
        found: Part = _unwrapped(results.treeReduce(partial(merge_results, merge=merge), depth=2))
        return found


def _encode_arrow(named: Named, batches: Iterator[Any]) -> Iterator[Any]:
    """Encode the record batches of a Spark partition; one row of bytes for each block."""
    import pyarrow as pa
    from pyspark import TaskContext

    context = TaskContext.get()
    place = f"partition {context.partitionId() if context else 0}"
    for batch in batches:
        found = _encode_partition(pa.Table.from_batches([batch]), named, place)
        wrong = found.message if isinstance(found, _Wrong) else None
        blocks = () if isinstance(found, _Wrong) else found.blocks
        data = [b""] if wrong else [np.ascontiguousarray(block.T).tobytes() for block in blocks]
        columns = [pa.array(data, pa.binary()), pa.array([wrong] * len(data), pa.string())]
        yield pa.RecordBatch.from_arrays(columns, ["codes", "wrong"])


def _apply_stored(
    kind: str,
    n_variables: int,
    beside: Beside,
    task: Task[Part],
    merge: Callable[[Part, Part], Part],
    row: Any,
) -> Any:
    """Apply a task to a block that Spark kept."""
    if row.wrong is not None:
        return _Wrong(row.wrong)
    width = n_variables + beside.n_columns
    codes = np.frombuffer(row.codes, np.dtype(kind)).reshape(width, -1).T
    return apply_task(_Codes((codes,), beside), task, merge)


# -- engines in this process ----------------------------------------------------------------------


def _duckdb_blocks(frame: Any, named: Named) -> RowBlocks:
    """Let DuckDB count the distinct rows, which may be more than memory holds, and store these."""
    if isinstance(named.network, MechanismNetwork):
        # Numbers hardly repeat.
        relation = frame.to_native()
    else:
        grouped = frame.group_by(*named.names, drop_null_keys=False)
        relation = grouped.agg(nw.len().alias(_COUNT)).to_native()
    # Closed where a value cannot be encoded: the connection takes no other query before.
    with closing(duckdb_tables(relation)) as tables:
        return _stored(tables, named, "the duckdb table")


def _polars_blocks(frame: Any, named: Named) -> RowBlocks:
    """Store the rows that polars' streaming engine hands over."""
    batches = frame.to_native().collect_batches(chunk_size=BATCH_ROWS, maintain_order=True)
    return _stored(batches, named, "the lazy table")


def _stored(batches: Any, named: Named, place: str) -> StoredBlocks:
    network = named.network
    n_beside = len(named.columns)
    threads = available_threads()
    blocks = StoredBlocks(network.n_variables, named.dtype, threads, n_beside=n_beside)
    first = 1
    for batch in batches:
        table = batch if isinstance(batch, pl.DataFrame) else pl.DataFrame(pl.from_arrow(batch))
        if not table.height:
            continue
        counts = table[_COUNT].to_numpy() if _COUNT in table.columns else None
        blocks.append(named.encode(table, place, first), counts)
        first += table.height
    blocks.finish((named.beside.batches, named.beside.labels) if named.columns else ())
    if not blocks.n_rows:
        raise InputError("the table has no rows", path=place)
    return blocks


#: Column of counts.
_COUNT = "number of rows (dosift)"

_OPENERS: dict[str, Callable[[Any, Named], RowBlocks]] = {
    "pyspark": _SparkBlocks,
    "duckdb": _duckdb_blocks,
    "polars": _polars_blocks,
}
