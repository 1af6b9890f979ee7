"""Networks of any mechanisms are read back to the last bit, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dosift import InputError
from dosift.data.expressions import parse_expression
from dosift.io.mechanism_file import (
    format_mechanism_network,
    parse_mechanism_network,
    read_mechanism_network,
)
from dosift.learning.mechanisms import learn_mechanisms
from dosift.model.covariate import CovariateMechanism
from dosift.model.features import Function
from dosift.model.logistic import LogisticMechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Variable
from mixed_network import mixed_network, with_free_changes

VARIABLES = (
    Variable("gene", ("off", "on")),
    Variable("angle", kind="continuous"),
    Variable("light", kind="continuous"),
    Variable("count", kind="count"),
    Variable("alarm", ("no", "yes")),
)
PARENTS: list[list[int]] = [[], [0], [1], [1], [2, 0]]


def rows(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    gene = rng.integers(0, 2, n)
    angle = gene + rng.normal(size=n)
    light = 3.0 * np.cos(angle) ** 2 + 0.2 * rng.normal(size=n) * (1 + (rng.random(n) < 0.1) * 6)
    count = rng.poisson(np.exp(2 + 0.3 * angle))
    alarm = rng.random(n) < 1 / (1 + np.exp(2 - 2 * light))
    return np.stack([gene, angle, light, count, alarm], axis=1).astype(np.float64)


@pytest.fixture(scope="module")
def learned() -> MechanismNetwork:
    feature = Function("cos(angle)**2", (1,), parse_expression("cos(angle)**2", ["angle"]))
    return learn_mechanisms(VARIABLES, rows(800), PARENTS, features={2: [feature]})


def same(first: MechanismNetwork, second: MechanismNetwork, values: np.ndarray) -> None:
    for one, other in zip(first.mechanisms, second.mechanisms, strict=True):
        assert type(one) is type(other)
        assert (one.log_density(values) == other.log_density(values)).all()
    for one, other in zip(first.libraries, second.libraries, strict=True):
        assert type(one) is type(other)
        assert [c.text("x") for c in one[:]] == [c.text("x") for c in other[:]]
    assert first.scales == second.scales
    assert first.variables == second.variables


def test_learned_mechanisms_survive(learned: MechanismNetwork) -> None:
    assert isinstance(learned.mechanisms[4], LogisticMechanism)
    text = format_mechanism_network(learned)
    found = parse_mechanism_network(text)
    assert found.control is None
    same(learned, found, learned.working(rows(200, 1)))
    assert format_mechanism_network(found) == text


def test_libraries_survive(tmp_path: Path) -> None:
    network = with_free_changes(mixed_network())
    path = tmp_path / "network.json"
    path.write_text(format_mechanism_network(network), encoding="utf-8")
    values, _ = network.draw(np.full((1, 5), -1), np.ones(1), 100, np.random.default_rng(0))
    found = read_mechanism_network(path)
    same(network, found, values)
    for i, library in enumerate(network.libraries):
        for k, change in enumerate(library[:]):
            mechanism = network.mechanisms[i]
            own = change.applied(mechanism).log_density(values)
            other = found.libraries[i][k].applied(found.mechanisms[i]).log_density(values)
            assert (own == other).all()


def test_a_column_that_is_conditioned_on_survives() -> None:
    network = MechanismNetwork(
        (CovariateMechanism(0, (1.5, np.inf)),), mixed_network().libraries[:1]
    )
    found = parse_mechanism_network(format_mechanism_network(network))
    assert found.mechanisms == network.mechanisms


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": "another"}, "is no dosift mechanism network"),
        ({"scales": None}, "scales is no list"),
        ({"scales": [{"type": "os.system"}]}, "there is no type 'os.system'"),
        ({"scales": [{"type": "model.mixture_file.read_json"}]}, "there is no type"),
        ({"scales": [{"type": "model.scale.np"}]}, "there is no type"),
        ({"scales": [{"type": "data.blocks.Block"}]}, "there is no type"),
        ({"scales": [{"type": "model.scale.Scale", "colour": 1}]}, "scales cannot be read"),
        ({"scales": [{"array": ["a"], "of": "object"}]}, "none of numbers"),
        ({"scales": [{"array": [[1], [1, 2]], "of": "float64"}]}, "scales cannot be read"),
        ({"scales": [{"colour": 1}]}, "scales cannot be read"),
    ],
)  # fmt: skip
def test_what_was_not_written_so_is_refused(change: dict, message: str) -> None:
    content = json.loads(format_mechanism_network(mixed_network())) | change
    with pytest.raises(InputError, match=message):
        parse_mechanism_network(json.dumps(content), "n.json")


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[]", "{}", '{"title": 3}'])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_mechanism_network(text)
    deep: object = 1.0
    for _ in range(60):
        deep = [deep]
    content = json.loads(format_mechanism_network(mixed_network())) | {"scales": deep}
    with pytest.raises(InputError, match="nested too deeply"):
        parse_mechanism_network(json.dumps(content))


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_mechanism_network(tmp_path / "none.json")
    (tmp_path / "b.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_mechanism_network(tmp_path / "b.json")
