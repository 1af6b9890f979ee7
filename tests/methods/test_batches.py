"""Batches that share targets: found together, weighed apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

import dosift
from dosift.cli.app import app
from dosift.data.blocks import Block
from dosift.errors import InputError
from dosift.likelihood.columns import RowLikelihoods
from dosift.methods.likelihood import _Impossible
from dosift.methods.prior_knowledge import PriorKnowledge


def screen(
    seed: int, n_batches: int, n_rows: int, n_targets: int, per_batch: int
) -> tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]]:
    """Half the units of each batch undisturbed, the rest hit by a few of the targets."""
    network = dosift.random_network(6, random_state=seed)
    mixture = dosift.random_mixture(network, n_targets, random_state=seed, max_size=3)
    targets = [target for target in mixture if target]
    rng = np.random.default_rng(seed)
    truth, frames = {}, []
    for b in range(n_batches):
        chosen = rng.choice(len(targets), per_batch, replace=False)
        shares = 0.5 * rng.dirichlet(np.full(per_batch, 5.0))
        own = {targets[k]: share for k, share in zip(chosen, shares, strict=True)}
        name = f"b{b:02}"
        truth[name] = dosift.Mixture({dosift.do(): 0.5, **own})
        rows = dosift.simulate(network, truth[name], n_rows, random_state=[seed, b])
        frames.append(rows.with_columns(pl.lit(name).alias("guide")))
    return network, pl.concat(frames), truth


@pytest.fixture(scope="module")
def small() -> tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]]:
    return screen(3, 6, 400, 6, 2)


@pytest.fixture(scope="module")
def model(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
) -> dosift.InterventionMixture:
    return dosift.InterventionMixture(small[0]).fit(small[1], batch="guide")


def by_batch(model: dosift.InterventionMixture) -> dict[str, dict[str, float]]:
    assert model.batches_ is not None
    found: dict[str, dict[str, float]] = {}
    for row in model.batches_.to_dicts():
        found.setdefault(row["batch"], {})[row["target"]] = row["weight"]
    return found


def test_targets_and_weights_of_each_batch_are_found(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
) -> None:
    _, _, truth = small
    assert set(model.targets_) == set().union(*truth.values())
    for name, own in by_batch(model).items():
        assert sum(own.values()) == pytest.approx(1)
        expected = {str(target): weight for target, weight in truth[name].items()}
        keys = {*own, *expected}
        tv = sum(abs(own.get(k, 0) - expected.get(k, 0)) for k in keys) / 2
        assert tv < 0.12
    assert model.converged_
    assert model.optimality_gap_ <= 1e-8


def test_the_tables_agree(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
) -> None:
    table = model.batches_
    assert table is not None
    assert ["batch", *model.components_.columns] == [*table.columns, "stands"]
    assert table["batch"].is_sorted()
    assert set(table["target"]) <= set(model.components_["target"])
    assert ((table["ci_low"] <= table["weight"]) & (table["weight"] <= table["ci_high"])).all()
    assert (table["std_error"] > 0).all()
    assert table["rows"].sum() == pytest.approx(len(small[1]))
    pooled = model.components_.sort("target")["weight"].to_numpy()
    averaged = table.group_by("target").agg(pl.col("rows").sum()).sort("target")["rows"].to_numpy()
    assert pooled == pytest.approx(averaged / len(small[1]), abs=0.06)


def test_rows_are_judged_by_the_weights_of_their_batch(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
) -> None:
    _, rows, _ = small
    names = rows["guide"].to_list()
    codes = rows.drop("guide")
    own = model.predict_proba(codes, batch=names)
    assert own.sum(axis=1) == pytest.approx(1)
    present = by_batch(model)
    absent = np.array([[str(t) not in present[name] for t in model.targets_] for name in names])
    assert (own[absent] == 0).all()
    first = np.flatnonzero(np.array(names) == "b00")
    chances = own[first].mean(axis=0)
    weights = [present["b00"].get(str(t), 0.0) for t in model.targets_]
    # At the maximum of the likelihood the mean posterior is the weight.
    assert chances == pytest.approx(weights, abs=1e-6)
    assert model.predict(rows, batch="guide").tolist() == model.predict(codes, batch=names).tolist()
    pooled = model.predict_proba(codes)
    assert np.abs(pooled - own).max() > 0.05
    with pytest.raises(InputError, match=r"batch 'new' in data row 1, which was not among"):
        model.predict(codes, batch=["new"] * len(names))


def test_neither_the_order_of_rows_nor_the_library_matters(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
) -> None:
    network, rows, _ = small
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=1)
    again = dosift.InterventionMixture(network).fit(
        pd.DataFrame(shuffled.to_dict(as_series=False)), batch="guide"
    )
    assert again.batches_ is not None
    assert again.batches_.equals(model.batches_)


def test_weights_of_rows_are_heeded(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
) -> None:
    network, rows, _ = small
    doubled = pl.concat([rows, rows])
    weight = np.append(np.ones(len(rows)), np.zeros(len(rows)))
    again = dosift.InterventionMixture(network).fit(doubled, batch="guide", sample_weight=weight)
    assert by_batch(again) == by_batch(model)


def test_prior_knowledge_holds_in_every_batch(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
) -> None:
    network, rows, truth = small
    listed = sorted(set().union(*truth.values()), key=str)
    said = PriorKnowledge(candidates=listed, required=["V1=0"])
    model = dosift.InterventionMixture(network, prior_knowledge=said).fit(rows, batch="guide")
    assert set(model.targets_) <= {*listed, dosift.do(V1="0")}
    assert dosift.do(V1="0") in model.targets_


@pytest.mark.parametrize(
    ("arguments", "batch", "words"),
    [
        ({}, "gide", "there is no column 'gide' in the rows; did you mean 'guide'"),
        ({}, [1, 2], r"batch has 2 value\(s\) for 2400 row\(s\)"),
        ({}, 7, "batch is 7; give one value for each row"),
        ({}, ["a"] * 2399 + [None], "batch is empty in data row 2400"),
        ({"method": "em"}, "guide", "method 'em' knows no batches"),
    ],
)
def test_mistakes_are_named(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    arguments: dict[str, object],
    batch: object,
    words: str,
) -> None:
    network, rows, _ = small
    frame = rows if isinstance(batch, str) else rows.drop("guide")
    with pytest.raises(InputError, match=words):
        dosift.InterventionMixture(network, **arguments).fit(frame, batch=batch)  # type: ignore[arg-type]


def test_known_weights_are_known_in_every_batch(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
) -> None:
    network, rows, truth = small
    said = PriorKnowledge(known_weights={"do()": 0.5})
    found = dosift.InterventionMixture(network, prior_knowledge=said).fit(rows, batch="guide")
    assert found.mixture_[dosift.do()] == pytest.approx(0.5)
    given = by_batch(found)
    assert set(given) == set(truth)
    for name, own in given.items():
        assert own["do()"] == pytest.approx(0.5)
        assert sum(own.values()) == pytest.approx(1.0)
        expected = {str(target): weight for target, weight in truth[name].items()}
        keys = {*own, *expected}
        assert sum(abs(own.get(k, 0) - expected.get(k, 0)) for k in keys) / 2 < 0.12
    # Knowing a true weight costs the likelihood next to nothing.
    assert found.log_likelihood_ == pytest.approx(model.log_likelihood_, abs=10.0)


def test_a_fit_without_batches_has_none(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
) -> None:
    network, rows, _ = small
    frame = rows.drop("guide")
    plain = dosift.InterventionMixture(network).fit(frame)
    assert plain.batches_ is None
    with pytest.raises(InputError, match="fitted without batches"):
        plain.predict(frame, batch=["a"] * len(frame))


def test_the_command_writes_batches(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
    tmp_path: Path,
) -> None:
    network, rows, _ = small
    dosift.write_network(network, tmp_path / "net.bif")
    rows.write_csv(tmp_path / "rows.csv")
    arguments = ["fit", str(tmp_path / "net.bif"), str(tmp_path / "rows.csv"), "--batch", "guide"]
    result = CliRunner().invoke(
        app,
        [*arguments, "-o", str(tmp_path / "out"), "--json", "--quiet"],
        catch_exceptions=False,
        standalone_mode=False,
    )
    content = json.loads(result.stdout)
    written = pl.read_csv(tmp_path / "out" / "batches.csv")
    assert model.batches_ is not None
    assert written["target"].to_list() == model.batches_["target"].to_list()
    assert [row["weight"] for row in content["batches"]] == pytest.approx(
        model.batches_["weight"].to_list()
    )
    found = pl.read_parquet(tmp_path / "out" / "rows.parquet")
    assert found["target"].to_list() == model.predict(rows, batch="guide").tolist()


@pytest.mark.slow
def test_many_small_batches_beat_the_pool() -> None:
    """Over six screens: what is found of the targets, and how much of it is true."""
    found: dict[str, list[tuple[float, float]]] = {"pool": [], "batches": []}
    for seed in range(6):
        network, rows, truth = screen(seed, 40, 200, 20, 2)
        true = set().union(*truth.values())
        batched = dosift.InterventionMixture(network).fit(rows, batch="guide")
        pooled = dosift.InterventionMixture(network).fit(rows.drop("guide"))
        for name, model in (("pool", pooled), ("batches", batched)):
            own = set(model.targets_)
            found[name].append((len(own & true) / len(true), len(own & true) / len(own)))
    recall, precision = np.mean(found["batches"], axis=0)
    assert recall > np.mean(found["pool"], axis=0)[0] + 0.05
    assert recall > 0.93
    assert precision > 0.95


@pytest.mark.slow
def test_intervals_of_batches_cover() -> None:
    """Over eight screens: the 95 % intervals of true components that were found.

    Some 640 weights; were their coverage 93 %, less than 89 % of them would happen in fewer than
    one of 10,000 runs.
    """
    covered = []
    for seed in range(20, 28):
        network, rows, truth = screen(seed, 20, 400, 12, 3)
        model = dosift.InterventionMixture(network).fit(rows, batch="guide")
        assert model.batches_ is not None
        for row in model.batches_.iter_rows(named=True):
            true = truth[row["batch"]].get(dosift.parse_target(row["target"]))
            if true is not None:
                covered.append(row["ci_low"] <= true <= row["ci_high"])
    assert len(covered) > 500
    assert 0.89 < np.mean(covered) < 1


def test_batches_and_labels_of_an_annotated_matrix(
    small: tuple[dosift.Network, pl.DataFrame, dict[str, dosift.Mixture]],
    model: dosift.InterventionMixture,
    tmp_path: Path,
) -> None:
    anndata = pytest.importorskip("anndata")
    from dosift.data import load_rows
    from dosift.data.with_columns import load_with_columns

    network, rows, _ = small
    codes = load_rows(rows.drop("guide"), network).codes
    obs = pd.DataFrame(
        {"guide": pd.Categorical(rows["guide"].to_list()), "known": ["do()"] + [""] * 2399},
        index=[f"c{k}" for k in range(2400)],
    )
    cells = anndata.AnnData(codes.astype(np.float32), obs=obs)
    cells.var_names = network.names
    cells.write_h5ad(tmp_path / "cells.h5ad")
    read, (guide, known) = load_with_columns(tmp_path / "cells.h5ad", network, ["guide", "known"])
    assert np.array_equal(read.codes, codes)
    assert [guide.texts[k] for k in guide.index] == rows["guide"].to_list()
    assert known.texts == ("do()",)
    assert known.index.tolist() == [0] + [-1] * 2399
    again = dosift.InterventionMixture(network).fit(read, batch=guide)
    assert by_batch(again) == by_batch(model)


def test_rows_that_no_target_explains_are_gathered_over_blocks() -> None:
    """Each once, whatever the number of targets, from any number of blocks."""
    network = dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [[1.0, 0.0]], "b": [[0.5, 0.5]]}
    )
    codes = np.array([[0, 0], [1, 1], [0, 1], [1, 1], [1, 0]])
    gather = _Impossible(np.array([[-1, -1], [0, 1]]), network.cardinalities)
    one, other = (
        gather(RowLikelihoods(network, Block(part, np.ones(len(part))), False))
        for part in (codes[:3], codes[3:])
    )
    assert one.tolist() == [[1, 1]]
    assert sorted(gather.merge(one, other).tolist()) == [[1, 0], [1, 1]]
