"""What pictures, files and annotations need of a fitted model.

The estimator stands above the results that it shows, so they know it by what it offers only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import polars as pl

    from dosift.checks.assignment_confidence import Certainty
    from dosift.checks.fit_check import FitCheck
    from dosift.checks.missing import MissingValues
    from dosift.model import Mixture, Target
    from dosift.model.network import Network
    from dosift.pipeline import Fitted


class FittedModel(Protocol):
    """A fitted :class:`~dosift.estimator.InterventionMixture`, which says what these are."""

    network: Network | None
    method: str
    level: float
    fitted_: Fitted
    mixture_: Mixture
    targets_: list[Target]
    network_: Network
    converged_: bool
    optimality_gap_: float
    impossible_rows_: float
    certainty_: Certainty
    fit_check_: FitCheck
    missing_values_: MissingValues
    components_: pl.DataFrame
    variables_: pl.DataFrame
    pairs_: pl.DataFrame
    families_: pl.DataFrame
    confusable_: pl.DataFrame
    undecided_: pl.DataFrame
    interventions_: pl.DataFrame
    mechanisms_: pl.DataFrame
    batches_: pl.DataFrame | None

    def diagnostics(self) -> dict[str, Any]:
        """Numbers that tell how far the fit can be trusted."""
