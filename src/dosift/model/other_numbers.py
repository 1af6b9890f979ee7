"""What rows from elsewhere look like where variables are numbers.

Their variables are independent of each other: a measurement is normal or even on its working scale,
a count the same by its logarithm, a state has a share. Several such *parts* together hold rows of
several origins, or such as no single one describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr

from dosift.model.arrays import Floats, Values
from dosift.model.mechanism import missing

#: Least standard deviation on the scale of the values, and pseudo-count of each state.
_LEAST_SD, _PRIOR = 1e-3, 0.5
#: Weight of rows below which a part stays as it is.
_LEAST_WEIGHT = 1e-6
_HALF_LOG_2PI = 0.5 * float(np.log(2.0 * np.pi))


@dataclass(frozen=True)
class Marginal:
    """What one variable looks like in rows from elsewhere.

    Attributes
    ----------
    shape : {"normal", "even", "states", "given"}
        "given" for a column that is only conditioned on: it is not explained.
    numbers : tuple of float
        Mean and standard deviation; the least and the largest value; or shares of states.
    of_counts : bool
        Whether values are counts: it is the logarithm of one more that is normal or even, before
        it is rounded.

    Examples
    --------
    >>> one = Marginal("even", (0.0, 4.0))
    >>> np.exp(one.log_density(np.array([1.0, 5.0, np.nan]))).tolist()
    [0.25, 0.0, 1.0]
    >>> counts = Marginal("normal", (2.0, 1.0), of_counts=True)
    >>> float(np.exp(counts.log_density(np.arange(2000.0))).sum().round(6))
    1.0
    """

    shape: str
    numbers: tuple[float, ...] = ()
    of_counts: bool = False

    @property
    def n_free(self) -> int:
        """Number of free parameters; none of what is even over all values."""
        return {"normal": 2, "states": len(self.numbers) - 1}.get(self.shape, 0)

    def log_density(self, column: Values) -> Floats:
        """Logarithm of the density of values; 0 where one is missing.

        Parameters
        ----------
        column : ndarray, shape (n_rows,)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        if self.shape == "given":
            return np.zeros(len(column))
        is_open = missing(column)
        own = np.where(is_open, 0.0, column)
        if self.shape == "states":
            out = np.log(np.array(self.numbers))[own.astype(np.int64)]
        elif self.of_counts:
            out = self._of_counts(own)
        elif self.shape == "normal":
            mean, sd = self.numbers
            out = -0.5 * np.square((own - mean) / sd) - np.log(sd) - _HALF_LOG_2PI
        else:
            low, high = self.numbers
            out = np.where((own >= low) & (own <= high), -np.log(high - low), -np.inf)
        return np.asarray(np.where(is_open, 0.0, out))

    def _of_counts(self, counts: Floats) -> Floats:
        upper = np.log(counts + 1.5)
        lower = np.log(counts + 0.5)
        if self.shape == "even":
            low, high = self.numbers
            width = np.log(high + 1.5) - np.log(low + 0.5)
            inside = (counts >= low) & (counts <= high)
            return np.where(inside, np.log(upper - lower) - np.log(width), -np.inf)
        mean, sd = self.numbers
        above = (upper - mean) / sd
        below = np.where(counts > 0, (lower - mean) / sd, -np.inf)
        # In the tail that is farther from 0 the logarithms of its complement are exact.
        flipped = below > 0
        high_end, low_end = np.where(flipped, -below, above), np.where(flipped, -above, below)
        top = log_ndtr(high_end)
        return np.asarray(top + np.log1p(-np.exp(np.minimum(log_ndtr(low_end) - top, -1e-12))))

    def draw(self, n_rows: int, rng: np.random.Generator) -> Floats:
        """Draw values; not of what is only conditioned on.

        Parameters
        ----------
        n_rows : int
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        if self.shape == "states":
            return rng.choice(len(self.numbers), n_rows, p=self.numbers).astype(np.float64)
        first, second = self.numbers
        if self.shape == "normal":
            drawn = rng.normal(first, second, n_rows)
            return np.maximum(np.rint(np.expm1(drawn)), 0.0) if self.of_counts else drawn
        if not self.of_counts:
            return rng.uniform(first, second, n_rows)
        drawn = rng.uniform(np.log(first + 0.5), np.log(second + 1.5), n_rows)
        return np.clip(np.rint(np.expm1(drawn)), first, second)

    def fitted(self, column: Values, weights: Floats) -> Marginal:
        """Return the same shape as some rows show it.

        Parameters
        ----------
        column : ndarray, shape (n_rows,)
        weights : ndarray, shape (n_rows,)

        Returns
        -------
        Marginal
            The same where nothing is free, or no row has a value.
        """
        return self.taught(self.statistics(column, weights))

    def statistics(self, column: Values, weights: Floats) -> Floats:
        """Sum over rows what :meth:`taught` needs to know of them.

        Parameters
        ----------
        column : ndarray, shape (n_rows,)
        weights : ndarray, shape (n_rows,)

        Returns
        -------
        ndarray, shape (n_statistics,)
            Counts of states; or the number of values, and the sums of their distances from the
            present mean and of the squares of these.
        """
        if not self.n_free:
            return np.empty(0)
        seen = ~missing(column) & (weights > 0)
        own, weights = np.asarray(column[seen], dtype=np.float64), weights[seen]
        if self.shape == "states":
            counted = np.bincount(own.astype(np.int64), weights, len(self.numbers))
            return np.asarray(counted, dtype=np.float64)
        away = (np.log1p(own) if self.of_counts else own) - self.numbers[0]
        return np.array([weights.sum(), weights @ away, weights @ np.square(away)])

    def taught(self, statistics: Floats) -> Marginal:
        """Return the same shape as rows with such statistics show it.

        Parameters
        ----------
        statistics : ndarray
            From :meth:`statistics`, of the same marginal.

        Returns
        -------
        Marginal
        """
        if not self.n_free:
            return self
        total = float(statistics.sum() if self.shape == "states" else statistics[0])
        if total < _LEAST_WEIGHT:
            return self
        if self.shape == "states":
            counted = statistics + _PRIOR
            return replace(self, numbers=tuple((counted / counted.sum()).tolist()))
        moved = float(statistics[1]) / total
        variance = max(float(statistics[2]) / total - moved**2, 0.0)
        sd = max(float(np.sqrt(variance)), _LEAST_SD)
        return replace(self, numbers=(self.numbers[0] + moved, sd))


@dataclass(frozen=True)
class Part:
    """Rows of one origin, whose variables are independent.

    Attributes
    ----------
    share : float
        Of all rows from elsewhere.
    marginals : tuple of Marginal
        One for each variable.
    """

    share: float
    marginals: tuple[Marginal, ...]

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the density of rows, missing values summed out.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        out = np.zeros(len(values))
        for i, one in enumerate(self.marginals):
            out += one.log_density(values[:, i])
        return out


@dataclass(frozen=True)
class OtherNumbers:
    """What rows from elsewhere look like.

    Attributes
    ----------
    parts : tuple of Part
        Whose shares sum to one.

    Examples
    --------
    >>> one = Part(0.5, (Marginal("normal", (0.0, 1.0)),))
    >>> two = Part(0.5, (Marginal("even", (-1.0, 1.0)),))
    >>> OtherNumbers((one, two)).log_density(np.zeros((1, 1))).round(3).tolist()
    [-0.8]
    """

    parts: tuple[Part, ...]

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        of_marginals = sum(one.n_free for part in self.parts for one in part.marginals)
        return of_marginals + len(self.parts) - 1

    def log_parts(self, values: Values) -> Floats:
        """Logarithm of the density of each part, times its share.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows, n_parts)
        """
        return np.stack(
            [np.log(max(one.share, 1e-300)) + one.log_density(values) for one in self.parts], axis=1
        )

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the density of rows, missing values summed out.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        parts = self.log_parts(values)
        return parts[:, 0] if len(self.parts) == 1 else np.logaddexp.reduce(parts, axis=1)

    def fitted(self, values: Values, weights: Floats) -> OtherNumbers:
        """Take a step of EM: each part as the rows that seem to be its own show it.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
        weights : ndarray, shape (n_rows,)
            How far each row comes from elsewhere.

        Returns
        -------
        OtherNumbers
        """
        return self.taught(self.statistics(values, weights))

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum over rows what :meth:`taught` needs to know of them.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
        weights : ndarray, shape (n_rows,)
            How far each row comes from elsewhere.

        Returns
        -------
        ndarray, shape (n_statistics,)
            The rows of each part, and the statistics of its marginals.
        """
        posterior = weights[:, None]
        if len(self.parts) > 1:
            logs = self.log_parts(values)
            highest = logs.max(axis=1, keepdims=True)
            relative = np.exp(logs - np.where(np.isneginf(highest), 0.0, highest))
            posterior = posterior * relative / np.maximum(relative.sum(axis=1, keepdims=True), 1e-9)
        of_marginals = [
            one.statistics(values[:, i], posterior[:, k])
            for k, part in enumerate(self.parts)
            for i, one in enumerate(part.marginals)
        ]
        return np.concatenate([posterior.sum(axis=0), *of_marginals])

    def taught(self, statistics: Floats) -> OtherNumbers:
        """Return each part as rows with such statistics show it.

        Parameters
        ----------
        statistics : ndarray
            From :meth:`statistics`, of the same parts.

        Returns
        -------
        OtherNumbers
        """
        start = len(self.parts)
        total = statistics[:start]
        if total.sum() < _LEAST_WEIGHT:
            return self
        shares = np.maximum(total / total.sum(), 1e-9)
        parts = []
        for share, part in zip((shares / shares.sum()).tolist(), self.parts, strict=True):
            marginals = []
            for one in part.marginals:
                size = one.n_free + 1 if one.n_free else 0
                marginals.append(one.taught(statistics[start : start + size]))
                start += size
            parts.append(Part(share, tuple(marginals)))
        return OtherNumbers(tuple(parts))

    def draw(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Draw rows.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)
            Of which those columns are kept that are only conditioned on.
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_rows, n_variables)
        """
        out = values.copy()
        part = rng.choice(len(self.parts), len(out), p=[one.share for one in self.parts])
        for k, own in enumerate(self.parts):
            rows = np.flatnonzero(part == k)
            for i, one in enumerate(own.marginals):
                if one.shape != "given":
                    out[rows, i] = one.draw(rows.size, rng)
        return out


def suited(
    kind: str, column: Values, weights: Floats, limits: Sequence[float], cost: float
) -> Marginal:
    """Find the shape that a variable has in some rows.

    Parameters
    ----------
    kind : {"number", "count", "state", "given"}
    column : ndarray, shape (n_rows,)
    weights : ndarray, shape (n_rows,)
        How far each row comes from elsewhere.
    limits : tuple of float
        The least and the largest value in all rows; of a state its number of states.
    cost : float
        Nats that a free parameter has to earn.

    Returns
    -------
    Marginal

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(-3.0, 3.0, 500)
    >>> suited("number", rows, np.ones(500), (-3.0, 3.0), 3.0).shape
    'even'
    """
    if kind == "given":
        return Marginal("given")
    if kind == "state":
        n_states = int(limits[-1])
        return Marginal("states", (1.0 / n_states,) * n_states).fitted(column, weights)
    of_counts = kind == "count"
    normal = Marginal("normal", (0.0, 1.0), of_counts).fitted(column, weights)
    low, high = float(limits[0]), float(limits[1])
    if not high > low:
        return normal
    even = Marginal("even", (low, high), of_counts)
    seen = weights > 0
    own, weights = column[seen], weights[seen]
    gain = float(weights @ (normal.log_density(own) - even.log_density(own)))
    return normal if gain > cost * normal.n_free else even
