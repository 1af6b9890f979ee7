"""What noise in a count makes look changed along with that count does not stand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import dosift
from dosift.io.graph import Graph

GRAPH = Graph(("a", "b", "c"), (("a", "b"),))


def drawn(n: int, seed: int, both: float, pool: bool) -> pd.DataFrame:
    """Counts a -> b, and c; a is measured with noise: a tenth comes out eight times as large.

    In 40 % of a pool a is lowered to a tenth, and b by a factor as well.
    """
    rng = np.random.default_rng(seed)
    hit = (rng.random(n) < 0.4) & pool

    def count(mean: np.ndarray) -> np.ndarray:
        return rng.poisson(rng.gamma(10.0, mean / 10.0)).astype(np.float64)

    a = count(np.where(hit, 3.0, 30.0))
    b = count(30.0 * ((1.0 + a) / 31.0) ** 0.8 * np.where(hit, both, 1.0))
    seen = rng.poisson(a * np.where(rng.random(n) < 0.1, 8.0, 1.0))
    c = count(np.full(n, 20.0))
    table = {"a": seen, "b": b, "c": c}
    return pd.DataFrame({name: np.asarray(column, dtype=int) for name, column in table.items()})


def fitted(seed: int, both: float) -> dosift.InterventionMixture:
    control = drawn(800, 2 * seed, both, pool=False)
    rows = drawn(800, 2 * seed + 1, both, pool=True)
    kinds = dict.fromkeys("abc", "counts")
    model = dosift.InterventionMixture(knockouts=True, random_state=0)
    return model.fit(rows, control=control, graph=GRAPH, kinds=kinds)


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("seed", [0])
def test_what_noise_hides_of_an_effect_does_not_stand_as_a_change(seed: int) -> None:
    model = fitted(seed, both=1.0)
    targets = [frozenset(target) for target in model.targets_]
    stands = dict(zip(targets, model.components_["stands"], strict=True))
    assert not stands[frozenset("ab")]
    assert stands[frozenset()]
    assert any("b on a" in reason for reason in model.verdict_.reasons)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("seed", [0])
def test_what_is_lowered_by_far_more_stands(seed: int) -> None:
    model = fitted(seed, both=0.05)
    targets = [frozenset(target) for target in model.targets_]
    assert dict(zip(targets, model.components_["stands"], strict=True))[frozenset("ab")]
