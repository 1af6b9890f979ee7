"""A whole fit to rows that are visited in blocks: search, belief and checks, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.checks.block_checks import BlockChecks, check_blocks
from dosift.checks.fit_check import FitCheck, check_counts
from dosift.checks.model_check import draw
from dosift.checks.surprisal import SurpriseScale
from dosift.data.blocks import RowBlocks
from dosift.data.configurations import Configurations
from dosift.data.sample import MOST_CONFIGURATIONS, Sampler
from dosift.inference.block_posterior import believe_blocks
from dosift.inference.posterior import Belief
from dosift.inference.rate_tests import RateWithTest, rates_of_families
from dosift.likelihood.first_pass import FirstLook, Seen, sampler_after
from dosift.model.network import Network
from dosift.model.simulate import RandomState, as_generator
from dosift.search.block_search import BlockSearch, find_targets_over_blocks
from dosift.search.engine import SearchResult
from dosift.search.mechanisms import suspect_mechanism

Floats = NDArray[np.float64]
Progress = Callable[[str, int, "int | None"], None]


def look(
    network: Network, blocks: RowBlocks, seed: int, progress: Progress | None = None
) -> tuple[Seen, Configurations | None]:
    """Take a first look at all rows.

    Parameters
    ----------
    network : Network
    blocks : RowBlocks
    seed : int
    progress : callable, optional

    Returns
    -------
    seen : Seen
    configurations : Configurations or None
        All of the rows, collapsed, if that fits into memory; without an `inverse`.
    """
    if progress is not None:
        progress("counting rows", 0, None)
    first = FirstLook(network, Sampler(network.cardinalities, seed, most=MOST_CONFIGURATIONS))
    seen = blocks.reduce(first, first.merge)
    if seen.whole is None:
        return seen, None
    return seen, first.sampler.configurations(seen.whole, seen.n_rows)


@dataclass(frozen=True)
class BlockFit:
    """A mixture fitted to rows in blocks, and what is known about it.

    Attributes
    ----------
    result : SearchResult
    rates : list of RateWithTest
        One-pass intervention rates of all variables.
    belief : Belief or None
        What the rows say about the weights; None where some are impossible.
    checks : BlockChecks
    fit_check : FitCheck
    scale : SurpriseScale
    """

    result: SearchResult
    rates: Sequence[RateWithTest]
    belief: Belief | None
    checks: BlockChecks
    fit_check: FitCheck
    scale: SurpriseScale


def fit_blocks(
    network: Network,
    blocks: RowBlocks,
    seen: Seen,
    *,
    seed: int,
    max_size: int | None,
    refine: bool,
    gap: float,
    random_state: RandomState,
    progress: Progress | None = None,
) -> BlockFit:
    """Fit a mixture to rows whose distinct configurations do not fit into memory.

    Parameters
    ----------
    network : Network
    blocks : RowBlocks
        Without missing values.
    seen : Seen
        From :func:`look`.
    seed : int
        Of the sample that is searched.
    max_size : int or None
        Largest number of variables that a target sets.
    refine : bool
        Whether the rows teach a learned network too.
    gap : float
        Optimality gap of the weights, in nats a row.
    random_state : int, Generator or None
        Of the draws behind intervals and checks.
    progress : callable, optional

    Returns
    -------
    BlockFit
    """
    tell = progress or _silent
    tell("drawing a sample", 0, None)
    sampler = sampler_after(Sampler(network.cardinalities, seed, most=MOST_CONFIGURATIONS), seen)
    sample = sampler.configurations(blocks.reduce(sampler, sampler.merge), blocks.n_rows)
    search = BlockSearch(network, blocks, sample, seen.families, max_size, refine, gap, tell)
    result = find_targets_over_blocks(search)
    tell("working out errors", 0, None)
    with threadpool_limits(1):
        belief = believe_blocks(
            blocks,
            result.network,
            result.targets,
            result.weights,
            result.candidates,
            refine,
            as_generator(random_state),
        )
        tell("checking the fit", 0, None)
        drawn, scale = draw(result, blocks.n_rows, random_state)
        checks = check_blocks(
            blocks, result.network, result.targets, result.weights, seen.families, scale
        )
        given = network if refine else Network(network.variables, network.parents, network.tables)
        changed = suspect_mechanism(given, sample, result)
    fit_check = check_counts(result.network, checks.observed, drawn, changed)
    rates = rates_of_families(network, seen.families)
    return BlockFit(result, rates, belief, checks, fit_check, scale)


def _silent(stage: str, done: int, total: int | None) -> None:
    return
