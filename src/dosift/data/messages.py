"""What messages about tables have in common: lists, hints, and columns that are not there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

#: Characters that separate columns in files of other programs.
_OTHER_SEPARATORS = ";\t|,"
#: Characters of a name or value that a message shows.
_LONGEST_SHOWN = 60


def notice_of_extra(extra: Sequence[str], path: str | Path | None) -> str:
    """Say that some columns were ignored, and of which file."""
    these = "1 column is" if len(extra) == 1 else f"{len(extra)} columns are"
    where = "" if path is None else f"{path}: "
    return f"{where}{these} not in the network, and ignored: {listed(extra, 5)}"


def check_columns(
    columns: Sequence[str], network: Network | MechanismNetwork, path: str | Path | None
) -> None:
    """Refuse a table that lacks a variable's column.

    Parameters
    ----------
    columns : sequence of str
    network : Network or MechanismNetwork
    path : str or Path, optional
        Where the table came from.

    Raises
    ------
    InputError
        With the name that was probably meant.
    """
    without_graph = ""
    if network.control is not None and not network.edges:
        without_graph = (
            " (where there is no graph, every column of the control rows is a variable: drop it "
            "there, or give a graph that leaves it out)"
        )
    check_names(columns, network.names, path, without_graph)


def check_names(
    columns: Sequence[str], names: Sequence[str], path: str | Path | None, why: str = ""
) -> None:
    """Refuse a table that lacks a column, as :func:`check_columns` does.

    Parameters
    ----------
    columns : sequence of str
    names : sequence of str
        The columns that are needed.
    path : str or Path, optional
        Where the table came from.
    why : str
        What is added to the message.
    """
    present = set(columns)
    missing = [name for name in names if name not in present]
    if not missing:
        return
    others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    separators = [c for c in _OTHER_SEPARATORS if len(columns) == 1 and c in columns[0]]
    if separators:
        raise InputError(
            f"the header is the single name {shortened(columns[0])}: the columns seem to be "
            f"separated by {separators[0]!r}; save the table with commas (.csv) or tabs (.tsv)",
            path=path,
        )
    wanted = set(names)
    unknown = [name for name in columns if name not in wanted]
    raise InputError(
        f"column {missing[0]!r} is missing{others}; every variable of the network needs a column"
        f"{why}. "
        f"The columns are: {listed(columns, 12) or 'none'}{hint(missing[0], unknown)}",
        path=path,
    )


def listed(names: Sequence[str], most: int) -> str:
    """List names, a few of them if they are many.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2)
    "'a', 'b', ... (3 in all)"
    """
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(shortened, names[:most])) + more


def shortened(text: str) -> str:
    """Quote a name or value, or the beginning of a very long one."""
    return repr(text) if len(text) <= _LONGEST_SHOWN else repr(text[:_LONGEST_SHOWN]) + "..."


def hint(name: str, known: Sequence[str]) -> str:
    """Ask whether a similar name was meant, if there is one."""
    folded = {other.strip().casefold(): other for other in known}
    close = difflib.get_close_matches(name.strip().casefold(), list(folded), n=1, cutoff=0.6)
    return f". Did you mean {folded[close[0]]!r}?" if close else ""
