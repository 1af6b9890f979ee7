"""One door for rows: whatever holds them, out come blocks with their batch and label beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data.blocks import Beside, Block, MemoryBlocks, RowBlocks
from dosift.data.configurations import Configurations, collapse, collapse_units
from dosift.data.encode import Encoded, codes_dtype
from dosift.data.engines import engine_blocks, engine_of, named_columns
from dosift.data.lazy import as_lazy
from dosift.data.numbers import Numbers, read_numbers
from dosift.data.order import RowOrder
from dosift.data.read import load_rows
from dosift.data.side_columns import SideColumn, side_column
from dosift.data.stored import StoredBlocks
from dosift.data.stored_numbers import StoredNumbers, is_many, store_numbers
from dosift.data.times import times_of
from dosift.data.unit_columns import check_units, label_of_units, units_of
from dosift.data.with_columns import load_with_columns
from dosift.data.working import to_working
from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.refusals import TIME, UNITS, refuse
from dosift.utils.sklearn_api import as_codes
from dosift.utils.threads import available_threads

Floats = NDArray[np.float64]

#: What stands beside rows, as features.
_REFUSED = {
    "batch": "batches",
    "labels": "labels",
    "unit": UNITS,
    "time": TIME,
    "sample_weight": "sample weights",
}


@dataclass(frozen=True)
class Loaded:
    """Rows that were read and encoded.

    Attributes
    ----------
    rows : RowBlocks
        A table in memory is collapsed to its distinct rows.
    inverse : ndarray of int64, shape (n_rows,), or None
        For a table in memory, the position of each input row among the distinct ones; -1 for a
        row of weight zero whose like no other row is.
    library : str
        The library of the table, as in :class:`~dosift.data.Encoded`.
    batch, labels : SideColumn or None
        What was given beside the variables of a table in memory.
    unit : SideColumn or None
        The unit of each row, where rows come in units; then `inverse` is that of units.
    place : ndarray of int64, shape (n_rows,), or None
        With units, the position of each input row among the rows of distinct units.
    order : RowOrder or None
        Rows in order of time, where that was given. The rows of a unit are then a series, and each
        is a distinct row by itself.
    control : Loaded or None
        Control rows in order of time or in units, where these rows are and those have the column,
        too.
    owned : bool
        Whether the rows were taken from an engine, or are kept in a temporary file for this fit
        alone, and must be given back.
    ordered : bool
        Whether rows in blocks are in the order of the input.
    further : tuple of SideColumn
        What the first rows hold in columns that nobody named.
    """

    rows: RowBlocks
    inverse: NDArray[np.int64] | None
    library: str
    batch: SideColumn | None = None
    labels: SideColumn | None = None
    unit: SideColumn | None = None
    place: NDArray[np.int64] | None = None
    order: RowOrder | None = None
    control: Loaded | None = None
    owned: bool = False
    ordered: bool = True
    further: tuple[SideColumn, ...] = ()

    def first_values(self, most: int) -> NDArray[Any] | None:
        """Return the values of the first rows, in the order of the input.

        Parameters
        ----------
        most : int
            Rows at most.

        Returns
        -------
        ndarray of number, shape (n_rows, n_variables), or None
            None where rows have no order, or were put in another one.
        """
        if isinstance(self.rows, StoredBlocks) and self.ordered:
            return np.asarray(next(iter(self.rows)).values[:most])
        if self.inverse is None or not isinstance(self.rows, MemoryBlocks):
            return None
        place = self.inverse[:most]
        return np.asarray(self.rows.whole.values[place[place >= 0]])

    def close(self) -> None:
        """Give back what was taken from an engine."""
        if self.owned:
            self.rows.close()


def load(
    source: Any,
    network: Network | MechanismNetwork,
    *,
    batch: Any = None,
    labels: Any = None,
    unit: Any = None,
    time: Any = None,
    sample_weight: ArrayLike | None = None,
    batches: tuple[str, ...] | None = None,
    layer: str | None = None,
    hold: bool = False,
) -> Loaded:
    """Read and encode rows, with what stands beside them.

    Parameters
    ----------
    source : dataframe, mapping of columns, ndarray, path, Encoded, Numbers, RowBlocks or Loaded
        Rows that were loaded, rows in blocks, and tables that an engine holds, stay where they are;
        but where rows come in units or in order of time such a table is read whole. Large files of
        numbers are kept in a temporary file.
    network : Network or MechanismNetwork
        Numbers are brought to the working scales of the latter.
    batch, labels, unit, time : str or array-like, shape (n_rows,), optional
        One value for each row, or the name of the column that holds it.
    sample_weight : array-like, shape (n_rows,), optional
        Non-negative multiplicities of the rows.
    batches : tuple of str, optional
        The batches that there may be, in the order of their positions; those that occur, sorted, by
        default.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states.
    hold : bool, default=False
        Whether rows of numbers are to be held in memory wherever they come from.

    Returns
    -------
    Loaded

    Raises
    ------
    InputError
        As reading and encoding say, or if what stands beside does not fit the rows.
    """
    source = as_lazy(source)
    roles = {"batch": batch, "labels": labels, "unit": unit, "time": time}
    beside = {**roles, "sample_weight": sample_weight}
    if time is not None:
        refuse({TIME, *(_REFUSED[role] for role, value in beside.items() if value is not None)})
    if time is not None and isinstance(source, RowBlocks):
        refuse({TIME, "rows in blocks"})
    is_held = engine_of(source) is None and not isinstance(source, RowBlocks)
    if sample_weight is not None and not is_held:
        refuse({"sample weights", "rows in blocks"})
    if isinstance(source, Loaded | RowBlocks):
        return _blocks(source, network, beside)
    is_alone = unit is None and time is None
    of_numbers = isinstance(network, MechanismNetwork)
    if engine_of(source) is not None and is_alone and not (hold and of_numbers):
        _check_named_columns(beside)
        rows = engine_blocks(source, named_columns(source, network, batch, labels))
        _match(rows, batches)
        return Loaded(rows, None, rows.library, owned=True, ordered=False)
    if isinstance(network, MechanismNetwork):
        may_store = is_alone and sample_weight is None and not hold
        if isinstance(source, StoredNumbers) or (may_store and _is_large(source, beside)):
            return _stored_numbers(source, network, batch, labels, batches)
        return _load_numbers(source, network, beside, batches, layer)
    encoded, columns = _encoded(source, network, beside, layer)
    weight = checked_weight(sample_weight, encoded.codes.shape[0])
    sizes = network.cardinalities
    found = _collapsed(encoded.codes, sizes, columns, weight, batches, encoded.library)
    return replace(found, further=encoded.further)


def _check_named_columns(beside: Mapping[str, Any]) -> None:
    for name, value in beside.items():
        if value is not None and not isinstance(value, str):
            raise InputError(
                f"{name} of rows that an engine holds must be the name of a column of theirs"
            )


def _match(rows: RowBlocks, batches: tuple[str, ...] | None) -> None:
    if batches is not None and isinstance(rows, StoredBlocks) and rows.beside.batches:
        rows.match(batches)


def _is_large(source: Any, beside: Mapping[str, Any]) -> bool:
    """Tell a file whose rows, and all that stands beside them, are better read in parts."""
    are_named = all(value is None or isinstance(value, str) for value in beside.values())
    return isinstance(source, str | Path) and are_named and is_many(source)


def _stored_numbers(
    source: Any,
    network: MechanismNetwork,
    batch: str | None,
    labels: str | None,
    batches: tuple[str, ...] | None,
) -> Loaded:
    """Keep rows of numbers in a temporary file, on the working scales of a network."""
    if not isinstance(source, StoredNumbers):
        source = store_numbers(source, network.variables, batch=batch, labels=labels)
    elif source.variables != network.variables or source.named != (batch, labels):
        raise InputError("the rows were read for another network")
    rows = source.to_working(network)
    _match(rows, batches)
    is_file = source.path is not None
    return Loaded(rows, None, rows.library, owned=True, ordered=is_file, further=rows.further)


@dataclass(frozen=True)
class _Columns:
    """What stands beside the variables."""

    batch: SideColumn | None = None
    labels: SideColumn | None = None
    unit: SideColumn | None = None
    time: SideColumn | None = None


def _collapsed(
    values: NDArray[Any],
    cardinalities: NDArray[np.int64],
    columns: _Columns,
    weight: Floats | None,
    batches: tuple[str, ...] | None,
    library: str,
) -> Loaded:
    """Collapse rows in memory, with their batches and labels, to the distinct ones."""
    names: tuple[str, ...] = ()
    place = None
    if columns.batch is not None:
        columns.batch.check_complete("batch")
        names = columns.batch.texts if batches is None else batches
        place = columns.batch.positions(names)
    own = Beside(names, () if columns.labels is None else columns.labels.texts)
    label = columns.labels.index if columns.labels is not None and own.labels else None
    unit = order = None
    if columns.time is not None:
        order = RowOrder.of(times_of(columns.time), columns.unit, place)
    elif columns.unit is not None:
        unit = units_of(columns.unit)
        label = label_of_units(columns.unit, unit, columns.labels) if label is not None else None
        check_units(columns.unit, unit, columns.batch, weight)
    sizes = np.concatenate([cardinalities, own.cardinalities])
    wide = own.wide(Block(values, np.ones(len(values)), place, label))
    found = collapse(wide, sizes, weight) if unit is None else _in_units(wide, unit, sizes, weight)
    rows = MemoryBlocks(found.codes, found.counts, available_threads(), own, found.first)
    rows.library = library
    return Loaded(
        rows,
        found.inverse,
        library,
        columns.batch,
        columns.labels,
        None if unit is None else columns.unit,
        found.inverse if unit is not None and found.place is None else found.place,
        order,
    )


def together(
    stored: StoredBlocks,
    network: Network,
    named: Mapping[str, str | None],
    batches: tuple[str, ...] | None = None,
) -> Loaded:
    """Bring the rows of each unit together, of rows that were read in parts.

    Parameters
    ----------
    stored : StoredBlocks
        With units; they are held as state codes from here on.
    network : Network
    named : mapping of str to str or None
        What the columns of batch, labels and unit are called.
    batches : tuple of str, optional
        As for :func:`load`.

    Returns
    -------
    Loaded
    """
    values = np.empty((int(stored.n_rows), network.n_variables), codes_dtype(network), order="F")
    texts = {"batch": stored.beside.batches, "labels": stored.beside.labels}
    index = {role: np.empty(len(values), dtype=np.int64) for role in texts if named.get(role)}
    start = 0
    for block in stored:
        own = slice(start, start + len(block))
        start = own.stop
        values[own] = block.values
        for role, column in (("batch", block.batch), ("labels", block.label)):
            if role in index:
                index[role][own] = -1 if column is None else column
    columns = {
        role: SideColumn(texts[role], one, f"column {named[role]!r}") for role, one in index.items()
    }
    beside = _Columns(**columns, unit=stored.unit)
    return _collapsed(values, network.cardinalities, beside, None, batches, stored.library)


def _in_units(
    wide: NDArray[Any], unit: NDArray[np.int64], sizes: NDArray[np.int64], weight: Floats | None
) -> Configurations:
    """Collapse units, each with the weight of its rows."""
    of_unit = None
    if weight is not None:
        of_unit = np.zeros(int(unit.max()) + 1)
        of_unit[unit] = weight
    return collapse_units(wide, unit, sizes, of_unit)


def _load_numbers(
    source: Any,
    network: MechanismNetwork,
    beside: dict[str, Any],
    batches: tuple[str, ...] | None,
    layer: str | None,
) -> Loaded:
    """Read rows of numbers, and bring them to the working scales of a network."""
    roles = ("batch", "labels", "unit", "time")
    given = {role: beside[role] for role in roles if beside[role] is not None}
    if isinstance(source, Encoded):
        raise InputError("the rows were read for another network")
    if not isinstance(source, Numbers):
        names = tuple(value for value in given.values() if isinstance(value, str))
        source = read_numbers(source, network.variables, beside=names, layer=layer)
    elif source.variables != network.variables:
        raise InputError("the rows were read for another network")
    n_rows = len(source.values)
    found = {
        role: side_column(
            source.beside.get(value) if isinstance(value, str) else value, n_rows, role
        )
        for role, value in given.items()
    }
    weight = checked_weight(beside["sample_weight"], n_rows)
    values, library, further = to_working(source, network), source.library, source.further
    del source  # as large as the working values
    sizes = network.cardinalities
    loaded = _collapsed(values, sizes, _Columns(**found), weight, batches, library)
    return replace(loaded, further=further)


def _blocks(
    source: RowBlocks | Loaded, network: Network | MechanismNetwork, beside: dict[str, Any]
) -> Loaded:
    for name, value in beside.items():
        if value is not None:
            raise InputError(
                f"rows in blocks cannot be combined with {name}; they carry it themselves where "
                "it was named as they were stored"
            )
    loaded = Loaded(source, None, source.library) if isinstance(source, RowBlocks) else source
    if loaded.rows.n_variables != network.n_variables:
        raise InputError("the rows were read for another network")
    return replace(loaded, owned=False)


def _encoded(
    source: Any, network: Network, beside: dict[str, Any], layer: str | None
) -> tuple[Encoded, _Columns]:
    """Encode rows, and take what is said of each beside its variables."""
    columns = {role: beside[role] for role in ("batch", "labels", "unit", "time")}
    named = [value for value in columns.values() if isinstance(value, str)]
    if named:
        encoded, found = load_with_columns(source, network, named, allow_missing=True, layer=layer)
    elif isinstance(source, Encoded):
        encoded, found = source, []
    else:
        rows = as_codes(source, network.n_variables)
        encoded, found = load_rows(rows, network, allow_missing=True, layer=layer), []
    by_name = dict(zip(named, found, strict=True))
    n_rows = encoded.codes.shape[0]

    def column(name: str, value: Any) -> SideColumn | None:
        if value is None:
            return None
        return by_name[value] if isinstance(value, str) else side_column(value, n_rows, name)

    return encoded, _Columns(**{role: column(role, value) for role, value in columns.items()})


def checked_weight(sample_weight: ArrayLike | None, n_rows: int) -> Floats | None:
    """Check the weights of rows.

    Raises
    ------
    InputError
        If there is not one finite number that is not negative for each row, or they sum to zero.
    """
    if sample_weight is None:
        return None
    try:
        weight = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("sample_weight must hold one number for each row") from None
    if weight.shape != (n_rows,):
        raise InputError(f"sample_weight has shape {weight.shape}; {n_rows} rows need ({n_rows},)")
    if not np.all(np.isfinite(weight)) or weight.min() < 0 or weight.sum() <= 0:
        raise InputError("sample_weight must be finite and not negative, with a positive sum")
    return weight
