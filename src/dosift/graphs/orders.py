"""An order of causes and effects that the rows of a mixture show by themselves.

Rows in which a variable was set to what it hardly ever is otherwise can be told without any graph.
Its effects are different in them from what they are in control rows, its causes are not. Where
control rows leave a graph open, or hint at a wrong one, this is a start that no edit leads to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dosift.data.configurations import Configurations
from dosift.model.arrays import Floats, Values
from dosift.model.mechanism import Change, Mechanism

#: Standard errors from which a variable differs, and above which it makes no odds.
_DIFFERS, _MOST = 4.0, 20.0
#: Least expected share of rows that were set.
_LEAST_SHARE = 1e-3
#: Steps of EM for the share of the rows that a value was set in, its range, and the nats by which a
#: row may speak for it.
_SHARE_STEPS, _MOST_SHARE, _MOST_EVIDENCE = 10, 0.9, 50.0
#: Posterior, on average over the rows that a change claims, from which it is clear which these are.
_CLEAR = 0.8
#: Bins in which rows are compared, and standard errors by which one differs.
_BINS, _BIN_DIFFERS = 40, 4.5


@dataclass(frozen=True)
class Claim:
    """Which rows seem to come from a change of a variable, by its own values alone.

    Attributes
    ----------
    variable : int
    weight : ndarray, shape (n_pool,)
        Posterior of the change in the rows of the pool.
    usual : ndarray, shape (n_control,)
        The same function of control rows.
    """

    variable: int
    weight: Floats
    usual: Floats

    @property
    def is_clear(self) -> bool:
        """Whether it is clear which rows these are."""
        return float(np.square(self.weight).sum()) > _CLEAR * float(self.weight.sum())


def claims(
    mechanism: Mechanism, changes: Iterable[Change], pool: Configurations, control: Values
) -> list[Claim]:
    """List which rows seem to come from the changes that cut a variable off from its parents.

    What keeps the mechanism is left out: a parent's change looks the same.

    Parameters
    ----------
    mechanism : Mechanism
        Without parents.
    changes : iterable of Change
    pool : Configurations
    control : ndarray, shape (n_control, n_variables)

    Returns
    -------
    list of Claim
        Those that are clear, if any is; all otherwise.
    """
    found = []
    for change in changes:
        if change.keeps_mechanism:
            continue
        applied = change.applied(mechanism)
        rows = (pool.codes, control)
        logs = [applied.log_density(x) - mechanism.log_density(x) for x in rows]
        ratios = [np.exp(np.minimum(log, _MOST_EVIDENCE)) for log in logs]
        share = 0.1
        for _ in range(_SHARE_STEPS):
            weights = [share * r / (1.0 - share + share * r) for r in ratios]
            own = float(pool.counts @ weights[0]) / pool.total
            share = float(np.clip(own, 0.0, _MOST_SHARE))
        found.append(Claim(mechanism.variable, *weights))
    return [one for one in found if one.is_clear] or found


def order_by_claims(
    found: Iterable[Claim], pool: Values, control: Values
) -> tuple[int, ...] | None:
    """Order variables by what differs in the rows that changes of each claim.

    Parameters
    ----------
    found : iterable of Claim
    pool, control : ndarray, shape (n_rows, n_variables)

    Returns
    -------
    tuple of int or None
        Causes first; None where nothing differs.
    """
    effects = np.zeros((pool.shape[1], pool.shape[1]))
    for one in found:
        differ = differences(pool, control, one.weight, one.usual)
        effects[one.variable] = np.maximum(effects[one.variable], differ)
    np.fill_diagonal(effects, 0.0)
    return order_of(effects) if effects.any() else None


def left_alone(found: Iterable[Claim], counts: Floats, n_variables: int) -> Floats:
    """Tell which rows no change of a variable claims.

    Parameters
    ----------
    found : iterable of Claim
    counts : ndarray, shape (n_pool,)
        Of the rows of each kind.
    n_variables : int

    Returns
    -------
    ndarray, shape (n_variables, n_pool)
        Expected numbers of the rows of each kind that left each variable alone.

    Examples
    --------
    >>> left_alone([Claim(1, np.array([0.75, 0.0]), np.zeros(1))], np.array([1.0, 2.0]), 2)
    array([[1.  , 2.  ],
           [0.25, 2.  ]])
    """
    out = np.tile(counts, (n_variables, 1))
    for one in found:
        out[one.variable] *= 1.0 - one.weight
    return out


def differences(pool: Floats, control: Floats, weight: Floats, usual: Floats) -> Floats:
    """Measure by how many standard errors rows that a change claims differ from control rows.

    The weight says how likely a row comes from the change; what control rows of the same values
    would have contributed is taken away.

    Parameters
    ----------
    pool, control : ndarray, shape (n_rows, n_variables)
        On scales on which control rows have mean 0.
    weight : ndarray, shape (n_pool,)
    usual : ndarray, shape (n_control,)
        The same function of control rows.

    Returns
    -------
    ndarray, shape (n_variables,)
        Not negative; of mean or square, whichever differs more.
    """
    share = float(weight.mean())
    own = share - (1.0 - share) * float(usual.mean())
    out = np.zeros(pool.shape[1])
    if own < _LEAST_SHARE:
        return out
    for x, y in ((pool, control), (np.square(pool), np.square(control))):
        level = y.mean(axis=0)
        more = weight[:, None] * (x - level)
        less = (1.0 - share) * usual[:, None] * (y - level)
        moved = more.mean(axis=0) - less.mean(axis=0)
        error = more.var(axis=0) / len(more) + less.var(axis=0) / len(less)
        error += np.square(own) * y.var(axis=0) / len(y)
        out = np.maximum(out, np.abs(moved) / np.sqrt(np.maximum(error, 1e-300)))
    return out


def order_of(effects: Floats) -> tuple[int, ...]:
    """Order variables so that few come after what they differ by.

    The greedy rule of Eades, Lin and Smyth (1993): nothing that makes a cycle counts before what
    makes none.

    Parameters
    ----------
    effects : ndarray, shape (n_variables, n_variables)
        Standard errors by which each column's variable differs where the row's was set.

    Returns
    -------
    tuple of int
        Causes first.

    Examples
    --------
    >>> order_of(np.array([[0.0, 0.0, 9.0], [0.0, 0.0, 0.0], [1.0, 8.0, 0.0]]))
    (0, 2, 1)
    """
    strength = np.where(effects > _DIFFERS, np.minimum(effects, _MOST), 0.0)
    np.fill_diagonal(strength, 0.0)
    left: list[int] = list(range(len(effects)))
    first: list[int] = []
    last: list[int] = []
    while left:
        within = strength[np.ix_(left, left)]
        causes, does = within.sum(axis=0), within.sum(axis=1)
        if (causes == 0).any():
            place = int(np.argmax(np.where(causes == 0, does, -1.0)))
        elif (does == 0).any():
            place = int(np.argmax(np.where(does == 0, causes, -1.0)))
        else:
            place = int(np.argmax(does - causes))
        ends = last if causes[place] > 0 and does[place] == 0 else first
        ends.append(left.pop(place))
    return (*first, *reversed(last))


def differ_in_bins(own: Floats, drawn: Floats, weights: Floats) -> bool:
    """Tell whether values are more frequent somewhere than drawn ones are, or less.

    Parameters
    ----------
    own, drawn : ndarray, shape (n_rows,)
    weights : ndarray, shape (n_rows,)
        Of both.

    Returns
    -------
    bool

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y, one = rng.normal(size=2000), rng.normal(size=2000), np.ones(2000)
    >>> differ_in_bins(x, y, one), differ_in_bins(np.append(x[:1800], np.ones(200)), y, one)
    (False, True)
    """
    edges = np.unique(np.quantile(drawn, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    sums, squares = np.zeros((2, edges.size + 1))
    for sign, values in ((1.0, own), (-1.0, drawn)):
        bins = np.searchsorted(edges, values)
        sums += sign * np.bincount(bins, weights, edges.size + 1)
        squares += np.bincount(bins, np.square(weights), edges.size + 1)
    return bool((np.square(sums) > _BIN_DIFFERS**2 * squares).any())
