"""Odds that a target is in a batch, by what the other batches have."""

from __future__ import annotations

import numpy as np

from dosift.model.network import Network
from dosift.pipeline.fit import _log_prior_odds


def test_odds_are_counted_in_the_other_batches() -> None:
    network = Network.from_tables(
        {"a": ["0", "1"], "b": ["0", "1"]}, {}, {"a": [0.5, 0.5], "b": [0.5, 0.5]}
    )
    targets = np.array([[-1, -1], [0, -1], [-1, 1]], dtype=np.int16)
    present = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=bool)
    found = np.exp(_log_prior_odds(network, targets, present))
    # Of the three other batches so many have it, and so many have not, half a batch more of each.
    np.testing.assert_allclose(found[:, 0], 3.5 / 0.5)
    np.testing.assert_allclose(found[:, 1], [1.5 / 2.5, 2.5 / 1.5, 1.5 / 2.5, 2.5 / 1.5])
    np.testing.assert_allclose(found[:3, 2], 1.5 / 2.5)
    # One of two targets of the batch, picked among the two of one of three sizes.
    np.testing.assert_allclose(found[3, 2], 2.0 / (3.0 * 2.0))
