"""What the law of units of several rows says about the mixture, beside that of single rows.

The theorem, its proof and where it fails are in docs/units.md: two rows a unit identify every
mixture, without exclusion, unless a variable follows from its parents where the rows are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dosift.identifiability.excluded import mixture_codes
from dosift.identifiability.summary import verdict
from dosift.identifiability.support import MAX_ENTRIES
from dosift.identifiability.zeros import SHOWN, check_network, named_rows, occurring_rows
from dosift.model import Mixture, Target
from dosift.model.arrays import Floats
from dosift.model.network import Network

#: Targets up to which ranks are computed; 8 MB a matrix, a second or two.
MAX_TARGETS = 1024
#: Cells times targets up to which they are.
_MAX_LAWS = 2**22
#: Eigenvalues of the matrix of inner products, of laws of length one, that count as zero. Rounding
#: makes some 1e-16 for each target.
_ZERO = 1e-12

MEANING = {
    "unique": "No other mixture of do's has the same distribution; no state need be left over.",
    "not identified": "Targets of the mixture have the same distribution as others.",
    "not known": "A variable follows from its parents in some rows; the theorem says nothing.",
}


@dataclass(frozen=True)
class Ranks:
    """How many dimensions the laws of all targets span.

    Attributes
    ----------
    n_targets : int
    one, several : int
        With one row a unit, and with as many as were asked about. Where it is `n_targets`, no
        two mixtures have the same law.
    """

    n_targets: int
    one: int
    several: int


@dataclass(frozen=True)
class UnitIdentification:
    """What one row a unit, and several, say about a mixture.

    Attributes
    ----------
    n_rows : int
        Rows of a unit.
    status : str
        With several rows: ``"unique"`` (no other mixture has the law; without a mixture: this is
        so for every mixture), ``"not identified"`` or ``"not known"``.
    one_row : str or None
        Status of `dosift.identifiability.verdict`, for one row; None without a mixture.
    deterministic : tuple of dict
        Parent configurations that leave a variable no choice, and occur under the mixture (or
        under some target); the first few: ``variable``, ``parents``, ``possible``.
    n_deterministic, n_undecided : int
        How many of these there are; and how many of which it is not known whether they occur.
    same : tuple of (Target, Target)
        Targets of the mixture, and others that have the same distribution; the first few.
    difference : float
        Least chance that two rows under the same conditions differ in a variable that interventions
        can set: standard errors of weights grow with one over its root.
    ranks : Ranks or None
        None if there are too many targets.
    """

    n_rows: int
    status: str
    one_row: str | None
    deterministic: tuple[Mapping[str, Any], ...]
    n_deterministic: int
    n_undecided: int
    same: tuple[tuple[Target, Target], ...]
    difference: float
    ranks: Ranks | None

    @property
    def meaning(self) -> str:
        """The status as a sentence."""
        return MEANING[self.status]

    def to_dict(self) -> dict[str, Any]:
        """Return it in types that JSON has.

        Returns
        -------
        dict
            ``n_rows``, ``status``, ``meaning``, ``one_row``, ``deterministic`` (``n``,
            ``n_undecided``, ``first``), ``same`` (pairs of texts), ``difference``, ``ranks``
            (``n_targets``, ``one``, ``several``) or None.
        """
        return {
            "n_rows": self.n_rows,
            "status": self.status,
            "meaning": self.meaning,
            "one_row": self.one_row,
            "deterministic": {
                "n": self.n_deterministic,
                "n_undecided": self.n_undecided,
                "first": list(self.deterministic),
            },
            "same": [[str(one), str(other)] for one, other in self.same],
            "difference": self.difference,
            "ranks": None if self.ranks is None else vars(self.ranks),
        }


def units_identified(
    network: Network, mixture: Mixture | None = None, *, n_rows: int = 2
) -> UnitIdentification:
    """Find what one row a unit identifies, and what several do.

    Parameters
    ----------
    network : Network
    mixture : Mixture, optional
        Taken as the truth. Without it, the question is about every mixture.
    n_rows : int, default=2
        Rows of a unit, at least 2. The theorem needs no more than two.

    Returns
    -------
    UnitIdentification

    Raises
    ------
    InputError
        If the mixture names what the network does not have.

    Examples
    --------
    Example 3.1 of Kumar and Sinha (UAI 2021), a coin, of which one row a unit tells nothing:

    >>> from dosift.model import do
    >>> coin = Network.from_tables({"V": "01"}, {}, {"V": [0.5, 0.5]})
    >>> found = units_identified(coin, Mixture({do(V=0): 0.6, do(V=1): 0.4}))
    >>> found.one_row, found.status
    ('not guaranteed', 'unique')
    >>> found.ranks
    Ranks(n_targets=3, one=2, several=3)
    """
    check_network(network)
    rows, undecided = _deterministic(network, mixture)
    same = () if mixture is None else tuple(_same(network, mixture, rows))
    status = "unique"
    if rows or undecided:
        status = "not identified" if same else "not known"
    return UnitIdentification(
        n_rows,
        status,
        None if mixture is None else verdict(network, mixture)["status"],
        tuple(named_rows(network, rows or undecided)),
        len(rows),
        len(undecided),
        same[:SHOWN],
        _difference(network),
        ranks(network, n_rows),
    )


def _settable(network: Network) -> list[int]:
    return [i for i, k in enumerate(network.cardinalities) if k > 1]


def _certain(network: Network, i: int) -> NDArray[np.int64]:
    """Rows of a variable's table with a single possible state."""
    return np.flatnonzero((network.tables[i] > 0).sum(axis=1) == 1)


def _difference(network: Network) -> float:
    """Least chance that two rows differ; by Cauchy and Schwarz it is least for equal parents."""
    return min(
        (1.0 - float(np.square(network.tables[i]).sum(axis=1).max()) for i in _settable(network)),
        default=0.0,
    )


def _deterministic(
    network: Network, mixture: Mixture | None
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """Table rows that leave no choice and occur; and those of which that is not known."""
    rows: list[tuple[int, int]] = []
    undecided: list[tuple[int, int]] = []
    for i in _settable(network):
        wanted = _certain(network, i)
        if not wanted.size:
            continue
        occurs = known = np.ones(wanted.size, dtype=bool)
        if mixture is not None:
            codes, _ = mixture_codes(network, mixture)
            occurs, known = occurring_rows(network, i, wanted, codes, MAX_ENTRIES)
        rows.extend((i, int(c)) for c in wanted[occurs])
        undecided.extend((i, int(c)) for c in wanted[~known & ~occurs])
    return tuple(rows), tuple(undecided)


def _same(
    network: Network, mixture: Mixture, rows: tuple[tuple[int, int], ...]
) -> list[tuple[Target, Target]]:
    """Targets of a mixture of which setting, or leaving alone, one variable changes nothing."""
    found = []
    codes, _ = mixture_codes(network, mixture)
    for i in sorted({i for i, _ in rows}):
        table = network.tables[i]
        every = np.arange(len(table))
        for target in codes:
            occurs, known = occurring_rows(network, i, every, target[None, :], MAX_ENTRIES)
            if not known.all() or not occurs.any():
                continue
            possible = table[occurs] > 0
            state = int(possible[0].argmax())
            if not possible[:, state].all() or (possible.sum(axis=1) > 1).any():
                continue
            if target[i] in (-1, state):
                other = target.copy()
                other[i] = state if target[i] < 0 else -1
                found.append((_named(network, target), _named(network, other)))
    return found


def _named(network: Network, target: NDArray[np.int64]) -> Target:
    return Mixture.from_codes(network, target[None, :], np.ones(1)).targets[0]


def ranks(network: Network, n_rows: int = 2) -> Ranks | None:
    """Count the dimensions of the laws of all targets, with one row a unit and with several.

    Parameters
    ----------
    network : Network
    n_rows : int, default=2

    Returns
    -------
    Ranks or None
        None if the network has more than ``MAX_TARGETS`` targets.

    Notes
    -----
    The inner product of the laws of units of m rows is that of single rows to the power of m.

    Examples
    --------
    >>> from dosift.model.random_problems import random_network
    >>> ranks(random_network(3, random_state=0))
    Ranks(n_targets=64, one=27, several=64)
    """
    settable = _settable(network)
    shape = [int(network.cardinalities[i]) for i in settable]
    n_targets = int(np.prod([k + 1.0 for k in shape]))
    if n_targets > MAX_TARGETS or n_targets * np.prod([float(k) for k in shape]) > _MAX_LAWS:
        return None
    laws = _laws(network, settable, shape)
    laws /= np.sqrt(np.square(laws).sum(axis=1, keepdims=True))
    inner = laws @ laws.T
    return Ranks(n_targets, _rank(inner), _rank(inner**n_rows))


def _laws(network: Network, settable: list[int], shape: list[int]) -> Floats:
    """Probabilities of all configurations under all targets, shape (n_targets, n_cells)."""
    cells = np.zeros((int(np.prod(shape)), network.n_variables), dtype=np.int64)
    cells[:, settable] = np.indices(shape).reshape(len(shape), -1).T
    laws = np.ones((1, len(cells)))
    for i in settable:
        own = network.tables[i][network.parent_rows(i, cells), cells[:, i]]
        is_set = cells[:, i] == np.arange(network.cardinalities[i])[:, None]
        choices = np.concatenate([own[None], is_set])
        laws = (laws[:, None, :] * choices[None]).reshape(-1, len(cells))
    return laws


def _rank(inner: Floats) -> int:
    values = np.linalg.eigvalsh(inner)
    return int((values > _ZERO * len(inner)).sum())
