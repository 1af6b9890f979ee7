"""Counts that are measured with noise, and what depends on them.

Where some counts come out a few times as large and what depends on them does not go along, control
rows show too small an effect of the true count: the slope is attenuated. Where the count is changed
the other variable then moves by more than that slope foresees, and it seems to be changed, too, in
the same direction. Both answers say the same of all rows; the other one is given here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dosift.checks.verdict import Answer, Repair
from dosift.data.configurations import Configurations
from dosift.likelihood.assignment import assign
from dosift.model.counts import Fold, NegativeBinomialMechanism
from dosift.model.mechanism_network import MechanismNetwork, as_network, merged_targets
from dosift.pipeline.hidden_cause import ancestors

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Largest share of what a parent does that control rows may hide: noise as large as what is
#: measured halves a slope.
_MOST_HIDDEN = 1.0
#: Effect (logarithm of a mean) below which a parent does nothing that could be hidden.
_LEAST_EFFECT = 0.05


def by_noisy_parents(
    noise: Answer | None,
    network: MechanismNetwork,
    targets: Ints,
    weights: Floats,
    rows: Configurations,
) -> Answer | None:
    """Leave counts alone that noise in what they depend on makes look changed along with that.

    Parameters
    ----------
    noise : Answer or None
        What is asked for where counts have bursts (:meth:`~dosift.pipeline.number_repairs
        .NumberRepairs.noise`).
    network : MechanismNetwork
        Of the mixture, with the control rows that taught it.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    rows : Configurations

    Returns
    -------
    Answer or None
        By what targets touch; None where nothing is changed so.
    """
    if noise is None or network.control is None:
        return None
    noisy = {one.variables[0] for one in noise.repairs}
    posterior = assign(as_network(network), targets, weights, rows.codes).posterior
    of_rows = posterior * rows.counts[:, None]
    touched, repairs = np.array(merged_targets(network, targets)), []
    for child, mechanism in enumerate(network.mechanisms):
        parents = noisy & set(mechanism.parents)
        if not isinstance(mechanism, NegativeBinomialMechanism) or not parents:
            continue
        moved = sorted(parents.union(*(ancestors(network.parents, p) for p in parents)))
        along = (targets[:, moved] >= 0).any(axis=1) & (targets[:, child] >= 0)
        if not along.any():
            continue
        control = float(
            np.average(mechanism.log_means(network.control.values), weights=network.control.weights)
        )
        expected = of_rows.T @ mechanism.log_means(rows.codes) / of_rows.sum(axis=0) - control
        for t in np.flatnonzero(along):
            change = network.libraries[child][int(targets[t, child])]
            if isinstance(change, Fold) and _is_hidden(np.log(change.factor), expected[t]):
                touched[t, child] = -1
                by = next(p for p in moved if targets[t, p] >= 0)
                repairs.append(Repair("noise", "parents", (by, child), noise.gain))
    if not repairs:
        return None
    every, place = np.unique(touched, axis=0, return_inverse=True)
    summed = np.bincount(place.ravel(), weights, len(every)).astype(np.float64)
    pairs = tuple(dict.fromkeys(repairs))
    return Answer(pairs, noise.gain, every[summed > 0], summed[summed > 0])


def _is_hidden(change: float, effect: float) -> bool:
    """Whether a change may be what control rows hide of an effect.

    Examples
    --------
    >>> _is_hidden(-0.5, -0.7), _is_hidden(-2.0, -0.7), _is_hidden(0.5, -0.7)
    (True, False, False)
    """
    if abs(effect) < _LEAST_EFFECT:
        return False
    return 0.0 < change / effect <= _MOST_HIDDEN
