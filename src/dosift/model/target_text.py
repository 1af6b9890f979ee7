"""Read the text of a target."""

from __future__ import annotations

import json
import re

from dosift.errors import InputError
from dosift.model.altered import PLAIN, SCALES, Altered
from dosift.model.other import OTHER_TEXT
from dosift.model.target import PLAIN_STATE, Entry, Target, checked_text

_SPACE = re.compile(r"\s*")
_OPENING = re.compile(r"\s*(do|set|shift|gain|fold|free)\s*\(\s*")
_SCALE = re.compile(rf"({'|'.join(SCALES)})\s*\(\s*")
_NUMBER = re.compile(r"[+-]?\s*(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NOISE = re.compile(r"noise\s*\*\s*")
_PLUS_MINUS = ("±", "+-")


def parse_target(text: str) -> Target:
    r"""Read a target from its text, the inverse of ``str(target)``.

    Names and states that consist of letters, digits, ``_``, ``.``, ``+`` and ``-`` (ASCII) may
    stand bare; all others are JSON strings, as are, in changes, names with signs. Spaces around the
    parts do not matter. The numbers of a change are what the text holds: it is rounded for reading.

    Parameters
    ----------
    text : str
        For example ``do(lung=no, smoke=yes)`` or ``do(gene=off), set(ir_1~812±35),
        shift(latency+1.2), gain(ir_2*0.5), fold(RIPK2*0.17)``; ``do()`` is "no intervention", and
        ``other`` stands for rows from elsewhere.

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
    >>> parse_target("shift(logit(rate)+0.8)")["rate"]
    Altered(kind='shift', numbers=(0.8,), on='logit', noise=1.0)
    >>> parse_target("do(smoke)")
    Traceback (most recent call last):
    ...
    dosift.errors.InputError: column 9: expected '=' and a state in the target 'do(smoke)'
    """
    if not isinstance(text, str):
        raise InputError(f"a target's text is expected, not {type(text).__name__}")
    if text.strip() == OTHER_TEXT:
        return Target.other()
    items: dict[str, Entry] = {}
    at = 0
    while True:
        opening = _OPENING.match(text, at)
        if opening is None:
            raise _malformed(text, _skip(text, at) if at else 0, "expected 'do('")
        at = _read_group(text, opening.end(), opening.group(1), items)
        at = _skip(text, at)
        if at == len(text):
            return Target(items)
        if not text.startswith(",", at):
            raise _malformed(text, at, "something follows the closing ')'")
        at = _skip(text, at + 1)


def _read_group(text: str, at: int, kind: str, items: dict[str, Entry]) -> int:
    """Read what stands between parentheses; return where the text goes on behind them."""
    is_first = True
    while not (is_first and text.startswith(")", at)):
        is_first = False
        start = at
        name, entry, at = _read_do(text, at) if kind == "do" else _read_change(text, at, kind)
        if name in items:
            raise _malformed(text, start, f"variable {name!r} is set twice")
        items[name] = entry
        if text.startswith(")", at):
            break
        if not text.startswith(",", at):
            raise _malformed(text, at, "expected ',' or ')'")
        at = _skip(text, at + 1)
    return at + 1


def _read_do(text: str, at: int) -> tuple[str, Entry, int]:
    name, at = _read_name(text, at, "the name of a variable", PLAIN_STATE)
    if not text.startswith("=", at):
        raise _malformed(text, at, "expected '=' and a state")
    state, at = _read_name(text, _skip(text, at + 1), "a state", PLAIN_STATE)
    return name, state, at


def _read_change(text: str, at: int, kind: str) -> tuple[str, Entry, int]:
    start, on = at, ""
    scale = _SCALE.match(text, at)
    if scale is not None:
        on, at = scale.group(1), scale.end()
    name, at = _read_name(text, at, "the name of a variable", PLAIN)
    if on:
        at = _after(text, at, (")",))
    numbers, at = _read_numbers(text, at, kind)
    noise = 1.0
    more = _NOISE.match(text, at)
    if more is not None:
        noise, at = _read_number(text, more.end())
    try:
        return name, Altered(kind, numbers, on, noise), at
    except InputError as error:
        raise _malformed(text, start, error.message) from None


def _read_numbers(text: str, at: int, kind: str) -> tuple[tuple[float, ...], int]:
    if kind == "set":
        mean, at = _read_number(text, _after(text, at, ("~",)))
        sd, at = _read_number(text, _after(text, at, _PLUS_MINUS))
        return (mean, sd), at
    if kind == "shift":
        if not text.startswith(("+", "-"), at):
            raise _malformed(text, at, "expected '+' or '-' and a number")
        by, at = _read_number(text, at)
        return (by,), at
    if kind == "free":
        if not text.startswith("#", at):
            return (), at
        number, at = _read_number(text, at + 1)
        return (number,), at
    factor, at = _read_number(text, _after(text, at, ("*",)))
    if kind == "gain" and text.startswith(("+", "-"), at):
        offset, at = _read_number(text, at)
        return (factor, offset), at
    return (factor,), at


def _after(text: str, at: int, signs: tuple[str, ...]) -> int:
    for sign in signs:
        if text.startswith(sign, at):
            return _skip(text, at + len(sign))
    raise _malformed(text, at, f"expected {signs[0]!r}")


def _read_number(text: str, at: int) -> tuple[float, int]:
    found = _NUMBER.match(text, at)
    if found is None:
        raise _malformed(text, at, "expected a number")
    return float(re.sub(r"\s", "", found.group())), _skip(text, found.end())


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _read_name(text: str, at: int, what: str, plain: re.Pattern[str]) -> tuple[str, int]:
    """Read a bare word or JSON string at `at`; return it and where the next part begins."""
    if text.startswith('"', at):
        try:
            value, end = json.JSONDecoder().raw_decode(text, at)
            return checked_text(value, what), _skip(text, end)
        except json.JSONDecodeError as error:
            raise _malformed(text, error.pos, f"{what} is a broken JSON string") from None
        except InputError:
            raise _malformed(text, at, f"{what} is not valid Unicode text") from None
    word = plain.match(text, at)
    if word is None:
        raise _malformed(text, at, f"expected {what} (in double quotes unless it is a plain word)")
    return word.group(), _skip(text, word.end())


def _malformed(text: str, at: int, problem: str) -> InputError:
    shown = text if len(text) <= 80 else text[:77] + "..."
    return InputError(f"{problem} in the target {shown!r}", column=at + 1)
