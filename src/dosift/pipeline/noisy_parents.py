"""Counts that are measured with noise, and what depends on them.

Where some counts come out a few times as large and what depends on them does not go along, control
rows show too small an effect of the true count: the slope is attenuated. Where the count is changed
the other variable then moves by more than that slope foresees, and it seems to be changed, too, in
the same direction. Control rows in which the count is hardly larger show the slope as it is, as
leaving rows out by the value of a cause does not bend what it does; so they tell how much is
hidden: nothing where the larger counts are true ones, which act on what depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dosift.checks.verdict import Answer, Repair
from dosift.data.blocks import Block
from dosift.likelihood.assignment import assign
from dosift.model.arrays import Floats, Ints
from dosift.model.burst_counts import BurstMechanism
from dosift.model.counts import Fold, NegativeBinomialMechanism
from dosift.model.mechanism_network import MechanismNetwork, as_network, merged_targets
from dosift.pipeline.hidden_cause import ancestors

#: How many times what control rows hide a change may be, and still be that.
_MOST_TIMES = 2.0
#: Effect (logarithm of a mean) below which nothing is hidden.
_LEAST_HIDDEN = 0.05
#: Steps by which a mechanism is learned from control rows.
_STEPS = 8


def by_noisy_parents(
    bursts: Mapping[int, BurstMechanism],
    gain: float,
    network: MechanismNetwork,
    targets: Ints,
    weights: Floats,
    rows: Block,
) -> Answer | None:
    """Leave counts alone that noise in what they depend on makes look changed along with that.

    Parameters
    ----------
    bursts : mapping of int to BurstMechanism
        Of the counts that control rows show to have bursts.
    gain : float
        What these are worth, in nats.
    network : MechanismNetwork
        Of the mixture, with the control rows that taught it.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    rows : Block

    Returns
    -------
    Answer or None
        By what targets touch; None where nothing is changed so.
    """
    if not bursts or network.control is None:
        return None
    posterior = assign(as_network(network), targets, weights, rows.values).posterior
    of_rows = posterior * rows.counts[:, None]
    values = np.asarray(rows.values, dtype=np.float64)
    touched, repairs = np.array(merged_targets(network, targets)), []
    for child, mechanism in enumerate(network.mechanisms):
        parents = set(bursts) & set(mechanism.parents)
        if not isinstance(mechanism, NegativeBinomialMechanism) or not parents:
            continue
        moved = sorted(parents.union(*(ancestors(network.parents, p) for p in parents)))
        along = (targets[:, moved] >= 0).any(axis=1) & (targets[:, child] >= 0)
        if not along.any():
            continue
        noisy = [bursts[p] for p in sorted(parents)]
        hidden = _hidden(mechanism, noisy, network, values, of_rows[:, along])
        for t, amount in zip(np.flatnonzero(along), hidden, strict=True):
            change = network.libraries[child][int(targets[t, child])]
            if isinstance(change, Fold) and _is_hidden(np.log(change.factor), amount):
                touched[t, child] = -1
                by = next(p for p in moved if targets[t, p] >= 0)
                repairs.append(Repair("noise", "parents", (by, child), gain))
    if not repairs:
        return None
    return Answer.merged(tuple(dict.fromkeys(repairs)), gain, touched, weights)


def _hidden(
    mechanism: NegativeBinomialMechanism,
    noisy: list[BurstMechanism],
    network: MechanismNetwork,
    values: Floats,
    of_rows: Floats,
) -> Floats:
    """Effect (logarithm of a mean) that noise hides of what some targets do to parents.

    By the weight of each row under each of these targets.
    """
    assert network.control is not None
    control, weights = network.control.values, network.control.weights
    clear = weights * _clear(noisy, control)
    plain, steep = (_learned(mechanism, control, own) for own in (weights, clear))
    here = np.average(steep.log_means(control) - plain.log_means(control), weights=clear)
    is_clear = _clear(noisy, values)
    there = (steep.log_means(values) - plain.log_means(values)) * is_clear
    sums = of_rows.T @ is_clear
    return np.asarray(of_rows.T @ there / np.maximum(sums, 1e-300) - here)


def _clear(noisy: list[BurstMechanism], values: Floats) -> Floats:
    """Probability of each row that none of some counts is a burst."""
    return np.asarray(np.prod([1.0 - one.posterior(values) for one in noisy], axis=0))


def _learned(
    mechanism: NegativeBinomialMechanism, values: Floats, weights: Floats
) -> NegativeBinomialMechanism:
    for _ in range(_STEPS):
        mechanism = mechanism.fitted(mechanism.statistics(values, weights))
    return mechanism


def _is_hidden(change: float, hidden: float) -> bool:
    """Whether a change is no more than what control rows hide of an effect.

    Examples
    --------
    >>> _is_hidden(-0.8, -0.7), _is_hidden(-2.0, -0.7), _is_hidden(0.5, -0.7)
    (True, False, False)
    """
    return abs(hidden) >= _LEAST_HIDDEN and 0.0 < change / hidden <= _MOST_TIMES
