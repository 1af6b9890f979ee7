"""The mixture that sets the fewest variables on average, by linear programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dosift.errors import InputError
from dosift.identifiability.excluded import mixture_codes
from dosift.identifiability.programs import (
    REPRODUCED,
    InfeasibleError,
    ProgramError,
    heaviest_first,
    is_only_solution,
    is_solution,
    least_face,
    minimise,
    polish,
    residual,
)
from dosift.identifiability.system import (
    MAX_PROGRAM,
    Codes,
    Scope,
    TargetSystem,
    build_system,
    fits,
    mixture_cells,
    on_scope,
    possible_scopes,
)
from dosift.identifiability.zeros import check_network
from dosift.model import Mixture
from dosift.model.arrays import Bools, Floats
from dosift.model.network import Network

#: How far the probabilities of a table may be from summing to one.
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Parsimony:
    """Mixtures of least expected size with a given distribution.

    Attributes
    ----------
    system : TargetSystem
    weights : ndarray, shape (n_targets,)
        One such mixture.
    size : float
        Its expected number of variables set.
    face : ndarray of bool, shape (n_targets,)
        Targets that may have weight in such a mixture.
    is_unique : bool
        Whether it is the only one.
    """

    system: TargetSystem
    weights: Floats
    size: float
    face: Bools
    is_unique: bool

    def mixture(self, network: Network) -> Mixture:
        """Return the mixture by names."""
        return named_mixture(network, self.system, self.weights)


def named_mixture(network: Network, system: TargetSystem, weights: Floats) -> Mixture:
    """Return the positive weights of a system as a mixture.

    Parameters
    ----------
    network : Network
    system : TargetSystem
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    Mixture
    """
    chosen = heaviest_first(weights)
    return Mixture.from_codes(network, system.full_codes(network, chosen), weights[chosen])


def least_size(network: Network, scope: Scope, cells: Floats) -> Parsimony:
    """Find the mixture of least expected size on a scope, and whether it is the only one.

    Parameters
    ----------
    network : Network
    scope : Scope
    cells : ndarray, shape (n_cells,)
        As of :func:`~dosift.identifiability.system.mixture_cells`.

    Returns
    -------
    Parsimony

    Raises
    ------
    ProgramError
        If the programs cannot be solved within bounds, or not to the precision promised.
    """
    system = build_system(network, scope, cells)
    sizes = system.sizes.astype(np.float64)
    solution = minimise(system, sizes)
    face = least_face(system, solution)
    weights = polish(system, solution.weights)
    if not is_solution(system, weights):
        raise ProgramError("cells are too improbable for double precision")
    unique = is_only_solution(system, weights, face)
    return Parsimony(system, weights, float(sizes @ weights), face, unique)


def scope_that_fits(
    network: Network,
    codes: Codes,
    *,
    max_size: int | None = None,
    kinds: Sequence[str] = ("all", "ancestors", "set"),
    limit: float = MAX_PROGRAM,
) -> Scope | None:
    """Return the widest scope of some kinds that has at most so many entries.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_targets, n_variables)
        Targets of the mixture.
    max_size : int, optional
    kinds : sequence of str
    limit : float

    Returns
    -------
    Scope or None
    """
    for scope in possible_scopes(network, codes, max_size):
        if scope.kind in kinds and fits(network, scope, limit):
            return scope
    return None


def parsimonious(
    network: Network, distribution: Mixture | ArrayLike, *, max_size: int | None = None
) -> Mixture:
    """Find the mixture that sets the fewest variables on average and generates a distribution.

    Minimises ``sum_t w_t |t|`` subject to ``sum_t w_t P_t = P_mix`` and ``w >= 0``, a linear
    program over all targets. If some mixture that satisfies exclusion generates the
    distribution of a positive network, this is that mixture, and the excluded states need not
    be known (docs/identifiability.md).

    Parameters
    ----------
    network : Network
    distribution : Mixture or array-like
        A mixture that generates the distribution; or the probabilities themselves, one axis for
        each variable in the network's order (or flat, the last variable running fastest).
    max_size : int, optional
        Largest number of variables that a target may set.

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If the distribution is none, no mixture of such targets generates it, or there are too
        many targets to enumerate.

    Notes
    -----
    For a mixture, only the variables that it sets and their ancestors are considered. That loses
    nothing: cutting a competing mixture down to these variables keeps the distribution and does
    not raise the size. The solution is correct to about 1e-9 in each probability, which is checked.

    Examples
    --------
    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> found = parsimonious(coin, [0.6, 0.4])
    >>> {str(target): round(weight, 9) for target, weight in found.items()}
    {'do()': 0.8, 'do(V=0)': 0.2}
    """
    check_network(network)
    check_max_size(max_size)
    if isinstance(distribution, Mixture):
        codes, weights = mixture_codes(network, distribution)
        scope = scope_that_fits(network, codes, max_size=max_size, kinds=("all", "ancestors"))
        scope = scope or possible_scopes(network, codes, max_size)[-1]
        _check_fits(network, scope)
        cells = mixture_cells(network, scope, on_scope(scope, codes), weights)
    else:
        scope = Scope(network.order, network.order, "all", max_size)
        _check_fits(network, scope)
        cells = _checked_table(network, distribution)
    system = build_system(network, scope, cells)
    weights = polish(system, _solved(system, max_size))
    if not is_solution(system, weights):
        raise InputError(
            f"the solution is off by {residual(system, weights):.1e} in some probability "
            f"({REPRODUCED:.0e} is promised); the distribution has cells too improbable for "
            "double precision"
        )
    return named_mixture(network, system, weights)


def _solved(system: TargetSystem, max_size: int | None) -> Floats:
    try:
        return minimise(system, system.sizes.astype(np.float64)).weights
    except InfeasibleError:
        raise InputError(
            f"no mixture of targets of at most {max_size} variables has this distribution"
        ) from None


def check_max_size(max_size: object) -> None:
    """Refuse a largest size that is none.

    Raises
    ------
    InputError
    """
    if max_size is None:
        return
    if isinstance(max_size, bool) or not isinstance(max_size, int | np.integer) or max_size < 1:
        raise InputError(f"max_size is {max_size!r}; give a positive integer or None")


def _check_fits(network: Network, scope: Scope) -> None:
    entries = scope.n_nonzeros(network)
    if scope.kind == "set" or entries > MAX_PROGRAM:
        raise InputError(
            f"the linear program would have {entries:.3g} entries for {len(scope.settable)} "
            f"variables, more than {MAX_PROGRAM:,}; limit max_size, or ask verdict(), which "
            "needs no enumeration"
        )


def _checked_table(network: Network, distribution: ArrayLike) -> Floats:
    shape = tuple(int(k) for k in network.cardinalities)
    try:
        table = np.asarray(distribution, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("the distribution is neither a Mixture nor an array of numbers") from None
    if table.shape not in {shape, (int(np.prod(shape)),)}:
        raise InputError(
            f"the distribution has shape {table.shape}; the network needs {shape}, one axis for "
            "each variable"
        )
    if not np.isfinite(table).all() or table.min() < 0:
        raise InputError("the distribution has an entry that is not a probability")
    if abs(table.sum() - 1) > _SUM_TOLERANCE:
        raise InputError(f"the distribution sums to {table.sum():.9g}, not 1")
    return table.reshape(shape).transpose(network.order).ravel()
