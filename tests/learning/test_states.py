"""States that rows to be explained show and control rows do not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import dosift
from dosift.errors import EmptyGraphWarning, InputError, NewStatesWarning
from dosift.learning.learn import learn_network
from dosift.learning.states import new_states, open_variables, with_states_of
from dosift.model import Network

EDGES = [("a", "b"), ("b", "c")]


def tables(n_control: int = 400, n_rows: int = 1500) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Control rows in which ``b`` is never 2 or 10, and rows of which 40 % have do(b=10)."""
    rng = np.random.default_rng(3)

    def drawn(n: int) -> dict[str, Any]:
        a = rng.integers(0, 2, n)
        b = np.where(rng.random(n) < 0.2 + 0.5 * a, 3, 1)
        return {"a": a, "b": b, "u": rng.random(n)}

    def child(columns: dict[str, Any]) -> pl.DataFrame:
        high = np.where(columns["b"] == 1, 0.2, 0.7)
        c = np.where(columns.pop("u") < high, "high", "low")
        return pl.DataFrame({**columns, "c": c})

    rows = drawn(n_rows)
    hit = rng.random(n_rows) < 0.4
    rows["b"] = np.where(hit, 10, rows["b"])
    rows["b"][:3] = 2
    return child(drawn(n_control)), child(rows)


def expected(control: pl.DataFrame) -> Network:
    return learn_network(EDGES, control, states={"b": [1, 2, 3, 10]})


def assert_same_network(found: Network, wanted: Network) -> None:
    assert found.variables == wanted.variables
    assert found.parents == wanted.parents
    assert found.control is not None
    assert wanted.control is not None
    for one, other in zip(found.control.counts, wanted.control.counts, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found.tables, wanted.tables, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "form", ["polars", "pandas", "pyarrow", "mapping", "lazy", "path", "float", "text"]
)
def test_states_are_those_of_control_and_rows_together(form: str, tmp_path: Path) -> None:
    control, rows = tables()
    given: Any = rows
    if form == "pandas":
        given = rows.to_pandas()
    elif form == "pyarrow":
        given = pytest.importorskip("pyarrow").Table.from_pandas(rows.to_pandas())
    elif form == "mapping":
        given = rows.to_dict(as_series=False)
    elif form == "lazy":
        given = rows.lazy()
    elif form == "path":
        given = tmp_path / "rows.csv"
        rows.write_csv(given)
    elif form == "float":
        given = rows.with_columns(pl.col("b").cast(pl.Float64))
    elif form == "text":
        given = rows.with_columns(pl.col("b").cast(pl.Float64).cast(pl.String))  # "10.0"
    with pytest.warns(NewStatesWarning, match="b: '2', '10'"):
        network = with_states_of(learn_network(EDGES, control), given)
    assert_same_network(network, expected(control))


def test_parents_and_children_of_new_states_keep_their_counts_in_place() -> None:
    control = pl.DataFrame({"x": [1, 1, 3], "y": ["m", "z", "z"], "k": [0, 1, 1]})
    edges = [("x", "k"), ("y", "k")]
    rows = pl.DataFrame({"x": [2, 9], "y": ["a", "m"], "k": [0, 5]})
    with pytest.warns(NewStatesWarning):
        found = with_states_of(learn_network(edges, control, prior=0.25), rows)
    full = {"x": [1, 2, 3, 9], "y": ["a", "m", "z"], "k": [0, 1, 5]}
    assert_same_network(found, learn_network(edges, control, states=full, prior=0.25))


@pytest.mark.parametrize("form", ["table", "lazy", "path"])
def test_a_fit_finds_the_level_that_only_the_intervention_shows(form: str, tmp_path: Path) -> None:
    control, rows = tables()
    learned = learn_network(EDGES, control)
    given: Any = rows
    if form == "lazy":
        given = rows.lazy()
    elif form == "path":
        given = str(tmp_path / "rows.parquet")
        rows.write_parquet(given)
    with pytest.warns(NewStatesWarning):
        model = dosift.InterventionMixture(learned).fit(given)
    assert model.network is learned
    assert model.network_.variables[1].states == ("1", "2", "3", "10")
    weight = sum(w for t, w in model.mixture_.items() if t.get("b") == "10")
    assert abs(weight - 0.4) < 0.05
    np.testing.assert_allclose(model.predict_proba(rows).sum(axis=1), 1)
    same = dosift.InterventionMixture(expected(control)).fit(rows)
    assert same.mixture_.to_dict() == model.mixture_.to_dict()
    assert same.log_likelihood_ == model.log_likelihood_


def test_a_new_row_with_a_state_that_nobody_has_seen_is_an_error() -> None:
    control, rows = tables()
    with pytest.warns(NewStatesWarning):
        model = dosift.InterventionMixture(learn_network(EDGES, control)).fit(rows)
    strange = rows.head(2).with_columns(b=pl.Series([10, 7]))
    for asked in (model.predict, model.predict_proba, model.score, model.surprise):
        with pytest.raises(InputError, match="'7'"):
            asked(strange)
    with pytest.raises(InputError, match="'7'"):
        dosift.annotate(model, strange.lazy())


def test_given_states_and_networks_of_files_stay_as_they_are(tmp_path: Path) -> None:
    control, rows = tables()
    fixed = learn_network(EDGES, control, states={"b": [1, 3]})
    assert [v.name for v in open_variables(fixed)] == ["a", "c"]
    assert with_states_of(fixed, rows) is fixed
    with pytest.raises(InputError, match=r"'10'|'2'"):
        dosift.InterventionMixture(fixed).fit(rows)
    with pytest.raises(InputError, match=r"'10'|'2'"):
        dosift.InterventionMixture(fixed).fit(rows.lazy())
    dosift.io.write_network(learn_network(EDGES, control), tmp_path / "net.bif")
    read = dosift.read_network(tmp_path / "net.bif")
    assert with_states_of(read, rows) is read
    with pytest.raises(InputError, match="not a state"):
        dosift.InterventionMixture(read).fit(rows)


def test_nothing_is_said_or_changed_where_nothing_is_new() -> None:
    control, rows = tables()
    network = expected(control)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert with_states_of(network, rows) is network
        plain = learn_network(EDGES, control)
        assert with_states_of(plain, control) is plain
        assert with_states_of(plain, np.zeros((2, 3), dtype=int)) is plain


@pytest.mark.parametrize("mark", ["NA", "nan", "?", " null "])
def test_a_mark_of_a_missing_value_is_no_state(mark: str) -> None:
    control, rows = tables()
    network = learn_network(EDGES, control)
    marked = rows.with_columns(c=pl.Series([mark, *rows["c"].to_list()[1:]]))
    with pytest.raises(InputError, match="marks a missing value"):
        dosift.InterventionMixture(network).fit(marked)


def test_a_measurement_is_no_list_of_states() -> None:
    control, rows = tables()
    network = learn_network(EDGES, control)
    numbers = pl.Series(np.random.default_rng(0).random(rows.height))
    with pytest.raises(InputError, match="measurement"):
        dosift.InterventionMixture(network).fit(rows.with_columns(c=numbers))


def test_other_errors_of_the_rows_are_said_as_before() -> None:
    control, rows = tables()
    network = learn_network(EDGES, control)
    with pytest.raises(InputError, match="'c' is missing"):
        dosift.InterventionMixture(network).fit(rows.drop("c"))


def test_a_new_state_like_a_known_one_is_pointed_out() -> None:
    control = pl.DataFrame({"a": ["yes", "no"]})
    with pytest.warns(NewStatesWarning, match=r"'Yes' \(control rows: 'yes'\)"):
        with_states_of(learn_network([], control), pl.DataFrame({"a": ["Yes", "no"]}))


def test_without_a_prior_new_states_of_parents_are_refused() -> None:
    control = pl.DataFrame({"a": [0, 1, 0, 1], "b": [0, 1, 1, 0]})
    network = learn_network([("a", "b")], control, prior=0)
    with pytest.raises(InputError, match="prior is 0"):
        with_states_of(network, pl.DataFrame({"a": [2], "b": [0]}))


@pytest.mark.parametrize(
    ("values", "known", "found"),
    [
        ([1, 2, None], ["1"], {"2"}),
        (["1.0", "2.0"], ["1.0"], {"2.0"}),
        (["2.0", "2"], ["1"], {"2"}),
        ([True, False], ["0", "1"], set()),
        ([True, False], ["yes"], {"True", "False"}),
        (["", "01"], ["1"], {"01"}),
        ([0.5, float("nan")], ["0"], {"0.5"}),
    ],
)
def test_names_of_new_states(values: list[Any], known: list[str], found: set[str]) -> None:
    assert new_states(values, known) == found


def test_stability_knows_the_states_of_both() -> None:
    control, rows = tables()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = dosift.structure.stability(control, rows, graphs=[EDGES])
    wholes = table.filter((pl.col("kind") == "target") & (pl.col("intervention") == "do(b=10)"))
    assert wholes["found"].to_list() == [1.0]


def test_labelled_rows_may_show_new_states() -> None:
    control, rows = tables()
    labels = np.where(rows["b"].to_numpy() == 10, "do(b=10)", None)
    labels[50:] = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = dosift.InterventionMixture(learn_network(EDGES, control)).fit(rows, labels=labels)
    assert model.network_.variables[1].states == ("1", "2", "3", "10")


# -- graphs without edges -------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["polars", "pandas", "mapping"])
def test_no_edges_among_all_columns(library: str) -> None:
    control, rows = tables()
    given: Any = control
    if library == "pandas":
        given = pd.DataFrame(control.to_dict(as_series=False))
    elif library == "mapping":
        given = control.to_dict(as_series=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = learn_network([], given)
    assert network.names == ("a", "b", "c")
    assert network.edges == []
    if library == "polars":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dosift.InterventionMixture(network).fit(rows)
        assert model.mixture_.targets


def test_an_empty_edge_file_is_pointed_out(tmp_path: Path) -> None:
    control, _ = tables()
    path = tmp_path / "edges.csv"
    path.write_text("parent,child\n")
    with pytest.warns(EmptyGraphWarning, match="all 3 columns"):
        assert learn_network(path, control).edges == []
    path.write_text(",b\n,a\n")
    with pytest.warns(UserWarning, match="ignored: 'c'"):
        network = learn_network(path, control)
    assert network.names == ("b", "a")
    assert network.edges == []


def test_a_foreign_header_is_explained(tmp_path: Path) -> None:
    control, _ = tables()
    path = tmp_path / "edges.csv"
    path.write_text("cause,effect\na,b\n")
    with pytest.raises(InputError, match=r"'cause'.*parent,child or source,target or from,to"):
        learn_network(path, control)
