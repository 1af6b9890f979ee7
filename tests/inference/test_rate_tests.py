"""The p-value of a pair of settings, from sums over the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from dosift.inference.rate_tests import RateWithTest, p_value_of_pair


def rate(n_plausible: int) -> RateWithTest:
    nothing = np.zeros(3)
    return RateWithTest(0.1, 0.01, 1e-9, nothing, nothing, nothing, 0, n_plausible)


RATES = [rate(1), rate(2)]
PAIR = ((0, 1), (1, 2))


@pytest.mark.parametrize(
    ("mean", "square", "n_plausible"), [(0.1, 0.05, 1), (0.02, 0.01, 1), (0.1, 0.05, 2)]
)
def test_it_is_that_of_a_mean_by_its_standard_error(
    mean: float, square: float, n_plausible: int
) -> None:
    """Times the number of states that might be the one that looks excluded."""
    n = 100.0
    found = p_value_of_pair(np.array([n, n * mean, n * square]), [rate(1), rate(n_plausible)], PAIR)
    error = np.sqrt((square - mean**2) / n)
    assert found == pytest.approx(min(1.0, n_plausible * norm.sf(mean / error)), rel=1e-9)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [([0.0, 0.0, 0.0], np.nan), ([np.nan, 1.0, 1.0], np.nan), ([4.0, 4.0, 4.0], 1.0)],
)
def test_where_nothing_varies_nothing_is_told(moments: list[float], expected: Any) -> None:
    found = p_value_of_pair(np.array(moments), RATES, PAIR)
    assert found == pytest.approx(expected, nan_ok=True)
