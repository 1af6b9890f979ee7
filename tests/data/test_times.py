"""The time of each row, however it is written; and rows in order of it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dosift.data.order import RowOrder
from dosift.data.side_columns import side_column
from dosift.data.times import Times, times_of
from dosift.errors import InputError


def read(values: Any, n_rows: int, name: str) -> Times:
    return times_of(side_column(values, n_rows, name, "rows.csv"))


NOON = dt.datetime(2026, 3, 1, 12)
DAY = 86400.0


@pytest.mark.parametrize(
    ("values", "expected", "in_seconds"),
    [
        ([3, 1, 2], [3.0, 1.0, 2.0], False),
        (np.array([0.5, -1.0, 2e9]), [0.5, -1.0, 2e9], False),
        (["7", " 8 ", "9.5"], [7.0, 8.0, 9.5], False),
        (["2026-03-01", "2026-03-02", "2026-03-01"], [0.0, DAY, 0.0], True),
        (["2026-03-01 12:00", "2026-03-01T12:00:00.25", "2026-03-02"], [0.0, 0.25, DAY / 2], True),
        (
            ["2026-03-01T12:00:00Z", "2026-03-01T14:00:00+02:00", "2026-03-01T14:00+0100"],
            [0.0, 0.0, 3600.0],
            True,
        ),
        (pl.Series([NOON, NOON, NOON + dt.timedelta(1)]), [0.0, 0.0, DAY], True),
        ([dt.date(2026, 3, 1), dt.date(2026, 3, 3), dt.date(2026, 3, 2)], [0, 2 * DAY, DAY], True),
        (pd.Series(pd.date_range(NOON, periods=3, freq="h")), [0.0, 3600.0, 7200.0], True),
        (
            pd.Series(pd.date_range(NOON, periods=3, freq="D", tz="America/Lima")),
            [0.0, DAY, 2 * DAY],
            True,
        ),
        (np.array(["2026-03-01", "2026-03-01", "2026-03-02"], "datetime64[ns]"), [0, 0, DAY], True),
        (pd.Series(["2", "3", "1"], dtype="category"), [2.0, 3.0, 1.0], False),
        ((1, 2, 3), [1.0, 2.0, 3.0], False),
    ],
)
def test_times_are_read(values: Any, expected: list[float], in_seconds: bool) -> None:
    found = read(values, 3, "time")
    assert found.values.tolist() == expected
    assert found.in_seconds is in_seconds


def test_timestamps_keep_their_microseconds() -> None:
    first = dt.datetime(2026, 3, 1, microsecond=1)
    found = read([first, first + dt.timedelta(microseconds=3)], 2, "time")
    assert found.values[1] == pytest.approx(3e-6, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, None, 3], "time in data row 2 is empty"),
        ([1.0, 2.0, float("nan")], "time in data row 3 is empty"),
        (["1", "", "2"], "time in data row 2 is empty"),
        ([1.0, float("inf"), 2.0], r"time: 'inf' in data row 2 is not finite"),
        (["1", "2", "soon"], "time: 'soon' in data row 3 is no number, as others are"),
        (["2026-03-01", "yesterday", "2026-03-01"], "'yesterday' in data row 2 is no number, date"),
        (["2026-13-01", "2026-03-01", "2026-03-01"], "'2026-13-01' in data row 1 is no"),
        (["2026-03-01T00:00:00Z", "2026-03-01", "2026-03-01"], "data row 2 has no time zone"),
        ([True, False, True], "is no number, date or timestamp"),
        ("noon", "give one value for each row"),
        ([1, 2], r"2 value\(s\) for 3 row\(s\)"),
    ],
)
def test_what_is_no_time_is_refused(values: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(values, 3, "time")


def test_units_are_put_in_order_apart() -> None:
    unit = side_column(["b", "a", "b", "a", "a"], 5, "unit")
    order = RowOrder.of(read([9, 4, 7, 1, 2], 5, "time"), unit)
    assert order.place.tolist() == [3, 4, 1, 2, 0]
    assert order.begins.tolist() == [True, False, False, True, False]
    assert order.step == 2.0
    assert order.exposure.tolist() == [np.inf, 0.5, 1.0, np.inf, 1.0]
    assert order.windows(2).tolist() == [0, 0, 1, 2, 2]
    assert order.in_input_order(np.arange(5)).tolist() == [4, 2, 3, 0, 1]


def test_rows_at_one_time_are_next_to_each_other_in_the_order_given() -> None:
    order = RowOrder.of(read([2, 1, 2, 3], 4, "time"))
    assert order.place.tolist() == [1, 0, 2, 3]
    assert 0 < order.exposure[2] < 1e-3
    assert order.step == 1.0


def test_the_scale_and_the_start_of_times_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(size=50))
    one = RowOrder.of(read(times, 50, "time"))
    two = RowOrder.of(read(60.0 * times - 1e4, 50, "time"))
    np.testing.assert_allclose(one.exposure, two.exposure, rtol=1e-6)


def test_times_that_order_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="is the same in all rows"):
        RowOrder.of(read([5, 5, 5], 3, "column 'when'"))


def test_a_row_without_unit_is_refused() -> None:
    unit = side_column(["b", None, "b"], 3, "column 'machine'")
    with pytest.raises(InputError, match="'machine' is empty in data row 2"):
        RowOrder.of(read([1, 2, 3], 3, "time"), unit)


def test_one_row_a_unit_has_no_order() -> None:
    order = RowOrder.of(read([3, 1], 2, "time"), side_column(["a", "b"], 2, "unit"))
    assert np.isinf(order.exposure).all()
    assert order.step == 1.0
