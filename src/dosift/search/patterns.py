"""What is known about targets whose changes are found only as rows are looked at.

For a number nobody knows beforehand by what it will be changed, but maybe that it can be, or that
two are not changed together. So a *pattern* says of each variable that it is left alone, set to a
state, or changed in any way. Under a library of changes patterns become constraints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.known_rows import ALONE, ANY, LabelledRows, matches
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.constraints import NOTHING_LEFT, Constraints, left_to_exclude


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
        Each matches one target, and that has a known weight: no other target that it matches
        occurs.
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
    def is_whole(self) -> bool:
        """Whether all weights are known, of targets whose changes are known, too."""
        is_open = bool((self.known == ANY).any())
        return not is_open and 1.0 - float(self.known_weights.sum()) <= NOTHING_LEFT

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
            listed = np.concatenate([self.candidates, self.required, self.known])
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
        excluded = left_to_exclude(allowed, self._matching(self.excluded, sizes), sizes)
        required, known, forbidden = self._special(network, targets, weights)
        candidates = None
        if self.candidates is not None:
            listed = [self.candidates, self.required, self.known]
            candidates = self._matching(np.concatenate(listed), sizes)
            if not len(candidates) + len(required) + len(known):
                raise InputError(
                    "the rows show no change of the variables that the candidates touch, so that "
                    "nothing could explain them; list do() among the candidates, or more variables"
                )
        return Constraints(
            allowed=allowed,
            excluded=excluded,
            forbidden=np.concatenate([self._matching(self.forbidden, sizes), forbidden]),
            required=required,
            known=self._listed(target for target, _ in known),
            known_weights=np.array([weight for _, weight in known], dtype=np.float64),
            candidates=candidates,
        )

    def unseen(self, targets: Ints) -> Ints:
        """Return the patterns that are required, or of known weight, and match no target.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray of int, shape (n_patterns, n_variables)
        """
        special = np.concatenate([self.required, self.known[self.known_weights > 0]])
        return np.asarray(special[~matches(special, targets).any(axis=1)])

    def _special(
        self, network: MechanismNetwork, targets: Ints | None, weights: Floats | None
    ) -> tuple[NDArray[np.int16], list[tuple[Ints, float]], NDArray[np.int16]]:
        """Choose the targets that stand for what is required and of known weight.

        Where there is no change to make one, it is left out. Before a first mixture says by which
        changes, nothing is known of a weight but that it is there. Last come other targets that
        have the place of those of known weight: these are forbidden.
        """
        required = [_target_for(pattern, network, targets, weights) for pattern in self.required]
        known: list[tuple[Ints, float]] = []
        forbidden = []
        for pattern, weight in zip(self.known, self.known_weights.tolist(), strict=True):
            one = _target_for(pattern, network, targets, weights)
            is_open = bool((pattern == ANY).any())
            if weight == 0 and is_open:
                forbidden.append(self._matching(pattern[None], network.n_changes))
            elif is_open and targets is None:
                required.append(one)
            elif one is not None:
                known.append((one, weight))
                others = self._matching(pattern[None], network.n_changes)
                forbidden.append(others[(others != one).any(axis=1)])
        found = [one for one in required if one is not None]
        return self._listed(found), known, self._listed(t for own in forbidden for t in own)

    def _listed(self, targets: Iterable[Ints]) -> NDArray[np.int16]:
        return np.array(list(targets), dtype=np.int16).reshape(-1, self.changeable.size)

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
