"""Control rows held against fits in time: played as a series, and what rows ask for then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.cli.app import app
from dosift.errors import InputError
from dosift.learning.mixed import ControlTable, control_as_rows
from dosift.pipeline.control_series import halves_in_time
from dosift.results.folder import read_result
from test_in_time_end_to_end import NETWORK, series

EDGES = [("pump", "valve"), ("pump", "heat"), ("valve", "heat")]
NOTHING = dosift.Mixture({dosift.do(): 1.0})


def control_rows(n_rows: int, seed: int) -> pl.DataFrame:
    return dosift.simulate(NETWORK, NOTHING, n_rows, random_state=seed)


def sticky(rows: pl.DataFrame, seed: int, share: float = 0.7) -> pl.DataFrame:
    """Let most rows repeat the one before, as slow metrics do."""
    new = np.append(True, np.random.default_rng(seed).random(len(rows) - 1) > share)
    place = np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))
    return rows[place.tolist()].with_columns(tick=pl.int_range(len(rows)))


def fit(
    rows: pl.DataFrame, control: pl.DataFrame, edges: list[tuple[str, str]] = EDGES
) -> dosift.InterventionMixture:
    model = dosift.InterventionMixture()
    return model.fit(rows, time="tick", control=control, graph=edges, edges="fixed")


def test_halves_of_a_series_are_its_earlier_and_its_later_rows() -> None:
    early, late = control_rows(300, 1), control_rows(300, 2)
    control = pl.concat([early, late]).with_columns(tick=pl.int_range(600))
    shuffled = control.sample(fraction=1.0, shuffle=True, seed=0)
    network = dosift.learn_network(EDGES, shuffled.drop("tick"))
    loaded = control_as_rows(ControlTable(shuffled, EDGES, time="tick"), network)
    assert loaded is not None
    one, two = halves_in_time(network, 1000, loaded)
    for half, played, taught in ((one, early, late), (two, late, early)):
        assert half.series is not None
        codes = half.series.block.values[half.series.index]
        states = [v.states for v in network.variables]
        for i, name in enumerate(network.names):
            assert [states[i][a] for a in codes[:, i]] == played[name].to_list()
        assert half.network.control is not None
        assert half.network.control.n_rows == 300
        again = dosift.learn_network(EDGES, taught, states={v.name: v.states for v in
                                                           network.variables})  # fmt: skip
        for found, expected in zip(half.network.tables, again.tables, strict=True):
            np.testing.assert_allclose(found, expected)
    # Some of each, from its beginning.
    assert next(halves_in_time(network, 100, loaded)).n_rows == 100


def test_rows_without_times_are_played_in_an_order_that_says_nothing() -> None:
    network = dosift.learn_network(EDGES, control_rows(400, 3))
    one, two = halves_in_time(network, 1000, None)
    assert (one.n_rows, two.n_rows) == (200, 200)
    both = np.concatenate([h.series.block.values[h.series.index] for h in (one, two) if h.series])
    assert network.control is not None
    assert network.control.rows is not None
    distinct, counts = np.unique(both, axis=0, return_counts=True)
    assert len(distinct) == len(network.control.rows.values)
    assert sorted(counts) == sorted(network.control.rows.counts)


def test_a_clean_series_stands() -> None:
    own = series(1, 1500, 60.0)
    control = control_rows(1500, 9)
    in_time = control.with_columns(tick=pl.int_range(1500))
    for given, in_order in ((control, False), (in_time, True)):
        model = fit(own.rows, given)
        assert model.verdict_.value == "stands"
        assert model.negative_control_.weight < 0.01
        assert model.fitted_.control.in_order is in_order
        assert {str(one) for one in model.targets_} == set(own.target)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_rows_that_stick_are_found_in_control_rows_that_stick() -> None:
    """What rows have in common with those before them looks like interventions that last."""
    rows = sticky(series(0, 900, 60.0).rows.drop("tick"), 1)
    model = fit(rows, sticky(control_rows(900, 9), 2))
    assert model.negative_control_.weight_in_full > 0.5
    assert model.fitted_.power < 1.0
    assert model.verdict_.value != "stands" or model.fitted_.power < 0.2
    # Rows that count for less leave wider intervals.
    width = (model.components_["ci_high"] - model.components_["ci_low"]).max()
    assert width > 0.5


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_the_graph_that_rows_ask_for_is_fitted_in_time() -> None:
    """Targets that only a series shows do not fall by an edge that changes nothing of them."""
    rows = series(0, 2000, 60.0).rows
    model = fit(rows, control_rows(3000, 9), EDGES[:2])
    edges = [one["edge"] for one in model.verdict_.repairs if "edge" in one]
    assert {"kind": "add", "parent": "valve", "child": "heat"} in edges
    assert all(one["change"] < 0.2 for one in model.verdict_.repairs)
    assert model.verdict_.value != "does not stand"
    assert model.components_["stands"].all()
    assert not model.fit_check_.fits


def test_a_wrong_table_is_seen_by_all_rows() -> None:
    """Not only by as many as there are stretches."""
    tables = {v.name: NETWORK.tables[i].copy() for i, v in enumerate(NETWORK.variables)}
    tables["heat"][0] = [0.55, 0.3, 0.15]
    wrong = dosift.Network.from_tables(
        {v.name: v.states for v in NETWORK.variables},
        {"valve": ["pump"], "heat": ["pump", "valve"]},
        tables,
    )
    rows = series(301, 3000, 60.0).rows
    assert dosift.InterventionMixture(NETWORK).fit(rows, time="tick").fit_check_.fits
    model = dosift.InterventionMixture(wrong).fit(rows, time="tick")
    assert not model.fit_check_.fits


def test_the_command_plays_control_rows_in_time(tmp_path: Path) -> None:
    series(0, 1000, 60.0).rows.write_csv(tmp_path / "rows.csv")
    control = control_rows(1000, 9).with_columns(tick=pl.int_range(1000))
    control.write_csv(tmp_path / "control.csv")
    edges = "".join(f"{a},{b}\n" for a, b in EDGES)
    (tmp_path / "edges.csv").write_text(f"parent,child\n{edges}")
    files = {name: str(tmp_path / f"{name}.csv") for name in ("rows", "control", "edges")}
    arguments = ["fit", files["rows"], "--control", files["control"], "--graph", files["edges"]]
    arguments += ["-o", str(tmp_path / "out"), "--time", "tick", "-q"]
    assert app(arguments, standalone_mode=False, prog_name="dosift") == 0
    content = read_result(tmp_path / "out").content
    assert content["verdict"]["negative_control"]["rows"] == 500
    assert content["verdict"]["negative_control"]["in_order"] is True
    control.with_columns(tick=pl.lit("soon")).write_csv(tmp_path / "control.csv")
    with pytest.raises(InputError, match=r"control\.csv.*'soon' in data row 1 is no number"):
        app([*arguments, "--force"], standalone_mode=False, prog_name="dosift")


@pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning")  # two targets at a time
def test_many_rows_at_one_time_are_several_series() -> None:
    rows = pl.concat([series(0, 300, 60.0).rows, series(1, 300, 60.0).rows])
    with pytest.warns(dosift.errors.UnitsWarning, match="50 % of the rows have the same time"):
        dosift.InterventionMixture(NETWORK).fit(rows, time="tick")
