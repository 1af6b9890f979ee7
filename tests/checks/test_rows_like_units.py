"""Rows that seem to come in units bring a notice, which names the column; other rows do not."""

import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

import dosift
from dosift.checks.neighbours import like_units, neighbours_agree
from dosift.data.read import RowFiles
from dosift.data.side_columns import SideColumn
from dosift.data.stream import store_rows
from dosift.errors import ExtraColumnsWarning, UnitsWarning

NETWORK = dosift.random_network(4, random_state=3)
TRUTH = dosift.Mixture({dosift.do(): 0.5, dosift.do(V1="0"): 0.3, dosift.do(V2="1"): 0.2})


def in_units(n_units: int, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows of units of three, and the unit of each."""
    draw = np.random.default_rng(seed).choice(3, n_units, p=list(TRUTH.values()))
    targets = list(TRUTH)
    parts = [
        dosift.simulate(NETWORK, dosift.Mixture({targets[k]: 1.0}), 3, random_state=1000 * seed + u)
        for u, k in enumerate(draw)
    ]
    return pl.concat(parts), np.repeat(np.arange(n_units), 3)


def notices(rows: object, **settings: object) -> list[str]:
    """What the fit says of units."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dosift.InterventionMixture(NETWORK).fit(rows, **settings)
    return [str(w.message) for w in caught if issubclass(w.category, UnitsWarning)]


def test_a_column_that_nobody_named_is_named(tmp_path: Path) -> None:
    rows, unit = in_units(500, 1)
    mixed = np.random.default_rng(0).permutation(len(unit))
    table = rows[mixed].with_columns(
        pl.Series("clone", [f"c{u}" for u in unit[mixed]]),
        pl.Series("barcode", [f"b{k}" for k in mixed]),
        pl.Series("weight", np.random.default_rng(1).normal(size=len(unit))),
        pl.Series("well", np.random.default_rng(2).integers(0, 90, len(unit))),
    )
    for kind in ("csv", "parquet"):
        path = tmp_path / f"rows.{kind}"
        table.write_csv(path) if kind == "csv" else table.write_parquet(path)
        (told,) = notices(path)
        assert "'clone'" in told
        assert "--unit clone" in told
        with pytest.warns(ExtraColumnsWarning):
            stored = store_rows(RowFiles.at(path), NETWORK)
        # A decimal number names nothing; in a file of texts it is one of them.
        of_texts = ["weight"] if kind == "csv" else []
        assert [c.name for c in stored.further] == ["clone", "barcode", *of_texts, "well"]
        stored.close()
    (told,) = notices(table.to_pandas())
    assert "'clone'" in told
    assert notices(table, unit="clone") == []


def test_the_order_of_rows_is_named_where_no_column_is() -> None:
    rows, unit = in_units(500, 2)
    (told,) = notices(rows)
    assert "follow each other" in told
    assert notices(rows[np.random.default_rng(0).permutation(len(unit))]) == []
    assert notices(rows.sort(rows.columns)) == []


def test_tables_below_each_other_are_no_units() -> None:
    draw = np.random.default_rng(3)
    level = np.repeat([0.0, 2.0, 4.0], [600, 250, 150])
    values = level[:, None] + draw.normal(size=(1000, 1))
    assert neighbours_agree(values, [0]) is None
    series = np.repeat(2.0 * (draw.random(40) < 0.5), draw.integers(5, 60, 40))
    assert neighbours_agree(series[:, None] + draw.normal(size=(series.size, 1)), [0]) is not None


def test_numbers_are_looked_at_as_well() -> None:
    draw = np.random.default_rng(4)
    level = np.repeat(2.0 * (draw.random(700) < 0.3), 3)
    values = np.column_stack([draw.normal(size=2100), level + draw.normal(size=2100)])
    expected = spearmanr(values[:-1, 1], values[1:, 1]).statistic
    assert neighbours_agree(values, [0, 0]) == pytest.approx(expected, abs=0.01)
    mixed = draw.permutation(2100)
    column = SideColumn(tuple(map(str, range(700))), mixed // 3, "machine")
    found = like_units(values[mixed], [0, 0], [column])
    assert found is not None
    assert found[0] == "machine"
    assert neighbours_agree(values[mixed], [0, 0]) is None


def test_independent_rows_bring_no_notice() -> None:
    """Heavy tails, rare states, ties, missing values: 300 tables, and no alarm in any."""
    alarms = 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        n_rows = int(draw.integers(200, 3000))
        states = draw.choice(6, n_rows, p=[0.9, 0.06, 0.03, 0.008, 0.001, 0.001])
        numbers = draw.standard_cauchy(n_rows)
        counts = draw.poisson(0.2, n_rows).astype(float)
        counts[draw.random(n_rows) < 0.3] = np.nan
        values = np.column_stack([states, numbers, counts])
        group = draw.integers(0, max(n_rows // 3, 20), n_rows)
        column = SideColumn(tuple(map(str, range(n_rows))), group, "group")
        sizes = [6, 0, 0]
        alarms += neighbours_agree(values, sizes) is not None
        alarms += like_units(values, sizes, [column]) is not None
    assert alarms == 0


def test_few_large_groups_are_no_units() -> None:
    draw = np.random.default_rng(0)
    batch = draw.integers(0, 4, 2000)
    values = np.where(draw.random(2000) < 0.2 * batch, 1, 0)[:, None]
    column = SideColumn(("a", "b", "c", "d"), batch, "batch")
    assert like_units(values, [2], [column]) is None
