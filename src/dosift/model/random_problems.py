"""Random networks and mixtures, as in the simulation study of Kumar and Sinha (UAI 2021)."""

from __future__ import annotations

from numbers import Integral
from typing import Literal

import numpy as np

from dosift.errors import InputError
from dosift.model import Mixture
from dosift.model.arrays import Ints
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network, Variable
from dosift.model.random_changes import random_changes
from dosift.model.simulate import RandomState, as_generator

#: Refuse random networks whose tables together have more entries than this (400 MB).
MAX_TABLE_ENTRIES = 50_000_000

#: How often a target that was drawn before is drawn again before it is given up.
_REDRAWS = 3


def random_network(
    n_variables: int,
    *,
    graph: Literal["erdos-renyi", "scale-free"] = "erdos-renyi",
    n_states: int = 3,
    n_edges: int | None = None,
    max_parents: int | None = None,
    concentration: float = 2.0,
    shuffle: bool = False,
    random_state: RandomState = None,
) -> Network:
    """Draw a random network: variables ``V1`` to ``Vn`` with states ``0``, ``1``, ...

    Parameters
    ----------
    n_variables : int
        Number of variables n, at least 1.
    graph : {"erdos-renyi", "scale-free"}, default="erdos-renyi"
        How edges are drawn, always from an earlier to a later variable. ``"erdos-renyi"``:
        uniformly among the graphs with that many edges. ``"scale-free"`` (Barabasi-Albert): with
        m = round(n_edges / n), but at least 1 if there are to be edges, the first m variables
        have no parents and each later one has m, drawn in proportion to the number of edges that
        a variable already has.
    n_states : int, default=3
        Number of states of each variable, at least 2.
    n_edges : int, optional
        Number of edges E; drawn uniformly from ``[n, min(n (n - 1) / 2, 5 n))`` if left out
        (and with `max_parents`, no more than it allows). Where that range is empty, as for
        n <= 3, the graph has all edges that it can have.
    max_parents : int, optional
        The most parents that a variable may have. Edges of an Erdos-Renyi graph come one by
        one, and those that would exceed it are passed over.
    concentration : float, default=2.0
        Every row of every conditional probability table is drawn from a symmetric Dirichlet
        distribution with this parameter.
    shuffle : bool, default=False
        Whether to put the variables in random order. Without it their order is a topological
        order of the graph.
    random_state : int, numpy.random.Generator or None, default=None
        Seed or generator.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If an argument is out of range, or the tables would be too large to hold.

    Examples
    --------
    >>> random_network(4, n_edges=5, random_state=0)
    Network(4 variables, 5 edges)
    """
    n = _checked_int(n_variables, "n_variables", 1)
    k = _checked_int(n_states, "n_states", 2)
    most = n - 1 if max_parents is None else _checked_int(max_parents, "max_parents", 0)
    _checked_positive(concentration, "concentration")
    capacity = int(np.minimum(np.arange(n), most).sum())
    if n_edges is not None and not 0 <= _checked_int(n_edges, "n_edges", 0) <= capacity:
        raise InputError(
            f"n_edges is {n_edges}, but {n} variables "
            + ("" if max_parents is None else f"with at most {max_parents} parents ")
            + f"have room for {capacity}"
        )
    rng = as_generator(random_state)
    if n_edges is None:
        above = min(capacity, 5 * n)
        n_edges = int(rng.integers(n, above)) if above > n else above
    if graph == "erdos-renyi":
        parents = _erdos_renyi(n, n_edges, most, rng)
    elif graph == "scale-free":
        parents = _scale_free(n, min(max(round(n_edges / n), min(n_edges, 1)), most), rng)
    else:
        raise InputError(f"graph is {graph!r}; choose 'erdos-renyi' or 'scale-free'")
    if shuffle:
        parents = _relabelled(parents, rng.permutation(n))
    entries = sum(float(k) ** (len(row) + 1) for row in parents)
    if entries > MAX_TABLE_ENTRIES:
        raise InputError(
            f"the conditional probability tables would have {entries:.3g} entries; "
            "limit the parents of a variable with max_parents"
        )
    states = tuple(str(s) for s in range(k))
    return Network(
        [Variable(f"V{i + 1}", states) for i in range(n)],
        parents,
        [rng.dirichlet(np.full(k, concentration), size=k ** len(row)) for row in parents],
    )


def _erdos_renyi(n: int, n_edges: int, most: int, rng: np.random.Generator) -> list[list[int]]:
    """Parents of each variable when edges come in random order and full variables refuse more.

    Every possible edge rings at an independent exponential time. The times between the rings at
    variable c, which has c possible edges, are exponential with rates c, c - 1, ..., so only
    the first `most` of each variable need be drawn; the `n_edges` earliest rings are the edges.
    """
    width = min(most, n - 1)
    rates = np.maximum(np.arange(n)[:, None] - np.arange(width), 0)
    with np.errstate(divide="ignore"):
        times = np.cumsum(rng.standard_exponential((n, width)) / rates, axis=1)
    chosen = np.zeros(times.shape, dtype=bool)
    if n_edges:
        chosen.ravel()[np.argpartition(times, n_edges - 1, axis=None)[:n_edges]] = True
    return [
        sorted(rng.choice(child, size, replace=False).tolist()) if size else []
        for child, size in enumerate(chosen.sum(axis=1).tolist())
    ]


def _scale_free(n: int, m: int, rng: np.random.Generator) -> list[list[int]]:
    """Parents of each variable by preferential attachment, m for each after the first m."""
    parents: list[list[int]] = [[] for _ in range(n)]
    if m == 0:
        return parents
    ends: list[int] = []  # every variable as often as it has edges
    chosen = set(range(min(m, n)))
    for child in range(m, n):
        while len(chosen) < m:
            chosen.add(ends[rng.integers(len(ends))])
        parents[child] = sorted(chosen)
        ends.extend([*parents[child], *[child] * m])
        chosen = set()
    return parents


def _relabelled(parents: list[list[int]], place: Ints) -> list[list[int]]:
    """Move variable i to position ``place[i]``."""
    moved: list[list[int]] = [[] for _ in parents]
    for child, row in enumerate(parents):
        moved[place[child]] = sorted(int(place[p]) for p in row)
    return moved


def random_mixture(
    network: Network | MechanismNetwork,
    n_targets: int,
    *,
    max_size: int | None = None,
    exclusion: bool = True,
    include_empty: bool = True,
    weight_concentration: float = 2.0,
    random_state: RandomState = None,
) -> Mixture:
    """Draw a random mixture of interventions on a network.

    Each target has a size uniform on 1..`max_size`, uniformly chosen variables of that number,
    and for each a state uniform on those that are allowed. A target that was drawn before is
    redrawn up to three times and then dropped, so that there may be fewer than `n_targets`.
    What happens to measurements and counts, ``dosift.model.random_changes.random_changes``
    says.

    Parameters
    ----------
    network : Network or MechanismNetwork
        The network.
    n_targets : int
        Number of non-empty targets to draw.
    max_size : int, optional
        The largest size of a target; by default the number of variables.
    exclusion : bool, default=True
        Whether each variable has one state, drawn uniformly, that no target sets it to. This is
        the assumption that makes the mixture identifiable. Variables with a single state are
        then never set. Where variables are numbers nothing of the kind is needed.
    include_empty : bool, default=True
        Whether the empty target ("no intervention") is added.
    weight_concentration : float, default=2.0
        The weights are drawn from a symmetric Dirichlet distribution with this parameter.
    random_state : int, numpy.random.Generator or None, default=None
        Seed or generator.

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> network = random_network(4, random_state=0)
    >>> mixture = random_mixture(network, 3, max_size=2, random_state=0)
    >>> len(mixture), max(target.size for target in mixture)
    (4, 2)
    """
    n_targets = _checked_int(n_targets, "n_targets", 0 if include_empty else 1)
    _checked_positive(weight_concentration, "weight_concentration")
    if isinstance(network, MechanismNetwork):
        size = None if max_size is None else _checked_int(max_size, "max_size", 1)
        rng = as_generator(random_state)
        return random_changes(network, n_targets, size, include_empty, weight_concentration, rng)
    variables = np.flatnonzero(network.cardinalities > (1 if exclusion else 0))
    if max_size is None:
        max_size = len(variables)
    if n_targets and not 1 <= _checked_int(max_size, "max_size", 1) <= len(variables):
        raise InputError(
            f"max_size is {max_size}, but targets may set {len(variables)} variables of the network"
        )
    rng = as_generator(random_state)
    excluded = rng.integers(network.cardinalities) if exclusion else None
    drawn: dict[tuple[int, ...], None] = {}
    if include_empty:
        drawn[(-1,) * network.n_variables] = None
    for _ in range(n_targets):
        for _ in range(1 + _REDRAWS):
            target = _random_target(network, variables, max_size, excluded, rng)
            if target not in drawn:
                drawn[target] = None
                break
    weights = rng.dirichlet(np.full(len(drawn), weight_concentration))
    return Mixture.from_codes(network, np.array(list(drawn)), weights)


def _random_target(
    network: Network,
    variables: Ints,
    max_size: int,
    excluded: Ints | None,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    chosen = rng.choice(variables, rng.integers(1, max_size + 1), replace=False)
    allowed = network.cardinalities[chosen] - (0 if excluded is None else 1)
    states = rng.integers(allowed)
    if excluded is not None:
        states += states >= excluded[chosen]  # step over the excluded state
    target = np.full(network.n_variables, -1)
    target[chosen] = states
    return tuple(target.tolist())


def _checked_int(value: object, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name} is {value!r}; give an integer of at least {least}")
    return int(value)


def _checked_positive(value: float, name: str) -> None:
    if not (isinstance(value, int | float | np.number) and 0 < value < np.inf):
        raise InputError(f"{name} is {value!r}; give a positive number")
