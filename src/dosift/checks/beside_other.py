"""Components beside rows that come from elsewhere: which of them still earn their cost.

A search that knows of no rows from elsewhere finds them as interventions; where they have a column
of their own, such components explain little more, and are dropped by the same elimination as in
every fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from dosift.likelihood.weights import WeightSolution, solve_weights
from dosift.model.arrays import Bools, Floats, Ints
from dosift.search.elimination import drop_losses, eliminate


@dataclass(frozen=True)
class Needed:
    """Components that are left beside rows from elsewhere.

    Attributes
    ----------
    columns : ndarray, shape (n_rows, n_components + 1)
        Likelihoods of all components, and last that of coming from elsewhere.
    counts : ndarray, shape (n_rows,)
    cost_of : callable
        Takes positions of components, and returns what they cost together, in nats.
    savings : callable
        Takes positions of components, and returns what each saves if it alone is dropped.
    protected : ndarray of bool, shape (n_components,)
        Components that are never dropped.
    kept : ndarray of int
        Positions of those that are left.
    fit : WeightSolution
        Their weights, and last the share of rows from elsewhere.
    """

    columns: Floats
    counts: Floats
    cost_of: Callable[[Ints], float]
    savings: Callable[[Ints], Floats]
    protected: Bools
    kept: Ints
    fit: WeightSolution

    def margins(self) -> Floats:
        """Estimate what dropping each component loses, less what it costs."""
        scaled = self._of(self.kept) / self.fit.mixture[:, None]
        information = scaled.T @ (scaled * self.counts[:, None])
        net = drop_losses(information[None], self.fit.weights[None])[:, :-1]
        net = net - self.savings(self.kept)
        net[:, self.protected[self.kept]] = np.inf
        return np.asarray(net)

    def without(self, tried: Ints) -> Needed:
        """Fit again without one component."""
        k = int(tried[0])
        kept, begun = np.delete(self.kept, k), np.delete(self.fit.weights, k)
        return replace(self, kept=kept, fit=solve_weights(self._of(kept), self.counts, begun))

    def gains(self, trial: Needed, tried: Ints) -> Bools:
        """Whether the trial loses no more than it saves."""
        saved = self.cost_of(self.kept) - self.cost_of(trial.kept)
        return np.array([self.fit.log_likelihood - trial.fit.log_likelihood <= saved])

    def taking(self, trial: Needed, tried: Ints, better: Bools) -> Needed:
        """Take the drop over."""
        return trial

    def _of(self, kept: Ints) -> Floats:
        return self.columns[:, [*kept, -1]]


def needed_beside_other(
    columns: Floats,
    counts: Floats,
    fit: WeightSolution,
    cost_of: Callable[[Ints], float],
    savings: Callable[[Ints], Floats],
    protected: Bools,
) -> Needed:
    """Drop components that explain little where rows from elsewhere are a component, too.

    Parameters
    ----------
    columns, counts, fit, cost_of, savings, protected
        As of :class:`Needed`, where all components are there.

    Returns
    -------
    Needed
        At least one component is left.

    Examples
    --------
    Rows that a component of two and rows from elsewhere explain equally well:

    >>> columns, counts = np.array([[1.0, 0.0, 0.1], [0.0, 1.0, 1.0]]), np.array([60.0, 40.0])
    >>> found = needed_beside_other(
    ...     columns, counts, solve_weights(columns, counts),
    ...     lambda kept: 3.0 * kept.size, lambda kept: np.full(kept.size, 3.0), np.zeros(2, bool),
    ... )
    >>> found.kept.tolist()
    [0]
    """
    kept = np.arange(columns.shape[1] - 1)
    begun = Needed(columns, counts, cost_of, savings, protected, kept, fit)
    return eliminate(begun, slack=0.0, trials=1)
