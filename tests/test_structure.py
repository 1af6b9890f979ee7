"""Guessed graphs: what is found where it can be found, what is said where it cannot."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dosift
from dosift.errors import (
    GuessedGraphWarning,
    InputError,
    MisfitWarning,
    MissingDependencyError,
)
from dosift.learning.graph_learners import METHODS
from dosift.structure import edge_table, learn_graph, open_edges, plausible_graphs, stability

pytest.importorskip("pyagrum")

#: pgmpy takes seconds to be imported.
ALL_METHODS = [
    pytest.param(method, marks=pytest.mark.slow if method == "pgmpy" else ()) for method in METHODS
]
EDGES = [("a", "c"), ("b", "c"), ("c", "d")]


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    """A collider and its effect: every direction can be told from control rows."""
    return dosift.Network.from_tables(
        {name: ["0", "1"] for name in "abcd"},
        {"c": ["a", "b"], "d": ["c"]},
        {
            "a": [[0.6, 0.4]],
            "b": [[0.4, 0.6]],
            "c": [[0.95, 0.05], [0.4, 0.6], [0.3, 0.7], [0.05, 0.95]],
            "d": [[0.85, 0.15], [0.2, 0.8]],
        },
    )


@pytest.fixture(scope="module")
def control(network: dosift.Network) -> pl.DataFrame:
    return dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 3000, 0)


@pytest.fixture(scope="module")
def truth() -> dosift.Mixture:
    return dosift.Mixture({dosift.do(): 0.5, dosift.do(c=1): 0.3, dosift.do(a=0, d=1): 0.2})


@pytest.fixture(scope="module")
def rows(network: dosift.Network, truth: dosift.Mixture) -> pl.DataFrame:
    return dosift.simulate(network, truth, 3000, 1)


def test_what_can_be_told_is_found_and_warned_of(control: pl.DataFrame) -> None:
    with pytest.warns(GuessedGraphWarning, match="none of its 3 edges is certain, and 0 of them"):
        graph = learn_graph(control)
    assert set(graph.edges) == set(EDGES)
    assert sorted(dosift.learn_network(graph, control).edges) == EDGES


@pytest.mark.parametrize("method", ALL_METHODS)
def test_every_method_finds_what_belongs_together(control: pl.DataFrame, method: str) -> None:
    with pytest.warns(GuessedGraphWarning):
        graph = learn_graph(control, method=method)
    assert {frozenset(edge) for edge in graph.edges} >= {frozenset(edge) for edge in EDGES}


def test_the_warning_counts_open_edges(control: pl.DataFrame) -> None:
    with pytest.warns(GuessedGraphWarning, match="1 edges is certain, and 1 of them fit as well"):
        learn_graph(control.select("c", "d"))


def test_columns_without_edges_stay(control: pl.DataFrame) -> None:
    noise = control.with_columns(
        e=pl.Series(np.random.default_rng(0).choice(["x", "y"], control.height)),
        same=pl.lit("one"),
    )
    with pytest.warns(GuessedGraphWarning):
        graph = learn_graph(noise)
    assert graph.nodes == ("a", "b", "c", "d", "e", "same")
    assert set(graph.edges) == set(EDGES)


@pytest.mark.parametrize("method", ALL_METHODS)
def test_knowledge_is_respected(control: pl.DataFrame, method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuessedGraphWarning)
        tiers = learn_graph(control, method=method, tiers=[["d"], ["c"], ["a", "b"]])
        required = learn_graph(control, method=method, required=[("a", "d")])
        forbidden = learn_graph(control, method=method, forbidden=[("c", "d"), ("d", "c")])
        single = learn_graph(control, method=method, max_parents=1)
    order = {"d": 0, "c": 1, "a": 2, "b": 2}
    assert all(order[parent] <= order[child] for parent, child in tiers.edges)
    assert tiers.edges
    assert ("a", "d") in required.edges
    assert not {("c", "d"), ("d", "c")} & set(forbidden.edges)
    children = [child for _, child in single.edges]
    assert len(children) == len(set(children))


def test_the_seed_decides_open_directions_and_nothing_else(control: pl.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuessedGraphWarning)
        graphs = [learn_graph(control.select("c", "d"), random_state=s) for s in range(6)]
        again = [learn_graph(control.select("c", "d"), random_state=s) for s in range(6)]
        fixed = {learn_graph(control, random_state=s) for s in range(3)}
    assert graphs == again
    assert {graph.edges[0] for graph in graphs} == {("c", "d"), ("d", "c")}
    assert {frozenset(graph.edges) for graph in fixed} == {frozenset(EDGES)}


def test_plausible_graphs_vary_where_the_rows_leave_it_open(control: pl.DataFrame) -> None:
    graphs = plausible_graphs(control, 5)
    assert graphs == plausible_graphs(control, 5)
    table = edge_table(graphs)
    share = {(p, c): s for p, c, s in table.rows()}
    assert all(share[edge] >= 0.8 for edge in EDGES)
    pair = edge_table(plausible_graphs(control.select("c", "d"), 6))
    assert pair.height == 2
    assert pair["found"].sum() == pytest.approx(1.0)


def test_stable_answers_are_the_truth(
    control: pl.DataFrame, rows: pl.DataFrame, truth: dosift.Mixture
) -> None:
    table = stability(control, rows, n_graphs=5)
    assert table.equals(stability(control, rows, n_graphs=5))
    targets = table.filter(pl.col("kind") == "target")
    always = targets.filter(pl.col("found") >= 0.8)
    assert set(always["intervention"]) == {str(t) for t in truth}
    weights = dict(zip(targets["intervention"], targets["weight_mean"], strict=True))
    assert all(abs(weights[str(t)] - truth[t]) < 0.05 for t in truth)
    assert (
        (table["weight_min"] <= table["weight_mean"])
        & (table["weight_mean"] <= table["weight_max"])
    ).all()
    single = table.filter((pl.col("kind") == "do") & (pl.col("intervention") == "do(d=1)"))
    assert single["weight_mean"].item() == pytest.approx(0.2, abs=0.05)


def test_a_wrong_direction_shows_as_instability(control: pl.DataFrame, rows: pl.DataFrame) -> None:
    right, wrong = [("c", "d")], [("d", "c")]
    pair, both = control.select("c", "d"), rows.select("c", "d").to_pandas()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MisfitWarning)
        table = stability(pair, both, graphs=[right, wrong, wrong])
    assert isinstance(table, pd.DataFrame)
    found = table.set_index(["kind", "intervention"])["found"]
    assert found["target", "do()"] == 1.0
    assert (found.round(3).isin([0.333, 0.667])).any()


def test_a_misfit_is_counted() -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 4000)
    control = pl.DataFrame({"a": a, "b": rng.integers(0, 2, 4000)})
    flipped = pl.DataFrame({"a": a, "b": np.where(rng.random(4000) < 0.9, a, 1 - a)})
    with pytest.warns(MisfitWarning, match="under 1 of 1 graphs") as caught:
        # With max_size=1, since any joint distribution is a mixture of do's on all variables.
        stability(control, flipped, max_size=1, graphs=[dosift.io.graph.Graph(("a", "b"), ())])
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "magic"}, "method is 'magic'"),
        ({"max_parents": 0}, "max_parents is 0"),
        ({"tiers": [["a", "b"], ["c"]]}, "every column.*'d'"),
        ({"tiers": [["a", "b"], ["c", "d", "a"]]}, "every column.*'a'"),
        ({"tiers": ["ab", "cd"]}, "made of texts"),
        ({"required": [("a", "x")]}, "required names 'x'"),
        ({"forbidden": ["ab"]}, "forbidden holds 'ab'"),
        ({"required": [("a", "b"), ("b", "a")]}, "cycle"),
        ({"required": [("a", "b")], "forbidden": [("a", "b")]}, "required and forbidden"),
        ({"required": [("d", "a")], "tiers": [["a"], ["b", "c", "d"]]}, "against tiers"),
    ],
)
def test_wrong_knowledge_is_refused(
    control: pl.DataFrame, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        learn_graph(control, **arguments)


def test_wrong_tables_are_refused(control: pl.DataFrame, rows: pl.DataFrame) -> None:
    with pytest.raises(InputError, match="less than two columns"):
        learn_graph(control.select("a"))
    with pytest.raises(InputError, match="control rows are int"):
        learn_graph(3)
    with pytest.raises(InputError, match="missing value"):
        learn_graph(control.with_columns(a=pl.lit(None, dtype=pl.String)))
    with pytest.raises(InputError, match="n_graphs is 0"):
        plausible_graphs(control, 0)
    with pytest.raises(InputError, match="graphs is empty"):
        stability(control, rows, graphs=[])
    with pytest.raises(InputError, match="variable 'z', which control rows lack"):
        stability(control, rows, graphs=[[("a", "z")]])


def test_without_the_learner_it_says_what_to_install(
    control: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyagrum", None)
    with pytest.raises(MissingDependencyError, match=r"dosift\[structure\]"):
        learn_graph(control)


def test_open_edges_is_exported() -> None:
    assert open_edges(EDGES) == []


def test_a_missing_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    control = {"a": ["0", "1"] * 20, "b": ["0", "1"] * 20}
    for library in ("pandas", "pyagrum"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, library, None)
            with pytest.raises(dosift.errors.MissingDependencyError, match=r"dosift\[structure\]"):
                dosift.structure.learn_graph(control)
