"""The mechanism of a continuous variable: a linear regression on its parents.

Values are on a working scale (:mod:`dosift.model.scale`), centred and scaled by the control rows,
so that one is a large step and a hundredth a small one. The noise is a normal distribution, or a
mixture of a few that control rows ask for: heavy tails, or two states.

The density is that of a row that is still to come, given the rows that taught the regression:
where parents are far outside the range of those rows the coefficients' own error widens it, and a
child that must extrapolate gives little evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.model.features import Feature, design
from dosift.model.mechanism import Change, Floats, Values

#: Least standard deviation, in units of the working scale: what is exact to so much is a tie.
LEAST_SD = 1e-3
#: Prior precision of coefficients, in units of the noise: a coefficient is not expected to be
#: above ten times the noise before rows say so; hardly felt with ten rows and more.
_RIDGE = 1e-2
#: Prior of the noise's variance: so many rows of so much.
_PRIOR_ROWS, _PRIOR_VARIANCE = 0.5, 0.1
#: Prior rows of each part of the noise.
_PRIOR_SHARE = 0.5
_LOG_2PI = float(np.log(2.0 * np.pi))


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
    """

    shares: Floats
    means: Floats
    sds: Floats
    has_means: bool = False

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
        return replace(self, means=self.means * factor, sds=self.sds * factor)


@dataclass(frozen=True, eq=False)
class LinearMechanism:
    """A linear regression on features of the parents.

    Attributes
    ----------
    variable : int
        Position of the variable.
    parents : tuple of int
        Positions of its parents.
    features : tuple of Feature
        What the mean is linear in, beside the intercept.
    coefficients : ndarray, shape (1 + n_features,)
        Intercept first.
    noise : Noise
    covariance : ndarray, shape (1 + n_features, 1 + n_features), optional
        Covariance of the coefficients, in units of the noise's variance; None where they are
        known.
    offset : float
        Added to the mean by a change.
    factor : float
        By which a change multiplies the noise.

    Examples
    --------
    >>> from dosift.model.features import Plain
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> values = np.stack([x, 2.0 * x + 0.5 * rng.normal(size=2000)], axis=1)
    >>> start = LinearMechanism.untaught(1, (0,), (Plain(0),))
    >>> found = start.fitted(start.statistics(values, np.ones(2000)))
    >>> found.coefficients[1:].round(1), round(found.noise.sd, 2)
    (array([2.]), 0.5)
    """

    variable: int
    parents: tuple[int, ...]
    features: tuple[Feature, ...]
    coefficients: Floats
    noise: Noise
    covariance: Floats | None = None
    offset: float = 0.0
    factor: float = 1.0
    is_positive: bool = field(default=True, init=False)

    @classmethod
    def untaught(
        cls, variable: int, parents: tuple[int, ...], features: tuple[Feature, ...]
    ) -> LinearMechanism:
        """Return a regression that knows nothing yet."""
        zeros = np.zeros(1 + len(features))
        return cls(variable, parents, features, zeros, Noise.normal(1.0))

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        return int(self.coefficients.size) + self.noise.n_free

    @property
    def is_learned(self) -> bool:
        """Whether the coefficients have an error of their own."""
        return self.covariance is not None

    def mean(self, values: Values) -> Floats:
        """Mean of the regression, without the noise's.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        out: Floats = design(self.features, values) @ self.coefficients
        return out + self.offset

    def _widening(self, x: Floats) -> Floats | float:
        """Factor by which the coefficients' error widens the variance of each row."""
        if self.covariance is None:
            return 1.0
        return np.asarray(1.0 + np.einsum("ij,ij->i", x @ self.covariance, x))

    def _log_parts(self, x: Floats, own: Floats) -> tuple[Floats, Floats | float]:
        """Log-density of each part of the noise, and the widening; the own value not missing."""
        wide = self._widening(x)
        residual = own - x @ self.coefficients - self.offset
        out = np.empty((residual.size, self.noise.n_parts))
        log_wide = 0.5 * np.log(wide)
        for k, (share, mean, sd) in enumerate(
            zip(self.noise.shares, self.noise.means, self.noise.sds, strict=True)
        ):
            own_sd = sd * self.factor
            z = np.square((residual - mean * self.factor) / own_sd)
            constant = np.log(share) - np.log(own_sd) - 0.5 * _LOG_2PI
            out[:, k] = constant - 0.5 * z / wide - log_wide
        return out, wide

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the density, 0 where the own value is missing."""
        own = values[:, self.variable]
        parts, _ = self._log_parts(design(self.features, values), own)
        log = parts[:, 0] if parts.shape[1] == 1 else np.logaddexp.reduce(parts, axis=1)
        return np.asarray(np.where(np.isnan(own), 0.0, log))

    def draw(self, values: Values, rng: np.random.Generator) -> NDArray[Any]:
        """Draw the variable given its parents."""
        x = design(self.features, values)
        part = rng.choice(self.noise.n_parts, size=len(values), p=self.noise.shares)
        noise = self.noise.sds[part] * np.sqrt(self._widening(x)) * rng.normal(size=len(values))
        noise += self.noise.means[part]
        return np.asarray(x @ self.coefficients + self.offset + self.factor * noise)

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum, for each part of the noise, products of intercept, features and the own value.

        Returns
        -------
        ndarray, shape (n_parts, 3 + n_features, 2 + n_features)
            The products, of rows weighted by the part's posterior over the widening; in the last
            line the expected number of rows, and its sum of the logarithms of the widening.
        """
        own = values[:, self.variable]
        seen = ~np.isnan(own) & (weights > 0)
        if not seen.all():
            values, own, weights = values[seen], own[seen], weights[seen]
        together = np.empty((own.size, self.coefficients.size + 1), order="F")
        together[:, :-1] = x = design(self.features, values)
        together[:, -1] = own - self.offset
        size = together.shape[1]
        out = np.zeros((self.noise.n_parts, size + 1, size))
        if self.has_fixed_statistics:
            wide, parts = self._widening(x), None
        else:
            logs, wide = self._log_parts(x, own)
            parts = np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))
        for k in range(self.noise.n_parts):
            own_weights = weights if parts is None else weights * parts[:, k]
            scaled = together * (own_weights / (wide * self.factor**2))[:, None]
            out[k, :-1] = together.T @ scaled
            out[k, -1, 0] = own_weights.sum()
            out[k, -1, 1] = own_weights @ np.log(wide) if self.covariance is not None else 0.0
        return out

    def log_likelihood(self, statistics: Floats) -> float:
        """Log-likelihood of rows by their statistics; for normal noise alone.

        Parameters
        ----------
        statistics : ndarray
            From :meth:`statistics`, if they are fixed.

        Returns
        -------
        float
            In nats.
        """
        own, (number, log_wide) = statistics[0, :-1], statistics[0, -1, :2]
        sd = float(self.noise.sds[0])
        away = np.append(-self.coefficients, 1.0)
        squares = max(float(away @ own @ away), 0.0) / sd**2
        constant = _LOG_2PI + 2.0 * np.log(sd * self.factor)
        return -0.5 * float(number * constant + log_wide + squares)

    @property
    def has_fixed_statistics(self) -> bool:
        """Whether the statistics of rows do not depend on coefficients and noise."""
        return self.noise.n_parts == 1

    def fitted(self, statistics: Floats) -> LinearMechanism:
        """Return the regression that the rows ask for: one step of EM over the noise's parts."""
        k = self.coefficients.size
        precision = 1.0 / np.square(self.noise.sds)
        products, numbers = statistics[:, :-1], statistics[:, -1, 0]
        xx = np.tensordot(precision, products[:, :k, :k], 1)
        xy = np.tensordot(precision, products[:, :k, k], 1)
        xy = xy - np.tensordot(precision * self.noise.means, products[:, :k, 0], 1)
        # The prior is in units of the narrowest noise, as its rows say most.
        ridge = np.full(k, _RIDGE * precision.max())
        ridge[0] *= _RIDGE
        inverse = np.linalg.inv(xx + np.diag(ridge))
        coefficients = inverse @ xy
        noise = self._noise(products, numbers, coefficients)
        covariance = self.covariance
        if covariance is None:
            # How sure coefficients are stays as it is while rows and mechanism are fitted by turns;
            # what an uncertain regression widens would otherwise change under its own feet.
            covariance = inverse * precision.max()
            covariance = 0.5 * (covariance + covariance.T)
        return replace(self, coefficients=coefficients, noise=noise, covariance=covariance)

    def _noise(self, products: Floats, numbers: Floats, coefficients: Floats) -> Noise:
        k = coefficients.size
        means = np.zeros(numbers.size)
        sums = np.empty(numbers.size)
        for part, own in enumerate(products):
            ones, first = own[0, 0], own[0, k] - own[0, :k] @ coefficients
            second = own[k, k] - 2.0 * own[:k, k] @ coefficients
            second += coefficients @ own[:k, :k] @ coefficients
            if self.noise.has_means and part and ones > 0:
                means[part] = first / (ones + _PRIOR_ROWS)
            sums[part] = second - 2.0 * means[part] * first + means[part] ** 2 * ones
        prior = _PRIOR_ROWS * _PRIOR_VARIANCE * np.square(self.noise.sds).clip(LEAST_SD**2, 1.0)
        variance = (np.maximum(sums, 0.0) + prior) / (numbers + _PRIOR_ROWS)
        shares = numbers + _PRIOR_SHARE
        sds = np.sqrt(np.maximum(variance, LEAST_SD**2))
        return replace(self.noise, shares=shares / shares.sum(), means=means, sds=sds)

    def suggested(self, values: Values, weights: Floats, kinds: frozenset[str]) -> list[Change]:
        """Suggest rough changes for the rows at hand; see :mod:`dosift.model.suggested`."""
        from dosift.model.suggested import changes_of_a_regression

        return changes_of_a_regression(self, values, weights, kinds)

    def neutral(self, kind: str) -> Change | None:
        """Return a change of a kind that rows may be fitted by; None if there is none."""
        from dosift.model.suggested import neutral_change

        return neutral_change(self, kind)

    def scores(self, values: Values) -> Floats:
        """Return derivatives by coefficients, and the noise's shares, means and deviations."""
        x = design(self.features, values)
        own = values[:, self.variable]
        parts, wide = self._log_parts(x, own)
        parts = np.exp(parts - np.logaddexp.reduce(parts, axis=1, keepdims=True))
        residual = own - x @ self.coefficients - self.offset
        pull, width = np.empty_like(parts), np.empty_like(parts)
        for k, (mean, sd) in enumerate(zip(self.noise.means, self.noise.sds, strict=True)):
            own_sd = sd * self.factor
            away = residual - mean * self.factor
            pull[:, k] = parts[:, k] * away / (np.square(own_sd) * wide)
            width[:, k] = parts[:, k] * (np.square(away / own_sd) / wide - 1.0) / sd
        out = [x * pull.sum(axis=1, keepdims=True)]
        if parts.shape[1] > 1:
            # By the logarithms of the odds against the first part.
            out.append(parts[:, 1:] - self.noise.shares[1:])
            if self.noise.has_means:
                out.append(pull[:, 1:] * self.factor)
        out.append(width)
        found = np.concatenate(out, axis=1)
        found[np.isnan(own)] = 0.0
        return found
