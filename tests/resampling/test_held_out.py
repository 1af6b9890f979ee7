"""Held-out log-likelihood: what it says, and that it says the same however rows come."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import dosift
from command import run
from dosift.errors import InputError
from dosift.likelihood.assignment import assign
from dosift.model.random_problems import random_mixture, random_network


@pytest.mark.long
@pytest.mark.parametrize("seeds", [4, pytest.param(16, marks=pytest.mark.slow)])
def test_it_is_close_to_the_log_likelihood_of_fresh_rows(seeds: int) -> None:
    closeness, better = [], 0
    for seed in range(seeds):
        network = random_network(5, random_state=seed)
        truth = random_mixture(network, 4, random_state=seed)
        rows = dosift.simulate(network, truth, 3000, random_state=seed)
        fresh = dosift.simulate(network, truth, 20_000, random_state=seed + 100)
        model = dosift.InterventionMixture(network).fit(rows)
        found = dosift.held_out(model, rows, random_state=seed)
        closeness.append(found.mixture - model.score(fresh))
        better += found.gain > 3 * found.std_error
        assert found.mixture <= model.score(rows) + 1e-3
        assert found.gain == pytest.approx(found.mixture - found.network)
    # The standard error of a mean over 3,000 rows is about .02 nats.
    assert np.abs(np.mean(closeness)) < 0.04
    assert better == seeds


@pytest.mark.long
@pytest.mark.parametrize("seeds", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_nothing_is_gained_where_nothing_was_set(seeds: int) -> None:
    gains = []
    for seed in range(seeds):
        network = random_network(4, random_state=seed)
        rows = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 1000, random_state=seed)
        model = dosift.InterventionMixture(network).fit(rows)
        gains.append(dosift.held_out(model, rows).gain)
    assert max(gains) < 0.005
    assert np.mean(gains) <= 1e-3


def test_the_order_of_rows_and_repetition_do_not_matter() -> None:
    network = random_network(4, random_state=3)
    truth = random_mixture(network, 3, random_state=3)
    codes = dosift.simulate(network, truth, 600, random_state=3)
    model = dosift.InterventionMixture(network).fit(codes)
    first = dosift.held_out(model, codes, folds=3)
    assert (
        dosift.held_out(model, codes.sample(fraction=1.0, shuffle=True, seed=1), folds=3) == first
    )
    counted = codes.group_by(codes.columns, maintain_order=True).len("n")
    weight = counted["n"].to_numpy()
    assert dosift.held_out(model, counted.drop("n"), folds=3, sample_weight=weight) == first


def test_rows_that_the_other_folds_rule_out_are_counted() -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [0.5, 0.5], "b": [[1.0, 0.0], [0.0, 1.0]]},
    )
    rows = np.array([[0, 0]] * 50 + [[1, 1]] * 49 + [[0, 1]])
    model = dosift.InterventionMixture(network).fit(rows)
    found = dosift.held_out(model, rows)
    assert found.impossible == 1.0
    assert found.mixture == -np.inf
    assert found.network == -np.inf
    nothing = assign(network, np.full((1, 2), -1), np.ones(1), rows[:1]).log_probability[0]
    assert found.gain == pytest.approx(0.0, abs=0.2)
    assert nothing == pytest.approx(np.log(0.5))


def test_what_cannot_be_held_out_is_refused() -> None:
    network = random_network(3, random_state=0)
    truth = random_mixture(network, 2, random_state=0)
    rows = dosift.simulate(network, truth, 200, random_state=0)
    model = dosift.InterventionMixture(network).fit(rows)
    with pytest.raises(InputError, match="folds is 1"):
        dosift.held_out(model, rows, folds=1)
    with pytest.raises(InputError, match="cannot be split into 300 folds"):
        dosift.held_out(model, rows, folds=300)
    with pytest.raises(InputError, match="whole numbers"):
        dosift.held_out(model, rows, sample_weight=np.full(200, 0.3))
    batched = dosift.InterventionMixture(network).fit(rows, batch=np.arange(200) % 2)
    with pytest.raises(InputError, match="fitted with batch; give the rows with batch"):
        dosift.held_out(batched, rows)


def test_the_command_adds_it_to_the_result(tmp_path: Path) -> None:
    network = random_network(4, random_state=2)
    truth = random_mixture(network, 3, random_state=2)
    rows = dosift.simulate(network, truth, 2000, random_state=2)
    rows.write_csv(tmp_path / "rows.csv")
    dosift.write_network(network, tmp_path / "net.bif")
    done = run("fit", "net.bif", "rows.csv", "-o", "out", "--held-out", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    read = dosift.read_network(tmp_path / "net.bif")
    model = dosift.InterventionMixture(read).fit(rows)
    assert content["held_out"] == pytest.approx(asdict(dosift.held_out(model, rows, folds=4)))
    assert "Held out" in (tmp_path / "out" / "report.html").read_text()
