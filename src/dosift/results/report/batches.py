"""The section of the page on batches: the same interventions, with a share in each batch."""

from __future__ import annotations

from dosift.results.report.content import Content, Line
from dosift.results.report.marks import Axis, bar, cell, folded, row, table, two
from dosift.results.report.words import counted, interval, number, percent, shown

#: Lines that are shown at once; the interventions after them fold out.
_SHOWN_LINES = 40


def batches_section(content: Content) -> str:
    """Return each intervention's share in each batch; nothing if there are no batches."""
    lines = list(content.result.get("batches") or ())
    if not lines:
        return ""
    names = list(dict.fromkeys(str(line["batch"]) for line in lines))
    by_target: dict[str, dict[str, Line]] = {str(c["target"]): {} for c in content.components}
    for line in lines:
        by_target.setdefault(str(line["target"]), {})[str(line["batch"])] = line
    targets = [target for target, own in by_target.items() if own]
    axis = Axis.up_to(line[key] for line in lines for key in ("weight", "ci_high"))
    column = (content.result.get("settings") or {}).get("batch")
    heading = shown(column) if column else "batch"
    groups = [
        [_head(target), *(_row(name, by_target[target].get(name), axis) for name in names)]
        for target in targets
    ]
    n_first = max(_SHOWN_LINES // len(names), 1)
    first, rest = groups[:n_first], groups[n_first:]
    words = (
        f"<p class='soft'>The rows came in {counted(len(names), 'batch', 'batches')}. They have "
        "the interventions in common, and each its own shares; the other sections are about all "
        f"rows together. Intervals are {content.level}. All of it is in <code>batches.csv</code>."
        "</p>"
    )
    made = words + _table(heading, axis, first)
    if rest:
        more = counted(len(rest), "more intervention", "more interventions")
        made += folded(more, _table(heading, axis, rest))
    return made


def _table(heading: str, axis: Axis, groups: list[list[str]]) -> str:
    headings = [
        ("name", f"intervention, and its {heading}"),
        ("number", "share of the batch"),
        ("bars", axis.head()),
        ("number", "rows (expected)"),
    ]
    rows = [line for group in groups for line in group]
    return table("Shares of each intervention in each batch", headings, rows, "shares")


def _head(target: str) -> str:
    return row([f'<td role="cell" class="name" colspan="4"><b>{shown(target)}</b></td>'])


def _row(batch: str, line: Line | None, axis: Axis) -> str:
    status = None if line is None else line.get("status")
    mark = f" <span class='soft'>{shown(status)}</span>" if status not in {"found", None} else ""
    name = cell(f"<span class='in-batch'>{shown(batch)}{mark}</span>", "name")
    if line is None:
        nothing = cell("<span class='soft'>not found</span>", "number")
        return row([name, nothing, cell("", "bars"), cell("", "number")])
    return row(
        [
            name,
            cell(two(percent(line["weight"]), interval(line)), "number"),
            cell(bar(axis, *(line[key] for key in ("weight", "ci_low", "ci_high"))), "bars"),
            cell(f"{number(line['rows'])}<span class='unit'> rows</span>", "number"),
        ]
    )
