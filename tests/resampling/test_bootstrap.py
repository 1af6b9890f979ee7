"""The bootstrap: what it covers, that it goes on after a kill, and what it refuses."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import dosift
from dosift.errors import InputError
from dosift.model.random_problems import random_mixture, random_network


@pytest.fixture(scope="module")
def fitted() -> tuple[dosift.InterventionMixture, object]:
    network = random_network(4, random_state=5)
    truth = random_mixture(network, 4, random_state=6)
    rows = dosift.simulate(network, truth, 3000, random_state=7)
    return dosift.InterventionMixture(network).fit(rows), rows


@pytest.mark.long
@pytest.mark.parametrize(
    "kind", ["nonparametric", pytest.param("parametric", marks=pytest.mark.slow)]
)
def test_errors_agree_with_the_information(
    fitted: tuple[dosift.InterventionMixture, object], kind: str
) -> None:
    model, rows = fitted
    table = dosift.bootstrap(model, rows, kind=kind, n_resamples=100, search=False).summary()  # type: ignore[arg-type]
    assert table["target"].to_list() == [str(t) for t in model.targets_]
    sure = model.components_["probability"].to_numpy() > 0.999
    assert sure.sum() >= 3
    ratio = table["std_error"].to_numpy() / model.components_["std_error"].to_numpy()
    assert np.all((ratio[sure] > 0.7) & (ratio[sure] < 1.4))
    assert np.all(table["ci_low"].to_numpy() <= table["weight"].to_numpy())


@pytest.mark.long
def test_processes_and_kills_do_not_change_it(
    fitted: tuple[dosift.InterventionMixture, object], tmp_path: Path
) -> None:
    model, rows = fitted
    whole = dosift.bootstrap(model, rows, n_resamples=4, processes=2)
    journal = tmp_path / "resamples.jsonl"
    dosift.bootstrap(model, rows, n_resamples=2, journal=journal)
    text = journal.read_text(encoding="utf-8")
    journal.write_text(text + '{"resample": 2, "targ', encoding="utf-8")  # a kill in mid-line
    again = dosift.bootstrap(model, rows, n_resamples=4, journal=journal)
    assert np.array_equal(whole.weights, again.weights)
    assert np.array_equal(whole.targets, again.targets)
    kept = journal.read_text(encoding="utf-8").splitlines()
    assert kept[:3] == text.splitlines()
    assert [json.loads(line)["resample"] for line in kept[1:]] == list(range(4))
    with pytest.raises(InputError, match="other rows or settings"):
        dosift.bootstrap(model, rows, n_resamples=4, journal=journal, random_state=1)


def test_each_row_may_come_several_times_or_not_at_all(
    fitted: tuple[dosift.InterventionMixture, object],
) -> None:
    model, rows = fitted
    found = dosift.bootstrap(model, rows, n_resamples=10)
    assert found.weights.shape[0] == 10
    assert np.allclose(found.weights.sum(axis=1), 1.0)
    assert len(np.unique(found.weights, axis=0)) == 10
    table = found.summary(0.5)
    wide = found.summary(0.99)
    assert (wide["ci_high"] >= table["ci_high"]).all()


def test_what_cannot_be_done_is_refused(
    fitted: tuple[dosift.InterventionMixture, object],
) -> None:
    model, rows = fitted
    with pytest.raises(InputError, match="kind is 'jackknife'"):
        dosift.bootstrap(model, rows, kind="jackknife")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="n_resamples is 1"):
        dosift.bootstrap(model, rows, n_resamples=1)


@pytest.mark.parametrize("method", ["moments", "em", "brute-force"])
def test_every_method_is_bootstrapped(
    fitted: tuple[dosift.InterventionMixture, object], method: str
) -> None:
    """Weights of resamples scatter about the fit's as those of a mean of so many rows may."""
    model, rows = fitted
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dosift.errors.DosiftWarning)
        size = {} if method == "moments" else {"max_size": 1}
        other = dosift.InterventionMixture(model.network, method=method, **size).fit(rows)  # type: ignore[arg-type]
        found = dosift.bootstrap(other, rows, n_resamples=8)
    # The components of the fit come first, then what else turned up.
    m = len(other.targets_)
    assert found.weights.shape == (8, len(found.targets))
    assert np.allclose(found.weights.sum(axis=1), 1.0)
    assert np.allclose(found.estimate[:m], other.weights_)
    assert not found.estimate[m:].any()
    assert np.unique(found.weights, axis=0).shape[0] == 8


@pytest.mark.long
@pytest.mark.filterwarnings(
    "ignore::dosift.errors.MisfitWarning", "ignore::dosift.errors.GraphWarning"
)
def test_a_learned_network_adds_its_error() -> None:
    network = random_network(4, random_state=1)
    truth = random_mixture(network, 4, random_state=2)
    rows = dosift.simulate(network, truth, 2000, random_state=3)
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 400, random_state=4)
    edges = [(network.names[p], network.names[i]) for i in range(4) for p in network.parents[i]]
    learned = dosift.learn_network(edges, control)
    known = dosift.PriorKnowledge(candidates=list(truth), required=list(truth))
    wide, narrow = (
        dosift.bootstrap(model, rows, n_resamples=60).weights.std(axis=0).sum()
        for model in (
            dosift.InterventionMixture(learned, prior_knowledge=known).fit(rows),
            dosift.InterventionMixture(network, prior_knowledge=known).fit(rows),
        )
    )
    assert wide > narrow
