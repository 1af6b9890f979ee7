"""Which size counts are relative to: the depth of a cell, the exposure of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dosift.data.anndata import MATRIX_TOTAL
from dosift.data.kinds import Kinds
from dosift.data.numbers import Numbers
from dosift.errors import InputError
from dosift.model.network import Variable

#: Columns of counts from which their total is taken for the size of a row. Of fewer, each is too
#: large a part of it: what happened to one would seem to happen to the others.
LEAST_COLUMNS = 10


def size_variable(
    size: str | bool | None,
    names: Sequence[str],
    kinds: Kinds,
    in_matrix: bool = False,
    path: str | Path | None = None,
) -> Variable | None:
    """Choose the size that counts are relative to.

    Parameters
    ----------
    size : str, bool or None
        The column that holds it; True for the total of the counts, False for none. None for the
        total where there are at least `LEAST_COLUMNS` columns of counts.
    names : sequence of str
        The variables.
    kinds : Kinds
    in_matrix : bool
        Whether the variables are a part of an annotated matrix, all of whose columns then count.
    path : str or Path, optional
        Where the control rows came from, for messages.

    Returns
    -------
    Variable or None

    Raises
    ------
    InputError
        If there are no counts, or the column is a variable.

    Examples
    --------
    >>> kinds = Kinds({"a": "count", "b": "count", "c": "discrete"})
    >>> size_variable(True, ["a", "b", "c"], kinds).total_of
    ('a', 'b')
    >>> size_variable("depth", ["a", "b", "c"], kinds).name
    'depth'
    """
    counts = tuple(name for name in names if kinds.of[name] == "count")
    if size is None:
        size = len(counts) >= LEAST_COLUMNS or (in_matrix and bool(counts))
    if size is False:
        return None
    if not counts:
        raise InputError(
            "a size is what counts are relative to, and no variable is a count; leave it out, or "
            "say which are counts (--counts, kinds=)",
            path=path,
        )
    if size is True:
        name = MATRIX_TOTAL
        while name in names:
            name += "'"
        return Variable(name, kind="size", total_of=() if in_matrix else counts)
    if size in names:
        raise InputError(
            f"the size {size!r} is a variable of the graph, and a size is only conditioned on; "
            "leave it out of the graph, or name another column",
            path=path,
        )
    return Variable(size, kind="size")


def weighed(control: Numbers, size: Variable) -> Numbers:
    """Weigh the counts that a total is of, so that none outweighs the others.

    Each count is multiplied by its mean over its variance in the control rows, which makes the
    total tell as much of the depth as a weighted sum of independent counts can: a Poisson count
    weighs 1, one of large mean and dispersion next to nothing. The total of typical rows stays.

    Parameters
    ----------
    control : Numbers
        The control rows, with the size as their last column.
    size : Variable

    Returns
    -------
    Numbers
        With the weights in its last variable; the same if that is a column.
    """
    if not size.total_of:
        return control
    names = [one.name for one in control.variables]
    counts = control.values[:, [names.index(name) for name in size.total_of]]
    mean, variance = counts.mean(axis=0), counts.var(axis=0)
    shares = mean / np.maximum(np.maximum(variance, mean), np.finfo(float).tiny)
    total = float(shares @ mean)
    shares *= float(mean.sum()) / total if total > 0.0 else 1.0
    values = control.values.copy(order="F")
    values[:, -1] = counts @ shares
    known = replace(size, shares=tuple(shares.tolist()))
    return replace(control, variables=(*control.variables[:-1], known), values=values)


def check_size(size: object) -> None:
    """Refuse what names no size.

    Raises
    ------
    InputError
    """
    if size is not None and not isinstance(size, str | bool | np.bool_):
        raise InputError(
            f"size is {size!r}; give the name of a column, True for the total of the counts, or "
            "False for none"
        )


def size_in_words(size: Variable | None, has_counts: bool, n_factors: int = 0) -> str:
    """Say what counts are relative to; nothing where there are none.

    Parameters
    ----------
    size : Variable or None
    has_counts : bool
    n_factors : int, default=0
        Hidden factors of each count.

    Returns
    -------
    str
        What a notice goes on with.

    Examples
    --------
    >>> size_in_words(Variable("depth", kind="size"), True)
    ". Counts are relative to column 'depth' (--size, size=)"
    """
    if size is None:
        return ". Counts are taken as they are (--size, size= name what to relate them to)" * (
            has_counts
        )
    what = f"column {size.name!r}"
    if size.total_of:
        what = (
            f"the total of the {len(size.total_of)} columns of counts, each weighed by its mean "
            "over its variance"
        )
    elif size.name == MATRIX_TOTAL:
        what = "the total of each row of the matrix"
    also = f", and depend on {n_factors} hidden factors of other counts" if n_factors else ""
    return f". Counts are relative to {what} (--size, size=){also}"
