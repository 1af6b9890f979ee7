"""What a table of rows can tell about interventions, before any search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dosift.data import Configurations
from dosift.identifiability.excluded import mixture_codes
from dosift.identifiability.zeros import SHOWN, table_row
from dosift.likelihood.assignment import assign
from dosift.likelihood.rates import family_counts, variable_rate
from dosift.model import Mixture
from dosift.model.arrays import Floats
from dosift.model.network import Network

#: Intervention rate for whose detection the rows needed are told.
RATE_WANTED = 0.02
#: Standard errors from zero at which a rate counts as detected.
_DETECTED = 2.0
#: Rows with an intervention that must be expected for one to be there, 19 times in 20.
_EXPECTED = 3.0


@dataclass(frozen=True)
class VariableEvidence:
    """What the rows say about one variable.

    Attributes
    ----------
    variable : str
    rate, std_error : float or None
        One-pass estimate of the total weight of the targets that set it
        (``dosift.likelihood.rates.variable_rate``), and its standard error; None where zeros of the
        table leave no state to estimate it by.
    left_over : str or None
        The state that looks as if no target sets it.
    detectable : float or None
        The least rate that such rows can tell from zero: two standard errors of the estimate
        for a variable that is never set, ``2 sqrt((E[1 / p_i(x | pa_i)] - 1) / n)``, x being
        the state left over, and at least 3 / n, so that some row has it.
    rows_needed : int or None
        Rows at which that would be ``RATE_WANTED``.
    n_parent_configurations, n_unseen : int
        Parent configurations in the table, and how many of them no row has.
    n_impossible : float
        Rows whose state of this variable is impossible given their parents' states: unless the
        network is wrong, the variable was set in them.
    """

    variable: str
    rate: float | None
    std_error: float | None
    left_over: str | None
    detectable: float | None
    rows_needed: int | None
    n_parent_configurations: int
    n_unseen: int
    n_impossible: float

    @property
    def excess(self) -> float:
        """Rate over the least detectable one; 0 where it is not known."""
        return self.rate / self.detectable if self.rate is not None and self.detectable else 0.0


@dataclass(frozen=True)
class ImpossibleCell:
    """A state that occurs in rows although the network gives it probability zero.

    Attributes
    ----------
    variable, state : str
    parents : dict of str to str
    rows : float
    """

    variable: str
    state: str
    parents: dict[str, str]
    rows: float


@dataclass(frozen=True)
class Evidence:
    """What the rows say, variable by variable.

    Attributes
    ----------
    n_rows : float
    n_configurations : int
        Distinct rows.
    variables : tuple of VariableEvidence
        The variable that most clearly is set first.
    n_impossible_rows : float
        Rows that the undisturbed network cannot produce.
    impossible : tuple of ImpossibleCell
        Most frequent first; the first few.
    n_unexplained_rows : float or None
        Rows that no target of the mixture can produce; None without a mixture.
    """

    n_rows: float
    n_configurations: int
    variables: tuple[VariableEvidence, ...]
    n_impossible_rows: float
    impossible: tuple[ImpossibleCell, ...]
    n_unexplained_rows: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has.

        Returns
        -------
        dict
            The attributes; each of ``variables`` and ``impossible`` as an object.
        """
        return {
            "n_rows": self.n_rows,
            "n_configurations": self.n_configurations,
            "rate_wanted": RATE_WANTED,
            "variables": [vars(v) for v in self.variables],
            "n_impossible_rows": self.n_impossible_rows,
            "impossible": [vars(cell) for cell in self.impossible],
            "n_unexplained_rows": self.n_unexplained_rows,
        }


def row_evidence(
    network: Network, rows: Configurations, mixture: Mixture | None = None
) -> Evidence:
    """Tell what rows say about interventions, in one pass.

    Parameters
    ----------
    network : Network
    rows : Configurations
        Complete rows.
    mixture : Mixture, optional
        To count the rows that it cannot produce.

    Returns
    -------
    Evidence

    Examples
    --------
    >>> import dosift
    >>> from dosift.data import collapse
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> rows = collapse(np.array([[0]] * 700 + [[1]] * 300), coin.cardinalities)
    >>> found = row_evidence(coin, rows).variables[0]
    >>> round(found.rate, 3), found.left_over, round(found.detectable, 3), found.rows_needed
    (0.4, '1', 0.063, 10000)
    """
    variables: list[VariableEvidence] = []
    cells: list[ImpossibleCell] = []
    is_impossible = np.zeros(rows.counts.size, dtype=bool)
    for i, table in enumerate(network.tables):
        family = family_counts(network, i, rows.codes, rows.counts)
        impossible = np.where(table == 0, family, 0.0)
        variables.append(_variable(network, i, family, float(impossible.sum())))
        if impossible.any():
            is_impossible |= table[network.parent_rows(i, rows.codes), rows.codes[:, i]] == 0
            cells.extend(_cells(network, i, impossible))
    unexplained = None
    if mixture is not None:
        codes, weights = mixture_codes(network, mixture)
        found = assign(network, codes, weights, rows.codes)
        unexplained = float(rows.counts[found.mixture <= 0].sum())
    return Evidence(
        rows.total,
        int(rows.counts.size),
        tuple(sorted(variables, key=lambda v: (-v.n_impossible, -v.excess))),
        float(rows.counts[is_impossible].sum()),
        tuple(sorted(cells, key=lambda c: -c.rows)[:SHOWN]),
        unexplained,
    )


def _variable(network: Network, i: int, family: Floats, n_impossible: float) -> VariableEvidence:
    table = network.tables[i]
    found = variable_rate(table, family)
    x = found.excluded
    shares = family.sum(axis=1) / family.sum()
    seen = shares > 0
    known = math.isfinite(found.std_error) and bool((table[seen, x] > 0).all())
    # Of 1[v = x] / p(x | pa) where the variable is never set.
    variance = max(float(shares[seen] @ (1.0 / table[seen, x])) - 1.0, 0.0) if known else 0.0
    n = float(family.sum())
    needed = variance * (_DETECTED / RATE_WANTED) ** 2
    return VariableEvidence(
        network.names[i],
        found.rate if known else None,
        found.std_error if known else None,
        network.variables[i].states[x] if known else None,
        max(_DETECTED * math.sqrt(variance / n), _EXPECTED / n) if known else None,
        math.ceil(max(round(needed, 6), _EXPECTED / RATE_WANTED)) if known else None,
        table.shape[0],
        int((~seen).sum()),
        n_impossible,
    )


def _cells(network: Network, i: int, impossible: Floats) -> list[ImpossibleCell]:
    """Name the most frequent impossible cells of a variable."""
    order = np.argsort(-impossible.ravel(), kind="stable")[:SHOWN]
    out = []
    for flat in order[impossible.ravel()[order] > 0]:
        c, a = divmod(int(flat), impossible.shape[1])
        out.append(
            ImpossibleCell(
                network.names[i],
                network.variables[i].states[a],
                table_row(network, i, c).parents,
                float(impossible[c, a]),
            )
        )
    return out
