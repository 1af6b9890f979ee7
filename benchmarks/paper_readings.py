"""Readings of the finite-sample algorithm of Kumar and Sinha (UAI 2021), measured side by side.

The paper leaves open how a system whose right-hand side is an estimate is solved, where the weight
of the excluded value goes, and when small weights are dropped. Method "moments" is the first
reading here; docs/methods.md says why.

    python benchmarks/paper_readings.py                  # 60 problems for each of six settings
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from paper_moments import draw
from scipy.optimize import nnls

from dosift.data import Configurations
from dosift.methods import DEFAULT_EPSILON
from dosift.methods.moments import PrefixFrequencies, smoothed
from dosift.methods.prefixes import extensions, solve_stage, solve_system, stage_of
from dosift.model.evaluation import compare_codes
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

SETTINGS = [(4, 2**8), (4, 2**12), (8, 2**8), (8, 2**16), (12, 2**12), (12, 2**16)]


def least_squares(right: Floats, mechanism: Floats) -> Floats:
    """Each value in turn has weight zero, the others by non-negative least squares."""
    matrix = np.eye(right.size) - mechanism[:, None]
    least, best = np.inf, np.zeros(right.size)
    for z in range(right.size):
        others = np.arange(right.size) != z
        solution, residual = nnls(matrix[:, others], right)
        if residual < least - 1e-15:
            least, best = residual, np.zeros(right.size)
            best[others] = solution
    return best


def square_systems(right: Floats, mechanism: Floats) -> Floats:
    """Each value in turn has weight zero and its equation is left out; the rest is clipped."""
    matrix = np.eye(right.size) - mechanism[:, None]
    least, best = np.inf, np.zeros(right.size)
    for z in range(right.size):
        others = np.flatnonzero(np.arange(right.size) != z)
        solution = np.zeros(right.size)
        solution[others] = np.linalg.solve(matrix[np.ix_(others, others)], right[others])
        solution = np.maximum(solution, 0)
        residual = float(np.linalg.norm(matrix @ solution - right))
        if residual < least - 1e-15:
            least, best = residual, solution
    return best


Rule = Callable[[Floats, Floats], Floats]
#: How a system is solved, whether the excluded value's weight goes back to the prefix (otherwise
#: the prefix and its other extensions share it), and whether small weights are dropped again
#: after rescaling.
READINGS: dict[str, tuple[Rule, bool, bool]] = {
    "closed form, weight back, dropped twice": (solve_system, True, True),
    "closed form, weight back, dropped once": (solve_system, True, False),
    "closed form, weight shared": (solve_system, False, True),
    "least squares, weight back": (least_squares, True, True),
    "least squares, weight shared": (least_squares, False, True),
    "square systems, weight back": (square_systems, True, True),
}


def find(network: Network, rows: Configurations, reading: str) -> tuple[Ints, Floats]:
    rule, back, twice = READINGS[reading]
    epsilon, n = DEFAULT_EPSILON, network.n_variables
    frequencies = PrefixFrequencies(network, rows)
    targets: Ints = np.full((1, n), -1, dtype=np.int64)
    weights, excluded = np.ones(1), np.zeros(n, dtype=np.int64)

    def solve(right: Floats, mechanism: Floats, weight: float) -> Floats:
        x = rule(right, mechanism)
        x[x < epsilon] = 0.0
        total = float(x.sum())
        if total > 0 and weight - total < epsilon:
            x *= weight / total
            if twice:
                x[x < epsilon] = 0.0
        return x

    for j, variable in enumerate(network.order):
        seen = np.asarray(network.order[:j], dtype=np.int64)
        stage = stage_of(network, seen, variable, targets, excluded)
        own, extended = solve_stage(stage, weights, frequencies.at(j, stage.points), solve)
        left_out = excluded[variable] = int(extended.sum(axis=0).argmin())
        if back:
            own = own + extended[:, left_out]
        extended[:, left_out] = 0.0
        own[own < epsilon] = 0.0
        total = own + extended.sum(axis=1)
        if not back:
            own[total <= 0] = weights[total <= 0]
            factor = weights / np.where(total > 0, total, weights)
            own, extended = own * factor, extended * factor[:, None]
        targets, weights = extensions(targets, variable, own, extended)
    kept = weights >= min(epsilon, weights.max())
    return targets[kept], weights[kept] / weights[kept].sum()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    print("| reading | " + " | ".join(f"n={n}, {rows:,}" for n, rows in SETTINGS) + " |")
    print("|" + "---|" * (len(SETTINGS) + 1))
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.problems)
    cells: dict[str, list[str]] = {reading: [] for reading in READINGS}
    for n, n_rows in SETTINGS:
        scores: dict[str, list[tuple[float, float]]] = {reading: [] for reading in READINGS}
        for seed in seeds:
            learned, rows, targets, weights = draw(n, n_rows, seed)
            network = smoothed(learned, None)
            for reading, values in scores.items():
                score = compare_codes(targets, weights, *find(network, rows, reading))
                values.append((score.recall, score.rmse))
        for reading, values in scores.items():
            recall, rmse = np.mean(values, axis=0)
            cells[reading].append(f"{recall:.3f} / {rmse:.4f}")
    for reading, line in cells.items():
        print(f"| {reading} | " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
