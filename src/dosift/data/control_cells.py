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


def column_of_cells(adata: AnnData, name: str, role: str, chosen: Mask) -> SideColumn:
    """Return the batch, unit or time of each chosen cell.

    Parameters
    ----------
    adata : AnnData
    name : str
        Column of ``obs``.
    role : {"batch", "unit", "time"}
        What it holds. Every cell needs its batch and its time; it may have no unit.
    chosen : ndarray of bool, shape (n_cells,)

    Returns
    -------
    SideColumn

    Raises
    ------
    InputError
        If there is no such column, or a chosen cell lacks what it needs.
    """
    column = _named(adata, name, role)
    missing = np.asarray(column.isna(), dtype=bool) & chosen
    if role != "unit" and missing.any():
        raise InputError(
            f"obs[{name!r}] is missing for the cell {adata.obs_names[int(missing.argmax())]!r} "
            f"({int(missing.sum())} such cell(s)); every cell needs its {role}"
        )
    own = column[chosen]
    # Batches are named as pandas writes them.
    values = own.astype(str) if role == "batch" else own.astype(object)
    gone = missing[chosen]
    texts = [None if g else str(value) for value, g in zip(values, gone, strict=True)]
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
