"""Causal graphs from DOT text, read in one pass that takes time in proportion to the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from dosift.errors import InputError
from dosift.io.assemble import shown

#: Most edges that a file may stand for; an edge between two groups stands for many.
MAX_EDGES = 1_000_000
#: Deepest nesting of groups and subgraphs.
MAX_DEPTH = 100

# Names may hold dots and begin with digits, as many programs write them.
_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n\r\f\v]++ | //[^\n]*+ | /\*.*?\*/ | ^\#[^\n]*+)
    | (?P<sign>->|--|[{}\[\]=;,:+])
    | (?P<name>-(?:\.[0-9]++|[0-9]++(?:\.[0-9]*+)?) | [A-Za-z0-9_.\x80-\U0010ffff]++)
    | (?P<quoted>"(?:[^"\\]++|\\.)*+")
    | (?P<html><)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_ESCAPE = re.compile(r'\\(\\|"|\n)')
_ANGLE = re.compile(r"[<>]")
_KEPT = {"\\": "\\\\", '"': '"', "\n": ""}
_END = ""

#: Kind, text and offset of a token; the kind of a sign or keyword is the sign or keyword.
_Token = tuple[str, str, int]


@dataclass
class _Group:
    """A pair of braces: the nodes within, and where its current statement stands."""

    nodes: dict[str, None] = field(default_factory=dict)
    #: Nodes at the last end of the current statement; None where a statement may begin.
    ends: list[str] | None = None
    after_arrow: bool = False


def parse_dot(text: str, path: str | Path | None = None) -> tuple[list[str], list[tuple[str, str]]]:
    r"""Read the nodes and edges of a directed graph in DOT; attributes and ports are passed over.

    Parameters
    ----------
    text : str
        The content of a DOT file.
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    nodes : list of str
        In the order in which they first appear.
    edges : list of (str, str)
        (parent, child), in the order in which they appear.

    Raises
    ------
    InputError
        If the text is no DOT, the graph is undirected, there is more than one, groups are nested
        deeper than ``MAX_DEPTH``, or the edges are more than ``MAX_EDGES``.

    References
    ----------
    The DOT language, https://graphviz.org/doc/info/lang.html

    Examples
    --------
    >>> parse_dot('digraph { smoke -> {lung "heart rate"} [color=red]; age }')
    (['smoke', 'lung', 'heart rate', 'age'], [('smoke', 'lung'), ('smoke', 'heart rate')])
    """
    return _DotParser(text, path).parse()


class _DotParser:
    def __init__(self, text: str, path: str | Path | None) -> None:
        self.text = text
        self.path = path
        self.tokens = self.scan()  # one at a time: as a list they take 80 times the text's size
        self.current = next(self.tokens)
        self.edges: list[tuple[str, str]] = []

    # -- errors -----------------------------------------------------------------------------

    def fail(self, message: str, offset: int) -> NoReturn:
        """Raise an error that points at a character."""
        line = self.text.count("\n", 0, offset) + 1
        column = offset - self.text.rfind("\n", 0, offset)
        raise InputError(f"this is not DOT: {message}", path=self.path, line=line, column=column)

    def unexpected(self, wanted: str) -> NoReturn:
        """Raise the error for a token that does not fit."""
        kind, text, offset = self.current
        found = "the file ends" if kind == _END else f"found {shown(text)}"
        self.fail(f"expected {wanted}, {found}", offset)

    # -- tokens -----------------------------------------------------------------------------

    def scan(self) -> Iterator[_Token]:
        """Split the text into tokens, without spaces and comments."""
        at = 0
        while at < len(self.text):
            match = _TOKEN.match(self.text, at)
            if match is None:
                what = self.text[at]
                hint = "this quote is not closed" if what == '"' else f"{what!r} has no place here"
                self.fail(hint, at)
            kind, value, start = str(match.lastgroup), match[0], at
            at = match.end()
            if kind == "html":
                at = self.end_of_html(start)
                value = self.text[start + 1 : at - 1]
            elif kind == "quoted":
                value = _ESCAPE.sub(lambda m: _KEPT[m[1]], value[1:-1])
            elif kind == "name" and value.lower() in _KEYWORDS:
                kind = value.lower()
            elif kind == "sign":
                kind = value
            if kind != "space":
                yield kind, value, start
        yield _END, "", len(self.text.rstrip())

    def end_of_html(self, start: int) -> int:
        """Return where the text in angle brackets that opens at `start` ends."""
        depth = 0
        for match in _ANGLE.finditer(self.text, start):
            depth += 1 if match[0] == "<" else -1
            if depth == 0:
                return match.end()
        self.fail("this '<' is not closed", start)

    def advance(self) -> None:
        """Step over the current token, which is not the end."""
        self.current = next(self.tokens)

    def kind(self) -> str:
        """Kind of the current token."""
        return self.current[0]

    def take(self, kind: str) -> bool:
        """Step over the current token if it is of a kind."""
        if self.kind() != kind:
            return False
        self.advance()
        return True

    def take_name(self) -> str | None:
        """Step over a name, if there is one: a word, a quoted text with ``+``, or HTML."""
        kind, value, _ = self.current
        if kind not in _NAMES:
            return None
        self.advance()
        parts = [value]
        while kind == "quoted" and self.kind() == "+":
            self.advance()
            if self.kind() != "quoted":
                self.unexpected("a quoted text after '+'")
            parts.append(self.current[1])
            self.advance()
        return "".join(parts)

    # -- grammar ----------------------------------------------------------------------------

    def parse(self) -> tuple[list[str], list[tuple[str, str]]]:
        """Read the whole text."""
        self.take("strict")
        if self.kind() == "graph":
            _, _, offset = self.current
            self.fail("the graph is undirected; a causal graph starts with 'digraph'", offset)
        if not self.take("digraph"):
            self.unexpected("'digraph'")
        self.take_name()
        if not self.take("{"):
            self.unexpected("'{'")
        nodes = self.read_groups()
        if self.kind() in ("strict", "digraph", "graph"):
            self.fail("a second graph in one file; give one", self.current[2])
        if self.kind() != _END:
            self.unexpected("nothing after the closing '}'")
        return nodes, self.edges

    def read_groups(self) -> list[str]:
        """Read statements up to the brace that closes the graph; return all its nodes."""
        groups = [_Group()]
        while True:
            group = groups[-1]
            if self.kind() == "}" and group.after_arrow:
                self.unexpected("a node after '->'")
            if self.take("}"):
                groups.pop()
                nodes = list(group.nodes)
                if not groups:
                    return nodes
                self.add_end(groups[-1], nodes)
            elif self.opens_group():
                if len(groups) >= MAX_DEPTH:
                    self.fail(f"groups are nested deeper than {MAX_DEPTH}", self.current[2])
                groups.append(_Group())
            else:
                self.read_piece(group)

    def opens_group(self) -> bool:
        """Step over the opening of a group, if there is one."""
        if self.take("subgraph"):
            self.take_name()
            if not self.take("{"):
                self.unexpected("'{' after 'subgraph'")
            return True
        return self.take("{")

    def read_piece(self, group: _Group) -> None:
        """Read a node, an arrow, attributes or the end of a statement."""
        kind = self.kind()
        if kind in _NAMES:
            name = self.take_name() or ""
            if self.kind() == "=" and not group.after_arrow:
                self.advance()
                if self.take_name() is None:
                    self.unexpected("a value after '='")
                group.ends = None
            else:
                self.skip_port()
                self.add_end(group, [name])
        elif kind == "->" and group.ends is not None and not group.after_arrow:
            self.advance()
            group.after_arrow = True
        elif group.after_arrow:
            self.unexpected("a node after '->'")
        elif kind == "[" and group.ends is not None:
            self.skip_attributes()
        elif kind == ";":
            self.advance()
            group.ends = None
        elif kind in ("node", "edge", "graph"):
            self.advance()
            if self.kind() != "[":
                self.unexpected(f"'[' after {kind!r}")
            self.skip_attributes()
            group.ends = None
        elif kind == "--":
            self.fail("'--' is an undirected edge; a causal graph needs '->'", self.current[2])
        else:
            self.unexpected("a node, '->', ';' or '}'")

    def add_end(self, group: _Group, nodes: list[str]) -> None:
        """Take nodes as the next end of the current statement, or as a new statement."""
        group.nodes.update(dict.fromkeys(nodes))
        if group.after_arrow:
            starts = group.ends or []
            if len(self.edges) + len(starts) * len(nodes) > MAX_EDGES:
                self.fail(f"the graph has more than {MAX_EDGES:,} edges", self.current[2])
            self.edges += [(parent, child) for parent in starts for child in nodes]
            group.after_arrow = False
        group.ends = nodes

    def skip_port(self) -> None:
        """Step over ``:port:compass``."""
        for _ in range(2):
            if self.take(":") and self.take_name() is None:
                self.unexpected("a port after ':'")

    def skip_attributes(self) -> None:
        """Step over ``[name=value, ...]``, once or more."""
        while self.take("["):
            while not self.take("]"):
                if self.take_name() is None:
                    self.unexpected("an attribute or ']'")
                if self.take("=") and self.take_name() is None:
                    self.unexpected("a value after '='")
                _ = self.take(",") or self.take(";")


_KEYWORDS = frozenset({"strict", "graph", "digraph", "node", "edge", "subgraph"})
_NAMES = frozenset({"name", "quoted", "html"})
