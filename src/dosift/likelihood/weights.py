"""Maximum-likelihood mixture weights: a convex problem, solved to a certified gap.

Pure array code. Given non-negative likelihoods ``L`` of shape (n_configurations, n_targets) and
multiplicities ``c`` that sum to ``N``, maximise over the simplex

    l(w) = (1/N) * sum_r c_r * log( sum_t L[r, t] * w_t ).

The optimality gap of a feasible ``w`` is ``max_t D_t - 1`` with
``D_t = (1/N) * sum_r c_r * L[r, t] / (L w)_r``; it bounds what is still to be gained, in nats a
row, whatever the path that led to ``w``. Iterations stop on it and on nothing else.

The method is sequential quadratic programming with an active set, after Kim, Carbonetto,
Stephens and Anitescu (2020), "A fast algorithm for maximum likelihood estimation of mixture
proportions using sequential quadratic programming", started by a few steps of EM.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv

from dosift.model.arrays import Bools, Floats, product_of_tall

#: Default optimality gap, in nats a row.
DEFAULT_GAP = 1e-8
#: Iterations after which the solver gives up and says so.
MAX_ITERATIONS = 200
#: Steps of EM before the first quadratic model when no start is given.
_EM_STEPS = 5
#: Relative ridge that keeps the quadratic model solvable when columns coincide.
_RIDGE = 1e-11
#: How far a step may overshoot the minimum along its line, as a share of the slope it began with.
_OVERSHOOT = 0.5
_MAX_HALVINGS = 40
#: Largest share of its density that a row may lose in one step.
_LARGEST_LOSS = 0.999
#: Densities whose squares are in the range of double precision.
_LEAST_DENSITY, _MOST_DENSITY = 1e-140, 1e140
#: Targets up to which a matrix times another is quicker than times itself.
_FEW_TARGETS = 34


@dataclass(frozen=True)
class WeightSolution:
    """Mixture weights and how good they are.

    Attributes
    ----------
    weights : ndarray, shape (n_targets,)
        Non-negative, summing to one.
    log_likelihood : float
        ``sum_r c_r log (L w)_r``, in nats (relative to the scaling of the rows of ``L``).
    gap : float
        Optimality gap in nats a row: no weights over these targets gain more than this.
    converged : bool
        Whether the gap asked for was reached.
    iterations : int
        Quadratic models solved.
    mixture : ndarray, shape (n_configurations,)
        ``L w``.
    """

    weights: Floats
    log_likelihood: float
    gap: float
    converged: bool
    iterations: int
    mixture: Floats


def solve_weights(
    likelihoods: Floats,
    counts: Floats,
    start: Floats | None = None,
    gap: float = DEFAULT_GAP,
    max_iterations: int = MAX_ITERATIONS,
) -> WeightSolution:
    """Maximise the mixture likelihood over the weights of given targets.

    Parameters
    ----------
    likelihoods : ndarray, shape (n_configurations, n_targets)
        Non-negative likelihoods; each row may be scaled freely.
    counts : ndarray, shape (n_configurations,)
        Positive multiplicities of the rows.
    start : ndarray, shape (n_targets,), optional
        Weights to start from; zero entries may grow again.
    gap : float
        Optimality gap at which to stop, in nats a row.
    max_iterations : int
        Bound on the number of quadratic models.

    Returns
    -------
    WeightSolution
        If a row is zero under every target its log-likelihood is ``-inf``; the weights then are
        those of the other rows.

    Examples
    --------
    >>> import numpy as np
    >>> solution = solve_weights(np.array([[1.0, 2.0], [1.0, 0.0]]), np.array([60.0, 40.0]))
    >>> solution.weights.round(6)
    array([0.8, 0.2])
    >>> solution.gap <= 1e-8
    True
    """
    n_targets = likelihoods.shape[1]
    possible = likelihoods.max(axis=1) > 0
    if not possible.all():
        rest = solve_weights(likelihoods[possible], counts[possible], start, gap, max_iterations)
        mixture = likelihoods @ rest.weights
        return WeightSolution(
            rest.weights, -np.inf, rest.gap, rest.converged, rest.iterations, mixture
        )
    if counts.size == 0:
        weights = np.full(n_targets, 1.0 / n_targets)
        return WeightSolution(weights, 0.0, 0.0, True, 0, np.zeros(0))
    shares = counts / counts.sum()
    weights, mixture = _start(likelihoods, shares, start)
    iterations = 0
    while True:
        ratio = shares / mixture
        gradient = ratio @ likelihoods
        current_gap = float(gradient.max()) - 1.0
        if current_gap <= gap or iterations >= max_iterations:
            break
        iterations += 1
        weights, mixture, moved = _newton_step(
            likelihoods, shares, weights, mixture, ratio, gradient
        )
        if not moved:
            # Rounding stops progress: one step of EM never loses and may loosen it.
            weights, mixture, improved = _em_step(likelihoods, shares, weights, mixture)
            if not improved:
                break
    log_likelihood = float(counts @ np.log(mixture))
    return WeightSolution(
        weights, log_likelihood, max(current_gap, 0.0), current_gap <= gap, iterations, mixture
    )


def information_of(likelihoods: Floats, counts: Floats, mixture: Floats) -> Floats:
    """Information about weights: ``sum_r c_r L_rs L_rt / f_r^2``.

    Parameters
    ----------
    likelihoods : ndarray, shape (n_configurations, n_targets)
    counts : ndarray, shape (n_configurations,)
    mixture : ndarray, shape (n_configurations,)
        Positive.

    Returns
    -------
    ndarray, shape (n_targets, n_targets)

    Examples
    --------
    >>> import numpy as np
    >>> information_of(np.array([[1.0, 2.0]]), np.array([8.0]), np.array([2.0])).tolist()
    [[2.0, 4.0], [4.0, 8.0]]
    """
    has_squares = mixture.size and mixture.min() > _LEAST_DENSITY and mixture.max() < _MOST_DENSITY
    if has_squares and likelihoods.shape[1] <= _FEW_TARGETS:
        half = product_of_tall(likelihoods, likelihoods, 0.5 * counts / mixture**2)
        return half + half.T  # symmetric to the last bit, as solvers take it to be
    scaled = likelihoods * (np.sqrt(counts) / mixture)[:, None]
    return np.asarray(scaled.T @ scaled)


def _start(likelihoods: Floats, shares: Floats, start: Floats | None) -> tuple[Floats, Floats]:
    n_targets = likelihoods.shape[1]
    if start is not None:
        weights = np.maximum(start, 0.0)
        total = weights.sum()
        if total > 0:
            weights = weights / total
            mixture = likelihoods @ weights
            if mixture.min() > 0:
                return weights, mixture
    weights = np.full(n_targets, 1.0 / n_targets)
    mixture = likelihoods @ weights
    for _ in range(_EM_STEPS):
        weights, mixture, _ = _em_step(likelihoods, shares, weights, mixture)
    return weights, mixture


def _em_step(
    likelihoods: Floats, shares: Floats, weights: Floats, mixture: Floats
) -> tuple[Floats, Floats, bool]:
    new = weights * ((shares / mixture) @ likelihoods)
    new /= new.sum()
    new_mixture = likelihoods @ new
    improved = float(shares @ np.log(new_mixture)) > float(shares @ np.log(mixture))
    return (new, new_mixture, True) if improved else (weights, mixture, False)


def _newton_step(
    likelihoods: Floats,
    shares: Floats,
    weights: Floats,
    mixture: Floats,
    ratio: Floats,
    gradient: Floats,
) -> tuple[Floats, Floats, bool]:
    """One step towards the minimum of the quadratic model of -l(w) + sum(w).

    Adding ``sum(w)`` makes the constraint ``sum(w) = 1`` hold at the optimum by itself, so that
    only ``w >= 0`` is left. The working set holds the targets that carry weight or whose
    gradient says that they want to.
    """
    working = ((weights > 0) | (gradient > 1.0)).nonzero()[0]
    inside = likelihoods if working.size == weights.size else likelihoods[:, working]
    hessian = information_of(inside, shares, mixture)
    current = weights[working]
    # H w is the gradient when all the weight lies in the working set.
    aim = nonnegative_quadratic(hessian, 2.0 * gradient[working] - 1.0, current)
    direction = aim - current
    slope = float(direction @ (1.0 - gradient[working]))
    if slope >= 0.0:
        return weights, mixture, False
    change = (inside @ direction) / mixture  # relative change of the mixture density
    total_change = float(direction.sum())
    # No row may lose all its density, or its logarithm is gone.
    lowest = float(change.min())
    step = min(1.0, -_LARGEST_LOSS / lowest) if lowest < 0 else 1.0
    for _ in range(_MAX_HALVINGS):
        # The slope at the end of the step is far more exact than a difference of log-likelihoods:
        # near the optimum the latter is lost in rounding long before the gap is small.
        end_slope = total_change - float(shares @ (change / (1.0 + step * change)))
        if end_slope <= -_OVERSHOOT * slope:
            break
        step *= 0.5
    else:
        return weights, mixture, False
    new = weights.copy()
    new[working] = np.maximum(current + step * direction, 0.0)
    total = new.sum()
    new /= total
    new_mixture = likelihoods @ new
    return new, new_mixture, True


def nonnegative_quadratic(hessian: Floats, linear: Floats, start: Floats) -> Floats:
    """Minimise ``y' H y / 2 - b' y`` over ``y >= 0`` by an active-set method.

    Parameters
    ----------
    hessian : ndarray, shape (m, m)
        Positive semidefinite.
    linear : ndarray, shape (m,)
        ``b``.
    start : ndarray, shape (m,)
        A feasible point; its support is the first guess of the active set.

    Returns
    -------
    ndarray, shape (m,)

    Notes
    -----
    The algorithm of Lawson and Hanson on the normal equations (Bro and de Jong 1997), started
    from a guess of the support. A ridge of 1e-11 relative to the diagonal breaks ties between equal
    columns.

    Examples
    --------
    >>> import numpy as np
    >>> nonnegative_quadratic(np.eye(2), np.array([1.0, -1.0]), np.array([0.5, 0.5]))
    array([1., 0.])
    """
    m = linear.size
    h = hessian.copy()
    diagonal = h.reshape(-1)[:: m + 1]
    diagonal *= 1.0 + _RIDGE
    diagonal += 1e-300
    y = start.copy()
    passive = y > 0
    tolerance = 1e-12 * max(1.0, float(np.abs(linear).max()))
    for _ in range(3 * m + 10):
        y = _descend_on_support(h, linear, y, passive)
        if passive.all():
            break
        dual = linear - h @ y
        dual[passive] = -np.inf
        worst = int(dual.argmax())
        if dual[worst] <= tolerance:
            break
        passive[worst] = True
    return y


def _descend_on_support(h: Floats, linear: Floats, y: Floats, passive: Bools) -> Floats:
    """Go to the minimum on the support, leaving behind whatever reaches zero on the way."""
    y = np.where(passive, y, 0.0)
    while True:
        index = passive.nonzero()[0]
        if not index.size:
            return y
        part = h if index.size == len(h) else h[index[:, None], index]
        aim = _solved(part, linear[index])
        if aim.min() > 0:
            y[index] = aim
            return y
        now = y[index]
        falling = aim <= 0
        room = now[falling] - aim[falling]
        step = float(np.min(np.where(room > 0, now[falling] / np.where(room > 0, room, 1), 0.0)))
        moved = now + step * (aim - now)
        moved[falling & (moved <= 1e-15)] = 0.0
        if not (moved[falling] == 0.0).any():
            moved[np.flatnonzero(falling)[moved[falling].argmin()]] = 0.0
        y[index] = moved
        passive[index[moved == 0.0]] = False


def _solved(h: Floats, linear: Floats) -> Floats:
    """Solve a positive definite system, or, where rounding makes it none, as well as may be."""
    _, solution, info = dposv(h, linear)
    if info == 0:
        return np.asarray(solution)
    try:
        return np.asarray(np.linalg.solve(h, linear))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(h, linear, rcond=None)[0])
