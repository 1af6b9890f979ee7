"""What units of several rows identify: all, unless a variable follows from its parents."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.identifiability.units import ranks, units_identified
from dosift.model import Mixture, do
from dosift.model.network import Network


@pytest.mark.parametrize("seed", range(30))
def test_two_rows_span_all_targets_and_one_row_does_not(seed: int) -> None:
    n, k = 2 + seed % 3, 2 + seed // 3 % 2
    network = dosift.random_network(n, n_states=k, random_state=seed)
    found = ranks(network)
    assert found is not None
    assert found.n_targets == found.several == (k + 1) ** n
    assert found.one == k**n


def test_zeros_that_leave_a_choice_do_no_harm() -> None:
    network = Network.from_tables(
        {"a": "01", "b": "012"},
        {"b": ["a"]},
        {"a": [0.3, 0.7], "b": [[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]]},
    )
    found = units_identified(network)
    assert found.status == "unique"
    assert found.ranks is not None
    assert found.ranks.several == 12


def certain_b() -> Network:
    """b follows from a where a is 1."""
    return Network.from_tables(
        {"a": "01", "b": "01"}, {"b": ["a"]}, {"a": [0.5, 0.5], "b": [[0.5, 0.5], [1.0, 0.0]]}
    )


def test_a_variable_that_follows_from_its_parents() -> None:
    network = certain_b()
    found = units_identified(network)
    assert (found.status, found.n_deterministic, found.one_row) == ("not known", 1, None)
    assert found.deterministic[0]["parents"] == {"a": "1"}
    assert found.difference == 0.0
    assert found.ranks is not None
    # do(a=1) and do(a=1, b=0) have the same law; nothing else is lost.
    assert found.ranks.several == found.ranks.n_targets - 1


def test_a_mixture_that_never_goes_there_is_unique() -> None:
    found = units_identified(certain_b(), Mixture({do(a=0): 0.5, do(a=0, b=1): 0.5}))
    assert found.status == "unique"
    assert found.n_deterministic == 0


def test_targets_of_the_same_law_are_named() -> None:
    found = units_identified(certain_b(), Mixture({do(a=1): 0.5, do(b=1): 0.5}))
    assert found.status == "not identified"
    assert found.same == ((do(a="1"), do(a="1", b="0")),)
    back = units_identified(certain_b(), Mixture({do(a=1, b=0): 0.5, do(b=1): 0.5}))
    assert back.same == ((do(a="1", b="0"), do(a="1")),)


def test_where_it_goes_now_and_then_nothing_is_claimed() -> None:
    found = units_identified(certain_b(), Mixture({do(): 0.5, do(b=1): 0.5}))
    assert found.status == "not known"
    assert found.same == ()


def test_constant_variables_are_no_variables() -> None:
    network = Network.from_tables(
        {"a": "01", "c": ["only"]}, {"a": ["c"]}, {"a": [[0.5, 0.5]], "c": [[1.0]]}
    )
    found = units_identified(network)
    assert found.status == "unique"
    assert found.ranks is not None
    assert (found.ranks.one, found.ranks.several) == (2, 3)


def test_large_networks_have_no_ranks_and_an_answer() -> None:
    network = dosift.random_network(200, max_parents=3, random_state=0)
    mixture = dosift.random_mixture(network, 9, max_size=3, exclusion=False, random_state=1)
    found = units_identified(network, mixture)
    assert found.ranks is None
    assert found.status == "unique"
    assert 0 < found.difference < 0.5


def test_it_is_written_as_json() -> None:
    content = units_identified(certain_b(), Mixture({do(a=1): 1.0})).to_dict()
    assert content["same"] == [["do(a=1)", "do(a=1, b=0)"]]
    assert content["deterministic"]["n"] == 1
    assert content["ranks"] == {"n_targets": 9, "one": 4, "several": 8}


def test_the_difference_is_that_of_two_rows() -> None:
    network = dosift.random_network(3, n_states=2, random_state=1)
    least = min(
        1.0 - float(one @ other) for table in network.tables for one in table for other in table
    )
    assert units_identified(network).difference == pytest.approx(least)
    assert np.isfinite(least)
