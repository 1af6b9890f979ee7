"""The contract of mechanisms, changes and libraries, promise by promise.

A new mechanism or change is one more line in the lists below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from dosift.model.burst_counts import BurstMechanism
from dosift.model.categorical import CategoricalMechanism, SetState, States
from dosift.model.count_features import LogRate, Scaled
from dosift.model.counts import Fold as FoldOfCounts
from dosift.model.counts import NegativeBinomialMechanism, SetCount
from dosift.model.features import Indicator, Plain, features_of
from dosift.model.linear import LinearMechanism, Noise
from dosift.model.linear_changes import FreeRegression, Gain, SetNormal, SetPoint, Shift
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import (
    Change,
    Changes,
    Library,
    Mechanism,
    has_missing,
    log_prior,
    missing,
)
from dosift.model.uniform import UniformMechanism
from poisson_counts import Fold, PoissonMechanism

#: Every mechanism here is of variable 2 of three; others are its parents, or not.
_VARIABLE = 2
_ROWS = 3000


def states(*sizes: int) -> Callable[[int, np.random.Generator], NDArray[Any]]:
    """Make rows of state codes."""
    return lambda n, rng: np.stack([rng.integers(k, size=n) for k in sizes], axis=1)


def counts(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of counts."""
    return rng.poisson(6.0, size=(n, 3)).astype(float)


def numbers(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of numbers."""
    return rng.normal(size=(n, 3))


def mixed(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of a number, a state of three, and zeros."""
    return np.stack([rng.normal(size=n), rng.integers(3, size=n), np.zeros(n)], axis=1)


def sized_counts(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of a count, the logarithm of a size, and a count."""
    rows = counts(n, rng)
    rows[:, 1] = rng.normal(7.0, 0.4, size=n)
    return rows


def counts_of_mixed(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of a number, a state of three, and a count."""
    rows = counts(n, rng)
    rows[:, 0], rows[:, 1] = rng.normal(50.0, 10.0, size=n), rng.integers(3, size=n)
    return rows


@dataclass(frozen=True)
class Case:
    """A mechanism, rows for its parents, and all values that its variable may have.

    Of a continuous variable a fine grid, whose points stand for steps of a size; so many steps
    together make a bin in which draws are counted. EM over parts of the noise comes slowly to rest.
    """

    mechanism: Mechanism
    rows: Callable[[int, np.random.Generator], NDArray[Any]]
    support: NDArray[Any]
    changes: tuple[Change, ...]
    step: float | None = None
    rounds: int = 50
    #: Whether its own fit to rows that it made is at least as likely as it is itself.
    is_fitted: bool = True

    def counted(self, sample: NDArray[Any]) -> NDArray[np.int64]:
        """How often each value of the support was drawn."""
        if self.step is None:
            assert np.isin(sample, self.support).all()
            return (sample[:, None] == self.support).sum(axis=0)
        at = np.rint((sample - self.support[0]) / self.step).astype(np.int64)
        return np.bincount(at, minlength=self.support.size)

    def binned(self, of_support: NDArray[Any]) -> NDArray[Any]:
        """Sum what stands at the points of the support, a bin at a time."""
        if self.step is None:
            return of_support
        return np.add.reduceat(of_support, np.arange(0, self.support.size, _STEPS_OF_BIN))


def of_numbers(mechanism: Mechanism, changes: tuple[Change, ...], **kwargs: Any) -> Case:
    """Return the case of a mechanism whose variable is a number."""
    rows = kwargs.pop("rows", numbers)
    return Case(mechanism, rows, _GRID, changes, step=_STEP, **kwargs)


#: A grid for numbers, and its steps to a bin.
_STEP, _STEPS_OF_BIN = 0.02, 25
_GRID = np.arange(-1000, 1001) * _STEP
_NARROW_AND_WIDE = Noise(np.array([0.7, 0.3]), np.zeros(2), np.array([0.4, 1.5]))
_TWO_STATES = Noise(
    np.array([0.6, 0.4]), np.array([0.0, 2.0]), np.array([0.3, 0.5]), has_means=True
)
_BOTH = (Plain(0), Plain(1))
_SLOPES = np.array([0.3, 0.8, -0.5])
_MIXED = features_of((0, 1), np.array([0, 3, 0]))
#: All that may be done to a number, for a regression on two numbers.
_LINEAR_CHANGES = (
    SetNormal(2.0, 0.3),
    SetPoint(1.5, _STEP),
    Shift(-1.2),
    Shift(1.5, 0.6, has_factor=True),
    Gain(0.4, 0.7, 1.5),
    FreeRegression(np.array([1.0, -0.3, 0.2]), 0.7),
)


def regression(noise: Noise, **kwargs: Any) -> LinearMechanism:
    """Return a regression of variable 2 on the other two."""
    return LinearMechanism(2, (0, 1), _BOTH, _SLOPES, noise, **kwargs)


_TABLE = np.random.default_rng(0).dirichlet(np.full(3, 5.0), size=6)
_WITH_ZEROS = np.array([[0.0, 0.4, 0.6], [1.0, 0.0, 0.0]])
_DOS = tuple(States(("a", "b", "c")))
_COUNT_CHANGES = (FoldOfCounts(0.4), FoldOfCounts(3.0, is_free=False), SetCount(2.0, 0.7))
_FOLDS = (Fold(0.3), Fold(2.5), Fold(0.5, is_free=True))

CASES = {
    "table": Case(
        CategoricalMechanism(2, (1, 0), (3, 2), _TABLE), states(2, 3, 3), np.arange(3), _DOS
    ),
    "root table": Case(
        CategoricalMechanism(2, (), (), np.array([[0.2, 0.8]])),
        states(2, 2, 2),
        np.arange(2),
        tuple(States(("no", "yes"))),
    ),
    "table with zeros": Case(
        CategoricalMechanism(2, (0,), (2,), _WITH_ZEROS), states(2, 2, 3), np.arange(3), _DOS
    ),
    "table with a prior": Case(
        CategoricalMechanism(2, (1, 0), (3, 2), _TABLE, prior=0.5),
        states(2, 3, 3),
        np.arange(3),
        _DOS,
    ),
    "counts": Case(PoissonMechanism(2, (), (1.5,)), counts, np.arange(200.0), _FOLDS),
    "counts with parents": Case(
        PoissonMechanism(2, (0, 1), (1.0, 0.6, -0.3)), counts, np.arange(400.0), _FOLDS
    ),
    "root regression": of_numbers(
        LinearMechanism(2, (), (), np.array([0.4]), Noise.normal(1.2)),
        (SetNormal(-1.0, 0.4), Shift(1.0), Shift(1.0, 2.0, has_factor=True)),
    ),
    "regression": of_numbers(regression(Noise.normal(0.8)), _LINEAR_CHANGES),
    "regression with heavy tails": of_numbers(
        regression(_NARROW_AND_WIDE), _LINEAR_CHANGES, rounds=800
    ),
    "regression with two states": of_numbers(regression(_TWO_STATES), _LINEAR_CHANGES, rounds=300),
    "regression whose noise grows": of_numbers(
        regression(Noise.normal(0.5), axis=np.array([0.0, 0.8, -0.6]), slope=0.4),
        _LINEAR_CHANGES,
        rounds=100,
    ),
    "regression with errors": of_numbers(
        regression(Noise.normal(0.8), covariance=np.diag([0.01, 0.02, 0.05])),
        _LINEAR_CHANGES,
        is_fitted=False,
    ),
    "regression on mixed parents": of_numbers(
        LinearMechanism(
            2, (0, 1), _MIXED, np.array([0.0, 0.5, 1.0, -1.0, 0.3, -0.6]), Noise.normal(0.5)
        ),
        (SetNormal(2.0, 0.3), Shift(-1.2), Gain(0.4, 0.7, 1.5)),
        rows=mixed,
    ),
    "logistic": Case(
        LogisticMechanism(2, (0,), (Plain(0),), np.array([[0.5, 1.0], [-0.5, -1.5]])),
        numbers,
        np.arange(3),
        _DOS,
    ),
    "logistic on mixed parents": Case(
        LogisticMechanism(2, (0, 1), _MIXED, np.array([[0.5, 1.0, -0.5, 0.5, 0.4, -0.4]])),
        mixed,
        np.arange(2),
        tuple(States(("no", "yes"))),
    ),
    "uniform": of_numbers(
        UniformMechanism(2, -0.51, 1.01, outside=0.1), (SetNormal(3.0, 0.3), SetPoint(0.5, _STEP))
    ),
    "overdispersed counts": Case(
        NegativeBinomialMechanism(2, (0, 1), (LogRate(0), LogRate(1)), (1.0, 0.6, -0.3), 0.4),
        counts,
        np.arange(1500.0),
        _COUNT_CHANGES,
    ),
    "counts of a size": Case(
        NegativeBinomialMechanism(
            2,
            (0, 1),
            (LogRate(0, size=1, size_centre=7.0),),
            (1.0, 0.4),
            0.5,
            offset=1,
            offset_centre=7.0,
        ),
        sized_counts,
        np.arange(2500.0),
        _COUNT_CHANGES,
    ),
    "counts with structural zeros": Case(
        NegativeBinomialMechanism(2, (0,), (LogRate(0),), (1.0, 0.4), 0.3, zeros=0.3),
        counts,
        np.arange(1000.0),
        _COUNT_CHANGES,
    ),
    "Poisson counts of other kinds": Case(
        NegativeBinomialMechanism(
            2,
            (0, 1),
            (Scaled(Plain(0), 50.0, 10.0), Indicator(1, 1), Indicator(1, 2)),
            (1.5, 0.3, -0.5, 0.4),
        ),
        counts_of_mixed,
        np.arange(500.0),
        _COUNT_CHANGES,
    ),
    "counts with bursts": Case(
        BurstMechanism(2, (0,), (LogRate(0),), (1.0, 0.4), dispersion=0.3, share=0.15, factor=4.0),
        counts,
        np.arange(2500.0),
        (FoldOfCounts(0.4),),
    ),
    "counts with a prior": Case(
        NegativeBinomialMechanism(2, (0,), (LogRate(0),), (1.0, 0.4), 0.3, zeros=0.3, prior=1.0),
        counts,
        np.arange(1000.0),
        _COUNT_CHANGES,
    ),
}
#: Those whose fit is likeliest, given the prior if they say what it is.
LIKELIHOOD = [name for name, one in CASES.items() if "prior" not in name and one.is_fitted]
#: A prior may keep a fit so far from the maximum of the likelihood: nats that remain.
_LEFT_BY_PRIOR = 0.05
CHANGED = [(name, k) for name, case in CASES.items() for k in range(len(case.changes))]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def drawn(case: Case, mechanism: Mechanism, n: int, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    rows = case.rows(n, rng)
    rows[:, _VARIABLE] = mechanism.draw(rows, rng)
    return rows


def at_rest(
    mechanism: Mechanism, rows: NDArray[Any], weights: NDArray[np.float64], rounds: int = 50
) -> Mechanism:
    for _ in range(rounds):
        mechanism = mechanism.fitted(mechanism.statistics(rows, weights))
    return mechanism


def log_likelihood(mechanism: Mechanism, rows: NDArray[Any], weights: NDArray[np.float64]) -> float:
    return float(weights @ np.maximum(mechanism.log_density(rows), -1e9))


def objective(mechanism: Mechanism, rows: NDArray[Any], weights: NDArray[np.float64]) -> float:
    return log_likelihood(mechanism, rows, weights) + log_prior(mechanism)


def check_scores_vanish(scores: NDArray[np.float64], has_prior: bool) -> None:
    """Exactly, or up to what a weak prior leaves."""
    total = scores.sum(axis=0)
    if not has_prior:
        assert total == pytest.approx(np.zeros(total.size), abs=1e-6)
        return
    assert total @ np.linalg.solve(scores.T @ scores, total) < _LEFT_BY_PRIOR


def check_density(mechanism: Mechanism, case: Case) -> None:
    """Density sums to one, is right about its zeros, and draws follow it."""
    rng = np.random.default_rng(1)
    rows = case.rows(8, rng)
    every = np.repeat(rows, case.support.size, axis=0)
    every[:, _VARIABLE] = np.tile(case.support, len(rows))
    log = mechanism.log_density(every).reshape(len(rows), -1) + np.log(case.step or 1.0)
    assert log.shape == (8, case.support.size)
    assert np.exp(log).sum(axis=1) == pytest.approx(np.ones(8), abs=1e-9)
    if mechanism.is_positive:
        assert np.isfinite(log).all()
    else:
        assert np.isneginf(mechanism.log_density(every)).any()
    for row, density in zip(rows, np.exp(log), strict=True):
        sample = mechanism.draw(np.repeat(row[None, :], 4000, axis=0), rng)
        at_points = case.counted(sample)
        assert at_points[density == 0].sum() == 0
        seen = case.binned(at_points)
        expected = 4000 * case.binned(density)
        frequent = expected > 5
        terms = (seen - expected)[frequent] ** 2 / expected[frequent]
        rest = expected[~frequent].sum()
        if rest > 5:
            terms = np.append(terms, (seen[~frequent].sum() - rest) ** 2 / rest)
        assert chi2.sf(terms.sum(), max(terms.size - 1, 1)) > 1e-5


def test_the_density_sums_to_one_and_draws_follow_it(case: Case) -> None:
    check_density(case.mechanism, case)


def test_drawing_does_not_look_at_the_variable(case: Case) -> None:
    rows = case.rows(50, np.random.default_rng(0))
    other = rows.copy()
    other[:, _VARIABLE] = 0
    first = case.mechanism.draw(rows, np.random.default_rng(3))
    assert (first == case.mechanism.draw(other, np.random.default_rng(3))).all()


def test_a_missing_value_is_summed_out(case: Case) -> None:
    rows = case.rows(5, np.random.default_rng(0)).astype(float)
    rows[2, _VARIABLE] = np.nan
    log = case.mechanism.log_density(rows)
    assert log[2] == 0.0
    rest = np.arange(5) != 2
    assert log[rest] == pytest.approx(case.mechanism.log_density(rows[rest]), abs=1e-12)


def test_statistics_add_up(case: Case) -> None:
    rows = drawn(case, case.mechanism, 300, 0)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 300)
    whole = case.mechanism.statistics(rows, weights)
    parts = [
        case.mechanism.statistics(rows[at], weights[at]) for at in (slice(100), slice(100, 300))
    ]
    assert parts[0].shape == whole.shape
    assert parts[0] + parts[1] == pytest.approx(whole, rel=1e-9, abs=1e-9)
    twice = case.mechanism.statistics(np.concatenate([rows, rows]), np.append(weights, weights))
    assert twice == pytest.approx(case.mechanism.statistics(rows, 2 * weights), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", LIKELIHOOD)
def test_fitting_comes_to_rest_at_the_likelihoods_maximum(name: str) -> None:
    case = CASES[name]
    rows = drawn(case, case.mechanism, _ROWS, 0)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, _ROWS)
    before = case.mechanism.log_density(rows)
    fitted = at_rest(case.mechanism, rows, weights, case.rounds)
    best = objective(fitted, rows, weights)
    again = fitted.fitted(fitted.statistics(rows, weights))
    assert again.log_density(rows) == pytest.approx(fitted.log_density(rows), abs=1e-9)
    assert best >= objective(case.mechanism, rows, weights)
    for seed in range(1, 6):
        other = at_rest(case.mechanism, drawn(case, case.mechanism, _ROWS, seed), weights)
        assert best >= objective(other, rows, weights)
    assert (case.mechanism.log_density(rows) == before).all(), "a mechanism never changes"


@pytest.mark.parametrize("name", LIKELIHOOD)
def test_scores_vanish_at_the_maximum_and_show_the_way_there(name: str) -> None:
    case = CASES[name]
    if not case.mechanism.is_positive:
        pytest.skip("the maximum is at the edge, where a score need not vanish")
    rows = drawn(case, case.mechanism, _ROWS, 0)
    weights = np.ones(_ROWS)
    scores = case.mechanism.scores(rows)
    assert scores.shape == (_ROWS, case.mechanism.n_free)
    fitted = at_rest(case.mechanism, rows, weights, case.rounds)
    check_scores_vanish(fitted.scores(rows), log_prior(fitted) != 0)
    # The likelihood gained is half of U' I^-1 U, U the scores' sum and I that of their squares.
    total = scores.sum(axis=0)
    promised = 0.5 * float(total @ np.linalg.solve(scores.T @ scores, total))
    gained = log_likelihood(fitted, rows, weights) - log_likelihood(case.mechanism, rows, weights)
    assert promised == pytest.approx(gained, rel=0.25)


def test_a_prior_pulls_but_rows_win(case: Case) -> None:
    rows = drawn(case, case.mechanism, _ROWS, 0)
    many = at_rest(case.mechanism, rows, np.full(_ROWS, 1e6))
    other = at_rest(case.mechanism, rows, np.full(_ROWS, 1e7))
    assert many.log_density(rows) == pytest.approx(other.log_density(rows), abs=1e-4)


@pytest.mark.parametrize(("name", "k"), CHANGED)
def test_a_changed_mechanism_is_one(name: str, k: int) -> None:
    case = CASES[name]
    change = case.changes[k]
    applied = change.applied(case.mechanism)
    assert applied.variable == case.mechanism.variable
    check_density(applied, case)
    assert "speed" in change.text("speed")
    if change.keeps_mechanism:
        rows = drawn(case, applied, 100, 0)
        own = case.mechanism.statistics(rows, np.ones(100))
        assert applied.statistics(rows, np.ones(100)).shape == own.shape
        assert applied.scores(rows).shape == (100, case.mechanism.n_free)


@pytest.mark.parametrize(("name", "k"), CHANGED)
def test_a_change_is_fitted_to_the_rows_under_it(name: str, k: int) -> None:
    case = CASES[name]
    change, mechanism = case.changes[k], case.mechanism

    def fit(rows: NDArray[Any], rounds: int = 20) -> Change:
        found = change
        for _ in range(rounds):
            statistics = found.applied(mechanism).statistics(rows, np.ones(len(rows)))
            found = found.fitted(mechanism, statistics)
        return found

    rows = drawn(case, change.applied(mechanism), _ROWS, 0)
    assert change.scores(mechanism, rows).shape == (_ROWS, change.n_free)
    fitted = fit(rows, max(20, case.rounds if change.n_free else 0))
    best = log_likelihood(fitted.applied(mechanism), rows, np.ones(_ROWS))
    if change.n_free == 0:
        assert fitted == change
        return
    check_scores_vanish(fitted.scores(mechanism, rows), has_prior=not isinstance(change, Fold))
    for seed in range(1, 6):
        other = fit(drawn(case, change.applied(mechanism), _ROWS, seed))
        assert best >= log_likelihood(other.applied(mechanism), rows, np.ones(_ROWS))


@pytest.mark.parametrize(
    ("library", "name"),
    [
        (States(("a", "b", "c")), "table"),
        (States(("a", "b", "c")), "logistic"),
        (Changes(_FOLDS), "counts"),
        (Changes(_DOS), "table"),
        (Changes(_LINEAR_CHANGES[:3]), "regression"),
    ],
)
def test_a_library_says_which_changes_fit_a_value(library: Library, name: str) -> None:
    case = CASES[name]
    assert len(library) == len(list(library[:])) == 3
    assert library[1] == library[:][1]
    rows = drawn(case, case.mechanism, 100, 0)
    fits = np.stack(
        [np.isfinite(change.applied(case.mechanism).log_density(rows)) for change in library[:]],
        axis=1,
    )
    if not library.is_exclusive:
        with pytest.raises(ValueError, match="several changes"):
            library.only(rows[:, _VARIABLE])
        return
    only = library.only(rows[:, _VARIABLE])
    assert (fits.sum(axis=1) == 1).all()
    assert fits[np.arange(100), only].all()
    assert library.only(np.array([1.0, np.nan])).tolist() == [1, -1]


def test_a_do_is_written_as_targets_are() -> None:
    assert SetState(0, "very high").text("pulse") == 'pulse="very high"'
    with pytest.raises(ValueError, match="discrete"):
        SetState(0, "a").applied(PoissonMechanism(0, (), (0.0,)))


def test_what_is_missing() -> None:
    assert missing(np.array([0, -1], dtype=np.int8)).tolist() == [False, True]
    assert not has_missing(np.array([-5.0]))
    assert has_missing(np.array([[0.0, np.nan]]))
    assert not has_missing(np.empty((0, 2), dtype=int))
