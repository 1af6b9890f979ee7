"""The light tunnel of the Causal Chambers, labels hidden: tables and pictures of the worked case.

    python benchmarks/chamber_case.py --data ../shared/data/chamber
    python benchmarks/chamber_case.py --data ../shared/data/chamber --sensors vis angle
    python benchmarks/chamber_case.py --picture docs/images/chamber.svg
    python benchmarks/chamber_case.py --sensors angle --picture docs/images/chamber-angle.svg
    python benchmarks/chamber_case.py --data ../shared/data/chamber --write FOLDER

The data are those of Gamella, Peters and Bühlmann (Nature Machine Intelligence 2025, CC BY 4.0),
data set lt_interventions_standard_v1; none of them is in this repository. ``--write`` makes the
files of the command line: control.csv, pool.csv, graph.csv, and truth.csv with what is hidden. A
Gaussian mixture stands beside it where scikit-learn is installed; only the grouping of its
components into rows is compared, as they say nothing of what was done.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from continuous_mixed import FEATURES, SENSORS, chamber
from continuous_problems import Problem
from numpy.typing import NDArray

Ints = NDArray[np.int64]

#: Sensors whose readings are off by a number of their own in each run.
DRIFTING = frozenset({"angle_1", "angle_2"})


def fitted(problem: Problem, malus: bool) -> tuple[Any, float]:
    """Fit dosift by its public interface; the model, and seconds of the processor."""
    import dosift

    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture().fit(
            problem.pool,
            control=problem.control,
            graph=problem.edges,
            features=features_of(problem) if malus else None,
        )
    return model, time.process_time() - start


def features_of(problem: Problem) -> dict[str, list[str]]:
    """Malus' law for the sensors that see the light through both polarisers."""
    return {child: own for child, own in FEATURES.items() if child in problem.names}


def rows_of_sets(problem: Problem, model: Any) -> tuple[list[frozenset[str]], Ints]:
    """Sets of variables that were found, by weight, and the most probable one of each row."""
    posterior = np.nan_to_num(model.predict_proba(problem.pool))
    sets = list(dict.fromkeys(frozenset(target) for target in model.targets_))
    into = np.array([[frozenset(t) == one for one in sets] for t in model.targets_])
    return sets, (posterior @ into).argmax(axis=1)


def read_without_drift(
    sets: Sequence[frozenset[str]], rows: Ints
) -> tuple[list[frozenset[str]], Ints]:
    """Read targets as if sensors that drift from run to run were not in them, unless alone."""
    read = [one - DRIFTING or one for one in sets]
    distinct = list(dict.fromkeys(read))
    return distinct, np.array([distinct.index(one) for one in read])[rows]


def drift(problem: Problem, names: Sequence[str]) -> pl.DataFrame:
    """Say how far sensors are off in each run: a line on their parents, drawn by control rows.

    A line for each run and sensor: mean of the residuals, and where the middle nine tenths of them
    are, in standard deviations of those of control rows.
    """
    out = []
    for name in names:
        own = [parent for parent, child in problem.edges if child == name]

        def design(rows: pl.DataFrame, own: list[str] = own) -> NDArray[np.float64]:
            return np.column_stack([np.ones(len(rows)), *(rows[one].to_numpy() for one in own)])

        control = problem.control[name].to_numpy()
        line = np.linalg.lstsq(design(problem.control), control, rcond=None)[0]
        sd = float((control - design(problem.control) @ line).std())
        away = (problem.pool[name].to_numpy() - design(problem.pool) @ line) / sd
        for k, one in enumerate(problem.sets):
            rows = away[problem.component == k]
            low, high = np.quantile(rows, [0.05, 0.95])
            run = ", ".join(sorted(one)) or "reference"
            out.append((run, name, float(rows.mean()), float(low), float(high), name in one))
    columns = ["run", "sensor", "mean", "low", "high", "was changed"]
    return pl.DataFrame(out, schema=columns, orient="row")


def rand_index(one: Ints, other: Ints) -> float:
    """Adjusted Rand index of two groupings (Hubert and Arabie, 1985)."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1.0)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1) / 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / pairs(np.array([table.sum()]))
    return (both - expected) / (0.5 * (rows + columns) - expected)


def mixture_groups(problem: Problem, n_components: int | None) -> Ints | None:
    """Group rows by a Gaussian mixture: of a number of components, or of what BIC chooses."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
    except ImportError:
        return None
    rows = problem.pool.to_numpy()
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        numbers = [n_components] if n_components else range(1, len(problem.sets) + 6, 2)
        models = [GaussianMixture(k, random_state=0).fit(rows) for k in numbers]
        best = min(models, key=lambda model: model.bic(rows))
    return np.asarray(best.predict(rows), dtype=np.int64)


def report(sensors: str, problem: Problem, model: Any, seconds: float) -> None:
    """Print what was found, beside what was done."""
    sets, rows = rows_of_sets(problem, model)
    true = set(problem.sets)
    weight = dict.fromkeys(sets, 0.0)
    for target, own in zip(model.targets_, model.weights_.tolist(), strict=True):
        weight[frozenset(target)] += own
    invented = [one for one in sets if one not in true]
    print(f"## {sensors}: {len(true & set(sets))} of {len(true)} sets, {len(invented)} more")
    print(f"\nadjusted Rand index {rand_index(problem.component, rows):.3f}, {seconds:.0f} s")
    if DRIFTING & set(problem.names):
        read, of_read = read_without_drift(sets, rows)
        print(
            f"read without {' and '.join(sorted(DRIFTING))}, unless alone: "
            f"{len(true & set(read))} of {len(true)} sets, {len(set(read) - true)} more; "
            f"adjusted Rand index {rand_index(problem.component, of_read):.3f}"
        )
    verdict = model.verdict_
    print(f"verdict: {verdict.value}, each row counts for {verdict.power:.2g}")
    print(*verdict.reasons, f"Next: {verdict.next}.\n", sep="\n")
    with pl.Config(tbl_rows=-1, fmt_str_lengths=80, tbl_hide_dataframe_shape=True):
        print(model.components_.select("target", "weight", "ci_low", "ci_high", "stands"))
    for one in invented:
        print(f"not done by anybody: {', '.join(sorted(one))} ({weight[one]:.3f})")
    for one in true - set(sets):
        print(f"missed: {', '.join(sorted(one)) or 'nothing'}")
    drifting = sorted(DRIFTING & set(problem.names))
    if drifting:
        print("\nresiduals by run, in standard deviations of those of control rows:")
        with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, float_precision=2):
            print(drift(problem, drifting))
    for name, number in (("by BIC", None), ("of the true number", len(problem.sets))):
        groups = mixture_groups(problem, number)
        if groups is not None:
            index = rand_index(problem.component, groups)
            print(f"Gaussian mixture {name}: adjusted Rand index {index:.3f}")
    print()


def picture(problem: Problem, model: Any, path: Path) -> None:
    """Draw the shares that were found and the truth, and who is mistaken for whom."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 8, "svg.hashsalt": "chamber", "svg.fonttype": "none"})
    sets, rows = rows_of_sets(problem, model)
    names = [", ".join(sorted(one)) or "no intervention" for one in problem.sets]
    at = {one: k for k, one in enumerate(sets)}
    told = [rows[problem.component == k] == at.get(one, -1) for k, one in enumerate(problem.sets)]
    shares = np.array([one.mean() for one in told])
    groups = mixture_groups(problem, None)
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.4), sharey=True, layout="constrained")
    place = np.arange(len(names))
    by_text = {str(target): frozenset(target) for target in model.targets_}
    lines = model.components_.select("target", "weight", "ci_low", "ci_high").rows()
    table = {by_text[text]: numbers for text, *numbers in lines}
    found = np.array([table.get(one, (0.0, 0.0, 0.0)) for one in problem.sets])
    axes[0].hlines(place, found[:, 1], found[:, 2], color="tab:blue")
    axes[0].plot(found[:, 0], place, "o", ms=3, color="tab:blue", label="found, 95 %")
    axes[0].plot(problem.weights, place, "|", ms=9, color="black", label="truth")
    axes[0].set(xlabel="share of the pool", yticks=place, yticklabels=names)
    axes[0].legend(loc="lower right", frameon=False)
    axes[0].invert_yaxis()
    axes[1].barh(place - 0.2, shares, 0.38, color="tab:blue", label="dosift")
    if groups is not None:
        # The one component that has most of the rows of an experiment, whatever it is called.
        own = [
            np.bincount(groups[problem.component == k]).argmax() for k in range(len(problem.sets))
        ]
        held = [
            ((groups == g) & (problem.component == k)).sum() / (groups == g).sum()
            for k, g in enumerate(own)
        ]
        axes[1].barh(place + 0.2, held, 0.38, color="tab:gray", label="Gaussian mixture, BIC")
    axes[1].set(xlabel="rows of an experiment that are told from all others", xlim=(0, 1))
    axes[1].legend(loc="lower left", frameon=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def picture_of_drift(problem: Problem, path: Path) -> None:
    """Draw how far sensors that drift are off in each run."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 8, "svg.hashsalt": "chamber", "svg.fonttype": "none"})
    names = sorted(DRIFTING & set(problem.names))
    found = drift(problem, names).filter(~pl.col("was changed"))
    runs = found["run"].unique(maintain_order=True).to_list()
    figure, axes = plt.subplots(
        1, len(names), figsize=(7.2, 3.6), sharey=True, layout="constrained"
    )
    for axis, name in zip(axes, names, strict=True):
        own = found.filter(pl.col("sensor") == name)
        place = np.array([runs.index(run) for run in own["run"]])
        axis.axvspan(-1.64, 1.64, color="0.9", label="control rows")
        axis.hlines(place, own["low"], own["high"], color="tab:blue")
        axis.plot(
            own["mean"], place, "o", ms=3, color="tab:blue", label="a run, and 90 % of its rows"
        )
        axis.set(xlabel=f"residual of {name}, standard deviations")
        axis.set_yticks(range(len(runs)), labels=runs)
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def write(problem: Problem, folder: Path) -> None:
    """Write the files of the command line, and the truth beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    problem.control.write_csv(folder / "control.csv")
    problem.pool.write_csv(folder / "pool.csv")
    edges = pl.DataFrame(problem.edges, schema=["parent", "child"], orient="row")
    edges.write_csv(folder / "graph.csv")
    texts = [", ".join(sorted(one)) for one in problem.sets]
    pl.DataFrame({"truth": [texts[k] for k in problem.component]}).write_csv(folder / "truth.csv")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/chamber"))
    parser.add_argument("--sensors", nargs="+", choices=list(SENSORS), default=["ir"])
    parser.add_argument("--seed", type=int, default=0, help="which rows of each experiment")
    parser.add_argument("--plain", action="store_true", help="without Malus' law")
    parser.add_argument("--picture", type=Path, help="where to draw the first of the sensors")
    parser.add_argument("--write", type=Path, help="folder for the files, without a fit")
    chosen = parser.parse_args(arguments)
    for k, sensors in enumerate(chosen.sensors):
        problem = chamber(chosen.data, sensors, chosen.seed)
        if chosen.write:
            write(problem, chosen.write)
            continue
        model, seconds = fitted(problem, not chosen.plain)
        report(sensors, problem, model, seconds)
        if chosen.picture and k == 0 and DRIFTING & set(problem.names):
            picture_of_drift(problem, chosen.picture)
        elif chosen.picture and k == 0:
            picture(problem, model, chosen.picture)


if __name__ == "__main__":
    main()
