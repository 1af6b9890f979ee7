"""A linear-Gaussian network as numbers: each variable is normal around a line in its parents.

This is what files and other libraries hold. It knows nothing of interventions or of learning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError

import numpy as np

from dosift.errors import InputError
from dosift.model.arrays import Floats
from dosift.model.mechanism import topological_order


@dataclass(frozen=True)
class GaussianNetwork:
    """A causal network in which x = intercept + coefficients · parents + sd · noise.

    The noise is standard normal and independent between variables (Koller and Friedman,
    "Probabilistic Graphical Models", 2009, section 7.2).

    Attributes
    ----------
    names : tuple of str
        Names of the variables; distinct, none empty.
    parents : tuple of tuple of int
        Positions of the parents of each variable; without a cycle.
    intercepts : tuple of float
        Mean of each variable where its parents are 0; finite.
    coefficients : tuple of tuple of float
        For each variable one number a parent, in the order of `parents`; finite.
    sds : tuple of float
        Standard deviation of each variable given its parents; finite and above 0.

    Raises
    ------
    InputError
        If any of this does not hold, with the variable.

    Examples
    --------
    >>> network = GaussianNetwork(
    ...     ("load", "latency"), ((), (0,)), (10.0, 1.0), ((), (0.5,)), (2.0, 0.1)
    ... )
    >>> network.edges
    [('load', 'latency')]
    >>> network.mean.tolist()
    [10.0, 6.0]
    >>> network.covariance.round(2).tolist()
    [[4.0, 2.0], [2.0, 1.01]]
    """

    names: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    intercepts: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    sds: tuple[float, ...]

    def __post_init__(self) -> None:
        n = len(self.names)
        for what in ("parents", "intercepts", "coefficients", "sds"):
            given = len(getattr(self, what))
            if given != n:
                raise InputError(f"{what} has {given} entries for {n} variables; give one for each")
        seen: set[str] = set()
        for i, name in enumerate(self.names):
            if not isinstance(name, str) or not name:
                raise InputError(f"variable {i + 1} has the name {name!r}; give a text")
            if name in seen:
                raise InputError(f"variable {name!r} is declared twice")
            seen.add(name)
            self._check(i)
        _ = self.order

    def _check(self, i: int) -> None:
        name, row = self.names[i], self.parents[i]
        if len(set(row)) != len(row) or any(not 0 <= p < len(self.names) for p in row):
            raise InputError(f"variable {name!r} has a repeated or unknown parent")
        if len(self.coefficients[i]) != len(row):
            raise InputError(
                f"variable {name!r} has {len(row)} parents and {len(self.coefficients[i])} "
                "coefficients; give one for each parent"
            )
        if not math.isfinite(self.intercepts[i]):
            raise InputError(f"variable {name!r} has the intercept {self.intercepts[i]}")
        for p, coefficient in zip(row, self.coefficients[i], strict=True):
            if not math.isfinite(coefficient):
                raise InputError(
                    f"variable {name!r} has the coefficient {coefficient} "
                    f"for its parent {self.names[p]!r}"
                )
        if not 0 < self.sds[i] < math.inf:
            raise InputError(
                f"variable {name!r} has the standard deviation {self.sds[i]}; it must be above 0 "
                "and finite. Leave out a variable that follows exactly from others"
            )

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Positions of the variables in a topological order (earliest position first)."""
        try:
            return topological_order(self.parents)
        except CycleError as error:
            names = " -> ".join(self.names[i] for i in error.args[1])
            raise InputError(f"the graph has a cycle: {names}; a causal graph has none") from None

    @property
    def n_variables(self) -> int:
        """Number of variables."""
        return len(self.names)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Directed edges as (parent, child) names."""
        return [(self.names[p], self.names[i]) for i, row in enumerate(self.parents) for p in row]

    @cached_property
    def mean(self) -> Floats:
        """Mean of each variable, shape (n_variables,)."""
        mean = np.zeros(self.n_variables)
        for i in self.order:
            mean[i] = self.intercepts[i] + mean[list(self.parents[i])] @ self._line(i)
        return mean

    @cached_property
    def covariance(self) -> Floats:
        """Covariance of the variables, shape (n_variables, n_variables)."""
        # Each variable as a combination of the independent noises.
        mixing = np.zeros((self.n_variables, self.n_variables))
        for i in self.order:
            mixing[i] = self._line(i) @ mixing[list(self.parents[i])]
            mixing[i, i] = self.sds[i]
        return mixing @ mixing.T

    def _line(self, i: int) -> Floats:
        return np.array(self.coefficients[i], dtype=np.float64)

    def sample(self, n_rows: int, rng: np.random.Generator) -> Floats:
        """Draw rows.

        Parameters
        ----------
        n_rows : int
            Number of rows, 0 or more.
        rng : numpy.random.Generator

        Returns
        -------
        ndarray, shape (n_rows, n_variables)

        Raises
        ------
        InputError
            If the numbers of the network are so large that a value is out of range.

        Examples
        --------
        >>> network = GaussianNetwork(("x",), ((),), (3.0,), ((),), (0.5,))
        >>> rows = network.sample(10_000, np.random.default_rng(0))
        >>> round(float(rows.mean()), 1), round(float(rows.std()), 1)
        (3.0, 0.5)
        """
        rows = np.empty((n_rows, self.n_variables))
        with np.errstate(over="ignore", invalid="ignore"):
            for i in self.order:
                noise = self.sds[i] * rng.standard_normal(n_rows)
                line = rows[:, list(self.parents[i])] @ self._line(i)
                rows[:, i] = self.intercepts[i] + line + noise
                if not np.isfinite(rows[:, i]).all():
                    raise InputError(
                        f"values of variable {self.names[i]!r} are out of range; make the "
                        "coefficients of the network smaller"
                    )
        return rows


def gaussian_network(
    names: Sequence[str],
    lines: dict[str, dict[str, float]],
    intercepts: dict[str, float],
    sds: dict[str, float],
) -> GaussianNetwork:
    """Make a network from names.

    Parameters
    ----------
    names : sequence of str
        The variables, in order.
    lines : dict of str to dict of str to float
        For each variable the coefficients of its parents; variables without parents may be left
        out.
    intercepts, sds : dict of str to float
        For each variable.

    Returns
    -------
    GaussianNetwork

    Raises
    ------
    InputError
        If a variable has no intercept or standard deviation, a name is unknown, or the numbers
        make no network.

    Examples
    --------
    >>> gaussian_network(["a", "b"], {"b": {"a": 2.0}}, {"a": 0, "b": 1}, {"a": 1, "b": 1}).parents
    ((), (0,))
    """
    position = {name: i for i, name in enumerate(names)}
    for what, given in (("parents", lines), ("an intercept", intercepts), ("an sd", sds)):
        for name in given:
            if name not in position:
                raise InputError(f"{name!r} has {what} and is no variable")
    for name in names:
        for parent in lines.get(name, ()):
            if parent not in position:
                raise InputError(f"variable {name!r} has an unknown parent {parent!r}")
        if name not in intercepts or name not in sds:
            raise InputError(f"variable {name!r} has no intercept or no standard deviation")
    rows = [lines.get(name, {}) for name in names]
    return GaussianNetwork(
        tuple(names),
        tuple(tuple(position[parent] for parent in row) for row in rows),
        tuple(float(intercepts[name]) for name in names),
        tuple(tuple(float(b) for b in row.values()) for row in rows),
        tuple(float(sds[name]) for name in names),
    )
