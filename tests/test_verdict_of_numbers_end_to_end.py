"""The verdict on fits of measurements and counts: what rows ask for, and the answer then."""

from __future__ import annotations

import json
import warnings
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.errors import DosiftWarning
from dosift.io.graph import Graph
from dosift.pipeline.number_repairs import TWO_STATES
from dosift.results.verdict_words import next_step, reasons_of

N_ROWS = 1500
EDGES = [("a", "b"), ("b", "c"), ("a", "d")]
FOLD = 0.15


def numbers(
    rng: np.random.Generator, done: float, slope: float = 1.0, sd: float = 0.6
) -> pl.DataFrame:
    """Draw a -> b -> c and a -> d; in a share of the rows a is set, in half as many c."""
    u = rng.random(N_ROWS)
    a = np.where(u < done, rng.normal(3.0, 0.3, N_ROWS), rng.normal(size=N_ROWS))
    b = a + 0.6 * rng.normal(size=N_ROWS)
    c = b + 0.6 * rng.normal(size=N_ROWS)
    c = np.where((u >= done) & (u < 1.5 * done), rng.normal(-4.0, 0.3, N_ROWS), c)
    d = slope * a + sd * rng.normal(size=N_ROWS)
    return pl.DataFrame({"a": a, "b": b, "c": c, "d": d})


def counts(rng: np.random.Generator, done: float, bursts: float) -> pl.DataFrame:
    """Draw counts of x -> y, z; in a share of the rows x is knocked down, in half as many z."""
    u = rng.random(N_ROWS)

    def drawn(mean: Any) -> Any:
        burst = np.where(rng.random(N_ROWS) < bursts, 3.0, 1.0)
        return rng.poisson(burst * rng.gamma(5.0, mean / 5.0)).astype(float)

    x = drawn(np.where(u < done, FOLD * 20.0, 20.0))
    y = drawn(12.0 * np.sqrt((1.0 + x) / 21.0))
    z = drawn(np.where((u >= done) & (u < 1.5 * done), FOLD * 15.0, 15.0))
    return pl.DataFrame({"x": x, "y": y, "z": z})


def fit(rows: Any, control: Any, edges: Any = EDGES, **named: Any) -> dosift.InterventionMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture().fit(rows, control=control, graph=edges, **named)


def weights(model: dosift.InterventionMixture) -> dict[str, float]:
    """Weight of each set of variables of the answer that the best repair gives."""
    answer, names = model.fitted_.judged.answers[0], model.network_.names
    return {
        "+".join(names[i] for i in np.flatnonzero(target >= 0)): float(weight)
        for target, weight in zip(answer.targets, answer.weights, strict=True)
    }


def test_a_clean_fit_of_numbers_asks_for_nothing() -> None:
    rng = np.random.default_rng(0)
    control = numbers(rng, 0.0)
    model = fit(numbers(rng, 0.3), control)
    assert model.verdict_.value == "stands"
    assert model.verdict_.repairs == []


@cache
def moved() -> tuple[pl.DataFrame, pl.DataFrame, dosift.InterventionMixture]:
    """Rows, control rows and a fit where d is not what it was."""
    rng = np.random.default_rng(1)
    control = numbers(rng, 0.0)
    rows = numbers(rng, 0.3, slope=0.4, sd=0.8)
    return rows, control, fit(rows, control)


def test_a_mechanism_that_moved_is_learned_from_the_pool_and_the_answer_is_right() -> None:
    _, _, model = moved()
    assert model.verdict_.value == "stands"
    assert model.verdict_.repairs[0]["mechanism"] == "d"
    assert model.verdict_.repairs[0]["gain"] > 20.0
    assert {frozenset(target) for target in model.targets_} == {frozenset(), *map(frozenset, "ac")}
    found = dict(zip(("+".join(t) for t in model.targets_), model.weights_, strict=True))
    assert found["a"] == pytest.approx(0.3, abs=0.04)
    assert found["c"] == pytest.approx(0.15, abs=0.03)
    assert model.components_["stands"].all()
    table = model.mechanisms_
    assert table["variable"].to_list() == ["d"]
    assert table["distance"].to_list() == [None]
    assert any("learned from the pool alone" in one for one in reasons_of(model.fitted_))
    assert "find out why" in next_step(model.fitted_)
    # The network of the answer has the mechanism of the pool: rows drawn from it are like those.
    alike = dosift.simulate(model.network_, dosift.Mixture({dosift.do(): 1.0}), 4000)
    slope = np.polyfit(alike["a"].to_numpy(), alike["d"].to_numpy(), 1)[0]
    assert slope == pytest.approx(0.4, abs=0.06)
    json.dumps(model.verdict_)


def test_resamples_of_a_moved_mechanism_are_fitted_with_it() -> None:
    rows, _, model = moved()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        found = dosift.bootstrap(model, rows, n_resamples=3, random_state=0)
    table = found.summary()
    assert table.height == len(model.targets_)
    assert (table["share_found"] == 1.0).all()


@pytest.mark.long
def test_a_mechanism_that_moved_is_only_named_where_it_is_not_to_be_learned() -> None:
    pool, control, _ = moved()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = dosift.InterventionMixture(moved_mechanism=False).fit(
            pool, control=control, graph=EDGES
        )
    assert model.verdict_.value != "stands"
    assert model.verdict_.repairs[0]["mechanism"] == "d"
    assert set(weights(model)) == {"", "a", "c"}
    assert weights(model)["a"] == pytest.approx(0.3, abs=0.04)
    table = model.components_
    false = table.filter(pl.col("target").str.contains(r"\bd[~+*-]"))
    assert false.height > 0
    assert not false["stands"].any()
    assert (false["probability"] < 0.1).all()
    assert "control rows from the same runs" in next_step(model.fitted_)


def telemetry(rng: np.random.Generator, n_rows: int, slope: float, done: str = "") -> pl.DataFrame:
    """Draw load -> db -> queue -> latency and db -> latency; a latency is linear in its queue."""
    load = rng.normal(50.0, 8.0, n_rows)
    db = 10.0 + 0.3 * load + rng.normal(0.0, 2.0, n_rows) + (9.0 if done == "db" else 0.0)
    mean = np.full(n_rows, 2.0) if done == "queue" else 0.4 * slope * db
    queue = rng.poisson(mean)
    latency = 20.0 + 1.2 * db + 0.9 * queue + rng.normal(0.0, 4.0, n_rows)
    return pl.DataFrame({"load": load, "db": db, "queue": queue, "latency": latency})


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 7))]
)
def test_a_small_move_of_a_mechanism_that_a_fault_changes_too(seed: int) -> None:
    """Counts are some tenth fewer in all rows: no fault, though a change says it as well."""
    rng = np.random.default_rng([4, seed])
    control = telemetry(rng, 2500, 0.9)
    rows = pl.concat(
        telemetry(rng, n, 0.8, what) for what, n in (("", 900), ("db", 300), ("queue", 250))
    )
    edges = [("load", "db"), ("db", "queue"), ("queue", "latency"), ("db", "latency")]
    model = fit(rows, control, edges, kinds={"queue": "count"})
    found = {"+".join(target): weight for target, weight in zip(
        model.targets_, model.weights_, strict=True)}  # fmt: skip
    assert set(found) == {"", "db", "queue"}
    assert found["db"] == pytest.approx(300 / 1450, abs=0.03)
    assert found["queue"] == pytest.approx(250 / 1450, abs=0.04)
    assert model.mechanisms_["variable"].to_list() == ["queue"]
    assert model.verdict_.value == "stands"
    assert "would look the same" in " ".join(reasons_of(model.fitted_))


@pytest.mark.long
def test_a_mechanism_that_drifted_between_batches_is_named() -> None:
    rng = np.random.default_rng(2)
    control = numbers(rng, 0.0)
    rows = pl.concat([numbers(rng, 0.3), numbers(rng, 0.3, slope=0.4, sd=0.8)])
    batch = np.repeat(["first", "second"], N_ROWS)
    model = fit(rows, control, batch=batch)
    assert any(one.get("mechanism") == "d" for one in model.verdict_.repairs[:2])


@pytest.mark.long
def test_counts_with_bursts_are_named_and_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(3)
    control, rows = counts(rng, 0.0, 0.1), counts(rng, 0.3, 0.1)
    model = fit(
        rows, control, Graph(("x", "y", "z"), (("x", "y"),)), kinds=dict.fromkeys("xyz", "counts")
    )
    repairs = model.verdict_.repairs
    assert {one["noise"] for one in repairs if "noise" in one} >= {"x", "z"}
    assert any("more spread than the model has them" in one for one in reasons_of(model.fitted_))
    assert weights(model)["x"] == pytest.approx(0.3, abs=0.04)
    json.dumps(model.verdict_)


def test_what_seems_to_be_done_to_a_count_of_two_states_does_not_stand() -> None:
    rng = np.random.default_rng(6)
    control, rows = counts(rng, 0.0, 0.35), counts(rng, 0.3, 0.35)
    model = fit(
        rows, control, Graph(("x", "y", "z"), (("x", "y"),)), kinds=dict.fromkeys("xyz", "counts")
    )
    assert any("has two states" in one for one in reasons_of(model.fitted_))
    named = {one["noise"] for one in model.verdict_.repairs if one.get("share", 0.0) >= TWO_STATES}
    touched = [not named.isdisjoint(target) for target in model.targets_]
    assert any(touched)
    assert not model.fitted_.judged.stands[touched].any()


def test_control_rows_in_which_something_was_done_are_found() -> None:
    rng = np.random.default_rng(4)
    control = pl.concat([numbers(rng, 0.0), numbers(rng, 0.3).head(150)])
    model = fit(numbers(rng, 0.3), control)
    found = [one for one in model.verdict_.repairs if one.get("rows") == "control"]
    assert found
    # 45 % of 150 rows of 1,650.
    assert found[0]["share"] == pytest.approx(0.041, abs=0.015)


@pytest.mark.long
def test_rows_from_elsewhere_are_found() -> None:
    rng = np.random.default_rng(5)
    control = numbers(rng, 0.0)
    model = fit(with_foreign(rng), control)
    found = [one for one in model.verdict_.repairs if one.get("rows") == "foreign"]
    assert found
    assert found[0]["share"] == pytest.approx(0.1, abs=0.03)
    # They have a line of their own already, so that nothing is left to be repaired.
    assert [str(target) for target in model.targets_ if target.is_other] == ["other"]
    assert {"+".join(t) for t in model.targets_ if not t.is_other} == {"", "a", "c"}
    assert model.verdict_.value == "stands"


def with_foreign(rng: np.random.Generator) -> pl.DataFrame:
    """Draw rows of which a tenth comes from elsewhere."""
    rows = numbers(rng, 0.3).to_numpy().copy()
    other = rng.random(N_ROWS) < 0.1
    rows[other] = rng.uniform(-7.0, 7.0, size=(int(other.sum()), 4))
    return pl.DataFrame(rows, schema=list("abcd"))


#: Pools in which something is wrong, and what is to be named.
WRONG = {
    "moved": (lambda rng: numbers(rng, 0.3, slope=0.4, sd=0.8), {"mechanism": "d"}),
    "foreign": (with_foreign, {"rows": "foreign"}),
    "clean": (lambda rng: numbers(rng, 0.3), {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(WRONG))
def test_over_many_problems_what_stands_is_true_and_what_is_wrong_is_named(kind: str) -> None:
    draw, wanted = WRONG[kind]
    n_problems, named, false, stands, refused, right = 12, 0, 0.0, 0.0, 0.0, 0.0
    for seed in range(n_problems):
        rng = np.random.default_rng([1919, seed])
        control = numbers(rng, 0.0)
        model = fit(draw(rng), control)
        named += any(wanted.items() <= one.items() for one in model.verdict_.repairs[:2])
        verdict = model.fitted_.judged
        for target, weight, own in zip(model.targets_, model.weights_, verdict.stands, strict=True):
            is_true = set(target) in ({"a"}, {"c"}, set())
            is_true &= kind == "foreign" or not target.is_other
            right += weight * is_true
            stands += weight * own
            false += weight * (own and not is_true)
            refused += weight * (is_true and not own)
    assert false <= 0.1 * stands
    assert refused <= 0.1 * right
    if wanted:
        assert named >= 0.85 * n_problems
