"""What a study runs: its settings, and the list of problems that follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, Self, TypeVar

from dosift._version import __version__
from dosift.errors import InputError
from dosift.methods import METHODS

#: Random graphs of the paper.
GRAPHS = ("scale-free", "erdos-renyi")
#: Networks of the bnlearn repository, by number of variables.
NETWORKS = ("cancer", "earthquake", "survey", "sachs", "child", "alarm", "hepar2")
#: Where the tables come from: the true ones, or learned from as many control rows.
TABLES = ("known", "learned")

_CHOICES = {"graphs": GRAPHS, "networks": NETWORKS, "tables": TABLES}
#: Largest numbers that are taken; beyond them a study would not end or not fit in memory.
_LARGEST = {"variables": 200, "rows": 10**8, "problems": 100_000}


class AnyOfTasks(Protocol):
    """A task of any study: one problem, solved in one way."""

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Self:
        """Return the task that a record is about."""


AnyTask = TypeVar("AnyTask", bound=AnyOfTasks)
_Task_co = TypeVar("_Task_co", bound=AnyOfTasks, covariant=True)


class AnySettings(Protocol[_Task_co]):
    """What a study of any kind runs."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what a folder must have been made with for a study to go on in it."""

    def tasks(self) -> Iterator[_Task_co]:
        """List what is to be solved; at least one."""


@dataclass(frozen=True)
class Settings:
    """What every study's settings can do."""

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in types that JSON has.

        Returns
        -------
        dict
        """
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class StudySettings(Settings):
    """Settings of a study.

    Each random problem is drawn as in the paper: a graph, tables with Dirichlet(2) rows over
    three states, 4 to 15 targets that respect exclusion and the empty one, weights Dirichlet(2).

    Parameters
    ----------
    variables : tuple of int
        Numbers of variables of the random networks.
    rows : tuple of int
        Numbers of mixture rows; with learned tables there are as many control rows.
    problems : int
        Problems for each network size or named network.
    graphs : tuple of str
        Kinds of random graphs: ``"scale-free"``, ``"erdos-renyi"``.
    networks : tuple of str
        Named networks of the bnlearn repository, see `NETWORKS`; they come with pgmpy.
    methods : tuple of str
        Methods of `dosift.InterventionMixture`.
    tables : tuple of str
        ``"known"``: methods get the true tables; ``"learned"``: tables learned from as many
        control rows as there are mixture rows.
    max_size : int or None
        Largest number of variables that a target sets; None for all, as in the paper.
    seed : int
        Seed of everything random, at least 0.

    Raises
    ------
    InputError
        If a setting is empty, repeated, unknown or out of range.

    Examples
    --------
    >>> settings = StudySettings(variables=(4,), rows=(256, 4096), problems=3)
    >>> len(list(settings.tasks()))  # two numbers of rows, three problems, two methods
    12
    """

    variables: tuple[int, ...] = (4, 8)
    rows: tuple[int, ...] = (256, 4096)
    problems: int = 5
    graphs: tuple[str, ...] = ("scale-free",)
    networks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("likelihood", "moments")
    tables: tuple[str, ...] = ("learned",)
    max_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rows", "methods", "tables"):
            if not getattr(self, name):
                raise InputError(f"{name} is empty; give at least one")
        if not self.networks and not (self.graphs and self.variables):
            raise InputError("give random graphs with numbers of variables, or named networks")
        for name, values in self.to_dict().items():
            if isinstance(values, list):
                check_distinct(name, values)
        for name, known in {**_CHOICES, "methods": METHODS}.items():
            for value in getattr(self, name):
                if value not in known:
                    raise InputError(f"{name}: {value!r} is unknown; choose of {', '.join(known)}")
        check_range("variables", self.variables, 1)
        check_range("rows", self.rows, 1)
        check_range("problems", (self.problems,), 1)
        if self.max_size is not None:
            check_range("max_size", (self.max_size,), 1)
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; give a number of at least 0")

    def fingerprint(self) -> dict[str, Any]:
        """Return what a folder must have been made with for a study to go on in it.

        Returns
        -------
        dict
            The settings and the version of dosift.
        """
        return {"dosift": __version__, **self.to_dict()}

    def tasks(self) -> Iterator[Task]:
        """List what is to be solved, all settings of a problem before the next problem.

        In this order a study that is half done has the same number of problems everywhere, and
        the time left can be judged by the time taken.

        Yields
        ------
        Task
        """
        for problem in range(self.problems):
            for source, n in self.sources():
                for tables in self.tables:
                    for n_rows in self.rows:
                        for method in self.methods:
                            yield Task(source, n, tables, n_rows, method, problem)

    def sources(self) -> list[tuple[str, int]]:
        """List kinds of graphs with numbers of variables, then named networks with 0.

        Returns
        -------
        list of (str, int)
        """
        random = [(graph, n) for graph in self.graphs for n in self.variables]
        return [*random, *((name, 0) for name in self.networks)]


@dataclass(frozen=True)
class Task:
    """One problem at one number of rows by one method.

    Attributes
    ----------
    source : str
        Kind of random graph, or name of a network.
    n_variables : int
        Number of variables of a random network; 0 for a named one.
    tables : str
        ``"known"`` or ``"learned"``.
    n_rows : int
        Number of rows.
    method : str
        Method of estimation.
    problem : int
        Number of the problem, from 0.
    """

    source: str
    n_variables: int
    tables: str
    n_rows: int
    method: str
    problem: int

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> Task:
        """Return the task that a record is about.

        Raises
        ------
        KeyError
            If the record lacks a field.
        """
        return cls(**{field.name: record[field.name] for field in fields(cls)})


#: Settings by name: a taste, the paper's Figure 1, its supplement, and real networks.
PRESETS: dict[str, dict[str, Any]] = {
    "small": {"variables": (4, 8), "rows": (256, 4096), "problems": 5, "graphs": ("scale-free",)},
    "paper": {
        "variables": (4, 8, 12),
        "rows": tuple(4**k for k in range(2, 11)),
        "problems": 60,
        "graphs": GRAPHS,
    },
    "supplement": {
        "variables": tuple(range(4, 33, 4)),
        "rows": (2**20,),
        "problems": 60,
        "graphs": GRAPHS,
    },
    "real": {
        "variables": (),
        "graphs": (),
        "networks": NETWORKS,
        "rows": (1024, 16384),
        "problems": 10,
        "tables": TABLES,
        "max_size": 3,
    },
}


def check_distinct(name: str, values: list[Any]) -> None:
    """Refuse settings that name something twice.

    Raises
    ------
    InputError
    """
    if len(set(values)) != len(values):
        raise InputError(f"{name} names something twice: {', '.join(map(str, values))}")


def check_range(name: str, values: tuple[int, ...], least: int) -> None:
    """Refuse settings out of range.

    Raises
    ------
    InputError
    """
    most = _LARGEST.get(name, 10**6)
    for value in values:
        if not least <= value <= most:
            raise InputError(f"{name}: {value} is out of range; give {least} to {most:,}")
