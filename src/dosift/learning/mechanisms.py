"""Mechanisms of a network of any kinds of variables, learned from control rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.learning.scales import standardised
from dosift.model.categorical import CategoricalMechanism, States
from dosift.model.features import Feature, features_of
from dosift.model.linear import LinearMechanism
from dosift.model.mechanism import Changes, Floats, Mechanism, topological_order
from dosift.model.mechanism_network import ControlRows, MechanismNetwork
from dosift.model.network import Variable
from dosift.model.scale import Scale

#: Steps of EM by which a regression comes to rest.
_STEPS = 20


def learn_mechanisms(
    variables: Sequence[Variable],
    values: NDArray[np.float64],
    parents: Sequence[Sequence[int]],
    *,
    weights: ArrayLike | None = None,
    features: Mapping[int, Sequence[Feature]] | None = None,
    offset: int | None = None,
    prior: float = 0.5,
) -> MechanismNetwork:
    """Learn the mechanism of each variable from control rows.

    Parameters
    ----------
    variables : sequence of Variable
    values : ndarray of float64, shape (n_rows, n_variables)
        In the users' units; state codes of discrete variables.
    parents : sequence of sequence of int
        Positions of the parents of each variable.
    weights : array-like, shape (n_rows,), optional
        1 if left out.
    features : mapping of int to sequence of Feature, optional
        Further features of a child, of values in the users' units.
    offset : int, optional
        Column of the size that counts are relative to.
    prior : float, default 0.5
        Pseudo-count of each cell of a table.

    Returns
    -------
    MechanismNetwork
    """
    rows = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    scales = tuple(
        standardised(values[:, i], rows, Scale("raw"))
        if variable.kind == "continuous"
        else Scale("count")
        for i, variable in enumerate(variables)
    )
    working = np.array(values, dtype=np.float64, order="F")
    for i, scale in enumerate(scales):
        working[:, i] = scale.working(working[:, i])
    sizes = np.array([len(variable.states) for variable in variables], dtype=np.int64)
    mechanisms: dict[int, Mechanism] = {}
    for i in topological_order(parents):
        family = tuple(parents[i])
        kind = variables[i].kind
        if kind == "count":
            from dosift.learning.count_mechanisms import (  # type: ignore[import-not-found, unused-ignore]
                learn_counts,
            )

            mechanisms[i] = learn_counts(working, rows, i, family, offset)
        elif kind == "continuous":
            start: Mechanism = LinearMechanism.untaught(i, family, features_of(family, sizes))
            mechanisms[i] = _at_rest(start, working, rows)
        else:
            mechanisms[i] = _at_rest(_even_table(i, family, sizes, prior), working, rows)
    return MechanismNetwork(
        tuple(mechanisms[i] for i in range(len(variables))),
        tuple(States(one.states) if one.kind == "discrete" else Changes(()) for one in variables),
        ControlRows(working, rows),
        tuple(variables),
        scales,
    )


def _even_table(
    i: int, family: tuple[int, ...], sizes: NDArray[np.int64], prior: float
) -> CategoricalMechanism:
    own = tuple(int(sizes[p]) for p in family)
    table = np.full((int(np.prod(own, initial=1)), int(sizes[i])), 1.0 / int(sizes[i]))
    return CategoricalMechanism(i, family, own, table, prior)


def _at_rest(mechanism: Mechanism, values: Floats, weights: Floats) -> Mechanism:
    for _ in range(_STEPS):
        mechanism = mechanism.fitted(mechanism.statistics(values, weights))
    return mechanism
