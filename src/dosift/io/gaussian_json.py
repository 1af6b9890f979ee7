r"""Linear-Gaussian networks in JSON, as pgmpy keeps those of the bnlearn repository.

The file holds ``nodes``, ``arcs`` (pairs of parent and child) and ``cpds``: for each node its
``coefficients`` (``(Intercept)`` and one for each parent, each in a list of its own), its
``variance`` given the parents, in a list, and its ``parents``. Read strictly, written so that what
is read back is equal to the last bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from dosift.errors import InputError, nearest
from dosift.io.assemble import repeated_position, shown
from dosift.model.gaussian_network import GaussianNetwork, gaussian_network
from dosift.utils.storage import decode, read_bytes, write_text

INTERCEPT = "(Intercept)"

#: Smallest and largest standard deviation whose square keeps all its digits.
_SMALLEST, _LARGEST = 1e-150, 1e150
_DIGITS = 17


def read_gaussian_json(path: str | Path) -> GaussianNetwork:
    """Read a linear-Gaussian network from a JSON file.

    Parameters
    ----------
    path : str or Path
        The file, plain or gzipped.

    Returns
    -------
    GaussianNetwork
        Variables in the order of ``nodes``, parents in that of each node.

    Raises
    ------
    InputError
        If the file cannot be read or is no such network; with file and line, or variable and key.
    """
    return parse_gaussian_json(read_bytes(path), path=path)


def parse_gaussian_json(data: bytes | str, *, path: str | Path | None = None) -> GaussianNetwork:
    """Read a linear-Gaussian network from the content of a JSON file.

    Parameters
    ----------
    data : bytes or str
        The content.
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    GaussianNetwork

    Raises
    ------
    InputError
        If the content is no JSON (with line and column), or no such network (with variable and
        key).

    Examples
    --------
    >>> parse_gaussian_json('''{"nodes": ["a", "b"], "arcs": [["a", "b"]], "cpds": {
    ...   "a": {"coefficients": {"(Intercept)": [1]}, "variance": [4], "parents": []},
    ...   "b": {"coefficients": {"(Intercept)": [0], "a": [2.5]}, "variance": [1],
    ...         "parents": ["a"]}}}''').sds
    (2.0, 1.0)
    """
    text = decode(data, path) if isinstance(data, bytes) else data
    return _Reader(path).network(_loaded(text, path))


def write_gaussian_json(network: GaussianNetwork, path: str | Path) -> None:
    """Write a linear-Gaussian network as JSON; what is read back is equal to the last bit.

    Parameters
    ----------
    network : GaussianNetwork
    path : str or Path
        The file, replaced if it exists; gzipped if the name ends in ``.gz``.

    Raises
    ------
    InputError
        If a variable is called ``(Intercept)``, a name is not valid Unicode, a standard deviation
        is so extreme that its square is out of range, or the file cannot be written.
    """
    write_text(format_gaussian_json(network, path=path), path)


def format_gaussian_json(network: GaussianNetwork, *, path: str | Path | None = None) -> str:
    """Return a linear-Gaussian network as JSON text.

    Parameters
    ----------
    network : GaussianNetwork
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    str

    Raises
    ------
    InputError
        As :func:`write_gaussian_json`.

    Examples
    --------
    >>> network = GaussianNetwork(("a",), ((),), (1.0,), ((),), (2.0,))
    >>> parse_gaussian_json(format_gaussian_json(network)) == network
    True
    """
    cpds = {}
    for i, name in enumerate(network.names):
        _check_written(name, network.sds[i], path)
        given = [network.names[p] for p in network.parents[i]]
        numbers = zip([INTERCEPT, *given], _numbers(network, i), strict=True)
        cpds[name] = {
            "coefficients": {key: [number] for key, number in numbers},
            "variance": [_variance(network.sds[i])],
            "parents": given,
        }
    content = {"nodes": network.names, "arcs": network.edges, "cpds": cpds}
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _numbers(network: GaussianNetwork, i: int) -> list[float]:
    return [network.intercepts[i], *network.coefficients[i]]


def _check_written(name: str, sd: float, path: str | Path | None) -> None:
    if name == INTERCEPT:
        raise InputError(
            f"a variable called {INTERCEPT!r} cannot be written in this format; rename it",
            path=path,
        )
    if not _is_unicode(name):
        raise InputError(f"the name {name!a} is not valid Unicode text", path=path)
    if not _SMALLEST < sd < _LARGEST:
        raise InputError(
            f"the variance of variable {name!r} is out of range (standard deviation {sd}); "
            "measure it in another unit",
            path=path,
        )


def _variance(sd: float) -> float:
    """Return the shortest decimal whose root is the standard deviation, to the last bit."""
    # The root of the rounded square is exact, so that the last of them always is one.
    for digits in range(1, _DIGITS + 1):
        variance = float(f"{sd * sd:.{digits}g}")
        if math.sqrt(variance) == sd:
            return variance
    raise AssertionError("the root of a square is the number")  # pragma: no cover


def _loaded(text: str, path: str | Path | None) -> Any:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(found)
        if len(keys) < len(found):
            twice = found[repeated_position([key for key, _ in found])][0]
            raise InputError(f"the key {shown(twice)} stands twice in one object", path=path)
        return keys

    def constant(name: str) -> NoReturn:
        raise InputError(f"{name} is no number of a network; give a finite one", path=path)

    try:
        # Whole numbers, too, become floats: Python refuses those of thousands of digits.
        return json.loads(text, object_pairs_hook=pairs, parse_constant=constant, parse_int=float)
    except json.JSONDecodeError as error:
        raise InputError(
            f"the file is not JSON ({error.msg})", path=path, line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise InputError("the file is nested too deeply for a network", path=path) from None


class _Reader:
    """Takes the parts of a file, and says where anything is wrong."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = path

    def fail(self, message: str) -> NoReturn:
        raise InputError(message, path=self.path)

    def network(self, content: Any) -> GaussianNetwork:
        parts = self.keys(content, ("nodes", "arcs", "cpds"), "the file")
        names = self.names(parts["nodes"], "nodes")
        known = set(names)
        cpds = parts["cpds"]
        if not isinstance(cpds, dict):
            self.fail(f"'cpds' holds {_kind(cpds)}; give an object with one key for each node")
        for name in cpds:
            if name not in known:
                self.fail(f"'cpds' describes {shown(name)}, which is not in 'nodes'")
        lines, intercepts, sds = {}, {}, {}
        for name in names:
            if name not in cpds:
                self.fail(f"variable {name!r} is missing in 'cpds'; describe it there")
            lines[name], intercepts[name], sds[name] = self.cpd(name, cpds[name], known)
        self.check_arcs(parts["arcs"], lines)
        try:
            return gaussian_network(names, lines, intercepts, sds)
        except InputError as error:
            self.fail(error.message)

    def keys(self, content: Any, expected: tuple[str, ...], where: str) -> dict[str, Any]:
        listed = ", ".join(map(repr, expected))
        if not isinstance(content, dict):
            self.fail(f"{where} holds {_kind(content)}; give an object with the keys {listed}")
        for key in expected:
            if key not in content:
                self.fail(f"{where} has no key {key!r}; a linear-Gaussian network has {listed}")
        for key in content:
            if key not in expected:
                meant = nearest(key, expected)
                hint = f"; is {meant!r} meant?" if meant else f"; allowed are {listed}"
                self.fail(f"{where} has the unknown key {shown(key)}{hint}")
        return content

    def names(self, content: Any, where: str) -> list[str]:
        if not isinstance(content, list):
            self.fail(f"{where!r} holds {_kind(content)}; give a list of names")
        for name in content:
            if not isinstance(name, str) or name in ("", INTERCEPT):
                self.fail(f"{where!r} holds {_kind(name)}; a name is a text, not {INTERCEPT!r}")
            if not _is_unicode(name):
                self.fail(f"{where!r} holds {name!a}, which is not valid Unicode text")
        if len(set(content)) < len(content):
            self.fail(f"{where!r} lists {shown(content[repeated_position(content)])} twice")
        return content

    def cpd(
        self, name: str, content: Any, known: set[str]
    ) -> tuple[dict[str, float], float, float]:
        where = f"variable {name!r} in 'cpds'"
        parts = self.keys(content, ("coefficients", "variance", "parents"), where)
        given = parts["parents"]
        parents = [] if given is None else self.names(given, f"parents of {name}")
        for parent in parents:
            if parent not in known:
                self.fail(f"{where} has the parent {shown(parent)}, which is not in 'nodes'")
        numbers = self.keys(
            parts["coefficients"], (INTERCEPT, *parents), f"'coefficients' of variable {name!r}"
        )
        line = {
            parent: self.number(numbers[parent], name, f"coefficient of {parent!r}")
            for parent in parents
        }
        intercept = self.number(numbers[INTERCEPT], name, "intercept")
        variance = self.number(parts["variance"], name, "variance")
        if variance <= 0:
            self.fail(
                f"variable {name!r} has the variance {variance}; it must be above 0. Leave out a "
                "variable that follows exactly from others"
            )
        return line, intercept, math.sqrt(variance)

    def number(self, content: Any, name: str, what: str) -> float:
        value = content[0] if isinstance(content, list) and len(content) == 1 else content
        if not isinstance(value, float):
            self.fail(f"the {what} of variable {name!r} is {_kind(value)}; give one number")
        if not math.isfinite(value):
            self.fail(f"the {what} of variable {name!r} is out of range")
        return value

    def check_arcs(self, content: Any, lines: Mapping[str, Mapping[str, float]]) -> None:
        expected = {(parent, name) for name, line in lines.items() for parent in line}
        seen = set()
        for arc in self.arcs(content):
            if arc not in expected:
                self.fail(
                    f"'arcs' has {arc[0]!r} -> {arc[1]!r}, but {arc[1]!r} has no such parent in "
                    "'cpds'; correct one of the two"
                )
            seen.add(arc)
        for parent, name in sorted(expected - seen):
            self.fail(
                f"variable {name!r} has the parent {parent!r} in 'cpds', but 'arcs' has no such "
                "arc; correct one of the two"
            )

    def arcs(self, content: Any) -> Iterator[tuple[str, str]]:
        if not isinstance(content, list):
            self.fail(f"'arcs' holds {_kind(content)}; give a list of pairs of names")
        for arc in content:
            pair = isinstance(arc, list) and len(arc) == 2
            if not pair or not all(isinstance(end, str) for end in arc):
                self.fail(f"'arcs' holds {_kind(arc)}; an arc is a list of parent and child")
            yield arc[0], arc[1]


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _kind(content: Any) -> str:
    """Say what stands where something else was expected."""
    if isinstance(content, str):
        return f"the text {shown(content)}"
    if isinstance(content, bool) or content is None:
        return json.dumps(content)
    if isinstance(content, float):
        return f"the number {content:.9g}"
    if isinstance(content, list):
        return f"a list of {len(content)} entries"
    return "an object"
