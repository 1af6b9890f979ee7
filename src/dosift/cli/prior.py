"""Options of ``dosift fit`` for what is known beforehand."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dosift.errors import InputError

if TYPE_CHECKING:
    from dosift.methods.prior_knowledge import PriorKnowledge

_option = partial(typer.Option, rich_help_panel="What is known beforehand")

KnowledgeFile = Annotated[
    Path | None,
    _option(
        "--prior-knowledge",
        help="JSON file with candidates, forbidden, excluded, non_manipulable, required and "
        "known_weights; the options below add to it.",
    ),
]
Candidate = Annotated[
    list[str] | None,
    _option(
        metavar="TARGET",
        help="Only candidates may occur: no search. Such as 'do(A=1)'; repeat for each.",
    ),
]
Forbid = Annotated[
    list[str] | None, _option(metavar="TARGET", help="This very target does not occur.")
]
Exclude = Annotated[
    list[str] | None,
    _option(
        metavar="TARGET", help="No target contains this; 'A=1' for a value that cannot be set."
    ),
]
NonManipulable = Annotated[
    list[str] | None, _option(metavar="VARIABLE", help="No target sets this variable.")
]
Require = Annotated[
    list[str] | None, _option(metavar="TARGET", help="This target occurs: never dropped.")
]
KnownWeight = Annotated[
    list[str] | None,
    _option(
        metavar="TARGET=WEIGHT",
        help="The weight of a target, such as 'do()=0.9'; the others are estimated.",
    ),
]


def prior_knowledge(
    path: Path | None,
    candidate: list[str] | None,
    forbid: list[str] | None,
    exclude: list[str] | None,
    non_manipulable: list[str] | None,
    require: list[str] | None,
    known_weight: list[str] | None,
) -> PriorKnowledge | None:
    """Join what a file and the options say; None if they say nothing.

    Raises
    ------
    InputError
        If the file or an option is malformed, or they contradict each other.
    """
    if path is None and not any(
        (candidate, forbid, exclude, non_manipulable, require, known_weight)
    ):
        return None
    from dosift.methods.prior_knowledge import PriorKnowledge

    prior = PriorKnowledge(
        candidates=candidate or None,
        forbidden=forbid or (),
        excluded=exclude or (),
        non_manipulable=non_manipulable or (),
        required=require or (),
        known_weights=[_weight(text) for text in known_weight or ()],
    )
    return prior if path is None else PriorKnowledge.read(path).and_also(prior)


def _weight(text: str) -> tuple[str, float]:
    target, _, number = text.rpartition("=")
    try:
        return target, float(number)
    except ValueError:
        raise InputError(
            f"--known-weight {text!r} does not end in a number; write for example 'do(A=1)=0.25'"
        ) from None
