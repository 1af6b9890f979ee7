from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from dosift.errors import InputError
from dosift.io import from_pgmpy, from_pyagrum, read_network, to_pgmpy
from dosift.io.bif import read_bif
from dosift.io.graph import read_graph
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
        ("", None, None, "empty"),
        ("from,to\na,b\n", 1, 1, "header"),
        ("parent,child\na,b,c\n", 2, 1, "3 fields"),
        ("parent,child\na,b\na,\n", 3, 3, "child is empty"),
        ("parent,child\na,b\na,b\n", 3, 1, "given twice"),
        ("parent,child\na,a\n", 2, 3, "own parent"),
        ("parent,child\na,b\nb,a\n", None, None, "cycle"),
        ('parent,child\n"a"x,b\n', 2, 4, "quote"),
        ("parent,child\n", None, None, "no variables"),
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


@pytest.mark.parametrize("source", [3, [("a",)], ["ab"], [("a", "b"), ("b", "a")], []])
def test_bad_pairs(source: object) -> None:
    with pytest.raises(InputError):
        read_graph(source)


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

    network = read_bif(next(p for p in bnlearn_files if p.name == "asia.bif.gz"))
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
