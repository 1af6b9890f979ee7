"""The report page: one self-contained HTML file, made from ``result.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite
from typing import Any

_DASH = "–"
#: Totals shown at first; the rest of the table folds out.
_SHOWN_TOTALS = 12

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5c6b7a; --line: #d9e0e7;
  --paper: #ffffff; --bar: #2f6db3; --whisker: #14365c; --warn: #8a3b00; --warn-bg: #fff3e6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --soft: #9aa8b5; --line: #33404d;
  --paper: #12181f; --bar: #5b9be0; --whisker: #d5e6fa; --warn: #ffc28a; --warn-bg: #3a2410; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p { max-width: 46rem; } .answer { font-size: 1.15rem; } .soft { color: var(--soft); }
.warn { color: var(--warn); background: var(--warn-bg); padding: .7rem 1rem; border-radius: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
td.number, th.number { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 9rem; }
td.bar { width: 34%; min-width: 9rem; } svg { display: block; width: 100%; height: 1.2rem; }
.bar-fill { fill: var(--bar); } .bar-line { stroke: var(--whisker); stroke-width: 2; }
summary { cursor: pointer; color: var(--soft); } code { overflow-wrap: anywhere; }
@media screen and (max-width: 38rem) { th:nth-child(3), td.bar { display: none; }
  th, td { padding: .3rem .3rem; font-size: .85rem; } td.name { min-width: 7rem; }
  th.number { white-space: normal; } }
@media print { body { max-width: none; padding: 0; } details::details-content {
  content-visibility: visible; block-size: auto; } tr { break-inside: avoid; }
  h2 { break-after: avoid; } svg { print-color-adjust: exact; } }
"""


def render_report(result: Mapping[str, Any]) -> str:
    """Render the report page.

    Parameters
    ----------
    result : mapping
        The content of ``result.json``. Nothing is computed here; what it does not hold is shown
        as a dash: numbers that are ``None``, not a number or infinite.

    Returns
    -------
    str
        A whole HTML page without any outside reference; every value is escaped.
    """
    parts = [
        "<h1>Interventions found by dosift</h1>",
        *(
            f'<p class="warn"><b>Do not trust this fit.</b> {escape(r)}</p>'
            for r in _reasons(result)
        ),
        f'<p class="answer">{_answer(result)}</p>',
        "<h2>How much of each single do</h2>",
        "<p class='soft'>Total weight of all interventions that set the variable so. These totals "
        "stay right when single interventions are hard to tell apart. The one-pass estimate needs "
        "no search; a large difference is a warning.</p>",
        _totals(result["variables"]),
        "<h2>Interventions</h2>",
        "<p class='soft'>Intervals are 95 % and take the interventions found and the network as "
        "given; what choosing them adds is not in them.</p>",
        _components(result["components"]),
        "<h2>Does the mixture describe the rows?</h2>",
        f"<p>{_fit_words(result['diagnostics'])}</p>",
        "<h2>Where this came from</h2>",
        _provenance(result),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>dosift report</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _reasons(result: Mapping[str, Any]) -> list[str]:
    """Return why the fit must not be trusted; never empty for a fit that is not trusted."""
    reasons = [str(reason) for reason in result.get("reasons") or ()]
    if not reasons and not result.get("trusted", True):
        reasons = ["The result says so and names no reason."]
    return reasons


def _answer(result: Mapping[str, Any]) -> str:
    components = result["components"]
    hits = [c for c in components if c["size"] > 0]
    if not hits:
        return "No intervention was found: the undisturbed network explains the rows best."
    weights = [_known(c["weight"]) for c in hits]
    share = sum(w for w in weights if w is not None) if None not in weights else None
    largest = max(hits, key=lambda c: _known(c["weight"]) or 0.0)
    noun = "intervention explains" if len(hits) == 1 else "interventions explain"
    interval = _interval(largest, percent=True)
    text = (
        f"{len(hits)} {noun} {_percent(share)} of the rows; the largest is "
        f"<b>{escape(largest['target'])}</b> with {_percent(largest['weight'])}{interval}."
    )
    if not _reasons(result) and (result["diagnostics"].get("fit_check") or {}).get("fits"):
        text += " The mixture describes the rows."
    return text


def _totals(variables: Sequence[Mapping[str, Any]]) -> str:
    # A rate that is unknown is shown; only one that is known to be zero is left out.
    lines = [v for v in variables if v["value"] not in {"", None} and _known(v["rate"]) != 0]
    head = _table(
        ("do", "total weight", "", "95 % interval", "one-pass estimate"),
        [_total_row(v) for v in lines[:_SHOWN_TOTALS]],
    )
    if len(lines) <= _SHOWN_TOTALS:
        return head
    rest = _table(
        ("do", "total weight", "", "95 % interval", "one-pass estimate"),
        [_total_row(v) for v in lines[_SHOWN_TOTALS:]],
    )
    return f"{head}<details><summary>{len(lines) - _SHOWN_TOTALS} more</summary>{rest}</details>"


def _total_row(line: Mapping[str, Any]) -> list[str]:
    name = f"{escape(line['variable'])} = {escape(line['value'])}"
    screen = _number(line["screen_rate"])
    if _known(line["screen_std_error"]) is not None:
        screen += f" ± {_number(line['screen_std_error'])}"
    return [
        f'<td class="name">{name}</td>',
        f'<td class="number">{_number(line["rate"])}</td>',
        f'<td class="bar">{_bar(line["rate"], line["ci_low"], line["ci_high"])}</td>',
        f'<td class="number">{_interval(line) or _DASH}</td>',
        f'<td class="number">{screen}</td>',
    ]


def _components(components: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            f'<td class="name">{escape(c["target"])}</td>',
            f'<td class="number">{_number(c["weight"])}</td>',
            f'<td class="bar">{_bar(c["weight"], c["ci_low"], c["ci_high"])}</td>',
            f'<td class="number">{_interval(c) or _DASH}</td>',
            f'<td class="number">{_number(c["rows"], 0)}</td>',
        ]
        for c in components
    ]
    return _table(("intervention", "weight", "", "95 % interval", "rows (expected)"), rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(
        f"<th{'' if k in (0, 2) else ' class=number'}>{escape(h)}</th>"
        for k, h in enumerate(headings)
    )
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _bar(value: float | None, low: float | None, high: float | None) -> str:
    """Draw a share in [0, 1] as a bar, with its interval as a line; nothing if unknown."""
    share, low, high = _known(value), _known(low), _known(high)
    if share is None:
        return ""
    line = ""
    if low is not None and high is not None:
        line = f'<line class="bar-line" x1="{low:.4f}" x2="{high:.4f}" y1="9" y2="9" />'
    label = escape(f"{share:.3f}")
    return (
        f'<svg viewBox="0 0 1 18" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<rect class="bar-fill" x="0" y="4" width="{share:.4f}" height="10" opacity=".55" />'
        f"{line}</svg>"
    )


def _fit_words(diagnostics: Mapping[str, Any]) -> str:
    check = diagnostics.get("fit_check")
    if not check:
        return "This was not checked."
    words = (
        f"{_number(check['n_pairs'], 0)} pairs of variables were compared with rows simulated "
        "from the fitted mixture; the smallest corrected p-value is "
        f"{_format(check['p_value'], '.2g')}. "
    )
    if check["fits"]:
        return words + "Nothing speaks against the mixture."
    pairs = "; ".join(
        f"{' with '.join(escape(name) for name in dict.fromkeys(pair['variables']))} "
        f"(p = {_format(pair['p_value'], '.1g')})"
        for pair in check["worst"]
    )
    return words + f"These deviate: {pairs}."


def _provenance(result: Mapping[str, Any]) -> str:
    diagnostics = result["diagnostics"]
    facts = [
        ("rows", _number(diagnostics["n_rows"], 0)),
        ("distinct rows", _number(diagnostics["n_configurations"], 0)),
        ("log-likelihood (nats)", _number(diagnostics["log_likelihood"], 2)),
        ("penalised score (nats)", _number(diagnostics["penalised_score"], 2)),
        ("optimality gap (nats a row)", _format(diagnostics["optimality_gap"], ".1e")),
        ("converged", {True: "yes", False: "no"}.get(diagnostics["converged"], _DASH)),
        *([] if "seed" in result["settings"] else [("seed", _text(result.get("seed")))]),
        *((f"setting: {k}", _text(v)) for k, v in result["settings"].items()),
        *((f"input {i['path']}", f"SHA-256 {_text(i['sha256'])}") for i in result["inputs"]),
        *((f"version: {k}", _text(v)) for k, v in result["versions"].items()),
        *((f"seconds: {k}", _text(v)) for k, v in result["timings"].items()),
    ]
    rows = [
        [f'<td class="name">{escape(k)}</td>', f"<td><code>{escape(v)}</code></td>"]
        for k, v in facts
    ]
    return (
        f"<details open><summary>Settings and checksums</summary>{_table(('', ''), rows)}</details>"
    )


def _known(value: float | None) -> float | None:
    """Return the number, or None if it is missing, not a number, or infinite."""
    return value if value is not None and isfinite(value) else None


def _number(value: float | None, digits: int = 3) -> str:
    return _format(value, f",.{digits}f")


def _format(value: float | None, form: str) -> str:
    known = _known(value)
    return _DASH if known is None else f"{known:{form}}"


def _text(value: object) -> str:
    unknown = value is None or (isinstance(value, float) and not isfinite(value))
    return _DASH if unknown else str(value)


def _percent(value: float | None) -> str:
    known = _known(value)
    return f"{_DASH if known is None else f'{100 * known:.1f}'} %"


def _interval(line: Mapping[str, Any], percent: bool = False) -> str:
    low, high = _known(line["ci_low"]), _known(line["ci_high"])
    if low is None or high is None:
        return ""
    if percent:
        return f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"[{low:.3f}, {high:.3f}]"
