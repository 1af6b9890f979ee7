"""Figures of docs/how-to/units.md: rows that share one intervention.

``PYTHONPATH=src python benchmarks/units.py LINE [--problems K] [--seed S]`` prints one line of the
table. Problems are random networks with random targets that violate exclusion: nothing keeps a
state of a variable unused.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

import dosift
from dosift.likelihood.assignment import assign
from dosift.model.network import Network
from dosift.model.simulate import sample_codes

Ints = NDArray[np.integer]
Floats = NDArray[np.float64]

#: Smallest true weight that a fit is asked to find, as in the issue of the paper's study.
_LEAST_WEIGHT = 0.01


@dataclass(frozen=True)
class Design:
    """What problems are like."""

    n: int = 6
    n_units: int = 3000
    sizes: tuple[int, int] = (2, 4)
    n_targets: int = 7
    max_size: int = 3
    #: Share of units that have one row only.
    single: float = 0.0
    #: Correlation within units beyond the target, and control units that show it.
    dependence: float = 0.0
    control: int = 0


@dataclass(frozen=True)
class Problem:
    """A network, a mixture, and rows in units."""

    network: Network
    targets: Ints
    weights: Floats
    component: Ints
    unit: Ints
    codes: Ints
    control: tuple[Ints, Ints] | None


DESIGNS = {
    "n6": Design(),
    "n12": Design(n=12),
    "wide": Design(n=200, n_units=10_000, sizes=(5, 5)),
    "many": Design(n=20, n_units=1_000_000, sizes=(3, 3)),
    "half": Design(single=0.5),
    "dependence": Design(n_units=2000, sizes=(2, 5), dependence=0.1, control=1500),
    "learned": Design(n_units=3000, control=3000),
}


def problem(design: Design, seed: int) -> Problem:
    """Draw a problem; exclusion is violated wherever chance does so, and nothing prevents it."""
    rng = np.random.default_rng([seed, design.n])
    network = dosift.random_network(
        design.n, n_states=3, n_edges=int(1.5 * design.n), max_parents=3, random_state=rng
    )
    mixture = dosift.random_mixture(
        network,
        design.n_targets,
        max_size=design.max_size,
        exclusion=False,
        random_state=rng,
    )
    targets, weights = mixture.to_codes(network)
    component = rng.choice(weights.size, design.n_units, p=weights)
    unit, codes = _rows(network, targets[component], design, rng)
    control = None
    if design.control:
        nothing = np.full((design.control, design.n), -1)
        control = _rows(network, nothing, design, rng)
    return Problem(network, targets, weights, component, unit, codes, control)


def _rows(
    network: Network, of_unit: Ints, design: Design, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Draw rows of units, each under its own target."""
    size = rng.integers(design.sizes[0], design.sizes[1] + 1, len(of_unit))
    size[rng.random(len(of_unit)) < design.single] = 1
    unit = np.repeat(np.arange(len(of_unit)), size)
    if design.dependence:
        return unit, _dependent(network, of_unit, unit, design.dependence, rng)
    distinct, which = np.unique(of_unit, axis=0, return_inverse=True)
    codes = np.empty((unit.size, network.n_variables), dtype=np.int8, order="F")
    for t, target in enumerate(distinct):
        at = np.flatnonzero(which.ravel()[unit] == t)
        codes[at] = sample_codes(network, target[None], np.ones(1), at.size, rng)[0]
    return unit, codes


def _dependent(
    network: Network, of_unit: Ints, unit: Ints, rho: float, rng: np.random.Generator
) -> Ints:
    """Let rows take the chance of their unit with the probability that makes this correlation."""
    codes = np.zeros((unit.size, network.n_variables), dtype=np.int64)
    n_units = len(of_unit)
    for i in network.order:
        shared = rng.random(unit.size) < np.sqrt(rho)
        chance = np.where(shared, rng.random(n_units)[unit], rng.random(unit.size))
        table = network.tables[i][network.parent_rows(int(i), codes)]
        drawn = (chance[:, None] > np.cumsum(table, axis=1)[:, :-1]).sum(axis=1)
        own = of_unit[unit, i]
        codes[:, i] = np.where(own >= 0, own, drawn)
    return codes


def frame(network: Network, codes: Ints, unit: Ints | None) -> pl.DataFrame:
    """Return rows as a table of state names, with the unit of each."""
    columns = {
        name: np.array(network.variables[i].states)[codes[:, i]]
        for i, name in enumerate(network.names)
    }
    table = pl.DataFrame(columns)
    return table if unit is None else table.with_columns(pl.Series("unit", unit))


def fitted(
    found: Problem,
    with_units: bool = True,
    with_control_units: bool = True,
    method: str = "likelihood",
) -> Any:
    """Fit, and return the model with the seconds that it took."""
    rows = frame(found.network, found.codes, found.unit if with_units else None)
    beside: dict[str, Any] = {"unit": "unit"} if with_units else {}
    model = dosift.InterventionMixture(method=method)
    if found.control is None:
        model = dosift.InterventionMixture(found.network, method=method)
    else:
        unit, codes = found.control
        own = unit if with_units and with_control_units else None
        beside["control"] = frame(found.network, codes, own)
        beside["graph"] = found.network.edges
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows, **beside)
    return model, time.perf_counter() - begin


def measures(found: Problem, model: Any, with_units: bool) -> dict[str, float]:
    """Compare a fit with the truth."""
    truth = dosift.Mixture.from_codes(found.network, found.targets, found.weights)
    seen = dosift.evaluate(truth, model.mixture_)
    large = {str(t) for t, w in truth.items() if w >= _LEAST_WEIGHT}
    named = {str(t) for t in model.targets_}
    weight = {str(t): w for t, w in truth.items()}
    held = [
        row["ci_low"] <= weight[row["target"]] <= row["ci_high"]
        for row in model.components_.to_dicts()
        if row["target"] in weight and row["ci_low"] is not None
    ]
    out = {
        "recall": len(large & named) / len(large),
        "precision": seen.precision,
        "tv": seen.tv,
        "covered": float(sum(held)),
        "intervals": float(len(held)),
    }
    if with_units:
        first = np.flatnonzero(np.diff(found.unit, prepend=-1))
        rows = frame(found.network, found.codes, found.unit)
        best = model.predict(rows, unit="unit")[first]
        oracle = assign(found.network, found.targets, found.weights, found.codes, first).best
        out["ari"] = adjusted_rand_score(found.component, best.astype(str))
        out["oracle_ari"] = adjusted_rand_score(found.component, oracle)
    return out


def lines(design: Design, problems: int, seed: int) -> Iterator[tuple[str, list[dict[str, float]]]]:
    """Yield the measures of every way to fit the same problems."""
    ways: list[tuple[str, Callable[[Problem], Any], bool]] = [
        ("with units", fitted, True),
        ("moments", lambda found: fitted(found, method="moments"), True),
        ("rows alone", lambda found: fitted(found, with_units=False), False),
    ]
    if design.dependence:
        ways.insert(
            2, ("not corrected", lambda found: fitted(found, with_control_units=False), True)
        )
    drawn = [problem(design, seed + k) for k in range(problems)]
    for name, way, with_units in ways:
        out = []
        for found in drawn:
            model, seconds = way(found)
            out.append({**measures(found, model, with_units), "seconds": seconds})
        yield name, out


def summary(found: list[dict[str, float]]) -> str:
    """Means over problems, and the share of intervals that hold the truth."""
    mean = {k: float(np.mean([one[k] for one in found])) for k in found[0]}
    held = sum(one["covered"] for one in found)
    n = sum(one["intervals"] for one in found)
    names = ("recall", "precision", "tv", "ari", "oracle_ari")
    parts = "; ".join(f"{k} {mean[k]:.3f}" for k in names if k in mean)
    longest = max(one["seconds"] for one in found)
    cover = f"cover {held:.0f} of {n:.0f} ({held / max(n, 1):.3f})"
    return f"{parts}; {cover}; {mean['seconds']:.1f} s (longest {longest:.1f})"


def write_files(design: Design, seed: int, folder: Path) -> None:
    """Write a problem as the command wants it, with its truth."""
    found = problem(design, seed)
    dosift.write_network(found.network, folder / "network.bif")
    frame(found.network, found.codes, found.unit).write_csv(folder / "rows.csv")
    truth = dosift.Mixture.from_codes(found.network, found.targets, found.weights)
    truth.write(folder / "truth.json")


def command(design: Design, seed: int) -> str:
    """Run the command, as a process of its own, on a file of text; seconds and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # In another process: a child's largest memory is at first that of its parent.
        writer = get_context("spawn").Process(target=write_files, args=(design, seed, folder))
        writer.start()
        writer.join()
        words = ["fit", str(folder / "network.bif"), str(folder / "rows.csv"), "--unit", "unit"]
        words += ["-o", str(folder / "out"), "--quiet"]
        begin = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "dosift", *words])
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            raise SystemExit("the fit failed")
        seen = dosift.evaluate(
            dosift.Mixture.read(folder / "truth.json"),
            dosift.Mixture.read(folder / "out" / "mixture.json"),
        )
    return (
        f"recall {seen.recall:.3f}; precision {seen.precision:.3f}; tv {seen.tv:.4f}; "
        f"{seconds:.0f} s; {usage.ru_maxrss / 2**20:.2f} GiB"
    )


def main() -> None:
    """Print the lines asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("line", choices=sorted(DESIGNS))
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--units", type=int)
    parser.add_argument("--command", action="store_true", help="by the command, from a file")
    given = parser.parse_args()
    design = DESIGNS[given.line]
    if given.units:
        design = replace(design, n_units=given.units)
    if given.command:
        print(f"{given.line}, by the command: {command(design, given.seed)}")
        return
    for name, found in lines(design, given.problems, given.seed):
        print(f"{given.line}, {name}, {given.problems} problems: {summary(found)}", flush=True)


if __name__ == "__main__":
    main()
