"""How sure the rows are: against posteriors row by row."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.checks.assignment_confidence import SURE, certainty
from dosift.likelihood.assignment import Assignment


def test_it_agrees_with_the_rows_one_by_one() -> None:
    network = dosift.random_network(6, random_state=1)
    truth = dosift.random_mixture(network, 4, random_state=2)
    rows = dosift.simulate(network, truth, 3000, random_state=3)
    model = dosift.InterventionMixture(network).fit(rows)
    best = model.predict_proba(rows).max(axis=1)
    found = model.certainty_
    assert found.share_sure == pytest.approx((best > SURE).mean())
    assert found.counts.sum() == pytest.approx(3000)
    assert found.counts.tolist() == np.histogram(best, bins=found.edges)[0].tolist()
    names = model.predict(rows)
    for target, n, mean in zip(model.targets_, found.rows, found.mean_probability, strict=True):
        own = names == str(target)
        assert n == pytest.approx(own.sum())
        assert (np.isnan(mean) and n == 0) or mean == pytest.approx(best[own].mean())


def test_rows_that_cannot_occur_are_counted_apart() -> None:
    columns = np.array([[0.0], [2.0]])
    found = certainty(
        Assignment(columns, columns[:, 0], np.ones(1), np.zeros(2)), np.array([3.0, 1.0])
    )
    assert (found.impossible, found.share_sure, found.counts.sum()) == (3.0, 0.25, 1.0)


def test_no_possible_row_gives_no_mean() -> None:
    columns = np.zeros((1, 2))
    found = certainty(
        Assignment(columns, columns[:, 0], np.full(2, 0.5), np.zeros(1)), np.array([2.0])
    )
    assert found.rows.tolist() == [0.0, 0.0]
    assert np.isnan(found.mean_probability).all()
