"""The sections of the page that say what may be believed."""

from __future__ import annotations

from dosift.results.report.content import Content, Line
from dosift.results.report.marks import Column, cell, row, table, table_of, two
from dosift.results.report.words import DASH, counted, interval, known, number, percent, shown

#: What the verdict on identifiability means in a word.
_VERDICTS = {
    "unique": "Yes.",
    "identified": "Yes, among mixtures that leave a value of each variable unset.",
    "not guaranteed": "Not guaranteed.",
}


def fit_section(content: Content) -> str:
    """Say whether the mixture describes the rows, and where it does not."""
    check = content.fit_check
    if not check:
        return "<p>This was not checked.</p>"
    mechanisms = known(check.get("n_mechanisms")) or 0
    words = (
        f"{counted(known(check.get('n_pairs')) or 0, 'pair', 'pairs')} of variables"
        + (f" and {counted(mechanisms, 'mechanism', 'mechanisms')}" if mechanisms else "")
        + " were compared with rows simulated from the fitted mixture; the smallest p-value, "
        f"corrected for their number, is {number(check.get('p_value'), '.2g')}."
    )
    others = f"{_unexplained(content)} {_held_out(content)}"
    if check.get("fits"):
        return f"<p>{words} Nothing speaks against the mixture. {others}</p>"
    return _changed(content) + f"<p>{words} {others}</p>" + _deviations(content)


def _unexplained(content: Content) -> str:
    rows = known(content.diagnostics.get("unexplained_rows"))
    if rows is None:
        return ""
    if not rows:
        return "No row is so surprising that the mixture hardly made it."
    return (
        f"{counted(rows, 'row is', 'rows are')} so surprising that the mixture hardly made "
        "them; they are marked in <code>rows.parquet</code>."
    )


def _held_out(content: Content) -> str:
    """Say what the mixture is worth on rows that did not teach it."""
    found = content.result.get("held_out")
    if not found:
        return ""
    impossible = known(found.get("impossible")) or 0
    ruled_out = f" {counted(impossible, 'row', 'rows')} had probability zero." if impossible else ""
    return (
        f"Held out in {number(found.get('folds'), '.0f')} folds, a row is "
        f"{number(found.get('gain'), ',.3f')} nats (standard error "
        f"{number(found.get('std_error'), ',.3f')}) more probable under the mixture than under the "
        f"undisturbed network.{ruled_out}"
    )


def _changed(content: Content) -> str:
    """Name the mechanism that explains the rows better when its table is freed."""
    changed = content.fit_check.get("changed")
    if not changed:
        return ""
    return (
        f"<p class='warn'><b>The mechanism of {shown(changed['variable'])} changed in a way that "
        "is no do-intervention</b>, or the network is wrong there: with a table of its own "
        f"({number(changed.get('distance'), '.2f')} away in total variation) in place of the "
        "components that stand in for it, the rows become "
        f"{number(changed.get('gain'), ',.0f')} nats more probable "
        f"(p = {number(changed.get('p_value'), '.1g')}). "
        "Fit with <code>--interventions any</code>.</p>"
    )


def _deviations(content: Content) -> str:
    """List what deviates, worst first."""
    check = content.fit_check
    lines = [*(check.get("mechanisms") or ()), *(check.get("worst") or ())]
    if not lines:
        return ""
    rows = []
    for line in sorted(lines, key=lambda one: float(one["p_value"])):
        names = list(dict.fromkeys(str(name) for name in line["variables"]))
        at = " ".join(str(content.positions[n]) for n in names if n in content.positions)
        text = " with ".join(shown(n) for n in names)
        spoken = " with ".join(names)
        if len(names) > 2:
            text, spoken = f"{shown(names[-1])} given its parents", f"{names[-1]} given its parents"
        pick = f"<button type='button' class='pick' aria-pressed='false'>{text}</button>"
        note = f"The fit check fails at {spoken}."
        attributes = f' data-sets="{at}" data-note="{shown(note)}" data-fails="1"'
        has_graph = content.parents is not None
        rows.append(
            row(
                [
                    cell(pick if has_graph else text, "name"),
                    cell(number(line.get("distance"), ".2f"), "number"),
                    cell(number(line["p_value"], ".1g"), "number"),
                ],
                attributes if has_graph else "",
            )
        )
    headings = [
        ("name", "these deviate, worst first"),
        ("number", "by (total variation)"),
        ("number", "p, corrected"),
    ]
    cause = "A mechanism changed there in a way that is no do-intervention"
    if content.has_numbers:
        cause = "Something was done there that no change of the kinds tried describes"
    return f"<p>{cause}, or the network is wrong there.</p>" + table(
        "Where the mixture does not fit", headings, rows, "narrow"
    )


def missing_section(content: Content) -> str:
    """Say which values are missing; nothing if none are."""
    found = content.result.get("missing_values") or {}
    if not known(found.get("rows")):
        return ""
    lines = found.get("variables") or ()

    def p_value(line: Line) -> str:
        return number(line["p_value"], ".1g") if line.get("depends_on") else ""

    columns = (
        _named("variable"),
        ("number", "missing", lambda line: percent(line.get("share"))),
        ("name", "more or less often, by", lambda line: shown(line.get("depends_on") or "")),
        ("number", "p, corrected", p_value),
    )
    depends = any(line.get("depends_on") for line in lines)
    verdict = (
        "Some are <b>not missing completely at random</b>. That does no harm if it depends on "
        "observed values alone; if it depends on the missing value itself, the shares are biased."
        if depends
        else "Nothing shows that they are missing other than at random."
    )
    return (
        f"<p>{counted(found['rows'], 'row lacks', 'rows lack')} a value; what they could be is "
        f"summed over, so that such rows count too. {verdict}</p>"
        + table_of("Missing values of each variable", columns, lines, "narrow")
    )


def bootstrap_section(content: Content) -> str:
    """Return what was found again in resampled rows; nothing if nothing was resampled."""
    lines = content.result.get("bootstrap")
    if not lines:
        return ""
    settings = content.result.get("settings") or {}
    times = counted(known(settings.get("resamples")) or 0, "time", "times")
    columns = (
        _named("intervention", "target"),
        ("number", "share here", lambda line: percent(line.get("weight"))),
        ("number second", f"in resamples [{content.level}]", lambda line: interval(line) or DASH),
        ("number", "found in", lambda line: percent(line.get("share_found"))),
    )
    return (
        f"<p class='soft'>Rows were drawn anew {times}, and the whole search done again. What is "
        "found in few of them is not to be relied on; a share of 0 here marks what only resamples "
        "found.</p>" + table_of("Interventions in resampled rows", columns, lines, "narrow")
    )


def near_equivalent_section(content: Content) -> str:
    """Return which targets the rows hardly tell apart; nothing if the result does not say."""
    lines = [
        {**other, "found": component["target"]}
        for component in content.components
        for other in component.get("confusable") or ()
    ]
    if not lines:
        return ""
    columns = (
        _named("found"),
        _named("could as well be", "target"),
        ("number", "loss (nats)", lambda line: number(line.get("loss"), ",.1f")),
    )
    return (
        "<p class='soft'>The loss is how much less probable the rows become, as a logarithm, with "
        "the other one in place of the one found: below about 2 the rows hardly tell them "
        "apart.</p>" + table_of("Targets that are hard to tell apart", columns, lines, "narrow")
    )


def undecided_section(content: Content) -> str:
    """Return the targets that were left out and may be there; nothing if the result has none."""
    lines = content.result.get("undecided")
    if not lines:
        return ""
    share = f"its share, if so [{content.level}]"
    columns = (
        _named("left out", "target"),
        ("number", "probability that it is there", lambda line: percent(line.get("probability"))),
        ("number second", share, lambda line: interval(line) or DASH),
    )
    return (
        "<p class='soft'>The rows are too few to decide on these. They are not among the "
        "interventions above; their rows are counted to others.</p>"
        + table_of("Undecided targets that were left out", columns, lines, "narrow")
    )


def families_section(content: Content) -> str:
    """Return groups of components that share what they set; nothing if the result has none."""
    lines = content.result.get("families")
    if not lines:
        return ""
    columns = (
        _named("in common", "target"),
        _share(f"together [{content.level}]"),
        ("name", "components", lambda line: "; ".join(map(shown, line.get("components") or ()))),
    )
    return table_of("Components that share what they set", columns, lines, "narrow")


def soft_section(content: Content) -> str:
    """Return stochastic interventions and changed mechanisms; nothing if there are none."""
    return _stochastic(content) + _mechanisms(content)


def _stochastic(content: Content) -> str:
    """List interventions that draw a value instead of fixing it, with its distribution."""
    every = content.result.get("interventions") or ()
    lines = [line for line in every if line.get("kind") == "stochastic"]
    if not lines:
        return ""

    def values(line: Line) -> str:
        return "; ".join(
            f"{shown(value.get('target', DASH))}: {percent(value.get('share'))}"
            for value in line.get("values") or ()
        )

    columns = (
        ("name", "set together", lambda line: ", ".join(map(shown, line.get("variables") or ()))),
        _share(f"share of the {content.of} [{content.level}]"),
        ("name", "values, and their shares of it", values),
    )
    return table_of("Stochastic interventions", columns, lines, "narrow")


def _mechanisms(content: Content) -> str:
    """List mechanisms that changed without being set."""
    lines = content.result.get("mechanisms")
    if not lines:
        return ""
    least = "at least in this share of the rows"
    columns = (
        _named("changed mechanism", "variable"),
        ("number", "moved by (total variation)", lambda line: number(line.get("distance"), ".2f")),
        ("number", least, lambda line: percent(line.get("least_share"))),
        ("number", "gain (nats)", lambda line: number(line.get("gain"), ",.0f")),
    )
    return (
        "<p>These variables still depend on their parents, but in another way than the network "
        "says. They are no components of the mixture: they were learned from the rows."
        "</p>" + table_of("Mechanisms that changed", columns, lines, "narrow")
    )


def unique_section(content: Content) -> str:
    """Say whether another mixture has the same distribution; nothing if the result does not say."""
    verdict = content.result.get("identifiability") or {}
    if not verdict.get("meaning"):
        return ""
    title = _VERDICTS.get(str(verdict.get("status")), "")
    reasons = "".join(f"<li>{shown(reason)}</li>" for reason in verdict.get("reasons") or ())
    return (
        f"<p><b>{title}</b> {shown(verdict['meaning'])}</p>"
        + (f"<ul>{reasons}</ul>" if reasons else "")
        + "<p class='soft'>This takes the mixture found as the truth: with endless rows, could "
        "another explanation do as well?</p>"
    )


def _named(heading: str, key: str | None = None) -> Column:
    """Return a column of names; the field is called as the heading is if nothing else is said."""
    return "name", heading, lambda line: shown(line.get(key or heading, DASH))


def _share(heading: str) -> Column:
    """Return a column of weights with their intervals."""
    return "number", heading, lambda line: two(percent(line.get("weight")), interval(line))
