"""Limits of numbers of changes, in the units of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from dosift.inference.change_error import ChangeError, _form, _free, _in_units, _inverse
from dosift.model.altered import Altered
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Gain, SetNormal, Shift
from dosift.model.mechanism import Change, Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.noise import Noise
from dosift.model.scale import Scale


def test_intervals_are_symmetric_where_their_form_says() -> None:
    found = ChangeError(
        0,
        0,
        ("line", "log", "logit"),
        np.array([1.0, 2.0, 0.2]),
        np.array([0.5, 0.5, 0.05]),
        ("line", "log", "logit"),
    )
    low, high = found.interval(0.9)
    z = 1.6448536269514722
    assert (low[0], high[0]) == pytest.approx((1.0 - 0.5 * z, 1.0 + 0.5 * z))
    assert (low[1], high[1]) == pytest.approx((2.0 * np.exp(-z / 4), 2.0 * np.exp(z / 4)))
    away = z * 0.05 / 0.16
    assert (low[2], high[2]) == pytest.approx((expit(logit(0.2) - away), expit(logit(0.2) + away)))
    # Numbers without a logarithm keep to the line.
    off = ChangeError(0, 0, ("a", "b"), np.array([-1.0, 1.5]), np.ones(2), ("log", "logit"))
    low, high = off.interval(0.9)
    np.testing.assert_allclose(low, [-1.0 - z, 1.5 - z])
    np.testing.assert_allclose(high, [-1.0 + z, 1.5 + z])


def test_all_weights_but_the_heaviest_are_free() -> None:
    assert _free(np.array([0.3, 0.5, 0.0, 0.2])).tolist() == [0, 3]
    assert _free(np.ones(1)).size == 0


def test_what_nothing_is_known_of_has_no_error() -> None:
    whole = np.array([[4e6, 1e3, 0.0], [1e3, 2.0, 0.0], [0.0, 0.0, 9.0]])
    np.testing.assert_allclose(_inverse(whole), np.linalg.inv(whole))
    half = whole.copy()
    half[2, 2] = 0.0
    found = _inverse(half)
    np.testing.assert_allclose(found[:2, :2], np.linalg.inv(whole[:2, :2]))
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
    # Two that only their sum is known of.
    both = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 4.0]])
    found = _inverse(both)
    assert np.isnan(found[:2]).all()
    assert found[2, 2] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("entry", "name", "scale", "form"),
    [
        (Altered("set", (1.0, 2.0)), "sd", "raw", "log"),
        (Altered("set", (1.0, 2.0)), "mean", "raw", "line"),
        (Altered("set", (1.0, 2.0)), "mean", "log", "log"),
        (Altered("set", (0.5, 0.1)), "mean", "logit", "logit"),
        (Altered("set", (5.0, 3.0)), "mean", "count", "log"),
        (Altered("fold", (2.0,)), "factor", "count", "log"),
        (Altered("gain", (2.0, 0.0)), "factor", "log", "log"),
        (Altered("gain", (2.0, 0.0)), "factor", "raw", "line"),
        (Altered("gain", (2.0, 0.0)), "offset", "log", "line"),
        (Altered("shift", (2.0,)), "by", "raw", "line"),
    ],
)
def test_where_the_error_of_a_number_is_symmetric(
    entry: Altered, name: str, scale: str, form: str
) -> None:
    assert _form(entry, name, scale) == form


def in_units(change: Change, scale: Scale, covariance: np.ndarray) -> ChangeError:
    network = MechanismNetwork(
        (LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0)),),
        (Changes((change,)),),
        variables=(Variable("x", kind="continuous"),),
        scales=(scale,),
    )
    found = _in_units(network, 0, 0, covariance)
    assert found is not None
    return found


def test_errors_are_carried_by_the_slopes_of_the_units() -> None:
    found = in_units(Shift(1.5), Scale("raw", 10.0, 2.0), np.array([[0.04]]))
    assert (found.names, found.estimate.tolist()) == (("by",), [3.0])
    assert found.std_error == pytest.approx([0.4])
    covariance: Any = np.array([[0.04, 0.01], [0.01, 0.09]])
    found = in_units(SetNormal(1.0, 0.5), Scale("raw", 10.0, 2.0), covariance)
    assert found.estimate.tolist() == [12.0, 1.0]
    assert found.std_error == pytest.approx([0.4, 0.6])
    assert found.forms == ("line", "log")
    # Of a logarithm, mean and deviation depend on both.
    found = in_units(SetNormal(1.0, 0.5), Scale("log"), covariance)
    mean = np.exp(1.0 + 0.125)
    sd = mean * np.sqrt(np.expm1(0.25))
    assert found.estimate == pytest.approx([mean, sd])
    of_mean = np.array([mean, 0.5 * mean])
    of_sd = np.array([sd, 0.5 * sd + mean**2 / sd * 0.5 * np.exp(0.25)])
    expected = [np.sqrt(one @ covariance @ one) for one in (of_mean, of_sd)]
    assert found.std_error == pytest.approx(expected, rel=1e-4)
    # A shift of a logarithm is a factor.
    found = in_units(Shift(np.log(2.0)), Scale("log"), np.array([[0.04]]))
    assert found.names == ("factor", "offset")
    assert found.estimate == pytest.approx([2.0, 0.0])
    assert found.std_error == pytest.approx([0.4, 0.0], abs=1e-9)
    gain = in_units(Gain(2.0, 1.0), Scale("raw", 10.0, 2.0), np.diag([0.01, 0.04, 0.09]))
    # y = 2 w + 10: 2 (y - 10) + 2 * 1 + 10 = 2 y - 8, whose offset is 10 (1 - g) + 2 o.
    assert gain.estimate == pytest.approx([2.0, -8.0])
    assert gain.std_error == pytest.approx([0.1, np.sqrt(100 * 0.01 + 4 * 0.04)])
