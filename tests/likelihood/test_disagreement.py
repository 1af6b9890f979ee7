"""Evidence that a row goes with another target than the rest of its unit."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.likelihood.assignment import Assignment, assign
from dosift.likelihood.disagreement import evidence_against
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes


def plain(rows: Assignment, first: np.ndarray) -> list[float]:
    """With products written out."""
    out = []
    ends = [*first[1:].tolist(), len(rows.mixture)]
    weights = np.broadcast_to(rows.weights, rows.columns.shape)
    for a, b in zip(first.tolist(), ends, strict=True):
        for r in range(a, b):
            others = [k for k in range(a, b) if k != r]
            p_row = (rows.columns[r] * weights[r]).sum()
            p_others = (rows.columns[others].prod(axis=0) * weights[r]).sum()
            p_unit = (rows.columns[a:b].prod(axis=0) * weights[r]).sum()
            if not others or p_row * p_others == 0:
                out.append(1.0)
            else:
                out.append(p_row * p_others / p_unit if p_unit > 0 else np.inf)
    return out


@pytest.mark.parametrize("batches", [False, True])
def test_against_products_written_out(batches: bool) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        size = rng.integers(1, 5, size=30)
        first = np.cumsum(size) - size
        columns = rng.exponential(size=(size.sum(), 4)) * (rng.random((size.sum(), 4)) > 0.3)
        weights = rng.dirichlet(np.ones(4), size=30 if batches else 1)
        if batches:
            weights = np.repeat(weights, size, axis=0)
            weights[:, 1] = 0.0
        else:
            weights = weights[0]
        rows = Assignment(columns, (columns * weights).sum(axis=1), weights, np.zeros(len(columns)))
        found, expected = evidence_against(rows, first), np.array(plain(rows, first))
        assert np.isfinite(found).all()
        finite = np.isfinite(expected)
        np.testing.assert_allclose(found[finite], expected[finite], rtol=1e-9)
        assert (found[~finite] > 1e200).all()


def test_its_mean_is_one_where_rows_are_of_one_target() -> None:
    """Over all that a row may be, given the others: exactly, if every row can be."""
    rng = np.random.default_rng(5)
    network = random_network(3, random_state=rng)
    mixture = random_mixture(network, 3, max_size=2, random_state=rng)
    targets, weights = mixture.to_codes(network)
    every = np.array(np.meshgrid(*[range(k) for k in network.cardinalities])).T.reshape(-1, 3)
    for t in range(len(targets)):
        others, _ = sample_codes(network, targets[t : t + 1], np.ones(1), 2, rng)
        codes = np.concatenate([np.vstack([row, others]) for row in every])
        rows = assign(network, targets, weights, codes)
        first = np.arange(len(every)) * 3
        evidence = evidence_against(rows, first)[::3]
        given = assign(network, targets, weights, others, np.array([0])).posterior[0]
        own = assign(network, targets, weights, every)
        p = (own.columns * given).sum(axis=1) * np.exp(own.log_reference)
        assert p.sum() == pytest.approx(1.0)
        assert p[p > 0] @ evidence[p > 0] <= 1.0 + 1e-9
