"""Do-interventions, intervention targets and mixtures of them."""

from dosift.interventions.mixture import WEIGHT_SUM_TOLERANCE, Mixture
from dosift.interventions.target import Target, do, parse_target

__all__ = ["WEIGHT_SUM_TOLERANCE", "Mixture", "Target", "do", "parse_target"]
