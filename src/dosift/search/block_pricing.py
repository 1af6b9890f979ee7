"""Gradients of the likelihood at the targets around a mixture, from one pass over all rows.

The targets that extend a base target by one variable are priced together: with R the likelihood
of the base over that of the mixture, ``D_{t + {i: a}} = sum_r c_r R(r) 1[v_i = a] / p_i / N``, so
that all of them come from one product of two matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import RowBlocks
from dosift.likelihood.columns import TargetColumns, family_cells, inverse_table
from dosift.likelihood.factors import MechanismFactors
from dosift.model.network import Network
from dosift.search.pricing import Priced, merge_priced

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class _PriceTask:
    """Prices extensions of base targets on a block.

    Attributes
    ----------
    components : TargetColumns
    weights : ndarray, shape (n_components,)
    bases : TargetColumns
    variables : tuple of int
        Variables to extend by.
    """

    components: TargetColumns
    weights: Floats
    bases: TargetColumns
    variables: tuple[int, ...]

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        """Sum gradient and curvature of each base, and of each of its extensions by one state.

        Returns
        -------
        gradient, curvature : ndarray, shape (n_bases, 1 + number of states of the variables)
            Of the base itself first.
        """
        network = self.components.network
        relative, zeros, one_short = self._relative(codes)
        weighted = relative * counts[:, None]
        squared = weighted * relative
        factors = np.empty((len(codes), 1 + self._ends[-1]), order="F")
        factors[:, 0] = 1.0
        for i, end in zip(self.variables, self._ends, strict=True):
            inverse = inverse_table(network.tables[i])
            value = np.take(inverse.ravel(), family_cells(network, i, codes))
            k = inverse.shape[1]
            for a in range(k):
                np.multiply(value, codes[:, i] == a, out=factors[:, 1 + end - k + a])
        gradient = weighted.T @ factors
        curvature = squared.T @ np.square(factors, out=factors)
        if one_short is not None:
            self._add_rows_with_zeros(gradient, curvature, codes, counts, one_short, zeros)
        return gradient, curvature

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """Number of states of each variable and those before it."""
        return np.cumsum(self.components.network.cardinalities[list(self.variables)])

    def _relative(self, codes: Ints) -> tuple[Floats, NDArray[np.bool_], Floats | None]:
        """Likelihoods of the bases over that of the mixture.

        Where structural zeros make rows impossible, also those that a base would have if one more
        variable were set, and which variable that is.
        """
        both = TargetColumns(
            self.components.network, np.concatenate([self.components.targets, self.bases.targets])
        )
        m = self.weights.size
        if both.is_plain:
            columns, _ = both(codes)
            relative = columns[:, m:]
            relative *= (1.0 / (columns[:, :m] @ self.weights))[:, None]
            return relative, np.empty(0, dtype=bool), None
        factors = MechanismFactors(self.components.network, codes)
        mixture = factors.columns(self.components.targets) @ self.weights
        possible = mixture > 0
        ratio = np.divide(1.0, mixture, out=np.zeros_like(mixture), where=possible)
        relative = factors.columns(self.bases.targets) * ratio[:, None]
        # A base covers the zeros of the variables that it sets.
        covers = (self.bases.targets >= 0).astype(np.float64)
        n_open = factors.n_zeros[:, None] - factors.zeros.astype(np.float64) @ covers.T
        covered = factors.without_zeros().columns(self.bases.targets)
        one_short = np.where(n_open == 1, covered, 0.0)
        one_short *= ratio[:, None]
        return relative, factors.zeros, one_short

    def _add_rows_with_zeros(
        self,
        gradient: Floats,
        curvature: Floats,
        codes: Ints,
        counts: Floats,
        one_short: Floats,
        zeros: NDArray[np.bool_],
    ) -> None:
        """Add rows that an extension alone makes possible, by setting the variable of a zero."""
        for b, target in enumerate(self.bases.targets):
            for i, end in zip(self.variables, self._ends, strict=True):
                if target[i] >= 0:
                    continue
                rows = np.flatnonzero(zeros[:, i] & (one_short[:, b] > 0))
                value = one_short[rows, b]
                terms = counts[rows] * value
                k = int(self.components.network.cardinalities[i])
                own = slice(1 + end - k, 1 + end)
                state = codes[rows, i]
                gradient[b, own] += np.bincount(state, weights=terms, minlength=k)
                curvature[b, own] += np.bincount(state, weights=terms * value, minlength=k)


def price_over_blocks(
    blocks: RowBlocks,
    network: Network,
    targets: Ints,
    weights: Floats,
    variables: tuple[int, ...],
    max_size: int | None,
    more: Ints | None = None,
) -> Priced:
    """Price the targets that differ from a mixture's in a single variable.

    Parameters
    ----------
    blocks : RowBlocks
        Without missing values.
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
        Of the mixture.
    weights : ndarray, shape (n_targets,)
    variables : tuple of int
        Variables that may be set besides those that are.
    max_size : int, optional
        Largest number of variables that a target sets.
    more : ndarray of int, shape (n_more, n_variables), optional
        Targets that are not in the mixture, and whose extensions are priced too.

    Returns
    -------
    Priced
        Over the network's variables; targets that no row can come from are left out.
    """
    bases = _bases(targets)
    if more is not None:
        known = {base.tobytes() for base in bases}
        bases = np.array(
            [*bases, *(t for t in np.asarray(more, np.int16) if t.tobytes() not in known)]
        )
    components = TargetColumns(network, targets)
    task = _PriceTask(components, weights, TargetColumns(network, bases), variables)
    gradients, curvatures = blocks.sum(task)
    ends = np.cumsum(network.cardinalities[list(variables)])
    every, places = [], []
    for b, base in enumerate(bases):
        every.append(base)
        places.append((b, 0))
        if max_size is not None and (base >= 0).sum() >= max_size:
            continue
        for i, end in zip(variables, ends, strict=True):
            k = int(network.cardinalities[i])
            for a in range(k if base[i] < 0 else 0):
                target = base.copy()
                target[i] = a
                every.append(target)
                places.append((b, 1 + int(end) - k + a))
    at = tuple(np.array(places).T)
    found = Priced(np.array(every, dtype=np.int16), gradients[at] / blocks.n_rows, curvatures[at])
    found = found[found.gradient > 0]
    own_keys = frozenset(t.tobytes() for t in np.asarray(targets, dtype=np.int16))
    return merge_priced([found], own_keys, targets.shape[1])


def _bases(targets: Ints) -> Ints:
    """Find targets whose extensions by one variable are all that differ in one variable."""
    bases: dict[bytes, Ints] = {}
    for target in np.asarray(targets, dtype=np.int16):
        bases.setdefault(target.tobytes(), target)
        for i in np.flatnonzero(target >= 0):
            less = target.copy()
            less[i] = -1
            bases.setdefault(less.tobytes(), less)
    return np.array(list(bases.values()), dtype=np.int16)
