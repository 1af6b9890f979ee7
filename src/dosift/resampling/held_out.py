"""Held-out log-likelihood: what the mixture says about rows that did not teach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data.blocks import Block, MemoryBlocks
from dosift.errors import InputError
from dosift.estimator import InterventionMixture
from dosift.likelihood.assignment import judge
from dosift.likelihood.columns import RowLikelihoods, is_plain
from dosift.likelihood.evidence import Evidence
from dosift.model.network import Network
from dosift.pipeline import Gathered, Setup, found_again, rows_again

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Progress = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class HeldOut:
    """Log-likelihoods of rows under fits to the other rows.

    Attributes
    ----------
    mixture : float
        Mean over the rows, in nats, under the mixtures; minus infinity if one of them gives a row
        probability zero.
    network : float
        The same under the undisturbed network.
    gain : float
        Mean of the difference, over the rows that both allow.
    std_error : float
        Its standard error, with the fits taken as given; NaN for fewer than two rows.
    impossible : float
        Rows to which the mixtures give probability zero.
    folds : int
    """

    mixture: float
    network: float
    gain: float
    std_error: float
    impossible: float
    folds: int


def held_out(
    model: InterventionMixture,
    rows: Any,
    *,
    folds: int = 5,
    batch: Any = None,
    labels: Any = None,
    unit: Any = None,
    time: Any = None,
    sample_weight: ArrayLike | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> HeldOut:
    """Fit to all folds but one, and evaluate that one, in turn.

    The log-likelihood of the rows of a fit grows with every component; that of rows which were
    held out does not. A mixture that is no better than the undisturbed network there has found
    nothing.

    Parameters
    ----------
    model : InterventionMixture
        Fitted to `rows`; its settings are those of the fits.
    rows : dataframe, mapping of columns, ndarray of int, path or Encoded
        The rows of the fit.
    folds : int, default=5
        Parts that the rows (of each batch) are split into at random, at least 2.
    batch, labels : str or array-like, optional
        As in the fit. Rows that are labelled, but not at random, say nothing of the mixture and are
        not held out.
    unit : str or array-like, optional
        As in the fit: then units are held out.
    time : str or array-like, optional
        As in the fit; rows of a series are not held out, which is said.
    sample_weight : array-like of int, shape (n_rows,), optional
        How often each row occurs.
    random_state : int, default=0
        The order of the rows does not matter.
    progress : callable, optional
        Called with a stage's name, the folds done and the folds in all.

    Returns
    -------
    HeldOut

    Raises
    ------
    InputError
        If weights are no whole numbers, or there are fewer rows than folds.

    Examples
    --------
    >>> import dosift
    >>> network = dosift.Network.from_tables({"a": ["0", "1"]}, {}, {"a": [0.5, 0.5]})
    >>> truth = dosift.Mixture({dosift.do(): 0.2, dosift.do(a="1"): 0.8})
    >>> rows = dosift.simulate(network, truth, 1000, random_state=0)
    >>> model = dosift.InterventionMixture(network).fit(rows)
    >>> dosift.held_out(model, rows).gain > 0.2
    True
    """
    if not isinstance(folds, int) or folds < 2:
        raise InputError(f"folds is {folds!r}; give a whole number of at least 2")
    fitted = model.fitted_
    beside = {"batch": batch, "labels": labels, "unit": unit, "time": time}
    beside["sample_weight"] = sample_weight
    held = rows_again(fitted, rows, beside, "held-out rows")
    whole, given = held.rows.whole, fitted.given
    if (whole.counts != np.rint(whole.counts)).any():
        raise InputError("sample_weight must hold whole numbers: rows are held out one by one")
    if whole.counts.sum() < folds:
        raise InputError(f"{whole.counts.sum():g} row(s) cannot be split into {folds} folds")
    parts = _split(whole, folds, random_state)
    under = np.empty((folds, len(whole)))
    for k, part in enumerate(parts):
        if progress is not None:
            progress("holding rows out", k, folds)
        rest = whole.counts - part
        some = replace(whole.part(rest > 0), counts=rest[rest > 0])
        others = MemoryBlocks.of_block(some, held.rows.beside)
        gathered = Gathered(Evidence.held_rows(given, others, held.labels))
        setup = Setup(fitted.recipe, given, gathered, fitted.options).counting_for(fitted.power)
        found = found_again(setup, fitted.elsewhere is not None)
        weights = found.weights if found.batch_weights is None else found.batch_weights
        under[k] = _log_probability(found.network, found.targets, weights, whole, held.labels)
    nothing = np.full((1, given.n_variables), -1)
    base = _log_probability(given, nothing, np.ones(1), replace(whole, batch=None), held.labels)
    return _summarise(parts, under, base)


def _log_probability(
    network: Network, targets: Ints, weights: Floats, block: Block, labels: Ints | None
) -> Floats:
    rows = RowLikelihoods(network, block, is_plain(network, targets, block), labels)
    return judge(rows, targets, weights).log_probability


def _split(whole: Block, folds: int, seed: int) -> Floats:
    """Deal the rows of each batch out at random; return how often each is in each fold."""
    place = np.repeat(np.arange(len(whole)), whole.counts.astype(np.int64))
    order = np.random.default_rng(seed).permutation(place.size)
    if whole.batch is not None:
        # By batch, and within a batch at random: every fold has its share of each.
        rank = np.empty_like(order)
        rank[np.lexsort([order, whole.batch[place]])] = np.arange(place.size)
        order = rank
    fold = order % folds
    dealt = np.bincount(fold * len(whole) + place, minlength=folds * len(whole))
    return dealt.reshape(folds, len(whole)).astype(np.float64)


def _summarise(parts: Floats, under: Floats, base: Floats) -> HeldOut:
    total = float(parts.sum())
    impossible = float(parts[np.isneginf(under)].sum())
    kept = (parts > 0) & ~np.isneginf(under) & ~np.isneginf(base)
    counts = np.where(kept, parts, 0.0)
    with np.errstate(invalid="ignore"):
        difference = np.where(kept, under - base, 0.0)
    n = float(counts.sum())
    gain = float((counts * difference).sum() / n) if n else float("nan")
    error = float("nan")
    if n > 1:
        spread = float((counts * (difference - gain) ** 2).sum()) / (n - 1)
        error = float(np.sqrt(spread / n))
    return HeldOut(
        mixture=_mean(parts, under, total),
        network=_mean(parts, np.broadcast_to(base, parts.shape), total),
        gain=gain,
        std_error=error,
        impossible=impossible,
        folds=len(parts),
    )


def _mean(parts: Floats, values: Floats, total: float) -> float:
    used = parts > 0
    return float((parts[used] @ values[used]) / total)
