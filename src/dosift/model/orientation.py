"""Which arrows all equivalent graphs share, once some of them are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Arrows = NDArray[np.bool_]


def shared_arrows(arrow: Arrows, known: Arrows | None = None) -> Arrows:
    """Find the arrows of a graph that all its Markov equivalents with the known ones share.

    They follow from the colliders and the known arrows by Meek's four rules, and all that all share
    do (Meek 1995, UAI).

    Parameters
    ----------
    arrow : ndarray of bool, shape (n, n)
        ``arrow[i, j]``: i is a parent of j. Without cycles.
    known : ndarray of bool, shape (n, n), optional
        Arrows of the graph whose direction is known; none by default.

    Returns
    -------
    ndarray of bool, shape (n, n)

    Examples
    --------
    >>> chain = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    >>> int(shared_arrows(chain).sum())
    0
    >>> first = np.zeros_like(chain)
    >>> first[0, 1] = True
    >>> int(shared_arrows(chain, first).sum())
    2
    """
    linked = arrow | arrow.T
    apart = ~linked & ~np.eye(len(arrow), dtype=bool)
    known = _colliders(arrow, apart) | (np.zeros_like(arrow) if known is None else known & arrow)
    while True:
        loose = linked & ~known & ~known.T
        # Products of counts: is there a third node of the kind?
        number = known.astype(np.int64)
        first = loose & (number.T @ apart > 0)  # a -> b - c, a apart from c: b -> c
        second = loose & (number @ number > 0)  # a -> b -> c, a - c: a -> c
        third, fourth = _third_and_fourth(loose, known, linked, apart)
        found = (first | second | third | fourth) & arrow
        if not found.any():
            return known
        known |= found


def _colliders(arrow: Arrows, apart: Arrows) -> Arrows:
    """Arrows that meet another at their head, from a node that is not linked to their tail."""
    out = np.zeros_like(arrow)
    for i in range(len(arrow)):
        parents = np.flatnonzero(arrow[:, i])
        out[parents[apart[np.ix_(parents, parents)].any(axis=1)], i] = True
    return out


def _third_and_fourth(
    loose: Arrows, known: Arrows, linked: Arrows, apart: Arrows
) -> tuple[Arrows, Arrows]:
    """Meek's rules about an edge a - d and two more nodes.

    Third: a - b -> d and a - c -> d, with b apart from c. Fourth: a - c -> e -> d, with e linked
    to a and c apart from d. Either makes a -> d.
    """
    third, fourth = np.zeros_like(loose), np.zeros_like(loose)
    for a, d in np.argwhere(loose):
        middle = np.flatnonzero(loose[a] & known[:, d])
        third[a, d] = apart[np.ix_(middle, middle)].any()
        last = np.flatnonzero(linked[a] & known[:, d])
        far = np.flatnonzero(loose[a] & apart[:, d])
        fourth[a, d] = known[np.ix_(far, last)].any()
    return third, fourth
