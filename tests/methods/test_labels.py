"""Labelled rows: what they teach, what they say about weights, and labels that rows contradict."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.data import load_rows
from dosift.data.load import load
from dosift.errors import DosiftWarning, InputError
from dosift.methods.labels import read_labels, taught
from dosift.methods.prior_knowledge import PriorKnowledge


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    return dosift.random_network(4, random_state=1)


@pytest.fixture(scope="module")
def truth() -> dosift.Mixture:
    return dosift.Mixture({dosift.do(): 0.5, dosift.do(V1=1): 0.3, dosift.do(V2=0, V3=1): 0.2})


def drawn(
    network: dosift.Network, mixture: dosift.Mixture, n_rows: int, seed: int
) -> tuple[pl.DataFrame, np.ndarray]:
    """Rows with the target of each."""
    from dosift.model.simulate import sample_codes

    targets, weights = mixture.to_codes(network)
    codes, origin = sample_codes(network, targets, weights, n_rows, np.random.default_rng(seed))
    names = np.array([str(target) for target in mixture], dtype=object)
    states = {v.name: np.array(v.states)[codes[:, i]] for i, v in enumerate(network.variables)}
    return pl.DataFrame(states), names[origin]


def hidden(labels: np.ndarray, kept: np.ndarray) -> list[str | None]:
    return [label if one else None for label, one in zip(labels, kept, strict=True)]


def test_chosen_labels_leave_the_weights_to_the_other_rows(
    network: dosift.Network, truth: dosift.Mixture
) -> None:
    rows, labels = drawn(network, truth, 3000, 1)
    # Half of the rows of one target were looked up: no random sample at all.
    kept = (labels == "do(V1=1)") & (np.arange(3000) % 2 == 0)
    model = dosift.InterventionMixture(network).fit(rows, labels=hidden(labels, kept))
    alone = dosift.InterventionMixture(network).fit(rows.filter(pl.Series(~kept)))
    assert model.mixture_ == alone.mixture_
    assert model.n_rows_ == (~kept).sum()
    assert model.mixture_[dosift.do(V1=1)] == pytest.approx(0.15 / 0.85, abs=0.03)


def test_random_labels_sharpen_the_weights(network: dosift.Network, truth: dosift.Mixture) -> None:
    rows, labels = drawn(network, truth, 2000, 2)
    kept = np.random.default_rng(0).random(2000) < 0.5
    given = hidden(labels, kept)
    chosen = dosift.InterventionMixture(network).fit(rows, labels=given)
    model = dosift.InterventionMixture(network).fit(rows, labels=given, random_labels=True)
    assert model.n_rows_ == 2000
    assert model.converged_
    assert model.optimality_gap_ <= 1e-8
    assert dosift.evaluate(truth, model.mixture_).tv < 0.04
    errors = {row["target"]: row["std_error"] for row in chosen.components_.to_dicts()}
    for row in model.components_.to_dicts():
        assert row["std_error"] < 0.9 * errors[row["target"]]


def test_with_random_labels_the_weights_maximise_the_joint_likelihood(
    network: dosift.Network, truth: dosift.Mixture
) -> None:
    from dosift.likelihood.assignment import assign

    rows, labels = drawn(network, truth, 600, 3)
    given = hidden(labels, np.arange(600) % 3 == 0)
    model = dosift.InterventionMixture(network).fit(rows, labels=given, random_labels=True)
    targets, weights = model.mixture_.to_codes(network)
    found = assign(network, targets, weights, load_rows(rows, network).codes)
    columns = found.columns.copy()
    names = np.array([str(target) for target in model.mixture_])
    for r, label in enumerate(given):
        if label is not None:
            columns[r, names != label] = 0.0
    gradient = (columns / (columns @ weights)[:, None]).mean(axis=0)
    assert gradient == pytest.approx(np.ones(len(names)), abs=1e-6)
    log_likelihood = np.sum(np.log(columns @ weights) + found.log_reference)
    assert model.log_likelihood_ == pytest.approx(log_likelihood)
    counts = np.array([given.count(name) for name in names])
    assert (model.components_["rows"].to_numpy() >= counts - 1e-6).all()


def test_a_rare_labelled_target_is_never_dropped(network: dosift.Network) -> None:
    rows, _ = drawn(network, dosift.Mixture({dosift.do(): 1.0}), 500, 4)
    state = rows["V4"][0]
    labels = [f"V4={state}"] + [""] * 499
    model = dosift.InterventionMixture(network).fit(rows, labels=labels)
    assert dosift.do(V4=state) in model.targets_
    assert model.mixture_[dosift.do(V4=state)] < 0.05


def test_labelled_rows_teach_a_learned_network(
    network: dosift.Network, truth: dosift.Mixture
) -> None:
    control, _ = drawn(network, dosift.Mixture({dosift.do(): 1.0}), 200, 5)
    learned = dosift.learn_network(network.edges, control)
    rows, labels = drawn(network, truth, 3000, 6)
    loaded = load(rows, learned, labels=hidden(labels, np.arange(3000) < 2000))
    marks = read_labels(loaded, learned)
    assert marks.labelled.sum() == 2000
    wiser = taught(learned, marks, loaded)
    assert wiser.control is not None
    assert learned.control is not None
    for i, name in enumerate(learned.names):
        free = [label for label in labels[:2000] if f"{name}=" not in label]
        grown = wiser.control.counts[i].sum() - learned.control.counts[i].sum()
        assert grown == len(free)

    def error(one: dosift.Network) -> float:
        true = dict(zip(network.names, network.tables, strict=True))
        same = all(
            [one.names[p] for p in one.parents[i]]
            == [network.names[p] for p in network.parents[network.positions[name]]]
            for i, name in enumerate(one.names)
        )
        assert same
        pairs = [(one.tables[i], true[name]) for i, name in enumerate(one.names)]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairs]))

    assert error(wiser) < 0.6 * error(learned)
    assert taught(network, marks, loaded) is network
    model = dosift.InterventionMixture(learned, refine=False).fit(
        rows, labels=hidden(labels, np.arange(3000) < 2000)
    )
    assert np.allclose(model.network_.tables[0], wiser.tables[0])


def test_labels_go_with_batches(network: dosift.Network, truth: dosift.Mixture) -> None:
    rows, labels = drawn(network, truth, 2000, 7)
    given = hidden(labels, np.arange(2000) % 10 == 0)
    batch = np.arange(2000) % 4
    model = dosift.InterventionMixture(network).fit(rows, batch=batch, labels=given)
    assert model.batches_ is not None
    assert model.batches_["rows"].sum() == pytest.approx(1800)
    assert set(model.targets_) == set(truth)


def test_random_labels_go_with_batches(network: dosift.Network) -> None:
    """Labels drawn at random tell about the weights of their own batch."""
    truths = [
        dosift.Mixture({dosift.do(): 0.5, dosift.do(V1=1): 0.5}),
        dosift.Mixture({dosift.do(): 0.7, dosift.do(V1=1): 0.1, dosift.do(V2=0, V3=1): 0.2}),
    ]
    parts = [drawn(network, truth, 2000, 30 + k) for k, truth in enumerate(truths)]
    rows = pl.concat([rows for rows, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    kept = np.random.default_rng(1).random(4000) < 0.3
    batch = np.repeat(["p", "q"], 2000)
    given = hidden(labels, kept)
    with_labels, without = (
        dosift.InterventionMixture(network).fit(rows, batch=batch, **more)  # type: ignore[arg-type]
        for more in ({"labels": given, "random_labels": True}, {})
    )
    assert with_labels.n_rows_ == 4000
    errors = []
    for model in (with_labels, without):
        assert model.batches_ is not None
        found = {(r["batch"], r["target"]): r for r in model.batches_.to_dicts()}
        for name, truth in zip("pq", truths, strict=True):
            for target, weight in truth.items():
                own = found[name, str(target)]
                assert own["weight"] == pytest.approx(weight, abs=5 * own["std_error"])
        errors.append(np.mean([r["std_error"] for r in found.values()]))
    assert errors[0] < errors[1]


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ({}, {"labels": ["do(V1=1)"]}, r"labels has 1 value\(s\) for 4 row\(s\)"),
        (
            {},
            {"labels": ["", "do(V1=1)", "", ""]},
            r"data row 2: label do\(V1=1\) sets 'V1' to '1'",
        ),
        ({}, {"labels": ["", "do(V9=1)", "", ""]}, r"label 'do\(V9=1\)' in data row 2: .*'V9'"),
        ({}, {"labels": ["", "V1=0", "V1=", ""]}, "data row 3: expected a state"),
        ({}, {"labels": ["do()"] * 4}, "labels every row"),
        ({}, {"random_labels": True}, "no labels are given"),
        ({}, {"labels": ["do()", "", "", ""], "random_labels": 1}, "give True or False"),
        (
            {},
            {"labels": ["do()", "do()", "", ""], "batch": list("aabb")},
            "all rows of batch 'a' are labelled",
        ),
        ({"method": "em"}, {"labels": ["do()", "", "", ""]}, "method 'em' knows no labels"),
        ({"max_size": 1}, {"labels": ["V1=0, V2=0", "", "", ""]}, "max_size is 1"),
        (
            {"prior_knowledge": PriorKnowledge(excluded=["V1=0"])},
            {"labels": ["V1=0", "", "", ""]},
            r"rows are labelled do\(V1=0\), but it contains do\(V1=0\), which is excluded",
        ),
    ],
)
def test_mistakes_are_named(
    network: dosift.Network,
    arguments: dict[str, object],
    options: dict[str, object],
    words: str,
) -> None:
    rows = pl.DataFrame({name: ["0"] * 4 for name in network.names})
    with pytest.raises(InputError, match=words):
        dosift.InterventionMixture(network, **arguments).fit(rows, **options)  # type: ignore[arg-type]


def test_a_label_under_which_the_row_cannot_occur_is_refused() -> None:
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [0.5, 0.5], "b": [[1.0, 0.0], [0.5, 0.5]]},
    )
    rows = {"a": ["0", "0", "1"], "b": ["1", "0", "1"]}
    with pytest.raises(InputError, match=r"under label do\(\) the network gives probability zero"):
        dosift.InterventionMixture(network).fit(rows, labels=["do()", None, None])
    # A row without weight may say what it likes.
    dosift.InterventionMixture(network).fit(
        rows, labels=["do()", None, None], sample_weight=[0, 50, 50]
    )


def test_the_command_reads_labels_and_writes_them(
    network: dosift.Network, truth: dosift.Mixture, tmp_path: Path
) -> None:
    rows, labels = drawn(network, truth, 1500, 8)
    given = hidden(labels, np.arange(1500) % 5 == 0)
    rows.with_columns(pl.Series("known", given, dtype=pl.String)).write_csv(tmp_path / "rows.csv")
    dosift.write_network(network, tmp_path / "net.bif")
    files = [str(tmp_path / "net.bif"), str(tmp_path / "rows.csv")]
    options = ["--labels", "known", "--random-labels", "--all-probabilities", "--json", "--quiet"]
    result = CliRunner().invoke(
        app,
        ["fit", *files, "-o", str(tmp_path / "out"), *options],
        catch_exceptions=False,
        standalone_mode=False,
    )
    content = json.loads(result.stdout)
    model = dosift.InterventionMixture(network).fit(rows, labels=given, random_labels=True)
    assert [row["weight"] for row in content["components"]] == pytest.approx(
        model.weights_.tolist()
    )
    table = pl.read_parquet(tmp_path / "out" / "rows.parquet")
    assert table["labelled"].to_list() == [label is not None for label in given]
    known = table.filter("labelled")
    assert known["target"].to_list() == [label for label in given if label is not None]
    assert (known["probability"] == 1).all()
    sums = table.select(pl.sum_horizontal(*(str(t) for t in model.targets_)))
    assert sums.to_series().to_numpy() == pytest.approx(1)
    assert table.filter(~pl.col("labelled"))["probability"].min() < 1


def test_a_label_is_contradicted_by_what_is_seen_alone() -> None:
    """Without its parent a value may well have come about, though under one state it cannot."""
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [[0.5, 0.5]], "b": [[0.3, 0.7], [1.0, 0.0]]},
    )
    rows = pl.DataFrame({"a": ["0", None, "1"] * 20, "b": ["1", "1", "0"] * 20})
    labels = ["do()", "do()", ""] * 20
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DosiftWarning)
        model = dosift.InterventionMixture(network).fit(rows, labels=labels)
    assert model.labels_.targets == (dosift.do(),)
    wrong = pl.DataFrame({"a": ["0", "1", "1"] * 20, "b": ["1", "1", "0"] * 20})
    with pytest.raises(InputError, match="data row 2"):
        dosift.InterventionMixture(network).fit(wrong, labels=labels)
