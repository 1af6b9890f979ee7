"""Reading and writing network files, the format known by the name's ending."""

from __future__ import annotations

from pathlib import Path

from dosift.errors import InputError
from dosift.io.bif import format_bif, parse_bif
from dosift.io.gaussian_json import parse_gaussian_json, write_gaussian_json
from dosift.io.mechanism_file import TITLE, parse_mechanism_network
from dosift.io.xmlbif import format_xmlbif, parse_xmlbif
from dosift.model.known_mechanisms import gaussian_of, known_mechanisms
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.utils.storage import decode, read_bytes, write_text

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
    data = read_bytes(path)
    if found == "xmlbif":
        return parse_xmlbif(data, path=path)  # its first line may name an encoding
    text = decode(data, path)
    return parse_bif(text, path=path) if found == "bif" else as_network(_of_json(text, path))


def _of_json(text: str, path: str | Path) -> MechanismNetwork:
    """Read a network of numbers of either of the two kinds."""
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
        write_gaussian_json(gaussian_of(network), path)
    else:
        form = format_bif if found == "bif" else format_xmlbif
        write_text(form(network, path=path), path)


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
