"""XMLBIF 0.3, the XML form of the interchange format, read strictly and written exactly.

``<TABLE>`` lists the numbers with the variable's own state running fastest, then the last
``<GIVEN>``, as the format says. Elements other than those of the format are refused; ``<PROPERTY>``
is skipped. Names are taken without the blanks around them. A document type declaration may stand in
the file as long as it declares no entity and refers to nothing outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from dosift.errors import InputError
from dosift.io.assemble import shown
from dosift.io.xmlbif_parser import XmlbifParser
from dosift.model.network import Network

# No document type declaration: pyAgrum cannot read files that have one.
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def parse_xmlbif(data: bytes | str, *, path: str | Path | None = None) -> Network:
    """Read a network from the content of an XMLBIF 0.3 file.

    Parameters
    ----------
    data : bytes or str
        The content.
    path : str or Path, optional
        Named in errors.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the content is malformed, with line and column.

    Examples
    --------
    >>> network = parse_xmlbif('''<BIF VERSION="0.3"><NETWORK><NAME>rain</NAME>
    ... <VARIABLE TYPE="nature"><NAME>rain</NAME><OUTCOME>no</OUTCOME><OUTCOME>yes</OUTCOME>
    ... </VARIABLE><DEFINITION><FOR>rain</FOR><TABLE>0.8 0.2</TABLE></DEFINITION>
    ... </NETWORK></BIF>''')
    >>> network.tables[0]
    array([[0.8, 0.2]])
    """
    return XmlbifParser(path).parse(data)


def format_xmlbif(network: Network, *, path: str | Path | None = None) -> str:
    """Return a network as XMLBIF 0.3 text.

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
    return _DECLARATION + "\n".join(_lines(network, path)) + "\n"


def _lines(network: Network, path: str | Path | None) -> Iterator[str]:
    names = [_text(v.name, path) for v in network.variables]
    yield '<BIF VERSION="0.3">\n<NETWORK>\n<NAME>unknown</NAME>'
    for name, variable in zip(names, network.variables, strict=True):
        yield f'<VARIABLE TYPE="nature">\n  <NAME>{name}</NAME>'
        for state in variable.states:
            yield f"  <OUTCOME>{_text(state, path)}</OUTCOME>"
        yield "</VARIABLE>"
    for name, parents, table in zip(names, network.parents, network.tables, strict=True):
        yield f"<DEFINITION>\n  <FOR>{name}</FOR>"
        for parent in parents:
            yield f"  <GIVEN>{names[parent]}</GIVEN>"
        yield "  <TABLE>"
        for row in table.tolist():
            yield "    " + " ".join(map(repr, row))
        yield "  </TABLE>\n</DEFINITION>"
    yield "</NETWORK>\n</BIF>"


def _text(name: str, path: str | Path | None) -> str:
    if not name or name != name.strip() or not all(map(_allowed, name)):
        raise InputError(
            f"the name {shown(name)} cannot be written in XMLBIF: names are not empty, do not "
            "start or end with a blank, and hold no control character; rename it",
            path=path,
        )
    return escape(name, {"\r": "&#13;"})


def _allowed(character: str) -> bool:
    """Whether XML 1.0 has this character."""
    return character in "\t\n\r" or (
        character >= " "
        and not "\ud800" <= character <= "\udfff"
        and character not in "\ufffe\uffff"
    )
