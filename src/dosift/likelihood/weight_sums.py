"""Sums over rows that weights are solved by, and other targets compared by.

Work for :meth:`dosift.likelihood.evidence.Evidence.sum`: of fixed size, batch by batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.weights import information_of
from dosift.model.arrays import Floats, Ints, product_of_tall

#: Entries of columns that are compared at a time.
_ENTRIES = 2**22
#: Others whose columns are held at a time.
_AT_A_TIME = 128


@dataclass(frozen=True)
class WeightSums:
    """Sums over the rows of each batch at given weights.

    Attributes
    ----------
    gradient : ndarray, shape (n_batches, n_targets)
        ``sum_r c_r L_rt / f_r`` over the rows that the mixture can produce.
    information : ndarray, shape (n_batches, n_targets, n_targets)
        ``sum_r c_r L_rs L_rt / f_r^2`` over these.
    log_density : ndarray, shape (n_batches,)
        ``sum_r c_r log f_r`` over these, relative to the reference measure, in nats.
    n_possible, n_impossible : ndarray, shape (n_batches,)
        Rows that the mixture can produce, and others.
    """

    gradient: Floats
    information: Floats
    log_density: Floats
    n_possible: Floats
    n_impossible: Floats

    @property
    def gap(self) -> Floats:
        """No other weights gain more than this, in nats a row; shape (n_batches,)."""
        largest = self.gradient.max(axis=1) / np.maximum(self.n_possible, 1e-300)
        return np.asarray(np.maximum(largest - 1.0, 0.0))

    def log_likelihood(self, reference: float) -> float:
        """Log-likelihood of all rows (nats); minus infinity if the mixture cannot produce some.

        Parameters
        ----------
        reference : float
            That of the measure that densities are relative to.
        """
        if self.n_impossible.any():
            return -np.inf
        return float(self.log_density.sum()) + reference

    def some(self, targets: NDArray[np.int64]) -> WeightSums:
        """Return the sums of some targets."""
        information = self.information[:, targets][:, :, targets]
        return replace(self, gradient=self.gradient[:, targets], information=information)


def mixture_of(rows: RowLikelihoods, columns: Floats, weights: Floats) -> Floats:
    """Density of each row under the weights of its batch.

    Parameters
    ----------
    rows : RowLikelihoods
    columns : ndarray, shape (n_rows, n_components or more)
    weights : ndarray, shape (n_batches, n_components)

    Returns
    -------
    ndarray, shape (n_rows,)
    """
    m = weights.shape[1]
    if rows.block.batch is None:
        return np.asarray(columns[:, :m] @ weights[0])
    out = np.empty(len(columns))
    for b, at in rows.groups:
        out[at] = columns[at, :m] @ weights[b]
    return out


@dataclass(frozen=True)
class SumWeights:
    """Work that computes :class:`WeightSums`.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, maybe followed by others.
    weights : ndarray, shape (n_batches, n_components)
    """

    targets: Ints
    weights: Floats

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Sum over some rows, in the order of the fields of :class:`WeightSums`."""
        n_batches, n_targets = len(self.weights), len(self.targets)
        gradient = np.zeros((n_batches, n_targets))
        information = np.zeros((n_batches, n_targets, n_targets))
        numbers = np.zeros((3, n_batches))
        columns = rows.columns(self.targets)
        every = mixture_of(rows, columns, self.weights)
        log_scale = rows.log_scale
        for b, at in rows.groups:
            some, mixture, counts = columns[at], every[at], rows.block.counts[at]
            scale = log_scale[at] if isinstance(log_scale, np.ndarray) else log_scale
            possible = mixture > 0
            if not possible.all():
                numbers[2, b] = counts[~possible].sum()
                some, mixture, counts = some[possible], mixture[possible], counts[possible]
                scale = scale[possible] if isinstance(scale, np.ndarray) else scale
            gradient[b] = (counts / mixture) @ some
            information[b] = information_of(some, counts, mixture)
            numbers[:2, b] = counts @ (np.log(mixture) + scale), counts.sum()
        return gradient, information, numbers


@dataclass(frozen=True)
class Comparison:
    """Sums that compare other targets with the components of a mixture, for each batch.

    Attributes
    ----------
    own : ndarray, shape (n_batches, n_components)
        Sums of the components' likelihoods over the mixture's.
    own_information : ndarray, shape (n_batches, n_components, n_components)
    gradient, curvature : ndarray, shape (n_batches, n_others)
        Sums of the others' likelihoods over the mixture's, and of the squares.
    cross : ndarray, shape (n_batches, n_others, n_components)
        Information between others and components.
    """

    own: Floats
    own_information: Floats
    gradient: Floats
    curvature: Floats
    cross: Floats

    def some(self, others: NDArray[np.int64]) -> Comparison:
        """Return the comparison of some of the others."""
        return replace(
            self,
            gradient=self.gradient[:, others],
            curvature=self.curvature[:, others],
            cross=self.cross[:, others],
        )


@dataclass(frozen=True)
class Compare:
    """Work that computes a :class:`Comparison`."""

    targets: Ints
    weights: Floats
    others: Ints

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Sum over some rows, in the order of the fields of :class:`Comparison`."""
        n_batches, m = self.weights.shape
        own, information = np.zeros((n_batches, m)), np.zeros((n_batches, m, m))
        gradient = np.zeros((n_batches, len(self.others)))
        curvature, cross = np.zeros_like(gradient), np.zeros((*gradient.shape, m))
        columns = rows.columns(self.targets)
        mixture = mixture_of(rows, columns, self.weights)
        ratio = np.divide(1.0, mixture, out=np.zeros_like(mixture), where=mixture > 0)
        relative = columns * ratio[:, None]
        weighted = relative * rows.block.counts[:, None]
        for b, at in rows.groups:
            own[b] = weighted[at].sum(axis=0)
            information[b] = product_of_tall(weighted[at], relative[at])
        if rows.block.batch is None:
            # Most targets can produce few of the rows.
            beside = np.ascontiguousarray(weighted)
            step = max(_ENTRIES // max(len(rows.block), 1), 1)
            for start in range(0, len(self.others), step):
                part = slice(start, start + step)
                some = _by_target(rows, self.others[part], ratio)
                gradient[0, part] = some @ rows.block.counts
                cross[0, part] = some @ beside
                some.data **= 2
                curvature[0, part] = some @ rows.block.counts
            return own, information, gradient, curvature, cross
        for start in range(0, len(self.others), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            added = rows.columns(self.others[part]) * ratio[:, None]
            for b, at in rows.groups:
                gradient[b, part] = rows.block.counts[at] @ added[at]
                curvature[b, part] = rows.block.counts[at] @ np.square(added[at])
                cross[b, part] = added[at].T @ weighted[at]
        return own, information, gradient, curvature, cross


def _by_target(rows: RowLikelihoods, targets: Ints, ratio: Floats) -> csr_array:
    """Likelihoods of targets over those of the mixture, one line for each target."""
    n_rows = len(rows.block)
    found = [rows.column(target) for target in np.asarray(targets, dtype=np.int16)]
    places = [np.arange(n_rows) if isinstance(at, slice) else at for at, _ in found]
    ends = np.cumsum([0, *(at.size for at in places)])
    at = np.concatenate(places)
    values = np.concatenate([values for _, values in found])
    values *= ratio[at]
    return csr_array((values, at, ends), shape=(len(found), n_rows))
