"""Which targets of a chain earn their cost, against fits without them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dosift.chain.fit import ChainFit, fit_chain
from dosift.chain.rows import ChainRows
from dosift.chain.select import earning, losses
from dosift.chain.smooth import sum_chain

Floats = NDArray[np.float64]

#: Two targets that rows tell apart, and one that is nearly like the first.
COLUMNS = np.array([[0.9, 0.1, 0.85], [0.1, 0.9, 0.15]])


def laid(columns: Floats, batch: bool = False) -> ChainRows:
    seen = np.tile(np.repeat([0, 1], 20), 5)
    exposure = np.ones(seen.size)
    exposure[0] = np.inf
    own = np.repeat([0, 1], 100) if batch else None
    if batch:
        exposure[100] = np.inf
    return ChainRows.of(columns, seen, exposure, batch=own)


def fit_without(columns: Floats, k: int) -> ChainFit:
    rest = [j for j in range(columns.shape[1]) if j != k]
    return fit_chain(laid(columns[:, rest]), np.full(len(rest), 1.0 / len(rest)))


def test_losses_are_those_of_fits_without_each_target() -> None:
    rows = laid(COLUMNS)
    fit = fit_chain(rows, np.full(3, 1 / 3))
    found = losses(rows, fit)
    exact = [fit.log_likelihood - fit_without(COLUMNS, k).log_likelihood for k in range(3)]
    assert found == pytest.approx(exact, abs=0.05)
    assert found[1] > 50.0
    assert max(found[0], found[2]) < 8.0


def test_a_large_loss_is_one_with_the_others_as_they_are() -> None:
    columns = np.array([[1.0, 0.01], [0.01, 1.0]])
    rows = laid(columns)
    fit = fit_chain(rows, np.array([0.5, 0.5]))
    alone = sum_chain(laid(columns[:, :1]), np.ones(1), fit.rate)
    assert losses(rows, fit)[1] == pytest.approx(fit.log_likelihood - alone.log_likelihood)


def test_what_some_row_needs_is_lost_without_bound() -> None:
    columns = np.array([[1.0, 0.0, 0.2], [0.5, 0.5, 0.0]])
    rows = laid(columns)
    fit = fit_chain(rows, np.full(3, 1 / 3))
    # Rows of the first kind come from the first and the last, of the second from both others.
    found = losses(rows, fit)
    assert np.isfinite(found).all()
    of_two = laid(columns[:, 1:])
    assert losses(of_two, fit_chain(of_two, np.array([0.5, 0.5]))).tolist() == [np.inf, np.inf]
    of_one = laid(columns[:, :1])
    assert losses(of_one, fit_chain(of_one, np.ones(1))).tolist() == [np.inf]


def test_known_weights_that_must_sum_to_one_are_all_needed() -> None:
    known = np.array([0.6, 0.4])
    rows = laid(COLUMNS[:, [0, 2]])
    fit = fit_chain(rows, known, known=known)
    assert losses(rows, fit).tolist() == [np.inf, np.inf]
    # Free ones can take the place of one that is known.
    rows = laid(COLUMNS)
    fit = fit_chain(rows, np.array([0.5, 0.3, 0.2]), known=np.array([0.5, np.nan, np.nan]))
    assert np.isfinite(losses(rows, fit)).all()


def test_in_each_batch_weights_must_sum_to_one() -> None:
    rows = laid(COLUMNS[:, [0, 2]], batch=True)
    # The second target does not occur in the second batch.
    fit = fit_chain(rows, np.array([[0.5, 0.5], [1.0, 0.0]]))
    assert fit.known[1].tolist()[1] == 0.0
    found = losses(rows, fit)
    assert found[0] == np.inf
    assert np.isfinite(found[1])


@pytest.mark.parametrize(
    ("costs", "kept"),
    [
        ([8.0, 8.0, 8.0], [True, True, False]),
        # What stays in any case does, and the one that is like it goes.
        ([40.0, 8.0, -np.inf], [False, True, True]),
        # The first gains five more than that.
        ([4.0, 8.0, -np.inf], [True, True, True]),
    ],
)
def test_what_does_not_earn_its_cost_goes(costs: list[float], kept: list[bool]) -> None:
    rows = laid(COLUMNS)
    fit = fit_chain(rows, np.full(3, 1 / 3))
    assert earning(rows, fit, np.array(costs)).tolist() == kept


def test_one_target_is_kept_whatever_it_costs() -> None:
    rows = laid(COLUMNS)
    fit = fit_chain(rows, np.full(3, 1 / 3))
    assert earning(rows, fit, np.full(3, 1e9)).sum() == 1
