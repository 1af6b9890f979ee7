"""Which components may hold further changes of a variable: a cheap look before the thorough one.

Looking for changes of each of many variables inside each of many components costs a fit by EM each
time, and most find nothing. What rough changes would gain is worth a look at once for all
components that do the same to the variable: their densities are the same, and a component's gain is
a weighted sum over the rows. The thorough look (:class:`~dosift.search.changes.ChangeFinder`)
starts from the same rough changes and a base that is at least as likely, so it would find next to
nothing where this one does.
"""

from __future__ import annotations

import numpy as np

from dosift.model.arrays import Bools, Floats, Values
from dosift.model.mechanism import Change, Changes, Mechanism
from dosift.search.changes import LEAST_PROMISE, MOST_EVIDENCE, SHARES

#: An exact value that so many rows share may be a tie of a component's, which rows of all
#: components together hide.
_TIED = 8


def promising(
    mechanism: Mechanism,
    library: Changes,
    present: tuple[Change | None, ...],
    values: Values,
    weights: Floats,
    log_choices: float,
) -> Bools:
    """Tell which components may hold changes of a variable that are not there yet.

    Parameters
    ----------
    mechanism : Mechanism
        The unchanged one.
    library : Changes
        Suggests changes.
    present : tuple of Change or None
        What each component does to the variable; None where it leaves it alone.
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_components, n_rows)
        Posterior of each component, times the weight of the row.
    log_choices : float
        Logarithm of the number of things that each change is one of.

    Returns
    -------
    ndarray of bool, shape (n_components,)

    Examples
    --------
    >>> from dosift.model.linear import LinearMechanism
    >>> from dosift.model.linear_changes import SetNormal
    >>> from dosift.model.suggested import RegressionChanges
    >>> normal = LinearMechanism.untaught(0, (), ())
    >>> rows = np.random.default_rng(0).normal(size=(1000, 1))
    >>> rows[:100] = 3.0 + 0.3 * rows[:100]
    >>> set_to, weights = SetNormal(3.0, 0.3), np.repeat(np.eye(10), 100, axis=1)[:1]
    >>> [
    ...     promising(normal, RegressionChanges(), (one,), rows, weights, 0.0).tolist()
    ...     for one in (None, set_to)
    ... ]
    [[True], [False]]
    """
    own = values[:, mechanism.variable]
    seen = ~np.isnan(own)
    values, weights, own = values[seen], weights[:, seen], own[seen]
    out: Bools = np.zeros(len(weights), dtype=np.bool_)
    if "do" in library.kinds and _has_ties(own):
        return ~out
    suggested = library.suggested(mechanism, values, weights.sum(axis=0)) if own.size else []
    if not suggested:
        return out
    logs = library.log_densities(mechanism, suggested, values)
    totals = weights.sum(axis=1)
    free = np.array([1.0 + one.n_free for one in suggested])
    half_log = 0.5 * np.log(np.maximum(totals, 2.0))
    needed = LEAST_PROMISE * (half_log[:, None] * free + log_choices)
    for change in {id(one): one for one in present}.values():
        of = np.flatnonzero([one is change for one in present])
        base = (mechanism if change is None else change.applied(mechanism)).log_density(values)
        with np.errstate(invalid="ignore"):
            away = logs - base[:, None]
        away[np.isnan(away)] = 0.0  # neither can make the row
        ratio = np.exp(np.minimum(away, MOST_EVIDENCE)) - 1.0
        # No gain is more than what the slope at none promises.
        most = max(SHARES) * (weights[of] @ ratio)
        some = (most > needed[of]).any(axis=0)
        ratio = ratio[:, some]
        for share in SHARES if some.any() else ():
            gains = weights[of] @ np.log1p(share * ratio)
            out[of] |= (gains > needed[of][:, some]).any(axis=1)
    return out


def _has_ties(own: Floats) -> bool:
    """Whether enough rows share an exact value."""
    ordered = np.sort(own)
    return bool((ordered[_TIED - 1 :] == ordered[: 1 - _TIED]).any())
