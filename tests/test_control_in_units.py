"""Control rows in units are played as units, and no unit is in both halves."""

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data.blocks import MemoryBlocks
from dosift.learning.mixed import ControlTable, control_as_rows, learn_from_control
from dosift.pipeline.control_halves import halves_in_units
from drawn_units import in_units

TRUE = dosift.random_network(4, random_state=5)
EDGES = list(TRUE.edges)
TRUTH = dosift.Mixture({dosift.do(): 0.6, dosift.do(V1="0"): 0.25, dosift.do(V3="1"): 0.15})


def drawn(mixture: dosift.Mixture, n_units: int, seed: int) -> pl.DataFrame:
    """Rows of units of 2 to 4, with the unit of each."""
    size = np.random.default_rng(seed).integers(2, 5, n_units).tolist()
    return in_units(TRUE, mixture, size, seed).rows.rename({"unit": "clone"})


def numbers(n_units: int, shift: float, seed: int) -> pl.DataFrame:
    """Two measurements of units of three; a share of .3 of units is shifted."""
    rng = np.random.default_rng(seed)
    hit = np.repeat(shift * (rng.random(n_units) < 0.3), 3)
    a = rng.normal(size=3 * n_units) + hit
    b = 0.8 * a + rng.normal(size=3 * n_units)
    return pl.DataFrame({"a": a, "b": b, "clone": np.repeat(np.arange(n_units), 3)})


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("kind", ["states", "numbers"])
def test_units_are_whole(kind: str) -> None:
    if kind == "states":
        rows, graph = drawn(dosift.Mixture({dosift.do(): 1.0}), 300, 1), EDGES
    else:
        rows, graph = numbers(300, 0.0, 1), [("a", "b")]
    table = ControlTable(rows, graph, beside=("clone",), unit="clone")
    network, _ = learn_from_control(table, rows)
    control = control_as_rows(table, network)
    assert control is not None
    assert isinstance(control.rows, MemoryBlocks)
    whole = control.rows.whole
    assert whole.counts.sum() == 300
    halves = list(halves_in_units(network, 1000.0, control))
    assert [half.n_rows for half in halves] == [150, 150]
    seen = [half.evidence.rows.whole for half in halves]  # type: ignore[attr-defined]
    n_rows = [float(own.counts[own.unit].sum()) for own in seen]
    assert sum(n_rows) == len(rows)
    for half, played in zip(halves, n_rows, strict=True):
        known = half.network.control
        assert known is not None
        taught = known.rows.counts.sum() if kind == "states" else len(known.values)  # type: ignore[union-attr]
        assert taught == len(rows) - played
    some = next(halves_in_units(network, 40.0, control))
    assert some.n_rows == 40


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("kind", ["states", "numbers"])
def test_a_fit_plays_its_control_units(kind: str) -> None:
    if kind == "states":
        control, graph = drawn(dosift.Mixture({dosift.do(): 1.0}), 1000, 2), EDGES
        rows = drawn(TRUTH, 800, 3)
    else:
        control, graph, rows = numbers(1000, 0.0, 2), [("a", "b")], numbers(500, 3.0, 3)
    model = dosift.InterventionMixture(random_state=0)
    model.fit(rows, control=control, graph=graph, unit="clone")
    found = model.fitted_.control
    assert found is not None
    assert found.n_rows == 500
    assert found.weight < 0.01
    assert model.verdict_["value"] == "stands"
    # Without units in the control rows these are played row by row.
    model.fit(rows, control=control.drop("clone"), graph=graph, unit="clone")
    assert model.fitted_.control is not None
    assert model.fitted_.control.n_rows > 500 or kind == "numbers"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_nothing_is_invented_in_units() -> None:
    """Twenty clean problems: all stand, and control units bring next to nothing."""
    weights, stand = [], []
    for seed in range(20):
        control = drawn(dosift.Mixture({dosift.do(): 1.0}), 800, 1000 + seed)
        model = dosift.InterventionMixture(random_state=0).fit(
            drawn(TRUTH, 600, 2000 + seed), control=control, graph=EDGES, unit="clone"
        )
        assert model.fitted_.control is not None
        weights.append(model.fitted_.control.weight)
        stand.append(model.verdict_["value"] == "stands")
    assert np.mean(weights) < 0.005
    assert np.mean(stand) >= 0.95
