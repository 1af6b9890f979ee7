"""The mechanism of a count from control rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from dosift.errors import InputError
from dosift.model.arrays import Floats, Ints, Values
from dosift.model.count_features import LogRate, is_complete, standardised
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.features import Feature, Indicator, Plain
from dosift.model.mechanism import missing

#: Rise of log-likelihood and prior (nats, all rows) in one step that ends a fit, and most steps.
_RISE, _STEPS = 1e-7, 200
#: Halvings of a step that leads down.
_HALVINGS = 20
#: Range of the dispersion that a fit starts from, and dispersion, times the mean, below which the
#: Poisson distribution is tried.
_LEAST_START, _LARGEST_START = 0.01, 5.0
_NEARLY_POISSON = 0.1
#: Range of the share of structural zeros that a fit starts from.
_ZEROS = 0.02, 0.9


def learn_counts(
    values: Values,
    weights: Floats,
    variable: int,
    parents: Sequence[int] = (),
    offset: int | None = None,
    *,
    cardinalities: Sequence[int] | Ints | None = None,
    numbers: Collection[int] = (),
    features: Sequence[Feature] = (),
    name: str | None = None,
) -> NegativeBinomialMechanism:
    """Fit negative binomial counts to control rows, by penalised likelihood until convergence.

    Structural zeros, a coefficient of the size other than one, and a dispersion are there only if
    the Bayesian information criterion asks for each. Counts of parents are divided by the size or
    not, as is likelier.

    Parameters
    ----------
    values : ndarray, shape (n_rows, n_variables)
        Rows that lack the count or a parent are left out.
    weights : ndarray, shape (n_rows,)
        Weight of each row, not negative.
    variable : int
        Column of the count.
    parents : sequence of int
        Columns of its parents; that of the size, if it is among them, counts as the size.
    offset : int, optional
        Column of the logarithm of the size (depth, exposure, total count).
    cardinalities : sequence of int, optional
        Number of states of each column; 0 for a count or number. All 0 by default.
    numbers : collection of int
        Columns of parents that are continuous. Other parents without states are counts.
    features : sequence of Feature, optional
        Further features, of any columns.
    name : str, optional
        Name of the variable, for messages.

    Returns
    -------
    NegativeBinomialMechanism

    Raises
    ------
    InputError
        If a count is no whole number of at least 0, or a size is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parent = rng.poisson(20.0, 50_000)
    >>> child = rng.negative_binomial(2.0, 2.0 / (2.0 + 3.0 * np.sqrt(1.0 + parent)))
    >>> rows = np.stack([parent, child], axis=1).astype(float)
    >>> found = learn_counts(rows, np.ones(50_000), 1, (0,))
    >>> round(found.coefficients[1] / found.features[0].spread, 1), round(found.dispersion, 1)
    (0.5, 0.5)
    """
    _check(values, variable, offset, name)
    columns = [column for column in dict.fromkeys(parents) if column != offset]
    read = [*columns, *(column for one in features for column in one.columns)]
    read += [] if offset is None else [offset]
    read = list(dict.fromkeys(read))
    complete = is_complete(values, [variable, *read])
    values, weights = values[complete], np.asarray(weights, dtype=np.float64)[complete]
    sizes = None if offset is None else np.asarray(values[:, offset], dtype=np.float64)
    centre = 0.0 if sizes is None or not sizes.size else float(np.median(sizes))
    counted: list[int] = []
    others: list[Feature] = [*features]
    for column in columns:
        n_states = 0 if cardinalities is None else int(cardinalities[column])
        if n_states:
            others += [Indicator(column, state) for state in range(1, n_states)]
        elif column in numbers:
            others.append(Plain(column))
        else:
            counted.append(column)
    empty = NegativeBinomialMechanism(
        variable, tuple(read), (), (0.0,), offset=offset, offset_centre=centre, prior=1.0
    )
    fitter = _Fitter(values, weights)
    start = _by_moments(empty, values, weights)
    best = fitter.fit(fitter.with_features(start, [*map(LogRate, counted), *others]))
    if offset is not None:
        if counted:
            rates = [LogRate(column, offset, centre) for column in counted]
            best = fitter.better(best, fitter.with_features(start, [*rates, *others]))
        best = fitter.better(best, fitter.with_features(best, [Plain(offset)]))
    nil = float(np.average(values[:, variable] == 0, weights=weights)) if weights.any() else 0.0
    expected = fitter.expected_zeros(best)
    if nil > expected:
        zeros = float(np.clip((nil - expected) / (1.0 - expected), *_ZEROS))
        best = fitter.better(best, replace(best, zeros=zeros))
    if best.dispersion * fitter.average(best.means(values)) < _NEARLY_POISSON:
        best = fitter.better(best, replace(best, dispersion=0.0))
    return best


class _Fitter:
    """Fits mechanisms to some rows, and says which is better."""

    def __init__(self, values: Values, weights: Floats) -> None:
        self._values, self._weights = values, weights
        self._each = 0.5 * float(np.log(max(weights.sum(), 1.0)))

    def with_features(
        self, mechanism: NegativeBinomialMechanism, features: Sequence[Feature]
    ) -> NegativeBinomialMechanism:
        """Add features, of the mean 0 and the standard deviation 1, that do nothing yet."""
        added = [_scaled(one, self._values, self._weights) for one in features]
        return replace(
            mechanism,
            features=(*mechanism.features, *added),
            coefficients=(*mechanism.coefficients, *[0.0] * len(added)),
        )

    def fit(self, mechanism: NegativeBinomialMechanism) -> NegativeBinomialMechanism:
        """Take steps until the objective hardly rises."""
        value = self._objective(mechanism)
        for _ in range(_STEPS):
            before = value
            step = mechanism.fitted(mechanism.statistics(self._values, self._weights))
            mechanism, value = self._upwards(mechanism, step, before)
            if value - before < _RISE:
                break
        return mechanism

    def better(
        self, old: NegativeBinomialMechanism, start: NegativeBinomialMechanism
    ) -> NegativeBinomialMechanism:
        """Return the fit from a start if its criterion is higher than that of an old one."""
        new = self.fit(start)
        return new if self._criterion(new) > self._criterion(old) else old

    def average(self, column: Floats) -> float:
        """Weighted mean over the rows; 0 without rows."""
        total = float(self._weights.sum())
        return float(self._weights @ column) / total if total > 0.0 else 0.0

    def expected_zeros(self, mechanism: NegativeBinomialMechanism) -> float:
        """Probability of the count 0, averaged over the rows."""
        nil = np.array(self._values, dtype=np.float64)
        nil[:, mechanism.variable] = 0.0
        return self.average(np.exp(mechanism.log_density(nil)))

    def _criterion(self, mechanism: NegativeBinomialMechanism) -> float:
        return self._log_likelihood(mechanism) - self._each * mechanism.n_free

    def _log_likelihood(self, mechanism: NegativeBinomialMechanism) -> float:
        return float(self._weights @ mechanism.log_density(self._values))

    def _objective(self, mechanism: NegativeBinomialMechanism) -> float:
        return self._log_likelihood(mechanism) + mechanism.log_prior()

    def _upwards(
        self, old: NegativeBinomialMechanism, new: NegativeBinomialMechanism, value: float
    ) -> tuple[NegativeBinomialMechanism, float]:
        """Halve a step while it leads down; stay where none leads up."""
        for halving in range(_HALVINGS):
            trial = _between(old, new, 0.5**halving)
            found = self._objective(trial)
            if found >= value:
                return trial, found
        return old, value


def _between(
    old: NegativeBinomialMechanism, new: NegativeBinomialMechanism, share: float
) -> NegativeBinomialMechanism:
    """Go a share of the way from one mechanism to another of the same form."""
    if share == 1.0:
        return new
    pairs = zip(old.coefficients, new.coefficients, strict=True)
    return replace(
        old,
        coefficients=tuple(a + share * (b - a) for a, b in pairs),
        dispersion=old.dispersion ** (1.0 - share) * new.dispersion**share,
        zeros=old.zeros + share * (new.zeros - old.zeros),
    )


def _scaled(feature: Feature, values: Values, weights: Floats) -> Feature:
    """Standardise a feature that is no indicator."""
    return feature if isinstance(feature, Indicator) else standardised(feature, values, weights)


def _by_moments(
    mechanism: NegativeBinomialMechanism, values: Values, weights: Floats
) -> NegativeBinomialMechanism:
    """Give a mechanism without features the mean and the variance of the rows."""
    counts = values[:, mechanism.variable]
    sizes = mechanism.sizes(values)
    mean = (float(weights @ counts) + 0.5) / (float(weights @ sizes) + 0.5)
    expected = mean * sizes
    excess = float(weights @ (np.square(counts - expected) - expected))
    dispersion = excess / max(float(weights @ np.square(expected)), 1e-300)
    return replace(
        mechanism,
        coefficients=(float(np.log(mean)),),
        dispersion=float(np.clip(dispersion, _LEAST_START, _LARGEST_START)),
    )


def _check(values: Values, variable: int, offset: int | None, name: str | None) -> None:
    """Refuse what is no count, and sizes that are not finite."""
    what = f"column {variable}" if name is None else f"variable {name!r}"
    own = values[:, variable]
    seen = own[~missing(own)]
    wrong = seen[(seen < 0) | ~np.isfinite(seen) | (seen != np.floor(seen))]
    if wrong.size:
        raise InputError(
            f"{what} holds {wrong[0]:g}, which is no count; counts are whole numbers of at least "
            "0: give raw counts, or declare the variable continuous"
        )
    if offset is not None and np.isinf(values[:, offset]).any():
        raise InputError(
            f"the size of a row is zero or infinite, so that the counts of {what} cannot be "
            "related to it; leave such rows out"
        )
