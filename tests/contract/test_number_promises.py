"""What every fit of numbers promises, in every world of numbers (`number_worlds.py`).

The promises of `test_promises.py` that speak of states have their like here; what takes further
fits is kept in plain worlds, and everywhere by ``-m slow``.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from number_oracle import (
    every_target,
    log_density,
    log_density_under,
    log_likelihoods,
    neighbours,
    working,
)
from number_worlds import (
    COUNT,
    ELSEWHERE,
    FAMILIES,
    FEATURES,
    NAMES,
    NORMAL,
    STATE,
    STATES,
    NumberWorld,
    combinations,
    holding,
    made,
)
from numpy.typing import NDArray

import dosift
from dosift.errors import DosiftWarning, InputError
from dosift.results.folder import read_result

Floats = NDArray[np.float64]
Key = tuple[int, ...]
#: The same numbers, whatever the way to them.
SAME = 1e-9
#: Where sums over rows in another order lead EM: it ends where a step brings 0.02 nats.
NEAR = 2e-3


@dataclass(frozen=True)
class View:
    """A world and the model fitted to it."""

    world: NumberWorld
    model: Any

    @cached_property
    def network(self) -> Any:
        return self.model.network_

    @cached_property
    def keys(self) -> list[Key]:
        return [tuple(t) for t in self.model.fitted_.result.targets.tolist()]

    @cached_property
    def values(self) -> Floats:
        return working(self.network, self.world.pool)

    @cached_property
    def row_logs(self) -> Floats:
        return log_likelihoods(self.network, self.keys, self.values)

    def together(self, logs: Floats) -> Floats:
        """Bring the rows of each unit together."""
        out = np.zeros((len(self.world.first), logs.shape[1]))
        np.add.at(out, self.world.place, logs)
        return out

    @cached_property
    def free_logs(self) -> Floats:
        """Of units, which are rows where these do not come in units; whatever labels say."""
        return self.together(self.row_logs)

    @cached_property
    def batch(self) -> NDArray[np.int64] | None:
        return None if self.world.batch is None else self.world.batch[self.world.first]

    @cached_property
    def units(self) -> dict[str, Any]:
        return {} if self.world.unit is None else {"unit": self.world.beside["unit"]}

    @cached_property
    def logs(self) -> Floats:
        """A row whose label was drawn at random can be of targets that it names only."""
        return self.labelled(self.free_logs, self.keys)

    def labelled(self, logs: Floats, keys: list[Key]) -> Floats:
        world = self.world
        if world.label is None or not world.random_labels:
            return logs
        may = np.array([[self.names(t, key) for key in keys] for t in range(len(world.sets))])
        may = np.concatenate([may, np.ones((1, len(keys)), dtype=bool)])
        return np.asarray(np.where(may[world.label[world.first]], logs, -np.inf))

    def near(self, exact: float, missing: float) -> float:
        """Tolerance: an integral over a missing number is a sum over a few points."""
        return missing if np.isnan(self.values).any() else exact

    def names(self, t: int, key: Key) -> bool:
        """Whether the label of a target names a target."""
        if frozenset(NAMES[i] for i, a in enumerate(key) if a >= 0) != self.world.sets[t]:
            return False
        deeds = self.world.family.deeds[t]
        return all(
            self.network.variables[NAMES.index(name)].states[key[NAMES.index(name)]]
            == STATES[int(by)]
            for name, (what, by) in deeds.items()
            if what == "state"
        )

    @cached_property
    def counts(self) -> Floats:
        return self.world.counts[self.world.first]

    @cached_property
    def n_rows(self) -> float:
        return float(self.world.counts.sum())

    @cached_property
    def weights(self) -> Floats:
        return np.asarray(self.model.weights_)

    @cached_property
    def batch_weights(self) -> Floats:
        found = self.model.fitted_.result.batch_weights
        return self.weights[None] if found is None else np.asarray(found)

    @cached_property
    def log_density(self) -> Floats:
        return _log_mixture(self.logs, self.weights)

    @cached_property
    def free_log_density(self) -> Floats:
        return _log_mixture(self.free_logs, self.weights)

    @cached_property
    def row_log_density(self) -> Floats:
        return _log_mixture(self.row_logs, self.weights)

    @cached_property
    def by_set(self) -> dict[frozenset[str], float]:
        """Weight of each set of variables."""
        out: dict[frozenset[str], float] = {}
        for target, weight in zip(self.model.targets_, self.weights.tolist(), strict=True):
            out[touched(target)] = out.get(touched(target), 0.0) + weight
        return out


def touched(target: Any) -> frozenset[str]:
    """Set of variables that a target touches."""
    return ELSEWHERE if target.is_other else frozenset(target)


def _log_mixture(logs: Floats, weights: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(np.logaddexp.reduce(logs + np.log(weights), axis=1))


PROMISES: dict[str, Callable[[View], None]] = {}
REFITS: dict[str, Callable[[View], None]] = {}


def promise(function: Callable[[View], None]) -> Callable[[View], None]:
    PROMISES[function.__name__] = function
    return function


def refits(function: Callable[[View], None]) -> Callable[[View], None]:
    REFITS[function.__name__] = function
    return function


@promise
def weights_are_a_distribution(view: View) -> None:
    assert view.weights.sum() == pytest.approx(1.0, abs=SAME)
    assert view.weights.min() >= 0
    assert (np.diff(view.weights) <= 0).all()
    assert len(set(view.keys)) == len(view.keys)
    np.testing.assert_allclose(view.batch_weights.sum(axis=1), 1.0, atol=SAME)
    told = view.model.mixture_.to_dict()["components"]
    assert [one["weight"] for one in told] == view.weights.tolist()
    json.dumps(told, allow_nan=False)


@promise
def log_likelihood_is_that_of_the_mixture(view: View) -> None:
    expected = float(view.counts @ view.log_density)
    n = view.counts.sum()
    assert view.model.log_likelihood_ == pytest.approx(expected, abs=view.near(1e-5, 2e-3 * n))
    free = float(view.world.counts @ view.row_log_density)
    score = view.model.score(view.world.pool, sample_weight=view.world.counts)
    assert score == pytest.approx(free / view.n_rows, abs=view.near(1e-8, 2e-3))


@promise
def the_gap_holds(view: View) -> None:
    ratio = np.exp(view.logs - view.log_density[:, None])
    gradients = view.counts @ ratio / view.counts.sum()
    assert view.model.converged_
    assert view.model.optimality_gap_ <= 1e-8
    assert gradients.max() - 1.0 <= view.model.optimality_gap_ + view.near(1e-9, 2e-3)
    assert np.abs(view.weights * (gradients - 1.0)).max() <= view.near(1e-7, 2e-3)


@promise
def rows_agree_with_the_fit(view: View) -> None:
    """Posteriors are those of the mixture, and their sums are the components' rows."""
    posterior = view.model.predict_proba(view.world.pool, **view.units)
    expected = np.exp(view.free_logs - view.free_log_density[:, None]) * view.weights
    np.testing.assert_allclose(posterior, expected[view.world.place], atol=view.near(1e-7, 0.03))
    n = view.counts.sum()
    posterior = np.exp(view.logs - view.log_density[:, None]) * view.weights
    np.testing.assert_allclose(
        view.counts @ posterior, n * view.weights, atol=n * view.near(1e-6, 2e-3)
    )
    assert view.model.components_["rows"].sum() == pytest.approx(view.n_rows)
    batch = view.batch
    if batch is not None:
        own = view.model.predict_proba(view.world.pool, batch=view.world.beside["batch"])
        joint = np.exp(view.logs - view.logs.max(axis=1, keepdims=True))
        joint *= view.batch_weights[_order_of_batches(view)][batch]
        np.testing.assert_allclose(own, joint / joint.sum(axis=1, keepdims=True), atol=1e-7)


def _order_of_batches(view: View) -> list[int]:
    names = list(view.model.fitted_.batches)
    return [names.index(name) for name in ("night", "day")]


@promise
def predict_names_a_line_of_the_table(view: View) -> None:
    best = view.model.predict(view.world.pool, **view.units)
    assert set(best) <= set(view.model.components_["target"])
    best = best[view.world.counts > 0]
    sets = {text: i for i, text in enumerate(view.model.components_["target"])}
    share = np.bincount([sets[text] for text in best], minlength=len(sets)) / len(best)
    np.testing.assert_allclose(share, view.model.components_["weight"], atol=0.15)


@promise
def surprise_is_that_of_the_mixture(view: View) -> None:
    found = view.model.surprise(view.world.pool)
    np.testing.assert_allclose(found, -view.row_log_density, atol=view.near(1e-7, 0.2))
    p_values = view.model.surprise_p_value(view.world.pool)
    assert ((p_values >= 0) & (p_values <= 1)).all()


@promise
def the_truth_is_found(view: View) -> None:
    world = view.world
    truth = dict(zip(world.sets, world.true_weights.tolist(), strict=True))
    assert {one for one, weight in truth.items() if weight > 0.05} <= set(view.by_set)
    every = {*truth, *view.by_set}
    off = sum(abs(view.by_set.get(one, 0.0) - truth.get(one, 0.0)) for one in every)
    assert 0.5 * off < 0.12
    moved = ["V3"] if "moved mechanism" in world.features else []
    assert view.model.mechanisms_["variable"].to_list() == moved


@promise
def the_certificate_holds(view: View) -> None:
    """No neighbour is steeper than is said, in the pool; in batches, in none of them."""
    found = view.model.certificate_
    near = {n for key in view.keys for n in neighbours(view.network, key)} - set(view.keys)
    if not near:
        return
    others = sorted(near)
    logs = view.together(log_likelihoods(view.network, others, view.values))
    logs = view.labelled(logs, others)
    largest = 0.0
    batch = view.batch if view.batch is not None else np.zeros(len(logs), dtype=int)
    weights = view.batch_weights
    if view.world.batch is not None:
        weights = weights[_order_of_batches(view)]
    for b, own in enumerate(weights):
        at = (batch == b) & (view.counts > 0)
        ratio = np.exp(logs[at] - _log_mixture(view.logs[at], own)[:, None])
        gradients = view.counts[at] @ ratio / view.counts[at].sum()
        largest = max(largest, float(gradients.max()))
    if found.n_variables == len(NAMES):
        assert found.largest_gradient >= largest - view.near(1e-5, 0.02)
        assert found.n_targets <= len(every_target(view.network))


@promise
def intervals_hold_the_estimate(view: View) -> None:
    tables = [(view.model.components_, "weight"), (view.model.variables_, "rate")]
    if view.world.batch is not None:
        tables.append((view.model.batches_, "weight"))
    for table, column in tables:
        value, low, high = (table[name].to_numpy() for name in (column, "ci_low", "ci_high"))
        assert ((low >= 0) & (low <= value + 1e-9)).all()
        assert ((value <= high + 1e-9) & (high <= 1)).all()
    changed = view.model.variables_.filter(pl.col("estimate").is_not_null())
    assert (changed["estimate_ci_low"] <= changed["estimate"]).all()
    assert (changed["estimate"] <= changed["estimate_ci_high"]).all()


@promise
def totals_are_sums_of_weights(view: View) -> None:
    table = view.model.variables_
    for name in NAMES:
        rates = table.filter(pl.col("variable") == name, pl.col("value") == "")["rate"].to_list()
        expected = sum(weight for one, weight in view.by_set.items() if name in one)
        assert rates == [pytest.approx(expected, abs=1e-8)]
    for text, weight in view.model.components_.select("target", "weight").iter_rows():
        at = [str(target) for target in view.model.targets_].index(text)
        own = touched(view.model.targets_[at])
        states = {v for v in NAMES if view.network.variables[NAMES.index(v)].kind == "discrete"}
        if not own & states:
            assert weight == pytest.approx(view.by_set[own], abs=1e-8)


@promise
def what_labels_name_is_in_the_mixture(view: View) -> None:
    if view.world.label is None:
        return
    for t in {t for t in view.world.label.tolist() if t >= 0}:
        assert any(view.names(t, key) for key in view.keys)


@promise
def clean_rows_are_not_rejected(view: View) -> None:
    check = view.model.fit_check_
    assert 0 <= check.p_value <= 1
    if "sample weights" not in view.world.features:
        # Rows that count twice and thrice vary more than as many rows of their own.
        assert check.p_value > 1e-5
    expected = 0.02 + view.by_set.get(ELSEWHERE, 0.0)
    assert view.model.unexplained_rows_ <= expected * view.n_rows + 3
    json.dumps(view.model.diagnostics(), allow_nan=False)


@promise
def nothing_is_nan(view: View) -> None:
    model = view.model
    for table in (model.components_, model.variables_, model.pairs_, model.interventions_):
        for column in table.select(pl.col(pl.Float64)).iter_columns():
            assert not column.is_nan().any(), column.name


# What must not matter.


def same_answer(one: View, other: View, tolerance: float = NEAR) -> None:
    every = {*one.by_set, *other.by_set}
    for key in every:
        assert one.by_set.get(key, 0.0) == pytest.approx(
            other.by_set.get(key, 0.0), abs=tolerance
        ), key


def again(world: NumberWorld) -> View:
    return View(world, world.fit())


@refits
def order_of_rows_does_not_matter(view: View) -> None:
    world = view.world
    order = np.random.default_rng(world.seed).permutation(len(world.pool))
    same_answer(view, again(_some_rows(world, order)))


def _some_rows(world: NumberWorld, rows: NDArray[np.int64]) -> NumberWorld:
    return replace(
        world,
        pool=world.pool[rows.tolist()],
        component=world.component[rows],
        weight=None if world.weight is None else world.weight[rows],
        batch=None if world.batch is None else world.batch[rows],
        label=None if world.label is None else world.label[rows],
        unit=None if world.unit is None else world.unit[rows],
    )


@refits
def names_and_their_order_do_not_matter(view: View) -> None:
    world = view.world
    new = {name: f"x {name[1:]}, =" for name in NAMES}
    order = [new[name] for name in ("V2", "V0", "V3", "V1")]
    other = replace(
        world,
        control=world.control.rename(new).select(order),
        pool=world.pool.rename(new).select(order[::-1]),
        edges=tuple((new[a], new[b]) for a, b in reversed(world.edges)),
        called=tuple(new.items()),
    )
    kinds = {new[name]: kind for name, kind in world.kinds.items()}
    found = View(other, other.fit(kinds))
    back = {new_name: name for name, new_name in new.items()}
    weights = {frozenset(back.get(n, n) for n in key): w for key, w in found.by_set.items()}
    for key in {*weights, *view.by_set}:
        assert weights.get(key, 0.0) == pytest.approx(view.by_set.get(key, 0.0), abs=NEAR)


@refits
def rows_given_twice_are_rows_of_weight_two(view: View) -> None:
    world = view.world
    twice = _some_rows(world, np.tile(np.arange(len(world.pool)), 2))
    if world.unit is not None:
        twice = replace(twice, unit=np.append(world.unit, world.unit + len(world.first)))
    same_answer(again(twice), again(replace(world, weight=2.0 * world.multiplicity)), 1e-6)


@refits
def units_do_not_matter(view: View) -> None:
    """Times 1,000, and plus 5 where a number is taken as it is: only printed numbers change."""
    world = view.world
    numbers = [n for n, k in zip(NAMES, world.family.kinds, strict=True) if k not in (STATE, COUNT)]
    added = [n for n, k in zip(NAMES, world.family.kinds, strict=True) if k is NORMAL]
    # A share times 1,000 is none any more.
    numbers = [n for n in numbers if world.family.kinds[NAMES.index(n)].signal is not SHARE_SIGNAL]

    def other(table: pl.DataFrame) -> pl.DataFrame:
        scaled = table.with_columns(pl.col(name) * 1000.0 for name in numbers)
        return scaled.with_columns(pl.col(name) + 5.0 for name in added)

    found = again(replace(world, control=other(world.control), pool=other(world.pool)))
    same_answer(view, found)
    if world.most is not None and any(target.is_other for target in view.model.targets_):
        return  # another sample says whether a number of rows from elsewhere is normal or even
    assert found.model.log_likelihood_ == pytest.approx(view.model.log_likelihood_, abs=0.5)


SHARE_SIGNAL = next(f for f in FAMILIES if f.name == "telemetry").kinds[2].signal


# What is done with a fit.


@refits
def the_command_writes_and_reads_the_same(view: View) -> None:
    """Files in, a folder out, which judges rows as the model does."""
    world = view.world
    if world.weight is not None:
        return  # a file has no weights
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world.control.write_csv(folder / "control.csv")
        (folder / "edges.csv").write_text(
            "parent,child\n" + "".join(f"{a},{b}\n" for a, b in world.edges)
        )
        arguments = ["fit", folder / "rows.csv", "--control", folder / "control.csv"]
        arguments += ["--graph", folder / "edges.csv", "-o", folder / "out", "--quiet"]
        rows = world.pool
        if world.batch is not None:
            rows = rows.with_columns(pl.Series("its batch", list(world.beside["batch"])))
            arguments += ["--batch", "its batch"]
        if world.label is not None:
            rows = rows.with_columns(pl.Series("its label", list(world.beside["labels"])))
            arguments += ["--labels", "its label"]
            arguments += ["--random-labels"] if world.random_labels else []
        own = []
        if world.unit is not None:
            rows = rows.with_columns(pl.Series("its unit", list(world.beside["unit"])))
            own = ["--unit", "its unit"]
        arguments += own
        if world.kinds:
            arguments += ["--counts", ",".join(world.kinds)]
        rows.write_csv(folder / "rows.csv")
        with holding(world.most):
            status = run(*arguments)
        assert (status == 0) == view.model.fit_check_.fits
        shown = pl.read_csv(folder / "out" / "components.csv")
        assert shown["target"].to_list() == view.model.components_["target"].to_list()
        np.testing.assert_allclose(shown["weight"], view.model.components_["weight"], atol=1e-9)
        back = read_result(folder / "out")
        assert {touched(t) for t in back.mixture} == set(view.by_set)
        new = ("-o", folder / "new.csv", "-q", *own)
        assert run("assign", folder / "out", folder / "rows.csv", *new) == 0
        told = pl.read_csv(folder / "new.csv")
        assert told["target"].to_list() == list(view.model.predict(world.pool, **view.units))
        posterior = view.model.predict_proba(world.pool, **view.units)
        if len(shown) == len(view.weights):
            # What does not stand is never certain.
            standing = view.model.predict_proba(world.pool, standing=True, **view.units)
            best = standing[np.arange(len(standing)), posterior.argmax(axis=1)]
            np.testing.assert_allclose(told["probability"], best, atol=1e-6)
        for path in (folder / "out").iterdir():
            if path.suffix in (".csv", ".json"):
                text = path.read_text(encoding="utf-8")
                assert "NaN" not in text
                assert "Infinity" not in text


def run(*arguments: object) -> int:
    from dosift.cli.app import app

    status: int = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return status


def is_refused_in_blocks(view: View, again: Callable[..., Any]) -> bool:
    """Whether rows are too many for fits again and again, which then are refused."""
    if view.world.most is None:
        return False
    with holding(view.world.most), pytest.raises(InputError, match="rows in blocks"):
        again(view.model, view.world.pool, **view.world.beside)
    return True


@refits
def the_bootstrap_resamples_the_problem(view: View) -> None:
    if is_refused_in_blocks(view, dosift.bootstrap):
        return
    found = dosift.bootstrap(view.model, view.world.pool, n_resamples=6, **view.world.beside)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, atol=1e-8)
    table = found.summary()
    shown = dict(view.model.components_.select("target", "weight").iter_rows())
    told = dict(table.select("target", "weight").iter_rows())
    strong = [text for text, weight in shown.items() if weight > 0.08]
    for text in strong:
        assert told[text] == pytest.approx(shown[text], abs=1e-8)
    share = dict(table.select("target", "share_found").iter_rows())
    assert all(share[text] == 1.0 for text in strong)
    errors = dict(table.select("target", "std_error").iter_rows())
    assert all(0.0005 < errors[text] < 0.08 for text in strong)


@refits
def weights_alone_and_drawn_rows_are_bootstrapped(view: View) -> None:
    """With targets as they are found, of rows drawn with replacement and of rows simulated."""
    if view.world.most is not None:
        return
    shown = dict(view.model.components_.select("target", "weight").iter_rows())
    for kind, search in (("nonparametric", False), ("parametric", False), ("parametric", True)):
        found = dosift.bootstrap(
            view.model, view.world.pool, n_resamples=4, kind=kind, search=search,
            **view.world.beside,
        )  # fmt: skip
        np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, atol=1e-8)
        table = found.summary()
        told = {text: line for text, *line in table.select("target", "weight", "std_error").rows()}
        if not search:
            assert set(told) <= set(shown)
        for text, weight in shown.items():
            if weight > 0.08:
                assert told[text][0] == pytest.approx(weight, abs=1e-8)
                assert 0.0005 < told[text][1] < 0.08


@refits
def held_out_rows_are_predicted(view: View) -> None:
    if is_refused_in_blocks(view, dosift.held_out):
        return
    found = dosift.held_out(view.model, view.world.pool, folds=2, **view.world.beside)
    assert found.impossible == 0
    assert found.gain > 0.2
    assert found.mixture > found.network


@cache
def fitted(index: int, seed: int = 0) -> View:
    family, features = combinations()[index]
    world = made(family, features, seed)
    return View(world, world.fit())


NAMED = ["+".join((family.name, *(f.name for f in chosen))) for family, chosen in combinations()]
WORLDS = [pytest.param(i, id=name) for i, name in enumerate(NAMED)]
PLAIN = [p for p, (_, features) in zip(WORLDS, combinations(), strict=True) if not features]
#: Several times the fits of others: quick tests have it in one family.
TAKES_LONG = "rows from elsewhere"
#: A fit and more of each: quick tests have it in one family, too, and its pairs not at all.
TAKES_TWICE = "moved mechanism"
WITH_OTHERS = next(p for p in WORLDS if p.id == f"{FAMILIES[0].name}+{TAKES_LONG}")


def _by_turns() -> list[Any]:
    """Every family alone, each feature in one of them, and a pair; slow tests have all.

    Long tests have each feature in another family, and every second pair, too.
    """
    chosen = list(PLAIN)
    for k, name in enumerate(f.name for f in FEATURES):
        families = FAMILIES[:1] if name in (TAKES_LONG, TAKES_TWICE) else FAMILIES[k % 2 :: 2]
        own = [p for p in WORLDS if p.id in {f"{one.name}+{name}" for one in families}]
        first = (k // 2) % len(own)
        chosen.append(own.pop(first))
        chosen += [pytest.param(*p.values, id=p.id, marks=pytest.mark.long) for p in own]
    pairs = [p for p in WORLDS if len(p.id.split("+")) > 2 and TAKES_TWICE not in p.id]
    chosen += [pairs[0]]
    return chosen + [pytest.param(*p.values, id=p.id, marks=pytest.mark.long) for p in pairs[2::2]]


#: What takes further fits is kept by the quick tests in every other family, by turns.
QUICK_REFITS = [
    *(
        pytest.param(name, *p.values, id=f"{name}-{p.id}")
        for k, name in enumerate(REFITS)
        for p in PLAIN[k % 2 :: 2]
    ),
    pytest.param("order_of_rows_does_not_matter", *WITH_OTHERS.values, id=WITH_OTHERS.id),
]


@pytest.mark.parametrize("index", _by_turns())
@pytest.mark.parametrize("name", PROMISES)
def test_number_promise(index: int, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        PROMISES[name](fitted(index))


@pytest.mark.long
@pytest.mark.parametrize(("name", "index"), QUICK_REFITS)
def test_number_promise_of_further_fits(index: int, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        REFITS[name](fitted(index))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("index", WORLDS)
def test_number_promises_over_seeds(index: int, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        view = fitted(index, seed)
        for kept in (*PROMISES.values(), *REFITS.values()):
            kept(view)


def test_the_oracle_of_numbers_itself() -> None:
    """Densities that it names integrate to one."""
    view = fitted(0)
    grid = np.linspace(-15.0, 15.0, 3001)
    rows = np.tile(view.values[:1], (len(grid), 1))
    rows[:, 3] = grid  # a variable that nothing depends on
    parts = [log_likelihoods(view.network, [key], rows)[:, 0] for key in view.keys]
    for part, key in zip(parts, view.keys, strict=True):
        rest = _of_the_others(view, key)
        assert np.exp(part - rest).sum() * (grid[1] - grid[0]) == pytest.approx(1.0, abs=1e-3)


def _of_the_others(view: View, key: Key) -> float:
    """Log-density of the first row's other variables."""
    network, values = view.network, view.values[:1]
    parts = [
        log_density(network.mechanisms[i], values)
        if key[i] < 0
        else log_density_under(network, i, key[i], values)
        for i in range(3)
    ]
    return float(np.sum(parts))


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("kind", ["any", "stochastic"])
def test_what_numbers_do_not_go_with_is_refused(kind: str) -> None:
    world = made(FAMILIES[0], (), 0)
    model = dosift.InterventionMixture(interventions=kind)
    with pytest.raises(InputError, match="cannot be combined"):
        model.fit(world.pool, control=world.control, graph=list(world.edges))
