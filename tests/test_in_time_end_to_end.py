"""Fits to rows in order of time, from a table to the timeline, with exclusion violated."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.errors import DosiftWarning, InputError, NotFittedError
from dosift.results.report import render_report

TRUTH = dosift.Mixture(
    {
        dosift.do(): 0.4,
        # Whatever the pump is set to, some fault sets it so: exclusion does not hold.
        dosift.do(pump="off"): 0.2,
        dosift.do(pump="on"): 0.15,
        dosift.do(valve="shut", heat="high"): 0.25,
    }
)
NETWORK = dosift.Network.from_tables(
    {"pump": ["off", "on"], "valve": ["shut", "open"], "heat": ["low", "mid", "high"]},
    {"valve": ["pump"], "heat": ["pump", "valve"]},
    {
        "pump": [[0.4, 0.6]],
        "valve": [[0.7, 0.3], [0.2, 0.8]],
        "heat": [[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.2, 0.3, 0.5], [0.1, 0.3, 0.6]],
    },
)


@dataclass(frozen=True)
class Series:
    """Rows in order of time, and the truth about them."""

    rows: pl.DataFrame
    target: np.ndarray


def series(
    seed: int, n_rows: int, lasts: float, network: Any = NETWORK, truth: dosift.Mixture = TRUTH
) -> Series:
    """Draw a series whose target is drawn anew once in so many rows."""
    rng = np.random.default_rng(seed)
    anew = np.append(True, rng.random(n_rows - 1) < 1.0 / lasts)
    draws = rng.choice(len(truth), size=n_rows, p=truth.weights)
    component = draws[np.maximum.accumulate(np.where(anew, np.arange(n_rows), 0))]
    parts = []
    for k, target in enumerate(truth.targets):
        place = np.flatnonzero(component == k)
        if place.size:
            own = dosift.simulate(network, dosift.Mixture({target: 1.0}), place.size, rng)
            parts.append(own.with_columns(pl.Series("tick", place)))
    rows = pl.concat(parts).sort("tick")
    return Series(rows, np.array([str(t) for t in truth.targets])[component])


@pytest.fixture(scope="module")
def drawn() -> Series:
    return series(0, 4000, 60.0)


@pytest.fixture(scope="module")
def model(drawn: Series) -> dosift.InterventionMixture:
    return dosift.InterventionMixture(NETWORK).fit(drawn.rows, time="tick")


def test_targets_are_found_that_violate_exclusion(model: dosift.InterventionMixture) -> None:
    assert set(model.targets_) == set(TRUTH.targets)
    lines = {line["target"]: line for line in model.components_.to_dicts()}
    inside = [
        lines[str(target)]["ci_low"] <= TRUTH[target] <= lines[str(target)]["ci_high"]
        for target in TRUTH
    ]
    assert sum(inside) >= 3
    # A hundred draws, not 4,000 rows, tell the weights.
    assert lines["do()"]["std_error"] > 0.03
    assert model.converged_
    assert model.n_rows_ == 4000
    assert model.fit_check_.fits
    assert model.certainty_.counts.sum() == 4000
    assert lines["do()"]["rows"] == pytest.approx(0.4 * 4000, rel=0.35)
    assert sum(line["rows"] for line in lines.values()) == pytest.approx(4000)
    assert all(line["status"] == "found" for line in lines.values())


def test_what_the_series_loses_without_a_target_tells_whether_it_occurs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were nothing lost without any, only what is known beforehand would speak for them."""
    monkeypatch.setattr(
        "dosift.pipeline.in_time.losses", lambda rows, fit: np.zeros(fit.weights.shape[-1])
    )
    own = series(1, 800, 40.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = dosift.InterventionMixture(NETWORK, negative_control=False).fit(
            own.rows, time="tick"
        )
    in_time, undecided = model.fitted_.in_time, model.fitted_.result.undecided
    assert in_time is not None
    assert undecided is not None
    before = undecided.component_log_prior_odds
    absent = 1.0 / (1.0 + np.exp(before) / np.sqrt(in_time.power * in_time.fit.n_drawn))
    told = dict(zip(model.components_["target"], model.components_["probability"], strict=True))
    found = [told[str(target)] for target in model.targets_]
    np.testing.assert_allclose(found, 1.0 - absent, atol=1e-9)


def test_switching_and_duration(model: dosift.InterventionMixture) -> None:
    in_time = model.fitted_.in_time
    assert in_time is not None
    rate, lasts = in_time.switching(0.95), in_time.lasts(0.95)
    assert rate.low <= 1 / 60 <= rate.high
    assert rate.low < rate.value < rate.high
    weights = model.weights_
    assert lasts.value == pytest.approx(1.0 / in_time.fit.rate / (1.0 - weights @ weights))
    assert lasts.low < lasts.value < lasts.high


def test_rows_and_stretches_are_right(model: dosift.InterventionMixture, drawn: Series) -> None:
    table = model.timeline_
    assert table is not None
    assert table["rows"].sum() == 4000
    assert table["unit"].null_count() == len(table)
    named = np.repeat(table["target"].to_numpy(), table["rows"].to_numpy())
    in_time = model.fitted_.in_time
    assert in_time is not None
    own = np.array([str(t) for t in model.targets_])[in_time.posterior.argmax(axis=1)]
    # Without time a row says little.
    alone = np.asarray(model.predict(drawn.rows.drop("tick")))
    assert (own == drawn.target).mean() > 0.93 > (alone == drawn.target).mean() + 0.1
    assert (named == drawn.target).mean() > 0.92
    for line in table.to_dicts():
        assert line["start_low"] <= line["start_high"] <= line["end"]
        assert line["start"] <= line["end_low"] <= line["end_high"]
        assert 0.0 < line["probability"] <= 1.0
        assert line["rows"] == line["end"] - line["start"] + 1


def test_order_units_of_time_and_names_do_not_matter(
    model: dosift.InterventionMixture, drawn: Series
) -> None:
    shuffled = drawn.rows.sample(fraction=1.0, shuffle=True, seed=3)
    when = pl.from_epoch(shuffled["tick"] * 60).alias("when")
    other = dosift.InterventionMixture(NETWORK).fit(
        shuffled.drop("tick").with_columns(when), time="when"
    )
    np.testing.assert_allclose(other.weights_, model.weights_, rtol=1e-6)
    assert other.log_likelihood_ == pytest.approx(model.log_likelihood_)
    assert other.timeline_ is not None
    assert model.timeline_ is not None
    assert other.timeline_["target"].to_list() == model.timeline_["target"].to_list()
    assert other.timeline_["start"].dtype == pl.Datetime("us")
    one, two = model.fitted_.in_time, other.fitted_.in_time
    assert one is not None
    assert two is not None
    assert two.lasts(0.9).value == pytest.approx(60.0 * one.lasts(0.9).value)
    np.testing.assert_allclose(two.posterior, one.posterior[shuffled["tick"].to_numpy()], atol=1e-6)


@pytest.mark.filterwarnings("ignore::dosift.errors.UnitsWarning")  # of rows without their times
def test_other_rows_are_judged_by_the_same_chain(
    model: dosift.InterventionMixture, drawn: Series
) -> None:
    in_time = model.fitted_.in_time
    assert in_time is not None
    same = model.predict_proba(drawn.rows, time="tick")
    np.testing.assert_allclose(same, in_time.posterior, atol=1e-9)
    # Every second row, so that two steps of the fit lie between them.
    other = series(8, 4000, 60.0)
    few = other.rows.gather_every(2)
    named = np.asarray(model.predict(few, time="tick"))
    assert (named == other.target[::2]).mean() > 0.9
    spread = few.with_columns(pl.col("tick") * 1000)
    loose = np.asarray(model.predict(spread, time="tick"))
    alone = np.asarray(model.predict(few.drop("tick")))
    assert (loose == alone).mean() > 0.99
    plain = dosift.InterventionMixture(NETWORK).fit(drawn.rows.drop("tick").head(300))
    with pytest.raises(InputError, match="fitted without time"):
        plain.predict(few, time="tick")


def test_each_unit_is_a_series(drawn: Series) -> None:
    machine = np.where(np.arange(4000) < 1500, "b", "a")
    again = np.where(np.arange(4000) < 1500, np.arange(4000), np.arange(4000) - 1500)
    rows = drawn.rows.with_columns(pl.Series("tick", again), pl.Series("machine", machine))
    found = dosift.InterventionMixture(NETWORK).fit(rows, time="tick", unit="machine")
    table = found.timeline_
    assert table is not None
    assert table["unit"].unique().sort().to_list() == ["a", "b"]
    assert table.filter(unit="b")["end"].max() == 1499
    assert table.filter(unit="a")["end"].max() == 2499
    # The same numbers as arrays beside the rows.
    other = dosift.InterventionMixture(NETWORK).fit(
        rows.drop("tick", "machine"), time=again, unit=machine
    )
    np.testing.assert_allclose(other.weights_, found.weights_)


def test_a_gap_ends_a_stretch() -> None:
    own = series(4, 1200, 100.0)
    late = own.rows.with_columns(
        pl.when(pl.col("tick") >= 600)
        .then(pl.col("tick") + 100_000)
        .otherwise("tick")
        .alias("tick")
    )
    model = dosift.InterventionMixture(NETWORK).fit(late, time="tick")
    table = model.timeline_
    assert table is not None
    crossing = table.filter((pl.col("start") < 600) & (pl.col("end") > 600))
    assert len(crossing) == 0
    assert (table["end"] == 599).any()


def test_rows_without_order_are_the_plain_mixture() -> None:
    """Where nothing holds, the rate goes to its bound and nothing is invented."""
    own = series(5, 1500, 1.0)
    model = dosift.InterventionMixture(NETWORK).fit(own.rows, time="tick")
    in_time = model.fitted_.in_time
    assert in_time is not None
    assert in_time.switching(0.95).high == 1.0
    assert in_time.switching(0.95).low > 0.2


def test_one_target_never_switches() -> None:
    own = series(6, 400, 50.0, truth=dosift.Mixture({dosift.do(pump="off"): 1.0}))
    model = dosift.InterventionMixture(NETWORK).fit(own.rows, time="tick")
    assert [str(target) for target in model.targets_] == ["do(pump=off)"]
    in_time = model.fitted_.in_time
    assert in_time is not None
    assert in_time.lasts(0.95).value == np.inf
    assert model.timeline_ is not None
    assert len(model.timeline_) == 1


def test_a_learned_network_and_missing_values_go_with_time(drawn: Series) -> None:
    control = dosift.simulate(NETWORK, dosift.Mixture({dosift.do(): 1.0}), 4000, random_state=9)
    edges = [("pump", "valve"), ("pump", "heat"), ("valve", "heat")]
    rng = np.random.default_rng(0)
    holes = drawn.rows.with_columns(
        pl.when(pl.Series(rng.random(4000) < 0.1)).then(None).otherwise("heat").alias("heat")
    )
    model = dosift.InterventionMixture().fit(
        holes, time="tick", control=control.with_columns(tick=pl.int_range(4000)), graph=edges,
        edges="fixed",
    )  # fmt: skip
    assert set(model.targets_) == set(TRUTH.targets)


@pytest.mark.long
def test_the_graph_is_learned_from_rows_in_time(drawn: Series) -> None:
    control = dosift.simulate(NETWORK, dosift.Mixture({dosift.do(): 1.0}), 4000, random_state=9)
    model = dosift.InterventionMixture().fit(drawn.rows, time="tick", control=control)
    assert set(model.targets_) == set(TRUTH.targets)
    assert model.graph_ is not None
    assert len(model.graph_) == 3


@pytest.mark.filterwarnings("ignore::dosift.errors.KindsWarning")
def test_changes_of_numbers_hold_and_switch() -> None:
    """Shifts of one standard deviation, which single rows hardly show."""
    rng = np.random.default_rng(1)

    def values(n_rows: int, by: tuple[float, float]) -> np.ndarray:
        a = rng.normal(size=n_rows)
        b = 0.8 * a + 0.6 * rng.normal(size=n_rows) + by[0]
        return np.column_stack([a, b, -0.5 * b + 0.7 * rng.normal(size=n_rows) + by[1]])

    changes = [(0.0, 0.0), (0.6, 0.0), (0.0, -0.7)]
    kinds = rng.choice(3, size=60, p=[0.5, 0.25, 0.25])
    rows = np.concatenate([values(50, changes[k]) for k in kinds])
    names = ["a", "b", "c"]
    table = pl.DataFrame(rows, schema=names).with_columns(t=pl.int_range(3000))
    model = dosift.InterventionMixture().fit(
        table, time="t", control=pl.DataFrame(values(2000, changes[0]), schema=names),
        graph=[("a", "b"), ("b", "c")], edges="fixed", kinds=dict.fromkeys(names, "continuous"),
    )  # fmt: skip
    lines = {line["target"].split("(")[0]: line for line in model.components_.to_dicts()}
    assert len(model.components_) == 3
    assert set(lines) == {"do", "shift"}
    in_time = model.fitted_.in_time
    assert in_time is not None
    assert model.timeline_ is not None
    set_by = {
        k: {i for i, t in enumerate(model.targets_) if n in str(t)}
        for k, n in ((1, "b+"), (2, "c-"))
    }
    best = in_time.posterior.argmax(axis=1)
    truth = np.repeat(kinds, 50)
    for k, own in set_by.items():
        assert np.isin(best[truth == k], list(own)).mean() > 0.9


def test_files_of_the_command(tmp_path: Path, drawn: Series) -> None:
    dosift.write_network(NETWORK, tmp_path / "net.bif")
    moments = pl.from_epoch(drawn.rows["tick"] * 10).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    rows = drawn.rows.with_columns(moments.alias("tick"), pl.lit("m1").alias("machine"))
    rows.sample(fraction=1.0, shuffle=True, seed=0).write_csv(tmp_path / "rows.csv")
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        [
            "fit", str(tmp_path / "net.bif"), str(tmp_path / "rows.csv"), "-o", str(out),
            "--time", "tick", "--unit", "machine", "--all-probabilities",
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Switching rate: " in done.output
    assert "An intervention lasts " in done.output
    table = pl.read_csv(out / "timeline.csv", try_parse_dates=True)
    assert table.columns[:5] == ["unit", "target", "start", "end", "probability"]
    assert table["unit"].unique().to_list() == ["m1"]
    assert not (out / "units.parquet").exists()
    each = pl.read_parquet(out / "rows.parquet")
    assert each.columns[:3] == ["unit", "target", "probability"]
    texts = [str(target) for target in TRUTH.targets]
    np.testing.assert_allclose(each.select(texts).sum_horizontal(), 1.0)
    content = json.loads((out / "result.json").read_text())
    assert len(content["timeline"]["stretches"]) == len(table)
    assert content["timeline"]["lasts"]["low"] < content["timeline"]["lasts"]["high"]
    # Some fault sets the pump to either of its states: single rows identify nothing.
    assert content["identifiability"]["status"] == "unique"
    assert not content["identifiability"]["exclusion"]["holds"]
    page = (out / "report.html").read_text()
    assert "In time" in page
    assert page == render_report(content)


@pytest.mark.parametrize("option", [("--bootstrap", "parametric"), ("--held-out", "2")])
def test_the_command_refuses_resamples_before_it_fits(
    option: tuple[str, str], tmp_path: Path, drawn: Series
) -> None:
    dosift.write_network(NETWORK, tmp_path / "net.bif")
    drawn.rows.head(50).write_csv(tmp_path / "rows.csv")
    files = [str(tmp_path / name) for name in ("net.bif", "rows.csv")]
    done = CliRunner().invoke(
        app, ["fit", *files, "-o", str(tmp_path / "out"), "--time", "tick", *option]
    )
    assert "rows of a series cannot be" in str(done.exception)
    assert "screening" not in done.output


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"time": "tock"}, "no column 'tock'"),
        ({"time": [1, 2]}, r"2 value\(s\) for 4000 row"),
        ({"time": np.zeros(4000)}, "is the same in all rows"),
        ({"time": [*range(3999), None]}, "data row 4000 is empty"),
        ({"time": "tick", "sample_weight": np.ones(4000)}, "cannot be combined"),
        ({"time": "tick", "unit": [None, *["a"] * 3999]}, "unit is empty in data row 1"),
    ],
)
def test_what_is_wrong_is_said(drawn: Series, given: dict[str, Any], words: str) -> None:
    rows = drawn.rows if isinstance(given["time"], str) else drawn.rows.drop("tick")
    with pytest.raises(InputError, match=words):
        dosift.InterventionMixture(NETWORK).fit(rows, **given)


@pytest.mark.filterwarnings("ignore::dosift.errors.UnitsWarning")  # of rows without their times
def test_the_picture(model: dosift.InterventionMixture, drawn: Series) -> None:
    pytest.importorskip("matplotlib")
    import dosift.plot

    ax = dosift.plot.timeline(model)
    assert ax.get_xlim() == (0.0, 3999.0)
    assert model.timeline_ is not None
    assert len(ax.patches) == (model.timeline_["target"] != "do()").sum()
    with pytest.raises(NotFittedError):
        dosift.plot.timeline(dosift.InterventionMixture(NETWORK))
    plain = dosift.InterventionMixture(NETWORK).fit(drawn.rows.drop("tick").head(300))
    with pytest.raises(InputError, match="without time"):
        dosift.plot.timeline(plain)


@pytest.mark.slow
def test_over_many_series() -> None:
    """Targets, rows, rate, weights and onsets of twelve series, as often right as they say."""
    found, right, rates, inside, onsets, said = [], [], [], [], [], []
    for seed in range(12):
        own = series(100 + seed, 6000, 60.0)
        model = dosift.InterventionMixture(NETWORK, random_state=0).fit(own.rows, time="tick")
        found.append(set(model.targets_) == set(TRUTH.targets))
        in_time = model.fitted_.in_time
        assert in_time is not None
        assert model.timeline_ is not None
        texts = np.array([str(target) for target in model.targets_])
        right.append((texts[in_time.posterior.argmax(axis=1)] == own.target).mean())
        rate = in_time.switching(0.95)
        rates.append(rate.low <= 1 / 60 <= rate.high)
        inside += [
            line["ci_low"] <= TRUTH[target] <= line["ci_high"]
            for target, line in zip(model.targets_, model.components_.to_dicts(), strict=True)
            if target in TRUTH
        ]
        begins = np.flatnonzero(np.append(True, own.target[1:] != own.target[:-1]))
        for line in model.timeline_.to_dicts():
            rows = np.arange(line["start"], line["end"] + 1)
            rows = rows[own.target[rows] == line["target"]]
            if rows.size:
                runs, sizes = np.unique(
                    np.searchsorted(begins, rows, side="right") - 1, return_counts=True
                )
                onset = begins[runs[sizes.argmax()]]
                onsets.append(line["start_low"] <= onset <= line["start_high"])
                said.append(line["start_probability"])
    assert np.mean(found) >= 11 / 12
    assert np.mean(right) > 0.93
    assert sum(rates) >= 10
    assert np.mean(inside) >= 0.85
    assert len(onsets) > 500
    assert abs(np.mean(onsets) - np.mean(said)) < 0.03
