"""Intervention targets, their canonical text and its parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from numbers import Integral

from dosift.errors import InputError

_PLAIN = re.compile(r"[A-Za-z0-9_.+\-]+")
_SPACE = re.compile(r"\s*")
_OPENING = re.compile(r"\s*do\s*\(\s*")


def _escape(character: str) -> str:
    """Return a character that cannot be printed as its JSON escape."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _quote(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return "".join(map(_escape, json.dumps(text, ensure_ascii=False)))


def _checked_text(value: object, what: str) -> str:
    """Return a variable or state name as text, or say why it is not one."""
    if isinstance(value, str):
        text = str.__str__(value)  # the text itself, also of an enumeration of texts
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"{what} {text!a} is not valid Unicode text") from None
        return text
    if isinstance(value, Integral) and not isinstance(value, bool):
        try:
            return str(int(value))
        except ValueError:  # Python refuses to print integers of thousands of digits
            raise InputError(f"{what} is an integer too long to be a name") from None
    raise InputError(
        f"{what} {value!r} is of type {type(value).__name__}; give the name as text, "
        "exactly as the network has it (integers are taken as their digits)"
    )


class Target(Mapping[str, str]):
    """An intervention target: which variables are set, and to which states.

    Immutable and hashable; equal to another target that sets the same variables to the same
    states. The empty target is "no intervention". It is a mapping of variable names to states,
    in the order of the names. Make one with :func:`do`.

    Parameters
    ----------
    assignments : mapping of str to str or int
        Variable names and the states that they are set to. Integers stand for the states that
        are written with the same digits.

    Raises
    ------
    InputError
        If a name or state is neither text nor an integer.

    Examples
    --------
    >>> target = Target({"smoke": "yes", "lung": "no"})
    >>> target
    do(lung=no, smoke=yes)
    >>> target["smoke"], target.size
    ('yes', 2)
    """

    __slots__ = ("_items",)

    def __init__(self, assignments: Mapping[str, object]) -> None:
        if not isinstance(assignments, Mapping):
            raise InputError(
                "a target is made from a mapping of variables to states, not from "
                f"{type(assignments).__name__}; write for example do(smoke='yes')"
            )
        items: dict[str, str] = {}
        for key, value in assignments.items():
            if not isinstance(key, str):
                raise InputError(f"the variable name {key!r} is not text")
            name = _checked_text(key, "the variable name")
            items[name] = _checked_text(value, f"the state of {name!r},")
        self._items = dict(sorted(items.items()))

    def __getitem__(self, name: str) -> str:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Target) and self._items == other._items

    @property
    def size(self) -> int:
        """Number of variables that are set."""
        return len(self._items)

    def extends(self, other: Target) -> bool:
        """Whether this target sets all that `other` sets, to the same states.

        Parameters
        ----------
        other : Target
            The target that may be contained in this one. Every target extends itself and the
            empty target.

        Returns
        -------
        bool

        Examples
        --------
        >>> do(smoke="yes", lung="no").extends(do(smoke="yes"))
        True
        >>> do(smoke="yes").extends(do(smoke="no"))
        False
        """
        return other._items.items() <= self._items.items()

    def __str__(self) -> str:
        return f"do({', '.join(f'{_quote(n)}={_quote(s)}' for n, s in self._items.items())})"

    __repr__ = __str__


def do(mapping: Mapping[str, object] | None = None, /, **states: object) -> Target:
    """Make an intervention target.

    Parameters
    ----------
    mapping : mapping of str to str or int, optional
        Variables and the states that they are set to; for names that are not Python words.
    **states : str or int
        The same as keywords. With neither, the target is "no intervention".

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If a variable is given twice, or a state is neither text nor an integer.

    Examples
    --------
    >>> do(smoke="yes", lung="no")
    do(lung=no, smoke=yes)
    >>> do({"blood pressure": "high"}, age=2)
    do(age=2, "blood pressure"=high)
    >>> do()
    do()
    """
    given = Target({} if mapping is None else mapping)
    for name in states:
        if name in given:
            raise InputError(f"variable {name!r} is set twice in one target; set it once")
    return Target({**given, **states})


def parse_target(text: str) -> Target:
    r"""Read a target from its text, the inverse of ``str(target)``.

    Names and states that consist of letters, digits, ``_``, ``.``, ``+`` and ``-`` (ASCII) may
    stand bare; all others are JSON strings. Spaces around the parts do not matter.

    Parameters
    ----------
    text : str
        For example ``do(lung=no, smoke=yes)``; ``do()`` is "no intervention".

    Returns
    -------
    Target

    Raises
    ------
    InputError
        If the text is malformed; the error holds the column, counted from 1.

    Examples
    --------
    >>> parse_target('do(smoke=yes, "blood pressure"="a \\"high\\" one")')["blood pressure"]
    'a "high" one'
    >>> parse_target("do(smoke)")
    Traceback (most recent call last):
    ...
    dosift.errors.InputError: column 9: expected '=' and a state in the target 'do(smoke)'
    """
    if not isinstance(text, str):
        raise InputError(f"a target's text is expected, not {type(text).__name__}")
    opening = _OPENING.match(text)
    if opening is None:
        raise _malformed(text, 0, "expected 'do('")
    at = opening.end()
    items: dict[str, str] = {}
    while not text.startswith(")", at) or items:
        start = at
        name, at = _read_name(text, at, "the name of a variable")
        if name in items:
            raise _malformed(text, start, f"variable {name!r} is set twice")
        if not text.startswith("=", at):
            raise _malformed(text, at, "expected '=' and a state")
        items[name], at = _read_name(text, _skip(text, at + 1), "a state")
        if text.startswith(")", at):
            break
        if not text.startswith(",", at):
            raise _malformed(text, at, "expected ',' or ')'")
        at = _skip(text, at + 1)
    at = _skip(text, at + 1)
    if at < len(text):
        raise _malformed(text, at, "something follows the closing ')'")
    return Target(items)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _read_name(text: str, at: int, what: str) -> tuple[str, int]:
    """Read a bare word or JSON string at `at`; return it and where the next part begins."""
    if text.startswith('"', at):
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
            return _checked_text(value, what), _skip(text, end)
        except json.JSONDecodeError as error:
            raise _malformed(text, error.pos, f"{what} is a broken JSON string") from None
        except InputError:
            raise _malformed(text, at, f"{what} is not valid Unicode text") from None
    plain = _PLAIN.match(text, at)
    if plain is None:
        raise _malformed(text, at, f"expected {what} (in double quotes unless it is a plain word)")
    return plain.group(), _skip(text, plain.end())


def _malformed(text: str, at: int, problem: str) -> InputError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return InputError(f"{problem} in the target {shown!r}", column=at + 1)
