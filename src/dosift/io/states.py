"""Files that list the states of variables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from dosift.errors import InputError
from dosift.utils.storage import decode, read_bytes

#: Largest file that is read, in bytes.
_MAX_BYTES = 32 * 1024 * 1024
_HEADER = ["variable", "state"]


def read_states(path: str | Path) -> dict[str, tuple[str, ...]]:
    r"""Read the states of variables, in their order.

    Parameters
    ----------
    path : str or Path
        A CSV file with the header ``variable,state`` and a line for each state, or a JSON file
        with one object, such as ``{"smoke": ["no", "yes"]}``.

    Returns
    -------
    dict of str to tuple of str
        Variables that the file does not name are left open.

    Raises
    ------
    InputError
        If the file cannot be read, is neither, or names no state or one twice; with the line.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "states.csv"
    >>> _ = file.write_text("variable,state\nsmoke,no\nsmoke,yes\n")
    >>> read_states(file)
    {'smoke': ('no', 'yes')}
    """
    text = decode(read_bytes(path, _MAX_BYTES), path)
    is_json = text.lstrip().startswith(("{", "["))
    states = _from_json(text, path) if is_json else _from_csv(text, path)
    if not states:
        raise InputError(
            "names no state; give a line variable,state for each, or a JSON object of lists",
            path=path,
        )
    return states


def _from_csv(text: str, path: str | Path) -> dict[str, tuple[str, ...]]:
    records = csv.reader(io.StringIO(text), strict=True)
    found: dict[str, dict[str, None]] = {}
    has_header = False
    while True:
        line = records.line_num + 1
        try:
            fields = next(records, None)
        except csv.Error as error:
            message = f"is not a well-formed table: {error}; check the quotes"
            raise InputError(message, path=path, line=line) from None
        if fields is None:
            break
        if not fields:
            continue
        if not has_header:
            if [field.strip() for field in fields] != _HEADER:
                message = f"the header is {','.join(fields)[:60]!r}; it should be variable,state"
                raise InputError(message, path=path, line=line)
            has_header = True
            continue
        if len(fields) != len(_HEADER) or not all(fields):
            message = f"{','.join(fields)[:60]!r} is not a variable and one of its states"
            raise InputError(message, path=path, line=line)
        name, state = fields
        if state in found.setdefault(name, {}):
            message = f"the state {state!r} of {name!r} stands there twice"
            raise InputError(message, path=path, line=line)
        found[name][state] = None
    return {name: tuple(states) for name, states in found.items()}


def _from_json(text: str, path: str | Path) -> dict[str, tuple[str, ...]]:
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg}"
        raise InputError(message, path=path, line=error.lineno, column=error.colno) from None
    except (_RepeatedError, RecursionError, ValueError) as error:
        raise InputError(f"is not usable JSON: {error}", path=path) from None
    if not isinstance(content, dict):
        raise InputError('is no JSON object such as {"smoke": ["no", "yes"]}', path=path)
    return {name: _listed(name, states, path) for name, states in content.items()}


def _listed(name: str, states: Any, path: str | Path) -> tuple[str, ...]:
    scalars = isinstance(states, list) and all(isinstance(s, str | int | float) for s in states)
    if not scalars or not states:
        raise InputError(f"the states of {name!r} are no list of texts or numbers", path=path)
    names = tuple(str(state) for state in states)
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"a state of {name!r} is empty or stands there twice", path=path)
    return names


class _RepeatedError(Exception):
    """A JSON object has a key twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedError(f"{repeated!r} stands there twice")
    return content
