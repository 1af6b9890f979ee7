"""Rows of numbers as blocks on the working scales of a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dosift.data.blocks import MemoryBlocks
from dosift.data.configurations import collapse
from dosift.data.encode import Encoded
from dosift.data.load import Loaded, load
from dosift.data.numbers import read_numbers
from dosift.errors import InputError
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.features import Function, Plain
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.scale import Scale

NAN = float("nan")
VARIABLES = (
    Variable("latency", kind="continuous"),
    Variable("state", ("off", "on")),
    Variable("share", kind="continuous"),
)
SCALES = (Scale("log", centre=1.0, spread=2.0), Scale("count"), Scale("logit", 0.5, 3.0))


def network(features: tuple[Any, ...] = (Plain(0),)) -> MechanismNetwork:
    mechanisms = (
        LinearMechanism.untaught(0, (), ()),
        CategoricalMechanism(1, (), (), np.array([[0.5, 0.5]])),
        LinearMechanism.untaught(2, (0,), features),
    )
    libraries = (Changes(()), States(("off", "on")), Changes(()))
    return MechanismNetwork(mechanisms, libraries, None, VARIABLES, SCALES)


ROWS = {
    "latency": [10.0, 2.5, 10.0, None, 10.0],
    "state": ["on", "off", "on", "on", None],
    "share": [0.25, 0.5, 0.25, 0.5, 0.5],
}


def whole(loaded: Loaded) -> Any:
    assert isinstance(loaded.rows, MemoryBlocks)
    return loaded.rows.whole


def test_rows_come_on_the_working_scales_and_collapsed() -> None:
    loaded = load(ROWS, network())
    block = whole(loaded)
    assert len(block) == 4
    assert block.counts.sum() == loaded.rows.n_rows == 5
    assert loaded.inverse is not None
    user = network().user(block.values)[loaded.inverse]
    expected = read_numbers(ROWS, VARIABLES).values
    np.testing.assert_allclose(user, expected, rtol=1e-12)
    assert (np.log(10) - 1.0) / 2.0 in block.values[:, 0]


def test_weights_and_batches_stand_beside() -> None:
    beside = {"batch": ["b", "a", "b", "a", "b"], "sample_weight": [1, 2, 0.5, 0, 1]}
    loaded = load(ROWS, network(), **beside)
    block = whole(loaded)
    assert loaded.rows.beside.batches == ("a", "b")
    assert np.issubdtype(block.batch.dtype, np.integer)
    assert block.values.shape == (3, 3)
    assert sorted(zip(block.batch.tolist(), block.counts.tolist(), strict=True)) == [
        (0, 2.0),
        (1, 1.0),
        (1, 1.5),
    ]
    total = loaded.rows.sum(lambda part: (part.counts @ part.batch,))[0]
    assert total == 2.5
    named = load({**ROWS, "day": beside["batch"]}, network(), batch="day", batches=("b", "a"))
    assert whole(named).batch.max() == 1
    assert named.batch is not None
    assert named.batch.texts == ("a", "b")


def test_rows_that_were_read_are_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({**ROWS, "day": list("babab")}).write_parquet(path)
    numbers = read_numbers(path, VARIABLES, beside=["day"])
    path.unlink()
    loaded = load(numbers, network(), batch="day")
    assert loaded.rows.beside.batches == ("a", "b")
    assert load(loaded, network()).rows is loaded.rows
    other = replace(network(), variables=(*VARIABLES[:2], Variable("x", kind="continuous")))
    with pytest.raises(InputError, match="read for another network"):
        load(numbers, other)
    with pytest.raises(InputError, match="read for another network"):
        load(Encoded(np.zeros((1, 3), dtype=np.int64)), network())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"latency": [1, 2, 0, 3, 4]}, "'latency' holds 0 in data row 3 .*logarithms are taken"),
        ({"latency": [1, 2, 1, 3, -4.5]}, "'latency' holds -4.5 in data row 5 .*logarithms"),
        ({"share": [0.1, 0.2, np.inf, 1, 2]}, "holds infinity in data row 3"),
    ],
)
def test_values_that_a_scale_cannot_hold(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load({**ROWS, **change}, network())


def test_a_named_function_without_a_value() -> None:
    root = Function("sqrt(latency-3)", (0,), lambda x: np.sqrt(np.exp(1 + 2 * x) - 3))
    with pytest.raises(
        InputError, match=r"'sqrt\(latency-3\)' has no value in data row 2 \(latency = 2.5; 1 such"
    ):
        load(ROWS, network((root,)))
    assert load({**ROWS, "latency": [10.0] * 4 + [None]}, network((root,))).rows.n_rows == 5


def test_labels_of_numbers_stand_beside_them() -> None:
    loaded = load(ROWS, network(), labels=["do()", "", "do()", "", ""])
    assert loaded.rows.beside.labels == ("do()",)
    assert isinstance(loaded.rows, MemoryBlocks)
    label = loaded.rows.whole.label
    assert label is not None
    assert label[loaded.inverse].tolist() == [0, -1, 0, -1, -1]


@pytest.mark.parametrize("seed", range(5))
def test_numbers_collapse_as_rows_do_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 400
    rows = np.stack(
        [
            rng.integers(0, 3, n).astype(float),
            rng.choice([0.5, -2.25, NAN, 7.0], n),
            rng.normal(size=n) if seed % 2 else rng.normal(size=n).round(1),
            rng.integers(0, 4, n) / 3,
        ],
        axis=1,
    )
    rows = np.concatenate([rows, rows[::2], rows[::3]])
    rows = rng.permutation(rows)
    sizes = np.array([3, 0, 0, 0])
    found = collapse(rows, sizes)
    np.testing.assert_array_equal(found.codes[found.inverse], rows)
    # Missing values come last among numbers.
    keys = [tuple(np.nan_to_num(row, nan=1e9).tolist()) for row in rows]
    expected = sorted(set(keys))
    assert [tuple(np.nan_to_num(r, nan=1e9).tolist()) for r in found.codes] == expected
    assert found.counts.tolist() == [float(keys.count(key)) for key in expected]
    again = collapse(rng.permutation(rows), sizes)
    np.testing.assert_array_equal(again.codes, found.codes)


def test_a_column_in_which_all_differ_settles_the_order() -> None:
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(50, 3)), rng.integers(0, 2, 50)])
    order = np.argsort(rows[:, 0])
    for columns in ([0, 1, 2, 3], [0, 3]):
        sizes = np.array([0 if c < 3 else 2 for c in columns])
        np.testing.assert_array_equal(
            collapse(rows[:, columns], sizes).codes, rows[order][:, columns]
        )
