"""Rows that do not fit in memory: time and memory of the command, and what the sample misses.

    python benchmarks/many_rows.py fit 10 30 100       # millions of rows of 20 variables, in turn
    python benchmarks/many_rows.py learned 10          # the same, network learned from control rows
    python benchmarks/many_rows.py numbers 1 10        # the same of 10 measurements
    python benchmarks/many_rows.py misses 8            # problems: a small sample against all rows

`fit` writes Parquet files of about 4 MB for each million rows (`numbers` of 80 MB) into a temporary
folder, and runs `dosift fit` in a process of its own, whose peak of resident memory is read when it
has ended. `numbers` learns the network from as many control rows as rows, up to a million.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

import dosift
from dosift.data import collapse
from dosift.data import sample as sampling
from dosift.data.blocks import MemoryBlocks
from dosift.data.write import write_parts
from dosift.io import write_network
from dosift.methods import Options, estimate
from dosift.model.simulate import sample_codes
from dosift.pipeline import gather
from dosift.search.engine import find_targets

_PART = 500_000


@dataclass(frozen=True)
class Linear:
    """A linear-Gaussian system in which every variable has a standard deviation of about one."""

    parents: tuple[tuple[int, ...], ...]
    coefficients: tuple[np.ndarray, ...]
    sd: tuple[float, ...]

    @property
    def order(self) -> range:
        return range(len(self.parents))


@dataclass(frozen=True)
class Hit:
    """A variable that is set to a mean, with a spread."""

    node: int
    mean: float
    sd: float


def random_linear(n: int, rng: np.random.Generator) -> Linear:
    """Draw a system in which each variable has up to two parents among those before it."""
    parents, coefficients, sd = [], [], []
    for i in range(n):
        own = rng.choice(i, size=min(i, int(rng.integers(0, 3))), replace=False).tolist()
        parents.append(tuple(own))
        coefficients.append(rng.choice([-1, 1], size=len(own)) * rng.uniform(0.4, 0.7, len(own)))
        sd.append(0.7 if own else 1.0)
    return Linear(tuple(parents), tuple(coefficients), tuple(sd))


def problem(
    n_variables: int, n_targets: int, max_size: int, seed: int
) -> tuple[dosift.Network, dosift.Mixture, np.random.Generator]:
    rng = np.random.default_rng(seed)
    network = dosift.random_network(n_variables, max_parents=2, random_state=rng)
    mixture = dosift.random_mixture(network, n_targets, max_size=max_size, random_state=rng)
    return network, mixture, rng


def write_rows(
    network: dosift.Network,
    mixture: dosift.Mixture,
    n_rows: int,
    path: Path,
    rng: np.random.Generator,
) -> None:
    targets, weights = mixture.to_codes(network)
    states = [pl.Series(variable.states) for variable in network.variables]

    def parts() -> Iterator[pl.DataFrame]:
        for start in range(0, n_rows, _PART):
            codes, _ = sample_codes(network, targets, weights, min(_PART, n_rows - start), rng)
            columns = zip(network.names, states, codes.T, strict=True)
            yield pl.DataFrame({name: known.gather(column) for name, known, column in columns})

    write_parts(parts(), pl.Schema(dict.fromkeys(network.names, pl.String)), path)


def fit(millions: float, folder: Path, learned: bool) -> None:
    """Run the command, and print its time, its peak of memory, and what it found."""
    network, mixture, rng = problem(20, 8, 2, 0)
    rows, result = folder / "rows.parquet", folder / "result"
    write_rows(network, mixture, int(millions * 1e6), rows, rng)
    given: list[str] = [str(folder / "network.bif"), str(rows)]
    if learned:
        edges = "".join(f"{parent},{child}\n" for parent, child in network.edges)
        alone = "".join(f",{name}\n" for name in network.names)
        (folder / "edges.csv").write_text(f"parent,child\n{edges}{alone}")
        write_rows(network, dosift.Mixture({dosift.do(): 1.0}), 100_000, folder / "c.parquet", rng)
        options = ["--graph", folder / "edges.csv", "--control", folder / "c.parquet"]
        given = [str(rows), *map(str, options)]
    else:
        write_network(network, folder / "network.bif")
    begin = time.perf_counter()
    command = [sys.executable, "-m", "dosift", "fit", *given, "-o", str(result), "--force", "-q"]
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - begin
    # The largest of all children so far; sizes are run in ascending order, and it hardly grows.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    found = dosift.evaluate(mixture, dosift.Mixture.read(result / "mixture.json"))
    timings = json.loads((result / "result.json").read_text())["timings"]
    print(
        f"{millions:6g} million rows  {seconds:6.1f} s ({seconds / millions:.2f} s a million)  "
        f"{peak:.2f} GiB  recall {found.recall:.3f}  precision {found.precision:.3f}  "
        f"TV {found.tv:.4f}  {timings}",
        flush=True,
    )


def _drawn(
    network: Linear, hits: list[Hit | None], n_rows: int, rng: np.random.Generator
) -> Iterator[pl.DataFrame]:
    """Draw rows of targets, each as often as any other."""
    names = [f"x{i}" for i in range(len(network.parents))]
    for start in range(0, n_rows, _PART):
        hit = rng.integers(0, len(hits), size=min(_PART, n_rows - start))
        values = np.zeros((hit.size, len(names)))
        for i in network.order:
            own = values[:, list(network.parents[i])] @ network.coefficients[i]
            values[:, i] = own + network.sd[i] * rng.normal(size=hit.size)
            for k, done in enumerate(hits):
                if done is not None and done.node == i:
                    at = hit == k
                    values[at, i] = done.mean + done.sd * rng.normal(size=int(at.sum()))
        yield pl.DataFrame(dict(zip(names, values.T, strict=True)))


def numbers(millions: float, folder: Path, n: int = 10, n_targets: int = 6) -> None:
    """Run the command on measurements, and print its time, its peak of memory, what it found."""
    rng = np.random.default_rng([23, n])
    network = random_linear(n, rng)
    nodes = rng.choice(n, size=n_targets, replace=False).tolist()
    hits: list[Hit | None] = [None, *(Hit(i, 3.0 * (-1) ** i, 0.5) for i in nodes)]
    schema = pl.Schema({f"x{i}": pl.Float64 for i in range(n)})
    n_rows = int(millions * 1e6)
    write_parts(_drawn(network, hits, n_rows, rng), schema, folder / "rows.parquet")
    n_control = min(n_rows, 1_000_000)
    write_parts(_drawn(network, [None], n_control, rng), schema, folder / "control.parquet")
    lines = [f"x{p},x{i}\n" for i, own in enumerate(network.parents) for p in own]
    lines += [f",x{i}\n" for i in range(n)]
    (folder / "edges.csv").write_text("parent,child\n" + "".join(lines))
    result = folder / "result"
    command = [sys.executable, "-m", "dosift", "fit", str(folder / "rows.parquet")]
    command += ["--control", str(folder / "control.parquet")]
    command += ["--graph", str(folder / "edges.csv"), "-o", str(result), "--force", "-q"]
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    status = subprocess.run(command, check=False).returncode
    seconds = time.perf_counter() - begin
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads((result / "result.json").read_text())
    shown = pl.read_csv(result / "components.csv")
    sets = [frozenset(t) for t in dosift.Mixture.read(result / "mixture.json")]
    truth = {frozenset() if h is None else frozenset({f"x{h.node}"}) for h in hits}
    weights = dict(zip(sets, shown["weight"].to_list(), strict=False))
    off = max(abs(weights.get(one, 0.0) - 1.0 / len(hits)) for one in truth)
    print(
        f"{millions:6g} million rows of {n} numbers  {seconds:6.1f} s, of processors "
        f"{used.ru_utime - before:.1f} s  {used.ru_maxrss / 2**20:.2f} GiB  status {status}  "
        f"found {len(truth & set(sets))} of {len(truth)}, {len(set(sets) - truth)} invented, "
        f"weights within {off:.4f}  {told['timings']}",
        flush=True,
    )


def misses(n_problems: int) -> None:
    """Compare the search on a sample of 8,192, finished on all rows, with one on all rows."""
    most = sampling.MOST_CONFIGURATIONS
    for seed in range(7000, 7000 + n_problems):
        rng = np.random.default_rng(seed)
        network = dosift.random_network(12, max_parents=3, random_state=rng)
        mixture = dosift.random_mixture(network, 25, max_size=4, random_state=rng)
        targets, weights = mixture.to_codes(network)
        codes, _ = sample_codes(network, targets, weights, 200_000, rng)
        codes = np.asfortranarray(codes.astype(np.int8))
        sampling.MOST_CONFIGURATIONS = 8192
        gathered = gather(network, MemoryBlocks(codes), None, 0)
        sampling.MOST_CONFIGURATIONS = most
        ours = estimate("likelihood", network, gathered.evidence, Options(), None, gathered.sample)
        whole = find_targets(network, collapse(codes, network.cardinalities))
        true = {bytes(t) for t in targets.astype(np.int16)}
        kept = [len(true & {bytes(t) for t in r.targets}) for r in (ours, whole)]
        print(
            f"problem {seed}: {len(true)} components; found {kept[0]} by the sample and passes, "
            f"{kept[1]} on all rows; penalised score "
            f"{ours.penalised_score - whole.penalised_score:+.1f}",
            flush=True,
        )


def main() -> None:
    what, *sizes = sys.argv[1:]
    if what == "misses":
        misses(int(sizes[0]))
        return
    for millions in sizes:
        with tempfile.TemporaryDirectory() as folder:
            if what == "numbers":
                numbers(float(millions), Path(folder))
            else:
                fit(float(millions), Path(folder), what == "learned")


if __name__ == "__main__":
    main()
