"""Repairs where variables are measurements or counts, each with the answer that it leads to.

What is repaired is fitted together with the mixture that was found, from which components are then
dropped; nothing is searched anew, which would take as long as the fit.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.special import expit

from dosift.checks.verdict import Answer, Repair, RepairedModel
from dosift.data.blocks import Block
from dosift.data.configurations import Configurations, systematic_sample
from dosift.likelihood.evidence import Evidence
from dosift.model.arrays import Floats, Ints
from dosift.model.burst_counts import BurstMechanism, with_bursts
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.known_rows import ControlRows
from dosift.model.mechanism_network import MechanismNetwork, as_network, merged_targets
from dosift.pipeline.impure_control import find_impure_control
from dosift.pipeline.noisy_parents import by_noisy_parents
from dosift.pipeline.setup import Setup
from dosift.search.constraints import Constraints
from dosift.search.filling import filled_in
from dosift.search.joint import JointFit, JointFitter
from dosift.search.library import of
from dosift.search.moved_numbers import moved_mechanism
from dosift.search.result import SearchResult

#: Rows that are looked at; of more, a systematic sample.
_ROWS = 5000
#: Batches up to which each is looked at alone.
_MOST_BATCHES = 8
#: Steps by which a mechanism is learned from control rows alone.
_STEPS = 8
#: Share of the counts that are larger from which control rows are said to be in two states.
TWO_STATES = 0.2
#: Nats, beyond its parameters, by which counts with bursts must be likelier.
_CLEARLY = 4.0


class NumberRepairs:
    """Makes repairs of a mixture of numbers.

    Parameters
    ----------
    setup : Setup
        With rows that count in full, held or as a sample.
    result : SearchResult
        Of a network that remembers its control rows.
    """

    def __init__(self, setup: Setup, result: SearchResult) -> None:
        self.result, self.rows = result, setup.gathered.evidence
        self.network = as_network(_for_good(of(result.network)))
        self.max_size = setup.options.max_size
        self.known = Constraints.none(result.network.n_changes)
        if setup.options.patterns is not None:
            self.known = setup.options.constraints_on(
                result.network, result.targets, result.weights
            )
        held = setup.gathered.block
        assert held is not None
        self.evidence = self._looked_at(held)
        self.base = self._fitted(self.network, self.evidence, result.targets, result.weights)

    def _looked_at(self, block: Block) -> Evidence:
        """Return some of the rows without label, complete.

        Missing values are filled in as the mixture would, which makes a look for another one err on
        the side of seeing none.
        """
        rows, result = _some(block), self.result
        if block.has_missing:
            rows = filled_in(result.network, result.targets, result.weights, rows)
        return Evidence.of_configurations(self.network, rows)

    def answers(self) -> list[Answer]:
        """Make all repairs that rows ask for."""
        noise = self.noise()
        along = None if noise is None else self.noisy_parents(noise.gain)
        found = [self.moved(), self.drifted(), noise, along, self.impure()]
        return [one for one in found if one is not None]

    def moved(self) -> Answer | None:
        """Free a mechanism that is another in the pool."""
        found = moved_mechanism(self.base, self.evidence, self.known, self.max_size)
        if found is None:
            return None
        repair = Repair("mechanism", "changed", (found.variable,), found.gain)
        answer = replace(_answer(repair, found.fit), network=found.fit.network)
        return replace(answer, least=found.least) if found.least < 0 else answer

    def drifted(self) -> Answer | None:
        """Free a mechanism that is another in one batch."""
        held, weights = self.rows.held, self.result.batch_weights
        if held is None or held.batch is None or weights is None:
            return None
        if not 1 < len(weights) <= _MOST_BATCHES:
            return None
        share = self.rows.n_rows / self.rows.total
        found = []
        for b, own in enumerate(weights):
            kept = own > 0
            alone = self._looked_at(held.part(held.batch == b))
            base = self._fitted(self.network, alone, self.result.targets[kept], own[kept])
            moved = moved_mechanism(base, alone, self.known, self.max_size)
            if moved is not None and moved.gain > 0:
                found.append((moved, b))
        if not found:
            return None
        moved, b = max(found, key=lambda one: one[0].gain)
        rest = np.where(np.arange(len(weights)) == b, 0.0, share) @ weights
        targets = np.concatenate([self.result.targets, moved.fit.targets])
        both = np.concatenate([rest, share[b] * moved.fit.weights[0]])
        repair = Repair("mechanism", "drift", (moved.variable,), moved.gain)
        return _merged(repair, of(self.network), targets, both)

    def noisy_parents(self, gain: float) -> Answer | None:
        """Leave alone what noise in a changed count makes look changed along with it."""
        (bursts, _), base, rows = self._bursts, self.base, self.evidence.held
        if rows is None or self.evidence.has_units:
            return None
        return by_noisy_parents(bursts, gain, of(base.network), base.targets, base.weights[0], rows)

    def noise(self) -> Answer | None:
        """Let counts have bursts, where control rows ask for that."""
        bursts, repairs = self._bursts
        if not repairs:
            return None
        network = of(self.network)
        mechanisms = [bursts.get(i, one) for i, one in enumerate(network.mechanisms)]
        other = as_network(replace(network, mechanisms=tuple(mechanisms)))
        fitter = JointFitter(other, self.evidence, self.known)
        fit = fitter.simplify(fitter.fit(other, self.base.targets, self.base.weights))
        gain = max(fit.score - self.base.score, sum(one.gain for one in repairs))
        answer = _answer(repairs[0], fit)
        model = RepairedModel(fit.network, fit.targets, fit.weights[0])
        lines = merged_targets(of(fit.network), fit.targets)
        alike = (lines[:, None, :] == answer.targets).all(axis=2)
        # What dropping each would lose, beyond what it costs.
        there = np.max(expit(fitter.margins(fit))[:, None] * alike, axis=0)
        return replace(answer, repairs=repairs, gain=gain, model=model, presence=there)

    @cached_property
    def _bursts(self) -> tuple[dict[int, BurstMechanism], tuple[Repair, ...]]:
        """Counts that control rows show to have bursts, and what that gains, the most first."""
        network = of(self.network)
        control = network.control
        assert control is not None
        bursts, repairs = {}, []
        for i, mechanism in enumerate(network.mechanisms):
            if not isinstance(mechanism, NegativeBinomialMechanism) or i in control.silent:
                continue
            alone = mechanism
            for _ in range(_STEPS):  # rows of the pool have taught it, too
                alone = alone.fitted(alone.statistics(control.values, control.weights))
            found, rise = with_bursts(alone, control.values, control.weights)
            gain = rise - np.log(max(float(control.weights.sum()), 2.0))
            if gain > _CLEARLY:
                bursts[i] = found
                what = "states" if found.share >= TWO_STATES else "bursts"
                repairs.append(Repair("noise", what, (i,), gain, found.share))
        return bursts, tuple(sorted(repairs, key=lambda one: -one.gain))

    def impure(self) -> Answer | None:
        """Let those control rows teach in which nothing seems to have been done."""
        result = replace(self.result, targets=self.base.targets, weights=self.base.weights[0])
        found = find_impure_control(self.base.network, result)
        if found is None:
            return None
        fit = self._simplified(found.network, self.evidence, result.targets, result.weights)
        return _answer(Repair("rows", "control", (), found.gain, found.share), fit)

    def _fitted(
        self, network: object, evidence: Evidence, targets: Ints, weights: Floats
    ) -> JointFit:
        own = as_network(of(network))
        return JointFitter(own, evidence, self.known).fit(own, targets, weights[None])

    def _simplified(
        self, network: object, evidence: Evidence, targets: Ints, weights: Floats
    ) -> JointFit:
        fitter = JointFitter(as_network(of(network)), evidence, self.known)
        return fitter.simplify(fitter.fit(as_network(of(network)), targets, weights[None]))


def number_answers(setup: Setup, result: SearchResult) -> list[Answer]:
    """Make the repairs that rows of measurements or counts ask for.

    Parameters
    ----------
    setup : Setup
        With rows that count in full. Where they teach no mechanisms, nothing is repaired.
    result : SearchResult

    Returns
    -------
    list of Answer
    """
    network = result.network
    if not isinstance(network, MechanismNetwork) or network.control is None:
        return []
    held = setup.gathered.block if setup.recipe.refine else None
    if held is None or (held.label is not None and not (held.label < 0).any()):
        return []
    return NumberRepairs(setup, result).answers()


def _for_good(network: MechanismNetwork) -> MechanismNetwork:
    """Forget what fits to other rows remembered."""
    control = network.control
    assert control is not None
    own = ControlRows(control.values, control.weights, control.dependence, control.silent)
    return replace(network, control=own, labelled=())


def _some(block: Block) -> Configurations:
    if block.label is not None:
        block = block.part(block.label < 0)
    nothing = np.empty(0, dtype=np.int64)
    every = Configurations(np.asfortranarray(block.values), block.counts, nothing, block.first)
    return systematic_sample(every, _ROWS)


def _answer(repair: Repair, fit: JointFit) -> Answer:
    return _merged(repair, of(fit.network), fit.targets, fit.weights[0])


def _merged(repair: Repair, network: MechanismNetwork, targets: Ints, weights: Floats) -> Answer:
    """Return an answer by what its targets touch."""
    return Answer.merged((repair,), repair.gain, merged_targets(network, targets), weights)
