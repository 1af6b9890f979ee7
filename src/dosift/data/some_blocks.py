"""Some of the rows of blocks, or the same rows apart: with a label, without, without units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dosift.data.blocks import Beside, Block, Floats, Part, RowBlocks, Task


@dataclass(frozen=True)
class _OfUnlabelled:
    """Applies a task to the rows of a block that have no label."""

    task: Task[Any]

    def __call__(self, block: Block) -> Any:
        if block.label is None:
            return self.task(block)
        rest = block.part(block.label < 0)
        return self.task(replace(rest, label=None))


@dataclass(frozen=True)
class _OfLabelled:
    """Applies a task to the rows of a block that have a label."""

    task: Task[Any]

    def __call__(self, block: Block) -> Any:
        assert block.label is not None
        return self.task(block.part(block.label >= 0))


class LabelledBlocks(RowBlocks):
    """The rows with a label of others.

    Parameters
    ----------
    rows : RowBlocks
        Of which some have labels.
    """

    def __init__(self, rows: RowBlocks) -> None:
        self._rows = rows
        self.library, self.beside = rows.library, rows.beside
        self.n_variables = rows.n_variables
        self.has_units = rows.has_units
        self.n_rows = float(self.sum(_total)[0])

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        found: Part = self._rows.reduce(_OfLabelled(task), merge)
        return found


class UnlabelledBlocks(RowBlocks):
    """The rows without a label of others.

    Parameters
    ----------
    rows : RowBlocks
    """

    def __init__(self, rows: RowBlocks) -> None:
        self._rows = rows
        self.library = rows.library
        self.n_variables = rows.n_variables
        self.has_units = rows.has_units
        self.beside = Beside(rows.beside.batches)
        self.n_rows = float(self.sum(_total)[0])

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        found: Part = self._rows.reduce(_OfUnlabelled(task), merge)
        return found


def _total(block: Block) -> tuple[Floats, ...]:
    return (np.asarray(block.counts.sum()),)


@dataclass(frozen=True)
class _OfRows:
    """Applies a task to rows without their units."""

    task: Task[Any]
    share: bool

    def __call__(self, block: Block) -> Any:
        return self.task(block.shared if self.share else block.apart)


class RowsApart(RowBlocks):
    """The rows of units, each a unit of its own.

    Parameters
    ----------
    rows : RowBlocks
    share : bool
        Whether those of a unit count for one together; otherwise each counts as its unit does.
    """

    def __init__(self, rows: RowBlocks, share: bool) -> None:
        self._rows, self._share = rows, share
        self.library, self.beside = rows.library, rows.beside
        self.n_variables = rows.n_variables
        self.n_rows = float(self.sum(_total)[0])

    def reduce(self, task: Task[Part], merge: Callable[[Part, Part], Part]) -> Part:
        """Apply a task to each block, and merge what comes of them."""
        found: Part = self._rows.reduce(_OfRows(task, self._share), merge)
        return found
