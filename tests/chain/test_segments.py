"""Segments of chains: intervals against enumeration, coverage and hits over many chains."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.chain.fit import fit_chain
from dosift.chain.path import most_probable_path
from dosift.chain.rows import ChainRows
from dosift.chain.segments import Segments, _trimmed, segments_of
from dosift.chain.smooth import smooth

LEVEL = 0.95


def test_intervals_hold_what_enumeration_says() -> None:
    """The onset of the stretch around a row, by all sequences."""
    rng = np.random.default_rng(2)
    n_rows, weights, rate = 9, np.array([0.4, 0.6]), 0.25
    columns = rng.random((n_rows, 2)) + 0.1
    exposure = np.r_[np.inf, np.ones(n_rows - 1)]
    rows = ChainRows.of(columns, np.arange(n_rows), exposure)
    begins = np.arange(n_rows) == 0
    path = most_probable_path(rows, weights, rate)
    smoothed = smooth(rows, weights, rate)
    level = 0.6
    found = segments_of(path, begins, smoothed, level)
    paths = np.array(list(itertools.product(range(2), repeat=n_rows)))
    s = 1.0 - np.exp(-rate)
    step = s * weights[paths]
    step[:, 1:] += (1.0 - s) * (paths[:, 1:] == paths[:, :-1])
    step[:, 0] = weights[paths[:, 0]]
    probability = (step * columns[np.arange(n_rows), paths]).prod(axis=1)
    for k in range(len(found)):
        a, b, j = found.first[k], found.last[k], found.target[k]
        surest = a + int(smoothed.posterior[a : b + 1, j].argmax())
        has = paths[:, surest] == j
        onset = np.array([begin_of(row, surest) for row in paths[has]])
        mass = np.bincount(onset, probability[has], n_rows) / probability[has].sum()
        middle = np.cumsum(mass) - 0.5 * mass
        inside = np.flatnonzero((middle >= 0.2 - 1e-9) & (middle <= 0.8 + 1e-9) & (mass > 1e-12))
        between = list(range(inside[0], inside[-1] + 1))
        while len(between) > 1:
            end = min((between[0], between[-1]), key=lambda row: mass[row])
            without = [row for row in between if row != end]
            if abs(mass[without].sum() - level) >= abs(mass[between].sum() - level):
                break
            between = without
        assert (found.first_low[k], found.first_high[k]) == (between[0], between[-1])
        assert found.first_content[k] == pytest.approx(mass[between].sum())


def begin_of(path: NDArray[np.int64], place: int) -> int:
    while place and path[place - 1] == path[place]:
        place -= 1
    return place


@dataclass(frozen=True)
class Case:
    """One chain that was drawn, and what was found of it."""

    truth: NDArray[np.int64]
    found: Segments
    right: float
    oracle: float
    switching: float
    of_segment: NDArray[np.int64]

    def covered(self) -> tuple[int, int, int]:
        """Number of segments whose surest row is right, and of onsets and ends in intervals."""
        ends = np.append(np.flatnonzero(np.diff(self.truth)), self.truth.size - 1)
        n = onsets = lasts = 0
        for k in range(len(self.found)):
            row = self.of_segment[k]
            if self.truth[row] != self.found.target[k]:
                continue
            n += 1
            begin, end = begin_of(self.truth, row), ends[np.searchsorted(ends, row)]
            onsets += self.found.first_low[k] <= begin <= self.found.first_high[k]
            lasts += self.found.last_low[k] <= end <= self.found.last_high[k]
        return n, onsets, lasts


def drawn(seed: int, n_rows: int, clear: float) -> Case:
    """A chain of stretches of 50 rows, fitted with the likelihood of its targets known."""
    rng = np.random.default_rng(seed)
    m, n_symbols = 7, 40
    table = rng.dirichlet(np.full(n_symbols, clear), size=m)
    weights = rng.dirichlet(np.full(m, 4.0))
    switching = 0.02 / (1.0 - float(weights @ weights))
    anew = np.append(True, rng.random(n_rows - 1) < switching)
    draws = rng.choice(m, size=n_rows, p=weights)
    truth = draws[np.maximum.accumulate(np.where(anew, np.arange(n_rows), 0))]
    seen = (rng.random(n_rows)[:, None] > np.cumsum(table, axis=1)[truth]).sum(axis=1)
    index = np.minimum(seen, n_symbols - 1)
    rows = ChainRows.of(table.T, index, np.r_[np.inf, np.ones(n_rows - 1)])
    fit = fit_chain(rows, np.full(m, 1 / m))
    smoothed = smooth(rows, fit.weights, fit.rate)
    oracle = smooth(rows, weights, -float(np.log1p(-switching))).posterior.argmax(axis=1)
    path = most_probable_path(rows, fit.weights, fit.rate)
    found = segments_of(path, np.arange(n_rows) == 0, smoothed, LEVEL)
    own = smoothed.posterior[np.arange(n_rows), path]
    surest = [a + int(own[a : b + 1].argmax()) for a, b in zip(found.first, found.last)]  # noqa: B905
    return Case(
        truth,
        found,
        float((smoothed.posterior.argmax(axis=1) == truth).mean()),
        float((oracle == truth).mean()),
        fit.switching / switching - 1.0,
        np.array(surest),
    )


@pytest.mark.long
@pytest.mark.parametrize("clear", [0.3, 1.0])
def test_onsets_and_ends_are_covered(clear: float) -> None:
    """Over many chains, between .93 and .97; rows are right as often as the oracle's."""
    cases = [drawn(seed, 4000, clear) for seed in range(30)]
    n, onsets, ends = np.sum([case.covered() for case in cases], axis=0)
    assert 0.93 <= onsets / n <= 0.97
    assert 0.93 <= ends / n <= 0.97
    said = np.concatenate([case.found.first_content for case in cases])
    assert abs(onsets / n - said.mean()) < 0.015
    short = [case.oracle - case.right for case in cases]
    assert np.mean(short) < 0.005


@pytest.mark.slow
def test_long_chains_reach_what_is_asked() -> None:
    """20,000 rows: the oracle less .01 in every chain, and the rate of switching within 10 %."""
    cases = [drawn(seed, 20_000, 0.5) for seed in range(40)]
    assert max(case.oracle - case.right for case in cases) < 0.01
    off = np.abs([case.switching for case in cases])
    # Four hundred switches tell the rate to one part in twenty.
    assert np.mean(off) < 0.06
    assert np.mean(off < 0.1) >= 0.85
    n, onsets, ends = np.sum([case.covered() for case in cases], axis=0)
    assert 0.93 <= onsets / n <= 0.97
    assert 0.93 <= ends / n <= 0.97


@pytest.mark.parametrize(
    ("mass", "level", "expected"),
    [
        ([0.1, 0.2, 0.5, 0.15, 0.05], 0.9, (0, 3)),  # without the last it is .95, then .85
        ([0.1, 0.2, 0.5, 0.15, 0.05], 0.84, (1, 3)),
        ([0.05, 0.2, 0.5, 0.05, 0.2], 0.76, (2, 4)),
        ([0.2, 0.5, 0.2, 0.06, 0.04], 0.7, (1, 2)),
        ([0.3, 0.4, 0.3], 0.95, (0, 2)),
        ([1.0], 0.5, (0, 0)),
    ],
)
def test_ends_are_left_out_while_that_brings_the_probability_nearer(
    mass: list[float], level: float, expected: tuple[int, int]
) -> None:
    found = _trimmed(np.array(mass), 0, len(mass) - 1, 0.5 * (1.0 - level))
    assert tuple(found.tolist()) == expected
