"""Hidden factors: found in control rows, never from the count that they explain, and hidden."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray

import dosift
from dosift.data.numbers import Numbers, read_numbers
from dosift.errors import InputError
from dosift.learning.factors import find_factors, with_factors
from dosift.learning.mixed import ControlTable, learn_from_control
from dosift.model.covariate import joint_covariates
from dosift.model.network import Variable
from dosift.results.folder import graph_content

N_GENES = 16


class Drawn(NamedTuple):
    control: pd.DataFrame
    pool: pd.DataFrame
    state: NDArray[np.float64]


def drawn(seed: int = 0, n_cells: int = 1500, loading: float = 0.5) -> Drawn:
    """Cells whose genes go up and down with a hidden state; g02 is off in .3 of the pool."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(5.0, 15.0, N_GENES)
    loadings = loading * rng.choice([-1.0, 1.0], N_GENES)
    tables, states = [], []
    for is_pool in (False, True):
        state, depth = rng.normal(size=n_cells), np.exp(rng.normal(0.0, 0.4, n_cells))
        mean = means * depth[:, None] * np.exp(np.outer(state, loadings))
        if is_pool:
            mean[rng.random(n_cells) < 0.3, 2] *= 0.05
        counts = rng.poisson(rng.gamma(10.0, mean / 10.0))
        tables.append(pd.DataFrame(counts, columns=[f"g{k:02d}" for k in range(N_GENES)]))
        states.append(state)
    return Drawn(tables[0], tables[1], states[0])


def learned(data: Drawn, factors: int) -> tuple[Any, Any]:
    graph = pd.DataFrame({"parent": "", "child": data.control.columns})
    table = ControlTable(data.control, graph, whole_are_counts=True, factors=factors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return learn_from_control(table, data.pool)


def test_a_hidden_state_is_found_without_the_count_itself() -> None:
    for seed in range(5):
        data = drawn(seed)
        network, _ = learned(data, 1)
        own = [i for i, one in enumerate(network.variables) if one.kind == "factor"]
        assert len(own) == 4
        for i in own:
            found = np.corrcoef(network.control.values[:, i], data.state)[0, 1]
            assert abs(found) > 0.85
        for i, variable in enumerate(network.variables[:N_GENES]):
            (factor,) = set(network.mechanisms[i].parents) & set(own)
            assert variable.name not in network.variables[factor].total_of
        plain, _ = learned(data, 0)
        gain = network.log_prior() - plain.log_prior()
        assert gain > 500.0


def test_rows_read_later_have_the_same_factors() -> None:
    data = drawn()
    network, rows = learned(data, 2)
    again = read_numbers(data.pool.head(10), network.variables)
    assert again.values == pytest.approx(rows.values[:10])
    values = network.control.values
    seen = read_numbers(data.control, network.variables).values
    assert network.working(seen) == pytest.approx(values)


def test_factors_do_not_hang_on_the_order_of_rows() -> None:
    data = drawn()
    shuffled = data._replace(control=data.control.sample(frac=1.0, random_state=0))
    one, two = learned(data, 1)[0], learned(shuffled, 1)[0]
    for a, b in zip(one.variables, two.variables, strict=True):
        assert a.total_of == b.total_of
        assert a.shares == pytest.approx(b.shares)


def test_drawn_rows_have_factors_that_go_together() -> None:
    data = drawn()
    genes = list(range(3, N_GENES))
    control = np.corrcoef(np.log1p(data.control.to_numpy()[:, genes]).T)
    off = []
    for factors in (0, 1):
        network, rows = learned(data, factors)
        real = network.working(rows.values)
        network = network.with_covariates_of(real, np.ones(len(real)))
        nothing = np.full((1, network.n_variables), -1, dtype=np.int64)
        made, _ = network.draw(nothing, np.ones(1), 20_000, np.random.default_rng(0))
        hidden = sorted(network.covariates)
        together = np.atleast_2d(np.corrcoef(real[:, hidden].T))
        assert np.corrcoef(made[:, hidden].T) == pytest.approx(together.squeeze(), abs=0.05)
        # Genes go together as they do in cells to which nothing was done.
        off.append(np.abs(np.corrcoef(np.log1p(made[:, genes]).T) - control).mean())
    assert off[1] < 0.3 * off[0]


def test_columns_that_go_together_are_drawn_from_rows_of_weight() -> None:
    rows = np.array([[1.0, 10.0], [1.0, 11.0], [2.0, 20.0], [3.0, 30.0]])
    size, other = joint_covariates([0, 1], rows, np.array([1.0, 1.0, 2.0, 0.0]))
    values = np.zeros((4000, 2))
    rng = np.random.default_rng(0)
    values[:, 0] = size.draw(values, rng)
    values[:, 1] = other.draw(values, rng)
    pairs, counts = np.unique(values, axis=0, return_counts=True)
    assert pairs.tolist() == [[1.0, 10.0], [1.0, 11.0], [2.0, 20.0]]
    assert counts / 4000 == pytest.approx([0.25, 0.25, 0.5], abs=0.03)
    assert joint_covariates([], rows, np.ones(4)) == []


@pytest.fixture(scope="module")
def model() -> dosift.InterventionMixture:
    data = drawn()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dosift.InterventionMixture(knockouts=True).fit(
            data.pool, control=data.control, factors=1
        )


@pytest.mark.long
def test_a_knock_out_is_found_and_factors_are_hidden(model: Any) -> None:
    assert {frozenset(target) for target in model.targets_} == {frozenset(), frozenset({"g02"})}
    totals = model.variables_.filter(pl.col("value") == "")
    assert totals.filter(pl.col("variable") == "g02")["rate"].item() == pytest.approx(0.3, abs=0.04)
    names = {f"g{k:02d}" for k in range(N_GENES)}
    assert set(model.variables_["variable"]) == set(graph_content(model.network_)) == names
    assert set(model.feature_names_in_) == names
    assert model.network_.edges == []
    assert model.fit_check_.n_pairs == N_GENES * (N_GENES - 1) // 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"factors": -1}, "factors is -1"),
        ({"factors": 1.5}, "factors is 1.5"),
        ({"factors": True}, "factors is True"),
        ({"factors": 9}, "take fewer factors"),
        ({"factors": 1, "size": False}, "there is no size"),
        ({"factors": 1, "edges": "repair", "graph": [("g00", "g01")]}, "factors take the place"),
        ({"factors": 1, "edges": "learn"}, "factors take the place"),
    ],
)
def test_factors_that_cannot_be(settings: Any, words: str) -> None:
    data = drawn(n_cells=200)
    model = dosift.InterventionMixture(knockouts=True)
    with pytest.raises(InputError, match=words):
        model.fit(data.pool, control=data.control, **settings)


def test_constant_and_small_counts_are_no_part_of_factors() -> None:
    counts = drawn().control.assign(g00=0, g01=7).to_numpy(float)
    names = [f"g{k:02d}" for k in range(N_GENES)]
    size = Variable("size", kind="size")
    variables = (*(Variable(name, kind="count") for name in names), size)
    values = np.column_stack([counts, np.full(len(counts), 100.0)])
    rows = Numbers(variables, np.asfortranarray(values))
    found = find_factors(rows, 1)
    assert found.of is not None
    assert set(found.of) == set(names)
    for one in found.variables:
        assert not {"g00", "g01"} & set(one.total_of)
    assert np.isfinite(with_factors(rows, found).values).all()
    assert with_factors(rows, find_factors(rows, 0)) is rows
