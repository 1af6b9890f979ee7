"""Linear-Gaussian networks that are known, as networks of mechanisms, and back."""

from __future__ import annotations

import math

import numpy as np

from dosift.errors import InputError
from dosift.model.features import Beyond, Plain
from dosift.model.gaussian_network import GaussianNetwork, gaussian_network
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.noise import Noise
from dosift.model.scale import Scale
from dosift.model.suggested import RegressionChanges

#: Significant digits that survive the way to working scales and back.
_DIGITS = 14


def known_mechanisms(network: GaussianNetwork) -> MechanismNetwork:
    """Take a linear-Gaussian network for what is known of a system.

    Parameters
    ----------
    network : GaussianNetwork

    Returns
    -------
    MechanismNetwork
        Its mechanisms have no error, and no rows teach them. Working scales are in units of each
        variable's standard deviation in undisturbed rows, about its mean there. Libraries are empty
        and may grow by exact values, normal distributions and shifts.

    Raises
    ------
    InputError
        If a mean or standard deviation in undisturbed rows is too large for a number.

    Examples
    --------
    >>> network = known_mechanisms(
    ...     GaussianNetwork(("x", "y"), ((), (0,)), (10.0, 1.0), ((), (0.5,)), (2.0, 1.0))
    ... )
    >>> network.names, network.edges, network.learns
    (('x', 'y'), [('x', 'y')], False)
    >>> [(scale.centre, round(scale.spread, 3)) for scale in network.scales]
    [(10.0, 2.0), (6.0, 1.414)]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        means, spreads = network.mean, np.sqrt(np.diag(network.covariance))
    mechanisms = []
    for i, row in enumerate(network.parents):
        if not (math.isfinite(means[i]) and math.isfinite(spreads[i])):
            raise InputError(
                f"the mean or standard deviation of {network.names[i]!r} is too large for a "
                "number; make the coefficients of the network smaller"
            )
        line = np.array(network.coefficients[i], dtype=np.float64) * spreads[list(row)]
        mechanisms.append(
            LinearMechanism(
                i,
                row,
                tuple(Plain(p) for p in row),
                # About the means there is no intercept.
                np.append(0.0, line / spreads[i]),
                Noise.normal(network.sds[i] / float(spreads[i])),
            )
        )
    return MechanismNetwork(
        tuple(mechanisms),
        tuple(RegressionChanges() for _ in network.names),
        variables=tuple(Variable(name, kind="continuous") for name in network.names),
        scales=tuple(
            Scale("raw", float(mean), float(spread))
            for mean, spread in zip(means, spreads, strict=True)
        ),
    )


def gaussian_of(network: MechanismNetwork) -> GaussianNetwork:
    """Return the linear-Gaussian network that a network of mechanisms is.

    Parameters
    ----------
    network : MechanismNetwork

    Returns
    -------
    GaussianNetwork
        In the units of the columns, to 14 digits; without the error of coefficients that were
        learned, without libraries of changes, and without the bends that learned lines may have
        beyond the values of control rows.

    Raises
    ------
    InputError
        If a mechanism is something else, with the variable and what it is.

    Examples
    --------
    >>> given = GaussianNetwork(("x", "y"), ((), (0,)), (10.0, 1.0), ((), (0.5,)), (2.0, 1.0))
    >>> gaussian_of(known_mechanisms(given)) == given
    True
    """
    lines, intercepts, sds = {}, {}, {}
    for i, name in enumerate(network.names):
        mechanism = _linear_gaussian(network, i)
        own = network.scales[i] if network.scales else Scale()
        line, middle, size = {}, own.centre, abs(own.centre)
        middle += own.spread * (mechanism.coefficients[0] + mechanism.offset + mechanism.noise.mean)
        for feature, b in zip(mechanism.features, mechanism.coefficients[1:], strict=True):
            if isinstance(feature, Beyond):
                continue
            parent = feature.columns[0]
            scale = network.scales[parent] if network.scales else Scale()
            slope = float(b) * own.spread / scale.spread
            line[network.names[parent]] = _rounded(slope)
            middle -= slope * scale.centre
            size += abs(slope * scale.centre)
        lines[name] = line
        intercepts[name] = _rounded(float(middle), max(size, own.spread))
        sds[name] = _rounded(own.spread * mechanism.factor * float(mechanism.noise.sds[0]))
    return gaussian_network(network.names, lines, intercepts, sds)


def is_linear_gaussian(network: MechanismNetwork) -> bool:
    """Whether all mechanisms are normal around a line in the parents, in the columns' units.

    Parameters
    ----------
    network : MechanismNetwork

    Returns
    -------
    bool
    """
    return all(_otherwise(network, i) is None for i in range(network.n_variables))


def _linear_gaussian(network: MechanismNetwork, i: int) -> LinearMechanism:
    mechanism, why = network.mechanisms[i], _otherwise(network, i)
    if why is not None or not isinstance(mechanism, LinearMechanism):
        raise InputError(
            f"the network is not linear-Gaussian: {network.names[i]!r} {why}; keep it by the "
            "folder that 'fit' writes, whose network.json holds any mechanisms"
        )
    return mechanism


def _otherwise(network: MechanismNetwork, i: int) -> str | None:
    """Say what makes a mechanism not linear-Gaussian; None if it is."""
    mechanism = network.mechanisms[i]
    if not isinstance(mechanism, LinearMechanism):
        return "is no measurement"
    if not _is_raw(network, i):
        return "is modelled by its logarithm or log odds"
    if mechanism.noise.n_parts > 1:
        return "has noise that is no single normal distribution"
    if mechanism.axis is not None:
        return "has noise whose width changes with its parents"
    for feature in mechanism.features:
        parent = feature.columns[0]
        of_number = isinstance(network.mechanisms[parent], LinearMechanism)
        if not (isinstance(feature, Plain | Beyond) and of_number and _is_raw(network, parent)):
            return f"depends on more than a line in {network.names[parent]!r}"
    return None


def _is_raw(network: MechanismNetwork, i: int) -> bool:
    return not network.scales or network.scales[i].form == "raw"


def _rounded(value: float, size: float | None = None) -> float:
    """Leave out the digits that the way to working scales and back costs."""
    size = abs(value) if size is None else size
    if value == 0.0 or size == 0.0:
        return 0.0
    place = _DIGITS - 1 - math.floor(math.log10(size))
    return round(value, place) + 0.0 if abs(place) < 300 else value
