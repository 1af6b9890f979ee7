"""Plots look as they did: compared with pictures that somebody has looked at.

After a change that is meant: ``python tests/test_plot_images.py`` draws them anew; look at them
(``git diff`` shows which changed) before they are committed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import dosift
from dosift.errors import DosiftWarning

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.testing.compare import compare_images  # noqa: E402

BASELINE = Path(__file__).parent / "plot_images"
#: Root mean square of the differences in colour (0 to 255). Letters of another version of
#: matplotlib stay below it; a bar, ring or arrow that is moved or missing does not.
TOLERANCE = 6.0


@cache
def data() -> tuple[dosift.Network, object]:
    do = dosift.do
    network = dosift.random_network(6, n_edges=8, random_state=2)
    truth = dosift.Mixture(
        {do(): 0.4, do(V1="0"): 0.3, do(V3="2", V5="1"): 0.2, do(V5="0", V6="1"): 0.1}
    )
    return network, dosift.simulate(network, truth, 6_000, random_state=4)


@cache
def model() -> dosift.InterventionMixture:
    network, rows = data()
    return dosift.InterventionMixture(network).fit(rows)


@cache
def misfit() -> dosift.InterventionMixture:
    """Give the rows a network without the edge that made them."""
    tables = {"a": [0.5, 0.5], "b": [[0.9, 0.1], [0.2, 0.8]]}
    truth = dosift.Network.from_tables({"a": "01", "b": "01"}, {"b": "a"}, tables)
    wrong = dosift.Network.from_tables(
        {"a": "01", "b": "01", "c": "01"},
        {"c": "b"},
        {"a": [0.5, 0.5], "b": [0.55, 0.45], "c": [[0.7, 0.3], [0.4, 0.6]]},
    )
    rows = dosift.simulate(truth, dosift.Mixture({dosift.do(): 1.0}), 4000, random_state=0)
    table = rows.to_pandas()
    table["c"] = table["a"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        return dosift.InterventionMixture(wrong, max_size=1).fit(table)


PLOTS: dict[str, Callable[[], object]] = {
    "components": lambda: dosift.plot.components(model()),
    "components-top": lambda: dosift.plot.components(model(), top=2),
    "rates": lambda: dosift.plot.rates(model()),
    "screen": lambda: dosift.plot.screen(*data()),
    "certainty": lambda: dosift.plot.certainty(model()),
    "graph": lambda: dosift.plot.graph(model()),
    "graph-target": lambda: dosift.plot.graph(model(), dosift.do(V3="2", V5="1")),
    "fit-check": lambda: dosift.plot.fit_check(model()),
    "fit-check-misfit": lambda: dosift.plot.fit_check(misfit()),
}


def draw(name: str, path: Path) -> None:
    # The style is matplotlib's own, whatever the user has set.
    with plt.style.context("default"):
        PLOTS[name]()
        plt.gcf().savefig(path, dpi=60, metadata={"Software": None})
        plt.close("all")


@pytest.mark.parametrize("name", list(PLOTS))
def test_plots_look_as_they_did(name: str, tmp_path: Path) -> None:
    draw(name, tmp_path / f"{name}.png")
    wrong = compare_images(
        str(BASELINE / f"{name}.png"), str(tmp_path / f"{name}.png"), tol=TOLERANCE
    )
    assert wrong is None, wrong


def test_a_bar_that_is_a_tenth_too_long_is_noticed(tmp_path: Path) -> None:
    with plt.style.context("default"):
        ax = dosift.plot.components(model())
        longest = ax.patches[0]
        longest.set_width(longest.get_width() * 0.8)
        plt.gcf().savefig(tmp_path / "wrong.png", dpi=60)
        plt.close("all")
    path = str(BASELINE / "components.png")
    assert compare_images(path, str(tmp_path / "wrong.png"), tol=TOLERANCE) is not None


if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for each in PLOTS:
        draw(each, BASELINE / f"{each}.png")
