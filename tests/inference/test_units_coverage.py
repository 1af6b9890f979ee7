"""Weights and targets from units, where exclusion does not hold: over seeds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import dosift
from dosift.errors import DosiftWarning
from drawn_units import unit_problem


@dataclass(frozen=True)
class Found:
    """What came of some problems, of which no two have rows in common.

    `covered` has a line for each interval of a true target.
    """

    covered: tuple[bool, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    misfits: int

    @property
    def coverage(self) -> float:
        return float(np.mean(self.covered))


def found_over(seeds: range, size: int, n_units: int) -> Found:
    covered: list[bool] = []
    recall, precision, misfits = [], [], 0
    for seed in seeds:
        drawn = unit_problem(seed, size=size, n_units=n_units)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DosiftWarning)
            model = dosift.InterventionMixture(drawn.network).fit(drawn.rows, unit="unit")
        truth = {str(target): weight for target, weight in drawn.mixture.items()}
        table = model.components_.select("target", "ci_low", "ci_high")
        covered += [
            low - 1e-9 <= truth[text] <= high + 1e-9
            for text, low, high in table.iter_rows()
            if text in truth
        ]
        told = dosift.evaluate(drawn.mixture, model.mixture_)
        recall.append(told.recall)
        precision.append(told.precision)
        misfits += not model.fit_check_.fits
    return Found(tuple(covered), tuple(recall), tuple(precision), misfits)


def test_a_few_problems() -> None:
    found = found_over(range(3), 3, 500)
    n = len(found.covered)
    assert found.coverage > 0.95 - 4 * np.sqrt(0.95 * 0.05 / n)
    assert np.mean(found.recall) > 0.9
    assert np.mean(found.precision) > 0.9
    assert found.misfits <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("size", "n_units"), [(2, 1_000), (4, 500)])
def test_many_problems(size: int, n_units: int) -> None:
    """Intervals of 95 % hold the truth in 93 to 97 of 100; targets are found, and no others."""
    found = found_over(range(200), size, n_units)
    assert 0.93 <= found.coverage <= 0.97
    assert np.mean(found.recall) > 0.95
    assert np.mean(found.precision) > 0.97
    assert found.misfits <= 0.03 * 200


@pytest.mark.slow
def test_pairs_tell_what_single_rows_do_not() -> None:
    """The same rows, once as pairs, once as if each had a target of its own."""
    together, apart = [], []
    for seed in range(30):
        drawn = unit_problem(seed, n_units=1_500, n_variables=3, n_targets=6)
        truth = {str(target): weight for target, weight in drawn.mixture.items()}
        for unit, off in (("unit", together), (None, apart)):
            rows = drawn.rows if unit else drawn.rows.drop("unit")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DosiftWarning)
                model = dosift.InterventionMixture(drawn.network).fit(rows, unit=unit)
            found = {str(target): weight for target, weight in model.mixture_.items()}
            keys = {*truth, *found}
            off.append(0.5 * sum(abs(truth.get(k, 0) - found.get(k, 0)) for k in keys))
    assert np.mean(together) < 0.06
    assert np.mean(apart) > 2 * np.mean(together)
