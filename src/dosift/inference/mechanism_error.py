"""What the error of learned mechanisms and changes takes from the information on the weights.

As for tables (:mod:`dosift.inference.network_error`), with scores in place of their exact form:
a mechanism or a change needs to know no more than the derivatives of its own log-density.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.inference.network_error import information_left
from dosift.likelihood.columns import RowLikelihoods
from dosift.model.arrays import Floats, Ints, Values
from dosift.model.known_rows import LabelledRows
from dosift.model.mechanism import Library, Mechanism
from dosift.model.mechanism_network import MechanismNetwork, used_changes
from dosift.model.other import OTHER

#: Rows whose scores are held at a time.
_AT_A_TIME = 2**14


@dataclass(frozen=True)
class ScoredRows:
    """Rows with what targets make of them.

    Attributes
    ----------
    values : ndarray, shape (n_completions, n_variables)
    counts : ndarray, shape (n_rows,)
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    relative : ndarray, shape (n_completions, n_targets)
        Their likelihoods over the mixture's.
    weights : ndarray, shape (n_components,)
    row : ndarray of int64, shape (n_completions,), or None
        The unit that each completion belongs to; None where each row is its own.
    whole : ndarray, shape (n_units, n_targets), or None
        Likelihoods of units over the mixture's; None for the sums over their completions.
    """

    values: Values
    counts: Floats
    targets: Ints
    relative: Floats
    weights: Floats
    row: NDArray[np.int64] | None = None
    whole: Floats | None = None

    @cached_property
    def posterior(self) -> Floats:
        """Posterior of the components, shape (n_completions, n_components)."""
        return np.asarray(self.relative[:, : self.weights.size] * self.weights)

    @property
    def of_units(self) -> Floats:
        """Likelihoods of units over the mixture's, shape (n_units, n_targets)."""
        return self.summed(self.relative) if self.whole is None else self.whole

    def summed(self, of_completions: Floats) -> Floats:
        """Sum over the completions of each row, shape (n_rows, ...)."""
        if self.row is None:
            return of_completions
        first = np.flatnonzero(np.diff(self.row, prepend=-1))
        return np.asarray(np.add.reduceat(of_completions, first, axis=0))

    def mean_score(self, i: int, scores: dict[int, Floats], n_free: int) -> Floats:
        """Mean of each row's scores (:func:`scores_of`) over its posterior, (n_rows, n_free)."""
        components, mean = self.targets[: self.weights.size], np.zeros((len(self.values), n_free))
        for position, own in scores.items():
            mean += (self.posterior @ (components[:, i] == position))[:, None] * own
        return self.summed(mean)

    def of_rows(self, values: Floats) -> Floats:
        """Repeat values of rows for their completions."""
        return values if self.row is None else values[self.row]


def scored_rows(
    rows: RowLikelihoods, targets: Ints, weights: Floats, batch: int | None = None
) -> Iterator[ScoredRows]:
    """See rows as scores need them, in parts; rows with completions, or in units, as one.

    Parameters
    ----------
    rows : RowLikelihoods
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then others.
    weights : ndarray, shape (n_components,)
    batch : int, optional
        Of the rows that count, where rows of others do not.

    Yields
    ------
    ScoredRows
        Those that the mixture can produce.
    """
    columns, counts = rows.columns(targets), rows.block.counts
    mixture = columns[:, : weights.size] @ weights
    seen = (mixture > 0) & (counts > 0)
    if batch is not None and rows.block.batch is not None:
        seen &= rows.block.batch == batch
    found = rows.expanded(targets)
    if found.row is None:
        for start in range(0, len(seen), _AT_A_TIME):
            at = slice(start, start + _AT_A_TIME)
            own = seen[at]
            relative = found.columns[at][own] / mixture[at][own, None]
            yield ScoredRows(found.codes[at][own], counts[at][own], targets, relative, weights)
        return
    some = found.of_rows(seen)
    yield ScoredRows(
        found.codes[some],
        counts[seen],
        targets,
        found.columns[some] / found.of_rows(mixture)[some, None],
        weights,
        (np.cumsum(seen) - 1)[found.row[some]],
        columns[seen] / mixture[seen, None],
    )


@dataclass(frozen=True)
class SumScores:
    """Work that sums what :func:`information_of_scores` needs of rows.

    Attributes
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    weights : ndarray, shape (n_components,)
    refined : bool
        Whether mechanisms and changes maximise the joint likelihood of control and mixture rows.
    batch : int, optional
        Of the rows that count.
    """

    targets: Ints
    weights: Floats
    refined: bool
    batch: int | None = None

    def __call__(self, rows: RowLikelihoods) -> tuple[Floats, ...]:
        """Sum over rows.

        Returns
        -------
        tuple of ndarray
            The information on weights; and for each variable that between weights and its
            parameters, and that on these.
        """
        network = rows.network
        assert isinstance(network, MechanismNetwork)
        parts = list(scored_rows(rows, self.targets, self.weights, self.batch))
        known = sum((own.of_units * own.counts[:, None]).T @ own.of_units for own in parts)
        out = [np.asarray(known)]
        for i in range(network.n_variables):
            sums = [_crossed(network, i, own, self.refined) for own in parts]
            out += [np.asarray(sum(one)) for one in zip(*sums, strict=True)]
        return tuple(out)


def information_of_scores(
    network: MechanismNetwork,
    sums: Sequence[Floats],
    targets: Ints,
    n_components: int,
    refined: bool,
) -> Floats:
    """Compute the observed information on the weights when mechanisms or changes were learned.

    Parameters
    ----------
    network : MechanismNetwork
        With the control rows that its mechanisms were learned from, if they were.
    sums : sequence of ndarray
        From :class:`SumScores`, added up.
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    n_components : int
    refined : bool
        As there; otherwise mechanisms come from the control rows alone, and changes are as given.

    Returns
    -------
    ndarray, shape (n_targets, n_targets)

    Notes
    -----
    The parameters of mechanisms, and of changes if they were refined, are eliminated. With ``d_t``
    the scores under target t and ``d`` their mean over the posterior of a row, the information
    between its weight and the parameters is the sum of ``r_t (d - d_t)``, and that of the
    parameters of ``d d'``, as the curvature of the components has the mean ``-d_t d_t'``.
    """
    known, lost = sums[0], np.zeros_like(sums[0])
    for i in range(network.n_variables):
        cross, information = sums[1 + 2 * i], sums[2 + 2 * i]
        whole = known_information(network, i, targets[:n_components], refined)
        if refined:
            whole = whole + information
        lost += cross @ np.linalg.pinv(whole, hermitian=True) @ cross.T
    return information_left(known, lost, refined)


def _crossed(
    network: MechanismNetwork, i: int, rows: ScoredRows, refined: bool
) -> tuple[Floats, Floats]:
    """Information between weights and a variable's parameters, and of these, from rows."""
    scores, n_free = scores_of(network, i, rows, refined)
    mean = rows.mean_score(i, scores, n_free)
    weighted = rows.relative * rows.of_rows(rows.counts)[:, None]
    cross = (rows.of_units * rows.counts[:, None]).T @ mean
    for position, own in scores.items():
        makes = rows.targets[:, i] == position
        cross[makes] -= weighted[:, makes].T @ own
    return cross, (mean * rows.counts[:, None]).T @ mean


def _places(
    network: MechanismNetwork, i: int, components: Ints, refined: bool
) -> tuple[int, list[int], NDArray[np.int64]]:
    """Parameters of a mechanism that are free, changes that components make, and where theirs end.

    The parameters are those of the mechanism, where control rows taught it, and those of each
    change that a component makes.
    """
    library = network.libraries[i]
    n_own = 0 if network.control is None else network.mechanisms[i].n_free
    used = used_changes(components[:, i])
    ends = n_own + np.cumsum([library[p].n_free if refined else 0 for p in used], dtype=np.int64)
    return n_own, used, ends


def scores_of(
    network: MechanismNetwork, i: int, rows: ScoredRows, refined: bool
) -> tuple[dict[int, Floats], int]:
    """Return scores of a variable's parameters under each of its changes, and their number.

    Parameters
    ----------
    network : MechanismNetwork
    i : int
        Position of the variable.
    rows : ScoredRows
    refined : bool
        Whether changes have parameters that rows teach.

    Returns
    -------
    scores : dict of int to ndarray, shape (n_rows, n_free)
        By position of the change, -1 for none.
    n_free : int
    """
    mechanism, library = network.mechanisms[i], network.libraries[i]
    n_own, used, ends = _places(network, i, rows.targets[: rows.weights.size], refined)
    n_free = int(ends[-1]) if used else n_own
    scores: dict[int, Floats] = {}
    for position in map(int, np.unique(rows.targets[:, i])):
        own = scores[position] = np.zeros((len(rows.values), n_free))
        if position == OTHER:
            continue  # says nothing of mechanisms
        change = library[position] if position >= 0 else None
        if n_own and (change is None or change.keeps_mechanism):
            acting = mechanism if change is None else change.applied(mechanism)
            own[:, :n_own] = acting.scores(rows.values)
        if change is not None and position in used and refined and change.n_free:
            end = int(ends[used.index(position)])
            own[:, end - change.n_free : end] = change.scores(mechanism, rows.values)
    return scores, n_free


def known_information(network: MechanismNetwork, i: int, components: Ints, refined: bool) -> Floats:
    """Return what control and labelled rows say of a variable's parameters.

    Parameters
    ----------
    network : MechanismNetwork
    i : int
        Position of the variable.
    components : ndarray of int, shape (n_components, n_variables)
    refined : bool
        As for :func:`scores_of`.

    Returns
    -------
    ndarray, shape (n_free, n_free)
    """
    mechanism, library, control = network.mechanisms[i], network.libraries[i], network.control
    n_own, used, ends = _places(network, i, components, refined)
    n_free = int(ends[-1]) if used else n_own
    information = np.zeros((n_free, n_free))
    if control is not None:
        information[:n_own, :n_own] = control.information(mechanism)
    for known in network.labelled:
        taught = _scores_of_labelled(known, mechanism, library, n_own, used, ends, refined)
        information += (taught * known.rows.weights[:, None]).T @ taught
    return information


def _scores_of_labelled(
    known: LabelledRows,
    mechanism: Mechanism,
    library: Library,
    n_own: int,
    used: list[int],
    ends: NDArray[np.int64],
    refined: bool,
) -> Floats:
    """Mean of the scores of labelled rows over the changes that each may be under."""
    values, i = known.rows.values, mechanism.variable
    out = np.zeros((len(values), int(ends[-1]) if used else n_own))
    if known.leaves(i):
        if n_own:
            out[:, :n_own] = mechanism.scores(values)
        return out
    if not known.changes(i, library):
        return out
    weights = known.under(mechanism, library)[0] / known.rows.weights[:, None]
    for position, end in zip(used, ends.tolist(), strict=True):
        change, share = library[position], weights[:, [position]]
        if n_own and change.keeps_mechanism:
            out[:, :n_own] += share * change.applied(mechanism).scores(values)
        if refined and change.n_free:
            out[:, end - change.n_free : end] += share * change.scores(mechanism, values)
    return out
