"""Tables of rows: which intervention each one came from, how sure, how surprising."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.checks.model_check import (
    CountSurprisal,
    unexplained_as_impossible,
    unexplained_bound,
)
from dosift.checks.surprisal import SurprisalScale, largest_unexplained
from dosift.data.blocks import Block, MemoryBlocks, RowBlocks
from dosift.data.factorise import texts_at
from dosift.data.load import Loaded
from dosift.data.some_blocks import RowsApart
from dosift.data.stored import StoredBlocks
from dosift.data.write import write_parts
from dosift.likelihood.assignment import Assignment, judge_block
from dosift.model.known_rows import matches
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.other import OTHER_TEXT
from dosift.pipeline import Fitted
from dosift.results.merged import Merged
from dosift.utils.threads import available_threads, in_threads, one_blas_thread

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def presence(fitted: Fitted, together: Merged) -> tuple[float, ...]:
    """Return what each line's posteriors of rows are worth; nothing if all they say.

    Where it does not stand, the probability that it is there; times what the best repair leaves of
    the posteriors of its rows.
    """
    verdict = fitted.judged
    of_each = np.where(verdict.stands, 1.0, verdict.probability)
    if verdict.of_rows is not None:
        of_each = of_each * verdict.of_rows
    if (of_each == 1.0).all():
        return ()
    return tuple(float(of_each[list(own)].max()) for own in together.groups)


def presence_of_each(fitted: Fitted) -> Floats:
    """Probability that each component is there, where its line does not stand; else 1.

    Parameters
    ----------
    fitted : Fitted

    Returns
    -------
    ndarray, shape (n_components,)
    """
    together = Merged.of(fitted.network, fitted.result.targets, fitted.result.weights)
    there = presence(fitted, together)
    return np.array(there or [1.0] * len(together.groups))[together.place]


@dataclass(frozen=True)
class RowJudge:
    """Says of each row which intervention it came from; sent to those who hold rows.

    Attributes
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,) or (n_batches, n_targets)
        The latter for rows that have batches.
    texts : tuple of str
        Texts of the targets.
    scale : SurprisalScale
    bound : float or None
        P-value of surprise up to which rows are named as unexplained, if it is known.
    labels : tuple of str
        For each text by which rows are labelled, that of its target.
    all_probabilities : bool
        Whether there is one column for each text.
    together : Merged, optional
        The targets that each text stands for, where several have one in common.
    there : tuple of float
        Probability that each text's component is there, where it does not stand; else 1. The
        probability of a row's target is its posterior times that.
    elsewhere : bool
        Whether the probability that a row comes from elsewhere has a column, where some do.
    """

    network: Network
    targets: Ints
    weights: Floats
    texts: tuple[str, ...]
    scale: SurprisalScale
    bound: float | None = None
    labels: tuple[str, ...] = ()
    all_probabilities: bool = False
    together: Merged | None = None
    there: tuple[float, ...] = ()
    elsewhere: bool = False

    @classmethod
    def of_fit(
        cls,
        fitted: Fitted,
        texts: tuple[str, ...],
        *,
        by_batch: bool,
        own_rows: bool = False,
        all_probabilities: bool = False,
    ) -> RowJudge:
        """Return the judge that a fit makes.

        Parameters
        ----------
        fitted : Fitted
        texts : tuple of str
            Texts of the targets.
        by_batch : bool
            Whether rows are judged by the weights of their batch.
        own_rows : bool, default=False
            Whether the rows are those of the fit: then it is known which are unexplained.
        all_probabilities : bool, default=False
        """
        result, labels = fitted.result, fitted.labels
        weights = result.weights
        if by_batch and result.batch_weights is not None:
            weights = result.batch_weights
        named: tuple[str, ...] = ()
        if own_rows and labels is not None:
            named = tuple(str(labels.targets[k]) for k in labels.place[:-1])
        check = fitted.check
        bound = check.bound if own_rows and not named else None
        scale = check.scale if by_batch else fitted.pooled_scale
        judge = cls(
            fitted.network, result.targets, weights, texts, scale, bound, named, all_probabilities
        ).merged(result.weights)
        together = Merged.of(fitted.network, result.targets, result.weights)
        there = presence(fitted, together)
        judge = replace(judge, there=there, elsewhere=own_rows and OTHER_TEXT in texts)
        if not named or labels is None:
            return judge
        return replace(judge, labels=judge._named_as_shown(named, labels.by_text))

    def _named_as_shown(self, named: tuple[str, ...], patterns: Ints) -> tuple[str, ...]:
        """Name what labels say by the texts of the components, where these say more of it."""
        if self.together is None:
            return named
        found = matches(patterns, self.targets)
        shown = list(named)
        for text, group in zip(self.texts, self.together.groups, strict=True):
            for k in np.flatnonzero(found[:, list(group)].any(axis=1)):
                shown[int(k)] = text
        return tuple(shown)

    def merged(self, weights: Floats) -> RowJudge:
        """Judge rows by the sets of variables that are touched, where variables are numbers.

        Parameters
        ----------
        weights : ndarray, shape (n_targets,)
            Of the pool.

        Returns
        -------
        RowJudge
            With the texts of the table of components (:mod:`dosift.results.merged`).
        """
        if not isinstance(self.network, MechanismNetwork):
            return self
        found = Merged.of(self.network, self.targets, weights)
        texts = tuple(self.texts[own[0]] for own in found.groups)
        return replace(self, texts=texts, together=found)

    def assignment(self, block: Block) -> Assignment:
        """Likelihoods and posteriors of the rows of a block."""
        own = replace(block, label=None)
        if self.weights.ndim == 1:
            own = replace(own, batch=None)
        with one_blas_thread():
            return judge_block(self.network, own, self.targets, self.weights)

    def bounded(self, rows: RowBlocks) -> RowJudge:
        """Find which surprises are too large, by a pass over the rows, if it is not known."""
        if self.bound is not None:
            return self
        apart = RowsApart(rows, share=False) if rows.has_units else rows
        (by_place,) = apart.sum(_CountSurprisal(self))
        return replace(self, bound=unexplained_bound(self.scale, by_place)[0])

    def table(self, block: Block) -> pl.DataFrame:
        """Table of the rows of a block.

        Parameters
        ----------
        block : Block

        Returns
        -------
        polars.DataFrame
            Columns ``target`` (null where none can produce the row), ``probability``,
            ``surprise``, ``surprise_p_value`` and ``unexplained``; where some rows come from
            elsewhere ``from_elsewhere``, the probability of that; with `all_probabilities` one
            for each target; with labels ``labelled``, and a labelled row has its label for target,
            with probability one.
        """
        found = self.assignment(block)
        best, posterior = found.best, found.posterior
        if self.together is not None:
            best = self.together.best(best, posterior)
            posterior = self.together.summed(posterior)
        probability = posterior[np.arange(best.size), best]
        if self.there:
            probability = probability * np.array(self.there)[best]
        probability[best < 0] = np.nan
        p_values = self.scale.p_values(found.log_probability)
        by_interventions = self.scale.p_values(unexplained_as_impossible(found, self.targets))
        bound = self.bound
        if bound is None:
            bound = largest_unexplained(by_interventions, block.counts)
        columns: dict[str, Any] = {
            "target": texts_at(self.texts, best),  # none where no target can produce the row
            "probability": probability,
            "surprise": -found.log_probability,
            "surprise_p_value": p_values,
            "unexplained": by_interventions <= bound,
        }
        if self.elsewhere:
            columns["from_elsewhere"] = posterior[:, self.texts.index(OTHER_TEXT)]
        if self.there:
            posterior = posterior * np.array(self.there)
        if self.all_probabilities:
            columns |= {text: posterior[:, t] for t, text in enumerate(self.texts)}
        table = pl.DataFrame(columns).fill_nan(None)
        return table if block.label is None else self._labelled(table, block.label)

    def _labelled(self, table: pl.DataFrame, label: Ints) -> pl.DataFrame:
        own = texts_at(self.labels, label).alias("_label")
        given = pl.col("_label").is_not_null()

        def certain(name: str) -> pl.Expr:
            hit = (pl.col("_label") == name).cast(pl.Float64)
            return pl.when(given).then(hit).otherwise(name).alias(name)

        return (
            table.with_columns(own)
            .with_columns(
                given.alias("labelled"),
                pl.coalesce("_label", "target").alias("target"),
                pl.when(given).then(1.0).otherwise("probability").alias("probability"),
                *(certain(text) for text in (self.texts if self.all_probabilities else ())),
            )
            .drop("_label")
        )


@dataclass(frozen=True)
class _CountSurprisal:
    """Counts rows by their surprise; a task for blocks."""

    judge: RowJudge

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        found = self.judge.assignment(block)
        count = CountSurprisal(self.judge.targets, self.judge.weights, self.judge.scale)
        as_counted = unexplained_as_impossible(found, self.judge.targets)
        return (count.count(as_counted, block.counts),)


def row_table(judge: RowJudge, loaded: Loaded) -> pl.DataFrame | RowParts:
    """Table of rows in their order, or what makes and writes it where they are in blocks.

    Parameters
    ----------
    judge : RowJudge
    loaded : Loaded

    Returns
    -------
    polars.DataFrame or RowParts
    """
    rows = loaded.rows
    if loaded.inverse is None or not isinstance(rows, MemoryBlocks):
        assert isinstance(rows, StoredBlocks)
        return RowParts(judge, rows)
    return judge.table(rows.whole)[loaded.inverse]


@dataclass(frozen=True)
class RowParts:
    """The table of rows that are kept in blocks, made and written part by part.

    Attributes
    ----------
    judge : RowJudge
    rows : StoredBlocks
    """

    judge: RowJudge
    rows: StoredBlocks

    def write(self, path: Path, kind: str = "parquet") -> NDArray[np.int64]:
        """Write the table.

        Parameters
        ----------
        path : Path
            Overwritten.
        kind : {"parquet", "csv"}, default="parquet"

        Returns
        -------
        ndarray of int64, shape (n_targets + 1,)
            Rows of which each target is the most probable, and last those that none can produce.
        """
        judge = self.judge.bounded(self.rows)
        place = {text: k for k, text in enumerate((*judge.texts, None))}
        numbers = np.zeros(len(place), dtype=np.int64)

        def parts() -> Iterator[pl.DataFrame]:
            table_of: Callable[[Block], pl.DataFrame] = judge.table
            for table in in_threads(table_of, self.rows, available_threads()):
                for text, number in table["target"].value_counts().iter_rows():
                    numbers[place.get(text, len(place) - 1)] += number
                yield table

        n = judge.network.n_variables
        beside = self.rows.beside
        label = np.full(1, -1, dtype=np.int64) if beside.labels else None
        batch = np.zeros(1, dtype=np.int64) if beside.batches else None
        kind_of = np.float64 if isinstance(judge.network, MechanismNetwork) else np.int8
        like = judge.table(Block(np.zeros((1, n), dtype=kind_of), np.ones(1), batch, label))
        with one_blas_thread():
            write_parts(parts(), like.schema, path, kind)
        return numbers
