"""scikit-learn's conventions for estimators, without needing scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, Self

from dosift.errors import InputError


class Conventions:
    """Parameters by name, a printed form, and the tags that scikit-learn asks for.

    Constructor arguments are only stored, under their own names; what `fit` learns ends in an
    underscore.
    """

    #: What scikit-learn calls the kind of an estimator; None for a transformer.
    _estimator_type_tag: ClassVar[str | None] = None
    #: Whether the values of an array are codes of categories.
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
            input_tags=InputTags(categorical=self._categorical, allow_nan=self._allow_nan),
        )
