"""What cannot be combined: one table, and the one place that refuses.

A feature knows nothing of the others; where two cannot go together, a line here says why, and what
to do instead. It is read by whoever first knows that both are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from dosift.errors import InputError


@dataclass(frozen=True)
class Refusal:
    """Two things that cannot be had together.

    Attributes
    ----------
    one, other : str
        Names of the features.
    why : str
        Why, and what to do instead.
    """

    one: str
    other: str
    why: str


#: Variables whose values are numbers, as a feature.
NUMBERS = "measurements and counts"
#: Rows of which several share one intervention, as a feature.
UNITS = "units"
#: Rows in order of time, whose targets hold and switch, as a feature.
TIME = "rows in time"


def _only_likelihood(what: str) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(method, what, f"method {method!r} knows no {what}; use method 'likelihood'")
        for method in ("moments", "em", "brute-force")
    )


def _not_heeded(what: str) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(
            method,
            what,
            f"method {method!r} does not heed {what} (it heeds candidates, forbidden, excluded, "
            "non_manipulable); leave it out, or use method 'likelihood'",
        )
        for method in ("em", "brute-force")
    )


#: All that cannot be combined. What stands here is refused by :func:`refuse` and nowhere else.
REFUSALS: tuple[Refusal, ...] = (
    *_only_likelihood("batches"),
    *_only_likelihood("labels"),
    *_only_likelihood("stochastic interventions"),
    *_only_likelihood("changed mechanisms"),
    *_only_likelihood(NUMBERS),
    Refusal(
        "stochastic interventions",
        NUMBERS,
        "what a number is set to has a spread of its own already; leave it out, and choose kinds "
        "of change by --changes or changes=",
    ),
    Refusal(
        "changed mechanisms",
        NUMBERS,
        "a mechanism of a number that changed is a change of the kind 'free'; choose that by "
        "--changes or changes=",
    ),
    *(
        Refusal(
            method,
            "repaired graph",
            f"method {method!r} takes the graph as given: rows change it by their likelihood; use "
            "method 'likelihood', or give a graph and keep its edges fixed",
        )
        for method in ("moments", "em", "brute-force")
    ),
    Refusal(
        "changed mechanisms",
        "repaired graph",
        "a table that is freed and an edge that is missing explain the same rows; repair the graph "
        "with hard or stochastic interventions first, then look for changed mechanisms in that "
        "graph with the edges fixed",
    ),
    Refusal(
        "moments",
        "prior knowledge",
        "method 'moments' knows no prior knowledge; leave it out, or use method 'likelihood'",
    ),
    *_not_heeded("required"),
    *_not_heeded("known weights"),
    Refusal(
        "brute-force",
        UNITS,
        "method 'brute-force' looks up how often single rows occur, and knows nothing of rows "
        "that share an intervention; use another method, or leave out unit= (--unit)",
    ),
    *_only_likelihood(TIME),
    Refusal(
        TIME,
        "sample weights",
        "a row in a series is there once; leave the weights out, or repeat rows under units of "
        "their own",
    ),
    Refusal(
        TIME,
        "stochastic interventions",
        "an intervention that draws a new value in each row does not hold from row to row; leave "
        "out time= (--time), or fit hard interventions",
    ),
    Refusal(
        TIME,
        "changed mechanisms",
        "tables are freed by rows that do not know their neighbours; fit hard interventions in "
        "time first, then look for changed mechanisms without time= (--time)",
    ),
    Refusal(
        TIME,
        "rows in blocks",
        "a series is walked forward and backward, and so is held; give a table, a file, or a table "
        "that an engine holds, which is read whole",
    ),
    Refusal(
        "bootstrap",
        TIME,
        "rows of a series cannot be drawn one by one; trust the intervals, which know how long "
        "targets last",
    ),
    Refusal(
        "held-out rows",
        TIME,
        "rows of a series cannot be left out one by one; fit to the first part of the time, and "
        "give the rest to `score`",
    ),
    Refusal(
        "moments",
        "missing values",
        "method 'moments' looks up how often whole rows occur; leave out the rows with missing "
        "values, or use method 'likelihood', 'em' or 'brute-force'",
    ),
    Refusal(
        "moments",
        "rows in blocks",
        "method 'moments' looks up how often whole rows occur, and there are too many different "
        "ones to hold; use method 'likelihood', or take a sample of the rows",
    ),
    Refusal(
        "sample weights",
        "rows in blocks",
        "rows that are not held have no weights of their own; repeat the rows instead",
    ),
    Refusal(
        "bootstrap",
        "rows in blocks",
        "a bootstrap fits hundreds of times, and the rows are too many to be held; bootstrap a "
        "sample of them, or trust the intervals, which take no resampling",
    ),
    Refusal(
        "held-out rows",
        "rows in blocks",
        "every fold is another fit, and the rows are too many to be held; hold out by hand: fit to "
        "a part of the rows, and give the rest to `score`",
    ),
)


def refuse(features: set[str]) -> None:
    """Refuse what cannot be combined.

    Parameters
    ----------
    features : set of str
        Names of what is asked for, as in :data:`REFUSALS`.

    Raises
    ------
    InputError
        With why, and what to do instead.

    Examples
    --------
    >>> refuse({"likelihood", "missing values", "batches"})
    """
    for refusal in REFUSALS:
        if {refusal.one, refusal.other} <= features:
            raise InputError(f"{refusal.one} and {refusal.other} cannot be combined: {refusal.why}")
