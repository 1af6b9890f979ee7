"""Another mixture that generates the same distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.identifiability.excluded import mixture_codes
from dosift.identifiability.parsimony import check_max_size, named_mixture, scope_that_fits
from dosift.identifiability.programs import (
    REPRODUCED,
    TOLERANCE,
    ProgramError,
    is_solution,
    minimise,
    polish,
)
from dosift.identifiability.summary import is_unique
from dosift.identifiability.system import (
    MAX_NONZEROS,
    Codes,
    build_system,
    mixture_cells,
    occurring_cells,
    on_scope,
    possible_scopes,
)
from dosift.model import Mixture, Target
from dosift.model.arrays import Floats
from dosift.model.network import Network

#: Cost of a set variable beside that of weight on the old targets: of equally different
#: mixtures the simpler one is shown.
_SIZE_COST = 1e-3


@dataclass(frozen=True)
class Witness:
    """Another mixture with the same distribution.

    Attributes
    ----------
    mixture : Mixture
    distance : float
        Total variation between the weights of the two mixtures, 0 to 1.
    error : float or None
        Largest difference of a probability (of the variables that the two mixtures set and
        their parents); None where there are too many joint states to compare all of them.
    """

    mixture: Mixture
    distance: float
    error: float | None


def witness(
    network: Network,
    mixture: Mixture,
    *,
    change: Target | None = None,
    max_size: int | None = None,
) -> Witness | None:
    """Find another mixture that generates the same distribution.

    Where the targets can be enumerated it is as different as possible: a linear program
    minimises the weight left on the mixture's own targets (or on the one to be changed).
    Elsewhere one target is written as the average of its extensions by one more variable,
    ``P_t = sum_a p_i(a | t) P_(t + {i: a})``, which holds whenever t sets all parents of i.

    Parameters
    ----------
    network : Network
    mixture : Mixture
    change : Target, optional
        The target of the mixture whose weight is to become as small as possible.
    max_size : int, optional
        Largest number of variables that a target may set.

    Returns
    -------
    Witness or None
        None if none was found: there is none if all targets could be enumerated or
        :func:`~dosift.identifiability.verdict` says "unique".

    Raises
    ------
    InputError
        If the mixture names what the network does not have, has no such target to change, or
        has a target larger than `max_size`.

    Notes
    -----
    A witness is checked: it reproduces every probability to 1e-9.

    Examples
    --------
    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> found = witness(coin, Mixture({do(V=0): 0.2, do(): 0.8}))
    >>> {str(target): round(weight, 9) for target, weight in found.mixture.items()}
    {'do(V=0)': 0.6, 'do(V=1)': 0.4}
    """
    codes, _ = mixture_codes(network, mixture)
    check_max_size(max_size)
    check_sizes(mixture, max_size)
    if change is not None and not mixture.get(change, 0.0) > 0:
        raise InputError(f"{change} has no weight in the mixture, so it cannot be changed")
    if is_unique(network, codes):
        return None
    found = _farthest(network, mixture, change, max_size)
    if found is None:
        found = _split(network, mixture, change, max_size)
    if found is None or _distance(mixture, found) <= TOLERANCE:
        return None
    error = difference(network, mixture, found)
    if error is not None and error > REPRODUCED:
        return None
    return Witness(found, _distance(mixture, found), error)


def check_sizes(mixture: Mixture, max_size: int | None) -> None:
    """Refuse a mixture whose targets are larger than the largest size.

    Raises
    ------
    InputError
    """
    if max_size is None:
        return
    for target, weight in mixture.items():
        if weight > 0 and target.size > max_size:
            raise InputError(
                f"{target} sets {target.size} variables, more than the largest size of {max_size}"
            )


def _distance(a: Mixture, b: Mixture) -> float:
    return float(sum(abs(a.get(t, 0.0) - b.get(t, 0.0)) for t in {*a, *b}) / 2)


def _farthest(
    network: Network, mixture: Mixture, change: Target | None, max_size: int | None
) -> Mixture | None:
    """Minimise the weight on the mixture's own targets, where they can be enumerated."""
    codes, own_weights = mixture_codes(network, mixture)
    scope = scope_that_fits(network, codes, max_size=max_size)
    if scope is None or not scope.settable:
        return None
    cells = mixture_cells(network, scope, on_scope(scope, codes), own_weights)
    system = build_system(network, scope, cells)
    moved = codes if change is None else Mixture({change: 1.0}).to_codes(network)[0]
    own = system.positions(on_scope(scope, moved))
    cost = _SIZE_COST * system.sizes / max(len(scope.settable), 1)
    cost[own[own >= 0]] += 1.0
    try:
        weights = polish(system, minimise(system, cost).weights)
    except ProgramError:
        return None
    return named_mixture(network, system, weights) if is_solution(system, weights) else None


def _split(
    network: Network, mixture: Mixture, change: Target | None, max_size: int | None
) -> Mixture | None:
    """Write the heaviest target that can be as the average of its extensions by one variable."""
    codes, weights = mixture_codes(network, mixture)
    if change is not None:
        codes = Mixture({change: 1.0}).to_codes(network)[0]
        weights = np.array([mixture[change]])
    for target, weight in zip(codes, weights, strict=True):
        if (target >= 0).all() or (max_size is not None and (target >= 0).sum() >= max_size):
            continue
        i = next(i for i in network.order if target[i] < 0)  # its parents are all set
        table_row = network.tables[i][network.parent_rows(i, target[None, :])[0]]
        states = np.flatnonzero(table_row > 0)
        extended = np.repeat(target[None, :], states.size, axis=0)
        extended[:, i] = states
        new = dict(mixture)
        del new[_named(network, target)]
        for row, share in zip(extended, table_row[states], strict=True):
            name = _named(network, row)
            new[name] = new.get(name, 0.0) + float(weight * share)
        return Mixture(new)
    return None


def _named(network: Network, target: NDArray[np.int64]) -> Target:
    return Mixture.from_codes(network, target[None, :], np.ones(1)).targets[0]


def difference(network: Network, first: Mixture, second: Mixture) -> float | None:
    """Largest difference between two mixtures' distributions, cell by cell.

    Parameters
    ----------
    network : Network
    first, second : Mixture

    Returns
    -------
    float or None
        Over the joint states of the variables that either sets and their parents, up to the
        factors that no target changes, which are at most 1; None if there are too many.

    Examples
    --------
    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> difference(coin, Mixture({do(): 1.0}), Mixture({do(V=0): 0.5, do(V=1): 0.5}))
    0.0
    """
    codes, weights = mixture_codes(network, first)
    other_codes, other_weights = mixture_codes(network, second)
    together: Codes = np.concatenate([codes, other_codes])
    scope = possible_scopes(network, together)[-1]
    free_cells = np.where(together < 0, network.cardinalities.astype(float), 1.0)
    cells = [i for i in scope.cells if i in set(scope.settable)]
    outside = [i for i in scope.cells if i not in set(scope.settable)]
    with np.errstate(over="ignore"):
        n_entries = free_cells[:, cells].prod(axis=1).sum() * float(
            network.cardinalities[outside].astype(float).prod()
        )
        n_all = network.cardinalities[list(scope.cells)].astype(float).prod()
    if n_entries > MAX_NONZEROS or n_all > MAX_NONZEROS:
        return None
    signed: Floats = np.concatenate([weights, -other_weights])
    total = mixture_cells(network, scope, on_scope(scope, together), signed)
    occurs, _ = occurring_cells(network, scope)
    if occurs is not None:
        total = total[occurs]
    return float(np.abs(total).max(initial=0.0))
