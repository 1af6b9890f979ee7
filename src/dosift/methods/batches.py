"""Several batches of rows that share targets: from names to arrays and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.data.side_columns import SideColumn
from dosift.errors import InputError
from dosift.inference import believe
from dosift.likelihood.assignment import Assignment, assign
from dosift.methods import Options, Progress
from dosift.methods.prior_knowledge import PriorKnowledge
from dosift.model import Target
from dosift.model.network import Network
from dosift.results.tables import component_table
from dosift.search.batches import find_in_batches
from dosift.search.constraints import Constraints
from dosift.search.engine import SearchResult, describe, find_targets
from dosift.search.score import Score
from dosift.search.undecided import Candidates

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class BatchedFit:
    """Mixture weights for each batch.

    Attributes
    ----------
    names : tuple of str
        The batches, sorted.
    weights : ndarray, shape (n_batches, n_targets)
        In the order of the pooled result's targets; zero where a target does not occur.
    """

    names: tuple[str, ...]
    weights: Floats

    def positions(self, column: SideColumn) -> NDArray[np.int64]:
        """Find the batch of each row.

        Parameters
        ----------
        column : SideColumn

        Returns
        -------
        ndarray of int64, shape (n_rows,)

        Raises
        ------
        InputError
            If a row has no batch, or one that was not among the fitted ones.
        """
        check_complete(column)
        known = {name: k for k, name in enumerate(self.names)}
        for text in column.texts:
            if text not in known:
                row = int((column.index == column.texts.index(text)).argmax()) + 1
                raise InputError(
                    f"{column.name} has the batch {text!r} in data row {row}, which was not among "
                    "those that the mixture was fitted to; leave the batch out for the pooled "
                    "weights",
                    path=column.path,
                )
        table = np.array([known[text] for text in column.texts], dtype=np.int64)
        return table[column.index]

    def assign(
        self, network: Network, targets: Ints, codes: Ints, batch: NDArray[np.int64]
    ) -> tuple[Assignment, NDArray[np.int64]]:
        """Likelihoods and posteriors of rows by the weights of their batches.

        Parameters
        ----------
        network : Network
        targets : ndarray of int, shape (n_targets, n_variables)
        codes : ndarray of int, shape (n_rows, n_variables)
        batch : ndarray of int, shape (n_rows,)

        Returns
        -------
        assignment : Assignment
            For the distinct pairs of a row and a batch; its weights have one line for each.
        inverse : ndarray of int64, shape (n_rows,)
        """
        together = np.column_stack([codes, batch.astype(np.int64)])
        sizes = np.append(network.cardinalities, len(self.names))
        pairs = collapse(together, sizes)
        pooled = self.weights.mean(axis=0)
        found = assign(network, targets, pooled, np.asfortranarray(pairs.codes[:, :-1]))
        weights = self.weights[pairs.codes[:, -1]]
        mixture = np.einsum("rt,rt->r", found.columns, weights)
        return Assignment(found.columns, mixture, weights, found.log_reference), pairs.inverse


def check_complete(column: SideColumn) -> None:
    """Refuse rows that belong to no batch.

    Raises
    ------
    InputError
        With the first such row.
    """
    missing = column.index < 0
    if missing.any():
        raise InputError(
            f"{column.name} is empty in data row {int(missing.argmax()) + 1} "
            f"({int(missing.sum())} such row(s)); every row needs its batch",
            path=column.path,
        )


def check_batches(column: SideColumn, method: str, known: PriorKnowledge | None) -> None:
    """Check that a fit with batches is possible.

    Parameters
    ----------
    column : SideColumn
        The batch of each row.
    method : str
    known : PriorKnowledge or None

    Raises
    ------
    InputError
        If a row has no batch, or the method or known weights do not go with batches.
    """
    if method != "likelihood":
        raise InputError(f"method {method!r} knows no batches; use method 'likelihood'")
    if known is not None and known.known_weights:
        raise InputError(
            "known weights do not go with batches, whose weights differ; make the targets "
            "required instead"
        )
    check_complete(column)


def fit_batches(
    pooled: SearchResult,
    codes: Ints,
    sample_weight: Floats | None,
    column: SideColumn,
    options: Options,
    progress: Progress | None = None,
) -> tuple[SearchResult, BatchedFit]:
    """Find what the batches have in common, and weights for each.

    Parameters
    ----------
    pooled : SearchResult
        Of all rows together.
    codes : ndarray of int, shape (n_rows, n_variables)
    sample_weight : ndarray, shape (n_rows,), or None
    column : SideColumn
        The batch of each row.
    options : Options
    progress : callable, optional

    Returns
    -------
    pooled : SearchResult
        The pool again, with the targets of the batches.
    batches : BatchedFit
    """
    network = pooled.network
    constraints = options.constraints or Constraints.none(network.cardinalities)
    rows = [column.index == b for b in range(len(column.texts))]
    parts = [collapse(codes[at], network.cardinalities, _of(sample_weight, at)) for at in rows]
    empty = [name for name, part in zip(column.texts, parts, strict=True) if part.total <= 0]
    if empty:
        raise InputError(
            f"{column.name}: all rows of batch {empty[0]!r} are labelled or of weight zero, so "
            "that there is nothing to estimate; leave these rows out",
            path=column.path,
        )
    found = find_in_batches(
        network,
        parts,
        pooled.targets,
        constraints,
        max_size=options.max_size,
        gap=options.gap,
        progress=progress or _silent,
    )
    everything = collapse(codes, network.cardinalities, sample_weight)
    listed = np.asarray(found.targets, dtype=np.int16)
    given = replace(Constraints.none(network.cardinalities), required=listed, candidates=listed)
    again = find_targets(
        network, everything, refine=False, gap=options.gap, constraints=given, progress=progress
    )
    score = describe(network, everything, again.targets, again.weights).penalised_score
    converged = again.converged and found.converged
    position = {target.tobytes(): k for k, target in enumerate(listed)}
    order = [position[target.tobytes()] for target in again.targets.astype(np.int16)]
    return (
        replace(again, penalised_score=score, converged=converged),
        BatchedFit(column.texts, found.weights[:, order]),
    )


def batch_table(
    network: Network,
    names: Sequence[Target],
    targets: Ints,
    batches: BatchedFit,
    codes: Ints,
    sample_weight: Floats | None,
    column: SideColumn,
    *,
    refined: bool,
    level: float,
) -> pl.DataFrame:
    """Table of the components of each batch.

    Parameters
    ----------
    network : Network
    names : sequence of Target
    targets : ndarray of int, shape (n_targets, n_variables)
    batches : BatchedFit
    codes : ndarray of int, shape (n_rows, n_variables)
    sample_weight : ndarray, shape (n_rows,), or None
    column : SideColumn
        The batch of each row.
    refined : bool
        Whether mixture rows taught a learned network too.
    level : float
        Of the intervals.

    Returns
    -------
    polars.DataFrame
        The columns of ``components.csv`` after ``batch``, by batch and descending weight. Each of
        the targets that batches have in common may be in a batch or not: errors and intervals
        are averaged over that, with the share of the other batches that hold a target for its
        probability beforehand.
    """
    import polars as pl

    odds = _log_prior_odds(network, targets, batches.weights > 0)
    parts = []
    for b, name in enumerate(batches.names):
        at = column.index == column.texts.index(name)
        own = np.flatnonzero(batches.weights[b] > 0)
        own = own[np.argsort(-batches.weights[b, own], kind="stable")]
        rows = collapse(codes[at], network.cardinalities, _of(sample_weight, at))
        every = np.concatenate([own, np.setdiff1d(np.arange(len(targets)), own)])
        found = assign(network, targets[every], batches.weights[b, every], rows.codes)
        belief = None
        if found.mixture.min() > 0:
            # Targets that no row of the batch can come from are not in it.
            seen = (found.columns > 0).any(axis=0)
            every, columns = every[seen], found.columns[:, seen]
            others = every[own.size :]
            belief = believe(
                network,
                rows.codes,
                rows.counts,
                targets[every],
                batches.weights[b, own],
                columns,
                Candidates(targets[others], odds[b, others], odds[b, own]),
                refined,
                np.random.default_rng(0),
            )
        table = component_table(
            [names[int(k)] for k in own], batches.weights[b, own], rows.total, belief, level
        )
        parts.append(table.select(pl.lit(name).alias("batch"), pl.all()))
    return pl.concat(parts)


def _log_prior_odds(network: Network, targets: Ints, present: NDArray[np.bool_]) -> Floats:
    """Odds of each target being in each batch, judged by the other batches.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    present : ndarray of bool, shape (n_batches, n_targets)

    Returns
    -------
    ndarray, shape (n_batches, n_targets)
        For a target that no other batch has, those of a target picked among all.
    """
    others = present.sum(axis=0) - present
    odds = np.log(others + 0.5) - np.log(len(present) - 1 - others + 0.5)
    score = Score(1.0, network.cardinalities, network.n_variables)
    alone = np.log(present.sum(axis=1))[:, None] - score.names(targets)
    return np.asarray(np.where(others > 0, odds, alone), dtype=np.float64)


def _of(sample_weight: Floats | None, at: NDArray[np.bool_]) -> Floats | None:
    return None if sample_weight is None else sample_weight[at]


def _silent(stage: str, done: int, total: int | None) -> None:
    return
