"""A trial: units of several rows with no control rows and no network.

Units are clustered, each cluster having any distribution on all configurations. A variable that is
constant in a cluster is taken for set there. The graph is the one of best score, each variable's
mechanism being shared by the clusters that leave it alone. With the network learned in this way the
moments method for units looks for targets once more.

    python benchmarks/units_without_network.py --units 4000 16000 --rows 3 5
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from violating_units import UnitProblem, draw_problem

from dosift.errors import InputError
from dosift.methods.unit_moments import unit_moment_estimate
from dosift.model.evaluation import compare_codes
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Clusters to begin with, starts, and steps of EM.
_MOST, _STARTS, _STEPS = 16, 3, 200
#: Rows that smoothing adds to a cluster, in all.
_PRIOR = 1.0
#: Share of a cluster's rows in one state from which the variable is taken for set.
_CONSTANT = 0.97


@dataclass(frozen=True)
class Clusters:
    """Weights of clusters, their distributions on cells, and the responsibilities of units."""

    weights: Floats
    laws: Floats
    posterior: Floats
    log_likelihood: float


def clustered(cells: Ints, n_cells: int, start: Floats) -> Clusters:
    """Fit a mixture of any distributions by EM, cells being those of each unit's rows."""
    posterior, last = start, -np.inf
    for _ in range(_STEPS):
        weights, laws = _maximised(cells, n_cells, posterior)
        posterior, total = _expected(cells, weights, laws)
        if total - last < 1e-6 * abs(total):
            break
        last = total
    return Clusters(weights, laws, posterior, total)


def _maximised(cells: Ints, n_cells: int, posterior: Floats) -> tuple[Floats, Floats]:
    k = posterior.shape[1]
    counts = np.full((n_cells, k), _PRIOR / n_cells)
    for t in range(k):
        each = np.repeat(posterior[:, t], cells.shape[1])
        counts[:, t] += np.bincount(cells.ravel(), each, minlength=n_cells)
    return posterior.mean(axis=0), counts / counts.sum(axis=0)


def _expected(cells: Ints, weights: Floats, laws: Floats) -> tuple[Floats, float]:
    logs = np.log(np.maximum(weights, 1e-300)) + np.log(laws)[cells].sum(axis=1)
    largest = logs.max(axis=1, keepdims=True)
    relative = np.exp(logs - largest)
    sums = relative.sum(axis=1, keepdims=True)
    return relative / sums, float((largest + np.log(sums)).sum())


def starts(codes: Ints, k: int, rng: np.random.Generator) -> Floats:
    """Cluster by which variables are constant in a unit, and where: a mixture of products."""
    n_units = len(codes)
    n_states = int(codes.max()) + 1
    constant = (codes == codes[:, :1]).all(axis=1)
    features = np.where(constant, codes[:, 0], n_states)
    hot = np.concatenate([features == a for a in range(n_states + 1)], axis=1).astype(np.float64)
    posterior = rng.dirichlet(np.full(k, 0.1), size=n_units)
    for _ in range(_STEPS):
        size = posterior.sum(axis=0)
        share = (posterior.T @ hot + 0.5) / (size[:, None] + 0.5 * (n_states + 1))
        logs = np.log(size / n_units + 1e-300) + hot @ np.log(share).T
        relative = np.exp(logs - logs.max(axis=1, keepdims=True))
        before, posterior = posterior, relative / relative.sum(axis=1, keepdims=True)
        if np.abs(posterior - before).max() < 1e-4:
            break
    return posterior


def best_clusters(codes: Ints, cells: Ints, n_cells: int, rng: np.random.Generator) -> Clusters:
    """Take clusters away one by one, and keep the number that suits units held out best."""
    held_out = rng.random(len(codes)) < 1 / 3
    best, most = None, -np.inf
    for _ in range(_STARTS):
        found = clustered(cells[~held_out], n_cells, starts(codes[~held_out], _MOST, rng))
        while True:
            score = _expected(cells[held_out], found.weights, found.laws)[1]
            if score > most:
                best, most = found, score
            if found.weights.size == 1:
                break
            left = np.arange(found.weights.size) != found.weights.argmin()
            posterior = found.posterior[:, left] + 1e-12
            found = clustered(
                cells[~held_out], n_cells, posterior / posterior.sum(axis=1, keepdims=True)
            )
    assert best is not None
    return clustered(cells, n_cells, _expected(cells, best.weights, best.laws)[0])


def constants(clusters: Clusters, states: Ints) -> Ints:
    """Target of each cluster: the state of the variables that are constant, -1 for the others."""
    n = states.shape[1]
    targets = np.full((clusters.weights.size, n), -1, dtype=np.int64)
    for i in range(n):
        shares = np.stack(
            [clusters.laws[states[:, i] == a].sum(axis=0) for a in range(states[:, i].max() + 1)]
        )
        is_set = shares.max(axis=0) > _CONSTANT
        targets[is_set, i] = shares.argmax(axis=0)[is_set]
    return targets


def learned(problem: UnitProblem, rows: Ints, weights: Floats, targets: Ints) -> Network:
    """Best graph over all orders, and its tables, from rows weighted by cluster.

    Parameters
    ----------
    problem : UnitProblem
        For the names of its variables only.
    rows : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows, n_clusters)
    targets : ndarray, shape (n_clusters, n_variables)

    Returns
    -------
    Network
    """
    n = rows.shape[1]
    sizes = [int(k) for k in problem.network.cardinalities]
    alone = [weights[:, targets[:, i] < 0].sum(axis=1) for i in range(n)]
    scores: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {}
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for size in range(n):
            for parents in combinations(others, size):
                mask = sum(1 << j for j in parents)
                own = _score(rows, alone[i], i, parents, sizes), parents
                below = [scores[i, mask & ~(1 << j)] for j in parents]
                scores[i, mask] = max([own, *below], key=lambda pair: pair[0])
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for mask in range(1, 1 << n):
        last = [i for i in range(n) if mask >> i & 1]
        found = [(best[mask & ~(1 << i)][0] + scores[i, mask & ~(1 << i)][0], i) for i in last]
        total, i = max(found)
        best[mask] = total, (*best[mask & ~(1 << i)][1], i)
    order = best[(1 << n) - 1][1]
    parents = {}
    for place, i in enumerate(order):
        parents[i] = sorted(scores[i, sum(1 << j for j in order[:place])][1])
    tables = [_counts(rows, alone[i], i, tuple(parents[i]), sizes) + 0.5 for i in range(n)]
    return Network(
        problem.network.variables,
        [parents[i] for i in range(n)],
        [table / table.sum(axis=1, keepdims=True) for table in tables],
    )


def _counts(
    rows: Ints, weight: Floats, i: int, parents: tuple[int, ...], sizes: list[int]
) -> Floats:
    place = np.zeros(len(rows), dtype=np.int64)
    for j in parents:
        place = place * sizes[j] + rows[:, j]
    shape = (int(np.prod([sizes[j] for j in parents])), sizes[i])
    counts = np.bincount(place * sizes[i] + rows[:, i], weight, minlength=shape[0] * shape[1])
    return counts.reshape(shape)


def _score(rows: Ints, weight: Floats, i: int, parents: tuple[int, ...], sizes: list[int]) -> float:
    counts = _counts(rows, weight, i, parents, sizes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
    fit = float((counts * np.log(np.maximum(shares, 1e-300))).sum())
    return fit - 0.5 * np.log(max(weight.sum(), 2.0)) * counts.shape[0] * (sizes[i] - 1)


@dataclass(frozen=True)
class Outcome:
    """What came of one problem."""

    clusters: float
    rand: float
    recall: float
    precision: float
    tv: float
    edges_recall: float
    edges_precision: float
    final_recall: float
    final_precision: float
    final_tv: float


def tried(problem: UnitProblem, n_units: int, n_rows: int) -> Outcome:
    """Cluster, learn the network, and look for targets again."""
    codes, first, target = problem.units(np.full(n_units, n_rows))
    units = codes.reshape(n_units, n_rows, -1)
    shape = [int(k) for k in problem.network.cardinalities]
    cells = np.ravel_multi_index(tuple(np.moveaxis(units, 2, 0)), shape)
    states = np.indices(shape).reshape(len(shape), -1).T
    rng = np.random.default_rng(problem.seed)
    clusters = best_clusters(units, cells, len(states), rng)
    targets = constants(clusters, states)
    weights = np.repeat(clusters.posterior, n_rows, axis=0)
    network = learned(problem, codes, weights, targets)
    merged, where = np.unique(targets, axis=0, return_inverse=True)
    shares = np.bincount(where.ravel(), clusters.weights)
    try:
        final = unit_moment_estimate(network, codes, first)
        end = scores_of(problem, final.targets, final.weights)
    except InputError:
        end = (0.0, 0.0, 1.0)
    true, found = ({*one.edges} for one in (problem.network, network))
    both = len(true & found)
    return Outcome(
        float(clusters.weights.size),
        rand_index(target, clusters.posterior.argmax(axis=1)),
        *scores_of(problem, merged, shares),
        both / max(len(true), 1),
        both / max(len(found), 1),
        *end,
    )


def scores_of(problem: UnitProblem, targets: Ints, weights: Floats) -> tuple[float, float, float]:
    """Recall and precision of targets, total variation."""
    scores = compare_codes(problem.targets, problem.weights, targets, weights)
    return scores.recall, scores.precision, scores.tv


def rand_index(one: Ints, other: Ints) -> float:
    """Adjusted Rand index of two partitions."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)

    def pairs(counts: Floats) -> float:
        return float((counts * (counts - 1) / 2).sum())

    rows, columns, every = pairs(table.sum(1)), pairs(table.sum(0)), pairs(table.sum(keepdims=True))
    expected = rows * columns / every
    return (pairs(table) - expected) / max((rows + columns) / 2 - expected, 1e-300)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variables", type=int, default=4)
    parser.add_argument("--states", type=int, default=3)
    parser.add_argument("--problems", type=int, default=10)
    parser.add_argument("--components", type=int, default=6)
    parser.add_argument("--units", type=int, nargs="+", default=[4_000, 16_000])
    parser.add_argument("--rows", type=int, nargs="+", default=[3, 5])
    chosen = parser.parse_args()
    print(
        f"{chosen.variables} variables of {chosen.states} states, {chosen.components} targets, "
        f"{chosen.problems} problems"
    )
    print(
        "units | rows | clusters | Rand | clusters: recall | precision | TV | edges: recall | "
        "precision | moments method then: recall | precision | TV"
    )
    for n_units in chosen.units:
        for n_rows in chosen.rows:
            found = [
                tried(
                    draw_problem(chosen.variables, chosen.states, seed, chosen.components),
                    n_units,
                    n_rows,
                )
                for seed in range(chosen.problems)
            ]
            means = np.array([list(vars(one).values()) for one in found]).mean(axis=0)
            shown = " | ".join([f"{means[0]:.1f}", *(f"{x:.2f}" for x in means[1:])])
            print(f"{n_units:,} | {n_rows} | {shown}", flush=True)


if __name__ == "__main__":
    main()
