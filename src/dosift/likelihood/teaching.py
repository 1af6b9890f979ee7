"""What rows teach: expected counts of families, and statistics of mechanisms and changes.

The E step of EM as sums over rows, so that rows that are not held teach as those that are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.rates import family_counts
from dosift.likelihood.weight_sums import mixture_of
from dosift.model.arrays import Floats, Ints
from dosift.model.known_rows import refitted
from dosift.model.mechanism_network import (
    MechanismNetwork,
    as_network,
    library_by_statistics,
    used_changes,
)
from dosift.model.network import Network
from dosift.model.other import is_other

#: Takes the likelihoods of some rows, and returns sums over them.
Work = Callable[[RowLikelihoods], tuple[Floats, ...]]


def shares_of_rows(rows: RowLikelihoods, targets: Ints, weights: Floats) -> Floats:
    """Weight of each row, times the posterior of its targets.

    Parameters
    ----------
    rows : RowLikelihoods
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_batches, n_components)

    Returns
    -------
    ndarray, shape (n_rows, n_components)
    """
    own = weights[0] if rows.block.batch is None else weights[rows.block.batch]
    share = _over_density(rows, targets, weights)
    return np.asarray(rows.columns(targets) * own * share[:, None])


def _over_density(
    rows: RowLikelihoods, targets: Ints, weights: Floats, labelled: bool = True
) -> Floats:
    """Weight of each row over its density; with or without labelled ones, which have taught."""
    mixture = mixture_of(rows, rows.columns(targets), weights)
    out = np.divide(rows.block.counts, mixture, out=np.zeros_like(mixture), where=mixture > 0)
    return out if labelled or rows.block.label is None else np.where(rows.block.label < 0, out, 0.0)


def completed_rows(
    rows: RowLikelihoods, targets: Ints, weights: Floats, is_whole: bool
) -> tuple[NDArray[Any], Floats]:
    """Rows, or their completions, and the posterior of targets in each.

    Parameters
    ----------
    rows : RowLikelihoods
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_batches, n_components)
    is_whole : bool
        Whether all rows, here and elsewhere, are complete, and each is a unit.

    Returns
    -------
    values : ndarray, shape (n_completions, n_variables)
    posterior : ndarray, shape (n_completions, n_components)
        Summing to the row's weight over its completions and all targets; that of a row is its
        unit's.
    """
    if is_whole:
        return rows.block.values, shares_of_rows(rows, targets, weights)
    found, block = rows.expanded(targets), rows.block
    share = _over_density(rows, targets, weights, labelled=False)
    own = weights if block.batch is None else found.of_rows(weights[block.batch])
    return found.codes, np.asarray(found.columns * own * found.of_rows(share)[:, None])


@dataclass(frozen=True)
class TeachFamilies:
    """Work that counts families, each row as far as it was left alone."""

    targets: Ints
    weights: Floats
    learners: tuple[int, ...]

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Count over some rows: an array for each learner, of the shape of its table."""
        share = _over_density(rows, self.targets, self.weights, labelled=False)
        found = rows.expanded(self.targets)
        # A row counts as much as the posterior of the targets that leave the variable alone.
        left = (self.targets[:, self.learners] < 0).astype(np.float64)
        batch = rows.block.batch
        if batch is None:
            alone = found.columns @ (self.weights[0][:, None] * left)
        else:
            alone = (found.columns * found.of_rows(self.weights[batch])) @ left
        alone *= found.of_rows(share)[:, None]
        if found.row is None:
            return tuple(rows.family(i, alone[:, k]) for k, i in enumerate(self.learners))
        return tuple(
            family_counts(rows.network, i, found.codes, alone[:, k])
            for k, i in enumerate(self.learners)
        )


@dataclass(frozen=True)
class _Statistics:
    """Work that sums statistics of mechanisms, and of what changes make of them.

    Last come those of rows from elsewhere, where some are.
    """

    targets: Ints
    weights: Floats
    #: As for :func:`completed_rows`.
    is_whole: bool
    #: Variables whose mechanisms are asked for, by rows that leave them alone.
    alone: tuple[int, ...]
    #: Variables and positions of changes that are asked for, by rows under them.
    changed: tuple[tuple[int, int], ...]
    #: Whose mechanisms and changes these are; by default those by which rows are judged.
    acting: MechanismNetwork | None = None

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        network = rows.network if self.acting is None else self.acting
        assert isinstance(network, MechanismNetwork)
        values, posterior = completed_rows(rows, self.targets, self.weights, self.is_whole)
        out = []
        for i in self.alone:
            left = posterior @ (self.targets[:, i] < 0)
            out.append(network.mechanisms[i].statistics(values, left))
        for i, position in self.changed:
            applied = network.libraries[i][position].applied(network.mechanisms[i])
            under = posterior @ (self.targets[:, i] == position)
            out.append(applied.statistics(values, under))
        elsewhere = is_other(self.targets)
        if isinstance(network, MechanismNetwork) and network.other is not None and elsewhere.any():
            out.append(network.other.statistics(values, posterior[:, elsewhere].sum(axis=1)))
        return tuple(out)


@dataclass(frozen=True)
class BlockTeacher:
    """Teaches mechanisms and changes by passes over rows that are not held.

    Attributes
    ----------
    sum : callable
        :meth:`dosift.likelihood.evidence.Evidence.sum` of the rows.
    is_whole : bool
        Whether all rows are complete, and each is a unit.
    """

    sum: Callable[[Network, Ints, Work], tuple[Floats, ...]]
    is_whole: bool
    #: Statistics of mechanisms that no target touches, which no fit changes.
    _remembered: dict[tuple[object, ...], Floats] = field(default_factory=dict, repr=False)

    def taught(
        self, network: MechanismNetwork, targets: Ints, weights: Floats, learners: Iterable[int]
    ) -> MechanismNetwork:
        """Take the step of EM that :meth:`MechanismNetwork.taught` takes with rows in memory.

        Parameters
        ----------
        network : MechanismNetwork
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_batches, n_targets)
        learners : iterable of int

        Returns
        -------
        MechanismNetwork

        Notes
        -----
        Changes are fitted under the mechanisms just taught. Where statistics do not depend on
        parameters, those under the old ones are the same; other changes take a second pass.
        """
        learners = list(learners)
        teaches = network.control is not None
        kept = [i for i in learners if teaches and not self._knows(network, i, targets)]
        changed = [
            (i, position)
            for i in learners
            for position in used_changes(targets[:, i])
            if network.libraries[i][position].n_free
            or (teaches and network.libraries[i][position].keeps_mechanism)
        ]
        alone, under, other = self._summed(network, network, targets, weights, kept, changed)
        taught = network
        if teaches:
            taught = self._with_mechanisms(network, targets, learners, alone, under)
        again = [
            (i, position)
            for i, position in changed
            if network.libraries[i][position].n_free and not _is_fixed(network, i, position)
        ]
        if again:
            under |= self._summed(network, taught, targets, weights, [], again)[1]
        libraries = list(network.libraries)
        for i in learners:
            own = {p: part for (j, p), part in under.items() if j == i and libraries[i][p].n_free}
            libraries[i] = library_by_statistics(
                taught.mechanisms[i], libraries[i], own, network.labelled
            )
        if network.other is not None and other is not None:
            taught = replace(taught, other=network.other.taught(other))
        return replace(taught, libraries=tuple(libraries))

    def _summed(
        self,
        network: MechanismNetwork,
        acting: MechanismNetwork,
        targets: Ints,
        weights: Floats,
        alone: list[int],
        changed: list[tuple[int, int]],
    ) -> tuple[dict[int, Floats], dict[tuple[int, int], Floats], Floats | None]:
        has_other = network.other is not None and bool(is_other(targets).any())
        if not alone and not changed and not has_other:
            return {}, {}, None
        own = None if acting is network else acting
        work = _Statistics(targets, weights, self.is_whole, tuple(alone), tuple(changed), own)
        found = self.sum(as_network(network), targets, work)
        end = len(alone) + len(changed)
        of_changes = dict(zip(changed, found[len(alone) : end], strict=True))
        other = found[end] if has_other else None
        return dict(zip(alone, found, strict=False)), of_changes, other

    def _with_mechanisms(
        self,
        network: MechanismNetwork,
        targets: Ints,
        learners: list[int],
        alone: dict[int, Floats],
        under: dict[tuple[int, int], Floats],
    ) -> MechanismNetwork:
        control, mechanisms = network.control, list(network.mechanisms)
        assert control is not None
        for i in learners:
            old, library = mechanisms[i], network.libraries[i]
            statistics = control.statistics(old)
            for rows in network.labelled:
                statistics = statistics + rows.statistics(old, library)
            if i in alone and self._is_steady(network, i, targets):
                self._remembered[_key(network, i)] = alone[i]
            own = alone[i] if i in alone else self._remembered[_key(network, i)]
            statistics = statistics + own
            for position in used_changes(targets[:, i]):
                if library[position].keeps_mechanism:
                    statistics = statistics + under[i, position]
            mechanisms[i] = refitted(old, statistics)
        return replace(network, mechanisms=tuple(mechanisms))

    def _is_steady(self, network: MechanismNetwork, i: int, targets: Ints) -> bool:
        """Whether all rows teach a mechanism, whatever the weights, by the same statistics."""
        is_fixed = getattr(network.mechanisms[i], "has_fixed_statistics", False)
        return self.is_whole and is_fixed and not network.is_touched(i, targets)

    def _knows(self, network: MechanismNetwork, i: int, targets: Ints) -> bool:
        return self._is_steady(network, i, targets) and _key(network, i) in self._remembered


def _key(network: MechanismNetwork, i: int) -> tuple[object, ...]:
    """Return what the statistics of a mechanism depend on, where its parameters do not matter."""
    mechanism = network.mechanisms[i]
    covariance = getattr(mechanism, "covariance", None)
    error = b"" if covariance is None else covariance.tobytes()
    return i, mechanism.parents, getattr(mechanism, "features", ()), error


def _is_fixed(network: MechanismNetwork, i: int, position: int) -> bool:
    applied = network.libraries[i][position].applied(network.mechanisms[i])
    return bool(getattr(applied, "has_fixed_statistics", False))
