"""Means over the problems of a study, and the tables that show them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from dosift.study.published import published

Record = dict[str, Any]

#: What a line of the results is about.
KEYS = ("source", "n_variables", "tables", "n_rows", "method")
#: Columns that are means over the problems solved.
_MEANS = ("recall", "precision", "tv", "rmse", "rmse_spurious", "rmse_missed")
_COUNTS = ("n_true", "n_found", "n_spurious", "n_missed")
_PUBLISHED = ("recall", "rmse")
#: Columns of text in the Markdown table.
_TEXTS = ("network", "tables", "method")


def summarise(records: Iterable[Record]) -> list[Record]:
    """Average over problems.

    Parameters
    ----------
    records : iterable of dict
        From `dosift.study.run_study`.

    Returns
    -------
    list of dict
        One line for each source, number of variables, tables, number of rows and method, in the
        order of the records. Columns: these five; ``problems`` solved and ``refused``; the mean
        ``recall``, ``precision``, ``tv``, ``rmse``, ``rmse_spurious`` (over the targets found
        that are not true, in the problems that have such) and ``rmse_missed``; the standard
        errors ``recall_se``, ``precision_se`` and ``rmse_se`` of the means; the mean numbers of
        targets ``n_true``, ``n_found``, ``n_spurious`` and ``n_missed``; ``published_recall``
        and ``published_rmse`` (Kumar and Sinha 2021, Figure 1). None where there is nothing to
        average. Nothing here depends on the machine: for ``seconds`` see `summarise_seconds`.

    Examples
    --------
    >>> from dosift.study import StudySettings
    >>> from dosift.study.problems import solve
    >>> settings = StudySettings(variables=(4,), rows=(256,), problems=2, methods=("moments",))
    >>> line = summarise(solve(0, None, task) for task in settings.tasks())[0]
    >>> line["problems"], line["published_recall"]
    (2, 0.66)
    """
    lines = []
    for key, group in grouped(records, KEYS).items():
        solved = [record for record in group if record["refused"] is None]
        solved = [
            {
                **record,
                "n_spurious": record["n_found"] - record["n_matched"],
                "n_missed": record["n_true"] - record["n_matched"],
            }
            for record in solved
        ]
        line: Record = dict(zip(KEYS, key, strict=True))
        line |= {"problems": len(solved), "refused": len(group) - len(solved)}
        line |= {name: mean(solved, name) for name in _MEANS}
        line |= {f"{name}_se": std_error(solved, name) for name in ("recall", "precision", "rmse")}
        line |= {name: mean(solved, name) for name in _COUNTS}
        for name in _PUBLISHED:
            line[f"published_{name}"] = published(name, *key[:4])
        lines.append(line)
    return lines


def summarise_seconds(records: Iterable[Record], keys: tuple[str, ...] = KEYS) -> list[Record]:
    """Return median and largest seconds a problem, by what a line of the results is about.

    Parameters
    ----------
    records : iterable of dict
    keys : tuple of str, optional
        Those of `summarise` by default.

    Returns
    -------
    list of dict
        With ``seconds_median`` and ``seconds_most``; None where nothing was solved.
    """
    lines = []
    for key, group in grouped(records, keys).items():
        taken = [record["seconds"] for record in group if record["refused"] is None]
        line: Record = dict(zip(keys, key, strict=True))
        line["seconds_median"] = float(np.median(taken)) if taken else None
        line["seconds_most"] = max(taken) if taken else None
        lines.append(line)
    return lines


def grouped(
    records: Iterable[Record], keys: tuple[str, ...]
) -> dict[tuple[Any, ...], list[Record]]:
    """Group records by some of their fields, in their order.

    Parameters
    ----------
    records : iterable of dict
    keys : tuple of str

    Returns
    -------
    dict of tuple to list of dict
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[name] for name in keys), []).append(record)
    return groups


def _values(records: list[Record], name: str) -> list[float]:
    return [record[name] for record in records if record[name] is not None]


def mean(records: list[Record], name: str) -> float | None:
    """Average a field over the records that have it; None if there are none."""
    values = _values(records, name)
    return float(np.mean(values)) if values else None


def std_error(records: list[Record], name: str) -> float | None:
    """Return the standard error of such a mean; None for fewer than two records."""
    values = _values(records, name)
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def csv_text(lines: list[Record]) -> str:
    """Return lines as CSV, numbers to six places; empty where there is none.

    Parameters
    ----------
    lines : list of dict
        All with the same keys.

    Returns
    -------
    str
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({k: f"{v:.6f}" if isinstance(v, float) else v for k, v in line.items()})
    return out.getvalue()


def markdown(lines: list[Record], seconds: list[Record]) -> str:
    """Return the main columns as a Markdown table, without those that are empty.

    Parameters
    ----------
    lines : list of dict
        From `summarise`.
    seconds : list of dict
        From `summarise_seconds`, of the same records.

    Returns
    -------
    str
    """
    heads = (
        *("network", "tables", "rows", "method", "problems", "recall", "published", "precision"),
        *("RMSE", "published", "RMSE spurious", "RMSE missed", "spurious", "missed", "s"),
    )
    table: list[tuple[str, ...]] = [heads]
    for line, taken in zip(lines, seconds, strict=True):
        n = line["n_variables"]
        refused = f" ({line['refused']} refused)" if line["refused"] else ""
        cells = (
            f"{line['source']} {n}" if n else line["source"],
            line["tables"],
            f"{line['n_rows']:,}",
            line["method"],
            f"{line['problems']}{refused}",
            _number(line["recall"], 3),
            _number(line["published_recall"], 3),
            _number(line["precision"], 3),
            _number(line["rmse"], 4),
            _number(line["published_rmse"], 4),
            _number(line["rmse_spurious"], 4),
            _number(line["rmse_missed"], 4),
            _number(line["n_spurious"], 1),
            _number(line["n_missed"], 1),
            _number(taken["seconds_median"], 2),
        )
        table.append(cells)
    return table_text(table, _TEXTS)


def table_text(table: list[tuple[str, ...]], texts: tuple[str, ...]) -> str:
    """Write a Markdown table, without columns that are empty.

    Parameters
    ----------
    table : list of tuple of str
        The heading first.
    texts : tuple of str
        Headings of the columns that hold words.

    Returns
    -------
    str
    """
    # Columns that say nothing, such as published figures of other graphs, are left out.
    columns = [column for column in zip(*table, strict=True) if any(column[1:])]
    rule = ("---:" if column[0] not in texts else "---" for column in columns)
    heading, *rest = zip(*columns, strict=True)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heading, tuple(rule), *rest))


def _number(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"
