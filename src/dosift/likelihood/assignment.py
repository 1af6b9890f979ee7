"""Which target each row came from, under a given mixture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.columns import TargetColumns
from dosift.likelihood.completions import complete
from dosift.likelihood.factors import MechanismFactors
from dosift.model.mechanism import System, Values, has_missing
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class Assignment:
    """Likelihoods and posteriors of configurations under a mixture.

    Attributes
    ----------
    columns : ndarray, shape (n_configurations, n_targets)
        Likelihoods relative to a reference measure.
    mixture : ndarray, shape (n_configurations,)
        Their mixture.
    weights : ndarray, shape (n_targets,)
    log_reference : ndarray, shape (n_configurations,)
        Logarithm of the reference measure, in nats.
    """

    columns: Floats
    mixture: Floats
    weights: Floats
    log_reference: Floats

    @property
    def log_probability(self) -> Floats:
        """Log-probability under the mixture, in nats; minus infinity where it cannot occur."""
        with np.errstate(divide="ignore"):
            out: Floats = np.log(self.mixture) + self.log_reference
        return out

    @property
    def posterior(self) -> Floats:
        """Posterior of each target; NaN in a row that no target can produce."""
        with np.errstate(divide="ignore", invalid="ignore"):
            out: Floats = self.columns * self.weights / self.mixture[:, None]
        return out

    @property
    def best(self) -> NDArray[np.int64]:
        """Most probable target of each configuration; -1 where none can produce it."""
        best = (self.columns * self.weights).argmax(axis=1)
        best[self.mixture <= 0] = -1
        return np.asarray(best, dtype=np.int64)


def assign(network: System, targets: Ints, weights: Floats, codes: Values) -> Assignment:
    """Compute likelihoods and posteriors of configurations.

    Parameters
    ----------
    network : System
    targets : ndarray of int, shape (n_targets, n_variables)
        -1 where a variable is left alone.
    weights : ndarray, shape (n_targets,)
    codes : ndarray, shape (n_configurations, n_variables)
        State codes, -1 for a missing value, which is summed over; or numbers, none missing.

    Returns
    -------
    Assignment

    Raises
    ------
    InputError
        If values are missing in so many ways that their completions do not fit in memory.

    Examples
    --------
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> found = assign(
    ...     network, np.array([[-1], [1]]), np.array([0.5, 0.5]), np.array([[0], [1]])
    ... )
    >>> found.posterior.round(3)
    array([[1.   , 0.   ],
           [0.333, 0.667]])
    """
    if isinstance(network, Network) and has_missing(codes):
        return _assign_partial(network, targets, weights, codes)
    factors = MechanismFactors(network, codes)
    columns = factors.columns(targets)
    return Assignment(columns, columns @ weights, weights, factors.log_base())


def assign_rows(columns: TargetColumns, weights: Floats, codes: Ints) -> Assignment:
    """Compute likelihoods and posteriors of rows that hardly repeat.

    Parameters
    ----------
    columns : TargetColumns
        Of the targets.
    weights : ndarray, shape (n_targets,)
    codes : ndarray of int, shape (n_rows, n_variables)
        -1 for a missing value, which is summed over.

    Returns
    -------
    Assignment
        As of :func:`assign`.
    """
    network = columns.network
    is_plain = isinstance(network, Network) and columns.is_plain
    if not is_plain or (codes.size and codes.min() < 0):
        return assign(network, columns.targets, weights, codes)
    likelihoods, _ = columns(codes)
    log_reference = np.zeros(len(codes))
    for mechanism in network.mechanisms:
        log_reference += mechanism.log_density(codes)
    return Assignment(likelihoods, likelihoods @ weights, weights, log_reference)


def _assign_partial(network: Network, targets: Ints, weights: Floats, codes: Ints) -> Assignment:
    """Sum the likelihoods of the completions of each row."""
    found = complete(network, codes)
    factors = MechanismFactors(network, found.codes)
    log_base = factors.log_base()
    reference = np.maximum.reduceat(log_base, found.first)
    numbers = np.diff(np.append(found.first, log_base.size))
    scale = np.exp(log_base - np.repeat(reference, numbers))
    columns = np.empty((len(codes), len(targets)), order="F")
    for t, target in enumerate(targets):
        columns[:, t] = np.add.reduceat(factors.column(target) * scale, found.first)
    return Assignment(columns, columns @ weights, weights, reference)
