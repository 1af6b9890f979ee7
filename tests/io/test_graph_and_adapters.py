from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from dosift.errors import InputError
from dosift.io import from_pgmpy, from_pyagrum, read_network, to_pgmpy
from dosift.io.graph import read_edges, read_graph
from dosift.model import Network


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.csv", "parent,child\na,b\n\na,\"c,d\"\n,e\n"),
        ("g.csv", "\ufeffparent,child\r\na,b\r\na,\"c,d\"\r\n,e"),
        ("g.tsv", "parent\tchild\na\tb\na\t\"c,d\"\n\te\n"),
        ("g.dot", 'digraph { a -> b; subgraph s { a -> "c,d" } e; }'),
        ("g.gv", 'digraph { a -> {b "c,d"}; e; }'),
    ],
)  # fmt: skip
def test_graph_files(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    graph = read_graph(path)
    assert set(graph.nodes) == {"a", "b", "c,d", "e"}
    assert set(graph.edges) == {("a", "b"), ("a", "c,d")}


def test_graphml_and_networkx(tmp_path: Path) -> None:
    networkx = pytest.importorskip("networkx")
    graph = networkx.DiGraph([("a", "b"), ("a", "c")])
    graph.add_node("e")
    networkx.write_graphml(graph, tmp_path / "g.graphml")
    assert read_graph(tmp_path / "g.graphml") == read_graph(graph)
    assert read_graph(graph).nodes == ("a", "b", "c", "e")
    with pytest.raises(InputError, match="undirected"):
        read_graph(networkx.Graph([("a", "b")]))
    text = (tmp_path / "g.graphml").read_text()
    evil = text.replace("<graphml", '<!DOCTYPE g [<!ENTITY a "b">]><graphml', 1)
    (tmp_path / "g.graphml").write_text(evil)
    with pytest.raises(InputError, match="entities"):
        read_graph(tmp_path / "g.graphml")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("parent,child,probability\na,b,.9\n", 1, 1, "header"),
        ("cause\na,b\n", 1, 1, "1 fields"),
        ("child,parent\n,a\n", 2, 1, "child is empty"),
        ("parent,child\na,b,c\n", 2, 1, "3 fields"),
        ("parent,child\na,b\na,\n", 3, 3, "child is empty"),
        ("parent,child\na,b\na,b\n", 3, 1, "given twice"),
        ("parent,child\na,a\n", 2, 3, "own parent"),
        ("parent,child\na,b\nb,a\n", None, None, "cycle"),
        ('parent,child\n"a"x,b\n', 2, 4, "quote"),
    ],
)
def test_bad_edge_lists(
    text: str, line: int | None, column: int | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "g.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_graph(path)
    assert (caught.value.path, caught.value.line, caught.value.column) == (str(path), line, column)


@pytest.mark.parametrize(
    ("header", "lines"),
    [
        ("parent,child", ["a,b", ",c"]),
        ("source,target", ["a,b", ",c"]),
        ("From, To", ["a,b", ",c"]),
        ('"source"\t"target"', ["a\tb", "\tc"]),
        ("target,source", ["b,a", "c,"]),
        (None, ["a,b", ",c"]),
    ],
)
def test_headers_of_edge_lists(header: str | None, lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("\n".join(lines if header is None else [header, *lines]))
    assert read_graph(path) == (("a", "b", "c"), (("a", "b"),))


def test_a_header_word_may_be_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("source,price\nprice,target\n")
    assert read_graph(path).edges == (("source", "price"), ("price", "target"))


@pytest.mark.parametrize("text", ["", "\n\n", "parent,child\n", "from,to"])
def test_an_edge_list_may_name_nothing(text: str, tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text(text)
    assert read_graph(path) == ((), ())
    assert read_graph([]) == ((), ())


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "lazy"])
@pytest.mark.parametrize("names", [("parent", "child"), ("source", "target"), ("From", "To"), None])
def test_tables_of_edges(library: str, names: tuple[str, str] | None) -> None:
    pairs = {"parent": ["a", None, "a"], "child": ["b", "d", "c"]}
    columns = list(pairs.values())
    if library == "pandas":
        frame = pd.DataFrame(dict(zip(names or (0, 1), columns, strict=True)))
    else:
        frame = pl.DataFrame(dict(zip(names or ("column_1", "column_2"), columns, strict=True)))
        if library == "pyarrow":
            pytest.importorskip("pyarrow")
            frame = frame.to_arrow()
        elif library == "lazy":
            frame = frame.lazy()
    graph = read_graph(frame)
    assert graph.nodes == ("a", "b", "d", "c")
    assert graph.edges == (("a", "b"), ("a", "c"))


def test_columns_of_a_table_of_edges_may_stand_in_any_order_but_need_their_names() -> None:
    turned = pl.DataFrame({"child": ["b"], "parent": ["a"]})
    assert read_graph(turned).edges == (("a", "b"),)
    for columns in ({"effect": ["b"], "cause": ["a"]}, {"parent": ["a"]}, {}):
        with pytest.raises(InputError, match="columns"):
            read_graph(pl.DataFrame(columns))
    with pytest.raises(InputError, match="columns"):
        read_graph(turned.with_columns(status=pl.lit("removed")))
    with pytest.raises(InputError, match="child is empty in row 2"):
        read_graph(pd.DataFrame({"parent": ["a", "b"], "child": ["b", np.nan]}))
    with pytest.raises(InputError, match="given twice"):
        read_graph(pl.DataFrame({"parent": ["a", "a"], "child": ["b", "b"]}))


@pytest.mark.parametrize("source", [3, [("a",)], ["ab"], [("a", "b"), ("b", "a")]])
def test_bad_pairs(source: object) -> None:
    with pytest.raises(InputError):
        read_graph(source)


def test_a_cycle_is_named_along_its_edges(tmp_path: Path) -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "a")]
    with pytest.raises(InputError) as caught:
        read_graph(edges)
    shown = re.search(r"cycle: (.*);", str(caught.value))
    assert shown is not None
    assert set(itertools.pairwise(shown[1].split(" -> "))) == set(edges)
    with pytest.raises(InputError) as caught:
        Network.from_tables(
            {name: ["0"] for name in "abc"},
            {"b": ["a"], "c": ["b"], "a": ["c"]},
            {name: [[1.0]] for name in "abc"},
        )
    shown = re.search(r"cycle: (.*);", str(caught.value))
    assert shown is not None
    assert set(itertools.pairwise(shown[1].split(" -> "))) == set(edges)


@pytest.mark.parametrize("form", ["pairs", "csv", "dot", "frame", "networkx"])
def test_edges_that_are_no_graph_together(form: str, tmp_path: Path) -> None:
    edges = (("a", "b"), ("b", "a"), ("b", "c"))
    source: object = list(edges)
    if form == "csv":
        source = tmp_path / "e.csv"
        source.write_text("from,to\na,b\nb,a\nb,c\n,d\n")
    elif form == "dot":
        source = tmp_path / "e.dot"
        source.write_text("digraph { a -> b -> a; b -> c; d }")
    elif form == "frame":
        source = pl.DataFrame(list(edges), schema=["parent", "child"], orient="row")
    elif form == "networkx":
        source = pytest.importorskip("networkx").DiGraph(list(edges))
    assert set(read_edges(source)) == set(edges)
    with pytest.raises(InputError, match="cycle"):
        read_graph(source)


def test_an_edge_has_two_ends(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a' to itself"):
        read_edges([("b", "a"), ("a", "a")])
    with pytest.raises(InputError, match="twice"):
        read_edges([("b", "a"), ("b", "a")])
    (tmp_path / "e.dot").write_text("digraph { a -> a }")
    with pytest.raises(InputError, match=r"e\.dot: .*to itself"):
        read_edges(tmp_path / "e.dot")


@pytest.mark.parametrize(
    "text", ["", "digraph { a ->", "graph { a -- b }", "digraph {a->b} digraph {c->d}"]
)
def test_bad_dot(text: str, tmp_path: Path) -> None:
    path = tmp_path / "g.dot"
    path.write_text(text)
    with pytest.raises(InputError):
        read_graph(path)


@pytest.mark.parametrize("name", ["missing.bif", "net.txt", "net.bif.gz", "folder.bif", "bin.bif"])
def test_files_that_cannot_be_networks(name: str, tmp_path: Path) -> None:
    (tmp_path / "net.txt").write_text("x")
    (tmp_path / "net.bif.gz").write_bytes(b"\x1f\x8b\x08\x00cut short")
    (tmp_path / "folder.bif").mkdir()
    (tmp_path / "bin.bif").write_bytes(bytes(range(256)))
    with pytest.raises(InputError) as caught:
        read_network(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def joint(network: Network, codes: np.ndarray) -> np.ndarray:
    rows = [network.tables[i][network.parent_rows(i, codes), codes[:, i]] for i in network.order]
    return np.prod(rows, axis=0)


def test_pgmpy_there_and_back_and_joint(small: Network) -> None:
    pytest.importorskip("pgmpy")
    model = to_pgmpy(small)
    again = from_pgmpy(model)
    assert again.variables == small.variables
    assert again.parents == small.parents
    codes = np.array(list(itertools.product(*(range(c) for c in small.cardinalities))))
    for row, p in zip(codes, joint(small, codes), strict=True):
        states = {v.name: v.states[c] for v, c in zip(small.variables, row, strict=True)}
        assert model.get_state_probability(states) == pytest.approx(p)


def test_pyagrum_joint(bnlearn_files: list[Path], tmp_path: Path) -> None:
    gum = pytest.importorskip("pyagrum")
    from dosift.io import write_network

    network = read_network(next(p for p in bnlearn_files if p.name == "asia.bif.gz"))
    write_network(network, tmp_path / "asia.bif")
    bn = gum.loadBN(str(tmp_path / "asia.bif"))
    ours = from_pyagrum(bn)
    codes = np.array(list(itertools.product(range(2), repeat=8)))
    for row, p in zip(codes, joint(ours, codes), strict=True):
        labels = {v.name: v.states[c] for v, c in zip(ours.variables, row, strict=True)}
        instance = bn.completeInstantiation()
        instance.fromdict(labels)
        assert bn.jointProbability(instance) == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize("convert", [from_pgmpy, from_pyagrum])
def test_adapters_refuse_what_is_no_network(convert: object) -> None:
    with pytest.raises(InputError, match="expected a"):
        convert("asia.bif")  # type: ignore[operator]
