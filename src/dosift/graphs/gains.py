"""Quick gains of a graph's edits: what each would bring, with the same targets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dosift.graphs.dag import Edit, Parents
from dosift.graphs.family import Families, Family
from dosift.graphs.graph_fit import TINY, GraphFit, used
from dosift.model.arrays import Floats, Ints
from dosift.model.mechanism import Changes

#: Steps of EM by which an edit is ranked, and the rise (nats) that is not worth another.
QUICK_STEPS, _QUICK_RISE = 15, 2e-3
#: Gain (nats) of an edit below which it does not matter how far; and how many times what the last
#: step brought all further ones may bring, at most.
HOPELESS, _MORE_STEPS = -100.0, 25.0
#: What a target does to a mechanism: nothing, or another takes its place; from here on, the changes
#: that keep its parameters, in the order of the library.
_ALONE, _REPLACED, _FIRST = 0, 1, 2


class QuickGains:
    """Ranks the neighbours of a graph.

    Parameters
    ----------
    families : Families
        Control and mixture rows.
    """

    def __init__(self, families: Families) -> None:
        self.families = families
        self._counts = families.rows.counts
        self._half_log = 0.5 * float(np.log(families.n_rows))
        self._settled: dict[tuple[int, tuple[int, ...]], float] = {}

    def price(self, learned: Sequence[Family]) -> float:
        """Return what the free parameters of mechanisms cost in the score.

        Parameters
        ----------
        learned : sequence of Family

        Returns
        -------
        float
            Half the logarithm of the number of rows for each.
        """
        return self._half_log * sum(family.n_free for family in learned)

    def quick_gains(
        self,
        fit: GraphFit,
        some: Sequence[Edit],
        steps: int = QUICK_STEPS,
        hopeless: float = -np.inf,
    ) -> Floats:
        """Estimate the rise of the score that each edit brings, with the same targets.

        Only the families that change are learned anew, together with the weights, by some steps of
        EM. The components that a wrong graph made necessary stay, so that the estimates are too
        low; their order is what counts.

        Parameters
        ----------
        fit : GraphFit
        some : sequence of Edit
        steps : int
            Of EM.
        hopeless : float
            Where gains below this are all the same, EM is not gone on with.

        Returns
        -------
        ndarray, shape (n_edits,)
            In nats.
        """
        return np.array(
            [self.quick_gain(fit, edit.graph, edit.changed, steps, hopeless) for edit in some]
        )

    def quick_gain(
        self,
        fit: GraphFit,
        graph: Parents,
        changed: Sequence[int],
        n_steps: int = QUICK_STEPS,
        hopeless: float = -np.inf,
    ) -> float:
        """Estimate the rise of the score under any other graph; see :meth:`quick_gains`.

        Parameters
        ----------
        fit : GraphFit
        graph : Parents
        changed : sequence of int
            Positions of the variables whose parents differ.
        n_steps : int
            Of EM.
        hopeless : float
            As for :meth:`quick_gains`.

        Returns
        -------
        float
            In nats.
        """
        counts = self._counts
        ways = self._ways(fit, changed)
        if not ways.any():
            # Every row teaches these families: no mixture comes between.
            return sum(self._worth(i, graph[i]) - self._worth(i, fit.graph[i]) for i in changed)
        patterns, of = np.unique(ways, axis=0, return_inverse=True)
        of = of.ravel()
        members = [np.flatnonzero(of == k) for k in range(len(patterns))]
        old = [fit.families[i] for i in changed]
        kept = [sorted({int(way) for way in column if way > _REPLACED}) for column in patterns.T]
        before = [
            self._factors(fit, i, fit.families[i], k) for i, k in zip(changed, kept, strict=True)
        ]
        weights = fit.weights.copy()
        ratios = [fit.ratios[:, m] for m in members]
        mass = [part @ weights[m] for part, m in zip(ratios, members, strict=True)]
        factors = np.ones((len(counts), len(patterns)))
        density, gain = fit.density, -np.inf
        old_value = float(counts @ np.log(fit.density)) + sum(one.control for one in old)
        for _ in range(n_steps):
            shares = [counts * f * m / density for f, m in zip(factors.T, mass, strict=True)]
            new = []
            for k, i in enumerate(changed):
                rows = {
                    way: sum((s for s, p in zip(shares, patterns, strict=True) if p[k] == way), 0.0)
                    for way in (_ALONE, *kept[k])
                }
                alone = np.broadcast_to(rows[_ALONE], counts.shape)
                under = [(fit.libraries[i][way - _FIRST], np.asarray(rows[way])) for way in kept[k]]
                new.append(self.families.learned(i, graph[i], alone, under))
            steps = []
            for k, i in enumerate(changed):
                after = self._factors(fit, i, new[k], kept[k])
                steps.append({way: np.exp(after[way] - before[k][way]) for way in after})
            for g, pattern in enumerate(patterns):
                own = members[g]
                weights[own] *= ratios[g].T @ (counts * factors[:, g] / density)
                mass[g] = ratios[g] @ weights[own]
                factors[:, g] = 1.0
                for step, way in zip(steps, pattern.tolist(), strict=True):
                    if way != _REPLACED:
                        factors[:, g] *= step[way]
            total = weights.sum()
            weights /= total
            mass = [m / total for m in mass]
            density = np.maximum(
                sum((f * m for f, m in zip(factors.T, mass, strict=True)), 0.0), TINY
            )
            last, gain = gain, float(counts @ np.log(density)) - old_value
            gain += sum(one.control for one in new) - self.price(new) + self.price(old)
            rise = gain - last
            if rise < _QUICK_RISE or gain + _MORE_STEPS * rise < hopeless:
                break
        return gain

    def _ways(self, fit: GraphFit, changed: Sequence[int]) -> Ints:
        """Tell what each target does to the mechanisms of some variables.

        It leaves them alone, replaces them, or keeps their parameters: then, which change does.
        """
        ways = np.where(fit.targets[:, list(changed)] >= 0, _REPLACED, _ALONE)
        for k, i in enumerate(changed):
            library = fit.libraries[i]
            if isinstance(library, Changes):
                for position in used(fit.targets[:, i]):
                    if library[position].keeps_mechanism:
                        ways[fit.targets[:, i] == position, k] = _FIRST + position
        return ways

    def _factors(
        self, fit: GraphFit, i: int, family: Family, kept: Sequence[int]
    ) -> dict[int, Floats]:
        """Log-density of a family in rows that left it alone, and under changes that keep it."""
        least = fit.least[i]
        logs = family.log_density if least is None else np.maximum(family.log_density, least)
        out = {_ALONE: logs}
        if kept:
            positions = [way - _FIRST for way in kept]
            own, _, ratios = self.families.ratios(i, family, fit.libraries[i], positions)
            for way, position in zip(kept, positions, strict=True):
                out[way] = own + np.log(ratios[position])
        return out

    def _worth(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family that no target touches, once."""
        if (i, parents) not in self._settled:
            family = self.families.learned(i, parents, self._counts)
            value = float(self._counts @ family.log_density) + family.control
            self._settled[i, parents] = value - self.price([family])
        return self._settled[i, parents]
