"""Rows in memory, encoded, with further columns of the same table beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from dosift.data.anndata import name_states, read_cells
from dosift.data.encode import Encoded, as_frame, encode
from dosift.data.read import load_rows, read_rows
from dosift.data.side_columns import SideColumn, check_named, side_column
from dosift.errors import InputError
from dosift.model.network import Network


def load_with_columns(
    source: Any,
    network: Network,
    names: Sequence[str],
    *,
    allow_missing: bool = False,
    layer: str | None = None,
) -> tuple[Encoded, list[SideColumn]]:
    """Read (where a path is given) and encode rows, and take further columns beside them.

    Parameters
    ----------
    source : str, Path, dataframe or mapping
        As in :func:`~dosift.data.read.load_rows`.
    network : Network
    names : sequence of str
        The further columns.
    allow_missing : bool, default=False
        Whether missing values of variables become -1 instead of an error.
    layer : str, optional
        Of a .h5ad file, the layer that holds the states.

    Returns
    -------
    rows : Encoded
    columns : list of SideColumn
        In the order of `names`.

    Raises
    ------
    InputError
        If a column does not exist, or as reading and encoding say.
    """
    path = source if isinstance(source, str | Path) else None
    if not names:
        return load_rows(source, network, allow_missing=allow_missing, layer=layer), []
    if path is not None and str(path).lower().endswith(".h5ad"):
        cells = read_cells(path, [*network.names, *names], layer)
        frame: Any = nw.from_native(name_states(cells, network))
        beside = [
            cells.labels[name] if name in cells.labels else cells.numbers[name] for name in names
        ]
    else:
        frame = _frame(read_rows(path) if path is not None else source, path)
        columns = {str(name): name for name in frame.columns}
        check_named(list(columns), names, path)
        beside = [frame.get_column(columns[name]) for name in names]
        frame = frame.drop([columns[n] for n in dict.fromkeys(names) if n not in network.positions])
    encoded = encode(frame.to_native(), network, allow_missing=allow_missing, path=path)
    n_rows = encoded.codes.shape[0]
    return encoded, [
        side_column(values, n_rows, f"column {name!r}", path)
        for name, values in zip(names, beside, strict=True)
    ]


def _frame(data: Any, path: str | Path | None) -> Any:
    """Return an eager narwhals dataframe that has the columns by name."""
    if isinstance(data, np.ndarray):
        raise InputError(
            "an array of codes has no columns by name; give one value for each row instead"
        )
    return as_frame(data, path)[0]
