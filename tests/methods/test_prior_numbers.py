"""Prior knowledge where variables are numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.errors import InputError, KindsWarning, MisfitWarning
from dosift.estimator import InterventionMixture
from dosift.methods.prior_knowledge import PriorKnowledge

# What is forbidden here did happen; another graph may make up for it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::dosift.errors.MisfitWarning"),
    pytest.mark.filterwarnings("ignore::dosift.errors.GraphWarning"),
]

GRAPH = [("gene", "a"), ("a", "b")]


def drawn(n_rows: int, component: int, rng: np.random.Generator) -> dict[str, Any]:
    """Rows of a target: nothing, gene on, a set to 4, a set and b moved."""
    gene = np.where(rng.random(n_rows) < 0.3, 1, 0)
    if component == 1:
        gene[:] = 1
    a = 0.8 * gene + 0.6 * rng.normal(size=n_rows)
    if component in (2, 3):
        a = 4.0 + 0.3 * rng.normal(size=n_rows)
    b = 0.7 * a + 0.5 * rng.normal(size=n_rows)
    if component == 3:
        b -= 3.0
    return {"gene": np.array(["off", "on"])[gene], "a": a, "b": b}


def frame(weights: list[float], n_rows: int, seed: int, share: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    parts = [pl.DataFrame(drawn(round(w * n_rows), k, rng)) for k, w in enumerate(weights)]
    rows = pl.concat(parts)
    for name in ("a", "b"):
        lost = pl.Series(rng.random(rows.height) < share)
        rows = rows.with_columns(pl.when(~lost).then(pl.col(name)).alias(name))
    return rows


ROWS = frame([0.4, 0.2, 0.2, 0.2], 1200, 0)
CONTROL = frame([1.0], 1000, 1)


def fitted(known: PriorKnowledge, rows: pl.DataFrame = ROWS, **settings: Any) -> Any:
    model = InterventionMixture(prior_knowledge=known, random_state=0, **settings)
    with pytest.warns(KindsWarning):
        return model.fit(rows, control=CONTROL, graph=GRAPH)


def touched(model: Any) -> set[frozenset[str]]:
    return {frozenset(target) for target in model.mixture_.targets}


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_variables_that_cannot_be_changed_are_not(share: float) -> None:
    rows = frame([0.4, 0.2, 0.2, 0.2], 1200, 0, share)
    found = touched(fitted(PriorKnowledge(non_manipulable=["b", "gene"]), rows))
    assert all(target <= {"a"} for target in found)
    assert frozenset({"a"}) in found


@pytest.mark.parametrize("share", [0.0, pytest.param(0.15, marks=pytest.mark.long)])
def test_candidates_say_which_variables_are_changed_but_not_by_what(share: float) -> None:
    rows = frame([0.4, 0.2, 0.2, 0.2], 1200, 0, share)
    listed = ["do()", "a", "a, b", "gene=on"]
    model = fitted(PriorKnowledge(candidates=listed), rows)
    wanted = {frozenset[str](), frozenset({"a"}), frozenset({"a", "b"}), frozenset({"gene"})}
    assert touched(model) == wanted
    assert model.optimality_gap_ < 1e-3
    fewer = fitted(PriorKnowledge(candidates=listed[:2]), rows)
    assert touched(fewer) <= {frozenset[str](), frozenset({"a"})}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.GraphWarning")
def test_forbidden_and_excluded_changes_do_not_occur() -> None:
    said = PriorKnowledge(forbidden=["free(a)"], excluded=["free(a, b)"])
    found = touched(fitted(said))
    assert frozenset({"a"}) not in found
    assert not any({"a", "b"} <= target for target in found)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.GraphWarning")
def test_each_way_to_forbid_changes_holds_alone() -> None:
    assert frozenset({"a"}) not in touched(fitted(PriorKnowledge(forbidden=["free(a)"])))
    apart = touched(fitted(PriorKnowledge(excluded=["free(a, b)"])))
    assert not any({"a", "b"} <= target for target in apart)
    assert not any("a" in target for target in touched(fitted(PriorKnowledge(excluded=["a"]))))


def test_targets_of_states_may_be_required_and_weights_known() -> None:
    known = PriorKnowledge(required=["gene=off"], known_weights={"do()": 0.4})
    model = fitted(known)
    weights = dict(zip(map(str, model.mixture_.targets), model.mixture_.weights, strict=True))
    assert weights["do()"] == pytest.approx(0.4)
    assert "do(gene=off)" in model.components_["target"].to_list()
    rows = ROWS.sample(400, seed=0)
    again = dosift.bootstrap(fitted(known, rows), rows, n_resamples=2, search=False)
    place = [str(t) for t in again.summary()["target"]].index("do()")
    np.testing.assert_allclose(again.weights[:, place], 0.4, atol=1e-6)


def weights_of(model: Any) -> dict[frozenset[str], float]:
    found: dict[frozenset[str], float] = {}
    for target, weight in model.mixture_.items():
        found[frozenset(target)] = found.get(frozenset(target), 0.0) + weight
    return found


@pytest.mark.parametrize("share", [0.0, pytest.param(0.15, marks=pytest.mark.long)])
def test_changes_that_are_required_are_kept(share: float) -> None:
    rows = frame([0.4, 0.2, 0.2, 0.2], 1200, 0, share)
    assert frozenset({"b"}) not in touched(fitted(PriorKnowledge(), rows))
    found = weights_of(fitted(PriorKnowledge(required=["a", "b"]), rows))
    assert found[frozenset({"b"})] < 0.02
    assert found[frozenset({"a"})] == pytest.approx(0.2, abs=0.02)
    # What is required may occur beside a list of candidates.
    listed = PriorKnowledge(candidates=["do()", "a", "gene=on"], required=["a, b"])
    assert weights_of(fitted(listed, rows))[frozenset({"a", "b"})] == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("share", [0.0, pytest.param(0.15, marks=pytest.mark.long)])
def test_weights_of_changes_may_be_known(share: float) -> None:
    rows = frame([0.4, 0.2, 0.2, 0.2], 1200, 0, share)
    known = PriorKnowledge(known_weights={"a": 0.15, "b": 0.0})
    model = fitted(known, rows)
    found = weights_of(model)
    assert found[frozenset({"a"})] == pytest.approx(0.15)
    assert frozenset({"b"}) not in found
    row = model.components_.row(by_predicate=pl.col("weight") == 0.15, named=True)
    assert row["std_error"] is None
    changed = model.variables_.filter(pl.col("variable") == "a", pl.col("what") == "mean")
    assert changed["estimate"][0] == pytest.approx(4.0, abs=0.1)


def test_known_weights_of_changes_hold_in_every_batch_and_resample() -> None:
    known = PriorKnowledge(known_weights={"a": 0.2, "a, b": 0.2, "gene=on": 0.2, "do()": 0.4})
    model = fitted(known)
    assert sorted(model.weights_.tolist()) == pytest.approx([0.2, 0.2, 0.2, 0.4])
    known = PriorKnowledge(known_weights={"a": 0.25})
    model = InterventionMixture(prior_knowledge=known, random_state=0)
    batch = np.arange(len(ROWS)) % 2
    with pytest.warns(KindsWarning):
        model.fit(ROWS, control=CONTROL, graph=GRAPH, batch=batch)
    assert model.batches_.filter(pl.col("weight") == 0.25).height == 2
    again = dosift.bootstrap(model, ROWS, batch=batch, n_resamples=2, search=False)
    assert (np.abs(again.weights - 0.25).min(axis=1) < 1e-6).all()


@pytest.mark.filterwarnings("ignore::dosift.errors.KindsWarning")
def test_a_known_change_that_no_row_shows_is_said() -> None:
    undisturbed = frame([1.0], 1000, 2)
    model = InterventionMixture(prior_knowledge=PriorKnowledge(required=["b"]), random_state=0)
    with pytest.warns(MisfitWarning, match=r"free\(b\) is known to occur, but the rows show no"):
        model.fit(undisturbed, control=CONTROL, graph=GRAPH)
    assert [str(target) for target in model.fitted_.unseen] == ["free(b)"]


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (PriorKnowledge(required=["shift(a+1)"]), r"say free\(a\) for any change"),
        (PriorKnowledge(known_weights={"set(a~1+-0.1)": 0.1}), r"say free\(a\) for any change"),
        (PriorKnowledge(candidates=["do()", "shift(a+1)"]), r"say free\(a\) for any change"),
        (PriorKnowledge(candidates=["do()", "a=3"]), r"say free\(a\) for any change"),
        (PriorKnowledge(non_manipulable=["aa"]), "has no variable 'aa'"),
        (PriorKnowledge(candidates=["do()", "gene=up"]), "up"),
    ],
)
def test_what_only_the_rows_can_tell_is_refused(known: PriorKnowledge, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(known)
