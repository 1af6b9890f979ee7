"""The pipeline of Kumar, Shiragur and Uhler (NeurIPS 2024), rebuilt from the paper.

A Gaussian mixture, its number of components by their cutoff; then rows are drawn from each
component and given to UT-IGSP (Squires, Wang, Uhler, UAI 2020; here that of the library causaldag,
``pip install causaldag``) beside true observational rows, level .001 for both tests. As in their
study the component nearest to the observational one stands for it, so the truth is used to choose
the base; targets are what UT-IGSP says of each other component. No graph is given.
"""

from __future__ import annotations

import random
import time
from importlib.util import find_spec

import numpy as np
from continuous_baselines import Answer, gaussian_mixture, matched
from continuous_problems import Problem

LEVEL = 1e-3


def is_installed() -> bool:
    """Whether UT-IGSP can be run here."""
    return find_spec("causaldag") is not None


def pipeline(problem: Problem, seed: int) -> Answer:
    """Cluster the pool, and learn graph and targets from rows drawn from the clusters."""
    from causaldag import (
        MemoizedCI_Tester,
        MemoizedInvarianceTester,
        gauss_invariance_suffstat,
        gauss_invariance_test,
        partial_correlation_suffstat,
        partial_correlation_test,
        unknown_target_igsp,
    )

    mixture = gaussian_mixture(problem, "cutoff", seed)(0.0)
    assert mixture.moments is not None
    start = time.process_time()
    # UT-IGSP draws its starting orders from the global generators.
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    rng = np.random.default_rng([25, seed])
    means, covariances = mixture.moments
    pairs, _ = matched(problem, mixture.moments)
    base = dict(pairs).get(0)
    others = [k for k in range(len(means)) if k != base]
    size = len(problem.values) // (len(others) + 1)
    usual = problem.control_values[:size]
    samples = [rng.multivariate_normal(means[k], covariances[k], size) for k in others]
    statistics = gauss_invariance_suffstat(usual, [usual, *samples])
    graph, targets = unknown_target_igsp(
        [{"known_interventions": []} for _ in range(len(others) + 1)],
        set(range(len(problem.names))),
        MemoizedCI_Tester(
            partial_correlation_test, partial_correlation_suffstat(usual), alpha=LEVEL
        ),
        MemoizedInvarianceTester(gauss_invariance_test, statistics, alpha=LEVEL),
    )
    sets = [frozenset[str]()] * len(means)
    for k, target in zip([base, *others], targets, strict=True):
        if k is not None:
            sets[k] = frozenset(problem.names[i] for i in target)
    return Answer(
        sets,
        mixture.weights,
        mixture.posterior,
        mixture.seconds + time.process_time() - start,
        mixture.moments,
        None,
        {(problem.names[a], problem.names[b]) for a, b in graph.arcs},
    )
