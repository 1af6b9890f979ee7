"""Means over the problems of a study, and the tables that show them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dosift.study.published import published
from dosift.study.tasks import Record

#: What a line of the results is about.
KEYS = ("source", "n_variables", "tables", "n_rows", "method")


@dataclass(frozen=True)
class Column:
    """A column of the table that is shown.

    Attributes
    ----------
    heading : str
    cell : callable
        Returns what stands in it, from a line of the results with its seconds.
    is_text : bool
    """

    heading: str
    cell: Callable[[Record], str]
    is_text: bool = False


def text(heading: str, name: str | None = None) -> Column:
    """Show words; the field is called as the heading is if nothing else is said."""
    return Column(heading, lambda line: str(line[name or heading]), is_text=True)


def whole(heading: str, name: str) -> Column:
    """Show a whole number."""
    return Column(heading, lambda line: f"{line[name]:,}")


def number(heading: str, name: str, places: int) -> Column:
    """Show a number to some places, nothing where there is none."""

    def cell(line: Record) -> str:
        return "" if line[name] is None else f"{line[name]:.{places}f}"

    return Column(heading, cell)


def _network(line: Record) -> str:
    return f"{line['source']} {line['n_variables']}" if line["n_variables"] else line["source"]


def _problems(line: Record) -> str:
    return f"{line['problems']}" + (f" ({line['refused']} refused)" if line["refused"] else "")


#: Columns that several studies show.
NETWORK, PROBLEMS = Column("network", _network, is_text=True), Column("problems", _problems)


@dataclass(frozen=True)
class Summary:
    """How the records of a study become lines and a table.

    Attributes
    ----------
    keys : tuple of str
        Fields of a record that a line of the results is about.
    averages : tuple of str
        Fields whose means over the problems solved follow, or, with ``_se`` behind them, the
        standard errors of these.
    columns : tuple of Column
        What is shown.
    derived : callable or None
        Returns what a solved record is given beside its own fields.
    beside : callable or None
        Returns what a line is given beside its means, such as published figures.
    note : str
        What has to be said of the figures.
    """

    keys: tuple[str, ...]
    averages: tuple[str, ...]
    columns: tuple[Column, ...]
    derived: Callable[[Record], Record] | None = None
    beside: Callable[[Record], Record] | None = None
    note: str = ""

    def lines(self, records: Iterable[Record]) -> list[Record]:
        """Average over problems.

        Parameters
        ----------
        records : iterable of dict
            From `dosift.study.runner.run_tasks`.

        Returns
        -------
        list of dict
            One line for each of the keys, in the order of the records: these; ``problems`` solved
            and ``refused``; the averages; what stands beside them. None where there is nothing to
            average. Nothing here depends on the machine: for ``seconds`` see `seconds`.
        """
        lines = []
        for key, group in grouped(records, self.keys).items():
            solved = [record for record in group if record["refused"] is None]
            if self.derived:
                solved = [{**record, **self.derived(record)} for record in solved]
            line: Record = dict(zip(self.keys, key, strict=True))
            line |= {"problems": len(solved), "refused": len(group) - len(solved)}
            line |= {name: _average(solved, name) for name in self.averages}
            lines.append({**line, **self.beside(line)} if self.beside else line)
        return lines

    def seconds(self, records: Iterable[Record]) -> list[Record]:
        """Return median and largest seconds a problem, by what a line of the results is about.

        Parameters
        ----------
        records : iterable of dict

        Returns
        -------
        list of dict
            With ``seconds_median`` and ``seconds_most``; None where nothing was solved.
        """
        lines = []
        for key, group in grouped(records, self.keys).items():
            taken = [record["seconds"] for record in group if record["refused"] is None]
            line: Record = dict(zip(self.keys, key, strict=True))
            line["seconds_median"] = float(np.median(taken)) if taken else None
            line["seconds_most"] = max(taken) if taken else None
            lines.append(line)
        return lines

    def markdown(self, lines: list[Record], seconds: list[Record]) -> str:
        """Return the main columns as a Markdown table, and what has to be said of it.

        Parameters
        ----------
        lines, seconds : list of dict
            From the methods of that name, of the same records.

        Returns
        -------
        str
        """
        both = [{**line, **taken} for line, taken in zip(lines, seconds, strict=True)]
        cells = ((column, [column.cell(line) for line in both]) for column in self.columns)
        # Columns that say nothing, such as published figures of other graphs, are left out.
        shown = [(column, down) for column, down in cells if any(down)]
        heading = [column.heading for column, _ in shown]
        rule = ["---" if column.is_text else "---:" for column, _ in shown]
        rows = zip(*(down for _, down in shown), strict=True)
        table = "\n".join("| " + " | ".join(row) + " |" for row in (heading, rule, *rows))
        return f"{table}\n\n{self.note}" if self.note else table


def _spurious_and_missed(record: Record) -> Record:
    return {
        "n_spurious": record["n_found"] - record["n_matched"],
        "n_missed": record["n_true"] - record["n_matched"],
    }


def _published(line: Record) -> Record:
    key = (line["source"], line["n_variables"], line["tables"], line["n_rows"])
    return {f"published_{name}": published(name, *key) for name in ("recall", "rmse")}


#: The study of the paper.
STATES = Summary(
    KEYS,
    (
        *("recall", "precision", "tv", "rmse", "rmse_spurious", "rmse_missed"),
        *("recall_se", "precision_se", "rmse_se"),
        *("n_true", "n_found", "n_spurious", "n_missed"),
    ),
    (
        *(NETWORK, text("tables"), whole("rows", "n_rows"), text("method"), PROBLEMS),
        *(number("recall", "recall", 3), number("published", "published_recall", 3)),
        *(number("precision", "precision", 3), number("RMSE", "rmse", 4)),
        number("published", "published_rmse", 4),
        number("RMSE spurious", "rmse_spurious", 4),
        number("RMSE missed", "rmse_missed", 4),
        *(number("spurious", "n_spurious", 1), number("missed", "n_missed", 1)),
        number("s", "seconds_median", 2),
    ),
    derived=_spurious_and_missed,
    beside=_published,
)


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
        average.

    Examples
    --------
    >>> from dosift.study import StudySettings
    >>> from dosift.study.problems import solve
    >>> settings = StudySettings(variables=(4,), rows=(256,), problems=2, methods=("moments",))
    >>> line = summarise(solve(0, None, task) for task in settings.tasks())[0]
    >>> line["problems"], line["published_recall"]
    (2, 0.66)
    """
    return STATES.lines(records)


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


def _average(records: list[Record], name: str) -> float | None:
    """Average a field over the records that have it, or tell the error; None if there are few."""
    field = name.removesuffix("_se")
    values: list[Any] = [record[field] for record in records if record[field] is not None]
    if field == name:
        return float(np.mean(values)) if values else None
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
