"""Rows of measurements and counts that come from elsewhere.

As for states (:mod:`dosift.checks.foreign_rows`), a fit is compared with one in which a share of
the rows has a distribution of its own, independent over the variables
(:mod:`dosift.model.other_numbers`). A search without it finds such rows as interventions on nearly
everything, which are left out to begin with; what is gained pays for the distribution's parameters.

A target that leaves no mechanism alone says no more of its rows than that they come from elsewhere:
the network has no part in their likelihood. So where there are several variables, all such targets
together are one more guess of what these rows look like, each of them a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dosift.checks.beside_other import needed_beside_other
from dosift.data.blocks import Block, MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.factors import log_other_of
from dosift.likelihood.weights import solve_weights
from dosift.model.arrays import Bools, Floats, Values
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.model.other_numbers import OtherNumbers, Part, suited
from dosift.search.constraints import Constraints
from dosift.search.joint import JointFit, JointFitter
from dosift.search.library import of

#: Share that is begun with, that from which rows are looked at, and that above which it is the
#: network that is wrong.
_START, _LEAST_SHARE, _MOST_SHARE = 0.05, 0.005, 0.4
#: Nats by which a fit must gain.
_LEAST_GAIN = 4.0
#: Rounds of telling rows apart and fitting to the others, and steps of EM in each.
_ROUNDS, _STEPS = 3, 15
#: Logarithm of the odds that rows come from elsewhere where the other reading is an intervention on
#: more variables than that.
_ODDS = float(np.log(20.0))
#: Interventions touch at most this many variables, or half of them if that is more.
_FEW = 2
#: Variables from which a target that touches all of them is a guess of rows from elsewhere.
_SEVERAL = 4


@dataclass(frozen=True)
class ForeignNumbers:
    """Rows that no target explains.

    Attributes
    ----------
    share : float
        Of all rows.
    gain : float
        Rise of the joint score (nats) when they are told apart.
    fit : JointFit
        To the other rows.
    other : OtherNumbers
        What they look like.
    """

    share: float
    gain: float
    fit: JointFit
    other: OtherNumbers


@dataclass(frozen=True)
class _Split:
    """Rows told from those that come from elsewhere."""

    share: float
    other: OtherNumbers
    #: Of the mixture of the others.
    weights: Floats
    #: Of each row, that it comes from elsewhere.
    posterior: Floats
    #: Of each row and part, as far as it comes from elsewhere.
    relative: Floats
    log_other: Floats
    log_likelihood: float

    def of_parts(self, counts: Floats) -> Floats:
        """How far each row is of each part, shape (n_rows, n_parts)."""
        return self.relative * (counts * self.posterior)[:, None]

    def value(self, cost: float) -> float:
        """Log-likelihood less what the distribution's parameters cost."""
        return self.log_likelihood - cost * (1 + self.other.n_free)


def kind_of(network: MechanismNetwork, i: int) -> str:
    """Name the kind of a variable.

    Parameters
    ----------
    network : MechanismNetwork
    i : int

    Returns
    -------
    {"given", "state", "count", "number"}
    """
    if i in network.covariates:
        return "given"
    if network.cardinalities[i]:
        return "state"
    return "count" if network.scales and network.scales[i].form == "count" else "number"


def tell_apart(
    base: JointFit, evidence: Evidence, kinds: Sequence[str], known: Constraints
) -> ForeignNumbers | None:
    """Tell rows that come from elsewhere apart, and fit to the others.

    Parameters
    ----------
    base : JointFit
        Of the mixture and its mechanisms, to all rows.
    evidence : Evidence
        Rows that are held.
    kinds : sequence of str
        Of each variable (:func:`kind_of`).
    known : Constraints
        What is known about targets.

    Returns
    -------
    ForeignNumbers or None
        None where that does not pay.
    """
    held = evidence.held
    assert held is not None
    counts = held.counts
    size = (base.targets >= 0).sum(axis=1)
    n_variables = sum(kind != "given" for kind in kinds)
    is_large = size > max(_FEW, n_variables // 2)
    if is_large.all():
        return None
    own = base.weights[0][~is_large] / base.weights[0][~is_large].sum()
    fit = replace(base, targets=base.targets[~is_large], weights=own[None])
    cost = 0.5 * float(np.log(max(evidence.total, 2.0)))
    looks = _Looks.of(kinds, base.network, held, cost)
    split: _Split | None = None
    for k in range(_ROUNDS + 1):
        columns, reference = _columns(fit, evidence)
        if split is None:
            begun = _guesses(base, evidence, size == n_variables, n_variables)
            found = [_split(looks, columns, reference, fit, counts, one) for one in begun]
            split = max(found, key=lambda one: one.value(cost))
        else:
            split = _split(looks, columns, reference, fit, counts, split.of_parts(counts))
        if not _LEAST_SHARE <= split.share <= _MOST_SHARE:
            return None
        fit = replace(fit, weights=split.weights[None])
        if k == _ROUNDS:
            break
        if k == 0:
            fit = _needed(fit, evidence, split, known)
        others = replace(held, counts=np.maximum(counts * (1.0 - split.posterior), 1e-12))
        rows = MemoryBlocks.of_block(others, evidence.rows.beside)
        rest = Evidence.held_rows(fit.network, rows, evidence.labels)
        fitter = JointFitter(fit.network, rest, known)
        fit = fitter.fit(fit.network, fit.targets, fit.weights)
        fit = fitter.simplify(fit) if k == _ROUNDS - 1 else fit
    assert split is not None
    total = JointFitter(fit.network, evidence, known).cost_of(fit.targets)
    gain = split.value(cost) + fit.network.log_prior() - total - base.score
    gain += _ODDS * int(is_large.sum())
    return ForeignNumbers(split.share, gain, fit, split.other) if gain > _LEAST_GAIN else None


@dataclass(frozen=True)
class _Looks:
    """Finds out what rows from elsewhere look like."""

    kinds: Sequence[str]
    network: Network
    block: Block
    limits: tuple[tuple[float, float], ...]
    #: Nats that a free parameter has to earn.
    cost: float

    @classmethod
    def of(cls, kinds: Sequence[str], network: Network, block: Block, cost: float) -> _Looks:
        limits = [
            (0.0, float(network.cardinalities[i]))
            if kind == "state"
            else _range(block.values[:, i])
            for i, kind in enumerate(kinds)
        ]
        return cls(kinds, network, block, tuple(limits), cost)

    def part(self, share: float, weights: Floats) -> Part:
        """Find the shapes of one part."""
        return Part(
            share,
            tuple(
                suited(kind, self.block.values[:, i], weights, self.limits[i], self.cost)
                for i, kind in enumerate(self.kinds)
            ),
        )

    def other(self, posterior: Floats) -> OtherNumbers:
        """Find the shapes of all parts, by how far each unit is of each."""
        total = np.maximum(posterior.sum(axis=0), 1e-9)
        of_rows = posterior[self.block.unit].T
        parts = zip(total / total.sum(), of_rows, strict=True)
        return OtherNumbers(tuple(self.part(float(share), own) for share, own in parts))

    def log_parts(self, other: OtherNumbers) -> Floats:
        """Log-density of each part, times its share, shape (n_units, n_parts)."""
        if self.block.first is None:
            logs = other.log_parts(self.block.values)
        else:  # of one part
            own = as_network(of(self.network).with_other(other))
            of_units = log_other_of(own, self.block.values, self.block.first)
            assert of_units is not None
            logs = of_units[:, None]
        if self.block.label is not None:  # a row with a label comes from where it says
            logs = np.where(self.block.label[:, None] < 0, logs, -np.inf)
        return logs


def _range(column: Values) -> tuple[float, float]:
    seen = column[~np.isnan(column)]
    return (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)


def _guesses(base: JointFit, evidence: Evidence, whole: Bools, n_variables: int) -> list[Floats]:
    """Guess how far each row is of each part: all alike, or as targets on everything have it."""
    held = evidence.held
    assert held is not None
    alike = held.counts / held.counts.sum()
    found = [alike[:, None]]
    if n_variables >= _SEVERAL and whole.any() and held.first is None:
        columns, _ = _columns(base, evidence)
        joint = columns * base.weights[0]
        of_whole = joint[:, whole] / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300)
        of_whole = of_whole * held.counts[:, None]
        found.append(of_whole.sum(axis=1, keepdims=True))
        if whole.sum() > 1:
            found.append(of_whole)
    return found


def _split(
    looks: _Looks,
    columns: Floats,
    reference: Floats,
    fit: JointFit,
    counts: Floats,
    posterior: Floats,
) -> _Split:
    """Find share and looks of rows from elsewhere, and weights of the others, by EM."""
    weights, total = fit.weights[0], counts.sum()
    share = float(np.clip(posterior.sum() / total, _START, _MOST_SHARE))
    for _ in range(_STEPS):
        other = looks.other(posterior)
        parts = looks.log_parts(other)
        log_other = parts[:, 0] if parts.shape[1] == 1 else np.logaddexp.reduce(parts, axis=1)
        mixture = np.maximum(columns @ weights, 1e-300)
        log_own = np.log(mixture) + reference
        away = np.log(share) + log_other - np.log1p(-share) - log_own
        is_other = 1.0 / (1.0 + np.exp(-np.clip(away, -600.0, 600.0)))
        share = float(np.clip(counts @ is_other / total, 1e-6, 1.0 - 1e-6))
        relative = np.exp(parts - np.maximum(log_other, -1e300)[:, None])
        posterior = relative * (counts * is_other)[:, None]
        weights = weights * ((counts * (1.0 - is_other) / mixture) @ columns)
        weights /= weights.sum()
    both = np.logaddexp(np.log1p(-share) + log_own, np.log(share) + log_other)
    value = float(counts @ both)
    return _Split(share, other, weights, is_other, relative, log_other, value)


def _columns(fit: JointFit, evidence: Evidence) -> tuple[Floats, Floats]:
    rows = evidence.under(fit.network, fit.targets)
    return rows.columns(fit.targets), np.asarray(rows.log_reference)


def _needed(fit: JointFit, evidence: Evidence, split: _Split, known: Constraints) -> JointFit:
    """Drop components that explain little where rows from elsewhere are a component, too."""
    held, targets, share = evidence.held, fit.targets, split.share
    assert held is not None
    own, reference = _columns(fit, evidence)
    other = np.exp(np.clip(split.log_other - reference, -600.0, 600.0))
    columns = np.column_stack([own, other])
    fitter = JointFitter(fit.network, evidence, known)
    start = np.append((1.0 - share) * fit.weights[0], share)
    found = needed_beside_other(
        columns,
        held.counts,
        solve_weights(columns, held.counts, start),
        lambda kept: fitter.cost_of(targets[kept]),
        lambda kept: fitter.costs(replace(fit, targets=targets[kept])),
        known.protects(targets),
    )
    weights = found.fit.weights[:-1] / found.fit.weights[:-1].sum()
    return replace(fit, targets=targets[found.kept], weights=weights[None])
