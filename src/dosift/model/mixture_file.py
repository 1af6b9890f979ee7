"""Strict reading and atomic writing of mixture files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dosift.errors import InputError
from dosift.model.altered import NUMBERS, Altered
from dosift.model.other import OTHER_TEXT
from dosift.model.target import Entry, Target
from dosift.utils.atomic_write import write_bytes
from dosift.utils.storage import read_limited

#: Largest mixture file that is read, in bytes; room for some hundred thousand components.
MAX_FILE_BYTES = 64 * 1024 * 1024

#: Integers with more digits than this are no weights or states; Python is slow to read them.
_MAX_DIGITS = 30


class _Object(dict[str, Any]):
    """A JSON object that remembers a key that occurred twice."""

    repeated: str | None = None


def _collect(pairs: list[tuple[str, Any]]) -> _Object:
    collected = _Object(pairs)
    if len(collected) < len(pairs):
        keys = [key for key, _ in pairs]
        collected.repeated = next(key for key in keys if keys.count(key) > 1)
    return collected


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def read_json(path: str | Path) -> Any:
    """Read a JSON file whose objects remember repeated keys.

    Parameters
    ----------
    path : str or Path
        The file, in UTF-8.

    Returns
    -------
    object
        The content.

    Raises
    ------
    InputError
        If the file cannot be read, is larger than ``MAX_FILE_BYTES``, or is not JSON (with line
        and column).
    """
    try:
        with open(path, "rb") as file:
            raw = read_limited(file, MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        raise InputError(f"cannot be read: {_reason(error)}", path=path) from None
    if len(raw) > MAX_FILE_BYTES:
        raise InputError(
            f"is larger than {MAX_FILE_BYTES // 2**20} MiB, the limit for mixtures", path=path
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text, as JSON must be", path=path, line=line) from None
    try:
        return json.loads(text, object_pairs_hook=_collect, parse_int=_parse_int)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON: {error.msg}", path=path, line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise InputError("is nested too deeply to be a mixture", path=path) from None


def mixture_pairs(content: object) -> Iterator[tuple[Target, Any]]:
    """Yield the targets and (unchecked) weights of a mixture file's content.

    Parameters
    ----------
    content : object
        What was read; anything at all.

    Yields
    ------
    tuple of (Target, object)
        A target and its weight.

    Raises
    ------
    InputError
        If the structure is wrong.
    """
    top = _checked_object(content, "the content", ("components",))
    components = top["components"]
    if not isinstance(components, list):
        raise InputError(f"'components' is {_kind(components)}; it must be a list")
    for i, component in enumerate(components):
        where = f"components[{i}]"
        parts = _checked_object(component, where, ("do", "weight"), (*NUMBERS, OTHER_TEXT))
        target = _target(parts, where)
        weight = parts["weight"]
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise InputError(f"{where}.weight is {_kind(weight)}; it must be a number")
        if not 0 <= weight <= 2:  # refuses NaN and endless integers as well
            shown = weight if isinstance(weight, float) else "out of range"
            raise InputError(f"{where}.weight is {shown}; weights lie between 0 and 1")
        yield target, weight


def _elsewhere(parts: Mapping[str, Any], where: str) -> Target:
    """Read what rows from elsewhere look like."""
    if parts["do"] or any(parts.get(kind) for kind in NUMBERS):
        raise InputError(f"{where}: rows from elsewhere ('other') have no intervention")
    content, place = parts[OTHER_TEXT], f"{where}.other"
    if not isinstance(content, list):
        return Target.other(_looks(content, place))
    found = []
    for k, one in enumerate(content):
        own = _checked_object(one, f"{place}[{k}]", ("share", "of"))
        share = _number(own["share"], f"{place}[{k}].share")
        found.append((share, _looks(own["of"], f"{place}[{k}].of")))
    return Target.other(parts=found)


def _looks(content: object, where: str) -> dict[str, dict[str, float]]:
    """Read what each variable looks like in rows from elsewhere."""
    found = {}
    for name, one in _checked_object(content, where, None).items():
        own = _checked_object(one, f"{where}.{name}", None)
        found[name] = {key: _number(own[key], f"{where}.{name}.{key}") for key in own}
    return found


def _number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{where} is {_kind(value)}; it must be a number")
    return float(value)


def _target(parts: Mapping[str, Any], where: str) -> Target:
    """Read what a component does to its variables."""
    dos = _checked_object(parts["do"], f"{where}.do", None)
    if OTHER_TEXT in parts:
        return _elsewhere(parts, where)
    try:
        entries: dict[str, Entry] = dict(Target(dos))
    except InputError as error:
        raise InputError(f"{where}.do: {error.message}") from None
    for kind in NUMBERS:
        group = _checked_object(parts.get(kind, {}), f"{where}.{kind}", None)
        for name, content in group.items():
            place = f"{where}.{kind}.{name}"
            if name in entries:
                raise InputError(f"{place}: the component does something else to {name!r}, too")
            try:
                change = Altered.of(kind, _checked_object(content, place, None))
                entries |= Target({name: change})
            except InputError as error:
                own = error.message
                raise InputError(own if own.startswith(place) else f"{place}: {own}") from None
    return Target(entries)


def _checked_object(
    value: object, where: str, keys: tuple[str, ...] | None, optional: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    """Return an object that has exactly the keys asked for (any keys if None)."""
    if not isinstance(value, Mapping):
        raise InputError(f"{where} is {_kind(value)}; it must be an object")
    repeated = getattr(value, "repeated", None)
    if repeated is not None:
        raise InputError(f"{where} has the key {repeated!r} twice; keep one")
    for key in keys or ():
        if key not in value:
            raise InputError(f"{where} has no key {key!r}")
    for key in value:
        if keys is not None and key not in (*keys, *optional):
            wanted = " and ".join(repr(k) for k in (*keys, *optional))
            raise InputError(f"{where} has an unknown key {key!r}; it may hold {wanted} only")
    return value


def _kind(value: object) -> str:
    """Name the JSON type of a value, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, Mapping) else f"of type {type(value).__name__}"


def write_text(path: str | Path, text: str) -> None:
    """Write a text file so that it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
        The file; one that exists is replaced.
    text : str
        Its new content, written as UTF-8.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    write_bytes(path, text.encode("utf-8"))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
