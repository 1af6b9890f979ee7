"""Hold method "moments" against the published figures of Kumar and Sinha (UAI 2021), Figure 1.

Problems as in the paper: scale-free graphs, three states, tables with Dirichlet(2) rows, 4 to 15
targets besides the empty one, tables learned from as many control rows as there are mixture rows.
The published figures were read off the plot (recall to within .005, RMSE to within .002).
RMSE is over the targets that are true or found.

    python benchmarks/paper_moments.py                    # 60 problems for each of nine settings
    python benchmarks/paper_moments.py --problems 600 --output table.csv
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dosift.data import Configurations, collapse
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options, estimate
from dosift.model.evaluation import compare_codes
from dosift.model.network import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes

Targets, Floats = NDArray[np.int64], NDArray[np.float64]

#: (variables, rows): published recall and RMSE.
PUBLISHED = {
    (4, 2**8): (0.66, 0.055),
    (4, 2**12): (0.91, 0.0245),
    (4, 2**16): (0.975, 0.010),
    (8, 2**8): (0.21, 0.045),
    (8, 2**12): (0.46, 0.029),
    (8, 2**16): (0.71, 0.024),
    (12, 2**8): (0.10, 0.042),
    (12, 2**12): (0.26, 0.026),
    (12, 2**16): (0.47, 0.023),
}
COLUMNS = (
    *("n_variables", "n_rows", "problems", "recall", "recall_error", "recall_published"),
    *("rmse", "rmse_error", "rmse_published", "precision", "targets_found", "seconds"),
)


def draw(n: int, n_rows: int, seed: int) -> tuple[Network, Configurations, Targets, Floats]:
    """Draw a problem: the learned network, the mixture rows, the true targets and weights."""
    rng = np.random.default_rng([n, n_rows, seed])
    network = random_network(n, graph="scale-free", random_state=rng)
    mixture = random_mixture(network, int(rng.integers(4, 16)), random_state=rng)
    targets, weights = mixture.to_codes(network)
    codes, _ = sample_codes(network, targets, weights, n_rows, rng)
    control, _ = sample_codes(network, np.full((1, n), -1), np.ones(1), n_rows, rng)
    learned = learn_from_codes(network.variables, network.parents, control, 0.5)
    return learned, collapse(codes, network.cardinalities), targets, weights


def solve(n: int, n_rows: int, seed: int) -> tuple[float, float, float, int, float]:
    learned, rows, targets, weights = draw(n, n_rows, seed)
    begin = time.perf_counter()
    found = estimate("moments", learned, Evidence.of_configurations(learned, rows), Options())
    seconds = time.perf_counter() - begin
    scores = compare_codes(targets, weights, found.targets, found.weights)
    return scores.recall, scores.precision, scores.rmse, len(found.targets), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="CSV file to write besides")
    arguments = parser.parse_args()
    print("| n | rows | recall (published) | RMSE (published) | precision | found | seconds |")
    print("|---|---|---|---|---|---|---|")
    lines = []
    for (n, n_rows), (recall, rmse) in PUBLISHED.items():
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.problems)
        values = np.array([solve(n, n_rows, seed) for seed in seeds])
        mean = values.mean(axis=0)
        error = values.std(axis=0) / len(values) ** 0.5
        print(
            f"| {n} | {n_rows} | {mean[0]:.3f} +- {error[0]:.3f} ({recall}) | "
            f"{mean[2]:.4f} +- {error[2]:.4f} ({rmse}) | "
            f"{mean[1]:.3f} | {mean[3]:.0f} | {mean[4]:.3f} |",
            flush=True,
        )
        lines.append((n, n_rows, len(values), mean[0], error[0], recall, mean[2], error[2], rmse))
        lines[-1] += (mean[1], mean[3], mean[4])
    if arguments.output is not None:
        with arguments.output.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([f"{x:.7g}" for x in line] for line in lines)


if __name__ == "__main__":
    main()
