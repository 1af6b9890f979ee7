"""``dosift study --continuous``: the study of interventions hidden in measurements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dosift.estimator import InterventionMixture
from dosift.io.graph import Graph
from dosift.model.known_mechanisms import gaussian_of, is_linear_gaussian
from dosift.model.linear import LinearMechanism
from dosift.model.linear_changes import PointMechanism
from dosift.model.mechanism_network import MechanismNetwork
from dosift.model.network import Network
from dosift.model.noise import Noise
from dosift.study.continuous import ContinuousAnswer, ContinuousProblem

Floats = NDArray[np.float64]
#: Deviation that stands for an exact value, on the working scale.
_POINT_SD = 1e-9


def fit_problem(
    problem: ContinuousProblem, edges: list[tuple[str, str]] | None
) -> ContinuousAnswer:
    """Fit a problem by the estimator, as a user would.

    Parameters
    ----------
    problem : ContinuousProblem
    edges : list of (str, str) or None
        The graph, or None where control rows and mixture rows are to tell it.

    Returns
    -------
    ContinuousAnswer
    """
    names = problem.network.names
    control, rows = (
        dict(zip(names, values.T, strict=True)) for values in (problem.control, problem.rows)
    )
    # An empty graph still has variables.
    graph = None if edges is None else Graph(names, tuple(edges))
    model = InterventionMixture().fit(rows, control=control, graph=graph)
    return ContinuousAnswer(
        [frozenset(target) for target in model.targets_],
        np.nan_to_num(model.predict_proba(rows)),
        set(model.network_.edges) if edges is None else None,
        _moments(model),
    )


def _moments(model: InterventionMixture) -> tuple[Floats, Floats] | None:
    """Means and covariances of the components, where all mechanisms are linear-Gaussian."""
    network: Network | MechanismNetwork = model.network_
    if not isinstance(network, MechanismNetwork) or not is_linear_gaussian(network):
        return None
    found = []
    for target in model.fitted_.result.targets:
        mechanisms = list(network.mechanisms)
        for i in np.flatnonzero(target >= 0):
            changed = network.libraries[i][int(target[i])].applied(mechanisms[i])
            if isinstance(changed, PointMechanism):
                value = np.array([changed.value])
                changed = LinearMechanism(int(i), (), (), value, Noise.normal(_POINT_SD))
            mechanisms[i] = changed
        found.append(gaussian_of(replace(network, mechanisms=tuple(mechanisms))))
    return np.array([one.mean for one in found]), np.array([one.covariance for one in found])
