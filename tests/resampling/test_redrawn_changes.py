"""What a resample looks for: no exact values that only rows drawn several times have."""

from __future__ import annotations

import pytest

from dosift.model.linear_changes import SetNormal, SetPoint, Shift
from dosift.model.mechanism import Change
from dosift.model.suggested import RegressionChanges
from dosift.resampling.redrawn import _no_finer


@pytest.mark.parametrize(
    ("found", "least", "exact"),
    [
        ((), 0.1, False),
        ((Shift(1.0),), 0.1, False),
        ((SetNormal(3.0, 0.4), SetNormal(-1.0, 0.9)), 0.1, False),
        ((SetNormal(3.0, 0.4), SetNormal(-1.0, 0.01)), 0.005, False),
        ((SetPoint(2.0, 0.1),), 0.1, True),
    ],
)
def test_changes_are_no_finer_than_those_found(
    found: tuple[Change, ...], least: float, exact: bool
) -> None:
    library = RegressionChanges()
    assert "do" in library.kinds
    assert library.least < 1e-3
    now = _no_finer(library, RegressionChanges(found))
    assert now.least == pytest.approx(least)
    assert now.kinds == (library.kinds if exact else library.kinds - {"do"})


def test_what_measurements_cannot_tell_apart_stays() -> None:
    library = RegressionChanges(least=0.3)
    assert _no_finer(library, RegressionChanges()).least == 0.3
