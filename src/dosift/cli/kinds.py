"""Options of ``dosift fit`` for measurements and counts: kinds of columns, and of change."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dosift.cli.options import names_of, one_of
from dosift.errors import InputError

#: Kinds of change, written out so that completion in a shell need not load them.
CHANGE_NAMES = ("do", "set", "shift", "gain", "fold", "free")
_option = partial(typer.Option, rich_help_panel="Measurements and counts")
_NAMES = "A,B"

Continuous = Annotated[
    str | None,
    _option(
        metavar=_NAMES,
        help="Columns that hold measurements, where that is not what it looks like. Texts, and "
        "whole numbers of at most 20 distinct values, are taken for states; other numbers for "
        "measurements.",
    ),
]
Counts = Annotated[str | None, _option(metavar=_NAMES, help="Columns that hold counts.")]
Discrete = Annotated[str | None, _option(metavar=_NAMES, help="Columns that hold states.")]
Changes = Annotated[
    str | None,
    _option(
        metavar="KINDS",
        help="What may have happened to measurements and counts: some of do, set, shift, gain, "
        "fold, free, with commas; by default what suits each column.",
        autocompletion=one_of(*CHANGE_NAMES),
    ),
]
Features = Annotated[
    list[str] | None,
    _option(
        metavar="CHILD:EXPRESSION",
        help="A function of its parents that the mean of a column is linear in, such as 'light: "
        "cos(angle_1-angle_2)**2'; repeat for each.",
    ),
]
Knockouts = Annotated[
    bool,
    _option(
        "--knockouts",
        help="Changes of counts only lower them; columns of whole numbers are then counts, where "
        "nothing else is said.",
    ),
]
Size = Annotated[
    str | None,
    _option(
        metavar="COLUMN",
        help="Column of what counts are relative to, such as the depth of a cell; by default the "
        "total of the counts, where at least ten columns hold counts.",
    ),
]
Factors = Annotated[
    int,
    _option(
        help="Hidden factors that each count depends on beside its parents, such as states that "
        "cells go through; without --graph there are no edges then.",
        min=0,
    ),
]
NoSize = Annotated[bool, _option("--no-size", help="Take counts as they are.")]


def kinds_of(
    continuous: str | None, counts: str | None, discrete: str | None, *, has_control: bool
) -> dict[str, str] | None:
    """Join the options that say what columns hold.

    Parameters
    ----------
    continuous, counts, discrete : str or None
        Such as ``A,B``; names in double quotes may hold anything, a quote twice.
    has_control : bool
        Whether there are control rows, whose columns these are.

    Returns
    -------
    dict of str to str, or None
        None if nothing is said.

    Raises
    ------
    InputError
        If a name is empty, stands in two options, or there are no control rows.

    Examples
    --------
    >>> kinds_of('a,"b, c"', "d", None, has_control=True)
    {'a': 'continuous', 'b, c': 'continuous', 'd': 'counts'}
    """
    kinds: dict[str, str] = {}
    given = {"continuous": continuous, "counts": counts, "discrete": discrete}
    for kind, text in given.items():
        groups = [] if text is None else names_of(f"--{kind}", text, ",", "A,B", "a comma")
        for name in (name for group in groups for name in group):
            if kinds.setdefault(name, kind) != kind:
                raise InputError(
                    f"{name!r} stands in --{kinds[name]} and in --{kind}; leave it out of one"
                )
    if kinds and not has_control:
        raise InputError(
            "--continuous, --counts and --discrete go with --control: they are about columns of "
            "control rows, and a network has kinds of its own"
        )
    return kinds or None


def size_of(size: str | None, no_size: bool, *, has_control: bool) -> str | bool | None:
    """Join the options that say what counts are relative to.

    Parameters
    ----------
    size : str or None
    no_size : bool
    has_control : bool

    Returns
    -------
    str, False or None

    Raises
    ------
    InputError
        If both are given, or there are no control rows.

    Examples
    --------
    >>> size_of("depth", False, has_control=True)
    'depth'
    """
    if size is not None and no_size:
        raise InputError("--size and --no-size are both given; leave one of them out")
    if (size is not None or no_size) and not has_control:
        raise InputError(
            "--size and --no-size go with --control: a network says itself what its counts are "
            "relative to"
        )
    return False if no_size else size


def changes_of(text: str | None) -> list[str] | None:
    """Read the kinds of change that are tried.

    Parameters
    ----------
    text : str or None
        Such as ``set,shift``.

    Returns
    -------
    list of str, or None

    Raises
    ------
    InputError
        If one is unknown.

    Examples
    --------
    >>> changes_of("set, shift")
    ['set', 'shift']
    """
    if text is None:
        return None
    found = [name.strip() for name in text.split(",")]
    for name in found:
        if name not in CHANGE_NAMES:
            raise InputError(
                f"--changes {text!r} holds {name!r}; choose some of {', '.join(CHANGE_NAMES)}"
            )
    return found
