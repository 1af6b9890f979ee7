"""The largest gradient over targets, and components that set the same variables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dosift.model.other import OTHER
from dosift.search.certificate import certify
from dosift.search.pricing import Priced, merge_priced
from dosift.search.stochastic import complete_values, stochastic_interventions


def priced(*gradients: float) -> Priced:
    n = len(gradients)
    targets = np.arange(2 * n, dtype=np.int16).reshape(n, 2)
    return Priced(targets, np.array(gradients), np.ones(n))


def test_the_certificate_holds_the_steepest_of_all_batches() -> None:
    found = certify([priced(0.5, 1.2), priced(1.1, 0.3, 1.7), priced()], "neighbours", 9)
    assert (found.scope, found.n_variables, found.n_targets) == ("neighbours", 9, 3)
    assert found.largest_gradient == 1.7
    assert found.target is not None
    assert found.target.tolist() == [4, 5]
    flat = certify([priced(1.0, 0.2)], "all", 2)
    assert (flat.largest_gradient, flat.target, flat.n_targets) == (1.0, None, 2)
    assert certify([], "all", 2).n_targets == 0


def test_priced_targets_are_joined_without_repeats() -> None:
    one, two = priced(0.5, 1.2), priced(9.0, 8.0, 0.7)
    found = merge_priced([one, two], frozenset({one.targets[1].tobytes()}), 2)
    # Of equal ones the first stays.
    assert found.targets.tolist() == [[0, 1], [4, 5]]
    assert found.gradient.tolist() == [0.5, 0.7]
    assert merge_priced([], frozenset(), 3).targets.shape == (0, 3)


def test_gradients_in_standard_errors() -> None:
    found = Priced(np.zeros((2, 1), np.int16), np.array([1.5, 0.8]), np.array([300.0, 64.0]))
    # Of 100 rows: 100 (D - 1) over the root of the sum of squares less 100 D^2.
    np.testing.assert_allclose(
        found.z_scores(100.0), [50.0 / np.sqrt(300.0 - 225.0), -20.0 / np.sqrt(6.4e-11)]
    )


def test_groups_are_of_variables_and_rows_from_elsewhere_stand_apart() -> None:
    targets = np.array([[-1, -1], [0, -1], [1, -1], [OTHER, OTHER], [-1, 1]])
    weights = np.array([0.3, 0.15, 0.2, 0.05, 0.3])
    groups = stochastic_interventions(targets, weights)
    # The heaviest first; of equal ones those of the first variables.
    assert [(one.variables, one.members) for one in groups] == [
        ((0,), (2, 1)),
        ((), (0,)),
        ((1,), (4,)),
        ((), (3,)),
    ]


def test_all_values_of_what_is_set_compete() -> None:
    asked: list[Any] = []

    def search(listed: Any) -> Any:
        asked.append(listed.tolist())
        return "found"

    sizes = np.array([2, 3, 65])
    targets = np.array([[-1, -1, -1], [1, 2, -1], [-1, -1, 3]])
    result: Any = SimpleNamespace(targets=targets, weights=np.array([0.5, 0.3, 0.2]))
    assert complete_values(result, sizes, search) == "found"  # type: ignore[comparison-overlap]
    # The six of the pair; those of the last are too many.
    pairs = [[a, b, -1] for a in range(2) for b in range(3) if (a, b) != (1, 2)]
    assert asked == [targets.tolist() + pairs]
    alone: Any = SimpleNamespace(targets=targets[[0, 2]], weights=np.array([0.5, 0.5]))
    assert complete_values(alone, sizes, search) is alone
    assert len(asked) == 1
    # 64 are not too many.
    complete_values(alone, np.array([2, 3, 64]), search)
    assert len(asked[1]) == 65
