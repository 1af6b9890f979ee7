"""Tables that rows ask to free: gains, costs and mixtures with do's, by sums written out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import chi2

from dosift.data import collapse
from dosift.data.blocks import MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.model.network import ControlCounts, Network
from dosift.model.simulate import sample_codes
from dosift.search.cheap_steps import _most_saved as saved_at_most
from dosift.search.cheap_steps import is_out_of_reach
from dosift.search.mechanisms import (
    ChangedMechanism,
    _around,
    _cost,
    _entries,
    _is_no_mixture_of_dos,
    _mixed_with_dos,
    _most_saved,
    _objective,
    _suspects,
    _with_and_without,
    changed_mechanism,
    find_changed_mechanisms,
    suspect_mechanism,
    with_free_tables,
)
from dosift.search.result import SearchResult, ranked
from dosift.search.score import Score
from plain_sums import PlainRows, toy_network, toy_rows

BEFORE = np.array([[0.5, 0.5], [0.8, 0.2], [0.1, 0.9]])
AFTER = np.array([[0.4, 0.6], [0.8, 0.2], [0.9, 0.1]])


def test_tables_are_compared_by_the_rows_of_each_parent_configuration() -> None:
    found = ChangedMechanism(0, 1.0, BEFORE, AFTER, np.array([3.0, 1.0, 0.0]))
    assert found.distance == pytest.approx(0.1 * 3 / 4)
    # 0.4 / 0.5 is left of the first; the last has no rows.
    assert found.least_share == pytest.approx(0.2)
    few = ChangedMechanism(0, 1.0, BEFORE, AFTER, np.array([50.0, 49.1, 0.9]))
    assert few.least_share == pytest.approx(0.2)
    enough = ChangedMechanism(0, 1.0, BEFORE, AFTER, np.array([50.0, 48.9, 1.1]))
    assert enough.least_share == pytest.approx(1.0 - 0.1 / 0.9)
    same = ChangedMechanism(0, 1.0, BEFORE, BEFORE, np.ones(3))
    assert (same.distance, same.least_share) == (0.0, 0.0)
    new = ChangedMechanism(0, 1.0, np.array([[1.0, 0.0]]), np.array([[0.7, 0.3]]), np.ones(1))
    assert new.least_share == pytest.approx(0.3)


def evidence_of(rows: PlainRows) -> Evidence:
    return rows.evidence(held=True)


def families(rows: PlainRows) -> list[np.ndarray]:
    out = [np.zeros_like(table) for table in rows.network.tables]
    for cell, count in zip(rows.codes, rows.counts, strict=True):
        for i, parents in enumerate(rows.network.parents):
            row = 0
            for p in parents:
                row = row * int(rows.network.cardinalities[p]) + int(cell[p])
            out[i][row, cell[i]] += count
    return out


def test_a_table_costs_its_free_entries_and_its_name() -> None:
    rows = toy_rows(1)
    network, evidence = rows.network, evidence_of(rows)
    sizes = [1 * 1, 2 * 2, 6 * 1, 2 * 1]
    assert [_entries(network, evidence, i) for i in range(4)] == sizes
    total = rows.counts.sum()
    for freed in ((1,), (1, 3), ()):
        entries = sum(sizes[i] for i in freed)
        expected = 0.5 * entries * np.log(total) + len(freed) * np.log(4)
        assert _cost(network, evidence, freed) == pytest.approx(expected)
    # Parent configurations without rows tell of no entry.
    some = PlainRows(network, rows.codes[rows.codes[:, 0] == 0], rows.counts[rows.codes[:, 0] == 0])
    assert _entries(network, evidence_of(some), 1) == 2


def test_suspects_are_tables_that_the_pool_departs_from() -> None:
    rows = toy_rows(1, n_rows=400)
    network, evidence = rows.network, evidence_of(rows)
    gains = {}
    for i in (1, 2, 3):  # the first has no parents
        family = families(rows)[i]
        shares = family / family.sum(axis=1, keepdims=True)
        gain = float((family * np.log(shares / network.tables[i])).sum())
        gains[i] = gain - _cost(network, evidence, (i,))
    order = sorted((i for i in gains if gains[i] > 0), key=lambda i: -gains[i])
    assert len(order) > 1
    assert _suspects(network, evidence, ()) == order
    assert _suspects(network, evidence, (order[0],)) == order[1:]
    among = np.zeros(4, dtype=bool)
    among[order[1]] = True
    assert _suspects(network, evidence, (), among) == [order[1]]


def test_the_likeliest_mixture_with_dos_is_that_of_an_optimiser() -> None:
    family = np.array([[30.0, 10.0, 5.0], [8.0, 40.0, 12.0]])
    table = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    found = _mixed_with_dos(table, family)

    def loss(odds: np.ndarray) -> float:
        weights = softmax(np.append(0.0, odds))
        return -float((family * np.log(weights[0] * table + weights[1:])).sum())

    best = minimize(loss, np.full(3, -1.0), method="Nelder-Mead", options={"maxiter": 4_000})
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert float((family * np.log(found)).sum()) > -best.fun - 0.3
    # Both rows are of a share of the table and of the same do's.
    parts = np.column_stack([table.ravel(), np.tile(np.eye(3), (2, 1))])
    left = np.linalg.lstsq(parts, found.ravel(), rcond=None)[1]
    assert left == pytest.approx(0.0, abs=1e-12)
    # A table that the rows follow stays.
    np.testing.assert_allclose(_mixed_with_dos(table, 1e4 * table), table, atol=0.01)


def test_targets_are_set_beside_themselves_without_a_variable() -> None:
    targets = np.array([[-1, -1], [0, -1], [0, 1]], dtype=np.int16)
    found, weights = _with_and_without(targets, np.array([0.5, 0.3, 0.2]), 0)
    together = {tuple(t): w for t, w in zip(found.tolist(), weights.tolist(), strict=True)}
    assert together == pytest.approx(
        {(-1, -1): 0.5 + 0.15, (0, -1): 0.15, (0, 1): 0.1, (-1, 1): 0.1}
    )


def with_control(network: Network, prior: float) -> Network:
    counts = [table * (10.0 + 5.0 * i) for i, table in enumerate(network.tables)]
    control = ControlCounts(tuple(counts), prior, 10.0)
    return Network(network.variables, network.parents, network.tables, control)


def test_freed_tables_are_those_of_the_pool_and_forget_control_rows() -> None:
    rows = toy_rows(2)
    family = families(rows)[2]
    learned = with_control(rows.network, 0.5)
    found = with_free_tables(learned, evidence_of(rows), (2,))
    assert found.control is not None
    assert not found.control.counts[2].any()
    assert learned.control is not None
    np.testing.assert_array_equal(found.control.counts[1], learned.control.counts[1])
    assert (found.control.prior, found.control.n_rows) == (0.5, 10.0)
    np.testing.assert_allclose(
        found.tables[2], (family + 0.5) / (family + 0.5).sum(axis=1, keepdims=True)
    )
    np.testing.assert_array_equal(found.tables[1], learned.tables[1])
    # Known tables are as if very many control rows had shown them.
    given = with_free_tables(rows.network, evidence_of(rows), (2,))
    assert given.control is not None
    scale = given.control.n_rows
    assert scale > 1e3 * rows.counts.sum()
    np.testing.assert_allclose(given.control.counts[1], rows.network.tables[1] * scale)
    assert given.control.prior == 0.0
    assert 0.0 < given.control.counts[2].max() < 1.0


def test_the_objective_adds_control_rows_and_their_prior() -> None:
    network = with_control(toy_network(1), 0.5)
    other = toy_network(2)
    result: Any = SimpleNamespace(penalised_score=-100.0, network=other)
    assert network.control is not None
    expected = -100.0
    for i, counts in enumerate(network.control.counts):
        table = other.tables[i]
        if i == 1:  # freed: control rows are explained by what they ask for
            table = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
        expected += float(((counts + 0.5) * np.log(table)).sum())
    assert _objective(network, result, (1,)) == pytest.approx(expected)
    assert _objective(toy_network(1), result, (1,)) == -100.0


def test_a_changed_mechanism_is_weighted_by_rows_that_leave_it_alone() -> None:
    rows = toy_rows(3)
    network = rows.network
    result: Any = SimpleNamespace(
        targets=np.array([[-1] * 4, [-1, 1, -1, -1], [1, -1, -1, -1]]),
        weights=np.array([0.5, 0.3, 0.2]),
        network=toy_network(9),
    )
    found = changed_mechanism(network, evidence_of(rows), result, 1, 7.0)
    assert (found.variable, found.gain) == (1, 7.0)
    np.testing.assert_array_equal(found.before, network.tables[1])
    np.testing.assert_array_equal(found.after, result.network.tables[1])
    np.testing.assert_allclose(found.weight, 0.7 * families(rows)[1].sum(axis=1))


def test_a_part_keeps_what_may_be_set_and_its_parents() -> None:
    rows = toy_rows(4)
    network = with_control(rows.network, 0.5)
    blocks = MemoryBlocks(rows.codes, rows.counts)
    result: Any = SimpleNamespace(
        targets=np.array([[-1] * 4, [-1, -1, -1, 1]], dtype=np.int16), weights=np.array([0.6, 0.4])
    )
    part = _around(network, Evidence.held_rows(network, blocks), result, frozenset({3}))
    assert part.kept == (2, 3)
    assert part.targets.tolist() == [[-1, -1], [-1, 1]]
    assert part.network.parents == ((), (0,))
    np.testing.assert_array_equal(part.network.tables[1], network.tables[3])
    np.testing.assert_allclose(part.network.tables[0], [[0.5, 0.5]])
    assert part.network.control is not None
    assert network.control is not None
    np.testing.assert_array_equal(part.network.control.counts[1], network.control.counts[3])
    np.testing.assert_allclose(part.network.control.counts[0], [[5.0, 5.0]])
    found = np.zeros((2, 2))
    held = part.evidence.configurations
    np.add.at(found, tuple(held.codes.T), held.counts)
    expected = np.zeros((2, 2))
    np.add.at(expected, tuple(rows.codes[:, [2, 3]].T), rows.counts)
    np.testing.assert_allclose(found, expected)
    whole = _around(network, Evidence.held_rows(network, blocks), result, frozenset(range(4)))
    assert whole.network is network


class Fitter:
    """Steps of EM with values that are given, and what drops may save."""

    def __init__(self, margins: list[float], costs: list[float], gap: float = 0.0) -> None:
        self._margins, self._costs, self._gap = np.array(margins), np.array(costs), gap
        self.targets = np.array([[-1, -1], [0, -1], [-1, 1]], dtype=np.int16)
        self.values: list[float] = []

    def margins(self, joint: Any) -> np.ndarray:
        return self._margins

    def costs(self, joint: Any) -> np.ndarray:
        return self._costs

    def steps(self, network: Any, *start: Any, rise: float) -> Any:
        sums = SimpleNamespace(gap=np.array([self._gap]), n_possible=np.array([10.0]))
        for value in self.values:
            yield SimpleNamespace(value=value, sums=sums, targets=self.targets)


def test_drops_may_save_what_they_lose_little_by() -> None:
    joint: Any = SimpleNamespace(targets=Fitter([], []).targets)
    fitter: Any = Fitter([-3.0, np.inf, 2.0], [5.0, 7.0, 11.0])
    # Those of the quadratic model, and all cost of what sets the variable.
    assert _most_saved(fitter, joint, 0) == 3.0 + 7.0
    assert _most_saved(fitter, joint, 1) == 3.0 + 11.0
    kept = {target.tobytes() for target in joint.targets}
    far: Any = Fitter([-3.0, np.inf, 100.1], [5.0, 7.0, 11.0])
    assert saved_at_most(far, joint, kept) == 5.0
    near: Any = Fitter([-3.0, np.inf, 100.0], [5.0, 7.0, 11.0])
    assert saved_at_most(near, joint, kept) == 16.0
    # One that was added may go, whatever it loses.
    assert saved_at_most(far, joint, kept - {joint.targets[1].tobytes()}) == 12.0


@pytest.mark.parametrize(("least", "out"), [(-61.6, False), (-61.4, True)])
def test_steps_that_cannot_bring_it_there_are_seen(least: float, out: bool) -> None:
    fitter: Any = Fitter([np.inf] * 3, [0.0] * 3)
    fitter.values = [-100.0, -99.0]
    own = fitter.targets
    found = is_out_of_reach(fitter, None, (own, np.ones(3)), own, least, lambda j: j.value)  # type: ignore[arg-type]
    # After a first step of one nat 25 times that may come, and 25 times half a nat.
    assert found == out


def test_what_is_near_or_cannot_be_judged_is_gone_on_with() -> None:
    own = Fitter([], []).targets

    def out(values: list[float], least: float, gap: float = 0.0) -> bool:
        fitter: Any = Fitter([np.inf] * 3, [0.0] * 3, gap)
        fitter.values = values
        return is_out_of_reach(fitter, None, (own, np.ones(3)), own, least, lambda j: j.value)  # type: ignore[arg-type]

    assert not out([-np.inf, -90.0], 0.0)
    # A rise so small that nothing more comes ends it.
    assert not out([-100.0, -99.6, -99.5], -77.2)
    assert out([-100.0, -99.6], -77.0)
    # Of steps that shrink by half twice the rise comes, but four times at least.
    assert not out([-100.0, -98.0, -97.0], -80.6)
    assert out([-100.0, -98.0, -97.0], -80.4)
    # Weights that are not solved may bring their gap for each row.
    assert out([-100.0, -99.0], -60.0)
    assert not out([-100.0, -99.0], -60.0, gap=0.3)
    assert not out([-100.0], 0.0)


def is_freed(network: Network, i: int) -> bool:
    assert network.control is not None
    return bool(network.control.counts[i].max() < 1.0)


@pytest.mark.parametrize("second", [False, True])
def test_tables_are_freed_one_after_the_other_as_long_as_that_pays(second: bool) -> None:
    rows = toy_rows(1, n_rows=400)
    network, evidence = rows.network, evidence_of(rows)
    order = _suspects(network, evidence, ())
    best, also = order[1], order[0]
    told: list[tuple[str, int, int | None]] = []

    def search(free: Network, refine: bool) -> Any:
        assert refine
        freed = tuple(i for i in range(4) if is_freed(free, i))
        gain = {(best,): 50.0, tuple(sorted((best, also))): 60.0 if second else 49.0}.get(freed, 1)
        score = -100.0 + _cost(network, evidence, freed) + gain
        return SimpleNamespace(
            penalised_score=score,
            network=free,
            targets=np.full((1, 4), -1),
            weights=np.ones(1),
        )

    start: Any = SimpleNamespace(penalised_score=-100.0, network=network)
    found, changed = find_changed_mechanisms(
        network, evidence, start, search, lambda *words: told.append(words)
    )
    assert [one.variable for one in changed] == ([best, also] if second else [best])
    assert [one.gain for one in changed] == pytest.approx([50.0, 10.0] if second else [50.0])
    assert is_freed(found.network, best)
    assert is_freed(found.network, also) == second
    assert told[0] == ("freeing tables on trial", 0, len(order))
    # Where none pays all stays as it was.
    same, none = find_changed_mechanisms(
        network,
        evidence,
        start,
        lambda free, refine: SimpleNamespace(penalised_score=-100.0),  # type: ignore[arg-type, return-value]
    )
    assert same is start
    assert none == ()


def moved_rows(n_rows: int) -> tuple[Network, Evidence, SearchResult]:
    """Rows of a network whose third table is another, explained by do's on its variable."""
    network = toy_network(1)
    tables = list(network.tables)
    tables[2] = tables[2][::-1, ::-1]
    other = Network(network.variables, network.parents, tables)
    rng = np.random.default_rng(0)
    codes = sample_codes(other, np.full((1, 4), -1), np.ones(1), n_rows, rng)[0]
    evidence = Evidence.of_configurations(network, collapse(codes, network.cardinalities))
    targets = np.array([[-1] * 4, [-1, -1, 0, -1], [-1, -1, 1, -1]], dtype=np.int16)
    return network, evidence, ranked(evidence, network, targets, np.array([0.4, 0.3, 0.3]))


def test_a_freed_table_is_tested_with_as_many_degrees_of_freedom_as_entries() -> None:
    network, evidence, result = moved_rows(60)
    found = suspect_mechanism(network, evidence, result)
    assert found is not None
    assert found.variable == 2
    score = Score(60.0, network.cardinalities, 4)
    dearest = score.costs(result.targets).max()
    entries = _entries(network, evidence, 2)
    # Of three variables with parents one is that which was looked at.
    expected = chi2.sf(2.0 * (found.gain - dearest), entries) * 3
    assert found.p_value == pytest.approx(expected, rel=1e-6)
    assert expected < 0.01
    # Too few rows, or a single component on the variable, say nothing.
    assert suspect_mechanism(*moved_rows(8)) is None
    one = ranked(evidence, network, result.targets[:2], np.array([0.6, 0.4]))
    assert suspect_mechanism(network, evidence, one) is None


def test_a_table_that_dos_could_have_made_is_none_that_changed() -> None:
    network, evidence, result = moved_rows(4_000)
    part = _around(network, evidence, result, frozenset({2}))
    (i,) = (k for k, variable in enumerate(part.kept) if variable == 2)

    def is_other(family: np.ndarray) -> bool:
        own: Any = SimpleNamespace(
            network=part.network, evidence=SimpleNamespace(teach=lambda *given: (family,))
        )
        trial: Any = SimpleNamespace(network=None, targets=None, weights=None)
        return _is_no_mixture_of_dos(own, i, trial, 6)

    table = part.network.tables[i]
    mixed = 0.6 * table + np.array([0.3, 0.1])
    assert not is_other(300.0 * mixed)
    assert is_other(300.0 * table[::-1, ::-1])
    # Of the six entries two are told by the do's.
    for n_rows in (40.0, 60.0, 80.0, 120.0):
        family = n_rows * (0.9 * mixed + 0.1 * table[::-1, ::-1])
        shares = family / family.sum(axis=1, keepdims=True)
        gain = float((family * np.log(shares / _mixed_with_dos(table, family))).sum())
        assert is_other(family) == (chi2.sf(2.0 * gain, 4) < 0.01)
