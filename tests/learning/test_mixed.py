"""Networks learned from control rows of states, measurements and counts."""

from __future__ import annotations

import contextlib
import gzip
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data.load import load
from dosift.data.numbers import Numbers
from dosift.errors import (
    EmptyGraphWarning,
    ExtraColumnsWarning,
    InputError,
    KindsWarning,
    NewStatesWarning,
)
from dosift.learning.mixed import ControlTable, learn_from_control
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network

EDGES = [("zone", "load"), ("load", "latency"), ("latency", "errors")]
NAMES = ("zone", "load", "latency", "errors")


def table(n_rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Make rows in which nothing was done."""
    rng = np.random.default_rng(seed)
    zone = rng.choice(["north", "south"], n_rows)
    load = rng.normal(100.0, 10.0, n_rows) + 5.0 * (zone == "north")
    latency = np.exp(0.02 * load + 0.1 * rng.normal(size=n_rows))
    errors = rng.poisson(latency)
    return pl.DataFrame({"zone": zone, "load": load, "latency": latency, "errors": errors})


CONTROL, ROWS = table(), table(seed=1)


def learned(
    control: Any = CONTROL, rows: Any = ROWS, **settings: Any
) -> tuple[MechanismNetwork, Numbers]:
    own = {"graph": EDGES, "kinds": {"errors": "counts"}} | settings
    with pytest.warns(KindsWarning):
        network, read = learn_from_control(ControlTable(control, **own), rows)
    assert isinstance(network, MechanismNetwork)
    return network, read


def test_kinds_and_parents() -> None:
    network, rows = learned()
    assert network.names == NAMES
    kinds = ["discrete", "continuous", "continuous", "count"]
    assert [one.kind for one in network.variables] == kinds
    assert network.variables[0].states == ("north", "south")
    assert network.parents == ((), (0,), (1,), (2,))
    assert network.control is not None
    assert network.control.values.shape == (400, 4)
    assert load(rows, network).rows.n_rows == 400
    np.testing.assert_array_equal(rows.values[:, 1], ROWS["load"].to_numpy())


def test_files_and_tables_give_the_same_network(tmp_path: Path) -> None:
    network, _ = learned()
    control, rows = tmp_path / "control.csv", tmp_path / "rows.csv.gz"
    CONTROL.write_csv(control)
    rows.write_bytes(gzip.compress(ROWS.write_csv().encode()))
    for own, mixed in ((control, rows), (CONTROL.to_pandas(), ROWS.lazy()), (CONTROL, str(rows))):
        other, read = learned(own, mixed)
        assert other.variables == network.variables
        for one, two in zip(network.mechanisms, other.mechanisms, strict=True):
            values = np.stack([np.ones(4)])
            np.testing.assert_allclose(one.log_density(values), two.log_density(values))
        values = read.values if isinstance(read, Numbers) else next(iter(read.rows)).values
        np.testing.assert_array_equal(values[:, 2], ROWS["latency"].to_numpy())


def test_tables_of_states_go_the_way_they_did() -> None:
    control = {"a": [0, 1, 1, 0], "b": ["x", "y", "y", "x"]}
    rows = {"a": [0, 1], "b": ["x", "y"]}
    network, same = learn_from_control(ControlTable(control, [("a", "b")]), rows)
    assert isinstance(network, Network)
    assert same is rows
    expected = dosift.learn_network([("a", "b")], control)
    assert network.variables == expected.variables
    for one, two in zip(network.tables, expected.tables, strict=True):
        np.testing.assert_array_equal(one, two)


def test_measurements_that_are_said_to_be_states_are() -> None:
    control = {"a": [0.5, 1.5, 0.5, 1.5], "b": [0, 1, 1, 0]}
    own = ControlTable(control, [("a", "b")], kinds={"a": "discrete"})
    network, _ = learn_from_control(own, control)
    assert isinstance(network, Network)
    assert network.variables[0].states == ("0.5", "1.5")
    own = ControlTable(control, [("a", "b")], states={"a": [0.5, 1.5]})
    assert isinstance(learn_from_control(own, control)[0], Network)


def test_without_a_graph_every_column_is_a_variable(tmp_path: Path) -> None:
    control = CONTROL.with_columns(day=pl.lit("mon"))
    rows = ROWS.with_columns(day=pl.Series(["tue", "wed"] * 200))
    network, read = learned(control, rows, graph=None, beside=("day",))
    assert network.names == NAMES
    assert network.edges == []
    assert load(read, network, batch="day").rows.beside.batches == ("tue", "wed")
    empty = tmp_path / "graph.csv"
    empty.write_text("parent,child\n")
    with pytest.warns(EmptyGraphWarning):
        learned(graph=empty)
    pairs = (edge for edge in EDGES)
    assert learned(graph=pairs)[0].edges == learned()[0].edges


def test_states_that_only_rows_show() -> None:
    rows = ROWS.with_columns(zone=pl.Series(["east", None, "north", "south"] * 100))
    with pytest.warns(NewStatesWarning, match="zone: 'east'"):
        network, read = learned(rows=rows)
    assert network.variables[0].states == ("east", "north", "south")
    assert network.control is not None
    assert set(np.unique(network.control.values[:, 0])) == {1.0, 2.0}
    np.testing.assert_array_equal(read.values[:4, 0], [0.0, np.nan, 1.0, 2.0])
    with pytest.raises(
        InputError, match=r"'east' in data row 1 .*its states are: 'south', 'north'"
    ):
        learned(rows=rows, states={"zone": ["south", "north"]})
    fixed, _ = learned(states={"zone": ["south", "north", "west"]})
    assert fixed.variables[0].states == ("south", "north", "west")


def test_columns_that_the_graph_leaves_out_are_told() -> None:
    with pytest.warns(ExtraColumnsWarning, match="'errors'"):
        network, _ = learned(graph=EDGES[:2], kinds=None)
    assert network.names == NAMES[:3]


def test_scales_hold_the_rows_too() -> None:
    below = ROWS.with_columns(latency=pl.Series([0.0, *ROWS["latency"][1:]]))
    assert learned()[0].scales[2].form == "log"
    network, read = learned(rows=below)
    assert network.scales[2].form == "raw"
    assert load(read, network).rows.n_rows == 400


def test_features_of_parents() -> None:
    network, rows = learned(features={"latency": "(load - 100)**2"})
    plain, _ = learned()
    assert network.mechanisms[2].n_free == plain.mechanisms[2].n_free + 1
    assert load(rows, network).rows.n_rows == 400
    assert len(learned(features=["latency: load**2", "latency: sin(load)"])[0].mechanisms) == 4


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ({"latency": "errors**2"}, "'errors', which is no parent of it"),
        ({"load": "zone**2"}, "'zone' for a number, and that is discrete"),
        ({"latency": "log(load - 100)"}, "in control row"),
        ({"Latency": "load"}, "did you mean 'latency'"),
        ({"latency": "load +"}, "at character 7"),
    ],
)
def test_features_that_do_not_go(features: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        learned(features=features)


def test_a_feature_without_a_value_in_some_row() -> None:
    rows = ROWS.with_columns(load=pl.Series([*ROWS["load"][:-1], -5.0]))
    network, read = learned(rows=rows, features={"latency": "sqrt(load)"})
    with pytest.raises(
        InputError, match=r"'sqrt\(load\)' has no value in data row 400 \(load = -5"
    ):
        load(read, network)


def test_the_notice_says_what_was_chosen() -> None:
    control = CONTROL.with_columns(load=pl.lit(3.5))
    with pytest.warns(KindsWarning) as caught:
        learn_from_control(ControlTable(control, EDGES, kinds={"errors": "count"}), ROWS)
    kinds, mechanisms = (str(w.message) for w in caught if w.category is KindsWarning)
    assert (
        "2 are continuous ('load', 'latency'), 1 is a count ('errors') and 1 is discrete" in kinds
    )
    assert "--continuous" in kinds
    assert "'load' has the same value in all control rows" in mechanisms
    assert "'latency' is taken by its logarithm" in mechanisms


def test_the_notice_of_many_mechanisms_is_short() -> None:
    rng = np.random.default_rng(0)
    wide = {f"x{k}": np.exp(rng.normal(size=200)) for k in range(60)}
    with pytest.warns(KindsWarning) as caught:
        learn_from_control(ControlTable(wide), wide)
    words = [str(w.message) for w in caught]
    assert max(map(len, words)) < 1000
    assert "and 50 more" in words[1]


BAD: list[tuple[str, list[Any], str, str]] = [
    (
        "latency",
        ["slow"],
        "rows",
        "'latency' holds 'slow'.* data row 1, and is continuous in the control",
    ),
    ("latency", ["inf"], "rows", "'latency' holds infinity in data row 1"),
    ("latency", ["inf"], "control", "'latency' holds infinity in data row 1"),
    ("latency", [None], "control", "'latency' has a missing value in data row 1"),
    ("latency", ["slow"], "control", "but for the text 'slow' in data row 1 "),
    ("errors", ["-1"], "rows", "'errors' holds -1 in data row 1, and is counts"),
    ("errors", ["0.5"], "control", "'errors' holds 0.5 in data row 1, and is counts"),
    ("zone", [""], "control", "'zone' has a missing value in data row 1"),
    ("zone", ["0.25"], "rows", "'zone' holds '0.25' in data row 1, and states in the control rows"),
]


@pytest.mark.parametrize(("name", "values", "where", "words"), BAD)
def test_bad_values(name: str, values: list[Any], where: str, words: str, tmp_path: Path) -> None:
    tables = {"control": CONTROL, "rows": ROWS}
    old = tables[where][name].cast(pl.String).to_list()
    tables[where] = tables[where].with_columns(pl.Series(name, [*values, *old[len(values) :]]))
    files = {}
    for role, frame in tables.items():
        files[role] = tmp_path / f"{role}.csv"
        frame.write_csv(files[role])
    own = ControlTable(files["control"], EDGES, kinds={"errors": "counts"})
    with quiet(), pytest.raises(InputError, match=words) as caught:
        learn_from_control(own, files["rows"])
    assert caught.value.path == str(files[where])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leave out the notice of kinds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KindsWarning)
        yield


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": {"zone": "continuous"}}, "'zone' holds '(north|south)', which is no number"),
        ({"kinds": {"Zone": "discrete"}}, "did you mean 'zone'"),
        ({"kinds": {"zone": "gamma"}}, "choose one of continuous, counts, discrete"),
        ({"kinds": {"latency": "counts"}}, "'latency' holds .* and is counts"),
        ({"graph": [*EDGES, ("zone", "size")]}, "'size' is missing"),
        ({"graph": [("zone", "load"), ("load", "zone")]}, "cycle"),
        ({"states": {"zone": ["north"]}}, "its states are: 'north'"),
        ({"states": {"load": [1, 2]}}, "'load' has the value"),
    ],
)
def test_bad_settings(settings: dict[str, Any], words: str) -> None:
    with quiet(), pytest.raises(InputError, match=words):
        learn_from_control(ControlTable(CONTROL, **({"graph": EDGES} | settings)), ROWS)


def test_rows_that_were_encoded_already_are_refused() -> None:
    states = dosift.learn_network([], {"a": [0, 1]})
    loaded = load({"a": [0, 1]}, states)
    for rows in (loaded, loaded.rows):
        with pytest.raises(InputError, match="encoded for another network"):
            learn_from_control(ControlTable(CONTROL, EDGES), rows)


def test_three_control_rows_of_numbers_are_learned_from_or_refused_in_words() -> None:
    control = CONTROL.head(3).select("load", "latency")
    network, _ = learned(control, ROWS.select("load", "latency"), graph=EDGES[1:2], kinds=None)
    density = network.mechanisms[1].log_density(np.zeros((1, 2)))
    assert np.isfinite(density).all()


def test_arrays_of_numbers_have_columns_in_the_order_of_variables() -> None:
    control = CONTROL.select("load", "latency")
    rows = ROWS.select("load", "latency").to_numpy()
    network, read = learned(control, rows, graph=EDGES[1:2], kinds=None)
    np.testing.assert_array_equal(read.values, rows)
    assert load(rows, network).library == "numpy"


def test_arguments_of_the_estimator() -> None:
    from dosift import InterventionMixture

    for settings, words in (
        ({"kinds": {"a": "counts"}}, "kinds are those of a network that is learned"),
        ({"features": {"a": "b"}}, "features are those of a network that is learned"),
    ):
        with pytest.raises(InputError, match=words):
            InterventionMixture(dosift.learn_network([], {"a": [0, 1]})).fit({"a": [0]}, **settings)
    for own, words in (
        ({"changes": "set"}, "changes is 'set'; give a list of some of do, set"),
        ({"changes": ["sett"]}, "give a list of some of"),
        ({"changes": []}, "give a list of some of"),
        ({"knockouts": 1}, "knockouts is 1; give True or False"),
    ):
        with pytest.raises(InputError, match=words):
            InterventionMixture(**own).fit(ROWS, control=CONTROL, graph=EDGES)
    states = {"a": [0, 1, 0, 1]}
    with pytest.raises(InputError, match="all variables are discrete; leave the features out"):
        InterventionMixture().fit(states, control=states, features=["a: a**2"])


@pytest.mark.parametrize("said", [{"factors": 1}, {"size": True}, {"size": "b"}])
def test_what_is_for_counts_is_refused_where_there_are_none(said: dict[str, Any]) -> None:
    control = {"a": [0, 1, 1, 0], "b": ["x", "y", "y", "x"]}
    with pytest.raises(InputError, match="no variable is a count"):
        learn_from_control(ControlTable(control, [("a", "b")], **said), control)
