"""The section of the page on interventions in time: when which one held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dosift.results.report.content import Content, Line
from dosift.results.report.marks import Column, folded, table_of, two
from dosift.results.report.words import clipped, percent, shown
from dosift.results.timeline import (
    COLOURS,
    GREY,
    colours_of,
    drawn_stretches,
    series_name,
    timeline_in_words,
)

#: Stretches and units that are shown at once, and at all.
_SHOWN_LINES, _MOST_LINES, _MOST_UNITS, _MOST_DRAWN = 20, 500, 30, 2000
#: Height of a unit's line, and widths of the picture and of its names.
_LINE, _WIDTH, _NAMES = 22, 760, 110
_LETTERS = 'font-size="11" fill="currentColor"'
#: Characters of a date before its time.
_DATE = len("2026-03-01T")


def timeline_section(content: Content) -> str:
    """Return when which intervention held; nothing if rows came in no order."""
    found = content.result.get("timeline")
    if not found:
        return ""
    stretches = list(found["stretches"])
    colours = colours_of(content.components)
    words = " ".join(shown(line) for line in timeline_in_words(found))
    made = (
        f"<p>{words}</p><p class='soft'>Intervals are {content.level}. Times of onset and end are "
        "those of a stretch's first and last row. All of it is in <code>timeline.csv</code>.</p>"
    )
    made += _picture(stretches, colours) + _legend(colours)
    lines = stretches[:_MOST_LINES]
    made += _table(lines[:_SHOWN_LINES])
    if len(lines) > _SHOWN_LINES:
        left = len(stretches) - _SHOWN_LINES
        made += folded(f"{min(left, _MOST_LINES - _SHOWN_LINES):,} of {left:,} more stretches",
                       _table(lines[_SHOWN_LINES:]))  # fmt: skip
    return made


def _picture(stretches: list[Mapping[str, Any]], colours: dict[str, str]) -> str:
    units, start, end = drawn_stretches(stretches)
    names = list(dict.fromkeys(units))[:_MOST_UNITS]
    first, last = float(start.min()), float(end.max())
    scale = (_WIDTH - _NAMES) / max(last - first, 1e-300)
    place = {name: k for k, name in enumerate(names)}
    parts, n_drawn = [], 0
    for k, line in enumerate(stretches):
        colour = colours.get(str(line["target"]))
        if units[k] not in place or colour is None or n_drawn >= _MOST_DRAWN:
            continue
        n_drawn += 1
        x = _NAMES + (start[k] - first) * scale
        # Up to where the next one begins, as nothing is known in between.
        goes_on = k + 1 < len(stretches) and units[k + 1] == units[k]
        until = start[k + 1] if goes_on else end[k]
        width = max((until - start[k]) * scale, 0.7)
        y = place[units[k]] * _LINE + 4
        title = f"{line['target']}: {line['start']} to {line['end']}"
        parts.append(
            f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_LINE - 8}" '
            f'fill="{colour}" fill-opacity="{0.35 + 0.65 * float(line["probability"]):.2f}">'
            f"<title>{shown(title)}</title></rect>"
        )
    for name, k in place.items():
        y = k * _LINE + _LINE // 2
        parts.append(f'<text x="0" y="{y + 4}" {_LETTERS}>{shown(clipped(name, 16))}</text>')
        parts.append(
            f'<rect x="{_NAMES}" y="{k * _LINE + 4}" width="{_WIDTH - _NAMES}" '
            f'height="{_LINE - 8}" fill="none" stroke="{GREY}" stroke-opacity="0.4"/>'
        )
    height = len(names) * _LINE + 18
    ends = (stretches[int(start.argmin())]["start"], stretches[int(end.argmax())]["end"])
    for x, anchor, at in ((_NAMES, "start", ends[0]), (_WIDTH, "end", ends[1])):
        place_of = f'x="{x}" y="{height - 4}" text-anchor="{anchor}" {_LETTERS}'
        parts.append(f"<text {place_of}>{_moment(at)}</text>")
    return (
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {height}" width="100%" role="img" '
        f'aria-label="When which intervention held">{"".join(parts)}</svg>'
    )


def _legend(colours: dict[str, str]) -> str:
    marks = [
        f'<span><svg width="12" height="12" aria-hidden="true"><rect width="12" height="12" '
        f'fill="{colour}"/></svg> {shown(target)}</span>'
        for target, colour in list(colours.items())[: len(COLOURS)]
    ]
    return f"<p class='soft'>{' &ensp; '.join(marks)} &ensp; blank: no intervention</p>"


def _table(lines: Sequence[Line]) -> str:
    columns: tuple[Column, ...] = (
        ("name", "series", lambda line: shown(series_name(line))),
        ("name", "intervention", lambda line: shown(line["target"])),
        ("number", "from", lambda line: _moments(line, "start")),
        ("number", "to", lambda line: _moments(line, "end")),
        ("number", "probability", lambda line: percent(line["probability"])),
    )
    return table_of("When which intervention held", columns, lines, "stretches")


def _moments(line: Line, name: str) -> str:
    """Write onset or end with its interval."""
    at, low, high = (line[f"{name}{end}"] for end in ("", "_low", "_high"))
    own = _moment(at)
    if low == high == at:
        return own
    return two(own, f"({_moment(low, at)} to {_moment(high, at)})")


def _moment(at: object, other: object = None) -> str:
    """Write a time; of a timestamp without its date where that is another's."""
    text = str(at)
    if not isinstance(at, str):
        return shown(text)
    if isinstance(other, str) and other[:_DATE] == text[:_DATE]:
        return shown(text[_DATE:])
    return shown(text.replace("T", " "))
