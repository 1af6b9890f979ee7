"""Rows that do not fit in memory: time and memory of the command, and what the sample misses.

    python benchmarks/many_rows.py fit 10 30 100       # millions of rows of 20 variables, in turn
    python benchmarks/many_rows.py learned 10          # the same, network learned from control rows
    python benchmarks/many_rows.py misses 8            # problems: a small sample against all rows

`fit` writes Parquet files of about 4 MB for each million rows into a temporary folder, and runs
`dosift fit` in a process of its own, whose peak of resident memory is read when it has ended.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from dosift.search.block_search import BlockSearch, find_targets_over_blocks

import dosift
from dosift.data import collapse
from dosift.data.blocks import MemoryBlocks
from dosift.data.sample import Sampler
from dosift.data.write import write_parts
from dosift.io import write_network
from dosift.likelihood.first_pass import FirstLook, sampler_after
from dosift.model.simulate import sample_codes
from dosift.search.engine import find_targets

_PART = 500_000


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


def misses(n_problems: int) -> None:
    """Compare the search on a sample of 8,192, finished on all rows, with one on all rows."""
    for seed in range(7000, 7000 + n_problems):
        rng = np.random.default_rng(seed)
        network = dosift.random_network(12, max_parents=3, random_state=rng)
        mixture = dosift.random_mixture(network, 25, max_size=4, random_state=rng)
        targets, weights = mixture.to_codes(network)
        codes, _ = sample_codes(network, targets, weights, 200_000, rng)
        codes = np.asfortranarray(codes.astype(np.int8))
        blocks = MemoryBlocks(codes)
        look = FirstLook(network, Sampler(network.cardinalities, 0, most=8192))
        seen = blocks.reduce(look, look.merge)
        sampler = sampler_after(look.sampler, seen)
        sample = sampler.configurations(blocks.reduce(sampler, sampler.merge), blocks.n_rows)
        search = BlockSearch(
            network, blocks, sample, seen.families, None, True, 1e-8, lambda *_: None
        )
        ours = find_targets_over_blocks(search)
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
    what, *numbers = sys.argv[1:]
    if what == "misses":
        misses(int(numbers[0]))
        return
    for millions in numbers:
        with tempfile.TemporaryDirectory() as folder:
            fit(float(millions), Path(folder), what == "learned")


if __name__ == "__main__":
    main()
