"""What is said to be told apart of changed numbers is, by closed forms; what is not, is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import command
from dosift import Mixture, change, do
from dosift.errors import InputError
from dosift.identifiability.apart import Components
from dosift.identifiability.numbers import numbers_identified
from dosift.io.gaussian_json import write_gaussian_json
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.gaussian_network import GaussianNetwork
from dosift.model.known_mechanisms import known_mechanisms
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from dosift.model.simulate import changed_by

#: a -> b -> c, and d that its parent does nothing to.
GIVEN = GaussianNetwork(
    ("a", "b", "c", "d"),
    ((), (0,), (1,), (0,)),
    (0.0, 0.0, 0.0, 0.0),
    ((), (1.0,), (2.0,), (0.0,)),
    (1.0, 1.0, 1.0, 1.0),
)


@pytest.fixture(scope="module")
def network() -> MechanismNetwork:
    return known_mechanisms(GIVEN)


def components(network: MechanismNetwork, mixture: Mixture) -> Components:
    changed, targets = changed_by(network, mixture)
    return Components.drawn(changed, targets, mixture.weights)


def test_evidence_is_the_divergence_of_the_normals(network: MechanismNetwork) -> None:
    mixture = Mixture({change(set={"a": (3.0, 0.5)}): 0.5, change(shift={"b": 2.0}): 0.5})
    found = components(network, mixture)
    # By hand: a is N(3, .25) for N(0, 1), and what is left of b is N(0, 1) for N(2, 1).
    of_a = -np.log(0.5) + 0.5 * (0.25 + 9.0) - 0.5
    assert found.nats(0, 1) == pytest.approx(of_a + 2.0, rel=0.05)
    of_a = np.log(0.5) + 0.5 * (1.0 + 9.0) / 0.25 - 0.5
    assert found.nats(1, 0) == pytest.approx(of_a + 2.0, rel=0.05)


def test_overlap_is_that_of_two_normals(network: MechanismNetwork) -> None:
    mixture = Mixture({do(): 0.5, change(shift={"c": 1.0}): 0.5})
    grid = np.linspace(-8, 9, 20_001)
    p, q = np.exp(-0.5 * grid**2), np.exp(-0.5 * (grid - 1) ** 2)
    expected = float((p * q / (p + q)).sum() / p.sum())
    assert components(network, mixture).overlap(0, 1) == pytest.approx(expected, abs=0.01)


def test_roots_and_idle_parents_leave_kinds_alike(network: MechanismNetwork) -> None:
    found = {one.variable: one for one in numbers_identified(network).variables}
    assert found["a"].alike == found["d"].alike == ("set", "shift", "gain")
    assert found["a"].why != found["d"].why
    assert found["b"].alike == found["c"].alike == ()
    # Half the logarithm of 1 + (variance that the parents make) / (variance left).
    assert found["b"].nats == pytest.approx(0.5 * np.log(2.0), rel=0.05)
    assert found["c"].nats == pytest.approx(0.5 * np.log(1.0 + 4.0 * 2.0), rel=0.05)


def test_a_set_and_a_shift_of_a_root_are_the_same_distribution(network: MechanismNetwork) -> None:
    mixture = Mixture(
        {change(set={"a": (2.0, 1.0)}): 0.3, change(shift={"a": 2.0}): 0.3, do(): 0.4}
    )
    found = numbers_identified(network, mixture)
    assert found.status == "not identified"
    assert [pair.are_same for pair in found.pairs if pair.overlap == pytest.approx(0.5)] == [True]
    rows = dict(found.needed)
    assert rows["set(a~2±1)"] is rows["shift(a+2)"] is None
    assert rows["do()"] is not None
    # Of a variable with parents they are not.
    mixture = Mixture({change(set={"b": (2.0, 1.0)}): 0.5, change(shift={"b": 2.0}): 0.5})
    assert numbers_identified(network, mixture).status == "identified"


def test_kinds_are_not_told_where_parents_are_pinned(network: MechanismNetwork) -> None:
    mixture = Mixture(
        {
            change(do={"a": 1.0}, shift={"b": 3.0}): 0.5,
            change(shift={"b": 3.0}): 0.5,
        }
    )
    rows = {one.target: one.rows for one in numbers_identified(network, mixture).changes}
    pinned, free = (rows[key] for key in sorted(rows, key=len, reverse=True))
    assert pinned is None
    assert free == pytest.approx(5.0 / (0.5 * 0.5 * np.log(2.0)), rel=0.1)


def test_what_is_far_is_said_of_children_that_are_left_alone(network: MechanismNetwork) -> None:
    mixture = Mixture({change(set={"b": (20.0, 1.0)}): 0.4, do(): 0.6})
    found = numbers_identified(network, mixture).beyond
    assert [(one.variable, one.parent, one.widened) for one in found] == [("c", "b", None)]
    assert found[0].away == pytest.approx(20.0 / np.sqrt(2.0), rel=0.01)
    rows = GIVEN.sample(30, np.random.default_rng(0))
    variables = [Variable(name, kind="continuous") for name in GIVEN.names]
    learned = learn_mechanisms(variables, rows, GIVEN.parents)
    (one,) = (o for o in numbers_identified(learned, mixture).beyond if o.variable == "c")
    assert one.widened is not None
    assert one.widened > 1.5


def test_mechanisms_beyond_the_theorem_are_named() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_t(2.5, 3000)
    rows = np.stack([a, a + rng.normal(size=3000)], axis=1)
    names = [Variable(name, kind="continuous") for name in "ab"]
    found = numbers_identified(learn_mechanisms(names, rows, [[], [0]]))
    assert found.status == "not covered"
    assert "'a' is a mixture of normal distributions" in found.reasons[0]


def test_states_beside_numbers_are_not_covered_and_still_looked_at() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=800)
    rows = np.stack([a, (rng.random(800) < 1.0 / (1.0 + np.exp(-2.0 * a))).astype(float)], axis=1)
    variables = [Variable("a", kind="continuous"), Variable("d", ("lo", "hi"))]
    network = learn_mechanisms(variables, rows, [[], [0]])
    mixture = Mixture({do(): 0.7, change(set={"a": (9.0, 0.5)}): 0.2, do(d="lo"): 0.1})
    found = numbers_identified(network, mixture)
    assert found.status == "not covered"
    assert found.reasons == ("'d' is no measurement",)
    assert [(one.variable, one.parent, one.widened) for one in found.beyond] == [("d", "a", None)]
    assert all(rows is not None for _, rows in found.needed)


@pytest.mark.slow
def test_the_number_of_rows_is_that_at_which_the_score_pays(network: MechanismNetwork) -> None:
    """In the mean over pools of so many rows, what the target gains is what it costs."""
    target = change(shift={"c": 1.0})
    mixture = Mixture({do(): 0.9, target: 0.1})
    rows = dict(numbers_identified(network, mixture).needed)[str(target)]
    assert rows is not None
    changed, targets = changed_by(network, mixture)
    gains = []
    for seed in range(200):
        values, _ = changed.draw(targets, mixture.weights, rows, np.random.default_rng(seed))
        mechanism, library = changed.mechanisms[2], changed.libraries[2]
        ratio = np.exp(
            library[0].applied(mechanism).log_density(values) - mechanism.log_density(values)
        )
        gains.append(np.log(0.9 + 0.1 * ratio).sum())
    assert np.mean(gains) == pytest.approx(0.5 * np.log(rows) * 2 + np.log(4), rel=0.1)


def test_the_command_says_the_same(tmp_path: Path) -> None:
    write_gaussian_json(GIVEN, tmp_path / "net.json")
    mixture = Mixture(
        {change(set={"a": (2.0, 1.0)}): 0.3, change(shift={"a": 2.0}): 0.3, do(): 0.4}
    )
    mixture.write(tmp_path / "mixture.json")

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return command.run("check", "net.json", *more, cwd=tmp_path)

    shown = run("--mixture", "mixture.json")
    assert shown.returncode == 0, shown.stderr
    assert "Identified  no." in shown.stdout
    assert "set(a~2±1) and shift(a+2): have the same distribution" in shown.stdout
    found = json.loads(run("--mixture", "mixture.json", "--json").stdout)["numbers"]
    assert found["status"] == "not identified"
    assert [one["variable"] for one in found["variables"] if one["alike"]] == ["a", "d"]
    alone = run()
    assert "give --mixture FILE" in alone.stdout
    refused = run("net.json")
    assert refused.returncode == 2
    assert "leave the rows out" in refused.stderr


def test_a_mixture_of_another_network_is_refused(network: MechanismNetwork) -> None:
    with pytest.raises(InputError, match="'z'"):
        numbers_identified(network, Mixture({change(shift={"z": 1.0}): 1.0}))
