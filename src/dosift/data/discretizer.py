"""The estimator that cuts measurements into states."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.data.factorise import texts_at
from dosift.data.measurements import Measurements, as_measurements
from dosift.data.thresholds import codes_of, place
from dosift.errors import (
    DiscretizationWarning,
    ExtraColumnsWarning,
    InputError,
)
from dosift.utils.sklearn_api import Conventions, not_fitted

Floats = NDArray[np.float64]

#: Ways to place thresholds.
METHODS = ("contrast", "quantile", "kmeans", "uniform")
#: States of each column if their number is left to the method.
DEFAULT_STATES = {"contrast": 5, "quantile": 3, "kmeans": 3, "uniform": 3}
#: Names of the states, lowest first, by their number.
_WORDS = {
    1: ("only",),
    2: ("low", "high"),
    3: ("low", "mid", "high"),
    4: ("lowest", "low", "high", "highest"),
    5: ("lowest", "low", "mid", "high", "highest"),
}
#: Values at or above it are above zero.
_ABOVE_ZERO = float(np.nextafter(0, 1))
#: Columns that a message names.
_LISTED = 5


class Discretizer(Conventions):
    """Cut numbers into states, with thresholds learned once for all tables.

    Fit it on control rows (and the rows to be explained, if at hand) and transform every table
    with it, so that a state means the same everywhere. A value belongs to the state whose
    thresholds enclose it; a value equal to a threshold belongs to the state above. A missing value
    stays missing.

    Parameters
    ----------
    n_states : int, optional
        States of each column, at least 2; if left out at most 5 by ``"contrast"``, else 3. A
        column with too few distinct values gets fewer than asked for, with a warning.
    method : {"contrast", "quantile", "kmeans", "uniform"}, default="contrast"
        Where thresholds lie: ``"contrast"`` makes states narrow and such that rows and control
        rows differ in how often they are in them (without rows it is k-means), on the logarithmic
        scale where that is less skewed; ``"quantile"`` gives every state the same share of the
        control rows, as nearly as equal values allow; ``"kmeans"`` puts them half-way between the
        centres of the best one-dimensional k-means; ``"uniform"`` divides the range of the control
        rows evenly.
    log : bool, optional
        Place thresholds on log(1 + value), for counts. If left out, ``"contrast"`` chooses a scale
        and the others take values as they are. Quantiles do not depend on it.
    zero_state : bool, default=False
        Make zero a state of its own and cut only what is above it, for counts most of which are
        zero. The other values get ``n_states - 1`` states.
    labels : {"words", "numbers"}, default="words"
        Names of states: words such as ``low``, ``mid``, ``high`` (up to five states) and
        ``zero``, or ``0``, ``1``, ... from the lowest.

    Attributes
    ----------
    thresholds_ : dict of str to ndarray
        For each column its thresholds, ascending; one fewer than it has states.
    states_ : dict of str to tuple of str
        For each column the names of its states, lowest first: what
        :func:`~dosift.learn_network` takes as `states`.
    counts_ : dict of str to ndarray
        For each column, how many of the rows fitted are in each state.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names; only if the table fitted had names.

    Examples
    --------
    >>> control = {"a": [0.1, 0.2, 0.3, 0.4], "b": [0, 0, 0, 7]}
    >>> cut = Discretizer(2).fit(control)
    >>> cut.thresholds_["a"]
    array([0.25])
    >>> cut.transform({"a": [0.25, -5.0], "b": [0, 1]}).rows()
    [('high', 'low'), ('low', 'low')]
    """

    _allow_nan = True

    thresholds_: dict[str, Floats]
    states_: dict[str, tuple[str, ...]]
    counts_: dict[str, NDArray[np.int64]]

    def __init__(
        self,
        n_states: int | None = None,
        *,
        method: Literal["contrast", "quantile", "kmeans", "uniform"] = "contrast",
        log: bool | None = None,
        zero_state: bool = False,
        labels: Literal["words", "numbers"] = "words",
    ) -> None:
        self.n_states = n_states
        self.method = method
        self.log = log
        self.zero_state = zero_state
        self.labels = labels

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "thresholds_")

    def fit(self, control: Any, y: object = None, *, rows: Any = None) -> Self:
        """Learn the thresholds.

        Parameters
        ----------
        control : dataframe, mapping of columns, ndarray of float, or path
            Control rows, one column of numbers for each variable. Where there are none, any rows.
        y : None
            Ignored; kept for scikit-learn.
        rows : as `control`, optional
            Rows to be explained, with the same columns: ``"contrast"`` uses what they have more of
            than control rows. Other methods look at control rows only.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a parameter is out of range, a column does not hold numbers, is constant or has
            no values, or a value is infinite (or negative where it must not be).

        Warns
        -----
        DiscretizationWarning
            If a column gets fewer states than asked for.
        """
        self._check_parameters()
        table = as_measurements(control)
        others = self._others(rows, table)
        _check_constant(table, others)
        thresholds = [
            self._thresholds(_present(values), None if other is None else _present(other), name)
            for name, values, other in zip(table.names, table.columns, others, strict=True)
        ]
        self.thresholds_ = dict(zip(table.names, thresholds, strict=True))
        self.states_ = {name: self._names(cuts) for name, cuts in self.thresholds_.items()}
        self.counts_ = {
            name: np.bincount(codes[codes >= 0], minlength=cuts.size + 1)
            for (name, cuts), values in zip(self.thresholds_.items(), table.columns, strict=True)
            for codes in [codes_of(values, cuts)]
        }
        self.n_features_in_ = len(table.names)
        if table.library != "numpy":
            self.feature_names_in_ = np.array(table.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self._warn_of_few_states()
        return self

    def transform(self, rows: Any) -> Any:
        """Return the state of each value.

        Parameters
        ----------
        rows : dataframe, mapping of columns, ndarray of float, or path
            Has the columns fitted, in any order if they have names.

        Returns
        -------
        dataframe or ndarray of int64
            For a table, names of states in the same library (polars for a mapping or path),
            null where the value is missing. For an array, codes that count the states from 0,
            and -1 where the value is missing.

        Raises
        ------
        InputError
            If a column is missing or does not hold numbers.
        NotFittedError
            If it is not fitted.

        Warns
        -----
        ExtraColumnsWarning
            If the table has columns that were not fitted; they are left out.
        """
        self._check_fitted()
        table = self._checked_columns(as_measurements(rows))
        codes = [
            codes_of(values, cuts)
            for values, cuts in zip(table.columns, self.thresholds_.values(), strict=True)
        ]
        if table.library == "numpy":
            return np.column_stack(codes)
        return self._labelled(codes, table)

    def fit_transform(self, rows: Any, y: object = None) -> Any:
        """Learn thresholds from a table and cut the same table.

        Parameters
        ----------
        rows : as in :meth:`fit`
        y : None
            Ignored.

        Returns
        -------
        as in :meth:`transform`
        """
        return self.fit(rows).transform(rows)

    def select(self, names: Iterable[str]) -> Self:
        """Return the thresholds of some of the columns.

        Parameters
        ----------
        names : iterable of str
            Columns that were fitted.

        Returns
        -------
        Discretizer
            A fitted copy that has these columns, in this order.

        Raises
        ------
        InputError
            If a column was not fitted.
        """
        self._check_fitted()
        names = list(names)
        absent = [name for name in names if name not in self.thresholds_]
        if absent:
            raise InputError(
                f"this Discretizer has no thresholds for {absent[0]!r}; it was fitted to "
                + ", ".join(map(repr, list(self.thresholds_)[:_LISTED]))
            )
        out = type(self)(**self.get_params())
        out.thresholds_ = {name: self.thresholds_[name] for name in names}
        out.states_ = {name: self.states_[name] for name in names}
        out.counts_ = {name: self.counts_[name] for name in names}
        out.n_features_in_ = len(names)
        out.feature_names_in_ = np.array(names, dtype=object)
        return out

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> Any:
        """Return the names of the columns, which stay as they are.

        Parameters
        ----------
        input_features : sequence of str, optional
            Names for the columns of an array.

        Returns
        -------
        ndarray of str
        """
        self._check_fitted()
        names = list(self.thresholds_) if input_features is None else list(input_features)
        known = getattr(self, "feature_names_in_", None)
        if len(names) != self.n_features_in_:
            raise InputError(
                f"input_features should have length equal to number of features "
                f"({self.n_features_in_}), got {len(names)}"
            )
        if known is not None and list(known) != names:
            raise InputError("input_features is not equal to feature_names_in_")
        return np.array(names, dtype=object)

    def summary(self) -> pl.DataFrame:
        """Return the thresholds as a table.

        Returns
        -------
        polars.DataFrame
            One line for each state: ``variable``, ``state``, ``from`` (inclusive; minus infinity
            for the lowest), ``to`` (exclusive), and ``rows``, how many rows fitted it holds.
        """
        self._check_fitted()
        lines = [
            (name, state, low, high, int(count))
            for name, cuts in self.thresholds_.items()
            for state, low, high, count in zip(
                self.states_[name],
                [-np.inf, *cuts],
                [*cuts, np.inf],
                self.counts_[name],
                strict=True,
            )
        ]
        columns = ["variable", "state", "from", "to", "rows"]
        return pl.DataFrame(lines, schema=columns, orient="row")

    # How it is done.

    def _check_fitted(self) -> None:
        if not hasattr(self, "thresholds_"):
            raise not_fitted(self, "fit(control)")

    def _check_parameters(self) -> None:
        k = self.n_states
        is_integer = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if k is not None and (not is_integer or k < 2):
            raise InputError(f"n_states is {k!r}; give an integer of at least 2")
        if self.method not in METHODS:
            raise InputError(f"method is {self.method!r}; choose one of {', '.join(METHODS)}")
        if self.log is not None and not isinstance(self.log, bool | np.bool_):
            raise InputError(f"log is {self.log!r}; give True or False, or leave it out")
        if not isinstance(self.zero_state, bool | np.bool_):
            raise InputError(f"zero_state is {self.zero_state!r}; give True or False")
        if self.labels not in {"words", "numbers"}:
            raise InputError(f"labels is {self.labels!r}; choose 'words' or 'numbers'")

    @property
    def _n_wanted(self) -> int:
        return DEFAULT_STATES[self.method] if self.n_states is None else int(self.n_states)

    def _others(self, rows: Any, table: Measurements) -> Sequence[Floats | None]:
        """Return the columns of the rows in the order of the control rows' columns."""
        if rows is None:
            return [None] * len(table.names)
        others = as_measurements(rows)
        by_name = dict(zip(others.names, others.columns, strict=True))
        absent = [name for name in table.names if name not in by_name]
        if absent:
            raise InputError(f"column {absent[0]!r} of the control rows is missing in the rows")
        return [by_name[name] for name in table.names]

    def _thresholds(self, values: Floats, rows: Floats | None, name: str) -> Floats:
        """Thresholds of one column without missing values, in the unit of the column."""
        seen = values if rows is None else np.concatenate([values, rows])
        if (self.log or self.zero_state) and seen.min() < 0:
            raise InputError(
                f"column {name!r} holds {seen.min():g}, which is negative; log and zero_state "
                "are for counts, which are not"
            )
        if self.zero_state and seen.min() == 0:
            above = None if rows is None else rows[rows > 0]
            cuts = place(values[values > 0], self._n_wanted - 1, self.method, self.log, above)
            return np.concatenate([[_ABOVE_ZERO], cuts])
        return place(values, self._n_wanted, self.method, self.log, rows)

    def _names(self, cuts: Floats) -> tuple[str, ...]:
        n = cuts.size + 1
        if self.labels == "numbers":
            return tuple(map(str, range(n)))
        has_zero = bool(cuts.size) and cuts[0] == _ABOVE_ZERO
        if has_zero and n == 2:
            return ("zero", "positive")
        rest = n - has_zero
        words = _WORDS.get(rest, tuple(f"level{a}" for a in range(1, rest + 1)))
        return ("zero", *words) if has_zero else words

    def _warn_of_few_states(self) -> None:
        k = self._n_wanted
        if self.n_states is None and self.method == "contrast":
            return  # as many as the values bear, at most five
        few = [name for name, states in self.states_.items() if len(states) < k]
        if few:
            listed = ", ".join(f"{name!r} ({len(self.states_[name])})" for name in few[:_LISTED])
            more = f" and {len(few) - _LISTED} more" if len(few) > _LISTED else ""
            warnings.warn(
                f"{len(few)} column(s) hold too many equal values for {k} states and "
                f"got fewer: {listed}{more}. If most values are zero, zero_state=True cuts what "
                "is above zero",
                DiscretizationWarning,
                stacklevel=3,
            )

    def _checked_columns(self, table: Measurements) -> Measurements:
        """Bring columns into the order fitted, or say which is missing."""
        if table.library == "numpy":
            if len(table.names) != self.n_features_in_:
                raise InputError(
                    f"X has {len(table.names)} features, but {type(self).__name__} is expecting "
                    f"{self.n_features_in_} features as input: one for each column fitted"
                )
            return table
        by_name = dict(zip(table.names, table.columns, strict=True))
        absent = [name for name in self.thresholds_ if name not in by_name]
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            raise InputError(
                f"column {absent[0]!r}{more}, for which thresholds were learned, is missing"
            )
        extra = [name for name in by_name if name not in self.thresholds_]
        if extra:
            warnings.warn(
                f"{len(extra)} column(s) have no thresholds and were left out: "
                + ", ".join(map(repr, extra[:_LISTED])),
                ExtraColumnsWarning,
                stacklevel=3,
            )
        columns = [by_name[name] for name in self.thresholds_]
        return Measurements(tuple(self.thresholds_), columns, table.library, table.index)

    def _labelled(self, codes: Sequence[NDArray[np.int64]], table: Measurements) -> Any:
        if table.library == "pandas":
            import pandas as pd

            columns: Mapping[str, Any] = {
                name: pd.Categorical.from_codes(c, categories=self.states_[name], ordered=True)
                for name, c in zip(table.names, codes, strict=True)
            }
            return pd.DataFrame(columns, index=table.index)
        named = zip(table.names, codes, strict=True)
        frame = pl.DataFrame([texts_at(self.states_[name], c).alias(name) for name, c in named])
        return frame.to_arrow() if table.library == "pyarrow" else frame


def _present(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _check_constant(table: Measurements, others: Sequence[Floats | None]) -> None:
    """Refuse columns that cannot be cut."""
    n_rows = table.columns[0].size if table.columns else 0
    if n_rows < 2:
        raise InputError(
            f"found {n_rows} sample(s); thresholds cannot be learned from less than 2 rows"
        )
    for name, values, other in zip(table.names, table.columns, others, strict=True):
        present = _present(values)
        if present.size == 0:
            raise InputError(f"column {name!r} has no value that is not missing; leave it out")
        seen = present if other is None else np.concatenate([present, _present(other)])
        if seen.min() == seen.max():
            raise InputError(
                f"column {name!r} holds the one value {present[0]:g} in all rows, so no threshold "
                "can be learned from it; leave it out of the network"
            )
