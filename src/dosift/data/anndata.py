"""Annotated matrices (AnnData, .h5ad): cells as rows, variables from the matrix or from obs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.factorise import texts_at
from dosift.errors import InputError, MissingDependencyError
from dosift.model.network import Network, Variable

Floats = NDArray[np.float64]

#: Rows of a matrix that are taken at a time.
_BLOCK = 50_000
#: A whole matrix with more entries than this is not read without a network that says what to read.
_MOST_ENTRIES = 50_000_000
#: A matrix column with more distinct whole numbers than this holds counts, not states.
MOST_LEVELS = 20
#: Names that a message lists.
_LISTED = 5
#: The name under which one asks for the total of each row of the matrix.
MATRIX_TOTAL = "total counts"
_ADVICE = (
    "cut the values into states first: dosift.discretize, or discretizer=dosift.Discretizer(...) "
    "in dosift.fit_anndata; or choose the layer that holds states"
)


@dataclass(frozen=True)
class Cells:
    """Columns of an annotated matrix.

    Attributes
    ----------
    numbers : dict of str to ndarray of float64, each of shape (n_cells,)
        Variables that are columns of the matrix.
    labels : dict of str to object
        Variables that are columns of ``obs``: polars Series.
    cell_names : ndarray of str, shape (n_cells,)
    names : tuple of str
        All the variables, in the order asked for.
    source : str
        ``"X"`` or ``"layer 'name'"``, for messages.
    path : Path or None
        The file, for messages.
    """

    numbers: dict[str, Floats]
    labels: dict[str, Any]
    cell_names: NDArray[Any]
    names: tuple[str, ...]
    source: str
    path: Path | None = None

    def frame(self) -> pl.DataFrame:
        """Return all columns as they are, as a table."""
        return pl.DataFrame(
            {
                name: self.labels[name] if name in self.labels else pl.Series(self.numbers[name])
                for name in self.names
            }
        )


def cells_of(adata: Any, names: Sequence[str] | None = None, layer: str | None = None) -> Cells:
    """Take the columns that a network needs out of an AnnData.

    Parameters
    ----------
    adata : AnnData
        It is not changed. Of a sparse matrix only the columns asked for become dense.
    names : sequence of str, optional
        Variables; each is looked for in ``var_names`` and then among the columns of ``obs``. All
        of ``var_names`` if left out. `MATRIX_TOTAL`, where it is neither, is the total of all
        columns of the matrix.
    layer : str, optional
        Layer to take them from; ``X`` if left out.

    Returns
    -------
    Cells

    Raises
    ------
    InputError
        If a variable, or the layer, is not there, or ``var_names`` holds it twice.
    """
    if layer is not None and layer not in adata.layers:
        raise _no_layer(layer, list(adata.layers), None)
    matrix = adata.X if layer is None else adata.layers[layer]
    return _cells(matrix, adata.obs, adata.var, names, layer, None)


def read_cells(
    path: str | Path, names: Sequence[str] | None = None, layer: str | None = None
) -> Cells:
    """Read the columns that a network needs from a .h5ad file, and nothing else of its matrix.

    Parameters
    ----------
    path : str or Path
    names, layer
        As in :func:`cells_of`.

    Returns
    -------
    Cells

    Raises
    ------
    InputError
        If the file is no .h5ad file, or as :func:`cells_of` says.
    MissingDependencyError
        If anndata is not installed.
    """
    path = Path(path)
    with _opened(path) as (stored, read_elem, sparse_dataset):
        layers = sorted(stored.get("layers", ()))
        if layer is not None and layer not in layers:
            raise _no_layer(layer, layers, path)
        element = stored.get("X") if layer is None else stored["layers"][layer]
        if element is not None and element.attrs.get("encoding-type") == "null":
            element = None
        matrix = sparse_dataset(element) if hasattr(element, "keys") else element
        obs, var = read_elem(stored["obs"]), read_elem(stored["var"])
        return _cells(matrix, obs, var, names, layer, path)


def holds_only(path: str | Path, names: Sequence[str]) -> bool:
    """Tell whether all columns of the matrix of a .h5ad file are among some names.

    Parameters
    ----------
    path : str or Path
    names : sequence of str

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If the file is no .h5ad file.
    MissingDependencyError
        If anndata is not installed.
    """
    with _opened(Path(path)) as (stored, read_elem, _):
        return set(map(str, read_elem(stored["var"]).index)) <= set(names)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Open a .h5ad file; what anndata and h5py raise on a broken one becomes an InputError."""
    if not path.is_file():
        raise InputError("there is no such file", path=path)
    try:
        import h5py
        from anndata.io import read_elem, sparse_dataset
    except ImportError:
        raise MissingDependencyError("anndata", "anndata", "Reading .h5ad") from None
    try:
        with h5py.File(path, "r") as stored:
            yield stored, read_elem, sparse_dataset
    except (InputError, MemoryError):
        raise
    except Exception as error:  # each layer below has errors of its own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"is not a readable .h5ad file: {reason}", path=path) from None


def _cells(
    matrix: Any, obs: Any, var: Any, names: Sequence[str] | None, layer: str | None, path: Any
) -> Cells:
    var_names = np.array([str(name) for name in var.index], dtype=object)
    if names is None:
        names = list(var_names)
        if len(names) * len(obs) > _MOST_ENTRIES:
            raise InputError(
                f"the matrix has {len(obs)} cells by {len(names)} variables, too many to read "
                "whole as states; give a network or graph that says which variables are needed",
                path=path,
            )
    wanted = set(names)
    positions: dict[str, int] = {}
    for position in np.flatnonzero([name in wanted for name in var_names]):
        name = var_names[position]
        if name in positions:
            raise InputError(
                f"var_names holds {name!r} more than once, so that it is not clear which one the "
                "network means; keep one, or call adata.var_names_make_unique() and rename the "
                "variable in the network",
                path=path,
            )
        positions[name] = int(position)
    labels = {
        str(name): _labels(obs[name]) for name in obs.columns if name in wanted - positions.keys()
    }
    absent = [name for name in names if name not in positions and name not in labels]
    has_total = MATRIX_TOTAL in absent and matrix is not None
    if has_total:
        absent.remove(MATRIX_TOTAL)
    if absent:
        raise _absent(absent, var_names, obs, var, path)
    source = "X" if layer is None else f"layer {layer!r}"
    if positions and matrix is None:
        raise InputError(f"{source} is empty; choose a layer that holds the values", path=path)
    columns = _columns(matrix, sorted(positions.values()), len(obs)) if positions else {}
    numbers = {name: columns[at] for name, at in positions.items()}
    if has_total:
        numbers[MATRIX_TOTAL] = _totals(matrix, len(obs))
    cell_names = np.array([str(name) for name in obs.index], dtype=object)
    if not cell_names.size:
        raise InputError("there are no cells", path=path)
    return Cells(numbers, labels, cell_names, tuple(names), source, path)


def _columns(matrix: Any, positions: list[int], n_cells: int) -> dict[int, Floats]:
    """Columns of a dense, sparse, or stored matrix as dense floats, a block of rows at a time."""
    out = np.empty((len(positions), n_cells))
    for start in range(0, n_cells, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n_cells))
        block = matrix[rows, positions]
        if hasattr(block, "compute"):
            block = block.compute()
        if hasattr(block, "toarray"):
            block = block.toarray()
        out[:, rows] = np.asarray(block, dtype=np.float64).T
    return dict(zip(positions, out, strict=True))


def _totals(matrix: Any, n_cells: int) -> Floats:
    """Sum each row of a dense, sparse, or stored matrix, a block of rows at a time."""
    out = np.empty(n_cells)
    for start in range(0, n_cells, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n_cells))
        block = matrix[rows]
        if hasattr(block, "compute"):
            block = block.compute()
        out[rows] = np.asarray(block.sum(axis=1), dtype=np.float64).ravel()
    return out


def _labels(column: Any) -> Any:
    """Make a column of obs a polars Series."""
    if str(column.dtype) == "category":
        return texts_at(list(map(str, column.cat.categories)), column.cat.codes.to_numpy())
    values = column.to_numpy(dtype=None)
    if values.dtype.kind in "biuf":
        return pl.Series(values)
    missing = column.isna().to_numpy()
    return pl.Series(
        [None if m else str(v) for v, m in zip(values, missing, strict=True)], dtype=pl.String
    )


def name_states(cells: Cells, network: Network) -> pl.DataFrame:
    """Give every value its state's name.

    A matrix holds numbers. Where the names of a variable's states are numbers, a value is the
    state of that number; where they are ``true`` and ``false``, 1 and 0; otherwise values are
    codes that count the states from 0 in the network's order.

    Parameters
    ----------
    cells : Cells
    network : Network

    Returns
    -------
    polars.DataFrame
        Names of states, null where a value is missing; columns of obs as they are.

    Raises
    ------
    InputError
        If a number is not a state.
    """
    columns = {}
    for variable in network.variables:
        name = variable.name
        if name in cells.labels:
            columns[name] = cells.labels[name]
            continue
        values = cells.numbers[name]
        known = _numbers_of(variable)
        at = np.searchsorted(known, values).clip(max=known.size - 1)
        missing = np.isnan(values)
        wrong = (known[at] != values) & ~missing
        if wrong.any():
            raise _no_state(variable, values, wrong, known, cells)
        columns[name] = texts_at(_states_by_number(variable), np.where(missing, -1, at))
    return pl.DataFrame(columns)


def name_levels(cells: Cells) -> pl.DataFrame:
    """Take the whole numbers of a matrix for the names of states.

    Parameters
    ----------
    cells : Cells

    Returns
    -------
    polars.DataFrame
        Names of states such as ``0``, null where a value is missing; columns of obs as they are.

    Raises
    ------
    InputError
        If a value is not whole, or a column has more than `MOST_LEVELS` of them.
    """
    columns = {}
    for name in cells.names:
        if name in cells.labels:
            columns[name] = cells.labels[name]
            continue
        values = cells.numbers[name]
        levels = np.unique(values[~np.isnan(values)])
        if not holds_levels(values):
            raise InputError(
                f"the column {name!r} of {cells.source} has {levels.size} distinct values such as "
                f"{levels[levels.size // 2]:g}; it holds measurements, not states: {_ADVICE}",
                path=cells.path,
            )
        at = np.where(np.isnan(values), -1, np.searchsorted(levels, values))
        columns[name] = texts_at([str(int(level)) for level in levels], at)
    return pl.DataFrame(columns)


def names_numbers(variable: Variable) -> bool:
    """Whether the names of all states are numbers, so that values of a matrix name states."""
    keys = _keys(variable)
    return keys is not None and not all(state.isalpha() for state in keys.values())


def holds_levels(values: Floats) -> bool:
    """Whether a column of a matrix holds few whole numbers, which may be states."""
    levels = np.unique(values[~np.isnan(values)])
    return levels.size <= MOST_LEVELS and np.array_equal(levels, np.round(levels))


def _keys(variable: Variable) -> dict[float, str] | None:
    """Numbers that the names of states stand for, if they all do."""
    folded = {state.casefold(): state for state in variable.states}
    if folded.keys() == {"true", "false"}:
        return {0.0: folded["false"], 1.0: folded["true"]}
    try:
        keys = {float(state): state for state in variable.states}
    except ValueError:
        return None
    usable = len(keys) == len(variable.states) and bool(np.isfinite(list(keys)).all())
    return dict(sorted(keys.items())) if usable else None


def _numbers_of(variable: Variable) -> Floats:
    return np.array(list(_keys(variable) or range(len(variable.states))), dtype=np.float64)


def _states_by_number(variable: Variable) -> list[str]:
    return list((_keys(variable) or dict(enumerate(variable.states))).values())


# -- errors -------------------------------------------------------------------------------------


def _no_state(
    variable: Variable, values: Floats, wrong: NDArray[np.bool_], known: Floats, cells: Cells
) -> InputError:
    first = int(wrong.argmax())
    allowed = ", ".join(
        f"{number:g} ({state})" if f"{number:g}" != state else state
        for number, state in zip(known[:12], _states_by_number(variable), strict=False)
    )
    return InputError(
        f"{cells.source} holds {values[first]:g} for {variable.name!r} in cell "
        f"{cells.cell_names[first]!r} ({int(wrong.sum())} such cell(s)), which is none of its "
        f"states: {allowed}{', ...' if known.size > 12 else ''}. If these are measurements, "
        f"{_ADVICE}",
        path=cells.path,
    )


def _no_layer(layer: object, layers: list[str], path: Path | None) -> InputError:
    near = difflib.get_close_matches(str(layer), layers, n=1)
    known = f"the layers are: {', '.join(map(repr, layers))}" if layers else "there are no layers"
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"there is no layer {layer!r}; {known}{hint}", path=path)


def _absent(
    absent: list[str], var_names: NDArray[Any], obs: Any, var: Any, path: Path | None
) -> InputError:
    """Say which variables are missing, and where they may be hiding."""
    listed = ", ".join(map(repr, absent[:_LISTED]))
    more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
    message = (
        f"{len(absent)} variable(s) of the network are neither in var_names nor columns of obs: "
        f"{listed}{more}"
    )
    for column in var.columns:
        if set(absent) <= set(map(str, var[column])):
            return InputError(
                f"{message}. They stand in var[{column!r}]: set adata.var_names = "
                f"adata.var[{column!r}]",
                path=path,
            )
    folded = {str(name).casefold(): str(name) for name in [*var_names, *obs.columns]}
    near = difflib.get_close_matches(absent[0].casefold(), list(folded), n=1, cutoff=0.6)
    if near:
        message += f". Did you mean {folded[near[0]]!r}?"
    else:
        message += f". var_names begins with {', '.join(map(repr, var_names[:_LISTED]))}"
    return InputError(message, path=path)
