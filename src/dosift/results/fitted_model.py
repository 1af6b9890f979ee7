"""What tables, pictures and files need of a fitted model: the face that the estimator shows."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dosift.checks.assignment_confidence import Certainty
from dosift.checks.fit_check import FitCheck
from dosift.checks.missing import MissingValues
from dosift.checks.surprisal import SurprisalScale
from dosift.model import Mixture, Target
from dosift.model.network import Network
from dosift.pipeline import Fitted
from dosift.utils.record import Record


class FittedModel(Protocol):
    """A fitted model.

    Attributes
    ----------
    level, method
        As the model was made.
    fitted_, mixture_, targets_, network_, weights_ and others
        What they mean, :class:`~dosift.estimator.InterventionMixture` says.
    """

    level: float
    method: str
    fitted_: Fitted
    mixture_: Mixture
    targets_: list[Target]
    weights_: NDArray[np.float64]
    network_: Network
    converged_: bool
    optimality_gap_: float
    n_rows_: float
    impossible_rows_: float
    certainty_: Certainty
    fit_check_: FitCheck
    surprise_scale_: SurprisalScale
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
    graph_: pl.DataFrame | None
    timeline_: pl.DataFrame | None
    verdict_: Record

    def diagnostics(self) -> dict[str, Any]:
        """Return the numbers that tell how far the fit can be trusted."""
