"""One problem of a study: drawn, solved and scored."""

from __future__ import annotations

import importlib.util
import zlib
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.errors import InputError, MissingDependencyError
from dosift.io import read_network
from dosift.learning.learn import DEFAULT_PRIOR
from dosift.learning.tables import learn_from_codes
from dosift.likelihood.evidence import Evidence
from dosift.methods import Options, estimate
from dosift.model import Mixture, Network
from dosift.model.evaluation import compare_codes
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.result import SearchResult
from dosift.study.settings import GRAPHS, Task
from dosift.study.tasks import Record, attempt

#: Numbers of non-empty targets that are drawn, as in the paper: uniform on 4..15.
FEWEST_TARGETS, MOST_TARGETS = 4, 15
#: Erdos-Renyi graphs of many variables would now and then have tables of gigabytes. The paper
#: does not say what was done; here a variable has at most so many parents (no limit up to n = 11).
MOST_PARENTS = 10


@dataclass(frozen=True)
class Problem:
    """A network, a mixture on it, and the seeds of its rows.

    Attributes
    ----------
    network : Network
        The true network.
    mixture : Mixture
        The truth.
    row_seed, control_seed : numpy.random.SeedSequence
        Seeds of the mixture rows and of the control rows. Fewer rows are the first of more.
    """

    network: Network
    mixture: Mixture
    row_seed: np.random.SeedSequence
    control_seed: np.random.SeedSequence

    def rows(self, n_rows: int) -> NDArray[np.int32]:
        """Draw mixture rows, shape (n_rows, n_variables), as state codes."""
        targets, weights = self.mixture.to_codes(self.network)
        rng = np.random.default_rng(self.row_seed)
        return sample_codes(self.network, targets, weights, n_rows, rng)[0]

    def learned_network(self, n_rows: int) -> Network:
        """Return the network with tables learned from that many control rows."""
        return learn_tables(self.network, n_rows, np.random.default_rng(self.control_seed))


def draw_problem(
    seed: int, source: str, n_variables: int, problem: int, max_size: int | None = None
) -> Problem:
    """Draw a problem of the study; it depends on nothing but these arguments.

    Parameters
    ----------
    seed : int
        Seed of the study.
    source : str
        Kind of random graph, or name of a network.
    n_variables : int
        Number of variables of a random network; not used for a named one.
    problem : int
        Number of the problem.
    max_size : int, optional
        Largest number of variables that a target sets.

    Returns
    -------
    Problem

    Raises
    ------
    MissingDependencyError
        If a named network is wanted and pgmpy is not installed.

    Examples
    --------
    >>> problem = draw_problem(0, "scale-free", 4, 0)
    >>> problem.network.n_variables, problem.rows(10).shape
    (4, (10, 4))
    """
    key = [seed, zlib.crc32(source.encode()), n_variables, problem]
    of_network, of_mixture, of_rows, of_control = np.random.SeedSequence(key).spawn(4)
    if source in GRAPHS:
        network = draw_network(source, n_variables, of_network)
    else:
        network = named_network(source)
    mixture = draw_mixture(network, max_size, np.random.default_rng(of_mixture))
    return Problem(network, mixture, of_rows, of_control)


def draw_network(
    graph: str, n_variables: int, random_state: np.random.Generator | np.random.SeedSequence
) -> Network:
    """Draw a network as the paper does.

    Parameters
    ----------
    graph : {"scale-free", "erdos-renyi"}
    n_variables : int
    random_state : numpy.random.Generator or SeedSequence

    Returns
    -------
    Network
    """
    return random_network(
        n_variables,
        graph=cast(Literal["scale-free", "erdos-renyi"], graph),
        max_parents=MOST_PARENTS,
        random_state=random_state,
    )


def draw_mixture(
    network: Network, max_size: int | None, rng: np.random.Generator, *, exclusion: bool = True
) -> Mixture:
    """Draw a mixture of as many targets as the paper's.

    Parameters
    ----------
    network : Network
    max_size : int or None
        Largest number of variables that a target sets.
    rng : numpy.random.Generator
    exclusion : bool, default=True
        Whether some state of every variable stays out of all targets.

    Returns
    -------
    Mixture
    """
    return random_mixture(
        network,
        int(rng.integers(FEWEST_TARGETS, MOST_TARGETS + 1)),
        max_size=None if max_size is None else min(max_size, network.n_variables),
        exclusion=exclusion,
        random_state=rng,
    )


def learn_tables(network: Network, n_rows: int, rng: np.random.Generator) -> Network:
    """Draw control rows, and return the network with tables learned from them.

    Parameters
    ----------
    network : Network
    n_rows : int
    rng : numpy.random.Generator

    Returns
    -------
    Network
    """
    nothing = np.full((1, network.n_variables), -1)
    control, _ = sample_codes(network, nothing, np.ones(1), n_rows, rng)
    return learn_from_codes(network.variables, network.parents, control, DEFAULT_PRIOR)


def network_path(name: str) -> Path:
    """Return the file of a named network inside pgmpy.

    Parameters
    ----------
    name : str
        Such as ``"alarm"``.

    Returns
    -------
    Path

    Raises
    ------
    MissingDependencyError
        If pgmpy is not installed.
    InputError
        If pgmpy does not have the network.
    """
    # Importing pgmpy takes seconds and is not needed: only its files are read.
    found = importlib.util.find_spec("pgmpy")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError("pgmpy", "pgmpy", f"the network {name!r}")
    folder = Path(found.submodule_search_locations[0]) / "utils" / "example_models"
    path = folder / f"{name}.bif.gz"
    if not path.is_file():
        raise InputError(f"the installed pgmpy has no network {name!r}; install pgmpy 1.0 to 1.2")
    return path


def named_network(name: str) -> Network:
    """Read a network of the bnlearn repository from pgmpy's files.

    Parameters
    ----------
    name : str
        Such as ``"alarm"``.

    Returns
    -------
    Network

    Raises
    ------
    MissingDependencyError
        If pgmpy is not installed.
    """
    return read_network(network_path(name))


def solve(seed: int, max_size: int | None, task: Task) -> dict[str, Any]:
    """Draw, solve and score one problem.

    Parameters
    ----------
    seed : int
    max_size : int or None
        See `draw_problem`.
    task : Task

    Returns
    -------
    dict
        The fields of the task; ``refused``, None or why the method gives no answer; the fields
        of `dosift.model.evaluation.Scores` if it does; and ``seconds``.
    """
    problem = draw_problem(seed, task.source, task.n_variables, task.problem, max_size)
    codes = problem.rows(task.n_rows)
    network = problem.network
    if task.tables == "learned":
        network = problem.learned_network(task.n_rows)

    def fit() -> SearchResult:
        # Without the estimator's standard errors and check of the fit, which take time.
        rows = collapse(codes, network.cardinalities)
        evidence = Evidence.of_configurations(network, rows)
        return estimate(task.method, network, evidence, Options())

    return attempt(task, fit, partial(score_codes, problem.network, problem.mixture))


def score_codes(network: Network, mixture: Mixture, found: SearchResult) -> Record:
    """Compare what was found with the truth.

    Parameters
    ----------
    network : Network
    mixture : Mixture
        The truth.
    found : SearchResult

    Returns
    -------
    dict
        The fields of `dosift.model.evaluation.Scores`.
    """
    return asdict(compare_codes(*mixture.to_codes(network), found.targets, found.weights))
