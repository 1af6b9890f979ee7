"""Targets proposed by searches on complete rows in memory, whatever the rows are.

The search proper needs complete rows that are held. It gets the rows themselves, a sample of them
where they are too many, and where values are missing rows that are filled in as the mixture found
so far would (structural EM; Friedman, 1998), until it finds nothing new. What is common shows in
the pool of all batches; what is rare in the pool may be common in one batch: so targets are looked
for in the pool and in each batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dosift.data.blocks import Block
from dosift.data.configurations import Configurations
from dosift.methods.options import Options
from dosift.model.arrays import Ints
from dosift.model.mechanism import has_missing, missing
from dosift.model.network import Network
from dosift.search.constraints import Constraints
from dosift.search.engine import find_targets
from dosift.search.filling import filled_in
from dosift.search.library import find_changes, grows, of
from dosift.search.moves import merges
from dosift.search.result import SearchResult
from dosift.utils.progress import Progress

#: Rounds of filling in and searching; where changes are looked for, too.
_ROUNDS, _ROUNDS_OF_CHANGES = 3, 2
#: The search begins with the complete rows if these are at least such a share of all, or so many.
_ENOUGH_COMPLETE, _ENOUGH_ROWS = 0.2, 256


@dataclass(frozen=True)
class Proposals:
    """Targets that may be in the mixture.

    Attributes
    ----------
    network : Network
        The network given, or the one that the pool taught.
    targets : ndarray of int, shape (n_targets, n_variables)
        Distinct.
    pooled : SearchResult
        The best of all rows together.
    """

    network: Network
    targets: Ints
    pooled: SearchResult


@dataclass(frozen=True)
class Proposer:
    """Proposes targets.

    Attributes
    ----------
    network : Network
    constraints : Constraints
    options : Options
    tell : callable
        Called with a stage's name, the steps done and the steps in all.
    is_sample : bool
        Whether the rows are a sample, and others judge what they propose.
    """

    network: Network
    constraints: Constraints
    options: Options
    tell: Progress
    is_sample: bool = False

    def _constraints(self, found: SearchResult) -> Constraints:
        """Return what is known about targets under the libraries of what was found."""
        if not grows(self.network):
            return self.constraints
        return self.options.constraints_on(found.network, found.targets, found.weights)

    def propose(self, block: Block) -> Proposals:
        """Search rows.

        Parameters
        ----------
        block : Block
            All rows, or a sample of them. Labels are not looked at.

        Returns
        -------
        Proposals
        """
        rows = self._collapsed(block)
        pooled, pool = self._pooled(rows)
        network = pooled.network
        if block.batch is not None:
            pool += list(self._by_batch(block, pooled))
        targets = np.unique(np.concatenate(pool).astype(np.int16), axis=0)
        if block.has_missing:
            permits = self._constraints(pooled).permits
            common = [m.added for m in merges(targets) if permits(m.added).all()]
            targets = np.unique(np.concatenate([targets, *common]), axis=0)
        return Proposals(network, targets, pooled)

    def _collapsed(self, block: Block) -> Configurations:
        return block.collapsed(self.network.cardinalities)

    def _search(
        self, network: Network, rows: Configurations, start: SearchResult | None = None
    ) -> SearchResult:
        return find_targets(
            network,
            rows,
            max_size=self.options.max_size,
            refine=self.options.refine,
            progress=self.tell,
            constraints=self.constraints,
            look_around=False,
            start=start,
        )

    def _found(
        self, network: Network, rows: Configurations, start: SearchResult | None = None
    ) -> SearchResult:
        """Search complete rows; for changes of numbers too."""
        if not grows(network):
            return self._search(network, rows, start)
        return find_changes(
            of(network),
            rows,
            max_size=self.options.max_size,
            refine=self.options.refine,
            progress=self.tell,
            look_around=False,
            patterns=self.options.patterns,
            on_all=not self.is_sample,
        )

    def _pooled(self, rows: Configurations) -> tuple[SearchResult, list[Ints]]:
        """Search all rows together, filled in where values are missing."""
        lacks = missing(rows.codes).any(axis=1)
        if rows.first is not None:
            lacks = np.logical_or.reduceat(lacks, rows.first)
        is_complete = ~lacks
        if is_complete.all():
            found = self._found(self.network, rows)
            return found, [found.targets]
        nothing: Ints = np.full((1, self.network.n_variables), -1, dtype=np.int16)
        n_complete = float(rows.counts[is_complete].sum())
        if n_complete >= min(_ENOUGH_COMPLETE * rows.total, _ENOUGH_ROWS):
            start = rows.some(np.flatnonzero(is_complete)).collapsed(self.network.cardinalities)
        else:
            start = filled_in(self.network, nothing, np.ones(1), rows)
        found = self._found(self.network, start)
        empty = nothing[self._constraints(found).permits(nothing)]
        pool = [found.targets, empty]
        seen: set[frozenset[bytes]] = set()
        n_rounds = _ROUNDS_OF_CHANGES if grows(self.network) else _ROUNDS
        for k in range(n_rounds):
            self.tell("filling in missing values", k, n_rounds)
            filled = filled_in(found.network, found.targets, found.weights, rows)
            found = self._found(found.network, filled, found)
            # Positions are those of a library, and changes of numbers are found anew each time.
            pool = [found.targets, empty] if grows(found.network) else [*pool, found.targets]
            key = _key(found)
            if key in seen:
                break
            seen.add(key)
        return found, pool

    def _by_batch(self, block: Block, pooled: SearchResult) -> Iterator[Ints]:
        """Search each batch, with the tables that all taught."""
        nothing: Ints = np.empty((0, self.network.n_variables), dtype=np.int16)
        known = self._constraints(pooled)
        listed = known.candidates
        if listed is not None:
            listed = np.concatenate([listed, known.required])
        # What is required may be absent from a batch.
        inside = replace(known, required=nothing, candidates=listed)
        alone = replace(self, constraints=inside, options=replace(self.options, refine=False))
        assert block.batch is not None
        names = np.unique(block.batch)
        for number, b in enumerate(names):
            self.tell("searching batches", number, len(names))
            rows = self._collapsed(block.part(block.batch == b))
            if has_missing(rows.codes):
                rows = filled_in(pooled.network, pooled.targets, pooled.weights, rows)
            yield alone._search(pooled.network, rows).targets


def _key(found: SearchResult) -> frozenset[bytes]:
    """Tell results apart by their targets, or where changes are found, by their variables."""
    targets = found.targets >= 0 if grows(found.network) else found.targets
    return frozenset(t.tobytes() for t in targets)
