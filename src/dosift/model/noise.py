"""What a regression leaves open: mixtures of a few normal distributions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dosift.model.arrays import Floats

#: Least standard deviation, in units of the working scale: what is exact to so much is a tie.
LEAST_SD = 1e-3
#: Prior of the variance of each part: so many rows that are as wide as is expected.
PRIOR_ROWS = 0.5
#: Prior rows of each part.
_PRIOR_SHARE = 0.5
#: Share of the rows that coefficients can use up at most.
_MOST_SPENT = 0.8
#: Standard deviation of the prior of the parts' means, in units of the expected one.
_PRIOR_MEAN = 3.0


def parts_of_sums(
    sums: tuple[Floats, Floats, Floats, Floats],
    rows: Floats,
    sds: Floats,
    expected: float,
    has_means: bool,
) -> tuple[Floats, Floats, Floats]:
    """Return what a step of EM makes of the parts of one noise, or of several side by side.

    Parameters
    ----------
    sums : tuple of ndarray, shape (..., n_parts)
        For each part the sums of squared residuals, of residuals and of ones, and its rows.
    rows : ndarray, shape (..., n_parts)
        What the squares are divided by: rows, with the prior's.
    sds : ndarray, shape (..., n_parts)
        Before the step.
    expected : float
        Standard deviation that the prior expects.
    has_means : bool
        Whether parts have means of their own; that of the first is 0.

    Returns
    -------
    shares, means, sds : ndarray, shape (..., n_parts)
    """
    square, first, ones, numbers = sums
    means = np.zeros_like(first)
    if has_means:
        prior = np.square(sds / (_PRIOR_MEAN * expected))
        means[..., 1:] = (first / (ones + prior))[..., 1:]
    left = np.maximum(square - 2.0 * means * first + np.square(means) * ones, 0.0)
    variance = (left + PRIOR_ROWS * expected**2) / rows
    shares = numbers + _PRIOR_SHARE
    shares = shares / shares.sum(axis=-1, keepdims=True)
    return shares, means, np.sqrt(np.maximum(variance, LEAST_SD**2))


@dataclass(frozen=True, eq=False)
class Noise:
    """What a regression leaves open: a mixture of normal distributions.

    Attributes
    ----------
    shares : ndarray, shape (n_parts,)
        Summing to one.
    means : ndarray, shape (n_parts,)
        That of the first is 0: the intercept stands for it.
    sds : ndarray, shape (n_parts,)
        Standard deviations.
    has_means : bool
        Whether the parts differ in their means, not in their width alone.
    expected : float
        Standard deviation that the prior expects.
    spent : float
        Rows that the coefficients used up: a single variance is the sum of squares over the
        number of the other rows (restricted maximum likelihood).

    Examples
    --------
    >>> noise = Noise(np.array([0.9, 0.1]), np.zeros(2), np.array([1.0, 3.0]))
    >>> noise.n_free, round(noise.sd, 3)
    (3, 1.342)
    """

    shares: Floats
    means: Floats
    sds: Floats
    has_means: bool = False
    expected: float = 1.0
    spent: float = 0.0

    @classmethod
    def normal(cls, sd: float) -> Noise:
        """Return one normal distribution around 0."""
        return cls(np.ones(1), np.zeros(1), np.array([sd]))

    @property
    def n_parts(self) -> int:
        """Number of normal distributions."""
        return int(self.sds.size)

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return self.n_parts + (self.n_parts - 1) * (1 + self.has_means)

    @property
    def mean(self) -> float:
        """Mean of the noise."""
        return float(self.shares @ self.means)

    @property
    def sd(self) -> float:
        """Standard deviation of all of it."""
        second = self.shares @ (np.square(self.sds) + np.square(self.means))
        return float(np.sqrt(second - self.mean**2))

    def scaled(self, factor: float) -> Noise:
        """Return the noise times a factor."""
        return replace(
            self,
            means=self.means * factor,
            sds=self.sds * factor,
            expected=self.expected * factor,
        )

    def fitted(self, products: Floats, numbers: Floats) -> Noise:
        """Return the noise of residuals: what remains to be done in a step of EM.

        Parameters
        ----------
        products : ndarray, shape (n_parts, 2, 2)
            For each part sums over rows of the products of residual and one.
        numbers : ndarray, shape (n_parts,)
            Expected rows of each part.

        Returns
        -------
        Noise
        """
        square, first, ones = products[:, 0, 0], products[:, 0, 1], products[:, 1, 1]
        rows = numbers + PRIOR_ROWS
        if self.n_parts == 1:
            rows = rows - min(self.spent, _MOST_SPENT * float(numbers[0]))
        shares, means, sds = parts_of_sums(
            (square, first, ones, numbers), rows, self.sds, self.expected, self.has_means
        )
        return replace(self, shares=shares, means=means, sds=sds)

    def log_prior(self) -> float:
        """Logarithm of the prior that :meth:`fitted` maximises with the likelihood."""
        logs = np.log(self.sds)
        out = -PRIOR_ROWS * float(logs.sum() + 0.5 * np.square(self.expected / self.sds).sum())
        if self.n_parts == 1:
            return out + self.spent * float(logs[0])
        out += _PRIOR_SHARE * float(np.log(self.shares).sum())
        return out - 0.5 * float(np.square(self.means / (_PRIOR_MEAN * self.expected)).sum())
