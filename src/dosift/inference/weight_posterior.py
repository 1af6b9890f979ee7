"""Posterior of mixture weights, with the choice of the targets averaged over.

Pure array code. Errors that take the chosen targets as given are too small: a true target that was
left out gives its weight to others. So the targets found and the undecided ones beside them
(:mod:`dosift.search.undecided`) are each in the mixture or not, with these priors:

* a target t is in with odds ``m / (number of sizes x number of targets of its size)``, for m
  components found: about as many targets as were found, each size and name alike;
* the weights of those that are in are uniform on the simplex.

The likelihood enters by its quadratic expansion at the maximum. The simplex is handled as in the
weight solver: adding ``N (1 - sum(w))`` to the log-likelihood makes its free maximum sum to one,
and normalised draws have the distribution wanted (as independent gamma variables, normalised, are
Dirichlet distributed). Targets whose presence is beyond doubt are integrated out as a Gaussian;
those in doubt are drawn by a Gibbs sampler over presence and weight together, many chains side by
side, with moves that exchange one target for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from dosift.inference.presence_sampler import PresenceSampler
from dosift.model.arrays import Bools, Floats
from dosift.search.undecided import log_evidence

#: A component this many standard errors from zero, with all others free, is beyond doubt.
_SURE_Z = 6.0
#: Relative ridge on information matrices.
_RIDGE = 1e-9
#: No normal distribution that is cut off at 0 and 1 spreads more: that of the uniform one.
_MOST_SD = 12.0**-0.5
#: Points that stand for the draws when quantiles are taken.
_POINTS = 200
#: Halvings of the interval in which a quantile lies, where Newton's method does not find it in so
#: many steps; and a step, as a share of the width, that is not worth taking.
_HALVINGS, _NEWTON_STEPS, _NEAR = 40, 8, 1e-13
#: Least density, over a width of one, of a place where steps are sure, and standard deviations
#: beyond which it is zero.
_LEAST_DENSITY, _FAR = 1e-3, 40.0


@dataclass(frozen=True)
class Summary:
    """Posterior of a share.

    Attributes
    ----------
    std_error : ndarray
        Standard deviations.
    low, high : ndarray
        Limits of the central interval.
    """

    std_error: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Spread:
    """Distributions of some sums: equally probable points, with normal errors around them.

    Attributes
    ----------
    points : ndarray, shape (n_sums, n_points)
    sd : ndarray, shape (n_sums,)
    share : ndarray, shape (n_sums,)
        Weight among other distributions of the same sums.
    """

    points: Floats
    sd: Floats
    share: Floats


class WeightPosterior:
    """Posterior of the weights of components and undecided targets.

    Made by :func:`weight_posterior`.

    Attributes
    ----------
    estimate : ndarray, shape (n_targets,)
        Maximum-likelihood weights: the components', then zeros for the undecided ones.
    absent : ndarray, shape (n_targets,)
        Posterior probability that a target is not in the mixture.
    sure : ndarray of int
        Positions of the components beyond doubt.
    unsure : ndarray of int
        Positions of the others.
    draws : ndarray, shape (n_draws, n_unsure)
        Weights of the unsure ones; zero where a target is absent.
    z : ndarray, shape (n_targets,)
        Estimates in standard errors, the weights of all targets being free.
    """

    def __init__(
        self,
        estimate: Floats,
        absent: Floats,
        sure: NDArray[np.int64],
        unsure: NDArray[np.int64],
        draws: Floats,
        centre: Floats,
        slopes: Floats,
        covariance: Floats,
        z: Floats,
    ) -> None:
        self.estimate = estimate
        self.z = z
        self.absent = absent
        self.sure = sure
        self.unsure = unsure
        self.draws = draws
        # Given a draw u of the unsure ones, the sure ones are normal around centre + slopes u.
        self._centre = centre
        self._slopes = slopes
        self._covariance = covariance

    def sums(self, members: Bools, level: float = 0.95) -> Summary:
        """Summarise sums of weights, whatever targets are in the mixture.

        Parameters
        ----------
        members : ndarray of bool, shape (n_sums, n_targets)
            Which targets each sum is over.
        level : float, default=0.95
            Posterior probability of the intervals.

        Returns
        -------
        Summary
            Each of shape (n_sums,).
        """
        return summarised([self.spread(members)], members @ self.estimate, level)

    def spread(self, members: Bools, share: float = 1.0) -> Spread:
        """Distribution of sums of weights, whatever targets are in the mixture.

        Parameters
        ----------
        members : ndarray of bool, shape (n_sums, n_targets)
        share : float
            Its weight among other distributions of the same sums.
        """
        means, sd = self._moments(members)
        every = np.full(members.shape[0], len(self.draws))
        points = _points(np.sort(means, axis=1), every)
        return Spread(points, sd, np.full(len(members), share))

    def weights(self, level: float = 0.95) -> Summary:
        """Summarise each target's weight, given that it is in the mixture.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        Summary
            Each of shape (n_targets,).
        """
        return summarised([self.spread_if_present()], self.estimate, level)

    def spread_if_present(self) -> Spread:
        """Distribution of each target's weight, given that it is in the mixture."""
        means, sd = self._moments(np.eye(self.estimate.size, dtype=bool))
        size = np.full(self.estimate.size, len(self.draws))
        for j, k in enumerate(self.unsure):
            present = self.draws[:, j] > 0
            if present.any():
                means[k, ~present] = np.inf
                size[k] = int(present.sum())
        points = _points(np.sort(means, axis=1), size)
        return Spread(points, sd, np.ones(len(points)))

    def any_present(self, members: Bools) -> Floats:
        """Probability that at least one target of each group is in the mixture.

        Parameters
        ----------
        members : ndarray of bool, shape (n_groups, n_targets)

        Returns
        -------
        ndarray, shape (n_groups,)
        """
        in_draws = (self.draws > 0).astype(np.float64) @ members[:, self.unsure].T.astype(float)
        surely_absent = np.where(members[:, self.sure], self.absent[self.sure], 1.0)
        out: Floats = 1.0 - (in_draws == 0).mean(axis=0) * surely_absent.prod(axis=1, initial=1.0)
        return out

    def _moments(self, members: Bools) -> tuple[Floats, Floats]:
        """Means of sums in each draw, and their standard deviations beyond the draws."""
        indicator = members.astype(np.float64)
        at_estimate = indicator @ self.estimate
        # Normalising a draw takes the estimate's share of any excess off.
        contrast = indicator - at_estimate[:, None]
        of_sure, of_unsure = contrast[:, self.sure], contrast[:, self.unsure]
        means = (of_unsure + of_sure @ self._slopes) @ self.draws.T
        means += (of_sure @ self._centre + at_estimate)[:, None]
        variance = np.einsum("fs,st,ft->f", of_sure, self._covariance, of_sure, optimize=True)
        return means, np.sqrt(np.maximum(variance, 0.0))


def summarised(parts: Sequence[Spread], estimate: Floats, level: float) -> Summary:
    """Summarise mixtures of distributions of shares.

    Parameters
    ----------
    parts : sequence of Spread
    estimate : ndarray, shape (n_sums,)
        That the intervals hold in any case.
    level : float

    Returns
    -------
    Summary
    """
    total = np.maximum(sum((part.share for part in parts), np.zeros(estimate.size)), 1e-300)
    share = [part.share / total for part in parts]
    means = [part.points.mean(axis=1) for part in parts]
    mean = sum((q * m for q, m in zip(share, means, strict=True)), np.zeros(estimate.size))
    variance = np.zeros(estimate.size)
    for q, m, part in zip(share, means, parts, strict=True):
        own = np.minimum(part.sd, _MOST_SD)
        variance += q * (part.points.var(axis=1) + own**2 + (m - mean) ** 2)
    std_error = np.sqrt(variance)
    tail = (1.0 - level) / 2
    low, high = (
        _on_logit_scale(
            _quantile(parts, share, p, mean + ndtri(p) * std_error), estimate, std_error
        )
        for p in (tail, 1.0 - tail)
    )
    return Summary(std_error, np.minimum(low, estimate), np.maximum(high, estimate))


def _with_ridge(information: Floats) -> Floats:
    out = information.copy()
    out.flat[:: len(out) + 1] *= 1.0 + _RIDGE
    return out


def in_standard_errors(information: Floats, weights: Floats) -> Floats:
    """Weights in standard errors, the weights of all targets being free.

    Parameters
    ----------
    information : ndarray, shape (n_targets, n_targets)
        Of components, then the undecided ones.
    weights : ndarray, shape (n_components,)
        Of the components.

    Returns
    -------
    ndarray, shape (n_targets,)
        Zero for the undecided ones.

    Examples
    --------
    >>> import numpy as np
    >>> in_standard_errors(np.diag([100.0, 400.0]), np.array([0.5])).round(6)
    array([5., 0.])
    """
    estimate = np.zeros(len(information))
    estimate[: weights.size] = weights
    return np.asarray(estimate / np.sqrt(np.maximum(_variance(information), 1e-300)))


def _variance(information: Floats) -> Floats:
    """Variance of each weight, all of them being free."""
    scale = 1.0 / np.sqrt(np.diag(information))
    scaled = information * scale * scale[:, None] + _RIDGE * np.eye(len(information))
    return np.asarray(np.diag(np.linalg.pinv(scaled, hermitian=True)) * scale**2)


def weight_posterior(
    information: Floats,
    score: Floats,
    weights: Floats,
    log_prior_odds: Floats,
    rng: np.random.Generator,
) -> WeightPosterior:
    """Make the posterior of the weights from the likelihood's expansion at its maximum.

    Parameters
    ----------
    information : ndarray, shape (n_targets, n_targets)
        Observed information ``sum_r c_r L_rs L_rt / f_r^2`` of components, then the undecided ones.
    score : ndarray, shape (n_targets,)
        ``sum_r c_r L_rt / f_r - N``; zero for components.
    weights : ndarray, shape (n_components,)
        Maximum-likelihood weights of the components.
    log_prior_odds : ndarray, shape (n_targets,)
        Of each target being in the mixture.
    rng : numpy.random.Generator

    Returns
    -------
    WeightPosterior

    Examples
    --------
    Two targets that rows tell apart for certain, 80 and 20 rows of each:

    >>> import numpy as np
    >>> information = np.diag([100 / 0.8, 100 / 0.2])
    >>> found = weight_posterior(
    ...     information, np.zeros(2), np.array([0.8, 0.2]), np.zeros(2), np.random.default_rng(0)
    ... )
    >>> found.weights().std_error.round(2)
    array([0.04, 0.04])
    """
    n_targets, m = score.size, weights.size
    estimate = np.zeros(n_targets)
    estimate[:m] = weights
    information = _with_ridge(information)
    variance = _variance(information)
    z = estimate / np.sqrt(np.maximum(variance, 1e-300))
    doubtful = z < _SURE_Z
    sure, unsure = np.flatnonzero(~doubtful), np.flatnonzero(doubtful)
    rate = float(m)
    linear = score + information @ estimate - rate
    of_sure = information[np.ix_(sure, sure)]
    covariance: Floats = np.zeros((0, 0))
    if sure.size:
        covariance = np.asarray(np.linalg.inv(of_sure), dtype=np.float64)
    slopes = -covariance @ information[np.ix_(sure, unsure)]
    # A prior that is uniform on the simplex moves only the sum, which normalising undoes.
    centre = covariance @ linear[sure]
    absent = np.zeros(n_targets)
    absent[sure] = expit(
        -log_prior_odds[sure]
        - np.log(rate)
        - log_evidence(estimate[sure] / variance[sure], 1.0 / variance[sure])
    )
    reduced = information[np.ix_(unsure, unsure)] + information[np.ix_(unsure, sure)] @ slopes
    reduced_linear = linear[unsure] + slopes.T @ linear[sure]
    sampler = PresenceSampler(reduced, reduced_linear, log_prior_odds[unsure] + np.log(rate), rng)
    draws, absent[unsure] = sampler.run(estimate[unsure])
    return WeightPosterior(estimate, absent, sure, unsure, draws, centre, slopes, covariance, z)


def posterior_given_targets(
    information: Floats, weights: Floats, is_known: Bools
) -> WeightPosterior:
    """Make the posterior of the weights of targets that are in the mixture for certain.

    Parameters
    ----------
    information : ndarray, shape (n_components, n_components)
        Observed information.
    weights : ndarray, shape (n_components,)
        Maximum-likelihood weights.
    is_known : ndarray of bool, shape (n_components,)
        Whose weights were given and have no error.

    Returns
    -------
    WeightPosterior

    Examples
    --------
    >>> import numpy as np
    >>> found = posterior_given_targets(
    ...     np.diag([125.0, 500.0]), np.array([0.8, 0.2]), np.zeros(2, dtype=bool)
    ... )
    >>> found.weights().std_error.round(2)
    array([0.04, 0.04])
    """
    m = weights.size
    free = np.flatnonzero(~is_known)
    covariance = np.zeros((m, m))
    if free.size > 1:
        inverse = np.linalg.pinv(information[np.ix_(free, free)], hermitian=True)
        sums = inverse.sum(axis=1)
        if sums.sum() > 0:
            # Changes of the weights sum to zero.
            covariance[np.ix_(free, free)] = inverse - np.outer(sums, sums) / sums.sum()
    z = weights / np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    nothing = np.zeros((1, 0))
    return WeightPosterior(
        weights,
        np.zeros(m),
        np.arange(m),
        np.arange(0),
        nothing,
        weights,
        np.zeros((m, 0)),
        covariance,
        z,
    )


def _points(means: Floats, size: NDArray[np.int64]) -> Floats:
    """Stand for the first `size` of sorted draws by equally probable points."""
    share = (np.arange(_POINTS) + 0.5) / _POINTS
    index = np.floor(share * size[:, None]).astype(np.int64)
    return np.asarray(np.take_along_axis(means, index, axis=1))


def _quantile(
    parts: Sequence[Spread], share: Sequence[Floats], probability: float, start: Floats
) -> Floats:
    """Quantiles of mixtures of normals, those of a part with common standard deviations."""
    out, is_near = _by_newton(parts, share, probability, start)
    rest = np.flatnonzero(~is_near)
    if not rest.size:
        return out
    some = [Spread(part.points[rest], part.sd[rest], part.share[rest]) for part in parts]
    out[rest] = _by_halving(some, [q[rest] for q in share], probability)
    return out


def _by_newton(
    parts: Sequence[Spread], share: Sequence[Floats], probability: float, start: Floats
) -> tuple[Floats, NDArray[np.bool_]]:
    """Find quantiles from starts nearby, and say of which no step is worth taking any more."""
    widths = [np.ptp(part.points, axis=1) + part.sd for part in parts]
    out, span = start.copy(), np.sum(widths, axis=0)
    open_: NDArray[np.int64] = np.arange(out.size)
    for _ in range(_NEWTON_STEPS):
        below, density = np.zeros(open_.size), np.zeros(open_.size)
        for part, q in zip(parts, share, strict=True):
            sd = np.maximum(part.sd[open_], 1e-300)
            away = (out[open_][:, None] - part.points[open_]) / sd[:, None]
            below += q[open_] * ndtr(away).mean(axis=1)
            bell = np.exp(-0.5 * np.clip(away, -_FAR, _FAR) ** 2).mean(axis=1)
            density += q[open_] * (bell / (sd * np.sqrt(2.0 * np.pi)))
        short = probability - below
        # Between points that stand far apart the density says nothing of the way to go.
        tells = density * span[open_] > _LEAST_DENSITY
        step = np.divide(short, density, out=np.full_like(short, np.nan), where=tells)
        is_near = np.abs(step) <= _NEAR * span[open_]
        open_, step = open_[~is_near], step[~is_near]
        out[open_] += np.where(np.abs(step) <= span[open_], step, np.nan)
        if not np.isfinite(out[open_]).any():
            break
    return out, np.isin(np.arange(out.size), open_, invert=True)


def _by_halving(parts: Sequence[Spread], share: Sequence[Floats], probability: float) -> Floats:
    low = np.min([(part.points.min(axis=1) - 9.0 * part.sd) for part in parts], axis=0)
    high = np.max([(part.points.max(axis=1) + 9.0 * part.sd) for part in parts], axis=0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        below = np.zeros(middle.size)
        for part, q in zip(parts, share, strict=True):
            safe = np.maximum(part.sd, 1e-300)[:, None]
            below += q * ndtr((middle[:, None] - part.points) / safe).mean(axis=1)
        low, high = (
            np.where(below < probability, middle, low),
            np.where(below < probability, high, middle),
        )
    return np.asarray(0.5 * (low + high))


def _on_logit_scale(quantile: Floats, estimate: Floats, std_error: Floats) -> Floats:
    """Carry a quantile's distance from the estimate to the logit scale where zero is far.

    There the expansion is the more exact of the two, as rare targets have a skewed likelihood; near
    zero a logit would hide that the share may vanish.
    """
    inside = (estimate > _SURE_Z * std_error) & (estimate < 1.0)
    safe = np.where(inside, estimate, 0.5)
    spread = safe * (1.0 - safe)
    carried = expit(np.log(safe / (1.0 - safe)) + (quantile - safe) / spread)
    return np.asarray(np.clip(np.where(inside, carried, quantile), 0.0, 1.0))
