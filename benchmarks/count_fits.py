"""How well targets of counts come back: dosift by its public interface, a Gaussian mixture beside.

The commands are those of ``count_problems.py``:

    python benchmarks/count_problems.py fit --problems 10 --kind counts
    python benchmarks/count_problems.py fit --problems 10 --kind screens
    python benchmarks/count_problems.py fit --problems 10 --kind screens --size columns
    python benchmarks/count_problems.py profile --kind screens

dosift gets raw counts of control and pool, the true graph, and the total of each cell as a column
(with ``--size columns`` it has to take the total of the columns that are there). Recall and
precision count sets of genes that agree exactly. The total of a gene is the weight of all targets
that hold it; it is held against the share of the pool's cells that were changed so.

The Gaussian mixture sees logarithms of counts for their depth, and takes the number of components
by BIC. Its components are named by what it is not given: the true graph and the control rows. A
gene is touched where the mean of its residual, after the control rows' regression on its parents,
is lower by more than a threshold; the threshold that suits all problems best is taken.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from count_problems import CountProblem, count_problem, screen
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sets = dict[frozenset[str], float]

MAKERS: dict[str, Callable[[np.random.Generator], CountProblem]] = {
    "counts": count_problem,
    "screens": screen,
}
#: Fall of a logarithm from which a component of a Gaussian mixture is taken to touch a gene.
THRESHOLDS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
MOST_COMPONENTS = 10


@dataclass(frozen=True)
class Outcome:
    """What came of one problem: sets found and true, errors of totals, seconds."""

    right: int
    found: int
    true: int
    largest_error: float
    mean_error: float
    seconds: float
    components: int


def fitted(problem: CountProblem, size: str = "total") -> tuple[Sets, float]:
    """Fit dosift to raw counts, and return sets of genes with their weights, and seconds."""
    import networkx as nx

    import dosift

    control, pool = problem.control.copy(), problem.pool.copy()
    if size == "total":
        control["total"], pool["total"] = problem.control_total, problem.pool_total
    graph = nx.DiGraph(problem.edges)
    graph.add_nodes_from(problem.control)
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture(knockouts=True)
        named = "total" if size == "total" else None
        model.fit(pool, control=control, graph=graph, size=named)
    seconds = time.process_time() - begun
    return sets_of(zip(model.targets_, model.weights_, strict=True)), seconds


def sets_of(weighted: object) -> Sets:
    """Sum the weights of targets on the same genes."""
    out: Sets = {}
    for target, weight in weighted:  # type: ignore[attr-defined]
        key = frozenset(target)
        out[key] = out.get(key, 0.0) + float(weight)
    return out


def outcome(problem: CountProblem, found: Sets, seconds: float) -> Outcome:
    """Hold sets found against the truth."""
    true = {frozenset(target) for target in problem.targets} - {frozenset()}
    named = set(found) - {frozenset()}
    shares = np.bincount(problem.component, minlength=len(problem.targets)) / len(problem.component)
    off = []
    for gene in problem.control:
        own = sum(s for t, s in zip(problem.targets, shares, strict=True) if gene in t)
        off.append(abs(own - sum(w for key, w in found.items() if gene in key)))
    return Outcome(
        len(true & named), len(named), len(true), max(off), float(np.mean(off)), seconds, len(found)
    )


def log_rates(counts: pd.DataFrame, total: NDArray[np.int64], typical: float) -> Floats:
    """Take the logarithm of one and the counts of a cell of typical depth."""
    return np.asarray(np.log1p(counts.to_numpy(float) * (typical / total)[:, None]))


def gaussian_mixture(problem: CountProblem) -> tuple[Floats, Floats, float]:
    """Fit Gaussian mixtures; return residuals of components by gene, weights, and seconds."""
    from sklearn.mixture import GaussianMixture

    typical = float(np.median(problem.control_total))
    control = log_rates(problem.control, problem.control_total, typical)
    pool = log_rates(problem.pool, problem.pool_total, typical)
    begun = time.process_time()
    best = None
    for k in range(1, MOST_COMPONENTS + 1):
        mixture = GaussianMixture(k, reg_covar=1e-3, random_state=0, max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mixture.fit(pool)
        value = mixture.bic(pool)
        if best is None or value < best[0]:
            best = (value, mixture)
    assert best is not None
    posterior = best[1].predict_proba(pool)
    names = list(problem.control)
    fall = np.zeros((posterior.shape[1], len(names)))
    for i, name in enumerate(names):
        parents = [names.index(p) for p, child in problem.edges if child == name]
        x = np.column_stack([np.ones(len(control)), control[:, parents]])
        line = np.linalg.lstsq(x, control[:, i], rcond=None)[0]
        left = pool[:, i] - np.column_stack([np.ones(len(pool)), pool[:, parents]]) @ line
        fall[:, i] = -(posterior.T @ left) / posterior.sum(axis=0)
    return fall, np.asarray(best[1].weights_), time.process_time() - begun


def named(problem: CountProblem, fall: Floats, weights: Floats, threshold: float) -> Sets:
    """Name components by the genes whose residuals fall by more than a threshold."""
    names = list(problem.control)
    targets = [[names[i] for i in np.flatnonzero(row > threshold)] for row in fall]
    return sets_of(zip(targets, weights, strict=True))


def in_words(name: str, outcomes: Sequence[Outcome]) -> str:
    """Sum outcomes up in a line."""
    right, found, true = (sum(getattr(o, k) for o in outcomes) for k in ("right", "found", "true"))
    return (
        f"{name:<28} recall {right / true:.3f}  precision {right / max(found, 1):.3f}  totals off "
        f"by {np.mean([o.mean_error for o in outcomes]):.4f} on average, "
        f"{max(o.largest_error for o in outcomes):.3f} at most; "
        f"{np.mean([o.seconds for o in outcomes]):.1f} s a problem, "
        f"{max(o.seconds for o in outcomes):.1f} s at most"
    )


def compare(kind: str, seeds: Sequence[int], size: str, mixtures: bool) -> None:
    """Print how well targets come back over some problems."""
    own, others = [], []
    for seed in seeds:
        problem = MAKERS[kind](np.random.default_rng(seed))
        own.append(outcome(problem, *fitted(problem, size)))
        print(f"  problem {seed}: {own[-1]}", flush=True)
        if mixtures:
            others.append((problem, *gaussian_mixture(problem)))
    print(in_words("dosift", own))
    if not others:
        return
    by_threshold = [
        [outcome(p, named(p, fall, weights, t), s) for p, fall, weights, s in others]
        for t in THRESHOLDS
    ]
    best = max(by_threshold, key=lambda one: sum(2 * o.right - o.found for o in one))
    print(in_words("Gaussian mixture, BIC", best))


def profile(kind: str, seed: int) -> None:
    """Print where the time of one fit goes."""
    import cProfile
    import pstats

    problem = MAKERS[kind](np.random.default_rng(seed))
    watched = cProfile.Profile()
    watched.runcall(fitted, problem)
    pstats.Stats(watched).sort_stats("cumulative").print_stats(45)
    pstats.Stats(watched).sort_stats("tottime").print_stats(25)
