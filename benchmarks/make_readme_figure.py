"""Draw README's picture from a real run: ``python benchmarks/make_readme_figure.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

import dosift
from dosift.datasets import load_screen

TARGET = Path(__file__).parent.parent / "docs" / "images" / "screen.svg"


def main() -> None:
    data = load_screen()
    table = dosift.InterventionMixture(data.network).fit(data.rows).components_.to_dicts()
    names = [row["target"] for row in table]
    place = range(len(names), 0, -1)
    weights = [row["weight"] for row in table]
    errors = [
        [row["weight"] - row["ci_low"] for row in table],
        [row["ci_high"] - row["weight"] for row in table],
    ]
    true = {str(target): weight for target, weight in data.truth.items()}
    plt.rcParams.update({"font.size": 10, "svg.hashsalt": "dosift", "svg.fonttype": "none"})
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    axes.barh(place, weights, color="#8db6e2", height=0.55, label="found")
    axes.errorbar(weights, place, xerr=errors, fmt="none", color="#14365c", label="95 % interval")
    axes.plot([true.get(n, 0) for n in names], place, "D", color="#c4500c", ms=5, label="truth")
    axes.set_yticks(list(place), names)
    axes.set_xlabel("share of the cells")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(TARGET, metadata={"Date": None})


if __name__ == "__main__":
    main()
