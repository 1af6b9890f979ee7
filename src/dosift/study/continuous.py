"""The study of Kumar, Shiragur and Uhler (NeurIPS 2024): interventions hidden in measurements.

"Learning mixtures of unknown causal interventions", arXiv 2411.00213. A linear-Gaussian network
whose matrix of coefficients is strictly lower triangular, each entry kept with probability .8 and
of size .5 to 1, either sign; standard normal noise. One intervention for each node, or for a random
half of them. All components, that of no intervention among them, have the same number of rows, and
so have the control rows. What fits is an argument: it stands above this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dosift.model.gaussian_network import GaussianNetwork, gaussian_network
from dosift.study.published import published_successor
from dosift.study.settings import Settings
from dosift.study.summary import PROBLEMS, Summary, number, text, whole
from dosift.study.tasks import AnyTask, Record, attempt

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Nodes that are hit; what is done to them; whether the fit is told the graph.
NODES, CHANGES, GRAPHS = ("all", "half"), ("do", "hard", "soft"), ("given", "learned")
#: The successor's do has this variance, its other changes leave that of the noise.
DO_VARIANCE = 1e-9
#: Coefficients: their least and largest size, and how many are kept.
_LEAST, _LARGEST, _KEPT = 0.5, 1.0, 0.8
#: What every intervention makes of a node's mean, or of its noise's.
MEAN = 1.0


@dataclass(frozen=True)
class ContinuousSettings(Settings["ContinuousTask"]):
    """Settings of the study of measurements.

    Parameters
    ----------
    variables : tuple of int
    rows : tuple of int
        Mixture rows; each component has as many of them as there are control rows.
    problems : int
    nodes : tuple of {"all", "half"}
        Which nodes are hit.
    changes : tuple of {"do", "hard", "soft"}
        *do*: mean 1, variance 1e-9; *hard*: mean 1, variance 1, parents cut off; *soft*: the mean
        of the noise becomes 1.
    graphs : tuple of {"given", "learned"}
        Whether the fit is told the true graph. The published pipeline is not.
    seed : int

    Raises
    ------
    InputError
        If a setting is empty, repeated, unknown or out of range.

    Examples
    --------
    >>> len(list(ContinuousSettings(variables=(4, 6), problems=3).tasks()))  # both graphs
    12
    """

    variables: tuple[int, ...] = (4, 6, 8)
    rows: tuple[int, ...] = (2**12,)
    problems: int = 10
    nodes: tuple[str, ...] = ("all",)
    changes: tuple[str, ...] = ("do",)
    graphs: tuple[str, ...] = GRAPHS
    seed: int = 0

    kind = "continuous"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "nodes": NODES, "changes": CHANGES, "graphs": GRAPHS,
    }  # fmt: skip

    def __post_init__(self) -> None:
        self.check({"variables": 2, "problems": 1})
        self.check({"rows": 10 * (max(self.variables) + 1)})

    def tasks(self) -> Iterator[ContinuousTask]:
        """List what is to be solved."""
        for problem, n, nodes, change, n_rows, graph in product(
            *(range(self.problems), self.variables, self.nodes, self.changes, self.rows),
            self.graphs,
        ):
            yield ContinuousTask(n, n_rows, nodes, change, graph, problem)


@dataclass(frozen=True)
class ContinuousTask(AnyTask):
    """One problem of measurements, with or without its graph.

    Attributes
    ----------
    n_variables, n_rows : int
    nodes, change, graph : str
        As in `ContinuousSettings`.
    problem : int
        Number of the problem, from 0.
    """

    n_variables: int
    n_rows: int
    nodes: str
    change: str
    graph: str
    problem: int


@dataclass(frozen=True)
class Hit:
    """What an intervention makes of a node: normal around a mean, parents kept or cut off.

    Attributes
    ----------
    node : int
    mean : float
        Where the parents are 0.
    sd : float
    keeps_parents : bool
    """

    node: int
    mean: float
    sd: float
    keeps_parents: bool


def draw_system(
    n: int, nodes: str, change: str, rng: np.random.Generator, mean: float = MEAN
) -> tuple[GaussianNetwork, tuple[Hit, ...]]:
    """Draw a network and its interventions.

    Parameters
    ----------
    n : int
        Number of variables.
    nodes, change : str
        As in `ContinuousSettings`.
    rng : numpy.random.Generator
    mean : float
        Of what is hit.

    Returns
    -------
    network : GaussianNetwork
    hits : tuple of Hit
        One for each intervention.

    Examples
    --------
    >>> network, hits = draw_system(3, "all", "do", np.random.default_rng(0))
    >>> len(network.edges), [hit.node for hit in hits]
    (2, [0, 1, 2])
    """
    names = [f"x{i}" for i in range(n)]
    lines = {
        names[i]: {
            names[j]: float(rng.uniform(_LEAST, _LARGEST) * rng.choice([-1, 1]))
            for j in range(i)
            if rng.random() < _KEPT
        }
        for i in range(n)
    }
    network = gaussian_network(names, lines, dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0))
    hit = range(n) if nodes == "all" else sorted(rng.permutation(n)[: n // 2].tolist())
    sd = float(np.sqrt(DO_VARIANCE)) if change == "do" else 1.0
    return network, tuple(Hit(i, mean, sd, change == "soft") for i in hit)


@dataclass(frozen=True)
class ContinuousProblem:
    """A problem: rows, and the truth behind them.

    Attributes
    ----------
    network : GaussianNetwork
    hits : tuple of Hit
        Component k + 1 is made by the kth; component 0 by none.
    control, rows : ndarray, shape (n_rows, n_variables)
    component : ndarray of int64, shape (n_rows,)
        Of the mixture rows.
    """

    network: GaussianNetwork
    hits: tuple[Hit, ...]
    control: Floats
    rows: Floats
    component: Ints

    @property
    def sets(self) -> list[frozenset[str]]:
        """Names of the nodes that each component hits."""
        return [frozenset(), *(frozenset([self.network.names[hit.node]]) for hit in self.hits)]

    def moments(self) -> tuple[Floats, Floats]:
        """Means and covariances of the components.

        Returns
        -------
        means : ndarray, shape (n_components, n_variables)
        covariances : ndarray, shape (n_components, n_variables, n_variables)
        """
        found = [_with(self.network, hit) for hit in (None, *self.hits)]
        return np.array([one.mean for one in found]), np.array([one.covariance for one in found])


def _with(network: GaussianNetwork, hit: Hit | None) -> GaussianNetwork:
    """Return the network that an intervention makes."""
    if hit is None:
        return network
    i = hit.node
    parents, coefficients = list(network.parents), list(network.coefficients)
    if not hit.keeps_parents:
        parents[i], coefficients[i] = (), ()
    means, sds = list(network.intercepts), list(network.sds)
    means[i], sds[i] = hit.mean, hit.sd
    return GaussianNetwork(
        network.names,
        tuple(parents),
        tuple(means),
        tuple(coefficients),
        tuple(sds),
    )


def draw_continuous(seed: int, task: ContinuousTask) -> ContinuousProblem:
    """Draw the problem of a task; the graph is the same whether it is told or not.

    Parameters
    ----------
    seed : int
        Of the study.
    task : ContinuousTask

    Returns
    -------
    ContinuousProblem
    """
    key = [seed, task.n_variables, NODES.index(task.nodes), CHANGES.index(task.change)]
    of_system, of_rows = np.random.SeedSequence([*key, task.problem]).spawn(2)
    rng = np.random.default_rng(of_system)
    network, hits = draw_system(task.n_variables, task.nodes, task.change, rng)
    rng = np.random.default_rng(of_rows)
    each = task.n_rows // (len(hits) + 1)
    control = network.sample(each, rng)
    parts = [_with(network, hit).sample(each, rng) for hit in (None, *hits)]
    order = rng.permutation(each * len(parts))
    component = np.repeat(np.arange(len(parts)), each)[order]
    return ContinuousProblem(network, hits, control, np.concatenate(parts)[order], component)


@dataclass(frozen=True)
class ContinuousAnswer:
    """What a fit says of a problem.

    Attributes
    ----------
    sets : list of frozenset of str
        Names of the variables that each component changes.
    posterior : ndarray, shape (n_rows, n_components)
    edges : set of (str, str) or None
        The graph, where it was learned.
    moments : tuple of ndarray or None
        Means and covariances of the components; None for those of the rows, weighted by the
        posterior.
    """

    sets: list[frozenset[str]]
    posterior: Floats
    edges: set[tuple[str, str]] | None = None
    moments: tuple[Floats, Floats] | None = None


#: Fits control rows and mixture rows; the graph as (parent, child) names, None if it is not told.
Fit = Callable[[ContinuousProblem, "list[tuple[str, str]] | None"], ContinuousAnswer]


def solve_continuous(fit: Fit, seed: int, task: ContinuousTask) -> Record:
    """Draw, solve and score one problem.

    Parameters
    ----------
    fit : callable
    seed : int
    task : ContinuousTask

    Returns
    -------
    dict
        The fields of the task; ``refused``, None or why there is no answer; the measures of
        `scores_of` if there is one; and ``seconds``.
    """
    problem = draw_continuous(seed, task)
    edges = problem.network.edges if task.graph == "given" else None
    return attempt(task, lambda: fit(problem, edges), partial(scores_of, problem))


def scores_of(problem: ContinuousProblem, answer: ContinuousAnswer) -> dict[str, float | None]:
    """Score an answer by the study's measures, and by the sets found.

    Parameters
    ----------
    problem : ContinuousProblem
    answer : ContinuousAnswer

    Returns
    -------
    dict of str to float or None
        ``jaccard`` (mean Jaccard index of the sets of true components and of those they are matched
        with, 1 for two empty ones), ``parameter_error`` (sum of the absolute differences of the
        means and covariances of matched components), ``shd`` (edges that differ; None where the
        graph was given), ``n_components``; ``recall`` and ``precision`` (of the sets, exactly).
    """
    means, covariances = problem.moments()
    found = answer.moments or _moments_of(problem.rows, answer.posterior)
    cost = np.abs(means[:, None] - found[0][None]).sum(axis=2)
    cost += np.abs(covariances[:, None] - found[1][None]).sum(axis=(2, 3))
    true, own = linear_sum_assignment(cost)
    pairs = [(problem.sets[k], answer.sets[j]) for k, j in zip(true, own, strict=True)]
    agree = [len(a & b) / len(a | b) if a | b else 1.0 for a, b in pairs]
    asked, there = set(problem.sets), set(answer.sets)
    distance = None
    if answer.edges is not None:
        differ = set(problem.network.edges) ^ answer.edges
        distance = float(len({frozenset(edge) for edge in differ}))
    return {
        "jaccard": float(np.mean(agree)),
        "parameter_error": float(cost[true, own].sum()),
        "shd": distance,
        "n_components": float(len(answer.sets)),
        "recall": len(asked & there) / len(asked),
        "precision": len(asked & there) / len(there),
    }


def _moments_of(rows: Floats, posterior: Floats) -> tuple[Floats, Floats]:
    """Means and covariances of the rows of each component, weighted by their posterior."""
    weights = posterior / np.maximum(posterior.sum(axis=0), np.finfo(np.float64).tiny)
    means = weights.T @ rows
    away = rows[None] - means[:, None]
    return means, np.einsum("kri,rk,krj->kij", away, weights, away)


_PUBLISHED = ("jaccard", "shd", "parameter_error")
#: What has to be said of the figures beside each other.
NOTE = (
    "published: Kumar, Shiragur and Uhler (2024), a Gaussian mixture and UT-IGSP, no graph given. "
    "Lines with the graph given are told what that pipeline is not, so these figures are not like "
    "for like; lines with a learned graph are. Problems are other draws."
)


def _published(line: Record) -> Record:
    """Return published figures, and whether the published pipeline was told as much."""
    key = (line["n_variables"], line["n_rows"], line["nodes"], line["change"])
    found = {f"published_{name}": published_successor(name, *key) for name in _PUBLISHED}
    return {**found, "like_for_like": line["graph"] == "learned"}


#: From records of :func:`solve_continuous`.
CONTINUOUS = Summary(
    ("n_variables", "n_rows", "nodes", "change", "graph"),
    (
        *("jaccard", "parameter_error", "shd", "n_components", "recall", "precision"),
        "jaccard_se",
    ),
    (
        *(whole("variables", "n_variables"), whole("rows", "n_rows"), text("nodes")),
        *(text("change"), text("graph"), PROBLEMS),
        *(number("Jaccard", "jaccard", 3), number("published", "published_jaccard", 3)),
        *(number("SHD", "shd", 1), number("published", "published_shd", 1)),
        number("parameter error", "parameter_error", 1),
        number("published", "published_parameter_error", 1),
        *(number("components", "n_components", 1), number("recall", "recall", 3)),
        *(number("precision", "precision", 3), number("s", "seconds_median", 2)),
    ),
    beside=_published,
    note=NOTE,
)
