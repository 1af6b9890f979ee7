"""The examples of docs/identifiability.md run as they stand, and the paper's say what it says."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

from dosift.identifiability import critical_rows, difference, identified, parsimonious, verdict
from dosift.model import Mixture, Network, do

PAGE = Path(__file__).parents[2] / "docs" / "identifiability.md"
HALF = Mixture({do(V1=0): 0.5, do(V1=0, V2=0): 0.5})


def pair(row0: list[float], row1: list[float]) -> Network:
    """V1 -> V2, with P(V1=1) = .5."""
    return Network.from_tables(
        {"V1": "01", "V2": "01"}, {"V2": ["V1"]}, {"V1": [0.5, 0.5], "V2": [row0, row1]}
    )


def test_page() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 30
    assert result.failed == 0


@pytest.mark.parametrize("p0", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_example_3_1(p0: float, share: float) -> None:
    """w(do(V=0)) = (P_mix(0) - p0 + p0 s) / (1 - p0) for any weight s of do(V=1)."""
    coin = Network.from_tables({"V": "01"}, {}, {"V": [p0, 1 - p0]})
    p_mix = p0 + 0.6 * (1 - p0)
    s = share * (1 - p_mix)
    w0 = (p_mix - p0 + p0 * s) / (1 - p0)
    mixture = Mixture({do(V=0): w0, do(V=1): s, do(): max(1 - w0 - s, 0.0)})
    exclusion_mixture = Mixture({do(V=0): 0.6, do(): 0.4})
    assert difference(coin, mixture, exclusion_mixture) < 1e-12
    found = parsimonious(coin, mixture)
    np.testing.assert_allclose([found[do(V=0)], found[do()]], [0.6, 0.4], atol=1e-9)
    assert identified(coin, mixture).status == ("identified" if s == 0 else "not identified")


def test_positivity_fails() -> None:
    stuck = Network.from_tables({"V": "01"}, {}, {"V": [1.0, 0.0]})
    assert difference(stuck, Mixture({do(V=0): 1.0}), Mixture({do(): 1.0})) == 0
    found = identified(stuck, Mixture({do(V=0): 0.3, do(): 0.7}))
    assert found.status == "not identified"
    assert found.parsimonious == Mixture({do(): 1.0})
    assert found.ranges[0].any == (0.0, 1.0)


def test_example_b_1() -> None:
    network = pair([0.5, 0.5], [1.0, 0.0])
    assert not network.is_positive
    assert critical_rows(network, HALF).rows == ()
    assert verdict(network, HALF)["status"] == "identified"
    assert identified(network, HALF).by == "theorem"
    np.testing.assert_allclose(parsimonious(network, HALF).weights, [0.5, 0.5], atol=1e-12)


def test_example_c_1() -> None:
    found = parsimonious(pair([0.5, 0.5], [0.5, 0.5]), [[0.75, 0.25], [0, 0]])
    assert set(found) == set(HALF)
    np.testing.assert_allclose(found.weights, [0.5, 0.5], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_example_c_2(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = Network.from_tables(
        {"V1": "01", "V2": "01", "V3": "01"},
        {"V2": ["V1"], "V3": ["V1", "V2"]},
        {f"V{i + 1}": rng.dirichlet([2, 2], size=2**i) for i in range(3)},
    )
    targets = [do(V1=0), do(V1=0, V2=0), do(V1=0, V2=0, V3=0)]
    truth = Mixture(zip(targets, rng.dirichlet([2, 2, 2]), strict=True))
    found = parsimonious(network, truth)
    assert set(found) == set(truth)
    for target in truth:
        assert found[target] == pytest.approx(truth[target], abs=1e-9)


def test_conditions_are_not_necessary() -> None:
    network = pair([0.5, 0.5], [1.0, 0.0])
    mixture = Mixture({do(): 0.5, do(V2=0): 0.5})
    assert critical_rows(network, mixture).rows == ((1, 1),)
    found = identified(network, mixture)
    assert (found.status, found.by) == ("identified", "linear program")
