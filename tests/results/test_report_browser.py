"""The report page in a real browser: nothing is loaded, nothing fails, people can use it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dosift
from dosift.results.folder import result_content
from dosift.results.report import render_report

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra 'browser')"
)
NAMES = ("chromium", "chromium-browser", "chrome", "google-chrome")
CHROMIUM = os.environ.get("DOSIFT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&"
FORMULA = "=cmd()|'\u202e\x01{{x}}" + "y" * 300


def content(network: dosift.Network, truth: dosift.Mixture, n: int = 3000) -> dict[str, Any]:
    rows = dosift.simulate(network, truth, n, random_state=0)
    model = dosift.InterventionMixture(network).fit(rows)
    return result_content(model, settings={"seed": 0}, inputs=[], timings={"fit": 0.1})


def chain() -> dict[str, Any]:
    do = dosift.do
    network = dosift.Network.from_tables(
        {"a": "01", "b": "01", "c": "01"},
        {"b": "a", "c": "b"},
        {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.2, 0.8]], "c": [[0.8, 0.2], [0.1, 0.9]]},
    )
    return content(network, dosift.Mixture({do(): 0.4, do(b="1"): 0.35, do(a="0", c="1"): 0.25}))


def hostile() -> dict[str, Any]:
    network = dosift.Network.from_tables(
        {EVIL: ["0", EVIL], FORMULA: ["0", FORMULA]},
        {FORMULA: [EVIL]},
        {EVIL: [0.5, 0.5], FORMULA: [[0.7, 0.3], [0.4, 0.6]]},
    )
    truth = {dosift.do(): 0.5, dosift.do({EVIL: EVIL}): 0.3, dosift.do({FORMULA: FORMULA}): 0.2}
    return content(network, dosift.Mixture(truth))


def large() -> dict[str, Any]:
    """Make the result of 200 variables by hand: a fit would take too long here."""
    network = dosift.random_network(200, graph="scale-free", n_states=2, random_state=5)
    result = chain()
    lines = result["variables"]
    line = next(v for v in lines if v["value"] == "1")
    names = network.names
    sets = ["V3", "V40", "V120"]
    result["variables"] = [
        {**line, "variable": name, "value": value, "rate": 0.2 if name in sets else 0.0}
        for name in names
        for value in ("", "1", "0")
    ]
    result["components"][1]["target"] = "do(V3=1, V40=1)"
    result["components"][2]["target"] = "do(V120=1)"
    result["graph"] = {
        name: [names[p] for p in parents]
        for name, parents in zip(names, network.parents, strict=True)
    }
    return result


def misfit() -> dict[str, Any]:
    result = chain()
    result["trusted"], result["reasons"] = False, ["The mixture does not describe the rows."]
    worst = [{"variables": ["a", "b"], "p_value": 1e-9}, {"variables": ["c"], "p_value": 1e-5}]
    result["diagnostics"]["fit_check"] |= {"fits": False, "p_value": 1e-9, "worst": worst}
    result["certainty"]["impossible"] = 12.0
    return result


def crowded() -> dict[str, Any]:
    """Many interventions, undecided ones, batches, missing values and resamples."""
    result = chain()
    line = result["components"][1]
    result["components"] = [
        {
            **line,
            "target": f"do(a={k}, b=1, c={k})",
            "weight": 0.5 / (k + 1),
            "probability": 1 / (k + 1),
            "status": "found" if k < 9 else "undecided",
        }
        for k in range(30)
    ]
    result["batches"] = [
        {**one, "batch": f"donor {b}"}
        for b in range(5)
        for one in result["components"]
        if b != 2 or one["status"] == "found"
    ]
    result["missing_values"] = {
        "rows": 12.0,
        "variables": [
            {"variable": "a", "share": 0.004, "depends_on": "b", "p_value": 1e-7},
            {"variable": "c", "share": 0.001, "depends_on": None, "p_value": None},
        ],
    }
    result["bootstrap"] = [
        {**one, "std_error": 0.1, "share_found": 0.9} for one in result["components"]
    ]
    return result


def repaired() -> dict[str, Any]:
    """Edges of every status, and what is said of them."""
    result = chain()
    statuses = {("a", "b"): ("open", 0.52), ("b", "c"): ("reversed", 0.81)}
    edges = [
        {"parent": parent, "child": child, "probability": probability, "status": status}
        for (parent, child), (status, probability) in statuses.items()
    ]
    edges.append({"parent": "c", "child": "a", "probability": 0.01, "status": "removed"})
    result["graph_found"] = {
        "edges": edges,
        "fixed": False,
        "learned": False,
        "asked": [],
        "change": 0.0,
        "objects": False,
        "graphs": 2,
        "common_causes": [{"variables": ["a", "c"], "p_value": 1e-9}],
        "notices": ["A hidden common cause seems to be behind a and c."],
    }
    return result


RESULTS = {
    "chain": chain,
    "hostile": hostile,
    "large": large,
    "misfit": misfit,
    "crowded": crowded,
    "repaired": repaired,
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    for name, make in RESULTS.items():
        (folder / f"{name}.html").write_text(render_report(make()), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in RESULTS}


class Visit:
    """An open page that remembers what it asked for and what it complained of."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(path.as_uri())

    def counted(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def check(self) -> None:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith("data:")] == self.requests[:1]


@pytest.mark.parametrize("name", list(RESULTS))
@pytest.mark.parametrize("width", [360, 800, 1130, 1280])
def test_numbers_and_bars_stay_in_their_cells(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    visit = Visit(browser, pages[name], viewport={"width": width, "height": 740})
    outside = visit.page.evaluate(
        """() => {
          document.querySelectorAll('details').forEach(e => { e.open = true; });
          const out = [];
          for (const cell of document.querySelectorAll('td')) {
            if (!cell.textContent.trim() || cell.querySelector('svg')) continue;
            const range = document.createRange();
            range.selectNodeContents(cell);
            const own = cell.getBoundingClientRect(), held = range.getBoundingClientRect();
            if (held.right > own.right + 4 || held.left < own.left - 4)
              out.push(cell.textContent);
          }
          return out;
        }"""
    )
    assert outside == []


@pytest.mark.parametrize("name", list(RESULTS))
@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_loaded_nothing_fails_and_no_page_is_too_wide(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    visit = Visit(browser, pages[name], viewport={"width": width, "height": 740})
    visit.page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert pages[name].stat().st_size < 1_000_000
    for button in visit.page.locator(".pick").all()[:5]:
        button.click()
    visit.check()


def test_pointing_choosing_and_leaving(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["chain"], viewport={"width": 1280, "height": 900})
    page = visit.page
    button = page.get_by_role("button", name="do(a=0, c=1)", exact=True)
    button.hover()
    assert visit.counted(".node.set") == 2
    assert page.locator(".node.set .value").all_text_contents() == ["= 0", "= 1"]
    assert visit.counted("path.cut") == 1  # b -> c; nothing points at a
    assert "do(a=0, c=1)" in page.locator("#note").inner_text()
    page.mouse.move(2, 2)
    assert visit.counted(".node.set") == 0
    button.click()
    page.mouse.move(2, 2)
    assert visit.counted(".node.set") == 2
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("#choice option:checked").inner_text() == "do(a=0, c=1)"
    page.keyboard.press("Escape")
    page.mouse.move(2, 2)
    assert button.get_attribute("aria-pressed") == "false"
    page.locator("#choice").select_option(label="do(b=1)")
    assert page.locator(".node.set .value").all_text_contents() == ["= 1"]
    visit.check()


def test_the_keyboard_is_enough(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["chain"])
    page = visit.page
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('class') || ''"))
    assert any("pick" in name for name in reached)
    assert any("node" in name for name in reached)
    node = page.locator(".graph .node[data-v='1']")
    node.focus()
    assert "set by do(b=1)" in page.locator("#note").inner_text()
    assert visit.counted("path.near") == 2
    page.keyboard.press("Enter")
    assert node.get_attribute("aria-pressed") == "true"
    assert visit.counted("tr.match") == 1
    visit.check()


def test_light_and_dark_follow_the_system_and_the_button(
    browser: Any, pages: dict[str, Path]
) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    visit = Visit(browser, pages["chain"], color_scheme="dark")
    dark = visit.page.evaluate(colour)
    visit.page.locator("#theme").click()
    light = visit.page.evaluate(colour)
    assert light == "rgb(255, 255, 255)" != dark
    visit.page.locator("#theme").click()
    assert visit.page.evaluate(colour) == dark
    visit.page.emulate_media(media="print")
    assert visit.page.evaluate(colour) == light
    visit.check()


def test_the_page_is_whole_without_its_script(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["chain"], java_script_enabled=False)
    assert visit.page.locator("#theme").is_hidden()
    assert visit.page.locator(".graph .node").first.is_visible()
    assert "interventions explain" in visit.page.locator(".answer").inner_text()


def test_hostile_names_are_only_text(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["hostile"])
    assert visit.counted("img") == 0
    assert visit.counted("script") == 1
    shown = visit.page.locator("main").inner_text()
    assert "<script>alert(2)</script>" in shown
    assert "\u202e" not in shown
    ids = visit.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert all(re.fullmatch("[a-z]+", one) for one in ids)
    visit.check()


def test_of_many_variables_only_what_matters_is_drawn_at_first(
    browser: Any, pages: dict[str, Path]
) -> None:
    visit = Visit(browser, pages["large"])
    assert 3 <= visit.counted(".graph .node") <= 60
    page = visit.page
    assert page.locator(".everything").is_hidden()
    page.get_by_text("Draw all 200").click()
    assert page.locator(".everything").is_visible()
    assert visit.counted(".everything .node") == 200
    visit.check()


def test_where_the_model_fails_is_shown_in_the_graph(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["misfit"])
    page = visit.page
    assert visit.counted(".node .alarm") == 3
    assert "No component explains 12" in page.locator("#certainty").inner_text().replace(
        "\xa0", " "
    )
    page.get_by_role("button", name="a with b").click()
    assert visit.counted(".node.set") == 2
    assert visit.counted("path.near") == 1
    visit.check()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_edges_stand_out_by_what_became_of_them(
    browser: Any, pages: dict[str, Path], scheme: str
) -> None:
    visit = Visit(browser, pages["repaired"], color_scheme=scheme)
    look = """kind => {
      const s = getComputedStyle(document.querySelector(`.graph path.${kind}`));
      return [s.stroke, s.strokeDasharray, s.strokeWidth];
    }"""
    looks = [tuple(visit.page.evaluate(look, k)) for k in ("open", "reversed", "removed")]
    assert len(set(looks)) == 3
    assert len({dashes for _, dashes, _ in looks}) == 3  # without colours, too
    assert visit.counted(".legend .key-edge") == 5
    # An edge that is no longer there is cut by nothing.
    visit.page.locator("#choice").select_option(label="do(a=0, c=1)")
    assert visit.counted(".graph path.removed.cut") == 0
    assert visit.counted(".graph path.cut") == 1
    visit.page.get_by_text("How sure each edge is").click()
    assert visit.page.get_by_role("row", name="c a 1.0 % removed").is_visible()
    visit.check()


def test_it_prints_light_and_unfolded(browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    visit = Visit(browser, pages["misfit"], color_scheme="dark")
    made = visit.page.pdf(path=str(tmp_path / "report.pdf"), format="A4")
    assert made.startswith(b"%PDF")
    assert visit.counted("details[open]") == 1  # folded again afterwards
    visit.check()
