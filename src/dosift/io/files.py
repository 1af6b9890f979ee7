"""Reading and writing network files, the format known by the name's ending."""

from __future__ import annotations

from pathlib import Path

from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network

_BIF = (".bif", ".bif.gz")
_XMLBIF = (".xml", ".xmlbif", ".xml.gz", ".xmlbif.gz")
_JSON = (".json", ".json.gz")
#: Within so many characters a file of any mechanisms says what it is.
_TITLE_WITHIN = 200


def read_network(path: str | Path) -> Network:
    """Read a network: of states from BIF or XMLBIF, of numbers from JSON.

    Parameters
    ----------
    path : str or Path
        A file that ends in ``.bif``, ``.xml``, ``.xmlbif`` or ``.json``, each optionally with
        ``.gz``. JSON holds a linear-Gaussian network as pgmpy keeps those of the bnlearn
        repository, or the ``network.json`` of a result folder.

    Returns
    -------
    Network
        Variables and states in the file's order. Of JSON a
        :class:`~dosift.model.mechanism_network.MechanismNetwork`, whose mechanisms are known.

    Raises
    ------
    InputError
        If the name ends otherwise, the file cannot be read, or its content is malformed; with
        line and column.
    """
    found = _format(path)
    if found == "bif":
        from dosift.io.bif import read_bif

        return read_bif(path)
    if found == "json":
        return as_network(_read_json(path))
    from dosift.io.xmlbif import read_xmlbif

    return read_xmlbif(path)


def _read_json(path: str | Path) -> MechanismNetwork:
    """Read a network of numbers of either of the two kinds."""
    from dosift.io.gaussian_json import parse_gaussian_json
    from dosift.io.mechanism_file import TITLE, parse_mechanism_network
    from dosift.model.known_mechanisms import known_mechanisms
    from dosift.utils.storage import decode, read_bytes

    text = decode(read_bytes(path), path)
    if TITLE in text[:_TITLE_WITHIN]:
        return parse_mechanism_network(text, path)
    try:
        return known_mechanisms(parse_gaussian_json(text, path=path))
    except InputError as error:
        raise error if error.path is not None else InputError(error.message, path=path) from None


def write_network(network: Network | MechanismNetwork, path: str | Path) -> None:
    """Write a network; what is read back is equal to the last bit.

    Parameters
    ----------
    network : Network or MechanismNetwork
        A network of states, as BIF or XMLBIF; control counts are not written. Or a linear-Gaussian
        one, as JSON; in the units of its columns, to 14 digits, and without the error that
        coefficients have where they were learned.
    path : str or Path
        A file that ends in ``.bif``, ``.xml`` or ``.xmlbif``, or for numbers in ``.json``, each
        optionally with ``.gz``; it is replaced if it exists.

    Raises
    ------
    InputError
        If the name ends otherwise, the format cannot express a name or a mechanism, or the file
        cannot be written.
    """
    found = _format(path)
    if isinstance(network, MechanismNetwork) != (found == "json"):
        is_of = "numbers" if isinstance(network, MechanismNetwork) else "states"
        ending = ".json" if is_of == "numbers" else ".bif, .xml or .xmlbif"
        raise InputError(f"a network of {is_of} is written to a file in {ending}", path=path)
    if isinstance(network, MechanismNetwork):
        from dosift.io.gaussian_json import write_gaussian_json
        from dosift.model.known_mechanisms import gaussian_of

        write_gaussian_json(gaussian_of(network), path)
    elif found == "bif":
        from dosift.io.bif import write_bif

        write_bif(network, path)
    else:
        from dosift.io.xmlbif import write_xmlbif

        write_xmlbif(network, path)


def _format(path: str | Path) -> str:
    name = str(path).lower()
    if Path(path).is_dir():
        raise InputError(
            "is a folder; give a network file (.bif, .xml, .xmlbif or .json)", path=path
        )
    for found, endings in (("bif", _BIF), ("xmlbif", _XMLBIF), ("json", _JSON)):
        if name.endswith(endings):
            return found
    raise InputError(
        "the ending says nothing of a network; give a file that ends in .bif, .xml or .xmlbif, or "
        "for numbers in .json (or one of these and .gz)",
        path=path,
    )
