"""Which components share a change, and mixtures of changes, by likelihoods written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import norm

from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, SetPoint, Shift
from dosift.model.mechanism import Change, Changes, Mechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.model.suggested import RegressionChanges
from dosift.search.changes import ChangeFinder, ChangeMixture
from dosift.search.regrouping import _splits, _Variable, best_change, divided, regrouped

Floats = NDArray[np.float64]

ROOT = LinearMechanism(0, (), (), np.zeros(1), Noise.normal(1.0))
LIBRARY = RegressionChanges((Shift(4.0), Shift(-9.0)), frozenset({"shift"}))


def rows(*means: float, n: int = 50) -> tuple[Floats, Floats]:
    """Rows of components, each around its mean, and which is of which."""
    rng = np.random.default_rng(0)
    values = np.concatenate([mean + rng.normal(size=n) for mean in means])[:, None]
    return values, np.repeat(np.eye(len(means)), n, axis=0)


def test_ways_to_divide_components() -> None:
    assert list(_splits((3,))) == [((3,),)]
    assert list(_splits((3, 5))) == [((3, 5),), ((3,), (5,))]
    assert list(_splits((1, 2, 4))) == [
        ((1, 2, 4),),
        ((1,), (2, 4)),
        ((2,), (1, 4)),
        ((4,), (1, 2)),
        ((1,), (2,), (4,)),
    ]


def test_a_change_is_worth_what_it_gives_its_rows_less_its_parameter() -> None:
    values, posterior = rows(0.0, 3.0, 5.0)
    of = _Variable(ROOT, LIBRARY, values, posterior)
    found = of.value(Shift(4.0), (1, 2))
    expected = norm.logpdf(values[50:, 0], 4.0).sum() - 0.5 * np.log(150.0)
    assert found == pytest.approx(expected)
    # An impossible row costs a million nats, and no more.
    exact = of.value(SetPoint(7.0, 0.1), (1,))
    assert exact < -49e6
    assert np.isfinite(exact)
    best = of.best((1,))
    assert best is not None
    assert isinstance(best.change, Shift)
    assert best.change.by == pytest.approx(values[50:100].mean(), abs=0.01)
    assert best.value == pytest.approx(of.value(best.change, (1,)))
    alone = best_change(ROOT, LIBRARY, values[50:100], np.ones(50))
    assert isinstance(alone, Shift)
    assert alone.by == pytest.approx(best.change.by, abs=1e-6)
    assert best_change(ROOT, Changes(()), values, np.ones(150)) is None


def regroup(means: tuple[float, ...], column: list[int]) -> list[list[float]] | None:
    """Shifts that components make then, those that share one together."""
    values, posterior = rows(*means)
    network = MechanismNetwork((ROOT,), (LIBRARY,))
    targets = np.array(column, dtype=np.int16)[:, None]
    found = regrouped(network, values, targets, posterior)
    if found is None:
        return None
    library, new = found[0].libraries[0], found[1][:, 0]
    assert isinstance(library, Changes)
    assert new[0] == -1
    groups: dict[int, list[float]] = {}
    for k, mean in zip(new[1:].tolist(), means[1:], strict=True):
        change = library[k]
        assert isinstance(change, Shift)
        assert change.by == pytest.approx(mean, abs=0.5)
        groups.setdefault(k, []).append(mean)
    return sorted(groups.values())


def test_components_get_the_changes_that_pay() -> None:
    # What shares a change and is far apart is divided.
    assert regroup((0.0, 3.0, 6.0), [-1, 0, 0]) == [[3.0], [6.0]]
    # What is alike is brought together, and the change of others refitted.
    assert regroup((0.0, 6.0, 6.0), [-1, 0, 1]) == [[6.0, 6.0]]
    assert regroup((0.0, 3.0, 6.0, 3.1), [-1, 0, 0, 1]) == [[3.0, 3.1], [6.0]]
    # What stands well stays.
    values, posterior = rows(0.0, 4.0)
    mean = float(values[50:].mean())
    network = MechanismNetwork((ROOT,), (RegressionChanges((Shift(mean),), frozenset({"shift"})),))
    assert regrouped(network, values, np.array([[-1], [0]]), posterior) is None


def test_one_of_the_components_gets_a_change_of_its_own() -> None:
    network = MechanismNetwork((ROOT,), (Changes((Shift(4.0), SetPoint(1.0, 0.1))),))
    targets = np.array([[-1], [0], [0], [0], [1], [1]])
    found = list(divided(network, targets))
    # An exact value has no number that could be another one.
    assert [new[:, 0].tolist() for _, new in found] == [
        [-1, 2, 0, 0, 1, 1],
        [-1, 0, 2, 0, 1, 1],
        [-1, 0, 0, 2, 1, 1],
    ]
    for own, _ in found:
        assert own.libraries[0][2] == Shift(4.0)
    # Of two it is the same which.
    assert [n[:, 0].tolist() for _, n in divided(network, targets[:3])] == [[-1, 2, 0]]
    assert list(divided(network, targets[:2])) == []


def test_a_mixture_of_changes_has_the_density_of_its_parts() -> None:
    logs = np.log(np.array([[0.2, 0.4], [0.1, 0.0001]]))
    mixed = ChangeMixture((Shift(1.0),), np.array([0.75, 0.25]), logs, 0.0)
    np.testing.assert_allclose(np.exp(mixed.log_density), [0.25, 0.075025])


def test_changes_are_refitted_to_the_rows_by_em() -> None:
    values, _ = rows(0.0, 0.0, 4.0)
    weights = np.linspace(0.5, 1.5, 150)
    finder = ChangeFinder(ROOT, LIBRARY, values, weights)
    start = (Shift(3.0),)
    logs = np.stack([norm.logpdf(values[:, 0]), norm.logpdf(values[:, 0], 3.0)], axis=1)
    found = finder._refitted(start, np.array([0.5, 0.5]), logs, 0)
    change = found.changes[0]
    assert isinstance(change, Shift)
    parts = np.stack([norm.logpdf(values[:, 0]), norm.logpdf(values[:, 0], change.by)], axis=1)
    np.testing.assert_allclose(found.logs, parts)

    def value(share: float, by: float) -> float:
        own = np.stack([norm.logpdf(values[:, 0]), norm.logpdf(values[:, 0], by)], axis=1)
        return float(weights @ logsumexp(own + np.log([1.0 - share, share]), axis=1))

    best = max(
        value(share, by) for share in np.linspace(0.2, 0.5, 13) for by in np.linspace(3.5, 4.5, 11)
    )
    assert best - 0.3 < found.log_likelihood <= best + 0.05
    # One that is held keeps its numbers.
    held = finder._refitted(start, np.array([0.5, 0.5]), logs, 1)
    assert held.changes == start
    assert held.log_likelihood == pytest.approx(value(held.shares[1], 3.0), abs=0.05)


@pytest.mark.parametrize(("log_choices", "n"), [(0.0, 1), (500.0, 0)])
def test_a_change_must_pay_for_its_name(log_choices: float, n: int) -> None:
    values, _ = rows(0.0, 0.0, 4.0)
    library = RegressionChanges((), frozenset({"set"}))
    found = ChangeFinder(ROOT, library, values, np.ones(150), log_choices).found()
    assert len(found) == n
    if n:
        assert isinstance(found[0], SetNormal)
        assert found[0].mean == pytest.approx(4.0, abs=0.5)
    few = ChangeFinder(ROOT, library, values[:3], np.ones(3))
    assert few.found((Shift(1.0),)) == [Shift(1.0)]
    assert few.found((Shift(1.0),), fixed=True) == []


class Suggesting(Changes):
    """A library that suggests some changes."""

    def suggested(self, mechanism: Mechanism, values: Any, weights: Any) -> list[Change]:
        return [Shift(4.0), Shift(-4.0)]


def test_a_change_comes_in_if_it_gains_more_than_its_cost() -> None:
    values, _ = rows(0.0, 0.0, 4.0)
    weights = np.linspace(0.5, 1.5, 150)
    own = norm.logpdf(values[:, 0])

    def loss(p: Floats) -> float:
        share = 1.0 / (1.0 + np.exp(-p[0]))
        both = np.stack([own, norm.logpdf(values[:, 0], p[1])], axis=1)
        return -float(weights @ logsumexp(both + np.log([1.0 - share, share]), axis=1))

    best = minimize(loss, [0.0, 4.0], method="Nelder-Mead")
    rise = -float(best.fun) - float(weights @ own)
    # Half a logarithm of the rows for its share and its number, and its name.
    cost = 0.5 * np.log(weights.sum()) * 2.0
    for more, n in ((-0.2, 1), (0.2, 0)):
        found = ChangeFinder(ROOT, Suggesting(()), values, weights, rise - cost + more).found()
        assert len(found) == n
    (shift,) = ChangeFinder(ROOT, Suggesting(()), values, weights).found()
    assert isinstance(shift, Shift)
    assert shift.by == pytest.approx(best.x[1], abs=0.05)
    # Beside one that explains the rows it gains nothing, and that one is fitted or held.
    (again,) = ChangeFinder(ROOT, Suggesting(()), values, weights).found((Shift(3.0),))
    assert isinstance(again, Shift)
    assert again.by == pytest.approx(best.x[1], abs=0.1)
    assert ChangeFinder(ROOT, Suggesting(()), values, weights).found((shift,), fixed=True) == []


def test_a_change_of_fewer_than_eight_rows_is_none() -> None:
    even = norm.ppf((np.arange(400) + 0.5) / 400)
    for n, found in ((7, 0), (9, 1)):
        values = np.append(even, np.full(n, 7.0))[:, None]
        finder = ChangeFinder(ROOT, Suggesting(()), values, np.ones(400 + n))
        assert len(finder.found()) == found


def test_rows_without_a_value_or_weight_are_not_looked_at() -> None:
    values, _ = rows(0.0, 0.0, 4.0)
    weights = np.ones(150)
    plain = ChangeFinder(ROOT, Suggesting(()), values, weights).found()
    more = np.concatenate([values, np.full((40, 1), np.nan), np.full((40, 1), -4.0)])
    weights = np.concatenate([weights, np.ones(40), np.full(40, 1e-5)])
    assert ChangeFinder(ROOT, Suggesting(()), more, weights).found() == plain
