"""Which target held when: tables, numbers and words of fits to rows in order of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.chain.errors import Interval
from dosift.data.factorise import texts_at
from dosift.data.order import RowOrder
from dosift.pipeline.in_time import InTime
from dosift.results.rows import RowJudge

#: Share of rows at the time of others from which they may be of several series.
_MANY_AT_ONCE = 0.1
#: Colours that differ in lightness, too, and that of targets beyond them.
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a3fb0", "#8c6d31",
)  # fmt: skip
GREY = "#8a8a8a"
#: Seconds of longer times, the longest first.
_LONGER = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def timeline_table(
    in_time: InTime, texts: list[str], level: float, batches: Sequence[str] = ()
) -> pl.DataFrame:
    """Table of stretches with the same target, by batch, unit and time.

    Parameters
    ----------
    in_time : InTime
    texts : list of str
        For each target, the text of the line in which it stands.
    level : float
        Of the intervals.
    batches : sequence of str, optional
        Their names, where rows have any.

    Returns
    -------
    polars.DataFrame
        The columns of ``timeline.csv``: ``unit`` (null where no units were given), ``target``,
        ``start`` and ``end`` (times of the first and last row), ``probability`` (expected share of
        its rows that have this target), ``start_low``, ``start_high``, ``end_low`` and
        ``end_high`` (times of rows between which the first and last row lie),
        ``start_probability`` and ``end_probability`` (that they do: about `level`, and more where
        one row alone holds more), ``rows``; and ``batch``, where there are any.
    """
    found, order = in_time.segments(level), in_time.order
    times = order.times.shown.gather(order.place)
    units: Any = pl.repeat(None, len(found), dtype=pl.String, eager=True)
    if order.unit is not None:
        names = pl.Series(order.unit.texts, dtype=pl.String)
        units = names.gather(order.unit.index[order.place[found.first]])
    table = pl.DataFrame(
        {
            "unit": units,
            "target": pl.Series(texts, dtype=pl.String).gather(found.target),
            "start": times.gather(found.first),
            "end": times.gather(found.last),
            "probability": found.probability,
            "start_low": times.gather(found.first_low),
            "start_high": times.gather(found.first_high),
            "end_low": times.gather(found.last_low),
            "end_high": times.gather(found.last_high),
            "start_probability": found.first_content,
            "end_probability": found.last_content,
            "rows": found.last - found.first + 1,
        }
    )
    if order.batch is None:
        return table
    names = pl.Series("batch", batches, dtype=pl.String).gather(order.batch[found.first])
    return table.with_columns(names)


def rows_in_time(
    table: pl.DataFrame, judge: RowJudge, posterior: NDArray[np.float64], order: RowOrder
) -> pl.DataFrame:
    """Let rows have the target that their neighbours in time make most probable.

    Parameters
    ----------
    table : polars.DataFrame
        From :meth:`~dosift.results.rows.RowJudge.table`, in the input's order.
    judge : RowJudge
    posterior : ndarray, shape (n_rows, n_targets)
        Given all rows of the series, in the input's order; zero or NaN for rows that no target can
        produce.
    order : RowOrder

    Returns
    -------
    polars.DataFrame
        The same, with ``target``, ``probability`` and the columns of probabilities given all rows
        of the series; and ``unit`` in front, where units were given.
    """
    posterior = np.nan_to_num(posterior)
    best = posterior.argmax(axis=1)
    if judge.together is not None:
        best = judge.together.best(best, posterior)
        posterior = judge.together.summed(posterior)
    probability = posterior[np.arange(best.size), best]
    impossible = probability <= 0
    if judge.there:
        probability = probability * np.array(judge.there)[best]
    own = [
        texts_at(judge.texts, np.where(impossible, -1, best)).alias("target"),
        pl.Series("probability", np.where(impossible, np.nan, probability)).fill_nan(None),
    ]
    if judge.all_probabilities:
        own += [pl.Series(text, posterior[:, t]) for t, text in enumerate(judge.texts)]
    table = table.with_columns(own)
    unit = order.unit
    if unit is None:
        return table
    names = pl.Series("unit", unit.texts, dtype=pl.String).gather(unit.index)
    return table.select(names, pl.all())


def words_of_rows_at_once(order: RowOrder) -> str:
    """Say that many rows of a series were seen at the same time; nothing where few were.

    Parameters
    ----------
    order : RowOrder

    Returns
    -------
    str
    """
    if order.at_once < _MANY_AT_ONCE:
        return ""
    return (
        f"{100 * order.at_once:.0f} % of the rows have the same time as another row of their "
        "series, and are taken for rows of one intervention: if they come from several machines or "
        "patients, name the column that says so (--unit, unit=)"
    )


def timeline_content(in_time: InTime, table: pl.DataFrame, level: float) -> dict[str, Any]:
    """Return what ``result.json`` says of targets in time.

    Parameters
    ----------
    in_time : InTime
    table : polars.DataFrame
        From :func:`timeline_table`.
    level : float
        Of the intervals.

    Returns
    -------
    dict
        ``switching``: probability that the target is drawn anew in a typical step; ``lasts``: mean
        time until another target follows, null where no switch was seen; both with ``low`` and
        ``high``. ``rate``: of switching, in the unit of the times. ``step``: the typical step.
        ``in_seconds``: whether times are timestamps.
        ``stretches``: the lines of ``timeline.csv``, times of timestamps as texts.
    """
    lines = table.to_dicts()
    if in_time.order.times.in_seconds:
        lines = [
            {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in line.items()}
            for line in lines
        ]
    return {
        "timeline": {
            "switching": _content(in_time.switching(level)),
            "lasts": _content(in_time.lasts(level)),
            "rate": in_time.rate,
            "step": in_time.order.step,
            "in_seconds": in_time.order.times.in_seconds,
            "stretches": lines,
        }
    }


def _content(found: Interval) -> dict[str, float | None]:
    values = {"value": found.value, "low": found.low, "high": found.high}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}


def timeline_in_words(timeline: Mapping[str, Any]) -> list[str]:
    r"""Say how long targets last.

    Parameters
    ----------
    timeline : mapping
        As in ``result.json``.

    Returns
    -------
    list of str
        Sentences.

    Examples
    --------
    >>> print(*timeline_in_words({
    ...     "switching": {"value": 0.02, "low": 0.018, "high": 0.022},
    ...     "lasts": {"value": 100.0, "low": 90.0, "high": 110.0},
    ...     "step": 2.0, "in_seconds": False, "stretches": [{}, {}],
    ... }), sep="\n")
    2 stretches with the same intervention.
    Switching rate: 0.02 in a step of 2 (0.018 to 0.022).
    An intervention lasts 100 on average (90 to 110).
    """
    rate, lasts = timeline["switching"], timeline["lasts"]
    size, name = _unit_of_time(timeline, lasts["value"] or timeline["step"])
    n = len(timeline["stretches"])
    lines = [f"{n:,} stretch{'es' * (n != 1)} with the same intervention."]
    step_size, step_name = _unit_of_time(timeline, timeline["step"])
    step = f"{timeline['step'] / step_size:.4g}{step_name}"
    lines.append(
        f"Switching rate: {rate['value']:.3g} in a step of {step} "
        f"({rate['low']:.3g} to {rate['high']:.3g})."
    )
    if lasts["value"] is None:
        lines.append("No intervention was followed by another.")
    else:
        low = f"{lasts['low'] / size:.4g}"
        high = "more" if lasts["high"] is None else f"{lasts['high'] / size:.4g}"
        lines.append(
            f"An intervention lasts {lasts['value'] / size:.4g}{name} on average ({low} to {high})."
        )
    return lines


def _unit_of_time(timeline: Mapping[str, Any], seconds: float) -> tuple[float, str]:
    """Choose days, hours, minutes or seconds for a time, where times are timestamps."""
    if not timeline["in_seconds"]:
        return 1.0, ""
    name, size = next((one for one in _LONGER if seconds >= 2.0 * one[1]), _LONGER[-1])
    return size, f" {name}"


def drawn_stretches(
    stretches: Sequence[Mapping[str, Any]],
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return the lines on which stretches are drawn, and where each begins and ends.

    Parameters
    ----------
    stretches : sequence of mapping
        Lines of ``timeline.csv``.

    Returns
    -------
    units : list of str
        Of each stretch, its unit; with its batch, where batches of a unit overlap in time. An empty
        text where there is nothing to tell apart.
    start, end : ndarray, shape (n_stretches,)
        Numbers, or seconds since 1970 of timestamps.
    """
    start = np.array([_number(line["start"]) for line in stretches])
    end = np.array([_number(line["end"]) for line in stretches])
    units = ["" if line["unit"] is None else str(line["unit"]) for line in stretches]
    if _overlap([(unit, line.get("batch")) for unit, line in zip(units, stretches, strict=True)],
                start, end):  # fmt: skip
        units = [series_name(line) for line in stretches]
    return units, start, end


def colours_of(components: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Choose a colour for each component that changes something, in their order."""
    hits = [str(line["target"]) for line in components if line["size"] > 0]
    return {target: COLOURS[k] if k < len(COLOURS) else GREY for k, target in enumerate(hits)}


def series_name(line: Mapping[str, Any]) -> str:
    """Name the series of a stretch: its batch and its unit, as far as there are any.

    Parameters
    ----------
    line : mapping
        Of ``timeline.csv``.

    Examples
    --------
    >>> series_name({"unit": "pump 1", "batch": "week 3"}), series_name({"unit": None})
    ('week 3, pump 1', '')
    """
    return ", ".join(str(line[n]) for n in ("batch", "unit") if line.get(n) is not None)


def _overlap(
    series: list[tuple[str, Any]], start: NDArray[np.float64], end: NDArray[np.float64]
) -> bool:
    """Whether series of the same unit, in several batches, overlap in time."""
    spans: dict[str, dict[Any, tuple[float, float]]] = {}
    for (unit, batch), low, high in zip(series, start.tolist(), end.tolist(), strict=True):
        own = spans.setdefault(unit, {})
        before = own.get(batch, (low, high))
        own[batch] = (min(before[0], low), max(before[1], high))
    return any(
        one[1] >= other[0]
        for own in spans.values()
        for one, other in itertools.pairwise(sorted(own.values()))
    )


def _number(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return float(moment.timestamp())
