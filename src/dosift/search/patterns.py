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
from dosift.model.known_rows import ALONE, ANY, LabelledRows, matches
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.constraints import Constraints

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]


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
        Of the targets that each matches, one is never dropped.
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
            listed = np.concatenate([self.candidates, self.required])
            may &= (listed != ALONE).any(axis=0)
        for i in np.flatnonzero((self.excluded != ALONE).sum(axis=1) == 1):
            may &= self.excluded[i] != ANY
        libraries = [
            library
            if may[i] or not isinstance(library, Changes)
            else replace(library, changes=(), kinds=frozenset())
            for i, library in enumerate(network.libraries)
        ]
        return replace(network, libraries=tuple(libraries))

    def constraints(
        self,
        network: MechanismNetwork,
        targets: Ints | None = None,
        weights: Floats | None = None,
    ) -> Constraints:
        """Return what the patterns say under the libraries of a network.

        Parameters
        ----------
        network : MechanismNetwork
        targets : ndarray of int, shape (n_targets, n_variables), optional
            A mixture: what is required is the target among these that rows with that label speak
            for, or the heaviest that matches.
        weights : ndarray, shape (n_targets,), optional
            Theirs.

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
            candidates = self._matching(np.concatenate([self.candidates, self.required]), sizes)
            if not len(candidates) + len(self.required) + len(self.known):
                raise InputError(
                    "the rows show no change of the variables that the candidates touch, so that "
                    "nothing could explain them; list do() among the candidates, or more variables"
                )
        return Constraints(
            allowed=allowed,
            excluded=excluded[~single],
            forbidden=self._matching(self.forbidden, sizes),
            required=self._required(network, targets, weights),
            known=self.known,
            known_weights=self.known_weights,
            candidates=candidates,
        )

    def _required(
        self, network: MechanismNetwork, targets: Ints | None, weights: Floats | None
    ) -> NDArray[np.int16]:
        """Choose a target for each required pattern; none where there is no change to make it."""
        found = [
            target
            for pattern in self.required
            if (target := _target_for(pattern, network, targets, weights)) is not None
        ]
        return np.array(found, dtype=np.int16).reshape(-1, self.changeable.size)

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


def _target_for(
    pattern: Ints, network: MechanismNetwork, targets: Ints | None, weights: Floats | None
) -> Ints | None:
    """Choose the target that stands for a required pattern."""
    is_open = np.flatnonzero(pattern == ANY)
    if not is_open.size:
        return pattern
    if (network.n_changes[is_open] == 0).any():
        return None
    rows = next((one for one in network.labelled if (one.entries == pattern).all()), None)
    if targets is not None and weights is not None:
        own = np.flatnonzero(matches(pattern[None], targets)[0])
        if own.size and rows is None:
            return np.asarray(targets[own[int(np.argmax(weights[own]))]])
        if own.size and rows is not None:
            return _likeliest(rows, network, targets[own])
    target = pattern.copy()
    for i in is_open:
        mechanism, library = network.mechanisms[i], network.libraries[i]
        # The first change of a library is the one that the pool asks for most.
        is_told = rows is not None and rows.changes(int(i), library)
        target[i] = rows.likeliest(mechanism, library) if rows is not None and is_told else 0
    return target


def _likeliest(rows: LabelledRows, network: MechanismNetwork, targets: Ints) -> Ints:
    """Find the target under which all rows of a label are likeliest."""
    totals = np.zeros(len(targets))
    for i, library in enumerate(network.libraries):
        if rows.changes(i, library):
            totals += rows.totals(network.mechanisms[i], library)[targets[:, i]]
    return np.asarray(targets[int(totals.argmax())])
