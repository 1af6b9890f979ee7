"""Faults that last: series of rows whose intervention holds and switches, with exclusion violated.

Networks have 8 variables of three states and at most 3 parents; six faults set one to three of them
each, so that some variable is set to each of its states; beside them is "no intervention". A target
holds for 50 rows on average. The oracle is the forward-backward algorithm with the true targets,
weights and rate.

    python benchmarks/faults_that_last.py                    # 20 series of 20,000 rows
    python benchmarks/faults_that_last.py --control 20000    # the network learned from control rows
    python benchmarks/faults_that_last.py --uneven           # irregular times, 10 units
    python benchmarks/faults_that_last.py --lasts 5          # shorter stretches
    python benchmarks/faults_that_last.py --apart            # the same rows without their times
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

import dosift
from dosift.chain.rows import ChainRows
from dosift.chain.smooth import smooth
from dosift.data.blocks import Block
from dosift.data.encode import encode
from dosift.errors import DosiftWarning
from dosift.likelihood.columns import RowLikelihoods, is_plain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """A series that was drawn.

    Attributes
    ----------
    network : dosift.Network
    rows : polars.DataFrame
        Variables, then ``unit`` and ``time``.
    targets : list of dosift.Target
    component : ndarray of int64, shape (n_rows,)
    weights : ndarray
    rate : float
        Of switching in a typical step.
    exposure : ndarray, shape (n_rows,)
    """

    network: dosift.Network
    rows: pl.DataFrame
    targets: list[dosift.Target]
    component: Ints
    weights: Floats
    rate: float
    exposure: Floats


def draw(seed: int, n_rows: int, lasts: float, uneven: bool) -> Series:
    """Draw a problem and its rows."""
    rng = np.random.default_rng(seed)
    network = dosift.random_network(8, max_parents=3, random_state=rng)
    while True:
        mixture = dosift.random_mixture(
            network, 6, max_size=3, exclusion=False, weight_concentration=4.0, random_state=rng
        )
        targets = list(mixture)
        codes = mixture.to_codes(network)[0]
        if len(targets) == 7 and any(np.unique(column).size == 4 for column in codes.T):
            break
    weights = np.array([mixture[target] for target in targets])
    # A redraw may give the same target; what is seen lasts longer than what is drawn.
    switching = 1.0 / lasts / (1.0 - float(weights @ weights))
    gaps = rng.exponential(size=n_rows) if uneven else np.ones(n_rows)
    unit = np.arange(n_rows) * (10 if uneven else 1) // n_rows
    begins = np.append(True, np.diff(unit) != 0)
    step = float(np.median(gaps[~begins]))
    exposure = np.where(begins, np.inf, gaps / step)
    rate = -float(np.log1p(-switching)) * (step if uneven else 1.0)
    anew = rng.random(n_rows) < -np.expm1(-rate * exposure)
    draws = rng.choice(weights.size, size=n_rows, p=weights)
    component = draws[np.maximum.accumulate(np.where(anew, np.arange(n_rows), 0))]
    parts = []
    for k, target in enumerate(targets):
        place = np.flatnonzero(component == k)
        if place.size:
            own = dosift.simulate(network, dosift.Mixture({target: 1.0}), place.size, rng)
            parts.append(own.with_columns(pl.Series("place", place)))
    rows = pl.concat(parts).sort("place").drop("place")
    rows = rows.with_columns(pl.Series("unit", unit), pl.Series("time", np.cumsum(gaps)))
    return Series(network, rows, targets, component, weights, rate, exposure)


def oracle(series: Series) -> Floats:
    """Posterior of the true targets in each row, with the truth known."""
    codes = encode(series.rows.drop("unit", "time"), series.network).codes
    truth = dosift.Mixture(dict(zip(series.targets, series.weights, strict=True)))
    target_codes = truth.to_codes(series.network)[0]
    block = Block(codes, np.ones(len(codes)))
    likelihoods = RowLikelihoods(
        series.network, block, is_plain(series.network, target_codes, block)
    )
    columns = likelihoods.columns(target_codes)
    rows = ChainRows.of(columns, np.arange(len(codes)), series.exposure)
    return smooth(rows, series.weights, series.rate).posterior


def covered(series: Series, table: pl.DataFrame) -> dict[str, float]:
    """Share of onsets and ends that lie in their intervals, of stretches with the right target.

    A stretch is right if the true target of some row of it is its own; the onset that counts is
    that of the true stretch with which it shares most rows.
    """
    true_begin = np.append(True, np.diff(series.component) != 0) | np.isinf(series.exposure)
    run = np.cumsum(true_begin) - 1
    first = np.flatnonzero(true_begin)
    last = np.append(first[1:], len(run)) - 1
    moments = series.rows["time"].to_numpy()
    texts = np.array([str(target) for target in series.targets])
    hits = {"onset": [], "end": []}
    begin = np.append(0, np.cumsum(table["rows"].to_numpy()))
    for k, line in enumerate(table.to_dicts()):
        own = np.arange(begin[k], begin[k + 1])
        own = own[texts[series.component[own]] == line["target"]]
        if not own.size:
            continue
        runs, sizes = np.unique(run[own], return_counts=True)
        true = runs[sizes.argmax()]
        onset, end = moments[first[true]], moments[last[true]]
        hits["onset"].append(line["start_low"] <= onset <= line["start_high"])
        hits["end"].append(line["end_low"] <= end <= line["end_high"])
    return {name: float(np.mean(values)) for name, values in hits.items()}


def measured(series: Series, control: int, seed: int, apart: bool) -> dict[str, float]:
    """Fit, and compare with the truth."""
    network = series.network
    if control:
        rows = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), control, 10_000 + seed)
        named = zip(network.names, network.parents, strict=True)
        edges = [(network.names[p], name) for name, parents in named for p in parents]
        network = dosift.learn_network(edges, rows)
    given = series.rows.drop("unit", "time") if apart else series.rows
    kinds = {} if apart else {"time": "time", "unit": "unit"}
    start = time.process_time()
    model = dosift.InterventionMixture(network).fit(given, **kinds)
    seconds = time.process_time() - start
    truth = set(map(str, series.targets))
    found = set(map(str, model.targets_))
    texts = np.array([str(target) for target in series.targets])
    best = oracle(series)
    of_oracle = best.argmax(axis=1) == series.component
    out = {
        "recall": len(truth & found) / len(truth),
        "precision": len(truth & found) / len(found),
        "oracle": float(of_oracle.mean()),
        "seconds": seconds,
    }
    if apart:
        named = model.predict(given)
        return out | {"right": float((np.asarray(named) == texts[series.component]).mean())}
    in_time = model.fitted_.in_time
    posterior = in_time.posterior
    named = np.array([str(target) for target in model.targets_])[posterior.argmax(axis=1)]
    right = named == texts[series.component]
    own = {str(t): w for t, w in zip(series.targets, series.weights, strict=True)}
    lines = model.components_.to_dicts()
    inside = [
        line["ci_low"] <= own[line["target"]] <= line["ci_high"]
        for line in lines
        if line["target"] in own
    ]
    true_rate = 1.0 - np.exp(-series.rate)
    rate = in_time.switching(0.95)
    both = covered(series, model.timeline_)
    return out | {
        "right": float(right.mean()),
        "onset": both["onset"],
        "says": float(model.timeline_["start_probability"].mean()),
        "end": both["end"],
        "switching": rate.value / true_rate - 1.0,
        "in interval": float(rate.low <= true_rate <= rate.high),
        "weights": float(np.mean(inside)),
    }


def main() -> None:
    """Print a line for each series, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--lasts", type=float, default=50.0)
    parser.add_argument("--control", type=int, default=0)
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    warnings.simplefilter("ignore", DosiftWarning)
    lines = []
    for seed in range(given.first, given.first + given.series):
        series = draw(seed, given.rows, given.lasts, given.uneven)
        lines.append(measured(series, given.control, seed, given.apart))
        if seed == given.first:
            print(*lines[0], sep=" | ")
        print(*(f"{value:.4f}" for value in lines[-1].values()), sep=" | ", flush=True)
    mean = {name: float(np.mean([line[name] for line in lines])) for name in lines[0]}
    print("mean", *(f"{name} {value:.4f}" for name, value in mean.items()), sep=" | ")
    if "switching" in mean:
        off = np.abs([line["switching"] for line in lines])
        print(f"switching rate off by {off.mean():.3f} on average, {off.max():.3f} at most, "
              f"within 10 % in {np.mean(off <= 0.1):.2f}")  # fmt: skip
    short = [line["oracle"] - line["right"] for line in lines]
    print(f"rows right: less than the oracle's by {np.mean(short):.4f}, at most {max(short):.4f}")


if __name__ == "__main__":
    main()
