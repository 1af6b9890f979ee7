"""Likelihoods of targets on the rows of a block, relative to a reference measure.

The one place where mechanisms meet rows. Everything above sees columns (one for each target) and
sums over them. A missing value is summed over, by completions; a labelled row is possible under
its own target only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.blocks import Block
from dosift.data.units import design_effect, summed
from dosift.likelihood.completions import Completions, complete
from dosift.likelihood.factors import MechanismFactors, log_other_of
from dosift.likelihood.remembered import remembered
from dosift.likelihood.table_rows import Rows, TableRows
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.known_rows import matches
from dosift.model.network import Network
from dosift.model.other import is_other

#: Largest logarithm of a likelihood ratio up to which rows need no scale of their own.
_LARGEST_LOG = 600.0
#: Rows beyond which columns that are asked for together are remembered together only.
_MANY = 2**17


def is_plain(network: Network, targets: Ints, block: Block) -> bool:
    """Whether no row or unit can be impossible or out of the range of double precision.

    Parameters
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
    block : Block

    Returns
    -------
    bool
    """
    return _largest_log(network, targets) * block.largest_unit < _LARGEST_LOG


def _largest_log(network: Network, targets: Ints) -> float:
    """Largest logarithm of a likelihood ratio of a row; infinite where rows may be impossible."""
    if not isinstance(network, Network) or not network.is_positive:
        return np.inf
    is_set = np.flatnonzero((targets >= 0).any(axis=0))
    return float(network.largest_log_ratios[is_set].sum())


@dataclass(frozen=True)
class Expanded:
    """Completions of rows, with the likelihood of each under each target.

    Attributes
    ----------
    codes : ndarray of int, shape (n_completions, n_variables)
        -1 where a value stays open because nothing that was seen depends on it.
    row : ndarray of int64, shape (n_completions,), or None
        The unit that each belongs to; None where every row is a unit and its own only completion.
    columns : ndarray, shape (n_completions, n_targets)
        Likelihood of the unit, as far as it goes with the completion: those of each row add up to
        that of its unit.
    """

    codes: Ints
    row: NDArray[np.int64] | None
    columns: Floats

    def of_rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat values of rows for their completions."""
        return values if self.row is None else values[self.row]


class RowLikelihoods(TableRows):
    """Likelihoods of targets on the rows of a block under a network.

    Parameters
    ----------
    network : Network
    block : Block
    plain : bool
        From :func:`is_plain`, for all targets that will be asked for.
    labels : ndarray of int, shape (n_labels, n_variables), optional
        The targets that labels stand for, where labelled rows count.
    absolute : bool, default=False
        Whether columns are relative to nothing but the scale of the row, as rows with missing
        values are; otherwise they are relative to the undisturbed network.
    remember : bool, default=False
        Whether columns are kept, for a block that is visited often.

    Examples
    --------
    >>> network = Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.25, 0.75]})
    >>> rows = RowLikelihoods(network, Block(np.array([[0], [1]]), np.ones(2)), True)
    >>> rows.columns(np.array([[-1], [0], [1]])).round(3)
    array([[1.   , 4.   , 0.   ],
           [1.   , 0.   , 1.333]])
    """

    def __init__(
        self,
        network: Network,
        block: Block,
        plain: bool,
        labels: Ints | None = None,
        absolute: bool = False,
        remember: bool = False,
    ) -> None:
        super().__init__(network, block, remember)
        self.plain = plain and not block.has_missing
        self.absolute = absolute
        self._labels = labels if block.label is not None else None
        self._memory: dict[bytes, tuple[Rows, Floats]] | None = {} if remember else None
        self._last: tuple[bytes, Floats] | None = None
        self._known: tuple[dict[bytes, int], Floats] | None = None
        self._before: MechanismFactors | None = None
        #: Variables whose tables stayed when others changed, and what was computed last then.
        self._same: Bools = np.zeros(network.n_variables, dtype=bool)
        self._last_before: tuple[bytes, Floats] | None = None

    def take_over(self, other: RowLikelihoods) -> None:
        """Take over what other likelihoods of the same rows know that new tables do not change.

        Parameters
        ----------
        other : RowLikelihoods
            Of the same block, under a network with the same graph.
        """
        if self.block.has_missing:
            # Which states are filled in depends on the graph alone, and points that numbers take
            # serve while what they were laid for hardly moves: EM needs an objective that stays.
            if np.array_equal(self.network.n_changes, other.network.n_changes):
                self.__dict__["_completions"] = other._completions
                self.__dict__["_row"] = other._row
            return
        self.__dict__["groups"] = other.groups
        self._before = other.__dict__.get("_factors")
        self.take_over_cells(other)
        if not (self.plain and other.plain) or self._memory is None or other._memory is None:
            return
        # A column depends on the tables of the variables that its target sets, and on no others.
        same = self.take_over_tables(other)
        if not same.any() or not other._memory:
            return
        self._same, self._last_before = same, other._last
        targets = np.frombuffer(b"".join(other._memory), dtype=np.int16).reshape(-1, same.size)
        stay = self._stay(targets)
        if self.network.other is not other.network.other:
            stay[is_other(targets)] = False
        for (key, column), stays in zip(other._memory.items(), stay.tolist(), strict=True):
            if stays:
                self._memory[key] = column

    def _stay(self, targets: Ints) -> Bools:
        """Tell of which targets the columns are as they were before the tables changed."""
        return np.asarray((self._same | (targets < 0)).all(axis=1))

    @cached_property
    def groups(self) -> list[tuple[int, slice | NDArray[np.int64]]]:
        """Batches that occur, each with its rows."""
        if self.block.batch is None:
            return [(0, slice(None))]
        order = np.argsort(self.block.batch, kind="stable")
        batches, starts = np.unique(self.block.batch[order], return_index=True)
        return list(zip(map(int, batches), np.split(order, starts[1:]), strict=True))

    @cached_property
    def _completions(self) -> Completions:
        return complete(self.network, self.block.values)

    @cached_property
    def _row(self) -> NDArray[np.int64] | None:
        return self._completions.row if self.block.has_missing else None

    @cached_property
    def _factors(self) -> MechanismFactors:
        before, self._before = self._before, None
        if self.block.has_missing:
            return MechanismFactors(self.network, self._completions.codes, before=before)
        return MechanismFactors(
            self.network, self.block.values, before=before, first=self.block.first
        )

    @cached_property
    def _scale(self) -> tuple[Floats, Floats]:
        """Scale of each unit (logarithm), and that of each completion relative to its row."""
        base = self._factors.log_base()
        if self._row is None:
            return base, np.ones(base.size)
        if self._completions.log_weight is not None:
            base = base + self._completions.log_weight
        reference = np.maximum.reduceat(base, self._completions.first)
        of_units = summed(reference, self.block.first)
        if self.block.first is None:
            reference = reference + self._excess
        relative = np.exp(base - reference[self._row])
        if self.block.first is not None:
            of_units = of_units * self._share
        return of_units + self._excess, relative

    @cached_property
    def _excess(self) -> Floats | float:
        """Logarithm by which units with missing values are divided to keep them in range."""
        own, first = self.block.first, self._completions.first
        if own is None and self._log_other is None:
            return 0.0
        if own is None:
            base = self._factors.log_base()
            if self._completions.log_weight is not None:
                base = base + self._completions.log_weight
            most = self._log_other - np.maximum.reduceat(base, first)
            return np.maximum(most - _LARGEST_LOG, 0.0)
        base = self._factors.log_base()
        largest = base + self._factors.largest_log - self._factors.log_scale
        if self._completions.log_weight is not None:
            base, largest = (
                base + self._completions.log_weight,
                largest + self._completions.log_weight,
            )
        most = np.maximum.reduceat(largest, first) - np.maximum.reduceat(base, first)
        most += np.log(np.bincount(self._completions.row))
        most = self._share * summed(most, self.block.first)
        if self._log_other is not None:
            reference = self._share * summed(np.maximum.reduceat(base, first), self.block.first)
            most = np.maximum(most, self._log_other - reference)
        return np.maximum(most - _LARGEST_LOG, 0.0)

    @cached_property
    def _log_other(self) -> Floats | None:
        """Log-density of each unit if it comes from elsewhere, missing values summed out."""
        return log_other_of(self.network, self.block.values, self.block.first)

    @property
    def log_reference(self) -> Floats:
        """Logarithm by which columns must be multiplied to be probabilities, for each row."""
        if not self.plain:
            return self._scale[0]
        return self.log_undisturbed()

    @cached_property
    def log_scale(self) -> Floats | float:
        """The same, less what the undisturbed network gives the row unless `absolute`."""
        if self.absolute:
            return self.log_reference
        return 0.0 if self.plain else self._factors.log_scale

    def columns(self, targets: Ints) -> Floats:
        """Likelihoods of targets.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        ndarray, shape (n_rows, n_targets), column-major
            Not to be written to.
        """
        key = np.asarray(targets, dtype=np.int16).tobytes()
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        if self._known is not None:
            known, every = self._known[0], np.asarray(targets, dtype=np.int16)
            place = [known.get(target.tobytes(), -1) for target in every]
            if min(place, default=0) >= 0:
                return np.asfortranarray(self._known[1][:, place])
        every = np.asarray(targets, dtype=np.int16)
        out, missing = self._begun(key, every)
        # Of many rows what is remembered here is not remembered once more, column by column.
        column = self._compute if len(self.block) > _MANY and not self.plain else self.column
        for t in missing:
            rows, values = column(every[t])
            out[rows, t] = values
        self._last = (key, out)
        return out

    def _begun(self, key: bytes, targets: Ints) -> tuple[Floats, Iterable[int]]:
        """Begin columns with what other tables left of them, and say which have to be filled in.

        Where a column is not zero does not depend on tables.
        """
        before, self._last_before = self._last_before, None
        if before is None or before[0] != key:
            return np.zeros((len(self.block), len(targets)), order="F"), range(len(targets))
        changed: Bools = ~(self._stay(targets) & ~is_other(targets))
        return before[1].copy(order="F"), np.flatnonzero(changed).tolist()

    def know(self, place: dict[bytes, int], columns: Floats, log_scale: Floats) -> None:
        """Take over columns that were computed before.

        Parameters
        ----------
        place : dict of bytes to int
            Position of each target.
        columns : ndarray, shape (n_rows, n_targets)
        log_scale : ndarray, shape (n_rows,)
            Of the rows.
        """
        self._known = (place, columns)
        self.__dict__["log_scale"] = log_scale

    def last(self, key: bytes) -> Floats | None:
        """Return the columns that were computed last, if they are those of some targets.

        Parameters
        ----------
        key : bytes
            Of the targets as integers of 16 bits.
        """
        return self._last[1] if self._last is not None and self._last[0] == key else None

    def column(self, target: Ints) -> tuple[Rows, Floats]:
        """Likelihood of one target, where it is not zero.

        Parameters
        ----------
        target : ndarray of int16, shape (n_variables,)

        Returns
        -------
        rows : ndarray of int64 or slice
            Positions of the rows.
        values : ndarray
            Not to be written to.
        """
        return remembered(self._memory, target.tobytes(), self._most, self._compute, target)

    def _compute(self, target: Ints) -> tuple[Rows, Floats]:
        if self.plain and not is_other(target):
            rows, values = self.ratio(target)
        elif self.plain:
            rows, values = slice(None), self._other()
        elif self._row is None:
            rows, values = self._factors.sparse_column(target)
        elif is_other(target):
            rows, values = slice(None), self._other()
        else:
            parts = self._factors.column(target) * self._scale[1]
            rows, values = slice(None), np.add.reduceat(parts, self._completions.first)
            if self.block.first is not None:
                values = self._together(values)
        if self._labels is not None and self.block.label is not None:
            # Label -1, a row without one, picks the last entry.
            own = np.append(matches(self._labels, target[None])[:, 0], True)
            values = values * own[self.block.label[rows]]
        return rows, values

    def _together(self, values: Floats) -> Floats:
        """Multiply what the rows of each unit are likely to be."""
        with np.errstate(divide="ignore"):
            logs = summed(np.log(values), self.block.first) * self._share
        return np.asarray(np.exp(logs - self._excess))

    @cached_property
    def _share(self) -> Floats | float:
        """For how much each row of a unit counts, where values are missing: the mean, rounded up.

        A completed row has no factors of single variables any more.
        """
        dependence = getattr(self.network.control, "dependence", None)
        if dependence is None or self.block.first is None:
            return 1.0
        return design_effect(self.block.first, len(self.block.values), float(dependence.max()))

    def _other(self) -> Floats:
        """Likelihood of rows from elsewhere."""
        if self._log_other is None:
            raise ValueError("nothing is known of rows from elsewhere")
        return np.asarray(np.exp(self._log_other - self.log_reference))

    def expanded(self, targets: Ints) -> Expanded:
        """Take rows apart into completions, where values are missing.

        Parameters
        ----------
        targets : ndarray of int, shape (n_targets, n_variables)

        Returns
        -------
        Expanded
        """
        if self._row is None:
            if self.block.first is None:
                return Expanded(self.block.values, None, self.columns(targets))
            unit = self.block.unit
            return Expanded(self.block.values, unit, self.columns(targets)[unit])
        columns = self._factors.columns(np.asarray(targets)) * self._scale[1][:, None]
        elsewhere = is_other(np.asarray(targets))
        if elsewhere.any() and self.block.first is None:
            # Points that serve the network are rough here; what they add up to is known exactly.
            whole = np.add.reduceat(columns[:, elsewhere], self._completions.first, axis=0)
            exact = self.columns(targets)[:, elsewhere]
            ratio = np.divide(exact, whole, out=np.zeros_like(whole), where=whole > 0)
            columns[:, elsewhere] *= ratio[self._row]
        if self.block.first is not None:
            whole = np.add.reduceat(columns, self._completions.first, axis=0)
            np.divide(columns, whole[self._row], out=columns, where=whole[self._row] > 0)
            unit = self.block.unit[self._row]
            columns *= self.columns(targets)[unit]
            return Expanded(self._completions.codes, unit, columns)
        if self._labels is not None and self.block.label is not None:
            own = matches(self._labels, targets)
            own = np.concatenate([own, np.ones((1, len(targets)), dtype=bool)])
            columns *= own[self.block.label][self._row]
        return Expanded(self._completions.codes, self._row, columns)

    @property
    def factors(self) -> MechanismFactors:
        """Factors of the rows; only where no value is missing."""
        return self._factors


@dataclass(frozen=True)
class TargetColumns:
    """What it takes to make :class:`RowLikelihoods` of any block; sent to those who hold rows.

    Attributes
    ----------
    network : Network
    targets : ndarray of int, shape (n_targets, n_variables)
        All that will be asked for.
    labels : ndarray of int, shape (n_labels, n_variables), or None
        The targets that labels stand for, where labelled rows count.
    absolute : bool
        As for :class:`RowLikelihoods`.
    """

    network: Network
    targets: Ints
    labels: Ints | None = None
    absolute: bool = False
    largest_log: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "largest_log", _largest_log(self.network, self.targets))

    def __call__(self, block: Block) -> RowLikelihoods:
        """Return the likelihoods of a block's rows."""
        plain = self.largest_log * block.largest_unit < _LARGEST_LOG
        return RowLikelihoods(self.network, block, plain, self.labels, self.absolute)
