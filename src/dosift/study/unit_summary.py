"""What is said of the study of units."""

from __future__ import annotations

from dosift.study.summary import NETWORK, PROBLEMS, Summary, number, text, whole

#: What has to be said of the figures beside each other.
NOTE = (
    "violation some: a variable is set to all of its states; root: one without parents is, beside "
    "being left alone, so that single rows cannot tell which. told units: the method knows which "
    "rows belong together; told rows: it takes all rows for independent. moments told rows is the "
    "paper's algorithm, which assumes exclusion."
)
#: From records of `dosift.study.units.solve_units`.
UNITS = Summary(
    ("source", "n_variables", "violation", "tables", "n_units", "n_rows", "told", "method"),
    (
        *("recall", "precision", "tv", "rmse", "n_true", "n_found"),
        *("recall_se", "precision_se", "tv_se"),
    ),
    (
        *(NETWORK, text("violation"), text("tables"), whole("units", "n_units")),
        *(whole("rows a unit", "n_rows"), text("told"), text("method"), PROBLEMS),
        *(number("recall", "recall", 3), number("precision", "precision", 3)),
        *(number("total variation", "tv", 3), number("targets", "n_true", 1)),
        *(number("found", "n_found", 1), number("s", "seconds_median", 2)),
    ),
    note=NOTE,
)
