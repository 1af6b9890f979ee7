"""Sums over rows with shared noise, against densities and likelihoods that are written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, norm

from dosift.model.known_rows import ControlRows
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.noise import Noise
from dosift.search.constraints import Constraints
from dosift.search.score import Score
from dosift.search.shared_noise import (
    _best,
    earning,
    log_copula,
    never_both,
    pairs_that_share,
    shared_noise,
    with_parts,
)

Floats = NDArray[np.float64]

SHARED = 0.7


def network_of(
    control: Floats | None = None, weights: Floats | None = None, edge: bool = False
) -> MechanismNetwork:
    """Three variables of mean 1 and deviation 2; maybe the last is a child of the first."""
    last = LinearMechanism(2, (), (), np.array([1.0]), Noise.normal(2.0))
    if edge:
        last = replace(
            LinearMechanism.untaught(2, (0,), ()), coefficients=np.array([1.0]), noise=last.noise
        )
    own = [LinearMechanism(i, (), (), np.array([1.0]), Noise.normal(2.0)) for i in range(2)]
    rows = None
    if control is not None:
        rows = ControlRows(control, np.ones(len(control)) if weights is None else weights)
    library = Changes((SetNormal(0.0, 1.0), Shift(2.0)))
    return MechanismNetwork((*own, last), (library, library, Changes((Shift(1.0),))), control=rows)


def rows_that_share(n: int) -> Floats:
    """Residuals of the first and the last whose correlation is exactly ``SHARED``."""
    rng = np.random.default_rng(4)
    raw = rng.normal(size=(n, 3))
    raw = np.clip(raw - raw.mean(axis=0), -2.5, 2.5)
    raw -= raw.mean(axis=0)
    orthogonal, _ = np.linalg.qr(raw)
    x, y, z = orthogonal.T * np.sqrt(n) / 2
    return 1.0 + 2.0 * np.stack([x, z, SHARED * x + np.sqrt(1 - SHARED**2) * y], axis=1)


def test_the_copula_is_the_density_together_over_those_apart() -> None:
    values = np.array([[1.0, 9.0, 1.0], [4.0, 9.0, 2.0], [-2.0, 9.0, 5.0], [0.5, 9.0, -1.5]])
    z = (values[:, [0, 2]] - 1.0) / 2.0
    together = multivariate_normal(cov=[[1.0, SHARED], [SHARED, 1.0]]).logpdf(z)
    expected = together - norm.logpdf(z).sum(axis=1)
    found = log_copula(network_of(), 0, 2, SHARED, values)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(log_copula(network_of(), 2, 0, SHARED, values), expected)


def test_residuals_far_out_are_brought_in_and_missing_ones_say_nothing() -> None:
    # Four standard deviations are 8 from the mean of 1.
    values = np.array([[9.0, 0.0, -7.0], [50.0, 0.0, -90.0], [np.nan, 0.0, 3.0]])
    found = log_copula(network_of(), 0, 2, SHARED, values)
    assert found[1] == found[0] < -10.0
    assert found[2] == 0.0


def test_the_correlation_of_control_rows_is_that_of_their_residuals() -> None:
    values = rows_that_share(200)
    assert shared_noise(network_of(values), 0, 2) == pytest.approx(SHARED)
    assert shared_noise(network_of(values), 2, 0) == pytest.approx(SHARED)
    values[:, 2] = 2.0 - values[:, 2]
    assert shared_noise(network_of(values), 0, 2) == pytest.approx(-SHARED)
    assert shared_noise(network_of(values), 0, 1) == 0.0
    # Never is all of the noise believed to be shared.
    values[:, 2] = values[:, 0]
    assert shared_noise(network_of(values), 0, 2) == 0.95
    assert shared_noise(network_of(2.0 - values[:, [2, 1, 0]]), 0, 2) == 0.95


def test_weights_and_gaps_of_control_rows_count() -> None:
    values = rows_that_share(200)
    weights = np.ones(250)
    weights[200:] = 0.0
    more = np.concatenate([values, np.full((50, 3), 3.0)])
    assert shared_noise(network_of(more, weights), 0, 2) == pytest.approx(SHARED)
    more[200:, 0] = np.nan
    assert shared_noise(network_of(more), 0, 2) == pytest.approx(SHARED)
    # Half of the rows with weight two: as if they were there twice.
    half, double = values[:100], np.concatenate([values[:100], values[:100]])
    once = shared_noise(network_of(half, np.full(100, 2.0)), 0, 2)
    assert once == pytest.approx(shared_noise(network_of(double), 0, 2))
    # A sum of weights of 40 makes .7 less than five standard errors of 1 / sqrt(40).
    assert shared_noise(network_of(values, np.full(200, 0.2)), 0, 2) == 0.0
    assert shared_noise(network_of(values, np.full(200, 0.3)), 0, 2) > 0.6


def test_without_enough_rows_or_with_an_edge_nothing_is_shared() -> None:
    few = rows_that_share(30)
    few[:, 2] = few[:, 0]
    assert shared_noise(network_of(few), 0, 2) == 0.95
    assert shared_noise(network_of(few[:29]), 0, 2) == 0.0
    assert shared_noise(network_of(), 0, 2) == 0.0
    linked = network_of(rows_that_share(200), edge=True)
    assert shared_noise(linked, 0, 2) == shared_noise(linked, 2, 0) == 0.0


def test_pairs_that_some_target_changes_together_are_looked_at() -> None:
    network = network_of(rows_that_share(200))
    apart = np.array([[0, 0, -1], [-1, 0, 0], [0, -1, -1]])
    assert pairs_that_share(network, apart) == {}
    found = pairs_that_share(network, np.array([[1, 0, 0], [-1, -1, -1]]))
    assert found == {(0, 2): pytest.approx(SHARED)}


def test_parts_of_targets_begin_with_half_of_their_weights() -> None:
    targets = np.array([[-1, -1, -1], [0, 1, 0], [-1, 1, 0]], dtype=np.int16)
    more, weights = with_parts(targets, np.array([0.5, 0.3, 0.2]), [(0, 2)])
    # Without the first it is a target that is there already.
    assert more.tolist() == [*targets.tolist(), [0, 1, -1], [-1, 1, -1]]
    assert more.dtype == targets.dtype
    np.testing.assert_allclose(weights, np.array([0.5, 0.3, 0.2, 0.15, 0.15]) / 1.3)
    same, unchanged = with_parts(targets, np.array([0.5, 0.3, 0.2]), [(0, 1)][:0])
    assert same.tolist() == targets.tolist()
    np.testing.assert_allclose(unchanged, [0.5, 0.3, 0.2])


def test_no_target_changes_both_in_any_way() -> None:
    network = network_of()
    known = never_both(Constraints.none(np.array([2, 2, 1])), network, [(0, 2)])
    tried = np.array([[0, -1, 0], [1, 1, 0], [0, 1, -1], [-1, 1, 0], [-1, -1, -1]])
    assert known.permits(tried).tolist() == [False, False, True, True, True]
    free = Constraints.none(np.array([2, 2, 1]))
    assert never_both(free, network, []) is free


def test_the_best_weights_are_those_of_the_greatest_likelihood() -> None:
    # Rows that only one of two targets makes: shares of the counts, 30 : 10.
    columns, counts = np.array([[0.5, 0.0], [0.0, 0.25]]), np.array([30.0, 10.0])
    expected = 30 * np.log(0.75 * 0.5) + 10 * np.log(0.25 * 0.25)
    assert _best(columns, counts, np.array([2.0, 2.0])) == pytest.approx(expected, abs=1e-9)
    # By trying all weights, where both make the rows.
    columns = np.array([[0.5, 0.2], [0.1, 0.6], [0.3, 0.3]])
    counts = np.array([50.0, 20.0, 5.0])
    tried = [counts @ np.log(columns @ [w, 1 - w]) for w in np.linspace(0.001, 0.999, 999)]
    found = _best(columns, counts, np.array([0.5, 0.5]))
    assert max(tried) - 0.05 < found < max(tried) + 1e-6
    # A row that nothing makes, or all rows.
    assert _best(np.array([[0.0], [0.0]]), np.ones(2), np.ones(1)) == -np.inf
    assert _best(np.array([[0.5], [0.0]]), np.ones(2), np.ones(1)) == -np.inf


@pytest.mark.parametrize(("n_both", "stays"), [(0, False), (40, True)])
def test_a_change_of_both_earns_its_cost_only_by_rows_of_its_own(n_both: int, stays: bool) -> None:
    """Rows that noise makes high in both, and maybe some in which both are far from that."""
    rng = np.random.default_rng(7)
    spread = np.linalg.cholesky([[1.0, SHARED], [SHARED, 1.0]])
    x, z = spread @ rng.normal(size=(2, 400))
    values = 1.0 + 2.0 * np.stack([x, rng.normal(size=400), z], axis=1)
    hit = np.arange(400) < n_both
    # Shifted against the noise that the two share.
    values[hit, 0] += 8.0
    values[hit, 2] -= 8.0
    network = network_of()
    network = replace(network, libraries=(Changes((Shift(8.0),)),) * 2 + (Changes((Shift(-8.0),)),))
    targets = np.array([[-1, -1, -1], [0, -1, 0]], dtype=np.int16)
    every, weights = with_parts(targets, np.array([0.9, 0.1]), [(0, 2)])
    columns = np.ones((400, len(every)))
    for t, target in enumerate(every):
        for i in range(3):
            mechanism = network.mechanisms[i]
            if target[i] >= 0:
                mechanism = network.libraries[i][int(target[i])].applied(mechanism)
            columns[:, t] *= np.exp(mechanism.log_density(values))
    score = Score(400.0, np.ones(3, dtype=np.int64), 3)
    kept = earning(
        network, {(0, 2): SHARED}, values, np.ones(400), columns, every, weights, score, 2
    )
    assert kept.tolist() == ([0, 1] if stays else [0])
