"""What lies around a final mixture: targets that might be in it, or in a component's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.evidence import Evidence
from dosift.model.arrays import Floats, Ints
from dosift.search.certificate import Certificate, certify
from dosift.search.near_equivalent import NearEquivalent, find_near_equivalent
from dosift.search.pricing import Priced
from dosift.search.selection import Selection
from dosift.search.undecided import Undecided, find_undecided


@dataclass(frozen=True)
class Neighbourhood:
    """Targets around a mixture, over the network's variables.

    Attributes
    ----------
    certificate : Certificate or None
    undecided : Undecided or None
    near_equivalent : tuple of NearEquivalent
    """

    certificate: Certificate | None = None
    undecided: Undecided | None = None
    near_equivalent: tuple[NearEquivalent, ...] = ()

    def reordered(self, rank: NDArray[np.int64]) -> Neighbourhood:
        """Return the same with components in another order.

        Parameters
        ----------
        rank : ndarray of int
            Positions of the components in the new order.
        """
        undecided = self.undecided
        if undecided is not None:
            undecided = replace(
                undecided, component_log_prior_odds=undecided.component_log_prior_odds[rank]
            )
        place = np.argsort(rank)
        near = [replace(one, component=int(place[one.component])) for one in self.near_equivalent]
        near.sort(key=lambda one: (one.component, one.loss))
        return Neighbourhood(self.certificate, undecided, tuple(near))


def survey(
    selection: Selection,
    targets: Ints,
    weights: Floats,
    priced: Sequence[Priced],
    scope: str,
    sample: Evidence | None = None,
) -> Neighbourhood:
    """Look around a final mixture.

    Parameters
    ----------
    selection : Selection
        Of which the mixture comes, or might have come.
    targets : ndarray of int, shape (n_components, n_variables)
    weights : ndarray, shape (n_batches, n_components)
        Converged.
    priced : sequence of Priced
        In each batch, the targets around the mixture, or all there are, or those of a list.
    scope : {"all", "neighbours", "candidates"}
        Which of these they are.
    sample : Evidence, optional
        Fewer rows, to begin with.

    Returns
    -------
    Neighbourhood
        Which targets are undecided is said of rows in one batch only.
    """
    evidence, network, constraints = selection.evidence, selection.network, selection.constraints
    weights = np.atleast_2d(weights)
    certificate = certify(priced, scope, len(selection.variables))
    sums_possible = evidence.weigh(network, targets, weights)
    if constraints.known_weights.size or sums_possible.n_impossible.any():
        return Neighbourhood(certificate)
    undecided = None
    if evidence.n_batches == 1:
        protected = constraints.protects(targets)
        undecided = find_undecided(
            evidence, network, targets, weights[0], priced[0], selection.score, protected
        )
    near = find_near_equivalent(selection, targets, weights, sample)
    return Neighbourhood(certificate, undecided, tuple(near))
