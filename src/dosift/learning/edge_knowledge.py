"""What is known of a graph's edges: required, forbidden, and which variables come first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError, nearest
from dosift.io.graph import cycle_in_words, read_edges

Edge = tuple[str, str]
Mask = NDArray[np.bool_]

#: Most parents of a variable, one number for all; None for no limit, "auto" for what suits it.
Limit = int | Literal["auto"] | None
#: Where nothing else is said.
MOST_PARENTS: Limit = "auto"
#: Then of a variable with states: its table grows by a factor with each, a regression by a number.
_MOST_OF_STATES = 4


@dataclass(frozen=True)
class EdgeKnowledge:
    """What is known of the edges of a graph that rows may change.

    Attributes
    ----------
    required, forbidden : tuple of (str, str)
        Edges (parent, child) that the graph has, or has not.
    tiers : tuple of tuple of str
        Groups of variables, causes first: no edge leads from a later group to an earlier one.
        Variables in none are free.
    max_parents : int, "auto" or None
        Parents up to which a variable may get more; "auto" for 4 of a variable with states and no
        limit for others, None for no limit. A graph that is given may have more.

    Raises
    ------
    InputError
        If they contradict each other.

    Examples
    --------
    >>> known = EdgeKnowledge(forbidden=(("a", "b"),), tiers=(("a",), ("c",)))
    >>> known.matrices(("a", "b", "c"))[0].astype(int)
    array([[0, 0, 1],
           [1, 0, 1],
           [0, 1, 0]])
    """

    required: tuple[Edge, ...] = ()
    forbidden: tuple[Edge, ...] = ()
    tiers: tuple[tuple[str, ...], ...] = ()
    max_parents: Limit = MOST_PARENTS

    def __post_init__(self) -> None:
        self._check_limit()
        self._check_tiers()
        self._check_loops()
        forbidden = set(self.forbidden)
        for edge in self.required:
            if edge in forbidden:
                raise InputError(
                    f"the edge {_shown(edge)} is required and forbidden; take one of them back"
                )
            self._check_direction(edge, "is required")
        cycle = cycle_in_words(self.required)
        if cycle is not None:
            raise InputError(
                f"the required edges have a cycle: {cycle}; a causal graph has none, take one back"
            )

    @classmethod
    def of(
        cls,
        required: Any = None,
        forbidden: Any = None,
        tiers: Iterable[Iterable[str]] | None = None,
        max_parents: Limit = MOST_PARENTS,
    ) -> Self:
        """Read what is known in whatever form it comes.

        Parameters
        ----------
        required, forbidden : as in :func:`~dosift.io.graph.read_graph`, optional
            Forbidden edges may have cycles, and both directions of an edge.
        tiers : iterable of iterable of str, optional
        max_parents : int, "auto" or None, default="auto"

        Returns
        -------
        EdgeKnowledge

        Raises
        ------
        InputError
            If something cannot be read, or they contradict each other.

        Examples
        --------
        >>> EdgeKnowledge.of(required=[("a", "b")]).required
        (('a', 'b'),)
        """
        return cls(
            () if required is None else read_edges(required),
            () if forbidden is None else read_edges(forbidden),
            _read_tiers(tiers),
            max_parents,
        )

    def matrices(self, names: Sequence[str]) -> tuple[Mask, Mask]:
        """Say which edges there may be, and which there are.

        Parameters
        ----------
        names : sequence of str
            The variables of the graph, in order.

        Returns
        -------
        allowed, required : ndarray of bool, shape (n_variables, n_variables)
            By parent and child. A required edge is allowed, its reversal is not.

        Raises
        ------
        InputError
            If a name is none of these.
        """
        at = self._positions(names)
        allowed = ~np.eye(len(names), dtype=bool)
        required = np.zeros_like(allowed)
        for before, after in combinations(self.tiers, 2):
            allowed[np.ix_([at[name] for name in after], [at[name] for name in before])] = False
        for parent, child in self.forbidden:
            allowed[at[parent], at[child]] = False
        for parent, child in self.required:
            required[at[parent], at[child]] = True
            allowed[at[child], at[parent]] = False
        return allowed, required

    def limits(self, has_states: Sequence[bool]) -> tuple[int | None, ...]:
        """Say how many parents each variable may have at most.

        Parameters
        ----------
        has_states : sequence of bool
            Of each variable; others are numbers or counts.

        Returns
        -------
        tuple of int or None
            None for no limit.

        Examples
        --------
        >>> EdgeKnowledge().limits([True, False])
        (4, None)
        """
        most = self.max_parents
        if most == "auto":
            return tuple(_MOST_OF_STATES if one else None for one in has_states)
        return (most,) * len(has_states)

    def check(self, graph_parents: Sequence[Sequence[int]], names: Sequence[str]) -> None:
        """Refuse a graph that contradicts what is known.

        Parameters
        ----------
        graph_parents : sequence of sequence of int
            Positions of the parents of each variable.
        names : sequence of str

        Raises
        ------
        InputError
            With the edge, and what forbids it.
        """
        self._positions(names)
        edges = [(names[p], names[i]) for i, row in enumerate(graph_parents) for p in row]
        forbidden, present = set(self.forbidden), set(edges)
        for edge in edges:
            if edge in forbidden:
                raise InputError(
                    f"the graph has the edge {_shown(edge)}, which is forbidden; take it out, or "
                    "allow it"
                )
            self._check_direction(edge, "is in the graph")
        for edge in self.required:
            if edge not in present:
                raise InputError(
                    f"the graph lacks the required edge {_shown(edge)}; add it, or do not require "
                    "it"
                )

    def _check_limit(self) -> None:
        most = self.max_parents
        if most is None or most == "auto":
            return
        if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
            raise InputError(f"max_parents is {most!r}; give a positive integer, 'auto' or None")
        children = [child for _, child in self.required]
        for child in dict.fromkeys(children):
            if children.count(child) > most:
                raise InputError(
                    f"{children.count(child)} edges into {child!r} are required, and a variable "
                    f"may have {most} parents at most (max_parents); raise the limit, or take "
                    "edges back"
                )

    def _check_tiers(self) -> None:
        seen: dict[str, int] = {}
        for number, tier in enumerate(self.tiers, start=1):
            for name in tier:
                if name in seen:
                    both = f"tiers {seen[name]} and {number}"
                    where = both if seen[name] != number else f"tier {number} twice"
                    raise InputError(f"{name!r} is in {where}; leave it in one")
                seen[name] = number

    def _check_loops(self) -> None:
        for parent, child in (*self.required, *self.forbidden):
            if parent == child:
                raise InputError(f"an edge leads from {parent!r} to itself; take it out")

    def _check_direction(self, edge: Edge, what: str) -> None:
        """Refuse an edge from a later tier to an earlier one."""
        tier = {name: k for k, names in enumerate(self.tiers, start=1) for name in names}
        parent, child = edge
        if parent in tier and child in tier and tier[parent] > tier[child]:
            raise InputError(
                f"the edge {_shown(edge)} {what}, and leads from tier {tier[parent]} back to tier "
                f"{tier[child]}; causes come first: correct the tiers, or take the edge out"
            )

    def _positions(self, names: Sequence[str]) -> dict[str, int]:
        """Position of each variable; what is known may name no other."""
        at = {name: i for i, name in enumerate(names)}
        said = {
            "a required edge": [name for edge in self.required for name in edge],
            "a forbidden edge": [name for edge in self.forbidden for name in edge],
            "a tier": [name for tier in self.tiers for name in tier],
        }
        for what, listed in said.items():
            for name in listed:
                if name not in at:
                    near = nearest(name, names)
                    hint = "" if near is None else f". Did you mean {near!r}?"
                    raise InputError(
                        f"{what} names {name!r}, which is no variable of the network{hint}"
                    )
        return at


def _read_tiers(tiers: Iterable[Iterable[str]] | None) -> tuple[tuple[str, ...], ...]:
    if tiers is None:
        return ()
    try:
        listed = [tier if isinstance(tier, str) else tuple(map(str, tier)) for tier in tiers]
    except TypeError:
        raise InputError(f"tiers is {tiers!r}; give lists of names, causes first") from None
    if isinstance(tiers, str) or any(isinstance(tier, str) for tier in listed):
        raise InputError("tiers is made of texts; give lists of names, causes first")
    return tuple(tier for tier in listed if not isinstance(tier, str))


def _shown(edge: Edge) -> str:
    return f"{edge[0]!r} -> {edge[1]!r}"
