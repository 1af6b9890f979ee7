"""What a repair leaves of the posteriors of single rows.

A posterior takes the model for true. Where rows ask for another model, the rows of each component
are judged by that one as well: the share of them that still comes from what the component touches,
beside the share that the fit claims, is what its posteriors are worth. So it is done for edges and
for noise of counts; where a mechanism moved, posteriors under the freed one were found to be no
better calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from dosift.checks.verdict import Answer
from dosift.data.blocks import Block
from dosift.likelihood.assignment import judge
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism_network import compared_targets
from dosift.model.network import Network
from dosift.model.other import is_other
from dosift.pipeline.setup import Gathered
from dosift.search.result import SearchResult

#: Rows of a component, at least, by which its posteriors are judged.
_LEAST_ROWS = 5.0


def row_reliability(
    gathered: Gathered, result: SearchResult, answers: Sequence[Answer]
) -> Floats | None:
    """Say what the best repair leaves of the posteriors of rows.

    Parameters
    ----------
    gathered : Gathered
        The rows, which count in full.
    result : SearchResult
        The fit.
    answers : sequence of Answer
        That speak against it, the best repair first.

    Returns
    -------
    ndarray, shape (n_components,), or None
        For each component, at most 1: among the rows of which what it touches is the most probable
        cause, the expected share that comes from that under the repaired model over the share that
        the fit claims. None where no repaired model is at hand, or some rows are impossible.
    """
    model = next((one.model for one in answers if one.model is not None), None)
    block = gathered.block
    if model is None or block is None or block.label is not None:
        return None
    targets = compared_targets(result.network, result.targets)
    lines, place = np.unique(targets, axis=0, return_inverse=True)
    place, every = place.ravel(), replace(block, batch=None)
    fitted = _by_line(result.network, result.targets, result.weights, lines, every)
    repaired = _by_line(model.network, model.targets, model.weights, lines, every)
    if np.isnan(fitted).any() or np.isnan(repaired).any():
        return None
    # Rows that come from elsewhere do so in either model.
    elsewhere = is_other(lines)
    repaired[:, elsewhere] = fitted[:, elsewhere]
    repaired[:, ~elsewhere] *= 1.0 - fitted[:, elsewhere].sum(axis=1, keepdims=True)
    best = fitted.argmax(axis=1)
    at, n = np.arange(best.size), len(lines)
    claimed = np.bincount(best, block.counts * fitted[at, best], n)
    left = np.bincount(best, block.counts * repaired[at, best], n)
    some = claimed >= _LEAST_ROWS
    share = np.where(some, left / np.where(some, claimed, 1.0), 1.0)
    return np.asarray(np.minimum(share, 1.0)[place], dtype=np.float64)


def _by_line(network: object, targets: Ints, weights: Floats, lines: Ints, block: Block) -> Floats:
    """Posterior of what some lines touch, for each row; NaN where none can produce the row."""
    own = cast(Network, network)
    rows = RowLikelihoods(own, block, is_plain(own, targets, block))
    posterior = judge(rows, targets, weights).posterior
    same = (compared_targets(own, targets)[:, None, :] == lines).all(axis=2)
    return np.asarray(posterior @ same)
