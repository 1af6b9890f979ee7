"""What lies around a final mixture: targets that might be in it, or in a component's place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.search.certificate import Certificate, certify, price_others
from dosift.search.near_equivalent import Rival, find_rivals
from dosift.search.problem import Fit, SearchProblem
from dosift.search.undecided import Candidates, find_candidates

Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Surroundings:
    """Targets around a mixture.

    Attributes
    ----------
    certificate : Certificate or None
    candidates : Candidates or None
    rivals : tuple of Rival
    """

    certificate: Certificate | None = None
    candidates: Candidates | None = None
    rivals: tuple[Rival, ...] = ()

    def placed(
        self, variables: NDArray[np.int64], n_variables: int, rank: NDArray[np.int64]
    ) -> Surroundings:
        """Return the same over a network's variables, with components in another order.

        Parameters
        ----------
        variables : ndarray of int
            Position in the network of each of the problem's variables.
        n_variables : int
            Number of variables of the network.
        rank : ndarray of int
            Positions of the components in the new order.
        """

        def placed(targets: Ints) -> Ints:
            out = np.full((len(targets), n_variables), -1, dtype=np.int16)
            out[:, variables] = targets
            return out

        certificate, candidates = self.certificate, self.candidates
        if certificate is not None and certificate.target is not None:
            certificate = replace(certificate, target=placed(certificate.target[None, :])[0])
        if candidates is not None:
            candidates = replace(
                candidates,
                targets=placed(candidates.targets),
                component_log_prior_odds=candidates.component_log_prior_odds[rank],
            )
        place = np.argsort(rank)
        rivals = [
            Rival(int(place[r.component]), placed(r.target[None, :])[0], r.loss)
            for r in self.rivals
        ]
        rivals.sort(key=lambda r: (r.component, r.loss))
        return Surroundings(certificate, candidates, tuple(rivals))


def survey(
    problem: SearchProblem,
    fit: Fit,
    sample: SearchProblem,
    max_size: int | None,
    n_variables: int,
) -> Surroundings:
    """Look around a final mixture.

    Parameters
    ----------
    problem : SearchProblem
    fit : Fit
        With converged weights.
    sample : SearchProblem
        All rows or a sample of them, on which rivals are judged first.
    max_size : int, optional
        Largest number of variables that a target sets.
    n_variables : int
        Number of variables of the network.

    Returns
    -------
    Surroundings
        Over the problem's variables.
    """
    priced = price_others(problem, fit, max_size)
    certificate = certify(problem, priced, n_variables)
    if problem.constraints.known_weights.size or not np.isfinite(fit.log_likelihood):
        return Surroundings(certificate)
    return Surroundings(
        certificate,
        find_candidates(problem, fit, priced),
        tuple(find_rivals(problem, fit, sample, max_size)),
    )
