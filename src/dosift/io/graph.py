"""Causal graphs from edge lists, DOT, GraphML, networkx or pairs of names."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from dosift.errors import InputError, MissingDependencyError
from dosift.io.assemble import repeated_position, shown
from dosift.io.dot import parse_dot
from dosift.io.safe_xml import run_expat, safe_expat
from dosift.utils.storage import decode, read_bytes

_FIELD = re.compile(r' *(?:"((?:[^"]|"")*)"|([^,\t"]*)) *')


#: Largest graph file that is read, in bytes; reading takes up to about 60 times as much memory.
MAX_FILE_BYTES = 32 * 1024 * 1024


class Graph(NamedTuple):
    """A directed acyclic graph of named variables.

    Attributes
    ----------
    nodes : tuple of str
        The variables, in the order in which they first appear.
    edges : tuple of (str, str)
        (parent, child), in the order in which they appear.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]


def read_graph(source: Any) -> Graph:
    """Read a causal graph.

    Parameters
    ----------
    source : str, Path, networkx.DiGraph, Graph or iterable of (str, str)
        One of

        * an edge list, ``.csv`` or ``.tsv``, with the header ``parent,child``; a line with an
          empty parent stands for a variable without edges (or with edges elsewhere);
        * a DOT file, ``.dot`` or ``.gv``;
        * a GraphML file, ``.graphml`` (needs networkx): nodes go by their ``name`` attribute if
          every node has one, and by their id otherwise;
        * a networkx ``DiGraph``, or pairs (parent, child).

    Returns
    -------
    Graph

    Raises
    ------
    InputError
        If the file cannot be read or is malformed (with line and column where the format has
        them), an edge repeats, or the graph is undirected, empty or has a cycle.
    MissingDependencyError
        If a library for the format is not installed.

    Examples
    --------
    >>> read_graph([("smoke", "lung"), ("smoke", "cough")]).nodes
    ('smoke', 'lung', 'cough')
    """
    if isinstance(source, Graph):
        return _checked(source.nodes, source.edges, None)
    if isinstance(source, (str, Path)):
        return _read_file(source)
    if hasattr(source, "is_directed") and hasattr(source, "edges"):
        return _from_networkx(source, None)
    return _from_pairs(source)


def _read_file(path: str | Path) -> Graph:
    name = str(path).lower().removesuffix(".gz")
    data = read_bytes(path, MAX_FILE_BYTES)
    if name.endswith((".csv", ".tsv")):
        return _parse_edge_list(decode(data, path), path)
    if name.endswith((".dot", ".gv")):
        return _checked(*parse_dot(decode(data, path), path), path)
    if name.endswith(".graphml"):
        return _parse_graphml(data, path)
    raise InputError(
        "the ending says nothing of a graph; give a file that ends in .csv, .tsv, .dot, .gv or "
        ".graphml",
        path=path,
    )


def _checked(
    nodes: Iterable[str], edges: Iterable[tuple[str, str]], path: str | Path | None
) -> Graph:
    """Put a graph together: nodes of edges added, no repeated edge, no cycle."""
    edges = tuple(edges)
    order = tuple(dict.fromkeys([*nodes, *(name for edge in edges for name in edge)]))
    if not order:
        raise InputError("the graph has no variables; give at least one", path=path)
    if "" in order:
        raise InputError("a variable has an empty name; give it one", path=path)
    if len(set(edges)) != len(edges):
        parent, child = edges[repeated_position([repr(edge) for edge in edges])]
        raise InputError(f"the edge {parent!r} -> {child!r} is given twice", path=path)
    _refuse_cycles(order, edges, path)
    return Graph(order, edges)


def _refuse_cycles(
    nodes: Iterable[str], edges: Iterable[tuple[str, str]], path: str | Path | None
) -> None:
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    for parent, child in edges:
        parents[child].append(parent)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        listed = " -> ".join(cycle if len(cycle) <= 12 else [*cycle[:11], "...", cycle[-1]])
        raise InputError(
            f"the graph has a cycle: {listed}; a causal graph has none", path=path
        ) from None


# -- edge lists ---------------------------------------------------------------------------------


def _parse_edge_list(text: str, path: str | Path) -> Graph:
    lines = text.split("\n")
    header = next((i for i, line in enumerate(lines) if line.strip()), None)
    if header is None:
        raise InputError("the file is empty; its first line should be parent,child", path=path)
    names = [value for value, _ in _fields(lines[header], header + 1, path)]
    if names != ["parent", "child"]:
        raise InputError(
            f"the header is {shown(lines[header])}; it should be parent,child",
            path=path,
            line=header + 1,
            column=1,
        )
    nodes: list[str] = []
    edges: dict[tuple[str, str], int] = {}
    for number, line in enumerate(lines[header + 1 :], start=header + 2):
        if not line.strip():
            continue
        parent, child = _edge(line, number, path)
        nodes += [parent, child] if parent else [child]
        if parent and (parent, child) in edges:
            raise InputError(
                f"the edge {parent!r} -> {child!r} is given twice, first in line "
                f"{edges[parent, child]}",
                path=path,
                line=number,
                column=1,
            )
        if parent:
            edges[parent, child] = number
    return _checked(nodes, edges, path)


def _edge(line: str, number: int, path: str | Path) -> tuple[str, str]:
    """Read one line of an edge list; an empty parent stands for no edge."""
    fields = _fields(line, number, path)
    if len(fields) != 2:
        raise InputError(
            f"{len(fields)} fields instead of parent,child (names with commas need quotes)",
            path=path,
            line=number,
            column=1,
        )
    (parent, _), (child, column) = fields
    if not child:
        message = "the child is empty; an isolated variable stands in the column child"
        raise InputError(message, path=path, line=number, column=column)
    if parent == child:
        message = f"{parent!r} is its own parent; a causal graph has no cycle"
        raise InputError(message, path=path, line=number, column=column)
    return parent, child


def _fields(line: str, number: int, path: str | Path) -> list[tuple[str, int]]:
    """Split a line at commas or tabs into (value, column from 1)."""
    fields: list[tuple[str, int]] = []
    start = 0
    while True:
        match = _FIELD.match(line, start)
        if match is None or (match.end() < len(line) and line[match.end()] not in ",\t"):
            place = start if match is None else match.end()
            message = "a quote in the wrong place (write a quote within quotes twice)"
            raise InputError(message, path=path, line=number, column=place + 1)
        quoted, plain = match.groups()
        value = plain.strip() if quoted is None else quoted.replace('""', '"')
        fields.append((value, start + 1))
        if match.end() >= len(line):
            return fields
        start = match.end() + 1


# -- other sources ------------------------------------------------------------------------------


def _from_pairs(source: Any) -> Graph:
    try:
        pairs = [tuple(pair) for pair in source if not isinstance(pair, str)]
        n = len(list(source)) if hasattr(source, "__len__") else len(pairs)
    except TypeError:
        raise InputError(
            f"a graph cannot be read from {type(source).__name__}; give a file, a networkx "
            "DiGraph, or pairs (parent, child)"
        ) from None
    if n != len(pairs) or any(len(pair) != 2 for pair in pairs):
        raise InputError("a graph needs pairs (parent, child); an entry is no pair")
    return _checked([], [(str(parent), str(child)) for parent, child in pairs], None)


def _from_networkx(graph: Any, path: str | Path | None) -> Graph:
    if not graph.is_directed():
        raise InputError("the graph is undirected; a causal graph needs directed edges", path=path)
    labels = [str(node) for node in graph.nodes]
    if len(set(labels)) != len(labels):
        repeated = labels[repeated_position(labels)]
        raise InputError(f"two nodes of the graph are called {repeated!r}", path=path)
    edges = [(str(parent), str(child)) for parent, child in graph.edges()]
    return _checked(labels, edges, path)


def _parse_graphml(data: bytes, path: str | Path) -> Graph:
    run_expat(safe_expat(path), data, path)
    try:
        import networkx
    except ImportError:
        raise MissingDependencyError("networkx", "graph", "Reading GraphML") from None
    try:
        graph = networkx.read_graphml(io.BytesIO(data))
    except Exception as error:
        # networkx raises whatever its inner parsing happens to raise on a malformed file.
        raise InputError(f"this is not a GraphML file: {error}", path=path) from None
    names = [values.get("name") for _, values in graph.nodes(data=True)]
    if names and all(name is not None for name in names):
        if len(set(map(str, names))) != len(names):
            raise InputError("two nodes have the same name attribute", path=path)
        graph = networkx.relabel_nodes(graph, dict(zip(graph.nodes, names, strict=True)))
    return _from_networkx(graph, path)
