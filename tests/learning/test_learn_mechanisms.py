"""Mechanisms learned from control rows: scales, noise, regressions, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.data import collapse
from dosift.errors import InputError
from dosift.learning.mechanism_words import constant_columns, words_of_mechanisms
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.categorical import CategoricalMechanism
from dosift.model.features import Function
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import SetNormal, Shift
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.search.engine import find_targets

Floats = NDArray[np.float64]


def numbers(*names: str) -> list[Variable]:
    return [Variable(name, kind="continuous") for name in names]


def learned(*columns: Floats, parents: list[list[int]] | None = None, **kwargs: Any) -> Any:
    names = [f"v{i}" for i in range(len(columns))]
    graph = [[] for _ in columns] if parents is None else parents
    return learn_mechanisms(numbers(*names), np.stack(columns, axis=1), graph, **kwargs)


def linear(network: MechanismNetwork, i: int) -> LinearMechanism:
    found = network.mechanisms[i]
    assert isinstance(found, LinearMechanism)
    return found


def is_finite(network: MechanismNetwork) -> bool:
    """Whether densities of control rows, and of rows far away, are numbers."""
    assert network.control is not None
    is_number = np.array([variable.kind == "continuous" for variable in network.variables])
    far = network.control.values + 50.0 * is_number
    whole = np.concatenate([network.control.values, far])
    logs = [one.log_density(whole) for one in network.mechanisms]
    return bool(np.isfinite(logs).all() and np.isfinite(network.log_prior()))


# Scales


def normal(rng: np.random.Generator, mean: Floats) -> Floats:
    return 6.0 + mean + rng.normal(size=mean.size)


def log_normal(rng: np.random.Generator, mean: Floats) -> Floats:
    return np.exp(0.5 * mean + 0.5 * rng.normal(size=mean.size))


def logit_normal(rng: np.random.Generator, mean: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-1.5 * mean - 1.5 * rng.normal(size=mean.size)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "form"), [(normal, "raw"), (log_normal, "log"), (logit_normal, "logit")]
)
@pytest.mark.parametrize("n", [200, 2000])
def test_the_scale_of_a_clear_case_is_found(
    make: Callable[[np.random.Generator, Floats], Floats], form: str, n: int
) -> None:
    right = total = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        first = make(rng, np.zeros(n))
        child = make(rng, rng.choice([-1.0, 1.0]) * np.log1p(np.abs(first - np.median(first))))
        second = make(rng, rng.normal(size=n))
        network = learned(first, child, second, parents=[[], [0], []])
        right += sum(scale.form == form for scale in network.scales)
        total += 3
    assert right >= 0.95 * total


@pytest.mark.slow
def test_the_parents_decide_on_the_scale() -> None:
    """A child that is linear in a skew parent is skew itself, and yet taken as it is."""
    right = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        load = np.exp(rng.normal(size=1000))
        child = 30.0 + 3.0 * load + 0.5 * rng.normal(size=1000)
        columns = np.stack([-load, child], axis=1)
        network = learn_mechanisms(numbers("load", "child"), columns, [[], [0]])
        right += [scale.form for scale in network.scales] == ["raw", "raw"]
    assert right >= 19


def test_other_rows_keep_a_scale_from_being_chosen() -> None:
    rng = np.random.default_rng(0)
    column = np.exp(rng.normal(size=500))
    assert learned(column).scales[0].form == "log"
    assert learned(column, lowest=[np.nan]).scales[0].form == "log"
    assert learned(column, lowest=[0.0]).scales[0].form == "raw"
    share = logit_normal(rng, np.zeros(500))
    assert learned(share).scales[0].form == "logit"
    assert learned(share, highest=[1.0]).scales[0].form != "logit"


def test_units_and_zero_points_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    n = 800
    first = rng.normal(size=n)
    second = np.exp(0.5 * first + 0.4 * rng.normal(size=n))
    third = first + np.log(second) + rng.standard_t(3, size=n)
    columns = np.stack([first, second, third], axis=1)
    graph = [[], [0], [0, 1]]
    one = learn_mechanisms(numbers("a", "b", "c"), columns, graph)
    for factor, shift in ((1000.0, 0.0), (1e-6, 0.0), (1.0, 5.0)):
        moved = columns * factor
        moved[:, [0, 2]] += shift
        two = learn_mechanisms(numbers("a", "b", "c"), moved, graph)
        assert one.control is not None
        assert two.control is not None
        assert [s.form for s in two.scales] == [s.form for s in one.scales] == ["raw", "log", "raw"]
        assert two.control.values == pytest.approx(one.control.values, abs=1e-9)
        for mine, other in zip(one.mechanisms, two.mechanisms, strict=True):
            log = mine.log_density(one.control.values)
            assert other.log_density(two.control.values) == pytest.approx(log, abs=1e-6)


# Regressions and noise


@pytest.mark.slow
def test_coefficients_are_recovered_within_their_errors() -> None:
    away = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 400))
        child = 0.7 * x - 0.4 * y + 0.5 * rng.normal(size=400)
        network = learned(x, y, child, parents=[[], [], [0, 1]])
        found, scales = linear(network, 2), network.scales
        slope = found.coefficients[1:] * scales[2].spread
        slope /= np.array([scales[0].spread, scales[1].spread])
        assert found.covariance is not None
        error = np.sqrt(np.diag(found.covariance))[1:] * found.noise.sd * scales[2].spread
        away.append((slope - np.array([0.7, -0.4])) / error)
    squares = np.square(away)
    assert squares.mean() == pytest.approx(1.0, abs=0.35)
    assert np.mean(squares < 1.96**2) >= 0.88


NOISES: dict[str, tuple[Callable[[np.random.Generator, int], Floats], Callable[[Any], bool]]] = {
    "normal": (lambda rng, n: rng.normal(size=n), lambda noise: noise.n_parts == 1),
    "heavy tails": (
        lambda rng, n: rng.standard_t(3, size=n),
        lambda noise: noise.n_parts > 1 and not noise.has_means,
    ),
    "outliers": (
        lambda rng, n: rng.normal(size=n) * np.where(rng.random(n) < 0.05, 6.0, 1.0),
        lambda noise: noise.n_parts == 2 and not noise.has_means,
    ),
    "two states": (
        lambda rng, n: 0.5 * rng.normal(size=n) + np.where(rng.random(n) < 0.3, 2.5, 0.0),
        lambda noise: noise.n_parts == 2 and noise.has_means,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NOISES)
def test_the_kind_of_noise_is_found(kind: str) -> None:
    make, is_right = NOISES[kind]
    right = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=1500)
        child = x + make(rng, 1500)
        right += is_right(linear(learned(x, child, parents=[[], [0]]), 1).noise)
    assert right >= 38


def test_two_states_are_recovered() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=5000)
    child = x + 0.4 * rng.normal(size=5000) + np.where(rng.random(5000) < 0.25, 2.0, 0.0)
    network = learned(x, child, parents=[[], [0]])
    found, spread = linear(network, 1), network.scales[1].spread
    assert found.noise.shares == pytest.approx([0.75, 0.25], abs=0.02)
    assert found.noise.means * spread == pytest.approx([0.0, 2.0], abs=0.06)
    assert found.noise.sds * spread == pytest.approx([0.4, 0.4], abs=0.03)
    assert found.coefficients[1] * spread / network.scales[0].spread == pytest.approx(1.0, abs=0.02)
    assert any("two normal distributions" in word for word in words_of_mechanisms(network))


@pytest.mark.slow
def test_a_width_that_follows_the_mean_is_found_and_no_other() -> None:
    found = {True: 0, False: 0}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=1500)
        for grows in found:
            child = x + 0.5 * rng.normal(size=1500) * np.exp(0.35 * x * grows)
            network = learned(x, child, parents=[[], [0]])
            mechanism = linear(network, 1)
            found[grows] += mechanism.axis is not None
            if grows and mechanism.axis is not None:
                assert mechanism.slope == pytest.approx(0.35, abs=0.1)
                assert any("grows with its mean" in w for w in words_of_mechanisms(network))
    assert found[True] >= 38
    assert found[False] <= 2


@pytest.mark.slow
@pytest.mark.parametrize(("n", "k"), [(20, 5), (50, 9), (200, 9)])
def test_few_rows_do_not_make_a_child_too_sure(n: int, k: int) -> None:
    """New rows lie as far from the mean as the density says, or less."""
    squares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        slopes = rng.normal(size=k)
        rows = rng.normal(size=(n + 500, k))
        child = rows @ slopes + 0.5 * rng.normal(size=n + 500)
        values = np.column_stack([rows, child])
        graph: list[list[int]] = [[] for _ in range(k)]
        names = [f"v{i}" for i in range(k + 1)]
        network = learn_mechanisms(numbers(*names), values[:n], [*graph, list(range(k))])
        found, new = linear(network, k), network.working(values[n:])
        sample = found.draw(new, rng)
        mean = found.mean(new)
        width = np.mean(np.square(sample - mean))
        squares.append(np.mean(np.square(new[:, k] - mean)) / width)
    assert np.median(squares) < 1.3


# Other kinds


def test_mixed_parents_and_discrete_children() -> None:
    rng = np.random.default_rng(0)
    n = 6000
    state = rng.integers(2, size=n).astype(float)
    x = rng.normal(size=n)
    child = np.where(state == 1, 2.0 * x, -x) + 0.3 * rng.normal(size=n)
    odds = 1.5 * child - 1.0
    alarm = (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(float)
    copy = np.where(rng.random(n) < 0.9, state, 1 - state)
    variables = [
        Variable("state", ("off", "on")),
        *numbers("x", "child"),
        Variable("alarm", ("no", "yes")),
        Variable("copy", ("off", "on")),
    ]
    values = np.stack([state, x, child, alarm, copy], axis=1)
    network = learn_mechanisms(variables, values, [[], [], [0, 1], [2], [0]])
    assert network.cardinalities.tolist() == [2, 0, 0, 2, 2]
    assert [len(library) for library in network.libraries] == [2, 0, 0, 2, 2]
    found = linear(network, 2)
    spreads = network.scales[2].spread / network.scales[1].spread
    plain, _, crossed = found.coefficients[1:] * spreads
    assert plain == pytest.approx(-1.0, abs=0.05)
    assert plain + crossed == pytest.approx(2.0, abs=0.05)
    alarm_found = network.mechanisms[3]
    assert isinstance(alarm_found, LogisticMechanism)
    slope = alarm_found.coefficients[0, 1] / network.scales[2].spread
    assert slope == pytest.approx(1.5, abs=0.15)
    table = network.mechanisms[4]
    assert isinstance(table, CategoricalMechanism)
    assert table.table[:, 0] == pytest.approx([0.9, 0.1], abs=0.02)
    on = network.libraries[3][1].applied(alarm_found)
    rows = network.working(values[:10])
    assert np.exp(on.log_density(rows)).tolist() == rows[:, 3].tolist()


def test_a_discrete_root_has_the_posterior_mean_of_its_table() -> None:
    values = np.array([[0.0], [0.0], [1.0]])
    network = learn_mechanisms([Variable("a", ("x", "y", "z"))], values, [[]], prior=0.5)
    table = network.mechanisms[0]
    assert isinstance(table, CategoricalMechanism)
    assert table.table[0] == pytest.approx(np.array([2.5, 1.5, 0.5]) / 4.5)


def test_weights_count_as_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    child = 0.5 * x + rng.normal(size=300)
    weights = rng.integers(0, 4, size=300).astype(float)
    values = np.stack([x, child], axis=1)
    twice = np.repeat(values, weights.astype(int), axis=0)
    one = learn_mechanisms(numbers("x", "y"), values, [[], [0]], weights=weights)
    two = learn_mechanisms(numbers("x", "y"), twice, [[], [0]])
    assert linear(one, 1).coefficients == pytest.approx(linear(two, 1).coefficients, abs=1e-6)
    assert linear(one, 1).noise.sds == pytest.approx(linear(two, 1).noise.sds, abs=1e-6)


def test_a_feature_in_the_users_units() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0.0, 360.0, size=2000)
    light = 5.0 * np.cos(np.radians(angle)) ** 2 + 0.1 * rng.normal(size=2000) + 1.0
    feature = Function("cos(angle)**2", (0,), lambda a: np.cos(np.radians(a)) ** 2)
    variables = numbers("angle", "light")
    values = np.stack([angle, light], axis=1)
    network = learn_mechanisms(variables, values, [[], [0]], features={1: [feature]})
    assert linear(network, 1).noise.sd * network.scales[1].spread == pytest.approx(0.1, abs=0.01)
    with pytest.raises(InputError, match="no parent"):
        learn_mechanisms(variables, values, [[], []], features={1: [feature]})
    bad = Function("log(angle - 100)", (0,), lambda a: np.log(np.maximum(a - 100.0, 0.0)))
    with (
        np.errstate(divide="ignore"),
        pytest.raises(InputError, match=r"log\(angle - 100\).*control row"),
    ):
        learn_mechanisms(variables, values, [[], [0]], features={1: [bad]})


# Rows that say little


def test_three_control_rows() -> None:
    rng = np.random.default_rng(0)
    network = learned(*rng.normal(size=(4, 3)), parents=[[], [], [0, 1], [0, 1, 2]])
    assert is_finite(network)
    assert linear(network, 3).noise.sd > 0.05
    assert any("3 control rows are few" in word for word in words_of_mechanisms(network))


def test_one_control_row() -> None:
    network = learned(np.array([3.0]), np.array([4.0]), parents=[[], [0]])
    assert is_finite(network)
    assert constant_columns(network) == (0, 1)


def test_a_constant_column() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    network = learned(x, np.full(200, 7.0), x + rng.normal(size=200), parents=[[], [0], [0, 1]])
    assert is_finite(network)
    assert constant_columns(network) == (1,)
    assert network.scales[1].spread == 1.0
    words = words_of_mechanisms(network)
    assert any("'v1' has the same value" in word for word in words)
    assert len(words) == 1
    # Where the constant parent has another value nobody knows what the child does.
    rows = network.working(np.array([[0.0, 7.0, 4.0], [0.0, 57.0, 4.0]]))
    seen, unseen = linear(network, 2).log_density(rows)
    assert unseen > seen - 1.0


def test_collinear_parents() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    child = 3.0 * x + 0.2 * rng.normal(size=300)
    network = learned(x, 2.0 * x + 1.0, child, parents=[[], [0], [0, 1]])
    assert is_finite(network)
    assert any("do not vary apart" in word for word in words_of_mechanisms(network))
    assert linear(network, 2).noise.sd * network.scales[2].spread == pytest.approx(0.2, abs=0.03)
    # Where the parents part, the child gives no evidence; where they do not, it does.
    together, apart = network.working(np.array([[1.0, 3.0, 9.0], [1.0, -3.0, 9.0]]))
    found = linear(network, 2)
    far = [float(found.log_density(row[None])[0]) for row in (together, apart)]
    assert far[1] > far[0] + 50.0


def test_a_child_without_noise() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    network = learned(x, 2.0 * x - 5.0, parents=[[], [0]])
    assert is_finite(network)
    assert any("exactly" in word for word in words_of_mechanisms(network))


def test_a_separated_state_and_one_that_is_never_seen() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    variables = [*numbers("x"), Variable("y", ("a", "b", "never"))]
    values = np.stack([x, (x > 0).astype(float)], axis=1)
    network = learn_mechanisms(variables, values, [[], [0]])
    found = network.mechanisms[1]
    assert isinstance(found, LogisticMechanism)
    assert np.isfinite(found.coefficients).all()
    rows = np.stack([np.array([-2.0, 2.0, 0.0]), np.array([0.0, 1.0, 2.0])], axis=1)
    share = np.exp(found.log_density(rows))
    assert (share[:2] > 0.95).all()
    assert 1e-5 < share[2] < 0.02


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.array([[1.0], [np.nan]])}, "'a' is missing in control row 2"),
        ({"values": np.array([[np.inf], [1.0]])}, "'a' is infinite in control row 1"),
        ({"values": np.empty((0, 1))}, "no control rows"),
        ({"weights": [1.0, -1.0]}, "not negative"),
        ({"prior": -1.0}, "prior"),
    ],
)
def test_bad_input_is_refused(change: dict[str, Any], message: str) -> None:
    values = change.pop("values", np.array([[1.0], [2.0]]))
    with pytest.raises(InputError, match=message):
        learn_mechanisms(numbers("a"), values, [[]], **change)


def test_many_rows_give_what_a_sample_gives_and_more_exactly() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60_000)
    child = 0.3 * x + rng.normal(size=60_000)
    network = learned(x, child, parents=[[], [0]])
    slope = linear(network, 1).coefficients[1] * network.scales[1].spread / network.scales[0].spread
    exact = np.cov(x, child)
    assert slope == pytest.approx(exact[0, 1] / exact[0, 0], abs=1e-4)


def test_counts_among_numbers_and_states() -> None:
    """A count as a child of a number and as a parent of a number and of a state."""
    rng = np.random.default_rng(0)
    n = 4000
    x = rng.normal(size=n)
    count = rng.poisson(np.exp(2.0 + 0.5 * x)).astype(float)
    child = 2.0 * np.log1p(count) + 0.3 * rng.normal(size=n)
    alarm = (rng.random(n) < 1 / (1 + np.exp(4.0 - 2.0 * np.log1p(count)))).astype(float)
    variables = [
        *numbers("x"),
        Variable("count", kind="count"),
        *numbers("child"),
        Variable("alarm", ("no", "yes")),
    ]
    values = np.stack([x, count, child, alarm], axis=1)
    network = learn_mechanisms(variables, values, [[], [0], [1], [1]])
    assert network.scales[1].form == "count"
    assert linear(network, 2).noise.sd * network.scales[2].spread == pytest.approx(0.3, abs=0.02)
    assert isinstance(network.mechanisms[3], LogisticMechanism)
    rows = network.working(np.array([[0.0, 7.0, 4.0, 0.0], [0.0, 70.0, 4.0, 0.0]]))
    share = 1.0 - np.exp(network.mechanisms[3].log_density(rows))
    expected = 1 / (1 + np.exp(4.0 - 2.0 * np.log1p(np.array([7.0, 70.0]))))
    assert share == pytest.approx(expected, abs=0.03)
    assert is_finite(network)


@pytest.mark.parametrize("seed", [0, 1])
def test_targets_of_a_learned_mixed_network_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    variables = [
        Variable("valve", ("shut", "open")),
        *numbers("load", "heat"),
        Variable("alarm", ("no", "yes")),
        *numbers("cost"),
    ]
    graph = [[], [], [0, 1], [2], [2, 3]]
    network = learn_mechanisms(variables, _plant(4000, rng, np.zeros(4000)), graph)
    spread = [scale.spread for scale in network.scales]
    libraries = list(network.libraries)
    libraries[1] = Changes(
        (SetNormal((22.0 - network.scales[1].centre) / spread[1], 0.5 / spread[1]), Shift(2.0))
    )
    libraries[2] = Changes((SetNormal(0.0, 0.5), Shift(1.0)))
    libraries[4] = Changes((SetNormal(0.0, 0.5), Shift(8.0 / spread[4])))
    network = replace(network, libraries=tuple(libraries))
    component = rng.choice(5, size=4000, p=[0.4, 0.15, 0.15, 0.15, 0.15]).astype(float)
    pool = network.working(_plant(4000, rng, component))
    found = find_targets(network, collapse(pool, network.cardinalities), max_size=2)
    by_target = {tuple(t.tolist()): w for t, w in zip(found.targets, found.weights, strict=True)}
    nothing = (-1, -1, -1, -1, -1)
    singles = [(0, 1), (1, 0), (3, 1), (4, 1)]
    expected = [tuple(p if i == j else -1 for j in range(5)) for i, p in singles]
    assert set(by_target) == {nothing, *expected}
    assert by_target[nothing] == pytest.approx(0.4, abs=0.04)
    for target in expected:
        assert by_target[target] == pytest.approx(0.15, abs=0.03)


def _plant(n: int, rng: np.random.Generator, component: Floats) -> Floats:
    """Make rows of a plant; the first component is nothing, others one intervention each."""
    valve = np.where(component == 1, 1.0, rng.random(n) < 0.4)
    load = np.where(component == 2, 22.0 + 0.5 * rng.normal(size=n), 10 + 3 * rng.normal(size=n))
    heat = np.where(valve == 1, 2.0 * load, load) + rng.normal(size=n)
    alarm = np.where(component == 3, 1.0, rng.random(n) < 1 / (1 + np.exp(-(heat - 18.0) / 3.0)))
    cost = heat + 5.0 * alarm + 8.0 * (component == 4) + rng.normal(size=n)
    return np.stack([valve, load, heat, alarm, cost], axis=1)


@pytest.mark.parametrize("acts_by_logarithm", [False, True])
def test_a_parent_acts_as_it_does_whatever_scale_describes_it(acts_by_logarithm: bool) -> None:
    right = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        parent = rng.lognormal(1.0, 0.6, size=1500)
        mean = np.log(parent) if acts_by_logarithm else 0.8 * parent
        values = np.stack([parent, mean - 3.0 + 0.5 * rng.normal(size=1500)], axis=1)
        variables = [Variable("sun", kind="continuous"), Variable("growth", kind="continuous")]
        network = learn_mechanisms(variables, values, [[], [0]])
        assert network.scales[0].form == "log"
        child = network.mechanisms[1]
        assert isinstance(child, LinearMechanism)
        sd = child.noise.sd * network.scales[1].spread
        right.append(network.scales[1].form == "raw" and abs(sd - 0.5) < 0.04)
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize("seed", range(6))
def test_a_count_acts_on_a_number_as_control_rows_say(seed: int) -> None:
    """By its logarithm, or as it is: beyond the control rows that is not the same."""
    rng = np.random.default_rng([9, seed])
    queue = rng.poisson(9.0, 2500).astype(np.float64)
    noise = rng.normal(size=2500)
    far = np.array([[2.0, 0.0]])
    variables = [Variable("queue", kind="count"), Variable("latency", kind="continuous")]
    for child, expected in (
        (20.0 + 0.9 * queue + noise, 20.0 + 0.9 * 2.0),
        (20.0 + 6.0 * np.log1p(queue) + noise, 20.0 + 6.0 * np.log1p(2.0)),
    ):
        columns = np.stack([queue, child], axis=1)
        network = learn_mechanisms(variables, columns, [[], [0]])
        mechanism = network.mechanisms[1]
        assert isinstance(mechanism, LinearMechanism)
        mean = mechanism.mean(network.working(far))
        found = network.scales[1].user(mean)
        assert found == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("seed", range(4))
def test_whole_numbers_that_are_counts_are_noticed(seed: int) -> None:
    rng = np.random.default_rng([10, seed])
    load = rng.normal(50.0, 8.0, 2000)
    queue = rng.poisson(0.2 * load).astype(np.float64)

    def noticed(column: Floats) -> bool:
        columns = np.stack([load, column], axis=1)
        network = learn_mechanisms(numbers("load", "queue"), columns, [[], [0]])
        return any("--counts queue" in word for word in words_of_mechanisms(network))

    assert noticed(queue)
    assert not noticed(queue + 0.5)
    assert not noticed(-queue)
    assert not noticed(queue * 1e300)
    # Whole numbers that spread as no counts do: less, and the same everywhere.
    assert not noticed(np.round(100.0 + load + 3.0 * rng.normal(size=2000)))
