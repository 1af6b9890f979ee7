"""Simulated screens: batches that share targets, fitted together, as one pool, and one by one.

Half the units of every batch are undisturbed; the others were hit by a few targets, drawn from a
list that all batches have in common. Networks have 8 variables of three states, targets set at most
three of them.

    python benchmarks/batches.py                  # 10 screens for each of four settings
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

import dosift
from dosift.errors import DosiftWarning

Weights = dict[str, dosift.Mixture]


@dataclass(frozen=True)
class Setting:
    """Size of a screen."""

    n_batches: int
    n_rows: int
    n_targets: int
    per_batch: int


SETTINGS = [
    Setting(3, 1000, 8, 4),
    Setting(12, 2000, 40, 5),
    Setting(20, 400, 15, 3),
    Setting(60, 200, 30, 2),
]


def draw(setting: Setting, seed: int) -> tuple[dosift.Network, pl.DataFrame, Weights]:
    """Draw a screen and its truth."""
    network = dosift.random_network(8, random_state=seed)
    mixture = dosift.random_mixture(network, setting.n_targets, random_state=seed, max_size=3)
    targets = [target for target in mixture if target]
    rng = np.random.default_rng(seed)
    truth, frames = {}, []
    for b in range(setting.n_batches):
        chosen = rng.choice(len(targets), setting.per_batch, replace=False)
        shares = 0.5 * rng.dirichlet(np.full(setting.per_batch, 2.0))
        own = {targets[k]: share for k, share in zip(chosen, shares, strict=True)}
        name = f"{b:03}"
        truth[name] = dosift.Mixture({dosift.do(): 0.5, **own})
        rows = dosift.simulate(network, truth[name], setting.n_rows, random_state=[seed, b])
        frames.append(rows.with_columns(pl.lit(name).alias("batch")))
    return network, pl.concat(frames), truth


def distance(found: dosift.Mixture, true: dosift.Mixture) -> float:
    """Total variation of the weights."""
    return sum(abs(found.get(t, 0.0) - true.get(t, 0.0)) for t in {*found, *true}) / 2


def together(
    network: dosift.Network, rows: pl.DataFrame
) -> tuple[set[dosift.Target], Weights, pl.DataFrame]:
    """Fit the batches together."""
    model = dosift.InterventionMixture(network).fit(rows, batch="batch")
    table = model.batches_
    assert table is not None
    weights = {
        str(name): dosift.Mixture(
            {
                dosift.parse_target(row["target"]): row["weight"]
                for row in part.iter_rows(named=True)
            }
        )
        for (name,), part in table.group_by("batch")
    }
    return set(model.targets_), weights, table


def pooled(network: dosift.Network, rows: pl.DataFrame) -> tuple[set[dosift.Target], Weights]:
    """Fit the pool, then weights of its targets in each batch."""
    targets = dosift.InterventionMixture(network).fit(rows.drop("batch")).targets_
    known = dosift.PriorKnowledge(candidates=targets, required=targets)
    weights = {}
    for (name,), part in rows.group_by("batch"):
        model = dosift.InterventionMixture(network, prior_knowledge=known)
        weights[str(name)] = model.fit(part.drop("batch")).mixture_
    return set(targets), weights


def apart(network: dosift.Network, rows: pl.DataFrame) -> tuple[set[dosift.Target], Weights]:
    """Fit each batch on its own."""
    weights = {
        str(name): dosift.InterventionMixture(network).fit(part.drop("batch")).mixture_
        for (name,), part in rows.group_by("batch")
    }
    return set().union(*weights.values()), weights


def main() -> None:
    """Print one line for each setting and way of fitting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--screens", type=int, default=10)
    screens = parser.parse_args().screens
    warnings.simplefilter("ignore", DosiftWarning)
    print("batches x rows, targets (a batch)   fit        recall precision    TV      s  coverage")
    for setting in SETTINGS:
        lines: dict[str, list[tuple[float, ...]]] = {"together": [], "pool": [], "apart": []}
        covered: list[bool] = []
        for seed in range(screens):
            network, rows, truth = draw(setting, seed)
            true = set().union(*truth.values())
            for way, measured in lines.items():
                begin = time.perf_counter()
                if way == "together":
                    targets, weights, table = together(network, rows)
                    for row in table.iter_rows(named=True):
                        value = truth[row["batch"]].get(dosift.parse_target(row["target"]))
                        if value is not None:
                            covered.append(row["ci_low"] <= value <= row["ci_high"])
                else:
                    targets, weights = (pooled if way == "pool" else apart)(network, rows)
                seconds = time.perf_counter() - begin
                tv = float(np.mean([distance(weights[name], truth[name]) for name in truth]))
                right = len(targets & true)
                measured.append((right / len(true), right / len(targets), tv, seconds))
        size = f"{setting.n_batches} x {setting.n_rows}, {setting.n_targets} ({setting.per_batch})"
        for way, values in lines.items():
            recall, precision, tv, seconds = np.mean(values, axis=0)
            share = f"{np.mean(covered):9.3f}" if way == "together" else ""
            print(
                f"{size:35} {way:10} {recall:6.3f} {precision:9.3f} {tv:5.3f} {seconds:6.1f} "
                f"{share}",
                flush=True,
            )


if __name__ == "__main__":
    main()
