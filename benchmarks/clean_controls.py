"""What the negative control invents in clean control rows of telemetry: chance, or a fault?

Two kinds: ``log`` is that of docs/how-to/measurements.md (lines of logarithms and log odds, which
the model holds), ``sums`` that of discretisation_problems.py (sums of log-normal latencies, which
it does not). Only the negative control is made, no fit.

    python benchmarks/clean_controls.py --problems 12
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import discretisation_problems
import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

import dosift
from dosift.pipeline import fit as _of_pipeline  # noqa: F401 - loads the module below

_EDGES = [("region", "traffic"), ("traffic", "db"), ("db", "api"), ("api", "errors")]


class _Made(Exception):  # noqa: N818 - it ends a fit, nothing is wrong
    """Carries the negative control out of a fit."""


def log_telemetry(n: int, rng: np.random.Generator, slower: float = 1.0) -> pl.DataFrame:
    """Draw rows of docs/how-to/measurements.md."""
    region = rng.integers(2, size=n)
    traffic = np.exp(rng.normal(5.0, 0.3, n) + 0.2 * region)
    db = slower * np.exp(0.3 * np.log(traffic) + 0.2 * rng.normal(size=n))
    api = np.exp(0.6 * np.log(db) + 0.15 * rng.normal(size=n))
    odds = -4 + np.log(api) + 0.3 * rng.normal(size=n)
    names = np.array(["eu", "us"])[region]
    share = 1 / (1 + np.exp(-odds))
    return pl.DataFrame(
        {"region": names, "traffic": traffic, "db": db, "api": api, "errors": share}
    )


def problem(kind: str, seed: int) -> tuple[pl.DataFrame, pl.DataFrame, list[tuple[str, str]]]:
    """Draw rows and control rows, and return the true graph with them."""
    if kind == "log":
        rng = np.random.default_rng([19, seed])
        control = log_telemetry(2000, rng)
        rows = pl.concat([log_telemetry(750, rng), log_telemetry(250, rng, 2.5)])
        return rows, control, _EDGES
    made = discretisation_problems.draw("telemetry", 3000, seed)
    names = list(made.names)
    return pl.DataFrame(made.rows, names), pl.DataFrame(made.control, names), list(made.edges)


def negative_control(kind: str, seed: int) -> Any:
    """Play the control rows of a problem as a pool."""
    module = sys.modules["dosift.pipeline.fit"]
    made = module.negative_control

    def only(*args: Any, **named: Any) -> None:
        raise _Made(made(*args, **named))

    rows, control, edges = problem(kind, seed)
    module.negative_control = only
    try:
        dosift.InterventionMixture().fit(rows, control=control, graph=edges)
    except _Made as end:
        return end.args[0]
    finally:
        module.negative_control = made


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--first", type=int, default=100)
    chosen = parser.parse_args()
    seeds = range(chosen.first, chosen.first + chosen.problems)
    for kind in ("log", "sums"):
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            found = [negative_control(kind, seed) for seed in seeds]
        low = [f"{one.power:.2f}" for one in found if one.power < 1.0]
        invented = np.mean([one.weight for one in found])
        print(f"{kind:4} invented {invented:.3f}, power below 1: {len(low)} of {len(found)}", *low)


if __name__ == "__main__":
    main()
