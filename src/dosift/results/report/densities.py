"""The section of the page that draws what numbers look like, and what was done to them."""

from __future__ import annotations

from collections.abc import Sequence

from dosift.results.report.content import Content, Line
from dosift.results.report.marks import folded
from dosift.results.report.words import clipped, known, shown

#: Variables drawn at once, curves of changes in a drawing, and the height of one in pixels.
_SHOWN, _CURVES, _HEIGHT = 6, 6, 120
#: Numbers written below a drawing.
_TICKS = 5
_SCALES = {
    "log": "on a logarithmic scale",
    "logit": "on the scale of log odds",
    "count": "on the scale of log(1 + count)",
}


def densities_section(content: Content) -> str:
    """Draw each number that interventions touch; nothing if there is none."""
    found = [one for one in content.result.get("densities") or () if _can_be_drawn(one)]
    if not found:
        return ""
    rates = {name: known(line.get("rate")) or 0.0 for name, line in content.totals.items()}
    found.sort(key=lambda one: -rates.get(str(one["variable"]), 0.0))
    drawn = [_drawing(one) for one in found]
    words = (
        "<p class='soft'>Control rows (dotted), all mixture rows (grey), and the rows under each "
        "change (coloured): a row counts for a change by the probability that it came from there. "
        "Each curve is scaled by its own rows, so that heights say nothing of shares.</p>"
    )
    more = drawn[_SHOWN:]
    rest = folded(f"{len(more)} more", "".join(more)) if more else ""
    return words + "".join(drawn[:_SHOWN]) + rest


def _can_be_drawn(one: Line) -> bool:
    edges, curves = one.get("edges") or [], one.get("curves") or []
    return bool(curves) and all(len(c.get("shares") or ()) == len(edges) - 1 > 0 for c in curves)


def _drawing(one: Line) -> str:
    curves = {str(c["of"]): [known(v) or 0.0 for v in c["shares"]] for c in one["curves"]}
    changes = [name for name in curves if name not in {"control", "pool"}]
    most = max(max(shares) for shares in curves.values()) or 1.0
    n_bins = len(one["edges"]) - 1
    parts, legend = [], []
    for name, kind in (("pool", "of-pool"), ("control", "of-control")):
        if name in curves:
            parts.append(_curve(curves[name], most, kind, closed=name == "pool"))
            legend.append(_key(kind, "mixture rows" if name == "pool" else "control rows"))
    for k, name in enumerate(changes[:_CURVES]):
        parts.append(_curve(curves[name], most, f"of-change c{k}"))
        legend.append(_key(f"of-change c{k}", clipped(name, 60)))
    left_out = len(changes) - _CURVES
    if left_out > 0:
        legend.append(f"<span>and {left_out} more</span>")
    title = shown(clipped(one["variable"], 60))
    scale = _SCALES.get(str(one.get("scale")), "")
    label = f"Histograms of {title}"
    return (
        f"<figure class='histogram density'><figcaption><b>{title}</b> "
        f"<span class='soft'>{scale}</span></figcaption>"
        f"<svg width='100%' height='{_HEIGHT}' viewBox='0 0 {n_bins} 100' "
        f"preserveAspectRatio='none' role='img' aria-label='{label}'>{''.join(parts)}</svg>"
        f"{_ticks(one['edges'])}<div class='legend'>{' '.join(legend)}</div></figure>"
    )


def _curve(shares: Sequence[float], most: float, kind: str, closed: bool = False) -> str:
    """Draw a histogram as steps."""
    at = [f"{100.0 - 98.0 * share / most:.1f}" for share in shares]
    path = f"M0 {at[0]}" + "".join(f"H{k + 1}" + _down(at, k) for k in range(len(at)))
    if closed:
        path = f"M0 100V{at[0]}{path.removeprefix(f'M0 {at[0]}')}V100Z"
    return f'<path class="{kind}" d="{path}"/>'


def _down(at: Sequence[str], k: int) -> str:
    return f"V{at[k + 1]}" if k + 1 < len(at) else ""


def _key(kind: str, text: str) -> str:
    line = f'<svg width="26" height="8" aria-hidden="true"><path class="{kind}" d="M0 4H26"/></svg>'
    return f'<span class="key-curve">{line} {shown(text)}</span>'


def _ticks(edges: Sequence[object]) -> str:
    last = len(edges) - 1
    places = [round(last * k / (_TICKS - 1)) for k in range(_TICKS)]
    values = [known(edges[place]) for place in places]
    # Ends of the bins of counts lie between whole numbers.
    spans = "".join(f"<span>{'' if v is None else f'{v:.4g}'}</span>" for v in values)
    return f"<span class='ticks' aria-hidden='true'>{spans}</span>"
