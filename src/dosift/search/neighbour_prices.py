"""Gradients of the likelihood at the targets around a mixture, from one pass over all rows.

The targets that extend a base target by one variable are priced together: with R the likelihood
of the base over that of the mixture, ``D_{t + {i: a}} = sum_r c_r R(r) 1[v_i = a] / p_i / N``, so
that all of them come from one product of two matrices. Rows with missing values, and targets from
a list, are priced by their columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weight_sums import mixture_of
from dosift.model.arrays import Floats, Ints
from dosift.model.known_rows import matches
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.search.constraints import Constraints, is_among, keys_of
from dosift.search.pricing import Priced, merge_priced

#: Targets whose columns are held at a time.
_AT_A_TIME = 64


@dataclass(frozen=True)
class _PriceTargets:
    """Sums gradient and curvature of some targets, each by its column."""

    components: Ints
    weights: Floats
    targets: Ints

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Sum over some rows.

        Returns
        -------
        gradient, curvature : ndarray, shape (n_batches, n_targets)
        """
        ratio, counts = _ratio(rows, self.components, self.weights), rows.block.counts
        gradient = np.zeros((len(self.weights), len(self.targets)))
        curvature = np.zeros_like(gradient)
        for start in range(0, len(self.targets), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            relative = rows.columns(self.targets[part]) * ratio[:, None]
            for b, at in rows.groups:
                gradient[b, part] = counts[at] @ relative[at]
                curvature[b, part] = counts[at] @ np.square(relative[at])
        return gradient, curvature


def _ratio(rows: RowLikelihoods, components: Ints, weights: Floats) -> Floats:
    """One over the density of each row under the mixture, zero where that is zero."""
    mixture = mixture_of(rows, rows.columns(components), weights)
    return np.divide(1.0, mixture, out=np.zeros_like(mixture), where=mixture > 0)


@dataclass(frozen=True)
class _PriceExtensions:
    """Prices base targets and all their extensions by one variable; for complete rows.

    Labelled rows are left out.
    """

    components: Ints
    weights: Floats
    bases: Ints
    variables: tuple[int, ...]
    #: Number of states of each of these.
    cardinalities: tuple[int, ...]

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Sum over some rows.

        Returns
        -------
        gradient, curvature : ndarray, shape (n_batches, n_bases, 1 + number of states)
            Of the base itself first.
        """
        counts = rows.block.counts
        ratio = _ratio(rows, self.components, self.weights)
        if rows.block.label is not None:
            # What a label says is a base, and what extends that is another target.
            ratio = np.where(rows.block.label < 0, ratio, 0.0)
        relative = rows.columns(self.bases) * ratio[:, None]
        weighted = relative * counts[:, None]
        squared = weighted * relative
        factors = np.empty((len(counts), 1 + self._ends[-1]), order="F")
        factors[:, 0] = 1.0
        for i, k, end in zip(self.variables, self.cardinalities, self._ends, strict=True):
            _ratios_of(rows, i, factors[:, 1 + end - k : 1 + end])
        shape = (len(self.weights), len(self.bases), factors.shape[1])
        gradient, curvature = np.zeros(shape), np.zeros(shape)
        for b, at in rows.groups:
            gradient[b] = weighted[at].T @ factors[at]
        np.square(factors, out=factors)
        for b, at in rows.groups:
            curvature[b] = squared[at].T @ factors[at]
        if not rows.plain:
            self._add_rows_with_zeros(gradient, curvature, rows, ratio)
        return gradient, curvature

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Number of states of each variable and those before it."""
        return np.cumsum(self.cardinalities)

    def _add_rows_with_zeros(
        self, gradient: Floats, curvature: Floats, rows: RowLikelihoods, ratio: Floats
    ) -> None:
        """Add rows that an extension alone makes possible, by setting the variable of a zero."""
        factors, counts = rows.factors, rows.block.counts
        # A base covers the zeros of the variables that it sets.
        covers = (self.bases >= 0).astype(np.float64)
        n_open = factors.n_zeros[:, None] - factors.zeros.astype(np.float64) @ covers.T
        covered = factors.without_zeros().columns(self.bases)
        one_short = np.where(n_open == 1, covered, 0.0) * ratio[:, None]
        batch = np.zeros(len(counts), dtype=np.int64)
        for b, at in rows.groups:
            batch[at] = b
        n_batches = len(self.weights)
        for t, target in enumerate(self.bases):
            for i, k, end in zip(self.variables, self.cardinalities, self._ends, strict=True):
                if target[i] >= 0:
                    continue
                some = np.flatnonzero(factors.zeros[:, i] & (one_short[:, t] > 0))
                own = factors.ratios[i]
                for a in range(k):
                    fits = some[own.fits(a, some)]
                    value = one_short[fits, t] * own.ratio(a, fits)
                    for out, terms in ((gradient, value), (curvature, value * value)):
                        summed = np.bincount(batch[fits], counts[fits] * terms, n_batches)
                        out[:, t, 1 + end - k + a] += summed


def _ratios_of(rows: RowLikelihoods, i: int, out: Floats) -> None:
    """Fill in what each change of a variable does to the likelihood of each row."""
    if isinstance(rows.network, Network) and (rows.plain or rows.block.first is None):
        value, states = rows.inverse(i), rows.states(i)
        for a in range(out.shape[1]):
            np.multiply(value, states == a, out=out[:, a])
        return
    own, every = rows.factors.ratios[i], np.arange(len(rows.block))
    for a in range(out.shape[1]):
        out[:, a] = np.where(own.fits(a), own.ratio(a, every), 0.0)


def price_targets(
    evidence: Evidence, network: Network, targets: Ints, weights: Floats, others: Ints
) -> list[Priced]:
    """Price targets of a list, in each batch.

    Parameters
    ----------
    evidence : Evidence
    network : Network
    targets : ndarray of int, shape (n_components, n_variables)
        Of the mixture.
    weights : ndarray, shape (n_batches, n_components)
    others : ndarray of int, shape (n_others, n_variables)

    Returns
    -------
    list of Priced
        For each batch, the others that are no components and that some row can come from.
    """
    others = np.asarray(others, dtype=np.int16)
    work = _PriceTargets(np.asarray(targets), np.atleast_2d(weights), others)
    return _priced(evidence, targets, others, *_summed(evidence, network, work, others))


def _summed(
    evidence: Evidence, network: Network, work: _PriceTargets | _PriceExtensions, beside: Ints
) -> tuple[Floats, ...]:
    """Sum over rows what needs columns of the components and of others beside them."""
    together = np.concatenate([np.asarray(work.components, dtype=np.int16), beside])
    return evidence.sum(network, together, work)


def price_neighbours(
    evidence: Evidence,
    network: Network,
    targets: Ints,
    weights: Floats,
    variables: tuple[int, ...],
    constraints: Constraints,
    max_size: int | None,
    more: Ints | None = None,
) -> list[Priced]:
    """Price the targets that differ from a mixture's in a single variable, in each batch.

    Parameters
    ----------
    evidence : Evidence
    network : Network
    targets : ndarray of int, shape (n_components, n_variables)
        Of the mixture.
    weights : ndarray, shape (n_batches, n_components)
    variables : tuple of int
        Variables that may be set besides those that are.
    constraints : Constraints
        Only targets that it permits are priced.
    max_size : int, optional
        Largest number of variables that a target sets.
    more : ndarray of int, shape (n_more, n_variables), optional
        Targets that are not in the mixture, and whose extensions are priced too.

    Returns
    -------
    list of Priced
        For each batch, over the network's variables; targets that no row can come from are left
        out.
    """
    weights = np.atleast_2d(weights)
    bases = _bases(targets)
    if more is not None:
        known = {base.tobytes() for base in bases}
        bases = np.array(
            [*bases, *(t for t in np.asarray(more, np.int16) if t.tobytes() not in known)]
        )
    sizes = tuple(int(k) for k in network.n_changes[list(variables)])
    every, places = _extensions(bases, variables, sizes, max_size)
    some = constraints.permits(every)
    every, places = every[some], places[some]
    if evidence.incomplete:
        return price_targets(evidence, network, targets, weights, every)
    work = _PriceExtensions(np.asarray(targets), weights, bases, variables, sizes)
    at = (slice(None), *places.T)
    gradient, curvature = (part[at] for part in _summed(evidence, network, work, bases))
    labelled = _labelled(evidence, targets, every)
    if labelled.size:
        own = _PriceTargets(np.asarray(targets), weights, every[labelled])
        found = _summed(evidence, network, own, every[labelled])
        gradient[:, labelled], curvature[:, labelled] = found
    return _priced(evidence, targets, every, gradient, curvature)


def _labelled(evidence: Evidence, targets: Ints, others: Ints) -> NDArray[np.int64]:
    """Positions of others that some rows are labelled with and the mixture lacks."""
    if evidence.labels is None:
        return np.empty(0, dtype=np.int64)
    named = matches(evidence.labels, others).any(axis=0)
    return np.flatnonzero(named & ~is_among(others, keys_of(targets)))


def _priced(
    evidence: Evidence, targets: Ints, others: Ints, gradient: Floats, curvature: Floats
) -> list[Priced]:
    own = keys_of(targets)
    out = []
    for b, n_rows in enumerate(evidence.n_rows):
        found = Priced(others, gradient[b] / max(n_rows, 1e-300), curvature[b])
        out.append(merge_priced([found[found.gradient > 0]], own, others.shape[1]))
    return out


def _extensions(
    bases: Ints, variables: Sequence[int], sizes: Sequence[int], max_size: int | None
) -> tuple[Ints, NDArray[np.int64]]:
    """List bases and their extensions, and where the sums of each stand."""
    ends = np.cumsum(sizes)
    every, places = [], []
    for b, base in enumerate(bases):
        every.append(base)
        places.append((b, 0))
        if max_size is not None and (base >= 0).sum() >= max_size:
            continue
        for i, k, end in zip(variables, sizes, ends, strict=True):
            for a in range(k if base[i] < 0 else 0):
                target = base.copy()
                target[i] = a
                every.append(target)
                places.append((b, 1 + int(end) - k + a))
    listed: Ints = np.array(every, dtype=np.int16)
    return listed, np.array(places, dtype=np.int64).reshape(-1, 2)


def _bases(targets: Ints) -> Ints:
    """Find targets whose extensions by one variable are all that differ in one variable."""
    bases: dict[bytes, Ints] = {}
    targets = np.asarray(targets, dtype=np.int16)
    for target in targets[~is_other(targets)]:
        bases.setdefault(target.tobytes(), target)
        for i in np.flatnonzero(target >= 0):
            less = target.copy()
            less[i] = -1
            bases.setdefault(less.tobytes(), less)
    return np.array(list(bases.values()), dtype=np.int16)
