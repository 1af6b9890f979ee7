"""What was chosen for each mechanism, and what stands in where rows say too little, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dosift.learning.count_mechanisms import learn_counts
from dosift.learning.regressions import criterion
from dosift.learning.scales import is_constant
from dosift.learning.widths import is_of_states
from dosift.model.burst_counts import BurstMechanism
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.features import Beyond, design
from dosift.model.linear import LinearMechanism
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import LEAST_SD
from dosift.model.uniform import UniformMechanism

#: Least standard deviation of a combination of features, each of one, that rows can be said to vary
#: in: below it, what the single ones do is not known.
_LEAST_APART = 1e-3
#: Rows by which whole numbers are judged, of more every so many-th; and what is one.
_COUNTED_ROWS, _WHOLE = 5000, 1e-6
#: Beyond it, counts are as good as measurements.
_LARGEST = 1e6
#: Nats by which counts are to describe whole numbers better.
_CLEARLY = 4.0
#: Rows for each coefficient below which its prior is felt.
_FEW_ROWS = 3
_SCALES = {"log": "by its logarithm", "logit": "by its log odds"}


def constant_columns(network: MechanismNetwork) -> tuple[int, ...]:
    """Positions of continuous variables that have one value in all control rows.

    Parameters
    ----------
    network : MechanismNetwork
        Learned from control rows.

    Returns
    -------
    tuple of int
        Nothing is known of how they vary by themselves.
    """
    if network.control is None:
        return ()
    used = network.control.values[network.control.weights > 0]
    return tuple(
        i
        for i, one in enumerate(network.mechanisms)
        if isinstance(one, LinearMechanism) and is_constant(used[:, i])
    )


def words_of_mechanisms(network: MechanismNetwork) -> list[str]:
    """Say what control rows made of each mechanism of a number, or of a state given numbers.

    Parameters
    ----------
    network : MechanismNetwork
        Learned from control rows.

    Returns
    -------
    list of str
        A sentence for each choice that is not the plain one (the column as it is, normal noise of
        one width), and for each fallback, in the order of the variables.

    Examples
    --------
    >>> from dosift.learning.mechanisms import learn_mechanisms
    >>> from dosift.model.network import Variable
    >>> latency = np.exp(np.random.default_rng(0).normal(size=(500, 1)))
    >>> network = learn_mechanisms([Variable("latency", kind="continuous")], latency, [[]])
    >>> words_of_mechanisms(network)
    ["'latency' is taken by its logarithm"]
    """
    return [word for i in range(network.n_variables) for word in _of_variable(network, i)]


def _of_variable(network: MechanismNetwork, i: int) -> Iterator[str]:
    mechanism, name = network.mechanisms[i], repr(network.names[i])
    if isinstance(mechanism, LogisticMechanism):
        yield f"{name} has a logistic regression on {_parents(network, i)}"
        yield from _of_rows(network, i, mechanism)
    if isinstance(mechanism, UniformMechanism):
        ends = np.array([mechanism.low, mechanism.high])
        low, high = network.scales[i].user(ends) if network.scales else ends
        yield f"{name} is uniform between {low:.4g} and {high:.4g}"
    if not isinstance(mechanism, LinearMechanism):
        return
    if i in constant_columns(network):
        yield (
            f"{name} has the same value in all control rows: how it varies by itself is not known, "
            "so any other value reads as a change of it, and it says nothing about its parents"
        )
        return
    if _are_counts(network, i, mechanism):
        yield (
            f"the values of {name} are whole numbers, which are better described as counts: "
            f"--counts {network.names[i]}, or kinds={{{name}: 'counts'}}"
        )
    form = network.scales[i].form if network.scales else "raw"
    if form in _SCALES:
        yield f"{name} is taken {_SCALES[form]}"
    yield from _of_noise(mechanism, name)
    if mechanism.noise.sd <= 2.0 * LEAST_SD:
        yield (
            f"{name} follows from its parents exactly; its noise is taken to be a thousandth of "
            "its standard deviation"
        )
    yield from _of_rows(network, i, mechanism)


def _are_counts(network: MechanismNetwork, i: int, mechanism: LinearMechanism) -> bool:
    """Whether control rows clearly say so of a number that is whole in all of them."""
    control = network.control
    if control is None or not network.scales:
        return False
    step = -(-len(control.values) // _COUNTED_ROWS)
    working, weights = np.asarray(control.values)[::step], control.weights[::step]
    scale = network.scales[i]
    column = scale.user(working[:, i])
    counts = np.round(column)
    if (
        counts.min() < 0
        or counts.max() > _LARGEST
        or not np.allclose(column, counts, rtol=0.0, atol=_WHOLE)
    ):
        return False
    values = working.copy()
    values[:, i] = counts
    of_counts = (NegativeBinomialMechanism, BurstMechanism)
    numbers = [p for p in mechanism.parents if not isinstance(network.mechanisms[p], of_counts)]
    other = learn_counts(
        values, weights, i, mechanism.parents, cardinalities=network.cardinalities, numbers=numbers
    )
    # Densities in the users' units: a whole number stands for an interval of length one.
    plain = criterion(mechanism, working, weights) + float(weights @ scale.log_slope(counts))
    return criterion(other, values, weights) - plain > _CLEARLY


def _of_noise(mechanism: LinearMechanism, name: str) -> Iterator[str]:
    noise = mechanism.noise
    if noise.n_parts > 1 and noise.has_means:
        apart = float(np.abs(noise.means[1])) / max(float(noise.sds.min()), LEAST_SD)
        share = float(noise.shares.min())
        yield (
            f"the noise of {name} is two normal distributions, {apart:.2g} standard deviations of "
            f"the narrower apart, the rarer in {share:.2g} of the rows"
        )
    elif noise.n_parts > 1:
        order = np.argsort(noise.sds)
        ratios = " and ".join(
            f"{noise.sds[k] / noise.sds[order[0]]:.2g} times as wide in {noise.shares[k]:.2g}"
            for k in order[1:]
        )
        yield f"the noise of {name} has heavy tails: {ratios} of the rows"
    if mechanism.axis is not None and _by_states(mechanism):
        yield f"the noise of {name} is wider under some states of its parents than under others"
    elif mechanism.axis is not None:
        by = float(np.exp(abs(mechanism.slope)))
        word = "grows" if mechanism.slope > 0 else "shrinks"
        yield (
            f"the noise of {name} {word} with its mean: by a factor of {by:.2g} for each standard "
            "deviation"
        )


def _by_states(mechanism: LinearMechanism) -> bool:
    """Whether the width of the noise depends on the states of parents alone."""
    assert mechanism.axis is not None
    own = [one for one, a in zip(mechanism.features, mechanism.axis[1:], strict=True) if a != 0.0]
    return all(map(is_of_states, own))


def _of_rows(
    network: MechanismNetwork, i: int, mechanism: LinearMechanism | LogisticMechanism
) -> Iterator[str]:
    """Say where rows do not settle the coefficients."""
    if network.control is None or not mechanism.features:
        return
    name, weights = repr(network.names[i]), network.control.weights
    own = [one for one in mechanism.features if not isinstance(one, Beyond)]
    number, size = float(weights.sum()), 1 + len(own)
    if number < _FEW_ROWS * size:
        yield (
            f"{number:.6g} control rows are few for the {size} coefficients of {name}; where they "
            "do not settle these, the parents say little about it"
        )
        return
    # Of constant columns it has been said that they are.
    constant = set(constant_columns(network))
    features = [one for one in own if not constant.intersection(one.columns)]
    if not features:
        return
    x = design(features, network.control.values)[:, 1:]
    x = x - weights @ x / number
    square = x.T @ (x * weights[:, None]) / number
    spread = np.sqrt(np.diag(square))
    if (spread <= 0).any():
        yield (
            f"some combinations of the states of the parents of {name} do not occur in the "
            "control rows; there they say little about it"
        )
        return
    least = float(np.linalg.eigvalsh(square / np.outer(spread, spread))[0])
    if least < _LEAST_APART**2:
        yield (
            f"the parents of {name} ({_parents(network, i)}) do not vary apart in the control "
            "rows; their single effects are not known, and where they part they say little about it"
        )


def _parents(network: MechanismNetwork, i: int) -> str:
    return ", ".join(repr(network.names[p]) for p in network.parents[i])
