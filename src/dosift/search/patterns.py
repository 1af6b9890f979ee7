"""What is known about targets whose changes are found only as rows are looked at.

For a number nobody knows beforehand by what it will be changed, but maybe that it can be, or that
two are not changed together. So a *pattern* says of each variable that it is left alone, set to a
state, or changed in any way. Under a library of changes patterns become constraints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.constraints import Constraints

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]

#: Entries of patterns: left alone, and changed in any way; others are positions of states.
ALONE, ANY = -1, -2


@dataclass(frozen=True)
class Patterns:
    """What is known about targets, as patterns.

    Attributes
    ----------
    changeable : ndarray of bool, shape (n_variables,)
        Whether a target may touch each variable.
    excluded : ndarray of int, shape (n_excluded, n_variables)
        No target contains what one of these matches.
    forbidden : ndarray of int, shape (n_forbidden, n_variables)
        No target is matched by one of these.
    required : ndarray of int, shape (n_required, n_variables)
        Targets that are never dropped, of states alone.
    known : ndarray of int, shape (n_known, n_variables)
        Targets of known weight, of states alone.
    known_weights : ndarray, shape (n_known,)
    candidates : ndarray of int, shape (n_candidates, n_variables), or None
        If given, every other target is matched by one of these.
    """

    changeable: Bools
    excluded: Ints
    forbidden: Ints
    required: Ints
    known: Ints
    known_weights: Floats
    candidates: Ints | None = None

    @property
    def rest(self) -> float:
        """Weight that is left for targets whose weight is not known."""
        return 1.0 - float(self.known_weights.sum())

    def restricted(self, network: MechanismNetwork) -> MechanismNetwork:
        """Let only those libraries grow whose variables some target may touch.

        Parameters
        ----------
        network : MechanismNetwork

        Returns
        -------
        MechanismNetwork
        """
        may = self.changeable.copy()
        if self.candidates is not None:
            may &= (self.candidates != ALONE).any(axis=0)
        for i in np.flatnonzero((self.excluded != ALONE).sum(axis=1) == 1):
            may &= self.excluded[i] != ANY
        libraries = [
            library
            if may[i] or not isinstance(library, Changes)
            else replace(library, changes=(), kinds=frozenset())
            for i, library in enumerate(network.libraries)
        ]
        return replace(network, libraries=tuple(libraries))

    def constraints(self, network: MechanismNetwork) -> Constraints:
        """Return what the patterns say under the libraries of a network.

        Parameters
        ----------
        network : MechanismNetwork

        Returns
        -------
        Constraints

        Raises
        ------
        InputError
            If no target is left that may occur.
        """
        sizes = network.n_changes
        allowed = Constraints.none(sizes).allowed
        # Changes that are not there would be asked for their likelihood.
        allowed &= np.arange(allowed.shape[1]) < sizes[:, None]
        allowed[~self.changeable] = False
        excluded = self._matching(self.excluded, sizes)
        single = (excluded >= 0).sum(axis=1) == 1
        for part in excluded[single]:
            j = int(np.argmax(part >= 0))
            allowed[j, part[j]] = False
        candidates = None
        if self.candidates is not None:
            candidates = self._matching(self.candidates, sizes)
            if not len(candidates) + len(self.required) + len(self.known):
                raise InputError(
                    "the rows show no change of the variables that the candidates touch, so that "
                    "nothing could explain them; list do() among the candidates, or more variables"
                )
        return Constraints(
            allowed=allowed,
            excluded=excluded[~single],
            forbidden=self._matching(self.forbidden, sizes),
            required=self.required,
            known=self.known,
            known_weights=self.known_weights,
            candidates=candidates,
        )

    def _matching(self, patterns: Ints, sizes: NDArray[np.int64]) -> NDArray[np.int16]:
        """List the targets that patterns match, each once."""
        found = [target for pattern in patterns for target in _targets(pattern, sizes)]
        listed = np.array(found, dtype=np.int16).reshape(-1, self.changeable.size)
        return np.unique(listed, axis=0) if len(listed) else listed


def _targets(pattern: Ints, sizes: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    choices = [
        range(int(sizes[i])) if entry == ANY else (int(entry),) for i, entry in enumerate(pattern)
    ]
    yield from product(*choices)
