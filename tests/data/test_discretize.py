"""Thresholds: where they lie, that they are the control's, and what they do to odd columns."""

from __future__ import annotations

import pickle
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
from dosift.data.discretize import discretize
from dosift.data.discretizer import METHODS, Discretizer
from dosift.errors import (
    DiscretizationWarning,
    ExtraColumnsWarning,
    InputError,
    MissingDependencyError,
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
    cut = Discretizer(3).fit(values[:, None])
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
        {"a": [2.5, 2.4, 100.0, -100.0]}, {"a": [1.0, 2, 3, 4]}, n_states=2
    )
    assert cut.thresholds_["a"].tolist() == [2.5]
    assert rows["a"].to_list() == ["high", "low", "high", "low"]
    assert control["a"].to_list() == ["low", "low", "high", "high"]


def test_many_zeros_get_fewer_states_and_it_is_said(counts: pl.DataFrame) -> None:
    with pytest.warns(DiscretizationWarning, match=r"'g2' \(2\).*zero_state=True"):
        cut = Discretizer(3).fit(counts)
    assert cut.states_ == {"g1": ("low", "mid", "high"), "g2": ("low", "high")}
    assert cut.counts_["g2"][0] == (counts["g2"] == 0).sum()


def test_zero_as_a_state_of_its_own(counts: pl.DataFrame) -> None:
    cut = Discretizer(3, zero_state=True).fit(counts)
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
    with pytest.warns(ExtraColumnsWarning, match="'c'"):
        cut.transform({"a": [1.0], "b": [1.0], "c": [1.0]})


def test_copies_and_pickles(counts: pl.DataFrame) -> None:
    cut = Discretizer(2, method="kmeans", log=True)
    assert repr(cut) == "Discretizer(n_states=2, method='kmeans', log=True)"
    assert clone(cut).get_params() == cut.get_params()
    again = pickle.loads(pickle.dumps(cut.fit(counts)))
    assert again.transform(counts).equals(cut.transform(counts))


def test_kmeans_without_scikit_learn_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.preprocessing", None)
    with pytest.raises(MissingDependencyError, match=r"dosift\[sklearn\]"):
        Discretizer(2, method="kmeans").fit({"a": [1.0, 2.0]})


def test_states_go_into_the_network() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=500)
    control = pl.DataFrame({"a": a, "b": a + rng.normal(size=500)})
    rows, states, cut = dosift.discretize(control.head(100), control)
    network = dosift.learn_network([("a", "b")], states, states=cut.states_)
    assert network.variables[0].states == ("low", "mid", "high")
    assert dosift.InterventionMixture(network).fit(rows).n_rows_ == 100
