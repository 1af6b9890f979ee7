"""A mixture and the mechanisms of one graph, fitted together, roughly and fast.

The score that graphs are compared by is the joint penalised log-likelihood: that of control and
mixture rows at the best mechanisms, targets and weights, less the description length of the
targets, less half the logarithm of the number of rows for each free parameter of the mechanisms
(BIC). Under a wrong graph the search for targets is slow, because dozens of components are invented
for the rows that a missing edge would explain; but a rough fit ranks graphs as well, and keeps the
true targets better. So here a mixture begins from one splitting of the rows, or from that of
another graph, is raised by EM, and loses what the quadratic model does not miss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dosift.errors import InputError
from dosift.graphs.dag import Parents
from dosift.graphs.family import Families, Family
from dosift.graphs.gains import QuickGains
from dosift.graphs.graph_fit import TINY, GraphFit, used
from dosift.model.arrays import Floats, Ints, distinct
from dosift.model.mechanism import Changes, Library, System
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.elimination import inverse_of, survivors
from dosift.search.engine import TargetSearch
from dosift.search.library import tidied_changes
from dosift.search.patterns import Patterns
from dosift.search.result import SearchResult
from dosift.search.score import Score
from dosift.utils.progress import silent

#: Steps of EM, and the rise (nats) that is not worth another.
_EM_STEPS, _EM_RISE = 40, 0.3
#: Rounds of the search for further targets, from one splitting and from a neighbour's mixture.
_COLD_ROUNDS, _WARM_ROUNDS = 2, 1
#: How much longer a fit takes where changes have to be looked for, and rows that it is reckoned
#: to have at least.
_LONGER, _USUAL_ROWS = 4, 2**12
#: How often components are looked into for new changes, where libraries may grow.
_LOOKS = 6
#: How many times what one look brought all further ones may bring: a fit that would need more to
#: become the best of all graphs is left as it is.
_MORE_RISES = 3.0


class GraphFitter:
    """Fits mixtures under graphs.

    Parameters
    ----------
    families : Families
        Control and mixture rows.
    constraints : Constraints
        What is known about targets.
    max_size : int, optional
        Largest number of variables that a target sets.
    patterns : Patterns, optional
        What is known about targets where changes are found only as rows are looked at.
    """

    def __init__(
        self,
        families: Families,
        constraints: Constraints,
        max_size: int | None = None,
        patterns: Patterns | None = None,
    ) -> None:
        self.families = families
        self.constraints = constraints
        self.patterns = patterns
        self.max_size = max_size
        self._counts = families.rows.counts
        self._cost_at_first = self._cost_of(families.libraries)
        self.gains = QuickGains(families)
        self._grows = any(isinstance(one, Changes) and one.kinds for one in families.libraries)
        self._highest = -np.inf

    def times(self, work: int, fit: GraphFit, bounds: tuple[int, int]) -> int:
        """How often something can be done for so much work.

        Parameters
        ----------
        work : int
            Likelihoods (distinct rows times components) in all, of tables.
        fit : GraphFit
            What the size of a fit is taken from.
        bounds : tuple of int
            Least and most.
        """
        size = fit.ratios.size
        if self._grows:
            size = _LONGER * max(len(fit.ratios), _USUAL_ROWS) * len(fit.targets)
        return int(np.clip(work // max(size, 1), *bounds))

    # One graph.

    def cold(self, graph: Parents) -> GraphFit:
        """Fit from one splitting of the rows."""
        learned = self._learned(graph)
        libraries = tuple(self.families.suggested(i, row) for i, row in enumerate(graph))
        known = self._known(libraries)
        if known.candidates is None:
            start = self._split(graph, learned, libraries)
        else:
            start = self._listed(known.candidates, known)
        fit = self.between(graph, np.unique(start, axis=0), None, learned, libraries)
        return self._tidied(self._grown(self._pruned(fit), _COLD_ROUNDS))

    def _split(
        self, graph: Parents, learned: tuple[Family, ...], libraries: tuple[Library, ...]
    ) -> Ints:
        """Return the targets that one splitting of the rows gives, and "no intervention"."""
        prepared, begun = self._search(graph, learned, libraries).begun()
        n = self.families.n_variables
        nothing: Ints = np.full((1, n), -1, dtype=np.int16)
        if not self._known(libraries).permits(nothing).all():
            nothing = nothing[:0]
        whole, _ = prepared.problem.whole(begun)
        return np.concatenate([prepared.to_network(whole, n), nothing])

    def _listed(self, candidates: Ints, known: Constraints) -> Ints:
        """Return all targets that may be, where they are listed."""
        sizes = (candidates >= 0).sum(axis=1)
        some = candidates if self.max_size is None else candidates[sizes <= self.max_size]
        return np.concatenate([some, known.required, known.known]).astype(np.int16)

    def warm(self, graph: Parents, near: GraphFit) -> GraphFit:
        """Fit from the mixture of another graph."""
        learned, libraries = list(near.families), list(near.libraries)
        for i, row in enumerate(graph):
            if row != near.graph[i]:
                learned[i] = self.families.learned(i, row)
                libraries[i] = self.families.suggested(i, row, libraries[i])
        fit = self.between(graph, near.targets, near.weights, tuple(learned), tuple(libraries))
        return self._tidied(self._grown(self._pruned(fit), _WARM_ROUNDS))

    def between(
        self,
        graph: Parents,
        targets: Ints,
        weights: Floats | None = None,
        learned: tuple[Family, ...] | None = None,
        libraries: tuple[Library, ...] | None = None,
    ) -> GraphFit:
        """Raise weights, mechanisms and changes for given targets, by EM.

        Parameters
        ----------
        graph : Parents
        targets : ndarray of int, shape (n_targets, n_variables)
        weights : ndarray, shape (n_targets,), optional
            To start from; equal ones by default.
        learned : tuple of Family, optional
            To start from; those of control rows by default.
        libraries : tuple of Library, optional
            Changes to start from; those known at first by default.

        Returns
        -------
        GraphFit
        """
        now = self._learned(graph) if learned is None else learned
        changes = self.families.libraries if libraries is None else libraries
        w = np.full(len(targets), 1 / len(targets)) if weights is None else weights / weights.sum()
        is_set = targets >= 0
        taught = np.flatnonzero(is_set.any(axis=0))
        # What no target sets, every row teaches.
        settled = {
            i: self.families.learned(i, row, self._counts)
            for i, row in enumerate(graph)
            if i not in set(taught.tolist())
        }
        now = tuple(settled.get(i, family) for i, family in enumerate(now))
        before = -np.inf
        for step in range(_EM_STEPS):
            logs, least, ratios = self._ratios(now, changes, targets)
            density = np.maximum(ratios @ w, TINY)
            value = self._value(now, logs, density)
            if value - before < _EM_RISE or step == _EM_STEPS - 1:
                break
            before = value
            posterior = ratios * (self._counts / density)[:, None] * w
            w = posterior.sum(axis=0)
            w /= w.sum()
            elsewhere = posterior @ is_set[:, taught]
            changed, own = dict(settled), list(changes)
            for k, i in enumerate(taught.tolist()):
                alone = np.maximum(self._counts - elsewhere[:, k], 0.0)
                changed[i], own[i] = self.families.taught(
                    i, graph[i], changes[i], targets[:, i], posterior, alone
                )
            now, changes = tuple(changed[i] for i in range(len(graph))), tuple(own)
        score = value - self._cost(changes).total(targets) - self.gains.price(now)
        return GraphFit(graph, targets, w, now, changes, logs, least, ratios, density, score)

    def of_result(self, graph: Parents, result: SearchResult) -> GraphFit:
        """Fit from the mixture that a search found."""
        network = cast(System, result.network)
        taught = self.families.of_network(network)
        targets, weights = result.targets, result.weights
        return self.between(graph, targets, weights, taught, network.libraries)

    def _tidied(self, fit: GraphFit) -> GraphFit:
        """Leave out changes of numbers that no target makes, so that choices are fewer."""
        libraries, targets = tidied_changes(fit.libraries, fit.targets)
        if all(one is two for one, two in zip(libraries, fit.libraries, strict=True)):
            return fit
        saved = self._cost(fit.libraries).total(fit.targets) - self._cost(libraries).total(targets)
        return replace(fit, libraries=libraries, targets=targets, score=fit.score + saved)

    def _learned(self, graph: Parents) -> tuple[Family, ...]:
        return tuple(self.families.learned(i, row) for i, row in enumerate(graph))

    def _cost(self, libraries: tuple[Library, ...]) -> Score:
        """Return the score of targets that are made of some changes."""
        if libraries is self.families.libraries:
            return self._cost_at_first
        return self._cost_of(libraries)

    def _known(self, libraries: tuple[Library, ...]) -> Constraints:
        """Return what is known about targets that are made of some changes."""
        if self.patterns is None:
            return self.constraints
        nothing = tuple(() for _ in libraries)
        network = self.families.network(nothing, None, libraries)
        assert isinstance(network, MechanismNetwork)
        try:
            return self.patterns.constraints(network)
        except InputError:
            # Of what may change nothing shows under this graph: that counts against it.
            return Constraints.none(network.n_changes)

    def _cost_of(self, libraries: tuple[Library, ...]) -> Score:
        return self._known(libraries).score(self.families.rows.total, libraries)

    def _value(self, learned: Sequence[Family], own: Sequence[Floats], density: Floats) -> float:
        logs = np.log(density)
        for log_density in own:
            logs += log_density
        return float(self._counts @ logs) + sum(family.control for family in learned)

    def _ratios(
        self, learned: Sequence[Family], libraries: Sequence[Library], targets: Ints
    ) -> tuple[tuple[Floats, ...], tuple[Floats | None, ...], Floats]:
        """Log-densities without a change, and likelihoods of targets relative to that."""
        logs = [family.log_density for family in learned]
        least: list[Floats | None] = [None] * len(logs)
        out = np.ones((len(self._counts), len(targets)), order="F")
        for i in np.flatnonzero((targets >= 0).any(axis=0)).tolist():
            logs[i], least[i], found = self.families.ratios(
                i, learned[i], libraries[i], used(targets[:, i])
            )
            for t in np.flatnonzero(targets[:, i] >= 0).tolist():
                out[:, t] *= found[int(targets[t, i])]
        return tuple(logs), tuple(least), out

    def _search(
        self, graph: Parents, learned: tuple[Family, ...], libraries: tuple[Library, ...]
    ) -> TargetSearch:
        network = cast(Network, self.families.network(graph, learned, libraries))
        known = self._known(libraries)
        return TargetSearch(network, self.families.rows, self.max_size, silent, known)

    def _pruned(self, fit: GraphFit) -> GraphFit:
        """Drop what the quadratic model does not miss, all at once and then one by one."""
        while len(fit.targets) > 1:
            relative = fit.ratios / fit.density[:, None]
            information = (relative * self._counts[:, None]).T @ relative
            inverse = inverse_of(information)
            savings = self._cost(fit.libraries).savings(fit.targets)
            known = self._known(fit.libraries)
            protected = known.protects(fit.targets)
            protected |= ~np.isnan(known.fixed(fit.targets))
            kept = survivors(fit.weights, inverse, savings, protected)
            if kept.size == len(fit.targets):
                return fit
            trial = self._some(fit, kept)
            if trial.score < fit.score:
                margins = fit.weights**2 / (2 * np.diag(inverse)) - savings
                margins[protected] = np.inf
                trial = self._some(fit, np.delete(np.arange(margins.size), margins.argmin()))
                if trial.score < fit.score:
                    return fit
            fit = trial
        return fit

    def _some(self, fit: GraphFit, kept: NDArray[np.int64]) -> GraphFit:
        targets, weights = fit.targets[kept], fit.weights[kept]
        return self.between(fit.graph, targets, weights, fit.families, fit.libraries)

    def _grown(self, fit: GraphFit, rounds: int) -> GraphFit:
        """Bring in what the likelihood clearly asks for, in a few rounds."""
        looks = _LOOKS if self._grows else 1
        for _ in range(looks):
            libraries, targets, weights = self._looked(fit)
            search = self._search(fit.graph, fit.families, libraries)
            prepared, found = search.improved(targets, weights, rounds)
            whole, weights = prepared.problem.whole(found)
            targets = prepared.to_network(whole, self.families.n_variables)
            trial = self.between(fit.graph, targets, weights, fit.families, libraries)
            trial = self._pruned(trial)
            if trial.score <= fit.score:
                break
            rise, fit = trial.score - fit.score, trial
            if rise < _EM_RISE or fit.score + _MORE_RISES * rise < self._highest:
                break
        self._highest = max(self._highest, fit.score)
        return fit

    def _looked(self, fit: GraphFit) -> tuple[tuple[Library, ...], Ints, Floats]:
        """Group changes, and look for new ones inside the components."""
        if not self._grows:
            return fit.libraries, fit.targets, fit.weights
        posterior = fit.ratios * (self._counts / fit.density)[:, None] * fit.weights
        libraries, targets = self.families.regrouped(
            fit.graph, fit.families, fit.libraries, fit.targets, posterior
        )
        more = tuple(
            self.families.inside(i, fit.families[i], library, targets[:, i], posterior)
            for i, library in enumerate(libraries)
        )
        return more, *distinct(targets, fit.weights)
