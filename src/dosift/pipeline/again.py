"""The rows of a fit once more, for fits to some of them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from dosift.data.blocks import MemoryBlocks
from dosift.data.load import Loaded, load
from dosift.errors import InputError
from dosift.methods.labels import read_labels
from dosift.model.arrays import Floats, Ints
from dosift.pipeline.fitted import Fitted
from dosift.pipeline.gather import gather, unlabelled
from dosift.pipeline.recipe import features_of
from dosift.pipeline.series import smoothed_rows
from dosift.refusals import TIME, refuse
from dosift.utils.threads import one_blas_thread


@dataclass(frozen=True)
class RowsAgain:
    """The rows of a fit, held, for fits to some of them.

    Attributes
    ----------
    rows : MemoryBlocks
        Those that count.
    labels : ndarray of int, shape (n_texts, n_variables), or None
        The targets of labelled rows, where these count.
    """

    rows: MemoryBlocks
    labels: Ints | None


def rows_again(fitted: Fitted, source: Any, beside: dict[str, Any], purpose: str) -> RowsAgain:
    """Take the rows of a fit once more, to fit to some of them.

    Parameters
    ----------
    fitted : Fitted
    source : as in :func:`~dosift.data.load.load`
    beside : dict
        Batch, labels, unit and sample_weight, as in the fit.
    purpose : str
        What for, as in :data:`~dosift.refusals.REFUSALS`.

    Returns
    -------
    RowsAgain

    Raises
    ------
    InputError
        If the rows are too many to be held, or other columns stand beside them than in the fit.
    """
    network = fitted.given
    if fitted.in_time is not None:
        refuse({TIME, purpose})
    with closing(load(source, network, **beside)) as loaded:
        for name, was, given in (
            ("batch", fitted.batches, loaded.rows.beside.batches),
            ("labels", fitted.labels, loaded.rows.beside.labels or loaded.labels),
            ("unit", fitted.n_units, loaded.rows.has_units),
            ("time", fitted.in_time, loaded.order),
        ):
            if bool(was) != bool(given):
                raise InputError(
                    f"the mixture was fitted {'with' if was else 'without'} {name}; give the rows "
                    f"{'with' if was else 'without'} {name}, as they were fitted"
                )
        if loaded.rows.beside.batches != fitted.batches:
            raise InputError(
                "the rows have other batches than those that the mixture was fitted to"
            )
        rows, by_text = loaded.rows, None
        if loaded.rows.beside.labels:
            if fitted.recipe.random_labels:
                by_text = read_labels(loaded, network).by_text
            else:
                rows = unlabelled(rows)
        gathered = gather(network, rows, by_text, 0)
        named = features_of(fitted.recipe, rows) | {purpose}
        if gathered.evidence.held is None:
            named.add("rows in blocks")
        refuse(named)
        held = gathered.evidence.rows
        assert isinstance(held, MemoryBlocks)
        return RowsAgain(held, by_text)


def posterior_in_time(fitted: Fitted, loaded: Loaded) -> Floats:
    """Judge rows in order of time by a fit to such rows.

    Parameters
    ----------
    fitted : Fitted
    loaded : Loaded
        With an order.

    Returns
    -------
    ndarray, shape (n_rows, n_components)
        Posterior of each row's target, in the input's order; NaN for a row that none can produce.

    Raises
    ------
    InputError
        If the fit knew no time, or times of another kind.
    """
    in_time, result = fitted.in_time, fitted.result
    if in_time is None:
        raise InputError("the mixture was fitted without time; leave time out, or fit with it")
    assert loaded.order is not None
    loaded.order.check_like(in_time.order.times.in_seconds)
    weights = result.weights
    if loaded.rows.beside.batches and result.batch_weights is not None:
        weights = result.batch_weights
    with one_blas_thread():
        return smoothed_rows(fitted.network, result.targets, weights, in_time.rate, loaded)


def fitted_batches(fitted: Fitted) -> tuple[str, ...]:
    """Names of the batches of a fit.

    Raises
    ------
    InputError
        If it has none.
    """
    if not fitted.batches:
        raise InputError("the mixture was fitted without batches; leave batch out")
    return fitted.batches
