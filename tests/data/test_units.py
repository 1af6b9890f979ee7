"""Units of rows: collapsed, found again, summed over, and refused where they contradict others."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import dosift
from dosift.data.blocks import Block
from dosift.data.configurations import Configurations, collapse, collapse_units, rows_of, sizes_of
from dosift.data.load import load
from dosift.data.side_columns import side_column
from dosift.data.unit_columns import texts_of_units, units_of
from dosift.data.units import common_state, summed
from dosift.errors import InputError
from dosift.model.network import Network
from drawn_units import in_units

Rows = tuple[tuple[float, ...], ...]


def units(seed: int, numbers: bool = False) -> tuple[Any, NDArray[np.int64], NDArray[np.float64]]:
    """Rows of few different values in units of 1 to 5, scattered; and weights, some of them 0."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 6, size=60)
    unit = rng.permutation(np.repeat(np.arange(60), size))
    codes = rng.integers(-1, 2, size=(len(unit), 2)).astype(np.int8)
    weight = rng.choice([0.0, 0.5, 1.0, 2.0], size=60)
    if numbers:
        return np.where(codes < 0, np.nan, codes + 0.5), unit, weight
    return codes, unit, weight


def content(codes: Any, unit: NDArray[np.int64]) -> list[Rows]:
    """Rows of each unit, sorted."""
    codes = np.nan_to_num(codes, nan=-1)
    return [tuple(sorted(map(tuple, codes[unit == u].tolist()))) for u in range(unit.max() + 1)]


def found_in(found: Configurations) -> list[Rows]:
    if found.first is None:
        return [(tuple(row),) for row in found.codes.tolist()]
    sizes = sizes_of(found.first, len(found.codes))
    return content(found.codes, np.repeat(np.arange(len(sizes)), sizes))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_units_with_the_same_rows_are_collapsed(seed: int, weighted: bool) -> None:
    codes, unit, weight = units(seed)
    weight = weight if weighted else np.ones(60)
    found = collapse_units(codes, unit, np.array([2, 2]), weight if weighted else None)
    expected: Counter[Rows] = Counter()
    for rows, w in zip(content(codes, unit), weight, strict=True):
        expected[rows] += w
    expected = Counter({rows: w for rows, w in expected.items() if w > 0})
    distinct = found_in(found)
    assert len(set(distinct)) == len(distinct)
    assert dict(zip(distinct, found.counts.tolist(), strict=True)) == dict(expected)
    assert found.total == weight.sum()
    assert distinct == sorted(distinct, key=lambda rows: (len(rows), rows))
    # Where each row went.
    assert found.place is not None
    owner = np.repeat(np.arange(len(distinct)), sizes_of(found.first, len(found.codes)))
    for r, row in enumerate(codes.tolist()):
        rows = content(codes, unit)[unit[r]]
        if rows not in expected:
            assert found.inverse[r] == found.place[r] == -1
            continue
        assert distinct[found.inverse[r]] == rows
        assert found.codes[found.place[r]].tolist() == row
        assert owner[found.place[r]] == found.inverse[r]
    for u in range(60):  # rows of a unit go to different places
        places = found.place[unit == u]
        assert places[0] < 0 or len(set(places.tolist())) == len(places)


def test_units_of_numbers() -> None:
    codes, unit, _ = units(1, numbers=True)
    found = collapse_units(codes, unit, np.array([0, 0]))
    expected = Counter(content(codes, unit))
    assert dict(zip(found_in(found), found.counts.tolist(), strict=True)) == dict(expected)


def test_order_leaves_no_trace() -> None:
    codes, unit, weight = units(3)
    found = collapse_units(codes, unit, np.array([2, 2]), weight)
    rng = np.random.default_rng(0)
    order, names = rng.permutation(len(unit)), rng.permutation(60)
    renamed = np.empty(60)
    renamed[names] = weight
    again = collapse_units(codes[order], names[unit[order]], np.array([2, 2]), renamed)
    for name in ("codes", "first", "counts"):
        assert np.array_equal(getattr(found, name), getattr(again, name))
    assert np.array_equal(found.inverse[order], again.inverse)


def test_units_of_one_row_are_rows() -> None:
    codes, _, _ = units(4)
    weight = np.arange(len(codes), dtype=float)
    found = collapse_units(codes, np.arange(len(codes))[::-1], np.array([2, 2]), weight[::-1])
    expected = collapse(codes, np.array([2, 2]), weight)
    assert found.first is None
    assert np.array_equal(found.codes, expected.codes)
    assert np.array_equal(found.counts, expected.counts)
    assert np.array_equal(found.inverse, expected.inverse)


def test_some_units_and_rows_apart() -> None:
    codes, unit, _ = units(5)
    found = collapse_units(codes, unit, np.array([2, 2]))
    distinct = found_in(found)
    which = np.array([7, 0, 12])
    some = found.some(which)
    assert found_in(some) == [distinct[k] for k in which]
    assert some.counts.tolist() == found.counts[which].tolist()
    apart = found.apart
    assert apart.first is None
    assert apart.total == len(codes)
    again = apart.collapsed(np.array([2, 2]))
    plain = collapse(codes, np.array([2, 2]))
    assert np.array_equal(again.codes, plain.codes)
    assert np.array_equal(again.counts, plain.counts)
    doubled = found.some(np.append(which, which)).collapsed(np.array([2, 2]))
    assert sorted(found_in(doubled)) == sorted(distinct[k] for k in which)
    assert doubled.total == 2 * found.counts[which].sum()
    assert plain.apart is plain


def test_parts_of_a_block() -> None:
    codes, unit, _ = units(6)
    found = collapse_units(codes, unit, np.array([2, 2]))
    batch = np.arange(len(found.counts)) % 3
    block = Block(found.codes, found.counts, batch, None, found.first)
    assert len(block) == len(found.counts)
    assert block.largest_unit == 5
    distinct = found_in(found)
    for chosen in (slice(2, 9), batch == 1, np.array([4, 1])):
        part = block.part(chosen)
        kept = np.arange(len(block))[chosen]
        of_part = Configurations(part.values, part.counts, np.empty(0, np.int64), part.first)
        assert found_in(of_part) == [distinct[k] for k in kept]
        assert part.batch is not None
        assert part.batch.tolist() == batch[kept].tolist()
    apart, shared = block.apart, block.shared
    assert apart.counts.sum() == len(codes)
    assert shared.counts.sum() == pytest.approx(found.total)
    assert np.array_equal(apart.batch, batch[block.unit])
    rows, first = rows_of(found.first, len(found.codes), np.array([3, 3]))
    assert np.array_equal(found.codes[rows][: first[1]], found.codes[rows][first[1] :])


@pytest.mark.parametrize("seed", range(5))
def test_sums_and_common_states(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 5, size=200)
    first = np.cumsum(size) - size
    codes = rng.integers(-1, 3, size=size.sum())
    values = rng.normal(size=(len(codes), 2))
    expected = []
    for a, m in zip(first, size, strict=True):
        seen = {v for v in codes[a : a + m].tolist() if v >= 0}
        expected.append(seen.pop() if len(seen) == 1 else 3 if seen else -1)
    assert common_state(codes, first, 3).tolist() == expected
    sums = [values[a : a + m].sum(axis=0) for a, m in zip(first, size, strict=True)]
    np.testing.assert_allclose(summed(values, first), sums)
    assert summed(values, None) is values


# As they are given.


@pytest.fixture(scope="module")
def network() -> Network:
    states = {"a": ["no", "yes"], "b": ["no", "yes"]}
    return Network.from_tables(
        states, {"b": ["a"]}, {"a": [[0.7, 0.3]], "b": [[0.8, 0.2], [0.3, 0.7]]}
    )


MIXTURE = dosift.Mixture({dosift.do(): 0.6, dosift.do(a="yes"): 0.4})
ROWS = pl.DataFrame(
    {
        "a": ["no", "yes", "no", "yes", "no", "no"],
        "b": ["no", "yes", "yes", "yes", "no", "yes"],
        "who": ["x", "y", "x", None, "", "y"],
    }
)


def test_rows_without_a_unit_are_units_of_their_own(network: Network) -> None:
    column = side_column(ROWS["who"], 6, "unit")
    assert units_of(column).tolist() == [0, 1, 0, 2, 3, 1]
    loaded = load(ROWS, network, unit="who")
    assert loaded.rows.n_rows == 4
    assert loaded.rows.has_units
    alone = load(ROWS.drop("who"), network, unit=[None] * 6)
    assert not alone.rows.has_units
    plain = load(ROWS.drop("who"), network)
    assert np.array_equal(alone.rows.whole.values, plain.rows.whole.values)
    assert np.array_equal(alone.place, plain.inverse)


def test_units_by_name_or_by_value(network: Network) -> None:
    rows = ROWS.drop("who")
    by_name = load(ROWS, network, unit="who").rows.whole
    other = load(rows, network, unit=ROWS["who"].to_list()).rows.whole
    numbers = load(rows, network, unit=[0, 1, 0, 2, 3, 1]).rows.whole
    array = load((rows == "yes").to_numpy().astype(int), network, unit=["x", *"yxuwy"]).rows.whole
    pandas = load(ROWS.to_pandas(), network, unit="who").rows.whole
    for block in (other, numbers, array, pandas):
        assert np.array_equal(block.values, by_name.values)
        assert np.array_equal(block.first, by_name.first)
        assert np.array_equal(block.counts, by_name.counts)


ERRORS = {
    "batches": (
        {"batch": ["d1", "d1", "d2", "d1", "d1", "d1"]},
        r"'x' is in batch 'd1' in data row 1 and in 'd2' in data row 3",
    ),
    "weights": (
        {"sample_weight": [1, 2, 1, 1, 1, 3]},
        r"'y' has sample_weight 2 in data row 2 and 3 in data row 6",
    ),
    "labels": (
        {"labels": ["", "do(a=yes)", "", "", "", "do(b=yes)"]},
        r"'y' has the label 'do\(a=yes\)' in data row 2 and 'do\(b=yes\)' in data row 6",
    ),
    "length": ({"unit": ["x", "y"]}, r"unit has 2 value\(s\) for 6 row\(s\)"),
    "name": ({"unit": "whom"}, "no column 'whom'"),
}


@pytest.mark.parametrize("error", ERRORS)
def test_what_contradicts_is_refused(network: Network, error: str) -> None:
    more, message = ERRORS[error]
    rows = ROWS if error == "name" else ROWS.drop("who")
    with pytest.raises(InputError, match=message):
        dosift.InterventionMixture(network).fit(rows, **{"unit": ROWS["who"], **more})


def test_methods_that_know_no_units_say_so(network: Network) -> None:
    model = dosift.InterventionMixture(network, method="brute-force")
    with pytest.raises(InputError, match="units cannot be combined"):
        model.fit(ROWS, unit="who")


def test_one_label_says_all_of_its_unit(network: Network) -> None:
    """What one row of a unit is labelled with, the others are."""
    drawn = in_units(network, MIXTURE, [2] * 200, 0)
    order = np.argsort(drawn.unit, kind="stable")
    rows, hit = drawn.rows[order.tolist()], drawn.component[order][::2] == 1
    told = hit & (np.random.default_rng(0).random(200) < 0.3)
    one = np.array([["do(a=yes)" if t else "", ""] for t in told]).ravel()
    both = np.array([["do(a=yes)" if t else ""] * 2 for t in told]).ravel()
    fits = [
        dosift.InterventionMixture(network).fit(rows, unit="unit", labels=labels)
        for labels in (one, both)
    ]
    assert fits[0].n_units_ == 200 - told.sum()
    assert fits[0].components_.equals(fits[1].components_)
    # Without a label they count.
    free = dosift.InterventionMixture(network).fit(rows, unit="unit")
    assert free.n_units_ == 200


def test_a_weight_counts_a_unit_as_often(network: Network) -> None:
    drawn = in_units(network, MIXTURE, [3] * 200, 1)
    rows, unit = drawn.rows.drop("unit"), drawn.unit
    weight = np.random.default_rng(2).integers(0, 3, 200)[unit]
    twice = [(r, f"{unit[r]} {k}") for r in range(600) for k in range(weight[r])]
    repeated = rows[[r for r, _ in twice]]
    model = dosift.InterventionMixture(network)
    one = model.fit(rows, unit=unit, sample_weight=weight).components_
    other = model.fit(repeated, unit=[u for _, u in twice]).components_
    assert one.equals(other)
    assert model.n_rows_ == weight.sum()


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pl.Series([3, None, 1]), ["3", None, "1"]),
        (pl.Series(["b", "", None, "a"]), ["b", None, None, "a"]),
        (pl.Series([1.5, None, -2.25]), ["1.5", None, "-2.25"]),
        (pl.Series(["y", "x", "y"], dtype=pl.Categorical), ["y", "x", "y"]),
    ],
)
def test_units_of_any_kind_have_names(values: pl.Series, texts: list[str | None]) -> None:
    assert texts_of_units(values, "clone", None).to_list() == texts
