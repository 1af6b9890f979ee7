"""Sums over rows written out, by which those of the library are judged: slow, and simple."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Beside, MemoryBlocks
from dosift.likelihood.evidence import Evidence
from dosift.model.network import Network

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

STATES = {"a": 2, "b": 3, "c": 2, "d": 2}
PARENTS = {"b": ["a"], "c": ["a", "b"], "d": ["c"]}


def toy_network(seed: int, zeros: bool = False) -> Network:
    """Four variables with random tables; with zeros, two entries of each last table are zero."""
    rng = np.random.default_rng(seed)
    tables = {}
    for name, k in STATES.items():
        n_rows = int(np.prod([STATES[p] for p in PARENTS.get(name, [])]))
        tables[name] = 0.9 * rng.dirichlet(np.ones(k), size=n_rows) + 0.1 / k
    if zeros:
        tables["c"][[0, 3], 1] = 0.0
        tables["d"][0, 0] = 0.0
        tables = {name: t / t.sum(axis=1, keepdims=True) for name, t in tables.items()}
    states = {name: [str(a) for a in range(k)] for name, k in STATES.items()}
    return Network.from_tables(states, PARENTS, tables)


def cell_probability(network: Network, tables: list[Floats], target: Ints, cell: Ints) -> float:
    """Probability of a complete row under a target."""
    out = 1.0
    for i, parents in enumerate(network.parents):
        if target[i] >= 0:
            out *= float(cell[i] == target[i])
            continue
        row = 0
        for p in parents:
            row = row * int(network.cardinalities[p]) + int(cell[p])
        out *= float(tables[i][row, cell[i]])
    return out


@dataclass(frozen=True)
class PlainRows:
    """Rows, with all that may stand beside them, and their sums written out."""

    network: Network
    codes: Ints
    counts: Floats
    batch: Ints | None = None
    label: Ints | None = None
    label_targets: Ints | None = None

    @property
    def n_batches(self) -> int:
        return 1 if self.batch is None else int(self.batch.max()) + 1

    def of_batch(self, b: int) -> NDArray[np.bool_]:
        if self.batch is None:
            return np.ones(len(self.codes), dtype=bool)
        return np.asarray(self.batch == b)

    def completions(self, r: int) -> list[tuple[int, ...]]:
        """All complete rows that a row may have been."""
        choices = [
            range(int(k)) if v < 0 else [int(v)]
            for v, k in zip(self.codes[r], self.network.cardinalities, strict=True)
        ]
        return list(itertools.product(*choices))

    def own(self, targets: Ints) -> NDArray[np.bool_]:
        """Whether each row may be of each target, as labels say."""
        out = np.ones((len(self.codes), len(targets)), dtype=bool)
        if self.label is not None and self.label_targets is not None:
            for r in np.flatnonzero(self.label >= 0):
                out[r] = (np.asarray(targets) == self.label_targets[self.label[r]]).all(axis=1)
        return out

    def likelihoods(self, targets: Ints, tables: list[Floats] | None = None) -> Floats:
        """Probability of each row under each target."""
        tables = list(self.network.tables) if tables is None else tables
        out = np.zeros((len(self.codes), len(targets)))
        for r in range(len(self.codes)):
            for cell in self.completions(r):
                for t, target in enumerate(targets):
                    out[r, t] += cell_probability(self.network, tables, target, np.array(cell))
        return out * self.own(targets)

    def mixture(self, targets: Ints, weights: Floats, tables: list[Floats] | None = None) -> Floats:
        """Density of each row under the weights of its batch."""
        at = np.zeros(len(self.codes), dtype=int) if self.batch is None else self.batch
        return (self.likelihoods(targets, tables) * np.atleast_2d(weights)[at]).sum(axis=1)

    def log_likelihood(
        self, targets: Ints, weights: Floats, tables: list[Floats] | None = None
    ) -> Floats:
        """Of each batch, over the rows that the mixture can produce."""
        mixture = self.mixture(targets, weights, tables)
        logs = np.where(mixture > 0, np.log(np.where(mixture > 0, mixture, 1.0)), 0.0)
        return np.array(
            [(self.counts * logs)[self.of_batch(b)].sum() for b in range(self.n_batches)]
        )

    def blocks(self) -> MemoryBlocks:
        beside = Beside(
            () if self.batch is None else tuple(f"b{k}" for k in range(self.n_batches)),
            ()
            if self.label_targets is None
            else tuple(f"l{k}" for k in range(len(self.label_targets))),
        )
        columns = [self.codes, *(c[:, None] for c in (self.batch, self.label) if c is not None)]
        return MemoryBlocks(np.hstack(columns), self.counts, beside=beside)

    def evidence(self, held: bool) -> Evidence:
        labels = self.label_targets
        if held:
            return Evidence.held_rows(self.network, self.blocks(), labels)
        return Evidence.of_rows(self.network, self.blocks(), None, labels)


def toy_rows(
    seed: int,
    *,
    zeros: bool = False,
    batches: bool = False,
    missing: bool = False,
    labels: bool = False,
    n_rows: int = 60,
) -> PlainRows:
    """Rows of no mixture in particular, with counts that are no whole numbers."""
    rng = np.random.default_rng([seed, zeros, batches, missing, labels])
    network = toy_network(seed, zeros)
    codes = np.stack([rng.integers(k, size=n_rows) for k in network.cardinalities], axis=1)
    counts = rng.uniform(0.5, 4.0, n_rows)
    rows = PlainRows(network, codes, counts)
    if batches:
        rows = replace(rows, batch=np.arange(n_rows) % 3)
    if missing:
        codes = np.where(rng.random(codes.shape) < 0.25, -1, codes)
        codes[0], codes[1] = -1, [-1, 1, -1, -1]
        rows = replace(rows, codes=codes)
    if labels:
        known = np.array([[-1, -1, -1, -1], [1, -1, -1, -1], [-1, 2, -1, 0]])
        label = rng.integers(-1, 3, size=n_rows)
        for r in np.flatnonzero(label >= 0):
            is_set = known[label[r]] >= 0
            rows.codes[r, is_set] = known[label[r], is_set]
        rows = replace(rows, label=label, label_targets=known)
    return rows


#: Components, whose batches lack some of them, and targets beside them.
TARGETS = np.array(
    [[-1, -1, -1, -1], [1, -1, -1, -1], [-1, 2, -1, 0], [-1, -1, 1, -1], [0, -1, 1, 1]],
    dtype=np.int16,
)
OTHERS = np.array([[-1, 0, -1, -1], [-1, -1, 0, 1], [-1, -1, -1, 0]], dtype=np.int16)


def toy_weights(n_batches: int, seed: int = 0) -> Floats:
    """Weights of the components, one of them absent from each batch but the first."""
    weights = np.random.default_rng([3, seed]).dirichlet(np.full(len(TARGETS), 4.0), n_batches)
    for b in range(1, n_batches):
        weights[b, b] = 0.0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
