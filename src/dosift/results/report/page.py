"""The page as a whole."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from dosift.results.report.batches import batches_section
from dosift.results.report.content import Content
from dosift.results.report.densities import densities_section
from dosift.results.report.graph import graph_section
from dosift.results.report.marks import Column, folded, table_of
from dosift.results.report.posterior import (
    bootstrap_section,
    families_section,
    fit_section,
    missing_section,
    near_equivalent_section,
    soft_section,
    undecided_section,
    unique_section,
)
from dosift.results.report.sections import (
    answer,
    certainty_section,
    components_section,
    rates_section,
    verdict_lines,
)
from dosift.results.report.timeline import timeline_section
from dosift.results.report.units import units_section
from dosift.results.report.words import number, plain, shown


def render_report(result: Mapping[str, Any]) -> str:
    """Render the report page.

    Parameters
    ----------
    result : mapping
        The content of ``result.json``. Nothing is computed here; what it does not hold is shown
        as a dash (numbers that are ``None``, not a number or infinite) or left out (sections).

    Returns
    -------
    str
        A whole HTML page without any outside reference; every value is escaped.
    """
    content = Content(result)
    top = [
        "<h1>Interventions found by dosift</h1>",
        *verdict_lines(content),
        answer(content),
    ]
    sections = [
        ("interventions", "Interventions", components_section(content)),
        ("graph", "Causal graph", graph_section(content)),
        ("soft", "Soft interventions", soft_section(content)),
        ("batches", "Batches", batches_section(content)),
        ("units", "Units", units_section(content)),
        ("timeline", "In time", timeline_section(content)),
        ("rates", "How often each variable is set", rates_section(content)),
        ("densities", "What was done to numbers", densities_section(content)),
        ("certainty", "How sure the rows are", certainty_section(content)),
        ("fit", "Does the model fit?", fit_section(content)),
        ("missing", "Missing values", missing_section(content)),
        ("resamples", "Found again in resampled rows?", bootstrap_section(content)),
        ("unique", "Is this the only answer?", unique_section(content)),
        ("confusable", "Hard to tell apart", near_equivalent_section(content)),
        ("undecided", "Undecided", undecided_section(content)),
        ("families", "Families", families_section(content)),
        ("origin", "Settings and origin", _origin(content)),
    ]
    return _page("\n".join(top), [s for s in sections if s[2]])


def _page(top: str, sections: list[tuple[str, str, str]]) -> str:
    style, script = (_part("report.css"), _part("report.js"))
    digest = b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    # Nothing may be loaded, and no other script may run, whatever the values hold.
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    links = " ".join(f'<a href="#{key}">{title}</a>' for key, title, _ in sections)
    body = "\n".join(
        f'<section id="{key}"><h2>{title}</h2>\n{text}\n</section>' for key, title, text in sections
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>dosift report</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<button type="button" id="theme" class="needs-script">Dark</button>\n'
        f'<header>\n{top}\n<nav aria-label="Sections">{links}</nav>\n</header>\n'
        f"<main>\n{body}\n</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _part(name: str) -> str:
    return (files("dosift.results.report") / name).read_text(encoding="utf-8")


def _origin(content: Content) -> str:
    result, diagnostics = content.result, content.diagnostics
    settings = dict(result.get("settings") or {})
    facts: list[tuple[str, str]] = [
        ("rows", number(diagnostics.get("n_rows"))),
        *(
            [("units", number(diagnostics["n_units"]))]
            if diagnostics.get("n_units") is not None
            else []
        ),
        ("distinct rows", number(diagnostics.get("n_configurations"))),
        ("log-likelihood (nats)", number(diagnostics.get("log_likelihood"), ",.2f")),
        ("penalised score (nats)", number(diagnostics.get("penalised_score"), ",.2f")),
        ("optimality gap (nats a row)", number(diagnostics.get("optimality_gap"), ".1e")),
        ("converged", plain(diagnostics.get("converged"))),
        *([] if "seed" in settings else [("seed", plain(result.get("seed")))]),
        *((key, plain(value)) for key, value in settings.items()),
        *((str(i["path"]), f"SHA-256 {plain(i['sha256'])}") for i in result.get("inputs") or ()),
        *((f"version of {k}", plain(v)) for k, v in (result.get("versions") or {}).items()),
        *((f"seconds to {k}", plain(v)) for k, v in (result.get("timings") or {}).items()),
    ]
    columns: tuple[Column, ...] = (
        ("name", "what", lambda fact: shown(fact[0])),
        ("", "value", lambda fact: f"<code>{shown(fact[1])}</code>"),
    )
    made = table_of("Settings, inputs and versions", columns, facts, "narrow")
    return folded("Numbers of the fit, settings, inputs, versions", made, opened=True)
