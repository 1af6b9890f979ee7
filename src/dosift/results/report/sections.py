"""The sections of the page that hold results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dosift.checks.verdict import FALLS, STANDS
from dosift.model.other import OTHER_TEXT
from dosift.results.report.content import Content, Line
from dosift.results.report.marks import (
    Axis,
    Column,
    bar,
    bar_and_screen,
    cell,
    folded,
    row,
    table,
    table_of,
    two,
)
from dosift.results.report.words import (
    clipped,
    counted,
    interval,
    known,
    number,
    percent,
    share,
    shown,
)
from dosift.results.verdict_words import headline

#: Variables whose rates are shown at first; the rest of the table folds out.
_SHOWN_RATES = 20
#: "No intervention" goes beyond the axis from this many times what the axis would be without it.
_MUCH = 2.0


def verdict_lines(content: Content) -> list[str]:
    """Say first whether the answer stands, why not, and what to do."""
    verdict = content.verdict
    value, told = str(verdict["value"]), f"<b>{shown(headline(str(verdict['value'])))}</b>"
    if value == FALLS:
        lines = [f'<p class="warn">{told} {shown(reason)}</p>' for reason in content.reasons]
    else:
        reasons = list(verdict.get("reasons") or content.reasons)
        words = " ".join(shown(reason) for reason in reasons)
        mark = "" if value == STANDS else ' class="warn"'
        lines = [f"<p{mark}>{told} {words}</p>"]
    if verdict["next"] and value != STANDS:
        lines.append(f"<p><b>Next:</b> {shown(verdict['next'])}.</p>")
    return lines


def answer(content: Content) -> str:
    """Say what was found, in words."""
    words = f"{_found(content)} {_changed(content)}{_fits(content)}"
    return f"<p class='answer'>{words}</p>{_largest_totals(content)}"


def _changed(content: Content) -> str:
    """Name the mechanisms that changed without being set."""
    names = [shown(clipped(m["variable"], 40)) for m in content.result.get("mechanisms") or ()]
    if not names:
        return ""
    what = "The mechanism" if len(names) == 1 else "The mechanisms"
    return f"{what} of <b>{', '.join(names)}</b> changed as well. "


def _found(content: Content) -> str:
    hits = content.hits
    if not hits:
        return "No intervention was found: the undisturbed network explains the rows best."
    weights = [known(c["weight"]) for c in hits]
    explained = sum(w for w in weights if w is not None) if None not in weights else None
    rest = [c for c in content.components if c["size"] == 0]
    # Of all interventions together the interval is known where the rest is one component.
    ends = [known(rest[0].get(key)) if len(rest) == 1 else None for key in ("ci_high", "ci_low")]
    low, high = (None if end is None else 1 - end for end in ends)
    total = share({"weight": explained, "ci_low": low, "ci_high": high})
    largest = max(hits, key=lambda c: known(c["weight"]) or 0.0)
    explains = "intervention explains" if len(hits) == 1 else "interventions explain"
    name = f"<b>{shown(clipped(largest['target'], 120))}</b>"
    found = f"It is {name}." if len(hits) == 1 else f"The largest is {name} with {share(largest)}."
    return f"<b>{len(hits)}</b> {explains} <b>{total}</b> of the {content.of}. {found}"


def _fits(content: Content) -> str:
    check = content.fit_check
    if not check:
        return "Whether the model fits these rows was not checked."
    if not check.get("fits"):
        if content.verdict["value"] == STANDS:
            return "The rows differ from the model, by so little that the answer stands."
        return "<b>The model does not fit these rows.</b>"
    if content.reasons:
        return "The fit check finds nothing, but see above."
    return "<b>The model fits these rows.</b>"


def _largest_totals(content: Content) -> str:
    """Name the largest totals: they stay right when single interventions are hard to tell apart."""
    if len(content.hits) < 2:
        return ""
    lines = [v for v in content.variables if v["value"] not in {"", None} and known(v["rate"])]
    if not lines:
        return ""
    parts = "; ".join(f"{_what(v, 40, '=')} {share(v, 'rate')}" for v in lines[:3])
    they = "do so" if content.has_numbers else "set them"
    return f"<p>Summed over all interventions that {they}: {parts}.</p>"


def _what(line: Line, width: int, equals: str) -> str:
    """Name a variable with its value, or the change of it, which names it itself."""
    value = shown(clipped(line["value"], width))
    if line.get("kind") not in {None, "do"}:
        return value
    return f"{shown(clipped(line['variable'], width))}{equals}{value}"


def components_section(content: Content) -> str:
    """Return the table of components."""
    hits = content.hits or content.components
    axis = Axis.up_to(c[key] for c in hits for key in ("weight", "ci_high"))
    # Much that nothing was done to would leave the interventions little room.
    rest = max(
        (known(c["ci_high"]) or 0.0 for c in content.components if c["size"] == 0), default=None
    )
    if rest is not None and rest <= _MUCH * axis.top:
        axis = Axis.up_to([axis.top, rest])
    rows = [_component_row(content, k, c, axis) for k, c in enumerate(content.components)]
    headings = [
        ("name", "intervention"),
        ("number", f"share of {content.of} [{content.level}]"),
        ("bars", axis.head()),
        ("number", "rows (expected)"),
    ]
    judged = any(known(c.get("probability")) is not None for c in content.components)
    if judged:
        headings.append(("number", "probably there"))
    caption = f"Interventions with their shares of the {content.of}"
    return (
        table(caption, headings, rows, "shares found")
        + f"<p class='soft'>{_what_intervals_mean(content, judged)}</p>"
    )


def _what_intervals_mean(content: Content, judged: bool) -> str:
    if not judged:
        return (
            f"Intervals are {content.level} and take the interventions found as given; what "
            "choosing them adds is not in them."
        )
    return (
        f"Intervals are {content.level}, for an intervention that is there, whichever others are. "
        "Among those marked found about one in twenty may be false at most, on average; of the "
        "undecided ones the rows are too few to tell."
    )


def _component_row(content: Content, k: int, component: Line, axis: Axis) -> str:
    target = shown(component["target"])
    attributes = ""
    if component["target"] == OTHER_TEXT:
        name = f"{target} <span class='soft'>rows from elsewhere</span>"
    elif component["size"] == 0:
        name = f"{target} <span class='soft'>no intervention</span>"
    elif content.parents is None:
        name = target
    else:
        name = f"<button type='button' class='pick' aria-pressed='false'>{target}</button>"
        note = (
            f"{component['target']}: {share(component)} of the {content.of}. Dashed arrows are cut."
        )
        attributes = f' data-c="{k}" data-note="{shown(note)}"{_highlights(content, component)}'
    if component.get("also"):
        name += f"<br><span class='soft'>together: {shown(component['also'])}</span>"
    shares = (component[key] for key in ("weight", "ci_low", "ci_high"))
    return row(
        [
            cell(name, "name"),
            cell(two(percent(component["weight"]), interval(component)), "number"),
            cell(bar(axis, *shares, stands=component.get("stands") is not False), "bars"),
            cell(f"{number(component['rows'])}<span class='unit'> rows</span>", "number"),
            *_probability(component),
        ],
        attributes,
    )


def _probability(component: Line) -> list[str]:
    if known(component.get("probability")) is None:
        return []
    status = "" if component.get("status") == "found" else shown(component.get("status") or "")
    if component.get("stands") is False:
        status = "does not stand"
    probability = f"{percent(component['probability'])}<span class='unit'> probable</span>"
    # `two` would draw a dash for a status that needs no word.
    return [cell(two(probability, status) if status else probability, "number")]


def _highlights(content: Content, component: Line) -> str:
    sets = content.sets(component)
    states = json.dumps([clipped(state, 11) for _, state in sets], ensure_ascii=True)
    return f' data-sets="{" ".join(str(i) for i, _ in sets)}" data-states="{shown(states)}"'


def rates_section(content: Content) -> str:
    """Return the table of totals for each variable and value, beside the one-pass rates."""
    groups = _rate_groups(content)
    if not groups:
        return "<p>No variable is set by any intervention.</p>"
    found = [g for g in groups if any(known(v["rate"]) != 0 for v in g)]
    seen = [g for g in groups if g not in found]
    axis = Axis.up_to(
        v.get(key)
        for g in groups
        for v in g
        for key in ("rate", "ci_high", "screen_rate", "screen_ci_high")
    )
    parts = [_rates_in_words(content), _rate_table(content, found[:_SHOWN_RATES], axis)]
    if found[_SHOWN_RATES:]:
        more = counted(len(found) - _SHOWN_RATES, "more variable", "more variables")
        parts.append(folded(more, _rate_table(content, found[_SHOWN_RATES:], axis)))
    if seen:
        n = counted(len(seen), "variable", "variables")
        parts.append(
            folded(
                f"{n} that no intervention found sets, but whose one-pass interval lies above zero",
                "<p class='soft'>With many variables some do so by chance.</p>"
                + _rate_table(content, seen, axis),
            )
        )
    return "".join(parts) + "<p class='soft'>All others are in <code>variables.csv</code>.</p>"


def _rates_in_words(content: Content) -> str:
    what = "How often each variable is set, and to what."
    if content.has_numbers:
        what = "How often each variable is set or changed, and how."
    words = (
        f"{what} Bars: the total weight of all interventions that do so; totals stay right when "
        "single interventions are hard to tell apart."
    )
    ring = ""
    if content.has_one_pass_rates or not content.has_numbers:
        words += (
            " Rings: the one-pass estimate, which needs no search; where the two differ by much, "
            "be careful."
        )
        ring = " <span class='key-ring'></span> one pass"
    return (
        f"<p class='soft'>{words}</p><p class='legend' aria-hidden='true'>"
        f"<span class='key-bar'></span>total{ring}; lines are {content.level} intervals; pale and "
        "dashed is what does not stand</p>"
    )


def _rate_groups(content: Content) -> list[list[Line]]:
    """Return the lines worth showing, by variable: its total, then its values."""
    groups: dict[str, list[Line]] = {}
    for line in content.variables:
        low = known(line.get("screen_ci_low"))
        # A rate that is unknown is shown; only one that is known to be zero is left out.
        if known(line["rate"]) != 0 or (low is not None and low > 0):
            own = groups.setdefault(line["variable"], [])
            is_total = line["value"] in {"", None}
            own.insert(0 if is_total else len(own), line)
    return list(groups.values())


def _rate_table(content: Content, groups: Sequence[Sequence[Line]], axis: Axis) -> str:
    headings = [
        ("name", "variable"),
        ("number", f"total [{content.level}]"),
        ("bars", axis.head()),
        ("number", f"{'change' if content.has_numbers else 'one pass'} [{content.level}]"),
    ]
    rows = [
        _rate_row(line, axis, content.has_numbers)
        for group in groups
        for line in _without_repetition(group)
    ]
    kind = "shares rates changed" if content.has_numbers else "shares rates"
    return table("Totals for each variable and value", headings, rows, kind)


def _without_repetition(group: Sequence[Line]) -> Sequence[Line]:
    """Leave out the total of a variable that has one value only."""
    return group[1:] if len(group) == 2 and group[0]["value"] in {"", None} else group


def _rate_row(line: Line, axis: Axis, has_numbers: bool) -> str:
    is_total = line["value"] in {"", None}
    name = shown(line["variable"])
    name = (
        f"<b>{name}</b> <span class='soft'>at all</span>" if is_total else _what(line, 200, " = ")
    )
    last = two(percent(line.get("screen_rate")), interval(line, "screen_ci_low", "screen_ci_high"))
    drawn = bar_and_screen(axis, dict(line))
    if has_numbers:
        last = _estimate(line)
        shares = (line.get(key) for key in ("rate", "ci_low", "ci_high"))
        drawn = bar(axis, *shares, stands=line.get("stands") is not False)
    return row(
        [
            cell(name, "name"),
            cell(two(percent(line["rate"]), interval(line)), "number"),
            cell(drawn, "bars"),
            cell(last, "number second"),
        ],
        " class='total'" if is_total else "",
    )


def _estimate(line: Line) -> str:
    """Write the number of a change, in the units of its column."""
    if not line.get("what"):
        return ""
    low, high = (known(line.get(f"estimate_ci_{end}")) for end in ("low", "high"))
    limits = "" if low is None or high is None else f"[{low:.4g}, {high:.4g}]"
    return two(f"{shown(line['what'])} {number(line.get('estimate'), '.4g')}", limits)


def certainty_section(content: Content) -> str:
    """Return how sure the rows are of their most probable component."""
    sure: dict[str, Any] = content.result.get("certainty") or {}
    impossible = known(sure.get("impossible", content.diagnostics.get("impossible_rows")))
    parts = []
    if impossible:
        rows = counted(impossible, "row", "rows")
        parts.append(f"<p class='warn'><b>No component explains {rows}.</b></p>")
    elif impossible == 0:
        parts.append("<p>Every row can come from some component.</p>")
    if not sure:
        return "".join(parts) + "<p class='soft'>This result holds nothing more on it.</p>"
    above = f"{number(100 * (known(sure.get('sure_above')) or 0.9), '.3g')}&nbsp;%"
    parts.insert(
        0,
        f"<p><b>{percent(sure.get('share_sure'))}</b> of the rows have a most probable "
        f"component with a probability above {above}. The others could come from several; "
        "totals count them in part, and <code>rows.parquet</code> has each row's probability.</p>",
    )
    parts.append(_histogram(sure))
    axis = Axis(1.0, 4)
    columns: tuple[Column, ...] = (
        ("name", "most probable", lambda line: shown(line["target"])),
        ("number", "rows", lambda line: number(line["rows"])),
        ("bars", axis.head(), lambda line: bar(axis, line["mean_probability"], None, None)),
        ("number second", "mean probability", lambda line: percent(line["mean_probability"])),
    )
    lines = sure.get("targets") or ()
    by_target = table_of("Rows by most probable component", columns, lines, "shares")
    return "".join(parts) + folded("By intervention", by_target)


def _histogram(sure: Line) -> str:
    edges, counts = sure.get("edges") or [], sure.get("counts") or []
    most = max(counts, default=0.0)
    if not most or len(edges) != len(counts) + 1:
        return ""
    threshold = known(sure.get("sure_above")) or 1.0
    bars = "".join(
        f'<rect class="{"bar" if low >= threshold - 1e-9 else "faint"}" x="{100 * low + 0.3:.2f}%" '
        f'width="{100 * (high - low) - 0.6:.2f}%" y="{120 * (1 - n / most):.1f}" '
        f'height="{120 * n / most:.1f}"><title>{100 * low:.0f} to {100 * high:.0f} %: '
        f"{counted(n, 'row', 'rows')}</title></rect>"
        for low, high, n in zip(edges[:-1], edges[1:], counts, strict=True)
    )
    label = f"Histogram; the highest bar is {counted(most, 'row', 'rows')}"
    return (
        f"<figure class='histogram'><svg width='100%' height='120' role='img' aria-label='{label}'>"
        f"{bars}</svg><span class='ticks' aria-hidden='true'><span>0</span><span>25</span>"
        "<span>50</span><span>75</span><span>100%</span></span><figcaption class='soft'>Rows by "
        f"the probability of their most probable component; the highest bar is "
        f"{counted(most, 'row', 'rows')}.</figcaption></figure>"
    )
