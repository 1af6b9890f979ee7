"""Causal graphs from edge lists, DOT, GraphML, networkx or pairs of names."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple

from dosift.errors import InputError, MissingDependencyError
from dosift.io.assemble import repeated_position, shown
from dosift.io.dot import parse_dot
from dosift.io.safe_xml import run_expat, safe_expat
from dosift.utils.storage import decode, read_bytes

_FIELD = re.compile(r' *(?:"((?:[^"]|"")*)"|([^,\t"]*)) *')

#: Headers of an edge list, in whatever case; without one every line is an edge.
HEADERS = (("parent", "child"), ("source", "target"), ("from", "to"))

#: Names that columns get where a file has none: by pandas, and by polars.
_NAMELESS = (("0", "1"), ("column_1", "column_2"))

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

    @property
    def parents(self) -> list[list[int]]:
        """Positions of the parents of each node, in the order of the edges."""
        position = {name: i for i, name in enumerate(self.nodes)}
        parents: list[list[int]] = [[] for _ in self.nodes]
        for parent, child in self.edges:
            parents[position[child]].append(position[parent])
        return parents


def read_graph(source: Any) -> Graph:
    """Read a causal graph.

    Parameters
    ----------
    source : str, Path, networkx.DiGraph, Graph, dataframe or iterable of (str, str)
        One of

        * an edge list, ``.csv`` or ``.tsv``, with the header ``parent,child``, ``source,target``
          or ``from,to``, or without a header; a line with an empty parent stands for a variable
          without edges (or with edges elsewhere);
        * a DOT file, ``.dot`` or ``.gv``;
        * a GraphML file, ``.graphml`` (needs networkx): nodes go by their ``name`` attribute if
          every node has one, and by their id otherwise;
        * a networkx ``DiGraph``, pairs (parent, child), or a dataframe of such pairs (pandas,
          polars, ...) with columns that are named like a header above, or have no names.

    Returns
    -------
    Graph
        Without any variable if the source names none.

    Raises
    ------
    InputError
        If the file cannot be read or is malformed (with line and column where the format has
        them), an edge repeats, or the graph is undirected or has a cycle.
    MissingDependencyError
        If a library for the format is not installed.

    Examples
    --------
    >>> read_graph([("smoke", "lung"), ("smoke", "cough")]).nodes
    ('smoke', 'lung', 'cough')
    """
    graph = _read(source)
    cycle = cycle_in_words(graph.edges)
    if cycle is not None:
        path = source if isinstance(source, (str, Path)) else None
        raise InputError(f"the graph has a cycle: {cycle}; a causal graph has none", path=path)
    return graph


def read_edges(source: Any) -> tuple[tuple[str, str], ...]:
    """Read a list of edges that need not be a graph together, such as forbidden ones.

    Parameters
    ----------
    source : as in :func:`read_graph`
        Cycles, and both directions of an edge, are let through. Variables without edges say
        nothing.

    Returns
    -------
    tuple of (str, str)
        (parent, child), in the order in which they appear.

    Raises
    ------
    InputError, MissingDependencyError
        As for :func:`read_graph`, or if an edge leads from a variable to itself.

    Examples
    --------
    >>> read_edges([("smoke", "lung"), ("lung", "smoke")])
    (('smoke', 'lung'), ('lung', 'smoke'))
    """
    edges = _read(source).edges
    loop = next((parent for parent, child in edges if parent == child), None)
    if loop is not None:
        path = source if isinstance(source, (str, Path)) else None
        raise InputError(f"an edge leads from {loop!r} to itself; take it out", path=path)
    return edges


def _read(source: Any) -> Graph:
    """Read variables and edges, which may have cycles."""
    if isinstance(source, Graph):
        return _put_together(source.nodes, source.edges, None)
    if isinstance(source, (str, Path)):
        return _read_file(source)
    if hasattr(source, "is_directed") and hasattr(source, "edges"):
        return _from_networkx(source, None)
    if hasattr(type(source), "columns"):
        return _from_table(source)
    return _from_pairs(source)


def _read_file(path: str | Path) -> Graph:
    name = str(path).lower().removesuffix(".gz")
    data = read_bytes(path, MAX_FILE_BYTES)
    if name.endswith((".csv", ".tsv")):
        return _parse_edge_list(decode(data, path), path)
    if name.endswith((".dot", ".gv")):
        return _put_together(*parse_dot(decode(data, path), path), path)
    if name.endswith(".graphml"):
        return _parse_graphml(data, path)
    raise InputError(
        "the ending says nothing of a graph; give a file that ends in .csv, .tsv, .dot, .gv or "
        ".graphml",
        path=path,
    )


def _put_together(
    nodes: Iterable[str], edges: Iterable[tuple[str, str]], path: str | Path | None
) -> Graph:
    """Put a graph together: nodes of edges added, no repeated edge."""
    edges = tuple(edges)
    order = tuple(dict.fromkeys([*nodes, *(name for edge in edges for name in edge)]))
    if "" in order:
        raise InputError("a variable has an empty name; give it one", path=path)
    if len(set(edges)) != len(edges):
        parent, child = edges[repeated_position([repr(edge) for edge in edges])]
        raise InputError(f"the edge {parent!r} -> {child!r} is given twice", path=path)
    return Graph(order, edges)


def cycle_in_words(edges: Iterable[tuple[str, str]]) -> str | None:
    """Write a cycle among edges as text; None if there is none.

    Parameters
    ----------
    edges : iterable of (str, str)
        (parent, child).

    Returns
    -------
    str or None

    Examples
    --------
    >>> cycle_in_words([("a", "b"), ("b", "c"), ("c", "a")])
    'b -> c -> a -> b'
    """
    parents: dict[str, list[str]] = {}
    for parent, child in edges:
        parents.setdefault(child, []).append(parent)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        cycle = error.args[1]
        return " -> ".join(cycle if len(cycle) <= 12 else [*cycle[:11], "...", cycle[-1]])
    return None


# -- edge lists ---------------------------------------------------------------------------------


def _parse_edge_list(text: str, path: str | Path) -> Graph:
    filled = [(i, line) for i, line in enumerate(text.split("\n"), start=1) if line.strip()]
    is_reversed = False
    if filled:
        number, line = filled[0]
        names = [value.casefold() for value, _ in _fields(line, number, path)]
        has_header = _is_header(names, line, number, path)
        is_reversed = has_header and tuple(names) not in HEADERS
        filled = filled[has_header:]
    nodes: list[str] = []
    edges: dict[tuple[str, str], int] = {}
    for number, line in filled:
        parent, child = _edge(line, number, path, is_reversed)
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
    return _put_together(nodes, edges, path)


def _is_header(names: Sequence[str], line: str, number: int, path: str | Path) -> bool:
    """Whether the first line says which column holds what, in either order."""
    if any(set(names) == set(pair) for pair in HEADERS):
        return len(names) == 2
    if any(set(names) > set(pair) for pair in HEADERS):
        raise InputError(
            f"the header is {shown(line)}; an edge list has the two columns parent,child "
            "(or source,target, or from,to) and no others",
            path=path,
            line=number,
            column=1,
        )
    return False


def _edge(line: str, number: int, path: str | Path, is_reversed: bool = False) -> tuple[str, str]:
    """Read one line of an edge list; an empty parent stands for no edge."""
    fields = _fields(line, number, path)
    if len(fields) != 2:
        raise InputError(
            f"{len(fields)} fields instead of parent,child (names with commas need quotes; a "
            "variable without edges stands after a comma)",
            path=path,
            line=number,
            column=1,
        )
    (parent, _), (child, column) = reversed(fields) if is_reversed else fields
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
    return _put_together([], [(str(parent), str(child)) for parent, child in pairs], None)


def _from_table(source: Any) -> Graph:
    """Read a dataframe whose two columns are named like the header of an edge list."""
    import narwhals as nw

    try:
        frame = nw.from_native(source)
    except (TypeError, ValueError, nw.exceptions.NarwhalsError) as error:
        raise InputError(f"a graph cannot be read from {type(source).__name__}: {error}") from None
    frame = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    columns = {str(name).strip().casefold(): name for name in frame.columns}
    pairs = (*HEADERS, *_NAMELESS)
    found = next((pair for pair in pairs if set(columns) == set(pair)), None)
    if found is None or len(frame.columns) != 2:
        raise InputError(
            "a table of edges has the columns "
            f"{', '.join(map(str, frame.columns[:12])) or 'none'}; it needs two: parent and child, "
            "source and target, or from and to"
        )
    parents, children = (frame.get_column(columns[name]).to_list() for name in found)
    nodes: list[str] = []
    edges: list[tuple[str, str]] = []
    for row, (parent, child) in enumerate(zip(parents, children, strict=True), start=1):
        if _is_empty(child):
            raise InputError(
                f"the child is empty in row {row} of the table of edges (the first row is 1); an "
                "isolated variable stands in the column child"
            )
        if _is_empty(parent):
            nodes.append(str(child))
        else:
            nodes += [str(parent), str(child)]
            edges.append((str(parent), str(child)))
    return _put_together(nodes, edges, None)


def _is_empty(value: Any) -> bool:
    """Whether a cell of a table is empty: None, NaN, NA or an empty text."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return value == "" or (isinstance(value, float) and math.isnan(value))


def _from_networkx(graph: Any, path: str | Path | None) -> Graph:
    if not graph.is_directed():
        raise InputError("the graph is undirected; a causal graph needs directed edges", path=path)
    labels = [str(node) for node in graph.nodes]
    if len(set(labels)) != len(labels):
        repeated = labels[repeated_position(labels)]
        raise InputError(f"two nodes of the graph are called {repeated!r}", path=path)
    edges = [(str(parent), str(child)) for parent, child in graph.edges()]
    return _put_together(labels, edges, path)


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
