"""Options of ``dosift fit`` for the graph: what rows may do to it, and what is known of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from dosift.cli.options import names_of, one_of
from dosift.errors import InputError

#: What rows may do to a graph that is given; without one it is learned.
EDGE_NAMES = ("fixed", "repair")
_option = partial(typer.Option, rich_help_panel="The graph")

Edges = Annotated[
    str | None,
    _option(
        help="What rows may do to the graph: fixed (nothing, the default where there is a graph) "
        "or repair (add, remove and reverse edges). With --control and no --graph it is learned.",
        autocompletion=one_of(*EDGE_NAMES),
    ),
]
Required = Annotated[Path | None, _option(help="Edges that the graph has, as for --graph.")]
Forbidden = Annotated[
    Path | None, _option(help="Edges that the graph has not, as for --graph; cycles are no matter.")
]
Tiers = Annotated[
    str | None,
    _option(
        metavar="A,B/C,D",
        help="Groups of variables, causes first: no edge leads from a later group to an earlier "
        "one. Names with a comma or a slash need double quotes.",
    ),
]
MaxParents = Annotated[
    int | None,
    _option(
        help="Parents up to which a variable may get more; without it 4 of a variable with "
        "states, and any number of others.",
        min=1,
    ),
]
ControlRows = Annotated[
    int | None,
    _option(
        metavar="ROWS",
        help="Known network: how many control rows its tables are worth; rows may then teach "
        "them, and the graph can be repaired.",
        min=1,
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
    return names_of("--tiers", text, ",/", "A,B/C,D", "a comma or a slash")


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
