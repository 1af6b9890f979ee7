"""How close a found mixture is to the true one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dosift.errors import InputError
from dosift.model import Mixture, Target
from dosift.model.arrays import Bools, Floats


@dataclass(frozen=True)
class Scores:
    """Agreement of two weightings of the same targets.

    A target is *true* if its true weight is positive, and *found* if its found weight is. Targets
    agree only if they set exactly the same variables to the same states. The empty target ("no
    intervention") counts as any other, as in the study of Kumar and Sinha (UAI 2021).

    Attributes
    ----------
    recall : float
        Share of the true targets that were found.
    precision : float
        Share of the found targets that are true.
    jaccard : float
        Number of targets that are both over the number that are either.
    tv : float
        Total variation: half the sum of the absolute differences of the weights.
    rmse : float
        Root mean squared error of the weights over the targets that are true or found.
    rmse_spurious : float or None
        The same over the targets that were found and are not true; None if there are none.
    rmse_missed : float or None
        The same over the targets that are true and were not found; None if there are none.
    n_true, n_found, n_matched : int
        Numbers of targets that are true, found, and both.
    """

    recall: float
    precision: float
    jaccard: float
    tv: float
    rmse: float
    rmse_spurious: float | None
    rmse_missed: float | None
    n_true: int
    n_found: int
    n_matched: int


@dataclass(frozen=True)
class Evaluation(Scores):
    """Agreement of a found mixture with the true one, and what differs.

    The figures are those of :class:`~dosift.model.evaluation.Scores`.

    Attributes
    ----------
    missed : tuple of Target
        True targets that were not found, the heaviest first.
    spurious : tuple of Target
        Found targets that are not true, the heaviest first.
    numbers : tuple of str
        Variables that are numbers in either mixture: they are changed, or set to a number with a
        fraction. Targets are compared by which of them they touch, whatever is done to them, and by
        the states to which they set all others; the weights of targets that agree so are added.
    overlap : float or None
        Where there are numbers: the mean, over the true targets that touch anything, of the largest
        Jaccard index of the variables touched with those of a found target. None if there is none.
    """

    missed: tuple[Target, ...]
    spurious: tuple[Target, ...]
    numbers: tuple[str, ...] = ()
    overlap: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in types that JSON has; targets as their texts.

        Returns
        -------
        dict
            Without `numbers` and `overlap` where no variable is a number.
        """
        content = {
            **asdict(self),
            "missed": [str(target) for target in self.missed],
            "spurious": [str(target) for target in self.spurious],
            "numbers": list(self.numbers),
        }
        if not self.numbers:
            del content["numbers"], content["overlap"]
        return content


def evaluate(true: Mixture, found: Mixture) -> Evaluation:
    """Compare a found mixture with the true one.

    Parameters
    ----------
    true : Mixture
        The truth.
    found : Mixture
        The estimate.

    Returns
    -------
    Evaluation
        Recall, precision and errors of the weights; see
        :class:`~dosift.model.evaluation.Scores` for their definitions.

    Raises
    ------
    InputError
        If either is not a mixture.

    Examples
    --------
    >>> from dosift.model import change, do
    >>> true = Mixture({do(): 0.5, do(x=1): 0.5})
    >>> found = Mixture({do(): 0.5, do(x=1): 0.25, do(x=1, y=0): 0.25})
    >>> result = evaluate(true, found)
    >>> result.recall, round(result.precision, 3), result.tv, result.spurious
    (1.0, 0.667, 0.25, (do(x=1, y=0),))
    >>> true = Mixture({do(): 0.5, change(shift={"x": 2.0}): 0.5})
    >>> found = Mixture({do(): 0.5, change(set={"x": (3.0, 1.0)}): 0.3, do(x=2.5): 0.2})
    >>> evaluate(true, found).precision
    1.0
    """
    for mixture in (true, found):
        if not isinstance(mixture, Mixture):
            raise InputError(f"two mixtures are compared, not {type(mixture).__name__}")
    numbers = _numbers(true, found)
    sides = [_by_what_is_compared(mixture, numbers) for mixture in (true, found)]
    (true_weights, true_heads), (found_weights, found_heads) = sides
    union = list(dict.fromkeys([*true_weights, *found_weights]))
    scores = _scores(
        np.array([true_weights.get(key, 0.0) for key in union]),
        np.array([found_weights.get(key, 0.0) for key in union]),
    )
    return Evaluation(
        **asdict(scores),
        missed=_not_in(true_weights, true_heads, found_weights),
        spurious=_not_in(found_weights, found_heads, true_weights),
        numbers=tuple(sorted(numbers)),
        overlap=_overlap(true, found) if numbers else None,
    )


#: What targets must have in common to agree: them, or states and numbers that are touched.
_Key = Target | tuple[Target, frozenset[str]]


def _numbers(*mixtures: Mixture) -> frozenset[str]:
    """Name the variables that are numbers."""
    return frozenset(
        name
        for mixture in mixtures
        for target in mixture
        for name, entry in target.items()
        if not isinstance(entry, str)
    )


def _by_what_is_compared(
    mixture: Mixture, numbers: frozenset[str]
) -> tuple[dict[_Key, float], dict[_Key, Target]]:
    """Add the weights of targets that agree; return them, and the heaviest target of each kind."""
    weights: dict[_Key, float] = {}
    heads: dict[_Key, Target] = {}
    for target, weight in mixture.items():
        key: _Key = target
        if numbers:
            states = Target({name: entry for name, entry in target.items() if name not in numbers})
            key = (states, numbers.intersection(target))
        weights[key] = weights.get(key, 0.0) + weight
        heads.setdefault(key, target)
    return weights, heads


def _not_in(
    weights: dict[_Key, float], heads: dict[_Key, Target], others: dict[_Key, float]
) -> tuple[Target, ...]:
    """List what has no counterpart, the heaviest first."""
    own = [key for key, w in weights.items() if w > 0 and not others.get(key, 0.0) > 0]
    own.sort(key=lambda key: -weights[key])
    return tuple(heads[key] for key in own)


def _overlap(true: Mixture, found: Mixture) -> float | None:
    """Mean Jaccard index of the variables of true targets with those of the nearest found ones."""
    asked = {frozenset(target) for target, weight in true.items() if target and weight > 0}
    there = {frozenset(target) for target, weight in found.items() if target and weight > 0}
    if not asked:
        return None
    best = [max((len(a & b) / len(a | b) for b in there), default=0.0) for a in asked]
    return sum(best) / len(best)


def compare_codes(
    true_targets: ArrayLike,
    true_weights: ArrayLike,
    found_targets: ArrayLike,
    found_weights: ArrayLike,
) -> Scores:
    """Compare two mixtures whose targets are given as state codes.

    Parameters
    ----------
    true_targets, found_targets : array-like of int, shape (n_targets, n_variables)
        State codes that each target sets, -1 where a variable is left alone. The weights of rows
        that are equal are added up.
    true_weights, found_weights : array-like of float, shape (n_targets,)
        Their weights.

    Returns
    -------
    Scores

    Raises
    ------
    InputError
        If shapes disagree or no weight of one side is positive.

    Examples
    --------
    >>> compare_codes([[-1, -1], [0, -1]], [0.6, 0.4], [[0, -1]], [1.0]).recall
    0.5
    """
    sides = [
        (np.asarray(true_targets), np.asarray(true_weights, dtype=np.float64)),
        (np.asarray(found_targets), np.asarray(found_weights, dtype=np.float64)),
    ]
    for targets, weights in sides:
        if targets.ndim != 2 or weights.shape != targets.shape[:1]:
            raise InputError(f"targets of shape {targets.shape}, weights of shape {weights.shape}")
        if not (weights > 0).any():
            raise InputError("no weight is positive, so there is nothing to compare")
    widths = [targets.shape[1] for targets, _ in sides]
    if widths[0] != widths[1]:
        raise InputError(f"true targets have {widths[0]} variables, found ones {widths[1]}")
    stacked = np.concatenate([targets for targets, _ in sides])
    union, inverse = np.unique(stacked, axis=0, return_inverse=True)
    places = np.split(inverse.ravel(), [len(sides[0][0])])
    true, found = (
        np.asarray(np.bincount(place, weights, minlength=len(union)), dtype=np.float64)
        for place, (_, weights) in zip(places, sides, strict=True)
    )
    return _scores(true, found)


def _scores(true: Floats, found: Floats) -> Scores:
    """Score two aligned weight vectors, shape (n_targets,), each with a positive entry."""
    in_true, in_found = true > 0, found > 0
    either, both = in_true | in_found, in_true & in_found
    squared = (true - found) ** 2

    def root_mean(where: Bools) -> float | None:
        return float(np.sqrt(squared[where].mean())) if where.any() else None

    return Scores(
        recall=float(both.sum() / in_true.sum()),
        precision=float(both.sum() / in_found.sum()),
        jaccard=float(both.sum() / either.sum()),
        tv=float(np.abs(true - found).sum() / 2),
        rmse=float(np.sqrt(squared[either].mean())),
        rmse_spurious=root_mean(in_found & ~in_true),
        rmse_missed=root_mean(in_true & ~in_found),
        n_true=int(in_true.sum()),
        n_found=int(in_found.sum()),
        n_matched=int(both.sum()),
    )
