"""A sample of rows: the same in any order, all of them if they fit, unbiased if not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from dosift.data import Configurations
from dosift.data.blocks import Beside, Block, MemoryBlocks
from dosift.data.sample import RowSample, Sampler, bucket_loads, hash_rows
from dosift.likelihood.first_pass import (
    CountFamilies,
    FirstPass,
    FirstSummary,
    sampler_after,
)
from dosift.model.network import Network

CARDINALITIES = np.full(10, 3)


def draw(n_rows: int, seed: int, lean: float = 0.75) -> np.ndarray:
    """Rows with frequent and rare configurations among them."""
    rng = np.random.default_rng(seed)
    rest = (1 - lean) / 2
    return rng.choice(3, (n_rows, 10), p=[lean, rest, rest]).astype(np.int8)


def block(codes: np.ndarray) -> Block:
    return Block(codes, np.ones(len(codes)))


def informed(codes: np.ndarray, most: int, seed: int = 0) -> Sampler:
    loads = bucket_loads(hash_rows(codes, seed), np.ones(len(codes)))
    sampler = Sampler(CARDINALITIES, seed, loads=loads, most=most)
    return replace(sampler, level=sampler.starting_level())


def chain(sampler: Sampler, parts: list[np.ndarray]) -> RowSample:
    return reduce(sampler.merge, [sampler(block(part)) for part in parts])


def tree(sampler: Sampler, parts: list[np.ndarray]) -> RowSample:
    samples = [sampler(block(part)) for part in parts]
    while len(samples) > 1:
        pairs = zip(samples[::2], samples[1::2], strict=False)
        odd = samples[-1:] if len(samples) % 2 else []
        samples = [sampler.merge(a, b) for a, b in pairs] + odd
    return samples[0]


def same(one: RowSample, other: RowSample) -> bool:
    return (
        np.array_equal(one.codes, other.codes)
        and np.array_equal(one.counts, other.counts)
        and one.level == other.level
    )


def test_hashes_depend_on_codes_and_seed_alone() -> None:
    codes = draw(2000, 0)
    hashes = hash_rows(codes, 7)
    assert np.array_equal(hashes, hash_rows(np.asfortranarray(codes.astype(np.int64)), 7))
    assert not np.array_equal(hashes, hash_rows(codes, 8))
    assert np.unique(hashes).size == np.unique(codes, axis=0).shape[0]
    # A missing value is a code of its own.
    assert hash_rows(np.array([[-1, 0]]), 0) != hash_rows(np.array([[0, -1]]), 0)


@pytest.mark.parametrize("merge", [chain, tree])
@pytest.mark.parametrize("step", [97, 1000, 7001])
def test_the_sample_depends_neither_on_order_nor_on_blocks(
    merge: Callable[[Sampler, list[np.ndarray]], RowSample], step: int
) -> None:
    codes = draw(20_000, 1, 0.5)
    sampler = informed(codes, 1500)
    whole = sampler(block(codes))
    assert whole.level > 0
    shuffled = np.random.default_rng(2).permutation(codes)
    parts = [shuffled[start : start + step] for start in range(0, len(codes), step)]
    assert same(merge(sampler, parts), whole)


def test_the_sample_depends_on_the_seed() -> None:
    codes = draw(20_000, 1, 0.5)
    one, other = (informed(codes, 1500, seed)(block(codes)) for seed in (0, 1))
    assert not np.array_equal(one.codes, other.codes)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_sample_of_blocks_is_that_of_the_rows(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 777)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 777)
    codes = draw(20_000, 1, 0.5)
    sampler = informed(codes, 1500)
    blocks = MemoryBlocks(codes, threads=threads)
    assert same(blocks.reduce(sampler, sampler.merge), sampler(block(codes)))


def first_look(codes: np.ndarray, most: int, step: int = 1000) -> tuple[FirstPass, FirstSummary]:
    states = [str(s) for s in range(3)]
    names = [f"V{i}" for i in range(10)]
    network = Network.from_tables(
        dict.fromkeys(names, states), {}, {name: [[1 / 3] * 3] for name in names}
    )
    look = FirstPass(Sampler(CARDINALITIES, 0, most=most), CountFamilies(network, 1))
    parts = [codes[start : start + step] for start in range(0, len(codes), step)]
    return look, reduce(look.merge, [look(block(part)) for part in parts])


def test_counts_are_exact_while_all_configurations_fit() -> None:
    codes = draw(20_000, 3, 0.9)
    counted = Counter(map(tuple, codes.tolist()))
    look, seen = first_look(codes, len(counted))
    assert seen.whole is not None
    found = look.sampler.configurations(seen.whole, seen.counted[0].sum())
    kept = zip(map(tuple, found.codes.tolist()), found.counts.tolist(), strict=True)
    assert dict(kept) == dict(counted)
    # One fewer is allowed: no longer all of them.
    assert first_look(codes, len(counted) - 1)[1].whole is None


def test_the_first_look_counts_rows_families_and_missing_values() -> None:
    codes = draw(5000, 4)
    codes[::50, 3] = -1
    codes[::100, 4] = -1
    _, seen = first_look(codes, 50)
    assert seen.whole is None
    n_rows, incomplete, *families = seen.counted
    assert n_rows.tolist() == [5000, 0]
    assert incomplete == 100
    for j, family in enumerate(families):
        known = codes[codes[:, j] >= 0, j]
        assert family.ravel().tolist() == np.bincount(known, minlength=3).tolist()
    assert seen.loads.sum() == 5000


def test_frequent_configurations_are_always_kept_with_exact_counts() -> None:
    codes = draw(50_000, 5, 0.7)
    counted = Counter(map(tuple, codes.tolist()))
    for seed in range(10):
        sampler = informed(codes, 1000, seed)
        sample = sampler(block(codes))
        frequent = {c: n for c, n in counted.items() if n >= 2**sample.level}
        assert 0 < len(frequent) < len(counted) / 2
        kept = dict(zip(map(tuple, sample.codes.tolist()), sample.counts.tolist(), strict=True))
        assert all(kept[c] == n for c, n in frequent.items())
        # And the others that are kept have their exact counts.
        assert all(counted[c] == n for c, n in kept.items())


@pytest.mark.parametrize("most", [1, 10, 500, 3000])
@pytest.mark.parametrize("lean", [0.34, 0.6, 0.95])
def test_the_size_is_bounded(most: int, lean: float) -> None:
    codes = draw(20_000, 6, lean)
    sampler = informed(codes, most)
    parts = [codes[start : start + 1500] for start in range(0, len(codes), 1500)]
    for sample in (chain(sampler, parts), tree(sampler, parts)):
        assert len(sample.codes) <= most
    n_distinct = len(np.unique(codes, axis=0))
    if n_distinct > most >= 500:
        assert len(sample.codes) > most / 4  # and the room is used


def sampled(codes: np.ndarray, most: int, seed: int) -> Configurations:
    look, _ = first_look(codes[:1], most)
    sampler = Sampler(CARDINALITIES, seed, most=most)
    one = FirstPass(sampler, look.count)
    seen = one(block(codes))
    after = sampler_after(sampler, seen)
    return after.configurations(after(block(codes)), float(len(codes)))


@pytest.mark.long
def test_sums_are_unbiased_and_vary_as_the_number_of_rows_says() -> None:
    """Over fresh rows and seeds, means in the sample vary as those of so many rows would.

    400 draws of two nearly uncorrelated means: the standard deviation of their z-scores has an
    error of 0.035 (0.025 if they are independent). The limits, 0.85 and 1.15, lie more than four
    of these away from 1; those of the mean of the z-scores lie five errors away.
    """
    lean, rest = 0.6, 0.2
    z = []
    for seed in range(400):
        codes = draw(6000, 1000 + seed, lean)
        found = sampled(codes, 500, seed)
        assert len(found.codes) <= 500
        total = found.counts.sum()
        assert 300 < total < 6000
        for j, state, p in ((0, 0, lean), (5, 1, rest)):
            mean = found.counts @ (found.codes[:, j] == state) / total
            z.append((mean - p) / np.sqrt(p * (1 - p) / total))
    assert abs(np.mean(z)) < 5 / np.sqrt(len(z))
    assert 0.85 < np.std(z) < 1.15


def test_totals_divided_by_probabilities_are_unbiased() -> None:
    """Over 300 seeds the mean of a total is the total, within five standard errors."""
    codes = draw(6000, 9, 0.6)
    truth = np.array([6000.0, (codes[:, 2] == 0).sum(), (codes.sum(axis=1) > 8).sum()])
    totals = []
    for seed in range(300):
        sampler = informed(codes, 500, seed)
        # One level for all: stopping where it fits depends on what was drawn.
        sampler = replace(sampler, level=6, most=10**6)
        sample = sampler(block(codes))
        expected = sample.counts / sampler.probabilities(sample.codes, sample.level)
        of = (np.ones(expected.size), sample.codes[:, 2] == 0, sample.codes.sum(axis=1) > 8)
        totals.append([expected @ x for x in of])
    error = np.std(totals, axis=0, ddof=1) / np.sqrt(300)
    assert (error > 0).all()
    assert (np.abs(np.mean(totals, axis=0) - truth) < 5 * error).all()


def test_with_all_rows_at_hand_the_number_of_rows_is_exact() -> None:
    codes = draw(3000, 2, 0.95)
    found = sampled(codes, 10_000, 0)
    assert found.counts.sum() == 3000


def test_rows_that_differ_in_what_stands_beside_them_differ() -> None:
    """Batches and labels are columns of the sample; thinned, each pair of them keeps its share."""
    rng = np.random.default_rng(7)
    codes = draw(30_000, 8, 0.5)
    names = Beside(("p", "q"), ("x", "y", "z"))
    batch, label = rng.integers(2, size=30_000), rng.integers(-1, 3, size=30_000)
    rows = Block(codes, np.ones(30_000), batch, label)
    sampler = Sampler.of(CARDINALITIES, names, 3)
    assert sampler.cardinalities.tolist() == [*CARDINALITIES, 2, 3]
    sampler = replace(sampler, most=1000)
    wide = names.wide(rows)
    loads = bucket_loads(hash_rows(wide, 3), rows.counts)
    sampler = replace(sampler, loads=loads)
    sampler = replace(sampler, level=sampler.starting_level())
    sample = sampler(rows)
    assert 250 < len(sample.codes) <= 1000
    counted = Counter(map(tuple, wide.tolist()))
    for row, count in zip(sample.codes.tolist(), sample.counts, strict=True):
        assert counted[tuple(row)] == count
    expected = sample.counts / sampler.probabilities(sample.codes, sample.level)
    kept = names.block(sample.codes, expected)
    assert kept.batch is not None
    assert kept.label is not None
    for b in range(2):
        for k in range(-1, 3):
            share = expected[(kept.batch == b) & (kept.label == k)].sum() / expected.sum()
            truth = np.mean((batch == b) & (label == k))
            # A thousand rows and fewer: four standard errors of a share, twice over.
            assert abs(share - truth) < 8 * np.sqrt(truth / 1000)
    # In parts and in any order it is the same sample.
    order = rng.permutation(30_000)
    parts = [sampler(rows.part(order[k : k + 777])) for k in range(0, 30_000, 777)]
    assert same(reduce(sampler.merge, parts), sample)


def test_the_first_pass_counts_batches_and_those_without() -> None:
    codes = draw(900, 11)
    batch = np.arange(900) % 3 - (np.arange(900) % 9 == 0)
    look, _ = first_look(codes[:1], 50)
    counts = np.random.default_rng(0).gamma(2.0, size=900)
    count = replace(look.count, n_batches=3)
    n_rows, incomplete, *_ = count(Block(codes, counts, batch))
    expected = [counts[batch == b].sum() for b in (0, 1, 2, -1)]
    np.testing.assert_allclose(n_rows, expected)
    assert incomplete == 0


def test_texts_that_come_in_parts_get_codes_by_first_appearance() -> None:
    from dosift.data.side_columns import TextCodes, side_column

    rng = np.random.default_rng(5)
    texts = np.array(["beta", "alpha", "delta", "gamma", None], dtype=object)
    column = texts[rng.integers(5, size=400)]
    codes = TextCodes()
    found = np.concatenate(
        [
            codes.add(side_column(column[k : k + 33].tolist(), len(column[k : k + 33]), "batch"))
            for k in range(0, 400, 33)
        ]
    )
    assert [None if k < 0 else codes.texts[k] for k in found] == column.tolist()
    assert sorted(codes.texts) == ["alpha", "beta", "delta", "gamma"]
    assert found.max() == 3


def test_positions_among_known_texts() -> None:
    from dosift.data.side_columns import side_column
    from dosift.errors import InputError

    column = side_column(["b", None, "a", "b", ""], 5, "batch", "rows.csv")
    assert column.positions(["c", "b", "a"]).tolist() == [1, -1, 2, 1, -1]
    with pytest.raises(InputError, match="batch has the batch 'b' in data row 1, which was not"):
        column.positions(["a"])
    with pytest.raises(InputError, match=r"rows\.csv: batch has the batch 'a' in data row 3"):
        column.positions(["b"])
