"""Networks of numbers that are known: read, written, drawn from, fitted, by Python and command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import command
import dosift
from dosift.errors import InputError
from dosift.io.gaussian_json import write_gaussian_json
from dosift.io.mechanism_file import format_mechanism_network
from dosift.model.gaussian_network import GaussianNetwork
from dosift.model.known_mechanisms import gaussian_of, is_linear_gaussian
from dosift.model.linear_changes import SetNormal
from dosift.model.mechanism_network import MechanismNetwork

GIVEN = GaussianNetwork(
    ("load", "queue", "latency"),
    ((), (0,), (0, 1)),
    (100.0, -20.0, 3.0),
    ((), (0.5,), (0.25, 2.0)),
    (10.0, 4.0, 6.0),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_gaussian_json(GIVEN, tmp_path / "network.json")
    return tmp_path / "network.json"


def test_mechanisms_have_the_density_of_the_network(path: Path) -> None:
    network = dosift.read_network(path)
    assert isinstance(network, MechanismNetwork)
    rows = GIVEN.sample(200, np.random.default_rng(0))
    working = network.working(rows)
    found = sum(mechanism.log_density(working) for mechanism in network.mechanisms)
    found = found + sum(scale.log_slope(rows[:, i]) for i, scale in enumerate(network.scales))
    away = rows - GIVEN.mean
    sign, log_det = np.linalg.slogdet(2 * np.pi * GIVEN.covariance)
    assert sign == 1
    squares = np.einsum("ij,ij->i", away @ np.linalg.inv(GIVEN.covariance), away)
    np.testing.assert_allclose(found, -0.5 * (squares + log_det), rtol=1e-9)


def test_nothing_teaches_known_mechanisms(path: Path) -> None:
    network = dosift.read_network(path)
    assert isinstance(network, MechanismNetwork)
    rows = network.working(GIVEN.sample(50, np.random.default_rng(0)))
    taught = network.taught(rows, np.full((1, 3), -1), np.ones((50, 1)), range(3))
    assert taught.mechanisms == network.mechanisms
    assert not network.learns


def test_what_is_written_reads_back(path: Path, tmp_path: Path) -> None:
    network = dosift.read_network(path)
    dosift.write_network(network, tmp_path / "again.json.gz")
    again = dosift.read_network(tmp_path / "again.json.gz")
    assert isinstance(again, MechanismNetwork)
    assert gaussian_of(again) == GIVEN
    (tmp_path / "any.json").write_text(format_mechanism_network(again))
    other = dosift.read_network(tmp_path / "any.json")
    assert isinstance(other, MechanismNetwork)
    assert gaussian_of(other) == GIVEN


def test_a_learned_network_is_written_where_it_is_linear_gaussian(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = GIVEN.sample(20_000, rng)
    from dosift.learning.mechanisms import learn_mechanisms
    from dosift.model.network import Variable

    variables = [Variable(name, kind="continuous") for name in GIVEN.names]
    learned = learn_mechanisms(variables, rows, GIVEN.parents)
    found = gaussian_of(learned)
    np.testing.assert_allclose(found.coefficients[2], GIVEN.coefficients[2], rtol=0.1)
    np.testing.assert_allclose(found.sds, GIVEN.sds, rtol=0.05)
    bent = learn_mechanisms(variables, np.exp(rows / 10.0), GIVEN.parents)
    assert not is_linear_gaussian(bent)
    with pytest.raises(InputError, match="'load' is modelled by its logarithm"):
        dosift.write_network(bent, tmp_path / "bent.json")


def test_wrong_endings_and_contents_are_said(path: Path, tmp_path: Path) -> None:
    network = dosift.read_network(path)
    with pytest.raises(InputError, match=r"a network of numbers is written to a file in \.json"):
        dosift.write_network(network, tmp_path / "network.bif")
    states = dosift.random_network(2, random_state=0)
    with pytest.raises(InputError, match=r"a network of states is written to a file in \.bif"):
        dosift.write_network(states, tmp_path / "network.json")
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(InputError, match="no key 'nodes'") as error:
        dosift.read_network(tmp_path / "no.json")
    assert "no.json" in str(error.value)
    huge = GaussianNetwork(("a", "b"), ((), (0,)), (1e300, 0.0), ((), (1e300,)), (1.0, 1.0))
    write_gaussian_json(huge, tmp_path / "huge.json")
    with pytest.raises(InputError, match=r"of 'b' is too large.*") as error:
        dosift.read_network(tmp_path / "huge.json")
    assert "huge.json" in str(error.value)


class _Clg(SimpleNamespace):
    def nodes(self) -> list[int]:
        return [0, 1]

    def variable(self, i: int) -> SimpleNamespace:
        name, mu, sigma = [("a", 1.0, 2.0), ("b", 0.0, 1.0)][i]
        return SimpleNamespace(name=lambda: name, mu=lambda: mu, sigma=lambda: sigma)

    def parents(self, i: int) -> set[int]:
        return {0} if i else set()

    def coefArc(self, p: int, i: int) -> float:  # noqa: N802
        return 3.0


class _Lgbn(SimpleNamespace):
    def nodes(self) -> list[str]:
        return ["a", "b"]

    def get_cpds(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(variable="a", beta=[1.0], std=2.0, evidence=[]),
            SimpleNamespace(variable="b", beta=[0.0, 3.0], std=1.0, evidence=["a"]),
        ]

    def get_parents(self, node: str) -> list[str]:
        return ["a"] if node == "b" else []


@pytest.mark.parametrize(
    ("convert", "model"), [(dosift.from_pyagrum, _Clg()), (dosift.from_pgmpy, _Lgbn())]
)
def test_other_libraries_networks_of_numbers_are_known_mechanisms(convert, model) -> None:
    network = convert(model)
    expected = GaussianNetwork(("a", "b"), ((), (0,)), (1.0, 0.0), ((), (3.0,)), (2.0, 1.0))
    assert gaussian_of(network) == expected


def test_random_changes_are_as_far_as_said_and_distinct(path: Path) -> None:
    network = dosift.read_network(path)
    assert isinstance(network, MechanismNetwork)
    kinds: set[str] = set()
    for seed in range(20):
        mixture = dosift.random_mixture(network, 5, max_size=2, random_state=seed)
        touched = [frozenset(target) for target in mixture]
        assert len(set(touched)) == len(touched) <= 6
        for target in mixture:
            for name, entry in target.changes.items():
                scale = network.scales[network.positions[name]]
                kinds.add(entry.kind)
                if entry.kind == "set":
                    away = (entry["mean"] - scale.centre) / scale.spread
                    assert entry["sd"] == pytest.approx(0.3 * scale.spread)
                else:
                    away = entry["by"] / scale.spread
                assert 1.0 <= abs(away) <= 3.0
    assert kinds == {"set", "shift"}
    with pytest.raises(InputError, match="max_size is 4"):
        dosift.random_mixture(network, 1, max_size=4, random_state=0)


def test_a_fit_finds_what_was_drawn_and_keeps_the_mechanisms(path: Path) -> None:
    network = dosift.read_network(path)
    truth = dosift.Mixture(
        {
            dosift.do(): 0.5,
            dosift.change(set={"queue": (60.0, 2.0)}): 0.3,
            dosift.change(shift={"latency": -40.0}): 0.2,
        }
    )
    rows = dosift.simulate(network, truth, 1500, random_state=0)
    model = dosift.InterventionMixture(network).fit(rows)
    scores = dosift.evaluate(truth, model.mixture_)
    assert scores.recall == scores.precision == 1.0
    assert scores.tv < 0.05
    assert isinstance(model.network_, MechanismNetwork)
    assert gaussian_of(model.network_) == GIVEN
    assert isinstance(model.network_.libraries[1][0], SetNormal)


def test_the_command_goes_from_a_known_network_to_rows_and_back(path: Path) -> None:
    def run(*arguments: str) -> str:
        done = command.run(*arguments, cwd=path.parent)
        assert done.returncode in (0, 3), done.stderr
        return done.stdout

    run("simulate", "network.json", "-n", "2000", "--targets", "2", "--max-size", "1",
        "--seed", "4", "-o", "rows.csv")  # fmt: skip
    run("fit", "network.json", "rows.csv", "-o", "out")
    scores = json.loads(run("evaluate", "rows.mixture.json", "out/mixture.json", "--json"))
    assert scores["recall"] == scores["precision"] == 1.0
    run("assign", "out", "rows.csv", "-o", "assigned.csv")
    assert len((path.parent / "assigned.csv").read_text().splitlines()) == 2001
    # The result's own network and mixture are a system to draw from, too.
    run(
        "simulate", "out/network.json", "-n", "50", "--mixture", "out/mixture.json", "-o", "new.csv"
    )


def test_a_mixture_of_another_network_is_refused_before_anything_is_written(path: Path) -> None:
    dosift.Mixture({dosift.change(shift={"nothing": 1.0}): 1.0}).write(path.parent / "other.json")
    asked = ["simulate", "network.json", "-n", "5", "--mixture", "other.json", "-o", "rows.csv"]
    done = command.run(*asked, cwd=path.parent)
    assert done.returncode == 2
    assert "other.json" in done.stderr
    assert "'nothing'" in done.stderr
    assert not (path.parent / "rows.csv").exists()
