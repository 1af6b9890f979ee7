"""Held-out log-likelihood: what the mixture says about rows that did not teach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dosift.data import Configurations, collapse
from dosift.errors import InputError
from dosift.likelihood.assignment import assign
from dosift.methods import Options, estimate
from dosift.methods.soft import soften
from dosift.model.network import Network
from dosift.search.engine import SearchResult

if TYPE_CHECKING:
    from dosift.estimator import InterventionMixture

Floats = NDArray[np.float64]
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
        Fitted to `rows`, without batches or labels; its settings are those of the fits.
    rows : dataframe, mapping of columns, ndarray of int, path or Encoded
        The rows of the fit, without missing values.
    folds : int, default=5
        Parts that the rows are split into at random, at least 2.
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
        If the model has batches or labels, rows have missing values or weights that are no whole
        numbers, or there are fewer rows than folds.

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
    if model.batches_ is not None or model.labels_ is not None:
        raise InputError("only a fit without batches and labels can be evaluated on held-out rows")
    encoded = model._encode(rows, model.network_)
    if (encoded.codes < 0).any():
        raise InputError("rows with missing values cannot be held out; leave them out")
    given = model._fitted_from
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    whole = collapse(encoded.codes, given.cardinalities, weight)
    if (whole.counts != np.rint(whole.counts)).any():
        raise InputError("sample_weight must hold whole numbers: rows are held out one by one")
    if whole.total < folds:
        raise InputError(f"{whole.total:g} row(s) cannot be split into {folds} folds")
    parts = _split(whole.counts, folds, random_state)
    under = np.empty((folds, whole.counts.size))
    for k, part in enumerate(parts):
        if progress is not None:
            progress("holding rows out", k, folds)
        found = _fit(model, given, _some(whole, whole.counts - part), model._options)
        asked = assign(found.network, found.targets, found.weights, whole.codes)
        under[k] = asked.log_probability
    nothing = np.full((1, given.n_variables), -1)
    base = assign(given, nothing, np.ones(1), whole.codes).log_probability
    return _summarise(parts, under, base)


def _split(counts: Floats, folds: int, seed: int) -> Floats:
    """Deal the rows out at random; return how often each configuration is in each fold."""
    place = np.repeat(np.arange(counts.size), counts.astype(np.int64))
    fold = np.random.default_rng(seed).permutation(place.size) % folds
    dealt = np.bincount(fold * counts.size + place, minlength=folds * counts.size)
    return dealt.reshape(folds, counts.size).astype(np.float64)


def _some(rows: Configurations, counts: Floats) -> Configurations:
    kept = counts > 0
    return Configurations(rows.codes[kept], counts[kept], np.empty(0, dtype=np.int64))


def _fit(
    model: InterventionMixture, given: Network, rows: Configurations, options: Options
) -> SearchResult:
    result = estimate(model.method, given, rows, options)
    return soften(model.interventions, given, rows, result, options, None)[0]


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
