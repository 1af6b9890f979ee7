"""Likelihood ratios of targets on configurations: products of per-variable factors.

A change of variable i replaces its mechanism ``p_i(v_i | pa_i)`` by another, ``q_i``, and the
likelihood ratio of a target is the product of ``q_i / p_i`` over the variables that it changes
(truncated factorisation). The intervention that sets a discrete variable to a state has the ratio
``1[v_i = a] / p_i(a | pa_i)``.

Where the old mechanism gives a configuration probability zero (a structural zero) the ratio does
not exist, but the likelihood does: the factor of that variable is taken out of the reference
measure, and only targets that change the variable keep the configuration possible.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dosift.data.units import common_state, design_effect, summed
from dosift.likelihood.change_ratios import (
    ChangeRatios,
    DenseRatios,
    StateRatios,
    dense_ratios,
    of_units,
)
from dosift.likelihood.remembered import remembered
from dosift.model.arrays import Bools, Floats, Ints, Values
from dosift.model.mechanism import Library, Mechanism, System
from dosift.model.other import is_other, log_other

#: Largest logarithm of a likelihood ratio in a column; rows that can exceed it are scaled down.
_LARGEST_LOG = 600.0
#: Nats by which a unit may speak for having been set to the state of all its rows: squares of more
#: are out of range.
_MOST_EVIDENCE = 300.0
#: Memory (bytes) that parts of columns may take, and how many are remembered in any case.
_PARTIAL_BYTES, _FEWEST_PARTIAL = 64 * 2**20, 16
#: Entries (rows times changes) up to which all changes are summed at once, which takes two copies.
_MOST_AT_ONCE = 2**23


class MechanismFactors:
    """Factors ``p_i(v_i | pa_i)`` of each variable on each configuration.

    Parameters
    ----------
    network : System
        The undisturbed system.
    codes : ndarray, shape (n_configurations, n_variables)
        Configurations in the network's order of variables: state codes, or numbers. A missing value
        (-1, NaN) is summed out; then all that depends on it must be, as in
        :func:`dosift.likelihood.completions.complete`.
    variables : sequence of int, optional
        Positions of the variables that targets may change; only their factors are computed. All by
        default.
    before : MechanismFactors, optional
        Of the same configurations and variables; what it has of the same mechanisms of numbers and
        the same changes is taken over.
    first : ndarray of int64, shape (n_units,), optional
        Position of each unit's first row, where rows come in units. A unit's factor is the product
        of its rows' factors, and everything here is of units then.

    Attributes
    ----------
    log_factor : ndarray, shape (n_configurations, n_kept)
        ``log p_i(v_i | pa_i)``; 0 where that density is zero.
    zeros : ndarray of bool, shape (n_configurations, n_kept)
        Where it is zero.
    ratios : tuple of ChangeRatios
        For each kept variable what each of its changes does to the likelihood of each row.
    codes : ndarray of int, shape (n_configurations, n_kept)
        The only change that each row fits (for a discrete variable its state), one column after
        the other in memory; -1 where it may fit several, and the number of changes where it fits
        none, as a unit whose rows have different states.
    log_scale : ndarray, shape (n_configurations,)
        Logarithm by which a row's likelihoods were divided to keep them in range; mostly 0.

    Examples
    --------
    >>> from dosift.model import Network
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.25, 0.75]})
    >>> factors = MechanismFactors(network, np.array([[0], [1]]))
    >>> factors.columns(np.array([[-1], [0], [1]])).round(3)
    array([[1.   , 4.   , 0.   ],
           [1.   , 0.   , 1.333]])
    """

    def __init__(
        self,
        network: System,
        codes: Values,
        variables: tuple[int, ...] | None = None,
        before: MechanismFactors | None = None,
        first: NDArray[np.int64] | None = None,
    ) -> None:
        kept = tuple(range(network.n_variables)) if variables is None else variables
        self.variables = kept
        libraries = network.libraries
        self._made_of = tuple((network.mechanisms[i], libraries[i]) for i in kept)
        self._n_changes = tuple(len(libraries[i]) for i in kept)
        n_rows = codes.shape[0]
        n_units = n_rows if first is None else first.size
        self.log_factor = np.empty((n_units, len(kept)), order="F")
        zeros = np.zeros((n_units, len(kept)), dtype=bool, order="F")
        dense: dict[int, DenseRatios] = {}
        for j, i in enumerate(kept):
            mechanism = network.mechanisms[i]
            if before is not None and before._has(j, *self._made_of[j]):
                self.log_factor[:, j], dense[j] = before.log_factor[:, j], before._dense[j]
                zeros[:, j] = before.zeros[:, j]
                continue
            if libraries[i].is_exclusive:
                log_factor = mechanism.log_density(codes)
            else:
                log_factor, dense[j] = dense_ratios(mechanism, libraries[i], codes)
            if not mechanism.is_positive:
                impossible = np.isneginf(log_factor)
                log_factor[impossible] = 0.0
                zeros[:, j] = (
                    impossible if first is None else np.logical_or.reduceat(impossible, first)
                )
            self.log_factor[:, j] = summed(log_factor, first)
            if first is None:
                continue
            share = share_of_rows(network, i, first, n_rows)
            self.log_factor[:, j] *= share
            if j in dense:
                self.log_factor[:, j], dense[j] = of_units(
                    self.log_factor[:, j], dense[j], first, share
                )
        if dense or np.issubdtype(codes.dtype, np.floating) or first is not None:
            # Many rows of numbers are held: nothing here says more than "any".
            kind = np.int8 if len(dense) == len(kept) else np.int64
            self.codes: Ints = np.full((n_units, len(kept)), -1, dtype=kind, order="F")
            for j in set(range(len(kept))) - set(dense):
                only = libraries[kept[j]].only(codes[:, kept[j]])
                if first is not None:
                    only = common_state(only, first, self._n_changes[j])
                self.codes[:, j] = only
        else:
            self.codes = np.asfortranarray(codes[:, list(kept)])
        if first is not None:
            fits = self._fits_one
            fits[:, list(dense)] = False  # are in range already
            np.maximum(self.log_factor, -_MOST_EVIDENCE, out=self.log_factor, where=fits)
        #: Log-probability of each row or unit if it comes from elsewhere, where that is known.
        is_whole = len(kept) == network.n_variables
        self._log_other = log_other_of(network, codes, first) if is_whole else None
        self._finish(zeros, dense)

    @property
    def _fits_one(self) -> Bools:
        """Whether each row or unit fits a change of each variable."""
        fits: Bools = self.codes != np.array(self._n_changes)
        return fits

    def _has(self, j: int, mechanism: Mechanism, library: Library) -> bool:
        """Whether the factors of a number's mechanism and changes are here already."""
        if j not in self._dense:
            return False
        own_mechanism, own_library = self._made_of[j]
        return own_mechanism is mechanism and own_library is library

    def restricted(self, rows: NDArray[np.int64], n_kept: int) -> MechanismFactors:
        """Return the factors of some configurations and the first variables only."""
        out = MechanismFactors.__new__(MechanismFactors)
        out.variables = self.variables[:n_kept]
        out._n_changes = self._n_changes[:n_kept]
        out._made_of = self._made_of[:n_kept]
        out.codes = np.asfortranarray(self.codes[rows, :n_kept])
        out.log_factor = np.asfortranarray(self.log_factor[rows, :n_kept])
        out._log_other = None  # changes variables that are not kept
        dense = {j: one.restricted(rows) for j, one in self._dense.items() if j < n_kept}
        out._finish(self.zeros[rows, :n_kept], dense)
        return out

    def _finish(self, zeros: Bools, dense: dict[int, DenseRatios]) -> None:
        self.zeros = zeros
        self.n_zeros = zeros.sum(axis=1)
        self._has_zeros = bool(zeros.any())
        self._dense = dense
        # The largest ratio of a row is that of the target which changes every variable.
        fits = self._fits_one
        if dense:
            largest = np.zeros(len(self.log_factor))
            for j in range(self.log_factor.shape[1]):
                if j in dense:
                    largest += dense[j].largest_log()
                else:
                    largest -= np.where(fits[:, j], self.log_factor[:, j], 0.0)
        else:
            largest = -np.where(fits, self.log_factor, 0.0).sum(axis=1)
        if self._log_other is not None:
            np.maximum(largest, self._log_other - self.log_factor.sum(axis=1), out=largest)
        #: Logarithm of the largest ratio of each row.
        self.largest_log: Floats = largest
        excess = np.maximum(largest - _LARGEST_LOG, 0.0)
        self.log_scale = excess
        self._is_scaled = bool(excess.any())
        with np.errstate(over="ignore"):  # used only where no row is scaled, and for do's
            # Of numbers nobody asks.
            all_dense = len(dense) == len(self._n_changes)
            self._inverse = (
                self.log_factor[:, :0]
                if all_dense
                else np.where(fits, np.exp(-self.log_factor), 0.0)
            )
        has_open = bool(self.codes.size and self.codes.min() < 0)
        self.ratios: tuple[ChangeRatios, ...] = tuple(
            dense[j]
            if j in dense
            else StateRatios(
                self.codes[:, j], self._inverse[:, j], self.log_factor[:, j], k, has_open
            )
            for j, k in enumerate(self._n_changes)
        )

    def without_zeros(self) -> MechanismFactors:
        """Return the same factors with structural zeros left out, as if they were covered."""
        out = MechanismFactors.__new__(MechanismFactors)
        out.__dict__.update(self.__dict__)
        out.zeros = np.zeros_like(self.zeros)
        out.n_zeros = np.zeros_like(self.n_zeros)
        out._has_zeros = False
        return out

    @property
    def n_configurations(self) -> int:
        """Number of configurations."""
        return int(self.codes.shape[0])

    def log_base(self) -> Floats:
        """Logarithm of the reference measure to which columns are relative.

        The base probability of the kept variables, without its zero factors and times the scale
        of the row: adding it to the logarithm of a mixture of columns gives a log-likelihood.

        Returns
        -------
        ndarray, shape (n_configurations,)
        """
        out: Floats = self.log_factor.sum(axis=1) + self.log_scale
        return out

    def inverse(self, rows: NDArray[np.int64], j: int) -> Floats:
        """Return ``1 / p_j`` of some configurations, a copy; infinite where it overflows."""
        out: Floats = self._inverse[rows, j]
        return out

    @property
    def n_changes(self) -> tuple[int, ...]:
        """Number of changes of each kept variable."""
        return self._n_changes

    @property
    def is_exclusive(self) -> bool:
        """Whether a row fits one change of each variable at most."""
        return not self._dense

    @cached_property
    def changes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Variable and position of every change, those of the first kept variable first."""
        numbers = np.array(self._n_changes, dtype=np.int64)
        variable = np.repeat(np.arange(numbers.size), numbers)
        return variable, np.arange(variable.size) - np.repeat(self._first_change, numbers)

    @cached_property
    def _first_change(self) -> NDArray[np.int64]:
        return np.cumsum([0, *self._n_changes[:-1]], dtype=np.int64)

    @cached_property
    def _of_changes(self) -> tuple[Floats, Floats]:
        """Ratio of every change on each row, zero where it does not fit, and its square."""
        out, fits_one = np.zeros((self.n_configurations, self.changes[0].size)), self._fits_one
        for j, start in enumerate(self._first_change.tolist()):
            fits = fits_one[:, j].nonzero()[0]
            out[fits, start + self.codes[fits, j]] = self._inverse[fits, j]
        return out, np.square(out)

    def sums(
        self, rows: NDArray[np.int64], ends: NDArray[np.int64], first: Floats, second: Floats
    ) -> tuple[Floats, Floats]:
        """Sum over sets of rows, times the ratio of every change, and times its square.

        Parameters
        ----------
        rows : ndarray of int64, shape (n_rows,)
            Complete ones, those of one set after those of the other.
        ends : ndarray of int64, shape (n_sets + 1,)
            Where each set begins, and where the last one ends.
        first, second : ndarray, shape (n_rows,)

        Returns
        -------
        first, second : ndarray, shape (n_sets, n_changes_in_all)
            In the order of :attr:`changes`.
        """
        n_changes = self.changes[0].size
        if self.is_exclusive and self.n_configurations * n_changes <= _MOST_AT_ONCE:
            shape = (ends.size - 1, self.n_configurations)
            of_changes, squares = self._of_changes
            summed_first = csr_array((first, rows, ends), shape=shape) @ of_changes
            summed_second = csr_array((second, rows, ends), shape=shape) @ squares
            return np.asarray(summed_first), np.asarray(summed_second)
        out = np.empty((2, ends.size - 1, n_changes))
        for k, (start, end) in enumerate(pairwise(ends.tolist())):
            at = slice(start, end)
            each = [one.sums(rows[at], first[at], second[at]) for one in self.ratios]
            out[0, k] = np.concatenate([own for own, _ in each])
            out[1, k] = np.concatenate([own for _, own in each])
        return out[0], out[1]

    @cached_property
    def _every(self) -> NDArray[np.int64]:
        """Positions of all rows, made once for all targets that can produce every row."""
        out = np.arange(self.n_configurations)
        out.setflags(write=False)
        return out

    def matching(self, target: Ints) -> NDArray[np.int64]:
        """Find the configurations that a target can produce.

        Parameters
        ----------
        target : ndarray of int, shape (n_kept,)
            One target over the kept variables.

        Returns
        -------
        ndarray of int64
            Positions of the configurations with positive likelihood, ascending.
        """
        changed = (target >= 0).nonzero()[0]
        rows: NDArray[np.int64] | None = None
        for j in changed:
            fits = self.ratios[j].fits(target[j], rows)
            if fits.all():
                continue
            rows = fits.nonzero()[0] if rows is None else rows[fits]
        if rows is None:
            rows = self._every
        if self._has_zeros:
            covered = self.zeros[rows][:, changed].sum(axis=1)
            rows = rows[covered == self.n_zeros[rows]]
        return rows

    def sparse_column(self, target: Ints) -> tuple[NDArray[np.int64], Floats]:
        """Likelihood of one target relative to the reference measure, where it is positive.

        Returns
        -------
        rows : ndarray of int64
            Configurations, ascending.
        values : ndarray
            Their likelihoods.
        """
        if target.size and is_other(target):
            return np.arange(self.n_configurations), self._other()
        if self._is_simple:
            return self._grown(target)
        rows = self.matching(target)
        changed = (target >= 0).nonzero()[0]
        if self._is_scaled:
            # The scale alone may underflow; only together with the ratio is it in range.
            logs = -self.log_scale[rows]
            for j in changed:
                logs += self.ratios[j].log_ratio(target[j], rows)
            return rows, np.exp(logs)
        values = np.ones(rows.size)
        for j in changed:
            values *= self.ratios[j].ratio(target[j], rows)
        return rows, values

    @cached_property
    def _is_simple(self) -> bool:
        """Whether a target can produce the rows that agree with it, and nothing is out of range."""
        of_one = self.is_exclusive and not self._has_zeros and not self._is_scaled
        return of_one and not (self.codes.size and self.codes.min() < 0)

    @cached_property
    def _partial(self) -> dict[bytes, tuple[NDArray[np.int64], Floats]]:
        """Sparse columns of targets without their last variable, which many have in common."""
        return {}

    def _grown(self, target: Ints) -> tuple[NDArray[np.int64], Floats]:
        """Sparse column of a target from that without its last variable."""
        changed = (target >= 0).nonzero()[0]
        if not changed.size:
            return self._every, np.ones(self.n_configurations)
        j = changed[-1]
        before = target.copy()
        before[j] = -1
        most = max(_FEWEST_PARTIAL, _PARTIAL_BYTES // (16 * max(self.n_configurations, 1)))
        key = before.tobytes()
        rows, values = remembered(self._partial, key, most, self._grown, before)
        fitting = (self.codes[:, j][rows] == target[j]).nonzero()[0]
        rows = rows[fitting]
        return rows, values[fitting] * self._inverse[:, j][rows]

    def _other(self) -> Floats:
        """Likelihood of rows from elsewhere: no variable follows its mechanism."""
        if self._log_other is None:
            raise ValueError("nothing is known of rows from elsewhere")
        return np.asarray(np.exp(self._log_other - self.log_base()))

    def column(self, target: Ints) -> Floats:
        """Likelihood of one target relative to the reference measure.

        Returns
        -------
        ndarray, shape (n_configurations,)
        """
        out = np.zeros(self.n_configurations)
        rows, values = self.sparse_column(target)
        out[rows] = values
        return out

    def columns(self, targets: Ints) -> Floats:
        """Likelihoods of several targets relative to the reference measure.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_kept)

        Returns
        -------
        ndarray, shape (n_configurations, n_targets), column-major
        """
        out = np.empty((self.n_configurations, targets.shape[0]), order="F")
        for k, target in enumerate(targets):
            out[:, k] = self.column(target)
        return out


def log_other_of(
    network: System, codes: Values, first: NDArray[np.int64] | None = None
) -> Floats | None:
    """Log-density of rows, or units, if they come from elsewhere.

    Parameters
    ----------
    network : System
        Says what such rows look like.
    codes : ndarray, shape (n_rows, n_variables)
        State codes or numbers; a missing value is summed out.
    first : ndarray of int64, shape (n_units,), optional
        Position of each unit's first row: all rows of a unit come from elsewhere, or none.

    Returns
    -------
    ndarray, shape (n_rows,) or (n_units,); None
        None where nothing is known of them.
    """
    other = getattr(network, "other", None)
    if other is None:
        return None
    out = summed(log_other(other, codes), first)
    dependence = getattr(getattr(network, "control", None), "dependence", None)
    if first is None or dependence is None:
        return out
    return out * design_effect(first, len(codes), float(np.max(dependence, initial=0.0)))


def share_of_rows(network: System, i: int, first: NDArray[np.int64], n_rows: int) -> Floats | float:
    """Say for how much each row of a unit counts in what it says of a variable.

    Parameters
    ----------
    network : System
        Remembers how far rows of a unit go together, if control rows showed that.
    i : int
        Position of the variable.
    first : ndarray of int64, shape (n_units,)
    n_rows : int

    Returns
    -------
    ndarray, shape (n_units,), or 1
    """
    dependence = getattr(getattr(network, "control", None), "dependence", None)
    if dependence is None or not dependence[i]:
        return 1.0
    return design_effect(first, n_rows, float(dependence[i]))
