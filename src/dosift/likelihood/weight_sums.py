"""Maximum-likelihood weights of given targets from sums over all rows.

The same convex problem and the same certificate as in :mod:`dosift.likelihood.weights`; only
gradient and information, whose size is that of the targets, are ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import RowBlocks
from dosift.likelihood.columns import TargetColumns
from dosift.likelihood.weights import nonnegative_quadratic
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Quadratic models, and halvings of a step, after which the solver gives up and says so.
_MAX_ITERATIONS, _MAX_HALVINGS = 50, 12
#: Share of the slope that it began with by which a step may overshoot the minimum.
_OVERSHOOT = 0.5


@dataclass(frozen=True)
class WeightSums:
    """Sums over all rows at given weights.

    Attributes
    ----------
    gradient : ndarray, shape (n_targets,)
        ``sum_r c_r L_rt / f_r`` over the rows that the mixture can produce.
    information : ndarray, shape (n_targets, n_targets)
        ``sum_r c_r L_rs L_rt / f_r^2`` over these.
    log_density : float
        ``sum_r c_r log f_r`` over these, relative to the reference measure, in nats.
    n_possible, n_impossible : float
        Rows that the mixture can produce, and others.
    """

    gradient: Floats
    information: Floats
    log_density: float
    n_possible: float
    n_impossible: float

    @property
    def gap(self) -> float:
        """No other weights gain more than this, in nats a row."""
        return max(float(self.gradient.max()) / max(self.n_possible, 1e-300) - 1.0, 0.0)


@dataclass(frozen=True)
class _WeightTask:
    """Computes :class:`WeightSums` of a block.

    Attributes
    ----------
    columns : TargetColumns
        Of components, maybe followed by others.
    weights : ndarray, shape (n_components,)
    """

    columns: TargetColumns
    weights: Floats

    def __call__(self, codes: Ints, counts: Floats) -> tuple[Floats, ...]:
        return weight_sums_of(*self.columns(codes), self.weights, counts)


def weight_sums_of(
    columns: Floats, log_scale: Floats | float, weights: Floats, counts: Floats
) -> tuple[Floats, Floats, Floats]:
    """Sum over a block, in the order of the fields of :class:`WeightSums`.

    Parameters
    ----------
    columns : ndarray, shape (n_rows, n_targets)
        Likelihoods of components, maybe followed by those of others.
    log_scale : ndarray, shape (n_rows,), or float
        Logarithm by which they were divided.
    weights : ndarray, shape (n_components,)
    counts : ndarray, shape (n_rows,)

    Returns
    -------
    gradient : ndarray, shape (n_targets,)
    information : ndarray, shape (n_targets, n_targets)
    numbers : ndarray, shape (3,)
    """
    scale = np.broadcast_to(np.asarray(log_scale), counts.shape)
    mixture = columns[:, : weights.size] @ weights
    possible = mixture > 0
    n_impossible = 0.0
    if not possible.all():
        n_impossible = float(counts[~possible].sum())
        columns, mixture = columns[possible], mixture[possible]
        scale, counts = scale[possible], counts[possible]
    # Scaled by the root of the counts, so that the product is symmetric.
    root = np.sqrt(counts)
    scaled = columns * (root / mixture)[:, None]
    log_density = float(counts @ (np.log(mixture) + scale))
    numbers = np.array([log_density, float(counts.sum()), n_impossible])
    return root @ scaled, scaled.T @ scaled, numbers


def weight_sums(
    blocks: RowBlocks,
    network: Network,
    targets: Ints,
    weights: Floats,
    others: Ints | None = None,
) -> WeightSums:
    """Sum gradient, information and log-likelihood over all rows.

    Parameters
    ----------
    blocks : RowBlocks
        Without missing values.
    network : Network
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_components,)
    others : ndarray of int, shape (n_others, n_variables), optional
        Targets outside the mixture that gradient and information are also wanted for.

    Returns
    -------
    WeightSums
    """
    together = targets if others is None else np.concatenate([targets, others])
    task = _WeightTask(TargetColumns(network, together), weights)
    gradient, information, numbers = blocks.sum(task)
    return WeightSums(gradient, information, *(float(x) for x in numbers))


@dataclass(frozen=True)
class BlockSolution:
    """Weights, and what was summed at them.

    Attributes
    ----------
    weights : ndarray, shape (n_targets,)
        Non-negative, summing to one.
    sums : WeightSums
    converged : bool
        Whether the gap asked for was reached.
    """

    weights: Floats
    sums: WeightSums
    converged: bool


def solve_over_blocks(
    blocks: RowBlocks, network: Network, targets: Ints, start: Floats, gap: float
) -> BlockSolution:
    """Maximise the likelihood of all rows over the weights of given targets.

    Sequential quadratic programming; each pass over the rows gives gradient and information at one
    point, and from a start that a sample gave four or five of them are enough.

    Parameters
    ----------
    blocks : RowBlocks
        Without missing values.
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    start : ndarray, shape (n_targets,)
        Weights to start from.
    gap : float
        Optimality gap at which to stop, in nats a row.

    Returns
    -------
    BlockSolution
    """
    weights = np.maximum(start, 0.0)
    weights = weights / weights.sum()
    sums = weight_sums(blocks, network, targets, weights)
    for _ in range(_MAX_ITERATIONS):
        if sums.gap <= gap or sums.n_possible == 0:
            break
        direction = quadratic_step(sums, weights)
        step = 1.0
        for _ in range(_MAX_HALVINGS):
            trial = np.maximum(weights + step * direction, 0.0)
            trial /= trial.sum()
            found = weight_sums(blocks, network, targets, trial)
            if _is_better(found, sums, direction):
                break
            step *= 0.5
        else:
            break  # rounding stops progress
        weights, sums = trial, found
    return BlockSolution(weights, sums, sums.gap <= gap)


def quadratic_step(sums: WeightSums, weights: Floats) -> Floats:
    """Change of the weights that maximises the quadratic model under ``weights >= 0``.

    Parameters
    ----------
    sums : WeightSums
        At `weights`.
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    ndarray, shape (n_targets,)
    """
    gradient = sums.gradient / sums.n_possible
    working = np.flatnonzero((weights > 0) | (gradient > 1.0))
    hessian = sums.information[np.ix_(working, working)] / sums.n_possible
    # H w is the gradient when all the weight lies in the working set.
    aim = nonnegative_quadratic(hessian, 2.0 * gradient[working] - 1.0, weights[working])
    out = np.zeros_like(weights)
    out[working] = aim - weights[working]
    return out


def _is_better(new: WeightSums, old: WeightSums, direction: Floats) -> bool:
    """Whether a step brings more, and does not go far beyond the best point along its line."""
    if new.n_impossible > old.n_impossible:
        return False
    begin = float(direction @ (1.0 - old.gradient / old.n_possible))
    end = float(direction @ (1.0 - new.gradient / new.n_possible))
    # Close to the optimum the slope is far more exact than a difference of log-likelihoods.
    return end <= -_OVERSHOOT * begin or new.log_density > old.log_density
