"""What every fit promises, in every world: one list of promises, one list of kinds of rows.

A promise is a function of a world and a fitted model. A world that the one table of refusals
refuses is passed over; one that is refused otherwise fails. What takes further fits (`refits`) is
kept in a few worlds; ``-m slow`` does all, with more seeds.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import tempfile
import warnings
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from oracle import (
    Key,
    all_targets,
    best_weights,
    density,
    description_length,
    done,
    is_elsewhere,
    likelihoods,
    neighbours,
)
from view import View, log_likelihood
from worlds import (
    FEATURES,
    LASTS,
    Feature,
    World,
    check_refusal,
    combinations,
    few_are_many,
    make,
    permuted,
    permuted_target,
    with_beside,
)

import dosift
from dosift.errors import DosiftWarning, InputError
from dosift.model.target_text import parse_target
from dosift.results.folder import read_result

Floats = NDArray[np.float64]
Promise = Callable[[View], None]

#: The same answer, whatever the way to it.
SAME = 1e-9
#: Methods that maximise the likelihood.
OPTIMISING = ("likelihood", "em")

PROMISES: dict[str, Promise] = {}
REFITS: set[str] = set()


def promise(function: Promise) -> Promise:
    PROMISES[function.__name__] = function
    return function


def refits(function: Promise) -> Promise:
    REFITS.add(function.__name__)
    return promise(function)


# What a mixture is.


@promise
def weights_are_a_distribution(view: View) -> None:
    weights = np.array(view.model.weights_)
    assert weights.sum() == pytest.approx(1.0, abs=SAME)
    assert weights.min() >= 0
    assert (np.diff(weights) <= 0).all()
    assert len(set(view.keys)) == len(view.keys)
    told = view.model.mixture_.to_dict()["components"]
    assert told == [
        {"do": dict(t), **_other(view, t), "weight": w}
        for t, w in zip(view.model.targets_, weights, strict=True)
    ]
    assert all(
        sum(own.values()) == pytest.approx(1.0)
        for one in told
        for own in one.get("other", {}).values()
    )
    if view.world.batch is not None:
        np.testing.assert_allclose(view.batch_weights.sum(axis=1), 1.0, atol=SAME)
        assert view.batch_weights.min() >= 0


def _other(view: View, target: dosift.Target) -> dict[str, Any]:
    """What a mixture file says of rows from elsewhere: shares of states."""
    if not target.is_other:
        return {}
    network = view.model.network_
    of_each = zip(network.variables, network.other, strict=True)
    return {"other": {v.name: dict(zip(v.states, map(float, p), strict=True)) for v, p in of_each}}


@promise
def rows_are_counted(view: View) -> None:
    assert view.model.n_rows_ == pytest.approx(view.n_rows)
    shown = view.model.components_
    assert shown["target"].to_list() == [str(t) for t in view.model.targets_]
    np.testing.assert_allclose(shown["weight"], view.model.weights_, atol=SAME)
    if view.world.time is None:
        np.testing.assert_allclose(shown["rows"], view.n_rows * view.model.weights_, rtol=1e-9)
    else:
        np.testing.assert_allclose(shown["rows"], view.expected_rows.sum(axis=0), rtol=1e-6)
    assert shown["size"].to_list() == [sum(a >= 0 for a in done(key)) for key in view.keys]
    n_units = view.model.fitted_.n_units
    assert n_units == (None if view.world.unit is None else pytest.approx(view.n_units))
    if view.world.batch is not None:
        table = view.model.batches_
        names = view.world.beside["batch"]
        for name in view.batch_names:
            own = table.filter(table["batch"] == name)
            at = view.world.batch[names == name][0]
            shown = dict(zip(map(view.world.key, own["target"]), own["rows"], strict=True))
            for key, expected in zip(view.keys, view.expected_rows[at].tolist(), strict=True):
                assert shown.get(key, 0.0) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@promise
def log_likelihood_is_that_of_the_mixture(view: View) -> None:
    assert view.model.log_likelihood_ == pytest.approx(view.log_likelihood, abs=1e-6)
    score = view.model.score(view.rows.frame, sample_weight=view.rows.multiplicity)
    kept = view.rows.multiplicity > 0
    n = view.rows.multiplicity.sum()
    assert score == pytest.approx(
        view.rows.multiplicity[kept] @ np.log(view.density[kept]) / n, abs=SAME
    )
    lost = view.units.multiplicity[~view.possible].sum()  # none where it maximises the likelihood
    assert view.model.impossible_rows_ == lost


@promise
def the_gap_holds(view: View) -> None:
    """No other weights over these targets gain more than the model says."""
    free = ~view.is_known
    if not free.any():
        return
    if view.world.time is not None:
        _no_step_helps_in_time(view, free)
        return
    gradients = view.gradients(view.keys)[free]
    assert gradients.max() - 1.0 <= view.model.optimality_gap_ + 1e-10
    if view.world.method == "likelihood":
        assert view.model.converged_
        assert view.model.optimality_gap_ <= 1e-8
        weights = np.array(view.model.weights_)[free]
        assert np.abs(weights * (gradients - 1.0)).max() <= 1e-7


def _no_step_helps_in_time(view: View, free: NDArray[np.bool_]) -> None:
    """A little more of any target, in any batch, makes a series no likelier."""
    best, step = view.log_likelihood, 1e-3
    assert view.model.converged_
    for b, j in np.argwhere(free & (view.batch_weights > 0)).tolist():
        weights = view.batch_weights.copy()
        rest = weights[b, free].sum()
        weights[b, free] *= 1.0 - step
        weights[b, j] += step * rest
        assert view.log_likelihood_in_time(weights) <= best + 1e-4


@promise
def rows_agree_with_the_fit(view: View) -> None:
    """Sums of posteriors over the rows of the fit are the components' rows."""
    if view.world.time is not None:
        return  # as the table of components has them; weights are shares in the long run
    if view.world.method != "likelihood" or view.world.known:
        return
    rows = view.units
    units = {} if view.world.unit is None else {"unit": view.rows.beside["unit"]}
    posterior = view.model.predict_proba(view.rows.frame, **units)
    posterior = posterior[np.unique(view.rows.place, return_index=True)[1]]
    if rows.label is not None and rows.random_labels:
        for r in np.flatnonzero(rows.label >= 0):
            posterior[r] = [key == rows.targets[rows.label[r]] for key in view.keys]
    sums = rows.counts @ posterior
    expected = view.n_units * np.array(view.model.weights_)
    np.testing.assert_allclose(sums, expected, atol=view.n_units * 1e-7)


@promise
def posteriors_are_those_of_the_mixture(view: View) -> None:
    rows = view.rows
    units = {role: one for role, one in rows.beside.items() if role in ("unit", "time")}
    if rows.time is not None:  # of new rows nothing is known but their time
        rows = replace(rows, label=None)
    beside = units if rows.batch is None else {**units, "batch": rows.beside["batch"]}
    for given, pooled in ((beside, False), (units, True)):
        found = view.model.predict_proba(rows.frame, **given)
        some = view.possible[rows.place]
        np.testing.assert_allclose(found[some].sum(axis=1), 1.0, atol=SAME)
        assert np.isnan(found[~some]).all()
        found, expected = found[some], view.posterior(rows, pooled)[some]
        np.testing.assert_allclose(found, expected, atol=SAME)
        best = view.model.predict(rows.frame, **given)
        assert all(text is None for text in best[~some])
        best = best[some]
        at = [[str(t) for t in view.model.targets_].index(text) for text in best]
        chosen = expected[np.arange(len(at)), at]
        np.testing.assert_allclose(chosen, expected.max(axis=1), atol=SAME)


@promise
def surprise_is_that_of_the_mixture(view: View) -> None:
    density = view.density
    surprise = view.model.surprise(view.rows.frame)
    np.testing.assert_allclose(surprise, -np.log(density), atol=1e-9)
    p_values = view.model.surprise_p_value(view.rows.frame)
    assert ((p_values >= 0) & (p_values <= 1)).all()
    if view.world.has("missing values"):
        return
    # The share of the mixture's own rows that are at most as probable, by enumeration.
    joint = np.stack([_density(view, key) for key in view.keys], axis=-1) @ view.model.weights_
    cells = joint.ravel()
    exact = np.array([cells[cells <= d * (1 + 1e-9)].sum() for d in density])
    np.testing.assert_allclose(p_values, exact, atol=0.02)


def _density(view: View, key: Key) -> Floats:
    return density(view.model.network_, key)


# What a fit finds.


@promise
def the_truth_is_no_better(view: View) -> None:
    """The penalised likelihood of the true targets is not above that of the answer."""
    world, rows, model = view.world, view.units, view.model
    if world.method not in OPTIMISING or not view.possible.all():
        return
    if world.time is not None:
        _truth_in_time_is_no_better(view)
        return
    known = dict(world.known)
    for b, real_weights in enumerate(world.weights):
        truth = [key for key, w in zip(world.targets, real_weights, strict=True) if w > 0]
        columns = view.rows.likelihoods(world.real, truth)
        fixed = np.array([known.get(key, np.nan) for key in truth])
        at = np.ones(len(columns), dtype=bool) if rows.batch is None else rows.batch == b
        part, its = rows.some(at), columns[at]
        if world.random_labels:
            best = log_likelihood(part, truth, its, real_weights[real_weights > 0])
        else:
            best = log_likelihood(part, truth, its, best_weights(its, part.counts, fixed))
        own = view.columns[at]
        weights = view.batch_weights[b]
        present = [key for key, w in zip(view.keys, weights, strict=True) if w > 0]
        found = log_likelihood(part, view.keys, own, weights)
        slack = model.optimality_gap_ * part.counts.sum() + 1e-6
        if world.method == "likelihood" and not set(truth) <= set(present):
            n, net = view.n_units, world.given
            slack += max(
                description_length(net, truth, n) - description_length(net, present, n), 0.0
            )
        if world.has("any", "moved mechanism"):
            slack += 0.5 * world.real.tables[3].size * np.log(view.n_rows)
        if world.given.control is not None and world.method == "likelihood":
            best += _teaching(view, world.real)
            found += _teaching(view, model.network_)
            slack += 0.5
            if world.batch is not None:
                slack += 2.0  # tables are those of the pool
        if world.given.control is not None and world.method == "em":
            continue  # with given tables, which are not the true ones
        assert found >= best - slack


def _truth_in_time_is_no_better(view: View) -> None:
    world, rows = view.world, view.rows
    if world.given.control is not None:
        return  # the tables that are found fit the rows better than the true ones
    batch = np.zeros(len(rows.codes), dtype=int) if rows.batch is None else rows.batch
    truth = list(world.targets)
    columns = rows.likelihoods(world.real, truth)
    steps = np.diff(np.sort(rows.time)).clip(0)
    rate = 1.0 / (LASTS * steps[steps > 0].mean())
    best = view.chain(rows, truth, columns, world.weights[batch], rate)[0]
    slack = 1e-6
    if not set(truth) <= set(view.keys):
        n = view.n_units
        slack += max(description_length(world.given, truth, n), 0.0)
    if world.known:
        slack += 2.0  # a weight that is known holds in all batches
    assert view.log_likelihood >= best - slack


def _teaching(view: View, network: dosift.Network) -> float:
    """What control rows, prior and labelled rows say of the tables."""
    world = view.world
    control = world.given.control
    assert control is not None
    total = 0.0
    for i, (counts, table) in enumerate(zip(control.counts, network.tables, strict=True)):
        if world.has("any", "moved mechanism") and world.given.names[i] == "V3":
            continue  # its table is another one now
        total += float(((counts + control.prior) * np.log(table)).sum())
    if world.label is not None and not world.random_labels:
        for t, target in enumerate(world.targets):
            at = world.label == t
            if at.any():
                own = likelihoods(network, [target], world.codes[at])[:, 0]
                total += float(world.multiplicity[at] @ np.log(own))
    return total


@promise
def the_truth_is_found(view: View) -> None:
    """Weights far above their error: the sums of the true do's come out, whatever the method."""
    world = view.world
    truth = dict(zip(world.targets, world.true_weights.tolist(), strict=True))
    if world.method == "likelihood":
        assert {key for key, w in truth.items() if w > 0.05} <= set(view.keys)
        keys = {*view.keys, *truth}
        off = sum(abs(view.weights.get(key, 0.0) - truth.get(key, 0.0)) for key in keys)
        assert 0.5 * off < 0.15
    changed = world.has("any", "moved mechanism")
    assert len(view.model.mechanisms_) == (1 if changed else 0)
    if changed:
        assert view.model.mechanisms_["variable"].to_list() == ["V3"]
    if world.has("stochastic") and world.method == "likelihood":
        kinds = {
            tuple(names): kind
            for names, kind in view.model.interventions_.select("variables", "kind").iter_rows()
        }
        assert kinds["V1",] == "stochastic"


@promise
def the_graph_is_found(view: View) -> None:
    """The right one, whatever the rows had to find out; and what is said of it agrees."""
    world, model = view.world, view.model
    names = model.network_.names
    edges = {(names[p], names[i]) for i, row in enumerate(model.network_.parents) for p in row}
    assert edges == set(world.given.edges)
    if world.given.control is None or world.method != "likelihood" or world.has("any"):
        assert model.graph_ is None
        return
    table = model.graph_
    assert {(a, b) for a, b, *_ in table.iter_rows()} == edges
    _between_0_and_1(table["probability"])
    if world.start is None:
        assert set(table["status"]) == {"given"}
        assert model.fitted_.graph.asked == ()
        return
    before = set(world.start.edges)
    for a, b, probability, status in table.iter_rows():
        assert status in ("open", "kept" if (a, b) in before else "added")
        # A sample of 64 rows leaves directions open.
        assert probability > (0.5 if world.storage == "memory" else 0.1)
    shares = [share for _, share in model.fitted_.graph.members]
    assert sum(shares) <= 1.0 + SAME
    assert min(shares) >= 0.01 or len(shares) == 1


@promise
def what_is_known_is_heeded(view: View) -> None:
    world = view.world
    for key in world.required:
        assert key in view.keys
    for key, weight in world.known:
        assert view.weights[key] == pytest.approx(weight, abs=1e-12)
    if world.candidates is not None:
        listed = {key for key in view.keys if not is_elsewhere(key)}
        assert listed <= {*world.candidates, *world.required}
    if world.label is not None:
        assert {world.targets[t] for t in world.label if t >= 0} <= set(view.keys)


@promise
def the_certificate_holds(view: View) -> None:
    """No target that could be brought in has a steeper gradient than the certificate says."""
    model, world = view.model, view.world
    found = model.certificate_
    if world.time is not None:
        assert found is not None  # of the stretches that were found, which are not at hand here
        return
    if world.method != "likelihood":
        assert found is None
        return
    assert found is not None
    assert found.largest_gradient >= 1.0
    every = [key for key in all_targets(model.network_) if world.permits(key)]
    gradients = dict(zip(every, view.steepest(every).tolist(), strict=True))
    others = {key: g for key, g in gradients.items() if key not in view.weights}
    near = {n for key in view.keys for n in neighbours(model.network_, key)} & set(others)
    assert found.scope in ("all", "neighbours", "candidates")
    assert (found.scope == "candidates") == (world.candidates is not None)
    if found.scope != "neighbours":
        near = set(others)
    if found.n_variables < model.network_.n_variables:
        near = set()  # variables were screened out: it says less
    else:
        assert found.n_targets <= len(others)
        if not world.known:
            assert found.n_targets >= sum(others[key] > 1e-12 for key in near)
    largest = max([others[key] for key in near], default=1.0)
    assert found.largest_gradient >= largest - 1e-6
    if found.target is not None:
        named = tuple(int(a) for a in found.target)
        if found.n_variables == model.network_.n_variables:
            assert gradients[named] == pytest.approx(found.largest_gradient, abs=1e-6)
    else:
        assert largest <= 1.0 + 1e-6


# What is said about errors.


@promise
def intervals_hold_the_estimate(view: View) -> None:
    table = view.model.components_
    if view.world.method not in OPTIMISING or not view.possible.all():
        assert table["std_error"].is_null().all()
        return
    free = ~view.is_known
    for column in ("std_error", "ci_low", "ci_high", "p_value"):
        assert table[column].is_null().to_list() == (~free).tolist()
    _check_intervals(table.filter(pl.Series(free)), "weight")
    # A sum of known weights has no error.
    some = not view.world.known
    for other, column in ((view.model.variables_, "rate"), (view.model.pairs_, "rate")):
        _check_intervals(other, column, some)
    _check_intervals(view.model.interventions_, "weight", some)
    _check_intervals(view.model.families_, "weight", some)
    if view.world.batch is not None:
        _check_intervals(view.model.batches_, "weight")


def _check_intervals(table: pl.DataFrame, column: str, some: bool = True) -> None:
    value, low, high = (table[name].to_numpy() for name in (column, "ci_low", "ci_high"))
    assert (low >= 0).all()
    assert (high <= 1).all()
    assert (low <= value + 1e-9).all()
    assert (high >= value - 1e-9).all()
    if "std_error" in table.columns and some:
        error = table["std_error"].to_numpy()
        inside = (value > 1e-9) & (value < 1 - 1e-9)
        assert (error[inside] > 0).all()
        assert (error < 0.5).all()
        assert (high[inside] > low[inside]).all()


@promise
def errors_are_of_the_right_size(view: View) -> None:
    """Between what rows with known targets would leave, and twice what the curvature says."""
    if view.world.method != "likelihood" or view.world.known or view.world.time is not None:
        return  # in time, draws tell the weights, not rows (tests/chain)
    weights = np.array(view.model.weights_)
    strong = (weights > 0.05) & np.array([key in view.world.targets for key in view.keys])
    columns = view.columns
    if view.world.has("moved mechanism"):  # do's on all others: their shares go with one another
        undecided = [view.world.key(text) for text in view.model.undecided_["target"]]
        columns = np.hstack([columns, view.likelihoods(undecided)]) if undecided else columns
    relative = columns / (view.columns @ weights)[:, None]
    plain = view.units.counts
    if view.world.random_labels:
        return
    information = (relative * plain[:, None]).T @ relative
    m = columns.shape[1]
    # On the simplex: the inverse of the bordered matrix.
    bordered = np.block([[information, np.ones((m, 1))], [np.ones((1, m)), np.zeros((1, 1))]])
    curvature = np.sqrt(np.diag(np.linalg.pinv(bordered))[: len(weights)].clip(0))
    least = np.sqrt(weights * (1 - weights) / view.n_units)
    shown = view.model.components_["std_error"].to_numpy()
    assert (shown[strong] >= 0.8 * least[strong]).all()
    assert (shown[strong] <= 2.5 * curvature[strong] + 0.01).all()


@promise
def totals_are_sums_of_weights(view: View) -> None:
    names = view.model.network_.names
    states = [v.states for v in view.model.network_.variables]
    table = view.model.variables_
    assert table.height == sum(len(s) + 1 for s in states)
    of_keys = [(done(key), weight) for key, weight in view.weights.items()]
    for variable, value, rate in table.select("variable", "value", "rate").iter_rows():
        i = names.index(variable)
        a = states[i].index(value) if value else None
        expected = sum(w for k, w in of_keys if k[i] >= 0 and a in (None, k[i]))
        assert rate == pytest.approx(expected, abs=1e-9)
    for text, rate in view.model.pairs_.select("target", "rate").iter_rows():
        part = view.world.key(text)
        expected = sum(
            w for k, w in of_keys if all(p in (-1, a) for p, a in zip(part, k, strict=True))
        )
        assert rate == pytest.approx(expected, abs=1e-9)
    pairs = {
        (i, a, j, b)
        for key, _ in of_keys
        for (i, a), (j, b) in itertools.combinations([x for x in enumerate(key) if x[1] >= 0], 2)
    }
    assert view.model.pairs_.height == min(len(pairs), 200)
    texts = [str(target) for target in view.model.targets_]
    for text, weight, members in view.model.families_.select(
        "target", "weight", "components"
    ).iter_rows():
        part, own = view.world.key(text), [view.keys[texts.index(m)] for m in members]
        assert weight == pytest.approx(sum(view.weights[key] for key in own), abs=1e-9)
        assert all(p in (-1, a) for key in own for p, a in zip(part, key, strict=True))
    assert view.model.interventions_["weight"].sum() == pytest.approx(1.0, abs=1e-9)


@promise
def screens_are_averages(view: View) -> None:
    """One-pass rates: the state that is never set is that of the least average (identity 2)."""
    world, rows, table = view.world, view.rows, view.model.variables_
    if world.label is not None and world.given.control is not None:
        return  # labelled rows taught the network first
    if world.time is not None:
        return  # stretches count for one, and only the fit knows them
    for i, variable in enumerate(world.given.variables):
        parents = list(world.given.parents[i])
        seen = (rows.codes[:, [i, *parents]] >= 0).all(axis=1) & (rows.counts > 0)
        codes, counts = rows.codes[seen], view.shared[seen] / view.shared[seen].sum()
        index = np.zeros(len(codes), dtype=int)
        for p in parents:
            index = index * len(world.given.variables[p].states) + codes[:, p]
        p_given = world.given.tables[i][index]
        is_state = codes[:, [i]] == np.arange(p_given.shape[1])
        averages = counts @ (is_state / p_given)
        # With the error that the average would have were nothing ever set.
        error = np.sqrt(counts @ (1 / p_given) / view.shared[seen].sum())
        x = int((averages + error).argmin())
        expected = {"": 1 - averages[x], variable.states[x]: 0.0}
        for a, state in enumerate(variable.states):
            if a != x:
                phi = is_state[:, a] - p_given[:, a] * is_state[:, x] / p_given[:, x]
                expected[state] = counts @ phi
        its = table.filter(table["variable"] == variable.name)
        shown = dict(its.select("value", "screen_rate").iter_rows())
        assert shown == {value: pytest.approx(r, abs=1e-9) for value, r in expected.items()}


@promise
def probabilities_are_probabilities(view: View) -> None:
    model = view.model
    table = model.components_
    if view.world.method not in OPTIMISING or not view.possible.all():
        assert model.posterior_ is None
        return
    assert model.posterior_ is not None
    free = table.filter(pl.Series(~view.is_known))
    if view.world.known or view.world.batch is not None:
        # With weights that are given there is no choice among all; and batches have their own.
        assert table["probability"].is_null().all()
        _between_0_and_1(free["p_value"])
        if view.world.batch is not None and not view.world.known:
            _between_0_and_1(model.batches_["probability"])
        return
    if view.world.method == "likelihood":
        for column in ("probability", "q_value", "p_value"):
            _between_0_and_1(free[column])
        assert set(free["status"]) <= {"found", "undecided"}
        true = [key in view.world.targets for key in view.keys]
        strong = table.filter(pl.Series(true) & (table["weight"] > 0.1) & ~pl.Series(view.is_known))
        if view.world.candidates is None:
            assert (strong["probability"] > 0.5).all()
    _between_0_and_1(model.variables_["p_value"])
    if view.world.method == "likelihood":
        _between_0_and_1(_testable(view)["p_value"])
        for other in (model.variables_, model.pairs_):
            _between_0_and_1(other["probability"])
    if view.world.batch is not None:
        _between_0_and_1(model.batches_["probability"])


def _testable(view: View) -> pl.DataFrame:
    """Pairs of do's of which neither is the one that the screen takes for never set."""
    lines = view.model.variables_.filter(pl.col("screen_rate") == 0, pl.col("value") != "")
    unset = set(lines.select("variable", "value").iter_rows())
    table = view.model.pairs_
    pairs = [parse_target(text) for text in table["target"]]
    return table.filter(pl.Series([unset.isdisjoint(p.items()) for p in pairs], dtype=pl.Boolean))


def _between_0_and_1(column: pl.Series) -> None:
    assert not column.is_null().any()
    assert column.is_between(0, 1).all()


@promise
def undecided_targets_are_others(view: View) -> None:
    table = view.model.undecided_
    keys = [view.world.key(text) for text in table["target"]]
    assert not set(keys) & set(view.keys)
    assert len(set(keys)) == len(keys)
    assert all(view.world.permits(key) for key in keys)
    assert table["probability"].is_between(0.1, 1).all()
    assert (table["probability"].diff().drop_nulls() <= 0).all()
    assert (table["ci_low"] <= table["ci_high"]).all()


@promise
def near_equivalent_targets_lose_what_is_said(view: View) -> None:
    table = view.model.confusable_
    free = ~view.is_known
    if view.world.method != "likelihood":
        assert table.is_empty()
        return
    fixed = np.where(free, np.nan, np.array(view.model.weights_))
    if view.world.time is not None:
        assert all(0.0 <= loss < 10.0 for loss in table["loss"])
        return
    for component, text, loss in table.iter_rows():
        k = view.keys.index(view.world.key(component))
        other = view.world.key(text)
        assert other not in view.keys
        assert view.world.permits(other)
        assert loss < 10.0
        if view.world.random_labels:
            continue
        # Exact where rows are held, by the quadratic expansion otherwise.
        loose = 0.05 if view.world.storage == "memory" else 0.1 + 0.2 * abs(loss)
        assert _lost(view, k, other, fixed) == pytest.approx(loss, abs=loose)


def _lost(view: View, k: int, other: Key, fixed: Floats) -> float:
    """What another target in place of a component loses, in each batch that has the component."""
    columns, units = view.columns.copy(), view.units
    columns[:, k] = view.likelihoods([other])[:, 0]
    keys = [*view.keys[:k], other, *view.keys[k + 1 :]]
    total = 0.0
    for b, own in enumerate(view.batch_weights):
        at = np.ones(len(columns), dtype=bool) if units.batch is None else units.batch == b
        rows, has = units.some(at), own > 0
        has[k] |= not view.batch_weights[:, k].any()  # required, and there in none
        some = [key for key, there in zip(keys, has, strict=True) if there]
        weights = best_weights(columns[at][:, has], rows.counts, fixed[has])
        before = log_likelihood(rows, view.keys, view.columns[at], own)
        total += before - log_likelihood(rows, some, columns[at][:, has], weights)
    return total


@promise
def the_check_fits_its_rows(view: View) -> None:
    check = view.model.fit_check_
    # What is not missing completely at random, as it may look by chance, is not compared.
    n = view.model.network_.n_variables - len(view.model.missing_values_.suspicious)
    assert check.n_pairs == n * (n - 1) // 2
    assert check.n_mechanisms == 1
    assert 0 <= check.p_value <= 1
    assert check.p_value > 1e-5 or view.world.method not in OPTIMISING
    certain = view.model.certainty_
    assert certain.counts.sum() == pytest.approx(view.units.counts[view.possible].sum())
    foreign = sum(weight for key, weight in view.weights.items() if is_elsewhere(key))
    assert view.model.unexplained_rows_ <= (0.02 + foreign) * view.n_rows + 3
    content = json.dumps(view.model.diagnostics(), allow_nan=False)
    assert str(view.model.n_rows_) in content


# What must not matter.


def fit_again(world: World, *more: str) -> View:
    try:
        return View(world, world.fit())
    except InputError as error:
        check_refusal(error, world, *more)
        pytest.skip(f"refused: {error}")


def same_answer(one: View, other: View, tolerance: float = SAME) -> None:
    keys = {*one.weights, *other.weights}
    for key in keys:
        assert one.weights.get(key, 0.0) == pytest.approx(
            other.weights.get(key, 0.0), abs=tolerance
        )
    assert one.model.log_likelihood_ == pytest.approx(
        other.model.log_likelihood_, abs=tolerance * one.n_rows
    )
    for a, b in zip(one.batch_weights, other.batch_weights, strict=True):
        first, second = (dict(zip(v.keys, w, strict=True)) for v, w in ((one, a), (other, b)))
        for key in keys:
            assert first.get(key, 0.0) == pytest.approx(second.get(key, 0.0), abs=tolerance)


@refits
def storage_does_not_matter(view: View) -> None:
    if view.world.storage == "memory":
        return
    # EM for learned tables ends where a step brings 0.02 nats, in blocks after fewer passes.
    tolerance = SAME if view.world.given.control is None else 1e-3
    if view.world.unit is not None:  # the weights are final where the gap is below 1e-8
        tolerance = max(tolerance, 1e-6)
    same_answer(view, fit_again(replace(view.world, storage="memory")), tolerance)


@refits
def threads_do_not_matter(view: View) -> None:
    if view.world.storage != "blocks":
        return
    one = fit_again(replace(view.world, threads=1))
    same_answer(view, one, 0.0)
    assert view.model.components_.equals(one.model.components_)


@refits
def order_of_rows_does_not_matter(view: View) -> None:
    world = view.world
    order = np.random.default_rng(world.seed).permutation(len(world.codes))
    same_answer(view, fit_again(world.some(order)))


@refits
def names_and_their_order_do_not_matter(view: View) -> None:
    world = view.world
    rng = np.random.default_rng(world.seed)
    order = rng.permutation(world.given.n_variables).tolist()
    states = [rng.permutation(len(world.given.variables[i].states)).tolist() for i in order]
    other = renamed(world, order, states)
    again = fit_again(other)

    def back(key: Key) -> Key:
        if is_elsewhere(key):
            return key
        out = [-1] * len(order)
        for i, kept, a in zip(order, states, key, strict=True):
            out[i] = -1 if a < 0 else kept[a]
        return tuple(out)

    # EM for learned tables ends where a step brings 0.02 nats, and begins from values filled in, or
    # from a sample by hash.
    begun_elsewhere = world.storage != "memory" or world.has("missing values")
    tolerance = 1e-3 if world.given.control is not None and begun_elsewhere else SAME
    keys = {*view.weights, *map(back, again.weights)}
    found = {back(key): weight for key, weight in again.weights.items()}
    for key in keys:
        assert view.weights.get(key, 0.0) == pytest.approx(found.get(key, 0.0), abs=tolerance)
    assert view.model.log_likelihood_ == pytest.approx(
        again.model.log_likelihood_, abs=tolerance * view.n_rows
    )


def renamed(world: World, order: list[int], states: list[list[int]]) -> World:
    """Return the same problem with other names of variables and states, in another order."""
    old = world.given
    at = {i: k for k, i in enumerate(order)}
    variables = [
        type(old.variables[0])(f"x {i}, =", tuple(f"{a}" for a in kept))
        for i, kept in zip(order, states, strict=True)
    ]
    parents = [[at[p] for p in old.parents[i]] for i in order]

    def key(target: Key) -> Key:
        return permuted_target(target, order, states)

    codes = np.empty_like(world.codes)
    for k, (i, kept) in enumerate(zip(order, states, strict=True)):
        place = np.append(np.argsort(kept), -1)
        codes[:, k] = place[world.codes[:, i]]

    def network(given: dosift.Network) -> dosift.Network:
        parents = [[at[p] for p in given.parents[i]] for i in order]
        out = permuted(given, variables, parents, order, states)
        if given.control is None:
            return out
        tables = permuted_counts(given, order, states)
        rows = given.control.rows
        if rows is not None:
            places = [
                np.argsort(kept)[rows.values[:, i]] for i, kept in zip(order, states, strict=True)
            ]
            assert rows.targets is None
            rows = replace(rows, values=np.column_stack(places).astype(rows.values.dtype))
        control = replace(given.control, counts=tuple(tables), rows=rows)
        return dosift.Network(out.variables, out.parents, out.tables, control)

    return replace(
        world,
        given=network(old),
        start=None if world.start is None else network(world.start),
        real=permuted(world.real, variables, parents, order, states),
        targets=tuple(map(key, world.targets)),
        codes=codes,
        required=tuple(map(key, world.required)),
        known=tuple((key(t), w) for t, w in world.known),
        candidates=None if world.candidates is None else tuple(map(key, world.candidates)),
    )


def permuted_counts(network: dosift.Network, order: list[int], states: list[list[int]]) -> Any:
    kept = dict(zip(order, states, strict=True))
    assert network.control is not None
    out = []
    for i in order:
        axes = [*network.parents[i], i]
        sizes = [len(network.variables[a].states) for a in axes]
        table = network.control.counts[i].reshape(sizes)
        out.append(table[np.ix_(*(kept[a] for a in axes))].reshape(-1, sizes[-1]))
    return out


@refits
def rows_given_twice_are_rows_of_weight_two(view: View) -> None:
    """And units that are given twice, under another name, are units of weight two."""
    world = view.world
    if world.time is not None:
        fit_again(replace(world, weight=2.0 * world.multiplicity), "sample weights")
    n_rows, n_units = len(world.codes), len(world.sizes)
    doubled = world.some(np.tile(np.arange(n_rows), 2))
    if world.unit is not None:
        doubled = replace(doubled, unit=np.append(world.unit, world.unit + n_units))
    heavy = replace(world, weight=2.0 * world.multiplicity)
    same_answer(fit_again(doubled), fit_again(heavy, "sample weights"))


@refits
def names_of_units_do_not_matter(view: View) -> None:
    """With one row each, they are as if nothing were said of them, to the last digit."""
    world = view.world
    if world.time is not None:
        return  # units are series then
    if world.unit is not None:
        order = np.random.default_rng(world.seed).permutation(len(world.sizes))
        same_answer(view, fit_again(replace(world, unit=order[world.unit])), 0.0)
    elif world.storage == "memory":  # units are held, and a sample of rows in blocks is another
        order = np.random.default_rng(world.seed).permutation(len(world.codes))
        alone = fit_again(replace(world, unit=order))
        same_answer(view, alone, 0.0)
        assert view.model.components_.equals(alone.model.components_)


# What is done with a fit.


@refits
def the_bootstrap_resamples_the_problem(view: View) -> None:
    world, model = view.world, view.model
    n = 4
    with world.opened() as (rows, beside):
        try:
            found = dosift.bootstrap(model, rows, n_resamples=n, **beside)
        except InputError as error:
            check_refusal(error, world, "bootstrap")
            pytest.skip(f"refused: {error}")
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, atol=SAME)
    m = len(view.keys)
    assert [tuple(t) for t in np.asarray(found.targets[:m]).tolist()] == view.keys
    np.testing.assert_allclose(found.estimate[:m], model.weights_, atol=SAME)
    if world.method != "likelihood":
        return
    resampled = found.weights[:, :m]
    error = model.components_["std_error"].fill_null(0.0).to_numpy()
    strong = np.array(model.weights_) > 0.05
    off = np.abs(resampled.mean(axis=0) - model.weights_)
    # The mean of four has half the error of one.
    assert (off[strong] <= 3.0 * error[strong] + SAME).all()
    free = strong & ~view.is_known
    assert (resampled.std(axis=0)[free] > 0.05 * error[free]).all()


@refits
def held_out_rows_are_predicted(view: View) -> None:
    world, model = view.world, view.model
    with world.opened() as (rows, beside):
        try:
            found = dosift.held_out(model, rows, folds=2, **beside)
        except InputError as error:
            check_refusal(error, world, "held-out rows")
            pytest.skip(f"refused: {error}")
    assert found.folds == 2
    if world.method != "likelihood":
        return  # they drop what is rare
    assert found.impossible == 0
    assert found.gain > 0.01
    if not world.random_labels:  # without interventions no label can be
        assert found.gain == pytest.approx(found.mixture - found.network, abs=SAME)
    if world.label is not None or world.batch is not None:
        return
    nothing = view.rows.likelihoods(world.given, [(-1,) * 4])[:, 0]
    kept = view.units.counts > 0
    base = float(view.units.counts[kept] @ np.log(nothing[kept])) / view.n_units
    assert found.network == pytest.approx(base, abs=SAME)
    fitted = view.log_likelihood / view.n_units
    assert fitted - 0.05 < found.mixture < fitted + 0.002


@refits
def the_folder_holds_the_fit(view: View) -> None:
    """Through the command: the same weights, and posteriors of the rows and of new ones."""
    world, model = view.world, view.model
    if world.weight is not None or world.storage == "relation":
        return  # the command takes neither
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if world.storage == "blocks":
            stack.enter_context(few_are_many())
        arguments = write_inputs(world, folder)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", DosiftWarning)
        status = run("fit", *arguments, "-o", folder / "out", "--quiet")
        assert status in (0, 3)
        result = read_result(folder / "out")
        found = {world.key(str(t)): w for t, w in result.mixture.items()}
        assert found.keys() == view.weights.keys()
        for key, weight in found.items():
            assert weight == pytest.approx(view.weights[key], abs=SAME)
        for a, b in zip(result.network.tables, model.network_.tables, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
        assert (status == 0) == (model.verdict_.value != "does not stand")
        shown = pl.read_csv(folder / "out" / "components.csv")
        np.testing.assert_allclose(shown["weight"], list(found.values()), atol=1e-12)
        _check_rows(view, pl.read_parquet(folder / "out" / "rows.parquet"), pooled=False)
        arguments = [] if world.unit is None else ["--unit", "its unit"]
        arguments += [] if world.time is None else ["--time", "its time"]
        arguments = [folder / "out", folder / "rows.csv", *arguments]
        status = run("assign", *arguments, "-o", folder / "new.csv", "-q")
        assert status == 0
        _check_rows(replace_labels(view), pl.read_csv(folder / "new.csv"), pooled=True)


def replace_labels(view: View) -> View:
    return View(replace(view.world, label=None), view.model)


def _check_rows(view: View, table: pl.DataFrame, pooled: bool) -> None:
    expected = view.posterior(view.world, pooled)
    texts = [str(t) for t in view.model.targets_]
    assert table.height == len(view.world.codes)
    at = np.array([texts.index(text) for text in table["target"]])
    told = np.zeros(len(at), dtype=bool)
    if view.world.label is not None:
        told = view.world.label >= 0
        own = [texts.index(view.world.text(view.world.targets[t])) for t in view.world.label[told]]
        assert at[told].tolist() == own
        assert (table["probability"].to_numpy()[told] == 1).all()
    chosen = expected[np.arange(len(at)), at][~told]
    np.testing.assert_allclose(chosen, expected.max(axis=1)[~told], atol=SAME)
    np.testing.assert_allclose(table["probability"].to_numpy()[~told], chosen, atol=SAME)


def write_inputs(world: World, folder: Path) -> list[Any]:
    """Write the files of a fit; return the command's arguments."""
    with_beside(world).write_csv(folder / "rows.csv")
    if world.control is None:
        dosift.write_network(world.given, folder / "network.bif")
        out: list[Any] = [folder / "network.bif", folder / "rows.csv"]
    else:
        world.control.write_csv(folder / "control.csv")
        edges = "".join(f"{a},{b}\n" for a, b in (world.start or world.given).edges)
        (folder / "edges.csv").write_text(f"parent,child\n{edges}")
        out = [folder / "rows.csv", "--control", folder / "control.csv"]
        out += ["--graph", folder / "edges.csv"] if edges else []
    for name in world.beside:
        out += [f"--{name}", f"its {name}"]
    out += ["--random-labels"] if world.random_labels else []
    for name, value in world.settings:
        out += [] if (name, value) == ("edges", "learn") else [f"--{name}", value]
    for target in world.required:
        out += ["--require", world.text(target)]
    for target, weight in world.known:
        out += ["--known-weight", f"{world.text(target)}={weight!r}"]
    for target in world.candidates or ():
        out += ["--candidate", world.text(target)]
    return out


def run(*arguments: object) -> int:
    from dosift.cli.app import app

    status: int = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return status


# The matrix.

SLOW_SEEDS = (1, 2, 3)
#: Features whose pairs only the slow tests have.
ALONE = ("rows from elsewhere", "moved mechanism")
#: Features whose fits take so long that only the slow tests have them.
LONG = ("any", "learned graph")


@cache
def fitted(chosen: tuple[Feature, ...], seed: int) -> View | InputError:
    world = make(chosen, seed)
    try:
        return View(world, world.fit())
    except InputError as error:
        return error


def name_of(chosen: tuple[Feature, ...]) -> str:
    return "+".join(f.name for f in chosen) or "memory"


def in_quick(name: str, chosen: tuple[Feature, ...]) -> bool:
    """Whether the quick tests keep a promise in a world: a fair draw, the same each time.

    All worlds with one feature but the long ones, and one in twelve of the pairs; of what takes
    further fits, one in five.
    """
    if any(f.name in LONG for f in chosen):
        return False
    if len(chosen) == 2 and any(f.name in ALONE for f in chosen):
        return False
    if len(chosen) == 2 and not in_lot(name_of(chosen), 12):
        return False
    return name not in REFITS or in_lot(f"{name} {name_of(chosen)}", 5)


def in_lot(text: str, of: int) -> bool:
    return zlib.crc32(text.encode()) % of == 0


def keep(name: str, chosen: tuple[Feature, ...], seed: int) -> None:
    view = fitted(chosen, seed)
    if isinstance(view, InputError):
        pytest.skip(f"not fitted: {view}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        PROMISES[name](view)


WORLDS = [pytest.param(c, id=name_of(c)) for c in combinations()]
QUICK = [
    pytest.param(chosen, name, id=f"{name_of(chosen)}-{name}")
    for chosen in combinations()
    for name in PROMISES
    if in_quick(name, chosen)
]


FEWER = [
    pytest.param(
        *p.values,
        id=p.id,
        marks=() if in_quick("", p.values[0]) else (pytest.mark.slow,),
    )
    for p in WORLDS
]


@pytest.mark.parametrize("chosen", FEWER)
def test_every_world_is_fitted_or_refused_by_the_table(chosen: tuple[Feature, ...]) -> None:
    view = fitted(chosen, 0)
    if isinstance(view, InputError):
        check_refusal(view, make(chosen, 0))


@pytest.mark.parametrize(("chosen", "name"), QUICK)
def test_promise(chosen: tuple[Feature, ...], name: str) -> None:
    keep(name, chosen, 0)


@pytest.mark.parametrize("beside", ["blocks", "missing values"])
def test_the_certificate_beside_known_weights(beside: str) -> None:
    """A new target takes weight from those alone whose weight is not known."""
    pair = tuple(f for f in FEATURES if f.name in ("known weights", beside))
    keep("the_certificate_holds", pair, 1)


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.long), 11])
def test_a_mechanism_that_moved_is_found_by_all_rows_of_units(seed: int) -> None:
    """One pair that quick tests have, too.

    A row of each unit would say too little for the first seed, and for the other no component
    stands in for the mechanism.
    """
    pair = tuple(f for f in FEATURES if f.name in ("moved mechanism", "units"))
    for name in ("the_truth_is_found", "the_check_fits_its_rows", "the_graph_is_found"):
        keep(name, pair, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISES)
@pytest.mark.parametrize("chosen", WORLDS)
def test_promise_over_seeds(chosen: tuple[Feature, ...], name: str) -> None:
    for seed in (0, *SLOW_SEEDS):
        if seed or not in_quick(name, chosen):
            keep(name, chosen, seed)


# What only many fits can show.


def pooled(seeds: tuple[int, ...], worlds: list[tuple[Feature, ...]]) -> list[View]:
    # In a series rows are not independent; intervals are tested in tests/chain.
    worlds = [chosen for chosen in worlds if not any(f.name == "time" for f in chosen)]
    views = [fitted(chosen, seed) for chosen in worlds for seed in seeds]
    return [
        view
        for view in views
        if isinstance(view, View)
        and view.world.method == "likelihood"
        and view.world.storage != "relation"  # the same rows as in blocks
    ]


def share_covered(views: list[View]) -> tuple[float, int]:
    """Share of the true components' intervals, and those of variables' totals, with the truth."""
    inside = []
    for view in views:
        world = view.world
        truth = dict(zip(world.targets, world.true_weights.tolist(), strict=True))
        table = view.model.components_
        for text, low, high in table.select("target", "ci_low", "ci_high").iter_rows():
            true = truth.get(world.key(text))
            if true is not None and low is not None:
                inside.append(low - 1e-9 <= true <= high + 1e-9)
    return float(np.mean(inside)), len(inside)


QUICK_WORLDS = [chosen for chosen in combinations() if in_quick("", chosen)]


def test_intervals_of_some_worlds_cover_the_truth() -> None:
    share, n = share_covered(pooled((0,), QUICK_WORLDS))
    assert n > 30
    assert share > 0.95 - 4 * np.sqrt(0.95 * 0.05 / n)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """Over all worlds, whose rows are independent: 95 of 100, as the binomial allows."""
    share, n = share_covered(pooled((0,), combinations()))
    assert n > 100
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n)


@pytest.mark.parametrize(
    "worlds", [QUICK_WORLDS, pytest.param(combinations(), marks=pytest.mark.slow)]
)
def test_clean_rows_are_not_rejected(worlds: list[tuple[Feature, ...]]) -> None:
    views = pooled((0,), worlds)
    rejected = [str(view.world) for view in views if not view.model.fit_check_.fits]
    assert len(rejected) <= 2 + 0.03 * len(views), rejected


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [c for c in WORLDS if len(c.values[0]) < 2])
def test_intervals_cover_the_truth_in_each_world(chosen: tuple[Feature, ...]) -> None:
    views = pooled(tuple(range(25)), [chosen])
    if not views:
        pytest.skip("not fitted, or the same rows as another world")
    share, n = share_covered(views)
    assert share > 0.95 - 4 * np.sqrt(0.95 * 0.05 / n)
    rejected = sum(not view.model.fit_check_.fits for view in views)
    assert rejected <= 3


def test_the_oracle_itself() -> None:
    """Against plain loops over joint states."""
    world = make((next(f for f in FEATURES if f.name == "missing values"),), 0)
    network = world.real
    codes = world.codes[:40]
    found = likelihoods(network, list(world.targets), codes)
    for r, row in enumerate(codes.tolist()):
        for t, target in enumerate(world.targets):
            total = 0.0
            for state in itertools.product(range(3), repeat=4):
                if any(v not in (-1, s) for v, s in zip(row, state, strict=True)):
                    continue
                p = 1.0
                for i, parents in enumerate(network.parents):
                    index = 0
                    for parent in parents:
                        index = index * 3 + state[parent]
                    if target[i] < 0:
                        p *= network.tables[i][index, state[i]]
                    elif target[i] != state[i]:
                        p = 0.0
                total += p
            assert found[r, t] == pytest.approx(total, abs=1e-12)
