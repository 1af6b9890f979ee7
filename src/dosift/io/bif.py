r"""The Bayesian interchange format (BIF), read strictly and written exactly.

The grammar is the one of the interchange format, version 0.15, as the networks of the bnlearn
repository use it:

* ``network``, ``variable`` and ``probability`` blocks in any order; ``//`` and ``/* */`` comments;
  ``property`` entries are skipped; commas count as blanks.
* A name is a run of characters without blanks, quotes and the signs ``{}()[];|,``, or stands in
  double quotes, where ``\"`` means a quote, ``\\`` a backslash and ``\u00XX`` the character of that
  hexadecimal number (any other backslash is one).
* The rows of a variable with parents are ``(parent states) numbers;``, and ``default numbers;``
  stands for all rows that are not listed. Alternatively, one ``table`` entry lists all numbers:
  the variable's own state runs slowest and the last parent fastest, as the format says (and as
  JavaBayes, pgmpy and pyAgrum read it).
* Rows whose sum is off by the rounding of the printed digits are divided by their sum; see
  `dosift.io.assemble.checked_rows`.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from dosift.errors import InputError
from dosift.io.assemble import shown
from dosift.io.bif_parser import BifParser
from dosift.model.network import Network

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+<>=-]*")


def parse_bif(text: str, *, path: str | Path | None = None) -> Network:
    """Read a network from BIF text.

    Parameters
    ----------
    text : str
        The content of a BIF file.
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the text is malformed, with line and column.

    Examples
    --------
    >>> network = parse_bif('''
    ... variable rain { type discrete [ 2 ] { no, yes }; }
    ... variable wet  { type discrete [ 2 ] { no, yes }; }
    ... probability ( rain ) { table 0.8, 0.2; }
    ... probability ( wet | rain ) { (yes) 0.1, 0.9; default 1.0, 0.0; }
    ... ''')
    >>> network.tables[1]
    array([[1. , 0. ],
           [0.1, 0.9]])
    """
    return BifParser(text, path).parse()


def format_bif(network: Network, *, path: str | Path | None = None) -> str:
    """Return a network as BIF text.

    Parameters
    ----------
    network : Network
        The network.
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If a name cannot be expressed in the format.
    """
    names = [_quoted(v.name, path) for v in network.variables]
    states = [[_quoted(s, path) for s in v.states] for v in network.variables]
    parts = ["network unknown {\n}\n"]
    for name, values in zip(names, states, strict=True):
        listed = ", ".join(values)
        parts.append(f"variable {name} {{\n  type discrete [ {len(values)} ] {{ {listed} }};\n}}\n")
    for i, parents in enumerate(network.parents):
        rows = [", ".join(map(repr, row)) for row in network.tables[i].tolist()]
        if not parents:
            parts.append(f"probability ( {names[i]} ) {{\n  table {rows[0]};\n}}\n")
            continue
        parts.append(f"probability ( {names[i]} | {', '.join(names[p] for p in parents)} ) {{\n")
        keys = itertools.product(*(states[p] for p in parents))
        parts.extend(f"  ({', '.join(k)}) {row};\n" for k, row in zip(keys, rows, strict=True))
        parts.append("}\n")
    return "".join(parts)


def _quoted(name: str, path: str | Path | None) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    if not name or any("\ud800" <= c <= "\udfff" for c in name):
        raise InputError(
            f"the name {shown(name)} cannot be written in BIF: names are not empty and are valid "
            "Unicode text; rename it",
            path=path,
        )
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(_escaped, escaped) + '"'


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
