"""Control rows are remembered: what they were, with new states, labelled rows, and known tables."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import polars as pl
import pytest

import dosift
from dosift.data.load import load
from dosift.errors import InputError, NewStatesWarning
from dosift.learning.learn import learn_network
from dosift.learning.states import with_states_of
from dosift.learning.tables import as_if_learned, counts_of, remembered_rows
from dosift.methods.labels import read_labels, taught
from dosift.model.network import ControlRows, Network

EDGES = [("x", "y")]
CONTROL = pl.DataFrame({"y": ["a", "b", "b", "b", "a"], "x": [1, 10, 9, 10, 1]})


def rows_of(network: Network) -> ControlRows:
    assert network.control is not None
    assert network.control.rows is not None
    return network.control.rows


def named(network: Network) -> Counter[tuple[str, ...]]:
    """How often each row occurs, by names, with what it was set to."""
    rows = rows_of(network)
    out: Counter[tuple[str, ...]] = Counter()
    targets = np.full(rows.values.shape, -1) if rows.targets is None else rows.targets
    for value, target, count in zip(rows.values, targets, rows.counts, strict=True):
        states = [v.states[a] for v, a in zip(network.variables, value, strict=True)]
        done = [
            "" if a < 0 else v.states[a] for v, a in zip(network.variables, target, strict=True)
        ]
        out[(*states, *done)] += count
    return out


def test_distinct_rows_are_remembered_in_the_networks_order() -> None:
    network = learn_network(EDGES, CONTROL)
    rows = rows_of(network)
    assert rows.values.dtype == np.int16
    assert rows.targets is None
    assert named(network) == {("1", "a", "", ""): 2, ("10", "b", "", ""): 2, ("9", "b", "", ""): 1}
    weighted = learn_network(EDGES, CONTROL, sample_weight=[0, 1, 2, 0.5, 0])
    assert named(weighted) == {("10", "b", "", ""): 1.5, ("9", "b", "", ""): 2}


def test_families_can_be_counted_from_them() -> None:
    truth = dosift.random_network(5, random_state=3)
    control = dosift.simulate(truth, dosift.Mixture({dosift.do(): 1.0}), 500, 1)
    network = learn_network(truth.edges, control)
    rows = rows_of(network)
    assert network.control is not None
    found = counts_of(network.cardinalities, network.parents, rows.values, rows.counts)
    for counted, kept in zip(found, network.control.counts, strict=True):
        np.testing.assert_array_equal(counted, kept)


def test_too_many_rows_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dosift.learning.tables.MOST_CONTROL_VALUES", 6)
    assert rows_of(learn_network(EDGES, CONTROL)).counts.size == 3  # 3 rows of 2 variables
    monkeypatch.setattr("dosift.learning.tables.MOST_CONTROL_VALUES", 5)
    network = learn_network(EDGES, CONTROL)
    assert network.control is not None
    assert network.control.rows is None
    with pytest.warns(NewStatesWarning):
        with_states_of(network, {"x": [2], "y": ["a"]})


def test_a_state_with_a_high_position_fits() -> None:
    rows = remembered_rows(np.array([[40_000]]), [50_000])
    assert rows is not None
    assert rows.values.tolist() == [[40_000]]


def test_networks_are_pickled_with_their_rows() -> None:
    network = learn_network(EDGES, CONTROL)
    assert named(pickle.loads(pickle.dumps(network))) == named(network)
    assert rows_of(network.with_tables(network.tables)) is rows_of(network)


def test_new_states_move_the_rows() -> None:
    network = learn_network(EDGES, CONTROL)
    with pytest.warns(NewStatesWarning):
        more = with_states_of(network, {"x": [2, 99], "y": ["a", "A"]})
    assert more.variables[0].states == ("1", "2", "9", "10", "99")
    assert named(more) == named(network)
    assert more.control is not None
    rows = rows_of(more)
    found = counts_of(more.cardinalities, more.parents, rows.values, rows.counts)
    for counted, kept in zip(found, more.control.counts, strict=True):
        np.testing.assert_array_equal(counted, kept)


def labelled(network: Network) -> Network:
    rows = pl.DataFrame({"x": [1, 9, 9, 1, 10, 9], "y": ["a", "b", "b", None, "a", "a"]})
    texts = ["do(y=a)", "do(x=9)", "do(x=9)", "do(x=1)", "do()", ""]
    loaded = load(rows, network, labels=texts)
    return taught(network, read_labels(loaded, network), loaded)


def test_labelled_rows_join_with_their_targets() -> None:
    network = learn_network(EDGES, CONTROL)
    wiser = labelled(network)
    new = {("1", "a", "", "a"): 1, ("9", "b", "9", ""): 2, ("10", "a", "", ""): 1}
    assert named(wiser) == named(network) + Counter(new)
    rows = rows_of(wiser)
    assert rows.targets is not None
    assert rows.targets.dtype == np.int16
    with pytest.warns(NewStatesWarning):
        moved = with_states_of(wiser, {"x": [2], "y": ["A"]})
    assert named(moved) == named(wiser)


def test_labels_without_a_target_keep_plain_rows() -> None:
    network = learn_network(EDGES, CONTROL)
    loaded = load({"x": [1, 9], "y": ["b", "a"]}, network, labels=["do()", ""])
    wiser = taught(network, read_labels(loaded, network), loaded)
    assert rows_of(wiser).targets is None
    assert named(wiser) == named(network) + Counter({("1", "b", "", ""): 1})


def test_labelled_rows_join_from_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    network = learn_network(EDGES, CONTROL)
    whole = labelled(network)
    monkeypatch.setattr("dosift.data.blocks.MemoryBlocks.__iter__", _row_by_row)
    assert named(labelled(network)) == named(whole)


def _row_by_row(self: object) -> object:
    whole = self.whole  # type: ignore[attr-defined]
    return (whole.part(slice(r, r + 1)) for r in range(len(whole)))


def test_labelled_rows_join_nothing_where_rows_are_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = learn_network(EDGES, CONTROL)
    monkeypatch.setattr("dosift.learning.tables.MOST_CONTROL_VALUES", 7)
    wiser = labelled(network)
    assert wiser.control is not None
    assert wiser.control.rows is None
    assert wiser.control.n_rows == 10


def test_a_fit_keeps_them() -> None:
    truth = dosift.random_network(3, n_edges=2, random_state=1)
    none = dosift.Mixture({dosift.do(): 1.0})
    network = learn_network(truth.edges, dosift.simulate(truth, none, 300, 0))
    mixture = dosift.Mixture({dosift.do(): 0.5, dosift.do(V1="1"): 0.5})
    rows = dosift.simulate(truth, mixture, 300, 1)
    model = dosift.InterventionMixture(network).fit(rows)
    assert rows_of(model.network_) is rows_of(network)
    again = dosift.bootstrap(model, rows, n_resamples=2)
    assert again.weights.shape[0] == 2


# -- known tables that are worth control rows -----------------------------------------------------


def test_a_known_network_stands_for_rows() -> None:
    truth = dosift.random_network(5, random_state=4)
    network = as_if_learned(truth, 400)
    assert network.control is not None
    assert network.control.n_rows == 400
    assert network.control.fixed_states == set(truth.names)
    rows = rows_of(network)
    assert rows.counts.sum() == pytest.approx(400)
    found = counts_of(network.cardinalities, network.parents, rows.values, rows.counts)
    for i, table in enumerate(truth.tables):
        np.testing.assert_allclose(found[i], network.control.counts[i], atol=1e-9)
        share = found[i] / found[i].sum(axis=1, keepdims=True)
        np.testing.assert_allclose(share, table, atol=1e-9)
        counted = network.control.counts[i] + 0.5
        np.testing.assert_allclose(network.tables[i], counted / counted.sum(axis=1, keepdims=True))


def test_a_large_network_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = dosift.random_network(5, random_state=4)
    monkeypatch.setattr("dosift.learning.tables.MOST_CELLS", 10)
    network, same = as_if_learned(truth, 400, 1), as_if_learned(truth, 400, 1)
    exact = as_if_learned(truth, 400)
    assert network.control is not None
    assert exact.control is not None
    rows = rows_of(network)
    assert rows.counts.sum() == pytest.approx(400)
    np.testing.assert_array_equal(rows.counts, rows_of(same).counts)
    # Shares within a family are those of the tables; only what the parents are is drawn.
    for drawn, counts in zip(network.control.counts, exact.control.counts, strict=True):
        np.testing.assert_allclose(drawn, counts, atol=3)
    for one, other in zip(network.tables, exact.tables, strict=True):
        np.testing.assert_allclose(one, other, atol=0.01)
    monkeypatch.setattr("dosift.learning.tables.MOST_CONTROL_VALUES", 500)
    assert rows_of(as_if_learned(truth, 400)).counts.size <= 100


def test_what_cannot_occur_is_no_row() -> None:
    network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [[1.0, 0.0]]})
    assert rows_of(as_if_learned(network, 9)).values.tolist() == [[0]]


@pytest.mark.parametrize("n_rows", [0, -1, float("nan"), float("inf")])
def test_a_network_is_worth_a_positive_number_of_rows(n_rows: float) -> None:
    network = dosift.random_network(2, random_state=0)
    with pytest.raises(InputError, match="positive number"):
        as_if_learned(network, n_rows)
