from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dosift.errors import ExtraColumnsWarning, InputError
from dosift.learning.learn import learn_network
from dosift.learning.tables import counts_of
from dosift.model import Network

EDGES = [("x", "y")]


def test_counts_agree_with_a_loop() -> None:
    rng = np.random.default_rng(1)
    cards, parents = [2, 3, 4], [[], [0], [1, 0]]
    codes = np.stack([rng.integers(c, size=200) for c in cards], axis=1)
    weights = rng.random(200)
    expected = [np.zeros((1, 2)), np.zeros((2, 3)), np.zeros((6, 4))]
    for (a, b, c), w in zip(codes, weights, strict=True):
        expected[0][0, a] += w
        expected[1][a, b] += w
        expected[2][b * 2 + a, c] += w
    for counts, loop in zip(counts_of(cards, parents, codes, weights), expected, strict=True):
        np.testing.assert_allclose(counts, loop)
        assert np.isclose(counts.sum(), weights.sum())


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "categorical", "lazy"])
def test_every_dataframe_gives_the_same_network(library: str) -> None:
    columns = {"x": [1, 10, 9, 1], "y": ["a", "b", "b", "b"]}
    frame: object = pl.DataFrame(columns)
    if library == "pandas":
        frame = pd.DataFrame(columns)
    elif library == "pyarrow":
        frame = pytest.importorskip("pyarrow").table(columns)
    elif library == "categorical":
        frame = pd.DataFrame(columns).astype("category")
    elif library == "lazy":
        frame = pl.LazyFrame(columns)
    network = learn_network(EDGES, frame, prior=1)
    assert network.variables[0].states == ("1", "9", "10")
    assert network.control is not None
    np.testing.assert_array_equal(network.control.counts[1], [[1, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(network.tables[0], [[3 / 7, 2 / 7, 2 / 7]])
    assert network.control.n_rows == 4
    assert network.control.prior == 1


def test_weights_equal_repetition() -> None:
    frame = pl.DataFrame({"x": [0, 1, 1], "y": [1, 0, 1]})
    weighted = learn_network(EDGES, frame, sample_weight=[2, 1, 3])
    repeated = learn_network(EDGES, frame[[0, 0, 1, 2, 2, 2]])
    for first, second in zip(weighted.tables, repeated.tables, strict=True):
        np.testing.assert_array_equal(first, second)


def test_given_states_keep_their_order_and_unseen_ones_are_possible() -> None:
    frame = pl.DataFrame({"x": ["lo", "hi"], "y": [0, 1]})
    network = learn_network(EDGES, frame, states={"x": ["lo", "mid", "hi"]})
    assert network.variables[0].states == ("lo", "mid", "hi")
    np.testing.assert_allclose(network.tables[0], [[1.5 / 3.5, 0.5 / 3.5, 1.5 / 3.5]])


def test_learning_approaches_the_truth() -> None:
    small = Network.from_tables(
        {"a": ["no", "yes"], "b": ["1", "2", "3"], "c": ["low", "high"]},
        {"c": ["b", "a"]},
        {
            "a": [[0.25, 0.75]],
            "b": [[0.2, 0.3, 0.5]],
            "c": [[p, 1 - p] for p in (0.1, 0.9, 0.3, 0.7, 0.5, 0.2)],
        },
    )
    rng = np.random.default_rng(2)
    codes = np.zeros((200_000, 3), dtype=np.int64)
    for i in small.order:
        steps = small.tables[i][small.parent_rows(i, codes)].cumsum(axis=1)[:, :-1]
        codes[:, i] = (rng.random(len(codes))[:, None] > steps).sum(axis=1)
    states = {v.name: v.states for v in small.variables}
    frame = pl.DataFrame(
        {v.name: np.array(v.states)[codes[:, i]] for i, v in enumerate(small.variables)}
    )
    learned = learn_network([("b", "c"), ("a", "c")], frame, states=states)
    table = learned.tables[learned.positions["c"]]
    np.testing.assert_allclose(table, small.tables[2], atol=0.02)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        ({"x": [0, 1]}, {}, "no column 'y'"),
        ({"x": [], "y": []}, {}, "no control rows"),
        ({"x": [0, None], "y": [0, 1]}, {}, "column 'x' has a missing value in row 2"),
        ({"x": [0.0, float("nan")], "y": [0, 1]}, {}, "column 'x' has a missing value in row 2"),
        ({"x": ["a", ""], "y": [0, 1]}, {}, "column 'x' has a missing value in row 2"),
        ({"x": [0, 1], "y": [0, 1]}, {"states": {"x": [0, 2]}}, "value '1' in row 2"),
        ({"x": [0, 1], "y": [0, 1]}, {"states": {"z": [0, 2]}}, "not in the graph"),
        ({"x": [0, 1], "y": [0, 1]}, {"states": {"x": [0, 0]}}, "repeat"),
        ({"x": [0, 1], "y": [0, 1]}, {"prior": -1}, "prior"),
        ({"x": [0, 1], "y": [0, 1]}, {"prior": "1"}, "prior"),
        ({"x": [0, 1], "y": [0, 1]}, {"sample_weight": [1]}, "sample_weight"),
        ({"x": [0, 1], "y": [0, 1]}, {"sample_weight": [1, -1]}, "sample_weight"),
        ({"x": [0, 0], "y": [0, 1]}, {"prior": 0, "states": {"x": [0, 1]}}, "never occur"),
        ({"x": np.arange(2000) / 7, "y": np.arange(2000) % 2}, {}, "looks like a measurement"),
    ],
)
def test_bad_control_rows_are_refused(frame: dict, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        learn_network(EDGES, pl.DataFrame(frame), **options)


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be read from int"):
        learn_network(EDGES, 3)
    doubled = pd.DataFrame([[0, 1, 1]], columns=["x", "x", "y"])
    with pytest.raises(InputError, match="x"):
        learn_network(EDGES, doubled)


def test_extra_columns_are_told() -> None:
    with pytest.warns(ExtraColumnsWarning, match="'z'"):
        learn_network(EDGES, pl.DataFrame({"x": [0], "y": [1], "z": [2]}))
