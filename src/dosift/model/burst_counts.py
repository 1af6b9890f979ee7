"""Counts of which a share is a few times as large: noise that no negative binomial has."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from dosift.model.arrays import Floats, Values
from dosift.model.counts import NegativeBinomialMechanism

#: Share and factor that a fit starts from, and their ranges.
_START_SHARE, _START_FACTOR = 0.1, 3.0
_LEAST_SHARE, _MOST_SHARE = 1e-3, 0.45
_LEAST_FACTOR, _MOST_FACTOR = 1.3, 30.0
#: Steps of EM, and the rise of the log-likelihood (nats) in one that ends them.
_STEPS, _RISE = 30, 0.05


@dataclass(frozen=True)
class BurstMechanism(NegativeBinomialMechanism):
    """A negative binomial count of which a share is some times as large, each by itself.

    A change of it is that of the count without: what is drawn is multiplied afterwards.

    Attributes
    ----------
    share : float
        Of the counts, below one half.
    factor : float
        By which their mean is multiplied, above 1.

    Examples
    --------
    >>> plain = BurstMechanism(0, (), (), (1.0,), dispersion=0.2, share=0.0)
    >>> burst = BurstMechanism(0, (), (), (1.0,), dispersion=0.2, share=0.1, factor=4.0)
    >>> many = np.array([[20.0]])
    >>> bool(burst.log_density(many)[0] > plain.log_density(many)[0] + 1.0)
    True
    """

    share: float = 0.1
    factor: float = 3.0

    @classmethod
    def of(cls, mechanism: NegativeBinomialMechanism) -> BurstMechanism:
        """Return a count with bursts, to start a fit from."""
        return cls(**_plain(mechanism), share=_START_SHARE, factor=_START_FACTOR)

    @property
    def plain(self) -> NegativeBinomialMechanism:
        """The count without bursts."""
        return NegativeBinomialMechanism(**_plain(self))

    @property
    def larger(self) -> NegativeBinomialMechanism:
        """The count with a burst."""
        plain = self.plain
        return replace(plain, log_fold=plain.log_fold + float(np.log(self.factor)))

    def log_density(self, values: Values) -> Floats:
        """Logarithm of the probability of each row's count."""
        return self._judged(values)[0]

    def posterior(self, values: Values) -> Floats:
        """Probability of each row that its count is a burst."""
        return self._judged(values)[1]

    def _judged(self, values: Values) -> tuple[Floats, Floats]:
        low = self.plain.log_density(values) + np.log1p(-self.share)
        if self.share == 0.0:
            return low, np.zeros(len(values))
        high = self.larger.log_density(values) + np.log(self.share)
        both = np.logaddexp(low, high)
        return np.where(np.isnan(values[:, self.variable]), 0.0, both), np.exp(high - both)

    def draw(self, values: Values, rng: np.random.Generator) -> Floats:
        """Draw counts given the values of the parents."""
        burst = rng.random(len(values)) < self.share
        return np.where(burst, self.larger.draw(values, rng), self.plain.draw(values, rng))

    def statistics(self, values: Values, weights: Floats) -> Floats:
        """Sum gradient and information, each count as far as it is a burst or none."""
        burst = self.posterior(values)
        low = self.plain.statistics(values, weights * (1.0 - burst))
        return np.asarray(low + self.larger.statistics(values, weights * burst))

    def fitted(self, statistics: Floats) -> BurstMechanism:
        """Take a step of Newton's method; share and factor of bursts stay."""
        found = super().fitted(statistics)
        assert isinstance(found, BurstMechanism)
        return found

    def scores(self, values: Values) -> Floats:
        """Return derivatives by the parameters of the count without bursts."""
        burst = self.posterior(values)[:, None]
        low, high = self.plain.scores(values), self.larger.scores(values)
        return np.asarray((1.0 - burst) * low + burst * high)


def with_bursts(
    mechanism: NegativeBinomialMechanism, values: Values, weights: Floats
) -> tuple[BurstMechanism, float]:
    """Fit a count with bursts to rows.

    Parameters
    ----------
    mechanism : NegativeBinomialMechanism
        Fitted to them without.
    values : ndarray, shape (n_rows, n_variables)
        None missing.
    weights : ndarray, shape (n_rows,)

    Returns
    -------
    found : BurstMechanism
    gain : float
        Rise of the log-likelihood, in nats.
    """
    now, counts = BurstMechanism.of(mechanism), values[:, mechanism.variable]
    before = float(weights @ mechanism.log_density(values))
    value = -np.inf
    for _ in range(_STEPS):
        log, burst = now._judged(values)
        last, value = value, float(weights @ log)
        if value - last < _RISE:
            break
        taught = now.fitted(now.statistics(values, weights))
        mean = taught.plain.means(values)
        of_bursts = weights * burst
        share = float(np.clip(of_bursts.sum() / weights.sum(), _LEAST_SHARE, _MOST_SHARE))
        factor = float(of_bursts @ counts / max(float(of_bursts @ mean), 1e-300))
        factor = float(np.clip(factor, _LEAST_FACTOR, _MOST_FACTOR))
        now = replace(taught, share=share, factor=factor)
    return now, value - before


def _plain(mechanism: NegativeBinomialMechanism) -> dict[str, Any]:
    """Return what a count has without bursts."""
    return {one.name: getattr(mechanism, one.name) for one in fields(NegativeBinomialMechanism)}
