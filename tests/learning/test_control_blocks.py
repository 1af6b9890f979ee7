"""Control rows that are too many to hold: all of them teach, a sample is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from dosift.data import sample as sampling
from dosift.data.blocks import MemoryBlocks
from dosift.data.numbers import read_numbers
from dosift.data.stored_numbers import store_numbers
from dosift.learning.control_blocks import learn_from_blocks, sampled_rows
from dosift.learning.mechanisms import learn_mechanisms
from dosift.learning.mixed import ControlTable, learn_from_control
from dosift.model.known_rows import ControlRows
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable

VARIABLES = (
    Variable("load", kind="continuous"),
    Variable("mode", ("off", "on")),
    Variable("latency", kind="continuous"),
    Variable("errors", kind="count"),
)
PARENTS: list[list[int]] = [[], [0], [0, 1], [2]]


def table(n: int = 12_000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    load = rng.normal(size=n)
    is_on = rng.random(n) < 1 / (1 + np.exp(-load))
    latency = 0.8 * load - 0.5 * is_on + 0.4 * rng.normal(size=n)
    errors = rng.poisson(np.exp(1.0 + 0.5 * latency) * rng.gamma(4.0, 0.25, size=n))
    mode = np.array(["off", "on"])[is_on.astype(int)]
    return pl.DataFrame({"load": load, "mode": mode, "latency": latency, "errors": errors})


@pytest.fixture(autouse=True)
def _few_may_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MOST_CONFIGURATIONS", 3000)


def both(n: int = 12_000) -> tuple[MechanismNetwork, MechanismNetwork]:
    rows = read_numbers(table(n), VARIABLES)
    whole = learn_mechanisms(VARIABLES, rows.values, PARENTS)
    found = learn_from_blocks(
        store_numbers(table(n).lazy(), VARIABLES, is_control=True),
        VARIABLES,
        PARENTS,
        lowest=rows.lowest,
        highest=rows.highest,
    )
    return whole, found


def test_all_rows_teach_the_parameters() -> None:
    whole, found = both()
    new = read_numbers(table(400, 1), VARIABLES).values
    for i in range(4):
        one = whole.mechanisms[i].log_density(whole.working(new)) + _slope(whole, i, new)
        two = found.mechanisms[i].log_density(found.working(new)) + _slope(found, i, new)
        # What bends at the end of the rows is laid by the sample's.
        assert np.median(np.abs(one - two)) < 0.01
        assert abs(one.mean() - two.mean()) < 0.005
    error = np.sqrt(np.diag(found.mechanisms[2].covariance))[:3]
    expected = np.sqrt(np.diag(whole.mechanisms[2].covariance))[:3]
    np.testing.assert_allclose(error, expected, rtol=0.1)


def _slope(network: MechanismNetwork, i: int, values: Any) -> Any:
    return network.scales[i].log_slope(values[:, i])


def test_the_network_remembers_a_sample_and_all_rows() -> None:
    _, found = both()
    control = found.control
    assert control is not None
    assert control.n_rows == pytest.approx(12_000)
    assert 500 < len(control.values) <= 3000
    assert (control.weights == 1.0).all()
    rows = found.working(read_numbers(table(), VARIABLES).values)
    plain = ControlRows(rows, np.ones(len(rows)))
    for one in found.mechanisms:
        # At the parameters that all rows learned it says what they say.
        np.testing.assert_allclose(
            control.statistics(one), plain.statistics(one), rtol=1e-7, atol=1e-5
        )
        assert control.log_likelihood(one) == pytest.approx(plain.log_likelihood(one), rel=1e-9)
    # And close to there, what it misses is small beside what moves.
    off = [one.fitted(1.02 * plain.statistics(one)) for one in found.mechanisms]
    for one, near in zip(found.mechanisms, off, strict=True):
        moved = plain.log_likelihood(near) - plain.log_likelihood(one)
        told = control.log_likelihood(near) - control.log_likelihood(one)
        assert told == pytest.approx(moved, rel=0.3, abs=1.0)


def test_the_sample_depends_on_neither_order_nor_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=(9000, 2)), 2)
    sizes = np.zeros(2, dtype=np.int64)
    one = sampled_rows(MemoryBlocks(values), sizes, 1000)
    monkeypatch.setattr("dosift.data.blocks.block_rows", lambda n: 700)
    two = sampled_rows(MemoryBlocks(values[rng.permutation(9000)]), sizes, 1000)
    np.testing.assert_array_equal(one, two)
    assert 400 < len(one) <= 1000
    np.testing.assert_allclose(one.mean(axis=0), values.mean(axis=0), atol=0.15)


def test_few_control_rows_of_an_engine_are_held() -> None:
    frame = table(2000).drop("errors")
    networks = []
    for rows in (frame, frame.lazy()):
        told = ControlTable(rows, [("load", "latency"), ("mode", "latency")], kinds=None)
        with pytest.warns(UserWarning, match="latency"):
            network, _ = learn_from_control(told, table(50, 3).drop("errors"))
        assert isinstance(network, MechanismNetwork)
        networks.append(network)
    one, two = networks
    assert one.control is not None
    assert two.control is not None
    np.testing.assert_array_equal(one.control.values, two.control.values)
    assert two.control.beyond is None
