"""Sentences on the graph, from what result.json says of it; and that it says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.graphs.findings import AskedEdit, GraphFindings, found_edges
from dosift.io.graph import Graph
from dosift.results.folder import distrust, result_content, write_result
from dosift.results.graph_words import asked_in_words, graph_in_words
from dosift.results.graphs import (
    common_causes_in_words,
    graph_findings_content,
    objection_in_words,
    objects_to_the_graph,
)


def edge(status: str, parent: str = "a", child: str = "b", probability: float = 1.0) -> Any:
    return {"parent": parent, "child": child, "probability": probability, "status": status}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"edges": []}, "Graph: no edges"),
        ({"edges": [edge("kept")] * 8}, "Graph: 8 edges kept"),
        ({"edges": [edge("added", "V4", "V3")]}, "Graph: 1 edge added (V4 -> V3)"),
        (
            {"edges": [edge("reversed"), edge("removed", "b", "c"), edge("kept")]},
            "Graph: 1 edge kept, 1 reversed (now a -> b), 1 removed (b -> c)",
        ),
        (
            {"edges": [edge("added", "a", f"b{k}") for k in range(6)]},
            "Graph: 6 edges added (a -> b0, a -> b1, a -> b2, a -> b3 and 2 more)",
        ),
        (
            {"edges": [edge("open", probability=0.5), edge("removed", probability=0.1)]},
            "Graph: 1 edge removed (a -> b), 1 open (a - b)",
        ),
        (
            {"edges": [edge("kept", probability=0.9)]},
            "Graph: 1 edge kept; 1 of them less than 95 % probable",
        ),
        ({"edges": [edge("added")] * 3, "learned": True}, "Graph, learned: 3 edges"),
        (
            {"edges": [edge("added"), edge("open", "c", "d", 0.6)], "learned": True},
            "Graph, learned: 2 edges, of which 1 open (c - d)",
        ),
        ({"edges": [edge("given", probability=0.1)], "fixed": True}, "Graph: 1 edge, as given"),
    ],
)
def test_what_became_of_the_edges(found: dict[str, Any], words: str) -> None:
    if words.startswith("Graph: 1 edge removed"):
        # Statuses are told in one order, whatever that of the table is.
        found = {"edges": found["edges"][::-1]}
    assert graph_in_words(found) == words


def test_what_is_asked_for() -> None:
    assert asked_in_words({"asked": []}) is None
    asked = [{"kind": "reverse", "parent": "a", "child": f"b{k}", "gain": None} for k in range(6)]
    words = asked_in_words({"asked": asked, "change": 0.004})
    assert words is not None
    assert "reverse a -> b3; and 2 more. With that, 0 % of" in words
    assert "worth" not in words


@pytest.fixture(scope="module")
def model() -> dosift.InterventionMixture:
    """A fit with a graph that was given, whose findings are made up by each test."""
    network = dosift.Network.from_tables(
        dict.fromkeys("abc", "01"),
        {"b": "a"},
        {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.2, 0.8]], "c": [0.5, 0.5]},
    )
    truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(c="1"): 0.4})
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 1000, random_state=0)
    rows = dosift.simulate(network, truth, 1000, random_state=1)
    graph = Graph(("a", "b", "c"), (("a", "b"),))
    return dosift.InterventionMixture().fit(rows, control=control, graph=graph)


def findings(model: dosift.InterventionMixture, **changed: Any) -> Any:
    """What came of a fit, with other findings on the graph."""
    found = model.fitted_.graph
    assert found is not None
    return replace(model.fitted_, graph=replace(found, **changed))


def test_a_graph_that_fits_is_given_and_no_more(model: dosift.InterventionMixture) -> None:
    found = graph_findings_content(model.fitted_)["graph_found"]
    assert [e["status"] for e in found["edges"]] == ["given"]
    assert (found["fixed"], found["learned"], found["objects"]) == (True, False, False)
    assert (found["asked"], found["notices"], found["change"]) == ([], [], 0.0)
    assert distrust(model) == []


def test_an_objection_is_a_reason_only_if_the_answer_changes(
    model: dosift.InterventionMixture,
) -> None:
    targets, weights = model.fitted_.result.targets, model.fitted_.result.weights
    asked = (AskedEdit("add", 1, 2, 30.0),)
    mild = findings(model, asked=asked, targets=targets, weights=weights)
    assert not objects_to_the_graph(mild)
    content = graph_findings_content(mild)["graph_found"]
    assert (content["objects"], content["change"]) == (False, 0.0)
    strong = findings(model, asked=asked, targets=targets, weights=weights[::-1])
    assert objects_to_the_graph(strong)
    assert graph_findings_content(strong)["graph_found"]["objects"]
    words = objection_in_words(strong)
    assert words.startswith("The rows ask for another graph: add b -> c (worth 30 nats).")
    assert words.endswith("(--edges repair, edges='repair'), or correct it.")


def test_hidden_common_causes_are_named_and_no_reason(model: dosift.InterventionMixture) -> None:
    assert common_causes_in_words(model.fitted_) is None
    hidden = findings(model, common_causes=((0, 2, 1e-5), (1, 2, 1e-4)))
    content = graph_findings_content(hidden)["graph_found"]
    assert content["common_causes"][0] == {"variables": ["a", "c"], "p_value": 1e-5}
    assert "behind a and c; b and c:" in content["notices"][0]
    assert not content["objects"]
    many = findings(model, common_causes=((0, 2, 1e-5),) * 6)
    assert "(and 2 more pairs)" in str(common_causes_in_words(many))


def test_files_say_the_same_as_the_model(model: dosift.InterventionMixture, tmp_path: Path) -> None:
    content = result_content(model, settings={}, inputs=[], timings={})
    write_result(tmp_path / "out", model, pl.DataFrame({"target": ["do()"]}), content)
    written = pl.read_csv(tmp_path / "out" / "graph.csv")
    assert model.graph_ is not None
    assert written.columns == ["parent", "child", "probability", "status"]
    assert written["status"].to_list() == model.graph_["status"].to_list()
    stored = json.loads((tmp_path / "out" / "result.json").read_text())
    assert stored["graph_found"] == content["graph_found"]


def test_a_learned_graph_is_told_from_one_that_was_given(model: dosift.InterventionMixture) -> None:
    graph = ((), (0,), ())
    edges = found_edges(graph, None, False, np.eye(3)[[1, 2, 0]])
    learned = findings(model, given=None, fixed=False, edges=edges)
    assert isinstance(learned.graph, GraphFindings)
    found = graph_findings_content(learned)["graph_found"]
    assert found["learned"]
    assert graph_in_words(found) == "Graph, learned: 1 edge"
