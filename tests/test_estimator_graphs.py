"""How a user asks for a graph that is given, repaired or learned: what reaches the pipeline."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

import dosift
from dosift.data.load import Loaded
from dosift.errors import ExtraColumnsWarning, InputError, NewStatesWarning
from dosift.learning.edge_knowledge import EdgeKnowledge
from dosift.model.network import Network
from dosift.pipeline import Recipe

TRUTH = dosift.random_network(4, n_edges=3, random_state=1)
CONTROL = dosift.simulate(TRUTH, dosift.Mixture({dosift.do(): 1.0}), 300, random_state=2)
ROWS = dosift.simulate(
    TRUTH, dosift.Mixture({dosift.do(): 0.6, dosift.do(V1="1"): 0.4}), 200, random_state=3
)
EDGES = TRUTH.edges
LEARNED = dosift.learn_network(EDGES, CONTROL)


class Reached(Exception):  # noqa: N818
    """The pipeline was reached, with these arguments."""

    def __init__(self, recipe: Recipe, network: Network, loaded: Loaded) -> None:
        super().__init__("reached")
        self.recipe, self.network, self.loaded = recipe, network, loaded

    @property
    def known(self) -> EdgeKnowledge:
        assert self.recipe.edge_knowledge is not None
        return self.recipe.edge_knowledge

    @property
    def n_control(self) -> float:
        assert self.network.control is not None
        assert self.network.control.rows is not None
        return float(self.network.control.rows.counts.sum())


@pytest.fixture(autouse=True)
def _pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(recipe: Recipe, network: Network, loaded: Loaded, progress: object) -> None:
        raise Reached(recipe, network, loaded)

    monkeypatch.setattr("dosift.estimator.fit", reached)


def ask(*constructor: Any, rows: Any = ROWS, fit: dict[str, Any] | None = None, **own: Any) -> Any:
    with pytest.raises(Reached) as caught:
        dosift.InterventionMixture(*constructor, **own).fit(rows, **(fit or {}))
    return caught.value


def refused(*constructor: Any, fit: dict[str, Any] | None = None, **own: Any) -> str:
    with pytest.raises(InputError) as caught:
        dosift.InterventionMixture(*constructor, **own).fit(ROWS, **(fit or {}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_network_alone_is_as_it_was() -> None:
    found = ask(TRUTH)
    assert found.recipe.edges == "fixed"
    assert found.network is TRUTH
    assert found.known == EdgeKnowledge()


@pytest.mark.parametrize("edges", ["fixed", "repair"])
@pytest.mark.parametrize("where", ["constructor", "fit"])
def test_control_rows_with_a_graph(edges: str, where: str) -> None:
    given: dict[str, Any] = {"control": CONTROL, "graph": EDGES}
    if where == "fit":
        found = ask(edges="fixed" if edges == "repair" else "repair", fit={**given, "edges": edges})
    else:
        found = ask(edges=edges, fit=given)
    assert found.recipe.edges == edges
    assert set(found.network.edges) == set(EDGES)
    assert found.n_control == 300
    assert found.loaded.rows.n_rows == 200


@pytest.mark.parametrize("edges", ["fixed", "repair", "learn"])
def test_control_rows_without_a_graph_ask_for_one(edges: str) -> None:
    found = ask(edges=edges, fit={"control": CONTROL})
    assert found.recipe.edges == "learn"
    assert found.network.names == tuple(CONTROL.columns)
    assert found.network.edges == []
    assert found.n_control == 300
    assert ask(fit={"control": CONTROL, "edges": "learn"}).recipe.edges == "learn"
    assert ask(fit={"control": CONTROL, "edges": "repair"}).recipe.edges == "learn"


def test_an_empty_graph_is_a_graph() -> None:
    found = ask(fit={"control": CONTROL, "graph": [], "edges": "fixed"})
    assert (found.recipe.edges, found.network.edges) == ("fixed", [])


def test_a_learned_network_may_be_repaired_or_learned_anew() -> None:
    for edges in ("fixed", "repair", "learn"):
        found = ask(LEARNED, edges=edges)
        assert found.recipe.edges == edges
        assert found.network is LEARNED
    assert ask(LEARNED, fit={"edges": "repair"}).recipe.edges == "repair"


@pytest.mark.parametrize("edges", ["fixed", "repair"])
def test_a_known_network_is_worth_control_rows(edges: str) -> None:
    found = ask(TRUTH, edges=edges, control_rows=500)
    assert found.recipe.edges == edges
    assert found.n_control == pytest.approx(500)
    assert found.network.edges == TRUTH.edges


def test_everything_that_is_known_of_edges_arrives(tmp_path: Path) -> None:
    (tmp_path / "required.csv").write_text("from,to\nV1,V2\n")
    forbidden = pd.DataFrame({"parent": ["V3", "V4"], "child": ["V4", "V3"]})
    found = ask(
        required_edges=tmp_path / "required.csv",
        forbidden_edges=forbidden,
        tiers=[["V1"], ["V2", "V3"]],
        max_parents=2,
        fit={"control": CONTROL},
    )
    assert found.known == EdgeKnowledge(
        (("V1", "V2"),), (("V3", "V4"), ("V4", "V3")), (("V1",), ("V2", "V3")), 2
    )
    assert ask(max_parents=None, fit={"control": CONTROL}).known.max_parents is None


def test_control_rows_come_in_every_form(tmp_path: Path) -> None:
    CONTROL.write_csv(tmp_path / "control.csv")
    for control in (
        tmp_path / "control.csv",
        CONTROL.to_pandas(),
        CONTROL.to_dict(as_series=False),
    ):
        assert ask(fit={"control": control}).n_control == 300


def test_columns_beside_are_no_variables() -> None:
    control = CONTROL.with_columns(guide=pl.lit("g"), done=pl.lit(""))
    rows = ROWS.with_columns(
        guide=pl.Series(["g", "h"] * 100), done=pl.Series(["do()", *[""] * 199])
    )
    found = ask(rows=rows, fit={"control": control, "batch": "guide", "labels": "done"})
    assert found.network.names == TRUTH.names
    assert found.loaded.rows.beside.batches == ("g", "h")
    given = {"control": control, "batch": "guide", "labels": "done", "graph": EDGES}
    assert set(ask(rows=rows, fit=given).network.names) == {v for edge in EDGES for v in edge}


def test_states_are_those_of_the_network_that_is_learned(tmp_path: Path) -> None:
    (tmp_path / "states.csv").write_text("variable,state\nV1,2\nV1,0\nV1,1\n")
    found = ask(fit={"control": CONTROL, "states": tmp_path / "states.csv"})
    assert found.network.variables[0].states == ("2", "0", "1")
    assert "no control rows" in refused(TRUTH, fit={"states": {"V1": ["0"]}})


def test_new_states_reach_the_control_rows() -> None:
    rows = ROWS.with_columns(V1=pl.lit("-1"))
    with pytest.warns(NewStatesWarning):
        found = ask(rows=rows, fit={"control": CONTROL})
    assert found.network.variables[0].states == ("-1", "0", "1", "2")
    assert found.network.control.rows.values[:, 0].min() == 1


def test_labelled_rows_and_weights_go_with_it() -> None:
    found = ask(edges="repair", fit={
        "control": CONTROL, "graph": EDGES, "labels": ["do()", *[""] * 199],
        "sample_weight": np.full(200, 2.0),
    })  # fmt: skip
    assert found.loaded.rows.n_rows == 400


def test_a_constant_column_is_kept() -> None:
    control = CONTROL.with_columns(V1=pl.lit("0"), W=pl.lit("x"))
    with pytest.warns(NewStatesWarning):  # the mixture varies V1
        found = ask(rows=ROWS.with_columns(W=pl.lit("x")), fit={"control": control})
    assert found.network.names == (*TRUTH.names, "W")
    assert found.network.cardinalities.tolist() == [3, 3, 3, 3, 1]


def test_columns_that_only_rows_have_are_told() -> None:
    with pytest.warns(ExtraColumnsWarning, match="other"):
        ask(rows=ROWS.with_columns(other=pl.lit(1)), fit={"control": CONTROL})


@pytest.mark.parametrize(
    ("constructor", "own", "fit", "words"),
    [
        ((), {}, {}, "read_network"),
        ((), {}, {"graph": EDGES}, "without control rows"),
        ((TRUTH,), {}, {"graph": EDGES}, "without control rows"),
        ((TRUTH,), {}, {"control": CONTROL}, "a network is given, and control rows"),
        ((LEARNED,), {}, {"control": CONTROL, "graph": EDGES}, "a network is given"),
        ((), {}, {"control": CONTROL, "edges": "fixed"}, "edges='fixed' keeps a graph"),
        ((), {}, {"control": CONTROL, "graph": EDGES, "edges": "learn"}, "and one is given"),
        ((TRUTH,), {"edges": "repair"}, {}, "control_rows"),
        ((TRUTH,), {"edges": "learn"}, {}, "control_rows"),
        ((TRUTH,), {}, {"edges": "repair"}, "give control rows, or say how many"),
        ((TRUTH,), {"edges": "magic"}, {}, "fixed, repair, learn"),
        ((), {}, {"edges": "magic", "control": CONTROL}, "fixed, repair, learn"),
        ((), {"edges": 3}, {"control": CONTROL}, "edges is 3"),
        ((TRUTH,), {"control_rows": 0}, {}, "control_rows is 0"),
        ((TRUTH,), {"control_rows": "many"}, {}, "control_rows is 'many'"),
        ((TRUTH,), {"control_rows": float("nan")}, {}, "control_rows is nan"),
        ((LEARNED,), {"control_rows": 10}, {}, "leave control_rows out"),
        ((), {"control_rows": 10}, {"control": CONTROL}, "leave control_rows out"),
        ((TRUTH,), {"control_rows": 9, "edges": "repair"}, {}, "9 control rows are too few"),
        ((), {}, {"control": CONTROL.head(9)}, "9 control rows are too few"),
        ((), {"max_parents": 0}, {"control": CONTROL}, "max_parents is 0"),
        ((), {"required_edges": [("V1", "V9")]}, {"control": CONTROL}, "names 'V9'"),
        ((), {"tiers": [["V1"], ["V2", "V1"]]}, {"control": CONTROL}, "in tiers 1 and 2"),
        ((), {"tiers": "V1,V2"}, {"control": CONTROL}, "lists of names"),
        ((), {"method": "moments"}, {"control": CONTROL}, "method 'moments' takes the graph"),
        ((LEARNED,), {"method": "em", "edges": "repair"}, {}, "method 'em' takes the graph"),
        ((), {"interventions": "any"}, {"control": CONTROL}, "explain the same rows"),
        ((), {}, {"control": CONTROL, "graph": [("V1", "V2"), ("V2", "V1")]}, "cycle: .*V1 -> V2"),
        ((), {}, {"control": CONTROL, "graph": [("V1", "V9")]}, "no column 'V9'"),
        ((), {}, {"control": CONTROL.with_columns(X=pl.lit(1))}, "'X' is missing.*drop it there"),
        ((), {}, {"control": 3}, "control rows cannot be read from int"),
        ((), {}, {"control": CONTROL.head(0)}, "no control rows"),
    ],
)  # fmt: skip
def test_what_does_not_go_is_refused_in_a_sentence(
    constructor: tuple[Any, ...], own: dict[str, Any], fit: dict[str, Any], words: str
) -> None:
    assert re.search(words, refused(*constructor, fit=fit, **own))


def test_a_given_graph_is_held_against_what_is_known() -> None:
    parent, child = EDGES[0]
    for edges in ("fixed", "repair"):
        words = refused(LEARNED, edges=edges, forbidden_edges=[(parent, child)])
        assert f"'{parent}' -> '{child}', which is forbidden" in words
        words = refused(LEARNED, edges=edges, tiers=[[child], [parent]])
        assert "tier 2 back to tier 1" in words
        words = refused(LEARNED, edges=edges, required_edges=[(child, parent)])
        assert f"lacks the required edge '{child}' -> '{parent}'" in words
    # The edges of a network whose graph is to be learned say nothing.
    assert ask(LEARNED, edges="learn", forbidden_edges=[(parent, child)]).recipe.edges == "learn"


def test_a_network_that_forgot_its_control_rows_cannot_be_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dosift.learning.tables.MOST_CONTROL_VALUES", 10)
    learned = dosift.learn_network(EDGES, CONTROL)
    assert ask(learned).recipe.edges == "fixed"
    assert "does not remember its control rows" in refused(learned, edges="repair")


def test_arguments_are_only_stored() -> None:
    model = dosift.InterventionMixture(
        edges="repair", required_edges="r.csv", tiers=[["a"]], max_parents=3, control_rows=7
    )
    copy = pickle.loads(pickle.dumps(clone(model)))
    for name in ("edges", "required_edges", "forbidden_edges", "tiers", "max_parents"):
        assert copy.get_params()[name] == model.get_params()[name]
    assert "edges='repair'" in repr(copy)
    assert copy.set_params(edges="fixed", control_rows=None).edges == "fixed"
    with pytest.raises(Reached):
        dosift.InterventionMixture().fit(ROWS, control=CONTROL)
    assert "control" not in dosift.InterventionMixture().get_params()


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_a_fit_ends_with_the_network_that_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    model = dosift.InterventionMixture().fit(ROWS, control=CONTROL, graph=EDGES)
    assert model.network is None
    assert set(model.network_.edges) == set(EDGES)
    same = dosift.InterventionMixture(LEARNED).fit(ROWS)
    assert model.mixture_.to_dict() == same.mixture_.to_dict()
    assert model.fitted_.recipe.edges == "fixed"
    assert pickle.loads(pickle.dumps(model)).mixture_ == model.mixture_
    known = dosift.InterventionMixture(TRUTH, control_rows=10_000).fit(ROWS)
    assert known.network_.control is not None
    assert known.network_.control.n_rows == 10_000
