"""Hidden factors of counts: what makes genes of a cell go together, beside its depth.

A factor is a principal component of the logarithms of counts for their size, in the control rows.
Counts depend on it as on a parent. So that no count is explained by itself, which would hide what
happened to it, counts are dealt into groups, and those of a group get factors of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dosift.data.number_columns import log_rates
from dosift.data.numbers import Numbers
from dosift.errors import InputError
from dosift.model.arrays import Floats
from dosift.model.network import Variable

#: Groups that counts are dealt into.
_GROUPS = 4
#: Factors are made of counts of at least this mean: logarithms of smaller ones are mostly noise.
_LEAST_MEAN = 1.0
#: Spread of a logarithm up to which it is constant.
_CONSTANT = 1e-9
#: Counts that each factor needs at least.
_COUNTS_EACH = 3


@dataclass(frozen=True)
class Factors:
    """Factors, and whose parents they are.

    Attributes
    ----------
    variables : tuple of Variable
    of : dict of str to tuple of int
        For each count, the positions of its factors among `variables`.
    """

    variables: tuple[Variable, ...] = ()
    of: dict[str, tuple[int, ...]] | None = None


def find_factors(control: Numbers, n_factors: int) -> Factors:
    """Find factors of the counts of control rows.

    Parameters
    ----------
    control : Numbers
        With the size that counts are relative to.
    n_factors : int
        How many each count gets.

    Returns
    -------
    Factors

    Raises
    ------
    InputError
        If there is no size, or too few counts.
    """
    if not n_factors:
        return Factors()
    size = next((i for i, one in enumerate(control.variables) if one.kind == "size"), None)
    if size is None:
        raise InputError(
            "factors are of counts relative to their size, and there is no size; name a column "
            "(--size, size=), or leave the factors out",
            path=control.path,
        )
    counts = [i for i, one in enumerate(control.variables) if one.kind == "count"]
    mean = control.values[:, counts].mean(axis=0)
    # Dealt by their means, so that each group has large ones and small ones.
    order = np.argsort(-mean, kind="stable")
    group = np.empty(len(counts), dtype=np.int64)
    group[order] = np.arange(len(counts)) % _GROUPS
    rates = _Rates.of(control, counts, size)
    variables: list[Variable] = []
    positions = {}
    for g in range(_GROUPS):
        used = np.flatnonzero((mean >= _LEAST_MEAN) & (group != g) & (rates.spread > _CONSTANT))
        if used.size < _COUNTS_EACH * n_factors:
            raise InputError(
                f"{n_factors} factors need at least {_COUNTS_EACH * n_factors} counts of a mean of "
                f"{_LEAST_MEAN:g} in each {_GROUPS - 1} of {_GROUPS} groups of counts, and there "
                f"are {used.size}; take fewer factors",
                path=control.path,
            )
        positions[g] = tuple(len(variables) + k for k in range(n_factors))
        for k, shares in enumerate(rates.components(used, n_factors)):
            names = tuple(control.variables[counts[i]].name for i in used)
            variables.append(
                Variable(
                    _unused(f"factor {k + 1} of {g + 1}", control.variables),
                    kind="factor",
                    total_of=names,
                    shares=tuple(shares.tolist()),
                    relative_to=control.variables[size],
                    typical=rates.typical,
                )
            )
    of = {control.variables[i].name: positions[int(g)] for i, g in zip(counts, group, strict=True)}
    return Factors(tuple(variables), of)


def with_factors(control: Numbers, factors: Factors) -> Numbers:
    """Add the columns of factors to rows.

    Parameters
    ----------
    control : Numbers
    factors : Factors

    Returns
    -------
    Numbers
    """
    if not factors.variables:
        return control
    variables = (*control.variables, *factors.variables)
    n = len(control.variables)
    place = {one.name: i for i, one in enumerate(control.variables)}
    values = np.zeros((len(control.values), len(variables)), order="F")
    values[:, :n] = control.values
    for i, one in enumerate(factors.variables):
        assert one.relative_to is not None
        sizes = control.values[:, place[one.relative_to.name]]
        for name, share in zip(one.total_of, one.shares, strict=True):
            values[:, n + i] += share * log_rates(control.values[:, place[name]], sizes, one)
    return Numbers(variables, values, control.beside, control.library, control.path)


def check_factors(factors: object) -> int:
    """Check how many factors are wanted.

    Raises
    ------
    InputError
    """
    if isinstance(factors, bool | np.bool_) or not isinstance(factors, int | np.integer):
        raise InputError(f"factors is {factors!r}; give a whole number of at least 0")
    if factors < 0:
        raise InputError(f"factors is {factors}; give a whole number of at least 0")
    return int(factors)


@dataclass(frozen=True)
class _Rates:
    """Logarithms of counts for their size: spread of each, and their correlations."""

    typical: float
    spread: Floats
    correlations: Floats

    @classmethod
    def of(cls, control: Numbers, counts: Sequence[int], size: int) -> _Rates:
        sizes = control.values[:, size]
        typical = float(np.median(sizes))
        unit = Variable("", typical=typical)
        rates = np.column_stack([log_rates(control.values[:, i], sizes, unit) for i in counts])
        rates -= rates.mean(axis=0)
        spread = np.sqrt(np.square(rates).mean(axis=0))
        rates /= np.where(spread > _CONSTANT, spread, 1.0)
        return cls(typical, spread, rates.T @ rates / len(rates))

    def components(self, used: NDArray[np.int64], n_factors: int) -> Floats:
        """Return what logarithms are multiplied by, shape (n_factors, n_used)."""
        vectors = np.linalg.eigh(self.correlations[np.ix_(used, used)])[1][:, ::-1][:, :n_factors]
        # The sign of a component is arbitrary: the largest loading is positive.
        largest = np.abs(vectors).argmax(axis=0)
        vectors *= np.sign(vectors[largest, np.arange(n_factors)])
        return np.asarray((vectors / self.spread[used, None]).T)


def _unused(name: str, variables: Sequence[Variable]) -> str:
    while any(one.name == name for one in variables):
        name += "'"
    return name
