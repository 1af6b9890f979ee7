"""What ``dosift fit`` prints at its end: the components, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dosift.cli.options import printable
from dosift.results.graph_words import asked_in_words, graph_in_words

if TYPE_CHECKING:
    from rich.table import Table

#: Components that are printed; all of them are in the files.
_MOST = 20
#: Columns of a terminal from which the interval, and the number of rows, have room.
_WITH_INTERVAL, _WITH_ROWS = 56, 66


def print_summary(content: dict[str, Any], output: Path) -> None:
    """Print the components as a table that fits, and on a terminal what to do next.

    Parameters
    ----------
    content : dict
        The content of ``result.json``.
    output : Path
        The result folder.
    """
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for line in _of_the_verdict(content):
        console.print(line)
    components = content["components"]
    console.print(_table(content, console.width))
    if len(components) > _MOST:
        rest = components[_MOST:]
        weight = sum(row["weight"] for row in rest)
        console.print(
            f"... and {len(rest)} more, with {weight:.3f} of the weight: "
            f"{escape(str(output / 'components.csv'))}",
            soft_wrap=True,
        )
    if any(_status(row) == "undecided" for row in components):
        console.print(
            "Undecided: too few rows to tell whether this intervention, or one like it, was there."
        )
    told = (content.get("verdict") or {}).get("reasons") or ()
    for line in _of_the_graph(content, output):
        if line in told:
            continue
        console.print(escape(printable(line)), soft_wrap=True)
    if content.get("timeline"):
        from dosift.results.timeline import timeline_in_words

        lines = [*timeline_in_words(content["timeline"]), f"Timeline: {output / 'timeline.csv'}"]
        console.print(escape(printable("\n".join(lines))), soft_wrap=True)
    disagreeing = (content.get("units") or {}).get("disagreeing")
    if disagreeing:
        console.print(
            f"{disagreeing:,} rows fit another intervention than their unit's (disagrees in "
            "rows.parquet): was it the same all the time, and is the column of units right?",
            soft_wrap=True,
        )
    if content.get("units"):
        console.print(
            f"Each unit's intervention: {escape(str(output / 'units.parquet'))}", soft_wrap=True
        )
    console.print(
        f"Report: {escape(str(output / 'report.html'))}\n"
        f"Each row's intervention: {escape(str(output / 'rows.parquet'))}",
        soft_wrap=True,
    )
    if console.is_terminal:
        objects = bool((content.get("graph_found") or {}).get("objects"))
        steps = next_steps(content["trusted"], output, objects, _next(content))
        console.print(escape(steps), soft_wrap=True)


def _of_the_verdict(content: dict[str, Any]) -> list[str]:
    """Say whether the answer stands, and why not."""
    from rich.markup import escape

    from dosift.checks.verdict import FALLS, STANDS
    from dosift.results.verdict_words import headline

    verdict = content.get("verdict") or {}
    value = verdict.get("value") or (STANDS if content["trusted"] else FALLS)
    reasons = list(verdict.get("reasons") or content["reasons"])
    if value == FALLS:
        return [f"[bold]{headline(value)}[/] {escape(printable(one))}" for one in reasons]
    if not verdict:
        return []
    return [f"[bold]{headline(value)}[/]", *(escape(printable(one)) for one in reasons)]


def _next(content: dict[str, Any]) -> str | None:
    """Say the one thing to do, where an answer does not stand as a whole."""
    verdict = content.get("verdict") or {}
    return None if verdict.get("value") in {None, "stands"} else verdict.get("next")


def _of_the_graph(content: dict[str, Any], output: Path) -> list[str]:
    """Say what the rows say of the graph, as far as the reasons do not say it."""
    found = content.get("graph_found")
    if not found:
        return []
    asked = None if found.get("objects") else asked_in_words(found)
    lines = [f"{graph_in_words(found)}; see {output / 'graph.csv'}"]
    return [*lines, *([asked] if asked else []), *(found.get("notices") or ())]


def next_steps(trusted: bool, output: Path, objects: bool = False, step: str | None = None) -> str:
    """Say what one would do next.

    Parameters
    ----------
    trusted : bool
        Whether nothing speaks against the fit.
    output : Path
        The result folder.
    objects : bool, default=False
        Whether the rows ask for another graph than the one that was given.
    step : str, optional
        What the verdict says.

    Returns
    -------
    str
        Lines of text.

    Examples
    --------
    >>> print(next_steps(True, Path("out")))
    Next: open the report in a browser, or assign new rows with
      dosift assign out NEW_ROWS.csv -o assigned.csv
    """
    if step is not None and not objects:
        return f"Next: {step}."
    if trusted and not objects:
        return (
            "Next: open the report in a browser, or assign new rows with\n"
            f"  dosift assign {output} NEW_ROWS.csv -o assigned.csv"
        )
    if objects:
        return (
            "Next: let the rows repair the graph, with\n"
            "  --edges repair\n"
            "and open the report in a browser. Otherwise correct the graph, or believe totals "
            "(variables.csv) rather than single interventions."
        )
    return (
        "Next: open the report in a browser and read what its first lines object to. If a "
        "mechanism changed, fit again with\n"
        "  --interventions any\n"
        "If the graph may be wrong, correct it, or believe totals (variables.csv) rather than "
        "single interventions."
    )


def _status(row: dict[str, Any]) -> str:
    """Return the status of a component, as far as it stands."""
    return "does not stand" if row.get("stands") is False else row["status"] or "-"


def _table(content: dict[str, Any], width: int) -> Table:
    from rich.markup import escape
    from rich.table import Table

    components = content["components"]
    diagnostics = content["diagnostics"]
    rows, n_units = f"{diagnostics['n_rows']:,.0f} rows", diagnostics.get("n_units")
    among = rows if n_units is None else f"{n_units:,.0f} units of {rows}"
    n = f"{len(components)} component{'' if len(components) == 1 else 's'}"
    table = Table(title=f"{n} in {among}")
    table.add_column("intervention", overflow="fold")
    undecided = any(_status(row) not in {"found", "-"} for row in components)
    headings = ["weight"]
    headings += [f"{100 * content['level']:g} % interval"] if width >= _WITH_INTERVAL else []
    headings += ["rows"] if width >= _WITH_ROWS else []
    headings += ["status"] if undecided else []
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in components[:_MOST]:
        cells = [f"{row['weight']:.3f}"]
        if width >= _WITH_INTERVAL:
            known = row["ci_low"] is not None
            cells.append(f"{row['ci_low']:.3f} - {row['ci_high']:.3f}" if known else "-")
        cells += [f"{row['rows']:,.0f}"] if width >= _WITH_ROWS else []
        cells += [_status(row)] if undecided else []
        table.add_row(escape(printable(row["target"])), *cells)
    return table
