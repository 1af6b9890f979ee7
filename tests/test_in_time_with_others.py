"""Rows in order of time, with what else may be known of them: labels, batches, weights, targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.cli.app import app
from dosift.errors import InputError
from dosift.results.folder import read_result
from test_in_time_end_to_end import NETWORK, TRUTH, Series, series

pytestmark = pytest.mark.filterwarnings("ignore::dosift.errors.ExtraColumnsWarning")

OTHER = dosift.Mixture({dosift.do(): 0.2, dosift.do(pump="off"): 0.5, dosift.do(pump="on"): 0.3})


@pytest.fixture(scope="module")
def drawn() -> Series:
    return series(0, 3000, 60.0)


def share_right(model: dosift.InterventionMixture, target: np.ndarray) -> float:
    in_time = model.fitted_.in_time
    assert in_time is not None
    texts = np.array([str(one) for one in model.targets_])
    return float((texts[in_time.posterior.argmax(axis=1)] == target).mean())


def test_labelled_rows_have_their_target_and_help_their_neighbours(drawn: Series) -> None:
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(3000) < 0.1, drawn.target, "")
    told = labels != ""
    plain = dosift.InterventionMixture(NETWORK).fit(drawn.rows, time="tick")
    model = dosift.InterventionMixture(NETWORK).fit(drawn.rows, time="tick", labels=labels)
    in_time = model.fitted_.in_time
    assert in_time is not None
    texts = np.array([str(one) for one in model.targets_])
    assert (texts[in_time.posterior[told].argmax(axis=1)] == labels[told]).all()
    np.testing.assert_allclose(in_time.posterior[told].max(axis=1), 1.0)
    assert share_right(model, drawn.target) >= share_right(plain, drawn.target)
    assert model.n_rows_ == 3000
    # A row is where it is in the series, however it came by its label.
    random = dosift.InterventionMixture(NETWORK).fit(
        drawn.rows, time="tick", labels=labels, random_labels=True
    )
    np.testing.assert_allclose(random.weights_, model.weights_)


def test_a_label_against_the_rows_carries_its_stretch(drawn: Series) -> None:
    """Who labels a row wrongly is believed, for this row and those that hang on it."""
    quiet = np.flatnonzero(drawn.target == "do()")
    labels = np.full(3000, "", dtype=object)
    labels[quiet[5]] = "do(heat=mid)"
    rows = drawn.rows.with_columns(
        heat=pl.when(pl.int_range(3000) == quiet[5]).then(pl.lit("mid")).otherwise("heat")
    )
    model = dosift.InterventionMixture(NETWORK).fit(rows, time="tick", labels=labels)
    in_time = model.fitted_.in_time
    assert in_time is not None
    k = [str(one) for one in model.targets_].index("do(heat=mid)")
    assert in_time.posterior[quiet[5], k] == pytest.approx(1.0)
    assert 0.0 < model.weights_[k] < 0.1


def test_required_targets_stay_and_are_said_to_be_rare(drawn: Series) -> None:
    known = dosift.PriorKnowledge(required=[dosift.do(heat="low"), dosift.do(pump="on")])
    model = dosift.InterventionMixture(NETWORK, prior_knowledge=known).fit(drawn.rows, time="tick")
    assert {*TRUTH.targets, dosift.do(heat="low")} == set(model.targets_)
    line = next(x for x in model.components_.to_dicts() if x["target"] == "do(heat=low)")
    assert line["weight"] < 1e-6
    # Some fifty draws, none of which was this one: at most about 3 / 50.
    assert 0.005 < line["std_error"] < 0.05
    assert 0.01 < line["ci_high"] < 0.15
    assert model.components_["ci_high"].drop_nulls().max() < 0.8


def test_known_weights_are_kept_and_the_others_share_the_rest(drawn: Series) -> None:
    known = dosift.PriorKnowledge(known_weights=[(dosift.do(), 0.4)])
    model = dosift.InterventionMixture(NETWORK, prior_knowledge=known).fit(drawn.rows, time="tick")
    weights = dict(zip(model.targets_, model.weights_.tolist(), strict=True))
    assert weights[dosift.do()] == 0.4
    assert sum(weights.values()) == pytest.approx(1.0)
    assert set(weights) == set(TRUTH.targets)
    lines = {line["target"]: line for line in model.components_.to_dicts()}
    assert lines["do()"]["std_error"] is None
    assert lines["do(pump=off)"]["std_error"] > 0.02
    every = dosift.PriorKnowledge(known_weights=list(TRUTH.items()))
    whole = dosift.InterventionMixture(NETWORK, prior_knowledge=every).fit(drawn.rows, time="tick")
    assert dict(zip(whole.targets_, whole.weights_.tolist(), strict=True)) == dict(TRUTH.items())
    assert whole.components_["std_error"].is_null().all()
    assert share_right(whole, drawn.target) > 0.97


def two_machines(seed: int, n_rows: int) -> tuple[pl.DataFrame, np.ndarray]:
    one = series(seed, n_rows, 60.0)
    two = series(seed + 50, n_rows, 60.0, truth=OTHER)
    rows = pl.concat(
        [one.rows.with_columns(machine=pl.lit("a")), two.rows.with_columns(machine=pl.lit("b"))]
    )
    return rows, np.concatenate([one.target, two.target])


def test_each_batch_is_a_series_with_shares_of_its_own() -> None:
    rows, target = two_machines(10, 3000)
    model = dosift.InterventionMixture(NETWORK).fit(rows, time="tick", batch="machine")
    assert set(model.targets_) == set(TRUTH.targets)
    table = model.batches_
    assert table is not None
    by_batch = table.partition_by("batch", as_dict=True)
    for name, truth in (("a", TRUTH), ("b", OTHER)):
        own = by_batch[(name,)]
        assert set(own["target"]) == {str(one) for one in truth}
        assert own["weight"].sum() == pytest.approx(1.0)
        assert own["rows"].sum() == pytest.approx(3000)
        assert (own["probability"] > 0.9).all()
        assert (own["std_error"] > 0.02).all()
    assert share_right(model, target) > 0.97
    again = np.asarray(model.predict(rows, time="tick", batch="machine"))
    assert (again == target).mean() > 0.97
    timeline = model.timeline_
    assert timeline is not None
    assert timeline.group_by("batch").agg(pl.col("rows").sum())["rows"].to_list() == [3000, 3000]
    # Rows in any order are the same series.
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    other = dosift.InterventionMixture(NETWORK).fit(shuffled, time="tick", batch="machine")
    np.testing.assert_allclose(other.weights_, model.weights_, rtol=1e-6)
    assert other.timeline_ is not None
    assert other.timeline_.equals(timeline)


def test_windows_of_time_as_batches_show_shares_that_drift() -> None:
    early, late = series(3, 2500, 50.0), series(4, 2500, 50.0, truth=OTHER)
    rows = pl.concat([early.rows, late.rows.with_columns(pl.col("tick") + 2500)])
    window = np.repeat(["1", "2"], 2500)
    model = dosift.InterventionMixture(NETWORK).fit(rows, time="tick", batch=window)
    table = model.batches_
    assert table is not None
    weights = {(b, t): w for b, t, w in table.select("batch", "target", "weight").iter_rows()}
    assert ("2", "do(heat=high, valve=shut)") not in weights
    assert weights["1", "do(heat=high, valve=shut)"] > 0.1
    assert weights["2", "do(pump=off)"] > weights["1", "do(pump=off)"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes of two machines, with a file of new rows beside it."""
    out = tmp_path_factory.mktemp("timed")
    dosift.write_network(NETWORK, out / "net.bif")
    two_machines(10, 1500)[0].write_csv(out / "rows.csv")
    two_machines(77, 800)[0].write_csv(out / "new.csv")
    beside = ["--time", "tick", "--batch", "machine", "--quiet"]
    assert run("fit", out / "net.bif", out / "rows.csv", "-o", out / "result", *beside) == 0
    return out


def run(*arguments: object) -> int:
    status: int = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return status


@pytest.mark.long
def test_new_rows_are_judged_in_time_by_a_folder(folder: Path) -> None:
    rows, target = two_machines(77, 800)
    model = dosift.InterventionMixture(NETWORK).fit(
        two_machines(10, 1500)[0], time="tick", batch="machine"
    )
    right = {}
    for name, given in (
        ("batch", {"time": "tick", "batch": "machine"}),
        ("unit", {"time": "tick", "unit": "machine"}),
        ("alone", {}),
    ):
        options = [part for role, column in given.items() for part in (f"--{role}", column)]
        table_path = folder / f"{name}.csv"
        assert run("assign", folder / "result", folder / "new.csv", "-o", table_path, "-q",
                   *options) == 0  # fmt: skip
        table = pl.read_csv(table_path)
        assert (table["target"].to_numpy() == model.predict(rows, **given)).all()
        expected = model.predict_proba(rows, **given).max(axis=1)
        np.testing.assert_allclose(table["probability"], expected, atol=1e-9)
        right[name] = (table["target"].to_numpy() == target).mean()
    assert min(right["batch"], right["unit"]) > 0.95 > right["alone"] + 0.1
    content = read_result(folder / "result").content
    assert content["timeline"]["rate"] == pytest.approx(model.fitted_.in_time.rate)


def test_times_of_another_kind_are_refused(folder: Path) -> None:
    late = pl.read_csv(folder / "new.csv").with_columns(pl.from_epoch(pl.col("tick") * 60))
    late.write_csv(folder / "late.csv")
    with pytest.raises(InputError, match="holds dates or timestamps, and the mixture was fitted"):
        run("assign", folder / "result", folder / "late.csv", "-o", folder / "no.csv", "--time",
            "tick", "-q")  # fmt: skip
    assert not (folder / "no.csv").exists()


def test_cells_in_time(drawn: Series) -> None:
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    names = ["pump", "valve", "heat"]
    states = {v.name: v.states for v in NETWORK.variables}
    matrix = np.column_stack(
        [[states[name].index(value) for value in drawn.rows[name]] for name in names]
    )
    moments = pandas.to_datetime(drawn.rows["tick"].to_numpy() * 60, unit="s")
    cells = anndata.AnnData(
        matrix.astype(np.float32),
        obs=pandas.DataFrame({"when": moments}, index=[f"c{k}" for k in range(3000)]),
        var=pandas.DataFrame(index=names),
    )
    model = dosift.fit_anndata(cells, NETWORK, time="when")
    plain = dosift.InterventionMixture(NETWORK).fit(drawn.rows, time="tick")
    np.testing.assert_allclose(model.weights_, plain.weights_)
    assert (cells.obs["dosift_target"].to_numpy() == drawn.target).mean() > 0.97
    np.testing.assert_allclose(cells.obsm["dosift_probabilities"].sum(axis=1), 1.0)
    assert len(cells.uns["dosift"]["timeline"]) == len(plain.timeline_)
    cells.obs.loc["c7", "when"] = pandas.NaT
    with pytest.raises(InputError, match="missing for the cell 'c7'"):
        dosift.fit_anndata(cells, NETWORK, time="when")


@pytest.mark.slow
def test_batches_over_many_series() -> None:
    """Targets of each machine, and intervals of their shares, over ten pairs of machines."""
    found, inside = [], []
    for seed in range(10):
        rows, _ = two_machines(200 + seed, 4000)
        model = dosift.InterventionMixture(NETWORK).fit(rows, time="tick", batch="machine")
        table = model.batches_
        assert table is not None
        for name, truth in (("a", TRUTH), ("b", OTHER)):
            own = table.filter(pl.col("batch") == name)
            texts = {str(one): weight for one, weight in truth.items()}
            found.append(set(own["target"]) == set(texts))
            inside += [
                line["ci_low"] <= texts[line["target"]] <= line["ci_high"]
                for line in own.to_dicts()
                if line["target"] in texts
            ]
    assert np.mean(found) >= 0.9
    assert np.mean(inside) >= 0.85
