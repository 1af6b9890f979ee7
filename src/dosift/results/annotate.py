"""Each row's intervention for tables that an engine holds, where their partitions are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from dosift.data.blocks import Beside
from dosift.data.engines import Named, engine_blocks, engine_of
from dosift.errors import InputError
from dosift.pipeline import fitted_batches
from dosift.results.predictions import Predictions
from dosift.results.rows import RowJudge


@dataclass(frozen=True)
class _Annotator:
    """Adds the columns to a table in memory; sent to the workers."""

    named: Named
    judge: RowJudge

    def columns(self, table: Any) -> pl.DataFrame:
        """Return the new columns."""
        codes = self.named.encode(table, "the table")
        return self.judge.table(self.named.beside.block(codes, np.ones(len(codes))))

    def pandas(self, table: Any) -> Any:
        """Add them to a pandas dataframe."""
        if not len(table):
            return table.assign(**{name: np.array([], kind) for name, kind in _PANDAS.items()})
        found = self.columns(table[self.named.names])
        return table.assign(**{name: found[name].to_numpy() for name in found.columns})

    def polars(self, table: pl.DataFrame) -> pl.DataFrame:
        """Add them to a polars dataframe."""
        if not table.height:
            return table.with_columns(
                pl.lit(None, dtype=kind).alias(name) for name, kind in _schema().items()
            )
        return table.with_columns(self.columns(table.select(self.named.names)).get_columns())

    def arrow(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Add them to record batches."""
        for batch in batches:
            if batch.num_rows:
                table: Any = pl.from_arrow(batch)
                yield from self.polars(table).to_arrow(compat_level=_plain()).to_batches()


_PANDAS: dict[str, Any] = {
    "target": object,
    "probability": float,
    "surprise": float,
    "surprise_p_value": float,
    "unexplained": bool,
}


def _plain() -> Any:
    """Arrow types that every engine knows."""
    return pl.CompatLevel.oldest()


def _schema() -> dict[str, Any]:
    kinds = {object: pl.String, float: pl.Float64, bool: pl.Boolean}
    return {name: kinds[kind] for name, kind in _PANDAS.items()}


def annotate(model: Predictions, frame: Any, *, batch: str | None = None) -> Any:
    """Add each row's intervention to a table that an engine holds.

    Partitions are worked on where they are, in parallel, when the result is computed or written; no
    row comes here. One pass over the rows is made at once, to find which surprises are too large.

    Parameters
    ----------
    model : InterventionMixture
        Fitted.
    frame : Dask or Spark dataframe, or polars lazy frame
        One column for each variable, and any others.
    batch : str, optional
        The column that holds each row's batch, for a fit with batches: rows are then judged by the
        weights of their own. By default by the weights of the pool.

    Returns
    -------
    the same kind of table
        With the columns of ``rows.parquet``: ``target``, ``probability``, ``surprise``,
        ``surprise_p_value`` and ``unexplained``.

    Raises
    ------
    InputError
        If it is another kind of table, a column is missing or has one of these names already,
        or a value is no state, or none that its column's kind has.

    Examples
    --------
    >>> import dosift, polars as pl
    >>> from dosift.datasets import load_incident
    >>> data = load_incident()
    >>> model = dosift.InterventionMixture(data.network).fit(data.rows)
    >>> lazy = annotate(model, data.rows.lazy())
    >>> bool((lazy.collect()["target"] == pl.Series(model.predict(data.rows))).all())
    True
    """
    engine = engine_of(frame)
    if engine not in {"dask", "pyspark", "polars"}:
        raise InputError(
            f"{type(frame).__name__} is no Dask or Spark dataframe or polars lazy frame; "
            "for a table in memory use predict and predict_proba, for a DuckDB relation its "
            "pl(lazy=True)"
        )
    names = frame.collect_schema() if engine == "polars" else frame.columns
    taken = sorted(set(map(str, names)) & set(_PANDAS))
    if taken:
        raise InputError(f"the table has columns {', '.join(taken)} already; rename or drop them")
    texts = tuple(str(target) for target in model.targets_)
    judge = RowJudge.of_fit(model.fitted_, texts, by_batch=batch is not None)
    named = Named(model.network_)
    if batch is not None:
        names = fitted_batches(model.fitted_)
        named = Named(model.network_, (batch,), (names,), Beside(names))
    with closing(engine_blocks(frame, named)) as blocks:
        judge = judge.bounded(blocks)
    work = _Annotator(named, judge)
    if engine == "dask":
        return frame.map_partitions(work.pandas, meta=work.pandas(frame._meta))
    if engine == "polars":
        schema = {**frame.collect_schema(), **_schema()}
        return frame.map_batches(work.polars, schema=schema, streamable=True)
    return frame.mapInArrow(work.arrow, _spark_schema(frame))


def _spark_schema(frame: Any) -> Any:
    from pyspark.sql.types import BooleanType, DoubleType, StringType, StructField, StructType

    kinds: dict[Any, Any] = {object: StringType(), float: DoubleType(), bool: BooleanType()}
    fields = [StructField(name, kinds[kind]) for name, kind in _PANDAS.items()]
    return StructType([*frame.schema.fields, *fields])
