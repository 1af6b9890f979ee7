"""A few cheap steps of EM tell whether a fit with a freed table can be of use at all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network
from dosift.search.joint import DROP_SLACK, JointFit, JointFitter, to_come

#: Rise (nats) in a step of EM at which a rough fit ends, and how many times that more steps may
#: bring.
ROUGHLY, MORE_STEPS = 0.5, 25
#: How many times the rise of the last step all to come bring, at least: the first ones bring the
#: weights there, after which tables may still crawl.
_FEW_STEPS = 4
#: Steps after which nothing is said.
_MOST_STEPS = 60


def is_out_of_reach(
    fitter: JointFitter,
    network: Network,
    start: tuple[Ints, Floats],
    own: Ints,
    least: float,
    value: Callable[[JointFit], float],
) -> bool:
    """Whether a few cheap steps of EM show that a fit cannot bring the objective there.

    Parameters
    ----------
    fitter : JointFitter
    network : Network
        Tables to start from.
    start : tuple of ndarray
        Targets to start from, and their weights.
    own : ndarray of int, shape (n_targets, n_variables)
        Those among them that are there in any case; others were added and may all go.
    least : float
        Of the objective, in nats.
    value : callable
        The objective of a fit, in nats.

    Returns
    -------
    bool
        Where it is true, the value falls short even with all that dropping components may save, all
        that other weights may bring, and generously what steps to come may.
    """
    kept = {target.tobytes() for target in own}
    last, gained = -np.inf, np.inf
    for joint in islice(fitter.steps(network, *start, rise=ROUGHLY), _MOST_STEPS):
        now = value(joint)
        if not np.isfinite(now):
            return False
        rise, last = now - last, now
        if not np.isfinite(rise):
            continue
        of_weights = float((joint.sums.gap * joint.sums.n_possible).sum())
        to_go = max(to_come(rise, gained), _FEW_STEPS * rise) + MORE_STEPS * ROUGHLY
        missing = least - now - of_weights - to_go
        if missing > 0 and _most_saved(fitter, joint, kept) < missing:
            return True
        if rise < ROUGHLY:
            return False
        gained = rise
    return False


def _most_saved(fitter: JointFitter, joint: JointFit, kept: set[bytes]) -> float:
    """Cost of all components that may go: those that were added, and those that lose little.

    No drop of the others is tried, whatever variable they set.
    """
    may_go = fitter.margins(joint) <= DROP_SLACK
    may_go |= np.array([target.tobytes() not in kept for target in joint.targets])
    return float(fitter.costs(joint)[may_go].sum())
