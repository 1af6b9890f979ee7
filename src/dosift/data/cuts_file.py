"""Thresholds in a file, so that rows of another day are cut the same way."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from dosift.data.discretizer import Discretizer
from dosift.errors import InputError
from dosift.utils.atomic_write import write_bytes

#: What the file says that it is.
_FORMAT = "dosift cuts"
_VERSION = 1


def write_cuts(discretizer: Discretizer, path: str | Path, *, replace: bool = True) -> None:
    """Write fitted thresholds as JSON.

    Parameters
    ----------
    discretizer : Discretizer
        Fitted.
    path : str or Path
    replace : bool, default=True
        Whether the file may exist.

    Raises
    ------
    InputError
        If it cannot be written.
    NotFittedError
        If the discretizer is not fitted.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cuts.json"
    >>> write_cuts(Discretizer(2).fit({"a": [1.0, 2.0]}), path)
    >>> read_cuts(path).transform({"a": [1.2, 1.7]})["a"].to_list()
    ['low', 'high']
    """
    discretizer.get_feature_names_out()  # raises if it is not fitted
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "parameters": discretizer.get_params(),
        "columns": {
            name: {
                "thresholds": thresholds.tolist(),
                "states": list(discretizer.states_[name]),
                "rows": discretizer.counts_[name].tolist(),
            }
            for name, thresholds in discretizer.thresholds_.items()
        },
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode(), replace=replace)


def read_cuts(path: str | Path) -> Discretizer:
    """Read thresholds that :func:`write_cuts` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Discretizer
        Fitted.

    Raises
    ------
    InputError
        If the file cannot be read, or does not hold thresholds.
    """
    content = _json(Path(path))
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(
            "holds no thresholds; give the .cuts.json that 'dosift discretize' wrote", path=path
        )
    if content.get("version") != _VERSION:
        raise InputError(
            f"is of version {content.get('version')!r}; this dosift reads {_VERSION}", path=path
        )
    columns, parameters = content.get("columns"), content.get("parameters")
    if not isinstance(columns, dict) or not columns or not isinstance(parameters, dict):
        raise InputError("lacks 'columns' or 'parameters'; write it anew", path=path)
    try:
        out = Discretizer().set_params(**parameters)
    except InputError as error:
        raise InputError(str(error), path=path) from None
    parts = {str(name): _column(str(name), column, path) for name, column in columns.items()}
    out.thresholds_ = {name: part[0] for name, part in parts.items()}
    out.states_ = {name: part[1] for name, part in parts.items()}
    out.counts_ = {name: part[2] for name, part in parts.items()}
    out.n_features_in_ = len(parts)
    out.feature_names_in_ = np.array(list(parts), dtype=object)
    return out


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", path=path) from None


def _column(name: str, column: Any, path: str | Path) -> tuple[Any, tuple[str, ...], Any]:
    """Return thresholds, states and rows of one column, checked."""
    if not isinstance(column, dict):
        raise InputError(f"column {name!r} has no thresholds", path=path)
    thresholds: Any = column.get("thresholds")
    states: Any = column.get("states")
    rows: Any = column.get("rows")
    is_number = isinstance(thresholds, list) and all(
        isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
        for x in thresholds
    )
    if not is_number or any(a >= b for a, b in itertools.pairwise(thresholds)):
        raise InputError(f"the thresholds of {name!r} are not ascending numbers", path=path)
    n = len(thresholds) + 1
    are_names = isinstance(states, list) and all(isinstance(s, str) and s for s in states)
    if not are_names or len(set(states)) != len(states) or len(states) != n:
        raise InputError(f"{name!r} needs {n} states with different names", path=path)
    if not (
        isinstance(rows, list)
        and len(rows) == n
        and all(isinstance(r, int) and 0 <= r < 2**63 for r in rows)
    ):
        raise InputError(f"'rows' of {name!r} should hold {n} counts", path=path)
    return np.array(thresholds, dtype=np.float64), tuple(states), np.array(rows, dtype=np.int64)
