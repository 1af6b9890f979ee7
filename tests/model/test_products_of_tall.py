"""Products of tall matrices, whatever their shape."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.model import arrays
from dosift.model.arrays import product_of_tall


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
@pytest.mark.parametrize("shape", [(0, 3, 2), (1, 1, 1), (100, 4, 3), (103, 40, 40)])
def test_parts_add_up_to_the_product(
    monkeypatch: pytest.MonkeyPatch, step: int, shape: tuple[int, int, int]
) -> None:
    n_rows, n_left, n_right = shape
    monkeypatch.setattr(arrays, "_AS_THEY_STAND", step * n_left * n_right)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(n_rows, n_left)), rng.normal(size=(n_rows, n_right))
    for a, b in ((left, right), (np.asfortranarray(left), np.asfortranarray(right))):
        np.testing.assert_allclose(product_of_tall(a, b), left.T @ right, rtol=1e-12, atol=1e-12)
