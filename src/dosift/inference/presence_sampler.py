"""Draws of which targets are in a mixture, and with what weights, given a quadratic likelihood.

Pure array code for :mod:`dosift.inference.weight_posterior`, which says what is drawn.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, ndtr, ndtri

from dosift.model.arrays import Floats
from dosift.search.undecided import log_evidence

#: Chains side by side, sweeps that are kept, and sweeps before those.
_CHAINS, _SWEEPS, _BURN_IN = 256, 20, 10


class PresenceSampler:
    """Gibbs sampler over presence and weight of each target, chains side by side.

    Parameters
    ----------
    information : ndarray, shape (n_targets, n_targets)
        Curvature of minus the log-likelihood.
    linear : ndarray, shape (n_targets,)
        Slope of the log-likelihood where all weights are zero.
    log_odds : ndarray, shape (n_targets,)
        Of each target being there, before the rows are seen.
    rng : numpy.random.Generator

    Examples
    --------
    >>> sampler = PresenceSampler(
    ...     np.array([[1e4]]), np.array([3e3]), np.zeros(1), np.random.default_rng(0)
    ... )
    >>> draws, absent = sampler.run(np.array([0.3]))
    >>> float(draws.mean().round(2)), bool(absent[0] < 1e-6)
    (0.3, True)
    """

    def __init__(
        self, information: Floats, linear: Floats, log_odds: Floats, rng: np.random.Generator
    ) -> None:
        self._h = 0.5 * (information + information.T)
        diagonal = np.diag(self._h)
        self._curvature = np.maximum(diagonal, 1e-12 * max(diagonal.max(initial=0.0), 1e-300))
        np.fill_diagonal(self._h, self._curvature)
        self._linear = linear
        self._log_odds = log_odds
        self._rng = rng

    def run(self, start: Floats) -> tuple[Floats, Floats]:
        """Draw presence and weights.

        Parameters
        ----------
        start : ndarray, shape (n_targets,)
            Weights to begin with.

        Returns
        -------
        draws : ndarray, shape (n_draws, n_targets)
            Weights; zero where a target is absent.
        absent : ndarray, shape (n_targets,)
            Mean probability that each target is absent.
        """
        n = start.size
        if n == 0:
            return np.zeros((1, 0)), np.zeros(0)
        w = np.repeat(start[:, None], _CHAINS, axis=1)
        pull = self._h @ w
        kept = np.empty((_SWEEPS, _CHAINS, n))
        absent = np.zeros(n)
        partners = self._partners()
        components = [int(k) for k in np.flatnonzero(start)]
        for sweep in range(-_BURN_IN, _SWEEPS):
            for k in range(n):
                probability = self._renew(k, w, pull)
                if sweep >= 0:
                    absent[k] += 1.0 - float(probability.mean())
            for k in components:
                if partners is not None:
                    self._exchange(k, int(self._rng.choice(n, p=partners[k])), w, pull)
            if sweep >= 0:
                kept[sweep] = w.T
        return kept.reshape(-1, n), absent / _SWEEPS

    def _partners(self) -> Floats | None:
        """Probability with which each target is exchanged for each other: by their likeness."""
        root = np.sqrt(self._curvature)
        alike = np.abs(self._h) / root / root[:, None]
        np.fill_diagonal(alike, 0.0)
        total = alike.sum(axis=1, keepdims=True)
        if len(alike) < 2 or not (total > 0).all():
            return None
        return np.asarray(alike / total)

    def _renew(self, k: int, w: Floats, pull: Floats) -> Floats:
        """Draw presence and weight of one target given the others."""
        curvature = self._curvature[k]
        slope = self._linear[k] - (pull[k] - curvature * w[k])
        probability = expit(self._log_odds[k] + log_evidence(slope, curvature))
        present = self._rng.random(_CHAINS) < probability
        new = np.where(present, self._positive_normal(slope, curvature), 0.0)
        pull += self._h[:, [k]] * (new - w[k])
        w[k] = new
        return np.asarray(probability)

    def _exchange(self, k: int, j: int, w: Floats, pull: Floats) -> None:
        """Where one of two targets is present, draw which."""
        h, a, b = self._h, self._curvature[k], self._curvature[j]
        one = (w[k] > 0) != (w[j] > 0)
        if not one.any():
            return
        slope_k = self._linear[k] - (pull[k] - a * w[k] - h[k, j] * w[j])
        slope_j = self._linear[j] - (pull[j] - b * w[j] - h[k, j] * w[k])
        log_k = self._log_odds[k] + log_evidence(slope_k, a)
        log_j = self._log_odds[j] + log_evidence(slope_j, b)
        to_j = self._rng.random(_CHAINS) < expit(log_j - log_k)
        new_k = np.where(to_j, 0.0, self._positive_normal(slope_k, a))
        new_j = np.where(to_j, self._positive_normal(slope_j, b), 0.0)
        new_k, new_j = np.where(one, new_k, w[k]), np.where(one, new_j, w[j])
        pull += h[:, [k]] * (new_k - w[k]) + h[:, [j]] * (new_j - w[j])
        w[k], w[j] = new_k, new_j

    def _positive_normal(self, slope: Floats, curvature: float) -> Floats:
        """Draw from the density proportional to ``exp(slope w - curvature w^2 / 2)``, w > 0."""
        u = self._rng.random(slope.size)
        root = np.sqrt(curvature)
        z = slope / root
        # Upper tails keep their precision far below the mean, where an exponential takes over.
        body = z - ndtri(np.clip(u * ndtr(z), 1e-300, 1.0 - 1e-16))
        tail = -np.log1p(-u) / np.maximum(-z, 1.0)
        return np.asarray(np.maximum(np.where(z > -30.0, body, tail), 1e-12) / root)
