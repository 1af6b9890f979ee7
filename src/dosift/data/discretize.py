"""Cut measurements into states: thresholds learned once, applied to all rows."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from dosift.data.discretizer import Discretizer


class Discretized(NamedTuple):
    """What :func:`discretize` returns.

    Attributes
    ----------
    rows, control : dataframe
        States instead of numbers, in the library of the input; `control` is None if none was
        given.
    discretizer : Discretizer
        The thresholds, to be applied to more rows.
    """

    rows: Any
    control: Any
    discretizer: Discretizer


def discretize(
    rows: Any,
    control: Any = None,
    *,
    n_states: int | None = None,
    method: Literal["contrast", "quantile", "kmeans", "uniform"] = "contrast",
    log: bool | None = None,
    zero_state: bool = False,
    labels: Literal["words", "numbers"] = "words",
) -> Discretized:
    """Cut measurements into states, rows and control rows with the same thresholds.

    Parameters
    ----------
    rows : dataframe, mapping of columns, ndarray of float, or path
        The rows to be explained.
    control : as `rows`, optional
        Rows from units without any intervention. Without them thresholds are learned from `rows`.
    n_states, method, log, zero_state, labels
        As in :class:`Discretizer`.

    Returns
    -------
    Discretized
        ``rows``, ``control`` and ``discretizer``.

    Raises
    ------
    InputError
        As :meth:`Discretizer.fit` and :meth:`Discretizer.transform` say.

    Warns
    -----
    DiscretizationWarning
        If a column gets fewer states than asked for.

    Examples
    --------
    >>> rows, control, cut = discretize({"a": [9.0, 2.0]}, {"a": [1.0, 2.0, 3.0]}, n_states=2)
    >>> rows["a"].to_list(), control["a"].to_list()
    (['high', 'low'], ['low', 'low', 'low'])
    """
    discretizer = Discretizer(
        n_states, method=method, log=log, zero_state=zero_state, labels=labels
    )
    if control is None:
        discretizer.fit(rows)
        return Discretized(discretizer.transform(rows), None, discretizer)
    discretizer.fit(control, rows=rows)
    return Discretized(discretizer.transform(rows), discretizer.transform(control), discretizer)
