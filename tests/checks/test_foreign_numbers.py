"""Rows of numbers and counts that come from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dosift.checks.foreign_numbers import tell_apart
from dosift.data.configurations import Configurations
from dosift.learning.mechanisms import learn_mechanisms
from dosift.likelihood.evidence import Evidence
from dosift.model.linear_changes import SetNormal
from dosift.model.mechanism import Floats
from dosift.model.mechanism_network import as_network
from dosift.model.network import Variable
from dosift.model.suggested import RegressionChanges
from dosift.search.constraints import Constraints
from dosift.search.joint import JointFit, JointFitter

N_ROWS, N = 2000, 5


def system(rng: np.random.Generator) -> Floats:
    """Draw rows of a chain of five numbers."""
    rows = rng.normal(size=(N_ROWS, N))
    for i in range(1, N):
        rows[:, i] += 0.9 * rows[:, i - 1]
    return np.asfortranarray(rows)


def pool(rng: np.random.Generator, share: float) -> Floats:
    """Set the first in a quarter of the rows, and let a share come from elsewhere."""
    rows = rng.normal(size=(N_ROWS, N))
    rows[:, 0] = np.where(rng.random(N_ROWS) < 0.25, rng.normal(3.0, 0.3, N_ROWS), rows[:, 0])
    for i in range(1, N):
        rows[:, i] += 0.9 * rows[:, i - 1]
    other = rng.random(N_ROWS) < share
    rows[other] = rng.uniform(-6.0, 6.0, size=(int(other.sum()), N))
    return np.asfortranarray(rows)


def fitted(control: Floats, rows: Floats, two: bool = False) -> tuple[JointFit, Evidence]:
    """Fit the true target, and one or two on everything that stand for rows from elsewhere."""
    variables = [Variable(f"x{i}", kind="continuous") for i in range(N)]
    learned = learn_mechanisms(variables, control, [[i - 1] if i else [] for i in range(N)])
    wide = SetNormal(0.0, 2.0)
    first, others = (SetNormal(3.0, 0.3), wide), (wide,)
    if two:
        scale = float(learned.scales[0].spread)
        ends = [tuple(SetNormal(s * 5.0 / scale, 1.0) for s in (1, -1)) for _ in range(N)]
        first, others = (first[0], *ends[0]), ends[1]
    libraries = (
        RegressionChanges(first),
        *(RegressionChanges(others if i % 2 else others[::-1]) for i in range(N - 1)),
    )
    network = as_network(replace(learned, libraries=libraries))
    nothing = np.empty(0, dtype=np.int64)
    values = learned.working(rows)
    evidence = Evidence.of_configurations(network, Configurations(values, np.ones(N_ROWS), nothing))
    targets = np.full((4, N), -1, dtype=np.int16)
    targets[1, 0], targets[2], targets[3, 3:] = 0, 0, 0
    targets[2, 0] = 1
    if two:
        targets[3], targets[3, 0] = 1, 2
    fitter = JointFitter(network, evidence)
    fit = fitter.simplify(fitter.fit(network, targets, np.full((1, 4), 0.25)))
    return fit, evidence


def told(share: float, seed: int) -> object:
    rng = np.random.default_rng([19, seed])
    fit, evidence = fitted(system(rng), pool(rng, share))
    known = Constraints.none(fit.network.n_changes)
    return tell_apart(fit, evidence, ["number"] * N, known)


def test_rows_from_elsewhere_are_told_apart_and_the_rest_is_right() -> None:
    rng = np.random.default_rng(3)
    fit, evidence = fitted(system(rng), pool(rng, 0.1))
    known = Constraints.none(fit.network.n_changes)
    found = tell_apart(fit, evidence, ["number"] * N, known)
    assert found is not None
    assert found.share == pytest.approx(0.1, abs=0.02)
    sets = {tuple(np.flatnonzero(target >= 0).tolist()) for target in found.fit.targets}
    assert sets == {(), (0,)}
    on_first = found.fit.weights[0][found.fit.targets[:, 0] >= 0].sum()
    assert on_first == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_where_no_row_is_from_elsewhere_none_is_told_apart(seed: int) -> None:
    assert told(0.0, seed) is None


def test_targets_on_everything_are_parts_of_rows_from_elsewhere() -> None:
    """Rows of two clusters: the targets that hold them leave the network no part in them."""
    rng = np.random.default_rng(5)
    control, rows = system(rng), pool(rng, 0.0)
    at = np.where(rng.random((N_ROWS, 1)) < 0.5, 5.0, -5.0) * np.array([1.0, -1.0, 1.0, -1.0, 1.0])
    other = rng.random(N_ROWS) < 0.1
    rows[other] = (at + rng.normal(size=(N_ROWS, N)))[other]
    fit, evidence = fitted(control, rows, two=True)
    assert ((fit.targets >= 0).all(axis=1)).sum() == 2
    known = Constraints.none(fit.network.n_changes)
    found = tell_apart(fit, evidence, ["number"] * N, known)
    assert found is not None
    assert found.share == pytest.approx(0.1, abs=0.02)
    assert len(found.other.parts) == 2
    assert not (found.fit.targets >= 0).all(axis=1).any()


@pytest.mark.slow
def test_over_many_problems_rows_from_elsewhere_are_told_apart_and_no_others() -> None:
    seeds = range(100, 140)
    assert sum(told(0.0, seed) is not None for seed in seeds) <= 1
    assert sum(told(0.1, seed) is not None for seed in seeds) >= 0.95 * len(seeds)
