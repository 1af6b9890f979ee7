from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from dosift.model.network import Network


@pytest.fixture(scope="session")
def make_network() -> Callable[..., Network]:
    """Build a network of independent variables from their states."""

    def make(**states: Sequence[str]) -> Network:
        return Network.from_tables(
            states, {}, {name: [[1 / len(s)] * len(s)] for name, s in states.items()}
        )

    return make
