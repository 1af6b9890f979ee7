"""The parser behind `dosift.io.xmlbif`."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from dosift.errors import InputError
from dosift.io.assemble import (
    Conditional,
    assemble,
    checked_rows,
    repeated_position,
    shown,
    table_size,
    unknown_variable,
)
from dosift.io.safe_xml import run_expat, safe_expat
from dosift.model.network import Network

#: Which element may stand in which; an element of text holds none.
_PARENTS = {
    "BIF": {""},
    "NETWORK": {"BIF"},
    "NAME": {"NETWORK", "VARIABLE"},
    "VARIABLE": {"NETWORK"},
    "DEFINITION": {"NETWORK"},
    "OUTCOME": {"VARIABLE"},
    "FOR": {"DEFINITION"},
    "GIVEN": {"DEFINITION"},
    "TABLE": {"DEFINITION"},
    "PROPERTY": {"BIF", "NETWORK", "VARIABLE", "DEFINITION"},
}
_TEXT = {"NAME", "OUTCOME", "FOR", "GIVEN", "TABLE", "PROPERTY"}
_ONCE = {"NAME", "FOR", "TABLE"}
_NUMBER = re.compile(r"\S+")

Place = tuple[int, int]


@dataclass
class _Text:
    """The text of an element, with the place in the file of each of its pieces."""

    element: str
    place: Place
    pieces: list[str] = field(default_factory=list)
    # Arrays, since a piece may be a single character.
    lines: array[int] = field(default_factory=lambda: array("q"))
    columns: array[int] = field(default_factory=lambda: array("q"))

    @property
    def value(self) -> str:
        return "".join(self.pieces)

    def place_of_number(self, position: int) -> Place:
        """Return line and column of a number, counted from 0."""
        matches = _NUMBER.finditer(self.value)
        offset = next(m.start() for i, m in enumerate(matches) if i == position)
        starts = [0]
        for piece in self.pieces:
            starts.append(starts[-1] + len(piece))
        i = bisect_right(starts, offset) - 1
        before = self.pieces[i][: offset - starts[i]]
        line, column = self.lines[i], self.columns[i]
        if "\n" in before:
            return line + before.count("\n"), len(before) - before.rfind("\n")
        return line, column + len(before)


@dataclass
class _Block:
    """A VARIABLE or DEFINITION with the texts in it."""

    element: str
    place: Place
    texts: list[_Text] = field(default_factory=list)

    def all(self, element: str) -> list[_Text]:
        """Return the texts of one kind."""
        return [text for text in self.texts if text.element == element]


class XmlbifParser:
    """Read XMLBIF: expat collects blocks of text, which are then understood one by one.

    Parameters
    ----------
    path : str or Path or None
        Named in errors.
    """

    def __init__(self, path: str | Path | None) -> None:
        self.path = path
        self.open: list[str] = []
        self.blocks: list[_Block] = []
        self.block: _Block | None = None
        self.text: _Text | None = None
        self.n_networks = 0
        self.states: dict[str, tuple[str, ...]] = {}
        self.conditionals: dict[str, Conditional] = {}
        self.declared: dict[str, Place] = {}
        self.defined: dict[str, Place] = {}
        self.n_entries = 0
        self.expat = safe_expat(path)
        self.expat.buffer_text = False
        self.expat.StartElementHandler = self.start
        self.expat.EndElementHandler = self.end
        self.expat.CharacterDataHandler = self.characters

    def parse(self, data: bytes | str) -> Network:
        """Read the whole content.

        Parameters
        ----------
        data : bytes or str
            The content of the file.

        Returns
        -------
        Network

        Raises
        ------
        InputError
            If the content is malformed, with line and column.
        """
        run_expat(self.expat, data, self.path)
        for block in self.blocks:
            if block.element == "VARIABLE":
                self.read_variable(block)
        if not self.states:
            raise self.error("there are no variables in this network", self.here())
        for block in self.blocks:
            if block.element == "DEFINITION":
                self.read_definition(block)
        return assemble(
            self.states,
            self.conditionals,
            lambda message, name: self.error(message, self.declared[name]),
            lambda message, name: self.error(message, self.defined[name]),
        )

    # -- errors -----------------------------------------------------------------------------

    def here(self) -> Place:
        """Return the place of the current event."""
        return self.expat.CurrentLineNumber, self.expat.CurrentColumnNumber + 1

    def error(self, message: str, place: Place) -> InputError:
        """Return an error that points at a place."""
        return InputError(message, path=self.path, line=place[0], column=place[1])

    # -- events of expat --------------------------------------------------------------------

    def start(self, element: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        place = self.here()
        within = self.open[-1] if self.open else ""
        if element not in _PARENTS:
            raise self.error(f"<{shown(element)[1:-1]}> is no element of XMLBIF 0.3", place)
        if within not in _PARENTS[element]:
            where = f"in <{within}>" if within else "as the outermost element"
            raise self.error(f"<{element}> may not stand {where}", place)
        self.open.append(element)
        if element == "NETWORK":
            self.n_networks += 1
            if self.n_networks > 1:
                raise self.error("a second <NETWORK>; a file holds one network", place)
        if element == "VARIABLE" and attributes.get("TYPE", "nature") != "nature":
            raise self.error(
                f"a variable of type {shown(attributes['TYPE'])}; only 'nature' (chance) "
                "variables have probabilities",
                place,
            )
        if element in ("VARIABLE", "DEFINITION"):
            self.block = _Block(element, place)
            self.blocks.append(self.block)
        elif element in _TEXT:
            self.text = _Text(element, place)
            if self.block is not None:
                if element in _ONCE and self.block.all(element):
                    raise self.error(f"a second <{element}> in this {self.block.element}", place)
                self.block.texts.append(self.text)

    def end(self, element: str) -> None:
        """Close an element."""
        self.open.pop()
        if element in _TEXT:
            self.text = None
        elif element in ("VARIABLE", "DEFINITION"):
            self.block = None

    def characters(self, text: str) -> None:
        """Take text."""
        if self.text is not None:
            self.text.pieces.append(text)
            line, column = self.here()
            self.text.lines.append(line)
            self.text.columns.append(column)
        elif text.strip():
            raise self.error(f"text outside any name or table: {shown(text.strip())}", self.here())

    # -- blocks -----------------------------------------------------------------------------

    def name(self, text: _Text) -> str:
        """Return a name."""
        name = text.value.strip()
        if not name:
            raise self.error(f"<{text.element}> is empty; give it a name", text.place)
        return name

    def only(self, block: _Block, element: str) -> _Text:
        """Return the one text of its kind in a block."""
        texts = block.all(element)
        if not texts:
            raise self.error(f"this {block.element} has no <{element}>", block.place)
        return texts[0]

    def read_variable(self, block: _Block) -> None:
        """Read a VARIABLE."""
        text = self.only(block, "NAME")
        name = self.name(text)
        if name in self.states:
            raise self.error(f"variable {name!r} is declared twice", text.place)
        outcomes = block.all("OUTCOME")
        states = [self.name(outcome) for outcome in outcomes]
        if not states:
            raise self.error(f"variable {name!r} has no <OUTCOME>", block.place)
        if len(set(states)) != len(states):
            i = repeated_position(states)
            raise self.error(
                f"variable {name!r} has the state {states[i]!r} twice", outcomes[i].place
            )
        self.states[name] = tuple(states)
        self.declared[name] = text.place

    def read_definition(self, block: _Block) -> None:
        """Read a DEFINITION."""
        target = self.only(block, "FOR")
        name = self.known_variable(target)
        if name in self.defined:
            raise self.error(f"variable {name!r} has a second <DEFINITION>", target.place)
        self.defined[name] = target.place
        given = block.all("GIVEN")
        parents = tuple(self.known_variable(text) for text in given)
        if len({name, *parents}) != len(parents) + 1:
            i = repeated_position((name, *parents)) - 1
            raise self.error(f"{parents[i]!r} is named twice in this definition", given[i].place)
        n_rows, complaint = table_size(name, self.states, parents, self.n_entries)
        if complaint is not None:
            raise self.error(complaint, block.place)
        n_states = len(self.states[name])
        self.n_entries += n_rows * n_states
        table = self.only(block, "TABLE")
        numbers = table.value.split()
        if len(numbers) != n_rows * n_states:
            raise self.error(
                f"{len(numbers)} numbers where the table of {name!r} needs {n_rows * n_states}",
                table.place,
            )
        rows = checked_rows(
            numbers,
            n_states,
            name,
            lambda message, i: self.error(message, table.place_of_number(i)),
        )
        self.conditionals[name] = Conditional(parents, rows)

    def known_variable(self, text: _Text) -> str:
        """Return the declared variable that an element names."""
        name = self.name(text)
        if name not in self.states:
            raise self.error(unknown_variable(name, self.states), text.place)
        return name
