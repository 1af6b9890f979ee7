"""What is different about a bootstrap where variables are numbers.

Each resample finds changes of its own, with numbers of their own. A component that it found is
taken for the one of the fit that touches the same variables and claims the same rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.likelihood.weights import DEFAULT_GAP
from dosift.methods import Options
from dosift.model.linear_changes import FreeRegression
from dosift.model.mechanism import Changes
from dosift.model.mechanism_network import ControlRows, MechanismNetwork, as_network
from dosift.search.joint import JointFitter
from dosift.search.result import SearchResult

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]

#: Steps in which mechanisms are fitted to control rows that were drawn anew.
_STEPS = 12


def with_control_drawn(
    given: MechanismNetwork,
    fitted: MechanismNetwork,
    is_parametric: bool,
    rng: np.random.Generator,
) -> MechanismNetwork:
    """Draw the control rows of a learned network anew, and fit its mechanisms to them.

    Parameters
    ----------
    given : MechanismNetwork
        As it was before any mixture row taught it.
    fitted : MechanismNetwork
        As the fit left it.
    is_parametric : bool
        Whether rows are drawn from the latter; otherwise from the control rows, with replacement.
    rng : numpy.random.Generator

    Returns
    -------
    MechanismNetwork
        The one given, if it was not learned.
    """
    control = given.control
    if control is None:
        return given
    n_rows = round(float(control.weights.sum()))
    if is_parametric:
        nothing = np.full((1, given.n_variables), -1)
        values, _ = fitted.draw(nothing, np.ones(1), n_rows, rng)
        rows = ControlRows(values, np.ones(n_rows))
    else:
        counts = rng.multinomial(n_rows, control.weights / control.weights.sum())
        some = counts > 0
        rows = ControlRows(control.values[some], counts[some].astype(np.float64))
    mechanisms = []
    for mechanism in given.mechanisms:
        for _ in range(_STEPS):
            mechanism = mechanism.fitted(rows.statistics(mechanism))  # noqa: PLW2901
        mechanisms.append(mechanism)
    return replace(given, mechanisms=tuple(mechanisms), control=rows)


def weights_again(
    network: MechanismNetwork,
    fitted: MechanismNetwork,
    evidence: Evidence,
    targets: Ints,
    weights: Floats,
    options: Options,
) -> tuple[Ints, Floats]:
    """Estimate weights, changes and mechanisms of given targets again.

    Parameters
    ----------
    network : MechanismNetwork
        Its mechanisms are where it begins.
    fitted : MechanismNetwork
        Its changes are.
    evidence : Evidence
        Rows that were drawn anew.
    targets : ndarray of int, shape (n_targets, n_variables)
    weights : ndarray, shape (n_targets,)
    options : Options

    Returns
    -------
    targets : ndarray of int, shape (n_kept, n_variables)
    weights : ndarray, shape (n_kept,)
    """
    start = as_network(replace(network, libraries=fitted.libraries))
    constraints = options.constraints_on(start)
    begun = np.tile(weights, (evidence.n_batches, 1))
    share = evidence.n_rows / evidence.total
    if not start.learns:
        solution = solve(
            evidence, start, targets, begun, DEFAULT_GAP, fixed=constraints.fixed(targets)
        )
        return targets, np.asarray(share @ solution.weights)
    found = JointFitter(start, evidence, constraints).fit(start, targets, begun)
    return found.targets, np.asarray(share @ found.weights)


def matched(
    fitted: MechanismNetwork,
    targets: Ints,
    weights: Floats,
    evidence: Evidence,
    found: SearchResult,
) -> tuple[Ints, Floats]:
    """Name what a resample found in terms of the fit.

    Parameters
    ----------
    fitted : MechanismNetwork
    targets : ndarray of int, shape (n_targets, n_variables)
        Components of the fit.
    weights : ndarray, shape (n_targets,)
    evidence : Evidence
        The rows of the resample, without batches.
    found : SearchResult
        Of the resample.

    Returns
    -------
    targets : ndarray of int, shape (n_found, n_variables)
        Distinct. A component that is none of the fit's has the last change of :func:`with_others`
        for each number that it touches.
    weights : ndarray, shape (n_found,)
    """
    evidence.forget()
    ours = evidence.posterior(as_network(fitted), targets, weights)
    evidence.forget()
    theirs = evidence.posterior(found.network, found.targets, found.weights)
    overlap = theirs.T @ ours  # how many rows both claim
    sizes = np.array(fitted.cardinalities)
    named = []
    for target, common in zip(found.targets, overlap, strict=True):
        same = ((targets >= 0) == (target >= 0)).all(axis=1)
        states = sizes > 0
        same &= (targets[:, states] == target[states]).all(axis=1)
        if same.any():
            named.append(targets[int(np.where(same, common, -1.0).argmax())])
        else:
            others = np.array([len(library) for library in fitted.libraries])
            named.append(np.where((target >= 0) & ~states, others, target))
    distinct, place = np.unique(np.array(named), axis=0, return_inverse=True)
    return distinct, np.bincount(place.ravel(), found.weights, len(distinct)).astype(np.float64)


def with_others(fitted: MechanismNetwork) -> MechanismNetwork:
    """Return a network with one more change of each number, for all that are none of the fit's.

    Parameters
    ----------
    fitted : MechanismNetwork

    Returns
    -------
    MechanismNetwork
    """
    other = FreeRegression(np.zeros(1), 1.0)
    libraries = [
        replace(library, changes=(*library[:], other)) if isinstance(library, Changes) else library
        for library in fitted.libraries
    ]
    return replace(fitted, libraries=tuple(libraries))
