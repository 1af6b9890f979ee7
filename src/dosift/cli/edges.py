"""Options of ``dosift fit`` for the graph: what rows may do to it, and what is known of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from dosift.cli.options import one_of
from dosift.errors import InputError

#: What rows may do to a graph that is given; without one it is learned.
EDGE_NAMES = ("fixed", "repair")
_PANEL = "The graph"
_TIER = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,/"]*))\s*([,/]|$)')

Edges = Annotated[
    str | None,
    typer.Option(
        help="What rows may do to the graph: fixed (nothing, the default where there is a graph) "
        "or repair (add, remove and reverse edges). With --control and no --graph it is learned.",
        autocompletion=one_of(*EDGE_NAMES),
        rich_help_panel=_PANEL,
    ),
]
Required = Annotated[
    Path | None,
    typer.Option(help="Edges that the graph has, as for --graph.", rich_help_panel=_PANEL),
]
Forbidden = Annotated[
    Path | None,
    typer.Option(
        help="Edges that the graph has not, as for --graph; cycles are no matter.",
        rich_help_panel=_PANEL,
    ),
]
Tiers = Annotated[
    str | None,
    typer.Option(
        metavar="A,B/C,D",
        help="Groups of variables, causes first: no edge leads from a later group to an earlier "
        "one. Names with a comma or a slash need double quotes.",
        rich_help_panel=_PANEL,
    ),
]
MaxParents = Annotated[
    int | None,
    typer.Option(
        help="Parents up to which a variable may get more; without it 4 of a variable with "
        "states, and any number of others.",
        min=1,
        rich_help_panel=_PANEL,
    ),
]
ControlRows = Annotated[
    int | None,
    typer.Option(
        metavar="ROWS",
        help="Known network: how many control rows its tables are worth; rows may then teach "
        "them, and the graph can be repaired.",
        min=1,
        rich_help_panel=_PANEL,
    ),
]


def tiers_of(text: str | None) -> list[list[str]] | None:
    """Read groups of variables.

    Parameters
    ----------
    text : str or None
        Such as ``A,B/C,D``; names in double quotes may hold anything, a quote twice.

    Returns
    -------
    list of list of str, or None

    Raises
    ------
    InputError
        If a name is empty, or a quote is in the wrong place.

    Examples
    --------
    >>> tiers_of('age,sex/smoke/lung,"blood, O/A"')
    [['age', 'sex'], ['smoke'], ['lung', 'blood, O/A']]
    """
    if text is None:
        return None
    tiers: list[list[str]] = [[]]
    at = 0
    while True:
        match = _TIER.match(text, at)
        if match is None:
            raise InputError(
                f"--tiers {text!r} has a quote in the wrong place (character {at + 1}); write "
                "A,B/C,D, and names with a comma or a slash in double quotes"
            )
        quoted, plain, end = match.groups()
        name = plain.strip() if quoted is None else quoted.replace('""', '"')
        if not name:
            raise InputError(
                f"--tiers {text!r} has an empty name (character {at + 1}); write A,B/C,D"
            )
        tiers[-1].append(name)
        if not end:
            return tiers
        if end == "/":
            tiers.append([])
        at = match.end()


def edges_of(
    edges: str | None,
    control_rows: int | None,
    *,
    has_control: bool,
    has_graph: bool,
) -> str:
    """Settle what rows may do to the graph, before any file is read.

    Parameters
    ----------
    edges : str or None
        What the option says.
    control_rows : int or None
        How many control rows a known network is worth.
    has_control, has_graph : bool
        Whether files of them are given.

    Returns
    -------
    {"fixed", "repair", "learn"}

    Raises
    ------
    InputError
        If that cannot be done with what was given.
    """
    if edges is not None and edges not in EDGE_NAMES:
        raise InputError(f"--edges is {edges!r}; choose one of {', '.join(EDGE_NAMES)}")
    if has_control and control_rows is not None:
        raise InputError(
            "--control-rows says what a known network is worth, and this one is learned from "
            "--control; leave one of them out"
        )
    if has_control and not has_graph:
        if edges == "fixed":
            raise InputError(
                "--edges fixed keeps a graph, and none is given; give --graph, or leave --edges "
                "out, and the graph is learned"
            )
        return "learn"
    if edges == "repair" and not has_control and control_rows is None:
        raise InputError(
            "--edges repair holds the graph against control rows; give --graph and --control "
            "instead of the network, or say how many control rows the network is worth "
            "(--control-rows)"
        )
    return edges or "fixed"
