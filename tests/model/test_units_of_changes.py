"""What users say of changes, on working scales and back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dosift.errors import InputError
from dosift.model.altered import Altered
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Gain, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.noise import Noise
from dosift.model.other_text import other_of_parts, parts_of_other
from dosift.model.scale import Scale
from dosift.model.working_changes import _gain_of, _normal_of, _of_count, _shift_of

RAW, LOG = Scale("raw", 10.0, 2.0), Scale("log", 1.0, 0.5, added=3.0)
LOGIT = Scale("logit", 0.5, 2.0)


def test_normals_with_given_moments() -> None:
    assert _normal_of(RAW, 16.0, 3.0) == (3.0, 1.5)
    # On the logarithm of value + 3: mean and deviation of a lognormal.
    middle, sd = _normal_of(LOG, 5.0, 2.0)
    m, s = middle * 0.5 + 1.0, sd * 0.5
    assert math.exp(m + 0.5 * s**2) - 3.0 == pytest.approx(5.0)
    assert math.exp(m + 0.5 * s**2) * math.sqrt(math.expm1(s**2)) == pytest.approx(2.0)
    with pytest.raises(InputError, match="above -3"):
        _normal_of(LOG, -3.0, 1.0)
    middle, sd = _normal_of(LOGIT, 0.3, 0.1)
    drawn = middle + sd * np.random.default_rng(0).normal(size=200_000)
    shares = LOGIT.user(drawn)
    assert shares.mean() == pytest.approx(0.3, abs=0.002)
    assert shares.std() == pytest.approx(0.1, abs=0.002)
    for mean, width in ((1.0, 0.1), (0.5, 0.5), (0.0, 0.1)):
        with pytest.raises(InputError, match="a share cannot"):
            _normal_of(LOGIT, mean, width)


def test_shifts_and_gains_are_in_spreads() -> None:
    assert _shift_of(Altered("shift", (5.0,)), RAW) == Shift(2.5, 1.0, False)
    assert _shift_of(Altered("shift", (5.0,), noise=1.5), RAW) == Shift(2.5, 1.5, True)
    # y -> 3 y + 4, with y = 2 w + 10: w -> 3 w + (4 + 2 * 10) / 2.
    assert _gain_of(Altered("gain", (3.0, 4.0)), RAW) == Gain(3.0, 12.0, 1.0)
    # Of a logarithm, a factor is a shift; what is added before it goes along.
    found = _gain_of(Altered("gain", (2.0, 3.0)), LOG)
    assert found == Shift(pytest.approx(math.log(2.0) / 0.5), 1.0, False)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="offset 3"):
        _gain_of(Altered("gain", (2.0, 2.9)), LOG)
    with pytest.raises(InputError, match="above 0"):
        _gain_of(Altered("gain", (-2.0, 0.0)), LOG)


def test_counts_are_multiplied_or_set() -> None:
    found = _of_count(Altered("set", (4.0, 3.0)))
    # Variance 9 = 4 + a 16.
    assert (found.mean, found.dispersion) == (4.0, pytest.approx(5 / 16))  # type: ignore[attr-defined]
    for mean, sd in ((4.0, 2.0), (0.0, 1.0)):
        with pytest.raises(InputError, match="standard deviation above"):
            _of_count(Altered("set", (mean, sd)))
    with pytest.raises(InputError, match="leaves nothing"):
        _of_count(Altered("fold", (0.0,)))


def network() -> MechanismNetwork:
    own = [LinearMechanism(i, (), (), np.zeros(1), Noise.normal(1.0)) for i in range(2)]
    states = CategoricalMechanism(2, (), (2,), np.array([[0.5, 0.5]]))
    return MechanismNetwork(
        (*own, states),
        (Changes(()), Changes(()), States(("no", "yes"))),
        variables=(
            Variable("x", kind="continuous"),
            Variable("y", kind="continuous"),
            Variable("s", ("no", "yes")),
        ),
        scales=(RAW, LOG, Scale()),
    )


def test_rows_from_elsewhere_are_said_in_units_and_read_back() -> None:
    system = network()
    said = {
        "x": {"mean": 16.0, "sd": 3.0},
        "y": {"log_low": 0.5, "log_high": 2.0},
        "s": {"no": 0.25, "yes": 0.75},
    }
    found = other_of_parts(system, [(0.5, said), (0.5, said)])
    x, y, s = found.parts[0].marginals
    assert (x.shape, x.numbers) == ("normal", (3.0, 1.5))
    assert (y.shape, y.numbers) == ("even", (-1.0, 2.0))
    assert (s.shape, s.numbers) == ("states", (0.25, 0.75))
    assert [one.share for one in found.parts] == [0.5, 0.5]
    (share, again), _ = parts_of_other(system.with_other(found))
    assert share == 0.5
    assert {name: dict(own) for name, own in again.items()} == said
    assert parts_of_other(system) == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": {"mean": 1.0, "sd": 0.0}}, "a number needs"),
        ({"x": {"mean": math.nan, "sd": 1.0}}, "a number needs"),
        ({"x": {"low": 2.0, "high": 2.0}}, "a number needs"),
        ({"x": {"log_mean": 1.0, "log_sd": 1.0}}, "a number needs"),
        ({"s": {"no": 0.25, "yes": 0.75 + 1.1e-6}}, "do not sum"),
        ({"s": {"no": 1.25, "yes": -0.25}}, "do not sum"),
        ({"s": {"maybe": 0.0, "no": 0.25, "yes": 0.75}}, "the network lacks"),
    ],
)
def test_what_is_no_distribution_is_refused(
    change: dict[str, dict[str, float]], words: str
) -> None:
    said = {
        "x": {"mean": 16.0, "sd": 3.0},
        "y": {"log_low": 0.5, "log_high": 2.0},
        "s": {"no": 0.25, "yes": 0.75 + 0.9e-6},
    }
    assert other_of_parts(network(), [(1.0 + 0.9e-6, said)]).parts[0].share == 1.0
    with pytest.raises(InputError, match=words):
        other_of_parts(network(), [(1.0, said | change)])
    for shares in ([0.5], [1.5, -0.5], [], [1.0 + 1.1e-6]):
        with pytest.raises(InputError, match="do not sum to 1"):
            other_of_parts(network(), [(share, said) for share in shares])
