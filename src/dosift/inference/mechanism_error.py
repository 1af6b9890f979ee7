"""What the error of learned mechanisms and changes takes from the information on the weights.

As for tables (:mod:`dosift.inference.network_error`), with scores in place of their exact form:
a mechanism or a change needs to know no more than the derivatives of its own log-density.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dosift.inference.network_error import _remaining
from dosift.model.known_rows import LabelledRows
from dosift.model.mechanism import Library, Mechanism, Values
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.other import OTHER

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Rows whose scores are held at a time.
_AT_A_TIME = 2**16


def information_by_scores(
    network: MechanismNetwork,
    values: Values,
    counts: Floats,
    targets: Ints,
    relative: Floats,
    weights: Floats,
    refined: bool,
    row: NDArray[np.int64] | None = None,
    whole: Floats | None = None,
) -> Floats:
    """Compute the observed information on the weights when mechanisms or changes were learned.

    Parameters
    ----------
    network : MechanismNetwork
        With the control rows that its mechanisms were learned from, if they were.
    values : ndarray, shape (n_rows, n_variables)
    counts : ndarray, shape (n_rows,)
    targets : ndarray of int, shape (n_targets, n_variables)
        Components, then candidates.
    relative : ndarray, shape (n_rows, n_targets)
        Their likelihoods over the mixture's.
    weights : ndarray, shape (n_components,)
    refined : bool
        Whether mechanisms and changes maximise the joint likelihood of control and mixture rows;
        otherwise mechanisms come from the control rows alone, and changes are as given.
    row : ndarray of int64, shape (n_completions,), optional
        Where values are missing or rows come in units: the unit that each completion belongs to,
        ascending; then `values` and `relative` are those of completions.
    whole : ndarray, shape (n_units, n_targets), optional
        Likelihoods of units over the mixture's; without it, those of their completions summed.

    Returns
    -------
    ndarray, shape (n_targets, n_targets)
    """
    rows = _Rows(values, counts, targets, relative, weights, row, whole)
    known = np.asarray((rows.of_units * counts[:, None]).T @ rows.of_units)
    return _eliminated(network, rows, known, refined)


@dataclass(frozen=True)
class _Rows:
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

    def of_rows(self, values: Floats) -> Floats:
        """Repeat values of rows for their completions."""
        return values if self.row is None else values[self.row]

    def parts(self) -> Iterator[_Rows]:
        """Return the rows in parts, whose scores fit in memory; rows with completions as one."""
        if self.row is not None:
            yield self
            return
        for start in range(0, len(self.values), _AT_A_TIME):
            at = slice(start, start + _AT_A_TIME)
            yield _Rows(
                self.values[at],
                self.counts[at],
                self.targets,
                self.relative[at],
                self.weights,
            )


def _eliminated(network: MechanismNetwork, rows: _Rows, known: Floats, refined: bool) -> Floats:
    """Eliminate the parameters of mechanisms, and of changes if they were refined.

    With ``d_t`` the scores under target t and ``d`` their mean over the posterior of a row, the
    information between its weight and the parameters is the sum of ``r_t (d - d_t)``, and that of
    the parameters of ``d d'``, as the curvature of the components has the mean ``-d_t d_t'``.
    """
    lost = np.zeros_like(known)
    for i in range(network.n_variables):
        sums = [_crossed(network, i, part, refined) for part in rows.parts()]
        cross = np.asarray(sum(own for own, _, _ in sums))
        information, of_control = np.asarray(sum(own for _, own, _ in sums)), sums[0][2]
        whole = of_control + information if refined else of_control
        lost += cross @ np.linalg.pinv(whole, hermitian=True) @ cross.T
    if refined:
        return _remaining(known, lost)
    # From control rows alone: their error adds to the weights' own.
    inverse = np.linalg.pinv(known, hermitian=True)
    return np.asarray(np.linalg.pinv(inverse + inverse @ lost @ inverse, hermitian=True))


def _crossed(
    network: MechanismNetwork, i: int, rows: _Rows, refined: bool
) -> tuple[Floats, Floats, Floats]:
    """Information between weights and a variable's parameters, and of these from either rows."""
    m = rows.weights.size
    scores, of_control = _scores(network, i, rows, refined)
    mean = np.zeros((len(rows.values), len(of_control)))
    for position, own in scores.items():
        share = rows.posterior @ (rows.targets[:m, i] == position)
        mean += share[:, None] * own
    weighted = rows.relative * rows.of_rows(rows.counts)[:, None]
    mean = rows.summed(mean)
    cross = (rows.of_units * rows.counts[:, None]).T @ mean
    for position, own in scores.items():
        makes = rows.targets[:, i] == position
        cross[makes] -= weighted[:, makes].T @ own
    return cross, (mean * rows.counts[:, None]).T @ mean, of_control


def _scores(
    network: MechanismNetwork, i: int, rows: _Rows, refined: bool
) -> tuple[dict[int, Floats], Floats]:
    """Scores of a variable's parameters under each of its changes, and their control information.

    The parameters are those of the mechanism, where control rows taught it, and those of each
    change that a component makes.
    """
    mechanism, library, control = network.mechanisms[i], network.libraries[i], network.control
    n_own = 0 if control is None else mechanism.n_free
    found = rows.targets[: rows.weights.size, i]
    used = [int(position) for position in np.unique(found) if 0 <= position < OTHER]
    ends = n_own + np.cumsum([library[p].n_free if refined else 0 for p in used], dtype=np.int64)
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
    information = np.zeros((n_free, n_free))
    if control is not None:
        taught = mechanism.scores(control.values)
        information[:n_own, :n_own] = (taught * control.weights[:, None]).T @ taught
    for known in network.labelled:
        taught = _scores_of_labelled(known, mechanism, library, n_own, used, ends, refined)
        information += (taught * known.rows.weights[:, None]).T @ taught
    return scores, information


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
