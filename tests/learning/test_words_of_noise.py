"""What is said of the noise of a number, in words and figures."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.learning.mechanism_words import _of_noise
from dosift.model.linear import LinearMechanism
from dosift.model.noise import Noise


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (
            Noise(np.array([0.7, 0.3]), np.array([0.0, -3.0]), np.array([0.5, 2.0]), True),
            "is two normal distributions, 6 standard deviations of the narrower apart, the rarer "
            "in 0.3 of the rows",
        ),
        (
            Noise(np.array([0.2, 0.8]), np.array([0.0, 2.0]), np.array([4.0, 1.0]), True),
            "is two normal distributions, 2 standard deviations of the narrower apart, the rarer "
            "in 0.2 of the rows",
        ),
        (
            Noise(np.array([0.1, 0.6, 0.3]), np.zeros(3), np.array([10.0, 1.0, 3.0])),
            "has heavy tails: 3 times as wide in 0.3 and 10 times as wide in 0.1 of the rows",
        ),
    ],
)
def test_noise_of_several_parts_in_words(noise: Noise, words: str) -> None:
    mechanism = LinearMechanism(0, (), (), np.zeros(1), noise)
    assert list(_of_noise(mechanism, "'x'")) == [f"the noise of 'x' {words}"]


def test_of_one_normal_distribution_nothing_is_said() -> None:
    mechanism = LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0))
    assert not list(_of_noise(mechanism, "'x'"))
