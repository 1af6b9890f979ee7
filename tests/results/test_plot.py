"""Plots show what stands in the fitted model's tables, and change nothing else."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import dosift
from dosift.errors import InputError, MissingDependencyError, NotFittedError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    return dosift.random_network(5, n_edges=6, random_state=2)


@pytest.fixture(scope="module")
def rows(network: dosift.Network) -> object:
    do = dosift.do
    truth = dosift.Mixture({do(): 0.5, do(V1="0"): 0.3, do(V3="2", V5="1"): 0.2})
    return dosift.simulate(network, truth, 8_000, random_state=4)


@pytest.fixture(scope="module")
def model(network: dosift.Network, rows: object) -> dosift.InterventionMixture:
    return dosift.InterventionMixture(network).fit(rows)


@pytest.fixture(autouse=True)
def _close() -> object:
    yield
    plt.close("all")


def labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def test_components_are_bars_with_intervals(model: dosift.InterventionMixture) -> None:
    ax = dosift.plot.components(model)
    assert labels(ax) == [str(t) for t in model.targets_]
    assert np.allclose([bar.get_width() for bar in ax.patches], model.weights_)
    ends = np.array([s[:, 0] for s in ax.collections[0].get_segments()])
    assert np.allclose(ends, model.components_.select("ci_low", "ci_high").to_numpy())
    few = dosift.plot.components(model, top=2)
    assert len(few.patches) == 2
    assert "1 more components not drawn" in few.get_xlabel()


def test_rates_show_totals_and_the_one_pass_estimate(model: dosift.InterventionMixture) -> None:
    ax = dosift.plot.rates(model)
    assert set(labels(ax)) == {"V1 = 0", "V3 = 2", "V5 = 1"}
    table = {f"{r['variable']} = {r['value']}": r for r in model.variables_.to_dicts()}
    for label, bar, screen in zip(labels(ax), ax.patches, ax.lines[0].get_xdata(), strict=True):
        assert bar.get_width() == pytest.approx(table[label]["rate"])
        assert screen == pytest.approx(table[label]["screen_rate"])


def test_the_screen_needs_no_fit(network: dosift.Network, rows: object) -> None:
    ax = dosift.plot.screen(network, rows)
    drawn = dict(zip(labels(ax), ax.lines[0].get_xdata(), strict=True))
    assert set(drawn) == set(network.names)
    assert drawn["V1"] == pytest.approx(0.3, abs=0.06)
    assert drawn["V2"] == pytest.approx(0.0, abs=0.06)
    with pytest.raises(InputError, match="level"):
        dosift.plot.screen(network, rows, level=95)


def test_certainty_draws_every_row_once(model: dosift.InterventionMixture) -> None:
    ax = dosift.plot.certainty(model)
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(8_000)


def test_the_graph_names_variables_and_what_a_target_sets(
    model: dosift.InterventionMixture,
) -> None:
    texts = [t.get_text() for t in dosift.plot.graph(model).texts if t.get_text()]
    assert len(texts) == 5
    assert any(t.startswith("V1\n") and t.endswith("%") for t in texts)
    shown = dosift.plot.graph(model, dosift.do(V3="2", V5="1"))
    assert {"V3\n= 2", "V5\n= 1"} <= {t.get_text() for t in shown.texts}
    with pytest.raises(InputError, match="no variable 'W'"):
        dosift.plot.graph(model, dosift.do(W="1"))


def test_the_fit_check_says_that_the_model_fits(model: dosift.InterventionMixture) -> None:
    ax = dosift.plot.fit_check(model)
    assert ax.get_title(loc="left").startswith("the model fits\n(12 tests")
    assert len(ax.patches) == 0


def test_given_axes_are_used_and_nothing_global_changes(
    model: dosift.InterventionMixture,
) -> None:
    before = dict(plt.rcParams)
    figure, axes = plt.subplots(2, 2)
    for ax, draw in zip(axes.flat, ("components", "rates", "certainty", "graph"), strict=True):
        assert getattr(dosift.plot, draw)(model, ax=ax) is ax
    assert len(plt.get_fignums()) == 1
    assert dict(plt.rcParams) == before
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba()).std() > 5  # type: ignore[attr-defined]


def test_names_with_dollars_are_no_formulas() -> None:
    network = dosift.Network.from_tables({"a$b$": ["0", "$x"]}, {}, {"a$b$": [0.5, 0.5]})
    truth = dosift.Mixture({dosift.do(): 0.5, dosift.do({"a$b$": "$x"}): 0.5})
    model = dosift.InterventionMixture(network).fit(dosift.simulate(network, truth, 500, 0))
    for draw in (
        dosift.plot.components,
        dosift.plot.rates,
        dosift.plot.graph,
    ):
        draw(model).figure.canvas.draw()
    texts = [t.get_text() for t in dosift.plot.graph(model).texts if t.get_text()]
    assert texts[0].startswith(r"a\$b\$")


def test_long_names_and_wide_graphs_stay_legible() -> None:
    names = [f"a_very_long_name_of_variable_{i}" for i in range(9)]
    network = dosift.Network.from_tables(
        {name: ["0", "1"] for name in names}, {}, {name: [0.5, 0.5] for name in names}
    )
    model = dosift.InterventionMixture(network).fit(dosift.simulate(network, _nothing(), 200, 0))
    ax = dosift.plot.graph(model)
    ax.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in ax.texts if t.get_text()]
    assert len({t.get_text() for t in ax.texts if t.get_text()}) == 9
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def _nothing() -> dosift.Mixture:
    return dosift.Mixture({dosift.do(): 1.0})


def test_an_unfitted_model_and_a_missing_library_are_said(
    network: dosift.Network, model: dosift.InterventionMixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFittedError):
        dosift.plot.components(dosift.InterventionMixture(network))
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingDependencyError, match=r"dosift\[plot\]"):
        dosift.plot.components(model)


def test_the_graph_shows_what_became_of_edges(model: dosift.InterventionMixture) -> None:
    import copy
    from dataclasses import replace

    import polars as pl

    from dosift.graphs.findings import GraphFindings

    network = model.network_
    kinds = ["kept", "added", "reversed", "open", "kept", "kept"]
    lines = [
        {"parent": p, "child": c, "probability": 0.6 if k in {3, 5} else 1.0, "status": kinds[k]}
        for k, (p, c) in enumerate(network.edges)
    ]
    there = {frozenset(edge) for edge in network.edges}
    names = network.names
    # From an effect to a cause: the last variable that is no neighbour of an earlier one.
    gone = next(
        (c, p) for c in names[::-1] for p in names if c != p and frozenset((c, p)) not in there
    )
    lines.append({"parent": gone[0], "child": gone[1], "probability": 0.1, "status": "removed"})
    other = copy.copy(model)
    other.graph_ = pl.DataFrame(lines)
    other.fitted_ = replace(model.fitted_, graph=GraphFindings((), (), False, (), ()))
    ax = dosift.plot.graph(other)
    legend = ax.get_legend()
    assert legend is not None
    shown = {text.get_text() for text in legend.get_texts()}
    assert shown == {"added", "reversed", "direction open", "removed"}
    texts = [t.get_text() for t in ax.texts]
    assert texts.count("?") == 1
    assert texts.count("60 %") == 1
    assert len(ax.lines) == len(network.edges) + 1
    styles = {line.get_linestyle() for line in ax.lines}
    assert {"-", "-.", ":"} <= styles
    # In a graph that was learned nothing was added to anything.
    other.fitted_ = replace(model.fitted_, graph=GraphFindings((), None, False, (), ()))
    legend = dosift.plot.graph(other).get_legend()
    assert legend is not None
    assert "added" not in {text.get_text() for text in legend.get_texts()}
    assert dosift.plot.graph(model).get_legend() is None
