"""Tables, and shares drawn as bars with intervals in their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dosift.results.report.words import DASH, known, percent, shown

#: Upper ends of axes with the number of parts that ticks cut them into.
_AXES = (
    (0.01, 2), (0.02, 4), (0.03, 3), (0.04, 4), (0.05, 5), (0.1, 5), (0.15, 3), (0.2, 4),
    (0.25, 5), (0.3, 3), (0.4, 4), (0.5, 5), (0.6, 3), (0.8, 4), (1.0, 4),
)  # fmt: skip

#: A column of a table, see :func:`table_of`.
Column = tuple[str, str, Callable[[Any], str]]


@dataclass(frozen=True)
class Axis:
    """An axis of shares from 0 to `top`, cut into `parts` by its ticks."""

    top: float
    parts: int

    @classmethod
    def up_to(cls, values: Iterable[object]) -> Axis:
        """Return the least of the usual axes that holds all known values.

        Examples
        --------
        >>> Axis.up_to([0.12, None, 0.13])
        Axis(top=0.15, parts=3)
        """
        largest = max((v for v in map(known, values) if v is not None), default=1.0)
        return cls(*next((axis for axis in _AXES if axis[0] >= largest), _AXES[-1]))

    def at(self, value: float) -> str:
        """Return where a share lies, in percent of the width, cut off at the ends."""
        return f"{100 * min(max(value / self.top, 0.0), 1.0):.2f}%"

    def head(self) -> str:
        """Return the labels of the ticks."""
        digits = 0 if abs(100 * self.top / self.parts % 1) < 1e-9 else 1
        labels = "".join(
            f"<span>{100 * self.top * k / self.parts:.{digits}f}{'%' * (k == self.parts)}</span>"
            for k in range(self.parts + 1)
        )
        return f'<span class="ticks" aria-hidden="true">{labels}</span>'


def _kind(stands: bool) -> str:
    """Say how a bar is drawn."""
    return "bar" if stands else "bar fallen"


def bar(axis: Axis, value: object, low: object, high: object, *, stands: bool = True) -> str:
    """Draw a share as a bar with its interval as a line; nothing if it is unknown.

    One that does not stand is pale, with a dashed outline.
    """
    at = known(value)
    if at is None:
        return ""
    parts = [f'<rect class="{_kind(stands)}" y="4" height="12" width="{axis.at(at)}"/>']
    if at > axis.top:
        parts.append('<text class="beyond" x="99%" y="14">»</text>')
    else:
        parts.append(_whisker(axis, low, high, 10, "whisker"))
    return _cell(axis, percent(at), 20, parts)


def bar_and_screen(axis: Axis, line: dict[str, object]) -> str:
    """Draw a total as a bar and, below it, the one-pass rate as a ring; each with its interval."""
    total, screen = known(line.get("rate")), known(line.get("screen_rate"))
    parts = []
    if total is not None:
        kind = _kind(line.get("stands") is not False)
        parts.append(f'<rect class="{kind}" y="3" height="10" width="{axis.at(total)}"/>')
        parts.append(_whisker(axis, line.get("ci_low"), line.get("ci_high"), 8, "whisker"))
    if screen is not None:
        low, high = line.get("screen_ci_low"), line.get("screen_ci_high")
        parts.append(_whisker(axis, low, high, 20, "screen"))
        parts.append(f'<circle class="screen" cx="{axis.at(screen)}" cy="20" r="3.5"/>')
    label = f"total {percent(total)}, one pass {percent(screen)}"
    return _cell(axis, label, 26, parts) if parts else ""


def _whisker(axis: Axis, low: object, high: object, y: int, kind: str) -> str:
    start, end = known(low), known(high)
    if start is None or end is None:
        return ""
    return f'<line class="{kind}" x1="{axis.at(start)}" x2="{axis.at(end)}" y1="{y}" y2="{y}"/>'


def _cell(axis: Axis, label: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg class="parts{axis.parts}" width="100%" height="{height}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def cell(content: str, kind: str = "") -> str:
    """Return a cell of a table; the content is HTML already."""
    return f'<td role="cell"{_of_class(kind)}>{content}</td>'


def _of_class(kind: str) -> str:
    """Attribute of an element of one class or several; without quotes there would be one only."""
    return f" class='{kind}'" if kind else ""


def two(first: str, second: str) -> str:
    """Return a number and its interval, or a dash for that."""
    return f"{first} <span class='interval'>{second or DASH}</span>"


def table(
    caption: str, headings: Sequence[tuple[str, str]], rows: Sequence[str], kind: str = ""
) -> str:
    """Return a table.

    Parameters
    ----------
    caption : str
        What the table holds, for those who hear the page.
    headings : sequence of (str, str)
        Class and HTML of each heading.
    rows : sequence of str
        Whole ``<tr>`` elements.
    kind : str
        Class of the table.
    """
    head = "".join(
        f'<th role="columnheader" scope="col"{_of_class(c)}>{text}</th>' for c, text in headings
    )
    body = "\n".join(rows)
    # Roles are named because narrow screens lay rows out as grids, which hides what they are.
    return (
        f'<table role="table" class="{kind}"><caption>{shown(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}\n</tbody></table>'
    )


def table_of(caption: str, columns: Sequence[Column], lines: Iterable[Any], kind: str = "") -> str:
    """Return a table that has a row for each line.

    Parameters
    ----------
    caption : str
        What the table holds, for screen readers.
    columns : sequence of (str, str, callable)
        Classes of the cells, the first of them that of the heading; heading; and what stands in the
        cell of a line. The last two are HTML.
    lines : iterable
    kind : str
        Classes of the table.

    Returns
    -------
    str
    """
    headings = [(classes.partition(" ")[0], heading) for classes, heading, _ in columns]
    rows = [row([cell(of(line), classes) for classes, _, of in columns]) for line in lines]
    return table(caption, headings, rows, kind)


def row(cells: Sequence[str], attributes: str = "") -> str:
    """Return a row of a table."""
    return f'<tr role="row"{attributes}>{"".join(cells)}</tr>'


def folded(summary: str, content: str, opened: bool = False) -> str:
    """Return something that folds out; both are HTML already."""
    return f"<details{' open' * opened}><summary>{summary}</summary>{content}</details>"
