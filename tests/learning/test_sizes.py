"""What counts are relative to: which column or total, and that it is only conditioned on."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import polars as pl
import pytest

import dosift
from counts_of_cells import Cells, cells
from dosift.data.kinds import Kinds
from dosift.data.numbers import Numbers, read_numbers
from dosift.errors import InputError, KindsWarning
from dosift.graphs.findings import FoundEdge, GraphFindings
from dosift.learning.mixed import ControlTable, learn_from_control
from dosift.learning.sizes import LEAST_COLUMNS, size_variable, weighed
from dosift.model.network import Variable
from dosift.results.folder import graph_content
from dosift.results.graphs import graph_table

MANY = Kinds({f"c{k}": "count" for k in range(LEAST_COLUMNS)} | {"x": "continuous"})
FEW = Kinds({f"c{k}": "count" for k in range(LEAST_COLUMNS - 1)} | {"x": "continuous"})


def fit(data: Cells, size: Any = None, **settings: Any) -> dosift.InterventionMixture:
    """Fit with the true graph; g02 and g05 are found if all is well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dosift.InterventionMixture(knockouts=True, **settings).fit(
            data.pool, control=data.control, graph=data.graph, size=size
        )


def with_depth(data: Cells, factor: float = 1000.0) -> Cells:
    """Add columns that hold the depth."""
    return data._replace(
        control=data.control.assign(depth=factor * data.control_depth),
        pool=data.pool.assign(depth=factor * data.pool_depth),
    )


@pytest.fixture(scope="module")
def data() -> Cells:
    return cells(n_cells=700)


@pytest.fixture(scope="module")
def model(data: Cells) -> dosift.InterventionMixture:
    return fit(data)


@pytest.fixture(scope="module")
def deep(data: Cells) -> dosift.InterventionMixture:
    return fit(with_depth(data), "depth")


def test_a_total_is_taken_of_many_counts_only() -> None:
    total = size_variable(None, tuple(MANY.of), MANY)
    assert total is not None
    assert total.total_of == tuple(f"c{k}" for k in range(LEAST_COLUMNS))
    assert size_variable(None, tuple(FEW.of), FEW) is None
    assert size_variable(False, tuple(MANY.of), MANY) is None
    few = size_variable(True, tuple(FEW.of), FEW)
    assert few is not None
    assert len(few.total_of) == LEAST_COLUMNS - 1
    part = size_variable(None, tuple(FEW.of), FEW, in_matrix=True)
    assert part is not None
    assert not part.total_of
    taken = Kinds({**MANY.of, "total counts": "count"})
    named = size_variable(True, tuple(taken.of), taken)
    assert named is not None
    assert named.name not in taken.of


@pytest.mark.parametrize(
    ("size", "kinds", "words"),
    [
        ("c0", MANY, "'c0' is a variable of the graph"),
        (True, Kinds({"x": "continuous"}), "no variable is a count"),
        ("depth", Kinds({"x": "discrete"}), "no variable is a count"),
    ],
)
def test_what_cannot_be_a_size(size: Any, kinds: Kinds, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        size_variable(size, tuple(kinds.of), kinds)


def test_weights_of_a_total() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    plain = rng.poisson(9.0, (n, 2)).astype(float)
    spread = rng.poisson(rng.gamma(2.0, 50.0, n)).astype(float)
    names = ("a", "b", "c")
    size = Variable("total", kind="size", total_of=names)
    variables = (*(Variable(name, kind="count") for name in names), size)
    values = np.column_stack([plain, spread, plain.sum(axis=1) + spread])
    found = weighed(Numbers(variables, np.asfortranarray(values)), size)
    shares = np.array(found.variables[-1].shares)
    # A Poisson count weighs 1, one of mean 100 and dispersion 1/2 a 51st of that.
    assert shares[:2] / shares[0] == pytest.approx([1.0, 1.0], rel=0.02)
    assert shares[2] / shares[0] == pytest.approx(1.0 / 51.0, rel=0.05)
    assert found.values[:, -1].mean() == pytest.approx(values[:, -1].mean())
    again = read_numbers({"a": [1, 0], "b": [2, 0], "c": [3, 0]}, found.variables)
    assert again.values[:, -1] == pytest.approx([shares @ [1, 2, 3], 0.0])
    nothing = Numbers(variables, np.zeros((3, 4), order="F"))
    assert (weighed(nothing, size).values == 0.0).all()


def test_a_weighed_total_tells_the_depth_better() -> None:
    better = 0
    for seed in range(20):
        one = cells(seed, n_cells=800)
        names = tuple(one.control)
        size = Variable("total", kind="size", total_of=names)
        variables = (*(Variable(name, kind="count") for name in names), size)
        counts = one.control.to_numpy(float)
        values = np.column_stack([counts, counts.sum(axis=1)])
        found = weighed(Numbers(variables, values), size).values[:, -1]
        depth = np.log(one.control_depth)
        plain, own = (np.corrcoef(depth, np.log1p(total))[0, 1] for total in (values[:, -1], found))
        better += own > plain
        assert own > 0.9
    assert better >= 19


def test_knocked_out_genes_and_their_shares(data: Cells, model: Any, deep: Any) -> None:
    for one in (model, deep):
        assert {frozenset(target) for target in one.targets_} == {
            frozenset(),
            frozenset({"g02"}),
            frozenset({"g05"}),
        }
        totals = one.variables_.filter(pl.col("value") == "")
        for name, share in data.shares.items():
            found = totals.filter(pl.col("variable") == name)["rate"].item()
            assert found == pytest.approx(share, abs=0.02)
        assert one.fit_check_.p_value > 1e-3


def test_the_size_is_hidden(data: Cells, model: Any, deep: Any) -> None:
    names = set(data.control)
    for one in (model, deep):
        assert set(one.variables_["variable"]) == names
        assert set(graph_content(one.network_)) == names
        assert one.network_.edges == [("g00", "g01")]
        assert one.fit_check_.n_pairs == len(names) * (len(names) - 1) // 2
        assert "depth" not in str(one.mixture_.to_dict())
    assert set(model.feature_names_in_) == names
    assert set(deep.feature_names_in_) == {*names, "depth"}


def test_new_rows_bring_their_own_size(data: Cells, model: Any, deep: Any) -> None:
    rows = data.pool.head(300)
    assert (model.predict_proba(rows) == model.predict_proba(data.pool)[:300]).all()
    # As many counts of all genes again say that the cell is deep, not that genes were raised.
    deeper = with_depth(data).pool.head(300) * 2
    same = deep.predict_proba(with_depth(data).pool.head(300)).argmax(axis=1)
    assert (deep.predict_proba(deeper).argmax(axis=1) == same).mean() > 0.95
    with pytest.raises(InputError, match="'depth'"):
        deep.predict(rows)
    bad = with_depth(data).pool.head(5)
    for value, words in ((0.0, "holds 0 in data row 2"), (np.nan, "missing value in data row 2")):
        with pytest.raises(InputError, match=words):
            deep.predict(bad.assign(depth=[1.0, value, 1.0, 1.0, 1.0]))


@pytest.mark.long
def test_the_unit_of_the_size_does_not_matter(data: Cells, deep: Any) -> None:
    other = fit(with_depth(data, 7e5), "depth")
    assert other.weights_ == pytest.approx(deep.weights_, abs=1e-6)
    assert [set(t) for t in other.targets_] == [set(t) for t in deep.targets_]


@pytest.mark.long
def test_without_a_size_depth_reads_as_more() -> None:
    few = cells(n_genes=6, n_cells=300)
    bare, sized = fit(few, False), fit(few, True)
    assert sized.network_.covariates
    assert not bare.network_.covariates
    assert bare.log_likelihood_ < sized.log_likelihood_ - 1.45 * len(few.pool)


def test_kinds_with_knockouts(data: Cells) -> None:
    # Few distinct values would be states otherwise.
    few = data.control.head(400).assign(g00=np.arange(400) % 3, note=["a", "b"] * 200)
    graph = nx.DiGraph([("g00", "g01")])
    graph.add_nodes_from([*data.control, "note"])
    pool = data.pool.head(400).assign(note="a")
    with pytest.warns(KindsWarning, match="12 are counts .* relative to the total of the 12"):
        network, _ = learn_from_control(ControlTable(few, graph, whole_are_counts=True), pool)
    kinds = {one.name: one.kind for one in network.variables}
    assert (kinds["g00"], kinds["note"], kinds["total counts"]) == ("count", "discrete", "size")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": "nothing"}, "'nothing'"),
        ({"size": "g03"}, "'g03' is a variable of the graph"),
        ({"size": 3}, "size is 3"),
    ],
)
def test_wrong_sizes(data: Cells, settings: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit(data, **settings)


def test_a_size_needs_control_rows(data: Cells) -> None:
    network = dosift.random_network(3, n_edges=2, random_state=0)
    rows = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 20, 0)
    with pytest.raises(InputError, match="size is that of a network that is learned"):
        dosift.InterventionMixture(network).fit(rows, size="depth")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_files_and_command(data: Cells, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from dosift.cli.app import app

    deep = with_depth(data)
    deep.control.to_csv(tmp_path / "control.csv", index=False)
    deep.pool.to_csv(tmp_path / "pool.csv", index=False)
    lines = ["parent,child", "g00,g01", *(f",{name}" for name in data.control)]
    (tmp_path / "edges.csv").write_text("\n".join(lines) + "\n")
    run = CliRunner().invoke
    files = [str(tmp_path / "pool.csv"), "--control", str(tmp_path / "control.csv")]
    files += ["--graph", str(tmp_path / "edges.csv"), "--knockouts"]
    found = run(app, ["fit", *files, "--size", "depth", "-o", str(tmp_path / "out"), "--json"])
    assert found.exit_code == 0, found.output
    text = (tmp_path / "out" / "result.json").read_text()
    assert '"depth"' not in text.replace('"size": "depth"', "")
    assigned = run(
        app,
        ["assign", str(tmp_path / "out"), files[0], "-o", str(tmp_path / "assigned.csv")],
    )
    assert assigned.exit_code == 0, assigned.output
    again = pl.read_csv(tmp_path / "assigned.csv")["target"]
    assert again.to_list() == pl.read_parquet(tmp_path / "out" / "rows.parquet")["target"].to_list()
    both = run(app, ["fit", *files, "--size", "depth", "--no-size", "-o", str(tmp_path / "b")])
    assert isinstance(both.exception, InputError)


def test_no_edge_of_the_size_is_told(model: Any) -> None:
    network = model.network_
    (size,) = network.covariates
    edges = (FoundEdge(0, 1, 0.9, "kept"), FoundEdge(size, 1, 1.0, "added"))
    found = graph_table(network, GraphFindings(network.parents, None, False, edges, ()))
    assert found is not None
    assert found.rows() == [("g00", "g01", 0.9, "kept")]
