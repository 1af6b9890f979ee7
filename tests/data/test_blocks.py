"""Rows in blocks: exact sums, any number of threads, a temporary file that never stays."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dosift.data.blocks import (
    Beside,
    Block,
    MemoryBlocks,
    RowBlocks,
    block_rows,
)
from dosift.data.some_blocks import UnlabelledBlocks
from dosift.data.stored import StoredBlocks
from dosift.data.stream import store_rows
from dosift.errors import InputError
from dosift.model.network import Network
from dosift.utils.threads import in_threads


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 50 rows, in chunks of 16."""
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 50)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 50)
    monkeypatch.setattr("dosift.data.blocks._CHUNK_ROWS", 16)


def draw(n_rows: int, n_variables: int = 5, most: int = 4, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-1, most, (n_rows, n_variables)).astype(np.int8)


def stored(codes: np.ndarray, threads: int = 1) -> StoredBlocks:
    blocks = StoredBlocks(codes.shape[1], codes.dtype, threads)
    blocks.append(codes)
    blocks.finish()
    return blocks


def moments(block: Block) -> tuple[np.ndarray, ...]:
    """Sums that round, so that their order shows in the last bits."""
    counts = block.counts
    values = np.exp(block.values.astype(np.float64) / 3.0)
    return counts @ values, values.T @ (values * counts[:, None]), np.array([counts.sum()])


def test_the_length_of_a_block_is_bounded_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert block_rows(1) == block_rows(0) == 2**18
    assert block_rows(100_000) == 2**12
    assert block_rows(64) * 64 <= 2**22


@pytest.mark.parametrize("n_rows", [1, 16, 17, 49, 50, 51, 1033])
@pytest.mark.parametrize("make", [MemoryBlocks, stored])
def test_sums_equal_a_direct_computation(make: Callable[..., RowBlocks], n_rows: int) -> None:
    codes = draw(n_rows)
    for found, direct in zip(
        make(codes).sum(moments), moments(Block(codes, np.ones(n_rows))), strict=True
    ):
        assert found == pytest.approx(direct, rel=1e-13)
    assert make(codes).n_rows == n_rows


def test_sums_take_counts_into_account() -> None:
    codes = draw(333)
    counts = np.random.default_rng(1).gamma(2.0, size=333)
    blocks = MemoryBlocks(codes, counts)
    assert blocks.n_rows == pytest.approx(counts.sum())
    for found, direct in zip(blocks.sum(moments), moments(Block(codes, counts)), strict=True):
        assert found == pytest.approx(direct, rel=1e-13)


@pytest.mark.parametrize("make", [MemoryBlocks, stored])
def test_sums_are_the_same_to_the_last_bit_with_any_number_of_threads(
    make: Callable[..., RowBlocks],
) -> None:
    codes = draw(5003)
    one = make(codes).sum(moments)
    # The rows in reverse round otherwise: the test can tell.
    other_order = make(codes[::-1]).sum(moments)
    assert any(not np.array_equal(a, b) for a, b in zip(one, other_order, strict=True))
    for threads in (2, 3, 8):
        many = make(codes, threads=threads).sum(moments)
        assert all(np.array_equal(a, b) for a, b in zip(one, many, strict=True))


def test_blocks_in_memory_and_in_a_file_give_the_same_sums() -> None:
    codes = draw(777)
    for a, b in zip(MemoryBlocks(codes).sum(moments), stored(codes).sum(moments), strict=True):
        assert a == pytest.approx(b, rel=1e-13)  # columns lie otherwise in memory


def test_results_are_merged_in_the_order_of_the_blocks() -> None:
    codes = np.arange(3210, dtype=np.int16)[:, None]
    for threads in (1, 4):
        blocks = MemoryBlocks(codes, threads=threads)
        found = blocks.reduce(lambda block: [int(block.values[0, 0])], lambda a, b: a + b)
        assert found == list(range(0, 3210, 50))


def test_no_more_items_are_taken_than_are_under_way() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            taken.append(i)
            yield i

    mapped = in_threads(lambda x: x * x, items(), 3)
    for i in range(100):
        assert next(mapped) == i * i
        assert len(taken) <= i + 4


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_in_a_task_arrives_and_no_thread_stays(threads: int) -> None:
    def task(block: Block) -> tuple[np.ndarray, ...]:
        if (block.values == 3).any():
            raise InputError("row of three")
        return (block.counts.sum(),)

    before = threading.active_count()
    with pytest.raises(InputError, match="row of three"):
        MemoryBlocks(draw(2000), threads=threads).sum(task)
    assert threading.active_count() == before


def sizes(n_rows: int, seed: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while n_rows:
        size = min(int(rng.choice([0, 1, 2, 7, 49, 50, 51, 100, 333])), n_rows)
        yield size
        n_rows -= size


@pytest.mark.parametrize("seed", range(10))
def test_a_file_gives_back_what_was_appended_in_order(seed: int) -> None:
    codes = draw(2011, 1 + seed % 4, seed=seed)
    blocks = StoredBlocks(codes.shape[1], np.dtype(np.int8))
    start = 0
    for size in sizes(len(codes), seed):
        blocks.append(codes[start : start + size])
        start += size
    blocks.finish()
    for _ in range(2):  # it can be read as often as wanted
        parts = [block.values for block in blocks]
        assert [len(part) for part in parts] == [50] * 40 + [11]
        assert [block.start for block in blocks] == list(range(0, 2011, 50))
        assert np.array_equal(np.concatenate(parts), codes)
    assert blocks.n_rows == 2011
    assert blocks.n_bytes == codes.size


def test_states_beyond_127_keep_their_codes() -> None:
    codes = np.random.default_rng(0).integers(-1, 30_000, (1234, 3)).astype(np.int16)
    blocks = stored(codes)
    assert blocks.n_bytes == 2 * codes.size
    assert np.array_equal(np.concatenate([block.values for block in blocks]), codes)


def test_a_variable_of_many_states_is_stored_from_a_file(tmp_path: Path) -> None:
    states = [str(s) for s in range(300)]
    network = Network.from_tables({"a": states}, {}, {"a": [[1 / 300] * 300]})
    codes = np.random.default_rng(0).integers(0, 300, 500)
    path = tmp_path / "rows.csv"
    path.write_text("a\n" + "\n".join(map(str, codes)) + "\n")
    found = np.concatenate([block.values for block in store_rows(path, network)])
    assert found.dtype == np.int16
    assert found[:, 0].tolist() == codes.tolist()


def test_a_full_temporary_folder_is_one_message_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Stats:
        f_bavail, f_frsize = 3, 1024

    monkeypatch.setattr(os, "statvfs", lambda _: Stats, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    StoredBlocks(1, np.dtype(np.int8), expected_rows=3 * 1024)
    with pytest.raises(InputError, match=r"GiB are free.*GiB are needed.*TMPDIR") as caught:
        StoredBlocks(1, np.dtype(np.int8), expected_rows=3 * 1024 + 1)
    assert str(tmp_path) in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_while_rows_are_written_is_one_message() -> None:
    class Full:
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    blocks = StoredBlocks(2, np.dtype(np.int8))
    blocks._file = Full()  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR"):
        blocks.append(draw(50, 2))


@pytest.mark.skipif(
    not hasattr(os, "statvfs"), reason="the temporary folder is chosen otherwise there"
)
def test_a_temporary_folder_that_cannot_be_written_is_one_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="TMPDIR"):
        stored(draw(60))


def test_no_usable_temporary_folder_at_all_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "TemporaryFile", none)
    with pytest.raises(InputError, match="No usable temporary directory"):
        StoredBlocks(2, np.dtype(np.int8), expected_rows=10)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_really_full_disk(tiny_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tiny_disk))
    blocks = StoredBlocks(10, np.dtype(np.int8))
    rows = draw(100_000, 10)
    with pytest.raises(InputError, match="No space left"):
        blocks.append(rows)
    assert not list(tiny_disk.iterdir())


def test_a_file_that_was_cut_off_is_one_message() -> None:
    blocks = stored(draw(200))
    blocks._file.truncate(300)
    with pytest.raises(InputError, match="cut off"):
        list(blocks)


MIDDLE = """
import time
import numpy as np
from dosift.data.stored import StoredBlocks
blocks = StoredBlocks(100, np.dtype(np.int8))
for _ in range(10):
    blocks.append(np.zeros((10_000, 100), dtype=np.int8))
print(blocks.n_bytes, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_stays_of_a_process_that_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MIDDLE],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 1_000_000
        process.send_signal(number)
        assert process.wait(30) != 0
    assert not list(tmp_path.iterdir())


def test_blocks_in_memory_can_be_sent_to_another_process() -> None:
    codes = draw(120)
    there = pickle.loads(pickle.dumps(MemoryBlocks(codes)))
    assert all(
        np.array_equal(a, b)
        for a, b in zip(there.sum(moments), MemoryBlocks(codes).sum(moments), strict=True)
    )


def beside(seed: int, n_rows: int = 333) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, counts, batches and labels, some of which are missing."""
    rng = np.random.default_rng(seed)
    codes = draw(n_rows, 3, seed=seed)
    return (
        codes,
        rng.gamma(2.0, size=n_rows),
        rng.integers(4, size=n_rows),
        rng.integers(-1, 3, size=n_rows),
    )


def test_parts_of_a_block_keep_together_what_belongs_together() -> None:
    codes, counts, batch, label = beside(0)
    block = Block(codes, counts, batch, label)
    assert len(block) == 333
    for rows in (slice(3, 90, 2), np.array([5, 1, 1]), label < 0):
        part = block.part(rows)
        for name, values in zip(
            ("values", "counts", "batch", "label"), (codes, counts, batch, label), strict=True
        ):
            assert np.array_equal(getattr(part, name), values[rows])
    bare = Block(codes, counts).part(slice(2))
    assert bare.batch is None
    assert bare.label is None


def test_a_block_knows_whether_values_are_missing() -> None:
    assert Block(np.array([[0, -1]]), np.ones(1)).has_missing
    assert not Block(np.array([[0, 1]]), np.ones(1), np.array([-1]), np.array([-1])).has_missing
    assert not Block(np.empty((0, 3), dtype=np.int8), np.empty(0)).has_missing


@pytest.mark.parametrize("batches", [(), ("p", "q", "r", "s")])
@pytest.mark.parametrize("labels", [(), ("x", "y", "z")])
def test_what_stands_beside_goes_into_one_array_and_comes_back(
    batches: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    codes, counts, batch, label = beside(1)
    names = Beside(batches, labels)
    assert names.n_columns == bool(batches) + bool(labels)
    assert names.cardinalities.tolist() == [len(n) for n in (batches, labels) if n]
    block = Block(codes, counts, batch if batches else None, label if labels else None)
    wide = names.wide(block)
    assert wide.shape == (333, 3 + names.n_columns)
    again = names.block(wide, counts)
    assert np.array_equal(again.values, codes)
    for own, there in ((again.batch, batch if batches else None), (again.label, block.label)):
        assert (own is None) == (there is None)
        assert own is None or np.array_equal(own, there)
    rows = MemoryBlocks(wide, counts, beside=names)
    assert rows.n_variables == 3
    assert rows.n_rows == pytest.approx(counts.sum())


def test_many_labels_do_not_overflow_beside_small_codes() -> None:
    names = Beside((), tuple(f"{k:05d}" for k in range(40_000)))
    block = Block(np.zeros((2, 1), np.int8), np.ones(2), None, np.array([39_999, -1]))
    assert names.wide(block)[:, 1].tolist() == [39_999, -1]


def of_each(block: Block) -> tuple[np.ndarray, ...]:
    """Sums by batch and label; those without a label come last."""
    assert block.batch is not None
    label = np.full(len(block), -1) if block.label is None else block.label
    out = np.zeros((4, 4, block.values.shape[1]))
    np.add.at(out, (block.batch, label), block.values * block.counts[:, None])
    return (out,)


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_and_labels_pass_through_blocks(threads: int) -> None:
    codes, counts, batch, label = beside(2)
    names = Beside(("p", "q", "r", "s"), ("x", "y", "z"))
    wide = names.wide(Block(codes, counts, batch, label))
    rows = MemoryBlocks(wide, counts, threads, names)
    (expected,) = of_each(Block(codes, counts, batch, label))
    np.testing.assert_allclose(rows.sum(of_each)[0], expected)
    rest = UnlabelledBlocks(rows)
    assert rest.n_rows == pytest.approx(counts[label < 0].sum())
    assert rest.n_variables == 3
    assert rest.beside == Beside(names.batches)
    assert rest.library == rows.library
    found = rest.sum(lambda block: (of_each(block)[0], np.array(block.label is None)))
    np.testing.assert_allclose(found[0][:, -1], expected[:, -1])
    assert not found[0][:, :-1].any()
    assert found[1]
    plain = UnlabelledBlocks(MemoryBlocks(codes, counts))
    assert plain.n_rows == pytest.approx(counts.sum())


def stored_with_beside(
    texts: tuple[list[str], ...], columns: list[np.ndarray], codes: np.ndarray, counts: np.ndarray
) -> StoredBlocks:
    """Store rows in several parts, with codes by first appearance."""
    rows = StoredBlocks(3, np.dtype(np.int16), n_beside=len(columns))
    wide = np.column_stack([codes, *columns]).astype(np.int16)
    for start in range(0, len(wide), 101):
        rows.append(wide[start : start + 101], counts[start : start + 101])
    rows.finish(texts)
    return rows


def test_stored_batches_and_labels_get_their_sorted_places() -> None:
    codes, counts, batch, label = beside(3)
    batch_texts, label_texts = ["s", "p", "r", "q"], ["z", "x", "y"]
    with_both = stored_with_beside((batch_texts, label_texts), [batch, label], codes, counts)
    assert with_both.beside == Beside(("p", "q", "r", "s"), ("x", "y", "z"))
    assert with_both.n_rows == pytest.approx(counts.sum())
    found = list(with_both)
    assert np.array_equal(np.concatenate([b.values for b in found]), codes)
    np.testing.assert_allclose(np.concatenate([b.counts for b in found]), counts)
    place = np.concatenate([b.batch for b in found])
    assert [with_both.beside.batches[k] for k in place] == [batch_texts[k] for k in batch]
    place = np.concatenate([b.label for b in found])
    assert [None if k < 0 else with_both.beside.labels[k] for k in place] == [
        None if k < 0 else label_texts[k] for k in label
    ]
    # One of the two only.
    only_labels = stored_with_beside(([], label_texts), [label], codes, counts)
    assert only_labels.beside == Beside((), ("x", "y", "z"))
    assert all(b.batch is None for b in only_labels)
    again = np.concatenate([b.label for b in only_labels])
    assert np.array_equal(again, place)
    only_batches = stored_with_beside((batch_texts, []), [batch], codes, counts)
    assert all(b.label is None for b in only_batches)
    assert only_batches.beside == Beside(("p", "q", "r", "s"))


def test_stored_batches_are_matched_with_known_ones() -> None:
    codes, counts, batch, label = beside(4)
    rows = stored_with_beside(
        (["s", "p", "r", "q"], ["z", "x", "y"]), [batch, label], codes, counts
    )
    before = np.concatenate([b.batch for b in rows])
    marks = np.concatenate([b.label for b in rows])
    rows.match(("a", "s", "r", "q", "p"))
    after = np.concatenate([b.batch for b in rows])
    known = ("p", "q", "r", "s")
    assert [rows.beside.batches[k] for k in after] == [known[k] for k in before]
    assert rows.beside.labels == ("x", "y", "z")
    assert np.array_equal(np.concatenate([b.label for b in rows]), marks)
    fresh = stored_with_beside((["s", "p", "r", "q"], []), [batch], codes, counts)
    with pytest.raises(InputError, match="the batch 's', which was not among"):
        fresh.match(("p", "q", "r"))
