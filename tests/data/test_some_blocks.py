"""Some of the rows of blocks: which rows, how much they count, and what stands beside them."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.data.some_blocks import LabelledBlocks, RowsApart, UnlabelledBlocks

CODES = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
COUNTS = np.array([1.0, 2.0, 4.0, 8.0])
BATCH, LABEL = np.array([0, 1, 0, 1]), np.array([-1, 1, 0, -1])
BESIDE = Beside(("first", "second"), ("do(a)", "do(b)"))


def rows_with_labels() -> MemoryBlocks:
    return MemoryBlocks(np.column_stack([CODES, BATCH, LABEL]), COUNTS, beside=BESIDE)


def blocks_of(rows: object) -> Block:
    found = rows.reduce(lambda block: [block], lambda one, other: one + other)  # type: ignore[attr-defined]
    assert len(found) == 1
    return found[0]  # type: ignore[no-any-return]


def test_rows_with_a_label_keep_it() -> None:
    rows = LabelledBlocks(rows_with_labels())
    assert (rows.n_rows, rows.n_variables, rows.beside) == (6.0, 2, BESIDE)
    block = blocks_of(rows)
    assert block.values.tolist() == [[1, 1], [1, 0]]
    assert block.counts.tolist() == [2.0, 4.0]
    assert block.batch is not None
    assert block.batch.tolist() == [1, 0]
    assert block.label is not None
    assert block.label.tolist() == [1, 0]


def test_rows_without_a_label_are_the_others() -> None:
    rows = UnlabelledBlocks(rows_with_labels())
    assert (rows.n_rows, rows.beside) == (9.0, Beside(("first", "second")))
    block = blocks_of(rows)
    assert block.values.tolist() == [[0, 1], [0, 0]]
    assert block.counts.tolist() == [1.0, 8.0]
    assert block.batch is not None
    assert block.batch.tolist() == [0, 1]
    assert block.label is None
    plain = MemoryBlocks(CODES, COUNTS)
    assert blocks_of(UnlabelledBlocks(plain)).values.tolist() == CODES.tolist()


@pytest.mark.parametrize(
    ("share", "counts"), [(True, [3.0, 2.0, 2.0, 2.0]), (False, [3.0] + [6.0] * 3)]
)
def test_rows_of_units_apart(share: bool, counts: list[float]) -> None:
    units = MemoryBlocks(
        np.column_stack([CODES, [0, 1, 1, 1]]),
        np.array([3.0, 6.0]),
        beside=Beside(("first", "second")),
        first=np.array([0, 1]),
    )
    assert units.has_units
    rows = RowsApart(units, share)
    assert not rows.has_units
    assert rows.n_rows == sum(counts)
    block = blocks_of(rows)
    assert block.first is None
    assert block.values.tolist() == CODES.tolist()
    assert block.counts.tolist() == counts
    assert block.batch is not None
    assert block.batch.tolist() == [0, 1, 1, 1]
