"""Collapsing rows: exact counts, one order, any width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dosift.data import MISSING, Configurations, collapse


def check_against_reference(codes: np.ndarray, found: Configurations) -> None:
    distinct, inverse, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(found.codes, distinct)
    np.testing.assert_array_equal(found.inverse, inverse.reshape(-1))
    np.testing.assert_array_equal(found.counts, counts)
    assert found.counts.dtype == np.float64


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=5).flatmap(
        lambda ks: st.tuples(
            st.just(np.array(ks)),
            st.integers(1, 40).flatmap(
                lambda n: st.tuples(
                    *[hnp.arrays(np.int8, n, elements=st.integers(-1, k - 1)) for k in ks]
                )
            ),
        )
    )
)
def test_agrees_with_row_by_row_counting(case: tuple[np.ndarray, tuple[np.ndarray, ...]]) -> None:
    cardinalities, columns = case
    codes = np.stack(columns, axis=1)
    check_against_reference(codes, collapse(codes, cardinalities))


@pytest.mark.parametrize(
    ("n_variables", "n_states"), [(3, 2), (20, 3), (39, 3), (70, 2), (200, 5), (3, 30_000)]
)
def test_every_width_is_lexicographic(n_variables: int, n_states: int) -> None:
    rng = np.random.default_rng(n_variables)
    base = rng.integers(0, n_states, (50, n_variables)).astype(np.int16)
    base[25:, : n_variables - 1] = base[:25, : n_variables - 1]  # differ in the last column only
    codes = base[rng.integers(0, 50, 400)]
    check_against_reference(codes, collapse(codes, np.full(n_variables, n_states)))


def test_order_of_rows_leaves_no_trace() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (500, 6)).astype(np.int8)
    shuffled = codes[rng.permutation(500)]
    a, b = collapse(codes, np.full(6, 3)), collapse(shuffled, np.full(6, 3))
    np.testing.assert_array_equal(a.codes, b.codes)
    np.testing.assert_array_equal(a.counts, b.counts)
    np.testing.assert_array_equal(b.codes[b.inverse], shuffled)


def test_weights_are_summed_and_rows_without_weight_dropped() -> None:
    codes = np.array([[0, 1], [1, 1], [0, 1], [1, 0]])
    rows = collapse(codes, np.array([2, 2]), [0.5, 0.0, 2.0, 1.0])
    assert rows.codes.tolist() == [[0, 1], [1, 0]]
    assert rows.counts.tolist() == [2.5, 1.0]
    assert rows.inverse.tolist() == [0, -1, 0, 1]
    assert rows.total == 3.5


def test_missing_values_come_first() -> None:
    rows = collapse(np.array([[0, 1], [MISSING, 1], [0, MISSING]]), np.array([2, 2]))
    assert rows.codes.tolist() == [[-1, 1], [0, -1], [0, 1]]


def test_no_variables_and_no_rows() -> None:
    rows = collapse(np.empty((7, 0), dtype=np.int8), np.empty(0, dtype=np.int64))
    assert rows.counts.tolist() == [7.0]
    assert rows.codes.shape == (1, 0)
    none = collapse(np.empty((0, 2), dtype=np.int8), np.array([2, 2]))
    assert none.codes.shape == (0, 2)
    assert none.counts.size == none.inverse.size == 0


def test_numbers_are_collapsed_by_their_ranks() -> None:
    values = np.array([[2.5, 0], [-1e9, 1], [2.25, 0], [2.5, 1], [2.5, 0]])
    rows = collapse(values, np.array([0, 2]))
    assert rows.codes.tolist() == [[-1e9, 1], [2.25, 0], [2.5, 0], [2.5, 1]]
    assert rows.counts.tolist() == [1, 1, 2, 1]
    assert (rows.codes[rows.inverse] == values).all()
