"""Mechanisms of numbers and counts that are others in the pool than in control rows."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dosift.data.configurations import Configurations
from dosift.learning.mechanisms import learn_mechanisms
from dosift.likelihood.evidence import Evidence
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Change
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Variable
from dosift.model.suggested import RegressionChanges
from dosift.search import moved_numbers
from dosift.search.constraints import Constraints
from dosift.search.joint import JointFit, JointFitter
from dosift.search.moved_numbers import moved_mechanism, with_freed
from number_problems import Floats

N_ROWS = 1500


def system(rng: np.random.Generator, slope: float, sd: float, set_share: float) -> Floats:
    """Draw rows of x -> y, in some of which x is set; and of z, which nothing depends on."""
    x = rng.normal(size=N_ROWS)
    x = np.where(rng.random(N_ROWS) < set_share, rng.normal(3.0, 0.3, N_ROWS), x)
    y = slope * x + sd * rng.normal(size=N_ROWS)
    return np.asfortranarray(np.stack([x, y, rng.normal(size=N_ROWS)], axis=1))


CHANGES_OF_Y: tuple[Change, ...] = (Shift(-1.0), Shift(1.0), SetNormal(0.0, 1.0))


def fitted(
    control: Floats, pool: Floats, changes: tuple[Change, ...] = CHANGES_OF_Y
) -> tuple[JointFit, Evidence]:
    """Fit targets on x, and on y where several changes of it stand in for its mechanism."""
    variables = [Variable(name, kind="continuous") for name in "xyz"]
    learned = learn_mechanisms(variables, control, [[], [0], []])
    values = learned.working(pool)
    libraries = (
        RegressionChanges((SetNormal(3.0, 0.3),)),
        RegressionChanges(changes),
        RegressionChanges(()),
    )
    network = as_network(replace(learned, libraries=libraries))
    nothing = np.empty(0, dtype=np.int64)
    evidence = Evidence.of_configurations(
        network, Configurations(values, np.ones(len(values)), nothing)
    )
    targets = np.array([[a, b, -1] for a in (-1, 0) for b in (-1, 0, 1, 2)], dtype=np.int16)
    fitter = JointFitter(network, evidence)
    fit = fitter.simplify(fitter.fit(network, targets, np.full((1, 8), 0.125)))
    return fit, evidence


def known_to(fit: JointFit) -> Constraints:
    """Return that nothing is known of targets."""
    return Constraints.none(fit.network.n_changes)


def test_a_mechanism_that_moved_is_found_and_what_stood_in_for_it_goes() -> None:
    rng = np.random.default_rng(0)
    fit, evidence = fitted(system(rng, 1.0, 0.5, 0.0), system(rng, 0.4, 0.7, 0.3))
    assert (fit.targets[:, 1] >= 0).any()  # the search takes it for changes of y
    found = moved_mechanism(fit, evidence, known_to(fit))
    assert found is not None
    assert found.variable == 1
    assert found.gain > 20.0
    sets = {tuple(np.flatnonzero(target >= 0).tolist()) for target in found.fit.targets}
    assert sets == {(), (0,)}
    on_x = found.fit.weights[0][found.fit.targets[:, 0] >= 0].sum()
    assert on_x == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_where_nothing_moved_none_is_found(seed: int) -> None:
    rng = np.random.default_rng([1, seed])
    fit, evidence = fitted(system(rng, 1.0, 0.5, 0.0), system(rng, 1.0, 0.5, 0.3))
    assert moved_mechanism(fit, evidence, known_to(fit)) is None


def test_a_freed_mechanism_is_taught_by_the_pool_alone() -> None:
    rng = np.random.default_rng(2)
    fit, evidence = fitted(system(rng, 1.0, 0.5, 0.0), system(rng, 0.4, 0.7, 0.0))
    network = fit.network
    assert isinstance(network, MechanismNetwork)
    free = with_freed(network, 1, network.mechanisms[1])
    assert isinstance(free, MechanismNetwork)
    assert free.control is not None
    assert free.control.log_likelihood(free.mechanisms[1]) == 0.0
    assert not free.control.statistics(free.mechanisms[1]).any()
    assert free.control.statistics(free.mechanisms[0]).any()
    nothing = np.full((1, 3), -1, dtype=np.int16)
    taught = free.taught(evidence.configurations.codes, nothing, np.ones((N_ROWS, 1)), (1,))
    # In working units of x and y, whose spreads are those of control rows.
    ratio = taught.mechanisms[1].coefficients[1] / network.mechanisms[1].coefficients[1]  # type: ignore[attr-defined]
    assert ratio < 0.75


def nearly_all_shifted(seed: int, set_share: float) -> tuple[JointFit, Evidence]:
    """Fit rows in all of which y is a little less, and in some of which x is set besides."""
    rng = np.random.default_rng([3, seed])
    pool = system(rng, 1.0, 0.5, set_share)
    pool[:, 1] -= 0.25
    return fitted(system(rng, 1.0, 0.5, 0.0), pool, (Shift(-0.5), Shift(4.0), Shift(-4.0)))


@pytest.mark.parametrize("seed", range(4))
def test_a_change_that_comes_with_nearly_all_else_is_a_mechanism_that_moved(seed: int) -> None:
    fit, evidence = nearly_all_shifted(seed, 0.3)
    shifted = fit.targets[:, 1] >= 0
    assert shifted.sum() > 1
    assert fit.weights[0][shifted].sum() > 0.9
    found = moved_mechanism(fit, evidence, known_to(fit))
    assert found is not None
    assert found.variable == 1
    assert found.least < 0
    # Rows say neither clearly: a mechanism has parameters to learn, a change one.
    assert abs(found.gain) < 10.0
    assert (found.fit.targets[:, 1] < 0).all()
    on_x = found.fit.weights[0][found.fit.targets[:, 0] >= 0].sum()
    assert on_x == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_what_one_target_does_in_all_rows_is_an_intervention(seed: int) -> None:
    fit, evidence = nearly_all_shifted(seed, 0.0)
    assert (fit.targets >= 0).tolist() == [[False, True, False]]
    assert moved_mechanism(fit, evidence, known_to(fit)) is None


def test_what_stood_in_for_it_in_most_rows_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One start gains less than another, but needs still less."""
    fit, evidence = nearly_all_shifted(0, 0.3)
    starts = [SimpleNamespace(gain=gain, least=least) for gain, least in ((3.0, 0.0), (1.0, -7.0))]
    monkeypatch.setattr(moved_numbers, "_starts", lambda base, evidence: iter(starts))
    monkeypatch.setattr(moved_numbers, "_permitted", lambda start, known, most: start)
    monkeypatch.setattr(moved_numbers, "_freed", lambda start, *more: start)
    assert moved_mechanism(fit, evidence, known_to(fit)) is starts[1]
    starts[1] = SimpleNamespace(gain=-8.0, least=-7.0)
    assert moved_mechanism(fit, evidence, known_to(fit)) is starts[0]
