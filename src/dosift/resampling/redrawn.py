"""Rows and control rows drawn anew, for one resample of a bootstrap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block, MemoryBlocks
from dosift.data.configurations import collapse_units
from dosift.learning.regressions import at_rest
from dosift.learning.tables import tables_of
from dosift.model.known_rows import ControlRows, LabelledRows, matches
from dosift.model.mechanism import missing
from dosift.model.mechanism_network import MechanismNetwork, as_network
from dosift.model.network import Network
from dosift.model.simulate import sample_codes
from dosift.resampling.problem import Kind, Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]


def drawn_rows(problem: Problem, rng: np.random.Generator) -> MemoryBlocks:
    """Draw rows with replacement, or from the fitted mixture, as many in each batch as there were.

    Rows that are simulated lack the values, and have labels as often, as rows that are drawn do.

    Parameters
    ----------
    problem : Problem
    rng : Generator

    Returns
    -------
    MemoryBlocks
    """
    rows, beside = problem.rows.whole, problem.rows.beside
    groups = [np.arange(len(rows))]
    if rows.batch is not None:
        groups = [np.flatnonzero(rows.batch == g) for g in range(len(beside.batches))]
    counts = np.zeros(len(rows))
    for at in groups:
        share = rows.counts[at] / max(rows.counts[at].sum(), 1e-300)
        counts[at] = rng.multinomial(round(rows.counts[at].sum()), share) if at.size else 0.0
    if problem.kind == "nonparametric":
        some = replace(rows.part(counts > 0), counts=counts[counts > 0])
        return MemoryBlocks.of_block(some, beside)
    blocks = []
    for g, at in enumerate(groups):
        like = rows.part(np.repeat(at, counts[at].astype(np.int64)))
        codes, component = _sampled(problem, problem.batch_weights[g], like, rng)
        gap = np.nan if np.issubdtype(like.values.dtype, np.floating) else -1
        codes = np.where(missing(like.values), gap, codes).astype(like.values.dtype)
        label = like.label
        if label is not None and problem.labels is not None:
            own = _texts_of(problem, component)
            label = np.where(label >= 0, own, -1)
        blocks.append((beside.wide(replace(like, values=codes, label=label)), like.unit))
    sizes = np.concatenate([problem.given.cardinalities, beside.cardinalities])
    wide = np.concatenate([codes for codes, _ in blocks])
    ends = np.cumsum([0, *(int(unit.max(initial=-1)) + 1 for _, unit in blocks)])
    units = np.concatenate([unit + end for (_, unit), end in zip(blocks, ends, strict=False)])
    found = collapse_units(wide, units, sizes)
    return MemoryBlocks(found.codes, found.counts, beside=beside, first=found.first)


def _sampled(
    problem: Problem, weights: Floats, like: Block, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Draw rows of as many units from the fitted mixture, and the component of each unit."""
    weights = weights / weights.sum()
    if like.first is None:
        return _drawn(problem.fitted, problem.targets, weights, len(like), rng)
    component = rng.choice(weights.size, len(like), p=weights)
    of_row = component[like.unit]
    codes = np.empty_like(like.values)
    for t in np.unique(component):
        at = np.flatnonzero(of_row == t)
        codes[at] = _drawn(problem.fitted, problem.targets[t : t + 1], np.ones(1), at.size, rng)[0]
    return codes, component


def _drawn(
    network: Network, targets: Ints, weights: Floats, n_rows: int, rng: np.random.Generator
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    if isinstance(network, MechanismNetwork):
        return network.draw(targets, weights, n_rows, rng)
    return sample_codes(network, targets, weights, n_rows, rng)


def _texts_of(problem: Problem, component: Ints) -> NDArray[np.int64]:
    """Position of the label that each component has, -1 where none has its target."""
    assert problem.labels is not None
    same = matches(problem.labels, problem.targets).T
    place = np.where(same.any(axis=1), same.argmax(axis=1), -1)
    return np.asarray(place[component])


def redrawn_network(problem: Problem, rng: np.random.Generator) -> Network:
    """Draw the control counts of a learned network anew, family by family.

    Parameters
    ----------
    problem : Problem
    rng : Generator

    Returns
    -------
    Network
        A network that is known comes back as it is.
    """
    if isinstance(problem.given, MechanismNetwork):
        return as_network(_learned_again(problem.given, problem.kind, rng))
    control = problem.given.control
    if control is None:
        return problem.given
    counts = []
    for table, fitted in zip(control.counts, problem.fitted.tables, strict=True):
        totals = table.sum(axis=1, keepdims=True)
        parametric = problem.kind == "parametric"
        own = np.divide(
            table, totals, out=np.full_like(table, 1 / table.shape[1]), where=totals > 0
        )
        shares = fitted if parametric else own
        drawn = rng.multinomial(np.rint(totals[:, 0]).astype(np.int64), shares)
        counts.append(drawn.astype(np.float64))
    # Tables that only the pool teaches stay where they are.
    tables = [
        own if drawn.any() else given
        for own, drawn, given in zip(
            tables_of(counts, control.prior or 1.0), counts, problem.given.tables, strict=True
        )
    ]
    return Network(
        problem.given.variables,
        problem.given.parents,
        tables,
        replace(control, counts=tuple(counts)),
    )


def _learned_again(
    network: MechanismNetwork, kind: Kind, rng: np.random.Generator
) -> MechanismNetwork:
    """Draw control rows anew, and learn the mechanisms from them; their form stays.

    Labelled rows that are no random sample are drawn with replacement.
    """
    network = replace(network, labelled=tuple(_again(one, rng) for one in network.labelled))
    control = network.control
    if control is None:
        return network
    n_rows = round(float(control.weights.sum()))
    if kind == "parametric":
        nothing: Ints = np.full((1, network.n_variables), -1)
        values = network.draw(nothing, np.ones(1), n_rows, rng)[0]
        more = control.values[:n_rows, network.n_variables :]
        together = np.asfortranarray(np.hstack([values, more]))
        control = ControlRows(together, np.ones(n_rows), control.dependence, control.silent)
    else:
        control = _with_replacement(control, rng)
    mechanisms = [
        one if one.variable in control.silent else at_rest(one, control.values, control.weights)
        for one in network.mechanisms
    ]
    return replace(network, mechanisms=tuple(mechanisms), control=control)


def _again(labelled: LabelledRows, rng: np.random.Generator) -> LabelledRows:
    return LabelledRows(_with_replacement(labelled.rows, rng), labelled.entries)


def _with_replacement(rows: ControlRows, rng: np.random.Generator) -> ControlRows:
    """Draw as many rows as there are, with replacement."""
    shares = rows.weights / rows.weights.sum()
    weights = rng.multinomial(round(float(rows.weights.sum())), shares).astype(np.float64)
    kept = weights > 0
    return ControlRows(rows.values[kept], weights[kept], rows.dependence, rows.silent)
