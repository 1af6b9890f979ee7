"""Prices of targets around a mixture, against differences of the log-likelihood itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dosift.search.constraints import Constraints
from dosift.search.neighbour_prices import _extensions, price_neighbours, price_targets
from dosift.search.pricing import Priced
from plain_sums import OTHERS, TARGETS, PlainRows, toy_rows, toy_weights

KINDS = [
    dict(zip(("zeros", "batches", "missing", "labels"), kind, strict=True))
    for kind in itertools.product([False, True], repeat=4)
]
MIXTURE = TARGETS[[0, 1, 3]]
WEIGHTS = np.array([[0.5, 0.3, 0.2], [0.6, 0.0, 0.4], [0.2, 0.3, 0.5]])
EVERY = (0, 1, 2, 3)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 25)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 25)
    monkeypatch.setattr("dosift.data.blocks._CHUNK_ROWS", 10)
    monkeypatch.setattr("dosift.search.neighbour_prices._AT_A_TIME", 3)


def around(targets: np.ndarray, variables: tuple[int, ...], max_size: int | None) -> set[bytes]:
    """Targets, those with a variable less, and what extends any of these by one variable."""
    bases = [t.copy() for t in targets]
    for target in targets:
        for i in np.flatnonzero(target >= 0):
            less = target.copy()
            less[i] = -1
            bases.append(less)
    found = {base.tobytes() for base in bases}
    for base in bases:
        for i in variables:
            for a in range((2, 3, 2, 2)[i]):
                if base[i] < 0 and (max_size is None or (base >= 0).sum() < max_size):
                    more = base.copy()
                    more[i] = a
                    found.add(more.tobytes())
    return found - {t.tobytes() for t in targets}


def read(key: bytes) -> np.ndarray:
    return np.frombuffer(key, dtype=np.int16)


def slopes(rows: PlainRows, weights: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """Gradient and curvature of a target in each batch, by sums written out."""
    mixture = rows.mixture(MIXTURE, weights)
    column = rows.likelihoods(target[None])[:, 0]
    relative = np.where(mixture > 0, column / np.where(mixture > 0, mixture, 1.0), 0.0)
    gradient, curvature = [], []
    for b in range(rows.n_batches):
        at = rows.of_batch(b)
        gradient.append(rows.counts[at] @ relative[at] / rows.counts[at].sum())
        curvature.append(rows.counts[at] @ relative[at] ** 2)
    return (*gradient, *curvature)


def check(rows: PlainRows, weights: np.ndarray, priced: list[Priced], expected: set[bytes]) -> None:
    found = {key: slopes(rows, weights, read(key)) for key in expected}
    assert len(priced) == rows.n_batches
    for b, part in enumerate(priced):
        own = {t.tobytes() for t in part.targets}
        assert len(own) == len(part.targets)
        assert own == {key for key in expected if found[key][b] > 0}
        for target, gradient, curvature in zip(
            part.targets, part.gradient, part.curvature, strict=True
        ):
            values = found[target.tobytes()]
            assert gradient == pytest.approx(values[b], rel=1e-9)
            assert curvature == pytest.approx(values[rows.n_batches + b], rel=1e-9)


@pytest.mark.parametrize(
    "kind", KINDS, ids=lambda kind: "+".join(k for k, v in kind.items() if v) or "plain"
)
def test_prices_are_sums_written_out(kind: dict[str, bool]) -> None:
    rows = toy_rows(1, **kind)
    weights = WEIGHTS[: rows.n_batches]
    free = Constraints.none(rows.network.cardinalities)
    for held in (True, False):
        priced = price_neighbours(
            rows.evidence(held), rows.network, MIXTURE, weights, EVERY, free, None
        )
        check(rows, weights, priced, around(MIXTURE, EVERY, None))


def moved(rows: PlainRows, together: np.ndarray, step: float) -> np.ndarray:
    """Log-likelihood of each batch with so much weight moved to the last target."""
    weights = np.column_stack([(1 - step) * WEIGHTS, np.full(3, step)])
    return rows.log_likelihood(together, weights)


def test_prices_are_slopes_of_the_log_likelihood() -> None:
    """Weight moved from the mixture to a target, a little."""
    for kind in ({"batches": True}, {"missing": True, "batches": True}):
        rows = toy_rows(2, **kind)
        free = Constraints.none(rows.network.cardinalities)
        priced = price_neighbours(
            rows.evidence(True), rows.network, MIXTURE, WEIGHTS, EVERY, free, 2
        )
        n = rows.evidence(True).n_rows
        for b, part in enumerate(priced):
            for k in range(0, len(part.targets), 5):
                together = np.concatenate([MIXTURE, part.targets[k : k + 1]])

                h = 1e-4
                up, now, down = (moved(rows, together, step)[b] for step in (h, 0.0, -h))
                slope = (up - down) / (2 * h)
                assert n[b] * (part.gradient[k] - 1.0) == pytest.approx(slope, rel=1e-4, abs=1e-3)
                bend = (up - 2 * now + down) / h**2
                expected = part.curvature[k] - 2 * n[b] * part.gradient[k] + n[b]
                assert -bend == pytest.approx(expected, rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("variables", [(2,), (3, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("max_size", [1, 2])
def test_variables_and_sizes_are_kept_to(variables: tuple[int, ...], max_size: int) -> None:
    rows = toy_rows(3, batches=True, zeros=True)
    free = Constraints.none(rows.network.cardinalities)
    priced = price_neighbours(
        rows.evidence(False), rows.network, MIXTURE, WEIGHTS, variables, free, max_size
    )
    check(rows, WEIGHTS, priced, around(MIXTURE, variables, max_size))


def test_extensions_of_other_targets_are_priced_too() -> None:
    more = OTHERS[[0, 2]]
    for missing in (False, True):
        rows = toy_rows(4, missing=missing, zeros=True)
        free = Constraints.none(rows.network.cardinalities)
        priced = price_neighbours(
            rows.evidence(True), rows.network, MIXTURE, WEIGHTS[:1], EVERY, free, None, more
        )
        expected = around(MIXTURE, EVERY, None)
        for one in more:
            expected.add(one.tobytes())
            for i, k in enumerate((2, 3, 2, 2)):
                for a in range(k if one[i] < 0 else 0):
                    longer = one.copy()
                    longer[i] = a
                    expected.add(longer.tobytes())
        expected -= {t.tobytes() for t in MIXTURE}
        check(rows, WEIGHTS[:1], priced, expected)


def test_only_what_is_permitted_is_priced() -> None:
    rows = toy_rows(5)
    listed = np.array([[-1, 0, -1, -1], [-1, -1, -1, 1], [1, 1, 1, 1]], dtype=np.int16)
    free = Constraints.none(rows.network.cardinalities)
    some = type(free)(**{**vars(free), "candidates": listed})
    priced = price_neighbours(
        rows.evidence(True), rows.network, MIXTURE, WEIGHTS[:1], EVERY, some, None
    )
    expected = around(MIXTURE, EVERY, None) & {t.tobytes() for t in listed}
    assert len(expected) == 2
    check(rows, WEIGHTS[:1], priced, expected)


def test_targets_of_a_list() -> None:
    for kind in KINDS[::3]:
        rows = toy_rows(6, **kind)
        weights = WEIGHTS[: rows.n_batches]
        others = np.concatenate([OTHERS, TARGETS, OTHERS[:1]])
        for held in (True, False):
            priced = price_targets(rows.evidence(held), rows.network, MIXTURE, weights, others)
            expected = {t.tobytes() for t in others} - {t.tobytes() for t in MIXTURE}
            check(rows, weights, priced, expected)


def test_weights_that_are_best_leave_components_with_slope_one() -> None:
    """What is priced is what a solver would move: no target that it has can gain."""
    from dosift.likelihood.solve import solve

    rows = toy_rows(7, missing=True, batches=True)
    evidence = rows.evidence(True)
    found = solve(evidence, rows.network, TARGETS, toy_weights(3), 1e-11)
    priced = price_targets(evidence, rows.network, OTHERS, np.full((3, 3), 1 / 3), TARGETS)
    assert all(len(part.targets) == len(TARGETS) for part in priced)
    again = price_targets(evidence, rows.network, TARGETS[:0], found.weights[:, :0], TARGETS)
    assert all(len(part.targets) == 0 for part in again)  # nothing stands below a density of zero


def test_bases_are_extended_in_their_free_variables_alone() -> None:
    """By every change of each, and none beyond the largest size."""
    bases = np.array([[-1, 1, -1], [0, 1, -1]], dtype=np.int16)
    listed, places = _extensions(bases, (0, 1), (2, 3), max_size=2)
    assert listed.tolist() == [[-1, 1, -1], [0, 1, -1], [1, 1, -1], [0, 1, -1]]
    # Sums of a base come first, and then those of the changes of each variable.
    assert places.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0]]
