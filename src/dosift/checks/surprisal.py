"""Is a row likely at all under a mixture? Its surprise, beside that of simulated rows.

Pure array code. A row's surprise, minus the logarithm of its probability, has no scale of its own:
it grows with the number of variables. The p-value is the share of rows from the mixture that are
at least as surprising, found by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Bools, Floats

#: Expected share of false ones among the rows that are called unexplained.
FALSE_SHARE = 0.05
#: Relative difference of probabilities that rounding may make, in nats.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SurprisalScale:
    """Log-probabilities of rows that were simulated from the mixture.

    Attributes
    ----------
    log_probability : ndarray, shape (n_distinct,)
        Of the distinct rows, ascending.
    up_to : ndarray, shape (n_distinct,)
        Simulated rows of at most that log-probability.
    """

    log_probability: Floats
    up_to: Floats

    @classmethod
    def of_sample(cls, log_probability: Floats, counts: Floats) -> SurprisalScale:
        """Make a scale of distinct simulated rows and their counts.

        Parameters
        ----------
        log_probability : ndarray, shape (n_distinct,)
        counts : ndarray, shape (n_distinct,)
        """
        order = np.argsort(log_probability, kind="stable")
        return cls(log_probability[order], np.cumsum(counts[order]))

    def p_values(self, log_probability: Floats) -> Floats:
        """P-values of "this row came from the mixture".

        Parameters
        ----------
        log_probability : ndarray, shape (n,)
            Of rows, in nats.

        Returns
        -------
        ndarray, shape (n,)
            One more than the simulated rows that are at most as probable, over one more than
            their number; NaN where the log-probability is, and 0 for a row that cannot occur.

        Examples
        --------
        >>> import numpy as np
        >>> scale = SurprisalScale.of_sample(np.log([0.75, 0.25]), np.array([750.0, 249.0]))
        >>> scale.p_values(np.log([0.75, 0.25, 0.01])).tolist()
        [1.0, 0.25, 0.001]
        """
        out = self.levels()[self.places(log_probability)]
        return np.where(
            np.isneginf(log_probability), 0.0, np.where(np.isnan(log_probability), np.nan, out)
        )

    def places(self, log_probability: Floats) -> NDArray[np.int64]:
        """Find how many of the distinct simulated rows are at most as probable.

        Parameters
        ----------
        log_probability : ndarray, shape (n,)

        Returns
        -------
        ndarray of int64, shape (n,)
            From 0 to the number of distinct rows.
        """
        # Searching in order is several times faster, for the sake of the processor's cache.
        order = np.argsort(log_probability)
        out = np.empty(order.size, dtype=np.int64)
        wanted = log_probability[order] + _ROUNDING
        out[order] = np.searchsorted(self.log_probability, wanted, side="right")
        return out

    def levels(self) -> Floats:
        """P-value at each place, ascending, shape (n_distinct + 1,)."""
        out: Floats = (1.0 + np.append(0.0, self.up_to)) / (1.0 + self.up_to[-1])
        return out


def unexplained(p_values: Floats, counts: Floats, false_share: float = FALSE_SHARE) -> Bools:
    """Tell rows that the mixture does not explain, with control of the share of false ones.

    Parameters
    ----------
    p_values : ndarray, shape (n,)
        NaN for rows that are not judged.
    counts : ndarray, shape (n,)
        How often each row occurs.
    false_share : float, default=0.05
        Share of falsely named rows among the named ones, in expectation (Benjamini and Hochberg,
        1995).

    Returns
    -------
    ndarray of bool, shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> unexplained(np.array([0.0001, 0.2, 0.9]), np.array([2.0, 48.0, 50.0])).tolist()
    [True, False, False]
    """
    return np.asarray(p_values <= largest_unexplained(p_values, counts, false_share), dtype=bool)


def largest_unexplained(
    p_values: Floats, counts: Floats, false_share: float = FALSE_SHARE
) -> float:
    """Find the p-value up to which rows are named as unexplained.

    Parameters
    ----------
    p_values, counts, false_share
        As for :func:`unexplained`.

    Returns
    -------
    float
        -1 if no row is named.
    """
    judged = np.where(np.isnan(p_values), 2.0, p_values)
    order = np.argsort(judged, kind="stable")
    total = float(counts[judged <= 1].sum())
    reached = np.cumsum(counts[order])
    below = np.flatnonzero(judged[order] * total <= false_share * reached)
    below = below[(judged[order][below] <= 1) & (counts[order][below] > 0)]
    return float(judged[order][below[-1]]) if below.size else -1.0
