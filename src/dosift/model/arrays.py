"""Names of the arrays that stand in every signature.

What their axes mean is the same everywhere: ``docs/architecture.md`` says it under "Array
conventions".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Likelihoods, weights, counts of rows, sums.
Floats = NDArray[np.float64]
#: Targets, codes of states, positions.
Ints = NDArray[np.integer]
#: Masks.
Bools = NDArray[np.bool_]
#: Rows of values, shape (n_rows, n_variables): state codes (-1 for a missing one), or numbers
#: (NaN for a missing one).
Values = NDArray[Any]
