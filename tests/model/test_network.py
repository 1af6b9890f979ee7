"""What a network holds can be read by all and changed by none."""

from __future__ import annotations

import numpy as np
import pytest

from dosift.errors import InputError
from dosift.model.network import Network, Variable

VARIABLES = [Variable("a", ("0", "1")), Variable("b", ("0", "1"))]


def test_tables_belong_to_the_network_and_cannot_be_written() -> None:
    """Neither through the network nor through the arrays that were given."""
    given = [np.array([[0.4, 0.6]]), np.array([[0.1, 0.9], [0.5, 0.5]])]
    network = Network(VARIABLES, [(), (0,)], given)
    with pytest.raises(ValueError, match="read-only"):
        network.tables[1][0, 0] = 0.7
    given[1][0] = 0.5
    assert network.tables[1][0].tolist() == [0.1, 0.9]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0.5, 0.6], "row 2 of the table of 'b' sums to 1.1"),
        ([-0.5, 1.5], "not a probability"),
        ([np.nan, 1.0], "not a probability"),
    ],
)
def test_a_table_that_is_none_is_refused(row: list[float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Network(VARIABLES, [(), (0,)], [np.array([[0.4, 0.6]]), np.array([[0.1, 0.9], row])])


def test_entries_and_rows_of_tables_may_be_off_by_a_millionth() -> None:
    def table_of(row: list[float]) -> list[float]:
        found = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [row]})
        return found.tables[0][0].tolist()

    assert table_of([0.25 + 0.9e-6, 0.75]) == pytest.approx([0.25, 0.75], abs=1e-6)
    assert sum(table_of([0.25 + 0.9e-6, 0.75])) == pytest.approx(1.0, abs=1e-15)
    assert table_of([1.0 + 0.9e-6, 0.0]) == [1.0, 0.0]
    for row in ([0.25 + 1.1e-6, 0.75], [0.25 - 1.1e-6, 0.75]):
        with pytest.raises(InputError, match="sums to"):
            table_of(row)
    for row in ([1.0 + 1.1e-6, 0.0], [1.5, -0.5], [np.nan, 1.0], [np.inf, 0.0], [-1e-9, 1.0]):
        with pytest.raises(InputError, match="not a probability"):
            table_of(row)
