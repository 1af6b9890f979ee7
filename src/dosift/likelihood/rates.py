"""Intervention rates of variables from one pass over the rows, without a search.

Pure array code, after two identities. With ``g_{i,a} = 1[v_i = a] / p_i(a | pa_i)`` and an
excluded value x of variable i,

* ``E[g_{i,a}] >= 1 - rho_i`` for every state a, with equality for an excluded one, where rho_i
  is the total weight of the targets that set variable i;
* ``E[1[v_i = a] - p_i(a | pa_i) g_{i,x}]`` is the total weight of the targets that set it to a.

Only the counts of each variable with its parents are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dosift.model.arrays import Floats, Ints
from dosift.model.network import Network


@dataclass(frozen=True)
class VariableRate:
    """One-pass intervention rate of one variable.

    Attributes
    ----------
    rate : float
        Estimated total weight of the targets that set the variable.
    std_error : float
        Its standard error, with the excluded value taken as known.
    excluded : int
        The state that looks excluded (the one of least ``E[g]``, allowing for its error).
    value_rates, value_std_errors : ndarray, shape (n_states,)
        The same for each state; 0 for the excluded one.
    """

    rate: float
    std_error: float
    excluded: int
    value_rates: Floats
    value_std_errors: Floats


def family_counts(network: Network, i: int, codes: Ints, counts: Floats) -> Floats:
    """Count a variable with its parents, in the rows that lack none of them.

    Returns
    -------
    ndarray, shape of the variable's table
    """
    return network.mechanisms[i].statistics(codes, counts)


def reference_log_likelihood(network: Network, families: Iterable[Floats]) -> float:
    """Log-likelihood of rows under the undisturbed network, its zero factors left out.

    Parameters
    ----------
    network : Network
    families : iterable of ndarray
        Counts of each variable with its parents.

    Returns
    -------
    float
        In nats: what columns of likelihood ratios are relative to, over all rows.
    """
    total = 0.0
    for table, family in zip(network.tables, families, strict=True):
        logs = np.log(table, out=np.zeros_like(table), where=table > 0)
        total += float(np.vdot(family, logs))
    return total


def variable_rate(table: Floats, family: Floats) -> VariableRate:
    """Estimate how often a variable is set, from the counts of its family.

    Parameters
    ----------
    table : ndarray, shape (n_parent_configurations, n_states)
        Conditional probability table.
    family : ndarray, same shape
        Counts in the mixture rows.

    Returns
    -------
    VariableRate

    Notes
    -----
    States that the table gives probability zero where rows have them say nothing about ``E[g]``
    and are left out as candidates for the excluded value.

    Where several states are never set, the one of least mean is chosen among them from the same
    rows, which puts rates up by about a third of their standard error.

    Examples
    --------
    >>> import numpy as np
    >>> rate = variable_rate(np.array([[0.5, 0.5]]), np.array([[700.0, 300.0]]))
    >>> round(rate.rate, 3), rate.excluded, rate.value_rates.round(3)
    (0.4, 1, array([0.4, 0. ]))
    """
    n = float(family.sum())
    k = table.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(table > 0, 1.0 / table, 0.0)
    if n == 0:
        return VariableRate(float("nan"), float("nan"), 0, np.full(k, np.nan), np.full(k, np.nan))
    means = (family * inverse).sum(axis=0) / n
    usable = ~((table == 0) & (family.sum(axis=1, keepdims=True) > 0)).any(axis=0)
    if not usable.any() or k == 1:
        return VariableRate(0.0, float("nan"), 0, np.zeros(k), np.full(k, np.nan))
    # A state that is rare in the table may be absent by chance: its mean is then 0 and its
    # empirical error too. The error that it would have without interventions tells the two apart.
    shares = family.sum(axis=1) / n
    expected_error = np.sqrt(shares @ inverse / n)
    x = int(np.where(usable, means + expected_error, np.inf).argmin())
    second = float((family[:, x] * inverse[:, x] ** 2).sum()) / n
    std_error = float(np.sqrt(max(second - means[x] ** 2, 0.0) / n))
    if family[:, x].sum() == 0:
        std_error = float(expected_error[x])
    # phi_a = 1[v = a] - p(a | pa) g_x, one value for each (parent configuration, state).
    g_x = np.zeros_like(table)
    g_x[:, x] = inverse[:, x]
    value_rates = np.empty(k)
    value_std_errors = np.empty(k)
    for a in range(k):
        phi = -table[:, [a]] * g_x
        phi[:, a] += 1.0
        mean = float((family * phi).sum()) / n
        value_rates[a] = mean
        value_std_errors[a] = np.sqrt(max(float((family * phi**2).sum()) / n - mean**2, 0.0) / n)
    value_rates[x] = 0.0
    return VariableRate(1.0 - float(means[x]), std_error, x, value_rates, value_std_errors)


def intervention_rates(network: Network, codes: Ints, counts: Floats) -> list[VariableRate]:
    """One-pass intervention rates of all variables.

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_configurations, n_variables)
        Without missing values.
    counts : ndarray, shape (n_configurations,)

    Returns
    -------
    list of VariableRate
        In the network's order.
    """
    return [
        variable_rate(network.tables[i], family_counts(network, i, codes, counts))
        for i in range(network.n_variables)
    ]
