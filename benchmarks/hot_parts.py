"""The hot parts of a fit, each as a function to be timed, on a small and on a large problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import polars as pl

from dosift.data import collapse, encode, read_rows
from dosift.likelihood.assignment import assign
from dosift.likelihood.factors import MechanismFactors
from dosift.likelihood.weights import solve_weights
from dosift.model import Mixture, Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.engine import find_targets

#: Variables and rows. Three states each; at most two parents, targets of at most two variables.
#: Rows of "tall" repeat (3^8 = 6,561 configurations), those of "large" hardly do.
SIZES = {"small": (8, 5_000), "tall": (8, 1_000_000), "large": (20, 1_000_000)}
PARTS = (
    "read CSV",
    "read Parquet",
    "encode",
    "count",
    "likelihood table",
    "solver",
    "search",
    "assign",
)


@dataclass
class Problem:
    """Rows drawn from a mixture of eight interventions and none."""

    network: Network
    mixture: Mixture
    codes: np.ndarray
    frame: pl.DataFrame
    csv: Path
    parquet: Path


@cache
def problem(size: str) -> Problem:
    n_variables, n_rows = SIZES[size]
    rng = np.random.default_rng(0)
    network = random_network(n_variables, max_parents=2, random_state=rng)
    mixture = random_mixture(network, 8, max_size=2, random_state=rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, n_rows, rng)
    codes = np.asfortranarray(codes.astype(np.int8))
    columns = {
        variable.name: pl.Series(list(variable.states)).gather(codes[:, i])
        for i, variable in enumerate(network.variables)
    }
    frame = pl.DataFrame(columns)
    folder = Path(mkdtemp(prefix="dosift-benchmark-"))
    frame.write_csv(folder / "rows.csv")
    frame.write_parquet(folder / "rows.parquet")
    return Problem(network, mixture, codes, frame, folder / "rows.csv", folder / "rows.parquet")


def prepare(part: str, size: str) -> Callable[[], object]:
    """Return a part of the work as a function without arguments, with its inputs made."""
    p = problem(size)
    configurations = collapse(p.codes, p.network.cardinalities)
    targets, weights = p.mixture.to_codes(p.network)
    columns = MechanismFactors(p.network, configurations.codes).columns(targets)
    parts: dict[str, Callable[[], object]] = {
        "read CSV": lambda: read_rows(p.csv),
        "read Parquet": lambda: read_rows(p.parquet),
        "encode": lambda: encode(p.frame, p.network),
        "count": lambda: collapse(p.codes, p.network.cardinalities),
        "likelihood table": lambda: MechanismFactors(p.network, configurations.codes).columns(
            targets
        ),
        "solver": lambda: solve_weights(columns, configurations.counts),
        "search": lambda: find_targets(p.network, configurations),
        "assign": lambda: assign(p.network, targets, weights, configurations.codes),
    }
    return parts[part]


def peak_memory(work: Callable[[], object]) -> float:
    """Most memory that some work took beyond what was there, in MiB (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))
