"""Functions of columns that users write, such as ``cos(angle_1 - angle_2)**2``, read safely.

Nothing is handed to Python: a text becomes a list of steps for a small machine with a stack, which
knows numbers, columns, ``+ - * / **`` and a few functions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.messages import listed
from dosift.errors import InputError, nearest

Floats = NDArray[np.float64]

#: Functions by name.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "cos": np.cos,
    "exp": np.exp,
    "log": np.log,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "tan": np.tan,
}
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.power,
}
#: Characters of an expression, and how deep its parentheses may go.
_LONGEST, _DEEPEST = 1000, 40
#: Names that a message lists.
_LISTED = 12
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*(?:\.\w+)*)"
    r"|[`\"](?P<quoted>[^`\"]+)[`\"]"
    r"|(?P<sign>\*\*|[-+*/()]))"
)


@dataclass(frozen=True)
class Expression:
    """A function of columns.

    Attributes
    ----------
    text : str
        As the user wrote it.
    names : tuple of str
        The columns that it takes, in the order of its arguments.
    steps : tuple of (str, object)
        What to do: ``("number", 2.0)``, ``("column", 0)``, ``("call", "cos")``, ``("join", "+")``.

    Examples
    --------
    >>> expression = parse_expression("cos(angle)**2 * 3", ["angle", "size"])
    >>> expression.names, expression(np.array([0.0, np.pi / 2])).round(3).tolist()
    (('angle',), [3.0, 0.0])
    """

    text: str
    names: tuple[str, ...]
    steps: tuple[tuple[str, Any], ...]

    def __post_init__(self) -> None:
        """Refuse steps that cannot be taken, as a stranger's file may hold them."""
        height = 0
        for what, value in self.steps:
            known = {
                "number": isinstance(value, float),
                "column": isinstance(value, int) and 0 <= value < len(self.names),
                "call": value in FUNCTIONS and height >= 1,
                "join": value in _OPERATORS and height >= 2,
            }
            if not known.get(what):
                raise ValueError(f"the step {what} {value!r} of an expression cannot be taken")
            height += {"call": 0, "join": -1}.get(what, 1)
        if height != 1:
            raise ValueError(f"the steps of an expression leave {height} values, not one")

    def __call__(self, *columns: Floats) -> Floats:
        """Evaluate the expression.

        Parameters
        ----------
        *columns : ndarray, shape (n_rows,)
            One for each of `names`.

        Returns
        -------
        ndarray, shape (n_rows,)
            NaN or infinite where it has no value.
        """
        stack: list[Any] = []
        with np.errstate(all="ignore"):
            for what, value in self.steps:
                if what == "number":
                    stack.append(value)
                elif what == "column":
                    stack.append(np.asarray(columns[value], dtype=np.float64))
                elif what == "call":
                    stack.append(FUNCTIONS[value](stack.pop()))
                else:
                    right = stack.pop()
                    stack.append(_OPERATORS[value](stack.pop(), right))
        return np.asarray(stack.pop(), dtype=np.float64)


def parse_expression(text: str, names: Sequence[str]) -> Expression:
    """Read a function of columns.

    Parameters
    ----------
    text : str
        Names of columns, numbers, ``pi`` where no column has that name, ``+ - * / **``,
        parentheses, and the functions abs, cos, exp, log, sin, sqrt, tan. Names that are no words
        stand in backquotes or double quotes.
    names : sequence of str
        The columns that there are.

    Returns
    -------
    Expression

    Raises
    ------
    InputError
        If it is malformed, with the position of what is wrong, or names no column.

    Examples
    --------
    >>> parse_expression("`gene-2` / 10", ["gene-2"]).names
    ('gene-2',)
    """
    if not isinstance(text, str):
        raise InputError(f"a feature is {text!r}; give a text such as 'cos(angle)**2'")
    if len(text) > _LONGEST:
        raise InputError(f"a feature has {len(text)} characters; {_LONGEST} are the most")
    parser = _Parser(text, names)
    expression = parser.parsed()
    if not expression.names:
        raise InputError(f"the feature {text!r} names no column, and is the same for all rows")
    return expression


def split_feature(text: str, names: Sequence[str]) -> tuple[str, str]:
    """Part ``child: expression`` at the colon that follows a variable's name.

    Parameters
    ----------
    text : str
    names : sequence of str
        The variables.

    Returns
    -------
    child, expression : str

    Raises
    ------
    InputError
        If it does not begin with a variable and a colon.

    Examples
    --------
    >>> split_feature("ir: cos(angle)**2", ["ir", "angle"])
    ('ir', 'cos(angle)**2')
    """
    if not isinstance(text, str):
        raise InputError(f"a feature is {text!r}; give a text such as 'child: cos(angle)**2'")
    known = set(names)
    # The last colon that will do, as names may hold one.
    for at in (k for k in range(len(text) - 1, 0, -1) if text[k] == ":"):
        child = text[:at].strip()
        for name in (child, child.strip('`"')):
            if name in known:
                return name, text[at + 1 :].strip()
    head, colon, _ = text.partition(":")
    if not colon:
        raise InputError(
            f"the feature {text!r} does not say whose mean it is for; write 'child: expression'"
        )
    raise _unknown(
        f"the feature {text!r} is for {head.strip()!r}, which is no variable", head, names
    )


def read_features(
    features: Mapping[str, Any] | Sequence[str] | None, names: Sequence[str]
) -> dict[str, list[Expression]]:
    """Read the features that a user names.

    Parameters
    ----------
    features : mapping of str to str or sequence of str, or sequence of str, or None
        Expressions by the variable whose mean they are for; or texts ``child: expression``.
    names : sequence of str
        The variables.

    Returns
    -------
    dict of str to list of Expression

    Raises
    ------
    InputError
        If one is malformed, or for no variable.

    Examples
    --------
    >>> found = read_features({"ir": "cos(angle)**2"}, ["ir", "angle"])
    >>> found == read_features(["ir: cos(angle)**2"], ["ir", "angle"])
    True
    """
    pairs: list[tuple[str, str]] = []
    if isinstance(features, Mapping):
        for child, texts in features.items():
            if str(child) not in set(names):
                what = f"features are given for {child!r}, which is no variable"
                raise _unknown(what, str(child), names)
            several = [texts] if isinstance(texts, str) else texts
            if not isinstance(several, Sequence):
                raise InputError(f"the features of {child!r} are {texts!r}; give texts")
            pairs.extend((str(child), text) for text in several)
    elif features is not None:
        if isinstance(features, str) or not isinstance(features, Sequence):
            raise InputError(
                f"features is {features!r}; give a mapping of children to texts, such as "
                "{'ir': ['cos(angle)**2']}"
            )
        pairs = [split_feature(text, names) for text in features]
    out: dict[str, list[Expression]] = {}
    for child, text in pairs:
        out.setdefault(child, []).append(parse_expression(text, names))
    return out


def _unknown(what: str, name: str, names: Sequence[str]) -> InputError:
    near = nearest(name.strip(), names)
    hint = f"did you mean {near!r}?" if near else f"they are {listed(list(names), _LISTED)}"
    return InputError(f"{what}; {hint}")


class _Parser:
    """Reads one expression from left to right: sums of products of powers."""

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self._text = text
        self._known = set(names)
        self._names = list(names)
        self._used: dict[str, int] = {}
        self._steps: list[tuple[str, Any]] = []
        self._at = 0
        self._depth = 0

    def parsed(self) -> Expression:
        """Read all of it."""
        self._sum()
        if self._next() is not None:
            raise self._wrong("an operator is missing before this")
        return Expression(self._text.strip(), tuple(self._used), tuple(self._steps))

    def _next(self) -> re.Match[str] | None:
        """Look at what comes next; None at the end."""
        if not self._text[self._at :].strip():
            return None
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            self._skip()
            raise self._wrong(_ADVICE.get(self._text[self._at], "this is not known here"))
        return match

    def _skip(self) -> None:
        rest = self._text[self._at :]
        self._at += len(rest) - len(rest.lstrip())

    def _sign(self, *signs: str) -> str | None:
        """Take a sign if it comes next."""
        match = self._next()
        if match is None or match["sign"] not in signs:
            return None
        self._at = match.end()
        return match["sign"]

    def _sum(self) -> None:
        self._product()
        while sign := self._sign("+", "-"):
            self._product()
            self._steps.append(("join", sign))

    def _product(self) -> None:
        self._signed()
        while sign := self._sign("*", "/"):
            self._signed()
            self._steps.append(("join", sign))

    def _signed(self) -> None:
        sign = self._sign("+", "-")
        if sign is None:
            self._power()
            return
        self._deeper(self._signed)
        if sign == "-":
            self._steps += [("number", -1.0), ("join", "*")]

    def _power(self) -> None:
        self._atom()
        if self._sign("**"):
            self._deeper(self._signed)
            self._steps.append(("join", "**"))

    def _atom(self) -> None:
        match = self._next()
        if match is None:
            raise self._wrong("something is missing at the end")
        start = self._at
        self._at = match.end()
        if match["number"] is not None:
            self._steps.append(("number", float(match["number"])))
        elif match["sign"] == "(":
            self._inside(start)
        elif match["sign"] is not None:
            self._at = start
            raise self._wrong("a number, a column or a parenthesis is missing before this")
        else:
            self._named(match, start)

    def _named(self, match: re.Match[str], start: int) -> None:
        name = match["name"] or match["quoted"]
        if match["name"] in FUNCTIONS and self._sign("("):
            self._inside(start)
            self._steps.append(("call", name))
        elif name in self._known:
            self._steps.append(("column", self._used.setdefault(name, len(self._used))))
        elif match["name"] == "pi":
            self._steps.append(("number", math.pi))
        else:
            self._at = start
            near = nearest(name, self._names)
            called = self._text[match.end() :].lstrip().startswith("(")
            if called:
                raise self._wrong(f"the functions are {', '.join(FUNCTIONS)}")
            hint = f"did you mean {near!r}?" if near else listed(self._names, _LISTED)
            raise self._wrong(f"{name!r} is no variable: {hint}")

    def _inside(self, start: int) -> None:
        self._deeper(self._sum)
        if not self._sign(")"):
            if self._next() is not None:
                raise self._wrong("an operator or a closing parenthesis is missing before this")
            self._at = start
            raise self._wrong("the parenthesis that opens here is not closed")

    def _deeper(self, read: Callable[[], None]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} levels of signs and parentheses")
        read()
        self._depth -= 1

    def _wrong(self, why: str) -> InputError:
        self._skip()
        return InputError(
            f"the feature {self._text!r} is malformed at character {self._at + 1}: {why}"
        )


#: What to say about signs of other languages.
_ADVICE = {
    "^": "write ** for a power",
    "`": "the quote that opens here is not closed",
    '"': "the quote that opens here is not closed",
    "[": "write ( ) for parentheses",
    "{": "write ( ) for parentheses",
    "%": "there are + - * / and **",
    ",": "functions take one value; write a point before decimals",
}
