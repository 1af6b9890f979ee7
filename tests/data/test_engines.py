"""Tables that an engine holds: the same answer as from memory, and a worker that dies costs no fit.

A real Dask cluster of several processes, a real Spark session and DuckDB; run with
``python -m pytest -m engines`` after ``pip install -e '.[test,distributed]'`` (Spark needs Java).
The lazy frames of polars need nothing and are tested with everything else.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data.engines import engine_blocks, engine_of, named_columns
from dosift.errors import NewStatesWarning
from dosift.learning.states import with_new_states, with_states_of

engines = pytest.mark.engines
#: Configurations from which rows count as many, made small.
FEW = 2**11


@pytest.fixture(scope="module")
def problem() -> tuple[dosift.Network, pl.DataFrame]:
    rng = np.random.default_rng(0)
    network = dosift.random_network(10, max_parents=2, random_state=rng)
    mixture = dosift.random_mixture(network, 4, max_size=2, random_state=rng)
    return network, dosift.simulate(network, mixture, 30_000, random_state=1)


def blocks_of(table: Any) -> Callable[[dosift.Network], Any]:
    return lambda network: engine_blocks(table, named_columns(table, network))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=3, threads_per_worker=1, memory_limit="2GB", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        yield cluster


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    # Four failures of a task are allowed; by default a local session allows none.
    session = (
        sql.SparkSession.builder.master("local[2,4]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.mark.parametrize(
    "engine",
    [
        "polars",
        pytest.param("duckdb", marks=engines),
        pytest.param("dask", marks=engines),
        pytest.param("spark", marks=engines),
    ],
)
def test_a_learned_network_gets_the_states_that_an_engine_holds(
    engine: str, problem: tuple[dosift.Network, pl.DataFrame], opened: Callable[..., Any]
) -> None:
    network, rows = problem
    names = list(network.names)
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 2000, random_state=5)
    new = rows.with_columns(
        pl.when(pl.int_range(pl.len()) % 5 == 0)
        .then(pl.lit("unseen"))
        .otherwise(pl.col(names[0]))
        .alias(names[0])
    )
    learned = dosift.learn_network(network.edges, control)
    table = opened(new)
    with pytest.warns(NewStatesWarning, match="'unseen'"):
        found = with_states_of(learned, table)
    position = found.positions[names[0]]
    assert set(found.variables[position].states) == {
        *learned.variables[learned.positions[names[0]]].states,
        "unseen",
    }
    with pytest.warns(NewStatesWarning):
        with_states, blocks = with_new_states(learned, table, blocks_of(table))
    assert with_states.variables == found.variables
    assert blocks.n_rows == rows.height
    blocks.close()
    clean = opened(rows)
    same, blocks = with_new_states(learned, clean, blocks_of(clean))
    assert same is learned
    blocks.close()


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pl.DataFrame], Any]:
    """Give a table to the engine that a test asks for."""

    def open_(rows: pl.DataFrame) -> Any:
        engine = request.node.callspec.params["engine"]
        if engine == "polars":
            return rows.lazy()
        if engine == "dask":
            request.getfixturevalue("cluster")
            from dask import dataframe

            return dataframe.from_pandas(rows.to_pandas(), npartitions=7)
        path = tmp_path / "rows.parquet"
        rows.write_parquet(path)
        if engine == "duckdb":
            duckdb = pytest.importorskip("duckdb")
            return duckdb.sql(f"select * from '{path}'")
        return request.getfixturevalue("spark").read.parquet(str(path)).repartition(7)

    return open_


ENGINES = ["polars", *(pytest.param(e, marks=engines) for e in ("duckdb", "dask", "pyspark"))]
CLUSTERS = ["polars", *(pytest.param(e, marks=engines) for e in ("dask", "pyspark"))]


def same(one: Any, other: Any) -> None:
    """Compare two fits to 1e-9."""
    assert [str(t) for t in one.targets_] == [str(t) for t in other.targets_]
    np.testing.assert_allclose(one.weights_, other.weights_, rtol=0, atol=1e-9)
    assert one.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-9)
    assert one.n_rows_ == other.n_rows_
    for column in ("std_error", "ci_low", "ci_high", "p_value", "probability"):
        np.testing.assert_allclose(
            one.components_[column].to_numpy(),
            other.components_[column].to_numpy(),
            rtol=1e-7,
            atol=1e-9,
        )
    np.testing.assert_allclose(
        one.variables_["screen_rate"].to_numpy(), other.variables_["screen_rate"].to_numpy()
    )
    assert one.fit_check_.p_value == pytest.approx(other.fit_check_.p_value)
    assert one.unexplained_rows_ == other.unexplained_rows_


@pytest.mark.parametrize("few", [False, True], ids=["all distinct rows", "a sample"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_answer_is_that_from_memory(
    engine: str,
    few: bool,
    opened: Callable[[pl.DataFrame], Any],
    problem: tuple[dosift.Network, pl.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, rows = problem
    if few:
        monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", FEW)
    here = dosift.InterventionMixture(network).fit(rows)
    there = dosift.InterventionMixture(network).fit(opened(rows))
    assert (here.n_configurations_ is None) == few
    same(here, there)


@pytest.mark.long
@pytest.mark.parametrize(
    "few",
    [pytest.param(False, marks=pytest.mark.long), True],
    ids=["all distinct rows", "a sample"],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_batches_and_labels_are_columns_of_the_table(
    engine: str,
    few: bool,
    opened: Callable[[pl.DataFrame], Any],
    problem: tuple[dosift.Network, pl.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same weights in each batch as from memory, whatever holds the rows."""
    network, rows = problem
    rows = rows.head(6000)
    model = dosift.InterventionMixture(network).fit(rows)
    told = model.predict(rows)
    at = np.arange(len(rows))
    table = rows.with_columns(
        pl.Series("night", np.where(at % 3 == 0, "yes", "no").tolist()),
        pl.Series("told", np.where(at % 50 == 0, told, "").tolist()),
    )
    if few:
        monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", FEW)
    here, there = (
        dosift.InterventionMixture(network).fit(
            one, batch="night", labels="told", random_labels=True
        )
        for one in (table, opened(table))
    )
    assert here.batches_ is not None
    assert there.batches_ is not None
    order = ["batch", "target"]
    one, other = here.batches_.sort(order), there.batches_.sort(order)
    assert one.select(order).equals(other.select(order))
    for column in ("weight", "rows", "std_error"):
        np.testing.assert_allclose(one[column], other[column], rtol=1e-6, atol=1e-8)
    assert here.n_rows_ == there.n_rows_ == 6000
    with pytest.raises(dosift.InputError, match="there is no column 'nigth'"):
        dosift.InterventionMixture(network).fit(opened(table), batch="nigth")
    with pytest.raises(dosift.InputError, match="must be the name of a column"):
        dosift.InterventionMixture(network).fit(opened(table), batch=at % 2)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_value_is_named(
    engine: str,
    opened: Callable[[pl.DataFrame], Any],
    problem: tuple[dosift.Network, pl.DataFrame],
) -> None:
    network, rows = problem
    name = network.names[3]
    at = pl.int_range(pl.len()) == 25_000
    wrong = rows.with_columns(pl.when(at).then(pl.lit("odd")).otherwise(name).alias(name))
    with pytest.raises(dosift.InputError, match=f"column '{name}' has the value 'odd'"):
        dosift.InterventionMixture(network).fit(opened(wrong))
    with pytest.raises(dosift.InputError, match=f"column '{name}' is missing"):
        dosift.InterventionMixture(network).fit(opened(rows.drop(name)))
    with pytest.raises(dosift.InputError, match="no rows"):
        dosift.InterventionMixture(network).fit(opened(rows.head(0)))


@pytest.mark.parametrize("engine", CLUSTERS)
def test_rows_are_annotated_where_they_are(
    engine: str,
    opened: Callable[[pl.DataFrame], Any],
    problem: tuple[dosift.Network, pl.DataFrame],
    tmp_path: Path,
) -> None:
    network, rows = problem
    model = dosift.InterventionMixture(network).fit(rows)
    numbered = rows.with_row_index("number").cast({"number": pl.Int64})
    found = dosift.annotate(model, opened(numbered))
    folder = tmp_path / "parts"
    if engine == "polars":
        folder.mkdir()
        found.sink_parquet(folder / "all.parquet")
    elif engine == "dask":
        found.to_parquet(folder)
    else:
        found.write.parquet(str(folder))
    parts = list(folder.glob("*.parquet"))
    assert len(parts) == (1 if engine == "polars" else 7)
    table = pl.concat([pl.read_parquet(p) for p in parts], how="diagonal_relaxed").sort("number")
    assert table["target"].to_list() == model.predict(rows).tolist()
    np.testing.assert_allclose(table["surprise"].to_numpy(), model.surprise(rows))
    best = model.predict_proba(rows).max(axis=1)
    np.testing.assert_allclose(table["probability"].to_numpy(), best)
    assert table["unexplained"].to_list() == model.unexplained(rows).tolist()
    with pytest.raises(dosift.InputError, match="has columns target already"):
        dosift.annotate(model, opened(rows.with_columns(pl.lit("x").alias("target"))))


@engines
def test_a_worker_that_dies_costs_a_retry(
    cluster: Any, problem: tuple[dosift.Network, pl.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dask import dataframe

    network, rows = problem
    monkeypatch.setattr("dosift.data.sample.MOST_CONFIGURATIONS", FEW)
    here = dosift.InterventionMixture(network).fit(rows)
    killed: list[int] = []
    begun = threading.Event()

    def kill() -> None:
        begun.wait(60)
        time.sleep(0.2)
        worker = next(w for w in cluster.workers.values() if w.pid)
        killed.append(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "weighing on all rows":
            begun.set()

    frame = dataframe.from_pandas(rows.to_pandas(), npartitions=7)
    there = dosift.InterventionMixture(network).fit(frame, progress=progress)
    killer.join()
    assert killed
    same(here, there)


@engines
def test_a_spark_worker_that_dies_costs_a_retry(
    spark: Any, problem: tuple[dosift.Network, pl.DataFrame], tmp_path: Path
) -> None:
    from pyspark import cloudpickle

    # The workers cannot import this file.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    network, rows = problem
    rows.write_parquet(tmp_path / "rows.parquet")
    frame = spark.read.parquet(str(tmp_path / "rows.parquet")).repartition(5)
    blocks = blocks_of(frame)(network)
    mark = tmp_path / "died"
    (total,) = blocks.sum(_DieOnce(str(mark)))
    assert mark.exists()
    assert total == rows.height


class _DieOnce:
    """Kills the process that it is in, the first time anywhere."""

    def __init__(self, mark: str) -> None:
        self._mark = mark

    def __call__(self, block: Any) -> tuple[Any, ...]:
        try:
            os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return (np.asarray(block.counts.sum()),)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_tables_in_memory_are_no_engines(problem: tuple[dosift.Network, pl.DataFrame]) -> None:
    network, rows = problem
    assert engine_of(rows) is None
    assert engine_of(rows.to_dict(as_series=False)) is None
    with pytest.raises(dosift.InputError, match="no table that an engine holds"):
        blocks_of(rows)(network)
    model = dosift.InterventionMixture(network).fit(rows)
    with pytest.raises(dosift.InputError, match="use predict"):
        dosift.annotate(model, rows)
