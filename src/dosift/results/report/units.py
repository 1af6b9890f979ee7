"""The section of the page on units: rows that share one intervention."""

from __future__ import annotations

from dosift.results.report.content import Content
from dosift.results.report.marks import Column, table_of
from dosift.results.report.words import counted, number, percent, shown


def units_section(content: Content) -> str:
    """Say how large units are and how sure; nothing if rows do not come in units."""
    found = content.result.get("units") or {}
    if not found:
        return ""
    smallest, largest = found.get("smallest"), found.get("largest")
    rows = number(smallest) if smallest == largest else f"{number(smallest)} to {number(largest)}"
    above = number(100 * float(found.get("sure_above") or 0.9), ".3g")
    words = [
        f"<p>The rows of each of {counted(found.get('n') or 0, 'unit', 'units')} (of {rows} rows) "
        "were hit by the same intervention. Shares and intervals on this page are of units. "
        f"<b>{percent(found.get('share_sure'))}</b> of the units have a most probable intervention "
        f"with a probability above {above}&nbsp;%; <code>units.parquet</code> has each.</p>"
    ]
    disagreeing = found.get("disagreeing") or 0
    if disagreeing:
        words.append(
            f"<p class='warn'><b>{counted(disagreeing, 'row', 'rows')} in "
            f"{counted(found.get('with_disagreeing') or 0, 'unit', 'units')} fit another "
            "intervention than their unit's</b> (<code>disagrees</code> in "
            "<code>rows.parquet</code>): was the intervention the same all the time, and is the "
            "column of units right?</p>"
        )
    dependence = found.get("dependence") or {}
    if dependence:
        words.append(
            "<p>Control rows of one unit have more in common than chance, so that each row of a "
            "unit counts for less in what it says of these variables (the design effect).</p>"
        )
        columns: tuple[Column, ...] = (
            ("name", "variable", lambda line: shown(line[0])),
            ("number", "correlation", lambda line: number(line[1], ".2f")),
        )
        caption = "Correlation within units of control rows"
        words.append(table_of(caption, columns, dependence.items()))
    return "".join(words)
