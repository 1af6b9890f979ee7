"""Thresholds: where they lie, that they are the control's, and what they do to odd columns."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import dosift
from dosift.data.columns_to_cut import columns_to_cut
from dosift.data.cuts_file import read_cuts, write_cuts
from dosift.data.discretize import discretize
from dosift.data.discretizer import METHODS, Discretizer
from dosift.data.measurements import as_measurements
from dosift.data.thresholds import codes_of, place
from dosift.errors import (
    DiscretizationWarning,
    ExtraColumnsWarning,
    InputError,
    NotFittedError,
)


@pytest.fixture(scope="module")
def counts() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {"g1": rng.negative_binomial(2, 0.1, 2000), "g2": rng.poisson(0.3, 2000).astype(float)}
    )


def test_quantiles_share_rows_evenly() -> None:
    values = np.random.default_rng(0).normal(size=3000)
    cut = Discretizer(3, method="quantile").fit(values[:, None])
    assert cut.counts_["x0"].tolist() == [1000, 1000, 1000]
    expected = np.quantile(values, [1 / 3, 2 / 3])
    np.testing.assert_allclose(cut.thresholds_["x0"], expected, atol=2e-3)


def test_kmeans_separates_two_clouds_of_unequal_size() -> None:
    rng = np.random.default_rng(0)
    values = np.expm1(np.concatenate([rng.normal(1, 0.1, 900), rng.normal(4, 0.1, 100)]))
    cut = Discretizer(2, method="kmeans", log=True).fit({"g": values})
    assert cut.counts_["g"].tolist() == [900, 100]
    assert np.log1p(cut.thresholds_["g"][0]) == pytest.approx(2.5, abs=0.05)


def test_uniform_divides_the_range() -> None:
    cut = Discretizer(4, method="uniform").fit({"a": [0.0, 1.0, 2.0, 3.0, 4.0, 4.0]})
    assert cut.thresholds_["a"].tolist() == [1.0, 2.0, 3.0]
    assert cut.states_["a"] == ("lowest", "low", "high", "highest")


def test_thresholds_are_the_controls_and_values_at_them_belong_above() -> None:
    rows, control, cut = discretize(
        {"a": [2.5, 2.4, 100.0, -100.0]},
        {"a": [1.0, 2, 3, 4]},
        n_states=2,
        method="quantile",
    )
    assert cut.thresholds_["a"].tolist() == [2.5]
    assert rows["a"].to_list() == ["high", "low", "high", "low"]
    assert control["a"].to_list() == ["low", "low", "high", "high"]


def test_many_zeros_get_fewer_states_and_it_is_said(counts: pl.DataFrame) -> None:
    with pytest.warns(DiscretizationWarning, match=r"'g2' \(2\).*zero_state=True"):
        cut = Discretizer(3, method="quantile").fit(counts)
    assert cut.states_ == {"g1": ("low", "mid", "high"), "g2": ("low", "high")}
    assert cut.counts_["g2"][0] == (counts["g2"] == 0).sum()


def test_zero_as_a_state_of_its_own(counts: pl.DataFrame) -> None:
    cut = Discretizer(3, method="quantile", zero_state=True).fit(counts)
    assert cut.states_["g2"] == ("zero", "low", "high")
    states = cut.transform(counts)
    assert ((states["g2"] == "zero") == (counts["g2"] == 0)).all()
    assert cut.counts_["g1"][1:].max() < 0.6 * cut.counts_["g1"][1:].sum()
    with pytest.warns(DiscretizationWarning):
        two = Discretizer(3, zero_state=True).fit({"a": [0, 0, 5]})
    assert two.states_["a"] == ("zero", "positive")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("log", [False, True])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    values=st.lists(st.integers(0, 30) | st.floats(0, 1e300), min_size=2, max_size=40).filter(
        lambda v: len(set(v)) > 1
    ),
    n_states=st.integers(2, 6),
    zero_state=st.booleans(),
)
def test_no_state_is_empty_and_order_is_kept(
    method: Any, log: bool, values: list[float], n_states: int, zero_state: bool
) -> None:
    if method == "kmeans":
        values = [min(v, 1e6) for v in values]
        if len(set(values)) < 2:
            return
    array = np.array(values, dtype=np.float64)[:, None]
    cut = Discretizer(n_states, method=method, log=log, zero_state=zero_state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscretizationWarning)
        codes = cut.fit_transform(array)
    assert 2 <= len(cut.states_["x0"]) <= n_states
    assert cut.counts_["x0"].min() > 0
    assert cut.counts_["x0"].sum() == len(values)
    order = np.argsort(array[:, 0], kind="stable")
    assert (np.diff(codes[order, 0]) >= 0).all()


def test_missing_values_stay_missing() -> None:
    frame = pl.DataFrame({"a": [1.0, None, float("nan"), 2.0]})
    cut = Discretizer(2).fit(frame)
    assert cut.transform(frame)["a"].to_list() == ["low", None, None, "high"]
    assert cut.counts_["a"].tolist() == [1, 1]
    assert cut.transform(np.array([[np.nan], [3.0]])).tolist() == [[-1], [1]]
    pandas = cut.transform(pd.DataFrame({"a": [np.nan, 0.0]}, index=["x", "y"]))
    assert pandas.index.tolist() == ["x", "y"]
    assert pandas["a"].isna().tolist() == [True, False]
    assert pandas["a"].cat.categories.tolist() == ["low", "high"]


def test_every_library_gives_the_same_states(counts: pl.DataFrame, tmp_path: Path) -> None:
    cut = Discretizer(3, zero_state=True).fit(counts)
    expected = cut.transform(counts)
    path = tmp_path / "counts.csv"
    counts.write_csv(path)
    assert cut.transform(path).equals(expected)
    assert isinstance(cut.transform(counts.to_arrow()), pa.Table)
    assert pl.from_arrow(cut.transform(counts.to_arrow())).equals(expected)
    as_pandas = cut.transform(counts.to_pandas())
    assert as_pandas["g1"].astype(str).tolist() == expected["g1"].to_list()
    swapped = cut.transform(counts.select("g2", "g1").lazy())
    assert swapped.equals(expected)
    array = Discretizer(3, zero_state=True).fit(counts.to_numpy()).transform(counts.to_numpy())
    names = np.array(cut.states_["g1"], dtype=object)
    assert names[array[:, 0]].tolist() == expected["g1"].to_list()


def test_summary_lists_every_state(counts: pl.DataFrame) -> None:
    table = Discretizer(2).fit(counts).summary()
    assert table.columns == ["variable", "state", "from", "to", "rows"]
    assert table["rows"].sum() == 2 * counts.height
    assert table["from"][0] == -np.inf
    assert table["to"][0] == table["from"][1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": [1.0, 1.0]}, "'a' holds the one value 1 in all rows"),
        ({"a": [None, None], "b": [1, 2]}, "'a' holds values of type Unknown|'a' has no value"),
        ({"a": [float("nan")] * 2}, "'a' has no value that is not missing"),
        ({"a": [1.0, float("inf")]}, "'a' holds infinity in row 2"),
        ({"a": ["1", "x"]}, "'a' does not hold numbers.*'x'"),
        ({"a": [True, False]}, "'a' holds values of type Boolean"),
        ({"a": [1.0]}, "1 sample"),
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((0, 2)), "0 sample"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a'"),
        (3, "shape"),
    ],
)
def test_useless_tables_are_refused(data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Discretizer().fit(data)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_states": 1},
        {"n_states": 2.5},
        {"n_states": True},
        {"n_states": "3"},
        {"method": "median"},
        {"log": 1},
        {"labels": "letters"},
        {"zero_state": None},
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any]) -> None:
    name = next(iter(parameters))
    with pytest.raises(InputError, match=f"{name} is "):
        Discretizer(**parameters).fit({"a": [1.0, 2.0]})


def test_counts_must_not_be_negative() -> None:
    for option in ("log", "zero_state"):
        with pytest.raises(InputError, match="'a' holds -1, which is negative"):
            Discretizer(**{option: True}).fit({"a": [-1.0, 2.0]})


def test_transform_needs_the_fitted_columns() -> None:
    with pytest.raises(NotFittedError):
        Discretizer().transform({"a": [1.0]})
    cut = Discretizer(2).fit({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    with pytest.raises(InputError, match="'b', for which thresholds were learned, is missing"):
        cut.transform({"a": [1.0]})
    with pytest.raises(InputError, match="1 features, but Discretizer is expecting 2"):
        cut.transform(np.zeros((1, 1)))
    with pytest.raises(InputError, match="'b' of the control rows is missing in the rows"):
        Discretizer(2).fit({"a": [1.0, 2.0], "b": [1.0, 2.0]}, rows={"a": [1.0]})
    with pytest.warns(ExtraColumnsWarning, match="'c'"):
        cut.transform({"a": [1.0], "b": [1.0], "c": [1.0]})


def test_copies_and_pickles(counts: pl.DataFrame) -> None:
    cut = Discretizer(2, method="kmeans", log=True)
    assert repr(cut) == "Discretizer(n_states=2, method='kmeans', log=True)"
    assert clone(cut).get_params() == cut.get_params()
    again = pickle.loads(pickle.dumps(cut.fit(counts)))
    assert again.transform(counts).equals(cut.transform(counts))


def test_states_go_into_the_network() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    control = pl.DataFrame({"a": a, "b": a + rng.normal(size=500)})
    rows, states, cut = dosift.discretize(control.head(100), control)
    network = dosift.learn_network([("a", "b")], states, states=cut.states_)
    assert network.variables[0].states == cut.states_["a"]
    assert len(cut.states_["a"]) == 5
    assert dosift.InterventionMixture(network).fit(rows).n_rows_ == 100


def test_contrast_separates_what_rows_have_more_of() -> None:
    # A do at 2 standard deviations among ordinary values: its state holds most of its values and
    # few of the control rows', over 50 random problems.
    shares = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        control, ordinary = rng.normal(size=(2, 2000))
        hit = rng.normal(2 * (-1) ** seed, 0.2, 300)
        cut = place(control, 5, "contrast", None, np.concatenate([ordinary, hit]))
        own = np.bincount(codes_of(hit, cut), minlength=cut.size + 1)
        share = np.bincount(codes_of(control, cut), minlength=cut.size + 1)[own.argmax()] / 2000
        shares.append((own.max() / 300, share))
    of_do, of_control = np.array(shares).T
    assert of_do.mean() > 0.9
    assert of_do.min() > 0.6
    assert of_control.max() < 0.1


def test_contrast_takes_logs_of_skewed_columns_and_holds_outliers() -> None:
    rng = np.random.default_rng(0)
    latency = rng.lognormal(3, 1, 4000)
    levels = np.diff(np.log(place(latency, 5, "contrast")))
    np.testing.assert_allclose(levels, levels[::-1], rtol=0.15)
    normal = rng.normal(size=4000)
    plain = place(normal, 5, "contrast")
    np.testing.assert_allclose(place(np.append(normal, 1e9), 5, "contrast"), plain, atol=0.05)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_contrast_does_not_depend_on_the_unit(unit: float) -> None:
    rng = np.random.default_rng(1)
    control, rows = rng.lognormal(size=(2, 1000))
    rows[:100] = 20
    expected = place(control, 5, "contrast", None, rows)
    np.testing.assert_allclose(
        place(unit * control, 5, "contrast", None, unit * rows), unit * expected, rtol=1e-6
    )


def test_rows_may_hold_states_that_control_rows_lack_and_missing_values() -> None:
    rows, control, cut = discretize(
        {"a": [100.0, 101.0, None, 1.0], "b": [0.0, 5.0, 5.0, 5.0]},
        {"b": [0.0, 0.0, 0.0, 0.0], "a": [1.0, 2.0, 3.0, 2.0]},
        n_states=2,
    )
    assert rows["b"].to_list() == ["low", "high", "high", "high"]
    assert cut.counts_["b"].tolist() == [4, 0]
    assert rows["a"].to_list()[2] is None
    assert rows.columns == control.columns == ["b", "a"]


def test_without_control_rows() -> None:
    rows, control, cut = discretize({"a": [1.0, 1.1, 9.0, 9.1]}, n_states=2)
    assert control is None
    assert rows["a"].to_list() == ["low", "low", "high", "high"]
    assert Discretizer(2).fit({"a": [1.0, 1.1, 9.0, 9.1]}).thresholds_["a"] == cut.thresholds_["a"]


def test_the_base_install_is_enough() -> None:
    """Every method works where only what dosift requires can be imported."""
    code = (
        "import sys\n"
        "for name in ('sklearn', 'matplotlib', 'pandas', 'pyarrow', 'networkx', 'pgmpy',\n"
        "        'pyagrum', 'anndata', 'duckdb'):\n"
        "    sys.modules[name] = None  # importing it raises ImportError\n"
        "import dosift\n"
        "for method in ('contrast', 'quantile', 'kmeans', 'uniform'):\n"
        "    rows, control, cut = dosift.discretize(\n"
        "        {'a': [9.0, 2.0, 1.0]}, {'a': [1.0, 2.0, 3.0]}, n_states=2, method=method)\n"
        "    assert rows['a'].to_list()[0] == 'high', method\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_cuts_survive_a_file(counts: pl.DataFrame, tmp_path: Path) -> None:
    cut = Discretizer(4, method="kmeans", zero_state=True, labels="numbers").fit(counts)
    write_cuts(cut, tmp_path / "cuts.json")
    again = read_cuts(tmp_path / "cuts.json")
    assert again.get_params() == cut.get_params()
    assert again.transform(counts).equals(cut.transform(counts))
    assert again.summary().equals(cut.summary())
    with pytest.raises(NotFittedError):
        write_cuts(Discretizer(), tmp_path / "none.json")
    with pytest.raises(InputError, match="exists"):
        write_cuts(cut, tmp_path / "cuts.json", replace=False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"dosift cuts"', '"other"', "holds no thresholds"),
        ('"version": 1', '"version": 2', "version 2"),
        ('"thresholds"', '"cuts"', "not ascending numbers"),
        ("0.25", "NaN", "not ascending numbers"),
        ('"low"', '"high"', "2 states with different names"),
        ('"low"', '""', "2 states with different names"),
        ('"method"', '"way"', "no parameter 'way'"),
        ('"rows"', '"n"', "2 counts"),
        ("{", "", "is not JSON"),
        ('"columns"', '"column"', "lacks 'columns'"),
    ],
)
def test_damaged_cuts_are_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "cuts.json"
    write_cuts(Discretizer(2).fit({"a": [0.1, 0.4]}), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=words) as error:
        read_cuts(path)
    assert str(error.value).startswith(str(path))


def test_columns_that_are_states_already_are_not_measurements() -> None:
    frame = pl.DataFrame(
        {
            "cell": [f"c{i}" for i in range(30)],
            "level": [str(i % 3) for i in range(30)],
            "count": list(range(30)),
            "value": ["", *(f"{i}.5" for i in range(29))],
            "flag": [True, False] * 15,
            "constant": [2.5] * 30,
            "mixed": ["x", *map(str, range(29))],
            "few": [float(i % 20) for i in range(30)],
        }
    )
    assert columns_to_cut([(frame, None)]) == ["count", "value"]
    assert columns_to_cut([(frame, None)], ["level", "few"]) == ["level", "few"]
    more = pl.DataFrame({"few": [0.5], "value": [1.0]})
    with pytest.warns(DiscretizationWarning, match="'count'"):
        assert columns_to_cut([(frame, None), (more, None)]) == ["value", "few"]
    with pytest.raises(InputError, match="no column holds measurements"):
        columns_to_cut([(frame.select("cell", "level"), None)])
    with pytest.raises(InputError, match="no column 'other' to cut"):
        columns_to_cut([(frame, None)], ["other"])
    with pytest.raises(InputError, match="twice"):
        columns_to_cut([(frame, None)], ["few", "few"])


def test_names_that_are_alike_as_texts_are_refused() -> None:
    table = pd.DataFrame(np.ones((3, 3)), columns=pd.Index(["c", 1, "1"], dtype=object))
    with pytest.raises(InputError, match="column '1' stands there twice"):
        as_measurements(table)
