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

from dosift.model.categorical import CategoricalMechanism, SetState, States
from dosift.model.count_features import LogRate, Scaled
from dosift.model.counts import Fold as FoldOfCounts
from dosift.model.counts import NegativeBinomialMechanism, SetCount
from dosift.model.features import Indicator, Plain
from dosift.model.mechanism import Change, Changes, Library, Mechanism, has_missing, missing
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


def sized_counts(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of a count, the logarithm of a size, and a count."""
    rows = counts(n, rng)
    rows[:, 1] = rng.normal(7.0, 0.4, size=n)
    return rows


def mixed(n: int, rng: np.random.Generator) -> NDArray[Any]:
    """Make rows of a number, a state of three, and a count."""
    rows = counts(n, rng)
    rows[:, 0], rows[:, 1] = rng.normal(50.0, 10.0, size=n), rng.integers(3, size=n)
    return rows


@dataclass(frozen=True)
class Case:
    """A mechanism, rows for its parents, and all values that its variable may have."""

    mechanism: Mechanism
    rows: Callable[[int, np.random.Generator], NDArray[Any]]
    support: NDArray[Any]
    changes: tuple[Change, ...]


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
        mixed,
        np.arange(500.0),
        _COUNT_CHANGES,
    ),
    "counts with a prior": Case(
        NegativeBinomialMechanism(2, (0,), (LogRate(0),), (1.0, 0.4), 0.3, zeros=0.3, prior=1.0),
        counts,
        np.arange(1000.0),
        _COUNT_CHANGES,
    ),
}
#: Those that are fitted by likelihood alone.
LIKELIHOOD = [name for name in CASES if "prior" not in name]
CHANGED = [(name, k) for name, case in CASES.items() for k in range(len(case.changes))]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def drawn(case: Case, mechanism: Mechanism, n: int, seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    rows = case.rows(n, rng)
    rows[:, _VARIABLE] = mechanism.draw(rows, rng)
    return rows


def at_rest(mechanism: Mechanism, rows: NDArray[Any], weights: NDArray[np.float64]) -> Mechanism:
    for _ in range(50):
        mechanism = mechanism.fitted(mechanism.statistics(rows, weights))
    return mechanism


def log_likelihood(mechanism: Mechanism, rows: NDArray[Any], weights: NDArray[np.float64]) -> float:
    return float(weights @ np.maximum(mechanism.log_density(rows), -1e9))


def check_density(mechanism: Mechanism, case: Case) -> None:
    """Density sums to one, is right about its zeros, and draws follow it."""
    rng = np.random.default_rng(1)
    rows = case.rows(8, rng)
    every = np.repeat(rows, case.support.size, axis=0)
    every[:, _VARIABLE] = np.tile(case.support, len(rows))
    log = mechanism.log_density(every).reshape(len(rows), -1)
    assert log.shape == (8, case.support.size)
    assert np.exp(log).sum(axis=1) == pytest.approx(np.ones(8), abs=1e-9)
    if mechanism.is_positive:
        assert np.isfinite(log).all()
    else:
        assert np.isneginf(mechanism.log_density(every)).any()
    for row, density in zip(rows, np.exp(log), strict=True):
        sample = mechanism.draw(np.repeat(row[None, :], 4000, axis=0), rng)
        assert np.isin(sample, case.support).all()
        seen = (sample[:, None] == case.support).sum(axis=0)
        expected = 4000 * density
        frequent = expected > 5
        terms = (seen - expected)[frequent] ** 2 / expected[frequent]
        rest = expected[~frequent].sum()
        if rest > 5:
            terms = np.append(terms, (seen[~frequent].sum() - rest) ** 2 / rest)
        assert seen[density == 0].sum() == 0
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
    assert (log[rest] == case.mechanism.log_density(rows[rest])).all()


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
    fitted = at_rest(case.mechanism, rows, weights)
    best = log_likelihood(fitted, rows, weights)
    again = fitted.fitted(fitted.statistics(rows, weights))
    assert again.log_density(rows) == pytest.approx(fitted.log_density(rows), abs=1e-9)
    assert best >= log_likelihood(case.mechanism, rows, weights)
    for seed in range(1, 6):
        other = at_rest(case.mechanism, drawn(case, case.mechanism, _ROWS, seed), weights)
        assert best >= log_likelihood(other, rows, weights)
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
    fitted = at_rest(case.mechanism, rows, weights)
    assert fitted.scores(rows).sum(axis=0) == pytest.approx(np.zeros(scores.shape[1]), abs=1e-6)
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

    def fit(rows: NDArray[Any]) -> Change:
        found = change
        for _ in range(20):
            statistics = found.applied(mechanism).statistics(rows, np.ones(len(rows)))
            found = found.fitted(mechanism, statistics)
        return found

    rows = drawn(case, change.applied(mechanism), _ROWS, 0)
    assert change.scores(mechanism, rows).shape == (_ROWS, change.n_free)
    fitted = fit(rows)
    best = log_likelihood(fitted.applied(mechanism), rows, np.ones(_ROWS))
    if change.n_free == 0:
        assert fitted == change
        return
    assert fitted.scores(mechanism, rows).sum(axis=0) == pytest.approx(0.0, abs=1e-6)
    for seed in range(1, 6):
        other = fit(drawn(case, change.applied(mechanism), _ROWS, seed))
        assert best >= log_likelihood(other.applied(mechanism), rows, np.ones(_ROWS))


@pytest.mark.parametrize(
    ("library", "name"),
    [(States(("a", "b", "c")), "table"), (Changes(_FOLDS), "counts"), (Changes(_DOS), "table")],
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
