"""scikit-learn's conventions for estimators, without needing scikit-learn."""

from __future__ import annotations

import inspect
import sys
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np

from dosift.errors import InputError, NotFittedError


class Conventions:
    """Parameters by name, a printed form, and the tags that scikit-learn asks for.

    Constructor arguments are only stored, under their own names; what `fit` learns ends in an
    underscore.
    """

    #: What scikit-learn calls the kind of an estimator; None for a transformer.
    _estimator_type_tag: ClassVar[str | None] = None
    #: Whether the values of an array are codes of categories, counted from 0.
    _categorical: ClassVar[bool] = False
    #: Whether missing values are let through.
    _allow_nan: ClassVar[bool] = False

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments.

        Parameters
        ----------
        deep : bool, default=True
            Kept for scikit-learn; there are no nested estimators.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments.

        Parameters
        ----------
        **params
            New values by name.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If a name is not a constructor argument; then nothing is changed.
        """
        names = self._parameter_names()
        for name in params:
            if name not in names:
                raise InputError(
                    f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(names)}"
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        shown = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value is not defaults[name].default and repr(value) != repr(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, where it is in use, what kind of estimator this is."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        transforms = TransformerTags(preserves_dtype=[]) if hasattr(self, "transform") else None
        return Tags(
            estimator_type=self._estimator_type_tag,
            target_tags=TargetTags(required=False),
            transformer_tags=transforms,
            input_tags=InputTags(
                categorical=self._categorical,
                positive_only=self._categorical,
                allow_nan=self._allow_nan,
            ),
        )


def not_fitted(estimator: object, advice: str) -> NotFittedError:
    """Make the error for an estimator that is not fitted.

    Where scikit-learn is in use the error is one of its own ``NotFittedError`` as well.

    Parameters
    ----------
    estimator : object
    advice : str
        What to call first, such as ``"fit(rows)"``.

    Returns
    -------
    NotFittedError
    """
    message = f"this {type(estimator).__name__} is not fitted yet; call {advice} first"
    return (_both() if "sklearn.exceptions" in sys.modules else NotFittedError)(message)


@cache
def _both() -> type[NotFittedError]:
    from sklearn.exceptions import NotFittedError as Theirs

    return type("NotFittedError", (NotFittedError, Theirs), {})


def as_codes(rows: Any, n_variables: int) -> Any:
    """Turn array-likes into an array of integer codes; leave tables, mappings and paths alone.

    Parameters
    ----------
    rows : object
        Whatever the user gave.
    n_variables : int
        Number of columns that an array must have.

    Returns
    -------
    object
        An integer array for an array, a list of rows, or an object that numpy can read; else
        `rows`.

    Raises
    ------
    InputError
        If an array is sparse, not two-dimensional, without columns, or holds what is not a whole
        number.

    Examples
    --------
    >>> as_codes([[0.0, 1.0]], 2)
    array([[0, 1]])
    """
    if hasattr(rows, "toarray"):
        raise InputError("sparse input is not supported; give rows.toarray()")
    is_table = hasattr(rows, "columns") or hasattr(rows, "schema")
    if not isinstance(rows, list) and (is_table or not hasattr(rows, "__array__")):
        return rows
    try:
        array = np.asarray(rows)
        if array.dtype == object:
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the array does not hold state codes: {error}") from None
    if array.dtype.kind == "c":
        raise InputError("Complex data not supported; give integer state codes")
    if array.ndim != 2:
        raise InputError(
            f"an array of codes must have shape (n_rows, n_variables), not {array.shape}. Reshape "
            "your data: array.reshape(1, -1) is one row, array.reshape(-1, 1) one variable"
        )
    if array.shape[1] == 0:
        raise InputError(
            f"0 feature(s) (shape={array.shape}) while a minimum of 1 is required: one column for "
            "each variable"
        )
    if array.shape[1] != n_variables:
        raise InputError(
            f"X has {array.shape[1]} features, but InterventionMixture is expecting {n_variables} "
            "features as input: an array of codes must have shape (n_rows, "
            f"{n_variables}), one column for each variable of the network"
        )
    return _whole(array) if array.dtype.kind == "f" else array


def _whole(array: Any) -> Any:
    """Whole numbers that came as floats, as integers."""
    if not np.isfinite(array).all():
        raise InputError(
            "an array of codes holds NaN or infinity; give a dataframe of states where values are "
            "missing"
        )
    codes = np.round(array)
    if not np.array_equal(codes, array) or np.abs(codes).max(initial=0) > 2**31:
        at = tuple(int(x) for x in np.argwhere(codes != array)[0]) if (codes != array).any() else ()
        value = f", such as {array[at]:g} in row {at[0] + 1}, column {at[1] + 1}" if at else ""
        raise InputError(
            f"an array of rows must hold integer state codes, not {array.dtype} values{value}; cut "
            "measurements into states first (dosift.Discretizer), or give a dataframe of state "
            "names"
        )
    return codes.astype(np.int64)
