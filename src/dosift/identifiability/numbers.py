"""What is identified of a mixture where variables are numbers, and what cannot be told apart.

The theory is docs/identifiability-of-numbers.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from dosift.identifiability.apart import Components
from dosift.model.arrays import Floats
from dosift.model.features import Beyond, Plain, design
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Gain, SetNormal, Shift
from dosift.model.mechanism import Change, Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.mixture import Mixture
from dosift.model.noise import LEAST_SD
from dosift.model.simulate import changed_by

#: Nats a row below which hard and soft changes are not told apart, and nats that settle it.
LEAST_NATS, SETTLED = 1e-6, 5.0
#: Share of rows that two components may confuse before that is said.
MOST_OVERLAP = 0.1
#: Deviations from the mean, in undisturbed rows, beyond which they show no values.
RANGE = 3.0
#: What each status means.
MEANING = {
    "identified": (
        "No other mixture of normal values that are set, shifts and gains has the same "
        "distribution, whichever variables it changes, but for the kinds that are alike; no "
        "exclusion is needed."
    ),
    "not identified": "Two components have the same distribution; only their sum is known.",
    "not covered": "The theorem does not cover such mechanisms; it is not known here.",
}


@dataclass(frozen=True)
class NumberVariable:
    """What can be told of changes of one variable.

    Attributes
    ----------
    variable : str
    alike : tuple of str
        Kinds of change that have the same distribution where nothing else is changed; empty if all
        are told apart.
    why : str
        Why they are; empty otherwise.
    nats : float
        Mean evidence a row that tells what was set from what was moved, the noise as wide as the
        mechanism's, the parents undisturbed.
    is_exact : bool
        Whether it follows from its parents, or never varied: any other value is a change of it.
    """

    variable: str
    alike: tuple[str, ...]
    why: str
    nats: float
    is_exact: bool


@dataclass(frozen=True)
class NumberChange:
    """What can be told of one change of a target.

    Attributes
    ----------
    target, variable, kind : str
    nats : float
        Mean evidence a row of the component that tells whether the variable was set or moved.
    rows : int or None
        Rows of the mixture that tell it; None where none do.
    """

    target: str
    variable: str
    kind: str
    nats: float
    rows: int | None


@dataclass(frozen=True)
class NumberPair:
    """Two components that are hard to tell apart.

    Attributes
    ----------
    one, other : str
    nats : float
        Mean evidence a row, for the pair's less clear side.
    overlap : float
        Share of rows put down to the wrong one where both are as frequent; .5 if they are the same.
    are_same : bool
        Whether they have the same distribution.
    """

    one: str
    other: str
    nats: float
    overlap: float
    are_same: bool


@dataclass(frozen=True)
class FarChild:
    """A variable whose mechanism a component asks for values that undisturbed rows do not show.

    Attributes
    ----------
    target, variable, parent : str
    away : float
        Mean of the parent in the component, in its standard deviations from its mean in undisturbed
        rows.
    widened : float or None
        By which the mechanism's deviation is widened there, for what the control rows leave open;
        None where it is known, or no line.
    """

    target: str
    variable: str
    parent: str
    away: float
    widened: float | None


@dataclass(frozen=True)
class NumberIdentification:
    """What is identified where variables are numbers.

    Attributes
    ----------
    status : {"identified", "not identified", "not covered"}
    reasons : tuple of str
        Why the theorem does not cover it.
    variables : tuple of NumberVariable
        All measurements.
    changes : tuple of NumberChange
        Of the mixture's targets; empty without a mixture.
    pairs : tuple of NumberPair
        Components that share more than a tenth of their rows, the closest first.
    beyond : tuple of FarChild
    needed : tuple of (str, int or None)
        For each target the least number of mixture rows with which the score keeps it.
    """

    status: str
    reasons: tuple[str, ...]
    variables: tuple[NumberVariable, ...]
    changes: tuple[NumberChange, ...] = ()
    pairs: tuple[NumberPair, ...] = ()
    beyond: tuple[FarChild, ...] = ()
    needed: tuple[tuple[str, int | None], ...] = ()

    @property
    def meaning(self) -> str:
        """The status as a sentence."""
        return MEANING[self.status]

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has.

        Returns
        -------
        dict
        """
        needed = [{"target": target, "rows": rows} for target, rows in self.needed]
        return {**asdict(self), "meaning": self.meaning, "needed": needed}


def numbers_identified(
    network: MechanismNetwork, mixture: Mixture | None = None
) -> NumberIdentification:
    """Say what infinitely many rows tell of a mixture, and what rows of a number can.

    Parameters
    ----------
    network : MechanismNetwork
        Mechanisms are taken as they are.
    mixture : Mixture, optional
        What is asked about.

    Returns
    -------
    NumberIdentification

    Raises
    ------
    InputError
        If the mixture is not of the network.

    Examples
    --------
    >>> from dosift.model.gaussian_network import GaussianNetwork
    >>> from dosift.model.known_mechanisms import known_mechanisms
    >>> network = known_mechanisms(
    ...     GaussianNetwork(("x", "y"), ((), (0,)), (0.0, 0.0), ((), (1.0,)), (1.0, 1.0))
    ... )
    >>> found = numbers_identified(network)
    >>> found.status, [(one.variable, one.alike) for one in found.variables]
    ('identified', [('x', ('set', 'shift', 'gain')), ('y', ())])
    >>> round(found.variables[1].nats, 1)  # half the logarithm of 1 + 1, which is .35
    0.3
    """
    reasons = tuple(_uncovered(network))
    variables = tuple(_of_variables(network))
    if mixture is None:
        return NumberIdentification("not covered" if reasons else "identified", reasons, variables)
    changed, targets = changed_by(network, mixture)
    components = Components.drawn(changed, targets, mixture.weights)
    texts = [str(target) for target in mixture.targets]
    pairs = tuple(sorted(_pairs(components, texts), key=lambda pair: -pair.overlap))
    status = "not covered" if reasons else "identified"
    if any(pair.are_same for pair in pairs):
        status = "not identified"
    return NumberIdentification(
        status,
        reasons,
        variables,
        tuple(_of_changes(components, texts)),
        pairs,
        tuple(_beyond(components, texts)),
        tuple((text, components.rows_needed(t)) for t, text in enumerate(texts)),
    )


def _uncovered(network: MechanismNetwork) -> Iterator[str]:
    """Say which mechanisms are not normal around a line, on the working scales.

    That learned lines may bend beyond the values of control rows is said of the range.
    """
    for name, mechanism in zip(network.names, network.mechanisms, strict=True):
        if not isinstance(mechanism, LinearMechanism):
            yield f"{name!r} is no measurement"
        elif mechanism.noise.n_parts > 1:
            yield (
                f"the noise of {name!r} is a mixture of normal distributions, which changes can "
                "imitate"
            )
        elif mechanism.axis is not None:
            yield f"the width of the noise of {name!r} changes with its parents"
        elif not all(isinstance(feature, Plain | Beyond) for feature in mechanism.features):
            yield f"{name!r} depends on more than a line in its parents"


def _of_variables(network: MechanismNetwork) -> Iterator[NumberVariable]:
    linear = [isinstance(one, LinearMechanism) for one in network.mechanisms]
    means = _undisturbed_means(network)
    for i, mechanism in enumerate(network.mechanisms):
        if not linear[i]:
            continue
        assert isinstance(mechanism, LinearMechanism)
        nats = _kind_nats(means[i], mechanism.noise.sd * mechanism.factor)
        alike: tuple[str, ...] = ()
        why = ""
        if not mechanism.parents:
            alike, why = ("set", "shift", "gain"), "it has no parents"
        elif nats < LEAST_NATS:
            alike, why = ("set", "shift", "gain"), "its parents do nothing to it"
        is_exact = mechanism.noise.sd <= 2.0 * LEAST_SD
        yield NumberVariable(network.names[i], alike, why, nats, is_exact)


def _undisturbed_means(network: MechanismNetwork) -> dict[int, Floats]:
    """Return what parents make of each measurement, in undisturbed rows."""
    nothing = np.full((1, network.n_variables), -1)
    rows = Components.drawn(network, nothing, np.ones(1)).rows[0]
    return {
        i: mechanism.mean(rows)
        for i, mechanism in enumerate(network.mechanisms)
        if isinstance(mechanism, LinearMechanism)
    }


def _kind_nats(means: Floats, sd: float) -> float:
    """Evidence a row for a value that was set and against the nearest shift, or the other way.

    Both are half the logarithm of 1 + (variance of the mean that parents make) / (variance left).
    """
    return 0.5 * float(np.log1p(means.var() / sd**2))


def _sd_of(change: Change, mechanism: LinearMechanism) -> float | None:
    """Deviation that a change leaves a variable; None where it tells its kind by itself."""
    if isinstance(change, SetNormal):
        return change.sd
    if isinstance(change, Shift | Gain):
        return mechanism.noise.sd * mechanism.factor * change.factor
    return None


def _of_changes(components: Components, texts: list[str]) -> Iterator[NumberChange]:
    network = components.network
    for t, target in enumerate(components.targets):
        for i in np.flatnonzero(target >= 0):
            mechanism = network.mechanisms[i]
            change = network.libraries[i][int(target[i])]
            if not isinstance(mechanism, LinearMechanism):
                continue
            sd = _sd_of(change, mechanism)
            if sd is None:
                continue
            nats = _kind_nats(mechanism.mean(components.rows[t]), sd)
            weight = float(components.weights[t])
            rows = None
            if nats >= LEAST_NATS and weight > 0:
                rows = int(np.ceil(SETTLED / (nats * weight)))
            yield NumberChange(texts[t], network.names[i], change.kind, nats, rows)


def _pairs(components: Components, texts: list[str]) -> Iterator[NumberPair]:
    for a, b in combinations(range(len(texts)), 2):
        overlap = components.overlap(a, b)
        same = components.are_same(a, b)
        if overlap > MOST_OVERLAP or same:
            nats = max(min(components.nats(a, b), components.nats(b, a)), 0.0)
            yield NumberPair(texts[a], texts[b], nats, overlap, same)


def _beyond(components: Components, texts: list[str]) -> Iterator[FarChild]:
    network = components.network
    if not network.scales:
        return
    for t, target in enumerate(components.targets):
        rows = components.rows[t]
        away = np.abs(rows.mean(axis=0))
        for i, mechanism in enumerate(network.mechanisms):
            if target[i] >= 0:
                continue
            for p in mechanism.parents:
                if isinstance(network.mechanisms[p], LinearMechanism) and away[p] > RANGE:
                    widened = _widened(mechanism, rows)
                    yield FarChild(
                        texts[t], network.names[i], network.names[p], float(away[p]), widened
                    )


def _widened(mechanism: Mechanism, rows: Floats) -> float | None:
    if not isinstance(mechanism, LinearMechanism) or mechanism.covariance is None:
        return None
    x = design(mechanism.features, rows)
    return float(np.sqrt(1.0 + np.einsum("ij,jk,ik->i", x, mechanism.covariance, x)).mean())
