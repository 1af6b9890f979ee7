"""The study of units: the paper's problems, several rows a unit, exclusion deliberately violated.

Networks, numbers of targets and weights are drawn as in :mod:`dosift.study.problems`, but targets
set variables to any state, and are drawn again until some variable is set to all of its states.
That alone can leave the mixture the simplest one with its law; so there are problems, too, in which
a variable without parents is set to each of its states beside being left alone, all else being the
same: single rows cannot tell these targets from each other. A method is told which rows belong to
a unit, or takes all rows for independent.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dosift.data.configurations import collapse, collapse_units
from dosift.identifiability.excluded import exclusion
from dosift.likelihood.evidence import Evidence
from dosift.methods import METHODS, Options, estimate
from dosift.model import Mixture, Network
from dosift.model.simulate import sample_codes
from dosift.search.result import SearchResult
from dosift.study.problems import draw_mixture, draw_network, learn_tables, score_codes
from dosift.study.settings import GRAPHS, TABLES, Settings
from dosift.study.summary import NETWORK, PROBLEMS, Summary, number, text, whole
from dosift.study.tasks import AnyTask, attempt

Ints = NDArray[np.int64]

#: How exclusion is violated: somehow, or so that single rows of the law hide it.
VIOLATIONS = ("some", "root")
#: Whether a method is told the units of the rows.
TOLD = ("units", "rows")
#: What is drawn, as the last part of a seed.
_NETWORK, _MIXTURE, _UNITS, _ROWS, _CONTROL_ROWS = range(5)


@dataclass(frozen=True)
class UnitSettings(Settings["UnitTask"]):
    """Settings of the study of units.

    Parameters
    ----------
    variables : tuple of int
    units : tuple of int
        Numbers of units.
    rows : tuple of int
        Rows of a unit.
    problems : int
    graphs : tuple of {"scale-free", "erdos-renyi"}
    methods : tuple of str
        Methods of `dosift.InterventionMixture`.
    told : tuple of {"units", "rows"}
        Whether methods are told which rows belong together. With one row a unit there is nothing
        to tell.
    violations : tuple of {"some", "root"}
        How exclusion is violated: some variable is set to all of its states; or besides one without
        parents is set to each, and left alone, all else being the same.
    tables : tuple of {"known", "learned"}
        Learned from as many control rows as there are mixture rows.
    max_size : int or None
        Largest number of variables that a target sets; None for all, as in the paper.
    seed : int

    Raises
    ------
    InputError
        If a setting is empty, repeated, unknown or out of range.

    Examples
    --------
    >>> settings = UnitSettings(variables=(4,), units=(1000,), rows=(1, 2), problems=3)
    >>> len(list(settings.tasks()))  # two violations, two methods; told units or not on two rows
    36
    """

    variables: tuple[int, ...] = (4, 8)
    units: tuple[int, ...] = (1024, 4096)
    rows: tuple[int, ...] = (1, 2, 3, 5, 10)
    problems: int = 5
    graphs: tuple[str, ...] = ("scale-free",)
    methods: tuple[str, ...] = ("likelihood", "moments")
    told: tuple[str, ...] = TOLD
    violations: tuple[str, ...] = VIOLATIONS
    tables: tuple[str, ...] = ("known",)
    max_size: int | None = None
    seed: int = 0

    kind = "units"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "graphs": GRAPHS, "methods": METHODS, "tables": TABLES, "told": TOLD,
        "violations": VIOLATIONS,
    }  # fmt: skip

    def __post_init__(self) -> None:
        self.check({"variables": 1, "units": 1, "rows": 1, "problems": 1, "max_size": 1})

    def tasks(self) -> Iterator[UnitTask]:
        """List what is to be solved."""
        for problem, graph, n, violation, tables, n_units, n_rows in product(
            *(range(self.problems), self.graphs, self.variables, self.violations, self.tables),
            *(self.units, self.rows),
        ):
            told = self.told if n_rows > 1 else ("rows",)
            for one, method in product(told, self.methods):
                yield UnitTask(graph, n, violation, tables, n_units, n_rows, one, method, problem)


@dataclass(frozen=True)
class UnitTask(AnyTask):
    """One problem of units, solved by one method.

    Attributes
    ----------
    source : str
        Kind of random graph.
    n_variables : int
    violation : {"some", "root"}
    tables : {"known", "learned"}
    n_units, n_rows : int
        Units, and the rows of each.
    told : {"units", "rows"}
    method : str
    problem : int
        Number of the problem, from 0.
    """

    source: str
    n_variables: int
    violation: str
    tables: str
    n_units: int
    n_rows: int
    told: str
    method: str
    problem: int


@dataclass(frozen=True)
class UnitProblem:
    """A network, a mixture that violates exclusion, and the seed of its units.

    Attributes
    ----------
    network : Network
    mixture : Mixture
    key : tuple of int
        What the seeds of units and control rows are made of.
    """

    network: Network
    mixture: Mixture
    key: tuple[int, ...]

    def rows(self, n_units: int, n_rows: int) -> Ints:
        """Draw units.

        Parameters
        ----------
        n_units, n_rows : int
            Fewer rows of a unit are the first of more, and so are fewer units.

        Returns
        -------
        ndarray of int64, shape (n_units, n_rows, n_variables)
        """
        targets, weights = self.mixture.to_codes(self.network)
        shares = np.cumsum(weights / weights.sum())[:-1]
        target = np.searchsorted(shares, self._rng(_UNITS).random(n_units), "right")
        codes = np.empty((n_units, n_rows, self.network.n_variables), dtype=np.int64)
        for row in range(n_rows):
            for t in range(len(weights)):
                units = np.flatnonzero(target == t)
                one, rng = targets[t : t + 1], self._rng(_ROWS, row, t)
                codes[units, row] = sample_codes(self.network, one, np.ones(1), units.size, rng)[0]
        return codes

    def learned_network(self, n_rows: int) -> Network:
        """Return the network with tables learned from that many control rows."""
        return learn_tables(self.network, n_rows, self._rng(_CONTROL_ROWS))

    def _rng(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([*self.key, *what])


def draw_units(seed: int, task: UnitTask, max_size: int | None = None) -> UnitProblem:
    """Draw the problem of a task; units, rows and methods do not change it.

    Parameters
    ----------
    seed : int
        Of the study.
    task : UnitTask
    max_size : int, optional

    Returns
    -------
    UnitProblem

    Examples
    --------
    >>> task = UnitTask("scale-free", 4, "root", "known", 100, 2, "units", "moments", 0)
    >>> problem = draw_units(0, task)
    >>> problem.rows(100, 2).shape, exclusion(problem.network, problem.mixture).holds
    ((100, 2, 4), False)
    """
    key = (seed, zlib.crc32(task.source.encode()), task.n_variables, task.problem)
    network = draw_network(task.source, task.n_variables, np.random.default_rng([*key, _NETWORK]))
    rng = np.random.default_rng([*key, _MIXTURE])
    while True:
        mixture = draw_mixture(network, max_size, rng, exclusion=False)
        if task.violation == "root":
            mixture = _with_root(network, mixture, rng)
        if not exclusion(network, mixture).holds:
            return UnitProblem(network, mixture, key)


def _with_root(network: Network, mixture: Mixture, rng: np.random.Generator) -> Mixture:
    """Set a variable without parents to each of its states, on top of a target that leaves it."""
    codes, _ = mixture.to_codes(network)
    root = int(rng.choice([i for i, parents in enumerate(network.parents) if not parents]))
    left_alone = codes[codes[:, root] < 0]
    base = left_alone[rng.integers(len(left_alone))]
    added = np.repeat(base[None, :], network.cardinalities[root], axis=0)
    added[:, root] = np.arange(len(added))
    every = np.unique(np.concatenate([codes, added]), axis=0)
    return Mixture.from_codes(network, every, rng.dirichlet(np.full(len(every), 2.0)))


def solve_units(seed: int, max_size: int | None, task: UnitTask) -> dict[str, Any]:
    """Draw, solve and score one problem.

    Parameters
    ----------
    seed : int
    max_size : int or None
    task : UnitTask

    Returns
    -------
    dict
        As `dosift.study.problems.solve`.
    """
    problem = draw_units(seed, task, max_size)
    codes = problem.rows(task.n_units, task.n_rows).reshape(-1, task.n_variables)
    network = problem.network
    if task.tables == "learned":
        network = problem.learned_network(len(codes))

    def fit() -> SearchResult:
        if task.told == "units":
            unit = np.repeat(np.arange(task.n_units), task.n_rows)
            rows = collapse_units(codes, unit, network.cardinalities)
        else:
            rows = collapse(codes, network.cardinalities)
        evidence = Evidence.of_configurations(network, rows)
        return estimate(task.method, network, evidence, Options())

    return attempt(task, fit, partial(score_codes, problem.network, problem.mixture))


#: What has to be said of the figures beside each other.
NOTE = (
    "violation some: a variable is set to all of its states; root: one without parents is, beside "
    "being left alone, so that single rows cannot tell which. told units: the method knows which "
    "rows belong together; told rows: it takes all rows for independent. moments told rows is the "
    "paper's algorithm, which assumes exclusion."
)
#: From records of :func:`solve_units`.
UNITS = Summary(
    ("source", "n_variables", "violation", "tables", "n_units", "n_rows", "told", "method"),
    (
        *("recall", "precision", "tv", "rmse", "n_true", "n_found"),
        *("recall_se", "precision_se", "tv_se"),
    ),
    (
        *(NETWORK, text("violation"), text("tables"), whole("units", "n_units")),
        *(whole("rows a unit", "n_rows"), text("told"), text("method"), PROBLEMS),
        *(number("recall", "recall", 3), number("precision", "precision", 3)),
        *(number("total variation", "tv", 3), number("targets", "n_true", 1)),
        *(number("found", "n_found", 1), number("s", "seconds_median", 2)),
    ),
    note=NOTE,
)
