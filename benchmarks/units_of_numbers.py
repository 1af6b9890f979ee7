"""Figures of docs/how-to/units.md: units of measurements, shifted by .5 to 1 standard deviations.

``PYTHONPATH=src python benchmarks/units_of_numbers.py [--problems K] [--seed S] [--rows 3]`` draws
the problems of ``continuous.py table --lines shift-near`` (10 variables, 5,000 rows, six targets),
and puts rows of the same component together in units. Each is fitted with its units and without.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import polars as pl
from continuous_baselines import Answer, scores
from continuous_problems import Problem, table
from numpy.typing import NDArray

import dosift
from dosift.io.graph import Graph


def units_of(component: NDArray[np.integer], n_rows: int) -> NDArray[np.int64]:
    """Put so many rows of a component in a unit; what is left over is a smaller one."""
    unit = np.empty(component.size, dtype=np.int64)
    n_units = 0
    for one in np.unique(component):
        own = np.flatnonzero(component == one)
        unit[own] = n_units + np.arange(own.size) // n_rows
        n_units = int(unit[own].max()) + 1
    return unit


def fitted(problem: Problem, unit: NDArray[np.int64] | None) -> Answer:
    """Fit, with units or with rows by themselves."""
    rows, given = problem.pool, {}
    if unit is not None:
        rows, given = rows.with_columns(unit=pl.Series(unit)), {"unit": "unit"}
    graph = Graph(problem.names, tuple(problem.edges))
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture().fit(
            rows, control=problem.control, graph=graph, **given
        )
        seconds = time.process_time() - begin
        posterior = np.nan_to_num(np.asarray(model.predict_proba(rows, **given)))
    sets = [frozenset(target) for target in model.targets_]
    return Answer(sets, np.asarray(model.weights_), posterior, seconds, None, None)


def main() -> None:
    """Print the means over problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=6)
    parser.add_argument("--seed", type=int, default=2700)
    parser.add_argument("--rows", type=int, default=3, help="of a unit")
    parser.add_argument("--line", default="shift-near")
    given = parser.parse_args()
    records: dict[str, list[dict[str, float]]] = {"with units": [], "rows alone": []}
    for seed in range(given.seed, given.seed + given.problems):
        problem = table(given.line, seed)
        unit = units_of(problem.component, given.rows)
        for name, own in (("with units", unit), ("rows alone", None)):
            records[name].append(scores(problem, fitted(problem, own)))
            print(f"# {seed} {name}: jaccard {records[name][-1]['jaccard']:.2f}", flush=True)
    for name, found in records.items():
        means = {k: float(np.mean([one[k] for one in found])) for k in found[0]}
        print(name, ", ".join(f"{k} {v:.3f}" for k, v in means.items()))


if __name__ == "__main__":
    main()
