"""Rows from elsewhere where rows come in units, have labels, or targets are restricted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.errors import DosiftWarning

EDGES = [("a", "b"), ("b", "c"), ("a", "d")]
STATES = ["0", "1", "2"]
TRUTH = {"do()": 0.6, "do(a=1)": 0.25, "do(c=0)": 0.15}
N_UNITS, FOREIGN = 1500, 0.1


def network() -> dosift.Network:
    keep = (0.8 * np.eye(3) + 0.2 / 3).tolist()
    tables: dict[str, Any] = {"a": [0.5, 0.3, 0.2], "b": keep, "c": keep, "d": keep}
    return dosift.Network.from_tables(
        dict.fromkeys("abcd", STATES), {"b": ["a"], "c": ["b"], "d": ["a"]}, tables
    )


def drawn(seed: int, size: int) -> tuple[pl.DataFrame, Any, Any]:
    """Draw units of some rows; return the target of each row too, and its unit."""
    rng = np.random.default_rng(seed)
    kinds = ["other", *TRUTH]
    shares = [FOREIGN, *((1 - FOREIGN) * weight for weight in TRUTH.values())]
    of_units = rng.choice(4, size=N_UNITS, p=shares)
    unit = np.repeat(np.arange(N_UNITS), size)
    which = of_units[unit]
    columns = {name: rng.integers(3, size=which.size).astype(str) for name in "abcd"}
    for k, text in enumerate(kinds[1:], start=1):
        own = dosift.Mixture({dosift.parse_target(text): 1.0})
        rows = dosift.simulate(network(), own, int((which == k).sum()), rng)
        for name in "abcd":
            columns[name][which == k] = rows[name].to_numpy()
    return pl.DataFrame(columns), np.array(kinds, dtype=object)[which], unit


def fit(rows: pl.DataFrame, known: Any = None, **beside: Any) -> dict[str, float]:
    control = dosift.simulate(network(), dosift.Mixture({dosift.do(): 1.0}), 3000, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = dosift.InterventionMixture(negative_control=False, prior_knowledge=known).fit(
            rows, control=control, graph=EDGES, **beside
        )
    return dict(zip(map(str, model.targets_), model.weights_.tolist(), strict=True))


def check(found: dict[str, float]) -> None:
    assert set(found) == {*TRUTH, "other"}
    assert found["other"] == pytest.approx(FOREIGN, abs=0.035)
    for text, weight in TRUTH.items():
        assert found[text] == pytest.approx((1 - FOREIGN) * weight, abs=0.04)


@pytest.mark.long
def test_all_rows_of_a_unit_come_from_elsewhere_or_none() -> None:
    rows, _, unit = drawn(3, 3)
    check(fit(rows, unit=unit))


def test_a_row_with_a_label_does_not_come_from_elsewhere() -> None:
    rows, which, _ = drawn(4, 1)
    rng = np.random.default_rng(5)
    told = (rng.random(len(rows)) < 0.05) & (which != "other")
    labels = [text if known else None for text, known in zip(which, told, strict=True)]
    check(fit(rows, labels=labels, random_labels=True))


@pytest.mark.parametrize(
    "known",
    [
        {"required": [dosift.do(c="0")]},
        {"candidates": [dosift.do(), dosift.do(a="1"), dosift.do(c="0"), dosift.do(b="2")]},
        {"non_manipulable": ["b", "d"]},
    ],
)
def test_restricted_targets_leave_room_for_them(known: dict[str, Any]) -> None:
    rows, _, _ = drawn(6, 1)
    check(fit(rows, dosift.PriorKnowledge(**known)))


def test_where_a_weight_is_known_nothing_is_told_apart() -> None:
    """Whether it is of all rows, or of those that do not come from elsewhere, nobody said."""
    rows, _, _ = drawn(6, 1)
    known = dosift.PriorKnowledge(known_weights={dosift.do(a="1"): 0.225})
    assert "other" not in fit(rows, known)


@pytest.mark.parametrize("kind", ["units", "labels", "candidates"])
def test_none_are_found_where_there_are_none(kind: str) -> None:
    rows, which, unit = drawn(7, 2)
    rows = rows.with_columns(pl.Series("unit", unit), pl.Series("which", which.tolist()))
    rows = rows.filter(pl.col("which") != "other")
    beside: dict[str, Any] = {}
    if kind == "units":
        beside["unit"] = rows["unit"].to_numpy()
    if kind == "labels":
        told = np.random.default_rng(8).random(len(rows)) < 0.2
        pairs = zip(rows["which"], told, strict=True)
        beside = {"labels": [w if t else None for w, t in pairs], "random_labels": True}
    targets = [dosift.do(), dosift.do(a="1"), dosift.do(c="0")]
    known = dosift.PriorKnowledge(candidates=targets) if kind == "candidates" else None
    assert "other" not in fit(rows.select(*"abcd"), known, **beside)
