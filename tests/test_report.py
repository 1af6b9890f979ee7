"""The report page: escaped, self-contained, and silent about what is not known."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import dosift
from dosift.report import render_report
from dosift.result import result_content

EVIL = "<script>alert('x')</script>\"&"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            assert name not in {"src", "href"}, value


def page(name: str = "a", state: str = "1") -> str:
    network = dosift.Network.from_tables({name: ["0", state]}, {}, {name: [0.5, 0.5]})
    truth = dosift.Mixture({dosift.do(): 0.5, dosift.do({name: state}): 0.5})
    rows = dosift.simulate(network, truth, 2000, random_state=0)
    model = dosift.InterventionMixture(network).fit(rows)
    content = result_content(model, settings={"seed": 0}, inputs=[], timings={"fit": 0.1})
    return render_report(content)


def test_hostile_names_stay_text() -> None:
    html = page(EVIL, EVIL)
    tags = Tags()
    tags.feed(html)
    assert "script" not in tags.names
    assert "&lt;script&gt;" in html


def test_the_page_needs_nothing_from_outside() -> None:
    assert re.findall(r"https?://|url\(|@import", page()) == []


def test_the_answer_comes_first_in_words() -> None:
    html = page()
    assert re.search(r"1 intervention explains \d+\.\d % of the rows", html)
    assert html.index("explains") < html.index("<table")


def test_unknown_numbers_are_dashes() -> None:
    network = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    truth = dosift.Mixture({dosift.do(a="1"): 1.0})
    model = dosift.InterventionMixture(network).fit(dosift.simulate(network, truth, 99, 0))
    content = result_content(model, settings={}, inputs=[], timings={})
    for row in content["components"]:
        row["ci_low"] = row["ci_high"] = None
    html = render_report(content)
    assert "nan" not in html.lower().replace("inherit", "")
    assert "None" not in html
