"""The rows that the search over graphs looks at: complete, without batches and labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dosift.data.blocks import Block
from dosift.data.configurations import Configurations, collapse, systematic_sample
from dosift.likelihood.evidence import Evidence
from dosift.model.network import Network
from dosift.search.filling import filled_in
from dosift.search.result import SearchResult

#: Rows of numbers that are looked at, at most.
_MOST_NUMBERS = 2**14


def rows_for_graphs(
    network: Network,
    evidence: Evidence,
    sample: Block | None,
    explained: Callable[[], SearchResult],
) -> Configurations:
    """Take the rows, or a sample of them, with missing values filled in as a mixture would.

    Parameters
    ----------
    network : Network
    evidence : Evidence
        All rows.
    sample : Block or None
        Some of them, where they are not held.
    explained : callable
        Returns the mixture that explains them under the network's graph; asked only where values
        are missing. What is filled in agrees with that graph, so that fewer edges are asked for.

    Returns
    -------
    Configurations
    """
    block = evidence.held if sample is None else sample
    assert block is not None
    if block.label is not None:
        block = block.part(block.label < 0)  # labelled rows teach, as control rows do
    # Edges say how a row's values go together, whatever unit it is of.
    block = block.apart
    counts = block.counts
    if sample is not None:
        # A sample counts for as many rows as it holds, not for all that it stands for.
        counts = counts * min(len(block) / max(float(counts.sum()), 1.0), 1.0)
    rows = Configurations(block.values, counts, np.empty(0, dtype=np.int64))
    if np.issubdtype(block.values.dtype, np.floating):
        # Rows of numbers are all distinct, and a million of them are long to sort.
        rows = systematic_sample(rows, _MOST_NUMBERS)
    rows = collapse(rows.codes, network.cardinalities, rows.counts)
    if not block.has_missing:
        return rows
    found = explained()
    return filled_in(found.network, found.targets, found.weights, rows)
