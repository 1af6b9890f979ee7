"""Newton's method where sums of fixed size are all that is known of the rows."""

from __future__ import annotations

import numpy as np

from dosift.model.arrays import Floats

#: Eigenvalue of the information, relative, below which a direction is left alone.
_FLAT = 1e-10


def ascent(gradient: Floats, information: Floats) -> Floats:
    """Newton's step with every eigenvalue of the information made positive.

    In units of the diagonal, and with flat directions left alone, so that parents of any scale and
    collinear ones do no harm.
    """
    diagonal = np.abs(np.diag(information))
    unit = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(information / np.outer(unit, unit))
    size = np.abs(values)
    along = vectors.T @ (gradient / unit)
    solved = np.where(size > _FLAT, along / np.maximum(size, _FLAT), 0.0)
    return np.asarray((vectors @ solved) / unit)
