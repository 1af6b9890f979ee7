"""The tools that benchmarks/comparison.py runs: each answers what it can about the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import dosift
from dosift.data import collapse
from dosift.learning.tables import learn_from_codes
from dosift.model.network import Network

#: Starts of every mixture fitted by EM; the best likelihood is kept.
STARTS = 10
#: Within a component, a value more probable than this is taken for set, if control differs.
CERTAIN = 0.99
#: Level of all tests, corrected over the variables (Bonferroni).
LEVEL = 0.05

Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Problem:
    """Rows with the truth behind them."""

    network: Network
    components: list[Network]  # the network under each intervention
    targets: Ints | None  # None where interventions fix no states
    weights: NDArray[np.float64]
    control: Ints
    rows: Ints
    labels: Ints  # each row's component
    changed: NDArray[np.bool_]  # variables that any intervention changes


@dataclass(frozen=True)
class Answer:
    """What a tool says; None for what it does not."""

    targets: Ints | None = None
    weights: NDArray[np.float64] | None = None
    labels: Ints | None = None
    changed: NDArray[np.bool_] | None = None


def truth(problem: Problem, seed: int) -> Answer:
    """Most probable component of each row under the true mixture: nothing can do better."""
    rows = problem.rows
    scores = np.empty((len(rows), len(problem.weights)))
    with np.errstate(divide="ignore"):
        for k, component in enumerate(problem.components):
            scores[:, k] = np.log(problem.weights[k])
            for i, table in enumerate(component.tables):
                scores[:, k] += np.log(table[component.parent_rows(i, rows), rows[:, i]])
    return Answer(problem.targets, problem.weights, scores.argmax(axis=1), problem.changed)


def _fitted(network: Network, problem: Problem) -> Answer:
    model = dosift.InterventionMixture(network).fit(problem.rows)
    found, inverse = model.assign(problem.rows)
    targets, weights = model.mixture_.to_codes(model.network_)
    # Rows are assigned in the order of the model's own list of targets.
    texts = [str(t) for t in model.mixture_.targets]
    place = np.array([texts.index(str(t)) for t in model.targets_])
    labels = place[np.maximum(found.best[inverse], 0)]
    return Answer(targets, weights, labels, (targets >= 0).any(axis=0))


def _learned(problem: Problem, parents: object) -> Network:
    return learn_from_codes(problem.network.variables, parents, problem.control, 0.5)  # type: ignore[arg-type]


def with_graph(problem: Problem, seed: int) -> Answer:
    """Give dosift the true graph and the control rows."""
    return _fitted(_learned(problem, problem.network.parents), problem)


def without_edges(problem: Problem, seed: int) -> Answer:
    """Give dosift the control rows and a graph without edges, which is wrong."""
    return _fitted(_learned(problem, [[] for _ in problem.network.parents]), problem)


def _named(problem: Problem, posterior: NDArray[np.float64], rows: Ints, counts: object) -> Answer:
    """Name components by the values that are certain within them and not so in control rows.

    `posterior` has one line for each of the distinct `rows`, which occur `counts` times.
    """
    share = posterior * np.asarray(counts)[:, None]
    weights = share.sum(axis=0) / share.sum()
    targets = np.full((len(weights), rows.shape[1]), -1)
    for i, k in enumerate(problem.network.cardinalities):
        values = np.eye(k)
        profile = (share.T @ values[rows[:, i]]) / np.maximum(share.sum(axis=0), 1e-12)[:, None]
        usual = values[problem.control[:, i]].mean(axis=0)
        is_set = (profile > CERTAIN) & (usual < CERTAIN)
        targets[is_set.any(axis=1), i] = is_set[is_set.any(axis=1)].argmax(axis=1)
    return Answer(targets, weights, posterior.argmax(axis=1), (targets >= 0).any(axis=0))


def _spread(answer: Answer, inverse: Ints) -> Answer:
    assert answer.labels is not None
    return Answer(answer.targets, answer.weights, answer.labels[inverse], answer.changed)


def stepmix(problem: Problem, seed: int) -> Answer:
    """Latent class analysis, given the true number of classes."""
    from stepmix.stepmix import StepMix

    distinct = collapse(problem.rows, problem.network.cardinalities)
    model = StepMix(
        len(problem.weights),
        measurement="categorical",
        n_init=STARTS,
        abs_tol=1e-6,
        random_state=seed,
        verbose=0,
        progress_bar=0,
    )
    rows = np.ascontiguousarray(distinct.codes)
    model.fit(rows, sample_weight=distinct.counts)
    answer = _named(problem, model.predict_proba(rows), rows, distinct.counts)
    return _spread(answer, distinct.inverse)


def pomegranate(problem: Problem, seed: int) -> Answer:
    """Mixture of independent categorical distributions, given the true number of them."""
    import torch
    from pomegranate.distributions import Categorical
    from pomegranate.gmm import GeneralMixtureModel

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    distinct = collapse(problem.rows, problem.network.cardinalities)
    rows = torch.tensor(np.ascontiguousarray(distinct.codes))
    counts = torch.tensor(distinct.counts, dtype=torch.float32)[:, None]
    rng = np.random.default_rng(seed)
    width = int(problem.network.cardinalities.max())
    best, best_fit = None, -np.inf
    for _ in range(STARTS):
        starts = rng.dirichlet(np.ones(width), size=(len(problem.weights), rows.shape[1]))
        model = GeneralMixtureModel(
            [Categorical(torch.tensor(s, dtype=torch.float32)) for s in starts],
            max_iter=1000,
            tol=1e-2,
        )
        model.fit(rows, sample_weight=counts)
        fit = float((model.log_probability(rows) * counts[:, 0]).sum())
        if fit > best_fit:
            best, best_fit = model, fit
    assert best is not None
    posterior = best.predict_proba(rows).detach().numpy().astype(np.float64)
    codes = np.ascontiguousarray(distinct.codes)
    return _spread(_named(problem, posterior, codes, distinct.counts), distinct.inverse)


def gaussian(problem: Problem, seed: int) -> Answer:
    """Gaussian mixture on indicator columns, given the true number of components."""
    from sklearn.mixture import GaussianMixture

    values = [np.eye(k)[problem.rows[:, i]] for i, k in enumerate(problem.network.cardinalities)]
    columns = np.concatenate(values, axis=1)
    model = GaussianMixture(
        len(problem.weights), covariance_type="diag", n_init=STARTS, random_state=seed
    ).fit(columns)
    posterior = model.predict_proba(columns)
    return _named(problem, posterior, problem.rows, np.ones(len(columns)))


def chi_square(problem: Problem, seed: int) -> Answer:
    """Test each variable by itself: control rows against the pool."""
    p = [_p_value(problem, i, ()) for i in range(len(problem.changed))]
    return Answer(changed=np.array(p) < LEVEL / len(p))


def chi_square_given_parents(problem: Problem, seed: int) -> Answer:
    """Test each variable within every configuration of its parents, statistics added up."""
    p = [_p_value(problem, i, problem.network.parents[i]) for i in range(len(problem.changed))]
    return Answer(changed=np.array(p) < LEVEL / len(p))


def _p_value(problem: Problem, i: int, parents: tuple[int, ...]) -> float:
    """Chi-square test of a variable's mechanism, control rows against the pool."""
    from scipy.stats import chi2

    from dosift.learning.tables import counts_of

    families = [parents if j == i else () for j in range(problem.rows.shape[1])]
    sides = [
        counts_of(problem.network.cardinalities, families, codes)[i]
        for codes in (problem.control, problem.rows)
    ]
    pair = np.stack(sides)  # (2, parent configurations, states)
    total = pair.sum(axis=(0, 2), keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = pair.sum(axis=2, keepdims=True) * pair.sum(axis=0, keepdims=True) / total
        statistic = np.where(expected > 0, (pair - expected) ** 2 / expected, 0.0).sum()
    has_both = (pair.sum(axis=2) > 0).all(axis=0)
    n_states = (pair.sum(axis=0) > 0).sum(axis=1)
    freedom = np.maximum(n_states - 1, 0)[has_both].sum()
    return float(chi2.sf(statistic, freedom)) if freedom else 1.0


def dowhy(problem: Problem, seed: int) -> Answer:
    """Test of a changed mechanism in DoWhy's gcm, with its default (a kernel test)."""
    from dowhy.gcm.distribution_change import mechanism_change_test

    np.random.seed(seed)  # noqa: NPY002 - the library draws its subsamples from it
    control, rows = problem.control.astype(str), problem.rows.astype(str)
    p = []
    for i, parents in enumerate(problem.network.parents):
        given = list(parents)
        conditions = (control[:, given], rows[:, given]) if given else (None, None)
        p.append(mechanism_change_test(control[:, i], rows[:, i], *conditions))
    return Answer(changed=np.array(p) < LEVEL / len(p))


#: Every tool with the library that it needs.
TOOLS: dict[str, tuple[str | None, Callable[[Problem, int], Answer]]] = {
    "(the true mixture)": (None, truth),
    "dosift": (None, with_graph),
    "dosift, no edges": (None, without_edges),
    "StepMix": ("stepmix", stepmix),
    "pomegranate": ("pomegranate", pomegranate),
    "scikit-learn, Gaussian": ("sklearn", gaussian),
    "chi-square": (None, chi_square),
    "chi-square given parents": (None, chi_square_given_parents),
    "DoWhy": ("dowhy", dowhy),
}
