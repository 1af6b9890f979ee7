"""A network with every kind of variable and scale, for tests of what users see of changes."""

from __future__ import annotations

import numpy as np

from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.counts import Fold, NegativeBinomialMechanism, SetCount
from dosift.model.features import Indicator, Plain
from dosift.model.linear import LinearMechanism, Noise
from dosift.model.linear_changes import FreeRegression, Gain, SetNormal, SetPoint, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.scale import Scale

#: One variable on each scale.
VARIABLES = (
    Variable("gene", ("off", "on")),
    Variable("ir_1", kind="continuous"),
    Variable("latency", kind="continuous"),
    Variable("rate", kind="continuous"),
    Variable("RIPK2", kind="count"),
)
SCALES = (
    Scale(),
    Scale("raw", centre=800.0, spread=20.0),
    Scale("log", centre=1.0, spread=0.5, added=0.5),
    Scale("logit", centre=-1.0, spread=0.7),
    Scale("count"),
)


def _linear(variable: int, features: tuple, coefficients: list[float], sd: float):
    parents = tuple(sorted({c for feature in features for c in feature.columns}))
    return LinearMechanism(variable, parents, features, np.array(coefficients), Noise.normal(sd))


def mixed_network() -> MechanismNetwork:
    """Return gene -> ir_1 -> latency -> rate, and the count RIPK2 beside them."""
    mechanisms = (
        CategoricalMechanism(0, (), (), np.array([[0.4, 0.6]])),
        _linear(1, (Indicator(0, 1),), [-0.5, 1.0], 0.8),
        _linear(2, (Plain(1),), [0.0, 0.7], 0.6),
        _linear(3, (Plain(2),), [0.0, -0.6], 0.7),
        NegativeBinomialMechanism(4, (), (), (3.0,), dispersion=0.1),
    )
    libraries = (
        States(("off", "on")),
        Changes((SetNormal(2.0, 0.3), Shift(-2.0), Gain(0.5, 0.3, 1.5), SetPoint(1.0, 0.01))),
        Changes((SetNormal(-2.0, 0.2), Shift(2.5, 1.3, has_factor=True), Gain(1.5, 0.5))),
        Changes((SetNormal(2.5, 0.3), Shift(2.0), SetPoint(-1.0, 0.01), Gain(0.5, 1.0))),
        Changes((Fold(0.17), Fold(3.0), SetCount(90.0, 0.05))),
    )
    return MechanismNetwork(mechanisms, libraries, variables=VARIABLES, scales=SCALES)


def with_free_changes(network: MechanismNetwork) -> MechanismNetwork:
    """Add two free regressions of the first number."""
    more = tuple(FreeRegression(np.array([a, -1.0]), 0.5) for a in (0.0, 1.0))
    libraries = [*network.libraries]
    libraries[1] = Changes((*libraries[1], *more))
    return MechanismNetwork(
        network.mechanisms, tuple(libraries), variables=VARIABLES, scales=SCALES
    )
