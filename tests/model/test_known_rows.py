"""Control rows and labelled rows: likelihoods, statistics and shares, by sums written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from dosift.model import known_rows
from dosift.model.features import Plain
from dosift.model.known_rows import (
    ALONE,
    ANY,
    BeyondSample,
    ControlRows,
    LabelledRows,
    _shared,
    matches,
    refitted,
)
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.noise import Noise
from dosift.model.other import OTHER

Floats = NDArray[np.float64]

ROOT = LinearMechanism(0, (), (), np.array([0.5]), Noise.normal(2.0))
LINE = LinearMechanism(1, (0,), (Plain(0),), np.array([1.0, 2.0]), Noise.normal(0.5))
HEAVY = replace(LINE, noise=Noise(np.array([0.7, 0.3]), np.zeros(2), np.array([0.4, 1.5])))


def rows(n: int = 40) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(0)
    x = 0.5 + 2.0 * rng.normal(size=n)
    return np.stack([x, 1.0 + 2.0 * x + 0.5 * rng.normal(size=n)], axis=1), rng.uniform(0.5, 2.0, n)


def test_patterns_match_changes_but_not_rows_from_elsewhere() -> None:
    patterns = np.array([[ANY, ALONE], [ALONE, ALONE], [1, ANY]])
    targets = np.array([[0, -1], [-1, -1], [1, 3], [OTHER, -1], [OTHER, OTHER]])
    assert matches(patterns, targets).tolist() == [
        [True, False, False, False, False],
        [False, True, False, False, False],
        [False, False, True, False, False],
    ]


@pytest.mark.parametrize("mechanism", [LINE, HEAVY])
def test_control_rows_have_the_likelihood_of_their_densities(mechanism: LinearMechanism) -> None:
    values, weights = rows()
    control = ControlRows(values, weights)
    assert control.n_rows == pytest.approx(weights.sum())
    logs = mechanism.log_density(values)
    assert control.log_likelihood(mechanism) == pytest.approx(float(weights @ logs))
    np.testing.assert_allclose(control.statistics(mechanism), mechanism.statistics(values, weights))
    scores = mechanism.scores(values)
    expected = (scores * weights[:, None]).T @ scores
    np.testing.assert_allclose(control.information(mechanism), expected)
    silent = replace(control, silent=frozenset({1}))
    assert silent.log_likelihood(mechanism) == 0.0
    assert silent.statistics(mechanism)[:, -1, 0].tolist() == [0.0] * mechanism.noise.n_parts
    assert silent.log_likelihood(ROOT) == control.log_likelihood(ROOT)


def test_information_is_summed_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values, weights = rows()
    whole = ControlRows(values, weights).information(LINE)
    monkeypatch.setattr(known_rows, "_AT_ONCE", 7)
    np.testing.assert_allclose(ControlRows(values, weights).information(LINE), whole)


def test_a_sample_says_what_all_rows_say() -> None:
    values, weights = rows()
    some = ControlRows(values[::4], weights[::4])
    own = np.array([float(weights @ one.log_density(values)) for one in (ROOT, HEAVY)])
    of_some = [float(weights[::4] @ one.log_density(values[::4])) for one in (ROOT, HEAVY)]
    missing = tuple(
        one.statistics(values, weights) - 4.0 * one.statistics(values[::4], weights[::4])
        for one in (ROOT, HEAVY)
    )
    beyond = BeyondSample(4.0, (ROOT, HEAVY), missing, own - 4.0 * np.array(of_some))
    sample = replace(some, beyond=beyond)
    assert sample.n_rows == pytest.approx(4.0 * weights[::4].sum())
    # At the parameters that all rows learned it is exact.
    assert sample.log_likelihood(HEAVY) == pytest.approx(own[1])
    np.testing.assert_allclose(sample.statistics(HEAVY), HEAVY.statistics(values, weights))
    np.testing.assert_allclose(sample.information(HEAVY), 4.0 * some.information(HEAVY))
    # Of a mechanism with other parents the sample alone speaks.
    bare = LinearMechanism(1, (), (), np.array([1.0]), HEAVY.noise)
    assert not beyond.fits(bare)
    assert beyond.fits(replace(HEAVY, coefficients=np.array([7.0, 7.0])))
    assert sample.log_likelihood(bare) == pytest.approx(4.0 * some.log_likelihood(bare))
    np.testing.assert_allclose(sample.statistics(bare), 4.0 * some.statistics(bare))


def test_a_mechanism_that_no_target_touches_is_taught_by_all_rows() -> None:
    values, weights = rows()
    more, _ = rows(60)
    control = ControlRows(values, weights)
    posterior = np.random.default_rng(1).dirichlet([2.0, 3.0], 60)
    found = control.taught_by_all(LINE, more, posterior, LINE.statistics(more[:5], np.ones(5)))
    every = np.concatenate([values, more, more[:5]])
    total = np.concatenate([weights, np.ones(65)])
    expected = refitted(LINE, LINE.statistics(every, total))
    assert isinstance(found, LinearMechanism)
    assert isinstance(expected, LinearMechanism)
    np.testing.assert_allclose(found.coefficients, expected.coefficients)
    assert found.noise.sd == pytest.approx(expected.noise.sd)
    assert found.covariance is None


LIBRARY = Changes((SetNormal(6.0, 0.5), Shift(3.0)))


def labelled(entries: list[int]) -> tuple[LabelledRows, Floats, Floats]:
    values, weights = rows()
    values = values.copy()
    values[:15, 1] = 6.0 + 0.5 * np.random.default_rng(3).normal(size=15)
    values[15:, 1] += 3.0
    return LabelledRows(ControlRows(values, weights), np.array(entries)), values, weights


def densities(values: Floats) -> Floats:
    mean = 1.0 + 2.0 * values[:, 0]
    own = [norm.pdf(values[:, 1], 6.0, 0.5), norm.pdf(values[:, 1], mean + 3.0, 0.5)]
    return np.stack(own, axis=1)


def test_rows_of_a_label_are_a_mixture_of_changes() -> None:
    known, values, weights = labelled([ALONE, ANY])
    assert (known.leaves(0), known.leaves(1)) == (True, False)
    assert (known.changes(0, LIBRARY), known.changes(1, LIBRARY)) == (False, True)
    assert not known.changes(1, Changes(()))
    of_rows = densities(values)
    totals = known.totals(LINE, LIBRARY)
    np.testing.assert_allclose(totals, weights @ np.log(of_rows))
    assert known.likeliest(LINE, LIBRARY) == int(totals.argmax())
    found, value = known.under(LINE, LIBRARY)

    def loss(share: float) -> float:
        return -float(weights @ np.log(of_rows @ [share, 1.0 - share]))

    best = minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded", options={"xatol": 1e-9})
    assert value == pytest.approx(-best.fun, abs=1e-3)
    joint = of_rows * [best.x, 1.0 - best.x]
    expected = joint / joint.sum(axis=1, keepdims=True) * weights[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(found.sum(axis=1), weights)


def test_labelled_rows_count_for_what_was_left_alone_and_for_changes() -> None:
    known, values, weights = labelled([ALONE, ANY])
    under, value = known.under(LINE, LIBRARY)
    of_root = float(weights @ ROOT.log_density(values))
    libraries = (LIBRARY, LIBRARY)
    whole = known.log_likelihood((ROOT, LINE), libraries, taught=True)
    assert whole == pytest.approx(of_root + value)
    assert known.log_likelihood((ROOT, LINE), libraries, taught=False) == pytest.approx(value)
    np.testing.assert_allclose(known.statistics(ROOT, LIBRARY), ROOT.statistics(values, weights))
    # A shift keeps the mechanism, and a value that was set says nothing of it.
    shifted = Shift(3.0).applied(LINE).statistics(values, under[:, 1])
    np.testing.assert_allclose(known.statistics(LINE, LIBRARY), shifted)
    assert known.statistics(LINE, Changes((SetNormal(6.0, 0.5),))) == 0.0
    set_to, _, _ = labelled([ALONE, 0])
    assert set_to.statistics(LINE, LIBRARY) == 0.0


def test_rows_that_no_change_explains_are_as_likely_under_each() -> None:
    logs = np.array([[-np.inf, -np.inf], [0.0, -np.inf]])
    posterior, value = _shared(logs, np.array([2.0, 3.0]))
    assert np.isfinite(value)
    assert posterior[1].tolist() == [3.0, 0.0]
    assert posterior[0].sum() == pytest.approx(2.0)
