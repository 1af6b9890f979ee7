"""Near-equivalent targets: those that the rows can hardly tell from a component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dosift.likelihood.evidence import Evidence
from dosift.likelihood.solve import solve
from dosift.likelihood.weight_sums import Comparison
from dosift.model.arrays import Floats, Ints
from dosift.model.other import is_other
from dosift.search.constraints import is_among, keys_of
from dosift.search.elimination import inverse_of
from dosift.search.selection import Selection

#: Log-likelihood (nats) that replacing a component by a near-equivalent target may lose at most.
LARGEST_LOSS = 10.0
#: Such targets of a component, at most; estimated loss up to which the exact one is computed.
_MOST, _WORTH_A_LOOK = 3, 20.0
#: Log-likelihood (nats, all rows) to which the exact one is solved.
_ACCURACY = 1e-3
#: Least Schur complement of a target, relative to its curvature.
_LEAST_SCHUR = 1e-9


@dataclass(frozen=True)
class NearEquivalent:
    """A target that may stand in the place of a component.

    Attributes
    ----------
    component : int
        Position of the component.
    target : ndarray of int, shape (n_variables,)
    loss : float
        Log-likelihood (nats, all rows) that replacing the component by it loses, all weights
        being estimated again; negative if the rows prefer it, and the score does not.
    """

    component: int
    target: Ints
    loss: float


def find_near_equivalent(
    selection: Selection, targets: Ints, weights: Floats, sample: Evidence | None = None
) -> list[NearEquivalent]:
    """Find the targets one step from each component that could replace it.

    Parameters
    ----------
    selection : Selection
        On all rows.
    targets : ndarray of int, shape (n_components, n_variables)
        Of the final mixture.
    weights : ndarray, shape (n_batches, n_components)
    sample : Evidence, optional
        Fewer rows, held, by which the targets that are worth a look are chosen.

    Returns
    -------
    list of NearEquivalent
        Of each component in turn, the closest first. Losses are exact where rows are held, and
        follow the quadratic expansion otherwise.
    """
    evidence, network, weights = selection.evidence, selection.network, np.atleast_2d(weights)
    near = [
        # Nothing lies one step from rows that come from elsewhere.
        targets[:0] if is_other(t) else _neighbours(t, selection, targets)
        for t in targets
    ]
    every = np.unique(np.concatenate([targets[:0], *near]), axis=0)
    if not len(every):
        return []
    few, at_few = evidence, weights
    if sample is not None:
        few = sample
        at_few = solve(few, network, targets, weights.mean(axis=0)[None], _ACCURACY).weights
        if not (at_few > 0).all():
            few, at_few = evidence, weights  # the sample does not support every component
    found = few.compare(network, targets, at_few, every)
    scale = evidence.total / few.total
    place = {t.tobytes(): k for k, t in enumerate(every)}
    likely: list[tuple[int, int]] = []
    for k, own in enumerate(near):
        index = np.array([place[t.tobytes()] for t in own], dtype=np.int64)
        if index.size:
            loss = scale * _losses(found.some(index), few.n_rows, at_few, k)
            order = np.argsort(loss, kind="stable")[:_MOST]
            likely += [(k, int(index[j])) for j in order if loss[j] < _WORTH_A_LOOK]
    out: list[NearEquivalent] = []
    if few is not evidence and evidence.held is None and likely:
        # A pass over all rows, for the likely ones only.
        some = sorted({j for _, j in likely})
        found = evidence.compare(network, targets, weights, every[some])
        likely = [(k, some.index(j)) for k, j in likely]
        every = every[some]
    for k, j in likely:
        if evidence.held is not None:
            loss_ = _exact_loss(selection, targets, weights, k, every[j])
        else:
            loss_ = float(_losses(found.some(np.array([j])), evidence.n_rows, weights, k)[0])
        if loss_ < LARGEST_LOSS:
            out.append(NearEquivalent(k, every[j], loss_))
    return sorted(out, key=lambda one: (one.component, one.loss))


def _neighbours(target: Ints, selection: Selection, present: Ints) -> Ints:
    """List the permitted targets that differ in one variable and are no components."""
    found = []
    for i in selection.variables:
        for state in range(-1, int(selection.network.n_changes[i])):
            if state != target[i]:
                other = np.array(target, dtype=np.int16)
                other[i] = state
                found.append(other)
    listed = np.array(found, dtype=np.int16).reshape(-1, target.size)
    if selection.max_size is not None:
        listed = listed[(listed >= 0).sum(axis=1) <= selection.max_size]
    listed = listed[selection.constraints.permits(listed)]
    return np.asarray(listed[~is_among(listed, keys_of(present))])


def _losses(found: Comparison, n_rows: Floats, weights: Floats, k: int) -> Floats:
    """Sum over the batches what replacing component k by each target loses."""
    total = np.zeros(found.gradient.shape[1])
    for b, own in enumerate(weights):
        if own[k] <= 0:
            continue
        is_in = np.flatnonzero(own > 0)
        place = int(np.searchsorted(is_in, k))
        total += replacement_losses(
            place,
            own[is_in],
            inverse_of(found.own_information[b][np.ix_(is_in, is_in)]),
            found.own[b, is_in] - n_rows[b],
            found.cross[b][:, is_in],
            found.gradient[b] - n_rows[b],
            found.curvature[b],
        )
    return total


def replacement_losses(
    k: int,
    weights: Floats,
    inverse: Floats,
    own_slope: Floats,
    cross: Floats,
    slope: Floats,
    curvature: Floats,
) -> Floats:
    """Log-likelihood that replacing a component by each of some targets loses.

    By the quadratic expansion at the mixture's optimum.

    Parameters
    ----------
    k : int
        Position of the component.
    weights : ndarray, shape (n_components,)
    inverse : ndarray, shape (n_components, n_components)
        Inverse information of the components.
    own_slope : ndarray, shape (n_components,)
        Sums of their likelihoods over the mixture's, less the number of rows; nearly zero.
    cross : ndarray, shape (n_targets, n_components)
        Information between targets and components.
    slope, curvature : ndarray, shape (n_targets,)
        The targets' own.

    Returns
    -------
    ndarray, shape (n_targets,)
        In nats, over all rows; infinite where the target would not take over.
    """
    possible = curvature > 0  # else no row can come from the target
    curvature = np.where(possible, curvature, 1.0)
    projected = cross @ inverse
    schur = curvature - np.einsum("ks,ks->k", cross, projected)
    schur = np.maximum(schur, _LEAST_SCHUR * curvature)
    slope = slope - projected @ own_slope
    # With the target free the weight of the component is this, and has this variance.
    step = slope / schur
    weight = weights[k] - projected[:, k] * step
    variance = inverse[k, k] + projected[:, k] ** 2 / schur
    loss: Floats = weight**2 / (2.0 * variance) - 0.5 * slope * step
    # Its own weight once the component is gone.
    remaining = step + projected[:, k] / schur / variance * weight
    return np.where(possible & (remaining > 0), loss, np.inf)


def _exact_loss(
    selection: Selection, targets: Ints, weights: Floats, k: int, target: Ints
) -> float:
    """Solve the weights again with component k replaced."""
    evidence, network = selection.evidence, selection.network
    replaced = np.array(targets, dtype=np.int16)
    replaced[k] = target
    accuracy = _ACCURACY / evidence.total
    now = evidence.weigh(network, targets, weights)
    allowed = weights > 0
    # What is required may have no weight; that says nothing of what could stand in its place.
    allowed[:, k] |= not allowed[:, k].any()
    fixed = selection.constraints.fixed(replaced)
    then = solve(evidence, network, replaced, weights, accuracy, allowed=allowed, fixed=fixed)
    lost = now.log_density.sum() - then.sums.log_density.sum()
    return np.inf if then.sums.n_impossible.any() else float(lost)
