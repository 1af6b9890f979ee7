"""The report page: escaped, self-contained, and silent about what is not known."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest

import dosift
from dosift.results.folder import result_content
from dosift.results.report import render_report

EVIL = "<script>alert('x')</script>\"&"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        for name, value in attrs:
            assert name != "src", value
            # A class of two words without quotes would be a class and an attribute of no meaning.
            assert name not in {"second", "number", "interval"}, tag
            # Links stay within the page; an empty icon keeps browsers from asking for one.
            assert name != "href" or value == "data:," or (value or "").startswith("#"), value


def content_of(name: str = "a", state: str = "1") -> dict[str, Any]:
    network = dosift.Network.from_tables({name: ["0", state]}, {}, {name: [0.5, 0.5]})
    truth = dosift.Mixture({dosift.do(): 0.5, dosift.do({name: state}): 0.5})
    rows = dosift.simulate(network, truth, 2000, random_state=0)
    model = dosift.InterventionMixture(network).fit(rows)
    return result_content(model, settings={"seed": 0}, inputs=[], timings={"fit": 0.1})


def page(name: str = "a", state: str = "1") -> str:
    return render_report(content_of(name, state))


def test_hostile_names_stay_text() -> None:
    html = page(EVIL, EVIL)
    tags = Tags()
    tags.feed(html)
    assert tags.names.count("script") == 1  # the page's own
    assert "&lt;script&gt;" in html


def test_the_page_needs_nothing_from_outside() -> None:
    assert re.findall(r"https?://|url\(|@import", page()) == []


def test_the_answer_comes_first_in_words() -> None:
    html = page()
    words = re.sub(r"<[^>]+>", "", html).replace("\xa0", " ")
    assert re.search(r"1 intervention explains \d+\.\d % \[[\d., ]+\] of the rows", words)
    assert "The model fits these rows." in words
    assert html.index("explains") < html.index("<table")


def test_no_interval_is_shown_that_does_not_belong_to_its_share() -> None:
    """Beside rows from elsewhere, all that is not do() is more than interventions."""
    content = content_of()
    nothing, hit = sorted(content["components"], key=lambda one: one["size"])
    hit["weight"] -= 0.1
    other = {**nothing, "target": "other", "weight": 0.1, "ci_low": 0.08, "ci_high": 0.12}
    for order in ([nothing, hit, other], [other, nothing, hit]):
        html = render_report({**content, "components": order})
        words = re.sub(r"<[^>]+>", "", html).replace("\xa0", " ")
        said = re.search(r"1 intervention explains (\d+\.\d) %(.*?) of the rows", words)
        assert said is not None
        assert float(said[1]) == pytest.approx(100 * hit["weight"], abs=0.06)
        assert "[" not in said[2]


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


def interval(**more: Any) -> dict[str, Any]:
    return {"std_error": 0.05, "ci_low": 0.3, "ci_high": 0.5, "p_value": 0.1, **more}


#: A result without a fit, so that single numbers can be taken out of it.
RESULT: dict[str, Any] = {
    "components": [
        interval(target="do()", size=0, weight=0.6, q_value=None, rows=60.0),
        interval(target="do(a=1)", size=1, weight=0.4, q_value=0.1, rows=40.0),
    ],
    "variables": [
        interval(variable="a", value="1", rate=0.4, screen_rate=0.41, screen_std_error=0.05),
        interval(variable="a", value="", rate=0.4, screen_rate=None, screen_std_error=None),
    ],
    "diagnostics": {
        "n_rows": 100,
        "n_configurations": 2,
        "n_components": 2,
        "log_likelihood": -69.3,
        "penalised_score": -75.0,
        "optimality_gap": 0.0,
        "converged": True,
        "fit_check": {"fits": True, "p_value": 0.5, "n_pairs": 3, "worst": []},
    },
    "trusted": True,
    "reasons": [],
    "settings": {"method": "likelihood"},
    "inputs": [{"path": "rows.csv", "sha256": "ab12"}],
    "versions": {"dosift": "0"},
    "timings": {"fit": 0.1},
    "seed": 71,
}


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    result = copy.deepcopy(RESULT)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    assert path[-1] in place
    place[path[-1]] = value
    return result


def body(result: dict[str, Any]) -> str:
    html = render_report(result)
    return html[html.index("<body>") :]


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "path",
    [
        *(("components", 1, k) for k in ("weight", "ci_low", "ci_high", "rows")),
        *(("variables", 0, k) for k in ("rate", "ci_low", "ci_high", "screen_rate")),
        *(("diagnostics", k) for k in ("n_rows", "log_likelihood", "optimality_gap")),
        ("diagnostics", "fit_check", "p_value"),
    ],
)
def test_each_unknown_number_is_a_dash(path: tuple[str | int, ...], value: float | None) -> None:
    html = body(changed(path, value))
    assert not re.search(r"\b(nan|inf|None)\b", html)
    assert html.count("–") > body(RESULT).count("–")


def test_an_unknown_total_is_not_left_out() -> None:
    assert "a = 1" in body(changed(("variables", 0, "rate"), None))
    assert "a = 1" not in body(changed(("variables", 0, "rate"), 0.0))


def test_reasons_against_the_fit_come_before_the_answer() -> None:
    result = changed(("reasons",), ["The <weights> did not converge.", "Misfit."])
    result["trusted"] = False
    html = body(result)
    assert "The &lt;weights&gt; did not converge." in html
    assert html.index("did not converge") < html.index("Misfit.") < html.index("explains")
    assert "The mixture describes the rows" not in html


def test_a_fit_that_is_not_trusted_never_looks_trusted() -> None:
    html = body(changed(("trusted",), False))
    assert html.index("Do not trust this fit") < html.index("explains")
    assert "The mixture describes the rows" not in html


def test_an_unchecked_fit_is_not_said_to_describe_the_rows() -> None:
    html = body(changed(("diagnostics", "fit_check"), None))
    assert "This was not checked" in html
    assert "The mixture describes the rows" not in html


def test_no_intervention_is_said_in_words() -> None:
    result = changed(("components",), RESULT["components"][:1])
    assert "No intervention was found" in body(result)


def test_where_it_came_from_is_shown() -> None:
    html = body(RESULT)
    for known in ("rows.csv", "ab12", "likelihood", "71"):
        assert known in html
    assert "take the interventions found as given" in html
    assert body(changed(("inputs", 0, "path"), EVIL)).count("<script") == 1  # the page's own


def test_dark_print_and_phone_are_cared_for() -> None:
    html = render_report(RESULT)
    for needed in (
        "prefers-color-scheme: dark",
        "@media print",
        "max-width: 44rem",
        'name="viewport"',
    ):
        assert needed in html


def test_the_only_answer_confusable_targets_and_families_are_shown_where_known() -> None:
    assert "Hard to tell apart" not in body(RESULT)
    assert "Families" not in body(RESULT)
    result = changed(("components", 1, "target"), "do(a=1)")
    result["components"][1]["confusable"] = [{"target": "do(b=<i>)", "loss": 0.7}]
    result["families"] = [
        {"target": "do(a=1)", "weight": 0.4, "ci_low": 0.3, "ci_high": 0.5, "components": ["x"]}
    ]
    result["identifiability"] = {"status": "unique", "meaning": "No <other>.", "reasons": ["R."]}
    html = body(result)
    assert "do(b=&lt;i&gt;)" in html
    assert "0.7" in html
    assert "Families" in html
    assert "No &lt;other&gt;." in html
    assert "<li>R.</li>" in html


def test_a_result_of_an_earlier_version_still_makes_a_page() -> None:
    result = copy.deepcopy(RESULT)
    assert "holds no graph" in body(result)
    for key in ("reasons", "trusted", "inputs", "versions", "timings", "settings", "seed"):
        result.pop(key)
    assert "explains" in body(result)


def test_text_that_cannot_be_written_is_written_as_escapes() -> None:
    html = body(changed(("components", 1, "target"), "do(a=\ud800\x00)"))
    html.encode("utf-8")
    assert "\\ud800\\x00" in html


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\xa0", " "))


def test_batches_have_a_section() -> None:
    network = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    do = dosift.do
    truth = {EVIL: {do(): 0.9, do(a="1"): 0.1}, "two": {do(): 0.2, do(a="1"): 0.8}}
    parts = [
        dosift.simulate(network, dosift.Mixture(t), 2000, random_state=0) for t in truth.values()
    ]
    rows = [value for part in parts for value in part["a"].to_list()]
    batch = [name for name in truth for _ in range(2000)]
    model = dosift.InterventionMixture(network).fit({"a": rows}, batch=batch)
    content = result_content(model, settings={"batch": "donor"}, inputs=[], timings={})
    html = render_report(content)
    words = words_of(html[html.index('id="batches"') : html.index('id="rates"')])
    assert "The rows came in 2 batches." in words
    assert "intervention, and its donor" in words
    assert "<script>alert" not in html.split('<section id="batches"')[1]
    for line in content["batches"]:
        assert f"{100 * line['weight']:.1f} %" in words
    # A batch that has not an intervention says so, instead of nothing.
    content["batches"] = content["batches"][1:]
    assert "not found" in words_of(render_report(content))
    assert 'id="batches"' not in page()


def test_missing_values_have_a_section() -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [0.5, 0.5], "b": [0.5, 0.5]}
    )
    rows = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 4000, random_state=0)
    table = rows.to_pandas()
    table.loc[(table["b"] == "1") & (table.index % 2 == 0), "a"] = None
    with pytest.warns(dosift.errors.MissingValuesWarning):
        model = dosift.InterventionMixture(network).fit(table)
    content = result_content(model, settings={}, inputs=[], timings={})
    found = content["missing_values"]
    assert found["rows"] == table["a"].isna().sum()
    assert [(v["variable"], v["depends_on"]) for v in found["variables"]] == [("a", "b")]
    words = words_of(render_report(content))
    assert f"{int(found['rows']):,} rows lack a value" in words
    assert "not missing completely at random" in words
    assert 'id="missing"' not in page()


def test_resamples_and_changed_mechanisms_are_told() -> None:
    network = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    truth = dosift.Mixture({dosift.do(): 0.5, dosift.do(a="1"): 0.5})
    model = dosift.InterventionMixture(network).fit(dosift.simulate(network, truth, 500))
    content = result_content(model, settings={"resamples": 200}, inputs=[], timings={})
    line = {
        "target": "do(a=1)",
        "weight": 0.5,
        "ci_low": 0.41,
        "ci_high": 0.58,
        "share_found": 0.985,
    }
    content["bootstrap"] = [line]
    content["mechanisms"] = [{"variable": "a", "distance": 0.2, "least_share": 0.3, "gain": 12.0}]
    words = words_of(render_report(content))
    assert "Rows were drawn anew 200 times" in words
    assert "do(a=1) 50.0 % [41.0, 58.0] 98.5 %" in words
    assert "The mechanism of a changed as well." in words


def found_edge(parent: str, child: str, status: str, probability: float = 1.0) -> dict[str, Any]:
    return {"parent": parent, "child": child, "probability": probability, "status": status}


def with_graph(*edges: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Make a result whose graph is a -> b -> c -> d, with what the rows say of it."""
    result = copy.deepcopy(RESULT)
    result["graph"] = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
    result["graph_found"] = {
        "edges": list(edges),
        "fixed": False,
        "learned": False,
        "asked": [],
        "change": 0.0,
        "objects": False,
        "graphs": 1,
        "common_causes": [],
        "notices": [],
        **more,
    }
    return result


REPAIRED = (
    found_edge("a", "b", "reversed"),
    found_edge("b", "c", "open", 0.52),
    found_edge("c", "d", "added", 0.81),
    found_edge("d", "a", "removed", 0.01),
)


def section_of_the_graph(result: dict[str, Any]) -> str:
    html = body(result)
    return html[html.index('<section id="graph"') : html.index('<section id="rates"')]


def drawn_paths(html: str) -> dict[str, str]:
    """Edges that carry a remark, by their classes; without those of the legend."""
    drawing = html.split("class='legend'", maxsplit=1)[0]
    return dict(re.findall(r'<path class="([a-z ]+)" ([^>]*)>', drawing))


def test_edges_are_drawn_by_what_became_of_them() -> None:
    html = section_of_the_graph(with_graph(*REPAIRED, graphs=3))
    paths = drawn_paths(html)
    assert 'data-e="0 1"' in paths["reversed"]
    assert 'data-e="1 2"' in paths["open"]
    assert 'data-e="2 3"' in paths["added unsure"]
    # One that is gone is cut by no intervention, and points up, from an effect to a cause.
    assert "data-e" not in paths["removed"]
    assert re.search(r"M[\d.]+ [\d.]+l4-6 4 6", paths["removed"])
    assert len(re.findall(r"l4-?[ ]?6 4-? ?6", paths["open"])) == 2
    words = words_of(html)
    assert "1 edge added (c -&gt; d), 1 reversed (now a -&gt; b), 1 removed (d -&gt; a)" in words
    assert "averaged over 3 graphs" in words
    assert ">?</text>" in html
    assert ">81\N{NO-BREAK SPACE}%</text>" in html
    assert 'aria-label="b - c: direction open; b -&gt; c with probability 52.0' in html.replace(
        "\xa0", " "
    )


def test_the_table_of_edges_is_folded_and_whole() -> None:
    html = section_of_the_graph(with_graph(*REPAIRED))
    table = html[html.index("How sure each edge is") :]
    assert "<details><summary>How sure each edge is" in html
    for line in ("a b 100.0 % reversed", "b c 52.0 % open", "d a 1.0 % removed"):
        assert line in words_of(table)


def test_the_legend_explains_what_occurs_and_no_more() -> None:
    html = section_of_the_graph(with_graph(*REPAIRED[:1]))
    legend = words_of(html[html.index("Edges: ") :].split("</p>")[0])
    assert legend.split() == ["Edges:", "kept", "reversed"]
    plain = with_graph(*(found_edge(*e, "kept") for e in ("ab", "bc", "cd")))
    assert "class='legend'" not in section_of_the_graph(plain)
    assert "<path class" not in section_of_the_graph(plain)


def test_in_a_learned_graph_edges_are_plain() -> None:
    edges = (found_edge("a", "b", "added"), found_edge("b", "c", "open", 0.5))
    html = section_of_the_graph(with_graph(*edges, learned=True))
    assert 'class="added"' not in html
    assert 'class="open"' in html
    assert "Graph, learned: 2 edges, of which 1 open (b - c)" in words_of(html)
    assert "a -&gt; b: learned" in html


def test_what_the_rows_ask_of_a_fixed_graph_is_said_and_drawn() -> None:
    asked = [
        {"kind": "reverse", "parent": "b", "child": "c", "gain": 41.7},
        {"kind": "add", "parent": "d", "child": "a", "gain": None},
    ]
    edges = [found_edge(*e, "given") for e in ("ab", "bc", "cd")]
    edges[1]["probability"] = 1e-9
    html = section_of_the_graph(with_graph(*edges, fixed=True, asked=asked, change=0.31))
    words = words_of(html)
    assert (
        "The rows ask for another graph: reverse b -&gt; c (worth 42 nats); add d -&gt; a." in words
    )
    assert "With that, 31 % of the rows are explained otherwise." in words
    paths = drawn_paths(html)
    assert 'data-e="1 2"' in paths["doubted"]
    assert "data-e" not in paths["asked"]
    assert "the rows ask to reverse it" in html


def test_notices_on_the_graph_are_shown_and_escaped() -> None:
    result = with_graph(found_edge("a", "b", "added"), notices=[f"Behind {EVIL}."])
    html = section_of_the_graph(result)
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "Do not trust" not in body(result)


def test_hostile_names_of_edges_stay_text() -> None:
    result = with_graph(found_edge(EVIL, "b", "removed", 0.5), found_edge(EVIL, "d", "kept", 0.5))
    result["graph"] = {EVIL: [], "b": [], "c": ["b"], "d": [EVIL]}
    result["graph_found"]["asked"] = [{"kind": "add", "parent": EVIL, "child": "c", "gain": 1.0}]
    html = section_of_the_graph(result)
    assert "<script" not in html
    tags = Tags()
    tags.feed(render_report(result))
    assert tags.names.count("script") == 1


@pytest.mark.parametrize("probability", [None, float("nan"), "mostly"])
def test_an_edge_of_unknown_probability_is_drawn(probability: Any) -> None:
    html = section_of_the_graph(with_graph(found_edge("a", "b", "kept", probability)))
    assert not re.search(r"\b(nan|None|mostly)\b", html)
    assert "a b – kept" in words_of(html)


def test_edges_of_variables_that_are_not_there_are_left_out_of_the_drawing() -> None:
    html = section_of_the_graph(with_graph(found_edge("a", "x", "removed")))
    assert "<path class" not in html.split("class='legend'")[0]


def test_changed_edges_are_drawn_in_a_large_graph() -> None:
    result = with_graph(found_edge("v80", "v81", "added"), found_edge("v5", "v9", "removed"))
    result["graph"] = {"a": []} | {f"v{k}": [f"v{k - 1}"] if k else [] for k in range(100)}
    html = section_of_the_graph(result)
    first = html[html.index('class="graph"') : html.index("</svg>")]
    assert 'class="added"' in first
    assert 'class="removed"' in first
    assert "and the ends of edges that changed" in html
