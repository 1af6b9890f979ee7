"""Which cells of an AnnData are control cells, and the batch and unit of each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dosift.data.side_columns import SideColumn, side_column
from dosift.errors import InputError, nearest

if TYPE_CHECKING:
    from anndata import AnnData

#: A column of obs and its value, as one writes it in pandas.
_EQUATION = re.compile(r"\s*(?P<column>.*?)\s*==\s*(?P<quote>['\"])(?P<value>.*)(?P=quote)\s*")

Mask = NDArray[np.bool_]


def control_mask(adata: AnnData, control: Any) -> tuple[Mask, AnnData | None]:
    """Tell which cells of an AnnData are control cells.

    Parameters
    ----------
    adata : AnnData
    control : mask, str, (column, value), AnnData or None
        As for :func:`~dosift.fit_anndata`.

    Returns
    -------
    mask : ndarray of bool, shape (n_cells,)
    apart : AnnData or None
        The one that holds the control cells, if it is another.

    Raises
    ------
    InputError
        If it chooses no cell, or is nothing that could choose any.
    """
    from anndata import AnnData

    nothing = np.zeros(adata.n_obs, dtype=bool)
    if control is None:
        return nothing, None
    if isinstance(control, AnnData):
        if control.n_obs == 0:
            raise InputError("the AnnData of control cells has no cells")
        return nothing, control
    if isinstance(control, tuple) and len(control) == 2 and isinstance(control[0], str):
        mask = _equal(adata, *control)
    elif isinstance(control, str) and (equation := _equation(adata, control)):
        mask = _equal(adata, *equation)
    elif isinstance(control, str):
        mask = _boolean(_obs_column(adata, control), f"obs[{control!r}]")
    else:
        mask = _boolean(_aligned(control, adata), "control")
    if mask.shape != (adata.n_obs,):
        raise InputError(f"control has shape {mask.shape}; {adata.n_obs} cells need one entry each")
    if not mask.any():
        raise InputError("control chooses no cell at all")
    return mask, None


def _equation(adata: AnnData, text: str) -> tuple[str, str] | None:
    """Split "column == 'value'" into its parts; None if it is no such text."""
    found = _EQUATION.fullmatch(text)
    if found is None or text in adata.obs.columns:
        return None
    return found["column"], found["value"]


def _meant(adata: AnnData, name: str, role: str) -> str:
    """Suggest a column, or the column that holds what was given as a value."""
    near = nearest(name, map(str, adata.obs.columns))
    if near is not None:
        return f". Did you mean {near!r}?"
    if role == "control":
        for column in map(str, adata.obs.columns):
            if (adata.obs[column].astype(str) == name).any():
                return f". Did you mean control=({column!r}, {name!r})?"
    return ""


def _obs_column(adata: AnnData, name: str, role: str = "control") -> Any:
    if name not in adata.obs.columns:
        listed = ", ".join(map(repr, adata.obs.columns[:12])) or "none"
        raise InputError(
            f"obs has no column {name!r} for {role}; its columns are: {listed}"
            + _meant(adata, name, role)
        )
    return adata.obs[name]


def _complete(adata: AnnData, name: str, role: str, chosen: Mask) -> Any:
    """Return a column of the chosen cells, each of which must have a value."""
    column = _named(adata, name, role)
    missing = np.asarray(column.isna(), dtype=bool) & chosen
    if missing.any():
        raise InputError(
            f"obs[{name!r}] is missing for the cell {adata.obs_names[int(missing.argmax())]!r} "
            f"({int(missing.sum())} such cell(s)); every cell needs its {role}"
        )
    return column[chosen]


def batches_of(adata: AnnData, name: str, chosen: Mask) -> SideColumn:
    """Return the batch of each chosen cell.

    Parameters
    ----------
    adata : AnnData
    name : str
        Column of ``obs``.
    chosen : ndarray of bool, shape (n_cells,)

    Returns
    -------
    SideColumn

    Raises
    ------
    InputError
        If there is no such column, or a chosen cell has no batch.
    """
    values = _complete(adata, name, "batch", chosen).astype(str).to_numpy(dtype=object)
    return side_column(values, int(chosen.sum()), f"obs[{name!r}]")


def units_of_cells(adata: AnnData, name: str, chosen: Mask) -> SideColumn:
    """Return the unit of each chosen cell.

    Parameters
    ----------
    adata : AnnData
    name : str
        Column of ``obs``.
    chosen : ndarray of bool, shape (n_cells,)

    Returns
    -------
    SideColumn
        A cell for which the column is missing has none.

    Raises
    ------
    InputError
        If there is no such column.
    """
    column = _named(adata, name, "unit")[chosen]
    values = column.astype(object).where(column.notna(), None)
    texts = [None if value is None else str(value) for value in values]
    return side_column(np.array(texts, dtype=object), len(texts), f"obs[{name!r}]")


def times_of_cells(adata: AnnData, name: str, chosen: Mask) -> SideColumn:
    """Return when each chosen cell was seen.

    Parameters
    ----------
    adata : AnnData
    name : str
        Column of ``obs``.
    chosen : ndarray of bool, shape (n_cells,)

    Returns
    -------
    SideColumn

    Raises
    ------
    InputError
        If there is no such column, or a chosen cell has no time.
    """
    texts = [str(value) for value in _complete(adata, name, "time", chosen)]
    return side_column(np.array(texts, dtype=object), len(texts), f"obs[{name!r}]")


def _named(adata: AnnData, name: object, role: str) -> Any:
    if not isinstance(name, str):
        raise InputError(f"{role} is {name!r}; give the name of a column of obs")
    return _obs_column(adata, name, role)


def _equal(adata: AnnData, name: str, value: object) -> Mask:
    column = _obs_column(adata, name)
    mask = np.asarray(column == value, dtype=bool)
    if not mask.any():
        found = ", ".join(map(repr, column.dropna().unique().tolist()[:12]))
        raise InputError(f"no cell has the value {value!r} in obs[{name!r}]; its values: {found}")
    return mask


def _aligned(control: Any, adata: AnnData) -> Any:
    """Bring a mask with cell names into the order of the cells."""
    index = getattr(control, "index", None)
    if index is None or callable(index):
        return control
    if len(index) != adata.n_obs or set(index) != set(adata.obs_names):
        raise InputError("the index of control is not obs_names; give one entry for each cell")
    return control if index.equals(adata.obs_names) else control.reindex(adata.obs_names)


def _boolean(values: Any, what: str) -> Mask:
    array = np.asarray(values)
    if array.dtype == object and all(isinstance(v, bool | np.bool_) for v in array.ravel()):
        array = array.astype(bool)
    if array.dtype != bool:
        raise InputError(
            f"{what} is not boolean (its type is {array.dtype}); give a mask, or a column and the "
            "value of control cells, such as control=('condition', 'ctrl')"
        )
    return array
