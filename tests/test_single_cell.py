"""AnnData: which values become states, what is stored, and that it survives h5ad."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

import command
import dosift
from counts_of_cells import cells as drawn_cells
from dosift.data import load_rows, read_rows
from dosift.data.anndata import cells_of, read_cells
from dosift.errors import InputError
from dosift.io.bif import parse_bif
from dosift.io.mechanism_file import parse_mechanism_network
from dosift.single_cell import fit_anndata

ad = pytest.importorskip("anndata")

GENES = ["G1", "G2", "G3"]
GRAPH = [("G1", "G2"), ("G2", "G3")]
FORMATS = {
    "dense": np.asarray,
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "csr_array": sp.csr_array,
}


@pytest.fixture(scope="module")
def network() -> dosift.Network:
    low_high = ["low", "high"]
    strong = [[0.8, 0.2], [0.3, 0.7]]
    return dosift.Network.from_tables(
        dict.fromkeys(GENES, low_high),
        {"G2": ["G1"], "G3": ["G2"]},
        {"G1": [[0.5, 0.5]], "G2": strong, "G3": strong},
    )


@pytest.fixture(scope="module")
def truth() -> dosift.Mixture:
    return dosift.Mixture({dosift.do(): 0.5, dosift.do(G2="high"): 0.3, dosift.do(G1="low"): 0.2})


@pytest.fixture
def adata(network: dosift.Network, truth: dosift.Mixture) -> Any:
    """2,000 perturbed and 1,000 control cells: codes in X, noisy counts in a layer."""
    rows = dosift.simulate(network, truth, 2000, 0)
    control = dosift.simulate(network, dosift.Mixture({dosift.do(): 1.0}), 1000, 1)
    high = (pl.concat([rows, control]) == "high").to_numpy()
    rng = np.random.default_rng(2)
    matrix = np.zeros((3000, 6))
    matrix[:, [4, 0, 2]] = high
    counts = np.zeros_like(matrix)
    counts[:, [4, 0, 2]] = rng.poisson(np.where(high, 30.0, 3.0))
    out = ad.AnnData(
        sp.csr_matrix(matrix),
        obs=pd.DataFrame(
            {"condition": pd.Categorical(["pert"] * 2000 + ["ctrl"] * 1000)},
            index=[f"cell{i}" for i in range(3000)],
        ),
        var=pd.DataFrame(index=["G2", "x", "G3", "y", "G1", "z"]),
        layers={"counts": sp.csr_matrix(counts)},
    )
    out.obs["is_control"] = out.obs["condition"] == "ctrl"
    return out


def test_everything_survives_a_round_trip(
    adata: Any, network: dosift.Network, truth: dosift.Mixture, tmp_path: Path
) -> None:
    before = adata.X.copy()
    rng = np.random.default_rng(0)  # a setting that h5ad cannot hold as it is
    model = fit_anndata(adata, network, control=("condition", "ctrl"), max_size=2, random_state=rng)
    assert isinstance(model, dosift.InterventionMixture)
    assert model.n_rows_ == 2000
    assert (before != adata.X).nnz == 0
    assert dosift.evaluate(truth, model.mixture_).recall == 1.0
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    again = ad.read_h5ad(path)
    pd.testing.assert_frame_equal(again.obs, adata.obs)
    target = again.obs["dosift_target"]
    assert isinstance(target.dtype, pd.CategoricalDtype)
    assert list(target.cat.categories) == [str(t) for t in model.targets_]
    assert target[2000:].isna().all()
    assert target[:2000].notna().all()
    posterior = again.obsm["dosift_probabilities"]
    assert posterior.shape == (3000, len(model.targets_))
    np.testing.assert_allclose(posterior[:2000].sum(axis=1), 1)
    assert np.isnan(posterior[2000:]).all()
    best = posterior[:2000].max(axis=1)
    np.testing.assert_allclose(again.obs["dosift_probability"][:2000], best)
    assert (again.obs["dosift_surprise"][:2000] > 0).all()
    stored = again.uns["dosift"]
    assert dosift.Mixture.from_dict(json.loads(stored["mixture"])) == model.mixture_
    assert parse_bif(stored["network"]).names == network.names
    assert list(stored["targets"]) == list(target.cat.categories)
    np.testing.assert_allclose(stored["components"]["weight"], model.weights_)
    assert stored["components"]["target"].tolist() == list(target.cat.categories)
    assert set(stored["variables"]["variable"]) == set(GENES)
    assert stored["params"]["max_size"] == 2
    assert stored["params"]["control"] == "obs['condition'] == 'ctrl'"
    assert stored["version"] == dosift.__version__
    assert bool(stored["trusted"])


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_of_matrix_gives_the_same(
    adata: Any, network: dosift.Network, form: str, tmp_path: Path
) -> None:
    expected = cells_of(adata, GENES)
    adata.X = FORMATS[form](adata.X.toarray())
    found = cells_of(adata, GENES)
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    stored = read_cells(path, GENES)
    backed = ad.read_h5ad(path, backed="r")
    for cells in (found, stored, cells_of(backed, GENES), cells_of(adata[:, ::-1], GENES)):
        assert list(cells.names) == GENES
        for name in GENES:
            assert np.array_equal(cells.numbers[name], expected.numbers[name])
    backed.file.close()
    rows = load_rows(path, network)
    assert rows.codes[:, 0].tolist() == expected.numbers["G1"].tolist()


def test_blocks_of_rows_join(adata: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cells_of(adata, GENES).numbers["G2"]
    monkeypatch.setattr("dosift.data.anndata._BLOCK", 7)
    assert np.array_equal(cells_of(adata, GENES).numbers["G2"], expected)


@pytest.mark.parametrize("kind", ["pair", "column", "mask", "series", "shuffled", "adata"])
def test_control_in_every_form(adata: Any, kind: str) -> None:
    mask = (adata.obs["condition"] == "ctrl").to_numpy()
    series = pd.Series(mask, index=adata.obs_names)
    forms = {
        "pair": ("condition", "ctrl"),
        "column": "is_control",
        "mask": mask,
        "series": series,
        "shuffled": series.sample(frac=1, random_state=0),
        "adata": adata[mask].copy(),
    }
    cells = adata[~mask].copy() if kind == "adata" else adata
    model = fit_anndata(cells, GRAPH, control=forms[kind])
    assert model.n_rows_ == 2000
    assert model.network_.control.n_rows == 1000
    assert "do(G2=1)" in set(cells.obs["dosift_target"].dropna())


def test_measurements_are_cut_with_the_controls_thresholds(
    adata: Any, truth: dosift.Mixture, tmp_path: Path
) -> None:
    cut = dosift.Discretizer(2, method="kmeans", log=True)
    model = fit_anndata(
        adata, GRAPH, control="is_control", layer="counts", discretizer=cut, key_added="iv"
    )
    assert not hasattr(cut, "thresholds_"), "the discretizer given is not changed"
    assert dosift.evaluate(truth, model.mixture_).recall == 1.0
    control = adata[adata.obs["is_control"]].layers["counts"][:, 4].toarray()
    thresholds = adata.uns["iv"]["thresholds"]
    expected = dosift.Discretizer(2, method="kmeans", log=True).fit(control).thresholds_["x0"]
    assert thresholds.query("variable == 'G1' and state == 'high'")["from"].item() == expected[0]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad").uns["iv"]["thresholds"]
    assert np.isneginf(again["from"]).any()
    # A discretizer that is fitted already is applied as it is, and needs no control cells.
    known = fit_anndata(
        adata[:2000].copy(), model.network, layer="counts", discretizer=cut.fit(_counts(adata))
    )
    assert known.n_rows_ == 2000


def test_a_fitted_discretizer_must_know_the_variables(adata: Any, network: dosift.Network) -> None:
    counts = {**_counts(adata), "other": np.arange(1000.0)}
    more = dosift.Discretizer(2).fit(counts)
    model = fit_anndata(adata, network, layer="counts", discretizer=more)
    assert model.n_rows_ == 3000
    assert set(adata.uns["dosift"]["thresholds"]["variable"]) == set(GENES)
    del counts["G2"]
    fewer = dosift.Discretizer(2).fit(counts)
    with pytest.raises(InputError, match="no thresholds for 'G2'"):
        fit_anndata(adata, network, layer="counts", discretizer=fewer)


def _counts(adata: Any) -> dict[str, Any]:
    control = adata[adata.obs["is_control"]]
    return {
        name: control.layers["counts"][:, at].toarray().ravel()
        for name, at in zip(GENES, [4, 0, 2], strict=True)
    }


def test_copy_leaves_the_original_alone(adata: Any, network: dosift.Network) -> None:
    out = fit_anndata(adata, network, copy=True)
    assert "dosift" in out.uns
    assert "dosift" not in adata.uns
    assert "dosift_target" not in adata.obs
    assert out.obs["dosift_target"].notna().all()


def test_a_view_is_annotated(adata: Any, network: dosift.Network) -> None:
    view = adata[:500]
    fit_anndata(view, network)
    assert view.obs["dosift_target"].notna().all()
    assert "dosift_target" not in adata.obs


def test_variables_may_stand_in_obs(adata: Any, network: dosift.Network, tmp_path: Path) -> None:
    expected = fit_anndata(adata, network, control="is_control").mixture_
    states = np.array(["low", "high"])[adata.X[:, 4].toarray().ravel().astype(int)]
    adata.obs["G1"] = pd.Categorical(states)
    without = adata[:, adata.var_names != "G1"].copy()
    assert fit_anndata(without, network, control="is_control").mixture_ == expected
    del without.uns["dosift"]
    without.write_h5ad(tmp_path / "cells.h5ad")
    assert (
        read_rows(tmp_path / "cells.h5ad", columns=["G1", "G2"])["G1"].to_list() == states.tolist()
    )


def test_states_named_by_numbers_match_by_number(adata: Any) -> None:
    network = dosift.Network.from_tables({"G1": ["1", "2"]}, {}, {"G1": [0.5, 0.5]})
    with pytest.raises(InputError, match=r"X holds 0 for 'G1' in cell 'cell\d+'.*its states: 1, 2"):
        fit_anndata(adata, network)
    adata.X = adata.X + sp.csr_matrix(np.ones(adata.shape))
    assert fit_anndata(adata, network).n_rows_ == 3000
    truth = dosift.Network.from_tables({"G1": ["TRUE", "FALSE"]}, {}, {"G1": [0.9, 0.1]})
    adata.X = adata.X - sp.csr_matrix(np.ones(adata.shape))
    codes = adata.X[:, 4].toarray().ravel()
    rows = load_rows(_saved(adata), truth)
    assert (rows.codes[:, 0] == 1 - codes).all(), "1 is TRUE, which is the first state"


def _saved(adata: Any) -> Path:
    import tempfile

    path = Path(tempfile.mkdtemp()) / "cells.h5ad"
    adata.write_h5ad(path)
    return path


def run(*arguments: str) -> tuple[int, str]:
    """Status and messages of the command."""
    done = command.run(*arguments)
    return done.returncode, " ".join(done.stderr.split())


def test_the_command_line_reads_h5ad(adata: Any, network: dosift.Network, tmp_path: Path) -> None:
    mask = adata.obs["is_control"].to_numpy()
    adata.layers["states"] = adata.X.copy()
    adata.X = adata.layers["counts"]
    adata[~mask].copy().write_h5ad(tmp_path / "cells.h5ad")
    adata[mask].copy().write_h5ad(tmp_path / "control.h5ad")
    (tmp_path / "edges.csv").write_text("parent,child\nG1,G2\nG2,G3\n")
    dosift.write_network(network, tmp_path / "net.bif")
    cells, control, edges, net, out, new = (
        str(tmp_path / name)
        for name in ("cells.h5ad", "control.h5ad", "edges.csv", "net.bif", "out", "new.csv")
    )
    learn = [cells, "--graph", edges, "--control", control]
    assert run("fit", *learn, "--layer", "states", "-o", out, "-q") == (0, "")
    found = dosift.Mixture.read(tmp_path / "out" / "mixture.json")
    assert dosift.do(G2=1) in found
    assert run("assign", out, cells, "--layer", "states", "-o", new, "-q") == (0, "")
    assert pl.read_csv(new).height == 2000
    assert run("fit", net, cells, "--layer", "states", "-o", out + "2", "-q") == (0, "")
    assert dosift.do(G2="high") in dosift.Mixture.read(tmp_path / "out2" / "mixture.json")


def test_the_command_line_says_what_is_wrong(
    adata: Any, network: dosift.Network, tmp_path: Path
) -> None:
    adata.X = adata.layers["counts"]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    dosift.write_network(network, tmp_path / "net.bif")
    (tmp_path / "rows.csv").write_text("G1,G2,G3\nlow,low,low\n")
    net, cells, rows, out = (
        str(tmp_path / name) for name in ("net.bif", "cells.h5ad", "rows.csv", "out")
    )
    status, message = run("fit", net, cells, "-o", out)
    assert status == 2
    assert "which is none of its states: 0 (low), 1 (high). If these are measurements" in message
    status, message = run("fit", net, cells, "-o", out, "--layer", "x")
    assert (status, "no layer 'x'; the layers are: 'counts'" in message) == (2, True)
    status, message = run("fit", net, rows, "-o", out, "--layer", "x")
    assert (status, "none is given" in message) == (2, True)
    assert not (tmp_path / "out").exists()


def test_missing_and_repeated_names(adata: Any, network: dosift.Network) -> None:
    lower = adata.copy()
    lower.var_names = [name.lower() for name in lower.var_names]
    with pytest.raises(InputError, match=r"3 variable.*'G1', 'G2', 'G3'. Did you mean 'g1'\?"):
        fit_anndata(lower, network)
    symbols = adata.copy()
    symbols.var["symbol"] = symbols.var_names.to_numpy()
    symbols.var_names = [f"ENSG{i}" for i in range(6)]
    with pytest.raises(InputError, match=r"They stand in var\['symbol'\]: set adata.var_names"):
        fit_anndata(symbols, network)
    twice = adata.copy()
    twice.var_names = ["G2", "x", "G3", "x", "G1", "G1"]
    with pytest.raises(InputError, match="var_names holds 'G1' more than once"):
        fit_anndata(twice, network)
    twice.var_names = ["G2", "x", "G3", "x", "G1", "x"]
    assert fit_anndata(twice, network).n_rows_ == 3000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layer": "count"}, "no layer 'count'; the layers are: 'counts'; did you mean 'counts'"),
        ({"layer": "counts"}, "layer 'counts' holds .* for 'G1' in cell 'cell0'.*discretize"),
        ({"control": ("condition", "control")}, "no cell has the value 'control'.*'pert', 'ctrl'"),
        ({"control": ("cond", "ctrl")}, "obs has no column 'cond' for control"),
        ({"control": "condition"}, "is not boolean.*control=\\('condition', 'ctrl'\\)"),
        ({"control": np.ones(2, dtype=bool)}, "control has shape"),
        ({"control": np.zeros(3000, dtype=bool)}, "chooses no cell"),
        ({"control": np.ones(3000, dtype=bool)}, "none to explain"),
        ({"control": pd.Series([True], index=["cell0"])}, "not obs_names"),
        ({"control": pd.Series(np.ones(3000, dtype=bool))}, "not obs_names"),
        ({"control": pd.Series([True] * 3001, index=[*range(3000), 0]).astype(bool)}, "not obs"),
        ({"discretizer": dosift.Discretizer()}, "thresholds are learned from control cells"),
        ({"discretizer": "quantile", "control": "is_control"}, "give a dosift.Discretizer"),
        ({"key_added": "a/b"}, "key_added is 'a/b'"),
        ({"network": GRAPH}, "tables of a graph are learned from control cells"),
        (
            {"network": GRAPH, "layer": "counts", "control": "is_control"},
            "measurements, not states",
        ),
        ({"network": None}, "give a network"),
    ],
)
def test_refused_and_nothing_stored(
    adata: Any, network: dosift.Network, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        fit_anndata(adata, **{"network": network, **arguments})
    assert "dosift" not in adata.uns
    assert "dosift_target" not in adata.obs


def test_a_dataframe_is_no_anndata(network: dosift.Network) -> None:
    with pytest.raises(InputError, match="adata is DataFrame, not an AnnData"):
        fit_anndata(pd.DataFrame(), network)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_broken_files(content: bytes | None, network: dosift.Network, tmp_path: Path) -> None:
    path = tmp_path / "cells.h5ad"
    if content is None:
        import h5py

        h5py.File(path, "w").close()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"is not a readable \.h5ad file") as caught:
        load_rows(path, network)
    assert caught.value.path == str(path)
    with pytest.raises(InputError, match="no such file"):
        load_rows(tmp_path / "other.h5ad", network)


def test_a_layer_belongs_to_h5ad(network: dosift.Network, adata: Any) -> None:
    with pytest.raises(InputError, match=r"for \.h5ad files only"):
        load_rows({"G1": ["low"]}, network, layer="states")
    path = _saved(adata)
    with pytest.raises(InputError, match="no layer 'state'; the layers are: 'counts'"):
        load_rows(path, network, layer="state")


def test_a_matrix_too_large_to_read_whole(adata: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _saved(adata)
    assert read_rows(path).columns == list(adata.var_names)
    monkeypatch.setattr("dosift.data.anndata._MOST_ENTRIES", 100)
    with pytest.raises(InputError, match="too many to read whole"):
        read_rows(path)


def test_guides_are_batches(network: dosift.Network, adata: Any, tmp_path: Path) -> None:
    guides = np.where(np.arange(3000) % 2 == 0, "even", "odd").astype(object)
    guides[2000:] = None  # control cells need no guide
    adata.obs["guide"] = pd.Categorical(guides)
    known = dosift.PriorKnowledge(required=["do()"])
    model = fit_anndata(
        adata, network, control=("condition", "ctrl"), batch="guide", prior_knowledge=known
    )
    assert model.batches_ is not None
    assert model.batches_["batch"].unique().sort().to_list() == ["even", "odd"]
    adata.write_h5ad(tmp_path / "out.h5ad")
    stored = ad.read_h5ad(tmp_path / "out.h5ad").uns["dosift"]
    assert stored["params"]["batch"] == "guide"
    assert stored["batches"]["weight"].to_numpy() == pytest.approx(
        model.batches_["weight"].to_numpy()
    )
    adata.obs.loc["cell3", "guide"] = None
    with pytest.raises(InputError, match=r"obs\['guide'\] is missing for the cell 'cell3'"):
        fit_anndata(adata, network, control=("condition", "ctrl"), batch="guide")
    with pytest.raises(InputError, match="obs has no column 'gide' for batch"):
        fit_anndata(adata, network, batch="gide")


def test_clones_are_units(network: dosift.Network, truth: dosift.Mixture, tmp_path: Path) -> None:
    """Clones of three cells, some cells of none, and cells that are told together."""
    rng = np.random.default_rng(3)
    targets, weights = truth.to_codes(network)
    hit = np.append(np.repeat(rng.choice(len(weights), 500, p=weights), 3), [0] * 100)
    rows = np.empty((len(hit), 3))
    for t in range(len(targets)):
        some = dosift.Mixture({truth.targets[t]: 1.0})
        drawn = dosift.simulate(network, some, int((hit == t).sum()), t)
        rows[hit == t] = (drawn == "high").to_numpy()
    clone = np.append(np.repeat([f"c{k}" for k in range(500)], 3).astype(object), [None] * 100)
    order = rng.permutation(len(hit))
    adata = ad.AnnData(rows[order].astype(np.float32), var=pd.DataFrame(index=GENES))
    adata.obs["clone"] = pd.Categorical(clone[order])
    model = fit_anndata(adata, network, unit="clone")
    assert model.n_rows_ == 1600
    assert model.n_units_ == 600
    assert dosift.evaluate(truth, model.mixture_).recall == 1.0
    table = pl.DataFrame(np.where(rows[order] > 0, "high", "low"), GENES)
    again = model.assign(table, unit=clone[order])
    posterior = again[0].posterior[again[1]]
    np.testing.assert_allclose(adata.obsm["dosift_probabilities"], posterior, atol=1e-12)
    told = adata.obs.dropna(subset="clone").groupby("clone", observed=True)
    assert (told["dosift_target"].nunique() == 1).all()
    # How surprising a cell is depends on it alone.
    np.testing.assert_allclose(adata.obs["dosift_surprise"], model.surprise(table))
    adata.write_h5ad(tmp_path / "out.h5ad")
    assert ad.read_h5ad(tmp_path / "out.h5ad").uns["dosift"]["params"]["unit"] == "clone"
    with pytest.raises(InputError, match="obs has no column 'clon' for unit"):
        fit_anndata(adata, network, unit="clon")
    with pytest.raises(InputError, match="unit is 3; give the name of a column"):
        fit_anndata(adata, network, unit=3)
    adata.obs["day"] = "one"
    adata.obs.loc[told.head(1).index[0], "day"] = "two"
    with pytest.raises(InputError, match=r"obs\['clone'\]: unit 'c\d+' is in batch"):
        fit_anndata(adata, network, unit="clone", batch="day")


def test_a_control_that_is_no_column_is_answered_with_what_was_meant() -> None:
    adata = ad.AnnData(
        np.zeros((4, 1)),
        obs=pd.DataFrame({"guide": ["nt", "nt", "x", "x"]}, index=list("abcd")),
        var=pd.DataFrame(index=["g"]),
    )
    graph = nothing_but("g")
    with pytest.raises(InputError, match=r"Did you mean control=\('guide', 'nt'\)\?"):
        dosift.fit_anndata(adata, graph, control="nt")
    with pytest.raises(InputError, match=r"Did you mean 'guide'\?"):
        dosift.fit_anndata(adata, graph, control=("guid", "nt"))


def nothing_but(name: str) -> dosift.Network:
    return dosift.Network.from_tables({name: ["0", "1"]}, {}, {name: [0.5, 0.5]})


def test_levels_that_no_control_cell_shows_become_states() -> None:
    adata = pytest.importorskip("anndata")
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 2, (600, 2)).astype(float)
    levels[400:, 1] = np.where(rng.random(200) < 0.5, 2.0, levels[400:, 1])
    obs = pd.DataFrame({"condition": ["ctrl"] * 300 + ["pool"] * 300}, index=map(str, range(600)))
    cells = adata.AnnData(levels, obs=obs, var=pd.DataFrame(index=["x", "y"]))
    control = ("condition", "ctrl")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = dosift.fit_anndata(cells, [("x", "y")], control=control)
    assert any("y: '2'" in str(notice.message) for notice in caught)
    assert model.network_.variables[1].states == ("0", "1", "2")
    learned = dosift.learn_network([("x", "y")], {"x": [0, 1], "y": [0, 1]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = dosift.fit_anndata(cells[300:].copy(), learned)
    assert again.network_.variables[1].states == ("0", "1", "2")
    with pytest.raises(InputError, match="2 for 'y'"):
        dosift.fit_anndata(cells, [("x", "y")], control=control, states={"y": [0, 1]})
    with pytest.raises(InputError, match="names no variable"):
        dosift.fit_anndata(cells, [], control=control)


class Reached(Exception):  # noqa: N818
    """The pipeline was reached."""


def ask(
    monkeypatch: pytest.MonkeyPatch, adata: Any, *network: Any, **arguments: Any
) -> tuple[Any, Any, Any]:
    """Return the recipe, the network and the rows that the pipeline is given."""
    found: list[Any] = []

    def reached(*given: Any) -> None:
        found.extend(given)
        raise Reached

    monkeypatch.setattr("dosift.estimator.fit", reached)
    with pytest.raises(Reached):
        fit_anndata(adata, *network, **arguments)
    assert "dosift" not in adata.uns
    return found[0], found[1], found[2]


def test_a_graph_that_is_not_known_is_learned(adata: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    genes = adata[:, GENES].copy()
    more = {"required_edges": [("G1", "G3")], "tiers": [["G1"], ["G2"]], "max_parents": 2}
    recipe, network, loaded = ask(
        monkeypatch, genes, control="condition == 'ctrl'", batch="condition", **more
    )
    assert recipe.edges == "learn"
    assert recipe.edge_knowledge.required == (("G1", "G3"),)
    assert recipe.edge_knowledge.tiers == (("G1",), ("G2",))
    assert recipe.edge_knowledge.max_parents == 2
    assert sorted(network.names) == GENES
    assert network.edges == []
    assert network.control.rows.counts.sum() == 1000
    assert loaded.rows.n_rows == 2000
    cut = {"layer": "counts", "discretizer": dosift.Discretizer(n_states=2)}
    recipe, network, _ = ask(monkeypatch, genes, control="is_control", edges="repair", **cut)
    assert (recipe.edges, network.control.rows.counts.sum()) == ("learn", 1000)
    apart = genes[genes.obs["is_control"]].copy()
    pert = genes[~genes.obs["is_control"]].copy()
    recipe, network, loaded = ask(monkeypatch, pert, control=apart)
    assert (recipe.edges, network.control.rows.counts.sum()) == ("learn", 1000)


@pytest.mark.parametrize("edges", [None, "fixed", "repair"])
@pytest.mark.parametrize("named", [False, True])
def test_a_graph_may_be_repaired(
    edges: str | None, named: bool, adata: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = () if named else (GRAPH,)
    given = {"graph": GRAPH} if named else {}
    recipe, network, _ = ask(
        monkeypatch, adata, *network, control="is_control", edges=edges, **given
    )
    assert recipe.edges == (edges or "fixed")
    assert network.edges == GRAPH


def test_a_known_network_is_worth_control_cells(
    adata: Any, network: dosift.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, found, _ = ask(monkeypatch, adata, network, edges="repair", control_rows=50)
    assert recipe.edges == "repair"
    assert found.control.n_rows == 50


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
def test_what_was_asked_of_edges_is_stored(adata: Any, tmp_path: Path) -> None:
    fit_anndata(adata, graph=GRAPH, control='condition == "ctrl"', tiers=[["G1"], ["G3"]])
    adata.write_h5ad(tmp_path / "a.h5ad")
    stored = ad.read_h5ad(tmp_path / "a.h5ad").uns["dosift"]["params"]
    assert stored["edges"] == "fixed"
    assert stored["tiers"] == "[['G1'], ['G3']]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give a network, or control="),
        ({"graph": GRAPH}, "control cells"),
        ({"graph": [], "control": "is_control"}, "leave the graph out"),
        ({"graph": GRAPH, "network": GRAPH, "control": "is_control"}, "leave one of them out"),
        ({"control": "is_control", "edges": "fixed"}, "edges='fixed' keeps a graph"),
        ({"control": "condition == 'control'"}, "no cell has the value 'control'"),
        ({"control": "cond == 'ctrl'"}, "obs has no column 'cond'"),
        ({"graph": GRAPH, "control": "is_control", "edges": "magic"}, "fixed, repair, learn"),
        (
            {"graph": GRAPH, "control": "is_control", "forbidden_edges": [("G1", "G2")]},
            "which is forbidden",
        ),
    ],
)
def test_graphs_that_are_refused(adata: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        fit_anndata(adata, **arguments)
    assert "dosift" not in adata.uns


@pytest.mark.filterwarnings("ignore::dosift.errors.DosiftWarning")
@pytest.mark.parametrize("notices", [(), ((0, 2, 1e-5),)])
def test_what_the_cells_say_of_the_graph_survives_a_file(
    notices: Any, adata: Any, network: dosift.Network, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("dosift.graphs.repair.common_causes", lambda *_: notices)
    model = fit_anndata(adata, graph=GRAPH, control="is_control")
    adata.write_h5ad(tmp_path / "a.h5ad")
    stored = ad.read_h5ad(tmp_path / "a.h5ad").uns["dosift"]
    assert model.graph_ is not None
    assert stored["graph"].columns.tolist() == ["parent", "child", "probability", "status"]
    assert stored["graph"]["status"].tolist() == ["given"] * len(GRAPH)
    assert stored["graph"]["probability"].to_numpy() == pytest.approx(
        model.graph_["probability"].to_numpy()
    )
    assert len(stored["notices"]) == len(notices)
    assert all("hidden common cause" in text for text in stored["notices"])
    fit_anndata(adata, network)
    assert "graph" not in adata.uns["dosift"]


# -- raw counts ----------------------------------------------------------------------------------


N_CELLS = 700


@pytest.fixture(scope="module")
def raw() -> Any:
    """As many control and other cells, with raw counts in a layer and something else in X."""
    data = drawn_cells(n_cells=N_CELLS)
    counts = np.concatenate([data.control.to_numpy(), data.pool.to_numpy()])
    n = len(data.control)
    out = ad.AnnData(
        np.log1p(counts).astype(np.float32),
        obs=pd.DataFrame(
            {
                "condition": pd.Categorical(["control"] * n + ["pert"] * n),
                "depth": 100.0 * np.concatenate([data.control_depth, data.pool_depth]),
                "guide": [f"guide{k % 2}" for k in range(2 * n)],
            },
            index=[f"cell{i}" for i in range(2 * n)],
        ),
        var=pd.DataFrame(index=list(data.control)),
        layers={"counts": sp.csr_matrix(counts)},
    )
    return out, data


RAW = {"control": "condition == 'control'", "layer": "counts", "knockouts": True}
KNOCKED = {frozenset(), frozenset({"g02"}), frozenset({"g05"})}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_raw_counts_are_fitted_as_they_are(raw: Any, tmp_path: Path) -> None:
    given, data = raw
    adata = given.copy()
    model = fit_anndata(adata, graph=data.graph, **RAW)
    assert {frozenset(target) for target in model.targets_} == KNOCKED
    assert model.n_rows_ == N_CELLS
    assert adata.obs["dosift_target"].isna().sum() == N_CELLS
    assert (adata.layers["counts"] != given.layers["counts"]).nnz == 0
    path = tmp_path / "cells.h5ad"
    adata.write_h5ad(path)
    kept = ad.read_h5ad(path).uns["dosift"]
    assert dosift.Mixture.from_dict(json.loads(kept["mixture"])).targets == model.mixture_.targets
    assert "total counts" not in set(kept["variables"]["variable"])
    network = parse_mechanism_network(kept["network"])
    assert network.variables == model.network_.variables
    new = data.pool.head(100)
    assert (model.predict(new) == adata.obs["dosift_target"].to_numpy()[N_CELLS:][:100]).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_part_of_the_genes_has_the_depth_of_all(raw: Any, tmp_path: Path) -> None:
    given, _ = raw
    adata = given.copy()
    part = ["g01", "g02", "g05"]
    graph = nx.DiGraph()
    graph.add_nodes_from(part)
    model = fit_anndata(adata, graph=graph, size=True, **RAW)
    total = np.asarray(given.layers["counts"].sum(axis=1)).ravel()
    i = model.network_.positions["total counts"]
    own = model.network_.control.values[:, i]
    assert own == pytest.approx(np.log(total[:N_CELLS]))
    assert {frozenset(target) for target in model.targets_} == KNOCKED
    given[N_CELLS:].write_h5ad(tmp_path / "new.h5ad")
    loaded = dosift.data.load.load(tmp_path / "new.h5ad", model.network_, layer="counts")
    assert loaded.rows.whole.values[loaded.inverse, i] == pytest.approx(np.log(total[N_CELLS:]))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_size_in_obs_and_batches(raw: Any) -> None:
    given, data = raw
    adata = fit_anndata(
        given.copy(), graph=data.graph, size="depth", batch="guide", copy=True, max_size=1, **RAW
    )
    kept = adata.uns["dosift"]
    assert set(kept["batches"]["batch"]) == {"guide0", "guide1"}
    assert "depth" not in set(kept["variables"]["variable"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({**RAW, "layer": None}, "counts are whole numbers"),  # X holds logarithms
        ({**RAW, "prior": 1.0}, "prior is for tables"),
        ({**RAW, "size": "nothing"}, "nothing"),
        ({**RAW, "discretizer": dosift.Discretizer(), "kinds": {"g00": "counts"}}, "discretizer"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_raw_counts_that_cannot_be(raw: Any, settings: Any, words: str) -> None:
    given, data = raw
    with pytest.raises(InputError, match=words):
        fit_anndata(given.copy(), graph=data.graph, **settings)


def test_a_known_network_has_kinds_of_its_own(adata: Any, network: dosift.Network) -> None:
    with pytest.raises(InputError, match="kinds, size and factors are for"):
        fit_anndata(adata, network, control=("condition", "ctrl"), size="condition")
