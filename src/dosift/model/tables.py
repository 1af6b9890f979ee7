"""Tables of probabilities, whose rows sum to one."""

from __future__ import annotations

import numpy as np

from dosift.model.arrays import Floats

#: How far the sum of a conditional probability row may be from one.
ROW_SUM_TOLERANCE = 1e-6

#: Sums this close to one differ by the rounding of double precision alone and are left as they are.
EXACT_SUM = 1e-12


def normalise_rows(table: Floats) -> Floats:
    """Divide the rows whose sum is not one in double precision by their sum.

    Rows that do sum to one (within ``EXACT_SUM``) are kept bit for bit, so that tables survive
    writing and reading unchanged.

    Parameters
    ----------
    table : ndarray of float64, shape (n_rows, n_states)
        Non-negative, with a positive sum in each row.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_states)

    Examples
    --------
    >>> normalise_rows(np.array([[0.25, 0.75], [0.333, 0.666]]))
    array([[0.25      , 0.75      ],
           [0.33333333, 0.66666667]])
    """
    sums = table.sum(axis=1, keepdims=True)
    return np.where(np.abs(sums - 1) > EXACT_SUM, table / sums, table)
