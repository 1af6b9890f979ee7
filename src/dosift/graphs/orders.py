"""An order of causes and effects that the rows of a mixture show by themselves.

Rows in which a variable was set to what it hardly ever is otherwise can be told without any graph.
Its effects are different in them from what they are in control rows, its causes are not. Where
control rows leave a graph open, or hint at a wrong one, this is a start that no edit leads to.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Standard errors from which a variable differs, and above which it makes no odds.
_DIFFERS, _MOST = 4.0, 20.0
#: Least expected share of rows that were set.
_LEAST_SHARE = 1e-3


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
    left, out = list(range(len(effects))), []
    while left:
        within = strength[np.ix_(left, left)]
        first = left[int(np.argmin(within.sum(axis=0) - within.sum(axis=1)))]
        out.append(first)
        left.remove(first)
    return tuple(out)
