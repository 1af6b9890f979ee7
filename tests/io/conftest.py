"""What the tests of networks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dosift.model import Network


@pytest.fixture(scope="session")
def bnlearn_files() -> list[Path]:
    """The networks of the bnlearn repository that the pgmpy wheel carries."""
    pgmpy = pytest.importorskip("pgmpy")
    folder = Path(pgmpy.__file__).parent / "utils" / "example_models"
    files = sorted(folder.glob("*.bif.gz"))
    if not files:
        pytest.skip("this version of pgmpy carries no networks")
    return files


@pytest.fixture
def small() -> Network:
    """Three variables, one with two parents of different sizes."""
    rng = np.random.default_rng(0)
    return Network.from_tables(
        {"a": ["no", "yes"], "b": ["1", "2", "3"], "c": ["low", "high"]},
        {"c": ["b", "a"]},
        {
            "a": [[0.25, 0.75]],
            "b": rng.dirichlet(np.ones(3), 1),
            "c": rng.dirichlet(np.ones(2), 6),
        },
    )
