"""Labelled rows: units whose intervention is known.

A labelled row makes its target one that is never dropped, and teaches a learned network, like a
control row, about the mechanisms that its target leaves alone: its likelihood ``P_t(row)`` is the
product of these. About the weights it says something only if the labelled rows are a random sample
of all rows; its likelihood then is ``w_t P_t(row)``.

The label of a row of numbers says which variables were changed, not by what: it is possible under
all targets that change these, and teaches what the change does
(:mod:`dosift.methods.labels_numbers`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block, MemoryBlocks
from dosift.data.load import Loaded
from dosift.errors import InputError
from dosift.learning.tables import remembered_rows, tables_of
from dosift.likelihood.rates import family_counts
from dosift.methods.labels_numbers import read_label
from dosift.methods.prior_knowledge import PriorKnowledge, read_target
from dosift.model import Mixture, Target
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import ControlRows, Network


@dataclass(frozen=True)
class Labels:
    """The targets of labelled rows.

    Attributes
    ----------
    targets : tuple of Target
        The distinct ones.
    codes : ndarray of int, shape (n_targets, n_variables)
        The same as state positions, -1 where a variable is left alone; where variables are numbers,
        patterns of :class:`~dosift.search.patterns.Patterns`.
    index : ndarray of int64, shape (n_rows,)
        Position of each row's target; -1 for rows without a label. Empty where rows are in blocks.
    place : ndarray of int64, shape (n_texts + 1,)
        Position of the target of each text by which rows are labelled; -1 at the end, for rows
        without one.
    """

    targets: tuple[Target, ...]
    codes: NDArray[np.int64]
    index: NDArray[np.int64]
    place: NDArray[np.int64]

    @property
    def labelled(self) -> Bools:
        """Whether each row has a label, shape (n_rows,)."""
        return np.asarray(self.index >= 0)

    @property
    def by_text(self) -> NDArray[np.int64]:
        """Codes of the target of each text, shape (n_texts, n_variables)."""
        return np.asarray(self.codes[self.place[:-1]])


def read_labels(loaded: Loaded, network: Network | MechanismNetwork) -> Labels:
    """Read the labels of rows, and check them against the rows.

    Parameters
    ----------
    loaded : Loaded
        Rows with labels.
    network : Network or MechanismNetwork

    Returns
    -------
    Labels

    Raises
    ------
    InputError
        If a label is no target of the network, or its row contradicts it, naming row, label and
        value; or if no row is left without a label.
    """
    texts = loaded.rows.beside.labels
    column = loaded.labels
    name, path = ("labels", None) if column is None else (column.name, column.path)
    found: dict[Target, int] = {}
    place = np.full(len(texts) + 1, -1, dtype=np.int64)
    rows: list[NDArray[np.int64]] = []
    for k, text in enumerate(texts):
        try:
            target, code = _read(text, network)
        except InputError as error:
            at = "" if column is None else f" in data row {int((column.index == k).argmax()) + 1}"
            raise InputError(
                f"{name} has the label {text!r}{at}: {error.message}", path=path
            ) from None
        if target not in found:
            found[target] = len(rows)
            rows.append(code)
        place[k] = found[target]
    listed = np.array(rows, dtype=np.int64).reshape(len(rows), network.n_variables)
    index = np.empty(0, dtype=np.int64) if column is None else place[column.index]
    labels = Labels(tuple(found), listed, index, place)
    if rows:
        _check_rows(loaded, network, labels, name, path)
    return labels


def _read(text: str, network: Network | MechanismNetwork) -> tuple[Target, NDArray[np.int64]]:
    if isinstance(network, MechanismNetwork):
        return read_label(text, network)
    target = read_target(text)
    return target, Mixture({target: 1.0}).to_codes(network)[0][0]


def _check_rows(
    loaded: Loaded,
    network: Network | MechanismNetwork,
    labels: Labels,
    name: str,
    path: str | Path | None,
) -> None:
    """Refuse labels that their rows contradict, and rows of which none lacks a label."""
    task = _Contradictions(network, labels.by_text)
    wrong, unlabelled = tuple(loaded.rows.sum(task))
    if wrong.any():
        k, i = (int(x) for x in np.argwhere(wrong)[0])
        target = labels.targets[labels.place[k]]
        row, value = _where(loaded, task, k, i)
        variable = network.names[i]
        if labels.by_text[k, i] >= 0:
            why = f"label {target} sets {variable!r} to {target.get(variable)!r}, but the row has"
        else:
            why = f"under label {target} the network gives probability zero to {variable!r} being"
        shown = "another value" if value is None else repr(network.variables[i].states[value])
        at = "" if row is None else f", data row {row}"
        raise InputError(
            f"{name}{at}: {why} {shown} ({wrong[k, i]:g} such row(s)); correct the label or the "
            "row, or leave the label empty",
            path=path,
        )
    if not unlabelled:
        raise InputError(
            f"{name} labels every row, so that nothing is left to estimate; leave the label of a "
            "row empty where it is not known",
            path=path,
        )


def _where(loaded: Loaded, task: _Contradictions, k: int, i: int) -> tuple[int | None, int | None]:
    """First row that contradicts a label, and the state that it has, as far as they are known."""
    if loaded.inverse is None or not isinstance(loaded.rows, MemoryBlocks):
        return None, None
    block = loaded.rows.whole.apart
    place = loaded.inverse if loaded.place is None else loaded.place
    assert block.label is not None
    wrong = (block.label == k) & task.of(block, i, k)
    row = int(np.append(wrong, False)[place].argmax()) + 1
    return row, int(block.values[place[row - 1], i])


@dataclass(frozen=True)
class _Contradictions:
    """Counts, by label and variable, the rows that contradict their label; a task for blocks."""

    network: Network | MechanismNetwork
    by_text: NDArray[np.int64]

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        """Count in a block.

        Returns
        -------
        wrong : ndarray, shape (n_texts, n_variables)
        unlabelled : ndarray, shape ()
        """
        block = block.apart
        n_texts, n_variables = self.by_text.shape
        wrong = np.zeros((n_texts, n_variables))
        assert block.label is not None
        for k in range(n_texts):
            own = block.part(block.label == k)
            for i in range(n_variables if len(own) else 0):
                wrong[k, i] = own.counts[self.of(own, i, k)].sum()
        return wrong, np.asarray(block.counts[block.label < 0].sum())

    def of(self, block: Block, i: int, k: int) -> Bools:
        """Whether each row contradicts label k in variable i."""
        states, wanted = block.values[:, i], self.by_text[k, i]
        if wanted >= 0:
            return np.asarray((states >= 0) & (states != wanted))
        if self.network.control is not None or not isinstance(self.network, Network):
            return np.zeros(len(block), dtype=bool)  # it teaches the network what is possible
        return _impossible(self.network, i, block.values)


def _impossible(network: Network, i: int, codes: Ints) -> Bools:
    """Whether each row's value has probability zero given its parents, as far as they are seen."""
    if network.tables[i].min() > 0:
        return np.zeros(len(codes), dtype=bool)
    seen = (codes[:, [i, *network.parents[i]]] >= 0).all(axis=1)
    out = np.zeros(len(codes), dtype=bool)
    complete = codes[seen]
    out[seen] = network.tables[i][network.parent_rows(i, complete), complete[:, i]] == 0
    return out


def with_labels(
    known: PriorKnowledge | None, labels: Labels, max_size: int | None
) -> PriorKnowledge:
    """Add the targets of labelled rows to those that are known to occur.

    Parameters
    ----------
    known : PriorKnowledge or None
    labels : Labels
    max_size : int or None
        Largest number of variables that a target sets.

    Returns
    -------
    PriorKnowledge

    Raises
    ------
    InputError
        If they contradict what is known.
    """
    known = known or PriorKnowledge()
    for target in labels.targets:
        reason = known.refusal(target)
        if reason is None and max_size is not None and target.size > max_size:
            reason = f"sets {target.size} variables, and max_size is {max_size}"
        if reason is not None:
            raise InputError(f"rows are labelled {target}, but {reason}; take one of them back")
    return known.and_also(PriorKnowledge(required=labels.targets))


@dataclass(frozen=True)
class _CountLabelled:
    """Counts families in labelled rows, as far as their targets leave them alone."""

    network: Network
    by_text: NDArray[np.int64]

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        block = block.apart
        assert block.label is not None
        own = block.part(block.label >= 0)
        assert own.label is not None
        families = []
        for i in range(self.network.n_variables):
            free = self.by_text[own.label, i] < 0
            part = own.part(free)
            families.append(family_counts(self.network, i, part.values, part.counts))
        return np.asarray(own.counts.sum()), *families


@dataclass(frozen=True)
class _GatherLabelled:
    """Gathers the distinct complete rows with a label, with its target; None if they are too many.

    A task for blocks, and how to merge what comes of them.
    """

    network: Network
    by_text: NDArray[np.int64]

    def __call__(self, block: Block) -> ControlRows | None:
        block = block.apart
        assert block.label is not None
        own = block.part((block.label >= 0) & (block.values >= 0).all(axis=1))
        assert own.label is not None
        return self._rows(own.values, own.counts, self.by_text[own.label])

    def merge(self, one: ControlRows | None, other: ControlRows | None) -> ControlRows | None:
        if one is None or other is None:
            return None
        targets = [
            np.full(rows.values.shape, -1) if rows.targets is None else rows.targets
            for rows in (one, other)
        ]
        values = np.concatenate([one.values, other.values])
        counts = np.concatenate([one.counts, other.counts])
        return self._rows(values, counts, np.concatenate(targets))

    def _rows(self, values: Ints, counts: Floats, targets: Ints) -> ControlRows | None:
        return remembered_rows(values, self.network.cardinalities, counts, targets)


def taught(network: Network, labels: Labels, loaded: Loaded) -> Network:
    """Let labelled rows teach a learned network.

    Parameters
    ----------
    network : Network
        One that does not remember control rows is known, and stays as it is.
    labels : Labels
    loaded : Loaded

    Returns
    -------
    Network
        Each labelled row counts as a control row for the variables that its target leaves alone,
        where it shows the variable and all its parents. Complete ones are remembered with their
        targets.
    """
    control = network.control
    if control is None or not labels.targets:
        return network
    n_labelled, *families = loaded.rows.sum(_CountLabelled(network, labels.by_text))
    counted = [before + new for before, new in zip(control.counts, families, strict=True)]
    n_rows = control.n_rows + float(n_labelled)
    gather = _GatherLabelled(network, labels.by_text)
    rows = control.rows
    if rows is not None:
        rows = gather.merge(rows, loaded.rows.reduce(gather, gather.merge))
    counts = replace(control, counts=tuple(counted), n_rows=n_rows, rows=rows)
    tables = [
        np.where(np.isnan(new), old, new)
        for new, old in zip(tables_of(counted, control.prior), network.tables, strict=True)
    ]
    return Network(network.variables, network.parents, tables, counts)
