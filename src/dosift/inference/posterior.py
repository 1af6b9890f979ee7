"""What the rows say about the weights of a fitted mixture, gathered in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.inference.mechanism_error import SumScores, information_of_scores
from dosift.inference.network_error import information_from_sums, table_sums
from dosift.inference.p_values import (
    boundary_p_value,
    likelihood_ratio_p_values,
    log_likelihood_losses,
)
from dosift.inference.weight_posterior import (
    WeightPosterior,
    in_standard_errors,
    posterior_given_targets,
    weight_posterior,
)
from dosift.likelihood.columns import RowLikelihoods
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.weight_sums import SumWeights
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.search.undecided import Undecided

#: Share of false components that is tolerated among those reported as found.
FALSE_SHARE = 0.05
#: Least posterior probability of a target that is named among the undecided targets.
LEAST_PROBABILITY = 0.1
#: Nats that make a component certain.
_FOR_CERTAIN = 50.0


@dataclass(frozen=True)
class Posterior:
    """What is known of the weights of components, and of targets beside them.

    Attributes
    ----------
    of_weights : WeightPosterior
        Of the weights of components and undecided targets.
    undecided : ndarray of int, shape (n_undecided, n_variables)
        Targets that may be in the mixture besides the components.
    p_values : ndarray, shape (n_components,)
        Of "its weight is zero", for a target named beforehand.
    selected : bool
        Whether the targets were chosen among all, so that their presence has a probability.
    """

    of_weights: WeightPosterior
    undecided: Ints
    p_values: Floats
    selected: bool

    @property
    def n_components(self) -> int:
        """Number of components."""
        return int(self.p_values.size)

    @property
    def q_values(self) -> Floats:
        """Expected share of false components among each one and those that are more certain."""
        return false_shares(self.of_weights.absent[: self.n_components])


def false_shares(absent: Floats) -> Floats:
    """Return the expected share of false ones among each one and those that are more certain.

    Parameters
    ----------
    absent : ndarray
        Probability that each is false.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> false_shares(np.array([0.2, 0.0])).tolist()
    [0.1, 0.0]
    """
    order = np.argsort(absent, kind="stable")
    share = np.cumsum(absent[order]) / np.arange(1, absent.size + 1)
    out = np.empty(absent.size)
    out[order] = share
    return out


@dataclass(frozen=True)
class _SumInformation:
    """Sums gradient and information of weights, and what tables take from it."""

    targets: Ints
    weights: Floats
    refined: bool

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        sums = SumWeights(self.targets, self.weights)(rows)
        if rows.network.control is None or not isinstance(rows.network, Network):
            return sums
        return *sums, *table_sums(rows, self.targets, self.weights, self.refined)


def posterior_of_fit(
    evidence: Evidence,
    network: Network,
    targets: Ints,
    weights: Floats,
    undecided: Undecided | None,
    refined: bool,
    rng: np.random.Generator,
    is_known: Bools | None = None,
) -> Posterior | None:
    """Work out what the rows say about the weights of a mixture.

    Parameters
    ----------
    evidence : Evidence
        All rows together.
    network : Network
        That the mixture refers to.
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_components,)
        Maximum-likelihood weights.
    undecided : Undecided or None
        None where the targets were not chosen among all, or weights are known.
    refined : bool
        Whether mixture rows taught the network too.
    rng : numpy.random.Generator
    is_known : ndarray of bool, shape (n_components,), optional
        Components whose weight was given.

    Returns
    -------
    Posterior or None
        None where some rows are impossible under the mixture.
    """
    others = targets[:0] if undecided is None else undecided.targets
    every = np.concatenate([targets, others])
    work = _SumInformation(every, weights[None], refined)
    gradient, information, numbers, *tables = evidence.sum(network, every, work)
    if numbers[2].any():
        return None
    return _of_batch(
        evidence,
        0,
        network,
        (gradient, information, numbers, *tables),
        every,
        weights,
        undecided,
        refined,
        rng,
        np.zeros(weights.size, dtype=bool) if is_known is None else is_known,
    )


def posteriors_of_batches(
    evidence: Evidence,
    network: Network,
    targets: Ints,
    weights: Floats,
    odds: Floats,
    refined: bool,
) -> list[tuple[NDArray[np.int64], Posterior | None]]:
    """Work out what the rows of each batch say about the weights in it.

    Parameters
    ----------
    evidence : Evidence
        With batches.
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
        That the batches have in common.
    weights : ndarray, shape (n_batches, n_targets)
    odds : ndarray, shape (n_batches, n_targets)
        Log-odds of each target being in each batch, before its rows are seen.
    refined : bool
        Whether mixture rows taught the network too.

    Returns
    -------
    list of (ndarray of int64, Posterior or None)
        For each batch, the positions of its components by descending weight, and what is known of
        their weights: each of the other targets may be in it, too.
    """
    work = _SumInformation(np.asarray(targets), weights, refined)
    sums = evidence.sum(network, targets, work)
    out: list[tuple[NDArray[np.int64], Posterior | None]] = []
    for b, own_weights in enumerate(weights):
        own = np.flatnonzero(own_weights > 0)
        own = own[np.argsort(-own_weights[own], kind="stable")]
        # Targets that no row of the batch can come from are not in it.
        others = np.setdiff1d(np.flatnonzero(sums[0][b] > 0), own)
        every = np.concatenate([own, others])
        if sums[2][2, b] > 0:
            out.append((own, None))
            continue
        beside = Undecided(targets[others], odds[b, others], odds[b, own])
        found = _of_batch(
            evidence,
            b,
            network,
            _picked(sums, every),
            targets[every],
            own_weights[own],
            beside,
            refined,
            np.random.default_rng(0),
            np.zeros(own.size, dtype=bool),
        )
        out.append((own, found))
    return out


def _picked(sums: tuple[Floats, ...], every: NDArray[np.int64]) -> tuple[Floats, ...]:
    """Pick the sums of some targets in some order; the tables' own stand last."""
    gradient, information, numbers, *tables = sums
    with_own = np.append(every, -1)
    return (
        gradient[:, every],
        information[:, every][:, :, every],
        numbers,
        *(part[:, with_own] for part in tables),
    )


def _of_batch(
    evidence: Evidence,
    b: int,
    network: Network,
    sums: tuple[Floats, ...],
    targets: Ints,
    weights: Floats,
    undecided: Undecided | None,
    refined: bool,
    rng: np.random.Generator,
    is_known: Bools,
) -> Posterior:
    gradient, information, numbers, *tables = sums
    known = information[b]
    if isinstance(network, MechanismNetwork) and network.learns:
        batch = b if evidence.n_batches > 1 else None
        summed = evidence.sum(network, targets, SumScores(targets, weights, refined, batch))
        known = information_of_scores(network, summed, targets, weights.size, refined)
    elif network.control is not None:
        known = information_from_sums(network, known, [part[b] for part in tables], refined)
    n_rows = float(numbers[1, b])

    def losses(z: Floats) -> Floats:
        if evidence.held is None:
            return np.full(weights.size, np.nan)
        rows = evidence.under(network, targets)
        at = dict(rows.groups)[b]
        return log_likelihood_losses(
            rows.columns(targets)[at], evidence.held.counts[at], weights, z
        )

    return posterior_from_sums(
        known,
        gradient[b] - n_rows,
        n_rows,
        targets,
        weights,
        undecided,
        rng,
        is_known,
        Losses(information[b], losses),
    )


@dataclass(frozen=True)
class Losses:
    """What rows lose without a component, exactly, beside its quadratic expansion.

    Attributes
    ----------
    information : ndarray, shape (n_targets, n_targets)
        On the weights, of a network without errors.
    exact : callable
        Takes the components' weights in standard errors, and gives losses (nats) as
        :func:`~dosift.inference.p_values.log_likelihood_losses`.
    """

    information: Floats
    exact: Callable[[Floats], Floats]

    def beyond(self, weights: Floats, exact: Floats) -> Floats:
        """By how much more is lost than the expansion says; zero where that is not known.

        Two targets may be so alike that the expansion lets one stand for the other, though a few
        rows can have come from one of them only.
        """
        plain = self.information.copy()
        blank = np.flatnonzero(np.diag(plain) <= 0)
        plain[blank, blank] = 1.0
        expected = 0.5 * np.square(in_standard_errors(plain, weights))[: weights.size]
        more = np.clip(np.nan_to_num(exact - expected, nan=0.0), 0.0, _FOR_CERTAIN)
        return np.asarray(more, dtype=np.float64)


def posterior_from_sums(
    information: Floats,
    score: Floats,
    n_rows: float,
    targets: Ints,
    weights: Floats,
    undecided: Undecided | None,
    rng: np.random.Generator,
    is_known: Bools,
    losses: Losses | None = None,
) -> Posterior:
    """Work out what the rows say about the weights, from sums over them.

    Parameters
    ----------
    information : ndarray, shape (n_targets, n_targets)
        Observed information of components, then the undecided ones.
    score : ndarray, shape (n_targets,)
        Sums of their likelihoods over the mixture's, less the number of rows.
    n_rows : float
    targets, weights, undecided, rng, is_known
        As for :func:`posterior_of_fit`; targets are components, then the undecided ones.
    losses : Losses, optional
        Where targets were chosen among all.

    Returns
    -------
    Posterior
    """
    m = weights.size
    information, score = information.copy(), score.copy()
    # A required component that no row can come from: N log(1 - w) has curvature N at zero.
    blank = np.flatnonzero(np.diag(information) <= 0)
    information[blank, blank] = n_rows
    if undecided is None:
        of_weights = posterior_given_targets(information, weights, is_known)
        return Posterior(of_weights, targets[m:], boundary_p_value(of_weights.z), False)
    # Zero at the maximum, but for a required component whose weight is zero.
    score[:m][weights > 0] = 0.0
    odds = np.concatenate([undecided.component_log_prior_odds, undecided.log_prior_odds])
    z = in_standard_errors(information, weights)[:m]
    lost = np.full(m, np.nan) if losses is None else losses.exact(z)
    if losses is not None:
        odds[:m] += losses.beyond(weights, lost)
    of_weights = weight_posterior(information, score, weights, odds, rng)
    return Posterior(of_weights, targets[m:], likelihood_ratio_p_values(z, lost), True)
