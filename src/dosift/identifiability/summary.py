"""The verdict on a mixture that needs no enumeration: from the tables and targets alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.identifiability.excluded import Exclusion, exclusion, mixture_codes
from dosift.identifiability.system import Codes
from dosift.identifiability.zeros import SHOWN, CriticalRows, critical_rows, named_rows
from dosift.model import Mixture
from dosift.model.network import Network

#: Largest Boolean table built for a verdict, so that it stays a matter of milliseconds.
_QUICK_ENTRIES = 2**14

#: What each status means.
MEANING = {
    "unique": "No other mixture of do-interventions at all generates the same distribution.",
    "identified": (
        "Every other mixture with the same distribution sets more variables on average, and "
        "violates exclusion or meets a zero that matters."
    ),
    "not identified": "Another mixture is as good an explanation of the same distribution.",
    "not guaranteed": "The conditions under which a mixture is identified do not hold.",
    "undecided": (
        "The conditions under which a mixture is identified do not hold, and the targets are too "
        "many for a linear program to decide."
    ),
}


@dataclass(frozen=True)
class Conditions:
    """What the theorem on identifiability asks of a mixture.

    Attributes
    ----------
    exclusion : Exclusion
    critical : CriticalRows
    unique : bool
        Whether no other mixture at all generates the distribution.
    """

    exclusion: Exclusion
    critical: CriticalRows
    unique: bool

    @property
    def hold(self) -> bool:
        """Whether the theorem applies: exclusion, and no zero that matters."""
        return self.exclusion.holds and not self.critical.rows and not self.critical.undecided

    @property
    def status(self) -> str:
        """``"unique"``, ``"identified"`` or ``"not guaranteed"``."""
        if self.unique:
            return "unique"
        return "identified" if self.hold else "not guaranteed"


def conditions(network: Network, mixture: Mixture, *, max_entries: int) -> Conditions:
    """Check the conditions of the theorem.

    Parameters
    ----------
    network : Network
    mixture : Mixture
    max_entries : int
        Largest Boolean table built to find out which parent configurations occur.

    Returns
    -------
    Conditions
    """
    codes, _ = mixture_codes(network, mixture)
    return Conditions(
        exclusion(network, mixture),
        critical_rows(network, mixture, max_entries=max_entries),
        is_unique(network, codes),
    )


def is_unique(network: Network, codes: Codes) -> bool:
    """Whether a mixture is the only one at all that generates its distribution.

    It is if and only if its targets set every variable, and no target that leaves exactly one
    variable alone produces nothing but rows that the mixture produces
    (docs/identifiability.md, theorem 1).

    Parameters
    ----------
    network : Network
    codes : ndarray of int, shape (n_targets, n_variables)
        Targets of positive weight.

    Returns
    -------
    bool

    Examples
    --------
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> is_unique(coin, np.array([[0]])), is_unique(coin, np.array([[0], [1]]))
    (True, False)
    """
    if (codes < 0).any():
        return False
    cells = {row.tobytes() for row in codes}
    return not any(_fibre_inside(network, row, i, cells) for row in codes for i in network.order)


def _fibre_inside(network: Network, cell: NDArray[np.int64], i: int, cells: set[bytes]) -> bool:
    """Whether all that leaving variable i alone can produce from a cell is among some cells."""
    table_row = network.tables[i][network.parent_rows(i, cell[None, :])[0]]
    other = cell.copy()
    for state in np.flatnonzero(table_row > 0):
        other[i] = state
        if other.tobytes() not in cells:
            return False
    return True


def verdict(network: Network, mixture: Mixture) -> dict[str, Any]:
    """Say what the theorem guarantees about a mixture, without enumerating targets.

    Parameters
    ----------
    network : Network
    mixture : Mixture
        Taken as the truth: how far an estimate may be off is another question.

    Returns
    -------
    dict
        Ready for JSON: ``status`` (``"unique"``: no other mixture at all; ``"identified"``: no
        other that meets the conditions of the theorem, and every other sets more variables on
        average; ``"not guaranteed"``), ``meaning`` and ``reasons`` (sentences), ``positivity``
        (``n_zeros``, ``n_variables``: variables with zeros), ``exclusion`` (``holds``,
        ``violated``), ``critical_rows`` (``n``, ``n_undecided``, ``first``), ``margin`` and
        ``expected_size`` (variables set by the average row's intervention).

    Raises
    ------
    InputError
        If the mixture names what the network does not have.

    See Also
    --------
    identified : Decides the cases left open, and gives intervals and a witness.

    Examples
    --------
    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> verdict(coin, Mixture({do(V=0): 0.2, do(): 0.8}))["status"]
    'identified'
    >>> verdict(coin, Mixture({do(V=0): 0.6, do(V=1): 0.4}))["reasons"]
    ['V is set to every one of its states, so exclusion is violated.']
    """
    found = conditions(network, mixture, max_entries=_QUICK_ENTRIES)
    zeros = [int((table == 0).sum()) for table in network.tables]
    return {
        "status": found.status,
        "meaning": MEANING[found.status],
        "reasons": [] if found.unique else reasons(network, found),
        "positivity": {"n_zeros": sum(zeros), "n_variables": sum(z > 0 for z in zeros)},
        "exclusion": {
            "holds": found.exclusion.holds,
            "violated": list(found.exclusion.violated),
        },
        "critical_rows": {
            "n": len(found.critical.rows),
            "n_undecided": len(found.critical.undecided),
            "first": named_rows(network, found.critical.rows or found.critical.undecided),
        },
        "margin": found.critical.margin,
        "expected_size": expected_size(mixture),
    }


def expected_size(mixture: Mixture) -> float:
    """Average number of variables that the targets of a mixture set.

    Examples
    --------
    >>> from dosift.model import do
    >>> expected_size(Mixture({do(a=1, b=1): 0.5, do(): 0.5}))
    1.0
    """
    return float(sum(weight * target.size for target, weight in mixture.items()))


def reasons(network: Network, found: Conditions) -> list[str]:
    """Say in sentences why the theorem does not apply.

    Parameters
    ----------
    network : Network
    found : Conditions

    Returns
    -------
    list of str
        Empty if it does apply.
    """
    out = []
    violated = found.exclusion.violated
    if violated:
        names = ", ".join(violated[:SHOWN]) + (", ..." if len(violated) > SHOWN else "")
        verb = (
            "is set to every one of its states"
            if len(violated) == 1
            else ("are set to every one of their states")
        )
        out.append(f"{names} {verb}, so exclusion is violated.")
    critical = found.critical
    if critical.rows:
        names = _variables(network, critical.rows)
        out.append(
            f"Zeros matter for {names}: under {len(critical.rows)} parent configuration(s) that "
            "occur, every possible state is one that some target sets."
        )
    if critical.undecided:
        names = _variables(network, critical.undecided)
        out.append(
            f"Zeros may matter for {names}: under {len(critical.undecided)} parent "
            "configuration(s) every possible state is one that some target sets; whether they "
            "occur is too large a question to compute here."
        )
    return out


def _variables(network: Network, rows: tuple[tuple[int, int], ...]) -> str:
    names = list(dict.fromkeys(network.names[i] for i, _ in rows))
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
