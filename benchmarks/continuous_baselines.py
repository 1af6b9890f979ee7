"""What ``continuous.py`` compares: an answer, its scores, dosift, and Gaussian mixtures.

A Gaussian mixture only clusters. Its components are named here by what it is not given: the true
graph and the control rows. Within a component each variable is regressed on its true parents; it
is touched if that line describes the component's rows better than the control rows' line does, by
more than half the logarithm of the number of rows for each parameter, and by more than a threshold
a row. The threshold that suits the whole line best is taken. Rows are given on the scale on which
lines are lines. All of this is generous.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from continuous_problems import Line, Problem
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dosift.model.gaussian_network import GaussianNetwork
from dosift.model.known_mechanisms import known_mechanisms
from dosift.model.mechanism_network import MechanismNetwork

Floats = NDArray[np.float64]

#: Nats a row above which a component's line is another than that of control rows.
THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
STARTS = 3
#: The successor's cutoff: a step of the likelihood smaller than this share is none.
CUTOFF = 0.07
#: A component of a Bayesian mixture with less weight is taken for empty.
LEAST_WEIGHT = 0.01


@dataclass(frozen=True)
class Answer:
    """Sets of variables touched, and the posterior of each for each row of the pool.

    ``moments`` are mean and covariance of each component; ``score`` is the log-likelihood of the
    pool; ``edges`` a graph that was found. None where a method does not say.
    """

    sets: list[frozenset[str]]
    weights: Floats
    posterior: Floats
    seconds: float = 0.0
    moments: tuple[Floats, Floats] | None = None
    score: float | None = None
    edges: set[tuple[str, str]] | None = None

    def merged(self) -> Answer:
        """One component for each set of variables, as the answer is read."""
        distinct = list(dict.fromkeys(self.sets))
        into = np.zeros((len(self.sets), len(distinct)))
        for k, one in enumerate(self.sets):
            into[k, distinct.index(one)] = 1.0
        return Answer(
            distinct,
            self.weights @ into,
            self.posterior @ into,
            self.seconds,
            None,
            self.score,
            self.edges,
        )


# Scores.


def scores(problem: Problem, answer: Answer) -> dict[str, float]:
    """Compare an answer with the truth.

    Recall and precision count sets of variables that agree exactly, without the empty one.
    Jaccard: components, merged by their sets, are matched one to one with the true ones so that
    they share the most rows (Hungarian method on posterior times true component); the mean over
    the true sets that are not empty of |A and B| / |A or B|, 0 where nothing is matched. ``ari``
    is the adjusted Rand index of the most probable set of each row; ``tv`` the total variation of
    the weights of sets, the empty one included.
    """
    from sklearn.metrics import adjusted_rand_score

    one = answer.merged()
    true = dict(zip(problem.sets, problem.weights, strict=True))
    found = dict(zip(one.sets, one.weights, strict=True))
    hidden, named = set(true) - {frozenset()}, set(found) - {frozenset()}
    off = [abs(true.get(key, 0.0) - found.get(key, 0.0)) for key in true.keys() | found.keys()]
    return {
        "recall": len(hidden & named) / len(hidden) if hidden else float("nan"),
        "precision": len(hidden & named) / len(named) if named else float("nan"),
        "jaccard": _jaccard(problem, one),
        "ari": float(adjusted_rand_score(problem.component, one.posterior.argmax(axis=1))),
        "tv": float(sum(off) / 2),
        "components": float(len(one.sets)),
        "invented": float(sum(w for key, w in found.items() if key not in true)),
        "seconds": answer.seconds,
    }


def _jaccard(problem: Problem, answer: Answer) -> float:
    shared = np.zeros((len(problem.sets), len(answer.sets)))
    np.add.at(shared, problem.component, answer.posterior)
    true, found = linear_sum_assignment(shared, maximize=True)
    match = dict(zip(true.tolist(), found.tolist(), strict=True))
    values = []
    for k, one in enumerate(problem.sets):
        if one:
            other = answer.sets[match[k]] if k in match else frozenset()
            values.append(len(one & other) / len(one | other))
    return float(np.mean(values)) if values else float("nan")


def published_scores(problem: Problem, answer: Answer) -> dict[str, float]:
    """Return the successor's measures, for components that are not merged.

    Components are matched by the least sum of absolute errors of means and covariances; that sum
    is the parameter error. The mean Jaccard is that over matched components only (two empty sets
    agree); unmatched ones, true or found, do not count.
    """
    if answer.moments is None or not all(isinstance(part, Line) for part in problem.parts):
        return {}
    pairs, error = matched(problem, answer.moments)
    agree = []
    for k, j in pairs:
        a, b = problem.sets[k], answer.sets[j]
        agree.append(len(a & b) / len(a | b) if a | b else 1.0)
    out = {
        "matched jaccard": float(np.mean(agree)),
        "parameter error": error,
        "components": float(len(answer.sets)),
    }
    if answer.edges is not None:
        out["shd"] = float(len({frozenset(e) for e in set(problem.edges) ^ answer.edges}))
    return out


def matched(
    problem: Problem, moments: tuple[Floats, Floats]
) -> tuple[list[tuple[int, int]], float]:
    """Match true components with found ones by means and covariances; return the error, too."""
    means, covariances = true_moments(problem)
    cost = np.abs(means[:, None] - moments[0][None]).sum(axis=2)
    cost += np.abs(covariances[:, None] - moments[1][None]).sum(axis=(2, 3))
    true, found = linear_sum_assignment(cost)
    return list(zip(true.tolist(), found.tolist(), strict=True)), float(cost[true, found].sum())


def true_moments(problem: Problem) -> tuple[Floats, Floats]:
    """Mean and covariance of each true component of a problem of lines."""
    n = len(problem.names)
    means, covariances = [], []
    for change in problem.changed:
        slopes, start, sd = np.zeros((n, n)), np.zeros(n), np.zeros(n)
        for i, part in enumerate(problem.parts):
            line = change.get(i, part)
            slopes[i, list(line.parents)] = line.coefficients
            start[i], sd[i] = line.intercept, line.sd
        inverse = np.linalg.inv(np.eye(n) - slopes)
        means.append(inverse @ start)
        covariances.append((inverse * sd**2) @ inverse.T)
    return np.array(means), np.array(covariances)


def penalty(problem: Problem, sets: Sequence[frozenset[str]]) -> float:
    """Price of targets as the design counts it.

    Two free parameters for each change of a number, none for a do on a state.
    """
    from math import comb, log

    numbers = {name for name in problem.names if problem.pool[name].dtype.is_numeric()}
    parameters = len(sets) - 1 + 2 * sum(len(one & numbers) for one in sets)
    n = len(problem.names)
    price = sum(log(comb(n, len(one))) for one in sets)
    return 0.5 * log(len(problem.component)) * parameters + price


# Methods.


def oracle(problem: Problem) -> Answer:
    """Bayes with the true parameters: nothing can do better on rows."""
    return Answer(problem.sets, problem.weights, problem.oracle_posterior())


def dosift_fit(
    problem: Problem,
    graph: bool = True,
    features: Mapping[str, Sequence[str]] | None = None,
    is_known: bool = False,
    **settings: object,
) -> Answer:
    """Fit dosift by its public interface; the network may be known, without control rows."""
    import dosift
    from dosift.io.graph import Graph

    # Edges alone would leave out variables that have none.
    given: dict[str, object] = (
        {"graph": Graph(problem.names, tuple(problem.edges))} if graph else {}
    )
    if is_known:
        given, settings = {}, {**settings, "network": known_network(problem)}
    else:
        given["control"] = problem.control
    if features:
        given["features"] = dict(features)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture(**settings)
        model.fit(problem.pool, **given)
    seconds = time.process_time() - start
    posterior = np.nan_to_num(np.asarray(model.predict_proba(problem.pool)))
    return Answer(
        [frozenset(target) for target in model.targets_],
        np.asarray(model.weights_, dtype=float),
        posterior,
        seconds,
        _moments_of(problem.pool.to_numpy(), posterior) if _is_numeric(problem) else None,
        float(model.log_likelihood_) + _log_slopes(model.network_, problem.pool),
        None if graph else set(model.network_.edges),
    )


def _log_slopes(network: object, pool: pl.DataFrame) -> float:
    """Take a log-likelihood from the fit's working scales to the units of the columns."""
    scales = getattr(network, "scales", ())
    names = getattr(network, "names", ())
    return float(
        sum(
            scale.log_slope(pool[name].to_numpy()).sum()
            for name, scale in zip(names, scales, strict=False)
            if pool[name].dtype.is_numeric()
        )
    )


def known_network(problem: Problem) -> MechanismNetwork:
    """Return the true network of a problem of lines, as one that is known."""
    lines = [part for part in problem.parts if isinstance(part, Line)]
    return known_mechanisms(
        GaussianNetwork(
            problem.names,
            problem.parents,
            tuple(line.intercept for line in lines),
            tuple(line.coefficients for line in lines),
            tuple(line.sd for line in lines),
        )
    )


def _is_numeric(problem: Problem) -> bool:
    return all(dtype.is_numeric() for dtype in problem.pool.dtypes)


def _moments_of(rows: Floats, posterior: Floats) -> tuple[Floats, Floats]:
    """Mean and covariance of the rows of each component, weighted by their posterior."""
    weights = posterior / np.maximum(posterior.sum(axis=0), 1e-300)
    means = weights.T @ rows
    covariances = np.array(
        [((rows - m).T * w) @ (rows - m) for m, w in zip(means, weights.T, strict=True)]
    )
    return means, covariances


#: Names the components of a mixture, given a threshold.
Named = Callable[[float], Answer]


def gaussian_mixture(problem: Problem, how: str, seed: int = 0) -> Named:
    """Cluster by a Gaussian mixture with full covariances; naming waits for a threshold.

    `how` is ``bic``, ``true`` (the true number), ``bayes`` (a variational mixture that may empty
    its components), or ``cutoff`` (the successor's choice: from n + 1 downwards, the first number
    that is a step of the likelihood of more than ``CUTOFF``).
    """
    from sklearn.exceptions import ConvergenceWarning

    rows, control = problem.values, problem.control_values
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = _chosen(rows, how, len(problem.sets), seed)
    posterior = model.predict_proba(rows)
    keep = posterior.mean(axis=0) > (LEAST_WEIGHT if how == "bayes" else 0)
    posterior = posterior[:, keep] / posterior[:, keep].sum(axis=1, keepdims=True)
    seconds = time.process_time() - start
    moments = (model.means_[keep], model.covariances_[keep])

    gains = gains_of(problem.parents, rows, control, posterior)

    def named(threshold: float) -> Answer:
        touched = gains > threshold
        sets = [
            frozenset(n for n, t in zip(problem.names, row, strict=True) if t) for row in touched
        ]
        return Answer(sets, posterior.mean(axis=0), posterior, seconds, moments)

    return named


def _chosen(rows: Floats, how: str, n_true: int, seed: int):  # type: ignore[no-untyped-def]
    from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

    n = rows.shape[1]
    if how == "true":
        return GaussianMixture(n_true, n_init=STARTS, random_state=seed).fit(rows)
    if how == "bayes":
        return BayesianGaussianMixture(
            n_components=n_true + 5, n_init=1, max_iter=300, random_state=seed
        ).fit(rows)
    if how == "bic":
        models = []
        for k in range(1, n_true + 6):
            models.append(GaussianMixture(k, n_init=1, random_state=seed).fit(rows))
            if k > 3 and models[-1].bic(rows) > models[-2].bic(rows) > models[-3].bic(rows):
                break
        return min(models, key=lambda model: model.bic(rows))
    models = [GaussianMixture(k, random_state=0).fit(rows) for k in range(1, n + 2)]
    steps = np.array([model.lower_bound_ for model in models])
    relative = np.abs(np.diff(steps)) / np.abs(steps[1:])
    large = np.flatnonzero(relative > CUTOFF)
    return models[int(large[-1]) + 1 if large.size else 0]


def gains_of(
    parents: Sequence[Sequence[int]], rows: Floats, control: Floats, posterior: Floats
) -> Floats:
    """Nats a row by which a line of its own describes a variable in a component better.

    Better than the line of control rows does; shape (n_components, n_variables). Minus infinity
    where the gain is less than half the logarithm of the component's rows for each parameter.
    """
    gains = np.full((posterior.shape[1], rows.shape[1]), -np.inf)
    for i, given in enumerate(parents):
        design = _design(rows, given)
        line, sd = _regression(_design(control, given), control[:, i], np.ones(len(control)))
        usual = _log_normal(rows[:, i] - design @ line, sd)
        for k, weights in enumerate(posterior.T):
            size = weights.sum()
            if size <= design.shape[1] + 2:
                continue
            own, own_sd = _regression(design, rows[:, i], weights)
            gain = weights @ (_log_normal(rows[:, i] - design @ own, own_sd) - usual)
            if gain > 0.5 * (design.shape[1] + 1) * np.log(size):
                gains[k, i] = gain / size
    return gains


def _design(rows: Floats, given: Sequence[int]) -> Floats:
    return np.column_stack([np.ones(len(rows)), rows[:, list(given)]])


def _regression(design: Floats, column: Floats, weights: Floats) -> tuple[Floats, float]:
    root = np.sqrt(weights)
    line = np.linalg.lstsq(design * root[:, None], column * root, rcond=None)[0]
    variance = weights @ (column - design @ line) ** 2 / weights.sum()
    return line, float(np.sqrt(max(variance, 1e-12)))


def _log_normal(away: Floats, sd: float) -> Floats:
    return -0.5 * (away / sd) ** 2 - np.log(sd)
