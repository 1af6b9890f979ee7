"""Plots look as they did: compared with pictures that somebody has looked at.

Letters look otherwise in every version of matplotlib, and move what is beside them; so pictures are
drawn without, into axes of a given place. What the letters say is tested in ``test_plot.py``.

After a change that is meant, ``python tests/results/test_plot_images.py`` draws them anew; look at
them (``git diff`` shows which changed) before they are committed.
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
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.testing.compare import compare_images  # noqa: E402
from matplotlib.testing.decorators import remove_ticks_and_titles  # noqa: E402

BASELINE = Path(__file__).parent / "plot_images"
#: Root mean square of the differences in colour (0 to 255). Edges that another version of
#: matplotlib smooths otherwise stay below it; a bar, ring or arrow that is moved does not.
TOLERANCE = 2.5


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


PLOTS: dict[str, Callable[[Axes], Axes]] = {
    "components": lambda ax: dosift.plot.components(model(), ax=ax),
    "components-top": lambda ax: dosift.plot.components(model(), top=2, ax=ax),
    "rates": lambda ax: dosift.plot.rates(model(), ax=ax),
    "screen": lambda ax: dosift.plot.screen(*data(), ax=ax),
    "certainty": lambda ax: dosift.plot.certainty(model(), ax=ax),
    "graph": lambda ax: dosift.plot.graph(model(), ax=ax),
    "graph-target": lambda ax: dosift.plot.graph(model(), dosift.do(V3="2", V5="1"), ax=ax),
    "fit-check": lambda ax: dosift.plot.fit_check(model(), ax=ax),
    "fit-check-misfit": lambda ax: dosift.plot.fit_check(misfit(), ax=ax),
}


def draw(name: str, path: Path, change: Callable[[Axes], object] | None = None) -> None:
    # The style is matplotlib's own, whatever the user has set.
    with plt.style.context("default"):
        figure = plt.figure(figsize=(5, 4))
        ax = PLOTS[name](figure.add_axes((0.05, 0.05, 0.9, 0.9)))
        if change is not None:
            change(ax)
        remove_ticks_and_titles(figure)
        ax.set_title("", loc="left")
        ax.set(xlabel="", ylabel="")
        if ax.get_legend() is not None:
            ax.get_legend().remove()
        for text in ax.texts:
            if text.get_bbox_patch() is not None:  # boxes are as large as what they hold
                text.set(text="MM\nMM", color="none")
        figure.savefig(path, dpi=60, metadata={"Software": None})
        plt.close(figure)


def difference(name: str, path: Path) -> str | None:
    if name.startswith("graph") and matplotlib.__version_info__ < (3, 11):
        pytest.skip("boxes of the graph are as large as letters of matplotlib 3.11 and later")
    return compare_images(str(BASELINE / f"{name}.png"), str(path), tol=TOLERANCE)


@pytest.mark.parametrize("name", list(PLOTS))
def test_plots_look_as_they_did(name: str, tmp_path: Path) -> None:
    draw(name, tmp_path / f"{name}.png")
    wrong = difference(name, tmp_path / f"{name}.png")
    assert wrong is None, wrong


def shorten(ax: Axes) -> None:
    ax.patches[1].set_width(ax.patches[1].get_width() * 0.9)


def fade(ax: Axes) -> None:
    box = next(text.get_bbox_patch() for text in ax.texts if text.get_bbox_patch())
    box.set_facecolor("white")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("components", shorten),
        ("rates", lambda ax: ax.lines[0].remove()),
        ("screen", lambda ax: ax.collections[0].remove()),
        ("certainty", lambda ax: ax.patches[-1].set_color("red")),
        ("graph", fade),
        ("graph", lambda ax: [line.set_visible(False) for line in ax.lines]),
    ],
)
def test_small_changes_are_noticed(
    name: str, change: Callable[[Axes], object], tmp_path: Path
) -> None:
    draw(name, tmp_path / "changed.png", change)
    assert difference(name, tmp_path / "changed.png") is not None


if __name__ == "__main__":
    BASELINE.mkdir(exist_ok=True)
    for each in PLOTS:
        draw(each, BASELINE / f"{each}.png")
