"""The mechanism of a count, negative binomial regression, and its changes: fold and own mean."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from dosift.model import negative_binomial as nb
from dosift.model.arrays import Bools, Floats, Values
from dosift.model.count_features import is_complete
from dosift.model.features import Feature, design
from dosift.model.mechanism import Change, Changes, Mechanism, missing
from dosift.model.newton import ascent

#: The weak prior: half a count; slopes of one standard deviation of a feature normal around 0;
#: logarithm of the dispersion normal around that of 0.3; logit of the structural zeros around -2.
_PRIOR_COUNT, _SLOPE_PRECISION = 0.5, 1.0
_LOG_DISPERSION, _DISPERSION_PRECISION = float(np.log(0.3)), 0.25
_ZERO_LOGIT, _ZERO_PRECISION = -2.0, 0.25
#: Range of the dispersion, where it is not exactly 0, and of the logit of structural zeros.
LEAST_DISPERSION, LARGEST_DISPERSION = 1e-7, 1e3
_LARGEST_LOGIT = 15.0
#: Range of folds, and of means of their own.
_LEAST_FOLD, _LARGEST_FOLD = 1e-6, 1e6
_LEAST_MEAN, _LARGEST_MEAN = 1e-6, 1e12
#: Information on the intercept below which rows say nothing.
_LEAST_INFORMATION = 1e-100
#: Folds that a search starts from.
_FOLDS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.4, 2.0, 3.0, 5.0)
#: Quantiles of the counts at which a search starts means of their own, and the least such mean.
_LEVELS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_LEAST_START = 0.05


@dataclass(frozen=True)
class NegativeBinomialMechanism:
    """Counts whose log-mean is linear in features of the parents, plus the logarithm of a size.

    With probability `zeros` a count is 0; otherwise it is negative binomial with the mean
    ``exp(coefficients @ features + size - size_centre + log_fold)`` and the variance
    ``mean + dispersion * mean^2``.

    Attributes
    ----------
    variable : int
        Position of the variable.
    parents : tuple of int
        Positions of all columns that are read besides its own: parents, and the size.
    features : tuple of Feature
        What the log-mean is linear in.
    coefficients : tuple of float
        The intercept, then one for each feature.
    dispersion : float
        0, not a free parameter then, for the Poisson distribution.
    zeros : float
        Share of structural zeros, below 1; 0, not a free parameter then, for none.
    offset : int, optional
        Column of the logarithm of the size (depth, exposure, total count) of each row.
    offset_centre : float
        Logarithm of the typical size, at which the intercept is meant.
    log_fold : float
        Known logarithm by which the log-mean differs.
    prior : float
        Weight of a weak prior in :meth:`fitted`, 0 for none.

    Examples
    --------
    >>> from dosift.model.count_features import LogRate
    >>> mechanism = NegativeBinomialMechanism(1, (0,), (LogRate(0),), (0.0, 1.0), dispersion=0.5)
    >>> mechanism.means(np.array([[1.0, 0.0], [9.0, 0.0]])).round(6).tolist()
    [2.0, 10.0]
    >>> mechanism.log_density(np.array([[1.0, 0.0], [1.0, np.nan]])).round(4)  # 0: missing
    array([-1.3863,  0.    ])
    """

    variable: int
    parents: tuple[int, ...]
    features: tuple[Feature, ...]
    coefficients: tuple[float, ...]
    dispersion: float = 0.0
    zeros: float = 0.0
    offset: int | None = None
    offset_centre: float = 0.0
    log_fold: float = 0.0
    prior: float = 0.0
    is_positive: ClassVar[bool] = True

    @property
    def n_free(self) -> int:
        """Number of coefficients, and of dispersion and structural zeros where there are any."""
        return len(self.coefficients) + (self.dispersion > 0.0) + (self.zeros > 0.0)

    def log_means(self, values: Values) -> Floats:
        """Logarithm of the mean of the counts that are no structural zeros.

        Unlike in a matrix product, that of one row hangs on no other.
        """
        return self._log_means_of((feature(values) for feature in self.features), values)

    def _log_means_of(self, features: Iterable[Floats], values: Values) -> Floats:
        """Log-means by features that are evaluated already."""
        out = np.full(len(values), self.coefficients[0] + self.log_fold)
        for feature, coefficient in zip(features, self.coefficients[1:], strict=True):
            out += coefficient * feature
        if self.offset is not None:
            out += values[:, self.offset] - self.offset_centre
        return out

    def means(self, values: Values) -> Floats:
        """Mean of the counts that are no structural zeros, shape (n_rows,)."""
        limits = nb.LEAST_LOG_MEAN, nb.LARGEST_LOG_MEAN
        return np.asarray(np.exp(np.clip(self.log_means(values), *limits)))

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the probability of each row's count."""
        seen, counts = self.counts(values)
        log_mean = self.log_means(values)
        out = nb.log_density(counts, log_mean, self.dispersion)
        if self.zeros > 0.0:
            out += np.log1p(-self.zeros)
            nil = counts == 0
            out[nil] = np.logaddexp(np.log(self.zeros), out[nil])
        if not seen.all():
            out[~seen] = 0.0
        return out

    def draw(self, values: Values, rng: np.random.Generator) -> Floats:
        """Draw counts given the values of the parents."""
        means = self.means(values)
        if self.dispersion > 0.0:
            means = rng.gamma(1.0 / self.dispersion, self.dispersion * means)
        drawn = rng.poisson(np.minimum(means, 1e18)).astype(np.float64)
        if self.zeros > 0.0:
            drawn[rng.random(len(values)) < self.zeros] = 0.0
        return drawn

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum gradient and information at the present parameters, side by side.

        Rows that lack the count or a parent are left out.

        Returns
        -------
        ndarray, shape (n_free, 1 + n_free)
        """
        complete = is_complete(values, (self.variable, *self.parents))
        if not complete.all():
            values, weights = values[complete], weights[complete]
        x, z, d = self._derivatives(values)
        present = 1.0 - z
        gradient = self._extended(x, weights * present * d.e, weights * present * d.t, weights * z)
        if self.zeros > 0.0:
            gradient[-1] -= self.zeros * weights.sum()
        # Second derivatives of log(zeros + (1 - zeros) p); where the count is not 0, of log p.
        mixed = z * present
        ee = -weights * (present * d.ee + mixed * d.e * d.e)
        k = len(self.coefficients)
        information = np.zeros((self.n_free, self.n_free))
        information[:k, :k] = (x * ee[:, None]).T @ x
        if self.dispersion > 0.0:
            et = -weights * (present * d.et + mixed * d.e * d.t)
            information[:k, k] = information[k, :k] = x.T @ et
            information[k, k] = -weights @ (present * d.tt + mixed * d.t * d.t)
        if self.zeros > 0.0:
            cross = self._extended(
                x, weights * mixed * d.e, weights * mixed * d.t, -weights * mixed
            )
            cross[-1] += self.zeros * (1.0 - self.zeros) * weights.sum()
            information[-1, :] = information[:, -1] = cross
        return np.concatenate([gradient[:, None], information], axis=1)

    def fitted(self, statistics: Floats) -> NegativeBinomialMechanism:
        """Take a step of Newton's method, damped, upwards also where the likelihood is convex."""
        k = len(self.coefficients)
        precision, away = self._prior()
        gradient = statistics[:, 0] - self.prior * precision * away
        gradient[0] += self.prior * _PRIOR_COUNT
        information = statistics[:, 1:] + self.prior * np.diag(precision)
        step = ascent(gradient, information)
        # No further than the mean of a typical row changes by e, or the other parameters by that.
        moved = float(step[:k] @ information[:k, :k] @ step[:k])
        length = np.sqrt(max(moved, 0.0) / max(information[0, 0], _LEAST_INFORMATION))
        step /= max(1.0, length, *np.abs(step[k:]))
        coefficients = np.array(self.coefficients) + step[:k]
        coefficients[0] = np.clip(coefficients[0], nb.LEAST_LOG_MEAN, nb.LARGEST_LOG_MEAN)
        out = replace(self, coefficients=tuple(coefficients.tolist()))
        if self.dispersion > 0.0:
            dispersion = np.clip(
                self.dispersion * np.exp(step[k]), LEAST_DISPERSION, LARGEST_DISPERSION
            )
            out = replace(out, dispersion=float(dispersion))
        if self.zeros > 0.0:
            logit = np.clip(_logit(self.zeros) + step[-1], -_LARGEST_LOGIT, _LARGEST_LOGIT)
            out = replace(out, zeros=float(1.0 / (1.0 + np.exp(-logit))))
        return out

    def scores(self, values: Values) -> Floats:
        """Return derivatives by coefficients, log-dispersion and logit of structural zeros.

        0 where the count or a parent is missing.
        """
        complete = is_complete(values, (self.variable, *self.parents))
        if not complete.all():
            scores = np.zeros((len(values), self.n_free))
            scores[complete] = self.scores(values[complete])
            return scores
        x, z, d = self._derivatives(values)
        present = 1.0 - z
        out = np.empty((len(values), self.n_free))
        k = len(self.coefficients)
        out[:, :k] = x * (present * d.e)[:, None]
        if self.dispersion > 0.0:
            out[:, k] = present * d.t
        if self.zeros > 0.0:
            out[:, -1] = z - self.zeros
        return out

    def log_prior(self) -> float:
        """Logarithm of the density of the weak prior, up to a constant."""
        precision, away = self._prior()
        out = _PRIOR_COUNT * self.coefficients[0] - 0.5 * float(precision @ np.square(away))
        return self.prior * out

    def sizes(self, values: Values) -> Floats:
        """Return the size of each row, relative to the typical one, shape (n_rows,)."""
        if self.offset is None:
            return np.ones(len(values))
        return np.asarray(np.exp(values[:, self.offset] - self.offset_centre))

    def counts(self, values: Values) -> tuple[Bools, NDArray[np.int64]]:
        """Tell which counts are there, and return all as integers, 0 for a missing one."""
        own = values[:, self.variable]
        lacks = missing(own)
        if lacks.any():
            own = np.where(lacks, 0, own)
        counts = own.astype(np.int64)
        if (counts != own).any() or (counts < 0).any():
            raise ValueError("counts must be whole numbers of at least 0")
        return ~lacks, counts

    def _derivatives(self, values: Values) -> tuple[Floats, Floats, nb.Derivatives]:
        """Features, how likely each count is a structural zero, and derivatives if it is not."""
        _, counts = self.counts(values)
        x = design(self.features, values)
        log_mean = self._log_means_of(x.T[1:], values)
        z = np.zeros(len(values))
        if self.zeros > 0.0:
            nil = counts == 0
            log_odds = nb.log_zero(log_mean[nil], self.dispersion) - _logit(self.zeros)
            z[nil] = 1.0 / (1.0 + np.exp(log_odds))
        return x, z, nb.derivatives(counts, log_mean, self.dispersion)

    def _extended(self, x: Floats, by_e: Floats, by_t: Floats, by_s: Floats) -> Floats:
        """Sum derivatives of rows to those by each parameter."""
        parts = [x.T @ by_e]
        if self.dispersion > 0.0:
            parts.append(by_t.sum(keepdims=True))
        if self.zeros > 0.0:
            parts.append(by_s.sum(keepdims=True))
        return np.concatenate(parts)

    def _prior(self) -> tuple[Floats, Floats]:
        """Precision of each parameter in the weak prior, and how far it is from its centre."""
        k = len(self.coefficients)
        precision = [0.0] + [_SLOPE_PRECISION] * (k - 1)
        away = [*self.coefficients]
        if self.dispersion > 0.0:
            precision.append(_DISPERSION_PRECISION)
            away.append(float(np.log(self.dispersion)) - _LOG_DISPERSION)
        if self.zeros > 0.0:
            precision.append(_ZERO_PRECISION)
            away.append(_logit(self.zeros) - _ZERO_LOGIT)
        return np.array(precision), np.array(away)


@dataclass(frozen=True)
class Fold:
    """The change that multiplies the mean of a count: a knock-down, an activation.

    Attributes
    ----------
    factor : float
        Positive.
    is_free : bool
        Whether rows may teach the factor.
    at_most : float
        Largest factor that they may ask for; 1 for a change that may only lower.

    Examples
    --------
    >>> Fold(0.17).text("RIPK2")
    'RIPK2*0.17'
    """

    factor: float
    is_free: bool = True
    at_most: float = np.inf
    kind: ClassVar[str] = "fold"
    keeps_mechanism: ClassVar[bool] = True

    @property
    def n_free(self) -> int:
        """One if the factor is free."""
        return int(self.is_free)

    def applied(self, mechanism: Mechanism) -> NegativeBinomialMechanism:
        """Return the mechanism with its mean multiplied."""
        counts = _of_counts(mechanism)
        return replace(counts, log_fold=counts.log_fold + float(np.log(self.factor)))

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> Fold:
        """Take a step of Newton's method for the logarithm of the factor: an intercept's."""
        gradient, information = float(statistics[0, 0]), abs(float(statistics[0, 1]))
        if not self.is_free or information <= 0.0:
            return self
        step = np.clip(gradient / information, -1.0, 1.0)
        most = min(self.at_most, _LARGEST_FOLD)
        factor = np.clip(self.factor * np.exp(step), _LEAST_FOLD, most)
        return replace(self, factor=float(factor))

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return the derivative by the factor."""
        out: Floats = self.applied(mechanism).scores(values)[:, : self.n_free] / self.factor
        return out

    def text(self, variable: str) -> str:
        """Write the change of a variable."""
        return f"{variable}*{self.factor:.3g}"


@dataclass(frozen=True)
class SetCount:
    """The change that gives a count a mean and a dispersion of its own, whatever its parents.

    Attributes
    ----------
    mean : float
        In a row of typical size.
    dispersion : float
        Positive.
    at_most : float
        Largest mean that rows may ask for.

    Examples
    --------
    >>> SetCount(12.0, 0.25).text("MYC")
    'MYC~12±6.93'
    """

    mean: float
    dispersion: float
    at_most: float = np.inf
    kind: ClassVar[str] = "set"
    keeps_mechanism: ClassVar[bool] = False
    n_free: ClassVar[int] = 2

    def applied(self, mechanism: Mechanism) -> NegativeBinomialMechanism:
        """Return a mechanism with the mean and without parents, but for the size."""
        counts = _of_counts(mechanism)
        return replace(
            counts,
            parents=() if counts.offset is None else (counts.offset,),
            features=(),
            coefficients=(float(np.log(self.mean)),),
            dispersion=self.dispersion,
            zeros=0.0,
            log_fold=0.0,
            prior=0.0,
        )

    def fitted(self, mechanism: Mechanism, statistics: Floats) -> SetCount:
        """Take a step of Newton's method."""
        now = self.applied(mechanism).fitted(statistics)
        most = min(self.at_most, _LARGEST_MEAN)
        mean = np.clip(np.exp(now.coefficients[0]), _LEAST_MEAN, most)
        return replace(self, mean=float(mean), dispersion=now.dispersion)

    def scores(self, mechanism: Mechanism, values: Values) -> Floats:
        """Return derivatives by the mean and the dispersion."""
        of_logarithms: Floats = self.applied(mechanism).scores(values)
        out: Floats = of_logarithms / np.array([self.mean, self.dispersion])
        return out

    def text(self, variable: str) -> str:
        """Write the change of a variable: mean and standard deviation in a typical row."""
        spread = np.sqrt(self.mean + self.dispersion * self.mean**2)
        return f"{variable}~{self.mean:.3g}±{spread:.3g}"


def _of_counts(mechanism: Mechanism) -> NegativeBinomialMechanism:
    if not isinstance(mechanism, NegativeBinomialMechanism):
        raise ValueError("only the mechanism of a count can undergo this change")
    return mechanism


def _logit(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))


if TYPE_CHECKING:
    _: type[Mechanism] = NegativeBinomialMechanism
    _fold: type[Change] = Fold
    _set: type[Change] = SetCount


@dataclass(frozen=True)
class CountChanges(Changes):
    """Changes of a count; it can suggest more.

    Attributes
    ----------
    changes : tuple of Change
    kinds : frozenset of str
        Among "fold" and "set".
    lowers : bool
        Whether changes can only lower the count.
    """

    changes: tuple[Change, ...] = ()
    kinds: frozenset[str] = frozenset({"fold"})
    lowers: bool = False

    def suggested(self, mechanism: Mechanism, values: Values, weights: Floats) -> list[Change]:
        """Suggest folds, and means that the count was set to.

        Parameters
        ----------
        mechanism : NegativeBinomialMechanism
        values : ndarray, shape (n_rows, n_variables)
            Those of the count not missing.
        weights : ndarray, shape (n_rows,)

        Returns
        -------
        list of Change
        """
        assert isinstance(mechanism, NegativeBinomialMechanism)
        out: list[Change] = []
        if "fold" in self.kinds:
            most = 1.0 if self.lowers else np.inf
            out += [Fold(factor, at_most=most) for factor in _FOLDS if factor < most]
        seen, counts = mechanism.counts(values)
        seen &= weights > 0.0
        if "set" not in self.kinds or not seen.any():
            return out
        typical, most = counts / mechanism.sizes(values), np.inf
        if self.lowers:
            most = float(np.average(mechanism.means(values)[seen], weights=weights[seen]))
        levels = np.quantile(typical[seen], _LEVELS, weights=weights[seen], method="inverted_cdf")
        means = np.unique(np.maximum(levels, _LEAST_START).round(3))
        dispersion = max(mechanism.dispersion, LEAST_DISPERSION)
        return out + [SetCount(float(m), dispersion, most) for m in means if m < most]

    def neutral(self, mechanism: Mechanism, kind: str) -> Change | None:
        """Return a change of a kind from which rows may be fitted.

        Parameters
        ----------
        mechanism : NegativeBinomialMechanism
        kind : str

        Returns
        -------
        Change or None
        """
        assert isinstance(mechanism, NegativeBinomialMechanism)
        most = 1.0 if self.lowers else np.inf
        if kind == "fold":
            return Fold(0.9, at_most=most)
        if kind == "set":
            mean = float(np.exp(mechanism.coefficients[0]))
            return SetCount(mean, max(mechanism.dispersion, LEAST_DISPERSION), most)
        return None
