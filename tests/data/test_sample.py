"""A sample of rows: the same in any order, all of them if they fit, unbiased if not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from dosift.data import Configurations
from dosift.data.blocks import MemoryBlocks
from dosift.data.sample import RowSample, Sampler, bucket_loads, hash_rows
from dosift.likelihood.first_pass import FirstLook, Seen, sampler_after
from dosift.model.network import Network

CARDINALITIES = np.full(10, 3)


def draw(n_rows: int, seed: int, lean: float = 0.75) -> np.ndarray:
    """Rows with frequent and rare configurations among them."""
    rng = np.random.default_rng(seed)
    rest = (1 - lean) / 2
    return rng.choice(3, (n_rows, 10), p=[lean, rest, rest]).astype(np.int8)


def informed(codes: np.ndarray, most: int, seed: int = 0) -> Sampler:
    loads = bucket_loads(hash_rows(codes, seed), np.ones(len(codes)))
    sampler = Sampler(CARDINALITIES, seed, loads, most=most)
    return replace(sampler, level=sampler.starting_level())


def chain(sampler: Sampler, parts: list[np.ndarray]) -> RowSample:
    return reduce(sampler.merge, [sampler(part, np.ones(len(part))) for part in parts])


def tree(sampler: Sampler, parts: list[np.ndarray]) -> RowSample:
    samples = [sampler(part, np.ones(len(part))) for part in parts]
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
    whole = sampler(codes, np.ones(len(codes)))
    assert whole.level > 0
    shuffled = np.random.default_rng(2).permutation(codes)
    parts = [shuffled[start : start + step] for start in range(0, len(codes), step)]
    assert same(merge(sampler, parts), whole)


def test_the_sample_depends_on_the_seed() -> None:
    codes = draw(20_000, 1, 0.5)
    one, other = (informed(codes, 1500, seed)(codes, np.ones(20_000)) for seed in (0, 1))
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
    assert same(blocks.reduce(sampler, sampler.merge), sampler(codes, np.ones(20_000)))


def first_look(codes: np.ndarray, most: int, step: int = 1000) -> tuple[FirstLook, Seen]:
    states = [str(s) for s in range(3)]
    names = [f"V{i}" for i in range(10)]
    network = Network.from_tables(
        dict.fromkeys(names, states), {}, {name: [[1 / 3] * 3] for name in names}
    )
    look = FirstLook(network, Sampler(CARDINALITIES, 0, most=most))
    parts = [codes[start : start + step] for start in range(0, len(codes), step)]
    return look, reduce(look.merge, [look(part, np.ones(len(part))) for part in parts])


def test_counts_are_exact_while_all_configurations_fit() -> None:
    codes = draw(20_000, 3, 0.9)
    counted = Counter(map(tuple, codes.tolist()))
    look, seen = first_look(codes, len(counted))
    assert seen.whole is not None
    found = look.sampler.configurations(seen.whole, seen.n_rows)
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
    assert seen.n_rows == 5000
    assert seen.incomplete == 100
    for j, family in enumerate(seen.families):
        known = codes[codes[:, j] >= 0, j]
        assert family.ravel().tolist() == np.bincount(known, minlength=3).tolist()
    assert seen.loads.sum() == 5000


def test_frequent_configurations_are_always_kept_with_exact_counts() -> None:
    codes = draw(50_000, 5, 0.7)
    counted = Counter(map(tuple, codes.tolist()))
    for seed in range(10):
        sampler = informed(codes, 1000, seed)
        sample = sampler(codes, np.ones(len(codes)))
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
    one = FirstLook(look.network, sampler)
    seen = one(codes, np.ones(len(codes)))
    after = sampler_after(sampler, seen)
    return after.configurations(after(codes, np.ones(len(codes))), float(len(codes)))


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
        sample = sampler(codes, np.ones(6000))
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
