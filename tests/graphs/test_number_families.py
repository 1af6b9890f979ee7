"""Families of regressions: closed forms against least squares, scores, tests of independence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dosift.data.configurations import collapse
from dosift.graphs.number_families import MechanismFamilies, families_of, families_of_control
from dosift.learning.mechanisms import learn_mechanisms
from dosift.likelihood.change_ratios import dense_ratios
from dosift.model.categorical import CategoricalMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Changes
from dosift.model.network import Variable
from known_numbers import number_problem

Floats = NDArray[np.float64]
N = 4
EVERY = [(0, ()), (1, (0,)), (2, (0, 1, 3)), (3, (1, 2))]


def families(seed: int, n_rows: int = 1_000) -> MechanismFamilies:
    made = number_problem(seed, n_rows=n_rows)
    network = made.network()
    return MechanismFamilies(network, made.rows(network))


def least_squares(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, float]:
    root = np.sqrt(weights)
    line = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
    return line, float(np.sqrt(weights @ np.square(y - x @ line) / weights.sum()))


def design(values: Floats, parents: tuple[int, ...]) -> Floats:
    return np.column_stack([np.ones(len(values)), values[:, list(parents)]])


@pytest.mark.parametrize(("i", "parents"), EVERY)
def test_a_family_is_that_of_least_squares(i: int, parents: tuple[int, ...]) -> None:
    made = families(0)
    control = made.network(((),) * N).control
    assert control is not None
    rng = np.random.default_rng(0)
    codes = made.rows.codes
    alone, under = rng.random((2, len(codes)))
    shift = Shift(0.7, 1.5, has_factor=True)
    for given, kept in ((None, []), (alone, []), (alone, [(shift, under)])):
        x, y = design(control.values, parents), control.values[:, i]
        weights = np.ones(len(y))
        number = len(y)
        if given is not None:
            x = np.concatenate([x, design(codes, parents)])
            y, weights = np.append(y, codes[:, i]), np.append(weights, given)
            number += given.sum()
        if kept:
            x = np.concatenate([x, design(codes, parents)])
            y = np.append(y, codes[:, i] - 0.7)
            weights = np.append(weights, under / 1.5**2)
            number += under.sum()
        line, sd = least_squares(x, y, weights)
        sd *= np.sqrt(weights.sum() / number)
        found = made.learned(i, parents, given, kept)
        np.testing.assert_allclose(found.mechanism.coefficients, line, atol=1e-6)
        assert found.mechanism.noise.sd == pytest.approx(sd, rel=1e-6)
        assert found.n_free == made.n_free(i, parents) == len(parents) + 2
        expected = stats.norm.logpdf(codes[:, i], design(codes, parents) @ line, sd)
        np.testing.assert_allclose(found.log_density, expected, rtol=1e-5, atol=1e-5)
        own = design(control.values, parents) @ line
        assert found.control == pytest.approx(
            stats.norm.logpdf(control.values[:, i], own, sd).sum(), rel=1e-6
        )
        np.testing.assert_allclose(found.mechanism.log_density(codes), expected, atol=1e-5)


def test_equivalent_graphs_have_the_same_score_by_control_rows() -> None:
    made = families(1)

    def score(graph: tuple[tuple[int, ...], ...]) -> float:
        return sum(made.control_score(i, row) for i, row in enumerate(graph))

    one, same = ((), (0,), (1,), ()), ((1,), (2,), (), ())
    assert score(one) == pytest.approx(score(same), abs=1e-6)
    assert score(one) != pytest.approx(score(((), (0, 2), (), ())))


def test_ratios_are_those_of_the_search() -> None:
    made = families(2)
    library = Changes((SetNormal(1.5, 0.1), Shift(-1.0), SetNormal(-40.0, 0.03)))
    family = made.learned(2, (0,))
    own, least, ratios = made.ratios(2, family, library, [0, 1, 2])
    expected, dense = dense_ratios(family.mechanism, library, made.rows.codes)
    assert least is not None
    np.testing.assert_allclose(own, expected)
    every = np.arange(len(own))
    for position, ratio in ratios.items():
        np.testing.assert_allclose(ratio, dense.ratio(position, every))


def test_p_values_are_uniform_under_independence_and_small_under_dependence() -> None:
    p_values, small = [], []
    variables = [Variable(name, kind="continuous") for name in "abc"]
    for seed in range(200):
        rng = np.random.default_rng([9, seed])
        a = rng.normal(size=60)
        b = a + rng.normal(size=60)
        rows = np.column_stack([a, b, b + rng.normal(size=60)])
        made = families_of_control(learn_mechanisms(variables, rows, [(), (), ()]))
        p_values.append(made.dependence(2, 0, (1,)))
        small.append(made.dependence(0, 2, ()))
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    assert np.median(small) < 1e-3


def test_the_test_is_that_of_the_partial_correlation() -> None:
    made = families(3)
    control = made.network(((),) * N).control
    assert control is not None
    x = control.values
    residuals = [x[:, i] - design(x, (1,)) @ least_squares(design(x, (1,)), x[:, i],
                 np.ones(len(x)))[0] for i in (0, 2)]  # fmt: skip
    expected = stats.pearsonr(*residuals).pvalue
    assert made.dependence(0, 2, (1,)) == pytest.approx(expected, rel=0.05, abs=1e-12)
    assert made.dependence(2, 0, (1,)) == pytest.approx(made.dependence(0, 2, (1,)), abs=1e-9)


def mixed(seed: int, n_rows: int = 2_000) -> MechanismFamilies:
    """A gene chooses a number, which drives a state, which drives a count."""
    rng = np.random.default_rng([10, seed])
    gene = rng.integers(3, size=n_rows)
    number = np.array([0.0, 1.0, -1.0])[gene] + rng.normal(size=n_rows)
    state = (rng.random(n_rows) < 1.0 / (1.0 + np.exp(-2.0 * number))).astype(int)
    count = rng.negative_binomial(5, 5.0 / (5.0 + np.where(state, 20.0, 5.0)))
    variables = [
        Variable("gene", ("0", "1", "2")),
        Variable("number", kind="continuous"),
        Variable("state", ("no", "yes")),
        Variable("count", kind="count"),
    ]
    values = np.column_stack([gene, number, state, count]).astype(float)
    network = learn_mechanisms(variables, values[::2], [(), (), (), ()])
    rows = collapse(network.working(values[1::2]), network.cardinalities)
    found = families_of(network, rows)
    assert isinstance(found, MechanismFamilies)
    return found


def test_every_kind_of_variable_has_families() -> None:
    made = mixed(0)
    counts = made.rows.counts
    kinds = {}
    for i in range(4):
        for parents in ((), *((p,) for p in range(4) if p != i)):
            family = made.learned(i, parents, counts)
            kinds[i, parents] = type(family.mechanism)
            assert np.isfinite(family.log_density).all()
            assert family.n_free == family.mechanism.n_free
            # Pool rows that teach make themselves likelier, as control and pool are alike.
            assert counts @ family.log_density >= counts @ made.learned(i, parents).log_density - 1
            assert made.control_score(i, parents) <= family.control + 60
    assert kinds[0, ()] is kinds[0, (2,)] is CategoricalMechanism
    assert kinds[2, (1,)] is LogisticMechanism
    for i, p in ((1, 0), (2, 1), (3, 2)):
        assert made.control_score(i, (p,)) > made.control_score(i, ()) + 10
        assert made.control_score(p, (i,)) > made.control_score(p, ()) + 10
        assert made.dependence(i, p, ()) < 1e-6
    assert made.dependence(2, 0, (1,)) > 1e-3
    assert made.dependence(3, 1, (2,)) > 1e-3
    assert made.dependent_pairs(1)[1, 2]


def test_a_network_has_the_graph_that_was_asked_for() -> None:
    made = mixed(1)
    graph = ((), (0,), (1,), (1, 2))
    network = made.network(graph)
    assert network.parents == graph
    again = made.of_network(network)
    assert made.network(graph, again).parents == graph
    # Statistics of control rows are remembered by variable: no two graphs share them.
    assert made.network(((),) * 4).control is not network.control


def test_scales_that_no_graph_tells_are_those_of_the_regression_on_all_others() -> None:
    """Of b = 2 a + noise, where a is lognormal, the marginal alone would say: the logarithm."""
    rng = np.random.default_rng(11)
    a = np.exp(rng.normal(1.0, 0.6, size=2_000))
    b = 20.0 + 2.0 * a + rng.normal(0.0, 1.0, size=2_000)
    c = np.exp(0.05 * b + 0.1 * rng.normal(size=2_000))
    variables = [Variable(name, kind="continuous") for name in "abc"]
    rows = np.column_stack([a, b, c])
    network = learn_mechanisms(variables, rows, [(), (), ()], is_rough=True)
    assert network.scales[1].form == "raw"
    assert network.scales[2].form == "log"
    # Too few rows to regress on all: each column by itself.
    few = learn_mechanisms(variables, rows[:20], [(), (), ()], is_rough=True)
    alone = learn_mechanisms(variables, rows[:20], [(), (), ()])
    assert [one.form for one in few.scales] == [one.form for one in alone.scales]
