"""Which target each row came from, under a given mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.likelihood.weight_sums import mixture_of
from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network

#: Rows that are judged at a time.
_AT_ONCE = 2**16


@dataclass(frozen=True)
class Assignment:
    """Likelihoods and posteriors of configurations under a mixture.

    Attributes
    ----------
    columns : ndarray, shape (n_configurations, n_targets)
        Likelihoods relative to a reference measure.
    mixture : ndarray, shape (n_configurations,)
        Their mixture.
    weights : ndarray, shape (n_targets,) or (n_configurations, n_targets)
        The latter where they are those of each one's batch.
    log_reference : ndarray, shape (n_configurations,)
        Logarithm of the reference measure, in nats.
    """

    columns: Floats
    mixture: Floats
    weights: Floats
    log_reference: Floats

    @property
    def log_probability(self) -> Floats:
        """Log-probability under the mixture, in nats; minus infinity where it cannot occur."""
        with np.errstate(divide="ignore"):
            out: Floats = np.log(self.mixture) + self.log_reference
        return out

    @property
    def posterior(self) -> Floats:
        """Posterior of each target; NaN in a row that no target can produce."""
        with np.errstate(divide="ignore", invalid="ignore"):
            out: Floats = self.columns * self.weights / self.mixture[:, None]
        return out

    @property
    def best(self) -> NDArray[np.int64]:
        """Most probable target of each configuration; -1 where none can produce it."""
        best = (self.columns * self.weights).argmax(axis=1)
        best[self.mixture <= 0] = -1
        return np.asarray(best, dtype=np.int64)


def assign(
    network: Network,
    targets: Ints,
    weights: Floats,
    codes: Ints,
    first: NDArray[np.int64] | None = None,
) -> Assignment:
    """Compute likelihoods and posteriors of configurations.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
        -1 where a variable is left alone.
    weights : ndarray, shape (n_targets,)
    codes : ndarray, shape (n_configurations, n_variables)
        State codes, -1 for a missing value, which is summed over; or numbers, none missing.
    first : ndarray of int64, shape (n_units,), optional
        Position of each unit's first row, where rows come in units: then it is these that are
        judged.

    Returns
    -------
    Assignment

    Raises
    ------
    InputError
        If values are missing in so many ways that their completions do not fit in memory.

    Examples
    --------
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> found = assign(
    ...     network, np.array([[-1], [1]]), np.array([0.5, 0.5]), np.array([[0], [1]])
    ... )
    >>> found.posterior.round(3)
    array([[1.   , 0.   ],
           [0.333, 0.667]])
    """
    n_units = len(codes) if first is None else first.size
    block = Block(codes, np.ones(n_units), first=first)
    rows = RowLikelihoods(network, block, is_plain(network, targets, block))
    return judge(rows, targets, weights)


def judge(rows: RowLikelihoods, targets: Ints, weights: Floats) -> Assignment:
    """Compute likelihoods and posteriors of the rows of a block.

    Parameters
    ----------
    rows : RowLikelihoods
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        Of the pool, or of each batch.

    Returns
    -------
    Assignment
    """
    columns = rows.columns(targets)
    every = np.atleast_2d(weights)
    mixture = mixture_of(rows, columns, every)
    own = every[0] if rows.block.batch is None else every[rows.block.batch]
    return Assignment(columns, mixture, own, rows.log_reference)


def judge_block(network: Network, block: Block, targets: Ints, weights: Floats) -> Assignment:
    """Compute likelihoods and posteriors of many rows, some at a time.

    Parameters
    ----------
    network : Network
    block : Block
        Labels are not looked at.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)

    Returns
    -------
    Assignment
    """
    block = replace(block, label=None)
    plain = is_plain(network, targets, block)
    # What is worked out on the way takes many times the room of what comes out.
    step = max(_AT_ONCE * len(block) // max(len(block.values), 1), 1)
    parts = []
    for start in range(0, max(len(block), 1), step):
        own = block.part(slice(start, start + step)) if step < len(block) else block
        parts.append(judge(RowLikelihoods(network, own, plain), targets, weights))
    if len(parts) == 1:
        return parts[0]
    of_rows = parts[0].weights.ndim > 1
    return Assignment(
        np.concatenate([one.columns for one in parts]),
        np.concatenate([one.mixture for one in parts]),
        np.concatenate([one.weights for one in parts]) if of_rows else parts[0].weights,
        np.concatenate([one.log_reference for one in parts]),
    )
