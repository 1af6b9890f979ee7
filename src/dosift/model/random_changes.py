"""Random interventions on networks of any mechanisms."""

from __future__ import annotations

import numpy as np

from dosift.errors import InputError
from dosift.model.altered import Altered
from dosift.model.categorical import States
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.covariate import CovariateMechanism
from dosift.model.described import in_units, scale_of
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import Mixture
from dosift.model.target import Entry, Target

#: How far away a number is set or moved, and the deviation it is set with: in deviations of
#: undisturbed rows.
NEAREST, FARTHEST, SET_SD = 1.0, 3.0, 0.3
#: By how much a count's mean is multiplied or divided.
LEAST_FOLD, MOST_FOLD = 2.0, 4.0
#: How often variables that were drawn before are drawn again before they are given up.
_REDRAWS = 3


def random_changes(
    network: MechanismNetwork,
    n_targets: int,
    max_size: int | None,
    include_empty: bool,
    concentration: float,
    rng: np.random.Generator,
) -> Mixture:
    """Draw a random mixture of interventions on a network of any mechanisms.

    Each target has a size uniform on 1..`max_size` and variables of its own; which were drawn
    before are redrawn up to three times and then dropped. A measurement is set (to a normal
    distribution of .3 standard deviations, whatever its parents are) or shifted, either with
    probability one half: by 1 to 3 standard deviations of undisturbed rows, up or down. The mean of
    a count is multiplied or divided by 2 to 4; a state is set.

    Parameters
    ----------
    network : MechanismNetwork
        With names; its scales are those of undisturbed rows, as in every network that was read or
        learned.
    n_targets : int
    max_size : int, optional
        By default the number of variables.
    include_empty : bool
    concentration : float
        Of the weights' Dirichlet distribution.
    rng : numpy.random.Generator

    Returns
    -------
    Mixture

    Raises
    ------
    InputError
        If targets cannot have so many variables.

    Examples
    --------
    >>> from dosift.model.gaussian_network import GaussianNetwork
    >>> from dosift.model.known_mechanisms import known_mechanisms
    >>> network = known_mechanisms(
    ...     GaussianNetwork(("x", "y"), ((), (0,)), (10.0, 1.0), ((), (0.5,)), (2.0, 1.0))
    ... )
    >>> found = random_changes(network, 2, 1, True, 2.0, np.random.default_rng(0))
    >>> [str(target) for target in found.targets]
    ['do()', 'shift(x-5.25)', 'set(y~8.18±0.42)']
    """
    variables = np.array([i for i in range(network.n_variables) if _may_change(network, i)])
    size = len(variables) if max_size is None else max_size
    if n_targets and not 1 <= size <= len(variables):
        raise InputError(
            f"max_size is {size}, but targets may change {len(variables)} variables of the network"
        )
    drawn: dict[frozenset[int], Target] = {frozenset(): Target({})} if include_empty else {}
    for _ in range(n_targets):
        for _ in range(1 + _REDRAWS):
            chosen = rng.choice(variables, rng.integers(1, size + 1), replace=False)
            key = frozenset(chosen.tolist())
            if key not in drawn:
                drawn[key] = Target(
                    {network.names[i]: _entry(network, i, rng) for i in sorted(key)}
                )
                break
    weights = rng.dirichlet(np.full(len(drawn), concentration))
    return Mixture(dict(zip(drawn.values(), map(float, weights), strict=True)))


def _may_change(network: MechanismNetwork, i: int) -> bool:
    return not isinstance(network.mechanisms[i], CovariateMechanism)


def _entry(network: MechanismNetwork, i: int, rng: np.random.Generator) -> Entry:
    """Draw what is done to a variable."""
    library, mechanism = network.libraries[i], network.mechanisms[i]
    if isinstance(library, States):
        return library.states[int(rng.integers(len(library.states)))]
    if isinstance(mechanism, NegativeBinomialMechanism):
        fold = float(rng.uniform(LEAST_FOLD, MOST_FOLD))
        return Altered("fold", (fold if rng.random() < 0.5 else 1.0 / fold,))
    if not isinstance(mechanism, LinearMechanism):
        raise ValueError(f"a change of a {type(mechanism).__name__} is not known")
    away = float(rng.uniform(NEAREST, FARTHEST) * rng.choice([-1, 1]))
    change = SetNormal(away, SET_SD) if rng.random() < 0.5 else Shift(away)
    found = in_units(change, scale_of(network, i))
    assert isinstance(found, Altered)
    return found
