"""Which variables of a wide network are looked at: those that rows, or units of rows, show set."""

from __future__ import annotations

import numpy as np

from dosift.data.configurations import collapse, collapse_units
from dosift.model.network import Network, Variable
from dosift.search.screening import SCREEN_FROM, screen_variables

N_UNITS, SIZE, SET = 100, 10, 3


def coins(n: int) -> Network:
    """Fair coins that know nothing of each other."""
    variables = [Variable(f"V{i}", ("0", "1")) for i in range(n)]
    return Network(variables, [()] * n, [np.array([[0.5, 0.5]])] * n)


def tossed(n: int, n_set: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of units, and their units; in the first few units one coin shows 0 in every row."""
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 2, size=(N_UNITS * SIZE, n))
    codes[: n_set * SIZE, SET] = 0
    return codes, np.repeat(np.arange(N_UNITS), SIZE)


def test_all_variables_of_a_small_network_are_looked_at() -> None:
    network = coins(SCREEN_FROM)
    codes, _ = tossed(SCREEN_FROM, 0)
    assert screen_variables(network, collapse(codes, network.cardinalities)) == tuple(
        range(SCREEN_FROM)
    )


def test_units_show_what_single_rows_do_not() -> None:
    """In two units of ten rows a coin shows one side: chance for rows, and plain for units."""
    n = SCREEN_FROM + 6
    network = coins(n)
    codes, unit = tossed(n, 2)
    rows, units = (
        collapse(codes, network.cardinalities),
        collapse_units(codes, unit, network.cardinalities),
    )
    assert SET not in screen_variables(network, rows)
    found = screen_variables(network, units)
    assert SET in found
    assert len(found) < n / 2


def test_rows_alone_show_what_is_set_often() -> None:
    n = SCREEN_FROM + 6
    network = coins(n)
    codes, _ = tossed(n, 30)
    found = screen_variables(network, collapse(codes, network.cardinalities))
    assert SET in found
    assert len(found) < n / 2
