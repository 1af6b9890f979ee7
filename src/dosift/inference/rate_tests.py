"""Errors and p-values of the one-pass intervention rates.

Pure array code. The rates need no search, so nothing was selected and their p-values are those of
ordinary tests: "no component sets this variable (to this value)". Two things are allowed for. The
state that looks excluded is chosen from the same rows, so a p-value is multiplied by the number
of states that could be the excluded one (all of them if nothing sets the variable). Where few rows
carry that state, their spread says little, and the error is the one that the table lets expect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtr

from dosift.data.blocks import Block
from dosift.likelihood.evidence import Evidence
from dosift.likelihood.rates import variable_rate
from dosift.model.arrays import Bools, Floats, Ints
from dosift.model.network import Network

#: Variable and state of each of two do's.
Pair = tuple[tuple[int, int], tuple[int, int]]

#: Pairs of do's that are tested, at most.
_MOST_PAIRS = 200
#: Rows whose part in each do is held at a time.
_ROWS_AT_A_TIME = 2**16
#: Rows with the excluded state below which the spread is taken from the table.
_FEW_ROWS = 30.0
#: Distance from the least mean, in standard errors, at which a state may still be the excluded one.
_PLAUSIBLE = 2.0


@dataclass(frozen=True)
class RateWithTest:
    """One-pass intervention rate of one variable, tested.

    Attributes
    ----------
    rate, std_error, p_value : float
        Of setting the variable at all.
    value_rates, value_std_errors, value_p_values : ndarray, shape (n_states,)
        Of setting it to each state; 0, NaN and 1 for the state that looks excluded.
    excluded : int
        The state that looks excluded.
    n_plausible : int
        Number of states that could be it.
    """

    rate: float
    std_error: float
    p_value: float
    value_rates: Floats
    value_std_errors: Floats
    value_p_values: Floats
    excluded: int
    n_plausible: int


def rates_of_families(network: Network, families: Sequence[Floats]) -> list[RateWithTest]:
    """One-pass intervention rates, with tests, from the counts of the families.

    Parameters
    ----------
    network : Network
        As it was before any mixture row taught it. If it was learned, the error of its tables is
        included.
    families : sequence of ndarray
        Counts of each variable with its parents, of the shape of its table.

    Returns
    -------
    list of RateWithTest
    """
    out = []
    for i, (table, family) in enumerate(zip(network.tables, families, strict=True)):
        control = None
        if network.control is not None:
            control = (network.control.counts[i] + network.control.prior).sum(axis=1)
        out.append(rate_with_test(table, family, control))
    return out


def rate_with_test(table: Floats, family: Floats, control: Floats | None = None) -> RateWithTest:
    """Test how often a variable is set, from the counts of its family.

    Parameters
    ----------
    table : ndarray, shape (n_parent_configurations, n_states)
        Conditional probability table.
    family : ndarray, same shape
        Counts in the mixture rows.
    control : ndarray, shape (n_parent_configurations,), optional
        Control rows (and pseudo-counts) from which each row of the table was learned.

    Returns
    -------
    RateWithTest

    Examples
    --------
    >>> import numpy as np
    >>> found = rate_with_test(np.array([[0.5, 0.5]]), np.array([[700.0, 300.0]]))
    >>> round(found.rate, 3), found.p_value < 1e-9, found.value_p_values.round(9)
    (0.4, True, array([0., 1.]))
    """
    plain = variable_rate(table, family)
    k = table.shape[1]
    x = plain.excluded
    if k == 1 or np.isnan(plain.std_error):
        unknown = np.full(k, np.nan)
        return RateWithTest(
            plain.rate, float("nan"), float("nan"), plain.value_rates, unknown, unknown, x, 1
        )
    n = float(family.sum())
    inverse = np.divide(1.0, table, out=np.zeros_like(table), where=table > 0)
    shares = family.sum(axis=1) / n
    means = (family * inverse).sum(axis=0) / n
    errors = np.sqrt(np.maximum((family * inverse**2).sum(axis=0) / n - means**2, 0.0) / n)
    few = family.sum(axis=0) < _FEW_ROWS
    errors = np.where(few, np.maximum(errors, np.sqrt(shares @ inverse / n)), errors)
    of_table = _table_error(table, family, inverse, control)
    errors = np.hypot(errors, of_table)
    # If nothing sets the variable its error is known, and does not shrink when rare states are
    # absent by chance.
    null = np.hypot(np.sqrt(np.maximum(shares @ inverse - 1.0, 0.0) / n), of_table)
    plausible = means - means[x] <= _PLAUSIBLE * np.hypot(errors, errors[x])
    rate = 1.0 - float(means[x])
    p_value = min(1.0, float(ndtr(-rate / max(null[x], 1e-300))) * k)
    value_errors, value_p = plain.value_std_errors.copy(), np.ones(k)
    ratio = table * inverse[:, [x]]
    left_alone = float(means[x]) if not few[x] else max(float(means[x]), float(errors[x]))
    square = family.sum(axis=0) / n + left_alone * (shares @ (table**2 * inverse[:, [x]]))
    expected = np.sqrt(np.maximum(square - plain.value_rates**2, 0.0) / n)
    value_errors = np.maximum(value_errors, expected)
    if control is not None:
        spread = ratio**2 * (inverse + inverse[:, [x]]) / np.maximum(control, 1e-300)[:, None]
        table_error = np.sqrt(((family[:, [x]] / n) ** 2 * spread).sum(axis=0))
        value_errors = np.hypot(value_errors, table_error)
    for a in range(k):
        others = int(plausible.sum() - plausible[a]) or 1
        if a != x and value_errors[a] > 0:
            value_p[a] = min(1.0, others * float(ndtr(-plain.value_rates[a] / value_errors[a])))
    value_errors[x] = np.nan
    return RateWithTest(
        rate,
        float(errors[x]),
        p_value,
        plain.value_rates,
        value_errors,
        value_p,
        x,
        int(plausible.sum()),
    )


def pairs_of(targets: Ints, weights: Floats) -> list[Pair]:
    """List the pairs of do's that some component holds, by descending total weight.

    Parameters
    ----------
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)

    Returns
    -------
    list of two pairs of int
        Variable and state of each do; at most 200 pairs.

    Examples
    --------
    >>> pairs_of(np.array([[0, 1, -1], [0, 1, 1]]), np.array([0.6, 0.4]))[0]
    ((0, 0), (1, 1))
    """
    rates: dict[Pair, float] = {}
    for target, weight in zip(targets, weights, strict=True):
        is_set = [(int(i), int(target[i])) for i in np.flatnonzero(target >= 0)]
        for pair in combinations(is_set, 2):
            rates[pair] = rates.get(pair, 0.0) + float(weight)
    return sorted(rates, key=lambda pair: -rates[pair])[:_MOST_PAIRS]


@dataclass(frozen=True)
class _SumPairs:
    """Sums over a block for the p-values of pairs of do's."""

    network: Network
    rates: Sequence[RateWithTest]
    pairs: Sequence[Pair]

    def __call__(self, block: Block) -> tuple[Floats, ...]:
        starts = range(0, max(len(block), 1), _ROWS_AT_A_TIME)
        parts = [self._of_part(block.part(slice(s, s + _ROWS_AT_A_TIME))) for s in starts]
        return tuple(np.sum(each, axis=0) for each in zip(*parts, strict=True))

    def _of_part(self, block: Block) -> tuple[Floats, ...]:
        dos = {do for pair in self.pairs for do in pair}
        each = {do: self._moments_of(do, block.values) for do in dos}
        return tuple(_product(block, each[one], each[other]) for one, other in self.pairs)

    def _moments_of(self, do: tuple[int, int], codes: Ints) -> Floats | None:
        """``phi_{i,a}`` of each row, NaN where a value that it needs is missing."""
        i, a = do
        x = self.rates[i].excluded
        if a == x or np.isnan(self.rates[i].std_error):
            return None
        family = [i, *self.network.parents[i]]
        seen: slice | Bools = slice(None)
        if codes.size and codes[:, family].min() < 0:
            seen = np.asarray((codes[:, family] >= 0).all(axis=1))
        some = codes[seen]
        table, rows = self.network.tables[i], self.network.parent_rows(i, some)
        of_x = table[rows, x]
        g = np.divide(some[:, i] == x, of_x, out=np.zeros(len(some)), where=of_x > 0)
        phi = np.full(len(codes), np.nan)
        phi[seen] = (some[:, i] == a) - table[rows, a] * g
        return phi


def _product(block: Block, one: Floats | None, other: Floats | None) -> Floats:
    """Sum what the p-value of a pair needs: the counts, the product, and its square.

    NaN if one of the values looks excluded.
    """
    if one is None or other is None:
        return np.full(3, np.nan)
    product, counts = one * other, block.counts
    if block.has_missing:
        seen = ~np.isnan(product)
        product, counts = product[seen], counts[seen]
    return np.array([counts.sum(), counts @ product, counts @ product**2])


def pair_p_values(
    evidence: Evidence, network: Network, rates: Sequence[RateWithTest], pairs: Sequence[Pair]
) -> list[float]:
    """P-values of "no component sets both", for pairs of do's, from one pass over the rows.

    The mean of ``phi_{i,a} phi_{j,b}``, with ``phi_{i,a} = 1[v_i = a] - p_i(a | pa_i) g_{i,x}``
    and an excluded value x of variable i, is the total weight of the targets that hold both
    ``do(i=a)`` and ``do(j=b)``.

    Parameters
    ----------
    evidence : Evidence
    network : Network
    rates : sequence of RateWithTest
        Of all variables.
    pairs : sequence of two pairs of int
        Variable and state of each do.

    Returns
    -------
    list of float
        NaN if one of the values looks excluded.
    """
    if not pairs:
        return []
    moments = evidence.visit(_SumPairs(network, rates, pairs))
    return [p_value_of_pair(m, rates, pair) for m, pair in zip(moments, pairs, strict=True)]


def p_value_of_pair(moments: Floats, rates: Sequence[RateWithTest], pair: Pair) -> float:
    """P-value of "no component sets both", from the sums over the rows.

    Parameters
    ----------
    moments : ndarray, shape (3,)
        Sums over the rows of their counts, the product, and its square.
    rates : sequence of RateWithTest
    pair : two pairs of int

    Returns
    -------
    float
    """
    n, first, second = (float(x) for x in moments)
    if np.isnan(n) or n == 0:
        return float("nan")
    mean = first / n
    variance = max(second / n - mean**2, 0.0) / n
    if variance == 0.0:
        return 1.0
    choices = int(np.prod([rates[i].n_plausible for i, _ in pair]))
    return min(1.0, choices * float(ndtr(-mean / np.sqrt(variance))))


def _table_error(
    table: Floats, family: Floats, inverse: Floats, control: Floats | None
) -> Floats | float:
    """Error of the means of ``g`` that the error of a learned table makes."""
    if control is None:
        return 0.0
    n = float(family.sum())
    spread = (1.0 - table) * inverse**3 / np.maximum(control, 1e-300)[:, None]
    return np.asarray(np.sqrt(((family / n) ** 2 * spread).sum(axis=0)))
