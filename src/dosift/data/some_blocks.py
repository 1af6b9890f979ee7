"""Some of the rows of blocks, or the same rows apart: with a label, without, without units."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from dosift.data.blocks import Beside, Block, ChangedBlocks, RowBlocks


class LabelledBlocks(ChangedBlocks):
    """The rows with a label of others.

    Parameters
    ----------
    rows : RowBlocks
        Of which some have labels.
    """

    def __init__(self, rows: RowBlocks) -> None:
        super().__init__(rows, _labelled)


class UnlabelledBlocks(ChangedBlocks):
    """The rows without a label of others.

    Parameters
    ----------
    rows : RowBlocks
    """

    def __init__(self, rows: RowBlocks) -> None:
        super().__init__(rows, _unlabelled)
        self.beside = Beside(rows.beside.batches)


class RowsApart(ChangedBlocks):
    """The rows of units, each a unit of its own.

    Parameters
    ----------
    rows : RowBlocks
    share : bool
        Whether those of a unit count for one together; otherwise each counts as its unit does.
    """

    def __init__(self, rows: RowBlocks, share: bool) -> None:
        super().__init__(rows, attrgetter("shared" if share else "apart"))
        self.has_units = False


def _labelled(block: Block) -> Block:
    assert block.label is not None
    return block.part(block.label >= 0)


def _unlabelled(block: Block) -> Block:
    return block if block.label is None else replace(block.part(block.label < 0), label=None)
