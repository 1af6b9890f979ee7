"""Numbers without parents whose control rows are drawn evenly from a range."""

from __future__ import annotations

import numpy as np

from dosift.model.arrays import Floats
from dosift.model.uniform import UniformMechanism

#: Nats by which a range has to be better than what it is held against: that of few rows always
#: looks even, as their ends are its ends.
_CLEARLY = 10.0
#: Ends of the range, which are parameters like others.
_N_PARAMETERS = 2


def learn_uniform(column: Floats, weights: Floats, variable: int) -> UniformMechanism | None:
    """Take a column for uniform on the range that it shows.

    Parameters
    ----------
    column : ndarray, shape (n_rows,)
        On the working scale.
    weights : ndarray, shape (n_rows,)
    variable : int

    Returns
    -------
    UniformMechanism or None
        None of a column that is constant.

    Examples
    --------
    >>> learn_uniform(np.arange(5.0), np.ones(5), 0)
    UniformMechanism(variable=0, low=-0.5, high=4.5, outside=0.2857142857142857)
    """
    distinct = np.unique(column[weights > 0])
    if distinct.size < 2:
        return None
    # A value stands for all that are rounded to it.
    half = 0.5 * float(np.median(np.diff(distinct)))
    outside = 2.0 / (float(weights.sum()) + 2.0)
    return UniformMechanism(
        variable, float(distinct[0] - half), float(distinct[-1] + half), outside
    )


def is_clearly_uniform(
    found: UniformMechanism, values: Floats, weights: Floats, other: float
) -> bool:
    """Tell whether rows are clearly likelier under a range than under something else.

    Parameters
    ----------
    found : UniformMechanism
    values : ndarray, shape (n_rows, n_variables)
    weights : ndarray, shape (n_rows,)
    other : float
        Log-likelihood of the rows under the other mechanism, less what its parameters cost.

    Returns
    -------
    bool
    """
    own = float(weights @ found.log_density(values))
    cost = 0.5 * _N_PARAMETERS * float(np.log(max(float(weights.sum()), 2.0)))
    return own - cost > other + _CLEARLY
