"""What a regression takes from the parents of a variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dosift.model.arrays import Floats, Values
from dosift.model.scale import Scale


class Feature(Protocol):
    """A function of some values of a row."""

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the variables that it depends on."""

    def __call__(self, values: Values) -> Floats:
        """Evaluate it on rows.

        Parameters
        ----------
        values : ndarray, shape (n_rows, n_variables)

        Returns
        -------
        ndarray, shape (n_rows,)
        """


@dataclass(frozen=True)
class Plain:
    """The value of a variable itself."""

    column: int

    @property
    def columns(self) -> tuple[int, ...]:
        """Position of the variable."""
        return (self.column,)

    def __call__(self, values: Values) -> Floats:
        """Return the variable's values."""
        return np.asarray(values[:, self.column], dtype=np.float64)


@dataclass(frozen=True)
class Indicator:
    """Whether a discrete variable is in a state: 1 or 0."""

    column: int
    state: int

    @property
    def columns(self) -> tuple[int, ...]:
        """Position of the variable."""
        return (self.column,)

    def __call__(self, values: Values) -> Floats:
        """Return 1 where the variable is in the state, else 0."""
        return np.asarray(values[:, self.column] == self.state, dtype=np.float64)


@dataclass(frozen=True)
class Product:
    """The product of other features."""

    factors: tuple[Feature, ...]

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the variables of all factors."""
        return tuple(sorted({c for factor in self.factors for c in factor.columns}))

    def __call__(self, values: Values) -> Floats:
        """Multiply the factors."""
        out = self.factors[0](values)
        for factor in self.factors[1:]:
            out = out * factor(values)
        return out


@dataclass(frozen=True)
class Function:
    """A function that a user names, such as ``cos(angle)**2``, centred and scaled.

    Attributes
    ----------
    text : str
        As the user wrote it.
    arguments : tuple of int
        Positions of the variables, in the order of the function's arguments.
    function : callable
        Takes one array for each argument, in the units of the working scale.
    centre, spread : float
        Subtracted, and divided by.
    """

    text: str
    arguments: tuple[int, ...]
    function: Callable[..., Floats] = field(compare=False)
    centre: float = 0.0
    spread: float = 1.0

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the variables."""
        return self.arguments

    def __call__(self, values: Values) -> Floats:
        """Evaluate the function."""
        found = self.function(*(values[:, c] for c in self.arguments))
        return (np.asarray(found, dtype=np.float64) - self.centre) / self.spread


@dataclass(frozen=True)
class LogCount:
    """The logarithm of a count and one, centred and scaled."""

    column: int
    centre: float = 0.0
    spread: float = 1.0

    @property
    def columns(self) -> tuple[int, ...]:
        """Position of the variable."""
        return (self.column,)

    def __call__(self, values: Values) -> Floats:
        """Return ``log(1 + count)``."""
        counts = np.asarray(values[:, self.column], dtype=np.float64)
        return np.asarray((np.log1p(counts) - self.centre) / self.spread)


@dataclass(frozen=True)
class InUnits:
    """A feature of values in the users' units, on rows whose values are on working scales.

    Attributes
    ----------
    feature : Feature
        Of values in the users' units.
    scales : tuple of Scale
        Those of ``feature.columns``, in the same order.
    centre, spread : float
        Subtracted from what it gives, and divided by.

    Examples
    --------
    >>> squared = InUnits(Product((Plain(0), Plain(0))), (Scale(centre=3.0, spread=2.0),))
    >>> squared(np.array([[0.0], [1.0]])).tolist()
    [9.0, 25.0]
    """

    feature: Feature
    scales: tuple[Scale, ...]
    centre: float = 0.0
    spread: float = 1.0

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the variables."""
        return self.feature.columns

    def __call__(self, values: Values) -> Floats:
        """Evaluate the feature."""
        own = np.zeros(values.shape, order="F")
        for column, scale in zip(self.columns, self.scales, strict=True):
            own[:, column] = scale.user(values[:, column])
        return np.asarray((self.feature(own) - self.centre) / self.spread)


@dataclass(frozen=True)
class Beyond:
    """How far another feature is beyond an edge; 0 on the near side of it.

    With it a regression may bend where the rows that it was learned from end.

    Attributes
    ----------
    feature : Feature
    edge : float
    scale : float
        What the distance is multiplied by; negative where beyond means below.

    Examples
    --------
    >>> Beyond(Plain(0), 2.0, -0.5)(np.array([[1.0], [3.0]])).tolist()
    [0.5, 0.0]
    """

    feature: Feature
    edge: float
    scale: float

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the variables of the feature."""
        return self.feature.columns

    def __call__(self, values: Values) -> Floats:
        """Return the distance, scaled."""
        return np.asarray(np.maximum(self.scale * (self.feature(values) - self.edge), 0.0))


#: Coefficients up to which every configuration of discrete parents gets a regression of its own.
_MOST_COEFFICIENTS = 64


def features_of(
    parents: Sequence[int],
    cardinalities: NDArray[np.int64],
    extra: Sequence[Feature] = (),
    special: Mapping[int, Feature] | None = None,
) -> tuple[Feature, ...]:
    """List what a regression on parents is linear in, beside the intercept.

    Continuous parents as they are. Discrete ones choose the regression (a conditional Gaussian, if
    noise is normal): an indicator of each configuration, and its products with the continuous
    parents; where these would be too many, indicators of the single states alone.

    Parameters
    ----------
    parents : sequence of int
    cardinalities : ndarray of int, shape (n_variables,)
        Number of states of each variable, 0 where its values are numbers.
    extra : sequence of Feature, optional
        Features that the user named.
    special : mapping of int to Feature, optional
        Parents that enter otherwise, such as by the logarithm of a count.

    Returns
    -------
    tuple of Feature

    Examples
    --------
    >>> features_of([0, 1], np.array([0, 2, 0]))
    (Plain(column=0), Indicator(column=1, state=1), Product(factors=(Indicator(column=1, state=1),\
 Plain(column=0))))
    """
    special = special or {}
    plain: list[Feature] = [special.get(p, Plain(p)) for p in parents if cardinalities[p] == 0]
    states: list[list[Feature]] = [
        [Indicator(p, state) for state in range(1, int(cardinalities[p]))]
        for p in parents
        if cardinalities[p] > 0
    ]
    singles = [one for of_parent in states for one in of_parent]
    every = [*singles]
    for size in range(2, len(states) + 1):
        for chosen in combinations(states, size):
            every.extend(_products(chosen))
    if (len(every) + 1) * (len(plain) + 1) <= _MOST_COEFFICIENTS:
        crossed = [Product((one, slope)) for one in every for slope in plain]
        return (*plain, *every, *crossed, *extra)
    return (*plain, *singles, *extra)


def _products(groups: Sequence[Sequence[Feature]]) -> list[Feature]:
    made: list[tuple[Feature, ...]] = [()]
    for group in groups:
        made = [(*before, one) for before in made for one in group]
    return [Product(factors) for factors in made]


def design(features: Sequence[Feature], values: Values) -> Floats:
    """Evaluate an intercept and features on rows.

    Parameters
    ----------
    features : sequence of Feature
    values : ndarray, shape (n_rows, n_variables)

    Returns
    -------
    ndarray, shape (n_rows, 1 + n_features)
    """
    out = np.empty((len(values), 1 + len(features)), order="F")
    out[:, 0] = 1.0
    for k, feature in enumerate(features, start=1):
        out[:, k] = feature(values)
    return out
