"""Networks of any mechanisms in files of dosift's own: JSON that is read back to the last bit.

A mechanism, change, feature or scale is a frozen dataclass of this package; it is written as its
type and fields. Reading makes nothing but such dataclasses.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.utils.storage import read_limited

#: What the file says it is.
TITLE: Final = "dosift mechanism network, version 1"
#: Modules whose dataclasses a file may hold.
_MODULES = re.compile(r"dosift\.(model\.[a-z_]+|data\.expressions)")
#: Largest file that is read, in bytes, and how deep it may be nested.
_MOST_BYTES, _DEEPEST = 256 * 2**20, 40


def format_mechanism_network(network: MechanismNetwork) -> str:
    """Write a network as text.

    Parameters
    ----------
    network : MechanismNetwork
        Its control rows are left out.

    Returns
    -------
    str
        JSON.

    Examples
    --------
    >>> from dosift.model.linear import LinearMechanism
    >>> from dosift.model.mechanism import Changes
    >>> network = MechanismNetwork((LinearMechanism.untaught(0, (), ()),), (Changes(()),))
    >>> parse_mechanism_network(format_mechanism_network(network)).names
    ('x0',)
    """
    content = {
        part: _plain(getattr(network, part))
        for part in ("variables", "scales", "mechanisms", "libraries")
    }
    return json.dumps({"title": TITLE, **content}, ensure_ascii=False, allow_nan=False, indent=1)


def parse_mechanism_network(text: str, path: str | Path | None = None) -> MechanismNetwork:
    """Read a network from its text.

    Parameters
    ----------
    text : str
    path : str or Path, optional
        To be named in errors.

    Returns
    -------
    MechanismNetwork

    Raises
    ------
    InputError
        If it was not written by :func:`format_mechanism_network`.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", path=path) from None
    if not isinstance(content, dict) or content.get("title") != TITLE:
        raise InputError(f"is no {TITLE}", path=path)
    parts = {}
    for part in ("variables", "scales", "mechanisms", "libraries"):
        try:
            parts[part] = _made(content[part], 0)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{part} cannot be read: {error}", path=path) from None
        if not isinstance(parts[part], tuple):
            raise InputError(f"{part} is no list", path=path)
    return MechanismNetwork(**parts)


def read_mechanism_network(path: str | Path) -> MechanismNetwork:
    """Read a network from a file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MechanismNetwork

    Raises
    ------
    InputError
        If the file cannot be read, or was not written by :func:`format_mechanism_network`.
    """
    try:
        with open(path, "rb") as file:
            raw = read_limited(file, _MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise InputError(f"is larger than {_MOST_BYTES // 2**20} MiB", path=path)
        text = raw.decode("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    return parse_mechanism_network(text, path)


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        own = {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.init}
        return {"type": name.removeprefix("dosift."), **own}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return {"array": _plain(value.tolist()), "of": str(value.dtype)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": repr(value)}
    if isinstance(value, frozenset):
        return {"set": [_plain(one) for one in sorted(value)]}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be written")


def _made(value: Any, depth: int) -> Any:
    """Return what :func:`_plain` was given."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, list):
        return tuple(_made(one, depth + 1) for one in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        kind = np.dtype(str(value["of"]))
        if kind.kind not in "iufb":
            raise ValueError(f"an array of {kind} is none of numbers")
        return np.array(_made(value["array"], depth + 1), dtype=kind)
    if "set" in value:
        return frozenset(_made(value["set"], depth + 1))
    if "number" in value:
        return float(value["number"])
    own = {key: _made(one, depth + 1) for key, one in value.items() if key != "type"}
    return _class(str(value["type"]))(**own)


def _class(name: str) -> type:
    """Find a dataclass of this package."""
    module, _, kind = f"dosift.{name}".rpartition(".")
    found = None
    if _MODULES.fullmatch(module):
        try:
            found = getattr(importlib.import_module(module), kind, None)
        except ImportError:
            found = None
    if not isinstance(found, type) or not is_dataclass(found) or found.__module__ != module:
        raise ValueError(f"there is no type {name!r}")
    return found
