"""Posteriors of the weights, averaged over graphs.

Intervals from one chosen graph are too narrow for the same reason as those from one chosen set of
targets. Every graph that the rows leave possible gives a posterior of its own; here they are one,
each with the graph's probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.inference.posterior import Posterior
from dosift.inference.weight_posterior import Spread, Summary, WeightPosterior, summarised
from dosift.model.arrays import Bools, Floats, Ints


@dataclass(frozen=True)
class _Part:
    """The posterior under one graph."""

    weights: WeightPosterior
    #: Probability of the graph.
    share: float
    #: Where each target of the average stands in it, -1 where it is not known there.
    own: NDArray[np.int64]

    @property
    def known(self) -> Bools:
        return self.own >= 0

    def members(self, members: Bools) -> Bools:
        """Say which of the part's targets each sum is over."""
        out = np.zeros((len(members), self.weights.estimate.size), dtype=bool)
        out[:, self.own[self.known]] = members[:, self.known]
        return out

    @property
    def absent(self) -> Floats:
        out = np.ones(self.own.size)
        out[self.known] = self.weights.absent[self.own[self.known]]
        return out


class AveragedWeights(WeightPosterior):
    """Posterior of the weights over several graphs; see :class:`WeightPosterior`.

    Made by :func:`averaged`.
    """

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        first = parts[0]
        n = first.own.size
        self.estimate = np.zeros(n)
        self.estimate[first.known] = first.weights.estimate[first.own[first.known]]
        self.absent = np.asarray(sum((p.share * p.absent for p in parts), np.zeros(n)))
        self.z = np.zeros(n)
        self.z[first.known] = first.weights.z[first.own[first.known]]

    @property
    def shares(self) -> list[float]:
        """Probability of each graph, the chosen one first."""
        return [part.share for part in self._parts]

    def sums(self, members: Bools, level: float = 0.95) -> Summary:
        """Summarise sums of weights, whatever graph and targets hold."""
        spreads = [part.weights.spread(part.members(members), part.share) for part in self._parts]
        return summarised(spreads, members @ self.estimate, level)

    def weights(self, level: float = 0.95) -> Summary:
        """Summarise each target's weight, given that it is in the mixture."""
        n = self.estimate.size
        spreads = []
        for part in self._parts:
            found = part.weights.spread_if_present()
            points, sd = np.zeros((n, found.points.shape[1])), np.zeros(n)
            points[part.known] = found.points[part.own[part.known]]
            sd[part.known] = found.sd[part.own[part.known]]
            spreads.append(Spread(points, sd, part.share * (1.0 - part.absent)))
        return summarised(spreads, self.estimate, level)

    def any_present(self, members: Bools) -> Floats:
        """Probability that at least one target of each group is in the mixture."""
        out = np.zeros(len(members))
        for part in self._parts:
            out += part.share * part.weights.any_present(part.members(members))
        return out


def averaged(
    targets: Sequence[Ints], posteriors: Sequence[Posterior], shares: Sequence[float]
) -> Posterior:
    """Average posteriors over graphs.

    Parameters
    ----------
    targets : sequence of ndarray of int, each of shape (n_components, n_variables)
        Components under each graph.
    posteriors : sequence of Posterior
        Of the weights under each graph; the first is that of the graph chosen.
    shares : sequence of float
        Probability of each graph.

    Returns
    -------
    Posterior
        With the components of the first graph. What only others have is among the undecided.
    """
    if len(posteriors) == 1:
        return posteriors[0]
    listed = [
        np.concatenate([own, posterior.undecided])
        for own, posterior in zip(targets, posteriors, strict=True)
    ]
    place = {key.tobytes(): k for k, key in enumerate(_keys(listed[0]))}
    further = []
    for part in listed[1:]:
        for key, target in zip(_keys(part), part, strict=True):
            if key.tobytes() not in place:
                place[key.tobytes()] = len(place)
                further.append(target)
    total = float(sum(shares))
    parts = []
    for part, posterior, share in zip(listed, posteriors, shares, strict=True):
        own = np.full(len(place), -1, dtype=np.int64)
        for k, key in enumerate(_keys(part)):
            own[place[key.tobytes()]] = k
        parts.append(_Part(posterior.of_weights, share / total, own))
    first = posteriors[0]
    undecided = np.concatenate([first.undecided, *(t[None] for t in further)])
    return replace(first, of_weights=AveragedWeights(parts), undecided=undecided)


def _keys(targets: Ints) -> NDArray[np.int16]:
    return np.ascontiguousarray(targets, dtype=np.int16)
