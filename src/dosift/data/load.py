"""One door for rows: whatever holds them, out come blocks with their batch and label beside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data.blocks import Beside, Block, MemoryBlocks, RowBlocks, available_threads
from dosift.data.configurations import collapse
from dosift.data.encode import Encoded
from dosift.data.engines import engine_blocks, engine_of, named_columns
from dosift.data.numbers import Numbers, read_numbers
from dosift.data.read import load_rows
from dosift.data.side_columns import SideColumn, load_with_columns, side_column
from dosift.data.working import to_working
from dosift.errors import InputError
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.refusals import refuse
from dosift.utils.sklearn_api import as_codes

Floats = NDArray[np.float64]


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
    owned : bool
        Whether the rows were taken from an engine, and must be given back.
    """

    rows: RowBlocks
    inverse: NDArray[np.int64] | None
    library: str
    batch: SideColumn | None = None
    labels: SideColumn | None = None
    owned: bool = False

    def first_row(self, distinct: NDArray[np.bool_]) -> int | None:
        """Find the number of the first input row (from 1) that is one of some distinct ones."""
        if self.inverse is None:
            return None
        found = np.append(distinct, False)[self.inverse]
        return int(found.argmax()) + 1

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
    sample_weight: ArrayLike | None = None,
    batches: tuple[str, ...] | None = None,
    layer: str | None = None,
) -> Loaded:
    """Read and encode rows, with what stands beside them.

    Parameters
    ----------
    source : dataframe, mapping of columns, ndarray, path, Encoded, Numbers, RowBlocks or Loaded
        Rows that were loaded, rows in blocks, and tables that an engine holds, stay where they are;
        but where variables of the network are numbers, such a table is read whole.
    network : Network or MechanismNetwork
        Numbers are brought to the working scales of the latter.
    batch, labels : str or array-like, shape (n_rows,), optional
        One value for each row, or the name of the column that holds it.
    sample_weight : array-like, shape (n_rows,), optional
        Non-negative multiplicities of the rows.
    batches : tuple of str, optional
        The batches that there may be, in the order of their positions; those that occur, sorted, by
        default.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states.

    Returns
    -------
    Loaded

    Raises
    ------
    InputError
        As reading and encoding say, or if what stands beside does not fit the rows.
    """
    beside = {"batch": batch, "labels": labels, "sample_weight": sample_weight}
    is_held = engine_of(source) is None and not isinstance(source, RowBlocks)
    if sample_weight is not None and not is_held:
        refuse({"sample weights", "rows in blocks"})
    if isinstance(source, Loaded | RowBlocks):
        return _blocks(source, network, beside)
    if isinstance(network, MechanismNetwork):
        return _load_numbers(source, network, beside, batches, layer)
    if engine_of(source) is not None:
        for name, value in beside.items():
            if value is not None and not isinstance(value, str):
                raise InputError(
                    f"{name} of rows that an engine holds must be the name of a column of theirs"
                )
        rows = engine_blocks(source, named_columns(source, network, batch, labels))
        return Loaded(rows, None, rows.library, owned=True)
    encoded, columns = _encoded(source, network, batch, labels, layer)
    weight = checked_weight(sample_weight, encoded.codes.shape[0])
    return _collapsed(
        encoded.codes, network.cardinalities, columns, weight, batches, encoded.library
    )


def _collapsed(
    values: NDArray[Any],
    cardinalities: NDArray[np.int64],
    columns: tuple[SideColumn | None, SideColumn | None],
    weight: Floats | None,
    batches: tuple[str, ...] | None,
    library: str,
) -> Loaded:
    """Collapse rows in memory, with their batches and labels, to the distinct ones."""
    of_batch, of_label = columns
    names: tuple[str, ...] = ()
    place = None
    if of_batch is not None:
        _check_complete(of_batch)
        names = of_batch.texts if batches is None else batches
        place = of_batch.positions(names)
    own = Beside(names, () if of_label is None else of_label.texts)
    label = of_label.index if of_label is not None and own.labels else None
    sizes = np.concatenate([cardinalities, own.cardinalities])
    found = collapse(own.wide(Block(values, np.empty(0), place, label)), sizes, weight)
    rows = MemoryBlocks(found.codes, found.counts, available_threads(), own)
    rows.library = library
    return Loaded(rows, found.inverse, library, of_batch, of_label)


def _load_numbers(
    source: Any,
    network: MechanismNetwork,
    beside: dict[str, Any],
    batches: tuple[str, ...] | None,
    layer: str | None,
) -> Loaded:
    """Read rows of numbers, and bring them to the working scales of a network."""
    named = [beside[one] for one in ("batch", "labels") if isinstance(beside[one], str)]
    if isinstance(source, Encoded):
        raise InputError("the rows were read for another network")
    if not isinstance(source, Numbers):
        source = read_numbers(source, network.variables, beside=named, layer=layer)
    elif source.variables != network.variables:
        raise InputError("the rows were read for another network")
    n_rows = len(source.values)
    columns = {}
    for role in ("batch", "labels"):
        given = beside[role]
        own = source.beside.get(given) if isinstance(given, str) else given
        columns[role] = None if own is None else side_column(own, n_rows, role)
    weight = checked_weight(beside["sample_weight"], n_rows)
    values, library = to_working(source, network), source.library
    del source  # as large as the working values
    together = (columns["batch"], columns["labels"])
    return _collapsed(values, network.cardinalities, together, weight, batches, library)


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
    source: Any, network: Network, batch: Any, labels: Any, layer: str | None
) -> tuple[Encoded, tuple[SideColumn | None, SideColumn | None]]:
    """Encode rows, and take what is said of each beside its variables."""
    columns = {"batch": batch, "labels": labels}
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

    return encoded, (column("batch", batch), column("labels", labels))


def _check_complete(column: SideColumn) -> None:
    """Refuse rows that belong to no batch."""
    missing = column.index < 0
    if missing.any():
        raise InputError(
            f"{column.name} is empty in data row {int(missing.argmax()) + 1} "
            f"({int(missing.sum())} such row(s)); every row needs its batch",
            path=column.path,
        )


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
