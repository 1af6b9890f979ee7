"""Many rows are fitted as few are: from Python, and through the command on large files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data.blocks import MemoryBlocks
from dosift.data.read import RowFiles
from dosift.data.stream import store_rows
from dosift.errors import InputError

Problem = tuple[dosift.Network, pl.DataFrame]


@pytest.fixture(scope="module")
def problem() -> Problem:
    rng = np.random.default_rng(0)
    network = dosift.random_network(8, max_parents=2, random_state=rng)
    mixture = dosift.random_mixture(network, 5, max_size=2, random_state=rng)
    return network, dosift.simulate(network, mixture, 40_000, random_state=1)


@pytest.fixture(scope="module")
def whole(problem: Problem) -> dosift.InterventionMixture:
    """The fit that holds all distinct rows."""
    network, rows = problem
    return dosift.InterventionMixture(network).fit(rows)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take more than 1,024 distinct rows for many, and small files for large."""
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 2**10)
    for name in ("_MANY_ROWS", "_MANY_BYTES", "_MANY_COMPRESSED"):
        monkeypatch.setattr(f"dosift.data.read.{name}", 1000)
    monkeypatch.setattr("dosift.data.blocks._LEAST_ROWS", 3_000)
    monkeypatch.setattr("dosift.data.blocks._MOST_ROWS", 3_000)
    monkeypatch.setattr("dosift.data.read._BATCH_ROWS", 7_001)


def alike(one: Any, other: Any, loose: float = 1e-6) -> None:
    assert [str(t) for t in one.targets_] == [str(t) for t in other.targets_]
    np.testing.assert_allclose(one.weights_, other.weights_, rtol=0, atol=loose)
    assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, abs=1.0)
    for column in ("std_error", "ci_low", "ci_high"):
        a, b = (model.components_[column].to_numpy() for model in (one, other))
        np.testing.assert_allclose(a, b, rtol=0.05, atol=1e-4)
    a, b = (m.variables_.sort("variable", "value") for m in (one, other))
    for column in ("rate", "screen_rate", "screen_std_error"):
        np.testing.assert_allclose(
            a[column].to_numpy(), b[column].to_numpy(), rtol=1e-9 + loose, atol=loose
        )
    a, b = (m.pairs_.sort("target") for m in (one, other))
    assert a["target"].to_list() == b["target"].to_list()
    np.testing.assert_allclose(a["p_value"].to_numpy(), b["p_value"].to_numpy(), atol=1e-9)
    assert one.fit_check_.n_pairs == other.fit_check_.n_pairs
    assert one.fit_check_.p_value == pytest.approx(other.fit_check_.p_value, abs=1e-3)
    # A configuration at the edge of a bin moves with all its rows.
    np.testing.assert_allclose(one.certainty_.counts, other.certainty_.counts, atol=400)
    assert one.unexplained_rows_ == pytest.approx(other.unexplained_rows_, abs=40)


def test_many_rows_are_fitted_as_few_are(
    problem: Problem, whole: dosift.InterventionMixture, many: None
) -> None:
    network, rows = problem
    model = dosift.InterventionMixture(network).fit(rows)
    assert model.n_configurations_ is None
    assert whole.n_configurations_ is not None
    alike(model, whole)
    assert model.certificate_ is not None
    assert model.certificate_.largest_gradient < 1.5
    assert model.summary().columns == whole.summary().columns


@pytest.mark.long
def test_a_learned_network_too(problem: Problem, many: None, monkeypatch: Any) -> None:
    network, rows = problem
    edges = network.edges
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 40_000, random_state=2)
    learned = dosift.learn_network(edges, control)
    model = dosift.InterventionMixture(learned).fit(rows)
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 10**9)
    alike(model, dosift.InterventionMixture(learned).fit(rows), loose=2e-3)


@pytest.mark.long
@pytest.mark.parametrize("n_rows", [10_000, pytest.param(40_000, marks=pytest.mark.slow)])
def test_neither_order_nor_threads_matter(problem: Problem, many: None, n_rows: int) -> None:
    network, rows = problem
    codes = dosift.data.encode(rows, network).codes[:n_rows]
    one = dosift.InterventionMixture(network).fit(MemoryBlocks(codes, threads=1))
    shuffled = codes[np.random.default_rng(0).permutation(len(codes))]
    for other, exact in ((MemoryBlocks(codes, threads=3), True), (MemoryBlocks(shuffled), False)):
        again = dosift.InterventionMixture(network).fit(other)
        if exact:
            assert np.array_equal(one.weights_, again.weights_)
            assert one.components_.equals(again.components_)
        np.testing.assert_allclose(one.weights_, again.weights_, rtol=0, atol=1e-9)
        assert one.n_rows_ == again.n_rows_


def test_what_needs_the_rows_says_so(problem: Problem, many: None) -> None:
    network, rows = problem
    blocks = MemoryBlocks(dosift.data.encode(rows, network).codes)
    with pytest.raises(InputError, match="moments and rows in blocks cannot be combined"):
        dosift.InterventionMixture(network, method="moments").fit(blocks)


def test_what_is_known_is_heeded_over_blocks(
    problem: Problem, whole: dosift.InterventionMixture, many: None, monkeypatch: Any
) -> None:
    """Prior knowledge gives what it gives rows that are held."""
    network, rows = problem
    blocks = MemoryBlocks(dosift.data.encode(rows.head(15_000), network).codes)
    free = [name for name in network.names if all(name not in t for t in whole.targets_)]
    assert free
    settings: list[dict[str, Any]] = [
        {"prior_knowledge": dosift.PriorKnowledge(non_manipulable=free)},
        {"prior_knowledge": dosift.PriorKnowledge(candidates=whole.targets_)},
        {"prior_knowledge": dosift.PriorKnowledge(known_weights={whole.targets_[0]: 0.3})},
    ]
    found = [dosift.InterventionMixture(network, **given).fit(blocks) for given in settings]
    assert all(model.n_configurations_ is None for model in found)
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 10**9)
    for given, model in zip(settings, found, strict=True):
        held = dosift.InterventionMixture(network, **given).fit(blocks)
        assert held.n_configurations_ is not None
        assert [str(t) for t in model.targets_] == [str(t) for t in held.targets_]
        np.testing.assert_allclose(model.weights_, held.weights_, rtol=0, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(
    ("n", "n_targets", "n_rows", "most", "share"),
    [
        (4, 2, 8_000, 2**6, 0.6),
        pytest.param(5, 3, 8_000, 2**7, 0.6, marks=pytest.mark.slow),
        pytest.param(8, 5, 40_000, 2**10, 0.0, marks=pytest.mark.slow),
    ],
)
def test_mechanisms_that_changed_are_found_over_blocks(
    many: None,
    monkeypatch: pytest.MonkeyPatch,
    n: int,
    n_targets: int,
    n_rows: int,
    most: int,
    share: float,
) -> None:
    """They are those that rows which are held show, where one changed and where none did."""
    rng = np.random.default_rng(0)
    network = dosift.random_network(n, max_parents=2, random_state=rng)
    mixture = dosift.random_mixture(network, n_targets, max_size=2, random_state=rng)
    i = max(range(n), key=lambda j: len(network.parents[j]))
    tables = list(network.tables)
    tables[i] = (1 - share) * tables[i] + share * rng.dirichlet(np.ones(3), size=len(tables[i]))
    rows = dosift.simulate(network.with_tables(tables), mixture, n_rows, random_state=1)
    blocks = MemoryBlocks(dosift.data.encode(rows, network).codes)
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", most)
    model = dosift.InterventionMixture(network, interventions="any").fit(blocks)
    assert model.n_configurations_ is None
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 10**9)
    held = dosift.InterventionMixture(network, interventions="any").fit(blocks)
    assert held.n_configurations_ is not None
    assert [str(t) for t in model.targets_] == [str(t) for t in held.targets_]
    np.testing.assert_allclose(model.weights_, held.weights_, rtol=0, atol=1e-5)
    changed = [network.names[i]] if share else []
    assert model.mechanisms_["variable"].to_list() == changed
    assert held.mechanisms_["variable"].to_list() == changed


def test_rows_in_blocks_stand_alone(problem: Problem, many: None) -> None:
    network, rows = problem
    codes = dosift.data.encode(rows, network).codes
    model = dosift.InterventionMixture(network)
    with pytest.raises(InputError, match="sample weights and rows in blocks"):
        model.fit(MemoryBlocks(codes), sample_weight=np.ones(len(codes)))
    with pytest.raises(InputError, match="another network"):
        model.fit(MemoryBlocks(codes[:, :3]))


def test_missing_values_in_blocks_are_summed_over_as_in_memory(
    problem: Problem, many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, rows = problem
    codes = dosift.data.encode(rows.head(15_000), network).codes
    holes = np.where(np.random.default_rng(3).random(codes.shape) < 0.03, -1, codes)
    model = dosift.InterventionMixture(network).fit(MemoryBlocks(holes))
    assert model.n_configurations_ is None
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", 10**9)
    held = dosift.InterventionMixture(network).fit(MemoryBlocks(holes))
    assert [str(t) for t in model.targets_] == [str(t) for t in held.targets_]
    np.testing.assert_allclose(model.weights_, held.weights_, rtol=0, atol=1e-5)
    assert model.log_likelihood_ == pytest.approx(held.log_likelihood_, abs=0.1)
    assert model.missing_values_.n_rows == held.missing_values_.n_rows
    assert model.missing_values_.n_rows == (holes < 0).any(axis=1).sum()
    np.testing.assert_allclose(model.missing_values_.share, (holes < 0).mean(axis=0))


def save_csv(rows: pl.DataFrame, folder: Path) -> Path:
    rows.write_csv(folder / "rows.csv")
    return folder / "rows.csv"


def save_parquet(rows: pl.DataFrame, folder: Path) -> Path:
    rows.write_parquet(folder / "rows.parquet", row_group_size=9_000)
    return folder / "rows.parquet"


def save_arrow(rows: pl.DataFrame, folder: Path) -> Path:
    rows.write_ipc(folder / "rows.arrow")
    return folder / "rows.arrow"


def save_folder(rows: pl.DataFrame, folder: Path) -> Path:
    """Several files in folders, columns in another order, and names to be passed over."""
    for k, part in enumerate(rows.iter_slices(11_111)):
        place = folder / "parts" / f"day={k}"
        place.mkdir(parents=True)
        part.select(rows.columns[::-1] if k else rows.columns).write_parquet(place / "a.parquet")
    (folder / "parts" / "_SUCCESS").touch()
    (folder / "parts" / ".hidden.csv").write_text("x\n")
    return folder / "parts"


@pytest.mark.parametrize("save", [save_csv, save_parquet, save_arrow, save_folder])
def test_files_are_stored_as_they_are(
    save: Callable[[pl.DataFrame, Path], Path], problem: Problem, many: None, tmp_path: Path
) -> None:
    network, rows = problem
    path = save(rows.with_columns(pl.lit("x").alias("more")), tmp_path)
    assert RowFiles.at(path).is_large
    with pytest.warns(dosift.errors.ExtraColumnsWarning, match="more"):
        blocks = store_rows(path, network, threads=2)
    stored = np.concatenate([block.values for block in blocks])
    assert np.array_equal(stored, dosift.data.encode(rows, network).codes)
    assert blocks.n_bytes == stored.size


@pytest.mark.parametrize("save", [save_csv, save_parquet, save_arrow, save_folder])
def test_a_wrong_value_far_down_is_named(
    save: Callable[[pl.DataFrame, Path], Path], problem: Problem, many: None, tmp_path: Path
) -> None:
    network, rows = problem
    name = network.names[2]
    at = pl.int_range(pl.len()) == 30_000
    wrong = rows.with_columns(pl.when(at).then(pl.lit("odd")).otherwise(name).alias(name))
    path = save(wrong, tmp_path)
    row, file = (30_001, path) if path.is_file() else (7_779, path / "day=2" / "a.parquet")
    with pytest.raises(InputError, match=f"'odd' in data row {row} ") as caught:
        store_rows(path, network)
    assert caught.value.path == str(file)


def test_folders_that_are_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.parquet").touch()
    with pytest.raises(InputError, match="files of several kinds"):
        RowFiles.at(tmp_path)


def run(*arguments: object) -> int:
    """Run the command in this process, so that the limits above hold."""
    from dosift.cli.app import app

    status: int = app([str(a) for a in arguments], standalone_mode=False, prog_name="dosift")
    return status


@pytest.mark.long
def test_the_command_on_a_large_file(
    problem: Problem,
    many: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    network, rows = problem
    dosift.write_network(network, tmp_path / "net.bif")
    path = save_parquet(rows, tmp_path)
    assert run("fit", tmp_path / "net.bif", path, "-o", tmp_path / "large") == 0
    assert "40,000 rows are read in parts" in capsys.readouterr().err
    assert run("assign", tmp_path / "large", path, "-o", tmp_path / "large.csv") == 0
    monkeypatch.undo()
    assert run("fit", tmp_path / "net.bif", path, "-o", tmp_path / "small") == 0
    assert run("assign", tmp_path / "large", path, "-o", tmp_path / "small.csv") == 0
    for name in ("components.csv", "variables.csv"):
        large, small = (pl.read_csv(tmp_path / f / name) for f in ("large", "small"))
        key = large.columns[:2] if name == "variables.csv" else ["target"]
        large, small = large.sort(key), small.sort(key)
        assert large.select(key).equals(small.select(key))
        column = "rate" if name == "variables.csv" else "weight"
        np.testing.assert_allclose(large[column].to_numpy(), small[column].to_numpy(), atol=1e-6)
    large, small = (pl.read_parquet(tmp_path / f / "rows.parquet") for f in ("large", "small"))
    assert large.schema == small.schema
    assert (large["target"] == small["target"]).mean() > 0.9999
    for column in ("probability", "surprise", "surprise_p_value"):
        np.testing.assert_allclose(large[column].to_numpy(), small[column].to_numpy(), atol=1e-2)
    # The same result, assigned the large way and the small way.
    large, small = (pl.read_csv(tmp_path / f"{f}.csv") for f in ("large", "small"))
    assert large["target"].equals(small["target"])
    assert large["unexplained"].equals(small["unexplained"])
    np.testing.assert_allclose(large["surprise"].to_numpy(), small["surprise"].to_numpy())


def test_nothing_is_written_where_a_value_is_wrong(
    problem: Problem, many: None, tmp_path: Path
) -> None:
    network, rows = problem
    dosift.write_network(network, tmp_path / "net.bif")
    name = network.names[0]
    at = pl.int_range(pl.len()) == 39_999
    wrong = rows.with_columns(pl.when(at).then(pl.lit("odd")).otherwise(name).alias(name))
    path = save_csv(wrong, tmp_path)
    with pytest.raises(InputError, match="data row 40000"):
        run("fit", tmp_path / "net.bif", path, "-o", tmp_path / "out", "-q")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.bif", "rows.csv"]


def test_an_interrupt_leaves_nothing(
    problem: Problem, many: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, rows = problem
    dosift.write_network(network, tmp_path / "net.bif")
    path = save_parquet(rows.head(8_000), tmp_path)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dosift.results.rows.RowParts.write", interrupted)
    status: int | None = None
    with contextlib.suppress(KeyboardInterrupt):
        status = run("fit", tmp_path / "net.bif", path, "-o", tmp_path / "out", "-q")
    assert status != 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.bif", "rows.parquet"]
