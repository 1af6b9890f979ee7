"""What a method may be told."""

from __future__ import annotations

from dataclasses import dataclass

from dosift.likelihood.weights import DEFAULT_GAP
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import System
from dosift.model.mechanism_network import MechanismNetwork
from dosift.search.constraints import Constraints
from dosift.search.patterns import Patterns

#: Threshold of the paper's code on weights.
DEFAULT_EPSILON = 1e-3


@dataclass(frozen=True)
class Options:
    """What a method may be told.

    Attributes
    ----------
    max_size : int or None
        Largest number of variables that a target sets (likelihood, em, brute-force).
    refine : bool
        Whether the mixture rows teach a learned network too (likelihood).
    gap : float
        Optimality gap of the weights, in nats a row (likelihood).
    epsilon : float
        Weights below this are dropped (moments, em, brute-force).
    delta : float or None
        Added to every count of control rows; None for one over their number (moments).
    constraints : Constraints or None
        What is known about targets (likelihood; in part em and brute-force).
    patterns : Patterns or None
        The same where variables are numbers.
    """

    max_size: int | None = None
    refine: bool = True
    gap: float = DEFAULT_GAP
    epsilon: float = DEFAULT_EPSILON
    delta: float | None = None
    constraints: Constraints | None = None
    patterns: Patterns | None = None

    def constraints_on(
        self, network: System, targets: Ints | None = None, weights: Floats | None = None
    ) -> Constraints:
        """Return what is known about targets of a network.

        Parameters
        ----------
        network : System
            Where variables are numbers, its libraries say what their changes are.
        targets : ndarray of int, shape (n_targets, n_variables), optional
            Of a mixture, which says by which changes numbers are changed that are known to be.
        weights : ndarray, shape (n_targets,), optional

        Returns
        -------
        Constraints
        """
        if isinstance(network, MechanismNetwork) and self.patterns is not None:
            return self.patterns.constraints(network, targets, weights)
        return self.constraints or Constraints.none(network.n_changes)
