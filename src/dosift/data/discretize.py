"""Cut measurements into states: thresholds learned from control rows, applied to all."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from dosift.data.discretizer import Discretizer


class Discretized(NamedTuple):
    """What :func:`discretize` returns.

    Attributes
    ----------
    rows, control : dataframe
        States instead of numbers, in the library of the input.
    discretizer : Discretizer
        The thresholds, to be applied to more rows.
    """

    rows: Any
    control: Any
    discretizer: Discretizer


def discretize(
    rows: Any,
    control: Any,
    *,
    n_states: int = 3,
    method: Literal["quantile", "kmeans", "uniform"] = "quantile",
    log: bool = False,
    zero_state: bool = False,
    labels: Literal["words", "numbers"] = "words",
) -> Discretized:
    """Cut measurements into states, with thresholds learned from control rows.

    Parameters
    ----------
    rows : dataframe, mapping of columns, ndarray of float, or path
        The rows to be explained.
    control : as `rows`
        Rows from units without any intervention.
    n_states, method, log, zero_state, labels
        As in :class:`Discretizer`.

    Returns
    -------
    Discretized
        ``rows``, ``control`` and ``discretizer``.

    Raises
    ------
    InputError, MissingDependencyError
        As :meth:`Discretizer.fit` and :meth:`Discretizer.transform` say.

    Warns
    -----
    DiscretizationWarning
        If a column gets fewer states than asked for.

    Examples
    --------
    >>> rows, control, thresholds = discretize({"a": [9.0, 2.0]}, {"a": [1.0, 2.0, 3.0]})
    >>> rows["a"].to_list(), control["a"].to_list()
    (['high', 'mid'], ['low', 'mid', 'high'])
    """
    discretizer = Discretizer(
        n_states, method=method, log=log, zero_state=zero_state, labels=labels
    ).fit(control)
    return Discretized(discretizer.transform(rows), discretizer.transform(control), discretizer)
