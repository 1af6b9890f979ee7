"""Tables of rows: which intervention each one came from, how sure, how surprising."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dosift.checks.block_checks import SurpriseTask, unexplained_bound
from dosift.checks.surprisal import SurpriseScale, unexplained
from dosift.data.blocks import StoredBlocks, available_threads, in_threads
from dosift.data.write import write_parts
from dosift.likelihood.assignment import Assignment, assign_rows
from dosift.likelihood.columns import TargetColumns
from dosift.model.network import Network

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def row_table(
    assignment: Assignment,
    inverse: NDArray[np.int64],
    targets: Sequence[str],
    all_probabilities: bool = False,
    scale: SurpriseScale | None = None,
) -> pl.DataFrame:
    """Table of rows: most probable target, its probability, and the surprise.

    Parameters
    ----------
    assignment : Assignment
        For distinct configurations.
    inverse : ndarray of int64, shape (n_rows,)
        Position of each row's configuration.
    targets : sequence of str
        Texts of the targets.
    all_probabilities : bool, default=False
        Whether to add one column for each target.
    scale : SurpriseScale, optional
        Adds ``surprise_p_value``, the share of simulated rows that are at least as surprising, and
        ``unexplained``, whether the row is named as one that the mixture did not make.

    Returns
    -------
    polars.DataFrame
        In the rows' order; the target is null where none can produce the row.
    """
    p_values = named = None
    if scale is not None:
        p_values = scale.p_values(assignment.log_probability)
        counts = np.bincount(inverse, minlength=p_values.size).astype(np.float64)
        named = unexplained(p_values, counts)
    return _table(assignment, targets, all_probabilities, p_values, named)[inverse].fill_nan(None)


def _table(
    assignment: Assignment,
    targets: Sequence[str],
    all_probabilities: bool,
    p_values: Floats | None,
    named: NDArray[np.bool_] | None,
) -> pl.DataFrame:
    import polars as pl

    best = assignment.best
    posterior = assignment.posterior
    probability = posterior[np.arange(best.size), best]
    probability[best < 0] = np.nan
    # Position -1, a row that no target can produce, picks the null at the end.
    texts = pl.Series([*targets, None], dtype=pl.String)
    columns: dict[str, Any] = {
        "target": texts.gather(np.where(best < 0, len(targets), best)),
        "probability": probability,
        "surprise": -assignment.log_probability,
    }
    if p_values is not None:
        columns["surprise_p_value"] = p_values
    if named is not None:
        columns["unexplained"] = named
    if all_probabilities:
        columns |= {text: posterior[:, t] for t, text in enumerate(targets)}
    return pl.DataFrame(columns)


def table_of_rows(
    columns: TargetColumns,
    weights: Floats,
    codes: Ints,
    texts: Sequence[str],
    scale: SurpriseScale,
    bound: float,
    all_probabilities: bool = False,
) -> pl.DataFrame:
    """Table of rows that hardly repeat, as :func:`row_table`.

    Parameters
    ----------
    columns : TargetColumns
    weights : ndarray, shape (n_targets,)
    codes : ndarray of int, shape (n_rows, n_variables)
        -1 for a missing value.
    texts : sequence of str
        Texts of the targets.
    scale : SurpriseScale
    bound : float
        P-value of surprise up to which rows are named as unexplained.
    all_probabilities : bool, default=False

    Returns
    -------
    polars.DataFrame
    """
    found = assign_rows(columns, weights, codes)
    p_values = scale.p_values(found.log_probability)
    table = _table(found, texts, all_probabilities, p_values, p_values <= bound)
    return table.fill_nan(None)


@dataclass(frozen=True)
class RowParts:
    """The table of rows that are kept in blocks, made and written part by part.

    Attributes
    ----------
    blocks : StoredBlocks
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    texts : sequence of str
        Texts of the targets.
    scale : SurpriseScale
    all_probabilities : bool, default=False
        Whether there is one column for each target.
    bound : float or None, default=None
        P-value of surprise up to which rows are named as unexplained; if None, it takes one more
        pass over the rows to find it.
    """

    blocks: StoredBlocks
    network: Network
    targets: Ints
    weights: Floats
    texts: Sequence[str]
    scale: SurpriseScale
    all_probabilities: bool = False
    bound: float | None = None

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
        columns = TargetColumns(self.network, self.targets)
        bound = self.bound
        if bound is None:
            (by_place,) = self.blocks.sum(SurpriseTask(columns, self.weights, self.scale))
            bound, _ = unexplained_bound(self.scale, by_place)
        numbers = np.zeros(len(self.texts) + 1, dtype=np.int64)

        def part(codes: Ints) -> pl.DataFrame:
            return table_of_rows(
                columns,
                self.weights,
                codes,
                self.texts,
                self.scale,
                bound,
                self.all_probabilities,
            )

        def parts() -> Iterator[pl.DataFrame]:
            for table in in_threads(part, self.blocks, available_threads()):
                for text, number in table["target"].value_counts().iter_rows():
                    numbers[place[text]] += number
                yield table

        place = {text: k for k, text in enumerate((*self.texts, None))}
        like = part(np.zeros((1, self.network.n_variables), dtype=np.int8))
        with threadpool_limits(1):
            write_parts(parts(), like.schema, path, kind)
        return numbers
