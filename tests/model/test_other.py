"""The target of rows from elsewhere: its text, its file, its rows, its likelihood."""

from __future__ import annotations

import numpy as np
import pytest

import dosift
from dosift.data.blocks import Block
from dosift.errors import InputError
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.model import Target, parse_target
from dosift.model.mixture import with_other_of, without_other
from dosift.model.other import OTHER, interventions, is_other, log_other, other_target
from dosift.model.simulate import sample_codes

SHARES = {"a": {"0": 0.2, "1": 0.8}, "b": {"0": 0.7, "1": 0.3}}
OTHERS = [np.array([0.2, 0.8]), np.array([0.7, 0.3])]
MIXTURE = dosift.Mixture({dosift.do(): 0.6, dosift.do(b="1"): 0.3, Target.other(SHARES): 0.1})


@pytest.fixture
def network() -> dosift.Network:
    return dosift.Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]},
        {"b": ["a"]},
        {"a": [0.25, 0.75], "b": [[0.9, 0.1], [0.4, 0.6]]},
    )


def test_text_and_back() -> None:
    other = parse_target(" other ")
    assert other.is_other
    assert str(other) == "other"
    assert other == Target.other(SHARES)
    assert other != dosift.do()
    assert hash(other) == hash(Target.other(SHARES))
    assert other.size == 0


def test_mixture_file_and_back() -> None:
    content = MIXTURE.to_dict()
    assert content["components"][2] == {"do": {}, "other": SHARES, "weight": 0.1}
    again = dosift.Mixture.from_dict(content)
    assert again == MIXTURE
    assert again.targets[2].shares == SHARES


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"do": {"a": "0"}, "other": {}, "weight": 1.0}, "no intervention"),
        ({"do": {}, "other": {"a": 3}, "weight": 1.0}, r"components\[0\].other.a"),
        ({"do": {}, "other": {"a": {"0": "much"}}, "weight": 1.0}, "must be a number"),
    ],
)
def test_malformed_files_are_refused(component: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dosift.Mixture.from_dict({"components": [component]})


def test_codes_and_back(network: dosift.Network) -> None:
    known = with_other_of(network, MIXTURE)
    codes, weights = MIXTURE.to_codes(known)
    assert codes[2].tolist() == [OTHER, OTHER]
    assert dosift.Mixture.from_codes(known, codes, weights) == MIXTURE
    assert is_other(codes).tolist() == [False, False, True]
    assert interventions(codes)[2].tolist() == [-1, -1]
    with pytest.raises(InputError, match="its codes are"):
        dosift.Mixture.from_codes(network, codes, weights)


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"a": SHARES["a"]}, "'b'"), ({**SHARES, "b": {"0": 0.5, "2": 0.5}}, "network lacks")],
)
def test_shares_that_do_not_fit_the_network_are_refused(
    network: dosift.Network, shares: dict[str, dict[str, float]], message: str
) -> None:
    mixture = dosift.Mixture({dosift.do(): 0.9, Target.other(shares): 0.1})
    with pytest.raises(InputError, match=message):
        dosift.simulate(network, mixture, 10)


def test_tables_are_taught_without_forgetting_what_other_rows_look_like(
    network: dosift.Network,
) -> None:
    known = network.with_other(OTHERS)
    assert known.with_own_tables(known.tables).other is not None
    assert known.with_tables(known.tables).other is not None
    assert known.with_other(None).other is None
    assert network.other is None


def test_rows_are_drawn_by_the_shares(network: dosift.Network) -> None:
    rng = np.random.default_rng(1)
    targets = np.array([other_target(2)])
    codes, _ = sample_codes(network.with_other(OTHERS), targets, np.ones(1), 20_000, rng)
    for i, own in enumerate(OTHERS):
        seen = np.bincount(codes[:, i], minlength=2) / len(codes)
        assert np.abs(seen - own).max() < 0.015
    assert abs(np.corrcoef(codes.T)[0, 1]) < 0.03


@pytest.mark.parametrize("plain", [True, False])
def test_likelihood_is_that_of_independent_variables(network: dosift.Network, plain: bool) -> None:
    known = network.with_other(OTHERS)
    values = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    block = Block(values, np.ones(4))
    targets = np.array([[-1, -1], other_target(2)], dtype=np.int16)
    assert is_plain(known, targets, block)
    rows = RowLikelihoods(known, block, plain)
    columns = rows.columns(targets)
    density = columns * np.exp(rows.log_reference)[:, None]
    own = [known.tables[0][0, a] * known.tables[1][a, b] for a, b in values]
    assert density[:, 0] == pytest.approx(own)
    assert density[:, 1] == pytest.approx([OTHERS[0][a] * OTHERS[1][b] for a, b in values])


def test_missing_values_are_summed_out(network: dosift.Network) -> None:
    known = network.with_other(OTHERS)
    values = np.array([[-1, 1], [1, -1], [0, 1]])
    assert np.exp(log_other(OTHERS, values)) == pytest.approx([0.3, 0.8, 0.06])
    rows = RowLikelihoods(known, Block(values, np.ones(3)), False)
    column = rows.columns(np.array([other_target(2)]))[:, 0]
    assert column * np.exp(rows.log_reference) == pytest.approx([0.3, 0.8, 0.06])


def test_the_rest_of_a_mixture() -> None:
    rest = without_other(MIXTURE)
    assert rest.targets == (dosift.do(), dosift.do(b="1"))
    assert rest.weights == pytest.approx([2 / 3, 1 / 3])
    assert without_other(rest) is rest
