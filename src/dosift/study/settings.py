"""What a study runs: its settings, and the list of problems that follows from them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from dosift._version import __version__
from dosift.errors import InputError
from dosift.methods import METHODS
from dosift.study.tasks import AnyTask

TaskType = TypeVar("TaskType", bound=AnyTask)

#: Random graphs of the paper.
GRAPHS = ("scale-free", "erdos-renyi")
#: Networks of the bnlearn repository, by number of variables.
NETWORKS = ("cancer", "earthquake", "survey", "sachs", "child", "alarm", "hepar2")
#: Where the tables come from: the true ones, or learned from as many control rows.
TABLES = ("known", "learned")

#: Largest numbers that are taken; beyond them a study would not end or not fit in memory.
_LARGEST = {"variables": 200, "rows": 10**8, "problems": 100_000}


@dataclass(frozen=True)
class Settings(Generic[TaskType]):
    """What every study's settings can do.

    Lists hold what is combined with each other. They name nothing twice.
    """

    #: What a study is called in its folder; the paper's, which came first, is not called anything.
    kind: ClassVar[str | None] = None
    #: What the members of a list are chosen of.
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    if TYPE_CHECKING:
        seed: int

    def tasks(self) -> Iterator[TaskType]:
        """List what is to be solved, all settings of a problem before the next problem.

        In this order a study that is half done has the same number of problems everywhere, and
        the time left can be judged by the time taken.

        Yields
        ------
        AnyTask
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the settings in types that JSON has.

        Returns
        -------
        dict
        """
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def fingerprint(self) -> dict[str, Any]:
        """Return what a folder must have been made with for a study to go on in it.

        Returns
        -------
        dict
            The settings, the version of dosift, and the kind of study.
        """
        kind = {} if self.kind is None else {"study": self.kind}
        return {"dosift": __version__, **kind, **self.to_dict()}

    def check(self, least: Mapping[str, int], may_be_empty: Collection[str] = ()) -> None:
        """Refuse lists that are empty or name something twice, and what is not to be had.

        Parameters
        ----------
        least : mapping of str to int
            Least value of each number, or of the members of a list of numbers.
        may_be_empty : collection of str
            Lists that may be.

        Raises
        ------
        InputError
        """
        for name, values in self.to_dict().items():
            if isinstance(values, list):
                if not values and name not in may_be_empty:
                    raise InputError(f"{name} is empty; give at least one")
                if len(set(values)) != len(values):
                    raise InputError(f"{name} names something twice: {', '.join(map(str, values))}")
        for name, known in self.choices.items():
            for value in getattr(self, name):
                if value not in known:
                    raise InputError(f"{name}: {value!r} is unknown; choose of {', '.join(known)}")
        for name, smallest in least.items():
            given = getattr(self, name)
            most = _LARGEST.get(name, 10**6)
            for value in given if isinstance(given, tuple) else (given,):
                if value is not None and not smallest <= value <= most:
                    raise InputError(
                        f"{name}: {value} is out of range; give {smallest} to {most:,}"
                    )
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}; give a number of at least 0")


@dataclass(frozen=True)
class StudySettings(Settings["Task"]):
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

    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "graphs": GRAPHS, "networks": NETWORKS, "methods": METHODS, "tables": TABLES,
    }  # fmt: skip

    def __post_init__(self) -> None:
        if not self.networks and not (self.graphs and self.variables):
            raise InputError("give random graphs with numbers of variables, or named networks")
        least = {"variables": 1, "rows": 1, "problems": 1, "max_size": 1}
        self.check(least, may_be_empty=("variables", "graphs", "networks"))

    def tasks(self) -> Iterator[Task]:
        """List what is to be solved."""
        for problem, (source, n), tables, n_rows, method in product(
            range(self.problems), self.sources(), self.tables, self.rows, self.methods
        ):
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
class Task(AnyTask):
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
