"""Properties of everything that reads: what is written comes back, whatever the names."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
import targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dosift
from dosift.errors import InputError
from dosift.io.dot import parse_dot
from dosift.io.graph import Graph, read_graph
from dosift.model import Mixture, Target
from dosift.model.target_text import parse_target

NAMES = st.one_of(
    st.text(
        st.sampled_from("ab=,()\"\\'<>{}[];:|/-+@ \t\n\r\x00\x1b\x85.#é"), min_size=1, max_size=6
    ),
    st.sampled_from(["graph", "node", "strict", "parent", "do()", "__proto__", "1e5", "-1", "NaN"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4),
)
TARGETS = st.dictionaries(NAMES, NAMES, max_size=3).map(Target)
in_one_folder = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return Graph(tuple(nodes), tuple(edges))


@settings(deadline=None)
@given(TARGETS)
def test_the_text_of_a_target_is_one_printable_line_and_comes_back(target: Target) -> None:
    text = str(target)
    assert text.isprintable()
    assert text.startswith("do(")
    assert parse_target(text) == target


@in_one_folder
@given(st.lists(TARGETS, min_size=1, max_size=4, unique=True), st.randoms())
def test_mixtures_come_back(tmp_path: Path, chosen: list[Target], rng: object) -> None:
    raw = [rng.random() + 1e-12 for _ in chosen]  # type: ignore[attr-defined]
    mixture = Mixture({t: w / math.fsum(raw) for t, w in zip(chosen, raw, strict=True)})
    mixture.write(tmp_path / "m.json")
    assert Mixture.read(tmp_path / "m.json") == mixture


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_target_or_refused_with_its_column(text: str) -> None:
    place = None
    try:
        target = parse_target(text)
    except InputError as error:
        place = error.column
    else:
        assert parse_target(str(target)) == target
        return
    assert place is not None
    assert 1 <= place <= len(text) + 1


@in_one_folder
@given(graphs())
def test_edge_lists_come_back(tmp_path: Path, graph: Graph) -> None:
    def field(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    lines = [f"{field(parent)},{field(child)}" for parent, child in graph.edges]
    lines += [f",{field(node)}" for node in graph.nodes]
    path = tmp_path / "g.csv"
    path.write_bytes(("parent,child\n" + "\n".join(lines) + "\n").encode())
    try:
        again = read_graph(path)
    except InputError:  # a name with a line end, or the binary mark of a zero
        assert any(set("\n\r\0") & set(name) for name in graph.nodes)
        return
    assert set(again.nodes) == set(graph.nodes)
    assert set(again.edges) == set(graph.edges)


@settings(deadline=None)
@given(graphs(), st.booleans())
def test_dot_comes_back(graph: Graph, grouped: bool) -> None:
    def name(text: str) -> str:
        return '"' + text.replace('"', '\\"') + '"'

    if any("\\" in node for node in graph.nodes):
        return  # DOT leaves the meaning of a backslash to whoever reads the name
    parts = [f"{name(node)} [x=y];" for node in graph.nodes]
    parts += [f"{name(parent)} -> {name(child)}" for parent, child in graph.edges]
    if grouped:
        parts = ["subgraph s { " + " ".join(parts) + " }"]
    nodes, edges = parse_dot("digraph { " + "\n".join(parts) + " }")
    assert nodes == list(graph.nodes)
    assert edges == list(graph.edges)


@pytest.mark.parametrize(
    ("text", "nodes", "edges"),
    [
        ("digraph{a->b->c}", "abc", "ab bc"),
        ("DIGRAPH x { a -> {b c} -> d }", "abcd", "ab ac bd cd"),
        (
            "strict digraph { node [color=red]; edge[x=1,y=2;]; rankdir=LR; a:n:e -> b:s }",
            "ab",
            "ab",
        ),
        ("digraph { a; subgraph { b -> c } -> d; # not a comment here\n}", None, None),
        ("digraph { a\n# a comment\n-> b // more\n/* and -> more */ }", "ab", "ab"),
        ('digraph { "a" -> "b" + "" [label=<<b>x</b>>][w=1] c }', "abc", "ab"),
        ("digraph { a -> b graph [x=y] subgraph cluster { c } }", "abc", "ab"),
        ("digraph { 1.5 -> -2 }", ["1.5", "-2"], [("1.5", "-2")]),
        ("digraph { a -> }", None, None),
        ("digraph { -> a }", None, None),
        ("digraph { a -> -> b }", None, None),
        ("digraph { a -- b }", None, None),
        ("digraph { a [x }", None, None),
        ("digraph { [x=y] }", None, None),
        ("digraph { a -> b", None, None),
        ('digraph { "a }', None, None),
        ("digraph { <a }", None, None),
        ("digraph { a } b", None, None),
        ("graph { a -- b }", None, None),
        ("digraph { a } digraph { b }", None, None),
        ("digraph { a = }", None, None),
        ("digraph { node -> a }", None, None),
        ("{ a }", None, None),
        ("", None, None),
    ],
)
def test_dot(text: str, nodes: object, edges: object) -> None:
    if nodes is None:
        with pytest.raises(InputError, match="this is not DOT") as caught:
            parse_dot(text)
        assert caught.value.line is not None
        assert caught.value.column is not None
        return
    if isinstance(edges, str):
        edges = [tuple(pair) for pair in edges.split()]
    assert parse_dot(text) == (list(nodes), edges)  # type: ignore[call-overload]


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=200), st.sampled_from(sorted(targets.TARGETS)))
def test_any_bytes_end_well(data: bytes, name: str) -> None:
    targets.run(name, data)


def test_nothing_in_the_package_reads_pickles_or_runs_text() -> None:
    package = Path(dosift.__file__).parent
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                assert not {a.name.partition(".")[0] for a in node.names} & forbidden, where
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in forbidden, where
            elif isinstance(node, ast.Call):
                called = node.func
                name = (
                    called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                )
                plain = isinstance(called, ast.Name)
                assert not (plain and name in {"eval", "exec", "compile", "__import__"}), where
                assert name not in {"read_pickle", "to_pickle", "unsafe_load"}, where
                assert name != "system", where
                for keyword in node.keywords:
                    is_true = (
                        isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                    )
                    assert not (keyword.arg in {"allow_pickle", "shell"} and is_true), where


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open_marker, ("exploded",))


def open_marker(name: str) -> None:
    raise AssertionError(f"a pickle was read: {name}")


@pytest.mark.parametrize(
    "name", ["rows.csv", "rows.parquet", "rows.arrow", "rows.pkl", "rows.npy", "rows.h5ad"]
)
def test_pickles_are_refused_as_rows(name: str, tmp_path: Path) -> None:
    import pickle

    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises((InputError, dosift.errors.MissingDependencyError)):
        dosift.data.load_rows(tmp_path / name, targets.HOSTILE)
