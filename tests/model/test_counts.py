"""Negative binomial mechanisms, folds, means of their own, and columns that are conditioned on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import nbinom, poisson

from dosift.model import negative_binomial as nb
from dosift.model.categorical import CategoricalMechanism
from dosift.model.count_features import LogRate, is_complete, standardised
from dosift.model.counts import CountChanges, Fold, NegativeBinomialMechanism, SetCount
from dosift.model.covariate import CovariateMechanism
from dosift.model.features import Indicator, Plain
from dosift.model.mechanism import Change, Changes
from dosift.model.mechanism_network import MechanismNetwork

Floats = NDArray[np.float64]

#: Mean and dispersion, from hardly any counts to millions, and from Poisson to very spread.
_SHAPES = [
    (0.01, 2.0), (3.0, 0.5), (50.0, 1e-3), (50.0, 1e-7), (3e4, 1e-3), (2e4, 5.0), (1e5, 0.3),
    (1e5, 1e-7), (1e7, 0.1),
]  # fmt: skip


def drawn(mean: float, dispersion: float, n: int) -> tuple[NDArray[np.int64], Floats]:
    """Counts and log-means near one mean."""
    rng = np.random.default_rng(0)
    log_mean = np.log(mean) + 0.1 * rng.normal(size=n)
    rate = rng.gamma(1.0 / dispersion, dispersion * np.exp(log_mean))
    return rng.poisson(rate).astype(np.int64), log_mean


@pytest.mark.parametrize(("mean", "dispersion"), _SHAPES)
def test_densities_are_scipys(mean: float, dispersion: float) -> None:
    counts, log_mean = drawn(mean, dispersion, 2000)
    r = 1.0 / dispersion
    expected = nbinom.logpmf(counts, r, r / (r + np.exp(log_mean)))
    # Scipy loses digits where r is large.
    assert nb.log_density(counts, log_mean, dispersion) == pytest.approx(expected, abs=1e-6)
    nil = nb.log_density(np.zeros_like(counts), log_mean, dispersion)
    assert nb.log_zero(log_mean, dispersion) == pytest.approx(nil, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("mean", [0.01, 3.0, 1e3, 1e6])
def test_poisson_is_the_limit(mean: float) -> None:
    counts, log_mean = drawn(mean, 1e-9, 2000)
    at_zero = nb.log_density(counts, log_mean, 0.0)
    assert at_zero == pytest.approx(poisson.logpmf(counts, np.exp(log_mean)), abs=1e-6)
    near = nb.log_density(counts, log_mean, 1e-12)
    assert near == pytest.approx(at_zero, abs=1e-5)
    limit, close = nb.derivatives(counts, log_mean, 0.0), nb.derivatives(counts, log_mean, 1e-12)
    assert close.e == pytest.approx(limit.e, rel=1e-5, abs=1e-6)
    assert np.abs(close.t).max() < 1e-3


@pytest.mark.parametrize(("mean", "dispersion"), _SHAPES)
def test_derivatives_are_those_of_the_density(mean: float, dispersion: float) -> None:
    counts, log_mean = drawn(mean, dispersion, 500)
    h, t = 1e-4, np.log(dispersion)
    found = nb.derivatives(counts, log_mean, dispersion)

    def by_e(field: str) -> Floats:
        up = getattr(nb.derivatives(counts, log_mean + h, dispersion), field)
        return np.asarray(
            (up - getattr(nb.derivatives(counts, log_mean - h, dispersion), field)) / 2 / h
        )

    up, down = np.exp(t + h), np.exp(t - h)
    by_t = (nb.log_density(counts, log_mean, up) - nb.log_density(counts, log_mean, down)) / 2 / h
    slopes = (nb.derivatives(counts, log_mean, up).t - nb.derivatives(counts, log_mean, down).t) / (
        2 * h
    )
    higher = nb.log_density(counts, log_mean + h, dispersion)
    lower = nb.log_density(counts, log_mean - h, dispersion)
    for own, expected in (
        (found.e, (higher - lower) / 2 / h),
        (found.t, by_t),
        (found.ee, by_e("e")),
        (found.et, by_e("t")),
        (found.tt, slopes),
    ):
        assert own == pytest.approx(expected, rel=1e-3, abs=1e-3 * float(np.abs(own).max()))


def test_structural_zeros_and_sizes_are_the_formula() -> None:
    rng = np.random.default_rng(0)
    values = np.stack([rng.poisson(5.0, 300), rng.normal(7.0, 0.5, 300), rng.poisson(3.0, 300)], 1)
    mechanism = NegativeBinomialMechanism(
        2, (0, 1), (LogRate(0),), (0.5, 0.3), 0.4, 0.2, offset=1, offset_centre=7.0
    )
    mean = np.exp(0.5 + 0.3 * np.log1p(values[:, 0]) + values[:, 1] - 7.0)
    own = 0.8 * nbinom.pmf(values[:, 2], 2.5, 2.5 / (2.5 + mean)) + 0.2 * (values[:, 2] == 0)
    assert mechanism.log_density(values) == pytest.approx(np.log(own), abs=1e-10)
    assert mechanism.n_free == 4
    folded = Fold(0.1).applied(mechanism)
    assert folded.means(values) == pytest.approx(0.1 * mean)
    hard = SetCount(8.0, 0.3).applied(mechanism)
    assert hard.parents == (1,)
    assert hard.means(values) == pytest.approx(8.0 * np.exp(values[:, 1] - 7.0))


def moved(mechanism: NegativeBinomialMechanism, k: int, h: float) -> NegativeBinomialMechanism:
    """Move one parameter: a coefficient, the log-dispersion, the logit of structural zeros."""
    n = len(mechanism.coefficients)
    if k < n:
        b = list(mechanism.coefficients)
        b[k] += h
        return replace(mechanism, coefficients=tuple(b))
    if k == n and mechanism.dispersion > 0:
        return replace(mechanism, dispersion=mechanism.dispersion * float(np.exp(h)))
    odds = mechanism.zeros / (1.0 - mechanism.zeros) * np.exp(h)
    return replace(mechanism, zeros=float(odds / (1.0 + odds)))


@pytest.mark.parametrize("dispersion", [0.0, 0.4])
@pytest.mark.parametrize("zeros", [0.0, 0.25])
def test_statistics_are_gradient_and_information(dispersion: float, zeros: float) -> None:
    mechanism = NegativeBinomialMechanism(1, (0,), (LogRate(0),), (0.2, 0.4), dispersion, zeros)
    rng = np.random.default_rng(0)
    values = np.stack([rng.poisson(5.0, 400), np.zeros(400)], axis=1).astype(float)
    values[:, 1] = mechanism.draw(values, rng)
    values[::50, 1] = np.nan
    weights = rng.uniform(0.5, 2.0, 400)
    found = mechanism.statistics(values, weights)
    assert found[:, 0] == pytest.approx(weights @ mechanism.scores(values), abs=1e-9)
    h = 1e-5
    for k in range(mechanism.n_free):
        up, down = moved(mechanism, k, h), moved(mechanism, k, -h)
        slope = weights @ (up.log_density(values) - down.log_density(values)) / 2 / h
        assert found[k, 0] == pytest.approx(slope, abs=1e-4)
        bend = weights @ (up.scores(values) - down.scores(values)) / 2 / h
        assert found[k, 1:] == pytest.approx(-bend, abs=1e-3)
    seen = ~np.isnan(values[:, 1])
    assert mechanism.statistics(values[seen], weights[seen]) == pytest.approx(found, abs=1e-9)


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_steps_from_far_away_reach_the_maximum(prior: float) -> None:
    """The rows ask for the same wherever the steps begin, and each start is reached from others."""
    rng = np.random.default_rng(0)
    truth = NegativeBinomialMechanism(1, (0,), (LogRate(0),), (2.0, 0.5), 0.3, 0.1, prior=prior)
    values = np.zeros((2000, 2))
    values[:, 0] = rng.poisson(20.0, 2000)
    values[:, 1] = truth.draw(values, rng)
    best = []
    for intercept in (-6.0, 0.0, 8.0):
        for dispersion in (1e-5, 0.1, 30.0):
            for zeros in (0.01, 0.8):
                found = replace(
                    truth, coefficients=(intercept, 0.0), dispersion=dispersion, zeros=zeros
                )
                for _ in range(80):
                    found = found.fitted(found.statistics(values, np.ones(2000)))
                best.append([*found.coefficients, found.dispersion, found.zeros])
    assert best == pytest.approx(np.tile(best[0], (len(best), 1)), rel=1e-6)


def em(
    mechanism: NegativeBinomialMechanism, changes: list[Change], values: Floats, steps: int
) -> tuple[NegativeBinomialMechanism, list[Change], Floats]:
    """Fit mechanism, changes and weights to rows of one variable by EM; the likelihoods."""
    control = values[: len(values) // 2]
    pool = values[len(values) // 2 :]
    weights, seen = np.full(len(changes) + 1, 1.0 / (len(changes) + 1)), []
    for _ in range(steps):
        acting = [mechanism, *(change.applied(mechanism) for change in changes)]
        logs = np.stack([one.log_density(pool) for one in acting], axis=1) + np.log(weights)
        total = np.logaddexp.reduce(logs, axis=1)
        seen.append(
            float(total.sum() + mechanism.log_density(control).sum()) + mechanism.log_prior()
        )
        posterior = np.exp(logs - total[:, None])
        weights = posterior.mean(axis=0)
        statistics = mechanism.statistics(control, np.ones(len(control)))
        for k, (one, change) in enumerate(zip(acting, [None, *changes], strict=True)):
            if change is None or change.keeps_mechanism:
                statistics = statistics + one.statistics(pool, posterior[:, k])
        changes = [
            change.fitted(mechanism, one.statistics(pool, posterior[:, k]))
            for k, (change, one) in enumerate(zip(changes, acting[1:], strict=True), start=1)
        ]
        mechanism = mechanism.fitted(statistics)
    return mechanism, changes, np.array(seen)


@pytest.mark.parametrize("seed", range(12))
def test_em_rises_and_finds_folds_and_means(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 6000
    truth = NegativeBinomialMechanism(
        1, (0,), (LogRate(0),), (2.0, 0.4), 0.15, 0.05 * (seed % 2), prior=1.0
    )
    changes: list[Change] = [Fold(0.15), SetCount(400.0, 0.05)]
    values = np.zeros((2 * n, 2))
    values[:, 0] = rng.poisson(20.0, 2 * n)
    values[:, 1] = truth.draw(values, rng)
    kinds = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    for k, change in enumerate(changes, start=1):
        rows = n + np.flatnonzero(kinds == k)
        values[rows, 1] = change.applied(truth).draw(values[rows], rng)
    away = replace(truth, coefficients=(2.2, 0.3), dispersion=0.3)
    found, fitted, seen = em(away, [Fold(0.3), SetCount(150.0, 0.3)], values, 60)
    assert (np.diff(seen) > -1e-6 * np.abs(seen[1:]) - 0.01).all()
    assert seen[-1] - seen[-2] < 0.01
    assert found.coefficients == pytest.approx(truth.coefficients, abs=0.2)
    assert found.dispersion == pytest.approx(0.15, rel=0.15)
    fold, hard = fitted
    assert isinstance(fold, Fold)
    assert isinstance(hard, SetCount)
    assert fold.factor == pytest.approx(0.15, rel=0.08)
    assert hard.mean == pytest.approx(400.0, rel=0.04)
    assert hard.dispersion == pytest.approx(0.05, rel=0.25)


def test_folds_that_may_only_lower_stay_below_one() -> None:
    mechanism = NegativeBinomialMechanism(0, (), (), (2.0,), 0.3)
    values = (
        Fold(3.0).applied(mechanism).draw(np.zeros((500, 1)), np.random.default_rng(0))[:, None]
    )
    fold: Fold = Fold(0.5, at_most=1.0)
    free = Fold(0.5)
    for _ in range(20):
        fold = fold.fitted(mechanism, fold.applied(mechanism).statistics(values, np.ones(500)))
        free = free.fitted(mechanism, free.applied(mechanism).statistics(values, np.ones(500)))
    assert fold.factor == 1.0
    assert free.factor == pytest.approx(3.0, rel=0.15)
    known = Fold(0.5, is_free=False)
    assert (
        known.fitted(mechanism, known.applied(mechanism).statistics(values, np.ones(500))) == known
    )
    hard = SetCount(2.0, 0.3, at_most=5.0)
    for _ in range(20):
        hard = hard.fitted(mechanism, hard.applied(mechanism).statistics(values, np.ones(500)))
    assert hard.mean == 5.0


@pytest.mark.parametrize("values", [np.zeros((50, 1)), np.full((50, 1), 1e9), np.zeros((0, 1))])
def test_changes_of_rows_that_say_nothing_stay_finite(values: Floats) -> None:
    mechanism = NegativeBinomialMechanism(0, (), (), (2.0,), 0.3, 0.1, prior=1.0)
    changes: list[Change] = [Fold(0.5), SetCount(3.0, 0.3)]
    for weights in (np.ones(len(values)), np.zeros(len(values)), np.full(len(values), 1e-300)):
        for change in changes:
            now = change
            for _ in range(100):
                now = now.fitted(mechanism, now.applied(mechanism).statistics(values, weights))
            assert np.isfinite(now.applied(mechanism).log_density(np.array([[0.0], [1e6]]))).all()
            assert np.isfinite(now.scores(mechanism, values)).all()
        fitted = mechanism
        for _ in range(100):
            fitted = fitted.fitted(fitted.statistics(values, weights))
        assert np.isfinite(fitted.log_density(np.array([[0.0], [1e6]]))).all()


def test_suggested_changes_are_of_the_kinds_that_are_wanted() -> None:
    mechanism = NegativeBinomialMechanism(0, (1,), (), (2.0,), 0.3, offset=1, offset_centre=7.0)
    rng = np.random.default_rng(0)
    values = np.stack([np.zeros(1000), rng.normal(7.0, 0.3, 1000)], axis=1)
    values[:, 0] = mechanism.draw(values, rng)

    def of(*kinds: str, lowers: bool = False) -> list[Change]:
        library = CountChanges(kinds=frozenset(kinds), lowers=lowers)
        return library.suggested(mechanism, values, np.ones(1000))

    assert of("shift", "do") == []
    folds = [change.factor for change in of("fold") if isinstance(change, Fold)]
    assert min(folds) < 0.05
    assert max(folds) > 3.0
    lowering = of("fold", lowers=True)
    assert all(isinstance(one, Fold) and one.factor < one.at_most == 1.0 for one in lowering)
    means = [change.mean for change in of("set") if isinstance(change, SetCount)]
    assert means == sorted(set(means))
    assert means[0] < 3.0
    assert means[-1] > 15.0
    lower = [change for change in of("set", lowers=True) if isinstance(change, SetCount)]
    assert all(change.mean < change.at_most < 9.0 for change in lower)
    assert {change.kind for change in of("set", "fold")} == {"set", "fold"}
    values[:, 0] = np.nan
    assert of("set") == []


def test_what_is_no_count_is_refused() -> None:
    mechanism = NegativeBinomialMechanism(0, (), (), (2.0,))
    for wrong in (2.5, -1.0):
        with pytest.raises(ValueError, match="whole numbers"):
            mechanism.log_density(np.array([[wrong]]))
    assert mechanism.log_density(np.array([[-1]])) == 0.0  # a missing code
    table = CategoricalMechanism(0, (), (), np.array([[0.5, 0.5]]))
    changes: list[Change] = [Fold(0.5), SetCount(1.0, 0.3)]
    for change in changes:
        with pytest.raises(ValueError, match="a count"):
            change.applied(table)


def test_features_of_counts() -> None:
    values = np.array([[3.0, 2.0, 7.0], [8.0, 0.0, 8.0]])
    rate = LogRate(0, size=2, size_centre=7.0)
    assert rate.columns == (0, 2)
    assert rate(values) == pytest.approx(np.log1p([3.0, 8.0 / np.e]))
    assert LogRate(0).columns == (0,)
    found = standardised(Plain(2), values, np.ones(2))
    assert found.columns == (2,)
    assert found(values) == pytest.approx(np.array([-1.0, 1.0]))
    constant = standardised(Plain(2), values[[0, 0]], np.ones(2))
    assert (constant.centre, constant.spread) == (7.0, 1.0)
    assert standardised(Indicator(1, 2), values, np.zeros(2)).spread == 1.0
    values[1, 2] = np.nan
    assert is_complete(values, (0, 2)).tolist() == [True, False]


def test_a_covariate_is_only_conditioned_on() -> None:
    rng = np.random.default_rng(0)
    depth = CovariateMechanism.of_column(1, rng.normal(7.0, 0.4, 5000))
    gene = NegativeBinomialMechanism(0, (1,), (), (3.0,), 0.2, offset=1, offset_centre=7.0)
    network = MechanismNetwork((gene, depth), (Changes((Fold(0.1),)), Changes(())))
    assert network.order == (1, 0)
    assert network.changeable == (0,)
    values, _ = network.draw(np.array([[-1, -1]]), np.ones(1), 4000, rng)
    assert values[:, 1].mean() == pytest.approx(7.0, abs=0.03)
    assert values[:, 1].std() == pytest.approx(0.4, abs=0.03)
    assert np.corrcoef(np.log1p(values[:, 0]), values[:, 1])[0, 1] > 0.4
    assert (depth.log_density(values) == 0.0).all()
    assert depth.statistics(values, np.ones(4000)).shape == (0,)
    assert depth.fitted(np.zeros(0)) == depth
    assert depth.scores(values).shape == (4000, 0)
    assert (depth.n_free, depth.parents, depth.is_positive) == (0, (), True)
    empty = CovariateMechanism.of_column(0, np.array([np.nan]))
    assert empty.draw(np.zeros((3, 1)), rng).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dispersion", [0.0, 1e-4, 0.5])
def test_counts_around_the_end_of_the_tables(dispersion: float) -> None:
    """From 2 ** 14 on sums are not tabled."""
    counts = 2**14 + np.arange(-2, 3)
    np.testing.assert_allclose(nb.log_factorials(counts), gammaln(counts + 1.0), rtol=1e-14)
    log_mean = np.full(5, np.log(16_000.0))
    found = nb.log_density(counts, log_mean, dispersion)
    if dispersion:
        size = 1.0 / dispersion
        exact = nbinom.logpmf(counts, size, size / (size + 16_000.0))
    else:
        exact = poisson.logpmf(counts, 16_000.0)
    np.testing.assert_allclose(found, exact, rtol=1e-8)
    # From one count to the next nothing jumps.
    one = nb.derivatives(counts, log_mean, dispersion)
    for part in (one.e, one.t, one.ee, one.et, one.tt):
        steps = np.diff(part)
        assert np.ptp(steps) <= 0.02 * np.abs(steps).max() + 1e-6
