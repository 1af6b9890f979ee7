"""The ratios of docs/performance.md, all measured in one run.

    python benchmarks/ratios.py                    # everything; the large fit takes minutes
    python benchmarks/ratios.py small tall moments
    python benchmarks/ratios.py passes             # whole fits against one np.unique
    python benchmarks/ratios.py profile            # where these fits spend their time

How long reading, counting, fitting and assigning take against one pass over the same file, against
a plain group-by of polars on the same table, and against the moment method where it is there.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hot_parts import SIZES, problem

from dosift import InterventionMixture
from dosift.data import collapse, encode, read_rows
from dosift.methods import METHODS
from dosift.model import Network
from dosift.model.evaluation import compare_codes
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes

#: Variables, rows and problems of the comparison with the moment method; as in its paper.
SETTINGS = ((4, 16_384, 20), (4, 262_144, 10), (8, 16_384, 6), (8, 262_144, 4))

#: Variables, rows and problems of the comparison with one pass over codes in memory.
PASSES = ((8, 16_384, 9), (8, 262_144, 9), (12, 262_144, 9))


#: Parts of a fit: file and function, and what it does.
STAGES = {
    ("data/load.py", "load"): "rows into distinct rows",
    ("search/engine.py", "from_scratch"): "search",
    ("search/neighbourhood.py", "survey"): "survey of other targets",
    ("search/mechanisms.py", "suspect_mechanism"): "trials of freed tables",
    ("inference/posterior.py", "posterior_of_fit"): "posterior",
    ("pipeline/repairs.py", "repaired_answers"): "answers that repairs give",
    ("results/summary.py", "of_fit"): "tables of results",
}


def best(
    work: Callable[[], object], rounds: int = 3, clock: Callable[[], float] = time.perf_counter
) -> float:
    seconds = []
    for _ in range(rounds):
        begin = clock()
        work()
        seconds.append(clock() - begin)
    return min(seconds)


def against_one_pass(size: str) -> None:
    p = problem(size)
    names = p.frame.columns
    # One pass: every value of every column is decoded and looked at once.
    look = pl.all().str.len_bytes().sum()
    one_pass = best(lambda: pl.scan_parquet(p.parquet).select(look).collect())
    group_by = best(lambda: p.frame.group_by(names).len())
    frame = read_rows(p.parquet)
    codes = encode(frame, p.network).codes

    def count() -> object:
        return collapse(encode(frame, p.network).codes, p.network.cardinalities)

    model = InterventionMixture(p.network)
    work = {
        "one pass over the Parquet file": lambda: None,
        "polars: group by all columns": lambda: None,
        "dosift: read": lambda: read_rows(p.parquet),
        "dosift: encode and count (what the group-by does)": count,
        "dosift: fit of the file, all in all": lambda: model.fit(p.parquet),
        "dosift: assign every row of the file": lambda: model.predict(p.parquet),
    }
    seconds = {name: best(step, 1 if "fit" in name else 3) for name, step in work.items()}
    seconds["one pass over the Parquet file"] = one_pass
    seconds["polars: group by all columns"] = group_by
    n_distinct = collapse(codes, p.network.cardinalities).counts.size
    print(f"\n{codes.shape[0]:,} rows x {codes.shape[1]} variables, {n_distinct:,} distinct rows\n")
    print("| what | seconds | in passes | in group-bys |\n|---|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {value:.3f} | {value / one_pass:.1f} | {value / group_by:.1f} |")


def drawn(n_variables: int, n_rows: int, seed: int) -> tuple[Network, np.ndarray]:
    """A known network of any density, and codes of a mixture on it."""
    rng = np.random.default_rng([n_variables, n_rows, 900 + seed])
    network = random_network(n_variables, random_state=rng)
    truth = random_mixture(network, int(rng.choice([4, 8, 16])), random_state=rng)
    targets, weights = truth.to_codes(network)
    return network, sample_codes(network, targets, weights, n_rows, rng)[0]


def profiled(n_variables: int, n_rows: int, n_problems: int) -> None:
    """Share of each part of a fit in its CPU time, all problems together and the median one."""
    shares = []
    for seed in range(n_problems):
        network, codes = drawn(n_variables, n_rows, seed)
        model = InterventionMixture(network)
        model.fit(codes)
        profile = cProfile.Profile(time.process_time)
        profile.runcall(model.fit, codes)
        stats: Any = pstats.Stats(profile)
        found = dict.fromkeys(STAGES.values(), 0.0)
        for (path, _, name), (_, _, _, seconds, _) in stats.stats.items():
            for (file, function), stage in STAGES.items():
                if name == function and path.endswith(f"dosift/{file}"):
                    found[stage] += seconds
        shares.append([*(found[stage] for stage in STAGES.values()), stats.total_tt])
    taken = np.array(shares)
    all_of, middle = taken.sum(axis=0) / taken[:, -1].sum(), np.median(taken, axis=0)
    print(f"\n{n_variables} variables, {n_rows:,} rows, {n_problems} problems")
    for k, stage in enumerate([*STAGES.values(), "all of it"]):
        print(f"{stage:28} {100 * all_of[k]:5.0f} %   median {middle[k]:.3f} s", flush=True)


def against_unique(n_variables: int, n_rows: int, n_problems: int) -> None:
    """CPU time of a whole fit of codes in memory against counting them once."""
    seconds, passes = [], []
    for seed in range(n_problems):
        network, codes = drawn(n_variables, n_rows, seed)

        def count(codes: np.ndarray = codes) -> object:
            key = np.zeros(len(codes), dtype=np.int64)
            for column in codes.T:
                key = 3 * key + column
            return np.unique(key)

        clock = time.process_time
        one_pass = best(count, 5, clock)
        model = InterventionMixture(network)
        seconds.append(best(lambda model=model, codes=codes: model.fit(codes), 2, clock))
        passes.append(seconds[-1] / one_pass)
    print(
        f"| {n_variables} | {n_rows:,} | {n_problems} | {np.median(seconds):.2f} | "
        f"{np.median(passes):.0f} | {min(passes):.0f} to {max(passes):.0f} |",
        flush=True,
    )


def against_moments(n_variables: int, n_rows: int, n_problems: int) -> None:
    methods = [m for m in ("likelihood", "moments") if m in METHODS]
    outcomes: dict[str, list[tuple[float, float, float, float]]] = {m: [] for m in methods}
    for seed in range(n_problems):
        rng = np.random.default_rng(seed)
        network = random_network(n_variables, random_state=rng)
        truth = random_mixture(network, int(rng.choice([4, 8, 16])), random_state=rng)
        targets, weights = truth.to_codes(network)
        codes, _ = sample_codes(network, targets, weights, n_rows, rng)
        for method in methods:
            model = InterventionMixture(network, method=method)
            begin = time.perf_counter()
            model.fit(codes)
            seconds = time.perf_counter() - begin
            found, found_weights = model.mixture_.to_codes(network)
            scores = compare_codes(targets, weights, found, found_weights)
            outcomes[method].append((seconds, scores.recall, scores.precision, scores.tv))
    for method, rows in outcomes.items():
        seconds, *means = np.median([r[0] for r in rows]), *np.mean(rows, axis=0)[1:]
        shown = " | ".join(f"{value:.3f}" for value in (seconds, *means))
        print(f"| {n_variables} | {n_rows:,} | {method} | {shown} |", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")
    wanted = sys.argv[1:] or [*SIZES, "passes", "moments"]
    for size in SIZES:
        if size in wanted:
            against_one_pass(size)
    if "passes" in wanted:
        print("\n| variables | rows | problems | CPU seconds (median) | passes (median) | range |")
        print("|---|---|---|---|---|---|")
        for setting in PASSES:
            against_unique(*setting)
    if "profile" in wanted:
        for setting in PASSES:
            profiled(*setting)
    if "moments" not in wanted:
        return
    print("\n| variables | rows | method | seconds (median) | recall | precision | TV |")
    print("|---|---|---|---|---|---|---|")
    for setting in SETTINGS:
        against_moments(*setting)


if __name__ == "__main__":
    main()
