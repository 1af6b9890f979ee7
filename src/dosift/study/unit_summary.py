"""Means over the problems of the study of units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dosift.study.summary import grouped, mean, std_error, table_text

Record = dict[str, Any]

#: What a line of the results is about.
KEYS = ("source", "n_variables", "violation", "tables", "n_units", "n_rows", "told", "method")
_MEANS = ("recall", "precision", "tv", "rmse")
_COUNTS = ("n_true", "n_found")
#: Columns of text in the Markdown table.
_TEXTS = ("network", "violation", "tables", "told", "method")
#: What has to be said of the figures beside each other.
NOTE = (
    "violation some: a variable is set to all of its states; root: one without parents is, beside "
    "being left alone, so that single rows cannot tell which. told units: the method knows which "
    "rows belong together; told rows: it takes all rows for independent. moments told rows is the "
    "paper's algorithm, which assumes exclusion."
)


def summarise_units(records: Iterable[Record]) -> list[Record]:
    """Average over problems.

    Parameters
    ----------
    records : iterable of dict
        From `dosift.study.units.solve_units`.

    Returns
    -------
    list of dict
        One line for each of ``KEYS``: these; ``problems`` solved and ``refused``; the mean
        ``recall``, ``precision``, ``tv``, ``rmse``, ``n_true`` and ``n_found``; the standard errors
        ``recall_se``, ``precision_se``, ``tv_se``. None where there is nothing to average.
    """
    lines = []
    for key, group in grouped(records, KEYS).items():
        solved = [record for record in group if record["refused"] is None]
        line: Record = dict(zip(KEYS, key, strict=True))
        line |= {"problems": len(solved), "refused": len(group) - len(solved)}
        line |= {name: mean(solved, name) for name in (*_MEANS, *_COUNTS)}
        line |= {f"{name}_se": std_error(solved, name) for name in ("recall", "precision", "tv")}
        lines.append(line)
    return lines


def units_markdown(lines: list[Record], seconds: list[Record]) -> str:
    """Return the main columns as a Markdown table, and what has to be said of it.

    Parameters
    ----------
    lines : list of dict
        From `summarise_units`.
    seconds : list of dict
        From `dosift.study.summary.summarise_seconds`, of the same records.

    Returns
    -------
    str
    """
    heads = (
        *("network", "violation", "tables", "units", "rows a unit", "told", "method", "problems"),
        *("recall", "precision", "total variation", "targets", "found", "s"),
    )
    table: list[tuple[str, ...]] = [heads]
    for line, taken in zip(lines, seconds, strict=True):
        refused = f" ({line['refused']} refused)" if line["refused"] else ""
        table.append(
            (
                f"{line['source']} {line['n_variables']}",
                line["violation"],
                line["tables"],
                f"{line['n_units']:,}",
                f"{line['n_rows']}",
                line["told"],
                line["method"],
                f"{line['problems']}{refused}",
                *(_number(line[name], 3) for name in ("recall", "precision", "tv")),
                *(_number(line[name], 1) for name in _COUNTS),
                _number(taken["seconds_median"], 2),
            )
        )
    return f"{table_text(table, _TEXTS)}\n\n{NOTE}"


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"
