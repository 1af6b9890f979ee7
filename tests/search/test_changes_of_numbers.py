"""Changes of numbers are found together with the targets that they make."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.likelihood.evidence import Evidence
from dosift.model.linear_changes import SetNormal, SetPoint, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.suggested import RegressionChanges
from dosift.search import library
from dosift.search.changes import ChangeFinder
from dosift.search.joint import JointFitter
from dosift.search.library import find_changes, grows, of, score_of, tidied
from dosift.search.regrouping import divided, regrouped
from dosift.search.result import SearchResult, ranked
from number_problems import NumberProblem, number_problem

Floats = NDArray[np.float64]


def found_in(problem: NumberProblem) -> SearchResult:
    network = problem.learned()
    return find_changes(network, collapse(network.working(problem.pool), network.cardinalities))


def sets_of(result: SearchResult) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(target >= 0).tolist()) for target in result.targets}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("kind", "spread"), [("set", 0.3), ("set", 1.0), ("shift", 1.0)])
def test_targets_weights_and_sizes_of_changes(seed: int, kind: str, spread: float) -> None:
    problem = number_problem(seed, kind, spread=spread)
    result = found_in(problem)
    assert sets_of(result) == problem.sets
    network = of(result.network)
    for target, weight in zip(result.targets, result.weights, strict=True):
        touched = frozenset(np.flatnonzero(target >= 0).tolist())
        k = [frozenset(own) for own in problem.targets].index(touched)
        assert weight == pytest.approx(problem.weights[k], abs=0.04)
        for i in touched:
            change, scale = network.libraries[i][int(target[i])], network.scales[i]
            _, value, _ = problem.targets[k][i]
            if isinstance(change, SetNormal) and kind == "set":
                assert abs(scale.user(np.array(change.mean)) - value) < 0.4 * scale.spread
            if isinstance(change, Shift) and kind == "shift":
                assert change.by * scale.spread == pytest.approx(value, abs=0.4 * scale.spread)


@pytest.mark.slow
def test_the_search_hardly_ever_ends_below_the_truth() -> None:
    failures, exact = [], []
    for seed in range(100, 140):
        problem = number_problem(seed, "shift" if seed % 2 else "set", (0.8, 2.0), 0.5)
        result = found_in(problem)
        failures.append(score_of(result) < _score_of_truth(problem) - 5.0)
        exact.append(sets_of(result) == problem.sets)
    assert np.mean(failures) <= 0.1
    assert np.mean(exact) >= 0.75


def _score_of_truth(problem: NumberProblem) -> float:
    network = problem.learned()
    libraries: list[list[SetNormal | Shift]] = [[] for _ in problem.parents]
    targets = np.full((len(problem.targets), len(libraries)), -1, dtype=np.int16)
    for k, target in enumerate(problem.targets):
        for i, (kind, value, sd) in target.items():
            scale = network.scales[i]
            targets[k, i] = len(libraries[i])
            libraries[i].append(
                Shift(value / scale.spread)
                if kind == "shift"
                else SetNormal(float(scale.working(np.array(value))), sd / scale.spread)
            )
    full = replace(network, libraries=tuple(RegressionChanges(tuple(own)) for own in libraries))
    rows = collapse(full.working(problem.pool), full.cardinalities)
    evidence = Evidence.of_configurations(as_network(full), rows)
    fitter = JointFitter(as_network(full), evidence)
    joint = fitter.fit(as_network(full), targets, problem.weights[None])
    return fitter.simplify(joint).score


def test_units_do_not_matter() -> None:
    problem = number_problem(1, "shift")
    plain = found_in(problem)
    network = problem.learned(1000.0, 5.0)
    values = network.working(problem.pool * 1000.0 + 5.0)
    other = find_changes(network, collapse(values, network.cardinalities))
    assert (plain.targets == other.targets).all()
    assert plain.weights == pytest.approx(other.weights, abs=1e-5)
    assert plain.penalised_score == pytest.approx(other.penalised_score, abs=1e-2)


def test_rows_of_control_alone_hold_nothing() -> None:
    for seed in range(4):
        problem = number_problem(seed)
        half = len(problem.control) // 2
        network = replace(problem, control=problem.control[:half]).learned()
        rows = collapse(network.working(problem.control[half:]), network.cardinalities)
        result = find_changes(network, rows)
        assert result.weights[(result.targets < 0).all(axis=1)].sum() > 0.97


def test_libraries_hold_what_targets_make_and_no_more() -> None:
    result = found_in(number_problem(2))
    network = of(result.network)
    for i, one in enumerate(network.libraries):
        assert set(range(len(one))) == {int(k) for k in result.targets[:, i]} - {-1}
    more = replace(
        network,
        libraries=tuple(
            replace(one, changes=(Shift(9.0), *one[:])) if isinstance(one, Changes) else one
            for one in network.libraries
        ),
    )
    shifted = np.where(result.targets >= 0, result.targets + 1, -1)
    again = tidied(replace(result, network=as_network(more), targets=shifted))
    assert (again.targets == result.targets).all()
    assert [len(one) for one in of(again.network).libraries] == [
        len(one) for one in network.libraries
    ]


def test_only_kinds_that_are_wanted_are_found() -> None:
    problem = number_problem(0, "set", n=4, n_targets=2)
    network = problem.learned()
    shifts = tuple(RegressionChanges((), frozenset({"shift"})) for _ in network.libraries)
    only = replace(network, libraries=shifts)
    rows = collapse(only.working(problem.pool), only.cardinalities)
    result = find_changes(only, rows)
    kinds = {change.kind for one in of(result.network).libraries for change in one[:]}
    assert kinds == {"shift"}
    none = replace(network, libraries=tuple(Changes(()) for _ in network.libraries))
    assert not grows(none)
    assert grows(network)


def test_a_change_of_its_own_where_two_components_were_thrown_together() -> None:
    problem = number_problem(3, n=4, n_targets=2)
    network = problem.learned()
    scale = network.scales[0]
    low, high = (float(scale.working(np.array(v))) for v in (-6.0, 6.0))
    rng = np.random.default_rng(0)
    values = network.working(problem.control[:900])
    values[:300, 0], values[300:600, 0] = (at + 0.2 * rng.normal(size=300) for at in (low, high))
    posterior = np.zeros((900, 3))
    posterior[np.arange(900), np.arange(900) // 300] = 1.0
    shared = replace(
        network,
        libraries=(RegressionChanges((SetNormal(0.0, 5.0),)), *network.libraries[1:]),
    )
    targets = np.full((3, 4), -1, dtype=np.int16)
    targets[:2, 0] = 0
    better = regrouped(shared, values, targets, posterior)
    assert better is not None
    own, new = better
    means = [own.libraries[0][int(k)].mean for k in new[:2, 0]]  # type: ignore[attr-defined]
    assert means == pytest.approx([low, high], abs=0.1)
    assert new[2, 0] == -1
    # Two of the same are one.
    values[300:600, 0] = low + 0.2 * rng.normal(size=300)
    again = regrouped(own, values, new, posterior)
    assert again is not None
    assert again[1][0, 0] == again[1][1, 0]
    assert regrouped(*again[:1], values, again[1], posterior) is None


def test_a_value_that_many_rows_share_is_exact() -> None:
    problem = number_problem(5, n=3, n_targets=1)
    network = problem.learned()
    values = network.working(problem.control)
    values[:200, 0] = 0.7
    finder = ChangeFinder(network.mechanisms[0], RegressionChanges(), values, np.ones(len(values)))
    exact = [one for one in finder.found() if isinstance(one, SetPoint)]
    assert [one.value for one in exact] == [0.7]


@pytest.mark.long
def test_many_rows_are_judged_after_a_sample_was_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = number_problem(4, "shift", n_rows=6000)
    whole = found_in(problem)
    monkeypatch.setattr(library, "_SEARCHED", 2500)
    sampled = found_in(problem)
    assert sets_of(sampled) == sets_of(whole) == problem.sets
    assert sampled.log_likelihood == pytest.approx(whole.log_likelihood, abs=3.0)
    assert np.sort(sampled.weights) == pytest.approx(np.sort(whole.weights), abs=3e-3)
    assert isinstance(sampled.network, MechanismNetwork)


def test_components_that_overlap_are_parted_by_a_fit() -> None:
    problem = number_problem(3, n=4, n_targets=2)
    network = problem.learned()
    rng = np.random.default_rng(0)
    values = network.working(problem.control[:1500])
    # Both set the first variable; one, which also shifts the second a little, to another value.
    values[:400, 0], values[400:800, 0] = (at + 0.3 * rng.normal(size=400) for at in (1.0, 2.0))
    values[400:800, 1] += 2.0
    shared = replace(
        network,
        libraries=(
            RegressionChanges((SetNormal(1.5, 0.6),)),
            RegressionChanges((Shift(2.0),)),
            *network.libraries[2:],
        ),
    )
    targets = np.array([[-1, -1, -1, -1], [0, -1, -1, -1], [0, 0, -1, -1]], dtype=np.int16)
    (twice, new), *others = divided(shared, targets)
    assert not others
    assert [len(one) for one in twice.libraries] == [2, 1, 0, 0]
    assert new.tolist() == [[-1, -1, -1, -1], [1, -1, -1, -1], [0, 0, -1, -1]]
    rows = collapse(values, shared.cardinalities)
    evidence = Evidence.of_configurations(as_network(shared), rows)
    fitter = JointFitter(as_network(shared), evidence)
    joint = fitter.fit(as_network(shared), targets, np.array([[0.5, 0.25, 0.25]]))
    start = ranked(evidence, joint.network, joint.targets, joint.weights[0])
    nothing_known = partial(library._known, None)
    parted = library._parted(start, rows, nothing_known)
    assert parted is not None
    judged = ranked(evidence, parted.network, parted.targets, parted.weights)
    assert score_of(judged) > score_of(start) + 5.0
    own = of(parted.network).libraries[0]
    used = {int(k) for k in parted.targets[:, 0]} - {-1}
    assert sorted(own[k].mean for k in used) == pytest.approx([1.0, 2.0], abs=0.1)  # type: ignore[attr-defined]
    assert library._parted(judged, rows, nothing_known) is None
