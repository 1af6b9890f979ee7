"""Families of numbers, counts and states: regressions of any kind.

A number on parents is a regression on its working scale, with the noise that control rows ask for;
where discrete variables are among the parents they choose the regression. A discrete variable has
a logistic regression, or a table where all parents are discrete; a count a negative binomial
regression. Scales stay as they are: were they chosen anew for every set of parents, graphs would
be compared by densities of different things.

With normal noise a family is learned in closed form from sums of products of its columns, those
of control rows once for all families. Other families are raised from what control rows make of
them by a few steps. The errors of coefficients, which widen densities outside the range of control
rows, are left out: pool rows teach the regressions as well, and graphs are compared by likelihoods
at the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dosift.data.configurations import Configurations, systematic_sample
from dosift.graphs.control_fits import (
    LOG_2PI,
    ControlFits,
    Key,
    Start,
    columns_of,
    line_of,
    with_intercept,
    with_own,
    without_error,
)
from dosift.graphs.dag import Parents
from dosift.graphs.families import TableFamilies
from dosift.graphs.family import Families, Family
from dosift.graphs.orders import Claim, claims, differ_in_bins, left_alone, order_by_claims
from dosift.learning.scales import is_constant
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.categorical import CategoricalMechanism
from dosift.model.features import Feature, Plain
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import Shift
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Change, Changes, Library, Mechanism, System
from dosift.model.mechanism_network import MechanismNetwork, as_network, taught_library
from dosift.model.network import Network
from dosift.model.noise import Noise
from dosift.search.changes import ChangeFinder
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.library import find_changes, grows
from dosift.search.patterns import Patterns
from dosift.search.regrouping import regrouped
from dosift.search.result import SearchResult

#: Rows by which changes are looked for.
_ROWS = 2500
#: Steps by which a family without a closed form is raised.
_STEPS = 3
#: Nats by which the likeliest of a variable's mechanisms may be ahead, as in the search.
_MOST_EVIDENCE = 50.0
#: Two changes whose log-densities differ by less, on average over the rows that either claims, are
#: the same (nats).
_NEAR = 0.5
#: Components of fewer rows are not looked into, nor rows of less weight; and standard errors by
#: which densities depart from what is expected where it is worth while.
_LEAST_ROWS, _LEAST_WEIGHT, _DEPARTS = 25.0, 1e-3, 3.0
#: Rows are drawn with this seed: what is found depends on nothing but the rows.
_SEED = 20211


@dataclass(frozen=True)
class MechanismFamily(Family):
    """The mechanism of any variable, as rows taught it.

    Attributes
    ----------
    mechanism : Mechanism
    """

    mechanism: Mechanism


class MechanismFamilies(ControlFits):
    """Families of any variables.

    Parameters
    ----------
    network : MechanismNetwork
        Learned; it remembers its control rows. Its graph is not looked at.
    rows : Configurations
        Mixture rows, complete.

    Examples
    --------
    >>> from dosift.learning.mechanisms import learn_mechanisms
    >>> from dosift.model.network import Variable
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> x[:, 1] += x[:, 0]
    >>> names = [Variable(name, kind="continuous") for name in "ab"]
    >>> made = MechanismFamilies.of_control(learn_mechanisms(names, x, [[], []]))
    >>> made.control_score(1, (0,)) > made.control_score(1, ())
    True
    >>> made.dependence(0, 1, ()) < 1e-9
    True
    """

    def __init__(self, network: MechanismNetwork, rows: Configurations) -> None:
        super().__init__(network)
        self.rows = rows
        self._values = rows.codes
        self._all = with_intercept(rows.codes)
        self._few = systematic_sample(rows, _ROWS)
        n_distinct = len(rows.codes)
        self._some = np.unique(np.linspace(0, n_distinct - 1, min(n_distinct, _ROWS)).astype(int))
        self._found: dict[Key, tuple[Change, ...]] = {}

    @classmethod
    def of_control(cls, network: MechanismNetwork) -> MechanismFamilies:
        """Take the control rows alone."""
        assert network.control is not None
        nothing = network.control.values[:0]
        return cls(network, Configurations(nothing, np.empty(0), np.empty(0, dtype=np.int64)))

    @property
    def n_rows(self) -> float:
        """Control and mixture rows together."""
        return self.n_control + self.rows.total

    @property
    def libraries(self) -> tuple[Library, ...]:
        """The changes of each variable that are known before any mixture row is seen."""
        return self.like.libraries

    @property
    def constant(self) -> Bools:
        """Variables that have one value only, in all rows."""
        both = [self.control.values, self._values]
        columns = (np.concatenate([v[:, i] for v in both]) for i in range(self.n_variables))
        return np.array([is_constant(column) for column in columns])

    @property
    def conditioned(self) -> Bools:
        """Edges from sizes and hidden factors to counts, as they are in the network."""
        out = np.zeros((self.n_variables, self.n_variables), dtype=bool)
        for i, parents in enumerate(self.like.parents):
            out[[p for p in parents if p in self.like.covariates], i] = True
        return out

    # Learning.

    def learned(
        self,
        i: int,
        parents: tuple[int, ...],
        alone: Floats | None = None,
        kept: Sequence[tuple[Change, Floats]] = (),
    ) -> MechanismFamily:
        """Learn a family; see :meth:`~dosift.graphs.family.Families.learned`."""
        start = self.start(i, parents)
        if start.features is not None:
            return self._in_closed_form(start, alone, kept)
        if alone is None:
            return self._given(start.mechanism)
        mechanism, control = start.mechanism, self.control
        for _ in range(_STEPS):
            statistics = mechanism.statistics(control.values, control.weights)
            statistics = statistics + mechanism.statistics(self._values, alone)
            for change, weights in kept:
                applied = change.applied(mechanism)
                statistics = statistics + applied.statistics(self._values, weights)
            mechanism = without_error(mechanism.fitted(statistics))
        return self._given(mechanism)

    def _in_closed_form(
        self, start: Start, alone: Floats | None, kept: Sequence[tuple[Change, Floats]]
    ) -> MechanismFamily:
        """Learn a regression with normal noise."""
        assert start.features is not None
        assert start.products is not None
        rows = self._columns(start.mechanism, start.features)
        products, number = start.products, self.n_control
        if alone is not None:
            products = products + rows.T @ (rows * alone[:, None])
            number += float(alone.sum())
        for change, weights in kept:
            assert isinstance(change, Shift)
            moved = rows.copy()
            moved[:, -1] -= change.by
            products = products + moved.T @ (moved * (weights / change.factor**2)[:, None])
            number += float(weights.sum())
        line, sd = line_of(products, number)
        away = (rows @ line) / sd
        log_density = -0.5 * np.square(away) - (np.log(sd) + 0.5 * LOG_2PI)
        squares = max(float(line @ start.products @ line), 0.0)
        control = -0.5 * (self.n_control * (LOG_2PI + 2.0 * np.log(sd)) + squares / sd**2)
        mechanism = LinearMechanism(
            start.mechanism.variable,
            start.mechanism.parents,
            start.features,
            -line[:-1],
            Noise.normal(sd),
        )
        return MechanismFamily(log_density, float(control), mechanism.n_free, mechanism)

    def _columns(self, mechanism: Mechanism, features: tuple[Feature, ...]) -> Floats:
        """Intercept, features and own value of the mixture rows."""
        if all(isinstance(one, Plain) for one in features):
            return np.asarray(self._all[:, columns_of(mechanism, features)])
        return with_own(features, self._values, mechanism.variable)

    def _given(self, mechanism: Mechanism) -> MechanismFamily:
        """Return a family whose mechanism is known."""
        control = self.control
        of_control = float(control.weights @ mechanism.log_density(control.values))
        of_control += _log_prior(mechanism)
        log_density = mechanism.log_density(self._values)
        return MechanismFamily(log_density, of_control, mechanism.n_free, mechanism)

    def taught(
        self,
        i: int,
        parents: tuple[int, ...],
        library: Library,
        column: Ints,
        posterior: Floats,
        alone: Floats,
    ) -> tuple[MechanismFamily, Library]:
        """Take a step of EM; see :meth:`~dosift.graphs.family.Families.taught`."""
        kept = []
        if isinstance(library, Changes):
            for position in np.unique(column[column >= 0]).tolist():
                if library[position].keeps_mechanism:
                    kept.append((library[position], posterior @ (column == position)))
        family = self.learned(i, parents, alone, kept)
        return family, taught_library(family.mechanism, library, self._values, column, posterior)

    def ratios(
        self, i: int, family: Family, library: Library, used: Sequence[int]
    ) -> tuple[Floats, Floats | None, dict[int, Floats]]:
        """Compute what changes do; see :meth:`~dosift.graphs.family.Families.ratios`."""
        assert isinstance(family, MechanismFamily)
        if library.is_exclusive:
            inverse, codes = np.exp(-family.log_density), self._values[:, i]
            found = {state: np.where(codes == state, inverse, 0.0) for state in used}
            return family.log_density, None, found
        logs = {
            position: library[position].applied(family.mechanism).log_density(self._values)
            for position in used
        }
        least = np.maximum.reduce(list(logs.values())) - _MOST_EVIDENCE
        own = np.maximum(family.log_density, least)
        floor = np.maximum(least, own - _MOST_EVIDENCE)
        out = {}
        for position, log in logs.items():
            kept = np.where(np.isneginf(log), log, np.maximum(log, floor))
            out[position] = np.exp(kept - own)
        return own, least, out

    def suggested(
        self, i: int, parents: tuple[int, ...], library: Library | None = None
    ) -> Library:
        """Return changes that rows may hold; see :meth:`Families.suggested`."""
        known = self.libraries[i] if library is None else library
        if not isinstance(known, Changes) or not known.kinds:
            return known
        new = [one for one in self._changes(i, parents) if not self._is_there(one, known, i)]
        return replace(known, changes=(*known.changes, *new)) if new else known

    def _changes(self, i: int, parents: tuple[int, ...]) -> tuple[Change, ...]:
        """Look for changes of a variable in all rows together, once for each family."""
        key, library = (i, parents), self.libraries[i]
        if key not in self._found:
            assert isinstance(library, Changes)
            mechanism, few = self.mechanism(i, parents), self._few
            choices = float(np.log(max(self.n_variables, 1)))
            finder = ChangeFinder(mechanism, library, few.codes, few.counts, choices)
            self._found[key] = tuple(finder.found(library[:], fixed=True))
        return self._found[key]

    def _is_there(self, change: Change, library: Changes, i: int) -> bool:
        """Whether a library has nearly the same change."""
        if not len(library):
            return False
        mechanism, values = self.mechanism(i, ()), self._few.codes
        log = change.applied(mechanism).log_density(values)
        own = mechanism.log_density(values)
        for other in library[:]:
            theirs = other.applied(mechanism).log_density(values)
            claimed = np.maximum(log, theirs) > own
            apart = np.abs(np.maximum(log, own) - np.maximum(theirs, own))[claimed]
            if other.kind == change.kind and apart.size and float(apart.mean()) < _NEAR:
                return True
        return False

    def order(self) -> tuple[int, ...] | None:
        """Order variables by what differs where each was set; None where no set value shows."""
        return order_by_claims(self._claims, self._values, self.control.values)

    def score(self, i: int, parents: tuple[int, ...]) -> float:
        """Score a family; see :meth:`~dosift.graphs.family.Families.score`."""
        half_log, alone = 0.5 * float(np.log(self.n_rows)), self._alone[i]
        start = self.start(i, parents)
        if start.features is None or not all(isinstance(one, Plain) for one in start.features):
            family = self.learned(i, parents, alone)
            return float(alone @ family.log_density) + family.control - half_log * family.n_free
        assert start.products is not None
        columns = columns_of(start.mechanism, start.features)
        products = start.products + self._alone_products[i][np.ix_(columns, columns)]
        number = self.n_control + float(alone.sum())
        _, sd = line_of(products, number)
        value = -0.5 * number * (LOG_2PI + 1.0 + 2.0 * float(np.log(sd)))
        return value - half_log * start.mechanism.n_free

    @cached_property
    def _alone(self) -> Floats:
        """Expected numbers of the rows of each kind that left each variable alone."""
        return left_alone(self._claims, self.rows.counts, self.n_variables)

    @cached_property
    def _alone_products(self) -> list[Floats]:
        """Sums over these of products of intercept and columns, for each variable."""
        return [self._all.T @ (self._all * alone[:, None]) for alone in self._alone]

    @cached_property
    def _claims(self) -> list[Claim]:
        """Rows that show by their own values that a variable was set."""
        control, found = self.control.values, []
        for i, library in enumerate(self.libraries):
            if isinstance(library, Changes) and library.kinds:
                own = self._changes(i, ())
                found += claims(self.mechanism(i, ()), own, self.rows, control)
        return found

    def inside(
        self, i: int, family: Family, library: Library, column: Ints, posterior: Floats
    ) -> Library:
        """Look for changes inside components; see :meth:`Families.inside`."""
        assert isinstance(family, MechanismFamily)
        if not isinstance(library, Changes) or not library.kinds:
            return library
        choices = float(np.log(max(self.n_variables, 1)))
        values, mechanism = self._values[self._some], family.mechanism
        new: list[Change] = []
        for position, weights in zip(column.tolist(), posterior[self._some].T, strict=True):
            if weights.sum() < _LEAST_ROWS:
                continue
            applied = mechanism if position < 0 else library[position].applied(mechanism)
            if self._departs(applied, values, weights):
                finder = ChangeFinder(mechanism, library, values, weights, choices)
                new += finder.found((*library[:], *new), fixed=True)
        return replace(library, changes=(*library.changes, *new)) if new else library

    def _departs(self, mechanism: Mechanism, values: Floats, weights: Floats) -> bool:
        """Whether rows differ from drawn ones: densities in mean or spread, or values in bins."""
        used = weights > _LEAST_WEIGHT
        if not used.any():
            # A component of which every row has next to nothing, as one that others contain.
            return False
        values, weights = values[used], weights[used]
        drawn = values.copy()
        drawn[:, mechanism.variable] = mechanism.draw(values, np.random.default_rng(_SEED))
        logs = np.stack([mechanism.log_density(one) for one in (values, drawn)])
        if not np.isfinite(logs).all():
            return bool(np.isfinite(logs[1]).all())
        centre = logs - float(weights @ logs[1]) / float(weights.sum())
        for own, theirs in (centre, np.square(centre)):
            pull = weights * (own - theirs)
            if float(pull.sum()) ** 2 > _DEPARTS**2 * float(pull @ pull):
                return True
        # Rows that share a value may be neither likelier nor less likely than others.
        i = mechanism.variable
        return differ_in_bins(values[:, i], drawn[:, i], weights)

    def regrouped(
        self,
        graph: Parents,
        learned: tuple[Family, ...],
        libraries: tuple[Library, ...],
        targets: Ints,
        posterior: Floats,
    ) -> tuple[tuple[Library, ...], Ints]:
        """Group changes; see :meth:`~dosift.graphs.family.Families.regrouped`."""
        network = self.network(graph, learned, libraries)
        if not grows(network):
            return libraries, targets
        found = regrouped(network, self._values[self._some], targets, posterior[self._some])
        return (libraries, targets) if found is None else (found[0].libraries, found[1])

    # Networks.

    def network(
        self,
        graph: Parents,
        learned: tuple[Family, ...] | None = None,
        libraries: tuple[Library, ...] | None = None,
    ) -> MechanismNetwork:
        """Return a network; see :meth:`~dosift.graphs.family.Families.network`."""
        if learned is None:
            mechanisms = [self.mechanism(i, row) for i, row in enumerate(graph)]
        else:
            mechanisms = [_mechanism_of(family) for family in learned]
        like, control = self.like, self.control
        return replace(
            like,
            mechanisms=tuple(mechanisms),
            libraries=like.libraries if libraries is None else libraries,
            # Its own, as statistics are remembered by variable, whatever the parents.
            control=ControlRows(control.values, control.weights, control.dependence),
            labelled=tuple(one.anew() for one in like.labelled),
        )

    def of_network(self, network: System) -> tuple[MechanismFamily, ...]:
        """Return the mechanisms of a network as families."""
        return tuple(self._given(without_error(one)) for one in network.mechanisms)

    def search(
        self,
        network: System,
        known: Constraints,
        max_size: int | None,
        patterns: Patterns | None = None,
    ) -> SearchResult:
        """Search for targets; see :meth:`~dosift.graphs.family.Families.search`."""
        assert isinstance(network, MechanismNetwork)
        if grows(network):
            return find_changes(
                network, self.rows, max_size=max_size, look_around=False, patterns=patterns
            )
        return find_targets(
            as_network(network),
            self.rows,
            max_size=max_size,
            constraints=known,
            look_around=False,
        )


def families_of(network: System, rows: Configurations) -> Families:
    """Return the families of a learned network.

    Parameters
    ----------
    network : Network or MechanismNetwork
        It remembers its control rows.
    rows : Configurations
        Mixture rows, complete.

    Returns
    -------
    Families
    """
    if isinstance(network, MechanismNetwork):
        return MechanismFamilies(network, rows)
    assert isinstance(network, Network)
    return TableFamilies(network, rows)


def families_of_control(network: System) -> Families:
    """Return the families of a learned network by its control rows alone."""
    if isinstance(network, MechanismNetwork):
        return MechanismFamilies.of_control(network)
    assert isinstance(network, Network)
    return TableFamilies.of_control(network)


def _log_prior(mechanism: Mechanism) -> float:
    """Log-density of the prior of states, relative to that of even probabilities."""
    if isinstance(mechanism, CategoricalMechanism):
        cells = mechanism.prior * mechanism.table.size
        return mechanism.log_prior() + cells * float(np.log(mechanism.n_states))
    if isinstance(mechanism, LogisticMechanism):
        cells = mechanism.prior * mechanism.n_states
        return mechanism.log_prior() + cells * float(np.log(mechanism.n_states))
    return 0.0


def _mechanism_of(family: Family) -> Mechanism:
    assert isinstance(family, MechanismFamily)
    return family.mechanism


if TYPE_CHECKING:
    _: type[Families] = MechanismFamilies
