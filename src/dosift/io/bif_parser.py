"""The parser behind `dosift.io.bif`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from dosift.model.network import Network

# A comment or string that is never closed still makes one token (up to the end of the file or
# line), so that no input makes the scan go over the same text twice.
_TOKEN = re.compile(
    r"""
      //[^\n]*+
    | /\*.*?(?:\*/|\Z)
    | "(?:[^"\\\n]++|\\[^\n])*+"?
    | [{}()\[\];|]
    | (?:[^\s{}()\[\];|,"/]++|/(?![/*]))++
    """,
    re.DOTALL | re.VERBOSE,
)
_STRING = re.compile(r'"(?:[^"\\\n]++|\\[^\n])*+"')
_ESCAPE = re.compile(r'\\(?:u(00[0-9a-fA-F]{2})|(["\\]))')
_SIGNS = frozenset("{}()[];|")
_END = ""
_DEFAULT = -1
_ORDER_HINT = " ('table' lists the variable's own states slowest, the last parent fastest)"


def _unescaped(match: re.Match[str]) -> str:
    return match[2] or chr(int(match[1], 16))


class BifParser:
    """Read BIF text: one pass over the tokens for the declarations, a second for the tables.

    Parameters
    ----------
    text : str
        The content of a BIF file.
    path : str or Path or None
        Named in errors.
    """

    def __init__(self, text: str, path: str | Path | None) -> None:
        self.text = text
        self.path = path
        self.has_comments = "//" in text or "/*" in text
        self.tokens: list[str] = _TOKEN.findall(text)
        if self.has_comments:
            self.tokens = [t for t in self.tokens if not t.startswith(("//", "/*"))]
        self.tokens += [_END, _END, _END]  # so that looking ahead needs no check
        self.states: dict[str, tuple[str, ...]] = {}
        self.codes: dict[str, dict[str, int]] = {}
        self.declared: dict[str, int] = {}
        self.defined: dict[str, int] = {}
        self.conditionals: dict[str, Conditional] = {}
        self.n_entries = 0

    # -- errors -----------------------------------------------------------------------------

    def error(self, message: str, place: int) -> InputError:
        """Return an error that points at a token; its position is found only now."""
        matches = (
            m
            for m in _TOKEN.finditer(self.text)
            if not (self.has_comments and m[0].startswith(("//", "/*")))
        )
        match = next(itertools.islice(matches, place, None), None)
        if match is not None:
            return self.error_at(message, match.start())
        return self.error_at(message, len(self.text.rstrip()))

    def error_at(self, message: str, offset: int) -> InputError:
        """Return an error that points at a character."""
        line = self.text.count("\n", 0, offset) + 1
        column = offset - self.text.rfind("\n", 0, offset)
        return InputError(message, path=self.path, line=line, column=column)

    def unexpected(self, wanted: str, place: int) -> InputError:
        """Return the error for a token that does not fit."""
        token = self.tokens[place]
        found = "the file ends" if token == _END else f"found {shown(token)}"
        return self.error(f"expected {wanted}, {found}", place)

    # -- small pieces -----------------------------------------------------------------------

    def expect(self, sign: str, place: int, after: str) -> int:
        """Check that a token is `sign`; return the next place."""
        if self.tokens[place] != sign:
            raise self.unexpected(f"{sign!r} {after}", place)
        return place + 1

    def name(self, place: int, what: str) -> str:
        """Return the name that a token spells."""
        token = self.tokens[place]
        if token == _END or token in _SIGNS:
            raise self.unexpected(what, place)
        if token[0] != '"':
            return token
        if len(token) == 2:
            raise self.error(f"{what} is empty; give it a name", place)
        return _ESCAPE.sub(_unescaped, token[1:-1]) if "\\" in token else token[1:-1]

    def find(self, sign: str, start: int, stop: int, message: str) -> int:
        """Return the place of the next `sign`."""
        try:
            return self.tokens.index(sign, start, stop)
        except ValueError:
            raise self.error(message, start) from None

    # -- blocks -----------------------------------------------------------------------------

    def parse(self) -> Network:
        """Read the whole text."""
        self.check_closed()
        blocks: list[int] = []
        place, seen_network = 0, False
        readers: dict[str, Callable[[int], int]] = {
            "network": self.skip_block,
            "variable": self.read_variable,
            "probability": self.skip_block,
        }
        while (keyword := self.tokens[place]) != _END:
            if keyword not in readers:
                raise self.unexpected(
                    "a block that starts with 'network', 'variable' or 'probability'", place
                )
            if keyword == "network":
                if seen_network:
                    raise self.error("a second 'network' block; a file holds one network", place)
                seen_network = True
            if keyword == "probability":
                blocks.append(place)
            place = readers[keyword](place)
        if not self.states:
            raise self.error("there are no variables here; is this a BIF file?", place)
        for block in blocks:
            self.read_probability(block)
        return assemble(
            self.states,
            self.conditionals,
            lambda message, name: self.error(message, self.declared[name]),
            lambda message, name: self.error(message, self.defined[name]),
        )

    def check_closed(self) -> None:
        """Refuse comments and quotes that never end."""
        if not self.has_comments and '"' not in self.text:
            return
        for match in _TOKEN.finditer(self.text):
            token = match[0]
            if token[0] == '"' and not _STRING.fullmatch(token):
                raise self.error_at("this quote is not closed on its line", match.start())
            if token.startswith("/*") and (len(token) < 4 or not token.endswith("*/")):
                raise self.error_at("this comment is not closed", match.start())

    def skip_block(self, place: int) -> int:
        """Return the place after a block's closing brace."""
        message = f"the {self.tokens[place]!r} block is not closed by '}}'; is the file cut short?"
        return self.find("}", place, len(self.tokens), message) + 1

    def skip_properties(self, place: int) -> int:
        """Return the place after any properties."""
        while self.tokens[place] == "property":
            message = "this property is not ended by ';'"
            place = self.find(";", place, len(self.tokens), message) + 1
        return place

    def read_variable(self, place: int) -> int:
        """Read ``variable name { type discrete [ n ] { states }; }``."""
        start = place + 1
        name = self.name(start, "the name of a variable")
        if name in self.states:
            raise self.error(f"variable {name!r} is declared twice", start)
        place = self.expect("{", start + 1, f"after the name of variable {name!r}")
        states: tuple[str, ...] | None = None
        while self.tokens[place := self.skip_properties(place)] != "}":
            if self.tokens[place] == "type" and states is None:
                states, place = self.read_states(name, place + 1)
            else:
                wanted = "'type'" if states is None else "'}'"
                raise self.unexpected(f"{wanted} in the block of variable {name!r}", place)
        if states is None:
            raise self.error(f"variable {name!r} has no states; add a 'type discrete' entry", start)
        self.states[name] = states
        self.codes[name] = {state: i for i, state in enumerate(states)}
        self.declared[name] = start
        return place + 1

    def read_states(self, name: str, place: int) -> tuple[tuple[str, ...], int]:
        """Read ``discrete [ n ] { states };``."""
        place = self.expect("discrete", place, f"after 'type' of variable {name!r}")
        place = self.expect("[", place, "and the number of states after 'discrete'")
        claim = place
        place = self.expect("]", place + 1, "after the number of states")
        place = self.expect("{", place, f"before the states of {name!r}")
        end = self.find(
            "}", place, len(self.tokens), f"the states of {name!r} are not closed by '}}'"
        )
        states = [self.name(i, f"a state of {name!r}") for i in range(place, end)]
        if len(set(states)) != len(states):
            repeated = repeated_position(states)
            raise self.error(
                f"variable {name!r} has the state {states[repeated]!r} twice", place + repeated
            )
        if self.tokens[claim] != str(len(states)) or not states:
            raise self.error(
                f"variable {name!r} should have {shown(self.tokens[claim])} states but "
                f"{len(states)} are listed (names with blanks need quotes)",
                claim,
            )
        return tuple(states), self.expect(";", end + 1, f"after the states of {name!r}")

    def read_probability(self, place: int) -> None:
        """Read ``probability ( child | parents ) { entries }``."""
        place = self.expect("(", place + 1, "after 'probability'")
        start = place
        close = self.find(
            ")", place, len(self.tokens), "the list of variables is not closed by ')'"
        )
        name = self.known_variable(place)
        place += 2 if self.tokens[place + 1] == "|" else 1
        parents = tuple(self.known_variable(i) for i in range(place, close))
        if len({name, *parents}) != len(parents) + 1:
            raise self.error(f"a variable is named twice in the table of {name!r}", start)
        if name in self.defined:
            raise self.error(f"variable {name!r} has a second probability block", start)
        self.defined[name] = start
        place = self.expect("{", close + 1, f"before the probabilities of {name!r}")
        end = self.find("}", place, len(self.tokens), "this block is not closed by '}'")
        n_rows, complaint = table_size(name, self.states, parents, self.n_entries)
        if complaint is not None:
            raise self.error(complaint, start)
        self.n_entries += n_rows * len(self.states[name])
        table = self.read_entries(name, parents, n_rows, place, end)
        self.conditionals[name] = Conditional(parents, table)

    def known_variable(self, place: int) -> str:
        """Return the declared variable that a token names."""
        name = self.name(place, "the name of a variable")
        if name not in self.states:
            raise self.error(unknown_variable(name, self.states), place)
        return name

    def read_entries(
        self, name: str, parents: tuple[str, ...], n_rows: int, place: int, end: int
    ) -> NDArray[np.float64]:
        """Read the entries of a probability block, in one of the forms of `dosift.io.bif`."""
        n_states = len(self.states[name])
        rows: dict[int, int] = {}
        while (place := self.skip_properties(place)) < end:
            keyword = self.tokens[place]
            if keyword == "table" and not rows:
                return self.flat_table(name, n_rows, place + 1, end)
            row, first = _DEFAULT, place + 1
            if keyword == "(":
                row, first = self.read_key(name, parents, place + 1, end)
            elif keyword != "default":
                raise self.unexpected(f"another row or '}}' in the table of {name!r}", place)
            if row in rows:
                raise self.error(f"this row of the table of {name!r} is given twice", place)
            rows[row] = first
            place = self.end_of_numbers(name, first, n_states, end)
        default = rows.pop(_DEFAULT, None)
        if default is None and len(rows) < n_rows:
            raise self.error(self.missing_row(name, parents, rows, n_rows), self.defined[name])
        table = np.empty((n_rows, n_states))
        if default is not None:
            table[:] = self.checked(name, [default])
        if rows:
            table[list(rows)] = self.checked(name, list(rows.values()))
        return table

    def flat_table(self, name: str, n_rows: int, first: int, end: int) -> NDArray[np.float64]:
        """Read a ``table`` entry: the variable's own state runs slowest."""
        n = len(self.states[name])
        rest = self.skip_properties(self.end_of_numbers(name, first, n * n_rows, end))
        if rest < end:
            raise self.unexpected(f"'}}' after the 'table' of {name!r}", rest)
        numbers = self.tokens[first : first + n * n_rows]
        by_row = [number for r in range(n_rows) for number in numbers[r::n_rows]]
        hint = "" if n_rows == 1 else _ORDER_HINT
        return checked_rows(
            by_row,
            n,
            name,
            lambda message, i: self.error(message + hint, first + i % n * n_rows + i // n),
        )

    def end_of_numbers(self, name: str, first: int, wanted: int, end: int) -> int:
        """Return the place after the numbers and the semicolon that start at `first`."""
        stop = self.find(";", first, end, "these numbers are not ended by ';'")
        if stop - first == wanted:
            return stop + 1
        for i in range(first, stop):
            if self.tokens[i] in _SIGNS or self.tokens[i][0] == '"':
                raise self.unexpected(f"a number or ';' in the table of {name!r}", i)
        raise self.error(
            f"{stop - first} numbers where the table of {name!r} needs {wanted}", first
        )

    def checked(self, name: str, places: list[int]) -> NDArray[np.float64]:
        """Turn rows, whose first numbers stand at `places`, into probabilities."""
        n = len(self.states[name])
        return checked_rows(
            [number for first in places for number in self.tokens[first : first + n]],
            n,
            name,
            lambda message, i: self.error(message, places[i // n] + i % n),
        )

    def read_key(
        self, name: str, parents: tuple[str, ...], place: int, end: int
    ) -> tuple[int, int]:
        """Read ``states of the parents )``; return the table's row and the next place."""
        close = self.find(")", place, end, "the states of the parents are not closed by ')'")
        if close - place != len(parents):
            raise self.error(
                f"{close - place} states for the {len(parents)} parents of {name!r}; give one for "
                "each parent (names with blanks need quotes)",
                place,
            )
        row = 0
        for i, parent in enumerate(parents, start=place):
            codes = self.codes[parent]
            state = self.name(i, "a state")
            if state not in codes:
                allowed = ", ".join(map(shown, self.states[parent][:10]))
                more = ", ..." if len(self.states[parent]) > 10 else ""
                raise self.error(
                    f"{parent!r} has no state {shown(state)}; its states are {allowed}{more}", i
                )
            row = row * len(codes) + codes[state]
        return row, close + 1

    def missing_row(
        self, name: str, parents: tuple[str, ...], rows: dict[int, int], n_rows: int
    ) -> str:
        """Say which row is missing first."""
        row = next(r for r in range(n_rows) if r not in rows)
        digits = np.unravel_index(row, [len(self.states[p]) for p in parents]) if parents else ()
        key = ", ".join(self.states[p][d] for p, d in zip(parents, digits, strict=True))
        return (
            f"the table of {name!r} has {len(rows)} of {n_rows} rows and no 'default'; "
            f"the first missing row is ({key})"
        )
