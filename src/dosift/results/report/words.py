"""Values as text: numbers that may be unknown, and names that may hold anything."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from html import escape
from math import isfinite
from typing import Any

#: What stands where a number is unknown.
DASH = "–"
#: Between a number and its unit; the line does not break there.
SPACE = "\N{NO-BREAK SPACE}"

#: Unicode categories that are shown as escapes: control, format (among them those that turn the
#: direction of writing), surrogates, private use, unassigned, line and paragraph separators.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: object) -> str:
    r"""Show characters that a reader cannot see, or that change what is around them, as escapes.

    Examples
    --------
    >>> visible("a\x00b\u202ec")
    'a\\x00b\\u202ec'
    """
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _INVISIBLE else c
        for c in str(text)
    )


def shown(text: object) -> str:
    """Return a text for HTML, between tags and in attributes alike.

    Examples
    --------
    >>> shown('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return escape(visible(text), quote=True)


def clipped(text: object, width: int) -> str:
    """Cut a text in the middle to some width; wide characters count twice. Not yet escaped.

    Examples
    --------
    >>> clipped("a_rather_long_name_1", 12)
    'a_rath…ame_1'
    """
    characters = list(visible(text))
    if _width(characters) <= width:
        return "".join(characters)
    head: list[str] = []
    tail: list[str] = []
    while _width(head) + _width(tail) < width - 1:
        side, c = (tail, characters.pop()) if len(head) > len(tail) else (head, characters.pop(0))
        side.append(c)
    return "".join(head) + "…" + "".join(reversed(tail))


def _width(characters: list[str]) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in characters)


def known(value: object) -> float | None:
    """Return a number, or None if it is missing, not a number, or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def number(value: object, form: str = ",.0f") -> str:
    """Return a number in a format, or a dash."""
    at = known(value)
    return DASH if at is None else f"{at:{form}}"


def percent(value: object, unit: bool = True) -> str:
    r"""Return a share in percent.

    Examples
    --------
    >>> percent(0.1234), percent(0.0001), percent(None)
    ('12.3\xa0%', '<0.1\xa0%', '–')
    """
    at = known(value)
    if at is None:
        return DASH
    tiny = 0 < at < 0.0005
    return ("<0.1" if tiny else f"{100 * at:.1f}") + (f"{SPACE}%" if unit else "")


def interval(line: Mapping[str, Any], low: str = "ci_low", high: str = "ci_high") -> str:
    """Return an interval in percent, or nothing if it is unknown.

    Examples
    --------
    >>> interval({"ci_low": 0.1, "ci_high": 0.25})
    '[10.0, 25.0]'
    """
    if known(line.get(low)) is None or known(line.get(high)) is None:
        return ""
    return f"[{percent(line[low], unit=False)}, {percent(line[high], unit=False)}]"


def share(line: Mapping[str, Any], key: str = "weight") -> str:
    """Return a share with its interval, in percent."""
    return f"{percent(line.get(key))} {interval(line)}".strip()


def counted(n: float, one: str, many: str) -> str:
    r"""Return a number with its noun.

    Examples
    --------
    >>> counted(1, "row", "rows"), counted(1200, "row", "rows")
    ('1\xa0row', '1,200\xa0rows')
    """
    return f"{n:,.0f}{SPACE}{one if n == 1 else many}"


def plain(value: object) -> str:
    """Return any setting as text; a dash for what is unknown."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
