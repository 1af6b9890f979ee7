"""Exclusion: every variable has a state that no target of the mixture sets it to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.model import Mixture
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network


@dataclass(frozen=True)
class VariableExclusion:
    """Which states of one variable targets set it to.

    Attributes
    ----------
    variable : str
    set_states : tuple of str
        States that some target sets it to.
    excluded : tuple of str
        The other states.
    """

    variable: str
    set_states: tuple[str, ...]
    excluded: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether some state is excluded."""
        return bool(self.excluded)


@dataclass(frozen=True)
class Exclusion:
    """Exclusion of a mixture, variable by variable.

    Attributes
    ----------
    variables : tuple of VariableExclusion
        The variables that some target sets, in the network's order. All states of all other
        variables are excluded.
    n_variables : int
        Variables of the network.
    """

    variables: tuple[VariableExclusion, ...]
    n_variables: int

    @property
    def violated(self) -> tuple[str, ...]:
        """Variables that targets set to every one of their states."""
        return tuple(v.variable for v in self.variables if not v.holds)

    @property
    def holds(self) -> bool:
        """Whether every variable has an excluded state."""
        return not self.violated

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has.

        Returns
        -------
        dict
            ``holds``, ``violated`` (names), ``variables`` (``variable``, ``set_states``,
            ``excluded`` of the variables that are set), ``n_never_set``.
        """
        return {
            "holds": self.holds,
            "violated": list(self.violated),
            "variables": [
                {
                    "variable": v.variable,
                    "set_states": list(v.set_states),
                    "excluded": list(v.excluded),
                }
                for v in self.variables
            ],
            "n_never_set": self.n_variables - len(self.variables),
        }


def set_states(network: Network, codes: Ints) -> dict[int, Bools]:
    """States that targets set each variable to.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_targets, n_variables)

    Returns
    -------
    dict of int to ndarray of bool, shape (n_states,)
        For the variables that are set at all, ascending.
    """
    out: dict[int, Bools] = {}
    for i in np.flatnonzero((codes >= 0).any(axis=0)):
        states = np.zeros(int(network.cardinalities[i]), dtype=bool)
        states[codes[codes[:, i] >= 0, i]] = True
        out[int(i)] = states
    return out


def exclusion(network: Network, mixture: Mixture) -> Exclusion:
    """Find which states a mixture excludes.

    Parameters
    ----------
    network : Network
    mixture : Mixture
        Targets of weight zero are left out of account.

    Returns
    -------
    Exclusion

    Raises
    ------
    InputError
        If the mixture names what the network does not have.

    Notes
    -----
    Exclusion is the assumption under which Kumar and Sinha (UAI 2021) prove that a mixture is
    unique.

    Examples
    --------
    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> exclusion(coin, Mixture({do(V=0): 0.2, do(): 0.8})).variables[0].excluded
    ('1',)
    >>> exclusion(coin, Mixture({do(V=0): 0.6, do(V=1): 0.4})).violated
    ('V',)
    """
    codes, weights = mixture_codes(network, mixture)
    found = []
    for i, is_set in set_states(network, codes[weights > 0]).items():
        states = network.variables[i].states
        found.append(
            VariableExclusion(
                network.names[i],
                tuple(states[a] for a in np.flatnonzero(is_set)),
                tuple(states[a] for a in np.flatnonzero(~is_set)),
            )
        )
    return Exclusion(tuple(found), network.n_variables)


def mixture_codes(network: Network, mixture: Mixture) -> tuple[NDArray[np.int64], Floats]:
    """Targets of positive weight as state positions, and their weights.

    Returns
    -------
    targets : ndarray of int64, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Raises
    ------
    InputError
        If an argument is of the wrong kind, or the mixture names what the network does not have.
    """
    if not isinstance(network, Network) or not isinstance(mixture, Mixture):
        raise InputError(
            "a Network and a Mixture are needed, not "
            f"{type(network).__name__} and {type(mixture).__name__}"
        )
    codes, weights = mixture.to_codes(network)
    return codes[weights > 0], weights[weights > 0]
