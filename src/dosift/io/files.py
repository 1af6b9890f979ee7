"""Reading and writing network files, the format known by the name's ending."""

from __future__ import annotations

from pathlib import Path

from dosift.errors import InputError
from dosift.model.network import Network

_BIF = (".bif", ".bif.gz")
_XMLBIF = (".xml", ".xmlbif", ".xml.gz", ".xmlbif.gz")


def read_network(path: str | Path) -> Network:
    """Read a network from a BIF or XMLBIF file.

    Parameters
    ----------
    path : str or Path
        A file that ends in ``.bif``, ``.xml`` or ``.xmlbif``, each optionally with ``.gz``.

    Returns
    -------
    Network
        Variables and states in the file's order.

    Raises
    ------
    InputError
        If the name ends otherwise, the file cannot be read, or its content is malformed; with
        line and column.
    """
    if _format(path) == "bif":
        from dosift.io.bif import read_bif

        return read_bif(path)
    from dosift.io.xmlbif import read_xmlbif

    return read_xmlbif(path)


def write_network(network: Network, path: str | Path) -> None:
    """Write a network as BIF or XMLBIF; what is read back is equal to the last bit.

    Parameters
    ----------
    network : Network
        The network; control counts are not written.
    path : str or Path
        A file that ends in ``.bif``, ``.xml`` or ``.xmlbif``, each optionally with ``.gz``; it is
        replaced if it exists.

    Raises
    ------
    InputError
        If the name ends otherwise, the format cannot express a name, or the file cannot be
        written.
    """
    if _format(path) == "bif":
        from dosift.io.bif import write_bif

        write_bif(network, path)
    else:
        from dosift.io.xmlbif import write_xmlbif

        write_xmlbif(network, path)


def _format(path: str | Path) -> str:
    name = str(path).lower()
    if Path(path).is_dir():
        raise InputError("is a folder; give a network file (.bif, .xml or .xmlbif)", path=path)
    if name.endswith(_BIF):
        return "bif"
    if name.endswith(_XMLBIF):
        return "xmlbif"
    raise InputError(
        "the ending says nothing of a network; give a file that ends in .bif, .xml or .xmlbif "
        "(or one of these and .gz)",
        path=path,
    )
