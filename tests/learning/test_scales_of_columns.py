"""Working scales of columns: their moments, forms, and the likelihood that they are chosen by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from dosift.learning import mechanisms, scales
from dosift.learning.scales import (
    best_scale,
    bounds,
    choose_scale,
    clear_gain,
    forms_of,
    is_constant,
    standardised,
)
from dosift.model.features import Plain
from dosift.model.network import Variable
from dosift.model.scale import Scale


def test_what_differs_by_rounding_is_constant() -> None:
    assert is_constant(np.empty(0))
    assert is_constant(np.array([3.0, 3.0]))
    assert is_constant(np.array([1e6, 1e6 + 1e-7]))
    assert not is_constant(np.array([1e6, 1e6 + 1e-5]))
    assert not is_constant(np.array([-1.0, 1.0]))
    assert not is_constant(np.array([0.0, 1e-300]))
    assert is_constant(np.array([-1e6, -1e6 - 1e-7]))


def test_a_scale_has_the_moments_of_rows_with_weight() -> None:
    column, weights = np.array([1.0, 5.0, 99.0, 3.0]), np.array([1.0, 2.0, 0.0, 1.0])
    found = standardised(column, weights, Scale("raw", added=0.5))
    mean = (1.0 + 10.0 + 3.0) / 4.0
    sd = np.sqrt(((1 - mean) ** 2 + 2 * (5 - mean) ** 2 + (3 - mean) ** 2) / 4.0)
    assert (found.centre, found.spread, found.added) == (mean, pytest.approx(sd), 0.5)
    log = standardised(np.exp(column[:2]), np.ones(2), Scale("log"))
    assert (log.form, log.centre, log.spread) == ("log", pytest.approx(3.0), pytest.approx(2.0))
    assert standardised(np.full(3, 7.0), np.ones(3), Scale("raw")) == Scale("raw", 7.0, 1.0)
    assert standardised(column, np.zeros(4), Scale("raw")) == Scale("raw", 0.0, 1.0)
    tiny = standardised(np.array([0.0, 2e-200]), np.ones(2), Scale("raw"))
    assert tiny.spread == pytest.approx(1e-200)


def test_the_range_says_which_forms_there_may_be() -> None:
    assert forms_of(0.0, 0.5) == ("raw",)
    assert forms_of(1e-300, 5.0) == ("raw", "log")
    assert forms_of(0.2, 0.8) == ("raw", "log", "logit")
    assert forms_of(0.2, 1.0) == ("raw", "log")


def test_the_likelihood_is_that_of_a_regression_in_the_columns_own_units() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    column = np.exp(0.5 * x + 0.4 * rng.normal(size=300) + 1.0)
    weights = rng.uniform(0.5, 1.5, 300)
    working = x[:, None]
    scale, found = best_scale(column, weights, working, (Plain(0),))
    assert scale.form == "log"
    design = np.stack([np.ones(300), x], axis=1)
    log = np.log(column)
    line = np.linalg.solve(design.T @ (design * weights[:, None]), design.T @ (weights * log))
    residual = log - design @ line
    sd = np.sqrt(weights @ residual**2 / weights.sum())
    expected = weights @ (norm.logpdf(residual, scale=sd) - log)
    assert found == pytest.approx(expected)
    assert choose_scale(column, weights, working, (Plain(0),)) == scale
    # A value that is not positive in other rows leaves the column as it is.
    raw, other = best_scale(column, weights, working, (Plain(0),), lowest=-1.0)
    assert raw.form == "raw"
    assert other < found
    # Rows without weight are not looked at.
    more = np.append(column, -5.0), np.append(weights, 0.0), np.append(working, [[0.0]], axis=0)
    again = best_scale(*more, (Plain(0),))
    assert again[0] == scale
    assert again[1] == pytest.approx(found)


def test_another_scale_must_be_clearly_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clear_gain(np.ones(100)) == 6.0
    assert clear_gain(np.full(100, 20.0)) == pytest.approx(10.0)
    column, weights = np.array([0.2, 0.4, 0.7]), np.ones(3)
    scores = {"raw": 0.0, "log": 5.9, "logit": 3.0}
    monkeypatch.setattr(scales, "_score", lambda c, w, x, scale: scores[scale.form])

    def chosen() -> tuple[str, float]:
        scale, score = best_scale(column, weights, np.empty((3, 0)), ())
        return scale.form, score

    assert chosen() == ("raw", 0.0)
    scores["log"] = 6.1
    assert chosen() == ("log", 6.1)
    # Log odds begin with two nats.
    scores["logit"] = 4.2
    assert chosen() == ("logit", 6.2)
    scores["logit"] = 4.05
    assert chosen() == ("log", 6.1)


def test_noise_that_grows_with_the_mean_is_no_reason_for_a_scale() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(0.0, 1.0, 1_500)
    column = 10.0 + 2.0 * x + 0.3 * np.exp(1.2 * x) * rng.normal(size=1_500)
    scale, _ = best_scale(column, np.ones(1_500), x[:, None], (Plain(0),))
    assert scale.form == "raw"


def test_bounds_that_are_not_given_are_filled() -> None:
    assert bounds(None, 2, -np.inf).tolist() == [-np.inf, -np.inf]
    assert bounds([1.0, np.nan], 2, 7.0).tolist() == [1.0, 7.0]
    assert best_scale(np.full(4, 2.0), np.ones(4), np.empty((4, 0)), ())[1] == 0.0


@pytest.mark.parametrize(
    ("at", "value", "form"), [(1, -0.5, "raw"), (0, 5.0, "log"), (1, 5.0, "log")]
)
def test_the_range_is_that_of_all_rows_also_where_some_choose_the_scale(
    monkeypatch: pytest.MonkeyPatch, at: int, value: float, form: str
) -> None:
    column = np.exp(norm.ppf((np.arange(301) + 0.5) / 301))[
        np.random.default_rng(0).permutation(301)
    ]
    column[at] = value
    monkeypatch.setattr(mechanisms, "_SCALE_ROWS", 101)  # every third
    names = [Variable("x", kind="continuous")]
    found = mechanisms.learn_mechanisms(names, column[:, None], [()])
    scale = found.scales[0]
    assert scale.form == form
    # Its moments are those of all rows.
    bent = np.log(column) if form == "log" else column
    assert (scale.centre, scale.spread) == pytest.approx((bent.mean(), bent.std()))
