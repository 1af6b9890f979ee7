"""What the rows say about the weights of a fitted mixture, gathered in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.inference.mechanism_error import information_by_scores
from dosift.inference.network_error import information_with_tables
from dosift.inference.p_values import boundary_p_value, likelihood_ratio_p_values
from dosift.inference.weight_posterior import (
    WeightPosterior,
    posterior_given_targets,
    weight_posterior,
)
from dosift.model.mechanism import Values, has_missing
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.search.undecided import Candidates

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Share of false components that is tolerated among those reported as found.
FALSE_SHARE = 0.05
#: Least posterior probability of a candidate that is named among the undecided targets.
LEAST_PROBABILITY = 0.1


@dataclass(frozen=True)
class Belief:
    """What is known of the weights of components, and of targets beside them.

    Attributes
    ----------
    posterior : WeightPosterior
        Of the weights of components and candidates.
    candidates : ndarray of int, shape (n_candidates, n_variables)
        Targets that may be in the mixture besides the components.
    p_values : ndarray, shape (n_components,)
        Of "its weight is zero", for a target named beforehand.
    selected : bool
        Whether the targets were chosen among all, so that their presence has a probability.
    """

    posterior: WeightPosterior
    candidates: Ints
    p_values: Floats
    selected: bool

    @property
    def n_components(self) -> int:
        """Number of components."""
        return int(self.p_values.size)

    @property
    def q_values(self) -> Floats:
        """Expected share of false components among each one and those that are more certain."""
        absent = self.posterior.absent[: self.n_components]
        order = np.argsort(absent, kind="stable")
        share = np.cumsum(absent[order]) / np.arange(1, absent.size + 1)
        out = np.empty(absent.size)
        out[order] = share
        return out


def believe(
    network: Network | MechanismNetwork,
    codes: Values,
    counts: Floats,
    targets: Ints,
    weights: Floats,
    columns: Floats,
    candidates: Candidates | None,
    refined: bool,
    rng: np.random.Generator,
    is_known: NDArray[np.bool_] | None = None,
) -> Belief:
    """Work out what the rows say about the weights.

    Parameters
    ----------
    network : Network or MechanismNetwork
        That the mixture refers to.
    codes : ndarray, shape (n_configurations, n_variables)
    counts : ndarray, shape (n_configurations,)
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    weights : ndarray, shape (n_components,)
        Maximum-likelihood weights of the components.
    columns : ndarray, shape (n_configurations, n_targets)
        Likelihoods; every configuration possible under the components.
    candidates : Candidates or None
        None where the targets were not chosen among all, or weights are known.
    refined : bool
        Whether mixture rows taught the network too.
    rng : numpy.random.Generator
    is_known : ndarray of bool, shape (n_components,), optional
        Components whose weight was given.

    Returns
    -------
    Belief
    """
    m = weights.size
    mixture = columns[:, :m] @ weights
    relative = columns / mixture[:, None]
    if not network.learns or has_missing(codes):
        information = (relative * counts[:, None]).T @ relative
    elif isinstance(network, MechanismNetwork):
        information = information_by_scores(
            network, codes, counts, targets, relative, weights, refined
        )
    else:
        information = information_with_tables(
            network, codes, counts, targets, relative, weights, refined
        )
    score = counts @ relative - counts.sum()
    known = np.zeros(m, dtype=bool) if is_known is None else is_known

    def p_values(z: Floats) -> Floats:
        return likelihood_ratio_p_values(columns, counts, weights, z)

    return believe_sums(
        information, score, float(counts.sum()), targets, weights, candidates, rng, known, p_values
    )


def believe_sums(
    information: Floats,
    score: Floats,
    n_rows: float,
    targets: Ints,
    weights: Floats,
    candidates: Candidates | None,
    rng: np.random.Generator,
    is_known: NDArray[np.bool_],
    p_values: Callable[[Floats], Floats] = boundary_p_value,
) -> Belief:
    """Work out what the rows say about the weights, from sums over them.

    Parameters
    ----------
    information : ndarray, shape (n_targets, n_targets)
        Observed information of components, then candidates.
    score : ndarray, shape (n_targets,)
        Sums of their likelihoods over the mixture's, less the number of rows.
    n_rows : float
    targets, weights, candidates, rng, is_known
        As for :func:`believe`.
    p_values : callable
        Takes the components' weights in standard errors, and gives p-values; where targets were
        chosen among all.

    Returns
    -------
    Belief
    """
    m = weights.size
    information, score = information.copy(), score.copy()
    # A required component that no row can come from: N log(1 - w) has curvature N at zero.
    blank = np.flatnonzero(np.diag(information) <= 0)
    information[blank, blank] = n_rows
    if candidates is None:
        posterior = posterior_given_targets(information, weights, is_known)
        return Belief(posterior, targets[m:], boundary_p_value(posterior.z), False)
    # Zero at the maximum, but for a required component whose weight is zero.
    score[:m][weights > 0] = 0.0
    odds = np.concatenate([candidates.component_log_prior_odds, candidates.log_prior_odds])
    posterior = weight_posterior(information, score, weights, odds, rng)
    return Belief(posterior, targets[m:], p_values(posterior.z[:m]), True)
