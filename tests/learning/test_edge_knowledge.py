"""What is known of edges: matrices beside a plain loop, and every contradiction as one sentence."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dosift.errors import InputError
from dosift.learning.edge_knowledge import EdgeKnowledge

NAMES = ("a", "b", "c", "d", "e")
KNOWN = EdgeKnowledge(
    required=(("a", "d"),),
    forbidden=(("e", "a"), ("a", "e"), ("c", "d")),
    tiers=(("b", "a"), ("c",), ("d",)),
)


def test_matrices_say_of_each_edge_what_is_known() -> None:
    allowed, required = KNOWN.matrices(NAMES)
    tier = {name: k for k, names in enumerate(KNOWN.tiers) for name in names}
    for parent, child in permutations(NAMES, 2):
        back = parent in tier and child in tier and tier[parent] > tier[child]
        wanted = not back and (parent, child) not in KNOWN.forbidden
        at = NAMES.index(parent), NAMES.index(child)
        assert allowed[at] == wanted, (parent, child)
        assert required[at] == ((parent, child) in KNOWN.required)
    assert not allowed.diagonal().any()


def test_a_required_edge_may_not_be_reversed() -> None:
    allowed, required = EdgeKnowledge(required=(("b", "a"),)).matrices(("a", "b"))
    assert allowed.tolist() == required.tolist() == [[False, False], [True, False]]


def test_nothing_known_allows_everything() -> None:
    allowed, required = EdgeKnowledge.of().matrices(NAMES)
    assert allowed.sum() == 20
    assert not required.any()
    assert EdgeKnowledge.of() == EdgeKnowledge()
    assert EdgeKnowledge().max_parents == "auto"


def test_only_tables_are_limited_where_nothing_is_said() -> None:
    assert EdgeKnowledge().limits([True, False, True]) == (4, None, 4)
    assert EdgeKnowledge(max_parents=2).limits([True, False]) == (2, 2)
    assert EdgeKnowledge(max_parents=None).limits([True, False]) == (None, None)


def test_edges_come_in_every_form(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("parent,child\na,b\nb,a\n")
    frame = pd.DataFrame({"source": ["a", "b"], "target": ["b", "a"]})
    networkx = pytest.importorskip("networkx")
    both = (("a", "b"), ("b", "a"))
    for source in (
        tmp_path / "e.csv",
        str(tmp_path / "e.csv"),
        frame,
        both,
        networkx.DiGraph(both),
    ):
        assert EdgeKnowledge.of(forbidden=source).forbidden == both
    known = EdgeKnowledge.of(tiers=[["a"], ("b", "c")], max_parents=None)
    assert known.tiers == (("a",), ("b", "c"))


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"required": [("a", "b")], "forbidden": [("a", "b")]}, "'a' -> 'b' is required and forb"),
        ({"required": [("b", "a")], "tiers": [["a"], ["b"]]}, "'b' -> 'a' is required, and leads"),
        ({"required": [("b", "a")], "tiers": [["a"], ["b"]]}, "from tier 2 back to tier 1"),
        ({"required": [("a", "b"), ("b", "c"), ("c", "a")]}, "cycle: .*a -> b"),
        ({"tiers": [["a"], ["b", "a"]]}, "'a' is in tiers 1 and 2"),
        ({"tiers": [["a", "a"]]}, "'a' is in tier 1 twice"),
        ({"required": [("a", "a")]}, "from 'a' to itself"),
        ({"forbidden": [("a", "b"), ("c", "c")]}, "from 'c' to itself"),
        ({"required": [("a", "c"), ("b", "c")], "max_parents": 1}, "2 edges into 'c'.*1 parents"),
        ({"max_parents": 0}, "max_parents is 0"),
        ({"max_parents": True}, "max_parents is True"),
        ({"max_parents": 1.5}, "max_parents is 1.5"),
        ({"tiers": "a,b/c"}, "lists of names"),
        ({"tiers": ["ab", "c"]}, "lists of names"),
        ({"tiers": 3}, "lists of names"),
        ({"tiers": [3]}, "lists of names"),
        ({"required": [("a",)]}, "no pair"),
        ({"forbidden": 3}, "cannot be read from int"),
        ({"forbidden": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_contradictions_are_refused_in_one_sentence(known: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        EdgeKnowledge.of(**known)
    assert "\n" not in str(caught.value)


def test_built_directly_it_is_checked_too() -> None:
    with pytest.raises(InputError, match="to itself"):
        EdgeKnowledge(forbidden=(("a", "a"),))


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"required": [("a", "Z")]}, "a required edge names 'Z'"),
        ({"forbidden": [("q", "a")]}, "a forbidden edge names 'q'"),
        ({"tiers": [["a"], ["smoke"]]}, "a tier names 'smoke'.*mean 'smoker'"),
    ],
)
def test_unknown_names_are_refused(known: dict[str, Any], words: str) -> None:
    names = ("a", "b", "smoker")
    with pytest.raises(InputError, match=words):
        EdgeKnowledge.of(**known).matrices(names)
    with pytest.raises(InputError, match=words):
        EdgeKnowledge.of(**known).check([[], [], []], names)


@pytest.mark.parametrize(
    ("parents", "words"),
    [
        ([[4], [], [], [0], []], "'e' -> 'a', which is forbidden"),
        ([[2], [], [], [0], []], "'c' -> 'a' is in the graph.*tier 2 back to tier 1"),
        ([[], [], [], [1], []], "lacks the required edge 'a' -> 'd'"),
    ],
)
def test_a_graph_that_contradicts_what_is_known(parents: list[list[int]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        KNOWN.check(parents, NAMES)


def test_a_graph_that_agrees_passes_whatever_its_number_of_parents() -> None:
    KNOWN.check([[], [], [0, 1], [0], [1, 2, 3]], NAMES)
    EdgeKnowledge(max_parents=1).check([[], [], [0, 1], [], []], NAMES)


def test_free_variables_stand_anywhere() -> None:
    known = EdgeKnowledge(tiers=(("a",), ("b",)))
    known.check([[2], [], [1]], ("a", "b", "c"))  # b -> c -> a: only edges are ordered
    assert np.array_equal(known.matrices(("a", "b", "c"))[0][2], [True, True, False])
