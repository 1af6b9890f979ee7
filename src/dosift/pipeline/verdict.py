"""The verdict on a fit, by all that is known of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from dosift.checks.fit_check import FitCheck
from dosift.checks.model_check import ModelCheck
from dosift.checks.verdict import Answer, Verdict, judge_answer
from dosift.graphs.findings import GraphFindings
from dosift.inference import Posterior
from dosift.model.arrays import Floats
from dosift.model.mechanism_network import compared_targets
from dosift.model.other import interventions
from dosift.pipeline.negative_control import TOLERATED, NegativeControl
from dosift.pipeline.recipe import Recipe
from dosift.search.result import SearchResult

#: Total variation of a pair's or mechanism's distribution, beyond noise, from which a misfit that
#: nothing repairs speaks against the components that touch it, and against all of them.
_OFF, _FAR_OFF = 0.1, 0.25
#: Bins that a number is cut into where distributions are compared.
_BINS = 6
#: Weight that makes a component suspicious whatever its own is.
_ALL = 1.0


def verdict_of(
    recipe: Recipe,
    result: SearchResult,
    posterior: Posterior | None,
    answers: tuple[Answer, ...],
    control: NegativeControl | None,
    check: ModelCheck,
    graph: GraphFindings | None,
) -> Verdict:
    """Say what of a fit stands.

    Parameters
    ----------
    recipe : Recipe
    result : SearchResult
    posterior : Posterior or None
    answers : tuple of Answer
        That repairs would give.
    control : NegativeControl or None
    check : ModelCheck
    graph : GraphFindings or None

    Returns
    -------
    Verdict
    """
    # Rows from elsewhere are no intervention on any variable.
    n, is_set = len(result.targets), interventions(result.targets) >= 0
    std_error, presence = np.full(n, np.nan), np.ones(n)
    if posterior is not None:
        std_error = posterior.of_weights.weights().std_error[:n]
        if posterior.selected:
            presence = 1.0 - posterior.of_weights.absent[:n]
    suspicious = np.zeros(n)
    if control is not None and control.left > TOLERATED:
        suspicious = is_set @ control.left_touched
    doubtful: set[int] = set()
    for i, j, _ in () if graph is None else graph.common_causes:
        moved = is_set[:, i] & is_set[:, j]
        doubtful |= {i, j} if moved.any() else set()
        # What a hidden cause moves together looks as if something had been done to both.
        suspicious = np.where(moved, _ALL, suspicious)
    for repair in (one for answer in answers for one in answer.repairs):
        if repair.what == "states":
            # What is taken for an intervention may be one of the states that control rows have.
            doubtful |= set(repair.variables)
            touched = is_set[:, list(repair.variables)].any(axis=1)
            suspicious = np.where(touched, _ALL, suspicious)
    failed = not result.converged or check.certainty.impossible > 0
    # Where targets are those of a list, no repair can lead to another answer, and none excuses.
    known = recipe.prior_knowledge
    is_listed = known is not None and known.candidates is not None
    excused = frozenset() if is_listed else _explained(answers, result)
    distance = _distances(check, result, excused)
    nothing_helps = is_listed or not answers or bool((distance > _OFF).any())
    misfit = not check.fit.fits and nothing_helps
    if misfit:
        doubtful |= set(np.flatnonzero(distance > _OFF).tolist())
        far_off = (is_set & (distance > _OFF)).any(axis=1)
        suspicious = np.where(far_off, _ALL, suspicious)
        # Other methods than maximum likelihood have no repairs that a fit could be compared with.
        failed |= bool(distance.max() > _FAR_OFF) or recipe.method != "likelihood"
        misfit = failed or bool(far_off.any())
    # Components of numbers are compared by what they touch: several may be one.
    compared = compared_targets(result.network, result.targets)
    every, place = np.unique(compared, axis=0, return_inverse=True)
    place = place.ravel()
    weights = np.bincount(place, result.weights, len(every)).astype(np.float64)
    variance = np.bincount(place, np.square(std_error), len(every)).astype(np.float64)
    worst, there = np.zeros(len(every)), np.zeros(len(every))
    np.maximum.at(worst, place, suspicious)
    np.maximum.at(there, place, presence)
    found = judge_answer(
        every,
        weights,
        np.sqrt(variance),
        answers,
        worst,
        presence=there,
        invented=None if control is None else control.left,
        failed=failed,
        misfit=misfit,
    )
    return replace(
        found,
        stands=found.stands[place],
        removed=found.removed[place],
        probability=found.probability[place],
        presence=None if found.presence is None else found.presence[place],
        doubtful=frozenset(doubtful),
    )


def _explained(answers: tuple[Answer, ...], result: SearchResult) -> frozenset[int]:
    """Variables that are off, if anything is, as repairs are not made yet.

    Those that are repaired, and those that depend on them; all, where it is rows that are repaired.
    """
    parents = result.network.parents
    repairs = [repair for one in answers for repair in one.repairs]
    if any(not repair.variables for repair in repairs):
        return frozenset(range(len(parents)))
    out = {i for repair in repairs for i in repair.variables}
    while more := {i for i, own in enumerate(parents) if i not in out and out & set(own)}:
        out |= more
    return frozenset(out)


def _distances(check: ModelCheck, result: SearchResult, excused: frozenset[int]) -> Floats:
    """How far each variable is off, in the worst pair or mechanism that it is in, beyond noise.

    Pairs with a variable that is excused do not count.
    """
    fit: FitCheck = check.fit
    n_rows = max(float(np.sum(check.certainty.counts)), 1.0)
    sizes = result.network.cardinalities
    out = np.zeros(result.targets.shape[1])
    for one in (*fit.worst, *fit.mechanisms):
        if excused & set(one.variables):
            continue
        cells = math.prod(int(sizes[i]) or _BINS for i in set(one.variables))
        # Mean absolute error of a share p is about .8 sqrt(p / n); half of their sum is at most:
        noise = 0.4 * math.sqrt(cells / n_rows)
        for i in one.variables:
            out[i] = max(out[i], one.distance - noise)
    return out
