"""Missing values: summed over exactly, found through, and warned about."""

from __future__ import annotations

import itertools
import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import dosift
from command import run
from dosift.data import collapse
from dosift.errors import InputError, MisfitWarning, MissingValuesWarning
from dosift.likelihood.assignment import assign
from dosift.likelihood.completions import complete
from dosift.model import Network
from dosift.model.random_problems import random_mixture, random_network
from dosift.model.simulate import sample_codes
from dosift.search.filling import filled_in

Ints = NDArray[np.integer]


def problem(seed: int, n: int, n_rows: int) -> tuple[Network, dosift.Mixture, Ints, Ints]:
    """Draw a problem; return also the target of each row."""
    network = random_network(n, random_state=seed)
    mixture = random_mixture(network, 4, random_state=seed)
    rng = np.random.default_rng(seed)
    codes, labels = sample_codes(network, *mixture.to_codes(network), n_rows, rng)
    return network, mixture, codes, labels


def holes(codes: Ints, share: float, seed: int) -> Ints:
    rng = np.random.default_rng([seed, 7])
    return np.where(rng.random(codes.shape) < share, -1, codes)


def summed(network: Network, targets: Ints, codes: Ints) -> NDArray[np.float64]:
    """Probability of each row under each target, by brute force."""
    out = np.zeros((len(codes), len(targets)))
    for cell in itertools.product(*map(range, network.cardinalities)):
        agrees = ((codes == cell) | (codes < 0)).all(axis=1)
        one = np.array([cell])
        for t in range(len(targets)):
            found = assign(network, targets[t : t + 1], np.ones(1), one)
            out[agrees, t] += np.exp(found.log_probability[0])
    return out


@pytest.mark.parametrize("seed", range(6))
def test_likelihoods_are_sums_over_completions(seed: int) -> None:
    network, mixture, codes, _ = problem(seed, 4, 60)
    if seed % 2:  # structural zeros
        tables = [np.where(t < 0.15, 0.0, t) for t in network.tables]
        network = network.with_tables([t / t.sum(axis=1, keepdims=True) for t in tables])
    targets, weights = mixture.to_codes(network)
    codes = holes(codes, 0.4, seed)
    codes[0] = -1
    found = assign(network, targets, weights, codes)
    expected = summed(network, targets, codes)
    each = found.columns * np.exp(found.log_reference)[:, None]
    assert each == pytest.approx(expected, rel=1e-12, abs=1e-300)
    with np.errstate(divide="ignore"):
        assert found.log_probability == pytest.approx(np.log(expected @ weights), rel=1e-12)
    assert found.log_probability[0] == pytest.approx(0.0, abs=1e-12)


def test_only_values_that_observed_ones_depend_on_are_filled_in() -> None:
    network = Network.from_tables(
        {name: ["0", "1", "2"] for name in "abcd"},
        {"b": ["a"], "c": ["b"], "d": ["c"]},
        {
            "a": np.ones(3) / 3,
            **{name: np.random.default_rng(0).dirichlet(np.ones(3), size=3) for name in "bcd"},
        },
    )
    found = complete(network, np.array([[0, -1, 1, -1], [-1, 2, -1, -1], [0, 1, 2, 0]]))
    assert found.codes.tolist() == [
        *([0, b, 1, -1] for b in range(3)),
        *([a, 2, -1, -1] for a in range(3)),
        [0, 1, 2, 0],
    ]
    assert found.row.tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_filled_in_rows_keep_their_number_and_what_was_seen() -> None:
    network, mixture, codes, _ = problem(1, 5, 500)
    targets, weights = mixture.to_codes(network)
    rows = collapse(holes(codes, 0.2, 1), network.cardinalities)
    filled = filled_in(network, targets, weights, rows)
    assert (filled.codes >= 0).all()
    assert filled.total == pytest.approx(500, abs=1)
    for i in range(5):
        seen = np.bincount(rows.codes[rows.codes[:, i] >= 0, i], minlength=3)
        there = np.bincount(filled.codes[:, i], filled.counts, minlength=3)
        weighted = np.bincount(
            rows.codes[rows.codes[:, i] >= 0, i], rows.counts[rows.codes[:, i] >= 0], 3
        )
        assert seen.size == 3
        assert (there >= weighted - 1.5).all()


def test_rows_that_nothing_explains_are_filled_in_too() -> None:
    """None of the targets can give b = 1 where a = 0; the search has to see such rows."""
    network = Network.from_tables(
        {name: ["0", "1"] for name in "abc"},
        {"b": ["a"]},
        {"a": [[0.5, 0.5]], "b": [[1.0, 0.0], [0.2, 0.8]], "c": [[0.3, 0.7]]},
    )
    codes = np.array([[0, 1, -1], [0, 1, -1], [1, 1, -1], [0, 0, 1]])
    rows = collapse(codes, network.cardinalities)
    filled = filled_in(network, np.full((1, 3), -1), np.ones(1), rows)
    assert filled.total == pytest.approx(4.0)
    is_odd = (filled.codes[:, 0] == 0) & (filled.codes[:, 1] == 1)
    assert filled.counts[is_odd].sum() == pytest.approx(2.0)


@pytest.mark.parametrize("seeds", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_ten_percent_missing_cost_little(seeds: int) -> None:
    with_holes, without, errors = [], [], []
    for seed in range(seeds):
        network, mixture, codes, _ = problem(seed, 5, 4000)
        whole = dosift.InterventionMixture(network).fit(codes)
        model = dosift.InterventionMixture(network).fit(holes(codes, 0.1, seed))
        assert model.missing_values_.share == pytest.approx(np.full(5, 0.1), abs=0.03)
        without.append(dosift.evaluate(mixture, whole.mixture_).recall)
        found = dosift.evaluate(mixture, model.mixture_)
        with_holes.append(found.recall)
        assert found.precision >= 0.75
        errors += [model.mixture_[t] - w for t, w in mixture.items() if t in model.mixture_]
        assert model.posterior_ is not None
    assert np.mean(with_holes) >= np.mean(without) - 0.06
    # No bias: four standard errors of a mean over the components.
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors)) + 1e-3


def test_missing_at_random_given_what_is_seen_does_no_harm_but_is_said() -> None:
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1", "2"]},
        {"b": ["a"]},
        {"a": [0.5, 0.5], "b": [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]},
    )
    truth = dosift.Mixture({dosift.do(): 0.6, dosift.do(b="1"): 0.4})
    codes, _ = sample_codes(network, *truth.to_codes(network), 20_000, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    # b is missing more often where a = 1.
    codes[rng.random(len(codes)) < np.where(codes[:, 0] == 1, 0.6, 0.1), 1] = -1
    with pytest.warns(MissingValuesWarning, match="b, which depends on a"):
        model = dosift.InterventionMixture(network).fit(codes)
    assert model.fit_check_.fits
    assert model.mixture_[dosift.do(b="1")] == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize(("seeds", "least"), [(1, 1), pytest.param(6, 5, marks=pytest.mark.slow)])
def test_values_that_hide_themselves_are_noticed(seeds: int, least: int) -> None:
    noticed = 0
    for seed in range(seeds):
        network, _, codes, _ = problem(seed, 4, 10_000)
        rng = np.random.default_rng([seed, 1])
        i = int(network.order[-1])
        hidden = (codes[:, i] == 0) & (rng.random(len(codes)) < 0.7)
        codes[hidden, i] = -1
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            dosift.InterventionMixture(network).fit(codes)
        noticed += any(issubclass(w.category, MissingValuesWarning | MisfitWarning) for w in caught)
    assert noticed >= least


def test_rows_and_the_command_with_missing_values(tmp_path: Path) -> None:
    network, _, codes, _ = problem(2, 5, 3000)
    names = np.array([[*states, None] for states in (v.states for v in network.variables)])
    with_holes = holes(codes, 0.1, 2)
    rows = pl.DataFrame(
        {v.name: names[i][with_holes[:, i]].tolist() for i, v in enumerate(network.variables)}
    )
    rows.write_csv(tmp_path / "rows.csv")
    dosift.write_network(network, tmp_path / "net.bif")
    for arguments in (
        ["fit", "net.bif", "rows.csv", "-o", "out"],
        ["assign", "out", "rows.csv", "-o", "again.parquet"],
    ):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    table = pl.read_parquet(tmp_path / "out" / "rows.parquet")
    assert table.equals(pl.read_parquet(tmp_path / "again.parquet"))
    assert table.height == 3000
    assert table["target"].null_count() == 0
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    lacking = int((with_holes < 0).any(axis=1).sum())
    assert content["diagnostics"]["rows_with_missing_values"] == lacking
    model = dosift.InterventionMixture(network).fit(rows)
    assert model.score(rows) == pytest.approx(-model.surprise(rows).mean())
    assert model.score(rows) * 3000 == pytest.approx(model.log_likelihood_)


def test_what_needs_complete_rows_says_so() -> None:
    network, _, codes, _ = problem(3, 4, 200)
    with_holes = holes(codes, 0.1, 3)
    with pytest.raises(InputError, match="moments and missing values cannot be combined"):
        dosift.InterventionMixture(network, method="moments").fit(with_holes)


def test_missing_values_go_with_batches_and_labels() -> None:
    """Each batch alone, with the targets that all have, has the weights that it has here."""
    network, mixture, codes, origin = problem(5, 4, 6000)
    with_holes = holes(codes, 0.1, 5)
    batch = np.arange(6000) % 2
    names = np.array([str(t) for t in mixture], dtype=object)
    labels = np.where(np.arange(6000) % 7 == 0, names[origin], "")
    model = dosift.InterventionMixture(network).fit(with_holes, batch=batch, labels=labels)
    assert model.n_rows_ == (labels == "").sum()
    table = model.batches_
    assert table is not None
    for b in range(2):
        own = table.filter(table["batch"] == str(b))
        targets = [dosift.parse_target(t) for t in own["target"]]
        here = dosift.Mixture.to_codes(
            dosift.Mixture(dict(zip(targets, own["weight"], strict=True))), network
        )
        at = (batch == b) & (labels == "")
        columns = summed(network, here[0], with_holes[at])
        share = columns / (columns @ here[1])[:, None]
        # The slope of the likelihood is one at every weight that is not zero.
        assert share.mean(axis=0) == pytest.approx(np.ones(len(here[1])), abs=1e-5)


def test_too_many_completions_are_refused_before_memory_is_taken() -> None:
    names = [f"v{i}" for i in range(40)]
    network = Network.from_tables(
        {name: ["0", "1", "2"] for name in names},
        {b: [a] for a, b in itertools.pairwise(names)},
        {
            names[0]: np.ones(3) / 3,
            **{name: np.random.default_rng(0).dirichlet(np.ones(3), size=3) for name in names[1:]},
        },
    )
    codes = np.full((2, 40), -1)
    codes[:, -1] = 0
    codes[0] = 0
    with pytest.raises(InputError, match=r"4\.1e\+18 completions.*one has 39"):
        dosift.InterventionMixture(network).fit(codes)
