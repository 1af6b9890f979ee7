"""Families of tables: counts, densities and scores against plain loops; tests of independence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

import dosift
from dosift.data.configurations import collapse
from dosift.graphs.families import TableFamilies, relearned
from dosift.learning.tables import as_if_learned, learn_from_codes, remembered_rows
from dosift.model.network import ControlCounts, Network, Variable
from known_graphs import all_graphs

SIZES = (2, 3, 2, 4)
N = len(SIZES)
VARIABLES = [Variable(f"V{i}", tuple("abcd"[:k])) for i, k in enumerate(SIZES)]
EVERY = [
    (i, p) for i in range(N) for p in ((), ((i + 1) % N,), tuple(j for j in range(N) if j != i))
]


def codes(rng: np.random.Generator, n_rows: int) -> NDArray[np.int64]:
    """Rows of variables that depend on each other in a chain."""
    out = np.column_stack([rng.integers(k, size=n_rows) for k in SIZES])
    for i in range(1, N):
        copied = rng.random(n_rows) < 0.4
        out[copied, i] = out[copied, i - 1] % SIZES[i]
    return out


def families(
    control: NDArray[np.int64],
    rows: NDArray[np.int64],
    targets: NDArray[np.int64] | None = None,
    prior: float = 0.5,
) -> TableFamilies:
    network = learn_from_codes(VARIABLES, [()] * N, control, prior)
    assert network.control is not None
    kept = ControlCounts(
        network.control.counts,
        prior,
        float(len(control)),
        rows=remembered_rows(control, SIZES, targets=targets),
    )
    network = Network(network.variables, network.parents, network.tables, kept)
    return TableFamilies(network, collapse(rows, np.array(SIZES)))


def plain_counts(
    i: int, parents: tuple[int, ...], rows: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    out = np.zeros([*(SIZES[p] for p in parents), SIZES[i]])
    for row, weight in zip(rows.tolist(), weights, strict=True):
        out[(*(row[p] for p in parents), row[i])] += weight
    return out.reshape(-1, SIZES[i])


@pytest.mark.parametrize(("i", "parents"), EVERY)
@pytest.mark.parametrize("labelled", [False, True])
def test_a_family_is_that_of_counts(i: int, parents: tuple[int, ...], labelled: bool) -> None:
    """Control rows with targets teach the variables that these leave alone."""
    rng = np.random.default_rng(0)
    control, rows = codes(rng, 300), codes(rng, 200)
    targets = np.where(rng.random(control.shape) < 0.3, control, -1) if labelled else None
    made = families(control, rows, targets)
    alone = rng.random(made.rows.counts.size) * made.rows.counts
    taught = np.ones(300) if targets is None else (targets[:, i] < 0).astype(float)
    of_control = plain_counts(i, parents, control, taught)
    counts = of_control + 0.5
    for given, more in ((None, 0.0), (alone, plain_counts(i, parents, made.rows.codes, alone))):
        both = counts + more
        found = made.learned(i, parents, given)
        table = both / both.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.table, table)
        assert found.n_free == made.n_free(i, parents) == table.shape[0] * (SIZES[i] - 1)
        at = [np.ravel_multi_index([r[p] for p in parents], [SIZES[p] for p in parents])
              if parents else 0 for r in made.rows.codes.tolist()]  # fmt: skip
        np.testing.assert_allclose(found.log_density, np.log(table[at, made.rows.codes[:, i]]))
        # With the prior's density, relative to that at an even table.
        prior = 0.5 * (np.log(table) - np.log(1 / SIZES[i])).sum()
        assert found.control == pytest.approx((of_control * np.log(table)).sum() + prior)
        again = made.given(i, parents, found.table)
        np.testing.assert_allclose(again.log_density, found.log_density)
        assert (again.control, again.n_free) == (pytest.approx(found.control), found.n_free)


@pytest.mark.parametrize(("i", "parents"), EVERY)
def test_the_score_of_control_rows_is_bic(i: int, parents: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    control = codes(rng, 40)  # some cells are empty
    made = families(control, codes(rng, 30))
    counts = plain_counts(i, parents, control, np.ones(40))
    best = 0.0
    for line in counts:
        best += sum(c * np.log(c / line.sum()) for c in line if c > 0)
    n_free = counts.shape[0] * (SIZES[i] - 1)
    assert made.control_score(i, parents) == pytest.approx(best - 0.5 * np.log(40) * n_free)
    assert made.n_rows == 70
    assert made.n_variables == N


def test_equivalent_graphs_have_the_same_score_by_control_rows() -> None:
    rng = np.random.default_rng(2)
    made = families(codes(rng, 500), codes(rng, 10))

    def score(graph: tuple[tuple[int, ...], ...]) -> float:
        return sum(made.control_score(i, row) for i, row in enumerate(graph))

    assert score(((), (0,), (1,), ())) == pytest.approx(score(((1,), (2,), (), ())))
    assert score(((), (0,), (1,), ())) != pytest.approx(score(((), (0, 2), (), ())))


def test_cells_are_counted_again_when_too_many_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    control, rows = codes(rng, 100), codes(rng, 100)
    plenty = families(control, rows)
    monkeypatch.setattr("dosift.graphs.families._MOST_BYTES", 300)
    few = families(control, rows)
    for _ in range(2):
        for i, parents in EVERY:
            np.testing.assert_array_equal(
                few.learned(i, parents).table, plenty.learned(i, parents).table
            )
            held = sum(cells.nbytes + table.nbytes for cells, table in few._cells.values())
            assert held <= 300 + few.rows.counts.size * 4 + 8 * np.prod(SIZES)


def test_a_network_with_another_graph_is_that_of_learning_it() -> None:
    rng = np.random.default_rng(4)
    control = codes(rng, 200)
    first = learn_from_codes(VARIABLES, [()] * N, control, 0.5)
    made = TableFamilies(first, collapse(codes(rng, 50), np.array(SIZES)))
    for graph in all_graphs(N)[::40]:
        expected = learn_from_codes(VARIABLES, graph, control, 0.5)
        for found in (made.network(graph), relearned(first, graph)):
            assert found.parents == expected.parents
            assert found.control is not None
            assert expected.control is not None
            assert found.control.rows is not None
            assert found.control.n_rows == expected.control.n_rows
            for a, b in zip(found.tables, expected.tables, strict=True):
                np.testing.assert_allclose(a, b)
            for a, b in zip(found.control.counts, expected.control.counts, strict=True):
                np.testing.assert_allclose(a, b)
        even = tuple(
            made.given(i, row, np.full(t.shape, 1 / t.shape[1]))
            for (i, row), t in zip(enumerate(graph), expected.tables, strict=True)
        )
        for i, table in enumerate(made.network(graph, even).tables):
            np.testing.assert_allclose(table, 1 / SIZES[i])


def test_p_values_are_uniform_under_independence() -> None:
    """Of 0 and 2 given the variable between them."""
    p_values = []
    for seed in range(300):
        rng = np.random.default_rng([5, seed])
        middle = rng.integers(3, size=2_000)
        ends = [(middle + rng.choice(k, p=[0.6, *[0.4 / (k - 1)] * (k - 1)], size=2_000)) % k
                for k in (2, 2)]  # fmt: skip
        rows = np.column_stack([ends[0], middle, ends[1], rng.integers(4, size=2_000)])
        made = families(rows, rows[:1])
        p_values.append(made.dependence(2, 0, (1,)))
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    assert np.mean(np.array(p_values) < 0.05) < 0.1


def test_p_values_are_small_under_dependence() -> None:
    rng = np.random.default_rng(6)
    rows = codes(rng, 2_000)
    made = families(rows, rows[:1])
    assert made.dependence(1, 0, ()) < 1e-10
    assert made.dependence(0, 1, ()) == pytest.approx(made.dependence(1, 0, ()))
    assert made.dependence(2, 0, (1,)) > 1e-4
    assert made.dependence(3, 2, (0,)) < 1e-10


def test_strata_without_rows_enough_say_nothing() -> None:
    rng = np.random.default_rng(7)
    made = families(codes(rng, 20), codes(rng, 5))
    assert made.dependence(1, 3, (0, 2)) == 1.0
    constant = codes(rng, 500)
    constant[:, 0] = 0
    assert families(constant, constant[:1]).dependence(1, 0, ()) == 1.0


def test_tables_too_large_to_be_filled_are_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    made = families(codes(np.random.default_rng(6), 2_000), codes(np.random.default_rng(6), 1))
    monkeypatch.setattr("dosift.graphs.families._MOST_CELLS", 11)
    assert made.dependence(1, 0, (2,)) == 1.0
    assert made.dependence(1, 0, ()) < 1e-10


def test_the_test_is_that_of_the_likelihood_ratio() -> None:
    rng = np.random.default_rng(8)
    rows = codes(rng, 400)
    table = plain_counts(1, (0,), rows, np.ones(400))
    expected = stats.chi2_contingency(table, lambda_="log-likelihood", correction=False).pvalue
    assert families(rows, rows[:1]).dependence(1, 0, ()) == pytest.approx(expected)


def test_dependent_pairs_are_those_of_the_largest_mutual_information() -> None:
    rng = np.random.default_rng(9)
    rows = codes(rng, 3_000)
    rows[:, 3] = rng.integers(4, size=3_000)  # depends on none
    made = families(rows, rows[:1])
    information = np.full((N, N), -np.inf)
    for i in range(N):
        for j in range(N):
            if i != j:
                joint = plain_counts(i, (j,), rows, np.ones(3_000)) / 3_000
                own = joint.sum(axis=0) * joint.sum(axis=1, keepdims=True)
                information[i, j] = (joint[joint > 0] * np.log((joint / own)[joint > 0])).sum()
    best = np.zeros((N, N), dtype=bool)
    best[np.arange(N), information.argmax(axis=1)] = True
    np.testing.assert_array_equal(made.dependent_pairs(1), best | best.T)
    assert made.dependent_pairs(1)[0, 1]
    assert made.dependent_pairs(1)[1, 2]
    np.testing.assert_array_equal(made.dependent_pairs(N - 1), ~np.eye(N, dtype=bool))


def test_known_tables_stand_for_control_rows() -> None:
    known = as_if_learned(dosift.random_network(4, n_edges=4, random_state=0), 1_000)
    nothing = collapse(np.zeros((0, 4), dtype=np.int64), known.cardinalities)
    made = TableFamilies(known, nothing)
    for i, own in enumerate(known.parents):
        np.testing.assert_allclose(made.learned(i, own).table, known.tables[i], atol=1e-9)
        # Exactly independent of what comes before, given the parents.
        for j in set(range(i)) - set(own):
            assert made.dependence(i, j, own) == pytest.approx(1.0)
        for j in own:
            assert made.dependence(i, j, tuple(p for p in own if p != j)) < 1e-3
