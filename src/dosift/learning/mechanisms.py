"""Mechanisms of a network of any kinds of variables, learned from control rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.errors import InputError
from dosift.io.assemble import table_size
from dosift.learning.bends import with_bends
from dosift.learning.count_mechanisms import learn_counts
from dosift.learning.regressions import (
    at_rest,
    criterion,
    learn_logistic,
    learn_regression,
)
from dosift.learning.scales import (
    best_scale,
    bounds,
    choose_scale,
    clear_gain,
    forms_of,
    standardised,
)
from dosift.learning.tables import checked_weights
from dosift.learning.uniform import is_clearly_uniform, learn_uniform
from dosift.model.arrays import Floats
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.counts import CountChanges
from dosift.model.covariate import CovariateMechanism
from dosift.model.features import Feature, InUnits, LogCount, Plain, features_of
from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Changes, Library, Mechanism, topological_order
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.scale import Scale
from dosift.model.suggested import RegressionChanges, finest_spread

#: Rows on which scales are chosen; with more, a sample.
_SCALE_ROWS = 20_000
#: Rows for each column by which a scale is chosen where no graph is known.
_ROWS_EACH = 10


def learn_mechanisms(
    variables: Sequence[Variable],
    values: Floats,
    parents: Sequence[Sequence[int]],
    *,
    weights: ArrayLike | None = None,
    features: Mapping[int, Sequence[Feature]] | None = None,
    offset: int | None = None,
    covariates: Mapping[int, Sequence[int]] | None = None,
    prior: float = 0.5,
    lowest: ArrayLike | None = None,
    highest: ArrayLike | None = None,
    is_rough: bool = False,
) -> MechanismNetwork:
    """Learn the mechanism of each variable from control rows.

    A number is regressed on its parents, on the working scale and with the noise that the rows ask
    for (:func:`dosift.learning.scales.choose_scale`,
    :func:`dosift.learning.regressions.learn_regression`); a discrete variable has a table, or a
    logistic regression where a parent is a number or a count; a count has a negative binomial
    regression.

    Parameters
    ----------
    variables : sequence of Variable
    values : ndarray of float64, shape (n_rows, n_variables)
        In the users' units; state codes of discrete variables. Further columns are left as they
        are.
    parents : sequence of sequence of int
        Positions of the parents of each variable.
    weights : array-like, shape (n_rows,), optional
        Weight of each row, not negative; 1 if left out.
    features : mapping of int to sequence of Feature, optional
        For some variables further features of their parents, whose values they take in the users'
        units.
    offset : int, optional
        Column of the logarithm of the size (depth, exposure) that counts are relative to. By
        default the variable whose kind is "size", whose values are in the users' units.
    covariates : mapping of int to sequence of int, optional
        For some counts the columns of further covariates, such as hidden factors, that their
        log-means are linear in.
    prior : float, default 0.5
        Pseudo-count of each state of a discrete variable.
    lowest, highest : array-like, shape (n_variables,), optional
        Smallest and largest value of each variable in other rows, NaN if not known: a scale has
        to hold these too.
    is_rough : bool, default False
        Whether the graph is none that scales may be chosen by. A working scale is then that on
        which the regression on all other variables, these on all scales that they may have, makes
        control rows likeliest; it stays, whatever graph is found afterwards.

    Returns
    -------
    MechanismNetwork
        With the control rows, names and scales. A discrete variable's library are its states, that
        of numbers and counts is empty. What was chosen is said by
        :func:`dosift.learning.mechanism_words.words_of_mechanisms`.

    Raises
    ------
    InputError
        If there are no rows, a value is missing or infinite, weights or prior are not as said, a
        table would be too large, or a feature depends on what is no parent or is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> load = rng.normal(100.0, 10.0, size=2000)
    >>> latency = np.exp(0.05 * load + 0.1 * rng.normal(size=2000))
    >>> network = learn_mechanisms(
    ...     [Variable("load", kind="continuous"), Variable("latency", kind="continuous")],
    ...     np.stack([load, latency], axis=1),
    ...     [[], [0]],
    ... )
    >>> [scale.form for scale in network.scales]
    ['raw', 'log']
    """
    rows = _checked(variables, values, weights, prior)
    values = np.asarray(values, dtype=np.float64)
    learner = _Learner(tuple(variables), values, rows, covariates or {}, prior, offset)
    offset = learner.offset
    lows = bounds(lowest, len(variables), np.inf)
    highs = bounds(highest, len(variables), -np.inf)
    working = np.array(values, dtype=np.float64, order="F")
    # The ranges of the other rows, on the working scales.
    low, high = np.full(values.shape[1], np.inf), np.full(values.shape[1], -np.inf)
    scales: dict[int, Scale] = {}
    mechanisms: dict[int, Mechanism] = {}
    for i in _order(parents, offset):
        family = tuple(int(p) for p in parents[i])
        named = learner.named(i, family, (features or {}).get(i, ()), scales)
        bounds_of = (float(lows[i]), float(highs[i]))
        own = learner.features(family, named)
        if not is_rough:
            own = learner.with_parents_as_they_act(i, working, family, named, scales, bounds_of)
        by, features_by = learner.others(i) if is_rough else (working, own)
        scales[i] = learner.scale(i, by, features_by, *bounds_of)
        working[:, i] = scales[i].working(working[:, i])
        if np.isfinite([lows[i], highs[i]]).all():
            low[i], high[i] = scales[i].working(np.array([lows[i], highs[i]]))
        found = learner.mechanism(i, working, family, own, bool(named))
        if isinstance(found, LinearMechanism):
            found = with_bends(found, working, rows, low, high)
        mechanisms[i] = found
    return MechanismNetwork(
        tuple(mechanisms[i] for i in range(len(variables))),
        tuple(
            Changes(()) if i == offset else _library(one, working[:, i])
            for i, one in enumerate(variables)
        ),
        ControlRows(working, rows),
        tuple(variables),
        tuple(scales[i] for i in range(len(variables))),
    )


def relearned_mechanism(network: MechanismNetwork, i: int, parents: Sequence[int]) -> Mechanism:
    """Learn the mechanism of one variable given other parents, from the same control rows.

    Parameters
    ----------
    network : MechanismNetwork
        Learned; it remembers its control rows, and has names, kinds and scales, which stay.
    i : int
        Position of the variable.
    parents : sequence of int
        Sizes and hidden factors of counts, on which these are only conditioned, stay as they are.

    Returns
    -------
    Mechanism
        With those features that a user named whose variables are all among the parents.
    """
    control = network.control
    assert control is not None
    old = network.mechanisms[i]
    prior = next((float(one.prior) for one in network.mechanisms if hasattr(one, "prior")), 0.5)
    covariates = {i: [c for c in old.parents if network.variables[c].kind == "factor"]}
    learner = _Learner(network.variables, control.values, control.weights, covariates, prior)
    family = tuple(int(p) for p in parents if p not in network.covariates)
    named = tuple(
        one
        for one in getattr(old, "features", ())
        if isinstance(one, InUnits) and set(one.columns) <= set(family)
    )
    own = learner.features(family, named)
    return learner.mechanism(i, control.values, family, own, bool(named))


def _order(parents: Sequence[Sequence[int]], offset: int | None) -> list[int]:
    """Order variables so that those that others depend on come first, the size before all."""
    order = list(topological_order(parents))
    return order if offset is None else [offset, *(i for i in order if i != offset)]


def _library(variable: Variable, column: Floats) -> Library:
    if variable.kind == "factor":
        return Changes(())
    if variable.kind == "discrete":
        return States(variable.states)
    if variable.kind == "count":
        return CountChanges()
    return RegressionChanges(least=finest_spread(column))


def _checked(
    variables: Sequence[Variable],
    values: Floats,
    weights: ArrayLike | None,
    prior: float,
) -> Floats:
    """Refuse what no mechanism can be learned from, and return the weights."""
    if values.ndim != 2 or values.shape[1] < len(variables):
        raise ValueError(f"values of shape {values.shape} for {len(variables)} variables")
    if not (math.isfinite(prior) and prior >= 0):
        raise InputError(f"the prior is {prior}; give a finite pseudo-count of at least 0")
    if not len(values):
        raise InputError("there are no control rows; the mechanisms cannot be learned")
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (int(at[0]) for at in np.nonzero(bad))
        name = variables[column].name if column < len(variables) else f"column {column}"
        what = "missing" if np.isnan(values[row, column]) else "infinite"
        raise InputError(
            f"the value of {name!r} is {what} in control row {row + 1}; mechanisms are learned "
            "from complete rows: leave the row out, or fill the value in"
        )
    return np.ones(len(values)) if weights is None else checked_weights(weights, len(values))


@dataclass(frozen=True)
class _Learner:
    """What is the same for all variables."""

    variables: tuple[Variable, ...]
    #: In the users' units.
    values: Floats
    weights: Floats
    covariates: Mapping[int, Sequence[int]]
    prior: float
    #: Of another column than the variable whose kind is "size".
    other_offset: int | None = None

    @cached_property
    def offset(self) -> int | None:
        """The column that counts are relative to."""
        if self.other_offset is not None:
            return self.other_offset
        return next((i for i, one in enumerate(self.variables) if one.kind == "size"), None)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Number of states of each column, 0 of numbers and counts."""
        n_more = self.values.shape[1] - len(self.variables)
        return np.array([len(one.states) for one in self.variables] + [0] * n_more, dtype=np.int64)

    def _kind(self, i: int) -> str:
        return self.variables[i].kind

    def named(
        self,
        i: int,
        family: tuple[int, ...],
        features: Iterable[Feature],
        scales: Mapping[int, Scale],
    ) -> tuple[Feature, ...]:
        """Return features that the user named, as features of values on working scales."""
        return tuple(self._named(i, family, one, scales) for one in features)

    def _named(
        self, i: int, family: tuple[int, ...], feature: Feature, scales: Mapping[int, Scale]
    ) -> Feature:
        name = self.variables[i].name
        text = getattr(feature, "text", None) or repr(feature)
        strange = [c for c in feature.columns if c not in family]
        if strange:
            raise InputError(
                f"the feature {text} of {name!r} depends on {self.variables[strange[0]].name!r}, "
                "which is no parent of it; add the edge, or leave the feature out"
            )
        found = np.asarray(feature(self.values), dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(found))
        if bad.size:
            raise InputError(
                f"the feature {text} of {name!r} is {found[bad[0]]} in control row {bad[0] + 1}; "
                "give a function that is finite for all values of its variables"
            )
        unit = standardised(found, self.weights, Scale("raw"))
        own = tuple(scales[c] for c in feature.columns)
        return InUnits(feature, own, unit.centre, unit.spread)

    def with_parents_as_they_act(
        self,
        i: int,
        working: Floats,
        family: tuple[int, ...],
        named: tuple[Feature, ...],
        scales: Mapping[int, Scale],
        bounds_of: tuple[float, float],
    ) -> tuple[Feature, ...]:
        """Return what a number is linear in: of each parent its scale, or the value itself.

        A column may be best described by its logarithm, and act on another as it is; a count acts
        by its logarithm, if control rows do not clearly say that it does as it is.
        """
        chosen = self.features(family, named)
        kinds = ("continuous", "count")
        bent = [p for p in family if self._kind(p) in kinds and scales[p].form != "raw"]
        if self._kind(i) != "continuous" or i == self.offset or not bent:
            return chosen
        at = np.linspace(0, len(working) - 1, min(len(working), _SCALE_ROWS)).astype(np.int64)
        column, weights, rows = self.values[at, i], self.weights[at], working[at]
        most = best_scale(column, weights, rows, chosen, *bounds_of)[1] + clear_gain(weights)
        as_is: dict[int, Feature] = {}
        for p in bent:
            unit = standardised(self.values[:, p], self.weights, Scale("raw"))
            plain = InUnits(Plain(p), (scales[p],), unit.centre, unit.spread)
            trial = self.features(family, named, {**as_is, p: plain})
            score = best_scale(column, weights, rows, trial, *bounds_of)[1]
            if score > most:
                most, chosen, as_is[p] = score, trial, plain
        return chosen

    def features(
        self,
        family: tuple[int, ...],
        named: tuple[Feature, ...],
        special: Mapping[int, Feature] | None = None,
    ) -> tuple[Feature, ...]:
        """Return what a regression on parents is linear in."""
        own = dict(special or {})
        for p in family:
            if self._kind(p) == "count" and p not in own:
                unit = standardised(np.log1p(self.values[:, p]), self.weights, Scale("raw"))
                own[p] = LogCount(p, unit.centre, unit.spread)
        return features_of(family, self.sizes, named, own)

    def others(self, i: int) -> tuple[Floats, tuple[Feature, ...]]:
        """All other variables on all scales that they may have, and these as features.

        Nothing where control rows are too few to tell what the variable depends on.
        """
        columns: list[Floats] = []
        for j, one in enumerate(self.variables):
            column = self.values[:, j]
            if j in (i, self.offset):
                continue
            if one.kind == "discrete":
                columns += [(column == k).astype(np.float64) for k in range(1, len(one.states))]
            elif one.kind == "count":
                columns.append(np.log1p(column))
            else:
                forms = forms_of(float(column.min()), float(column.max()))
                unit = (standardised(column, self.weights, Scale(form)) for form in forms)
                columns += [scale.working(column) for scale in unit]
        if _ROWS_EACH * (len(columns) + 1) > len(self.values):
            columns = []
        out = np.stack(columns, axis=1) if columns else np.empty((len(self.values), 0))
        return out, tuple(Plain(k) for k in range(out.shape[1]))

    def scale(
        self, i: int, working: Floats, features: tuple[Feature, ...], lowest: float, highest: float
    ) -> Scale:
        """Choose the working scale of a variable."""
        if self._kind(i) == "size":
            # The total of a few counts may be 0.
            return Scale("log", added=1.0 if self.variables[i].total_of else 0.0)
        if self._kind(i) not in ("continuous", "factor"):
            return Scale("count")
        if i == self.offset or self._kind(i) == "factor":
            return Scale("raw")
        column, weights = self.values[:, i], self.weights
        some = np.arange(len(column))
        if len(column) > _SCALE_ROWS:
            some = np.linspace(0, len(column) - 1, _SCALE_ROWS).astype(np.int64)
            lowest, highest = min(lowest, column.min()), max(highest, column.max())
        found = choose_scale(column[some], weights[some], working[some], features, lowest, highest)
        return standardised(column, weights, found)

    def mechanism(
        self,
        i: int,
        working: Floats,
        family: tuple[int, ...],
        features: tuple[Feature, ...],
        has_named: bool,
    ) -> Mechanism:
        """Learn the mechanism of a variable."""
        kind = self._kind(i)
        if i == self.offset or kind == "factor":
            return CovariateMechanism.of_column(i, working[:, i])
        if kind == "count":
            return self._counts(i, working, family)
        if kind == "continuous":
            found = learn_regression(working, self.weights, i, family, features)
            return found if features else self._root(i, working, found)
        if has_named or any(self._kind(p) != "discrete" for p in family):
            start = LogisticMechanism.untaught(i, family, features, int(self.sizes[i]), self.prior)
            return learn_logistic(working, self.weights, start)
        return self._table(i, working, family)

    def _root(self, i: int, working: Floats, found: Mechanism) -> Mechanism:
        """Return what was found of a number without parents, or its range if it is uniform."""
        even = learn_uniform(working[:, i], self.weights, i)
        if even is None:
            return found
        other = criterion(found, working, self.weights)
        return even if is_clearly_uniform(even, working, self.weights, other) else found

    def _counts(self, i: int, working: Floats, family: tuple[int, ...]) -> Mechanism:
        numbers = [j for j, one in enumerate(self.variables) if one.kind == "continuous"]
        return learn_counts(
            working,
            self.weights,
            i,
            family,
            self.offset,
            cardinalities=self.sizes,
            numbers=numbers,
            features=[Plain(column) for column in self.covariates.get(i, ())],
            name=self.variables[i].name,
        )

    def _table(self, i: int, working: Floats, family: tuple[int, ...]) -> Mechanism:
        states = {one.name: one.states for one in self.variables}
        names = [self.variables[p].name for p in family]
        n_rows, complaint = table_size(self.variables[i].name, states, names, 0)
        if complaint is not None:
            raise InputError(complaint)
        n_states = int(self.sizes[i])
        sizes = tuple(int(self.sizes[p]) for p in family)
        even = np.full((n_rows, n_states), 1.0 / n_states)
        start = CategoricalMechanism(i, family, sizes, even, self.prior)
        return at_rest(start, working, self.weights, steps=1)
