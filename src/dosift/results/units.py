"""Tables of units: which intervention hit each, and which of its rows do not go with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.checks.assignment_confidence import SURE
from dosift.data.blocks import Block, MemoryBlocks
from dosift.data.factorise import texts_at
from dosift.data.load import Loaded
from dosift.data.unit_columns import units_of
from dosift.likelihood.disagreement import evidence_against
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.results.rows import RowJudge, RowParts, row_table

Floats = NDArray[np.float64]

#: Expected share of false ones among the rows that are said to disagree with their unit.
_FALSE_SHARE = 0.05


def tables_of(
    judge: RowJudge, loaded: Loaded
) -> tuple[pl.DataFrame | RowParts, pl.DataFrame | None]:
    """Tables of rows, and of units where rows come in units.

    Parameters
    ----------
    judge : RowJudge
    loaded : Loaded

    Returns
    -------
    rows : polars.DataFrame or RowParts
        As of :func:`~dosift.results.rows.row_table`; with units ``unit`` comes first, ``target``
        and ``probability`` are those of the unit, and ``disagrees`` says whether the row speaks
        against having the target of its unit's other rows.
    units : polars.DataFrame or None
        A line for each unit, in the order in which they appear: ``unit`` (null for a row without
        one), ``n_rows``, ``target`` (null where none can produce its rows), ``probability``,
        ``second`` (the second most probable target), ``second_probability`` (both null in a
        labelled unit), and ``disagreeing``, the number of rows that disagree with the others.
    """
    if loaded.unit is None:
        return row_table(judge, loaded), None
    rows = _rows_in_units(judge, loaded)
    return rows, _unit_table(judge, loaded, rows)


def _rows_in_units(judge: RowJudge, loaded: Loaded) -> pl.DataFrame:
    """Table of rows in their order, each with what its unit says."""
    assert loaded.unit is not None
    found = _judged(judge, loaded)
    rest = [name for name in found.columns if name != "disagrees"]
    table = found.with_columns(texts_at(loaded.unit.texts, loaded.unit.index).alias("unit"))
    return table.select("unit", *rest, "disagrees")


def _unit_table(judge: RowJudge, loaded: Loaded, rows: pl.DataFrame) -> pl.DataFrame:
    """Table with one line for each unit, in the order in which units appear."""
    assert loaded.unit is not None
    assert loaded.inverse is not None
    unit = units_of(loaded.unit)
    n_rows = np.bincount(unit)
    first = np.empty_like(n_rows)
    first[unit[::-1]] = np.arange(unit.size - 1, -1, -1)
    order = np.argsort(first, kind="stable")
    disagreeing = np.bincount(unit, rows["disagrees"].to_numpy())
    seconds = _seconds(judge, loaded)
    place = loaded.inverse[first[order]]
    place = np.where(place < 0, len(seconds) - 1, place)
    own = rows.select("unit", "target", "probability")[first[order]]
    return own.with_columns(
        pl.Series("n_rows", n_rows[order]),
        *(column.gather(place) for column in seconds),
        pl.Series("disagreeing", disagreeing[order].astype(np.int64)),
    ).select(
        "unit", "n_rows", "target", "probability", "second", "second_probability", "disagreeing"
    )


def units_content(
    units: pl.DataFrame | None, network: Network | MechanismNetwork
) -> dict[str, Any]:
    """Sum up what is said of units.

    Parameters
    ----------
    units : polars.DataFrame or None
        From :func:`tables_of`.
    network : Network or MechanismNetwork
        Remembers what units of control rows have in common.

    Returns
    -------
    dict
        Empty without units; else ``units``, ready for JSON: ``n``, ``smallest`` and ``largest``
        (numbers of rows), ``share_sure`` (units whose target has a probability above
        ``sure_above``), ``disagreeing`` (rows), ``with_disagreeing`` (units), and ``dependence`` by
        variable.
    """
    if units is None:
        return {}
    dependence = getattr(network.control, "dependence", None)
    by_name = {} if dependence is None else dict(zip(network.names, dependence, strict=True))
    sure = units["probability"].fill_null(0.0).to_numpy() > SURE
    found = {
        "n": len(units),
        "smallest": units["n_rows"].min(),
        "largest": units["n_rows"].max(),
        "share_sure": float(sure.mean()),
        "sure_above": SURE,
        "disagreeing": int(units["disagreeing"].sum()),
        "with_disagreeing": int((units["disagreeing"] > 0).sum()),
        "dependence": {name: float(r) for name, r in by_name.items() if r > 0},
    }
    return {"units": found}


def largest_evidence(evidence: Floats, false_share: float = _FALSE_SHARE) -> NDArray[np.bool_]:
    """Name rows by their evidence, with control of the share of false ones.

    Parameters
    ----------
    evidence : ndarray, shape (n,)
        E-values: not negative, and 1 at most in expectation where nothing is wrong.
    false_share : float, default=0.05
        Expected share of false ones among those named, whatever depends on what (Wang and Ramdas,
        2022).

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> largest_evidence(np.array([0.5, 100.0, 1.0, 45.0])).tolist()
    [False, True, False, True]
    """
    # None below this can be named, were all of them to be; few are above it.
    ordered = np.sort(evidence[evidence >= 1.0 / false_share])[::-1]
    enough = np.flatnonzero(ordered * np.arange(1, ordered.size + 1) >= evidence.size / false_share)
    if not enough.size:
        return np.zeros(evidence.size, dtype=bool)
    return np.asarray(evidence >= ordered[enough[-1]])


def _judged(judge: RowJudge, loaded: Loaded) -> pl.DataFrame:
    """Judge distinct rows with their units, part by part, and put them in the input's order.

    With a column ``disagrees``, by the evidence of each row against its unit's target.
    """
    assert isinstance(loaded.rows, MemoryBlocks)
    assert loaded.place is not None
    judge = judge.bounded(loaded.rows)
    table = pl.concat([_of_block(judge, block) for block in loaded.rows], rechunk=False)
    place = loaded.place
    if (place < 0).any():
        # A unit of weight zero picks the last row, which says nothing.
        table, place = pl.concat([table, table.clear(1)]), np.where(place < 0, len(table), place)
    # Column by column, for there may be millions of rows.
    evidence = table.drop_in_place("evidence").fill_null(1.0).gather(place)
    disagrees = largest_evidence(evidence.to_numpy())
    del evidence
    columns = {name: table.drop_in_place(name).gather(place) for name in table.columns}
    return pl.DataFrame({**columns, "disagrees": disagrees})


def _of_block(judge: RowJudge, block: Block) -> pl.DataFrame:
    rows, unit = judge.table(block.apart), block.unit
    if block.first is None:
        return rows.with_columns(pl.lit(1.0).alias("evidence"))
    together = judge.table(block)[unit]
    given = [name for name in together.columns if name not in _OF_ROWS]
    evidence = evidence_against(judge.assignment(block.apart), block.first)
    return rows.with_columns(together.select(given).get_columns()).with_columns(
        pl.Series("evidence", evidence)
    )


_OF_ROWS = ("surprise", "surprise_p_value", "unexplained")


def _seconds(judge: RowJudge, loaded: Loaded) -> pl.DataFrame:
    """Second most probable target of each distinct unit, and a last line that says nothing."""
    assert isinstance(loaded.rows, MemoryBlocks)
    best, probability = [], []
    for block in loaded.rows:
        found = judge.assignment(block)
        posterior = found.posterior
        if judge.together is not None:
            posterior = judge.together.summed(posterior)
        posterior = np.nan_to_num(posterior)
        if posterior.shape[1] < 2:
            posterior = np.column_stack([posterior, np.zeros(len(posterior))])
        second = np.argsort(-posterior, axis=1, kind="stable")[:, 1]
        at = posterior[np.arange(second.size), second]
        if block.label is not None:
            at = np.where(block.label < 0, at, 0.0)
        best.append(np.where(at > 0, second, -1))
        probability.append(np.where(at > 0, at, np.nan))
    columns = {
        "second": texts_at(judge.texts, np.append(np.concatenate(best), -1)),
        "second_probability": np.append(np.concatenate(probability), np.nan),
    }
    return pl.DataFrame(columns).fill_nan(None)
