"""A fitted model as numbers of its own and numbers worked out anew, side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oracle import Key, chain, likelihoods
from worlds import World

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


@dataclass(frozen=True)
class View:
    """A world and the model fitted to it; rows that are alike are taken together.

    Columns, counts and whatever comes of them are of `units`, which are the rows where these do not
    come in units.
    """

    world: World
    model: Any

    @cached_property
    def rows(self) -> World:
        """Distinct rows with their batch and label, and how often each occurs; or all units."""
        world = self.world
        if world.unit is not None or world.time is not None:
            return replace(world, weight=world.multiplicity)
        none = np.full(len(world.codes), -1)
        batch = none if world.batch is None else world.batch
        label = none if world.label is None else world.label
        together = np.column_stack([world.codes, batch, label])
        distinct, place = np.unique(together, axis=0, return_inverse=True)
        return replace(
            world,
            codes=distinct[:, :-2],
            component=np.full(len(distinct), -1),
            batch=None if world.batch is None else distinct[:, -2],
            label=None if world.label is None else distinct[:, -1],
            weight=np.bincount(place.ravel(), weights=world.multiplicity),
        )

    @cached_property
    def units(self) -> World:
        return self.rows.units

    @cached_property
    def shared(self) -> Floats:
        """What each row counts for where those of a unit count for one together."""
        return self.rows.counts / self.rows.sizes[self.rows.place]

    @cached_property
    def keys(self) -> list[Key]:
        return [self.world.key(str(target)) for target in self.model.targets_]

    @cached_property
    def weights(self) -> dict[Key, float]:
        return dict(zip(self.keys, self.model.weights_.tolist(), strict=True))

    @cached_property
    def columns(self) -> Floats:
        """Likelihood of each distinct unit under each component."""
        return self.likelihoods(self.keys)

    def likelihoods(self, keys: list[Key]) -> Floats:
        return self.rows.likelihoods(self.model.network_, keys)

    @cached_property
    def density(self) -> Floats:
        """Density of each row under the mixture, whatever its unit."""
        of_rows = likelihoods(self.model.network_, self.keys, self.rows.codes)
        return np.asarray(of_rows @ self.model.weights_)

    @cached_property
    def n_rows(self) -> float:
        return float(self.rows.counts.sum())

    @cached_property
    def n_units(self) -> float:
        return float(self.units.counts.sum())

    @cached_property
    def is_known(self) -> NDArray[np.bool_]:
        known = [key for key, _ in self.world.known]
        return np.array([key in known for key in self.keys])

    @cached_property
    def batch_names(self) -> list[str]:
        return [] if self.world.batch is None else sorted(set(self.world.beside["batch"]))

    @cached_property
    def batch_weights(self) -> Floats:
        """Weights in each batch, in the batches' order of positions; or the pooled ones."""
        if self.world.batch is None:
            return np.array(self.model.weights_)[None, :]
        table = self.model.batches_
        out = np.zeros((len(self.world.weights), len(self.keys)))
        names = {
            int(b): str(n)
            for b, n in zip(self.world.batch, self.world.beside["batch"], strict=True)
        }
        for b, name in names.items():
            own = table.filter(table["batch"] == name)
            for text, weight in zip(own["target"], own["weight"], strict=True):
                out[b, self.keys.index(self.world.key(text))] = weight
        return out

    def posterior(self, world: World, pooled: bool = False) -> Floats:
        """Posterior of the components for each row of a world, by its batch unless pooled."""
        columns = world.likelihoods(self.model.network_, self.keys)[world.place]
        weights = self.batch_weights
        at = np.zeros(len(world.codes), dtype=int) if world.batch is None else world.batch
        if world.time is not None:
            told = replace(world, label=None, batch=None) if pooled else world
            own = weights[at] if not pooled else np.tile(self.model.weights_, (len(columns), 1))
            return self.chain(told, self.keys, columns, own)[1]
        joint = columns * (self.model.weights_ if pooled else weights[at])
        return joint / joint.sum(axis=1, keepdims=True)

    def chain(
        self, world: World, keys: list[Key], columns: Floats, weights: Floats, rate: float = 0.0
    ) -> tuple[float, Floats]:
        """Log-likelihood and posterior of rows in time, with a line of weights for each row.

        A labelled row is of its own target. The rate is the model's unless it is given.
        """
        assert world.time is not None
        if world.label is not None:
            named = np.array([[key == target for key in keys] for target in world.targets])
            columns = columns * np.where(world.label[:, None] < 0, True, named[world.label])
        series = np.zeros(len(columns), dtype=int) if world.batch is None else world.batch
        rate = rate or self.model.fitted_.in_time.rate
        return chain(columns, world.time, series, weights, rate)

    def log_likelihood_in_time(self, weights: Floats) -> float:
        """Of rows in time, with a line of weights for each batch."""
        rows = self.rows
        batch = np.zeros(len(rows.codes), dtype=int) if rows.batch is None else rows.batch
        return self.chain(rows, self.keys, self.columns, weights[batch])[0]

    @cached_property
    def expected_rows(self) -> Floats:
        """Expected number of rows of each component, shape (n_batches, n_components)."""
        weights = self.batch_weights
        if self.world.time is None:
            batch = self.world.batch
            n = [self.world.counts[batch == b].sum() if batch is not None else self.n_rows
                 for b in range(len(weights))]  # fmt: skip
            return np.array(n)[:, None] * weights
        posterior = self.posterior(self.world)
        batch = np.zeros(len(posterior), int) if self.world.batch is None else self.world.batch
        return np.array([posterior[batch == b].sum(axis=0) for b in range(len(weights))])

    @cached_property
    def log_likelihood(self) -> float:
        """Of the rows that the weights are those of, pooled; in time, by those of each batch."""
        if self.world.time is not None:
            return self.log_likelihood_in_time(self.batch_weights)
        return log_likelihood(self.units, self.keys, self.columns, np.array(self.model.weights_))

    @cached_property
    def mixture(self) -> Floats:
        """Density of each distinct unit; that of a label drawn at random is its own target's."""
        out = self.columns @ np.array(self.model.weights_)
        rows = self.units
        if rows.label is not None and rows.random_labels:
            told, at = self._told
            out[told] = self.columns[told, at] * np.array(self.model.weights_)[at]
        return out

    @cached_property
    def possible(self) -> NDArray[np.bool_]:
        """Units that the mixture can make: a method that drops what is rare may lose some."""
        if self.world.method == "likelihood":
            return np.ones(len(self.units.codes), dtype=bool)
        return self.mixture > 0

    @property
    def _told(self) -> tuple[Ints, Ints]:
        assert self.units.label is not None
        told = np.flatnonzero(self.units.label >= 0)
        return told, np.array(
            [self.keys.index(self.units.targets[t]) for t in self.units.label[told]], dtype=int
        )

    def _restricted(self, keys: list[Key]) -> Floats:
        """Likelihoods; a row whose label was drawn at random can be of its own target only."""
        rows, columns = self.units, self.likelihoods(keys)
        if rows.label is not None and rows.random_labels:
            for r in np.flatnonzero(rows.label >= 0):
                columns[r] *= [key == rows.targets[rows.label[r]] for key in keys]
        return columns

    def steepest(self, keys: list[Key]) -> Floats:
        """Largest gradient over the batches, at the weights of each, as the certificate has it."""
        rows = self.units
        if rows.batch is None:
            return self.gradients(keys)
        columns, own = self._restricted(keys), self._restricted(self.keys)
        out = []
        for b, weights in enumerate(self.batch_weights):
            at = (rows.batch == b) & (rows.counts > 0)
            counts = rows.counts[at]
            out.append(counts @ (columns[at] / (own[at] @ weights)[:, None]) / counts.sum())
        return np.asarray(np.max(out, axis=0))

    def gradients(self, keys: list[Key]) -> Floats:
        """Gradient of the log-likelihood at targets, 1 for components whose weights are free."""
        rows = self.units
        kept = (rows.counts > 0) & self.possible
        columns = self._restricted(keys)
        relative = columns[kept] / self.mixture[kept, None]
        plain = rows.counts[kept] @ relative / rows.counts[kept].sum()
        if not self.world.known:
            return plain
        known = [(key, weight) for key, weight in self.world.known]
        of_known = self._restricted([key for key, _ in known])
        part = rows.counts[kept] @ (of_known[kept] / self.mixture[kept, None]) / self.n_units
        rest = 1.0 - sum(weight for _, weight in known)
        return float(part @ [weight for _, weight in known]) + rest * plain


def log_likelihood(rows: World, keys: list[Key], columns: Floats, weights: Floats) -> float:
    """Log-likelihood of units that count; a label drawn at random tells its unit's target."""
    density = columns @ weights
    if rows.label is not None and rows.random_labels:
        for r in np.flatnonzero(rows.label >= 0):
            t = keys.index(rows.targets[rows.label[r]])
            density[r] = columns[r, t] * weights[t]
    kept = rows.counts > 0
    return float(rows.counts[kept] @ np.log(density[kept]))
