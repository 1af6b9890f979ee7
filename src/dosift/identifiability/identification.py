"""Whether a mixture is the only one with its distribution, and what else its weights could be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dosift.identifiability.excluded import mixture_codes
from dosift.identifiability.largest import largest_weight
from dosift.identifiability.parsimony import (
    Parsimony,
    check_max_size,
    least_size,
    scope_that_fits,
)
from dosift.identifiability.programs import (
    TOLERANCE,
    ProgramError,
    extreme_weight,
    weight_interval,
)
from dosift.identifiability.summary import (
    MEANING,
    Conditions,
    conditions,
    expected_size,
    reasons,
)
from dosift.identifiability.support import MAX_ENTRIES
from dosift.identifiability.system import (
    MAX_INTERVAL_PROGRAM,
    MAX_NONZEROS,
    Codes,
    Scope,
    TargetSystem,
    build_system,
    mixture_cells,
    on_scope,
    possible_scopes,
)
from dosift.identifiability.witnesses import Witness, check_sizes, witness
from dosift.model import Mixture, Target
from dosift.model.arrays import Floats
from dosift.model.network import Network

#: Least and largest weight; None for an end that is not known.
Interval = tuple[float | None, float | None]

#: In words, which targets competing mixtures were made of.
SCOPES = {
    "all": "all targets",
    "ancestors": "targets that set variables which the mixture sets, or ancestors of these",
    "set": "targets that set only variables which the mixture sets",
}


@dataclass(frozen=True)
class TargetRange:
    """Weights that one target can have without changing the distribution.

    Attributes
    ----------
    target : Target
    weight : float
        In the mixture asked about; 0 if the target is not in it.
    parsimonious : (float or None, float or None)
        Least and largest weight among the mixtures that set the fewest variables on average;
        None for an end that is not known.
    any : (float or None, float or None)
        The same among all mixtures (with targets of at most `max_size`).
    """

    target: Target
    weight: float
    parsimonious: Interval
    any: Interval


@dataclass(frozen=True)
class Identification:
    """What the distribution of a mixture says about its weights.

    Attributes
    ----------
    status : str
        ``"unique"`` (no other mixture at all), ``"identified"`` (the only one that sets the
        fewest variables on average, and the only one that satisfies the theorem's conditions),
        ``"not identified"`` or ``"undecided"``.
    by : str or None
        ``"theorem"`` or ``"linear program"``, whichever decided; None if undecided.
    reasons : tuple of str
        Why the theorem does not apply; empty if it does.
    conditions : Conditions
    parsimonious : Mixture or None
        The mixture that sets the fewest variables on average; None if undecided.
    ranges : tuple of TargetRange
        For the targets of the mixture and of the parsimonious one.
    others : tuple of TargetRange
        Other targets that could have weight, the largest possible weight first; the first few.
    n_possible : int or None
        How many targets could have weight, over `any_scope`; None if too many to enumerate.
    witness : Witness or None
        Another mixture with the same distribution, as different as can be found.
    scope, any_scope : str
        Which targets the parsimonious mixture, and the ranges `any`, were computed over.
    max_size : int or None
        Largest target that mixtures in the ranges `any` and the witness may have.
    """

    status: str
    by: str | None
    reasons: tuple[str, ...]
    conditions: Conditions
    parsimonious: Mixture | None
    ranges: tuple[TargetRange, ...]
    others: tuple[TargetRange, ...]
    n_possible: int | None
    witness: Witness | None
    scope: str
    any_scope: str
    max_size: int | None

    @property
    def meaning(self) -> str:
        """The status as a sentence."""
        return MEANING[self.status]

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has.

        Returns
        -------
        dict
            ``status``, ``by``, ``meaning``, ``reasons``, ``expected_size`` (of the parsimonious
            mixture), ``parsimonious`` (a mixture), ``ranges`` and ``others`` (``target``,
            ``weight``, ``parsimonious``, ``any``), ``n_possible``, ``witness`` (``components``,
            ``distance``, ``error``), ``scope``, ``any_scope``, ``max_size``.
        """
        return {
            "status": self.status,
            "by": self.by,
            "meaning": self.meaning,
            "reasons": list(self.reasons),
            "expected_size": None
            if self.parsimonious is None
            else expected_size(self.parsimonious),
            "parsimonious": None if self.parsimonious is None else self.parsimonious.to_dict(),
            "ranges": [_range_dict(r) for r in self.ranges],
            "others": [_range_dict(r) for r in self.others],
            "n_possible": self.n_possible,
            "witness": None
            if self.witness is None
            else {
                **self.witness.mixture.to_dict(),
                "distance": self.witness.distance,
                "error": self.witness.error,
            },
            "scope": self.scope,
            "any_scope": self.any_scope,
            "max_size": self.max_size,
        }


def _range_dict(found: TargetRange) -> dict[str, Any]:
    return {
        "target": str(found.target),
        "do": dict(found.target),
        "weight": found.weight,
        "parsimonious": list(found.parsimonious),
        "any": list(found.any),
    }


def identified(
    network: Network, mixture: Mixture, *, max_size: int | None = None, others: int = 10
) -> Identification:
    """Find whether a mixture is the only one with its distribution, and what else could be.

    Parameters
    ----------
    network : Network
    mixture : Mixture
        Taken as the truth: how far an estimate may be off is another question.
    max_size : int, optional
        Let competing mixtures have targets of at most this size. Without it, a target that
        leaves a variable alone can always be replaced by larger ones.
    others : int, default=10
        How many targets outside the mixture to list.

    Returns
    -------
    Identification

    Raises
    ------
    InputError
        If the mixture names what the network does not have, or has a target larger than
        `max_size`.

    See Also
    --------
    verdict : What the theorem alone says, in milliseconds for any network.
    parsimonious : The mixture of least expected size.

    Notes
    -----
    The theorem, its proof and the meaning of each interval are in docs/identifiability.md. Ends
    of intervals that come from linear programs are right to about 1e-6.

    Examples
    --------
    Example 3.1 of Kumar and Sinha (UAI 2021): a coin, and two mixtures that look the same.

    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> identified(coin, Mixture({do(V=0): 0.2, do(): 0.8})).status
    'identified'
    >>> found = identified(coin, Mixture({do(V=0): 0.6, do(V=1): 0.4}))
    >>> found.status, str(found.ranges[0].target), [round(w, 6) for w in found.ranges[0].any]
    ('not identified', 'do(V=0)', [0.2, 0.6])
    """
    codes, weights = mixture_codes(network, mixture)
    check_max_size(max_size)
    check_sizes(mixture, max_size)
    found = conditions(network, mixture, max_entries=MAX_ENTRIES)
    least, scope = (None, None) if found.hold else _least(network, codes, weights)
    status, by, best = _status(network, mixture, found, least)
    listed = {target: w for target, w in mixture.items() if w > 0}
    for target in best or ():
        listed.setdefault(target, 0.0)
    survey = _Survey(network, codes, weights, max_size)
    ranges = [
        TargetRange(
            target,
            weight,
            _parsimonious(network, target, weight, found, least),
            _containing(any_range, weight),
        )
        for (target, weight), any_range in zip(
            listed.items(), survey.ranges(list(listed)), strict=True
        )
    ]
    return Identification(
        status,
        by,
        () if found.unique else tuple(reasons(network, found)),
        found,
        best,
        tuple(ranges),
        tuple(
            TargetRange(t, 0.0, _parsimonious(network, t, 0.0, found, least), r)
            for t, r in survey.others(set(listed), others)
        ),
        survey.n_possible,
        witness(network, mixture, max_size=max_size),
        SCOPES["all" if scope is None else scope.kind],
        SCOPES[survey.kind],
        max_size,
    )


def _least(
    network: Network, codes: Codes, weights: Floats
) -> tuple[Parsimony | None, Scope | None]:
    """Solve the parsimony program on the widest scope that fits."""
    scope = scope_that_fits(network, codes)
    if scope is None:
        return None, None
    cells = mixture_cells(network, scope, on_scope(scope, codes), weights)
    try:
        return least_size(network, scope, cells), scope
    except ProgramError:  # given up: nothing is claimed
        return None, None


def _status(
    network: Network, mixture: Mixture, found: Conditions, least: Parsimony | None
) -> tuple[str, str | None, Mixture | None]:
    """Status, what decided it, and the parsimonious mixture."""
    if found.unique or found.hold:
        return ("unique" if found.unique else "identified"), "theorem", _positive(mixture)
    if least is None:
        return "undecided", None, None
    best = least.mixture(network)
    is_least = expected_size(mixture) <= least.size + TOLERANCE
    if not is_least or not least.is_unique:
        return "not identified", "linear program", _positive(mixture) if is_least else best
    if least.system.scope.kind == "set" or not least.system.exact:
        return "undecided", None, None
    return "identified", "linear program", _positive(mixture)


def _positive(mixture: Mixture) -> Mixture:
    return Mixture({target: weight for target, weight in mixture.items() if weight > 0})


def _parsimonious(
    network: Network,
    target: Target,
    weight: float,
    found: Conditions,
    least: Parsimony | None,
) -> Interval:
    """Range of a weight among the mixtures of least expected size."""
    if found.hold:
        return weight, weight
    if least is None:
        return None, None
    return weight_interval(least.system, _column(network, least.system, target), least.face)


def _containing(interval: Interval, weight: float) -> Interval:
    """Widen an interval, by rounding, to the weight that is known to be possible."""
    low, high = interval
    return (
        None if low is None else min(low, weight),
        None if high is None else max(high, weight),
    )


def _column(network: Network, system: TargetSystem, target: Target) -> int:
    codes, _ = Mixture({target: 1.0}).to_codes(network)
    outside = np.ones(network.n_variables, dtype=bool)
    outside[list(system.scope.settable)] = False
    if (codes[0, outside] >= 0).any():
        return -1
    return int(system.positions(on_scope(system.scope, codes))[0])


class _Survey:
    """Weights that targets can have among all mixtures, or those of targets up to a size.

    Without a limit on the size both ends are known in closed form: any distribution is a mixture
    of interventions that set everything, so a target that leaves a variable alone can have weight
    0, and any target the weight ``min_v P_mix(v) / P_t(v)``. Linear programs are needed with a
    limit, and for the low end of targets that set everything.
    """

    def __init__(
        self, network: Network, codes: Codes, weights: Floats, max_size: int | None
    ) -> None:
        self.network, self.max_size = network, max_size
        self.codes, self.weights = codes, weights
        scopes = possible_scopes(network, codes, max_size)
        self.scope = next((s for s in scopes if s.n_nonzeros(network) <= MAX_NONZEROS), None)
        self.system: TargetSystem | None = None
        if self.scope is not None:
            targets = on_scope(self.scope, codes)
            cells = mixture_cells(network, self.scope, targets, weights)
            self.system = build_system(network, self.scope, cells)
        self.kind = "all" if self.scope is None else self.scope.kind
        self._programs = (
            self.scope is not None and self.scope.n_nonzeros(network) <= MAX_INTERVAL_PROGRAM
        )

    @property
    def n_possible(self) -> int | None:
        """Number of targets that could have weight."""
        return None if self.system is None else int(self.system.bound.size)

    def ranges(self, targets: list[Target]) -> list[Interval]:
        """Ranges of some targets; an end that is not known is None."""
        return [self._range(target) for target in targets]

    def others(self, known: set[Target], most: int) -> list[tuple[Target, Interval]]:
        """Targets outside a set by the largest weight that they could have."""
        if self.system is None:
            return []
        order = np.argsort(-self.system.bound, kind="stable")[: most + len(known)]
        codes = self.system.full_codes(self.network, order)
        named = [Mixture.from_codes(self.network, row[None, :], np.ones(1)) for row in codes]
        fresh = [m.targets[0] for m in named if m.targets[0] not in known][:most]
        found = [(target, (0.0, self._high(target))) for target in fresh]
        return sorted(found, key=lambda pair: -(pair[1][1] or 0.0))

    def _range(self, target: Target) -> Interval:
        return self._low(target), self._high(target)

    def _low(self, target: Target) -> float | None:
        if self.max_size is None and target.size < self.network.n_variables:
            return 0.0
        if self.system is None or not self._programs:
            return None
        return extreme_weight(self.system, _column(self.network, self.system, target), 1.0)

    def _high(self, target: Target) -> float | None:
        if self.max_size is None and (self.system is None or not self.system.exact):
            row = Mixture({target: 1.0}).to_codes(self.network)[0][0]
            return largest_weight(self.network, self.codes, self.weights, row)
        if self.system is None or not self.system.exact:
            return None
        column = _column(self.network, self.system, target)
        if self.max_size is None:
            return float(self.system.bound[column]) if column >= 0 else 0.0
        return extreme_weight(self.system, column, -1.0) if self._programs else None
