"""Counts learned from control rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import nbinom, norm

from dosift.errors import InputError
from dosift.learning.count_mechanisms import _between, _by_moments, _Fitter, learn_counts
from dosift.model.count_features import LogRate, Scaled
from dosift.model.counts import NegativeBinomialMechanism
from dosift.model.features import Indicator, Plain, Product

Floats = NDArray[np.float64]

#: Columns: two counts, a number, a state of three, the logarithm of the size, the count.
_SIZE, _OWN = 4, 5
_STATES = (0, 0, 0, 3, 0, 0)


def parents(n: int, rng: np.random.Generator, mean: float = 20.0) -> Floats:
    values = np.zeros((n, 6))
    values[:, _SIZE] = rng.normal(8.0, 0.5, n)
    relative = np.exp(values[:, _SIZE] - 8.0)
    for column in (0, 1):
        values[:, column] = rng.poisson(rng.gamma(4.0, mean / 4.0 * relative))
    values[:, 2] = rng.normal(100.0, 15.0, n)
    values[:, 3] = rng.integers(3, size=n)
    return values


def truth(dispersion: float = 0.3, zeros: float = 0.0) -> NegativeBinomialMechanism:
    """A count with a parent of each kind; counts act for their size."""
    return NegativeBinomialMechanism(
        _OWN,
        (0, 2, 3, _SIZE),
        (
            LogRate(0, size=_SIZE, size_centre=8.0),
            Scaled(Plain(2), 100.0, 15.0),
            Indicator(3, 1),
            Indicator(3, 2),
        ),
        (1.0, 0.4, -0.3, 0.5, -0.4),
        dispersion,
        zeros,
        offset=_SIZE,
        offset_centre=8.0,
    )


def drawn(mechanism: NegativeBinomialMechanism, n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    values = parents(n, rng)
    values[:, _OWN] = mechanism.draw(values, rng)
    return values


def learned(values: Floats, weights: Floats | None = None) -> NegativeBinomialMechanism:
    weights = np.ones(len(values)) if weights is None else weights
    return learn_counts(values, weights, _OWN, (0, 2, 3), _SIZE, cardinalities=_STATES, numbers={2})


def in_units_of_the_truth(found: NegativeBinomialMechanism) -> Floats:
    """Coefficients of the parents, and the logarithm of the dispersion."""
    scales = np.array([found.features[0].spread, found.features[1].spread / 15.0, 1.0, 1.0])
    return np.append(np.array(found.coefficients[1:5]) / scales, np.log(found.dispersion))


def test_parameters_are_recovered_as_closely_as_their_information_allows() -> None:
    own = truth()
    expected = np.append(own.coefficients[1:], np.log(own.dispersion))
    errors = []
    for seed in range(60):
        values = drawn(own, 1500, seed)
        found = learned(values)
        assert found.features[0].feature.size == _SIZE
        if len(found.coefficients) > 5 or found.zeros > 0:
            continue  # asked for by chance
        information = own.statistics(values, np.ones(1500))[:, 1:]
        error = in_units_of_the_truth(found) - expected
        errors.append(error / np.sqrt(np.diag(np.linalg.inv(information)))[1:])
    z = np.array(errors)
    assert len(z) > 50
    assert np.abs(z.mean(axis=0)).max() < 4.0 / np.sqrt(len(z))
    assert (np.abs(z) < norm.ppf(0.975)).mean() == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize("seed", range(4))
def test_no_other_optimiser_finds_a_higher_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.stack([rng.poisson(9.0, 400), np.zeros(400)], axis=1).astype(float)
    x = np.log1p(values[:, 0])
    mean = np.exp(0.5 + 0.6 * x)
    values[:, 1] = rng.negative_binomial(2.0, 2.0 / (2.0 + mean))

    def loss(b: Floats) -> float:
        r, m = np.exp(-b[2]), np.exp(b[0] + b[1] * x)
        return -float(nbinom.logpmf(values[:, 1], r, r / (r + m)).sum())

    best = minimize(loss, np.array([0.0, 0.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-6})
    found = learn_counts(values, np.ones(400), 1, (0,))
    flat = replace(found, prior=0.0)
    for _ in range(20):
        flat = flat.fitted(flat.statistics(values, np.ones(400)))
    assert -flat.log_density(values).sum() <= best.fun + 1e-4
    # The prior is weak.
    assert -found.log_density(values).sum() <= best.fun + 0.1


def test_structural_zeros_are_there_only_if_rows_ask_for_them() -> None:
    invented = sum(learned(drawn(truth(), 1500, seed)).zeros > 0 for seed in range(40))
    assert invented <= 2
    shares = [learned(drawn(truth(zeros=0.15), 3000, seed)).zeros for seed in range(20)]
    assert min(shares) > 0.08
    assert np.mean(shares) == pytest.approx(0.15, abs=0.015)


def test_the_poisson_limit_is_taken_where_nothing_speaks_for_more() -> None:
    found = [learned(drawn(truth(dispersion=0.0), 1500, seed)) for seed in range(30)]
    assert sum(one.dispersion == 0 for one in found) >= 27
    assert max(one.dispersion for one in found) < 0.02
    spread = [learned(drawn(truth(dispersion=0.1), 1500, seed)).dispersion for seed in range(10)]
    assert min(spread) > 0.05


def test_parents_act_by_raw_counts_or_for_their_size_as_rows_say() -> None:
    raw = replace(truth(), features=(LogRate(0), *truth().features[1:]))
    for seed in range(10):
        assert learned(drawn(truth(), 2000, seed)).features[0].feature.size == _SIZE
        assert learned(drawn(raw, 2000, seed)).features[0].feature.size is None


def test_the_size_has_a_slope_of_its_own_where_rows_say_so() -> None:
    own = truth()
    half = replace(
        own,
        features=(*own.features, Scaled(Plain(_SIZE), 8.0, 1.0)),
        coefficients=(*own.coefficients, -0.5),
    )
    found = learned(drawn(half, 3000, 0))
    assert found.features[-1].columns == (_SIZE,)
    slope = found.coefficients[-1] / found.features[-1].spread
    assert slope == pytest.approx(-0.5, abs=0.12)
    assert found.parents == (0, 2, 3, _SIZE)


def test_features_that_a_user_names() -> None:
    rng = np.random.default_rng(0)
    values = np.zeros((3000, 2))
    values[:, 0] = rng.normal(0.0, 2.0, 3000)
    own = NegativeBinomialMechanism(1, (0,), (Product((Plain(0), Plain(0))),), (1.0, 0.2), 0.2)
    values[:, 1] = own.draw(values, rng)
    found = learn_counts(values, np.ones(3000), 1, numbers={0}, features=own.features)
    assert found.parents == (0,)
    assert found.coefficients[1] / found.features[0].spread == pytest.approx(0.2, abs=0.02)


def test_weights_are_repeated_rows() -> None:
    values = drawn(truth(), 800, 0)
    weights = np.random.default_rng(0).integers(0, 3, 800)
    first = learned(values, weights.astype(float))
    second = learned(np.repeat(values, weights, axis=0))
    # Medians, by which sizes are centred, differ.
    assert first.dispersion == pytest.approx(second.dispersion, rel=1e-3)
    assert first.log_density(values) == pytest.approx(second.log_density(values), abs=1e-2)


def test_rows_that_lack_a_value_are_left_out() -> None:
    values = drawn(truth(), 600, 0)
    holes = values.copy()
    holes[:50, _OWN], holes[50:100, 0], holes[100:150, _SIZE] = np.nan, np.nan, np.nan
    assert learned(holes) == learned(values[150:])


@pytest.mark.parametrize("case", ["few", "none", "nil", "constant", "collinear", "huge", "one"])
def test_rows_that_say_little_give_finite_mechanisms(case: str) -> None:
    for seed in range(10):
        values = drawn(truth(), 400, seed)
        if case == "few":
            values = values[:3]
        elif case == "none":
            values = values[:0]
        elif case == "nil":
            values[:, _OWN] = 0.0
        elif case == "constant":
            values[:, :] = values[0]
        elif case == "collinear":
            values[:, 2] = np.log1p(values[:, 0] * np.exp(8.0 - values[:, _SIZE]))
        elif case == "huge":
            values[:, _OWN] = np.floor(values[:, _OWN] * 1e8)
        elif case == "one":
            values[:, _OWN] = 0.0
            values[0, _OWN] = 1.0
        found = learned(values)
        other = drawn(truth(), 300, 99)
        assert np.isfinite([*found.coefficients, found.dispersion, found.zeros]).all()
        assert np.isfinite(found.log_density(other)).all()
        assert np.isfinite(found.scores(other)).all()
        again = found.fitted(found.statistics(values, np.ones(len(values))))
        assert np.isfinite(again.log_density(other)).all()
        if case == "huge":
            mean = found.means(values).mean()
            assert mean == pytest.approx(values[:, _OWN].mean(), rel=0.2)


def test_what_is_no_count_is_refused() -> None:
    values = drawn(truth(), 20, 0)
    for wrong in (1.5, -2.0, np.inf):
        bad = values.copy()
        bad[3, _OWN] = wrong
        with pytest.raises(InputError, match="is no count"):
            learned(bad)
    values[0, _SIZE] = -np.inf
    with pytest.raises(InputError, match="variable 'MYC'"):
        learn_counts(values, np.ones(20), _OWN, (0,), _SIZE, name="MYC")


def test_zeros_are_expected_with_the_weights_of_rows() -> None:
    mechanism = NegativeBinomialMechanism(1, (0,), (Plain(0),), (0.5, 1.0), 0.5)
    values = np.array([[0.0, 3.0], [1.0, 0.0], [-1.0, 7.0]])
    fitter = _Fitter(values, np.array([1.0, 2.0, 5.0]))
    # Size 2 and mean m: (2 / (2 + m)) ** 2.
    nil = (2.0 / (2.0 + np.exp(0.5 + values[:, 0]))) ** 2
    assert fitter.expected_zeros(mechanism) == pytest.approx((nil @ [1.0, 2.0, 5.0]) / 8.0)
    assert values[:, 1].tolist() == [3.0, 0.0, 7.0]
    assert fitter.average(np.array([8.0, 4.0, 0.0])) == 2.0
    assert _Fitter(values, np.zeros(3)).average(np.ones(3)) == 0.0


def test_a_step_goes_a_share_of_the_way_and_never_down() -> None:
    old = NegativeBinomialMechanism(1, (0,), (Plain(0),), (0.0, 1.0), 0.25, 0.1)
    new = NegativeBinomialMechanism(1, (0,), (Plain(0),), (4.0, -1.0), 4.0, 0.3)
    half = _between(old, new, 0.5)
    assert half.coefficients == (2.0, 0.0)
    assert (half.dispersion, half.zeros) == pytest.approx((1.0, 0.2))
    assert _between(old, new, 1.0) is new
    quarter = _between(old, new, 0.25)
    assert quarter.coefficients == (1.0, 0.5)
    assert (quarter.dispersion, quarter.zeros) == pytest.approx((0.5, 0.15))

    class Hill(_Fitter):
        """Whose objective is highest at an intercept of 0.9."""

        def _objective(self, mechanism: NegativeBinomialMechanism) -> float:
            return -abs(mechanism.coefficients[0] - 0.9)

    hill = Hill(np.zeros((1, 2)), np.ones(1))
    found, value = hill._upwards(old, new, -0.9)
    # The whole step and half of it lead down.
    assert found.coefficients[0] == 1.0
    assert value == pytest.approx(-0.1)
    assert hill._upwards(old, new, 0.0) == (old, 0.0)


def test_the_start_has_the_mean_and_the_variance_of_the_rows() -> None:
    values = np.array([[0.0, 2.0], [0.0, 10.0], [0.0, 0.0]])
    weights = np.array([2.0, 1.0, 1.0])
    start = NegativeBinomialMechanism(1, (), (), (0.0,))
    found = _by_moments(start, values, weights)
    mean = 14.5 / 4.5
    squares = 2 * (2 - mean) ** 2 + (10 - mean) ** 2 + mean**2
    assert found.coefficients == pytest.approx((np.log(mean),))
    assert found.dispersion == pytest.approx((squares - 4 * mean) / (4 * mean**2))
    few = _by_moments(start, np.full((3, 2), 4.0), weights)
    assert 0.0 < few.dispersion < 0.1


def test_the_criterion_pays_for_free_parameters() -> None:
    values = np.array([[0.0, 2.0], [0.0, 10.0]])
    fitter = _Fitter(values, np.array([3.0, 4.0]))
    mechanism = NegativeBinomialMechanism(1, (), (), (1.0,), 0.5)
    logs = nbinom.logpmf(values[:, 1], 2.0, 2.0 / (2.0 + np.e))
    expected = logs @ [3.0, 4.0] - 0.5 * np.log(7.0) * 2
    assert fitter._criterion(mechanism) == pytest.approx(expected)
    # What fits better is taken, what does not is left.
    far = replace(mechanism, coefficients=(8.0,))
    assert fitter.better(far, mechanism) != far
    best = fitter.fit(mechanism)
    assert fitter.better(best, best) is best
